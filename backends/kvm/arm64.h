/* SPDX-License-Identifier: Apache-2.0 */
/* What the kvm backend keeps of an arm64 VM and of its vCPUs. */
#ifndef HVC_KVM_ARM64_H
#define HVC_KVM_ARM64_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <hvcore/event.h>

struct hvcore_bk_vcpu;

/* Exception classes (DDI0487 D24.2.40). */
enum {
    HVC_EC_SHIFT = 26,
    HVC_EC_DABT_LOWER = 0x24,
    HVC_EC_BREAKPOINT_LOWER = 0x30,
    HVC_EC_STEP_LOWER = 0x32,
    HVC_EC_WATCHPOINT_LOWER = 0x34,
    HVC_EC_BKPT32 = 0x38,
    HVC_EC_BRK64 = 0x3c
};

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

    struct kvm_guest_debug debug;
    uint64_t access_pc; /* of the access that a step goes over */
    bool stepped;       /* that step is to be told */
} hvc_kvm_arch_vcpu;

/* The guest has stopped there: pc goes into the event. */
int hvc_kvm_arm64_pc(struct hvcore_bk_vcpu *v, hvcore_event *event);
int hvc_kvm_arm64_debug_exit(struct hvcore_bk_vcpu *v, hvcore_event *event);

#endif
