/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded proofs with CBMC. A harness includes the unit's own source, so that its static functions
 * can be proven too, and says PROOF(name, n): a function, and n, the times that any loop may be
 * unwound (that they are enough is proven as well). Locals that are not initialised are anything.
 * Postconditions are written from the architecture, with bit numbers, not with the unit's own
 * words.
 *
 * Beside what PROVE() says, each PROOF shows: no access outside an object, no invalid pointer, no
 * division by zero, no shift by too much or of a negative, no signed overflow. CBMC does not look
 * for reads of what was never written (the compiler and the sanitized tests do).
 *
 * PROOF_MODEL(name, n) runs the unit on a model of hardware and shows what PROVE() says alone;
 * another proof of the same file is about memory then. PROOF_LONG(name, n) is a PROOF that takes
 * longer than a minute: only run --long proves it.
 *
 * A proof must get to each of its PROVE()s, those in functions that it calls included.
 */
#ifndef HVC_PROOF_H
#define HVC_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROOF(name, unwind) void prove_##name(void)
#define PROOF_MODEL(name, unwind) void prove_##name(void)
#define PROOF_LONG(name, unwind) void prove_##name(void)
#define ASSUME(condition) __CPROVER_assume(condition)
#define PROVE(condition) __CPROVER_assert(condition, #condition)

uint64_t nondet_u64(void);
uint32_t nondet_u32(void);
int nondet_int(void);

static inline bool bit(uint64_t value, unsigned n)
{
    return value >> n & 1;
}

static inline uint64_t with_bit(uint64_t value, unsigned n, bool to)
{
    return to ? value | UINT64_C(1) << n : value & ~(UINT64_C(1) << n);
}

/* value[high:low] */
static inline uint64_t bits(uint64_t value, unsigned high, unsigned low)
{
    return value >> low & (~UINT64_C(0) >> (63 - (high - low)));
}

/* Two objects are equal in each of their bytes: one that nobody chose stands for all. */
#define PROVE_SAME(a, b)                                                \
    do {                                                                \
        size_t which_byte = nondet_u64();                               \
        ASSUME(which_byte < sizeof(a));                                 \
        __CPROVER_assert(((const unsigned char *)&(a))[which_byte] ==   \
                             ((const unsigned char *)&(b))[which_byte], \
                         #a " and " #b " are the same");                \
    } while (0)

/* The same for objects of 64-bit words, which is easier for the solver. */
#define PROVE_SAME_WORDS(a, b)                                     \
    do {                                                           \
        size_t which_word = nondet_u64();                          \
        ASSUME(which_word < sizeof(a) / 8);                        \
        __CPROVER_assert(((const uint64_t *)&(a))[which_word] ==   \
                             ((const uint64_t *)&(b))[which_word], \
                         #a " and " #b " are the same");           \
    } while (0)

#endif
