/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests/system/fp_qemu.c sends to a program inside QEMU, and gets back: a batch, its operands;
 * its results. A batch of no operands ends the program.
 */
#ifndef HVC_TESTS_FP_WIRE_H
#define HVC_TESTS_FP_WIRE_H

#include <stdint.h>

#define FP_BATCH 2048 /* operands of a batch, at most */

/* Registers of the instruction in `word`. */
enum { FP_X_RS1 = 5, FP_X_RD = 6, FP_F_RS1 = 10, FP_F_RS2 = 11, FP_F_RS3 = 12, FP_F_RD = 13 };

typedef struct fp_batch {
    uint32_t word;
    uint32_t to_x; /* the result is in FP_X_RD */
    uint32_t count;
    uint32_t reserved;
} fp_batch;

typedef struct fp_operands {
    uint64_t a, b, c; /* in f10, f11, f12; a also in x5 */
} fp_operands;

typedef struct fp_result {
    uint64_t value, flags;
} fp_result;

#endif
