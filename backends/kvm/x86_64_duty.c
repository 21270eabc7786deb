/* SPDX-License-Identifier: Apache-2.0 */
/* kvm on x86_64: who does what. */
#include "backends/kvm/kvm.h"

static int apf(bk_vm *vm, hvcore_duty_info *info, hvcore_error *err)
{
    int has = hvc_kvm_ask(vm->fd, KVM_CAP_ASYNC_PF, err);
    has = has > 0 ? hvc_kvm_ask(vm->fd, KVM_CAP_ASYNC_PF_INT, err) : has;
    if (has < 0) {
        return has;
    }
    info->source = has ? HVCORE_DUTY_BY_KERNEL : HVCORE_DUTY_BY_NOBODY;
    hvc_format(info->why, sizeof(info->why), "%s",
               has ? "KVM_CAP_ASYNC_PF and _INT are there; the guest switches it on by MSRs, and "
                     "needs the kernel's local APIC (HVCORE_IRQCHIP_PC)."
                   : "KVM_CAP_ASYNC_PF (59) or KVM_CAP_ASYNC_PF_INT (183) is not there.");
    return 0;
}

static int step(bk_vm *vm, hvcore_duty_info *info, hvcore_error *err)
{
    int has = hvc_kvm_ask(vm->fd, KVM_CAP_SET_GUEST_DEBUG, err);
    if (has < 0) {
        return has;
    }
    info->source = has ? HVCORE_DUTY_BY_KERNEL : HVCORE_DUTY_BY_NOBODY;
    hvc_format(info->why, sizeof(info->why), "KVM_CAP_SET_GUEST_DEBUG (23) is %sthere.",
               has ? "" : "not ");
    return 0;
}

int hvc_kvm_arch_duty(bk_vm *vm, uint32_t duty, hvcore_duty_info *info, hvcore_error *err)
{
    if (duty == HVCORE_DUTY_APF) {
        return apf(vm, info, err);
    }
    if (duty == HVCORE_DUTY_STEP) {
        return step(vm, info, err);
    }
    info->source = HVCORE_DUTY_BY_NOT_APPLICABLE;
    hvc_format(info->why, sizeof(info->why), "There is no such thing on x86_64.");
    return 0;
}

int hvc_kvm_arch_hide(bk_vm *vm, uint32_t duty, hvcore_error *err)
{
    (void)vm;
    return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                    "Nothing of \"%s\" can be hidden from an x86_64 guest.",
                    hvcore_duty_name(duty));
}
