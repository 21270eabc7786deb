/* SPDX-License-Identifier: Apache-2.0 */
/* What a VMM says to an exit, and what exits are called. */
#include "lib/run/run.h"

static uint32_t answers(const hvc_pending *p)
{
    if (p->kind != HVC_PENDING_CALL) {
        return 1;
    }
    return p->owner == HVC_OWNER_KERNEL ? (uint32_t)HVCORE_BK_ANSWERS : 2;
}

int hvcore_vcpu_complete(hvcore_vcpu *v, const uint64_t *values, uint32_t count)
{
    int rc = hvc_vcpu_look(v);
    if (rc) {
        return rc;
    }
    hvc_pending *p = &v->pending;
    if (!p->needs || p->filled || p->again) {
        return -HVCORE_E_STATE;
    }
    if (!values || !count || count > answers(p)) {
        return -HVCORE_E_INVAL;
    }
    for (uint32_t i = 0; i < HVCORE_BK_ANSWERS; i++) {
        p->value[i] = i < count ? values[i] : 0;
    }
    p->filled = 1;
    return 0;
}

static int deny(hvcore_vcpu *v, hvcore_error *err)
{
    if (v->raw) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_RUN,
                        "On a machine of the library hvcore_vcpu_inject() says what the guest "
                        "gets.");
    }
    if (!v->pending.kind || v->pending.filled || v->pending.again) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_RUN,
                        "There is no exit that waits for an answer.");
    }
    int rc = v->kernel->deny(v->bk, err);
    if (!rc) {
        v->pending = (hvc_pending){0};
        v->owed = 1;
    }
    return rc;
}

int hvcore_vcpu_deny(hvcore_vcpu *v, hvcore_error *err)
{
    int rc = hvc_vcpu_look(v);
    return rc ? hvc_fail(err, -rc, HVCORE_DOMAIN_RUN,
                         v ? "The vCPU runs in another thread." : "The vCPU is NULL.")
              : deny(v, err);
}

/* In place of an answer: the kernel is told that there will be none, as far as it can be. */
static int inject(hvcore_vcpu *v, const hvcore_inject *in, hvcore_error *err)
{
    int rc = v->kernel->inject(v->bk, in, err);
    if (!rc) {
        hvc_count(&v->counters.injected);
        v->pending = (hvc_pending){0};
        v->owed = 0;
    }
    return rc;
}

int hvcore_vcpu_inject(hvcore_vcpu *v, const hvcore_inject *what, hvcore_error *err)
{
    hvcore_inject in;
    int rc = hvc_struct_in(&in, sizeof(in), what, "exception", err);
    if (rc) {
        return rc;
    }
    rc = hvc_vcpu_look(v);
    if (rc) {
        return hvc_fail(err, -rc, HVCORE_DOMAIN_RUN,
                        v ? "The vCPU runs in another thread." : "The vCPU is NULL.");
    }
    if (v->pending.filled) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_RUN,
                        "The exit has been completed already; an exception comes too late.");
    }
    return v->raw ? hvc_riscv64_inject(v, in.cause, in.tval, err) : inject(v, &in, err);
}

const char *hvcore_exit_reason_name(uint32_t reason)
{
    static const char *const names[] = {
        [HVCORE_EXIT_NONE] = "none",
        [HVCORE_EXIT_MMIO] = "mmio",
        [HVCORE_EXIT_HYPERCALL] = "hypercall",
        [HVCORE_EXIT_TRAP] = "trap",
        [HVCORE_EXIT_HALT] = "halt",
        [HVCORE_EXIT_SHUTDOWN] = "shutdown",
        [HVCORE_EXIT_RESET] = "reset",
        [HVCORE_EXIT_CANCELLED] = "cancelled",
        [HVCORE_EXIT_DEADLINE] = "deadline",
        [HVCORE_EXIT_INSN_LIMIT] = "insn-limit",
        [HVCORE_EXIT_STOPPED] = "stopped",
        [HVCORE_EXIT_STORM] = "storm",
        [HVCORE_EXIT_FIXUP] = "fixup",
        [HVCORE_EXIT_OFF] = "off",
        [HVCORE_EXIT_PIO] = "pio",
        [HVCORE_EXIT_SYSREG] = "sysreg",
        [HVCORE_EXIT_DEBUG] = "debug",
        [HVCORE_EXIT_MEMORY] = "memory",
        [HVCORE_EXIT_CRASH] = "crash",
        [HVCORE_EXIT_SUSPEND] = "suspend",
        [HVCORE_EXIT_WAKEUP] = "wakeup",
    };
    return reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}
