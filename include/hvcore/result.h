/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fix-up unit answers. Freestanding; the layout is frozen.
 *
 * INJECT and AGAIN name an exception, in one form for all units of an architecture:
 *
 *              arg                                          addr
 *   riscv64    exception code as in scause, no interrupt    stval; for 16, the cause that met it
 *   arm64      ESR_ELx, bits 31:0 (the others are 0)        FAR_ELx, 0 where the EC has none
 *
 * These are what the guest shall read in its own registers; the preferred return address is
 * frame->pc, which the unit has not moved. Who takes it on arm64, EL1 or the virtual EL2 of a guest
 * hypervisor, the unit's header says by EC.
 */
#ifndef HVCORE_RESULT_H
#define HVCORE_RESULT_H

#include <hvcore/types.h>

HVCORE_BEGIN

/** Kinds of answers. The run loop has a server for each; a kind without one ends the run. */
enum hvcore_result_kind {
    HVCORE_RESULT_DONE = 0,       /**< the frame is right; resume the guest */
    HVCORE_RESULT_NEED_REGS = 1,  /**< addr: set of system registers to load; then call again */
    HVCORE_RESULT_NEED_BYTES = 2, /**< addr: gva, arg: number of bytes */
    HVCORE_RESULT_NEED_PAGE = 3,  /**< addr: gpa, arg: 1 for write */
    HVCORE_RESULT_NEED_AT = 4,    /**< addr: va, arg: operation */
    HVCORE_RESULT_NEED_HOLD = 5,  /**< hold the other vCPUs */
    HVCORE_RESULT_INJECT = 6,     /**< give the guest this exception (above) */
    HVCORE_RESULT_AGAIN = 7,      /**< let the policy decide again as this exception (above) */
    HVCORE_RESULT_EXIT = 8,       /**< arg: why (the unit's header names them), addr: its detail */
    HVCORE_RESULT_KINDS = 9
};

/** An answer: 16 bytes, returned by value. */
typedef struct hvcore_result {
    uint32_t kind; /**< HVCORE_RESULT_* */
    uint32_t arg;
    uint64_t addr;
} hvcore_result;

HVCORE_END
#endif
