/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvcore_forward against the dispatch vectors, and against a hart that has the hypervisor
 * extension: for random sequences of traps of L2, interrupts for L1 and SRETs of L1, what L2 and L1
 * see is what they would see on that hart, which has both levels and needs no L0. The hart below is
 * written from the privileged architecture alone, by bit numbers; it shares nothing with the
 * library.
 */
#include <stdbool.h>
#include <string.h>

#include <hvcore/fixup/forward.h>

#include "tests/unit/random.h"
#include "tests/unit/unit.h"
#include "tests/unit/vectors.h"

#define ROUNDS 200000

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

static uint64_t wrong; /* counted, so that a failure says once how often */

static void expect(bool good)
{
    wrong += !good;
}

/* --- the hart of L1 (Priv. chapters 12 and 21, Zicfilp, Ssdbltrp) ----------------------------- */

enum { SIE = 1, SPIE = 5, SPP = 8, SPELP = 23, SDT = 24 }; /* sstatus, vsstatus */
enum { GVA = 6, SPV = 7, SPVP = 8 };                       /* hstatus */
enum { DTE = 59, ADUE = 61 };                              /* menvcfg, henvcfg */

/* A supervisor's registers, of HS-mode or of VS-mode. */
typedef struct supervisor {
    uint64_t status, ie, tvec, scratch, epc, cause, tval, ip, atp;
} supervisor;

typedef struct hart {
    bool v, s, elp;
    uint64_t pc;
    supervisor hs, vs;
    uint64_t menvcfg, henvcfg;
    uint64_t hstatus, hedeleg, htval, htinst;
} hart;

typedef struct trap {
    uint64_t cause, tval, htval, htinst;
} trap;

static uint64_t trap_vector(uint64_t tvec, uint64_t cause)
{
    uint64_t target = tvec / 4 * 4;

    if (tvec % 4 == 1 && bit(cause, 63)) {
        target += (cause << 1 >> 1) * 4;
    }
    return target;
}

/* What entry writes into the supervisor's own registers. */
static void enter(hart *h, supervisor *to, trap t, bool dte)
{
    to->status = with_bit(to->status, SDT, dte || bit(to->status, SDT));
    to->status = with_bit(to->status, SPP, h->s);
    to->status = with_bit(to->status, SPIE, bit(to->status, SIE));
    to->status = with_bit(to->status, SIE, false);
    to->status = with_bit(to->status, SPELP, h->elp);
    to->epc = h->pc / 2 * 2;
    to->cause = t.cause;
    to->tval = t.tval;
    h->elp = false;
    h->pc = trap_vector(to->tvec, t.cause);
    h->s = true;
}

/* Causes that report an address in stval: 0, 1, 3 to 7, 12, 13, 15, 20, 21, 23 (specs 9.3). */
static bool has_address(uint64_t cause)
{
    return cause < 24 && bit(UINT64_C(0xb0b0fb), (int)cause);
}

static void trap_to_hs(hart *h, trap t)
{
    h->hstatus = with_bit(h->hstatus, SPV, true);
    h->hstatus = with_bit(h->hstatus, SPVP, h->s);
    h->hstatus = with_bit(h->hstatus, GVA, has_address(t.cause) && t.tval != 0);
    h->htval = t.htval;
    h->htinst = t.htinst;
    h->v = false;
    enter(h, &h->hs, t, bit(h->menvcfg, DTE));
}

/* hedeleg has no bit for these (Priv. 21.2.2), and none for what is reserved. */
static bool can_delegate(uint64_t cause)
{
    return !(cause == 9 || cause == 10 || cause == 11 || cause == 14 || cause == 16 ||
             cause == 17 || (cause >= 20 && cause <= 23) || (cause >= 32 && cause < 48));
}

static void take(hart *h, trap t)
{
    if (!can_delegate(t.cause) || !bit(h->hedeleg, (int)t.cause)) {
        trap_to_hs(h, t);
    } else if (bit(h->henvcfg, DTE) && bit(h->vs.status, SDT)) {
        trap_to_hs(h, (trap){16, t.tval, t.cause, 0}); /* M-mode, and firmware bounces it */
    } else {
        enter(h, &h->vs, t, bit(h->henvcfg, DTE)); /* V stays 1 */
    }
}

/* SRET in HS-mode. */
static void sret(hart *h)
{
    h->v = bit(h->hstatus, SPV);
    h->s = bit(h->hs.status, SPP);
    h->elp = bit(h->hs.status, SPELP);
    h->pc = h->hs.epc / 2 * 2;
    h->hs.status = with_bit(h->hs.status, SIE, bit(h->hs.status, SPIE));
    h->hs.status = with_bit(h->hs.status, SPIE, true);
    h->hs.status = with_bit(h->hs.status, SPP, false);
    h->hs.status = with_bit(h->hs.status, SDT, false);
    h->hs.status = with_bit(h->hs.status, SPELP, false);
    h->hstatus = with_bit(h->hstatus, SPV, false);
    if (h->v && !h->s) {
        h->vs.status = with_bit(h->vs.status, SDT, false);
    }
}

/* --- L0's view -------------------------------------------------------------------------------- */

typedef struct setup {
    hvcore_riscv64_frame frame;
    hvcore_riscv64_sys sys;
    hvcore_riscv64_state state;
    hvcore_event event;
} setup;

static void fill(void *at, size_t size)
{
    unsigned char *byte = at;

    while (size--) {
        *byte++ = (unsigned char)rnd();
    }
}

#define SET(X)          \
    X(vsstatus, status) \
    X(vsie, ie)         \
    X(vstvec, tvec)     \
    X(vsscratch, scratch) X(vsepc, epc) X(vscause, cause) X(vstval, tval) X(hvip, ip) X(vsatp, atp)
#define NEED(theirs, mine) | UINT64_C(1) << HVCORE_RISCV64_SYS_##theirs
#define NEEDS (0 SET(NEED) | UINT64_C(1) << HVCORE_RISCV64_SYS_henvcfg)

/* Both sets into their places. */
static void load(setup *s, const hart *h)
{
    const supervisor *live = h->v ? &h->vs : &h->hs, *other = h->v ? &h->hs : &h->vs;
    hvcore_forward_set *p = &s->state.forward.parked;

#define LOAD(theirs, mine) s->sys.theirs = live->mine, p->theirs = other->mine;
    SET(LOAD)
    s->sys.henvcfg = h->v ? h->henvcfg : h->menvcfg;
    p->henvcfg = h->v ? h->menvcfg : h->henvcfg;
    s->state.forward.virt = h->v;
    s->state.forward.l1.hstatus = h->hstatus;
    s->state.forward.l1.hedeleg = h->hedeleg;
    s->state.forward.l1.htval = h->htval;
    s->state.forward.l1.htinst = h->htinst;
}

static void expect_set(const setup *s, const hart *h)
{
    const supervisor *live = h->v ? &h->vs : &h->hs, *other = h->v ? &h->hs : &h->vs;
    const hvcore_forward_set *p = &s->state.forward.parked;

#define EXPECT(theirs, mine) expect(s->sys.theirs == live->mine), expect(p->theirs == other->mine);
    SET(EXPECT)
    expect(s->sys.henvcfg == (h->v ? h->henvcfg : h->menvcfg));
    expect(p->henvcfg == (h->v ? h->menvcfg : h->henvcfg));
}

/* What is in the hardware and in the state is what L1's hart has. */
static void expect_same(const setup *s, const hart *h)
{
    const hvcore_forward_l1 *l1 = &s->state.forward.l1;

    expect_set(s, h);
    expect(s->state.forward.virt == (uint32_t)h->v);
    expect(s->frame.pc == h->pc);
    expect(bit(s->frame.sstatus, SPP) == h->s);
    expect(bit(s->frame.sstatus, SPELP) == h->elp);
    expect(bit(s->frame.hstatus, SPV));
    expect(l1->hstatus == h->hstatus && l1->hedeleg == h->hedeleg);
    expect(l1->htval == h->htval && l1->htinst == h->htinst);
}

/* L0's HS-mode after a trap of the guest that ran; hstatus of L0 keeps its settings. */
static void arrive(setup *s, const hart *h, trap t)
{
    s->frame.pc = h->pc;
    s->frame.sstatus = with_bit(with_bit(rnd(), SPP, h->s), SPELP, h->elp);
    s->frame.hstatus = with_bit(with_bit(s->frame.hstatus, SPV, true), SPVP, h->s);
    s->frame.hstatus = with_bit(s->frame.hstatus, GVA, rnd() & 1); /* not to be believed */
    fill(&s->event, sizeof s->event);
    s->event.pc = h->pc;
    s->event.syndrome = t.cause;
    s->event.tval = t.tval;
    s->event.htval = t.htval;
    s->event.htinst = t.htinst;
    s->sys.have |= NEEDS;
}

static hvcore_result call(setup *s)
{
    return hvcore_forward(&s->frame, &s->sys, &s->event, &s->state);
}

static bool is(hvcore_result r, uint32_t kind, uint32_t arg, uint64_t addr)
{
    return r.kind == kind && r.arg == arg && r.addr == addr;
}

static bool same(const setup *a, const setup *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* --- a life of L1 and L2 ---------------------------------------------------------------------- */

/* The guest that runs has written its registers since. */
static void execute(hart *h)
{
    supervisor *own = h->v ? &h->vs : &h->hs;
    bool dte = bit(h->v ? h->henvcfg : h->menvcfg, DTE);

    fill(own, sizeof *own);
    own->tvec &= ~UINT64_C(2);
    own->status = with_bit(own->status, SDT, dte && h->s && rnd() % 4 == 0);
    own->status = with_bit(own->status, SIE, !bit(own->status, SDT) && rnd() & 1);
    h->pc = rnd() & ~UINT64_C(1);
    h->elp = rnd() & 1;
    if (h->v) {
        h->s = rnd() & 1;
        h->vs.status = with_bit(h->vs.status, SDT, h->s && bit(h->vs.status, SDT));
    } else {
        h->s = true;
        h->hstatus = rnd(), h->hedeleg = rnd() | rnd(), h->htval = rnd(), h->htinst = rnd();
        fill(&h->vs, sizeof h->vs);
        h->vs.tvec &= ~UINT64_C(2);
        h->vs.status = with_bit(h->vs.status, SDT, bit(h->henvcfg, DTE) && rnd() & 1);
    }
}

/* The rest of hstatus belongs to L0, which has a setting for L1 and one for L2. */
static const uint64_t SETTINGS[2] = {UINT64_C(0x200700000), UINT64_C(0x200000020)};

static void expect_settings(const setup *s)
{
    const uint64_t trap_bits = UINT64_C(7) << 6;
    uint32_t virt = s->state.forward.virt;

    expect((s->frame.hstatus & ~trap_bits) == SETTINGS[virt & 1]);
    expect(s->state.forward.parked.hstatus == SETTINGS[!virt]);
}

static void sret_of_l1(setup *s, hart *h)
{
    hvcore_result r;

    arrive(s, h, (trap){22, 0x10200073, 0, 0});
    s->sys.dirty = 0;
    r = hvcore_forward_enter(&s->frame, &s->sys, &s->event, &s->state);
    if (!bit(h->hstatus, SPV)) {
        expect(is(r, HVCORE_RESULT_EXIT, HVCORE_FORWARD_PLAIN, 0));
        return;
    }
    sret(h);
    expect(is(r, HVCORE_RESULT_DONE, 0, 0));
    expect(s->sys.dirty == NEEDS);
    expect_same(s, h);
}

static trap random_trap(void)
{
    trap t = {rnd() % 64, rnd() % 4 ? rnd() : 0, rnd(), rnd()};

    return t;
}

static bool is_page(uint64_t cause)
{
    return cause == 20 || cause == 21 || cause == 23;
}

/* What a walk has found, told to both sides. Returns false if the trap ends in the shadow. */
static bool resolve(setup *s, trap *t)
{
    static const uint64_t access[] = {[20] = 1, [21] = 5, [23] = 7};
    hvcore_forward_fill *f = &s->state.forward.fill;
    bool pseudo = rnd() % 4 == 0, data;

    expect(is(call(s), HVCORE_RESULT_NEED_AT,
              t->cause == 20   ? 0
              : t->cause == 21 ? 1
                               : 2,
              t->tval));
    if (pseudo) {
        s->event.htinst = t->htinst = rnd() & 1 ? 0x3000 : 0x3020;
    }
    *f = (hvcore_forward_fill){.found = 1 + (uint32_t)(rnd() % 4),
                               .cause = t->cause,
                               .tval = t->tval,
                               .pc = s->event.pc,
                               .gpa = rnd(),
                               .htinst = t->htinst,
                               .pa = rnd()};
    t->htval = f->gpa >> 2;
    data = t->cause != 20 && !pseudo;
    if (f->found == HVCORE_FORWARD_FOUND_RETRY) {
        return false;
    }
    if (f->found == HVCORE_FORWARD_FOUND_MAPPED) {
        bool write = pseudo ? t->htinst == 0x3020 : t->cause == 23;

        expect(is(call(s), HVCORE_RESULT_NEED_PAGE, write, f->pa));
        f->backing = 1 + (uint32_t)(rnd() % 3);
        if (f->backing == HVCORE_FORWARD_BACKING_MEMORY || (f->backing == 2 && data)) {
            return false;
        }
    }
    if (f->found != HVCORE_FORWARD_FOUND_FAULT) {
        *t = (trap){access[t->cause], t->tval, 0, pseudo ? 0 : t->htinst};
    }
    return true;
}

static void expect_shadow(setup *s)
{
    hvcore_forward_fill f = s->state.forward.fill;
    setup before = *s;
    hvcore_result r = call(s);

    if (f.found == HVCORE_FORWARD_FOUND_MAPPED && f.backing == HVCORE_FORWARD_BACKING_DEVICE) {
        expect(is(r, HVCORE_RESULT_EXIT, HVCORE_FORWARD_MMIO, f.pa));
    } else {
        expect(is(r, HVCORE_RESULT_DONE, 0, 0));
        expect(s->state.forward.to == HVCORE_FORWARD_TO_SHADOW);
        before.state.forward.to = HVCORE_FORWARD_TO_SHADOW;
    }
    memset(&before.state.forward.fill, 0, sizeof before.state.forward.fill);
    expect(same(s, &before)); /* L2 executes it once more, or the VMM does */
}

static uint64_t ends[4];

static void trap_of_l2(setup *s, hart *h)
{
    trap t = random_trap();
    bool delivered = true;

    arrive(s, h, t);
    if (is_page(t.cause)) {
        delivered = resolve(s, &t);
    }
    if (!delivered) {
        expect_shadow(s);
        ends[HVCORE_FORWARD_TO_SHADOW]++;
        return;
    }
    take(h, t);
    expect(is(call(s), HVCORE_RESULT_DONE, 0, 0));
    expect(s->state.forward.to == (h->v ? HVCORE_FORWARD_TO_L2 : HVCORE_FORWARD_TO_L1));
    ends[s->state.forward.to & 3]++;
    expect_same(s, h);
}

static void interrupt_of_l1(setup *s, hart *h)
{
    trap t = {UINT64_C(1) << 63 | rnd() % 64, 0, 0, 0};

    arrive(s, h, t);
    trap_to_hs(h, t);
    expect(is(hvcore_forward_inject(&s->frame, &s->sys, &s->event, &s->state), HVCORE_RESULT_DONE,
              0, 0));
    expect_same(s, h);
}

static setup new_setup(void)
{
    setup s;

    fill(&s, sizeof s);
    s.state.forward.version = 1;
    s.state.forward.virt = 0;
    s.state.forward.fill = (hvcore_forward_fill){0};
    s.frame.hstatus = SETTINGS[0];
    s.state.forward.parked.hstatus = SETTINGS[1];
    return s;
}

static void test_sequences(void)
{
    setup s = new_setup();
    hart h = {.s = true, .menvcfg = rnd(), .henvcfg = rnd()};

    wrong = 0;
    memset(ends, 0, sizeof ends);
    for (int n = 0; n < ROUNDS; n++) {
        execute(&h);
        if (!h.v) {
            h.menvcfg = rnd(), h.henvcfg = rnd();
            execute(&h);
        }
        load(&s, &h);
        if (!h.v) {
            sret_of_l1(&s, &h);
        } else if (rnd() % 8 == 0) {
            interrupt_of_l1(&s, &h);
        } else {
            trap_of_l2(&s, &h);
        }
        expect_settings(&s);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(ends[0] == 0 && ends[1] > 1000 && ends[2] > 1000 && ends[3] > 1000);
}

/* --- vectors ---------------------------------------------------------------------------------- */

/* A trap of L2 in VS-mode, nothing special; virt 1. */
static setup nested_setup(uint64_t cause)
{
    setup s = new_setup();

    s.state.forward.virt = 1;
    s.frame.hstatus = with_bit(s.frame.hstatus, SPV, true);
    s.sys.vsstatus = with_bit(s.sys.vsstatus, SDT, false);
    s.sys.have |= NEEDS;
    s.event.syndrome = cause;
    s.event.pc = s.frame.pc;
    return s;
}

static uint32_t target(json_object *v)
{
    const char *name = hvc_json_str_or(v, "out.target", "");

    return strcmp(name, "L2-VS") == 0 ? HVCORE_FORWARD_TO_L2 : HVCORE_FORWARD_TO_L1;
}

static void run_vector(json_object *v)
{
    setup s = nested_setup(hvc_json_u64(v, "in.cause"));
    hvcore_result r;

    s.state.forward.l1.hedeleg = hvc_json_u64_or(v, "in.virt_hedeleg", 0);
    r = call(&s);
    if (strcmp(hvc_json_str_or(v, "out.do", ""), "shadow-walk") == 0) {
        CU_ASSERT_EQUAL(r.kind, HVCORE_RESULT_NEED_AT);
        return;
    }
    CU_ASSERT_EQUAL(r.kind, HVCORE_RESULT_DONE);
    CU_ASSERT_EQUAL(s.state.forward.to, target(v));
    CU_ASSERT_EQUAL(s.state.forward.virt, target(v) == HVCORE_FORWARD_TO_L2);
    CU_ASSERT_EQUAL(s.sys.vscause, hvc_json_u64(v, "out.as"));
}

static void test_vectors(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json");
    size_t at = 0, n = 0;

    for (json_object *v; (v = hvc_vectors_next(doc, "dispatch", &at));) {
        if (hvc_json_u64_or(v, "in.nested", 0)) {
            run_vector(v);
            n++;
        }
    }
    CU_ASSERT_EQUAL(n, 3);
    json_object_put(doc);
}

static void test_hedeleg(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json");
    size_t at = 0, n = 0;

    for (json_object *v; (v = hvc_vectors_next(doc, "hedeleg", &at)); n++) {
        uint64_t debug = hvc_json_u64(v, "in.debug_bp") ? 8 : 0;

        CU_ASSERT_EQUAL(hvcore_hedeleg_nested(hvc_json_u64(v, "in.want"),
                                              hvc_json_u64(v, "in.writable"),
                                              hvc_json_u64(v, "in.intercept") | debug),
                        hvc_json_u64(v, "out.hedeleg"));
    }
    CU_ASSERT_EQUAL(n, 5);
    json_object_put(doc);
}

/* --- bad input -------------------------------------------------------------------------------- */

/* The three units and the walk answer so, and touch nothing. */
static void expect_refused(const setup *s, uint32_t why, uint64_t detail)
{
    static hvcore_riscv64_unit *const units[] = {hvcore_forward, hvcore_forward_inject};
    setup t = *s;

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        hvcore_result r = units[i](&t.frame, &t.sys, &t.event, &t.state);

        expect(is(r, HVCORE_RESULT_EXIT, why, detail) && same(&t, s));
    }
    expect(is(hvcore_forward_walk(&t.frame, &t.sys, &t.event, &t.state, NULL), HVCORE_RESULT_EXIT,
              why, detail));
    expect(same(&t, s));
}

static void test_bad_input(void)
{
    wrong = 0;
    for (int n = 0; n < 20000; n++) {
        setup s = nested_setup(rnd() % 64), t;

        t = s, t.frame.hstatus = with_bit(t.frame.hstatus, SPV, false);
        expect_refused(&t, HVCORE_FORWARD_NOT_GUEST, 0);
        t = s, t.state.forward.virt = 0;
        expect_refused(&t, HVCORE_FORWARD_NOT_NESTED, 0);
        t = s, t.state.forward.virt = (uint32_t)rnd() | 2;
        expect_refused(&t, HVCORE_FORWARD_STATE, 1);
        t = s, t.state.forward.version = 2 + (uint32_t)rnd() % 100;
        expect_refused(&t, HVCORE_FORWARD_STATE, t.state.forward.version);
        t = s, t.event.syndrome = n % 2 ? rnd() >> 1 | 64 : 64 + rnd() % 8;
        expect_refused(&t, HVCORE_FORWARD_CAUSE, t.event.syndrome);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_host_interrupt(void)
{
    wrong = 0;
    for (uint64_t code = 0; code < 64; code++) {
        setup s = nested_setup(UINT64_C(1) << 63 | code), before = s;

        expect(is(call(&s), HVCORE_RESULT_EXIT, HVCORE_FORWARD_INTERRUPT, s.event.syndrome));
        expect(same(&s, &before));
        s.event.syndrome |= 64;
        before = s;
        expect(is(hvcore_forward_inject(&s.frame, &s.sys, &s.event, &s.state), HVCORE_RESULT_EXIT,
                  HVCORE_FORWARD_CAUSE, s.event.syndrome));
        expect(same(&s, &before));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_enter_refused(void)
{
    setup s = nested_setup(22), before;

    wrong = 0;
    s.state.forward.l1.hstatus = UINT64_C(1) << SPV;
    before = s;
    expect(is(hvcore_forward_enter(&s.frame, &s.sys, &s.event, &s.state), HVCORE_RESULT_EXIT,
              HVCORE_FORWARD_NOT_NESTED, 0));
    expect(same(&s, &before));
    s.state.forward.virt = 0, s.sys.have = 0;
    before = s;
    expect(is(hvcore_forward_enter(&s.frame, &s.sys, &s.event, &s.state), HVCORE_RESULT_NEED_REGS,
              0, NEEDS));
    expect(same(&s, &before));
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Every set of registers that may be there; a cause for L1, one for L2. */
static void test_needs(void)
{
    CU_ASSERT_EQUAL(HVCORE_FORWARD_NEEDS, NEEDS);
    wrong = 0;
    for (uint64_t have = 0; have < UINT64_C(1) << HVCORE_RISCV64_SYS_COUNT; have++) {
        setup s = nested_setup(2), before;

        s.state.forward.l1.hedeleg = have & 1 ? 4 : 0;
        s.sys.have = have;
        before = s;
        for (int calls = 0; calls < 2 && s.state.forward.to == before.state.forward.to; calls++) {
            hvcore_result r = call(&s);

            if (r.kind == HVCORE_RESULT_NEED_REGS) {
                expect(same(&s, &before) && r.addr && !(r.addr & have) && !(r.addr & ~NEEDS));
                before.sys.have = s.sys.have |= r.addr;
                continue;
            }
            expect(is(r, HVCORE_RESULT_DONE, 0, 0));
            break;
        }
        expect(s.sys.vscause == 2);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* L1 cannot double-trap while L2 runs: a set SDT is a state that cannot be, and no way out. */
static void test_no_double_trap_in_l1(void)
{
    setup s = nested_setup(10);

    s.state.forward.parked.vsstatus = UINT64_C(1) << SDT;
    s.state.forward.parked.henvcfg = UINT64_C(1) << DTE;
    CU_ASSERT_EQUAL(call(&s).kind, HVCORE_RESULT_DONE);
    CU_ASSERT_EQUAL(s.state.forward.virt, 0);
    CU_ASSERT(bit(s.sys.vsstatus, SDT)); /* its own entry has begun */
}

/* Everything random, all sets registers: with virt 1 a trap ends in L2, in L1 or in a fill. */
static void test_always_an_owner(void)
{
    wrong = 0;
    for (int n = 0; n < ROUNDS; n++) {
        setup s = nested_setup(rnd() % 64);
        hvcore_result r;

        fill(&s.state.forward.fill, sizeof s.state.forward.fill);
        s.state.forward.fill.found = (uint32_t)(rnd() % 6);
        s.state.forward.fill.backing = (uint32_t)(rnd() % 5);
        s.sys.vsstatus = rnd();
        if (rnd() % 8) {
            s.state.forward.fill.cause = s.event.syndrome;
            s.state.forward.fill.tval = s.event.tval;
            s.state.forward.fill.pc = s.event.pc;
        }
        r = call(&s);
        expect(r.kind == HVCORE_RESULT_DONE || r.kind == HVCORE_RESULT_NEED_AT ||
               r.kind == HVCORE_RESULT_NEED_PAGE ||
               (r.kind == HVCORE_RESULT_EXIT && r.arg == HVCORE_FORWARD_MMIO));
        expect(r.kind == HVCORE_RESULT_DONE || is_page(s.event.syndrome));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* What was found for one trap is nothing for the next. */
static void test_stale_fill(void)
{
    wrong = 0;
    for (int field = 0; field < 3; field++) {
        setup s = nested_setup(21);
        hvcore_forward_fill *f = &s.state.forward.fill;

        *f = (hvcore_forward_fill){.found = 2, .cause = 21, .tval = s.event.tval, .pc = s.event.pc};
        *(field == 0 ? &f->cause : field == 1 ? &f->tval : &f->pc) ^= 2;
        expect(call(&s).kind == HVCORE_RESULT_NEED_AT);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* --- L1's tables ------------------------------------------------------------------------------ */

/*
 * A machine of L1 with 64 KiB of memory. Its G-stage: root (16 KiB) at 0x4000, tables at 0x8000 and
 * 0x9000; L2's tables at 0xa000 to 0xc000 of L1, which are 0x20a000 to 0x20c000 of L2.
 */
enum { MEMORY = 0x10000, ROOT = 0x4000, MIDDLE = 0x8000, LEAVES = 0x9000 };

typedef struct world {
    uint64_t word[MEMORY / 8];
    uint64_t absent; /* address of a page that is not resident; 1: none */
    int reads;
} world;

static world w;

static int read64(void *user, uint64_t pa, uint64_t *value)
{
    world *from = user;

    if (pa >= MEMORY) {
        return 1;
    }
    if (pa >> 12 == from->absent >> 12 && from->absent != 1) {
        return HVCORE_FORWARD_ABSENT;
    }
    *value = from->word[pa / 8];
    from->reads++;
    return 0;
}

static int cas64(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    world *to = user;

    if (pa >= MEMORY) {
        return 2;
    }
    if (to->word[pa / 8] != expected) {
        return 1;
    }
    to->word[pa / 8] = desired;
    return 0;
}

static const hvcore_riscv64_walk_mem MEM = {&w, read64, cas64, NULL};

enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128, ALL = V | R | W | X | A | D };

static void entry(uint64_t at, uint64_t pa, uint64_t bits)
{
    w.word[at / 8] = pa >> 12 << 10 | bits;
}

/*
 * L2's pages 0x200000 + i * 4096 are L1's i * 4096, for i below 16; page 16 of L2 is no memory of
 * L1.
 */
static void build_world(void)
{
    memset(&w, 0, sizeof w);
    w.absent = 1;
    entry(ROOT, MIDDLE, V);
    entry(MIDDLE + 8, LEAVES, V);
    for (uint64_t i = 0; i < 16; i++) {
        entry(LEAVES + 8 * i, i << 12, ALL | U);
    }
    entry(LEAVES + 8 * 16, UINT64_C(0x40000000), ALL | U); /* a device of L1's machine, say */
    entry(0xa000, 0x20b000, V);                            /* L2: va 0x1000 .. of 2 MiB */
    entry(0xb000, 0x20c000, V);
    for (uint64_t i = 0; i < 64; i++) {
        entry(0xc000 + 8 * i, 0x200000 + (i << 12), ALL);
    }
    entry(0xa000 + 8, 0x300000, V); /* a table in a page that L1 does not map */
}

static setup page_setup(uint64_t cause, uint64_t va)
{
    setup s = nested_setup(cause);

    s.event.tval = va;
    s.event.have = 0;
    s.event.htval = s.event.htinst = 0;
    s.frame.sstatus = with_bit(0, SPP, true);
    s.sys.vsatp = UINT64_C(8) << 60 | 0x20a;
    s.sys.vsstatus = s.sys.henvcfg = 0;
    s.state.forward.parked.vsstatus = s.state.forward.parked.henvcfg = 0;
    s.state.forward.l1.hgatp = UINT64_C(8) << 60 | ROOT >> 12;
    s.state.forward.l1.hedeleg = 0;
    return s;
}

static hvcore_result walk(setup *s)
{
    return hvcore_forward_walk(&s->frame, &s->sys, &s->event, &s->state, &MEM);
}

/* The walk, then the unit; what was found must be so. */
static hvcore_result walk_and_call(setup *s, uint32_t wanted, uint64_t gpa, uint64_t htinst)
{
    expect(is(walk(s), HVCORE_RESULT_DONE, 0, 0));
    expect(s->state.forward.fill.found == wanted);
    expect(s->state.forward.fill.gpa == gpa && s->state.forward.fill.htinst == htinst);
    return call(s);
}

/* L1 has got the trap like this. */
static void expect_l1(const setup *s, hvcore_result r, uint64_t cause, uint64_t htval,
                      uint64_t htinst)
{
    const hvcore_forward_l1 *l1 = &s->state.forward.l1;

    expect(is(r, HVCORE_RESULT_DONE, 0, 0) && s->state.forward.to == HVCORE_FORWARD_TO_L1);
    expect(s->sys.vscause == cause && s->sys.vstval == s->event.tval);
    expect(l1->htval == htval && l1->htinst == htinst && bit(l1->hstatus, GVA));
}

/* The three ways in which the address is known, and what lies there. */
static void test_address(void)
{
    const uint64_t gpa = 0x203128;

    wrong = 0;
    for (int way = 0; way < 3; way++) {
        setup s = page_setup(21, 0x3128);
        hvcore_result r;

        build_world();
        if (way == 0) {
            s.event.have = HVCORE_HAVE_GPA, s.event.gpa = gpa;
        } else if (way == 1) {
            s.event.htval = gpa >> 2;
        }
        r = walk_and_call(&s, HVCORE_FORWARD_FOUND_MAPPED, gpa, 0);
        expect(is(r, HVCORE_RESULT_NEED_PAGE, 0, 0x3128));
        expect(s.state.forward.fill.page == 4096 && s.state.forward.fill.prot == HVCORE_PROT_RWX);
        s.state.forward.fill.backing = HVCORE_FORWARD_BACKING_NOTHING;
        expect_l1(&s, call(&s), 5, 0, 0);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* L2's address beyond what L1 maps: the fault is L1's, with the address, whoever found it. */
static void test_l1_fault(void)
{
    static const uint64_t causes[] = {20, 21, 23};

    wrong = 0;
    for (int n = 0; n < 6; n++) {
        setup s = page_setup(causes[n / 2], 0x11123);
        uint64_t htinst = n / 2 == 1 ? 0x503 : 0;

        build_world();
        s.event.htval = n % 2 ? 0x211123 >> 2 : 0;
        s.event.htinst = htinst;
        expect_l1(&s, walk_and_call(&s, HVCORE_FORWARD_FOUND_FAULT, 0x211123, htinst),
                  causes[n / 2], 0x211123 >> 2, htinst);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/*
 * L2's table lies where L1 maps nothing: the walk finds the pseudo-instruction that the hart kept.
 */
static void test_implicit(void)
{
    wrong = 0;
    for (int n = 0; n < 2; n++) {
        setup s = page_setup(23, 0x40000000);

        build_world();
        if (n) {
            s.event.htval = 0x300000 >> 2, s.event.htinst = 0x3000;
        }
        expect_l1(&s, walk_and_call(&s, HVCORE_FORWARD_FOUND_FAULT, 0x300000, 0x3000), 23,
                  0x300000 >> 2, 0x3000);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* MXR of L1 helps an explicit load, not the reading of a table; a table is read, not written. */
static void test_mxr(void)
{
    wrong = 0;
    for (int n = 0; n < 4; n++) {
        bool implicit = n & 1, mxr = n & 2;
        setup s = page_setup(21, 0x3000);

        build_world();
        entry(LEAVES + 8 * 3, 0x3000, V | X | A | D | U);
        s.event.htval = 0x203000 >> 2;
        s.event.htinst = implicit ? 0x3000 : 0;
        s.state.forward.parked.vsstatus = mxr ? 1 << 19 : 0;
        expect(walk(&s).kind == HVCORE_RESULT_DONE);
        expect(s.state.forward.fill.found ==
               (mxr && !implicit ? HVCORE_FORWARD_FOUND_MAPPED : HVCORE_FORWARD_FOUND_FAULT));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Read-only for L1: a load is mapped, a store and an update of L2's table are L1's. */
static void test_rights(void)
{
    static const struct {
        uint64_t cause, htinst;
        uint32_t found;
    } rows[] = {{21, 0, HVCORE_FORWARD_FOUND_MAPPED},
                {23, 0, HVCORE_FORWARD_FOUND_FAULT},
                {20, 0, HVCORE_FORWARD_FOUND_FAULT},
                {23, 0x3000, HVCORE_FORWARD_FOUND_MAPPED},
                {21, 0x3020, HVCORE_FORWARD_FOUND_FAULT}};

    wrong = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        setup s = page_setup(rows[i].cause, 0x3000);

        build_world();
        entry(LEAVES + 8 * 3, 0x3000, V | R | A | D | U);
        s.event.htval = 0x203000 >> 2;
        s.event.htinst = rows[i].htinst;
        expect(walk(&s).kind == HVCORE_RESULT_DONE);
        expect(s.state.forward.fill.found == rows[i].found);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/*
 * A and D of L1's G-stage: L1's hart would set them with menvcfg.ADUE; L2's tables are left alone.
 */
static void test_update(void)
{
    wrong = 0;
    for (int n = 0; n < 2; n++) {
        setup s = page_setup(23, 0x3000);

        build_world();
        entry(LEAVES + 8 * 3, 0x3000, V | R | W | U);
        entry(0xc000 + 8 * 3, 0x203000, V | R | W);
        s.state.forward.parked.henvcfg = n ? UINT64_C(1) << ADUE : 0;
        s.sys.henvcfg = UINT64_C(1) << ADUE;
        expect(walk(&s).kind == HVCORE_RESULT_DONE);
        expect(s.state.forward.fill.found ==
               (n ? HVCORE_FORWARD_FOUND_MAPPED : HVCORE_FORWARD_FOUND_FAULT));
        expect((w.word[(LEAVES + 24) / 8] & (A | D)) == (n ? A | D : 0));
        expect((w.word[(0xc000 + 24) / 8] & (A | D)) == 0);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* L2's own tables say no by now: the hart shall look again. Tables in nothing: an access fault. */
static void test_changed(void)
{
    setup s = page_setup(21, 0x3000), t;

    wrong = 0;
    build_world();
    w.word[(0xc000 + 24) / 8] = 0;
    t = s;
    expect(is(walk_and_call(&t, HVCORE_FORWARD_FOUND_RETRY, 0, 0), HVCORE_RESULT_DONE, 0, 0));
    expect(t.state.forward.to == HVCORE_FORWARD_TO_SHADOW && t.frame.pc == s.frame.pc);
    build_world();
    entry(MIDDLE + 8, 0x10000, V);
    t = s;
    expect_l1(&t, walk_and_call(&t, HVCORE_FORWARD_FOUND_ACCESS, 0, 0), 5, 0, 0);
    t = s;
    t.state.forward.l1.hedeleg = 1 << 5;
    expect(walk(&t).kind == HVCORE_RESULT_DONE && call(&t).kind == HVCORE_RESULT_DONE);
    expect(t.state.forward.to == HVCORE_FORWARD_TO_L2 && t.sys.vscause == 5 &&
           t.state.forward.virt);
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Any page of the tables may be missing: the walk names it, and nothing has happened. */
static void test_absent(void)
{
    static const uint64_t pages[] = {ROOT, MIDDLE, LEAVES, 0xa000, 0xb000, 0xc000};

    wrong = 0;
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        setup s = page_setup(21, 0x3128), before = s;
        hvcore_result r;

        build_world();
        w.absent = pages[i];
        r = walk(&s);
        expect(r.kind == HVCORE_RESULT_NEED_PAGE && r.arg == 0 && r.addr >> 12 == pages[i] >> 12);
        expect(same(&s, &before));
        w.absent = 1;
        r = walk_and_call(&s, HVCORE_FORWARD_FOUND_MAPPED, 0x203128, 0);
        expect(is(r, HVCORE_RESULT_NEED_PAGE, 0, 0x3128));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* What the walk needs, and only if it must. */
static void test_walk_needs(void)
{
    const uint64_t vs = UINT64_C(1) << HVCORE_RISCV64_SYS_vsstatus |
                        UINT64_C(1) << HVCORE_RISCV64_SYS_vsatp |
                        UINT64_C(1) << HVCORE_RISCV64_SYS_henvcfg;
    setup s = page_setup(21, 0x3128), before;

    wrong = 0;
    build_world();
    s.sys.have = 0;
    before = s;
    expect(is(walk(&s), HVCORE_RESULT_NEED_REGS, 0, vs) && same(&s, &before));
    s.event.htval = 0x203128 >> 2;
    expect(walk(&s).kind == HVCORE_RESULT_DONE);
    s.event.syndrome = 5;
    expect(is(walk(&s), HVCORE_RESULT_EXIT, HVCORE_FORWARD_CAUSE, 5));
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Whatever the tables are, the work is bounded and the answer is one of four. */
static void test_hostile_tables(void)
{
    wrong = 0;
    for (int n = 0; n < 50000; n++) {
        setup s = page_setup(n % 3 == 0 ? 20 : n % 3 == 1 ? 21 : 23, rnd() >> rnd() % 64);

        if (n % 16 == 0) {
            build_world();
        }
        w.word[rnd() % (MEMORY / 8)] = rnd() & UINT64_C(0x3fff);
        entry(ROOT + 8 * (rnd() % 8), rnd() % 16 << 12, V);
        s.sys.vsatp = (8 + rnd() % 3) << 60 | rnd() % 16;
        s.state.forward.l1.hgatp = rnd() % 12 << 60 | (rnd() % 16 & ~UINT64_C(3));
        s.event.htval = rnd() & 1 ? rnd() >> rnd() % 64 : 0;
        w.reads = 0;
        expect(walk(&s).kind == HVCORE_RESULT_DONE && w.reads <= 2 * (5 * 6 + 5 + 16));
        expect(s.state.forward.fill.found >= 1 && s.state.forward.fill.found <= 4);
        expect(call(&s).kind != HVCORE_RESULT_NEED_AT);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static const hvc_unit_test tests[] = {
    {"vectors: dispatch", test_vectors},
    {"vectors: hedeleg", test_hedeleg},
    {"sequences: as on a hart with two levels", test_sequences},
    {"every trap has an owner", test_always_an_owner},
    {"asks for what it lacks", test_needs},
    {"bad input touches nothing", test_bad_input},
    {"interrupts of the host", test_host_interrupt},
    {"SRET of L1, refused", test_enter_refused},
    {"no double trap in L1", test_no_double_trap_in_l1},
    {"a stale walk", test_stale_fill},
    {"walk: three ways to an address", test_address},
    {"walk: L1's own fault", test_l1_fault},
    {"walk: L2's tables", test_implicit},
    {"walk: MXR", test_mxr},
    {"walk: rights", test_rights},
    {"walk: A and D", test_update},
    {"walk: tables that change or lead nowhere", test_changed},
    {"walk: any page absent", test_absent},
    {"walk: what it needs", test_walk_needs},
    {"walk: hostile tables", test_hostile_tables},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("forward", tests);
}
