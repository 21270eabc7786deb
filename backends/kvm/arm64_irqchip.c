/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of an arm64 VM: the kernel's GIC, or the IRQ and FIQ inputs of the vCPUs.
 *
 * Without the kernel's GIC the guest's timers have nobody to interrupt: KVM ends KVM_RUN when one's
 * output changes, which the library takes for a kick, and nothing reaches the guest by itself. Who
 * emulates a GIC reads CNTV_CTL_EL0 (ISTATUS) after a run, and drives HVCORE_ARM64_IRQ_IRQ.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <unistd.h>

#include "backends/kvm/kvm.h"

enum {
    PRIVATE = 32, /* INTIDs below are a vCPU's own */
    LINES = 988,  /* that a GIC has (IHI0069 2.2.1: SPIs end at 1019) */
    UNIT = 32,    /* KVM counts interrupts in these */
    LEAST = 64,
    FRAME = 0x10000, /* of a GICv3 */
    FRAME_V2 = 0x1000,
    MAINTENANCE = 25, /* INTID that BSA has for it (DEN0094): PPI 9 */
};

/* The two places of a controller: the distributor's, and that of what the vCPUs have. */
static const struct gic {
    const char *name;
    uint32_t type;
    uint32_t align;
    uint64_t attr, attr_cpu;
    uint64_t len, len_cpu;
    bool each; /* len_cpu is one vCPU's */
} gics[] = {
    [HVCORE_IRQCHIP_GICV3] = {"GICv3", KVM_DEV_TYPE_ARM_VGIC_V3, FRAME, KVM_VGIC_V3_ADDR_TYPE_DIST,
                              KVM_VGIC_V3_ADDR_TYPE_REDIST, FRAME, 2 * FRAME, true},
    [HVCORE_IRQCHIP_GICV2] = {"GICv2", KVM_DEV_TYPE_ARM_VGIC_V2, FRAME_V2,
                              KVM_VGIC_V2_ADDR_TYPE_DIST, KVM_VGIC_V2_ADDR_TYPE_CPU, FRAME_V2,
                              2 * FRAME_V2, false},
};

static uint64_t len_cpu(const bk_vm *vm, const struct gic *g)
{
    return g->each ? g->len_cpu * vm->vcpus : g->len_cpu;
}

static bool fits(const bk_vm *vm, uint64_t gpa, uint64_t len)
{
    uint64_t end = UINT64_C(1) << vm->arch.ipa_bits;
    return gpa < end && len <= end - gpa;
}

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return a < b + b_len && b < a + a_len;
}

static int check_range(const bk_vm *vm, const struct gic *g, uint64_t gpa, uint64_t len,
                       hvcore_error *err)
{
    if (gpa % g->align) {
        return hvc_fail_at(err, HVCORE_E_INVAL, HVCORE_DOMAIN_KVM, gpa,
                           "The addresses of a %s are multiples of %u.", g->name, g->align);
    }
    if (!fits(vm, gpa, len)) {
        return hvc_fail_at(err, HVCORE_E_RANGE, HVCORE_DOMAIN_KVM, gpa,
                           "A part of the %s (0x%llx bytes) ends past the guest's %u address bits.",
                           g->name, (unsigned long long)len, vm->arch.ipa_bits);
    }
    for (uint32_t i = 0; i < vm->count; i++) {
        const hvc_kvm_slot *s = &vm->slot[i];
        if (s->len && overlap(gpa, len, s->gpa, s->len)) {
            return hvc_fail_at(err, HVCORE_E_EXISTS, HVCORE_DOMAIN_KVM, gpa,
                               "Memory is mapped where a part of the %s should be.", g->name);
        }
    }
    return 0;
}

static int check(const bk_vm *vm, const struct gic *g, const hvcore_irqchip_opts *o,
                 hvcore_error *err)
{
    if (!o->lines || o->lines > LINES) {
        return hvc_fail(err, HVCORE_E_RANGE, HVCORE_DOMAIN_KVM,
                        "A %s has 1 to %u input lines, not %u.", g->name, (unsigned)LINES,
                        o->lines);
    }
    if (!vm->vcpus) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_KVM,
                        "Make all vCPUs before the %s: it has a part for each.", g->name);
    }
    int rc = check_range(vm, g, o->gpa, g->len, err);
    if (!rc) {
        rc = check_range(vm, g, o->gpa_cpu, len_cpu(vm, g), err);
    }
    if (!rc && overlap(o->gpa, g->len, o->gpa_cpu, len_cpu(vm, g))) {
        rc = hvc_fail_at(err, HVCORE_E_EXISTS, HVCORE_DOMAIN_KVM, o->gpa_cpu,
                         "The two parts of the %s overlap.", g->name);
    }
    return rc;
}

/* ---- making it ------------------------------------------------------------------------------ */

static int set_lines(int fd, const struct gic *g, uint32_t lines, hvcore_error *err)
{
    uint32_t count = (lines + PRIVATE + UNIT - 1) / UNIT * UNIT;
    count = count < LEAST ? LEAST : count;
    if (hvc_kvm_attr(fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &count) == 0) {
        return 0;
    }
    /* api.rst allows 1024 in all, the code ends at 1023 and wants a multiple of 32 */
    return errno == EINVAL ? hvc_fail(err, HVCORE_E_RANGE, HVCORE_DOMAIN_KVM,
                                      "This kernel's %s has no %u input lines; it has at most %u.",
                                      g->name, lines, count - UNIT - PRIVATE)
                           : hvc_kvm_fail(err, "KVM_DEV_ARM_VGIC_GRP_NR_IRQS");
}

/* For a guest with an EL2. A kernel without the attribute (before 6.16) has no such guests. */
static int set_maintenance(int fd, hvcore_error *err)
{
    const uint32_t intid = MAINTENANCE;
    if (hvc_kvm_attr(fd, HVC_KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, 0, &intid) == 0 || errno == ENXIO) {
        return 0;
    }
    return hvc_kvm_fail(err, "KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ");
}

static int set_up(const bk_vm *vm, int fd, const hvcore_irqchip_opts *o, hvcore_error *err)
{
    const struct gic *g = &gics[o->kind];
    int rc = set_lines(fd, g, o->lines, err);
    if (!rc && vm->arch.el2 && o->kind == HVCORE_IRQCHIP_GICV3) {
        rc = set_maintenance(fd, err);
    }
    if (rc) {
        return rc;
    }
    if (hvc_kvm_attr(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, g->attr, &o->gpa) < 0 ||
        hvc_kvm_attr(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, g->attr_cpu, &o->gpa_cpu) < 0) {
        return hvc_kvm_fail(err, "KVM_DEV_ARM_VGIC_GRP_ADDR");
    }
    return hvc_kvm_attr(fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL) < 0
               ? hvc_kvm_fail(err, "KVM_DEV_ARM_VGIC_CTRL_INIT")
               : 0;
}

/* Without a trace if the kernel has none of this kind. */
static int create(bk_vm *vm, const struct gic *g, uint32_t flags, int *fd, hvcore_error *err)
{
    struct kvm_create_device device = {.type = g->type, .flags = flags};
    if (hvc_kvm_ioctl(vm->fd, KVM_CREATE_DEVICE, &device) == 0) {
        *fd = (int)device.fd;
        return 0;
    }
    return errno == ENODEV
               ? hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                          "This host's KVM has no %s for guests (KVM_CREATE_DEVICE: ENODEV).",
                          g->name)
               : hvc_kvm_fail(err, "KVM_CREATE_DEVICE");
}

int hvc_kvm_arch_irqchip(bk_vm *vm, const hvcore_irqchip_opts *opts, hvcore_error *err)
{
    int fd = -1;
    if (opts->kind != HVCORE_IRQCHIP_GICV3 && opts->kind != HVCORE_IRQCHIP_GICV2) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                        "An arm64 guest's interrupt controller is a GICv3 or a GICv2.");
    }
    const struct gic *g = &gics[opts->kind];
    int rc = check(vm, g, opts, err);
    if (!rc) {
        rc = create(vm, g, KVM_CREATE_DEVICE_TEST, &fd, err);
    }
    if (!rc) {
        rc = create(vm, g, 0, &fd, err);
    }
    if (rc) {
        return rc;
    }
    rc = set_up(vm, fd, opts, err);
    close(fd); /* it lives as long as the VM */
    return rc;
}

/* ---- its lines ------------------------------------------------------------------------------ */

bool hvc_kvm_arch_is_line(const bk_vm *vm, uint32_t line)
{
    return line < vm->lines;
}

uint32_t hvc_kvm_arch_irq_line(uint32_t line)
{
    return (uint32_t)KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (PRIVATE + line);
}

/* The default routing: GSI n is SPI n. */
uint32_t hvc_kvm_arch_gsi(uint32_t line)
{
    return line;
}

/* ---- without it: the inputs of a vCPU ------------------------------------------------------- */

int hvc_kvm_arch_vcpu_irq(bk_vcpu *v, uint32_t irq, uint32_t level)
{
    if (v->vm->lines) {
        return -HVCORE_E_STATE;
    }
    if (irq != HVCORE_ARM64_IRQ_IRQ && irq != HVCORE_ARM64_IRQ_FIQ) {
        return -HVCORE_E_RANGE;
    }
    if (level) {
        atomic_fetch_or(&v->arch.level, 1u << irq);
    } else {
        atomic_fetch_and(&v->arch.level, ~(1u << irq));
    }
    return 0;
}

static int drive(bk_vcpu *v, uint32_t irq, bool level)
{
    uint32_t number = irq == HVCORE_ARM64_IRQ_FIQ ? KVM_ARM_IRQ_CPU_FIQ : KVM_ARM_IRQ_CPU_IRQ;
    struct kvm_irq_level line = {
        .irq = (uint32_t)KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT |
               (v->index & KVM_ARM_IRQ_VCPU_MASK) << KVM_ARM_IRQ_VCPU_SHIFT |
               v->index / (KVM_ARM_IRQ_VCPU_MASK + 1) << KVM_ARM_IRQ_VCPU2_SHIFT | number,
        .level = level,
    };
    if (hvc_kvm_ioctl(v->vm->fd, KVM_IRQ_LINE, &line) < 0) {
        return hvc_kvm_failed(v, "KVM_IRQ_LINE");
    }
    v->arch.driven ^= 1u << irq;
    return 0;
}

int hvc_kvm_arch_enter(bk_vcpu *v)
{
    uint32_t level = atomic_load(&v->arch.level), changed = level ^ v->arch.driven;
    int rc = 0;
    v->arch.has_run = true;
    if (!changed || v->vm->lines) {
        return 0;
    }
    for (uint32_t irq = 0; !rc && irq <= HVCORE_ARM64_IRQ_FIQ; irq++) {
        rc = changed >> irq & 1 ? drive(v, irq, level >> irq & 1) : 0;
    }
    return rc;
}
