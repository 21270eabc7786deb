/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts that are against us: no /dev/kvm, kernels that lack something or answer what no table
 * knows, calls that signals interrupt, numbers at their bounds, forks, limits. Each is a named
 * error or a named exit, never a hang, and the VM goes on.
 *
 * The program is linked with --wrap: open, ioctl and mmap of the static library come through here.
 * A kernel that does not exist is made of the real one: KVM_RUN fills struct kvm_run as it would.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>

#include "tests/kvm/check.h"

#ifndef __x86_64__
int main(void)
{
    puts("skip hostile: its guest is x86_64's\n0 passed, 0 failed, 1 skipped");
    return 77;
}
#else

#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "tests/kvm/worker.h"

enum { MEMORY_FAULT = 39, EVERY = 1 << 30, TRIES = 64, UNION = 32 };

/* --- the kernel that is played ---------------------------------------------------------------- */

static struct {
    int open_error;                  /* of /dev/kvm; 0: it opens */
    int version, mmap_size;          /* 0: the real ones */
    int lacks;                       /* a capability; 0: none */
    int slots;                       /* memory slots; 0: as many as there are */
    unsigned interrupts;             /* EINTRs before a call goes through */
    unsigned tries;                  /* calls since the last one that went through */
    unsigned runs;                   /* KVM_RUNs that are played */
    void (*fill)(struct kvm_run *r); /* what they leave */
    int run_error;                   /* their errno; 0: they return 0 */
    struct kvm_run *run;             /* of the last vCPU */
} kernel;

#define WRAP(type, name, ...)        \
    type __real_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__)

WRAP(int, open, const char *name, int flags, ...)
{
    if (kernel.open_error) {
        errno = kernel.open_error;
        return -1;
    }
    return __real_open(name, flags);
}

WRAP(void *, mmap, void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    void *p = __real_mmap(at, len, prot, flags, fd, offset);

    if (fd >= 0 && p != MAP_FAILED)
        kernel.run = p;
    return p;
}

static int play(void)
{
    kernel.runs--;
    if (kernel.fill)
        kernel.fill(kernel.run);
    errno = kernel.run_error;
    return kernel.run_error ? -1 : 0;
}

/* A capability that the played kernel answers itself; -1: the real one is asked. */
static int capability(int cap)
{
    if (kernel.lacks && cap == kernel.lacks)
        return 0;
    return cap == KVM_CAP_NR_MEMSLOTS && kernel.slots ? kernel.slots : -1;
}

WRAP(int, ioctl, int fd, unsigned long request, ...)
{
    va_list ap;
    void *arg;
    int value;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (request == KVM_RUN && kernel.runs)
        return play();
    if (request != KVM_RUN && kernel.interrupts) {
        if (kernel.tries++ < kernel.interrupts) {
            errno = EINTR;
            return -1;
        }
        kernel.tries = 0;
    }
    if (request == KVM_GET_API_VERSION && kernel.version)
        return kernel.version;
    if (request == KVM_GET_VCPU_MMAP_SIZE && kernel.mmap_size)
        return kernel.mmap_size;
    value = request == KVM_CHECK_EXTENSION ? capability((int)(intptr_t)arg) : -1;
    return value >= 0 ? value : __real_ioctl(fd, request, arg);
}

/* --- small things ----------------------------------------------------------------------------- */

static hvcore_error e;

static bool says(const char *what)
{
    return check_that(strstr(e.message, what) && e.message[0], __FILE__, __LINE__,
                      "\"%s\" does not say %s", e.message, what);
}

/* It says what to do, not only that something is wrong. */
static void advises(void)
{
    CHECK(!strstr(e.message, "kernel's log"));
}

static int make_vm(hvcore_vm **vm, uint32_t vcpus)
{
    hvcore_vm_opts o = HVCORE_VM_OPTS_INIT;

    o.arch = HVCORE_ARCH_X86_64;
    o.backend = "kvm";
    o.max_vcpus = vcpus;
    e = (hvcore_error)HVCORE_ERROR_INIT;
    return hvcore_vm_create(g.ctx, &o, vm, &e);
}

static int run_for(hvcore_vcpu *v, uint64_t ms)
{
    hvcore_run_opts o = HVCORE_RUN_OPTS_INIT;

    o.deadline_ns = hvcore_clock_ns() + ms * 1000000;
    e = (hvcore_error)HVCORE_ERROR_INIT;
    return hvcore_vcpu_run(v, &o, &g.x, &e);
}

/* A guest that adds one to the word at 0x3200 for ever. */
static void spin(void)
{
    static const uint8_t code[] = {0x31, 0xc0, 0x8e, 0xd8, /* xor ax, ax; mov ds, ax */
                                   0xff, 0x06, 0x00, 0x32, /* again: inc word [0x3200] */
                                   0xeb, 0xfa};            /* jmp again */

    SAME(hvcore_vm_write(g.vm, CODE, code, sizeof code), 0);
}

static uint16_t count(void)
{
    uint16_t n = 0;

    SAME(hvcore_vm_read(g.vm, 0x3200, &n, sizeof n), 0);
    return n;
}

/* --- no KVM ----------------------------------------------------------------------------------- */

static void no_kvm(void)
{
    static const int errors[] = {ENOENT, EACCES, EPERM, EBUSY, ENODEV, EMFILE};
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    hvcore_vm_opts any = HVCORE_VM_OPTS_INIT;
    hvcore_vm *vm = NULL;

    memset(&g, 0, sizeof g);
    OK(hvcore_ctx_create(NULL, &g.ctx, &e));
    any.arch = HVCORE_ARCH_X86_64;
    for (size_t i = 0; i < COUNT(errors); i++) {
        kernel.open_error = errors[i];
        FAILS(make_vm(&vm, 1), errors[i] == EMFILE ? HVCORE_E_LIMIT : HVCORE_E_SYS);
        SAME(e.sys_errno, errors[i]);
        says(strerrorname_np(errors[i]));
        says("/dev/kvm");
        advises();
        /* nothing else runs x86_64: the same is said without a name */
        FAILS(hvcore_vm_create(g.ctx, &any, &vm, &e),
              errors[i] == EMFILE ? HVCORE_E_LIMIT : HVCORE_E_SYS);
        says(strerrorname_np(errors[i]));
        for (uint32_t n = 0; hvcore_ctx_backend_info(g.ctx, n, &info) == 0; n++)
            CHECK(info.arch != HVCORE_ARCH_X86_64 || info.max_vcpus == 0);
    }
    kernel.open_error = 0;
    hvcore_ctx_unref(g.ctx);
}

/* In a child: its checks that failed. */
static unsigned in_child(void (*what)(void))
{
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        alarm(20);
        check_now.bad = 0;
        what();
        fflush(stdout);
        _exit(check_now.bad ? 1 : check_now.skip ? 2 : 0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    check_that(WIFEXITED(status) && WEXITSTATUS(status) != 1, __FILE__, __LINE__,
               "the child ended with status 0x%x", status);
    return WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) : 1;
}

/* A namespace of its own, in which /dev/kvm is another file, or nobody's. */
static bool hidden(const char *below)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           (below ? mount(below, "/dev/kvm", NULL, MS_BIND, NULL)
                  : mount("tmpfs", "/dev", "tmpfs", 0, NULL)) == 0;
}

static void without_dev(void)
{
    hvcore_vm *vm = NULL;

    if (!hidden(NULL))
        SKIP("no mount namespace");
    OK(hvcore_ctx_create(NULL, &g.ctx, &e));
    FAILS(make_vm(&vm, 1), HVCORE_E_SYS);
    SAME(e.sys_errno, ENOENT);
    hvcore_ctx_unref(g.ctx);
}

static void with_null(void)
{
    hvcore_vm *vm = NULL;

    if (!hidden("/dev/null"))
        SKIP("no mount namespace");
    OK(hvcore_ctx_create(NULL, &g.ctx, &e));
    FAILS(make_vm(&vm, 1), HVCORE_E_UNSUPPORTED);
    says("KVM_GET_API_VERSION");
    hvcore_ctx_unref(g.ctx);
}

static void with_no_right(void)
{
    hvcore_vm *vm = NULL;

    if (setgid(65534) || setuid(65534) || access("/dev/kvm", R_OK) == 0)
        SKIP("everybody may");
    OK(hvcore_ctx_create(NULL, &g.ctx, &e));
    FAILS(make_vm(&vm, 1), HVCORE_E_SYS);
    SAME(e.sys_errno, EACCES);
    says("group");
    hvcore_ctx_unref(g.ctx);
}

static void really_no_kvm(void)
{
    unsigned skipped;

    memset(&g, 0, sizeof g);
    skipped = in_child(without_dev) + in_child(with_null) + in_child(with_no_right);
    if (skipped)
        SKIP("a part of it: no mount namespace, or /dev/kvm is everybody's");
}

static void other_version(void)
{
    static const int versions[] = {11, 13, 1};
    hvcore_vm *vm = NULL;
    char text[16];

    memset(&g, 0, sizeof g);
    OK(hvcore_ctx_create(NULL, &g.ctx, &e));
    for (size_t i = 0; i < COUNT(versions); i++) {
        kernel.version = versions[i];
        snprintf(text, sizeof text, "version %d", versions[i]);
        FAILS(make_vm(&vm, 1), HVCORE_E_UNSUPPORTED);
        says(text);
        says("12");
    }
    kernel.version = 0;
    kernel.mmap_size = 256;
    FAILS(make_vm(&vm, 1), HVCORE_E_UNSUPPORTED);
    says("256");
    kernel.mmap_size = 0;
    hvcore_ctx_unref(g.ctx);
}

/* --- kernels that lack something -------------------------------------------------------------- */

static void lacking(int cap, int rc, const char *name)
{
    char number[8];

    snprintf(number, sizeof number, "(%d)", cap);
    check_fails(rc, -HVCORE_E_UNSUPPORTED, __FILE__, __LINE__, name);
    says(name);
    CHECK(strstr(e.message, number) || cap == KVM_CAP_READONLY_MEM);
    advises();
}

static void no_capability(void)
{
#define CAP(name)                        \
    {                                    \
        KVM_CAP_##name, "KVM_CAP_" #name \
    }
    static const struct {
        int cap;
        const char *name;
    } needed[] = {CAP(USER_MEMORY), CAP(DESTROY_MEMORY_REGION_WORKS), CAP(IMMEDIATE_EXIT),
                  CAP(MP_STATE), CAP(NR_MEMSLOTS)};
    static const int optional[] = {
        KVM_CAP_SYNC_REGS,   KVM_CAP_X86_USER_SPACE_MSR, KVM_CAP_MAX_VCPUS,
        KVM_CAP_MAX_VCPU_ID, KVM_CAP_NR_VCPUS,           KVM_CAP_READONLY_MEM,
        KVM_CAP_MSI_DEVID,   KVM_CAP_ASYNC_PF,           KVM_CAP_SET_GUEST_DEBUG};
    hvcore_vm *vm = NULL;

    memset(&g, 0, sizeof g);
    OK(hvcore_ctx_create(NULL, &g.ctx, &e));
    for (size_t i = 0; i < COUNT(needed); i++) {
        kernel.lacks = needed[i].cap;
        lacking(needed[i].cap, make_vm(&vm, 1), needed[i].name);
    }
    hvcore_ctx_unref(g.ctx);
    for (size_t i = 0; i < COUNT(optional); i++) {
        kernel.lacks = optional[i];
        up(0);
        finish();
        down();
    }
    kernel.lacks = 0;
}

static int store_event(uint32_t width)
{
    hvcore_ioevent io = HVCORE_IOEVENT_INIT;

    io.addr = 0xd1000;
    io.width = width;
    io.fd = 0;
    return hvcore_vm_ioevent(g.vm, &io, &e);
}

static void no_function(void)
{
    hvcore_kernel_stat stat = HVCORE_KERNEL_STAT_INIT;
    hvcore_duty_info info = HVCORE_DUTY_INFO_INIT;

    kernel.lacks = KVM_CAP_READONLY_MEM;
    up(CHIP);
    e = (hvcore_error)HVCORE_ERROR_INIT;
    lacking(KVM_CAP_READONLY_MEM,
            hvcore_vm_protect(g.vm, 0x7000, PAGE, HVCORE_PROT_R | HVCORE_PROT_X, &e),
            "KVM_CAP_READONLY_MEM");
    kernel.lacks = KVM_CAP_IRQFD;
    lacking(KVM_CAP_IRQFD, hvcore_vm_irqfd(g.vm, 3, 0, -1, 1, &e), "KVM_CAP_IRQFD");
    kernel.lacks = KVM_CAP_IRQFD_RESAMPLE;
    lacking(KVM_CAP_IRQFD_RESAMPLE, hvcore_vm_irqfd(g.vm, 3, 0, 0, 1, &e),
            "KVM_CAP_IRQFD_RESAMPLE");
    kernel.lacks = KVM_CAP_IOEVENTFD;
    lacking(KVM_CAP_IOEVENTFD, store_event(4), "KVM_CAP_IOEVENTFD");
    kernel.lacks = KVM_CAP_IOEVENTFD_ANY_LENGTH;
    lacking(KVM_CAP_IOEVENTFD_ANY_LENGTH, store_event(0), "KVM_CAP_IOEVENTFD_ANY_LENGTH");
    kernel.lacks = KVM_CAP_BINARY_STATS_FD;
    lacking(KVM_CAP_BINARY_STATS_FD, hvcore_vm_kernel_stat(g.vm, 0, 0, &stat, &e),
            "KVM_CAP_BINARY_STATS_FD");
    kernel.lacks = KVM_CAP_ASYNC_PF;
    OK(hvcore_vm_duty_info(g.vm, HVCORE_DUTY_APF, &info, &e));
    SAME(info.source, HVCORE_DUTY_BY_NOBODY);
    kernel.lacks = 0;
    finish();
    down();
}

/* --- numbers ---------------------------------------------------------------------------------- */

static void overlaps(void)
{
    hvcore_map_opts o = HVCORE_MAP_OPTS_INIT;

    up(0);
    o.gpa = RAM_END - PAGE;
    o.len = 2 * PAGE;
    FAILS(hvcore_vm_map(g.vm, g.mem, &o, &e), HVCORE_E_EXISTS);
    SAME(e.address, 0);
    o.gpa = LOGGED - PAGE;
    FAILS(hvcore_vm_map(g.vm, g.mem, &o, &e), HVCORE_E_EXISTS);
    SAME(e.address, LOGGED);
    o.gpa = UINT64_C(1) << 60;
    FAILS(hvcore_vm_map(g.vm, g.mem, &o, &e), HVCORE_E_SYS);
    says("KVM_SET_USER_MEMORY_REGION");
    says("address space");
    SAME(e.address, o.gpa);
    /* below what KVM may keep for itself: it is taken or refused, and named */
    o.gpa = 0xfffbd000;
    if (hvcore_vm_map(g.vm, g.mem, &o, &e))
        says("KVM_SET_USER_MEMORY_REGION");
    finish();
    down();
}

/* The same memory in two VMs at once. */
static void two_vms(void)
{
    hvcore_map_opts o = HVCORE_MAP_OPTS_INIT;
    hvcore_vm *vm = NULL;
    uint16_t bx[2] = {0};

    up(0);
    OK(make_vm(&vm, 1));
    o.gpa = 0x400000;
    OK(hvcore_vm_map(vm, g.mem, &o, &e));
    finish();
    SAME(hvcore_vm_read(g.vm, 0x3100, &bx[0], 2), 0);
    SAME(hvcore_vm_read(vm, 0x403100, &bx[1], 2), 0);
    SAME(bx[0], bx[1]);
    OK(hvcore_vm_unmap(vm, 0x400000, PAGES * PAGE, &e));
    hvcore_vm_unref(vm);
    down();
}

static void vcpu_numbers(void)
{
    hvcore_vcpu *v = NULL;
    hvcore_vm *vm = NULL;

    up(0);
    FAILS(hvcore_vcpu_create(g.vm, 4, NULL, &v, &e), HVCORE_E_RANGE);
    FAILS(hvcore_vcpu_create(g.vm, UINT32_MAX, NULL, &v, &e), HVCORE_E_RANGE);
    FAILS(hvcore_vcpu_create(g.vm, 0, NULL, &v, &e), HVCORE_E_EXISTS);
    FAILS(make_vm(&vm, UINT32_MAX), HVCORE_E_RANGE);
    finish();
    down();
}

static void many_vcpus(void)
{
    enum { MANY = 200 };
    hvcore_vcpu *v[MANY] = {NULL};
    hvcore_map_opts o = HVCORE_MAP_OPTS_INIT;
    hvcore_vm *vm = NULL;

    up(NO_VCPU);
    if (make_vm(&vm, MANY)) {
        down();
        SKIP("this kernel's KVM makes fewer vCPUs");
    }
    OK(hvcore_vm_map(vm, g.mem, &o, &e));
    o.gpa = RESET;
    OK(hvcore_vm_map(vm, g.boot, &o, &e));
    for (uint32_t i = 0; i < MANY; i++)
        OK(hvcore_vcpu_create(vm, i, NULL, &v[i], &e));
    for (uint32_t i = 0; i < MANY && v[i]; i++) {
        if (!OK(run_for(v[i], 5000)))
            break;
        SAME(g.x->reason, HVCORE_EXIT_PIO);
        SAME(g.x->vcpu, i);
    }
    for (uint32_t i = 0; i < MANY; i++)
        hvcore_vcpu_unref(v[i]);
    hvcore_vm_unref(vm);
    down();
}

static int map_page(uint64_t n)
{
    hvcore_map_opts o = HVCORE_MAP_OPTS_INIT;

    o.gpa = 0x1000000 + 2 * n * PAGE;
    o.len = PAGE;
    return hvcore_vm_map(g.vm, g.mem, &o, &e);
}

static void slots(void)
{
    enum { ALL = 2000, HAS = 4 };
    unsigned n = 0;

    kernel.slots = ALL;
    up(0);
    while (map_page(n) == 0 && n < ALL)
        n++;
    SAME(n, ALL - HAS);
    SAME(e.code, -HVCORE_E_LIMIT);
    says("2000");
    /* nothing can be cut now, and all of it can go */
    FAILS(hvcore_vm_unmap(g.vm, 0x7000, PAGE, &e), HVCORE_E_LIMIT);
    probe();
    OK(hvcore_vm_unmap(g.vm, 0x1000000, PAGE, &e));
    OK(hvcore_vm_unmap(g.vm, 0x7000, PAGE, &e));
    FAILS(map_page(0), HVCORE_E_LIMIT);
    OK(hvcore_vm_unmap(g.vm, 0xf000, PAGE, &e)); /* the end of one: as many as before */
    OK(hvcore_vm_unmap(g.vm, 0x1000000, 2 * ALL * PAGE, &e));
    probe();
    finish();
    down();
    kernel.slots = 0;
}

/* Descriptors run out, one later each time. */
static void no_descriptors(void)
{
    struct rlimit was, now;
    hvcore_kernel_stat stat = HVCORE_KERNEL_STAT_INIT;
    int lowest = __real_open("/dev/null", 0), n = 0;

    close(lowest);
    getrlimit(RLIMIT_NOFILE, &was);
    memset(&g, 0, sizeof g);
    OK(hvcore_ctx_create(NULL, &g.ctx, &e));
    for (; n < 9 && !g.vcpu; n++) {
        now = was;
        now.rlim_cur = (rlim_t)(lowest + n);
        setrlimit(RLIMIT_NOFILE, &now);
        int rc = g.vm ? 0 : make_vm(&g.vm, 1);
        rc = rc ? rc : hvcore_vcpu_create(g.vm, 0, NULL, &g.vcpu, &e);
        if (rc) {
            SAME(rc, -HVCORE_E_LIMIT);
            says("EMFILE");
            says("RLIMIT_NOFILE");
        }
    }
    SAME(n, 4); /* /dev/kvm, the VM, the vCPU */
    FAILS(hvcore_vm_kernel_stat(g.vm, 0, 0, &stat, &e), HVCORE_E_LIMIT);
    setrlimit(RLIMIT_NOFILE, &was);
    OK(hvcore_vm_kernel_stat(g.vm, 0, 0, &stat, &e));
    hvcore_vcpu_unref(g.vcpu);
    hvcore_vm_unref(g.vm);
    hvcore_ctx_unref(g.ctx);
    SAME(__real_open("/dev/null", 0), lowest);
    close(lowest);
}

/* Memory with a log has an alias that begins and ends elsewhere; the library writes through it. */
static void aliases(void)
{
    enum { LEN = 64 * PAGE };
    hvcore_map_opts o = HVCORE_MAP_OPTS_INIT;
    hvcore_mem *mem = NULL;
    static char bytes[6 * PAGE];
    uint8_t log[8];

    up(0);
    OK(hvcore_mem_alloc(g.ctx, 3 * LEN, 0, &mem, &e));
    o.gpa = 0x1000000;
    OK(hvcore_vm_map(g.vm, mem, &o, &e));
    o.gpa = 0x2000000;
    o.offset = o.len = LEN;
    o.dirty = 1;
    OK(hvcore_vm_map(g.vm, mem, &o, &e));
    SAME(hvcore_vm_write(g.vm, 0x1000000 + LEN - 3 * PAGE, bytes, sizeof bytes), 0);
    OK(hvcore_vm_dirty_get(g.vm, 0x2000000, LEN, log, 0, &e));
    SAME(log[0], 7);
    SAME(log[7], 0);
    SAME(hvcore_vm_write(g.vm, 0x1000000 + 2 * LEN - 2 * PAGE, bytes, sizeof bytes), 0);
    OK(hvcore_vm_dirty_get(g.vm, 0x2000000, LEN, log, 0, &e));
    SAME(log[0], 0);
    SAME(log[7], 0xc0);
    hvcore_mem_unref(mem);
    finish();
    down();
}

/* --- fork ------------------------------------------------------------------------------------- */

static void *cancel_soon(void *vcpu)
{
    usleep(30000);
    hvcore_vcpu_cancel(vcpu, 7);
    return NULL;
}

/* A VM of the child's own, which is kicked and has deadlines. */
static void own_vm(void)
{
    pthread_t thread;

    up(0);
    spin();
    SAME(run_for(g.vcpu, 20), 0);
    SAME(g.x->reason, HVCORE_EXIT_DEADLINE);
    CHECK(pthread_create(&thread, NULL, cancel_soon, g.vcpu) == 0);
    SAME(run_for(g.vcpu, 10000), 0);
    SAME(g.x->reason, HVCORE_EXIT_CANCELLED);
    pthread_join(thread, NULL);
    down();
}

static void after_fork(void)
{
    hvcore_kernel_stat stat = HVCORE_KERNEL_STAT_INIT;
    hvcore_duty_info info = HVCORE_DUTY_INFO_INIT;
    hvcore_vcpu *v = NULL;
    uint64_t value;

    FAILS(run_for(g.vcpu, 1000), HVCORE_E_SYS);
    SAME(e.sys_errno, EIO);
    says("KVM_RUN");
    says("fork()");
    FAILS(map_page(0), HVCORE_E_SYS);
    says("fork()");
    FAILS(hvcore_vm_unmap(g.vm, 0x7000, PAGE, &e), HVCORE_E_SYS);
    FAILS(hvcore_vcpu_create(g.vm, 1, NULL, &v, &e), HVCORE_E_SYS);
    FAILS(hvcore_vm_kernel_stat(g.vm, 0, 0, &stat, &e), HVCORE_E_SYS);
    says("fork()");
    FAILS(hvcore_vm_duty_info(g.vm, HVCORE_DUTY_STEP, &info, &e), HVCORE_E_SYS);
    FAILS(store_event(4), HVCORE_E_SYS);
    FAILS(hvcore_reg_get_u64(g.vcpu, HVCORE_REG_X86_64_TSC, &value), HVCORE_E_SYS);
    SAME(hvcore_vcpu_cancel(g.vcpu, 1), 0);
    down();
    own_vm();
}

static void forked(void)
{
    up(0);
    SAME(run_for(g.vcpu, 5000), 0); /* this thread is known to the library, and has a timer */
    serve();
    in_child(after_fork);
    finish();
    down();
}

/* --- KVM_RUN says ----------------------------------------------------------------------------- */

static struct {
    uint32_t reason;
    uint8_t fill;
} odd;

static void *union_of(struct kvm_run *r)
{
    return (char *)r + UNION;
}

static void fill_odd(struct kvm_run *r)
{
    r->exit_reason = odd.reason;
    memset(union_of(r), odd.fill, 256);
}

/* What an exit that was never made is answered with; then nothing is owed. */
static void get_over(void)
{
    while (g.x->flags & HVCORE_EXIT_NEEDS_COMPLETION) {
        SAME(hvcore_vcpu_deny(g.vcpu, &e), 0);
        return;
    }
}

static bool known(uint32_t reason)
{
    static const uint8_t all[] = {
        KVM_EXIT_IO,       KVM_EXIT_HYPERCALL,       KVM_EXIT_DEBUG,        KVM_EXIT_HLT,
        KVM_EXIT_MMIO,     KVM_EXIT_IRQ_WINDOW_OPEN, KVM_EXIT_SHUTDOWN,     KVM_EXIT_FAIL_ENTRY,
        KVM_EXIT_INTR,     KVM_EXIT_INTERNAL_ERROR,  KVM_EXIT_SYSTEM_EVENT, KVM_EXIT_X86_RDMSR,
        KVM_EXIT_X86_WRMSR};

    for (size_t i = 0; i < COUNT(all); i++)
        if (all[i] == reason)
            return true;
    return false;
}

static void unknown_exits(void)
{
    static const uint8_t fills[] = {0, 0xff};

    up(0);
    kernel.fill = fill_odd;
    for (uint32_t i = 0; i < 2 * 66; i++) {
        odd.reason = i / 2 < 65 ? i / 2 : UINT32_MAX;
        odd.fill = fills[i % 2];
        kernel.runs = 1;
        if (!OK(run_for(g.vcpu, 5000)))
            break;
        if (odd.reason == KVM_EXIT_INTR || odd.reason == KVM_EXIT_IRQ_WINDOW_OPEN) {
            serve(); /* the guest has gone on */
            kernel.fill = NULL;
            finish();
            down();
            up(0);
            kernel.fill = fill_odd;
            continue;
        }
        if (!known(odd.reason) || odd.reason == KVM_EXIT_IO || odd.reason == KVM_EXIT_MMIO) {
            SAME(g.x->reason, HVCORE_EXIT_CRASH);
            SAME(g.x->u.crash.why, HVCORE_CRASH_UNKNOWN);
            SAME(g.x->u.crash.code[0], odd.reason);
            SAME(g.x->u.crash.code[1], odd.fill ? UINT64_MAX : 0);
        }
        get_over();
    }
    kernel.fill = NULL;
    finish();
    down();
}

static void fill_error(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_INTERNAL_ERROR;
    r->internal.suberror = 4;
    r->internal.ndata = odd.reason;
    for (unsigned i = 0; i < 16; i++)
        r->internal.data[i] = 100 + i;
}

static void internal_errors(void)
{
    static const uint32_t sizes[] = {0, 1, 13, 14, 16, 17, 0x80000000, UINT32_MAX};

    up(0);
    kernel.fill = fill_error;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        uint32_t n = sizes[i] < 13 ? sizes[i] : 13;
        odd.reason = sizes[i];
        kernel.runs = 1;
        OK(run_for(g.vcpu, 5000));
        SAME(g.x->reason, HVCORE_EXIT_CRASH);
        SAME(g.x->u.crash.why, HVCORE_CRASH_EMULATION);
        SAME(g.x->u.crash.count, 1 + n);
        SAME(g.x->u.crash.code[0], 4);
        SAME(g.x->u.crash.code[n], n ? 99 + n : 4);
    }
    kernel.fill = NULL;
    finish();
    down();
}

static struct {
    uint8_t size, direction;
    uint32_t count;
    uint64_t offset;
} io;

static void fill_io(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_IO;
    memset(union_of(r), 0, 256);
    r->io.direction = io.direction;
    r->io.size = io.size;
    r->io.port = 0x60;
    r->io.count = io.count;
    r->io.data_offset = io.offset;
    if (io.offset == PAGE)
        for (uint32_t i = 0; i < PAGE; i++)
            ((uint8_t *)r)[PAGE + i] = (uint8_t)(i / (io.size ? io.size : 1));
}

/* All items of one exit; how many there were. */
static uint32_t items(void)
{
    uint32_t n = 0;

    kernel.runs = 1;
    for (; n < io.count; n++) {
        if (!OK(run_for(g.vcpu, 5000)) || g.x->reason != HVCORE_EXIT_PIO || g.x->u.pio.port != 0x60)
            return n;
        if (io.direction == KVM_EXIT_IO_IN)
            SAME(hvcore_vcpu_complete(g.vcpu, &(uint64_t){n}, 1), 0);
        else
            SAME(g.x->u.pio.data & 0xff, n & 0xff);
    }
    return n;
}

static void string_bounds(void)
{
    static const struct {
        uint8_t size;
        uint32_t count;
        uint64_t offset;
    } bad[] = {
        {1, 0, PAGE},
        {0, 1, PAGE},
        {3, 1, PAGE},
        {8, 1, PAGE},
        {1, 2 * PAGE + 1, PAGE},
        {4, UINT32_MAX, PAGE},
        {255, UINT32_MAX, 0},
        {1, 1, 3 * PAGE},
        {1, 1, UINT64_MAX},
        {4, 0x40000001, PAGE},
    };

    up(0);
    kernel.fill = fill_io;
    for (io.size = 1; io.size <= 4; io.size *= 2) {
        for (io.direction = 0; io.direction < 2; io.direction++) {
            io.count = PAGE / io.size;
            io.offset = PAGE;
            SAME(items(), io.count);
        }
        SAME(kernel.run->io.count, io.count);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        io.size = bad[i].size;
        io.count = bad[i].count;
        io.offset = bad[i].offset ? bad[i].offset : 1;
        kernel.runs = 1;
        OK(run_for(g.vcpu, 5000));
        check_that(g.x->reason == HVCORE_EXIT_CRASH && g.x->u.crash.why == HVCORE_CRASH_UNKNOWN,
                   __FILE__, __LINE__, "%zu: exit %s", i, hvcore_exit_reason_name(g.x->reason));
        get_over();
    }
    kernel.fill = NULL;
    finish();
    down();
}

/* RAM ends within an access: what is behind comes in pieces of 1, 2, 4, 8 bytes, aligned or not. */
static void torn(void)
{
    static const uint8_t code[] = {
        0x66, 0xb8, 0x44, 0x33, 0x22, 0x11, /* mov eax, 0x11223344 */
        0xbb, 0x00, 0x08, 0x8e, 0xc3,       /* mov bx, 0x800; mov es, bx: 0x8000 */
        0x66, 0x26, 0xa3, 0xff, 0x7f,       /* mov [es:0x7fff], eax: one byte is RAM */
        0x66, 0x26, 0xa1, 0xff, 0x7f,       /* mov eax, [es:0x7fff] */
        0x66, 0xe7, 0x70, 0xf4              /* out 0x70, eax; hlt */
    };
    uint32_t stored = 0, bytes = 0;

    up(0);
    SAME(hvcore_vm_write(g.vm, CODE, code, sizeof code), 0);
    while (OK(run_for(g.vcpu, 5000)) && g.x->reason == HVCORE_EXIT_MMIO) {
        const hvcore_exit_mmio *m = &g.x->u.mmio;
        check_that(m->width && m->width <= 8 && !(m->width & (m->width - 1)), __FILE__, __LINE__,
                   "width %u", m->width);
        CHECK(m->addr >= RAM_END && m->addr + m->width <= RAM_END + 3);
        if (m->write) {
            stored |= (uint32_t)m->data << 8 * (m->addr - RAM_END);
            bytes += m->width;
        } else {
            SAME(hvcore_vcpu_complete(g.vcpu, &(uint64_t){0xccbbaa >> 8 * (m->addr - RAM_END)}, 1),
                 0);
        }
    }
    SAME(bytes, 3);
    SAME(stored, 0x112233);
    SAME(g.x->reason, HVCORE_EXIT_PIO);
    SAME(g.x->u.pio.data, 0xccbbaa44);
    down();
}

static void fill_fault(struct kvm_run *r)
{
    uint64_t *f = union_of(r);

    r->exit_reason = MEMORY_FAULT;
    f[0] = 8;          /* flags: private */
    f[1] = 0x12345000; /* gpa */
    f[2] = 0x2000;     /* size */
}

static void no_memory(int error, bool known_address)
{
    kernel.fill = known_address ? fill_fault : NULL;
    kernel.run_error = error;
    kernel.runs = 1;
    OK(run_for(g.vcpu, 5000));
    SAME(g.x->reason, HVCORE_EXIT_MEMORY);
    SAME(g.x->u.memory.sys_errno, error);
    SAME(!!(g.x->have & HVCORE_HAVE_GPA), known_address);
    SAME(g.x->gpa, known_address ? 0x12345000 : 0);
    SAME(g.x->u.memory.size, known_address ? 0x2000 : 0);
    SAME(g.x->u.memory.flags, known_address ? 8 : 0);
    SAME(g.x->flags, 0);
}

static void faults(void)
{
    up(0);
    no_memory(EFAULT, false);
    no_memory(EFAULT, true);
    no_memory(EFAULT, false); /* what the last one left means nothing */
    no_memory(EHWPOISON, true);
    no_memory(EHWPOISON, false);
    kernel.run_error = 0;
    kernel.fill = NULL;
    finish();
    down();
}

/* At a store's exit: what KVM_RUN left is that of the store. */
static void fault_after_store(void)
{
    static const uint8_t code[] = {0xb8, 0x00, 0xd0, 0x8e, 0xc0,  /* mov ax, 0xd000; mov es, ax */
                                   0x26, 0xa2, 0x00, 0x00, 0xf4}; /* mov [es:0], al; hlt */

    up(0);
    SAME(hvcore_vm_write(g.vm, CODE, code, sizeof code), 0);
    SAME(run_for(g.vcpu, 5000), 0);
    SAME(g.x->reason, HVCORE_EXIT_MMIO);
    no_memory(EFAULT, false);
    kernel.run_error = 0;
    SAME(run_for(g.vcpu, 5000), 0);
    SAME(g.x->reason, HVCORE_EXIT_HALT);
    down();
}

/* --- memory goes below a running guest -------------------------------------------------------- */

static void *take_away(void *at)
{
    usleep(20000);
    munmap((char *)at + 3 * PAGE, PAGE);
    return NULL;
}

static void memory_goes(void)
{
    hvcore_map_opts o = HVCORE_MAP_OPTS_INIT;
    hvcore_mem *mem = NULL;
    pthread_t thread;
    char *host = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    up(0);
    SAME(hvcore_vm_read(g.vm, 0, host, 4 * PAGE), 0);
    OK(hvcore_mem_adopt(g.ctx, host, 4 * PAGE, NULL, NULL, &mem, &e));
    OK(hvcore_vm_unmap(g.vm, 0, 4 * PAGE, &e));
    o.len = 4 * PAGE;
    OK(hvcore_vm_map(g.vm, mem, &o, &e));
    spin();
    CHECK(pthread_create(&thread, NULL, take_away, host) == 0);
    SAME(run_for(g.vcpu, 5000), 0);
    pthread_join(thread, NULL);
    /* an emulating KVM (kvm_pvm) takes it for a device */
    CHECK(g.x->reason == HVCORE_EXIT_MEMORY || g.x->reason == HVCORE_EXIT_MMIO);
    for (unsigned n = 0; n < 3; n++) {
        if (g.x->flags & HVCORE_EXIT_NEEDS_COMPLETION)
            SAME(hvcore_vcpu_complete(g.vcpu, &(uint64_t){0}, 1), 0);
        SAME(run_for(g.vcpu, 5000), 0);
        CHECK(g.x->reason == HVCORE_EXIT_MEMORY || g.x->reason == HVCORE_EXIT_MMIO);
    }
    CHECK(__real_mmap(host + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == host + 3 * PAGE);
    if (g.x->flags & HVCORE_EXIT_NEEDS_COMPLETION)
        SAME(hvcore_vcpu_complete(g.vcpu, &(uint64_t){0}, 1), 0);
    SAME(run_for(g.vcpu, 30), 0);
    SAME(g.x->reason, HVCORE_EXIT_DEADLINE);
    CHECK(count() > 0);
    down();
    hvcore_mem_unref(mem);
    munmap(host, 4 * PAGE);
}

/* --- threads ---------------------------------------------------------------------------------- */

static void *spins(void *exit)
{
    hvcore_run_opts o = HVCORE_RUN_OPTS_INIT;
    hvcore_error own = HVCORE_ERROR_INIT;

    o.deadline_ns = hvcore_clock_ns() + UINT64_C(10000000000);
    return hvcore_vcpu_run(g.vcpu, &o, exit, &own) ? "failed" : NULL;
}

/* POSIX timers of this process. */
static unsigned timers(void)
{
    FILE *f = fopen("/proc/self/timers", "r");
    char line[128];
    unsigned n = 0;

    while (f && fgets(line, sizeof line, f))
        n += !strncmp(line, "ID:", 3);
    if (f)
        fclose(f);
    return n;
}

static void two_threads(void)
{
    unsigned had = timers();
    const hvcore_exit *x = NULL;
    hvcore_error own = HVCORE_ERROR_INIT;
    pthread_t thread;
    void *failed = NULL;
    int rc = 0;

    up(0);
    spin();
    CHECK(pthread_create(&thread, NULL, spins, &x) == 0);
    usleep(20000);
    for (unsigned i = 0; i < 100; i++) {
        const hvcore_exit *mine = NULL;
        uint64_t value;
        rc = hvcore_vcpu_run(g.vcpu, NULL, &mine, &own);
        SAME(rc, -HVCORE_E_BUSY);
        SAME(hvcore_reg_get_u64(g.vcpu, HVCORE_REG_X86_64_RIP, &value), -HVCORE_E_BUSY);
        SAME(hvcore_vcpu_complete(g.vcpu, &value, 1), -HVCORE_E_BUSY);
        SAME(hvcore_vcpu_detach(g.vcpu), -HVCORE_E_BUSY);
    }
    CHECK(strstr(own.message, "another thread"));
    SAME(hvcore_vcpu_cancel(g.vcpu, 5), 0);
    pthread_join(thread, &failed);
    CHECK(!failed && x && x->reason == HVCORE_EXIT_CANCELLED && x->u.cancelled.token == 5);
    /* that thread is gone; this one goes on, with a deadline and a kick of its own */
    SAME(run_for(g.vcpu, 20), 0);
    SAME(g.x->reason, HVCORE_EXIT_DEADLINE);
    CHECK(pthread_create(&thread, NULL, cancel_soon, g.vcpu) == 0);
    SAME(run_for(g.vcpu, 10000), 0);
    SAME(g.x->reason, HVCORE_EXIT_CANCELLED);
    pthread_join(thread, NULL);
    down();
    SAME(timers(), had);
}

static void *spins_long(void *vcpu)
{
    hvcore_run_opts o = HVCORE_RUN_OPTS_INIT;
    const hvcore_exit *x = NULL;

    o.deadline_ns = hvcore_clock_ns() + UINT64_C(10000000000);
    return hvcore_vcpu_run(vcpu, &o, &x, NULL) == 0 && x->reason == HVCORE_EXIT_CANCELLED
               ? NULL
               : "not cancelled";
}

/* Two vCPUs run while the map changes below them. */
static void in_parallel(void)
{
    pthread_t thread[2];
    void *failed[2] = {NULL};

    up(0);
    spin();
    OK(hvcore_vcpu_create(g.vm, 1, NULL, &g.vcpu2, &e));
    CHECK(pthread_create(&thread[0], NULL, spins_long, g.vcpu) == 0);
    CHECK(pthread_create(&thread[1], NULL, spins_long, g.vcpu2) == 0);
    for (unsigned i = 0; i < 200; i++) {
        OK(map_page(0));
        OK(hvcore_vm_unmap(g.vm, 0x7000, PAGE, &e));
        OK(map_at(0x7000, PAGE, 0, &e));
        OK(hvcore_vm_unmap(g.vm, 0x1000000, PAGE, &e));
    }
    SAME(hvcore_vcpu_cancel(g.vcpu, 1), 0);
    SAME(hvcore_vcpu_cancel(g.vcpu2, 2), 0);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(thread[i], &failed[i]);
        CHECK(!failed[i]);
    }
    down();
}

static bool blocked(int sig)
{
    sigset_t now;

    pthread_sigmask(SIG_BLOCK, NULL, &now);
    return sigismember(&now, sig);
}

static void change_mask(int how, int sig)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, sig);
    pthread_sigmask(how, &set, NULL);
}

/* After detach the mask is what it was, each time anew. */
static void masks(void)
{
    const int sig = SIGRTMAX - 1;

    up(0);
    spin();
    for (unsigned i = 0; i < 4; i++) {
        change_mask(i % 2 ? SIG_BLOCK : SIG_UNBLOCK, sig);
        SAME(run_for(g.vcpu, 1), 0);
        CHECK(blocked(sig));
        SAME(hvcore_vcpu_detach(g.vcpu), 0);
        SAME(blocked(sig), i % 2);
    }
    change_mask(SIG_UNBLOCK, sig);
    down();
}

/* --- signals ---------------------------------------------------------------------------------- */

static void interrupted_calls(void)
{
    kernel.interrupts = TRIES - 1;
    up(0);
    probe();
    down();
    up(CHIP);
    CHECK(get(HVCORE_REG_X86_64_TSC) > 0);
    SAME(hvcore_vm_irq(g.vm, 3, 1), 0);
    finish();
    down();
    kernel.interrupts = 0;
}

/* Every call ends, with an error that says why, after as many tries as there may be. */
static void endless_interrupts(void)
{
    uint64_t value;
    hvcore_vcpu *v = NULL;
    hvcore_vm *vm = NULL;

    up(0);
    kernel.interrupts = EVERY;
    kernel.tries = 0;
    FAILS(hvcore_reg_get_u64(g.vcpu, HVCORE_REG_X86_64_TSC, &value), HVCORE_E_SYS);
    SAME(kernel.tries, TRIES);
    FAILS(make_vm(&vm, 1), HVCORE_E_SYS);
    says("EINTR");
    advises();
    FAILS(map_page(0), HVCORE_E_SYS);
    says("KVM_SET_USER_MEMORY_REGION");
    says("EINTR");
    FAILS(hvcore_vcpu_create(g.vm, 1, NULL, &v, &e), HVCORE_E_SYS);
    FAILS(run_for(g.vcpu, 5000), HVCORE_E_SYS);
    says("KVM_SET_SIGNAL_MASK");
    kernel.interrupts = 0;
    OK(map_page(0));
    finish();
    down();
}

/* KVM_RUN never gets to the guest: an error, after some time, or the deadline. */
static void endless_run(int error, uint32_t reason)
{
    uint64_t began = hvcore_clock_ns();

    up(0);
    odd.reason = reason;
    odd.fill = 0;
    kernel.fill = fill_odd;
    kernel.run_error = error;
    kernel.runs = UINT32_MAX;
    e = (hvcore_error)HVCORE_ERROR_INIT;
    FAILS(hvcore_vcpu_run(g.vcpu, NULL, &g.x, &e), HVCORE_E_SYS);
    CHECK(hvcore_clock_ns() - began < UINT64_C(10000000000));
    says("KVM_RUN");
    says(error == EAGAIN ? "EAGAIN" : "EINTR");
    advises();
    SAME(run_for(g.vcpu, 1), 0);
    SAME(g.x->reason, HVCORE_EXIT_DEADLINE);
    SAME(hvcore_vcpu_cancel(g.vcpu, 9), 0);
    SAME(run_for(g.vcpu, 5000), 0);
    SAME(g.x->reason, HVCORE_EXIT_CANCELLED);
    kernel.runs = 3; /* an error has not used up anything */
    finish();
    kernel.runs = 0;
    kernel.run_error = 0;
    kernel.fill = NULL;
    down();
}

static void endless_runs(void)
{
    endless_run(EINTR, KVM_EXIT_INTR);
    endless_run(EAGAIN, KVM_EXIT_UNKNOWN);
    endless_run(0, KVM_EXIT_INTR);
    endless_run(0, KVM_EXIT_IRQ_WINDOW_OPEN);
}

static volatile sig_atomic_t signals;

static void count_signal(int sig)
{
    (void)sig;
    signals++;
}

static void storm_of(int sig, long us)
{
    struct itimerval every = {.it_interval = {0, us}, .it_value = {0, us}};
    struct sigaction action = {.sa_handler = us ? count_signal : SIG_DFL};

    if (us)
        sigaction(sig, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    if (!us)
        sigaction(sig, &action, NULL);
}

/* The worker begins anew. */
static void rewind_worker(void)
{
    g.in = g.out = g.mmio = g.sum = 0;
    g.done = false;
    set(HVCORE_REG_X86_64_CS, 0);
    set(HVCORE_REG_X86_64_CS + 0x100, 0);
    set(HVCORE_REG_X86_64_RIP, CODE);
}

/* Real signals, as fast as the host's timer makes them: nothing is lost, the guest gets on. Making
 * a VM may take longer than the time between two: it says so then, or is done. */
static void storm(void)
{
    uint64_t until = hvcore_clock_ns() + UINT64_C(1000000000);
    unsigned rounds = 0;
    uint16_t before;
    hvcore_vm *vm = NULL;

    up(0);
    storm_of(SIGALRM, 50);
    for (; hvcore_clock_ns() < until && !check_now.bad; rounds++) {
        rewind_worker();
        finish();
    }
    CHECK(make_vm(&vm, 1) == 0 || says("EINTR"));
    hvcore_vm_unref(vm);
    spin();
    rewind_worker();
    SAME(run_for(g.vcpu, 500), 0);
    SAME(g.x->reason, HVCORE_EXIT_DEADLINE);
    before = count();
    SAME(run_for(g.vcpu, 500), 0);
    CHECK(count() != before);
    storm_of(SIGALRM, 0);
    down();
    printf("# %u rounds, %d signals\n", rounds, (int)signals);
    CHECK(signals > 1000 && rounds > 5);
}

/* A signal blocked by the thread since its first run ends each KVM_RUN: the mask is renewed. */
static void blocked_later(void)
{
    up(0);
    SAME(run_for(g.vcpu, 5000), 0);
    serve();
    change_mask(SIG_BLOCK, SIGUSR2);
    pthread_kill(pthread_self(), SIGUSR2);
    finish();
    down();
    CHECK(sigwait(&(sigset_t){{1ul << (SIGUSR2 - 1)}}, &(int){0}) == 0);
    change_mask(SIG_UNBLOCK, SIGUSR2);
}

int main(int argc, char **argv)
{
    static const check_test tests[] = {
        {"no /dev/kvm, no right, no hardware", no_kvm},
        {"the same, really", really_no_kvm},
        {"another version of the API", other_version},
        {"a kernel without a capability", no_capability},
        {"a kernel without a function", no_function},
        {"memory that overlaps", overlaps},
        {"the same memory in two VMs", two_vms},
        {"numbers of vCPUs", vcpu_numbers},
        {"200 vCPUs", many_vcpus},
        {"memory slots run out", slots},
        {"descriptors run out", no_descriptors},
        {"a dirty log and its aliases", aliases},
        {"fork", forked},
        {"exits that nobody knows", unknown_exits},
        {"internal errors", internal_errors},
        {"bounds of string instructions", string_bounds},
        {"an access across the end of memory", torn},
        {"EFAULT with an address and without", faults},
        {"EFAULT after a store", fault_after_store},
        {"memory goes below a running guest", memory_goes},
        {"two threads, one vCPU", two_threads},
        {"two vCPUs, and the map changes", in_parallel},
        {"the thread's mask", masks},
        {"calls that are interrupted", interrupted_calls},
        {"calls that are always interrupted", endless_interrupts},
        {"KVM_RUN does nothing, for ever", endless_runs},
        {"a storm of signals", storm},
        {"a signal that is blocked later", blocked_later},
        {NULL, NULL},
    };
    check_test some[COUNT(tests)] = {{NULL, NULL}};
    size_t n = 0;

    if (access("/dev/kvm", R_OK | W_OK)) {
        puts("skip hostile: /dev/kvm cannot be opened\n0 passed, 0 failed, 1 skipped");
        return 77;
    }
    for (size_t i = 0; argc > 1 && tests[i].name; i++)
        if (strstr(tests[i].name, argv[1]))
            some[n++] = tests[i];
    return check_all(n ? some : tests);
}
#endif
