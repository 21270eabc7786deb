/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXPERIMENTAL: the table that a backend fills. It will change until kvm and bare have both
 * settled.
 *
 * The core calls a backend under these rules. VM-wide calls (vm_*, mem_*) are serialised by the
 * core; mem_unmap and mem_protect come while no vCPU of the VM is in enter(). Calls on a vCPU come
 * from the thread that owns it, except kick. Errors are negative HVCORE_E_*.
 */
#ifndef HVCORE_X_BACKEND_H
#define HVCORE_X_BACKEND_H

#include <hvcore/ctx.h>
#include <hvcore/event.h>
#include <hvcore/riscv64.h>
#include <hvcore/vm.h>

HVCORE_BEGIN

#define HVCORE_BACKEND_ABI 2

typedef struct hvcore_bk_vm hvcore_bk_vm;
typedef struct hvcore_bk_vcpu hvcore_bk_vcpu;

/** A piece of guest memory; `host` is page-aligned and stays valid until unmapped. */
typedef struct hvcore_bk_region {
    uint64_t gpa;
    uint64_t len;
    uint32_t prot;
    uint32_t reserved;
    void *host;
} hvcore_bk_region;

/** Limits of one enter(). */
typedef struct hvcore_bk_limits {
    uint64_t deadline_ns; /**< HVCORE_EVENT_DEADLINE when it has passed; 0: none */
    uint64_t max_insns;   /**< HVCORE_EVENT_INSN_LIMIT after so many; 0: no limit */
} hvcore_bk_limits;

/**
 * The riscv64 registers of a vCPU: the frame and fp are always valid, sys as its `have` says.
 * `fp` is NULL where a guest has no F and D.
 */
typedef struct hvcore_bk_riscv64 {
    hvcore_riscv64_frame *frame;
    hvcore_riscv64_sys *sys;
    hvcore_riscv64_fp *fp;
} hvcore_bk_riscv64;

/** A backend. Every slot is filled; `arch` says which register view is. */
typedef struct hvcore_backend_ops {
    uint32_t size;
    uint32_t abi; /**< HVCORE_BACKEND_ABI */

    /** Fill all of `info` but its size. */
    void (*info)(hvcore_backend_info *info);

    /** `opts` is complete (its size is the library's) and max_vcpus at least 1. */
    int (*vm_create)(const hvcore_vm_opts *opts, hvcore_bk_vm **vm, hvcore_error *err);
    void (*vm_destroy)(hvcore_bk_vm *vm);
    /** The guest's `time` counter now. Any thread. 0 without HVCORE_CAP_TIMER. */
    uint64_t (*time)(hvcore_bk_vm *vm);
    /** When, on the clock of hvcore_clock_ns(), it will be `ticks`; UINT64_MAX: never. Any thread.
     */
    uint64_t (*time_ns)(hvcore_bk_vm *vm, uint64_t ticks);
    /** Lockstep: nobody has work before `ticks`, let that be now; it never goes backwards. */
    void (*time_skip)(hvcore_bk_vm *vm, uint64_t ticks);
    /** Ranges never overlap what is mapped. On failure nothing has changed. */
    int (*mem_map)(hvcore_bk_vm *vm, const hvcore_bk_region *region, hvcore_error *err);
    /** The range may have holes. Not halfway: -HVCORE_E_NOMEM leaves everything as it was. */
    int (*mem_unmap)(hvcore_bk_vm *vm, uint64_t gpa, uint64_t len);
    int (*mem_protect)(hvcore_bk_vm *vm, uint64_t gpa, uint64_t len, uint32_t prot);
    /** The library has written mapped memory: from its next enter() on, a vCPU executes what is
     *  there. May come while vCPUs are in enter(). */
    void (*mem_written)(hvcore_bk_vm *vm, const void *host, uint64_t len);

    int (*vcpu_create)(hvcore_bk_vm *vm, uint32_t index, hvcore_bk_vcpu **vcpu, hvcore_error *err);
    void (*vcpu_destroy)(hvcore_bk_vcpu *vcpu);

    /** Execute the guest until something happens; fills all of `event`. 0 or an error. */
    int (*enter)(hvcore_bk_vcpu *vcpu, const hvcore_bk_limits *limits, hvcore_event *event);
    /** End the current enter(), or the next one if none is going on. Any thread, signal-safe. */
    void (*kick)(hvcore_bk_vcpu *vcpu);
    /** Forget translations of both stages and decoded instructions: a change of the memory map, or
     *  another hart's remote SFENCE.VMA or FENCE.I. */
    void (*flush)(hvcore_bk_vcpu *vcpu);
    /** Leave the physical processor; the state is then in memory. */
    int (*detach)(hvcore_bk_vcpu *vcpu);

    /** riscv64: the view, valid as long as the vCPU. */
    void (*riscv64)(hvcore_bk_vcpu *vcpu, hvcore_bk_riscv64 *view);
    /** Make the system registers in `set` valid in the view; adds them to `have`. */
    int (*sys_load)(hvcore_bk_vcpu *vcpu, uint64_t set);
    /** Write back those in `dirty`, clear `dirty`, and forget `have` (the guest will run). */
    int (*sys_store)(hvcore_bk_vcpu *vcpu);
    /** riscv64: what hedeleg holds from the next enter() on; a subset of info.delegatable. */
    void (*delegate)(hvcore_bk_vcpu *vcpu, uint64_t hedeleg);

    /** Traps of class `cls` delegated so far, with HVCORE_CAP_DELEGATED_COUNT, else 0. Any thread.
     */
    uint64_t (*delegated)(hvcore_bk_vcpu *vcpu, uint32_t cls);
    /** Instructions retired so far, with HVCORE_CAP_INSN_LIMIT, else 0. Any thread. */
    uint64_t (*insns)(hvcore_bk_vcpu *vcpu);
} hvcore_backend_ops;

/**
 * Register a backend with a context. Its names must be new; it comes after the built-in ones.
 *
 * `ops` and what it points to must outlive the context.
 *
 * Thread: any, before the context's first VM. Errors: E_INVAL (abi, a NULL slot), E_EXISTS,
 * E_LIMIT. Since: 0.1, experimental.
 */
HVCORE_API int hvcore_ctx_backend_add(hvcore_ctx *ctx, const hvcore_backend_ops *ops,
                                      hvcore_error *err);

HVCORE_END
#endif
