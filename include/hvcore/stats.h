/* SPDX-License-Identifier: Apache-2.0 */
/* Counters: who handled which trap how often. Reading stops nobody. */
#ifndef HVCORE_STATS_H
#define HVCORE_STATS_H

#include <hvcore/vcpu.h>

HVCORE_BEGIN

/** Traps of one cause (exception class), by who handled them. */
typedef struct hvcore_trap_counts {
    uint32_t size;
    uint32_t cls;        /**< the class asked for */
    uint64_t delegated;  /**< by the guest itself; counted only with HVCORE_CAP_DELEGATED_COUNT */
    uint64_t redirected; /**< given to the guest by the library */
    uint64_t emulated;   /**< by an emulator (MMIO, firmware, WFI), also where the VMM finishes
                              it */
    uint64_t exited;     /**< returned to the VMM because a rule says `exit` */
    uint64_t stopped;    /**< stopped the VM */
    uint64_t late;       /**< of these: arrived in software although delegated */
} hvcore_trap_counts;

#ifndef HVCORE_CDEF
#define HVCORE_TRAP_COUNTS_INIT {.size = sizeof(hvcore_trap_counts)}
#endif

/**
 * The counts of exception class `cls` on one vCPU. Each value is read whole, the set is not a
 * snapshot.
 *
 * Thread: any. Errors: E_INVAL, E_RANGE (no such class). Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_trap_counts(hvcore_vcpu *vcpu, uint32_t cls, hvcore_trap_counts *counts);

/** What else a vCPU has counted. */
typedef struct hvcore_vcpu_stats {
    uint32_t size;
    uint32_t reserved;
    uint64_t runs;         /**< calls of hvcore_vcpu_run that returned an exit */
    uint64_t enters;       /**< times the guest was entered */
    uint64_t kicks;        /**< times a request made it leave */
    uint64_t insns;        /**< guest instructions, with HVCORE_CAP_INSN_LIMIT, else 0 */
    uint64_t mmio;         /**< accesses answered by callbacks */
    uint64_t firmware;     /**< calls answered by the library's firmware */
    uint64_t injected;     /**< exceptions that units or the VMM asked for */
    uint64_t storms;       /**< storms detected */
    uint64_t double_traps; /**< redirects refused because the guest was in its own trap entry */
} hvcore_vcpu_stats;

#ifndef HVCORE_CDEF
#define HVCORE_VCPU_STATS_INIT {.size = sizeof(hvcore_vcpu_stats)}
#endif

/**
 * The other counters of a vCPU.
 *
 * Thread: any. Errors: E_INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_vcpu_stats_get(hvcore_vcpu *vcpu, hvcore_vcpu_stats *stats);

/** A number that the kernel counts. */
typedef struct hvcore_kernel_stat {
    uint32_t size;
    uint32_t kind;    /**< as the kernel numbers it: 0 cumulative, 1 instant, 2 peak, 3 linear and 4
                            logarithmic histogram */
    uint32_t unit;    /**< 0 none, 1 bytes, 2 seconds, 3 cycles, 4 boolean */
    int32_t exponent; /**< of 10, or of 2 for bytes: the unit is multiplied by it */
    char name[64];
    uint64_t value; /**< the first value; of a histogram, its first bucket */
    uint32_t count; /**< values: 1, or the buckets of a histogram */
    uint32_t reserved;
} hvcore_kernel_stat;

#ifndef HVCORE_CDEF
#define HVCORE_KERNEL_STAT_INIT {.size = sizeof(hvcore_kernel_stat)}
#endif

/**
 * Number `index` (0, 1, ...) of what the kernel counts for vCPU `vcpu` (UINT32_MAX: for the VM).
 *
 * Thread: any. Errors: E_INVAL, E_NOTFOUND (past the end; no such vCPU), E_UNSUPPORTED (no kernel
 * below, or one without it), E_SYS. Since: 0.1.
 */
HVCORE_API int hvcore_vm_kernel_stat(hvcore_vm *vm, uint32_t vcpu, uint32_t index,
                                     hvcore_kernel_stat *stat, hvcore_error *err);

HVCORE_END
#endif
