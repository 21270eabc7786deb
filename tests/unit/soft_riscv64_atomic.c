/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A on the software machine: values, what ends a reservation, and what must hold over four PEs in
 * four threads, whatever the order (Unpriv. 14). HVC_ATOMIC_ROUNDS sets how long the latter run.
 */
#include "tests/unit/soft.h"

#include <stdio.h>

#define DATA (GUEST + 16 * PAGE)
#define OTHER (DATA + PAGE)
#define PES 4

static soft_vm *vm;

static void expect(const char *what, uint64_t got, uint64_t want)
{
    if (got != want)
        fprintf(stderr, "\n%s: %#llx, not %#llx\n", what, (unsigned long long)got,
                (unsigned long long)want);
    CU_ASSERT_EQUAL(got, want);
}

static uint64_t rounds(void)
{
    const char *text = getenv("HVC_ATOMIC_ROUNDS");
    return text ? strtoull(text, NULL, 0) : 20000;
}

static _Atomic uint64_t *word(uint64_t gpa)
{
    return soft_ptr(vm, gpa);
}

static void begin(void)
{
    vm = soft_vm_new();
    soft_map_ram(vm);
}

static void end(void)
{
    soft_vm_free(vm);
}

/* --- values ----------------------------------------------------------------------------------- */

#define ONES UINT64_MAX
#define MIN64 UINT64_C(0x8000000000000000)
#define MAX64 UINT64_C(0x7fffffffffffffff)

/* memory, operand -> memory; rd is always the old value (Unpriv. 14.4) */
typedef struct amo_case {
    uint32_t funct5, width;
    uint64_t old, operand, want;
} amo_case;

static const amo_case amos[] = {
    {RV_AMOSWAP, 3, 5, ONES, ONES},
    {RV_AMOADD, 3, ONES, 2, 1},
    {RV_AMOXOR, 3, 0xff00, 0x0ff0, 0xf0f0},
    {RV_AMOAND, 3, 0xff00, 0x0ff0, 0x0f00},
    {RV_AMOOR, 3, 0xff00, 0x0ff0, 0xfff0},
    {RV_AMOMIN, 3, MIN64, MAX64, MIN64},
    {RV_AMOMIN, 3, 1, ONES, ONES},
    {RV_AMOMAX, 3, MIN64, MAX64, MAX64},
    {RV_AMOMAX, 3, ONES, 1, 1},
    {RV_AMOMINU, 3, MIN64, MAX64, MAX64},
    {RV_AMOMINU, 3, ONES, 1, 1},
    {RV_AMOMAXU, 3, MIN64, MAX64, MIN64},
    {RV_AMOMAXU, 3, 1, ONES, ONES},
    /* Words: the neighbour (0x5a5a5a5a) stays, the operand's high half does not count. */
    {RV_AMOSWAP, 2, 5, 0x1ffffffff, 0xffffffff},
    {RV_AMOADD, 2, 0xffffffff, 0x700000001, 0},
    {RV_AMOXOR, 2, 0xff00, 0x0ff0, 0xf0f0},
    {RV_AMOAND, 2, 0xff00, 0x0ff0, 0x0f00},
    {RV_AMOOR, 2, 0xff00, 0xf00000ff0, 0xfff0},
    {RV_AMOMIN, 2, 0x80000000, 0x7fffffff, 0x80000000},
    {RV_AMOMIN, 2, 1, 0xffffffff, 0xffffffff},
    {RV_AMOMIN, 2, 5, 0xf00000007, 5},
    {RV_AMOMAX, 2, 0x80000000, 0x7fffffff, 0x7fffffff},
    {RV_AMOMAX, 2, 0xffffffff, 1, 1},
    {RV_AMOMAX, 2, 5, 0xf00000003, 5},
    {RV_AMOMINU, 2, 0x80000000, 0x7fffffff, 0x7fffffff},
    {RV_AMOMINU, 2, 5, 0xf00000007, 5},
    {RV_AMOMAXU, 2, 0x80000000, 0x7fffffff, 0x80000000},
    {RV_AMOMAXU, 2, 7, 0xf00000005, 7},
};

static void check_amo(const amo_case *c, bool aqrl)
{
    uint64_t neighbour = UINT64_C(0x5a5a5a5a00000000), mem = c->old;
    uint64_t rd = c->width == 3 ? c->old : (uint64_t)(int64_t)(int32_t)(uint32_t)c->old;
    mem |= c->width == 3 ? 0 : neighbour;
    atomic_store(word(DATA), mem);
    vm->frame.x[RV_A0] = DATA;
    vm->frame.x[RV_A1] = c->operand;
    CU_ASSERT_EQUAL(soft_one(vm, VS,
                             aqrl ? rv_amo_aqrl(c->funct5, c->width, RV_A2, RV_A1, RV_A0)
                                  : rv_amo(c->funct5, c->width, RV_A2, RV_A1, RV_A0)),
                    HVC_STOP_INSN_LIMIT);
    expect("rd", vm->frame.x[RV_A2], rd);
    expect("memory", atomic_load(word(DATA)), c->want | (c->width == 3 ? 0 : neighbour));
    vm->frame.x[RV_A1] = DATA; /* rd, rs1 and rs2 alike: the operands are read first */
    CU_ASSERT_EQUAL(soft_one(vm, VS, rv_amo(RV_AMOSWAP, 3, RV_A1, RV_A1, RV_A1)),
                    HVC_STOP_INSN_LIMIT);
    expect("swap", atomic_load(word(DATA)), DATA);
}

static void test_amo_values(void)
{
    begin();
    for (size_t i = 0; i < 2 * sizeof amos / sizeof amos[0]; i++)
        check_amo(&amos[i / 2], i % 2);
    atomic_store(word(DATA), 40);
    vm->frame.x[RV_A0] = DATA;
    vm->frame.x[RV_A1] = 2;
    CU_ASSERT_EQUAL(soft_one(vm, VS, rv_amo(RV_AMOADD, 3, 0, RV_A1, RV_A0)), HVC_STOP_INSN_LIMIT);
    expect("x0", vm->frame.x[0], 0);
    expect("amoadd into x0", atomic_load(word(DATA)), 42);
    end();
}

/* LR is a load, the others are stores; no atomic is ever misaligned (Unpriv. 14.2, Zaamo). */
static void test_misaligned(void)
{
    for (int with = 0; with < 2; with++) {
        vm = soft_vm_new_isa(with ? HVCORE_RISCV64_ISA_DEFAULT : HVCORE_RISCV64_ISA_BASE);
        soft_map_ram(vm);
        for (uint32_t width = 2; width < 4; width++) {
            for (uint64_t off = 1; off < UINT64_C(1) << width; off++) {
                vm->frame.x[RV_A0] = DATA + off;
                CU_ASSERT_EQUAL(soft_one(vm, VS, rv_amo(RV_LR, width, RV_A2, 0, RV_A0)),
                                HVC_STOP_TRAP);
                expect("lr", vm->raw.scause, 4);
                expect("stval", vm->raw.stval, DATA + off);
                CU_ASSERT_EQUAL(soft_one(vm, VS, rv_amo(RV_SC, width, RV_A2, RV_A1, RV_A0)),
                                HVC_STOP_TRAP);
                expect("sc", vm->raw.scause, 6);
                CU_ASSERT_EQUAL(soft_one(vm, VS, rv_amo(RV_AMOADD, width, RV_A2, RV_A1, RV_A0)),
                                HVC_STOP_TRAP);
                expect("amo", vm->raw.scause, 6);
                expect("stval", vm->raw.stval, DATA + off);
            }
        }
        end();
    }
}

/* --- what ends a reservation ------------------------------------------------------------------ */

/* One instruction on `pe`, a0 = address, a1 = value; what a2 holds then. */
static uint64_t on(hvc_pe *pe, uint32_t insn, uint64_t address, uint64_t value)
{
    hvc_pe *first = vm->pe;
    vm->pe = pe;
    vm->frame.x[RV_A0] = address;
    vm->frame.x[RV_A1] = value;
    vm->frame.x[RV_A2] = 99;
    CU_ASSERT_EQUAL(soft_one(vm, VS, insn), HVC_STOP_INSN_LIMIT);
    vm->pe = first;
    return vm->frame.x[RV_A2];
}

static const uint32_t lr = 0x1005362f, sc = 0x18b5362f; /* lr.d a2,(a0); sc.d a2,a1,(a0) */

static hvc_pe *second_pe(void)
{
    hvc_pe *pe;
    if (hvc_port_pe_claim(vm->m, 1, &pe))
        abort();
    hvc_port_set(pe, hgatp, hvc_port_get(vm->pe, hgatp));
    return pe;
}

/* Each step is an enter of its own. SC succeeds after LR, once, where LR was. */
static void test_reservation(void)
{
    begin();
    CU_ASSERT(on(vm->pe, sc, DATA, 1) != 0); /* none at first */
    atomic_store(word(DATA), 7);
    expect("lr", on(vm->pe, lr, DATA, 0), 7);
    expect("sc", on(vm->pe, sc, DATA, 8), 0);
    expect("stored", atomic_load(word(DATA)), 8);
    CU_ASSERT(on(vm->pe, sc, DATA, 9) != 0);
    on(vm->pe, lr, DATA, 0);
    CU_ASSERT(on(vm->pe, sc, OTHER, 9) != 0); /* elsewhere: fails, and ends it */
    CU_ASSERT(on(vm->pe, sc, DATA, 9) != 0);
    expect("kept", atomic_load(word(DATA)), 8);
    expect("kept", atomic_load(word(OTHER)), 0);
    on(vm->pe, lr, OTHER, 0);
    on(vm->pe, lr, DATA, 0); /* the last one counts */
    CU_ASSERT(on(vm->pe, sc, OTHER, 9) != 0);
    end();
}

/* Words: LR.W extends the sign; SC.W writes 32 bits, next to a neighbour that is not 0. */
static void test_words(void)
{
    begin();
    atomic_store(word(DATA), UINT64_C(0x12345678fffffff0));
    expect("lr.w", on(vm->pe, rv_amo(RV_LR, 2, RV_A2, 0, RV_A0), DATA, 0), ONES - 15);
    expect("sc.w", on(vm->pe, rv_amo(RV_SC, 2, RV_A2, RV_A1, RV_A0), DATA, 0xabcdef0123), 0);
    expect("memory", atomic_load(word(DATA)), UINT64_C(0x12345678cdef0123));
    on(vm->pe, rv_amo(RV_LR, 2, RV_A2, 0, RV_A0), DATA + 4, 0);
    expect("sc.w", on(vm->pe, rv_amo(RV_SC, 2, RV_A2, RV_A1, RV_A0), DATA + 4, 1), 0);
    expect("memory", atomic_load(word(DATA)), UINT64_C(0x00000001cdef0123));
    end();
}

/* Another PE writes there, with every instruction that can, and be it the same value. */
static void test_lost_to_others(void)
{
    const uint32_t stores[] = {rv_sb(RV_A1, 3, RV_A0),
                               rv_sh(RV_A1, 6, RV_A0),
                               rv_sw(RV_A1, 4, RV_A0),
                               rv_sd(RV_A1, 0, RV_A0),
                               rv_sd(RV_A1, -3, RV_A0), /* misaligned, in part */
                               rv_fs(3, 1, 0, RV_A0),
                               rv_cbo(4, RV_A0),
                               rv_amo(RV_AMOADD, 3, RV_A2, RV_A1, RV_A0),
                               rv_amo(RV_AMOMAXU, 2, RV_A2, RV_A1, RV_A0)};
    vm = soft_vm_new_isa(HVCORE_RISCV64_ISA_DEFAULT);
    soft_map_ram(vm);
    hvcore_riscv64_fp fp = {.f = {0}};
    hvc_pe *other = second_pe();
    hvc_port_fp_load(other, &fp);
    hvc_port_set(other, vsstatus, HVC_SSTATUS_FS);
    hvc_port_set(other, henvcfg, HVC_HENVCFG_CBZE);
    for (size_t i = 0; i < sizeof stores / sizeof stores[0]; i++) {
        atomic_store(word(DATA), 0);
        atomic_store(word(DATA - 8), 0);
        on(vm->pe, lr, DATA, 0);
        soft_mode(vm, VS, GUEST);
        hvc_pe *first = vm->pe;
        memcpy(soft_ptr(vm, GUEST), &stores[i], 4);
        vm->pe = other;
        vm->frame.x[RV_A0] = DATA;
        vm->frame.x[RV_A1] = 0;
        vm->frame.sstatus |= HVC_SSTATUS_FS;
        CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_INSN_LIMIT);
        vm->pe = first;
        CU_ASSERT(on(vm->pe, sc, DATA, 5) != 0);
        expect("memory", atomic_load(word(DATA)), 0);
    }
    on(vm->pe, lr, DATA, 0);
    on(other, lr, DATA, 0);
    on(other, sc, DATA, 0); /* an SC is a store */
    CU_ASSERT(on(vm->pe, sc, DATA, 5) != 0);
    on(vm->pe, lr, DATA, 0);
    on(other, rv_ld(RV_A2, 0, RV_A0), DATA, 0); /* a load is none, nor is a store elsewhere */
    on(other, rv_sd(RV_A1, 0, RV_A0), OTHER, 0);
    expect("kept", on(vm->pe, sc, DATA, 5), 0);
    hvc_port_pe_release(other);
    end();
}

/* Through another virtual address: the reservation is of memory, not of an address. */
static void test_lost_to_alias(void)
{
    begin();
    hvc_pe *other = second_pe();
    soft_map_g(vm, OTHER, vm->ram_pa + (DATA - GUEST), PTE_USER);
    on(vm->pe, lr, DATA, 0);
    on(other, rv_sd(RV_A1, 0, RV_A0), OTHER, 0);
    CU_ASSERT(on(vm->pe, sc, DATA, 5) != 0);
    hvc_port_pe_release(other);
    end();
}

/* SRET and traps end it: a handler must not leave one behind. */
static void test_lost_to_traps(void)
{
    begin();
    on(vm->pe, lr, DATA, 0);
    CU_ASSERT_EQUAL(soft_one(vm, VS, rv_ecall()), HVC_STOP_TRAP);
    CU_ASSERT(on(vm->pe, sc, DATA, 5) != 0);
    hvc_port_set(vm->pe, hedeleg, UINT64_MAX);
    hvc_port_set(vm->pe, vstvec, GUEST);
    on(vm->pe, lr, DATA, 0);
    CU_ASSERT_EQUAL(soft_one(vm, VS, rv_ebreak()), HVC_STOP_INSN_LIMIT);
    CU_ASSERT(on(vm->pe, sc, DATA, 5) != 0);
    on(vm->pe, lr, DATA, 0);
    hvc_port_set(vm->pe, vsstatus, HVC_SSTATUS_SPP);
    CU_ASSERT_EQUAL(soft_one(vm, VS, rv_sret()), HVC_STOP_INSN_LIMIT);
    CU_ASSERT(on(vm->pe, sc, DATA, 5) != 0);
    end();
}

/* A constrained loop (Unpriv. 14.3), stepped, succeeds: single-stepping kills no reservation. */
static void test_single_step(void)
{
    begin();
    rv_code c = rv_at(soft_ptr(vm, GUEST), GUEST);
    uint64_t loop = rv_here(&c);
    rv_put(&c, rv_amo(RV_LR, 3, RV_A2, 0, RV_A0));
    for (int i = 0; i < 12; i++)
        rv_put(&c, rv_addi(RV_A2, RV_A2, 1));
    rv_put(&c, rv_amo(RV_SC, 3, RV_A3, RV_A2, RV_A0));
    rv_put(&c, rv_bne(RV_A3, 0, rv_to(&c, loop)));
    vm->frame.x[RV_A0] = DATA;
    soft_mode(vm, VS, GUEST);
    for (int i = 0; i < 15; i++)
        CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_INSN_LIMIT);
    expect("pc", vm->frame.pc, rv_here(&c));
    expect("memory", atomic_load(word(DATA)), 12);
    end();
}

/* --- four PEs --------------------------------------------------------------------------------- */

static void run_all(soft_player *p, uint64_t (*program)(uint32_t index), uint64_t turns)
{
    for (uint32_t i = 0; i < PES; i++) {
        soft_player_new(vm, &p[i], i, program(i));
        p[i].frame.x[RV_A0] = DATA;
        p[i].frame.x[RV_A1] = OTHER;
        p[i].frame.x[RV_A6] = DATA + 1024;
        p[i].frame.x[RV_S1] = turns;
        p[i].frame.x[RV_S5] = rounds() / 10;
        p[i].frame.x[RV_S6] = 2;
        p[i].frame.x[RV_TP] = i;
    }
    for (uint32_t i = 0; i < PES; i++)
        soft_player_start(&p[i]);
    for (uint32_t i = 0; i < PES; i++)
        CU_ASSERT(soft_player_done(&p[i]));
}

static void free_all(soft_player *p)
{
    for (uint32_t i = 0; i < PES; i++)
        soft_player_free(vm, &p[i]);
}

static rv_code code_at(uint32_t page)
{
    return rv_at(soft_ptr(vm, GUEST + page * PAGE), GUEST + page * PAGE);
}

/* s1 turns of what was put since `loop`, then ECALL. */
static void close_loop(rv_code *c, uint64_t loop)
{
    rv_put(c, rv_addi(RV_S1, RV_S1, -1));
    rv_put(c, rv_bne(RV_S1, 0, rv_to(c, loop)));
    rv_put(c, rv_ecall());
}

static uint64_t program_counters(uint32_t index)
{
    rv_code c = code_at(0);
    uint64_t loop = rv_here(&c), again;
    (void)index;
    if (index)
        return loop;
    again = rv_here(&c); /* +1 by LR/SC, d and w */
    rv_put(&c, rv_amo(RV_LR, 3, RV_A2, 0, RV_A0));
    rv_put(&c, rv_addi(RV_A2, RV_A2, 1));
    rv_put(&c, rv_amo(RV_SC, 3, RV_A3, RV_A2, RV_A0));
    rv_put(&c, rv_bne(RV_A3, 0, rv_to(&c, again)));
    again = rv_here(&c);
    rv_put(&c, rv_amo(RV_LR, 2, RV_A2, 0, RV_A1));
    rv_put(&c, rv_addi(RV_A2, RV_A2, 1));
    rv_put(&c, rv_amo(RV_SC, 2, RV_A3, RV_A2, RV_A1));
    rv_put(&c, rv_bne(RV_A3, 0, rv_to(&c, again)));
    rv_put(&c, rv_addi(RV_A4, 0, 1)); /* by AMOADD, d and w side by side */
    rv_put(&c, rv_addi(RV_A5, RV_A0, 64));
    rv_put(&c, rv_amo(RV_AMOADD, 3, 0, RV_A4, RV_A5));
    rv_put(&c, rv_addi(RV_A5, RV_A0, 128));
    rv_put(&c, rv_amo(RV_AMOADD, 2, 0, RV_A4, RV_A5));
    close_loop(&c, loop);
    return loop;
}

/* No increment is lost. */
static void test_counters(void)
{
    soft_player p[PES];
    begin();
    run_all(p, program_counters, rounds());
    expect("lr/sc d", atomic_load(word(DATA)), PES * rounds());
    expect("lr/sc w", (uint32_t)atomic_load(word(OTHER)), PES * rounds());
    expect("amoadd.d", atomic_load(word(DATA + 64)), PES * rounds());
    expect("amoadd.w", atomic_load(word(DATA + 128)), PES * rounds());
    free_all(p);
    end();
}

/*
 * Operations whose result tells the order apart: XOR of a bit of one's own toggles it; OR and AND
 * set and clear it, and what they return says that it was as oneself had left it; SWAP passes
 * tokens round; MAX and MIN keep the extremes. What was found wrong is counted in a7.
 */
static uint64_t program_others(uint32_t index)
{
    rv_code c = code_at(0);
    uint64_t loop = rv_here(&c);
    if (index)
        return loop;
    rv_put(&c, rv_addi(RV_T0, 0, 1));
    rv_put(&c, rv_sll(RV_T0, RV_T0, RV_TP)); /* one's bit */
    rv_put(&c, rv_xori(RV_T1, RV_T0, -1));
    rv_put(&c, rv_amo(RV_AMOXOR, 3, RV_A2, RV_T0, RV_A0));
    rv_put(&c, rv_and(RV_A2, RV_A2, RV_T0)); /* it was 0 */
    rv_put(&c, rv_sltu(RV_A2, 0, RV_A2));
    rv_put(&c, rv_add(RV_A7, RV_A7, RV_A2));
    rv_put(&c, rv_amo(RV_AMOXOR, 3, RV_A2, RV_T0, RV_A0));
    rv_put(&c, rv_and(RV_A2, RV_A2, RV_T0)); /* it was 1 */
    rv_put(&c, rv_sltiu(RV_A2, RV_A2, 1));
    rv_put(&c, rv_add(RV_A7, RV_A7, RV_A2));
    rv_put(&c, rv_amo(RV_AMOOR, 2, RV_A2, RV_T0, RV_A1));
    rv_put(&c, rv_and(RV_A2, RV_A2, RV_T0));
    rv_put(&c, rv_sltu(RV_A2, 0, RV_A2));
    rv_put(&c, rv_add(RV_A7, RV_A7, RV_A2));
    rv_put(&c, rv_amo(RV_AMOAND, 2, RV_A2, RV_T1, RV_A1));
    rv_put(&c, rv_and(RV_A2, RV_A2, RV_T0));
    rv_put(&c, rv_sltiu(RV_A2, RV_A2, 1));
    rv_put(&c, rv_add(RV_A7, RV_A7, RV_A2));
    rv_put(&c, rv_addi(RV_A5, RV_A0, 64)); /* tokens: s2 holds one, and the sum stays */
    rv_put(&c, rv_amo(RV_AMOSWAP, 3, RV_S2, RV_S2, RV_A5));
    rv_put(&c, rv_slli(RV_T2, RV_S1, 2));
    rv_put(&c, rv_add(RV_T2, RV_T2, RV_TP)); /* a number that nobody else has */
    rv_put(&c, rv_addi(RV_A5, RV_A0, 128));
    rv_put(&c, rv_amo(RV_AMOMAX, 3, 0, RV_T2, RV_A5));
    rv_put(&c, rv_addi(RV_A5, RV_A0, 192));
    rv_put(&c, rv_amo(RV_AMOMAXU, 2, 0, RV_T2, RV_A5));
    rv_put(&c, rv_sub(RV_T2, 0, RV_T2));
    rv_put(&c, rv_addi(RV_A5, RV_A0, 256));
    rv_put(&c, rv_amo(RV_AMOMIN, 3, 0, RV_T2, RV_A5));
    rv_put(&c, rv_addi(RV_A5, RV_A0, 320));
    rv_put(&c, rv_amo(RV_AMOMINU, 2, 0, RV_T2, RV_A5));
    close_loop(&c, loop);
    return loop;
}

static void test_other_amos(void)
{
    soft_player p[PES];
    uint64_t most = rounds() * 4 + PES - 1, sum = 0;
    begin();
    atomic_store(word(DATA + 64), 1000);
    atomic_store(word(DATA + 320), UINT32_MAX);
    run_all(p, program_others, rounds());
    for (uint32_t i = 0; i < PES; i++) {
        expect("wrong", p[i].frame.x[RV_A7], 0);
        sum += p[i].frame.x[RV_S2];
    }
    expect("xor", atomic_load(word(DATA)), 0);
    expect("or, and", atomic_load(word(OTHER)), 0);
    expect("tokens", sum + atomic_load(word(DATA + 64)), 1000);
    expect("max", atomic_load(word(DATA + 128)), most);
    expect("maxu", atomic_load(word(DATA + 192)), most);
    expect("min", atomic_load(word(DATA + 256)), 0 - most);
    expect("minu", atomic_load(word(DATA + 320)), (uint32_t)(0 - most));
    free_all(p);
    end();
}

/* A lock by LR and SC, with the fences of Unpriv. A.5; what it protects are plain words. */
static uint64_t program_lock(uint32_t index)
{
    rv_code c = code_at(0);
    uint64_t loop = rv_here(&c), again;
    if (index)
        return loop;
    rv_put(&c, rv_addi(RV_T0, 0, 1));
    again = rv_here(&c);
    rv_put(&c, rv_amo_aqrl(RV_LR, 2, RV_A2, 0, RV_A0));
    rv_put(&c, rv_bne(RV_A2, 0, rv_to(&c, again)));
    rv_put(&c, rv_amo(RV_SC, 2, RV_A2, RV_T0, RV_A0));
    rv_put(&c, rv_bne(RV_A2, 0, rv_to(&c, again)));
    rv_put(&c, 0x0230000f); /* fence r, rw */
    for (int i = 0; i < 3; i++) {
        rv_put(&c, rv_ld(RV_A3, 8 * i, RV_A1));
        rv_put(&c, rv_addi(RV_A3, RV_A3, i + 1));
        rv_put(&c, rv_sd(RV_A3, 8 * i, RV_A1));
    }
    rv_put(&c, 0x0310000f); /* fence rw, w */
    rv_put(&c, rv_sw(0, 0, RV_A0));
    close_loop(&c, loop);
    return loop;
}

static void test_lock(void)
{
    soft_player p[PES];
    begin();
    run_all(p, program_lock, rounds());
    for (uint64_t i = 0; i < 3; i++)
        expect("protected", atomic_load(word(OTHER + 8 * i)), (i + 1) * PES * rounds());
    free_all(p);
    end();
}

/*
 * ABA. Odd PEs store 1 and then 0 to the word again and again, between two stores of a counter of
 * theirs that they fence; the others read the counters after LR and before SC. If a whole pair fell
 * between, SC must not have succeeded, although the word is again what LR read. a7 counts where it
 * did; s3 how often the question came up, s4 the successes.
 */
static void put_writer(rv_code *c, uint64_t counter)
{
    rv_li(c, RV_A1, counter);
    rv_put(c, rv_addi(RV_T0, 0, 1));
    uint64_t loop = rv_here(c);
    rv_put(c, rv_addi(RV_A4, RV_A4, 1)); /* odd: a pair is under way */
    rv_put(c, rv_sd(RV_A4, 0, RV_A1));
    rv_put(c, 0x0110000f); /* fence w, w */
    rv_put(c, rv_sd(RV_T0, 0, RV_A0));
    rv_put(c, rv_sd(0, 0, RV_A0));
    rv_put(c, 0x0110000f);
    rv_put(c, rv_addi(RV_A4, RV_A4, 1));
    rv_put(c, rv_sd(RV_A4, 0, RV_A1));
    for (int i = 0; i < 6; i++)
        rv_put(c, rv_addi(RV_A5, RV_A5, 1));
    rv_put(c, rv_ld(RV_A3, 0, RV_A6)); /* until both readers are done */
    rv_put(c, rv_bltu(RV_A3, RV_S6, rv_to(c, loop)));
    rv_put(c, rv_ecall());
}

/* It begins when both writers have, and ends after s5 pairs or s1 turns. */
static void put_reader(rv_code *c)
{
    for (int i = 0; i < 2; i++) {
        rv_put(c, rv_ld(RV_T2, 64 * i, RV_A1));
        rv_put(c, rv_beq(RV_T2, 0, -4));
    }
    uint64_t loop = rv_here(c);
    rv_put(c, rv_amo_aqrl(RV_LR, 3, RV_T1, 0, RV_A0));
    rv_put(c, rv_bne(RV_T1, 0, rv_to(c, loop)));
    rv_put(c, rv_ld(RV_T2, 0, RV_A1));
    rv_put(c, rv_ld(RV_T3, 64, RV_A1));
    for (int i = 0; i < 20; i++)
        rv_put(c, rv_mul(RV_A5, RV_A5, RV_A5));
    rv_put(c, 0x0220000f); /* fence r, r */
    rv_put(c, rv_ld(RV_T4, 0, RV_A1));
    rv_put(c, rv_ld(RV_T5, 64, RV_A1));
    rv_put(c, 0x0330000f); /* fence rw, rw */
    rv_put(c, rv_amo_aqrl(RV_SC, 3, RV_A2, 0, RV_A0));
    rv_put(c, rv_sltiu(RV_A2, RV_A2, 1)); /* 1: success */
    rv_put(c, rv_add(RV_S4, RV_S4, RV_A2));
    for (int i = 0; i < 2; i++) { /* a pair within: from even e to e + 2, from odd to + 3 */
        uint32_t was = i ? RV_T3 : RV_T2, is = i ? RV_T5 : RV_T4;
        rv_put(c, rv_andi(RV_T6, was, 1));
        rv_put(c, rv_add(RV_T6, RV_T6, was));
        rv_put(c, rv_addi(RV_T6, RV_T6, 2));
        rv_put(c, rv_sltu(RV_T6, is, RV_T6));
        rv_put(c, rv_xori(RV_T6, RV_T6, 1));
        rv_put(c, rv_add(RV_S3, RV_S3, RV_T6));
        rv_put(c, rv_and(RV_T6, RV_T6, RV_A2));
        rv_put(c, rv_add(RV_A7, RV_A7, RV_T6));
    }
    rv_put(c, rv_addi(RV_S1, RV_S1, -1));
    rv_put(c, rv_beq(RV_S1, 0, 8));
    rv_put(c, rv_bltu(RV_S3, RV_S5, rv_to(c, loop)));
    rv_put(c, rv_addi(RV_T0, 0, 1));
    rv_put(c, rv_amo(RV_AMOADD, 3, 0, RV_T0, RV_A6));
    rv_put(c, rv_ecall());
}

static uint64_t program_aba(uint32_t index)
{
    rv_code c = code_at(index);
    if (index % 2)
        put_writer(&c, OTHER + (index == 1 ? 0 : 64));
    else
        put_reader(&c);
    return GUEST + index * PAGE;
}

static void test_aba(void)
{
    soft_player p[PES];
    begin();
    run_all(p, program_aba, 50 * rounds());
    for (uint32_t i = 0; i < PES; i += 2) {
        expect("SC in spite of a pair", p[i].frame.x[RV_A7], 0);
        CU_ASSERT(p[i].frame.x[RV_S4] > 0); /* it succeeds as well */
    }
    printf("\n    %llu pairs fell between, %llu SC succeeded ... ",
           (unsigned long long)(p[0].frame.x[RV_S3] + p[2].frame.x[RV_S3]),
           (unsigned long long)(p[0].frame.x[RV_S4] + p[2].frame.x[RV_S4]));
    free_all(p);
    end();
}

/* The same without luck: both stores between LR and SC, for certain. */
static void test_aba_for_certain(void)
{
    begin();
    hvc_pe *other = second_pe();
    on(vm->pe, lr, DATA, 0);
    on(other, rv_sd(RV_A1, 0, RV_A0), DATA, 1);
    on(other, rv_sd(RV_A1, 0, RV_A0), DATA, 0);
    CU_ASSERT(on(vm->pe, sc, DATA, 5) != 0);
    expect("memory", atomic_load(word(DATA)), 0);
    hvc_port_pe_release(other);
    end();
}

static const hvc_unit_test tests[] = {
    {"AMO: values", test_amo_values},
    {"misaligned: 4 and 6", test_misaligned},
    {"LR and SC", test_reservation},
    {"LR.W and SC.W", test_words},
    {"reservation lost to another PE's stores", test_lost_to_others},
    {"reservation lost through an alias", test_lost_to_alias},
    {"reservation lost to traps and SRET", test_lost_to_traps},
    {"reservation kept in single steps", test_single_step},
    {"four PEs count", test_counters},
    {"four PEs: the other AMOs", test_other_amos},
    {"four PEs and a lock", test_lock},
    {"ABA, for certain", test_aba_for_certain},
    {"ABA over four PEs", test_aba},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("soft riscv64: atomics", tests);
}
