/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kvm backend on arm64: VMs, vCPUs, exits and what is given to the guest. Beside it:
 * arm64_regs.c, arm64_irqchip.c, arm64_debug.c, arm64_duty.c.
 *
 * Not here: SMCCC calls reach us only through the VM's SMCCC filter, which nothing of the public
 * API sets yet (the exit is understood); no PMU for guests, whose overflow interrupt would need the
 * kernel's GIC; KVM_CAP_ARM_SEA_TO_USER stays off, so memory errors are between kernel and guest.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "backends/kvm/kvm.h"
#include "lib/host/mem.h"

#define PC HVCORE_REG_ARM64_PC
#define X(n) (HVCORE_REG_ARM64_X0 + ((hvcore_reg)(n) << 8))

/* ---- VM and vCPU ---------------------------------------------------------------------------- */

/*
 * Bits of guest-physical addresses: KVM's own default, or all that the hardware has where that is
 * less. More would cost a level of each stage-2 walk, and when the VM goes Linux 7.2 walks all of
 * the space in steps of 1 GiB: 4 s for 52 bits in QEMU.
 */
enum { IPA_BITS = 40 };

static uint32_t ipa_bits(int sys)
{
    int most = hvc_kvm_cap(sys, KVM_CAP_ARM_VM_IPA_SIZE); /* 0 before 4.20: 40 it is */
    return most && most < IPA_BITS ? (uint32_t)most : IPA_BITS;
}

void hvc_kvm_arch_info(int sys, hvcore_backend_info *info)
{
    info->caps |= HVCORE_CAP_KERNEL_WAITS;
    info->caps |= hvc_kvm_cap(sys, HVC_KVM_CAP_ARM_EL2) ? (uint32_t)HVCORE_CAP_EL2 : 0;
}

int hvc_kvm_arch_type(int sys, const hvcore_vm_opts *opts, unsigned long *type, hvcore_error *err)
{
    if (opts->flags & HVCORE_VM_EL2 && !hvc_kvm_cap(sys, HVC_KVM_CAP_ARM_EL2)) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                        "A guest with an EL2 needs KVM_CAP_ARM_EL2 (%d): Linux 6.16, hardware with "
                        "FEAT_NV2 and kvm-arm.mode=nested on the kernel's command line.",
                        HVC_KVM_CAP_ARM_EL2);
    }
    *type = ipa_bits(sys) == IPA_BITS ? 0 : ipa_bits(sys);
    return 0;
}

static uint32_t features(int fd, bool el2)
{
    uint32_t set = 1u << KVM_ARM_VCPU_PSCI_0_2;
    if (hvc_kvm_cap(fd, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
        hvc_kvm_cap(fd, KVM_CAP_ARM_PTRAUTH_GENERIC)) {
        set |= 1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC;
    }
    if (hvc_kvm_cap(fd, KVM_CAP_ARM_SVE)) {
        set |= 1u << KVM_ARM_VCPU_SVE;
    }
    return set | (el2 ? 1u << HVC_KVM_ARM_VCPU_HAS_EL2 : 0);
}

int hvc_kvm_arch_vm_init(bk_vm *vm, const hvcore_vm_opts *opts, hvcore_error *err)
{
    struct kvm_vcpu_init init = {0};
    if (!hvc_kvm_cap(vm->fd, KVM_CAP_ARM_PSCI_0_2)) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                        "This kernel's KVM has no PSCI 0.2 for guests: it is older than 3.16.");
    }
    if (hvc_kvm_ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init) < 0) {
        return hvc_kvm_fail(err, "KVM_ARM_PREFERRED_TARGET");
    }
    vm->arch.target = init.target;
    vm->arch.ipa_bits = ipa_bits(vm->sys);
    vm->arch.el2 = opts->flags & HVCORE_VM_EL2;
    vm->arch.features = features(vm->fd, vm->arch.el2);
    /* else an access that the hardware does not describe is ENOSYS of KVM_RUN */
    return hvc_kvm_cap(vm->fd, KVM_CAP_ARM_NISV_TO_USER) &&
                   hvc_kvm_enable(vm->fd, KVM_CAP_ARM_NISV_TO_USER, 0) < 0
               ? hvc_kvm_fail(err, "KVM_ENABLE_CAP of KVM_CAP_ARM_NISV_TO_USER")
               : 0;
}

void hvc_kvm_arch_drop(bk_vm *vm)
{
    (void)vm;
}

int hvc_kvm_arch_vcpu_flags(const bk_vm *vm, uint32_t flags, hvcore_error *err)
{
    (void)flags;
    return vm->lines ? hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_KVM,
                                "The kernel's GIC is there already and takes no more vCPUs: make "
                                "them all before it.")
                     : 0;
}

int hvc_kvm_arch_vcpu_init(bk_vcpu *v, uint32_t flags, hvcore_error *err)
{
    uint32_t off = flags & HVCORE_VCPU_OFF ? 1u << KVM_ARM_VCPU_POWER_OFF : 0;
    struct kvm_vcpu_init init = {.target = v->vm->arch.target,
                                 .features = {v->vm->arch.features | off}};
    int sve = KVM_ARM_VCPU_SVE;
    if (hvc_kvm_ioctl(v->fd, KVM_ARM_VCPU_INIT, &init) < 0) {
        return hvc_kvm_fail(err, "KVM_ARM_VCPU_INIT");
    }
    if (init.features[0] & 1u << sve && hvc_kvm_ioctl(v->fd, KVM_ARM_VCPU_FINALIZE, &sve) < 0) {
        return hvc_kvm_fail(err, "KVM_ARM_VCPU_FINALIZE of SVE");
    }
    return 0;
}

/* ---- exits ---------------------------------------------------------------------------------- */

enum { ESR_FNV = 1 << 10 /* of an external abort: FAR is not valid (DDI0487 D24.2.40) */ };

int hvc_kvm_arm64_pc(bk_vcpu *v, hvcore_event *event)
{
    int rc = hvc_kvm_arch_reg_get(v, PC, &event->pc);
    if (!rc) {
        event->have |= HVCORE_HAVE_PC;
    }
    return rc;
}

/* A load or store outside of memory that the hardware has not described: esr_iss says what is left
 * (CM, WnR, DFSC). The guest stands on the instruction. */
static int on_nisv(bk_vcpu *v, hvcore_event *event)
{
    const struct {
        uint64_t esr_iss, fault_ipa;
    } *nisv = hvc_kvm_union(v);
    event->kind = HVCORE_EVENT_TRAP;
    event->cls = HVC_EC_DABT_LOWER;
    event->syndrome = nisv->esr_iss;
    event->gpa = nisv->fault_ipa;
    event->have = HVCORE_HAVE_SYNDROME | HVCORE_HAVE_GPA;
    return 0;
}

/* Only where somebody has switched it on. */
static int on_sea(bk_vcpu *v, hvcore_event *event)
{
    enum { GPA_VALID = 1 };
    const hvc_kvm_arm_sea *sea = hvc_kvm_union(v);
    event->kind = HVCORE_EVENT_TRAP;
    event->cls = (uint32_t)(sea->esr >> HVC_EC_SHIFT) & 0x3f;
    event->syndrome = sea->esr;
    event->have = HVCORE_HAVE_SYNDROME;
    if (!(sea->esr & ESR_FNV)) {
        event->gva = sea->gva;
        event->have |= HVCORE_HAVE_GVA;
    }
    if (sea->flags & GPA_VALID) {
        event->gpa = sea->gpa;
        event->have |= HVCORE_HAVE_GPA;
    }
    return 0;
}

/* pc is behind the instruction already; the event has the instruction's own. */
static int on_call(bk_vcpu *v, hvcore_event *event)
{
    enum { SMC = 1, SIXTEEN_BIT = 2 };
    const struct {
        uint64_t nr, args[6], ret, flags;
    } *call = hvc_kvm_union(v);
    hvcore_exit_hypercall *c = &v->last.u.call;
    *c = (hvcore_exit_hypercall){.nr = call->nr, .fid = call->flags & SMC};
    int rc = hvc_kvm_arm64_pc(v, event);
    for (uint32_t i = 0; i < sizeof(c->arg) / sizeof(c->arg[0]) && !rc; i++) {
        rc = hvc_kvm_arch_reg_get(v, X(i + 1), &c->arg[i]);
    }
    event->kind = HVCORE_EVENT_CALL;
    event->insn_len = call->flags & SIXTEEN_BIT ? 2 : 4;
    event->pc -= event->insn_len;
    v->last.needs = v->last.advanced = 1;
    return rc;
}

bool hvc_kvm_arch_exit(bk_vcpu *v, hvcore_event *event, int *rc)
{
    static const struct {
        uint32_t reason;
        int (*take)(bk_vcpu *, hvcore_event *);
    } exits[] = {
        {KVM_EXIT_ARM_NISV, on_nisv},
        {HVC_KVM_EXIT_ARM_LDST64B, on_nisv},
        {HVC_KVM_EXIT_ARM_SEA, on_sea},
        {KVM_EXIT_HYPERCALL, on_call},
        {KVM_EXIT_DEBUG, hvc_kvm_arm64_debug_exit},
    };
    for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
        if (exits[i].reason == v->run->exit_reason) {
            *rc = exits[i].take(v, event);
            return true;
        }
    }
    return false;
}

/* ---- answers and exceptions ----------------------------------------------------------------- */

int hvc_kvm_arch_answer(bk_vcpu *v, const uint64_t value[HVCORE_BK_ANSWERS])
{
    int rc = 0;
    for (uint32_t i = 0; i < HVCORE_BK_ANSWERS && !rc; i++) {
        rc = hvc_kvm_arch_reg_set(v, X(i), &value[i]);
    }
    return rc;
}

/*
 * The guest takes the exception in place of the instruction. KVM finishes an access at the next
 * KVM_RUN if exit_reason is still that of an access; kernels before 6.12 do so after an abort as
 * well, and step over the first instruction of its vector. An SError comes some time after the
 * access, which is finished: a load has read 0.
 */
static int set_events(bk_vcpu *v, const struct kvm_vcpu_events *events, hvcore_error *err)
{
    if (hvc_kvm_ioctl(v->fd, KVM_SET_VCPU_EVENTS, (void *)(uintptr_t)events) < 0) {
        return hvc_kvm_fail(err, "KVM_SET_VCPU_EVENTS");
    }
    if (v->run->exit_reason == KVM_EXIT_MMIO && events->exception.ext_dabt_pending) {
        v->run->exit_reason = KVM_EXIT_UNKNOWN;
    } else if (v->run->exit_reason == KVM_EXIT_MMIO) {
        memset(v->run->mmio.data, 0, sizeof(v->run->mmio.data));
    }
    return 0;
}

/* Before 6.17 the registers show an abort only after the next KVM_RUN. The first one would freeze
 * the VM's configuration. */
static int now(bk_vcpu *v, hvcore_error *err)
{
    int rc = v->arch.has_run ? hvc_kvm_settle(v) : 0;
    if (rc) {
        hvc_kvm_why(v, err);
    }
    return rc;
}

static const struct exception {
    int cap;
    const char *name;
} exceptions[] = {
    [HVCORE_ARM64_INJECT_EXT_DABT] = {KVM_CAP_ARM_INJECT_EXT_DABT, "KVM_CAP_ARM_INJECT_EXT_DABT"},
    [HVCORE_ARM64_INJECT_SERROR] = {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
    [HVCORE_ARM64_INJECT_SERROR_ISS] = {KVM_CAP_ARM_INJECT_SERROR_ESR,
                                        "KVM_CAP_ARM_INJECT_SERROR_ESR"},
};

static int check_exception(const bk_vcpu *v, const hvcore_inject *in, hvcore_error *err)
{
    const uint64_t iss = (UINT64_C(1) << 25) - 1;
    if (in->cause >= sizeof(exceptions) / sizeof(exceptions[0])) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_KVM,
                        "%llu is none of HVCORE_ARM64_INJECT_*.", (unsigned long long)in->cause);
    }
    if (in->cause == HVCORE_ARM64_INJECT_SERROR_ISS ? in->tval & ~iss : in->tval) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_KVM,
                        "tval is the 25 bits of SERROR_ISS's syndrome, else 0.");
    }
    return hvc_kvm_cap(v->vm->fd, exceptions[in->cause].cap)
               ? 0
               : hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                          "This host's KVM lacks %s (%d).", exceptions[in->cause].name,
                          exceptions[in->cause].cap);
}

/* What is pending already stays so. */
int hvc_kvm_arch_inject(bk_vcpu *v, const hvcore_inject *in, hvcore_error *err)
{
    struct kvm_vcpu_events events = {0};
    int rc = check_exception(v, in, err);
    if (rc) {
        return rc;
    }
    if (hvc_kvm_ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events) < 0) {
        return hvc_kvm_fail(err, "KVM_GET_VCPU_EVENTS");
    }
    if (in->cause == HVCORE_ARM64_INJECT_EXT_DABT) {
        events.exception.ext_dabt_pending = 1;
    } else {
        events.exception.serror_pending = 1;
        events.exception.serror_has_esr = in->cause == HVCORE_ARM64_INJECT_SERROR_ISS;
        events.exception.serror_esr = in->tval;
    }
    rc = set_events(v, &events, err);
    return rc ? rc : now(v, err);
}

/* MMIO: nothing answers on the bus. A call: SMCCC 1.4, 5.2, NOT_SUPPORTED. */
int hvc_kvm_arch_deny(bk_vcpu *v, hvcore_error *err)
{
    const hvcore_inject abort = {.size = sizeof(abort), .cause = HVCORE_ARM64_INJECT_EXT_DABT};
    const uint64_t not_supported = UINT64_MAX;
    if (v->run->exit_reason != KVM_EXIT_HYPERCALL) {
        return hvc_kvm_arch_inject(v, &abort, err);
    }
    int rc = hvc_kvm_arch_reg_set(v, X(0), &not_supported);
    if (rc) {
        hvc_kvm_why(v, err);
    }
    return rc;
}
