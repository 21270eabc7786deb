/* SPDX-License-Identifier: Apache-2.0 */
/* The VM's interrupt controller: lib/irqchip's state machine, its place, its lock, its outputs. */
#include <hvcore/irqchip.h>

#include "lib/core/vcpu.h"
#include "lib/irqchip/plic.h"

_Static_assert((int)HVCORE_IRQCHIP_PLIC_LINES == (int)HVC_PLIC_LINES, "one number, two headers");

/* Tell the vCPUs whose interrupt has changed. */
static void tell(hvcore_vm *vm)
{
    hvc_plic *p = vm->irqchip;
    for (uint32_t i = 0; (i = hvc_plic_changed(p, i)) < p->contexts; i++) {
        hvcore_vcpu *v = vm->vcpu[i];
        if (v) {
            hvc_line_change(v, HVC_LINE_IRQCHIP, p->context[i].output ? HVC_LINE_IRQCHIP : 0);
        }
    }
}

void hvc_irqchip_join(hvcore_vm *vm, hvcore_vcpu *v)
{
    if (vm->irqchip && vm->irqchip->context[v->index].output) {
        hvc_line_change(v, 0, HVC_LINE_IRQCHIP);
    }
}

int hvcore_vm_irq(hvcore_vm *vm, uint32_t line, uint32_t level)
{
    int rc = 0;
    if (!vm) {
        return -HVCORE_E_INVAL;
    }
    hvc_host_lock(&vm->irq_lock);
    if (vm->kernel_irqchip) {
        rc = vm->kernel->irq(vm->bk, line, level);
    } else if (!vm->irqchip) {
        rc = -HVCORE_E_STATE;
    } else if (!line || line > vm->irqchip->lines) {
        rc = -HVCORE_E_RANGE;
    } else {
        hvc_plic_line(vm->irqchip, line, level != 0);
        tell(vm);
    }
    hvc_host_unlock(&vm->irq_lock);
    return rc;
}

/* ---- the guest's side ------------------------------------------------------------------------ */

/* Registers are 32 bits wide; the map's base is aligned. */
static bool is_register(uint64_t gpa, uint32_t width)
{
    return width == 4 && gpa % 4 == 0;
}

static uint32_t on_read(void *user, hvcore_vcpu *v, uint64_t gpa, uint32_t width, uint64_t *value)
{
    hvcore_vm *vm = v->vm;
    const hvc_mmio *at = &v->mmio;
    (void)user;
    if (!is_register(gpa, width)) {
        return HVCORE_MMIO_FAULT;
    }
    hvc_host_lock(&vm->irq_lock);
    *value = hvc_plic_read(vm->irqchip, gpa - at->gpa);
    tell(vm); /* a claim */
    hvc_host_unlock(&vm->irq_lock);
    return HVCORE_MMIO_DONE;
}

static uint32_t on_write(void *user, hvcore_vcpu *v, uint64_t gpa, uint32_t width, uint64_t value)
{
    hvcore_vm *vm = v->vm;
    const hvc_mmio *at = &v->mmio;
    (void)user;
    if (!is_register(gpa, width)) {
        return HVCORE_MMIO_FAULT;
    }
    hvc_host_lock(&vm->irq_lock);
    hvc_plic_write(vm->irqchip, gpa - at->gpa, (uint32_t)value);
    tell(vm);
    hvc_host_unlock(&vm->irq_lock);
    return HVCORE_MMIO_DONE;
}

/* ---- setup ----------------------------------------------------------------------------------- */

static int check(hvcore_vm *vm, const hvcore_irqchip_opts *o, hvcore_error *err)
{
    if (!vm || o->kind < HVCORE_IRQCHIP_PLIC || o->kind > HVCORE_IRQCHIP_AIA || o->reserved ||
        o->gpa % HVCORE_PAGE_SIZE || o->gpa_cpu % HVCORE_PAGE_SIZE) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_CORE,
                        "A VM and an interrupt controller of a known kind (1: PLIC) at the begin "
                        "of a page are needed, and a reserved field that is 0.");
    }
    if (atomic_load(&vm->has_run)) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_CORE,
                        "The interrupt controller comes before the first run of the VM.");
    }
    return 0;
}

static int check_plic(const hvcore_vm *vm, const hvcore_irqchip_opts *o, hvcore_error *err)
{
    if (vm->arch != HVCORE_ARCH_RISCV64) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_CORE,
                        "A PLIC is for riscv64 guests.");
    }
    return o->lines && o->lines <= HVC_PLIC_LINES
               ? 0
               : hvc_fail(err, HVCORE_E_RANGE, HVCORE_DOMAIN_CORE,
                          "A PLIC has 1 to %u input lines, not %u.", (unsigned)HVC_PLIC_LINES,
                          o->lines);
}

static hvc_plic *make(hvcore_vm *vm, uint32_t lines)
{
    hvc_plic *chip = hvc_host_alloc(hvc_plic_size(vm->max_vcpus));
    if (chip) {
        hvc_plic_init(chip, lines, vm->max_vcpus);
    }
    return chip;
}

/* True if the VM had none. */
static bool give(hvcore_vm *vm, hvc_plic *chip)
{
    hvc_host_lock(&vm->irq_lock);
    bool first = !vm->irqchip && !vm->kernel_irqchip;
    if (first) {
        vm->irqchip = chip;
    }
    hvc_host_unlock(&vm->irq_lock);
    return first;
}

static void take_back(hvcore_vm *vm)
{
    hvc_host_lock(&vm->irq_lock);
    hvc_plic *chip = vm->irqchip;
    vm->irqchip = NULL;
    hvc_host_unlock(&vm->irq_lock);
    hvc_host_free(chip);
}

static int exists(hvcore_error *err)
{
    return hvc_fail(err, HVCORE_E_EXISTS, HVCORE_DOMAIN_CORE,
                    "The VM has an interrupt controller already.");
}

/* Addresses that a kernel's controller takes: `cpu` bytes for each vCPU if `each`. */
static const struct place {
    uint32_t len, cpu, each;
} places[] = {
    [HVCORE_IRQCHIP_GICV3] = {0x10000, 0x20000, 1},
    [HVCORE_IRQCHIP_GICV2] = {0x1000, 0x2000, 0},
    [HVCORE_IRQCHIP_AIA] = {0x4000, 0x1000, 1},
};

/* Nobody is asked for them, but nothing else may be there: they are ranges without callbacks. */
static int reserve(hvcore_vm *vm, const hvcore_irqchip_opts *o, uint32_t id[2], hvcore_error *err)
{
    const hvcore_mmio_ops none = HVCORE_MMIO_OPS_INIT;
    const struct place *p = &places[o->kind];
    uint64_t cpus = p->each ? vm->max_vcpus : 1;
    if (!p->len) {
        return 0;
    }
    int rc = hvcore_vm_mmio_add(vm, o->gpa, p->len, &none, NULL, &id[0], err);
    if (!rc) {
        rc = hvcore_vm_mmio_add(vm, o->gpa_cpu, cpus * p->cpu, &none, NULL, &id[1], err);
    }
    return rc;
}

static int make_kernel(hvcore_vm *vm, const hvcore_irqchip_opts *o, hvcore_error *err)
{
    hvc_host_lock(&vm->lock);
    int rc = vm->kernel_irqchip || vm->irqchip ? exists(err) : vm->kernel->irqchip(vm->bk, o, err);
    if (!rc) {
        vm->kernel_irqchip = 1;
    }
    hvc_host_unlock(&vm->lock);
    return rc;
}

static int create_kernel(hvcore_vm *vm, const hvcore_irqchip_opts *o, hvcore_error *err)
{
    uint32_t id[2] = {0, 0};
    if (!vm->kernel) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_CORE,
                        "This interrupt controller is a kernel's, and no kernel is below this VM.");
    }
    if (vm->kernel_irqchip) {
        return exists(err);
    }
    int rc = reserve(vm, o, id, err);
    if (!rc) {
        rc = make_kernel(vm, o, err);
    }
    for (unsigned i = 0; rc && i < 2; i++) {
        if (id[i]) {
            hvcore_vm_mmio_remove(vm, id[i]);
        }
    }
    return rc;
}

static int create_plic(hvcore_vm *vm, const hvcore_irqchip_opts *o, hvcore_error *err)
{
    hvcore_mmio_ops ops = {.size = sizeof(ops), .read = on_read, .write = on_write};
    int rc = check_plic(vm, o, err);
    if (rc) {
        return rc;
    }
    hvc_plic *chip = make(vm, o->lines);
    if (!chip) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_CORE,
                        "No memory for an interrupt controller.");
    }
    if (!give(vm, chip)) {
        hvc_host_free(chip);
        return exists(err);
    }
    rc = hvcore_vm_mmio_add(vm, o->gpa, HVCORE_IRQCHIP_PLIC_LEN, &ops, NULL, NULL, err);
    if (rc) {
        take_back(vm);
    }
    return rc;
}

int hvcore_irqchip_create(hvcore_vm *vm, const hvcore_irqchip_opts *opts, hvcore_error *err)
{
    hvcore_irqchip_opts o;
    int rc = hvc_struct_in(&o, sizeof(o), opts, "interrupt controller options", err);
    if (!rc) {
        rc = check(vm, &o, err);
    }
    if (rc) {
        return rc;
    }
    return o.kind == HVCORE_IRQCHIP_PLIC ? create_plic(vm, &o, err) : create_kernel(vm, &o, err);
}
