/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM of a few vCPUs through the public API, on the toy or on the software machine, with one piece
 * of memory that both sides see. Guests are written with rv.h.
 */
#ifndef HVC_TESTS_GUEST_H
#define HVC_TESTS_GUEST_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/rv.h"
#include "tests/unit/toy.h"

#define PAGE UINT64_C(4096)
#define RAM UINT64_C(0x80000000)
#define RAM_SIZE (UINT64_C(1) << 20)
#define DATA (RAM + 0x10000) /* words that the host looks at */
#define MS UINT64_C(1000000)
#define MAX_CPUS 4

/* CSRs by number. */
enum { CSR_SSTATUS = 0x100, CSR_SIE = 0x104, CSR_STVEC = 0x105, CSR_SIP = 0x144, CSR_SATP = 0x180 };

typedef struct guest {
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;
    uint8_t *ram;
    uint32_t cpus;
    hvcore_vcpu *cpu[MAX_CPUS];
    toy_vcpu *toy[MAX_CPUS];
    pthread_t thread[MAX_CPUS];
    const hvcore_exit *exit[MAX_CPUS];
    int rc[MAX_CPUS];
} guest;

/* A backend without what it takes is reported, and not a failure; later machines have it. */
static inline bool guest_up(guest *g, const char *backend, uint32_t cpus, uint32_t schedule,
                            uint32_t off)
{
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_map_opts mapping = HVCORE_MAP_OPTS_INIT;

    memset(g, 0, sizeof *g);
    toy_reset();
    toy.caps |= HVCORE_CAP_TIMER | HVCORE_CAP_LOCKSTEP;
    g->cpus = cpus;
    OK(hvcore_ctx_create(NULL, &g->ctx, NULL));
    OK(hvcore_ctx_backend_add(g->ctx, &toy_ops, NULL));
    opts.arch = HVCORE_ARCH_RISCV64;
    opts.backend = backend;
    opts.max_vcpus = cpus;
    opts.schedule = schedule;
    if (hvcore_vm_create(g->ctx, &opts, &g->vm, NULL)) {
        CU_FAIL("no such VM");
        hvcore_ctx_unref(g->ctx);
        return false;
    }
    OK(hvcore_mem_alloc(g->ctx, RAM_SIZE, 0, &g->mem, NULL));
    g->ram = hvcore_mem_ptr(g->mem);
    mapping.gpa = RAM;
    OK(hvcore_vm_map(g->vm, g->mem, &mapping, NULL));
    for (uint32_t i = 0; i < cpus; i++) {
        hvcore_vcpu_opts cpu = HVCORE_VCPU_OPTS_INIT;

        cpu.flags = off >> i & 1 ? HVCORE_VCPU_OFF : 0;
        OK(hvcore_vcpu_create(g->vm, i, &cpu, &g->cpu[i], NULL));
        OK(hvcore_reg_set_u64(g->cpu[i], HVCORE_REG_RISCV64_PC, RAM));
        OK(hvcore_reg_set_u64(g->cpu[i], HVCORE_REG_RISCV64_A0, i));
        g->toy[i] = strcmp(backend, "toy") ? NULL : toy.vcpu[i];
    }
    return true;
}

static inline void guest_down(guest *g)
{
    for (uint32_t i = 0; i < g->cpus; i++)
        hvcore_vcpu_unref(g->cpu[i]);
    hvcore_vm_unref(g->vm);
    hvcore_mem_unref(g->mem);
    hvcore_ctx_unref(g->ctx);
    if (toy.broken)
        printf("\n    rule broken: %s", toy.rule);
    WANT(toy.broken, 0);
}

/* A word of the guest's memory. */
static inline _Atomic uint64_t *guest_word(guest *g, uint64_t gpa)
{
    return (_Atomic uint64_t *)(void *)(g->ram + (gpa - RAM));
}

static inline rv_code guest_code(guest *g, uint64_t gpa)
{
    return rv_at(g->ram + (gpa - RAM), gpa);
}

static inline uint64_t guest_reg(guest *g, uint32_t i, hvcore_reg reg)
{
    uint64_t value = 0;

    OK(hvcore_reg_get_u64(g->cpu[i], reg, &value));
    return value;
}

/* Run vCPU i; the reason of its exit, or a negative error. */
static inline int guest_run(guest *g, uint32_t i, uint32_t flags, uint64_t deadline_ns)
{
    hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;

    opts.flags = flags;
    opts.deadline_ns = deadline_ns;
    g->rc[i] = hvcore_vcpu_run(g->cpu[i], &opts, &g->exit[i], NULL);
    return g->rc[i] ? g->rc[i] : (int)g->exit[i]->reason;
}

/* --- threads: each runs its vCPU with HVCORE_RUN_WAIT until something ends it ----------------- */

typedef struct guest_thread {
    guest *g;
    uint32_t i;
} guest_thread;

static inline void *guest_thread_main(void *user)
{
    guest_thread *t = user;

    (void)guest_run(t->g, t->i, HVCORE_RUN_WAIT, 0);
    return NULL;
}

static guest_thread guest_threads[MAX_CPUS];

static inline void guest_start(guest *g, uint32_t i)
{
    guest_threads[i] = (guest_thread){g, i};
    if (pthread_create(&g->thread[i], NULL, guest_thread_main, &guest_threads[i]))
        abort();
}

static inline void guest_join(guest *g, uint32_t i, uint32_t reason)
{
    pthread_join(g->thread[i], NULL);
    OK(g->rc[i]);
    if (!g->rc[i])
        WANT(g->exit[i]->reason, reason);
}

static inline void guest_cancel(guest *g, uint32_t i)
{
    OK(hvcore_vcpu_cancel(g->cpu[i], 1));
    guest_join(g, i, HVCORE_EXIT_CANCELLED);
}

static inline void guest_nap(uint64_t ns)
{
    struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

    nanosleep(&t, NULL);
}

static inline void guest_stuck(int sig)
{
    static const char text[] = "\nstuck: somebody waits for ever\n";

    (void)sig;
    if (write(2, text, sizeof text - 1))
        _exit(1);
    _exit(1);
}

/* --- the calls of a guest --------------------------------------------------------------------- */

/* a7 = eid, a6 = fid; ecall */
static inline void guest_sbi(rv_code *c, uint64_t eid, uint64_t fid)
{
    rv_li(c, RV_A7, eid);
    rv_li(c, RV_A6, fid);
    rv_put(c, rv_ecall());
}

static inline void guest_shutdown(rv_code *c)
{
    rv_li(c, RV_A0, 0);
    rv_li(c, RV_A1, 0);
    guest_sbi(c, 0x53525354, 0);
}

#endif
