/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Only opcode, funct3 and bits 63:32 decide. Fields that are zero in every transformation of today
 * are ignored: a later version may put hints there, which are safe to ignore (Priv. 1.13, 21.6.3,
 * note).
 */
#include "lib/fixup/htinst.h"

#include "lib/arch/riscv64.h"

static uint8_t field5(uint32_t insn, unsigned at)
{
    return insn >> at & 31;
}

static uint8_t funct3(uint32_t insn)
{
    return insn >> 12 & 7;
}

static uint8_t op_of(uint32_t insn)
{
    uint8_t f3 = funct3(insn);
    bool fp = f3 >= 1 && f3 <= 4; /* half, single, double, quad */

    switch (insn & 0x7f) {
    case HVC_OPCODE_LOAD:
        return f3 != 7 ? HVC_HTINST_OP_LOAD : HVC_HTINST_OP_NONE;
    case HVC_OPCODE_LOAD_FP:
        return fp ? HVC_HTINST_OP_FLOAD : HVC_HTINST_OP_NONE; /* else vector */
    case HVC_OPCODE_STORE:
        return f3 <= 3 ? HVC_HTINST_OP_STORE : HVC_HTINST_OP_NONE;
    case HVC_OPCODE_STORE_FP:
        return fp ? HVC_HTINST_OP_FSTORE : HVC_HTINST_OP_NONE;
    case HVC_OPCODE_AMO:
        return f3 == 2 || f3 == 3 ? HVC_HTINST_OP_AMO : HVC_HTINST_OP_NONE;
    case HVC_OPCODE_SYSTEM:
        return f3 == 4 ? HVC_HTINST_OP_HLS : HVC_HTINST_OP_NONE;
    default:
        return HVC_HTINST_OP_NONE;
    }
}

static bool is_custom(uint32_t insn)
{
    switch (insn & 0x7f) {
    case HVC_OPCODE_CUSTOM_0:
    case HVC_OPCODE_CUSTOM_1:
    case HVC_OPCODE_CUSTOM_2:
    case HVC_OPCODE_CUSTOM_3:
        return true;
    default:
        return false;
    }
}

/* The width of a page-table entry in bits, 0 if it is no pseudo-instruction. */
static uint8_t pseudo_bits(uint64_t htinst)
{
    switch (htinst) {
    case HVC_HTINST_PSEUDO_LOAD:
    case HVC_HTINST_PSEUDO_STORE:
        return 64;
    case HVC_HTINST_PSEUDO32_LOAD:
    case HVC_HTINST_PSEUDO32_STORE:
        return 32;
    default:
        return 0;
    }
}

static void decode_pseudo(uint64_t htinst, hvc_htinst *out)
{
    out->bits = pseudo_bits(htinst);
    if (out->bits == 0)
        return;
    out->kind = HVC_HTINST_PSEUDO;
    out->write = htinst == HVC_HTINST_PSEUDO_STORE || htinst == HVC_HTINST_PSEUDO32_STORE;
}

static void set_registers(uint32_t insn, hvc_htinst *out)
{
    bool amo = out->op == HVC_HTINST_OP_AMO;

    if (amo || out->op == HVC_HTINST_OP_LOAD || out->op == HVC_HTINST_OP_FLOAD)
        out->rd = field5(insn, 7);
    if (amo || out->op == HVC_HTINST_OP_STORE || out->op == HVC_HTINST_OP_FSTORE)
        out->rs2 = field5(insn, 20);
    if (amo)
        out->funct5 = field5(insn, 27);
}

static void decode_transformed(uint32_t insn, uint8_t op, hvc_htinst *out)
{
    bool load = op == HVC_HTINST_OP_LOAD;
    uint8_t log2 = load ? funct3(insn) & 3 : funct3(insn);

    out->kind = HVC_HTINST_XFORM;
    out->op = op;
    out->offset = field5(insn, 15);
    if (op != HVC_HTINST_OP_HLS)
        out->size = (uint8_t)(1u << log2);
    out->is_unsigned = load ? funct3(insn) >> 2 : 0;
    set_registers(insn, out);
}

void hvc_htinst_decode(uint64_t htinst, hvc_htinst *out)
{
    uint32_t insn = (uint32_t)htinst | 2; /* bit 1 says only how long the instruction was */
    uint8_t op = op_of(insn);

    *out = (hvc_htinst){.kind = HVC_HTINST_NONE};
    if (htinst >> 32 || !(htinst & 1)) {
        decode_pseudo(htinst, out);
    } else if (op != HVC_HTINST_OP_NONE) {
        out->len = htinst & 2 ? 4 : 2;
        decode_transformed(insn, op, out);
    } else if (is_custom(insn)) {
        out->kind = HVC_HTINST_CUSTOM;
    }
}
