/* SPDX-License-Identifier: Apache-2.0 */
/* Who repairs what on this host. */
#ifndef HVCORE_DUTY_H
#define HVCORE_DUTY_H

#include <hvcore/vm.h>

HVCORE_BEGIN

/** What a hypervisor owes its guests. */
enum hvcore_duty {
    HVCORE_DUTY_MOPS = 0, /**< arm64: restart of memory copies on another type of CPU */
    HVCORE_DUTY_AT = 1,   /**< arm64: address translation for a guest hypervisor */
    HVCORE_DUTY_HEDELEG =
        2,                /**< riscv64: which traps the guest gets itself, which are redirected */
    HVCORE_DUTY_SPE = 3,  /**< arm64: the host's profiling buffer around the guest */
    HVCORE_DUTY_APF = 4,  /**< asynchronous page faults */
    HVCORE_DUTY_STEP = 5, /**< single-step beside all of these */
    HVCORE_DUTIES = 6
};

/** Who does it. */
enum hvcore_duty_source {
    HVCORE_DUTY_BY_UNKNOWN = 0, /**< the kernel does not let one find out */
    HVCORE_DUTY_BY_KERNEL = 1,  /**< the kernel; the library's own unit does not run */
    HVCORE_DUTY_BY_LIBRARY = 2, /**< the library */
    HVCORE_DUTY_BY_HIDDEN = 3,  /**< nobody has to: the guest does not see the feature */
    HVCORE_DUTY_BY_NOT_APPLICABLE =
        4,                    /**< nobody has to: there is no such thing on this architecture, or
                                      in this VM */
    HVCORE_DUTY_BY_NOBODY = 5 /**< unavailable on this host */
};

/** An entry of the report. */
typedef struct hvcore_duty_info {
    uint32_t size;
    uint32_t duty;           /**< HVCORE_DUTY_* */
    uint32_t source;         /**< HVCORE_DUTY_BY_* */
    uint32_t can_hide;       /**< 1: hvcore_vm_hide() would hide it from the guest */
    uint32_t counters_valid; /**< 1: the library counts how often; 0: a kernel does it, uncounted */
    uint32_t reserved;
    char release[64]; /**< the kernel that this is said of; empty if none is below */
    char why[200];    /**< what was looked at, and what it says: a sentence */
} hvcore_duty_info;

#ifndef HVCORE_CDEF
#define HVCORE_DUTY_INFO_INIT {.size = sizeof(hvcore_duty_info)}
#endif

/**
 * Who does a duty for the guests of this VM. It is found by looking (capabilities, registers), not
 * by the kernel's version; where only the version could tell, it says so.
 *
 * Thread: any; kvm: what is read from a vCPU waits until that vCPU is out of the guest, so best
 * before the first run. Errors: E_INVAL, E_RANGE (no such duty), E_SYS. Since: 0.1.
 */
HVCORE_API int hvcore_vm_duty_info(hvcore_vm *vm, uint32_t duty, hvcore_duty_info *info,
                                   hvcore_error *err);

/**
 * Hide the feature behind a duty from the guest: MOPS (ID_AA64ISAR2_EL1.MOPS becomes 0 in all
 * vCPUs, and its instructions are undefined).
 *
 * Thread: setup, after a vCPU was made. Errors: E_INVAL, E_RANGE, E_STATE (no vCPU yet; one has
 * run), E_UNSUPPORTED (cannot be hidden here), E_SYS. Since: 0.1.
 */
HVCORE_API int hvcore_vm_hide(hvcore_vm *vm, uint32_t duty, hvcore_error *err);

/**
 * The name of a duty ("mops", ...); NULL if there is no such duty.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API const char *hvcore_duty_name(uint32_t duty);

/**
 * The name of who does it ("kernel", "library", ...); NULL if there is no such number.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API const char *hvcore_duty_source_name(uint32_t source);

HVCORE_END
#endif
