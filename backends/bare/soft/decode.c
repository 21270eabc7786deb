/* SPDX-License-Identifier: Apache-2.0 */
/* From bytes to blocks of decoded instructions. */
#include "backends/bare/soft/soft.h"

#include "backends/bare/soft/insns.h"
#include "lib/host/mem.h"

/* How fields and operands are read. */
enum form {
    FORM_REGISTER,  /* rd, rs1, rs2 */
    FORM_IMMEDIATE, /* rd, rs1, I */
    FORM_LOAD,
    FORM_STORE,
    FORM_BRANCH,
    FORM_UPPER,
    FORM_JUMP,
    FORM_JUMP_REGISTER,
    FORM_CALL, /* the word */
    FORM_END   /* the word; ends a block */
};

typedef struct row {
    uint32_t mask, match;
    uint32_t isa;
    uint16_t op;
    uint8_t form;
} row;

#define ROW(form, name, mask, match, isa, value) {mask, match, isa, SOFT_OP_##name, form},
#define ROW_(form, ...) ROW(form, __VA_ARGS__)
#define SPECIAL_ROW_(name, mask, match, isa, form) {mask, match, isa, SOFT_OP_##name, form},
#define SPECIAL_ROW(...) SPECIAL_ROW_(__VA_ARGS__)
#define REGISTER_ROW(...) ROW_(FORM_REGISTER, __VA_ARGS__)
#define IMMEDIATE_ROW(...) ROW_(FORM_IMMEDIATE, __VA_ARGS__)
#define LOAD_ROW(...) ROW_(FORM_LOAD, __VA_ARGS__)
#define STORE_ROW(...) ROW_(FORM_STORE, __VA_ARGS__)
#define BRANCH_ROW(...) ROW_(FORM_BRANCH, __VA_ARGS__)
#define CALL_ROW(...) ROW_(FORM_CALL, __VA_ARGS__)
#define END_ROW(...) ROW_(FORM_END, __VA_ARGS__)
#define FP_ROW(name, mask, match, ...) \
    {mask, match, HVCORE_RISCV64_ISA_FD, SOFT_OP_##name, FORM_CALL},

/* clang-format off */
static const row rows[] = {
    SOFT_REGISTER(REGISTER_ROW)
    SOFT_IMMEDIATE(IMMEDIATE_ROW)
    SOFT_LOADS(LOAD_ROW)
    SOFT_STORES(STORE_ROW)
    SOFT_BRANCHES(BRANCH_ROW)
    SOFT_SPECIAL(SPECIAL_ROW)
    SOFT_CALLS(CALL_ROW)
    HVC_SOFT_FP(FP_ROW)
    SOFT_ENDS(END_ROW)
};
/* clang-format on */

#define ROWS (sizeof rows / sizeof rows[0])
_Static_assert(ROWS <= SOFT_ROWS, "soft_index is too small");

/* --- index: the rows of each major opcode ----------------------------------------------------- */

static uint32_t major(uint32_t word)
{
    return word >> 2 & 31;
}

static bool implemented(const row *r, uint64_t isa)
{
    return !r->isa || r->isa & isa;
}

/* Rows by their major opcode, in the order of the table: count, then place. */
void hvc_soft_index_init(soft_index *index, uint64_t isa)
{
    uint16_t next[32];
    for (uint32_t i = 0; i < ROWS; i++)
        index->first[major(rows[i].match) + 1] += implemented(&rows[i], isa);
    for (uint32_t m = 0; m < 32; m++) {
        next[m] = index->first[m];
        index->first[m + 1] = (uint16_t)(index->first[m + 1] + index->first[m]);
    }
    for (uint16_t i = 0; i < ROWS; i++) {
        if (implemented(&rows[i], isa))
            index->row[next[major(rows[i].match)]++] = i;
    }
}

static const row *find(const soft_index *index, uint32_t word)
{
    uint32_t m = major(word);
    for (uint32_t i = index->first[m]; i < index->first[m + 1]; i++) {
        const row *r = &rows[index->row[i]];
        if ((word & r->mask) == r->match)
            return r;
    }
    return NULL;
}

/* --- immediates ------------------------------------------------------------------------------- */

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

static uint32_t immediate(uint32_t word, enum form form)
{
    switch (form) {
    case FORM_REGISTER:
        return 0;
    case FORM_IMMEDIATE:
    case FORM_LOAD:
    case FORM_JUMP_REGISTER:
        return sign(word, 11) | field(word, 20, 11, 0);
    case FORM_STORE:
        return sign(word, 11) | field(word, 25, 6, 5) | field(word, 7, 5, 0);
    case FORM_BRANCH:
        return sign(word, 12) | field(word, 7, 1, 11) | field(word, 25, 6, 5) |
               field(word, 8, 4, 1);
    case FORM_UPPER:
        return word & 0xfffff000u;
    case FORM_JUMP:
        return sign(word, 20) | field(word, 12, 8, 12) | field(word, 20, 1, 11) |
               field(word, 21, 10, 1);
    case FORM_CALL:
    case FORM_END:
        break;
    }
    return word;
}

/* --- an instruction --------------------------------------------------------------------------- */

/* Whatever would write x0 becomes an operation that does not. */
static uint32_t operation(const row *r, uint32_t rd, uint32_t imm, uint64_t isa)
{
    bool astray = imm & 2 && !(isa & HVCORE_RISCV64_ISA_C);
    switch ((enum form)r->form) {
    case FORM_REGISTER:
    case FORM_IMMEDIATE:
    case FORM_UPPER:
        return rd ? r->op : SOFT_OP_nop;
    case FORM_LOAD:
        return rd ? r->op : SOFT_OP_load_x0;
    case FORM_BRANCH:
        return astray ? SOFT_OP_astray : r->op;
    case FORM_JUMP:
        return astray ? SOFT_OP_astray : rd ? r->op : SOFT_OP_j;
    case FORM_JUMP_REGISTER:
        return rd ? r->op : SOFT_OP_jr;
    case FORM_STORE:
    case FORM_CALL:
    case FORM_END:
        break;
    }
    return r->op;
}

/* Decodes `word` into *insn, but for its place; true if it ends a block. */
static bool decode(const soft_pe *pe, uint32_t word, hvc_insn *insn)
{
    uint64_t isa = pe->port.isa;
    uint32_t rd = word >> 7 & 31, op = SOFT_OP_illegal;
    const row *r = (word & 3) == 3 ? find(&pe->machine->index, word) : NULL;
    *insn = (hvc_insn){
        .rd = (uint8_t)rd, .rs1 = word >> 15 & 31, .rs2 = word >> 20 & 31, .imm = (int32_t)word};
    if (r) {
        uint32_t imm = immediate(word, r->form);
        op = operation(r, rd, imm, isa);
        if (op != SOFT_OP_load_x0)
            insn->imm = (int32_t)imm;
    }
    insn->go = pe->labels[op];
    return op == SOFT_OP_illegal || r->form == FORM_END || r->form == FORM_BRANCH ||
           r->form == FORM_JUMP || r->form == FORM_JUMP_REGISTER;
}

/* --- a block ---------------------------------------------------------------------------------- */

static uint32_t half_at(const uint8_t *code)
{
    return code[0] | (uint32_t)code[1] << 8;
}

/* The instruction at `code`; its length in bytes, or 0 if it is not there in whole. */
static uint32_t fetch(const soft_pe *pe, const uint8_t *code, uint32_t bytes, uint32_t *word)
{
    uint32_t low = bytes >= 2 ? half_at(code) : 0, wide = hvc_soft_has(pe, HVCORE_RISCV64_ISA_C);
    if (bytes < 2)
        return 0;
    if ((low & 3) == 3 || !wide) {
        *word = bytes >= 4 ? low | half_at(code + 2) << 16 : 0;
        return bytes >= 4 ? 4 : 0;
    }
    *word = hvc_soft_expand(low, pe->port.isa);
    return 2;
}

uint32_t hvc_soft_decode(void *user, const uint8_t *code, uint32_t bytes, hvc_insn *insn,
                         uint32_t *used)
{
    const soft_pe *pe = user;
    uint32_t at = 0, n = 0, len, word;
    bool end = false;
    while (n < HVC_BLOCK_INSNS && !end && (len = fetch(pe, code + at, bytes - at, &word))) {
        end = decode(pe, word, &insn[n]);
        insn[n++].at = (uint8_t)(at / 2);
        at += len;
    }
    insn[n] = (hvc_insn){.go = pe->labels[SOFT_OP_end], .at = (uint8_t)(at / 2)};
    *used = at;
    return n;
}

/* --- one instruction, wherever it lies -------------------------------------------------------- */

/* A half-word of code, or false with pe->fault filled. */
static bool half(soft_pe *pe, uint64_t pc, uint8_t *to)
{
    const uint8_t *p = hvc_soft_mmu(pe, pc, HVCORE_RISCV64_FETCH);
    if (!p)
        return false;
    uint16_t h =
        atomic_load_explicit((const _Atomic uint16_t *)(const void *)p, memory_order_relaxed);
    memcpy(to, &h, sizeof h);
    return true;
}

/* The fault of a second half that lies in another page has that page's address. */
hvc_block *hvc_soft_single(soft_pe *pe, uint64_t pc)
{
    hvc_block *b = &pe->single.block;
    uint8_t code[4];
    uint32_t len = 2, used;
    if (!half(pe, pc, code))
        return NULL;
    if ((code[0] & 3) == 3 || !hvc_soft_has(pe, HVCORE_RISCV64_ISA_C)) {
        len = 4;
        if (!half(pe, pc + 2, code + 2))
            return NULL;
    }
    *b = (hvc_block){.epoch = pe->code.epoch, .count = 1, .bytes = (uint16_t)len};
    hvc_soft_decode(pe, code, len, b->insn, &used);
    memcpy(&b->insn[2], code, len);
    return b;
}

/* --- what an instruction looks like in memory ------------------------------------------------- */

uint32_t hvc_soft_bits(const soft_pe *pe, const hvc_insn *insn)
{
    const uint8_t *code = hvc_block_bytes(pe->block) + 2 * insn->at;
    uint32_t low = half_at(code);
    if ((low & 3) != 3)
        return low;
    return low | half_at(code + 2) << 16;
}

#define LOAD_KEPT 0x00007fffu  /* funct3, rd, opcode */
#define STORE_KEPT 0x01f0707fu /* rs2, funct3, opcode */
#define AMO_KEPT 0xfff07fffu   /* all but rs1 */
#define EXPANDED 2u            /* bit 1 is clear in what was compressed */

static uint32_t kept(uint32_t word)
{
    switch (word & 0x7f) {
    case HVC_OPCODE_LOAD:
    case HVC_OPCODE_LOAD_FP:
        return LOAD_KEPT;
    case HVC_OPCODE_STORE:
    case HVC_OPCODE_STORE_FP:
        return STORE_KEPT;
    case HVC_OPCODE_AMO:
        return AMO_KEPT;
    default:
        return 0; /* without a transformation, such as CBO */
    }
}

uint64_t hvc_soft_transform(const soft_pe *pe, const hvc_insn *insn, uint64_t offset)
{
    uint32_t bits = hvc_soft_bits(pe, insn), half = (bits & 3) != 3;
    uint32_t word = half ? hvc_soft_expand(bits, pe->port.isa) : bits;
    uint32_t mask = kept(word);
    if (!mask)
        return 0;
    return ((word & mask) | (uint32_t)offset << 15) & ~(half ? EXPANDED : 0);
}
