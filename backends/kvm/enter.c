/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_RUN, and how others end it.
 *
 * A kick stores immediate_exit, which ends a KVM_RUN that has not entered the guest yet, and sends
 * the VM's signal, which ends one that has. The signal needs no handler: the thread keeps it
 * blocked (from its first run on, until hvcore_vcpu_detach), and KVM_SET_SIGNAL_MASK opens it
 * inside KVM_RUN alone; sigtimedwait() then takes it away. A deadline is a timer of the thread that
 * sends the same signal: while it is blocked it stays pending, so it is not lost between the look
 * at the clock and KVM_RUN.
 *
 * With HVCORE_CTX_KICK_HANDLED the caller has a handler. Then a signal of the timer may be handled
 * just before KVM_RUN; the timer therefore repeats until it is stopped.
 *
 * gate: a kick counts itself in, looks whether the thread is inside, signals, and counts itself
 * out. The owner leaves, waits until all who were counted in are out (microseconds), and so knows
 * whether a signal is there for it; none comes later.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/kvm/kvm.h"
#include "lib/host/mem.h"

/* The thread's: what it had blocked before, and what of ours it has blocked since. */
static _Thread_local struct {
    int pid; /* 0: this thread has not run a vCPU yet */
    hvc_kvm_thread id;
    sigset_t ours, blocked_before;
} me;

/* A number of a thread that is gone may be given to a new one. */
static bool is_me(const hvc_kvm_thread *t)
{
    return t->tid == me.id.tid && t->since == me.id.since;
}

/* ---- kick ------------------------------------------------------------------------------------ */

/*
 * Signal handlers call this: it must not disturb errno.
 *
 * First the store, then the look: either the owner, which sets INSIDE before KVM_RUN reads
 * immediate_exit, is seen inside, or KVM_RUN finds the store.
 */
void hvc_kvm_kick(bk_vcpu *v)
{
    int saved = errno;
    atomic_fetch_add(&v->gate, HVC_KVM_KICKER);
    __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    if (atomic_load(&v->gate) & HVC_KVM_INSIDE) {
        syscall(SYS_tgkill, v->vm->pid, v->tid, v->vm->kick_signal);
        atomic_fetch_or(&v->gate, (uint32_t)HVC_KVM_SENT);
    }
    atomic_fetch_sub(&v->gate, HVC_KVM_KICKER);
    errno = saved;
}

static void come_in(bk_vcpu *v)
{
    v->tid = me.id.tid;
    atomic_fetch_or(&v->gate, (uint32_t)HVC_KVM_INSIDE);
}

/* True if a kick has sent a signal that may still be pending; *kicked: there was one at all. */
static bool go_out(bk_vcpu *v, bool *kicked)
{
    enum { A_MOMENT_NS = 20000 };
    uint32_t seen = atomic_fetch_and(&v->gate, ~(uint32_t)HVC_KVM_INSIDE);
    seen &= ~(uint32_t)HVC_KVM_INSIDE;
    while (seen >= HVC_KVM_KICKER) {
        hvc_host_park(&v->gate, seen, hvc_host_now() + A_MOMENT_NS);
        seen = atomic_load(&v->gate);
    }
    /* whoever kicks from now on finds nobody inside, and ends the next KVM_RUN */
    *kicked = __atomic_exchange_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    return seen && atomic_fetch_and(&v->gate, ~(uint32_t)HVC_KVM_SENT) & HVC_KVM_SENT;
}

/* ---- the thread's signals -------------------------------------------------------------------- */

static void eat(const bk_vm *vm)
{
    const struct timespec now = {0, 0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, vm->kick_signal);
    while (sigtimedwait(&set, NULL, &now) > 0 || errno == EINTR) {
    }
}

static int block(int sig)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, sig);
    int error = pthread_sigmask(SIG_BLOCK, &set, &before);
    if (error) {
        errno = error;
        return -1;
    }
    sigaddset(&me.ours, sig);
    if (sigismember(&before, sig)) {
        sigaddset(&me.blocked_before, sig);
    } else {
        sigdelset(&me.blocked_before, sig);
    }
    return 0;
}

/* Inside KVM_RUN the thread has its own mask, but for the signal. 0 or an error. */
static int open_inside(bk_vcpu *v)
{
    struct {
        struct kvm_signal_mask head;
        uint8_t set[8]; /* the kernel's sigset_t */
    } mask = {.head = {.len = sizeof(mask.set)}};
    sigset_t now;
    int error = pthread_sigmask(SIG_BLOCK, NULL, &now);
    if (error) {
        errno = error;
        return hvc_kvm_failed(v, "pthread_sigmask");
    }
    sigdelset(&now, v->vm->kick_signal);
    memcpy(mask.head.sigset, &now, sizeof(mask.set));
    if (hvc_kvm_ioctl(v->fd, KVM_SET_SIGNAL_MASK, &mask) < 0) {
        return hvc_kvm_failed(v, "KVM_SET_SIGNAL_MASK");
    }
    v->mask_of = me.id;
    return 0;
}

/* After fork() a thread has its mask, and another number. `pid`: of the VM. */
static void know_me(int pid)
{
    if (me.pid == pid) {
        return;
    }
    if (!me.pid) {
        sigemptyset(&me.ours);
        sigemptyset(&me.blocked_before);
    }
    if (me.pid != getpid()) {
        me.pid = getpid();
        me.id = (hvc_kvm_thread){(int)syscall(SYS_gettid), hvc_host_now()};
    }
}

/* What this thread needs before it runs this vCPU; nothing at all when it ran it last. */
static int adopt(bk_vcpu *v)
{
    know_me(v->vm->pid);
    if (v->vm->handled) {
        return 0;
    }
    if (!sigismember(&me.ours, v->vm->kick_signal) && block(v->vm->kick_signal)) {
        return hvc_kvm_failed(v, "pthread_sigmask");
    }
    return is_me(&v->mask_of) ? 0 : open_inside(v);
}

/* ---- deadline -------------------------------------------------------------------------------- */

void hvc_kvm_timer_drop(bk_vcpu *v)
{
    if (v->timer_of.tid) {
        if (v->vm->pid == getpid()) { /* a child of fork() has no timer, or another one */
            timer_delete(v->timer);
        }
        v->timer_of.tid = 0;
        v->timer_ns = 0;
    }
}

static int timer_new(bk_vcpu *v)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = v->vm->kick_signal};
    event._sigev_un._tid = me.id.tid;
    hvc_kvm_timer_drop(v);
    if (timer_create(CLOCK_MONOTONIC, &event, &v->timer) < 0) {
        return hvc_kvm_failed(v, "timer_create");
    }
    v->timer_of = me.id;
    return 0;
}

/* 0 stops it. */
static int timer_set(bk_vcpu *v, uint64_t ns)
{
    enum { AGAIN_NS = 500000 };
    struct itimerspec t = {
        .it_value = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)},
        .it_interval = {0, v->vm->handled && ns ? AGAIN_NS : 0},
    };
    if (timer_settime(v->timer, TIMER_ABSTIME, &t, NULL) < 0) {
        return hvc_kvm_failed(v, "timer_settime");
    }
    v->timer_ns = ns;
    return 0;
}

/* What it is set to already costs nothing. A child of fork() has none: KVM_RUN says more. */
static int arm(bk_vcpu *v, uint64_t deadline_ns)
{
    int rc = 0;
    if (deadline_ns && !is_me(&v->timer_of)) {
        rc = timer_new(v);
    }
    if (!rc && v->timer_of.tid && v->timer_ns != deadline_ns) {
        rc = timer_set(v, deadline_ns);
    }
    return rc && v->vm->pid != getpid() ? 0 : rc;
}

/* ---- KVM_RUN --------------------------------------------------------------------------------- */

/*
 * KVM_RUN ended with errno, and nobody had asked for it. Signals of the host do that: their
 * handlers run, and the guest goes on. One that the thread has blocked since its mask went to the
 * kernel would end each KVM_RUN from now on, so the mask is looked at again; and if so many end in
 * so short a time that the guest cannot run between, that is said.
 */
static int for_nothing(bk_vcpu *v, hvcore_event *event)
{
    enum { LOOK = 64, MANY = 100000, LEAST_NS = 20000 };
    int error = errno, rc = 0;
    event->kind = HVCORE_EVENT_KICKED;
    if (!v->busy++) {
        v->busy_since = hvc_host_now();
    } else if (v->busy >= MANY) {
        v->busy = 0;
        errno = error;
        return hvc_host_now() - v->busy_since < (uint64_t)MANY * LEAST_NS
                   ? hvc_kvm_failed(v, "KVM_RUN")
                   : 0;
    } else if (v->busy % LOOK == 0 && !v->vm->handled) {
        rc = open_inside(v);
    }
    return rc;
}

static int interrupted(bk_vcpu *v, hvcore_event *event, uint64_t deadline_ns, bool kicked)
{
    bool late = deadline_ns && hvc_host_now() >= deadline_ns;
    if (!late && !kicked) {
        return for_nothing(v, event);
    }
    v->busy = 0;
    event->kind = late ? HVCORE_EVENT_DEADLINE : HVCORE_EVENT_KICKED;
    return 0;
}

/* errno of KVM_RUN. */
static int no_memory(bk_vcpu *v, hvcore_event *event)
{
    hvcore_exit_memory *m = &v->last.u.memory;
    const hvc_kvm_memory_fault *f = hvc_kvm_union(v);
    *m = (hvcore_exit_memory){.sys_errno = errno};
    event->kind = HVCORE_EVENT_MEMORY;
    if (v->run->exit_reason == HVC_KVM_EXIT_MEMORY_FAULT) {
        m->size = f->size;
        m->flags = f->flags;
        event->gpa = f->gpa;
        event->have = HVCORE_HAVE_GPA;
        v->run->exit_reason = KVM_EXIT_UNKNOWN; /* the next EFAULT may leave what is there */
    }
    hvc_kvm_arch_seen(v, event);
    v->last.advanced = 0;
    return 0;
}

/* An instruction that the kernel cannot carry out; on riscv64 it says so by an errno alone. */
static int cannot(bk_vcpu *v, hvcore_event *event)
{
    event->kind = HVCORE_EVENT_CRASH;
    v->last.u.crash =
        (hvcore_exit_crash){.why = HVCORE_CRASH_EMULATION, .count = 1, .code = {(uint64_t)errno}};
    hvc_kvm_arch_seen(v, event);
    return 0;
}

static int run_failed(bk_vcpu *v, const hvcore_bk_limits *limits, hvcore_event *event, bool kicked)
{
    switch (errno) {
    case EINTR:
        return interrupted(v, event, limits->deadline_ns, kicked);
    case EAGAIN: /* it was not runnable, and has become so or not */
        return for_nothing(v, event);
    case EFAULT:
    case EHWPOISON:
        return no_memory(v, event);
    case EOPNOTSUPP:
        return cannot(v, event);
    case EIO: /* another process's VM, or on riscv64 a misaligned access to a device */
        if ((uint32_t)hvc_kvm_arch == HVCORE_ARCH_RISCV64 && getpid() == v->vm->pid) {
            return cannot(v, event);
        }
        break;
    }
    return hvc_kvm_failed(v, "KVM_RUN");
}

static int run(bk_vcpu *v, const hvcore_bk_limits *limits, hvcore_event *event)
{
    bool kicked;
    v->mmio_at = 0;
    if (!atomic_load_explicit(&v->vm->has_run, memory_order_relaxed)) {
        atomic_store(&v->vm->has_run, true);
    }
    come_in(v);
    int rc = ioctl(v->fd, KVM_RUN, 0);
    int error = errno;
    bool sent = go_out(v, &kicked);
    if (!v->vm->handled && (sent || (rc < 0 && error == EINTR))) {
        eat(v->vm);
    }
    v->last.needs = v->last.advanced = 0;
    errno = error;
    if (rc < 0) {
        return run_failed(v, limits, event, kicked);
    }
    rc = hvc_kvm_exit(v, event);
    if (!rc && event->kind == HVCORE_EVENT_KICKED && !kicked) {
        errno = EINTR;
        return for_nothing(v, event);
    }
    v->busy = 0;
    return rc;
}

static int run_timed(bk_vcpu *v, const hvcore_bk_limits *limits, hvcore_event *event)
{
    int rc = arm(v, limits->deadline_ns);
    if (!rc) {
        rc = run(v, limits, event);
    }
    /* its signals are for KVM_RUN, not for the caller; what the guest has done stands */
    if (v->vm->handled && v->timer_ns && timer_set(v, 0)) {
        hvc_kvm_timer_drop(v);
    }
    return rc;
}

int hvc_kvm_enter(bk_vcpu *v, const hvcore_bk_limits *limits, hvcore_event *event)
{
    *event = (hvcore_event){.size = sizeof(*event), .origin = HVCORE_ORIGIN_KERNEL};
    if (v->unread) {
        v->unread = 0;
        return hvc_kvm_exit(v, event);
    }
    if (hvc_kvm_more(v)) {
        return hvc_kvm_exit(v, event);
    }
    int rc = adopt(v);
    if (!rc) {
        rc = hvc_kvm_arch_enter(v);
    }
    return rc ? rc : run_timed(v, limits, event);
}

/* immediate_exit ends it after the kernel has finished what was pending (api.rst, 5). */
int hvc_kvm_settle(bk_vcpu *v)
{
    if (v->unread || hvc_kvm_more(v)) {
        return 0; /* the instruction has more to ask */
    }
    int rc = adopt(v);
    if (rc) {
        return rc;
    }
    v->mmio_at = 0;
    __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    rc = ioctl(v->fd, KVM_RUN, 0);
    int error = errno;
    __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    if (rc == 0) {
        v->unread = 1; /* an access of more than one piece: the next one */
        return 0;
    }
    errno = error;
    return errno == EINTR ? 0 : hvc_kvm_failed(v, "KVM_RUN");
}

/* The signal goes back to what it was in this thread. */
int hvc_kvm_detach(bk_vcpu *v)
{
    sigset_t set;
    int sig = v->vm->kick_signal;
    hvc_kvm_timer_drop(v);
    v->mask_of.tid = 0;
    if (v->vm->handled || !me.pid || !sigismember(&me.ours, sig)) {
        return 0;
    }
    eat(v->vm);
    sigemptyset(&set);
    sigaddset(&set, sig);
    if (!sigismember(&me.blocked_before, sig) && pthread_sigmask(SIG_UNBLOCK, &set, NULL)) {
        return -HVCORE_E_SYS;
    }
    sigdelset(&me.ours, sig);
    return 0;
}
