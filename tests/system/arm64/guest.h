/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest below EL2 that consists of a few instructions: a page of code, an arena of memory whose
 * pages stage 2 can take away, and vectors of EL1 that only hand on.
 *
 * Both stages map every address to itself. Addresses may carry tags (TBI).
 */
#ifndef HVC_TESTS_SYSTEM_ARM64_GUEST_H
#define HVC_TESTS_SYSTEM_ARM64_GUEST_H

#include "tests/system/arm64/image.h"

#define GUEST_CODE (GUESTS + 0x1000)
#define ARENA (GUESTS + 0x200000)
#define ARENA_PAGES 7u
#define ARENA_SIZE (ARENA_PAGES * 4096u)
#define GUEST_SCRATCH (ARENA + 0x100000) /* the guest may write there, nobody compares */

#define SPSR_SS BIT(21)
#define SPSR_PAN BIT(22)

/* Exception classes. */
enum {
    EC_UNKNOWN = 0x00,
    EC_SVC = 0x15,
    EC_HVC = 0x16,
    EC_SYSTEM = 0x18,
    EC_ABORT_LOWER = 0x24,
    EC_MOPS = 0x27,
    EC_STEP = 0x32
};

/* Where the guest executes, and who gets its Memory Copy and Memory Set exceptions. */
enum guest_route { EL1_TO_EL2, EL1_TO_EL1, EL0_TO_EL1, EL0_TO_EL2, GUEST_ROUTES };

/* Tables, vectors and registers; once. Or the vectors alone: each entry of EL1 hands on. */
void guest_begin(void);
void guest_vectors(void);

/* For the entries that follow. `step`: debug exceptions come to EL2. */
void guest_route(enum guest_route route, bool step);
bool guest_is_el0(enum guest_route route);

void guest_code(uint32_t at, const uint32_t *words, uint32_t n); /* `at`: word behind GUEST_CODE */
uint32_t guest_end(enum guest_route route);                      /* the word that ends a guest */

/* Stage 2 has the page of the arena, or not; ARENA_PAGES is the one behind it. */
void guest_page(uint32_t page, bool there);

/*
 * Enters, and gives the syndrome of what ended that. What EL1 handed on looks as if it had come to
 * EL2 directly.
 */
uint64_t guest_enter(hvcore_arm64_frame *frame);
extern uint32_t guest_taken_to; /* the level that the exception was taken to, 1 or 2 */

static inline uint32_t guest_class(uint64_t esr)
{
    return field(esr, 26, 6);
}

/* Allocation tags of `n` granules from `at` on, by the guest's own LDG; false: there is no MTE. */
bool guest_tags(uint64_t at, uint32_t n, uint8_t *tags);

#endif
