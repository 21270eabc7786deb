/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failure injection on kvm: the n-th system call, or allocation, of a library call fails, for n =
 * 0, 1, ... until the call succeeds, with each of four errnos. A call that fails says so: a code, a
 * sentence with the system call and the errno, sys_errno. It leaks nothing and changes nothing,
 * works when it is made again, and the guest comes to its end with the right results.
 *
 * The program is linked with --wrap: what the static library calls comes through here. Failures
 * that the library does without are listed (tolerated).
 *
 *     fail [ERRNOS]        so many errnos for each system call (4)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>

#include "tests/kvm/worker.h"

#ifndef __x86_64__
int main(void)
{
    puts("skip fail: its guest is x86_64's\n0 passed, 0 failed, 1 skipped");
    return 77;
}
#else

#include <dirent.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* --- the shim --------------------------------------------------------------------------------- */

static struct {
    bool armed;
    long left;         /* calls that still succeed */
    int with;          /* errno of the system call that fails; 0: an allocation fails */
    unsigned hits;     /* calls that failed */
    const char *what;  /* the one that did */
    unsigned long arg; /* KVM_CHECK_EXTENSION: of what */
    long live;         /* blocks, mappings, descriptors and timers of the library */
    bool no_sync;      /* the kernel has no KVM_CAP_SYNC_REGS */
} shim;

static bool due(const char *what, unsigned long arg)
{
    if (!shim.armed || shim.left-- > 0)
        return false;
    shim.armed = false; /* only this one: what follows succeeds again */
    shim.hits++;
    shim.what = what;
    shim.arg = arg;
    errno = shim.with;
    return true;
}

static bool fails(const char *what, unsigned long arg)
{
    return shim.with && due(what, arg);
}

/* --wrap: __real_NAME is the C library's. */
#define WRAP(type, name, ...)        \
    type __real_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__)

WRAP(void *, calloc, size_t n, size_t size)
{
    void *p = !shim.with && due("calloc", 0) ? NULL : __real_calloc(n, size);

    shim.live += p != NULL;
    return p;
}

WRAP(void, free, void *p)
{
    shim.live -= p != NULL;
    __real_free(p);
}

WRAP(void *, mmap, void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    void *p = fails("mmap", 0) ? MAP_FAILED : __real_mmap(at, len, prot, flags, fd, offset);

    shim.live += p != MAP_FAILED;
    return p;
}

WRAP(int, munmap, void *at, size_t len)
{
    shim.live--;
    return __real_munmap(at, len);
}

WRAP(int, open, const char *name, int flags, ...)
{
    int fd = fails("open", 0) ? -1 : __real_open(name, flags);

    shim.live += fd >= 0;
    return fd;
}

WRAP(int, close, int fd)
{
    shim.live--;
    return __real_close(fd);
}

WRAP(ssize_t, pread, int fd, void *to, size_t n, off_t at)
{
    return fails("statistics", 0) ? -1 : __real_pread(fd, to, n, at);
}

WRAP(int, timer_create, clockid_t clock, struct sigevent *event, timer_t *timer)
{
    int rc = fails("timer_create", 0) ? -1 : __real_timer_create(clock, event, timer);

    shim.live += rc == 0;
    return rc;
}

WRAP(int, timer_settime, timer_t t, int flags, const struct itimerspec *is, struct itimerspec *was)
{
    bool stops = !is->it_value.tv_sec && !is->it_value.tv_nsec;

    return fails("timer_settime", stops) ? -1 : __real_timer_settime(t, flags, is, was);
}

WRAP(int, timer_delete, timer_t timer)
{
    shim.live--;
    return __real_timer_delete(timer);
}

WRAP(int, pthread_sigmask, int how, const sigset_t *set, sigset_t *was)
{
    return fails("pthread_sigmask", 0) ? shim.with : __real_pthread_sigmask(how, set, was);
}

static const char *name_of(unsigned long request)
{
#define NAME(n) \
    {           \
        n, #n   \
    }
    static const struct {
        unsigned long request;
        const char *name;
    } names[] = {
        NAME(KVM_GET_API_VERSION),
        NAME(KVM_CREATE_VM),
        NAME(KVM_CHECK_EXTENSION),
        NAME(KVM_GET_VCPU_MMAP_SIZE),
        NAME(KVM_SET_IDENTITY_MAP_ADDR),
        NAME(KVM_SET_TSS_ADDR),
        NAME(KVM_ENABLE_CAP),
        NAME(KVM_CREATE_VCPU),
        NAME(KVM_GET_SUPPORTED_CPUID),
        NAME(KVM_SET_CPUID2),
        NAME(KVM_SET_USER_MEMORY_REGION),
        NAME(KVM_GET_DIRTY_LOG),
        NAME(KVM_RUN),
        NAME(KVM_SET_SIGNAL_MASK),
        NAME(KVM_GET_REGS),
        NAME(KVM_SET_REGS),
        NAME(KVM_GET_SREGS),
        NAME(KVM_SET_SREGS),
        NAME(KVM_GET_MSRS),
        NAME(KVM_SET_MSRS),
        NAME(KVM_INTERRUPT),
        NAME(KVM_GET_VCPU_EVENTS),
        NAME(KVM_SET_VCPU_EVENTS),
        NAME(KVM_SET_GUEST_DEBUG),
        NAME(KVM_CREATE_IRQCHIP),
        NAME(KVM_CREATE_PIT2),
        NAME(KVM_IRQ_LINE),
        NAME(KVM_IRQFD),
        NAME(KVM_IOEVENTFD),
        NAME(KVM_SIGNAL_MSI),
        NAME(KVM_GET_STATS_FD),
    };
    for (size_t i = 0; i < COUNT(names); i++)
        if (names[i].request == request)
            return names[i].name;
    return "an ioctl that the test does not know";
}

static bool makes_fd(unsigned long request)
{
    return request == KVM_CREATE_VM || request == KVM_CREATE_VCPU || request == KVM_GET_STATS_FD;
}

WRAP(int, ioctl, int fd, unsigned long request, ...)
{
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (fails(name_of(request), (unsigned long)(uintptr_t)arg))
        return -1;
    if (shim.no_sync && request == KVM_CHECK_EXTENSION && (uintptr_t)arg == KVM_CAP_SYNC_REGS)
        return 0;
    int rc = __real_ioctl(fd, request, arg);
    shim.live += rc >= 0 && makes_fd(request);
    return rc;
}

static int fd = -1, fd2 = -1; /* eventfds of a call */

/* --- the calls -------------------------------------------------------------------------------- */

static bool is_tolerated(void);

static int call_vm(hvcore_error *e)
{
    return new_vm(&g.vm2, e);
}

/* A VM is whole: what info() said of the backend holds for it. */
static void good_vm(void)
{
    hvcore_backend_info a = HVCORE_BACKEND_INFO_INIT, b = HVCORE_BACKEND_INFO_INIT;
    hvcore_vcpu *v = NULL;
    hvcore_error e = HVCORE_ERROR_INIT;

    SAME(hvcore_vm_backend_info(g.vm, &a), 0);
    SAME(hvcore_vm_backend_info(g.vm2, &b), 0);
    if (!shim.hits || !is_tolerated())
        SAME(b.caps, a.caps);
    OK(hvcore_vcpu_create(g.vm2, 0, NULL, &v, &e));
    hvcore_vcpu_unref(v);
}

static int call_vcpu(hvcore_error *e)
{
    return hvcore_vcpu_create(g.vm, 0, NULL, &g.vcpu, e);
}

static int call_vcpu2(hvcore_error *e)
{
    return hvcore_vcpu_create(g.vm, 1, NULL, &g.vcpu2, e);
}

static int call_map(hvcore_error *e)
{
    return map_at(RAM_END, 4 * PAGE, 0, e);
}

static int call_map_logged(hvcore_error *e)
{
    return map_at(RAM_END, 4 * PAGE, 1, e);
}

static int call_unmap(hvcore_error *e)
{
    return hvcore_vm_unmap(g.vm, 0x7000, 3 * PAGE, e);
}

static int call_unmap_logged(hvcore_error *e)
{
    return hvcore_vm_unmap(g.vm, LOGGED + 2 * PAGE, PAGE, e);
}

/* The end of one mapping, a hole, one as a whole, the begin of another one. */
static int call_unmap_across(hvcore_error *e)
{
    return hvcore_vm_unmap(g.vm, RAM_END - 2 * PAGE, PLAIN + PAGE - (RAM_END - 2 * PAGE), e);
}

static int call_protect(hvcore_error *e)
{
    return hvcore_vm_protect(g.vm, 0x7000, 3 * PAGE, HVCORE_PROT_R | HVCORE_PROT_X, e);
}

static int call_protect_across(hvcore_error *e)
{
    return hvcore_vm_protect(g.vm, LOGGED + 2 * PAGE, PLAIN + 2 * PAGE - (LOGGED + 2 * PAGE),
                             HVCORE_PROT_R | HVCORE_PROT_X, e);
}

/* Two slots have the pages that the guest writes: 1, 3 (by the library), 4 is not mapped. */
static void before_dirty(void)
{
    SAME(hvcore_vm_unmap(g.vm, LOGGED + 4 * PAGE, PAGE, NULL), 0);
    SAME(map_at(LOGGED + 4 * PAGE, PAGE, 1, NULL), 0);
    probe(); /* all of them */
    SAME(hvcore_vm_dirty_get(g.vm, LOGGED, 8 * PAGE, g.bits, 0, NULL), 0);
    SAME(g.bits[0], 0xff);
    SAME(hvcore_vm_write(g.vm, LOGGED + PAGE, "x", 1), 0);
    SAME(hvcore_vm_write(g.vm, LOGGED + 4 * PAGE - 1, "xy", 2), 0);
}

static int call_dirty(hvcore_error *e)
{
    return hvcore_vm_dirty_get(g.vm, LOGGED, 8 * PAGE, g.bits, 0, e);
}

static void after_dirty(void)
{
    SAME(g.bits[0], 1 << 1 | 1 << 3 | 1 << 4);
    SAME(hvcore_vm_dirty_get(g.vm, LOGGED, 8 * PAGE, g.bits, 0, NULL), 0);
    SAME(g.bits[0], 0);
}

/* A run; its exit is served. */
static int call_run(hvcore_error *e)
{
    int rc = run(e);

    if (!rc)
        serve();
    return rc;
}

static void still_reset(void)
{
    SAME(get(HVCORE_REG_X86_64_RIP), 0xfff0);
    SAME(get(HVCORE_REG_X86_64_CS), 0xf000);
}

/* At the first IN, which is answered. */
static void to_answer(void)
{
    SAME(run(NULL), 0);
    SAME(g.x->reason, HVCORE_EXIT_PIO);
    serve();
}

static void answer_kept(void)
{
    SAME(get(HVCORE_REG_X86_64_RIP), BEHIND_IN);
    SAME(get(HVCORE_REG_X86_64_RAX) & 0xff, 3);
}

static int call_settle(hvcore_error *e)
{
    uint64_t rip = 0;
    int rc = hvcore_reg_get_u64(g.vcpu, HVCORE_REG_X86_64_RIP, &rip);

    (void)e;
    if (!rc)
        SAME(rip, BEHIND_IN);
    return rc;
}

static void to_in(void)
{
    SAME(run(NULL), 0);
    SAME(get(HVCORE_REG_X86_64_RIP), AT_IN);
}

/* IN reads ones; the guest adds al to bx. */
static void to_denial(void)
{
    to_in();
    SAME(hvcore_vcpu_deny(g.vcpu, NULL), 0);
    taken(0xff);
}

static void denied(void)
{
    SAME(get(HVCORE_REG_X86_64_RIP), BEHIND_IN);
    SAME(get(HVCORE_REG_X86_64_RAX) & 0xff, 0xff);
}

static int call_get(hvcore_error *e)
{
    uint64_t value[3] = {0};
    static const hvcore_reg regs[] = {HVCORE_REG_X86_64_RIP, HVCORE_REG_X86_64_CS,
                                      HVCORE_REG_X86_64_TSC};
    int rc = hvcore_regs_get(g.vcpu, regs, value, COUNT(regs), NULL);

    (void)e;
    if (!rc) {
        SAME(value[0], 0xfff0);
        SAME(value[1], 0xf000);
    }
    return rc;
}

static int call_set(hvcore_error *e)
{
    static const uint64_t value[] = {0x1234, 0x3000, UINT64_C(1) << 40};
    static const hvcore_reg regs[] = {HVCORE_REG_X86_64_RSP, HVCORE_REG_X86_64_DS + 0x400,
                                      HVCORE_REG_X86_64_TSC};

    (void)e;
    return hvcore_regs_set(g.vcpu, regs, value, COUNT(regs), NULL);
}

static void was_set(void)
{
    finish();
    SAME(get(HVCORE_REG_X86_64_RSP), 0x1234);
    CHECK(get(HVCORE_REG_X86_64_TSC) >= UINT64_C(1) << 40);
}

static int call_inject(hvcore_error *e)
{
    hvcore_inject what = HVCORE_INJECT_INIT;

    what.cause = 6;
    return hvcore_vcpu_inject(g.vcpu, &what, e);
}

static void one_trap(void)
{
    finish();
    SAME(g.traps, 1);
}

/* The handler has been entered, once; then the worker. */
static void one_interrupt(void)
{
    if (!g.traps) /* a tolerated failure came first */
        SAME(call_run(NULL), 0);
    SAME(g.traps, 1);
    set(HVCORE_REG_X86_64_CS, 0);
    set(HVCORE_REG_X86_64_CS + 0x100, 0);
    set(HVCORE_REG_X86_64_RIP, CODE);
    set(HVCORE_REG_X86_64_RFLAGS, 2);
    one_trap();
}

/* The registers were set, and not seen by the kernel. */
static void before_debug(void)
{
    set(HVCORE_REG_X86_64_CS, 0);
    set(HVCORE_REG_X86_64_CS + 0x100, 0);
    set(HVCORE_REG_X86_64_RIP, CODE);
}

/* The guest spins, interrupts are on, and one waits. */
static void before_vector(void)
{
    enum { SPIN = 0x1900 };

    SAME(hvcore_vm_write(g.vm, SPIN, "\xeb\xfe", 2), 0); /* jmp . */
    before_debug();
    set(HVCORE_REG_X86_64_RIP, SPIN);
    set(HVCORE_REG_X86_64_RFLAGS, 0x202);
    SAME(hvcore_vcpu_irq(g.vcpu, VECTOR, 1), 0);
}

static int debug(uint32_t flags, hvcore_error *e)
{
    hvcore_debug_opts o = HVCORE_DEBUG_OPTS_INIT;

    o.flags = flags;
    return hvcore_vcpu_debug_set(g.vcpu, &o, e);
}

static int call_debug(hvcore_error *e)
{
    return debug(HVCORE_DEBUG_STEP, e);
}

static void stepped_to(uint64_t rip)
{
    if (g.x->reason == HVCORE_EXIT_MEMORY)
        SAME(run(NULL), 0);
    SAME(g.x->reason, HVCORE_EXIT_DEBUG);
    SAME(get(HVCORE_REG_X86_64_RIP), rip);
    SAME(debug(0, NULL), 0);
}

static void stepped(void)
{
    stepped_to(CODE + 5);
}

static void steps(void)
{
    SAME(run(NULL), 0);
    stepped_to(CODE + 2);
}

/* Two steps, one back: the kernel has to be told of the new rip. */
static void before_step(void)
{
    before_debug();
    SAME(debug(HVCORE_DEBUG_STEP, NULL), 0);
    for (unsigned i = 0; i < 2; i++)
        SAME(run(NULL), 0);
    SAME(get(HVCORE_REG_X86_64_RIP), CODE + 5);
    set(HVCORE_REG_X86_64_RIP, CODE + 2);
}

static int call_chip(hvcore_error *e)
{
    return new_chip(e);
}

static void good_chip(void)
{
    SAME(hvcore_vm_irq(g.vm, 3, 1), 0);
    SAME(hvcore_vcpu_create(g.vm, 0, NULL, &g.vcpu, NULL), 0);
    SAME(hvcore_vcpu_irq(g.vcpu, VECTOR, 1), -HVCORE_E_STATE);
}

static int call_irq(hvcore_error *e)
{
    (void)e;
    return hvcore_vm_irq(g.vm, 3, 1);
}

static void before_irqfd(void)
{
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fd2 = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static void close_events(void)
{
    if (fd >= 0)
        __real_close(fd);
    if (fd2 >= 0)
        __real_close(fd2);
    fd = fd2 = -1;
}

static int call_irqfd(hvcore_error *e)
{
    return hvcore_vm_irqfd(g.vm, 3, fd, fd2, 1, e);
}

static void attached(void)
{
    SAME(hvcore_vm_irqfd(g.vm, 3, fd, -1, 1, NULL), -HVCORE_E_EXISTS);
}

static void before_irqfd_off(void)
{
    before_irqfd();
    SAME(call_irqfd(NULL), 0);
}

static int call_irqfd_off(hvcore_error *e)
{
    return hvcore_vm_irqfd(g.vm, 3, fd, -1, 0, e);
}

static void detached(void)
{
    SAME(hvcore_vm_irqfd(g.vm, 3, fd, -1, 1, NULL), 0);
}

static int store_event(uint32_t flags, hvcore_error *e)
{
    hvcore_ioevent io = HVCORE_IOEVENT_INIT;

    io.addr = 0xd1000;
    io.flags = flags;
    io.fd = fd;
    return hvcore_vm_ioevent(g.vm, &io, e);
}

static int call_ioevent(hvcore_error *e)
{
    return store_event(0, e);
}

static void event_there(void)
{
    SAME(store_event(HVCORE_IOEVENT_REMOVE, NULL), 0);
}

static void before_ioevent_off(void)
{
    before_irqfd();
    SAME(store_event(0, NULL), 0);
}

static int call_ioevent_off(hvcore_error *e)
{
    return store_event(HVCORE_IOEVENT_REMOVE, e);
}

static void event_gone(void)
{
    SAME(store_event(HVCORE_IOEVENT_REMOVE, NULL), -HVCORE_E_NOTFOUND);
}

static int call_msi(hvcore_error *e)
{
    hvcore_msi msi = HVCORE_MSI_INIT;

    msi.addr = 0xfee00000;
    msi.data = VECTOR;
    return hvcore_vm_msi(g.vm, &msi, e);
}

static int call_stat(hvcore_error *e)
{
    hvcore_kernel_stat stat = HVCORE_KERNEL_STAT_INIT;
    int rc = hvcore_vm_kernel_stat(g.vm, UINT32_MAX, 0, &stat, e);

    return rc ? rc : hvcore_vm_kernel_stat(g.vm, 0, 1, &stat, e);
}

static int call_duty(hvcore_error *e)
{
    int rc = 0;

    for (uint32_t i = 0; i < HVCORE_DUTIES && !rc; i++) {
        hvcore_duty_info info = HVCORE_DUTY_INFO_INIT;
        rc = hvcore_vm_duty_info(g.vm, i, &info, e);
        CHECK(rc || info.source == HVCORE_DUTY_BY_KERNEL ||
              info.source == HVCORE_DUTY_BY_NOT_APPLICABLE);
    }
    return rc;
}

static void before_detach(void)
{
    to_answer();
}

static int call_detach(hvcore_error *e)
{
    sigset_t now;
    int rc = hvcore_vcpu_detach(g.vcpu);

    (void)e;
    __real_pthread_sigmask(SIG_BLOCK, NULL, &now);
    SAME(sigismember(&now, SIGRTMAX - 1), rc != 0);
    return rc;
}

/* --- the table -------------------------------------------------------------------------------- */

static const struct row {
    const char *name;
    unsigned how; /* of the world */
    bool record;  /* the call fills an error record */
    int (*call)(hvcore_error *e);
    void (*before)(void); /* that it is made */
    void (*failed)(void); /* looked at after it has failed */
    void (*after)(void);  /* it has succeeded; then the worker runs to its end */
} rows[] = {
    {"vm_create", 0, true, call_vm, NULL, NULL, good_vm},
    {"vcpu_create", NO_VCPU, true, call_vcpu, NULL, NULL, NULL},
    {"vcpu_create, the second", 0, true, call_vcpu2, NULL, NULL, NULL},
    {"vm_map", 0, true, call_map, NULL, probe, probe},
    {"vm_map with a log", 0, true, call_map_logged, NULL, probe, probe},
    {"vm_unmap of a middle", 0, true, call_unmap, NULL, probe, probe},
    {"vm_unmap of a middle with a log", 0, true, call_unmap_logged, NULL, probe, probe},
    {"vm_unmap across mappings", 0, true, call_unmap_across, NULL, probe, probe},
    {"vm_protect of a middle", 0, true, call_protect, NULL, probe, probe},
    {"vm_protect across mappings", 0, true, call_protect_across, NULL, probe, probe},
    {"vm_dirty_get", 0, true, call_dirty, before_dirty, NULL, after_dirty},
    {"the first run", 0, true, call_run, NULL, NULL, NULL},
    {"the first run, then a look", 0, true, call_run, NULL, still_reset, NULL},
    {"a run with the caller's handler", HANDLED, true, call_run, NULL, NULL, NULL},
    {"a run after an answer", 0, true, call_run, to_answer, NULL, NULL},
    {"a run after an answer, then a look", 0, true, call_run, to_answer, answer_kept, NULL},
    {"a run that brings an interrupt", 0, true, call_run, before_vector, NULL, one_interrupt},
    {"a step after registers were set", 0, true, run, before_step, NULL, stepped},
    {"a look after an answer", 0, false, call_settle, to_answer, NULL, answer_kept},
    {"a look after a denial", 0, false, call_settle, to_denial, NULL, denied},
    {"a run after a denial, then a look", 0, true, call_run, to_denial, denied, NULL},
    {"regs_get", 0, false, call_get, NULL, NULL, NULL},
    {"regs_set", 0, false, call_set, NULL, NULL, was_set},
    {"vcpu_inject", 0, true, call_inject, before_debug, NULL, one_trap},
    {"vcpu_debug_set", 0, true, call_debug, before_debug, NULL, steps},
    {"irqchip_create", NO_VCPU, true, call_chip, NULL, NULL, good_chip},
    {"vm_irq", CHIP, false, call_irq, NULL, NULL, NULL},
    {"vm_irqfd", CHIP, true, call_irqfd, before_irqfd, NULL, attached},
    {"vm_irqfd, off", CHIP, true, call_irqfd_off, before_irqfd_off, NULL, detached},
    {"vm_ioevent", 0, true, call_ioevent, before_irqfd, NULL, event_there},
    {"vm_ioevent, off", 0, true, call_ioevent_off, before_ioevent_off, NULL, event_gone},
    {"vm_msi", CHIP, true, call_msi, NULL, NULL, NULL},
    {"vm_kernel_stat", 0, true, call_stat, NULL, NULL, NULL},
    {"vm_duty_info", 0, true, call_duty, NULL, NULL, NULL},
    {"vcpu_detach", 0, false, call_detach, before_detach, NULL, NULL},
};

/* What a call may succeed without; 0: any argument, any errno. */
static const struct {
    const char *what;
    unsigned long arg;
    int with;
    const char *why;
} tolerated[] = {
    {"open", 0, 0, "info() says that the backend cannot be used; making the VM opens it again"},
    {"KVM_GET_API_VERSION", 0, 0, "the same"},
    {"KVM_CHECK_EXTENSION", KVM_CAP_MAX_VCPUS, 0, "info() takes 4, KVM's smallest number"},
    {"KVM_CHECK_EXTENSION", KVM_CAP_READONLY_MEM, 0, "memory is always writable then"},
    {"KVM_CHECK_EXTENSION", KVM_CAP_SYNC_REGS, 0, "a system call for each look"},
    {"KVM_CHECK_EXTENSION", KVM_CAP_X86_USER_SPACE_MSR, 0, "the guest gets #GP at once"},
    {"KVM_CHECK_EXTENSION", KVM_CAP_MAX_VCPU_ID, 0, "KVM_CREATE_VCPU refuses it"},
    {"KVM_CHECK_EXTENSION", KVM_CAP_MSI_DEVID, 0, "x86_64 has none"},
    {"timer_settime", 1, 0, "a timer that cannot be stopped after a run is deleted"},
    {"KVM_RUN", 0, EFAULT, "the run returns HVCORE_EXIT_MEMORY"},
};

static bool is_tolerated(void)
{
    for (size_t i = 0; i < COUNT(tolerated); i++)
        if (!strcmp(tolerated[i].what, shim.what) &&
            (!tolerated[i].arg || tolerated[i].arg == shim.arg) &&
            (!tolerated[i].with || tolerated[i].with == shim.with))
            return true;
    return false;
}

/* --- the test --------------------------------------------------------------------------------- */

static long descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    long n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static void good_failure(int rc, bool record, const hvcore_error *e)
{
    const char *name = shim.with ? strerrorname_np(shim.with) : "memory";
    int want = !shim.with || shim.with == ENOMEM ? -HVCORE_E_NOMEM : -HVCORE_E_SYS;
    size_t n = strnlen(e->message, sizeof e->message);

    if (!record) {
        CHECK(rc == want || rc == -HVCORE_E_SYS);
        return;
    }
    SAME(rc, want);
    SAME(e->code, rc);
    CHECK(e->domain != HVCORE_DOMAIN_NONE);
    SAME(e->sys_errno, shim.with);
    CHECK(n > 5 && n < sizeof e->message && e->message[n - 1] == '.' && !strchr(e->message, '\n'));
    CHECK(strstr(e->message, name));
    CHECK(!shim.with || strstr(e->message, shim.what));
}

/* One call, its n-th need refused. False: it needed less than that. */
static bool once(const struct row *row, long n, int with)
{
    hvcore_error e = HVCORE_ERROR_INIT, again = HVCORE_ERROR_INIT;
    unsigned bad = check_now.bad;
    long fds = descriptors(), live = shim.live; /* a static C library's free() is wrapped, too */
    int rc;

    up(row->how);
    if (row->before)
        row->before();
    shim.left = n;
    shim.with = with;
    shim.hits = 0;
    shim.what = NULL;
    shim.armed = true;
    rc = row->call(&e);
    shim.armed = false;
    bool hit = shim.hits;
    if (hit && rc == 0 && !is_tolerated())
        check_that(false, __FILE__, __LINE__, "it succeeds all the same");
    if (rc) {
        CHECK(hit);
        good_failure(rc, row->record, &e);
        if (row->failed)
            row->failed();
        rc = row->call(&again);
        check_that(rc == 0, __FILE__, __LINE__, "again: %d, %s", rc, again.message);
    }
    if (!rc && row->after)
        row->after();
    if (!rc && g.vcpu && !g.done)
        finish();
    close_events();
    down();
    SAME(shim.live, live);
    SAME(descriptors(), fds);
    shim.live = live;
    if (check_now.bad != bad)
        printf("# ... %s, need %ld (%s, 0x%lx) with %s: \"%s\"\n", row->name, n,
               hit ? shim.what : "none", shim.arg, with ? strerrorname_np(with) : "no memory",
               e.message);
    return hit;
}

static unsigned errnos = 4;

static unsigned all_of(const struct row *row)
{
    static const int with[] = {0, EINVAL, ENOMEM, EFAULT, EIO};
    unsigned needs = 0;

    for (size_t i = 0; i <= errnos && i < COUNT(with); i++) {
        long n = 0;
        while (once(row, n, with[i]) && n < 100)
            n++;
        needs += (unsigned)n;
        CHECK(n < 100 && (n > 0 || !with[i])); /* it has needed something */
    }
    return needs;
}

static void every_call(bool no_sync)
{
    unsigned sum = 0;

    shim.no_sync = no_sync;
    for (size_t i = 0; i < COUNT(rows); i++)
        sum += all_of(&rows[i]);
    shim.no_sync = false;
    printf("# %u calls failed\n", sum);
}

static void with_sync(void)
{
    every_call(false);
}

static void without_sync(void)
{
    every_call(true);
}

static void ignore(int sig)
{
    (void)sig;
}

int main(int argc, char **argv)
{
    static const check_test tests[] = {
        {"every need of every call", with_sync},
        {"the same without KVM_CAP_SYNC_REGS", without_sync},
        {NULL, NULL},
    };
    struct sigaction action = {.sa_handler = ignore};

    if (access("/dev/kvm", R_OK | W_OK)) {
        puts("skip fail: /dev/kvm cannot be opened\n0 passed, 0 failed, 1 skipped");
        return 77;
    }
    errnos = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : errnos;
    sigaction(SIGRTMIN + 3, &action, NULL);
    return check_all(tests);
}
#endif
