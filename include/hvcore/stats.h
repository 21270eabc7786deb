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

HVCORE_END
#endif
