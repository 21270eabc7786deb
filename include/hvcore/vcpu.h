/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual CPUs: run, exits, completion, interrupts, cancel. */
#ifndef HVCORE_VCPU_H
#define HVCORE_VCPU_H

#include <hvcore/riscv64.h>
#include <hvcore/vm.h>

HVCORE_BEGIN

/** Flags of hvcore_vcpu_opts. */
enum hvcore_vcpu_flag {
    HVCORE_VCPU_OFF = 1 /**< riscv64: the hart is stopped until another one starts it (SBI HSM) */
};

/** Options of a vCPU. */
typedef struct hvcore_vcpu_opts {
    uint32_t size;
    uint32_t flags; /**< HVCORE_VCPU_* */
} hvcore_vcpu_opts;

#ifndef HVCORE_CDEF
#define HVCORE_VCPU_OPTS_INIT {.size = sizeof(hvcore_vcpu_opts)}
#endif

/**
 * Make the vCPU number `index` (below the VM's max_vcpus). `opts` may be NULL.
 *
 * riscv64: it begins in VS-mode with all registers zero (but scounteren, which lets VU-mode read
 * the counters, as firmware does), translation off, and the number of the hart is `index`; set pc,
 * a0 (the hart's number by convention) and a1 before the first run. With HVCORE_VCPU_OFF it waits
 * for another hart to start it, which says where. One reference is returned in `*vcpu`; the vCPU
 * lives as long as anybody holds it.
 *
 * Thread: any. Errors: E_INVAL, E_RANGE, E_EXISTS (the number is taken), E_NOMEM, E_LIMIT (the
 * machine has no processor left). Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_create(hvcore_vm *vm, uint32_t index, const hvcore_vcpu_opts *opts,
                                  hvcore_vcpu **vcpu, hvcore_error *err);

/**
 * Take one more reference; returns `vcpu`.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_vcpu *hvcore_vcpu_ref(hvcore_vcpu *vcpu);

/**
 * Give a reference back; NULL does nothing. Not from one of its own callbacks if it is the last
 * one.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_vcpu_unref(hvcore_vcpu *vcpu);

/**
 * The VM of a vCPU; no reference is taken.
 *
 * Thread: any. Errors: none (NULL for NULL). Since: 0.1.
 */
HVCORE_API hvcore_vm *hvcore_vcpu_vm(hvcore_vcpu *vcpu);

/**
 * The number of a vCPU.
 *
 * Thread: any. Errors: none (0 for NULL). Since: 0.1.
 */
HVCORE_API uint32_t hvcore_vcpu_index(const hvcore_vcpu *vcpu);

/** Flags of hvcore_run_opts. */
enum hvcore_run_flag {
    HVCORE_RUN_WAIT = 1 /**< a guest that waits for an interrupt (riscv64: WFI, SBI hart suspend)
                             and a hart that is off wait inside the run: asleep, until an interrupt,
                             the timer, the start, the deadline or a cancel. Without it such a run
                             returns HVCORE_EXIT_HALT or HVCORE_EXIT_OFF at once. Not for
                             hvcore_vcpu_run() of a lockstep VM */
};

/** Options of a run. */
typedef struct hvcore_run_opts {
    uint32_t size;
    uint32_t flags;       /**< HVCORE_RUN_* */
    uint64_t deadline_ns; /**< on the clock of hvcore_clock_ns(); 0: none */
    uint64_t max_insns;   /**< guest instructions; 0: no limit. Needs HVCORE_CAP_INSN_LIMIT */
} hvcore_run_opts;

#ifndef HVCORE_CDEF
#define HVCORE_RUN_OPTS_INIT {.size = sizeof(hvcore_run_opts)}
#endif

/** Why hvcore_vcpu_run returned. */
enum hvcore_exit_reason {
    HVCORE_EXIT_NONE = 0,
    HVCORE_EXIT_MMIO = 1,       /**< an access that nobody answers: u.mmio */
    HVCORE_EXIT_HYPERCALL = 2,  /**< a call for the VMM: u.hypercall */
    HVCORE_EXIT_TRAP = 3,       /**< a policy rule says `exit`: the whole record */
    HVCORE_EXIT_HALT = 4,       /**< the guest waits for an interrupt (WFI), and none is pending;
                                     run again, it goes on as if one had come */
    HVCORE_EXIT_SHUTDOWN = 5,   /**< the guest asked to be switched off: u.reset */
    HVCORE_EXIT_RESET = 6,      /**< the guest asked to be restarted: u.reset */
    HVCORE_EXIT_CANCELLED = 7,  /**< hvcore_vcpu_cancel: u.cancelled */
    HVCORE_EXIT_DEADLINE = 8,   /**< the deadline has passed */
    HVCORE_EXIT_INSN_LIMIT = 9, /**< max_insns have retired */
    HVCORE_EXIT_STOPPED = 10,   /**< a policy rule says `stop`; the VM does not run again */
    HVCORE_EXIT_STORM = 11,     /**< the guest traps without getting on: u.storm */
    HVCORE_EXIT_FIXUP = 12,     /**< a fix-up cannot go on: u.fixup */
    HVCORE_EXIT_OFF = 13        /**< the hart is stopped; a run returns this at once until another
                                     hart starts it (riscv64: SBI HSM) */
};

/** Flags of an exit. */
enum hvcore_exit_flag {
    HVCORE_EXIT_NEEDS_COMPLETION = 1, /**< hvcore_vcpu_complete() or _inject() before the next
                                           run */
    HVCORE_EXIT_POLICY_RULE = 2       /**< `rule` names the rule that sent it here */
};

/** Kinds of storms. */
enum hvcore_storm_kind {
    HVCORE_STORM_NONE = 0,
    HVCORE_STORM_VECTOR = 1,   /**< the first instruction of the guest's trap handler traps,
                                    always */
    HVCORE_STORM_LIVELOCK = 2, /**< the same trap again and again */
    HVCORE_STORM_RATE = 3      /**< more traps in a time than the policy allows */
};

/** Why a fix-up could not go on (u.fixup.why). */
enum hvcore_fixup_why {
    HVCORE_FIXUP_NO_SERVER = 1, /**< it needs what this build cannot give (u.fixup.result says
                                     what) */
    HVCORE_FIXUP_BOUND = 2      /**< it did not come to an end within its bound */
};

/** An access, as u.mmio of an exit. */
typedef struct hvcore_exit_mmio {
    uint64_t addr;  /**< guest-physical address */
    uint64_t data;  /**< store: the value, higher bits zero */
    uint32_t width; /**< bytes: 1, 2, 4, 8 */
    uint32_t write; /**< 1: store */
} hvcore_exit_mmio;

/** A call, as u.hypercall of an exit. riscv64: nr = a7 (EID), fid = a6, arg = a0 to a5. */
typedef struct hvcore_exit_hypercall {
    uint64_t nr;
    uint64_t fid;
    uint64_t arg[6];
} hvcore_exit_hypercall;

/** A reset or shutdown, as u.reset of an exit. riscv64: SBI SRST's arguments. */
typedef struct hvcore_exit_reset {
    uint32_t type;
    uint32_t reason;
} hvcore_exit_reset;

/** A cancel, as u.cancelled of an exit. */
typedef struct hvcore_exit_cancelled {
    uint32_t token; /**< of the last cancel */
    uint32_t reserved;
} hvcore_exit_cancelled;

/** A storm, as u.storm of an exit. */
typedef struct hvcore_exit_storm {
    uint32_t kind;  /**< HVCORE_STORM_* */
    uint32_t count; /**< traps in a row that made it one; 0 for a rate */
} hvcore_exit_storm;

/** A failed fix-up, as u.fixup of an exit. */
typedef struct hvcore_exit_fixup {
    uint32_t why;    /**< HVCORE_FIXUP_* */
    uint32_t result; /**< HVCORE_RESULT_* that had no server */
} hvcore_exit_fixup;

/**
 * Why a run returned, and all that is known of it.
 *
 * At an exit `pc` names the instruction that caused it and nothing of it has happened yet; a
 * store's or call's step is made by the next run. For DEADLINE, INSN_LIMIT and CANCELLED `pc` is
 * where the guest goes on. The fields from `have` to `gpa` are those of hvcore_event.
 */
typedef struct hvcore_exit {
    uint32_t size;
    uint32_t reason; /**< HVCORE_EXIT_* */
    uint32_t flags;  /**< HVCORE_EXIT_NEEDS_COMPLETION, _POLICY_RULE */
    uint32_t vcpu;   /**< number of the vCPU */
    uint32_t rule;   /**< 1-based policy rule, 0: the policy's default or none */
    uint32_t cls;    /**< exception class; riscv64: exception code. Valid with HAVE_SYNDROME */
    uint32_t mode;
    uint32_t have;
    uint32_t insn;
    uint32_t insn_len;
    uint64_t pc;
    uint64_t syndrome;
    uint64_t tval;
    uint64_t htval;
    uint64_t htinst;
    uint64_t gva;
    uint64_t gpa;
    union {
        hvcore_exit_mmio mmio;
        hvcore_exit_hypercall hypercall;
        hvcore_exit_reset reset;
        hvcore_exit_cancelled cancelled;
        hvcore_exit_storm storm;
        hvcore_exit_fixup fixup;
        uint64_t pad[16];
    } u;
} hvcore_exit;

/**
 * Run the guest until something needs the caller; `*exit` then says what.
 *
 * `opts` may be NULL. `*exit` stays valid until the next run of this vCPU. What the guest does that
 * the library can answer (policy, fix-ups, firmware, MMIO callbacks) does not return. A pending
 * cancel is returned without entering the guest. A run that fails (a negative value) leaves the
 * guest's state as it was.
 *
 * Thread: owner. One thread at a time runs a vCPU; different vCPUs run in parallel. Errors:
 * E_INVAL, E_BUSY (it runs in another thread, or this is one of its callbacks; in a lockstep VM
 * also: another vCPU runs), E_STATE (the last exit is not completed), E_UNSUPPORTED (max_insns or
 * deadline without the capability, HVCORE_RUN_WAIT in a lockstep VM), E_BACKEND. Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_run(hvcore_vcpu *vcpu, const hvcore_run_opts *opts,
                               const hvcore_exit **exit, hvcore_error *err);

/**
 * Answer an exit that needs completion.
 *
 * MMIO load: values[0] is the loaded value (higher bits are ignored). HYPERCALL on riscv64:
 * values[0] goes to a0 (SBI error), values[1] (0 if count is 1) to a1. The instruction is finished
 * by the next look at the registers or the next run.
 *
 * Thread: owner. Errors: E_INVAL (wrong count), E_STATE (nothing to complete), E_BUSY. Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_complete(hvcore_vcpu *vcpu, const uint64_t *values, uint32_t count);

/**
 * Drive one of the interrupts that a vCPU has from outside; the vCPU sees it at once, in a wait
 * (HVCORE_RUN_WAIT) as well.
 *
 * riscv64: `irq` is HVCORE_RISCV64_IRQ_*. TIMER and EXTERNAL are levels: the interrupt is pending
 * while this line, the VM's interrupt controller, the hart's own timer or what hvcore_reg_set_u64()
 * left in hvip says so. SOFT is the bit that a guest clears itself (sip.SSIP): level 1 sets it
 * once, 0 takes it back. The SBI calls send_ipi and set_timer act on the same lines: one sets SOFT,
 * the other lets TIMER fall.
 *
 * Thread: any, signal. The caller must hold a reference. Errors: E_INVAL, E_RANGE (no such
 * interrupt). Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_irq(hvcore_vcpu *vcpu, uint32_t irq, uint32_t level);

/** An exception for the guest. */
typedef struct hvcore_inject {
    uint32_t size;
    uint32_t reserved;
    uint64_t cause; /**< riscv64: exception code that the guest can see, 0 to 8, 12, 13, 15, 18,
                         19 */
    uint64_t tval;
} hvcore_inject;

#ifndef HVCORE_CDEF
#define HVCORE_INJECT_INIT {.size = sizeof(hvcore_inject)}
#endif

/**
 * Give the guest an exception at its current instruction; at an exit, in place of completing it:
 * the instruction that caused the exit has then raised it.
 *
 * Thread: owner. Errors: E_INVAL (a cause that no supervisor sees), E_STATE (the exit has been
 * completed already, or the guest is inside its own trap entry: double trap), E_BUSY. Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_inject(hvcore_vcpu *vcpu, const hvcore_inject *what, hvcore_error *err);

/**
 * Make the current run, or the next one, return HVCORE_EXIT_CANCELLED.
 *
 * Never lost and never stale: cancels coalesce until a run returns CANCELLED, which carries the
 * last token and clears them; a run that returns for another reason meanwhile leaves the cancel
 * pending.
 *
 * Thread: any, signal. The caller must hold a reference. Errors: E_INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_cancel(hvcore_vcpu *vcpu, uint32_t token);

/**
 * Forget a pending cancel.
 *
 * Thread: owner. Errors: E_INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_cancel_clear(hvcore_vcpu *vcpu);

/**
 * Make the vCPU leave its physical processor, so that another thread (on metal: another hart) may
 * run it. On the soft machine every thread may anyway.
 *
 * Thread: owner. Errors: E_INVAL, E_BUSY. Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_detach(hvcore_vcpu *vcpu);

/**
 * Now, in nanoseconds on the monotonic clock that deadlines are measured on.
 *
 * Thread: any, signal. Errors: none. Since: 0.1.
 */
HVCORE_API uint64_t hvcore_clock_ns(void);

/**
 * The English name of an exit reason ("mmio", "cancelled", ...); "unknown" for others.
 *
 * Thread: any, signal. Errors: none. Since: 0.1.
 */
HVCORE_API const char *hvcore_exit_reason_name(uint32_t reason);

HVCORE_END
#endif
