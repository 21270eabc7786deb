/* SPDX-License-Identifier: Apache-2.0 */
/* vCPUs: life, cancel, counters. Running them is lib/run's. */
#include "lib/core/vcpu.h"
#include "lib/host/mem.h"

static int check(hvcore_vm *vm, uint32_t index, const hvcore_vcpu_opts *opts, hvcore_vcpu **out,
                 uint32_t *flags, hvcore_error *err)
{
    hvcore_vcpu_opts o = HVCORE_VCPU_OPTS_INIT;
    if (!vm || !out) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_CORE,
                        "A vCPU needs a VM and a place to be put.");
    }
    int rc = opts ? hvc_struct_in(&o, sizeof(o), opts, "vCPU options", err) : 0;
    if (!rc && o.flags & ~(uint32_t)HVCORE_VCPU_OFF) {
        rc = hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_CORE, "Unknown vCPU flags 0x%x.", o.flags);
    }
    if (!rc && index >= vm->max_vcpus) {
        rc = hvc_fail(err, HVCORE_E_RANGE, HVCORE_DOMAIN_CORE,
                      "The VM was made for vCPUs 0 to %u; %u is asked for.", vm->max_vcpus - 1,
                      index);
    }
    *flags = o.flags;
    return rc;
}

/* Into the VM's list; the lock is held. */
static void join_list(hvcore_vm *vm, hvcore_vcpu *v)
{
    hvc_host_lock(&vm->irq_lock);
    vm->vcpu[v->index] = v;
    hvc_irqchip_join(vm, v);
    hvc_host_unlock(&vm->irq_lock);
}

/*
 * Out of it. Those in GUEST read the list without a lock, and may pin what they find: when they are
 * all held and the vCPU is unpinned, nobody has it. The lock is held.
 */
static void leave_list(hvcore_vm *vm, hvcore_vcpu *v)
{
    hvc_hold(vm);
    hvc_wait_unpinned(v);
    hvc_host_lock(&vm->irq_lock);
    vm->vcpu[v->index] = NULL;
    hvc_host_unlock(&vm->irq_lock);
    hvc_release(vm, 0);
}

/* Enter the VM's list, with the policy and pause that hold now; the lock is held. */
static int enlist(hvcore_vm *vm, hvcore_vcpu *v, uint32_t flags, hvcore_error *err)
{
    if (vm->vcpu[v->index]) {
        return hvc_fail(err, HVCORE_E_EXISTS, HVCORE_DOMAIN_CORE, "There is a vCPU %u already.",
                        v->index);
    }
    hvcore_error own = HVCORE_ERROR_INIT;
    int rc = vm->ops->vcpu_create(vm->bk, v->index, flags, &v->bk, &own);
    if (rc) {
        return hvc_backend_failed(err, rc, &own, "a vCPU");
    }
    v->program = vm->program;
    if (v->program) {
        hvc_ref_get(&v->program->refs);
    }
    atomic_store(&v->word, (uint32_t)HVC_REQ_POLICY | (vm->paused ? (uint32_t)HVC_REQ_PAUSE : 0));
    if (v->raw) {
        v->raw->view(v->bk, &v->cpu);
    } else {
        v->last = v->kernel->exit(v->bk);
    }
    join_list(vm, v);
    return 0;
}

int hvcore_vcpu_create(hvcore_vm *vm, uint32_t index, const hvcore_vcpu_opts *opts,
                       hvcore_vcpu **out, hvcore_error *err)
{
    uint32_t flags = 0;
    int rc = check(vm, index, opts, out, &flags, err);
    if (rc) {
        return rc;
    }
    hvcore_vcpu *v = hvc_host_alloc(sizeof(*v));
    if (!v) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_CORE, "No memory for a vCPU.");
    }
    hvc_ref_init(&v->refs);
    v->index = index;
    v->vm = vm;
    v->ops = vm->ops;
    v->raw = vm->raw;
    v->kernel = vm->kernel;
    v->hart = flags & HVCORE_VCPU_OFF && v->raw ? HVC_HART_STOPPED : HVC_HART_STARTED;
    v->state = (hvcore_riscv64_state){
        .size = sizeof(v->state),
        .version = 1,
        .forward = {.size = sizeof(v->state.forward), .version = 1},
    };
    hvc_host_lock(&vm->lock);
    rc = enlist(vm, v, flags, err);
    hvc_host_unlock(&vm->lock);
    if (rc) {
        hvc_host_free(v);
        return rc;
    }
    hvcore_vm_ref(vm);
    *out = v;
    return 0;
}

hvcore_vcpu *hvcore_vcpu_ref(hvcore_vcpu *v)
{
    hvc_ref_get(&v->refs);
    return v;
}

void hvcore_vcpu_unref(hvcore_vcpu *v)
{
    if (!v || !hvc_ref_put(&v->refs)) {
        return;
    }
    hvcore_vm *vm = v->vm;
    hvc_host_lock(&vm->lock);
    leave_list(vm, v);
    vm->ops->vcpu_destroy(v->bk);
    hvc_host_unlock(&vm->lock);
    hvc_program_put(v->program);
    hvc_host_free(v);
    hvcore_vm_unref(vm);
}

hvcore_vm *hvcore_vcpu_vm(hvcore_vcpu *v)
{
    return v ? v->vm : NULL;
}

uint32_t hvcore_vcpu_index(const hvcore_vcpu *v)
{
    return v ? v->index : 0;
}

/*
 * The token is stored before the request bit is set: whoever takes the bit finds the token. If an
 * earlier cancel's bit made the owner take this token already, the bit that is set now finds
 * nothing.
 */
int hvcore_vcpu_cancel(hvcore_vcpu *v, uint32_t token)
{
    if (!v) {
        return -HVCORE_E_INVAL;
    }
    atomic_store(&v->cancel, UINT64_C(1) << 32 | token);
    hvc_request(v, HVC_REQ_CANCEL);
    return 0;
}

int hvcore_vcpu_cancel_clear(hvcore_vcpu *v)
{
    if (!v) {
        return -HVCORE_E_INVAL;
    }
    hvc_word_served(&v->word, HVC_REQ_CANCEL);
    atomic_exchange(&v->cancel, 0);
    return 0;
}

int hvc_vcpu_look(hvcore_vcpu *v)
{
    if (!v) {
        return -HVCORE_E_INVAL;
    }
    return atomic_load_explicit(&v->running, memory_order_acquire) == HVC_RUNNING ? -HVCORE_E_BUSY
                                                                                  : 0;
}

int hvcore_vcpu_detach(hvcore_vcpu *v)
{
    uint32_t idle = HVC_IDLE;
    if (!v) {
        return -HVCORE_E_INVAL;
    }
    if (!atomic_compare_exchange_strong(&v->running, &idle, HVC_RUNNING)) {
        return -HVCORE_E_BUSY;
    }
    int rc = v->ops->detach(v->bk);
    atomic_store(&v->running, HVC_IDLE);
    return rc;
}

int hvcore_vcpu_trap_counts(hvcore_vcpu *v, uint32_t cls, hvcore_trap_counts *counts)
{
    if (!v || !counts) {
        return -HVCORE_E_INVAL;
    }
    if (cls >= HVC_POLICY_CLASSES) {
        return -HVCORE_E_RANGE;
    }
    const hvc_counter *c = v->counters.trap[cls];
    hvcore_trap_counts full = {
        .cls = cls,
        .delegated = v->raw ? v->raw->delegated(v->bk, cls) : 0,
        .redirected = hvc_counter_get(&c[HVC_COUNT_REDIRECTED]),
        .emulated = hvc_counter_get(&c[HVC_COUNT_EMULATED]),
        .exited = hvc_counter_get(&c[HVC_COUNT_EXITED]),
        .stopped = hvc_counter_get(&c[HVC_COUNT_STOPPED]),
        .late = hvc_counter_get(&c[HVC_COUNT_LATE]),
    };
    return hvc_struct_out(counts, &full, sizeof(full));
}

int hvcore_vcpu_stats_get(hvcore_vcpu *v, hvcore_vcpu_stats *stats)
{
    hvcore_vcpu_stats full = HVCORE_VCPU_STATS_INIT;
    if (!v || !stats) {
        return -HVCORE_E_INVAL;
    }
#define TAKE(name) full.name = hvc_counter_get(&v->counters.name);
    HVC_VCPU_COUNTERS(TAKE)
#undef TAKE
    full.insns = v->raw ? v->raw->insns(v->bk) : 0;
    return hvc_struct_out(stats, &full, sizeof(full));
}
