/* SPDX-License-Identifier: Apache-2.0 */
/* Policies as JSON text; docs/policy.md is the language. Hosted. */
#include <string.h>

#include "lib/arch/riscv64.h"
#include "lib/core/error.h"
#include "lib/policy/json_read.h"
#include "lib/policy/policy.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* What the top of the document comes to. */
typedef struct top {
    hvcore_policy_opts opts;
    uint32_t base;
    json_object *rules; /* read last: options may stand behind them */
    uint32_t rules_at;  /* ordinal of that member */
} top;

static int refuse(const hvc_json *r, const char *problem)
{
    return hvc_json_refuse(r, HVCORE_E_PARSE, problem);
}

/* --- causes ----------------------------------------------------------------------------------- */

static const hvc_json_word groups[] = {
    {"supervisor-expected", HVC_CAUSE_EXPECTED},
    {"supervisor-unexpected", HVC_CAUSE_UNEXPECTED},
};

static int refuse_cause(const hvc_json *r, const char *text)
{
    char name[32], problem[96];
    hvc_format(problem, sizeof(problem), "there is no cause \"%s\"",
               hvc_json_shown(name, sizeof(name), text));
    return refuse(r, problem);
}

static int read_cause(const hvc_json *r, json_object *value, uint32_t *cause)
{
    int rc = hvc_json_expect(r, value, HVC_JSON_STRING | HVC_JSON_INT);
    if (rc) {
        return rc;
    }
    if (hvc_json_is(value, HVC_JSON_INT)) {
        return hvc_json_read_number(r, value, HVC_POLICY_CLASSES - 1, cause);
    }
    int parsed = hvc_riscv64_cause_parse(json_object_get_string(value));
    if (parsed < 0) {
        return refuse_cause(r, json_object_get_string(value));
    }
    *cause = (uint32_t)parsed;
    return 0;
}

/* A cause, or a group of them. */
static int read_causes(const hvc_json *r, json_object *value, uint64_t *set)
{
    uint32_t cause = 0;
    for (size_t i = 0; hvc_json_is(value, HVC_JSON_STRING) && i < COUNT(groups); i++) {
        if (!strcmp(json_object_get_string(value), groups[i].text)) {
            *set = hvc_riscv64_causes_with(groups[i].means);
            return 0;
        }
    }
    int rc = read_cause(r, value, &cause);
    *set = HVC_BIT(cause);
    return rc;
}

/* What adds nothing is a slip of the pen: another cause was meant. */
static int add_causes(const hvc_json *r, json_object *value, uint64_t *causes)
{
    uint64_t set;
    int rc = read_causes(r, value, &set);
    if (!rc && !(set & ~*causes)) {
        rc = refuse(r, "the rule names this already");
    }
    if (!rc) {
        *causes |= set;
    }
    return rc;
}

static int read_cause_list(hvc_json *r, json_object *list, void *out)
{
    uint32_t *ordinal = &r->path.at[r->path.depth++];
    size_t n = json_object_array_length(list);
    for (*ordinal = 0; *ordinal < n; ++*ordinal) {
        int rc = add_causes(r, json_object_array_get_idx(list, *ordinal),
                            &((hvcore_trap_rule *)out)->causes);
        if (rc) {
            return rc;
        }
    }
    r->path.depth--;
    return n ? 0 : refuse(r, "a rule must name at least one cause");
}

/* --- rules ------------------------------------------------------------------------------------ */

static const hvc_json_word actions[] = {
    {"delegate", HVCORE_DO_DELEGATE}, {"redirect", HVCORE_DO_REDIRECT},
    {"emulate", HVCORE_DO_EMULATE},   {"exit", HVCORE_DO_EXIT},
    {"stop", HVCORE_DO_STOP},
};

static const hvc_json_word modes[] = {
    {"VU", HVCORE_FROM_VU},
    {"VS", HVCORE_FROM_VS},
    {"any", HVCORE_FROM_ANY},
};

static int read_name(hvc_json *r, json_object *value, void *out)
{
    hvcore_trap_rule *rule = out;
    const char *text = json_object_get_string(value);
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return refuse(r, "a name has no control characters");
        }
    }
    if (n >= sizeof(rule->name)) {
        return refuse(r, "a name has at most 63 bytes");
    }
    memcpy(rule->name, text, n);
    return 0;
}

/* All actions but the first; in a rule, DELEGATE as a late action says that there is none. */
static int read_late(hvc_json *r, json_object *value, void *out)
{
    hvcore_trap_rule *rule = out;
    if (!value) {
        rule->late = HVCORE_DO_DELEGATE;
        return 0;
    }
    return hvc_json_read_word(r, value, actions + 1, COUNT(actions) - 1, &rule->late);
}

static int read_as(hvc_json *r, json_object *value, void *out)
{
    hvcore_trap_rule *rule = out;
    rule->flags |= HVCORE_TRAP_AS;
    return read_cause(r, value, &rule->as);
}

static int read_count(hvc_json *r, json_object *value, void *out)
{
    (void)r;
    ((hvcore_trap_rule *)out)->flags |= json_object_get_boolean(value) ? 0 : HVCORE_TRAP_NO_COUNT;
    return 0;
}

static const hvc_json_member rule_members[] = {
    HVC_JSON_READ("name", HVC_JSON_STRING, false, read_name),
    HVC_JSON_READ("cause", HVC_JSON_ARRAY, true, read_cause_list),
    HVC_JSON_WORDS("from", false, modes, hvcore_trap_rule, from),
    HVC_JSON_WORDS("do", true, actions, hvcore_trap_rule, act),
    HVC_JSON_READ("late", HVC_JSON_STRING | HVC_JSON_NULL, false, read_late),
    HVC_JSON_READ("as", HVC_JSON_STRING | HVC_JSON_INT, false, read_as),
    HVC_JSON_READ("count", HVC_JSON_BOOL, false, read_count),
    HVC_JSON_READ("comment", HVC_JSON_STRING, false, NULL),
};

/* Lead the path from a rule to its member, if the rule has it. */
static void enter_member(hvc_json *r, json_object *rule, const char *name)
{
    struct json_object_iterator at = json_object_iter_begin(rule);
    struct json_object_iterator end = json_object_iter_end(rule);
    for (uint32_t i = 0; name && !json_object_iter_equal(&at, &end); i++) {
        if (!strcmp(json_object_iter_peek_name(&at), name)) {
            r->path.at[r->path.depth++] = i;
            return;
        }
        json_object_iter_next(&at);
    }
}

/* The policy has refused the rule and said why; say where. */
static void locate_rule(hvc_json *r, json_object *object, const char *member, uint32_t number)
{
    hvc_json_place place;
    enter_member(r, object, member);
    hvc_json_where(r->text, r->len, &r->path, &place);
    hvc_policy_locate(r->err, number, place.line, place.column);
}

static int add_rule(hvc_json *r, json_object *object, hvcore_policy *policy)
{
    hvcore_trap_rule rule = HVCORE_TRAP_RULE_INIT;
    const char *member;
    int rc = hvc_json_expect(r, object, HVC_JSON_OBJECT);
    if (!rc) {
        rc = hvc_json_members(r, object, rule_members, COUNT(rule_members), &rule);
    }
    if (rc) {
        return rc;
    }
    rc = hvc_policy_rule_append(policy, &rule, NULL, &member, r->err);
    if (rc == -HVCORE_E_POLICY) {
        locate_rule(r, object, member, policy->count + 1);
    }
    return rc;
}

static int add_rules(hvc_json *r, const top *t, hvcore_policy *policy)
{
    size_t n = t->rules ? json_object_array_length(t->rules) : 0;
    r->path = (hvc_json_path){.depth = 2, .at = {t->rules_at, HVC_POLICY_RULES}};
    if (n > HVC_POLICY_RULES) {
        return hvc_json_refuse(r, HVCORE_E_LIMIT, "a policy has at most 256 rules");
    }
    for (uint32_t i = 0; i < n; i++) {
        r->path.at[1] = i;
        int rc = add_rule(r, json_object_array_get_idx(t->rules, i), policy);
        if (rc) {
            return rc;
        }
    }
    return 0;
}

/* --- the top ---------------------------------------------------------------------------------- */

static const hvc_json_word arches[] = {{"riscv64", HVCORE_ARCH_RISCV64}};
static const hvc_json_word bases[] = {{"linux-guest", 0}};
static const hvc_json_word honours[] = {{"no", HVCORE_FIRMWARE_NO}, {"yes", HVCORE_FIRMWARE_YES}};
static const hvc_json_word storms[] = {{"exit", HVCORE_DO_EXIT}, {"count", HVCORE_DO_NONE}};
static const hvc_json_word unenforceables[] = {
    {"refuse", HVCORE_UNENFORCEABLE_REFUSE},
    {"warn", HVCORE_UNENFORCEABLE_WARN},
    {"redirect", HVCORE_UNENFORCEABLE_REDIRECT},
};

static int read_version(hvc_json *r, json_object *value, void *out)
{
    (void)out;
    return json_object_get_int64(value) == 1
               ? 0
               : refuse(r, "this library reads version 1 of the language and no other");
}

static int read_rules(hvc_json *r, json_object *value, void *out)
{
    top *t = out;
    t->rules = value;
    t->rules_at = r->path.at[0];
    return 0;
}

static int read_repeat(hvc_json *r, json_object *value, void *out)
{
    hvcore_storm_opts *storm = out;
    int rc = hvc_json_read_number(r, value, HVC_STORM_MAX, &storm->repeat);
    if (!rc && storm->repeat && storm->repeat < HVC_STORM_MIN_REPEAT) {
        rc = refuse(r, "one trap is no storm; write 0 for off, else at least 2");
    }
    return rc;
}

static const hvc_json_member storm_members[] = {
    HVC_JSON_READ("repeat", HVC_JSON_INT, false, read_repeat),
    HVC_JSON_NUMBER("per_ms", HVC_STORM_MAX, hvcore_storm_opts, per_ms),
    HVC_JSON_WORDS("then", false, storms, hvcore_storm_opts, act),
};

static int read_storm(hvc_json *r, json_object *value, void *out)
{
    hvcore_storm_opts *storm = &((top *)out)->opts.storm;
    *storm = (hvcore_storm_opts){.size = sizeof(*storm), .act = HVCORE_DO_EXIT};
    return hvc_json_members(r, value, storm_members, COUNT(storm_members), storm);
}

static const hvc_json_member top_members[] = {
    HVC_JSON_READ("hvcore-policy", HVC_JSON_INT, true, read_version),
    HVC_JSON_WORDS("arch", true, arches, top, opts.arch),
    HVC_JSON_WORDS("base", false, bases, top, base),
    HVC_JSON_WORDS("on_unenforceable", false, unenforceables, top, opts.on_unenforceable),
    HVC_JSON_WORDS("firmware_honours_hedeleg", false, honours, top, opts.firmware_honours),
    HVC_JSON_FLAG("allow_exit", top, opts.allow_exit),
    HVC_JSON_FLAG("allow_stop", top, opts.allow_stop),
    HVC_JSON_READ("rules", HVC_JSON_ARRAY, false, read_rules),
    HVC_JSON_READ("storm", HVC_JSON_OBJECT, false, read_storm),
    HVC_JSON_READ("comment", HVC_JSON_STRING, false, NULL),
};

static int read_policy(hvc_json *r, json_object *tree, hvcore_policy **policy)
{
    top t = {.opts = HVCORE_POLICY_OPTS_INIT};
    hvcore_policy *made = NULL;
    int rc = hvc_json_members(r, tree, top_members, COUNT(top_members), &t);
    if (!rc) {
        rc = hvcore_policy_create(&t.opts, &made, r->err);
    }
    if (!rc) {
        rc = add_rules(r, &t, made);
    }
    if (rc) {
        hvcore_policy_unref(made);
    } else {
        *policy = made;
    }
    return rc;
}

int hvcore_policy_from_json(const char *text, size_t len, hvcore_policy **policy, hvcore_error *err)
{
    hvc_json r = {.text = text, .len = len, .err = err};
    json_object *tree;
    if (!policy) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_POLICY,
                        "There is no place for the policy: `policy` is NULL.");
    }
    *policy = NULL;
    if (!text) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_POLICY, "The text is NULL.");
    }
    int rc = hvc_json_open(&r, &tree);
    if (!rc) {
        rc = read_policy(&r, tree, policy);
        json_object_put(tree);
    }
    return rc;
}
