/* SPDX-License-Identifier: Apache-2.0 */
/* What each exit of a guest means to the tool: a table from reason to handler. */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>

#include <hvcore/firmware/sbi.h>

#include "board.h"
#include "virt.h"

enum { TYPED_MS = 10 };

/* Equal unanswered accesses in a row after which the guest is taken not to get on. */
static const hvcore_storm_params unanswered_limit = {.repeat = 64};

/* --- words ----------------------------------------------------------------------------------- */

struct line {
    char text[512];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void put(struct line *l, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(l->text + l->len, sizeof l->text - l->len, fmt, ap);
    va_end(ap);
    if (n > 0)
        l->len += (size_t)n < sizeof l->text - l->len ? (size_t)n : sizeof l->text - l->len - 1;
}

static const char *mode_name(const hvcore_exit *e)
{
    if (!(e->have & HVCORE_HAVE_MODE))
        return "guest";
    return e->mode == HVCORE_RISCV64_VU ? "VU" : "VS";
}

static void put_value(struct line *l, const hvcore_exit *e, uint32_t have, const char *name,
                      uint64_t value)
{
    if (e->have & have)
        put(l, ", %s %#" PRIx64, name, value);
}

/* All that is known of an exit. */
static const char *record(struct line *l, const hvcore_exit *e)
{
    l->len = 0;
    put(l, "pc %#" PRIx64 " in %s-mode", e->pc, mode_name(e));
    if (e->have & HVCORE_HAVE_SYNDROME)
        put(l, ", cause %u (%s)", e->cls, cli_cause_name(e->cls));
    put_value(l, e, HVCORE_HAVE_INSN, "instruction", e->insn);
    put_value(l, e, HVCORE_HAVE_TVAL, "tval", e->tval);
    put_value(l, e, HVCORE_HAVE_GPA, "guest-physical address", e->gpa);
    if (e->flags & HVCORE_EXIT_POLICY_RULE)
        put(l, ", rule %u of the policy", e->rule);
    return l->text;
}

static bool first_time(struct machine *m, uint32_t what)
{
    return !(atomic_fetch_or(&m->said, what) & what);
}

/* --- the board's finisher: it ends the run, unless the guest writes nonsense ------------------ */

static int finish_fail(uint32_t code)
{
    cli_say("the guest shut down and reports a failure (code %u).", code);
    return CLI_GUEST_FAILED;
}

static int finish_pass(uint32_t code)
{
    (void)code;
    return CLI_OK;
}

static int finish_reset(uint32_t code)
{
    (void)code;
    cli_say("the guest asks for a restart, which is not done here: stopped.");
    return CLI_OK;
}

static int finish(uint64_t value)
{
    static const struct {
        uint32_t what;
        int (*end)(uint32_t code);
    } rows[] = {{VIRT_TEST_FAIL, finish_fail},
                {VIRT_TEST_PASS, finish_pass},
                {VIRT_TEST_RESET, finish_reset}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((value & 0xffff) == rows[i].what)
            return rows[i].end(value >> 16 & 0xffff);
    return GO_ON;
}

/* --- exits after which the guest goes on ----------------------------------------------------- */

static int stuck_access(const hvcore_exit *e)
{
    cli_say("the guest does not get on: %s at pc %#" PRIx64 " touches %#" PRIx64
            ", where there is nothing, again and again.",
            e->u.mmio.write ? "a store" : "a load", e->pc, e->u.mmio.addr);
    return CLI_STUCK;
}

static void say_access(struct hart *h, const hvcore_exit *e)
{
    if (!first_time(h->machine, e->u.mmio.write ? SAID_STORE : SAID_LOAD))
        return;
    cli_say("hart %u: %s of %u bytes at %#" PRIx64 " (pc %#" PRIx64
            "), where there is nothing: the guest gets an access fault. Said once.",
            h->index, e->u.mmio.write ? "a store" : "a load", e->u.mmio.width, e->u.mmio.addr,
            e->pc);
}

/* Nobody answers: as on a real bus, the guest gets an access fault and decides itself. */
static int on_mmio(struct hart *h, const hvcore_exit *e)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    hvcore_inject fault = HVCORE_INJECT_INIT;
    int rc;

    if (board_finishes(h->machine, e))
        return finish(e->u.mmio.data);
    fault.cause = e->u.mmio.write ? HVCORE_RISCV64_STORE_ACCESS : HVCORE_RISCV64_LOAD_ACCESS;
    fault.tval = e->have & HVCORE_HAVE_GVA ? e->gva : e->tval;
    if (hvcore_storm_event(&h->unanswered, &unanswered_limit, 0, fault.cause, e->pc, fault.tval))
        return stuck_access(e);
    say_access(h, e);
    rc = hvcore_vcpu_inject(h->vcpu, &fault, &err);
    if (rc == 0)
        return GO_ON;
    cli_library("the access fault cannot be given to the guest", rc, &err);
    return rc == -HVCORE_E_STATE ? CLI_STUCK : CLI_HOST;
}

/* Experimental and vendor extensions of the SBI: there are none here. */
static int on_hypercall(struct hart *h, const hvcore_exit *e)
{
    const uint64_t not_supported = (uint64_t)(int64_t)HVCORE_SBI_ERR_NOT_SUPPORTED;
    int rc;

    if (first_time(h->machine, SAID_CALL))
        cli_say("hart %u: SBI call %#" PRIx64 " function %" PRIu64 " (pc %#" PRIx64
                "): the guest is told that it is not supported. Said once.",
                h->index, e->u.hypercall.nr, e->u.hypercall.fid, e->pc);
    rc = hvcore_vcpu_complete(h->vcpu, &not_supported, 1);
    return rc ? cli_library("a call cannot be answered", rc, NULL) : GO_ON;
}

/* --- exits that end the run ------------------------------------------------------------------ */

static int on_shutdown(struct hart *h, const hvcore_exit *e)
{
    (void)h;
    if (e->u.reset.reason == 0)
        return CLI_OK;
    cli_say("the guest shut down and reports a failure (reason %u).", e->u.reset.reason);
    return CLI_GUEST_FAILED;
}

static int on_reset(struct hart *h, const hvcore_exit *e)
{
    cli_say("the guest asks for a restart (type %u, reason %u), which is not done here: stopped.",
            e->u.reset.type, e->u.reset.reason);
    return e->u.reset.reason == 0 ? CLI_OK : on_shutdown(h, e);
}

/* In lockstep: what is typed may wake it. */
static bool may_wake(const struct machine *m)
{
    if (!m->board || !board_listens(m->board))
        return false;
    poll(NULL, 0, TYPED_MS);
    return true;
}

static int on_halt(struct hart *h, const hvcore_exit *e)
{
    struct machine *m = h->machine;

    if (m->options->schedule == HVCORE_SCHEDULE_LOCKSTEP) {
        if (may_wake(m))
            return GO_ON;
    } else if (atomic_fetch_add(&m->halted, 1) + 1 < m->count) {
        return UNDECIDED;
    }
    cli_say("the guest waits for an interrupt (WFI at pc %#" PRIx64
            "), and there is none that could wake it.",
            e->pc);
    return CLI_STUCK;
}

static int on_off(struct hart *h, const hvcore_exit *e)
{
    (void)h;
    (void)e;
    cli_say("the guest has switched off all of its harts.");
    return CLI_STUCK;
}

static int on_cancelled(struct hart *h, const hvcore_exit *e)
{
    (void)h;
    if (cancel_signal() == 0)
        return UNDECIDED; /* another hart ended the run */
    cli_say("stopped by %s; the guest was at pc %#" PRIx64 ".",
            cancel_signal() == SIGINT ? "SIGINT" : "SIGTERM", e->pc);
    return CLI_CANCELLED;
}

static int on_deadline(struct hart *h, const hvcore_exit *e)
{
    cli_say("the deadline of %g s has passed; the guest was at pc %#" PRIx64 ".",
            (double)h->machine->options->deadline_ns / 1e9, e->pc);
    return CLI_DEADLINE;
}

static int say_insn_limit(const struct hart *h)
{
    cli_say("hart %u has executed its %" PRIu64 " instructions.", h->index,
            h->machine->options->max_insns);
    return CLI_INSNS;
}

static int on_insn_limit(struct hart *h, const hvcore_exit *e)
{
    (void)e;
    return say_insn_limit(h);
}

static const char *storm_text(uint32_t kind)
{
    static const char *const texts[] = {
        [HVCORE_STORM_NONE] = "it traps",
        [HVCORE_STORM_VECTOR] = "the first instruction of its trap handler traps itself (stvec)",
        [HVCORE_STORM_LIVELOCK] = "the same trap comes again and again",
        [HVCORE_STORM_RATE] = "more traps come than the policy allows",
    };

    return kind < sizeof texts / sizeof *texts ? texts[kind] : texts[0];
}

static int on_storm(struct hart *h, const hvcore_exit *e)
{
    struct line l;

    cli_say("hart %u does not get on: %s, %u times: %s.", h->index, storm_text(e->u.storm.kind),
            e->u.storm.count, record(&l, e));
    return CLI_STUCK;
}

static int on_trap(struct hart *h, const hvcore_exit *e)
{
    struct line l;

    cli_say("hart %u: a trap that the policy sends to the tool, which has no answer: %s.", h->index,
            record(&l, e));
    return CLI_STUCK;
}

static int on_stopped(struct hart *h, const hvcore_exit *e)
{
    struct line l;

    cli_say("hart %u: the policy stops the guest: %s.", h->index, record(&l, e));
    return CLI_STUCK;
}

static int on_fixup(struct hart *h, const hvcore_exit *e)
{
    struct line l;

    cli_say("hart %u: a fix-up %s: %s.", h->index,
            e->u.fixup.why == HVCORE_FIXUP_BOUND ? "did not come to an end"
                                                 : "needs what this build cannot give",
            record(&l, e));
    return CLI_STUCK;
}

static int (*const handlers[])(struct hart *, const hvcore_exit *) = {
    [HVCORE_EXIT_MMIO] = on_mmio,
    [HVCORE_EXIT_HYPERCALL] = on_hypercall,
    [HVCORE_EXIT_TRAP] = on_trap,
    [HVCORE_EXIT_HALT] = on_halt,
    [HVCORE_EXIT_SHUTDOWN] = on_shutdown,
    [HVCORE_EXIT_RESET] = on_reset,
    [HVCORE_EXIT_CANCELLED] = on_cancelled,
    [HVCORE_EXIT_DEADLINE] = on_deadline,
    [HVCORE_EXIT_INSN_LIMIT] = on_insn_limit,
    [HVCORE_EXIT_STOPPED] = on_stopped,
    [HVCORE_EXIT_STORM] = on_storm,
    [HVCORE_EXIT_FIXUP] = on_fixup,
    [HVCORE_EXIT_OFF] = on_off,
};

int exit_handle(struct hart *h, const hvcore_exit *e)
{
    if (e->reason < sizeof handlers / sizeof *handlers && handlers[e->reason])
        return handlers[e->reason](h, e);
    cli_say("hart %u: exit \"%s\" (%u) is not known to this tool.", h->index,
            hvcore_exit_reason_name(e->reason), e->reason);
    return CLI_HOST;
}

/* --- the loop -------------------------------------------------------------------------------- */

/* The limit is for the hart's whole life, the library's for one run. */
static bool insns_left(const struct hart *h, uint64_t *left)
{
    hvcore_vcpu_stats s = HVCORE_VCPU_STATS_INIT;
    uint64_t limit = h->machine->options->max_insns;

    *left = 0; /* no limit */
    if (limit == 0 || hvcore_vcpu_stats_get(h->vcpu, &s) != 0)
        return true;
    *left = s.insns < limit ? limit - s.insns : 0;
    return *left > 0;
}

static int run_once(struct hart *h)
{
    hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;
    hvcore_error err = HVCORE_ERROR_INIT;
    const hvcore_exit *e;
    int rc;

    opts.flags = h->machine->board ? HVCORE_RUN_WAIT : 0;
    opts.deadline_ns = h->machine->deadline_ns;
    if (!insns_left(h, &opts.max_insns))
        return say_insn_limit(h);
    rc = hvcore_vcpu_run(h->vcpu, &opts, &e, &err);
    return rc ? cli_library("the guest cannot be run", rc, &err) : exit_handle(h, e);
}

int hart_run(struct hart *h)
{
    int code;

    do
        code = run_once(h);
    while (code == GO_ON);
    return code;
}
