/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software machine for riscv64, as port.h wants it. Included by port.h alone.
 *
 * A PE executes RV64IM with Zicsr, Zifencei and Zicntr in VS- and VU-mode, over Sv39, Sv48 or Sv57
 * and Sv39x4, Sv48x4 or Sv57x4. It has no M- and no HS-mode: what would trap to HS-mode ends enter.
 * IALIGN is 32. Misaligned loads and stores trap (causes 4 and 6) before they are translated. A and
 * D are never set by the machine (Svade). Without: A, F, D, C, V, Sstc, Svinval, Svnapot, Svpbmt,
 * Zicbo*.
 *
 * The types are complete for the inlines below; what is behind them is in soft.h.
 */
#ifndef HVC_SOFT_PORT_RISCV64_H
#define HVC_SOFT_PORT_RISCV64_H

typedef struct hvc_machine hvc_machine;

/*
 * CSRs that are a mask of writable bits and a constant part: X(name, writable, constant). The
 * others are vsie, vsatp, hgatp and hedeleg.
 */
#define HVC_SOFT_CSRS(X)                                                                \
    X(vsstatus, HVC_SOFT_VSSTATUS_RW, HVC_SSTATUS_UXL_64)                               \
    X(vstvec, ~HVC_BIT(1), 0) /* Priv. 12.1.2: direct and vectored */                   \
    X(vsscratch, ~UINT64_C(0), 0)                                                       \
    X(vsepc, ~UINT64_C(3), 0)                 /* Priv. 12.1.7: IALIGN is 32 */          \
    X(vscause, HVC_CAUSE_INTERRUPT | 0x3f, 0) /* WLRL: every code that has a meaning */ \
    X(vstval, ~UINT64_C(0), 0)                                                          \
    X(hvip, HVC_SOFT_VS_INTERRUPTS, 0)                                                  \
    X(hideleg, HVC_SOFT_VS_INTERRUPTS, 0)                                               \
    X(scounteren, 7, 0) /* cycle, time, instret */                                      \
    X(hcounteren, 7, 0)                                                                 \
    X(senvcfg, 1, 0) /* FIOM; the rest needs absent extensions */                       \
    X(henvcfg, HVC_SOFT_HENVCFG_RW, 0)

#define HVC_SOFT_VSSTATUS_RW \
    (HVC_SSTATUS_SIE | HVC_SSTATUS_SPIE | HVC_SSTATUS_SPP | HVC_SSTATUS_SUM | HVC_SSTATUS_MXR)
#define HVC_SOFT_VS_INTERRUPTS UINT64_C(0x444) /* VSSI, VSTI, VSEI (Priv. 21.2.3) */
#define HVC_SOFT_HENVCFG_RW UINT64_C(1)        /* FIOM: menvcfg is all zero */

/* The part of a PE that the port touches. The owner's, but for the atomics. */
typedef struct hvc_pe {
    struct hvcore_bk_vcpu *_Atomic resident; /* the port's user's: whose registers are loaded */
#define HVC_SOFT_FIELD_(name, writable, constant) uint64_t name;
    HVC_SOFT_CSRS(HVC_SOFT_FIELD_)
#undef HVC_SOFT_FIELD_
    uint64_t vsie; /* the bits of hie, one position lower (Priv. 21.2.11) */
    uint64_t vsatp;
    uint64_t hgatp;
    uint64_t hedeleg;
    uint64_t hedeleg_rw; /* its writable bits */

    uint64_t until;  /* deadline, HVC_FOREVER: none */
    uint64_t budget; /* instructions left, UINT64_MAX: no limit */

    _Atomic uint32_t kick;  /* 1: enter has to end */
    _Atomic uint32_t flush; /* 1: the next enter forgets all translations */
    _Atomic uint64_t retired;
    _Atomic uint64_t delegated[HVCORE_RISCV64_CAUSES];
} hvc_pe;

int hvc_soft_machine_create(hvc_machine **m, uint32_t max_pes);
void hvc_soft_machine_destroy(hvc_machine *m);
int hvc_soft_bank_add(hvc_machine *m, void *host, uint64_t len, uint64_t align, uint64_t *pa);
void hvc_soft_bank_remove(hvc_machine *m, uint64_t pa, uint64_t len);
uint64_t *hvc_soft_pa_ptr(hvc_machine *m, uint64_t pa);
void hvc_soft_facts(hvc_machine *m, hvc_port_facts *facts);
int hvc_soft_pe_claim(hvc_machine *m, uint32_t index, hvc_pe **pe);
void hvc_soft_pe_release(hvc_pe *pe);
enum hvc_port_stop hvc_soft_enter(hvc_pe *pe, hvcore_riscv64_frame *frame, hvc_raw_trap *raw);
void hvc_soft_set_vsatp(hvc_pe *pe, uint64_t value);
void hvc_soft_set_hgatp(hvc_pe *pe, uint64_t value);

static inline int hvc_port_machine_create(hvc_machine **m, uint32_t max_pes)
{
    return hvc_soft_machine_create(m, max_pes);
}

static inline void hvc_port_machine_destroy(hvc_machine *m)
{
    hvc_soft_machine_destroy(m);
}

static inline void hvc_port_facts_get(hvc_machine *m, hvc_port_facts *facts)
{
    hvc_soft_facts(m, facts);
}

static inline int hvc_port_pe_claim(hvc_machine *m, uint32_t index, hvc_pe **pe)
{
    return hvc_soft_pe_claim(m, index, pe);
}

static inline void hvc_port_pe_release(hvc_pe *pe)
{
    hvc_soft_pe_release(pe);
}

static inline bool hvc_port_pe_current(hvc_pe *pe)
{
    (void)pe;
    return true;
}

static inline enum hvc_port_stop hvc_port_enter(hvc_pe *pe, hvcore_riscv64_frame *frame,
                                                hvc_raw_trap *raw)
{
    return hvc_soft_enter(pe, frame, raw);
}

static inline void hvc_port_kick(hvc_pe *pe)
{
    atomic_store(&pe->kick, 1);
}

static inline void hvc_port_timer(hvc_pe *pe, uint64_t until)
{
    pe->until = until;
}

/* What an enter attempts counts: retired or trapped, so that a trap loop has an end as well. */
static inline void hvc_port_budget(hvc_pe *pe, uint64_t n)
{
    pe->budget = n;
}

static inline uint64_t hvc_port_insns(hvc_pe *pe)
{
    return atomic_load_explicit(&pe->retired, memory_order_relaxed);
}

static inline uint64_t hvc_port_delegated(hvc_pe *pe, uint32_t cause)
{
    return cause < HVCORE_RISCV64_CAUSES
               ? atomic_load_explicit(&pe->delegated[cause], memory_order_relaxed)
               : 0;
}

/* The TLB holds combined translations: what goes with one stage goes with the other. */
static inline void hvc_port_tlb_gvma(hvc_pe *pe)
{
    atomic_store(&pe->flush, 1);
}

static inline void hvc_port_tlb_vvma(hvc_pe *pe)
{
    atomic_store(&pe->flush, 1);
}

static inline int hvc_port_bank_add(hvc_machine *m, void *host, uint64_t len, uint64_t align,
                                    uint64_t *pa)
{
    return hvc_soft_bank_add(m, host, len, align, pa);
}

static inline void hvc_port_bank_remove(hvc_machine *m, uint64_t pa, uint64_t len)
{
    hvc_soft_bank_remove(m, pa, len);
}

static inline uint64_t *hvc_port_pa_ptr(hvc_machine *m, uint64_t pa)
{
    return hvc_soft_pa_ptr(m, pa);
}

/* --- registers -------------------------------------------------------------------------------- */

#define HVC_SOFT_ACCESSORS_(name, writable, constant)                  \
    static inline uint64_t hvc_soft_get_##name(const hvc_pe *pe)       \
    {                                                                  \
        return pe->name;                                               \
    }                                                                  \
    static inline void hvc_soft_set_##name(hvc_pe *pe, uint64_t value) \
    {                                                                  \
        pe->name = (value & (writable)) | (constant);                  \
    }
HVC_SOFT_CSRS(HVC_SOFT_ACCESSORS_)
#undef HVC_SOFT_ACCESSORS_

/* A bit of vsie is that of hie where hideleg is set, else read-only zero (Priv. 21.2.11). */
static inline uint64_t hvc_soft_get_vsie(const hvc_pe *pe)
{
    return pe->vsie & pe->hideleg >> 1;
}

static inline void hvc_soft_set_vsie(hvc_pe *pe, uint64_t value)
{
    uint64_t writable = pe->hideleg >> 1;
    pe->vsie = (pe->vsie & ~writable) | (value & writable);
}

static inline uint64_t hvc_soft_get_hedeleg(const hvc_pe *pe)
{
    return pe->hedeleg;
}

static inline void hvc_soft_set_hedeleg(hvc_pe *pe, uint64_t value)
{
    pe->hedeleg = value & pe->hedeleg_rw;
}

static inline uint64_t hvc_soft_get_vsatp(const hvc_pe *pe)
{
    return pe->vsatp;
}

static inline uint64_t hvc_soft_get_hgatp(const hvc_pe *pe)
{
    return pe->hgatp;
}

#define hvc_port_get(pe, name) hvc_soft_get_##name(pe)
#define hvc_port_set(pe, name, value) hvc_soft_set_##name(pe, value)

#endif
