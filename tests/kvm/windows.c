/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The windows in which a cancel or a deadline could be lost or come too late, one by one: the
 * library's system calls come through here, and the cancel is made at exactly that point. After
 * each there is one CANCELLED with its token, then a run that is not cancelled, and no signal is
 * left.
 *
 * The guest spins, so only a kick or a deadline ends a run.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/kvm/check.h"

#define MS UINT64_C(1000000)

#if defined __x86_64__
#define ARCH HVCORE_ARCH_X86_64
#define RAM UINT64_C(0)
#define CODE 0xfeeb /* jmp . */
#define WINDOW_PC HVCORE_REG_X86_64_RIP
#elif defined __aarch64__
#define ARCH HVCORE_ARCH_ARM64
#define RAM UINT64_C(0x40000000)
#define CODE 0x14000000 /* b . */
#define WINDOW_PC HVCORE_REG_ARM64_PC
#else
#define ARCH HVCORE_ARCH_RISCV64
#define RAM UINT64_C(0x80000000)
#define CODE 0x6f /* j . */
#define WINDOW_PC HVCORE_REG_RISCV64_PC
#endif

static struct {
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;
    hvcore_vcpu *vcpu;
    int signal;
    bool handled;
} g;
static hvcore_error e;
static uint32_t token;

/* --- the points ------------------------------------------------------------------------------- */

enum point { NOWHERE, BEFORE_RUN, AFTER_RUN, BEFORE_EAT, AFTER_EAT, AFTER_ARMED };

/* What is done when the library comes to this point, once. */
static enum point point;
static void (*act)(void);
static unsigned visits;

static void at(enum point here)
{
    if (point != here || !act)
        return;
    point = NOWHERE;
    visits++;
    act();
}

int __real_ioctl(int fd, unsigned long request, void *arg);
int __real_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout);
int __real_timer_settime(timer_t timer, int flags, const struct itimerspec *new,
                         struct itimerspec *old);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout);
int __wrap_timer_settime(timer_t timer, int flags, const struct itimerspec *new,
                         struct itimerspec *old);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    void *arg;
    int rc, error;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (request != KVM_RUN)
        return __real_ioctl(fd, request, arg);
    at(BEFORE_RUN);
    rc = __real_ioctl(fd, request, arg);
    error = errno;
    at(AFTER_RUN);
    errno = error;
    return rc;
}

int __wrap_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
    int rc, error;

    at(BEFORE_EAT);
    rc = __real_sigtimedwait(set, info, timeout);
    error = errno;
    if (rc < 0)
        at(AFTER_EAT);
    errno = error;
    return rc;
}

int __wrap_timer_settime(timer_t timer, int flags, const struct itimerspec *new,
                         struct itimerspec *old)
{
    int rc = __real_timer_settime(timer, flags, new, old);
    int error = errno;

    at(AFTER_ARMED);
    errno = error;
    return rc;
}

/* Where struct kvm_run is: the last shared mapping of a descriptor. */
static void *run_page;
static size_t run_size;

void *__real_mmap(void *want, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *want, size_t len, int prot, int flags, int fd, off_t offset);

void *__wrap_mmap(void *want, size_t len, int prot, int flags, int fd, off_t offset)
{
    void *p = __real_mmap(want, len, prot, flags, fd, offset);

    if (fd >= 0 && flags & MAP_SHARED) {
        run_page = p;
        run_size = len;
    }
    return p;
}

/* --- the machine ------------------------------------------------------------------------------ */

static void ignore(int sig)
{
    (void)sig;
}

static bool up(void)
{
    static const uint32_t code = CODE;
    struct sigaction action = {.sa_handler = ignore};
    hvcore_ctx_opts co = HVCORE_CTX_OPTS_INIT;
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_map_opts map = HVCORE_MAP_OPTS_INIT;

    e = (hvcore_error)HVCORE_ERROR_INIT;
    g.signal = g.handled ? SIGUSR2 : SIGRTMAX - 1;
    if (g.handled) {
        co.flags = HVCORE_CTX_KICK_HANDLED;
        co.kick_signal = g.signal;
        sigaction(g.signal, &action, NULL);
    }
    opts.arch = ARCH;
    opts.backend = "kvm";
    map.gpa = RAM;
    if (!OK(hvcore_ctx_create(&co, &g.ctx, &e)) || !OK(hvcore_vm_create(g.ctx, &opts, &g.vm, &e)) ||
        !OK(hvcore_mem_alloc(g.ctx, 0x10000, 0, &g.mem, &e)) ||
        !OK(hvcore_vm_map(g.vm, g.mem, &map, &e)) ||
        !OK(hvcore_vcpu_create(g.vm, 0, NULL, &g.vcpu, &e)))
        return false;
    CHECK(hvcore_vm_write(g.vm, RAM, &code, sizeof code) == 0);
#ifdef __x86_64__
    CHECK(hvcore_reg_set_u64(g.vcpu, HVCORE_REG_X86_64_CS, 0) == 0);
    CHECK(hvcore_reg_set_u64(g.vcpu, HVCORE_REG_X86_64_CS + 0x100, 0) == 0);
#endif
    return CHECK(hvcore_reg_set_u64(g.vcpu, WINDOW_PC, RAM) == 0);
}

/* The thread is as it was: the signal is neither blocked nor pending. */
static void down(void)
{
    sigset_t set;

    CHECK(hvcore_vcpu_detach(g.vcpu) == 0);
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &set) == 0);
    CHECK(!sigismember(&set, g.signal));
    CHECK(sigpending(&set) == 0 && !sigismember(&set, g.signal));
    hvcore_vcpu_unref(g.vcpu);
    hvcore_vm_unref(g.vm);
    hvcore_mem_unref(g.mem);
    hvcore_ctx_unref(g.ctx);
}

/* A run with a deadline `ms` from now, 0: none; what it returns. */
static const hvcore_exit *run(uint64_t ms)
{
    static const hvcore_exit none;
    hvcore_run_opts o = HVCORE_RUN_OPTS_INIT;
    const hvcore_exit *x = &none;

    o.deadline_ns = ms ? hvcore_clock_ns() + ms * MS : 0;
    OK(hvcore_vcpu_run(g.vcpu, &o, &x, &e));
    return x;
}

static void cancel(void)
{
    CHECK(hvcore_vcpu_cancel(g.vcpu, ++token) == 0);
}

static void *cancel_thread(void *arg)
{
    (void)arg;
    cancel();
    return NULL;
}

/* By another thread, to its end. */
static void cancel_elsewhere(void)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, cancel_thread, NULL) == 0);
    pthread_join(thread, NULL);
}

static void *cancel_later(void *arg)
{
    (void)arg;
    usleep(3000);
    cancel();
    return NULL;
}

/* The run returns this cancel, or it leaves it for the next one; then there is quiet. */
static void expect_cancelled(const hvcore_exit *x)
{
    if (x->reason == HVCORE_EXIT_DEADLINE)
        x = run(2000);
    SAME(x->reason, HVCORE_EXIT_CANCELLED);
    SAME(x->u.cancelled.token, token);
    SAME(run(5)->reason, HVCORE_EXIT_DEADLINE);
}

/* --- the windows ------------------------------------------------------------------------------ */

static void before_the_run(void)
{
    if (!up())
        return;
    cancel();
    expect_cancelled(run(2000));
    down();
}

static void in_the_guest(void)
{
    pthread_t thread;

    if (!up())
        return;
    for (unsigned i = 0; i < 20; i++) {
        pthread_create(&thread, NULL, cancel_later, NULL);
        expect_cancelled(run(2000));
        pthread_join(thread, NULL);
    }
    down();
}

/* At each point of enter(), by the thread itself (as from a signal handler) and by another. */
static void at_points(void)
{
    static const struct {
        enum point point;
        const char *name;
        bool blocked; /* only where the signal is */
    } rows[] = {
        {BEFORE_RUN, "after the look at the requests, before KVM_RUN", false},
        {AFTER_RUN, "KVM_RUN has returned", false},
        {BEFORE_EAT, "before the signal is taken", true},
        {AFTER_EAT, "after the signal was taken", true},
        {AFTER_ARMED, "the timer is set", false},
    };
    static void (*const by[])(void) = {cancel, cancel_elsewhere};

    if (!up())
        return;
    for (unsigned i = 0; i < 2 * (sizeof rows / sizeof *rows); i++) {
        const unsigned row = i / 2;

        if (rows[row].blocked && g.handled)
            continue;
        visits = 0;
        act = by[i % 2];
        point = rows[row].point;
        /* something has to end KVM_RUN before the points behind it are reached */
        if (point == AFTER_RUN || rows[row].blocked)
            expect_cancelled(run(3));
        else
            expect_cancelled(run(2000));
        check_that(visits == 1, __FILE__, __LINE__, "%s: reached %u times", rows[row].name, visits);
        point = NOWHERE;
    }
    act = NULL;
    down();
}

static void until_late(void)
{
    usleep(20000);
}

/* The deadline passes between the look at the clock and KVM_RUN: the signal comes too early. */
static void deadline_before_run(void)
{
    uint64_t begin;

    if (!up())
        return;
    for (unsigned i = 0; i < 5; i++) {
        act = until_late;
        point = i % 2 ? BEFORE_RUN : AFTER_ARMED;
        begin = hvcore_clock_ns();
        SAME(run(10)->reason, HVCORE_EXIT_DEADLINE);
        CHECK(hvcore_clock_ns() - begin < 1000 * MS);
        SAME(point, NOWHERE);
    }
    act = NULL;
    down();
}

/* A deadline of an earlier run does not end a later one. */
static void old_deadline(void)
{
    uint64_t begin;

    if (!up())
        return;
    act = cancel;
    point = BEFORE_RUN;
    SAME(run(20)->reason, HVCORE_EXIT_CANCELLED);
    begin = hvcore_clock_ns();
    SAME(run(60)->reason, HVCORE_EXIT_DEADLINE);
    CHECK(hvcore_clock_ns() - begin >= 60 * MS);
    /* nor one without */
    act = cancel;
    point = BEFORE_RUN;
    SAME(run(20)->reason, HVCORE_EXIT_CANCELLED);
    act = NULL;
    pthread_t thread;
    usleep(30000); /* its timer has fired meanwhile */
    pthread_create(&thread, NULL, cancel_later, NULL);
    SAME(run(0)->reason, HVCORE_EXIT_CANCELLED);
    pthread_join(thread, NULL);
    down();
}

/* A cancel and a deadline at once: the cancel is never lost. */
static void both(void)
{
    if (!up())
        return;
    for (unsigned i = 0; i < 200; i++) {
        pthread_t thread;
        const hvcore_exit *x;

        pthread_create(&thread, NULL, cancel_later, NULL);
        x = run(3);
        pthread_join(thread, NULL);
        if (x->reason == HVCORE_EXIT_DEADLINE)
            x = run(2000);
        SAME(x->reason, HVCORE_EXIT_CANCELLED);
        SAME(x->u.cancelled.token, token);
    }
    SAME(run(3)->reason, HVCORE_EXIT_DEADLINE);
    down();
}

/*
 * A canceller that stops between its look at the vCPU and its store to kvm_run, while the vCPU goes
 * into the guest. The page is made read-only, so that the store stops in a signal handler.
 */
static _Atomic int stopped, inside;

static void on_store(int sig)
{
    (void)sig;
    mprotect(run_page, run_size, PROT_READ | PROT_WRITE);
    stopped = 1;
    while (!inside)
        usleep(100);
    usleep(20000); /* it is in the guest by now */
}

static void is_inside(void)
{
    inside = 1;
}

static pthread_t canceller;

static void let_it_stop(void)
{
    mprotect(run_page, run_size, PROT_READ);
    CHECK(pthread_create(&canceller, NULL, cancel_thread, NULL) == 0);
    while (!stopped)
        usleep(100);
    act = is_inside;
    point = BEFORE_RUN;
}

static void between_look_and_store(void)
{
    struct sigaction action = {.sa_handler = on_store}, before;

    if (!up())
        return;
    sigaction(SIGSEGV, &action, &before);
    for (unsigned i = 0; i < 5; i++) {
        stopped = inside = 0;
        act = let_it_stop;
        point = AFTER_ARMED;
        SAME(run(2000)->reason, HVCORE_EXIT_CANCELLED);
        pthread_join(canceller, NULL);
        SAME(run(5)->reason, HVCORE_EXIT_DEADLINE);
    }
    sigaction(SIGSEGV, &before, NULL);
    act = NULL;
    down();
}

/* Threads one after the other run the vCPU; each has its own timer and mask. */
static void *run_once(void *arg)
{
    pthread_t thread;

    (void)arg;
    SAME(run(5)->reason, HVCORE_EXIT_DEADLINE);
    pthread_create(&thread, NULL, cancel_later, NULL);
    SAME(run(2000)->reason, HVCORE_EXIT_CANCELLED);
    pthread_join(thread, NULL);
    return NULL;
}

static void other_threads(void)
{
    if (!up())
        return;
    for (unsigned i = 0; i < 10; i++) {
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, run_once, NULL) == 0);
        pthread_join(thread, NULL);
        run_once(NULL);
    }
    down();
}

/* Holding: unmapping waits until the vCPU is out, and it goes on after. */
static void *unmap_later(void *arg)
{
    hvcore_error own = HVCORE_ERROR_INIT;

    (void)arg;
    usleep(5000);
    CHECK(hvcore_vm_unmap(g.vm, RAM + 0x8000, 0x1000, &own) == 0);
    CHECK(hvcore_vm_pause(g.vm) == 0);
    usleep(2000);
    CHECK(hvcore_vm_resume(g.vm) == 0);
    return NULL;
}

static void held(void)
{
    pthread_t thread;

    if (!up())
        return;
    pthread_create(&thread, NULL, unmap_later, NULL);
    SAME(run(50)->reason, HVCORE_EXIT_DEADLINE);
    pthread_join(thread, NULL);
    down();
}

static const check_test windows[] = {
    {"before the run", before_the_run},
    {"in the guest", in_the_guest},
    {"at each point on the way in and out", at_points},
    {"a canceller that stops on its way", between_look_and_store},
    {"a deadline before KVM_RUN", deadline_before_run},
    {"an old deadline", old_deadline},
    {"cancel and deadline at once", both},
    {"other threads", other_threads},
    {"held for a change of the map, paused", held},
    {NULL, NULL},
};

int main(void)
{
    int bad;

    alarm(120);
    bad = check_all(windows);
    puts("# and with a signal that the program handles itself");
    g.handled = true;
    return check_all(windows) || bad;
}
