/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLB. It keeps what it has until it is told to forget, as the architecture allows, so that a
 * fence that somebody forgot shows up: writing vsatp, hgatp or a page table forgets nothing.
 *
 * An entry belongs to a context, a word made of VMID, ASID, modes, MXR and an epoch. Changes of
 * modes, of SUM and of MXR act at once (Priv. 12.1.11), thus they are part of the context or choose
 * the array.
 */
#include "backends/bare/soft/soft.h"

#include "lib/host/mem.h"

enum { AT_ASID = 0, AT_GLOBAL = 16, AT_MXR = 17, AT_MODES = 19, AT_VMID = 27, AT_EPOCH = 41 };

#define EPOCHS HVC_BIT(22)
#define VALID HVC_BIT(63)
#define ASID_MASK UINT64_C(0xffff)
#define ASID_SHIFT 44 /* in vsatp */
#define VMID_MASK (HVC_BIT(HVC_HGATP_VMID_BITS) - 1)

/* What takes longer than an instruction, in instructions. */
#define WALK_COST 32
#define FORGET_COST 512

/* The loop looks at `heavy` when it has no page. */
static void spend(soft_pe *pe, uint32_t work)
{
    pe->cost += work;
    pe->heavy += work;
    if (pe->heavy >= SOFT_HEAVY)
        pe->code_page = SOFT_NO_PAGE;
}

static uint64_t atp_mode(uint64_t atp)
{
    return atp >> HVC_ATP_MODE_SHIFT;
}

/* The context, but for the ASID. */
static uint64_t space(const soft_pe *pe)
{
    const hvc_pe *port = &pe->port;
    uint64_t vmid = port->hgatp >> HVC_HGATP_VMID_SHIFT & VMID_MASK;
    uint64_t modes = atp_mode(port->hgatp) << 4 | atp_mode(port->vsatp);
    uint64_t mxr =
        !!(port->vsstatus & HVC_SSTATUS_MXR) << 1 | !!(pe->frame->sstatus & HVC_SSTATUS_MXR);
    return VALID | pe->epoch << AT_EPOCH | vmid << AT_VMID | modes << AT_MODES | mxr << AT_MXR;
}

static enum soft_view view(const soft_pe *pe)
{
    if (pe->mode == HVCORE_RISCV64_VU)
        return SOFT_VIEW_VU;
    return pe->port.vsstatus & HVC_SSTATUS_SUM ? SOFT_VIEW_VS_SUM : SOFT_VIEW_VS;
}

void hvc_soft_mmu_context(soft_pe *pe)
{
    uint64_t here = space(pe);
    pe->global = here | HVC_BIT(AT_GLOBAL);
    pe->tag = here | (pe->port.vsatp >> ASID_SHIFT & ASID_MASK) << AT_ASID;
    pe->tlb = pe->tlbs[view(pe)];
    pe->code_page = SOFT_NO_PAGE;
}

/* All entries belong to an epoch that is over; contexts are to be computed again. */
void hvc_soft_mmu_forget(soft_pe *pe)
{
    pe->epoch = (pe->epoch + 1) % EPOCHS;
    if (!pe->epoch)
        memset(pe->tlbs, 0, sizeof pe->tlbs);
}

/* Of this VMID what is not global (Priv. 12.2.1). */
static void forget_in(soft_tlb *e, uint64_t tag)
{
    uint64_t same = VMID_MASK << AT_VMID | ASID_MASK << AT_ASID;
    for (uint32_t i = 0; i < SOFT_TLB; i++) {
        if (!e[i].global && !((e[i].tag ^ tag) & same))
            e[i].tag = 0;
    }
}

void hvc_soft_mmu_forget_asid(soft_pe *pe, uint64_t asid)
{
    uint64_t tag = (pe->tag & ~(ASID_MASK << AT_ASID)) | (asid & ASID_MASK) << AT_ASID;
    for (uint32_t v = 0; v < SOFT_VIEWS; v++) {
        for (uint32_t access = 0; access <= HVCORE_RISCV64_STORE; access++)
            forget_in(pe->tlbs[v][access], tag);
    }
    pe->code_page = SOFT_NO_PAGE;
    spend(pe, FORGET_COST);
}

/* --- memory as the walker sees it ------------------------------------------------------------- */

static _Atomic uint64_t *word_at(soft_pe *pe, uint64_t pa)
{
    return (_Atomic uint64_t *)(void *)hvc_soft_bank_ptr(pe->machine, pa, sizeof(uint64_t));
}

static int read64(void *user, uint64_t pa, uint64_t *value)
{
    _Atomic uint64_t *p = word_at(user, pa);
    if (!p)
        return 1;
    *value = atomic_load_explicit(p, memory_order_relaxed);
    return 0;
}

static int cas64(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    _Atomic uint64_t *p = word_at(user, pa);
    if (!p)
        return 2;
    return !atomic_compare_exchange_strong(p, &expected, desired);
}

void hvc_soft_mmu_init(soft_pe *pe)
{
    pe->walk = (hvcore_riscv64_walk_mem){.user = pe, .read64 = read64, .cas64 = cas64};
    pe->bank_epoch = atomic_load(&pe->machine->bank_epoch);
}

/* --- a miss ----------------------------------------------------------------------------------- */

static uint8_t *fault(soft_pe *pe, uint64_t va, const uint8_t causes[3], uint32_t access)
{
    pe->fault = (hvc_raw_trap){.scause = causes[access], .stval = va};
    return NULL;
}

static const uint8_t misaligned_causes[] = {HVCORE_RISCV64_INSN_MISALIGNED,
                                            HVCORE_RISCV64_LOAD_MISALIGNED,
                                            HVCORE_RISCV64_STORE_MISALIGNED};
static const uint8_t access_causes[] = {HVCORE_RISCV64_INSN_ACCESS, HVCORE_RISCV64_LOAD_ACCESS,
                                        HVCORE_RISCV64_STORE_ACCESS};

static bool walk(soft_pe *pe, uint64_t va, uint32_t access, hvcore_riscv64_walk_result *out)
{
    const hvc_pe *port = &pe->port;
    hvcore_riscv64_walk_regs regs = {.vsatp = port->vsatp,
                                     .hgatp = port->hgatp,
                                     .vsstatus = port->vsstatus,
                                     .sstatus = pe->frame->sstatus,
                                     .henvcfg = port->henvcfg,
                                     .mode = pe->mode};
    spend(pe, WALK_COST);
    hvcore_riscv64_walk(&regs, &pe->walk, va, access, out);
    if (!out->fault)
        return true;
    pe->fault = (hvc_raw_trap){out->cause, va, out->htval, out->htinst};
    return false;
}

static soft_tlb *slot(soft_pe *pe, uint64_t va, uint32_t access)
{
    return &pe->tlb[access][(va / SOFT_PAGE) % SOFT_TLB];
}

/* A global page is everybody's: it takes on the ASID of who uses it. */
static bool adopt(soft_pe *pe, soft_tlb *e, uint64_t va)
{
    if (e->va != (va & ~(SOFT_PAGE - 1)) || !e->tag || e->global != pe->global)
        return false;
    e->tag = pe->tag;
    return true;
}

static bool refill(soft_pe *pe, soft_tlb *e, uint64_t va, uint32_t access)
{
    hvcore_riscv64_walk_result found;
    if (!walk(pe, va, access, &found))
        return false;
    uint8_t *host = hvc_soft_bank_ptr(pe->machine, found.pa & ~(SOFT_PAGE - 1), SOFT_PAGE);
    if (!host)
        return fault(pe, va, access_causes, access);
    *e = (soft_tlb){.va = va & ~(SOFT_PAGE - 1),
                    .tag = pe->tag,
                    .global = found.global ? pe->global : 0,
                    .host = host};
    return true;
}

/* Alignment comes first: the place of 4 and 6 in the order is free (Priv. 3.1.15). */
uint8_t *hvc_soft_mmu_miss(soft_pe *pe, uint64_t va, uint32_t access, uint32_t size)
{
    soft_tlb *e = slot(pe, va, access);
    if (va & (size - 1))
        return fault(pe, va, misaligned_causes, access);
    if (!adopt(pe, e, va) && !refill(pe, e, va, access))
        return NULL;
    return e->host + (va & (SOFT_PAGE - 1));
}
