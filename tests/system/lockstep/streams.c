/* SPDX-License-Identifier: Apache-2.0 */
/* The generators: encodings by their tables (Unpriv. 37), operands at random. */
#include "tests/system/lockstep/lockstep.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define ANY(out, list) ((list)[random_below(out, COUNT(list))])

static uint64_t random_below(lockstep_out *out, uint64_t n)
{
    return hvc_random(out->seed) % n;
}

static void put32(lockstep_out *out, uint32_t word)
{
    memcpy(out->at, &word, 4);
    out->at += 4;
}

static void put16(lockstep_out *out, uint32_t half)
{
    uint16_t h = (uint16_t)half;
    memcpy(out->at, &h, 2);
    out->at += 2;
}

static uint32_t any(lockstep_out *out)
{
    return (uint32_t)random_below(out, 32);
}

/* A destination: everything but the base. */
static uint32_t dest(lockstep_out *out)
{
    uint32_t rd = any(out);
    return rd == LOCKSTEP_BASE ? 9 : rd;
}

/* --- computation: match words with their free fields ------------------------------------------ */

static const uint32_t r_type[] = {
    0x00000033, 0x40000033, 0x00001033, 0x00002033, 0x00003033, 0x00004033, 0x00005033, 0x40005033,
    0x00006033, 0x00007033, 0x0000003b, 0x4000003b, 0x0000103b, 0x0000503b, 0x4000503b,
};
static const uint32_t m_type[] = {
    0x02000033, 0x02001033, 0x02002033, 0x02003033, 0x02004033, 0x02005033, 0x02006033,
    0x02007033, 0x0200003b, 0x0200403b, 0x0200503b, 0x0200603b, 0x0200703b,
};
/* Zba, Zbb, Zbs with two registers */
static const uint32_t b_type[] = {
    0x20002033, 0x20004033, 0x20006033, 0x0800003b, 0x2000203b, 0x2000403b, 0x2000603b, 0x40007033,
    0x40006033, 0x40004033, 0x0a006033, 0x0a007033, 0x0a004033, 0x0a005033, 0x60001033, 0x60005033,
    0x6000103b, 0x6000503b, 0x48001033, 0x48005033, 0x68001033, 0x28001033,
};
/* ... with one */
static const uint32_t b_unary[] = {
    0x60001013, 0x60101013, 0x60201013, 0x60401013, 0x60501013, 0x28705013,
    0x6b805013, 0x6000101b, 0x6010101b, 0x6020101b, 0x0800403b,
};
/* ... with a shift of 6 bits, of 5 bits */
static const uint32_t b_shift6[] = {0x0800101b, 0x60005013, 0x48001013,
                                    0x48005013, 0x68001013, 0x28001013};
static const uint32_t i_type[] = {0x13, 0x2013, 0x3013, 0x4013, 0x6013, 0x7013, 0x1b};
static const uint32_t shift6[] = {0x1013, 0x5013, 0x40005013};
static const uint32_t shift5[] = {0x101b, 0x501b, 0x4000501b, 0x6000501b};

static uint32_t rd_rs1(lockstep_out *out)
{
    return dest(out) << 7 | any(out) << 15;
}

static void put_integer(lockstep_out *out)
{
    switch (random_below(out, 5)) {
    case 0:
        put32(out, ANY(out, i_type) | rd_rs1(out) | (uint32_t)hvc_random(out->seed) << 20);
        break;
    case 1:
        put32(out, ANY(out, shift6) | rd_rs1(out) | (uint32_t)random_below(out, 64) << 20);
        break;
    case 2:
        put32(out, ANY(out, shift5) | rd_rs1(out) | any(out) << 20);
        break;
    case 3:
        put32(out, (random_below(out, 2) ? 0x37 : 0x17) | dest(out) << 7 |
                       (uint32_t)hvc_random(out->seed) << 12);
        break;
    default:
        put32(out, ANY(out, r_type) | rd_rs1(out) | any(out) << 20);
    }
}

static void put_multiply(lockstep_out *out)
{
    put32(out, ANY(out, m_type) | rd_rs1(out) | any(out) << 20);
}

static void put_bits(lockstep_out *out)
{
    switch (random_below(out, 3)) {
    case 0:
        put32(out, ANY(out, b_unary) | rd_rs1(out));
        break;
    case 1:
        put32(out, ANY(out, b_shift6) | rd_rs1(out) | (uint32_t)random_below(out, 64) << 20);
        break;
    default:
        put32(out, ANY(out, b_type) | rd_rs1(out) | any(out) << 20);
    }
}

/* --- memory: any offset from the base, often misaligned --------------------------------------- */

static uint32_t s_type(uint32_t word, uint32_t reg, uint32_t imm)
{
    return word | LOCKSTEP_BASE << 15 | reg << 20 | (imm & 31) << 7 | (imm >> 5 & 0x7f) << 25;
}

static void put_memory(lockstep_out *out)
{
    uint32_t imm = (uint32_t)hvc_random(out->seed) & 0xfff;
    if (random_below(out, 2))
        put32(out, 0x03 | (uint32_t)random_below(out, 7) << 12 | dest(out) << 7 |
                       LOCKSTEP_BASE << 15 | imm << 20);
    else
        put32(out, s_type(0x23 | (uint32_t)random_below(out, 4) << 12, any(out), imm));
}

/* t6 = s0 + something, aligned or (rarely, if `stray`) not */
static void put_address(lockstep_out *out, uint32_t align, bool stray)
{
    uint32_t imm = (uint32_t)hvc_random(out->seed) & 0xfff;
    if (!stray || random_below(out, 16))
        imm &= ~(align - 1);
    put32(out, 0x13 | 31 << 7 | LOCKSTEP_BASE << 15 | imm << 20);
}

static const uint32_t amo[] = {0x00, 0x01, 0x04, 0x08, 0x0c, 0x10, 0x14, 0x18, 0x1c};

static void put_atomic(lockstep_out *out)
{
    uint32_t width = 2 + (uint32_t)random_below(out, 2), order = (uint32_t)random_below(out, 4);
    uint32_t common = 0x2f | width << 12 | order << 25 | 31 << 15;
    bool swap = random_below(out, 3);
    put_address(out, 1u << width, swap); /* QEMU lets SC fail before it looks at the address */
    if (swap) {
        put32(out, common | ANY(out, amo) << 27 | dest(out) << 7 | any(out) << 20);
        return;
    }
    if (random_below(out, 4)) {
        uint32_t rd = dest(out);
        put32(out, common | 0x02u << 27 | (rd == 31 ? 5 : rd) << 7);
    }
    put32(out, common | 0x03u << 27 | dest(out) << 7 | any(out) << 20);
}

static void put_cache_block(lockstep_out *out)
{
    put_address(out, 8, true);
    switch (random_below(out, 4)) {
    case 0:
        put32(out, 0x0040200f | 31 << 15);
        break;
    case 1:
        put32(out, (uint32_t)random_below(out, 3) << 20 | 0x200f | 31 << 15);
        break;
    default:
        put_memory(out);
    }
}

/* --- jumps: forward, over a few nops ---------------------------------------------------------- */

static void put_jump(lockstep_out *out)
{
    static const uint32_t f3[] = {0, 1, 4, 5, 6, 7};
    uint32_t skip = 1 + (uint32_t)random_below(out, 3), to = 4 + 4 * skip;
    switch (random_below(out, 3)) {
    case 0:
        put32(out, 0x63 | ANY(out, f3) << 12 | any(out) << 15 | any(out) << 20 | (to & 0x1e) << 7);
        break;
    case 1:
        put32(out, 0x6f | dest(out) << 7 | to << 20);
        break;
    default:
        put32(out, 0x17 | 30 << 7); /* auipc t5 */
        put32(out,
              0x67 | dest(out) << 7 | 30 << 15 | (to + 4 + (uint32_t)random_below(out, 2)) << 20);
    }
    while (skip--)
        put_integer(out);
}

/* --- compressed: all of them, but none that writes the base or leaves the stream -------------- */

static uint32_t bits(lockstep_out *out, uint32_t n)
{
    return (uint32_t)(hvc_random(out->seed) & ((1u << n) - 1));
}

/* s1 to a5, without the base */
static uint32_t near_dest(lockstep_out *out)
{
    return 1 + (uint32_t)random_below(out, 7);
}

static void put_half_arithmetic(lockstep_out *out)
{
    uint32_t rd = dest(out);
    switch (random_below(out, 8)) {
    case 0:
        put16(out, 0x0001 | bits(out, 1) << 12 | rd << 7 | bits(out, 5) << 2); /* c.addi */
        break;
    case 1:
        put16(out,
              0x2001 | bits(out, 1) << 12 | rd << 7 | bits(out, 5) << 2); /* c.addiw; rd=0: 2 */
        break;
    case 2:
        put16(out, 0x4001 | bits(out, 1) << 12 | rd << 7 | bits(out, 5) << 2); /* c.li */
        break;
    case 3:
        put16(out, 0x6001 | bits(out, 1) << 12 | rd << 7 | bits(out, 5) << 2); /* c.lui, addi16sp */
        break;
    case 4:
        put16(out, 0x8001 | bits(out, 3) << 10 | near_dest(out) << 7 | bits(out, 5) << 2);
        break;
    case 5:
        put16(out, 0x0002 | bits(out, 1) << 12 | rd << 7 | bits(out, 5) << 2); /* c.slli */
        break;
    case 6:
        put16(out, 0x8002 | bits(out, 1) << 12 | rd << 7 | (1 + random_below(out, 31)) << 2);
        break;
    default:
        put16(out, 0x0000 | bits(out, 8) << 5 | near_dest(out) << 2); /* c.addi4spn; 0: illegal */
    }
}

/* Stack loads and stores go through a sp that is set to the data first. */
static void put_half_memory(lockstep_out *out)
{
    static const uint32_t near_load[] = {0x2000, 0x4000, 0x6000},
                          near_store[] = {0xa000, 0xc000, 0xe000};
    static const uint32_t sp_load[] = {0x2002, 0x4002, 0x6002},
                          sp_store[] = {0xa002, 0xc002, 0xe002};
    uint32_t imm = bits(out, 3) << 10 | bits(out, 2) << 5;
    put32(out, 0x13 | 2 << 7 | LOCKSTEP_BASE << 15 | (bits(out, 12) & ~3u) << 20);
    switch (random_below(out, 4)) {
    case 0:
        put16(out, ANY(out, near_load) | imm | near_dest(out) << 2);
        break;
    case 1:
        put16(out, ANY(out, near_store) | imm | bits(out, 3) << 2);
        break;
    case 2:
        put16(out, ANY(out, sp_load) | bits(out, 1) << 12 | dest(out) << 7 | bits(out, 5) << 2);
        break;
    default:
        put16(out, ANY(out, sp_store) | bits(out, 6) << 7 | bits(out, 5) << 2);
    }
}

static void put_half_jump(lockstep_out *out)
{
    switch (random_below(out, 3)) {
    case 0:
        put16(out, 0xa001 | 1u << 3); /* c.j +2 */
        break;
    case 1:
        put16(out, 0xc001 | bits(out, 1) << 13 | bits(out, 3) << 7 | 2u << 3); /* c.beqz, +4 */
        put16(out, 0x0001);
        break;
    default:
        put32(out, 0x17 | 30 << 7);                        /* auipc t5 */
        put32(out, 0x13 | 30 << 7 | 30 << 15 | 10 << 20);  /* addi t5, t5, 10 */
        put16(out, 0x8002 | bits(out, 1) << 12 | 30 << 7); /* c.jr, c.jalr */
    }
}

static void put_compressed(lockstep_out *out)
{
    switch (random_below(out, 6)) {
    case 0:
        put_half_memory(out);
        break;
    case 1:
        put_half_jump(out);
        break;
    case 2:
        put_integer(out); /* misaligned by two bytes half of the time */
        break;
    default:
        put_half_arithmetic(out);
    }
}

/* --- F and D ---------------------------------------------------------------------------------- */

static const uint32_t fp_r[] = {0x00, 0x04, 0x08, 0x0c};      /* with rm */
static const uint32_t fp_plain[][2] = {{0x10, 3}, {0x14, 2}}; /* funct7, funct3s: to f */
static const uint32_t fp_compare[] = {0x50};
static const uint32_t fused[] = {0x43, 0x47, 0x4b, 0x4f};

static uint32_t any_rm(lockstep_out *out)
{
    return random_below(out, 24) ? ANY(out, ((const uint32_t[]){0, 1, 2, 3, 4, 7, 7, 7}))
                                 : 5 + bits(out, 1);
}

static void put_float_value(lockstep_out *out)
{
    uint32_t fmt = bits(out, 1), rs1 = any(out) << 15, rs2 = any(out) << 20, rd = any(out) << 7;
    uint32_t rm = any_rm(out) << 12;
    switch (random_below(out, 7)) {
    case 0:
        put32(out, ANY(out, fused) | fmt << 25 | rd | rs1 | rs2 | rm | any(out) << 27);
        break;
    case 1: {
        const uint32_t *p = fp_plain[bits(out, 1)];
        put32(out,
              0x53 | (p[0] | fmt) << 25 | rd | rs1 | rs2 | (uint32_t)random_below(out, p[1]) << 12);
        break;
    }
    case 2: /* comparisons, fclass, moves to x */
        if (bits(out, 1))
            put32(out, 0x53 | (ANY(out, fp_compare) | fmt | 0) << 25 | dest(out) << 7 | rs1 | rs2 |
                           (uint32_t)random_below(out, 3) << 12);
        else
            put32(out, 0x53 | (0x70 | fmt) << 25 | dest(out) << 7 | rs1 | bits(out, 1) << 12);
        break;
    case 3: /* to integers, from integers */
        put32(out, 0x53 | ((bits(out, 1) ? 0x60 : 0x68) | fmt) << 25 | dest(out) << 7 | rs1 | rm |
                       bits(out, 2) << 20);
        break;
    case 4: /* fsqrt, fcvt between formats */
        put32(out, bits(out, 1) ? 0x53 | (0x2c | fmt) << 25 | rd | rs1 | rm
                                : 0x53 | (0x20 | fmt) << 25 | (fmt ^ 1) << 20 | rd | rs1 | rm);
        break;
    case 5: /* fmv.w.x, fmv.d.x: new operands */
        put32(out, 0x53 | (0x78 | fmt) << 25 | rd | rs1);
        break;
    default:
        put32(out, 0x53 | (ANY(out, fp_r) | fmt) << 25 | rd | rs1 | rs2 | rm);
    }
}

/* Operands that matter: zeros, ones, limits, infinities, NaNs, boxed and not, from memory. */
static void put_float_operand(lockstep_out *out)
{
    uint32_t imm = bits(out, 12);
    switch (random_below(out, 3)) {
    case 0:
        put32(out,
              0x07 | (2 + bits(out, 1)) << 12 | any(out) << 7 | LOCKSTEP_BASE << 15 | imm << 20);
        break;
    case 1:
        put32(out, s_type(0x27 | (2 + bits(out, 1)) << 12, any(out), imm));
        break;
    default: /* an exponent of few bits: li t5, sign and exponent << 52, fmv.d.x */
        put32(out, 0x13 | 30 << 7 | bits(out, 12) << 20);
        put32(out, 0x1013 | 30 << 7 | 30 << 15 | (bits(out, 1) ? 52 : 20) << 20);
        put32(out, 0x53 | 0x79 << 25 | any(out) << 7 | 30 << 15);
    }
}

static void put_float(lockstep_out *out)
{
    switch (random_below(out, 6)) {
    case 0:
        put_float_operand(out);
        break;
    case 1: /* read, or set: flags, rounding mode */
        put32(out, 0x73 | (1 + bits(out, 1)) << 12 | dest(out) << 7 |
                       (uint32_t)(1 + random_below(out, 3)) << 20 |
                       (bits(out, 1) ? any(out) << 15 : 0));
        break;
    default:
        put_float_value(out);
    }
}

/* --- CSRs ------------------------------------------------------------------------------------- */

static void put_csr(lockstep_out *out)
{
    static const uint32_t plain[] = {0x140, 0x143, 0x001, 0x002, 0x003};
    static const uint32_t f3[] = {1, 2, 3, 5, 6, 7};
    static const uint32_t absent[] = {0x600, 0x680, 0x200, 0x300, 0x305, 0x800, 0xc80, 0x5ff};
    if (random_below(out, 12)) {
        put32(out,
              0x73 | ANY(out, f3) << 12 | dest(out) << 7 | any(out) << 15 | ANY(out, plain) << 20);
    } else {
        put32(out, 0x73 | 2 << 12 | dest(out) << 7 | ANY(out, absent) << 20);
    }
}

/* --- whatever --------------------------------------------------------------------------------- */

/* Words of the opcodes without control flow and memory: mostly illegal. */
static void put_any_word(lockstep_out *out)
{
    static const uint32_t opcodes[] = {0x13, 0x1b, 0x33, 0x3b, 0x53, 0x43,
                                       0x47, 0x4b, 0x4f, 0x2b, 0x5b};
    uint32_t word =
        ((uint32_t)hvc_random(out->seed) & ~0xfffu) | dest(out) << 7 | ANY(out, opcodes);
    put32(out, word);
}

const lockstep_class lockstep_classes[] = {
    {"integer", put_integer}, {"multiply", put_multiply},     {"bits", put_bits},
    {"memory", put_memory},   {"atomic", put_atomic},         {"cache-block", put_cache_block},
    {"jump", put_jump},       {"compressed", put_compressed}, {"float", put_float},
    {"csr", put_csr},         {"any-word", put_any_word},     {NULL, NULL},
};

size_t lockstep_class_count(void)
{
    return COUNT(lockstep_classes) - 1;
}

uint8_t *lockstep_generate(const lockstep_class *c, uint8_t *code, uint32_t count, uint64_t *seed)
{
    lockstep_out out = {.at = code, .seed = seed};
    while (out.at < code + 4 * (uint64_t)count)
        c->put(&out);
    if ((uintptr_t)out.at & 2)
        put16(&out, 0x0001);
    uint8_t *end = out.at;
    put32(&out, 0x00000073);
    return end;
}
