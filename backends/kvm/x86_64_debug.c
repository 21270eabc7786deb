/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm on x86_64: what is done to a guest from outside: exceptions, steps, points.
 *
 * "SDM" is Intel's Software Developer's Manual.
 */
#include "backends/kvm/kvm.h"

/* ---- exceptions ------------------------------------------------------------------------------ */

/* Vectors with an error code (SDM volume 3, table 7-1). */
static bool has_error_code(uint64_t vector)
{
    return UINT32_C(0x60227d00) >> vector & 1;
}

int hvc_kvm_arch_inject(bk_vcpu *v, const hvcore_inject *what, hvcore_error *err)
{
    enum { NMI = 2, EXCEPTIONS = 32 };
    struct kvm_vcpu_events e = {0};
    if (v->last.needs) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_KVM,
                        "KVM finishes the instruction of this exit: complete or deny it first.");
    }
    if (what->cause >= EXCEPTIONS || what->cause == NMI) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_KVM, "Vector %llu is no exception.",
                        (unsigned long long)what->cause);
    }
    if (hvc_kvm_ioctl(v->fd, KVM_GET_VCPU_EVENTS, &e) < 0) {
        return hvc_kvm_fail(err, "KVM_GET_VCPU_EVENTS");
    }
    if (e.exception.injected) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_KVM,
                        "The guest is about to take exception %u already.", e.exception.nr);
    }
    e.exception.injected = 1;
    e.exception.nr = (uint8_t)what->cause;
    e.exception.has_error_code = has_error_code(what->cause);
    e.exception.error_code = (uint32_t)what->tval;
    return hvc_kvm_ioctl(v->fd, KVM_SET_VCPU_EVENTS, &e) < 0
               ? hvc_kvm_fail(err, "KVM_SET_VCPU_EVENTS")
               : 0;
}

/* ---- debugging ------------------------------------------------------------------------------- */

/* DR7 (SDM volume 3, 18.2.4): 0 execute, 1 write, 3 access; lengths 1, 2, 8, 4 as 0 to 3. */
static int add_point(struct kvm_guest_debug *d, uint32_t i, const hvcore_debug_point *p)
{
    static const uint8_t lengths[] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};
    static const uint8_t kinds[] = {0, 1, 3, 3};
    bool power = p->len && p->len <= 8 && !(p->len & (p->len - 1));
    if (p->kind > HVCORE_DEBUG_POINT_ACCESS || (p->kind && (!power || p->addr % p->len))) {
        return -HVCORE_E_INVAL;
    }
    uint64_t len = p->kind ? lengths[p->len] : 0;
    d->arch.debugreg[i] = p->addr;
    d->arch.debugreg[7] |= UINT64_C(2) << 2 * i;
    d->arch.debugreg[7] |= (kinds[p->kind] | len << 2) << (16 + 4 * i);
    return 0;
}

int hvc_kvm_arch_debug(bk_vcpu *v, const hvcore_debug_opts *o, hvcore_error *err)
{
    enum { POINTS = 4, DR7_ALWAYS = 1 << 10 };
    struct kvm_guest_debug d = {.arch.debugreg[7] = DR7_ALWAYS};
    if (o->count > POINTS) {
        return hvc_fail(err, HVCORE_E_LIMIT, HVCORE_DOMAIN_KVM,
                        "x86_64 has 4 hardware points; %u are asked for.", o->count);
    }
    for (uint32_t i = 0; i < o->count; i++) {
        if (add_point(&d, i, &o->point[i])) {
            return hvc_fail_at(err, HVCORE_E_INVAL, HVCORE_DOMAIN_KVM, o->point[i].addr,
                               "Point %u has an unknown kind, or a length that is not 1, 2, 4 or 8 "
                               "or does not divide its address.",
                               i);
        }
    }
    d.control = (o->flags & HVCORE_DEBUG_STEP ? (uint32_t)KVM_GUESTDBG_SINGLESTEP : 0) |
                (o->flags & HVCORE_DEBUG_BREAKPOINTS ? (uint32_t)KVM_GUESTDBG_USE_SW_BP : 0) |
                (o->count ? (uint32_t)KVM_GUESTDBG_USE_HW_BP : 0);
    d.control |= d.control ? (uint32_t)KVM_GUESTDBG_ENABLE : 0;
    int rc = hvc_kvm_x86_64_regs_flush(v);
    if (rc) {
        hvc_kvm_why(v, err);
        return rc;
    }
    if (hvc_kvm_ioctl(v->fd, KVM_SET_GUEST_DEBUG, &d) < 0) {
        return hvc_kvm_fail(err, "KVM_SET_GUEST_DEBUG");
    }
    v->arch.debug = d;
    v->arch.moved = 0;
    return 0;
}
