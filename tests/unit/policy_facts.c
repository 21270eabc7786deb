/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy comes to where others have a say: a debugger, a guest's own switch, a backend that
 * decides for itself, guests with double traps.
 */
#include "tests/unit/policy.h"
#include "tests/unit/toy.h"

enum { REFUSE = HVCORE_UNENFORCEABLE_REFUSE, WARN = HVCORE_UNENFORCEABLE_WARN };

#define VU HVCORE_RISCV64_VU
#define VS HVCORE_RISCV64_VS

/* One compilation, its policy already gone. */
typedef struct outcome {
    int rc;
    hvcore_error error;
    hvc_policy_table table;
    hvcore_report *report;
} outcome;

static hvcore_policy *policy_of(uint32_t on_unenforceable, const hvcore_trap_rule *rules, size_t n)
{
    hvcore_policy_opts o = options_all_allowed();
    o.on_unenforceable = on_unenforceable;
    hvcore_policy *p = policy_with(o);
    for (size_t i = 0; i < n; i++) {
        add(p, rules[i]);
    }
    return p;
}

static outcome compiled(hvcore_policy *p, hvc_policy_facts f)
{
    outcome o = {.error = HVCORE_ERROR_INIT};
    o.rc = hvc_policy_compile(p, &f, &o.table, &o.report, &o.error);
    hvcore_policy_unref(p);
    return o;
}

static hvcore_report_item line_of(const outcome *o, uint32_t cls)
{
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;
    for (uint32_t i = 0; hvcore_report_item_get(o->report, i, &item) == 0; i++) {
        if (item.cls == cls) {
            return item;
        }
    }
    expect(false, "no line for cause %u", cls);
    return item;
}

static void expect_line(const outcome *o, uint32_t cls, uint32_t by, bool flagged, const char *why)
{
    hvcore_report_item item = line_of(o, cls);
    expect(item.enforcer == by, "cause %u by %u", cls, item.enforcer);
    expect(!(item.flags & HVCORE_REPORT_NOT_AS_ASKED) == !flagged, "cause %u: flag", cls);
    expect(!strncmp(item.why, why, strlen(why)), "cause %u: %s", cls, item.why);
    expect(strlen(item.why) < sizeof(item.why) - 1, "cut off: %s", item.why);
}

/* Refused by this name, for this rule; only warned of otherwise. */
static outcome check_gap(const char *name, uint32_t rule, hvc_policy_facts f,
                         const hvcore_trap_rule *rules, size_t n)
{
    outcome o = compiled(policy_of(REFUSE, rules, n), f);
    CU_ASSERT_EQUAL(o.rc, -HVCORE_E_POLICY);
    expect_message(&o.error, name);
    expect(o.error.rule == rule, "%s: rule %u", name, o.error.rule);
    CU_ASSERT_EQUAL(hvc_report_not_as_asked(o.report), 1);
    hvcore_report_free(o.report);
    o = compiled(policy_of(WARN, rules, n), f);
    expect(o.rc == 0, "%s: %s", name, o.error.message);
    CU_ASSERT_EQUAL(hvc_report_not_as_asked(o.report), 1);
    return o;
}

/* No gap. */
static outcome check_good(hvc_policy_facts f, const hvcore_trap_rule *rules, size_t n)
{
    outcome o = compiled(policy_of(REFUSE, rules, n), f);
    expect(o.rc == 0, "%s", o.error.message);
    CU_ASSERT_EQUAL(hvc_report_not_as_asked(o.report), 0);
    return o;
}

/* --- a debugger ------------------------------------------------------------------------------- */

static void test_debugger(void)
{
    hvc_policy_facts f = machine();
    hvcore_trap_rule r = rule_of(BIT(2) | BIT(3), DELEGATE);
    f.debug_breakpoints = 1;
    outcome o = check_gap("DEBUG_CONFLICT: rule 1, breakpoint", 1, f, &r, 1);
    CU_ASSERT_EQUAL(o.table.hedeleg, BASE_DELEGATES & ~BIT(3));
    expect_action(&o.table, VU, 3, (hvc_action){REDIRECT, 3, 1, 0, 1});
    expect_line(&o, 3, HVCORE_BY_LIBRARY, true, "DEBUG_CONFLICT");
    expect_line(&o, 2, HVCORE_BY_HARDWARE, false, "hedeleg");
    hvcore_report_free(o.report);
}

/* The base gives way; rules that do not delegate it have no conflict. */
static void test_debugger_and_others(void)
{
    hvc_policy_facts f = machine();
    hvcore_trap_rule r = rule_of(BIT(3), EXIT);
    f.debug_breakpoints = 1;
    outcome o = check_good(f, NULL, 0);
    CU_ASSERT_EQUAL(o.table.hedeleg, BASE_DELEGATES & ~BIT(3));
    expect_action(&o.table, VS, 3, (hvc_action){REDIRECT, 3, 1, 0, 0});
    hvcore_report_free(o.report);
    o = check_good(f, &r, 1);
    expect_action(&o.table, VS, 3, (hvc_action){EXIT, 3, 0, 0, 1});
    hvcore_report_free(o.report);
    r.act = DELEGATE;
    f.delegatable &= ~BIT(3); /* it could not be had without a debugger either */
    o = check_gap("NOT_WRITABLE", 1, f, &r, 1);
    hvcore_report_free(o.report);
}

/* --- one switch for two causes ---------------------------------------------------------------- */

static void test_pair(void)
{
    hvc_policy_facts f = machine();
    hvcore_trap_rule r[] = {rule_of(BIT(4), DELEGATE), rule_of(BIT(6), REDIRECT)};
    f.fwft_misaligned = 1;
    outcome o = check_gap("MISALIGNED_PAIR: rule 1, load-misaligned", 1, f, r, 2);
    CU_ASSERT_EQUAL(o.table.hedeleg, BASE_DELEGATES);
    expect_action(&o.table, VU, 4, (hvc_action){REDIRECT, 4, 1, 0, 1});
    expect_line(&o, 4, HVCORE_BY_LIBRARY, true, "MISALIGNED_PAIR");
    expect_line(&o, 6, HVCORE_BY_LIBRARY, false, "hedeleg lets it pass");
    hvcore_report_free(o.report);
    f.fwft_misaligned = 0;
    o = check_good(f, r, 2);
    CU_ASSERT_EQUAL(o.table.hedeleg, BASE_DELEGATES | BIT(4));
    hvcore_report_free(o.report);
}

/* The base counts as the other half; two halves that agree are no conflict. */
static void test_pair_and_base(void)
{
    hvc_policy_facts f = machine();
    hvcore_trap_rule r[] = {rule_of(BIT(2), REDIRECT), rule_of(BIT(6), DELEGATE),
                            rule_of(BIT(4), DELEGATE)};
    f.fwft_misaligned = 1;
    outcome o = check_gap("MISALIGNED_PAIR: rule 2, store-misaligned", 2, f, r, 2);
    hvcore_report_free(o.report);
    o = check_good(f, r, 3);
    CU_ASSERT_EQUAL(o.table.hedeleg, (BASE_DELEGATES & ~BIT(2)) | BIT(4) | BIT(6));
    hvcore_report_free(o.report);
    r[1].act = r[2].act = EMULATE;
    f.emulators |= BIT(4) | BIT(6);
    o = check_good(f, r, 3);
    hvcore_report_free(o.report);
    o = check_good(f, NULL, 0);
    hvcore_report_free(o.report);
}

/* --- a backend that decides for itself -------------------------------------------------------- */

/* As a kernel does it that can be asked for nothing but breakpoints. */
static hvc_policy_facts kernel(void)
{
    hvc_policy_facts f = machine();
    f.delegatable = BIT(3);
    f.fixed[2] = f.fixed[8] = f.fixed[13] = DELEGATE;
    f.fixed[5] = f.fixed[20] = REDIRECT;
    return f;
}

static void test_fixed(void)
{
    hvcore_trap_rule r = rule_of(BIT(2) | BIT(3), REDIRECT);
    outcome o = check_gap("BACKEND_FIXED: rule 1, illegal-instruction", 1, kernel(), &r, 1);
    expect_line(&o, 2, HVCORE_BY_NOBODY, true, "BACKEND_FIXED");
    expect_line(&o, 3, HVCORE_BY_LIBRARY, false, "hedeleg lets it pass");
    expect_line(&o, 8, HVCORE_BY_KERNEL, false, "the backend does this");
    expect_action(&o.table, VU, 2, (hvc_action){REDIRECT, 2, 1, 0, 1}); /* should it come */
    CU_ASSERT_EQUAL(o.table.hedeleg, 0);
    hvcore_report_free(o.report);
}

/* What the backend does anyway may be asked for, though this machine's hedeleg is not ours. */
static void test_fixed_as_asked(void)
{
    hvcore_trap_rule r[] = {rule_of(BIT(2) | BIT(8), DELEGATE), rule_of(BIT(5), REDIRECT),
                            rule_of(BIT(20), REDIRECT), rule_of(BIT(13), DELEGATE)};
    r[3].late = EXIT;
    outcome o = check_good(kernel(), r, COUNT(r));
    CU_ASSERT_EQUAL(o.table.hedeleg, BIT(3));
    expect_line(&o, 2, HVCORE_BY_KERNEL, false, "the backend does this");
    expect_line(&o, 5, HVCORE_BY_KERNEL, false, "the backend does this");
    expect_line(&o, 20, HVCORE_BY_KERNEL, false, "the backend does this");
    expect_action(&o.table, VS, 2, (hvc_action){REDIRECT, 2, 1, 1, 1});
    expect_action(&o.table, VS, 13, (hvc_action){EXIT, 13, 0, 1, 4});
    hvcore_report_free(o.report);
    r[2].flags = AS;
    r[2].as = 5; /* not what the backend makes of it */
    o = check_gap("BACKEND_FIXED: rule 3, instruction-guest-page-fault", 3, kernel(), r, 4);
    hvcore_report_free(o.report);
    o = check_good(kernel(), NULL, 0);
    hvcore_report_free(o.report);
}

/* A number that is no action agrees with nobody. */
static void test_fixed_nonsense(void)
{
    hvc_policy_facts f = machine();
    hvcore_trap_rule r = rule_of(BIT(2), DELEGATE);
    f.fixed[2] = 255;
    outcome o = check_gap("BACKEND_FIXED", 1, f, &r, 1);
    CU_ASSERT_EQUAL(o.table.hedeleg, BASE_DELEGATES & ~BIT(2));
    hvcore_report_free(o.report);
}

/* --- ... told by the backend ------------------------------------------------------------------ */

static void fixed_info(hvcore_backend_info *info)
{
    toy_ops.info(info);
    memcpy(info->name, "fix", 4);
    info->fixed[2] = DELEGATE;
}

static hvcore_vm *vm_of(hvcore_ctx *ctx, const char *backend)
{
    hvcore_vm_opts o = HVCORE_VM_OPTS_INIT;
    hvcore_error e = HVCORE_ERROR_INIT;
    hvcore_vm *vm = NULL;
    o.arch = HVCORE_ARCH_RISCV64;
    o.backend = backend;
    o.max_vcpus = 1;
    expect(hvcore_vm_create(ctx, &o, &vm, &e) == 0, "%s: %s", backend, e.message);
    return vm;
}

static void test_backend_tells(void)
{
    static hvcore_backend_ops ops;
    hvcore_trap_rule r = rule_of(BIT(2), REDIRECT);
    hvcore_policy *p = policy_of(REFUSE, &r, 1);
    hvcore_error e = HVCORE_ERROR_INIT;
    hvcore_ctx *ctx;
    toy_reset();
    ops = toy_ops;
    ops.info = fixed_info;
    CU_ASSERT_EQUAL_FATAL(hvcore_ctx_create(NULL, &ctx, NULL), 0);
    CU_ASSERT_EQUAL(hvcore_ctx_backend_add(ctx, &toy_ops, NULL), 0);
    CU_ASSERT_EQUAL(hvcore_ctx_backend_add(ctx, &ops, NULL), 0);
    hvcore_vm *plain = vm_of(ctx, "toy"), *fixed = vm_of(ctx, "fix");
    CU_ASSERT_EQUAL(hvcore_trap_policy_set(plain, p, NULL, &e), 0);
    CU_ASSERT_EQUAL(hvcore_trap_policy_set(fixed, p, NULL, &e), -HVCORE_E_POLICY);
    expect_message(&e, "BACKEND_FIXED: rule 1, illegal-instruction");
    hvcore_vm_unref(plain);
    hvcore_vm_unref(fixed);
    hvcore_ctx_unref(ctx);
    hvcore_policy_unref(p);
}

/* --- double traps ----------------------------------------------------------------------------- */

static void test_double_trap(void)
{
    hvc_policy_facts f = machine();
    hvcore_trap_rule r[] = {rule_of(BIT(5), EXIT), rule_of(BIT(1), REDIRECT),
                            rule_of(BIT(16), STOP)};
    f.double_trap = 1;
    outcome o = check_gap("NO_DOUBLE_TRAP_ACTION: rule 2, double-trap", 2, f, r, 2);
    expect_line(&o, 16, HVCORE_BY_LIBRARY, true, "NO_DOUBLE_TRAP_ACTION");
    expect_action(&o.table, VS, 16, (hvc_action){EXIT, 16, 0, 0, 0});
    hvcore_report_free(o.report);
    o = check_good(f, r, 3);
    expect_action(&o.table, VS, 16, (hvc_action){STOP, 16, 0, 0, 3});
    hvcore_report_free(o.report);
    o = check_good(machine(), r, 2); /* no guest has them */
    hvcore_report_free(o.report);
    o = check_good(f, r, 1); /* nothing is redirected by a rule */
    hvcore_report_free(o.report);
    o = check_good(f, NULL, 0);
    hvcore_report_free(o.report);
}

/* A late arrival is redirected as well; who says what a kernel's double trap does has said it. */
static void test_double_trap_late(void)
{
    hvc_policy_facts f = machine();
    hvcore_trap_rule r[] = {rule_of(BIT(2), DELEGATE), rule_of(BIT(16), EXIT)};
    f.double_trap = 1;
    outcome o = check_gap("NO_DOUBLE_TRAP_ACTION: rule 1", 1, f, r, 1);
    hvcore_report_free(o.report);
    r[1].from = HVCORE_FROM_VU; /* they come from VS alone */
    o = check_gap("NO_DOUBLE_TRAP_ACTION: rule 1", 1, f, r, 2);
    hvcore_report_free(o.report);
    r[1].from = HVCORE_FROM_VS;
    o = check_good(f, r, 2);
    hvcore_report_free(o.report);
    r[0].late = EXIT;
    o = check_good(f, r, 1);
    hvcore_report_free(o.report);
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"a debugger owns breakpoints", test_debugger},
        {"... and what else there is", test_debugger_and_others},
        {"a pair that is split", test_pair},
        {"... by the base", test_pair_and_base},
        {"fixed by the backend", test_fixed},
        {"... just as asked", test_fixed_as_asked},
        {"... as nothing that there is", test_fixed_nonsense},
        {"a backend tells what it fixes", test_backend_tells},
        {"double traps", test_double_trap},
        {"... of late arrivals, by mode", test_double_trap_late},
        {NULL, NULL},
    };
    return hvc_unit_main("policy_facts", tests);
}
