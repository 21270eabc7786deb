/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small assembler for tests: rv_<mnemonic>(operands) is the word of an instruction, operands in
 * the order of assembly language, registers as numbers. rv_code collects words.
 *
 *     rv_code c = rv_at(memory, address);
 *     rv_li(&c, RV_A0, 0x123456789);
 *     uint64_t loop = rv_here(&c);
 *     rv_put(&c, rv_addi(RV_A0, RV_A0, -1));
 *     rv_put(&c, rv_bne(RV_A0, 0, rv_to(&c, loop)));
 */
#ifndef HVC_TESTS_RV_H
#define HVC_TESTS_RV_H

#include <stdint.h>

/* clang-format off */
enum {
    RV_ZERO = 0, RV_RA = 1, RV_SP = 2, RV_GP = 3, RV_TP = 4, RV_T0 = 5, RV_T1 = 6, RV_T2 = 7,
    RV_S0 = 8, RV_S1 = 9, RV_A0 = 10, RV_A1 = 11, RV_A2 = 12, RV_A3 = 13, RV_A4 = 14, RV_A5 = 15,
    RV_A6 = 16, RV_A7 = 17, RV_S2 = 18, RV_S3 = 19, RV_S4 = 20, RV_S5 = 21, RV_S6 = 22, RV_S7 = 23,
    RV_S8 = 24, RV_S9 = 25, RV_S10 = 26, RV_S11 = 27, RV_T3 = 28, RV_T4 = 29, RV_T5 = 30, RV_T6 = 31
};
/* clang-format on */

/* --- formats ---------------------------------------------------------------------------------- */

static inline uint32_t rv_r(uint32_t opcode, uint32_t f3, uint32_t f7, uint32_t rd, uint32_t rs1,
                            uint32_t rs2)
{
    return opcode | rd << 7 | f3 << 12 | rs1 << 15 | rs2 << 20 | f7 << 25;
}

static inline uint32_t rv_i(uint32_t opcode, uint32_t f3, uint32_t rd, uint32_t rs1, int32_t imm)
{
    return opcode | rd << 7 | f3 << 12 | rs1 << 15 | (uint32_t)imm << 20;
}

static inline uint32_t rv_s(uint32_t opcode, uint32_t f3, uint32_t rs2, int32_t imm, uint32_t rs1)
{
    uint32_t i = (uint32_t)imm;
    return opcode | (i & 31) << 7 | f3 << 12 | rs1 << 15 | rs2 << 20 | (i >> 5 & 127) << 25;
}

static inline uint32_t rv_b(uint32_t f3, uint32_t rs1, uint32_t rs2, int32_t offset)
{
    uint32_t i = (uint32_t)offset;
    return 0x63 | (i >> 11 & 1) << 7 | (i >> 1 & 15) << 8 | f3 << 12 | rs1 << 15 | rs2 << 20 |
           (i >> 5 & 63) << 25 | (i >> 12 & 1) << 31;
}

static inline uint32_t rv_u(uint32_t opcode, uint32_t rd, uint32_t imm20)
{
    return opcode | rd << 7 | imm20 << 12;
}

static inline uint32_t rv_jal(uint32_t rd, int32_t offset)
{
    uint32_t i = (uint32_t)offset;
    return 0x6f | rd << 7 | (i >> 12 & 255) << 12 | (i >> 11 & 1) << 20 | (i >> 1 & 1023) << 21 |
           (i >> 20 & 1) << 31;
}

/* --- instructions ----------------------------------------------------------------------------- */

/* clang-format off */
/* X(name, opcode, funct3, funct7) */
#define RV_REGISTER(X)                                                                          \
    X(add,    0x33, 0, 0) X(sub,    0x33, 0, 0x20) X(sll,   0x33, 1, 0) X(slt,   0x33, 2, 0)     \
    X(sltu,   0x33, 3, 0) X(xor,    0x33, 4, 0)    X(srl,   0x33, 5, 0) X(sra,   0x33, 5, 0x20)  \
    X(or,     0x33, 6, 0) X(and,    0x33, 7, 0)    X(mul,   0x33, 0, 1) X(mulh,  0x33, 1, 1)     \
    X(mulhsu, 0x33, 2, 1) X(mulhu,  0x33, 3, 1)    X(div,   0x33, 4, 1) X(divu,  0x33, 5, 1)     \
    X(rem,    0x33, 6, 1) X(remu,   0x33, 7, 1)    X(addw,  0x3b, 0, 0) X(subw,  0x3b, 0, 0x20)  \
    X(sllw,   0x3b, 1, 0) X(srlw,   0x3b, 5, 0)    X(sraw,  0x3b, 5, 0x20) X(mulw, 0x3b, 0, 1)   \
    X(divw,   0x3b, 4, 1) X(divuw,  0x3b, 5, 1)    X(remw,  0x3b, 6, 1) X(remuw, 0x3b, 7, 1)

/* X(name, opcode, funct3, bits above a shift amount) */
#define RV_IMMEDIATE(X)                                                                         \
    X(addi,  0x13, 0, 0)     X(slti,  0x13, 2, 0) X(sltiu, 0x13, 3, 0) X(xori,  0x13, 4, 0)      \
    X(ori,   0x13, 6, 0)     X(andi,  0x13, 7, 0) X(slli,  0x13, 1, 0) X(srli,  0x13, 5, 0)      \
    X(srai,  0x13, 5, 0x400) X(addiw, 0x1b, 0, 0) X(slliw, 0x1b, 1, 0) X(srliw, 0x1b, 5, 0)      \
    X(sraiw, 0x1b, 5, 0x400) X(jalr,  0x67, 0, 0)

/* X(name, opcode, funct3) */
#define RV_LOADS(X)                                                                             \
    X(lb, 0x03, 0) X(lh, 0x03, 1) X(lw, 0x03, 2) X(ld, 0x03, 3) X(lbu, 0x03, 4) X(lhu, 0x03, 5)  \
    X(lwu, 0x03, 6)
#define RV_STORES(X)   X(sb, 0x23, 0) X(sh, 0x23, 1) X(sw, 0x23, 2) X(sd, 0x23, 3)
#define RV_BRANCHES(X) X(beq, 0) X(bne, 1) X(blt, 4) X(bge, 5) X(bltu, 6) X(bgeu, 7)
#define RV_CSRS(X)     X(csrrw, 1) X(csrrs, 2) X(csrrc, 3) X(csrrwi, 5) X(csrrsi, 6) X(csrrci, 7)

/* X(name, word) */
#define RV_PLAIN(X)                                                                             \
    X(ecall, 0x00000073) X(ebreak, 0x00100073) X(sret,    0x10200073) X(mret, 0x30200073)        \
    X(wfi,   0x10500073) X(fence,  0x0ff0000f) X(fence_i, 0x0000100f) X(nop,  0x00000013)        \
    X(illegal, 0xffffffff)

/* With two free registers and no result: X(name, funct7) */
#define RV_FENCES(X)                                                                            \
    X(sfence_vma, 0x09) X(hfence_vvma, 0x11) X(hfence_gvma, 0x31) X(sinval_vma, 0x0b)
/* clang-format on */

#define RV_DEFINE_REGISTER(name, opcode, f3, f7)                              \
    static inline uint32_t rv_##name(uint32_t rd, uint32_t rs1, uint32_t rs2) \
    {                                                                         \
        return rv_r(opcode, f3, f7, rd, rs1, rs2);                            \
    }
#define RV_DEFINE_IMMEDIATE(name, opcode, f3, high)                          \
    static inline uint32_t rv_##name(uint32_t rd, uint32_t rs1, int32_t imm) \
    {                                                                        \
        return rv_i(opcode, f3, rd, rs1, imm | (high));                      \
    }
#define RV_DEFINE_LOAD(name, opcode, f3)                                     \
    static inline uint32_t rv_##name(uint32_t rd, int32_t imm, uint32_t rs1) \
    {                                                                        \
        return rv_i(opcode, f3, rd, rs1, imm);                               \
    }
#define RV_DEFINE_STORE(name, opcode, f3)                                     \
    static inline uint32_t rv_##name(uint32_t rs2, int32_t imm, uint32_t rs1) \
    {                                                                         \
        return rv_s(opcode, f3, rs2, imm, rs1);                               \
    }
#define RV_DEFINE_BRANCH(name, f3)                                               \
    static inline uint32_t rv_##name(uint32_t rs1, uint32_t rs2, int32_t offset) \
    {                                                                            \
        return rv_b(f3, rs1, rs2, offset);                                       \
    }
#define RV_DEFINE_CSR(name, f3)                                               \
    static inline uint32_t rv_##name(uint32_t rd, uint32_t csr, uint32_t rs1) \
    {                                                                         \
        return rv_i(0x73, f3, rd, rs1, (int32_t)csr);                         \
    }
#define RV_DEFINE_PLAIN(name, word)        \
    static inline uint32_t rv_##name(void) \
    {                                      \
        return word;                       \
    }
#define RV_DEFINE_FENCE(name, f7)                                \
    static inline uint32_t rv_##name(uint32_t rs1, uint32_t rs2) \
    {                                                            \
        return rv_r(0x73, 0, f7, 0, rs1, rs2);                   \
    }
RV_REGISTER(RV_DEFINE_REGISTER)
RV_IMMEDIATE(RV_DEFINE_IMMEDIATE)
RV_LOADS(RV_DEFINE_LOAD)
RV_STORES(RV_DEFINE_STORE)
RV_BRANCHES(RV_DEFINE_BRANCH)
RV_CSRS(RV_DEFINE_CSR)
RV_PLAIN(RV_DEFINE_PLAIN)
RV_FENCES(RV_DEFINE_FENCE)

static inline uint32_t rv_lui(uint32_t rd, uint32_t imm20)
{
    return rv_u(0x37, rd, imm20);
}

static inline uint32_t rv_auipc(uint32_t rd, uint32_t imm20)
{
    return rv_u(0x17, rd, imm20);
}

static inline uint32_t rv_csrr(uint32_t rd, uint32_t csr)
{
    return rv_csrrs(rd, csr, 0);
}

static inline uint32_t rv_csrw(uint32_t csr, uint32_t rs1)
{
    return rv_csrrw(0, csr, rs1);
}

/* HLV and HSV of width 0 to 3 (bytes 1, 2, 4, 8); how: 0 signed, 1 unsigned, 3 HLVX */
static inline uint32_t rv_hlv(uint32_t width, uint32_t how, uint32_t rd, uint32_t rs1)
{
    return rv_r(0x73, 4, 0x30 + 2 * width, rd, rs1, how);
}

static inline uint32_t rv_hsv(uint32_t width, uint32_t rs2, uint32_t rs1)
{
    return rv_r(0x73, 4, 0x31 + 2 * width, 0, rs1, rs2);
}

/* What A has, by funct5 (Unpriv. 13, 14); width 2: words, 3: doublewords. */
enum {
    RV_AMOADD = 0x00,
    RV_AMOSWAP = 0x01,
    RV_LR = 0x02,
    RV_SC = 0x03,
    RV_AMOXOR = 0x04,
    RV_AMOOR = 0x08,
    RV_AMOAND = 0x0c,
    RV_AMOMIN = 0x10,
    RV_AMOMAX = 0x14,
    RV_AMOMINU = 0x18,
    RV_AMOMAXU = 0x1c
};

static inline uint32_t rv_amo(uint32_t funct5, uint32_t width, uint32_t rd, uint32_t rs2,
                              uint32_t rs1)
{
    return rv_r(0x2f, width, funct5 << 2, rd, rs1, rs2);
}

/* The same with aq and rl. */
static inline uint32_t rv_amo_aqrl(uint32_t funct5, uint32_t width, uint32_t rd, uint32_t rs2,
                                   uint32_t rs1)
{
    return rv_r(0x2f, width, funct5 << 2 | 3, rd, rs1, rs2);
}

/* FLW, FLD, FSW, FSD by width 2 and 3 */
static inline uint32_t rv_fl(uint32_t width, uint32_t rd, int32_t imm, uint32_t rs1)
{
    return rv_i(0x07, width, rd, rs1, imm);
}

static inline uint32_t rv_fs(uint32_t width, uint32_t rs2, int32_t imm, uint32_t rs1)
{
    return rv_s(0x27, width, rs2, imm, rs1);
}

/* CBO.INVAL, .CLEAN, .FLUSH, .ZERO are 0, 1, 2, 4 (CMO 4). */
static inline uint32_t rv_cbo(int32_t which, uint32_t rs1)
{
    return rv_i(0x0f, 2, 0, rs1, which);
}

/* --- programs --------------------------------------------------------------------------------- */

/* Words that go to `at`, where the guest sees `address`. The caller knows that there is room. */
typedef struct rv_code {
    uint32_t *at;
    uint64_t address;
} rv_code;

static inline rv_code rv_at(void *memory, uint64_t address)
{
    rv_code c = {(uint32_t *)memory, address};
    return c;
}

static inline uint64_t rv_here(const rv_code *c)
{
    return c->address;
}

/* The offset of a jump from here. */
static inline int32_t rv_to(const rv_code *c, uint64_t target)
{
    return (int32_t)(int64_t)(target - c->address);
}

static inline void rv_put(rv_code *c, uint32_t word)
{
    *c->at++ = word;
    c->address += 4;
}

/* 16 bits; the next word may then lie on an odd half. */
static inline void rv_half(rv_code *c, uint16_t half)
{
    *(uint16_t *)(void *)c->at = half;
    c->at = (uint32_t *)(void *)((uint16_t *)(void *)c->at + 1);
    c->address += 2;
}

/* rd = value, in one to eight instructions. */
static inline void rv_li(rv_code *c, uint32_t rd, uint64_t value)
{
    int64_t low = (int64_t)(value << 52) >> 52;
    if ((uint64_t)(int64_t)(int32_t)(uint32_t)value == value) {
        uint32_t high = (uint32_t)((value + 0x800) >> 12 & 0xfffff);
        if (high)
            rv_put(c, rv_lui(rd, high));
        if (low || !high)
            rv_put(c, high ? rv_addiw(rd, rd, (int32_t)low) : rv_addi(rd, 0, (int32_t)low));
        return;
    }
    rv_li(c, rd, (uint64_t)((int64_t)(value - (uint64_t)low) >> 12));
    rv_put(c, rv_slli(rd, rd, 12));
    if (low)
        rv_put(c, rv_addi(rd, rd, (int32_t)low));
}
#endif
