/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXPERIMENTAL: the table that a backend fills. It will change until kvm and bare have both
 * settled.
 *
 * The core calls a backend under these rules. VM-wide calls are serialised by the core (but irq,
 * irqfd, msi, ioevent and stat); mem_map, mem_unmap and mem_protect come while no vCPU of the VM is
 * in enter(). Calls on a vCPU come from the thread that owns it, except kick and vcpu_irq. Errors
 * are negative HVCORE_E_*.
 */
#ifndef HVCORE_X_BACKEND_H
#define HVCORE_X_BACKEND_H

#include <hvcore/hvcore.h>

HVCORE_BEGIN

#define HVCORE_BACKEND_ABI 3

typedef struct hvcore_bk_vm hvcore_bk_vm;
typedef struct hvcore_bk_vcpu hvcore_bk_vcpu;

/** A piece of guest memory; `host` is page-aligned and stays valid until unmapped. */
typedef struct hvcore_bk_region {
    uint64_t gpa;
    uint64_t len;
    uint32_t prot;
    uint32_t dirty; /**< 1: keep a dirty log */
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

/** The machine below is ours: what a backend does that is a hypervisor itself (riscv64). */
typedef struct hvcore_bk_riscv64_ops {
    /** The guest's `time` counter now. Any thread. 0 without HVCORE_CAP_TIMER. */
    uint64_t (*time)(hvcore_bk_vm *vm);
    /** When, on the clock of hvcore_clock_ns(), it will be `ticks`; UINT64_MAX: never. Any thread.
     */
    uint64_t (*time_ns)(hvcore_bk_vm *vm, uint64_t ticks);
    /** Lockstep: nobody has work before `ticks`, let that be now; it never goes backwards. */
    void (*time_skip)(hvcore_bk_vm *vm, uint64_t ticks);

    /** Forget translations of both stages and decoded instructions: a change of the memory map, or
     *  another hart's remote SFENCE.VMA or FENCE.I. */
    void (*flush)(hvcore_bk_vcpu *vcpu);
    /** The view, valid as long as the vCPU. */
    void (*view)(hvcore_bk_vcpu *vcpu, hvcore_bk_riscv64 *view);
    /** Make the system registers in `set` valid in the view; adds them to `have`. */
    int (*sys_load)(hvcore_bk_vcpu *vcpu, uint64_t set);
    /** Write back those in `dirty`, clear `dirty`, and forget `have` (the guest will run). */
    int (*sys_store)(hvcore_bk_vcpu *vcpu);
    /** What hedeleg holds from the next enter() on; a subset of info.delegatable. */
    void (*delegate)(hvcore_bk_vcpu *vcpu, uint64_t hedeleg);

    /** Traps of class `cls` delegated so far, with HVCORE_CAP_DELEGATED_COUNT, else 0. Any thread.
     */
    uint64_t (*delegated)(hvcore_bk_vcpu *vcpu, uint32_t cls);
    /** Instructions retired so far, with HVCORE_CAP_INSN_LIMIT, else 0. Any thread. */
    uint64_t (*insns)(hvcore_bk_vcpu *vcpu);
} hvcore_bk_riscv64_ops;

/** What a kernel has digested: the rest of an event whose kind is above HVCORE_EVENT_FAILED. */
typedef struct hvcore_bk_exit {
    uint32_t needs;    /**< 1: answer() has to come before the next enter() */
    uint32_t advanced; /**< 1: event.pc is known, and behind the instruction */
    uint32_t reason;   /**< SYSTEM: HVCORE_EXIT_* that it is */
    uint32_t reserved;
    union {
        hvcore_exit_mmio mmio; /**< MMIO */
        hvcore_exit_pio pio;
        hvcore_exit_hypercall call;
        hvcore_exit_sysreg sysreg;
        hvcore_exit_reset reset;
        hvcore_exit_debug debug;
        hvcore_exit_memory memory;
        hvcore_exit_crash crash;
    } u;
} hvcore_bk_exit;

enum hvcore_bk_bound { HVCORE_BK_ANSWERS = 4 };

/**
 * A kernel is below: it decodes, completes, waits and interrupts. Where a slot returns int, it is 0
 * or a negative HVCORE_E_*; one with an `err` has filled that.
 */
typedef struct hvcore_bk_kernel_ops {
    /** What belongs to the last event; valid as long as the vCPU, filled by enter(). */
    const hvcore_bk_exit *(*exit)(hvcore_bk_vcpu *vcpu);
    /** The answer to the last event, for the kernel to take at the next enter() or settle(). */
    int (*answer)(hvcore_bk_vcpu *vcpu, const uint64_t value[HVCORE_BK_ANSWERS]);
    /** The answer is "there is no such thing". */
    int (*deny)(hvcore_bk_vcpu *vcpu, hvcore_error *err);
    /** Have the kernel finish the instruction of the last event, without running the guest. */
    int (*settle)(hvcore_bk_vcpu *vcpu);
    /** Say in `err` why the last enter(), answer() or settle() has failed. */
    void (*why)(hvcore_bk_vcpu *vcpu, hvcore_error *err);
    /** Registers by number, as many bytes as it says. -HVCORE_E_NOTFOUND: the kernel has none. */
    int (*reg_get)(hvcore_bk_vcpu *vcpu, hvcore_reg reg, void *value);
    int (*reg_set)(hvcore_bk_vcpu *vcpu, hvcore_reg reg, const void *value);
    int (*inject)(hvcore_bk_vcpu *vcpu, const hvcore_inject *what, hvcore_error *err);
    int (*debug)(hvcore_bk_vcpu *vcpu, const hvcore_debug_opts *opts, hvcore_error *err);
    /** An interrupt input of the vCPU, taken up by its next enter(). Any thread, signal-safe. */
    int (*vcpu_irq)(hvcore_bk_vcpu *vcpu, uint32_t irq, uint32_t level);

    /** The kernel's interrupt controller. */
    int (*irqchip)(hvcore_bk_vm *vm, const hvcore_irqchip_opts *opts, hvcore_error *err);
    /** Any thread. -HVCORE_E_STATE without irqchip(). */
    int (*irq)(hvcore_bk_vm *vm, uint32_t line, uint32_t level);
    int (*irqfd)(hvcore_bk_vm *vm, uint32_t line, int fd, int resample, uint32_t attach,
                 hvcore_error *err);
    int (*msi)(hvcore_bk_vm *vm, const hvcore_msi *msi, hvcore_error *err);
    int (*ioevent)(hvcore_bk_vm *vm, const hvcore_ioevent *event, hvcore_error *err);
    /** Pages of the range, which is mapped with `dirty`: bits are OR-ed into `bitmap`. */
    int (*dirty)(hvcore_bk_vm *vm, uint64_t gpa, uint64_t len, uint8_t *bitmap, uint32_t flags,
                 hvcore_error *err);
    int (*duty)(hvcore_bk_vm *vm, uint32_t duty, hvcore_duty_info *info, hvcore_error *err);
    int (*hide)(hvcore_bk_vm *vm, uint32_t duty, hvcore_error *err);
    /** `vcpu` NULL: of the VM. Any thread. */
    int (*stat)(hvcore_bk_vm *vm, hvcore_bk_vcpu *vcpu, uint32_t index, hvcore_kernel_stat *stat,
                hvcore_error *err);
} hvcore_bk_kernel_ops;

/** A backend. Every slot is filled, but of `riscv64` and `kernel` one is NULL. */
typedef struct hvcore_backend_ops {
    uint32_t size;
    uint32_t abi;  /**< HVCORE_BACKEND_ABI */
    uint32_t arch; /**< HVCORE_ARCH_* of its guests */
    uint32_t reserved;
    const hvcore_bk_riscv64_ops *riscv64;
    const hvcore_bk_kernel_ops *kernel;

    /** Fill all of `info` but its size. max_vcpus 0: it cannot be used here and now. */
    void (*info)(hvcore_backend_info *info);

    /** `opts` is complete (its size is the library's) and max_vcpus at least 1; `ctx` as well. */
    int (*vm_create)(const hvcore_vm_opts *opts, const hvcore_ctx_opts *ctx, hvcore_bk_vm **vm,
                     hvcore_error *err);
    void (*vm_destroy)(hvcore_bk_vm *vm);
    /** Ranges never overlap what is mapped. On failure nothing has changed. */
    int (*mem_map)(hvcore_bk_vm *vm, const hvcore_bk_region *region, hvcore_error *err);
    /** The range may have holes. Not halfway: a failure leaves everything as it was. */
    int (*mem_unmap)(hvcore_bk_vm *vm, uint64_t gpa, uint64_t len, hvcore_error *err);
    int (*mem_protect)(hvcore_bk_vm *vm, uint64_t gpa, uint64_t len, uint32_t prot,
                       hvcore_error *err);
    /** The library has written mapped memory: from its next enter() on, a vCPU executes what is
     *  there. May come while vCPUs are in enter(). */
    void (*mem_written)(hvcore_bk_vm *vm, const void *host, uint64_t len);

    /** `flags`: HVCORE_VCPU_*. */
    int (*vcpu_create)(hvcore_bk_vm *vm, uint32_t index, uint32_t flags, hvcore_bk_vcpu **vcpu,
                       hvcore_error *err);
    void (*vcpu_destroy)(hvcore_bk_vcpu *vcpu);

    /** Execute the guest until something happens; fills all of `event`. 0 or an error. */
    int (*enter)(hvcore_bk_vcpu *vcpu, const hvcore_bk_limits *limits, hvcore_event *event);
    /** End the current enter(), or the next one if none is going on. Any thread, signal-safe. */
    void (*kick)(hvcore_bk_vcpu *vcpu);
    /** Leave the physical processor; the state is then in memory. */
    int (*detach)(hvcore_bk_vcpu *vcpu);
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
