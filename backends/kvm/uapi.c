/* SPDX-License-Identifier: Apache-2.0 */
/* Where the headers of the build machine have a number of uapi.h, it is the same one. */
#include "backends/kvm/uapi.h"

#include <stddef.h>

#define SAME(name) \
    _Static_assert(HVC_KVM_##name == KVM_##name, "uapi.h differs from <linux/kvm.h>: " #name)

#ifdef KVM_CAP_ARM_SUPPORTED_REG_MASK_RANGES
SAME(CAP_ARM_SUPPORTED_REG_MASK_RANGES);
#endif
#ifdef KVM_CAP_MEMORY_FAULT_INFO
SAME(EXIT_MEMORY_FAULT);
_Static_assert(offsetof(struct kvm_run, memory_fault) == HVC_KVM_RUN_UNION, "the union moved");
#endif
#ifdef KVM_CAP_ARM_EL2
SAME(CAP_ARM_EL2);
#endif
#ifdef KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ
SAME(DEV_ARM_VGIC_GRP_MAINT_IRQ);
#endif
#ifdef KVM_CAP_ARM_SEA_TO_USER
SAME(EXIT_ARM_SEA);
#endif
#ifdef KVM_EXIT_ARM_LDST64B
SAME(EXIT_ARM_LDST64B);
#endif

/* What has always been there. */
_Static_assert(offsetof(struct kvm_run, immediate_exit) == 1, "kvm_run has changed");
_Static_assert(offsetof(struct kvm_run, exit_reason) == 8, "kvm_run has changed");
_Static_assert(offsetof(struct kvm_run, mmio) == HVC_KVM_RUN_UNION, "kvm_run has changed");
_Static_assert(offsetof(struct kvm_run, kvm_valid_regs) == 288, "kvm_run has changed");

#ifdef __riscv
#define SAME_RISCV(ours, theirs) \
    _Static_assert((uint64_t)HVC_KVM_RISCV_##ours == (uint64_t)(theirs), "uapi.h differs: " #ours)

#ifdef KVM_DEV_TYPE_RISCV_AIA /* 6.12 has all of these */
SAME_RISCV(CONFIG_MVENDORID, KVM_REG_RISCV_CONFIG_REG(mvendorid));
SAME_RISCV(CONFIG_MARCHID, KVM_REG_RISCV_CONFIG_REG(marchid));
SAME_RISCV(CONFIG_MIMPID, KVM_REG_RISCV_CONFIG_REG(mimpid));
SAME_RISCV(CONFIG_ZICBOZ, KVM_REG_RISCV_CONFIG_REG(zicboz_block_size));
SAME_RISCV(ISA_ZICBOZ, KVM_RISCV_ISA_EXT_ZICBOZ);
SAME_RISCV(ISA_ZBB, KVM_RISCV_ISA_EXT_ZBB);
SAME_RISCV(DEV_TYPE_AIA, KVM_DEV_TYPE_RISCV_AIA);
SAME_RISCV(AIA_GRP_CONFIG, KVM_DEV_RISCV_AIA_GRP_CONFIG);
SAME_RISCV(AIA_CONFIG_IDS, KVM_DEV_RISCV_AIA_CONFIG_IDS);
SAME_RISCV(AIA_CONFIG_SRCS, KVM_DEV_RISCV_AIA_CONFIG_SRCS);
SAME_RISCV(AIA_CONFIG_HART_BITS, KVM_DEV_RISCV_AIA_CONFIG_HART_BITS);
SAME_RISCV(AIA_CONFIG_GUEST_BITS, KVM_DEV_RISCV_AIA_CONFIG_GUEST_BITS);
SAME_RISCV(AIA_GRP_ADDR, KVM_DEV_RISCV_AIA_GRP_ADDR);
SAME_RISCV(AIA_GRP_CTRL, KVM_DEV_RISCV_AIA_GRP_CTRL);
SAME_RISCV(AIA_CTRL_INIT, KVM_DEV_RISCV_AIA_CTRL_INIT);
#endif
#ifdef KVM_REG_RISCV_SBI_EXT
SAME_RISCV(TYPE_SBI_EXT, KVM_REG_RISCV_SBI_EXT);
#endif
#ifdef KVM_REG_RISCV_SBI_STATE
SAME_RISCV(TYPE_SBI_STATE, KVM_REG_RISCV_SBI_STATE);
SAME_RISCV(CONFIG_SATP_MODE, KVM_REG_RISCV_CONFIG_REG(satp_mode));
SAME_RISCV(CSR_SENVCFG, KVM_REG_RISCV_CSR_REG(senvcfg));
SAME_RISCV(ISA_SVNAPOT, KVM_RISCV_ISA_EXT_SVNAPOT);
SAME_RISCV(ISA_ZBA, KVM_RISCV_ISA_EXT_ZBA);
SAME_RISCV(ISA_ZBS, KVM_RISCV_ISA_EXT_ZBS);
SAME_RISCV(SBI_DBCN, KVM_RISCV_SBI_EXT_DBCN);
#endif
#ifdef KVM_REG_RISCV_SBI_FWFT
SAME_RISCV(STATE_FWFT, KVM_REG_RISCV_SBI_FWFT);
SAME_RISCV(CONFIG_ZICBOP, KVM_REG_RISCV_CONFIG_REG(zicbop_block_size));
SAME_RISCV(ISA_SVADU, KVM_RISCV_ISA_EXT_SVADU);
#endif
#endif
