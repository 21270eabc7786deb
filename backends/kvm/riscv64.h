/* SPDX-License-Identifier: Apache-2.0 */
/* What the kvm backend keeps of a riscv64 VM and of its vCPUs. */
#ifndef HVC_KVM_RISCV64_H
#define HVC_KVM_RISCV64_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct hvc_kvm_arch_vm {
    uint64_t isa;       /* hvcore_vm_opts.isa */
    uint32_t made;      /* vCPUs that the kernel has: it never gives one back */
    uint32_t imsic_ids; /* interrupt identities of an IMSIC; 0: the kernel has no AIA for this VM */
} hvc_kvm_arch_vm;

typedef struct hvc_kvm_arch_vcpu {
    uint32_t position;         /* the kernel counts IMSICs in the order the vCPUs were made */
    _Atomic uint32_t external; /* level of the external interrupt; any thread */
    uint32_t driven;           /* what KVM has been told of it */
} hvc_kvm_arch_vcpu;

/* Between the files of this architecture. */

/* Registers of the type CORE: pc is 0, x1 to x31 as they are numbered, the mode 32. */
#define HVC_KVM_RISCV64_CORE(n) \
    (KVM_REG_RISCV | KVM_REG_SIZE_U64 | (uint64_t)KVM_REG_RISCV_CORE | (uint64_t)(n))
#define HVC_KVM_RISCV64_MODE HVC_KVM_RISCV64_CORE(KVM_REG_RISCV_CORE_REG(mode))
#define HVC_KVM_RISCV64_CSR(name)                                     \
    (KVM_REG_RISCV | KVM_REG_SIZE_U64 | (uint64_t)KVM_REG_RISCV_CSR | \
     (uint64_t)KVM_REG_RISCV_CSR_REG(name))
#define HVC_KVM_RISCV64_ISA(n) \
    (KVM_REG_RISCV | KVM_REG_SIZE_U64 | (uint64_t)KVM_REG_RISCV_ISA_EXT | (uint64_t)(n))
#define HVC_KVM_RISCV64_SBI(n) \
    (KVM_REG_RISCV | KVM_REG_SIZE_U64 | (uint64_t)HVC_KVM_RISCV_TYPE_SBI_EXT | (uint64_t)(n))

#endif
