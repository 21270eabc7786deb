/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual CPUs: run, exits, completion, interrupts, cancel. */
#ifndef HVCORE_VCPU_H
#define HVCORE_VCPU_H

#include <hvcore/riscv64.h>
#include <hvcore/vm.h>

HVCORE_BEGIN

/** Flags of hvcore_vcpu_opts. */
enum hvcore_vcpu_flag {
    HVCORE_VCPU_OFF = 1 /**< riscv64, arm64: it is off until another one starts it (SBI HSM,
                             PSCI CPU_ON) */
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
 * for another hart to start it, which says where. arm64: EL1h (EL2h with HVCORE_VM_EL2), DAIF
 * masked, MMU off, pc 0. x86_64: the reset state of the architecture (real mode at 0xfffffff0), and
 * CPUID shows all that the host and its kernel support. On kvm a number can be had once in the life
 * of a VM. One reference is returned in `*vcpu`; the
 * vCPU lives as long as anybody holds it.
 *
 * Thread: any. Errors: E_INVAL, E_RANGE, E_EXISTS (the number is taken), E_NOMEM, E_LIMIT (the
 * machine has no processor left), E_UNSUPPORTED (kvm: the VM's `isa` cannot be had), E_STATE (kvm:
 * the interrupt controller is there already and takes no more), E_UNSUPPORTED (HVCORE_VCPU_OFF on
 * x86_64), E_SYS. Since: 0.1.
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
                             hvcore_vcpu_run() of a lockstep VM. With HVCORE_CAP_KERNEL_WAITS the
                             kernel always waits, with or without it */
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
    HVCORE_EXIT_OFF = 13,       /**< the hart is stopped; a run returns this at once until another
                                     hart starts it (riscv64: SBI HSM) */
    HVCORE_EXIT_PIO = 14,       /**< x86_64: IN or OUT that nobody answers: u.pio */
    HVCORE_EXIT_SYSREG = 15,    /**< a system register that is the VMM's: u.sysreg */
    HVCORE_EXIT_DEBUG = 16,     /**< hvcore_vcpu_debug_set(): u.debug */
    HVCORE_EXIT_MEMORY = 17,    /**< the host cannot provide memory that is mapped, or the guest
                                     used it in a way that the kernel cannot: u.memory; run again
                                     once it can */
    HVCORE_EXIT_CRASH = 18,     /**< the guest's processor cannot go on: u.crash */
    HVCORE_EXIT_SUSPEND = 19,   /**< the guest asked to be suspended: u.reset.type as the kernel
                                     numbers it */
    HVCORE_EXIT_WAKEUP = 20     /**< an event woke a suspended guest */
};

/** Flags of an exit. */
enum hvcore_exit_flag {
    HVCORE_EXIT_NEEDS_COMPLETION = 1, /**< hvcore_vcpu_complete() or _inject() before the next
                                           run */
    HVCORE_EXIT_POLICY_RULE = 2,      /**< `rule` names the rule that sent it here */
    HVCORE_EXIT_PC_ADVANCED = 4       /**< the kernel has put pc behind the instruction already */
};

/** Why a processor cannot go on (u.crash.why). */
enum hvcore_crash_why {
    HVCORE_CRASH_TRIPLE_FAULT = 1, /**< x86_64: a fault in the delivery of a double fault */
    HVCORE_CRASH_ENTRY = 2,        /**< the hardware refuses to enter; code[0] is its reason */
    HVCORE_CRASH_EMULATION = 3,    /**< the kernel cannot carry out an instruction; code[0] is its
                                        suberror (x86_64), or the errno of KVM_RUN. The guest may
                                        go on once pc is elsewhere */
    HVCORE_CRASH_GUEST = 4,        /**< the guest says that it has crashed; code is what it says */
    HVCORE_CRASH_UNKNOWN = 5       /**< an exit of the kernel that this library does not know;
                                        code[0] is its number, code[1] its hardware reason */
};

/** What stopped a guest that is debugged (u.debug.kind). */
enum hvcore_debug_kind {
    HVCORE_DEBUG_KIND_STEP = 1,       /**< an instruction has been executed */
    HVCORE_DEBUG_KIND_BREAKPOINT = 2, /**< a breakpoint instruction, not executed */
    HVCORE_DEBUG_KIND_POINT = 3       /**< a hardware breakpoint or watchpoint */
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

/**
 * A call, as u.hypercall of an exit. riscv64: nr = a7 (EID), fid = a6, arg = a0 to a5. arm64 (SMCCC
 * 1.4): nr = w0 (function id), fid = 0 for HVC, 1 for SMC, arg = x1 to x6. x86_64: nr = rax, arg =
 * rbx, rcx, rdx, rsi.
 */
typedef struct hvcore_exit_hypercall {
    uint64_t nr;
    uint64_t fid;
    uint64_t arg[6];
} hvcore_exit_hypercall;

/**
 * A reset or shutdown, as u.reset of an exit. riscv64: SBI SRST's arguments. On kvm `type` is 0
 * for a shutdown and 1 for any reset, `reason` is what the kernel hands on of the guest's.
 */
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

/** A port access, as u.pio of an exit. A string instruction (INS, OUTS) is one exit an item. */
typedef struct hvcore_exit_pio {
    uint64_t data; /**< OUT: the value, higher bits zero */
    uint16_t port;
    uint8_t width; /**< bytes: 1, 2, 4 */
    uint8_t write; /**< 1: OUT */
    uint32_t reserved;
} hvcore_exit_pio;

/** A system register, as u.sysreg of an exit. riscv64: CSR number; x86_64: MSR number. */
typedef struct hvcore_exit_sysreg {
    uint64_t id;
    uint64_t value; /**< what is written */
    uint64_t mask;  /**< bits of `value` that are written; 0: a read */
} hvcore_exit_sysreg;

/** A debug stop, as u.debug of an exit. */
typedef struct hvcore_exit_debug {
    uint32_t kind; /**< HVCORE_DEBUG_KIND_* */
    uint32_t reserved;
    uint64_t addr;   /**< watchpoint: the address that was accessed, if the kernel says it */
    uint64_t status; /**< x86_64: DR6; arm64: ESR of the debug exception */
} hvcore_exit_debug;

/** Memory that the host cannot provide, as u.memory of an exit; gpa is in the exit if known. */
typedef struct hvcore_exit_memory {
    uint64_t size;     /**< bytes from gpa on that are concerned; 0: unknown */
    uint64_t flags;    /**< as the kernel gives them: KVM_MEMORY_EXIT_FLAG_* */
    int32_t sys_errno; /**< EFAULT, EHWPOISON */
    uint32_t reserved;
} hvcore_exit_memory;

/** A processor that cannot go on, as u.crash of an exit. */
typedef struct hvcore_exit_crash {
    uint32_t why;   /**< HVCORE_CRASH_* */
    uint32_t count; /**< valid entries of code */
    uint64_t code[14];
} hvcore_exit_crash;

/**
 * Why a run returned, and all that is known of it.
 *
 * A backend above a kernel (kvm) tells no more than its kernel does: `have` says what is known, the
 * rest is zero. There, the registers may cost a system call each; an exit carries pc only where
 * that is free (x86_64) or where the guest has stopped between two instructions. For OUT on x86_64
 * KVM may have rip on the instruction or behind it, and does not say which: pc is not known then.
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
        hvcore_exit_pio pio;
        hvcore_exit_sysreg sysreg;
        hvcore_exit_debug debug;
        hvcore_exit_memory memory;
        hvcore_exit_crash crash;
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
 * deadline without the capability, HVCORE_RUN_WAIT in a lockstep VM), E_BACKEND, E_SYS, E_NOMEM,
 * E_LIMIT (kvm: a system call failed). Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_run(hvcore_vcpu *vcpu, const hvcore_run_opts *opts,
                               const hvcore_exit **exit, hvcore_error *err);

/**
 * Answer an exit that needs completion.
 *
 * MMIO load, IN, SYSREG read: values[0] is the value (higher bits are ignored). SYSREG write:
 * values[0] is ignored (riscv64: the CSR's old value). HYPERCALL on riscv64: values[0] goes to a0
 * (SBI error), values[1] (0 if count is 1) to a1; on arm64 up to four go to x0 to x3; on x86_64
 * values[0] goes to rax. The instruction is finished by the next look at the registers or the next
 * run.
 *
 * Thread: owner. Errors: E_INVAL (wrong count), E_STATE (nothing to complete), E_BUSY. Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_complete(hvcore_vcpu *vcpu, const uint64_t *values, uint32_t count);

/**
 * Answer an exit that needs completion by "there is no such thing": the instruction raises what it
 * raises on hardware without it. SYSREG: x86_64 #GP(0), riscv64 an illegal instruction. MMIO: arm64
 * a synchronous external abort, riscv64 an access fault, x86_64 (which has none) ones are read.
 * HYPERCALL: "not supported" in the words of its convention. PIO: ones are read.
 *
 * Thread: owner. Errors: E_INVAL, E_STATE (nothing to answer), E_BUSY, E_UNSUPPORTED (a machine of
 * the library: use hvcore_vcpu_inject()), E_SYS. Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_deny(hvcore_vcpu *vcpu, hvcore_error *err);

/**
 * Drive one of the interrupts that a vCPU has from outside; the vCPU sees it at once, in a wait
 * (HVCORE_RUN_WAIT) as well.
 *
 * riscv64: `irq` is HVCORE_RISCV64_IRQ_*. TIMER and EXTERNAL are levels: the interrupt is pending
 * while this line, the VM's interrupt controller, the hart's own timer or what hvcore_reg_set_u64()
 * left in hvip says so. SOFT is the bit that a guest clears itself (sip.SSIP): level 1 sets it
 * once, 0 takes it back. The SBI calls send_ipi and set_timer act on the same lines: one sets SOFT,
 * the other lets TIMER fall. On kvm there is EXTERNAL only: the rest is the kernel's.
 *
 * arm64, without an interrupt controller of the kernel: HVCORE_ARM64_IRQ_*, the levels of the IRQ
 * and FIQ inputs. x86_64, without one: `irq` is a vector (0 to 255) that the guest takes as soon as
 * it can, the highest first; level 0 takes it back.
 *
 * Thread: any, signal. The caller must hold a reference. Errors: E_INVAL, E_RANGE (no such
 * interrupt), E_STATE (the kernel's interrupt controller drives them). Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_irq(hvcore_vcpu *vcpu, uint32_t irq, uint32_t level);

/** An exception for the guest. */
typedef struct hvcore_inject {
    uint32_t size;
    uint32_t reserved;
    uint64_t cause; /**< riscv64: exception code that the guest can see, 0 to 8, 12, 13, 15, 18,
                         19; arm64: HVCORE_ARM64_INJECT_*; x86_64: vector, 0 to 31 but 2 */
    uint64_t tval;  /**< riscv64: stval; arm64: SError's ISS, if HVCORE_ARM64_INJECT_SERROR_ISS;
                         x86_64: error code of a vector that has one */
} hvcore_inject;

/** What can be injected on arm64. */
enum hvcore_arm64_inject {
    HVCORE_ARM64_INJECT_EXT_DABT = 0,  /**< a synchronous external data abort */
    HVCORE_ARM64_INJECT_SERROR = 1,    /**< an SError with a syndrome that says nothing */
    HVCORE_ARM64_INJECT_SERROR_ISS = 2 /**< an SError with this ISS (needs FEAT_RAS) */
};

/** Interrupt inputs of an arm64 vCPU. */
enum hvcore_arm64_irq { HVCORE_ARM64_IRQ_IRQ = 0, HVCORE_ARM64_IRQ_FIQ = 1 };

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
 * run it. On the soft machine every thread may anyway. kvm: the thread gets its signal mask back
 * (hvcore_ctx_opts.kick_signal); any thread may run the vCPU next, with or without this call.
 *
 * Thread: owner. Errors: E_INVAL, E_BUSY, E_SYS. Since: 0.1.
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
