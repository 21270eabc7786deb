/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule may say, whatever the machine is. */
#include "lib/arch/riscv64.h"
#include "lib/core/error.h"
#include "lib/policy/policy.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum {
    NO_OBJECTION = -1,
    WHOLE_RULE = HVC_POLICY_CLASSES /* the objection is not to one of the causes */
};

/* --- messages --------------------------------------------------------------------------------- */

void hvc_policy_locate(hvcore_error *err, uint32_t rule, uint32_t line, uint32_t column)
{
    if (hvc_error_usable(err)) {
        err->rule = rule;
        err->line = line;
        err->column = column;
    }
}

int hvc_policy_refuse(hvcore_error *err, const hvc_refusal *r)
{
    char name[sizeof(((hvc_rule *)0)->name) + 3] = "", cause[40] = "";
    if (r->rule_name && r->rule_name[0]) {
        hvc_format(name, sizeof(name), " \"%s\"", r->rule_name);
    }
    if (r->cls < HVC_POLICY_CLASSES && hvc_riscv64_causes[r->cls].name) {
        hvc_format(cause, sizeof(cause), ", %s", hvc_riscv64_causes[r->cls].name);
    } else if (r->cls < HVC_POLICY_CLASSES) {
        hvc_format(cause, sizeof(cause), ", cause %u", r->cls);
    }
    hvc_fail(err, r->code, HVCORE_DOMAIN_POLICY, "%s: rule %u%s%s: %s", r->name, r->rule, name,
             cause, r->advice);
    hvc_policy_locate(err, r->rule, 0, 0);
    return -r->code;
}

/* --- what a rule may say ---------------------------------------------------------------------- */

/*
 * A check answers with the cause that it objects to, WHOLE_RULE or NO_OBJECTION. The order of the
 * table is that of specs 3.4; a check may rely on those above it.
 */

static int lowest(uint64_t causes)
{
    for (int c = 0; c < HVC_POLICY_CLASSES; c++) {
        if (causes & HVC_BIT(c)) {
            return c;
        }
    }
    return NO_OBJECTION;
}

static int whole(bool objection)
{
    return objection ? WHOLE_RULE : NO_OBJECTION;
}

/* The causes of the rule if it says this, else none. */
static int all_if(const hvcore_trap_rule *r, bool objection)
{
    return objection ? lowest(r->causes) : NO_OBJECTION;
}

/* Of the rule's causes, one that lacks (or, without `lacks`, has) these facts. */
static int by_facts(const hvcore_trap_rule *r, unsigned facts, bool lacks)
{
    uint64_t set = hvc_riscv64_causes_with(facts);
    return lowest(r->causes & (lacks ? ~set : set));
}

uint32_t hvc_rule_late(const hvcore_trap_rule *r)
{
    return r->late == HVCORE_DO_NONE       ? HVCORE_DO_REDIRECT
           : r->late == HVCORE_DO_DELEGATE ? HVCORE_DO_NONE
                                           : r->late;
}

static bool redirects(const hvcore_trap_rule *r)
{
    return r->act == HVCORE_DO_REDIRECT;
}

static bool delegates(const hvcore_trap_rule *r)
{
    return r->act == HVCORE_DO_DELEGATE;
}

static int no_action(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return whole(r->act == HVCORE_DO_NONE);
}

static int bad_action(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return whole(r->act > HVCORE_DO_STOP);
}

static int bad_late(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return whole(r->late > HVCORE_DO_STOP);
}

static int bad_from(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return whole(r->from > HVCORE_FROM_ANY);
}

static int bad_flags(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return whole(r->flags & ~(uint32_t)(HVCORE_TRAP_NO_COUNT | HVCORE_TRAP_AS));
}

/* Names stand in messages and reports, which are one line each. */
static int bad_name(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    for (size_t i = 0; i < sizeof(r->name); i++) {
        unsigned char c = (unsigned char)r->name[i];
        if (!c) {
            return NO_OBJECTION;
        }
        if (c < 0x20 || c == 0x7f) {
            return WHOLE_RULE;
        }
    }
    return WHOLE_RULE;
}

static int no_cause(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return whole(!r->causes);
}

static int reserved_cause(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return by_facts(r, 0, true);
}

static int firmware_cause(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return lowest(r->causes & HVC_BIT(HVCORE_RISCV64_ECALL_VS));
}

static int reserved_as(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return whole((r->flags & HVCORE_TRAP_AS) &&
                 (r->as >= HVC_POLICY_CLASSES || !hvc_riscv64_causes[r->as].name));
}

static int not_delegatable(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return delegates(r) ? by_facts(r, HVC_CAUSE_DELEGATABLE, true) : NO_OBJECTION;
}

static int delegate_by_mode(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return all_if(r, delegates(r) && r->from && r->from != HVCORE_FROM_ANY);
}

/* hedeleg would take the trap from the earlier rule as well. */
static int delegate_half_taken(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    for (unsigned c = 0; delegates(r) && c < HVC_POLICY_CLASSES; c++) {
        if ((r->causes & HVC_BIT(c)) && !hvc_policy_find(p, HVCORE_RISCV64_VU, c) !=
                                            !hvc_policy_find(p, HVCORE_RISCV64_VS, c)) {
            return (int)c;
        }
    }
    return NO_OBJECTION;
}

/* Strategy B of specs 3.2: a bit set in hedeleg must also be handled in software. */
static int no_fallback(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    uint32_t late = hvc_rule_late(r);
    return all_if(r, delegates(r) && p->firmware_honours != HVCORE_FIRMWARE_YES &&
                         (late == HVCORE_DO_NONE || late == HVCORE_DO_STOP));
}

static int useless_fallback(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return all_if(r, !delegates(r) && r->late);
}

static int killable(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    return all_if(r, !p->allow_stop && r->act == HVCORE_DO_STOP);
}

static int killable_late(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    return all_if(r, !p->allow_stop && r->late == HVCORE_DO_STOP);
}

/*
 * By cause and not by mode: what user code can raise, it can often make its kernel raise as well.
 */
static int exit_forbidden(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    return !p->allow_exit && r->act == HVCORE_DO_EXIT ? by_facts(r, HVC_CAUSE_VU, false)
                                                      : NO_OBJECTION;
}

static int exit_forbidden_late(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    return !p->allow_exit && r->late == HVCORE_DO_EXIT ? by_facts(r, HVC_CAUSE_VU, false)
                                                       : NO_OBJECTION;
}

static int useless_as(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return all_if(r, !redirects(r) && (r->flags & HVCORE_TRAP_AS));
}

static int useless_count(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return all_if(r, !redirects(r) && (r->flags & HVCORE_TRAP_NO_COUNT));
}

static int as_unseen(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    return all_if(r, redirects(r) && (r->flags & HVCORE_TRAP_AS) &&
                         !(hvc_riscv64_causes[r->as].facts & HVC_CAUSE_GUEST_SEES));
}

static int target_unseen(const hvcore_policy *p, const hvcore_trap_rule *r)
{
    (void)p;
    for (unsigned c = 0; redirects(r) && !(r->flags & HVCORE_TRAP_AS) && c < HVC_POLICY_CLASSES;
         c++) {
        unsigned to = hvc_riscv64_causes[c].redirect;
        if ((r->causes & HVC_BIT(c)) && !(hvc_riscv64_causes[to].facts & HVC_CAUSE_GUEST_SEES)) {
            return (int)c;
        }
    }
    return NO_OBJECTION;
}

typedef struct check {
    int (*objects)(const hvcore_policy *policy, const hvcore_trap_rule *rule);
    int code;
    const char *name, *member, *advice;
} check;

/* What is wrong in itself: the caller's mistake. */
static const check shape[] = {
    {bad_name, HVCORE_E_INVAL, "BAD_NAME", "name",
     "a name has at most 63 bytes and no control characters."},
    {no_action, HVCORE_E_INVAL, "NO_ACTION", "do", "a rule must say what to do."},
    {bad_action, HVCORE_E_INVAL, "BAD_ACTION", "do", "there is no action of this number."},
    {bad_late, HVCORE_E_INVAL, "BAD_ACTION", "late", "there is no late action of this number."},
    {bad_from, HVCORE_E_INVAL, "BAD_MODE", "from", "`from` is a set of VU (1) and VS (2)."},
    {bad_flags, HVCORE_E_INVAL, "BAD_FLAGS", NULL, "it has flags that this library does not know."},
    {no_cause, HVCORE_E_INVAL, "NO_CAUSE", "cause", "a rule must name at least one cause."},
};

/* What contradicts the architecture, the policy or the rule itself. */
static const check sense[] = {
    {reserved_cause, HVCORE_E_POLICY, "CAUSE_RANGE", "cause",
     "the architecture reserves this code; take it out of the rule."},
    {firmware_cause, HVCORE_E_POLICY, "CAUSE_RANGE", "cause",
     "calls of the guest's kernel are the firmware's; take it out of the rule."},
    {reserved_as, HVCORE_E_POLICY, "CAUSE_RANGE", "as",
     "`as` is no cause of this architecture; give one that a guest can receive."},
    {not_delegatable, HVCORE_E_POLICY, "NOT_DELEGATABLE", "cause",
     "hedeleg has no bit for it; redirect it instead."},
    {delegate_by_mode, HVCORE_E_POLICY, "DELEGATE_BY_MODE", "from",
     "hardware delegates a cause from all modes or not at all; leave `from` out."},
    {delegate_half_taken, HVCORE_E_POLICY, "DELEGATE_BY_MODE", "cause",
     "an earlier rule takes it from one mode, hardware would take both; redirect it here."},
    {no_fallback, HVCORE_E_POLICY, "NO_FALLBACK", "late",
     "firmware may ignore hedeleg, so `late` must be redirect, emulate or exit."},
    {useless_fallback, HVCORE_E_POLICY, "USELESS_FALLBACK", "late",
     "only what is delegated can arrive late; leave `late` out."},
    {killable, HVCORE_E_POLICY, "GUEST_KILLABLE", "do",
     "the guest could be stopped by its own code; set allow_stop if that is meant."},
    {killable_late, HVCORE_E_POLICY, "GUEST_KILLABLE", "late",
     "the guest could be stopped by its own code; set allow_stop if that is meant."},
    {exit_forbidden, HVCORE_E_POLICY, "EXIT_NOT_ALLOWED", "do",
     "guest user code can raise it as often as it likes; set allow_exit if that is meant."},
    {exit_forbidden_late, HVCORE_E_POLICY, "EXIT_NOT_ALLOWED", "late",
     "guest user code can raise it as often as it likes; set allow_exit if that is meant."},
    {useless_as, HVCORE_E_POLICY, "USELESS_AS", "as",
     "only what is redirected can change its cause; leave `as` out."},
    {useless_count, HVCORE_E_POLICY, "USELESS_COUNT", "count",
     "only what is redirected can go uncounted; leave `count` out."},
    {as_unseen, HVCORE_E_POLICY, "NOT_REDIRECTABLE", "as",
     "a guest cannot receive the cause in `as`; give one that it can."},
    {target_unseen, HVCORE_E_POLICY, "NOT_REDIRECTABLE", "cause",
     "a guest cannot receive this cause; say in `as` which it shall see, or let it exit."},
};

static int run_checks(const hvcore_policy *p, const hvcore_trap_rule *r, const check *table,
                      size_t n, const char **member, hvcore_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const check *c = &table[i];
        int cls = c->objects(p, r);
        if (cls != NO_OBJECTION) {
            *member = c->member;
            return hvc_policy_refuse(
                err, &(hvc_refusal){.code = c->code,
                                    .name = c->name,
                                    .advice = c->advice,
                                    .rule = p->count + 1,
                                    .rule_name = c->objects == bad_name ? NULL : r->name,
                                    .cls = (unsigned)cls});
        }
    }
    return 0;
}

/* --- rules that can never decide -------------------------------------------------------------- */

uint32_t hvc_policy_find(const hvcore_policy *p, unsigned mode, unsigned cls)
{
    for (uint32_t i = 0; i < p->count; i++) {
        if ((p->rule[i].from & (1u << mode)) && (p->rule[i].causes & HVC_BIT(cls))) {
            return i + 1;
        }
    }
    return 0;
}

/* If earlier rules take all these traps: the one that takes the first of them. Else 0. */
static uint32_t shadow_of(const hvcore_policy *p, uint32_t from, uint64_t causes)
{
    uint32_t first = 0;
    for (unsigned c = 0; c < HVC_POLICY_CLASSES; c++) {
        for (unsigned mode = 0; mode < HVC_POLICY_MODES; mode++) {
            if (!(causes & HVC_BIT(c)) || !(from & (1u << mode))) {
                continue;
            }
            uint32_t taker = hvc_policy_find(p, mode, c);
            if (!taker) {
                return 0;
            }
            first = first ? first : taker;
        }
    }
    return first;
}

static int check_shadow(const hvcore_policy *p, const hvcore_trap_rule *r, const char **member,
                        hvcore_error *err)
{
    char advice[160];
    uint32_t by = shadow_of(p, r->from ? r->from : HVCORE_FROM_ANY, r->causes);
    if (!by) {
        return 0;
    }
    const char *name = p->rule[by - 1].name, *quote = name[0] ? "\"" : "";
    hvc_format(advice, sizeof(advice),
               "earlier rules, first rule %u%s%s%s%s, take all its traps; remove it or "
               "move it up.",
               by, name[0] ? " " : "", quote, name, quote);
    *member = "cause";
    return hvc_policy_refuse(err, &(hvc_refusal){.code = HVCORE_E_POLICY,
                                                 .name = "SHADOWED",
                                                 .advice = advice,
                                                 .rule = p->count + 1,
                                                 .rule_name = r->name,
                                                 .cls = WHOLE_RULE});
}

int hvc_rule_check(const hvcore_policy *p, const hvcore_trap_rule *r, const char **member,
                   hvcore_error *err)
{
    int rc = run_checks(p, r, shape, COUNT(shape), member, err);
    if (!rc) {
        rc = run_checks(p, r, sense, COUNT(sense), member, err);
    }
    return rc ? rc : check_shadow(p, r, member, err);
}
