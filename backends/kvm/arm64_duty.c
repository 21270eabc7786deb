/* SPDX-License-Identifier: Apache-2.0 */
/* What this host's KVM does itself for arm64 guests, found out by looking. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "backends/kvm/kvm.h"

/* DDI0487 D24.2: fields of ID registers, 4 bits each */
enum { MOPS_SHIFT = 16 /* of ID_AA64ISAR2_EL1 */, PMSVER_SHIFT = 32 /* of ID_AA64DFR0_EL1 */ };
#define FIELD(value, shift) ((value) >> (shift)&0xf)
#define ISAR2 HVCORE_REG_ARM64_ID_AA64ISAR2_EL1
#define DFR0 0x02c02808 /* ID_AA64DFR0_EL1: 3, 0, 0, 5, 0 */

/* Where ID_AA64ISAR2_EL1 (op1 0, CRm 6, op2 2) stands among the masks, 8 a CRm (api.rst 4.139). */
enum { MASKS = 3 * 64, ISAR2_MASK = 6 * 8 + 2 };

static int said(hvcore_duty_info *info, uint32_t source, const char *why)
{
    info->source = source;
    hvc_format(info->why, sizeof(info->why), "%s", why);
    return 0;
}

static int read_reg(bk_vm *vm, hvcore_reg reg, uint64_t *value, hvcore_error *err)
{
    bk_vcpu *v = hvc_kvm_some_vcpu(vm);
    int rc = hvc_kvm_arch_reg_get(v, reg, value);
    return rc ? hvc_fail(err, -rc, HVCORE_DOMAIN_KVM, "An ID register (0x%x) cannot be read.", reg)
              : 0;
}

/* Does the kernel say which bits of ID registers it lets one write, and is MOPS among them? */
static bool masks(const bk_vm *vm, bool *mops)
{
    uint64_t mask[MASKS] = {0};
    hvc_kvm_reg_mask_range range = {.addr = hvc_kvm_address(mask)};
    *mops = false;
    if (!hvc_kvm_cap(vm->fd, HVC_KVM_CAP_ARM_SUPPORTED_REG_MASK_RANGES) ||
        hvc_kvm_ioctl(vm->fd, HVC_KVM_ARM_GET_REG_WRITABLE_MASKS, &range) < 0) {
        return false;
    }
    *mops = FIELD(mask[ISAR2_MASK], MOPS_SHIFT);
    return true;
}

static int no_vcpu(hvcore_duty_info *info)
{
    return said(info, HVCORE_DUTY_BY_UNKNOWN,
                "It stands in an ID register, and the VM has no vCPU yet: make one.");
}

static int mops(bk_vm *vm, hvcore_duty_info *info, hvcore_error *err)
{
    uint64_t isar2;
    bool writable, known = masks(vm, &writable);
    if (!hvc_kvm_some_vcpu(vm)) {
        return no_vcpu(info);
    }
    int rc = read_reg(vm, ISAR2, &isar2, err);
    if (rc) {
        return rc;
    }
    if (FIELD(isar2, MOPS_SHIFT)) {
        info->can_hide = writable || !known;
        return said(info, HVCORE_DUTY_BY_KERNEL,
                    "The guest sees ID_AA64ISAR2_EL1.MOPS: the kernel restarts a copy on another "
                    "type of CPU.");
    }
    if (vm->arch.mops_hidden) {
        return said(info, HVCORE_DUTY_BY_HIDDEN,
                    "ID_AA64ISAR2_EL1.MOPS was made 0: the instructions are undefined.");
    }
    return writable
               ? said(info, HVCORE_DUTY_BY_NOT_APPLICABLE,
                      "ID_AA64ISAR2_EL1.MOPS is 0, though the kernel knows it: this CPU has no "
                      "memory copy instructions.")
               : said(info, HVCORE_DUTY_BY_UNKNOWN,
                      "ID_AA64ISAR2_EL1.MOPS is 0, and no writable mask says whether the "
                      "kernel knows it.");
}

static int at(bk_vm *vm, hvcore_duty_info *info, hvcore_error *err)
{
    (void)err;
    return vm->arch.el2
               ? said(info, HVCORE_DUTY_BY_KERNEL,
                      "The guest has an EL2 (KVM_CAP_ARM_EL2): the kernel tries the hardware, then "
                      "walks the guest's tables.")
               : said(info, HVCORE_DUTY_BY_NOT_APPLICABLE,
                      "The guest has no EL2 (HVCORE_VM_EL2): its AT instructions run natively.");
}

static int hedeleg(bk_vm *vm, hvcore_duty_info *info, hvcore_error *err)
{
    (void)vm;
    (void)err;
    return said(info, HVCORE_DUTY_BY_NOT_APPLICABLE, "hedeleg is riscv64's.");
}

static int spe(bk_vm *vm, hvcore_duty_info *info, hvcore_error *err)
{
    uint64_t dfr0;
    if (!hvc_kvm_some_vcpu(vm)) {
        return no_vcpu(info);
    }
    int rc = read_reg(vm, DFR0, &dfr0, err);
    if (rc) {
        return rc;
    }
    return FIELD(dfr0, PMSVER_SHIFT)
               ? said(info, HVCORE_DUTY_BY_KERNEL,
                      "The guest sees ID_AA64DFR0_EL1.PMSVer: the kernel shares the profiling "
                      "buffer.")
               : said(info, HVCORE_DUTY_BY_HIDDEN,
                      "ID_AA64DFR0_EL1.PMSVer is 0: the guest has no profiling; the kernel drains "
                      "the host's buffer before it enters.");
}

static int apf(bk_vm *vm, hvcore_duty_info *info, hvcore_error *err)
{
    (void)vm;
    (void)err;
    return said(
        info, HVCORE_DUTY_BY_NOBODY,
        "Linux has asynchronous page faults for guests on x86 and s390 only: here a missing "
        "page blocks KVM_RUN.");
}

static int step(bk_vm *vm, hvcore_duty_info *info, hvcore_error *err)
{
    int can = hvc_kvm_cap(vm->fd, KVM_CAP_SET_GUEST_DEBUG2);
    (void)err;
    return can & KVM_GUESTDBG_SINGLESTEP
               ? said(
                     info, HVCORE_DUTY_BY_KERNEL,
                     "KVM_CAP_SET_GUEST_DEBUG2 lists single-step; the kernel keeps the guest's own "
                     "steps apart.")
               : said(info,
                      hvc_kvm_cap(vm->fd, KVM_CAP_SET_GUEST_DEBUG) ? HVCORE_DUTY_BY_UNKNOWN
                                                                   : HVCORE_DUTY_BY_NOBODY,
                      "KVM_CAP_SET_GUEST_DEBUG2 does not list single-step.");
}

int hvc_kvm_arch_duty(bk_vm *vm, uint32_t duty, hvcore_duty_info *info, hvcore_error *err)
{
    static int (*const duties[])(bk_vm *, hvcore_duty_info *, hvcore_error *) = {
        [HVCORE_DUTY_MOPS] = mops, [HVCORE_DUTY_AT] = at,   [HVCORE_DUTY_HEDELEG] = hedeleg,
        [HVCORE_DUTY_SPE] = spe,   [HVCORE_DUTY_APF] = apf, [HVCORE_DUTY_STEP] = step,
    };
    return duties[duty](vm, info, err);
}

/* ---- hiding --------------------------------------------------------------------------------- */

static int cannot(hvcore_error *err, const char *why)
{
    return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM, "%s", why);
}

/* ID registers are the VM's: a write through one vCPU is for all. */
static int hide_mops(bk_vm *vm, bk_vcpu *v, hvcore_error *err)
{
    uint64_t isar2;
    int rc = read_reg(vm, ISAR2, &isar2, err);
    if (rc || !FIELD(isar2, MOPS_SHIFT)) {
        return rc; /* there is nothing to hide */
    }
    isar2 &= ~(UINT64_C(0xf) << MOPS_SHIFT);
    rc = hvc_kvm_arch_reg_set(v, ISAR2, &isar2);
    if (rc) {
        return cannot(err, "The kernel does not let ID_AA64ISAR2_EL1.MOPS be 0: it is older than "
                           "6.7, or a vCPU has run.");
    }
    rc = read_reg(vm, ISAR2, &isar2, err);
    if (!rc && FIELD(isar2, MOPS_SHIFT)) {
        rc = cannot(err, "ID_AA64ISAR2_EL1.MOPS was written 0, and is not.");
    }
    vm->arch.mops_hidden = !rc;
    return rc;
}

int hvc_kvm_arch_hide(bk_vm *vm, uint32_t duty, hvcore_error *err)
{
    bk_vcpu *v = hvc_kvm_some_vcpu(vm);
    if (duty != HVCORE_DUTY_MOPS) {
        return cannot(err, "Of arm64's features only MOPS can be hidden.");
    }
    return v ? hide_mops(vm, v, err)
             : hvc_fail(
                   err, HVCORE_E_STATE, HVCORE_DOMAIN_KVM,
                   "The VM has no vCPU yet, and what is to be hidden stands in its registers.");
}
