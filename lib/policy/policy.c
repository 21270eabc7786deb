/* SPDX-License-Identifier: Apache-2.0 */
/* Policies as objects: options, rules, references. */
#include "lib/policy/policy.h"

#include "lib/arch/riscv64.h"
#include "lib/core/error.h"
#include "lib/host/mem.h"

enum {
    FIRST_ROOM = 8,
    STORM_CAPACITY_MS = 10 /* a burst may be as long as this many milliseconds allow (specs 4.3) */
};

/* --- adding ----------------------------------------------------------------------------------- */

static int make_room(hvcore_policy *p, hvcore_error *err)
{
    if (p->count < p->room) {
        return 0;
    }
    uint32_t room = p->room ? p->room * 2 : FIRST_ROOM;
    hvc_rule *more = hvc_host_alloc(room * sizeof(*more));
    if (!more) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_POLICY,
                        "There is no memory for another rule.");
    }
    if (p->count) {
        memcpy(more, p->rule, p->count * sizeof(*more));
    }
    hvc_host_free(p->rule);
    p->rule = more;
    p->room = room;
    return 0;
}

static hvc_rule kept(const hvcore_trap_rule *r)
{
    hvc_rule k = {.causes = r->causes,
                  .from = (uint8_t)(r->from ? r->from : HVCORE_FROM_ANY),
                  .act = (uint8_t)r->act,
                  .late = (uint8_t)hvc_rule_late(r),
                  .as = (uint8_t)(r->flags & HVCORE_TRAP_AS ? r->as : 0),
                  .flags = r->flags};
    memcpy(k.name, r->name, sizeof(k.name));
    return k;
}

static int add_locked(hvcore_policy *p, const hvcore_trap_rule *r, uint32_t *id,
                      const char **member, hvcore_error *err)
{
    if (p->count >= HVC_POLICY_RULES) {
        return hvc_fail(err, HVCORE_E_LIMIT, HVCORE_DOMAIN_POLICY, "A policy has at most %u rules.",
                        (unsigned)HVC_POLICY_RULES);
    }
    int rc = hvc_rule_check(p, r, member, err);
    if (!rc) {
        rc = make_room(p, err);
    }
    if (rc) {
        return rc;
    }
    p->rule[p->count++] = kept(r);
    if (id) {
        *id = p->count;
    }
    return 0;
}

static int lock(hvcore_policy *p, hvcore_error *err)
{
    uint32_t seen = HVC_POLICY_OPEN;
    if (atomic_compare_exchange_strong(&p->state, &seen, HVC_POLICY_ADDING)) {
        return 0;
    }
    if (seen == HVC_POLICY_SEALED) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_POLICY,
                        "The policy has been used and is sealed; make another one.");
    }
    return hvc_fail(err, HVCORE_E_BUSY, HVCORE_DOMAIN_POLICY,
                    "Another thread is adding a rule to this policy.");
}

int hvc_policy_rule_append(hvcore_policy *policy, const hvcore_trap_rule *rule, uint32_t *id,
                           const char **member, hvcore_error *err)
{
    hvcore_trap_rule r;
    *member = NULL;
    int rc = hvc_struct_in(&r, sizeof(r), rule, "trap rule", err);
    if (!rc) {
        rc = lock(policy, err);
    }
    if (!rc) {
        rc = add_locked(policy, &r, id, member, err);
        atomic_store(&policy->state, HVC_POLICY_OPEN);
    }
    return rc;
}

int hvcore_policy_rule_add(hvcore_policy *policy, const hvcore_trap_rule *rule, uint32_t *id,
                           hvcore_error *err)
{
    const char *member;
    if (!policy) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_POLICY, "The policy is NULL.");
    }
    return hvc_policy_rule_append(policy, rule, id, &member, err);
}

/* --- the object ------------------------------------------------------------------------------- */

static bool known_base(const char *base)
{
    static const char only[] = "linux-guest";
    size_t i = 0;
    if (!base) {
        return true;
    }
    while (i < sizeof(only) && base[i] == only[i]) {
        if (!only[i++]) {
            return true;
        }
    }
    return false;
}

static int check_opts(const hvcore_policy_opts *o, hvcore_error *err)
{
    if (o->arch != HVCORE_ARCH_RISCV64) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_POLICY,
                        "Policies exist for riscv64 only; the architecture asked for is %u.",
                        o->arch);
    }
    if (!known_base(o->base)) {
        return hvc_fail(err, HVCORE_E_NOTFOUND, HVCORE_DOMAIN_POLICY,
                        "The only base of a policy is \"linux-guest\".");
    }
    if (o->on_unenforceable > HVCORE_UNENFORCEABLE_REDIRECT ||
        o->firmware_honours > HVCORE_FIRMWARE_YES || o->allow_exit > 1 || o->allow_stop > 1) {
        return hvc_fail(
            err, HVCORE_E_INVAL, HVCORE_DOMAIN_POLICY,
            "An option of the policy has a value that does not exist: on_unenforceable %u, "
            "firmware_honours %u, allow_exit %u, allow_stop %u.",
            o->on_unenforceable, o->firmware_honours, o->allow_exit, o->allow_stop);
    }
    return 0;
}

static int check_storm(const hvcore_storm_opts *s, hvcore_error *err)
{
    if (s->act != HVCORE_DO_EXIT && s->act != HVCORE_DO_NONE) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_POLICY,
                        "BAD_ACTION: a storm exits or is only counted.");
    }
    if (s->repeat > HVC_STORM_MAX || s->per_ms > HVC_STORM_MAX ||
        (s->repeat && s->repeat < HVC_STORM_MIN_REPEAT)) {
        return hvc_fail(err, HVCORE_E_RANGE, HVCORE_DOMAIN_POLICY,
                        "STORM_RANGE: repeat (%u) is 0 or from %u to %u, per_ms (%u) from 0 to %u.",
                        s->repeat, (unsigned)HVC_STORM_MIN_REPEAT, (unsigned)HVC_STORM_MAX,
                        s->per_ms, (unsigned)HVC_STORM_MAX);
    }
    return 0;
}

/*
 * The base leaves the detector off. Equal traps in a row are what a healthy guest shows whose
 * kernel repairs misaligned accesses itself: a loop that stores 64 times at one odd address is no
 * livelock, and only the VMM knows which rate its host can bear. The one case that is never
 * healthy, a trap handler whose own first instruction traps, is watched by the run loop whatever
 * the policy says.
 */
static int storm_in(hvcore_policy *p, const hvcore_storm_opts *given, hvcore_error *err)
{
    hvcore_storm_opts s;
    if (!given->size) {
        return 0;
    }
    int rc = hvc_struct_in(&s, sizeof(s), given, "storm options", err);
    if (!rc) {
        rc = check_storm(&s, err);
    }
    if (!rc) {
        p->storm = (hvcore_storm_params){.repeat = s.repeat,
                                         .drain = s.per_ms,
                                         .capacity = (uint64_t)s.per_ms * STORM_CAPACITY_MS};
        p->storm_act = s.act;
    }
    return rc;
}

static void init(hvcore_policy *p, const hvcore_policy_opts *o)
{
    atomic_init(&p->refs, 1);
    atomic_init(&p->state, HVC_POLICY_OPEN);
    p->arch = o->arch;
    p->on_unenforceable = o->on_unenforceable;
    p->firmware_honours = o->firmware_honours;
    p->allow_exit = o->allow_exit;
    p->allow_stop = o->allow_stop;
    p->storm_act = HVCORE_DO_NONE;
}

static int make(const hvcore_policy_opts *o, hvcore_policy **policy, hvcore_error *err)
{
    hvcore_policy *p = hvc_host_alloc(sizeof(*p));
    if (!p) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_POLICY,
                        "There is no memory for a policy.");
    }
    init(p, o);
    int rc = storm_in(p, &o->storm, err);
    if (rc) {
        hvc_host_free(p);
        return rc;
    }
    *policy = p;
    return 0;
}

int hvcore_policy_create(const hvcore_policy_opts *opts, hvcore_policy **policy, hvcore_error *err)
{
    hvcore_policy_opts o;
    if (!policy) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_POLICY,
                        "There is no place for the policy: `policy` is NULL.");
    }
    *policy = NULL;
    int rc = hvc_struct_in(&o, sizeof(o), opts, "policy options", err);
    if (!rc) {
        rc = check_opts(&o, err);
    }
    return rc ? rc : make(&o, policy, err);
}

hvcore_policy *hvcore_policy_ref(hvcore_policy *policy)
{
    if (policy) {
        atomic_fetch_add_explicit(&policy->refs, 1, memory_order_relaxed);
    }
    return policy;
}

void hvcore_policy_unref(hvcore_policy *policy)
{
    if (policy && atomic_fetch_sub_explicit(&policy->refs, 1, memory_order_acq_rel) == 1) {
        hvc_host_free(policy->rule);
        hvc_host_free(policy);
    }
}

const char *hvcore_trap_cause_name(uint32_t arch, uint32_t cls)
{
    return arch == HVCORE_ARCH_RISCV64 && cls < HVCORE_RISCV64_CAUSES ? hvc_riscv64_causes[cls].name
                                                                      : NULL;
}
