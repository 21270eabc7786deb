/* SPDX-License-Identifier: Apache-2.0 */
/* What the kvm backend keeps of an arm64 VM and of its vCPUs. */
#ifndef HVC_KVM_ARM64_H
#define HVC_KVM_ARM64_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct hvc_kvm_arch_vm {
    uint32_t target;   /* KVM_ARM_PREFERRED_TARGET */
    uint32_t features; /* KVM_ARM_VCPU_* bits of every vCPU */
    uint32_t ipa_bits; /* of guest-physical addresses */
    bool el2;
    bool mops_hidden; /* by hvcore_vm_hide() */
} hvc_kvm_arch_vm;

typedef struct hvc_kvm_arch_vcpu {
    _Atomic uint32_t level; /* of IRQ and FIQ, a bit each; any thread */
    uint32_t driven;        /* what KVM has been told of it */
    bool has_run;
} hvc_kvm_arch_vcpu;

#endif
