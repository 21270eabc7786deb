/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the registers of architectures whose registers a kernel has; pure data. */
#ifndef HVC_ARCH_REGS_H
#define HVC_ARCH_REGS_H

#include <hvcore/reg.h>

typedef struct hvc_reg_name {
    hvcore_reg reg;
    const char *name;
} hvc_reg_name;

extern const hvc_reg_name hvc_x86_64_regs[], hvc_arm64_regs[];
extern const uint32_t hvc_x86_64_reg_count, hvc_arm64_reg_count;

#endif
