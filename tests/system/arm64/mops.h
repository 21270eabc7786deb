/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory copies and sets as a test sees them: the instructions, what the registers hold between
 * them in either option (specs mops.md, 3), and what memory must hold in the end. Written from the
 * specification alone: nothing here is the unit's.
 */
#ifndef HVC_TESTS_SYSTEM_ARM64_MOPS_H
#define HVC_TESTS_SYSTEM_ARM64_MOPS_H

#include "tests/system/arm64/guest.h"

enum family { CPY, CPYF, SET, SETG, FAMILIES };
enum stage { PROLOGUE, MAIN, EPILOGUE };

/* A whole operation. Addresses with tags; the arena holds it. */
typedef struct operation {
    enum family family;
    uint32_t options; /* of the instruction, 0 to 15 or (SET, SETG) 0 to 3 */
    uint32_t d, s, n; /* registers */
    uint64_t dst, src, len;
    uint8_t byte;
} operation;

/* Xd, Xs, Xn. Xs of a SET is left out: it holds the byte. */
typedef struct amounts {
    uint64_t d, s, n;
} amounts;

static inline bool is_set(const operation *o)
{
    return o->family == SET || o->family == SETG;
}

uint32_t mops_word(const operation *o, enum stage stage);

/* An address without its tag. */
static inline uint64_t plain(uint64_t address)
{
    return address & MASK(55, 0);
}

/* What Xd, Xs, Xn are in an operation of `whole` when `done` bytes are done. */
amounts mops_format(const operation *o, const amounts *whole, uint64_t done, bool a, bool back);
/* The same operation's NZCV, in place in SPSR. */
uint64_t mops_flags(bool a, bool back);
/* From option A on its way (not from the other) to what the prologue takes. */
amounts mops_to_prologue(const operation *o, const amounts *now);

amounts mops_get(const operation *o, const hvcore_arm64_frame *frame);
void mops_set(const operation *o, hvcore_arm64_frame *frame, const amounts *to);

/* The syndrome that the exception must have. */
uint64_t mops_syndrome(const operation *o, enum stage stage, bool wrong);

/* Must a copy go in this direction? 1 forward, -1 backward, 0 either. */
int mops_direction(const operation *o);

/* The same on `image`, which looks like the arena: `done` bytes of it, from its beginning or its
 * end. */
void mops_carry_out(const operation *o, uint8_t *image, uint64_t done, bool back);

/* A random operation inside the arena. */
void mops_any(operation *o);

#endif
