/* SPDX-License-Identifier: Apache-2.0 */
/* From the bits of an instruction to its handler and operands. */
#include "backends/bare/soft/soft.h"

/* By the major opcode, bits 6:2 (Unpriv. 37, "RV32/64G instruction set listings"). */
static const soft_major *const majors[32] = {
    [0x00] = &hvc_soft_major_load,      [0x03] = &hvc_soft_major_misc_mem,
    [0x04] = &hvc_soft_major_op_imm,    [0x05] = &hvc_soft_major_auipc,
    [0x06] = &hvc_soft_major_op_imm_32, [0x08] = &hvc_soft_major_store,
    [0x0c] = &hvc_soft_major_op,        [0x0d] = &hvc_soft_major_lui,
    [0x0e] = &hvc_soft_major_op_32,     [0x18] = &hvc_soft_major_branch,
    [0x19] = &hvc_soft_major_jalr,      [0x1b] = &hvc_soft_major_jal,
    [0x1c] = &hvc_soft_major_system,
};

/* Bits of the word, high to low, at a place in the immediate. */
static uint32_t field(uint32_t word, uint32_t low, uint32_t bits, uint32_t at)
{
    return (word >> low & ((UINT32_C(1) << bits) - 1)) << at;
}

/* The sign is bit 31 in every format (Unpriv. 2.3). */
static uint32_t sign(uint32_t word, uint32_t from)
{
    return word >> 31 ? UINT32_MAX << from : 0;
}

static uint32_t immediate(uint32_t word, enum soft_format format)
{
    switch (format) {
    case SOFT_I:
        return sign(word, 11) | field(word, 20, 11, 0);
    case SOFT_S:
        return sign(word, 11) | field(word, 25, 6, 5) | field(word, 7, 5, 0);
    case SOFT_B:
        return sign(word, 12) | field(word, 7, 1, 11) | field(word, 25, 6, 5) |
               field(word, 8, 4, 1);
    case SOFT_U:
        return word & 0xfffff000u;
    case SOFT_J:
        return sign(word, 20) | field(word, 12, 8, 12) | field(word, 20, 1, 11) |
               field(word, 21, 10, 1);
    case SOFT_R:
        break;
    }
    return 0;
}

static soft_op *handler(const soft_major *major, uint32_t word)
{
    for (uint32_t i = 0; i < major->count; i++) {
        const soft_row *row = &major->rows[i];
        if ((word & row->mask) == row->match)
            return row->run;
    }
    return hvc_soft_op_illegal;
}

void hvc_soft_decode(soft_insn *insn, uint32_t word)
{
    const soft_major *major = (word & 3) == 3 ? majors[word >> 2 & 31] : NULL;
    *insn = (soft_insn){.run = hvc_soft_op_illegal,
                        .word = word,
                        .rd = word >> 7 & 31,
                        .rs1 = word >> 15 & 31,
                        .rs2 = word >> 20 & 31};
    if (!major)
        return;
    insn->imm = (int32_t)immediate(word, major->format);
    insn->run = handler(major, word);
    if (major->pure && !insn->rd && insn->run != hvc_soft_op_illegal)
        insn->run = hvc_soft_op_nop; /* x0 keeps its zero */
}

/* A zeroed slot would answer for the word zero, and has no handler. */
void hvc_soft_decode_init(soft_pe *pe)
{
    hvc_soft_decode(&pe->insn[0], 0);
    for (uint32_t i = 1; i < SOFT_INSNS; i++)
        pe->insn[i] = pe->insn[0];
}
