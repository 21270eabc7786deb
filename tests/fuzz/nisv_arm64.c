/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of arm64 and aborts without a syndrome: what comes out can be carried out, holds the fault,
 * fits the trap and is the same again; what is refused is untouched and by name.
 * sources: lib/fixup/nisv_arm64*.c
 */
#include <hvcore/fixup/arm64_state.h>

#include "tests/fuzz/fuzz.h"

enum { CALLS = 3, PAGE = 4096 }; /* an answer after the bytes and the registers */

#define ADDRESS (UINT64_MAX >> 8) /* above may be a tag */
#define FLAGS_KNOWN 63

typedef struct world {
    hvcore_arm64_frame frame;
    hvcore_arm64_sys sys;
    hvcore_event event;
    hvcore_arm64_state state;
} world;

static bool same(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

/* --- an access in itself ---------------------------------------------------------------------- */

static bool is_zero(const hvcore_access_fragment *f)
{
    static const hvcore_access_fragment zero;
    return same(f, &zero, sizeof(zero));
}

static void check_register(const hvcore_access_fragment *f)
{
    switch (f->cls) {
    case HVCORE_ACCESS_REG_X:
    case HVCORE_ACCESS_REG_W:
        EXPECT(f->reg < 31);
        break;
    case HVCORE_ACCESS_REG_V:
        EXPECT(f->reg < 32);
        break;
    default:
        EXPECT(f->cls == HVCORE_ACCESS_REG_ZERO && f->reg == 0);
    }
}

static void check_fragment(const hvcore_access *a, const hvcore_access_fragment *f)
{
    unsigned limit = f->cls == HVCORE_ACCESS_REG_V ? 16 : 8;
    check_register(f);
    EXPECT(f->width && f->width <= limit && (f->width & (f->width - 1)) == 0);
    EXPECT((unsigned)f->offset + f->width <= a->size && f->offset % f->width == 0);
    EXPECT(f->role <= HVCORE_ACCESS_ROLE_COMPARE && f->extend <= HVCORE_ACCESS_EXTEND_SIGN);
    EXPECT(!f->reserved);
    if (f->role == HVCORE_ACCESS_ROLE_STORE) {
        EXPECT(!f->result && !f->extend);
    } else {
        EXPECT((f->result == 4 || f->result == 8 || f->result == 16) && f->result >= f->width);
        EXPECT(f->cls != HVCORE_ACCESS_REG_W || f->result == 4);
    }
}

/* Which bytes the fragments of a role touch; none twice. */
static uint32_t bytes_of(const hvcore_access *a, uint32_t role)
{
    uint32_t set = 0;
    for (unsigned i = 0; i < a->count; i++) {
        const hvcore_access_fragment *f = &a->fragment[i];
        uint32_t bytes = ((UINT32_C(1) << f->width) - 1) << f->offset;
        if (f->role == role) {
            EXPECT(!(set & bytes));
            set |= bytes;
        }
    }
    return set;
}

/* Every byte moves, in the direction of the kind: an atomic stores all and tells what was there. */
static void check_bytes(const hvcore_access *a)
{
    uint32_t all = a->size < 32 ? (UINT32_C(1) << a->size) - 1 : UINT32_MAX;
    uint32_t loads = bytes_of(a, HVCORE_ACCESS_ROLE_LOAD);
    uint32_t stores = bytes_of(a, HVCORE_ACCESS_ROLE_STORE);
    uint32_t compares = bytes_of(a, HVCORE_ACCESS_ROLE_COMPARE);
    bool reads = a->kind == HVCORE_ACCESS_LOAD || a->kind == HVCORE_ACCESS_LOAD_EXCLUSIVE;
    bool writes = a->kind == HVCORE_ACCESS_STORE || a->kind == HVCORE_ACCESS_STORE_EXCLUSIVE;
    EXPECT(a->size <= 32);
    if (a->kind == HVCORE_ACCESS_ATOMIC) {
        EXPECT(stores == all && (a->op == HVCORE_ACCESS_OP_CAS ? compares : loads) == all);
        EXPECT(!(a->op == HVCORE_ACCESS_OP_CAS ? loads : compares));
    } else {
        EXPECT((reads || writes) && loads == (reads ? all : 0) && stores == (writes ? all : 0));
        EXPECT(!compares);
    }
}

/* Fields for which the kind has no use are zero. */
static void check_unused(const hvcore_access *a)
{
    EXPECT(!a->reserved && !a->reserved2 && a->len == 4 && a->count <= HVCORE_ACCESS_FRAGMENTS);
    EXPECT(!(a->flags & ~FLAGS_KNOWN) && a->kind <= HVCORE_ACCESS_ZERO);
    EXPECT((a->kind == HVCORE_ACCESS_ATOMIC) == (a->op != HVCORE_ACCESS_OP_NONE));
    EXPECT(a->op <= HVCORE_ACCESS_OP_UMIN);
    EXPECT(a->base_cls == HVCORE_ACCESS_REG_NONE ? !a->base && !a->delta
           : a->base_cls == HVCORE_ACCESS_REG_SP ? !a->base
                                                 : a->base_cls == HVCORE_ACCESS_REG_X);
    EXPECT(a->base < 31);
    EXPECT(a->kind == HVCORE_ACCESS_STORE_EXCLUSIVE ? a->status_cls == HVCORE_ACCESS_REG_W
                                                          ? a->status < 31
                                                          : a->status_cls == HVCORE_ACCESS_REG_ZERO
                                                    : !a->status_cls && !a->status);
    for (unsigned i = a->count; i < HVCORE_ACCESS_FRAGMENTS; i++) {
        EXPECT(is_zero(&a->fragment[i]));
    }
}

static void check_access(const hvcore_access *a)
{
    check_unused(a);
    for (unsigned i = 0; i < a->count; i++) {
        check_fragment(a, &a->fragment[i]);
    }
    if (a->kind == HVCORE_ACCESS_NOTHING) {
        EXPECT(!a->count && !a->size && !a->fault && !a->va);
    } else if (a->kind == HVCORE_ACCESS_ZERO) {
        EXPECT(!a->count && a->size >= 4 && a->size <= 2048 && !(a->size & (a->size - 1)));
        EXPECT(a->va % a->size == 0);
    } else {
        EXPECT(a->count && a->size);
        check_bytes(a);
    }
}

/* --- ... and against the trap ----------------------------------------------------------------- */

static bool says(const hvcore_event *e, uint64_t bit)
{
    return e->have & HVCORE_HAVE_SYNDROME && e->syndrome & bit;
}

/* The byte that the exception named is byte `fault`. */
static void check_fault(const world *w, const hvcore_access *a)
{
    const hvcore_event *e = &w->event;
    bool fnv = says(e, 1 << 10);
    uint64_t byte = a->va + a->fault;
    EXPECT(a->fault < a->size);
    if (!fnv && e->have & (HVCORE_HAVE_GVA | HVCORE_HAVE_TVAL)) {
        uint64_t far = e->have & HVCORE_HAVE_GVA ? e->gva : e->tval;
        EXPECT(((byte ^ far) & ADDRESS) == 0);
    } else {
        EXPECT(e->have & HVCORE_HAVE_GPA && (byte ^ e->gpa) % PAGE == 0);
    }
}

static void check_flags(const world *w, const hvcore_access *a)
{
    bool host = w->event.have & HVCORE_HAVE_MODE &&
                (w->event.mode == HVCORE_ARM64_VEL0 || w->event.mode == HVCORE_ARM64_VEL2);
    uint64_t sctlr = host ? w->sys.sctlr_el2 : w->sys.sctlr_el1;
    bool big = sctlr >> (w->frame.spsr & 12 ? 25 : 24) & 1; /* EE, E0E */
    EXPECT(!(a->flags & HVCORE_ACCESS_BIG_ENDIAN) == !big);
    EXPECT(!(a->flags & HVCORE_ACCESS_CROSSES) == (a->va % PAGE + a->size <= PAGE));
}

static void check_trap(const world *w, const hvcore_access *a)
{
    bool reads = a->kind == HVCORE_ACCESS_LOAD || a->kind == HVCORE_ACCESS_LOAD_EXCLUSIVE;
    EXPECT(!(w->frame.spsr & 0x18));
    EXPECT(!says(&w->event, 1 << 7));
    EXPECT(!(w->event.have & HVCORE_HAVE_SYNDROME) || (w->event.syndrome >> 26 & 63) == 0x24);
    if (a->kind == HVCORE_ACCESS_NOTHING) {
        return;
    }
    check_fault(w, a);
    check_flags(w, a);
    EXPECT(!(w->event.have & HVCORE_HAVE_SYNDROME) || a->kind == HVCORE_ACCESS_ATOMIC ||
           reads == !(w->event.syndrome >> 6 & 1));
}

/* --- calls ------------------------------------------------------------------------------------ */

/* One call: with DONE the access alone changes, without nothing does. */
static hvcore_result ask(world *w)
{
    world was = *w;
    hvcore_result r = hvcore_nisv_arm64(&w->frame, &w->sys, &w->event, &w->state);
    if (r.kind == HVCORE_RESULT_DONE) {
        memcpy(&was.state.nisv.access, &w->state.nisv.access, sizeof(was.state.nisv.access));
    }
    EXPECT(same(w, &was, sizeof(was)));
    return r;
}

/* Give what it asks for; it asks for nothing twice. */
static void serve(world *w, hvcore_result r, uint32_t insn)
{
    if (r.kind == HVCORE_RESULT_NEED_BYTES) {
        EXPECT(!(w->event.have & HVCORE_HAVE_INSN) && r.arg == 4 && r.addr == w->frame.pc);
        w->event.have |= HVCORE_HAVE_INSN;
        w->event.insn = insn;
        return;
    }
    EXPECT(r.kind == HVCORE_RESULT_NEED_REGS && r.addr && !r.arg);
    uint64_t set = r.addr & ~HVCORE_NISV_ARM64_NEED_SP;
    EXPECT(!(set & w->sys.have));
    EXPECT((set & ~(UINT64_C(1) << HVCORE_ARM64_SYS_sctlr_el1 |
                    UINT64_C(1) << HVCORE_ARM64_SYS_sctlr_el2)) == 0);
    w->sys.have |= set;
    if (r.addr & HVCORE_NISV_ARM64_NEED_SP) {
        EXPECT(!w->state.nisv.have_sp);
        w->state.nisv.have_sp = 1;
    }
}

/* Whatever was found before and whatever tag the address has, the same is found again. */
static void check_again(world w, uint64_t tag)
{
    const hvcore_access found = w.state.nisv.access;
    memset(&w.state.nisv.access, 0xa5, sizeof(w.state.nisv.access));
    w.event.gva ^= tag & ~ADDRESS;
    w.event.tval ^= tag & ~ADDRESS;
    EXPECT(ask(&w).kind == HVCORE_RESULT_DONE);
    EXPECT(same(&w.state.nisv.access, &found, sizeof(found)));
}

static void finish(const world *w, hvcore_result r)
{
    if (r.kind == HVCORE_RESULT_DONE) {
        EXPECT(r.arg == 0 && r.addr == 0 && w->event.have & HVCORE_HAVE_INSN);
        check_access(&w->state.nisv.access);
        check_trap(w, &w->state.nisv.access);
        check_again(*w, 0);
        check_again(*w, w->event.gpa << 56);
        return;
    }
    bool trap = r.arg >= HVCORE_NISV_ARM64_NOT_ABORT && r.arg <= HVCORE_NISV_ARM64_DIRECTION;
    bool word = r.arg >= HVCORE_NISV_ARM64_NOT_MEMORY && r.arg <= HVCORE_NISV_ARM64_ZVA;
    EXPECT(r.kind == HVCORE_RESULT_EXIT && (trap || word));
    EXPECT(!word || (w->event.have & HVCORE_HAVE_INSN && r.addr == w->event.insn));
    EXPECT(!trap || r.arg == HVCORE_NISV_ARM64_ELSEWHERE || r.addr == w->frame.pc);
}

/* A trap that fits the word, as far as one can tell without the unit: the fault is where the base
 * register points, or a little behind. */
static void fit(world *w, uint32_t pick)
{
    unsigned base = w->event.insn >> 5 & 31;
    uint64_t va = base < 31 ? w->frame.x[base] : w->state.nisv.sp;
    w->event.have = HVCORE_HAVE_INSN | HVCORE_HAVE_GPA | (pick & 2 ? HVCORE_HAVE_GVA : 0) |
                    (pick & 8 ? HVCORE_HAVE_TVAL : 0);
    w->event.gpa = w->event.tval = va + (pick >> 8 & 63);
    w->event.gva = pick & 2 ? w->event.gpa : w->event.gva;
    w->frame.spsr &= ~UINT64_C(0x18);
    if (pick & 4) { /* loads and stores: bits 27 and 25 of the word are x1x0 (DDI0487 C4.1) */
        w->event.insn = (w->event.insn & ~UINT32_C(0x0a000000)) | 0x08000000;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static world w;
    fuzz_input in = {data, size};
    uint32_t pick = fuzz_u32(&in);
    hvcore_result r = {HVCORE_RESULT_KINDS, 0, 0};

    memset(&w, 0, sizeof(w));
    w.event.insn = fuzz_u32(&in);
    fuzz_take(&in, &w.frame.x, sizeof(w.frame.x));
    w.frame.spsr = fuzz_u64(&in);
    w.state.nisv.sp = fuzz_u64(&in);
    w.state.nisv.zva_block = fuzz_u32(&in);
    w.sys.have = fuzz_u64(&in);
    w.sys.sctlr_el1 = fuzz_u64(&in);
    w.sys.sctlr_el2 = fuzz_u64(&in);
    w.event.have = fuzz_u32(&in);
    w.event.mode = fuzz_u32(&in);
    w.event.syndrome = fuzz_u64(&in);
    w.event.gva = fuzz_u64(&in);
    w.event.gpa = fuzz_u64(&in);
    w.event.tval = fuzz_u64(&in);
    w.frame.pc = fuzz_u64(&in);
    uint32_t insn = w.event.insn;
    if (pick & 1) {
        fit(&w, pick);
    }
    for (int call = 0; call < CALLS; call++) {
        r = ask(&w);
        if (r.kind == HVCORE_RESULT_DONE || r.kind == HVCORE_RESULT_EXIT) {
            break;
        }
        serve(&w, r, insn);
    }
    finish(&w, r);
    return 0;
}
