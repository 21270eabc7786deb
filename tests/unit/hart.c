/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several harts: starting, stopping and suspending them, interrupts between them, remote fences, as
 * the SBI specification (2.0, chapters 3.1, 7, 8, 9) says; single calls on the toy, and guests with
 * a thread for each hart.
 */
#include "tests/unit/guest.h"

#define EID_IPI 0x735049
#define EID_RFENCE 0x52464e43
#define EID_HSM 0x48534d
#define EID_DBCN 0x4442434e
#define NON_RETENTIVE UINT64_C(0x80000000)
#define VSSIP (UINT64_C(1) << 2)
#define SSIE (UINT64_C(1) << 1)
#define OFF(i) (1u << (i))
#define ALL UINT64_MAX

enum { STARTED, STOPPED, START_PENDING, SUSPENDED = 4 };
enum { OK_ = 0, NOT_SUPPORTED = -2, INVALID_PARAM = -3, INVALID_ADDRESS = -5, ALREADY = -6 };

static hvcore_reg xreg(uint32_t n)
{
    return HVCORE_REG_RISCV64_X0 + (n << 8);
}

static void set(guest *g, uint32_t i, hvcore_reg reg, uint64_t value)
{
    OK(hvcore_reg_set_u64(g->cpu[i], reg, value));
}

/* --- single calls, on the toy ----------------------------------------------------------------- */

/* The registers of a call and its event; it is made by the next run. */
static void prepare(guest *g, uint32_t i, uint64_t eid, uint64_t fid, uint64_t a0, uint64_t a1,
                    uint64_t a2)
{
    hvcore_event e = toy_trap(HVCORE_RISCV64_ECALL_VS, HVCORE_RISCV64_VS, 0);

    set(g, i, xreg(10), a0);
    set(g, i, xreg(11), a1);
    set(g, i, xreg(12), a2);
    set(g, i, xreg(16), fid);
    set(g, i, xreg(17), eid);
    toy_push(g->toy[i], &e);
}

/* One instruction more than there are events. */
static int run_on(guest *g, uint32_t i)
{
    hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;

    opts.max_insns = toy_left(g->toy[i]) + 1;
    g->rc[i] = hvcore_vcpu_run(g->cpu[i], &opts, &g->exit[i], NULL);
    return g->rc[i] ? g->rc[i] : (int)g->exit[i]->reason;
}

/* Call; a0. The guest goes on behind the ECALL, and a1 is the value. */
static int64_t call(guest *g, uint32_t i, uint64_t eid, uint64_t fid, uint64_t a0, uint64_t a1,
                    uint64_t a2)
{
    uint64_t pc = guest_reg(g, i, HVCORE_REG_RISCV64_PC);

    prepare(g, i, eid, fid, a0, a1, a2);
    WANT(run_on(g, i), HVCORE_EXIT_INSN_LIMIT);
    WANT(guest_reg(g, i, HVCORE_REG_RISCV64_PC), pc + 4);
    return (int64_t)guest_reg(g, i, xreg(10));
}

static int64_t status_of(guest *g, uint32_t asker, uint64_t hart)
{
    int64_t error = call(g, asker, EID_HSM, 2, hart, 0, 0);

    return error ? error : (int64_t)guest_reg(g, asker, xreg(11));
}

static void start_and_stop(void)
{
    guest g;

    if (!guest_up(&g, "toy", 4, 0, OFF(1) | OFF(2)))
        return;
    hvcore_vcpu_unref(g.cpu[3]); /* a number without a hart */
    g.cpus = 3;
    for (uint32_t flags = 2; flags; flags <<= 1) {
        hvcore_vcpu_opts opts = HVCORE_VCPU_OPTS_INIT;

        opts.flags = flags;
        WANT(hvcore_vcpu_create(g.vm, 3, &opts, &g.cpu[3], NULL), -HVCORE_E_INVAL);
    }
    WANT(status_of(&g, 0, 0), STARTED);
    WANT(status_of(&g, 0, 1), STOPPED);
    WANT(status_of(&g, 0, 3), INVALID_PARAM);
    WANT(status_of(&g, 0, 4), INVALID_PARAM);
    WANT(status_of(&g, 0, ALL), INVALID_PARAM);
    WANT(status_of(&g, 0, UINT64_C(1) << 32), INVALID_PARAM);
    WANT(guest_run(&g, 1, 0, 0), HVCORE_EXIT_OFF);
    WANT(guest_run(&g, 1, 0, 0), HVCORE_EXIT_OFF);
    WANT(toy.calls[TOY_ENTER], 12);

    WANT(call(&g, 0, EID_HSM, 0, 3, RAM, 0), INVALID_PARAM);
    WANT(call(&g, 0, EID_HSM, 0, 1, RAM + 1, 0), INVALID_ADDRESS);
    WANT(call(&g, 0, EID_HSM, 0, 1, RAM - PAGE, 0), INVALID_ADDRESS);
    WANT(call(&g, 0, EID_HSM, 0, 1, RAM + RAM_SIZE, 0), INVALID_ADDRESS);
    WANT(call(&g, 0, EID_HSM, 0, 1, ALL - 1, 0), INVALID_ADDRESS);
    WANT(call(&g, 0, EID_HSM, 0, 0, RAM, 0), ALREADY); /* itself */
    WANT(status_of(&g, 0, 1), STOPPED);
    OK(hvcore_vm_protect(g.vm, RAM + PAGE, PAGE, HVCORE_PROT_R | HVCORE_PROT_W, NULL));
    WANT(call(&g, 0, EID_HSM, 0, 1, RAM + PAGE, 0), INVALID_ADDRESS); /* not executable */

    /* Rubbish in the hart that is off: nothing of it is left when it starts. */
    set(&g, 1, HVCORE_REG_RISCV64_VSATP, UINT64_C(8) << 60 | 5);
    set(&g, 1, HVCORE_REG_RISCV64_VSIE, 0x222);
    set(&g, 1, HVCORE_REG_RISCV64_VSSTATUS, 2 | 1 << 5 | 3 << 13);
    set(&g, 1, HVCORE_REG_RISCV64_VSTVEC, RAM);
    set(&g, 1, HVCORE_REG_RISCV64_MODE, HVCORE_RISCV64_VU);
    set(&g, 1, HVCORE_REG_RISCV64_VSTIMECMP, 1);
    for (uint32_t n = 1; n < 32; n++)
        set(&g, 1, xreg(n), 0x1111 * n);
    WANT(call(&g, 0, EID_HSM, 0, 1, RAM + 0x100, 0xabcdef), OK_);
    WANT(status_of(&g, 0, 1), START_PENDING);
    WANT(call(&g, 0, EID_HSM, 0, 1, RAM, 0), ALREADY);
    WANT(call(&g, 0, EID_HSM, 0, 1, RAM, 0), ALREADY);
    WANT(run_on(&g, 1), HVCORE_EXIT_INSN_LIMIT);
    WANT(g.toy[1]->entry_pc, RAM + 0x100);
    WANT(status_of(&g, 0, 1), STARTED);
    for (uint32_t n = 1; n < 32; n++)
        WANT(guest_reg(&g, 1, xreg(n)), n == 10 ? 1 : n == 11 ? 0xabcdef : 0);
    WANT(g.toy[1]->hw.vsatp, 0);
    WANT(g.toy[1]->hw.vsie, 0);
    WANT(g.toy[1]->hw.vsstatus, UINT64_C(2) << 32);
    WANT(g.toy[1]->hw.vstimecmp, -1);
    WANT(guest_reg(&g, 1, HVCORE_REG_RISCV64_MODE), HVCORE_RISCV64_VS);
    WANT(call(&g, 0, EID_HSM, 0, 1, RAM, 0), ALREADY);

    /* It stops itself, and is started once more. */
    prepare(&g, 1, EID_HSM, 1, 0, 0, 0);
    WANT(run_on(&g, 1), HVCORE_EXIT_OFF);
    WANT(status_of(&g, 0, 1), STOPPED);
    WANT(call(&g, 0, EID_HSM, 0, 1, RAM + 0x200, 7), OK_);
    WANT(run_on(&g, 1), HVCORE_EXIT_INSN_LIMIT);
    WANT(g.toy[1]->entry_pc, RAM + 0x200);
    WANT(guest_reg(&g, 1, xreg(11)), 7);
    guest_down(&g);
}

/* Retentive: the call returns. Non-retentive: the hart begins again. Without waiting it is a HALT.
 */
static void suspend(void)
{
    for (uint32_t away = 0; away < 2; away++)
        for (uint32_t wait = 0; wait < 2; wait++) {
            uint64_t type = away ? NON_RETENTIVE : 0;
            guest g;

            if (!guest_up(&g, "toy", 2, 0, 0))
                return;
            set(&g, 1, HVCORE_REG_RISCV64_VSIE, SSIE);
            set(&g, 1, xreg(20), 0x20);
            prepare(&g, 1, EID_HSM, 3, type, RAM + 0x300, 0x55);
            if (wait) {
                guest_start(&g, 1);
                while (status_of(&g, 0, 1) != SUSPENDED)
                    sched_yield();
                WANT(call(&g, 0, EID_IPI, 0, 1, 1, 0), OK_);
                while (toy.calls[TOY_KICK] == 0 && status_of(&g, 0, 1) != STARTED)
                    sched_yield();
                guest_cancel(&g, 1);
            } else {
                WANT(run_on(&g, 1), HVCORE_EXIT_HALT);
                WANT(guest_reg(&g, 1, HVCORE_REG_RISCV64_PC), RAM);
                WANT(guest_reg(&g, 1, xreg(10)), type);
                WANT(status_of(&g, 0, 1), SUSPENDED);
                WANT(run_on(&g, 1), HVCORE_EXIT_INSN_LIMIT);
            }
            WANT(status_of(&g, 0, 1), STARTED);
            WANT(guest_reg(&g, 1, HVCORE_REG_RISCV64_PC), away ? RAM + 0x300 : RAM + 4);
            WANT(guest_reg(&g, 1, xreg(10)), away ? 1 : 0);
            WANT(guest_reg(&g, 1, xreg(11)), away ? 0x55 : 0);
            WANT(guest_reg(&g, 1, xreg(20)), away ? 0 : 0x20);
            WANT(g.toy[1]->hw.vsie, away ? 0 : SSIE);
            guest_down(&g);
        }
}

/* An interrupt that is pending already: no wait. Types and addresses that are none. */
static void suspend_at_once(void)
{
    guest g;

    if (!guest_up(&g, "toy", 1, 0, 0))
        return;
    WANT(call(&g, 0, EID_HSM, 3, 1, 0, 0), INVALID_PARAM);
    WANT(call(&g, 0, EID_HSM, 3, NON_RETENTIVE, RAM + RAM_SIZE, 0), INVALID_ADDRESS);
    set(&g, 0, HVCORE_REG_RISCV64_VSIE, SSIE);
    set(&g, 0, HVCORE_REG_RISCV64_HVIP, VSSIP);
    WANT(call(&g, 0, EID_HSM, 3, 0, 0, 0), OK_);
    WANT(status_of(&g, 0, 0), STARTED);
    prepare(&g, 0, EID_HSM, 3, NON_RETENTIVE, RAM + 0x80, 9);
    WANT(run_on(&g, 0), HVCORE_EXIT_INSN_LIMIT);
    WANT(guest_reg(&g, 0, HVCORE_REG_RISCV64_PC), RAM + 0x80);
    WANT(guest_reg(&g, 0, xreg(11)), 9);
    WANT(g.toy[0]->hw.hvip, VSSIP);
    guest_down(&g);
}

/* Which harts a pair of mask and base names. */
static void masks(void)
{
    static const struct {
        uint64_t mask, base;
        int64_t error;
        uint32_t harts;
    } rows[] = {
        {0, 0, OK_, 0},
        {0, 77, OK_, 0},
        {1, 0, OK_, 1},
        {5, 0, OK_, 5},
        {7, 0, OK_, 7},
        {3, 1, OK_, 6},
        {1, 2, OK_, 4},
        {0, ALL, OK_, 7},
        {0xdead, ALL, OK_, 7},
        {8, 0, INVALID_PARAM, 0},
        {9, 0, INVALID_PARAM, 0},
        {1, 3, INVALID_PARAM, 0},
        {1, 4, INVALID_PARAM, 0},
        {UINT64_C(1) << 63, 0, INVALID_PARAM, 0},
        {UINT64_C(1) << 63, 1, INVALID_PARAM, 0},
        {4, ALL - 1, INVALID_PARAM, 0}, /* does not wrap to hart 0 */
        {1, UINT64_C(1) << 32, INVALID_PARAM, 0},
        {ALL, 0, INVALID_PARAM, 0},
    };

    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        guest g;
        uint32_t told = 0, flushed = 0;

        if (!guest_up(&g, "toy", 4, 0, OFF(1)))
            return;
        hvcore_vcpu_unref(g.cpu[3]);
        g.cpus = 3;
        WANT(call(&g, 0, EID_IPI, 0, rows[k].mask, rows[k].base, 0), rows[k].error);
        for (uint32_t i = 0; i < 3; i++)
            told |= (uint32_t)(guest_reg(&g, i, HVCORE_REG_RISCV64_HVIP) / VSSIP & 1) << i;
        WANT(told, rows[k].harts);
        for (uint64_t fid = 0; fid < 3; fid++) {
            WANT(call(&g, 0, EID_RFENCE, fid, rows[k].mask, rows[k].base, 0), rows[k].error);
            for (uint32_t i = 0; i < 3; i++) {
                unsigned long before = toy.calls[TOY_FLUSH];

                if (i != 1)
                    (void)run_on(&g, i);
                flushed |= (uint32_t)(toy.calls[TOY_FLUSH] - before) << i;
            }
        }
        /* hart 0 flushes before the call returns, hart 1 is off */
        WANT(flushed, rows[k].harts & 4);
        for (uint64_t fid = 3; fid < 8; fid++)
            WANT(call(&g, 0, EID_RFENCE, fid, 1, 0, 0), NOT_SUPPORTED);
        guest_down(&g);
    }
}

/* --- with threads: starts and stops ----------------------------------------------------------- */

#define LIFE_ADDR (RAM + 0x400)

typedef struct life {
    guest *g;
    _Atomic uint64_t begins, args, won, lost;
    _Atomic uint32_t over;
} life;

/* The hart that is started: it counts, and stops itself at once. */
static int toy_stops(toy_vcpu *v, void *user, hvcore_event *event)
{
    life *l = user;

    if (v->frame.pc != LIFE_ADDR || v->frame.x[10] != v->index)
        abort();
    l->begins++;
    l->args += v->frame.x[11];
    v->frame.x[17] = EID_HSM;
    v->frame.x[16] = 1;
    *event = toy_trap(HVCORE_RISCV64_ECALL_VS, HVCORE_RISCV64_VS, 0);
    event->pc = LIFE_ADDR;
    return 1;
}

/* The harts that start it, again and again: exactly one start succeeds for each stop. */
static int toy_starts(toy_vcpu *v, void *user, hvcore_event *event)
{
    life *l = user;
    bool answered = v->frame.x[28];

    if (answered && v->frame.x[10] == 0)
        l->won++;
    else if (answered && v->frame.x[10] == (uint64_t)ALREADY)
        l->lost++;
    else if (answered)
        abort();
    v->frame.x[28] = !l->over;
    if (!v->frame.x[28])
        return 0; /* spins */
    v->frame.x[10] = 3;
    v->frame.x[11] = LIFE_ADDR;
    v->frame.x[12] = 1;
    v->frame.x[16] = 0;
    v->frame.x[17] = EID_HSM;
    *event = toy_trap(HVCORE_RISCV64_ECALL_VS, HVCORE_RISCV64_VS, 0);
    event->pc = RAM;
    return 1;
}

static void start_races(void)
{
    guest g;
    life l = {.g = &g};

    if (!guest_up(&g, "toy", 4, 0, OFF(3)))
        return;
    for (uint32_t i = 0; i < 3; i++)
        toy_set_program(g.toy[i], toy_starts, &l);
    toy_set_program(g.toy[3], toy_stops, &l);
    alarm(60);
    for (uint32_t i = 0; i < 4; i++)
        guest_start(&g, i);
    for (uint64_t until = hvcore_clock_ns() + 300 * MS; hvcore_clock_ns() < until || l.won < 1000;)
        guest_nap(MS);
    l.over = 1;
    guest_nap(20 * MS);
    for (uint32_t i = 0; i < 4; i++)
        guest_cancel(&g, i);
    alarm(0);
    CU_ASSERT(l.won > 0 && l.lost > 0);
    WANT(l.begins, l.won);
    WANT(l.args, l.won);
    printf("(%llu starts, %llu too late) ", (unsigned long long)l.won, (unsigned long long)l.lost);
    guest_down(&g);
}

/* --- with threads: guests on the software machine --------------------------------------------- */

/*
 * A token goes round: each hart waits for it by WFI, passes it on by an IPI; after so many rounds
 * hart 0 switches off. Hart 0 starts the others. s0: the hart, s1: the next one, s2: DATA.
 */
enum { ROUNDS = 3000 };

static void token_guest(guest *g)
{
    rv_code c = guest_code(g, RAM + 0x800);
    uint64_t entry = rv_here(&c);

    rv_put(&c, rv_addi(RV_S0, RV_A0, 0));
    rv_put(&c, rv_addi(RV_S1, RV_A0, 1));
    rv_li(&c, RV_T0, g->cpus);
    rv_put(&c, rv_bne(RV_S1, RV_T0, 8));
    rv_put(&c, rv_addi(RV_S1, 0, 0));
    rv_li(&c, RV_S2, DATA);
    rv_put(&c, rv_addi(RV_T0, 0, SSIE));
    rv_put(&c, rv_csrw(CSR_SIE, RV_T0));
    uint64_t wait = rv_here(&c);
    rv_put(&c, rv_wfi());
    rv_put(&c, rv_csrrci(RV_T0, CSR_SIP, 2));
    rv_put(&c, rv_andi(RV_T0, RV_T0, 2));
    rv_put(&c, rv_beq(RV_T0, 0, rv_to(&c, wait)));
    rv_put(&c, rv_ld(RV_T1, 0, RV_S2)); /* only who has the token writes this */
    rv_put(&c, rv_addi(RV_T1, RV_T1, 1));
    rv_put(&c, rv_sd(RV_T1, 0, RV_S2));
    rv_li(&c, RV_T2, ROUNDS);
    rv_code hole = c; /* bltu t1, t2, pass */
    rv_put(&c, rv_nop());
    guest_shutdown(&c);
    rv_put(&hole, rv_bltu(RV_T1, RV_T2, rv_to(&hole, rv_here(&c))));
    rv_put(&c, rv_addi(RV_T0, 0, 1)); /* pass: half of the ways to name a hart each */
    rv_put(&c, rv_sll(RV_A0, RV_T0, RV_S1));
    rv_put(&c, rv_addi(RV_A1, 0, 0));
    rv_put(&c, rv_andi(RV_T1, RV_T1, 1));
    rv_put(&c, rv_beq(RV_T1, 0, 12));
    rv_put(&c, rv_addi(RV_A0, 0, 1));
    rv_put(&c, rv_addi(RV_A1, RV_S1, 0));
    guest_sbi(&c, EID_IPI, 0);
    rv_put(&c, rv_sd(RV_A0, 8, RV_S2));
    rv_put(&c, rv_jal(0, rv_to(&c, wait)));

    c = guest_code(g, RAM);
    for (uint32_t i = 1; i < g->cpus; i++) {
        rv_li(&c, RV_A0, i);
        rv_li(&c, RV_A1, entry);
        rv_li(&c, RV_A2, 0);
        guest_sbi(&c, EID_HSM, 0);
    }
    rv_li(&c, RV_A0, 1); /* the token, to itself */
    rv_li(&c, RV_A1, 0);
    guest_sbi(&c, EID_IPI, 0);
    rv_li(&c, RV_A0, 0);
    rv_put(&c, rv_jal(0, rv_to(&c, entry)));
}

static void token_ring(void)
{
    guest g;

    if (!guest_up(&g, "bare", 4, 0, OFF(1) | OFF(2) | OFF(3)))
        return;
    token_guest(&g);
    alarm(60);
    for (uint32_t i = 0; i < 4; i++)
        guest_start(&g, i);
    /* Somebody has it at the end; who, depends on the count. */
    uint32_t last = (ROUNDS - 1) % 4;
    guest_join(&g, last, HVCORE_EXIT_SHUTDOWN);
    for (uint32_t i = 0; i < 4; i++)
        if (i != last)
            guest_cancel(&g, i);
    alarm(0);
    WANT(*guest_word(&g, DATA), ROUNDS);
    WANT(*guest_word(&g, DATA + 8), 0);
    guest_down(&g);
}

/* --- remote fences: nobody reads through an old translation once the call has returned -------- */

#define VA UINT64_C(0x40000000)
#define ROOT (RAM + 0x40000)
#define LEVEL1 (RAM + 0x41000)
#define LEVEL0 (RAM + 0x42000)
#define POOL (RAM + 0x50000) /* pages; the word at the begin of page k is k */
#define GEN DATA             /* the page that all may expect by now */
#define BAD (DATA + 64)
#define READS (DATA + 128) /* one word each, 64 bytes apart */
enum { POOL_PAGES = 64, PTE_V = 1, PTE_RWX = 14, PTE_AD = 0xc0 };

static void put_pte(guest *g, uint64_t at, uint64_t target, uint64_t flags)
{
    *guest_word(g, at) = target >> 12 << 10 | flags;
}

static void fence_tables(guest *g)
{
    put_pte(g, ROOT + 8 * 2, RAM, PTE_V | PTE_RWX | PTE_AD); /* 1 GiB at RAM, as it is */
    put_pte(g, ROOT + 8 * 1, LEVEL1, PTE_V);
    put_pte(g, LEVEL1, LEVEL0, PTE_V);
    put_pte(g, LEVEL0, POOL, PTE_V | PTE_RWX | PTE_AD);
    for (uint64_t k = 0; k < POOL_PAGES; k++)
        *guest_word(g, POOL + k * PAGE) = k;
}

static void paging_on(rv_code *c)
{
    rv_li(c, RV_T0, UINT64_C(8) << 60 | ROOT >> 12);
    rv_put(c, rv_csrw(CSR_SATP, RV_T0));
    rv_put(c, rv_sfence_vma(0, 0));
    rv_li(c, RV_S2, GEN);
    rv_li(c, RV_S3, VA);
}

/* 1: t0 = GEN; fence; t1 = *VA; t1 < t0: stale; count; j 1b */
static void reader_guest(guest *g, uint64_t at)
{
    rv_code c = guest_code(g, at);

    rv_put(&c, rv_slli(RV_S4, RV_A0, 6));
    rv_li(&c, RV_T0, READS);
    rv_put(&c, rv_add(RV_S4, RV_S4, RV_T0));
    paging_on(&c);
    uint64_t again = rv_here(&c);
    rv_put(&c, rv_ld(RV_T0, 0, RV_S2));
    rv_put(&c, rv_fence());
    rv_put(&c, rv_ld(RV_T1, 0, RV_S3));
    rv_put(&c, rv_bgeu(RV_T1, RV_T0, 8));
    rv_put(&c, rv_sd(RV_T0, 64, RV_S2));
    rv_put(&c, rv_ld(RV_T2, 0, RV_S4));
    rv_put(&c, rv_addi(RV_T2, RV_T2, 1));
    rv_put(&c, rv_sd(RV_T2, 0, RV_S4));
    rv_put(&c, rv_jal(0, rv_to(&c, again)));
}

/* For k = 1 to POOL_PAGES - 1: the PTE names page k; fence the others; GEN = k. Then off. */
static void writer_guest(guest *g, uint64_t at, bool others_too)
{
    rv_code c = guest_code(g, at);

    paging_on(&c);
    rv_li(&c, RV_S5, LEVEL0);
    rv_li(&c, RV_S6, POOL >> 12 << 10 | PTE_V | PTE_RWX | PTE_AD);
    rv_li(&c, RV_S7, 0);
    uint64_t again = rv_here(&c);
    rv_put(&c, rv_addi(RV_S7, RV_S7, 1));
    rv_put(&c, rv_addi(RV_S6, RV_S6, 1 << 10));
    rv_put(&c, rv_sd(RV_S6, 0, RV_S5));
    if (others_too)
        rv_li(&c, RV_A1, 0);
    else
        rv_li(&c, RV_A1, ALL);
    rv_li(&c, RV_A0, others_too ? (1u << g->cpus) - 1 : 0);
    rv_put(&c, rv_addi(RV_A2, RV_S3, 0));
    rv_li(&c, RV_A3, PAGE);
    guest_sbi(&c, EID_RFENCE, 1);
    rv_put(&c, rv_bne(RV_A0, 0, 12 - 4 + 4 * 4)); /* not 0: to the shutdown, GEN too small */
    rv_put(&c, rv_sd(RV_S7, 0, RV_S2));
    rv_li(&c, RV_T0, POOL_PAGES - 1);
    rv_put(&c, rv_bltu(RV_S7, RV_T0, rv_to(&c, again)));
    guest_shutdown(&c);
}

static void remote_fences(void)
{
    uint64_t reads = 0;

    for (uint32_t round = 0; round < 40; round++) {
        guest g;

        if (!guest_up(&g, "bare", 3, 0, 0))
            return;
        fence_tables(&g);
        writer_guest(&g, RAM, round & 1);
        reader_guest(&g, RAM + 0x1000);
        for (uint32_t i = 1; i < 3; i++)
            set(&g, i, HVCORE_REG_RISCV64_PC, RAM + 0x1000);
        alarm(60);
        for (uint32_t i = 1; i < 3; i++)
            guest_start(&g, i);
        for (uint32_t i = 1; i < 3; i++) /* they have the old translation */
            while (!*guest_word(&g, READS + 64 * i))
                sched_yield();
        guest_start(&g, 0);
        guest_join(&g, 0, HVCORE_EXIT_SHUTDOWN);
        for (uint32_t i = 1; i < 3; i++)
            reads += *guest_word(&g, READS + 64 * i);
        for (uint32_t i = 1; i < 3; i++)
            guest_cancel(&g, i);
        alarm(0);
        WANT(*guest_word(&g, GEN), POOL_PAGES - 1);
        WANT(*guest_word(&g, BAD), 0);
        guest_down(&g);
    }
    printf("(%llu reads) ", (unsigned long long)reads);
}

typedef struct fence_count {
    _Atomic uint64_t of[MAX_CPUS];
} fence_count;

/* Harts that fence each other all the time get on, while others pause and map. */
static int toy_fences(toy_vcpu *v, void *user, hvcore_event *event)
{
    fence_count *count = user;

    if (v->frame.x[28]++ && v->frame.x[10])
        abort();
    count->of[v->index]++;
    v->frame.x[10] = 0;
    v->frame.x[11] = ALL;
    v->frame.x[16] = 1;
    v->frame.x[17] = EID_RFENCE;
    *event = toy_trap(HVCORE_RISCV64_ECALL_VS, HVCORE_RISCV64_VS, 0);
    event->pc = RAM;
    return 1;
}

static void fences_cross(void)
{
    guest g;
    static fence_count count;
    hvcore_map_opts mapping = HVCORE_MAP_OPTS_INIT;
    uint64_t n = 0;

    if (!guest_up(&g, "toy", 4, 0, 0))
        return;
    for (uint32_t i = 0; i < 3; i++)
        toy_set_program(g.toy[i], toy_fences, &count);
    /* the fourth executes its guest all the time, and is kicked out of it */
    alarm(60);
    for (uint32_t i = 0; i < 4; i++)
        guest_start(&g, i);
    mapping.gpa = 2 * RAM;
    for (uint64_t end = hvcore_clock_ns() + 500 * MS;
         hvcore_clock_ns() < end || count.of[0] < 100 || count.of[1] < 100 || count.of[2] < 100;
         n++) {
        OK(hvcore_vm_map(g.vm, g.mem, &mapping, NULL));
        OK(hvcore_vm_unmap(g.vm, mapping.gpa, RAM_SIZE, NULL));
        OK(hvcore_vm_pause(g.vm));
        OK(hvcore_vm_resume(g.vm));
    }
    for (uint32_t i = 0; i < 4; i++)
        guest_cancel(&g, i);
    alarm(0);
    printf("(%llu, %llu, %llu fences, %llu maps) ", (unsigned long long)count.of[0],
           (unsigned long long)count.of[1], (unsigned long long)count.of[2], (unsigned long long)n);
    guest_down(&g);
}

/* vCPUs come and go while others send interrupts and fences to all. */
static int toy_shouts(toy_vcpu *v, void *user, hvcore_event *event)
{
    (void)user;
    v->frame.x[10] = 0;
    v->frame.x[11] = ALL;
    v->frame.x[16] = 0;
    v->frame.x[17] = v->frame.x[28]++ & 1 ? EID_IPI : EID_RFENCE;
    *event = toy_trap(HVCORE_RISCV64_ECALL_VS, HVCORE_RISCV64_VS, 0);
    event->pc = RAM;
    return 1;
}

static void coming_and_going(void)
{
    guest g;
    uint64_t n = 0;

    if (!guest_up(&g, "toy", 4, 0, 0))
        return;
    for (uint32_t i = 0; i < 2; i++)
        toy_set_program(g.toy[i], toy_shouts, NULL);
    alarm(60);
    for (uint32_t i = 0; i < 2; i++)
        guest_start(&g, i);
    for (uint64_t end = hvcore_clock_ns() + 300 * MS; hvcore_clock_ns() < end; n++) {
        uint32_t i = 2 + (n & 1);

        hvcore_vcpu_unref(g.cpu[i]);
        OK(hvcore_vcpu_create(g.vm, i, NULL, &g.cpu[i], NULL));
    }
    for (uint32_t i = 0; i < 2; i++)
        guest_cancel(&g, i);
    alarm(0);
    CU_ASSERT(n > 10);
    guest_down(&g);
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"start and stop", start_and_stop},
        {"suspend", suspend},
        {"suspend that need not wait", suspend_at_once},
        {"hart masks", masks},
        {"starts that race", start_races},
        {"a token by IPI and WFI (bare)", token_ring},
        {"remote fences (bare)", remote_fences},
        {"fences that cross", fences_cross},
        {"vCPUs that come and go", coming_and_going},
        {NULL, NULL},
    };

    signal(SIGALRM, guest_stuck);
    return hvc_unit_main("hart", tests);
}
