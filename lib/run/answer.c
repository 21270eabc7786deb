/* SPDX-License-Identifier: Apache-2.0 */
/* What a VMM says to an exit, and what exits are called. */
#include "lib/run/run.h"

int hvcore_vcpu_complete(hvcore_vcpu *v, const uint64_t *values, uint32_t count)
{
    int rc = hvc_vcpu_look(v);
    if (rc) {
        return rc;
    }
    hvc_pending *p = &v->pending;
    if (!p->needs || p->filled) {
        return -HVCORE_E_STATE;
    }
    if (!values || !count || count > (p->kind == HVC_PENDING_CALL ? 2u : 1u)) {
        return -HVCORE_E_INVAL;
    }
    p->value[0] = values[0];
    p->value[1] = count > 1 ? values[1] : 0;
    p->filled = 1;
    return 0;
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
    return hvc_riscv64_inject(v, in.cause, in.tval, err);
}

const char *hvcore_exit_reason_name(uint32_t reason)
{
    static const char *const names[] = {
        [HVCORE_EXIT_NONE] = "none",           [HVCORE_EXIT_MMIO] = "mmio",
        [HVCORE_EXIT_HYPERCALL] = "hypercall", [HVCORE_EXIT_TRAP] = "trap",
        [HVCORE_EXIT_HALT] = "halt",           [HVCORE_EXIT_SHUTDOWN] = "shutdown",
        [HVCORE_EXIT_RESET] = "reset",         [HVCORE_EXIT_CANCELLED] = "cancelled",
        [HVCORE_EXIT_DEADLINE] = "deadline",   [HVCORE_EXIT_INSN_LIMIT] = "insn-limit",
        [HVCORE_EXIT_STOPPED] = "stopped",     [HVCORE_EXIT_STORM] = "storm",
        [HVCORE_EXIT_FIXUP] = "fixup",         [HVCORE_EXIT_OFF] = "off",
    };
    return reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}
