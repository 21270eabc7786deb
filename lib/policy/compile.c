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
#include "lib/policy/policy.h"

/*
 * The base "linux-guest" (specs 3.4, with two differences: 4 and 6 are redirected as long as
 * nothing in the library carries out a misaligned access, and 21 and 23 are emulated because an
 * access that nobody answers leaves the run loop as an MMIO exit anyway). What is not here exits:
 * 9, 11 and 16, what is reserved and what is custom. Late arrivals are redirected and counted.
 */
static const uint8_t base[HVC_POLICY_CLASSES] = {
    [HVCORE_RISCV64_INSN_MISALIGNED] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_INSN_ACCESS] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_ILLEGAL_INSN] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_BREAKPOINT] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_LOAD_MISALIGNED] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_LOAD_ACCESS] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_STORE_MISALIGNED] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_STORE_ACCESS] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_ECALL_U] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_ECALL_VS] = HVCORE_DO_EMULATE,
    [HVCORE_RISCV64_INSN_PAGE] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_LOAD_PAGE] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_STORE_PAGE] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_SOFTWARE_CHECK] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_HARDWARE_ERROR] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_INSN_GUEST_PAGE] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_LOAD_GUEST_PAGE] = HVCORE_DO_EMULATE,
    [HVCORE_RISCV64_VIRTUAL_INSN] = HVCORE_DO_EMULATE,
    [HVCORE_RISCV64_STORE_GUEST_PAGE] = HVCORE_DO_EMULATE,
};

/* What the policy says about a trap, before any machine is asked. */
typedef struct decision {
    uint8_t act, late, as, count;
    uint16_t rule;
} decision;

/* What a rule asks for and this machine cannot do. */
typedef struct lack {
    const char *name, *advice, *why;
} lack;

/* Who does what is said, and why. `lack`: it is not what the rule asks for. */
typedef struct verdict {
    uint32_t enforcer;
    const char *why;
    const lack *lack;
} verdict;

typedef struct line {
    uint32_t cls, from;
    decision said;
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

uint64_t hvc_hedeleg_effective(uint64_t want, uint64_t writable, bool debug_breakpoints,
                               uint64_t intercept)
{
    uint64_t debug = debug_breakpoints ? HVC_BIT(HVCORE_RISCV64_BREAKPOINT) : 0;
    return want & writable & ~debug & ~intercept;
}

/* --- decide ----------------------------------------------------------------------------------- */

static decision decide_base(unsigned cls)
{
    return (decision){.act = base[cls] ? base[cls] : HVCORE_DO_EXIT,
                      .late = HVCORE_DO_REDIRECT,
                      .as = hvc_riscv64_causes[cls].redirect,
                      .count = 1};
}

static decision decide(const hvcore_policy *p, unsigned mode, unsigned cls)
{
    uint32_t number = hvc_policy_find(p, mode, cls);
    decision d = decide_base(cls);
    if (number) {
        const hvc_rule *r = &p->rule[number - 1];
        d.act = r->act;
        d.late = r->late;
        d.as = r->flags & HVCORE_TRAP_AS ? r->as : d.as;
        d.count = !(r->flags & HVCORE_TRAP_NO_COUNT);
        d.rule = (uint16_t)number;
    }
    return d;
}

static bool is_delegated(const hvcore_policy *p, unsigned cls)
{
    return decide(p, HVCORE_RISCV64_VU, cls).act == HVCORE_DO_DELEGATE &&
           decide(p, HVCORE_RISCV64_VS, cls).act == HVCORE_DO_DELEGATE;
}

/* All of them have a bit in the architecture: the base by its table, rules by NOT_DELEGATABLE. */
static uint64_t delegated_causes(const hvcore_policy *p)
{
    uint64_t set = 0;
    for (unsigned cls = 0; cls < HVC_POLICY_CLASSES; cls++) {
        if (is_delegated(p, cls)) {
            set |= HVC_BIT(cls);
        }
    }
    return set;
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

/* A lack counts only against rules: the base takes what the machine has. */
static verdict lacking(const decision *d, const lack *l)
{
    return (verdict){HVCORE_BY_LIBRARY, l->why, d->rule ? l : NULL};
}

/* The hardware does it; prepare for what arrives in software all the same. */
static verdict delegate(const compiler *c, unsigned cls, const decision *d, hvc_action *a)
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
    return (verdict){HVCORE_BY_HARDWARE, why[d->late], NULL};
}

/* hedeleg does not have the bit: the guest gets the trap from the library, and it is not late. */
static verdict delegate_in_software(const compiler *c, unsigned cls, const decision *d,
                                    hvc_action *a)
{
    give(a);
    if (!is_delegated(c->policy, cls)) {
        return (verdict){HVCORE_BY_LIBRARY,
                         "a rule takes it from the other mode, and hedeleg knows no modes", NULL};
    }
    if (!(c->facts->delegatable & HVC_BIT(cls))) {
        return lacking(d, &not_writable);
    }
    return (verdict){HVCORE_BY_LIBRARY, "the library needs the trap for itself (debugger)", NULL};
}

static verdict enforce_delegate(const compiler *c, unsigned cls, const decision *d, hvc_action *a)
{
    return c->table->hedeleg & HVC_BIT(cls) ? delegate(c, cls, d, a)
                                            : delegate_in_software(c, cls, d, a);
}

static verdict enforce_redirect(const compiler *c, unsigned cls, const decision *d, hvc_action *a)
{
    (void)c;
    a->count = d->count;
    return (verdict){HVCORE_BY_LIBRARY,
                     d->as == cls ? "hedeleg lets it pass; the library gives it to the guest"
                                  : "the library gives it to the guest as another cause",
                     NULL};
}

static verdict enforce_emulate(const compiler *c, unsigned cls, const decision *d, hvc_action *a)
{
    if (can_emulate(c, cls)) {
        return (verdict){HVCORE_BY_LIBRARY,
                         cls == HVCORE_RISCV64_ECALL_VS ? "the library is the guest's firmware"
                                                        : "the library carries it out",
                         NULL};
    }
    give(a);
    return lacking(d, &no_emulator);
}

static verdict enforce_end(const compiler *c, unsigned cls, const decision *d, hvc_action *a)
{
    (void)c;
    (void)cls;
    (void)a;
    return (verdict){HVCORE_BY_LIBRARY,
                     d->act == HVCORE_DO_STOP ? "the library stops the VM"
                                              : "the library leaves to the VMM",
                     NULL};
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

static verdict enforce(const compiler *c, unsigned cls, const decision *d, hvc_action *a)
{
    typedef verdict enforcer(const compiler *, unsigned, const decision *, hvc_action *);
    static enforcer *const by_act[] = {
        [HVCORE_DO_DELEGATE] = enforce_delegate, [HVCORE_DO_REDIRECT] = enforce_redirect,
        [HVCORE_DO_EMULATE] = enforce_emulate,   [HVCORE_DO_EXIT] = enforce_end,
        [HVCORE_DO_STOP] = enforce_end,
    };
    *a = (hvc_action){.act = d->act, .as = d->as, .rule = d->rule};
    verdict v = by_act[d->act](c, cls, d, a);
    const char *never = cannot_arise(c, cls);
    return never ? (verdict){HVCORE_BY_NOBODY, never, v.lack} : v;
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
                             .rule = l->said.rule,
                             .rule_name = c->policy->rule[l->said.rule - 1].name,
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

static void compile_cell(compiler *c, unsigned mode, unsigned cls)
{
    hvc_action *a = &c->table->action[mode][cls];
    line l = {.cls = cls, .from = 1u << mode, .said = decide(c->policy, mode, cls)};
    l.verdict = enforce(c, cls, &l.said, a);
    l.as = a->act == HVCORE_DO_REDIRECT ? a->as : (uint8_t)cls;
    note_lack(c, &l);
    report(c->report, &l);
}

static int compile(compiler *c, hvcore_error *err)
{
    c->table->hedeleg = hvc_hedeleg_effective(delegated_causes(c->policy), c->facts->delegatable,
                                              false, c->facts->intercept);
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
