/* SPDX-License-Identifier: Apache-2.0 */
/* Debugging a guest from outside: steps, breakpoints, watchpoints. */
#ifndef HVCORE_DEBUG_H
#define HVCORE_DEBUG_H

#include <hvcore/vcpu.h>

HVCORE_BEGIN

/** Flags of hvcore_debug_opts. */
enum hvcore_debug_flag {
    HVCORE_DEBUG_STEP = 1,       /**< a run executes one instruction, then exits */
    HVCORE_DEBUG_BREAKPOINTS = 2 /**< breakpoint instructions (INT3, BRK, EBREAK) exit */
};

/** What a hardware point stops at. */
enum hvcore_debug_point_kind {
    HVCORE_DEBUG_POINT_EXECUTE = 0,
    HVCORE_DEBUG_POINT_WRITE = 1,
    HVCORE_DEBUG_POINT_READ = 2, /**< x86_64 cannot: it stops at both */
    HVCORE_DEBUG_POINT_ACCESS = 3
};

/** A hardware breakpoint or watchpoint. */
typedef struct hvcore_debug_point {
    uint64_t addr;
    uint32_t kind; /**< HVCORE_DEBUG_POINT_* */
    uint32_t len;  /**< watchpoints: bytes, 1, 2, 4, 8; addr is a multiple of it */
} hvcore_debug_point;

enum hvcore_debug_bound { HVCORE_DEBUG_POINTS = 32 };

/** How a vCPU is debugged. */
typedef struct hvcore_debug_opts {
    uint32_t size;
    uint32_t flags; /**< HVCORE_DEBUG_*; 0 and no points: not at all */
    uint32_t count; /**< points */
    uint32_t reserved;
    hvcore_debug_point point[HVCORE_DEBUG_POINTS];
} hvcore_debug_opts;

#ifndef HVCORE_CDEF
#define HVCORE_DEBUG_OPTS_INIT {.size = sizeof(hvcore_debug_opts)}
#endif

/**
 * Debug a vCPU like this from its next run on; stops are HVCORE_EXIT_DEBUG. What a kernel or its
 * hardware cannot do is refused here, not ignored later: kvm on riscv64 stops at EBREAK, and has
 * neither steps nor points.
 *
 * Thread: owner. Errors: E_INVAL, E_BUSY, E_LIMIT (the hardware has fewer points), E_UNSUPPORTED
 * (this host cannot; machines of the library: hvcore_run_opts.max_insns steps), E_SYS. Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_debug_set(hvcore_vcpu *vcpu, const hvcore_debug_opts *opts,
                                     hvcore_error *err);

HVCORE_END
#endif
