/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small arm64 machines for the tests of kvm: 2 MiB of memory, guests of a few instructions.
 *
 * The host sets x29 to OUT, where nothing is, and x30 to RAM + DATA. A guest stores what it has to
 * say at OUT; an exception is stored at OUT + 8, by its vector (0 to 15; DDI0487 table D1-5), with
 * ESR, FAR and ELR in x27, x26, x25.
 */
#ifndef HVC_TESTS_KVM_ARM64_H
#define HVC_TESTS_KVM_ARM64_H

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "tests/kvm/check.h"

#define RAM UINT64_C(0x40000000)
#define OUT UINT64_C(0x0a000000)
#define HOLE UINT64_C(0x60000000)
#define MS UINT64_C(1000000)

enum {
    RAM_LEN = 0x200000,
    CODE = 0x1000,
    VECTORS = 0x8000,
    SECOND = 0x10000, /* code of the second vCPU */
    DATA = 0x20000,
    VECTOR_SYNC = 4,
    VECTOR_IRQ = 5,
    VECTOR_FIQ = 6,
    VECTOR_SERROR = 7,
    LONG_MS = 10000 /* so long nothing takes, even under emulation */
};

/* A guest's instructions, as data. Global: the linker gets a local one's place in the GOT wrong. */
#define GUEST(name, text)                                                       \
    __asm__(".pushsection .rodata\n.balign 2048\n.arch armv8.2-a\n"             \
            ".globl guest_" #name ", guest_" #name "_end\n"                     \
            "guest_" #name ":\n" text "\nguest_" #name "_end:\n.popsection\n"); \
    extern const char guest_##name[], guest_##name##_end[]

GUEST(vectors, ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
               ".balign 128\n"
               "mov x28, #\\i\n"
               "b 1f\n"
               ".endr\n"
               ".balign 128\n"
               "1: mrs x27, esr_el1\n"
               "mrs x26, far_el1\n"
               "mrs x25, elr_el1\n"
               "str x28, [x29, #8]\n"
               "b .\n");

#define PC HVCORE_REG_ARM64_PC
#define X(n) (HVCORE_REG_ARM64_X0 + ((hvcore_reg)(n) << 8))
/* A system register by its encoding. */
#define SYS(op0, op1, crn, crm, op2) \
    (UINT32_C(0x02000008) |          \
     (uint32_t)((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2)) << 8)

enum { CPUS = 2 };

typedef struct machine {
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;
    hvcore_vcpu *cpu[CPUS];
} machine;

static hvcore_error e; /* of the last call that took it */

static inline void put_u64(hvcore_vcpu *cpu, hvcore_reg reg, uint64_t value)
{
    int rc = hvcore_reg_set_u64(cpu, reg, value);

    check_that(rc == 0, __FILE__, __LINE__, "register 0x%x cannot be written: %s", reg,
               hvcore_strerror(rc));
}

static inline uint64_t get_u64(hvcore_vcpu *cpu, hvcore_reg reg)
{
    uint64_t value = 0;
    int rc = hvcore_reg_get_u64(cpu, reg, &value);

    check_that(rc == 0, __FILE__, __LINE__, "register 0x%x cannot be read: %s", reg,
               hvcore_strerror(rc));
    return value;
}

static inline void put_code(machine *m, uint64_t gpa, const char *from, const char *to)
{
    SAME(hvcore_vm_write(m->vm, gpa, from, (size_t)(to - from)), 0);
}

/* The guest's code, and the registers that all of them have. */
static inline void load_at(machine *m, const char *from, const char *to)
{
    put_code(m, RAM + CODE, from, to);
    put_code(m, RAM + VECTORS, guest_vectors, guest_vectors_end);
    put_u64(m->cpu[0], PC, RAM + CODE);
    put_u64(m->cpu[0], X(29), OUT);
    put_u64(m->cpu[0], X(30), RAM + DATA);
    put_u64(m->cpu[0], HVCORE_REG_ARM64_VBAR_EL1, RAM + VECTORS);
}
#define LOAD(m, name) load_at(m, guest_##name, guest_##name##_end)

static inline void unmake(machine *m)
{
    for (int i = 0; i < CPUS; i++) {
        hvcore_vcpu_unref(m->cpu[i]);
    }
    hvcore_mem_unref(m->mem);
    hvcore_vm_unref(m->vm);
    hvcore_ctx_unref(m->ctx);
}

static inline bool make_cpus(machine *m, unsigned cpus)
{
    for (unsigned i = 0; i < cpus; i++) {
        hvcore_vcpu_opts o = HVCORE_VCPU_OPTS_INIT;

        o.flags = i ? HVCORE_VCPU_OFF : 0;
        if (!OK(hvcore_vcpu_create(m->vm, i, &o, &m->cpu[i], &e)))
            return false;
    }
    return true;
}

/* False, and it has said why: there is nothing to be unmade. */
static inline bool make_bare(machine *m, uint32_t flags)
{
    hvcore_vm_opts o = HVCORE_VM_OPTS_INIT;
    hvcore_map_opts at = HVCORE_MAP_OPTS_INIT;

    *m = (machine){0};
    e = (hvcore_error)HVCORE_ERROR_INIT;
    o.arch = HVCORE_ARCH_ARM64;
    o.backend = "kvm";
    o.max_vcpus = CPUS;
    o.flags = flags;
    at.gpa = RAM;
    if (OK(hvcore_ctx_create(NULL, &m->ctx, &e)) && OK(hvcore_vm_create(m->ctx, &o, &m->vm, &e)) &&
        OK(hvcore_mem_alloc(m->ctx, RAM_LEN, 0, &m->mem, &e)) &&
        OK(hvcore_vm_map(m->vm, m->mem, &at, &e)))
        return true;
    unmake(m);
    return false;
}

static inline bool make(machine *m, unsigned cpus)
{
    if (!make_bare(m, 0))
        return false;
    if (make_cpus(m, cpus))
        return true;
    unmake(m);
    return false;
}

static inline void sleep_ms(unsigned ms)
{
    const struct timespec t = {ms / 1000, (long)(ms % 1000 * MS)};

    nanosleep(&t, NULL);
}

/* ---- running -------------------------------------------------------------------------------- */

/* Not NULL: if the run fails, an exit without a reason. */
static inline const hvcore_exit *go_for(hvcore_vcpu *cpu, unsigned ms)
{
    static const hvcore_exit none = {.size = sizeof(none)};
    hvcore_run_opts o = HVCORE_RUN_OPTS_INIT;
    const hvcore_exit *exit = &none;

    o.deadline_ns = hvcore_clock_ns() + ms * MS;
    OK(hvcore_vcpu_run(cpu, &o, &exit, &e));
    return exit;
}

static inline const hvcore_exit *go(hvcore_vcpu *cpu)
{
    return go_for(cpu, LONG_MS);
}

static inline bool exits_with(const hvcore_exit *x, uint32_t reason, int line)
{
    return check_that(x->reason == reason, __FILE__, line, "exit %s, not %s",
                      hvcore_exit_reason_name(x->reason), hvcore_exit_reason_name(reason));
}
#define WANT_EXIT(x, reason) exits_with(x, reason, __LINE__)

/* Runs until the guest says something at OUT + at; it says this. */
static inline bool says_at(hvcore_vcpu *cpu, uint64_t at, uint64_t value, int line)
{
    const hvcore_exit *x = go(cpu);
    const hvcore_exit_mmio *m = &x->u.mmio;
    bool right = x->reason == HVCORE_EXIT_MMIO && m->write && m->width == 8 && m->addr == OUT + at;

    return check_that(right && m->data == value, __FILE__, line,
                      "the guest says 0x%llx at 0x%llx (exit %s), not 0x%llx at 0x%llx",
                      (unsigned long long)m->data, (unsigned long long)m->addr,
                      hvcore_exit_reason_name(x->reason), (unsigned long long)value,
                      (unsigned long long)(OUT + at));
}
#define SAYS(cpu, value) says_at(cpu, 0, value, __LINE__)
/* It has taken an exception there. */
#define TAKES(cpu, vector) says_at(cpu, 8, vector, __LINE__)
#define ESR(cpu) get_u64(cpu, X(27))
#define FAR(cpu) get_u64(cpu, X(26))
#define ELR(cpu) get_u64(cpu, X(25))

enum { EC_SHIFT = 26, EC_IABT = 0x21, EC_DABT = 0x25, FSC_EXTERNAL = 0x10, FSC = 0x3f };

/* A run in a thread of its own. */
typedef struct runner {
    hvcore_vcpu *cpu;
    pthread_t thread;
    int rc;
    hvcore_error e;
    hvcore_exit exit;
} runner;

static inline void *run_thread(void *arg)
{
    runner *r = arg;
    hvcore_run_opts o = HVCORE_RUN_OPTS_INIT;
    const hvcore_exit *exit;

    o.deadline_ns = hvcore_clock_ns() + LONG_MS * MS;
    r->rc = hvcore_vcpu_run(r->cpu, &o, &exit, &r->e);
    if (!r->rc)
        r->exit = *exit;
    return NULL;
}

static inline bool run_beside(runner *r, hvcore_vcpu *cpu)
{
    *r = (runner){.cpu = cpu, .e = HVCORE_ERROR_INIT};
    return CHECK(pthread_create(&r->thread, NULL, run_thread, r) == 0);
}

static inline const hvcore_exit *join(runner *r)
{
    pthread_join(r->thread, NULL);
    check_that(r->rc == 0, __FILE__, __LINE__, "the other thread's run: %s", r->e.message);
    return &r->exit;
}

/* ---- the kernel's GIC ----------------------------------------------------------------------- */

#define GICD UINT64_C(0x08000000)
#define GICR UINT64_C(0x080a0000)
enum { LINES = 64 };

static inline int make_gic(machine *m, uint32_t kind)
{
    hvcore_irqchip_opts o = HVCORE_IRQCHIP_OPTS_INIT;

    o.kind = kind;
    o.gpa = GICD;
    o.gpa_cpu = GICR;
    o.lines = LINES;
    return hvcore_irqchip_create(m->vm, &o, &e);
}

#endif
