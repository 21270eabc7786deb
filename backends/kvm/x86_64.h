/* SPDX-License-Identifier: Apache-2.0 */
/* What x86_64 keeps of a VM and of a vCPU. */
#ifndef HVC_KVM_X86_64_H
#define HVC_KVM_X86_64_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdint.h>

typedef struct hvc_kvm_arch_vm {
    uint32_t sync;            /* KVM_SYNC_X86_* that the kernel offers */
    uint32_t irqchip;         /* 1: KVM_CREATE_IRQCHIP is done, KVM_CREATE_PIT2 perhaps not */
    struct kvm_cpuid2 *cpuid; /* what the host supports, or NULL before the first vCPU */
} hvc_kvm_arch_vm;

typedef struct hvc_kvm_arch_vcpu {
    uint32_t have;     /* KVM_SYNC_X86_*: parts of kvm_run.s.regs that are the guest's */
    uint32_t unasked;  /* exits since a segment or control register was asked for */
    uint32_t io_index; /* of an IO exit: items that enter() has handed out */
    struct kvm_guest_debug debug;
    uint32_t moved; /* 1: registers have been set since the kernel was told of `debug` */
    _Atomic uint64_t vector[4]; /* interrupts that wait for the guest, without the kernel's APIC */
} hvc_kvm_arch_vcpu;

struct hvcore_bk_vcpu;
/* What has been set goes to the kernel now, not at the next KVM_RUN. 0 or an error. */
int hvc_kvm_x86_64_regs_flush(struct hvcore_bk_vcpu *v);
/* Which registers the next exit brings. */
void hvc_kvm_x86_64_regs_enter(struct hvcore_bk_vcpu *v);

#endif
