/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers taken apart and put together: the only place that knows how they are encoded and rounded.
 */
#include "backends/bare/soft/fp_num.h"

const hvc_fp_format hvc_fp_format_s = {
    .precision = 24,
    .emax = 127,
    .sign = 0x80000000u,
    .inf = 0x7f800000u,
    .quiet = 0x00400000u,
    .nan = HVC_FP_BOX | HVC_FP_NAN_S,
    .box = HVC_FP_BOX,
};

const hvc_fp_format hvc_fp_format_d = {
    .precision = 53,
    .emax = 1023,
    .sign = UINT64_C(0x8000000000000000),
    .inf = UINT64_C(0x7ff0000000000000),
    .quiet = UINT64_C(0x0008000000000000),
    .nan = HVC_FP_NAN_D,
};

/* `bits` is neither zero, nor infinity, nor NaN. */
static void unpack_finite(const hvc_fp_format *f, uint64_t bits, hvc_fp_num *n)
{
    uint32_t stored = f->precision - 1;
    uint64_t fraction = bits & ((UINT64_C(1) << stored) - 1);
    int32_t field = (int32_t)(bits >> stored);
    int32_t zeros;

    if (field)
        fraction |= UINT64_C(1) << stored;
    zeros = __builtin_clzll(fraction);
    n->kind = HVC_FP_FINITE;
    n->sig = fraction << zeros;
    n->exp = (field ? field : 1) - f->emax + (int32_t)(64 - f->precision) - zeros;
}

hvc_fp_num hvc_fp_unpack(const hvc_fp_format *f, uint64_t raw)
{
    uint64_t whole = raw < f->box ? f->nan : raw;
    uint64_t bits = whole & (f->sign - 1);
    hvc_fp_num n = {.negative = whole & f->sign};

    if (bits > f->inf)
        n.kind = bits & f->quiet ? HVC_FP_QUIET : HVC_FP_SIGNALLING;
    else if (bits == f->inf)
        n.kind = HVC_FP_INF;
    else if (bits)
        unpack_finite(f, bits, &n);
    return n;
}

uint64_t hvc_fp_signed(const hvc_fp_format *f, bool negative, uint64_t bits)
{
    return f->box | (negative ? f->sign : 0) | bits;
}

uint64_t hvc_fp_invalid(hvc_soft_fp_env *env, const hvc_fp_format *f)
{
    env->flags |= HVC_SOFT_FP_NV;
    return f->nan;
}

uint64_t hvc_fp_nan(hvc_soft_fp_env *env, const hvc_fp_format *f, const hvc_fp_num *a,
                    const hvc_fp_num *b, const hvc_fp_num *c)
{
    if (a->kind == HVC_FP_SIGNALLING || b->kind == HVC_FP_SIGNALLING ||
        c->kind == HVC_FP_SIGNALLING)
        return hvc_fp_invalid(env, f);
    return f->nan;
}

/* IEEE 754-2019 7.4: the modes that round away from zero go to infinity, the others stay below. */
static uint64_t overflow(hvc_soft_fp_env *env, const hvc_fp_format *f, bool negative, uint32_t rm)
{
    bool infinite = hvc_fp_up(rm, negative, true, 1, 1);

    env->flags |= HVC_SOFT_FP_OF | HVC_SOFT_FP_NX;
    return hvc_fp_signed(f, negative, infinite ? f->inf : f->inf - 1);
}

/* The leading bits of sig, rounded: up to 1 << precision. */
static uint64_t leading(const hvc_fp_format *f, const hvc_fp_num *n, uint64_t sig, uint32_t rm)
{
    uint32_t drop = 64 - f->precision;
    uint64_t kept = sig >> drop, rest = sig & ((UINT64_C(1) << drop) - 1);

    return kept + hvc_fp_up(rm, n->negative, kept & 1, rest, UINT64_C(1) << (drop - 1));
}

/*
 * Tiny after rounding: still below the normal numbers when rounded as one of them (Unpriv. 11.4).
 */
static bool tiny(const hvc_fp_format *f, const hvc_fp_num *n, int32_t below, uint32_t rm)
{
    return below > 1 || (below == 1 && leading(f, n, n->sig, rm) >> f->precision == 0);
}

uint64_t hvc_fp_round(hvc_soft_fp_env *env, const hvc_fp_format *f, const hvc_fp_num *n,
                      uint32_t rm)
{
    int32_t below = 1 - f->emax - n->exp; /* binades below the normal numbers, if positive */
    uint64_t sig = below > 0 ? hvc_fp_jam(n->sig, below) : n->sig;
    uint64_t bits;

    /*
     * The leading bit, or a carry into it, counts in the field of the exponent. Far beyond infinity
     * it still is a number: no exponent of a double's product or quotient needs more than 12 bits.
     */
    bits = leading(f, n, sig, rm);
    if (below <= 0)
        bits += (uint64_t)-below << (f->precision - 1);
    if (bits >= f->inf)
        return overflow(env, f, n->negative, rm);
    if (sig << f->precision)
        env->flags |= HVC_SOFT_FP_NX | (tiny(f, n, below, rm) ? HVC_SOFT_FP_UF : 0);
    return hvc_fp_signed(f, n->negative, bits);
}
