/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of a vCPU. */
#ifndef HVCORE_REG_H
#define HVCORE_REG_H

#include <hvcore/vcpu.h>

HVCORE_BEGIN

/**
 * The number of a register: class << 24 | index << 8 | width in bytes. Stable for ever.
 *
 * riscv64: class 1 holds x0 to x31 (index 0 to 31) and pc (index 32); class 2 fcsr, the guest's
 * supervisor and hypervisor-owned CSRs, the index is the CSR number (Priv. chapter 2); class 3 the
 * mode (index 0: HVCORE_RISCV64_VU or _VS); class 4 f0 to f31. A guest's own sstatus is vsstatus,
 * and so on. hvip holds what is pending: a bit that a line drives (hvcore_vcpu_irq(), the interrupt
 * controller) is set whatever is written.
 */
typedef uint32_t hvcore_reg;

/** Register classes. */
enum hvcore_reg_class {
    HVCORE_REG_GPR = 1,
    HVCORE_REG_CSR = 2,
    HVCORE_REG_MODE = 3,
    HVCORE_REG_FPR = 4
};

/** Numbers of some riscv64 registers; X0 + (n << 8) is x register n, F0 + (n << 8) f register n. */
enum hvcore_reg_riscv64 {
    HVCORE_REG_RISCV64_X0 = 0x01000008,
    HVCORE_REG_RISCV64_RA = 0x01000108,
    HVCORE_REG_RISCV64_SP = 0x01000208,
    HVCORE_REG_RISCV64_A0 = 0x01000a08,
    HVCORE_REG_RISCV64_A1 = 0x01000b08,
    HVCORE_REG_RISCV64_PC = 0x01002008,
    HVCORE_REG_RISCV64_MODE = 0x03000008,
    HVCORE_REG_RISCV64_VSSTATUS = 0x02020008,
    HVCORE_REG_RISCV64_VSTVEC = 0x02020508,
    HVCORE_REG_RISCV64_VSEPC = 0x02024108,
    HVCORE_REG_RISCV64_VSCAUSE = 0x02024208,
    HVCORE_REG_RISCV64_VSTVAL = 0x02024308,
    HVCORE_REG_RISCV64_VSATP = 0x02028008,
    HVCORE_REG_RISCV64_VSIE = 0x02020408,
    HVCORE_REG_RISCV64_HVIP = 0x02064508,
    HVCORE_REG_RISCV64_VSTIMECMP = 0x02024d08,
    HVCORE_REG_RISCV64_FCSR = 0x02000308,
    HVCORE_REG_RISCV64_F0 = 0x04000008
};

/**
 * Read a 64-bit register. A completed exit is settled first.
 *
 * Thread: owner. Errors: E_INVAL, E_NOTFOUND (no such register), E_TYPE (the width in the number is
 * not the register's), E_UNSUPPORTED (f0 to f31 and fcsr of a guest without F and D), E_BUSY (it
 * runs). Since: 0.1.
 */
HVCORE_API int hvcore_reg_get_u64(hvcore_vcpu *vcpu, hvcore_reg reg, uint64_t *value);

/**
 * Write a 64-bit register. A completed exit is settled first. Bits that the hardware does not have
 * are dropped, as by a CSR write; writing x0 does nothing. Setting pc at an exit that needs no
 * completion abandons the instruction's own step.
 *
 * Thread: owner. Errors: as hvcore_reg_get_u64(); E_RANGE (a mode that does not exist, an odd
 * pc), E_STATE (pc, while an exit waits for its completion), E_UNSUPPORTED (a register that only
 * the host writes). Since: 0.1.
 */
HVCORE_API int hvcore_reg_set_u64(hvcore_vcpu *vcpu, hvcore_reg reg, uint64_t value);

/**
 * Read `n` registers. `*done` (NULL allowed) is how many were read before an error.
 *
 * Thread: owner. Errors: as hvcore_reg_get_u64(). Since: 0.1.
 */
HVCORE_API int hvcore_regs_get(hvcore_vcpu *vcpu, const hvcore_reg *regs, uint64_t *values,
                               size_t n, size_t *done);

/**
 * Write `n` registers. `*done` (NULL allowed) is how many were written before an error.
 *
 * Thread: owner. Errors: as hvcore_reg_set_u64(). Since: 0.1.
 */
HVCORE_API int hvcore_regs_set(hvcore_vcpu *vcpu, const hvcore_reg *regs, const uint64_t *values,
                               size_t n, size_t *done);

/**
 * The name of a register ("a0", "pc", "vsatp"), or NULL if there is none. Static.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API const char *hvcore_reg_name(uint32_t arch, hvcore_reg reg);

/**
 * The register of a name ("a0" and "x10" alike).
 *
 * Thread: any. Errors: E_INVAL, E_NOTFOUND. Since: 0.1.
 */
HVCORE_API int hvcore_reg_parse(uint32_t arch, const char *name, hvcore_reg *reg);

/**
 * The register number `index` (0, 1, ...) of an architecture, for listing them all; 0 past the end.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_reg hvcore_reg_at(uint32_t arch, uint32_t index);

HVCORE_END
#endif
