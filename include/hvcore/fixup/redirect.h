/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect: give the guest's VS-mode a trap that arrived in HS-mode, as the hardware would have
 * done with the cause delegated (Priv. 21.6 "Traps"; freestanding and pure).
 */
#ifndef HVCORE_FIXUP_REDIRECT_H
#define HVCORE_FIXUP_REDIRECT_H

#include <hvcore/riscv64.h>

HVCORE_BEGIN

/** The registers that hvcore_redirect() reads, as a set. */
enum hvcore_redirect_regs {
    HVCORE_REDIRECT_NEEDS = 1 << HVCORE_RISCV64_SYS_vsstatus | 1 << HVCORE_RISCV64_SYS_vstvec |
                            1 << HVCORE_RISCV64_SYS_henvcfg
};

/** Reasons of an EXIT answer. */
enum hvcore_redirect_exit { HVCORE_REDIRECT_NOT_GUEST = 1 };

#ifndef HVCORE_CDEF
/**
 * Deliver event->syndrome (an exception code, or 1 << 63 | code for an interrupt injected in
 * software) with event->tval and event->pc to the guest.
 *
 * Sets vsstatus.SPP, SPIE, SIE (SDT, SPELP where enabled), vsepc, vscause, vstval, marks these four
 * registers in `have` and `dirty`, and sets the frame so that it resumes at vstvec in VS-mode (pc;
 * sstatus.SPP, SPELP; hstatus.SPVP). Everything else keeps its value. `state` is not used.
 *
 * The cause is not judged: a cause that a supervisor without hypervisor extension does not know
 * must have been turned into one that it does (20 into 1, 21 into 5, 22 into 2, 23 into 7). The
 * other fields of the event, `have` too, are not read.
 *
 * Answers: DONE; NEED_REGS(those of HVCORE_REDIRECT_NEEDS that `have` lacks); AGAIN(16, original
 * syndrome) if the guest is inside its own trap entry (vsstatus.SDT with henvcfg.DTE);
 * EXIT(HVCORE_REDIRECT_NOT_GUEST) if hstatus.SPV is 0: the trap came from the host. Unless it is
 * DONE, nothing is touched. One call, no loops.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_riscv64_unit hvcore_redirect;
#endif

HVCORE_END
#endif
