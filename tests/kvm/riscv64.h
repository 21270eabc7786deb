/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A riscv64 guest on kvm for tests: 2 MiB of memory at RAM, code by tests/unit/rv.h. It tells its
 * results by calls of a vendor extension, which leave KVM: an exit HYPERCALL with up to six values.
 *
 * With translation (PAGED) the memory is at RAM for VS-mode and at USER for VU-mode.
 */
#ifndef HVC_TESTS_KVM_RISCV64_H
#define HVC_TESTS_KVM_RISCV64_H

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "tests/kvm/check.h"
#include "tests/unit/rv.h"

#define RAM UINT64_C(0x80000000)
#define USER UINT64_C(0x40000000)
#define DEVICE UINT64_C(0x10000000) /* no memory */
#define NOTHING UINT64_C(0x100000)  /* nor is this */
#define CODE (RAM + 0x1000)
#define HANDLER (RAM + 0x2000)
#define DATA (RAM + 0x3000)
#define ROOT (RAM + 0x4000)
#define SECOND_CODE (RAM + 0x5000)
#define VENDOR UINT64_C(0x09000000)
#define REPORT 1 /* fid of a report, TRAP that of the handler */
#define TRAP 2

enum { RAM_SIZE = 2 << 20, HARTS = 4, LIMIT_S = 20 };

enum {
    CSR_SSTATUS = 0x100,
    CSR_SIE = 0x104,
    CSR_STVEC = 0x105,
    CSR_SSCRATCH = 0x140,
    CSR_SEPC = 0x141,
    CSR_SCAUSE = 0x142,
    CSR_STVAL = 0x143,
    CSR_SIP = 0x144,
    CSR_STIMECMP = 0x14d,
    CSR_SATP = 0x180,
    CSR_TIME = 0xc01,
    SIE_BIT = 2, /* sstatus.SIE */
    ISA_A = 0,   /* the kernel's numbers of extensions */
    ISA_D = 2,
    ISA_SSTC = 8,
    ISA_ZKR = 32,
    SBI_SRST = 4,
    SBI_DBCN = 9,
    SBI_SUSP = 11
};

typedef struct machine {
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;
    uint8_t *ram;
    hvcore_vcpu *cpu[HARTS];
    const hvcore_exit *exit; /* of the last run */
} machine;

static hvcore_error e = HVCORE_ERROR_INIT;

#define REG(class, index) ((hvcore_reg)((class) << 24 | (index) << 8 | 8))
#define X(n) REG(HVCORE_REG_GPR, n)

/* ---- life ------------------------------------------------------------------------------------ */

static inline void add_cpu(machine *m, uint32_t index, uint32_t flags)
{
    hvcore_vcpu_opts o = HVCORE_VCPU_OPTS_INIT;

    o.flags = flags;
    OK(hvcore_vcpu_create(m->vm, index, &o, &m->cpu[index], &e));
}

/* Without vCPUs; a test cannot go on without it. */
static inline void make_vm(machine *m, uint64_t isa)
{
    hvcore_vm_opts o = HVCORE_VM_OPTS_INIT;
    hvcore_map_opts at = HVCORE_MAP_OPTS_INIT;

    *m = (machine){0};
    o.arch = HVCORE_ARCH_RISCV64;
    o.backend = "kvm";
    o.max_vcpus = HARTS;
    o.isa = isa;
    at.gpa = RAM;
    if (!OK(hvcore_ctx_create(NULL, &m->ctx, &e)) ||
        !OK(hvcore_vm_create(m->ctx, &o, &m->vm, &e)) ||
        !OK(hvcore_mem_alloc(m->ctx, RAM_SIZE, 0, &m->mem, &e)) ||
        !OK(hvcore_vm_map(m->vm, m->mem, &at, &e))) {
        printf("not ok a machine\n0 passed, 1 failed, 0 skipped\n");
        exit(1);
    }
    m->ram = hvcore_mem_ptr(m->mem);
}

static inline void make(machine *m)
{
    make_vm(m, 0);
    add_cpu(m, 0, 0);
}

static inline void unmake(machine *m)
{
    for (unsigned i = 0; i < HARTS; i++)
        hvcore_vcpu_unref(m->cpu[i]);
    hvcore_vm_unref(m->vm);
    hvcore_mem_unref(m->mem);
    hvcore_ctx_unref(m->ctx);
}

/* ---- registers, code ------------------------------------------------------------------------- */

static inline uint64_t get(hvcore_vcpu *cpu, hvcore_reg reg)
{
    uint64_t value = 0;
    int rc = hvcore_reg_get_u64(cpu, reg, &value);

    check_that(rc == 0, __FILE__, __LINE__, "register 0x%x: %s", reg, hvcore_strerror(rc));
    return value;
}

static inline void set(hvcore_vcpu *cpu, hvcore_reg reg, uint64_t value)
{
    int rc = hvcore_reg_set_u64(cpu, reg, value);

    check_that(rc == 0, __FILE__, __LINE__, "register 0x%x: %s", reg, hvcore_strerror(rc));
}

/* Does the guest have an extension of the ISA or of SBI? */
static inline bool has(hvcore_vcpu *cpu, uint32_t class, uint32_t number)
{
    uint64_t value = 0;

    return !hvcore_reg_get_u64(cpu, REG(class, number), &value) && value;
}

static inline rv_code code_at(machine *m, uint64_t address)
{
    return rv_at(m->ram + (address - RAM), address);
}

static inline void call(rv_code *c, uint64_t eid, uint64_t fid)
{
    rv_li(c, RV_A7, eid);
    rv_li(c, RV_A6, fid);
    rv_put(c, rv_ecall());
}

static inline void report(rv_code *c)
{
    call(c, VENDOR, REPORT);
}

/* At HANDLER: tells scause, stval, sepc, sstatus, and waits for what the host makes of it. */
static inline void put_handler(machine *m)
{
    rv_code c = code_at(m, HANDLER);

    rv_put(&c, rv_csrw(CSR_SSCRATCH, RV_A0));
    rv_put(&c, rv_csrr(RV_A0, CSR_SCAUSE));
    rv_put(&c, rv_csrr(RV_A1, CSR_STVAL));
    rv_put(&c, rv_csrr(RV_A2, CSR_SEPC));
    rv_put(&c, rv_csrr(RV_A3, CSR_SSTATUS));
    call(&c, VENDOR, TRAP);
    rv_put(&c, rv_jal(0, 0));
    set(m->cpu[0], HVCORE_REG_RISCV64_VSTVEC, HANDLER);
}

/* Sv39: the gigabyte of RAM twice. */
static inline void paged(machine *m)
{
    uint64_t *root = (uint64_t *)(void *)(m->ram + (ROOT - RAM));
    uint64_t leaf = RAM >> 12 << 10 | 0xcf; /* D A X W R V */

    root[RAM >> 30] = leaf;
    root[USER >> 30] = leaf | 0x10; /* U */
    root[DEVICE >> 30] = 0xdf;      /* its own gigabyte, for VU-mode */
    set(m->cpu[0], HVCORE_REG_RISCV64_VSATP, UINT64_C(8) << 60 | ROOT >> 12);
}

static inline void start_at(hvcore_vcpu *cpu, uint64_t pc, uint64_t mode)
{
    set(cpu, HVCORE_REG_RISCV64_PC, pc);
    set(cpu, HVCORE_REG_RISCV64_MODE, mode);
}

/* ---- running --------------------------------------------------------------------------------- */

/* The reason, or a negative value. Nothing waits longer than LIMIT_S. */
static inline int run_cpu(machine *m, uint32_t index, const hvcore_exit **exit)
{
    hvcore_run_opts o = {.size = sizeof(o),
                         .flags = HVCORE_RUN_WAIT,
                         .deadline_ns = hvcore_clock_ns() + LIMIT_S * UINT64_C(1000000000)};
    int rc = hvcore_vcpu_run(m->cpu[index], &o, exit, &e);

    return rc ? rc : (int)(*exit)->reason;
}

static inline int run(machine *m)
{
    return run_cpu(m, 0, &m->exit);
}

static inline bool runs_to(machine *m, uint32_t reason, int line)
{
    int rc = run(m);

    return check_that(rc == (int)reason, __FILE__, line, "the run gives %d (%s), not %s", rc,
                      rc < 0 ? e.message : hvcore_exit_reason_name((uint32_t)rc),
                      hvcore_exit_reason_name(reason));
}

#define RUNS_TO(m, reason) runs_to(m, HVCORE_EXIT_##reason, __LINE__)

/* Runs to a call of the guest's. */
static inline bool calls(machine *m, uint64_t fid, int line)
{
    return runs_to(m, HVCORE_EXIT_HYPERCALL, line) &&
           check_that(m->exit->u.hypercall.nr == VENDOR && m->exit->u.hypercall.fid == fid,
                      __FILE__, line, "call 0x%llx, function %llu, a0 0x%llx, a1 0x%llx",
                      (unsigned long long)m->exit->u.hypercall.nr,
                      (unsigned long long)m->exit->u.hypercall.fid,
                      (unsigned long long)m->exit->u.hypercall.arg[0],
                      (unsigned long long)m->exit->u.hypercall.arg[1]);
}

#define REPORTS(m) calls(m, REPORT, __LINE__)
/* Runs to the guest's own trap handler: scause, stval, sepc are arg(m, 0), 1, 2. */
#define TRAPS(m) calls(m, TRAP, __LINE__)

static inline uint64_t arg(const machine *m, unsigned n)
{
    return m->exit->u.hypercall.arg[n];
}

static inline void complete(machine *m, uint64_t value)
{
    int rc = hvcore_vcpu_complete(m->cpu[0], &value, 1);

    check_that(rc == 0, __FILE__, __LINE__, "complete: %s", hvcore_strerror(rc));
}

static inline void wait_ms(uint64_t ms)
{
    struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000 * 1000000)};

    nanosleep(&t, NULL);
}

/* Runs while another thread does something. */
static inline int run_beside(machine *m, void *(*fn)(void *), void *user)
{
    pthread_t t;

    if (pthread_create(&t, NULL, fn, user))
        return -1;
    int rc = run(m);
    pthread_join(t, NULL);
    return rc;
}

/* ---- an instruction at CODE + 8, a1 at DEVICE ------------------------------------------------ */

static inline void put_access(machine *m, uint32_t insn, uint64_t mode)
{
    rv_code c = code_at(m, CODE);

    put_handler(m);
    rv_li(&c, RV_A1, DEVICE);
    while (rv_here(&c) < CODE + 8)
        rv_put(&c, rv_nop());
    rv_put(&c, insn);
    for (uint32_t n = 1; n < 32; n++)
        set(m->cpu[0], X(n), 0x1000 * n);
    if (mode == HVCORE_RISCV64_VU)
        paged(m);
    start_at(m->cpu[0], mode == HVCORE_RISCV64_VU ? CODE - RAM + USER : CODE, mode);
}

/* The instruction `at` has raised `cause`, and has changed nothing. */
static inline void check_denied(machine *m, uint64_t at, uint64_t cause, uint64_t stval)
{
    if (!TRAPS(m))
        return;
    SAME(arg(m, 0), cause);
    SAME(arg(m, 1), stval);
    SAME(arg(m, 2), at);
    for (uint32_t n = 1; n < 32; n++)
        if (n < RV_A0 || n > RV_A7)
            SAME(get(m->cpu[0], X(n)), 0x1000 * n);
    SAME(get(m->cpu[0], REG(HVCORE_REG_CSR, 0x240)), 0x1000 * RV_A0); /* the handler put it there */
}

#endif
