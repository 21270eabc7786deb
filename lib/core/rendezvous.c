/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/rendezvous.h"

#include "lib/core/vcpu.h"

/* GUEST -> LEAVING, once; whoever makes the change kicks. */
static void kick_if_inside(hvcore_vcpu *v, uint32_t seen)
{
    while ((seen & HVC_STATE) == HVC_GUEST) {
        uint32_t leaving = (seen & ~(uint32_t)HVC_STATE) | HVC_LEAVING;
        if (atomic_compare_exchange_weak(&v->word, &seen, leaving)) {
            if (!v->vm->lockstep) {
                v->ops->kick(v->bk);
            }
            return;
        }
    }
}

void hvc_request(hvcore_vcpu *v, uint32_t bits)
{
    uint32_t seen = atomic_fetch_or(&v->word, bits) | bits;
    if (seen & HVC_PARKED && bits & HVC_WAKES) {
        hvc_host_unpark(&v->word);
    }
    kick_if_inside(v, seen);
}

void hvc_park(hvcore_vcpu *v, uint32_t bits, uint64_t until)
{
    uint32_t seen = atomic_fetch_or(&v->word, HVC_PARKED);
    if ((seen & HVC_REQUESTS) == bits) {
        hvc_host_park(&v->word, seen | HVC_PARKED, until);
    }
    atomic_fetch_and(&v->word, ~(uint32_t)HVC_PARKED);
}

/* True if it is OUT; false: not until `until`. */
static bool wait_out(hvcore_vcpu *v, uint64_t until)
{
    uint32_t seen;
    while ((seen = atomic_load(&v->word)) & HVC_STATE) {
        if (until != HVC_FOREVER && hvc_host_now() >= until) {
            return false;
        }
        hvc_host_park(&v->word, seen, until);
    }
    return true;
}

/* How long a hold may take: in the library's own machines, any time; it always comes to its end. */
static uint64_t patience(const hvcore_vm *vm)
{
    enum { HOLD_NS = 1000000000 };
    return vm->kernel ? hvc_host_now() + HOLD_NS : HVC_FOREVER;
}

int hvc_try_hold_one(hvcore_vcpu *v, uint32_t bit)
{
    hvc_request(v, bit);
    if (wait_out(v, patience(v->vm))) {
        return 0;
    }
    hvc_release_one(v, bit, 0);
    return -HVCORE_E_TIMEOUT;
}

void hvc_release_one(hvcore_vcpu *v, uint32_t clear, uint32_t requests)
{
    atomic_fetch_or(&v->word, requests);
    if (atomic_fetch_and(&v->word, ~clear) & HVC_PARKED) {
        hvc_host_unpark(&v->word);
    }
}

/* All are asked before the first is waited for: they leave in parallel. */
static bool hold_until(hvcore_vm *vm, uint64_t until)
{
    bool all = true;
    for (uint32_t i = 0; i < vm->max_vcpus; i++) {
        if (vm->vcpu[i]) {
            hvc_request(vm->vcpu[i], HVC_REQ_HOLD);
        }
    }
    for (uint32_t i = 0; i < vm->max_vcpus && all; i++) {
        all = !vm->vcpu[i] || wait_out(vm->vcpu[i], until);
    }
    return all;
}

void hvc_hold(hvcore_vm *vm)
{
    hold_until(vm, HVC_FOREVER);
}

int hvc_try_hold(hvcore_vm *vm)
{
    if (hold_until(vm, patience(vm))) {
        return 0;
    }
    hvc_release(vm, 0);
    return -HVCORE_E_TIMEOUT;
}

void hvc_release(hvcore_vm *vm, uint32_t requests)
{
    for (uint32_t i = 0; i < vm->max_vcpus; i++) {
        if (vm->vcpu[i]) {
            hvc_release_one(vm->vcpu[i], HVC_REQ_HOLD, requests);
        }
    }
}

/* ---- pins ------------------------------------------------------------------------------------ */

enum { PIN = 2, PIN_AWAITED = 1 };

void hvc_pin(hvcore_vcpu *v)
{
    atomic_fetch_add(&v->pins, PIN);
}

void hvc_unpin(hvcore_vcpu *v)
{
    _Atomic uint32_t *pins = &v->pins;
    if (atomic_fetch_sub(pins, PIN) == (PIN | PIN_AWAITED)) {
        hvc_host_unpark(pins); /* the vCPU may be gone: this is only an address */
    }
}

void hvc_wait_unpinned(hvcore_vcpu *v)
{
    uint32_t seen = atomic_fetch_or(&v->pins, PIN_AWAITED) | PIN_AWAITED;
    while (seen != PIN_AWAITED) {
        hvc_host_park(&v->pins, seen, HVC_FOREVER);
        seen = atomic_load(&v->pins);
    }
}

/* ---- remote fences -------------------------------------------------------------------------- */

/*
 * A vCPU in OUT serves FLUSH before it enters. One that has served a flush since `before` has been
 * OUT since; it may be inside again, so its word alone does not tell. The word is read first: if it
 * is that of a new stay in GUEST, the count that led there is seen.
 */
static void wait_flushed(hvcore_vcpu *v, uint32_t before)
{
    uint32_t seen;
    while ((seen = atomic_load(&v->word)) & HVC_STATE && atomic_load(&v->flushes) == before) {
        hvc_host_park(&v->word, seen, HVC_FOREVER);
    }
}

static void fence_word(_Atomic(hvcore_vcpu *) *vcpu, uint64_t set)
{
    uint32_t before[64];
    for (uint32_t i = 0; i < 64 && set >> i; i++) {
        if (set >> i & 1) {
            before[i] = atomic_load(&vcpu[i]->flushes);
            hvc_request(vcpu[i], HVC_REQ_FLUSH);
        }
    }
    for (uint32_t i = 0; i < 64 && set >> i; i++) {
        if (set >> i & 1) {
            wait_flushed(vcpu[i], before[i]);
            hvc_unpin(vcpu[i]);
        }
    }
}

void hvc_fence(hvcore_vm *vm, const hvc_vcpu_set *set)
{
    for (uint32_t n = 0; n < HVC_SET_WORDS; n++) {
        if (set->word[n]) {
            fence_word(&vm->vcpu[64 * n], set->word[n]);
        }
    }
}
