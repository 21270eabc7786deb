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

static void next_turn(hvcore_vm *vm)
{
    vm->turn = vm->turn + 1 < vm->max_vcpus ? vm->turn + 1 : 0;
    vm->turn_left = HVC_TURN;
}

/* What a round of turns, one for each slot, has found. */
typedef struct sweep {
    uint32_t slots;   /* passed over in a row */
    uint32_t waiting; /* of them, vCPUs that wait for an interrupt; the others are off */
    uint32_t vcpus;
    hvcore_vcpu *first; /* the first that waits, else the first that is off */
    uint64_t ticks;     /* when the first timer ends a wait; UINT64_MAX: none does */
} sweep;

static void pass_over(sweep *s, hvcore_vcpu *v)
{
    s->vcpus++;
    if (!s->first || (v->pending.waits && !s->first->pending.waits)) {
        s->first = v;
    }
    if (v->pending.waits) {
        s->waiting++;
        s->ticks = v->wake_ticks < s->ticks ? v->wake_ticks : s->ticks;
    }
}

/* The turn of v, or what is left of it. */
static int take_turn(hvcore_vcpu *v, hvc_run *r, sweep *s, hvcore_error *err)
{
    int rc = hvc_run_claim(v, err);
    if (rc) {
        return rc;
    }
    rc = hvc_run_vcpu(v, r, err);
    if (rc == HVC_FLOW_TURN && !r->entered) {
        pass_over(s, v);
    }
    hvc_run_unclaim(v);
    return rc;
}

/* Nobody has work: let time jump, or tell the caller. */
static int all_wait(hvcore_vm *vm, sweep *s, hvcore_vcpu **who, hvcore_error *err)
{
    if (!s->vcpus) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_RUN, "The VM has no vCPU to run.");
    }
    if (s->ticks == UINT64_MAX) {
        *who = s->first;
        return s->waiting ? hvc_exit_event(s->first, HVCORE_EXIT_HALT)
                          : hvc_exit_plain(s->first, HVCORE_EXIT_OFF);
    }
    vm->ops->time_skip(vm->bk, s->ticks);
    if (vm->ops->time(vm->bk) < s->ticks) {
        return hvc_fail(err, HVCORE_E_BACKEND, HVCORE_DOMAIN_RUN,
                        "The time of machine %s does not pass.", vm->info.machine);
    }
    *s = (sweep){.ticks = UINT64_MAX};
    return HVC_FLOW_TURN;
}

/* One slot. */
static int step(hvcore_vm *vm, hvc_run *r, sweep *s, hvcore_vcpu **who, hvcore_error *err)
{
    if (s->slots == vm->max_vcpus) {
        return all_wait(vm, s, who, err);
    }
    r->entered = 0;
    hvcore_vcpu *v = vcpu_at(vm, vm->turn);
    int rc = v ? take_turn(v, r, s, err) : HVC_FLOW_TURN;
    hvcore_vcpu_unref(v);
    if (r->entered) {
        *s = (sweep){.ticks = UINT64_MAX};
    } else {
        s->slots++;
    }
    if (rc == HVC_FLOW_TURN) {
        next_turn(vm);
    }
    *who = v;
    return rc;
}

static int drive(hvcore_vm *vm, const hvcore_run_opts *o, hvcore_vcpu **who, hvcore_error *err)
{
    hvc_run r = {.o = o, .insns = o->max_insns ? o->max_insns : UINT64_MAX, .turn = &vm->turn_left};
    sweep s = {.ticks = UINT64_MAX};
    int rc;
    do {
        rc = step(vm, &r, &s, who, err);
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
