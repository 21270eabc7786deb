/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FPU of the host: its control and status registers, and the arithmetic that C cannot name.
 *
 * Compilers move arithmetic across changes of the rounding mode, fold it and drop it. So operands
 * come out of hvc_fp_in_* and results go into hvc_fp_out_*, each with an empty assembly statement
 * that the compiler cannot look through: what is between them stays there, whatever the options.
 */
#ifndef HVC_SOFT_FP_HOST_H
#define HVC_SOFT_FP_HOST_H

#include "backends/bare/soft/fp_soft.h"

#ifdef __FAST_MATH__
#error "the FP instructions need IEEE 754 arithmetic: compile without -ffast-math"
#endif

typedef float hvc_fp_s;
typedef double hvc_fp_d;

#if defined(__x86_64__) && defined(__SSE2__)
#include "backends/bare/soft/fp_host_x86_64.h"
#elif defined(__aarch64__) && defined(__ARM_FP)
#include "backends/bare/soft/fp_host_aarch64.h"
#else
#include "backends/bare/soft/fp_host_none.h"
#endif

/* fp_env.c: the host rounds by rm from now on. False: it cannot, or shall not. */
bool hvc_fp_host_install(hvc_soft_fp_env *env, uint32_t rm);

/* Is the host set up, and rounds by rm? */
static inline bool hvc_fp_ready(const hvc_soft_fp_env *env, uint32_t rm)
{
    return HVC_FP_HOST && __builtin_expect(env->host == rm + 1, 1);
}

/* It was not, or its result will not do: can it be made ready and the same be tried again? */
static inline bool hvc_fp_again(hvc_soft_fp_env *env, uint32_t rm)
{
    return HVC_FP_HOST && env->host != rm + 1 && hvc_fp_host_install(env, rm);
}

/* For what follows: it ends in a call, so that the way through the host saves no registers. */
#define HVC_FP_SLOW static __attribute__((noinline))

static inline hvc_fp_s hvc_fp_in_s(uint64_t raw)
{
    uint32_t bits = hvc_fp_unbox(raw);
    hvc_fp_s x;

    __builtin_memcpy(&x, &bits, sizeof(x));
    HVC_FP_PIN(x);
    return x;
}

static inline hvc_fp_d hvc_fp_in_d(uint64_t raw)
{
    hvc_fp_d x;

    __builtin_memcpy(&x, &raw, sizeof(x));
    HVC_FP_PIN(x);
    return x;
}

/* NaNs become canonical: a host hands on payloads. */
static inline uint64_t hvc_fp_out_s(hvc_fp_s x)
{
    uint32_t bits;

    HVC_FP_PIN(x);
    __builtin_memcpy(&bits, &x, sizeof(bits));
    return hvc_fp_box(bits << 1 > 0xff000000u ? HVC_FP_NAN_S : bits);
}

static inline uint64_t hvc_fp_out_d(hvc_fp_d x)
{
    uint64_t bits;

    HVC_FP_PIN(x);
    __builtin_memcpy(&bits, &x, sizeof(bits));
    return bits << 1 > UINT64_C(0xffe0000000000000) ? HVC_FP_NAN_D : bits;
}

/*
 * Is UF in doubt? A result that is not above the smallest normal number, where the host looks at it
 * before rounding.
 */
static inline bool hvc_fp_edge_s(uint64_t raw)
{
    return HVC_FP_TINY_BEFORE && (uint32_t)raw << 1 <= 0x01000000u;
}

static inline bool hvc_fp_edge_d(uint64_t raw)
{
    return HVC_FP_TINY_BEFORE && raw << 1 <= UINT64_C(0x0020000000000000);
}

#endif
