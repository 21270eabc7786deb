/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMO, LR and SC. AMOs are the host's atomics, sequentially consistent: more than aq and rl ask.
 *
 * A reservation is the host's address of a set of 64 bytes, kept in its PE, counted in the machine.
 * As long as any is held, every store of another PE looks whether it hits one, before it writes.
 * A store that looked before LR and writes after it is not seen; SC therefore compares the value as
 * well: then memory has what LR read, and that store is as good as one before LR.
 *
 * SC may always fail. A reservation that its PE has not used for some slices is given up, so that
 * stores need not look for ever; a constrained loop (Unpriv. 14.3) is far shorter.
 */
#include "backends/bare/soft/soft.h"

#define SET_SIZE 64
#define LAST_AGE 64

static uintptr_t set_of(const uint8_t *host)
{
    return (uintptr_t)host & ~(uintptr_t)(SET_SIZE - 1);
}

/* --- reservations ------------------------------------------------------------------------------ */

/* Whoever makes it 0 takes it out of the count. */
static void drop(hvc_machine *m, uint32_t index, uintptr_t set)
{
    if (set && atomic_compare_exchange_strong(&m->slot[index].reserved, &set, 0))
        atomic_fetch_sub(&m->reservations, 1);
}

static uintptr_t reserved(const hvc_machine *m, uint32_t index)
{
    return atomic_load(&m->slot[index].reserved);
}

void hvc_soft_unreserve(soft_pe *pe)
{
    drop(pe->machine, pe->index, reserved(pe->machine, pe->index));
}

static void reserve(soft_pe *pe, const uint8_t *host)
{
    hvc_soft_unreserve(pe);
    atomic_fetch_add(&pe->machine->reservations, 1);
    atomic_store(&pe->machine->slot[pe->index].reserved, set_of(host));
    pe->reserved_age = 0;
}

void hvc_soft_reservation_ages(soft_pe *pe)
{
    if (++pe->reserved_age > LAST_AGE)
        hvc_soft_unreserve(pe);
}

void hvc_soft_break(soft_pe *pe, const uint8_t *host, uint32_t size)
{
    hvc_machine *m = pe->machine;
    uintptr_t first = set_of(host), last = set_of(host + size - 1);
    for (uint32_t i = 0; i < m->max_pes; i++) {
        uintptr_t set = i == pe->index ? 0 : reserved(m, i);
        if (set == first || set == last)
            drop(m, i, set);
    }
}

/* --- access ------------------------------------------------------------------------------------ */

static bool is_double(const hvc_insn *insn)
{
    return (uint32_t)insn->imm >> 12 & 1;
}

/* Where the operand is, or NULL with the trap's pc in *next. */
static uint8_t *operand(soft_pe *pe, uint64_t va, const hvc_insn *insn, uint64_t pc,
                        uint32_t access, uint64_t *next)
{
    uint64_t cause = access == HVCORE_RISCV64_LOAD ? HVCORE_RISCV64_LOAD_MISALIGNED
                                                   : HVCORE_RISCV64_STORE_MISALIGNED;
    if (va & (is_double(insn) ? 7 : 3)) {
        *next = hvc_soft_trap_plain(pe, pc, cause, va);
        return NULL;
    }
    uint8_t *p = hvc_soft_mmu(pe, va, access);
    if (!p)
        *next = hvc_soft_data_fault(pe, insn, pc, va);
    return p;
}

static void result(uint64_t *x, const hvc_insn *insn, uint64_t value)
{
    x[insn->rd] = is_double(insn) ? value : (uint64_t)(int64_t)(int32_t)(uint32_t)value;
    x[0] = 0;
}

uint64_t hvc_soft_op_lr(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    uint64_t next;
    uint8_t *p = operand(pe, x[insn->rs1], insn, pc, HVCORE_RISCV64_LOAD, &next);
    if (!p)
        return next;
    reserve(pe, p);
    pe->reserved_value = is_double(insn) ? atomic_load((const _Atomic uint64_t *)(void *)p)
                                         : atomic_load((const _Atomic uint32_t *)(void *)p);
    result(x, insn, pe->reserved_value);
    return SOFT_NEXT;
}

static bool swap_if_same(const soft_pe *pe, uint8_t *p, const hvc_insn *insn, uint64_t value)
{
    uint64_t seen = pe->reserved_value;
    uint32_t seen32 = (uint32_t)seen;
    if (is_double(insn))
        return atomic_compare_exchange_strong((_Atomic uint64_t *)(void *)p, &seen, value);
    return atomic_compare_exchange_strong((_Atomic uint32_t *)(void *)p, &seen32, (uint32_t)value);
}

/* A failing SC touches nothing; the address is looked at only with a reservation. */
uint64_t hvc_soft_op_sc(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    uintptr_t set = reserved(pe->machine, pe->index);
    uint64_t next, failed = 1;
    uint8_t *p = operand(pe, x[insn->rs1], insn, pc, HVCORE_RISCV64_STORE, &next);
    if (!p)
        return next;
    if (set && set == set_of(p)) {
        hvc_soft_wrote(pe, p, is_double(insn) ? 8 : 4);
        failed = !swap_if_same(pe, p, insn, x[insn->rs2]);
    }
    hvc_soft_unreserve(pe);
    x[insn->rd] = failed;
    x[0] = 0;
    return SOFT_NEXT;
}

/* --- AMO --------------------------------------------------------------------------------------- */

/* The new value, of 32 or 64 bits as `type` says; funct5 names the operation (Unpriv. 14.4). */
#define COMBINE(name, type, stype)                                             \
    static type name(uint32_t funct5, type a, type b)                          \
    {                                                                          \
        switch (funct5) {                                                      \
        case 0x01:                                                             \
            return b;                                                          \
        case 0x00:                                                             \
            return a + b;                                                      \
        case 0x04:                                                             \
            return a ^ b;                                                      \
        case 0x0c:                                                             \
            return a & b;                                                      \
        case 0x08:                                                             \
            return a | b;                                                      \
        case 0x10:                                                             \
            return (stype)a < (stype)b ? a : b;                                \
        case 0x14:                                                             \
            return (stype)a > (stype)b ? a : b;                                \
        case 0x18:                                                             \
            return a < b ? a : b;                                              \
        default:                                                               \
            return a > b ? a : b;                                              \
        }                                                                      \
    }                                                                          \
    static type name##_at(void *at, uint32_t funct5, type b)                   \
    {                                                                          \
        _Atomic type *p = at;                                                  \
        type old = atomic_load_explicit(p, memory_order_relaxed);              \
        while (!atomic_compare_exchange_weak(p, &old, name(funct5, old, b))) { \
        }                                                                      \
        return old;                                                            \
    }
COMBINE(combine32, uint32_t, int32_t)
COMBINE(combine64, uint64_t, int64_t)

uint64_t hvc_soft_op_amo(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    uint32_t funct5 = (uint32_t)insn->imm >> 27;
    uint64_t next, b = x[insn->rs2];
    uint8_t *p = operand(pe, x[insn->rs1], insn, pc, HVCORE_RISCV64_STORE, &next);
    if (!p)
        return next;
    hvc_soft_wrote(pe, p, is_double(insn) ? 8 : 4);
    result(x, insn,
           is_double(insn) ? combine64_at(p, funct5, b) : combine32_at(p, funct5, (uint32_t)b));
    return SOFT_NEXT;
}
