/* SPDX-License-Identifier: Apache-2.0 */
/* htinst, for all values (Priv. 21.6.3; specs riscv-traps 6.6). */
#include "lib/fixup/htinst.c"

#include "tests/proofs/proof.h"

enum { NONE, PSEUDO, XFORM, CUSTOM };

/* Does hardware transform an instruction with these bits? */
static bool is_standard(uint64_t v)
{
    uint64_t f3 = bits(v, 14, 12);

    switch (bits(v, 6, 0) | 2) {
    case 0x03: /* LB LH LW LD LBU LHU LWU */
        return f3 <= 6;
    case 0x23: /* SB SH SW SD */
        return f3 <= 3;
    case 0x07: /* FLH FLW FLD FLQ */
    case 0x27: /* FSH FSW FSD FSQ */
        return f3 >= 1 && f3 <= 4;
    case 0x2f: /* LR SC AMO, words and doublewords */
        return f3 == 2 || f3 == 3;
    case 0x73: /* HLV HLVX HSV */
        return f3 == 4;
    default:
        return false;
    }
}

static unsigned kind_of(uint64_t v)
{
    uint64_t opcode = bits(v, 6, 0) | 2;

    if (v == 0x2000 || v == 0x2020 || v == 0x3000 || v == 0x3020)
        return PSEUDO;
    if (bits(v, 63, 32) || !bit(v, 0))
        return NONE;
    if (is_standard(v))
        return XFORM;
    return opcode == 0x0b || opcode == 0x2b || opcode == 0x5b || opcode == 0x7b ? CUSTOM : NONE;
}

PROOF(htinst, 1)
{
    uint64_t v;
    hvc_htinst d;
    uint64_t opcode = bits(v, 6, 0) | 2;

    hvc_htinst_decode(v, &d);
    PROVE(d.kind == kind_of(v));
    PROVE(d.kind == PSEUDO || (d.bits == 0 && d.write == 0));
    PROVE(d.kind != PSEUDO || (d.bits == (bit(v, 12) ? 64 : 32) && d.write == bit(v, 5)));
    PROVE(d.kind == XFORM || (d.op == 0 && d.len == 0 && d.offset == 0 && d.size == 0 &&
                              d.rd == 0 && d.rs2 == 0 && d.is_unsigned == 0 && d.funct5 == 0));
    if (d.kind != XFORM)
        return;
    PROVE(d.op == (opcode == 0x03   ? HVC_HTINST_OP_LOAD
                   : opcode == 0x07 ? HVC_HTINST_OP_FLOAD
                   : opcode == 0x23 ? HVC_HTINST_OP_STORE
                   : opcode == 0x27 ? HVC_HTINST_OP_FSTORE
                   : opcode == 0x2f ? HVC_HTINST_OP_AMO
                                    : HVC_HTINST_OP_HLS));
    PROVE(d.len == (bit(v, 1) ? 4 : 2));
    PROVE(d.offset == bits(v, 19, 15));
    PROVE(d.size ==
          (opcode == 0x73 ? 0 : 1 << (opcode == 0x03 ? bits(v, 13, 12) : bits(v, 14, 12))));
    PROVE(d.is_unsigned == (opcode == 0x03 && bit(v, 14)));
    PROVE(d.rd == (opcode == 0x03 || opcode == 0x07 || opcode == 0x2f ? bits(v, 11, 7) : 0));
    PROVE(d.rs2 == (opcode == 0x23 || opcode == 0x27 || opcode == 0x2f ? bits(v, 24, 20) : 0));
    PROVE(d.funct5 == (opcode == 0x2f ? bits(v, 31, 27) : 0));
}
