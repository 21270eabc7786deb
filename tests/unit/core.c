/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/core by its headers: contexts, backends, error records, sizes of structures, memory objects,
 * the memory map, views, references; and the map against a naive model.
 */
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/random.h"
#include "tests/unit/toy.h"

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x80000000)
#define COUNT(a) (sizeof(a) / sizeof *(a))

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

static uint64_t below(uint64_t n)
{
    return rnd() % n;
}

/* A context with the toy, a VM on `backend`. */
static hvcore_ctx *new_ctx(void)
{
    hvcore_ctx *ctx = NULL;

    OK(hvcore_ctx_create(NULL, &ctx, NULL));
    OK(hvcore_ctx_backend_add(ctx, &toy_ops, NULL));
    return ctx;
}

static hvcore_vm *new_vm(hvcore_ctx *ctx, const char *backend)
{
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_vm *vm = NULL;

    opts.arch = HVCORE_ARCH_RISCV64;
    opts.backend = backend;
    opts.max_vcpus = 2;
    OK(hvcore_vm_create(ctx, &opts, &vm, NULL));
    return vm;
}

static bool have_backend(const char *name)
{
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    hvcore_ctx *ctx = new_ctx();
    bool found = false;

    for (uint32_t i = 0; !hvcore_ctx_backend_info(ctx, i, &info); i++)
        found = found || !strcmp(info.name, name);
    hvcore_ctx_unref(ctx);
    return found;
}

static hvcore_mem *new_mem(hvcore_ctx *ctx, uint64_t pages)
{
    hvcore_mem *mem = NULL;

    OK(hvcore_mem_alloc(ctx, pages * PAGE, 0, &mem, NULL));
    return mem;
}

static int map(hvcore_vm *vm, hvcore_mem *mem, uint64_t gpa, uint64_t offset, uint64_t len,
               uint32_t prot, hvcore_error *err)
{
    hvcore_map_opts opts = HVCORE_MAP_OPTS_INIT;

    opts.gpa = gpa;
    opts.offset = offset;
    opts.len = len;
    opts.prot = prot;
    return hvcore_vm_map(vm, mem, &opts, err);
}

/* --- contexts and backends -------------------------------------------------------------------- */
static void contexts(void)
{
    hvcore_error e;
    hvcore_ctx *ctx = NULL, *other = NULL;
    hvcore_ctx_opts opts = HVCORE_CTX_OPTS_INIT;

    WANT(hvcore_version(), HVCORE_VERSION);
    OK(hvcore_ctx_create(NULL, &ctx, NULL));
    OK(hvcore_ctx_create(&opts, &other, NULL));
    CU_ASSERT_PTR_NOT_NULL(ctx);
    CU_ASSERT_PTR_NOT_EQUAL(ctx, other);
    FAILS(hvcore_ctx_create(NULL, NULL, &e), HVCORE_E_INVAL);
    WANT(hvcore_ctx_create(NULL, NULL, NULL), -HVCORE_E_INVAL);
    CU_ASSERT_PTR_EQUAL(hvcore_ctx_ref(ctx), ctx);
    hvcore_ctx_unref(ctx);
    hvcore_ctx_unref(ctx);
    hvcore_ctx_unref(other);
    hvcore_ctx_unref(NULL);
}

/* Ten backends a line, each with a name of its own. */
#define INFO(n)                                          \
    static void info_##n(hvcore_backend_info *info)      \
    {                                                    \
        toy_ops.info(info);                              \
        snprintf(info->name, sizeof info->name, "t" #n); \
    }
#define TEN(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7) X(n##8) X(n##9)
#define ALL(X) TEN(X, 1) TEN(X, 2) TEN(X, 3) TEN(X, 4) TEN(X, 5) TEN(X, 6) TEN(X, 7) TEN(X, 8)
ALL(INFO)
#define NAME(n) info_##n,
static void (*const infos[])(hvcore_backend_info *) = {ALL(NAME)};

static void registry(void)
{
    hvcore_error e;
    hvcore_backend_ops ops = toy_ops;
    static hvcore_backend_ops many[COUNT(infos)];
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    hvcore_ctx *ctx = NULL, *other = NULL;
    uint32_t builtin = 0, n;
    int rc = 0;

    toy_reset();
    OK(hvcore_ctx_create(NULL, &ctx, NULL));
    OK(hvcore_ctx_create(NULL, &other, NULL));
    while (!hvcore_ctx_backend_info(ctx, builtin, &info))
        builtin++;
    WANT(hvcore_ctx_backend_info(ctx, builtin, &info), -HVCORE_E_NOTFOUND);
    WANT(hvcore_ctx_backend_info(ctx, UINT32_MAX, &info), -HVCORE_E_NOTFOUND);
    WANT(hvcore_ctx_backend_info(ctx, 0, NULL), -HVCORE_E_INVAL);
    WANT(hvcore_ctx_backend_info(NULL, 0, &info), -HVCORE_E_INVAL);

    ops.abi = HVCORE_BACKEND_ABI + 1;
    FAILS(hvcore_ctx_backend_add(ctx, &ops, &e), HVCORE_E_INVAL);
    ops.abi = 0;
    FAILS(hvcore_ctx_backend_add(ctx, &ops, &e), HVCORE_E_INVAL);
    ops = toy_ops;
    ops.size = 0;
    FAILS(hvcore_ctx_backend_add(ctx, &ops, &e), HVCORE_E_INVAL);
    ops.size = sizeof ops - sizeof(void *); /* the last slot is missing */
    FAILS(hvcore_ctx_backend_add(ctx, &ops, &e), HVCORE_E_INVAL);
    /* Each slot in turn. */
    for (size_t at = offsetof(hvcore_backend_ops, info); at < sizeof ops; at += sizeof(void *)) {
        ops = toy_ops;
        memset((char *)&ops + at, 0, sizeof(void *));
        FAILS(hvcore_ctx_backend_add(ctx, &ops, &e), HVCORE_E_INVAL);
    }
    FAILS(hvcore_ctx_backend_add(ctx, NULL, &e), HVCORE_E_INVAL);
    FAILS(hvcore_ctx_backend_add(NULL, &toy_ops, &e), HVCORE_E_INVAL);
    WANT(hvcore_ctx_backend_info(ctx, builtin, &info), -HVCORE_E_NOTFOUND);

    OK(hvcore_ctx_backend_add(ctx, &toy_ops, NULL));
    OK(hvcore_ctx_backend_info(ctx, builtin, &info));
    CU_ASSERT_STRING_EQUAL(info.name, "toy");
    CU_ASSERT_STRING_EQUAL(info.machine, "");
    WANT(info.size, sizeof info);
    WANT(info.arch, HVCORE_ARCH_RISCV64);
    WANT(info.caps, toy.caps);
    WANT(info.max_vcpus, 8);
    WANT(info.delegatable, toy.delegatable);
    ops = toy_ops;
    FAILS(hvcore_ctx_backend_add(ctx, &toy_ops, &e), HVCORE_E_EXISTS);
    FAILS(hvcore_ctx_backend_add(ctx, &ops, &e), HVCORE_E_EXISTS);
    WANT(hvcore_ctx_backend_info(ctx, builtin + 1, &info), -HVCORE_E_NOTFOUND);

    for (n = 0; n < COUNT(infos) && !rc; n++) {
        many[n] = toy_ops;
        many[n].info = infos[n];
        e = (hvcore_error)HVCORE_ERROR_INIT;
        rc = hvcore_ctx_backend_add(ctx, &many[n], &e);
    }
    WANT(rc, -HVCORE_E_LIMIT);
    WANT(e.code, rc);
    for (uint32_t i = 0; i + 1 < n; i++) {
        char name[16];

        OK(hvcore_ctx_backend_info(ctx, builtin + 1 + i, &info));
        snprintf(name, sizeof name, "t%u", i + 10);
        CU_ASSERT_STRING_EQUAL(info.name, name);
    }
    /* No state is shared between contexts. */
    WANT(hvcore_ctx_backend_info(other, builtin, &info), -HVCORE_E_NOTFOUND);
    hvcore_ctx_unref(other);
    hvcore_ctx_unref(ctx);
}

static void vm_options(void)
{
    hvcore_error e;
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    hvcore_ctx *ctx;
    hvcore_vm *vm = NULL;
    hvcore_vcpu *a = NULL, *b = NULL;

    toy_reset();
    ctx = new_ctx();
    opts.arch = HVCORE_ARCH_RISCV64;
    opts.backend = "nonesuch";
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_NOTFOUND);
    opts.backend = "";
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_NOTFOUND);
    opts.backend = "toy/other";
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_NOTFOUND);
    opts.backend = "to";
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_NOTFOUND);
    opts.backend = "toys";
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_NOTFOUND);
    opts.backend = "toy";
    opts.arch = HVCORE_ARCH_ARM64;
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_UNSUPPORTED);
    opts.backend = NULL;
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_UNSUPPORTED);
    opts.arch = 77;
    opts.backend = "toy";
    CU_ASSERT(hvcore_vm_create(ctx, &opts, &vm, &e) < 0);
    opts.arch = HVCORE_ARCH_RISCV64;
    opts.flags = 1;
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_INVAL);
    opts.flags = 0;
    opts.max_vcpus = 9;
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_RANGE);
    opts.max_vcpus = UINT32_MAX;
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_RANGE);
    FAILS(hvcore_vm_create(NULL, &opts, &vm, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_create(ctx, NULL, &vm, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_create(ctx, &opts, NULL, &e), HVCORE_E_INVAL);
    WANT(toy.calls[TOY_VM_CREATE], 0);
    toy.fail[TOY_VM_CREATE] = -HVCORE_E_NOMEM;
    opts.max_vcpus = 0;
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_NOMEM);
    toy.fail[TOY_VM_CREATE] = 0;
    CU_ASSERT_PTR_NULL(vm);

    OK(hvcore_vm_create(ctx, &opts, &vm, &e)); /* max_vcpus 0 is 1 */
    OK(hvcore_vm_backend_info(vm, &info));
    CU_ASSERT_STRING_EQUAL(info.name, "toy");
    WANT(hvcore_vm_backend_info(vm, NULL), -HVCORE_E_INVAL);
    WANT(hvcore_vm_backend_info(NULL, &info), -HVCORE_E_INVAL);
    FAILS(hvcore_vcpu_create(vm, 1, NULL, &a, &e), HVCORE_E_RANGE);
    FAILS(hvcore_vcpu_create(vm, UINT32_MAX, NULL, &a, &e), HVCORE_E_RANGE);
    FAILS(hvcore_vcpu_create(NULL, 0, NULL, &a, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vcpu_create(vm, 0, NULL, NULL, &e), HVCORE_E_INVAL);
    toy.fail[TOY_VCPU_CREATE] = -HVCORE_E_LIMIT;
    FAILS(hvcore_vcpu_create(vm, 0, NULL, &a, &e), HVCORE_E_LIMIT);
    toy.fail[TOY_VCPU_CREATE] = 0;
    CU_ASSERT_PTR_NULL(a);
    OK(hvcore_vcpu_create(vm, 0, NULL, &a, &e));
    FAILS(hvcore_vcpu_create(vm, 0, NULL, &b, &e), HVCORE_E_EXISTS);
    CU_ASSERT_PTR_EQUAL(hvcore_vcpu_vm(a), vm);
    CU_ASSERT_PTR_NULL(hvcore_vcpu_vm(NULL));
    WANT(hvcore_vcpu_index(a), 0);
    WANT(hvcore_vcpu_index(NULL), 0);
    hvcore_vcpu_unref(a);
    OK(hvcore_vcpu_create(vm, 0, NULL, &b, &e)); /* the number is free again */
    hvcore_vcpu_unref(b);
    hvcore_vcpu_unref(NULL);
    hvcore_vm_unref(NULL);
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx);
    WANT(toy.calls[TOY_VM_DESTROY], 1);
    WANT(toy.calls[TOY_VCPU_DESTROY], 2);
    WANT(toy.broken, 0);
}

/* --- error records ---------------------------------------------------------------------------- */
static void error_records(void)
{
    /* Room for a record that is too large, and a canary behind one that is too small. */
    union {
        hvcore_error e;
        unsigned char bytes[sizeof(hvcore_error) + 64];
    } u, before;
    hvcore_ctx *ctx = NULL;
    hvcore_mem *mem = NULL;

    OK(hvcore_ctx_create(NULL, &ctx, NULL));
    for (uint32_t size = 0; size <= sizeof u; size++) {
        uint32_t known = size < sizeof u.e ? size : sizeof u.e;
        size_t wrong = 0;
        int rc;

        memset(&u, 0xee, sizeof u);
        u.e.size = size;
        before = u;
        rc = hvcore_mem_alloc(ctx, 123, 0, &mem, &u.e);
        CU_ASSERT_EQUAL(rc, -HVCORE_E_INVAL);
        for (size_t i = size < 4 ? 4 : known; i < sizeof u; i++)
            wrong += u.bytes[i] != 0xee && (i < known || i >= size || u.bytes[i] != 0);
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT_EQUAL(u.e.size, size);
        /* A record without room for its head is left alone, or filled as far as it goes. */
        CU_ASSERT(size < offsetof(hvcore_error, domain) || u.e.code == rc ||
                  (size < offsetof(hvcore_error, message) && u.e.code == before.e.code));
        if (size > offsetof(hvcore_error, message)) {
            size_t room = known - offsetof(hvcore_error, message);

            CU_ASSERT(strnlen(u.e.message, room) < room);
            CU_ASSERT(!memchr(u.e.message, '\n', room));
            CU_ASSERT(room < 16 || strlen(u.e.message) > 5);
        }
        /* Success leaves the record alone. */
        memset(&u, 0xee, sizeof u);
        u.e.size = size;
        before = u;
        CU_ASSERT_EQUAL(hvcore_mem_alloc(ctx, PAGE, 0, &mem, &u.e), 0);
        CU_ASSERT(!memcmp(&u, &before, sizeof u));
        hvcore_mem_unref(mem);
        mem = NULL;
    }
    CU_ASSERT_EQUAL(hvcore_mem_alloc(ctx, 123, 0, &mem, NULL), -HVCORE_E_INVAL);
    CU_ASSERT_PTR_NULL(mem);

    /* The fields that only some errors fill. */
    for (uint32_t size = 4; size <= sizeof u.e; size += 4) {
        hvcore_error *small = malloc(size); /* the address sanitizer watches its end */

        CU_ASSERT_PTR_NOT_NULL_FATAL(small);
        memcpy(small, &size, sizeof size);
        CU_ASSERT_EQUAL(hvcore_mem_from_fd(ctx, 999999, 0, PAGE, &mem, small), -HVCORE_E_SYS);
        CU_ASSERT(hvcore_policy_from_json("[", 1, &(hvcore_policy *){NULL}, small) < 0);
        free(small);
    }

    /* A record that is used again says nothing of the error before. */
    memset(&u.e, 0, sizeof u.e);
    u.e.size = sizeof u.e;
    u.e.rule = u.e.line = u.e.column = 7;
    u.e.address = u.e.pc = 7;
    u.e.sys_errno = 7;
    CU_ASSERT(hvcore_mem_alloc(ctx, 123, 0, &mem, &u.e) < 0);
    CU_ASSERT(!u.e.rule && !u.e.line && !u.e.column && !u.e.pc && !u.e.sys_errno);
    hvcore_ctx_unref(ctx);
}

static void error_names(void)
{
    for (int code = 0; code <= HVCORE_E_LIMIT; code++) {
        const char *name = hvcore_strerror(-code);

        CU_ASSERT_PTR_NOT_NULL_FATAL(name);
        CU_ASSERT(*name && strcmp(name, "unknown error"));
        CU_ASSERT_STRING_EQUAL(name, hvcore_strerror(code));
        for (int other = 0; other < code; other++)
            CU_ASSERT_STRING_NOT_EQUAL(name, hvcore_strerror(other));
    }
    for (int i = 0; i < 1000; i++) {
        int code = (int)(uint32_t)rnd();

        if (code > HVCORE_E_LIMIT || code < -HVCORE_E_LIMIT)
            CU_ASSERT_STRING_EQUAL(hvcore_strerror(code), "unknown error");
    }
    CU_ASSERT_STRING_EQUAL(hvcore_strerror(INT_MIN), "unknown error");
    CU_ASSERT_STRING_EQUAL(hvcore_strerror(INT_MIN + 1), "unknown error");
    CU_ASSERT_STRING_EQUAL(hvcore_strerror(INT_MAX), "unknown error");
    CU_ASSERT_STRING_EQUAL(hvcore_strerror(HVCORE_E_LIMIT + 1), "unknown error");
    CU_ASSERT_STRING_EQUAL(hvcore_strerror(-HVCORE_E_LIMIT - 1), "unknown error");
}

/* --- log and silence -------------------------------------------------------------------------- */
typedef struct log_seen {
    uint32_t lines, bad, worst;
    pthread_t thread;
} log_seen;

static void log_line(void *user, uint32_t level, const char *scope, const char *message)
{
    static const char *const scopes[] = {"core", "run", "policy", "bare"};
    log_seen *seen = user;
    bool known = false;

    for (size_t i = 0; i < COUNT(scopes); i++)
        known = known || !strcmp(scope, scopes[i]);
    seen->lines++;
    seen->bad += !known || !*message || strchr(message, '\n') || level < HVCORE_LOG_ERROR ||
                 level > HVCORE_LOG_DEBUG || !pthread_equal(seen->thread, pthread_self());
    seen->worst = level > seen->worst ? level : seen->worst;
}

/* A policy that this host cannot enforce, and asks for a warning. */
static hvcore_policy *unenforceable(void)
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

/* Much that fails and something that warns. */
static void misuse(hvcore_ctx *ctx)
{
    hvcore_policy *policy = unenforceable(), *none = NULL;
    hvcore_vcpu *vcpu = NULL;
    hvcore_mem *mem = NULL;
    hvcore_vm *vm = new_vm(ctx, "toy");
    hvcore_event event = toy_trap(99, 9, 0);
    const hvcore_exit *exit;

    CU_ASSERT(hvcore_mem_alloc(ctx, UINT64_C(1) << 63, 0, &mem, NULL) < 0);
    CU_ASSERT(hvcore_vm_unmap(vm, 0, 1, NULL) < 0);
    CU_ASSERT(hvcore_policy_from_json("{", 1, &none, NULL) < 0);
    OK(hvcore_trap_policy_set(vm, policy, NULL, NULL));
    OK(hvcore_vcpu_create(vm, 0, NULL, &vcpu, NULL));
    toy_push(toy.vcpu[0], &event);
    (void)hvcore_vcpu_run(vcpu, NULL, &exit, NULL);
    toy_push_failure(toy.vcpu[0], -HVCORE_E_SYS);
    (void)hvcore_vcpu_run(vcpu, NULL, &exit, NULL);
    hvcore_vcpu_unref(vcpu);
    hvcore_vm_unref(vm);
    hvcore_policy_unref(policy);
}

static void log_levels(void)
{
    uint32_t lines[HVCORE_LOG_DEBUG + 1];

    for (uint32_t level = HVCORE_LOG_NONE; level <= HVCORE_LOG_DEBUG; level++) {
        log_seen seen = {.thread = pthread_self()};
        hvcore_ctx_opts opts = HVCORE_CTX_OPTS_INIT;
        hvcore_ctx *ctx = NULL;

        toy_reset();
        toy.delegatable = 0;
        opts.log_level = level;
        opts.log = log_line;
        opts.log_user = &seen;
        OK(hvcore_ctx_create(&opts, &ctx, NULL));
        OK(hvcore_ctx_backend_add(ctx, &toy_ops, NULL));
        misuse(ctx);
        hvcore_ctx_unref(ctx);
        WANT(seen.bad, 0);
        CU_ASSERT(seen.worst <= level);
        lines[level] = seen.lines;
    }
    WANT(lines[HVCORE_LOG_NONE], 0);
    CU_ASSERT(lines[HVCORE_LOG_WARN] > lines[HVCORE_LOG_ERROR]); /* the policy's warning */
    CU_ASSERT(lines[HVCORE_LOG_INFO] >= lines[HVCORE_LOG_WARN]);
    CU_ASSERT(lines[HVCORE_LOG_DEBUG] >= lines[HVCORE_LOG_INFO]);
}

static void silence(void)
{
    hvcore_ctx_opts opts = HVCORE_CTX_OPTS_INIT;
    FILE *out = tmpfile();
    int saved[2], assertions;
    off_t written;

    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < 2; i++) {
        saved[i] = dup(i + 1);
        dup2(fileno(out), i + 1);
    }
    assertions = (int)CU_get_number_of_failures();
    for (int i = 0; i < 2; i++) { /* without options, and with a level but no function */
        hvcore_ctx *ctx = NULL;

        toy_reset();
        toy.delegatable = 0;
        opts.log_level = HVCORE_LOG_DEBUG;
        OK(hvcore_ctx_create(i ? &opts : NULL, &ctx, NULL));
        OK(hvcore_ctx_backend_add(ctx, &toy_ops, NULL));
        misuse(ctx);
        hvcore_ctx_unref(ctx);
    }
    assertions -= (int)CU_get_number_of_failures();
    written = lseek(fileno(out), 0, SEEK_END);
    for (int i = 0; i < 2; i++) {
        dup2(saved[i], i + 1);
        close(saved[i]);
    }
    fclose(out);
    CU_ASSERT(assertions || !written); /* a failed assertion above has printed itself */
}

/* --- sizes of structures ---------------------------------------------------------------------- */
static struct {
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;
    hvcore_vcpu *vcpu;
} at;

static int size_ctx(void *p)
{
    hvcore_ctx *ctx = NULL;
    int rc = hvcore_ctx_create(p, &ctx, NULL);

    hvcore_ctx_unref(ctx);
    return rc;
}

static int size_vm(void *p)
{
    hvcore_vm *vm = NULL;
    int rc = hvcore_vm_create(at.ctx, p, &vm, NULL);

    hvcore_vm_unref(vm);
    return rc;
}

static int size_map(void *p)
{
    int rc = hvcore_vm_map(at.vm, at.mem, p, NULL);

    if (!rc)
        OK(hvcore_vm_unmap(at.vm, BASE, PAGE, NULL));
    return rc;
}

static int size_mmio(void *p)
{
    uint32_t id = 0;
    int rc = hvcore_vm_mmio_add(at.vm, 0x1000, 8, p, NULL, &id, NULL);

    if (!rc)
        OK(hvcore_vm_mmio_remove(at.vm, id));
    return rc;
}

static int size_vcpu(void *p)
{
    hvcore_vcpu *vcpu = NULL;
    int rc = hvcore_vcpu_create(at.vm, 1, p, &vcpu, NULL);

    hvcore_vcpu_unref(vcpu);
    return rc;
}

static int size_run(void *p)
{
    const hvcore_exit *exit = NULL;
    int rc;

    hvcore_vcpu_cancel(at.vcpu, 1);
    rc = hvcore_vcpu_run(at.vcpu, p, &exit, NULL);
    hvcore_vcpu_cancel_clear(at.vcpu);
    return rc;
}

static int size_inject(void *p)
{
    return hvcore_vcpu_inject(at.vcpu, p, NULL);
}

static int size_policy(void *p)
{
    hvcore_policy *policy = NULL;
    int rc = hvcore_policy_create(p, &policy, NULL);

    hvcore_policy_unref(policy);
    return rc;
}

static int size_storm(void *p)
{
    hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;
    uint32_t size;

    memcpy(&size, p, sizeof size);
    opts.arch = HVCORE_ARCH_RISCV64;
    memcpy(&opts.storm, p, size < sizeof opts.storm ? size : sizeof opts.storm);
    opts.storm.size = size;
    return size_policy(&opts);
}

static int size_rule(void *p)
{
    hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;
    hvcore_policy *policy = NULL;
    int rc;

    opts.arch = HVCORE_ARCH_RISCV64;
    OK(hvcore_policy_create(&opts, &policy, NULL));
    rc = hvcore_policy_rule_add(policy, p, NULL, NULL);
    hvcore_policy_unref(policy);
    return rc;
}

static void option_sizes(void)
{
    hvcore_ctx_opts ctx = HVCORE_CTX_OPTS_INIT;
    hvcore_vm_opts vm = HVCORE_VM_OPTS_INIT;
    hvcore_map_opts mapping = HVCORE_MAP_OPTS_INIT;
    hvcore_mmio_ops mmio = HVCORE_MMIO_OPS_INIT;
    hvcore_vcpu_opts vcpu = HVCORE_VCPU_OPTS_INIT;
    hvcore_run_opts run = HVCORE_RUN_OPTS_INIT;
    hvcore_inject inject = HVCORE_INJECT_INIT;
    hvcore_policy_opts policy = HVCORE_POLICY_OPTS_INIT;
    hvcore_storm_opts storm = {.size = sizeof storm, .repeat = 3};
    hvcore_trap_rule rule = HVCORE_TRAP_RULE_INIT;
    const struct {
        const char *name;
        void *good;
        size_t size;
        int (*use)(void *);
        bool zero_is_right; /* a structure of which only `size` is known is valid */
        bool size_0_is_right;
    } rows[] = {
        {"ctx_opts", &ctx, sizeof ctx, size_ctx, true, false},
        {"vm_opts", &vm, sizeof vm, size_vm, false, false},
        {"map_opts", &mapping, sizeof mapping, size_map, false, false},
        {"mmio_ops", &mmio, sizeof mmio, size_mmio, true, false},
        {"vcpu_opts", &vcpu, sizeof vcpu, size_vcpu, true, false},
        {"run_opts", &run, sizeof run, size_run, true, false},
        {"inject", &inject, sizeof inject, size_inject, true, false},
        {"policy_opts", &policy, sizeof policy, size_policy, false, false},
        {"storm_opts", &storm, sizeof storm, size_storm, true, true},
        {"trap_rule", &rule, sizeof rule, size_rule, false, false},
    };

    toy_reset();
    at.ctx = new_ctx();
    at.vm = new_vm(at.ctx, "toy");
    at.mem = new_mem(at.ctx, 1);
    OK(hvcore_vcpu_create(at.vm, 0, NULL, &at.vcpu, NULL));
    vm.arch = policy.arch = HVCORE_ARCH_RISCV64;
    vm.backend = "toy";
    mapping.gpa = BASE;
    rule.causes = 1 << HVCORE_RISCV64_ILLEGAL_INSN;
    rule.act = HVCORE_DO_REDIRECT;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const size_t sizes[] = {0, 3, 4, rows[i].size, rows[i].size + 1};

        for (size_t k = 0; k < COUNT(sizes); k++) {
            /* Exactly as large as it says: the address sanitizer sees what is read past it. */
            uint32_t size = (uint32_t)sizes[k];
            char *p = malloc(size < 4 ? 4 : size);
            bool right = size == rows[i].size || (size == 4 && rows[i].zero_is_right) ||
                         (!size && rows[i].size_0_is_right);
            int rc;

            CU_ASSERT_PTR_NOT_NULL_FATAL(p);
            memset(p, 0, size < 4 ? 4 : size);
            memcpy(p, rows[i].good, size < rows[i].size ? size : rows[i].size);
            memcpy(p, &size, sizeof size);
            rc = rows[i].use(p);
            if (right ? rc : rc >= 0)
                printf("\n    %s: size %u: %d", rows[i].name, size, rc);
            CU_ASSERT(right ? !rc : rc < 0);
            /* One that is larger than the library knows is refused: what is in it is not known. */
            if (size == 3 || size > rows[i].size || (!size && !right))
                CU_ASSERT_EQUAL(rc, -HVCORE_E_INVAL);
            free(p);
        }
    }
    /* A program from before `dirty` and `pager`: they are not looked at. */
    mapping.size = offsetof(hvcore_map_opts, dirty);
    mapping.dirty = mapping.reserved = 1;
    mapping.pager_user = &mapping;
    OK(size_map(&mapping));
    hvcore_vcpu_unref(at.vcpu);
    hvcore_mem_unref(at.mem);
    hvcore_vm_unref(at.vm);
    hvcore_ctx_unref(at.ctx);
}

static int fill_ctx_info(void *p)
{
    return hvcore_ctx_backend_info(at.ctx, 0, p);
}

static int fill_vm_info(void *p)
{
    return hvcore_vm_backend_info(at.vm, p);
}

static int fill_counts(void *p)
{
    return hvcore_vcpu_trap_counts(at.vcpu, 2, p);
}

static int fill_stats(void *p)
{
    return hvcore_vcpu_stats_get(at.vcpu, p);
}

static int fill_item(void *p)
{
    hvcore_policy *policy = NULL;
    hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;
    hvcore_report *report = NULL;
    int rc;

    opts.arch = HVCORE_ARCH_RISCV64;
    OK(hvcore_policy_create(&opts, &policy, NULL));
    OK(hvcore_trap_policy_set(at.vm, policy, &report, NULL));
    rc = hvcore_report_item_get(report, 0, p);
    hvcore_report_free(report);
    hvcore_policy_unref(policy);
    return rc;
}

/* What the library fills: never a byte past the size that the caller gave. */
static void result_sizes(void)
{
    const struct {
        const char *name;
        size_t size;
        int (*fill)(void *);
    } rows[] = {
        {"ctx backend_info", sizeof(hvcore_backend_info), fill_ctx_info},
        {"vm backend_info", sizeof(hvcore_backend_info), fill_vm_info},
        {"trap_counts", sizeof(hvcore_trap_counts), fill_counts},
        {"vcpu_stats", sizeof(hvcore_vcpu_stats), fill_stats},
        {"report_item", sizeof(hvcore_report_item), fill_item},
    };

    toy_reset();
    at.ctx = new_ctx();
    at.vm = new_vm(at.ctx, "toy");
    OK(hvcore_vcpu_create(at.vm, 0, NULL, &at.vcpu, NULL));
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned char whole[512];
        uint32_t all = (uint32_t)rows[i].size;

        memset(whole, 0xee, sizeof whole);
        memcpy(whole, &all, 4);
        OK(rows[i].fill(whole));
        for (uint32_t size = 0; size <= all + 8; size++) {
            unsigned char part[512];
            size_t wrong = 0;
            int rc;

            memset(part, 0xee, sizeof part);
            memcpy(part, &size, 4);
            rc = rows[i].fill(part);
            if (rc != (size < 4 ? -HVCORE_E_INVAL : 0))
                printf("\n    %s: size %u: %d", rows[i].name, size, rc);
            CU_ASSERT_EQUAL(rc, size < 4 ? -HVCORE_E_INVAL : 0);
            for (uint32_t k = size < 4 ? 4 : size; k < sizeof part; k++)
                wrong += part[k] != 0xee;
            for (uint32_t k = 4; k < size && k < all && !rc; k++)
                wrong += part[k] != whole[k];
            if (wrong)
                printf("\n    %s: size %u: %zu bytes wrong", rows[i].name, size, wrong);
            CU_ASSERT_EQUAL(wrong, 0);
        }
    }
    WANT(hvcore_vcpu_trap_counts(at.vcpu, 2, NULL), -HVCORE_E_INVAL);
    WANT(hvcore_vcpu_stats_get(at.vcpu, NULL), -HVCORE_E_INVAL);
    WANT(hvcore_vcpu_stats_get(NULL, &(hvcore_vcpu_stats)HVCORE_VCPU_STATS_INIT), -HVCORE_E_INVAL);
    WANT(hvcore_vcpu_trap_counts(at.vcpu, 64, &(hvcore_trap_counts)HVCORE_TRAP_COUNTS_INIT),
         -HVCORE_E_RANGE);
    WANT(hvcore_vcpu_trap_counts(at.vcpu, UINT32_MAX, &(hvcore_trap_counts)HVCORE_TRAP_COUNTS_INIT),
         -HVCORE_E_RANGE);
    hvcore_vcpu_unref(at.vcpu);
    hvcore_vm_unref(at.vm);
    hvcore_ctx_unref(at.ctx);
}

/* --- memory objects --------------------------------------------------------------------------- */
static void mem_alloc(void)
{
    hvcore_error e;
    hvcore_ctx *ctx = NULL;
    hvcore_mem *mem = NULL;
    unsigned char *p;
    int fd;

    OK(hvcore_ctx_create(NULL, &ctx, NULL));
    FAILS(hvcore_mem_alloc(ctx, 0, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, 1, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, PAGE - 1, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, PAGE + 1, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, UINT64_MAX, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, PAGE, 2, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, PAGE, UINT32_MAX, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(NULL, PAGE, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, PAGE, 0, NULL, &e), HVCORE_E_INVAL);
    for (uint32_t flags = 0; flags <= HVCORE_MEM_SHARED; flags++) {
        FAILS(hvcore_mem_alloc(ctx, UINT64_C(1) << 63, flags, &mem, &e), HVCORE_E_NOMEM);
        FAILS(hvcore_mem_alloc(ctx, UINT64_C(1) << 62, flags, &mem, &e), HVCORE_E_NOMEM);
        FAILS(hvcore_mem_alloc(ctx, -PAGE, flags, &mem, &e), HVCORE_E_NOMEM);
        FAILS(hvcore_mem_alloc(ctx, UINT64_C(1) << 48, flags, &mem, &e), HVCORE_E_NOMEM);
    }
    CU_ASSERT_PTR_NULL(mem);

    OK(hvcore_mem_alloc(ctx, 3 * PAGE, 0, &mem, &e));
    p = hvcore_mem_ptr(mem);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_EQUAL((uintptr_t)p % PAGE, 0);
    WANT(hvcore_mem_size(mem), 3 * PAGE);
    for (size_t i = 0; i < 3 * PAGE; i++)
        if (p[i])
            CU_FAIL("not zero");
    memset(p, 1, 3 * PAGE);
    WANT(hvcore_mem_fd(mem), -HVCORE_E_UNSUPPORTED);
    CU_ASSERT_PTR_EQUAL(hvcore_mem_ref(mem), mem);
    hvcore_mem_unref(mem);
    p[0] = 2;
    hvcore_mem_unref(mem);
    mem = NULL;

    OK(hvcore_mem_alloc(ctx, 2 * PAGE, HVCORE_MEM_SHARED, &mem, &e));
    fd = hvcore_mem_fd(mem);
    CU_ASSERT_FATAL(fd >= 0);
    p = hvcore_mem_ptr(mem);
    CU_ASSERT(!p[0] && !p[2 * PAGE - 1]);
    p[PAGE] = 0x5a;
    unsigned char *other = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CU_ASSERT_FATAL(other != MAP_FAILED);
    WANT(other[PAGE], 0x5a);
    other[1] = 0xa5;
    WANT(p[1], 0xa5);
    hvcore_mem_unref(mem);
    WANT(fcntl(fd, F_GETFD), -1); /* it belonged to the object */
    WANT(other[PAGE], 0x5a);
    munmap(other, 2 * PAGE);

    CU_ASSERT_PTR_NULL(hvcore_mem_ptr(NULL));
    WANT(hvcore_mem_size(NULL), 0);
    CU_ASSERT(hvcore_mem_fd(NULL) < 0);
    hvcore_mem_unref(NULL);
    hvcore_ctx_unref(ctx);
}

typedef struct released {
    int count;
    void *host;
} released;

static void release(void *user, void *host)
{
    released *r = user;

    r->count++;
    r->host = host;
}

static void mem_adopt(void)
{
    hvcore_error e;
    released r = {0, NULL};
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem = NULL;
    char *host = aligned_alloc(PAGE, 4 * PAGE);

    toy_reset();
    ctx = new_ctx();
    vm = new_vm(ctx, "toy");
    FAILS(hvcore_mem_adopt(ctx, host + 1, PAGE, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(ctx, host + 8, PAGE, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(ctx, host, PAGE + 8, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(ctx, host, 0, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(ctx, NULL, PAGE, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(ctx, host, -PAGE, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(NULL, host, PAGE, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(ctx, host, PAGE, release, &r, NULL, &e), HVCORE_E_INVAL);
    WANT(r.count, 0);
    CU_ASSERT_PTR_NULL(mem);

    OK(hvcore_mem_adopt(ctx, host, 4 * PAGE, release, &r, &mem, &e));
    CU_ASSERT_PTR_EQUAL(hvcore_mem_ptr(mem), host);
    WANT(hvcore_mem_size(mem), 4 * PAGE);
    CU_ASSERT(hvcore_mem_fd(mem) == -HVCORE_E_UNSUPPORTED);
    /* A mapping holds it, a failed one does not. */
    OK(map(vm, mem, BASE, 0, 4 * PAGE, 7, &e));
    FAILS(map(vm, mem, BASE, 0, 4 * PAGE, 7, &e), HVCORE_E_EXISTS);
    hvcore_mem_unref(mem);
    WANT(r.count, 0);
    OK(hvcore_vm_unmap(vm, BASE + PAGE, PAGE, NULL)); /* two parts hold it */
    WANT(r.count, 0);
    OK(hvcore_vm_unmap(vm, BASE, PAGE, NULL));
    WANT(r.count, 0);
    OK(hvcore_vm_unmap(vm, BASE, 4 * PAGE, NULL));
    WANT(r.count, 1);
    CU_ASSERT_PTR_EQUAL(r.host, host);

    /* Without release; and held by the VM until it dies. */
    OK(hvcore_mem_adopt(ctx, host, PAGE, NULL, NULL, &mem, &e));
    hvcore_mem_unref(mem);
    OK(hvcore_mem_adopt(ctx, host, PAGE, release, &r, &mem, &e));
    OK(map(vm, mem, BASE, 0, 0, 7, &e));
    hvcore_mem_unref(mem);
    WANT(r.count, 1);
    hvcore_vm_unref(vm);
    WANT(r.count, 2);
    hvcore_ctx_unref(ctx);
    free(host);
    WANT(toy.broken, 0);
}

static void mem_from_fd(void)
{
    hvcore_error e;
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem = NULL;
    FILE *file = tmpfile();
    char byte;
    int fd = file ? dup(fileno(file)) : -1, pipes[2];

    toy_reset();
    ctx = new_ctx();
    vm = new_vm(ctx, "toy");
    CU_ASSERT_FATAL(fd >= 0);
    fclose(file);
    CU_ASSERT_EQUAL(ftruncate(fd, 4 * PAGE), 0);
    CU_ASSERT_EQUAL(pwrite(fd, "x", 1, 2 * PAGE), 1);
    FAILS(hvcore_mem_from_fd(ctx, fd, 0, 5 * PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, 4 * PAGE, PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, 5 * PAGE, PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, 3 * PAGE, 2 * PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, UINT64_C(1) << 63, PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, -PAGE, PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, -PAGE, 2 * PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, 8, PAGE, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_from_fd(ctx, fd, 0, PAGE + 8, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_from_fd(ctx, fd, 0, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_from_fd(NULL, fd, 0, PAGE, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_from_fd(ctx, fd, 0, PAGE, NULL, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_from_fd(ctx, 999999, 0, PAGE, &mem, &e), HVCORE_E_SYS);
    CU_ASSERT(e.sys_errno != 0);
    for (int bad = -3; bad < 0; bad++) {
        e = (hvcore_error)HVCORE_ERROR_INIT;
        CU_ASSERT(hvcore_mem_from_fd(ctx, bad, 0, PAGE, &mem, &e) < 0);
        CU_ASSERT(e.code == -HVCORE_E_INVAL || e.code == -HVCORE_E_SYS);
    }
    CU_ASSERT_EQUAL(pipe(pipes), 0);
    CU_ASSERT(hvcore_mem_from_fd(ctx, pipes[0], 0, PAGE, &mem, NULL) < 0);
    close(pipes[0]);
    close(pipes[1]);
    CU_ASSERT_PTR_NULL(mem);

    OK(hvcore_mem_from_fd(ctx, fd, PAGE, 3 * PAGE, &mem, &e));
    CU_ASSERT(hvcore_mem_fd(mem) == -HVCORE_E_UNSUPPORTED);
    WANT(((char *)hvcore_mem_ptr(mem))[PAGE], 'x');
    ((char *)hvcore_mem_ptr(mem))[0] = 'y'; /* shared */
    CU_ASSERT(pread(fd, &byte, 1, PAGE) == 1 && byte == 'y');
    CU_ASSERT(fcntl(fd, F_GETFD) >= 0);
    close(fd); /* the object does not need it */
    OK(map(vm, mem, BASE, 0, 0, 7, &e));
    byte = 0;
    OK(hvcore_vm_read(vm, BASE + PAGE, &byte, 1));
    WANT(byte, 'x');
    hvcore_mem_unref(mem);
    OK(hvcore_vm_write(vm, BASE + 2 * PAGE, "z", 1));
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx);
}

/* --- the map, by example ---------------------------------------------------------------------- */
static void map_arguments(void)
{
    hvcore_error e;
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;
    hvcore_map_opts o = HVCORE_MAP_OPTS_INIT;
    hvcore_mmio_ops mmio = HVCORE_MMIO_OPS_INIT;
    char buf[8] = "1234567";

    toy_reset();
    ctx = new_ctx();
    vm = new_vm(ctx, "toy");
    mem = new_mem(ctx, 4);
    FAILS(map(vm, mem, BASE + 8, 0, PAGE, 7, &e), HVCORE_E_INVAL);
    FAILS(map(vm, mem, BASE, 8, PAGE, 7, &e), HVCORE_E_INVAL);
    FAILS(map(vm, mem, BASE, 0, PAGE + 8, 7, &e), HVCORE_E_INVAL);
    FAILS(map(vm, mem, BASE, 0, PAGE, 0, &e), HVCORE_E_INVAL);
    FAILS(map(vm, mem, BASE, 0, PAGE, 8, &e), HVCORE_E_INVAL);
    FAILS(map(vm, mem, BASE, 0, PAGE, UINT32_MAX, &e), HVCORE_E_INVAL);
    FAILS(map(vm, mem, BASE, 0, 5 * PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, BASE, PAGE, 4 * PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, BASE, 5 * PAGE, PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, BASE, 5 * PAGE, 0, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, BASE, -PAGE, PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, BASE, -PAGE, 2 * PAGE, 7, &e), HVCORE_E_RANGE);
    e = (hvcore_error)HVCORE_ERROR_INIT;
    CU_ASSERT(map(vm, mem, BASE, 4 * PAGE, 0, 7, &e) < 0); /* empty, and past the object */
    CU_ASSERT(e.code == -HVCORE_E_INVAL || e.code == -HVCORE_E_RANGE);
    FAILS(map(vm, mem, -PAGE, 0, 2 * PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, -3 * PAGE, 0, 0, 7, &e), HVCORE_E_RANGE);
    FAILS(map(NULL, mem, BASE, 0, PAGE, 7, &e), HVCORE_E_INVAL);
    FAILS(map(vm, NULL, BASE, 0, PAGE, 7, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_map(vm, mem, NULL, &e), HVCORE_E_INVAL);
    o.gpa = BASE;
    o.dirty = 1;
    FAILS(hvcore_vm_map(vm, mem, &o, &e), HVCORE_E_UNSUPPORTED);
    o.dirty = 2;
    CU_ASSERT(hvcore_vm_map(vm, mem, &o, NULL) < 0);
    o.dirty = 0;
    o.reserved = 1;
    FAILS(hvcore_vm_map(vm, mem, &o, &e), HVCORE_E_INVAL);
    o.reserved = 0;
    o.pager = (hvcore_pager_fn)(void (*)(void))abort; /* never called */
    FAILS(hvcore_vm_map(vm, mem, &o, &e), HVCORE_E_UNSUPPORTED);
    WANT(toy.calls[TOY_MEM_MAP], 0);
    /* A backend that fails: the code, a sentence, nothing mapped. */
    toy.fail[TOY_MEM_MAP] = -HVCORE_E_NOMEM;
    FAILS(map(vm, mem, BASE, 0, PAGE, 7, &e), HVCORE_E_NOMEM);
    toy.fail[TOY_MEM_MAP] = 0;
    WANT(hvcore_vm_read(vm, BASE, buf, 1), -HVCORE_E_FAULT);

    FAILS(hvcore_vm_unmap(vm, BASE, PAGE, &e), HVCORE_E_NOTFOUND);
    FAILS(hvcore_vm_unmap(vm, BASE, 0, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_unmap(vm, BASE + 1, PAGE, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_unmap(vm, BASE, PAGE - 1, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_unmap(NULL, BASE, PAGE, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_unmap(vm, -PAGE, 2 * PAGE, &e), HVCORE_E_RANGE);
    FAILS(hvcore_vm_protect(vm, -PAGE, 2 * PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(hvcore_vm_protect(vm, BASE, PAGE, 7, &e), HVCORE_E_NOTFOUND);

    OK(map(vm, mem, BASE, PAGE, 0, HVCORE_PROT_RWX, &e)); /* len 0: the rest, three pages */
    WANT(toy.region.len, 3 * PAGE);
    CU_ASSERT_PTR_EQUAL(toy.region.host, (char *)hvcore_mem_ptr(mem) + PAGE);
    FAILS(hvcore_vm_protect(vm, BASE, 0, 7, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_protect(vm, BASE + 1, PAGE, 7, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_protect(vm, BASE, PAGE + 1, 7, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_protect(vm, BASE, PAGE, 8, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_protect(NULL, BASE, PAGE, 7, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_protect(vm, BASE, 4 * PAGE, 7, &e), HVCORE_E_NOTFOUND);
    FAILS(hvcore_vm_protect(vm, BASE - PAGE, 2 * PAGE, 7, &e), HVCORE_E_NOTFOUND);
    toy.fail[TOY_MEM_PROTECT] = toy.fail[TOY_MEM_UNMAP] = -HVCORE_E_NOMEM;
    FAILS(hvcore_vm_protect(vm, BASE + PAGE, PAGE, HVCORE_PROT_R, &e), HVCORE_E_NOMEM);
    FAILS(hvcore_vm_unmap(vm, BASE + PAGE, PAGE, &e), HVCORE_E_NOMEM);
    toy.fail[TOY_MEM_PROTECT] = toy.fail[TOY_MEM_UNMAP] = 0;
    for (int i = 0; i < 3; i++) { /* nothing has changed */
        hvcore_view *view = NULL;
        void *p = NULL;

        OK(hvcore_view_get(vm, BASE + PAGE * (uint64_t)i, PAGE, 7, &view, &p));
        CU_ASSERT_PTR_EQUAL(p, (char *)hvcore_mem_ptr(mem) + PAGE * (uint64_t)(i + 1));
        hvcore_view_put(view);
    }
    WANT(hvcore_vm_read(vm, BASE, NULL, 1), -HVCORE_E_INVAL);
    WANT(hvcore_vm_write(vm, BASE, NULL, 1), -HVCORE_E_INVAL);
    WANT(hvcore_vm_read(NULL, BASE, buf, 1), -HVCORE_E_INVAL);
    WANT(hvcore_vm_write(NULL, BASE, buf, 1), -HVCORE_E_INVAL);
    OK(hvcore_vm_read(vm, BASE, buf, 0));
    CU_ASSERT(hvcore_vm_read(vm, UINT64_MAX - 3, buf, 8) < 0);
    CU_ASSERT(hvcore_vm_write(vm, UINT64_MAX - 3, buf, 8) < 0);
    WANT(hvcore_vm_read(vm, BASE, buf, SIZE_MAX), -HVCORE_E_FAULT);
    WANT(hvcore_vm_write(vm, BASE, buf, SIZE_MAX), -HVCORE_E_FAULT);

    /* MMIO ranges and mappings exclude each other; a range is no mapping. */
    FAILS(hvcore_vm_mmio_add(vm, BASE + PAGE, 8, &mmio, NULL, NULL, &e), HVCORE_E_EXISTS);
    CU_ASSERT(e.address >= BASE && e.address < BASE + 3 * PAGE);
    FAILS(hvcore_vm_mmio_add(vm, BASE - 1, 2, &mmio, NULL, NULL, &e), HVCORE_E_EXISTS);
    FAILS(hvcore_vm_mmio_add(vm, BASE + 3 * PAGE - 1, 1, &mmio, NULL, NULL, &e), HVCORE_E_EXISTS);
    FAILS(hvcore_vm_mmio_add(vm, 0, 2 * BASE, &mmio, NULL, NULL, &e), HVCORE_E_EXISTS);
    OK(hvcore_vm_mmio_add(vm, BASE + 3 * PAGE, 8, &mmio, NULL, NULL, &e));
    OK(hvcore_vm_mmio_add(vm, BASE - 8, 8, &mmio, NULL, NULL, &e));
    FAILS(map(vm, mem, BASE + 3 * PAGE, 0, PAGE, 7, &e), HVCORE_E_EXISTS);
    CU_ASSERT(e.address >= BASE + 3 * PAGE && e.address < BASE + 3 * PAGE + 8);
    FAILS(map(vm, mem, BASE - PAGE, 0, PAGE, 7, &e), HVCORE_E_EXISTS);
    FAILS(hvcore_vm_unmap(vm, BASE + 3 * PAGE, PAGE, &e), HVCORE_E_NOTFOUND);
    FAILS(hvcore_vm_protect(vm, BASE, 4 * PAGE, 1, &e), HVCORE_E_NOTFOUND);
    WANT(hvcore_vm_read(vm, BASE + 3 * PAGE, buf, 1), -HVCORE_E_FAULT);
    WANT(hvcore_vm_mmio_remove(NULL, 1), -HVCORE_E_INVAL);
    hvcore_mem_unref(mem);
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx);
    WANT(toy.broken, 0);
}

/* The end of the guest's address space on the software machine: Sv39x4, 41 bits. */
static void map_end(void)
{
    const uint64_t end = UINT64_C(1) << 41;
    hvcore_error e;
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;

    if (!have_backend("bare")) {
        printf("skipped: no backend \"bare\" ");
        return;
    }
    ctx = new_ctx();
    vm = new_vm(ctx, "bare");
    mem = new_mem(ctx, 2);
    FAILS(map(vm, mem, end, 0, PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, end - PAGE, 0, 2 * PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, UINT64_C(1) << 63, 0, PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, -PAGE, 0, PAGE, 7, &e), HVCORE_E_RANGE);
    OK(map(vm, mem, end - PAGE, 0, PAGE, 7, &e));
    OK(map(vm, mem, 0, 0, PAGE, 7, &e));
    OK(hvcore_vm_write(vm, end - 1, "e", 1));
    WANT(hvcore_vm_write(vm, end - 1, "ef", 2), -HVCORE_E_FAULT);
    OK(hvcore_vm_unmap(vm, 0, end, &e));
    hvcore_mem_unref(mem);
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx);
}

/* Mappings at 10, 11 | 12 .. 15 |, a hole, | 20 .. 23; every overlap is refused at every edge. */
static void map_overlaps(void)
{
    hvcore_error e;
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;
    unsigned char *p;
    unsigned char buf[8 * 4096];

    toy_reset();
    ctx = new_ctx();
    vm = new_vm(ctx, "toy");
    mem = new_mem(ctx, 16);
    p = hvcore_mem_ptr(mem);
    for (size_t i = 0; i < 16 * PAGE; i++)
        p[i] = (unsigned char)(i / PAGE * 16 + i % 13);
    OK(map(vm, mem, 12 * PAGE, 2 * PAGE, 4 * PAGE, 7, &e));
    OK(map(vm, mem, 10 * PAGE, 0, 2 * PAGE, HVCORE_PROT_R, &e));
    OK(map(vm, mem, 20 * PAGE, 8 * PAGE, 4 * PAGE, HVCORE_PROT_R | HVCORE_PROT_X, &e));
    for (uint64_t from = 8; from < 26; from++)
        for (uint64_t n = 1; n <= 16; n++) {
            bool hit = false;

            for (uint64_t i = from; i < from + n; i++)
                hit = hit || (i >= 10 && i < 16) || (i >= 20 && i < 24);
            if (hit) {
                FAILS(map(vm, mem, from * PAGE, 0, n * PAGE, 7, &e), HVCORE_E_EXISTS);
                CU_ASSERT(e.address / PAGE >= 10 && e.address / PAGE < 24);
                CU_ASSERT(e.address / PAGE < 16 || e.address / PAGE >= 20);
            } else {
                OK(map(vm, mem, from * PAGE, 0, n * PAGE, 7, &e));
                OK(hvcore_vm_unmap(vm, from * PAGE, n * PAGE, &e));
            }
        }

    /* Across adjacent mappings, whatever their rights; never across a hole. */
    OK(hvcore_vm_read(vm, 11 * PAGE + 5, buf, 3 * PAGE));
    CU_ASSERT(!memcmp(buf, p + PAGE + 5, 3 * PAGE));
    memset(buf, 0xee, sizeof buf);
    WANT(hvcore_vm_read(vm, 15 * PAGE + 1, buf, PAGE), -HVCORE_E_FAULT);
    WANT(hvcore_vm_read(vm, 15 * PAGE, buf, 6 * PAGE), -HVCORE_E_FAULT);
    WANT(hvcore_vm_read(vm, 10 * PAGE - 1, buf, 2), -HVCORE_E_FAULT);
    for (size_t i = 0; i < sizeof buf; i++)
        if (buf[i] != 0xee) {
            CU_FAIL("a refused read has written");
            break;
        }
    WANT(hvcore_vm_write(vm, 15 * PAGE + 1, buf, PAGE), -HVCORE_E_FAULT);
    WANT(hvcore_vm_write(vm, 15 * PAGE, buf, 6 * PAGE), -HVCORE_E_FAULT);
    WANT(p[5 * PAGE + 1], 5 * 16 + (5 * PAGE + 1) % 13);
    OK(hvcore_vm_write(vm, 12 * PAGE - 4, "adjacent", 8));
    CU_ASSERT(!memcmp(p + 2 * PAGE - 4, "adjacent", 8));

    /* An alias: the same bytes at another place. */
    OK(map(vm, mem, 40 * PAGE, 0, 16 * PAGE, 7, &e));
    OK(hvcore_vm_read(vm, 42 * PAGE - 4, buf, 8));
    CU_ASSERT(!memcmp(buf, "adjacent", 8));
    OK(hvcore_vm_write(vm, 52 * PAGE, "alias", 5));
    WANT(hvcore_vm_read(vm, 24 * PAGE, buf, 5), -HVCORE_E_FAULT); /* offset 12: not mapped there */
    OK(hvcore_vm_write(vm, 51 * PAGE, "alias", 5));
    OK(hvcore_vm_read(vm, 23 * PAGE, buf, 5));
    CU_ASSERT(!memcmp(buf, "alias", 5));

    /* Unmapping out of the middle and over holes. */
    OK(hvcore_vm_unmap(vm, 13 * PAGE, 2 * PAGE, &e));
    OK(hvcore_vm_read(vm, 12 * PAGE, buf, PAGE));
    OK(hvcore_vm_read(vm, 15 * PAGE, buf, PAGE));
    CU_ASSERT(!memcmp(buf, p + 5 * PAGE, PAGE));
    WANT(hvcore_vm_read(vm, 13 * PAGE, buf, 1), -HVCORE_E_FAULT);
    FAILS(hvcore_vm_unmap(vm, 13 * PAGE, 2 * PAGE, &e), HVCORE_E_NOTFOUND);
    OK(map(vm, mem, 13 * PAGE, 0, 2 * PAGE, 7, &e)); /* what was freed can be used */
    OK(hvcore_vm_unmap(vm, 11 * PAGE, 11 * PAGE, &e));
    OK(hvcore_vm_read(vm, 10 * PAGE, buf, PAGE));
    OK(hvcore_vm_read(vm, 22 * PAGE, buf, 2 * PAGE));
    CU_ASSERT(!memcmp(buf, p + 10 * PAGE, 2 * PAGE));
    WANT(hvcore_vm_read(vm, 21 * PAGE, buf, 1), -HVCORE_E_FAULT);
    WANT(hvcore_vm_read(vm, 11 * PAGE, buf, 1), -HVCORE_E_FAULT);
    OK(hvcore_vm_unmap(vm, 0, 100 * PAGE, &e));
    FAILS(hvcore_vm_unmap(vm, 0, 100 * PAGE, &e), HVCORE_E_NOTFOUND);
    WANT(toy.vm->count, 0);
    hvcore_mem_unref(mem);
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx);
    WANT(toy.broken, 0);
}

/* --- views ------------------------------------------------------------------------------------ */
static void views(void)
{
    hvcore_error e;
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem, *rom;
    hvcore_view *v[4] = {NULL};
    void *p = NULL;
    char *base, byte;

    toy_reset();
    ctx = new_ctx();
    vm = new_vm(ctx, "toy");
    mem = new_mem(ctx, 8);
    rom = new_mem(ctx, 2);
    base = hvcore_mem_ptr(mem);
    OK(map(vm, mem, BASE, 0, 8 * PAGE, HVCORE_PROT_R | HVCORE_PROT_W, &e));
    OK(map(vm, rom, BASE + 8 * PAGE, 0, 0, HVCORE_PROT_R | HVCORE_PROT_X, &e));
    WANT(hvcore_view_get(NULL, BASE, 1, 1, v, &p), -HVCORE_E_INVAL);
    WANT(hvcore_view_get(vm, BASE, 1, 1, NULL, &p), -HVCORE_E_INVAL);
    WANT(hvcore_view_get(vm, BASE, 1, 1, v, NULL), -HVCORE_E_INVAL);
    WANT(hvcore_view_get(vm, BASE, 0, 1, v, &p), -HVCORE_E_INVAL);
    WANT(hvcore_view_get(vm, BASE, 1, 8, v, &p), -HVCORE_E_INVAL);
    WANT(hvcore_view_get(vm, BASE - 1, 1, 1, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE - 1, 2, 1, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE + 8 * PAGE - 1, 2, 1, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE + 10 * PAGE - 1, 2, 1, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE, SIZE_MAX, 1, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE, 1, HVCORE_PROT_X, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE, 1, HVCORE_PROT_RWX, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE + 8 * PAGE, 1, HVCORE_PROT_W, v, &p), -HVCORE_E_FAULT);
    OK(hvcore_view_get(vm, BASE + 8 * PAGE, 2 * PAGE, HVCORE_PROT_R | HVCORE_PROT_X, &v[3], &p));
    CU_ASSERT_PTR_EQUAL(p, hvcore_mem_ptr(rom));
    hvcore_view_put(v[3]);

    /* Two bytes over a page edge pin two pages, and no more. */
    OK(hvcore_view_get(vm, BASE + 3 * PAGE - 1, 2, HVCORE_PROT_R, &v[0], &p));
    CU_ASSERT_PTR_EQUAL(p, base + 3 * PAGE - 1);
    OK(hvcore_view_get(vm, BASE + 3 * PAGE, 1, HVCORE_PROT_W, &v[1], &p));
    CU_ASSERT_PTR_EQUAL(p, base + 3 * PAGE);
    *(char *)p = 'v';
    OK(hvcore_vm_read(vm, BASE + 3 * PAGE, &byte, 1));
    WANT(byte, 'v');
    FAILS(hvcore_vm_unmap(vm, BASE + 2 * PAGE, PAGE, &e), HVCORE_E_BUSY);
    FAILS(hvcore_vm_unmap(vm, BASE + 3 * PAGE, PAGE, &e), HVCORE_E_BUSY);
    FAILS(hvcore_vm_unmap(vm, BASE, 10 * PAGE, &e), HVCORE_E_BUSY);
    FAILS(hvcore_vm_unmap(vm, 0, 2 * BASE, &e), HVCORE_E_BUSY);
    OK(hvcore_vm_read(vm, BASE, &byte, 1)); /* all or nothing */
    OK(hvcore_vm_read(vm, BASE + 9 * PAGE, &byte, 1));
    OK(hvcore_vm_unmap(vm, BASE + 4 * PAGE, PAGE, &e));
    OK(hvcore_vm_unmap(vm, BASE + PAGE, PAGE, &e));
    hvcore_view_put(v[0]);
    OK(hvcore_vm_unmap(vm, BASE + 2 * PAGE, PAGE, &e));
    FAILS(hvcore_vm_unmap(vm, BASE + 3 * PAGE, PAGE, &e), HVCORE_E_BUSY);
    ((char *)base)[3 * PAGE] = 'w';
    WANT(*(char *)p, 'w');
    hvcore_view_put(v[1]);
    OK(hvcore_vm_unmap(vm, BASE + 3 * PAGE, PAGE, &e));
    hvcore_view_put(NULL);

    /* The same page twice, by one view each. */
    OK(hvcore_view_get(vm, BASE, PAGE, HVCORE_PROT_R, &v[0], &p));
    OK(hvcore_view_get(vm, BASE, PAGE, HVCORE_PROT_R, &v[1], &p));
    hvcore_view_put(v[0]);
    FAILS(hvcore_vm_unmap(vm, BASE, PAGE, &e), HVCORE_E_BUSY);
    /* A view holds its VM, and so the bytes. */
    hvcore_mem_unref(mem);
    hvcore_mem_unref(rom);
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx);
    memset(p, 1, PAGE);
    WANT(toy.calls[TOY_VM_DESTROY], 0);
    hvcore_view_put(v[1]);
    WANT(toy.calls[TOY_VM_DESTROY], 1);
    WANT(toy.broken, 0);
}

/* --- references ------------------------------------------------------------------------------- */
enum { CTX, VM, VCPU, MEM, VIEW, POLICY, OBJECTS };

static void one_order(const int *order, const char *backend)
{
    void *host = aligned_alloc(PAGE, PAGE);
    released r = {0, NULL};
    hvcore_ctx *ctx = new_ctx();
    hvcore_vm *vm = new_vm(ctx, backend);
    hvcore_policy *policy = unenforceable();
    hvcore_mem *mem = NULL;
    hvcore_view *view = NULL;
    hvcore_vcpu *vcpu = NULL;
    void *p = NULL;
    bool gone[OBJECTS] = {false};

    CU_ASSERT(!hvcore_mem_adopt(ctx, host, PAGE, release, &r, &mem, NULL));
    CU_ASSERT(!map(vm, mem, BASE, 0, 0, 7, NULL));
    CU_ASSERT(!hvcore_vcpu_create(vm, 1, NULL, &vcpu, NULL));
    CU_ASSERT(!hvcore_view_get(vm, BASE, PAGE, 7, &view, &p));
    CU_ASSERT(!hvcore_trap_policy_set(vm, policy, NULL, NULL));
    for (int i = 0; i < OBJECTS; i++) {
        switch (order[i]) {
        case CTX:
            hvcore_ctx_unref(ctx);
            break;
        case VM:
            hvcore_vm_unref(vm);
            break;
        case VCPU:
            hvcore_vcpu_unref(vcpu);
            break;
        case MEM:
            hvcore_mem_unref(mem);
            break;
        case VIEW:
            hvcore_view_put(view);
            break;
        default:
            hvcore_policy_unref(policy);
        }
        gone[order[i]] = true;
        /* The mapping holds the memory, the VM the mapping, vCPU and view the VM. */
        CU_ASSERT_EQUAL(r.count, gone[VM] && gone[VCPU] && gone[MEM] && gone[VIEW]);
        if (!gone[VCPU]) {
            uint64_t x = 1;

            CU_ASSERT(!hvcore_vcpu_cancel(vcpu, 1));
            CU_ASSERT(!hvcore_reg_get_u64(vcpu, HVCORE_REG_RISCV64_A0, &x));
            CU_ASSERT(!hvcore_vm_read(hvcore_vcpu_vm(vcpu), BASE, &x, 8));
        }
        if (!gone[VIEW])
            memset(p, i, PAGE);
    }
    CU_ASSERT_EQUAL(r.count, 1);
    free(host);
}

static void permute(int *order, int n, const char *backend, int *runs)
{
    if (n == OBJECTS) {
        (*runs)++;
        one_order(order, backend);
        return;
    }
    for (int i = n; i < OBJECTS; i++) {
        int x = order[n];

        order[n] = order[i];
        order[i] = x;
        permute(order, n + 1, backend, runs);
        order[i] = order[n];
        order[n] = x;
    }
}

static void references(void)
{
    int order[OBJECTS] = {0, 1, 2, 3, 4, 5}, runs = 0;

    toy_reset();
    permute(order, 0, "toy", &runs);
    WANT(runs, 720);
    WANT(toy.calls[TOY_VM_CREATE], runs);
    WANT(toy.calls[TOY_VM_DESTROY], runs);
    WANT(toy.calls[TOY_VCPU_DESTROY], runs);
    WANT(toy.broken, 0);
    if (have_backend("bare"))
        permute(order, 0, "bare", &runs);
}

/* --- the map against a model ------------------------------------------------------------------ */
enum { PAGES = 192, MEMS = 4, MEM_PAGES = 24, VIEWS = 12, RANGES = 6 };

typedef struct model_page {
    int mem;         /* -1: nothing, -2: an MMIO range */
    uint32_t origin; /* the map call that made it */
    uint32_t page;   /* of the memory object */
    uint32_t prot;
    int pins;
} model_page;

typedef struct model {
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    bool is_toy;
    hvcore_mem *mem[MEMS];
    uint8_t *host[MEMS];
    uint8_t shadow[MEMS][MEM_PAGES * 4096];
    model_page page[PAGES];
    struct {
        hvcore_view *view;
        uint64_t first, last;
    } view[VIEWS];
    struct {
        uint32_t id;
        uint64_t first, n;
    } range[RANGES];
    uint32_t origins, done[10];
} model;

static const uint32_t rights[] = {HVCORE_PROT_R, HVCORE_PROT_R | HVCORE_PROT_W,
                                  HVCORE_PROT_R | HVCORE_PROT_X, HVCORE_PROT_RWX};

static uint64_t gpa_of(uint64_t page)
{
    return BASE + page * PAGE;
}

static void model_map(model *m, uint64_t first, uint64_t n)
{
    hvcore_error e = HVCORE_ERROR_INIT;
    uint32_t which = (uint32_t)below(MEMS), prot = rights[below(4)];
    uint32_t offset = (uint32_t)below(MEM_PAGES);
    bool hit = false, fits;
    int rc;

    if (below(8))
        n = n > MEM_PAGES - offset ? MEM_PAGES - offset : n;
    fits = offset + n <= MEM_PAGES;
    for (uint64_t i = first; i < first + n; i++)
        hit = hit || m->page[i].mem != -1;
    rc = map(m->vm, m->mem[which], gpa_of(first), offset * PAGE, n * PAGE, prot, &e);
    if (!fits) {
        CU_ASSERT(rc == -HVCORE_E_RANGE || (hit && rc == -HVCORE_E_EXISTS));
        return;
    }
    CU_ASSERT_EQUAL(rc, hit ? -HVCORE_E_EXISTS : 0);
    if (hit)
        CU_ASSERT(e.address >= BASE && e.address < gpa_of(PAGES));
    if (rc)
        return;
    m->done[0]++;
    m->origins++;
    for (uint64_t i = 0; i < n; i++)
        m->page[first + i] = (model_page){(int)which, m->origins, offset + (uint32_t)i, prot, 0};
}

static void model_unmap(model *m, uint64_t first, uint64_t n)
{
    bool any = false, pinned = false;
    int rc = hvcore_vm_unmap(m->vm, gpa_of(first), n * PAGE, NULL);

    for (uint64_t i = first; i < first + n; i++) {
        any = any || m->page[i].mem >= 0;
        pinned = pinned || m->page[i].pins;
    }
    CU_ASSERT_EQUAL(rc, !any ? -HVCORE_E_NOTFOUND : pinned ? -HVCORE_E_BUSY : 0);
    if (rc)
        return;
    m->done[1]++;
    for (uint64_t i = first; i < first + n; i++)
        if (m->page[i].mem >= 0)
            m->page[i].mem = -1;
}

static void model_protect(model *m, uint64_t first, uint64_t n)
{
    uint32_t prot = rights[below(4)];
    bool hole = false;
    int rc = hvcore_vm_protect(m->vm, gpa_of(first), n * PAGE, prot, NULL);

    for (uint64_t i = first; i < first + n; i++)
        hole = hole || m->page[i].mem < 0;
    CU_ASSERT_EQUAL(rc, hole ? -HVCORE_E_NOTFOUND : 0);
    if (rc)
        return;
    m->done[2]++;
    for (uint64_t i = first; i < first + n; i++)
        m->page[i].prot = prot;
}

static void model_copy(model *m, bool write)
{
    static uint8_t buf[4 * 4096], copy[4 * 4096];
    uint64_t from = below(PAGES * PAGE), len = below(4) ? below(64) : below(3 * PAGE);
    bool fault = false;
    int rc;

    len = len > PAGES * PAGE - from ? PAGES * PAGE - from : len;
    for (uint64_t i = from / PAGE; len && i <= (from + len - 1) / PAGE; i++)
        fault = fault || m->page[i].mem < 0;
    for (uint64_t i = 0; i < len; i += 8) {
        uint64_t x = rnd();

        memcpy(buf + i, &x, 8);
    }
    memcpy(copy, buf, len);
    rc = write ? hvcore_vm_write(m->vm, BASE + from, buf, len)
               : hvcore_vm_read(m->vm, BASE + from, buf, len);
    CU_ASSERT_EQUAL(rc, fault ? -HVCORE_E_FAULT : 0);
    for (uint64_t i = 0; i < len && !rc; i++) {
        model_page *p = &m->page[(from + i) / PAGE];
        uint8_t *byte = &m->shadow[p->mem][p->page * PAGE + (from + i) % PAGE];

        if (write)
            *byte = buf[i];
        else
            copy[i] = *byte;
    }
    CU_ASSERT(!memcmp(buf, copy, len)); /* also: a refused read leaves the buffer alone */
    m->done[write ? 4 : 3] += !rc && len;
}

static void model_view(model *m)
{
    size_t slot = below(VIEWS);
    uint64_t from = below(PAGES * PAGE), len = 1 + below(3 * PAGE), first = from / PAGE, last;
    uint32_t prot = rights[below(4)];
    bool must = true, may = true; /* succeed */
    hvcore_view *view = NULL;
    void *p = NULL;
    int rc;

    if (m->view[slot].view) {
        hvcore_view_put(m->view[slot].view);
        m->view[slot].view = NULL;
        for (uint64_t i = m->view[slot].first; i <= m->view[slot].last; i++)
            m->page[i].pins--;
        return;
    }
    len = len > PAGES * PAGE - from ? PAGES * PAGE - from : len;
    last = (from + len - 1) / PAGE;
    for (uint64_t i = first; i <= last; i++) {
        const model_page *q = &m->page[i], *q0 = &m->page[first];

        if (q->mem < 0 || (q->prot & prot) != prot || q->origin != q0->origin)
            may = false;
        /* One mapping that protect() has cut: whether it is one again is left open. */
        must = must && last == first;
    }
    rc = hvcore_view_get(m->vm, BASE + from, len, prot, &view, &p);
    CU_ASSERT((!rc && may) || (rc == -HVCORE_E_FAULT && !(may && must)));
    if (rc)
        return;
    m->done[5 + (last > first)]++;
    CU_ASSERT_PTR_EQUAL(p, m->host[m->page[first].mem] + m->page[first].page * PAGE + from % PAGE);
    m->view[slot].view = view;
    m->view[slot].first = first;
    m->view[slot].last = last;
    for (uint64_t i = first; i <= last; i++)
        m->page[i].pins++;
}

static void model_mmio(model *m, uint64_t first, uint64_t n)
{
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    size_t slot = below(RANGES);
    bool hit = false;
    int rc;

    if (m->range[slot].n) {
        OK(hvcore_vm_mmio_remove(m->vm, m->range[slot].id));
        for (uint64_t i = 0; i < m->range[slot].n; i++)
            m->page[m->range[slot].first + i].mem = -1;
        m->range[slot].n = 0;
        return;
    }
    for (uint64_t i = first; i < first + n; i++)
        hit = hit || m->page[i].mem != -1;
    rc = hvcore_vm_mmio_add(m->vm, gpa_of(first), n * PAGE, &ops, NULL, &m->range[slot].id, NULL);
    CU_ASSERT_EQUAL(rc, hit ? -HVCORE_E_EXISTS : 0);
    if (rc)
        return;
    m->done[7]++;
    m->range[slot].first = first;
    m->range[slot].n = n;
    for (uint64_t i = first; i < first + n; i++)
        m->page[i].mem = -2;
}

/* What the backend was told is what the model says. */
static bool same_in_backend(model *m, uint64_t first, uint64_t n)
{
    for (uint64_t i = first; i < first + n && m->is_toy; i++) {
        const model_page *p = &m->page[i];
        uint32_t prot = 0;
        uint8_t *host = toy_lookup(toy.vm, gpa_of(i), &prot);

        if (p->mem < 0 ? host != NULL : host != m->host[p->mem] + p->page * PAGE || prot != p->prot)
            return false;
    }
    return true;
}

static void against_model(const char *backend, int turns)
{
    static model m;
    released r[MEMS] = {{0, NULL}};

    toy_reset();
    memset(&m, 0, sizeof m);
    m.is_toy = !strcmp(backend, "toy");
    m.ctx = new_ctx();
    m.vm = new_vm(m.ctx, backend);
    for (int i = 0; i < MEMS; i++) {
        m.host[i] = aligned_alloc(PAGE, MEM_PAGES * PAGE);
        for (size_t k = 0; k < MEM_PAGES * PAGE; k++)
            m.host[i][k] = m.shadow[i][k] = (uint8_t)rnd();
        OK(hvcore_mem_adopt(m.ctx, m.host[i], MEM_PAGES * PAGE, release, &r[i], &m.mem[i], NULL));
    }
    for (int i = 0; i < PAGES; i++)
        m.page[i].mem = -1;
    for (int turn = 0; turn < turns; turn++) {
        uint64_t first = below(PAGES), n = 1 + below(below(4) ? 6 : 32);

        n = n > PAGES - first ? PAGES - first : n;
        switch (below(10)) {
        case 0:
        case 1:
        case 2:
            model_map(&m, first, n);
            break;
        case 3:
        case 4:
            model_unmap(&m, first, n);
            break;
        case 5:
            model_protect(&m, first, n);
            break;
        case 6:
        case 7:
            model_copy(&m, below(2));
            break;
        case 8:
            model_view(&m);
            break;
        default:
            model_mmio(&m, first, n);
        }
        if (!same_in_backend(&m, first, n)) {
            CU_FAIL("the backend was told something else");
            break;
        }
    }
    CU_ASSERT(same_in_backend(&m, 0, PAGES));
    for (int i = 0; i < MEMS; i++)
        CU_ASSERT(!memcmp(m.host[i], m.shadow[i], MEM_PAGES * PAGE));
    for (int i = 0; i < 8; i++) /* the random walk has been everywhere */
        CU_ASSERT(m.done[i] > (uint32_t)turns / 1000);
    for (int i = 0; i < MEMS; i++)
        hvcore_mem_unref(m.mem[i]);
    hvcore_vm_unref(m.vm);
    hvcore_ctx_unref(m.ctx);
    for (int i = 0; i < VIEWS; i++)
        hvcore_view_put(m.view[i].view);
    for (int i = 0; i < MEMS; i++) {
        WANT(r[i].count, 1);
        free(m.host[i]);
    }
    WANT(toy.broken, 0);
    if (toy.broken)
        printf("\n    %s", toy.rule);
}

static void model_toy(void)
{
    against_model("toy", 100000);
}

static void model_bare(void)
{
    if (have_backend("bare"))
        against_model("bare", 100000);
    else
        printf("skipped: no backend \"bare\" ");
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"contexts", contexts},
        {"registry of backends", registry},
        {"options of VMs and vCPUs", vm_options},
        {"error records of every size", error_records},
        {"names of errors", error_names},
        {"log levels", log_levels},
        {"silence", silence},
        {"sizes of options", option_sizes},
        {"sizes of results", result_sizes},
        {"allocated memory", mem_alloc},
        {"adopted memory", mem_adopt},
        {"memory from files", mem_from_fd},
        {"arguments of the map", map_arguments},
        {"end of the address space", map_end},
        {"overlaps, holes, splits, aliases", map_overlaps},
        {"views", views},
        {"references in every order", references},
        {"the map against a model (toy)", model_toy},
        {"the map against a model (bare)", model_bare},
        {NULL, NULL},
    };

    toy_reset();
    return hvc_unit_main("core", tests);
}
