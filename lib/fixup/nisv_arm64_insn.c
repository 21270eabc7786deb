/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A64 loads and stores by tables (DDI0487 C4.1, "Loads and Stores", with the names of its fields).
 * What an encoding should have as ones and does not test ((1) in the manual) is ignored.
 */
#include "lib/fixup/nisv_arm64_insn.h"

#include <stdbool.h>

#include <hvcore/fixup/nisv_arm64.h>

/* --- the table of encodings: the first that fits ---------------------------------------------- */

enum form {
    REFUSED, /* `why` */
    LITERAL,
    EXCLUSIVE, /* also ordered, CAS, CASP */
    PAIR,
    UNSCALED,
    UNPRIVILEGED,
    POST,
    PRE,
    SCALED,
    INDEXED,
    RCPC, /* LDAPUR, STLUR */
    ATOMIC,
    ZVA
};

typedef struct encoding {
    uint32_t mask, bits;
    uint8_t form;
    uint8_t why;
} encoding;

static const encoding encodings[] = {
    {0x3b000000, 0x39000000, SCALED, 0},
    {0x3b200c00, 0x38000000, UNSCALED, 0},
    {0x3b200c00, 0x38000400, POST, 0},
    {0x3b200c00, 0x38000800, UNPRIVILEGED, 0},
    {0x3b200c00, 0x38000c00, PRE, 0},
    {0x3b200c00, 0x38200800, INDEXED, 0},
    {0x3f200c00, 0x38200000, ATOMIC, 0},
    {0xff200400, 0xf8200400, REFUSED, HVCORE_NISV_ARM64_PAC},
    {0x3a000000, 0x28000000, PAIR, 0},
    {0x3f000000, 0x08000000, EXCLUSIVE, 0},
    {0x3f200c00, 0x19000000, RCPC, 0},
    {0x3b000000, 0x18000000, LITERAL, 0},
    {0xffffffe0, 0xd50b7420, ZVA, 0},
    {0xfb200c00, 0x19000400, REFUSED, HVCORE_NISV_ARM64_MOPS},
    {0xff200000, 0xd9200000, REFUSED, HVCORE_NISV_ARM64_TAGS},
    {0xffffffe0, 0xd50b7460, REFUSED, HVCORE_NISV_ARM64_TAGS}, /* DC GVA */
    {0xffffffe0, 0xd50b7480, REFUSED, HVCORE_NISV_ARM64_TAGS}, /* DC GZVA */
    {0xbe000000, 0x0c000000, REFUSED, HVCORE_NISV_ARM64_STRUCTURE},
    {0xfff8fe00, 0xd5087800, REFUSED, HVCORE_NISV_ARM64_NOT_MEMORY}, /* AT */
    {0xfff8f000, 0xd5087000, REFUSED, HVCORE_NISV_ARM64_CACHE},
    {0x1e000000, 0x04000000, REFUSED, HVCORE_NISV_ARM64_SVE},
    {0x9e000000, 0x80000000, REFUSED, HVCORE_NISV_ARM64_SVE}, /* SME */
    {0x0a000000, 0x08000000, REFUSED, HVCORE_NISV_ARM64_UNALLOCATED},
    {0x00000000, 0x00000000, REFUSED, HVCORE_NISV_ARM64_NOT_MEMORY},
};

static const encoding *find(uint32_t word)
{
    const encoding *e = encodings;

    while ((word & e->mask) != e->bits) { /* the last one fits everything */
        e++;
    }
    return e;
}

/* --- the tables of registers and widths ------------------------------------------------------- */

/* What moves between a register and memory. */
typedef struct transfer {
    uint8_t kind; /* HVCORE_ACCESS_*, or ABSENT */
    uint8_t cls;
    uint8_t log2; /* of the bytes in memory */
    uint8_t extend;
    uint8_t result;
} transfer;

enum { ABSENT = 0xff };

#define LOAD(cls, log2, extend, result)                                                          \
    {                                                                                            \
        HVCORE_ACCESS_LOAD, HVCORE_ACCESS_REG_##cls, log2, HVCORE_ACCESS_EXTEND_##extend, result \
    }
#define STORE(cls, log2)                                         \
    {                                                            \
        HVCORE_ACCESS_STORE, HVCORE_ACCESS_REG_##cls, log2, 0, 0 \
    }
#define PREFETCH                                               \
    {                                                          \
        HVCORE_ACCESS_NOTHING, HVCORE_ACCESS_REG_NONE, 3, 0, 0 \
    }
#define NONE               \
    {                      \
        ABSENT, 0, 0, 0, 0 \
    }

/* By V and size, then opc. */
static const transfer singles[8][4] = {
    {STORE(W, 0), LOAD(W, 0, ZERO, 4), LOAD(X, 0, SIGN, 8), LOAD(W, 0, SIGN, 4)},
    {STORE(W, 1), LOAD(W, 1, ZERO, 4), LOAD(X, 1, SIGN, 8), LOAD(W, 1, SIGN, 4)},
    {STORE(W, 2), LOAD(W, 2, ZERO, 4), LOAD(X, 2, SIGN, 8), NONE},
    {STORE(X, 3), LOAD(X, 3, ZERO, 8), PREFETCH, NONE},
    {STORE(V, 0), LOAD(V, 0, ZERO, 16), STORE(V, 4), LOAD(V, 4, ZERO, 16)},
    {STORE(V, 1), LOAD(V, 1, ZERO, 16), NONE, NONE},
    {STORE(V, 2), LOAD(V, 2, ZERO, 16), NONE, NONE},
    {STORE(V, 3), LOAD(V, 3, ZERO, 16), NONE, NONE},
};

/* By V, opc; the loads. */
static const transfer pairs[8] = {
    LOAD(W, 2, ZERO, 4),  LOAD(X, 2, SIGN, 8),  LOAD(X, 3, ZERO, 8),  NONE,
    LOAD(V, 2, ZERO, 16), LOAD(V, 3, ZERO, 16), LOAD(V, 4, ZERO, 16), NONE,
};

/* By opc, with o3 = 0. */
static const uint8_t atomics[8] = {
    HVCORE_ACCESS_OP_ADD,  HVCORE_ACCESS_OP_CLEAR, HVCORE_ACCESS_OP_XOR,  HVCORE_ACCESS_OP_OR,
    HVCORE_ACCESS_OP_SMAX, HVCORE_ACCESS_OP_SMIN,  HVCORE_ACCESS_OP_UMAX, HVCORE_ACCESS_OP_UMIN,
};

/* --- parts ------------------------------------------------------------------------------------ */

static uint32_t field(uint32_t word, unsigned at, unsigned bits)
{
    return word >> at & ((UINT32_C(1) << bits) - 1);
}

static int64_t signed_field(uint32_t word, unsigned at, unsigned bits)
{
    int64_t sign = INT64_C(1) << (bits - 1);

    return ((int64_t)field(word, at, bits) ^ sign) - sign;
}

static bool bit(uint32_t word, unsigned at)
{
    return word >> at & 1;
}

static uint8_t rt(uint32_t word)
{
    return word & 31;
}

static uint8_t rn(uint32_t word)
{
    return word >> 5 & 31;
}

static uint8_t rt2(uint32_t word)
{
    return word >> 10 & 31;
}

static uint8_t rs(uint32_t word) /* or Rm */
{
    return word >> 16 & 31;
}

static uint32_t size_of(uint32_t word)
{
    return word >> 30 & 3;
}

/* The general register of an access of that size; its loads extend with zeros. */
static const transfer *general(uint32_t size)
{
    return &singles[size][1];
}

/* One more fragment: `number`-th unit of the access. */
static void add(hvcore_access *a, uint8_t role, const transfer *t, uint8_t reg, unsigned number)
{
    bool zero = reg == 31 && t->cls != HVCORE_ACCESS_REG_V;
    bool store = role == HVCORE_ACCESS_ROLE_STORE;

    a->fragment[a->count++] = (hvcore_access_fragment){
        .role = role,
        .cls = zero ? HVCORE_ACCESS_REG_ZERO : t->cls,
        .reg = zero ? 0 : reg,
        .width = (uint8_t)(1u << t->log2),
        .offset = (uint8_t)(number << t->log2),
        .extend = t->extend,
        .result = store ? 0 : t->result,
    };
    a->size = (uint16_t)((number + 1) << t->log2);
}

static uint8_t role_of(uint8_t kind)
{
    bool load = kind == HVCORE_ACCESS_LOAD || kind == HVCORE_ACCESS_LOAD_EXCLUSIVE;

    return load ? HVCORE_ACCESS_ROLE_LOAD : HVCORE_ACCESS_ROLE_STORE;
}

static void write_back(uint32_t word, int64_t delta, hvcore_access *a)
{
    bool sp = rn(word) == 31;

    a->base_cls = sp ? HVCORE_ACCESS_REG_SP : HVCORE_ACCESS_REG_X;
    a->base = sp ? 0 : rn(word);
    a->delta = delta;
}

/* --- one register ----------------------------------------------------------------------------- */

static const transfer *single(uint32_t word)
{
    return &singles[(uint32_t)bit(word, 26) << 2 | size_of(word)][field(word, 22, 2)];
}

/* Not every form has the prefetch; its register number is what to prefetch for. */
static uint32_t move_single(uint32_t word, bool may_prefetch, hvc_arm64_insn *out)
{
    const transfer *t = single(word);

    if (t->kind == ABSENT || (t->kind == HVCORE_ACCESS_NOTHING && !may_prefetch)) {
        return HVCORE_NISV_ARM64_UNALLOCATED;
    }
    out->access.kind = t->kind;
    if (t->kind != HVCORE_ACCESS_NOTHING) {
        add(&out->access, role_of(t->kind), t, rt(word), 0);
    }
    return 0;
}

static uint32_t scaled(uint32_t word, hvc_arm64_insn *out)
{
    out->offset = (int64_t)field(word, 10, 12) << single(word)->log2;
    return move_single(word, true, out);
}

static uint32_t unscaled(uint32_t word, hvc_arm64_insn *out)
{
    out->offset = signed_field(word, 12, 9);
    return move_single(word, true, out);
}

static uint32_t unprivileged(uint32_t word, hvc_arm64_insn *out)
{
    if (bit(word, 26)) {
        return HVCORE_NISV_ARM64_UNALLOCATED;
    }
    out->offset = signed_field(word, 12, 9);
    out->access.flags = HVCORE_ACCESS_UNPRIVILEGED;
    return move_single(word, false, out);
}

static uint32_t updating(uint32_t word, bool before, hvc_arm64_insn *out)
{
    int64_t delta = signed_field(word, 12, 9);
    uint32_t why = move_single(word, false, out);

    out->offset = before ? delta : 0;
    write_back(word, delta, &out->access);
    if (!why && !bit(word, 26) && rt(word) == rn(word) && rn(word) != 31) {
        return HVCORE_NISV_ARM64_UNPREDICTABLE;
    }
    return why;
}

static uint32_t indexed(uint32_t word, hvc_arm64_insn *out)
{
    uint32_t option = field(word, 13, 3);

    if (!(option & 2)) {
        return HVCORE_NISV_ARM64_UNALLOCATED;
    }
    out->index = rs(word);
    out->extend = (uint8_t)option;
    out->shift = bit(word, 12) ? single(word)->log2 : 0;
    return move_single(word, true, out);
}

static uint32_t rcpc(uint32_t word, hvc_arm64_insn *out)
{
    uint32_t why = move_single(word, false, out);

    out->offset = signed_field(word, 12, 9);
    out->access.flags =
        out->access.kind == HVCORE_ACCESS_LOAD ? HVCORE_ACCESS_ACQUIRE : HVCORE_ACCESS_RELEASE;
    return why;
}

static uint32_t literal(uint32_t word, hvc_arm64_insn *out)
{
    out->access.kind = HVCORE_ACCESS_NOTHING; /* PRFM */
    if (size_of(word) == 3) {
        return bit(word, 26) ? HVCORE_NISV_ARM64_UNALLOCATED : 0;
    }
    return HVCORE_NISV_ARM64_LITERAL;
}

/* --- pairs ------------------------------------------------------------------------------------ */

enum { MODE_NO_ALLOCATE = 0, MODE_POST = 1, MODE_OFFSET = 2, MODE_PRE = 3 };

static bool updates(uint32_t mode)
{
    return mode == MODE_POST || mode == MODE_PRE;
}

static bool pair_overlaps(uint32_t word, uint32_t mode, bool load)
{
    bool base = rn(word) != 31 && (rt(word) == rn(word) || rt2(word) == rn(word));

    return (load && rt(word) == rt2(word)) || (updates(mode) && !bit(word, 26) && base);
}

static uint32_t bad_pair(uint32_t word, uint32_t mode, bool load)
{
    bool words = !bit(word, 26) && size_of(word) == 1; /* LDPSW, STGP */

    if (size_of(word) == 3 || (words && mode == MODE_NO_ALLOCATE)) {
        return HVCORE_NISV_ARM64_UNALLOCATED;
    }
    if (words && !load) {
        return HVCORE_NISV_ARM64_TAGS;
    }
    return pair_overlaps(word, mode, load) ? HVCORE_NISV_ARM64_UNPREDICTABLE : 0;
}

static void address_pair(uint32_t word, uint32_t mode, int64_t imm, hvc_arm64_insn *out)
{
    out->offset = mode == MODE_POST ? 0 : imm;
    if (updates(mode)) {
        write_back(word, imm, &out->access);
    }
    if (mode == MODE_NO_ALLOCATE) {
        out->access.flags = HVCORE_ACCESS_NON_TEMPORAL;
    }
}

static uint32_t pair(uint32_t word, hvc_arm64_insn *out)
{
    const transfer *t = &pairs[(uint32_t)bit(word, 26) << 2 | size_of(word)];
    uint32_t mode = field(word, 23, 2);
    bool load = bit(word, 22);
    uint32_t why = bad_pair(word, mode, load);
    uint8_t role = load ? HVCORE_ACCESS_ROLE_LOAD : HVCORE_ACCESS_ROLE_STORE;

    if (why) {
        return why;
    }
    out->access.kind = load ? HVCORE_ACCESS_LOAD : HVCORE_ACCESS_STORE;
    add(&out->access, role, t, rt(word), 0);
    add(&out->access, role, t, rt2(word), 1);
    address_pair(word, mode, signed_field(word, 15, 7) * (INT64_C(1) << t->log2), out);
    return 0;
}

/* --- exclusive, ordered, compare and swap ----------------------------------------------------- */

static uint8_t ordering(bool acquire, bool release)
{
    return (uint8_t)((acquire ? HVCORE_ACCESS_ACQUIRE : 0) | (release ? HVCORE_ACCESS_RELEASE : 0));
}

static bool exclusive_overlaps(uint32_t word, bool load, bool two)
{
    bool base = rs(word) == rn(word) && rn(word) != 31;

    if (load) {
        return two && rt(word) == rt2(word);
    }
    return rs(word) == rt(word) || (two && rs(word) == rt2(word)) || base;
}

static uint32_t exclusive(uint32_t word, bool two, hvc_arm64_insn *out)
{
    const transfer *t = general(size_of(word));
    bool load = bit(word, 22);
    hvcore_access *a = &out->access;

    if (exclusive_overlaps(word, load, two)) {
        return HVCORE_NISV_ARM64_UNPREDICTABLE;
    }
    a->kind = load ? HVCORE_ACCESS_LOAD_EXCLUSIVE : HVCORE_ACCESS_STORE_EXCLUSIVE;
    a->flags = ordering(load && bit(word, 15), !load && bit(word, 15));
    add(a, role_of(a->kind), t, rt(word), 0);
    if (two) {
        add(a, role_of(a->kind), t, rt2(word), 1);
    }
    if (!load) {
        a->status_cls = rs(word) == 31 ? HVCORE_ACCESS_REG_ZERO : HVCORE_ACCESS_REG_W;
        a->status = rs(word) == 31 ? 0 : rs(word);
    }
    return 0;
}

/* LDAR, STLR, and LDLAR, STLLR, which order less. */
static uint32_t ordered(uint32_t word, hvc_arm64_insn *out)
{
    bool load = bit(word, 22);
    hvcore_access *a = &out->access;

    a->kind = load ? HVCORE_ACCESS_LOAD : HVCORE_ACCESS_STORE;
    a->flags = ordering(load, !load);
    add(a, role_of(a->kind), general(size_of(word)), rt(word), 0);
    return 0;
}

/* CAS, and CASP with `two`, where the size has one bit and the registers come in even pairs. */
static uint32_t compare_and_swap(uint32_t word, bool two, hvc_arm64_insn *out)
{
    const transfer *t = general(two ? size_of(word) + 2 : size_of(word));
    hvcore_access *a = &out->access;

    if (rt2(word) != 31 || (two && (rs(word) % 2 || rt(word) % 2))) {
        return HVCORE_NISV_ARM64_UNALLOCATED;
    }
    a->kind = HVCORE_ACCESS_ATOMIC;
    a->op = HVCORE_ACCESS_OP_CAS;
    a->flags = ordering(bit(word, 22), bit(word, 15));
    for (uint8_t i = 0; i <= two; i++) {
        add(a, HVCORE_ACCESS_ROLE_COMPARE, t, (uint8_t)(rs(word) + i), i);
    }
    for (uint8_t i = 0; i <= two; i++) {
        add(a, HVCORE_ACCESS_ROLE_STORE, t, (uint8_t)(rt(word) + i), i);
    }
    return 0;
}

static uint32_t exclusive_or_not(uint32_t word, hvc_arm64_insn *out)
{
    bool o2 = bit(word, 23), o1 = bit(word, 21);

    if (o2) {
        return o1 ? compare_and_swap(word, false, out) : ordered(word, out);
    }
    if (o1 && size_of(word) < 2) {
        return compare_and_swap(word, true, out);
    }
    return exclusive(word, o1, out);
}

/* --- atomics ---------------------------------------------------------------------------------- */

static void read_modify_write(uint32_t word, uint8_t op, hvcore_access *a)
{
    const transfer *t = general(size_of(word));
    bool acquire = bit(word, 23) && rt(word) != 31;

    a->kind = HVCORE_ACCESS_ATOMIC;
    a->op = op;
    a->flags = ordering(acquire, bit(word, 22));
    add(a, HVCORE_ACCESS_ROLE_LOAD, t, rt(word), 0);
    add(a, HVCORE_ACCESS_ROLE_STORE, t, rs(word), 0);
}

/* LDAPR, and the accesses of 64 bytes; A and R are what else tells them apart. */
static uint32_t other_atomic(uint32_t word, uint32_t opc, hvc_arm64_insn *out)
{
    uint32_t order = field(word, 22, 2);
    bool ls64 = (opc >= 1 && opc <= 3) || opc == 5;

    if (opc == 4 && order == 2 && rs(word) == 31) {
        return ordered(word | UINT32_C(1) << 22, out); /* as LDAR: a load, acquire */
    }
    return ls64 && order == 0 && size_of(word) == 3 ? HVCORE_NISV_ARM64_LS64
                                                    : HVCORE_NISV_ARM64_UNALLOCATED;
}

static uint32_t atomic(uint32_t word, hvc_arm64_insn *out)
{
    uint32_t opc = field(word, 12, 3);
    bool o3 = bit(word, 15);

    if (o3 && opc != 0) {
        return other_atomic(word, opc, out);
    }
    read_modify_write(word, o3 ? HVCORE_ACCESS_OP_SWAP : atomics[opc], &out->access);
    return 0;
}

/* --- all -------------------------------------------------------------------------------------- */

static uint32_t zva(uint32_t word, hvc_arm64_insn *out)
{
    out->access.kind = HVCORE_ACCESS_ZERO;
    out->base = rt(word);
    return 0;
}

uint32_t hvc_arm64_insn_decode(uint32_t word, hvc_arm64_insn *out)
{
    const encoding *e = find(word);

    *out = (hvc_arm64_insn){.base = rn(word), .access.len = 4};
    switch (e->form) {
    case LITERAL:
        return literal(word, out);
    case EXCLUSIVE:
        return exclusive_or_not(word, out);
    case PAIR:
        return pair(word, out);
    case UNSCALED:
        return unscaled(word, out);
    case UNPRIVILEGED:
        return unprivileged(word, out);
    case POST:
    case PRE:
        return updating(word, e->form == PRE, out);
    case SCALED:
        return scaled(word, out);
    case INDEXED:
        return indexed(word, out);
    case RCPC:
        return rcpc(word, out);
    case ATOMIC:
        return atomic(word, out);
    case ZVA:
        return zva(word, out);
    default:
        return e->why;
    }
}
