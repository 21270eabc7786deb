/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed instructions on the software machine: all 65536 half-words against the tables of the
 * ISA, written down here as the tables have them; instructions at the ends of pages; IALIGN = 16.
 */
#include "tests/unit/soft.h"

#include <stdio.h>

#define DATA (GUEST + 32 * PAGE)
#define WINDOW (3 * PAGE)
#define RAW UINT32_MAX

static soft_vm *vm;

static void expect(const char *what, uint64_t got, uint64_t want)
{
    if (got != want)
        fprintf(stderr, "\n%s: %#llx, not %#llx\n", what, (unsigned long long)got,
                (unsigned long long)want);
    CU_ASSERT_EQUAL(got, want);
}

/* --- the tables (Unpriv. 27.8, 16-bit encodings) ---------------------------------------------- */

/* The 32-bit instruction by fields: d is the one at bit 7, s the one at bit 2. */
typedef uint32_t expansion(uint32_t d, uint32_t s, int32_t imm);

#define EXPAND(name, word)                                        \
    static uint32_t x_##name(uint32_t d, uint32_t s, int32_t imm) \
    {                                                             \
        (void)d;                                                  \
        (void)s;                                                  \
        (void)imm;                                                \
        return word;                                              \
    }
EXPAND(addi4spn, rv_addi(s, RV_SP, imm))
EXPAND(fld, rv_fl(3, s, imm, d))
EXPAND(lw, rv_lw(s, imm, d))
EXPAND(ld, rv_ld(s, imm, d))
EXPAND(fsd, rv_fs(3, s, imm, d))
EXPAND(sw, rv_sw(s, imm, d))
EXPAND(sd, rv_sd(s, imm, d))
EXPAND(addi, rv_addi(d, d, imm))
EXPAND(addiw, rv_addiw(d, d, imm))
EXPAND(li, rv_addi(d, 0, imm))
EXPAND(addi16sp, rv_addi(RV_SP, RV_SP, imm))
EXPAND(lui, rv_lui(d, (uint32_t)imm >> 12))
EXPAND(srli, rv_srli(d, d, imm))
EXPAND(srai, rv_srai(d, d, imm))
EXPAND(andi, rv_andi(d, d, imm))
EXPAND(sub, rv_sub(d, d, s))
EXPAND(xor, rv_xor(d, d, s))
EXPAND(or, rv_or(d, d, s))
EXPAND(and, rv_and(d, d, s))
EXPAND(subw, rv_subw(d, d, s))
EXPAND(addw, rv_addw(d, d, s))
EXPAND(j, rv_jal(0, imm))
EXPAND(beqz, rv_beq(d, 0, imm))
EXPAND(bnez, rv_bne(d, 0, imm))
EXPAND(slli, rv_slli(d, d, imm))
EXPAND(fldsp, rv_fl(3, d, imm, RV_SP))
EXPAND(lwsp, rv_lw(d, imm, RV_SP))
EXPAND(ldsp, rv_ld(d, imm, RV_SP))
EXPAND(jr, rv_jalr(0, d, 0))
EXPAND(mv, rv_add(d, 0, s))
EXPAND(ebreak, rv_ebreak())
EXPAND(jalr, rv_jalr(RV_RA, d, 0))
EXPAND(add, rv_add(d, d, s))
EXPAND(fsdsp, rv_fs(3, s, imm, RV_SP))
EXPAND(swsp, rv_sw(s, imm, RV_SP))
EXPAND(sdsp, rv_sd(s, imm, RV_SP))

enum { MEMORY = 1, FLOAT = 2, SIGNED = 4, IMM = 8, D = 16, S = 32, NOT_SP = 64 };

/*
 * bits from 15 down: fixed ones, d and s fields (three: x8 to x15), i immediate bits; which these
 * are stands in `imm`, in the same order. IMM, D, S: not zero, else reserved; NOT_SP: d is not 2.
 */
typedef struct pattern {
    const char *bits;
    const char *imm;
    uint32_t rules;
    expansion *to;
} pattern;

static const pattern patterns[] = {
    {"000iiiiiiiisss00", "5 4 9 8 7 6 2 3", IMM, x_addi4spn},
    {"001iiidddiisss00", "5 4 3 7 6", MEMORY | FLOAT, x_fld},
    {"010iiidddiisss00", "5 4 3 2 6", MEMORY, x_lw},
    {"011iiidddiisss00", "5 4 3 7 6", MEMORY, x_ld},
    {"101iiidddiisss00", "5 4 3 7 6", MEMORY | FLOAT, x_fsd},
    {"110iiidddiisss00", "5 4 3 2 6", MEMORY, x_sw},
    {"111iiidddiisss00", "5 4 3 7 6", MEMORY, x_sd},
    {"000idddddiiiii01", "5 4 3 2 1 0", SIGNED, x_addi}, /* c.nop and hints among them */
    {"001idddddiiiii01", "5 4 3 2 1 0", SIGNED | D, x_addiw},
    {"010idddddiiiii01", "5 4 3 2 1 0", SIGNED, x_li},
    {"011i00010iiiii01", "9 4 6 8 7 5", SIGNED | IMM, x_addi16sp},
    {"011idddddiiiii01", "17 16 15 14 13 12", SIGNED | IMM | NOT_SP, x_lui},
    {"100i00dddiiiii01", "5 4 3 2 1 0", 0, x_srli},
    {"100i01dddiiiii01", "5 4 3 2 1 0", 0, x_srai},
    {"100i10dddiiiii01", "5 4 3 2 1 0", SIGNED, x_andi},
    {"100011ddd00sss01", "", 0, x_sub},
    {"100011ddd01sss01", "", 0, x_xor},
    {"100011ddd10sss01", "", 0, x_or},
    {"100011ddd11sss01", "", 0, x_and},
    {"100111ddd00sss01", "", 0, x_subw},
    {"100111ddd01sss01", "", 0, x_addw},
    {"101iiiiiiiiiii01", "11 4 9 8 10 6 7 3 2 1 5", SIGNED, x_j},
    {"110iiidddiiiii01", "8 4 3 7 6 2 1 5", SIGNED, x_beqz},
    {"111iiidddiiiii01", "8 4 3 7 6 2 1 5", SIGNED, x_bnez},
    {"000idddddiiiii10", "5 4 3 2 1 0", 0, x_slli},
    {"001idddddiiiii10", "5 4 3 8 7 6", MEMORY | FLOAT, x_fldsp},
    {"010idddddiiiii10", "5 4 3 2 7 6", MEMORY | D, x_lwsp},
    {"011idddddiiiii10", "5 4 3 8 7 6", MEMORY | D, x_ldsp},
    {"1000ddddd0000010", "", D, x_jr},
    {"1000dddddsssss10", "", S, x_mv},
    {"1001000000000010", "", 0, x_ebreak},
    {"1001ddddd0000010", "", D, x_jalr},
    {"1001dddddsssss10", "", S, x_add},
    {"101iiiiiisssss10", "5 4 3 8 7 6", MEMORY | FLOAT, x_fsdsp},
    {"110iiiiiisssss10", "5 4 3 2 7 6", MEMORY, x_swsp},
    {"111iiiiiisssss10", "5 4 3 8 7 6", MEMORY, x_sdsp},
};

typedef struct fields {
    uint32_t d, s, n[2];
    uint32_t imm;
} fields;

/* The fields of h, or false if a fixed bit differs. */
static bool matches(const pattern *p, uint32_t h, fields *f)
{
    const char *at = p->imm;
    memset(f, 0, sizeof *f);
    for (int i = 0; i < 16; i++) {
        uint32_t bit = h >> (15 - i) & 1;
        char c = p->bits[i];
        if (c == 'i')
            f->imm |= bit << strtoul(at, (char **)(uintptr_t)&at, 10);
        else if (c == 'd')
            f->d = f->d * 2 + bit, f->n[0]++;
        else if (c == 's')
            f->s = f->s * 2 + bit, f->n[1]++;
        else if (bit != (uint32_t)(c - '0'))
            return false;
    }
    f->d += f->n[0] == 3 ? 8 : 0;
    f->s += f->n[1] == 3 ? 8 : 0;
    return true;
}

/* The immediate with its sign, which is its highest bit and the first in the encoding. */
static int32_t immediate(const pattern *p, uint32_t imm)
{
    uint32_t sign = *p->imm ? 1u << strtoul(p->imm, NULL, 10) : 0;
    return p->rules & SIGNED && imm & sign ? (int32_t)(imm - 2 * sign) : (int32_t)imm;
}

/* The pattern and the 32-bit instruction of h, or NULL: reserved. */
static const pattern *look_up(uint32_t h, uint32_t *word)
{
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        const pattern *p = &patterns[i];
        fields f;
        if (!matches(p, h, &f) || (p->rules & NOT_SP && f.d == 2) || (p->rules & IMM && !f.imm) ||
            (p->rules & D && !f.d) || (p->rules & S && !f.s))
            continue;
        *word = p->to(f.d, f.s, immediate(p, f.imm));
        return p;
    }
    return NULL;
}

/* What an assembler makes of these, so that this file is not its own witness. */
static void test_known_words(void)
{
    static const uint32_t known[][2] = {
        {0x1ffc, 0x3fc10793}, /* c.addi4spn a5,sp,1020 */
        {0x0040, 0x00410413}, /* c.addi4spn s0,sp,4 */
        {0x00a8, 0x04810513}, /* c.addi4spn a0,sp,72 */
        {0x3d70, 0x0f853607}, /* c.fld fa2,248(a0) */
        {0x5cf0, 0x07c4a603}, /* c.lw a2,124(s1) */
        {0x4150, 0x00452603}, /* c.lw a2,4(a0) */
        {0x403c, 0x04042783}, /* c.lw a5,64(s0) */
        {0x63e0, 0x0c07b403}, /* c.ld s0,192(a5) */
        {0x6780, 0x0087b403}, /* c.ld s0,8(a5) */
        {0xa1a0, 0x0485b027}, /* c.fsd fs0,64(a1) */
        {0xc374, 0x04d72223}, /* c.sw a3,68(a4) */
        {0xfd64, 0x0e953c23}, /* c.sd s1,248(a0) */
        {0x0001, 0x00000013}, /* c.nop */
        {0x1f81, 0xfe0f8f93}, /* c.addi t6,-32 */
        {0x017d, 0x01f10113}, /* c.addi sp,31 */
        {0x357d, 0xfff5051b}, /* c.addiw a0,-1 */
        {0x2281, 0x0002829b}, /* c.addiw t0,0 */
        {0x5ded, 0xffb00d93}, /* c.li s11,-5 */
        {0x7101, 0xe0010113}, /* c.addi16sp sp,-512 */
        {0x617d, 0x1f010113}, /* c.addi16sp sp,496 */
        {0x6105, 0x02010113}, /* c.addi16sp sp,32 */
        {0x6121, 0x04010113}, /* c.addi16sp sp,64 */
        {0x6109, 0x08010113}, /* c.addi16sp sp,128 */
        {0x657d, 0x0001f537}, /* c.lui a0,0x1f */
        {0x7e01, 0xfffe0e37}, /* c.lui t3,0xfffe0 */
        {0x917d, 0x03f55513}, /* c.srli a0,63 */
        {0x9485, 0x4214d493}, /* c.srai s1,33 */
        {0x8485, 0x4014d493}, /* c.srai s1,1 */
        {0x9b81, 0xfe07f793}, /* c.andi a5,-32 */
        {0x8bd5, 0x0157f793}, /* c.andi a5,21 */
        {0x8d0d, 0x40b50533}, /* c.sub a0,a1 */
        {0x8c3d, 0x00f44433}, /* c.xor s0,a5 */
        {0x8e55, 0x00d66633}, /* c.or a2,a3 */
        {0x8ce1, 0x0084f4b3}, /* c.and s1,s0 */
        {0x9f1d, 0x40f7073b}, /* c.subw a4,a5 */
        {0x9fb9, 0x00e787bb}, /* c.addw a5,a4 */
        {0xaffd, 0x7fe0006f}, /* c.j .+2046 */
        {0xb001, 0x801ff06f}, /* c.j .-2048 */
        {0xa081, 0x0400006f}, /* c.j .+64 */
        {0xa041, 0x0800006f}, /* c.j .+128 */
        {0xa101, 0x4000006f}, /* c.j .+1024 */
        {0xa801, 0x0100006f}, /* c.j .+16 */
        {0xa005, 0x0200006f}, /* c.j .+32 */
        {0xcd7d, 0x0e050f63}, /* c.beqz a0,.+254 */
        {0xd081, 0xf00480e3}, /* c.beqz s1,.-256 */
        {0xc085, 0x02048063}, /* c.beqz s1,.+32 */
        {0xe3a1, 0x04079063}, /* c.bnez a5,.+64 */
        {0xe3c1, 0x08079063}, /* c.bnez a5,.+128 */
        {0xe781, 0x00079463}, /* c.bnez a5,.+8 */
        {0x1322, 0x02831313}, /* c.slli t1,40 */
        {0x357e, 0x1f813507}, /* c.fldsp fa0,504(sp) */
        {0x2fa2, 0x00813f87}, /* c.fldsp ft11,8(sp) */
        {0x557e, 0x0fc12503}, /* c.lwsp a0,252(sp) */
        {0x4f92, 0x00412f83}, /* c.lwsp t6,4(sp) */
        {0x6086, 0x04013083}, /* c.ldsp ra,64(sp) */
        {0x60a2, 0x00813083}, /* c.ldsp ra,8(sp) */
        {0x8282, 0x00028067}, /* c.jr t0 */
        {0x8ffa, 0x01e00fb3}, /* c.mv t6,t5 */
        {0x9002, 0x00100073}, /* c.ebreak */
        {0x9782, 0x000780e7}, /* c.jalr a5 */
        {0x931e, 0x00730333}, /* c.add t1,t2 */
        {0xa26e, 0x11b13027}, /* c.fsdsp fs11,256(sp) */
        {0xc32e, 0x08b12223}, /* c.swsp a1,132(sp) */
        {0xe406, 0x00113423}, /* c.sdsp ra,8(sp) */
        {0xffa2, 0x1e813c23}, /* c.sdsp s0,504(sp) */
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t word = 0;
        CU_ASSERT_PTR_NOT_NULL(look_up(known[i][0], &word));
        expect("expansion", word, known[i][1]);
    }
}

/* --- every half-word -------------------------------------------------------------------------- */

typedef struct state {
    uint64_t x[32], f[32], pc, vsstatus;
    uint64_t cause; /* of a trap; none: RAW */
} state;

static state start;
static uint8_t before[WINDOW], after[WINDOW];

/* Addresses for what touches memory, anything for the rest. */
static void random_state(uint64_t *seed, bool addresses)
{
    for (int i = 1; i < 32; i++) {
        uint64_t r = hvc_random(seed);
        start.x[i] = addresses ? DATA + r % 512 * 8 : r >> (r & 1 ? 0 : 40);
        start.f[i] = hvc_random(seed);
    }
    start.f[0] = hvc_random(seed);
    start.x[8 + hvc_random(seed) % 8] = addresses ? DATA : 0; /* for c.beqz */
}

static state execute(uint32_t word, uint32_t bytes)
{
    uint32_t code[2] = {word, RAW};
    state s;
    memcpy(soft_ptr(vm, GUEST + 6), code, sizeof code);
    if (bytes == 2)
        memset(soft_ptr(vm, GUEST + 8), 0xff, 6);
    memcpy(soft_ptr(vm, DATA), before, WINDOW);
    soft_mode(vm, VS, GUEST + 6);
    vm->frame.sstatus |= HVC_SSTATUS_FS;
    hvc_port_set(vm->pe, vsstatus, HVC_SSTATUS_FS);
    memcpy(vm->frame.x, start.x, sizeof start.x);
    memcpy(vm->fp.f, start.f, sizeof start.f);
    bool trap = soft_steps(vm, 1) == HVC_STOP_TRAP;
    memcpy(s.x, vm->frame.x, sizeof s.x);
    memcpy(s.f, vm->fp.f, sizeof s.f);
    s.pc = vm->frame.pc;
    s.vsstatus = hvc_port_get(vm->pe, vsstatus);
    s.cause = trap ? vm->raw.scause : RAW;
    return s;
}

/* What differs by length alone: the pc after it, and the link. A branch of 4 bytes may be taken. */
static void shorten(state *s, uint32_t h)
{
    bool branch = (h & 0xc003) == 0xc001, zero = start.x[8 + (h >> 7 & 7)] == 0;
    bool taken = (h & 0xe003) == 0xa001 || (branch && zero == !(h & 0x2000));
    if (s->pc == GUEST + 10 && !taken)
        s->pc -= 2;
    if ((h & 0xf07f) == 0x9002 && s->x[RV_RA] == GUEST + 10)
        s->x[RV_RA] -= 2;
}

static void check_half(uint32_t h, uint64_t *seed)
{
    uint32_t word;
    const pattern *p = look_up(h, &word);
    random_state(seed, p && p->rules & MEMORY);
    state got = execute(h, 2);
    if (!p) {
        if (got.cause != 2 || vm->raw.stval != h)
            fprintf(stderr, "\nhalf %#x is not illegal\n", h);
        CU_ASSERT(got.cause == 2 && vm->raw.stval == h && got.pc == GUEST + 6);
        return;
    }
    memcpy(after, soft_ptr(vm, DATA), WINDOW);
    state want = execute(word, 4);
    shorten(&want, h);
    bool same = !memcmp(&got, &want, sizeof got) && !memcmp(after, soft_ptr(vm, DATA), WINDOW);
    if (!same)
        fprintf(stderr, "\nhalf %#x is not %#x: %s\n", h, word, p->bits);
    CU_ASSERT(same);
}

static void test_every_half(void)
{
    uint64_t seed = 3, legal = 0;
    uint32_t word;
    for (uint32_t i = 0; i < WINDOW; i++)
        before[i] = (uint8_t)hvc_random(&seed);
    for (uint32_t h = 0; h < 0x10000; h++) {
        if ((h & 3) == 3)
            continue;
        check_half(h, &seed);
        legal += look_up(h, &word) != NULL;
    }
    printf("%llu legal ... ", (unsigned long long)legal);
}

/* Whoever has no C has four-byte instructions alone; whoever has no D, no C.FLD and its kin. */
static void check_absent(uint64_t isa, bool off, uint32_t h, uint64_t stval)
{
    soft_vm *other = soft_vm_new_isa(HVCORE_RISCV64_ISA_BASE | isa);
    uint32_t word = h | RAW << 16;
    soft_map_ram(other);
    hvc_port_set(other->pe, vsstatus, off ? 0 : HVC_SSTATUS_FS);
    CU_ASSERT_EQUAL(soft_one(other, VS, word), HVC_STOP_TRAP);
    expect("cause", other->raw.scause, 2);
    expect("stval", other->raw.stval, stval);
    soft_vm_free(other);
}

static void test_absent(void)
{
    static const uint16_t floats[] = {0x2110, 0xa110, 0x20a2, 0xa406};
    for (size_t i = 0; i < 4; i++) {
        check_absent(HVCORE_RISCV64_ISA_C, false, floats[i], floats[i]);
        check_absent(HVCORE_RISCV64_ISA_C | HVCORE_RISCV64_ISA_FD, true, floats[i], floats[i]);
    }
    check_absent(0, false, 0x4501, 0x4501); /* 16 bits even so: the length is in the low bits */
}

/* --- ends of pages ---------------------------------------------------------------------------- */

#define FIRST UINT64_C(0x10000) /* va of a page, whose next page is elsewhere */
#define SECOND (FIRST + PAGE)
#define LAST_HALF (FIRST + PAGE - 2)
#define PAGE_A (GUEST + 4 * PAGE)
#define PAGE_B (GUEST + 9 * PAGE)
#define PAGE_C (GUEST + 6 * PAGE)

static uint64_t root;

static void put_half(uint64_t gpa, uint32_t half)
{
    uint16_t h = (uint16_t)half;
    memcpy(soft_ptr(vm, gpa), &h, 2);
}

/* lui a0, 0x12345 over both pages; PAGE_C has the second half of lui a0, 0x67895. */
static void map_straddling(void)
{
    root = soft_vs_page(vm);
    soft_map_vs(vm, root, FIRST, PAGE_A, PTE_S);
    soft_map_vs(vm, root, SECOND, PAGE_B, PTE_S);
    hvc_port_set(vm->pe, vsatp, soft_satp(root, 1));
    hvc_port_set(vm->pe, hedeleg, 0);
    hvc_port_tlb_vvma(vm->pe);
    put_half(PAGE_A + PAGE - 2, rv_lui(RV_A0, 0x12345) & 0xffff);
    put_half(PAGE_B, rv_lui(RV_A0, 0x12345) >> 16);
    put_half(PAGE_C, rv_lui(RV_A0, 0x67895) >> 16);
}

static enum hvc_port_stop run_at(uint64_t pc, uint64_t steps)
{
    soft_mode(vm, VS, pc);
    vm->frame.x[RV_A0] = 0;
    hvc_port_budget(vm->pe, steps);
    return hvc_port_enter(vm->pe, &vm->frame, &vm->raw); /* without soft_enter's FENCE.I */
}

static void check_straddling(uint64_t want)
{
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(run_at(LAST_HALF, 1), HVC_STOP_INSN_LIMIT);
        expect("a0", vm->frame.x[RV_A0], want);
        expect("pc", vm->frame.pc, SECOND + 2);
    }
}

static void check_fetch_fault(uint64_t pc, uint64_t cause, uint64_t stval, uint64_t gpa)
{
    uint64_t insns = hvc_port_insns(vm->pe);
    CU_ASSERT_EQUAL(run_at(pc, 5), HVC_STOP_TRAP);
    expect("cause", vm->raw.scause, cause);
    expect("stval", vm->raw.stval, stval);
    expect("sepc", vm->frame.pc, pc);
    expect("htval", vm->raw.htval, gpa >> 2);
    expect("htinst", vm->raw.htinst, 0);
    expect("retired", hvc_port_insns(vm->pe), insns);
    expect("a0", vm->frame.x[RV_A0], 0);
}

static void test_straddling(void)
{
    map_straddling();
    check_straddling(0x12345000);
    soft_map_vs(vm, root, SECOND, PAGE_C, PTE_S); /* another second page */
    hvc_port_tlb_vvma(vm->pe);
    check_straddling(0x67895000);
    soft_map_vs(vm, root, SECOND, PAGE_B, PTE_S);
    soft_map_vs(vm, root, SECOND, PAGE_B, PTE_S & ~HVC_PTE_X);
    hvc_port_tlb_vvma(vm->pe);
    check_fetch_fault(LAST_HALF, 12, SECOND, 0);
    soft_map_vs(vm, root, SECOND, UINT64_C(0x70000000), PTE_S);
    hvc_port_tlb_vvma(vm->pe);
    check_fetch_fault(LAST_HALF, 20, SECOND, UINT64_C(0x70000000));
    soft_map_vs(vm, root, FIRST, PAGE_A, PTE_S & ~HVC_PTE_A);
    hvc_port_tlb_vvma(vm->pe);
    check_fetch_fault(LAST_HALF, 12, LAST_HALF, 0); /* the first half comes first */
    soft_map_vs(vm, root, FIRST, PAGE_A, PTE_S);
    put_half(PAGE_A + PAGE - 2, 0x4505); /* c.li a0, 1 needs no second page */
    hvc_port_tlb_vvma(vm->pe);
    CU_ASSERT_EQUAL(run_at(LAST_HALF, 1), HVC_STOP_INSN_LIMIT);
    expect("a0", vm->frame.x[RV_A0], 1);
    check_fetch_fault(SECOND, 20, SECOND, UINT64_C(0x70000000));
}

/* An illegal one that straddles, and one whose second page is another at each turn of the guest. */
static void test_straddling_illegal(void)
{
    map_straddling();
    put_half(PAGE_A + PAGE - 2, 0xffff);
    put_half(PAGE_B, 0x1234);
    CU_ASSERT_EQUAL(run_at(LAST_HALF, 5), HVC_STOP_TRAP);
    expect("cause", vm->raw.scause, 2);
    expect("stval", vm->raw.stval, 0x1234ffff);
    map_straddling();
    put_half(PAGE_A + PAGE - 2, rv_lw(RV_A0, 8, RV_A1) & 0xffff);
    put_half(PAGE_B, rv_lw(RV_A0, 8, RV_A1) >> 16);
    soft_map_vs(vm, root, FIRST + 8 * PAGE, UINT64_C(0x70000000), PTE_S);
    vm->frame.x[RV_A1] = FIRST + 8 * PAGE;
    hvc_port_tlb_vvma(vm->pe);
    CU_ASSERT_EQUAL(run_at(LAST_HALF, 5), HVC_STOP_TRAP);
    expect("cause", vm->raw.scause, 21);
    expect("htinst", vm->raw.htinst, rv_lw(RV_A0, 0, 0));
}

/* The guest changes the second page and fences; each way of naming the page. */
static void test_guest_remaps(void)
{
    const uint32_t fences[] = {rv_sfence_vma(0, 0), rv_sfence_vma(RV_A1, 0),
                               rv_sfence_vma(0, RV_A2), rv_sfence_vma(RV_A1, RV_A2)};
    uint64_t *entry;
    map_straddling();
    entry = soft_vs_entry(vm, root, SECOND, 0);
    for (int i = 0; i < 8; i++) {
        *entry = (i % 2 ? PAGE_B : PAGE_C) >> 12 << HVC_PTE_PPN_SHIFT | PTE_S;
        uint32_t word = fences[i / 2];
        memcpy(soft_ptr(vm, PAGE_A), &word, 4);
        vm->frame.x[RV_A1] = SECOND;
        vm->frame.x[RV_A2] = 1;
        hvc_code_fence(&hvc_soft_pe(vm->pe)->code);
        CU_ASSERT_EQUAL(run_at(FIRST, 1), HVC_STOP_INSN_LIMIT);
        check_straddling(i % 2 ? 0x12345000 : 0x67895000);
    }
}

/*
 * 2- and 4-byte instructions from before the end of the page to behind it, from each parity: many
 * steps at once are as many single steps, and as the sum says.
 */
static void fill_crossing(uint32_t parity)
{
    uint64_t at = PAGE - 64 + 2 * parity;
    for (int i = 0; i < 40; i++) {
        uint32_t word = i % 3 ? rv_addi(RV_A0, RV_A0, 16) : 0x0505; /* c.addi a0, 1 */
        for (uint32_t k = 0; k < (i % 3 ? 2u : 1u); k++, at += 2)
            put_half(at < PAGE ? PAGE_A + at : PAGE_B + at - PAGE, word >> 16 * k & 0xffff);
    }
}

static void test_crossing(void)
{
    map_straddling();
    for (uint32_t parity = 0; parity < 2; parity++) {
        fill_crossing(parity);
        hvc_code_fence(&hvc_soft_pe(vm->pe)->code);
        for (uint64_t n = 1; n <= 40; n++) {
            uint64_t twos = (n + 2) / 3, sum = twos + 16 * (n - twos);
            uint64_t end = FIRST + PAGE - 64 + 2 * parity + 2 * twos + 4 * (n - twos);
            CU_ASSERT_EQUAL(run_at(FIRST + PAGE - 64 + 2 * parity, n), HVC_STOP_INSN_LIMIT);
            expect("a0", vm->frame.x[RV_A0], sum);
            expect("pc", vm->frame.pc, end);
            soft_mode(vm, VS, FIRST + PAGE - 64 + 2 * parity);
            vm->frame.x[RV_A0] = 0;
            for (uint64_t i = 0; i < n; i++) {
                hvc_port_budget(vm->pe, 1);
                CU_ASSERT_EQUAL(hvc_port_enter(vm->pe, &vm->frame, &vm->raw), HVC_STOP_INSN_LIMIT);
            }
            expect("a0, stepped", vm->frame.x[RV_A0], sum);
            expect("pc, stepped", vm->frame.pc, end);
        }
    }
}

/* Falling out of a page finds the page that is there now. */
static void test_fall_into(void)
{
    map_straddling();
    put_half(PAGE_A + PAGE - 2, 0x0001); /* c.nop */
    put_half(PAGE_B, 0x4509);            /* c.li a0, 2 */
    put_half(PAGE_C, 0x450d);            /* c.li a0, 3 */
    hvc_code_fence(&hvc_soft_pe(vm->pe)->code);
    for (uint64_t i = 0; i < 6; i++) {
        soft_map_vs(vm, root, SECOND, i % 2 ? PAGE_C : PAGE_B, PTE_S);
        hvc_port_tlb_vvma(vm->pe);
        CU_ASSERT_EQUAL(run_at(LAST_HALF, 2), HVC_STOP_INSN_LIMIT);
        expect("a0", vm->frame.x[RV_A0], 2 + i % 2);
    }
}

/* --- IALIGN = 16 ------------------------------------------------------------------------------ */

static void test_ialign(void)
{
    uint32_t jalr = rv_jalr(RV_RA, RV_A1, 3);
    hvc_port_set(vm->pe, vsatp, 0);
    memcpy(soft_ptr(vm, GUEST + 2), &jalr, 4);
    soft_mode(vm, VS, GUEST + 2);
    vm->frame.x[RV_A1] = GUEST + 0x100;
    CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_INSN_LIMIT);
    expect("jalr", vm->frame.pc, GUEST + 0x102);
    expect("link", vm->frame.x[RV_RA], GUEST + 6);
    const uint32_t jumps[] = {rv_jal(RV_RA, 6), rv_beq(0, 0, 6), rv_bne(RV_SP, 0, -2)};
    for (int i = 0; i < 3; i++) {
        vm->frame.x[RV_SP] = 1;
        CU_ASSERT_EQUAL(soft_one(vm, VS, jumps[i]), HVC_STOP_INSN_LIMIT);
        expect("jump", vm->frame.pc, i < 2 ? GUEST + 6 : GUEST - 2);
    }
    hvc_port_set(vm->pe, vsepc, GUEST + 0x33);
    expect("vsepc", hvc_port_get(vm->pe, vsepc), GUEST + 0x32);
    hvc_port_set(vm->pe, vsstatus, HVC_SSTATUS_SPP);
    CU_ASSERT_EQUAL(soft_one(vm, VS, rv_sret()), HVC_STOP_INSN_LIMIT);
    expect("sret", vm->frame.pc, GUEST + 0x32);
    vm->frame.x[RV_T0] = GUEST + 0x103;
    CU_ASSERT_EQUAL(soft_one(vm, VS, rv_csrrw(RV_T1, 0x141, RV_T0)), HVC_STOP_INSN_LIMIT);
    expect("sepc read", vm->frame.x[RV_T1], GUEST + 0x32);
    expect("sepc written", hvc_port_get(vm->pe, vsepc), GUEST + 0x102);
    hvc_port_set(vm->pe, hedeleg, UINT64_MAX); /* a trap at an odd half-word */
    hvc_port_set(vm->pe, vstvec, GUEST + 0x200);
    put_half(GUEST + 0x102, 0x9002);
    soft_mode(vm, VS, GUEST + 0x102);
    CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_INSN_LIMIT);
    expect("sepc", hvc_port_get(vm->pe, vsepc), GUEST + 0x102);
    expect("stval", hvc_port_get(vm->pe, vstval), GUEST + 0x102);
    expect("vector", vm->frame.pc, GUEST + 0x200);
    hvc_port_set(vm->pe, hedeleg, 0);
}

static const hvc_unit_test tests[] = {
    {"the tables against an assembler", test_known_words},
    {"every half-word", test_every_half},
    {"absent extensions", test_absent},
    {"an instruction over two pages", test_straddling},
    {"an illegal one over two pages", test_straddling_illegal},
    {"the guest remaps the second page", test_guest_remaps},
    {"blocks over the end of a page", test_crossing},
    {"falling into a page that changed", test_fall_into},
    {"IALIGN is 16", test_ialign},
    {NULL, NULL},
};

int main(void)
{
    vm = soft_vm_new_isa(HVCORE_RISCV64_ISA_DEFAULT);
    soft_map_ram(vm);
    int rc = hvc_unit_main("soft riscv64: compressed instructions", tests);
    soft_vm_free(vm);
    return rc;
}
