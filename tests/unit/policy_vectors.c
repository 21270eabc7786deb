/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies against the vectors: all of hedeleg and policy, and of dispatch all but 12 to 14, the
 * traps of nested guests: these are not a policy's but hvcore_forward's, and in tests/unit/forward.
 */
#include <hvcore/fixup/redirect.h>

#include "tests/unit/policy.h"
#include "tests/unit/vectors.h"

static void test_vectors_hedeleg(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json"), *v;
    size_t at = 0, n = 0;
    while ((v = hvc_vectors_next(doc, "hedeleg", &at))) {
        uint64_t got = hvc_hedeleg_effective(
            hvc_json_u64(v, "in.want"), hvc_json_u64(v, "in.writable"),
            hvc_json_u64(v, "in.debug_bp") != 0, hvc_json_u64(v, "in.intercept"));
        expect(got == hvc_json_u64(v, "out.hedeleg"), "%s: %llx", hvc_json_str_or(v, "id", ""),
               (unsigned long long)got);
        n++;
    }
    CU_ASSERT_EQUAL(n, 5);
    json_object_put(doc);
}

/* The vectors' spellings; `late` of a rule has another word for "nothing". */
static const struct {
    const char *name;
    uint32_t act, flags;
} vector_actions[] = {
    {"delegate", DELEGATE, 0},
    {"redirect", REDIRECT, NO_COUNT},
    {"redirect_count", REDIRECT, 0},
    {"emulate", EMULATE, 0},
    {"exit", EXIT, 0},
    {"kill", STOP, 0},
};

static uint32_t vector_action(const char *name, uint32_t *flags)
{
    for (size_t i = 0; i < COUNT(vector_actions); i++) {
        if (!strcmp(vector_actions[i].name, name)) {
            *flags |= vector_actions[i].flags;
            return vector_actions[i].act;
        }
    }
    expect(false, "action %s", name);
    return EXIT;
}

static hvcore_trap_rule vector_rule(unsigned cause, json_object *entry)
{
    hvcore_trap_rule r = rule_of(BIT(cause), 0);
    const char *fallback = hvc_json_str_or(entry, "fallback", NULL);
    uint32_t late_flags = 0; /* late arrivals are always counted */
    r.act = vector_action(hvc_json_str_or(entry, "action", ""), &r.flags);
    if (fallback) {
        r.late = vector_action(fallback, &late_flags);
    } else if (r.act == DELEGATE) {
        r.late = DELEGATE;
    }
    if (hvc_json_at(entry, "as")) {
        r.flags |= AS;
        r.as = (uint32_t)hvc_json_u64(entry, "as");
    }
    return r;
}

static hvcore_policy_opts vector_options(json_object *v)
{
    hvcore_policy_opts o = options();
    o.firmware_honours = !strcmp(hvc_json_str_or(v, "in.policy.strategy", ""), "A");
    o.allow_stop = (uint32_t)hvc_json_u64_or(v, "in.policy.allow_kill", 0);
    o.allow_exit = 1; /* the vectors know no such rule */
    return o;
}

/* Add the vector's entries in the order of causes; 0 or the first error. `*wanted`: delegations. */
static int vector_rules(hvcore_policy *p, json_object *v, uint64_t *wanted, hvcore_error *e)
{
    json_object *entries = hvc_json_at(v, "in.policy.entries"), *entry;
    char key[8];
    *wanted = 0;
    for (unsigned c = 0; c < 64; c++) {
        snprintf(key, sizeof(key), "%u", c);
        if (!json_object_object_get_ex(entries, key, &entry)) {
            continue;
        }
        hvcore_trap_rule r = vector_rule(c, entry);
        *wanted |= r.act == DELEGATE ? BIT(c) : 0;
        int rc = hvcore_policy_rule_add(p, &r, NULL, e);
        if (rc) {
            return rc;
        }
    }
    return 0;
}

static uint64_t vector_emulators(json_object *v)
{
    uint64_t set = 0;
    char path[40];
    for (size_t i = 0; i < hvc_json_len(v, "in.caps.emulators"); i++) {
        snprintf(path, sizeof(path), "in.caps.emulators.%zu", i);
        set |= BIT(hvc_json_u64(v, path));
    }
    return set;
}

static hvc_policy_facts vector_facts(json_object *v)
{
    hvc_policy_facts f = {.arch = HVCORE_ARCH_RISCV64,
                          .firmware_honours = hvc_json_u64(v, "in.caps.fw_honours") != 0,
                          .delegatable = hvc_json_u64(v, "in.caps.writable"),
                          .emulators = vector_emulators(v),
                          .double_trap = hvc_json_u64(v, "in.caps.dte") != 0,
                          .debug_breakpoints = hvc_json_u64(v, "in.policy.debug_bp") != 0,
                          .fwft_misaligned = hvc_json_u64(v, "in.policy.fwft_misaligned") != 0};
    char path[24];
    uint32_t flags = 0;
    for (unsigned c = 0; c < HVC_POLICY_CLASSES; c++) {
        snprintf(path, sizeof(path), "in.caps.fixed.%u", c);
        if (hvc_json_at(v, path)) {
            f.fixed[c] = (uint8_t)vector_action(hvc_json_str_or(v, path, ""), &flags);
        }
    }
    return f;
}

/* Errors are spelled NAME:cause; the library stops at the first and names it. */
static void expect_vector_error(json_object *v, const hvcore_error *e, uint32_t cls)
{
    char want[64] = "";
    const char *id = hvc_json_str_or(v, "id", ""), *first = hvc_json_str_or(v, "out.errors.0", "");
    size_t n = strcspn(first, ":");
    const char *cause = hvcore_trap_cause_name(HVCORE_ARCH_RISCV64, (uint32_t)atoi(first + n + 1));
    memcpy(want, first, n);
    expect_message(e, want);
    expect(e->message[n] == ':', "%s: %s", id, e->message);
    expect(!cause || strstr(e->message, cause), "%s: %s (cause %u)", id, e->message, cls);
}

static void check_policy_vector(json_object *v)
{
    hvcore_policy *p = policy_with(vector_options(v));
    hvc_policy_facts f = vector_facts(v);
    hvcore_error e = HVCORE_ERROR_INIT;
    const char *id = hvc_json_str_or(v, "id", "");
    hvc_policy_table t;
    uint64_t wanted;
    int rc = vector_rules(p, v, &wanted, &e);
    if (!rc) {
        rc = hvc_policy_compile(p, &f, &t, NULL, &e);
    }
    expect(rc == (hvc_json_len(v, "out.errors") ? -HVCORE_E_POLICY : 0), "%s: %d %s", id, rc,
           e.message);
    expect(wanted == hvc_json_u64(v, "out.hedeleg"), "%s wants %llx", id,
           (unsigned long long)wanted);
    if (rc) {
        expect_vector_error(v, &e, e.rule);
    } else {
        expect((t.hedeleg & wanted) == wanted, "%s: hedeleg", id);
    }
    hvcore_policy_unref(p);
}

static void test_vectors_policy(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json"), *v;
    size_t at = 0, n = 0;
    while ((v = hvc_vectors_next(doc, "policy", &at))) {
        check_policy_vector(v);
        n++;
    }
    CU_ASSERT_EQUAL(n, 17);
    json_object_put(doc);
}

/* "sbi" is what becomes of cause 10, which is the firmware's. */
static uint32_t vector_do(json_object *v)
{
    const char *name = hvc_json_str_or(v, "out.do", "");
    uint32_t flags = 0;
    return !strcmp(name, "sbi") ? EMULATE : vector_action(name, &flags);
}

/*
 * The machine of the dispatch vectors can delegate and emulate what their entries ask for and no
 * more: then the base redirects the causes that they leave out, as they expect.
 */
static void check_dispatch_vector(json_object *v)
{
    hvcore_policy *p = policy_with(vector_options(v));
    const char *id = hvc_json_str_or(v, "id", "");
    unsigned cause = (unsigned)hvc_json_u64(v, "in.cause") & 63;
    hvc_policy_facts f = {.arch = HVCORE_ARCH_RISCV64, .emulators = BIT(4)};
    hvcore_error e = HVCORE_ERROR_INIT;
    expect(vector_rules(p, v, &f.delegatable, &e) == 0, "%s: %s", id, e.message);
    hvc_policy_table t = table_of(p, f);
    for (unsigned mode = 0; mode < 2; mode++) {
        const hvc_action *a = &t.action[mode][cause];
        expect(a->act == vector_do(v), "%s: do %u", id, a->act);
        expect(a->late == hvc_json_u64_or(v, "out.late", 0), "%s: late %u", id, a->late);
        expect(a->count == hvc_json_u64_or(v, "out.count", 0), "%s: count %u", id, a->count);
        expect(a->as == hvc_json_u64_or(v, "out.as", a->as), "%s: as %u", id, a->as);
    }
}

/* "host-bug": what the policy sends to redirect is refused there if hstatus.SPV is 0. */
static void check_host_vector(json_object *v)
{
    const hvcore_riscv64_frame frame = {.pc = 0x80200000};
    const hvcore_riscv64_sys sys = {.have = HVCORE_REDIRECT_NEEDS};
    hvcore_riscv64_frame f = frame;
    hvcore_riscv64_sys s = sys;
    hvcore_riscv64_state state = {.version = 1};
    hvcore_event e = {.syndrome = hvc_json_u64(v, "in.cause"), .pc = frame.pc};
    CU_ASSERT_STRING_EQUAL(hvc_json_str_or(v, "out.do", ""), "host-bug");
    hvcore_result r = hvcore_redirect(&f, &s, &e, &state);
    CU_ASSERT_EQUAL(r.kind, HVCORE_RESULT_EXIT);
    CU_ASSERT_EQUAL(r.arg, HVCORE_REDIRECT_NOT_GUEST);
    CU_ASSERT(!memcmp(&f, &frame, sizeof(f)) && !memcmp(&s, &sys, sizeof(s)));
}

static void test_vectors_dispatch(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json"), *v;
    size_t at = 0, policies = 0, hosts = 0, nested = 0;
    while ((v = hvc_vectors_next(doc, "dispatch", &at))) {
        if (hvc_json_u64_or(v, "in.nested", 0)) {
            nested++; /* tests/unit/forward */
        } else if (hvc_json_u64_or(v, "in.spv", 1)) {
            check_dispatch_vector(v);
            policies++;
        } else {
            check_host_vector(v);
            hosts++;
        }
    }
    CU_ASSERT(policies == 10 && hosts == 1 && nested == 3);
    json_object_put(doc);
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"hedeleg 01-05", test_vectors_hedeleg},
        {"policy", test_vectors_policy},
        {"dispatch", test_vectors_dispatch},
        {NULL, NULL},
    };
    return hvc_unit_main("policy_vectors", tests);
}
