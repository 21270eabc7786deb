/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux KVM's numbers that are newer than the oldest headers this builds with (Linux 6.1), each
 * with the version of the kernel that brought it. Where the build machine's headers have a number,
 * the two are asserted equal (uapi.c).
 */
#ifndef HVC_KVM_UAPI_H
#define HVC_KVM_UAPI_H

#include <linux/kvm.h>
#include <stdint.h>

/* X(ours, value, theirs without its prefix KVM_) */
#define HVC_KVM_NUMBERS(X)                                      \
    X(CAP_ARM_SUPPORTED_REG_MASK_RANGES, 230) /* 6.7, arm64 */  \
    X(CAP_ARM_EL2, 240)                       /* 6.16, arm64 */ \
    X(DEV_ARM_VGIC_GRP_MAINT_IRQ, 9)          /* 6.16, arm64 */ \
    X(EXIT_MEMORY_FAULT, 39)                  /* 6.8 */         \
    X(EXIT_ARM_SEA, 41)                       /* 7.0, arm64 */  \
    X(EXIT_ARM_LDST64B, 42)                   /* 7.1, arm64 */

enum hvc_kvm_number {
#define HVC_KVM_NUMBER(name, value) HVC_KVM_##name = (value),
    HVC_KVM_NUMBERS(HVC_KVM_NUMBER)
#undef HVC_KVM_NUMBER
};

/* Members of the union in struct kvm_run; the union begins at byte 32. */
enum { HVC_KVM_RUN_UNION = 32 };
typedef struct hvc_kvm_memory_fault { /* 6.8 */
    uint64_t flags;
    uint64_t gpa;
    uint64_t size;
} hvc_kvm_memory_fault;
typedef struct hvc_kvm_arm_sea { /* 7.0 */
    uint64_t flags;
    uint64_t esr;
    uint64_t gva;
    uint64_t gpa;
} hvc_kvm_arm_sea;

/* KVM_ARM_GET_REG_WRITABLE_MASKS, 6.7 */
typedef struct hvc_kvm_reg_mask_range {
    uint64_t addr; /* of uint64_t[3 * 64]: op1 0, 1, 3, then CRm, op2 */
    uint32_t range;
    uint32_t reserved[13];
} hvc_kvm_reg_mask_range;
#define HVC_KVM_ARM_GET_REG_WRITABLE_MASKS _IOR(KVMIO, 0xb6, hvc_kvm_reg_mask_range)

/* SMCCC filter, 6.4: a VM attribute, arm64 */
typedef struct hvc_kvm_smccc_filter {
    uint32_t base;
    uint32_t nr_functions;
    uint8_t action;
    uint8_t pad[15];
} hvc_kvm_smccc_filter;
enum { HVC_KVM_ARM_VM_SMCCC_CTRL = 0, HVC_KVM_ARM_VM_SMCCC_FILTER = 0 };
enum {
    HVC_KVM_SMCCC_FILTER_HANDLE = 0,
    HVC_KVM_SMCCC_FILTER_DENY = 1,
    HVC_KVM_SMCCC_FILTER_FWD = 2
};

/* vCPU features, arm64 */
enum { HVC_KVM_ARM_VCPU_HAS_EL2 = 7 }; /* 6.16 */

/*
 * riscv64. "6.12" stands for: not in 6.1, and in 6.12 (the exact version has not been looked up);
 * KVM_GET_ONE_REG says ENOENT where a kernel has no such register.
 */
#define HVC_KVM_RISCV_NUMBERS(X)                                                  \
    X(CONFIG_MVENDORID, 2)       /* 6.12; positions in struct kvm_riscv_config */ \
    X(CONFIG_MARCHID, 3)         /* 6.12 */                                       \
    X(CONFIG_MIMPID, 4)          /* 6.12 */                                       \
    X(CONFIG_ZICBOZ, 5)          /* 6.12 */                                       \
    X(CONFIG_SATP_MODE, 6)       /* 6.12 */                                       \
    X(CONFIG_ZICBOP, 7)          /* 7.2 */                                        \
    X(CSR_SENVCFG, 10)           /* 6.12; position in struct kvm_riscv_csr */     \
    X(ISA_ZICBOZ, 12)            /* 6.12; KVM_RISCV_ISA_EXT_* */                  \
    X(ISA_ZBB, 13)               /* 6.12 */                                       \
    X(ISA_SVNAPOT, 16)           /* 6.12 */                                       \
    X(ISA_ZBA, 17)               /* 6.12 */                                       \
    X(ISA_ZBS, 18)               /* 6.12 */                                       \
    X(ISA_SVADU, 65)             /* 7.2 */                                        \
    X(SBI_DBCN, 9)               /* 6.12; KVM_RISCV_SBI_EXT_* */                  \
    X(TYPE_SBI_EXT, 0x8000000)   /* 6.12; KVM_REG_RISCV_* */                      \
    X(TYPE_SBI_STATE, 0xa000000) /* 6.12 */                                       \
    X(STATE_FWFT, 0x10000)       /* 7.2 */                                        \
    X(DEV_TYPE_AIA, 11)          /* 6.12 */                                       \
    X(AIA_GRP_CONFIG, 0)         /* 6.12; KVM_DEV_RISCV_AIA_* */                  \
    X(AIA_CONFIG_IDS, 1)         /* 6.12 */                                       \
    X(AIA_CONFIG_SRCS, 2)        /* 6.12 */                                       \
    X(AIA_CONFIG_HART_BITS, 5)   /* 6.12 */                                       \
    X(AIA_CONFIG_GUEST_BITS, 6)  /* 6.12 */                                       \
    X(AIA_GRP_ADDR, 1)           /* 6.12; 0 the APLIC, 1 + n IMSIC n */           \
    X(AIA_GRP_CTRL, 2)           /* 6.12 */                                       \
    X(AIA_CTRL_INIT, 0)          /* 6.12 */

enum hvc_kvm_riscv_number {
#define HVC_KVM_RISCV_NUMBER(name, value) HVC_KVM_RISCV_##name = (value),
    HVC_KVM_RISCV_NUMBERS(HVC_KVM_RISCV_NUMBER)
#undef HVC_KVM_RISCV_NUMBER
};

#endif
