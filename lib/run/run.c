/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop, top to bottom:
 *
 *   hvcore_vcpu_run   claims the vCPU, checks what the caller asks, and runs:
 *     serve           OUT: answer requests (cancel, hold, flush, policy), look at the deadline
 *     guest           GUEST: settle -> enter -> event -> policy -> fix-up, again and again
 *     outside         OUT: what may call the VMM (MMIO, console) or changes the VM (stop)
 *
 * Each step says how it goes on: HVC_FLOW_ON, _OUTSIDE, _EXIT, or a negative error.
 */
#include "lib/core/vcpu.h"
#include "lib/host/mem.h"

/* ---- exits ---------------------------------------------------------------------------------- */

/* Between instructions: an answered one is finished first, so that pc is where the guest goes on.
 */
static int exit_plain(hvcore_vcpu *v, uint32_t reason)
{
    hvc_settle(v);
    v->exit = (hvcore_exit){.size = sizeof(v->exit),
                            .reason = reason,
                            .vcpu = v->index,
                            .pc = v->cpu.frame->pc,
                            .have = HVCORE_HAVE_PC};
    return HVC_FLOW_EXIT;
}

int hvc_exit_event(hvcore_vcpu *v, uint32_t reason)
{
    const hvcore_event *e = &v->event;
    v->exit = (hvcore_exit){.size = sizeof(v->exit),
                            .reason = reason,
                            .vcpu = v->index,
                            .cls = e->cls,
                            .mode = e->mode,
                            .have = e->have,
                            .insn = e->insn,
                            .insn_len = e->insn_len,
                            .pc = e->pc,
                            .syndrome = e->syndrome,
                            .tval = e->tval,
                            .htval = e->htval,
                            .htinst = e->htinst,
                            .gva = e->gva,
                            .gpa = e->gpa};
    return HVC_FLOW_EXIT;
}

/* ---- OUT: requests -------------------------------------------------------------------------- */

/* A cancel bit may find no token: an earlier return has taken it. */
static int serve_cancel(hvcore_vcpu *v)
{
    hvc_word_served(&v->word, HVC_REQ_CANCEL);
    uint64_t cancel = atomic_exchange(&v->cancel, 0);
    if (!cancel) {
        return HVC_FLOW_ON;
    }
    exit_plain(v, HVCORE_EXIT_CANCELLED);
    v->exit.u.cancelled.token = (uint32_t)cancel;
    return HVC_FLOW_EXIT;
}

static bool too_late(const hvcore_run_opts *o)
{
    return o->deadline_ns && hvc_host_now() >= o->deadline_ns;
}

/* Held or paused: sleep until the word changes or the deadline comes. */
static int serve_hold(hvcore_vcpu *v, const hvcore_run_opts *o)
{
    uint32_t seen = atomic_load(&v->word);
    if (seen & (HVC_REQ_HOLD | HVC_REQ_PAUSE) && !(seen & HVC_REQ_CANCEL)) {
        hvc_host_park(&v->word, seen, o->deadline_ns ? o->deadline_ns : HVC_FOREVER);
    }
    return HVC_FLOW_ON;
}

/*
 * Only the processor that runs the vCPU can do these. The bits go first: a new request counts anew.
 * The vCPU is OUT, where somebody may take its program away at any time: the lock keeps it.
 */
static int serve_processor(hvcore_vcpu *v, uint32_t bits)
{
    hvc_host_lock(&v->vm->lock);
    hvc_word_served(&v->word, bits);
    if (bits & HVC_REQ_FLUSH) {
        v->ops->flush(v->bk);
    }
    if (bits & HVC_REQ_POLICY && v->program) {
        v->ops->delegate(v->bk, v->program->table.hedeleg);
    }
    hvc_host_unlock(&v->vm->lock);
    return HVC_FLOW_ON;
}

static int serve_once(hvcore_vcpu *v, const hvcore_run_opts *o, uint32_t bits)
{
    if (bits & HVC_REQ_CANCEL) {
        return serve_cancel(v);
    }
    if (too_late(o)) {
        return exit_plain(v, HVCORE_EXIT_DEADLINE);
    }
    if (atomic_load_explicit(&v->vm->stopped, memory_order_relaxed)) {
        return exit_plain(v, HVCORE_EXIT_STOPPED);
    }
    /* while it is held, somebody may be changing what the other requests are about */
    if (bits & (HVC_REQ_HOLD | HVC_REQ_PAUSE)) {
        return serve_hold(v, o);
    }
    return bits ? serve_processor(v, bits) : HVC_FLOW_ON;
}

/* OUT -> GUEST, or an exit. */
static int serve(hvcore_vcpu *v, const hvcore_run_opts *o)
{
    for (;;) {
        uint32_t bits = hvc_word_requests(&v->word);
        int flow = serve_once(v, o, bits);
        if (flow != HVC_FLOW_ON || (!bits && hvc_word_enter(&v->word))) {
            return flow;
        }
    }
}

/* ---- GUEST ---------------------------------------------------------------------------------- */

static int on_kicked(hvcore_vcpu *v)
{
    hvc_count(&v->counters.kicks);
    return HVC_FLOW_ON;
}

static int on_deadline(hvcore_vcpu *v)
{
    return exit_plain(v, HVCORE_EXIT_DEADLINE);
}

static int on_insn_limit(hvcore_vcpu *v)
{
    return exit_plain(v, HVCORE_EXIT_INSN_LIMIT);
}

static int on_failed(hvcore_vcpu *v)
{
    (void)v;
    return -HVCORE_E_BACKEND;
}

static int (*const on_event[])(hvcore_vcpu *) = {
    [HVCORE_EVENT_TRAP] = hvc_riscv64_trap, [HVCORE_EVENT_KICKED] = on_kicked,
    [HVCORE_EVENT_DEADLINE] = on_deadline,  [HVCORE_EVENT_INSN_LIMIT] = on_insn_limit,
    [HVCORE_EVENT_FAILED] = on_failed,
};

/* What is left of the run's limits; false if the instructions are used up. */
static bool limits_left(hvcore_vcpu *v, const hvcore_run_opts *o, uint64_t started,
                        hvcore_bk_limits *left)
{
    left->deadline_ns = o->deadline_ns;
    left->max_insns = 0;
    if (o->max_insns) {
        uint64_t done = v->ops->insns(v->bk) - started;
        left->max_insns = done < o->max_insns ? o->max_insns - done : 0;
        return left->max_insns > 0;
    }
    return true;
}

/* Enter once, handle what comes of it. */
static int guest_once(hvcore_vcpu *v, const hvcore_run_opts *o, uint64_t started)
{
    hvcore_bk_limits left;
    if (!limits_left(v, o, started, &left)) {
        return exit_plain(v, HVCORE_EXIT_INSN_LIMIT);
    }
    hvc_settle(v);
    int rc = v->ops->sys_store(v->bk);
    if (!rc) {
        hvc_count(&v->counters.enters);
        rc = v->ops->enter(v->bk, &left, &v->event);
    }
    if (rc) {
        v->event.syndrome = 0; /* of an earlier event */
        return hvc_backend_code(rc);
    }
    return v->event.kind < sizeof(on_event) / sizeof(on_event[0]) ? on_event[v->event.kind](v)
                                                                  : -HVCORE_E_BACKEND;
}

static int guest(hvcore_vcpu *v, const hvcore_run_opts *o, uint64_t started)
{
    int flow;
    do {
        flow = guest_once(v, o, started);
    } while (flow == HVC_FLOW_ON && !hvc_word_requests(&v->word) && !too_late(o));
    return flow;
}

/* ---- OUT: what calls the VMM ---------------------------------------------------------------- */

static int exit_mmio(hvcore_vcpu *v)
{
    const hvc_pending *p = &v->pending;
    hvc_exit_event(v, HVCORE_EXIT_MMIO);
    v->exit.flags = p->needs ? HVCORE_EXIT_NEEDS_COMPLETION : 0;
    v->exit.u.mmio = (hvcore_exit_mmio){.addr = p->gpa,
                                        .data = p->kind == HVC_PENDING_STORE ? p->value[0] : 0,
                                        .width = p->width,
                                        .write = p->kind == HVC_PENDING_STORE};
    return HVC_FLOW_EXIT;
}

static uint32_t call_mmio(hvcore_vcpu *v, uint64_t *value)
{
    const hvc_mmio *m = &v->mmio;
    hvc_pending p = v->pending; /* the callback may look at the state, or inject */
    if (p.kind == HVC_PENDING_STORE) {
        return m->ops.write ? m->ops.write(m->user, v, p.gpa, p.width, p.value[0])
                            : (uint32_t)HVCORE_MMIO_EXIT;
    }
    return m->ops.read ? m->ops.read(m->user, v, p.gpa, p.width, value)
                       : (uint32_t)HVCORE_MMIO_EXIT;
}

static int mmio_fault(hvcore_vcpu *v)
{
    uint32_t cause = v->pending.kind == HVC_PENDING_STORE ? HVCORE_RISCV64_STORE_ACCESS
                                                          : HVCORE_RISCV64_LOAD_ACCESS;
    return hvc_riscv64_inject(v, cause, v->event.tval, NULL) ? exit_mmio(v) : HVC_FLOW_ON;
}

static int outside_mmio(hvcore_vcpu *v)
{
    uint64_t value = 0;
    uint32_t verdict = call_mmio(v, &value);
    if (!v->pending.kind) {
        return HVC_FLOW_ON; /* the callback has injected something instead */
    }
    switch (verdict) {
    case HVCORE_MMIO_EXIT:
        return exit_mmio(v);
    case HVCORE_MMIO_FAULT:
        return mmio_fault(v);
    case HVCORE_MMIO_RETRY:
        v->pending = (hvc_pending){0};
        return HVC_FLOW_ON;
    default:
        hvc_count(&v->counters.mmio);
        if (v->pending.kind == HVC_PENDING_LOAD) {
            v->pending.value[0] = value;
        }
        v->pending.needs = 0;
        v->pending.filled = 1;
        return HVC_FLOW_ON;
    }
}

/* SBI lets a console write be short, so one call has a bound. */
enum { CONSOLE_CHUNK = 256, CONSOLE_CALL = 4096 };

static uint64_t console_bytes(hvcore_vcpu *v, uint64_t gpa, uint64_t len)
{
    char buf[CONSOLE_CHUNK];
    uint64_t done = 0, want = len < CONSOLE_CALL ? len : CONSOLE_CALL;
    while (done < want) {
        size_t n = want - done < sizeof(buf) ? (size_t)(want - done) : sizeof(buf);
        if (hvcore_vm_read(v->vm, gpa + done, buf, n)) {
            break;
        }
        v->vm->console(v->vm->console_user, v, buf, n);
        done += n;
    }
    return done;
}

/* The call is pending: its answer goes there. */
static int outside_console(hvcore_vcpu *v)
{
    enum { SBI_INVALID_PARAM = -3 };
    uint64_t done = 1;
    if (v->console_addr == UINT64_MAX) {
        v->vm->console(v->vm->console_user, v, &v->console_byte, 1);
    } else {
        done = console_bytes(v, v->console_addr, v->console_len);
    }
    bool bad = v->console_len && !done;
    if (v->pending.kind == HVC_PENDING_CALL) {
        v->pending.value[0] = bad ? (uint64_t)SBI_INVALID_PARAM : 0;
        v->pending.value[1] = v->console_addr == UINT64_MAX ? 0 : done;
        v->pending.filled = 1;
    }
    return HVC_FLOW_ON;
}

static int outside_stop(hvcore_vcpu *v)
{
    atomic_store(&v->vm->stopped, 1);
    hvc_host_lock(&v->vm->lock);
    hvc_hold(v->vm);
    hvc_release(v->vm, HVC_REQ_SETTLE);
    hvc_host_unlock(&v->vm->lock);
    return HVC_FLOW_EXIT; /* v->exit is filled */
}

static int outside(hvcore_vcpu *v)
{
    static int (*const todo[])(hvcore_vcpu *) = {
        [HVC_OUTSIDE_MMIO] = outside_mmio,
        [HVC_OUTSIDE_CONSOLE] = outside_console,
        [HVC_OUTSIDE_STOP] = outside_stop,
    };
    atomic_store_explicit(&v->running, HVC_IN_CALLBACK, memory_order_release);
    int flow = todo[v->outside](v);
    atomic_store_explicit(&v->running, HVC_RUNNING, memory_order_release);
    v->outside = HVC_OUTSIDE_NONE;
    return flow;
}

/* ---- run ------------------------------------------------------------------------------------ */

static int loop(hvcore_vcpu *v, const hvcore_run_opts *o)
{
    uint64_t started = o->max_insns ? v->ops->insns(v->bk) : 0;
    int flow;
    do {
        flow = serve(v, o);
        if (flow == HVC_FLOW_ON) {
            flow = guest(v, o, started);
            hvc_word_leave(&v->word);
        }
        if (flow == HVC_FLOW_OUTSIDE) {
            flow = outside(v);
        }
    } while (flow == HVC_FLOW_ON);
    return flow;
}

/* A vCPU that nobody runs, whose last exit is completed, in a VM that this thread may run. */
static int ready(hvcore_vcpu *v, hvcore_error *err)
{
    if (v->pending.needs && !v->pending.filled) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_RUN,
                        "The last exit (%s) has to be completed, by hvcore_vcpu_complete() or "
                        "hvcore_vcpu_inject(), before vCPU %u runs again.",
                        hvcore_exit_reason_name(v->exit.reason), v->index);
    }
    if (v->pending.kind) {
        v->pending.filled = 1; /* a step that only waited for this run */
    }
    return 0;
}

static int check_opts(hvcore_vcpu *v, const hvcore_run_opts *opts, hvcore_run_opts *o,
                      hvcore_error *err)
{
    uint32_t caps = v->vm->info.caps;
    int rc = hvc_struct_in(o, sizeof(*o), opts, "run options", err);
    if (rc) {
        return rc;
    }
    if (o->flags) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_RUN, "Unknown run flags 0x%x.",
                        o->flags);
    }
    if ((o->max_insns && !(caps & HVCORE_CAP_INSN_LIMIT)) ||
        (o->deadline_ns && !(caps & HVCORE_CAP_DEADLINE))) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_RUN,
                        "The machine %s cannot limit a run by %s.", v->vm->info.machine,
                        o->max_insns ? "instructions" : "time");
    }
    return 0;
}

static int claim(hvcore_vcpu *v, hvcore_error *err)
{
    uint32_t idle = HVC_IDLE;
    if (atomic_compare_exchange_strong_explicit(&v->running, &idle, HVC_RUNNING,
                                                memory_order_acquire, memory_order_relaxed)) {
        return 0;
    }
    return hvc_fail(err, HVCORE_E_BUSY, HVCORE_DOMAIN_RUN,
                    idle == HVC_IN_CALLBACK
                        ? "vCPU %u is inside one of its callbacks; let it return."
                        : "vCPU %u runs in another thread.",
                    v->index);
}

static int run_failed(hvcore_vcpu *v, int rc, hvcore_error *err)
{
    hvc_fail(err, -rc, HVCORE_DOMAIN_RUN,
             "The machine %s cannot run vCPU %u (%s); its own code is 0x%llx.", v->vm->info.machine,
             v->index, hvcore_strerror(rc), (unsigned long long)v->event.syndrome);
    if (hvc_error_usable(err)) {
        err->pc = v->cpu.frame->pc;
    }
    return rc;
}

static int run(hvcore_vcpu *v, const hvcore_run_opts *opts, const hvcore_exit **exit,
               hvcore_error *err)
{
    hvcore_run_opts o = HVCORE_RUN_OPTS_INIT;
    int rc = opts ? check_opts(v, opts, &o, err) : 0;
    if (!rc) {
        rc = ready(v, err);
    }
    if (rc) {
        return rc;
    }
    if (!atomic_load_explicit(&v->vm->has_run, memory_order_relaxed)) {
        atomic_store(&v->vm->has_run, 1);
    }
    rc = loop(v, &o);
    if (rc < 0) {
        return run_failed(v, rc, err);
    }
    hvc_count(&v->counters.runs);
    *exit = &v->exit;
    return 0;
}

int hvcore_vcpu_run(hvcore_vcpu *v, const hvcore_run_opts *opts, const hvcore_exit **exit,
                    hvcore_error *err)
{
    if (!v || !exit) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_RUN,
                        "A run needs a vCPU and a place for its exit.");
    }
    int rc = claim(v, err);
    if (!rc) {
        rc = run(v, opts, exit, err);
        atomic_store_explicit(&v->running, HVC_IDLE, memory_order_release);
    }
    return rc;
}

/* ---- answers of the VMM --------------------------------------------------------------------- */

int hvcore_vcpu_complete(hvcore_vcpu *v, const uint64_t *values, uint32_t count)
{
    int rc = hvc_vcpu_look(v);
    if (rc) {
        return rc;
    }
    hvc_pending *p = &v->pending;
    if (!p->needs || p->filled) {
        return -HVCORE_E_STATE;
    }
    if (!values || !count || count > (p->kind == HVC_PENDING_CALL ? 2u : 1u)) {
        return -HVCORE_E_INVAL;
    }
    p->value[0] = values[0];
    p->value[1] = count > 1 ? values[1] : 0;
    p->filled = 1;
    return 0;
}

int hvcore_vcpu_inject(hvcore_vcpu *v, const hvcore_inject *what, hvcore_error *err)
{
    hvcore_inject in;
    int rc = hvc_struct_in(&in, sizeof(in), what, "exception", err);
    if (rc) {
        return rc;
    }
    rc = hvc_vcpu_look(v);
    if (rc) {
        return hvc_fail(err, -rc, HVCORE_DOMAIN_RUN,
                        v ? "The vCPU runs in another thread." : "The vCPU is NULL.");
    }
    if (v->pending.filled) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_RUN,
                        "The exit has been completed already; an exception comes too late.");
    }
    return hvc_riscv64_inject(v, in.cause, in.tval, err);
}

const char *hvcore_exit_reason_name(uint32_t reason)
{
    static const char *const names[] = {
        [HVCORE_EXIT_NONE] = "none",           [HVCORE_EXIT_MMIO] = "mmio",
        [HVCORE_EXIT_HYPERCALL] = "hypercall", [HVCORE_EXIT_TRAP] = "trap",
        [HVCORE_EXIT_HALT] = "halt",           [HVCORE_EXIT_SHUTDOWN] = "shutdown",
        [HVCORE_EXIT_RESET] = "reset",         [HVCORE_EXIT_CANCELLED] = "cancelled",
        [HVCORE_EXIT_DEADLINE] = "deadline",   [HVCORE_EXIT_INSN_LIMIT] = "insn-limit",
        [HVCORE_EXIT_STOPPED] = "stopped",     [HVCORE_EXIT_STORM] = "storm",
        [HVCORE_EXIT_FIXUP] = "fixup",
    };
    return reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}
