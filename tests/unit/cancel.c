/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancel, as a property under random timings: each cancel is followed by exactly one CANCELLED
 * return that began after the previous one; none is lost, none is stale. A canceller thread against
 * a vCPU thread that spins in the guest, calls back, exits, meets deadlines and is away between two
 * runs.
 *
 *   one to one    the canceller waits for the return before it cancels again
 *   bursts        cancels coalesce: the last token is delivered, and then there is quiet
 *
 * HVC_CANCELS, or the first argument, says how many cancels a backend gets (100000).
 * tests/kvm/cancel is the same program for the kvm backend (HVC_CANCEL_KVM).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* CPU affinity */
#endif
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/random.h"
#include "tests/unit/toy.h"

#define PAGE UINT64_C(4096)
#define US UINT64_C(1000)
#define SECOND UINT64_C(1000000000)

/*
 * The guest: three loops at RAM, RAM + 16, RAM + 32, that spin, load from DEV, which a callback
 * answers, and from NOWHERE, which exits. The loads go through two registers.
 */
#if !defined HVC_CANCEL_KVM || defined __riscv
#define ARCH HVCORE_ARCH_RISCV64
#define RAM UINT64_C(0x80000000)
#define DEV UINT64_C(0x10000000)
#define NOWHERE UINT64_C(0x20000000)
#define CANCEL_PC HVCORE_REG_RISCV64_PC
#define CANCEL_DEV HVCORE_REG_RISCV64_A0
#define CANCEL_NOWHERE HVCORE_REG_RISCV64_A1
static const uint32_t code[] = {
    0x0000006f, 0,          0, 0, /* j . */
    0x00053283, 0xffdff06f, 0, 0, /* ld t0, (a0); j -4 */
    0x0005b283, 0xffdff06f,       /* ld t0, (a1); j -4 */
};
#elif defined __aarch64__
#define ARCH HVCORE_ARCH_ARM64
#define RAM UINT64_C(0x40000000)
#define DEV UINT64_C(0x10000000)
#define NOWHERE UINT64_C(0x20000000)
#define CANCEL_PC HVCORE_REG_ARM64_PC
#define CANCEL_DEV HVCORE_REG_ARM64_X0
#define CANCEL_NOWHERE (HVCORE_REG_ARM64_X0 + 0x100)
static const uint32_t code[] = {
    0x14000000, 0,          0, 0, /* b . */
    0xf9400005, 0x17ffffff, 0, 0, /* ldr x5, [x0]; b -4 */
    0xf9400025, 0x17ffffff,       /* ldr x5, [x1]; b -4 */
};
#else /* x86_64, real mode; ds and cs begin at 0 */
#define ARCH HVCORE_ARCH_X86_64
#define RAM UINT64_C(0)
#define DEV UINT64_C(0xd000)
#define NOWHERE UINT64_C(0xe000)
#define CANCEL_PC HVCORE_REG_X86_64_RIP
#define CANCEL_DEV HVCORE_REG_X86_64_RBX
#define CANCEL_NOWHERE HVCORE_REG_X86_64_RSI
static const uint32_t code[] = {
    0x0000feeb, 0, 0, 0, /* jmp . */
    0xfceb078b, 0, 0, 0, /* mov ax, [bx]; jmp -4 */
    0xfceb048b,          /* mov ax, [si]; jmp -4 */
};
#endif

enum { SPIN, CALLBACK, EXITS, KINDS };

typedef struct shared {
    hvcore_vm *vm;
    hvcore_vcpu *vcpu;
    toy_vcpu *guest; /* NULL: the software machine */
    uint32_t total;
    _Atomic uint32_t issued; /* cancels that have begun */
    _Atomic uint32_t acked;  /* CANCELLED returns in the one-to-one phase */
    _Atomic uint32_t last;   /* the token returned last */
    _Atomic uint32_t quiet;  /* 1: asked for, 2: seen, 3: broken */
    _Atomic uint64_t began;  /* when the cancel under way began */
    _Atomic int bursts, over;
    cpu_set_t allowed;
    pthread_t thread; /* the vCPU's */
    uint64_t pinned_until;
    sem_t moved; /* posted when one of these words has changed */
    uint32_t *latency, measured;
    /* what went wrong, and what happened */
    _Atomic uint32_t stale, wrong, twice, failed;
    uint64_t cancelled, mmio, deadlines, callbacks;
} shared;

static uint64_t rnd(uint64_t *seed)
{
    return hvc_random(seed);
}

static void spin(uint64_t ns)
{
    uint64_t until = hvcore_clock_ns() + ns;

    while (hvcore_clock_ns() < until)
        ;
}

static void stuck(int sig)
{
    static const char text[] = "\ncancel: stuck: a cancel was lost\n";

    (void)sig;
    if (write(2, text, sizeof text - 1))
        _exit(1);
    _exit(1);
}

static uint32_t device_read(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                            uint64_t *value)
{
    shared *s = user;

    (void)vcpu, (void)gpa, (void)width;
    s->callbacks++;
    *value = s->callbacks;
    if (s->callbacks % 16 == 0)
        spin(2 * US); /* now and then the cancel comes while we are in here */
    return HVCORE_MMIO_DONE;
}

/* The toy's guest: an access now and then, by the kind. */
static int toy_guest(toy_vcpu *v, void *user, hvcore_event *event)
{
    const int *kind = user;

    if (*kind == SPIN)
        return 0;
    *event = toy_access(toy_load_insn(3, 5), *kind == CALLBACK ? DEV : NOWHERE);
    event->pc = v->frame.pc;
    return 1;
}

static void *run_vcpu(void *user)
{
    shared *s = user;
    uint64_t seed = 7;
    int kind = SPIN;

    if (s->guest)
        toy_set_program(s->guest, toy_guest, &kind);
    while (!s->over) {
        hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;
        const hvcore_exit *exit = NULL;
        uint64_t x = rnd(&seed), zero = 0;
        uint32_t quiet = s->quiet;

        /* Another kind of guest, a deadline now and then, away for a moment now and then. */
        if (x % 4 == 0) {
            kind = (int)(x >> 8 & 0xff) % KINDS;
            s->failed += hvcore_reg_set_u64(s->vcpu, CANCEL_PC, RAM + 16 * (uint64_t)kind) != 0;
            hvcore_reg_set_u64(s->vcpu, CANCEL_DEV, DEV);
            hvcore_reg_set_u64(s->vcpu, CANCEL_NOWHERE, NOWHERE);
        }
        if ((x >> 16) % 4 == 0)
            opts.deadline_ns = hvcore_clock_ns() + (x >> 24) % (20 * US);
        if ((x >> 40) % 8 == 0)
            spin((x >> 48) % (10 * US));
        if (s->bursts && !opts.deadline_ns) /* nobody cancels while it shall be quiet */
            opts.deadline_ns = hvcore_clock_ns() + 30 * US;
        if (hvcore_vcpu_run(s->vcpu, &opts, &exit, NULL)) {
            s->failed++;
            sem_post(&s->moved);
            break;
        }
        switch (exit->reason) {
        case HVCORE_EXIT_CANCELLED: {
            uint64_t now = hvcore_clock_ns();
            uint32_t token = exit->u.cancelled.token, issued = s->issued, last = s->last;

            s->cancelled++;
            if (s->bursts) { /* tokens are numbers of cancels: they only grow */
                s->stale += token <= last;
                s->wrong += token > issued;
                if (quiet == 1)
                    s->twice++;
            } else {
                uint32_t acked = s->acked;

                s->stale += acked == issued; /* nobody has asked */
                s->wrong += token != issued;
                s->twice += token == last;
                if (s->measured < s->total)
                    s->latency[s->measured++] = (uint32_t)(now - s->began);
                s->acked = acked + 1;
            }
            s->last = token;
            sem_post(&s->moved);
            break;
        }
        case HVCORE_EXIT_MMIO:
            s->mmio++;
            if (exit->flags & HVCORE_EXIT_NEEDS_COMPLETION)
                s->failed += hvcore_vcpu_complete(s->vcpu, &zero, 1) != 0;
            break;
        case HVCORE_EXIT_DEADLINE:
            s->deadlines++;
            if (quiet == 1) {
                s->quiet = 2;
                sem_post(&s->moved);
            }
            break;
        default:
            s->failed++;
            sem_post(&s->moved);
        }
    }
    return NULL;
}

static void pin_one(pthread_t thread, const cpu_set_t *allowed, int which)
{
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, allowed) && !which--) {
            cpu_set_t one;

            CPU_ZERO(&one);
            CPU_SET(i, &one);
            (void)pthread_setaffinity_np(thread, sizeof one, &one);
        }
}

/*
 * The two threads on two processors: on one of them they would never meet. For a while only; on a
 * busy machine this takes its time.
 */
static void pin(shared *s)
{
    if (CPU_COUNT(&s->allowed) < 2)
        return;
    pin_one(pthread_self(), &s->allowed, 0);
    pin_one(s->thread, &s->allowed, 1);
    s->pinned_until = hvcore_clock_ns() + 5 * SECOND / 2;
}

static void unpin_in_time(shared *s, bool now)
{
    if (!s->pinned_until || (!now && hvcore_clock_ns() < s->pinned_until))
        return;
    (void)pthread_setaffinity_np(pthread_self(), sizeof s->allowed, &s->allowed);
    (void)pthread_setaffinity_np(s->thread, sizeof s->allowed, &s->allowed);
    s->pinned_until = 0;
}

/* Spin a little, then sleep: on a busy machine the vCPU needs the processor. */
static void wait_for(_Atomic uint32_t *word, uint32_t value, shared *s)
{
    for (uint32_t n = 0; *word != value && !s->failed; n++)
        if (n > 2000)
            sem_wait(&s->moved);
}

static void one_to_one(shared *s, uint32_t n)
{
    uint64_t seed = 99;

    pin(s);
    for (uint32_t i = 0; i < n && !s->failed; i++) {
        uint64_t x = rnd(&seed);

        unpin_in_time(s, i + 1 == n);
        if (x % 4) /* some come at once after the return */
            spin((x >> 8) % (50 * US) >> (x >> 32) % 6);
        if (s->guest && x % 64 == 0) /* the machine's kick may be slow to come back */
            toy.kick_ns = (x >> 40) % 4096;
        s->began = hvcore_clock_ns();
        s->issued++;
        s->failed += hvcore_vcpu_cancel(s->vcpu, s->issued) != 0;
        wait_for(&s->acked, s->issued, s);
    }
}

static void in_bursts(shared *s, uint32_t n)
{
    uint64_t seed = 5;

    s->bursts = 1;
    pin(s);
    for (uint32_t i = 0; i < n && !s->failed;) {
        uint64_t x = rnd(&seed);
        uint32_t many = 1 + (uint32_t)(x % 8);

        if ((x >> 50) % 4 == 0) /* so many that the vCPU looks while they come */
            many = 1 + (uint32_t)(x >> 52) % 256;
        for (uint32_t k = 0; k < many && i < n; k++, i++) {
            s->issued++;
            s->failed += hvcore_vcpu_cancel(s->vcpu, s->issued) != 0;
            if (rnd(&seed) % 8 == 0) /* most come as close together as they can */
                spin((x >> 32) % (10 * US));
        }
        wait_for(&s->last, s->issued, s);
        unpin_in_time(s, i == n);
        if ((x >> 60) % 16 == 0) { /* nothing comes after the last */
            s->quiet = 1;
            wait_for(&s->quiet, 2, s);
            s->quiet = 0;
        }
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static const char *wanted;

static uint32_t cancels(void)
{
    const char *text = wanted ? wanted : getenv("HVC_CANCELS");
    unsigned long n = text ? strtoul(text, NULL, 10) : 0;

    return n && n < UINT32_MAX ? (uint32_t)n : 100000;
}

/* What its reset state leaves to do. */
static void set_up(hvcore_vcpu *vcpu)
{
    OK(hvcore_reg_set_u64(vcpu, CANCEL_PC, RAM));
#if defined HVC_CANCEL_KVM && defined __x86_64__
    OK(hvcore_reg_set_u64(vcpu, HVCORE_REG_X86_64_CS, 0));
    OK(hvcore_reg_set_u64(vcpu, HVCORE_REG_X86_64_CS + 0x100, 0));
#endif
}

static void property(const char *backend, const hvcore_ctx_opts *ctx_opts)
{
    shared s;
    hvcore_ctx *ctx = NULL;
    hvcore_mem *mem = NULL;
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_map_opts mapping = HVCORE_MAP_OPTS_INIT;
    hvcore_mmio_ops device = HVCORE_MMIO_OPS_INIT;
    uint64_t t0;

    memset(&s, 0, sizeof s);
    sem_init(&s.moved, 0, 0);
    s.total = cancels();
    s.latency = calloc(s.total + 1, sizeof *s.latency);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s.latency);
    toy_reset();
    OK(hvcore_ctx_create(ctx_opts, &ctx, NULL));
    OK(hvcore_ctx_backend_add(ctx, &toy_ops, NULL));
    opts.arch = ARCH;
    opts.backend = backend;
    if (hvcore_vm_create(ctx, &opts, &s.vm, NULL)) {
        printf("skipped: no backend \"%s\" ", backend);
        hvcore_ctx_unref(ctx);
        free(s.latency);
        return;
    }
    OK(hvcore_mem_alloc(ctx, PAGE, 0, &mem, NULL));
    memcpy(hvcore_mem_ptr(mem), code, sizeof code);
    mapping.gpa = RAM;
    OK(hvcore_vm_map(s.vm, mem, &mapping, NULL));
    device.read = device_read;
    OK(hvcore_vm_mmio_add(s.vm, DEV, 8, &device, &s, NULL, NULL));
    OK(hvcore_vcpu_create(s.vm, 0, NULL, &s.vcpu, NULL));
    set_up(s.vcpu);
    s.guest = strcmp(backend, "toy") ? NULL : toy.vcpu[0];

    t0 = hvcore_clock_ns();
    alarm(60 + s.total / 2000);
    if (pthread_getaffinity_np(pthread_self(), sizeof s.allowed, &s.allowed))
        CPU_ZERO(&s.allowed);
    CU_ASSERT_FATAL(!pthread_create(&s.thread, NULL, run_vcpu, &s));
    one_to_one(&s, s.total - s.total / 2);
    in_bursts(&s, s.total / 2);
    unpin_in_time(&s, true);
    s.over = 1;
    (void)hvcore_vcpu_cancel(s.vcpu, UINT32_MAX);
    pthread_join(s.thread, NULL);
    alarm(0);

    WANT(s.failed, 0);
    WANT(s.stale, 0);
    WANT(s.wrong, s.last == UINT32_MAX && s.bursts); /* the one that ends the thread, if it came */
    WANT(s.twice, 0);
    WANT(s.acked, s.total - s.total / 2);
    WANT(s.measured, s.acked);
    CU_ASSERT(s.total < 1000 || (s.mmio && s.callbacks && s.deadlines));
    qsort(s.latency, s.measured, sizeof *s.latency, by_value);
    if (s.measured)
        printf("\n    # %s: %u cancels in %llu ms, %llu returns; %llu MMIO exits, %llu callbacks, "
               "%llu deadlines\n    # cancel to return: median %u ns, p99 %u ns, max %u ns ",
               backend, s.issued, (unsigned long long)((hvcore_clock_ns() - t0) / 1000000),
               (unsigned long long)s.cancelled, (unsigned long long)s.mmio,
               (unsigned long long)s.callbacks, (unsigned long long)s.deadlines,
               s.latency[s.measured / 2], s.latency[(uint64_t)s.measured * 99 / 100],
               s.latency[s.measured - 1]);
    hvcore_vcpu_unref(s.vcpu);
    hvcore_vm_unref(s.vm);
    hvcore_mem_unref(mem);
    hvcore_ctx_unref(ctx);
    sem_destroy(&s.moved);
    free(s.latency);
    if (toy.broken)
        printf("\n    rule broken: %s", toy.rule);
    WANT(toy.broken, 0);
}

#ifdef HVC_CANCEL_KVM

static void ignore(int sig)
{
    (void)sig;
}

/* The library's signal, blocked in the thread; and one of ours, with a handler. */
static void on_blocked(void)
{
    property("kvm", NULL);
}

static void on_handled(void)
{
    hvcore_ctx_opts opts = HVCORE_CTX_OPTS_INIT;
    struct sigaction action = {.sa_handler = ignore};

    opts.flags = HVCORE_CTX_KICK_HANDLED;
    opts.kick_signal = SIGUSR1;
    CU_ASSERT_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    property("kvm", &opts);
}

static const hvc_unit_test tests[] = {
    {"random cancels (kvm, signal blocked)", on_blocked},
    {"random cancels (kvm, signal with a handler)", on_handled},
    {NULL, NULL},
};

#else

static void on_toy(void)
{
    property("toy", NULL);
}

static void on_bare(void)
{
    property("bare", NULL);
}

static const hvc_unit_test tests[] = {
    {"random cancels (toy)", on_toy},
    {"random cancels (bare)", on_bare},
    {NULL, NULL},
};

#endif

int main(int argc, char **argv)
{
    wanted = argc > 1 ? argv[1] : NULL;
    signal(SIGALRM, stuck);
    return hvc_unit_main("cancel", tests);
}
