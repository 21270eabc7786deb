/* SPDX-License-Identifier: Apache-2.0 */
/* vCPUs of the kvm backend: life, single registers. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/mman.h>
#include <unistd.h>

#include "backends/kvm/kvm.h"

static int check_index(const bk_vm *vm, uint32_t index, hvcore_error *err)
{
    uint32_t most = (uint32_t)hvc_kvm_cap(vm->fd, KVM_CAP_MAX_VCPU_ID);
    return !most || index < most
               ? 0
               : hvc_fail(err, HVCORE_E_RANGE, HVCORE_DOMAIN_KVM,
                          "This kernel's KVM numbers vCPUs below %u; %u is asked for.", most,
                          index);
}

/*
 * The kernel's vCPU lives as long as the VM, and its number can be had once. One whose making
 * failed later is kept, and taken when its number is asked for again.
 */
static bk_vcpu *take_spare(bk_vm *vm, uint32_t index)
{
    bk_vcpu **link = &vm->spare;
    while (*link && (*link)->index != index) {
        link = &(*link)->next;
    }
    bk_vcpu *v = *link;
    if (v) {
        *link = v->next;
    }
    return v;
}

static int make(bk_vcpu *v, uint32_t flags, hvcore_error *err)
{
    if (v->fd < 0) {
        v->fd = hvc_kvm_ioctl_value(v->vm->fd, KVM_CREATE_VCPU, v->index);
    }
    if (v->fd < 0) {
        return hvc_kvm_fail(err, "KVM_CREATE_VCPU");
    }
    void *run = mmap(NULL, v->vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (run == MAP_FAILED) {
        return hvc_kvm_fail(err, "mmap of a vCPU");
    }
    v->run = run;
    return hvc_kvm_arch_vcpu_init(v, flags, err);
}

static bk_vcpu *new_vcpu(bk_vm *vm, uint32_t index)
{
    bk_vcpu *v = hvc_host_alloc(sizeof(*v));
    if (v) {
        v->vm = vm;
        v->index = index;
        v->fd = -1;
    }
    return v;
}

/* Its making has failed: what the kernel has made of it stays. */
static void keep(bk_vcpu *v)
{
    if (v->run) {
        munmap(v->run, v->vm->run_size);
        v->run = NULL;
    }
    if (v->fd < 0) {
        hvc_host_free(v);
        return;
    }
    v->next = v->vm->spare;
    v->vm->spare = v;
}

int hvc_kvm_vcpu_create(bk_vm *vm, uint32_t index, uint32_t flags, bk_vcpu **out, hvcore_error *err)
{
    int rc = check_index(vm, index, err);
    if (!rc) {
        rc = hvc_kvm_arch_vcpu_flags(vm, flags, err);
    }
    if (rc) {
        return rc;
    }
    bk_vcpu *v = take_spare(vm, index);
    if (!v) {
        v = new_vcpu(vm, index);
    }
    if (!v) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_KVM, "No memory for a vCPU.");
    }
    rc = make(v, flags, err);
    if (rc) {
        keep(v);
        return rc;
    }
    v->next = vm->first;
    vm->first = v;
    vm->vcpus++;
    *out = v;
    return 0;
}

static void drop(bk_vcpu *v)
{
    if (v->run) {
        munmap(v->run, v->vm->run_size);
    }
    if (v->fd >= 0) {
        close(v->fd);
    }
    hvc_host_free(v);
}

void hvc_kvm_spares_drop(bk_vm *vm)
{
    while (vm->spare) {
        bk_vcpu *v = vm->spare;
        vm->spare = v->next;
        drop(v);
    }
}

void hvc_kvm_vcpu_destroy(bk_vcpu *v)
{
    bk_vcpu **link = &v->vm->first;
    while (*link != v) {
        link = &(*link)->next;
    }
    *link = v->next;
    v->vm->vcpus--;
    hvc_kvm_timer_drop(v);
    drop(v);
}

int hvc_kvm_get_one(bk_vcpu *v, uint64_t id, void *value)
{
    struct kvm_one_reg reg = {.id = id, .addr = hvc_kvm_address(value)};
    return hvc_kvm_ioctl(v->fd, KVM_GET_ONE_REG, &reg);
}

int hvc_kvm_set_one(bk_vcpu *v, uint64_t id, const void *value)
{
    struct kvm_one_reg reg = {.id = id, .addr = hvc_kvm_address(value)};
    return hvc_kvm_ioctl(v->fd, KVM_SET_ONE_REG, &reg);
}
