/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers taken apart, and put together again by rounding. */
#ifndef HVC_SOFT_FP_NUM_H
#define HVC_SOFT_FP_NUM_H

#include "backends/bare/soft/fp_soft.h"

enum hvc_fp_kind { HVC_FP_ZERO, HVC_FP_FINITE, HVC_FP_INF, HVC_FP_QUIET, HVC_FP_SIGNALLING };

/* A finite number is sig * 2^(exp - 63), and bit 63 of sig is set. */
typedef struct hvc_fp_num {
    enum hvc_fp_kind kind;
    bool negative;
    int32_t exp;
    uint64_t sig;
} hvc_fp_num;

static inline bool hvc_fp_is_nan(const hvc_fp_num *n)
{
    return n->kind >= HVC_FP_QUIET;
}

/* x / 2^n, n >= 0, where the lowest bit stands for all that is lost. */
static inline uint64_t hvc_fp_jam(uint64_t x, int32_t n)
{
    if (n == 0)
        return x;
    if (n > 63)
        return x != 0;
    return x >> n | (x << (64 - n) != 0);
}

/*
 * What to add to a kept value whose last bit is `odd`, if `rest` is lost and half the last bit is
 * `half`.
 */
static inline uint64_t hvc_fp_up(uint32_t rm, bool negative, bool odd, uint64_t rest, uint64_t half)
{
    switch (rm) {
    case HVC_SOFT_FP_RNE:
        return rest > half || (rest == half && odd);
    case HVC_SOFT_FP_RMM:
        return rest >= half;
    case HVC_SOFT_FP_RDN:
        return negative && rest;
    case HVC_SOFT_FP_RUP:
        return !negative && rest;
    default:
        return 0;
    }
}

hvc_fp_num hvc_fp_unpack(const hvc_fp_format *f, uint64_t raw);

/* Zero or infinity with a sign. */
uint64_t hvc_fp_signed(const hvc_fp_format *f, bool negative, uint64_t bits);

/* The canonical NaN, and NV. */
uint64_t hvc_fp_invalid(hvc_soft_fp_env *env, const hvc_fp_format *f);

/* The canonical NaN; NV if one of the three signals. */
uint64_t hvc_fp_nan(hvc_soft_fp_env *env, const hvc_fp_format *f, const hvc_fp_num *a,
                    const hvc_fp_num *b, const hvc_fp_num *c);

/*
 * n (finite; the lowest bit of n->sig may stand for more below it) in format f, with OF, UF and NX.
 */
uint64_t hvc_fp_round(hvc_soft_fp_env *env, const hvc_fp_format *f, const hvc_fp_num *n,
                      uint32_t rm);

#endif
