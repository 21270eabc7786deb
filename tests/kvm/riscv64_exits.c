/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riscv64 on a real kernel: exits and their answers (MMIO, SBI, CSRs, EBREAK), and the traps that the
 * guest's own kernel gets.
 */
#include "tests/kvm/riscv64.h"

/* ---- MMIO ----------------------------------------------------------------------------------------- */

#define LOADED UINT64_C(0x8182838485868788)

static const struct access {
    uint32_t (*insn)(uint32_t, int32_t, uint32_t);
    uint32_t width;
    uint64_t result;
} loads[] = {{rv_lb, 1, UINT64_C(0xffffffffffffff88)},
             {rv_lbu, 1, 0x88},
             {rv_lh, 2, UINT64_C(0xffffffffffff8788)},
             {rv_lhu, 2, 0x8788},
             {rv_lw, 4, UINT64_C(0xffffffff85868788)},
             {rv_lwu, 4, 0x85868788},
             {rv_ld, 8, LOADED}},
  stores[] = {{rv_sb, 1, 0x88}, {rv_sh, 2, 0x8788}, {rv_sw, 4, 0x85868788}, {rv_sd, 8, LOADED}};

enum {
    LOADS = sizeof loads / sizeof *loads,
    STORES = sizeof stores / sizeof *stores,
    C_LW = 0x4190, /* c.lw a2, 0(a1) */
    C_SW = 0xc190, /* c.sw a2, 0(a1) */
    C_NOP = 0x0001
};

/* Loads into s2 to s8, stores of t0, a load and a store of 16 bits, a report. */
static void put_accesses(machine *m)
{
    rv_code c = code_at(m, CODE);

    rv_li(&c, RV_A1, DEVICE);
    rv_li(&c, RV_T0, LOADED);
    for (uint32_t i = 0; i < LOADS; i++)
        rv_put(&c, loads[i].insn(RV_S2 + i, (int32_t)(8 * i), RV_A1));
    for (uint32_t i = 0; i < STORES; i++)
        rv_put(&c, stores[i].insn(RV_T0, (int32_t)(8 * i), RV_A1));
    rv_half(&c, C_LW);
    rv_half(&c, C_SW);
    report(&c);
    set(m->cpu[0], HVCORE_REG_RISCV64_PC, CODE);
}

/* Linux 6.12 extends with zeros whatever the instruction is; 7.2 does it right. */
static void check_loaded(machine *m)
{
    bool wrong = get(m->cpu[0], X(RV_S2)) == 0x88;

    for (uint32_t i = 0; i < LOADS; i++) {
        uint64_t bits = UINT64_MAX >> (64 - 8 * loads[i].width);

        SAME(get(m->cpu[0], X(RV_S2 + i)), loads[i].result & (wrong ? bits : UINT64_MAX));
    }
    SAME(get(m->cpu[0], X(RV_A2)), wrong ? 0x85868788 : UINT64_C(0xffffffff85868788));
    if (wrong)
        printf("# this kernel does not sign-extend what lb, lh, lw load from a device\n");
}

/* Accesses in their order: address and width, and what was stored. */
static struct {
    uint64_t gpa, value;
    uint32_t width, write;
} seen[32];
static unsigned seen_count;

static void see(uint64_t gpa, uint32_t width, uint32_t write, uint64_t value)
{
    if (seen_count < 32) {
        seen[seen_count].gpa = gpa;
        seen[seen_count].width = width;
        seen[seen_count].write = write;
        seen[seen_count].value = value;
    }
    seen_count++;
}

static uint32_t on_read(void *user, hvcore_vcpu *cpu, uint64_t gpa, uint32_t width, uint64_t *value)
{
    (void)user, (void)cpu;
    see(gpa, width, 0, 0);
    *value = LOADED; /* what is beyond the width is nobody's */
    return HVCORE_MMIO_DONE;
}

static uint32_t on_write(void *user, hvcore_vcpu *cpu, uint64_t gpa, uint32_t width, uint64_t value)
{
    (void)user, (void)cpu;
    see(gpa, width, 1, value);
    return HVCORE_MMIO_DONE;
}

static void check_seen(void)
{
    SAME(seen_count, LOADS + STORES + 2);
    for (uint32_t i = 0; i < LOADS; i++) {
        SAME(seen[i].gpa, DEVICE + 8 * i);
        SAME(seen[i].width, loads[i].width);
        SAME(seen[i].write, 0);
    }
    for (uint32_t i = 0; i < STORES; i++) {
        SAME(seen[LOADS + i].gpa, DEVICE + 8 * i);
        SAME(seen[LOADS + i].width, stores[i].width);
        SAME(seen[LOADS + i].write, 1);
        SAME(seen[LOADS + i].value, stores[i].result);
    }
    SAME(seen[LOADS + STORES].width, 4);
    SAME(seen[LOADS + STORES + 1].value, 0x85868788);
}

static void mmio_callback(void)
{
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    machine m;

    seen_count = 0;
    ops.read = on_read;
    ops.write = on_write;
    make(&m);
    OK(hvcore_vm_mmio_add(m.vm, DEVICE, 0x1000, &ops, NULL, NULL, &e));
    put_accesses(&m);
    CHECK(REPORTS(&m));
    check_seen();
    check_loaded(&m);
    unmake(&m);
}

/* Each as an exit; every second one with a look at the registers before the next run. */
static void mmio_exit(void)
{
    machine m;

    seen_count = 0;
    make(&m);
    put_accesses(&m);
    for (unsigned i = 0; i < LOADS + STORES + 2 && RUNS_TO(&m, MMIO); i++) {
        const hvcore_exit_mmio *a = &m.exit->u.mmio;

        see(a->addr, a->width, a->write, a->data);
        SAME(m.exit->gpa, a->addr);
        SAME(m.exit->flags, a->write ? 0 : HVCORE_EXIT_NEEDS_COMPLETION);
        if (!a->write) {
            uint64_t pc = get(m.cpu[0], HVCORE_REG_RISCV64_PC);

            FAILS(hvcore_vcpu_run(m.cpu[0], NULL, &m.exit, &e), HVCORE_E_STATE);
            complete(&m, LOADED);
            if (i % 2)
                SAME(get(m.cpu[0], HVCORE_REG_RISCV64_PC), pc + (i == LOADS + STORES ? 2 : 4));
        }
    }
    CHECK(REPORTS(&m));
    check_seen();
    check_loaded(&m);
    unmake(&m);
}

static uint32_t faulty_read(void *user, hvcore_vcpu *cpu, uint64_t gpa, uint32_t width,
                            uint64_t *value)
{
    (void)user, (void)cpu, (void)gpa, (void)width;
    *value = LOADED;
    return HVCORE_MMIO_FAULT;
}

/* The instruction at CODE + 4 has raised `cause`, and has changed nothing. */
static void check_denied(machine *m, uint64_t at, uint64_t cause, uint64_t stval)
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

static void put_access(machine *m, uint32_t insn, uint64_t mode)
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

static void denied(uint64_t mode)
{
    uint64_t at = (mode == HVCORE_RISCV64_VU ? CODE - RAM + USER : CODE) + 8;
    uint64_t stval = mode == HVCORE_RISCV64_VU ? 0 : DEVICE; /* translated: nobody says */
    machine m;

    for (unsigned write = 0; write < 2; write++) {
        make(&m);
        put_access(&m, write ? rv_sw(RV_S2, 0, RV_A1) : rv_lw(RV_S2, 0, RV_A1), mode);
        if (RUNS_TO(&m, MMIO)) {
            OK(hvcore_vcpu_deny(m.cpu[0], &e));
            FAILS(hvcore_vcpu_deny(m.cpu[0], &e), HVCORE_E_STATE);
            SAME(get(m.cpu[0], HVCORE_REG_RISCV64_PC), HANDLER);
            SAME(get(m.cpu[0], HVCORE_REG_RISCV64_MODE), HVCORE_RISCV64_VS);
            check_denied(&m, at, write ? 7 : 5, stval);
            SAME(arg(&m, 3) >> 8 & 1, mode == HVCORE_RISCV64_VS); /* sstatus.SPP */
        }
        unmake(&m);
    }
}

static void mmio_denied(void)
{
    denied(HVCORE_RISCV64_VS);
    denied(HVCORE_RISCV64_VU);
}

static void mmio_fault(void)
{
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    machine m;

    ops.read = faulty_read;
    make(&m);
    OK(hvcore_vm_mmio_add(m.vm, DEVICE, 0x1000, &ops, NULL, NULL, &e));
    put_access(&m, rv_lw(RV_S2, 0, RV_A1), HVCORE_RISCV64_VS);
    check_denied(&m, CODE + 8, 5, DEVICE);
    unmake(&m);
}

/* In place of an answer: another exception; no kernel's answer comes after it. */
static void mmio_inject(void)
{
    hvcore_inject what = HVCORE_INJECT_INIT;
    machine m;

    what.cause = HVCORE_RISCV64_LOAD_PAGE;
    what.tval = 0x1234;
    make(&m);
    put_access(&m, rv_lw(RV_S2, 0, RV_A1), HVCORE_RISCV64_VU);
    if (RUNS_TO(&m, MMIO)) {
        OK(hvcore_vcpu_inject(m.cpu[0], &what, &e));
        check_denied(&m, CODE - RAM + USER + 8, HVCORE_RISCV64_LOAD_PAGE, 0x1234);
    }
    for (what.cause = 0; what.cause < 70; what.cause++) {
        bool seen_by_guest = what.cause <= 8 || what.cause == 12 || what.cause == 13 ||
                             what.cause == 15 || what.cause == 18 || what.cause == 19;
        int rc = hvcore_vcpu_inject(m.cpu[0], &what, &e);

        CHECK(rc == (seen_by_guest ? 0 : -HVCORE_E_INVAL));
    }
    unmake(&m);
}

/* ---- SBI ------------------------------------------------------------------------------------------ */

static void call_answered(void)
{
    const uint64_t answer[2] = {0x51, 0x52};
    machine m;

    make(&m);
    rv_code c = code_at(&m, CODE);
    for (uint32_t n = RV_A0; n <= RV_A5; n++)
        rv_li(&c, n, 0x100 + n);
    rv_li(&c, RV_A7, VENDOR + 5);
    rv_li(&c, RV_A6, 77);
    uint64_t ecall = rv_here(&c);
    rv_put(&c, rv_ecall());
    rv_put(&c, rv_addi(RV_S2, RV_S2, 1));
    report(&c);
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    CHECK(RUNS_TO(&m, HYPERCALL));
    SAME(m.exit->u.hypercall.nr, VENDOR + 5);
    SAME(m.exit->u.hypercall.fid, 77);
    for (unsigned n = 0; n < 6; n++)
        SAME(arg(&m, n), 0x100 + RV_A0 + n);
    SAME(m.exit->flags, HVCORE_EXIT_NEEDS_COMPLETION);
    SAME(get(m.cpu[0], HVCORE_REG_RISCV64_PC), ecall); /* nothing of it has happened */
    SAME(get(m.cpu[0], HVCORE_REG_RISCV64_A0), 0x100 + RV_A0);
    CHECK(hvcore_vcpu_complete(m.cpu[0], answer, 2) == 0);
    SAME(get(m.cpu[0], HVCORE_REG_RISCV64_PC), ecall + 4); /* the look finishes it */
    SAME(get(m.cpu[0], HVCORE_REG_RISCV64_A0), 0x51);
    set(m.cpu[0], HVCORE_REG_RISCV64_A1, 0x53);
    CHECK(REPORTS(&m)); /* and it is not answered twice */
    SAME(arg(&m, 0), 0x51);
    SAME(arg(&m, 1), 0x53);
    SAME(get(m.cpu[0], X(RV_S2)), 1);
    unmake(&m);
}

static void call_denied(void)
{
    hvcore_inject what = HVCORE_INJECT_INIT;
    machine m;

    make(&m);
    put_handler(&m);
    rv_code c = code_at(&m, CODE);
    rv_li(&c, RV_A0, 0x44);
    report(&c);
    report(&c);
    report(&c);
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    CHECK(REPORTS(&m));
    OK(hvcore_vcpu_deny(m.cpu[0], &e));
    CHECK(REPORTS(&m));
    SAME(arg(&m, 0), -2);
    uint64_t pc = get(m.cpu[0], HVCORE_REG_RISCV64_PC);
    what.cause = HVCORE_RISCV64_ILLEGAL_INSN;
    OK(hvcore_vcpu_inject(m.cpu[0], &what, &e));
    CHECK(TRAPS(&m));
    SAME(arg(&m, 0), HVCORE_RISCV64_ILLEGAL_INSN);
    SAME(arg(&m, 2), pc);
    SAME(get(m.cpu[0], REG(HVCORE_REG_CSR, 0x240)), -2); /* a0 at the trap */
    unmake(&m);
}

static char written[64];
static size_t written_len;

static void on_console(void *user, hvcore_vcpu *cpu, const char *bytes, size_t len)
{
    (void)user, (void)cpu;
    for (size_t i = 0; i < len && written_len < sizeof written; i++)
        written[written_len++] = bytes[i];
}

static void put_dbcn(machine *m)
{
    rv_code c = code_at(m, CODE);

    memcpy(m->ram + (DATA - RAM), "Hello", 5);
    rv_li(&c, RV_A0, 5);
    rv_li(&c, RV_A1, DATA);
    rv_li(&c, RV_A2, 0);
    call(&c, 0x4442434e, 0);
    rv_put(&c, rv_addi(RV_S2, RV_A0, 0));
    rv_put(&c, rv_addi(RV_S3, RV_A1, 0));
    rv_li(&c, RV_A0, '!');
    call(&c, 0x4442434e, 2);
    report(&c);
    set(m->cpu[0], HVCORE_REG_RISCV64_PC, CODE);
}

static void console(void)
{
    machine m;

    make_vm(&m, 0);
    OK(hvcore_vm_console_set(m.vm, on_console, NULL));
    add_cpu(&m, 0, 0);
    bool known = has(m.cpu[0], HVCORE_REG_SBI, SBI_DBCN);
    put_dbcn(&m);
    written_len = 0;
    CHECK(REPORTS(&m));
    SAME(get(m.cpu[0], X(RV_S2)), known ? 0 : -2);
    if (known) {
        SAME(get(m.cpu[0], X(RV_S3)), 5);
        SAME(written_len, 6);
        CHECK(!memcmp(written, "Hello!", 6));
    }
    unmake(&m);
    if (!known)
        SKIP("this kernel has no debug console for user space");
}

/* Nobody knows the extension: the kernel says so. */
static void call_unknown(void)
{
    machine m;

    make(&m);
    rv_code c = code_at(&m, CODE);
    call(&c, 0x535345, 0); /* supervisor software events */
    report(&c);
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    CHECK(REPORTS(&m));
    SAME(arg(&m, 0), -2);
    unmake(&m);
}

static void reset(uint64_t type, uint64_t reason, uint32_t want)
{
    machine m;

    make(&m);
    rv_code c = code_at(&m, CODE);
    rv_li(&c, RV_A0, type);
    rv_li(&c, RV_A1, reason);
    call(&c, 0x53525354, 0);
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    SAME(run(&m), want);
    SAME(m.exit->u.reset.type, type != 0);
    SAME(m.exit->u.reset.reason, reason);
    unmake(&m);
}

static void shutdown_reset(void)
{
    reset(0, 1, HVCORE_EXIT_SHUTDOWN);
    reset(1, 0, HVCORE_EXIT_RESET);
    reset(2, 0, HVCORE_EXIT_RESET);
}

/* ---- CSRs ----------------------------------------------------------------------------------------- */

static void csr_unknown(void)
{
    const uint32_t insn =
        rv_csrrw(RV_S2, 0x5c0, RV_S3); /* custom, read and written by supervisors */
    machine m;

    make(&m);
    put_access(&m, insn, HVCORE_RISCV64_VS);
    if (TRAPS(&m)) {
        SAME(arg(&m, 0), HVCORE_RISCV64_ILLEGAL_INSN);
        CHECK(arg(&m, 1) == insn || arg(&m, 1) == 0);
        SAME(arg(&m, 2), CODE + 8);
    }
    unmake(&m);
}

/* `seed` is the one CSR that KVM leaves to user space. */
static void csr_exit(void)
{
    enum { SEED = 0x15 };
    machine m;

    make(&m);
    bool zkr = has(m.cpu[0], HVCORE_REG_ISA, ISA_ZKR);
    for (unsigned deny = 0; deny < 2 && zkr; deny++) {
        put_access(&m, rv_csrrw(RV_S2, SEED, RV_S3), HVCORE_RISCV64_VS);
        rv_code c = code_at(&m, CODE + 12);
        report(&c);
        if (run(&m) != HVCORE_EXIT_SYSREG) {
            zkr = false; /* its firmware has not opened it (mseccfg.SSEED) */
            SAME(m.exit->reason, HVCORE_EXIT_HYPERCALL);
            SAME(arg(&m, 0), HVCORE_RISCV64_ILLEGAL_INSN);
            break;
        }
        SAME(m.exit->u.sysreg.id, SEED);
        SAME(m.exit->u.sysreg.value, 0x1000 * RV_S3);
        SAME(m.exit->u.sysreg.mask, UINT64_MAX);
        SAME(m.exit->flags, HVCORE_EXIT_NEEDS_COMPLETION);
        if (deny) {
            OK(hvcore_vcpu_deny(m.cpu[0], &e));
            check_denied(&m, CODE + 8, HVCORE_RISCV64_ILLEGAL_INSN, 0);
        } else {
            complete(&m, 0x80001234);
            CHECK(REPORTS(&m));
            SAME(get(m.cpu[0], X(RV_S2)), 0x80001234);
            complete(&m, 0);
        }
    }
    unmake(&m);
    if (!zkr)
        SKIP("this host's guests have no seed (Zkr)");
}

/* ---- debugging ------------------------------------------------------------------------------------ */

static void debug(void)
{
    hvcore_debug_opts o = HVCORE_DEBUG_OPTS_INIT;
    hvcore_inject what = HVCORE_INJECT_INIT;
    machine m;

    make(&m);
    put_access(&m, rv_ebreak(), HVCORE_RISCV64_VU);
    uint64_t at = CODE - RAM + USER + 8;
    o.flags = HVCORE_DEBUG_BREAKPOINTS;
    OK(hvcore_vcpu_debug_set(m.cpu[0], &o, &e));
    for (unsigned i = 0; i < 2; i++) { /* it is not executed: it stops again */
        CHECK(RUNS_TO(&m, DEBUG));
        SAME(m.exit->u.debug.kind, HVCORE_DEBUG_KIND_BREAKPOINT);
        SAME(m.exit->have & HVCORE_HAVE_PC, HVCORE_HAVE_PC);
        SAME(m.exit->pc, at);
        SAME(get(m.cpu[0], HVCORE_REG_RISCV64_PC), at);
    }
    what.cause = HVCORE_RISCV64_BREAKPOINT;
    what.tval = at;
    OK(hvcore_vcpu_inject(m.cpu[0], &what, &e));
    check_denied(&m, at, HVCORE_RISCV64_BREAKPOINT, at);
    complete(&m, 0);
    start_at(m.cpu[0], at, HVCORE_RISCV64_VU);
    o.flags = 0;
    OK(hvcore_vcpu_debug_set(m.cpu[0], &o, &e));
    CHECK(TRAPS(&m)); /* the guest has its own again */
    SAME(arg(&m, 0), HVCORE_RISCV64_BREAKPOINT);
    unmake(&m);
}

static void no_steps(void)
{
    hvcore_debug_opts o = HVCORE_DEBUG_OPTS_INIT;
    machine m;

    make(&m);
    o.flags = HVCORE_DEBUG_STEP;
    FAILS(hvcore_vcpu_debug_set(m.cpu[0], &o, &e), HVCORE_E_UNSUPPORTED);
    o.flags = HVCORE_DEBUG_BREAKPOINTS;
    o.count = 1;
    FAILS(hvcore_vcpu_debug_set(m.cpu[0], &o, &e), HVCORE_E_UNSUPPORTED);
    unmake(&m);
}

/* ---- traps of the guest's own --------------------------------------------------------------------- */

/* One instruction in VU-mode and what the guest's handler must see. Misaligned accesses cross 16 bytes:
 * within them a hart with Zama16b carries them out. */
static const struct cause {
    uint32_t insn, code;
    uint64_t s2, stval; /* stval 0: zero, or the instruction */
} causes[] = {
    {0xffffffff, 2, 0, 0},
    {0x10200073, 2, 0, 0}, /* sret: a virtual instruction, which no supervisor knows */
    {0x14002973, 2, 0, 0}, /* csrr s2, sscratch: likewise */
    {0x00100073, 3, 0, USER + 0x1008},
    {0x1009392f, 4, USER + 0x300c, USER + 0x300c}, /* lr.d s2, (s2) */
    {0x0129392f, 6, USER + 0x300c, USER + 0x300c}, /* amoadd.d s2, s2, (s2) */
    {0x00000073, 8, 0, 0},
    {0x00090067, 12, 0xc0000000, 0xc0000000}, /* jr s2 */
    {0x00093903, 13, 0xc0000010, 0xc0000010}, /* ld s2, 0(s2) */
    {0x01293023, 15, 0xc0000020, 0xc0000020}, /* sd s2, 0(s2) */
};

static void one_cause(const struct cause *k)
{
    machine m;

    make(&m);
    put_access(&m, k->insn, HVCORE_RISCV64_VU);
    set(m.cpu[0], X(RV_S2), k->s2);
    if (TRAPS(&m)) {
        SAME(arg(&m, 0), k->code);
        CHECK(arg(&m, 1) == k->stval || (!k->stval && arg(&m, 1) == k->insn) ||
              (k->code == 3 && !arg(&m, 1)));
        SAME(arg(&m, 2), k->code == 12 ? k->s2 : USER + 0x1008);
        SAME(arg(&m, 3) >> 8 & 1, 0); /* from VU */
        SAME(get(m.cpu[0], X(RV_S2)), k->s2);
    }
    unmake(&m);
}

static void traps(void)
{
    for (unsigned i = 0; i < sizeof causes / sizeof *causes; i++) {
        unsigned bad = check_now.bad;

        one_cause(&causes[i]);
        if (check_now.bad != bad)
            printf("# instruction 0x%08x\n", causes[i].insn);
    }
}

int main(void)
{
    static const check_test tests[] = {
        {"mmio_callback", mmio_callback},
        {"mmio_exit", mmio_exit},
        {"mmio_denied", mmio_denied},
        {"mmio_fault", mmio_fault},
        {"mmio_inject", mmio_inject},
        {"call_answered", call_answered},
        {"call_denied", call_denied},
        {"console", console},
        {"call_unknown", call_unknown},
        {"shutdown_reset", shutdown_reset},
        {"csr_unknown", csr_unknown},
        {"csr_exit", csr_exit},
        {"debug", debug},
        {"no_steps", no_steps},
        {"traps", traps},
        {NULL, NULL},
    };
    return check_all(tests);
}
