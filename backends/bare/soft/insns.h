/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instructions as tables: what they are called, how they are encoded, what they compute.
 *
 *   X(name, mask, match, isa, value)   (word & mask) == match; isa: HVCORE_RISCV64_ISA_* it belongs
 *                                      to, 0: always there
 *
 * a and b are the operands rs1 and rs2, or rs1 and the immediate.
 */
#ifndef HVC_SOFT_INSNS_H
#define HVC_SOFT_INSNS_H

#include <stdint.h>

#define SOFT_B HVCORE_RISCV64_ISA_B
#define SOFT_CBO HVCORE_RISCV64_ISA_ZICBO

/* Encodings: opcode, funct3, funct7 (or funct6, or all of the immediate). */
#define F3(opcode, f3) 0x0000707fu, (opcode) | (f3) << 12
#define F6(opcode, f3, f6) 0xfc00707fu, (opcode) | (f3) << 12 | (uint32_t)(f6) << 26
#define F7(opcode, f3, f7) 0xfe00707fu, (opcode) | (f3) << 12 | (uint32_t)(f7) << 25
#define F12(opcode, f3, f12) 0xfff0707fu, (opcode) | (f3) << 12 | (uint32_t)(f12) << 20
#define WORD(word) 0xffffffffu, word

/* clang-format off */
/* rd = f(rs1, rs2) */
#define SOFT_REGISTER(X)                                                              \
    X(add,    F7(0x33, 0, 0x00), 0, a + b)                                            \
    X(sub,    F7(0x33, 0, 0x20), 0, a - b)                                            \
    X(sll,    F7(0x33, 1, 0x00), 0, a << (b & 63))                                    \
    X(slt,    F7(0x33, 2, 0x00), 0, (int64_t)a < (int64_t)b)                          \
    X(sltu,   F7(0x33, 3, 0x00), 0, a < b)                                            \
    X(xor,    F7(0x33, 4, 0x00), 0, a ^ b)                                            \
    X(srl,    F7(0x33, 5, 0x00), 0, a >> (b & 63))                                    \
    X(sra,    F7(0x33, 5, 0x20), 0, (uint64_t)((int64_t)a >> (b & 63)))               \
    X(or,     F7(0x33, 6, 0x00), 0, a | b)                                            \
    X(and,    F7(0x33, 7, 0x00), 0, a & b)                                            \
    X(addw,   F7(0x3b, 0, 0x00), 0, soft_sext32(a + b))                               \
    X(subw,   F7(0x3b, 0, 0x20), 0, soft_sext32(a - b))                               \
    X(sllw,   F7(0x3b, 1, 0x00), 0, soft_sext32(a << (b & 31)))                       \
    X(srlw,   F7(0x3b, 5, 0x00), 0, soft_sext32((uint32_t)a >> (b & 31)))             \
    X(sraw,   F7(0x3b, 5, 0x20), 0, (uint64_t)((int64_t)soft_sext32(a) >> (b & 31)))  \
    X(mul,    F7(0x33, 0, 0x01), 0, a * b)                                            \
    X(mulh,   F7(0x33, 1, 0x01), 0, soft_mulh(a, b))                                  \
    X(mulhsu, F7(0x33, 2, 0x01), 0, soft_mulhsu(a, b))                                \
    X(mulhu,  F7(0x33, 3, 0x01), 0, soft_mulhu(a, b))                                 \
    X(div,    F7(0x33, 4, 0x01), 0, (uint64_t)soft_divide((int64_t)a, (int64_t)b))    \
    X(divu,   F7(0x33, 5, 0x01), 0, b ? a / b : UINT64_MAX)                           \
    X(rem,    F7(0x33, 6, 0x01), 0, (uint64_t)soft_rest((int64_t)a, (int64_t)b))      \
    X(remu,   F7(0x33, 7, 0x01), 0, b ? a % b : a)                                    \
    X(mulw,   F7(0x3b, 0, 0x01), 0, soft_sext32(a * b))                               \
    X(divw,   F7(0x3b, 4, 0x01), 0, soft_sext32((uint64_t)soft_divide((int32_t)a, (int32_t)b))) \
    X(divuw,  F7(0x3b, 5, 0x01), 0, soft_divuw(a, b))                                      \
    X(remw,   F7(0x3b, 6, 0x01), 0, soft_sext32((uint64_t)soft_rest((int32_t)a, (int32_t)b))) \
    X(remuw,  F7(0x3b, 7, 0x01), 0, soft_remuw(a, b))                                      \
    X(sh1add, F7(0x33, 2, 0x10), SOFT_B, (a << 1) + b)                                \
    X(sh2add, F7(0x33, 4, 0x10), SOFT_B, (a << 2) + b)                                \
    X(sh3add, F7(0x33, 6, 0x10), SOFT_B, (a << 3) + b)                                \
    X(add_uw, F7(0x3b, 0, 0x04), SOFT_B, (uint32_t)a + b)                             \
    X(sh1add_uw, F7(0x3b, 2, 0x10), SOFT_B, ((uint64_t)(uint32_t)a << 1) + b)         \
    X(sh2add_uw, F7(0x3b, 4, 0x10), SOFT_B, ((uint64_t)(uint32_t)a << 2) + b)         \
    X(sh3add_uw, F7(0x3b, 6, 0x10), SOFT_B, ((uint64_t)(uint32_t)a << 3) + b)         \
    X(andn,   F7(0x33, 7, 0x20), SOFT_B, a & ~b)                                      \
    X(orn,    F7(0x33, 6, 0x20), SOFT_B, a | ~b)                                      \
    X(xnor,   F7(0x33, 4, 0x20), SOFT_B, ~(a ^ b))                                    \
    X(max,    F7(0x33, 6, 0x05), SOFT_B, (int64_t)a > (int64_t)b ? a : b)             \
    X(maxu,   F7(0x33, 7, 0x05), SOFT_B, a > b ? a : b)                               \
    X(min,    F7(0x33, 4, 0x05), SOFT_B, (int64_t)a < (int64_t)b ? a : b)             \
    X(minu,   F7(0x33, 5, 0x05), SOFT_B, a < b ? a : b)                               \
    X(rol,    F7(0x33, 1, 0x30), SOFT_B, soft_ror(a, 0 - b))                          \
    X(ror,    F7(0x33, 5, 0x30), SOFT_B, soft_ror(a, b))                              \
    X(rolw,   F7(0x3b, 1, 0x30), SOFT_B, soft_rorw(a, 0 - b))                         \
    X(rorw,   F7(0x3b, 5, 0x30), SOFT_B, soft_rorw(a, b))                             \
    X(zext_h, F12(0x3b, 4, 0x080), SOFT_B, (uint16_t)a)                               \
    X(bclr,   F7(0x33, 1, 0x24), SOFT_B, a & ~(UINT64_C(1) << (b & 63)))              \
    X(bext,   F7(0x33, 5, 0x24), SOFT_B, a >> (b & 63) & 1)                           \
    X(binv,   F7(0x33, 1, 0x34), SOFT_B, a ^ UINT64_C(1) << (b & 63))                 \
    X(bset,   F7(0x33, 1, 0x14), SOFT_B, a | UINT64_C(1) << (b & 63))

/* rd = f(rs1, imm) */
#define SOFT_IMMEDIATE(X)                                                             \
    X(addi,   F3(0x13, 0),       0, a + b)                                            \
    X(slti,   F3(0x13, 2),       0, (int64_t)a < (int64_t)b)                          \
    X(sltiu,  F3(0x13, 3),       0, a < b)                                            \
    X(xori,   F3(0x13, 4),       0, a ^ b)                                            \
    X(ori,    F3(0x13, 6),       0, a | b)                                            \
    X(andi,   F3(0x13, 7),       0, a & b)                                            \
    X(slli,   F6(0x13, 1, 0x00), 0, a << (b & 63))                                    \
    X(srli,   F6(0x13, 5, 0x00), 0, a >> (b & 63))                                    \
    X(srai,   F6(0x13, 5, 0x10), 0, (uint64_t)((int64_t)a >> (b & 63)))               \
    X(addiw,  F3(0x1b, 0),       0, soft_sext32(a + b))                               \
    X(slliw,  F7(0x1b, 1, 0x00), 0, soft_sext32(a << (b & 31)))                       \
    X(srliw,  F7(0x1b, 5, 0x00), 0, soft_sext32((uint32_t)a >> (b & 31)))             \
    X(sraiw,  F7(0x1b, 5, 0x20), 0, (uint64_t)((int64_t)soft_sext32(a) >> (b & 31)))  \
    X(slli_uw, F6(0x1b, 1, 0x02), SOFT_B, (uint64_t)(uint32_t)a << (b & 63))          \
    X(rori,   F6(0x13, 5, 0x18), SOFT_B, soft_ror(a, b))                              \
    X(roriw,  F7(0x1b, 5, 0x30), SOFT_B, soft_rorw(a, b))                             \
    X(bclri,  F6(0x13, 1, 0x12), SOFT_B, a & ~(UINT64_C(1) << (b & 63)))              \
    X(bexti,  F6(0x13, 5, 0x12), SOFT_B, a >> (b & 63) & 1)                           \
    X(binvi,  F6(0x13, 1, 0x1a), SOFT_B, a ^ UINT64_C(1) << (b & 63))                 \
    X(bseti,  F6(0x13, 1, 0x0a), SOFT_B, a | UINT64_C(1) << (b & 63))                 \
    X(clz,    F12(0x13, 1, 0x600), SOFT_B, a ? (uint64_t)__builtin_clzll(a) : 64)     \
    X(ctz,    F12(0x13, 1, 0x601), SOFT_B, a ? (uint64_t)__builtin_ctzll(a) : 64)     \
    X(cpop,   F12(0x13, 1, 0x602), SOFT_B, (uint64_t)__builtin_popcountll(a))         \
    X(sext_b, F12(0x13, 1, 0x604), SOFT_B, (uint64_t)(int8_t)a)                       \
    X(sext_h, F12(0x13, 1, 0x605), SOFT_B, (uint64_t)(int16_t)a)                      \
    X(orc_b,  F12(0x13, 5, 0x287), SOFT_B, soft_orc_b(a))                             \
    X(rev8,   F12(0x13, 5, 0x6b8), SOFT_B, __builtin_bswap64(a))                      \
    X(clzw,   F12(0x1b, 1, 0x600), SOFT_B, (uint32_t)a ? (uint64_t)__builtin_clzll(a << 32) : 32) \
    X(ctzw,   F12(0x1b, 1, 0x601), SOFT_B, (uint32_t)a ? (uint64_t)__builtin_ctzll(a) : 32)      \
    X(cpopw,  F12(0x1b, 1, 0x602), SOFT_B, (uint64_t)__builtin_popcount((uint32_t)a))

/* The value is the type: it says how it is extended to 64 bits. */
#define SOFT_LOADS(X)                                                                 \
    X(lb,  F3(0x03, 0), 0, int8_t)   X(lh,  F3(0x03, 1), 0, int16_t)                  \
    X(lw,  F3(0x03, 2), 0, int32_t)  X(ld,  F3(0x03, 3), 0, int64_t)                  \
    X(lbu, F3(0x03, 4), 0, uint8_t)  X(lhu, F3(0x03, 5), 0, uint16_t)                 \
    X(lwu, F3(0x03, 6), 0, uint32_t)

#define SOFT_STORES(X)                                                                \
    X(sb,  F3(0x23, 0), 0, uint8_t)  X(sh,  F3(0x23, 1), 0, uint16_t)                 \
    X(sw,  F3(0x23, 2), 0, uint32_t) X(sd,  F3(0x23, 3), 0, uint64_t)

/* The value says whether it is taken. */
#define SOFT_BRANCHES(X)                                                              \
    X(beq,  F3(0x63, 0), 0, a == b)                                                   \
    X(bne,  F3(0x63, 1), 0, a != b)                                                   \
    X(blt,  F3(0x63, 4), 0, (int64_t)a < (int64_t)b)                                  \
    X(bge,  F3(0x63, 5), 0, (int64_t)a >= (int64_t)b)                                 \
    X(bltu, F3(0x63, 6), 0, a < b)                                                    \
    X(bgeu, F3(0x63, 7), 0, a >= b)

/* Out of line; the value is the function. The block goes on after them. */

#define SOFT_A(f5, f3) 0xf800707fu, 0x2fu | (f3) << 12 | (uint32_t)(f5) << 27
#define SOFT_CALLS(X)                                                                 \
    X(lr_w, 0xf9f0707fu, 0x1000202fu, 0, hvc_soft_op_lr)                              \
    X(lr_d, 0xf9f0707fu, 0x1000302fu, 0, hvc_soft_op_lr)                              \
    X(sc_w, SOFT_A(0x03, 2), 0, hvc_soft_op_sc)                                   \
    X(sc_d, SOFT_A(0x03, 3), 0, hvc_soft_op_sc)                                   \
    X(amoswap_w, SOFT_A(0x01, 2), 0, hvc_soft_op_amo)                            \
    X(amoswap_d, SOFT_A(0x01, 3), 0, hvc_soft_op_amo)                            \
    X(amoadd_w,  SOFT_A(0x00, 2), 0, hvc_soft_op_amo)                            \
    X(amoadd_d,  SOFT_A(0x00, 3), 0, hvc_soft_op_amo)                            \
    X(amoxor_w,  SOFT_A(0x04, 2), 0, hvc_soft_op_amo)                            \
    X(amoxor_d,  SOFT_A(0x04, 3), 0, hvc_soft_op_amo)                            \
    X(amoand_w,  SOFT_A(0x0c, 2), 0, hvc_soft_op_amo)                            \
    X(amoand_d,  SOFT_A(0x0c, 3), 0, hvc_soft_op_amo)                            \
    X(amoor_w,   SOFT_A(0x08, 2), 0, hvc_soft_op_amo)                            \
    X(amoor_d,   SOFT_A(0x08, 3), 0, hvc_soft_op_amo)                            \
    X(amomin_w,  SOFT_A(0x10, 2), 0, hvc_soft_op_amo)                            \
    X(amomin_d,  SOFT_A(0x10, 3), 0, hvc_soft_op_amo)                            \
    X(amomax_w,  SOFT_A(0x14, 2), 0, hvc_soft_op_amo)                            \
    X(amomax_d,  SOFT_A(0x14, 3), 0, hvc_soft_op_amo)                            \
    X(amominu_w, SOFT_A(0x18, 2), 0, hvc_soft_op_amo)                            \
    X(amominu_d, SOFT_A(0x18, 3), 0, hvc_soft_op_amo)                            \
    X(amomaxu_w, SOFT_A(0x1c, 2), 0, hvc_soft_op_amo)                            \
    X(amomaxu_d, SOFT_A(0x1c, 3), 0, hvc_soft_op_amo)                            \
    X(flw, F3(0x07, 2), HVCORE_RISCV64_ISA_FD, hvc_soft_op_fl)                        \
    X(fld, F3(0x07, 3), HVCORE_RISCV64_ISA_FD, hvc_soft_op_fl)                        \
    X(fsw, F3(0x27, 2), HVCORE_RISCV64_ISA_FD, hvc_soft_op_fs)                        \
    X(fsd, F3(0x27, 3), HVCORE_RISCV64_ISA_FD, hvc_soft_op_fs)                        \
    X(fence, F3(0x0f, 0), 0, hvc_soft_op_fence)                                       \
    X(cbo_inval, 0xfff07fffu, 0x0000200fu, SOFT_CBO, hvc_soft_op_cbo_inval)           \
    X(cbo_clean, 0xfff07fffu, 0x0010200fu, SOFT_CBO, hvc_soft_op_cbo_clean)           \
    X(cbo_flush, 0xfff07fffu, 0x0020200fu, SOFT_CBO, hvc_soft_op_cbo_clean)           \
    X(cbo_zero,  0xfff07fffu, 0x0040200fu, SOFT_CBO, hvc_soft_op_cbo_zero)

#define MASK_FENCE_VMA 0xfe007fffu /* rs1 and rs2 are free */
#define MASK_HLV 0xfff0707fu       /* rd and rs1 are free */

/* Out of line; they end a block, because what follows may be fetched or executed differently. */
#define SOFT_ENDS(X)                                                                  \
    X(fence_i, F3(0x0f, 1), 0, hvc_soft_op_fence_i)                                   \
    X(csrrw,  F3(0x73, 1), 0, hvc_soft_op_csr)                                        \
    X(csrrs,  F3(0x73, 2), 0, hvc_soft_op_csr)                                        \
    X(csrrc,  F3(0x73, 3), 0, hvc_soft_op_csr)                                        \
    X(csrrwi, F3(0x73, 5), 0, hvc_soft_op_csr)                                        \
    X(csrrsi, F3(0x73, 6), 0, hvc_soft_op_csr)                                        \
    X(csrrci, F3(0x73, 7), 0, hvc_soft_op_csr)                                        \
    X(ecall,  WORD(0x00000073), 0, hvc_soft_op_ecall)                                 \
    X(ebreak, WORD(0x00100073), 0, hvc_soft_op_ebreak)                                \
    X(sret,   WORD(0x10200073), 0, hvc_soft_op_sret)                                  \
    X(wfi,    WORD(HVC_INSN_WFI), 0, hvc_soft_op_wfi)                                 \
    X(sfence_vma, MASK_FENCE_VMA, 0x12000073u, 0, hvc_soft_op_sfence_vma)             \
    X(sinval_vma, MASK_FENCE_VMA, 0x16000073u, 0, hvc_soft_op_sfence_vma)             \
    X(sfence_w_inval, WORD(0x18000073), 0, hvc_soft_op_sfence_order)                  \
    X(sfence_inval_ir, WORD(0x18100073), 0, hvc_soft_op_sfence_order)                 \
    X(hfence_vvma, MASK_FENCE_VMA, 0x22000073u, 0, hvc_soft_op_virtual)               \
    X(hfence_gvma, MASK_FENCE_VMA, 0x62000073u, 0, hvc_soft_op_virtual)               \
    X(hinval_vvma, MASK_FENCE_VMA, 0x26000073u, 0, hvc_soft_op_virtual)               \
    X(hinval_gvma, MASK_FENCE_VMA, 0x66000073u, 0, hvc_soft_op_virtual)               \
    X(hlv_b,   MASK_HLV, 0x60004073u, 0, hvc_soft_op_virtual)                         \
    X(hlv_bu,  MASK_HLV, 0x60104073u, 0, hvc_soft_op_virtual)                         \
    X(hlv_h,   MASK_HLV, 0x64004073u, 0, hvc_soft_op_virtual)                         \
    X(hlv_hu,  MASK_HLV, 0x64104073u, 0, hvc_soft_op_virtual)                         \
    X(hlvx_hu, MASK_HLV, 0x64304073u, 0, hvc_soft_op_virtual)                         \
    X(hlv_w,   MASK_HLV, 0x68004073u, 0, hvc_soft_op_virtual)                         \
    X(hlv_wu,  MASK_HLV, 0x68104073u, 0, hvc_soft_op_virtual)                         \
    X(hlvx_wu, MASK_HLV, 0x68304073u, 0, hvc_soft_op_virtual)                         \
    X(hlv_d,   MASK_HLV, 0x6c004073u, 0, hvc_soft_op_virtual)                         \
    X(hsv_b,   MASK_FENCE_VMA, 0x62004073u, 0, hvc_soft_op_virtual)                   \
    X(hsv_h,   MASK_FENCE_VMA, 0x66004073u, 0, hvc_soft_op_virtual)                   \
    X(hsv_w,   MASK_FENCE_VMA, 0x6a004073u, 0, hvc_soft_op_virtual)                   \
    X(hsv_d,   MASK_FENCE_VMA, 0x6e004073u, 0, hvc_soft_op_virtual)

/* Those that the interpreter has inline beside the above; the value is the form (decode.c). */
#define SOFT_SPECIAL(X)                                                               \
    X(lui,   0x0000007fu, 0x37u, 0, FORM_UPPER)                                       \
    X(auipc, 0x0000007fu, 0x17u, 0, FORM_UPPER)                                       \
    X(jal,   0x0000007fu, 0x6fu, 0, FORM_JUMP)                                        \
    X(jalr,  F3(0x67, 0), 0, FORM_JUMP_REGISTER)
/* clang-format on */

/* --- values ----------------------------------------------------------------------------------- */

static inline uint64_t soft_sext32(uint64_t value)
{
    return (uint64_t)(int64_t)(int32_t)(uint32_t)value;
}

static inline uint64_t soft_mulh(uint64_t a, uint64_t b)
{
    return (uint64_t)((__int128)(int64_t)a * (int64_t)b >> 64);
}

static inline uint64_t soft_mulhsu(uint64_t a, uint64_t b)
{
    return (uint64_t)((__int128)(int64_t)a * (__int128)b >> 64);
}

static inline uint64_t soft_mulhu(uint64_t a, uint64_t b)
{
    return (uint64_t)((unsigned __int128)a * b >> 64);
}

/* Division never traps: by zero and overflow have results (Unpriv. 13.2, table 11). */
static inline int64_t soft_divide(int64_t a, int64_t b)
{
    if (!b)
        return -1;
    return a == INT64_MIN && b == -1 ? a : a / b;
}

static inline int64_t soft_rest(int64_t a, int64_t b)
{
    if (!b)
        return a;
    return b == -1 ? 0 : a % b;
}

static inline uint64_t soft_divuw(uint64_t a, uint64_t b)
{
    return (uint32_t)b ? soft_sext32((uint32_t)a / (uint32_t)b) : UINT64_MAX;
}

static inline uint64_t soft_remuw(uint64_t a, uint64_t b)
{
    return soft_sext32((uint32_t)b ? (uint32_t)a % (uint32_t)b : a);
}

static inline uint64_t soft_ror(uint64_t a, uint64_t by)
{
    return a >> (by & 63) | a << (-by & 63);
}

static inline uint64_t soft_rorw(uint64_t a, uint64_t by)
{
    uint32_t w = (uint32_t)a;
    return soft_sext32(w >> (by & 31) | w << (-by & 31));
}

/* Each byte becomes all ones if it is not zero (Zbb). */
static inline uint64_t soft_orc_b(uint64_t a)
{
    a |= (a & UINT64_C(0xf0f0f0f0f0f0f0f0)) >> 4;
    a |= (a & UINT64_C(0x0c0c0c0c0c0c0c0c)) >> 2;
    a |= (a & UINT64_C(0x0202020202020202)) >> 1;
    return (a & UINT64_C(0x0101010101010101)) * 0xff;
}

/* --- operations ------------------------------------------------------------------------------- */

#define SOFT_OPCODE(name, mask, match, isa, value) SOFT_OP_##name,
#define SOFT_OPCODE_(...) SOFT_OPCODE(__VA_ARGS__)
#define SOFT_OPCODE_FP(name, ...) SOFT_OP_##name,

/* What the interpreter has a label for. */
enum soft_opcode {
    SOFT_OP_end,     /* of a block: no instruction */
    SOFT_OP_nop,     /* computes into x0 */
    SOFT_OP_illegal, /* ends a block */
    SOFT_OP_load_x0, /* a load into x0 */
    SOFT_OP_j,       /* jal with x0 */
    SOFT_OP_jr,      /* jalr with x0 */
    SOFT_OP_astray,  /* a jump or branch to an address that is not aligned; ends a block */
    SOFT_REGISTER(SOFT_OPCODE_) SOFT_IMMEDIATE(SOFT_OPCODE_) SOFT_LOADS(SOFT_OPCODE_)
        SOFT_STORES(SOFT_OPCODE_) SOFT_BRANCHES(SOFT_OPCODE_) SOFT_SPECIAL(SOFT_OPCODE_)
            SOFT_CALLS(SOFT_OPCODE_) HVC_SOFT_FP(SOFT_OPCODE_FP) SOFT_ENDS(SOFT_OPCODE_) SOFT_OPS
};

#endif
