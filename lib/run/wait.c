/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting: WFI and SBI hart suspend until an interrupt is pending and enabled, a hart that is off
 * until it is started. A vCPU that waits has a pending record that an interrupt fills; pc stays at
 * the instruction until then, and whatever else ends the run, the next one goes on waiting.
 */
#include "lib/run/run.h"

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void sleep_until(hvcore_vcpu *v, const hvc_run *r, uint32_t bits, uint64_t until)
{
    uint64_t deadline = r->o->deadline_ns ? r->o->deadline_ns : HVC_FOREVER;
    hvc_park(v, bits, earlier(until, deadline));
}

/* An interrupt has come. */
static void wake(hvcore_vcpu *v)
{
    v->pending.waits = 0;
    v->pending.filled = 1;
    v->hart = HVC_HART_STARTED;
}

int hvc_wait_begin(hvcore_vcpu *v)
{
    v->pending.waits = 1;
    if (v->pending.kind != HVC_PENDING_STEP) {
        v->hart = HVC_HART_SUSPENDED;
    }
    v->outside = HVC_OUTSIDE_NONE;
    return HVC_FLOW_OUTSIDE;
}

/* The caller waits in our place: who runs the vCPU again has decided that it goes on. */
static int halt(hvcore_vcpu *v)
{
    v->pending.waits = 0;
    return hvc_exit_event(v, HVCORE_EXIT_HALT);
}

int hvc_wait_irq(hvcore_vcpu *v, const hvc_run *r, uint32_t bits)
{
    uint64_t set;
    int rc = hvc_line_pending(v, &set, &v->wake_ticks);
    if (rc) {
        return rc;
    }
    if (set) {
        wake(v);
    } else if (r->turn) {
        return HVC_FLOW_TURN;
    } else if (!(r->o->flags & HVCORE_RUN_WAIT)) {
        return halt(v);
    } else {
        bool timed = v->wake_ticks != UINT64_MAX;
        sleep_until(v, r, bits, timed ? v->raw->time_ns(v->vm->bk, v->wake_ticks) : HVC_FOREVER);
    }
    return HVC_FLOW_ON;
}

/* Above a kernel that does not wait itself (x86_64 without its interrupt controller). */
int hvc_wait_kernel(hvcore_vcpu *v, const hvc_run *r, uint32_t bits)
{
    if (!(r->o->flags & HVCORE_RUN_WAIT)) {
        v->halted = 0;
        hvc_exit_kernel(v, HVCORE_EXIT_HALT);
        return HVC_FLOW_EXIT;
    }
    sleep_until(v, r, bits, HVC_FOREVER);
    return HVC_FLOW_ON;
}

int hvc_wait_off(hvcore_vcpu *v, const hvc_run *r, uint32_t bits)
{
    if (r->turn) {
        return HVC_FLOW_TURN;
    }
    if (!(r->o->flags & HVCORE_RUN_WAIT)) {
        return hvc_exit_plain(v, HVCORE_EXIT_OFF);
    }
    sleep_until(v, r, bits, HVC_FOREVER);
    return HVC_FLOW_ON;
}
