/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/hs/world.h"

/* A step of something longer: nothing after a failure. */
static bool step(world *w, const char *what, int rc)
{
    w->rc = rc;
    if (rc != 0)
        hs_fail("%s: %s (%s)", what, hvcore_strerror(rc), w->err.message);
    return rc == 0;
}

static bool make_memory(world *w, const char *blob, const char *blob_end)
{
    hvcore_map_opts opts = HVCORE_MAP_OPTS_INIT;
    hvcore_mem *mem;
    bool ok;

    opts.gpa = HS_GUESTS_BASE;
    if (!step(w, "mem_alloc", hvcore_mem_alloc(w->ctx, WORLD_MEMORY, 0, &mem, &w->err)))
        return false;
    ok = step(w, "vm_map", hvcore_vm_map(w->vm, mem, &opts, &w->err));
    hvcore_mem_unref(mem); /* the mapping holds it */
    return ok &&
           step(w, "vm_write", hvcore_vm_write(w->vm, opts.gpa, blob, (size_t)(blob_end - blob)));
}

bool world_make(world *w, uint32_t vcpus, const char *blob, const char *blob_end)
{
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;

    *w = (world){.err = HVCORE_ERROR_INIT};
    opts.arch = HVCORE_ARCH_RISCV64;
    opts.backend = "bare/hs";
    opts.max_vcpus = vcpus;
    if (!step(w, "ctx_create", hvcore_ctx_create(NULL, &w->ctx, &w->err)) ||
        !step(w, "vm_create", hvcore_vm_create(w->ctx, &opts, &w->vm, &w->err)) ||
        !make_memory(w, blob, blob_end))
        return false;
    for (uint32_t i = 0; i < vcpus; i++)
        if (!step(w, "vcpu_create", hvcore_vcpu_create(w->vm, i, NULL, &w->vcpu[i], &w->err)))
            return false;
    return true;
}

void world_free(world *w)
{
    hvcore_vcpu_unref(w->vcpu[0]);
    hvcore_vcpu_unref(w->vcpu[1]);
    hvcore_vm_unref(w->vm);
    hvcore_ctx_unref(w->ctx);
}

static void set(world *w, uint32_t n, hvcore_reg reg, uint64_t value)
{
    step(w, "reg_set", hvcore_reg_set_u64(w->vcpu[n], reg, value));
}

void world_go(world *w, uint32_t n, uint32_t guest, uint64_t a0, uint64_t a1)
{
    set(w, n, HVCORE_REG_RISCV64_PC, HS_GUEST_PC(guest));
    set(w, n, HVCORE_REG_RISCV64_A0, a0);
    set(w, n, HVCORE_REG_RISCV64_A1, a1);
}

uint64_t world_x(world *w, uint32_t n, uint32_t x)
{
    uint64_t value = 0;

    step(w, "reg_get", hvcore_reg_get_u64(w->vcpu[n], HVCORE_REG_RISCV64_X0 + (x << 8), &value));
    return value;
}

uint32_t world_word(world *w, uint64_t gpa)
{
    uint32_t value = 0;

    step(w, "vm_read", hvcore_vm_read(w->vm, gpa, &value, sizeof(value)));
    return value;
}

static int run(hvcore_vcpu *vcpu, uint64_t ms, const hvcore_exit **exit, hvcore_error *err)
{
    hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;

    opts.deadline_ns = hvcore_clock_ns() + ms * MS;
    return hvcore_vcpu_run(vcpu, &opts, exit, err);
}

static bool expect(const hvcore_exit *exit, uint32_t reason)
{
    if (exit->reason != reason)
        hs_fail("exit is %s, not %s; pc 0x%llx class %u tval 0x%llx",
                hvcore_exit_reason_name(exit->reason), hvcore_exit_reason_name(reason),
                (unsigned long long)exit->pc, exit->cls, (unsigned long long)exit->tval);
    return exit->reason == reason;
}

bool world_run(world *w, uint32_t n, uint64_t ms, uint32_t reason)
{
    return step(w, "vcpu_run", run(w->vcpu[n], ms, &w->exit, &w->err)) && expect(w->exit, reason);
}

bool world_policy(world *w, uint64_t causes, uint32_t act)
{
    hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;
    hvcore_trap_rule rule = HVCORE_TRAP_RULE_INIT;
    hvcore_policy *policy;
    bool ok;

    opts.arch = HVCORE_ARCH_RISCV64;
    rule.causes = causes;
    rule.act = act;
    if (!step(w, "policy_create", hvcore_policy_create(&opts, &policy, &w->err)))
        return false;
    ok = step(w, "rule_add", hvcore_policy_rule_add(policy, &rule, NULL, &w->err)) &&
         step(w, "policy_set", hvcore_trap_policy_set(w->vm, policy, NULL, &w->err));
    hvcore_policy_unref(policy);
    return ok;
}

hvcore_trap_counts world_counts(world *w, uint32_t n, uint32_t cls)
{
    hvcore_trap_counts counts = HVCORE_TRAP_COUNTS_INIT;

    step(w, "trap_counts", hvcore_vcpu_trap_counts(w->vcpu[n], cls, &counts));
    return counts;
}

/* --- the other hart --------------------------------------------------------------------------- */

static void remote_job(void *arg)
{
    remote *r = arg;
    const hvcore_exit *exit;

    r->rc = run(r->w->vcpu[r->n], r->ms, &exit, &r->err);
    if (r->rc != 0)
        return;
    r->exit = *exit;
    r->rc = hvcore_vcpu_detach(r->w->vcpu[r->n]);
}

void remote_start(remote *r, world *w, uint32_t n, uint64_t ms)
{
    *r = (remote){.w = w, .n = n, .ms = ms, .err = HVCORE_ERROR_INIT};
    hs_start(remote_job, r);
}

bool remote_end(remote *r, uint32_t reason)
{
    if (!hs_wait(r->ms + PATIENCE))
        return false;
    r->w->err = r->err;
    return step(r->w, "vcpu_run on the other hart", r->rc) && expect(&r->exit, reason);
}

bool remote_cancel(remote *r)
{
    step(r->w, "cancel", hvcore_vcpu_cancel(r->w->vcpu[r->n], 1));
    return remote_end(r, HVCORE_EXIT_CANCELLED);
}
