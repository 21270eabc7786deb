/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMO, LR and SC. A reservation is the host's address of a set of 64 bytes, in a word of its PE in
 * the machine. As long as any is held, every store of another PE looks whether it hits one, before
 * it writes, and takes it away. SC marks its own BUSY while it swaps: who wants to take it away
 * then waits for those few instructions.
 *
 * A store that looked before the LR and writes after it is not seen. SC therefore compares the
 * value as well: then memory has what LR read, and one such store is as good as one before the LR.
 * (Two of them in flight, one undoing the other, would be missed.)
 *
 * SC may always fail. A reservation is given up after so many instructions, so that stores need not
 * look for ever; a constrained loop (Unpriv. 14.3) is far shorter.
 *
 * The host's atomics beside relaxed plain accesses are not RCsc by themselves: aq and rl are
 * fences.
 */
#include "backends/bare/soft/soft.h"

#define SET_SIZE 64
#define BUSY 1u
#define LAST_AGE (64 * (uint64_t)SOFT_SLICE) /* instructions */

static uintptr_t set_of(const uint8_t *host)
{
    return (uintptr_t)host & ~(uintptr_t)(SET_SIZE - 1);
}

/* --- reservations ----------------------------------------------------------------------------- */

static _Atomic uintptr_t *slot_of(hvc_machine *m, uint32_t index)
{
    return &m->slot[index].reserved;
}

/* Whoever makes it 0 takes it out of the count. False: it is in use, or has changed. */
static bool drop(hvc_machine *m, uint32_t index, uintptr_t set)
{
    if (set & BUSY || !atomic_compare_exchange_strong(slot_of(m, index), &set, 0))
        return false;
    atomic_fetch_sub(&m->reservations, 1);
    return true;
}

void hvc_soft_unreserve(soft_pe *pe)
{
    uintptr_t set = atomic_load_explicit(slot_of(pe->machine, pe->index), memory_order_relaxed);
    if (set)
        drop(pe->machine, pe->index, set);
}

static void reserve(soft_pe *pe, uint8_t *at, bool wide)
{
    hvc_soft_unreserve(pe);
    pe->reserved_at = at;
    pe->reserved_wide = wide;
    pe->reserved_since = pe->attempts;
    atomic_fetch_add(&pe->machine->reservations, 1);
    atomic_store(slot_of(pe->machine, pe->index), set_of(at));
}

void hvc_soft_reservation_ages(soft_pe *pe)
{
    if (pe->attempts - pe->reserved_since > LAST_AGE)
        hvc_soft_unreserve(pe);
}

/* Take it away if it is one of these sets; again, if its owner has just been using it. */
static void break_one(hvc_machine *m, uint32_t index, uintptr_t first, uintptr_t last)
{
    uintptr_t set;
    do
        set = atomic_load(slot_of(m, index));
    while (set && ((set & ~(uintptr_t)BUSY) == first || (set & ~(uintptr_t)BUSY) == last) &&
           !drop(m, index, set));
}

void hvc_soft_break(soft_pe *pe, const uint8_t *host, uint32_t size)
{
    hvc_machine *m = pe->machine;
    uint32_t pes = atomic_load(&m->claimed);
    for (uint32_t i = 0; i < pes; i++) {
        if (i != pe->index)
            break_one(m, i, set_of(host), set_of(host + size - 1));
    }
}

/* --- access ----------------------------------------------------------------------------------- */

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

/* rl orders what came before, aq what comes after (Unpriv. 14.1). */
static void release(const hvc_insn *insn)
{
    if ((uint32_t)insn->imm >> 25 & 1)
        atomic_thread_fence(memory_order_seq_cst);
}

static void acquire(const hvc_insn *insn)
{
    if ((uint32_t)insn->imm >> 26 & 1)
        atomic_thread_fence(memory_order_seq_cst);
}

/* --- LR and SC -------------------------------------------------------------------------------- */

uint64_t hvc_soft_op_lr(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    uint64_t next;
    uint8_t *p = operand(pe, x[insn->rs1], insn, pc, HVCORE_RISCV64_LOAD, &next);
    if (!p)
        return next;
    release(insn);
    reserve(pe, p, is_double(insn));
    pe->reserved_value = is_double(insn) ? atomic_load((const _Atomic uint64_t *)(void *)p)
                                         : atomic_load((const _Atomic uint32_t *)(void *)p);
    acquire(insn);
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

/* Other PEs' reservations go first: nobody waits while his own is BUSY. */
static bool store_conditional(soft_pe *pe, uint8_t *p, const hvc_insn *insn, uint64_t value)
{
    hvc_machine *m = pe->machine;
    uintptr_t set = set_of(p);
    if (p != pe->reserved_at || is_double(insn) != pe->reserved_wide)
        return false;
    if (atomic_load(pe->watch))
        hvc_soft_break(pe, p, is_double(insn) ? 8 : 4);
    if (!atomic_compare_exchange_strong(slot_of(m, pe->index), &set, set | BUSY))
        return false;
    bool done = swap_if_same(pe, p, insn, value);
    atomic_store(slot_of(m, pe->index), 0);
    atomic_fetch_sub(&m->reservations, 1);
    return done;
}

/* The address is translated, for a store, whether or not there is a reservation. */
uint64_t hvc_soft_op_sc(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    uint64_t next;
    uint8_t *p = operand(pe, x[insn->rs1], insn, pc, HVCORE_RISCV64_STORE, &next);
    if (!p)
        return next;
    release(insn);
    bool done = store_conditional(pe, p, insn, x[insn->rs2]);
    acquire(insn);
    hvc_soft_unreserve(pe);
    x[insn->rd] = !done;
    x[0] = 0;
    return SOFT_NEXT;
}

/* --- AMO -------------------------------------------------------------------------------------- */

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
    release(insn);
    if (atomic_load(pe->watch)) /* not before an earlier AMO of this PE */
        hvc_soft_break(pe, p, is_double(insn) ? 8 : 4);
    result(x, insn,
           is_double(insn) ? combine64_at(p, funct5, b) : combine32_at(p, funct5, (uint32_t)b));
    acquire(insn);
    return SOFT_NEXT;
}
