/* SPDX-License-Identifier: Apache-2.0 */
/* System instructions and fences. What V=1 forbids raises 22, what is absent 2 (Priv. 21.6.1). */
#include "backends/bare/soft/soft.h"

static uint64_t op_ecall(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
{
    bool vs = pe->mode == HVCORE_RISCV64_VS;
    (void)x;
    (void)insn;
    return hvc_soft_trap_plain(pe, pc, vs ? HVCORE_RISCV64_ECALL_VS : HVCORE_RISCV64_ECALL_U, 0);
}

static uint64_t op_ebreak(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
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
static uint64_t op_sret(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
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
    return hvc_soft_interrupt(pe, pe->port.vsepc);
}

/* A hint here: it ends at once, which is always allowed (Priv. 3.3.3). */
static uint64_t op_wfi(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
{
    return permitted(pe, HVC_HSTATUS_VTW) ? pc + 4 : hvc_soft_op_virtual(pe, x, insn, pc);
}

/*
 * An address in rs1 is not looked at: the entries of a superpage are scattered here, and fencing
 * more than was asked is allowed (Priv. 12.2.1).
 */
static uint64_t op_sfence_vma(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
{
    if (!permitted(pe, HVC_HSTATUS_VTVM))
        return hvc_soft_op_virtual(pe, x, insn, pc);
    atomic_thread_fence(memory_order_seq_cst);
    if (insn->rs2) {
        hvc_soft_mmu_forget_asid(pe, x[insn->rs2]);
    } else {
        hvc_soft_mmu_forget(pe);
        hvc_soft_mmu_context(pe);
    }
    return pc + 4;
}

/* Every fence is the strongest one; hints (PAUSE) are fences of nothing. */
static uint64_t op_fence(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
{
    (void)pe;
    (void)x;
    (void)insn;
    atomic_thread_fence(memory_order_seq_cst);
    return pc + 4;
}

#define MASK_FENCE_VMA 0xfe007fffu /* rs1 and rs2 are free */
#define MASK_HLV 0xfff0707fu       /* rd and rs1 are free */

/* FENCE.I: the decoder reads every word anew (exec.c). */
static const soft_row rows_misc_mem[] = {
    SOFT_F3(0x0f, 0, op_fence),
    SOFT_F3(0x0f, 1, hvc_soft_op_nop),
};

static const soft_row rows_system[] = {
    SOFT_F3(0x73, 1, hvc_soft_op_csr),
    SOFT_F3(0x73, 2, hvc_soft_op_csr),
    SOFT_F3(0x73, 3, hvc_soft_op_csr),
    SOFT_F3(0x73, 5, hvc_soft_op_csr),
    SOFT_F3(0x73, 6, hvc_soft_op_csr),
    SOFT_F3(0x73, 7, hvc_soft_op_csr),
    SOFT_WORD(0x00000073, op_ecall),
    SOFT_WORD(0x00100073, op_ebreak),
    SOFT_WORD(0x10200073, op_sret),
    SOFT_WORD(HVC_INSN_WFI, op_wfi),
    {MASK_FENCE_VMA, 0x12000073, op_sfence_vma},
    {MASK_FENCE_VMA, 0x22000073, hvc_soft_op_virtual}, /* hfence.vvma */
    {MASK_FENCE_VMA, 0x62000073, hvc_soft_op_virtual}, /* hfence.gvma */
    {MASK_HLV, 0x60004073, hvc_soft_op_virtual},       /* hlv.b */
    {MASK_HLV, 0x60104073, hvc_soft_op_virtual},       /* hlv.bu */
    {MASK_HLV, 0x64004073, hvc_soft_op_virtual},       /* hlv.h */
    {MASK_HLV, 0x64104073, hvc_soft_op_virtual},       /* hlv.hu */
    {MASK_HLV, 0x64304073, hvc_soft_op_virtual},       /* hlvx.hu */
    {MASK_HLV, 0x68004073, hvc_soft_op_virtual},       /* hlv.w */
    {MASK_HLV, 0x68104073, hvc_soft_op_virtual},       /* hlv.wu */
    {MASK_HLV, 0x68304073, hvc_soft_op_virtual},       /* hlvx.wu */
    {MASK_HLV, 0x6c004073, hvc_soft_op_virtual},       /* hlv.d */
    {MASK_FENCE_VMA, 0x62004073, hvc_soft_op_virtual}, /* hsv.b */
    {MASK_FENCE_VMA, 0x66004073, hvc_soft_op_virtual}, /* hsv.h */
    {MASK_FENCE_VMA, 0x6a004073, hvc_soft_op_virtual}, /* hsv.w */
    {MASK_FENCE_VMA, 0x6e004073, hvc_soft_op_virtual}, /* hsv.d */
};

const soft_major hvc_soft_major_misc_mem = SOFT_MAJOR(rows_misc_mem, SOFT_I, 0);
const soft_major hvc_soft_major_system = SOFT_MAJOR(rows_system, SOFT_I, 0);
