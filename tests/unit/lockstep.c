/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvcore_vm_run: turns, time that jumps, exits; and the same run twice, bit for bit, whatever the
 * host does in between.
 */
#include "tests/unit/guest.h"

#define LOCKSTEP HVCORE_SCHEDULE_LOCKSTEP
#define OFF(i) (1u << (i))
#define TIMER_IE (UINT64_C(1) << 5)
#define TURN 10000

static const hvcore_exit *exit_;

static int run(guest *g, uint64_t max_insns)
{
    hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;

    opts.max_insns = max_insns;
    int rc = hvcore_vm_run(g->vm, &opts, &exit_, NULL);
    return rc ? rc : (int)exit_->reason;
}

static void set(guest *g, uint32_t i, hvcore_reg reg, uint64_t value)
{
    OK(hvcore_reg_set_u64(g->cpu[i], reg, value));
}

static uint64_t insns(guest *g, uint32_t i)
{
    hvcore_vcpu_stats s = HVCORE_VCPU_STATS_INIT;

    OK(hvcore_vcpu_stats_get(g->cpu[i], &s));
    return s.insns;
}

/* --- what it takes ---------------------------------------------------------------------------- */

static void options(void)
{
    hvcore_vm_opts vm = HVCORE_VM_OPTS_INIT;
    hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;
    hvcore_vm *none = NULL;
    hvcore_error e;
    guest g;

    if (!guest_up(&g, "toy", 2, 0, 0))
        return;
    FAILS(hvcore_vm_run(g.vm, NULL, &exit_, &e), HVCORE_E_UNSUPPORTED);
    vm.arch = HVCORE_ARCH_RISCV64;
    vm.backend = "toy";
    vm.schedule = 2;
    FAILS(hvcore_vm_create(g.ctx, &vm, &none, &e), HVCORE_E_INVAL);
    vm.schedule = LOCKSTEP;
    vm.reserved = 1;
    FAILS(hvcore_vm_create(g.ctx, &vm, &none, &e), HVCORE_E_INVAL);
    vm.reserved = 0;
    toy.caps &= ~(uint32_t)HVCORE_CAP_LOCKSTEP;
    FAILS(hvcore_vm_create(g.ctx, &vm, &none, &e), HVCORE_E_UNSUPPORTED);
    guest_down(&g);

    if (!guest_up(&g, "toy", 2, LOCKSTEP, 0))
        return;
    FAILS(hvcore_vm_run(NULL, NULL, &exit_, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_run(g.vm, NULL, NULL, &e), HVCORE_E_INVAL);
    opts.flags = HVCORE_RUN_WAIT << 1;
    FAILS(hvcore_vm_run(g.vm, &opts, &exit_, &e), HVCORE_E_INVAL);
    opts.flags = HVCORE_RUN_WAIT;
    FAILS(hvcore_vcpu_run(g.cpu[0], &opts, &exit_, &e), HVCORE_E_UNSUPPORTED);
    opts.max_insns = 5;
    OK(hvcore_vm_run(g.vm, &opts, &exit_, &e));
    WANT(exit_->reason, HVCORE_EXIT_INSN_LIMIT);
    opts.flags = 0;
    OK(hvcore_vcpu_run(g.cpu[1], &opts, &exit_, &e)); /* one of them alone */
    WANT(exit_->reason, HVCORE_EXIT_INSN_LIMIT);
    WANT(exit_->vcpu, 1);
    hvcore_vcpu_unref(g.cpu[0]);
    hvcore_vcpu_unref(g.cpu[1]);
    g.cpus = 0;
    FAILS(hvcore_vm_run(g.vm, NULL, &exit_, &e), HVCORE_E_STATE);
    guest_down(&g);
}

/* --- turns ------------------------------------------------------------------------------------ */

/* Which vCPU executed when: a hash of the order, and the lengths of the turns. */
typedef struct order {
    uint32_t last;
    uint64_t in_row, turns, wrong, hash;
} order;

static int toy_order(toy_vcpu *v, void *user, hvcore_event *event)
{
    order *o = user;

    (void)event;
    if (v->index != o->last) {
        o->wrong += o->in_row != TURN || v->index != (o->last + 1) % 3;
        o->turns++;
        o->in_row = 0;
        o->last = v->index;
    }
    o->in_row++;
    o->hash = (o->hash ^ v->index) * UINT64_C(0x100000001b3);
    return 0;
}

static void turns(void)
{
    order o = {0};
    guest g;

    if (!guest_up(&g, "toy", 3, LOCKSTEP, 0))
        return;
    for (uint32_t i = 0; i < 3; i++)
        toy_set_program(g.toy[i], toy_order, &o);
    WANT(run(&g, 10 * TURN + 5000), HVCORE_EXIT_INSN_LIMIT);
    WANT(o.turns, 10);
    WANT(exit_->vcpu, 1);
    WANT(insns(&g, 0) + insns(&g, 1) + insns(&g, 2), 10 * TURN + 5000);
    /* A turn that a return has interrupted is continued. */
    for (uint32_t k = 0; k < 1000; k++)
        WANT(run(&g, 37 + k), HVCORE_EXIT_INSN_LIMIT);
    WANT(o.wrong, 0);
    WANT(toy.calls[TOY_KICK], 0);
    guest_down(&g);
}

/* Deadlines and cancels come as they like: they end runs, and leave no trace in the order. */
static atomic_int quiet;

static void *canceller(void *user)
{
    guest *g = user;

    while (!quiet) {
        guest_nap(100000);
        OK(hvcore_vcpu_cancel(g->cpu[1], 9));
        OK(hvcore_vcpu_irq(g->cpu[2], HVCORE_RISCV64_IRQ_EXTERNAL, 0)); /* no change */
    }
    return NULL;
}

static void undisturbed(void)
{
    uint64_t hash[2], reasons[HVCORE_EXIT_OFF + 1] = {0};

    for (int noise = 0; noise < 2; noise++) {
        order o = {0};
        pthread_t thread;
        quiet = 0;
        uint64_t total = 400 * TURN;
        guest g;

        if (!guest_up(&g, "toy", 3, LOCKSTEP, 0))
            return;
        for (uint32_t i = 0; i < 3; i++)
            toy_set_program(g.toy[i], toy_order, &o);
        if (noise)
            CU_ASSERT_FATAL(!pthread_create(&thread, NULL, canceller, &g));
        for (uint64_t done = 0; done < total;) {
            hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;

            opts.max_insns = total - done;
            opts.deadline_ns = noise ? hvcore_clock_ns() + 200000 : 0;
            OK(hvcore_vm_run(g.vm, &opts, &exit_, NULL));
            reasons[exit_->reason]++;
            done = insns(&g, 0) + insns(&g, 1) + insns(&g, 2);
        }
        quiet = 1;
        if (noise)
            pthread_join(thread, NULL);
        WANT(o.wrong, 0);
        WANT(toy.calls[TOY_KICK], 0);
        hash[noise] = o.hash;
        guest_down(&g);
    }
    WANT(hash[0], hash[1]);
    CU_ASSERT(reasons[HVCORE_EXIT_DEADLINE] + reasons[HVCORE_EXIT_CANCELLED] > 2);
}

/* A guest that only traps uses up its turn as well. */
static int toy_traps(toy_vcpu *v, void *user, hvcore_event *event)
{
    uint64_t *count = user;

    count[v->index]++;
    v->insns--; /* what traps does not retire */
    v->vm->clock--;
    *event = toy_trap(HVCORE_RISCV64_ECALL_VS, HVCORE_RISCV64_VS, 0);
    event->pc = RAM;
    v->frame.x[17] = 0x10;
    v->frame.x[16] = 0;
    return 1;
}

static void trapping_guest(void)
{
    uint64_t count[2] = {0};
    guest g;

    if (!guest_up(&g, "toy", 2, LOCKSTEP, 0))
        return;
    for (uint32_t i = 0; i < 2; i++)
        toy_set_program(g.toy[i], toy_traps, count);
    WANT(run(&g, 3 * TURN), HVCORE_EXIT_INSN_LIMIT);
    WANT(count[0], 2 * TURN);
    WANT(count[1], TURN);
    guest_down(&g);
}

/* --- waiting ---------------------------------------------------------------------------------- */

static void push_wfi(guest *g, uint32_t i)
{
    hvcore_event e = toy_trap(HVCORE_RISCV64_VIRTUAL_INSN, HVCORE_RISCV64_VS, 0x10500073);

    toy_push(g->toy[i], &e);
}

/* All wait: HALT, again and again, until an interrupt comes. With a timer: time jumps. */
static void halts(void)
{
    guest g;

    if (!guest_up(&g, "toy", 3, LOCKSTEP, OFF(2)))
        return;
    for (uint32_t i = 0; i < 2; i++) {
        push_wfi(&g, i);
        set(&g, i, HVCORE_REG_RISCV64_VSIE, 0x222);
    }
    for (int k = 0; k < 3; k++) {
        WANT(run(&g, 0), HVCORE_EXIT_HALT);
        WANT(exit_->pc, RAM);
        WANT(toy.calls[TOY_ENTER], 2);
    }
    OK(hvcore_vcpu_irq(g.cpu[1], HVCORE_RISCV64_IRQ_SOFT, 1));
    WANT(run(&g, 100), HVCORE_EXIT_INSN_LIMIT);
    WANT(exit_->vcpu, 1);
    WANT(guest_reg(&g, 1, HVCORE_REG_RISCV64_PC), RAM + 4);
    WANT(guest_reg(&g, 0, HVCORE_REG_RISCV64_PC), RAM);
    /* cancel of one that waits */
    OK(hvcore_vcpu_cancel(g.cpu[0], 3));
    WANT(run(&g, 100000), HVCORE_EXIT_CANCELLED);
    WANT(exit_->vcpu, 0);
    guest_down(&g);

    /* The earlier of two timers; one that is not enabled does not count. */
    if (!guest_up(&g, "toy", 3, LOCKSTEP, 0))
        return;
    static const uint64_t at[] = {5000000, 1000000, 10};
    for (uint32_t i = 0; i < 3; i++) {
        push_wfi(&g, i);
        set(&g, i, HVCORE_REG_RISCV64_VSIE, i < 2 ? TIMER_IE : 0);
        set(&g, i, HVCORE_REG_RISCV64_VSTIMECMP, at[i]);
    }
    uint64_t start = hvcore_clock_ns();
    WANT(run(&g, 100), HVCORE_EXIT_INSN_LIMIT);
    CU_ASSERT(hvcore_clock_ns() - start < 100 * MS);
    WANT(exit_->vcpu, 1);
    WANT(g.toy[1]->vm->clock / 100, 1000000);
    WANT(guest_reg(&g, 0, HVCORE_REG_RISCV64_PC), RAM);
    push_wfi(&g, 1);
    set(&g, 1, HVCORE_REG_RISCV64_VSIE, 0);
    WANT(run(&g, 1000), HVCORE_EXIT_INSN_LIMIT);
    WANT(exit_->vcpu, 0);
    WANT(g.toy[1]->vm->clock / 100, 5000000 + 9);
    guest_down(&g);
}

static void all_off(void)
{
    guest g;

    if (!guest_up(&g, "toy", 2, LOCKSTEP, OFF(0) | OFF(1)))
        return;
    WANT(run(&g, 0), HVCORE_EXIT_OFF);
    WANT(run(&g, 0), HVCORE_EXIT_OFF);
    WANT(toy.calls[TOY_ENTER], 0);
    guest_down(&g);
}

/* An exit stays with its vCPU: it is completed, and the turn goes on. */
static void exits(void)
{
    hvcore_error e;
    guest g;

    if (!guest_up(&g, "toy", 2, LOCKSTEP, 0))
        return;
    hvcore_event access = toy_access(toy_load_insn(3, 5), 0x1000);
    toy_push(g.toy[1], &access);
    WANT(run(&g, 0), HVCORE_EXIT_MMIO);
    WANT(exit_->vcpu, 1);
    WANT(insns(&g, 0), TURN);
    FAILS(hvcore_vm_run(g.vm, NULL, &exit_, &e), HVCORE_E_STATE);
    OK(hvcore_vcpu_complete(g.cpu[1], &(uint64_t){77}, 1));
    WANT(run(&g, TURN + 5), HVCORE_EXIT_INSN_LIMIT);
    WANT(guest_reg(&g, 1, HVCORE_REG_RISCV64_X0 + (5 << 8)), 77);
    WANT(insns(&g, 1), TURN - 1); /* what has trapped: the toy counts it, and the turn does */
    WANT(exit_->vcpu, 0);
    guest_down(&g);
}

/* A callback may not run the VM it is called by. */
static uint32_t nosy(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width, uint64_t *value)
{
    guest *g = user;
    const hvcore_exit *x;
    hvcore_error e;

    (void)vcpu, (void)gpa, (void)width;
    FAILS(hvcore_vm_run(g->vm, NULL, &x, &e), HVCORE_E_BUSY);
    FAILS(hvcore_vcpu_run(g->cpu[0], NULL, &x, &e), HVCORE_E_BUSY);
    FAILS(hvcore_vcpu_run(g->cpu[1], NULL, &x, &e), HVCORE_E_BUSY);
    *value = guest_reg(g, 1, HVCORE_REG_RISCV64_PC);
    return HVCORE_MMIO_DONE;
}

static void callbacks(void)
{
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    guest g;

    if (!guest_up(&g, "toy", 2, LOCKSTEP, 0))
        return;
    ops.read = nosy;
    OK(hvcore_vm_mmio_add(g.vm, 0x1000, 8, &ops, &g, NULL, NULL));
    hvcore_event access = toy_access(toy_load_insn(3, 5), 0x1000);
    toy_push(g.toy[0], &access);
    WANT(run(&g, 100), HVCORE_EXIT_INSN_LIMIT);
    WANT(guest_reg(&g, 0, HVCORE_REG_RISCV64_X0 + (5 << 8)), RAM);
    guest_down(&g);
}

/* --- a real guest, several times -------------------------------------------------------------- */

/*
 * Each of four harts: a random walk that mixes what it reads of a shared page into its own state
 * and writes back, sends IPIs, sets its timer and waits for it or for an IPI. Data races, all of
 * them; in lockstep they have one outcome. Hart 0 switches off after 2000 steps. s0: state, s1: the
 * shared page, s2: steps left, s3: the hart.
 */
static void racing_guest(guest *g)
{
    rv_code c = guest_code(g, RAM);

    rv_put(&c, rv_addi(RV_S3, RV_A0, 0));
    rv_put(&c, rv_addi(RV_S0, RV_A0, 99));
    rv_li(&c, RV_S1, DATA);
    rv_li(&c, RV_S2, 2000);
    rv_li(&c, RV_T0, 0x22);
    rv_put(&c, rv_csrw(CSR_SIE, RV_T0));
    uint64_t again = rv_here(&c);
    rv_li(&c, RV_T0, UINT64_C(6364136223846793005));
    rv_put(&c, rv_mul(RV_S0, RV_S0, RV_T0));
    rv_put(&c, rv_addi(RV_S0, RV_S0, 1442));
    rv_put(&c, rv_srli(RV_T1, RV_S0, 40));
    rv_put(&c, rv_andi(RV_T1, RV_T1, 0x7f8));
    rv_put(&c, rv_add(RV_T1, RV_T1, RV_S1));
    rv_put(&c, rv_ld(RV_T2, 0, RV_T1));
    rv_put(&c, rv_xor(RV_S0, RV_S0, RV_T2));
    rv_put(&c, rv_csrr(RV_T2, 0xc01)); /* time */
    rv_put(&c, rv_add(RV_T2, RV_T2, RV_S0));
    rv_put(&c, rv_sd(RV_T2, 0, RV_T1));
    rv_put(&c, rv_srli(RV_T2, RV_S0, 55));
    uint64_t spin = rv_here(&c); /* up to 511 iterations */
    rv_put(&c, rv_addi(RV_T2, RV_T2, -1));
    rv_put(&c, rv_blt(0, RV_T2, rv_to(&c, spin)));
    rv_put(&c, rv_andi(RV_T0, RV_S0, 7));
    rv_code hole = c; /* t0 != 0: no call */
    rv_put(&c, rv_nop());
    rv_put(&c, rv_andi(RV_T0, RV_S0, 0x18)); /* an IPI to a hart by the state */
    rv_put(&c, rv_srli(RV_A1, RV_T0, 3));
    rv_put(&c, rv_addi(RV_A0, 0, 1));
    guest_sbi(&c, 0x735049, 0);
    rv_put(&c, rv_csrr(RV_A0, 0xc01));
    rv_put(&c, rv_addi(RV_A0, RV_A0, 300)); /* 30 us ahead */
    guest_sbi(&c, 0x54494d45, 0);
    rv_put(&c, rv_wfi());
    rv_put(&c, rv_csrrci(0, CSR_SIP, 2));
    rv_put(&hole, rv_bne(RV_T0, 0, rv_to(&hole, rv_here(&c))));
    rv_put(&c, rv_addi(RV_S2, RV_S2, -1));
    rv_put(&c, rv_bne(RV_S2, 0, rv_to(&c, again)));
    rv_put(&c, rv_bne(RV_S3, 0, 0x40)); /* the others: far enough to be past the shutdown */
    guest_shutdown(&c);
    while (rv_here(&c) % 0x100)
        rv_put(&c, rv_wfi());
    rv_put(&c, rv_jal(0, -4));
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static uint64_t outcome(guest *g)
{
    uint64_t hash = 0;

    for (uint64_t at = 0; at < 0x800; at += 8)
        hash = mix(hash, *guest_word(g, DATA + at));
    for (uint32_t i = 0; i < g->cpus; i++) {
        for (uint32_t n = 0; n < 33; n++)
            hash = mix(hash, guest_reg(g, i, HVCORE_REG_RISCV64_X0 + (n << 8)));
        hash = mix(hash, guest_reg(g, i, HVCORE_REG_RISCV64_VSTIMECMP));
        hash = mix(hash, insns(g, i));
    }
    return hash;
}

/* In one run, or with deadlines all the time. */
static uint64_t race(bool deadlines, uint64_t *runs)
{
    uint64_t hash;
    int reason;
    guest g;

    if (!guest_up(&g, "bare", 4, LOCKSTEP, 0))
        return 0;
    racing_guest(&g);
    do {
        hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;

        opts.deadline_ns = deadlines ? hvcore_clock_ns() + 50000 : 0;
        int rc = hvcore_vm_run(g.vm, &opts, &exit_, NULL);
        reason = rc ? rc : (int)exit_->reason;
        ++*runs;
    } while (reason == HVCORE_EXIT_DEADLINE);
    WANT(reason, HVCORE_EXIT_SHUTDOWN);
    hash = outcome(&g);
    guest_down(&g);
    return hash;
}

static void same_twice(void)
{
    uint64_t runs = 0, first = race(false, &runs);

    CU_ASSERT(first != 0);
    CU_ASSERT(race(false, &runs) == first);
    WANT(runs, 2);
    for (int k = 0; k < 5; k++)
        CU_ASSERT(race(true, &runs) == first);
    CU_ASSERT(runs > 10);
    printf("(%llu runs) ", (unsigned long long)runs);
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"options", options},
        {"turns", turns},
        {"deadlines and cancels", undisturbed},
        {"a guest that only traps", trapping_guest},
        {"all wait", halts},
        {"all are off", all_off},
        {"exits", exits},
        {"callbacks", callbacks},
        {"the same twice (bare)", same_twice},
        {NULL, NULL},
    };

    signal(SIGALRM, guest_stuck);
    alarm(120);
    return hvc_unit_main("lockstep", tests);
}
