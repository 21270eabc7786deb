/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvcore_nisv_arm64 against binutils: tests/vectors/nisv_arm64.json says in words what an
 * instruction does, derived from its disassembly (tests/unit/gen_nisv_arm64.py). The access that
 * the unit finds is put into the same words here and compared as text. The rest: what a trap may
 * say, sweeps for bounds.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <hvcore/fixup/arm64_state.h>

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

/* --- one call --------------------------------------------------------------------------------- */

typedef struct setup {
    hvcore_arm64_frame frame;
    hvcore_arm64_sys sys;
    hvcore_arm64_state state;
    hvcore_event event;
} setup;

enum { WNR = 1 << 6, S1PTW = 1 << 7, FNV = 1 << 10 };

#define ALL_KNOWN UINT32_C(0x1ff)
#define SCTLR_EL1 (UINT64_C(1) << 0)  /* first in the list of registers */
#define SCTLR_EL2 (UINT64_C(1) << 18) /* nineteenth */
#define STACK (UINT64_C(1) << 63)

static void fill(void *at, size_t size)
{
    unsigned char *bytes = at;

    for (size_t i = 0; i < size; i += 8) {
        uint64_t some = rnd();

        memcpy(bytes + i, &some, size - i < 8 ? size - i : 8);
    }
}

/* A data abort of EL0 or EL1 by a write or a read, everything else random. The guest's own EL1. */
static setup random_setup(uint32_t insn, bool write)
{
    setup s;

    fill(&s, sizeof s);
    s.frame.spsr &= ~UINT64_C(0x18);
    s.sys.have |= SCTLR_EL1;
    s.state.nisv.have_sp = 1;
    s.state.nisv.zva_block = 4u << rnd() % 10;
    s.event.have = ALL_KNOWN;
    s.event.insn = insn;
    s.event.mode = rnd() & 1;
    s.event.syndrome &= ~(UINT64_C(0xfc000000) | WNR | S1PTW | FNV);
    s.event.syndrome |= UINT64_C(0x24) << 26 | (write ? WNR : 0);
    return s;
}

static hvcore_result call(setup *s)
{
    return hvcore_nisv_arm64(&s->frame, &s->sys, &s->event, &s->state);
}

static bool is(hvcore_result r, uint32_t kind, uint32_t arg, uint64_t addr)
{
    return r.kind == kind && r.arg == arg && r.addr == addr;
}

/* It answers so, and touches nothing. */
static bool answers(setup s, uint32_t kind, uint32_t arg, uint64_t addr)
{
    setup before = s;

    return is(call(&s), kind, arg, addr) && memcmp(&s, &before, sizeof s) == 0;
}

/* --- an access in words ----------------------------------------------------------------------- */

typedef struct text {
    char at[256];
    size_t used;
} text;

static void say(text *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->at + t->used, sizeof t->at - t->used, format, args);
    va_end(args);
    t->used += n > 0 && (size_t)n < sizeof t->at - t->used ? (size_t)n : 0;
}

static const char *const kinds[] = {
    "nothing", "load", "store", "atomic", "load-exclusive", "store-exclusive", "zero",
};
static const char *const ops[] = {
    "",    ".swap", ".cas",  ".add",  ".and",  ".clear",
    ".or", ".xor",  ".smax", ".smin", ".umax", ".umin",
};
static const char *const roles[] = {"load", "store", "compare"};

static void say_register(text *t, unsigned cls, unsigned reg)
{
    if (cls == HVCORE_ACCESS_REG_ZERO) {
        say(t, "zr");
    } else {
        say(t, "%c%u",
            cls == HVCORE_ACCESS_REG_X   ? 'x'
            : cls == HVCORE_ACCESS_REG_W ? 'w'
                                         : 'v',
            reg);
    }
}

static void say_fragment(text *t, const hvcore_access_fragment *f)
{
    say(t, " %s ", roles[f->role % 3]);
    say_register(t, f->cls, f->reg);
    say(t, ":%u@%u", f->width, f->offset);
    if (f->role != HVCORE_ACCESS_ROLE_STORE) {
        say(t, "%c%u", "zs?"[f->extend % 3], f -> result);
    }
}

static void say_flags(text *t, uint32_t flags)
{
    say(t, "%s%s%s%s", flags & HVCORE_ACCESS_ACQUIRE ? " acquire" : "",
        flags & HVCORE_ACCESS_NON_TEMPORAL ? " non-temporal" : "",
        flags & HVCORE_ACCESS_RELEASE ? " release" : "",
        flags & HVCORE_ACCESS_UNPRIVILEGED ? " unprivileged" : "");
}

static text in_words(const hvcore_access *a)
{
    text t = {{0}, 0};

    say(&t, "%s%s", a->kind < 7 ? kinds[a->kind] : "?", a->op < 12 ? ops[a->op] : "?");
    for (unsigned i = 0; i < a->count && i < 4; i++) {
        say_fragment(&t, &a->fragment[i]);
    }
    say_flags(&t, a->flags);
    if (a->status_cls) {
        say(&t, " status ");
        say_register(&t, a->status_cls, a->status);
    }
    if (a->base_cls == HVCORE_ACCESS_REG_SP) {
        say(&t, " sp%+lld", (long long)a->delta);
    } else if (a->base_cls) {
        say(&t, " x%u%+lld", a->base, (long long)a->delta);
    }
    return t;
}

/* What has no use is zero, what names a register can index a frame. */
static bool is_tidy(const hvcore_access *a)
{
    static const hvcore_access_fragment none;
    bool good = a->len == 4 && !a->reserved && !a->reserved2 && a->count <= HVCORE_ACCESS_FRAGMENTS;

    good = good && (a->kind == HVCORE_ACCESS_ATOMIC) == (a->op != 0);
    good = good && (a->kind == HVCORE_ACCESS_STORE_EXCLUSIVE) == (a->status_cls != 0);
    good = good && (a->base_cls == HVCORE_ACCESS_REG_X || (a->base == 0 && a->base_cls != 1));
    good = good && (a->base_cls || a->delta == 0) && a->base < 31 && a->status < 31;
    good = good && (a->status_cls == HVCORE_ACCESS_REG_W || a->status == 0);
    good = good && a->fault <= (a->size ? a->size - 1 : 0);
    for (unsigned i = a->count; good && i < HVCORE_ACCESS_FRAGMENTS; i++) {
        good = memcmp(&a->fragment[i], &none, sizeof none) == 0;
    }
    return good;
}

static bool is_tidy_fragment(const hvcore_access_fragment *f)
{
    bool store = f->role == HVCORE_ACCESS_ROLE_STORE;
    bool vector = f->cls == HVCORE_ACCESS_REG_V;
    bool power = f->width && (f->width & (f->width - 1)) == 0 && f->width <= (vector ? 16 : 8);

    return power && f->role < 3 && f->reg < (vector ? 32 : 31) && !f->reserved &&
           (f->cls != HVCORE_ACCESS_REG_ZERO || f->reg == 0) && f->extend < 2 &&
           (store ? !f->result && !f->extend
                  : f->result >= f->width || (f->result == 4 && f->width <= 4));
}

static unsigned bytes_of(const hvcore_access *a, uint32_t zva_block)
{
    unsigned end = a->kind == HVCORE_ACCESS_ZERO ? zva_block : 0;

    for (unsigned i = 0; i < a->count && i < 4; i++) {
        unsigned this_end = a->fragment[i].offset + a->fragment[i].width;

        end = this_end > end ? this_end : end;
    }
    return end;
}

/* --- vectors ---------------------------------------------------------------------------------- */

static const char *const reasons[] = {
    "NOT_MEMORY", "UNALLOCATED", "UNPREDICTABLE", "LITERAL", "STRUCTURE", "MOPS",
    "TAGS",       "PAC",         "LS64",          "SVE",     "CACHE",     "ZVA",
};

static uint32_t reason_named(const char *name)
{
    for (uint32_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (strcmp(name, reasons[i]) == 0) {
            return 16 + i;
        }
    }
    hvc_vectors_die("unknown reason", name);
}

/* "ANY": refused as a word, by whatever name. */
static bool is_refused(setup s, const char *why)
{
    setup before = s;
    hvcore_result r = call(&s);
    bool named = strcmp(why, "ANY") == 0 ? r.arg >= 16 && r.arg <= 27 : r.arg == reason_named(why);

    return named && is(r, HVCORE_RESULT_EXIT, r.arg, s.event.insn) &&
           memcmp(&s, &before, sizeof s) == 0;
}

static uint64_t value_of(const setup *s, const char *name)
{
    uint64_t value;

    if (strcmp(name, "sp") == 0) {
        return s->state.nisv.sp;
    }
    value = strcmp(name + 1, "zr") == 0 ? 0 : s->frame.x[strtoul(name + 1, NULL, 10)];
    return name[0] == 'w' ? value & UINT32_MAX : value;
}

/* "x5 +16", "x5 w3 sxtw 2", "x5 zva". */
static uint64_t address_of(const setup *s, const char *words)
{
    char base[8], next[8] = "", extend[8] = "";
    unsigned shift = 0;
    int n = sscanf(words, "%7s %7s %7s %u", base, next, extend, &shift);
    uint64_t index;

    if (n == 2 && strcmp(next, "zva") == 0) {
        return value_of(s, base) / s->state.nisv.zva_block * s->state.nisv.zva_block;
    }
    if (n == 2) {
        return value_of(s, base) + (uint64_t)strtoll(next, NULL, 10);
    }
    index = value_of(s, next);
    if (strcmp(extend, "sxtw") == 0 && index > INT32_MAX) {
        index -= UINT64_C(1) << 32;
    }
    return value_of(s, base) + (index << shift);
}

static bool writes(const char *words)
{
    return strncmp(words, "store", 5) == 0 || strncmp(words, "zero", 4) == 0 ||
           (strncmp(words, "atomic", 6) == 0 && rnd() & 1);
}

/* The fault at byte `at` of the access, told in one of three ways. */
static void put_fault(setup *s, uint64_t va, uint64_t at)
{
    switch (rnd() % 4) {
    case 0:
        s->event.gva = va + at;
        break;
    case 1:
        s->event.have &= ~(uint32_t)HVCORE_HAVE_GVA;
        s->event.tval = va + at;
        break;
    case 2:
        s->event.have &= ~(uint32_t)(HVCORE_HAVE_GVA | HVCORE_HAVE_TVAL);
        s->event.gpa = (s->event.gpa & ~UINT64_C(0xfff)) | ((va + at) & 0xfff);
        break;
    default:
        s->event.syndrome |= FNV;
        s->event.gpa = (s->event.gpa & ~UINT64_C(0xfff)) | ((va + at) & 0xfff);
    }
}

static void check_vector(uint32_t insn, const char *where, const char *what)
{
    setup s = random_setup(insn, writes(what)), before;
    const hvcore_access *a = &s.state.nisv.access;
    bool nothing = strcmp(what, "nothing") == 0;
    uint64_t va = nothing ? 0 : address_of(&s, where);
    unsigned bytes, at;

    s.event.gva = va; /* for the first call, to learn how many bytes there are */
    expect(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
    bytes = bytes_of(a, s.state.nisv.zva_block);
    at = bytes ? (unsigned)(rnd() % bytes) : 0;
    put_fault(&s, va, at);
    before = s;
    expect(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
    expect(strcmp(in_words(a).at, what) == 0 && is_tidy(a));
    expect(a->va == va && a->fault == at && a->size == bytes);
    expect(!(a->flags & HVCORE_ACCESS_CROSSES) == (va % 4096 + bytes <= 4096));
    before.state.nisv.access = s.state.nisv.access;
    expect(memcmp(&s, &before, sizeof s) == 0);
    if (wrong) {
        fprintf(stderr, "%08x %s: %s\n    %s\n", insn, where, what, in_words(a).at);
    }
}

static void run_vector(json_object *v)
{
    uint32_t insn = (uint32_t)hvc_json_u64(v, "w");
    const char *no = hvc_json_str_or(v, "no", NULL);

    wrong = 0;
    for (int n = 0; n < 8; n++) {
        if (no) {
            expect(is_refused(random_setup(insn, n & 1), no));
        } else {
            check_vector(insn, hvc_json_str_or(v, "a", ""), hvc_json_str_or(v, "e", ""));
        }
    }
    if (wrong) {
        fprintf(stderr, "%08x %s\n", insn, hvc_json_str_or(v, "t", ""));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_vectors(void)
{
    json_object *doc = hvc_vectors_open("nisv_arm64.json");
    size_t at = 0, n = 0;

    for (json_object *v; (v = hvc_vectors_next(doc, NULL, &at)); n++) {
        run_vector(v);
    }
    CU_ASSERT(n >= 3000);
    json_object_put(doc);
}

/* --- what a trap may say ---------------------------------------------------------------------- */

enum {
    LDR = 0xf9400041,    /* ldr x1, [x2] */
    LDR_SP = 0xf94003e1, /* ldr x1, [sp] */
    LDP = 0xa9400c41,    /* ldp x1, x3, [x2] */
    STR = 0xf9000041,    /* str x1, [x2] */
    LDXR = 0xc85f7c41,   /* ldxr x1, [x2] */
    STXR = 0xc8037c41,   /* stxr w3, x1, [x2] */
    LDADD = 0xf8230041,  /* ldadd x3, x1, [x2] */
    PRFM = 0xf9800040,   /* prfm pldl1keep, [x2] */
    DC_ZVA = 0xd50b7422, /* dc zva, x2 */
    UNALLOCATED = 0xbb000000
};

/* With a fault at `distance` from x2. */
static setup at_x2(uint32_t insn, bool write, uint64_t distance)
{
    setup s = random_setup(insn, write);

    s.event.gva = s.frame.x[2] + distance;
    return s;
}

static void test_syndrome(void)
{
    wrong = 0;
    for (uint64_t ec = 0; ec < 64; ec++) {
        setup s = at_x2(LDR, false, 0);

        s.event.syndrome = (s.event.syndrome & ~UINT64_C(0xfc000000)) | ec << 26;
        expect(ec == 0x24
                   ? call(&s).kind == HVCORE_RESULT_DONE
                   : answers(s, HVCORE_RESULT_EXIT, HVCORE_NISV_ARM64_NOT_ABORT, s.frame.pc));
        s.event.have &= ~(uint32_t)HVCORE_HAVE_SYNDROME; /* not known: not asked */
        s.event.syndrome |= S1PTW | FNV | WNR;
        expect(call(&s).kind == HVCORE_RESULT_DONE);
    }
    for (int n = 0; n < 100; n++) {
        setup s = at_x2(LDR, false, 0);

        s.event.syndrome |= S1PTW;
        expect(answers(s, HVCORE_RESULT_EXIT, HVCORE_NISV_ARM64_WALK, s.frame.pc));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_modes(void)
{
    wrong = 0;
    for (uint64_t m = 0; m < 32; m++) {
        setup s = at_x2(LDR, false, 0);

        s.frame.spsr = (s.frame.spsr & ~UINT64_C(0x1f)) | m;
        if (m >= 16) {
            expect(answers(s, HVCORE_RESULT_EXIT, HVCORE_NISV_ARM64_NOT_AARCH64, s.frame.pc));
        } else if (m >= 8) {
            expect(answers(s, HVCORE_RESULT_EXIT, HVCORE_NISV_ARM64_NOT_GUEST, s.frame.pc));
        } else {
            expect(call(&s).kind == HVCORE_RESULT_DONE);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Reads, writes, and what is both. */
static void test_direction(void)
{
    static const struct {
        uint32_t insn;
        bool reads, writes;
    } all[] = {
        {LDR, true, false}, {STR, false, true},  {LDXR, true, false},   {STXR, false, true},
        {LDP, true, false}, {LDADD, true, true}, {DC_ZVA, false, true},
    };

    wrong = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (int write = 0; write < 2; write++) {
            setup s = at_x2(all[i].insn, write, 0);

            if (write ? all[i].writes : all[i].reads) {
                expect(call(&s).kind == HVCORE_RESULT_DONE);
            } else {
                expect(answers(s, HVCORE_RESULT_EXIT, HVCORE_NISV_ARM64_DIRECTION, s.frame.pc));
            }
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* The fault at every place around an access of 16 bytes, also where the address space ends. */
static void test_fault_in_access(void)
{
    static const uint64_t bases[] = {0,         8, 0xff8, 0xfffffffffffffff8, 0x00fffffffffffff8,
                                     0x7ffffff1};

    wrong = 0;
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        for (uint64_t d = 0; d < 64; d++) {
            setup s = random_setup(LDP, false);
            uint64_t distance = d - 24;

            s.frame.x[2] = bases[i];
            s.event.gva = bases[i] + distance;
            if (distance < 16) {
                expect(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
                expect(s.state.nisv.access.fault == distance);
            } else {
                expect(answers(s, HVCORE_RESULT_EXIT, HVCORE_NISV_ARM64_ELSEWHERE, bases[i]));
            }
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* A tag in the register and none in FAR, and any other bit. */
static void test_tags(void)
{
    wrong = 0;
    for (unsigned bit = 4; bit < 64; bit++) {
        setup s = at_x2(LDP, false, 3);

        s.event.gva ^= UINT64_C(1) << bit;
        if (bit >= 56) {
            expect(is(call(&s), HVCORE_RESULT_DONE, 0, 0) &&
                   s.state.nisv.access.va == s.frame.x[2]);
        } else {
            expect(answers(s, HVCORE_RESULT_EXIT, HVCORE_NISV_ARM64_ELSEWHERE, s.frame.x[2]));
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* gva before tval before gpa; FAR not at all where the syndrome says that it is not valid. */
static void test_which_address(void)
{
    wrong = 0;
    for (uint32_t have = 0; have < 8; have++) {
        for (int fnv = 0; fnv < 2; fnv++) {
            setup s = at_x2(LDR, false, 0);
            uint32_t which = have & 3 && !fnv ? have & 3 : have & 4;

            s.event.have &= ~UINT32_C(14);
            s.event.have |= (have & 1) << 2 | (have & 2) | (have & 4) << 1; /* gva, tval, gpa */
            s.event.syndrome |= fnv ? FNV : 0;
            s.event.gva = which & 1 ? s.frame.x[2] : s.frame.x[2] + 8;
            s.event.tval = (which & 3) == 2 ? s.frame.x[2] : s.frame.x[2] + 8;
            s.event.gpa = which == 4 ? s.frame.x[2] : s.frame.x[2] + 8;
            if (which) {
                expect(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
            } else {
                expect(answers(s, HVCORE_RESULT_EXIT, HVCORE_NISV_ARM64_NO_ADDRESS, s.frame.pc));
            }
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* --- what the unit asks for ------------------------------------------------------------------- */

static void test_needs(void)
{
    wrong = 0;
    for (int n = 0; n < 1000; n++) {
        setup s = at_x2(n & 1 ? LDR_SP : LDR, false, 0);
        uint64_t lacks = n & 1 ? STACK | SCTLR_EL1 : SCTLR_EL1;

        s.event.gva = n & 1 ? s.state.nisv.sp : s.event.gva;
        s.event.have &= ~(uint32_t)HVCORE_HAVE_INSN;
        s.sys.have &= ~SCTLR_EL1;
        s.state.nisv.have_sp = 0;
        expect(answers(s, HVCORE_RESULT_NEED_BYTES, 4, s.frame.pc));
        s.event.have |= HVCORE_HAVE_INSN;
        expect(answers(s, HVCORE_RESULT_NEED_REGS, 0, lacks));
        s.sys.have |= SCTLR_EL1;
        expect(n & 1 ? answers(s, HVCORE_RESULT_NEED_REGS, 0, STACK) : true);
        s.state.nisv.have_sp = 1;
        expect(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
    }
    CU_ASSERT_EQUAL(HVCORE_NISV_ARM64_NEED_SP, STACK);
    CU_ASSERT(HVCORE_ARM64_SYS_COUNT < 63);
    CU_ASSERT_EQUAL(wrong, 0);
}

/* SCTLR_ELx.EE for the level itself, E0E for EL0; EL2's for a guest hypervisor and its EL0. */
static void test_byte_order(void)
{
    wrong = 0;
    for (unsigned n = 0; n < 256; n++) {
        setup s = at_x2(LDR, false, 0);
        bool el0 = n & 1, nested = n & 2, known = n & 4, nested_matters = nested && known;
        uint64_t sctlr[2] = {(uint64_t)(n >> 4) << 24 & 0x3000000, (uint64_t)(n >> 6) << 24};
        bool big = sctlr[nested_matters] >> (el0 ? 24 : 25) & 1;

        s.sys.have = nested_matters ? SCTLR_EL2 : SCTLR_EL1;
        s.sys.sctlr_el1 = (s.sys.sctlr_el1 & ~UINT64_C(0x3000000)) | sctlr[0];
        s.sys.sctlr_el2 = (s.sys.sctlr_el2 & ~UINT64_C(0x3000000)) | sctlr[1];
        s.frame.spsr = (s.frame.spsr & ~UINT64_C(0xf)) | (el0 ? 0 : n & 8 ? 4 : 5);
        s.event.mode = nested ? (el0 ? HVCORE_ARM64_VEL0 : HVCORE_ARM64_VEL2)
                              : (el0 ? HVCORE_ARM64_EL0 : HVCORE_ARM64_EL1);
        s.event.have &= known ? UINT32_MAX : ~(uint32_t)HVCORE_HAVE_MODE;
        expect(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
        expect(!(s.state.nisv.access.flags & HVCORE_ACCESS_BIG_ENDIAN) == !big);
        s.sys.have = nested_matters ? SCTLR_EL1 : SCTLR_EL2;
        expect(answers(s, HVCORE_RESULT_NEED_REGS, 0, nested_matters ? SCTLR_EL2 : SCTLR_EL1));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_zva_block(void)
{
    wrong = 0;
    for (uint32_t bytes = 0; bytes < 10000; bytes++) {
        setup s = at_x2(DC_ZVA, true, 0);
        bool fits = bytes == 4 || bytes == 8 || bytes == 16 || bytes == 32 || bytes == 64 ||
                    bytes == 128 || bytes == 256 || bytes == 512 || bytes == 1024 || bytes == 2048;

        s.state.nisv.zva_block = bytes;
        if (fits) {
            expect(is(call(&s), HVCORE_RESULT_DONE, 0, 0) && s.state.nisv.access.size == bytes);
        } else {
            expect(answers(s, HVCORE_RESULT_EXIT, HVCORE_NISV_ARM64_ZVA, DC_ZVA));
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* A prefetch needs nothing and does nothing, wherever the fault was. */
static void test_prefetch(void)
{
    setup s = random_setup(PRFM, false);

    s.sys.have = 0;
    s.state.nisv.have_sp = 0;
    CU_ASSERT(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
    CU_ASSERT_EQUAL(s.state.nisv.access.kind, HVCORE_ACCESS_NOTHING);
    CU_ASSERT_EQUAL(s.state.nisv.access.size, 0);
    CU_ASSERT(is_tidy(&s.state.nisv.access));
}

/* --- sweeps ----------------------------------------------------------------------------------- */

static uint64_t number_or(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);

    return value && *value ? strtoull(value, NULL, 0) : otherwise;
}

/* Whatever the word: a bounded answer. Returns whether it was understood. */
static bool check_any_word(setup *s, uint32_t insn)
{
    const hvcore_access *a = &s->state.nisv.access;
    hvcore_result r;

    s->event.insn = insn;
    r = call(s);
    if (r.kind == HVCORE_RESULT_EXIT) {
        expect((r.arg >= 16 && r.arg <= 27 && r.addr == insn) ||
               r.arg == HVCORE_NISV_ARM64_ELSEWHERE);
        return r.arg == HVCORE_NISV_ARM64_ELSEWHERE;
    }
    expect(is(r, HVCORE_RESULT_DONE, 0, 0) && a->kind <= HVCORE_ACCESS_ZERO && is_tidy(a));
    expect(a->size == bytes_of(a, s->state.nisv.zva_block) && a->fault < (a->size ? a->size : 1));
    for (unsigned i = 0; i < a->count && i < HVCORE_ACCESS_FRAGMENTS; i++) {
        expect(is_tidy_fragment(&a->fragment[i]));
    }
    return true;
}

/* All registers alike and the fault there: the access is found for many words. */
static void test_sweep(void)
{
    uint64_t stride = number_or("HVCORE_NISV_STRIDE", 1021), understood = 0, words = 0;
    setup s = random_setup(0, false);

    wrong = 0;
    s.event.have &= ~(uint32_t)HVCORE_HAVE_SYNDROME;
    s.state.nisv.sp = s.event.gva = UINT64_C(0x123456780);
    for (int i = 0; i < 31; i++) {
        s.frame.x[i] = s.event.gva;
    }
    for (uint64_t insn = rnd() % stride; insn <= UINT32_MAX; insn += stride) {
        words++;
        understood += check_any_word(&s, (uint32_t)insn);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(understood > words / 16 &&
              understood < words / 8); /* the space of loads and stores */
}

/* Random bits in everything: what is refused is not touched, and no reason is unknown. */
static void test_random_everything(void)
{
    wrong = 0;
    for (int n = 0; n < 1000000; n++) {
        setup s, before;
        hvcore_result r;

        fill(&s, sizeof s);
        s.event.insn = (s.event.insn & ~UINT32_C(0x0a000000)) | UINT32_C(0x08000000);
        s.frame.spsr &= n % 2 ? ~UINT64_C(0x18) : UINT64_MAX;
        before = s;
        r = call(&s);
        expect(r.kind == HVCORE_RESULT_DONE || memcmp(&s, &before, sizeof s) == 0);
        expect(r.kind == HVCORE_RESULT_DONE || r.kind == HVCORE_RESULT_NEED_REGS ||
               r.kind == HVCORE_RESULT_NEED_BYTES ||
               (r.kind == HVCORE_RESULT_EXIT &&
                ((r.arg >= 1 && r.arg <= 7) || (r.arg >= 16 && r.arg <= 27))));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_layout(void)
{
    CU_ASSERT_EQUAL(sizeof(hvcore_access_fragment), 8);
    CU_ASSERT_EQUAL(sizeof(hvcore_access), 64);
    CU_ASSERT_EQUAL(sizeof(hvcore_nisv_arm64_state), 80);
}

static const hvc_unit_test tests[] = {
    {"vectors, as binutils reads them", test_vectors},
    {"class of the syndrome, table walks", test_syndrome},
    {"modes of the guest", test_modes},
    {"read or write", test_direction},
    {"the fault lies in the access", test_fault_in_access},
    {"tags", test_tags},
    {"which address is believed", test_which_address},
    {"asks for what it lacks", test_needs},
    {"byte order", test_byte_order},
    {"blocks of DC ZVA", test_zva_block},
    {"prefetch", test_prefetch},
    {"sweep over all words", test_sweep},
    {"random bits in everything", test_random_everything},
    {"layout", test_layout},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("nisv_arm64", tests);
}
