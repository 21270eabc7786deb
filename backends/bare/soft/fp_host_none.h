/* SPDX-License-Identifier: Apache-2.0 */
/* No FPU that this code knows: everything in integers. Included by fp_host.h alone. */
#ifndef HVC_SOFT_FP_HOST_NONE_H
#define HVC_SOFT_FP_HOST_NONE_H

#include <stdint.h>

#define HVC_FP_HOST 0
#define HVC_FP_TINY_BEFORE 0
#define HVC_FP_PIN(x) (void)(x)

static inline void hvc_fp_host_save(uint64_t saved[2])
{
    (void)saved;
}

static inline void hvc_fp_host_restore(const uint64_t saved[2])
{
    (void)saved;
}

static inline void hvc_fp_host_round(uint32_t rm)
{
    (void)rm;
}

static inline void hvc_fp_host_clean(uint32_t rm)
{
    (void)rm;
}

static inline uint32_t hvc_fp_host_flags(void)
{
    return 0;
}

static inline uint32_t hvc_fp_host_has_fma(void)
{
    return 0;
}

#define HVC_FP_NONE(p)                                                                \
    static inline hvc_fp_##p hvc_fp_sqrt_##p(hvc_fp_##p x)                            \
    {                                                                                 \
        return x;                                                                     \
    }                                                                                 \
    static inline hvc_fp_##p hvc_fp_fma_##p(hvc_fp_##p x, hvc_fp_##p y, hvc_fp_##p z) \
    {                                                                                 \
        return x * y + z;                                                             \
    }
HVC_FP_NONE(s)
HVC_FP_NONE(d)

#endif
