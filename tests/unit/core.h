/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of lib/core share: contexts with the toy backend, VMs, memory, maps. */
#ifndef HVC_TESTS_CORE_H
#define HVC_TESTS_CORE_H

#include <stdlib.h>
#include <string.h>

#include "tests/unit/random.h"
#include "tests/unit/toy.h"

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x80000000)
#define COUNT(a) (sizeof(a) / sizeof *(a))

static uint64_t seed = 1;

static inline uint64_t rnd(void)
{
    return hvc_random(&seed);
}

static inline uint64_t below(uint64_t n)
{
    return rnd() % n;
}

/* A context with the toy, a VM on `backend`. */
static inline hvcore_ctx *new_ctx(void)
{
    hvcore_ctx *ctx = NULL;

    OK(hvcore_ctx_create(NULL, &ctx, NULL));
    OK(hvcore_ctx_backend_add(ctx, &toy_ops, NULL));
    return ctx;
}

static inline hvcore_vm *new_vm(hvcore_ctx *ctx, const char *backend)
{
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_vm *vm = NULL;

    opts.arch = HVCORE_ARCH_RISCV64;
    opts.backend = backend;
    opts.max_vcpus = 2;
    OK(hvcore_vm_create(ctx, &opts, &vm, NULL));
    return vm;
}

static inline bool have_backend(const char *name)
{
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    hvcore_ctx *ctx = new_ctx();
    bool found = false;

    for (uint32_t i = 0; !hvcore_ctx_backend_info(ctx, i, &info); i++)
        found = found || !strcmp(info.name, name);
    hvcore_ctx_unref(ctx);
    return found;
}

static inline hvcore_mem *new_mem(hvcore_ctx *ctx, uint64_t pages)
{
    hvcore_mem *mem = NULL;

    OK(hvcore_mem_alloc(ctx, pages * PAGE, 0, &mem, NULL));
    return mem;
}

static inline int map(hvcore_vm *vm, hvcore_mem *mem, uint64_t gpa, uint64_t offset, uint64_t len,
                      uint32_t prot, hvcore_error *err)
{
    hvcore_map_opts opts = HVCORE_MAP_OPTS_INIT;

    opts.gpa = gpa;
    opts.offset = offset;
    opts.len = len;
    opts.prot = prot;
    return hvcore_vm_map(vm, mem, &opts, err);
}

/* A policy that this host cannot enforce, and asks for a warning. */
static inline hvcore_policy *unenforceable(void)
{
    hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;
    hvcore_trap_rule rule = HVCORE_TRAP_RULE_INIT;
    hvcore_policy *policy = NULL;

    opts.arch = HVCORE_ARCH_RISCV64;
    opts.on_unenforceable = HVCORE_UNENFORCEABLE_WARN;
    rule.causes = 1 << HVCORE_RISCV64_BREAKPOINT;
    rule.act = HVCORE_DO_DELEGATE;
    OK(hvcore_policy_create(&opts, &policy, NULL));
    OK(hvcore_policy_rule_add(policy, &rule, NULL, NULL));
    return policy;
}

typedef struct released {
    int count;
    void *host;
} released;

static inline void release(void *user, void *host)
{
    released *r = user;

    r->count++;
    r->host = host;
}

#endif
