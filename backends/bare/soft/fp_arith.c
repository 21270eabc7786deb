/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic: on the host if it can round that way, else in integers (fp_soft.c). The host's flags
 * are RISC-V's, with two exceptions, which go the second way as well: UF of a host that looks at
 * tininess before rounding, and NV of a fused multiply-add that gives NaN (hosts differ about
 * infinity times zero plus a quiet NaN). What the host raised until then is raised by the integers
 * too.
 */
#include "backends/bare/soft/fp_host.h"

/* clang-format off */
#define SLOW(name, p, soft) \
    HVC_FP_SLOW uint64_t slow_##name##_##p(HVC_FP_OPERANDS) \
    { \
        (void)b, (void)c; \
        if (hvc_fp_again(env, rm)) \
            return hvc_soft_fp_##name##_##p(env, a, b, c, rm); \
        return soft; \
    }

#define BINARY(name, p, operator, in_doubt) \
    SLOW(name, p, hvc_fp_soft_##name(env, &hvc_fp_format_##p, a, b, rm)) \
    HVC_FP_ROW(name##_##p) \
    { \
        if (hvc_fp_ready(env, rm)) { \
            hvc_fp_##p x = hvc_fp_in_##p(a), y = hvc_fp_in_##p(b); \
            uint64_t r = hvc_fp_out_##p(x operator y); \
            if (!in_doubt(r)) \
                return r; \
        } \
        return slow_##name##_##p(env, a, b, c, rm); \
    }

#define SQRT(p) \
    SLOW(fsqrt, p, hvc_fp_soft_fsqrt(env, &hvc_fp_format_##p, a, rm)) \
    HVC_FP_ROW(fsqrt_##p) \
    { \
        if (hvc_fp_ready(env, rm)) \
            return hvc_fp_out_##p(hvc_fp_sqrt_##p(hvc_fp_in_##p(a))); \
        return slow_fsqrt_##p(env, a, b, c, rm); \
    }

/*
 * The four differ in the signs of the product (minus: that of a) and of the addend (Unpriv. 11.6).
 */
#define FMA(name, p, product, addend) \
    SLOW(name, p, hvc_fp_soft_fma(env, &hvc_fp_format_##p, \
                                  negate_if(product 1, &hvc_fp_format_##p, a), b, \
                                  negate_if(addend 1, &hvc_fp_format_##p, c), rm)) \
    HVC_FP_ROW(name##_##p) \
    { \
        if (hvc_fp_ready(env, rm) && env->fma) { \
            hvc_fp_##p x = hvc_fp_in_##p(a), y = hvc_fp_in_##p(b), z = hvc_fp_in_##p(c); \
            uint64_t r = hvc_fp_out_##p(hvc_fp_fma_##p(product x, y, addend z)); \
            if (r != NAN_##p && !hvc_fp_edge_##p(r)) \
                return r; \
        } \
        return slow_##name##_##p(env, a, b, c, rm); \
    }

/* clang-format on */

#define NAN_s (HVC_FP_BOX | HVC_FP_NAN_S)
#define NAN_d HVC_FP_NAN_D
#define NEVER(r) false /* a sum that is tiny is exact: no doubt about UF */

/* What is no boxed single stays so. */
static inline uint64_t negate_if(int sign, const hvc_fp_format *f, uint64_t raw)
{
    return sign < 0 ? raw ^ f->sign : raw;
}

BINARY(fadd, s, +, NEVER)
BINARY(fadd, d, +, NEVER)
BINARY(fsub, s, -, NEVER)
BINARY(fsub, d, -, NEVER)
BINARY(fmul, s, *, hvc_fp_edge_s)
BINARY(fmul, d, *, hvc_fp_edge_d)
BINARY(fdiv, s, /, hvc_fp_edge_s)
BINARY(fdiv, d, /, hvc_fp_edge_d)

SQRT(s)
SQRT(d)

FMA(fmadd, s, +, +)
FMA(fmadd, d, +, +)
FMA(fmsub, s, +, -)
FMA(fmsub, d, +, -)
FMA(fnmsub, s, -, +)
FMA(fnmsub, d, -, +)
FMA(fnmadd, s, -, -)
FMA(fnmadd, d, -, -)
