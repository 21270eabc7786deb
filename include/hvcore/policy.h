/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trap policies: which trap goes where, as data.
 *
 * A policy is an ordered list of rules and a base. For a trap, the first rule that matches its
 * cause and mode decides; if none does, the base decides. A rule that can never decide anything
 * because earlier ones take all its traps is refused. A policy is built (rules, or JSON), then
 * used; the first use seals it for ever. It may be used by many VMs.
 *
 * The built-in base "linux-guest" for riscv64: a guest kernel's expected traps are delegated (late
 * arrivals redirected and counted), the unexpected ones are redirected and counted, MMIO (21, 23)
 * is emulated, an unbacked fetch (20) becomes an access fault, a virtual instruction (22) becomes
 * an illegal instruction (WFI halts), misaligned accesses (4, 6) are redirected, a double trap
 * (16), what cannot come from a guest (9, 11) and what is unknown exits. Cause 10 is the firmware's
 * and no rule may name it. Interrupts never ask the policy.
 */
#ifndef HVCORE_POLICY_H
#define HVCORE_POLICY_H

#include <hvcore/vcpu.h>

HVCORE_BEGIN

/** What a rule does. */
enum hvcore_trap_do {
    HVCORE_DO_NONE = 0,
    HVCORE_DO_DELEGATE = 1, /**< hardware gives it to the guest */
    HVCORE_DO_REDIRECT = 2, /**< the library gives it to the guest */
    HVCORE_DO_EMULATE = 3,  /**< the library carries it out */
    HVCORE_DO_EXIT = 4,     /**< to the VMM, with the whole record */
    HVCORE_DO_STOP = 5      /**< the VM stops */
};

/** Modes that a rule matches, a bit set: 1 << HVCORE_RISCV64_VU, 1 << HVCORE_RISCV64_VS. */
enum hvcore_trap_from { HVCORE_FROM_VU = 1, HVCORE_FROM_VS = 2, HVCORE_FROM_ANY = 3 };

/** Flags of a rule. */
enum hvcore_trap_flag {
    HVCORE_TRAP_NO_COUNT = 1, /**< redirect without counting */
    HVCORE_TRAP_AS = 2        /**< `as` is given (cause 0 is a cause) */
};

/** A rule. */
typedef struct hvcore_trap_rule {
    uint32_t size;
    uint32_t from;   /**< HVCORE_FROM_*; 0 is any. A delegation knows no modes */
    uint64_t causes; /**< set of exception classes: 1 << cause */
    uint32_t act;    /**< HVCORE_DO_* */
    uint32_t late;   /**< delegate: HVCORE_DO_* when it arrives in software all the same; 0 is
                          redirect, HVCORE_DO_DELEGATE that nothing is prepared for it */
    uint32_t as;     /**< redirect, with HVCORE_TRAP_AS: give it to the guest as this cause */
    uint32_t flags;  /**< HVCORE_TRAP_* */
    char name[64];   /**< NUL-terminated, for reports; may be empty */
} hvcore_trap_rule;

#ifndef HVCORE_CDEF
#define HVCORE_TRAP_RULE_INIT {.size = sizeof(hvcore_trap_rule)}
#endif

/** What happens to a rule that this host cannot enforce. */
enum hvcore_unenforceable {
    HVCORE_UNENFORCEABLE_REFUSE = 0,  /**< the policy is refused */
    HVCORE_UNENFORCEABLE_WARN = 1,    /**< the library does it in software and logs a warning */
    HVCORE_UNENFORCEABLE_REDIRECT = 2 /**< the library does it in software */
};

/** Does the firmware below look at hedeleg before it gives a trap to HS-mode? */
enum hvcore_firmware_honours {
    HVCORE_FIRMWARE_NO = 0, /**< distrust: every delegation needs a software arm */
    HVCORE_FIRMWARE_YES = 1 /**< trust */
};

/** Limits that make a storm of one vCPU (specs: fixup/storm.h). */
typedef struct hvcore_storm_opts {
    uint32_t size;
    uint32_t repeat; /**< equal redirected traps in a row; 0: off */
    uint32_t per_ms; /**< redirected traps per millisecond, sustained; 0: off */
    uint32_t act;    /**< HVCORE_DO_EXIT, or HVCORE_DO_NONE: count it only */
} hvcore_storm_opts;

/** Options of a policy. */
typedef struct hvcore_policy_opts {
    uint32_t size;
    uint32_t arch;             /**< HVCORE_ARCH_RISCV64 */
    const char *base;          /**< NULL or "linux-guest" */
    uint32_t on_unenforceable; /**< HVCORE_UNENFORCEABLE_* */
    uint32_t firmware_honours; /**< HVCORE_FIRMWARE_* */
    uint32_t allow_exit;       /**< 1: `exit` is allowed where guest user code can raise it */
    uint32_t allow_stop;       /**< 1: `stop` is allowed */
    hvcore_storm_opts storm;   /**< size 0: the base's */
} hvcore_policy_opts;

#ifndef HVCORE_CDEF
#define HVCORE_POLICY_OPTS_INIT {.size = sizeof(hvcore_policy_opts)}
#endif

/**
 * Make a policy that is its base and nothing else. One reference is returned in `*policy`.
 *
 * Thread: any. Errors: E_INVAL, E_NOTFOUND (no such base), E_UNSUPPORTED (architecture), E_RANGE,
 * E_NOMEM. Since: 0.1.
 */
HVCORE_API int hvcore_policy_create(const hvcore_policy_opts *opts, hvcore_policy **policy,
                                    hvcore_error *err);

/**
 * Append a rule; `*id` (NULL allowed) is its 1-based number, as in exits and reports.
 *
 * The rule is refused if it contradicts the architecture, the policy or itself: the message begins
 * with a name (docs/policy.md has them all), `rule` is the number that it would have had.
 *
 * Thread: any one. Errors: E_INVAL, E_STATE (sealed), E_BUSY (another thread is adding), E_LIMIT
 * (256 rules), E_POLICY, E_NOMEM. Since: 0.1.
 */
HVCORE_API int hvcore_policy_rule_add(hvcore_policy *policy, const hvcore_trap_rule *rule,
                                      uint32_t *id, hvcore_error *err);

/**
 * Read a policy from JSON text of `len` bytes (docs/policy.md describes the language).
 *
 * Strict: an unknown or duplicate key, a wrong type, a number out of range is an error with line,
 * column and JSON pointer. Not in freestanding builds.
 *
 * Thread: any. Errors: E_INVAL, E_PARSE, E_POLICY, E_LIMIT (64 KiB, depth 8), E_NOMEM. Since: 0.1.
 */
HVCORE_API int hvcore_policy_from_json(const char *text, size_t len, hvcore_policy **policy,
                                       hvcore_error *err);

/**
 * Take one more reference; returns `policy`.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_policy *hvcore_policy_ref(hvcore_policy *policy);

/**
 * Give a reference back; NULL does nothing. VMs hold the policies that they use.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_policy_unref(hvcore_policy *policy);

/** Who enforces what the policy says about a cause, here. */
enum hvcore_enforcer {
    HVCORE_BY_NOBODY = 0,   /**< it cannot be had on this machine */
    HVCORE_BY_LIBRARY = 1,  /**< the library, in software */
    HVCORE_BY_HARDWARE = 2, /**< the hardware (or the software machine's PE) */
    HVCORE_BY_KERNEL = 3    /**< the backend or the kernel below it, under any policy */
};

/** Flags of a line of a report. */
enum hvcore_report_flag {
    HVCORE_REPORT_NOT_AS_ASKED = 1 /**< the rule asks for what this machine cannot do (see `why`) */
};

/** A line of a report. */
typedef struct hvcore_report_item {
    uint32_t size;
    uint32_t cls;      /**< exception class */
    uint32_t from;     /**< modes it speaks of, HVCORE_FROM_* */
    uint32_t act;      /**< what the policy says, HVCORE_DO_* */
    uint32_t as;       /**< redirect: the cause that the guest sees */
    uint32_t enforcer; /**< HVCORE_BY_* */
    uint32_t rule;     /**< 1-based rule, 0: the base */
    uint32_t flags;    /**< HVCORE_REPORT_* */
    char cause[32];    /**< name of the class, as policies spell it */
    char why[96];      /**< half a sentence: why this enforcer */
} hvcore_report_item;

#ifndef HVCORE_CDEF
#define HVCORE_REPORT_ITEM_INIT {.size = sizeof(hvcore_report_item)}
#endif

/**
 * The line number `index` (0, 1, ...) of a report, in the order of causes.
 *
 * Every cause of the architecture has one line, or two if its modes differ; a custom cause only if
 * a rule names it.
 *
 * Thread: any. Errors: E_INVAL, E_NOTFOUND past the end. Since: 0.1.
 */
HVCORE_API int hvcore_report_item_get(const hvcore_report *report, uint32_t index,
                                      hvcore_report_item *item);

/**
 * Free a report; NULL does nothing.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_report_free(hvcore_report *report);

/**
 * Set the policy of a VM and of all its vCPUs, also while they run.
 *
 * When it returns, no vCPU decides by an older policy any more. The policy is sealed. `*report`
 * (`report` may be NULL) says what it comes to here; it is also given when the policy is refused
 * with E_POLICY, else NULL. On an error nothing has changed.
 *
 * Thread: any. Errors: E_INVAL, E_TYPE (another architecture), E_POLICY (cannot be enforced),
 * E_BUSY (a rule is being added), E_NOMEM. Since: 0.1.
 */
HVCORE_API int hvcore_trap_policy_set(hvcore_vm *vm, hvcore_policy *policy, hvcore_report **report,
                                      hvcore_error *err);

/**
 * Set the policy of one vCPU; like hvcore_trap_policy_set(), which replaces it again.
 *
 * Thread: any. Errors: as hvcore_trap_policy_set(). Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_trap_policy_set(hvcore_vcpu *vcpu, hvcore_policy *policy,
                                           hvcore_report **report, hvcore_error *err);

/**
 * The name of an exception class as policies spell it ("illegal-instruction"), or NULL. Static.
 *
 * Thread: any, signal. Errors: none. Since: 0.1.
 */
HVCORE_API const char *hvcore_trap_cause_name(uint32_t arch, uint32_t cls);

HVCORE_END
#endif
