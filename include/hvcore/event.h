/* SPDX-License-Identifier: Apache-2.0 */
/* Why a vCPU stopped executing guest code, as a backend tells it. Freestanding. */
#ifndef HVCORE_EVENT_H
#define HVCORE_EVENT_H

#include <hvcore/types.h>

HVCORE_BEGIN

/** What happened. */
enum hvcore_event_kind {
    HVCORE_EVENT_TRAP = 0,       /**< the guest trapped: the policy decides */
    HVCORE_EVENT_KICKED = 1,     /**< somebody kicked the vCPU, or an interrupt of the host came */
    HVCORE_EVENT_DEADLINE = 2,   /**< the deadline has passed */
    HVCORE_EVENT_INSN_LIMIT = 3, /**< as many instructions as allowed have retired */
    HVCORE_EVENT_FAILED = 4,     /**< the machine below is broken; syndrome is its own code */
    /* digested by a kernel; the rest of it is in hvcore_bk_exit */
    HVCORE_EVENT_MMIO = 5,    /**< an access outside of memory */
    HVCORE_EVENT_PIO = 6,     /**< x86_64: IN, OUT */
    HVCORE_EVENT_CALL = 7,    /**< a call to firmware or hypervisor that the kernel leaves to us */
    HVCORE_EVENT_SYSREG = 8,  /**< an MSR or CSR that the kernel leaves to us */
    HVCORE_EVENT_HALT = 9,    /**< the guest waits for an interrupt, and the kernel does not */
    HVCORE_EVENT_SYSTEM = 10, /**< the guest asks for a shutdown, a reset, a suspend */
    HVCORE_EVENT_DEBUG = 11,  /**< a step, a breakpoint, a watchpoint */
    HVCORE_EVENT_MEMORY = 12, /**< the host cannot provide memory that is mapped */
    HVCORE_EVENT_CRASH = 13   /**< the guest's processor cannot go on */
};

/** Who digested the trap. */
enum hvcore_event_origin {
    HVCORE_ORIGIN_RAW = 0,   /**< nobody: the fields are what the hardware reported */
    HVCORE_ORIGIN_KERNEL = 1 /**< a kernel: it reveals only what `have` names */
};

/** Which fields of an event are known. A field that is not is zero and means nothing. */
enum hvcore_have {
    HVCORE_HAVE_SYNDROME = 1,
    HVCORE_HAVE_TVAL = 2,
    HVCORE_HAVE_GVA = 4,
    HVCORE_HAVE_GPA = 8,
    HVCORE_HAVE_HTVAL = 16,
    HVCORE_HAVE_HTINST = 32,
    HVCORE_HAVE_INSN = 64,
    HVCORE_HAVE_PC = 128,
    HVCORE_HAVE_MODE = 256
};

/**
 * An event. The architecture's own fields stand verbatim beside what they come to.
 *
 * riscv64: syndrome = scause, tval = stval, htval, htinst (Priv. 1.13, 21.2 and 21.4).
 * arm64:   syndrome = ESR_ELx, tval = FAR_ELx, htval = HPFAR_EL2; htinst unused.
 */
typedef struct hvcore_event {
    uint32_t size;
    uint32_t kind;     /**< HVCORE_EVENT_* */
    uint32_t origin;   /**< HVCORE_ORIGIN_* */
    uint32_t cls;      /**< dense class for the policy: riscv64 the exception code, 0 to 63 */
    uint32_t mode;     /**< mode that trapped; riscv64: HVCORE_RISCV64_VU or _VS */
    uint32_t have;     /**< HVCORE_HAVE_* */
    uint32_t insn;     /**< bits of the trapping instruction */
    uint32_t insn_len; /**< its length in bytes (2, 4), or 0 if unknown */
    uint64_t pc;       /**< the trapping instruction */
    uint64_t syndrome;
    uint64_t tval;
    uint64_t htval;
    uint64_t htinst;
    uint64_t gva; /**< guest-virtual address of the access */
    uint64_t gpa; /**< guest-physical address of the access, all bits */
} hvcore_event;

#ifndef HVCORE_CDEF
#define HVCORE_EVENT_INIT {.size = sizeof(hvcore_event)}
#endif

HVCORE_END
#endif
