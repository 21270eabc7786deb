/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kvm backend on riscv64: what a VM and a vCPU begin with, exits and their answers, interrupt
 * input, debugging, duties. Registers are in riscv64_regs.c, exceptions that the VMM gives the
 * guest in riscv64_trap.c, the kernel's interrupt controller in riscv64_aia.c.
 */
#include "backends/kvm/kvm.h"
#include "lib/arch/riscv64.h"

/* ---- what the kernel does, whatever a policy says -------------------------------------------- */

/*
 * No capability says it (arch/riscv/kvm/vcpu_config.c, vcpu_exit.c). Illegal instructions are
 * delegated or, by older kernels, redirected: the guest cannot tell. Fetches that fail below the
 * guest's own tables (1, 20) are redirected by newer kernels only, so nothing is promised of them.
 * What is not here ends KVM_RUN.
 */
static const uint8_t fixed[HVCORE_RISCV64_CAUSES] = {
    [HVCORE_RISCV64_INSN_MISALIGNED] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_ILLEGAL_INSN] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_BREAKPOINT] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_LOAD_MISALIGNED] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_LOAD_ACCESS] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_STORE_MISALIGNED] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_STORE_ACCESS] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_ECALL_U] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_ECALL_VS] = HVCORE_DO_EMULATE,
    [HVCORE_RISCV64_INSN_PAGE] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_LOAD_PAGE] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_STORE_PAGE] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_LOAD_GUEST_PAGE] = HVCORE_DO_EMULATE,
    [HVCORE_RISCV64_VIRTUAL_INSN] = HVCORE_DO_EMULATE,
    [HVCORE_RISCV64_STORE_GUEST_PAGE] = HVCORE_DO_EMULATE,
};

void hvc_kvm_arch_info(int sys, hvcore_backend_info *info)
{
    (void)sys;
    info->caps |= HVCORE_CAP_KERNEL_WAITS | HVCORE_CAP_TIMER;
    info->delegatable = 0;
    for (unsigned cause = 0; cause < HVCORE_RISCV64_CAUSES; cause++) {
        info->fixed[cause] = fixed[cause] ? fixed[cause] : (uint8_t)HVCORE_DO_EXIT;
    }
}

/* ---- VM -------------------------------------------------------------------------------------- */

int hvc_kvm_arch_type(int sys, const hvcore_vm_opts *opts, unsigned long *type, hvcore_error *err)
{
    uint64_t known = HVCORE_RISCV64_ISA_DEFAULT | HVCORE_RISCV64_ISA_SVADU |
                     HVCORE_RISCV64_ISA_SVNAPOT | HVCORE_RISCV64_ISA_SVPBMT |
                     HVCORE_RISCV64_ISA_BASE;
    (void)sys;
    *type = 0;
    return !(opts->isa & ~known) ? 0
                                 : hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                                            "The isa has bits that nobody knows: 0x%llx.",
                                            (unsigned long long)(opts->isa & ~known));
}

int hvc_kvm_arch_vm_init(bk_vm *vm, const hvcore_vm_opts *opts, hvcore_error *err)
{
    (void)err;
    vm->arch.isa = opts->isa;
    return 0;
}

void hvc_kvm_arch_drop(bk_vm *vm)
{
    (void)vm; /* nothing that is not the kernel's */
}

/* ---- vCPU ------------------------------------------------------------------------------------ */

/* Extensions of HVCORE_RISCV64_ISA_*. MISALIGNED is the host's affair: KVM has no say in it. */
static const struct extension {
    uint64_t isa;
    uint32_t number; /* KVM_RISCV_ISA_EXT_* */
    const char *name;
} extensions[] = {
    {HVCORE_RISCV64_ISA_C, KVM_RISCV_ISA_EXT_C, "C"},
    {HVCORE_RISCV64_ISA_FD, KVM_RISCV_ISA_EXT_F, "F"},
    {HVCORE_RISCV64_ISA_FD, KVM_RISCV_ISA_EXT_D, "D"},
    {HVCORE_RISCV64_ISA_B, HVC_KVM_RISCV_ISA_ZBA, "Zba"},
    {HVCORE_RISCV64_ISA_B, HVC_KVM_RISCV_ISA_ZBB, "Zbb"},
    {HVCORE_RISCV64_ISA_B, HVC_KVM_RISCV_ISA_ZBS, "Zbs"},
    {HVCORE_RISCV64_ISA_ZICBO, KVM_RISCV_ISA_EXT_ZICBOM, "Zicbom"},
    {HVCORE_RISCV64_ISA_ZICBO, HVC_KVM_RISCV_ISA_ZICBOZ, "Zicboz"},
    {HVCORE_RISCV64_ISA_SSTC, KVM_RISCV_ISA_EXT_SSTC, "Sstc"},
    {HVCORE_RISCV64_ISA_SVADU, HVC_KVM_RISCV_ISA_SVADU, "Svadu"},
    {HVCORE_RISCV64_ISA_SVNAPOT, HVC_KVM_RISCV_ISA_SVNAPOT, "Svnapot"},
    {HVCORE_RISCV64_ISA_SVPBMT, KVM_RISCV_ISA_EXT_SVPBMT, "Svpbmt"},
};

/* Is, or becomes, as it should be. */
static bool extension_is(bk_vcpu *v, uint32_t number, uint64_t wanted)
{
    uint64_t has = 0;
    if (hvc_kvm_get_one(v, HVC_KVM_RISCV64_ISA(number), &has)) {
        has = 0; /* the host lacks it, or its kernel does not know it */
    }
    return has == wanted || !hvc_kvm_set_one(v, HVC_KVM_RISCV64_ISA(number), &wanted);
}

static int apply_isa(bk_vcpu *v, hvcore_error *err)
{
    uint64_t isa = v->vm->arch.isa;
    for (size_t i = 0; isa && i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        const struct extension *e = &extensions[i];
        uint64_t wanted = !!(isa & e->isa);
        if (!extension_is(v, e->number, wanted)) {
            return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                            "The isa asks for a guest %s %s, and this host's kernel cannot make it "
                            "one: isa 0 takes what it gives.",
                            wanted ? "with" : "without", e->name);
        }
    }
    return 0;
}

/* A kernel that does not know DBCN lets nobody answer it: the guest is told there is none. */
static int apply_sbi(bk_vcpu *v, hvcore_error *err)
{
    uint64_t on = 1;
    if (hvc_kvm_set_one(v, HVC_KVM_RISCV64_SBI(HVC_KVM_RISCV_SBI_DBCN), &on) && errno != ENOENT &&
        errno != EINVAL) {
        return hvc_kvm_fail(err, "KVM_SET_ONE_REG of SBI's debug console");
    }
    return 0;
}

/* What firmware leaves behind; 6.12 begins with it, 7.2 with zero. */
static int apply_counters(bk_vcpu *v, hvcore_error *err)
{
    uint64_t counters = HVC_SCOUNTEREN_RESET;
    return hvc_kvm_set_one(v, HVC_KVM_RISCV64_CSR(scounteren), &counters)
               ? hvc_kvm_fail(err, "KVM_SET_ONE_REG of scounteren")
               : 0;
}

/* KVM starts the first vCPU that is made, and leaves the others stopped. */
static int apply_state(bk_vcpu *v, uint32_t flags, hvcore_error *err)
{
    struct kvm_mp_state state = {
        .mp_state = flags & HVCORE_VCPU_OFF ? KVM_MP_STATE_STOPPED : KVM_MP_STATE_RUNNABLE,
    };
    return hvc_kvm_ioctl(v->fd, KVM_SET_MP_STATE, &state) < 0
               ? hvc_kvm_fail(err, "KVM_SET_MP_STATE")
               : 0;
}

int hvc_kvm_arch_vcpu_flags(const bk_vm *vm, uint32_t flags, hvcore_error *err)
{
    (void)flags;
    return vm->arch.imsic_ids
               ? hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_KVM,
                          "The kernel's interrupt controller is there already and takes no more "
                          "vCPUs: make them all before it.")
               : 0;
}

int hvc_kvm_arch_vcpu_init(bk_vcpu *v, uint32_t flags, hvcore_error *err)
{
    v->arch.position = v->vm->arch.made++;
    int rc = apply_isa(v, err);
    if (!rc) {
        rc = apply_sbi(v, err);
    }
    if (!rc) {
        rc = apply_counters(v, err);
    }
    return rc ? rc : apply_state(v, flags, err);
}

/* ---- exits ----------------------------------------------------------------------------------- */

void hvc_kvm_arch_seen(bk_vcpu *v, hvcore_event *event)
{
    (void)v; /* each register costs a system call */
    (void)event;
}

bool hvc_kvm_arch_more(bk_vcpu *v)
{
    (void)v;
    return false;
}

/* Only VS-mode calls. */
static int on_sbi(bk_vcpu *v, hvcore_event *event)
{
    const struct kvm_run *r = v->run;
    hvcore_exit_hypercall *call = &v->last.u.call;
    event->kind = HVCORE_EVENT_CALL;
    event->mode = HVCORE_RISCV64_VS;
    event->have |= HVCORE_HAVE_MODE;
    v->last.needs = 1;
    call->nr = r->riscv_sbi.extension_id;
    call->fid = r->riscv_sbi.function_id;
    for (unsigned i = 0; i < 6; i++) {
        call->arg[i] = r->riscv_sbi.args[i];
    }
    return 0;
}

static int on_csr(bk_vcpu *v, hvcore_event *event)
{
    const struct kvm_run *r = v->run;
    event->kind = HVCORE_EVENT_SYSREG;
    v->last.needs = 1;
    v->last.u.sysreg = (hvcore_exit_sysreg){.id = r->riscv_csr.csr_num,
                                            .value = r->riscv_csr.new_value,
                                            .mask = r->riscv_csr.write_mask};
    return 0;
}

/* The guest stands on its EBREAK: where, is what a debugger asks first. */
static int on_debug(bk_vcpu *v, hvcore_event *event)
{
    if (hvc_kvm_get_one(v, HVC_KVM_RISCV64_CORE(0), &event->pc)) {
        return hvc_kvm_failed(v, "KVM_GET_ONE_REG");
    }
    event->kind = HVCORE_EVENT_DEBUG;
    event->have |= HVCORE_HAVE_PC;
    v->last.u.debug = (hvcore_exit_debug){.kind = HVCORE_DEBUG_KIND_BREAKPOINT};
    return 0;
}

bool hvc_kvm_arch_exit(bk_vcpu *v, hvcore_event *event, int *rc)
{
    switch (v->run->exit_reason) {
    case KVM_EXIT_RISCV_SBI:
        *rc = on_sbi(v, event);
        return true;
    case KVM_EXIT_RISCV_CSR:
        *rc = on_csr(v, event);
        return true;
    case KVM_EXIT_DEBUG:
        *rc = on_debug(v, event);
        return true;
    default:
        return false;
    }
}

int hvc_kvm_arch_answer(bk_vcpu *v, const uint64_t value[HVCORE_BK_ANSWERS])
{
    struct kvm_run *r = v->run;
    if (r->exit_reason == KVM_EXIT_RISCV_SBI) {
        r->riscv_sbi.ret[0] = value[0];
        r->riscv_sbi.ret[1] = value[1];
    } else if (r->exit_reason == KVM_EXIT_RISCV_CSR) {
        r->riscv_csr.ret_value = value[0];
    }
    return 0;
}

/* ---- interrupt input ------------------------------------------------------------------------- */

int hvc_kvm_arch_vcpu_irq(bk_vcpu *v, uint32_t irq, uint32_t level)
{
    if (irq != HVCORE_RISCV64_IRQ_EXTERNAL) {
        return -HVCORE_E_RANGE;
    }
    if (v->vm->arch.imsic_ids) {
        return -HVCORE_E_STATE;
    }
    atomic_store(&v->arch.external, level != 0);
    return 0;
}

/* A hart that another one starts (SBI HSM) has lost what was pending: a high level is told anew. */
int hvc_kvm_arch_enter(bk_vcpu *v)
{
    uint32_t level = atomic_load(&v->arch.external);
    if (!level && !v->arch.driven) {
        return 0;
    }
    struct kvm_interrupt irq = {.irq = level ? KVM_INTERRUPT_SET : KVM_INTERRUPT_UNSET};
    if (hvc_kvm_ioctl(v->fd, KVM_INTERRUPT, &irq) < 0) {
        return hvc_kvm_failed(v, "KVM_INTERRUPT");
    }
    v->arch.driven = level;
    return 0;
}

/* ---- debugging ------------------------------------------------------------------------------- */

/* The kernel checks no flags: it would ignore steps and points without a word. */
int hvc_kvm_arch_debug(bk_vcpu *v, const hvcore_debug_opts *opts, hvcore_error *err)
{
    bool on = opts->flags & HVCORE_DEBUG_BREAKPOINTS;
    struct kvm_guest_debug debug = {.control = on ? KVM_GUESTDBG_ENABLE : 0};
    if (opts->flags & HVCORE_DEBUG_STEP || opts->count) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                        "KVM on riscv64 has no %s, it stops at EBREAK only: plant one, or use the "
                        "backend \"bare\".",
                        opts->count ? "hardware breakpoints and watchpoints" : "single steps");
    }
    return hvc_kvm_ioctl(v->fd, KVM_SET_GUEST_DEBUG, &debug) < 0
               ? hvc_kvm_fail(err, "KVM_SET_GUEST_DEBUG")
               : 0;
}

/* ---- duties ---------------------------------------------------------------------------------- */

static const struct duty {
    uint32_t source;
    const char *why;
} duties[HVCORE_DUTIES] = {
    [HVCORE_DUTY_MOPS] = {HVCORE_DUTY_BY_NOT_APPLICABLE, "Memory copy instructions are arm64's."},
    [HVCORE_DUTY_AT] = {HVCORE_DUTY_BY_NOT_APPLICABLE, "AT instructions are arm64's."},
    [HVCORE_DUTY_SPE] = {HVCORE_DUTY_BY_NOT_APPLICABLE, "Statistical profiling is arm64's."},
    [HVCORE_DUTY_APF] = {HVCORE_DUTY_BY_NOBODY,
                         "KVM has asynchronous page faults on x86_64 only: a fault of the host's "
                         "keeps the vCPU in KVM_RUN."},
    [HVCORE_DUTY_STEP] = {HVCORE_DUTY_BY_NOBODY,
                          "KVM on riscv64 ignores KVM_GUESTDBG_SINGLESTEP without an error; EBREAK "
                          "can exit."},
};

/* SBI FWFT gives the guest one switch, for misaligned accesses; its register tells of it. */
static const char *fwft(bk_vm *vm)
{
    uint64_t id = KVM_REG_RISCV | KVM_REG_SIZE_U64 | (uint64_t)HVC_KVM_RISCV_TYPE_SBI_STATE |
                  (uint64_t)HVC_KVM_RISCV_STATE_FWFT;
    uint64_t enable = 0;
    bk_vcpu *v = hvc_kvm_some_vcpu(vm);
    if (!v) {
        return "no vCPU to ask";
    }
    return !hvc_kvm_get_one(v, id, &enable) && enable ? "there" : "not there";
}

int hvc_kvm_arch_duty(bk_vm *vm, uint32_t duty, hvcore_duty_info *info, hvcore_error *err)
{
    (void)err;
    if (duty != HVCORE_DUTY_HEDELEG) {
        info->source = duties[duty].source;
        hvc_format(info->why, sizeof(info->why), "%s", duties[duty].why);
        return 0;
    }
    info->source = HVCORE_DUTY_BY_KERNEL;
    hvc_format(info->why, sizeof(info->why),
               "Fixed by the kernel's release, no capability tells how: illegal instructions are "
               "delegated or redirected, fetches outside memory redirected or fatal. SBI FWFT's "
               "misaligned switch: %s.",
               fwft(vm));
    return 0;
}

int hvc_kvm_arch_hide(bk_vm *vm, uint32_t duty, hvcore_error *err)
{
    (void)vm;
    return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                    "Nothing of the duty %u can be hidden on riscv64.", duty);
}
