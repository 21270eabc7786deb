/* SPDX-License-Identifier: Apache-2.0 */
/* What ends enter on the software machine besides traps: budget, kick, deadline; several PEs. */
#include "tests/unit/soft.h"

#include <pthread.h>
#include <stdio.h>

enum { RD = RV_T2, RS1 = RV_T0, RS2 = RV_T1 };

#define CODE UINT64_C(0x10000)
#define DATA UINT64_C(0x20000)
#define VECTOR UINT64_C(0x30000)
#define NOWHERE UINT64_C(0x70000)
#define MS UINT64_C(1000000)

static soft_vm *vm;

static void begin(void)
{
    vm = soft_vm_new();
    soft_map_ram(vm);
    uint64_t root = soft_vs_page(vm);
    soft_map_vs(vm, root, CODE, GUEST, PTE_S);
    soft_map_vs(vm, root, DATA, GUEST + PAGE, PTE_S);
    soft_map_vs(vm, root, VECTOR, GUEST + 2 * PAGE, PTE_S);
    hvc_port_set(vm->pe, vsatp, soft_satp(root, 1));
    hvc_port_set(vm->pe, vstvec, VECTOR);
    soft_mode(vm, VS, CODE);
}

static void end(void)
{
    soft_vm_free(vm);
}

/* --- guests that never end -------------------------------------------------------------------- */

static void guest_counts(void)
{
    rv_code c = rv_at(soft_ptr(vm, GUEST), CODE);
    rv_put(&c, rv_addi(RV_A0, RV_A0, 1));
    rv_put(&c, rv_jal(0, -4));
}

/* Walks at each turn. */
static void guest_misses(void)
{
    rv_code c = rv_at(soft_ptr(vm, GUEST), CODE);
    rv_li(&c, RS1, DATA);
    uint64_t loop = rv_here(&c);
    rv_put(&c, rv_sfence_vma(0, 0));
    rv_put(&c, rv_ld(RD, 0, RS1));
    rv_put(&c, rv_jal(0, rv_to(&c, loop)));
}

/* Computes, loads, stores, breaks into its own handler, which returns behind the break. */
static void guest_traps(void)
{
    rv_code c = rv_at(soft_ptr(vm, GUEST), CODE);
    rv_li(&c, RS1, DATA);
    uint64_t loop = rv_here(&c);
    rv_put(&c, rv_addi(RV_A0, RV_A0, 3));
    rv_put(&c, rv_sd(RV_A0, 8, RS1));
    rv_put(&c, rv_ebreak());
    rv_put(&c, rv_lw(RV_A1, 8, RS1));
    rv_put(&c, rv_csrr(RV_A2, 0xc02));
    rv_put(&c, rv_illegal());
    rv_put(&c, rv_mul(RV_A3, RV_A1, RV_A2));
    rv_put(&c, rv_jal(0, rv_to(&c, loop)));
    c = rv_at(soft_ptr(vm, GUEST + 2 * PAGE), VECTOR);
    rv_put(&c, rv_csrr(RV_T6, 0x141));
    rv_put(&c, rv_addi(RV_T6, RV_T6, 4));
    rv_put(&c, rv_csrw(0x141, RV_T6));
    rv_put(&c, rv_sret());
    hvc_port_set(vm->pe, hedeleg, UINT64_MAX);
    hvc_port_set(vm->pe, hcounteren, 7);
}

/*
 * Traps for ever without executing anything: the vector cannot be fetched, and its trap is
 * delegated.
 */
static void guest_without_vector(void)
{
    hvc_port_set(vm->pe, hedeleg, UINT64_MAX);
    hvc_port_set(vm->pe, vstvec, NOWHERE);
    soft_mode(vm, VS, NOWHERE);
}

static void guest_with_vector_zero(void)
{
    guest_without_vector();
    hvc_port_set(vm->pe, vstvec, 0);
}

/* The vector is an instruction that traps. */
static void guest_with_bad_vector(void)
{
    uint32_t word = rv_ebreak();
    memcpy(soft_ptr(vm, GUEST + 2 * PAGE), &word, 4);
    hvc_port_set(vm->pe, hedeleg, UINT64_MAX);
    soft_mode(vm, VS, VECTOR);
}

/* Interrupts are pending for ever, and the vector returns at once. */
static void guest_interrupted(void)
{
    uint32_t word = rv_sret();
    memcpy(soft_ptr(vm, GUEST + 2 * PAGE), &word, 4);
    guest_counts();
    hvc_port_set(vm->pe, hideleg, 0x444);
    hvc_port_set(vm->pe, vsie, 0x222);
    hvc_port_set(vm->pe, hvip, 0x444);
    hvc_port_set(vm->pe, vsstatus, HVC_SSTATUS_SIE);
}

static void (*const guests[])(void) = {
    guest_counts,           guest_misses,          guest_traps,      guest_without_vector,
    guest_with_vector_zero, guest_with_bad_vector, guest_interrupted};

#define GUESTS (sizeof guests / sizeof guests[0])

/* --- budget ----------------------------------------------------------------------------------- */

static void test_budget_exact(void)
{
    begin();
    guest_counts();
    for (uint64_t n = 1; n <= 1000; n++) {
        uint64_t insns = hvc_port_insns(vm->pe);
        vm->frame.x[RV_A0] = 0;
        soft_mode(vm, VS, CODE);
        CU_ASSERT_EQUAL(soft_steps(vm, n), HVC_STOP_INSN_LIMIT);
        CU_ASSERT_EQUAL(vm->frame.x[RV_A0], (n + 1) / 2);
        CU_ASSERT_EQUAL(vm->frame.pc, CODE + n % 2 * 4);
        CU_ASSERT_EQUAL(hvc_port_insns(vm->pe), insns + n);
    }
    end();
}

typedef struct state {
    hvcore_riscv64_frame frame;
    uint64_t vsstatus, vsepc, vscause, vstval, insns, data;
} state;

static state state_of(void)
{
    state s = {.frame = vm->frame,
               .vsstatus = hvc_port_get(vm->pe, vsstatus),
               .vsepc = hvc_port_get(vm->pe, vsepc),
               .vscause = hvc_port_get(vm->pe, vscause),
               .vstval = hvc_port_get(vm->pe, vstval),
               .insns = hvc_port_insns(vm->pe)};
    memcpy(&s.data, soft_ptr(vm, GUEST + PAGE + 8), 8);
    return s;
}

/* n at once are n times one, whatever happens in between. */
static void check_steps(void (*guest)(void))
{
    begin();
    guest();
    soft_vm *single = vm;
    for (uint64_t n = 1; n <= 1000; n++) {
        vm = single;
        CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_INSN_LIMIT);
        state want = state_of();
        if (n > 40 && n % 61)
            continue;
        begin();
        guest();
        CU_ASSERT_EQUAL(soft_steps(vm, n), HVC_STOP_INSN_LIMIT);
        state got = state_of();
        CU_ASSERT(!memcmp(&got, &want, sizeof got));
        end();
    }
    vm = single;
    end();
}

static void test_budget_steps(void)
{
    for (size_t i = 0; i < GUESTS; i++)
        check_steps(guests[i]);
}

/* It counts down across enters; what traps to HS-mode counts as well. */
static void test_budget_across(void)
{
    begin();
    rv_code c = rv_at(soft_ptr(vm, GUEST), CODE);
    for (int i = 0; i < 64; i++)
        rv_put(&c, i % 4 == 3 ? rv_ecall() : rv_nop());
    hvc_port_budget(vm->pe, 10);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_TRAP);
        vm->frame.pc += 4;
    }
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_INSN_LIMIT);
        CU_ASSERT_EQUAL(vm->frame.pc, CODE + 40);
    }
    CU_ASSERT_EQUAL(hvc_port_insns(vm->pe), 8);
    end();
}

/* --- kick ------------------------------------------------------------------------------------- */

static void test_kick_before(void)
{
    begin();
    guest_counts();
    for (int i = 0; i < 3; i++) {
        hvc_port_kick(vm->pe);
        hvc_port_kick(vm->pe);
        hvcore_riscv64_frame before = vm->frame;
        CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_KICKED);
        CU_ASSERT_EQUAL(vm->frame.pc, before.pc);
        CU_ASSERT(!memcmp(vm->frame.x, before.x, sizeof before.x));
        CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_INSN_LIMIT);
    }
    end();
}

/* A runner enters again and again; each kick must end one enter. */
static struct {
    _Atomic uint32_t ended, quit;
} runner;

static void *run_until_quit(void *arg)
{
    (void)arg;
    while (!atomic_load(&runner.quit)) {
        CU_ASSERT_EQUAL(hvc_port_enter(vm->pe, &vm->frame, &vm->raw), HVC_STOP_KICKED);
        atomic_fetch_add(&runner.ended, 1);
    }
    return NULL;
}

static void kick_many(uint32_t times)
{
    uint64_t seed = times;
    for (uint32_t i = 0; i < times; i++) {
        for (uint64_t wait = hvc_random(&seed) % 3000; wait > 0; wait--)
            atomic_signal_fence(memory_order_seq_cst);
        hvc_port_kick(vm->pe);
        while (atomic_load(&runner.ended) == i)
            ;
        CU_ASSERT_EQUAL(atomic_load(&runner.ended), i + 1);
    }
}

static void check_kicks(void (*guest)(void), uint32_t times)
{
    pthread_t thread;
    begin();
    guest();
    atomic_store(&runner.ended, 0);
    atomic_store(&runner.quit, 0);
    if (pthread_create(&thread, NULL, run_until_quit, NULL))
        abort();
    kick_many(times);
    atomic_store(&runner.quit, 1);
    hvc_port_kick(vm->pe);
    pthread_join(thread, NULL);
    end();
}

static void test_kick_during(void)
{
    for (size_t i = 0; i < GUESTS; i++)
        check_kicks(guests[i], 300);
}

/* --- deadline --------------------------------------------------------------------------------- */

static void test_deadline(void)
{
    for (size_t i = 0; i < GUESTS; i++) {
        begin();
        guests[i]();
        uint64_t until = hvc_host_now() + 3 * MS;
        hvc_port_timer(vm->pe, until);
        CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_DEADLINE);
        CU_ASSERT(hvc_host_now() >= until);
        CU_ASSERT(hvc_host_now() < until + 5000 * MS); /* not a measurement: it came at all */
        uint64_t insns = hvc_port_insns(vm->pe);
        CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_DEADLINE); /* it stays over */
        CU_ASSERT(hvc_port_insns(vm->pe) - insns <= SOFT_SLICE);
        hvc_port_timer(vm->pe, HVC_FOREVER);
        CU_ASSERT_EQUAL(soft_steps(vm, 5), HVC_STOP_INSN_LIMIT);
        end();
    }
}

/* --- several PEs ------------------------------------------------------------------------------ */

typedef struct player {
    pthread_t thread;
    hvc_pe *pe;
    hvcore_riscv64_frame frame;
    hvc_raw_trap raw;
    enum hvc_port_stop stop;
} player;

static void *play(void *arg)
{
    player *p = arg;
    p->stop = hvc_port_enter(p->pe, &p->frame, &p->raw);
    return NULL;
}

static void start(player *p, uint32_t index, uint64_t pc)
{
    if (index && hvc_port_pe_claim(vm->m, index, &p->pe))
        abort();
    if (!index)
        p->pe = vm->pe;
    hvc_port_set(p->pe, vsatp, hvc_port_get(vm->pe, vsatp));
    hvc_port_set(p->pe, hgatp, hvc_port_get(vm->pe, hgatp));
    soft_mode(vm, VS, pc);
    p->frame = vm->frame;
    if (pthread_create(&p->thread, NULL, play, p))
        abort();
}

static void finish(player *p, uint32_t index)
{
    pthread_join(p->thread, NULL);
    if (index)
        hvc_port_pe_release(p->pe);
}

#define ROUNDS 3000

/*
 * Sends 1 to ROUNDS: the value at DATA, then the flag at DATA + 64; waits for the answer at + 128.
 */
static void program_sender(rv_code *c)
{
    rv_li(c, RV_A0, DATA);
    rv_li(c, RV_A1, ROUNDS);
    rv_put(c, rv_addi(RV_A2, 0, 0));
    uint64_t loop = rv_here(c);
    rv_put(c, rv_addi(RV_A2, RV_A2, 1));
    rv_put(c, rv_sd(RV_A2, 0, RV_A0));
    rv_put(c, rv_fence());
    rv_put(c, rv_sd(RV_A2, 64, RV_A0));
    rv_put(c, rv_ld(RV_A3, 128, RV_A0));
    rv_put(c, rv_bne(RV_A3, RV_A2, -4));
    rv_put(c, rv_bne(RV_A2, RV_A1, rv_to(c, loop)));
    rv_put(c, rv_ecall());
}

/* Waits for each flag, reads the value, which must be as new, answers. a4 counts what was not. */
static void program_receiver(rv_code *c)
{
    rv_li(c, RV_A0, DATA);
    rv_li(c, RV_A1, ROUNDS);
    rv_put(c, rv_addi(RV_A2, 0, 0));
    rv_put(c, rv_addi(RV_A4, 0, 0));
    uint64_t loop = rv_here(c);
    rv_put(c, rv_addi(RV_A2, RV_A2, 1));
    rv_put(c, rv_ld(RV_A3, 64, RV_A0));
    rv_put(c, rv_bne(RV_A3, RV_A2, -4));
    rv_put(c, rv_fence());
    rv_put(c, rv_ld(RV_A3, 0, RV_A0));
    rv_put(c, rv_beq(RV_A3, RV_A2, 8));
    rv_put(c, rv_addi(RV_A4, RV_A4, 1));
    rv_put(c, rv_sd(RV_A2, 128, RV_A0));
    rv_put(c, rv_bne(RV_A2, RV_A1, rv_to(c, loop)));
    rv_put(c, rv_ecall());
}

static void test_message_passing(void)
{
    player a = {0}, b = {0};
    begin();
    rv_code c = rv_at(soft_ptr(vm, GUEST), CODE);
    program_sender(&c);
    uint64_t second = rv_here(&c);
    program_receiver(&c);
    start(&a, 0, CODE);
    start(&b, 1, second);
    finish(&a, 0);
    CU_ASSERT_EQUAL(a.stop, HVC_STOP_TRAP);
    CU_ASSERT_EQUAL(a.raw.scause, 10);
    finish(&b, 1);
    CU_ASSERT_EQUAL(b.raw.scause, 10);
    CU_ASSERT_EQUAL(b.frame.x[RV_A2], ROUNDS);
    CU_ASSERT_EQUAL(b.frame.x[RV_A4], 0);
    end();
}

#define NEW_BANKS 300

/* Banks may come while a PE walks: here each turn of the guest does. */
static void test_banks_come(void)
{
    player p = {0};
    begin();
    guest_misses();
    uint8_t *memory = soft_memory(PAGE);
    start(&p, 0, CODE);
    for (int i = 0; i < NEW_BANKS; i++) {
        uint64_t pa;
        CU_ASSERT_EQUAL(hvc_port_bank_add(vm->m, memory, PAGE, 0, &pa), 0);
        CU_ASSERT_PTR_EQUAL(hvc_port_pa_ptr(vm->m, pa), memory);
    }
    hvc_port_kick(p.pe);
    finish(&p, 0);
    CU_ASSERT_EQUAL(p.stop, HVC_STOP_KICKED);
    soft_memory_free(memory, PAGE);
    end();
}

static const hvc_unit_test tests[] = {
    {"budget, exactly", test_budget_exact},
    {"budget: many steps are single steps", test_budget_steps},
    {"budget across enters", test_budget_across},
    {"kick before enter", test_kick_before},
    {"kick during enter", test_kick_during},
    {"deadline", test_deadline},
    {"two PEs pass messages", test_message_passing},
    {"banks come while a PE runs", test_banks_come},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("soft riscv64: running", tests);
}
