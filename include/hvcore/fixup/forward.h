/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward: traps of nested guests (freestanding and pure).
 *
 * L0 is whoever links this, L1 its guest, which is a hypervisor itself, L2 a guest of L1. Hardware
 * has one guest level: L1's HS-mode runs in VS-mode, and so does L2; state->forward.virt says who.
 * Of the registers that differ one set is in the hardware and one parked in state->forward,
 * together with the hypervisor CSRs that L1 believes to have. With virt 1 a trap that reaches L0
 * belongs to L2's kernel, to L1, or to the shadow tables: there is no other end of it (no stop, no
 * exit), but an access to a device that L0 emulates for L1.
 */
#ifndef HVCORE_FIXUP_FORWARD_H
#define HVCORE_FIXUP_FORWARD_H

#include <hvcore/walk/riscv64.h>

HVCORE_BEGIN

/**
 * The registers of which there are two sets; `have` must name them all to change between L1 and L2.
 */
enum hvcore_forward_regs {
    HVCORE_FORWARD_NEEDS = 1 << HVCORE_RISCV64_SYS_vsstatus | 1 << HVCORE_RISCV64_SYS_vsie |
                           1 << HVCORE_RISCV64_SYS_vstvec | 1 << HVCORE_RISCV64_SYS_vsscratch |
                           1 << HVCORE_RISCV64_SYS_vsepc | 1 << HVCORE_RISCV64_SYS_vscause |
                           1 << HVCORE_RISCV64_SYS_vstval | 1 << HVCORE_RISCV64_SYS_hvip |
                           1 << HVCORE_RISCV64_SYS_vsatp | 1 << HVCORE_RISCV64_SYS_henvcfg
};

/** state->forward.to: where a trap went. */
enum hvcore_forward_to {
    HVCORE_FORWARD_TO_NONE = 0,
    HVCORE_FORWARD_TO_L2 = 1,    /**< L2's kernel has it */
    HVCORE_FORWARD_TO_L1 = 2,    /**< L1 has it, and runs: virt is 0 */
    HVCORE_FORWARD_TO_SHADOW = 3 /**< the shadow has what was missing: L2 executes it once more */
};

/** What hvcore_forward_walk() found in L1's tables. */
enum hvcore_forward_found {
    HVCORE_FORWARD_FOUND_NOTHING = 0, /**< it was not asked yet */
    HVCORE_FORWARD_FOUND_MAPPED = 1,  /**< L1 allows the access, at fill.pa of its machine */
    HVCORE_FORWARD_FOUND_FAULT = 2,   /**< L1 does not: the guest-page fault is its own */
    HVCORE_FORWARD_FOUND_ACCESS = 3,  /**< L1's or L2's tables lie where there is nothing */
    HVCORE_FORWARD_FOUND_RETRY = 4    /**< L2's own tables have changed: let the hart look again */
};

/** What lies at fill.pa: the answer to NEED_PAGE, to be put into fill.backing. */
enum hvcore_forward_backing {
    HVCORE_FORWARD_BACKING_ASK = 0,
    HVCORE_FORWARD_BACKING_MEMORY = 1, /**< memory, and the shadow now has it */
    HVCORE_FORWARD_BACKING_DEVICE = 2, /**< something that is emulated for L1's machine */
    HVCORE_FORWARD_BACKING_NOTHING = 3
};

/** Reasons of an EXIT answer. */
enum hvcore_forward_exit {
    HVCORE_FORWARD_NOT_GUEST = 1,  /**< hstatus.SPV is 0: the trap is the host's */
    HVCORE_FORWARD_NOT_NESTED = 2, /**< virt is not what the call is for */
    HVCORE_FORWARD_INTERRUPT = 3,  /**< an interrupt of L0: no business of a guest */
    HVCORE_FORWARD_CAUSE = 4,      /**< not a cause, or not one of the call's; detail: the cause */
    HVCORE_FORWARD_STATE = 5,      /**< a state of another version, or one that cannot be */
    HVCORE_FORWARD_PLAIN = 6,      /**< L1's hstatus.SPV is 0: its SRET stays in L1 */
    HVCORE_FORWARD_MMIO = 7        /**< emulate the access of L2; detail: address in L1's machine */
};

/** What an accessor of hvcore_forward_walk() returns for memory that is not resident now. */
enum hvcore_forward_memory { HVCORE_FORWARD_ABSENT = 16 };

#ifndef HVCORE_CDEF
/**
 * A trap has reached HS-mode while L2 ran (virt 1): decide whose it is, and give it to them.
 *
 * In this order, by event->syndrome: a guest-page fault (20, 21, 23) is L1's if L1's G-stage says
 * so (htval, htinst as the hart or the walk told), else the shadow's; a cause that L1 delegates
 * (l1.hedeleg) goes to L2's kernel by hvcore_redirect() on the live set, and if that were a double
 * trap, to L1 as cause 16 with the original cause in htval; everything else goes to L1.
 *
 * To L1 means: l1.hstatus gets SPV 1, SPVP the mode of L2, GVA recomputed (QEMU's and firmware's
 * are wrong at times); l1.htval and l1.htinst; the live set is parked and L1's becomes live; then
 * hvcore_redirect(): frame and registers are L1's handler. virt is 0 then, and hgatp, hedeleg and
 * htimedelta of the hart, which the unit does not know, must become L1's.
 *
 * Answers: DONE, with `to`; NEED_REGS(those of HVCORE_FORWARD_NEEDS that `have` lacks);
 * NEED_AT(access, stval): call hvcore_forward_walk(), then again; NEED_PAGE(fill.pa, 1 for a
 * write): see what L0 has there, put it into the shadow for fill.gpa with at most fill.prot and
 * fill.page, set fill.backing and call again; EXIT(HVCORE_FORWARD_MMIO, pa) for a load or store of
 * L2 on a device; EXIT(HVCORE_FORWARD_NOT_GUEST, _NOT_NESTED, _INTERRUPT, _CAUSE, _STATE, detail)
 * for a call that should not have been made. Nothing is touched but by DONE, and `fill` by DONE and
 * MMIO, which end it. One call, no loops.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_riscv64_unit hvcore_forward;

/**
 * Give L1 the exception or interrupt (1 << 63 | code) event->syndrome while L2 runs, whatever L1
 * delegates: an interrupt of L1's machine, or a trap that L0 makes up.
 *
 * Answers: DONE, NEED_REGS and EXIT as hvcore_forward().
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_riscv64_unit hvcore_forward_inject;

/**
 * L1, in its HS-mode (virt 0), executes SRET with l1.hstatus.SPV set: L2 begins to run (Priv.
 * 12.1.1 and 21.2.1). pc, mode, expected landing pad; L1's sstatus and hstatus; the sets change
 * places.
 *
 * Answers: DONE (virt is 1; hgatp, hedeleg and htimedelta of the hart must become L2's), NEED_REGS;
 * EXIT(HVCORE_FORWARD_PLAIN) if that SRET stays in L1; other EXITs as hvcore_forward(). The event
 * is not read.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_riscv64_unit hvcore_forward_enter;
#endif

/**
 * Look into L1's tables for the guest-page fault `event`: the second step of hvcore_forward().
 *
 * The G-stage of L1 (l1.hgatp) is walked for the address that L2 wanted, as L1's hart would: MXR of
 * L1's sstatus, A and D updated by cas64 if L1 has Svadu. The address is event->gpa with
 * HVCORE_HAVE_GPA, else from htval; if the hart tells neither, L2's own tables are walked for stval
 * first, without writing. `mem` accesses physical addresses of L1's machine (check() is not
 * called); it returns HVCORE_FORWARD_ABSENT for memory that is L1's but not resident.
 *
 * Answers: DONE: state->forward.fill is filled for this trap; NEED_PAGE(pa, 1 for a write) for the
 * entry that is not resident: call again from the start; NEED_REGS(vsstatus, vsatp, henvcfg if L2's
 * tables must be walked); EXITs as hvcore_forward(). Bounds are those of hvcore_riscv64_walk(),
 * twice.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_result hvcore_forward_walk(const hvcore_riscv64_frame *frame,
                                             const hvcore_riscv64_sys *sys,
                                             const hvcore_event *event, hvcore_riscv64_state *state,
                                             const hvcore_riscv64_walk_mem *mem);

/**
 * hedeleg of the hart while L2 runs: what L1 delegates, of that what the hart can (`writable`),
 * without what L0 wants to see itself (`intercept`; a trap that it then does not want goes to
 * hvcore_forward()).
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API uint64_t hvcore_hedeleg_nested(uint64_t l1, uint64_t writable, uint64_t intercept);

HVCORE_END
#endif
