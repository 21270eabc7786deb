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

enum { AT_ASID = 0, AT_VU = 16, AT_MXR = 17, AT_MODES = 19, AT_VMID = 27, AT_EPOCH = 41 };

#define EPOCHS HVC_BIT(22)
#define VALID HVC_BIT(63)
#define ASID_MASK UINT64_C(0xffff)
#define ASID_SHIFT 44 /* in vsatp */
#define VMID_MASK (HVC_BIT(HVC_HGATP_VMID_BITS) - 1)

/* What takes longer than an instruction, in instructions. */
#define WALK_COST 32
#define FORGET_COST 1024

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

/*
 * Jumps belong to a number that stands for a context; numbers are never used again. So all jumps
 * are forgotten by giving contexts new numbers.
 */
static uint64_t jump_tag(soft_pe *pe, uint64_t context)
{
    for (uint32_t i = 0; i < SOFT_CONTEXTS; i++) {
        if (pe->context[i].tag == context)
            return pe->context[i].jump_tag;
    }
    uint32_t victim = (uint32_t)(++pe->jump_tags % SOFT_CONTEXTS);
    pe->context[victim].tag = context;
    pe->context[victim].jump_tag = pe->jump_tags;
    return pe->jump_tags;
}

static void forget_jumps(soft_pe *pe)
{
    memset(pe->context, 0, sizeof pe->context);
    memset(pe->fetched, 0, sizeof pe->fetched);
}

static uint32_t fetched_bit(uint64_t va)
{
    return (uint32_t)(va / SOFT_PAGE * UINT64_C(0x9e3779b97f4a7c15) >> 54);
}

void hvc_soft_mmu_fetched(soft_pe *pe, uint64_t va)
{
    uint32_t bit = fetched_bit(va);
    pe->fetched[bit / 64] |= HVC_BIT(bit % 64);
}

void hvc_soft_mmu_context(soft_pe *pe)
{
    uint64_t vu = pe->mode == HVCORE_RISCV64_VU ? HVC_BIT(AT_VU) : 0;
    pe->tag = space(pe) | (pe->port.vsatp >> ASID_SHIFT & ASID_MASK) << AT_ASID;
    pe->jump_tag = jump_tag(pe, pe->tag | vu);
    pe->tlb = pe->tlbs[view(pe)];
}

/* --- forgetting ------------------------------------------------------------------------------- */

/* All entries belong to an epoch that is over; contexts are to be computed again. */
void hvc_soft_mmu_forget(soft_pe *pe)
{
    pe->epoch = (pe->epoch + 1) % EPOCHS;
    if (!pe->epoch)
        memset(pe->tlbs, 0, sizeof pe->tlbs);
    forget_jumps(pe);
    for (uint32_t half = 0; half < 2; half++) {
        pe->wide_from[half] = UINT64_MAX;
        pe->wide_to[half] = 0;
    }
}

/* Of this VMID; with an ASID global entries stay (Priv. 12.2.1). */
static bool fenced(const soft_pe *pe, const soft_tlb *e, const soft_fence *fence)
{
    if ((e->tag ^ pe->tag) & VMID_MASK << AT_VMID ||
        (fence->has_va && (e->va ^ fence->va) >> e->shift))
        return false;
    return !fence->has_asid || (!e->global && (e->tag & ASID_MASK) == (fence->asid & ASID_MASK));
}

static void fence_slots(soft_pe *pe, const soft_fence *fence, uint32_t first, uint32_t count)
{
    for (uint32_t v = 0; v < SOFT_VIEWS; v++) {
        for (uint32_t access = 0; access <= HVCORE_RISCV64_STORE; access++) {
            soft_tlb *e = &pe->tlbs[v][access][first];
            for (uint32_t i = 0; i < count; i++) {
                if (e[i].tag && fenced(pe, &e[i], fence))
                    e[i].tag = 0;
            }
        }
    }
}

/* May a page around the address have been fetched from? */
static bool maybe_code(const soft_pe *pe, const soft_fence *fence)
{
    uint32_t bit = fetched_bit(fence->va);
    return !fence->has_va || pe->fetched[bit / 64] & HVC_BIT(bit % 64);
}

/* The entries of a page lie in one slot of each array, but those of a superpage are scattered. */
void hvc_soft_mmu_fence(soft_pe *pe, const soft_fence *fence)
{
    uint64_t half = fence->va >> 63;
    bool wide =
        !fence->has_va || (fence->va >= pe->wide_from[half] && fence->va <= pe->wide_to[half]);
    if (!fence->has_va && !fence->has_asid) {
        hvc_soft_mmu_forget(pe);
    } else if (wide) {
        fence_slots(pe, fence, 0, SOFT_TLB);
        hvc_soft_spend(pe, FORGET_COST);
        forget_jumps(pe);
    } else {
        fence_slots(pe, fence, fence->va / SOFT_PAGE % SOFT_TLB, 1);
        if (maybe_code(pe, fence))
            forget_jumps(pe);
    }
    hvc_soft_mmu_context(pe);
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
    pe->wide_from[0] = pe->wide_from[1] = UINT64_MAX;
}

/* --- a miss ----------------------------------------------------------------------------------- */

static uint8_t *fault(soft_pe *pe, uint64_t va, const uint8_t causes[3], uint32_t access)
{
    pe->fault = (hvc_raw_trap){.scause = causes[access], .stval = va};
    return NULL;
}

static const uint8_t access_causes[] = {HVCORE_RISCV64_INSN_ACCESS, HVCORE_RISCV64_LOAD_ACCESS,
                                        HVCORE_RISCV64_STORE_ACCESS};

static uint32_t walk_flags(const soft_pe *pe)
{
    return hvc_soft_has(pe, HVCORE_RISCV64_ISA_SVNAPOT) ? HVCORE_RISCV64_WALK_SVNAPOT : 0;
}

static bool walk(soft_pe *pe, uint64_t va, uint32_t access, hvcore_riscv64_walk_result *out)
{
    const hvc_pe *port = &pe->port;
    hvcore_riscv64_walk_regs regs = {.vsatp = port->vsatp,
                                     .hgatp = port->hgatp,
                                     .vsstatus = port->vsstatus,
                                     .sstatus = pe->frame->sstatus,
                                     .henvcfg = port->henvcfg,
                                     .menvcfg = port->henvcfg_rw,
                                     .mode = pe->mode,
                                     .flags = walk_flags(pe)};
    hvc_soft_spend(pe, WALK_COST);
    hvcore_riscv64_walk(&regs, &pe->walk, va, access, out);
    if (!out->fault)
        return true;
    pe->fault = (hvc_raw_trap){out->cause, va, out->htval, out->htinst};
    return false;
}

/* A global page is everybody's: it takes on the ASID of who uses it. */
static bool adopt(soft_pe *pe, soft_tlb *e, uint64_t va)
{
    if (e->va != (va & ~(SOFT_PAGE - 1)) || !e->global || (e->tag ^ pe->tag) & ~ASID_MASK)
        return false;
    e->tag = pe->tag;
    return true;
}

static uint32_t log2_of(uint64_t n)
{
    return 63 - (uint32_t)__builtin_clzll(n);
}

static void widen(soft_pe *pe, uint64_t va, uint64_t size)
{
    uint64_t from = va & ~(size - 1), to = va | (size - 1), half = va >> 63;
    if (size == SOFT_PAGE)
        return;
    pe->wide_from[half] = from < pe->wide_from[half] ? from : pe->wide_from[half];
    pe->wide_to[half] = to > pe->wide_to[half] ? to : pe->wide_to[half];
}

static bool refill(soft_pe *pe, soft_tlb *e, uint64_t va, uint32_t access)
{
    hvcore_riscv64_walk_result found;
    if (!walk(pe, va, access, &found))
        return false;
    uint8_t *host = hvc_soft_bank_ptr(pe->machine, found.pa & ~(SOFT_PAGE - 1), SOFT_PAGE);
    if (!host)
        return fault(pe, va, access_causes, access);
    widen(pe, va, found.vs_page);
    *e = (soft_tlb){.va = va & ~(SOFT_PAGE - 1),
                    .tag = pe->tag,
                    .host = host,
                    .global = found.global,
                    .shift = log2_of(found.vs_page)};
    return true;
}

uint8_t *hvc_soft_mmu_miss(soft_pe *pe, uint64_t va, uint32_t access)
{
    soft_tlb *e = hvc_soft_slot(pe, va, access);
    if (!adopt(pe, e, va) && !refill(pe, e, va, access))
        return NULL;
    return e->host + (va & (SOFT_PAGE - 1));
}
