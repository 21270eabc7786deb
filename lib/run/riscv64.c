/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riscv64's part of the run loop: a trap comes in, the policy's table says what becomes of it, a
 * unit does it, and the unit's answer is served. Everything here runs in state GUEST: it reads the
 * VM without locks and calls nobody outside the library.
 */
#include <hvcore/fixup/nisv.h>
#include <hvcore/fixup/redirect.h>
#include <hvcore/fixup/storm.h>

#include "lib/arch/riscv64.h"
#include "lib/host/mem.h"
#include "lib/run/run.h"

enum {
    A0 = 10,
    ACT_BOUND = 8,    /* decisions about one trap */
    SERVE_BOUND = 4,  /* calls of one unit */
    VECTOR_STORM = 64 /* traps in a row at the first instruction of the guest's handler */
};

#define SYS(name) (UINT64_C(1) << HVCORE_RISCV64_SYS_##name)

/* The decision about v->event, which may become another trap on its way (change_cause). */
typedef struct trap {
    hvc_action action;
    uint32_t decisions;
} trap;

static int act(hvcore_vcpu *v, trap *t);

/* ---- settling ------------------------------------------------------------------------------- */

static uint64_t extend(uint64_t value, unsigned width, bool sign)
{
    unsigned unused = 64 - 8 * width;
    return sign ? (uint64_t)((int64_t)(value << unused) >> unused) : value << unused >> unused;
}

static void set_x(hvcore_riscv64_frame *f, unsigned reg, uint64_t value)
{
    if (reg) {
        f->x[reg] = value;
    }
}

/*
 * SBI 2.0, 9.1: VS-mode, satp 0, sstatus.SIE 0, a0 the hart's number, a1 what its starter says; the
 * rest is undefined, here as in a new vCPU. What is pending in hvip stays: an IPI may be newer than
 * the start.
 */
int hvc_riscv64_begin(hvcore_vcpu *v, uint64_t pc, uint64_t arg)
{
    hvcore_riscv64_sys *sys = v->cpu.sys;
    hvcore_riscv64_frame *f = v->cpu.frame;
    uint64_t all = (UINT64_C(1) << HVCORE_RISCV64_SYS_COUNT) - 1;
    all &= ~(SYS(hvip) | SYS(henvcfg));
    int rc = v->raw->sys_load(v->bk, all);
    if (rc) {
        return hvc_backend_code(rc);
    }
    sys->vsstatus = HVC_SSTATUS_UXL_64;
    sys->vsie = sys->vstvec = sys->vsscratch = sys->vsepc = sys->vscause = sys->vstval = 0;
    sys->vsatp = sys->senvcfg = 0;
    sys->scounteren = HVC_SCOUNTEREN_RESET;
    sys->vstimecmp = UINT64_MAX;
    sys->dirty |= all;
    memset(f->x, 0, sizeof(f->x));
    f->pc = pc;
    f->x[A0] = v->index;
    f->x[A0 + 1] = arg;
    f->sstatus |= HVC_SSTATUS_SPP;
    f->hstatus |= HVC_HSTATUS_SPVP;
    if (v->cpu.fp) {
        memset(v->cpu.fp, 0, sizeof(*v->cpu.fp));
    }
    v->raw->flush(v->bk);
    v->vector_run = 0;
    v->state.storm = (hvcore_storm_state){0};
    v->pending = (hvc_pending){0};
    return 0;
}

void hvc_riscv64_settle(hvcore_vcpu *v)
{
    hvcore_riscv64_frame *f = v->cpu.frame;
    const hvc_pending *p = &v->pending;
    if (p->kind == HVC_PENDING_BEGIN) { /* a failure is that of the next entry, too */
        hvc_riscv64_begin(v, p->value[0], p->value[1]);
        return;
    }
    if (p->kind == HVC_PENDING_LOAD) {
        set_x(f, p->reg, extend(p->value[0], p->width, p->sign));
    } else if (p->kind == HVC_PENDING_CALL) {
        f->x[A0] = p->value[0];
        f->x[A0 + 1] = p->value[1];
    }
    f->pc += p->step;
    v->pending = (hvc_pending){0};
}

/* ---- units and the servers of their answers -------------------------------------------------- */

/* What becomes of an answer: a flow, or once more. */
enum { CALL_AGAIN = 100 };

static int exit_fixup(hvcore_vcpu *v, uint32_t why, uint32_t result)
{
    hvc_exit_event(v, HVCORE_EXIT_FIXUP);
    v->exit.u.fixup = (hvcore_exit_fixup){.why = why, .result = result};
    return HVC_FLOW_EXIT;
}

static int serve_done(hvcore_vcpu *v, trap *t, hvcore_result r)
{
    (void)v, (void)t, (void)r;
    return HVC_FLOW_ON;
}

static int serve_regs(hvcore_vcpu *v, trap *t, hvcore_result r)
{
    (void)t;
    int rc = v->raw->sys_load(v->bk, r.addr);
    return rc ? hvc_backend_code(rc) : CALL_AGAIN;
}

static hvc_action decide(const hvcore_vcpu *v, uint32_t mode, uint64_t cause)
{
    return v->program->table.action[mode][cause & (HVC_POLICY_CLASSES - 1)];
}

/* The trap is now another one, `cause` with `tval`; the library made it, so it cannot be late. */
static void change_cause(hvcore_vcpu *v, uint32_t cause, uint64_t tval)
{
    v->event.cls = cause & (HVC_POLICY_CLASSES - 1);
    v->event.syndrome = cause;
    v->event.tval = tval;
}

static int serve_again(hvcore_vcpu *v, trap *t, hvcore_result r)
{
    if (r.arg == HVCORE_RISCV64_DOUBLE_TRAP) {
        hvc_count(&v->counters.double_traps);
        v->event.htval = r.addr; /* as firmware reports it: the original cause */
        change_cause(v, r.arg, v->event.tval);
    } else {
        change_cause(v, r.arg, r.addr);
    }
    t->action = decide(v, v->event.mode, r.arg);
    t->action.late = 0;
    return act(v, t);
}

static int serve_inject(hvcore_vcpu *v, trap *t, hvcore_result r)
{
    hvc_count(&v->counters.injected);
    change_cause(v, r.arg, r.addr);
    t->action = (hvc_action){
        .act = HVCORE_DO_REDIRECT, .as = (uint8_t)v->event.cls, .rule = t->action.rule};
    return act(v, t);
}

/* The only unit that gives up says that the trap was not the guest's: then the backend is wrong. */
static int serve_exit(hvcore_vcpu *v, trap *t, hvcore_result r)
{
    (void)v, (void)t, (void)r;
    return -HVCORE_E_BACKEND;
}

/* A kind without a server is a named exit. */
static int (*const server[HVCORE_RESULT_KINDS])(hvcore_vcpu *, trap *, hvcore_result) = {
    [HVCORE_RESULT_DONE] = serve_done,   [HVCORE_RESULT_NEED_REGS] = serve_regs,
    [HVCORE_RESULT_AGAIN] = serve_again, [HVCORE_RESULT_INJECT] = serve_inject,
    [HVCORE_RESULT_EXIT] = serve_exit,
};

static int call(hvcore_vcpu *v, trap *t, hvcore_riscv64_unit *unit)
{
    for (unsigned i = 0; i < SERVE_BOUND; i++) {
        hvcore_result r = unit(v->cpu.frame, v->cpu.sys, &v->event, &v->state);
        if (r.kind >= HVCORE_RESULT_KINDS || !server[r.kind]) {
            return exit_fixup(v, HVCORE_FIXUP_NO_SERVER, r.kind);
        }
        int flow = server[r.kind](v, t, r);
        if (flow != CALL_AGAIN) {
            return flow;
        }
    }
    return exit_fixup(v, HVCORE_FIXUP_BOUND, HVCORE_RESULT_NEED_REGS);
}

/* ---- storms --------------------------------------------------------------------------------- */

static int exit_storm(hvcore_vcpu *v, uint32_t kind, uint32_t count)
{
    hvc_count(&v->counters.storms);
    hvc_exit_event(v, HVCORE_EXIT_STORM);
    v->exit.u.storm = (hvcore_exit_storm){.kind = kind, .count = count};
    return HVC_FLOW_EXIT;
}

/*
 * A handler whose own first instruction traps can never get on, whatever the policy says. vstvec is
 * known: redirect asked for it in this very trap, or asks for it now.
 */
static bool vector_storm(hvcore_vcpu *v, const hvcore_event *e)
{
    if (v->raw->sys_load(v->bk, UINT64_C(1) << HVCORE_RISCV64_SYS_vstvec)) {
        return false;
    }
    bool at_vector = e->mode == HVCORE_RISCV64_VS && e->pc == (v->cpu.sys->vstvec & ~UINT64_C(3));
    v->vector_run = at_vector ? v->vector_run + 1 : 0;
    return v->vector_run >= VECTOR_STORM;
}

static uint32_t policy_storm(hvcore_vcpu *v, const hvcore_event *e)
{
    const hvc_policy_table *table = &v->program->table;
    if (!table->storm.repeat && !table->storm.drain) {
        return HVCORE_STORM_NONE;
    }
    return hvcore_storm_event(&v->state.storm, &table->storm, hvc_host_now() / 1000000u,
                              e->syndrome, e->pc, e->tval);
}

/* HVC_FLOW_EXIT if this redirect is one too many. */
static int check_storm(hvcore_vcpu *v, const hvcore_event *e)
{
    if (vector_storm(v, e)) {
        uint32_t count = v->vector_run;
        v->vector_run = 0;
        return exit_storm(v, HVCORE_STORM_VECTOR, count);
    }
    uint32_t kind = policy_storm(v, e);
    if (kind == HVCORE_STORM_NONE) {
        return HVC_FLOW_ON;
    }
    uint32_t count = kind == HVCORE_STORM_LIVELOCK ? v->state.storm.run : 0;
    v->state.storm.run = 0;
    if (v->program->table.storm_act == HVCORE_DO_EXIT) {
        return exit_storm(v, kind, count);
    }
    hvc_count(&v->counters.storms);
    return HVC_FLOW_ON;
}

/* ---- emulation ------------------------------------------------------------------------------ */

static int emulate_mmio(hvcore_vcpu *v, trap *t)
{
    int flow = call(v, t, hvcore_nisv_riscv64);
    const hvcore_riscv64_nisv *n = &v->state.nisv;
    if (flow != HVC_FLOW_ON || !n->width) {
        return flow; /* decided otherwise: the access has become a fault */
    }
    v->pending = (hvc_pending){.kind = n->write ? HVC_PENDING_STORE : HVC_PENDING_LOAD,
                               .needs = !n->write,
                               .sign = n->sign,
                               .reg = n->reg,
                               .width = (uint8_t)n->width,
                               .step = n->len,
                               .gpa = v->event.gpa};
    if (n->write) {
        v->pending.value[0] = extend(v->cpu.frame->x[n->reg], n->width, false);
    }
    const hvc_mmio *m = hvc_mmio_at(&v->vm->mmios, v->event.gpa, n->width);
    v->mmio = m ? *m : (hvc_mmio){0};
    v->outside = HVC_OUTSIDE_MMIO;
    return HVC_FLOW_OUTSIDE;
}

static int emulate_sbi(hvcore_vcpu *v, trap *t)
{
    (void)t;
    return hvc_riscv64_sbi(v);
}

/* The only virtual instruction that means something here is WFI from VS-mode (hstatus.VTW is set).
 */
static int emulate_virtual(hvcore_vcpu *v, trap *t)
{
    if (v->event.tval == HVC_INSN_WFI && v->event.mode == HVCORE_RISCV64_VS) {
        v->pending = (hvc_pending){.kind = HVC_PENDING_STEP, .step = 4};
        return hvc_wait_begin(v);
    }
    return serve_inject(v, t,
                        (hvcore_result){.arg = HVCORE_RISCV64_ILLEGAL_INSN, .addr = v->event.tval});
}

static int (*const emulator[HVCORE_RISCV64_CAUSES])(hvcore_vcpu *, trap *) = {
    [HVCORE_RISCV64_ECALL_VS] = emulate_sbi,
    [HVCORE_RISCV64_LOAD_GUEST_PAGE] = emulate_mmio,
    [HVCORE_RISCV64_VIRTUAL_INSN] = emulate_virtual,
    [HVCORE_RISCV64_STORE_GUEST_PAGE] = emulate_mmio,
};

/* ---- actions -------------------------------------------------------------------------------- */

static void count(hvcore_vcpu *v, const trap *t, enum hvc_trap_count what)
{
    hvc_count(&v->counters.trap[v->event.cls][what]);
    if (t->action.late) {
        hvc_count(&v->counters.trap[v->event.cls][HVC_COUNT_LATE]);
    }
}

static int act_redirect(hvcore_vcpu *v, trap *t)
{
    int flow = check_storm(v, &v->event);
    if (flow != HVC_FLOW_ON) {
        return flow;
    }
    if (t->action.count) {
        count(v, t, HVC_COUNT_REDIRECTED);
    }
    change_cause(v, t->action.as, v->event.tval);
    return call(v, t, hvcore_redirect);
}

static int act_emulate(hvcore_vcpu *v, trap *t)
{
    if (!emulator[v->event.cls]) {
        return exit_fixup(v, HVCORE_FIXUP_NO_SERVER, HVCORE_RESULT_EXIT);
    }
    count(v, t, HVC_COUNT_EMULATED);
    return emulator[v->event.cls](v, t);
}

static int exit_by_rule(hvcore_vcpu *v, const trap *t, uint32_t reason)
{
    hvc_exit_event(v, reason);
    v->exit.rule = t->action.rule;
    v->exit.flags = t->action.rule ? HVCORE_EXIT_POLICY_RULE : 0;
    return HVC_FLOW_EXIT;
}

static int act_exit(hvcore_vcpu *v, trap *t)
{
    count(v, t, HVC_COUNT_EXITED);
    return exit_by_rule(v, t, HVCORE_EXIT_TRAP);
}

static int act_stop(hvcore_vcpu *v, trap *t)
{
    count(v, t, HVC_COUNT_STOPPED);
    exit_by_rule(v, t, HVCORE_EXIT_STOPPED);
    v->outside = HVC_OUTSIDE_STOP;
    return HVC_FLOW_OUTSIDE;
}

static int act(hvcore_vcpu *v, trap *t)
{
    static int (*const action[])(hvcore_vcpu *, trap *) = {
        [HVCORE_DO_REDIRECT] = act_redirect,
        [HVCORE_DO_EMULATE] = act_emulate,
        [HVCORE_DO_EXIT] = act_exit,
        [HVCORE_DO_STOP] = act_stop,
    };
    if (++t->decisions > ACT_BOUND) {
        return exit_fixup(v, HVCORE_FIXUP_BOUND, HVCORE_RESULT_AGAIN);
    }
    unsigned n = t->action.act;
    return n < sizeof(action) / sizeof(action[0]) && action[n] ? action[n](v, t)
                                                               : -HVCORE_E_BACKEND;
}

int hvc_riscv64_trap(hvcore_vcpu *v)
{
    if (v->event.cls >= HVC_POLICY_CLASSES || v->event.mode >= HVC_POLICY_MODES || !v->program) {
        return -HVCORE_E_BACKEND;
    }
    trap t = {.action = decide(v, v->event.mode, v->event.cls)};
    v->state.nisv.width = 0;
    return act(v, &t);
}

/* ---- the VMM's exceptions -------------------------------------------------------------------- */

int hvc_riscv64_inject(hvcore_vcpu *v, uint64_t cause, uint64_t tval, hvcore_error *err)
{
    hvcore_riscv64_frame *f = v->cpu.frame;
    hvcore_event e = {.size = sizeof(e), .syndrome = cause, .tval = tval, .pc = f->pc};
    if (!hvc_riscv64_guest_sees(cause)) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_RUN,
                        "A supervisor never sees an exception with cause %llu.",
                        (unsigned long long)cause);
    }
    int rc = v->raw->sys_load(v->bk, HVCORE_REDIRECT_NEEDS);
    if (rc) {
        return hvc_fail(err, -rc, HVCORE_DOMAIN_RUN, "The guest's registers cannot be read: %s.",
                        hvcore_strerror(rc));
    }
    hvcore_result r = hvcore_redirect(f, v->cpu.sys, &e, &v->state);
    if (r.kind != HVCORE_RESULT_DONE) {
        return hvc_fail(
            err, HVCORE_E_STATE, HVCORE_DOMAIN_RUN,
            "The guest is inside its own trap entry; an exception now would be a double "
            "trap.");
    }
    hvc_count(&v->counters.injected);
    v->pending = (hvc_pending){0};
    return 0;
}
