/* SPDX-License-Identifier: Apache-2.0 */
/* VMs: life, pause, console. Memory is map.c's, MMIO ranges are mmio.c's. */
#include "lib/core/core.h"
#include "lib/core/rendezvous.h"
#include "lib/core/vcpu.h"
#include "lib/host/mem.h"

/* Is `wanted` "name" or "name/machine"? */
static bool names_it(const char *wanted, const hvcore_backend_info *info)
{
    const char *part[] = {info->name, "/", info->machine};
    for (unsigned i = 0; i < 3; i++) {
        const char *p = part[i];
        while (*p && *wanted == *p) {
            wanted++;
            p++;
        }
        if (*p) {
            return false;
        }
        if (!*wanted) {
            return i != 1;
        }
    }
    return false;
}

/* The first backend of this architecture that can be used here, else the last that cannot. */
static const hvcore_backend_ops *find_any(const hvcore_ctx *ctx, uint32_t arch,
                                          hvcore_backend_info *info)
{
    const hvcore_backend_ops *found = NULL;
    for (uint32_t i = 0; i < ctx->backends && !(found && info->max_vcpus); i++) {
        if (ctx->backend[i]->arch == arch) {
            found = ctx->backend[i];
            *info = (hvcore_backend_info)HVCORE_BACKEND_INFO_INIT;
            found->info(info);
        }
    }
    return found;
}

/* The first backend of this name, of the architecture or of another one. */
static const hvcore_backend_ops *find_named(const hvcore_ctx *ctx, const hvcore_vm_opts *o,
                                            bool same, hvcore_backend_info *info)
{
    for (uint32_t i = 0; i < ctx->backends; i++) {
        if ((ctx->backend[i]->arch == o->arch) != same) {
            continue;
        }
        *info = (hvcore_backend_info)HVCORE_BACKEND_INFO_INIT;
        ctx->backend[i]->info(info);
        if (names_it(o->backend, info)) {
            return ctx->backend[i];
        }
    }
    return NULL;
}

/* *named: the name is known, for another architecture at least. */
static const hvcore_backend_ops *find(hvcore_ctx *ctx, const hvcore_vm_opts *o,
                                      hvcore_backend_info *info, bool *named)
{
    hvc_host_lock(&ctx->lock);
    const hvcore_backend_ops *found =
        o->backend ? find_named(ctx, o, true, info) : find_any(ctx, o->arch, info);
    *named = found || (o->backend && find_named(ctx, o, false, info));
    hvc_host_unlock(&ctx->lock);
    return found;
}

static int check_caps(const hvcore_vm_opts *o, const hvcore_backend_info *info, hvcore_error *err)
{
    if (o->flags & HVCORE_VM_EL2 && !(info->caps & HVCORE_CAP_EL2)) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_CORE,
                        "Backend %s cannot give a guest an EL2 here.", info->name);
    }
    if (o->schedule == HVCORE_SCHEDULE_LOCKSTEP && !(info->caps & HVCORE_CAP_LOCKSTEP)) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_CORE,
                        "Backend %s cannot run its vCPUs in lockstep.", info->name);
    }
    return 0;
}

static int check_opts(hvcore_ctx *ctx, hvcore_vm_opts *o, const hvcore_backend_ops **ops,
                      hvcore_backend_info *info, hvcore_error *err)
{
    bool named;
    if (o->flags & ~(uint32_t)HVCORE_VM_EL2) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_CORE, "Unknown VM flags 0x%x.",
                        o->flags);
    }
    if (o->reserved || o->schedule > HVCORE_SCHEDULE_LOCKSTEP) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_CORE,
                        "Unknown schedule %u, or a reserved field that is not 0.", o->schedule);
    }
    *ops = find(ctx, o, info, &named);
    if (!*ops && o->backend && !named) {
        return hvc_fail(err, HVCORE_E_NOTFOUND, HVCORE_DOMAIN_CORE,
                        "There is no backend \"%s\"; hvcore_ctx_backend_info() lists them.",
                        o->backend);
    }
    if (!*ops) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_CORE,
                        "No backend of this build runs guests of architecture %u.", o->arch);
    }
    if (!o->max_vcpus) {
        o->max_vcpus = 1;
    }
    uint32_t most = info->max_vcpus && info->max_vcpus < HVC_MAX_VCPUS ? info->max_vcpus
                                                                       : (uint32_t)HVC_MAX_VCPUS;
    if (o->max_vcpus > most) {
        return hvc_fail(err, HVCORE_E_RANGE, HVCORE_DOMAIN_CORE,
                        "%u vCPUs are asked for; backend %s takes up to %u.", o->max_vcpus,
                        info->name, most);
    }
    /* one that cannot be used has no capabilities; making the VM says why */
    return info->max_vcpus ? check_caps(o, info, err) : 0;
}

/* A riscv64 guest without any policy could not even take its own traps. */
static int default_policy(hvcore_vm *vm, hvcore_error *err)
{
    hvcore_policy_opts o = HVCORE_POLICY_OPTS_INIT;
    hvcore_policy *policy;
    o.arch = vm->arch;
    o.base = "linux-guest";
    o.on_unenforceable = HVCORE_UNENFORCEABLE_REDIRECT;
    int rc = hvcore_policy_create(&o, &policy, err);
    if (!rc) {
        rc = hvcore_trap_policy_set(vm, policy, NULL, err);
        hvcore_policy_unref(policy);
    }
    return rc;
}

static void destroy(hvcore_vm *vm)
{
    if (vm->bk) { /* its memory is the guest's no more when the VM is gone */
        vm->ops->vm_destroy(vm->bk);
    }
    for (uint32_t i = 0; i < vm->regions.count; i++) {
        hvcore_mem_unref(vm->regions.item[i].mem);
    }
    hvc_program_put(vm->program);
    hvc_host_free(vm->regions.item);
    hvc_host_free(vm->mmios.item);
    hvc_host_free(vm->pios.item);
    hvc_host_free(vm->vcpu);
    hvc_host_free(vm->irqchip);
    hvcore_ctx_unref(vm->ctx);
    hvc_host_free(vm);
}

static int build(hvcore_vm *vm, const hvcore_vm_opts *opts, hvcore_error *err)
{
    vm->vcpu = hvc_host_alloc(vm->max_vcpus * sizeof(*vm->vcpu));
    if (!vm->vcpu) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_CORE, "No memory for a VM.");
    }
    hvcore_error own = HVCORE_ERROR_INIT;
    int rc = vm->ops->vm_create(opts, &vm->ctx->opts, &vm->bk, &own);
    if (rc) {
        vm->bk = NULL;
        return hvc_backend_failed(err, rc, &own, "a VM");
    }
    if (!vm->info.max_vcpus) { /* a look at it failed, and then it could be used all the same */
        vm->ops->info(&vm->info);
    }
    return vm->arch == HVCORE_ARCH_RISCV64 ? default_policy(vm, err) : 0;
}

int hvcore_vm_create(hvcore_ctx *ctx, const hvcore_vm_opts *opts, hvcore_vm **out,
                     hvcore_error *err)
{
    hvcore_vm_opts o;
    hvcore_backend_info info;
    const hvcore_backend_ops *ops = NULL;
    if (!ctx || !out) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_CORE,
                        "A VM needs a context and a place to be put.");
    }
    int rc = hvc_struct_in(&o, sizeof(o), opts, "VM options", err);
    if (!rc) {
        rc = check_opts(ctx, &o, &ops, &info, err);
    }
    if (rc) {
        return rc;
    }
    hvcore_vm *vm = hvc_host_alloc(sizeof(*vm));
    if (!vm) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_CORE, "No memory for a VM.");
    }
    hvc_ref_init(&vm->refs);
    vm->ctx = hvcore_ctx_ref(ctx);
    vm->ops = ops;
    vm->raw = ops->riscv64;
    vm->kernel = ops->kernel;
    vm->info = info;
    vm->arch = o.arch;
    vm->max_vcpus = o.max_vcpus;
    vm->lockstep = o.schedule == HVCORE_SCHEDULE_LOCKSTEP;
    vm->turn_left = HVC_TURN;
    rc = build(vm, &o, err);
    if (rc) {
        destroy(vm);
        return rc;
    }
    *out = vm;
    return 0;
}

hvcore_vm *hvcore_vm_ref(hvcore_vm *vm)
{
    hvc_ref_get(&vm->refs);
    return vm;
}

void hvcore_vm_unref(hvcore_vm *vm)
{
    if (vm && hvc_ref_put(&vm->refs)) {
        destroy(vm);
    }
}

int hvcore_vm_backend_info(hvcore_vm *vm, hvcore_backend_info *info)
{
    return vm && info ? hvc_struct_out(info, &vm->info, sizeof(vm->info)) : -HVCORE_E_INVAL;
}

int hvcore_vm_console_set(hvcore_vm *vm, hvcore_console_fn fn, void *user)
{
    if (!vm || !fn) {
        return -HVCORE_E_INVAL;
    }
    if (atomic_load(&vm->has_run)) {
        return -HVCORE_E_STATE;
    }
    vm->console = fn;
    vm->console_user = user;
    return 0;
}

static void resume_all(hvcore_vm *vm)
{
    for (uint32_t i = 0; i < vm->max_vcpus; i++) {
        if (vm->vcpu[i]) {
            hvc_release_one(vm->vcpu[i], HVC_REQ_PAUSE, 0);
        }
    }
}

static int pause_all(hvcore_vm *vm)
{
    int rc = 0;
    for (uint32_t i = 0; i < vm->max_vcpus; i++) {
        if (vm->vcpu[i]) {
            hvc_request(vm->vcpu[i], HVC_REQ_PAUSE);
        }
    }
    for (uint32_t i = 0; i < vm->max_vcpus && !rc; i++) {
        rc = vm->vcpu[i] ? hvc_try_hold_one(vm->vcpu[i], HVC_REQ_PAUSE) : 0;
    }
    if (rc) {
        resume_all(vm);
        vm->paused = 0;
    }
    return rc;
}

int hvcore_vm_pause(hvcore_vm *vm)
{
    int rc = 0;
    if (!vm) {
        return -HVCORE_E_INVAL;
    }
    hvc_host_lock(&vm->lock);
    if (vm->paused == UINT32_MAX) {
        rc = -HVCORE_E_LIMIT;
    } else if (!vm->paused++) {
        rc = pause_all(vm);
    }
    hvc_host_unlock(&vm->lock);
    return rc;
}

int hvcore_vm_resume(hvcore_vm *vm)
{
    int rc = 0;
    if (!vm) {
        return -HVCORE_E_INVAL;
    }
    hvc_host_lock(&vm->lock);
    if (!vm->paused) {
        rc = -HVCORE_E_STATE;
    } else if (!--vm->paused) {
        resume_all(vm);
    }
    hvc_host_unlock(&vm->lock);
    return rc;
}
