/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/policy inside the library: rules are compiled into a dense table of actions by mode and
 * cause, for one set of facts about the machine. The run loop reads the table and nothing else.
 */
#ifndef HVC_POLICY_H
#define HVC_POLICY_H

#include <hvcore/fixup/storm.h>
#include <hvcore/policy.h>

#include "lib/host/host.h"

enum { HVC_POLICY_MODES = 2, HVC_POLICY_CLASSES = 64, HVC_POLICY_RULES = 256 };

/* What to do with a trap that has arrived in software. */
typedef struct hvc_action {
    uint8_t act; /* HVCORE_DO_REDIRECT, _EMULATE, _EXIT, _STOP; never NONE, never DELEGATE */
    uint8_t as;  /* the cause that the guest sees if it gets the trap (also when emulation fails) */
    uint8_t count; /* redirect: 1 if it is counted */
    uint8_t late;  /* 1: it should have been delegated; counted as late */
    uint16_t rule; /* 1-based, 0: the base */
} hvc_action;

typedef struct hvc_policy_table {
    hvc_action action[HVC_POLICY_MODES][HVC_POLICY_CLASSES];
    uint64_t hedeleg; /* what the hardware is told */
    hvcore_storm_params storm;
    uint32_t storm_act; /* HVCORE_DO_EXIT or HVCORE_DO_NONE */
} hvc_policy_table;

/* Facts about the machine that a policy is compiled for. */
typedef struct hvc_policy_facts {
    uint32_t arch;
    uint32_t firmware_honours;  /* 1: proved (the software machine) */
    uint64_t delegatable;       /* bits of hedeleg that can be set */
    uint64_t intercept;         /* bits that the library needs for itself (debugger) */
    uint64_t emulators;         /* causes that `emulate` can be asked for */
    uint32_t double_trap;       /* 1: guests have Ssdbltrp, so cause 16 can arise */
    uint32_t debug_breakpoints; /* 1: a debugger of the VMM owns cause 3 */
    uint32_t fwft_misaligned;   /* 1: SBI FWFT gives guests one switch that delegates 4 and 6 */
    uint8_t fixed[HVC_POLICY_CLASSES]; /* HVCORE_DO_* that the backend does under any policy; 0:
                                          what the policy says */
} hvc_policy_facts;

/* A rule as it is kept. */
typedef struct hvc_rule {
    uint64_t causes;
    uint8_t from;
    uint8_t act;
    uint8_t late; /* delegate: HVCORE_DO_*, NONE: nothing is prepared */
    uint8_t as;   /* with HVCORE_TRAP_AS */
    uint32_t flags;
    char name[64];
} hvc_rule;

/*
 * The life of a policy. ADDING keeps a rule from being read while it is written: who adds and who
 * compiles at the same time gets E_BUSY, nobody a half-made rule.
 */
enum hvc_policy_state { HVC_POLICY_OPEN = 0, HVC_POLICY_ADDING = 1, HVC_POLICY_SEALED = 2 };

struct hvcore_policy {
    _Atomic uint32_t refs;
    _Atomic uint32_t state; /* hvc_policy_state */
    uint32_t arch;
    uint32_t on_unenforceable;
    uint32_t firmware_honours;
    uint32_t allow_exit;
    uint32_t allow_stop;
    uint32_t storm_act;
    hvcore_storm_params storm;
    uint32_t count, room;
    hvc_rule *rule;
};

/* Bounds of hvcore_storm_opts: repeat is 0 or in [MIN_REPEAT, MAX], per_ms at most MAX. */
enum { HVC_STORM_MIN_REPEAT = 2, HVC_STORM_MAX = 1000000 };

/*
 * hvcore_policy_rule_add() for who knows where the rule stands: *member is the name of the member
 * at fault, as the JSON language spells it, or NULL.
 */
int hvc_policy_rule_append(hvcore_policy *policy, const hvcore_trap_rule *rule, uint32_t *id,
                           const char **member, hvcore_error *err);

/* May this rule be the policy's next one? 0, or an error with *member as above. */
int hvc_rule_check(const hvcore_policy *policy, const hvcore_trap_rule *rule, const char **member,
                   hvcore_error *err);

/* What comes to a trap that reaches software although the rule delegates it; NONE: nothing does. */
uint32_t hvc_rule_late(const hvcore_trap_rule *rule);

/* The 1-based number of the first rule that takes `cls` from `mode`, or 0. */
uint32_t hvc_policy_find(const hvcore_policy *policy, unsigned mode, unsigned cls);

/* A refusal in its uniform shape; `cls` beyond the classes: the rule as a whole. */
typedef struct hvc_refusal {
    int code;
    const char *name;   /* of the error, as specs 3.4 has it */
    const char *advice; /* at most 120 bytes, ends with a full stop */
    uint32_t rule;      /* 1-based */
    const char *rule_name;
    unsigned cls;
} hvc_refusal;
int hvc_policy_refuse(hvcore_error *err, const hvc_refusal *refusal);

/* Write rule, line and column into a record that has just been filled. */
void hvc_policy_locate(hvcore_error *err, uint32_t rule, uint32_t line, uint32_t column);

/*
 * hedeleg as it will be: wanted, writable, not taken by a debugger, not intercepted (specs 3.3).
 */
uint64_t hvc_hedeleg_effective(uint64_t want, uint64_t writable, bool debug_breakpoints,
                               uint64_t intercept);

/*
 * Compile `policy` for `facts`, and say in `*report` (NULL allowed) what it comes to. Seals the
 * policy. -HVCORE_E_POLICY if it cannot be enforced and refuses that; the report is given then as
 * well. On any error *table is untouched. Several threads may compile one policy at once.
 */
int hvc_policy_compile(hvcore_policy *policy, const hvc_policy_facts *facts,
                       hvc_policy_table *table, hvcore_report **report, hvcore_error *err);

/*
 * How many lines of a report have HVCORE_REPORT_NOT_AS_ASKED. With HVCORE_UNENFORCEABLE_WARN the
 * caller of hvc_policy_compile logs these.
 */
uint32_t hvc_report_not_as_asked(const hvcore_report *report);

#endif
