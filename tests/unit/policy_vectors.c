/* SPDX-License-Identifier: Apache-2.0 */
/* Policies against the vectors: hedeleg, and of policy and dispatch what the language covers. */
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

typedef struct skip {
    const char *id, *why;
} skip;

static const skip skips[] = {
    {"policy-13", "DEBUG_CONFLICT: the debugger takes the bit back by itself, nothing is refused"},
    {"policy-14", "BACKEND_FIXED: no backend of today fixes a cause"},
    {"policy-15", "MISALIGNED_PAIR: SBI FWFT is not offered yet"},
    {"policy-16", "NO_DOUBLE_TRAP_ACTION: the base always has an entry for 16"},
    {"dispatch-11", "a trap of the host never asks the policy"},
    {"dispatch-12", "nested guests are not there yet"},
    {"dispatch-13", "nested guests are not there yet"},
    {"dispatch-14", "nested guests are not there yet"},
};

static bool skipped(const char *id)
{
    for (size_t i = 0; i < COUNT(skips); i++) {
        if (!strcmp(skips[i].id, id)) {
            printf("\n    skipped %s: %s", id, skips[i].why);
            return true;
        }
    }
    return false;
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
    hvc_policy_facts f = {.arch = HVCORE_ARCH_RISCV64,
                          .firmware_honours = hvc_json_u64(v, "in.caps.fw_honours") != 0,
                          .delegatable = hvc_json_u64(v, "in.caps.writable"),
                          .emulators = vector_emulators(v)};
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
        if (!skipped(hvc_json_str_or(v, "id", ""))) {
            check_policy_vector(v);
            n++;
        }
    }
    CU_ASSERT_EQUAL(n, 13);
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

static void test_vectors_dispatch(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json"), *v;
    size_t at = 0, n = 0;
    while ((v = hvc_vectors_next(doc, "dispatch", &at))) {
        if (!skipped(hvc_json_str_or(v, "id", ""))) {
            check_dispatch_vector(v);
            n++;
        }
    }
    CU_ASSERT_EQUAL(n, 10);
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
