/* SPDX-License-Identifier: Apache-2.0 */
/* Loads and stores that a TLB hit alone cannot do: misses, misaligned ones, F and D, CBO. */
#include "backends/bare/soft/soft.h"

#define CBO_BLOCK 64

/* --- pieces of memory ------------------------------------------------------------------------- */

/* Up to 8 bytes of an access: `first` of them at one place, the rest in another page. */
typedef struct pieces {
    uint8_t *at[2];
    uint32_t first, size;
} pieces;

static uint8_t *byte_of(const pieces *p, uint32_t i)
{
    return i < p->first ? p->at[0] + i : p->at[1] + (i - p->first);
}

static bool misaligned_fault(soft_pe *pe, uint64_t va, uint32_t access)
{
    pe->fault =
        (hvc_raw_trap){.scause = access == HVCORE_RISCV64_LOAD ? HVCORE_RISCV64_LOAD_MISALIGNED
                                                               : HVCORE_RISCV64_STORE_MISALIGNED,
                       .stval = va};
    return false;
}

/*
 * Both pages are translated before anything is touched. Without misaligned accesses the trap comes
 * first: the place of 4 and 6 in the order is free (Priv. 3.1.15).
 */
static bool find(soft_pe *pe, uint64_t va, uint32_t size, uint32_t access, pieces *p)
{
    uint32_t room = (uint32_t)(SOFT_PAGE - (va & (SOFT_PAGE - 1)));
    *p = (pieces){.first = size < room ? size : room, .size = size};
    if (va & (size - 1) && !hvc_soft_has(pe, HVCORE_RISCV64_ISA_MISALIGNED))
        return misaligned_fault(pe, va, access);
    p->at[0] = hvc_soft_mmu(pe, va, access);
    if (p->at[0] && room < size)
        p->at[1] = hvc_soft_mmu(pe, va + room, access);
    return p->at[0] && (room >= size || p->at[1]);
}

/* An aligned access is one access, whoever looks on; a misaligned one is bytes (Unpriv. 2.6). */
static uint64_t read_aligned(const void *at, uint32_t size)
{
    switch (size) {
    case 1:
        return atomic_load_explicit((const _Atomic uint8_t *)at, memory_order_relaxed);
    case 2:
        return atomic_load_explicit((const _Atomic uint16_t *)at, memory_order_relaxed);
    case 4:
        return atomic_load_explicit((const _Atomic uint32_t *)at, memory_order_relaxed);
    default:
        return atomic_load_explicit((const _Atomic uint64_t *)at, memory_order_relaxed);
    }
}

static void write_aligned(void *at, uint32_t size, uint64_t value)
{
    switch (size) {
    case 1:
        atomic_store_explicit((_Atomic uint8_t *)at, (uint8_t)value, memory_order_relaxed);
        break;
    case 2:
        atomic_store_explicit((_Atomic uint16_t *)at, (uint16_t)value, memory_order_relaxed);
        break;
    case 4:
        atomic_store_explicit((_Atomic uint32_t *)at, (uint32_t)value, memory_order_relaxed);
        break;
    default:
        atomic_store_explicit((_Atomic uint64_t *)at, value, memory_order_relaxed);
    }
}

bool hvc_soft_load(soft_pe *pe, uint64_t va, uint32_t size, uint64_t *value)
{
    pieces p;
    if (!find(pe, va, size, HVCORE_RISCV64_LOAD, &p))
        return false;
    *value = 0;
    if (!(va & (size - 1)))
        *value = read_aligned(p.at[0], size);
    else
        for (uint32_t i = 0; i < size; i++)
            *value |= read_aligned(byte_of(&p, i), 1) << 8 * i;
    return true;
}

bool hvc_soft_store(soft_pe *pe, uint64_t va, uint32_t size, uint64_t value)
{
    pieces p;
    if (!find(pe, va, size, HVCORE_RISCV64_STORE, &p))
        return false;
    hvc_soft_wrote(pe, p.at[0], p.first);
    if (p.at[1])
        hvc_soft_wrote(pe, p.at[1], p.size - p.first);
    if (!(va & (size - 1)))
        write_aligned(p.at[0], size, value);
    else
        for (uint32_t i = 0; i < size; i++)
            write_aligned(byte_of(&p, i), 1, value >> 8 * i & 0xff);
    return true;
}

/* --- faults ----------------------------------------------------------------------------------- */

/* An implicit access has its pseudo-instruction already. */
uint64_t hvc_soft_data_fault(soft_pe *pe, const hvc_insn *insn, uint64_t pc, uint64_t va)
{
    hvc_raw_trap *t = &pe->fault;
    if (!t->htinst)
        t->htinst = hvc_soft_transform(pe, insn, t->stval - va);
    return hvc_soft_trap(pe, pc, t);
}

/* --- loads into x0, F and D ------------------------------------------------------------------- */

static uint64_t load_address(const uint64_t *x, const hvc_insn *insn)
{
    return x[insn->rs1] + (uint64_t)(int64_t)(insn->imm >> 20);
}

static uint64_t store_address(const uint64_t *x, const hvc_insn *insn)
{
    int32_t high = insn->imm >> 25;
    uint32_t low = (uint32_t)insn->imm >> 7 & 31;
    return x[insn->rs1] + ((uint64_t)(int64_t)high << 5 | low);
}

static uint32_t access_size(const hvc_insn *insn)
{
    return 1u << ((uint32_t)insn->imm >> 12 & 3);
}

uint64_t hvc_soft_op_load_x0(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    uint64_t va = load_address(x, insn), value;
    if (!hvc_soft_load(pe, va, access_size(insn), &value))
        return hvc_soft_data_fault(pe, insn, pc, va);
    return SOFT_NEXT;
}

uint64_t hvc_soft_op_fl(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    uint64_t va = load_address(x, insn), value, boxed = UINT64_MAX << 32;
    uint32_t size = access_size(insn);
    if (!hvc_soft_fp_on(pe))
        return hvc_soft_op_illegal(pe, x, insn, pc);
    if (!hvc_soft_load(pe, va, size, &value))
        return hvc_soft_data_fault(pe, insn, pc, va);
    pe->port.fp->f[insn->rd] = size == 4 ? value | boxed : value;
    hvc_soft_fp_dirty(pe);
    return SOFT_NEXT;
}

uint64_t hvc_soft_op_fs(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    uint64_t va = store_address(x, insn);
    if (!hvc_soft_fp_on(pe))
        return hvc_soft_op_illegal(pe, x, insn, pc);
    if (!hvc_soft_store(pe, va, access_size(insn), pe->port.fp->f[insn->rs2]))
        return hvc_soft_data_fault(pe, insn, pc, va);
    return SOFT_NEXT;
}

/* --- cache blocks ----------------------------------------------------------------------------- */

/* menvcfg allows everything here, so whoever refuses, it is a virtual instruction (CMO 2.4). */
static bool permitted(const soft_pe *pe, uint64_t bits)
{
    if (!(pe->port.henvcfg & bits))
        return false;
    return pe->mode == HVCORE_RISCV64_VS || pe->port.senvcfg & bits;
}

/* The block at va as a store sees it, or NULL with the trap's pc in *next. */
static uint8_t *block(soft_pe *pe, uint64_t va, const hvc_insn *insn, uint64_t pc, uint64_t *next)
{
    uint8_t *p = hvc_soft_mmu(pe, va, HVCORE_RISCV64_STORE);
    if (!p)
        *next = hvc_soft_data_fault(pe, insn, pc, pe->fault.stval);
    return p ? p - va % CBO_BLOCK : NULL;
}

/*
 * Permission to load is enough; without any it is a store that has failed (CMO 2.5). Memory is
 * always coherent here: nothing is left to do then.
 */
static uint64_t clean(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc, uint64_t enable)
{
    uint64_t va = x[insn->rs1], next = SOFT_NEXT;
    if (!permitted(pe, enable))
        return hvc_soft_op_virtual(pe, x, insn, pc);
    if (!hvc_soft_mmu(pe, va, HVCORE_RISCV64_LOAD))
        block(pe, va, insn, pc, &next);
    return next;
}

uint64_t hvc_soft_op_cbo_inval(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    return clean(pe, x, insn, pc, HVC_HENVCFG_CBIE);
}

uint64_t hvc_soft_op_cbo_clean(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    return clean(pe, x, insn, pc, HVC_HENVCFG_CBCFE);
}

uint64_t hvc_soft_op_cbo_zero(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    uint64_t next;
    if (!permitted(pe, HVC_HENVCFG_CBZE))
        return hvc_soft_op_virtual(pe, x, insn, pc);
    uint8_t *p = block(pe, x[insn->rs1], insn, pc, &next);
    if (!p)
        return next;
    hvc_soft_wrote(pe, p, CBO_BLOCK);
    for (uint32_t i = 0; i < CBO_BLOCK; i += 8)
        write_aligned(p + i, 8, 0);
    return SOFT_NEXT;
}
