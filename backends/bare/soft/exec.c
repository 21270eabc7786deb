/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of the interpreter; integer computation, multiplication, jumps. */
#include "backends/bare/soft/soft.h"

#define INSN_ALIGN UINT64_C(3) /* IALIGN is 32 */

/* --- the loop --------------------------------------------------------------------------------- */

/*
 * The instruction at pc, which lies in the open page. Slots are chosen by address and hold for a
 * word: the word is read each time, so that nothing has to be told when code changes, not even by
 * FENCE.I.
 */
static inline const soft_insn *fetch(soft_pe *pe, uint64_t pc)
{
    uint64_t offset = pc & (SOFT_PAGE - 1);
    const _Atomic uint32_t *at = (const _Atomic uint32_t *)(const void *)(pe->code + offset);
    uint32_t word = atomic_load_explicit(at, memory_order_relaxed);
    soft_insn *insn = &pe->insn[pc / 4 % SOFT_INSNS];
    if (!SOFT_LIKELY(insn->word == word))
        hvc_soft_decode(insn, word);
    return insn;
}

/* Make the page of pc the one that instructions come from. Else the trap's next pc is in *pc. */
static bool open_page(soft_pe *pe, uint64_t *pc)
{
    const uint8_t *p = hvc_soft_mmu(pe, *pc, HVCORE_RISCV64_FETCH, sizeof(uint32_t));
    if (!p) {
        *pc = hvc_soft_trap(pe, *pc, &pe->fault);
        return false;
    }
    pe->code_page = *pc & ~(SOFT_PAGE - 1);
    pe->code = p - (*pc & (SOFT_PAGE - 1));
    return true;
}

/*
 * A fetch that traps counts as an instruction: a vector that cannot be fetched ends the slice as
 * well. So does heavy work, for the sake of a prompt kick.
 */
uint64_t hvc_soft_run(soft_pe *pe, uint64_t pc, uint32_t n)
{
    uint64_t *x = pe->frame->x;
    pe->attempts += n;
    pe->left = n;
    while (n && pc != SOFT_STOP) {
        if (SOFT_LIKELY((pc & ~(SOFT_PAGE - 1 - INSN_ALIGN)) == pe->code_page)) {
            const soft_insn *insn = fetch(pe, pc);
            pe->left = --n;
            pc = insn->run(pe, x, insn, pc);
        } else if (pe->heavy >= SOFT_HEAVY) {
            break;
        } else if (!open_page(pe, &pc)) {
            pe->left = --n;
        }
    }
    return pc;
}

/* --- traps as instructions -------------------------------------------------------------------- */

/* stval holds the instruction, of 32 bits or of 16 (Priv. 12.1.9, Unpriv. 1.5). */
static uint64_t bits_of(const soft_insn *insn)
{
    return (insn->word & 3) == 3 ? insn->word : insn->word & 0xffff;
}

uint64_t hvc_soft_op_illegal(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
{
    (void)x;
    return hvc_soft_trap_plain(pe, pc, HVCORE_RISCV64_ILLEGAL_INSN, bits_of(insn));
}

uint64_t hvc_soft_op_virtual(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
{
    (void)x;
    return hvc_soft_trap_plain(pe, pc, HVCORE_RISCV64_VIRTUAL_INSN, bits_of(insn));
}

uint64_t hvc_soft_op_nop(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
{
    (void)pe;
    (void)x;
    (void)insn;
    return pc + 4;
}

/* --- computation ------------------------------------------------------------------------------ */

static inline uint64_t sext32(uint64_t value)
{
    return (uint64_t)(int64_t)(int32_t)(uint32_t)value;
}

static inline uint64_t mulh(uint64_t a, uint64_t b)
{
    return (uint64_t)((__int128)(int64_t)a * (int64_t)b >> 64);
}

static inline uint64_t mulhsu(uint64_t a, uint64_t b)
{
    return (uint64_t)((__int128)(int64_t)a * (__int128)b >> 64);
}

static inline uint64_t mulhu(uint64_t a, uint64_t b)
{
    return (uint64_t)((unsigned __int128)a * b >> 64);
}

/* Division never traps: by zero and overflow have results (Unpriv. 13.2, table 11). */
static inline int64_t divide(int64_t a, int64_t b)
{
    if (!b)
        return -1;
    return a == INT64_MIN && b == -1 ? a : a / b;
}

static inline int64_t rest(int64_t a, int64_t b)
{
    if (!b)
        return a;
    return b == -1 ? 0 : a % b;
}

/* clang-format off */
/* Both with a register and with an immediate: X(name, value). */
#define BOTH(X)                                            \
    X(add,   a + b)                                        \
    X(sll,   a << (b & 63))                                \
    X(slt,   (int64_t)a < (int64_t)b)                      \
    X(sltu,  a < b)                                        \
    X(xor,   a ^ b)                                        \
    X(srl,   a >> (b & 63))                                \
    X(sra,   (uint64_t)((int64_t)a >> (b & 63)))           \
    X(or,    a | b)                                        \
    X(and,   a & b)                                        \
    X(addw,  sext32(a + b))                                \
    X(sllw,  sext32(a << (b & 31)))                        \
    X(srlw,  sext32((uint32_t)a >> (b & 31)))              \
    X(sraw,  (uint64_t)((int64_t)sext32(a) >> (b & 31)))

#define REGISTERS(X)                                       \
    X(sub,    a - b)                                       \
    X(subw,   sext32(a - b))                               \
    X(mul,    a * b)                                       \
    X(mulh,   mulh(a, b))                                  \
    X(mulhsu, mulhsu(a, b))                                \
    X(mulhu,  mulhu(a, b))                                 \
    X(div,    (uint64_t)divide((int64_t)a, (int64_t)b))    \
    X(divu,   b ? a / b : UINT64_MAX)                      \
    X(rem,    (uint64_t)rest((int64_t)a, (int64_t)b))      \
    X(remu,   b ? a % b : a)                               \
    X(mulw,   sext32(a * b))                               \
    X(divw,   sext32((uint64_t)divide((int32_t)a, (int32_t)b)))                 \
    X(divuw,  (uint32_t)b ? sext32((uint32_t)a / (uint32_t)b) : UINT64_MAX)     \
    X(remw,   sext32((uint64_t)rest((int32_t)a, (int32_t)b)))                   \
    X(remuw,  (uint32_t)b ? sext32((uint32_t)a % (uint32_t)b) : sext32(a))

#define BRANCHES(X)                                        \
    X(beq,  a == b)                                        \
    X(bne,  a != b)                                        \
    X(blt,  (int64_t)a < (int64_t)b)                       \
    X(bge,  (int64_t)a >= (int64_t)b)                      \
    X(bltu, a < b)                                         \
    X(bgeu, a >= b)
/* clang-format on */

#define OP(name, second, value)                                                             \
    static uint64_t op_##name(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc) \
    {                                                                                       \
        uint64_t a = x[insn->rs1], b = (second);                                            \
        (void)pe;                                                                           \
        x[insn->rd] = (value);                                                              \
        return pc + 4;                                                                      \
    }
#define WITH_REGISTER(name, value) OP(name, x[insn->rs2], value)
#define WITH_IMMEDIATE(name, value) OP(name##_i, (uint64_t)(int64_t)insn->imm, value)

BOTH(WITH_REGISTER)
BOTH(WITH_IMMEDIATE)
REGISTERS(WITH_REGISTER)

static uint64_t op_lui(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
{
    (void)pe;
    x[insn->rd] = (uint64_t)(int64_t)insn->imm;
    return pc + 4;
}

static uint64_t op_auipc(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
{
    (void)pe;
    x[insn->rd] = pc + (uint64_t)(int64_t)insn->imm;
    return pc + 4;
}

/* --- jumps ------------------------------------------------------------------------------------ */

/* The exception is the jump's, not its target's, and no link is written (Unpriv. 2.5). */
static uint64_t jump_misaligned(soft_pe *pe, uint64_t pc, uint64_t target)
{
    return hvc_soft_trap_plain(pe, pc, HVCORE_RISCV64_INSN_MISALIGNED, target);
}

static inline uint64_t jump(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc,
                            uint64_t target)
{
    if (!SOFT_LIKELY(!(target & INSN_ALIGN)))
        return jump_misaligned(pe, pc, target);
    x[insn->rd] = pc + 4;
    x[0] = 0;
    return target;
}

static uint64_t op_jal(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
{
    return jump(pe, x, insn, pc, pc + (uint64_t)(int64_t)insn->imm);
}

static uint64_t op_jalr(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
{
    uint64_t target = x[insn->rs1] + (uint64_t)(int64_t)insn->imm;
    return jump(pe, x, insn, pc, target & ~UINT64_C(1));
}

#define BRANCH(name, taken)                                                                    \
    static uint64_t op_##name(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)    \
    {                                                                                          \
        uint64_t a = x[insn->rs1], b = x[insn->rs2];                                           \
        if (!(taken))                                                                          \
            return pc + 4;                                                                     \
        uint64_t target = pc + (uint64_t)(int64_t)insn->imm;                                   \
        return SOFT_LIKELY(!(target & INSN_ALIGN)) ? target : jump_misaligned(pe, pc, target); \
    }
BRANCHES(BRANCH)

/* --- encodings -------------------------------------------------------------------------------- */

static const soft_row rows_op_imm[] = {
    SOFT_F3(0x13, 0, op_add_i),    SOFT_F3(0x13, 2, op_slt_i),    SOFT_F3(0x13, 3, op_sltu_i),
    SOFT_F3(0x13, 4, op_xor_i),    SOFT_F3(0x13, 6, op_or_i),     SOFT_F3(0x13, 7, op_and_i),
    SOFT_F6(0x13, 1, 0, op_sll_i), SOFT_F6(0x13, 5, 0, op_srl_i), SOFT_F6(0x13, 5, 0x10, op_sra_i),
};
static const soft_row rows_op_imm_32[] = {
    SOFT_F3(0x1b, 0, op_addw_i),
    SOFT_F7(0x1b, 1, 0, op_sllw_i),
    SOFT_F7(0x1b, 5, 0, op_srlw_i),
    SOFT_F7(0x1b, 5, 0x20, op_sraw_i),
};
static const soft_row rows_op[] = {
    SOFT_F7(0x33, 0, 0, op_add),    SOFT_F7(0x33, 0, 0x20, op_sub), SOFT_F7(0x33, 1, 0, op_sll),
    SOFT_F7(0x33, 2, 0, op_slt),    SOFT_F7(0x33, 3, 0, op_sltu),   SOFT_F7(0x33, 4, 0, op_xor),
    SOFT_F7(0x33, 5, 0, op_srl),    SOFT_F7(0x33, 5, 0x20, op_sra), SOFT_F7(0x33, 6, 0, op_or),
    SOFT_F7(0x33, 7, 0, op_and),    SOFT_F7(0x33, 0, 1, op_mul),    SOFT_F7(0x33, 1, 1, op_mulh),
    SOFT_F7(0x33, 2, 1, op_mulhsu), SOFT_F7(0x33, 3, 1, op_mulhu),  SOFT_F7(0x33, 4, 1, op_div),
    SOFT_F7(0x33, 5, 1, op_divu),   SOFT_F7(0x33, 6, 1, op_rem),    SOFT_F7(0x33, 7, 1, op_remu),
};
static const soft_row rows_op_32[] = {
    SOFT_F7(0x3b, 0, 0, op_addw),  SOFT_F7(0x3b, 0, 0x20, op_subw), SOFT_F7(0x3b, 1, 0, op_sllw),
    SOFT_F7(0x3b, 5, 0, op_srlw),  SOFT_F7(0x3b, 5, 0x20, op_sraw), SOFT_F7(0x3b, 0, 1, op_mulw),
    SOFT_F7(0x3b, 4, 1, op_divw),  SOFT_F7(0x3b, 5, 1, op_divuw),   SOFT_F7(0x3b, 6, 1, op_remw),
    SOFT_F7(0x3b, 7, 1, op_remuw),
};
static const soft_row rows_lui[] = {SOFT_MAJOR_ONLY(0x37, op_lui)};
static const soft_row rows_auipc[] = {SOFT_MAJOR_ONLY(0x17, op_auipc)};
static const soft_row rows_jal[] = {SOFT_MAJOR_ONLY(0x6f, op_jal)};
static const soft_row rows_jalr[] = {SOFT_F3(0x67, 0, op_jalr)};
static const soft_row rows_branch[] = {
    SOFT_F3(0x63, 0, op_beq), SOFT_F3(0x63, 1, op_bne),  SOFT_F3(0x63, 4, op_blt),
    SOFT_F3(0x63, 5, op_bge), SOFT_F3(0x63, 6, op_bltu), SOFT_F3(0x63, 7, op_bgeu),
};

const soft_major hvc_soft_major_op_imm = SOFT_MAJOR(rows_op_imm, SOFT_I, 1);
const soft_major hvc_soft_major_op_imm_32 = SOFT_MAJOR(rows_op_imm_32, SOFT_I, 1);
const soft_major hvc_soft_major_op = SOFT_MAJOR(rows_op, SOFT_R, 1);
const soft_major hvc_soft_major_op_32 = SOFT_MAJOR(rows_op_32, SOFT_R, 1);
const soft_major hvc_soft_major_lui = SOFT_MAJOR(rows_lui, SOFT_U, 1);
const soft_major hvc_soft_major_auipc = SOFT_MAJOR(rows_auipc, SOFT_U, 1);
const soft_major hvc_soft_major_jal = SOFT_MAJOR(rows_jal, SOFT_J, 0);
const soft_major hvc_soft_major_jalr = SOFT_MAJOR(rows_jalr, SOFT_I, 0);
const soft_major hvc_soft_major_branch = SOFT_MAJOR(rows_branch, SOFT_B, 0);
