/* SPDX-License-Identifier: Apache-2.0 */
/* The kvm backend's table. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <unistd.h>

#include "backends/kvm/kvm.h"

/* Without a usable /dev/kvm max_vcpus stays 0. */
static void info(hvcore_backend_info *i)
{
    i->arch = hvc_kvm_arch;
    hvc_format(i->name, sizeof(i->name), "kvm");
    int sys = hvc_kvm_open(NULL);
    if (sys < 0) {
        return;
    }
    int most = hvc_kvm_cap(sys, KVM_CAP_MAX_VCPUS);
    i->max_vcpus = most ? (uint32_t)most : 4; /* api.rst: 4 where the capability is not there */
    i->caps = HVCORE_CAP_DEADLINE | HVCORE_CAP_DIRTY;
    if (hvc_kvm_cap(sys, KVM_CAP_READONLY_MEM)) {
        i->caps |= HVCORE_CAP_READONLY;
    }
    hvc_kvm_arch_info(sys, i);
    close(sys);
}

static const hvcore_bk_exit *last_exit(bk_vcpu *v)
{
    return &v->last;
}

static int irq(bk_vm *vm, uint32_t line, uint32_t level)
{
    struct kvm_irq_level l = {.level = level != 0};
    if (!hvc_kvm_arch_is_line(vm, line)) {
        return -HVCORE_E_RANGE;
    }
    l.irq = hvc_kvm_arch_irq_line(line);
    return hvc_kvm_ioctl(vm->fd, KVM_IRQ_LINE, &l) < 0 ? -HVCORE_E_SYS : 0;
}

static int irqchip(bk_vm *vm, const hvcore_irqchip_opts *opts, hvcore_error *err)
{
    int rc = hvc_kvm_arch_irqchip(vm, opts, err);
    if (!rc) {
        vm->lines = opts->lines;
    }
    return rc;
}

/* One register that all architectures have. */
static int mp_state(bk_vcpu *v, hvcore_reg reg, unsigned long request, struct kvm_mp_state *state)
{
    if (reg != HVCORE_REG_MP_STATE) {
        return reg >> 8 == HVCORE_REG_MP_STATE >> 8 ? -HVCORE_E_TYPE : -HVCORE_E_NOTFOUND;
    }
    return hvc_kvm_ioctl(v->fd, request, state) < 0
               ? hvc_kvm_reg_code(v, request == KVM_GET_MP_STATE ? "KVM_GET_MP_STATE"
                                                                 : "KVM_SET_MP_STATE")
               : 0;
}

static int reg_get(bk_vcpu *v, hvcore_reg reg, void *value)
{
    struct kvm_mp_state state = {0};
    if (reg >> 24 != HVCORE_REG_STATE) {
        return hvc_kvm_arch_reg_get(v, reg, value);
    }
    int rc = mp_state(v, reg, KVM_GET_MP_STATE, &state);
    if (!rc) {
        hvc_kvm_store(value, state.mp_state, 8);
    }
    return rc;
}

static int reg_set(bk_vcpu *v, hvcore_reg reg, const void *value)
{
    struct kvm_mp_state state = {.mp_state = (uint32_t)hvc_kvm_load(value, 8)};
    return reg >> 24 == HVCORE_REG_STATE ? mp_state(v, reg, KVM_SET_MP_STATE, &state)
                                         : hvc_kvm_arch_reg_set(v, reg, value);
}

static const hvcore_bk_kernel_ops kernel = {
    .exit = last_exit,
    .answer = hvc_kvm_answer,
    .deny = hvc_kvm_arch_deny,
    .settle = hvc_kvm_settle,
    .why = hvc_kvm_why,
    .reg_get = reg_get,
    .reg_set = reg_set,
    .inject = hvc_kvm_arch_inject,
    .debug = hvc_kvm_arch_debug,
    .vcpu_irq = hvc_kvm_arch_vcpu_irq,
    .irqchip = irqchip,
    .irq = irq,
    .irqfd = hvc_kvm_irqfd,
    .msi = hvc_kvm_msi,
    .ioevent = hvc_kvm_ioevent,
    .dirty = hvc_kvm_dirty,
    .duty = hvc_kvm_duty,
    .hide = hvc_kvm_arch_hide,
    .stat = hvc_kvm_stat,
};

const hvcore_backend_ops hvc_kvm_ops = {
    .size = sizeof(hvcore_backend_ops),
    .abi = HVCORE_BACKEND_ABI,
    .arch = hvc_kvm_arch,
    .kernel = &kernel,
    .info = info,
    .vm_create = hvc_kvm_vm_create,
    .vm_destroy = hvc_kvm_vm_destroy,
    .mem_map = hvc_kvm_map,
    .mem_unmap = hvc_kvm_unmap,
    .mem_protect = hvc_kvm_protect,
    .mem_written = hvc_kvm_written,
    .vcpu_create = hvc_kvm_vcpu_create,
    .vcpu_destroy = hvc_kvm_vcpu_destroy,
    .enter = hvc_kvm_enter,
    .kick = hvc_kvm_kick,
    .detach = hvc_kvm_detach,
};
