/* SPDX-License-Identifier: Apache-2.0 */
/* x86-64: SSE2, its MXCSR (Intel SDM volume 1, 10.2.3), FMA3. Included by fp_host.h alone. */
#ifndef HVC_SOFT_FP_HOST_X86_64_H
#define HVC_SOFT_FP_HOST_X86_64_H

#include <stdint.h>

#define HVC_FP_HOST 1
#define HVC_FP_TINY_BEFORE 0 /* SDM 4.9.1.5: tininess after rounding */
#define HVC_FP_PIN(x) __asm__ volatile("" : "+x"(x))

/* All exceptions masked; no FTZ, no DAZ. RC: nearest, down, up, towards zero. */
#define HVC_FP_MXCSR(rm) (0x1f80u | (uint32_t)((0x2130u >> 4 * (rm)&3) << 13))
#define HVC_FP_MXCSR_FLAGS 0x3fu

static inline uint32_t hvc_fp_mxcsr(void)
{
    uint32_t value;
    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}

static inline void hvc_fp_mxcsr_set(uint32_t value)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(value));
}

static inline void hvc_fp_host_save(uint64_t saved[2])
{
    saved[0] = hvc_fp_mxcsr();
}

static inline void hvc_fp_host_restore(const uint64_t saved[2])
{
    hvc_fp_mxcsr_set((uint32_t)saved[0]);
}

static inline void hvc_fp_host_clean(uint32_t rm)
{
    hvc_fp_mxcsr_set(HVC_FP_MXCSR(rm));
}

static inline void hvc_fp_host_round(uint32_t rm)
{
    hvc_fp_mxcsr_set(HVC_FP_MXCSR(rm) | (hvc_fp_mxcsr() & HVC_FP_MXCSR_FLAGS));
}

/*
 * The flags, as fflags; forgets them. IE 0, ZE 2, OE 3, UE 4, PE 5 (DE, 1, RISC-V does not have).
 */
static inline uint32_t hvc_fp_host_flags(void)
{
    uint32_t value = hvc_fp_mxcsr(), flags = value & HVC_FP_MXCSR_FLAGS;

    if (!flags)
        return 0;
    hvc_fp_mxcsr_set(value & ~HVC_FP_MXCSR_FLAGS);
    return (flags & 1) << 4 | (flags & 4) << 1 | (flags & 8) >> 1 | (flags & 16) >> 3 | flags >> 5;
}

static inline uint32_t hvc_fp_host_has_fma(void)
{
    return __builtin_cpu_supports("fma") != 0;
}

/* clang-format off */
#define HVC_FP_SQRT(p, insn) \
    static inline hvc_fp_##p hvc_fp_sqrt_##p(hvc_fp_##p x) \
    { \
        __asm__ volatile(insn " %0, %0" : "+x"(x)); \
        return x; \
    }
#define HVC_FP_FMA(p, insn) \
    static inline hvc_fp_##p hvc_fp_fma_##p(hvc_fp_##p x, hvc_fp_##p y, hvc_fp_##p z) \
    { \
        __asm__ volatile(insn " %2, %1, %0" : "+x"(x) : "x"(y), "x"(z)); \
        return x; \
    }
/* clang-format on */
HVC_FP_SQRT(s, "sqrtss")
HVC_FP_SQRT(d, "sqrtsd")
HVC_FP_FMA(s, "vfmadd213ss")
HVC_FP_FMA(d, "vfmadd213sd")

#endif
