/* SPDX-License-Identifier: Apache-2.0 */
/* The library's context: where log lines go, which backends there are. */
#ifndef HVCORE_CTX_H
#define HVCORE_CTX_H

#include <hvcore/error.h>

HVCORE_BEGIN

/** Severity of a log line. */
enum hvcore_log_level {
    HVCORE_LOG_NONE = 0, /**< nothing is logged (the default) */
    HVCORE_LOG_ERROR = 1,
    HVCORE_LOG_WARN = 2,
    HVCORE_LOG_INFO = 3,
    HVCORE_LOG_DEBUG = 4
};

/**
 * A log line. `scope` names the part ("core", "run", "policy", "bare"); `message` is
 * NUL-terminated, without a newline, and valid during the call only. Called on the thread that
 * caused the line, outside the library's locks; it must not call hvcore_vcpu_run.
 */
typedef void (*hvcore_log_fn)(void *user, uint32_t level, const char *scope, const char *message);

/** Options of a context. All zero is a silent context. */
typedef struct hvcore_ctx_opts {
    uint32_t size;
    uint32_t log_level;  /**< HVCORE_LOG_*: lines up to this level reach `log` */
    hvcore_log_fn log;   /**< NULL: silent */
    void *log_user;      /**< handed to `log` */
    uint32_t flags;      /**< HVCORE_CTX_* */
    int32_t kick_signal; /**< kvm: the signal that ends the guest's execution for cancel, deadline
                             and requests of other threads; 0: SIGRTMAX - 1 */
} hvcore_ctx_opts;

/**
 * Flags of a context. kvm needs a signal, but no handler: a thread that runs a vCPU keeps the
 * signal blocked from then on (until hvcore_vcpu_detach()), and the kernel opens it only inside
 * KVM_RUN. A program that has a handler of its own for kick_signal, whatever it does, says so
 * instead; then no thread's mask is touched.
 */
enum hvcore_ctx_flag { HVCORE_CTX_KICK_HANDLED = 1 };

#ifndef HVCORE_CDEF
#define HVCORE_CTX_OPTS_INIT {.size = sizeof(hvcore_ctx_opts)}
#endif

/** Capabilities of a backend, a bit set. */
enum hvcore_backend_cap {
    HVCORE_CAP_INSN_LIMIT = 1,      /**< hvcore_run_opts.max_insns works */
    HVCORE_CAP_DELEGATED_COUNT = 2, /**< traps that the machine delegates are counted as well */
    HVCORE_CAP_DEADLINE = 4,        /**< hvcore_run_opts.deadline_ns works */
    HVCORE_CAP_HONOURS_HEDELEG = 8, /**< a delegated trap is known to reach the guest directly */
    HVCORE_CAP_TIMER = 16,          /**< riscv64: the guest's timer interrupt (vstimecmp) works */
    HVCORE_CAP_LOCKSTEP = 32,       /**< HVCORE_SCHEDULE_LOCKSTEP works */
    HVCORE_CAP_KERNEL_WAITS =
        64,                    /**< a vCPU that waits, or is off, does so inside the kernel: there
                                         is no HVCORE_EXIT_HALT and no HVCORE_EXIT_OFF (x86_64: with
                                         an interrupt controller of the kernel) */
    HVCORE_CAP_DIRTY = 128,    /**< hvcore_map_opts.dirty works */
    HVCORE_CAP_READONLY = 256, /**< memory can be mapped without the right to write */
    HVCORE_CAP_EL2 = 512       /**< arm64: HVCORE_VM_EL2 works */
};

/** What a backend is, as hvcore_ctx_backend_info() tells it. */
typedef struct hvcore_backend_info {
    uint32_t size;
    uint32_t arch;        /**< HVCORE_ARCH_* of its guests */
    uint32_t caps;        /**< HVCORE_CAP_* */
    uint32_t max_vcpus;   /**< per VM; 0: this backend cannot be used here and now, making a VM with
                               it says why */
    char name[16];        /**< "bare", "kvm" */
    char machine[16];     /**< the machine below: "soft", "hs"; empty if there is only one */
    uint64_t delegatable; /**< riscv64: bits of hedeleg that this machine lets one set */
    uint8_t fixed[64];    /**< riscv64, by exception code: HVCORE_DO_* that the backend does with
                               the trap itself, whatever a policy says; 0: what the policy says */
} hvcore_backend_info;

#ifndef HVCORE_CDEF
#define HVCORE_BACKEND_INFO_INIT {.size = sizeof(hvcore_backend_info)}
#endif

/**
 * The version of the library that runs, in the form of HVCORE_VERSION.
 *
 * Thread: any, signal. Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_version(void);

/**
 * Make a context.
 *
 * `opts` may be NULL (a silent context). On success `*ctx` holds one reference.
 *
 * Thread: any. Errors: E_INVAL, E_NOMEM. Since: 0.1.
 */
HVCORE_API int hvcore_ctx_create(const hvcore_ctx_opts *opts, hvcore_ctx **ctx, hvcore_error *err);

/**
 * Take one more reference; returns `ctx`.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_ctx *hvcore_ctx_ref(hvcore_ctx *ctx);

/**
 * Give a reference back; NULL does nothing. VMs and memory objects hold their context.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_ctx_unref(hvcore_ctx *ctx);

/**
 * Describe the backend number `index` (0, 1, ... in order of preference).
 *
 * Thread: any. Errors: E_INVAL, E_NOTFOUND past the last one. Since: 0.1.
 */
HVCORE_API int hvcore_ctx_backend_info(hvcore_ctx *ctx, uint32_t index, hvcore_backend_info *info);

HVCORE_END
#endif
