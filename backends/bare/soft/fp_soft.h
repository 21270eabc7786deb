/* SPDX-License-Identifier: Apache-2.0 */
/*
 * F and D in integers: formats, NaN boxing, and arithmetic that needs no FPU. Each function below
 * reads and returns raw registers, rounds by rm (0 to 4) and raises what it has to in env->flags.
 */
#ifndef HVC_SOFT_FP_SOFT_H
#define HVC_SOFT_FP_SOFT_H

#include "backends/bare/soft/fp.h"

#define HVC_FP_NAN_S 0x7fc00000u /* canonical NaN (Unpriv. 11.3) */
#define HVC_FP_NAN_D UINT64_C(0x7ff8000000000000)
#define HVC_FP_BOX UINT64_C(0xffffffff00000000)

/* A function of the table in fp.h. */
#define HVC_FP_OPERANDS hvc_soft_fp_env *env, uint64_t a, uint64_t b, uint64_t c, uint32_t rm
#define HVC_FP_ROW(name) uint64_t hvc_soft_fp_##name(HVC_FP_OPERANDS)
#define HVC_FP_UNUSED() (void)env, (void)b, (void)c, (void)rm

/* The single in a register; what is not boxed is the canonical NaN (Unpriv. 12.2). */
static inline uint32_t hvc_fp_unbox(uint64_t raw)
{
    return raw >= HVC_FP_BOX ? (uint32_t)raw : HVC_FP_NAN_S;
}

static inline uint64_t hvc_fp_box(uint32_t bits)
{
    return HVC_FP_BOX | bits;
}

/* An IEEE 754 binary format. */
typedef struct hvc_fp_format {
    uint32_t precision; /* bits of a significand, with the one that is not stored */
    int32_t emax;       /* largest exponent, and the bias */
    uint64_t sign;      /* that bit */
    uint64_t inf, quiet;
    uint64_t nan; /* canonical, boxed */
    uint64_t box; /* what stands above the number in a register */
} hvc_fp_format;

extern const hvc_fp_format hvc_fp_format_s, hvc_fp_format_d;

uint64_t hvc_fp_soft_fadd(hvc_soft_fp_env *env, const hvc_fp_format *f, uint64_t a, uint64_t b,
                          uint32_t rm);
uint64_t hvc_fp_soft_fsub(hvc_soft_fp_env *env, const hvc_fp_format *f, uint64_t a, uint64_t b,
                          uint32_t rm);
uint64_t hvc_fp_soft_fmul(hvc_soft_fp_env *env, const hvc_fp_format *f, uint64_t a, uint64_t b,
                          uint32_t rm);
uint64_t hvc_fp_soft_fdiv(hvc_soft_fp_env *env, const hvc_fp_format *f, uint64_t a, uint64_t b,
                          uint32_t rm);
uint64_t hvc_fp_soft_fsqrt(hvc_soft_fp_env *env, const hvc_fp_format *f, uint64_t a, uint32_t rm);
/* a * b + c, rounded once; NV for infinity times zero even if c is a quiet NaN (Unpriv. 11.6). */
uint64_t hvc_fp_soft_fma(hvc_soft_fp_env *env, const hvc_fp_format *f, uint64_t a, uint64_t b,
                         uint64_t c, uint32_t rm);

/* Between formats, and from an integer with its sign apart. */
uint64_t hvc_fp_soft_convert(hvc_soft_fp_env *env, const hvc_fp_format *to,
                             const hvc_fp_format *from, uint64_t a, uint32_t rm);
uint64_t hvc_fp_soft_from_int(hvc_soft_fp_env *env, const hvc_fp_format *to, bool negative,
                              uint64_t magnitude, uint32_t rm);

/* An integer's limits: the largest positive value, and how far below zero it goes. */
typedef struct hvc_fp_limits {
    uint64_t most, least;
} hvc_fp_limits;

/* To an integer; beyond its limits, and for NaN: NV, and the nearest limit (table 11.4). */
uint64_t hvc_fp_soft_to_int(hvc_soft_fp_env *env, const hvc_fp_format *from, uint64_t a,
                            const hvc_fp_limits *limits, uint32_t rm);

#endif
