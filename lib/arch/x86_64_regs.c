/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/arch/regs.h"

#define REG(class, index) ((uint32_t)(class) << 24 | (uint32_t)(index) << 8 | 8)
#define GPR(n, name)                 \
    {                                \
        REG(HVCORE_REG_GPR, n), name \
    }
#define CR(n, name)                  \
    {                                \
        REG(HVCORE_REG_CSR, n), name \
    }
#define MSR(n, name)                 \
    {                                \
        REG(HVCORE_REG_MSR, n), name \
    }
/* clang-format off */
#define TABLE(n, seg) {REG(HVCORE_REG_SEG, 4 * (n) + HVCORE_REG_SEG_BASE), seg "_base"}, \
                      {REG(HVCORE_REG_SEG, 4 * (n) + HVCORE_REG_SEG_LIMIT), seg "_limit"}
#define SEG(n, seg) {REG(HVCORE_REG_SEG, 4 * (n) + HVCORE_REG_SEG_SELECTOR), seg}, \
                    TABLE(n, seg), \
                    {REG(HVCORE_REG_SEG, 4 * (n) + HVCORE_REG_SEG_FLAGS), seg "_flags"}
#define HIGH(n) (0x2000 + (n)) /* of MSRs from 0xc0000000 on */

/* MSRs: Intel SDM volume 4, AMD APM volume 2, appendix A. */
const hvc_reg_name hvc_x86_64_regs[] = {
    GPR(0, "rax"), GPR(1, "rcx"), GPR(2, "rdx"), GPR(3, "rbx"), GPR(4, "rsp"), GPR(5, "rbp"),
    GPR(6, "rsi"), GPR(7, "rdi"), GPR(8, "r8"), GPR(9, "r9"), GPR(10, "r10"), GPR(11, "r11"),
    GPR(12, "r12"), GPR(13, "r13"), GPR(14, "r14"), GPR(15, "r15"), GPR(16, "rip"),
    GPR(17, "rflags"),
    CR(0, "cr0"), CR(2, "cr2"), CR(3, "cr3"), CR(4, "cr4"), CR(8, "cr8"), CR(16, "efer"),
    SEG(0, "es"), SEG(1, "cs"), SEG(2, "ss"), SEG(3, "ds"),
    SEG(4, "fs"), SEG(5, "gs"), SEG(6, "tr"), SEG(7, "ldtr"),
    TABLE(8, "gdtr"), TABLE(9, "idtr"),
    MSR(0x10, "tsc"), MSR(0x1b, "apic_base"), MSR(0x174, "sysenter_cs"),
    MSR(0x175, "sysenter_esp"), MSR(0x176, "sysenter_eip"), MSR(0x277, "pat"),
    MSR(HIGH(0x81), "star"), MSR(HIGH(0x82), "lstar"), MSR(HIGH(0x83), "cstar"),
    MSR(HIGH(0x84), "syscall_mask"), MSR(HIGH(0x102), "kernel_gs_base"),
    MSR(HIGH(0x103), "tsc_aux"),
};
/* clang-format on */
const uint32_t hvc_x86_64_reg_count = sizeof(hvc_x86_64_regs) / sizeof(hvc_x86_64_regs[0]);
