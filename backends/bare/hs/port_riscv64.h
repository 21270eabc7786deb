/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine hs for riscv64: PEs are the harts of the computer, in HS-mode. Included by port.h.
 *
 * A PE belongs to its hart: only that hart may enter it, read or write its registers and flush its
 * translations; kick may come from everywhere. A vCPU that moves to another hart claims that hart's
 * PE (pe_claim there). All harts are taken to be alike, as facts are those of the hart that asks.
 */
#ifndef HVC_HS_PORT_RISCV64_H
#define HVC_HS_PORT_RISCV64_H

#include <hvcore/ctx.h>
#include <hvcore/mem.h>

#include "lib/host/metal.h"

/* The whole computer: nothing to keep. */
typedef struct hvc_machine {
    uint32_t unused;
} hvc_machine;

/* A hart. */
typedef struct hvc_pe {
    _Alignas(64) _Atomic uint32_t kicked;    /* sticky until an enter ends with KICKED */
    _Atomic uint32_t inside;                 /* in enter: a kick has to interrupt the hart */
    uint64_t until;                          /* hvc_host_now() that ends enter */
    struct hvcore_bk_vcpu *_Atomic resident; /* the shared code's */
    uint32_t cpu;
    uint32_t ready;     /* registers that no vCPU owns are set up */
    uint64_t vstimecmp; /* kept, not used: guests are not offered Sstc here */
} hvc_pe;

/* --- registers: the assembler takes CSRs by number -------------------------------------------- */

#define HVC_HS_CSR_ENUM(name, number) HVC_HS_CSR_##name = (number),
enum hvc_hs_csr {
    HVC_HS_CSR_hstatus = 0x600,
    HVC_HS_CSR_hedeleg = 0x602,
    HVC_HS_CSR_hideleg = 0x603,
    HVC_HS_CSR_htimedelta = 0x605,
    HVC_HS_CSR_hcounteren = 0x606,
    HVC_HS_CSR_htval = 0x643,
    HVC_HS_CSR_htinst = 0x64a,
    HVC_HS_CSR_hgatp = 0x680,
    HVCORE_RISCV64_SYS(HVC_HS_CSR_ENUM)
};

#define hvc_hs_csr_get(name)                                                                    \
    __extension__({                                                                             \
        uint64_t hvc_value_;                                                                    \
        __asm__ volatile("csrr %0, %1" : "=r"(hvc_value_) : "i"(HVC_HS_CSR_##name) : "memory"); \
        hvc_value_;                                                                             \
    })
#define hvc_hs_csr_set(name, value) hvc_hs_csr_write(HVC_HS_CSR_##name, (uint64_t)(value))
#define hvc_hs_csr_write(csr, value) \
    __asm__ volatile("csrw %0, %z1" : : "i"(csr), "rJ"(value) : "memory")

#define hvc_port_get(pe, name) \
    (HVC_HS_CSR_##name == HVC_HS_CSR_vstimecmp ? (pe)->vstimecmp : hvc_hs_csr_get(name))
#define hvc_port_set(pe, name, value)                  \
    do {                                               \
        if (HVC_HS_CSR_##name == HVC_HS_CSR_vstimecmp) \
            (pe)->vstimecmp = (value);                 \
        else                                           \
            hvc_hs_csr_set(name, value);               \
    } while (0)

/* No guest has F and D here yet, no time of its own. */
static inline void hvc_port_fp_load(hvc_pe *pe, hvcore_riscv64_fp *fp)
{
    (void)pe;
    (void)fp;
}

static inline void hvc_port_fp_save(hvc_pe *pe, hvcore_riscv64_fp *fp)
{
    (void)pe;
    (void)fp;
}

/* The image's own stores: its FENCE.I, or a remote one, is the guest's affair. */
static inline void hvc_port_written(hvc_machine *m, const void *host, uint64_t len)
{
    (void)m;
    (void)host;
    (void)len;
}

static inline uint64_t hvc_port_time(hvc_machine *m)
{
    (void)m;
    return 0;
}

static inline uint64_t hvc_port_time_ns(hvc_machine *m, uint64_t ticks)
{
    (void)m;
    (void)ticks;
    return HVC_FOREVER;
}

static inline void hvc_port_time_skip(hvc_machine *m, uint64_t ticks)
{
    (void)m;
    (void)ticks;
}

/* --- facts and PEs, run: pe.c ----------------------------------------------------------------- */

int hvc_hs_machine_create(hvc_machine **m);
void hvc_hs_facts(hvc_port_facts *facts);
hvc_pe *hvc_hs_pe_here(void);
enum hvc_port_stop hvc_hs_enter(hvc_pe *pe, hvcore_riscv64_frame *frame, hvc_raw_trap *raw);
void hvc_hs_kick(hvc_pe *pe);

/* There may be more vCPUs than harts: they take turns. */
static inline int hvc_port_machine_create(hvc_machine **m, const hvc_port_config *config)
{
    if (config->lockstep || config->isa)
        return -HVCORE_E_UNSUPPORTED;
    return hvc_hs_machine_create(m);
}

static inline void hvc_port_machine_destroy(hvc_machine *m)
{
    (void)m;
}

static inline void hvc_port_facts_get(hvc_machine *m, hvc_port_facts *facts)
{
    (void)m;
    hvc_hs_facts(facts);
}

static inline int hvc_port_pe_claim(hvc_machine *m, uint32_t index, hvc_pe **pe)
{
    (void)m;
    (void)index;
    *pe = hvc_hs_pe_here();
    return 0;
}

static inline void hvc_port_pe_release(hvc_pe *pe)
{
    (void)pe;
}

static inline bool hvc_port_pe_current(hvc_pe *pe)
{
    return pe->cpu == hvc_host_cpu();
}

static inline enum hvc_port_stop hvc_port_enter(hvc_pe *pe, hvcore_riscv64_frame *frame,
                                                hvc_raw_trap *raw)
{
    return hvc_hs_enter(pe, frame, raw);
}

static inline void hvc_port_kick(hvc_pe *pe)
{
    hvc_hs_kick(pe);
}

static inline void hvc_port_timer(hvc_pe *pe, uint64_t until)
{
    pe->until = until;
}

static inline void hvc_port_budget(hvc_pe *pe, uint64_t n)
{
    (void)pe;
    (void)n;
}

static inline uint64_t hvc_port_insns(hvc_pe *pe)
{
    (void)pe;
    return 0;
}

static inline uint64_t hvc_port_delegated(hvc_pe *pe, uint32_t cause)
{
    (void)pe;
    (void)cause;
    return 0;
}

/* --- translate -------------------------------------------------------------------------------- */

/* HFENCE.GVMA x0, x0: all VMIDs (Priv. 21.3.2). Stores to the tables come before it. */
static inline void hvc_port_tlb_gvma(hvc_pe *pe)
{
    (void)pe;
    __asm__ volatile(".insn r 0x73, 0, 0x31, x0, x0, x0" : : : "memory");
}

/* HFENCE.VVMA x0, x0: all ASIDs of the VMID in hgatp. */
static inline void hvc_port_tlb_vvma(hvc_pe *pe)
{
    (void)pe;
    __asm__ volatile(".insn r 0x73, 0, 0x11, x0, x0, x0" : : : "memory");
}

/* --- memory: physical addresses are addresses ------------------------------------------------- */

/* There is nothing to choose: an alignment above a page is a wish that the ground's gmem_map has
 * already done its best for. */
static inline int hvc_port_bank_add(hvc_machine *m, void *host, uint64_t len, uint64_t align,
                                    uint64_t *pa)
{
    (void)m;
    (void)len;
    (void)align;
    *pa = (uintptr_t)host;
    return *pa % HVCORE_PAGE_SIZE == 0 ? 0 : -HVCORE_E_INVAL;
}

static inline void hvc_port_bank_remove(hvc_machine *m, uint64_t pa, uint64_t len)
{
    (void)m;
    (void)pa;
    (void)len;
}

static inline uint64_t *hvc_port_pa_ptr(hvc_machine *m, uint64_t pa)
{
    (void)m;
    return (uint64_t *)(uintptr_t)pa;
}

#endif
