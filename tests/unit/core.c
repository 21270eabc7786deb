/* SPDX-License-Identifier: Apache-2.0 */
/* lib/core by its headers: contexts, backends, error records, log, sizes of structures. */
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/core.h"

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
    hvcore_bk_riscv64_ops raw = *toy_ops.riscv64;
    for (size_t at = 0; at < sizeof raw; at += sizeof(void *)) {
        ops = toy_ops;
        ops.riscv64 = &raw;
        raw = *toy_ops.riscv64;
        memset((char *)&raw + at, 0, sizeof(void *));
        FAILS(hvcore_ctx_backend_add(ctx, &ops, &e), HVCORE_E_INVAL);
    }
    /* Exactly one of the two other tables. */
    static const hvcore_bk_kernel_ops none;
    ops = toy_ops;
    ops.riscv64 = NULL;
    FAILS(hvcore_ctx_backend_add(ctx, &ops, &e), HVCORE_E_INVAL);
    ops.kernel = &none;
    FAILS(hvcore_ctx_backend_add(ctx, &ops, &e), HVCORE_E_INVAL);
    ops.riscv64 = toy_ops.riscv64;
    FAILS(hvcore_ctx_backend_add(ctx, &ops, &e), HVCORE_E_INVAL);
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
    opts.flags = HVCORE_VM_EL2; /* needs the capability */
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_UNSUPPORTED);
    opts.flags = 2;
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

        if (code > HVCORE_E_TIMEOUT || code < -HVCORE_E_TIMEOUT)
            CU_ASSERT_STRING_EQUAL(hvcore_strerror(code), "unknown error");
    }
    CU_ASSERT_STRING_EQUAL(hvcore_strerror(INT_MIN), "unknown error");
    CU_ASSERT_STRING_EQUAL(hvcore_strerror(INT_MIN + 1), "unknown error");
    CU_ASSERT_STRING_EQUAL(hvcore_strerror(INT_MAX), "unknown error");
    CU_ASSERT_STRING_EQUAL(hvcore_strerror(HVCORE_E_TIMEOUT + 1), "unknown error");
    CU_ASSERT_STRING_EQUAL(hvcore_strerror(-HVCORE_E_TIMEOUT - 1), "unknown error");
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
        {NULL, NULL},
    };

    toy_reset();
    return hvc_unit_main("core", tests);
}
