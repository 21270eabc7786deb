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
 * controller) is set whatever is written. On kvm there are also vsip (0x244) and time (0xc01), but
 * neither hvip nor henvcfg; class 7 what the kernel makes of the hart (HVCORE_REG_CONFIG_*), to be
 * read only; classes 8 and 9, the index is the kernel's number of an extension of the ISA
 * (KVM_RISCV_ISA_EXT_*) or of SBI (KVM_RISCV_SBI_EXT_*): 1 if the guest has it, 0 if not, and no
 * such register if the host has not; writable before the first run as far as the kernel lets one.
 *
 * arm64: class 1 holds x0 to x30, then sp_el0 (31), pc (32), pstate (33), sp_el1 (34); class 2 the
 * system registers, the index is op0 << 14 | op1 << 11 | CRn << 7 | CRm << 3 | op2 (DDI0487
 * C5.1.2); class 4 v0 to v31 (16 bytes), fpsr (32), fpcr (33).
 *
 * x86_64: class 1 holds rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15 (the order of their
 * encoding), rip (16), rflags (17); class 2 control registers (cr0, cr2, cr3, cr4, cr8 by number,
 * efer (16)); class 5 segment registers: index 4 * n + part, n: es, cs, ss, ds, fs, gs, tr, ldtr,
 * gdtr, idtr, part: HVCORE_REG_SEG_*; class 6 MSRs: the index is the number below 0x2000, or
 * 0x2000 + (number - 0xc0000000).
 */
typedef uint32_t hvcore_reg;

/** Register classes. */
enum hvcore_reg_class {
    HVCORE_REG_GPR = 1,
    HVCORE_REG_CSR = 2,
    HVCORE_REG_MODE = 3,
    HVCORE_REG_FPR = 4,
    HVCORE_REG_SEG = 5,
    HVCORE_REG_MSR = 6,
    HVCORE_REG_CONFIG = 7, /**< riscv64, kvm: HVCORE_REG_CONFIG_* */
    HVCORE_REG_ISA = 8,    /**< riscv64, kvm: an extension of the ISA, by the kernel's number */
    HVCORE_REG_SBI = 9,    /**< riscv64, kvm: an extension of SBI, by the kernel's number */
    HVCORE_REG_STATE = 10  /**< kvm: index 0: what the vCPU is doing, as Linux numbers it
                                (KVM_MP_STATE_*): 0 runnable, 1 and 2 not started yet (x86_64), 3
                                halted, 5 stopped, 10 suspended */
};

/** kvm: what the vCPU is doing, on every architecture. */
enum hvcore_reg_state { HVCORE_REG_MP_STATE = 0x0a000008 };

/** What the hart of a riscv64 guest on kvm is: indices of class HVCORE_REG_CONFIG. */
enum hvcore_reg_config {
    HVCORE_REG_CONFIG_ISA = 0,       /**< single-letter extensions, as in misa: bit 0 is A */
    HVCORE_REG_CONFIG_TIMEBASE = 1,  /**< ticks of `time` a second */
    HVCORE_REG_CONFIG_ZICBOM = 2,    /**< bytes of a block of Zicbom, if the host has it */
    HVCORE_REG_CONFIG_ZICBOZ = 3,    /**< of Zicboz */
    HVCORE_REG_CONFIG_ZICBOP = 4,    /**< of Zicbop */
    HVCORE_REG_CONFIG_SATP_MODE = 5, /**< the largest satp.MODE: 8 Sv39, 9 Sv48, 10 Sv57 */
    HVCORE_REG_CONFIG_MVENDORID = 6, /**< of the host, as SBI tells the guest */
    HVCORE_REG_CONFIG_MARCHID = 7,
    HVCORE_REG_CONFIG_MIMPID = 8,
    HVCORE_REG_CONFIG_IMSIC_IDS = 9 /**< interrupt identities of the kernel's IMSICs, once there is
                                          HVCORE_IRQCHIP_AIA */
};

/** Parts of an x86_64 segment register; gdtr and idtr have base and limit only. */
enum hvcore_reg_seg {
    HVCORE_REG_SEG_SELECTOR = 0,
    HVCORE_REG_SEG_BASE = 1,
    HVCORE_REG_SEG_LIMIT = 2,
    HVCORE_REG_SEG_FLAGS = 3 /**< type (3:0), S (4), DPL (6:5), P (7), AVL (12), L (13), DB (14),
                                  G (15): as in a descriptor's upper half, from bit 8 on */
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

/** Numbers of some arm64 registers; X0 + (n << 8) is x register n. */
enum hvcore_reg_arm64 {
    HVCORE_REG_ARM64_X0 = 0x01000008,
    HVCORE_REG_ARM64_SP_EL0 = 0x01001f08,
    HVCORE_REG_ARM64_PC = 0x01002008,
    HVCORE_REG_ARM64_PSTATE = 0x01002108,
    HVCORE_REG_ARM64_SP_EL1 = 0x01002208,
    HVCORE_REG_ARM64_SCTLR_EL1 = 0x02c08008,
    HVCORE_REG_ARM64_VBAR_EL1 = 0x02c60008,
    HVCORE_REG_ARM64_ID_AA64ISAR2_EL1 = 0x02c03208,
    HVCORE_REG_ARM64_CNTV_CTL_EL0 = 0x02df1908,
    HVCORE_REG_ARM64_CNTV_CVAL_EL0 = 0x02df1a08,
    HVCORE_REG_ARM64_V0 = 0x04000010
};

/** Numbers of some x86_64 registers. */
enum hvcore_reg_x86_64 {
    HVCORE_REG_X86_64_RAX = 0x01000008,
    HVCORE_REG_X86_64_RCX = 0x01000108,
    HVCORE_REG_X86_64_RDX = 0x01000208,
    HVCORE_REG_X86_64_RBX = 0x01000308,
    HVCORE_REG_X86_64_RSP = 0x01000408,
    HVCORE_REG_X86_64_RBP = 0x01000508,
    HVCORE_REG_X86_64_RSI = 0x01000608,
    HVCORE_REG_X86_64_RDI = 0x01000708,
    HVCORE_REG_X86_64_R8 = 0x01000808,
    HVCORE_REG_X86_64_RIP = 0x01001008,
    HVCORE_REG_X86_64_RFLAGS = 0x01001108,
    HVCORE_REG_X86_64_CR0 = 0x02000008,
    HVCORE_REG_X86_64_CR3 = 0x02000308,
    HVCORE_REG_X86_64_CR4 = 0x02000408,
    HVCORE_REG_X86_64_EFER = 0x02001008,
    HVCORE_REG_X86_64_ES = 0x05000008, /**< selector; + 0x100 base, + 0x200 limit, + 0x300 flags */
    HVCORE_REG_X86_64_CS = 0x05000408,
    HVCORE_REG_X86_64_SS = 0x05000808,
    HVCORE_REG_X86_64_DS = 0x05000c08,
    HVCORE_REG_X86_64_TSC = 0x06001008
};

/**
 * Read a 64-bit register. A completed exit is settled first.
 *
 * Thread: owner. Errors: E_INVAL, E_NOTFOUND (no such register), E_TYPE (the width in the number is
 * not the register's), E_UNSUPPORTED (f0 to f31 and fcsr of a guest without F and D), E_BUSY (it
 * runs), E_SYS (kvm). Since: 0.1.
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
 * Read a register of 1 to 16 bytes: `*value` is its bytes, little-endian, the rest zero.
 *
 * Thread: owner. Errors: as hvcore_reg_get_u64(). Since: 0.1.
 */
HVCORE_API int hvcore_reg_get_bytes(hvcore_vcpu *vcpu, hvcore_reg reg, uint8_t value[16]);

/**
 * Write a register of 1 to 16 bytes.
 *
 * Thread: owner. Errors: as hvcore_reg_set_u64(). Since: 0.1.
 */
HVCORE_API int hvcore_reg_set_bytes(hvcore_vcpu *vcpu, hvcore_reg reg, const uint8_t value[16]);

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
