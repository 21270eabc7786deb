/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traps of a hart whose V is 1. This is the hardware's side and shares no code with
 * lib/fixup/redirect, which has to come to the same result.
 */
#include "backends/bare/soft/soft.h"

static uint64_t with_bit(uint64_t value, uint64_t bit, bool set)
{
    return set ? value | bit : value & ~bit;
}

/* Where a trap to VS-mode continues; interrupts have vectors of their own (Priv. 12.1.2). */
static uint64_t vector(const soft_pe *pe, uint64_t scause)
{
    uint64_t base = pe->port.vstvec & ~UINT64_C(3);
    bool vectored = (pe->port.vstvec & 3) == 1 && (scause & HVC_CAUSE_INTERRUPT);
    return vectored ? base + 4 * (scause & ~HVC_CAUSE_INTERRUPT) : base;
}

/* A trap into VS-mode writes the VS CSRs and nothing else (Priv. 12.1.1.1, 21.6.1). */
static uint64_t to_vs(soft_pe *pe, uint64_t pc, uint64_t scause, uint64_t stval)
{
    uint64_t status = pe->port.vsstatus;
    status = with_bit(status, HVC_SSTATUS_SPP, pe->mode == HVCORE_RISCV64_VS);
    status = with_bit(status, HVC_SSTATUS_SPIE, status & HVC_SSTATUS_SIE);
    status = with_bit(status, HVC_SSTATUS_SIE, false);
    hvc_soft_set_vsstatus(&pe->port, status);
    hvc_soft_set_vsepc(&pe->port, pc);
    hvc_soft_set_vscause(&pe->port, scause);
    hvc_soft_set_vstval(&pe->port, stval);
    pe->mode = HVCORE_RISCV64_VS;
    hvc_soft_unreserve(pe);
    hvc_soft_mmu_context(pe);
    return vector(pe, scause);
}

/*
 * A trap into HS-mode (Priv. 21.6.1). The frame holds sstatus as SRET finds it: SRET sets SIE to
 * SPIE, and the trap that follows sets SPIE to SIE again and clears SIE.
 */
void hvc_soft_leave(soft_pe *pe, uint64_t pc, bool gva)
{
    hvcore_riscv64_frame *frame = pe->frame;
    bool vs = pe->mode == HVCORE_RISCV64_VS;
    frame->pc = pc;
    frame->sstatus = with_bit(frame->sstatus, HVC_SSTATUS_SPP, vs);
    frame->sstatus = with_bit(frame->sstatus, HVC_SSTATUS_SIE, false);
    frame->hstatus = with_bit(frame->hstatus, HVC_HSTATUS_SPV, true);
    frame->hstatus = with_bit(frame->hstatus, HVC_HSTATUS_SPVP, vs);
    frame->hstatus = with_bit(frame->hstatus, HVC_HSTATUS_GVA, gva);
}

static void count_delegated(soft_pe *pe, uint64_t cause)
{
    _Atomic uint64_t *n = &pe->port.delegated[cause % HVCORE_RISCV64_CAUSES];
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* An exception goes where hedeleg says; the bits of what only HS-mode can have are zero. */
uint64_t hvc_soft_trap(soft_pe *pe, uint64_t pc, const hvc_raw_trap *trap)
{
    pe->traps++;
    if (pe->port.hedeleg & HVC_BIT(trap->scause)) {
        count_delegated(pe, trap->scause);
        return to_vs(pe, pc, trap->scause, trap->stval);
    }
    hvc_soft_unreserve(pe);
    *pe->raw = *trap;
    /* GVA: stval was written with a guest-virtual address, be it zero (Priv. 21.2.1) */
    hvc_soft_leave(pe, pc, hvc_riscv64_causes[trap->scause].facts & HVC_CAUSE_ADDRESS);
    return SOFT_STOP;
}

uint64_t hvc_soft_trap_plain(soft_pe *pe, uint64_t pc, uint64_t cause, uint64_t tval)
{
    hvc_raw_trap trap = {.scause = cause, .stval = tval};
    return hvc_soft_trap(pe, pc, &trap);
}

/* By priority; the guest sees a number that is one lower (Priv. 12.1.3, 21.2.3). */
static const uint8_t interrupts[] = {10, 2, 6};

/* The clock is dear: it is asked last. */
static uint64_t ready(const soft_pe *pe)
{
    const hvc_pe *port = &pe->port;
    uint64_t enabled = port->hideleg & hvc_soft_get_vsie(port) << 1;
    if (!enabled || (pe->mode == HVCORE_RISCV64_VS && !(port->vsstatus & HVC_SSTATUS_SIE)))
        return 0;
    return hvc_soft_pending(pe) & enabled;
}

uint64_t hvc_soft_interrupt(soft_pe *pe, uint64_t pc)
{
    uint64_t set = ready(pe);
    uint32_t i = 0;
    if (!set)
        return pc;
    while (!(set & HVC_BIT(interrupts[i])))
        i++;
    return to_vs(pe, pc, HVC_CAUSE_INTERRUPT | (interrupts[i] - 1), 0);
}
