/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kvm backend on arm64: VMs, vCPUs, exits and what is given to the guest, debugging. Beside it:
 * arm64_regs.c, arm64_irqchip.c, arm64_duty.c.
 *
 * Not here: SMCCC calls reach us only through the VM's SMCCC filter, which nothing of the public API
 * sets yet (the exit is understood); no PMU for guests, whose overflow interrupt would need the
 * kernel's GIC; KVM_CAP_ARM_SEA_TO_USER stays off, so memory errors are between kernel and guest.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "backends/kvm/kvm.h"
#include "lib/host/mem.h"

#define PC HVCORE_REG_ARM64_PC
#define X(n) (HVCORE_REG_ARM64_X0 + ((hvcore_reg)(n) << 8))

/* ---- VM and vCPU ------------------------------------------------------------------------------- */

enum { IPA_BITS = 40 /* where the kernel does not say (before 4.20) */ };

void hvc_kvm_arch_info(int sys, hvcore_backend_info *info)
{
    info->caps |= HVCORE_CAP_KERNEL_WAITS;
    info->caps |= hvc_kvm_cap(sys, HVC_KVM_CAP_ARM_EL2) ? (uint32_t)HVCORE_CAP_EL2 : 0;
}

/* As many address bits as the hardware has: a map that ends higher than 40 bits is common. */
int hvc_kvm_arch_type(int sys, const hvcore_vm_opts *opts, unsigned long *type, hvcore_error *err)
{
    if (opts->flags & HVCORE_VM_EL2 && !hvc_kvm_cap(sys, HVC_KVM_CAP_ARM_EL2)) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                        "A guest with an EL2 needs KVM_CAP_ARM_EL2 (%d): Linux 6.16, hardware with "
                        "FEAT_NV2 and kvm-arm.mode=nested on the kernel's command line.",
                        HVC_KVM_CAP_ARM_EL2);
    }
    *type = (unsigned long)hvc_kvm_cap(sys, KVM_CAP_ARM_VM_IPA_SIZE);
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
    int bits = hvc_kvm_cap(vm->sys, KVM_CAP_ARM_VM_IPA_SIZE);
    if (!hvc_kvm_cap(vm->fd, KVM_CAP_ARM_PSCI_0_2)) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                        "This kernel's KVM has no PSCI 0.2 for guests: it is older than 3.16.");
    }
    if (hvc_kvm_ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init) < 0) {
        return hvc_kvm_fail(err, "KVM_ARM_PREFERRED_TARGET");
    }
    vm->arch.target = init.target;
    vm->arch.ipa_bits = (uint32_t)(bits ? bits : IPA_BITS);
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

void hvc_kvm_arch_seen(bk_vcpu *v, hvcore_event *event)
{
    (void)v; /* each register would cost a call */
    (void)event;
}

bool hvc_kvm_arch_more(bk_vcpu *v)
{
    (void)v;
    return false;
}

/* ---- exits ------------------------------------------------------------------------------------- */

/* DDI0487 D24.2.40: exception classes */
enum {
    EC_SHIFT = 26,
    EC_DABT_LOWER = 0x24,
    EC_BREAKPOINT_LOWER = 0x30,
    EC_STEP_LOWER = 0x32,
    EC_WATCHPOINT_LOWER = 0x34,
    EC_BKPT32 = 0x38,
    EC_BRK64 = 0x3c,
    ESR_FNV = 1 << 10 /* of an external abort: FAR is not valid */
};

static int stopped_at(bk_vcpu *v, hvcore_event *event)
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
    event->cls = EC_DABT_LOWER;
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
    event->cls = (uint32_t)(sea->esr >> EC_SHIFT) & 0x3f;
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
    int rc = stopped_at(v, event);
    for (uint32_t i = 0; i < sizeof(c->arg) / sizeof(c->arg[0]) && !rc; i++) {
        rc = hvc_kvm_arch_reg_get(v, X(i + 1), &c->arg[i]);
    }
    event->kind = HVCORE_EVENT_CALL;
    event->insn_len = call->flags & SIXTEEN_BIT ? 2 : 4;
    event->pc -= event->insn_len;
    v->last.needs = v->last.advanced = 1;
    return rc;
}

static const struct stop {
    uint32_t ec, kind;
} stops[] = {
    {EC_STEP_LOWER, HVCORE_DEBUG_KIND_STEP},        {EC_BREAKPOINT_LOWER, HVCORE_DEBUG_KIND_POINT},
    {EC_WATCHPOINT_LOWER, HVCORE_DEBUG_KIND_POINT}, {EC_BRK64, HVCORE_DEBUG_KIND_BREAKPOINT},
    {EC_BKPT32, HVCORE_DEBUG_KIND_BREAKPOINT},
};

static int on_debug(bk_vcpu *v, hvcore_event *event)
{
    const struct kvm_debug_exit_arch *d = &v->run->debug.arch;
    hvcore_exit_debug *out = &v->last.u.debug;
    uint32_t ec = d->hsr >> EC_SHIFT;
    *out = (hvcore_exit_debug){.status = d->hsr, .addr = ec == EC_WATCHPOINT_LOWER ? d->far : 0};
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        if (stops[i].ec == ec) {
            out->kind = stops[i].kind;
        }
    }
    event->kind = HVCORE_EVENT_DEBUG;
    event->cls = ec;
    event->syndrome = d->hsr;
    event->have = HVCORE_HAVE_SYNDROME;
    return stopped_at(v, event);
}

bool hvc_kvm_arch_exit(bk_vcpu *v, hvcore_event *event, int *rc)
{
    static const struct {
        uint32_t reason;
        int (*take)(bk_vcpu *, hvcore_event *);
    } exits[] = {
        {KVM_EXIT_ARM_NISV, on_nisv},   {HVC_KVM_EXIT_ARM_LDST64B, on_nisv},
        {HVC_KVM_EXIT_ARM_SEA, on_sea}, {KVM_EXIT_HYPERCALL, on_call},
        {KVM_EXIT_DEBUG, on_debug},
    };
    for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
        if (exits[i].reason == v->run->exit_reason) {
            *rc = exits[i].take(v, event);
            return true;
        }
    }
    return false;
}

/* ---- answers and exceptions ---------------------------------------------------------------------- */

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

/* Before 6.17 the registers show an abort only after the next KVM_RUN. The first one would freeze the
 * VM's configuration. */
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

/* ---- debug ------------------------------------------------------------------------------------- */

enum {
    PAIRS = 16, /* of registers in kvm_guest_debug_arch */
    /* DDI0487 D24.3.2 and D24.3.11: enabled, at EL1 and EL0, linked to nothing */
    ON_EL1_EL0 = 7,
    BCR_ALL_BYTES = 0xf << 5,
    WCR_LSC_SHIFT = 3,
    WCR_BAS_SHIFT = 5,
    WCR_UNIT = 8 /* bytes that a watchpoint selects from */
};

static int add_breakpoint(struct kvm_guest_debug *d, uint32_t *used, const hvcore_debug_point *p,
                          hvcore_error *err)
{
    if (p->addr % 4) {
        return hvc_fail_at(err, HVCORE_E_INVAL, HVCORE_DOMAIN_KVM, p->addr,
                           "A hardware breakpoint's address is a multiple of 4.");
    }
    d->arch.dbg_bvr[*used] = p->addr;
    d->arch.dbg_bcr[*used] = ON_EL1_EL0 | BCR_ALL_BYTES;
    ++*used;
    return 0;
}

static int add_watchpoint(struct kvm_guest_debug *d, uint32_t *used, const hvcore_debug_point *p,
                          hvcore_error *err)
{
    static const uint8_t load_store[] = {[HVCORE_DEBUG_POINT_READ] = 1,
                                         [HVCORE_DEBUG_POINT_WRITE] = 2,
                                         [HVCORE_DEBUG_POINT_ACCESS] = 3};
    if (!p->len || p->len > WCR_UNIT || p->len & (p->len - 1) || p->addr % p->len) {
        return hvc_fail_at(err, HVCORE_E_INVAL, HVCORE_DOMAIN_KVM, p->addr,
                           "A watchpoint has 1, 2, 4 or 8 bytes, at a multiple of that.");
    }
    uint32_t bytes = ((1u << p->len) - 1) << p->addr % WCR_UNIT;
    d->arch.dbg_wvr[*used] = p->addr & ~(uint64_t)(WCR_UNIT - 1);
    d->arch.dbg_wcr[*used] =
        ON_EL1_EL0 | (uint32_t)load_store[p->kind] << WCR_LSC_SHIFT | bytes << WCR_BAS_SHIFT;
    ++*used;
    return 0;
}

static int too_many(uint32_t used, int most, const char *what, hvcore_error *err)
{
    return used <= (uint32_t)most ? 0
                                  : hvc_fail(err, HVCORE_E_LIMIT, HVCORE_DOMAIN_KVM,
                                             "This host has %d hardware %s.", most, what);
}

static int add_points(bk_vcpu *v, struct kvm_guest_debug *d, const hvcore_debug_opts *o,
                      hvcore_error *err)
{
    uint32_t breakpoints = 0, watchpoints = 0;
    int rc = 0;
    for (uint32_t i = 0; i < o->count && !rc; i++) {
        const hvcore_debug_point *p = &o->point[i];
        bool execute = p->kind == HVCORE_DEBUG_POINT_EXECUTE;
        if (p->kind > HVCORE_DEBUG_POINT_ACCESS) {
            rc = hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_KVM, "There is no point kind %u.",
                          p->kind);
        } else if ((execute ? breakpoints : watchpoints) == PAIRS) {
            rc = too_many(PAIRS + 1, PAIRS, execute ? "breakpoints" : "watchpoints", err);
        } else {
            rc = execute ? add_breakpoint(d, &breakpoints, p, err)
                         : add_watchpoint(d, &watchpoints, p, err);
        }
    }
    if (!rc && breakpoints) {
        rc = too_many(breakpoints, hvc_kvm_cap(v->vm->fd, KVM_CAP_GUEST_DEBUG_HW_BPS),
                      "breakpoints", err);
    }
    if (!rc && watchpoints) {
        rc = too_many(watchpoints, hvc_kvm_cap(v->vm->fd, KVM_CAP_GUEST_DEBUG_HW_WPS),
                      "watchpoints", err);
    }
    return rc;
}

static uint32_t control(const hvcore_debug_opts *o)
{
    uint32_t flags = 0;
    flags |= o->flags & HVCORE_DEBUG_STEP ? KVM_GUESTDBG_SINGLESTEP : 0;
    flags |= o->flags & HVCORE_DEBUG_BREAKPOINTS ? KVM_GUESTDBG_USE_SW_BP : 0;
    flags |= o->count ? KVM_GUESTDBG_USE_HW : 0;
    return flags ? flags | KVM_GUESTDBG_ENABLE : 0;
}

/* A kernel that does not list what it can (before 5.16) refuses by itself. */
static int refused(bk_vcpu *v, uint32_t flags, hvcore_error *err)
{
    uint32_t can = (uint32_t)hvc_kvm_cap(v->vm->fd, KVM_CAP_SET_GUEST_DEBUG2);
    if (!can && hvc_kvm_cap(v->vm->fd, KVM_CAP_SET_GUEST_DEBUG)) {
        can = UINT32_MAX;
    }
    return flags & ~can ? hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                                   "This host's KVM cannot debug like this: of the flags 0x%x it "
                                   "has 0x%x (KVM_CAP_SET_GUEST_DEBUG2).",
                                   flags, can)
                        : 0;
}

int hvc_kvm_arch_debug(bk_vcpu *v, const hvcore_debug_opts *opts, hvcore_error *err)
{
    struct kvm_guest_debug d = {.control = control(opts)};
    int rc = refused(v, d.control, err);
    if (!rc) {
        rc = add_points(v, &d, opts, err);
    }
    if (rc) {
        return rc;
    }
    return hvc_kvm_ioctl(v->fd, KVM_SET_GUEST_DEBUG, &d) < 0
               ? hvc_kvm_fail(err, "KVM_SET_GUEST_DEBUG")
               : 0;
}
