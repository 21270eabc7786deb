/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rendezvous: vCPU threads run while others map, unmap, protect, swap policies, pause, resume,
 * add and remove MMIO ranges and cancel. Once such a call has returned, no vCPU uses what was
 * before; and nothing deadlocks. On the toy and on the software machine, also under the thread
 * sanitizer.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/random.h"
#include "tests/unit/toy.h"

#define PAGE UINT64_C(4096)
#define RAM UINT64_C(0x80000000)
#define DATA UINT64_C(0x90000000) /* comes and goes */
#define OTHER UINT64_C(0x91000000)
#define CODE UINT64_C(0x92000000)
#define LOG UINT64_C(0x93000000)
#define DEV UINT64_C(0x10000000)
#define POISON (UINT64_C(1) << 63)
#define MS UINT64_C(1000000)

#define REG_T1 (HVCORE_REG_RISCV64_X0 + (6 << 8))
#define REG_A2 (HVCORE_REG_RISCV64_X0 + (12 << 8))

/* Guests of the software machine, and where they begin. */
static const uint32_t code[] = {
    0x00053283, 0x00536333, 0xff9ff06f,             /* 1: ld t0, (a0); or t1, t1, t0; j 1b */
    0x00053283, 0x00128293, 0x00553023, 0xff5ff06f, /* 1: ld t0, (a0); addi t0, t0, 1; sd; j 1b */
    0x00100073, 0xffdff06f,                         /* 1: ebreak; j 1b */
    0x00053283, 0x0055b023, 0x00063283, 0x00100073, 0xff1ff06f, /* ld a0; sd a1; ld a2; ebreak */
};
enum { READER = 0, COUNTER = 12, BREAKER = 28, ANYTHING = 36 };

enum { CPUS = 3 };

typedef struct cpu {
    struct world *w;
    uint32_t index;
    hvcore_vcpu *vcpu;
    toy_vcpu *guest;
    pthread_t thread;
    _Atomic uint64_t seen, exits;
    uint64_t mark, policy; /* generations at the begin of the run */
} cpu;

typedef struct world {
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *ram;
    bool is_toy;
    uint32_t cpus;
    cpu cpu[CPUS];
    _Atomic uint64_t floor;        /* what a read that begins now must see at least */
    _Atomic uint64_t removed;      /* the last MMIO range that is gone */
    _Atomic uint64_t setting, set; /* generation of the policy: being set, set */
    atomic_int over, paused;
    atomic_int barrier[2];
    _Atomic uint32_t bad;
    const char *_Atomic what; /* the last bad thing */
} world;

static void bad(world *w, const char *what)
{
    w->what = what;
    w->bad++;
}

static void stuck(int sig)
{
    static const char text[] = "\nrendezvous: stuck: a deadlock\n";

    (void)sig;
    if (write(2, text, sizeof text - 1))
        _exit(1);
    _exit(1);
}

static uint64_t rnd(uint64_t *seed)
{
    return hvc_random(seed);
}

static uint64_t now_ms(void)
{
    return hvcore_clock_ns() / MS;
}

/* How long a scenario goes on. */
static uint64_t end_ms(void)
{
    const char *text = getenv("HVC_RENDEZVOUS_MS");
    uint64_t ms = text ? strtoul(text, NULL, 10) : 0;

    return now_ms() + (ms ? ms : 350);
}

static void nap(uint64_t ns)
{
    struct timespec t = {0, (long)ns};

    nanosleep(&t, NULL);
}

/* --- the world -------------------------------------------------------------------------------- */
static bool up(world *w, const char *backend, uint32_t cpus, uint64_t entry, toy_program *program)
{
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_map_opts mapping = HVCORE_MAP_OPTS_INIT;

    memset(w, 0, sizeof *w);
    toy_reset();
    w->is_toy = !strcmp(backend, "toy");
    w->cpus = cpus;
    OK(hvcore_ctx_create(NULL, &w->ctx, NULL));
    OK(hvcore_ctx_backend_add(w->ctx, &toy_ops, NULL));
    opts.arch = HVCORE_ARCH_RISCV64;
    opts.backend = backend;
    opts.max_vcpus = cpus;
    if (hvcore_vm_create(w->ctx, &opts, &w->vm, NULL)) {
        printf("skipped: no backend \"%s\" ", backend);
        hvcore_ctx_unref(w->ctx);
        return false;
    }
    OK(hvcore_mem_alloc(w->ctx, PAGE, 0, &w->ram, NULL));
    memcpy(hvcore_mem_ptr(w->ram), code, sizeof code);
    mapping.gpa = RAM;
    OK(hvcore_vm_map(w->vm, w->ram, &mapping, NULL));
    for (uint32_t i = 0; i < cpus; i++) {
        cpu *c = &w->cpu[i];

        c->w = w;
        c->index = i;
        OK(hvcore_vcpu_create(w->vm, i, NULL, &c->vcpu, NULL));
        OK(hvcore_reg_set_u64(c->vcpu, HVCORE_REG_RISCV64_PC, RAM + entry));
        OK(hvcore_reg_set_u64(c->vcpu, HVCORE_REG_RISCV64_A0, DATA + 8 * (uint64_t)i));
        OK(hvcore_reg_set_u64(c->vcpu, HVCORE_REG_RISCV64_A1, DEV + 8 * (uint64_t)i));
        OK(hvcore_reg_set_u64(c->vcpu, REG_A2, LOG + 8 * (uint64_t)i));
        if (w->is_toy) {
            c->guest = toy.vcpu[i];
            toy_set_program(c->guest, program, c);
        }
    }
    return true;
}

static void *run_cpu(void *user)
{
    cpu *c = user;
    world *w = c->w;

    while (!w->over) {
        const hvcore_exit *exit = NULL;
        uint64_t zero = 0;

        c->mark = w->removed;
        c->policy = w->set;
        if (hvcore_vcpu_run(c->vcpu, NULL, &exit, NULL)) {
            bad(w, "a run failed");
            break;
        }
        c->exits++;
        switch (exit->reason) {
        case HVCORE_EXIT_CANCELLED:
            break;
        case HVCORE_EXIT_MMIO:
            if (exit->flags & HVCORE_EXIT_NEEDS_COMPLETION &&
                hvcore_vcpu_complete(c->vcpu, &zero, 1))
                bad(w, "complete");
            break;
        case HVCORE_EXIT_TRAP: {
            /* Rule 1 + generation % 8; the policy was set, or being set, in this run. */
            uint64_t first = c->policy, last = w->setting, g = first;

            while (g < last && exit->rule != 1 + g % 8)
                g++;
            if (exit->cls != HVCORE_RISCV64_BREAKPOINT || exit->rule != 1 + g % 8)
                bad(w, "a trap was decided by an old policy");
            if (hvcore_reg_set_u64(c->vcpu, HVCORE_REG_RISCV64_PC, exit->pc + 4))
                bad(w, "pc");
            if (w->is_toy && hvcore_reg_set_u64(c->vcpu, HVCORE_REG_RISCV64_PC, RAM))
                bad(w, "pc");
            break;
        }
        default:
            bad(w, hvcore_exit_reason_name(exit->reason));
        }
    }
    return NULL;
}

static void start(world *w)
{
    for (uint32_t i = 0; i < w->cpus; i++)
        CU_ASSERT_FATAL(!pthread_create(&w->cpu[i].thread, NULL, run_cpu, &w->cpu[i]));
}

static void join(world *w)
{
    w->over = 1;
    for (uint32_t i = 0; i < w->cpus; i++)
        (void)hvcore_vcpu_cancel(w->cpu[i].vcpu, 1);
    for (uint32_t i = 0; i < w->cpus; i++)
        pthread_join(w->cpu[i].thread, NULL);
}

static void down(world *w)
{
    for (uint32_t i = 0; i < w->cpus; i++)
        hvcore_vcpu_unref(w->cpu[i].vcpu);
    hvcore_vm_unref(w->vm);
    hvcore_mem_unref(w->ram);
    hvcore_ctx_unref(w->ctx);
    if (w->bad)
        printf("\n    %u times: %s", w->bad, w->what);
    WANT(w->bad, 0);
    if (toy.broken)
        printf("\n    rule broken: %s", toy.rule);
    WANT(toy.broken, 0);
}

/* --- memory that goes away -------------------------------------------------------------------- */
static struct {
    pthread_mutex_t lock;
    void *page[65536];
    size_t count;
    bool keep;
} graveyard = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void fill(void *host, uint64_t value)
{
    for (size_t i = 0; i < PAGE / 8; i++)
        atomic_store_explicit((_Atomic uint64_t *)host + i, value, memory_order_relaxed);
}

/* Whoever reads it now reads poison; every second page is given back at once besides. */
static void bury(void *user, void *host)
{
    (void)user;
    fill(host, POISON);
    pthread_mutex_lock(&graveyard.lock);
    graveyard.keep = !graveyard.keep && graveyard.count < 65536;
    if (graveyard.keep)
        graveyard.page[graveyard.count++] = host;
    else
        free(host);
    pthread_mutex_unlock(&graveyard.lock);
}

static hvcore_mem *fresh_page(world *w, uint64_t value, uint64_t gpa)
{
    hvcore_map_opts mapping = HVCORE_MAP_OPTS_INIT;
    hvcore_mem *mem = NULL;
    void *host = aligned_alloc(PAGE, PAGE);

    fill(host, value);
    mapping.gpa = gpa;
    if (hvcore_mem_adopt(w->ctx, host, PAGE, bury, NULL, &mem, NULL) ||
        hvcore_vm_map(w->vm, mem, &mapping, NULL))
        bad(w, "map");
    return mem;
}

static int toy_reader(toy_vcpu *v, void *user, hvcore_event *event)
{
    cpu *c = user;
    uint64_t at_least = c->w->floor, value = 0;

    if (!toy_read(v, DATA + 8 * c->index, &value)) {
        *event = toy_access(toy_load_insn(3, 5), DATA + 8 * c->index);
        event->pc = v->frame.pc;
        return 1;
    }
    if (value & POISON)
        bad(c->w, "memory was read that is unmapped");
    else if (value < at_least)
        bad(c->w, "an old page was read");
    c->seen = value;
    return 0;
}

/* Somebody else changes the map too. */
static void *map_elsewhere(void *user)
{
    world *w = user;

    while (!w->over) {
        hvcore_map_opts mapping = HVCORE_MAP_OPTS_INIT;

        mapping.gpa = OTHER;
        if (hvcore_vm_map(w->vm, w->ram, &mapping, NULL) ||
            hvcore_vm_protect(w->vm, OTHER, PAGE, HVCORE_PROT_R, NULL) ||
            hvcore_vm_unmap(w->vm, OTHER, PAGE, NULL))
            bad(w, "map elsewhere");
        nap(20000);
    }
    return NULL;
}

static void unmapped(const char *backend)
{
    world w;
    pthread_t other;
    uint64_t gen = 0, seed = 3, seen = 0;

    if (!up(&w, backend, CPUS, READER, toy_reader))
        return;
    start(&w);
    pthread_create(&other, NULL, map_elsewhere, &w);
    for (uint64_t end = end_ms(); (now_ms() < end || gen < 10) && !w.bad;) {
        hvcore_mem *mem = fresh_page(&w, ++gen, DATA);
        void *host = hvcore_mem_ptr(mem);

        w.floor = gen;
        nap(rnd(&seed) % 60000);
        if (gen % 3 == 0) {
            /* Without the right to read it is not there; what is written meanwhile nobody sees. */
            if (hvcore_vm_protect(w.vm, DATA, PAGE, HVCORE_PROT_X, NULL))
                bad(&w, "protect");
            fill(host, POISON);
            nap(rnd(&seed) % 20000);
            fill(host, gen);
            if (hvcore_vm_protect(w.vm, DATA, PAGE, HVCORE_PROT_RWX, NULL))
                bad(&w, "protect");
        }
        if (gen % 16 == 0) /* they do get on */
            for (uint32_t i = 0; i < w.cpus && w.is_toy; i++)
                while (w.cpu[i].seen < gen && !w.bad)
                    sched_yield();
        hvcore_mem_unref(mem);
        if (hvcore_vm_unmap(w.vm, DATA, PAGE, NULL))
            bad(&w, "unmap");
        nap(rnd(&seed) % 5000);
    }
    join(&w);
    pthread_join(other, NULL);
    for (uint32_t i = 0; i < w.cpus && !w.is_toy; i++) {
        uint64_t t1 = 0;

        OK(hvcore_reg_get_u64(w.cpu[i].vcpu, REG_T1, &t1));
        if (t1 & POISON)
            bad(&w, "memory was read that is unmapped");
        seen |= t1;
    }
    CU_ASSERT(w.is_toy || seen);
    printf("(%llu pages) ", (unsigned long long)gen);
    CU_ASSERT(gen >= 10);
    down(&w);
    while (graveyard.count)
        free(graveyard.page[--graveyard.count]);
}

static void unmap_toy(void)
{
    unmapped("toy");
}

static void unmap_bare(void)
{
    unmapped("bare");
}

/* Code is replaced by other code at the same address. */
static void code_bare(void)
{
    world w;
    hvcore_mem *log = NULL, *mem = NULL;
    hvcore_map_opts mapping = HVCORE_MAP_OPTS_INIT;
    _Atomic uint64_t *seen;
    uint64_t gen = 0;

    if (!up(&w, "bare", 2, 0, NULL))
        return;
    OK(hvcore_mem_alloc(w.ctx, PAGE, 0, &log, NULL));
    seen = hvcore_mem_ptr(log);
    mapping.gpa = LOG;
    OK(hvcore_vm_map(w.vm, log, &mapping, NULL));
    for (uint32_t i = 0; i < 2; i++)
        OK(hvcore_reg_set_u64(w.cpu[i].vcpu, HVCORE_REG_RISCV64_PC, CODE));
    OK(hvcore_vm_pause(w.vm));
    start(&w);
    for (uint64_t end = end_ms(); (now_ms() < end || gen < 10) && !w.bad;) {
        uint32_t k = 1 + (uint32_t)(++gen % 2000);
        uint32_t *insn;

        if (mem && hvcore_vm_unmap(w.vm, CODE, PAGE, NULL))
            bad(&w, "unmap");
        hvcore_mem_unref(mem);
        mem = NULL;
        OK(hvcore_mem_alloc(w.ctx, PAGE, 0, &mem, NULL));
        insn = hvcore_mem_ptr(mem);
        for (int i = 0; i < 4; i++) /* 1: li t0, k; sd t0, (a2); four times; j 1b */
            insn[2 * i] = 0x00000293 | k << 20, insn[2 * i + 1] = 0x00563023;
        insn[8] = 0xfe1ff06f;
        mapping.gpa = CODE;
        if (hvcore_vm_map(w.vm, mem, &mapping, NULL) || hvcore_vm_resume(w.vm))
            bad(&w, "map, resume");
        for (int i = 0; i < 2; i++)
            while (seen[i] != k && !w.bad) /* the alarm ends it */
                sched_yield();
        /* What comes in the next moment is new too. */
        nap(5000);
        if (seen[0] != k || seen[1] != k)
            bad(&w, "old code was executed");
        if (hvcore_vm_pause(w.vm))
            bad(&w, "pause");
    }
    OK(hvcore_vm_resume(w.vm));
    join(&w);
    printf("(%llu pages) ", (unsigned long long)gen);
    hvcore_mem_unref(mem);
    hvcore_mem_unref(log);
    down(&w);
}

/* --- policies --------------------------------------------------------------------------------- */
static int toy_breaker(toy_vcpu *v, void *user, hvcore_event *event)
{
    (void)user;
    *event = toy_trap(HVCORE_RISCV64_BREAKPOINT, HVCORE_RISCV64_VS, 0);
    event->pc = v->frame.pc;
    return 1;
}

/* Eight policies; in number k, rule 1 + k decides breakpoints. */
static void make_policies(hvcore_policy **policy)
{
    for (uint32_t k = 0; k < 8; k++) {
        hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;
        hvcore_trap_rule rule = HVCORE_TRAP_RULE_INIT;

        opts.arch = HVCORE_ARCH_RISCV64;
        opts.allow_exit = 1;
        policy[k] = NULL;
        OK(hvcore_policy_create(&opts, &policy[k], NULL));
        rule.act = HVCORE_DO_EXIT;
        for (uint32_t i = 0; i <= k; i++) {
            rule.causes = UINT64_C(1) << (i < k ? 48 + i : HVCORE_RISCV64_BREAKPOINT);
            OK(hvcore_policy_rule_add(policy[k], &rule, NULL, NULL));
        }
    }
}

static void set_policy(world *w, hvcore_policy **policy, bool one_by_one)
{
    uint64_t k = w->setting + 1;

    w->setting = k;
    if (!one_by_one && hvcore_trap_policy_set(w->vm, policy[k % 8], NULL, NULL))
        bad(w, "policy");
    for (uint32_t i = 0; i < w->cpus && one_by_one; i++)
        if (hvcore_vcpu_trap_policy_set(w->cpu[i].vcpu, policy[k % 8], NULL, NULL))
            bad(w, "policy of a vCPU");
    w->set = k;
}

static void policies(const char *backend)
{
    world w;
    hvcore_policy *policy[8];
    uint64_t exits = 0, n = 0, seed = 1;

    if (!up(&w, backend, CPUS, BREAKER, toy_breaker))
        return;
    make_policies(policy);
    set_policy(&w, policy, false);
    start(&w);
    for (uint64_t end = end_ms(); now_ms() < end || n < 10; n++) {
        nap(rnd(&seed) % 30000);
        set_policy(&w, policy, n & 64);
    }
    join(&w);
    for (uint32_t i = 0; i < w.cpus; i++)
        exits += w.cpu[i].exits;
    printf("(%llu policies, %llu traps) ", (unsigned long long)n, (unsigned long long)exits);
    CU_ASSERT(exits > n / 8);
    for (uint32_t k = 0; k < 8; k++)
        hvcore_policy_unref(policy[k]);
    down(&w);
}

static void policy_toy(void)
{
    policies("toy");
}

static void policy_bare(void)
{
    policies("bare");
}

/* --- pause ------------------------------------------------------------------------------------ */
static int toy_counter(toy_vcpu *v, void *user, hvcore_event *event)
{
    cpu *c = user;

    (void)v, (void)event;
    if (c->w->paused)
        bad(c->w, "the guest runs while paused");
    c->seen++;
    return 0;
}

static uint64_t count_of(world *w, uint32_t i)
{
    uint64_t value = 0;

    if (w->is_toy)
        return w->cpu[i].seen;
    if (hvcore_vm_read(w->vm, DATA + 8 * (uint64_t)i, &value, 8))
        bad(w, "read");
    return value;
}

/* The same while others run: a plain copy must not race with the guest's stores. */
static uint64_t still_count_of(world *w, uint32_t i)
{
    uint64_t value;

    OK(hvcore_vm_pause(w->vm));
    value = count_of(w, i);
    OK(hvcore_vm_resume(w->vm));
    return value;
}

static void *pauser(void *user)
{
    world *w = user;
    uint64_t seed = (uintptr_t)&seed;

    while (!w->over) {
        uint64_t before[CPUS];

        if (hvcore_vm_pause(w->vm))
            bad(w, "pause");
        w->paused++;
        for (uint32_t i = 0; i < w->cpus; i++)
            before[i] = count_of(w, i);
        nap(rnd(&seed) % 30000);
        for (uint32_t i = 0; i < w->cpus; i++)
            if (count_of(w, i) != before[i] || (w->is_toy && w->cpu[i].guest->in_guest))
                bad(w, "the guest runs while paused");
        w->paused--;
        if (hvcore_vm_resume(w->vm))
            bad(w, "resume");
        nap(rnd(&seed) % 60000);
    }
    return NULL;
}

static void paused(const char *backend)
{
    world w;
    pthread_t thread[2];

    if (!up(&w, backend, CPUS, COUNTER, toy_counter))
        return;
    hvcore_mem_unref(fresh_page(&w, 0, DATA));
    start(&w);
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, pauser, &w);
    for (uint64_t end = end_ms(); now_ms() < end;)
        nap(MS);
    w.over = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    w.over = 0;
    for (uint32_t i = 0; i < w.cpus; i++) { /* all resumed: they get on */
        uint64_t before = still_count_of(&w, i);

        while (still_count_of(&w, i) == before && !w.bad)
            sched_yield();
    }
    join(&w);
    WANT(hvcore_vm_resume(w.vm), -HVCORE_E_STATE);
    down(&w);
    while (graveyard.count)
        free(graveyard.page[--graveyard.count]);
}

static void pause_toy(void)
{
    paused("toy");
}

static void pause_bare(void)
{
    paused("bare");
}

/* --- MMIO ranges that go away ----------------------------------------------------------------- */
typedef struct range {
    world *w;
    uint64_t gen;
} range;

static uint32_t range_read(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                           uint64_t *value)
{
    range *r = user;
    cpu *c = &r->w->cpu[hvcore_vcpu_index(vcpu)];

    (void)gpa, (void)width;
    if (r->gen <= c->mark)
        bad(r->w, "a removed range was used");
    c->seen++;
    *value = r->gen;
    return HVCORE_MMIO_EXIT;
}

static int toy_device_reader(toy_vcpu *v, void *user, hvcore_event *event)
{
    cpu *c = user;

    *event = toy_access(toy_load_insn(3, 5), DATA + 8 * c->index);
    event->pc = v->frame.pc;
    return 1;
}

static void ranges(const char *backend)
{
    static range all[4096];
    world w;
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    uint64_t gen = 0, seed = 4;

    if (!up(&w, backend, CPUS, READER, toy_device_reader))
        return;
    ops.read = range_read;
    start(&w);
    for (uint64_t end = end_ms(); (now_ms() < end || !w.cpu[0].seen) && gen < 4096; gen++) {
        uint32_t id = 0;

        all[gen] = (range){&w, gen + 1};
        if (hvcore_vm_mmio_add(w.vm, DATA, 64, &ops, &all[gen], &id, NULL))
            bad(&w, "add");
        nap(rnd(&seed) % 80000);
        if (hvcore_vm_mmio_remove(w.vm, id))
            bad(&w, "remove");
        w.removed = gen + 1;
        nap(rnd(&seed) % 10000);
    }
    join(&w);
    CU_ASSERT(w.cpu[0].seen > 0);
    down(&w);
}

static void mmio_toy(void)
{
    ranges("toy");
}

static void mmio_bare(void)
{
    ranges("bare");
}

/* --- callbacks that ask for a rendezvous at the same time ------------------------------------- */
/* Both are in here, or one is gone for good. */
static void meet(world *w, int which)
{
    int turn = ++w->barrier[which];

    while (w->barrier[which] < (turn + 1) / 2 * 2 && !w->over)
        sched_yield();
}

static uint32_t both_read(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                          uint64_t *value)
{
    world *w = user;
    cpu *c = &w->cpu[hvcore_vcpu_index(vcpu)];
    hvcore_map_opts mapping = HVCORE_MAP_OPTS_INIT;
    int rc = 0;

    (void)gpa, (void)width;
    *value = 0;
    mapping.gpa = OTHER + c->index * PAGE;
    rc |= hvcore_vm_map(w->vm, w->ram, &mapping, NULL);
    meet(w, 0);
    rc |= hvcore_vm_unmap(w->vm, mapping.gpa, PAGE, NULL);
    meet(w, 1);
    switch (c->seen % 3) {
    case 0:
        rc |= hvcore_vm_pause(w->vm);
        rc |= hvcore_vm_resume(w->vm);
        break;
    case 1:
        rc |= hvcore_vm_protect(w->vm, RAM, PAGE, HVCORE_PROT_RWX, NULL);
        break;
    default:
        rc |= hvcore_vcpu_cancel(w->cpu[!c->index].vcpu, 7);
    }
    if (rc)
        bad(w, "a call from a callback failed");
    c->seen++;
    return HVCORE_MMIO_DONE;
}

static void callbacks(const char *backend)
{
    world w;
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;

    if (!up(&w, backend, 2, READER, toy_device_reader))
        return;
    ops.read = both_read;
    OK(hvcore_vm_mmio_add(w.vm, DATA, 64, &ops, &w, NULL, NULL));
    start(&w);
    for (uint64_t end = end_ms(); now_ms() < end || w.cpu[0].seen < 10;)
        nap(MS);
    join(&w);
    printf("(%llu meetings) ", (unsigned long long)w.cpu[0].seen);
    down(&w);
}

static void callbacks_toy(void)
{
    callbacks("toy");
}

static void callbacks_bare(void)
{
    callbacks("bare");
}

/* --- everything at once ----------------------------------------------------------------------- */
static int toy_anything(toy_vcpu *v, void *user, hvcore_event *event)
{
    cpu *c = user;
    uint64_t value;

    c->seen++;
    if (c->seen % 64 == 0)
        return toy_breaker(v, user, event);
    if (c->seen % 16 == 0 || !toy_read(v, DATA + 8 * c->index, &value)) {
        *event = toy_access(toy_load_insn(3, 5), c->seen % 2 ? DATA : DEV);
        event->pc = v->frame.pc;
        return 1;
    }
    return 0;
}

static uint32_t any_write(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                          uint64_t value)
{
    (void)user, (void)vcpu, (void)gpa, (void)width, (void)value;
    return HVCORE_MMIO_DONE;
}

static uint32_t any_read(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                         uint64_t *value)
{
    (void)user, (void)vcpu, (void)gpa, (void)width;
    *value = 1;
    return HVCORE_MMIO_DONE;
}

typedef struct meddler {
    world *w;
    hvcore_policy **policy;
    pthread_t thread;
    uint64_t seed, turns;
} meddler;

/* One of four; each has its own page and range, the policies belong to the first. */
static void *meddle(void *user)
{
    meddler *m = user;
    world *w = m->w;
    uint64_t page = m->seed % 4;
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;

    ops.read = any_read;
    ops.write = any_write;
    for (; !w->over; m->turns++) {
        uint64_t x = rnd(&m->seed), gpa = DATA + page * PAGE, value = 0;
        hvcore_vcpu_stats stats = HVCORE_VCPU_STATS_INIT;
        hvcore_vcpu *vcpu = w->cpu[x >> 32 & 1].vcpu;
        hvcore_mem *mem;
        hvcore_view *view = NULL;
        void *p = NULL;
        uint32_t id = 0;
        int rc = 0;

        switch (x % 8) {
        case 0:
        case 1:
            mem = fresh_page(w, 1, gpa);
            nap(x >> 8 & 0x3fff);
            rc |= hvcore_vm_protect(w->vm, gpa, PAGE, HVCORE_PROT_R, NULL);
            rc |= hvcore_vm_write(w->vm, gpa + 2048, &value, 8);
            rc |= hvcore_vm_read(w->vm, gpa + 2048, &value, 8);
            rc |= hvcore_view_get(w->vm, gpa, 8, HVCORE_PROT_R, &view, &p);
            rc |= hvcore_vm_unmap(w->vm, gpa, PAGE, NULL) != -HVCORE_E_BUSY;
            hvcore_view_put(view);
            hvcore_mem_unref(mem);
            rc |= hvcore_vm_unmap(w->vm, gpa, PAGE, NULL);
            break;
        case 2:
            if (page)
                break;
            set_policy(w, m->policy, x & 256);
            break;
        case 3:
            rc |= hvcore_vm_pause(w->vm);
            nap(x >> 8 & 0xfff);
            rc |= hvcore_vm_resume(w->vm);
            break;
        case 4:
            rc |= hvcore_vm_mmio_add(w->vm, DEV + page * PAGE, 64, &ops, NULL, &id, NULL);
            nap(x >> 8 & 0x3fff);
            rc |= hvcore_vm_mmio_remove(w->vm, id);
            break;
        case 5:
            rc |= hvcore_vcpu_cancel(vcpu, (uint32_t)x);
            break;
        case 6:
            rc |= hvcore_vcpu_stats_get(vcpu, &stats);
            hvcore_vcpu_unref(hvcore_vcpu_ref(vcpu));
            break;
        default:
            nap(x >> 8 & 0x7fff);
        }
        if (rc)
            bad(w, "a call of a meddler failed");
    }
    return NULL;
}

static void everything(const char *backend)
{
    world w;
    hvcore_policy *policy[8];
    hvcore_mem *log = NULL;
    hvcore_map_opts mapping = HVCORE_MAP_OPTS_INIT;
    meddler m[4];

    if (!up(&w, backend, CPUS, ANYTHING, toy_anything))
        return;
    OK(hvcore_mem_alloc(w.ctx, PAGE, 0, &log, NULL));
    mapping.gpa = LOG;
    OK(hvcore_vm_map(w.vm, log, &mapping, NULL));
    make_policies(policy);
    set_policy(&w, policy, false);
    start(&w);
    for (uint32_t i = 0; i < 4; i++) {
        m[i] = (meddler){.w = &w, .policy = policy, .seed = i};
        pthread_create(&m[i].thread, NULL, meddle, &m[i]);
    }
    for (uint64_t end = end_ms(); now_ms() < end;)
        nap(MS);
    w.over = 1;
    for (uint32_t i = 0; i < 4; i++)
        pthread_join(m[i].thread, NULL);
    join(&w);
    for (uint32_t k = 0; k < 8; k++)
        hvcore_policy_unref(policy[k]);
    hvcore_mem_unref(log);
    down(&w);
    while (graveyard.count)
        free(graveyard.page[--graveyard.count]);
}

static void everything_toy(void)
{
    everything("toy");
}

static void everything_bare(void)
{
    everything("bare");
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"unmap and protect (toy)", unmap_toy},
        {"unmap and protect (bare)", unmap_bare},
        {"code (bare)", code_bare},
        {"policies (toy)", policy_toy},
        {"policies (bare)", policy_bare},
        {"pause (toy)", pause_toy},
        {"pause (bare)", pause_bare},
        {"MMIO ranges (toy)", mmio_toy},
        {"MMIO ranges (bare)", mmio_bare},
        {"callbacks (toy)", callbacks_toy},
        {"callbacks (bare)", callbacks_bare},
        {"everything (toy)", everything_toy},
        {"everything (bare)", everything_bare},
        {NULL, NULL},
    };

    signal(SIGALRM, stuck);
    alarm(120);
    return hvc_unit_main("rendezvous", tests);
}
