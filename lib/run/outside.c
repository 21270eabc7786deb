/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a trap asks for that may not be done in GUEST: calls of the VMM (MMIO, console), and what
 * waits for other vCPUs (stop, remote fences). The vCPU is OUT.
 */
#include "lib/run/run.h"

static int exit_pio(hvcore_vcpu *v)
{
    hvc_exit_kernel(v, HVCORE_EXIT_PIO);
    v->exit.u.pio = v->last->u.pio;
    return HVC_FLOW_EXIT;
}

static int exit_mmio(hvcore_vcpu *v)
{
    const hvc_pending *p = &v->pending;
    if (v->event.kind == HVCORE_EVENT_PIO) {
        return exit_pio(v);
    }
    hvc_exit_event(v, HVCORE_EXIT_MMIO);
    v->exit.flags = p->needs ? HVCORE_EXIT_NEEDS_COMPLETION : 0;
    if (v->kernel && v->last->advanced) {
        v->exit.flags |= HVCORE_EXIT_PC_ADVANCED;
    }
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
    if (v->kernel) {
        return hvcore_vcpu_deny(v, NULL) ? exit_mmio(v) : HVC_FLOW_ON;
    }
    uint32_t cause = v->pending.kind == HVC_PENDING_STORE ? HVCORE_RISCV64_STORE_ACCESS
                                                          : HVCORE_RISCV64_LOAD_ACCESS;
    return hvc_riscv64_inject(v, cause, v->event.tval, NULL) ? exit_mmio(v) : HVC_FLOW_ON;
}

static int outside_mmio(hvcore_vcpu *v)
{
    uint64_t value = 0;
    v->pending.again = 0;
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
        if (v->kernel) { /* it cannot be told to forget the access: ask again */
            v->pending.again = 1;
        } else {
            v->pending = (hvc_pending){0};
        }
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

/* The guest has asked others to forget translations; the call is answered when they have. */
static int outside_fence(hvcore_vcpu *v)
{
    hvc_fence(v->vm, &v->fence);
    v->pending.filled = 1;
    return HVC_FLOW_ON;
}

static int outside_none(hvcore_vcpu *v)
{
    (void)v;
    return HVC_FLOW_ON;
}

int hvc_outside_do(hvcore_vcpu *v)
{
    static int (*const todo[])(hvcore_vcpu *) = {
        [HVC_OUTSIDE_NONE] = outside_none,       [HVC_OUTSIDE_MMIO] = outside_mmio,
        [HVC_OUTSIDE_CONSOLE] = outside_console, [HVC_OUTSIDE_STOP] = outside_stop,
        [HVC_OUTSIDE_FENCE] = outside_fence,
    };
    atomic_store_explicit(&v->running, HVC_IN_CALLBACK, memory_order_release);
    int flow = todo[v->outside](v);
    atomic_store_explicit(&v->running, HVC_RUNNING, memory_order_release);
    v->outside = HVC_OUTSIDE_NONE;
    return flow;
}
