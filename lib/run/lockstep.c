/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All vCPUs of a VM in one thread, in turns. Whose turn it is and what is left of it is state of
 * the VM: a run that returns in the middle of a turn is continued there.
 *
 * Nothing here looks at the host's clock but for the deadline; the guest's time is the number of
 * instructions, which the machine counts, and jumps only when nobody has work.
 */
#include "lib/run/run.h"

/* The vCPU of a slot with a reference, or NULL. */
static hvcore_vcpu *vcpu_at(hvcore_vm *vm, uint32_t index)
{
    hvc_host_lock(&vm->lock);
    hvcore_vcpu *v = vm->vcpu[index];
    if (v) {
        hvcore_vcpu_ref(v);
    }
    hvc_host_unlock(&vm->lock);
    return v;
}

/* What a look at all vCPUs, in the order of turns, has found. */
typedef struct sweep {
    uint32_t waiting; /* vCPUs that wait for an interrupt; others are off */
    uint64_t ticks;   /* when the first timer ends a wait; UINT64_MAX: none does */
    hvcore_vcpu *who; /* the first that waits, else the first that is off */
} sweep;

static void pass_over(sweep *s, hvcore_vcpu *v)
{
    if (!s->who || (v->pending.waits && !s->waiting)) {
        s->who = v;
    }
    if (v->pending.waits) {
        s->waiting++;
        s->ticks = v->wake_ticks < s->ticks ? v->wake_ticks : s->ticks;
    }
}

/*
 * Run v if it has work. Only then is it its turn, or was and goes on: whoever is passed over, and
 * whatever ends this before guest code is entered, changes nothing of the order.
 */
static int try_vcpu(hvcore_vcpu *v, hvc_run *r, hvcore_error *err)
{
    hvcore_vm *vm = v->vm;
    uint64_t left = v->index == vm->turn ? vm->turn_left : HVC_TURN;
    int rc = hvc_run_claim(v, err);
    if (rc) {
        return rc;
    }
    r->turn = &left;
    r->entered = 0;
    rc = hvc_run_vcpu(v, r, err);
    hvc_run_unclaim(v);
    if (r->entered) {
        vm->turn = v->index;
        vm->turn_left = left;
    }
    return rc;
}

static void next_turn(hvcore_vm *vm)
{
    vm->turn = vm->turn + 1 < vm->max_vcpus ? vm->turn + 1 : 0;
    vm->turn_left = HVC_TURN;
}

/* Look for a vCPU that has work, beginning with the one whose turn it is; run it. */
static int look(hvcore_vm *vm, hvc_run *r, sweep *s, hvcore_error *err)
{
    int rc = HVC_FLOW_TURN;
    r->entered = 0;
    for (uint32_t n = 0, at = vm->turn; n < vm->max_vcpus && rc == HVC_FLOW_TURN && !r->entered;
         n++, at = at + 1 < vm->max_vcpus ? at + 1 : 0) {
        hvcore_vcpu *v = vcpu_at(vm, at);
        if (!v) {
            continue;
        }
        rc = try_vcpu(v, r, err);
        if (rc == HVC_FLOW_TURN && !r->entered) {
            pass_over(s, v);
        } else {
            s->who = v;
        }
        hvcore_vcpu_unref(v);
    }
    return rc;
}

/* Nobody has work: let time jump, or tell the caller. */
static int all_wait(hvcore_vm *vm, const sweep *s, hvcore_error *err)
{
    if (!s->who) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_RUN, "The VM has no vCPU to run.");
    }
    if (s->ticks == UINT64_MAX) {
        return s->waiting ? hvc_exit_event(s->who, HVCORE_EXIT_HALT)
                          : hvc_exit_plain(s->who, HVCORE_EXIT_OFF);
    }
    vm->raw->time_skip(vm->bk, s->ticks);
    if (vm->raw->time(vm->bk) < s->ticks) {
        return hvc_fail(err, HVCORE_E_BACKEND, HVCORE_DOMAIN_RUN,
                        "The time of machine %s does not pass.", vm->info.machine);
    }
    return HVC_FLOW_TURN;
}

static int drive(hvcore_vm *vm, const hvcore_run_opts *o, hvcore_vcpu **who, hvcore_error *err)
{
    hvc_run r = {.o = o, .insns = o->max_insns ? o->max_insns : UINT64_MAX};
    int rc;
    do {
        sweep s = {.ticks = UINT64_MAX};
        if (!vm->turn_left) {
            next_turn(vm);
        }
        rc = look(vm, &r, &s, err);
        if (rc == HVC_FLOW_TURN && !r.entered) {
            rc = all_wait(vm, &s, err);
        }
        *who = s.who;
    } while (rc == HVC_FLOW_TURN);
    return rc;
}

static int check(hvcore_vm *vm, const hvcore_exit **exit, hvcore_error *err)
{
    if (!vm || !exit) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_RUN,
                        "A run needs a VM and a place for its exit.");
    }
    if (!vm->lockstep) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_RUN,
                        "The VM does not run in lockstep: each vCPU has a run of its own.");
    }
    return 0;
}

int hvcore_vm_run(hvcore_vm *vm, const hvcore_run_opts *opts, const hvcore_exit **exit,
                  hvcore_error *err)
{
    hvcore_run_opts o;
    hvcore_vcpu *who = NULL;
    int rc = check(vm, exit, err);
    if (!rc) {
        rc = hvc_run_opts(vm, opts, &o, err);
    }
    if (!rc) {
        rc = hvc_run_drive(vm, err);
    }
    if (rc) {
        return rc;
    }
    rc = drive(vm, &o, &who, err);
    hvc_run_undrive(vm);
    if (rc < 0) {
        return rc;
    }
    *exit = &who->exit;
    return 0;
}
