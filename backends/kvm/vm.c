/* SPDX-License-Identifier: Apache-2.0 */
/* VMs of the kvm backend: what is there before the first vCPU. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <unistd.h>

#include "backends/kvm/kvm.h"

int hvc_kvm_open(hvcore_error *err)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return hvc_kvm_fail(err, "open of /dev/kvm");
    }
    int version = hvc_kvm_ioctl_value(fd, KVM_GET_API_VERSION, 0);
    if (version == KVM_API_VERSION) {
        return fd;
    }
    int rc = version < 0 ? hvc_kvm_fail(err, "KVM_GET_API_VERSION")
                         : hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                                    "/dev/kvm speaks version %d of its API, this library %d; that "
                                    "of Linux is %d since 2.6.22.",
                                    version, KVM_API_VERSION, KVM_API_VERSION);
    close(fd);
    return rc;
}

/* Without these no part of the backend works. */
static const struct need {
    int cap;
    const char *name;
} needs[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
    {KVM_CAP_DESTROY_MEMORY_REGION_WORKS, "KVM_CAP_DESTROY_MEMORY_REGION_WORKS"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
    {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
    {KVM_CAP_NR_MEMSLOTS, "KVM_CAP_NR_MEMSLOTS"},
};

static int check_needs(int fd, hvcore_error *err)
{
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        int has = hvc_kvm_ask(fd, needs[i].cap, err);
        if (has < 0) {
            return has;
        }
        if (!has) {
            return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                            "This kernel's KVM lacks %s (%d), which the kvm backend needs: use a "
                            "newer kernel, or the backend \"bare\".",
                            needs[i].name, needs[i].cap);
        }
    }
    return 0;
}

static int check_signal(const hvcore_ctx_opts *ctx, int *sig, hvcore_error *err)
{
    *sig = ctx->kick_signal ? ctx->kick_signal : SIGRTMAX - 1;
    if (*sig < 1 || *sig > SIGRTMAX || *sig == SIGKILL || *sig == SIGSTOP) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_KVM,
                        "Signal %d cannot be blocked or sent: choose another kick_signal, 1 to %d.",
                        *sig, SIGRTMAX);
    }
    return 0;
}

static int make_vm(bk_vm *vm, const hvcore_vm_opts *opts, hvcore_error *err)
{
    unsigned long type = 0;
    int rc = hvc_kvm_arch_type(vm->sys, opts, &type, err);
    if (rc) {
        return rc;
    }
    vm->fd = hvc_kvm_ioctl_value(vm->sys, KVM_CREATE_VM, type);
    if (vm->fd < 0) {
        return hvc_kvm_fail(err, "KVM_CREATE_VM");
    }
    rc = check_needs(vm->fd, err);
    if (rc) {
        return rc;
    }
    int size = hvc_kvm_ioctl_value(vm->sys, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < 0) {
        return hvc_kvm_fail(err, "KVM_GET_VCPU_MMAP_SIZE");
    }
    if (size < (int)sizeof(struct kvm_run)) {
        return hvc_fail(
            err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
            "This kernel's struct kvm_run has %d bytes, fewer than any since Linux 6.1.", size);
    }
    int slots = hvc_kvm_ask(vm->fd, KVM_CAP_NR_MEMSLOTS, err);
    if (slots < 0) {
        return slots;
    }
    vm->run_size = (size_t)size;
    vm->slots = (uint32_t)slots;
    vm->readonly = hvc_kvm_cap(vm->fd, KVM_CAP_READONLY_MEM);
    return hvc_kvm_arch_vm_init(vm, opts, err);
}

int hvc_kvm_vm_create(const hvcore_vm_opts *opts, const hvcore_ctx_opts *ctx, bk_vm **out,
                      hvcore_error *err)
{
    int sig;
    int rc = check_signal(ctx, &sig, err);
    if (rc) {
        return rc;
    }
    bk_vm *vm = hvc_host_alloc(sizeof(*vm));
    if (!vm) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_KVM, "No memory for a VM.");
    }
    vm->fd = -1;
    vm->pid = getpid();
    vm->kick_signal = sig;
    vm->handled = ctx->flags & HVCORE_CTX_KICK_HANDLED;
    vm->max_vcpus = opts->max_vcpus;
    vm->sys = hvc_kvm_open(err);
    rc = vm->sys < 0 ? vm->sys : make_vm(vm, opts, err);
    if (rc) {
        hvc_kvm_vm_destroy(vm);
        return rc;
    }
    *out = vm;
    return 0;
}

void hvc_kvm_vm_destroy(bk_vm *vm)
{
    hvc_kvm_spares_drop(vm);
    hvc_kvm_memory_drop(vm);
    hvc_kvm_arch_drop(vm);
    if (vm->fd >= 0) {
        close(vm->fd);
    }
    if (vm->sys >= 0) {
        close(vm->sys);
    }
    hvc_host_free(vm);
}

bk_vcpu *hvc_kvm_some_vcpu(bk_vm *vm)
{
    return vm->first;
}
