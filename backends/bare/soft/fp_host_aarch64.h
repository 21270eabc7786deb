/* SPDX-License-Identifier: Apache-2.0 */
/* AArch64: FPCR and FPSR (DDI0487 C5.2). Included by fp_host.h alone. */
#ifndef HVC_SOFT_FP_HOST_AARCH64_H
#define HVC_SOFT_FP_HOST_AARCH64_H

#include <stdint.h>

#define HVC_FP_HOST 1
#define HVC_FP_TINY_BEFORE 1 /* DDI0487 A1.5.10 */
#define HVC_FP_PIN(x) __asm__ volatile("" : "+w"(x))

/* No traps, no FZ, AH 0. RMode, bits 23:22: nearest, plus infinity, minus infinity, zero. */
#define HVC_FP_FPCR(rm) ((uint64_t)(0x1230u >> 4 * (rm)&3) << 22)
#define HVC_FP_FPSR_FLAGS UINT64_C(0x9f)

static inline void hvc_fp_host_save(uint64_t saved[2])
{
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved[0]));
    __asm__ volatile("mrs %0, fpsr" : "=r"(saved[1]));
}

static inline void hvc_fp_host_restore(const uint64_t saved[2])
{
    __asm__ volatile("msr fpcr, %0" : : "r"(saved[0]));
    __asm__ volatile("msr fpsr, %0" : : "r"(saved[1]));
}

static inline void hvc_fp_host_round(uint32_t rm)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(HVC_FP_FPCR(rm)));
}

static inline void hvc_fp_host_clean(uint32_t rm)
{
    hvc_fp_host_round(rm);
    __asm__ volatile("msr fpsr, xzr");
}

/*
 * The flags, as fflags; forgets them. IOC 0, DZC 1, OFC 2, UFC 3, IXC 4. UFC is not used: it may
 * come from a result that is not tiny after rounding; the true ones are raised in integers.
 */
static inline uint32_t hvc_fp_host_flags(void)
{
    uint64_t value;

    __asm__ volatile("mrs %0, fpsr" : "=r"(value));
    if (!(value & HVC_FP_FPSR_FLAGS))
        return 0;
    __asm__ volatile("msr fpsr, %0" : : "r"(value & ~HVC_FP_FPSR_FLAGS));
    return (uint32_t)((value & 1) << 4 | (value & 2) << 2 | (value & 4) | (value & 16) >> 4);
}

static inline uint32_t hvc_fp_host_has_fma(void)
{
    return 1;
}

/* clang-format off */
#define HVC_FP_ARM(p, r) \
    static inline hvc_fp_##p hvc_fp_sqrt_##p(hvc_fp_##p x) \
    { \
        __asm__ volatile("fsqrt %" r "0, %" r "0" : "+w"(x)); \
        return x; \
    } \
    static inline hvc_fp_##p hvc_fp_fma_##p(hvc_fp_##p x, hvc_fp_##p y, hvc_fp_##p z) \
    { \
        __asm__ volatile("fmadd %" r "0, %" r "0, %" r "1, %" r "2" : "+w"(x) : "w"(y), "w"(z)); \
        return x; \
    }
/* clang-format on */
HVC_FP_ARM(s, "s")
HVC_FP_ARM(d, "d")

#endif
