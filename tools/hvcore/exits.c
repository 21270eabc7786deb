/* SPDX-License-Identifier: Apache-2.0 */
/* What each exit of a guest means to the tool: a table from reason to handler. */
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "board.h"
#include "unanswered.h"
#include "words.h"

enum { TYPED_MS = 10 };

static const char *cpu(const struct hart *h)
{
    return h->machine->arch->cpu;
}

/* --- what the guest wants of somebody -------------------------------------------------------- */

static int on_mmio(struct hart *h, const hvcore_exit *e)
{
    const int code = board_finish(h->machine, e);

    return code == UNDECIDED ? unanswered_mmio(h, e) : code;
}

static int on_pio(struct hart *h, const hvcore_exit *e)
{
    const int code = board_finish(h->machine, e);

    return code == UNDECIDED ? unanswered_pio(h, e) : code;
}

static int on_trap(struct hart *h, const hvcore_exit *e)
{
    struct line l;

    if (h->machine->arch->number == HVCORE_ARCH_ARM64)
        return unanswered_abort(h, e);
    cli_say("%s %u: a trap that the policy sends to the tool, which has no answer: %s.", cpu(h),
            h->index, exit_record(&l, h, e));
    return CLI_STUCK;
}

/* --- exits that end the run ------------------------------------------------------------------ */

static int on_shutdown(struct hart *h, const hvcore_exit *e)
{
    if (e->u.reset.reason == 0 || !h->machine->arch->says_why)
        return CLI_OK;
    cli_say("the guest shut down and reports a failure (reason %u).", e->u.reset.reason);
    return CLI_GUEST_FAILED;
}

static int on_reset(struct hart *h, const hvcore_exit *e)
{
    cli_say("the guest asks for a restart (type %u, reason %u), which is not done here: stopped.",
            e->u.reset.type, e->u.reset.reason);
    return on_shutdown(h, e);
}

static int on_suspend(struct hart *h, const hvcore_exit *e)
{
    (void)h;
    cli_say("the guest asks to be suspended (type %u), and nothing here could wake it: stopped.",
            e->u.reset.type);
    return CLI_STUCK;
}

static int on_wakeup(struct hart *h, const hvcore_exit *e)
{
    (void)h;
    (void)e;
    return GO_ON;
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
    char at[PLACE];

    if (m->options->schedule == HVCORE_SCHEDULE_LOCKSTEP) {
        if (may_wake(m))
            return GO_ON;
    } else if (atomic_fetch_add(&m->halted, 1) + 1 < m->count) {
        return UNDECIDED;
    }
    cli_say("the guest waits for an interrupt (%s at %s), and there is none that could wake it.",
            m->arch->wait, exit_place(at, h, e));
    return CLI_STUCK;
}

static int on_off(struct hart *h, const hvcore_exit *e)
{
    (void)e;
    cli_say("the guest has switched off all of its %ss.", cpu(h));
    return CLI_STUCK;
}

static int on_cancelled(struct hart *h, const hvcore_exit *e)
{
    char at[PLACE];

    if (cancel_signal() == 0)
        return UNDECIDED; /* another hart ended the run */
    cli_say("stopped by %s; the guest was at %s.", cancel_signal() == SIGINT ? "SIGINT" : "SIGTERM",
            exit_place(at, h, e));
    return CLI_CANCELLED;
}

static int on_deadline(struct hart *h, const hvcore_exit *e)
{
    char at[PLACE];

    cli_say("the deadline of %g s has passed; the guest was at %s.",
            (double)h->machine->options->deadline_ns / 1e9, exit_place(at, h, e));
    return CLI_DEADLINE;
}

static int say_insn_limit(const struct hart *h)
{
    cli_say("%s %u has executed its %" PRIu64 " instructions.", cpu(h), h->index,
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

    cli_say("%s %u does not get on: %s, %u times: %s.", cpu(h), h->index,
            storm_text(e->u.storm.kind), e->u.storm.count, exit_record(&l, h, e));
    return CLI_STUCK;
}

static int on_stopped(struct hart *h, const hvcore_exit *e)
{
    struct line l;

    cli_say("%s %u: the policy stops the guest: %s.", cpu(h), h->index, exit_record(&l, h, e));
    return CLI_STUCK;
}

static int on_fixup(struct hart *h, const hvcore_exit *e)
{
    struct line l;

    cli_say("%s %u: a fix-up %s: %s.", cpu(h), h->index,
            e->u.fixup.why == HVCORE_FIXUP_BOUND ? "did not come to an end"
                                                 : "needs what this build cannot give",
            exit_record(&l, h, e));
    return CLI_STUCK;
}

/* --- what a kernel below reports ------------------------------------------------------------- */

static int on_debug(struct hart *h, const hvcore_exit *e)
{
    static const char *const kinds[] = {
        [HVCORE_DEBUG_KIND_STEP] = "a step",
        [HVCORE_DEBUG_KIND_BREAKPOINT] = "a breakpoint",
        [HVCORE_DEBUG_KIND_POINT] = "a hardware breakpoint or watchpoint",
    };
    const uint32_t kind = e->u.debug.kind;
    struct line l;

    cli_say("%s %u stopped for a debugger that is not there, at %s: %s.", cpu(h), h->index,
            kind && kind < sizeof kinds / sizeof *kinds ? kinds[kind] : "something",
            exit_record(&l, h, e));
    return CLI_STUCK;
}

static int on_memory(struct hart *h, const hvcore_exit *e)
{
    struct line l;

    l.len = 0;
    if (e->u.memory.size)
        line_add(&l, ", %" PRIu64 " bytes", e->u.memory.size);
    if (e->u.memory.flags)
        line_add(&l, ", flags %#" PRIx64, e->u.memory.flags);
    cli_say("%s %u: the host cannot provide guest memory (%s%s).", cpu(h), h->index,
            strerror(e->u.memory.sys_errno), l.len ? l.text : "");
    cli_say("it happened at %s.", exit_record(&l, h, e));
    return CLI_HOST;
}

static int on_crash(struct hart *h, const hvcore_exit *e)
{
    static const char *const texts[] = {
        [HVCORE_CRASH_TRIPLE_FAULT] = "a triple fault: a fault came up while a double fault was "
                                      "delivered (does it have an IDT?)",
        [HVCORE_CRASH_ENTRY] = "the hardware refuses to enter the guest; its reason",
        [HVCORE_CRASH_EMULATION] = "the kernel cannot carry out an instruction; its suberror",
        [HVCORE_CRASH_GUEST] = "the guest says that it has crashed",
        [HVCORE_CRASH_UNKNOWN] = "the kernel reports an exit that is not known here; its number",
    };
    const hvcore_exit_crash *c = &e->u.crash;
    const bool known = c->why && c->why < sizeof texts / sizeof *texts;
    struct line codes = {.len = 0}, l;

    for (uint32_t i = 0; i < c->count && i < sizeof c->code / sizeof *c->code; i++)
        line_add(&codes, " %#" PRIx64, c->code[i]);
    cli_say("%s %u cannot go on: %s%s: %s.", cpu(h), h->index,
            known ? texts[c->why] : "nobody says why", codes.len ? codes.text : "",
            exit_record(&l, h, e));
    return CLI_STUCK;
}

/* --------------------------------------------------------------------------------------------- */

static int (*const handlers[])(struct hart *, const hvcore_exit *) = {
    [HVCORE_EXIT_MMIO] = on_mmio,
    [HVCORE_EXIT_HYPERCALL] = unanswered_call,
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
    [HVCORE_EXIT_PIO] = on_pio,
    [HVCORE_EXIT_SYSREG] = unanswered_sysreg,
    [HVCORE_EXIT_DEBUG] = on_debug,
    [HVCORE_EXIT_MEMORY] = on_memory,
    [HVCORE_EXIT_CRASH] = on_crash,
    [HVCORE_EXIT_SUSPEND] = on_suspend,
    [HVCORE_EXIT_WAKEUP] = on_wakeup,
};

int exit_handle(struct hart *h, const hvcore_exit *e)
{
    if (e->reason < sizeof handlers / sizeof *handlers && handlers[e->reason])
        return handlers[e->reason](h, e);
    cli_say("%s %u: exit \"%s\" (%u) is not known to this tool.", cpu(h), h->index,
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

    opts.flags = board_interrupts(h->machine) ? HVCORE_RUN_WAIT : 0;
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
