/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop, top to bottom:
 *
 *   hvcore_vcpu_run   claims the vCPU, checks what the caller asks, and runs:
 *     serve           OUT: answer requests (cancel, hold, flush, interrupts, ...), look at the
 *                     deadline, wait if the guest does
 *     guest           GUEST: settle -> enter -> event -> policy -> fix-up, again and again; what a
 *                     kernel has digested takes the short way (kernel.c)
 *     outside         OUT: what may call the VMM (MMIO, console) or waits for others (fence, stop)
 *
 * Each step says how it goes on: HVC_FLOW_ON, _OUTSIDE, _EXIT, _TURN, or a negative error.
 * hvcore_vm_run (lockstep.c) runs one vCPU after the other through the same loop.
 */
#include "lib/run/run.h"

/* ---- exits ---------------------------------------------------------------------------------- */

/* Where the guest goes on; false if a kernel does not say it. */
static bool pc_of(hvcore_vcpu *v, uint64_t *pc)
{
    if (v->kernel) {
        return hvc_kernel_pc(v, pc);
    }
    *pc = v->cpu.frame->pc;
    return true;
}

int hvc_exit_plain(hvcore_vcpu *v, uint32_t reason)
{
    uint64_t pc;
    int rc = hvc_settle(v);
    if (rc) {
        return rc;
    }
    v->exit = (hvcore_exit){.size = sizeof(v->exit), .reason = reason, .vcpu = v->index};
    if (pc_of(v, &pc)) {
        v->exit.pc = pc;
        v->exit.have = HVCORE_HAVE_PC;
    }
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
    int flow = hvc_exit_plain(v, HVCORE_EXIT_CANCELLED);
    v->exit.u.cancelled.token = (uint32_t)cancel;
    return flow;
}

/* Held or paused: sleep until a request changes or the deadline comes. */
static int serve_hold(hvcore_vcpu *v, const hvc_run *r, uint32_t bits)
{
    hvc_park(v, bits, r->o->deadline_ns ? r->o->deadline_ns : HVC_FOREVER);
    return HVC_FLOW_ON;
}

/* The vCPU is OUT, where somebody may take its program away at any time: the lock keeps it. */
static void serve_policy(hvcore_vcpu *v)
{
    hvc_host_lock(&v->vm->lock);
    hvc_word_served(&v->word, HVC_REQ_POLICY);
    if (v->program && v->raw) {
        v->raw->delegate(v->bk, v->program->table.hedeleg);
    }
    hvc_host_unlock(&v->vm->lock);
}

/* Whoever waits for the flush need not wait for its end: it is made before the vCPU enters. */
static void serve_flush(hvcore_vcpu *v)
{
    hvc_word_served(&v->word, HVC_REQ_FLUSH);
    atomic_fetch_add(&v->flushes, 1);
    if (v->raw) { /* a kernel knows itself what has become stale */
        v->raw->flush(v->bk);
    }
}

static int serve_start(hvcore_vcpu *v)
{
    hvc_word_served(&v->word, HVC_REQ_START);
    int rc = hvc_riscv64_begin(v, v->start_pc, v->start_arg);
    if (!rc) {
        v->hart = HVC_HART_STARTED;
    }
    return rc;
}

/*
 * Only the processor that runs the vCPU can do these. The bits go first: a new request counts anew.
 */
static int serve_processor(hvcore_vcpu *v, uint32_t bits)
{
    int rc = 0;
    hvc_word_served(&v->word, bits & HVC_REQ_SETTLE);
    if (bits & HVC_REQ_FLUSH) {
        serve_flush(v);
    }
    if (bits & HVC_REQ_POLICY) {
        serve_policy(v);
    }
    if (bits & HVC_REQ_START) {
        rc = serve_start(v);
    }
    if (!rc && bits & HVC_REQ_IRQ) {
        rc = hvc_line_serve(v);
    }
    return rc;
}

static bool is_off(const hvcore_vcpu *v)
{
    uint32_t hart = atomic_load_explicit(&v->hart, memory_order_relaxed);
    return hart != HVC_HART_STARTED && hart != HVC_HART_SUSPENDED;
}

static int serve_once(hvcore_vcpu *v, const hvc_run *r, uint32_t bits)
{
    if (bits & HVC_REQ_CANCEL) {
        return serve_cancel(v);
    }
    if (hvc_run_late(r)) {
        return hvc_exit_plain(v, HVCORE_EXIT_DEADLINE);
    }
    if (atomic_load_explicit(&v->vm->stopped, memory_order_relaxed)) {
        return hvc_exit_plain(v, HVCORE_EXIT_STOPPED);
    }
    /* while it is held, somebody may be changing what the other requests are about */
    if (bits & (HVC_REQ_HOLD | HVC_REQ_PAUSE)) {
        return serve_hold(v, r, bits);
    }
    if (bits) {
        return serve_processor(v, bits);
    }
    if (is_off(v)) {
        return hvc_wait_off(v, r, bits);
    }
    if (v->halted) {
        return hvc_wait_kernel(v, r, bits);
    }
    return v->pending.waits ? hvc_wait_irq(v, r, bits) : HVC_FLOW_ON;
}

static bool may_enter(const hvcore_vcpu *v)
{
    return !v->pending.waits && !v->halted && !is_off(v);
}

/* OUT -> GUEST, or an exit. */
static int serve(hvcore_vcpu *v, const hvc_run *r)
{
    for (;;) {
        uint32_t bits = hvc_word_requests(&v->word);
        int flow = serve_once(v, r, bits);
        if (flow != HVC_FLOW_ON || (!bits && may_enter(v) && hvc_word_enter(&v->word))) {
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
    return hvc_exit_plain(v, HVCORE_EXIT_DEADLINE);
}

/* Whose limit it was, guest_once finds out before it enters again. */
static int on_limit(hvcore_vcpu *v)
{
    (void)v;
    return HVC_FLOW_ON;
}

static int on_failed(hvcore_vcpu *v)
{
    (void)v;
    return -HVCORE_E_BACKEND;
}

static int on_trap(hvcore_vcpu *v)
{
    return v->raw ? hvc_riscv64_trap(v) : hvc_kernel_event(v);
}

static int on_digested(hvcore_vcpu *v)
{
    return v->kernel ? hvc_kernel_event(v) : -HVCORE_E_BACKEND;
}

static int (*const on_event[])(hvcore_vcpu *) = {
    [HVCORE_EVENT_TRAP] = on_trap,         [HVCORE_EVENT_KICKED] = on_kicked,
    [HVCORE_EVENT_DEADLINE] = on_deadline, [HVCORE_EVENT_INSN_LIMIT] = on_limit,
    [HVCORE_EVENT_FAILED] = on_failed,     [HVCORE_EVENT_MMIO] = on_digested,
    [HVCORE_EVENT_PIO] = on_digested,      [HVCORE_EVENT_CALL] = on_digested,
    [HVCORE_EVENT_SYSREG] = on_digested,   [HVCORE_EVENT_HALT] = on_digested,
    [HVCORE_EVENT_SYSTEM] = on_digested,   [HVCORE_EVENT_DEBUG] = on_digested,
    [HVCORE_EVENT_MEMORY] = on_digested,   [HVCORE_EVENT_CRASH] = on_digested,
};

/*
 * What one enter may execute. In lockstep every stretch of guest code has a bound, and the host's
 * time has no part in where it ends.
 */
static hvcore_bk_limits limits(const hvcore_vcpu *v, const hvc_run *r)
{
    uint64_t most = r->insns;
    if (!v->vm->lockstep) {
        return (hvcore_bk_limits){.deadline_ns = r->o->deadline_ns,
                                  .max_insns = most == UINT64_MAX ? 0 : most};
    }
    uint64_t turn = r->turn ? *r->turn : HVC_TURN;
    return (hvcore_bk_limits){.max_insns = most < turn ? most : turn};
}

/*
 * Instructions that an enter has taken. In lockstep a trapping one counts as well, so that a guest
 * that does nothing but trap uses up its turn.
 */
static uint64_t taken(const hvcore_vcpu *v, const hvcore_bk_limits *given, uint64_t before)
{
    if (v->event.kind == HVCORE_EVENT_INSN_LIMIT) {
        return given->max_insns;
    }
    return v->raw->insns(v->bk) - before + (v->vm->lockstep && v->event.kind == HVCORE_EVENT_TRAP);
}

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static void charge(hvc_run *r, uint64_t n)
{
    if (r->insns != UINT64_MAX) {
        r->insns = minus(r->insns, n);
    }
    if (r->turn) {
        *r->turn = minus(*r->turn, n);
    }
}

static int enter(hvcore_vcpu *v, hvc_run *r)
{
    hvcore_bk_limits given = limits(v, r);
    uint64_t before = given.max_insns ? v->raw->insns(v->bk) : 0; /* raw: it has the cap */
    hvc_count(&v->counters.enters);
    r->entered = 1;
    int rc = v->ops->enter(v->bk, &given, &v->event);
    if (!rc && given.max_insns) {
        charge(r, taken(v, &given, before));
    } else if (!rc && v->event.kind == HVCORE_EVENT_INSN_LIMIT) {
        r->insns = 0;
    }
    return rc;
}

/* What the library still has of the guest's state goes to where the guest will find it. */
static int prepare(hvcore_vcpu *v)
{
    if (v->kernel) {
        return hvc_kernel_answer(v);
    }
    hvc_settle(v);
    return v->raw->sys_store(v->bk);
}

/* Enter once, handle what comes of it. */
static int guest_once(hvcore_vcpu *v, hvc_run *r)
{
    if (!r->insns) {
        return hvc_exit_plain(v, HVCORE_EXIT_INSN_LIMIT);
    }
    if (r->turn && !*r->turn) {
        return HVC_FLOW_TURN;
    }
    if (v->pending.again) {
        return hvc_kernel_access(v);
    }
    int rc = prepare(v);
    if (!rc) {
        rc = enter(v, r);
    }
    if (rc) {
        v->event.syndrome = 0; /* of an earlier event */
        return hvc_backend_code(rc);
    }
    return v->event.kind < sizeof(on_event) / sizeof(on_event[0]) ? on_event[v->event.kind](v)
                                                                  : -HVCORE_E_BACKEND;
}

static int guest(hvcore_vcpu *v, hvc_run *r)
{
    int flow;
    do {
        flow = guest_once(v, r);
    } while (flow == HVC_FLOW_ON && hvc_word_stay(&v->word) && !hvc_run_late(r));
    return flow;
}

/* ---- run ------------------------------------------------------------------------------------ */

static int loop(hvcore_vcpu *v, hvc_run *r)
{
    int flow;
    do {
        flow = serve(v, r);
        if (flow == HVC_FLOW_ON) {
            flow = guest(v, r);
            hvc_word_leave(&v->word);
        }
        if (flow == HVC_FLOW_OUTSIDE) {
            flow = hvc_outside_do(v);
        }
    } while (flow == HVC_FLOW_ON);
    return flow;
}

/* A vCPU that nobody runs, whose last exit is completed, in a VM that this thread may run. */
static int ready(hvcore_vcpu *v, hvcore_error *err)
{
    if (v->pending.needs && !v->pending.filled && !v->pending.again) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_RUN,
                        "The last exit (%s) has to be completed, by hvcore_vcpu_complete() or "
                        "hvcore_vcpu_inject(), before vCPU %u runs again.",
                        hvcore_exit_reason_name(v->exit.reason), v->index);
    }
    if (v->pending.kind && !v->pending.waits && !v->pending.again) {
        v->pending.filled = 1; /* a step that only waited for this run */
    }
    v->halted = 0;
    if (v->hart == HVC_HART_SUSPENDED && !v->pending.waits) {
        v->hart = HVC_HART_STARTED; /* the VMM has waited, or decided otherwise */
    }
    return 0;
}

int hvc_run_opts(hvcore_vm *vm, const hvcore_run_opts *opts, hvcore_run_opts *o, hvcore_error *err)
{
    uint32_t caps = vm->info.caps;
    *o = (hvcore_run_opts)HVCORE_RUN_OPTS_INIT;
    int rc = opts ? hvc_struct_in(o, sizeof(*o), opts, "run options", err) : 0;
    if (rc) {
        return rc;
    }
    if (o->flags & ~(uint32_t)HVCORE_RUN_WAIT) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_RUN, "Unknown run flags 0x%x.",
                        o->flags);
    }
    if ((o->max_insns && !(caps & HVCORE_CAP_INSN_LIMIT)) ||
        (o->deadline_ns && !(caps & HVCORE_CAP_DEADLINE))) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_RUN,
                        "Backend %s cannot limit a run by %s.", vm->info.name,
                        o->max_insns ? "instructions" : "time");
    }
    return 0;
}

int hvc_run_claim(hvcore_vcpu *v, hvcore_error *err)
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

void hvc_run_unclaim(hvcore_vcpu *v)
{
    atomic_store_explicit(&v->running, HVC_IDLE, memory_order_release);
}

int hvc_run_drive(hvcore_vm *vm, hvcore_error *err)
{
    uint32_t idle = 0;
    if (!vm->lockstep || atomic_compare_exchange_strong(&vm->driven, &idle, 1)) {
        return 0;
    }
    return hvc_fail(err, HVCORE_E_BUSY, HVCORE_DOMAIN_RUN,
                    "The VM runs in lockstep, in another thread or above this callback.");
}

void hvc_run_undrive(hvcore_vm *vm)
{
    if (vm->lockstep) {
        atomic_store(&vm->driven, 0);
    }
}

static int run_failed(hvcore_vcpu *v, int rc, hvcore_error *err)
{
    uint64_t pc = 0;
    if (v->kernel) {
        v->kernel->why(v->bk, err);
    } else {
        hvc_fail(err, -rc, HVCORE_DOMAIN_RUN,
                 "The machine %s cannot run vCPU %u (%s); its own code is 0x%llx.",
                 v->vm->info.machine, v->index, hvcore_strerror(rc),
                 (unsigned long long)v->event.syndrome);
    }
    if (hvc_error_usable(err) && pc_of(v, &pc)) {
        err->pc = pc;
    }
    return rc;
}

int hvc_run_vcpu(hvcore_vcpu *v, hvc_run *r, hvcore_error *err)
{
    int rc = ready(v, err);
    if (rc) {
        return rc;
    }
    if (!atomic_load_explicit(&v->vm->has_run, memory_order_relaxed)) {
        atomic_store(&v->vm->has_run, 1);
    }
    rc = loop(v, r);
    if (rc < 0) {
        return run_failed(v, rc, err);
    }
    if (rc == HVC_FLOW_EXIT) {
        hvc_count(&v->counters.runs);
    }
    return rc;
}

static int run(hvcore_vcpu *v, const hvcore_run_opts *opts, hvcore_error *err)
{
    hvcore_run_opts o;
    int rc = hvc_run_opts(v->vm, opts, &o, err);
    if (!rc && o.flags & HVCORE_RUN_WAIT && v->vm->lockstep) {
        rc = hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_RUN,
                      "In a lockstep VM time does not pass by waiting: hvcore_vm_run() waits.");
    }
    if (rc) {
        return rc;
    }
    hvc_run r = {.o = &o, .insns = o.max_insns ? o.max_insns : UINT64_MAX};
    rc = hvc_run_claim(v, err);
    if (!rc) {
        rc = hvc_run_vcpu(v, &r, err);
        hvc_run_unclaim(v);
    }
    return rc;
}

int hvcore_vcpu_run(hvcore_vcpu *v, const hvcore_run_opts *opts, const hvcore_exit **exit,
                    hvcore_error *err)
{
    if (!v || !exit) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_RUN,
                        "A run needs a vCPU and a place for its exit.");
    }
    int rc = hvc_run_drive(v->vm, err);
    if (rc) {
        return rc;
    }
    rc = run(v, opts, err);
    hvc_run_undrive(v->vm);
    if (rc < 0) {
        return rc;
    }
    *exit = &v->exit;
    return 0;
}
