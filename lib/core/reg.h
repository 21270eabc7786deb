/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about register numbers that more than one file needs. */
#ifndef HVC_REG_H
#define HVC_REG_H

#include <stdbool.h>

#include <hvcore/reg.h>

/* The program counter of an architecture. */
static inline hvcore_reg hvc_reg_pc(uint32_t arch)
{
    static const hvcore_reg pc[] = {
        [HVCORE_ARCH_X86_64] = HVCORE_REG_X86_64_RIP,
        [HVCORE_ARCH_ARM64] = HVCORE_REG_ARM64_PC,
        [HVCORE_ARCH_RISCV64] = HVCORE_REG_RISCV64_PC,
    };
    return pc[arch];
}

static inline bool hvc_reg_is_pc(uint32_t arch, hvcore_reg reg)
{
    return reg == hvc_reg_pc(arch);
}

#endif
