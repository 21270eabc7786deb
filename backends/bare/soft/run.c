/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter: one label an operation, and each decoded instruction knows its label. Registers
 * of this function that matter: `b` the block, `i` the instruction, `base` the address of the
 * block's first byte. The budget is looked at once per block; kick and clock between slices (pe.c).
 */
#include "backends/bare/soft/soft.h"

#include "backends/bare/soft/insns.h"

#define DECODE_COST 4 /* of an instruction, in instructions */

#define OFFSET(insn) ((uint64_t)(insn)->at * 2)
#define PC (base + OFFSET(i))
#define NEXT_PC (base + OFFSET(i + 1))
#define IMM ((uint64_t)(int64_t)i->imm)

#define GO goto * i->go
#define NEXT \
    do {     \
        i++; \
        GO;  \
    } while (0)

/* The rest of the block does not execute. */
#define UNCOUNT (pe->left += b->count - 1 - (i - b->insn))

/* To an address that may be in this page, along a way (0: falling through) that may be known. */
#define FOLLOW(way, target)                                          \
    do {                                                             \
        hvc_block *next_ = b->follow[way];                           \
        pc = (target);                                               \
        if (!SOFT_LIKELY(next_ && next_->epoch == pe->code.epoch)) { \
            from = b;                                                \
            from_way = (way);                                        \
            goto link;                                               \
        }                                                            \
        b = next_;                                                   \
        goto enter;                                                  \
    } while (0)

/* --- values as functions, so that unused operands are no warnings ----------------------------- */

#define VALUE(name, mask, match, isa, value)                                               \
    static inline __attribute__((always_inline)) uint64_t v_##name(uint64_t a, uint64_t b) \
    {                                                                                      \
        (void)a;                                                                           \
        (void)b;                                                                           \
        return (uint64_t)(value);                                                          \
    }
#define VALUE_(...) VALUE(__VA_ARGS__)
SOFT_REGISTER(VALUE_)
SOFT_IMMEDIATE(VALUE_)
SOFT_BRANCHES(VALUE_)

/* --- labels ----------------------------------------------------------------------------------- */

#define LABEL(name, ...) [SOFT_OP_##name] = &&op_##name,
#define LABEL_(...) LABEL(__VA_ARGS__)

#define DO_REGISTER(name, mask, match, isa, value)         \
    op_##name : x[i->rd] = v_##name(x[i->rs1], x[i->rs2]); \
    NEXT;
#define DO_REGISTER_(...) DO_REGISTER(__VA_ARGS__)

#define DO_IMMEDIATE(name, mask, match, isa, value)  \
    op_##name : x[i->rd] = v_##name(x[i->rs1], IMM); \
    NEXT;
#define DO_IMMEDIATE_(...) DO_IMMEDIATE(__VA_ARGS__)

#define DO_LOAD(name, mask, match, isa, type)                                                   \
    op_##name:                                                                                  \
    {                                                                                           \
        uint64_t va = x[i->rs1] + IMM, value;                                                   \
        const soft_tlb *e = hvc_soft_slot(pe, va, HVCORE_RISCV64_LOAD);                         \
        if (hvc_soft_hits(pe, e, va, sizeof(type))) {                                           \
            const void *at = e->host + (va & (SOFT_PAGE - 1));                                  \
            x[i->rd] =                                                                          \
                (uint64_t)atomic_load_explicit((const _Atomic type *)at, memory_order_relaxed); \
            NEXT;                                                                               \
        }                                                                                       \
        if (!hvc_soft_load(pe, va, sizeof(type), &value)) {                                     \
            address = va;                                                                       \
            goto data_fault;                                                                    \
        }                                                                                       \
        x[i->rd] = (uint64_t)(type)value;                                                       \
        NEXT;                                                                                   \
    }
#define DO_LOAD_(...) DO_LOAD(__VA_ARGS__)

#define DO_STORE(name, mask, match, isa, type)                                 \
    op_##name:                                                                 \
    {                                                                          \
        uint64_t va = x[i->rs1] + IMM;                                         \
        const soft_tlb *e = hvc_soft_slot(pe, va, HVCORE_RISCV64_STORE);       \
        if (hvc_soft_hits(pe, e, va, sizeof(type))) {                          \
            uint8_t *at = e->host + (va & (SOFT_PAGE - 1));                    \
            hvc_soft_wrote(pe, at, sizeof(type));                              \
            atomic_store_explicit((_Atomic type *)(void *)at, (type)x[i->rs2], \
                                  memory_order_relaxed);                       \
            NEXT;                                                              \
        }                                                                      \
        if (!hvc_soft_store(pe, va, sizeof(type), x[i->rs2])) {                \
            address = va;                                                      \
            goto data_fault;                                                   \
        }                                                                      \
        NEXT;                                                                  \
    }
#define DO_STORE_(...) DO_STORE(__VA_ARGS__)

#define DO_BRANCH(name, mask, match, isa, value)                \
    op_##name : if (v_##name(x[i->rs1], x[i->rs2])) goto taken; \
    NEXT;
#define DO_BRANCH_(...) DO_BRANCH(__VA_ARGS__)

#define DO_CALL(name, mask, match, isa, function) \
    op_##name : call = function;                  \
    goto go_on;
#define DO_CALL_(...) DO_CALL(__VA_ARGS__)
#define DO_FP(name, ...)                   \
    op_##name : call = hvc_soft_op_##name; \
    goto go_on;

#define DO_END(name, mask, match, isa, function) \
    op_##name : call = function;                 \
    goto end_call;
#define DO_END_(...) DO_END(__VA_ARGS__)

/* --- lookup ----------------------------------------------------------------------------------- */

/* The block at pc beside the table of jumps, or NULL with pe->fault filled. */
static hvc_block *look_up(soft_pe *pe, uint64_t pc)
{
    const uint8_t *host = hvc_soft_mmu(pe, pc, HVCORE_RISCV64_FETCH);
    if (!host)
        return NULL;
    uint32_t room = (uint32_t)(SOFT_PAGE - (pc & (SOFT_PAGE - 1)));
    hvc_soft_code_page(pe->machine, host);
    size_t used = pe->code.used;
    hvc_block *b = hvc_code_find(&pe->code, host, room, hvc_soft_decode, pe);
    if (used != pe->code.used)
        hvc_soft_spend(pe, DECODE_COST * (b ? b->count : 1));
    if (!b)
        return hvc_soft_single(pe, pc); /* it goes on in the next page */
    hvc_soft_mmu_fetched(pe, pc);
    *hvc_code_jump(&pe->code, pc) = (hvc_jump){.pc = pc, .tag = pe->jump_tag, .block = b};
    return b;
}

/* Labels are compared across calls: there must be one copy of this function. */
#ifdef __clang__
__attribute__((noinline))
#else
__attribute__((noinline, noclone))
#endif
uint64_t
hvc_soft_run(soft_pe *pe, uint64_t pc, hvc_block *first)
{
    /* clang-format off */
    static const void *const labels[SOFT_OPS] = {
        [SOFT_OP_end] = &&op_end, [SOFT_OP_nop] = &&op_nop, [SOFT_OP_illegal] = &&op_illegal,
        [SOFT_OP_load_x0] = &&op_load_x0, [SOFT_OP_j] = &&op_j, [SOFT_OP_jr] = &&op_jr,
        [SOFT_OP_astray] = &&op_astray,
        SOFT_REGISTER(LABEL_) SOFT_IMMEDIATE(LABEL_) SOFT_LOADS(LABEL_) SOFT_STORES(LABEL_)
        SOFT_BRANCHES(LABEL_) SOFT_SPECIAL(LABEL_) SOFT_CALLS(LABEL_) HVC_SOFT_FP(LABEL)
        SOFT_ENDS(LABEL_)
    };
    /* clang-format on */
    if (!pe)
        return (uintptr_t)labels;

    uint64_t *const x = pe->frame->x;
    uint64_t base = pc, address = 0;
    hvc_block *b = first, *from = NULL;
    const hvc_insn *i = NULL;
    uint32_t from_way = 0;
    soft_op *call = NULL;

    if (b)
        goto enter;
lookup : {
    const hvc_jump *j = hvc_code_jump(&pe->code, pc);
    b = j->block;
    if (SOFT_LIKELY(!((j->pc ^ pc) | (j->tag ^ pe->jump_tag)) && b->epoch == pe->code.epoch))
        goto enter;
    b = look_up(pe, pc);
    if (!b)
        goto fetch_fault;
}
enter:
    pe->left -= b->count;
    if (!SOFT_LIKELY(pe->left >= 0)) {
        pe->left += b->count;
        return pc;
    }
    base = pc;
    i = b->insn;
    GO;

    /*
     * Find the block at pc, and remember that `from` leads there if that is in its page: of the
     * guest and of the host, which may differ while a page's table entry has changed unfenced.
     */
link : {
    uint32_t emptied = pe->code.emptied;
    uint64_t page = base & ~(SOFT_PAGE - 1);
    uintptr_t host = (uintptr_t)from->host - (base - page);
    const hvc_jump *j = hvc_code_jump(&pe->code, pc);
    b = j->block;
    if (!(!((j->pc ^ pc) | (j->tag ^ pe->jump_tag)) && b->epoch == pe->code.epoch))
        b = look_up(pe, pc);
    if (!b)
        goto fetch_fault;
    if ((pc & ~(SOFT_PAGE - 1)) == page && emptied == pe->code.emptied && b != &pe->single.block &&
        from != &pe->single.block && (uintptr_t)b->host == host + (pc - page))
        from->follow[from_way] = b;
    goto enter;
}

    /* A fetch that traps counts as an instruction: a vector that cannot be fetched has an end. */
fetch_fault:
    if (pe->left <= 0)
        return pc;
    pe->left--;
    pc = hvc_soft_trap(pe, pc, &pe->fault);
    goto resume;

data_fault:
    pe->block = b;
    pc = hvc_soft_data_fault(pe, i, PC, address);
    UNCOUNT;
resume:
    if (pc & 1)
        return pc;
    goto lookup;

taken:
    FOLLOW(1, PC + IMM);

go_on:
    pe->block = b;
    pc = call(pe, x, i, PC);
    if (SOFT_LIKELY(pc == SOFT_NEXT))
        NEXT;
    UNCOUNT;
    goto resume;

    /* What follows may mean something else now: no known way leads there. */
end_call:
    pe->block = b;
    pc = call(pe, x, i, PC);
    if (pc == SOFT_NEXT) {
        pc = NEXT_PC;
        goto lookup;
    }
    goto resume;

op_end:
    FOLLOW(0, PC);
op_nop:
    NEXT;
op_illegal:
    call = hvc_soft_op_illegal;
    goto end_call;
op_load_x0:
    call = hvc_soft_op_load_x0;
    goto go_on;
op_astray:
    call = hvc_soft_op_astray;
    goto end_call;
op_lui:
    x[i->rd] = IMM;
    NEXT;
op_auipc:
    x[i->rd] = PC + IMM;
    NEXT;
op_jal:
    x[i->rd] = NEXT_PC;
    FOLLOW(1, PC + IMM);
op_j:
    FOLLOW(1, PC + IMM);
op_jalr:
    pc = (x[i->rs1] + IMM) & ~UINT64_C(1);
    if (!SOFT_LIKELY(!(pc & pe->port.ialign)))
        goto jump_astray;
    x[i->rd] = NEXT_PC;
    goto lookup;
op_jr:
    pc = (x[i->rs1] + IMM) & ~UINT64_C(1);
    if (SOFT_LIKELY(!(pc & pe->port.ialign)))
        goto lookup;
jump_astray:
    pc = hvc_soft_trap_plain(pe, PC, HVCORE_RISCV64_INSN_MISALIGNED, pc);
    goto resume;

    SOFT_REGISTER(DO_REGISTER_)
    SOFT_IMMEDIATE(DO_IMMEDIATE_)
    SOFT_LOADS(DO_LOAD_)
    SOFT_STORES(DO_STORE_)
    SOFT_BRANCHES(DO_BRANCH_)
    SOFT_CALLS(DO_CALL_)
    HVC_SOFT_FP(DO_FP)
    SOFT_ENDS(DO_END_)
}
