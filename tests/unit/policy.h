/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of policies share: a machine, policies, tables, and sentences. */
#ifndef HVC_TESTS_POLICY_H
#define HVC_TESTS_POLICY_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arch/riscv64.h"
#include "lib/policy/policy.h"
#include "tests/unit/unit.h"

#define BIT(n) (UINT64_C(1) << (n))
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define ARCH_DELEGATABLE UINT64_C(0xcb1ff) /* as Spike has it */
#define QEMU_DELEGATABLE UINT64_C(0x4b1ff) /* QEMU 10: no bit 19 */
#define BASE_DELEGATES UINT64_C(0xcb10d)
#define EXPECTED UINT64_C(0xcb10c)
#define UNEXPECTED UINT64_C(0xf3)
#define CUSTOM UINT64_C(0xffff0000ff000000)
#define EMULATORS (BIT(10) | BIT(21) | BIT(22) | BIT(23))

enum {
    NONE = HVCORE_DO_NONE,
    DELEGATE = HVCORE_DO_DELEGATE,
    REDIRECT = HVCORE_DO_REDIRECT,
    EMULATE = HVCORE_DO_EMULATE,
    EXIT = HVCORE_DO_EXIT,
    STOP = HVCORE_DO_STOP,
    NO_COUNT = HVCORE_TRAP_NO_COUNT,
    AS = HVCORE_TRAP_AS
};

static inline void expect(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void expect(bool ok, const char *fmt, ...)
{
    va_list ap;
    if (!ok) {
        va_start(ap, fmt);
        printf("\n    ");
        vprintf(fmt, ap);
        va_end(ap);
    }
    CU_ASSERT(ok);
}

static inline hvc_policy_facts machine(void)
{
    return (hvc_policy_facts){.arch = HVCORE_ARCH_RISCV64,
                              .firmware_honours = 1,
                              .delegatable = ARCH_DELEGATABLE,
                              .emulators = EMULATORS};
}

static inline hvcore_policy_opts options(void)
{
    hvcore_policy_opts o = HVCORE_POLICY_OPTS_INIT;
    o.arch = HVCORE_ARCH_RISCV64;
    return o;
}

static inline hvcore_policy_opts options_all_allowed(void)
{
    hvcore_policy_opts o = options();
    o.allow_exit = o.allow_stop = 1;
    return o;
}

static inline hvcore_policy *policy_with(hvcore_policy_opts o)
{
    hvcore_policy *p = NULL;
    hvcore_error e = HVCORE_ERROR_INIT;
    expect(hvcore_policy_create(&o, &p, &e) == 0, "create: %s", e.message);
    if (!p) {
        exit(1);
    }
    return p;
}

static inline hvcore_trap_rule rule_of(uint64_t causes, uint32_t act)
{
    hvcore_trap_rule r = HVCORE_TRAP_RULE_INIT;
    r.causes = causes;
    r.act = act;
    return r;
}

static inline void add(hvcore_policy *p, hvcore_trap_rule r)
{
    hvcore_error e = HVCORE_ERROR_INIT;
    expect(hvcore_policy_rule_add(p, &r, NULL, &e) == 0, "rule: %s", e.message);
}

/* Compile and let the policy go. */
static inline hvc_policy_table table_of(hvcore_policy *p, hvc_policy_facts f)
{
    hvc_policy_table t;
    hvcore_error e = HVCORE_ERROR_INIT;
    memset(&t, 0xee, sizeof(t));
    expect(hvc_policy_compile(p, &f, &t, NULL, &e) == 0, "compile: %s", e.message);
    hvcore_policy_unref(p);
    return t;
}

static inline bool action_is(const hvc_action *a, unsigned act, unsigned as, unsigned count,
                             unsigned late, unsigned rule)
{
    return a->act == act && a->as == as && a->count == count && a->late == late && a->rule == rule;
}

static inline void expect_action(const hvc_policy_table *t, unsigned mode, unsigned cls,
                                 hvc_action want)
{
    const hvc_action *a = &t->action[mode][cls];
    expect(action_is(a, want.act, want.as, want.count, want.late, want.rule),
           "mode %u cause %u: act %u as %u count %u late %u rule %u", mode, cls, a->act, a->as,
           a->count, a->late, a->rule);
}

/* A message is a whole sentence of one line: it was not cut off. */
static inline void expect_message(const hvcore_error *e, const char *begins)
{
    size_t n = strnlen(e->message, sizeof(e->message));
    expect(n > 1 && n < sizeof(e->message) && e->message[n - 1] == '.', "cut off: %s", e->message);
    expect(!strchr(e->message, '\n'), "two lines: %s", e->message);
    expect(!strncmp(e->message, begins, strlen(begins)), "not %s: %s", begins, e->message);
}

#endif
