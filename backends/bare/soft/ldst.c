/* SPDX-License-Identifier: Apache-2.0 */
/* Loads and stores: relaxed atomics on aligned units, which RVWMO allows (Unpriv. 17). */
#include "backends/bare/soft/soft.h"

/* The transformed instruction: no immediate, offset 0 where rs1 stands (Priv. 21.6.3). */
#define LOAD_KEPT 0x00007fffu
#define STORE_KEPT 0x01f0707fu

/* A fault of an implicit access has its pseudo-instruction already. */
static uint64_t data_fault(soft_pe *pe, uint64_t pc, uint32_t transformed)
{
    if (!pe->fault.htinst)
        pe->fault.htinst = transformed;
    return hvc_soft_trap(pe, pc, &pe->fault);
}

/* `type` says how the value is extended to 64 bits. */
#define LOAD(name, type)                                                                    \
    static uint64_t op_##name(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc) \
    {                                                                                       \
        uint64_t va = x[insn->rs1] + (uint64_t)(int64_t)insn->imm;                          \
        const void *p = hvc_soft_mmu(pe, va, HVCORE_RISCV64_LOAD, sizeof(type));            \
        if (!SOFT_LIKELY(p))                                                                \
            return data_fault(pe, pc, insn->word & LOAD_KEPT);                              \
        x[insn->rd] =                                                                       \
            (uint64_t)atomic_load_explicit((const _Atomic type *)p, memory_order_relaxed);  \
        x[0] = 0;                                                                           \
        return pc + 4;                                                                      \
    }

#define STORE(name, type)                                                                   \
    static uint64_t op_##name(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc) \
    {                                                                                       \
        uint64_t va = x[insn->rs1] + (uint64_t)(int64_t)insn->imm;                          \
        void *p = hvc_soft_mmu(pe, va, HVCORE_RISCV64_STORE, sizeof(type));                 \
        if (!SOFT_LIKELY(p))                                                                \
            return data_fault(pe, pc, insn->word & STORE_KEPT);                             \
        atomic_store_explicit((_Atomic type *)p, (type)x[insn->rs2], memory_order_relaxed); \
        return pc + 4;                                                                      \
    }

LOAD(lb, int8_t)
LOAD(lh, int16_t)
LOAD(lw, int32_t)
LOAD(ld, int64_t)
LOAD(lbu, uint8_t)
LOAD(lhu, uint16_t)
LOAD(lwu, uint32_t)
STORE(sb, uint8_t)
STORE(sh, uint16_t)
STORE(sw, uint32_t)
STORE(sd, uint64_t)

static const soft_row rows_load[] = {
    SOFT_F3(0x03, 0, op_lb),  SOFT_F3(0x03, 1, op_lh),  SOFT_F3(0x03, 2, op_lw),
    SOFT_F3(0x03, 3, op_ld),  SOFT_F3(0x03, 4, op_lbu), SOFT_F3(0x03, 5, op_lhu),
    SOFT_F3(0x03, 6, op_lwu),
};
static const soft_row rows_store[] = {
    SOFT_F3(0x23, 0, op_sb),
    SOFT_F3(0x23, 1, op_sh),
    SOFT_F3(0x23, 2, op_sw),
    SOFT_F3(0x23, 3, op_sd),
};

const soft_major hvc_soft_major_load = SOFT_MAJOR(rows_load, SOFT_I, 0);
const soft_major hvc_soft_major_store = SOFT_MAJOR(rows_store, SOFT_S, 0);
