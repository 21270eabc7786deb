/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's interrupt controller on riscv64: an APLIC, and an IMSIC a vCPU (AIA 1.0, 3 and 4).
 * Its mode stays what the kernel chooses: IMSICs in hardware where the host has guest interrupt
 * files, else emulated.
 */
#include <unistd.h>

#include "backends/kvm/kvm.h"

enum { LINES = 1023, IMSIC_SIZE = 0x1000 };

/* A file descriptor of the device; its attributes are set one after the other. */
typedef struct aia {
    int fd;
    hvcore_error *err;
} aia;

static int set(const aia *a, uint32_t group, uint64_t attr, const void *value, const char *name)
{
    return hvc_kvm_attr(a->fd, group, attr, value) < 0 ? hvc_kvm_fail(a->err, name) : 0;
}

static int set_number(const aia *a, uint64_t attr, uint32_t number, const char *name)
{
    return set(a, HVC_KVM_RISCV_AIA_GRP_CONFIG, attr, &number, name);
}

static int get_ids(const aia *a, uint32_t *ids)
{
    struct kvm_device_attr attr = {.group = HVC_KVM_RISCV_AIA_GRP_CONFIG,
                                   .attr = HVC_KVM_RISCV_AIA_CONFIG_IDS,
                                   .addr = hvc_kvm_address(ids)};
    return hvc_kvm_ioctl(a->fd, KVM_GET_DEVICE_ATTR, &attr) < 0
               ? hvc_kvm_fail(a->err, "KVM_GET_DEVICE_ATTR of the AIA's interrupt identities")
               : 0;
}

/* Bits of a hart's number. */
static uint32_t hart_bits(const bk_vm *vm)
{
    uint32_t bits = 0;
    while (vm->max_vcpus > UINT32_C(1) << bits && bits < 16) {
        bits++;
    }
    return bits;
}

static int check(const bk_vm *vm, const hvcore_irqchip_opts *o, hvcore_error *err)
{
    uint64_t all = (uint64_t)IMSIC_SIZE << hart_bits(vm);
    if (o->kind != HVCORE_IRQCHIP_AIA) {
        return hvc_fail(
            err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
            "KVM's interrupt controller on riscv64 is the AIA; the library has a PLIC.");
    }
    if (!vm->first) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_KVM,
                        "The kernel's interrupt controller comes after all vCPUs.");
    }
    if (!o->lines || o->lines > LINES) {
        return hvc_fail(err, HVCORE_E_RANGE, HVCORE_DOMAIN_KVM,
                        "An APLIC has 1 to %u input lines, not %u.", (unsigned)LINES, o->lines);
    }
    if (o->gpa_cpu % all) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_KVM,
                        "IMSICs of %u vCPUs begin at a multiple of 0x%llx: bits of the address say "
                        "whose it is.",
                        vm->max_vcpus, (unsigned long long)all);
    }
    return 0;
}

/* A line is an interrupt identity. */
static int check_ids(const hvcore_irqchip_opts *o, uint32_t ids, hvcore_error *err)
{
    return o->lines <= ids
               ? 0
               : hvc_fail(err, HVCORE_E_RANGE, HVCORE_DOMAIN_KVM,
                          "This host's IMSICs have %u interrupt identities, so there are no %u "
                          "lines.",
                          ids, o->lines);
}

static int set_sizes(const aia *a, const bk_vm *vm, const hvcore_irqchip_opts *o)
{
    int rc = set_number(a, HVC_KVM_RISCV_AIA_CONFIG_SRCS, o->lines,
                        "KVM_SET_DEVICE_ATTR of the AIA's lines");
    if (!rc) {
        rc = set_number(a, HVC_KVM_RISCV_AIA_CONFIG_HART_BITS, hart_bits(vm),
                        "KVM_SET_DEVICE_ATTR of the AIA's hart bits");
    }
    return rc ? rc
              : set_number(a, HVC_KVM_RISCV_AIA_CONFIG_GUEST_BITS, 0,
                           "KVM_SET_DEVICE_ATTR of the AIA's guest bits");
}

static int set_places(const aia *a, const bk_vm *vm, const hvcore_irqchip_opts *o)
{
    int rc = set(a, HVC_KVM_RISCV_AIA_GRP_ADDR, 0, &o->gpa,
                 "KVM_SET_DEVICE_ATTR of the APLIC's address");
    for (const bk_vcpu *v = vm->first; v && !rc; v = v->next) {
        uint64_t gpa = o->gpa_cpu + (uint64_t)v->index * IMSIC_SIZE;
        rc = set(a, HVC_KVM_RISCV_AIA_GRP_ADDR, 1 + (uint64_t)v->arch.position, &gpa,
                 "KVM_SET_DEVICE_ATTR of an IMSIC's address");
    }
    return rc;
}

static int set_up(const aia *a, bk_vm *vm, const hvcore_irqchip_opts *o)
{
    uint32_t ids = 0;
    int rc = get_ids(a, &ids);
    if (!rc) {
        rc = check_ids(o, ids, a->err);
    }
    if (!rc) {
        rc = set_sizes(a, vm, o);
    }
    if (!rc) {
        rc = set_places(a, vm, o);
    }
    if (!rc) {
        rc = set(a, HVC_KVM_RISCV_AIA_GRP_CTRL, HVC_KVM_RISCV_AIA_CTRL_INIT, NULL,
                 "KVM_DEV_RISCV_AIA_CTRL_INIT");
    }
    vm->arch.imsic_ids = rc ? 0 : ids;
    return rc;
}

/* The device lives as long as its VM, with or without the descriptor. */
int hvc_kvm_arch_irqchip(bk_vm *vm, const hvcore_irqchip_opts *opts, hvcore_error *err)
{
    struct kvm_create_device device = {.type = HVC_KVM_RISCV_DEV_TYPE_AIA};
    int rc = check(vm, opts, err);
    if (rc) {
        return rc;
    }
    if (hvc_kvm_ioctl(vm->fd, KVM_CREATE_DEVICE, &device) < 0) {
        return errno == ENODEV ? hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                                          "KVM_CREATE_DEVICE failed: No such device (ENODEV). This "
                                          "host has no AIA: use HVCORE_IRQCHIP_PLIC.")
                               : hvc_kvm_fail(err, "KVM_CREATE_DEVICE");
    }
    aia a = {.fd = (int)device.fd, .err = err};
    rc = set_up(&a, vm, opts);
    close(a.fd);
    return rc;
}

bool hvc_kvm_arch_is_line(const bk_vm *vm, uint32_t line)
{
    return line && line <= vm->lines;
}

uint32_t hvc_kvm_arch_irq_line(uint32_t line)
{
    return line;
}

uint32_t hvc_kvm_arch_gsi(uint32_t line)
{
    return line;
}
