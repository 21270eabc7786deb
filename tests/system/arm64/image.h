/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the images share: system registers, output, counts, random numbers, guests. An image is one
 * processor at EL2 or EL3, with nothing below.
 */
#ifndef HVC_TESTS_SYSTEM_ARM64_IMAGE_H
#define HVC_TESTS_SYSTEM_ARM64_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hvcore/fixup/arm64_state.h>

#include "lib/host/mem.h"

#define BIT(n) (UINT64_C(1) << (n))
#define MASK(hi, lo) (UINT64_MAX >> (63 - (hi)) & UINT64_MAX << (lo))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- system registers; names that an old assembler does not know are numbers ---- */

#define READ_(reg)                                        \
    ({                                                    \
        uint64_t value_;                                  \
        __asm__ volatile("mrs %0, " #reg : "=r"(value_)); \
        value_;                                           \
    })
#define READ(reg) READ_(reg)
#define WRITE_(reg, value) \
    __asm__ volatile("msr " #reg ", %0" : : "r"((uint64_t)(value)) : "memory")
#define WRITE(reg, value) WRITE_(reg, value)

#define HCRX_EL2 S3_4_C1_C2_2
#define TTBR1_EL2 S3_4_C2_C0_1
#define PSTATE_PAN S3_0_C4_C2_3
#define ID_ISAR2 S3_0_C0_C6_2
#define ID_MMFR2 S3_0_C0_C7_2

/* What was written counts from here on. */
static inline void barrier(void)
{
    __asm__ volatile("dsb sy\nisb" ::: "memory");
}

static inline uint32_t field(uint64_t word, uint32_t at, uint32_t width)
{
    return (uint32_t)(word >> at) & (uint32_t)((BIT(width)) - 1);
}

/* SCTLR_EL1 and SCTLR_EL2, bits that have to be 1 where FEATs do not give them a meaning. */
#define SCTLR_RES1 UINT64_C(0x30c00800)
#define HCR_RW BIT(31)

/* ---- the board ---- */

#define RAM UINT64_C(0x40000000)
#define RAM_END UINT64_C(0x60000000)
#define GUESTS UINT64_C(0x44000000) /* to RAM_END: the image does not reach there (image.ld) */

/* ---- output and counts ---- */

void put(const char *text);
void put_hex(uint64_t value);
void put_number(uint64_t n);

/* Tests are counted by cases: a case is one to many comparisons, and fails once. */
extern uint64_t image_passed, image_failed, image_known, image_compared;

void image_main(void);

/* 2 or 3. */
uint32_t image_level(void);
/* The image's own translation, flat: without it all of memory is Device, where the compiler may not
 * join accesses as it does. */
void image_translate(void);

_Noreturn void image_end(void);
_Noreturn void image_skip(const char *why);
_Noreturn void image_stray(uint64_t esr, uint64_t pc, uint64_t far);

/* Begins a line about the case, with its number; false: too many of them already. */
bool image_complain(const char *what);

/* The words behind the image's name on its command line. */
const char *image_arguments(void);
/* A number among them, behind `key` ("seed="), or a value of the caller's. */
uint64_t image_argument(const char *key, uint64_t otherwise);

/* ---- chance ---- */

void image_seed(uint64_t seed);
uint64_t any(void);
uint64_t below(uint64_t n); /* n > 0 */
bool chance(uint32_t percent);
uint64_t bits_any(uint32_t percent, uint64_t mask); /* each bit of the mask by itself */

/* ---- guests and guarded instructions (boot.S) ---- */

/* ERET with the frame; it holds what came back to EL2. */
void image_enter(hvcore_arm64_frame *frame);

/* While set, an exception of at_execute() is put here and stepped over. */
extern volatile uint32_t image_guard;
extern struct image_guarded {
    volatile uint64_t esr, far;
} image_guarded;

void at_execute(uint64_t op, uint64_t va);

#endif
