/* SPDX-License-Identifier: Apache-2.0 */
/* F and D: registers and rounding mode in, registers and flags out. The values are fp.h's. */
#include "backends/bare/soft/soft.h"

enum { RM_DYNAMIC = 7, FRM_SHIFT = 5 };

typedef struct fp_row {
    hvc_soft_fp_fn *value;
    uint8_t form; /* hvc_soft_fp_form */
    uint8_t has_rm;
} fp_row;

/* --- fcsr: flags wait in the host until somebody asks ----------------------------------------- */

uint32_t hvc_soft_get_fcsr(soft_pe *pe)
{
    hvcore_riscv64_fp *fp = pe->port.fp;
    fp->fcsr |= hvc_soft_fp_flags(&pe->fp_env);
    return fp->fcsr & 0xff;
}

void hvc_soft_set_fcsr(soft_pe *pe, uint32_t value)
{
    hvc_soft_fp_flags(&pe->fp_env);
    pe->port.fp->fcsr = value & 0xff;
}

/* --- an instruction --------------------------------------------------------------------------- */

/* The rounding mode in effect, above 4 if there is none (Unpriv. 20.2). */
static uint32_t rounding(const soft_pe *pe, const fp_row *row, uint32_t word)
{
    uint32_t rm = row->has_rm ? word >> 12 & 7 : 0;
    return rm == RM_DYNAMIC ? pe->port.fp->fcsr >> FRM_SHIFT & 7 : rm;
}

static bool writes_x(const fp_row *row)
{
    return row->form == HVC_SOFT_FP_XF || row->form == HVC_SOFT_FP_XFF;
}

static uint64_t execute(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc,
                        const fp_row *row)
{
    uint32_t word = (uint32_t)insn->imm, rm;
    if (!hvc_soft_fp_on(pe) || (rm = rounding(pe, row, word)) > HVC_SOFT_FP_RMM)
        return hvc_soft_op_illegal(pe, x, insn, pc);
    uint64_t *f = pe->port.fp->f, a = row->form == HVC_SOFT_FP_FX ? x[insn->rs1] : f[insn->rs1];
    uint64_t value = row->value(&pe->fp_env, a, f[insn->rs2], f[word >> 27], rm);
    if (writes_x(row))
        x[insn->rd] = value;
    else
        f[insn->rd] = value;
    x[0] = 0;
    hvc_soft_fp_dirty(pe); /* of fcsr alone it is not known yet */
    return SOFT_NEXT;
}

#define OP(name, mask, match, form, rm)                                                      \
    uint64_t hvc_soft_op_##name(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc) \
    {                                                                                        \
        static const fp_row row = {hvc_soft_fp_##name, HVC_SOFT_FP_##form, rm};              \
        return execute(pe, x, insn, pc, &row);                                               \
    }
HVC_SOFT_FP(OP)
