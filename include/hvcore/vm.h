/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual machines: guest memory, MMIO ranges, console, pause, running all vCPUs in lockstep. */
#ifndef HVCORE_VM_H
#define HVCORE_VM_H

#include <hvcore/ctx.h>
#include <hvcore/mem.h>

HVCORE_BEGIN

/** How the vCPUs of a VM share the time. */
enum hvcore_schedule {
    HVCORE_SCHEDULE_PARALLEL = 0, /**< a thread for each vCPU; the guest's time is the host's */
    HVCORE_SCHEDULE_LOCKSTEP = 1  /**< one thread for all, round robin by instructions; the guest's
                                       time is the number of instructions, one a nanosecond: the
                                       same input gives the same run, bit for bit. hvcore_vm_run()
                                   */
};

/** Flags of hvcore_vm_opts. */
enum hvcore_vm_flag {
    HVCORE_VM_EL2 =
        1 /**< arm64: the guest has an EL2 (nested virtualization). Needs HVCORE_CAP_EL2 */
};

/** Options of a VM. */
typedef struct hvcore_vm_opts {
    uint32_t size;
    uint32_t arch;       /**< HVCORE_ARCH_* of the guest */
    const char *backend; /**< NULL: the first that runs `arch` here; "kvm", "bare", "bare/soft" */
    uint32_t max_vcpus;  /**< 0: 1 */
    uint32_t flags;      /**< HVCORE_VM_* */
    uint32_t schedule;   /**< HVCORE_SCHEDULE_* */
    uint32_t reserved;   /**< 0 */
    uint64_t isa;        /**< riscv64: HVCORE_RISCV64_ISA_*; 0: what the machine has by itself */
} hvcore_vm_opts;

#ifndef HVCORE_CDEF
#define HVCORE_VM_OPTS_INIT {.size = sizeof(hvcore_vm_opts)}
#endif

/**
 * Make a VM without memory and without vCPUs.
 *
 * A riscv64 VM begins with the built-in policy "linux-guest". One reference is returned in `*vm`.
 *
 * Without `backend` the first one is taken that can be used here and now: kvm where the host has it
 * for this architecture, else the library's own machine. hvcore_vm_backend_info() says which.
 *
 * Thread: any. Errors: E_INVAL (flags, reserved, an unknown schedule), E_NOTFOUND (no such
 * backend), E_UNSUPPORTED (no backend for this architecture, LOCKSTEP without HVCORE_CAP_LOCKSTEP,
 * an isa that the machine cannot be, a flag without its capability, a kernel that lacks what the
 * backend needs), E_RANGE (too many vCPUs), E_NOMEM, E_SYS (kvm: /dev/kvm cannot be used; the
 * sentence says why and what to do). Since: 0.1.
 */
HVCORE_API int hvcore_vm_create(hvcore_ctx *ctx, const hvcore_vm_opts *opts, hvcore_vm **vm,
                                hvcore_error *err);

/**
 * Take one more reference; returns `vm`.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_vm *hvcore_vm_ref(hvcore_vm *vm);

/**
 * Give a reference back; NULL does nothing. vCPUs and views hold their VM.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_vm_unref(hvcore_vm *vm);

/**
 * Describe the backend that runs this VM. Its capabilities are those of this VM: HVCORE_CAP_TIMER
 * is not there if hvcore_vm_opts.isa leaves Sstc out.
 *
 * Thread: any. Errors: E_INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_vm_backend_info(hvcore_vm *vm, hvcore_backend_info *info);

/**
 * Asked for a page of a mapping before the guest may use it. Not ordered yet: hvcore_vm_map()
 * refuses a mapping that names one.
 */
typedef int (*hvcore_pager_fn)(void *user, uint64_t gpa, uint32_t write);

/** Where and how a memory object is mapped. */
typedef struct hvcore_map_opts {
    uint32_t size;
    uint32_t prot;     /**< HVCORE_PROT_*, above 0 */
    uint64_t gpa;      /**< first guest-physical address; multiple of HVCORE_PAGE_SIZE */
    uint64_t offset;   /**< first byte of the object; multiple of HVCORE_PAGE_SIZE */
    uint64_t len;      /**< 0: all of the object from `offset` on */
    uint32_t dirty;    /**< 1: keep a dirty log (hvcore_vm_dirty_get()). Needs HVCORE_CAP_DIRTY */
    uint32_t reserved; /**< 0 */
    hvcore_pager_fn pager; /**< NULL: everything is resident. E_UNSUPPORTED for now */
    void *pager_user;
} hvcore_map_opts;

#ifndef HVCORE_CDEF
#define HVCORE_MAP_OPTS_INIT {.size = sizeof(hvcore_map_opts), .prot = HVCORE_PROT_RWX}
#endif

/**
 * Map (part of) a memory object into the guest. The same bytes may be mapped at several places.
 *
 * The mapping holds a reference on `mem`. Running vCPUs see it at once.
 *
 * Thread: any. Errors: E_INVAL (not a page multiple, no right, empty), E_RANGE (past the object,
 * past the guest's address space, wrapping 2^64), E_EXISTS (overlaps a mapping or an MMIO range;
 * `address` says where), E_UNSUPPORTED (dirty, pager), E_NOMEM. Since: 0.1.
 */
HVCORE_API int hvcore_vm_map(hvcore_vm *vm, hvcore_mem *mem, const hvcore_map_opts *opts,
                             hvcore_error *err);

/**
 * Unmap `len` bytes at `gpa`. The range may cover several mappings and parts of them.
 *
 * Atomic for running vCPUs: when it returns, no vCPU can use the old mapping any more. May be
 * called from a callback. A range without any mapping is E_NOTFOUND, holes inside are allowed.
 *
 * Thread: any. Errors: E_INVAL (not whole pages), E_RANGE (wraps 2^64), E_NOTFOUND, E_BUSY (a view
 * pins part of it), E_NOMEM, E_TIMEOUT (a vCPU does not leave the guest: on arm64 and riscv64 a
 * kernel does not interrupt the wait for a page that userfaultfd has to bring), E_SYS. Since: 0.1.
 */
HVCORE_API int hvcore_vm_unmap(hvcore_vm *vm, uint64_t gpa, uint64_t len, hvcore_error *err);

/**
 * Change the rights of mapped memory; the whole range must be mapped. Atomic for running vCPUs.
 * What is then not allowed to the guest is an access without memory: MMIO for loads and stores, an
 * access fault for fetches.
 *
 * kvm lets a guest execute all that it can read: rights without X are E_UNSUPPORTED there.
 *
 * Thread: any. Errors: E_INVAL (not whole pages, rights), E_RANGE (wraps 2^64), E_NOTFOUND (a
 * hole), E_UNSUPPORTED, E_NOMEM, E_TIMEOUT, E_SYS. Since: 0.1.
 */
HVCORE_API int hvcore_vm_protect(hvcore_vm *vm, uint64_t gpa, uint64_t len, uint32_t prot,
                                 hvcore_error *err);

/**
 * Copy `len` bytes of guest memory at `gpa` to `buf`, across adjacent mappings, whatever their
 * rights. All or nothing.
 *
 * Thread: any. Errors: E_FAULT (part of the range is not mapped), E_INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_vm_read(hvcore_vm *vm, uint64_t gpa, void *buf, size_t len);

/**
 * Copy `len` bytes from `buf` to guest memory at `gpa`; like hvcore_vm_read().
 *
 * A vCPU that is inside hvcore_vcpu_run may go on with code that it has fetched before, until its
 * next exit to the library or its own FENCE.I, as on hardware; the next run executes what is there.
 * What is written through a view or other mappings of the same memory always needs the guest's
 * FENCE.I.
 *
 * Thread: any. Errors: E_FAULT, E_INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_vm_write(hvcore_vm *vm, uint64_t gpa, const void *buf, size_t len);

/**
 * Pin a range of guest memory and get a pointer to it.
 *
 * The range must lie in one mapping that has the rights `prot`. Until hvcore_view_put() it cannot
 * be unmapped.
 *
 * Thread: any. Errors: E_INVAL, E_FAULT (not mapped, not in one mapping, rights), E_NOMEM.
 * Since: 0.1.
 */
HVCORE_API int hvcore_view_get(hvcore_vm *vm, uint64_t gpa, size_t len, uint32_t prot,
                               hvcore_view **view, void **ptr);

/**
 * Give a view back; NULL does nothing. Its pointer is invalid afterwards.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_view_put(hvcore_view *view);

/** Flags of hvcore_vm_dirty_get(). */
enum hvcore_dirty_flag {
    HVCORE_DIRTY_KEEP = 1 /**< look only: the pages stay dirty */
};

/**
 * Which pages of [gpa, gpa + len) have been written since they were asked for last, by the guest or
 * by hvcore_vm_write(): bit n % 8 of bitmap[n / 8] for page n of the range. Writes through a view
 * or another mapping of the host are not seen.
 *
 * All of the range must be mapped with `dirty`. A page that is written while this runs is in this
 * answer or in the next one. `bitmap` has at least (len / HVCORE_PAGE_SIZE + 7) / 8 bytes.
 *
 * Thread: any. Errors: E_INVAL (not whole pages, unknown flags), E_NOTFOUND (a part is not mapped
 * with `dirty`), E_UNSUPPORTED (without HVCORE_CAP_DIRTY), E_NOMEM, E_SYS. Since: 0.1.
 */
HVCORE_API int hvcore_vm_dirty_get(hvcore_vm *vm, uint64_t gpa, uint64_t len, uint8_t *bitmap,
                                   uint32_t flags, hvcore_error *err);

/** What an MMIO callback did with an access. */
enum hvcore_mmio_verdict {
    HVCORE_MMIO_DONE = 0,  /**< handled */
    HVCORE_MMIO_EXIT = 1,  /**< return from hvcore_vcpu_run with HVCORE_EXIT_MMIO */
    HVCORE_MMIO_FAULT = 2, /**< the guest gets an access fault */
    HVCORE_MMIO_RETRY = 3  /**< the guest executes the instruction again */
};

/** A load of `width` (1, 2, 4, 8) bytes at `gpa`. Higher bits of `*value` are ignored. */
typedef uint32_t (*hvcore_mmio_read_fn)(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                                        uint64_t *value);
/** A store of `width` (1, 2, 4, 8) bytes at `gpa`. Higher bits of `value` are zero. */
typedef uint32_t (*hvcore_mmio_write_fn)(void *user, hvcore_vcpu *vcpu, uint64_t gpa,
                                         uint32_t width, uint64_t value);

/** Callbacks of an MMIO range; a NULL one means: exit to the caller of hvcore_vcpu_run. */
typedef struct hvcore_mmio_ops {
    uint32_t size;
    uint32_t reserved;
    hvcore_mmio_read_fn read;
    hvcore_mmio_write_fn write;
} hvcore_mmio_ops;

#ifndef HVCORE_CDEF
#define HVCORE_MMIO_OPS_INIT {.size = sizeof(hvcore_mmio_ops)}
#endif

/**
 * Have accesses to [gpa, gpa + len) answered by callbacks.
 *
 * They run on the thread that called hvcore_vcpu_run, outside locks; they may call everything but
 * hvcore_vcpu_run and hvcore_vcpu_detach. An access must lie wholly inside the range. `*id` (NULL
 * allowed) names it for hvcore_vm_mmio_remove().
 *
 * Thread: any. Errors: E_INVAL, E_RANGE, E_EXISTS (overlaps), E_NOMEM. Since: 0.1.
 */
HVCORE_API int hvcore_vm_mmio_add(hvcore_vm *vm, uint64_t gpa, uint64_t len,
                                  const hvcore_mmio_ops *ops, void *user, uint32_t *id,
                                  hvcore_error *err);

/**
 * Remove an MMIO range. When it returns, no access finds it any more. A callback that a vCPU has
 * chosen before may still run: what `user` points to may go once each vCPU has returned from its
 * callback or from hvcore_vcpu_run.
 *
 * Thread: any. Errors: E_INVAL, E_NOTFOUND, E_TIMEOUT (as hvcore_vm_unmap()). Since: 0.1.
 */
HVCORE_API int hvcore_vm_mmio_remove(hvcore_vm *vm, uint32_t id);

/**
 * x86_64: have accesses to the ports [port, port + len) answered by callbacks; as
 * hvcore_vm_mmio_add(), with a port in place of an address. Ids are shared with MMIO ranges.
 *
 * Thread: any. Errors: as hvcore_vm_mmio_add(); E_RANGE (past port 0xffff), E_UNSUPPORTED (another
 * architecture). Since: 0.1.
 */
HVCORE_API int hvcore_vm_pio_add(hvcore_vm *vm, uint32_t port, uint32_t len,
                                 const hvcore_mmio_ops *ops, void *user, uint32_t *id,
                                 hvcore_error *err);

/** Flags of hvcore_ioevent. */
enum hvcore_ioevent_flag {
    HVCORE_IOEVENT_PIO = 1,   /**< x86_64: addr is a port */
    HVCORE_IOEVENT_MATCH = 2, /**< only stores of this value */
    HVCORE_IOEVENT_REMOVE = 4 /**< take it away again; all else as when it was made */
};

/** A store that the kernel answers by signalling an eventfd, without leaving the guest for long. */
typedef struct hvcore_ioevent {
    uint32_t size;
    uint32_t flags; /**< HVCORE_IOEVENT_* */
    uint64_t addr;  /**< guest-physical address, or port */
    uint64_t value; /**< with MATCH */
    uint32_t width; /**< bytes: 1, 2, 4, 8; 0: any (not with MATCH) */
    int32_t fd;     /**< an eventfd; the kernel keeps its own reference */
} hvcore_ioevent;

#ifndef HVCORE_CDEF
#define HVCORE_IOEVENT_INIT {.size = sizeof(hvcore_ioevent)}
#endif

/**
 * kvm: make or remove an ioeventfd.
 *
 * Thread: any. Errors: E_INVAL, E_EXISTS, E_NOTFOUND (nothing to remove), E_UNSUPPORTED (no kernel
 * below, or one without it), E_SYS. Since: 0.1.
 */
HVCORE_API int hvcore_vm_ioevent(hvcore_vm *vm, const hvcore_ioevent *event, hvcore_error *err);

/** Bytes that a guest writes to its firmware console (riscv64: SBI DBCN). */
typedef void (*hvcore_console_fn)(void *user, hvcore_vcpu *vcpu, const char *bytes, size_t len);

/**
 * Offer the guest a firmware console. Without one the guest is told that there is none.
 *
 * `fn` runs like an MMIO callback.
 *
 * Thread: setup. Errors: E_INVAL, E_STATE (a vCPU has run). Since: 0.1.
 */
HVCORE_API int hvcore_vm_console_set(hvcore_vm *vm, hvcore_console_fn fn, void *user);

/**
 * Hold all vCPUs: when it returns, none executes guest code, and hvcore_vcpu_run waits. Cancel and
 * deadline still end such a run. Pauses nest.
 *
 * Thread: any (also a callback). Errors: E_INVAL, E_LIMIT (2^32 - 1 nested), E_TIMEOUT (as
 * hvcore_vm_unmap(); the VM is not paused then). Since: 0.1.
 */
HVCORE_API int hvcore_vm_pause(hvcore_vm *vm);

/**
 * Undo one hvcore_vm_pause().
 *
 * Thread: any. Errors: E_INVAL, E_STATE (not paused). Since: 0.1.
 */
HVCORE_API int hvcore_vm_resume(hvcore_vm *vm);

struct hvcore_run_opts;
struct hvcore_exit;

/**
 * Run all vCPUs of a VM with HVCORE_SCHEDULE_LOCKSTEP in the calling thread, in turns of 10 000
 * instructions, until something needs the caller; `*exit` then says what, and of which vCPU.
 *
 * A vCPU in WFI, or switched off, is passed over. When none has work, time jumps to the first
 * timer that would wake one. HVCORE_EXIT_HALT returns only if no timer would (the vCPUs still wait
 * when run again, until an interrupt comes), HVCORE_EXIT_OFF only if all vCPUs are off.
 *
 * The same start and the same calls give the same run, instruction by instruction: host time
 * decides nothing. Only what comes from outside is outside of this: calls from other threads while
 * it runs, cancel, deadline, and what callbacks answer. A turn that such a return interrupts is
 * continued by the next run, so it changes nothing of the order.
 *
 * `opts` are those of hvcore_vcpu_run() and may be NULL: `max_insns` counts the instructions of all
 * vCPUs, HVCORE_RUN_WAIT changes nothing, deadline and cancel (of any vCPU) are looked at between
 * two stretches of guest code, which are not longer than a turn. An exit that needs completion is
 * completed with hvcore_vcpu_complete() on its vCPU.
 *
 * Thread: one thread at a time runs such a VM, and owns its vCPUs meanwhile. Errors: E_INVAL,
 * E_UNSUPPORTED (not a lockstep VM), E_BUSY (it runs in another thread, or this is one of its
 * callbacks), E_STATE (no vCPU; an exit is not completed), E_BACKEND. Since: 0.1.
 */
HVCORE_API int hvcore_vm_run(hvcore_vm *vm, const struct hvcore_run_opts *opts,
                             const struct hvcore_exit **exit, hvcore_error *err);

HVCORE_END
#endif
