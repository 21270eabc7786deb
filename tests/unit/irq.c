/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt lines, WFI and timers of a vCPU: what reaches hvip, what wakes a guest that waits, and
 * that nothing is lost between the two.
 */
#include "tests/unit/guest.h"
#include "tests/unit/random.h"

#define VSSIP (UINT64_C(1) << 2)
#define VSTIP (UINT64_C(1) << 6)
#define VSEIP (UINT64_C(1) << 10)
#define SSIE (UINT64_C(1) << 1)
#define STIE (UINT64_C(1) << 5)
#define SEIE (UINT64_C(1) << 9)
#define WFI 0x10500073
#define SECOND UINT64_C(1000000000)

/* A toy that does one instruction, then is kicked; what the hardware holds afterwards. */
static uint64_t entered_with(guest *g)
{
    WANT(guest_run(g, 0, 0, 1), HVCORE_EXIT_DEADLINE); /* too late from the start */
    hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;
    opts.max_insns = 1;
    OK(hvcore_vcpu_run(g->cpu[0], &opts, &g->exit[0], NULL));
    return g->toy[0]->hw.hvip;
}

static void irq(guest *g, uint32_t number, uint32_t level)
{
    OK(hvcore_vcpu_irq(g->cpu[0], number, level));
}

static void set_hvip(guest *g, uint64_t value)
{
    OK(hvcore_reg_set_u64(g->cpu[0], HVCORE_REG_RISCV64_HVIP, value));
}

/* --- lines ------------------------------------------------------------------------------------ */

static void levels(void)
{
    guest g;

    if (!guest_up(&g, "toy", 1, 0, 0))
        return;
    irq(&g, HVCORE_RISCV64_IRQ_TIMER, 1);
    WANT(entered_with(&g), VSTIP);
    irq(&g, HVCORE_RISCV64_IRQ_EXTERNAL, 77);
    WANT(entered_with(&g), VSTIP | VSEIP);
    irq(&g, HVCORE_RISCV64_IRQ_TIMER, 0);
    WANT(entered_with(&g), VSEIP);
    irq(&g, HVCORE_RISCV64_IRQ_EXTERNAL, 0);
    WANT(entered_with(&g), 0);
    /* What was written to hvip is there beside the lines, and outlives them. */
    set_hvip(&g, VSEIP);
    irq(&g, HVCORE_RISCV64_IRQ_EXTERNAL, 1);
    irq(&g, HVCORE_RISCV64_IRQ_TIMER, 1);
    WANT(guest_reg(&g, 0, HVCORE_REG_RISCV64_HVIP), VSTIP | VSEIP);
    irq(&g, HVCORE_RISCV64_IRQ_EXTERNAL, 0);
    WANT(entered_with(&g), VSTIP | VSEIP);
    set_hvip(&g, 0);
    WANT(guest_reg(&g, 0, HVCORE_REG_RISCV64_HVIP), VSTIP);
    WANT(entered_with(&g), VSTIP);
    irq(&g, HVCORE_RISCV64_IRQ_TIMER, 0);
    WANT(entered_with(&g), 0);
    WANT(hvcore_vcpu_irq(g.cpu[0], 0, 1), -HVCORE_E_RANGE);
    WANT(hvcore_vcpu_irq(g.cpu[0], 2, 1), -HVCORE_E_RANGE);
    WANT(hvcore_vcpu_irq(g.cpu[0], 10, 1), -HVCORE_E_RANGE);
    WANT(hvcore_vcpu_irq(g.cpu[0], UINT32_MAX, 1), -HVCORE_E_RANGE);
    WANT(hvcore_vcpu_irq(NULL, 1, 1), -HVCORE_E_INVAL);
    guest_down(&g);
}

/* The guest clears VSSIP itself; a later event does not bring it back. */
static void soft_bit(void)
{
    guest g;

    if (!guest_up(&g, "toy", 1, 0, 0))
        return;
    irq(&g, HVCORE_RISCV64_IRQ_SOFT, 1);
    WANT(entered_with(&g), VSSIP);
    WANT(entered_with(&g), VSSIP);
    g.toy[0]->hw.hvip = 0;
    irq(&g, HVCORE_RISCV64_IRQ_EXTERNAL, 1);
    WANT(entered_with(&g), VSEIP);
    irq(&g, HVCORE_RISCV64_IRQ_SOFT, 1);
    irq(&g, HVCORE_RISCV64_IRQ_SOFT, 0); /* taken back before it was seen */
    WANT(entered_with(&g), VSEIP);
    irq(&g, HVCORE_RISCV64_IRQ_SOFT, 0);
    irq(&g, HVCORE_RISCV64_IRQ_SOFT, 1); /* the last one counts */
    WANT(entered_with(&g), VSSIP | VSEIP);
    irq(&g, HVCORE_RISCV64_IRQ_SOFT, 0);
    WANT(entered_with(&g), VSEIP);
    set_hvip(&g, VSSIP);
    irq(&g, HVCORE_RISCV64_IRQ_EXTERNAL, 0);
    WANT(entered_with(&g), VSSIP); /* the guest's own bit stays */
    guest_down(&g);
}

/* A backend that cannot write hvip for now: the run fails, the interrupt is not lost. */
static void failing_store(void)
{
    guest g;

    if (!guest_up(&g, "toy", 1, 0, 0))
        return;
    irq(&g, HVCORE_RISCV64_IRQ_SOFT, 1);
    toy.fail[TOY_SYS_LOAD] = -HVCORE_E_STATE;
    WANT(guest_run(&g, 0, 0, 0), -HVCORE_E_STATE);
    toy.fail[TOY_SYS_LOAD] = 0;
    toy.fail[TOY_SYS_STORE] = -HVCORE_E_STATE;
    WANT(guest_run(&g, 0, 0, 0), -HVCORE_E_STATE);
    toy.fail[TOY_SYS_STORE] = 0;
    WANT(entered_with(&g), VSSIP);
    guest_down(&g);
}

/* --- WFI -------------------------------------------------------------------------------------- */

static void push_wfi(guest *g)
{
    hvcore_event e = toy_trap(HVCORE_RISCV64_VIRTUAL_INSN, HVCORE_RISCV64_VS, WFI);

    toy_push(g->toy[0], &e);
}

static void set_sie(guest *g, uint64_t vsie)
{
    OK(hvcore_reg_set_u64(g->cpu[0], HVCORE_REG_RISCV64_VSIE, vsie));
}

static uint64_t pc(guest *g)
{
    return guest_reg(g, 0, HVCORE_REG_RISCV64_PC);
}

/* Executes one instruction behind the script; pc where the guest then is. */
static uint64_t goes_on_at(guest *g, uint32_t flags)
{
    hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;

    opts.flags = flags;
    opts.max_insns = toy_left(g->toy[0]) + 1;
    opts.deadline_ns = hvcore_clock_ns() + 60 * SECOND;
    OK(hvcore_vcpu_run(g->cpu[0], &opts, &g->exit[0], NULL));
    WANT(g->exit[0]->reason, HVCORE_EXIT_INSN_LIMIT);
    return g->exit[0]->pc;
}

/* Comes to the end of the script and waits there, for two deadlines; pc where that is. */
static uint64_t waits_at(guest *g)
{
    int more = 2;

    while (more) {
        more -= !toy_left(g->toy[0]);
        WANT(guest_run(g, 0, HVCORE_RUN_WAIT, hvcore_clock_ns() + MS), HVCORE_EXIT_DEADLINE);
    }
    return g->exit[0]->pc;
}

/* Each source of an interrupt, enabled and not, with and without waiting. */
static void wfi_pending(void)
{
    static const uint32_t number[] = {1, 5, 9};

    for (uint32_t flags = 0; flags <= HVCORE_RUN_WAIT; flags++)
        for (int source = 0; source < 4; source++)
            for (uint32_t enabled = 0; enabled < 8; enabled++) {
                uint64_t vsie =
                    (enabled & 1 ? SSIE : 0) | (enabled & 2 ? STIE : 0) | (enabled & 4 ? SEIE : 0);
                bool wakes = enabled >> (source == 3 ? 1 : source) & 1;
                guest g;

                if (!guest_up(&g, "toy", 1, 0, 0))
                    return;
                set_sie(&g, vsie);
                if (source < 3)
                    irq(&g, number[source], 1);
                else
                    OK(hvcore_reg_set_u64(g.cpu[0], HVCORE_REG_RISCV64_VSTIMECMP, 1));
                push_wfi(&g);
                if (wakes) {
                    WANT(goes_on_at(&g, flags), RAM + 4);
                } else if (flags) {
                    WANT(waits_at(&g), RAM);
                } else {
                    WANT(guest_run(&g, 0, 0, 0), HVCORE_EXIT_HALT);
                    WANT(pc(&g), RAM);
                    WANT(goes_on_at(&g, 0), RAM + 4); /* the VMM has waited */
                }
                guest_down(&g);
            }
}

/* A wait that a deadline or a cancel ends goes on in the next run; setting pc abandons it. */
static void wfi_interrupted(void)
{
    guest g;

    if (!guest_up(&g, "toy", 1, 0, 0))
        return;
    set_sie(&g, SEIE);
    push_wfi(&g);
    WANT(waits_at(&g), RAM);
    OK(hvcore_vcpu_cancel(g.cpu[0], 5));
    WANT(guest_run(&g, 0, HVCORE_RUN_WAIT, 0), HVCORE_EXIT_CANCELLED);
    WANT(pc(&g), RAM);
    unsigned long enters = toy.calls[TOY_ENTER];
    WANT(waits_at(&g), RAM);
    WANT(toy.calls[TOY_ENTER], enters); /* it waits, it does not try again */
    WANT(guest_run(&g, 0, 0, 0), HVCORE_EXIT_HALT);
    WANT(goes_on_at(&g, 0), RAM + 4);
    push_wfi(&g);
    WANT(waits_at(&g), RAM + 4);
    OK(hvcore_reg_set_u64(g.cpu[0], HVCORE_REG_RISCV64_PC, RAM + 0x100));
    WANT(goes_on_at(&g, HVCORE_RUN_WAIT), RAM + 0x100);
    push_wfi(&g);
    WANT(waits_at(&g), RAM + 0x100);
    irq(&g, HVCORE_RISCV64_IRQ_EXTERNAL, 1);
    WANT(goes_on_at(&g, HVCORE_RUN_WAIT), RAM + 0x104);
    guest_down(&g);
}

static void wait_entered(unsigned long times)
{
    while (toy.calls[TOY_ENTER] < times)
        sched_yield();
}

/* A pause holds a vCPU that waits; the interrupt is found when it is over. */
static void wfi_paused(void)
{
    guest g;

    if (!guest_up(&g, "toy", 1, 0, 0))
        return;
    set_sie(&g, SEIE);
    push_wfi(&g);
    guest_start(&g, 0);
    wait_entered(1);
    guest_nap(2 * MS);
    OK(hvcore_vm_pause(g.vm));
    irq(&g, HVCORE_RISCV64_IRQ_EXTERNAL, 1);
    guest_nap(2 * MS);
    WANT(toy.calls[TOY_ENTER], 1);
    OK(hvcore_vm_resume(g.vm));
    wait_entered(2);
    guest_cancel(&g, 0);
    WANT(pc(&g), RAM + 4);
    guest_down(&g);
}

/* Only what matters for the wait wakes it: neither a map nor a policy makes the guest try again. */
static void wfi_undisturbed(void)
{
    guest g;
    hvcore_map_opts mapping = HVCORE_MAP_OPTS_INIT;
    struct timespec cpu;
    clockid_t clock;

    if (!guest_up(&g, "toy", 1, 0, 0))
        return;
    set_sie(&g, SEIE);
    push_wfi(&g);
    guest_start(&g, 0);
    wait_entered(1);
    guest_nap(20 * MS);
    CU_ASSERT_FATAL(!pthread_getcpuclockid(g.thread[0], &clock));
    mapping.gpa = 2 * RAM;
    for (int i = 0; i < 100; i++) {
        OK(hvcore_vm_map(g.vm, g.mem, &mapping, NULL));
        OK(hvcore_vm_unmap(g.vm, mapping.gpa, RAM_SIZE, NULL));
        irq(&g, HVCORE_RISCV64_IRQ_TIMER, i & 1); /* not enabled */
    }
    guest_nap(100 * MS);
    WANT(toy.calls[TOY_ENTER], 1);
    clock_gettime(clock, &cpu);
    CU_ASSERT(!cpu.tv_sec && cpu.tv_nsec < 50000000); /* asleep most of the time */
    irq(&g, HVCORE_RISCV64_IRQ_EXTERNAL, 1);
    wait_entered(2);
    guest_cancel(&g, 0);
    CU_ASSERT(toy.calls[TOY_FLUSH] >= 1); /* what was asked for meanwhile has been done */
    guest_down(&g);
}

/* An interrupt that comes when the lines have been looked at, and before the vCPU sleeps. */
static void comes_now(void *user)
{
    guest *g = user;

    toy.on_time = NULL;
    irq(g, HVCORE_RISCV64_IRQ_EXTERNAL, 1);
}

static void wfi_last_moment(void)
{
    guest g;

    if (!guest_up(&g, "toy", 1, 0, 0))
        return;
    set_sie(&g, SEIE | STIE);
    push_wfi(&g);
    toy.on_time_user = &g;
    toy.on_time = comes_now;
    WANT(goes_on_at(&g, HVCORE_RUN_WAIT), RAM + 4);
    guest_down(&g);
}

/* --- timers ----------------------------------------------------------------------------------- */

static void timer_toy(void)
{
    guest g;

    if (!guest_up(&g, "toy", 1, 0, 0))
        return;
    uint64_t start = hvcore_clock_ns();
    set_sie(&g, STIE);
    OK(hvcore_reg_set_u64(g.cpu[0], HVCORE_REG_RISCV64_VSTIMECMP, (start + 30 * MS) / 100));
    push_wfi(&g);
    hvcore_event e = toy_trap(HVCORE_RISCV64_ECALL_VS, HVCORE_RISCV64_VS, 0);
    OK(hvcore_reg_set_u64(g.cpu[0], HVCORE_REG_RISCV64_X0 + (17 << 8), 0x53525354));
    OK(hvcore_reg_set_u64(g.cpu[0], HVCORE_REG_RISCV64_X0 + (16 << 8), 0));
    toy_push(g.toy[0], &e);
    WANT(guest_run(&g, 0, HVCORE_RUN_WAIT, start + 60 * SECOND), HVCORE_EXIT_SHUTDOWN);
    CU_ASSERT(hvcore_clock_ns() - start >= 30 * MS);
    CU_ASSERT(hvcore_clock_ns() - start < 10 * SECOND);
    guest_down(&g);
}

/* A guest sets its timer 20 ms ahead by SBI, waits, stores the time and sip, and is off. */
static void timer_bare(void)
{
    guest g;
    rv_code c;

    if (!guest_up(&g, "bare", 1, 0, 0))
        return;
    c = guest_code(&g, RAM);
    rv_li(&c, RV_T0, STIE);
    rv_put(&c, rv_csrw(CSR_SIE, RV_T0));
    rv_put(&c, rv_csrr(RV_S0, 0xc01));
    rv_li(&c, RV_T0, 200000);
    rv_put(&c, rv_add(RV_A0, RV_S0, RV_T0));
    guest_sbi(&c, 0x54494d45, 0);
    rv_li(&c, RV_S2, DATA);
    rv_put(&c, rv_sd(RV_A0, 0, RV_S2));
    rv_put(&c, rv_wfi());
    rv_put(&c, rv_csrr(RV_T0, 0xc01));
    rv_put(&c, rv_sub(RV_T0, RV_T0, RV_S0));
    rv_put(&c, rv_sd(RV_T0, 8, RV_S2));
    /* never again */
    rv_li(&c, RV_A0, UINT64_MAX);
    guest_sbi(&c, 0x54494d45, 0);
    guest_shutdown(&c);
    uint64_t start = hvcore_clock_ns();
    WANT(guest_run(&g, 0, HVCORE_RUN_WAIT, start + 60 * SECOND), HVCORE_EXIT_SHUTDOWN);
    WANT(*guest_word(&g, DATA), 0);
    CU_ASSERT(*guest_word(&g, DATA + 8) >= 200000);
    WANT(guest_reg(&g, 0, HVCORE_REG_RISCV64_VSTIMECMP), -1);
    hvcore_vcpu_stats stats = HVCORE_VCPU_STATS_INIT;
    OK(hvcore_vcpu_stats_get(g.cpu[0], &stats));
    CU_ASSERT(stats.enters < 12); /* it slept */
    guest_down(&g);
}

/* set_timer takes the timer interrupt away, whoever drives it. */
static void set_timer_clears(void)
{
    for (int by_line = 0; by_line < 2; by_line++) {
        hvcore_event e = toy_trap(HVCORE_RISCV64_ECALL_VS, HVCORE_RISCV64_VS, 0);
        guest g;

        if (!guest_up(&g, "toy", 1, 0, 0))
            return;
        if (by_line)
            irq(&g, HVCORE_RISCV64_IRQ_TIMER, 1);
        else
            set_hvip(&g, VSTIP);
        WANT(entered_with(&g), VSTIP);
        OK(hvcore_reg_set_u64(g.cpu[0], HVCORE_REG_RISCV64_A0, 12345));
        OK(hvcore_reg_set_u64(g.cpu[0], HVCORE_REG_RISCV64_X0 + (17 << 8), 0x54494d45));
        OK(hvcore_reg_set_u64(g.cpu[0], HVCORE_REG_RISCV64_X0 + (16 << 8), 0));
        toy_push(g.toy[0], &e);
        WANT(goes_on_at(&g, 0), RAM + 4);
        WANT(g.toy[0]->hw.vstimecmp, 12345);
        WANT(entered_with(&g), 0);
        WANT(guest_reg(&g, 0, HVCORE_REG_RISCV64_A0), 0);
        guest_down(&g);
    }
}

/* --- nothing is lost between a wait and what ends it ------------------------------------------ */

/* The toy's guest waits; when it has VSSIP it clears it and counts; then it waits again. */
typedef struct counter {
    _Atomic uint64_t seen;
    uint64_t waits;
} counter;

static int toy_counts(toy_vcpu *v, void *user, hvcore_event *event)
{
    counter *c = user;

    if (v->hw.hvip & VSSIP) {
        v->hw.hvip &= ~VSSIP;
        c->seen++;
        return 0;
    }
    c->waits++;
    *event = toy_trap(HVCORE_RISCV64_VIRTUAL_INSN, HVCORE_RISCV64_VS, WFI);
    event->pc = RAM;
    return 1;
}

/* 1: wfi; csrrci t0, sip, 2; andi t0, t0, 2; beqz 1b; count it; j 1b */
static void counting_guest(guest *g)
{
    rv_code c = guest_code(g, RAM);

    rv_li(&c, RV_S2, DATA);
    uint64_t again = rv_here(&c);
    rv_put(&c, rv_wfi());
    rv_put(&c, rv_csrrci(RV_T0, CSR_SIP, 2));
    rv_put(&c, rv_andi(RV_T0, RV_T0, 2));
    rv_put(&c, rv_beq(RV_T0, 0, rv_to(&c, again)));
    rv_put(&c, rv_ld(RV_T1, 0, RV_S2));
    rv_put(&c, rv_addi(RV_T1, RV_T1, 1));
    rv_put(&c, rv_sd(RV_T1, 0, RV_S2));
    rv_put(&c, rv_jal(0, rv_to(&c, again)));
}

static uint64_t stress_rounds(void)
{
    const char *text = getenv("HVC_CANCELS");
    unsigned long n = text ? strtoul(text, NULL, 10) : 0;

    return n && n < 100000 ? n : 100000;
}

/*
 * One interrupt after the other; each has to be seen before the next one is sent. In between come
 * requests that must not end the wait, and now and then a pause.
 */
static void no_wakeup_lost(const char *backend)
{
    guest g;
    counter c = {0};
    uint64_t seed = 3, n = stress_rounds();

    if (!guest_up(&g, backend, 1, 0, 0))
        return;
    if (g.toy[0])
        toy_set_program(g.toy[0], toy_counts, &c);
    else
        counting_guest(&g);
    set_sie(&g, SSIE);
    _Atomic uint64_t *seen = g.toy[0] ? &c.seen : guest_word(&g, DATA);
    alarm(120);
    guest_start(&g, 0);
    for (uint64_t i = 1; i <= n; i++) {
        uint64_t x = hvc_random(&seed);

        if (x % 4 == 0) /* some come as the guest goes to sleep, some while it sleeps */
            for (uint64_t until = hvcore_clock_ns() + (x >> 8) % 8192; hvcore_clock_ns() < until;)
                ;
        if (x % 64 == 1)
            irq(&g, HVCORE_RISCV64_IRQ_TIMER, x >> 7 & 1);
        if (x % 512 == 2) {
            OK(hvcore_vm_pause(g.vm));
            irq(&g, HVCORE_RISCV64_IRQ_SOFT, 1);
            OK(hvcore_vm_resume(g.vm));
        } else {
            irq(&g, HVCORE_RISCV64_IRQ_SOFT, 1);
        }
        for (uint32_t k = 0; *seen < i; k++)
            if (k > 200)
                sched_yield();
    }
    guest_cancel(&g, 0);
    alarm(0);
    WANT(*seen, n);
    printf("(%llu interrupts) ", (unsigned long long)n);
    guest_down(&g);
}

static void no_wakeup_lost_toy(void)
{
    no_wakeup_lost("toy");
}

static void no_wakeup_lost_bare(void)
{
    no_wakeup_lost("bare");
}

/* A cancel from a signal handler's place finds a vCPU that waits, every time. */
static void cancel_a_wait(void)
{
    guest g;
    uint64_t seed = 5, n = stress_rounds() / 10;
    counter c = {0};

    if (!guest_up(&g, "toy", 1, 0, 0))
        return;
    toy_set_program(g.toy[0], toy_counts, &c);
    set_sie(&g, SSIE);
    alarm(120);
    for (uint64_t i = 0; i < n; i++) {
        guest_start(&g, 0);
        for (uint64_t until = hvcore_clock_ns() + hvc_random(&seed) % 65536;
             hvcore_clock_ns() < until;)
            ;
        guest_cancel(&g, 0);
    }
    alarm(0);
    guest_down(&g);
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"levels", levels},
        {"the software interrupt", soft_bit},
        {"a backend that fails", failing_store},
        {"WFI: what wakes it", wfi_pending},
        {"WFI: deadline, cancel, pc", wfi_interrupted},
        {"WFI: pause", wfi_paused},
        {"WFI: an interrupt in the last moment", wfi_last_moment},
        {"WFI: what does not wake it", wfi_undisturbed},
        {"timer (toy)", timer_toy},
        {"timer (bare)", timer_bare},
        {"set_timer", set_timer_clears},
        {"no wakeup is lost (toy)", no_wakeup_lost_toy},
        {"no wakeup is lost (bare)", no_wakeup_lost_bare},
        {"cancel of a wait", cancel_a_wait},
        {NULL, NULL},
    };

    signal(SIGALRM, guest_stuck);
    return hvc_unit_main("irq", tests);
}
