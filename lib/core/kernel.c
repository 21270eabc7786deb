/* SPDX-License-Identifier: Apache-2.0 */
/* What only a VM above a kernel has: checked here, done by the backend. */
#include "lib/core/rendezvous.h"
#include "lib/core/vcpu.h"
#include "lib/host/mem.h"

static int no_kernel(hvcore_error *err, const char *what)
{
    return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_CORE,
                    "No kernel is below this VM, so it has no %s.", what);
}

static int no_vm(hvcore_error *err)
{
    return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_CORE, "An argument is NULL.");
}

static int bad_width(hvcore_error *err)
{
    return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_CORE,
                    "A store event has known flags, a descriptor and a width of 1, 2, 4, 8, or 0 "
                    "for any; one that matches a value has a width, and ports are x86_64's.");
}

static bool ioevent_ok(const hvcore_vm *vm, const hvcore_ioevent *e)
{
    uint32_t known = HVCORE_IOEVENT_PIO | HVCORE_IOEVENT_MATCH | HVCORE_IOEVENT_REMOVE;
    bool power = e->width <= 8 && !(e->width & (e->width - 1));
    return !(e->flags & ~known) && e->fd >= 0 && power &&
           (e->width || !(e->flags & HVCORE_IOEVENT_MATCH)) &&
           (!(e->flags & HVCORE_IOEVENT_PIO) ||
            (vm->arch == HVCORE_ARCH_X86_64 && e->addr <= 0xffff && e->width <= 4));
}

int hvcore_vm_ioevent(hvcore_vm *vm, const hvcore_ioevent *event, hvcore_error *err)
{
    hvcore_ioevent e;
    int rc = vm ? hvc_struct_in(&e, sizeof(e), event, "store event", err) : no_vm(err);
    if (rc) {
        return rc;
    }
    if (!vm->kernel) {
        return no_kernel(err, "store events");
    }
    return ioevent_ok(vm, &e) ? vm->kernel->ioevent(vm->bk, &e, err) : bad_width(err);
}

static int no_irqchip(hvcore_error *err)
{
    return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_CORE,
                    "The VM has no interrupt controller of the kernel: hvcore_irqchip_create().");
}

int hvcore_vm_irqfd(hvcore_vm *vm, uint32_t line, int fd, int resample, uint32_t attach,
                    hvcore_error *err)
{
    if (!vm || fd < 0 || attach > 1) {
        return no_vm(err);
    }
    if (!vm->kernel) {
        return no_kernel(err, "interrupts by eventfd");
    }
    return vm->kernel_irqchip ? vm->kernel->irqfd(vm->bk, line, fd, resample, attach, err)
                              : no_irqchip(err);
}

int hvcore_vm_msi(hvcore_vm *vm, const hvcore_msi *msi, hvcore_error *err)
{
    hvcore_msi m;
    int rc = vm ? hvc_struct_in(&m, sizeof(m), msi, "MSI", err) : no_vm(err);
    if (rc) {
        return rc;
    }
    if (!vm->kernel) {
        return no_kernel(err, "message-signalled interrupts");
    }
    return vm->kernel_irqchip ? vm->kernel->msi(vm->bk, &m, err) : no_irqchip(err);
}

int hvcore_vcpu_debug_set(hvcore_vcpu *v, const hvcore_debug_opts *opts, hvcore_error *err)
{
    hvcore_debug_opts o;
    int rc = v ? hvc_struct_in(&o, sizeof(o), opts, "debug options", err) : no_vm(err);
    if (rc) {
        return rc;
    }
    if (o.flags & ~(uint32_t)(HVCORE_DEBUG_STEP | HVCORE_DEBUG_BREAKPOINTS) ||
        o.count > HVCORE_DEBUG_POINTS) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_CORE,
                        "Unknown debug flags 0x%x, or more than %u points.", o.flags,
                        (unsigned)HVCORE_DEBUG_POINTS);
    }
    rc = hvc_vcpu_look(v);
    if (rc) {
        return hvc_fail(err, -rc, HVCORE_DOMAIN_CORE, "The vCPU runs in another thread.");
    }
    if (!v->kernel) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_CORE,
                        "A machine of the library steps by hvcore_run_opts.max_insns; it has no "
                        "breakpoints yet.");
    }
    return v->kernel->debug(v->bk, &o, err);
}

/* ---- duties ---------------------------------------------------------------------------------- */

static const char *const duties[] = {
    [HVCORE_DUTY_MOPS] = "mops", [HVCORE_DUTY_AT] = "at",   [HVCORE_DUTY_HEDELEG] = "hedeleg",
    [HVCORE_DUTY_SPE] = "spe",   [HVCORE_DUTY_APF] = "apf", [HVCORE_DUTY_STEP] = "step",
};

const char *hvcore_duty_name(uint32_t duty)
{
    return duty < HVCORE_DUTIES ? duties[duty] : NULL;
}

const char *hvcore_duty_source_name(uint32_t source)
{
    static const char *const names[] = {
        [HVCORE_DUTY_BY_UNKNOWN] = "unknown",
        [HVCORE_DUTY_BY_KERNEL] = "kernel",
        [HVCORE_DUTY_BY_LIBRARY] = "library",
        [HVCORE_DUTY_BY_HIDDEN] = "hidden",
        [HVCORE_DUTY_BY_NOT_APPLICABLE] = "not applicable",
        [HVCORE_DUTY_BY_NOBODY] = "unavailable",
    };
    return source < sizeof(names) / sizeof(names[0]) ? names[source] : NULL;
}

/* The library's own machines; all of them are riscv64. */
static void own_duty(const hvcore_vm *vm, uint32_t duty, hvcore_duty_info *info)
{
    static const struct {
        uint32_t source;
        const char *why;
    } rows[] = {
        [HVCORE_DUTY_MOPS] = {HVCORE_DUTY_BY_NOT_APPLICABLE,
                              "Memory copy instructions are arm64's."},
        [HVCORE_DUTY_AT] = {HVCORE_DUTY_BY_NOT_APPLICABLE, "AT instructions are arm64's."},
        [HVCORE_DUTY_HEDELEG] = {HVCORE_DUTY_BY_LIBRARY, "The VM's trap policy decides."},
        [HVCORE_DUTY_SPE] = {HVCORE_DUTY_BY_NOT_APPLICABLE, "Statistical profiling is arm64's."},
        [HVCORE_DUTY_APF] = {HVCORE_DUTY_BY_NOBODY, "Guest memory is always resident here."},
        [HVCORE_DUTY_STEP] = {HVCORE_DUTY_BY_LIBRARY, "A run with max_insns 1 is a step."},
    };
    bool steps = vm->info.caps & HVCORE_CAP_INSN_LIMIT;
    info->source = duty == HVCORE_DUTY_STEP && !steps ? HVCORE_DUTY_BY_NOBODY : rows[duty].source;
    info->counters_valid = rows[duty].source == HVCORE_DUTY_BY_LIBRARY;
    hvc_format(info->why, sizeof(info->why), "%s",
               duty == HVCORE_DUTY_STEP && !steps ? "This machine counts no instructions."
                                                  : rows[duty].why);
}

static int check_duty(const hvcore_vm *vm, uint32_t duty, hvcore_error *err)
{
    if (!vm) {
        return no_vm(err);
    }
    return duty < HVCORE_DUTIES
               ? 0
               : hvc_fail(err, HVCORE_E_RANGE, HVCORE_DOMAIN_CORE, "There is no duty %u.", duty);
}

int hvcore_vm_duty_info(hvcore_vm *vm, uint32_t duty, hvcore_duty_info *info, hvcore_error *err)
{
    hvcore_duty_info full = HVCORE_DUTY_INFO_INIT;
    int rc = check_duty(vm, duty, err);
    if (rc || !info) {
        return rc ? rc : no_vm(err);
    }
    full.duty = duty;
    if (vm->kernel) {
        hvc_host_lock(&vm->lock);
        rc = vm->kernel->duty(vm->bk, duty, &full, err);
        hvc_host_unlock(&vm->lock);
    } else {
        own_duty(vm, duty, &full);
    }
    return rc ? rc : hvc_struct_out(info, &full, sizeof(full));
}

int hvcore_vm_hide(hvcore_vm *vm, uint32_t duty, hvcore_error *err)
{
    int rc = check_duty(vm, duty, err);
    if (rc) {
        return rc;
    }
    if (atomic_load(&vm->has_run)) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_CORE,
                        "A guest that has run has seen what there is.");
    }
    if (!vm->kernel) {
        return no_kernel(err, "features to hide");
    }
    hvc_host_lock(&vm->lock);
    rc = vm->kernel->hide(vm->bk, duty, err);
    hvc_host_unlock(&vm->lock);
    return rc;
}

/* ---- statistics ------------------------------------------------------------------------------ */

/* The vCPU cannot go while the lock is held. */
static int stat_of(hvcore_vm *vm, uint32_t vcpu, uint32_t index, hvcore_kernel_stat *stat,
                   hvcore_error *err)
{
    hvcore_vcpu *v = vcpu < vm->max_vcpus ? vm->vcpu[vcpu] : NULL;
    if (vcpu != UINT32_MAX && !v) {
        return hvc_fail(err, HVCORE_E_NOTFOUND, HVCORE_DOMAIN_CORE, "There is no vCPU %u.", vcpu);
    }
    return vm->kernel->stat(vm->bk, v ? v->bk : NULL, index, stat, err);
}

int hvcore_vm_kernel_stat(hvcore_vm *vm, uint32_t vcpu, uint32_t index, hvcore_kernel_stat *stat,
                          hvcore_error *err)
{
    hvcore_kernel_stat full = HVCORE_KERNEL_STAT_INIT;
    if (!vm || !stat) {
        return no_vm(err);
    }
    if (!vm->kernel) {
        return no_kernel(err, "kernel statistics");
    }
    hvc_host_lock(&vm->lock);
    int rc = stat_of(vm, vcpu, index, &full, err);
    hvc_host_unlock(&vm->lock);
    return rc ? rc : hvc_struct_out(stat, &full, sizeof(full));
}
