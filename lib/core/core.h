/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects, as the library sees them.
 *
 * Locks: hvcore_vm.lock serialises whoever changes a VM (map, MMIO ranges, vCPU list, policy,
 * pause). A vCPU in state GUEST reads all of that without a lock; therefore it never takes the
 * lock, and a change waits until no vCPU is in GUEST (rendezvous.h). hvcore_vm.irq_lock comes after
 * it: it keeps the interrupt controller, and the vCPU list for those who tell vCPUs of interrupts.
 */
#ifndef HVC_CORE_H
#define HVC_CORE_H

#include <hvcore/hvcore.h>
#include <hvcore/x-backend.h>

#include "lib/core/error.h"
#include "lib/host/host.h"
#include "lib/policy/policy.h"

typedef struct hvc_ref {
    _Atomic uint32_t count;
} hvc_ref;

static inline void hvc_ref_init(hvc_ref *ref)
{
    atomic_init(&ref->count, 1);
}

static inline void hvc_ref_get(hvc_ref *ref)
{
    atomic_fetch_add_explicit(&ref->count, 1, memory_order_relaxed);
}

/* True if this was the last reference. */
static inline bool hvc_ref_put(hvc_ref *ref)
{
    return atomic_fetch_sub_explicit(&ref->count, 1, memory_order_acq_rel) == 1;
}

/* A counter that one thread writes and any thread reads. */
typedef _Atomic uint64_t hvc_counter;

static inline void hvc_count(hvc_counter *c)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static inline uint64_t hvc_counter_get(const hvc_counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

enum { HVC_MAX_BACKENDS = 8, HVC_MAX_VCPUS = 512 };

struct hvcore_ctx {
    hvc_ref refs;
    hvcore_ctx_opts opts;
    hvc_lock lock; /* backends */
    uint32_t backends;
    const hvcore_backend_ops *backend[HVC_MAX_BACKENDS];
};

/* The backends of this build, in order of preference, ended by NULL. */
extern const hvcore_backend_ops *const hvc_builtin_backends[];

void hvc_log(hvcore_ctx *ctx, uint32_t level, const char *scope, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

struct hvcore_mem {
    hvc_ref refs;
    hvcore_ctx *ctx;
    void *host;
    uint64_t len;
    int fd;      /* of a shared object, else -1 */
    bool mapped; /* host was mapped by the ground */
    hvcore_mem_release_fn release;
    void *user;
};

/* A mapping. Regions of a VM are sorted by gpa and never overlap. */
typedef struct hvc_region {
    uint64_t gpa, len, offset;
    uint32_t prot;
    uint32_t dirty;  /* 1: with a log */
    hvcore_mem *mem; /* one reference per region */
} hvc_region;

typedef struct hvc_regions {
    hvc_region *item;
    uint32_t count, room;
} hvc_regions;

typedef struct hvc_mmio {
    uint64_t gpa, len;
    hvcore_mmio_ops ops;
    void *user;
    uint32_t id;
} hvc_mmio;

typedef struct hvc_mmios {
    hvc_mmio *item;
    uint32_t count, room;
} hvc_mmios;

struct hvcore_view {
    hvcore_vm *vm;
    hvcore_mem *mem;
    uint64_t gpa, len;
    hvcore_view *next;
};

/* A compiled policy; vCPUs share it. */
typedef struct hvc_program {
    hvc_ref refs;
    hvcore_policy *policy;
    hvc_policy_table table;
} hvc_program;

void hvc_program_put(hvc_program *program);

struct hvc_plic;

struct hvcore_vm {
    hvc_ref refs;
    hvcore_ctx *ctx;
    const hvcore_backend_ops *ops;
    const hvcore_bk_riscv64_ops *raw;   /* the machine is ours, */
    const hvcore_bk_kernel_ops *kernel; /* or a kernel's; the other one is NULL */
    hvcore_backend_info info;
    hvcore_bk_vm *bk;
    uint32_t arch, max_vcpus;
    uint32_t lockstep; /* 1: HVCORE_SCHEDULE_LOCKSTEP */

    hvc_lock lock;
    hvc_regions regions;
    hvc_mmios mmios;
    hvc_mmios pios; /* x86_64: gpa is a port */
    uint32_t next_mmio;
    hvcore_view *views;
    hvc_program *program; /* of vCPUs that are yet to come; NULL: no policy */
    uint32_t paused;
    _Atomic(hvcore_vcpu *) *vcpu; /* max_vcpus slots, not references */

    hvc_lock irq_lock; /* the interrupt controller; nobody waits for a vCPU while holding it */
    struct hvc_plic *irqchip;
    uint32_t kernel_irqchip; /* 1: the kernel has one */

    _Atomic uint32_t driven; /* lockstep: 1 while a thread runs the VM or one of its vCPUs */
    uint32_t turn;           /* lockstep: number of the vCPU whose turn it is */
    uint64_t turn_left;      /* lockstep: instructions left of it */

    hvcore_console_fn console;
    void *console_user;
    _Atomic uint32_t has_run;
    _Atomic uint32_t stopped;
};

/* The region that holds gpa, or NULL. The caller holds the lock, or is a vCPU in GUEST. */
const hvc_region *hvc_region_at(const hvc_regions *regions, uint64_t gpa);

/* The MMIO range that holds all of [gpa, gpa + width), or NULL; callers as above. */
const hvc_mmio *hvc_mmio_at(const hvc_mmios *mmios, uint64_t gpa, uint32_t width);

/* A range that is not empty and does not wrap. */
static inline bool hvc_range_ok(uint64_t start, uint64_t len)
{
    return len && start + (len - 1) >= start;
}

/* Do two such ranges share a byte? */
static inline bool hvc_ranges_meet(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
    return a <= b + (blen - 1) && b <= a + (alen - 1);
}

#endif
