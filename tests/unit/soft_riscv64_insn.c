/* SPDX-License-Identifier: Apache-2.0 */
/* Every instruction of the software machine, one at a time, with operands at the edges. */
#include "tests/unit/soft.h"

#include <stdio.h>

#define MIN64 UINT64_C(0x8000000000000000)
#define MAX64 UINT64_C(0x7fffffffffffffff)
#define ONES UINT64_MAX
#define MIN32 UINT64_C(0xffffffff80000000) /* sign-extended */

enum { RD = RV_T2, RS1 = RV_T0, RS2 = RV_T1 };

static soft_vm *vm;

/* Executes `word` and says whether it retired at GUEST; x[] is then what it left. */
static bool retires(uint32_t word)
{
    return soft_one(vm, VS, word) == HVC_STOP_INSN_LIMIT && vm->frame.x[0] == 0;
}

static uint64_t result(uint32_t word, uint64_t a, uint64_t b)
{
    vm->frame.x[RD] = UINT64_C(0x5a5a5a5a5a5a5a5a);
    vm->frame.x[RS1] = a;
    vm->frame.x[RS2] = b;
    CU_ASSERT(retires(word) && vm->frame.pc == GUEST + 4);
    return vm->frame.x[RD];
}

static void expect(const char *what, uint64_t got, uint64_t want)
{
    if (got != want)
        fprintf(stderr, "\n%s: %#llx, not %#llx\n", what, (unsigned long long)got,
                (unsigned long long)want);
    CU_ASSERT_EQUAL(got, want);
}

/* --- computation ------------------------------------------------------------------------------ */

typedef struct register_case {
    const char *name;
    uint32_t (*encode)(uint32_t rd, uint32_t rs1, uint32_t rs2);
    uint64_t a, b, want;
} register_case;

#define R(name, a, b, want)          \
    {                                \
#name, rv_##name, a, b, want \
    }

static const register_case registers[] = {
    R(add, 1, 2, 3),
    R(add, ONES, 1, 0),
    R(add, MAX64, 1, MIN64),
    R(sub, 1, 2, ONES),
    R(sub, MIN64, 1, MAX64),
    R(sll, 1, 63, MIN64),
    R(sll, 3, 64, 3), /* only six bits count */
    R(sll, 1, 0x41, 2),
    R(slt, ONES, 0, 1),
    R(slt, 0, ONES, 0),
    R(slt, MIN64, MAX64, 1),
    R(slt, 5, 5, 0),
    R(sltu, ONES, 0, 0),
    R(sltu, 0, ONES, 1),
    R(sltu, 5, 5, 0),
    R(xor, 0xff00, 0x0ff0, 0xf0f0),
    R(or, 0xff00, 0x0ff0, 0xfff0),
    R(and, 0xff00, 0x0ff0, 0x0f00),
    R(srl, MIN64, 63, 1),
    R(srl, ONES, 64, ONES),
    R(sra, MIN64, 63, ONES),
    R(sra, MAX64, 62, 1),
    R(addw, 0x7fffffff, 1, MIN32),
    R(addw, UINT64_C(0xffffffff00000001), 1, 2),
    R(subw, 0, 1, ONES),
    R(subw, MIN32, 1, 0x7fffffff),
    R(sllw, 1, 31, MIN32),
    R(sllw, 1, 32, 1),
    R(srlw, ONES, 4, 0x0fffffff),
    R(srlw, MIN32, 32, MIN32), /* a shift of zero still extends the sign */
    R(sraw, UINT64_C(0x80000000), 31, ONES),
    R(sraw, UINT64_C(0x180000000), 1, UINT64_C(0xffffffffc0000000)),
    R(mul, ONES, ONES, 1),
    R(mul, UINT64_C(0x100000000), UINT64_C(0x100000000), 0),
    R(mulh, ONES, ONES, 0),
    R(mulh, MIN64, MIN64, UINT64_C(0x4000000000000000)),
    R(mulh, MIN64, MAX64, UINT64_C(0xc000000000000000)),
    R(mulh, MIN64, 1, ONES),
    R(mulhsu, ONES, ONES, ONES),
    R(mulhsu, MIN64, ONES, MIN64),
    R(mulhsu, MAX64, ONES, UINT64_C(0x7ffffffffffffffe)),
    R(mulhsu, ONES, 1, ONES),
    R(mulhsu, 1, ONES, 0),
    R(mulhu, ONES, ONES, UINT64_C(0xfffffffffffffffe)),
    R(mulhu, MIN64, 2, 1),
    R(div, 7, (uint64_t)-2, (uint64_t)-3), /* towards zero */
    R(div, (uint64_t)-7, 2, (uint64_t)-3),
    R(div, 7, 0, ONES),
    R(div, MIN64, ONES, MIN64),
    R(divu, ONES, 2, MAX64),
    R(divu, 7, 0, ONES),
    R(divu, MIN64, ONES, 0),
    R(rem, 7, (uint64_t)-2, 1),
    R(rem, (uint64_t)-7, 2, ONES),
    R(rem, 7, 0, 7),
    R(rem, MIN64, ONES, 0),
    R(remu, ONES, 2, 1),
    R(remu, 7, 0, 7),
    R(remu, MIN64, ONES, MIN64),
    R(mulw, 0x7fffffff, 2, (uint64_t)-2),
    R(mulw, UINT64_C(0x100000003), 5, 15),
    R(divw, MIN32, ONES, MIN32),
    R(divw, UINT64_C(0x1234567800000007), (uint64_t)-2, (uint64_t)-3),
    R(divw, 7, UINT64_C(0x100000000), ONES), /* the low half is zero */
    R(divuw, UINT64_C(0xffffffff), 1, ONES),
    R(divuw, 7, UINT64_C(0x100000000), ONES),
    R(divuw, UINT64_C(0x80000000), 1, MIN32),
    R(remw, MIN32, ONES, 0),
    R(remw, (uint64_t)-7, 2, ONES),
    R(remw, UINT64_C(0x80000000), 0, MIN32),
    R(remuw, UINT64_C(0x80000000), 0, MIN32),
    R(remuw, UINT64_C(0xffffffff), UINT64_C(0x80000001), 0x7ffffffe),
};

static void test_registers(void)
{
    for (size_t i = 0; i < sizeof registers / sizeof registers[0]; i++) {
        const register_case *c = &registers[i];
        expect(c->name, result(c->encode(RD, RS1, RS2), c->a, c->b), c->want);
    }
}

typedef struct immediate_case {
    const char *name;
    uint32_t (*encode)(uint32_t rd, uint32_t rs1, int32_t imm);
    uint64_t a;
    int32_t imm;
    uint64_t want;
} immediate_case;

static const immediate_case immediates[] = {
    R(addi, 5, -6, ONES),
    R(addi, MAX64, 2047, UINT64_C(0x80000000000007fe)),
    R(addi, 0, -2048, UINT64_C(0xfffffffffffff800)),
    R(slti, ONES, 0, 1),
    R(slti, 0, -1, 0),
    R(sltiu, 0, -1, 1), /* the immediate is extended, then unsigned */
    R(sltiu, ONES, -1, 0),
    R(sltiu, 0, 1, 1),
    R(xori, 0xff, -1, UINT64_C(0xffffffffffffff00)),
    R(ori, 0x0f, 0x7f0, 0x7ff),
    R(andi, ONES, -16, UINT64_C(0xfffffffffffffff0)),
    R(slli, 1, 63, MIN64),
    R(slli, 5, 0, 5),
    R(srli, MIN64, 63, 1),
    R(srai, MIN64, 63, ONES),
    R(srai, MIN64, 1, UINT64_C(0xc000000000000000)),
    R(addiw, 0x7fffffff, 1, MIN32),
    R(addiw, UINT64_C(0x1ffffffff), 0, ONES),
    R(slliw, 1, 31, MIN32),
    R(srliw, ONES, 1, 0x7fffffff),
    R(srliw, UINT64_C(0x80000000), 0, MIN32),
    R(sraiw, UINT64_C(0x80000000), 31, ONES),
};

static void test_immediates(void)
{
    for (size_t i = 0; i < sizeof immediates / sizeof immediates[0]; i++) {
        const immediate_case *c = &immediates[i];
        expect(c->name, result(c->encode(RD, RS1, c->imm), c->a, 0), c->want);
    }
    expect("lui", result(rv_lui(RD, 0x80000), 0, 0), MIN32);
    expect("lui", result(rv_lui(RD, 0x12345), 0, 0), 0x12345000);
    expect("auipc", result(rv_auipc(RD, 1), 0, 0), GUEST + 0x1000);
    expect("auipc", result(rv_auipc(RD, 0xfffff), 0, 0), GUEST - 0x1000);
}

/* The high half of a product by schoolbook multiplication of halves. */
static uint64_t high_product(uint64_t a, uint64_t b)
{
    uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    uint64_t middle = ah * bl + (al * bl >> 32);
    uint64_t other = al * bh + (uint32_t)middle;
    return ah * bh + (middle >> 32) + (other >> 32);
}

static void check_product(uint64_t a, uint64_t b)
{
    uint64_t high = high_product(a, b), minus_b = a >> 63 ? b : 0, minus_a = b >> 63 ? a : 0;
    expect("mulhu", result(rv_mulhu(RD, RS1, RS2), a, b), high);
    expect("mulhsu", result(rv_mulhsu(RD, RS1, RS2), a, b), high - minus_b);
    expect("mulh", result(rv_mulh(RD, RS1, RS2), a, b), high - minus_b - minus_a);
}

/* a = q * b + r, r is smaller than b and has the sign of a. */
static void check_quotient(uint64_t a, uint64_t b)
{
    uint64_t q = result(rv_div(RD, RS1, RS2), a, b), r = result(rv_rem(RD, RS1, RS2), a, b);
    CU_ASSERT_EQUAL(q * b + r, a);
    CU_ASSERT(!b || !r || (r ^ a) >> 63 == 0);
    q = result(rv_divu(RD, RS1, RS2), a, b);
    r = result(rv_remu(RD, RS1, RS2), a, b);
    CU_ASSERT(!b || (r < b && q * b + r == a));
}

static void test_random_arithmetic(void)
{
    uint64_t seed = 1;
    for (int i = 0; i < 2000; i++) {
        uint64_t a = hvc_random(&seed) >> (hvc_random(&seed) & 63);
        uint64_t b = hvc_random(&seed) >> (hvc_random(&seed) & 63);
        a = hvc_random(&seed) & 1 ? 0 - a : a;
        b = hvc_random(&seed) & 1 ? 0 - b : b;
        check_product(a, b);
        check_quotient(a, b);
    }
}

/* The result register may be an operand; x0 stays zero whatever is written to it. */
static void test_register_zero(void)
{
    const uint32_t words[] = {rv_addi(0, 0, 1),     rv_add(0, RS1, RS2),  rv_lui(0, 0x12345),
                              rv_auipc(0, 0x12345), rv_mulw(0, RS1, RS2), rv_srai(0, RS1, 1),
                              rv_divu(0, RS1, 0),   rv_sraiw(0, RS1, 1),  rv_jal(0, 8),
                              rv_jalr(0, RS1, 4),   rv_csrr(0, 0x140),    rv_csrrw(0, 0x140, RS1)};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        vm->frame.x[RS1] = 8;
        CU_ASSERT(retires(words[i]));
    }
    expect("add x0", result(rv_add(RD, 0, RS2), 1, 2), 2);
    vm->frame.x[RS1] = 21;
    CU_ASSERT(retires(rv_add(RS1, RS1, RS1)));
    expect("add same", vm->frame.x[RS1], 42);
    vm->frame.x[0] = 7; /* even if the hypervisor forgets */
    CU_ASSERT(retires(rv_addi(RD, 0, 0)));
    expect("dirty x0", vm->frame.x[RD], 0);
}

/* --- jumps ------------------------------------------------------------------------------------ */

typedef struct branch_case {
    uint32_t (*encode)(uint32_t rs1, uint32_t rs2, int32_t offset);
    uint64_t a, b;
    bool taken;
} branch_case;

static const branch_case branches[] = {
    {rv_beq, 1, 1, true},      {rv_beq, 1, 2, false},     {rv_bne, 1, 2, true},
    {rv_bne, 1, 1, false},     {rv_blt, ONES, 0, true},   {rv_blt, 0, ONES, false},
    {rv_blt, 3, 3, false},     {rv_bge, 0, ONES, true},   {rv_bge, ONES, 0, false},
    {rv_bge, 3, 3, true},      {rv_bltu, 0, ONES, true},  {rv_bltu, ONES, 0, false},
    {rv_bltu, 3, 3, false},    {rv_bgeu, ONES, 0, true},  {rv_bgeu, 0, ONES, false},
    {rv_bgeu, 3, 3, true},     {rv_blt, MIN64, MAX64, 1}, {rv_bltu, MIN64, MAX64, false},
    {rv_bge, MAX64, MIN64, 1}, {rv_beq, 0, MIN64, false},
};

static void check_branch(const branch_case *c, int32_t offset)
{
    vm->frame.x[RS1] = c->a;
    vm->frame.x[RS2] = c->b;
    CU_ASSERT(retires(c->encode(RS1, RS2, offset)));
    expect("branch", vm->frame.pc, GUEST + (uint64_t)(int64_t)(c->taken ? offset : 4));
}

static void test_branches(void)
{
    static const int32_t offsets[] = {8, 4092, -8, -4096, 0, 2048};
    for (size_t i = 0; i < sizeof branches / sizeof branches[0]; i++) {
        for (size_t j = 0; j < sizeof offsets / sizeof offsets[0]; j++)
            check_branch(&branches[i], offsets[j]);
    }
}

static void test_jumps(void)
{
    static const int32_t offsets[] = {0, 4, -4, 0x7fc, 0x800, 0xff000, 0xffffc, -0x100000};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        CU_ASSERT(retires(rv_jal(RD, offsets[i])));
        expect("jal", vm->frame.pc, GUEST + (uint64_t)(int64_t)offsets[i]);
        expect("link", vm->frame.x[RD], GUEST + 4);
    }
    vm->frame.x[RS1] = 0x1001;
    CU_ASSERT(retires(rv_jalr(RS1, RS1, -1))); /* the link does not disturb the target */
    expect("jalr", vm->frame.pc, 0x1000);
    expect("link", vm->frame.x[RS1], GUEST + 4);
    vm->frame.x[RS1] = 0x1004;
    CU_ASSERT(retires(rv_jalr(0, RS1, 1))); /* bit 0 of the sum is dropped */
    expect("jalr", vm->frame.pc, 0x1004);
    vm->frame.x[RS1] = ONES;
    CU_ASSERT(retires(rv_jalr(RD, RS1, 5)));
    expect("jalr wraps", vm->frame.pc, 4);
}

/*
 * A target with bit 1 set traps at the jump, which has no other effect. A branch not taken is fine.
 */
static void test_misaligned_jumps(void)
{
    vm->frame.x[RS1] = 0x1000;
    vm->frame.x[RS2] = 0x1000;
    vm->frame.x[RD] = 99;
    const uint32_t words[] = {rv_jal(RD, 6), rv_jalr(RD, RS1, 2), rv_jalr(RD, RS1, 3),
                              rv_beq(RS1, RS2, 6)};
    const uint64_t targets[] = {GUEST + 6, 0x1002, 0x1002, GUEST + 6};
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(soft_one(vm, VS, words[i]), HVC_STOP_TRAP);
        expect("cause", vm->raw.scause, 0);
        expect("target", vm->raw.stval, targets[i]);
        expect("pc", vm->frame.pc, GUEST);
        expect("link", vm->frame.x[RD], 99);
    }
    CU_ASSERT(retires(rv_bne(RS1, RS2, 6)));
}

/* --- memory ----------------------------------------------------------------------------------- */

#define DATA (GUEST + PAGE)

static void test_loads(void)
{
    static const struct {
        uint32_t (*encode)(uint32_t rd, int32_t imm, uint32_t rs1);
        int32_t imm;
        uint64_t want;
    } cases[] = {
        {rv_lb, 0, UINT64_C(0xffffffffffffff88)},
        {rv_lbu, 0, 0x88},
        {rv_lb, 7, 0x11},
        {rv_lh, 0, UINT64_C(0xffffffffffff9988)},
        {rv_lhu, 0, 0x9988},
        {rv_lw, 0, UINT64_C(0xffffffffbbaa9988)},
        {rv_lwu, 0, UINT64_C(0xbbaa9988)},
        {rv_lw, 4, 0x112233cc},
        {rv_ld, 0, UINT64_C(0x112233ccbbaa9988)},
        {rv_lbu, -1, 0x77},
        {rv_lhu, 2046, 0x5566},
        {rv_ld, -2048, 42},
    };
    uint64_t base = DATA + 2048;
    uint64_t value = UINT64_C(0x112233ccbbaa9988), low = 42;
    uint16_t half = 0x5566;
    memcpy(soft_ptr(vm, base), &value, 8);
    memset(soft_ptr(vm, base - 1), 0x77, 1);
    memcpy(soft_ptr(vm, base + 2046), &half, 2);
    memcpy(soft_ptr(vm, base - 2048), &low, 8);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect("load", result(cases[i].encode(RD, cases[i].imm, RS1), base, 0), cases[i].want);
        expect("load x0", result(cases[i].encode(0, cases[i].imm, RS1), base, 0),
               UINT64_C(0x5a5a5a5a5a5a5a5a));
    }
    vm->frame.x[RS1] = base;
    CU_ASSERT(retires(rv_ld(RS1, 0, RS1)));
    expect("base", vm->frame.x[RS1], value);
}

static void test_stores(void)
{
    static const struct {
        uint32_t (*encode)(uint32_t rs2, int32_t imm, uint32_t rs1);
        int32_t imm;
        uint64_t want; /* of the doubleword at base */
    } cases[] = {
        {rv_sb, 0, UINT64_C(0xeeeeeeeeeeeeee88)},     {rv_sb, 7, UINT64_C(0x88eeeeeeeeeeeeee)},
        {rv_sh, 2, UINT64_C(0xeeeeeeee9988eeee)},     {rv_sw, 4, UINT64_C(0xbbaa9988eeeeeeee)},
        {rv_sd, 0, UINT64_C(0x112233ccbbaa9988)},     {rv_sb, -8, UINT64_C(0xeeeeeeeeeeeeeeee)},
        {rv_sd, -2048, UINT64_C(0xeeeeeeeeeeeeeeee)}, {rv_sd, 2040, UINT64_C(0xeeeeeeeeeeeeeeee)},
    };
    uint64_t base = DATA + 2048, got;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(soft_ptr(vm, DATA), 0xee, PAGE);
        result(cases[i].encode(RS2, cases[i].imm, RS1), base, UINT64_C(0x112233ccbbaa9988));
        memcpy(&got, soft_ptr(vm, base), 8);
        expect("store", got, cases[i].want);
        CU_ASSERT_EQUAL(*(uint8_t *)soft_ptr(vm, base + (uint64_t)(int64_t)cases[i].imm), 0x88);
    }
    memset(soft_ptr(vm, DATA), 0xee, PAGE);
    result(rv_sd(0, 0, RS1), base, 0);
    memcpy(&got, soft_ptr(vm, base), 8);
    expect("store x0", got, 0);
}

/* --- Zba, Zbb, Zbs ---------------------------------------------------------------------------- */

/* The word with rd, rs1 and, where there is one, rs2 to be filled in (Unpriv. 28). */
static const struct {
    const char *name;
    uint32_t word;
    uint64_t a, b, want;
} bits[] = {
    {"sh1add", 0x20002033, 3, 5, 11},
    {"sh2add", 0x20004033, 3, 5, 17},
    {"sh3add", 0x20006033, ONES, 5, (uint64_t)-3},
    {"add.uw", 0x0800003b, ONES, 1, UINT64_C(0x100000000)},
    {"sh1add.uw", 0x2000203b, ONES, 0, UINT64_C(0x1fffffffe)},
    {"sh2add.uw", 0x2000403b, MIN32, 1, UINT64_C(0x200000001)},
    {"sh3add.uw", 0x2000603b, ONES, 8, UINT64_C(0x800000000)},
    {"slli.uw 35", 0x0a30101b, UINT64_C(0xffffffff00000001), 0, UINT64_C(0x800000000)},
    {"andn", 0x40007033, 0xff00, 0x0ff0, 0xf000},
    {"orn", 0x40006033, 1, ~UINT64_C(2), 3},
    {"xnor", 0x40004033, 0xff00, 0x0ff0, ~UINT64_C(0xf0f0)},
    {"max", 0x0a006033, MIN64, 1, 1},
    {"maxu", 0x0a007033, MIN64, 1, MIN64},
    {"min", 0x0a004033, MIN64, 1, MIN64},
    {"minu", 0x0a005033, MIN64, 1, 1},
    {"rol", 0x60001033, MIN64 | 2, 65, 5},
    {"rol 0", 0x60001033, 0x123, 64, 0x123},
    {"ror", 0x60005033, 3, 1, MIN64 | 1},
    {"rori 63", 0x63f05013, MIN64, 0, 1},
    {"rolw", 0x6000103b, UINT64_C(0x700000001), 31, MIN32},
    {"rorw", 0x6000503b, UINT64_C(0x700000001), 1, MIN32},
    {"rorw 0", 0x6000503b, UINT64_C(0x780000000), 32, MIN32},
    {"roriw 4", 0x6040501b, UINT64_C(0xf0000000f), 0, UINT64_C(0xfffffffff0000000)},
    {"zext.h", 0x0800403b, ONES, 0, 0xffff},
    {"sext.b", 0x60401013, 0x180, 0, (uint64_t)-128},
    {"sext.h", 0x60501013, 0x18000, 0, (uint64_t)-32768},
    {"bclr", 0x48001033, ONES, 127, MAX64},
    {"bclri 63", 0x4bf01013, ONES, 0, MAX64},
    {"bext", 0x48005033, MIN64, 63, 1},
    {"bexti 1", 0x48105013, 2, 0, 1},
    {"binv", 0x68001033, 1, 64, 0},
    {"binvi 63", 0x6bf01013, 0, 0, MIN64},
    {"bset", 0x28001033, 0, 63, MIN64},
    {"bseti 40", 0x2a801013, 0, 0, UINT64_C(1) << 40},
    {"clz", 0x60001013, 1, 0, 63},
    {"clz 0", 0x60001013, 0, 0, 64},
    {"ctz", 0x60101013, MIN64, 0, 63},
    {"ctz 0", 0x60101013, 0, 0, 64},
    {"cpop", 0x60201013, ONES, 0, 64},
    {"clzw", 0x6000101b, UINT64_C(0x700000001), 0, 31},
    {"clzw 0", 0x6000101b, UINT64_C(0x700000000), 0, 32},
    {"ctzw", 0x6010101b, UINT64_C(0x780000000), 0, 31},
    {"ctzw 0", 0x6010101b, UINT64_C(0x700000000), 0, 32},
    {"cpopw", 0x6020101b, UINT64_C(0x700000003), 0, 2},
    {"orc.b", 0x28705013, UINT64_C(0x0001800000104000), 0, UINT64_C(0x00ffff0000ffff00)},
    {"rev8", 0x6b805013, UINT64_C(0x0102030405060708), 0, UINT64_C(0x0807060504030201)},
};

/* Both with the extension and, illegal, without. */
static void test_bits(void)
{
    soft_vm *base = vm;
    vm = soft_vm_new_isa(HVCORE_RISCV64_ISA_BASE | HVCORE_RISCV64_ISA_B);
    soft_map_ram(vm);
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        bool two = (bits[i].word & 0x77) == 0x33;
        bool unary = bits[i].word == 0x0800403b;
        uint32_t word = bits[i].word | RD << 7 | RS1 << 15 | (two && !unary ? RS2 << 20 : 0);
        expect(bits[i].name, result(word, bits[i].a, bits[i].b), bits[i].want);
        soft_vm *with = vm;
        vm = base;
        CU_ASSERT_EQUAL(soft_one(vm, VS, word), HVC_STOP_TRAP);
        expect("absent", vm->raw.scause, HVCORE_RISCV64_ILLEGAL_INSN);
        vm = with;
    }
    soft_vm_free(vm);
    vm = base;
}

/* The code that a guest writes is executed, with FENCE.I as the architecture asks. */
static void test_self_modifying(void)
{
    rv_code c = rv_at(soft_ptr(vm, GUEST), GUEST);
    rv_li(&c, RS2, rv_addi(RD, 0, 2));
    rv_put(&c, rv_auipc(RS1, 0));
    uint64_t here = rv_here(&c) - 4, target = here + 16;
    rv_put(&c, rv_jal(RV_RA, 12));
    rv_put(&c, rv_sw(RS2, (int32_t)(target - here), RS1));
    rv_put(&c, rv_fence_i());
    rv_put(&c, rv_addi(RD, 0, 1)); /* becomes 2 */
    uint64_t steps = (rv_here(&c) - GUEST) / 4;
    rv_put(&c, rv_jalr(0, RV_RA, 0));
    soft_mode(vm, VS, GUEST);
    CU_ASSERT_EQUAL(soft_steps(vm, steps - 2), HVC_STOP_INSN_LIMIT);
    expect("before", vm->frame.x[RD], 1);
    CU_ASSERT_EQUAL(soft_steps(vm, 4), HVC_STOP_INSN_LIMIT);
    expect("after", vm->frame.x[RD], 2);
}

/* --- encodings -------------------------------------------------------------------------------- */

/* Nothing of these exists here; stval holds the instruction, or its 16 bits. */
static void test_illegal(void)
{
    static const uint32_t words[] = {
        0x00000000, 0xffffffff, 0x0000ffff, 0x00000001, 0x12348002, /* lengths but 32 */
        0x0000007f, 0x0000001f, 0x0000003f,                         /* 48 bits and more */
        0x00007003, 0x00004023, 0x00002063, 0x00003063, 0x00001067, /* funct3 */
        0x04000033, 0x40001033, 0x40004033, 0x80000033, 0x0a000033, /* funct7 of OP; Zbc */
        0x20002033, 0x60001013, 0x04001013, 0x48001013, 0xc0005013, /* Zba, Zbb, Zbs */
        0x0200101b, 0x4200501b, 0x0000301b, 0x0000203b, 0x0200103b, /* W */
        0x2800202f, 0x0000102f, 0x0000402f, 0x1010202f,             /* A */
        0x00002007, 0x00003027, 0x00000053, 0x00000043,             /* F, D */
        0x00000057, 0x0000000b, 0x0000002b, 0x0000005b, 0x0000007b, /* V, custom */
        0x0000200f, 0x0010200f, 0x0020200f, 0x0040200f, 0x0000300f, /* CBO, reserved */
        0x30200073, 0x70200073, 0x10200173, 0x10208073, 0x00200073, /* mret, fields of sret, ... */
        0x00008073, 0x000000f3, 0x10500173, 0x7b200073, 0x0ff00073, /* ecall with fields, dret */
        0x16000173, 0x18008073, 0x18200073, 0x26000173, 0x66000173, /* Svinval */
        0x12000173, 0x22000173, 0x62000173, 0x620040f3, 0x60204073, /* fields of fences and HSV */
        0x60304073, 0x64204073, 0x6c104073, 0x6c304073, 0x661040f3, 0x00004073,
    };
    static const uint32_t modes[] = {VS, VU};
    for (size_t i = 0; i < 2 * sizeof words / sizeof words[0]; i++) {
        uint32_t word = words[i / 2];
        CU_ASSERT_EQUAL(soft_one(vm, modes[i % 2], word), HVC_STOP_TRAP);
        if (vm->raw.scause != HVCORE_RISCV64_ILLEGAL_INSN)
            fprintf(stderr, "\n%#x: cause %llu\n", word, (unsigned long long)vm->raw.scause);
        expect("cause", vm->raw.scause, HVCORE_RISCV64_ILLEGAL_INSN);
        expect("stval", vm->raw.stval, (word & 3) == 3 ? word : word & 0xffff);
    }
}

/* Nor do these, with every option there is (docs/riscv64.md, "Absent"). */
static void test_absent(void)
{
    static const uint32_t words[] = {
        0x00007057, 0x0e005033, 0x0e007033, /* vsetvli, czero.eqz, czero.nez */
        0x0a001033, 0x0a002033, 0x0a003033, /* clmul, clmulr, clmulh */
        0x08004033, 0x0810403b, 0x10305013, /* pack, packw, an SHA word */
        0x0000002f, 0x0000102f, 0x2800302f, /* amoadd.b, amoadd.h, amocas.d */
        0x00d00073, 0x01d00073, 0x81c04073, /* wrs.nto, wrs.sto, mop.r.0 */
        0x04000053, 0xf0100053, 0x00001007, /* fadd.h, fli.s, flh */
        0x06000053, 0x0000f053, 0x20003053, /* fadd.q, rm 7 and frm 5, fsgnj's fourth */
    };
    soft_vm *base = vm;
    vm = soft_vm_new_isa(HVCORE_RISCV64_ISA_DEFAULT | HVCORE_RISCV64_ISA_SVADU);
    soft_map_ram(vm);
    vm->fp.fcsr = 5 << 5;
    hvc_port_set(vm->pe, vsstatus, HVC_SSTATUS_FS);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        soft_mode(vm, VS, GUEST);
        vm->frame.sstatus |= HVC_SSTATUS_FS;
        memcpy(soft_ptr(vm, GUEST), &words[i], 4);
        CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_TRAP);
        expect("cause", vm->raw.scause, HVCORE_RISCV64_ILLEGAL_INSN);
        expect("stval", vm->raw.stval, words[i]);
    }
    soft_vm_free(vm);
    vm = base;
}

/* Fields that fences ignore, hints, and what is legal although it looks odd (Unpriv. 2.7, 2.9). */
static void test_legal_oddities(void)
{
    static const uint32_t words[] = {
        0x0000000f, 0x8330000f, 0x0100000f,
        0x0ff2828f,                         /* fence 0, fence.tso, pause, with rd and rs1 */
        0x0000100f, 0xfff2928f,             /* fence.i with all its fields */
        0x00000013, 0x00105013, 0x40705013, /* nop, the semihosting marks */
        0x00001013, 0x00000037, 0x00000017,
        0x00002013, /* hints */
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        CU_ASSERT(retires(words[i]));
        expect("pc", vm->frame.pc, GUEST + 4);
    }
}

static const hvc_unit_test tests[] = {
    {"register operands", test_registers},
    {"immediate operands", test_immediates},
    {"products and quotients against slow ones", test_random_arithmetic},
    {"x0", test_register_zero},
    {"branches", test_branches},
    {"jumps", test_jumps},
    {"misaligned targets", test_misaligned_jumps},
    {"loads", test_loads},
    {"stores", test_stores},
    {"Zba, Zbb, Zbs", test_bits},
    {"self-modifying code", test_self_modifying},
    {"illegal encodings", test_illegal},
    {"absent extensions", test_absent},
    {"legal oddities", test_legal_oddities},
    {NULL, NULL},
};

int main(void)
{
    vm = soft_vm_new();
    soft_map_ram(vm);
    int rc = hvc_unit_main("soft riscv64: instructions", tests);
    soft_vm_free(vm);
    return rc;
}
