/* SPDX-License-Identifier: Apache-2.0 */
/* Trap entry into VS-mode by hand, for a trap that arrived in HS-mode (Priv. 1.13, 21.6). */
#include <hvcore/fixup/redirect.h>

#include "lib/arch/riscv64.h"

#define WRITES                                                                  \
    (HVC_BIT(HVCORE_RISCV64_SYS_vsstatus) | HVC_BIT(HVCORE_RISCV64_SYS_vsepc) | \
     HVC_BIT(HVCORE_RISCV64_SYS_vscause) | HVC_BIT(HVCORE_RISCV64_SYS_vstval))

/* On entry to HS-mode hardware has put the guest's mode into sstatus.SPP and its expected landing
 * pad into sstatus.SPELP: exactly what vsstatus would hold now, had the trap been delegated. */
#define ORIGIN (HVC_SSTATUS_SPP | HVC_SSTATUS_SPELP)

static uint64_t entered_vsstatus(uint64_t vsstatus, uint64_t sstatus, bool dte)
{
    uint64_t spie = vsstatus & HVC_SSTATUS_SIE ? HVC_SSTATUS_SPIE : 0;

    vsstatus &= ~(ORIGIN | HVC_SSTATUS_SPIE | HVC_SSTATUS_SIE);
    vsstatus |= (sstatus & ORIGIN) | spie;
    return dte ? vsstatus | HVC_SSTATUS_SDT : vsstatus;
}

/* Exceptions use BASE in both modes, interrupts of vectored mode BASE + 4 * code (Priv. 12.1.2). */
static uint64_t handler(uint64_t vstvec, uint64_t cause)
{
    uint64_t base = vstvec & ~HVC_TVEC_MODE;

    if (!(cause & HVC_CAUSE_INTERRUPT) || (vstvec & HVC_TVEC_MODE) != HVC_TVEC_VECTORED)
        return base;
    return base + 4 * (cause & ~HVC_CAUSE_INTERRUPT);
}

static void enter_sys(hvcore_riscv64_sys *sys, const hvcore_event *event, uint64_t vsstatus)
{
    sys->vsstatus = vsstatus;
    sys->vsepc = event->pc & ~UINT64_C(1); /* vsepc[0] is always zero (Priv. 12.1.8) */
    sys->vscause = event->syndrome;
    sys->vstval = event->tval;
    sys->have |= WRITES;
    sys->dirty |= WRITES;
}

/* The next SRET goes to VS-mode. SPVP is not for SRET: an HLV before it acts as the guest's kernel.
 */
static void enter_frame(hvcore_riscv64_frame *frame, uint64_t pc)
{
    frame->pc = pc;
    frame->sstatus = (frame->sstatus & ~HVC_SSTATUS_SPELP) | HVC_SSTATUS_SPP;
    frame->hstatus |= HVC_HSTATUS_SPVP; /* SPV is 1 already */
}

hvcore_result hvcore_redirect(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                              const hvcore_event *event, hvcore_riscv64_state *state)
{
    uint64_t missing = HVCORE_REDIRECT_NEEDS & ~sys->have;
    bool dte = sys->henvcfg & HVC_HENVCFG_DTE;

    (void)state;
    if (!(frame->hstatus & HVC_HSTATUS_SPV))
        return (hvcore_result){HVCORE_RESULT_EXIT, HVCORE_REDIRECT_NOT_GUEST, 0};
    if (missing)
        return (hvcore_result){HVCORE_RESULT_NEED_REGS, 0, missing};
    /* vsepc and vscause still belong to the trap that the guest has not saved yet (Priv. 12.1.1.5).
     */
    if (dte && sys->vsstatus & HVC_SSTATUS_SDT)
        return (hvcore_result){HVCORE_RESULT_AGAIN, HVCORE_RISCV64_DOUBLE_TRAP, event->syndrome};
    enter_sys(sys, event, entered_vsstatus(sys->vsstatus, frame->sstatus, dte));
    enter_frame(frame, handler(sys->vstvec, event->syndrome));
    return (hvcore_result){HVCORE_RESULT_DONE, 0, 0};
}
