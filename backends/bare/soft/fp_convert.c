/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversions. To integers the host is used for what needs no rounding mode of it: RTZ, within the
 * limits. From integers and to single it rounds, as in fp_arith.c. What is exact needs no
 * environment.
 */
#include "backends/bare/soft/fp_host.h"

static const hvc_fp_limits limits_w = {INT32_MAX, UINT64_C(1) << 31};
static const hvc_fp_limits limits_wu = {UINT32_MAX, 0};
static const hvc_fp_limits limits_l = {INT64_MAX, UINT64_C(1) << 63};
static const hvc_fp_limits limits_lu = {UINT64_MAX, 0};

static inline uint64_t extend(uint64_t x)
{
    return (uint64_t)(int64_t)(int32_t)x;
}

/*
 * Half of x, with the bit that is lost kept in the lowest: rounded and doubled it gives what x
 * gives.
 */
static inline int64_t halve(uint64_t x)
{
    return (int64_t)(x >> 1 | (x & 1));
}

static inline int64_t pin(int64_t x)
{
    __asm__ volatile("" : "+r"(x));
    return x;
}

/* Is it finite, and smaller than 2^bits? Where `sign` is false: and not negative. */
static inline bool fits_s(uint64_t a, uint32_t bits, bool sign)
{
    uint32_t x = hvc_fp_unbox(a);
    return (sign ? x & 0x7fffffffu : x) < (127 + bits) << 23;
}

static inline bool fits_d(uint64_t a, uint32_t bits, bool sign)
{
    return (sign ? a & INT64_MAX : a) < (uint64_t)(1023 + bits) << 52;
}

/* Towards zero the host converts in every mode. It has to be there for NX. */
static inline bool by_host(const hvc_soft_fp_env *env, uint32_t rm)
{
    return HVC_FP_HOST && env->host && rm == HVC_SOFT_FP_RTZ;
}

/* clang-format off */
#define TO_INT_ROW(name, p, bits, sign, limits, finish) \
    HVC_FP_ROW(name##_##p) \
    { \
        HVC_FP_UNUSED(); \
        if (by_host(env, rm) && fits_##p(a, bits, sign)) \
            return finish((uint64_t)pin((int64_t)hvc_fp_in_##p(a))); \
        return finish(hvc_fp_soft_to_int(env, &hvc_fp_format_##p, a, &limits, rm)); \
    }

#define TO_INT(p) \
    TO_INT_ROW(fcvt_w, p, 31, true, limits_w, ) \
    TO_INT_ROW(fcvt_wu, p, 32, false, limits_wu, extend) \
    TO_INT_ROW(fcvt_l, p, 63, true, limits_l, ) \
    TO_INT_ROW(fcvt_lu, p, 63, false, limits_lu, )

#define FROM_INT(p) \
    HVC_FP_SLOW uint64_t slow_##p(hvc_soft_fp_env *env, uint64_t x, bool negative, uint32_t rm) \
    { \
        if (hvc_fp_again(env, rm)) \
            return negative || x <= INT64_MAX ? hvc_soft_fp_fcvt_##p##_l(env, x, 0, 0, rm) \
                                              : hvc_soft_fp_fcvt_##p##_lu(env, x, 0, 0, rm); \
        return hvc_fp_soft_from_int(env, &hvc_fp_format_##p, negative, negative ? -x : x, rm); \
    } \
    static inline uint64_t from_signed_##p(hvc_soft_fp_env *env, int64_t x, uint32_t rm) \
    { \
        if (hvc_fp_ready(env, rm)) \
            return hvc_fp_out_##p((hvc_fp_##p)pin(x)); \
        return slow_##p(env, (uint64_t)x, x < 0, rm); \
    } \
    static inline uint64_t from_unsigned_##p(hvc_soft_fp_env *env, uint64_t x, uint32_t rm) \
    { \
        if (x <= INT64_MAX) \
            return from_signed_##p(env, (int64_t)x, rm); \
        if (hvc_fp_ready(env, rm)) { \
            hvc_fp_##p half = (hvc_fp_##p)pin(halve(x)); \
            return hvc_fp_out_##p(half + half); \
        } \
        return slow_##p(env, x, false, rm); \
    } \
    HVC_FP_ROW(fcvt_##p##_w)  { HVC_FP_UNUSED(); return from_signed_##p(env, (int32_t)a, rm); } \
    HVC_FP_ROW(fcvt_##p##_wu) { HVC_FP_UNUSED(); return from_signed_##p(env, (uint32_t)a, rm); } \
    HVC_FP_ROW(fcvt_##p##_l)  { HVC_FP_UNUSED(); return from_signed_##p(env, (int64_t)a, rm); } \
    HVC_FP_ROW(fcvt_##p##_lu) { HVC_FP_UNUSED(); return from_unsigned_##p(env, a, rm); }
/* clang-format on */

TO_INT(s)
TO_INT(d)
FROM_INT(s)
FROM_INT(d)

HVC_FP_SLOW uint64_t slow_s_d(hvc_soft_fp_env *env, uint64_t a, uint32_t rm)
{
    if (hvc_fp_again(env, rm))
        return hvc_soft_fp_fcvt_s_d(env, a, 0, 0, rm);
    return hvc_fp_soft_convert(env, &hvc_fp_format_s, &hvc_fp_format_d, a, rm);
}

HVC_FP_ROW(fcvt_s_d)
{
    HVC_FP_UNUSED();
    if (hvc_fp_ready(env, rm)) {
        uint64_t r = hvc_fp_out_s((hvc_fp_s)hvc_fp_in_d(a));
        if (!hvc_fp_edge_s(r))
            return r;
    }
    return slow_s_d(env, a, rm);
}

/* Exact. A normal number gets a larger bias and zeros behind its fraction. */
HVC_FP_ROW(fcvt_d_s)
{
    uint64_t bits = hvc_fp_unbox(a), field = bits >> 23 & 255;

    HVC_FP_UNUSED();
    if (field - 1 < 254)
        return (bits & 0x80000000u) << 32 | (((bits & 0x7fffffffu) << 29) + (UINT64_C(896) << 52));
    return hvc_fp_soft_convert(env, &hvc_fp_format_d, &hvc_fp_format_s, a, rm);
}
