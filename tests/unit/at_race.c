/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AT while the world goes on: pages that are not resident, tables that other vCPUs take out of use
 * and reuse under the walk, access flags that others set first.
 */
#include "tests/unit/at_vectors.h"

#define HCR_VM AT_BIT(0)
#define AF AT_BIT(10)

/* ---- residency ---- */

/* The pages of a trace, each once, in the order in which they are first met. */
static size_t pages_of(const at_vector *v, uint64_t pages[AT_PAGES])
{
    size_t n = 0;

    for (size_t i = 0; i < hvc_json_len(v->json, "trace"); i++) {
        json_object *t = json_object_array_get_idx(hvc_json_at(v->json, "trace"), i);
        uint64_t page = hvc_json_u64(t, "2") >> AT_PAGE;
        size_t k = 0;

        while (k < n && pages[k] != page) {
            k++;
        }
        CU_ASSERT_FATAL(k < AT_PAGES);
        pages[k] = page;
        n += k == n;
    }
    return n;
}

/* Takes a subset out, and compares with the run in which all are there. */
static void check_absent(const at_vector *v, const uint64_t *pages, size_t n, uint64_t subset)
{
    at_case whole = v->start, c = v->start;
    at_world w = v->world, present = v->world;
    at_served served, all;
    hvcore_result a = at_run(&whole, &present, &all), b;
    size_t asked = 0;

    for (size_t i = 0; i < n; i++) {
        if (subset >> i & 1) {
            at_take_out(&w, pages[i] << AT_PAGE);
        }
    }
    b = at_run(&c, &w, &served);
    for (size_t i = 0; i < n; i++) {
        if (subset >> i & 1) { /* each once, in order */
            CU_ASSERT_EQUAL(served.page[asked], pages[i]);
            asked++;
        }
    }
    CU_ASSERT_EQUAL(served.pages, asked);
    CU_ASSERT(a.kind == b.kind && a.arg == b.arg && a.addr == b.addr);
    CU_ASSERT_EQUAL(memcmp(&whole.sys, &c.sys, sizeof c.sys), 0);
    CU_ASSERT_EQUAL(memcmp(&whole.frame, &c.frame, sizeof c.frame), 0);
    CU_ASSERT_EQUAL(memcmp(w.wrote, present.wrote, sizeof w.wrote), 0);
}

static uint64_t residency_pages;

static void check_residency(const at_vector *v)
{
    uint64_t pages[AT_PAGES], seed = 11;
    size_t n = pages_of(v, pages);

    residency_pages += n;
    check_absent(v, pages, n, UINT64_MAX);
    for (unsigned i = 0; i < 64; i++) {
        check_absent(v, pages, n, n <= 6 ? i : hvc_random(&seed));
    }
}

static void test_residency(void)
{
    residency_pages = 0;
    at_vectors_each(check_residency);
    CU_ASSERT_EQUAL(residency_pages, 719); /* as many as at-walker.md counts, 5.3 */
}

/* PC stays at the AT while a page is wanted; a new trap of it goes on, another one begins. */
static void test_retrap(void)
{
    at_case c;
    at_world w = {.words = 0};
    hvcore_arm64_walk_mem mem = at_mem(&w);
    hvcore_result r;

    memset(&c, 0, sizeof c);
    c.state.at.walk = (hvcore_arm64_walk_options){
        HVCORE_ARM64_FEAT_EL2 | HVCORE_ARM64_FEAT_TGRAN4 | HVCORE_ARM64_FEAT_TTST, 0, 48, 0};
    c.sys.sctlr_el1 = 5;
    c.sys.tcr_el1 = 48 | UINT64_C(5) << 32;
    c.sys.ttbr0_el1 = 0x48000000;
    c.sys.mair_el1 = 0xff;
    at_begin(&c, HVCORE_AT_S1E1R, 0x1678, false, 2);
    at_put(&w, 0x48000008, 0x77777703);
    at_take_out(&w, 0x48000000);
    for (unsigned i = 0; i < 5; i++) {
        r = hvcore_at_walk(&c.frame, &c.sys, &c.event, &c.state, &mem);
        CU_ASSERT(r.kind == HVCORE_RESULT_NEED_PAGE && r.addr == 0x48000008 && r.arg == 0);
        CU_ASSERT(c.frame.pc == c.event.pc && c.sys.dirty == 0);
    }
    at_bring_in(&w, 0x48000000);
    r = hvcore_at_walk(&c.frame, &c.sys, &c.event, &c.state, &mem);
    CU_ASSERT(r.kind == HVCORE_RESULT_DONE && c.frame.pc == c.event.pc + 4);
    CU_ASSERT_EQUAL(c.sys.par_el1, UINT64_C(0xff00000077777980));
    CU_ASSERT(c.state.at.phase == 0 && c.state.at.pc == 0 && c.state.at.failures == 0);
    CU_ASSERT_EQUAL(c.state.at.count[HVCORE_AT_COUNT_PAGES], 5);
}

/* ---- races ---- */

/*
 * A guest replaces a table, tells all PEs (TLBI, DSB), and uses the old one for something else: at
 * any read of the walk. Two roads lead to the leaf, `was` and `is`; before the change the road is
 * `was`, and what stands there afterwards is data.
 */
#define VA UINT64_C(0x5a5a5a5a5678)
#define TABLE(i) (UINT64_C(0x48000000) + (i)*UINT64_C(0x10000))
#define ENTRY(table, level) (TABLE(table) + 8 * (VA >> (12 + 9 * (3 - (level))) & 511))

static struct {
    struct {
        uint64_t pa, value;
    } change[8];
    size_t changes;
    bool done;
} race;

static void change(uint64_t pa, uint64_t value)
{
    race.change[race.changes].pa = pa;
    race.change[race.changes++].value = value;
}

static void other_pe(at_world *w)
{
    for (size_t i = 0; i < race.changes; i++) {
        at_put(w, race.change[i].pa, race.change[i].value);
    }
    race.done = true;
}

/* The tables below level `from` are replaced. Leaves have these attributes. */
static void race_world(at_case *c, at_world *w, int from, uint64_t leaf)
{
    static const uint64_t data[] = {0x66666407, 0x55555443, 0x33333703, 0x44444701};

    memset(c, 0, sizeof *c);
    memset(w, 0, sizeof *w);
    memset(&race, 0, sizeof race);
    c->state.at.walk =
        (hvcore_arm64_walk_options){HVCORE_ARM64_FEAT_EL2 | HVCORE_ARM64_FEAT_TGRAN4 |
                                        HVCORE_ARM64_FEAT_S2_TGRAN4 | HVCORE_ARM64_FEAT_AF,
                                    0, 48, 0};
    c->sys.sctlr_el1 = 5;
    c->sys.tcr_el1 = 16 | UINT64_C(5) << 32;
    c->sys.ttbr0_el1 = TABLE(0);
    c->sys.mair_el1 = 0xff;
    for (int level = 0; level < 3; level++) {
        at_put(w, ENTRY(level, level), TABLE(level + 1) | 3);
    }
    at_put(w, ENTRY(3, 3), 0x11111003 | leaf);
    for (int level = from + 1; level < 3; level++) {
        at_put(w, ENTRY(level + 4, level), TABLE(level + 5) | 3);
        change(ENTRY(level, level), data[level]);
    }
    change(ENTRY(from, from), TABLE(from + 5) | 3);
    change(ENTRY(7, 3), 0x22222003 | leaf);
    change(ENTRY(3, 3), data[3 - from]);
    at_begin(c, HVCORE_AT_S1E1R, VA, false, 2);
}

#define S2_BLOCK(i) (UINT64_C(0x40000000) + ((i) << 21))
#define S2_ENTRY(i) (UINT64_C(0x50001000) + 8 * (i))

/* Behind a stage 2 that leaves RAM where it is, through blocks of 2 MiB. */
static void add_stage_2(at_case *c, at_world *w)
{
    c->sys.hcr_el2 = HCR_VM;
    c->sys.vtcr_el2 = 25 | 1 << 6 | 5 << 16;
    c->sys.vttbr_el2 = 0x50000000;
    at_put(w, 0x50000008, 0x50001003);
    for (uint64_t i = 0; i < 256; i++) {
        at_put(w, S2_ENTRY(i), S2_BLOCK(i) | 0x7fd);
    }
}

/* It is the table of stage 2 that is replaced; the new one has the tables of stage 1 elsewhere. */
static void race_world_2(at_case *c, at_world *w)
{
    const uint64_t i = 64, elsewhere = S2_BLOCK(UINT64_C(32)), data = S2_BLOCK(UINT64_C(48));

    race_world(c, w, 2, 0x700);
    race.changes = 0;
    add_stage_2(c, w);
    for (int level = 0; level < 3; level++) {
        at_put(w, ENTRY(level, level) - TABLE(0) + elsewhere, TABLE(level + 1) | 3);
        at_put(w, ENTRY(level, level) - TABLE(0) + data, TABLE(level + 1) | 3);
    }
    at_put(w, ENTRY(3, 3) - TABLE(0) + elsewhere, 0x22222703);
    at_put(w, ENTRY(3, 3) - TABLE(0) + data, 0x66666703);
    at_put(w, 0x50003000 + 8 * i, elsewhere | 0x7fd);
    change(0x50000008, 0x50003003);
    change(S2_ENTRY(i), data | 0x7fd);
}

static uint64_t plain_par(at_case c, at_world *w)
{
    hvcore_arm64_walk_mem mem = at_mem(w);
    hvcore_arm64_walk_request q = {VA, 0, HVCORE_ARM64_ACCESS_NO_UPDATE};
    hvcore_arm64_walk_result r;
    uint64_t par[2];

    hvcore_arm64_walk(&c.state.at.walk, &c.sys, &mem, &q, &r);
    hvcore_at_par(&c.state.at.walk, &r, 0, par);
    return r.kind == HVCORE_ARM64_WALK_DONE ? par[0] : UINT64_MAX; /* an abort for a dead pointer */
}

/* Plain walks that told what was never so, and revalidated ones, over all points of injection. */
static void count_forged(const at_case *c, const at_world *w, unsigned *plain, unsigned *unit)
{
    at_world before = *w, after = *w;
    uint64_t old = plain_par(*c, &before), new;

    other_pe(&after);
    new = plain_par(*c, &after);
    CU_ASSERT_NOT_EQUAL(old, new);
    for (unsigned k = 1; k <= 40; k++) {
        at_world a = *w, b = *w;
        at_case run = *c;
        at_served served;
        uint64_t par;

        a.fire = b.fire = other_pe;
        a.fire_at = b.fire_at = k;
        par = plain_par(*c, &a);
        *plain += par != old && par != new;
        CU_ASSERT_EQUAL(at_run(&run, &b, &served).kind, HVCORE_RESULT_DONE);
        *unit += run.sys.par_el1 != old && run.sys.par_el1 != new;
        CU_ASSERT_EQUAL(served.holds, 0);
    }
}

static void test_race(void)
{
    unsigned plain = 0, unit = 0;
    at_case c;
    at_world w;

    for (int from = 0; from < 3; from++) {
        for (int two = 0; two < 2; two++) {
            unsigned here = 0;

            race_world(&c, &w, from, 0x700);
            if (two) {
                add_stage_2(&c, &w);
            }
            count_forged(&c, &w, &here, &unit);
            CU_ASSERT(here > 0);
            plain += here;
        }
    }
    race_world_2(&c, &w);
    count_forged(&c, &w, &plain, &unit);
    CU_ASSERT(plain > 6);
    CU_ASSERT_EQUAL(unit, 0);
}

/* A descriptor that no two reads find the same. */
static void restless(at_world *w)
{
    uint64_t at = ENTRY(3, 3);

    at_put(w, at, at_get(w, at) + AT_BIT(12));
}

static void test_hold(void)
{
    at_case c;
    at_world w;
    at_served served;

    race_world(&c, &w, 2, 0x700);
    w.fire = restless;
    w.fire_every = 1;
    CU_ASSERT_EQUAL(at_run(&c, &w, &served).kind, HVCORE_RESULT_DONE);
    CU_ASSERT_EQUAL(served.holds, 1);
    CU_ASSERT_EQUAL(w.reads, HVCORE_AT_TRIES * 8 + 4); /* twice four words, and once when held */
    CU_ASSERT_EQUAL(c.state.at.count[HVCORE_AT_COUNT_RETRIED], HVCORE_AT_TRIES);
    CU_ASSERT_EQUAL(c.state.at.count[HVCORE_AT_COUNT_HELD], 1);
    CU_ASSERT(c.state.at.held == 0 && c.state.at.failures == 0);
}

/* Without the confirmation of a hold nothing is believed for it. */
static void test_hold_not_given(void)
{
    at_case c;
    at_world w;
    hvcore_arm64_walk_mem mem = at_mem(&w);

    race_world(&c, &w, 2, 0x700);
    w.fire = restless;
    w.fire_every = 1;
    for (uint32_t i = 0; i < 4; i++) {
        c.state.at.held = i * 2; /* 1 alone is a hold */
        CU_ASSERT_EQUAL(hvcore_at_walk(&c.frame, &c.sys, &c.event, &c.state, &mem).kind,
                        HVCORE_RESULT_NEED_HOLD);
        CU_ASSERT_EQUAL(c.state.at.held, 0);
    }
    CU_ASSERT_EQUAL(w.reads, 4 * HVCORE_AT_TRIES * 8);
}

/* ---- access flags ---- */

/* The old leaf's page is data now, which happens to be the same word. */
static void unlink_only(at_world *w)
{
    at_put(w, ENTRY(2, 2), TABLE(7) | 3);
    race.done = true;
}

static void af_world(at_case *c, at_world *w, uint32_t options)
{
    race_world(c, w, 2, 0x300);
    at_put(w, ENTRY(7, 3), 0x22222303);
    c->sys.tcr_el1 |= AT_BIT(39);
    c->state.at.options = options;
    w->fire = unlink_only;
}

/* Writes into a page that was no table any more. */
static unsigned count_dead_writes(uint32_t options)
{
    unsigned dead = 0;

    for (unsigned k = 1; k <= 40; k++) {
        at_case c;
        at_world w;
        at_served served;

        af_world(&c, &w, options);
        w.fire_at = k;
        CU_ASSERT_EQUAL(at_run(&c, &w, &served).kind, HVCORE_RESULT_DONE);
        CU_ASSERT(w.writes >= 1 && !(c.sys.par_el1 & 1));
        if (race.done && at_get(&w, ENTRY(3, 3)) & AF) {
            dead += c.sys.par_el1 >> 12 << 36 == UINT64_C(0x22222) << 36;
        }
    }
    return dead;
}

static void test_af_race(void)
{
    CU_ASSERT_EQUAL(count_dead_writes(0), 0);
    CU_ASSERT(count_dead_writes(HVCORE_AT_WRITE_UNHELD) > 0); /* what its documentation says */
}

/* Somebody else is faster: another walk, the hold, and at last nobody can be blamed but a
 * device. */
static void test_af_lost(void)
{
    for (unsigned lose = 0; lose < 12; lose++) {
        at_case c;
        at_world w;
        at_served served;
        hvcore_result r;

        af_world(&c, &w, 0);
        w.lose = lose;
        r = at_run(&c, &w, &served);
        CU_ASSERT_EQUAL(served.holds, 1);
        CU_ASSERT_EQUAL(r.kind, lose < 3 ? HVCORE_RESULT_DONE : HVCORE_RESULT_EXIT);
        CU_ASSERT(r.kind == HVCORE_RESULT_DONE || r.arg == HVCORE_AT_CONTENDED);
        CU_ASSERT(c.frame.pc == c.event.pc + (lose < 3 ? 4 : 0));
        af_world(&c, &w, HVCORE_AT_WRITE_UNHELD);
        w.lose = lose;
        r = at_run(&c, &w, &served);
        CU_ASSERT_EQUAL(served.holds, lose >= 3);
        CU_ASSERT_EQUAL(r.kind, lose < 6 ? HVCORE_RESULT_DONE : HVCORE_RESULT_EXIT);
    }
}

/* The page is there to be read, not to be written. */
static int read_only(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    (void)user, (void)pa, (void)expected, (void)desired;
    return HVCORE_ARM64_MEM_NOT_RESIDENT;
}

static void test_af_page(void)
{
    at_case c;
    at_world w;
    hvcore_arm64_walk_mem mem = {&w, at_read64, read_only};
    hvcore_result r;

    af_world(&c, &w, 0);
    r = hvcore_at_walk(&c.frame, &c.sys, &c.event, &c.state, &mem);
    CU_ASSERT_EQUAL(r.kind, HVCORE_RESULT_NEED_HOLD);
    c.state.at.held = 1;
    r = hvcore_at_walk(&c.frame, &c.sys, &c.event, &c.state, &mem);
    CU_ASSERT(r.kind == HVCORE_RESULT_NEED_PAGE && r.arg == 1 && r.addr == ENTRY(3, 3));
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"absent pages", test_residency},
        {"trapping again", test_retrap},
        {"a table replaced", test_race},
        {"holding the others", test_hold},
        {"a hold that nobody gave", test_hold_not_given},
        {"an access flag and a table replaced", test_af_race},
        {"an access flag set by others", test_af_lost},
        {"an access flag in a page that is not there", test_af_page},
        {NULL, NULL},
    };

    return hvc_unit_main("at_race", tests);
}
