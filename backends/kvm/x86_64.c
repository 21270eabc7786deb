/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm on x86_64: CPUID, interrupts, exits. Registers are x86_64_regs.c's, debugging is
 * x86_64_debug.c's.
 */
#include <asm/kvm.h>

#include "backends/kvm/kvm.h"
#include "lib/host/mem.h"

/* ---- VM -------------------------------------------------------------------------------------- */

void hvc_kvm_arch_info(int sys, hvcore_backend_info *info)
{
    (void)sys, (void)info; /* nothing beside what is common */
}

int hvc_kvm_arch_type(int sys, const hvcore_vm_opts *opts, unsigned long *type, hvcore_error *err)
{
    (void)sys;
    *type = 0;
    return !opts->isa ? 0
                      : hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                                 "The field `isa` of the VM options is for riscv64.");
}

/* Three pages and one below 4 GiB that Intel's processors need for real mode; nobody else does. */
enum { IDENTITY_MAP = 0xfffbc000, TSS = 0xfffbd000 };

void hvc_kvm_arch_drop(bk_vm *vm)
{
    hvc_host_free(vm->arch.cpuid);
}

int hvc_kvm_arch_vm_init(bk_vm *vm, const hvcore_vm_opts *opts, hvcore_error *err)
{
    uint64_t map = IDENTITY_MAP;
    (void)opts;
    vm->arch.sync = (uint32_t)hvc_kvm_cap(vm->fd, KVM_CAP_SYNC_REGS);
    if (hvc_kvm_ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &map) < 0) {
        return hvc_kvm_fail(err, "KVM_SET_IDENTITY_MAP_ADDR");
    }
    if (hvc_kvm_ioctl_value(vm->fd, KVM_SET_TSS_ADDR, TSS) < 0) {
        return hvc_kvm_fail(err, "KVM_SET_TSS_ADDR");
    }
    /* MSRs that this KVM does not know are the VMM's */
    if (hvc_kvm_cap(vm->fd, KVM_CAP_X86_USER_SPACE_MSR) &&
        hvc_kvm_enable(vm->fd, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_UNKNOWN) < 0) {
        return hvc_kvm_fail(err, "KVM_ENABLE_CAP(KVM_CAP_X86_USER_SPACE_MSR)");
    }
    return 0;
}

/* ---- CPUID ----------------------------------------------------------------------------------- */

static size_t cpuid_bytes(uint32_t n)
{
    return sizeof(struct kvm_cpuid2) + n * sizeof(struct kvm_cpuid_entry2);
}

/* What the host and its kernel support, asked for with more and more room. */
static int supported(bk_vm *vm, hvcore_error *err)
{
    enum { MOST = 4096 };
    for (uint32_t n = 128; n <= MOST; n *= 2) {
        struct kvm_cpuid2 *c = hvc_host_alloc(cpuid_bytes(n));
        if (!c) {
            return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_KVM, "No memory for CPUID.");
        }
        c->nent = n;
        if (hvc_kvm_ioctl(vm->sys, KVM_GET_SUPPORTED_CPUID, c) == 0) {
            vm->arch.cpuid = c;
            return 0;
        }
        hvc_host_free(c);
        if (errno != E2BIG) {
            break;
        }
    }
    return hvc_kvm_fail(err, "KVM_GET_SUPPORTED_CPUID");
}

/* The entries that differ from vCPU to vCPU: its APIC's number. */
static void number(struct kvm_cpuid2 *c, uint32_t index)
{
    enum { HYPERVISOR = 1u << 31 };
    for (uint32_t i = 0; i < c->nent; i++) {
        struct kvm_cpuid_entry2 *e = &c->entries[i];
        if (e->function == 1) {
            e->ebx = (e->ebx & 0xffffff) | index << 24;
            e->ecx |= HYPERVISOR;
        } else if (e->function == 0xb || e->function == 0x1f) {
            e->edx = index;
        }
    }
}

int hvc_kvm_arch_vcpu_flags(const bk_vm *vm, uint32_t flags, hvcore_error *err)
{
    if (vm->arch.irqchip && !vm->lines) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_KVM,
                        "Half of the interrupt controller is there, since making the rest failed: "
                        "hvcore_irqchip_create() first.");
    }
    if (flags & HVCORE_VCPU_OFF) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                        "On x86_64 a vCPU is not off: with HVCORE_IRQCHIP_PC all but the first one "
                        "wait for INIT and SIPI by themselves.");
    }
    return 0;
}

int hvc_kvm_arch_vcpu_init(bk_vcpu *v, uint32_t flags, hvcore_error *err)
{
    bk_vm *vm = v->vm;
    (void)flags;
    int rc = vm->arch.cpuid ? 0 : supported(vm, err);
    if (rc) {
        return rc;
    }
    number(vm->arch.cpuid, v->index);
    if (hvc_kvm_ioctl(v->fd, KVM_SET_CPUID2, vm->arch.cpuid) < 0) {
        return hvc_kvm_fail(err, "KVM_SET_CPUID2");
    }
    v->run->kvm_valid_regs = vm->arch.sync & KVM_SYNC_X86_REGS;
    return 0;
}

/* ---- interrupts without the kernel's APIC ---------------------------------------------------- */

enum { VECTORS = 256 };

int hvc_kvm_arch_vcpu_irq(bk_vcpu *v, uint32_t irq, uint32_t level)
{
    if (irq >= VECTORS) {
        return -HVCORE_E_RANGE;
    }
    if (v->vm->lines) {
        return -HVCORE_E_STATE;
    }
    _Atomic uint64_t *word = &v->arch.vector[irq / 64];
    uint64_t bit = UINT64_C(1) << irq % 64;
    if (level) {
        atomic_fetch_or(word, bit);
    } else {
        atomic_fetch_and(word, ~bit);
    }
    return 0;
}

/* The highest vector that waits, or -1. */
static int highest(bk_vcpu *v)
{
    for (int i = 3; i >= 0; i--) {
        uint64_t word = atomic_load(&v->arch.vector[i]);
        if (word) {
            return 64 * i + 63 - __builtin_clzll(word);
        }
    }
    return -1;
}

/*
 * KVM steps from where rip was at KVM_SET_GUEST_DEBUG (arch.singlestep_rip): registers that have
 * been set since go first, and the step is asked for anew.
 */
static int step_from_here(bk_vcpu *v)
{
    if (!(v->arch.debug.control & KVM_GUESTDBG_SINGLESTEP) || !v->arch.moved) {
        return 0;
    }
    int rc = hvc_kvm_x86_64_regs_flush(v);
    if (rc) {
        return rc;
    }
    if (hvc_kvm_ioctl(v->fd, KVM_SET_GUEST_DEBUG, &v->arch.debug) < 0) {
        return hvc_kvm_failed(v, "KVM_SET_GUEST_DEBUG");
    }
    v->arch.moved = 0;
    return 0;
}

int hvc_kvm_arch_enter(bk_vcpu *v)
{
    int vector = highest(v);
    int rc = step_from_here(v);
    if (rc) {
        return rc;
    }
    v->arch.io_index = 0;
    hvc_kvm_x86_64_regs_enter(v);
    if (vector >= 0 && v->run->ready_for_interrupt_injection) {
        struct kvm_interrupt irq = {.irq = (uint32_t)vector};
        if (hvc_kvm_ioctl(v->fd, KVM_INTERRUPT, &irq) < 0) {
            return hvc_kvm_failed(v, "KVM_INTERRUPT");
        }
        hvc_kvm_arch_vcpu_irq(v, (uint32_t)vector, 0);
        vector = highest(v);
    }
    v->run->request_interrupt_window = vector >= 0;
    return 0;
}

int hvc_kvm_arch_irqchip(bk_vm *vm, const hvcore_irqchip_opts *o, hvcore_error *err)
{
    enum { LINES = 24 }; /* of an I/O APIC */
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
    if (o->kind != HVCORE_IRQCHIP_PC) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                        "x86_64's interrupt controllers are HVCORE_IRQCHIP_PC.");
    }
    if (o->gpa || o->gpa_cpu) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_KVM,
                        "The places of a PC's interrupt controllers are fixed: gpa and gpa_cpu are "
                        "0.");
    }
    if (o->lines != LINES) {
        return hvc_fail(err, HVCORE_E_RANGE, HVCORE_DOMAIN_KVM,
                        "A PC's interrupt controllers have 24 input lines, not %u.", o->lines);
    }
    if (vm->vcpus) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_KVM,
                        "The local APICs come with the vCPUs: make the interrupt controller before "
                        "the first vCPU.");
    }
    if (!vm->arch.irqchip && hvc_kvm_ioctl_value(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0) {
        return hvc_kvm_fail(err, "KVM_CREATE_IRQCHIP");
    }
    vm->arch.irqchip = 1;
    return hvc_kvm_ioctl(vm->fd, KVM_CREATE_PIT2, &pit) < 0 ? hvc_kvm_fail(err, "KVM_CREATE_PIT2")
                                                            : 0;
}

uint32_t hvc_kvm_arch_irq_line(uint32_t line)
{
    return line;
}

uint32_t hvc_kvm_arch_gsi(uint32_t line)
{
    return line;
}

bool hvc_kvm_arch_is_line(const bk_vm *vm, uint32_t line)
{
    return line < vm->lines;
}

/* ---- exits ----------------------------------------------------------------------------------- */

void hvc_kvm_arch_seen(bk_vcpu *v, hvcore_event *event)
{
    const struct kvm_run *r = v->run;
    v->arch.have = (uint32_t)r->kvm_valid_regs; /* they have come with the exit */
    if (!(v->arch.have & KVM_SYNC_X86_REGS)) {
        return;
    }
    event->pc = r->s.regs.regs.rip;
    event->have |= HVCORE_HAVE_PC;
    /* a store's registers are written back before user space sees it */
    v->last.advanced = r->exit_reason == KVM_EXIT_MMIO && r->mmio.is_write;
}

/* Items of a known size, all of them in what is mapped. */
static bool io_ok(const bk_vcpu *v)
{
    const struct kvm_run *r = v->run;
    uint64_t at = r->io.data_offset, len = (uint64_t)r->io.count * r->io.size;
    return (r->io.size == 1 || r->io.size == 2 || r->io.size == 4) && len &&
           at <= v->vm->run_size && len <= v->vm->run_size - at;
}

static void *io_item(bk_vcpu *v, uint32_t index)
{
    const struct kvm_run *r = v->run;
    return (char *)v->run + r->io.data_offset + (size_t)index * r->io.size;
}

bool hvc_kvm_arch_more(bk_vcpu *v)
{
    return v->arch.io_index && v->run->exit_reason == KVM_EXIT_IO &&
           v->arch.io_index < v->run->io.count;
}

/* One item a time: a string instruction brings up to a page of them. */
static int on_io(bk_vcpu *v, hvcore_event *event)
{
    const struct kvm_run *r = v->run;
    uint32_t index = v->arch.io_index++;
    bool out = r->io.direction == KVM_EXIT_IO_OUT;
    event->kind = HVCORE_EVENT_PIO;
    v->last.needs = !out;
    v->last.u.pio = (hvcore_exit_pio){
        .port = r->io.port,
        .width = r->io.size,
        .write = out,
        .data = out ? hvc_kvm_load(io_item(v, index), r->io.size) : 0,
    };
    if (out) { /* rip is on the instruction or behind it, as KVM has carried it out */
        event->pc = 0;
        event->have &= ~(uint32_t)HVCORE_HAVE_PC;
    }
    return 0;
}

static int on_msr(bk_vcpu *v, hvcore_event *event)
{
    const struct kvm_run *r = v->run;
    bool write = r->exit_reason == KVM_EXIT_X86_WRMSR;
    event->kind = HVCORE_EVENT_SYSREG;
    v->last.needs = 1;
    v->last.u.sysreg = (hvcore_exit_sysreg){
        .id = r->msr.index, .value = write ? r->msr.data : 0, .mask = write ? UINT64_MAX : 0};
    return 0;
}

static int on_hypercall(bk_vcpu *v, hvcore_event *event)
{
    const struct kvm_run *r = v->run;
    event->kind = HVCORE_EVENT_CALL;
    v->last.needs = 1;
    v->last.u.call = (hvcore_exit_hypercall){.nr = r->hypercall.nr};
    memcpy(v->last.u.call.arg, (const void *)r->hypercall.args, sizeof(v->last.u.call.arg));
    return 0;
}

/* DR6.BS is a step (Intel SDM volume 3, 18.2.3). */
static int on_debug(bk_vcpu *v, hvcore_event *event)
{
    enum { BREAKPOINT = 3, BS = 1 << 14 };
    const struct kvm_debug_exit_arch *d = &v->run->debug.arch;
    event->kind = HVCORE_EVENT_DEBUG;
    v->last.u.debug = (hvcore_exit_debug){
        .kind = d->exception == BREAKPOINT ? HVCORE_DEBUG_KIND_BREAKPOINT
                : d->dr6 & BS              ? HVCORE_DEBUG_KIND_STEP
                                           : HVCORE_DEBUG_KIND_POINT,
        .status = d->dr6,
    };
    return 0;
}

bool hvc_kvm_arch_exit(bk_vcpu *v, hvcore_event *event, int *rc)
{
    static int (*const exits[])(bk_vcpu *, hvcore_event *) = {
        [KVM_EXIT_IO] = on_io,         [KVM_EXIT_HYPERCALL] = on_hypercall,
        [KVM_EXIT_DEBUG] = on_debug,   [KVM_EXIT_X86_RDMSR] = on_msr,
        [KVM_EXIT_X86_WRMSR] = on_msr,
    };
    uint32_t reason = v->run->exit_reason;
    if (reason >= sizeof(exits) / sizeof(exits[0]) || !exits[reason] ||
        (reason == KVM_EXIT_IO && !io_ok(v))) {
        return false;
    }
    *rc = exits[reason](v, event);
    return true;
}

int hvc_kvm_arch_answer(bk_vcpu *v, const uint64_t value[HVCORE_BK_ANSWERS])
{
    struct kvm_run *r = v->run;
    switch (r->exit_reason) {
    case KVM_EXIT_IO:
        if (r->io.direction == KVM_EXIT_IO_IN) {
            hvc_kvm_store(io_item(v, v->arch.io_index - 1), value[0], r->io.size);
        }
        return 0;
    case KVM_EXIT_X86_RDMSR:
        r->msr.data = value[0];
        r->msr.error = 0;
        return 0;
    case KVM_EXIT_X86_WRMSR:
        r->msr.error = 0;
        return 0;
    case KVM_EXIT_HYPERCALL:
        r->hypercall.ret = value[0];
        return 0;
    default:
        return 0; /* nothing was asked */
    }
}

/* #GP for an MSR; ones on a bus where nobody answers; KVM_ENOSYS for a call. */
int hvc_kvm_arch_deny(bk_vcpu *v, hvcore_error *err)
{
    enum { ENOSYS_OF_KVM = 1000 }; /* Documentation/virt/kvm/x86/hypercalls.rst */
    struct kvm_run *r = v->run;
    const uint64_t ones[HVCORE_BK_ANSWERS] = {UINT64_MAX};
    (void)err;
    if (r->exit_reason == KVM_EXIT_X86_RDMSR || r->exit_reason == KVM_EXIT_X86_WRMSR) {
        r->msr.error = 1;
        return 0;
    }
    if (r->exit_reason == KVM_EXIT_HYPERCALL) {
        r->hypercall.ret = -(uint64_t)ENOSYS_OF_KVM;
        return 0;
    }
    return hvc_kvm_answer(v, ones);
}
