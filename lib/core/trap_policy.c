/* SPDX-License-Identifier: Apache-2.0 */
/* Which policy a VM and its vCPUs obey. Rules and tables are lib/policy's. */
#include "lib/core/core.h"
#include "lib/core/rendezvous.h"
#include "lib/core/vcpu.h"
#include "lib/host/mem.h"

void hvc_program_put(hvc_program *p)
{
    if (p && hvc_ref_put(&p->refs)) {
        hvcore_policy_unref(p->policy);
        hvc_host_free(p);
    }
}

/* Causes that lib/run can carry out: SBI calls, MMIO, virtual instructions. */
static const uint64_t emulators =
    UINT64_C(1) << HVCORE_RISCV64_ECALL_VS | UINT64_C(1) << HVCORE_RISCV64_LOAD_GUEST_PAGE |
    UINT64_C(1) << HVCORE_RISCV64_STORE_GUEST_PAGE | UINT64_C(1) << HVCORE_RISCV64_VIRTUAL_INSN;

/* HVCORE_UNENFORCEABLE_WARN: a line for each cause that is not enforced as its rule asks. */
static void warn(hvcore_vm *vm, const hvcore_report *report)
{
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;
    for (uint32_t i = 0; !hvcore_report_item_get(report, i, &item); i++) {
        if (item.flags & HVCORE_REPORT_NOT_AS_ASKED) {
            hvc_log(vm->ctx, HVCORE_LOG_WARN, "policy", "Rule %u, %s: %s.", item.rule, item.cause,
                    item.why);
        }
    }
}

static int compile(hvcore_vm *vm, hvcore_policy *policy, hvc_program **out, hvcore_report **report,
                   hvcore_error *err)
{
    hvcore_report *own = NULL;
    bool warns = policy->on_unenforceable == HVCORE_UNENFORCEABLE_WARN && vm->ctx->opts.log;
    if (!report && warns) {
        report = &own;
    }
    /* No guest has double traps (henvcfg.DTE is 0), SBI FWFT switches nothing, and there is no
     * debugger yet. */
    hvc_policy_facts facts = {.arch = vm->arch,
                              .delegatable = vm->info.delegatable,
                              .emulators = emulators,
                              .firmware_honours = !!(vm->info.caps & HVCORE_CAP_HONOURS_HEDELEG)};
    memcpy(facts.fixed, vm->info.fixed, sizeof(facts.fixed));
    hvc_program *p = hvc_host_alloc(sizeof(*p));
    if (!p) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_POLICY,
                        "No memory for a policy's table.");
    }
    hvc_ref_init(&p->refs);
    int rc = hvc_policy_compile(policy, &facts, &p->table, report, err);
    if (!rc && warns) {
        warn(vm, *report);
    }
    hvcore_report_free(own);
    if (rc) {
        hvc_host_free(p);
        return rc;
    }
    p->policy = hvcore_policy_ref(policy);
    *out = p;
    return 0;
}

/* Give one vCPU, which is held, the program. */
static void give(hvcore_vcpu *v, hvc_program *p)
{
    hvc_program *old = v->program;
    hvc_ref_get(&p->refs);
    v->program = p;
    hvc_program_put(old);
}

static int give_all(hvcore_vm *vm, hvc_program *p)
{
    hvc_host_lock(&vm->lock);
    int rc = hvc_try_hold(vm);
    if (rc) {
        hvc_host_unlock(&vm->lock);
        hvc_program_put(p);
        return rc;
    }
    hvc_program *old = vm->program;
    vm->program = p;
    for (uint32_t i = 0; i < vm->max_vcpus; i++) {
        if (vm->vcpu[i]) {
            give(vm->vcpu[i], p);
        }
    }
    hvc_release(vm, HVC_REQ_POLICY);
    hvc_host_unlock(&vm->lock);
    hvc_program_put(old);
    return 0;
}

int hvcore_trap_policy_set(hvcore_vm *vm, hvcore_policy *policy, hvcore_report **report,
                           hvcore_error *err)
{
    hvc_program *p;
    if (report) {
        *report = NULL;
    }
    if (!vm || !policy) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_POLICY, "A VM and a policy are needed.");
    }
    int rc = compile(vm, policy, &p, report, err);
    return rc || !give_all(vm, p) ? rc : hvc_fail_hold(err);
}

int hvcore_vcpu_trap_policy_set(hvcore_vcpu *v, hvcore_policy *policy, hvcore_report **report,
                                hvcore_error *err)
{
    hvc_program *p;
    if (report) {
        *report = NULL;
    }
    if (!v || !policy) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_POLICY,
                        "A vCPU and a policy are needed.");
    }
    int rc = compile(v->vm, policy, &p, report, err);
    if (rc) {
        return rc;
    }
    hvc_host_lock(&v->vm->lock);
    rc = hvc_try_hold_one(v, HVC_REQ_HOLD);
    if (!rc) {
        give(v, p);
        hvc_release_one(v, HVC_REQ_HOLD, HVC_REQ_POLICY);
    }
    hvc_host_unlock(&v->vm->lock);
    hvc_program_put(p);
    return rc ? hvc_fail_hold(err) : 0;
}
