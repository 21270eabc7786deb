/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failure injection: the n-th allocation or system call of a library call fails, for n = 0, 1, ...
 * until the call succeeds. A call that fails says so with a code and a sentence, leaks nothing,
 * changes nothing, and works afterwards.
 *
 * The program is linked with --wrap: what the static library calls comes through here. What json-c
 * allocates for itself does not: json-c 0.16 does not survive that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "tests/unit/toy.h"

#define PAGE UINT64_C(4096)
#define RAM UINT64_C(0x80000000)
#define DEV UINT64_C(0x10000000)
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* --- the injector ----------------------------------------------------------------------------- */
static bool armed;
static long left;     /* calls that still succeed */
static int with;      /* errno of the system call that fails */
static unsigned hits; /* calls that failed */
static long live;     /* blocks, mappings and descriptors of the library */

static bool fails(void)
{
    if (!armed || left-- > 0)
        return false;
    armed = false; /* only this one: what follows succeeds again */
    hits++;
    return true;
}

static bool fails_sys(void)
{
    if (!fails())
        return false;
    errno = with;
    return true;
}

void *__real_calloc(size_t n, size_t size);
void *__real_malloc(size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
int __real_memfd_create(const char *name, unsigned flags);
int __real_ftruncate(int fd, off_t len);
int __real_fstat(int fd, struct stat *st);
int __real_close(int fd);
int __real_open(const char *name, int flags, ...);

void *__wrap_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t len);
int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_ftruncate(int fd, off_t len);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_close(int fd);
int __wrap_open(const char *name, int flags, ...);

void *__wrap_calloc(size_t n, size_t size)
{
    void *p = fails() ? NULL : __real_calloc(n, size);

    live += p != NULL;
    return p;
}

void *__wrap_malloc(size_t size)
{
    void *p = fails() ? NULL : __real_malloc(size);

    live += p != NULL;
    return p;
}

void *__wrap_realloc(void *p, size_t size)
{
    void *q = fails() ? NULL : __real_realloc(p, size);

    live += q && !p;
    return q;
}

void __wrap_free(void *p)
{
    live -= p != NULL;
    __real_free(p);
}

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    void *p = fails_sys() ? MAP_FAILED : __real_mmap(at, len, prot, flags, fd, offset);

    live += p != MAP_FAILED;
    return p;
}

int __wrap_munmap(void *at, size_t len)
{
    live--;
    return __real_munmap(at, len);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
    int fd = fails_sys() ? -1 : __real_memfd_create(name, flags);

    live += fd >= 0;
    return fd;
}

int __wrap_ftruncate(int fd, off_t len)
{
    return fails_sys() ? -1 : __real_ftruncate(fd, len);
}

int __wrap_fstat(int fd, struct stat *st)
{
    return fails_sys() ? -1 : __real_fstat(fd, st);
}

int __wrap_close(int fd)
{
    live--;
    return __real_close(fd);
}

/* /dev/kvm, when the library looks what it has: that this fails is no failure of the call. */
int __wrap_open(const char *name, int flags, ...)
{
    int fd = __real_open(name, flags);

    live += fd >= 0;
    return fd;
}

/* --- the world in which a call is made -------------------------------------------------------- */
static const char *backend;
static hvcore_ctx *ctx, *ctx2;
static hvcore_vm *vm, *vm2;
static hvcore_mem *mem, *mem2;
static hvcore_vcpu *vcpu, *vcpu2;
static hvcore_view *view;
static hvcore_policy *policy, *policy2;
static hvcore_report *report;
static uint32_t id;
static toy_vm *toy_s_vm; /* behind vm */
static int file = -1, released;
static void *bytes;

static const char text[] =
    "{ \"hvcore-policy\": 1, \"arch\": \"riscv64\", \"base\": \"linux-guest\",\n"
    "  \"on_unenforceable\": \"warn\",\n"
    "  \"rules\": [ { \"name\": \"count what user space does wrong\",\n"
    "               \"cause\": [\"illegal-instruction\"], \"do\": \"redirect\" },\n"
    "             { \"cause\": [\"breakpoint\"], \"do\": \"redirect\" } ],\n"
    "  \"storm\": { \"repeat\": 64, \"per_ms\": 200, \"then\": \"exit\" } }";

static void release(void *user, void *host)
{
    (void)user, (void)host;
    released++;
}

static int map_at(uint64_t gpa, uint64_t offset, uint64_t len, hvcore_error *err)
{
    hvcore_map_opts o = HVCORE_MAP_OPTS_INIT;

    o.gpa = gpa;
    o.offset = offset;
    o.len = len;
    return hvcore_vm_map(vm, mem, &o, err);
}

static hvcore_policy *exit_policy(void)
{
    hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;
    hvcore_trap_rule rule = HVCORE_TRAP_RULE_INIT;
    hvcore_policy *p = NULL;

    opts.arch = HVCORE_ARCH_RISCV64;
    opts.allow_exit = 1;
    OK(hvcore_policy_create(&opts, &p, NULL));
    rule.causes = 1 << HVCORE_RISCV64_BREAKPOINT;
    rule.act = HVCORE_DO_EXIT;
    OK(hvcore_policy_rule_add(p, &rule, NULL, NULL));
    return p;
}

/* Pages 0 to 7 in one mapping, 8 to 9 in another; a view on page 7; breakpoints exit. */
static void up(void)
{
    hvcore_vm_opts o = HVCORE_VM_OPTS_INIT;
    hvcore_policy *p;
    void *ptr;

    toy_reset();
    OK(hvcore_ctx_create(NULL, &ctx, NULL));
    OK(hvcore_ctx_backend_add(ctx, &toy_ops, NULL));
    o.arch = HVCORE_ARCH_RISCV64;
    o.backend = backend;
    o.max_vcpus = 4;
    OK(hvcore_vm_create(ctx, &o, &vm, NULL));
    toy_s_vm = toy.vm;
    OK(hvcore_mem_alloc(ctx, 10 * PAGE, 0, &mem, NULL));
    for (uint64_t i = 0; i < 10; i++)
        memset((char *)hvcore_mem_ptr(mem) + i * PAGE, (int)i + 1, PAGE);
    OK(map_at(RAM, 0, 8 * PAGE, NULL));
    OK(map_at(RAM + 8 * PAGE, 8 * PAGE, 0, NULL));
    OK(hvcore_vcpu_create(vm, 0, NULL, &vcpu, NULL));
    OK(hvcore_view_get(vm, RAM + 7 * PAGE, PAGE, HVCORE_PROT_R, &view, &ptr));
    p = exit_policy();
    OK(hvcore_trap_policy_set(vm, p, NULL, NULL));
    hvcore_policy_unref(p);
    policy = exit_policy();
    bytes = aligned_alloc(PAGE, PAGE);
    released = 0;
}

static void down(void)
{
    hvcore_view_put(view);
    hvcore_report_free(report);
    hvcore_policy_unref(policy);
    hvcore_policy_unref(policy2);
    hvcore_vcpu_unref(vcpu2);
    hvcore_vcpu_unref(vcpu);
    hvcore_mem_unref(mem2);
    hvcore_mem_unref(mem);
    hvcore_vm_unref(vm2);
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx2);
    hvcore_ctx_unref(ctx);
    __real_free(bytes);
    view = NULL, report = NULL, policy = policy2 = NULL, vcpu = vcpu2 = NULL, mem = mem2 = NULL;
    vm = vm2 = NULL, ctx = ctx2 = NULL;
    if (toy.broken)
        printf("\n    rule broken: %s", toy.rule);
    WANT(toy.broken, 0);
}

/* What can be seen of the world, in a number. */
static uint64_t state(void)
{
    uint64_t hash = 7;

    for (uint64_t i = 0; i < 24; i++) {
        uint64_t gpa = RAM + i * PAGE, value = 0;
        uint32_t prot = 0;

        hash = hash * 31 + (uint64_t)hvcore_vm_read(vm, gpa, &value, 8);
        hash = hash * 31 + value;
        for (uint32_t bit = HVCORE_PROT_R; bit <= HVCORE_PROT_X; bit *= 2) {
            hvcore_view *v = NULL;
            void *p = NULL;

            hash = hash * 31 + (uint64_t)hvcore_view_get(vm, gpa, 1, bit, &v, &p);
            hash = hash * 31 + (uintptr_t)p;
            hvcore_view_put(v);
        }
        if (!strcmp(backend, "toy")) {
            hash = hash * 31 + (uintptr_t)toy_lookup(toy_s_vm, gpa, &prot);
            hash = hash * 31 + prot;
        }
    }
    hash = hash * 31 + (uint64_t)released;
    return hash;
}

/* Which rule sends a breakpoint out: 1 before, 2 after a change of the policy. Only on the toy. */
static uint32_t rule_now(void)
{
    hvcore_event e = toy_trap(HVCORE_RISCV64_BREAKPOINT, HVCORE_RISCV64_VS, 0);
    const hvcore_exit *exit = NULL;

    if (strcmp(backend, "toy"))
        return 1;
    toy_push(toy.vcpu[0], &e);
    OK(hvcore_vcpu_run(vcpu, NULL, &exit, NULL));
    return exit && exit->reason == HVCORE_EXIT_TRAP ? exit->rule : 0;
}

/* --- the calls -------------------------------------------------------------------------------- */
static int call_ctx(hvcore_error *e)
{
    return hvcore_ctx_create(NULL, &ctx2, e);
}

static int call_vm(hvcore_error *e)
{
    hvcore_vm_opts o = HVCORE_VM_OPTS_INIT;

    o.arch = HVCORE_ARCH_RISCV64;
    o.backend = backend;
    o.max_vcpus = 4;
    return hvcore_vm_create(ctx, &o, &vm2, e);
}

static int call_alloc(hvcore_error *e)
{
    return hvcore_mem_alloc(ctx, 4 * PAGE, 0, &mem2, e);
}

static int call_shared(hvcore_error *e)
{
    return hvcore_mem_alloc(ctx, 4 * PAGE, HVCORE_MEM_SHARED, &mem2, e);
}

static int call_adopt(hvcore_error *e)
{
    return hvcore_mem_adopt(ctx, bytes, PAGE, release, NULL, &mem2, e);
}

static int call_file(hvcore_error *e)
{
    return hvcore_mem_from_fd(ctx, file, PAGE, PAGE, &mem2, e);
}

static int call_map(hvcore_error *e)
{
    return map_at(RAM + 12 * PAGE, 0, 4 * PAGE, e);
}

static int call_map_alias(hvcore_error *e)
{
    return map_at(UINT64_C(1) << 38, 0, PAGE, e); /* needs tables of its own */
}

static int call_unmap(hvcore_error *e)
{
    return hvcore_vm_unmap(vm, RAM, 10 * PAGE - 3 * PAGE, e);
}

static int call_unmap_middle(hvcore_error *e)
{
    return hvcore_vm_unmap(vm, RAM + 2 * PAGE, 3 * PAGE, e);
}

static int call_unmap_across(hvcore_error *e)
{
    hvcore_view_put(view);
    view = NULL;
    return hvcore_vm_unmap(vm, RAM + 7 * PAGE, 2 * PAGE, e);
}

static int call_protect(hvcore_error *e)
{
    return hvcore_vm_protect(vm, RAM + 2 * PAGE, 3 * PAGE, HVCORE_PROT_R, e);
}

static int call_protect_across(hvcore_error *e)
{
    return hvcore_vm_protect(vm, RAM + 6 * PAGE, 3 * PAGE, HVCORE_PROT_R, e);
}

static int call_vcpu(hvcore_error *e)
{
    return hvcore_vcpu_create(vm, 1, NULL, &vcpu2, e);
}

static int call_mmio(hvcore_error *e)
{
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;

    return hvcore_vm_mmio_add(vm, DEV, 64, &ops, NULL, &id, e);
}

static int call_irqchip(hvcore_error *e)
{
    hvcore_irqchip_opts o = HVCORE_IRQCHIP_OPTS_INIT;
    hvcore_vm_opts fresh = HVCORE_VM_OPTS_INIT; /* the other one has run */
    bool was = armed;
    int rc;

    fresh.arch = HVCORE_ARCH_RISCV64;
    fresh.backend = backend;
    armed = false;
    OK(hvcore_vm_create(ctx, &fresh, &vm2, NULL));
    armed = was;
    o.gpa = 0x40000000;
    o.lines = 95;
    rc = hvcore_irqchip_create(vm2, &o, e);
    armed = false;
    if (rc) {
        hvcore_vm_unref(vm2);
        vm2 = NULL;
    }
    return rc;
}

static int call_view(hvcore_error *e)
{
    hvcore_view *v = NULL;
    void *p = NULL;
    int rc = hvcore_view_get(vm, RAM + PAGE, PAGE, HVCORE_PROT_R, &v, &p);

    hvcore_view_put(v);
    if (rc) { /* this call has no record */
        e->code = rc;
        e->domain = HVCORE_DOMAIN_CORE;
        strcpy(e->message, "No record.");
    }
    return rc;
}

static int call_policy(hvcore_error *e)
{
    hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;

    opts.arch = HVCORE_ARCH_RISCV64;
    return hvcore_policy_create(&opts, &policy2, e);
}

static int call_rule(hvcore_error *e)
{
    hvcore_trap_rule rule = HVCORE_TRAP_RULE_INIT;
    uint32_t n = 0;
    int rc;

    rule.causes = 1 << HVCORE_RISCV64_ILLEGAL_INSN;
    rule.act = HVCORE_DO_REDIRECT;
    rc = hvcore_policy_rule_add(policy, &rule, &n, e);
    if (!rc)
        WANT(n, 2); /* one that failed has left no trace */
    return rc;
}

static int call_json(hvcore_error *e)
{
    return hvcore_policy_from_json(text, sizeof text - 1, &policy2, e);
}

static int call_set(hvcore_error *e)
{
    return hvcore_trap_policy_set(vm, policy, NULL, e);
}

static int call_set_report(hvcore_error *e)
{
    return hvcore_trap_policy_set(vm, policy, &report, e);
}

static int call_vcpu_set(hvcore_error *e)
{
    return hvcore_vcpu_trap_policy_set(vcpu, policy, &report, e);
}

static const struct call {
    const char *name;
    int (*call)(hvcore_error *e);
    bool may_be_free;    /* it needs nothing, perhaps */
    bool may_do_without; /* it asks backends what they are; one that cannot say is not taken */
} calls[] = {
    {"ctx_create", call_ctx, false, false},
    {"vm_create", call_vm, false, true},
    {"mem_alloc", call_alloc, false, false},
    {"mem_alloc, shared", call_shared, false, false},
    {"mem_adopt", call_adopt, false, false},
    {"mem_from_fd", call_file, false, false},
    {"vm_map", call_map, false, false},
    {"vm_map, far away", call_map_alias, false, false},
    {"vm_unmap of a part", call_unmap, true, false},
    {"vm_unmap of a middle", call_unmap_middle, false, false},
    {"vm_unmap of two parts", call_unmap_across, true, false},
    {"vm_protect of a middle", call_protect, false, false},
    {"vm_protect of two parts", call_protect_across, true, false},
    {"vcpu_create", call_vcpu, false, false},
    {"vm_mmio_add", call_mmio, false, false},
    {"irqchip_create", call_irqchip, false, false},
    {"view_get", call_view, false, false},
    {"policy_create", call_policy, false, false},
    {"policy_rule_add", call_rule, true, false},
    {"policy_from_json", call_json, false, false},
    {"trap_policy_set", call_set, false, false},
    {"trap_policy_set, report", call_set_report, false, false},
    {"vcpu_trap_policy_set", call_vcpu_set, false, false},
};

/* --- the test --------------------------------------------------------------------------------- */
static bool good_record(const hvcore_error *e, int rc)
{
    size_t n = strnlen(e->message, sizeof e->message);

    return e->code == rc && e->domain != HVCORE_DOMAIN_NONE && n > 5 && n < sizeof e->message &&
           !strchr(e->message, '\n');
}

/* One call, its n-th need refused. False: it needed less than that. */
static bool once(const struct call *c, long n, int sys_errno)
{
    hvcore_error e = HVCORE_ERROR_INIT;
    uint64_t before, after;
    long blocks = live;
    uint32_t rule;
    int rc;

    up();
    rule = rule_now();
    before = state();
    left = n;
    with = sys_errno;
    hits = 0;
    armed = true;
    rc = c->call(&e);
    armed = false;
    if (hits) {
        bool expected = rc == -HVCORE_E_NOMEM || (rc == -HVCORE_E_SYS && sys_errno != ENOMEM) ||
                        (!rc && c->may_do_without);

        if (!expected || (rc && !good_record(&e, rc)) ||
            (rc == -HVCORE_E_SYS && e.sys_errno != sys_errno && e.domain != HVCORE_DOMAIN_BARE))
            printf("\n    %s, need %ld, errno %d: %d, record %d, domain %u, \"%s\"", c->name, n,
                   sys_errno, rc, e.code, e.domain, e.message);
        CU_ASSERT(expected);
        if (rc) {
            CU_ASSERT(good_record(&e, rc));
            /* bare does not tell the errno of its table pages */
            CU_ASSERT(rc != -HVCORE_E_SYS || e.sys_errno == sys_errno ||
                      e.domain == HVCORE_DOMAIN_BARE);
            CU_ASSERT(!ctx2 && !vm2 && !mem2 && !vcpu2 && !policy2);
            CU_ASSERT_EQUAL(released, 0);
            after = state();
            if (after != before)
                printf("\n    %s, need %ld: the map has changed", c->name, n);
            CU_ASSERT_EQUAL(after, before);
            CU_ASSERT_EQUAL(rule_now(), rule);
            hvcore_report_free(report);
            report = NULL;
            rc = c->call(NULL);
            if (rc)
                printf("\n    %s, need %ld: fails afterwards: %d", c->name, n, rc);
        }
    } else if (rc) {
        printf("\n    %s fails: %d, %s", c->name, rc, e.message);
    }
    CU_ASSERT_EQUAL(rc, 0);
    down();
    if (live != blocks)
        printf("\n    %s, need %ld: %ld things are lost", c->name, n, live - blocks);
    CU_ASSERT_EQUAL(live, blocks);
    live = blocks;
    return hits;
}

static void every_call(const char *on)
{
    backend = on;
    up(); /* what the C library allocates once */
    down();
    for (size_t i = 0; i < COUNT(calls); i++) {
        static const int errnos[] = {ENOMEM, EMFILE};
        long n = 0;

        for (size_t k = 0; k < COUNT(errnos); k++)
            for (n = 0; n < 10000 && once(&calls[i], n, errnos[k]); n++)
                ;
        if (!n && !calls[i].may_be_free)
            printf("\n    %s needs nothing?", calls[i].name);
        CU_ASSERT(n || calls[i].may_be_free);
        CU_ASSERT(n < 10000);
    }
}

static void on_toy(void)
{
    every_call("toy");
}

static bool have_bare(void)
{
    hvcore_vm_opts o = HVCORE_VM_OPTS_INIT;
    bool have;

    OK(hvcore_ctx_create(NULL, &ctx, NULL));
    o.arch = HVCORE_ARCH_RISCV64;
    o.backend = "bare";
    have = !hvcore_vm_create(ctx, &o, &vm, NULL);
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx);
    vm = NULL, ctx = NULL;
    return have;
}

static void on_bare(void)
{
    if (have_bare())
        every_call("bare");
    else
        printf("skipped: no backend \"bare\" ");
}

/* What must not need memory: running, registers, copies, cancel, pause. */
static uint32_t device_read(void *user, hvcore_vcpu *v, uint64_t gpa, uint32_t width,
                            uint64_t *value)
{
    (void)user, (void)v, (void)gpa, (void)width;
    *value = 5;
    return HVCORE_MMIO_DONE;
}

static void no_memory_needed(void)
{
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    hvcore_event events[3];
    const hvcore_exit *exit = NULL;
    uint64_t value = 0;

    backend = "toy";
    up();
    ops.read = device_read;
    OK(hvcore_vm_mmio_add(vm, DEV, 64, &ops, NULL, NULL, NULL));
    events[0] = toy_trap(HVCORE_RISCV64_ILLEGAL_INSN, HVCORE_RISCV64_VU, 0);
    events[1] = toy_access(toy_load_insn(3, 5), DEV);
    events[2] = toy_access(toy_load_insn(3, 5), DEV + 0x1000);
    for (size_t i = 0; i < COUNT(events); i++)
        toy_push(toy.vcpu[0], &events[i]);
    hits = 0;
    left = 0;
    armed = true;
    OK(hvcore_vcpu_run(vcpu, NULL, &exit, NULL));
    WANT(exit->reason, HVCORE_EXIT_MMIO);
    OK(hvcore_vcpu_complete(vcpu, &value, 1));
    OK(hvcore_reg_get_u64(vcpu, HVCORE_REG_RISCV64_VSATP, &value));
    OK(hvcore_vm_read(vm, RAM, &value, 8));
    OK(hvcore_vm_write(vm, RAM, &value, 8));
    OK(hvcore_vcpu_cancel(vcpu, 1));
    OK(hvcore_vcpu_run(vcpu, NULL, &exit, NULL));
    OK(hvcore_vm_pause(vm));
    OK(hvcore_vm_resume(vm));
    armed = false;
    WANT(hits, 0);
    down();
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"every call on the toy", on_toy},
        {"every call on the software machine", on_bare},
        {"what needs no memory", no_memory_needed},
        {NULL, NULL},
    };
    FILE *temporary = tmpfile();
    int rc;

    if (!temporary || __real_ftruncate(fileno(temporary), 4 * (off_t)PAGE))
        return 1;
    file = fileno(temporary);
    rc = hvc_unit_main("fail", tests);
    fclose(temporary);
    return rc;
}
