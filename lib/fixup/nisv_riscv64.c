/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load or store that met a device: which bytes, which register (Priv. 1.13, 21.6.3; Unpriv. "A",
 * "F", "D", "C", "Zcb", "CMO" and the listings of chapter 37). Two sources: the transformed
 * instruction in htinst, or the instruction itself. Both are decoded by the same code, since the
 * transformation keeps every field but the address.
 */
#include <hvcore/fixup/nisv.h>
#include <hvcore/walk/riscv64.h>

#include "lib/arch/riscv64.h"
#include "lib/fixup/htinst.h"

#define PAGE UINT64_C(4096)
#define OPCODE_MISC_MEM UINT32_C(0x0f)
#define HSTATUS_VSBE HVC_BIT(5)

/* What an instruction does, wherever its address comes from. */
typedef struct insn {
    uint8_t kind; /* HVCORE_ACCESS_* kind */
    uint8_t op;   /* HVCORE_ACCESS_OP_* */
    uint8_t cls;  /* HVCORE_ACCESS_REG_X or _F */
    uint8_t size; /* bytes; 0: a block */
    uint8_t sign;
    uint8_t rd, rs1, rs2;
    uint8_t flags; /* HVCORE_ACCESS_ACQUIRE, _RELEASE */
    uint8_t len;
    uint8_t cbo;
    int16_t imm;
} insn;

/* An access: an instruction and its place. */
typedef struct access {
    insn i;
    uint64_t va;    /* its first byte */
    uint64_t at;    /* the same, guest-physical, were all of it in the page that the trap named */
    uint64_t fault; /* which byte of it the trap named */
    uint32_t size;
} access;

/* ---- instructions of 32 bits: each returns 0, or why it is none ---- */

static uint32_t bits(uint32_t word, unsigned hi, unsigned lo)
{
    return word << (31 - hi) >> (31 - hi + lo);
}

static uint8_t field5(uint32_t word, unsigned at)
{
    return (uint8_t)bits(word, at + 4, at);
}

static uint32_t decode_load(uint32_t word, insn *i)
{
    uint32_t funct3 = bits(word, 14, 12);

    if (funct3 == 7) {
        return HVCORE_NISV_RISCV64_UNKNOWN;
    }
    i->kind = HVCORE_ACCESS_LOAD;
    i->cls = HVCORE_ACCESS_REG_X;
    i->size = (uint8_t)(1u << (funct3 & 3));
    i->sign = funct3 < 4;
    return 0;
}

static int16_t store_offset(uint32_t word)
{
    return (int16_t)((int32_t)(word & UINT32_C(0xfe000000)) >> 20 | (int32_t)bits(word, 11, 7));
}

static uint32_t decode_store(uint32_t word, insn *i)
{
    uint32_t funct3 = bits(word, 14, 12);

    if (funct3 > 3) {
        return HVCORE_NISV_RISCV64_UNKNOWN;
    }
    i->kind = HVCORE_ACCESS_STORE;
    i->cls = HVCORE_ACCESS_REG_X;
    i->size = (uint8_t)(1u << funct3);
    i->imm = store_offset(word);
    return 0;
}

/* Widths 1 to 4 are half, single, double and quad; all others are vectors (Unpriv. 30.7). */
static uint32_t decode_fp(uint32_t word, uint8_t kind, insn *i)
{
    uint32_t funct3 = bits(word, 14, 12);

    if (funct3 == 0 || funct3 > 4) {
        return HVCORE_NISV_RISCV64_VECTOR;
    }
    if (funct3 == 4) {
        return HVCORE_NISV_RISCV64_QUAD;
    }
    i->kind = kind;
    i->cls = HVCORE_ACCESS_REG_F;
    i->size = (uint8_t)(1u << funct3);
    if (kind == HVCORE_ACCESS_STORE) {
        i->imm = store_offset(word);
    }
    return 0;
}

/* By funct5; 0: not an operation of these. */
static const uint8_t amo_ops[32] = {
    [0x00] = HVCORE_ACCESS_OP_ADD,  [0x01] = HVCORE_ACCESS_OP_SWAP, [0x04] = HVCORE_ACCESS_OP_XOR,
    [0x05] = HVCORE_ACCESS_OP_CAS,  [0x08] = HVCORE_ACCESS_OP_OR,   [0x0c] = HVCORE_ACCESS_OP_AND,
    [0x10] = HVCORE_ACCESS_OP_SMIN, [0x14] = HVCORE_ACCESS_OP_SMAX, [0x18] = HVCORE_ACCESS_OP_UMIN,
    [0x1c] = HVCORE_ACCESS_OP_UMAX,
};

enum { FUNCT5_LR = 2, FUNCT5_SC = 3 };

static uint8_t amo_kind(uint32_t funct5)
{
    switch (funct5) {
    case FUNCT5_LR:
        return HVCORE_ACCESS_LOAD_EXCLUSIVE;
    case FUNCT5_SC:
        return HVCORE_ACCESS_STORE_EXCLUSIVE;
    default:
        return amo_ops[funct5] ? HVCORE_ACCESS_ATOMIC : HVCORE_ACCESS_NOTHING;
    }
}

static uint32_t decode_amo(uint32_t word, insn *i)
{
    uint32_t funct3 = bits(word, 14, 12), funct5 = bits(word, 31, 27);

    i->kind = amo_kind(funct5);
    if (i->kind == HVCORE_ACCESS_NOTHING || (funct5 == FUNCT5_LR && i->rs2 != 0)) {
        return HVCORE_NISV_RISCV64_UNKNOWN;
    }
    if (funct3 != 2 && funct3 != 3) {
        return funct3 == 4 ? HVCORE_NISV_RISCV64_QUAD : HVCORE_NISV_RISCV64_UNKNOWN;
    }
    i->op = amo_ops[funct5];
    i->cls = HVCORE_ACCESS_REG_X;
    i->size = (uint8_t)(1u << funct3);
    i->sign = 1;
    i->flags = (uint8_t)((word >> 26 & 1 ? HVCORE_ACCESS_ACQUIRE : 0) |
                         (word >> 25 & 1 ? HVCORE_ACCESS_RELEASE : 0));
    i->imm = 0;
    return 0;
}

/* Zicbom, Zicboz; the other encodings are fences. */
static uint32_t decode_cbo(uint32_t word, insn *i)
{
    static const uint8_t ops[8] = {[0] = HVCORE_NISV_RISCV64_CBO_INVAL,
                                   [1] = HVCORE_NISV_RISCV64_CBO_CLEAN,
                                   [2] = HVCORE_NISV_RISCV64_CBO_FLUSH,
                                   [4] = HVCORE_NISV_RISCV64_CBO_ZERO};
    uint32_t number = bits(word, 31, 20);

    if (bits(word, 14, 12) != 2) {
        return HVCORE_NISV_RISCV64_NOT_MEMORY;
    }
    if (bits(word, 11, 7) != 0 || number > 7 || !ops[number]) {
        return HVCORE_NISV_RISCV64_UNKNOWN;
    }
    i->cbo = ops[number];
    i->kind = number == 4 ? HVCORE_ACCESS_ZERO : HVCORE_ACCESS_NOTHING;
    i->imm = 0;
    return 0;
}

static uint32_t decode_other(uint32_t word)
{
    switch (word & 0x7f) {
    case HVC_OPCODE_SYSTEM:
        return bits(word, 14, 12) == 4 ? HVCORE_NISV_RISCV64_HYPERVISOR
                                       : HVCORE_NISV_RISCV64_NOT_MEMORY;
    case HVC_OPCODE_CUSTOM_0:
    case HVC_OPCODE_CUSTOM_1:
    case HVC_OPCODE_CUSTOM_2:
    case HVC_OPCODE_CUSTOM_3:
        return HVCORE_NISV_RISCV64_CUSTOM;
    default:
        return HVCORE_NISV_RISCV64_NOT_MEMORY;
    }
}

static uint32_t decode32(uint32_t word, insn *i)
{
    *i = (insn){.len = 4,
                .rd = field5(word, 7),
                .rs1 = field5(word, 15),
                .rs2 = field5(word, 20),
                .imm = (int16_t)((int32_t)word >> 20)};
    switch (word & 0x7f) {
    case HVC_OPCODE_LOAD:
        return decode_load(word, i);
    case HVC_OPCODE_STORE:
        return decode_store(word, i);
    case HVC_OPCODE_LOAD_FP:
        return decode_fp(word, HVCORE_ACCESS_LOAD, i);
    case HVC_OPCODE_STORE_FP:
        return decode_fp(word, HVCORE_ACCESS_STORE, i);
    case HVC_OPCODE_AMO:
        return decode_amo(word, i);
    case OPCODE_MISC_MEM:
        return decode_cbo(word, i);
    default:
        return decode_other(word);
    }
}

/* ---- instructions of 16 bits (Unpriv. "C" for RV64, "Zcb") ---- */

/* What funct3 says in quadrants 0 and 2. */
static const struct {
    uint8_t kind, cls, size;
} compressed[8] = {
    [1] = {HVCORE_ACCESS_LOAD, HVCORE_ACCESS_REG_F, 8},
    [2] = {HVCORE_ACCESS_LOAD, HVCORE_ACCESS_REG_X, 4},
    [3] = {HVCORE_ACCESS_LOAD, HVCORE_ACCESS_REG_X, 8},
    [5] = {HVCORE_ACCESS_STORE, HVCORE_ACCESS_REG_F, 8},
    [6] = {HVCORE_ACCESS_STORE, HVCORE_ACCESS_REG_X, 4},
    [7] = {HVCORE_ACCESS_STORE, HVCORE_ACCESS_REG_X, 8},
};

static uint8_t short_register(uint32_t half, unsigned at)
{
    return (uint8_t)(8 + bits(half, at + 2, at));
}

/* c.lbu, c.lhu, c.lh, c.sb, c.sh */
static uint32_t decode_zcb(uint32_t half, insn *i)
{
    uint32_t which = bits(half, 12, 10);
    bool halfword = which & 1, sign = which == 1 && bits(half, 6, 6);

    if (which > 3 || (which == 3 && bits(half, 6, 6))) {
        return HVCORE_NISV_RISCV64_UNKNOWN;
    }
    i->kind = which & 2 ? HVCORE_ACCESS_STORE : HVCORE_ACCESS_LOAD;
    i->cls = HVCORE_ACCESS_REG_X;
    i->size = halfword ? 2 : 1;
    i->sign = sign;
    i->imm = (int16_t)(bits(half, 5, 5) << 1 | (halfword ? 0 : bits(half, 6, 6)));
    return 0;
}

static int16_t short_offset(uint32_t half, unsigned size)
{
    uint32_t middle = bits(half, 12, 10) << 3;

    if (size == 8) {
        return (int16_t)(middle | bits(half, 6, 5) << 6);
    }
    return (int16_t)(middle | bits(half, 6, 6) << 2 | bits(half, 5, 5) << 6);
}

static int16_t stack_load_offset(uint32_t half, unsigned size)
{
    uint32_t top = bits(half, 12, 12) << 5;

    if (size == 8) {
        return (int16_t)(top | bits(half, 6, 5) << 3 | bits(half, 4, 2) << 6);
    }
    return (int16_t)(top | bits(half, 6, 4) << 2 | bits(half, 3, 2) << 6);
}

static int16_t stack_store_offset(uint32_t half, unsigned size)
{
    if (size == 8) {
        return (int16_t)(bits(half, 12, 10) << 3 | bits(half, 9, 7) << 6);
    }
    return (int16_t)(bits(half, 12, 9) << 2 | bits(half, 8, 7) << 6);
}

/* Quadrant 2: relative to sp, any register. c.lwsp and c.ldsp into x0 are reserved. */
static uint32_t decode_stack(uint32_t half, insn *i)
{
    i->rs1 = 2;
    i->rd = field5(half, 7);
    i->rs2 = field5(half, 2);
    if (i->kind == HVCORE_ACCESS_STORE) {
        i->imm = stack_store_offset(half, i->size);
        return 0;
    }
    i->imm = stack_load_offset(half, i->size);
    return i->rd == 0 && i->cls == HVCORE_ACCESS_REG_X ? HVCORE_NISV_RISCV64_UNKNOWN : 0;
}

static uint32_t decode16(uint32_t half, insn *i)
{
    uint32_t funct3 = bits(half, 15, 13), quadrant = half & 3;

    *i = (insn){.len = 2,
                .rs1 = short_register(half, 7),
                .rd = short_register(half, 2),
                .rs2 = short_register(half, 2)};
    if (quadrant == 0 && funct3 == 4) {
        return decode_zcb(half, i);
    }
    if (quadrant == 1 || !compressed[funct3].size) {
        return HVCORE_NISV_RISCV64_NOT_MEMORY;
    }
    i->kind = compressed[funct3].kind;
    i->cls = compressed[funct3].cls;
    i->size = compressed[funct3].size;
    i->sign = i->kind == HVCORE_ACCESS_LOAD && i->cls == HVCORE_ACCESS_REG_X;
    if (quadrant == 2) {
        return decode_stack(half, i);
    }
    i->imm = short_offset(half, i->size);
    return 0;
}

/* ---- does the instruction fit the trap? ---- */

/* QEMU 7.2 reports the loading half of an AMO as a load. */
static bool fits_cause(const insn *i, uint32_t cause)
{
    switch (i->kind) {
    case HVCORE_ACCESS_LOAD:
    case HVCORE_ACCESS_LOAD_EXCLUSIVE:
        return cause == HVCORE_RISCV64_LOAD_GUEST_PAGE;
    case HVCORE_ACCESS_ATOMIC:
        return true;
    default:
        return cause == HVCORE_RISCV64_STORE_GUEST_PAGE;
    }
}

static bool has_fault_va(const hvcore_event *event)
{
    return event->have & (HVCORE_HAVE_GVA | HVCORE_HAVE_TVAL);
}

static uint64_t fault_va(const hvcore_event *event)
{
    return event->have & HVCORE_HAVE_GVA ? event->gva : event->tval;
}

static bool is_plain(const insn *i)
{
    return i->kind == HVCORE_ACCESS_LOAD || i->kind == HVCORE_ACCESS_STORE;
}

/* The gpa is that of the byte that the trap named, if it is the access's own and no table's. */
static bool same_place(const hvcore_event *event)
{
    return !has_fault_va(event) || ((event->gpa ^ fault_va(event)) & (PAGE - 1)) == 0;
}

static bool is_misaligned(const access *a)
{
    return (a->at & (a->size - 1)) != 0;
}

static bool crosses(const access *a)
{
    return (a->at & (PAGE - 1)) + a->size > PAGE;
}

/* ---- from htinst ---- */

/*
 * The address of the access is stval less the offset. Only a misaligned access has an offset, and
 * the last byte is the farthest that it can name.
 */
static uint32_t from_htinst(const hvcore_event *event, access *a)
{
    hvc_htinst known;
    uint32_t why;

    hvc_htinst_decode(event->htinst, &known);
    if (known.kind == HVC_HTINST_PSEUDO) {
        return HVCORE_NISV_RISCV64_IMPLICIT;
    }
    if (known.kind != HVC_HTINST_XFORM) {
        return HVCORE_NISV_RISCV64_NO_INSN;
    }
    why = decode32((uint32_t)event->htinst | 2, &a->i);
    if (why) {
        return why;
    }
    a->i.len = known.len;
    a->size = a->i.size;
    a->fault = known.offset;
    a->at = event->gpa - a->fault;
    a->va = fault_va(event) - a->fault;
    if (known.offset >= a->size || (known.offset && !is_misaligned(a))) {
        return HVCORE_NISV_RISCV64_CONTRADICTS;
    }
    if (is_misaligned(a) && !same_place(event)) {
        return HVCORE_NISV_RISCV64_CONTRADICTS;
    }
    /* Only the virtual address leads to the second page. */
    return crosses(a) && !has_fault_va(event) ? HVCORE_NISV_RISCV64_NO_INSN : 0;
}

/* ---- from the instruction ---- */

static bool is_block(uint32_t bytes)
{
    return bytes >= 4 && bytes <= PAGE && (bytes & (bytes - 1)) == 0;
}

/* The first byte of what the instruction accesses, by the registers. */
static uint32_t locate(const hvcore_riscv64_frame *frame, uint32_t block, access *a)
{
    uint64_t base = a->i.rs1 ? frame->x[a->i.rs1] : 0;

    a->va = base + (uint64_t)(int64_t)a->i.imm;
    a->size = a->i.size;
    if (a->i.cbo) {
        if (!is_block(block)) {
            return HVCORE_NISV_RISCV64_BLOCK;
        }
        a->size = block;
        a->va &= ~((uint64_t)block - 1);
    }
    return 0;
}

/* The trap must be about one of its bytes; an aligned access faults at its first. */
static uint32_t confirm(const hvcore_event *event, access *a)
{
    if (has_fault_va(event)) {
        a->fault = fault_va(event) - a->va;
    } else {
        a->fault = (event->gpa - a->va) & (PAGE - 1);
    }
    a->at = event->gpa - a->fault;
    if (a->fault >= a->size || !same_place(event)) {
        return HVCORE_NISV_RISCV64_CONTRADICTS;
    }
    if (a->fault && !a->i.cbo && !is_misaligned(a)) {
        return HVCORE_NISV_RISCV64_CONTRADICTS;
    }
    return 0;
}

static uint32_t from_insn(const hvcore_riscv64_frame *frame, const hvcore_event *event,
                          uint32_t block, access *a)
{
    uint32_t why = (event->insn & 3) == 3 ? decode32(event->insn, &a->i)
                                          : decode16(event->insn & 0xffff, &a->i);

    if (!why) {
        why = locate(frame, block, a);
    }
    return why ? why : confirm(event, a);
}

/* The instruction is read in halves: the second one may lie in another page (specs 6.5). */
static hvcore_result need_insn(const hvcore_event *event)
{
    if (!(event->have & HVCORE_HAVE_INSN)) {
        return (hvcore_result){HVCORE_RESULT_NEED_BYTES, 2, event->pc};
    }
    if ((event->insn & 3) == 3 && event->insn_len == 2) {
        return (hvcore_result){HVCORE_RESULT_NEED_BYTES, 2, event->pc + 2};
    }
    return (hvcore_result){HVCORE_RESULT_DONE, 0, 0};
}

/* ---- what the caller can carry out ---- */

static bool is_wanted(const access *a, uint32_t wants)
{
    uint32_t need = 0;

    if (a->i.cbo) {
        need = HVCORE_NISV_RISCV64_WANT_CBO;
    } else if (!is_plain(&a->i)) {
        need = HVCORE_NISV_RISCV64_WANT_ATOMIC;
    } else if (a->i.cls == HVCORE_ACCESS_REG_F) {
        need = HVCORE_NISV_RISCV64_WANT_FLOAT;
    }
    return (wants & need) == need;
}

/* Splitting what must be atomic would be a lie. */
static uint32_t judge(const hvcore_event *event, const access *a, uint32_t wants)
{
    if (!fits_cause(&a->i, event->cls)) {
        return HVCORE_NISV_RISCV64_CONTRADICTS;
    }
    if (!is_wanted(a, wants)) {
        return HVCORE_NISV_RISCV64_UNWANTED;
    }
    if (a->i.cbo || !is_misaligned(a)) {
        return 0;
    }
    return is_plain(&a->i) && wants & HVCORE_NISV_RISCV64_WANT_SPLIT
               ? 0
               : HVCORE_NISV_RISCV64_MISALIGNED;
}

/* ---- the answer ---- */

static uint8_t class_of(const insn *i, uint8_t reg)
{
    if (i->cls == HVCORE_ACCESS_REG_X && reg == 0) {
        return HVCORE_ACCESS_REG_ZERO;
    }
    return i->cls;
}

static hvcore_access_fragment loaded(const insn *i, uint8_t role)
{
    uint8_t extend = i->sign ? HVCORE_ACCESS_EXTEND_SIGN : HVCORE_ACCESS_EXTEND_ZERO;

    if (i->cls == HVCORE_ACCESS_REG_F && i->size < 8) {
        extend = HVCORE_ACCESS_EXTEND_ONES;
    }
    return (hvcore_access_fragment){.role = role,
                                    .cls = class_of(i, i->rd),
                                    .reg = i->rd,
                                    .width = i->size,
                                    .extend = extend,
                                    .result = 8};
}

static hvcore_access_fragment stored(const insn *i)
{
    return (hvcore_access_fragment){.role = HVCORE_ACCESS_ROLE_STORE,
                                    .cls = class_of(i, i->rs2),
                                    .reg = i->rs2,
                                    .width = i->size};
}

static void set_fragments(const insn *i, hvcore_access *out)
{
    bool loads = i->kind == HVCORE_ACCESS_LOAD || i->kind == HVCORE_ACCESS_LOAD_EXCLUSIVE ||
                 i->kind == HVCORE_ACCESS_ATOMIC;
    bool stores = i->kind == HVCORE_ACCESS_STORE || i->kind == HVCORE_ACCESS_STORE_EXCLUSIVE ||
                  i->kind == HVCORE_ACCESS_ATOMIC;

    if (loads) {
        uint8_t role =
            i->op == HVCORE_ACCESS_OP_CAS ? HVCORE_ACCESS_ROLE_COMPARE : HVCORE_ACCESS_ROLE_LOAD;
        out->fragment[out->count++] = loaded(i, role);
    }
    if (stores) {
        out->fragment[out->count++] = stored(i);
    }
}

static void set_access(const access *a, bool big, hvcore_access *out)
{
    *out = (hvcore_access){.kind = a->i.kind,
                           .op = a->i.op,
                           .len = a->i.len,
                           .flags = a->i.flags,
                           .size = (uint16_t)a->size,
                           .fault = (uint16_t)a->fault,
                           .va = a->va};
    if (crosses(a)) {
        out->flags |= HVCORE_ACCESS_CROSSES;
    }
    if (big) {
        out->flags |= HVCORE_ACCESS_BIG_ENDIAN;
    }
    if (a->i.kind == HVCORE_ACCESS_STORE_EXCLUSIVE) {
        out->status_cls = class_of(&a->i, a->i.rd);
        out->status = a->i.rd;
    }
    set_fragments(&a->i, out);
}

/* The page of the access that the trap did not name: its first byte in the access. */
static uint64_t other_page(const access *a)
{
    uint64_t boundary = PAGE - (a->at & (PAGE - 1));

    return a->fault < boundary ? boundary : 0;
}

static uint64_t gpa_of(const hvcore_riscv64_nisv *n, const hvcore_event *event, const access *a,
                       uint64_t at)
{
    if (((a->at + at) ^ event->gpa) < PAGE) {
        return a->at + at;
    }
    return n->page_gpa + at - other_page(a);
}

/* The widest piece that begins here. */
static unsigned piece_width(const access *a, uint64_t at)
{
    unsigned width = 8;

    while (((a->at + at) & (width - 1)) != 0 || at + width > a->size) {
        width /= 2;
    }
    return width;
}

/* 8 bytes at an odd address are pieces of 1, 2, 4 and 1, in some order: never more than four. */
static void set_pieces(hvcore_riscv64_nisv *n, const hvcore_event *event, const access *a, bool big)
{
    for (uint64_t at = 0; at < a->size;) {
        unsigned width = piece_width(a, at);
        uint64_t below = big ? a->size - at - width : at;

        n->piece[n->count++] = (hvcore_riscv64_piece){
            .gpa = gpa_of(n, event, a, at), .width = (uint8_t)width, .shift = (uint8_t)(8 * below)};
        at += width;
    }
}

/* Where the run loop has always looked. */
static void set_summary(hvcore_riscv64_nisv *n, const insn *i, uint32_t size)
{
    bool stores = i->kind == HVCORE_ACCESS_STORE || i->kind == HVCORE_ACCESS_STORE_EXCLUSIVE;

    n->width = size;
    n->write = i->kind != HVCORE_ACCESS_LOAD && i->kind != HVCORE_ACCESS_LOAD_EXCLUSIVE &&
               i->kind != HVCORE_ACCESS_NOTHING;
    n->sign = i->sign;
    n->len = i->len;
    n->cbo = i->cbo;
    if (!i->cbo) {
        n->reg = stores ? i->rs2 : i->rd;
    }
}

static void set_answer(hvcore_riscv64_nisv *n, const hvcore_event *event, const access *a, bool big)
{
    set_summary(n, &a->i, a->size);
    set_access(a, big, &n->access);
    if (a->i.cbo) {
        n->piece[0].gpa = a->at;
    } else {
        set_pieces(n, event, a, big);
    }
    n->have_page = 0;
}

/*
 * ---- byte order: hstatus.VSBE for VS-mode, vsstatus.UBE for VU-mode (Priv. 21.2.1, 12.1.1.4) ----
 */

static bool is_user(const hvcore_riscv64_frame *frame)
{
    return !(frame->sstatus & HVC_SSTATUS_SPP);
}

static uint64_t order_missing(const hvcore_riscv64_frame *frame, const hvcore_riscv64_sys *sys,
                              uint32_t wants)
{
    return wants && is_user(frame) ? HVC_BIT(HVCORE_RISCV64_SYS_vsstatus) & ~sys->have : 0;
}

static bool is_big(const hvcore_riscv64_frame *frame, const hvcore_riscv64_sys *sys, uint32_t wants)
{
    if (!wants) {
        return false;
    }
    return is_user(frame) ? sys->vsstatus & HVC_SSTATUS_UBE : frame->hstatus & HSTATUS_VSBE;
}

/* ---- the unit ---- */

static void forget(hvcore_riscv64_nisv *n)
{
    *n = (hvcore_riscv64_nisv){.wants = n->wants,
                               .block = n->block,
                               .page_va = n->page_va,
                               .page_gpa = n->page_gpa,
                               .have_page = n->have_page};
}

/* It becomes an access fault, which is what a bare machine would report. */
static hvcore_result refuse(hvcore_riscv64_nisv *n, const hvcore_event *event, uint32_t why)
{
    bool store = event->cls == HVCORE_RISCV64_STORE_GUEST_PAGE;

    n->why = (uint16_t)why;
    n->have_page = 0;
    return (hvcore_result){HVCORE_RESULT_AGAIN,
                           store ? HVCORE_RISCV64_STORE_ACCESS : HVCORE_RISCV64_LOAD_ACCESS,
                           event->tval};
}

static uint32_t admit(const hvcore_event *event)
{
    if (event->cls != HVCORE_RISCV64_LOAD_GUEST_PAGE &&
        event->cls != HVCORE_RISCV64_STORE_GUEST_PAGE) {
        return HVCORE_NISV_RISCV64_CAUSE;
    }
    return event->have & HVCORE_HAVE_GPA ? 0 : HVCORE_NISV_RISCV64_NO_GPA;
}

/* Does the instruction itself have to say what htinst does not, or says wrongly? */
static bool should_fetch(uint32_t why, uint32_t wants)
{
    return wants & HVCORE_NISV_RISCV64_WANT_FETCH &&
           (why == HVCORE_NISV_RISCV64_NO_INSN || why == HVCORE_NISV_RISCV64_CONTRADICTS);
}

/* The second page of an access that lies in two. */
static hvcore_result need_page(hvcore_riscv64_nisv *n, const hvcore_event *event, const access *a)
{
    uint64_t va = a->va + other_page(a);
    uint32_t how =
        event->cls == HVCORE_RISCV64_STORE_GUEST_PAGE ? HVCORE_RISCV64_STORE : HVCORE_RISCV64_LOAD;

    if (!n->have_page || n->page_va != va) {
        return (hvcore_result){HVCORE_RESULT_NEED_AT, how, va};
    }
    if ((n->page_gpa ^ va) & (PAGE - 1)) {
        return refuse(n, event, HVCORE_NISV_RISCV64_CONTRADICTS);
    }
    return (hvcore_result){HVCORE_RESULT_DONE, 0, 0};
}

static hvcore_result answer(const hvcore_riscv64_frame *frame, const hvcore_riscv64_sys *sys,
                            const hvcore_event *event, hvcore_riscv64_nisv *n, const access *a)
{
    hvcore_result r = {HVCORE_RESULT_DONE, 0, 0};
    uint64_t missing = order_missing(frame, sys, n->wants);

    if (missing) {
        return (hvcore_result){HVCORE_RESULT_NEED_REGS, 0, missing};
    }
    if (crosses(a)) {
        r = need_page(n, event, a);
    }
    if (r.kind == HVCORE_RESULT_DONE) {
        set_answer(n, event, a, is_big(frame, sys, n->wants));
    }
    return r;
}

hvcore_result hvcore_nisv_riscv64(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                                  const hvcore_event *event, hvcore_riscv64_state *state)
{
    hvcore_riscv64_nisv *n = &state->nisv;
    access a = {.size = 1};
    uint32_t why = admit(event);

    forget(n);
    if (why) {
        return refuse(n, event, why);
    }
    why = from_htinst(event, &a);
    if (!why) {
        why = judge(event, &a, n->wants);
    }
    if (should_fetch(why, n->wants)) {
        hvcore_result r = need_insn(event);

        if (r.kind != HVCORE_RESULT_DONE) {
            return r;
        }
        why = from_insn(frame, event, n->block, &a);
        if (!why) {
            why = judge(event, &a, n->wants);
        }
    }
    return why ? refuse(n, event, why) : answer(frame, sys, event, n, &a);
}
