/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software machine for riscv64, as port.h wants it. Included by port.h alone.
 *
 * A PE executes RV64IMA with Zicsr, Zifencei, Zicntr, Svade and Svinval in VS- and VU-mode, over
 * Sv39, Sv48 or Sv57 and Sv39x4, Sv48x4 or Sv57x4; and what hvc_port_config.isa names beside. It
 * has no M- and no HS-mode: what would trap to HS-mode ends enter. Without V and Zfh.
 *
 * The types are complete for the inlines below; what is behind them is in soft.h.
 */
#ifndef HVC_SOFT_PORT_RISCV64_H
#define HVC_SOFT_PORT_RISCV64_H

typedef struct hvc_machine hvc_machine;

/*
 * CSRs that are a mask of writable bits and a constant part: X(name, writable, constant). The
 * others follow below.
 */
#define HVC_SOFT_CSRS(X)                                                                \
    X(vstvec, ~HVC_BIT(1), 0) /* Priv. 12.1.2: direct and vectored */                   \
    X(vsscratch, ~UINT64_C(0), 0)                                                       \
    X(vscause, HVC_CAUSE_INTERRUPT | 0x3f, 0) /* WLRL: every code that has a meaning */ \
    X(vstval, ~UINT64_C(0), 0)                                                          \
    X(hvip, HVC_SOFT_VS_INTERRUPTS, 0)                                                  \
    X(hideleg, HVC_SOFT_VS_INTERRUPTS, 0)                                               \
    X(scounteren, 7, 0) /* cycle, time, instret */                                      \
    X(hcounteren, 7, 0)                                                                 \
    X(vstimecmp, ~UINT64_C(0), 0)

#define HVC_SOFT_VSSTATUS_RW \
    (HVC_SSTATUS_SIE | HVC_SSTATUS_SPIE | HVC_SSTATUS_SPP | HVC_SSTATUS_SUM | HVC_SSTATUS_MXR)
#define HVC_SOFT_VS_INTERRUPTS UINT64_C(0x444) /* VSSI, VSTI, VSEI (Priv. 21.2.3) */

/* The part of a PE that the port touches. The owner's, but for the atomics. */
typedef struct hvc_pe {
    struct hvcore_bk_vcpu *_Atomic resident; /* the port's user's: whose registers are loaded */
#define HVC_SOFT_FIELD_(name, writable, constant) uint64_t name;
    HVC_SOFT_CSRS(HVC_SOFT_FIELD_)
#undef HVC_SOFT_FIELD_
    uint64_t isa;    /* HVCORE_RISCV64_ISA_* */
    uint64_t ialign; /* bits of an instruction's address that have to be 0 */
    uint64_t vsstatus, vsepc, senvcfg, henvcfg;
    uint64_t vsstatus_rw, henvcfg_rw; /* writable bits */
    uint64_t vsie;                    /* the bits of hie, one position lower (Priv. 21.2.11) */
    uint64_t vsatp;
    uint64_t hgatp;
    uint64_t hedeleg;
    uint64_t hedeleg_rw; /* its writable bits */

    hvcore_riscv64_fp *fp; /* of the resident vCPU */

    uint64_t until;  /* deadline, HVC_FOREVER: none */
    uint64_t budget; /* instructions left, UINT64_MAX: no limit */

    _Atomic uint32_t kick;  /* 1: enter has to end */
    _Atomic uint32_t flush; /* 1: the next enter forgets all translations */
    _Atomic uint64_t retired;
    _Atomic uint64_t delegated[HVCORE_RISCV64_CAUSES];
} hvc_pe;

int hvc_soft_machine_create(hvc_machine **m, const hvc_port_config *config);
void hvc_soft_machine_destroy(hvc_machine *m);
void hvc_soft_written(hvc_machine *m, const void *host, uint64_t len);
uint64_t hvc_soft_time(hvc_machine *m);
uint64_t hvc_soft_time_ns(hvc_machine *m, uint64_t ticks);
void hvc_soft_time_skip(hvc_machine *m, uint64_t ticks);
int hvc_soft_bank_add(hvc_machine *m, void *host, uint64_t len, uint64_t align, uint64_t *pa);
void hvc_soft_bank_remove(hvc_machine *m, uint64_t pa, uint64_t len);
uint64_t *hvc_soft_pa_ptr(hvc_machine *m, uint64_t pa);
void hvc_soft_facts(hvc_machine *m, hvc_port_facts *facts);
uint64_t hvc_soft_henvcfg_rw(uint64_t isa);
int hvc_soft_pe_claim(hvc_machine *m, uint32_t index, hvc_pe **pe);
void hvc_soft_pe_release(hvc_pe *pe);
enum hvc_port_stop hvc_soft_enter(hvc_pe *pe, hvcore_riscv64_frame *frame, hvc_raw_trap *raw);
void hvc_soft_set_vsatp(hvc_pe *pe, uint64_t value);
void hvc_soft_set_hgatp(hvc_pe *pe, uint64_t value);

static inline int hvc_port_machine_create(hvc_machine **m, const hvc_port_config *config)
{
    return hvc_soft_machine_create(m, config);
}

static inline void hvc_port_fp_load(hvc_pe *pe, hvcore_riscv64_fp *fp)
{
    pe->fp = fp;
}

static inline void hvc_port_fp_save(hvc_pe *pe, hvcore_riscv64_fp *fp)
{
    (void)fp; /* used in place */
    pe->fp = NULL;
}

static inline void hvc_port_written(hvc_machine *m, const void *host, uint64_t len)
{
    hvc_soft_written(m, host, len);
}

static inline uint64_t hvc_port_time(hvc_machine *m)
{
    return hvc_soft_time(m);
}

static inline uint64_t hvc_port_time_ns(hvc_machine *m, uint64_t ticks)
{
    return hvc_soft_time_ns(m, ticks);
}

static inline void hvc_port_time_skip(hvc_machine *m, uint64_t ticks)
{
    hvc_soft_time_skip(m, ticks);
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

/* SD sums up FS (Priv. 12.1.1). */
static inline uint64_t hvc_soft_get_vsstatus(const hvc_pe *pe)
{
    return pe->vsstatus;
}

static inline void hvc_soft_set_vsstatus(hvc_pe *pe, uint64_t value)
{
    bool dirty = (value & pe->vsstatus_rw & HVC_SSTATUS_FS) == HVC_SSTATUS_FS;
    pe->vsstatus = (value & pe->vsstatus_rw) | HVC_SSTATUS_UXL_64 | (dirty ? HVC_SSTATUS_SD : 0);
}

static inline uint64_t hvc_soft_get_vsepc(const hvc_pe *pe)
{
    return pe->vsepc & ~pe->ialign;
}

static inline void hvc_soft_set_vsepc(hvc_pe *pe, uint64_t value)
{
    pe->vsepc = value & ~(pe->ialign | 1);
}

static inline uint64_t hvc_soft_get_henvcfg(const hvc_pe *pe)
{
    return pe->henvcfg;
}

/* CBIE = 2 is reserved: it keeps what it was (Priv. 12.1.10). */
static inline uint64_t hvc_soft_envcfg(uint64_t old, uint64_t value, uint64_t writable)
{
    if ((value & HVC_HENVCFG_CBIE) == HVC_HENVCFG_CBIE_RESERVED)
        value = (value & ~HVC_HENVCFG_CBIE) | (old & HVC_HENVCFG_CBIE);
    return value & writable;
}

static inline void hvc_soft_set_henvcfg(hvc_pe *pe, uint64_t value)
{
    pe->henvcfg = hvc_soft_envcfg(pe->henvcfg, value, pe->henvcfg_rw);
}

static inline uint64_t hvc_soft_get_senvcfg(const hvc_pe *pe)
{
    return pe->senvcfg;
}

static inline void hvc_soft_set_senvcfg(hvc_pe *pe, uint64_t value)
{
    uint64_t low = HVC_HENVCFG_FIOM | HVC_HENVCFG_CBIE | HVC_HENVCFG_CBCFE | HVC_HENVCFG_CBZE;
    pe->senvcfg = hvc_soft_envcfg(pe->senvcfg, value, pe->henvcfg_rw & low);
}

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
