/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvc_htinst_decode and hvcore_nisv_riscv64 against the vectors, against a classification that is
 * written instruction by instruction from the listings of the ISA manual, and against the
 * transformation that a hart performs (Priv. 21.6.3).
 */
#include <stdbool.h>
#include <string.h>

#include <hvcore/fixup/nisv.h>

#include "lib/fixup/htinst.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"
#include "tests/unit/vectors.h"

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

static uint64_t wrong; /* counted, so that a failure says once how often */

static void expect(bool good)
{
    wrong += !good;
}

/* --- instructions as the manual prints them --------------------------------------------------- */

/* Bits hi:lo. */
static uint32_t bits(uint32_t insn, int hi, int lo)
{
    return insn << (31 - hi) >> (31 - hi) >> lo;
}

/* Do the bits from `hi` downward read like `text`? */
static bool reads(uint32_t insn, int hi, const char *text)
{
    for (; *text; text++, hi--)
        if ((insn >> hi & 1) != (uint32_t)(*text - '0'))
            return false;
    return true;
}

/* funct3 and opcode, as in the columns of the listings. */
static bool is(uint32_t insn, const char *funct3, const char *opcode)
{
    return reads(insn, 14, funct3) && reads(insn, 6, opcode);
}

static uint8_t load_size(uint32_t i)
{
    if (is(i, "000", "0000011") || is(i, "100", "0000011")) /* lb, lbu */
        return 1;
    if (is(i, "001", "0000011") || is(i, "101", "0000011")) /* lh, lhu */
        return 2;
    if (is(i, "010", "0000011") || is(i, "110", "0000011")) /* lw, lwu */
        return 4;
    return is(i, "011", "0000011") ? 8 : 0; /* ld */
}

static uint8_t store_size(uint32_t i)
{
    if (is(i, "000", "0100011")) /* sb */
        return 1;
    if (is(i, "001", "0100011")) /* sh */
        return 2;
    if (is(i, "010", "0100011")) /* sw */
        return 4;
    return is(i, "011", "0100011") ? 8 : 0; /* sd */
}

static uint8_t fp_size(uint32_t i, const char *opcode)
{
    if (is(i, "001", opcode)) /* flh, fsh */
        return 2;
    if (is(i, "010", opcode)) /* flw, fsw */
        return 4;
    if (is(i, "011", opcode)) /* fld, fsd */
        return 8;
    return is(i, "100", opcode) ? 16 : 0; /* flq, fsq */
}

static uint8_t amo_size(uint32_t i)
{
    if (is(i, "010", "0101111")) /* amo*.w, lr.w, sc.w */
        return 4;
    return is(i, "011", "0101111") ? 8 : 0; /* amo*.d, lr.d, sc.d */
}

static bool is_hls(uint32_t i)
{
    return is(i, "100", "1110011");
}

static bool is_custom(uint32_t i)
{
    return reads(i, 6, "0001011") || reads(i, 6, "0101011") || reads(i, 6, "1011011") ||
           reads(i, 6, "1111011");
}

static uint8_t op_of(uint32_t i, uint8_t *size)
{
    if ((*size = load_size(i)))
        return HVC_HTINST_OP_LOAD;
    if ((*size = store_size(i)))
        return HVC_HTINST_OP_STORE;
    if ((*size = fp_size(i, "0000111")))
        return HVC_HTINST_OP_FLOAD;
    if ((*size = fp_size(i, "0100111")))
        return HVC_HTINST_OP_FSTORE;
    if ((*size = amo_size(i)))
        return HVC_HTINST_OP_AMO;
    return is_hls(i) ? HVC_HTINST_OP_HLS : HVC_HTINST_OP_NONE;
}

/* --- classification --------------------------------------------------------------------------- */

static hvc_htinst slow_pseudo(uint64_t h)
{
    hvc_htinst out = {0};

    if (h == 0x2000 || h == 0x2020 || h == 0x3000 || h == 0x3020) {
        out.kind = HVC_HTINST_PSEUDO;
        out.bits = h >= 0x3000 ? 64 : 32;
        out.write = h == 0x2020 || h == 0x3020;
    }
    return out;
}

static bool writes_rd(uint8_t op)
{
    return op == HVC_HTINST_OP_LOAD || op == HVC_HTINST_OP_FLOAD || op == HVC_HTINST_OP_AMO;
}

static bool reads_rs2(uint8_t op)
{
    return op == HVC_HTINST_OP_STORE || op == HVC_HTINST_OP_FSTORE || op == HVC_HTINST_OP_AMO;
}

static hvc_htinst slow_decode(uint64_t h)
{
    uint32_t i = (uint32_t)h | 2;
    hvc_htinst out = {0};
    uint8_t op = op_of(i, &out.size);

    if (h > UINT32_MAX || h % 2 == 0)
        return slow_pseudo(h);
    if (op == HVC_HTINST_OP_NONE) {
        out.kind = is_custom(i) ? HVC_HTINST_CUSTOM : HVC_HTINST_NONE;
        return out;
    }
    out.kind = HVC_HTINST_XFORM;
    out.op = op;
    out.len = h % 4 == 1 ? 2 : 4;
    out.offset = (uint8_t)bits(i, 19, 15);
    out.is_unsigned = op == HVC_HTINST_OP_LOAD && reads(i, 14, "1");
    out.rd = writes_rd(op) ? (uint8_t)bits(i, 11, 7) : 0;
    out.rs2 = reads_rs2(op) ? (uint8_t)bits(i, 24, 20) : 0;
    out.funct5 = op == HVC_HTINST_OP_AMO ? (uint8_t)bits(i, 31, 27) : 0;
    return out;
}

/* Does it decode `h` so? Whatever was in the result before. */
static bool decodes(uint64_t h, hvc_htinst wanted)
{
    hvc_htinst got;

    memset(&got, 0xa5, sizeof got);
    hvc_htinst_decode(h, &got);
    return memcmp(&got, &wanted, sizeof got) == 0; /* bytes only, no padding */
}

/* --- the transformation ----------------------------------------------------------------------- */

static uint32_t kept_bits(uint32_t insn)
{
    uint8_t size;

    switch (op_of(insn, &size)) {
    case HVC_HTINST_OP_LOAD:
    case HVC_HTINST_OP_FLOAD:
        return 0x00007fff; /* funct3, rd, opcode */
    case HVC_HTINST_OP_STORE:
    case HVC_HTINST_OP_FSTORE:
        return 0x01f0707f; /* rs2, funct3, opcode */
    case HVC_HTINST_OP_AMO:
    case HVC_HTINST_OP_HLS:
        return 0xfff07fff; /* all but rs1 */
    default:
        return 0;
    }
}

static uint64_t transform32(uint32_t insn, uint32_t offset)
{
    uint32_t kept = kept_bits(insn);

    return kept ? (insn & kept) | offset << 15 : 0;
}

/* A compressed load or store as 32 bits without address; 0 if it is none. Unpriv., "C" extension,
 * RV64: quadrant 0 has 3-bit registers x8 to x15, quadrant 2 addresses by sp. */
static uint32_t expand(uint32_t c)
{
    bool stack = bits(c, 1, 0) == 2;
    uint32_t rd = stack ? bits(c, 11, 7) : 8 + bits(c, 4, 2);
    uint32_t rs2 = stack ? bits(c, 6, 2) : 8 + bits(c, 4, 2);

    if (bits(c, 1, 0) != 0 && !stack)
        return 0;
    switch (bits(c, 15, 13)) {
    case 1: /* c.fld, c.fldsp */
        return 0x3007 | rd << 7;
    case 2: /* c.lw, c.lwsp: x0 is reserved */
        return stack && rd == 0 ? 0 : 0x2003 | rd << 7;
    case 3: /* c.ld, c.ldsp: x0 is reserved */
        return stack && rd == 0 ? 0 : 0x3003 | rd << 7;
    case 5: /* c.fsd, c.fsdsp */
        return 0x3027 | rs2 << 20;
    case 6: /* c.sw, c.swsp */
        return 0x2023 | rs2 << 20;
    case 7: /* c.sd, c.sdsp */
        return 0x3023 | rs2 << 20;
    default:
        return 0;
    }
}

static uint64_t transform(uint32_t insn, uint32_t offset)
{
    if (bits(insn, 1, 0) == 3)
        return transform32(insn, offset);
    return transform32(expand(insn), offset) & ~UINT64_C(2);
}

/* --- vectors ---------------------------------------------------------------------------------- */

static uint8_t named(const char *name, const char *const *names)
{
    for (uint8_t i = 0; names[i]; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    hvc_vectors_die("unknown name", name);
}

static const char *const kinds[] = {"none", "pseudo", "xform", "custom", NULL};
static const char *const ops[] = {"no op", "load", "fload", "store", "fstore", "amo", "hls", NULL};

static uint8_t u8(json_object *obj, const char *path)
{
    return (uint8_t)hvc_json_u64_or(obj, path, 0);
}

static hvc_htinst wanted_decode(json_object *cls)
{
    hvc_htinst out = {
        .kind = named(hvc_json_str_or(cls, "kind", "missing"), kinds),
        .op = named(hvc_json_str_or(cls, "op", "no op"), ops),
        .bits = u8(cls, "bits"),
        .write = u8(cls, "write"),
        .len = u8(cls, "ilen"),
        .offset = u8(cls, "off"),
        .size = u8(cls, "size"),
        .is_unsigned = u8(cls, "unsigned"),
        .rd = u8(cls, "rd"),
        .rs2 = u8(cls, "rs2"),
        .funct5 = u8(cls, "funct5"),
    };
    return out;
}

static void test_htinst_vectors(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json");
    size_t at = 0, n = 0;

    for (json_object *v; (v = hvc_vectors_next(doc, "htinst", &at)); n++)
        CU_ASSERT(decodes(hvc_json_u64(v, "in.htinst"), wanted_decode(hvc_json_at(v, "out"))));
    CU_ASSERT_EQUAL(n, 7);
    json_object_put(doc);
}

static void test_tinst_vectors(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json");
    size_t at = 0, n = 0;

    for (json_object *v; (v = hvc_vectors_next(doc, "tinst", &at)); n++) {
        uint32_t insn = (uint32_t)hvc_json_u64(v, "in.insn");
        uint64_t htinst = hvc_json_u64(v, "out.htinst");

        CU_ASSERT_EQUAL(transform(insn, (uint32_t)hvc_json_u64(v, "in.off")), htinst);
        CU_ASSERT(decodes(htinst, wanted_decode(hvc_json_at(v, "out.class"))));
    }
    CU_ASSERT_EQUAL(n, 15);
    json_object_put(doc);
}

/* --- one call --------------------------------------------------------------------------------- */

typedef struct setup {
    hvcore_riscv64_frame frame;
    hvcore_riscv64_sys sys;
    hvcore_riscv64_state state;
    hvcore_event event;
} setup;

static void fill(void *at, size_t size)
{
    unsigned char *byte = at;

    for (uint64_t bytes = 0, i = 0; i < size; i++, bytes >>= 8) {
        bytes = i % 8 ? bytes : rnd();
        byte[i] = (unsigned char)bytes;
    }
}

/* Random all over, but the access is one that can be understood unless htinst says otherwise. */
static setup random_setup(uint64_t htinst, uint32_t cause)
{
    setup s;

    fill(&s, sizeof s);
    s.event.htinst = htinst;
    s.event.cls = cause;
    s.event.gpa &= ~UINT64_C(7);
    s.event.have |= HVCORE_HAVE_GPA;
    s.state.nisv.wants = 0;
    return s;
}

/* The access that `d` is if it comes with `event`; width 0: none. */
static hvcore_riscv64_nisv slow_access(hvc_htinst d, const hvcore_event *event)
{
    bool load = d.op == HVC_HTINST_OP_LOAD && event->cls == 21;
    bool store = d.op == HVC_HTINST_OP_STORE && event->cls == 23;
    hvcore_riscv64_nisv out = {0};

    if ((!load && !store) || d.offset != 0 || !(event->have & 8) || event->gpa % d.size != 0)
        return out;
    out.width = d.size;
    out.write = store;
    out.sign = load && !d.is_unsigned;
    out.reg = load ? d.rd : d.rs2;
    out.len = d.len;
    return out;
}

/* What the run loop reads, and what the caller has told. */
static bool same_summary(const hvcore_riscv64_nisv *a, const hvcore_riscv64_nisv *b)
{
    return a->width == b->width && a->write == b->write && a->sign == b->sign && a->reg == b->reg &&
           a->len == b->len;
}

static bool same_told(const hvcore_riscv64_nisv *a, const hvcore_riscv64_nisv *b)
{
    return a->wants == b->wants && a->block == b->block && a->page_va == b->page_va &&
           a->page_gpa == b->page_gpa;
}

static bool is_zero(const void *at, size_t size)
{
    const unsigned char *byte = at;

    while (size && !*byte) {
        byte++, size--;
    }
    return size == 0;
}

/* Of an access that was not understood nothing is told but why. */
static bool found_nothing(const hvcore_riscv64_nisv *n)
{
    return n->why && !n->width && !n->count && is_zero(&n->access, sizeof n->access) &&
           is_zero(n->piece, sizeof n->piece);
}

/* Returns whether the access was understood. */
static bool check_call(setup *s, hvcore_riscv64_nisv wanted)
{
    setup before = *s;
    hvcore_riscv64_nisv *n = &s->state.nisv;
    hvcore_result r = hvcore_nisv_riscv64(&s->frame, &s->sys, &s->event, &s->state);

    if (wanted.width) {
        expect(r.kind == HVCORE_RESULT_DONE && r.arg == 0 && r.addr == 0 && n->why == 0);
        expect(n->count == 1 && n->piece[0].gpa == s->event.gpa && n->piece[0].width == n->width);
    } else {
        expect(r.kind == HVCORE_RESULT_AGAIN && r.arg == (s->event.cls == 23 ? 7 : 5) &&
               r.addr == before.event.tval);
        expect(found_nothing(n));
    }
    expect(same_summary(n, &wanted) && same_told(n, &before.state.nisv) && !n->have_page);
    before.state.nisv = *n;
    expect(memcmp(s, &before, sizeof before) == 0);
    return wanted.width != 0;
}

static bool check_access(setup s)
{
    return check_call(&s, slow_access(slow_decode(s.event.htinst), &s.event));
}

/* --- properties ------------------------------------------------------------------------------- */

/* Opcode, compressed bit and funct3 by `which` (0 to 1023), the rest random, often plain. */
static uint64_t some_htinst(uint32_t which)
{
    uint64_t h = rnd() & 0xffff8f80;

    if (rnd() % 2)
        h &= ~UINT64_C(0xf8000); /* no offset */
    if (rnd() % 4 == 0)
        h = 0;
    if (rnd() % 8 == 0)
        h |= rnd() << 32;
    return h | (which >> 7) << 12 | (which & 0x7f);
}

static void test_every_opcode(void)
{
    uint64_t understood = 0;

    wrong = 0;
    for (uint32_t which = 0; which < 1024; which++)
        for (int n = 0; n < 1000; n++) {
            uint64_t h = some_htinst(which);
            setup s = random_setup(h, n % 2 ? 21 : 23);

            expect(decodes(h, slow_decode(h)));
            understood += check_access(s);
        }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(understood > 1000);
}

static void test_random_values(void)
{
    wrong = 0;
    for (int n = 0; n < 1000000; n++) {
        uint64_t h = rnd() >> (n % 4 ? 32 : n / 4 % 64);

        expect(decodes(h, slow_decode(h)));
        check_access(random_setup(h, (uint32_t)(n / 4 % 64)));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* The lowest 2^16 values hold all pseudo-instructions and their neighbours. */
static void test_low_values(void)
{
    wrong = 0;
    for (uint64_t h = 0; h < 0x10000; h++) {
        expect(decodes(h, slow_decode(h)));
        expect(decodes(h | UINT64_C(1) << 32, (hvc_htinst){.kind = HVC_HTINST_NONE}));
        check_access(random_setup(h, 21));
        check_access(random_setup(h, 23));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/*
 * The access of an instruction, from the instruction; width 0 if it is not an integer load or
 * store.
 */
static hvcore_riscv64_nisv access_of(uint32_t insn, uint8_t len)
{
    hvcore_riscv64_nisv out = {0};

    if (load_size(insn)) {
        out.width = load_size(insn);
        out.sign = bits(insn, 14, 14) == 0;
        out.reg = (uint8_t)bits(insn, 11, 7);
        out.len = len;
    } else if (store_size(insn)) {
        out.width = store_size(insn);
        out.write = 1;
        out.reg = (uint8_t)bits(insn, 24, 20);
        out.len = len;
    }
    return out;
}

static uint32_t cause_of(uint32_t insn)
{
    return reads(insn, 6, "0000011") ? 21 : 23;
}

/* Every instruction with every destination or source, decoded from its transformation. */
static void test_transformed_instructions(void)
{
    uint64_t understood = 0;

    wrong = 0;
    for (uint32_t which = 0; which < 1024; which++)
        for (int n = 0; n < 200; n++) {
            uint32_t insn = (uint32_t)rnd() & 0xffff8f80;
            setup s;

            insn |= (which >> 7) << 12 | (which & 0x7f) | 3;
            s = random_setup(transform(insn, 0), cause_of(insn));
            understood += check_call(&s, access_of(insn, 4));
        }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(understood, 11 * 200 * 4); /* 11 instructions; two low bits are forced */
}

static void test_compressed_instructions(void)
{
    uint64_t understood = 0;

    wrong = 0;
    for (uint32_t c = 0; c < 0x10000; c++) {
        uint32_t insn = bits(c, 1, 0) == 3 ? 0 : expand(c);
        setup s = random_setup(insn ? transform(c, 0) : 0, cause_of(insn));

        understood += check_call(&s, access_of(insn, 2));
    }
    CU_ASSERT_EQUAL(wrong, 0);
    /* 2^11 encodings of c.lw, c.ld, c.sw, c.sd each, and of the four by sp (loads less x0) */
    CU_ASSERT_EQUAL(understood, 8 * 2048 - 2 * 64);
}

/* A part of a misaligned access is no access. */
static void test_parts(void)
{
    wrong = 0;
    for (uint64_t h = 0; h < 8; h++)
        for (uint64_t low = 0; low < 64; low++)
            for (uint32_t offset = 0; offset < 32; offset++) {
                setup load = random_setup(0x503 | h << 12 | (uint64_t)offset << 15, 21);
                setup store = random_setup(0xb00023 | h << 12 | (uint64_t)offset << 15, 23);

                load.event.gpa += low;
                store.event.gpa += low;
                check_access(load);
                check_access(store);
            }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_gpa_unknown(void)
{
    setup s = random_setup(0x3603, 21);

    wrong = 0;
    expect(check_access(s));
    s.event.have &= ~(uint32_t)HVCORE_HAVE_GPA;
    s.event.gpa = 0;
    expect(!check_access(s));
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Cause and instruction must tell the same. */
static void test_contradictions(void)
{
    /* zero, pseudo-instructions, a custom one, unknown ones, hlv.d */
    const uint64_t nothing[] = {0, 0x2000, 0x3000, 0x3020, 0x0b, 0x3602, 0x30200073, 0x6c004573};

    wrong = 0;
    for (uint32_t cause = 0; cause < 64; cause++) {
        expect(check_access(random_setup(0x3603, cause)) == (cause == 21));
        expect(check_access(random_setup(0xb03023, cause)) == (cause == 23));
        for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
            setup s = random_setup(nothing[i], cause);

            s.event.gpa = 0; /* aligned to anything */
            expect(!check_access(s));
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_x0(void)
{
    setup load = random_setup(0x3003, 21), store = random_setup(0x3023, 23);

    wrong = 0;
    expect(check_access(load));
    expect(check_access(store));
    CU_ASSERT_EQUAL(wrong, 0);
}

/* --- instructions, as binutils assembles them ------------------------------------------------- */

enum { ALL_WANTS = 31, FETCH = 1, FLOAT = 2, ATOMIC = 4, CBO = 8, SPLIT = 16, BLOCK = 64 };

static uint64_t number(json_object *v, const char *name)
{
    return hvc_json_u64_or(v, name, 0);
}

static uint64_t offset_of(json_object *v)
{
    return (uint64_t)json_object_get_int64(hvc_json_at(v, "imm"));
}

static bool is_kind(json_object *v, const char *kind)
{
    return strcmp(hvc_json_str_or(v, "kind", ""), kind) == 0;
}

static bool loads(json_object *v)
{
    return is_kind(v, "load") || is_kind(v, "lr");
}

/* Everything of the row in a trap: the access begins at `va`, the trap names byte `fault` of it. */
static setup row_setup(json_object *v, uint64_t va, uint64_t fault)
{
    setup s = random_setup(0, loads(v) ? 21 : 23);
    unsigned base = (unsigned)number(v, "base") & 31;

    s.frame.x[0] = 0; /* always */
    if (base) {
        s.frame.x[base] = va - offset_of(v);
    }
    s.frame.sstatus = 1 << 8;
    s.frame.hstatus = 0;
    s.state.nisv.wants = ALL_WANTS;
    s.state.nisv.block = BLOCK;
    s.state.nisv.have_page = 0;
    s.event.have = HVCORE_HAVE_GPA | HVCORE_HAVE_TVAL | HVCORE_HAVE_INSN;
    s.event.insn = (uint32_t)number(v, "w");
    s.event.insn_len = (uint32_t)number(v, "len");
    s.event.tval = va + fault;
    s.event.gpa = (s.event.gpa & ~UINT64_C(0xfff)) | (s.event.tval & 0xfff);
    return s;
}

/* A place for the access, as aligned as `align` says: x0 as base leaves no choice. */
static uint64_t some_va(json_object *v, uint64_t align)
{
    return number(v, "base") ? rnd() & ~(align - 1) : offset_of(v);
}

static hvcore_result call(setup *s)
{
    return hvcore_nisv_riscv64(&s->frame, &s->sys, &s->event, &s->state);
}

static bool is_done(hvcore_result r)
{
    return r.kind == HVCORE_RESULT_DONE && r.arg == 0 && r.addr == 0;
}

static bool is_refused(setup *s, uint32_t why)
{
    hvcore_result r = call(s);

    return r.kind == HVCORE_RESULT_AGAIN && r.arg == (s->event.cls == 23 ? 7 : 5) &&
           r.addr == s->event.tval && s->state.nisv.why == why && found_nothing(&s->state.nisv);
}

static uint8_t op_number(json_object *v)
{
    static const char *const names[] = {"",    "swap", "",    "add",  "and",  "",  "or",
                                        "xor", "max",  "min", "maxu", "minu", NULL};
    const char *op = hvc_json_str_or(v, "op", "none");

    if (is_kind(v, "cas")) {
        return HVCORE_ACCESS_OP_CAS;
    }
    return is_kind(v, "amo") ? named(op, names) : 0;
}

static uint8_t kind_number(json_object *v)
{
    static const struct {
        const char *name;
        uint8_t kind;
    } names[] = {{"load", HVCORE_ACCESS_LOAD},
                 {"store", HVCORE_ACCESS_STORE},
                 {"lr", HVCORE_ACCESS_LOAD_EXCLUSIVE},
                 {"sc", HVCORE_ACCESS_STORE_EXCLUSIVE}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (is_kind(v, names[i].name)) {
            return names[i].kind;
        }
    }
    return HVCORE_ACCESS_ATOMIC;
}

static bool is_float(json_object *v)
{
    return strcmp(hvc_json_str_or(v, "cls", ""), "f") == 0;
}

static uint8_t reg_class(json_object *v, uint8_t reg)
{
    if (is_float(v)) {
        return HVCORE_ACCESS_REG_F;
    }
    return reg ? HVCORE_ACCESS_REG_X : HVCORE_ACCESS_REG_ZERO;
}

/* A fragment by the row; `load` says which of its registers. */
static hvcore_access_fragment fragment_of(json_object *v, bool load)
{
    uint8_t reg = (uint8_t)number(v, load ? "rd" : "rs2");
    hvcore_access_fragment f = {.cls = reg_class(v, reg), .reg = reg, .width = u8(v, "size")};

    f.role = load ? HVCORE_ACCESS_ROLE_LOAD : HVCORE_ACCESS_ROLE_STORE;
    if (load) {
        f.role = is_kind(v, "cas") ? HVCORE_ACCESS_ROLE_COMPARE : f.role;
        f.result = 8;
        f.extend = number(v, "sign") ? HVCORE_ACCESS_EXTEND_SIGN : HVCORE_ACCESS_EXTEND_ZERO;
        f.extend = is_float(v) && f.width < 8 ? HVCORE_ACCESS_EXTEND_ONES : f.extend;
    }
    return f;
}

/* The access of a row at its place, whatever its pieces. */
static hvcore_access access_of_row(json_object *v, const setup *s, uint64_t va, uint64_t fault)
{
    hvcore_access a = {.kind = kind_number(v), .op = op_number(v), .len = u8(v, "len"), .va = va};
    bool atomic = a.kind == HVCORE_ACCESS_ATOMIC;

    a.size = (uint16_t)number(v, "size");
    a.fault = (uint16_t)fault;
    a.flags = (uint8_t)(number(v, "aq") | number(v, "rl") << 1);
    if ((s->event.tval - fault) % 4096 + a.size > 4096) {
        a.flags |= HVCORE_ACCESS_CROSSES;
    }
    if (loads(v) || atomic) {
        a.fragment[a.count++] = fragment_of(v, true);
    }
    if (!loads(v)) {
        a.fragment[a.count++] = fragment_of(v, false);
    }
    if (is_kind(v, "sc")) {
        a.status = u8(v, "rd");
        a.status_cls = reg_class(v, a.status);
    }
    return a;
}

static bool same_access(hvcore_access a, hvcore_access b)
{
    return memcmp(&a, &b, sizeof a) == 0; /* no padding: all members are named */
}

/* The n-th bytes of the register, in order, naturally aligned, each once; `big`: from the top. */
static void expect_pieces(const hvcore_riscv64_nisv *n, uint64_t va, bool big)
{
    uint64_t at = 0, size = n->access.size;

    expect(n->count >= 1 && n->count <= HVCORE_NISV_RISCV64_PIECES);
    for (unsigned i = 0; i < n->count && i < HVCORE_NISV_RISCV64_PIECES; i++) {
        const hvcore_riscv64_piece *p = &n->piece[i];

        expect(p->width && (p->width & (p->width - 1)) == 0 && p->width <= 8);
        expect((va + at) % p->width == 0 && p->gpa % p->width == 0);
        expect((p->gpa ^ (va + at)) % 4096 == 0);
        expect(p->shift == 8 * (big ? size - at - p->width : at));
        at += p->width;
    }
    expect(at == size);
}

/* By the instruction, then by its transformation alone. */
static void check_row(json_object *v)
{
    uint64_t va = some_va(v, number(v, "size"));
    setup s = row_setup(v, va, 0), t;
    hvcore_access wanted = access_of_row(v, &s, va, 0);
    bool odd = va % number(v, "size");

    if (odd) { /* by x0 and an odd offset */
        return;
    }
    expect(is_done(call(&s)) && same_access(s.state.nisv.access, wanted));
    expect_pieces(&s.state.nisv, va, false);
    expect(s.state.nisv.count == 1 && s.state.nisv.width == number(v, "size"));
    t = row_setup(v, va, 0);
    t.event.have = HVCORE_HAVE_GPA | HVCORE_HAVE_TVAL;
    t.event.htinst = transform((uint32_t)number(v, "w"), 0);
    if (!t.event.htinst) { /* Zcb is younger than this test's transformation */
        return;
    }
    expect(is_done(call(&t)) && same_access(t.state.nisv.access, wanted));
    expect(t.state.nisv.reg == s.state.nisv.reg && t.state.nisv.write == s.state.nisv.write);
}

/* What a caller does not want, it does not get. */
static void check_unwanted(json_object *v)
{
    uint64_t va = some_va(v, 64);
    setup s = row_setup(v, va, 0);
    uint32_t need = is_kind(v, "cbo") ? CBO : is_float(v) ? FLOAT : ATOMIC;

    if (va % 64 || ((is_kind(v, "load") || is_kind(v, "store")) && !is_float(v))) {
        return;
    }
    s.state.nisv.wants &= ~need;
    expect(is_refused(&s, HVCORE_NISV_RISCV64_UNWANTED));
    s.state.nisv.wants = FETCH | need;
    expect(is_done(call(&s)));
    s.state.nisv.wants = ALL_WANTS & ~(uint32_t)FETCH;
    expect(is_refused(&s, HVCORE_NISV_RISCV64_NO_INSN));
}

/*
 * The wrong cause, another address, a byte beyond. QEMU 7.2 calls an AMO a load: that is let pass.
 */
static void check_contradiction(json_object *v)
{
    uint64_t va = some_va(v, 64), size = is_kind(v, "cbo") ? BLOCK : number(v, "size");
    setup s = row_setup(v, va, 0);

    if (va % 64) {
        return;
    }
    s.event.cls = 44 - s.event.cls;
    if (is_kind(v, "amo") || is_kind(v, "cas")) {
        expect(is_done(call(&s)));
    } else {
        expect(is_refused(&s, HVCORE_NISV_RISCV64_CONTRADICTS));
    }
    s = row_setup(v, va, size);
    expect(is_refused(&s, HVCORE_NISV_RISCV64_CONTRADICTS));
    s = row_setup(v, va, UINT64_MAX);
    expect(is_refused(&s, HVCORE_NISV_RISCV64_CONTRADICTS));
    s = row_setup(v, va, 0);
    s.event.gpa ^= 0x800; /* that is a table's address, not the access's */
    expect(is_refused(&s, HVCORE_NISV_RISCV64_CONTRADICTS));
    s.event.have &= ~(uint32_t)HVCORE_HAVE_TVAL; /* nobody tells: the gpa must still be its own */
    expect(is_refused(&s, HVCORE_NISV_RISCV64_CONTRADICTS));
}

static void check_block(json_object *v)
{
    static const char *const names[] = {"", "inval", "clean", "flush", "zero", NULL};
    uint8_t cbo = named(hvc_json_str_or(v, "cbo", "missing"), names);
    uint64_t va = some_va(v, 1), fault = rnd() % BLOCK;
    setup s = row_setup(v, va, 0);

    s.event.tval = va / BLOCK * BLOCK + fault;
    s.event.gpa = (s.event.gpa & ~UINT64_C(0xfff)) | (s.event.tval & 0xfff);
    expect(is_done(call(&s)) && s.state.nisv.cbo == cbo);
    expect(s.state.nisv.access.kind == (cbo == 4 ? HVCORE_ACCESS_ZERO : HVCORE_ACCESS_NOTHING));
    expect(s.state.nisv.write == (cbo == 4) && s.state.nisv.width == BLOCK && !s.state.nisv.count);
    expect(s.state.nisv.access.size == BLOCK && s.state.nisv.access.fault == fault);
    expect(s.state.nisv.access.va == s.event.tval - fault && s.state.nisv.len == 4);
    expect(s.state.nisv.piece[0].gpa == s.event.gpa - fault);
    for (uint32_t n = 0; n < 3 * 32; n++) {
        uint32_t block = (UINT32_C(1) << n / 3) + n % 3 - 1; /* powers of two, their neighbours */
        bool good = block >= 4 && block <= 4096 && (block & (block - 1)) == 0;

        s.state.nisv.block = block;
        s.event.tval = va;
        s.event.gpa = (s.event.gpa & ~UINT64_C(0xfff)) | (va & 0xfff);
        expect(good ? is_done(call(&s)) : is_refused(&s, HVCORE_NISV_RISCV64_BLOCK));
    }
}

static uint32_t reason(json_object *v)
{
    static const char *const names[] = {"not_memory", "unknown", "vector", "quad",
                                        "hypervisor", "custom",  NULL};

    return HVCORE_NISV_RISCV64_NOT_MEMORY + named(hvc_json_str_or(v, "no", "missing"), names);
}

static void check_no(json_object *v)
{
    setup s = row_setup(v, rnd(), 0);

    expect(is_refused(&s, reason(v)));
    s.event.cls = 21;
    expect(is_refused(&s, reason(v)));
}

static size_t for_rows(void (*check)(json_object *v), bool (*choose)(json_object *v))
{
    json_object *doc = hvc_vectors_open("nisv_riscv64.json");
    size_t at = 0, n = 0;

    wrong = 0;
    for (json_object *v; (v = hvc_vectors_next(doc, NULL, &at));) {
        uint64_t before = wrong;

        if (!choose(v)) {
            continue;
        }
        check(v), n++;
        if (wrong != before && before < 5) {
            printf("\n    %s: %s", hvc_json_str_or(v, "w", ""), hvc_json_str_or(v, "t", ""));
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    json_object_put(doc);
    return n;
}

static bool is_access(json_object *v)
{
    return !hvc_json_at(v, "no") && !is_kind(v, "cbo");
}

static bool is_memory(json_object *v)
{
    return !hvc_json_at(v, "no");
}

static bool is_cbo(json_object *v)
{
    return is_kind(v, "cbo");
}

static bool is_no(json_object *v)
{
    return hvc_json_at(v, "no");
}

static bool is_plain(json_object *v)
{
    return is_kind(v, "load") || is_kind(v, "store");
}

static bool is_atomic(json_object *v)
{
    return is_access(v) && !is_plain(v);
}

static void test_rows(void)
{
    CU_ASSERT(for_rows(check_row, is_access) > 1500);
}

static void test_rows_unwanted(void)
{
    CU_ASSERT(for_rows(check_unwanted, is_memory) > 1500);
}

static void test_rows_contradict(void)
{
    CU_ASSERT(for_rows(check_contradiction, is_memory) > 1500);
}

static void test_rows_blocks(void)
{
    CU_ASSERT_EQUAL(for_rows(check_block, is_cbo), 28);
}

static void test_rows_no(void)
{
    CU_ASSERT_EQUAL(for_rows(check_no, is_no), 44);
}

/* --- misaligned ------------------------------------------------------------------------------- */

/* Within a page, with any byte named. */
static void check_split(json_object *v)
{
    uint64_t size = number(v, "size");

    if (!number(v, "base") || size == 1) {
        return;
    }
    for (uint64_t low = 0; low < 16; low++) {
        uint64_t va = (rnd() & ~UINT64_C(0xfff)) + rnd() % 255 * 16 + low;
        uint64_t fault = low % size ? rnd() % size : 0;
        setup s = row_setup(v, va, fault), t;

        expect(is_done(call(&s)) &&
               same_access(s.state.nisv.access, access_of_row(v, &s, va, fault)));
        expect_pieces(&s.state.nisv, va, false);
        expect(s.state.nisv.piece[0].gpa == s.event.gpa - fault);
        expect((s.state.nisv.count == 1) == (low % size == 0));
        t = row_setup(v, va, fault);
        t.state.nisv.wants &= ~(uint32_t)SPLIT;
        expect(low % size ? is_refused(&t, HVCORE_NISV_RISCV64_MISALIGNED) : is_done(call(&t)));
        t = row_setup(v, va, fault);
        t.event.gpa = s.event.gpa;
        t.event.have &= ~(uint32_t)HVCORE_HAVE_INSN;
        t.event.htinst = transform(t.event.insn, (uint32_t)fault);
        if (t.event.htinst) {
            expect(is_done(call(&t)) && same_access(t.state.nisv.access, s.state.nisv.access));
            expect(memcmp(t.state.nisv.piece, s.state.nisv.piece, sizeof s.state.nisv.piece) == 0);
        }
    }
}

static void test_split(void)
{
    CU_ASSERT(for_rows(check_split, is_plain) > 1000);
}

static void check_atomic_split(json_object *v)
{
    uint64_t va = (rnd() & ~UINT64_C(0xfff)) + 4 * (rnd() % 1000) + 1 + rnd() % 3;
    setup s = row_setup(v, va, 0);

    if (number(v, "base")) {
        expect(is_refused(&s, HVCORE_NISV_RISCV64_MISALIGNED));
    }
}

static void test_atomic_split(void)
{
    CU_ASSERT(for_rows(check_atomic_split, is_atomic) > 100);
}

/* In two pages: the one that the trap did not name is asked for. */
static void check_crossing(json_object *v)
{
    uint64_t size = number(v, "size");

    for (uint64_t first = 1; first < size && number(v, "base"); first++) {
        uint64_t va = (rnd() & ~UINT64_C(0xfff)) + 4096 - first, fault = rnd() & 1 ? first : 0;
        uint64_t other = fault ? va : va + first, page = rnd() & ~UINT64_C(0xfff);
        setup s = row_setup(v, va, fault), before;
        hvcore_result r;

        s.state.nisv.page_va = rnd(); /* the answer to another question */
        s.state.nisv.have_page = rnd() & 1;
        before = s;
        r = call(&s);
        expect(r.kind == HVCORE_RESULT_NEED_AT && r.arg == (loads(v) ? 1 : 2) && r.addr == other);
        before.state.nisv = s.state.nisv;
        expect(memcmp(&s, &before, sizeof s) == 0 && !s.state.nisv.width);
        s.state.nisv.page_va = other;
        s.state.nisv.page_gpa = page | (other & 0xfff);
        s.state.nisv.have_page = 1;
        before = s;
        expect(is_done(call(&s)) && !s.state.nisv.have_page);
        expect(same_access(s.state.nisv.access, access_of_row(v, &s, va, fault)));
        expect_pieces(&s.state.nisv, va, false);
        for (unsigned i = 0, at = 0; i < s.state.nisv.count; at += s.state.nisv.piece[i++].width) {
            uint64_t gpa = s.state.nisv.piece[i].gpa;

            expect((at < first) == !!fault ? gpa >> 12 == page >> 12
                                           : gpa >> 12 == s.event.gpa >> 12);
        }
        before.state.nisv.page_gpa ^= 1;
        expect(is_refused(&before, HVCORE_NISV_RISCV64_CONTRADICTS));
    }
}

static void test_crossing(void)
{
    CU_ASSERT(for_rows(check_crossing, is_plain) > 1000);
}

/* --- the rest of `wants` ---------------------------------------------------------------------- */

/* lw x10, 0(x11) in two halves. */
static void test_fetch(void)
{
    setup s = random_setup(0, 21);
    hvcore_result r;

    wrong = 0;
    s.state.nisv.wants = FETCH;
    s.frame.sstatus = 1 << 8;
    s.frame.hstatus = 0;
    s.event.have = HVCORE_HAVE_GPA | HVCORE_HAVE_TVAL;
    s.event.tval = s.frame.x[11] = s.event.gpa;
    r = call(&s);
    expect(r.kind == HVCORE_RESULT_NEED_BYTES && r.arg == 2 && r.addr == s.event.pc);
    s.event.have |= HVCORE_HAVE_INSN, s.event.insn = 0xa503, s.event.insn_len = 2;
    r = call(&s);
    expect(r.kind == HVCORE_RESULT_NEED_BYTES && r.arg == 2 && r.addr == s.event.pc + 2);
    s.event.insn |= 0x5u << 16, s.event.insn_len = 4;
    expect(is_done(call(&s)) && s.state.nisv.reg == 10 && s.state.nisv.width == 4);
    s.event.insn_len = 0; /* somebody has it whole and does not count */
    expect(is_done(call(&s)));
    CU_ASSERT_EQUAL(wrong, 0);
}

/* A pseudo-instruction is never decoded; a htinst that lies is not believed, the instruction is. */
static void test_liars(void)
{
    static const uint64_t pseudo[] = {0x2000, 0x2020, 0x3000, 0x3020};
    setup s = random_setup(0, 21);

    wrong = 0;
    s.state.nisv.wants = ALL_WANTS;
    s.frame.sstatus = 1 << 8;
    s.frame.hstatus = 0;
    s.event.have = HVCORE_HAVE_GPA | HVCORE_HAVE_TVAL | HVCORE_HAVE_INSN;
    s.event.insn = 0x5d503, s.event.insn_len = 4; /* lhu x10, 0(x11) */
    s.event.tval = s.frame.x[11] = s.event.gpa;
    for (size_t i = 0; i < sizeof pseudo / sizeof *pseudo; i++) {
        s.event.htinst = pseudo[i];
        expect(is_refused(&s, HVCORE_NISV_RISCV64_IMPLICIT));
    }
    s.event.htinst = 0xb03023; /* a store */
    expect(is_done(call(&s)) && s.state.nisv.width == 2 && s.state.nisv.reg == 10);
    s.event.htinst = 0x3503 | 8 << 15; /* the ninth of eight bytes */
    expect(is_done(call(&s)) && s.state.nisv.width == 2);
    s.event.htinst = 0x3503 | 4u << 15; /* the fifth: then the first were misaligned */
    s.event.tval += 4, s.event.gpa += 4;
    expect(is_refused(&s, HVCORE_NISV_RISCV64_CONTRADICTS)); /* nor does the instruction fit */
    s.frame.x[11] += 4;
    expect(is_done(call(&s)) && s.state.nisv.width == 2);
    s.event.htinst = 0x3503;
    s.event.gpa += 0x801;
    expect(is_refused(&s, HVCORE_NISV_RISCV64_CONTRADICTS));
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Bytes change places with the order of the mode; VU-mode's must be known. */
static void test_byte_order(void)
{
    wrong = 0;
    for (int n = 0; n < 8; n++) {
        bool user = n & 1, ube = n & 2, vsbe = n & 4, big = user ? ube : vsbe;
        setup s = random_setup(0x3503, 21);
        hvcore_result r;

        s.state.nisv.wants = SPLIT;
        s.event.have = HVCORE_HAVE_GPA | HVCORE_HAVE_TVAL;
        s.event.tval = s.event.gpa = (s.event.gpa & ~UINT64_C(0xfff)) + 3;
        s.frame.sstatus = user ? 0 : 1 << 8;
        s.frame.hstatus = vsbe ? 1 << 5 : 0;
        s.sys.vsstatus = ube ? 1 << 6 : 0;
        s.sys.have = 0;
        r = call(&s);
        expect(user ? r.kind == HVCORE_RESULT_NEED_REGS && r.addr == 1 : is_done(r));
        s.sys.have = 1;
        expect(is_done(call(&s)) && s.state.nisv.count == 4);
        expect(!!(s.state.nisv.access.flags & HVCORE_ACCESS_BIG_ENDIAN) == big);
        expect_pieces(&s.state.nisv, s.event.tval, big);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Anything anywhere: a known answer, and what is found makes sense. */
static void test_anything(void)
{
    static const uint32_t opcodes[] = {0x03, 0x07, 0x23, 0x27, 0x2f, 0x0f};
    uint64_t understood = 0;

    wrong = 0;
    for (int n = 0; n < 300000; n++) {
        setup s =
            random_setup(rnd() & 1 ? 0 : some_htinst((uint32_t)rnd() % 1024), 21 + rnd() % 2 * 2);
        hvcore_result r;

        s.state.nisv.wants = (uint32_t)rnd();
        s.state.nisv.block = 1u << rnd() % 32;
        s.event.have = (uint32_t)(rnd() | HVCORE_HAVE_GPA);
        s.event.insn = ((uint32_t)rnd() & ~UINT32_C(0x7f)) | opcodes[rnd() % 6];
        s.event.insn_len = (uint32_t)rnd() % 3 * 2;
        s.event.gpa |= rnd() & 7;
        if (rnd() % 4) {
            s.event.gva = s.event.tval = (s.event.tval & ~UINT64_C(0xfff)) | (s.event.gpa & 0xfff);
            s.event.insn &= 0xfffff;
            s.frame.x[s.event.insn >> 15 & 31] = s.event.tval - rnd() % 2 * (rnd() & 7);
        }
        r = call(&s);
        expect(r.kind == HVCORE_RESULT_DONE || r.kind == HVCORE_RESULT_AGAIN ||
               r.kind == HVCORE_RESULT_NEED_BYTES || r.kind == HVCORE_RESULT_NEED_AT ||
               r.kind == HVCORE_RESULT_NEED_REGS);
        if (r.kind == HVCORE_RESULT_DONE && !s.state.nisv.cbo) {
            const hvcore_access *a = &s.state.nisv.access;

            understood++;
            expect_pieces(&s.state.nisv, s.event.gpa - a->fault,
                          a->flags & HVCORE_ACCESS_BIG_ENDIAN);
            expect(s.state.nisv.reg < 32 && a->fault < a->size && (a->len == 2 || a->len == 4));
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(understood > 1000);
}

static const hvc_unit_test tests[] = {
    {"vectors: htinst", test_htinst_vectors},
    {"vectors: tinst", test_tinst_vectors},
    {"transformed instructions", test_transformed_instructions},
    {"compressed instructions, all", test_compressed_instructions},
    {"parts of an access", test_parts},
    {"gpa unknown", test_gpa_unknown},
    {"contradictions", test_contradictions},
    {"x0", test_x0},
    {"encodings of binutils", test_rows},
    {"encodings: unwanted", test_rows_unwanted},
    {"encodings: contradictions", test_rows_contradict},
    {"encodings: cache blocks", test_rows_blocks},
    {"encodings: no access", test_rows_no},
    {"misaligned: pieces", test_split},
    {"misaligned: atomics", test_atomic_split},
    {"misaligned: two pages", test_crossing},
    {"fetching the instruction", test_fetch},
    {"liars", test_liars},
    {"byte order", test_byte_order},
    {"anything", test_anything},
    {"the lowest 2^16 values", test_low_values},
    {"every opcode, funct3, compressed bit", test_every_opcode},
    {"random values", test_random_values},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("nisv", tests);
}
