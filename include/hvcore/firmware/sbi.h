/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sbi: the supervisor binary interface that a riscv64 guest calls with ECALL from VS-mode
 * (RISC-V SBI 2.0 with FWFT of 3.0; freestanding and pure). It answers a call, or says what has to
 * be done for it.
 */
#ifndef HVCORE_FIRMWARE_SBI_H
#define HVCORE_FIRMWARE_SBI_H

#include <hvcore/riscv64.h>

HVCORE_BEGIN

/** Extension numbers (a7). */
enum hvcore_sbi_eid {
    HVCORE_SBI_BASE = 0x10,
    HVCORE_SBI_TIME = 0x54494d45,
    HVCORE_SBI_IPI = 0x735049,
    HVCORE_SBI_RFENCE = 0x52464e43,
    HVCORE_SBI_HSM = 0x48534d,
    HVCORE_SBI_FWFT = 0x46574654,
    HVCORE_SBI_SRST = 0x53525354,
    HVCORE_SBI_DBCN = 0x4442434e,
    HVCORE_SBI_LEGACY_LAST = 0x0f, /**< 0 to 15: before version 0.2, without function numbers */
    HVCORE_SBI_EXPERIMENTAL_FIRST = 0x08000000,
    HVCORE_SBI_VENDOR_LAST = 0x09ffffff
};

/**
 * What BASE tells of this firmware. The implementation number is "hvcr" in ASCII: the SBI
 * specification assigns small numbers (0 to 11 so far) and none to hvcore. The implementation
 * version is HVCORE_VERSION.
 */
enum hvcore_sbi_identity {
    HVCORE_SBI_SPEC_VERSION = 0x02000000, /**< 2.0: major in bits 30:24, minor in 23:0 */
    HVCORE_SBI_IMPL_ID = 0x68766372
};

/** Error values (a0). */
enum hvcore_sbi_error {
    HVCORE_SBI_SUCCESS = 0,
    HVCORE_SBI_ERR_FAILED = -1,
    HVCORE_SBI_ERR_NOT_SUPPORTED = -2,
    HVCORE_SBI_ERR_INVALID_PARAM = -3,
    HVCORE_SBI_ERR_DENIED = -4,
    HVCORE_SBI_ERR_INVALID_ADDRESS = -5,
    HVCORE_SBI_ERR_ALREADY_AVAILABLE = -6,
    HVCORE_SBI_ERR_ALREADY_STARTED = -7,
    HVCORE_SBI_ERR_ALREADY_STOPPED = -8,
    HVCORE_SBI_ERR_INVALID_STATE = -10,
    HVCORE_SBI_ERR_BAD_RANGE = -11
};

/** What the machine around the firmware offers. */
enum hvcore_sbi_feature {
    HVCORE_SBI_HAS_CONSOLE = 1,   /**< DBCN writes reach somebody */
    HVCORE_SBI_HAS_TIMER = 2,     /**< vstimecmp works: TIME */
    HVCORE_SBI_HAS_HARTS = 4,     /**< somebody carries out IPI, RFENCE and HSM */
    HVCORE_SBI_HAS_MISALIGNED = 8 /**< a misaligned access that traps reaches the guest: what FWFT
                                       tells of feature 0 */
};

/** What a call comes to. */
enum hvcore_sbi_verdict {
    HVCORE_SBI_ANSWER = 0,   /**< a0 = error, a1 = value; the call is over */
    HVCORE_SBI_CONSOLE = 1,  /**< write `len` bytes at guest-physical `addr`; answer with the number
                                  written (fewer are allowed), or INVALID_PARAM if they are no
                                  memory. addr = ~0: write the one byte `byte`, answer with 0 */
    HVCORE_SBI_SHUTDOWN = 2, /**< switch off: type, reason; does not return to the guest */
    HVCORE_SBI_RESET = 3,    /**< restart: type, reason; does not return to the guest */
    HVCORE_SBI_VMM = 4,      /**< an experimental or vendor extension, or BASE's question whether
                                  there is one: the VMM answers */
    HVCORE_SBI_SET_TIMER = 5,    /**< vstimecmp = time, and no other timer interrupt is pending;
                                   answer with 0, `value` */
    HVCORE_SBI_SEND_IPI = 6,     /**< make VSSIP pending in the harts mask, base; answer with 0, or
                                   INVALID_PARAM if one of them does not exist */
    HVCORE_SBI_FENCE = 7,        /**< have the harts mask, base forget what they derived from page
                                   tables and code; answer as above, when they have */
    HVCORE_SBI_HART_START = 8,   /**< start `hart` at `addr` with a1 = `opaque`; answer with 0,
                                     INVALID_PARAM, INVALID_ADDRESS, ALREADY_AVAILABLE */
    HVCORE_SBI_HART_STOP = 9,    /**< stop the calling hart; does not return to the guest */
    HVCORE_SBI_HART_STATUS = 10, /**< answer with the state of `hart` (HSM 9.0), or INVALID_PARAM */
    HVCORE_SBI_HART_SUSPEND = 11,     /**< wait for an interrupt that is enabled; answer with 0 */
    HVCORE_SBI_HART_SUSPEND_AWAY = 12 /**< the same, but then the hart begins at `addr` with a1 =
                                           `opaque`; answer with INVALID_ADDRESS if it cannot */
};

/** A decoded call. */
typedef struct hvcore_sbi_call {
    uint32_t verdict; /**< HVCORE_SBI_* */
    uint32_t type;    /**< SHUTDOWN, RESET */
    uint32_t reason;  /**< SHUTDOWN, RESET */
    uint32_t byte;    /**< CONSOLE, one byte */
    uint64_t addr;    /**< CONSOLE: ~0, or addr + len does not wrap; HART_START, _SUSPEND_AWAY */
    uint64_t len;     /**< CONSOLE: 1 or more; the caller bounds what it writes */
    int64_t error;    /**< ANSWER */
    uint64_t value;   /**< ANSWER; one byte on the CONSOLE, SET_TIMER: a1 of the answer */
    uint64_t mask;    /**< SEND_IPI, FENCE: bit i is hart base + i */
    uint64_t base;    /**< SEND_IPI, FENCE; ~0: all harts, whatever the mask */
    uint64_t hart;    /**< HART_START, HART_STATUS */
    uint64_t opaque;  /**< HART_START, HART_SUSPEND_AWAY */
    uint64_t time;    /**< SET_TIMER: in ticks of the time counter; ~0: never */
} hvcore_sbi_call;

/**
 * Decode the call in a0 to a7 of `frame`. Total: every call has a verdict. The frame is not
 * touched. Fields that the verdict does not name are zero. `features`: HVCORE_SBI_HAS_*.
 *
 * The caller advances pc by 4 and writes a0 and a1 before the guest goes on; no other register
 * changes. A legacy call returns nothing in a1, so its value is the guest's own a1. Those are
 * set_timer, console_putchar, console_getchar (nothing has been typed) and shutdown; others, with
 * their hart masks in guest memory, are not supported.
 *
 * A remote fence says nothing of addresses and address spaces: all is forgotten, which the
 * specification allows. HFENCE is not for guests without hypervisor extension.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_sbi_decode(const hvcore_riscv64_frame *frame, uint32_t features,
                                  hvcore_sbi_call *call);

HVCORE_END
#endif
