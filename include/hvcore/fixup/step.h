/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step: who single-steps a vCPU, and which step is still owed to whom (freestanding and pure).
 *
 * A PE has one step machine (DDI0487, "Software Step exceptions"). MDSCR_EL1.SS arms it, PSTATE.SS
 * is its state, SPSR_EL2.SS carries that state over exits and entries. It is in one of three
 * phases:
 *
 *     phase               when                                         what comes next
 *     inactive            MDSCR_EL1.SS = 0, or debug exceptions are    an instruction
 *                         disabled where the guest executes
 *     active-not-pending  active and PSTATE.SS = 1                     one, which makes SS 0
 *     active-pending      active and PSTATE.SS = 0                     the exception, first
 *
 * Two want it: the guest's own debugger, through the guest's MDSCR_EL1 and SPSR_EL1, and the
 * host's. The state object below keeps a machine for each. That of the host:
 *
 *                 own(HOST)                      an instruction retires,
 *     inactive -------------> active-not-pending ------------------------> active-pending
 *        ^                     |  ^    ^      |      hvcore_step_advance    |  |      ^ |
 *        |                     |  |    |______|                             |  |      |_|
 *        |        own(other)   |  |   exits that retire nothing             |  |   exits, entries
 *        |<--------------------'  |                                         |  |
 *        |                        '------- step exception (leave: EXIT) ----'  |
 *        '------------------------------- own(other) --------------------------'
 *
 * That of the guest is the hardware's own while the guest owns stepping. While the host does, it is
 * frozen: parked at each entry, given back at each exit, so that whoever looks at a vCPU that is
 * out (registers, migration, an injected exception) sees the guest's MDSCR_EL1 and PSTATE.SS and
 * nothing of the host's.
 *
 * Why a phase of its own, kept from exit to entry: after hvcore_step_advance(), or after a
 * hypercall, nothing may execute before the step is reported. An interrupt of the host may end the
 * run first; then SPSR_EL2.SS reads 0, and an entry that always sets it would lose that step.
 *
 * Order of calls for each entry: hvcore_step_enter, the PE executes, hvcore_step_leave. Between two
 * entries hvcore_step_advance may come before leave or after it. Emulating accesses to MDSCR_EL1
 * and injecting exceptions come after leave.
 *
 * What the caller does in hardware: MDCR_EL2.TDE = 1 while the owner is not the guest, which sends
 * debug exceptions to EL2 and makes the guest's accesses to debug registers trap. Not known here,
 * and not modelled: the OS lock (it disables all), and the EL2 of a nested guest as target of its
 * steps.
 */
#ifndef HVCORE_FIXUP_STEP_H
#define HVCORE_FIXUP_STEP_H

#include <hvcore/arm64.h>

HVCORE_BEGIN

/** Who has the step machine of the PE. */
enum hvcore_step_owner {
    HVCORE_STEP_OWNER_GUEST = 0, /**< the guest, if it wants it; the host does not debug */
    HVCORE_STEP_OWNER_IDLE = 1,  /**< the host, for other debug exceptions */
    HVCORE_STEP_OWNER_HOST = 2   /**< the host, to step */
};

/** Phases of a machine. */
enum hvcore_step_phase {
    HVCORE_STEP_INACTIVE = 0,
    HVCORE_STEP_NOT_PENDING = 1, /**< one instruction will execute */
    HVCORE_STEP_PENDING = 2      /**< the exception comes before anything executes */
};

/** Reasons of an EXIT answer. */
enum hvcore_step_exit {
    HVCORE_STEP_RETIRED = 1,     /**< a step of the host: one instruction has retired */
    HVCORE_STEP_EXCLUSIVE = 2,   /**< the same, and it was a Load-Exclusive (ESR.EX) */
    HVCORE_STEP_MOVED = 3,       /**< the same, but nothing retired (ESR.ISV 0) */
    HVCORE_STEP_STRAY = 4,       /**< a step exception although the host does not step */
    HVCORE_STEP_ENTERED = 5,     /**< wrong order: the vCPU has entered and not left */
    HVCORE_STEP_NOT_ENTERED = 6, /**< wrong order: the vCPU has not entered */
    HVCORE_STEP_BAD_OWNER = 7    /**< no such owner */
};

/** State of the unit. Zeros are a new one. It migrates as it is. */
typedef struct hvcore_step_state {
    uint32_t owner;        /**< HVCORE_STEP_OWNER_*; set by hvcore_step_own() */
    uint32_t entered;      /**< 1: frame and registers hold the host's values, not the guest's */
    uint32_t host_pending; /**< 1: the host's machine is active-pending, while out */
    uint32_t guest_ss;     /**< the guest's PSTATE.SS, 0 or 1, while entered */
    uint64_t guest_mdscr;  /**< the guest's MDSCR_EL1, while entered */
    uint64_t retired;      /**< counts answers HVCORE_STEP_RETIRED and HVCORE_STEP_EXCLUSIVE */
    uint64_t moved;        /**< counts answers HVCORE_STEP_MOVED */
    uint64_t kept;         /**< counts entries with a step that was pending already */
} hvcore_step_state;

#ifndef HVCORE_CDEF
/**
 * Change who owns stepping. The vCPU must be out. A step of the host that is pending is forgotten
 * when the host stops stepping; naming the owner that is there already changes nothing.
 *
 * Answers: DONE; EXIT(HVCORE_STEP_ENTERED, 0); EXIT(HVCORE_STEP_BAD_OWNER, owner). Unless it is
 * DONE, nothing is touched.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_result hvcore_step_own(hvcore_step_state *step, uint32_t owner);

/**
 * The vCPU is about to enter. With the guest as owner: nothing to do, nothing is read. Otherwise
 * the guest's MDSCR_EL1 and PSTATE.SS are parked and replaced: mdscr_el1.SS by 1 (HOST) or 0
 * (IDLE), spsr.SS by 1 (HOST, unless its step is pending) or 0.
 *
 * Answers: DONE; NEED_REGS(mdscr_el1); EXIT(HVCORE_STEP_ENTERED, pc); EXIT(HVCORE_STEP_BAD_OWNER,
 * the owner in the state). Unless it is DONE, nothing is touched.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_result hvcore_step_enter(hvcore_arm64_frame *frame, hvcore_arm64_sys *sys,
                                           hvcore_step_state *step);

/**
 * The vCPU has left, for whatever reason; the event says which (its kind, and of a TRAP the
 * syndrome, if `have` has it). Takes over the host's machine from spsr.SS and gives the guest its
 * own values back.
 *
 * Answers: DONE, this was no step; EXIT(HVCORE_STEP_RETIRED, _EXCLUSIVE or _MOVED, pc), a Software
 * Step exception (EC 0x32) ended a step of the host: its debugger is to be told;
 * EXIT(HVCORE_STEP_STRAY, pc), one that the host has not asked for: the state is in order, MDCR_EL2
 * was not; EXIT(HVCORE_STEP_NOT_ENTERED, pc), nothing is touched.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_result hvcore_step_leave(hvcore_arm64_frame *frame, hvcore_arm64_sys *sys,
                                           const hvcore_event *event, hvcore_step_state *step);

/**
 * Software has moved pc by carrying out an instruction, by putting it back, or by entering an
 * exception handler, before leave or after it. Whoever steps shall see the new pc before anything
 * executes there: both machines become active-pending if they are active, which is spsr.SS = 0 in
 * hardware. A no-op if nobody steps.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_step_advance(hvcore_arm64_frame *frame, hvcore_step_state *step);

/**
 * The phase of a machine: `who` is HVCORE_STEP_OWNER_HOST or HVCORE_STEP_OWNER_GUEST (anything
 * else: INACTIVE). That of the guest is the one that it has, or will have when the host gives it
 * back, where it executes now (spsr); mdscr_el1 must be there.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_step_phase(const hvcore_arm64_frame *frame, const hvcore_arm64_sys *sys,
                                      const hvcore_step_state *step, uint32_t who);
#endif

HVCORE_END
#endif
