/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From rules to a dense table for one machine, and the report of what that comes to.
 *
 * For each mode and cause: decide (first rule, else the base), then enforce (what this machine can
 * do of it). hedeleg comes first, because it knows no modes.
 */
#include "lib/arch/riscv64.h"
#include "lib/core/error.h"
#include "lib/host/mem.h"
#include "lib/policy/decide.h"

/* What a rule asks for and this machine cannot do. */
typedef struct lack {
    const char *name, *advice, *why;
} lack;

/* Who does what is said, and why. `lack`: it is not what rule number `asker` asks for. */
typedef struct verdict {
    uint32_t enforcer;
    const char *why;
    const lack *lack;
    uint32_t asker;
} verdict;

typedef struct line {
    uint32_t cls, from;
    hvc_decision said;
    uint8_t as; /* cause that the guest sees */
    verdict verdict;
} line;

struct hvcore_report {
    uint32_t arch, count, not_as_asked;
    line line[];
};

enum { MAX_LINES = HVC_POLICY_MODES * HVC_POLICY_CLASSES };

typedef struct compiler {
    const hvcore_policy *policy;
    const hvc_policy_facts *facts;
    hvc_policy_table *table;
    hvcore_report *report; /* NULL: none is wanted */
    uint32_t lacks;
    hvc_refusal first; /* of the lacks */
} compiler;

static const lack not_writable = {
    "NOT_WRITABLE",
    "this machine's hedeleg does not keep the bit; redirect it, or set on_unenforceable.",
    "NOT_WRITABLE: this machine's hedeleg does not keep the bit, so the library redirects it"};
static const lack fw_not_trusted = {
    "FW_NOT_TRUSTED",
    "nothing proves that firmware here honours hedeleg; say so, or set on_unenforceable.",
    "FW_NOT_TRUSTED: nothing proves that firmware honours hedeleg; the library stands by"};
static const lack no_emulator = {
    "NO_EMULATOR", "nothing here can carry it out; redirect it, or set on_unenforceable.",
    "NO_EMULATOR: nothing here can carry it out, so the guest gets the trap"};
static const lack debug_conflict = {
    "DEBUG_CONFLICT",
    "a debugger owns the guest's breakpoints; redirect it, or set on_unenforceable.",
    "DEBUG_CONFLICT: a debugger owns breakpoints; the library gives the guest its own"};
static const lack misaligned_pair = {
    "MISALIGNED_PAIR",
    "guests have one switch for 4 and 6; delegate both or none, or set on_unenforceable.",
    "MISALIGNED_PAIR: one switch of the guest's is for 4 and 6, so the library redirects it"};
static const lack backend_fixed = {
    "BACKEND_FIXED", "the backend lets nobody change this; drop it, or set on_unenforceable.",
    "BACKEND_FIXED: the backend does something else with it, under any policy"};
static const lack no_double_trap_action = {
    "NO_DOUBLE_TRAP_ACTION",
    "it redirects, and guests have double traps; add a rule for these, or set on_unenforceable.",
    "NO_DOUBLE_TRAP_ACTION: rules redirect and none names this cause; it leaves to the VMM"};

uint64_t hvc_hedeleg_effective(uint64_t want, uint64_t writable, bool debug_breakpoints,
                               uint64_t intercept)
{
    uint64_t debug = debug_breakpoints ? HVC_BIT(HVCORE_RISCV64_BREAKPOINT) : 0;
    return want & writable & ~debug & ~intercept;
}

/* --- enforce ---------------------------------------------------------------------------------- */

static bool can_emulate(const compiler *c, unsigned cls)
{
    return cls == HVCORE_RISCV64_ECALL_VS || (c->facts->emulators & HVC_BIT(cls));
}

/* Let the guest have the trap; what no guest can receive leaves to the VMM. */
static void give(hvc_action *a)
{
    bool seen = hvc_riscv64_causes[a->as].facts & HVC_CAUSE_GUEST_SEES;
    a->act = seen ? HVCORE_DO_REDIRECT : HVCORE_DO_EXIT;
    a->count = seen;
}

static verdict by(uint32_t enforcer, const char *why)
{
    return (verdict){.enforcer = enforcer, .why = why};
}

/* A lack counts only against rules: the base takes what the machine has. */
static verdict lacking(const hvc_decision *d, const lack *l)
{
    return (verdict){HVCORE_BY_LIBRARY, l->why, d->rule ? l : NULL, d->rule};
}

/* The hardware does it; prepare for what arrives in software all the same. */
static verdict delegate(const compiler *c, unsigned cls, const hvc_decision *d, hvc_action *a)
{
    static const char *const why[] = {
        [HVCORE_DO_NONE] = "hedeleg has the bit; firmware is trusted, a late arrival exits",
        [HVCORE_DO_REDIRECT] = "hedeleg has the bit; what arrives late is redirected and counted",
        [HVCORE_DO_EMULATE] = "hedeleg has the bit; what arrives late is emulated",
        [HVCORE_DO_EXIT] = "hedeleg has the bit; what arrives late exits",
        [HVCORE_DO_STOP] = "hedeleg has the bit; what arrives late stops the VM",
    };
    bool distrusted = d->rule && c->policy->firmware_honours == HVCORE_FIRMWARE_YES &&
                      !c->facts->firmware_honours;
    bool unprepared = distrusted && (d->late == HVCORE_DO_NONE || d->late == HVCORE_DO_STOP);
    bool helpless = d->late == HVCORE_DO_EMULATE && !can_emulate(c, cls);
    a->late = 1;
    a->act = d->late == HVCORE_DO_NONE ? HVCORE_DO_EXIT : d->late;
    a->count = a->act == HVCORE_DO_REDIRECT;
    if (unprepared || helpless) {
        give(a);
    }
    if (distrusted || helpless) {
        return lacking(d, distrusted ? &fw_not_trusted : &no_emulator);
    }
    return by(HVCORE_BY_HARDWARE, why[d->late]);
}

/* Guests have one switch for both misaligned causes, and the policy tears them apart. */
static bool splits_pair(const compiler *c)
{
    return c->facts->fwft_misaligned &&
           hvc_policy_delegates(c->policy, HVCORE_RISCV64_LOAD_MISALIGNED) !=
               hvc_policy_delegates(c->policy, HVCORE_RISCV64_STORE_MISALIGNED);
}

/* The pair, if the guest's switch cannot serve the policy: then neither is delegated. */
static uint64_t split_pair(const compiler *c)
{
    return splits_pair(c)
               ? HVC_BIT(HVCORE_RISCV64_LOAD_MISALIGNED) | HVC_BIT(HVCORE_RISCV64_STORE_MISALIGNED)
               : 0;
}

/* hedeleg does not have the bit: the guest gets the trap from the library, and it is not late. */
static verdict delegate_in_software(const compiler *c, unsigned cls, const hvc_decision *d,
                                    hvc_action *a)
{
    give(a);
    if (!hvc_policy_delegates(c->policy, cls)) {
        return by(HVCORE_BY_LIBRARY,
                  "a rule takes it from the other mode, and hedeleg knows no modes");
    }
    if (!(c->facts->delegatable & HVC_BIT(cls))) {
        return lacking(d, &not_writable);
    }
    if (cls == HVCORE_RISCV64_BREAKPOINT && c->facts->debug_breakpoints) {
        return lacking(d, &debug_conflict);
    }
    if (split_pair(c) & HVC_BIT(cls)) {
        return lacking(d, &misaligned_pair);
    }
    return by(HVCORE_BY_LIBRARY, "the library needs the trap for itself (debugger)");
}

static verdict enforce_delegate(const compiler *c, unsigned cls, const hvc_decision *d,
                                hvc_action *a)
{
    return c->table->hedeleg & HVC_BIT(cls) ? delegate(c, cls, d, a)
                                            : delegate_in_software(c, cls, d, a);
}

static verdict enforce_redirect(const compiler *c, unsigned cls, const hvc_decision *d,
                                hvc_action *a)
{
    (void)c;
    a->count = d->count;
    return by(HVCORE_BY_LIBRARY, d->as == cls
                                     ? "hedeleg lets it pass; the library gives it to the guest"
                                     : "the library gives it to the guest as another cause");
}

static verdict enforce_emulate(const compiler *c, unsigned cls, const hvc_decision *d,
                               hvc_action *a)
{
    if (can_emulate(c, cls)) {
        return by(HVCORE_BY_LIBRARY, cls == HVCORE_RISCV64_ECALL_VS
                                         ? "the library is the guest's firmware"
                                         : "the library carries it out");
    }
    give(a);
    return lacking(d, &no_emulator);
}

static verdict enforce_end(const compiler *c, unsigned cls, const hvc_decision *d, hvc_action *a)
{
    (void)c;
    (void)cls;
    (void)a;
    return by(HVCORE_BY_LIBRARY, d->act == HVCORE_DO_STOP ? "the library stops the VM"
                                                          : "the library leaves to the VMM");
}

/* Traps that do not exist here. The table has an entry all the same: guests are hostile. */
static const char *cannot_arise(const compiler *c, unsigned cls)
{
    if (hvc_riscv64_causes[cls].facts & HVC_CAUSE_NOT_GUEST) {
        return "no guest can raise it";
    }
    if (cls == HVCORE_RISCV64_DOUBLE_TRAP && !c->facts->double_trap) {
        return "guests have no double traps (Ssdbltrp) here";
    }
    return NULL;
}

typedef verdict enforcer(const compiler *, unsigned, const hvc_decision *, hvc_action *);

static enforcer *const enforcers[] = {
    [HVCORE_DO_DELEGATE] = enforce_delegate, [HVCORE_DO_REDIRECT] = enforce_redirect,
    [HVCORE_DO_EMULATE] = enforce_emulate,   [HVCORE_DO_EXIT] = enforce_end,
    [HVCORE_DO_STOP] = enforce_end,
};

/*
 * The backend has decided already, and nobody asks the policy; should the trap come to the library
 * all the same, it does what the policy says.
 */
static verdict enforce_fixed(const compiler *c, unsigned cls, const hvc_decision *d, hvc_action *a)
{
    bool agreed = c->facts->fixed[cls] == d->act &&
                  (d->act != HVCORE_DO_REDIRECT || d->as == hvc_riscv64_causes[cls].redirect);
    (void)(agreed && d->act == HVCORE_DO_DELEGATE ? delegate : enforcers[d->act])(c, cls, d, a);
    if (agreed) {
        return by(HVCORE_BY_KERNEL, "the backend does this of itself, under any policy");
    }
    verdict v = lacking(d, &backend_fixed);
    v.enforcer = HVCORE_BY_NOBODY;
    return v;
}

/* Rules redirect, so a guest can be caught inside its own trap entry: none says what then. */
static bool forgets_double_trap(const compiler *c, unsigned cls, const hvc_decision *d)
{
    return cls == HVCORE_RISCV64_DOUBLE_TRAP && c->facts->double_trap && !d->rule &&
           !hvc_policy_find(c->policy, HVCORE_RISCV64_VS, cls) && hvc_policy_redirecter(c->policy);
}

static verdict enforce(const compiler *c, unsigned cls, const hvc_decision *d, hvc_action *a)
{
    *a = (hvc_action){.act = d->act, .as = d->as, .rule = d->rule};
    verdict v = (c->facts->fixed[cls] ? enforce_fixed : enforcers[d->act])(c, cls, d, a);
    if (forgets_double_trap(c, cls, d)) {
        v = (verdict){HVCORE_BY_LIBRARY, no_double_trap_action.why, &no_double_trap_action,
                      hvc_policy_redirecter(c->policy)};
    }
    const char *never = cannot_arise(c, cls);
    return never ? (verdict){HVCORE_BY_NOBODY, never, v.lack, v.asker} : v;
}

/* --- report ----------------------------------------------------------------------------------- */

static bool same_line(const line *a, const line *b)
{
    return a->cls == b->cls && a->said.act == b->said.act && a->as == b->as &&
           a->said.rule == b->said.rule && a->verdict.why == b->verdict.why &&
           a->verdict.enforcer == b->verdict.enforcer;
}

/* Half of the codes are custom or reserved: nobody wants to read of them if no rule does. */
static bool worth_a_line(const line *l)
{
    const hvc_riscv64_cause *cause = &hvc_riscv64_causes[l->cls];
    return cause->name && (l->said.rule || !(cause->facts & HVC_CAUSE_CUSTOM));
}

static void report(hvcore_report *r, const line *l)
{
    if (!r || !worth_a_line(l)) {
        return;
    }
    line *last = r->count ? &r->line[r->count - 1] : NULL;
    if (last && same_line(last, l)) {
        last->from |= l->from;
        return;
    }
    r->line[r->count++] = *l;
    r->not_as_asked += l->verdict.lack != NULL;
}

static void note_lack(compiler *c, const line *l)
{
    const lack *missing = l->verdict.lack;
    if (!missing || c->lacks++) {
        return;
    }
    c->first = (hvc_refusal){.code = HVCORE_E_POLICY,
                             .name = missing->name,
                             .advice = missing->advice,
                             .rule = l->verdict.asker,
                             .rule_name = c->policy->rule[l->verdict.asker - 1].name,
                             .cls = l->cls};
}

int hvcore_report_item_get(const hvcore_report *report, uint32_t index, hvcore_report_item *item)
{
    if (!report || !item) {
        return -HVCORE_E_INVAL;
    }
    if (index >= report->count) {
        return -HVCORE_E_NOTFOUND;
    }
    const line *l = &report->line[index];
    hvcore_report_item full = {.cls = l->cls,
                               .from = l->from,
                               .act = l->said.act,
                               .as = l->as,
                               .enforcer = l->verdict.enforcer,
                               .rule = l->said.rule,
                               .flags = l->verdict.lack ? HVCORE_REPORT_NOT_AS_ASKED : 0};
    hvc_format(full.cause, sizeof(full.cause), "%s", hvcore_trap_cause_name(report->arch, l->cls));
    hvc_format(full.why, sizeof(full.why), "%s", l->verdict.why);
    return hvc_struct_out(item, &full, sizeof(full));
}

uint32_t hvc_report_not_as_asked(const hvcore_report *report)
{
    return report ? report->not_as_asked : 0;
}

void hvcore_report_free(hvcore_report *report)
{
    hvc_host_free(report);
}

/* --- compile ---------------------------------------------------------------------------------- */

/* What the backend decides itself: nothing is asked of its hedeleg. */
static uint64_t fixed_causes(const hvc_policy_facts *facts)
{
    uint64_t set = 0;
    for (unsigned cls = 0; cls < HVC_POLICY_CLASSES; cls++) {
        set |= facts->fixed[cls] ? HVC_BIT(cls) : 0;
    }
    return set;
}

static void compile_cell(compiler *c, unsigned mode, unsigned cls)
{
    hvc_action *a = &c->table->action[mode][cls];
    line l = {.cls = cls, .from = 1u << mode, .said = hvc_policy_decide(c->policy, mode, cls)};
    l.verdict = enforce(c, cls, &l.said, a);
    l.as = a->act == HVCORE_DO_REDIRECT ? a->as : (uint8_t)cls;
    note_lack(c, &l);
    report(c->report, &l);
}

static int compile(compiler *c, hvcore_error *err)
{
    c->table->hedeleg = hvc_hedeleg_effective(
        hvc_policy_delegations(c->policy), c->facts->delegatable, c->facts->debug_breakpoints,
        c->facts->intercept | fixed_causes(c->facts) | split_pair(c));
    c->table->storm = c->policy->storm;
    c->table->storm_act = c->policy->storm_act;
    for (unsigned cls = 0; cls < HVC_POLICY_CLASSES; cls++) {
        for (unsigned mode = 0; mode < HVC_POLICY_MODES; mode++) {
            compile_cell(c, mode, cls);
        }
    }
    bool refused = c->lacks && c->policy->on_unenforceable == HVCORE_UNENFORCEABLE_REFUSE;
    return refused ? hvc_policy_refuse(err, &c->first) : 0;
}

static int seal(hvcore_policy *p, hvcore_error *err)
{
    uint32_t seen = HVC_POLICY_OPEN;
    if (atomic_compare_exchange_strong(&p->state, &seen, HVC_POLICY_SEALED) ||
        seen == HVC_POLICY_SEALED) {
        return 0;
    }
    return hvc_fail(err, HVCORE_E_BUSY, HVCORE_DOMAIN_POLICY,
                    "Another thread is adding a rule to this policy.");
}

static int new_report(const hvcore_policy *p, hvcore_report **report, hvcore_error *err)
{
    *report = hvc_host_alloc(sizeof(**report) + MAX_LINES * sizeof(line));
    if (!*report) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_POLICY,
                        "There is no memory for a report.");
    }
    (*report)->arch = p->arch;
    return 0;
}

static int check_arch(const hvcore_policy *p, const hvc_policy_facts *facts, hvcore_error *err)
{
    if (p->arch == facts->arch) {
        return 0;
    }
    return hvc_fail(err, HVCORE_E_TYPE, HVCORE_DOMAIN_POLICY,
                    "The policy is for architecture %u, the machine has %u.", p->arch, facts->arch);
}

int hvc_policy_compile(hvcore_policy *policy, const hvc_policy_facts *facts,
                       hvc_policy_table *table, hvcore_report **report, hvcore_error *err)
{
    hvc_policy_table made = {0};
    compiler c = {.policy = policy, .facts = facts, .table = &made};
    if (report) {
        *report = NULL;
    }
    int rc = check_arch(policy, facts, err);
    if (!rc) {
        rc = seal(policy, err);
    }
    if (!rc && report) {
        rc = new_report(policy, report, err);
        c.report = *report;
    }
    if (!rc) {
        rc = compile(&c, err);
    }
    if (!rc) {
        *table = made;
    }
    return rc;
}
