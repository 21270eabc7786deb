/* SPDX-License-Identifier: Apache-2.0 */
/* --schedule lockstep: all harts in one thread, in turns that the library makes. */
#include <inttypes.h>

#include "trace.h"

static uint64_t insns_of_all(const struct machine *m)
{
    hvcore_vcpu_stats s = HVCORE_VCPU_STATS_INIT;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < m->count; i++)
        if (hvcore_vcpu_stats_get(m->hart[i].vcpu, &s) == 0)
            sum += s.insns;
    return sum;
}

/* How far this run may go: to the user's limit, or to the trace's next line. 0: no limit. */
static uint64_t stretch(const struct machine *m, const struct trace *t, uint64_t insns)
{
    const uint64_t limit = m->options->max_insns, step = t->out ? t->next - insns : 0;

    if (limit == 0)
        return step;
    return step && step < limit - insns ? step : limit - insns;
}

static int run_once(struct machine *m, struct trace *t, uint64_t insns)
{
    hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;
    hvcore_error err = HVCORE_ERROR_INIT;
    const hvcore_exit *e;
    int rc;

    opts.deadline_ns = m->deadline_ns;
    opts.max_insns = stretch(m, t, insns);
    rc = hvcore_vm_run(m->vm, &opts, &e, &err);
    if (rc != 0)
        return cli_library("the guest cannot be run", rc, &err);
    return e->reason == HVCORE_EXIT_INSN_LIMIT ? GO_ON : exit_handle(&m->hart[e->vcpu], e);
}

static int run_on(struct machine *m, struct trace *t)
{
    const uint64_t limit = m->options->max_insns;
    uint64_t insns;
    int code;

    do {
        insns = insns_of_all(m);
        trace_step(t, m, insns);
        if (limit && insns >= limit) {
            cli_say("the harts have executed their %" PRIu64 " instructions.", limit);
            return CLI_INSNS;
        }
        code = run_once(m, t, insns);
    } while (code == GO_ON);
    return code;
}

int lockstep_run(struct machine *m)
{
    struct trace t;
    int code = trace_open(&t, m->options->trace), closed;

    if (code != CLI_OK)
        return code;
    machine_decide(m, run_on(m, &t));
    closed = trace_close(&t, m, insns_of_all(m));
    code = atomic_load(&m->verdict);
    return code == CLI_OK ? closed : code;
}
