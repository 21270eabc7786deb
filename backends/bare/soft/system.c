/* SPDX-License-Identifier: Apache-2.0 */
/* System instructions, fences, and what always traps. V=1 forbids: 22; absent: 2 (Priv. 21.6.1). */
#include "backends/bare/soft/soft.h"

uint64_t hvc_soft_op_ecall(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    bool vs = pe->mode == HVCORE_RISCV64_VS;
    (void)x;
    (void)insn;
    return hvc_soft_trap_plain(pe, pc, vs ? HVCORE_RISCV64_ECALL_VS : HVCORE_RISCV64_ECALL_U, 0);
}

uint64_t hvc_soft_op_ebreak(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    (void)x;
    (void)insn;
    return hvc_soft_trap_plain(pe, pc, HVCORE_RISCV64_BREAKPOINT, pc);
}

/* May this mode execute what `trap_bit` of hstatus withholds from VS-mode? VU-mode never may. */
static bool permitted(const soft_pe *pe, uint64_t trap_bit)
{
    return pe->mode == HVCORE_RISCV64_VS && !(pe->frame->hstatus & trap_bit);
}

/* With V=1 it works on vsstatus and vsepc (Priv. 12.1.1.1, 21.6.4). */
uint64_t hvc_soft_op_sret(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    if (!permitted(pe, HVC_HSTATUS_VTSR))
        return hvc_soft_op_virtual(pe, x, insn, pc);
    uint64_t old = pe->port.vsstatus;
    uint64_t status = (old & ~(HVC_SSTATUS_SPP | HVC_SSTATUS_SIE)) | HVC_SSTATUS_SPIE;
    if (old & HVC_SSTATUS_SPIE)
        status |= HVC_SSTATUS_SIE;
    hvc_soft_set_vsstatus(&pe->port, status);
    pe->mode = old & HVC_SSTATUS_SPP ? HVCORE_RISCV64_VS : HVCORE_RISCV64_VU;
    hvc_soft_mmu_context(pe);
    hvc_soft_unreserve(pe);
    return hvc_soft_interrupt(pe, hvc_soft_get_vsepc(&pe->port));
}

/* A hint here: it ends at once, which is always allowed (Priv. 3.3.3). */
uint64_t hvc_soft_op_wfi(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    return permitted(pe, HVC_HSTATUS_VTW) ? SOFT_NEXT : hvc_soft_op_virtual(pe, x, insn, pc);
}

uint64_t hvc_soft_op_sfence_vma(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    if (!permitted(pe, HVC_HSTATUS_VTVM))
        return hvc_soft_op_virtual(pe, x, insn, pc);
    soft_fence fence = {
        .has_va = insn->rs1, .has_asid = insn->rs2, .va = x[insn->rs1], .asid = x[insn->rs2]};
    atomic_thread_fence(memory_order_seq_cst);
    hvc_soft_mmu_fence(pe, &fence);
    return SOFT_NEXT;
}

/* SINVAL.VMA is an SFENCE.VMA here, so there is nothing left to order (Svinval). */
uint64_t hvc_soft_op_sfence_order(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    if (pe->mode != HVCORE_RISCV64_VS)
        return hvc_soft_op_virtual(pe, x, insn, pc);
    atomic_thread_fence(memory_order_seq_cst);
    return SOFT_NEXT;
}

/* Every fence is the strongest one; hints (PAUSE) are fences of nothing. */
uint64_t hvc_soft_op_fence(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    (void)pe;
    (void)x;
    (void)insn;
    (void)pc;
    atomic_thread_fence(memory_order_seq_cst);
    return SOFT_NEXT;
}

uint64_t hvc_soft_op_fence_i(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    (void)x;
    (void)insn;
    (void)pc;
    atomic_thread_fence(memory_order_seq_cst);
    hvc_code_fence(&pe->code);
    return SOFT_NEXT;
}

/* --- traps as instructions -------------------------------------------------------------------- */

uint64_t hvc_soft_op_illegal(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    (void)x;
    return hvc_soft_trap_plain(pe, pc, HVCORE_RISCV64_ILLEGAL_INSN, hvc_soft_bits(pe, insn));
}

uint64_t hvc_soft_op_virtual(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    (void)x;
    return hvc_soft_trap_plain(pe, pc, HVCORE_RISCV64_VIRTUAL_INSN, hvc_soft_bits(pe, insn));
}

/* --- jumps to where no instruction can be ----------------------------------------------------- */

static bool taken(const uint64_t *x, const hvc_insn *insn, uint32_t funct3)
{
    uint64_t a = x[insn->rs1], b = x[insn->rs2];
    bool yes = funct3 < 2 ? a == b : funct3 < 6 ? (int64_t)a < (int64_t)b : a < b;
    return yes != (funct3 & 1);
}

/* A jump or branch of 4-byte instructions whose target is not aligned (Unpriv. 2.5). */
uint64_t hvc_soft_op_astray(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    uint32_t word = hvc_soft_bits(pe, insn);
    bool branch = !(word & 4);
    if (branch && !taken(x, insn, word >> 12 & 7))
        return SOFT_NEXT;
    return hvc_soft_trap_plain(pe, pc, HVCORE_RISCV64_INSN_MISALIGNED,
                               pc + (uint64_t)(int64_t)insn->imm);
}
