/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed instructions (Unpriv. 27): each stands for one of 32 bits. */
#include "backends/bare/soft/soft.h"

/* --- fields ----------------------------------------------------------------------------------- */

/* `bits` bits of the half-word from `low` on, at `at`. */
static uint32_t take(uint32_t h, uint32_t low, uint32_t bits, uint32_t at)
{
    return (h >> low & ((1u << bits) - 1)) << at;
}

/* x8 to x15 from three bits */
static uint32_t near(uint32_t h, uint32_t low)
{
    return 8 + (h >> low & 7);
}

static uint32_t wide(uint32_t h, uint32_t low)
{
    return h >> low & 31;
}

/* imm[5:0], signed: bit 12 and bits 6:2 */
static int32_t imm6(uint32_t h)
{
    return (int32_t)(take(h, 2, 5, 0) | (h & 0x1000 ? ~31u : 0));
}

static uint32_t shamt(uint32_t h)
{
    return take(h, 2, 5, 0) | take(h, 12, 1, 5);
}

/* --- the 32-bit formats ----------------------------------------------------------------------- */

static uint32_t i_type(uint32_t opcode, uint32_t f3, uint32_t rd, uint32_t rs1, uint32_t imm)
{
    return opcode | f3 << 12 | rd << 7 | rs1 << 15 | imm << 20;
}

static uint32_t r_type(uint32_t opcode, uint32_t f3, uint32_t f7, uint32_t rd, uint32_t rs2)
{
    return opcode | f3 << 12 | f7 << 25 | rd << 7 | rd << 15 | rs2 << 20;
}

static uint32_t s_type(uint32_t opcode, uint32_t f3, uint32_t rs1, uint32_t rs2, uint32_t imm)
{
    return opcode | f3 << 12 | rs1 << 15 | rs2 << 20 | (imm & 31) << 7 | (imm >> 5 & 0x7f) << 25;
}

static uint32_t j_type(uint32_t rd, uint32_t imm)
{
    return 0x6fu | rd << 7 | (imm >> 20 & 1) << 31 | (imm >> 1 & 0x3ff) << 21 |
           (imm >> 11 & 1) << 20 | (imm >> 12 & 0xff) << 12;
}

static uint32_t b_type(uint32_t f3, uint32_t rs1, uint32_t imm)
{
    return 0x63u | f3 << 12 | rs1 << 15 | (imm >> 12 & 1) << 31 | (imm >> 5 & 0x3f) << 25 |
           (imm >> 1 & 15) << 8 | (imm >> 11 & 1) << 7;
}

/* --- quadrant 0: stack address, loads, stores ------------------------------------------------- */

static uint32_t offset_w(uint32_t h)
{
    return take(h, 6, 1, 2) | take(h, 10, 3, 3) | take(h, 5, 1, 6);
}

static uint32_t offset_d(uint32_t h)
{
    return take(h, 10, 3, 3) | take(h, 5, 2, 6);
}

static uint32_t addi4spn(uint32_t h)
{
    uint32_t imm = take(h, 11, 2, 4) | take(h, 7, 4, 6) | take(h, 6, 1, 2) | take(h, 5, 1, 3);
    return imm ? i_type(0x13, 0, near(h, 2), 2, imm) : 0;
}

static uint32_t quadrant0(uint32_t h)
{
    switch (h >> 13) {
    case 0:
        return addi4spn(h);
    case 1:
        return i_type(0x07, 3, near(h, 2), near(h, 7), offset_d(h));
    case 2:
        return i_type(0x03, 2, near(h, 2), near(h, 7), offset_w(h));
    case 3:
        return i_type(0x03, 3, near(h, 2), near(h, 7), offset_d(h));
    case 5:
        return s_type(0x27, 3, near(h, 7), near(h, 2), offset_d(h));
    case 6:
        return s_type(0x23, 2, near(h, 7), near(h, 2), offset_w(h));
    case 7:
        return s_type(0x23, 3, near(h, 7), near(h, 2), offset_d(h));
    default:
        return 0;
    }
}

/* --- quadrant 1: constants, arithmetic, jumps ------------------------------------------------- */

static uint32_t addi16sp(uint32_t h)
{
    uint32_t imm = take(h, 6, 1, 4) | take(h, 2, 1, 5) | take(h, 5, 1, 6) | take(h, 3, 2, 7) |
                   (h & 0x1000 ? ~0x1ffu : 0);
    return imm ? i_type(0x13, 0, 2, 2, imm) : 0;
}

static uint32_t lui_or_sp(uint32_t h)
{
    uint32_t rd = wide(h, 7), imm = (uint32_t)imm6(h);
    if (rd == 2)
        return addi16sp(h);
    return imm ? 0x37u | rd << 7 | imm << 12 : 0;
}

static uint32_t arithmetic(uint32_t h)
{
    static const uint16_t op[8] = {
        /* opcode | funct3 << 8 | (funct7 is 0x20) << 12, by bit 12 and bits 6:5 */
        0x1033, 0x0433, 0x0633, 0x0733, 0x103b, 0x003b, 0, 0,
    };
    uint32_t rd = near(h, 7), o = op[take(h, 12, 1, 2) | take(h, 5, 2, 0)];
    switch (h >> 10 & 3) {
    case 0:
        return i_type(0x13, 5, rd, rd, shamt(h));
    case 1:
        return i_type(0x13, 5, rd, rd, shamt(h) | 0x400);
    case 2:
        return i_type(0x13, 7, rd, rd, (uint32_t)imm6(h));
    default:
        return o ? r_type(o & 0x7f, o >> 8 & 7, o >> 12 ? 0x20 : 0, rd, near(h, 2)) : 0;
    }
}

static uint32_t jump_offset(uint32_t h)
{
    return take(h, 3, 3, 1) | take(h, 11, 1, 4) | take(h, 2, 1, 5) | take(h, 7, 1, 6) |
           take(h, 6, 1, 7) | take(h, 9, 2, 8) | take(h, 8, 1, 10) | (h & 0x1000 ? ~0x7ffu : 0);
}

static uint32_t branch_offset(uint32_t h)
{
    return take(h, 3, 2, 1) | take(h, 10, 2, 3) | take(h, 2, 1, 5) | take(h, 5, 2, 6) |
           (h & 0x1000 ? ~0xffu : 0);
}

static uint32_t quadrant1(uint32_t h)
{
    uint32_t rd = wide(h, 7);
    switch (h >> 13) {
    case 0:
        return i_type(0x13, 0, rd, rd, (uint32_t)imm6(h));
    case 1:
        return rd ? i_type(0x1b, 0, rd, rd, (uint32_t)imm6(h)) : 0;
    case 2:
        return i_type(0x13, 0, rd, 0, (uint32_t)imm6(h));
    case 3:
        return lui_or_sp(h);
    case 4:
        return arithmetic(h);
    case 5:
        return j_type(0, jump_offset(h));
    default:
        return b_type(h >> 13 & 1, near(h, 7), branch_offset(h));
    }
}

/* --- quadrant 2: shift, stack, registers ------------------------------------------------------ */

static uint32_t jump_or_move(uint32_t h)
{
    uint32_t rd = wide(h, 7), rs2 = wide(h, 2), link = h >> 12 & 1;
    if (rs2)
        return 0x33u | rd << 7 | (link ? rd : 0) << 15 | rs2 << 20;
    if (rd)
        return i_type(0x67, 0, link, rd, 0);
    return link ? 0x00100073u : 0; /* c.ebreak */
}

static uint32_t sp_offset_w(uint32_t h)
{
    return take(h, 4, 3, 2) | take(h, 12, 1, 5) | take(h, 2, 2, 6);
}

static uint32_t sp_offset_d(uint32_t h)
{
    return take(h, 5, 2, 3) | take(h, 12, 1, 5) | take(h, 2, 3, 6);
}

static uint32_t quadrant2(uint32_t h)
{
    uint32_t rd = wide(h, 7), rs2 = wide(h, 2);
    uint32_t store_w = take(h, 9, 4, 2) | take(h, 7, 2, 6);
    uint32_t store_d = take(h, 10, 3, 3) | take(h, 7, 3, 6);
    switch (h >> 13) {
    case 0:
        return i_type(0x13, 1, rd, rd, shamt(h));
    case 1:
        return i_type(0x07, 3, rd, 2, sp_offset_d(h));
    case 2:
        return rd ? i_type(0x03, 2, rd, 2, sp_offset_w(h)) : 0;
    case 3:
        return rd ? i_type(0x03, 3, rd, 2, sp_offset_d(h)) : 0;
    case 4:
        return jump_or_move(h);
    case 5:
        return s_type(0x27, 3, 2, rs2, store_d);
    case 6:
        return s_type(0x23, 2, 2, rs2, store_w);
    default:
        return s_type(0x23, 3, 2, rs2, store_d);
    }
}

/* FP loads and stores need D; their reserved neighbours are found illegal after expansion. */
uint32_t hvc_soft_expand(uint32_t half, uint64_t isa)
{
    static uint32_t (*const quadrant[])(uint32_t) = {quadrant0, quadrant1, quadrant2};
    if (!(isa & HVCORE_RISCV64_ISA_C) || (half & 3) == 3)
        return 0;
    return quadrant[half & 3](half & 0xffff);
}
