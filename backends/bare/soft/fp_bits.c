/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions that only look at bits: signs, minimum and maximum, comparison, class, moves.
 * Nothing here rounds or needs the host's FPU.
 */
#include "backends/bare/soft/fp_soft.h"

/*
 * A number's bits moved up to bit 63, so that both formats are one: sign, exponent, fraction,
 * zeros.
 */
#define SIGN UINT64_C(0x8000000000000000)

typedef struct layout {
    uint64_t inf, quiet, least; /* infinity, the quiet bit, the smallest normal number */
} layout;

static const layout layout_s = {0x7f800000ull << 32, 0x00400000ull << 32, 0x00800000ull << 32};
static const layout layout_d = {UINT64_C(0x7ff0000000000000), UINT64_C(0x0008000000000000),
                                UINT64_C(0x0010000000000000)};

#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t in_s(uint64_t raw)
{
    return (uint64_t)hvc_fp_unbox(raw) << 32;
}

INLINE uint64_t in_d(uint64_t raw)
{
    return raw;
}

INLINE uint64_t out_s(uint64_t x)
{
    return hvc_fp_box((uint32_t)(x >> 32));
}

INLINE uint64_t out_d(uint64_t x)
{
    return x;
}

INLINE bool is_nan(const layout *l, uint64_t x)
{
    return (x & ~SIGN) > l->inf;
}

INLINE bool is_signalling(const layout *l, uint64_t x)
{
    return is_nan(l, x) && !(x & l->quiet);
}

/* NV if one of them signals, or, where even a quiet NaN is too much, is NaN. True if one is NaN. */
INLINE bool unordered(hvc_soft_fp_env *env, const layout *l, uint64_t x, uint64_t y, bool quiet)
{
    bool nan = is_nan(l, x) || is_nan(l, y);

    if (nan && (!quiet || is_signalling(l, x) || is_signalling(l, y)))
        env->flags |= HVC_SOFT_FP_NV;
    return nan;
}

/* Order of all but NaNs, with -0 below +0. */
INLINE bool below(uint64_t x, uint64_t y)
{
    uint64_t flip_x = (uint64_t)((int64_t)x >> 63) >> 1, flip_y = (uint64_t)((int64_t)y >> 63) >> 1;

    return (int64_t)(x ^ flip_x) < (int64_t)(y ^ flip_y);
}

INLINE bool both_zero(uint64_t x, uint64_t y)
{
    return (x | y) << 1 == 0;
}

/* --- minimum and maximum: the number if the other is NaN, -0 < +0 (Unpriv. 11.6) -------------- */

INLINE uint64_t choose(hvc_soft_fp_env *env, const layout *l, uint64_t x, uint64_t y, bool largest)
{
    if (!unordered(env, l, x, y, true))
        return below(x, y) != largest ? x : y;
    if (!is_nan(l, x))
        return x;
    return is_nan(l, y) ? l->inf | l->quiet : y;
}

/* --- class: bit 0 negative infinity ... 9 quiet NaN (Unpriv. table 11.5) ---------------------- */

INLINE uint64_t class_of(const layout *l, uint64_t x)
{
    uint64_t size = x & ~SIGN;
    int distance; /* from the boundary between -0 and +0 */

    if (is_nan(l, x))
        return is_signalling(l, x) ? 1 << 8 : 1 << 9;
    distance = (size != 0) + (size >= l->least) + (size == l->inf);
    return UINT64_C(1) << (x & SIGN ? 3 - distance : 4 + distance);
}

/* --- the instructions ------------------------------------------------------------------------- */

/* clang-format off */
#define ROWS(p) \
    HVC_FP_ROW(fsgnj_##p) \
    { \
        HVC_FP_UNUSED(); \
        return out_##p((in_##p(a) & ~SIGN) | (in_##p(b) & SIGN)); \
    } \
    HVC_FP_ROW(fsgnjn_##p) \
    { \
        HVC_FP_UNUSED(); \
        return out_##p((in_##p(a) & ~SIGN) | (~in_##p(b) & SIGN)); \
    } \
    HVC_FP_ROW(fsgnjx_##p) \
    { \
        HVC_FP_UNUSED(); \
        return out_##p(in_##p(a) ^ (in_##p(b) & SIGN)); \
    } \
    HVC_FP_ROW(fclass_##p) \
    { \
        HVC_FP_UNUSED(); \
        return class_of(&layout_##p, in_##p(a)); \
    } \
    HVC_FP_ROW(fmin_##p) \
    { \
        HVC_FP_UNUSED(); \
        return out_##p(choose(env, &layout_##p, in_##p(a), in_##p(b), false)); \
    } \
    HVC_FP_ROW(fmax_##p) \
    { \
        HVC_FP_UNUSED(); \
        return out_##p(choose(env, &layout_##p, in_##p(a), in_##p(b), true)); \
    } \
    HVC_FP_ROW(feq_##p) \
    { \
        uint64_t x = in_##p(a), y = in_##p(b); \
        HVC_FP_UNUSED(); \
        return !unordered(env, &layout_##p, x, y, true) && (x == y || both_zero(x, y)); \
    } \
    HVC_FP_ROW(flt_##p) \
    { \
        uint64_t x = in_##p(a), y = in_##p(b); \
        HVC_FP_UNUSED(); \
        return !unordered(env, &layout_##p, x, y, false) && below(x, y) && !both_zero(x, y); \
    } \
    HVC_FP_ROW(fle_##p) \
    { \
        uint64_t x = in_##p(a), y = in_##p(b); \
        HVC_FP_UNUSED(); \
        return !unordered(env, &layout_##p, x, y, false) && (!below(y, x) || both_zero(x, y)); \
    }

ROWS(s)
ROWS(d)

/* Moves keep all bits: no boxing is looked at, NaNs stay what they are (Unpriv. 12.2). */
HVC_FP_ROW(fmv_x_w) { HVC_FP_UNUSED(); return (uint64_t)(int64_t)(int32_t)a; }
HVC_FP_ROW(fmv_w_x) { HVC_FP_UNUSED(); return hvc_fp_box((uint32_t)a); }
HVC_FP_ROW(fmv_x_d) { HVC_FP_UNUSED(); return a; }
HVC_FP_ROW(fmv_d_x) { HVC_FP_UNUSED(); return a; }
