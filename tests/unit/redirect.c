/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvcore_redirect against the vectors and against a hart: for random states, a trap that the hart
 * delivers to VS-mode and a trap that it delivers to HS-mode, redirected and returned from by SRET,
 * come to the same. The hart below is written from the privileged architecture alone, by bit
 * numbers; it shares nothing with the library.
 */
#include <stdbool.h>
#include <string.h>

#include <hvcore/fixup/redirect.h>

#include "tests/unit/random.h"
#include "tests/unit/unit.h"
#include "tests/unit/vectors.h"

#define ROUNDS 20000

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

static bool bit(uint64_t value, int n)
{
    return value >> n & 1;
}

static uint64_t with_bit(uint64_t value, int n, bool to)
{
    return to ? value | UINT64_C(1) << n : value & ~(UINT64_C(1) << n);
}

/* --- the hart (Priv. chapters 12 and 21, and the text on Zicfilp and Ssdbltrp) ---------------- */

enum { SIE = 1, SPIE = 5, SPP = 8, SPELP = 23, SDT = 24 }; /* sstatus, vsstatus */
enum { GVA = 6, SPV = 7, SPVP = 8 };                       /* hstatus */
enum { LPE = 2, DTE = 59 };                                /* henvcfg, as it reads */

typedef struct hart {
    bool v;   /* virtualization mode */
    bool s;   /* nominal privilege: supervisor, not user */
    bool elp; /* a landing pad is expected */
    uint64_t pc;
    uint64_t vsstatus, vsepc, vscause, vstval, vstvec;
    uint64_t sstatus, sepc, scause, stval, stvec;
    uint64_t hstatus, henvcfg;
} hart;

typedef struct trap {
    uint64_t cause, tval;
} trap;

/* 12.1.2: exceptions go to BASE, interrupts in vectored mode to BASE + 4 x cause number. */
static uint64_t trap_vector(uint64_t tvec, uint64_t cause)
{
    uint64_t target = tvec / 4 * 4;

    if (tvec % 4 == 1 && bit(cause, 63))
        target += (cause << 1 >> 1) * 4;
    return target;
}

/* A trap taken into VS-mode. False: a double trap; it goes to M-mode and nothing here has changed.
 */
static bool trap_to_vs(hart *h, trap t)
{
    if (bit(h->henvcfg, DTE)) {
        if (bit(h->vsstatus, SDT))
            return false;
        h->vsstatus = with_bit(h->vsstatus, SDT, true);
    }
    h->vsstatus = with_bit(h->vsstatus, SPP, h->s);
    h->vsstatus = with_bit(h->vsstatus, SPIE, bit(h->vsstatus, SIE));
    h->vsstatus = with_bit(h->vsstatus, SIE, false);
    h->vsstatus = with_bit(h->vsstatus, SPELP, h->elp);
    h->elp = false;
    h->vsepc = h->pc / 2 * 2;
    h->vscause = t.cause;
    h->vstval = t.tval;
    h->pc = trap_vector(h->vstvec, t.cause);
    h->s = true; /* and V stays 1 */
    return true;
}

/* A trap taken into HS-mode from a guest. */
static void trap_to_hs(hart *h, trap t)
{
    h->hstatus = with_bit(h->hstatus, SPV, h->v);
    h->sstatus = with_bit(h->sstatus, SPP, h->s);
    h->hstatus = with_bit(h->hstatus, SPVP, h->s);
    h->hstatus = with_bit(h->hstatus, GVA, t.tval != 0);
    h->sstatus = with_bit(h->sstatus, SPIE, bit(h->sstatus, SIE));
    h->sstatus = with_bit(h->sstatus, SIE, false);
    h->sstatus = with_bit(h->sstatus, SPELP, h->elp);
    h->elp = false;
    h->sepc = h->pc / 2 * 2;
    h->scause = t.cause;
    h->stval = t.tval;
    h->pc = trap_vector(h->stvec, t.cause);
    h->v = false;
    h->s = true;
}

/* SRET in HS-mode; LPE of the guest's user mode (senvcfg) is taken as that of its supervisor. */
static void sret(hart *h)
{
    h->v = bit(h->hstatus, SPV);
    h->s = bit(h->sstatus, SPP);
    h->elp = bit(h->sstatus, SPELP) && bit(h->henvcfg, LPE);
    if (h->v && !h->s)
        h->vsstatus = with_bit(h->vsstatus, SDT, false);
    h->pc = h->sepc;
}

/* A hart in a guest, in a state that it can be in. */
static hart guest(void)
{
    hart h = {.v = true, .s = rnd() & 1, .pc = rnd() & ~UINT64_C(1)};

    h.henvcfg = rnd();
    h.elp = bit(h.henvcfg, LPE) && rnd() & 1;
    h.vsstatus = rnd();
    if (!bit(h.henvcfg, DTE) || !h.s)
        h.vsstatus = with_bit(h.vsstatus, SDT, false);
    if (bit(h.vsstatus, SDT))
        h.vsstatus = with_bit(h.vsstatus, SIE, false);
    h.vsepc = rnd(), h.vscause = rnd(), h.vstval = rnd();
    h.vstvec = rnd() & ~UINT64_C(2);
    h.sstatus = rnd(), h.hstatus = rnd(), h.stvec = rnd() & ~UINT64_C(3);
    return h;
}

/* --- one call --------------------------------------------------------------------------------- */

typedef struct setup {
    hvcore_riscv64_frame frame;
    hvcore_riscv64_sys sys;
    hvcore_riscv64_state state;
    hvcore_event event;
} setup;

#define BIT_OF(name) (UINT64_C(1) << HVCORE_RISCV64_SYS_##name)
#define NEEDS (BIT_OF(vsstatus) | BIT_OF(vstvec) | BIT_OF(henvcfg))
#define WRITES (BIT_OF(vsstatus) | BIT_OF(vsepc) | BIT_OF(vscause) | BIT_OF(vstval))

static void fill(void *at, size_t size)
{
    unsigned char *byte = at;

    while (size--)
        *byte++ = (unsigned char)rnd();
}

/* Everything random, all that is needed there, the guest's, no trap entry under way. */
static setup random_setup(void)
{
    setup s;

    fill(&s, sizeof s);
    s.sys.have |= NEEDS;
    s.frame.hstatus = with_bit(s.frame.hstatus, SPV, true);
    s.sys.vsstatus = with_bit(s.sys.vsstatus, SDT, false);
    return s;
}

/* What HS-mode sees of a hart after a trap. */
static setup setup_of(const hart *h)
{
    setup s = random_setup();

    s.frame.pc = h->sepc;
    s.frame.sstatus = h->sstatus;
    s.frame.hstatus = h->hstatus;
    s.sys.vsstatus = h->vsstatus;
    s.sys.vsepc = h->vsepc;
    s.sys.vscause = h->vscause;
    s.sys.vstval = h->vstval;
    s.sys.vstvec = h->vstvec;
    s.sys.henvcfg = h->henvcfg;
    s.event.pc = h->sepc;
    s.event.syndrome = h->scause;
    s.event.tval = h->stval;
    return s;
}

/* ... and what the hart holds when the guest is resumed from there. */
static void load(hart *h, const setup *s)
{
    h->sepc = s->frame.pc;
    h->sstatus = s->frame.sstatus;
    h->hstatus = s->frame.hstatus;
    h->vsstatus = s->sys.vsstatus;
    h->vsepc = s->sys.vsepc;
    h->vscause = s->sys.vscause;
    h->vstval = s->sys.vstval;
    h->vstvec = s->sys.vstvec;
    h->henvcfg = s->sys.henvcfg;
}

static hvcore_result call(setup *s)
{
    return hvcore_redirect(&s->frame, &s->sys, &s->event, &s->state);
}

static bool is(hvcore_result r, uint32_t kind, uint32_t arg, uint64_t addr)
{
    return r.kind == kind && r.arg == arg && r.addr == addr;
}

static bool same(const setup *a, const setup *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* --- vectors ---------------------------------------------------------------------------------- */

static void load_vector(setup *s, json_object *v, const char *half)
{
    json_object *from = hvc_json_at(v, half);

    s->sys.vsstatus = hvc_json_u64(from, "state.vsstatus");
    s->sys.vsepc = hvc_json_u64(from, "state.vsepc");
    s->sys.vscause = hvc_json_u64(from, "state.vscause");
    s->sys.vstval = hvc_json_u64(from, "state.vstval");
    s->sys.vstvec = hvc_json_u64(from, "state.vstvec");
    s->frame.pc = hvc_json_u64(from, "state.pc");
    s->frame.sstatus = hvc_json_u64(from, "state.sstatus");
    s->frame.hstatus = hvc_json_u64(from, "state.hstatus");
}

/* henvcfg.DTE reads as zero where menvcfg.DTE is clear (Priv. 21.2.5). */
static uint64_t henvcfg_as_read(json_object *v)
{
    uint64_t henvcfg = hvc_json_u64(v, "in.henvcfg");

    return with_bit(henvcfg, DTE, bit(henvcfg, DTE) && hvc_json_u64(v, "in.menvcfg_dte"));
}

static bool result_fits(hvcore_result r, const char *name, uint64_t cause)
{
    if (strcmp(name, "delivered") == 0)
        return is(r, HVCORE_RESULT_DONE, 0, 0);
    if (strcmp(name, "double-trap") == 0)
        return is(r, HVCORE_RESULT_AGAIN, HVCORE_RISCV64_DOUBLE_TRAP, cause);
    return strcmp(name, "bad-origin") == 0 &&
           is(r, HVCORE_RESULT_EXIT, HVCORE_REDIRECT_NOT_GUEST, 0);
}

static void run_vector(json_object *v)
{
    const char *result = hvc_json_str_or(v, "out.result", "");
    setup s = random_setup(), wanted;

    s.event.syndrome = hvc_json_u64(v, "in.trap.cause");
    s.event.tval = hvc_json_u64(v, "in.trap.tval");
    s.event.pc = hvc_json_u64(v, "in.trap.epc");
    s.sys.henvcfg = henvcfg_as_read(v);
    load_vector(&s, v, "in");
    wanted = s;
    load_vector(&wanted, v, "out");
    if (strcmp(result, "delivered") == 0)
        wanted.sys.have |= WRITES, wanted.sys.dirty |= WRITES;
    CU_ASSERT(result_fits(call(&s), result, s.event.syndrome));
    CU_ASSERT(same(&s, &wanted));
}

static void test_vectors(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json");
    size_t at = 0, n = 0;

    for (json_object *v; (v = hvc_vectors_next(doc, "redirect", &at)); n++)
        run_vector(v);
    CU_ASSERT_EQUAL(n, 13);
    json_object_put(doc);
}

/* --- properties ------------------------------------------------------------------------------- */

static const uint64_t delegatable[] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 15, 18, 19,
};

static uint64_t wrong; /* counted, so that a failure says once how often */

static void expect(bool good)
{
    wrong += !good;
}

static bool guest_sees_same(const hart *a, const hart *b)
{
    return a->v == b->v && a->s == b->s && a->elp == b->elp && a->pc == b->pc &&
           a->vsstatus == b->vsstatus && a->vsepc == b->vsepc && a->vscause == b->vscause &&
           a->vstval == b->vstval && a->vstvec == b->vstvec;
}

/* Returns whether it was delivered. */
static bool compare_with_hart(trap t)
{
    hart hw = guest(), sw = hw;
    setup s, before;
    bool delivered = trap_to_vs(&hw, t);
    hvcore_result r;

    trap_to_hs(&sw, t);
    s = before = setup_of(&sw);
    r = call(&s);
    if (!delivered) {
        expect(is(r, HVCORE_RESULT_AGAIN, 16, t.cause) && same(&s, &before));
        return false;
    }
    load(&sw, &s);
    expect(is(r, HVCORE_RESULT_DONE, 0, 0));
    expect(bit(s.frame.hstatus, SPVP)); /* SRET ignores it */
    sret(&sw);
    expect(guest_sees_same(&hw, &sw));
    return true;
}

static void test_as_hardware(void)
{
    wrong = 0;
    for (size_t i = 0; i < sizeof delegatable / sizeof *delegatable; i++) {
        uint64_t delivered = 0;

        for (int n = 0; n < ROUNDS; n++)
            delivered += compare_with_hart((trap){delegatable[i], n % 5 ? rnd() : 0});
        CU_ASSERT(delivered > ROUNDS / 2 && delivered < ROUNDS); /* both outcomes were seen */
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_interrupts_as_hardware(void)
{
    wrong = 0;
    for (uint64_t code = 0; code < 64; code++)
        for (int n = 0; n < ROUNDS / 10; n++)
            compare_with_hart((trap){UINT64_C(1) << 63 | code, 0});
    CU_ASSERT_EQUAL(wrong, 0);
}

/* What may change, changes only where it may. */
static void test_rest_is_kept(void)
{
    wrong = 0;
    for (int n = 0; n < ROUNDS; n++) {
        setup s = random_setup(), before = s;

        expect(call(&s).kind == HVCORE_RESULT_DONE);
        expect(s.sys.have == (before.sys.have | WRITES));
        expect(s.sys.dirty == (before.sys.dirty | WRITES));
        expect(((s.frame.sstatus ^ before.frame.sstatus) & ~UINT64_C(0x800100)) == 0);
        expect(((s.frame.hstatus ^ before.frame.hstatus) & ~UINT64_C(0x100)) == 0);
        expect(((s.sys.vsstatus ^ before.sys.vsstatus) & ~UINT64_C(0x1800122)) == 0);
        s.frame.pc = before.frame.pc;
        s.frame.sstatus = before.frame.sstatus;
        s.frame.hstatus = before.frame.hstatus;
        s.sys.have = before.sys.have, s.sys.dirty = before.sys.dirty;
        s.sys.vsstatus = before.sys.vsstatus, s.sys.vsepc = before.sys.vsepc;
        s.sys.vscause = before.sys.vscause, s.sys.vstval = before.sys.vstval;
        expect(same(&s, &before));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* A trap of the host touches nothing, whatever is known of the guest. */
static void test_bad_origin(void)
{
    wrong = 0;
    for (int n = 0; n < ROUNDS; n++) {
        setup s = random_setup(), before;

        s.frame.hstatus = with_bit(s.frame.hstatus, SPV, false);
        s.sys.have = n % 2 ? rnd() : 0;
        s.sys.vsstatus = rnd();
        before = s;
        expect(is(call(&s), HVCORE_RESULT_EXIT, HVCORE_REDIRECT_NOT_GUEST, 0));
        expect(same(&s, &before));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_double_trap(void)
{
    wrong = 0;
    for (int n = 0; n < ROUNDS; n++) {
        setup s = random_setup(), before;

        s.sys.vsstatus = with_bit(s.sys.vsstatus, SDT, true);
        s.sys.henvcfg = with_bit(s.sys.henvcfg, DTE, true);
        before = s;
        expect(is(call(&s), HVCORE_RESULT_AGAIN, 16, before.event.syndrome));
        expect(same(&s, &before));
        s.sys.henvcfg = with_bit(s.sys.henvcfg, DTE, false); /* SDT is a dead bit then */
        expect(call(&s).kind == HVCORE_RESULT_DONE);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Every set of registers that may be there. */
static void test_needs(void)
{
    const uint64_t all = (UINT64_C(1) << HVCORE_RISCV64_SYS_COUNT) - 1;

    CU_ASSERT_EQUAL(HVCORE_REDIRECT_NEEDS, NEEDS);
    wrong = 0;
    for (uint64_t have = 0; have <= all; have++) {
        setup s = random_setup(), before;
        uint64_t lacks = NEEDS & ~have;

        s.sys.have = have;
        before = s;
        if (lacks) {
            expect(is(call(&s), HVCORE_RESULT_NEED_REGS, 0, lacks));
            expect(same(&s, &before));
            s.sys.have |= lacks;
        }
        expect(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Reserved modes of vstvec: BASE, whatever arrives. */
static void test_reserved_vstvec(void)
{
    wrong = 0;
    for (uint64_t mode = 2; mode < 4; mode++)
        for (int n = 0; n < ROUNDS; n++) {
            setup s = random_setup();

            s.sys.vstvec = (s.sys.vstvec & ~UINT64_C(3)) | mode;
            expect(call(&s).kind == HVCORE_RESULT_DONE);
            expect(s.frame.pc == s.sys.vstvec - mode);
        }
    CU_ASSERT_EQUAL(wrong, 0);
}

static const hvc_unit_test tests[] = {
    {"vectors", test_vectors},
    {"every delegatable cause: as hardware", test_as_hardware},
    {"interrupts: as hardware", test_interrupts_as_hardware},
    {"the rest is kept", test_rest_is_kept},
    {"a trap of the host touches nothing", test_bad_origin},
    {"a double trap touches nothing", test_double_trap},
    {"asks for what it lacks", test_needs},
    {"reserved modes of vstvec", test_reserved_vstvec},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("redirect", tests);
}
