/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rendezvous of vCPUs: one atomic word each.
 *
 *   OUT      in the caller's code, in a callback, or parked: reads nothing of the VM
 *   GUEST    executes the guest or the library's part of the loop: reads the VM without locks
 *   LEAVING  GUEST, and somebody has kicked it
 *
 * and request bits. Whoever wants to change the VM sets HOLD everywhere, kicks those in GUEST and
 * waits until all are OUT; nobody enters while HOLD or PAUSE is set. The waiter itself is OUT (it
 * is in the caller's code or a callback), so two of them cannot wait for each other; the VM's lock
 * orders them.
 *
 * A vCPU that sleeps in OUT says so with PARKED, which it sets before it looks at the requests for
 * the last time; a request comes after that look and finds PARKED, or before it and is seen.
 *
 * In a lockstep VM nobody kicks: where a stretch of guest code ends must not depend on the host's
 * time. It is short.
 */
#ifndef HVC_RENDEZVOUS_H
#define HVC_RENDEZVOUS_H

#include "lib/core/core.h"

enum hvc_word {
    HVC_OUT = 0,
    HVC_GUEST = 1,
    HVC_LEAVING = 2,
    HVC_STATE = 3,        /* mask */
    HVC_REQ_CANCEL = 4,   /* look at the cancel word */
    HVC_REQ_HOLD = 8,     /* do not enter: somebody changes the VM */
    HVC_REQ_PAUSE = 16,   /* do not enter: the VM is paused */
    HVC_REQ_FLUSH = 32,   /* translations are stale */
    HVC_REQ_POLICY = 64,  /* hedeleg has to be written anew */
    HVC_REQ_SETTLE = 128, /* the VM has stopped: look */
    HVC_REQ_IRQ = 256,    /* interrupt lines have changed */
    HVC_REQ_START = 512,  /* the hart is started: start_pc and start_arg are filled */
    HVC_REQUESTS = 1020,  /* mask */
    HVC_PARKED = 1024,    /* the owner sleeps, or is about to */
    /* what a sleeping vCPU has to wake up for; the rest can wait until it does */
    HVC_WAKES = HVC_REQ_CANCEL | HVC_REQ_SETTLE | HVC_REQ_IRQ | HVC_REQ_START
};

/* OUT -> GUEST if there is no request at all; false otherwise. Owner. */
static inline bool hvc_word_enter(_Atomic uint32_t *word)
{
    uint32_t seen = HVC_OUT;
    return atomic_compare_exchange_strong_explicit(word, &seen, HVC_GUEST, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* -> OUT; wakes those who wait for it. Owner. */
static inline void hvc_word_leave(_Atomic uint32_t *word)
{
    uint32_t old = atomic_fetch_and_explicit(word, ~(uint32_t)HVC_STATE, memory_order_acq_rel);
    if ((old & HVC_STATE) == HVC_LEAVING) {
        hvc_host_unpark(word);
    }
}

/* Any request pending? Owner. */
static inline uint32_t hvc_word_requests(_Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire) & (uint32_t)HVC_REQUESTS;
}

/*
 * May the owner, in GUEST, enter again? Not if there is a request. A kick may come so late that
 * what it was for has been served, and the owner is inside anew: then it has made LEAVING of GUEST,
 * and nobody would be kicked for the next request.
 */
static inline bool hvc_word_stay(_Atomic uint32_t *word)
{
    uint32_t seen = atomic_load_explicit(word, memory_order_acquire);
    return seen == HVC_GUEST ||
           (seen == HVC_LEAVING && atomic_compare_exchange_strong(word, &seen, HVC_GUEST));
}

/* Take back request bits that are being served. Owner. */
static inline void hvc_word_served(_Atomic uint32_t *word, uint32_t bits)
{
    atomic_fetch_and_explicit(word, ~bits, memory_order_acq_rel);
}

/* Ask: set the bits, kick the vCPU out of the guest or wake it. Any thread, signal-safe. */
void hvc_request(hvcore_vcpu *vcpu, uint32_t bits);

/* Sleep in OUT while the requests are still `bits`, at most until `until`. Owner. */
void hvc_park(hvcore_vcpu *vcpu, uint32_t bits, uint64_t until);

/* A set of vCPUs of a VM, by number. */
enum { HVC_SET_WORDS = HVC_MAX_VCPUS / 64 };
typedef struct hvc_vcpu_set {
    uint64_t word[HVC_SET_WORDS];
} hvc_vcpu_set;

/*
 * A vCPU found in GUEST stays while it is pinned, beyond GUEST: its end waits until it is not. A
 * pin is kept for no longer than other vCPUs take to leave GUEST.
 */
void hvc_pin(hvcore_vcpu *vcpu);
void hvc_unpin(hvcore_vcpu *vcpu);
/* Everybody is held, so there is no new pin: wait for those that there are. */
void hvc_wait_unpinned(hvcore_vcpu *vcpu);

/*
 * Have the vCPUs of the set, each of which the caller has pinned, forget translations. When it
 * returns, none of them uses an old one any more. No lock, nobody is held: the caller is OUT, and
 * waits only for who is in GUEST. Unpins them.
 */
void hvc_fence(hvcore_vm *vm, const hvc_vcpu_set *set);

/*
 * Hold all vCPUs of a VM (or one), and let them go again with more requests set. The VM's lock is
 * held from before hold until after release.
 *
 * hvc_try_hold: where a kernel is below, a vCPU may sleep there and not be woken (a page that
 * userfaultfd has to bring, on arm64 and riscv64). -HVCORE_E_TIMEOUT then: nobody is held.
 */
void hvc_hold(hvcore_vm *vm);
int hvc_try_hold(hvcore_vm *vm);
void hvc_release(hvcore_vm *vm, uint32_t requests);
int hvc_try_hold_one(hvcore_vcpu *vcpu, uint32_t bit);
void hvc_release_one(hvcore_vcpu *vcpu, uint32_t clear, uint32_t requests);

#endif
