/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/arch/regs.h"

#define REG(class, index, width) ((uint32_t)(class) << 24 | (uint32_t)(index) << 8 | (width))
#define GPR(n, name)                    \
    {                                   \
        REG(HVCORE_REG_GPR, n, 8), name \
    }
#define V(n)                               \
    {                                      \
        REG(HVCORE_REG_FPR, n, 16), "v" #n \
    }
/* DDI0487 C5.1.2; the encodings of the rows: D24.2, D24.10 */
#define SYS(name, op0, op1, crn, crm, op2)                                                        \
    {                                                                                             \
        REG(HVCORE_REG_CSR, (op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2), 8), name \
    }

/* clang-format off */
const hvc_reg_name hvc_arm64_regs[] = {
    GPR(0, "x0"), GPR(1, "x1"), GPR(2, "x2"), GPR(3, "x3"), GPR(4, "x4"), GPR(5, "x5"),
    GPR(6, "x6"), GPR(7, "x7"), GPR(8, "x8"), GPR(9, "x9"), GPR(10, "x10"), GPR(11, "x11"),
    GPR(12, "x12"), GPR(13, "x13"), GPR(14, "x14"), GPR(15, "x15"), GPR(16, "x16"),
    GPR(17, "x17"), GPR(18, "x18"), GPR(19, "x19"), GPR(20, "x20"), GPR(21, "x21"),
    GPR(22, "x22"), GPR(23, "x23"), GPR(24, "x24"), GPR(25, "x25"), GPR(26, "x26"),
    GPR(27, "x27"), GPR(28, "x28"), GPR(29, "x29"), GPR(30, "x30"),
    GPR(31, "sp_el0"), GPR(32, "pc"), GPR(33, "pstate"), GPR(34, "sp_el1"),
    SYS("midr_el1", 3, 0, 0, 0, 0),
    SYS("mpidr_el1", 3, 0, 0, 0, 5),
    SYS("id_aa64pfr0_el1", 3, 0, 0, 4, 0),
    SYS("id_aa64pfr1_el1", 3, 0, 0, 4, 1),
    SYS("id_aa64dfr0_el1", 3, 0, 0, 5, 0),
    SYS("id_aa64isar0_el1", 3, 0, 0, 6, 0),
    SYS("id_aa64isar1_el1", 3, 0, 0, 6, 1),
    SYS("id_aa64isar2_el1", 3, 0, 0, 6, 2),
    SYS("id_aa64mmfr0_el1", 3, 0, 0, 7, 0),
    SYS("id_aa64mmfr1_el1", 3, 0, 0, 7, 1),
    SYS("id_aa64mmfr2_el1", 3, 0, 0, 7, 2),
    SYS("sctlr_el1", 3, 0, 1, 0, 0),
    SYS("actlr_el1", 3, 0, 1, 0, 1),
    SYS("cpacr_el1", 3, 0, 1, 0, 2),
    SYS("ttbr0_el1", 3, 0, 2, 0, 0),
    SYS("ttbr1_el1", 3, 0, 2, 0, 1),
    SYS("tcr_el1", 3, 0, 2, 0, 2),
    SYS("spsr_el1", 3, 0, 4, 0, 0),
    SYS("elr_el1", 3, 0, 4, 0, 1),
    SYS("afsr0_el1", 3, 0, 5, 1, 0),
    SYS("afsr1_el1", 3, 0, 5, 1, 1),
    SYS("esr_el1", 3, 0, 5, 2, 0),
    SYS("far_el1", 3, 0, 6, 0, 0),
    SYS("par_el1", 3, 0, 7, 4, 0),
    SYS("mair_el1", 3, 0, 10, 2, 0),
    SYS("amair_el1", 3, 0, 10, 3, 0),
    SYS("vbar_el1", 3, 0, 12, 0, 0),
    SYS("contextidr_el1", 3, 0, 13, 0, 1),
    SYS("tpidr_el1", 3, 0, 13, 0, 4),
    SYS("cntkctl_el1", 3, 0, 14, 1, 0),
    SYS("csselr_el1", 3, 2, 0, 0, 0),
    SYS("ctr_el0", 3, 3, 0, 0, 1),
    SYS("tpidr_el0", 3, 3, 13, 0, 2),
    SYS("tpidrro_el0", 3, 3, 13, 0, 3),
    SYS("cntv_ctl_el0", 3, 3, 14, 3, 1),
    SYS("cntv_cval_el0", 3, 3, 14, 3, 2),
    SYS("cntvct_el0", 3, 3, 14, 0, 2),
    SYS("mdscr_el1", 2, 0, 0, 2, 2),
    V(0), V(1), V(2), V(3), V(4), V(5), V(6), V(7), V(8), V(9), V(10), V(11), V(12), V(13),
    V(14), V(15), V(16), V(17), V(18), V(19), V(20), V(21), V(22), V(23), V(24), V(25), V(26),
    V(27), V(28), V(29), V(30), V(31),
    {REG(HVCORE_REG_FPR, 32, 4), "fpsr"}, {REG(HVCORE_REG_FPR, 33, 4), "fpcr"},
};
/* clang-format on */
const uint32_t hvc_arm64_reg_count = sizeof(hvc_arm64_regs) / sizeof(hvc_arm64_regs[0]);
