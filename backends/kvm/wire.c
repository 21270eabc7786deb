/* SPDX-License-Identifier: Apache-2.0 */
/* What other descriptors do for a VM: irqfd, ioeventfd, MSI; and what the kernel has counted. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backends/kvm/kvm.h"

static int no_line(const bk_vm *vm, uint32_t line, hvcore_error *err)
{
    return hvc_fail(err, HVCORE_E_RANGE, HVCORE_DOMAIN_KVM,
                    "The interrupt controller has %u input lines; %u is none of them.", vm->lines,
                    line);
}

/* 0: the kernel has it. */
static int check_cap(const bk_vm *vm, int cap, const char *name, hvcore_error *err)
{
    int has = hvc_kvm_ask(vm->fd, cap, err);
    return has ? (has < 0 ? has : 0)
               : hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                          "This kernel's KVM lacks %s (%d): use a newer one, or do without.", name,
                          cap);
}

int hvc_kvm_irqfd(bk_vm *vm, uint32_t line, int fd, int resample, uint32_t attach,
                  hvcore_error *err)
{
    struct kvm_irqfd irqfd = {.fd = (uint32_t)fd, .gsi = hvc_kvm_arch_gsi(line)};
    if (!hvc_kvm_arch_is_line(vm, line)) {
        return no_line(vm, line, err);
    }
    int rc = check_cap(vm, KVM_CAP_IRQFD, "KVM_CAP_IRQFD", err);
    if (!rc && resample >= 0) {
        rc = check_cap(vm, KVM_CAP_IRQFD_RESAMPLE, "KVM_CAP_IRQFD_RESAMPLE", err);
    }
    if (rc) {
        return rc;
    }
    if (!attach) {
        irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
    } else if (resample >= 0) {
        irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
        irqfd.resamplefd = (uint32_t)resample;
    }
    if (hvc_kvm_ioctl(vm->fd, KVM_IRQFD, &irqfd) == 0) {
        return 0;
    }
    return errno == EBUSY ? hvc_fail(err, HVCORE_E_EXISTS, HVCORE_DOMAIN_KVM,
                                     "This eventfd drives an interrupt already.")
                          : hvc_kvm_fail(err, "KVM_IRQFD");
}

int hvc_kvm_msi(bk_vm *vm, const hvcore_msi *msi, hvcore_error *err)
{
    struct kvm_msi m = {
        .address_lo = (uint32_t)msi->addr,
        .address_hi = (uint32_t)(msi->addr >> 32),
        .data = msi->data,
        .devid = msi->device,
        .flags = hvc_kvm_cap(vm->fd, KVM_CAP_MSI_DEVID) ? (uint32_t)KVM_MSI_VALID_DEVID : 0,
    };
    return hvc_kvm_ioctl(vm->fd, KVM_SIGNAL_MSI, &m) >= 0 ? 0 : hvc_kvm_fail(err, "KVM_SIGNAL_MSI");
}

int hvc_kvm_ioevent(bk_vm *vm, const hvcore_ioevent *e, hvcore_error *err)
{
    struct kvm_ioeventfd io = {
        .addr = e->addr,
        .len = e->width,
        .fd = e->fd,
        .datamatch = e->value,
        .flags = (e->flags & HVCORE_IOEVENT_PIO ? (uint32_t)KVM_IOEVENTFD_FLAG_PIO : 0) |
                 (e->flags & HVCORE_IOEVENT_MATCH ? (uint32_t)KVM_IOEVENTFD_FLAG_DATAMATCH : 0) |
                 (e->flags & HVCORE_IOEVENT_REMOVE ? (uint32_t)KVM_IOEVENTFD_FLAG_DEASSIGN : 0),
    };
    int rc = check_cap(vm, KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", err);
    if (!rc && !e->width) {
        rc = check_cap(vm, KVM_CAP_IOEVENTFD_ANY_LENGTH, "KVM_CAP_IOEVENTFD_ANY_LENGTH", err);
    }
    if (rc) {
        return rc;
    }
    if (hvc_kvm_ioctl(vm->fd, KVM_IOEVENTFD, &io) == 0) {
        return 0;
    }
    if (errno == ENOENT) {
        return hvc_fail(err, HVCORE_E_NOTFOUND, HVCORE_DOMAIN_KVM,
                        "There is no such store event to be removed.");
    }
    return hvc_kvm_fail(err, "KVM_IOEVENTFD");
}

/* ---- statistics (api.rst, KVM_GET_STATS_FD) -------------------------------------------------- */

static int read_at(int fd, void *to, size_t size, uint64_t at)
{
    ssize_t n = pread(fd, to, size, (off_t)at);
    if (n >= 0 && (size_t)n != size) {
        errno = EIO;
    }
    return n == (ssize_t)size ? 0 : -1;
}

static int copy_name(int fd, const struct kvm_stats_header *head, uint64_t at,
                     hvcore_kernel_stat *stat)
{
    size_t size = head->name_size < sizeof(stat->name) ? head->name_size : sizeof(stat->name);
    if (read_at(fd, stat->name, size, at)) {
        return -1;
    }
    stat->name[sizeof(stat->name) - 1] = 0;
    return 0;
}

/* One descriptor and its first value. 0, -1 and errno, or 1: there is none. */
static int read_stat(int fd, uint32_t index, hvcore_kernel_stat *stat)
{
    struct kvm_stats_header head;
    struct kvm_stats_desc desc;
    if (read_at(fd, &head, sizeof(head), 0)) {
        return -1;
    }
    if (index >= head.num_desc) {
        return 1;
    }
    uint64_t at = head.desc_offset + (uint64_t)index * (sizeof(desc) + head.name_size);
    if (read_at(fd, &desc, sizeof(desc), at) || copy_name(fd, &head, at + sizeof(desc), stat) ||
        read_at(fd, &stat->value, sizeof(stat->value), head.data_offset + desc.offset)) {
        return -1;
    }
    stat->kind = desc.flags & 15;
    stat->unit = desc.flags >> 4 & 15;
    stat->exponent = desc.exponent;
    stat->count = desc.size;
    return 0;
}

int hvc_kvm_stat(bk_vm *vm, bk_vcpu *v, uint32_t index, hvcore_kernel_stat *stat, hvcore_error *err)
{
    int rc = check_cap(vm, KVM_CAP_BINARY_STATS_FD, "KVM_CAP_BINARY_STATS_FD", err);
    if (rc) {
        return rc;
    }
    int fd = hvc_kvm_ioctl_value(v ? v->fd : vm->fd, KVM_GET_STATS_FD, 0);
    if (fd < 0) {
        return hvc_kvm_fail(err, "KVM_GET_STATS_FD");
    }
    rc = read_stat(fd, index, stat);
    if (rc < 0) {
        rc = hvc_kvm_fail(err, "reading KVM's statistics");
    } else if (rc) {
        rc = hvc_fail(err, HVCORE_E_NOTFOUND, HVCORE_DOMAIN_KVM, "The kernel counts no number %u.",
                      index);
    }
    close(fd);
    return rc;
}

/* ---- duties ---------------------------------------------------------------------------------- */

int hvc_kvm_duty(bk_vm *vm, uint32_t duty, hvcore_duty_info *info, hvcore_error *err)
{
    struct utsname name;
    if (uname(&name) == 0) {
        hvc_format(info->release, sizeof(info->release), "%s", name.release);
    }
    return hvc_kvm_arch_duty(vm, duty, info, err);
}
