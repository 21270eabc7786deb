/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic in integers. Addition is the fused multiply-add's: two numbers with 128-bit
 * significands, so that an exact product takes part as it is.
 */
#include "backends/bare/soft/fp_num.h"

typedef unsigned __int128 wide_sig;

/* A finite number or zero: sig * 2^(exp - 127), and bit 127 of sig is set, or sig is 0. */
typedef struct wide {
    bool negative;
    int32_t exp;
    wide_sig sig;
} wide;

static const hvc_fp_num no_number = {.kind = HVC_FP_ZERO};

static wide_sig wide_jam(wide_sig x, int32_t n)
{
    if (n == 0)
        return x;
    if (n > 127)
        return x != 0;
    return x >> n | (x << (128 - n) != 0);
}

static int32_t wide_zeros(wide_sig x)
{
    uint64_t high = (uint64_t)(x >> 64);
    return high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)x);
}

static wide widen(const hvc_fp_num *n)
{
    return (wide){n->negative, n->exp, (wide_sig)n->sig << 64};
}

/* The product of two finite numbers or zeros, exact. */
static wide multiply(const hvc_fp_num *a, const hvc_fp_num *b)
{
    wide p = {a->negative != b->negative, a->exp + b->exp + 1, (wide_sig)a->sig * b->sig};

    if (p.sig && !(p.sig >> 127)) {
        p.sig <<= 1;
        p.exp--;
    }
    return p;
}

static uint64_t finish(hvc_soft_fp_env *env, const hvc_fp_format *f, const wide *w, uint32_t rm)
{
    hvc_fp_num n = {HVC_FP_FINITE, w->negative, w->exp,
                    (uint64_t)(w->sig >> 64) | ((uint64_t)w->sig != 0)};

    return w->sig ? hvc_fp_round(env, f, &n, rm) : hvc_fp_signed(f, w->negative, 0);
}

/* |large| + |small|; both have low bits to spare (22 of a product, 75 of a number). */
static wide add_magnitudes(const wide *large, const wide *small)
{
    wide r = {large->negative, large->exp + 1,
              (large->sig >> 1) + wide_jam(small->sig, large->exp - small->exp + 1)};

    if (!(r.sig >> 127)) {
        r.sig <<= 1;
        r.exp--;
    }
    return r;
}

/*
 * |large| - |small|, not 0. A small one that loses bits is so far below that one bit cancels at
 * most.
 */
static wide subtract_magnitudes(const wide *large, const wide *small)
{
    wide r = {large->negative, large->exp,
              large->sig - wide_jam(small->sig, large->exp - small->exp)};
    int32_t zeros = wide_zeros(r.sig);

    r.sig <<= zeros;
    r.exp -= zeros;
    return r;
}

static bool is_larger(const wide *a, const wide *b)
{
    return a->exp != b->exp ? a->exp > b->exp : a->sig > b->sig;
}

/* a + b. An exact zero of unlike signs is -0 when rounding down, else +0 (IEEE 754-2019 6.3). */
static wide add(const wide *a, const wide *b, uint32_t rm)
{
    bool alike = a->negative == b->negative;

    if (!a->sig && !b->sig)
        return alike ? *a : (wide){.negative = rm == HVC_SOFT_FP_RDN};
    if (!a->sig || !b->sig)
        return a->sig ? *a : *b;
    if (!is_larger(a, b)) {
        const wide *other = a;
        a = b;
        b = other;
    }
    if (alike)
        return add_magnitudes(a, b);
    if (!is_larger(a, b))
        return (wide){.negative = rm == HVC_SOFT_FP_RDN};
    return subtract_magnitudes(a, b);
}

uint64_t hvc_fp_soft_fadd(hvc_soft_fp_env *env, const hvc_fp_format *f, uint64_t a, uint64_t b,
                          uint32_t rm)
{
    hvc_fp_num x = hvc_fp_unpack(f, a), y = hvc_fp_unpack(f, b);
    wide sum, wx = widen(&x), wy = widen(&y);

    if (hvc_fp_is_nan(&x) || hvc_fp_is_nan(&y))
        return hvc_fp_nan(env, f, &x, &y, &no_number);
    if (x.kind == HVC_FP_INF && y.kind == HVC_FP_INF && x.negative != y.negative)
        return hvc_fp_invalid(env, f);
    if (x.kind == HVC_FP_INF || y.kind == HVC_FP_INF)
        return hvc_fp_signed(f, x.kind == HVC_FP_INF ? x.negative : y.negative, f->inf);
    sum = add(&wx, &wy, rm);
    return finish(env, f, &sum, rm);
}

uint64_t hvc_fp_soft_fsub(hvc_soft_fp_env *env, const hvc_fp_format *f, uint64_t a, uint64_t b,
                          uint32_t rm)
{
    return hvc_fp_soft_fadd(env, f, a, b ^ f->sign, rm);
}

/* Infinity times zero? */
static bool is_undefined(const hvc_fp_num *a, const hvc_fp_num *b)
{
    return (a->kind == HVC_FP_INF && b->kind == HVC_FP_ZERO) ||
           (a->kind == HVC_FP_ZERO && b->kind == HVC_FP_INF);
}

uint64_t hvc_fp_soft_fmul(hvc_soft_fp_env *env, const hvc_fp_format *f, uint64_t a, uint64_t b,
                          uint32_t rm)
{
    hvc_fp_num x = hvc_fp_unpack(f, a), y = hvc_fp_unpack(f, b);
    wide product;

    if (hvc_fp_is_nan(&x) || hvc_fp_is_nan(&y))
        return hvc_fp_nan(env, f, &x, &y, &no_number);
    if (is_undefined(&x, &y))
        return hvc_fp_invalid(env, f);
    if (x.kind == HVC_FP_INF || y.kind == HVC_FP_INF)
        return hvc_fp_signed(f, x.negative != y.negative, f->inf);
    product = multiply(&x, &y);
    return finish(env, f, &product, rm);
}

/* What a fused multiply-add gives if an operand is NaN or infinite. */
static uint64_t fma_special(hvc_soft_fp_env *env, const hvc_fp_format *f, const hvc_fp_num *x,
                            const hvc_fp_num *y, const hvc_fp_num *z)
{
    bool infinite = x->kind == HVC_FP_INF || y->kind == HVC_FP_INF;
    bool negative = x->negative != y->negative;

    if (is_undefined(x, y))
        return hvc_fp_invalid(env, f);
    if (hvc_fp_is_nan(x) || hvc_fp_is_nan(y) || hvc_fp_is_nan(z))
        return hvc_fp_nan(env, f, x, y, z);
    if (infinite && z->kind == HVC_FP_INF && z->negative != negative)
        return hvc_fp_invalid(env, f);
    return hvc_fp_signed(f, infinite ? negative : z->negative, f->inf);
}

uint64_t hvc_fp_soft_fma(hvc_soft_fp_env *env, const hvc_fp_format *f, uint64_t a, uint64_t b,
                         uint64_t c, uint32_t rm)
{
    hvc_fp_num x = hvc_fp_unpack(f, a), y = hvc_fp_unpack(f, b), z = hvc_fp_unpack(f, c);
    wide product, addend;

    if (x.kind >= HVC_FP_INF || y.kind >= HVC_FP_INF || z.kind >= HVC_FP_INF)
        return fma_special(env, f, &x, &y, &z);
    product = multiply(&x, &y);
    addend = widen(&z);
    addend = add(&product, &addend, rm);
    return finish(env, f, &addend, rm);
}

/*
 * x / y * 2^63 for bit 63 set in both: 56 bits of it, the lowest bit also for the remainder. Both
 * have 53 bits at most, so a remainder has room for the next 11 bits of the quotient.
 */
static uint64_t divide(uint64_t x, uint64_t y)
{
    uint64_t quotient, rest;

    x >>= 11;
    y >>= 11;
    quotient = x / y;
    rest = x % y;
    for (int step = 0; step < 5; step++) {
        rest <<= 11;
        quotient = quotient << 11 | rest / y;
        rest %= y;
    }
    return quotient << 8 | (rest != 0);
}

/* What a division gives if an operand is not finite, or the divisor is zero. */
static uint64_t divide_special(hvc_soft_fp_env *env, const hvc_fp_format *f, const hvc_fp_num *x,
                               const hvc_fp_num *y)
{
    bool negative = x->negative != y->negative;

    if (hvc_fp_is_nan(x) || hvc_fp_is_nan(y))
        return hvc_fp_nan(env, f, x, y, &no_number);
    if (x->kind == y->kind)
        return hvc_fp_invalid(env, f);
    if (y->kind == HVC_FP_INF)
        return hvc_fp_signed(f, negative, 0);
    if (x->kind != HVC_FP_INF)
        env->flags |= HVC_SOFT_FP_DZ;
    return hvc_fp_signed(f, negative, f->inf);
}

uint64_t hvc_fp_soft_fdiv(hvc_soft_fp_env *env, const hvc_fp_format *f, uint64_t a, uint64_t b,
                          uint32_t rm)
{
    hvc_fp_num x = hvc_fp_unpack(f, a), y = hvc_fp_unpack(f, b);
    hvc_fp_num q = {HVC_FP_FINITE, x.negative != y.negative, x.exp - y.exp, 0};

    if (x.kind >= HVC_FP_INF || y.kind != HVC_FP_FINITE)
        return divide_special(env, f, &x, &y);
    if (x.kind == HVC_FP_ZERO)
        return hvc_fp_signed(f, q.negative, 0);
    q.sig = divide(x.sig, y.sig);
    if (!(q.sig >> 63)) {
        q.sig <<= 1; /* only an inexact lowest bit moves up: far below what is kept */
        q.exp--;
    }
    return hvc_fp_round(env, f, &q, rm);
}

/*
 * The root of sig * 2^odd, sig with bit 63 set: bit 63 set, the lowest bit also for the remainder.
 */
static uint64_t root(uint64_t sig, uint32_t odd)
{
    wide_sig left = (wide_sig)sig << (63 + odd);
    uint64_t rest = 0, r = 0;

    /* Two bits of the radicand for one of the root: 58 are enough, and leave room for the trial. */
    for (int step = 0; step < 58; step++) {
        uint64_t trial = r << 2 | 1, fits;
        rest = rest << 2 | (uint64_t)(left >> 126);
        left <<= 2;
        fits = rest >= trial;
        rest -= trial & -fits;
        r = r << 1 | fits;
    }
    return r << 6 | (rest != 0 || left != 0);
}

uint64_t hvc_fp_soft_fsqrt(hvc_soft_fp_env *env, const hvc_fp_format *f, uint64_t a, uint32_t rm)
{
    hvc_fp_num x = hvc_fp_unpack(f, a);
    uint32_t odd = (uint32_t)x.exp & 1;

    if (hvc_fp_is_nan(&x))
        return hvc_fp_nan(env, f, &x, &no_number, &no_number);
    if (x.kind == HVC_FP_ZERO)
        return hvc_fp_signed(f, x.negative, 0);
    if (x.negative)
        return hvc_fp_invalid(env, f);
    if (x.kind == HVC_FP_INF)
        return hvc_fp_signed(f, false, f->inf);
    x.sig = root(x.sig, odd);
    x.exp = (x.exp - (int32_t)odd) / 2;
    return hvc_fp_round(env, f, &x, rm);
}

/* --- conversions ------------------------------------------------------------------------------ */

uint64_t hvc_fp_soft_convert(hvc_soft_fp_env *env, const hvc_fp_format *to,
                             const hvc_fp_format *from, uint64_t a, uint32_t rm)
{
    hvc_fp_num x = hvc_fp_unpack(from, a);

    if (hvc_fp_is_nan(&x))
        return hvc_fp_nan(env, to, &x, &no_number, &no_number);
    if (x.kind != HVC_FP_FINITE)
        return hvc_fp_signed(to, x.negative, x.kind == HVC_FP_INF ? to->inf : 0);
    return hvc_fp_round(env, to, &x, rm);
}

uint64_t hvc_fp_soft_from_int(hvc_soft_fp_env *env, const hvc_fp_format *to, bool negative,
                              uint64_t magnitude, uint32_t rm)
{
    hvc_fp_num x = {HVC_FP_FINITE, negative, 63, magnitude};
    int32_t zeros;

    if (!magnitude)
        return hvc_fp_signed(to, false, 0);
    zeros = __builtin_clzll(magnitude);
    x.sig <<= zeros;
    x.exp -= zeros;
    return hvc_fp_round(env, to, &x, rm);
}

/*
 * The integer part of |x| < 2^64; *rest is what follows, in units of 2^-64 (its lowest bit for
 * more).
 */
static uint64_t split(const hvc_fp_num *x, uint64_t *rest)
{
    int32_t fraction = 63 - x->exp;

    if (fraction == 0) {
        *rest = 0;
        return x->sig;
    }
    *rest = fraction < 64 ? x->sig << (64 - fraction) : hvc_fp_jam(x->sig, fraction - 64);
    return fraction < 64 ? x->sig >> fraction : 0;
}

static uint64_t saturate(hvc_soft_fp_env *env, const hvc_fp_limits *limits, bool negative)
{
    env->flags |= HVC_SOFT_FP_NV;
    return negative ? -limits->least : limits->most;
}

uint64_t hvc_fp_soft_to_int(hvc_soft_fp_env *env, const hvc_fp_format *from, uint64_t a,
                            const hvc_fp_limits *limits, uint32_t rm)
{
    hvc_fp_num x = hvc_fp_unpack(from, a);
    uint64_t whole, rest;

    if (x.kind == HVC_FP_ZERO)
        return 0;
    if (x.kind != HVC_FP_FINITE || x.exp > 63)
        return saturate(env, limits, x.negative && !hvc_fp_is_nan(&x));
    whole = split(&x, &rest);
    whole += hvc_fp_up(rm, x.negative, whole & 1, rest, UINT64_C(1) << 63);
    if (whole > (x.negative ? limits->least : limits->most))
        return saturate(env, limits, x.negative);
    if (rest)
        env->flags |= HVC_SOFT_FP_NX;
    return x.negative ? -whole : whole;
}
