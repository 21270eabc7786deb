/* SPDX-License-Identifier: Apache-2.0 */
/* Debugging arm64 guests: KVM_SET_GUEST_DEBUG and its exits. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "backends/kvm/kvm.h"

/* ---- stops ---------------------------------------------------------------------------------- */

static const struct stop {
    uint32_t ec, kind;
} stops[] = {
    {HVC_EC_STEP_LOWER, HVCORE_DEBUG_KIND_STEP},
    {HVC_EC_BREAKPOINT_LOWER, HVCORE_DEBUG_KIND_POINT},
    {HVC_EC_WATCHPOINT_LOWER, HVCORE_DEBUG_KIND_POINT},
    {HVC_EC_BRK64, HVCORE_DEBUG_KIND_BREAKPOINT},
    {HVC_EC_BKPT32, HVCORE_DEBUG_KIND_BREAKPOINT},
};

int hvc_kvm_arm64_debug_exit(bk_vcpu *v, hvcore_event *event)
{
    const struct kvm_debug_exit_arch *d = &v->run->debug.arch;
    hvcore_exit_debug *out = &v->last.u.debug;
    uint32_t ec = d->hsr >> HVC_EC_SHIFT;
    v->arch.stepped = false;
    v->last.needs = 0; /* of the access, where hvc_kvm_arch_more() made this exit */
    *out = (hvcore_exit_debug){.status = d->hsr};
    out->addr = ec == HVC_EC_WATCHPOINT_LOWER ? d->far : 0;
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        if (stops[i].ec == ec) {
            out->kind = stops[i].kind;
        }
    }
    event->kind = HVCORE_EVENT_DEBUG;
    event->cls = ec;
    event->syndrome = d->hsr;
    event->have = HVCORE_HAVE_SYNDROME;
    return hvc_kvm_arm64_pc(v, event);
}

/* Each register would cost a call. */
void hvc_kvm_arch_seen(bk_vcpu *v, hvcore_event *event)
{
    (void)event;
    if (v->arch.debug.control & KVM_GUESTDBG_SINGLESTEP && v->run->exit_reason == KVM_EXIT_MMIO &&
        hvc_kvm_arch_reg_get(v, HVCORE_REG_ARM64_PC, &v->arch.access_pc)) {
        v->arch.access_pc = UINT64_MAX;
    }
}

/*
 * A step over an access that settle() has finished: Linux 6.12 forgets that it is done and steps
 * over one instruction more, 7.2 remembers. So it is told here, and forgotten there: switching the
 * debugging off and on does that.
 */
bool hvc_kvm_arch_more(bk_vcpu *v)
{
    struct kvm_guest_debug off = {0};
    uint64_t pc;
    if (v->arch.debug.control & KVM_GUESTDBG_SINGLESTEP && v->run->exit_reason == KVM_EXIT_MMIO &&
        !hvc_kvm_arch_reg_get(v, HVCORE_REG_ARM64_PC, &pc) && pc == v->arch.access_pc + 4 &&
        hvc_kvm_ioctl(v->fd, KVM_SET_GUEST_DEBUG, &off) == 0 &&
        hvc_kvm_ioctl(v->fd, KVM_SET_GUEST_DEBUG, &v->arch.debug) == 0) {
        v->run->exit_reason = KVM_EXIT_DEBUG;
        v->run->debug.arch.hsr = (uint32_t)HVC_EC_STEP_LOWER << HVC_EC_SHIFT;
        v->arch.stepped = true;
    }
    return v->arch.stepped;
}

/* ---- setting it ----------------------------------------------------------------------------- */

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
    if (hvc_kvm_ioctl(v->fd, KVM_SET_GUEST_DEBUG, &d) < 0) {
        return hvc_kvm_fail(err, "KVM_SET_GUEST_DEBUG");
    }
    v->arch.debug = d;
    v->arch.stepped = false;
    return 0;
}
