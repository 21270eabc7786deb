/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riscv64 on a real kernel: exits and their answers (SBI, CSRs, EBREAK), and the traps that the
 * guest's own kernel gets.
 */
#include "tests/kvm/riscv64.h"

/* ---- SBI ------------------------------------------------------------------------------------- */

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
    uint64_t on = 0;
    bool known = !hvcore_reg_get_u64(m.cpu[0], REG(HVCORE_REG_SBI, SBI_DBCN), &on);
    SAME(on, known);
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

/* ---- CSRs ------------------------------------------------------------------------------------ */

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

/* ---- debugging ------------------------------------------------------------------------------- */

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

/* ---- traps of the guest's own ---------------------------------------------------------------- */

/* One instruction in VU-mode and what the guest's handler must see. */
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
    if (TRAPS(&m) && k->code == 6 && arg(&m, 2) == USER + 0x100c) {
        printf("# this hart carries out misaligned AMOs\n"); /* QEMU with Zama16b */
    } else if (m.exit->reason == HVCORE_EXIT_HYPERCALL) {
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
