/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/rendezvous.h"

#include "lib/core/vcpu.h"

/* GUEST -> LEAVING, once; whoever makes the change kicks. */
static void kick_if_inside(hvcore_vcpu *v, uint32_t seen)
{
    while ((seen & HVC_STATE) == HVC_GUEST) {
        uint32_t leaving = (seen & (uint32_t)HVC_REQUESTS) | HVC_LEAVING;
        if (atomic_compare_exchange_weak(&v->word, &seen, leaving)) {
            v->ops->kick(v->bk);
            return;
        }
    }
}

void hvc_request(hvcore_vcpu *v, uint32_t bits)
{
    uint32_t seen = atomic_fetch_or(&v->word, bits) | bits;
    if (seen & (HVC_REQ_HOLD | HVC_REQ_PAUSE)) {
        hvc_host_unpark(&v->word); /* it may be parked, and the request may end that */
    }
    kick_if_inside(v, seen);
}

static void wait_out(hvcore_vcpu *v)
{
    uint32_t seen;
    while ((seen = atomic_load(&v->word)) & HVC_STATE) {
        hvc_host_park(&v->word, seen, HVC_FOREVER);
    }
}

void hvc_hold_one(hvcore_vcpu *v, uint32_t bit)
{
    hvc_request(v, bit);
    wait_out(v);
}

void hvc_release_one(hvcore_vcpu *v, uint32_t clear, uint32_t requests)
{
    atomic_fetch_or(&v->word, requests);
    atomic_fetch_and(&v->word, ~clear);
    hvc_host_unpark(&v->word);
}

/* All are asked before the first is waited for: they leave in parallel. */
void hvc_hold(hvcore_vm *vm)
{
    for (uint32_t i = 0; i < vm->max_vcpus; i++) {
        if (vm->vcpu[i]) {
            hvc_request(vm->vcpu[i], HVC_REQ_HOLD);
        }
    }
    for (uint32_t i = 0; i < vm->max_vcpus; i++) {
        if (vm->vcpu[i]) {
            wait_out(vm->vcpu[i]);
        }
    }
}

void hvc_release(hvcore_vm *vm, uint32_t requests)
{
    for (uint32_t i = 0; i < vm->max_vcpus; i++) {
        if (vm->vcpu[i]) {
            hvc_release_one(vm->vcpu[i], HVC_REQ_HOLD, requests);
        }
    }
}
