/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies: causes, rules, validation, the compiled table, the report. What the architecture and
 * the base say is written down here a second time, as plain numbers.
 */
#include "tests/unit/policy.h"
#include "tests/unit/random.h"

#include <pthread.h>

/* --- causes ----------------------------------------------------------------------------------- */

static const struct {
    unsigned code;
    const char *name;
} names[] = {
    {0, "instruction-misaligned"},
    {1, "instruction-access-fault"},
    {2, "illegal-instruction"},
    {3, "breakpoint"},
    {4, "load-misaligned"},
    {5, "load-access-fault"},
    {6, "store-misaligned"},
    {7, "store-access-fault"},
    {8, "ecall-u"},
    {9, "ecall-hs"},
    {10, "ecall-vs"},
    {11, "ecall-m"},
    {12, "instruction-page-fault"},
    {13, "load-page-fault"},
    {15, "store-page-fault"},
    {16, "double-trap"},
    {18, "software-check"},
    {19, "hardware-error"},
    {20, "instruction-guest-page-fault"},
    {21, "load-guest-page-fault"},
    {22, "virtual-instruction"},
    {23, "store-guest-page-fault"},
    {24, "custom-24"},
    {31, "custom-31"},
    {48, "custom-48"},
    {63, "custom-63"},
};

static bool is_reserved(unsigned code)
{
    return code == 14 || code == 17 || (code >= 32 && code <= 47) || code > 63;
}

static void test_cause_names(void)
{
    static const char *const none[] = {"",           "illegal",     "illegal-instruction ",
                                       "Breakpoint", "breakpoint2", "custom-32",
                                       "custom-1",   "custom-024",  "supervisor-expected"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *n = hvcore_trap_cause_name(HVCORE_ARCH_RISCV64, names[i].code);
        expect(n && !strcmp(n, names[i].name), "%u is %s", names[i].code, n ? n : "(none)");
        expect(hvc_riscv64_cause_parse(names[i].name) == (int)names[i].code, "%s", names[i].name);
    }
    for (unsigned c = 0; c < 70; c++) {
        const char *n = hvcore_trap_cause_name(HVCORE_ARCH_RISCV64, c);
        expect(!n == is_reserved(c), "cause %u", c);
        expect(!n || hvc_riscv64_cause_parse(n) == (int)c, "%s does not come back", n ? n : "");
        expect(!n || strlen(n) < sizeof(((hvcore_report_item *)0)->cause), "%s is long",
               n ? n : "");
    }
    for (size_t i = 0; i < COUNT(none); i++) {
        expect(hvc_riscv64_cause_parse(none[i]) == -1, "\"%s\" is a cause", none[i]);
    }
    CU_ASSERT_PTR_NULL(hvcore_trap_cause_name(HVCORE_ARCH_ARM64, 2));
    CU_ASSERT_PTR_NULL(hvcore_trap_cause_name(HVCORE_ARCH_RISCV64, UINT32_MAX));
}

static void test_cause_facts(void)
{
    CU_ASSERT_EQUAL(hvc_riscv64_causes_with(HVC_CAUSE_DELEGATABLE), ARCH_DELEGATABLE | CUSTOM);
    CU_ASSERT_EQUAL(hvc_riscv64_causes_with(HVC_CAUSE_GUEST_SEES), ARCH_DELEGATABLE | CUSTOM);
    CU_ASSERT_EQUAL(hvc_riscv64_causes_with(HVC_CAUSE_VU),
                    ARCH_DELEGATABLE | CUSTOM | BIT(20) | BIT(21) | BIT(22) | BIT(23));
    CU_ASSERT_EQUAL(hvc_riscv64_causes_with(HVC_CAUSE_EXPECTED), EXPECTED);
    CU_ASSERT_EQUAL(hvc_riscv64_causes_with(HVC_CAUSE_UNEXPECTED), UNEXPECTED);
    CU_ASSERT_EQUAL(hvc_riscv64_causes_with(HVC_CAUSE_CUSTOM), CUSTOM);
    CU_ASSERT_EQUAL(hvc_riscv64_causes_with(HVC_CAUSE_NOT_GUEST), BIT(9) | BIT(11));
    CU_ASSERT_EQUAL(hvc_riscv64_causes_with(HVC_CAUSE_EXPECTED | HVC_CAUSE_ADDRESS),
                    BIT(3) | BIT(12) | BIT(13) | BIT(15));
}

static void test_cause_redirect(void)
{
    for (unsigned c = 0; c < 64; c++) {
        unsigned want = c == 20 ? 1 : c == 21 ? 5 : c == 22 ? 2 : c == 23 ? 7 : c;
        expect(hvc_riscv64_causes[c].redirect == want, "%u to %u", c,
               hvc_riscv64_causes[c].redirect);
    }
}

static void test_has_gva(void)
{
    const uint64_t address = 0xb0b0fb; /* 0, 1, 3-7, 12, 13, 15, 20, 21, 23 */
    for (unsigned c = 0; c < 64; c++) {
        expect(hvc_riscv64_has_gva(c, 0x1000) == !!(address & BIT(c)), "cause %u", c);
        expect(!hvc_riscv64_has_gva(c, 0), "cause %u without a value", c);
        expect(!hvc_riscv64_has_gva(c | BIT(63), 0x1000), "interrupt %u", c);
        expect(!hvc_riscv64_has_gva(c + 64, 0x1000), "cause %u", c + 64);
    }
}

/* --- the base --------------------------------------------------------------------------------- */

/* What the base's table holds on a machine that delegates all: D late redirect, R redirect, ... */
static const char base_says[] = "DRDDRRRRDXEXDDXDXXDDREEE"; /* 0 to 23; what is above exits */

static hvc_action base_action(unsigned cls)
{
    unsigned as = cls == 20 ? 1 : cls == 21 ? 5 : cls == 22 ? 2 : cls == 23 ? 7 : cls;
    char says = cls < sizeof(base_says) - 1 ? base_says[cls] : 'X';
    hvc_action a = {.as = (uint8_t)as};
    a.act = says == 'E' ? EMULATE : says == 'X' ? EXIT : REDIRECT;
    a.count = a.act == REDIRECT;
    a.late = says == 'D';
    return a;
}

static void test_base_table(void)
{
    hvc_policy_table t = table_of(policy_with(options()), machine());
    CU_ASSERT_EQUAL(t.hedeleg, BASE_DELEGATES);
    CU_ASSERT_EQUAL(t.storm.repeat, 0);
    CU_ASSERT_EQUAL(t.storm.drain, 0);
    CU_ASSERT_EQUAL(t.storm_act, NONE);
    for (unsigned cls = 0; cls < 64; cls++) {
        hvc_action want = base_action(cls);
        expect_action(&t, 0, cls, want);
        expect_action(&t, 1, cls, want);
    }
}

/* A machine that can do nothing is no error: the base takes what there is. */
static void test_base_poor_machine(void)
{
    hvc_policy_facts f = {.arch = HVCORE_ARCH_RISCV64};
    hvc_policy_table t = table_of(policy_with(options()), f);
    CU_ASSERT_EQUAL(t.hedeleg, 0);
    for (unsigned cls = 0; cls < 64; cls++) {
        hvc_action want = base_action(cls);
        want.late = 0;
        if (cls != 10 && want.act == EMULATE) {
            want.act = REDIRECT;
            want.count = 1;
        }
        expect_action(&t, 0, cls, want);
        expect_action(&t, 1, cls, want);
    }
}

static void test_base_claims(void)
{
    hvc_policy_facts f = machine();
    f.delegatable = UINT64_MAX; /* a machine may claim what the architecture does not have */
    CU_ASSERT_EQUAL(table_of(policy_with(options()), f).hedeleg, BASE_DELEGATES);
    f.delegatable = QEMU_DELEGATABLE;
    f.intercept = BIT(3);
    hvc_policy_table t = table_of(policy_with(options()), f);
    CU_ASSERT_EQUAL(t.hedeleg, BASE_DELEGATES & QEMU_DELEGATABLE & ~BIT(3));
    expect_action(&t, 0, 3, (hvc_action){REDIRECT, 3, 1, 0, 0});
    expect_action(&t, 1, 19, (hvc_action){REDIRECT, 19, 1, 0, 0});
    expect_action(&t, 1, 2, (hvc_action){REDIRECT, 2, 1, 1, 0});
}

/* --- rules ------------------------------------------------------------------------------------ */

static void test_first_rule_decides(void)
{
    hvcore_policy *p = policy_with(options_all_allowed());
    hvcore_trap_rule r = rule_of(BIT(2), EXIT);
    r.from = HVCORE_FROM_VU;
    add(p, r);
    r = rule_of(BIT(2) | BIT(4) | BIT(20), REDIRECT);
    r.flags = NO_COUNT;
    add(p, r);
    r = rule_of(BIT(4) | BIT(5), REDIRECT);
    r.flags = AS;
    r.as = 0; /* cause 0 is a cause */
    add(p, r);
    add(p, rule_of(BIT(7), STOP));
    hvc_policy_table t = table_of(p, machine());
    CU_ASSERT_EQUAL(t.hedeleg, BASE_DELEGATES & ~BIT(2));
    expect_action(&t, 0, 2, (hvc_action){EXIT, 2, 0, 0, 1});
    expect_action(&t, 1, 2, (hvc_action){REDIRECT, 2, 0, 0, 2});
    expect_action(&t, 0, 4, (hvc_action){REDIRECT, 4, 0, 0, 2});
    expect_action(&t, 0, 20, (hvc_action){REDIRECT, 1, 0, 0, 2});
    expect_action(&t, 1, 5, (hvc_action){REDIRECT, 0, 1, 0, 3});
    expect_action(&t, 1, 7, (hvc_action){STOP, 7, 0, 0, 4});
    expect_action(&t, 1, 6, base_action(6));
}

/* A rule for one mode ends the base's delegation for the other: hedeleg knows no modes. */
static void test_rule_of_one_mode(void)
{
    hvcore_policy *p = policy_with(options());
    hvcore_trap_rule r = rule_of(BIT(2), REDIRECT);
    r.from = HVCORE_FROM_VS;
    r.flags = NO_COUNT;
    add(p, r);
    hvc_policy_table t = table_of(p, machine());
    CU_ASSERT_EQUAL(t.hedeleg, BASE_DELEGATES & ~BIT(2));
    expect_action(&t, 1, 2, (hvc_action){REDIRECT, 2, 0, 0, 1});
    expect_action(&t, 0, 2, (hvc_action){REDIRECT, 2, 1, 0, 0});
}

static void test_late(void)
{
    static const struct {
        uint32_t late, act;
    } rows[] = {{NONE, REDIRECT}, {REDIRECT, REDIRECT}, {EXIT, EXIT},
                {STOP, STOP},     {EMULATE, EMULATE},   {DELEGATE, EXIT}};
    hvcore_policy_opts o = options_all_allowed();
    hvc_policy_facts f = machine();
    o.firmware_honours = HVCORE_FIRMWARE_YES;
    f.emulators |= BIT(2);
    for (size_t i = 0; i < COUNT(rows); i++) {
        hvcore_policy *p = policy_with(o);
        hvcore_trap_rule r = rule_of(BIT(2), DELEGATE);
        r.late = rows[i].late;
        add(p, r);
        hvc_policy_table t = table_of(p, f);
        CU_ASSERT_TRUE(t.hedeleg & BIT(2));
        expect_action(&t, 0, 2,
                      (hvc_action){(uint8_t)rows[i].act, 2, rows[i].act == REDIRECT, 1, 1});
    }
}

/* --- refusals --------------------------------------------------------------------------------- */

enum { ALLOW_EXIT = 1, ALLOW_STOP = 2, TRUST = 4 };

typedef struct refusal {
    const char *name;
    int code;
    int opts;
    hvcore_trap_rule rule;
} refusal;

#define RULE(...)                                     \
    {                                                 \
        .size = sizeof(hvcore_trap_rule), __VA_ARGS__ \
    }
#define REFUSED(name, code, opts, ...)                 \
    {                                                  \
        name, HVCORE_E_##code, opts, RULE(__VA_ARGS__) \
    }

static const refusal refusals[] = {
    REFUSED("NO_ACTION", INVAL, 0, .causes = 4),
    REFUSED("BAD_ACTION", INVAL, 0, .causes = 4, .act = 6),
    REFUSED("BAD_ACTION", INVAL, 0, .causes = 4, .act = UINT32_MAX),
    REFUSED("BAD_ACTION", INVAL, 0, .causes = 4, .act = DELEGATE, .late = 6),
    REFUSED("BAD_MODE", INVAL, 0, .causes = 4, .act = REDIRECT, .from = 4),
    REFUSED("BAD_FLAGS", INVAL, 0, .causes = 4, .act = REDIRECT, .flags = 4),
    REFUSED("NO_CAUSE", INVAL, 0, .act = REDIRECT),
    REFUSED("BAD_NAME", INVAL, 0, .causes = 4, .act = REDIRECT, .name = "a\nb"),
    REFUSED("BAD_NAME", INVAL, 0, .causes = 4, .act = REDIRECT, .name = "\x7f"),
    REFUSED("CAUSE_RANGE", POLICY, 0, .causes = BIT(14), .act = REDIRECT),
    REFUSED("CAUSE_RANGE", POLICY, 0, .causes = BIT(17) | 4, .act = REDIRECT),
    REFUSED("CAUSE_RANGE", POLICY, 0, .causes = BIT(32), .act = REDIRECT),
    REFUSED("CAUSE_RANGE", POLICY, 0, .causes = BIT(47), .act = REDIRECT),
    REFUSED("CAUSE_RANGE", POLICY, ALLOW_EXIT, .causes = BIT(10), .act = EXIT),
    REFUSED("CAUSE_RANGE", POLICY, 0, .causes = BIT(10), .act = EMULATE),
    REFUSED("CAUSE_RANGE", POLICY, 0, .causes = 4, .act = REDIRECT, .flags = AS, .as = 64),
    REFUSED("CAUSE_RANGE", POLICY, 0, .causes = 4, .act = REDIRECT, .flags = AS, .as = 14),
    REFUSED("CAUSE_RANGE", POLICY, 0, .causes = 4, .act = REDIRECT, .flags = AS, .as = UINT32_MAX),
    REFUSED("NOT_DELEGATABLE", POLICY, 0, .causes = BIT(9), .act = DELEGATE),
    REFUSED("NOT_DELEGATABLE", POLICY, 0, .causes = BIT(11), .act = DELEGATE),
    REFUSED("NOT_DELEGATABLE", POLICY, 0, .causes = BIT(16), .act = DELEGATE),
    REFUSED("NOT_DELEGATABLE", POLICY, 0, .causes = BIT(20), .act = DELEGATE),
    REFUSED("NOT_DELEGATABLE", POLICY, 0, .causes = BIT(21), .act = DELEGATE),
    REFUSED("NOT_DELEGATABLE", POLICY, 0, .causes = BIT(22) | 4, .act = DELEGATE),
    REFUSED("NOT_DELEGATABLE", POLICY, 0, .causes = BIT(23), .act = DELEGATE),
    REFUSED("DELEGATE_BY_MODE", POLICY, 0, .causes = 4, .act = DELEGATE, .from = HVCORE_FROM_VU),
    REFUSED("DELEGATE_BY_MODE", POLICY, 0, .causes = 4, .act = DELEGATE, .from = HVCORE_FROM_VS),
    REFUSED("NO_FALLBACK", POLICY, 0, .causes = 4, .act = DELEGATE, .late = DELEGATE),
    REFUSED("NO_FALLBACK", POLICY, ALLOW_STOP, .causes = 4, .act = DELEGATE, .late = STOP),
    REFUSED("USELESS_FALLBACK", POLICY, 0, .causes = 4, .act = REDIRECT, .late = REDIRECT),
    REFUSED("USELESS_FALLBACK", POLICY, ALLOW_EXIT, .causes = 4, .act = EXIT, .late = DELEGATE),
    REFUSED("GUEST_KILLABLE", POLICY, ALLOW_EXIT, .causes = 4, .act = STOP),
    REFUSED("GUEST_KILLABLE", POLICY, ALLOW_EXIT, .causes = BIT(16), .act = STOP),
    REFUSED("GUEST_KILLABLE", POLICY, TRUST, .causes = 4, .act = DELEGATE, .late = STOP),
    REFUSED("EXIT_NOT_ALLOWED", POLICY, ALLOW_STOP, .causes = 4, .act = EXIT),
    REFUSED("EXIT_NOT_ALLOWED", POLICY, 0, .causes = 4, .act = EXIT, .from = HVCORE_FROM_VS),
    REFUSED("EXIT_NOT_ALLOWED", POLICY, 0, .causes = BIT(16) | BIT(21), .act = EXIT),
    REFUSED("EXIT_NOT_ALLOWED", POLICY, 0, .causes = BIT(24), .act = EXIT),
    REFUSED("EXIT_NOT_ALLOWED", POLICY, 0, .causes = 4, .act = DELEGATE, .late = EXIT),
    REFUSED("USELESS_AS", POLICY, 0, .causes = 4, .act = EMULATE, .flags = AS, .as = 2),
    REFUSED("USELESS_COUNT", POLICY, 0, .causes = 4, .act = DELEGATE, .flags = NO_COUNT),
    REFUSED("NOT_REDIRECTABLE", POLICY, 0, .causes = BIT(22), .act = REDIRECT, .flags = AS,
            .as = 22),
    REFUSED("NOT_REDIRECTABLE", POLICY, 0, .causes = 4, .act = REDIRECT, .flags = AS, .as = 10),
    REFUSED("NOT_REDIRECTABLE", POLICY, 0, .causes = BIT(16), .act = REDIRECT),
    REFUSED("NOT_REDIRECTABLE", POLICY, 0, .causes = BIT(9), .act = REDIRECT),
    REFUSED("NOT_REDIRECTABLE", POLICY, 0, .causes = BIT(11) | 4, .act = REDIRECT),
};

static hvcore_policy_opts options_by(int flags)
{
    hvcore_policy_opts o = options();
    o.allow_exit = !!(flags & ALLOW_EXIT);
    o.allow_stop = !!(flags & ALLOW_STOP);
    o.firmware_honours = flags & TRUST ? HVCORE_FIRMWARE_YES : HVCORE_FIRMWARE_NO;
    return o;
}

static const char long_name[] = "a name of sixty-three bytes, which is as long as names may be..";

static void test_refusals(void)
{
    CU_ASSERT_EQUAL(sizeof(long_name), 64);
    for (size_t i = 0; i < COUNT(refusals); i++) {
        const refusal *row = &refusals[i];
        hvcore_policy *p = policy_with(options_by(row->opts));
        hvcore_error e = HVCORE_ERROR_INIT;
        hvcore_trap_rule r = row->rule;
        uint32_t id = 77;
        if (!r.name[0]) {
            memcpy(r.name, long_name, sizeof(r.name));
        }
        int rc = hvcore_policy_rule_add(p, &r, &id, &e);
        expect(rc == -row->code && e.code == rc, "row %zu: %d, %s", i, rc, e.message);
        expect(e.rule == 1 && id == 77 && p->count == 0, "row %zu left something", i);
        CU_ASSERT_EQUAL(e.domain, HVCORE_DOMAIN_POLICY);
        expect_message(&e, row->name);
        expect(hvcore_policy_rule_add(p, &r, NULL, NULL) == rc, "row %zu without a record", i);
        hvcore_policy_unref(p);
    }
}

static void test_refused_cause_is_named(void)
{
    hvcore_policy *p = policy_with(options());
    hvcore_error e = HVCORE_ERROR_INIT;
    hvcore_trap_rule r = rule_of(BIT(2) | BIT(22), DELEGATE);
    hvcore_policy_rule_add(p, &r, NULL, &e);
    expect(strstr(e.message, "virtual-instruction") != NULL, "%s", e.message);
    r = rule_of(BIT(2) | BIT(33) | BIT(35), REDIRECT); /* the first of several */
    hvcore_policy_rule_add(p, &r, NULL, &e);
    expect(strstr(e.message, "cause 33") != NULL, "%s", e.message);
    memset(r.name, 'x', sizeof(r.name)); /* without an end */
    CU_ASSERT_EQUAL(hvcore_policy_rule_add(p, &r, NULL, &e), -HVCORE_E_INVAL);
    expect_message(&e, "BAD_NAME");
    hvcore_policy_unref(p);
}

static void test_allowed(void)
{
    static const struct {
        int opts;
        hvcore_trap_rule rule;
    } rows[] = {
        {ALLOW_EXIT, RULE(.causes = 4, .act = EXIT)},
        {ALLOW_STOP, RULE(.causes = 4, .act = STOP)},
        {0, RULE(.causes = BIT(9) | BIT(11) | BIT(16), .act = EXIT)},
        {0, RULE(.causes = BIT(16), .act = REDIRECT, .flags = AS, .as = 2)},
        {0, RULE(.causes = BIT(2), .act = REDIRECT, .as = 35)}, /* unused without the flag */
        {0, RULE(.causes = BIT(24) | BIT(63), .act = REDIRECT)},
        {0, RULE(.causes = ARCH_DELEGATABLE, .act = DELEGATE, .from = HVCORE_FROM_ANY)},
        {TRUST, RULE(.causes = 4, .act = DELEGATE, .late = DELEGATE)},
        {TRUST | ALLOW_STOP, RULE(.causes = 4, .act = DELEGATE, .late = STOP)},
        {0, RULE(.causes = ARCH_DELEGATABLE | CUSTOM | BIT(20) | BIT(21) | BIT(22) | BIT(23),
                 .act = REDIRECT)},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        hvcore_policy *p = policy_with(options_by(rows[i].opts));
        hvcore_error e = HVCORE_ERROR_INIT;
        uint32_t id = 0;
        expect(hvcore_policy_rule_add(p, &rows[i].rule, &id, &e) == 0, "%zu: %s", i, e.message);
        CU_ASSERT_EQUAL(id, 1);
        hvcore_policy_unref(p);
    }
}

static void test_shadowed(void)
{
    hvcore_policy *p = policy_with(options());
    hvcore_error e = HVCORE_ERROR_INIT;
    hvcore_trap_rule r = rule_of(BIT(2), REDIRECT);
    r.from = HVCORE_FROM_VU;
    add(p, r);
    CU_ASSERT_EQUAL(hvcore_policy_rule_add(p, &r, NULL, &e), -HVCORE_E_POLICY); /* again */
    r = rule_of(BIT(4) | BIT(6), REDIRECT);
    memcpy(r.name, long_name, sizeof(r.name));
    add(p, r);
    add(p, rule_of(BIT(4) | BIT(2), REDIRECT)); /* 2 from VS is left for it */
    r = rule_of(BIT(6), EMULATE);
    r.from = HVCORE_FROM_VS;
    memcpy(r.name, long_name, sizeof(r.name));
    CU_ASSERT_EQUAL(hvcore_policy_rule_add(p, &r, NULL, &e), -HVCORE_E_POLICY);
    CU_ASSERT_EQUAL(e.rule, 4);
    expect_message(&e, "SHADOWED");
    expect(strstr(e.message, "rule 2 \"a name") != NULL, "%s", e.message);
    r = rule_of(BIT(2) | BIT(4) | BIT(6), REDIRECT); /* three rules together take it */
    CU_ASSERT_EQUAL(hvcore_policy_rule_add(p, &r, NULL, &e), -HVCORE_E_POLICY);
    expect(strstr(e.message, "rule 1,") != NULL, "%s", e.message);
    add(p, rule_of(BIT(2) | BIT(4) | BIT(6) | BIT(7), REDIRECT));
    CU_ASSERT_EQUAL(p->count, 4);
    hvcore_policy_unref(p);
}

static void test_delegate_what_is_half_taken(void)
{
    hvcore_policy *p = policy_with(options());
    hvcore_error e = HVCORE_ERROR_INIT;
    hvcore_trap_rule r = rule_of(BIT(2), REDIRECT);
    r.from = HVCORE_FROM_VU;
    add(p, r);
    add(p, rule_of(BIT(3), REDIRECT));
    r = rule_of(BIT(2) | BIT(3) | BIT(8), DELEGATE);
    CU_ASSERT_EQUAL(hvcore_policy_rule_add(p, &r, NULL, &e), -HVCORE_E_POLICY);
    expect_message(&e, "DELEGATE_BY_MODE");
    expect(strstr(e.message, "illegal-instruction") != NULL, "%s", e.message);
    add(p, rule_of(BIT(3) | BIT(8), DELEGATE)); /* 3 is wholly taken: no conflict */
    hvc_policy_table t = table_of(p, machine());
    CU_ASSERT_EQUAL(t.hedeleg, BASE_DELEGATES & ~(BIT(2) | BIT(3)));
}

/* --- what the machine cannot do --------------------------------------------------------------- */

typedef struct gap {
    const char *name;
    uint32_t act, late;
    int opts;
    uint32_t cls;
    uint64_t delegatable, emulators;
    uint32_t honours;
    hvc_action action; /* what the library does then */
} gap;

#define GAP(name, act, late, opts, cls, delegatable, emulators, honours, ...) \
    {                                                                         \
        name, act, late, opts, cls, delegatable, emulators, honours,          \
        {                                                                     \
            __VA_ARGS__, 1                                                    \
        }                                                                     \
    }

static const gap gaps[] = {
    GAP("NOT_WRITABLE", DELEGATE, 0, 0, 19, QEMU_DELEGATABLE, EMULATORS, 1, REDIRECT, 19, 1, 0),
    GAP("NOT_WRITABLE", DELEGATE, EXIT, ALLOW_EXIT, 2, 0, EMULATORS, 1, REDIRECT, 2, 1, 0),
    GAP("FW_NOT_TRUSTED", DELEGATE, 0, TRUST, 2, ARCH_DELEGATABLE, EMULATORS, 0, REDIRECT, 2, 1, 1),
    GAP("FW_NOT_TRUSTED", DELEGATE, DELEGATE, TRUST, 2, ARCH_DELEGATABLE, EMULATORS, 0, REDIRECT, 2,
        1, 1),
    GAP("FW_NOT_TRUSTED", DELEGATE, STOP, TRUST | ALLOW_STOP, 2, ARCH_DELEGATABLE, EMULATORS, 0,
        REDIRECT, 2, 1, 1),
    GAP("FW_NOT_TRUSTED", DELEGATE, EXIT, TRUST | ALLOW_EXIT, 2, ARCH_DELEGATABLE, EMULATORS, 0,
        EXIT, 2, 0, 1),
    GAP("NO_EMULATOR", EMULATE, 0, 0, 4, ARCH_DELEGATABLE, EMULATORS, 1, REDIRECT, 4, 1, 0),
    GAP("NO_EMULATOR", EMULATE, 0, 0, 21, ARCH_DELEGATABLE, 0, 1, REDIRECT, 5, 1, 0),
    GAP("NO_EMULATOR", EMULATE, 0, 0, 16, ARCH_DELEGATABLE, 0, 1, EXIT, 16, 0, 0),
    GAP("NO_EMULATOR", DELEGATE, EMULATE, 0, 2, ARCH_DELEGATABLE, EMULATORS, 1, REDIRECT, 2, 1, 1),
};

static hvcore_report_item item_of(const hvcore_report *r, uint32_t cls)
{
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;
    for (uint32_t i = 0; hvcore_report_item_get(r, i, &item) == 0; i++) {
        if (item.cls == cls) {
            return item;
        }
    }
    expect(false, "no line for cause %u", cls);
    return item;
}

static uint32_t flagged(const hvcore_report *r)
{
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;
    uint32_t n = 0;
    for (uint32_t i = 0; hvcore_report_item_get(r, i, &item) == 0; i++) {
        n += item.flags & HVCORE_REPORT_NOT_AS_ASKED;
    }
    return n;
}

static void check_gap(const gap *g, uint32_t on_unenforceable)
{
    hvcore_policy_opts o = options_by(g->opts);
    o.on_unenforceable = on_unenforceable;
    hvcore_policy *p = policy_with(o);
    hvcore_trap_rule r = rule_of(BIT(g->cls), g->act);
    hvc_policy_facts f = {.arch = HVCORE_ARCH_RISCV64,
                          .firmware_honours = g->honours,
                          .delegatable = g->delegatable,
                          .emulators = g->emulators,
                          .double_trap = g->cls == HVCORE_RISCV64_DOUBLE_TRAP};
    hvc_policy_table t, before;
    hvcore_report *report = NULL;
    hvcore_error e = HVCORE_ERROR_INIT;
    bool refuse = on_unenforceable == HVCORE_UNENFORCEABLE_REFUSE;
    r.late = g->late;
    add(p, r);
    memset(&t, 0xee, sizeof(t));
    before = t;
    int rc = hvc_policy_compile(p, &f, &t, &report, &e);
    expect(rc == (refuse ? -HVCORE_E_POLICY : 0), "%s: %d %s", g->name, rc, e.message);
    if (refuse) {
        expect_message(&e, g->name);
        CU_ASSERT_EQUAL(e.rule, 1);
        CU_ASSERT_EQUAL(memcmp(&t, &before, sizeof(t)), 0);
    } else {
        expect_action(&t, 0, g->cls, g->action);
        expect_action(&t, 1, g->cls, g->action);
    }
    hvcore_report_item item = item_of(report, g->cls);
    expect(item.enforcer == HVCORE_BY_LIBRARY && item.flags == HVCORE_REPORT_NOT_AS_ASKED,
           "%s: %u %u", g->name, item.enforcer, item.flags);
    expect(!strncmp(item.why, g->name, strlen(g->name)), "%s: %s", g->name, item.why);
    CU_ASSERT_EQUAL(item.act, g->act);
    CU_ASSERT_EQUAL(flagged(report), 1);
    CU_ASSERT_EQUAL(hvc_report_not_as_asked(report), 1);
    hvcore_report_free(report);
    hvcore_policy_unref(p);
}

static void test_gaps(void)
{
    for (size_t i = 0; i < COUNT(gaps); i++) {
        check_gap(&gaps[i], HVCORE_UNENFORCEABLE_REFUSE);
        check_gap(&gaps[i], HVCORE_UNENFORCEABLE_WARN);
        check_gap(&gaps[i], HVCORE_UNENFORCEABLE_REDIRECT);
    }
}

static hvcore_report *report_of(hvcore_policy *p, hvc_policy_facts f)
{
    hvcore_report *report = NULL;
    hvc_policy_table t;
    CU_ASSERT_EQUAL(hvc_policy_compile(p, &f, &t, &report, NULL), 0);
    hvcore_policy_unref(p);
    return report;
}

/* The base relies on nobody: a policy that trusts changes nothing for it. */
static void test_base_trusts_nobody(void)
{
    hvc_policy_facts f = machine();
    f.firmware_honours = 0;
    hvcore_report *r = report_of(policy_with(options_by(TRUST)), f);
    CU_ASSERT_EQUAL(item_of(r, 2).enforcer, HVCORE_BY_HARDWARE);
    CU_ASSERT_EQUAL(flagged(r), 0);
    hvcore_report_free(r);
}

/* What cannot arise can still be asked for in vain. */
static void test_gap_of_what_never_is(void)
{
    hvcore_policy *p = policy_with(options());
    hvcore_error e = HVCORE_ERROR_INIT;
    hvcore_report *report;
    hvc_policy_facts f = machine();
    hvc_policy_table t;
    add(p, rule_of(BIT(16), EMULATE));
    CU_ASSERT_EQUAL(hvc_policy_compile(p, &f, &t, &report, &e), -HVCORE_E_POLICY);
    expect_message(&e, "NO_EMULATOR: rule 1, double-trap:");
    CU_ASSERT_EQUAL(item_of(report, 16).enforcer, HVCORE_BY_NOBODY);
    CU_ASSERT_EQUAL(item_of(report, 16).flags, HVCORE_REPORT_NOT_AS_ASKED);
    hvcore_report_free(report);
    hvcore_policy_unref(p);
}

/* The first of several gaps is in the record, all are in the report. */
static void test_all_gaps_reported(void)
{
    hvcore_policy *p = policy_with(options());
    hvcore_error e = HVCORE_ERROR_INIT;
    hvcore_report *report;
    hvc_policy_table t;
    hvc_policy_facts f = machine();
    f.delegatable = BIT(3);
    add(p, rule_of(BIT(3) | BIT(8) | BIT(12), DELEGATE));
    add(p, rule_of(BIT(4), EMULATE));
    CU_ASSERT_EQUAL(hvc_policy_compile(p, &f, &t, &report, &e), -HVCORE_E_POLICY);
    expect_message(&e, "NO_EMULATOR: rule 2, load-misaligned:");
    CU_ASSERT_EQUAL(e.rule, 2);
    CU_ASSERT_EQUAL(hvc_report_not_as_asked(report), 3);
    CU_ASSERT_EQUAL(hvc_policy_compile(p, &f, &t, NULL, NULL), -HVCORE_E_POLICY);
    hvcore_report_free(report);
    hvcore_policy_unref(p);
}

/* --- report ----------------------------------------------------------------------------------- */

static void test_report_of_base(void)
{
    static const unsigned order[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                     11, 12, 13, 15, 16, 18, 19, 20, 21, 22, 23};
    hvcore_report *r = report_of(policy_with(options()), machine());
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;
    for (uint32_t i = 0; i < COUNT(order); i++) {
        unsigned cls = order[i];
        CU_ASSERT_EQUAL_FATAL(hvcore_report_item_get(r, i, &item), 0);
        expect(item.cls == cls && item.from == HVCORE_FROM_ANY && item.rule == 0, "line %u", i);
        expect(!strcmp(item.cause, hvcore_trap_cause_name(HVCORE_ARCH_RISCV64, cls)), "%s",
               item.cause);
        bool never = cls == 9 || cls == 11 || cls == 16;
        uint32_t by = never                       ? HVCORE_BY_NOBODY
                      : BASE_DELEGATES & BIT(cls) ? HVCORE_BY_HARDWARE
                                                  : HVCORE_BY_LIBRARY;
        expect(item.enforcer == by && item.flags == 0, "cause %u by %u", cls, item.enforcer);
        size_t n = strnlen(item.why, sizeof(item.why));
        expect(n > 5 && n < sizeof(item.why) - 1 && item.why[n - 1] != '.', "%s", item.why);
        CU_ASSERT_EQUAL(item.size, sizeof(item));
    }
    CU_ASSERT_EQUAL(hvcore_report_item_get(r, COUNT(order), &item), -HVCORE_E_NOTFOUND);
    CU_ASSERT_EQUAL(hvcore_report_item_get(r, UINT32_MAX, &item), -HVCORE_E_NOTFOUND);
    CU_ASSERT_EQUAL(item_of(r, 20).as, 1);
    CU_ASSERT_EQUAL(item_of(r, 20).act, REDIRECT);
    CU_ASSERT_EQUAL(item_of(r, 2).act, DELEGATE);
    hvcore_report_free(r);
}

static void test_report_lines(void)
{
    hvcore_policy *p = policy_with(options());
    hvcore_trap_rule r = rule_of(BIT(2), REDIRECT);
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;
    hvc_policy_facts f = machine();
    r.from = HVCORE_FROM_VU;
    add(p, r);
    add(p, rule_of(BIT(30), REDIRECT));
    add(p, rule_of(BIT(16), EXIT));
    f.double_trap = 1;
    f.intercept = BIT(3);
    hvcore_report *report = report_of(p, f);
    CU_ASSERT_EQUAL(hvcore_report_item_get(report, 2, &item), 0);
    expect(item.cls == 2 && item.from == HVCORE_FROM_VU && item.rule == 1, "%s", item.why);
    CU_ASSERT_EQUAL(hvcore_report_item_get(report, 3, &item), 0);
    expect(item.cls == 2 && item.from == HVCORE_FROM_VS && item.rule == 0, "%s", item.why);
    expect(item.act == DELEGATE && item.enforcer == HVCORE_BY_LIBRARY, "%s", item.why);
    expect(strstr(item.why, "modes") != NULL, "%s", item.why);
    item = item_of(report, 16);
    expect(item.enforcer == HVCORE_BY_LIBRARY, "%s", item.why);
    item = item_of(report, 3);
    expect(item.enforcer == HVCORE_BY_LIBRARY && strstr(item.why, "debugger"), "%s", item.why);
    item = item_of(report, 30);
    expect(!strcmp(item.cause, "custom-30") && item.rule == 2, "%s", item.cause);
    CU_ASSERT_EQUAL(hvcore_report_item_get(report, 24, &item), -HVCORE_E_NOTFOUND);
    hvcore_report_free(report);
}

/* Every cause by a rule of its own mode: the most lines that there can be. */
static void test_report_longest(void)
{
    hvcore_policy *p = policy_with(options());
    uint64_t all = ARCH_DELEGATABLE | CUSTOM | BIT(20) | BIT(21) | BIT(22) | BIT(23);
    hvcore_trap_rule r = rule_of(all, REDIRECT);
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;
    uint32_t n = 0;
    r.from = HVCORE_FROM_VU;
    add(p, r);
    r.from = HVCORE_FROM_VS;
    add(p, r);
    hvcore_report *report = report_of(p, machine());
    while (hvcore_report_item_get(report, n, &item) == 0) {
        n++;
    }
    CU_ASSERT_EQUAL(n, 2 * 42 + 4);
    hvcore_report_free(report);
}

static void test_report_arguments(void)
{
    hvcore_report *r = report_of(policy_with(options()), machine());
    struct {
        hvcore_report_item item;
    } small;
    memset(&small, 0x5a, sizeof(small));
    small.item.size = 8;
    CU_ASSERT_EQUAL(hvcore_report_item_get(r, 2, &small.item), 0);
    CU_ASSERT_EQUAL(small.item.size, 8);
    CU_ASSERT_EQUAL(small.item.cls, 2);
    CU_ASSERT_EQUAL(small.item.from, 0x5a5a5a5a); /* nothing was written behind the eighth byte */
    small.item.size = 0;
    CU_ASSERT_EQUAL(hvcore_report_item_get(r, 2, &small.item), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_report_item_get(NULL, 0, &small.item), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_report_item_get(r, 0, NULL), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvc_report_not_as_asked(NULL), 0);
    hvcore_report_free(r);
    hvcore_report_free(NULL);
}

/* --- the object ------------------------------------------------------------------------------- */

static int create_code(hvcore_policy_opts o, const char *begins)
{
    hvcore_policy *p = (hvcore_policy *)&o;
    hvcore_error e = HVCORE_ERROR_INIT;
    int rc = hvcore_policy_create(&o, &p, &e);
    expect(rc == 0 || !p, "a policy after %d", rc);
    if (rc) {
        expect_message(&e, begins);
    }
    hvcore_policy_unref(rc ? NULL : p);
    return rc;
}

static void test_create_options(void)
{
    hvcore_policy_opts o = options();
    o.base = "linux-guest";
    CU_ASSERT_EQUAL(create_code(o, ""), 0);
    o.base = "linux-guest2";
    CU_ASSERT_EQUAL(create_code(o, ""), -HVCORE_E_NOTFOUND);
    o.base = "";
    CU_ASSERT_EQUAL(create_code(o, ""), -HVCORE_E_NOTFOUND);
    o = options();
    o.arch = HVCORE_ARCH_ARM64;
    CU_ASSERT_EQUAL(create_code(o, ""), -HVCORE_E_UNSUPPORTED);
    o = options();
    o.on_unenforceable = 3;
    CU_ASSERT_EQUAL(create_code(o, ""), -HVCORE_E_INVAL);
    o = options();
    o.firmware_honours = 2;
    CU_ASSERT_EQUAL(create_code(o, ""), -HVCORE_E_INVAL);
    o = options();
    o.allow_exit = 2;
    CU_ASSERT_EQUAL(create_code(o, ""), -HVCORE_E_INVAL);
    o = options();
    o.allow_stop = UINT32_MAX;
    CU_ASSERT_EQUAL(create_code(o, ""), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_policy_create(&o, NULL, NULL), -HVCORE_E_INVAL);
}

static int storm_code(uint32_t repeat, uint32_t per_ms, uint32_t act)
{
    hvcore_policy_opts o = options();
    o.storm = (hvcore_storm_opts){sizeof(o.storm), repeat, per_ms, act};
    return create_code(o, act ? "STORM_RANGE" : "");
}

static void test_storm(void)
{
    hvcore_policy_opts o = options();
    o.storm = (hvcore_storm_opts){sizeof(o.storm), 64, 200, EXIT};
    hvc_policy_table t = table_of(policy_with(o), machine());
    CU_ASSERT_EQUAL(t.storm.repeat, 64);
    CU_ASSERT_EQUAL(t.storm.drain, 200);
    CU_ASSERT_EQUAL(t.storm.capacity, 2000); /* specs 4.3 */
    CU_ASSERT_EQUAL(t.storm_act, EXIT);
    CU_ASSERT_EQUAL(storm_code(0, 0, EXIT), 0);
    CU_ASSERT_EQUAL(storm_code(2, 1, EXIT), 0);
    CU_ASSERT_EQUAL(storm_code(1000000, 1000000, EXIT), 0);
    CU_ASSERT_EQUAL(storm_code(1, 0, EXIT), -HVCORE_E_RANGE);
    CU_ASSERT_EQUAL(storm_code(1000001, 0, EXIT), -HVCORE_E_RANGE);
    CU_ASSERT_EQUAL(storm_code(0, UINT32_MAX, EXIT), -HVCORE_E_RANGE);
    CU_ASSERT_EQUAL(storm_code(5, 5, NONE), 0);
    o.storm.act = STOP;
    CU_ASSERT_EQUAL(create_code(o, "BAD_ACTION"), -HVCORE_E_INVAL);
    o.storm.act = EXIT;
    o.storm.size = sizeof(o.storm) + 4;
    CU_ASSERT_EQUAL(create_code(o, ""), -HVCORE_E_INVAL);
    o.storm.size = 8; /* an older program, which knows `repeat` alone */
    t = table_of(policy_with(o), machine());
    CU_ASSERT_EQUAL(t.storm.repeat, 64);
    CU_ASSERT_EQUAL(t.storm.drain, 0);
    CU_ASSERT_EQUAL(t.storm_act, NONE);
}

static void test_sizes(void)
{
    hvcore_policy_opts o = options();
    o.size = offsetof(hvcore_policy_opts, base);
    o.base = "of a newer program";
    o.allow_exit = 77;
    CU_ASSERT_EQUAL(create_code(o, ""), 0);
    o = options();
    o.size = sizeof(o) + 8;
    CU_ASSERT_EQUAL(create_code(o, ""), -HVCORE_E_INVAL);
    o.size = 0;
    CU_ASSERT_EQUAL(create_code(o, ""), -HVCORE_E_INVAL);
    hvcore_policy *p = policy_with(options());
    hvcore_trap_rule r = rule_of(BIT(2), REDIRECT);
    r.size = offsetof(hvcore_trap_rule, late);
    r.late = r.as = r.flags = 99;
    CU_ASSERT_EQUAL(hvcore_policy_rule_add(p, &r, NULL, NULL), 0);
    r.size = sizeof(r) + 1;
    CU_ASSERT_EQUAL(hvcore_policy_rule_add(p, &r, NULL, NULL), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_policy_rule_add(p, NULL, NULL, NULL), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_policy_rule_add(NULL, &r, NULL, NULL), -HVCORE_E_INVAL);
    hvcore_policy_unref(p);
}

static void test_seal(void)
{
    hvcore_policy *p = policy_with(options());
    hvcore_trap_rule r = rule_of(BIT(2), REDIRECT);
    hvcore_error e = HVCORE_ERROR_INIT;
    hvc_policy_facts f = machine(), other = machine();
    hvcore_report *report = (hvcore_report *)&f;
    hvc_policy_table t;
    other.arch = HVCORE_ARCH_ARM64;
    CU_ASSERT_EQUAL(hvc_policy_compile(p, &other, &t, &report, &e), -HVCORE_E_TYPE);
    CU_ASSERT_PTR_NULL(report);
    expect_message(&e, "");
    atomic_store(&p->state, HVC_POLICY_ADDING); /* as if another thread stood in the middle */
    CU_ASSERT_EQUAL(hvcore_policy_rule_add(p, &r, NULL, &e), -HVCORE_E_BUSY);
    CU_ASSERT_EQUAL(hvc_policy_compile(p, &f, &t, NULL, &e), -HVCORE_E_BUSY);
    atomic_store(&p->state, HVC_POLICY_OPEN);
    CU_ASSERT_EQUAL(hvc_policy_compile(p, &f, &t, NULL, NULL), 0);
    CU_ASSERT_EQUAL(hvcore_policy_rule_add(p, &r, NULL, &e), -HVCORE_E_STATE);
    expect_message(&e, "");
    CU_ASSERT_EQUAL(hvc_policy_compile(p, &f, &t, NULL, NULL), 0);
    hvcore_policy_unref(p);
}

static void test_refs(void)
{
    hvcore_policy *p = policy_with(options());
    CU_ASSERT_PTR_EQUAL(hvcore_policy_ref(p), p);
    hvcore_policy_unref(p);
    add(p, rule_of(BIT(2), REDIRECT)); /* still alive */
    hvcore_policy_unref(p);
    hvcore_policy_unref(NULL);
    CU_ASSERT_PTR_NULL(hvcore_policy_ref(NULL));
}

/* A rule per cause and mode, beyond the first allocation; then the bound, which no set of causes of
 * today reaches. */
static void test_many_rules(void)
{
    hvcore_policy *p = policy_with(options());
    hvcore_error e = HVCORE_ERROR_INIT;
    uint32_t id = 0, n = 0;
    for (unsigned mode = 0; mode < 2; mode++) {
        for (unsigned c = 0; c < 64; c++) {
            hvcore_trap_rule r = rule_of(BIT(c), REDIRECT);
            r.from = 1u << mode;
            snprintf(r.name, sizeof(r.name), "rule for %u", c);
            if ((ARCH_DELEGATABLE | CUSTOM) & BIT(c)) {
                CU_ASSERT_EQUAL(hvcore_policy_rule_add(p, &r, &id, &e), 0);
                CU_ASSERT_EQUAL(id, ++n);
            }
        }
    }
    CU_ASSERT_STRING_EQUAL(p->rule[0].name, "rule for 0");
    CU_ASSERT_STRING_EQUAL(p->rule[n - 1].name, "rule for 63");
    hvcore_trap_rule r = rule_of(BIT(20), REDIRECT);
    p->count = HVC_POLICY_RULES;
    CU_ASSERT_EQUAL(hvcore_policy_rule_add(p, &r, NULL, &e), -HVCORE_E_LIMIT);
    p->count = n;
    hvc_policy_table t = table_of(p, machine());
    CU_ASSERT_EQUAL(t.action[1][63].rule, n);
    CU_ASSERT_EQUAL(t.hedeleg, 0);
}

static void *compile_often(void *arg)
{
    hvc_policy_facts f = machine();
    for (int i = 0; i < 200; i++) {
        hvcore_policy *p = hvcore_policy_ref(arg);
        hvcore_report *report = NULL;
        hvc_policy_table t;
        if (hvc_policy_compile(p, &f, &t, &report, NULL) || t.action[0][2].rule != 1) {
            return arg;
        }
        hvcore_report_free(report);
        hvcore_policy_unref(p);
    }
    return NULL;
}

static void test_compile_at_once(void)
{
    hvcore_policy *p = policy_with(options());
    pthread_t thread[4];
    add(p, rule_of(BIT(2), REDIRECT));
    for (size_t i = 0; i < COUNT(thread); i++) {
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, compile_often, p), 0);
    }
    for (size_t i = 0; i < COUNT(thread); i++) {
        void *bad = p;
        pthread_join(thread[i], &bad);
        CU_ASSERT_PTR_NULL(bad);
    }
    hvcore_policy_unref(p);
}

static void *add_often(void *arg)
{
    hvcore_trap_rule r = rule_of(BIT(2), REDIRECT);
    while (hvcore_policy_rule_add(arg, &r, NULL, NULL) != -HVCORE_E_STATE) {
    }
    return NULL;
}

/* Rules that are added while the policy is sealed are in it wholly or not at all. */
static void test_seal_race(void)
{
    for (int i = 0; i < 100; i++) {
        hvcore_policy *p = policy_with(options());
        hvc_policy_facts f = machine();
        hvc_policy_table t;
        pthread_t thread;
        int rc;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, add_often, p), 0);
        do {
            rc = hvc_policy_compile(p, &f, &t, NULL, NULL);
        } while (rc == -HVCORE_E_BUSY);
        pthread_join(thread, NULL);
        CU_ASSERT_EQUAL(rc, 0);
        CU_ASSERT_EQUAL(t.action[0][2].rule, p->count);
        hvcore_policy_unref(p);
    }
}

/* --- properties of random policies ------------------------------------------------------------ */

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

static hvcore_trap_rule random_rule(void)
{
    hvcore_trap_rule r = rule_of(rnd() & rnd() & rnd() & ~BIT(10), (uint32_t)(rnd() % 5 + 1));
    r.causes &= rnd() % 4 ? UINT64_C(0xffffff) : UINT64_MAX;
    r.from = (uint32_t)(rnd() % 4);
    r.late = r.act == DELEGATE ? (uint32_t)(rnd() % 6) : 0;
    r.flags = rnd() % 4 ? 0 : (uint32_t)(rnd() % 4);
    r.as = (uint32_t)(rnd() % 20);
    return r;
}

/* The slow way: all rules, by mode and cause. */
static uint32_t oracle_rule(const hvcore_trap_rule *rules, uint32_t n, unsigned mode, unsigned cls)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from = rules[i].from ? rules[i].from : 3;
        if ((rules[i].causes >> cls & 1) && (from >> mode & 1)) {
            return i + 1;
        }
    }
    return 0;
}

static void check_cell(const hvc_policy_table *t, const hvcore_trap_rule *rules, uint32_t n,
                       const hvcore_policy_opts *o, unsigned mode, unsigned cls)
{
    const hvc_action *a = &t->action[mode][cls];
    uint64_t vu = ARCH_DELEGATABLE | CUSTOM | BIT(20) | BIT(21) | BIT(22) | BIT(23);
    uint64_t seen = ARCH_DELEGATABLE | CUSTOM;
    CU_ASSERT_EQUAL(a->rule, oracle_rule(rules, n, mode, cls));
    CU_ASSERT_TRUE(a->act >= REDIRECT && a->act <= STOP);
    CU_ASSERT_TRUE(a->act != STOP || o->allow_stop);
    CU_ASSERT_TRUE(a->act != REDIRECT || (seen >> a->as & 1));
    CU_ASSERT_EQUAL(a->late, t->hedeleg >> cls & 1);
    if (a->rule && a->act == EXIT && (vu >> cls & 1) && !o->allow_exit) {
        CU_ASSERT_EQUAL(rules[a->rule - 1].late, DELEGATE); /* trusted, and wrongly so */
    }
    if (t->hedeleg >> cls & 1) {
        CU_ASSERT_TRUE(!a->rule || rules[a->rule - 1].act == DELEGATE);
    }
}

static void check_random_policy(void)
{
    hvcore_policy_opts o = options_by((int)(rnd() % 8));
    hvcore_trap_rule rules[12];
    uint32_t n = 0;
    hvc_policy_facts f = {.arch = HVCORE_ARCH_RISCV64,
                          .firmware_honours = (uint32_t)(rnd() & 1),
                          .delegatable = rnd() | rnd(),
                          .intercept = rnd() & rnd() & rnd(),
                          .emulators = rnd(),
                          .double_trap = (uint32_t)(rnd() & 1),
                          .debug_breakpoints = (uint32_t)(rnd() & 1),
                          .fwft_misaligned = (uint32_t)(rnd() & 1)};
    o.on_unenforceable = HVCORE_UNENFORCEABLE_REDIRECT;
    hvcore_policy *p = policy_with(o);
    for (size_t i = 0; i < COUNT(rules); i++) {
        rules[n] = random_rule();
        n += hvcore_policy_rule_add(p, &rules[n], NULL, NULL) == 0;
    }
    hvc_policy_table t = table_of(p, f);
    CU_ASSERT_EQUAL(t.hedeleg & ~(f.delegatable & ~f.intercept & (ARCH_DELEGATABLE | CUSTOM)), 0);
    for (unsigned mode = 0; mode < 2; mode++) {
        for (unsigned cls = 0; cls < 64; cls++) {
            check_cell(&t, rules, n, &o, mode, cls);
        }
    }
}

static void test_random_policies(void)
{
    for (int i = 0; i < 1500; i++) {
        check_random_policy();
    }
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"cause names", test_cause_names},
        {"cause facts", test_cause_facts},
        {"cause redirect targets", test_cause_redirect},
        {"has gva", test_has_gva},
        {"base table", test_base_table},
        {"base on a poor machine", test_base_poor_machine},
        {"base and what a machine claims", test_base_claims},
        {"first rule decides", test_first_rule_decides},
        {"rule of one mode", test_rule_of_one_mode},
        {"late arrivals", test_late},
        {"refusals by name", test_refusals},
        {"the refused cause is named", test_refused_cause_is_named},
        {"what is allowed", test_allowed},
        {"shadowed rules", test_shadowed},
        {"delegating what is half taken", test_delegate_what_is_half_taken},
        {"what the machine cannot do", test_gaps},
        {"all gaps are reported", test_all_gaps_reported},
        {"the base trusts nobody", test_base_trusts_nobody},
        {"a gap of what never is", test_gap_of_what_never_is},
        {"report of the base", test_report_of_base},
        {"report lines", test_report_lines},
        {"longest report", test_report_longest},
        {"report arguments", test_report_arguments},
        {"options", test_create_options},
        {"storm options", test_storm},
        {"sizes", test_sizes},
        {"seal", test_seal},
        {"references", test_refs},
        {"many rules", test_many_rules},
        {"compile at once", test_compile_at_once},
        {"seal race", test_seal_race},
        {"random policies", test_random_policies},
        {NULL, NULL},
    };
    return hvc_unit_main("policy", tests);
}
