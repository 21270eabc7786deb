/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work with a known result: whole numbers and doubles, every operation of which IEEE 754 defines to
 * the last bit. The same C on another machine gives the same two sums (no contraction to fma).
 */
#ifndef WORK_H
#define WORK_H

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { WORK_ROUNDS = 200000 };

/* Shifts, products, quotients and remainders of a pseudo-random sequence. */
static inline uint64_t work_whole(uint64_t seed)
{
    uint64_t x = seed * 2 + 1, sum = 0;

    for (uint32_t i = 1; i <= WORK_ROUNDS; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        sum = (sum << 5 | sum >> 59) ^ (x * i + x / i + (uint64_t)((int64_t)x % (int64_t)i));
    }
    return sum;
}

static inline uint64_t work_bits(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* A logistic map, roots, quotients, single precision and conversions both ways. */
static inline uint64_t work_real(uint64_t seed)
{
    double x = 1.0 / (double)(seed + 3);
    uint64_t sum = 0;

    for (uint32_t i = 1; i <= WORK_ROUNDS; i++) {
        float f = (float)x;

        x = 3.999 * x * (1.0 - x);
        f = f * f + (float)i;
        sum =
            (sum << 7 | sum >> 57) ^ work_bits(sqrt(x) / (double)f) ^ (uint64_t)(int64_t)(x * 1e15);
    }
    return sum;
}

#endif
