/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arm64 walker: the vectors, in both byte orders; sizes and start levels against the
 * definitions; pages that are not there and words that change; registers and tables that mean harm;
 * its bounds.
 */
#include "tests/unit/at_vectors.h"

typedef hvcore_arm64_walk_options options_t;
typedef hvcore_arm64_walk_request request_t;
typedef hvcore_arm64_walk_result result_t;

enum { MAX_READS = 35, EVERYTHING = (1 << 29) - 1 };

#define NO_D128 (EVERYTHING & ~HVCORE_ARM64_FEAT_D128)
#define RAM UINT64_C(0x40000000)
#define AF AT_BIT(10)

static result_t walk(const options_t *o, const hvcore_arm64_sys *sys, at_world *w, request_t q)
{
    hvcore_arm64_walk_mem mem = at_mem(w);
    result_t r;

    memset(&r, 0xa5, sizeof r);
    hvcore_arm64_walk(o, sys, &mem, &q, &r);
    return r;
}

/* ---- the vectors ---- */

static uint32_t fault_of(const char *kind)
{
    static const char *const names[] = {"", "addrsz", "trans", "af", "perm", "ext"};
    uint32_t i = 0;

    while (i < AT_COUNT(names) && strcmp(names[i], kind) != 0) {
        i++;
    }
    CU_ASSERT_FATAL(i < AT_COUNT(names));
    return i;
}

static uint32_t kind_of(const at_vector *v)
{
    if (!hvc_json_at(v->json, "exception")) {
        return HVCORE_ARM64_WALK_DONE;
    }
    return strcmp(hvc_json_str_or(v->json, "fault.kind", ""), "ext") == 0
               ? HVCORE_ARM64_WALK_EXCEPTION
               : HVCORE_ARM64_WALK_ABORT;
}

static void check_fault(const at_vector *v, const result_t *r)
{
    const char *level = "fault.level";

    CU_ASSERT_EQUAL(r->kind, kind_of(v));
    CU_ASSERT_EQUAL(r->fault, fault_of(hvc_json_str_or(v->json, "fault.kind", "")));
    if (r->fault == HVCORE_ARM64_FAULT_NONE) {
        CU_ASSERT(r->stage == 0 && r->fsc == 0 && r->size != 0 && (r->size & (r->size - 1)) == 0);
        CU_ASSERT((r->pa ^ v->va) % (r->size < 4096 ? r->size : 4096) == 0);
        return;
    }
    CU_ASSERT_EQUAL(r->level, json_object_get_int(hvc_json_at(v->json, level)));
    CU_ASSERT_EQUAL(r->stage, hvc_json_u64(v->json, "fault.stage"));
    CU_ASSERT_EQUAL(r->notes & HVCORE_ARM64_NOTE_S1PTW, hvc_json_u64(v->json, "fault.s1ptw"));
    CU_ASSERT_EQUAL(r->ipa, hvc_json_u64_or(v->json, "fault.ipa", 0));
    CU_ASSERT(r->pa == 0 && r->size == 0 && r->prot == 0 && r->attr == 0 && r->sh == 0);
}

/* Where the trace walks stage 2 a second time to write an access flag, the walker remembers. */
static void check_reads(const at_vector *v, const result_t *r, const at_world *after)
{
    size_t n = hvc_json_len(v->json, "trace"), k = 0;

    for (size_t i = 0; i < n && k < r->reads; i++) {
        json_object *t = json_object_array_get_idx(hvc_json_at(v->json, "trace"), i);
        uint64_t pa = hvc_json_u64(t, "2"), d = hvc_json_u64(t, "3"), raw = r->read[k].raw;
        bool two = strcmp(hvc_json_str_or(t, "0", ""), "s2") == 0,
             own = v->start.sys.hcr_el2 >> 34 & 1;
        uint64_t sctlr = two || own || v->op == HVCORE_AT_S1E2R || v->op == HVCORE_AT_S1E2W
                             ? v->start.sys.sctlr_el2
                             : v->start.sys.sctlr_el1;

        if (n != r->reads && r->read[k].gpa != pa) {
            continue;
        }
        CU_ASSERT_EQUAL(r->read[k].gpa, pa);
        CU_ASSERT_EQUAL(raw, at_get(after, pa)); /* as the walk left it */
        CU_ASSERT_EQUAL((sctlr >> 25 & 1 ? at_swap(raw) : raw) & ~AF, d & ~AF);
        k++;
    }
    CU_ASSERT_EQUAL(k, r->reads);
    CU_ASSERT(r->reads == n || (n > r->reads && hvc_json_len(v->json, "writes")) ||
              strcmp(v->name, "ptw-ro-af-update") == 0);
}

static void check_writes(const at_vector *v, const at_world *w)
{
    CU_ASSERT_EQUAL_FATAL(w->writes, hvc_json_len(v->json, "writes"));
    for (size_t i = 0; i < w->writes; i++) {
        json_object *t = json_object_array_get_idx(hvc_json_at(v->json, "writes"), i);

        CU_ASSERT_EQUAL(w->wrote[i].pa, hvc_json_u64(t, "0"));
        CU_ASSERT_EQUAL(w->wrote[i].old, hvc_json_u64(t, "1"));
        CU_ASSERT_EQUAL(w->wrote[i].value, hvc_json_u64(t, "2"));
    }
}

static void check_vector(const at_vector *v)
{
    at_world w = v->world;
    result_t r;

    if (at_vector_undefined(v)) {
        return;
    }
    r = walk(&v->start.state.at.walk, &v->start.sys, &w, at_vector_request(v));
    check_fault(v, &r);
    check_reads(v, &r, &w);
    check_writes(v, &w);
    CU_ASSERT_EQUAL(w.writes != 0, (r.notes & HVCORE_ARM64_NOTE_UPDATE) != 0);
}

static void test_vectors(void)
{
    at_vectors_each(check_vector);
}

/* Everything that a result says but the words themselves. */
static bool same(const result_t *a, const result_t *b)
{
    return memcmp(a, b, offsetof(result_t, read)) == 0;
}

/* The same tables in the other byte order, which also takes the general way instead of the short
 * one. */
static void check_swapped(const at_vector *v)
{
    at_world w = v->world, swapped = {.words = 0};
    hvcore_arm64_sys sys = v->start.sys;
    request_t q = at_vector_request(v);
    result_t a = walk(&v->start.state.at.walk, &sys, &w, q), b;

    if ((sys.sctlr_el1 ^ sys.sctlr_el2) >> 25 & 1) { /* mixed already */
        return;
    }
    for (size_t i = 0; i < v->world.words; i++) {
        at_put(&swapped, v->world.word[i].pa, at_swap(v->world.word[i].value));
    }
    sys.sctlr_el1 ^= AT_BIT(25);
    sys.sctlr_el2 ^= AT_BIT(25);
    b = walk(&v->start.state.at.walk, &sys, &swapped, q);
    CU_ASSERT(same(&a, &b));
    for (uint32_t i = 0; i < a.reads && i < b.reads; i++) {
        CU_ASSERT_EQUAL(a.read[i].gpa, b.read[i].gpa);
        CU_ASSERT_EQUAL(a.read[i].raw, at_swap(b.read[i].raw));
    }
}

static void test_big_endian(void)
{
    at_vectors_each(check_swapped);
}

/* A dry walk gives the same answer and writes nothing. */
static void check_dry(const at_vector *v)
{
    at_world w = v->world, dry = v->world;
    request_t q = at_vector_request(v);
    result_t a = walk(&v->start.state.at.walk, &v->start.sys, &w, q), b;

    q.access |= HVCORE_ARM64_ACCESS_NO_UPDATE;
    b = walk(&v->start.state.at.walk, &v->start.sys, &dry, q);
    CU_ASSERT(same(&a, &b));
    CU_ASSERT(dry.swaps == 0 && memcmp(dry.word, v->world.word, sizeof dry.word) == 0);
}

static void test_dry(void)
{
    at_vectors_each(check_dry);
}

/* ---- sizes, by their definitions ---- */

static options_t everything(uint32_t pa_bits)
{
    return (options_t){.features = NO_D128, .pa_bits = pa_bits};
}

/* A stage 1 whose tables are all zero: the fault's level is the start level. */
static hvcore_arm64_sys plain_sys(uint64_t tcr)
{
    return (hvcore_arm64_sys){
        .sctlr_el1 = 5, .tcr_el1 = tcr, .ttbr0_el1 = RAM, .ttbr1_el1 = RAM, .mair_el1 = 0xff};
}

/* The level at which a walk of `ia` bits starts: as many levels as it takes. */
static int32_t start_level(uint32_t ia, uint32_t page)
{
    int32_t level = 3;

    for (uint32_t bits = page + page - 3; bits < ia; bits += page - 3) {
        level--;
    }
    return level;
}

struct size_case {
    uint32_t page, txsz, features;
    bool ds;
};

static bool legal(const struct size_case *c)
{
    uint32_t max = c->features & HVCORE_ARM64_FEAT_TTST ? (c->page == 16 ? 47 : 48) : 39, min = 16;

    if (c->page == 16 && c->features & HVCORE_ARM64_FEAT_LVA) {
        min = 12;
    }
    if (c->page != 16 && c->ds && c->features & HVCORE_ARM64_FEAT_LPA2_4) {
        min = 12;
    }
    return c->txsz >= min && c->txsz <= max;
}

static void check_size(const struct size_case *c, bool upper)
{
    static const uint64_t tg0[17] = {[12] = 0, [14] = 2, [16] = 1};
    static const uint64_t tg1[17] = {[12] = 2, [14] = 1, [16] = 3};
    uint64_t tcr = UINT64_C(5) << 32 | (uint64_t)c->ds << 59;
    options_t o = {c->features, HVCORE_ARM64_CHOICE_START_LEVEL, 52, 0};
    at_world w = {.words = 0};
    hvcore_arm64_sys sys;
    result_t r;

    /* The other range is as different as it can be. */
    tcr |= upper ? c->txsz << 16 | tg1[c->page] << 30 : c->txsz | tg0[c->page] << 14;
    tcr |= upper ? 25 : 25 << 16 | UINT64_C(2) << 30;
    sys = plain_sys(tcr);
    r = walk(&o, &sys, &w, (request_t){upper ? UINT64_MAX : 0, 0, 0});
    CU_ASSERT_EQUAL(r.fault, HVCORE_ARM64_FAULT_TRANSLATION);
    CU_ASSERT_EQUAL(r.reads, legal(c));
    if (legal(c)) {
        CU_ASSERT_EQUAL(r.level, start_level(64 - c->txsz, c->page));
    }
    CU_ASSERT(r.level >= -1 && r.level <= 3);
    o.choices = 0;
    r = walk(&o, &sys, &w, (request_t){upper ? UINT64_MAX : 0, 0, 0});
    CU_ASSERT(legal(c) || (r.level == 0 && r.fsc == 4 && r.reads == 0));
    o.choices = HVCORE_ARM64_CHOICE_CLAMP_TXSZ;
    r = walk(&o, &sys, &w, (request_t){upper ? UINT64_MAX : 0, 0, 0});
    CU_ASSERT(r.reads == 1 && r.fault == HVCORE_ARM64_FAULT_TRANSLATION);
}

static void test_txsz(void)
{
    const uint32_t lpa2 = HVCORE_ARM64_FEAT_LPA2_4 | HVCORE_ARM64_FEAT_LPA2_16;
    const uint32_t base = NO_D128 & ~(lpa2 | HVCORE_ARM64_FEAT_LVA | HVCORE_ARM64_FEAT_TTST);

    for (uint32_t i = 0; i < 8; i++) {
        uint32_t f = base | (i & 1 ? lpa2 : 0) | (i & 2 ? (uint32_t)HVCORE_ARM64_FEAT_LVA : 0) |
                     (i & 4 ? (uint32_t)HVCORE_ARM64_FEAT_TTST : 0);

        for (uint32_t n = 0; n < 64 * 12; n++) {
            struct size_case c = {12 + 2 * (n / 64 % 3), n % 64, f, n / 192 & 1};

            check_size(&c, n / 384 & 1);
        }
    }
}

/* Every entry of the first table is reached, none beside it, and the base is aligned to its
 * size. */
static void check_first_table(uint32_t txsz, bool ds)
{
    options_t o = everything(52);
    uint32_t ia = 64 - txsz, lsb = 12;
    uint64_t ttbr = UINT64_C(0xdead00006fffffc1), size, aligned, va = UINT64_MAX >> txsz;
    hvcore_arm64_sys sys = plain_sys(txsz | UINT64_C(6) << 32 | (uint64_t)ds << 59);
    at_world w = {.words = 0};
    result_t r;

    while (lsb + 9 < ia) {
        lsb += 9;
    }
    size = AT_BIT(ia - lsb + 3);
    aligned = 0x6fffffc0 & ~((ds && size < 64 ? 64 : size) - 1);
    /* Bit 5 is address where tables are that small, else bit 51 of it, or nothing. */
    sys.ttbr0_el1 = ttbr | 32;
    aligned |= !ds && size <= 32 ? 32 : 0;
    at_put(&w, AT_BIT(51) + aligned + size - 8, 0);
    r = walk(&o, &sys, &w, (request_t){va, 0, 0});
    CU_ASSERT(r.reads == 1 && r.read[0].gpa == (ds ? AT_BIT(51) : 0) + aligned + size - 8);
    sys.ttbr0_el1 = ds ? ttbr : sys.ttbr0_el1;
    r = walk(&o, &sys, &w, (request_t){va, 0, 0});
    CU_ASSERT_EQUAL_FATAL(r.reads, 1);
    CU_ASSERT_EQUAL(r.read[0].gpa, aligned + size - 8);
    r = walk(&o, &sys, &w, (request_t){0, 0, 0});
    CU_ASSERT_EQUAL(r.read[0].gpa, aligned);
    r = walk(&o, &sys, &w, (request_t){va + 1, 0, 0});
    CU_ASSERT(r.reads == 0 && r.fault == HVCORE_ARM64_FAULT_TRANSLATION);
}

static void test_first_table(void)
{
    for (uint32_t txsz = 12; txsz <= 48; txsz++) {
        check_first_table(txsz, true);
        if (txsz >= 16) {
            check_first_table(txsz, false);
        }
    }
}

/* Specs 4.1, start level: by granule, then SL0; SL2 alone is -1. */
static int32_t s2_start(uint32_t page, uint32_t sl0, bool sl2, bool ds, uint32_t features,
                        uint32_t pa)
{
    enum { NO = 9 };
    int32_t level[3][4] = {{2, 1, pa >= 44 ? 0 : NO, features & HVCORE_ARM64_FEAT_TTST ? 3 : NO},
                           {3, 2, pa >= 42 ? 1 : NO, ds ? 0 : NO},
                           {3, 2, pa >= 44 ? 1 : NO, NO}};

    if (page == 12 && ds && sl2) {
        return sl0 == 0 ? -1 : NO;
    }
    return level[page / 2 - 6][sl0];
}

/* What stage 2 answers where every descriptor is zero: the level, or 9 without a read. */
static int32_t s2_answer(const options_t *o, uint64_t vtcr, uint64_t ipa, uint32_t *reads)
{
    at_world w = {.words = 0};
    hvcore_arm64_walk_mem mem = at_mem(&w);
    hvcore_arm64_sys sys = {.vtcr_el2 = vtcr, .vttbr_el2 = RAM};
    result_t r;

    hvcore_arm64_walk_s2(o, &sys, &mem, ipa, 0, &r);
    CU_ASSERT(r.kind == HVCORE_ARM64_WALK_DONE && r.stage == 2);
    CU_ASSERT(r.fault == HVCORE_ARM64_FAULT_TRANSLATION && r.ipa == ipa);
    *reads = r.reads;
    CU_ASSERT(r.reads || r.level == 0);
    return r.reads ? r.level : 9;
}

static int32_t s2_expected(uint32_t page, uint32_t txsz, uint32_t sl, bool ds, const options_t *o)
{
    uint32_t pa = o->pa_bits, ia = 64 - txsz, lsb;
    uint32_t limit = page == 16 || ds || pa < 52 ? 52 : 48;
    uint32_t max = o->features & HVCORE_ARM64_FEAT_TTST ? (page == 16 ? 47 : 48) : 39;
    int32_t start = s2_start(page, sl & 3, sl >> 2, ds, o->features, pa);

    if (txsz > max || ia > (limit < pa ? limit : pa) || start == 9) {
        return 9;
    }
    lsb = page + (uint32_t)(3 - start) * (page - 3);
    return ia > lsb && ia <= lsb + page - 3 + 4 ? start : 9;
}

static void check_s2(const options_t *o, uint32_t page, uint32_t sl, bool ds)
{
    static const uint64_t tg[17] = {[12] = 0, [14] = 2, [16] = 1};

    for (uint32_t txsz = 0; txsz < 64; txsz++) {
        uint64_t vtcr = txsz | (sl & 3) << 6 | (uint64_t)(sl >> 2) << 33 | tg[page] << 14 |
                        UINT64_C(5) << 16 | (uint64_t)ds << 32;
        bool has = page != 16 && ds && o->features & HVCORE_ARM64_FEAT_S2_LPA2_4;
        uint32_t reads;

        CU_ASSERT_EQUAL(s2_answer(o, vtcr, 0, &reads), s2_expected(page, txsz, sl, has, o));
        if (reads) { /* the last address that there is, and the next one */
            CU_ASSERT_NOT_EQUAL(s2_answer(o, vtcr, UINT64_MAX >> txsz, &reads), 9);
            CU_ASSERT_EQUAL(s2_answer(o, vtcr, (UINT64_MAX >> txsz) + 1, &reads), 9);
        }
    }
}

static void test_stage_2_start(void)
{
    static const uint32_t sizes[] = {32, 36, 40, 42, 44, 48, 52};

    for (uint32_t n = 0; n < AT_COUNT(sizes) * 4 * 48; n++) {
        uint32_t features = NO_D128, page = 12 + 2 * (n % 3), sl = n / 3 % 8;
        options_t o;

        features &= n / 48 & 1 ? UINT32_MAX : ~(uint32_t)HVCORE_ARM64_FEAT_TTST;
        if (!(n / 48 & 2)) {
            features &= ~(uint32_t)(HVCORE_ARM64_FEAT_S2_LPA2_4 | HVCORE_ARM64_FEAT_S2_LPA2_16);
        }
        o = (options_t){features, 0, sizes[n / 192], 0};
        check_s2(&o, page, sl, n / 24 & 1);
    }
}

/* ---- what the vectors do not reach ---- */

/* One page at level 3 behind TxSZ = 48: a table of 16 entries. */
static void one_page(at_world *w, hvcore_arm64_sys *sys, uint64_t desc)
{
    *w = (at_world){.words = 0};
    *sys = plain_sys(48 | UINT64_C(48) << 16 | UINT64_C(5) << 32 | UINT64_C(2) << 30);
    for (uint64_t i = 0; i < 16; i++) {
        at_put(w, RAM + 8 * i, desc | i << 12);
    }
}

/* Canonical tags: 59:56 count as bit 55, 63:60 do not; TBI goes before. */
static void test_mtx(void)
{
    options_t o = everything(48), without = o;
    at_world w;
    hvcore_arm64_sys sys;

    without.features &= ~(uint32_t)HVCORE_ARM64_FEAT_MTX;
    one_page(&w, &sys, 0x703);
    sys.tcr_el1 |= AT_BIT(60) | AT_BIT(61);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){UINT64_C(0x0a00000000001000), 0, 0}).fault, 0);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){UINT64_C(0xf5fffffffffff000), 0, 0}).fault, 0);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){UINT64_C(0x1a00000000001000), 0, 0}).fault, 2);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){UINT64_C(0xe5fffffffffff000), 0, 0}).fault, 2);
    CU_ASSERT_EQUAL(walk(&without, &sys, &w, (request_t){UINT64_C(0x0a00000000001000), 0, 0}).fault,
                    2);
    sys.tcr_el1 &= ~AT_BIT(61);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){UINT64_C(0xf5fffffffffff000), 0, 0}).fault, 2);
    sys.sctlr_el2 = 5; /* regime EL2: bit 33 */
    sys.tcr_el2 = 48 | 5 << 16 | AT_BIT(33);
    sys.ttbr0_el2 = RAM;
    sys.mair_el2 = 0xff;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){UINT64_C(0x0a00000000001000), 1, 0}).fault, 0);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){UINT64_C(0x0a80000000001000), 1, 0}).fault, 2);
}

/* rights[AP]: privileged R 1, W 2; EL0 R 4, W 8 (specs 3.4). */
static void test_rights(void)
{
    static const uint32_t rights[4] = {3, 15, 1, 5};
    options_t o = everything(48);
    at_world w;
    hvcore_arm64_sys sys;

    for (uint64_t n = 0; n < 4 * 4; n++) {
        uint32_t ap = n & 3, access = (uint32_t)(n >> 2), want;
        result_t r;

        one_page(&w, &sys, 0x703 | ap << 6);
        r = walk(&o, &sys, &w, (request_t){0x3456, 0, access});
        want = access & 1 ? rights[ap] >> 2 : rights[ap] & 3;
        CU_ASSERT_EQUAL(r.fault == 0, (want & (access & 2 ? 2 : 1)) != 0);
        if (r.fault == 0) {
            CU_ASSERT(r.prot == want && r.pa == 0x3456 && r.size == 4096 && r.level == 3);
            CU_ASSERT(r.attr == 0xff && r.sh == 3 && r.ipa == r.pa);
        } else {
            CU_ASSERT(r.fault == 4 && r.fsc == 15);
            CU_ASSERT_EQUAL((r.notes & HVCORE_ARM64_NOTE_WRITE) != 0, (access & 2) != 0);
        }
    }
}

/* What 01 of the shareability counts as, at the leaf and in the register (DS). */
static void test_reserved_sh(void)
{
    for (uint32_t sh = 0; sh < 4; sh++) {
        options_t o = everything(52);
        at_world w;
        hvcore_arm64_sys sys;

        o.reserved_sh = sh;
        one_page(&w, &sys, 0x503);
        CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).sh, sh);
        sys.tcr_el1 |= AT_BIT(59) | 1 << 12;
        one_page(&w, &(hvcore_arm64_sys){.size = 0}, 0x403);
        CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).sh, sh);
    }
}

/* A reserved byte of MAIR is reported as it stands. */
static void test_reserved_types(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        options_t o = everything(48);
        at_world w;
        hvcore_arm64_sys sys;
        result_t r;

        one_page(&w, &sys, 0x703 | 5 << 2);
        sys.mair_el1 = (uint64_t)byte << 40;
        r = walk(&o, &sys, &w, (request_t){0, 0, 0});
        CU_ASSERT(r.attr == byte && r.sh == (byte < 16 || byte == 0x44 || byte == 0x40 ? 2 : 3));
        o.features &= ~(uint32_t)(HVCORE_ARM64_FEAT_XS | HVCORE_ARM64_FEAT_MTE2);
        CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).attr, byte);
        sys.sctlr_el1 = 1; /* caches off */
        CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).attr, byte < 16 ? byte : 0x44);
    }
}

static void test_implementation_faults(void)
{
    options_t o = everything(48);
    at_world w;
    hvcore_arm64_sys sys;

    one_page(&w, &sys, 0x703 | AT_BIT(52)); /* 16 pages are just what there is */
    o.choices = HVCORE_ARM64_CHOICE_CONTIGUOUS_FAULTS;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0x5678, 0, 0}).pa, 0x5678);
    sys = plain_sys(34 | UINT64_C(5) << 32); /* a 30-bit range of one block with a run of 16 */
    at_put(&w, RAM, 0x701 | AT_BIT(52));
    sys.tcr_el1 = 33 | UINT64_C(5) << 32;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).fault, HVCORE_ARM64_FAULT_TRANSLATION);
    o.choices = HVCORE_ARM64_CHOICE_NT_FAULTS;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0x123, 0, 0}).pa, 0x123);
    at_put(&w, RAM, 0x701 | AT_BIT(16));
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).fault, HVCORE_ARM64_FAULT_TRANSLATION);
    o.choices = 0;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0x123, 0, 0}).pa, 0x123);
}

/* The granule that a reserved or missing encoding stands for. */
static void test_granules(void)
{
    static const uint8_t pages[3] = {12, 14, 16};

    for (uint32_t have = 1; have < 8; have++) {
        for (uint32_t tg = 0; tg < 4; tg++) {
            static const uint8_t means[4] = {0, 2, 1, 3}; /* TG0 */
            options_t o = {HVCORE_ARM64_FEAT_EL2 | have * HVCORE_ARM64_FEAT_TGRAN4, 0, 48, 0};
            hvcore_arm64_sys sys = plain_sys(25 | tg << 14 | UINT64_C(5) << 32);
            uint32_t low = have & 1 ? 0 : have & 2 ? 1 : 2, high = have & 4 ? 2 : have & 2 ? 1 : 0;
            bool has = means[tg] < 3 && have >> means[tg] & 1;
            at_world w = {.words = 0};

            CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).level,
                            start_level(39, pages[has ? means[tg] : low]));
            o.choices = HVCORE_ARM64_CHOICE_LARGE_GRANULE;
            CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).level,
                            start_level(39, pages[has ? means[tg] : high]));
        }
    }
}

/* ---- features, one by one ---- */

/* A table at level 2, then a page: for address 0. */
static void two_levels(at_world *w, hvcore_arm64_sys *sys, uint64_t table, uint64_t page)
{
    *w = (at_world){.words = 0};
    *sys = plain_sys(39 | UINT64_C(5) << 32);
    at_put(w, RAM, (RAM + 0x1000) | 3 | table);
    at_put(w, RAM + 0x1000, UINT64_C(0x7000) | 0x703 | page);
}

/* What a feature changes: the fault with it, and without it. */
static const struct feature_case {
    uint32_t feature, access;
    uint64_t tcr, tcr2, sctlr, hcr;
    uint64_t table, page; /* bits of the descriptors, changed */
    uint32_t with, without;
} feature_cases[] = {
    {HVCORE_ARM64_FEAT_AF, 0, AT_BIT(39), 0, 0, 0, 0, AF, 0, 3},
    {HVCORE_ARM64_FEAT_DIRTY, 2, AT_BIT(39) | AT_BIT(40), 0, 0, 0, 0, AT_BIT(51) | 1 << 7, 0, 4},
    {HVCORE_ARM64_FEAT_HPDS, 2, AT_BIT(41), 0, 0, 0, AT_BIT(62), 0, 0, 4},
    {HVCORE_ARM64_FEAT_E0PD, 1, AT_BIT(55), 0, 0, 0, 0, 1 << 6, 2, 0},
    {HVCORE_ARM64_FEAT_PAN3, 4, 0, 0, AT_BIT(57), 0, 0, 0, 4, 0},
    {HVCORE_ARM64_FEAT_NV1, 1, 0, 0, 0, UINT64_C(3) << 42, 0, 1 << 6, 4, 0},
    {HVCORE_ARM64_FEAT_S1PIE, 0, 0, 2, 0, 0, 0, 0, 4, 0},
    {HVCORE_ARM64_FEAT_S1POE, 0, 0, 8, 0, 0, 0, 0, 4, 0},
    {HVCORE_ARM64_FEAT_S1POE, 1, 0, 4, 0, 0, 0, 1 << 6, 4, 0},
    {HVCORE_ARM64_FEAT_S1POE, 2, 0, 8, 0, 0, AT_BIT(62), 0, 0, 4}, /* and no APTable */
    {HVCORE_ARM64_FEAT_TCR2, 0, 0, 2, 0, 0, 0, 0, 4, 0},
    {HVCORE_ARM64_FEAT_TTST, 0, 1, 0, 0, 0, 0, 0, 0, 2}, /* T0SZ = 40 */
};

static void test_features(void)
{
    for (size_t i = 0; i < AT_COUNT(feature_cases); i++) {
        const struct feature_case *f = &feature_cases[i];
        request_t q = {0, 0, f->access | HVCORE_ARM64_ACCESS_NO_UPDATE};
        options_t o = everything(48);
        at_world w;
        hvcore_arm64_sys sys;

        two_levels(&w, &sys, f->table, 0);
        at_put(&w, RAM + 0x1000, 0x7703 ^ f->page);
        sys.tcr_el1 += f->tcr;
        sys.tcr2_el1 = f->tcr2;
        sys.por_el1 = f->table ? UINT64_C(0x7777777777777777) : 0;
        sys.hcrx_el2 = 1 << 14;
        sys.sctlr_el1 |= f->sctlr;
        sys.hcr_el2 = f->hcr;
        CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).fault, f->with);
        o.features &= ~f->feature;
        CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).fault, f->without);
    }
}

/* Where PAN has nothing to say: NV1, and the regime EL2. */
static void test_no_pan(void)
{
    options_t o = everything(48);
    request_t q = {0, 0, HVCORE_ARM64_ACCESS_PAN};
    at_world w;
    hvcore_arm64_sys sys;

    two_levels(&w, &sys, 0, 0);
    sys.sctlr_el1 |= AT_BIT(57); /* EPAN: EL0 could execute */
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).fault, HVCORE_ARM64_FAULT_PERMISSION);
    sys.hcr_el2 = UINT64_C(3) << 42;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).fault, 0);
    sys.hcr_el2 = 0;
    q.regime = HVCORE_ARM64_REGIME_EL2;
    sys.sctlr_el2 = sys.sctlr_el1;
    sys.tcr_el2 = 39 | 5 << 16;
    sys.ttbr0_el2 = RAM;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).fault, 0);
    q.regime = HVCORE_ARM64_REGIME_EL20;
    sys.tcr_el2 = sys.tcr_el1;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).fault, HVCORE_ARM64_FAULT_PERMISSION);
}

/* A walk that fails the permission check leaves the access flag alone, unless told. */
static void test_af_and_permission(void)
{
    options_t o = everything(48);
    at_world w;
    hvcore_arm64_sys sys;
    request_t q = {0, 0, HVCORE_ARM64_ACCESS_WRITE};

    one_page(&w, &sys, 0x383);
    sys.tcr_el1 |= AT_BIT(39);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).fault, HVCORE_ARM64_FAULT_PERMISSION);
    CU_ASSERT_EQUAL(w.swaps, 0);
    o.choices = HVCORE_ARM64_CHOICE_AF_BEFORE_PERMISSION | HVCORE_ARM64_CHOICE_KEEP_AF;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).fault, HVCORE_ARM64_FAULT_PERMISSION);
    CU_ASSERT_EQUAL(w.swaps, 0);
    o.choices = HVCORE_ARM64_CHOICE_AF_BEFORE_PERMISSION;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).fault, HVCORE_ARM64_FAULT_PERMISSION);
    CU_ASSERT_EQUAL(w.swaps, 1);
}

/* ---- both stages ---- */

#define S2_TABLE UINT64_C(0x50000000)

/* Two levels behind a stage 2 that maps all by 1 GiB, its own tables and this one to itself. */
static void both_stages(at_world *w, hvcore_arm64_sys *sys, uint64_t page, uint64_t s2)
{
    two_levels(w, sys, 0, page);
    sys->hcr_el2 = 1;
    sys->vtcr_el2 = 25 | 1 << 6 | 5 << 16;
    sys->vttbr_el2 = S2_TABLE;
    for (uint64_t i = 0; i < 512; i++) {
        at_put(w, S2_TABLE + 8 * i, i << 30 | (i == 1 ? 0x7fd : s2));
    }
}

static void test_both(void)
{
    options_t o = everything(48);
    at_world w;
    hvcore_arm64_sys sys;
    request_t q = {0x123, 0, HVCORE_ARM64_ACCESS_STAGE2};
    result_t r;

    both_stages(&w, &sys, 0, 0x77d);
    r = walk(&o, &sys, &w, q);
    CU_ASSERT(r.fault == 0 && r.size == 4096 && r.ipa == 0x7123 && r.pa == 0x7123 && r.reads == 5);
    CU_ASSERT(r.prot == HVCORE_PROT_R && r.level == 3);
    q.access |= HVCORE_ARM64_ACCESS_WRITE;
    r = walk(&o, &sys, &w, q);
    CU_ASSERT(r.fault == 4 && r.stage == 2 && r.level == 1 && r.ipa == 0x7123 && r.fsc == 0xd);
    q.access |= HVCORE_ARM64_ACCESS_AT_EL1; /* no table was involved */
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).kind, HVCORE_ARM64_WALK_DONE);
    q.access = HVCORE_ARM64_ACCESS_WRITE | HVCORE_ARM64_ACCESS_AT_EL1;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).fault, 0);
    at_put(&w, RAM + 0x1000, 0);
    r = walk(&o, &sys, &w, q); /* nor stage 2 */
    CU_ASSERT(r.kind == HVCORE_ARM64_WALK_DONE && r.fault == 2 && r.stage == 1 && r.ipa == 0);
    at_put(&w, S2_TABLE + 8, 0);
    r = walk(&o, &sys, &w, q);
    CU_ASSERT(r.kind == HVCORE_ARM64_WALK_ABORT && r.fault == 2 && r.stage == 2 && r.ipa == RAM);
    CU_ASSERT(r.notes == HVCORE_ARM64_NOTE_S1PTW && r.fsc == 5);
    q.access = 0;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).kind, HVCORE_ARM64_WALK_DONE);
    sys.vttbr_el2 = UINT64_C(0x300000000);
    r = walk(&o, &sys, &w, q);
    CU_ASSERT(r.kind == HVCORE_ARM64_WALK_EXCEPTION && r.stage == 2 && r.fsc == 0x15);
    CU_ASSERT(r.ipa == RAM && r.notes == HVCORE_ARM64_NOTE_S1PTW);
}

/* An access to a table is a real one: its access flag is set whatever AT does about its own. */
static void test_table_af(void)
{
    options_t o = everything(48);
    at_world w;
    hvcore_arm64_sys sys;
    request_t q = {0, 0, HVCORE_ARM64_ACCESS_STAGE2};

    both_stages(&w, &sys, 0, 0x3fd);
    at_put(&w, S2_TABLE + 8, RAM | 0x3fd);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).fault, HVCORE_ARM64_FAULT_ACCESS_FLAG);
    sys.vtcr_el2 |= AT_BIT(21);
    o.choices = HVCORE_ARM64_CHOICE_KEEP_AF;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).fault, 0);
    CU_ASSERT(w.writes == 1 && w.wrote[0].pa == S2_TABLE + 8 && w.wrote[0].value == (RAM | 0x7fd));
    o.choices = 0;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, q).fault, 0);
    CU_ASSERT(w.writes == 2 && w.wrote[1].pa == S2_TABLE);
}

/* Specs 4.5: outer if either is, else inner if either is. 01 counts as none. */
static void test_combined_sh(void)
{
    static const uint8_t sum[4][4] = {{0, 0, 2, 3}, {0, 0, 2, 3}, {2, 2, 2, 2}, {3, 3, 2, 3}};

    for (uint64_t n = 0; n < 16; n++) {
        options_t o = everything(48);
        at_world w;
        hvcore_arm64_sys sys;
        result_t r;

        both_stages(&w, &sys, 0x300 ^ (n & 3) << 8, 0x4fd | n >> 2 << 8);
        at_put(&w, RAM + 0x1000, 0x7403 | (n & 3) << 8);
        r = walk(&o, &sys, &w, (request_t){0, 0, HVCORE_ARM64_ACCESS_STAGE2});
        CU_ASSERT(r.fault == 0 && r.attr == 0xff && r.sh == sum[n & 3][n >> 2]);
    }
}

/* ---- stage 2 alone ---- */

static void test_stage_2(void)
{
    options_t o = everything(48);
    at_world w = {.words = 0};
    hvcore_arm64_walk_mem mem = at_mem(&w);
    hvcore_arm64_sys sys = {.vtcr_el2 = 25 | 1 << 6 | 5 << 16, .vttbr_el2 = RAM};
    result_t r;

    sys.tcr2_el1 = sys.hcrx_el2 = UINT64_MAX; /* of no concern here */
    at_put(&w, RAM + 8, 0x40000000 | 0x77d);  /* 1 GiB, Write-Back, read-only, inner */
    hvcore_arm64_walk_s2(&o, &sys, &mem, 0x52345678, 0, &r);
    CU_ASSERT(r.kind == 0 && r.fault == 0 && r.pa == 0x52345678 && r.size == AT_BIT(30));
    CU_ASSERT(r.fault == 0 && r.prot == HVCORE_PROT_R && r.attr == 0xff && r.sh == 3 &&
              r.reads == 1);
    hvcore_arm64_walk_s2(&o, &sys, &mem, 0x52345678, HVCORE_ARM64_ACCESS_WRITE | 4 | 8 | 16 | 32,
                         &r);
    CU_ASSERT(r.fault == 4 && r.stage == 2 && r.level == 1 && r.ipa == 0x52345678 && r.prot == 0);
    CU_ASSERT(r.notes == HVCORE_ARM64_NOTE_WRITE && r.kind == HVCORE_ARM64_WALK_DONE);
    o.features &= ~(uint32_t)HVCORE_ARM64_FEAT_EL2;
    hvcore_arm64_walk_s2(&o, &sys, &mem, 0x52345678, 0, &r);
    CU_ASSERT(r.kind == HVCORE_ARM64_WALK_REFUSED && r.fault == HVCORE_ARM64_REFUSED_REGIME);
}

/* ---- what the accessor answers ---- */

static void test_accessor(void)
{
    options_t o = everything(48);
    at_world w;
    hvcore_arm64_sys sys;
    hvcore_arm64_walk_mem mem;
    request_t q = {0x2000, 0, 0};
    result_t r;

    one_page(&w, &sys, 0x303); /* AF is clear, HA is set */
    sys.tcr_el1 |= AT_BIT(39);
    at_take_out(&w, RAM);
    r = walk(&o, &sys, &w, q);
    CU_ASSERT(r.kind == HVCORE_ARM64_WALK_NEED_PAGE && r.gpa == RAM + 16 && r.notes == 0);
    CU_ASSERT(r.fault == 0 && r.reads == 0 && r.pa == 0);
    at_bring_in(&w, RAM);
    w.lose = 1;
    r = walk(&o, &sys, &w, q);
    CU_ASSERT(r.kind == HVCORE_ARM64_WALK_RESTART && r.pa == 0 && r.prot == 0 && w.swaps == 1);
    mem = (hvcore_arm64_walk_mem){&w, at_read64, NULL};
    hvcore_arm64_walk(&o, &sys, &mem, &q, &r);
    CU_ASSERT(r.kind == HVCORE_ARM64_WALK_EXCEPTION && r.fsc == 0x17 && r.stage == 1);
    CU_ASSERT(r.fault == HVCORE_ARM64_FAULT_EXTERNAL && r.level == 3);
    r = walk(&o, &sys, &w, q);
    CU_ASSERT(r.kind == 0 && r.fault == 0 && r.notes == HVCORE_ARM64_NOTE_UPDATE && r.pa == 0x2000);
    CU_ASSERT(at_get(&w, RAM + 16) == 0x2703 && r.read[0].raw == 0x2703 && w.writes == 1);
    r = walk(&o, &sys, &w, q);
    CU_ASSERT(r.notes == 0 && w.writes == 1);
}

static int vanishing(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    (void)user, (void)pa, (void)expected, (void)desired;
    return HVCORE_ARM64_MEM_NOT_RESIDENT;
}

static int odd_read(void *user, uint64_t pa, uint64_t *value)
{
    (void)pa;
    *value = 0x703;
    return *(int *)user;
}

static void test_odd_accessors(void)
{
    options_t o = everything(48);
    at_world w;
    hvcore_arm64_sys sys;
    hvcore_arm64_walk_mem mem = {&w, at_read64, vanishing};
    request_t q = {0, 0, 0};
    result_t r;

    one_page(&w, &sys, 0x303);
    sys.tcr_el1 |= AT_BIT(39);
    hvcore_arm64_walk(&o, &sys, &mem, &q, &r);
    CU_ASSERT(r.kind == HVCORE_ARM64_WALK_NEED_PAGE && r.gpa == RAM);
    CU_ASSERT(r.notes & HVCORE_ARM64_NOTE_WRITE);
    for (int status = -3; status < 9; status++) {
        mem = (hvcore_arm64_walk_mem){&status, odd_read, NULL};
        hvcore_arm64_walk(&o, &sys, &mem, &q, &r);
        CU_ASSERT_EQUAL(r.kind, status == 0   ? HVCORE_ARM64_WALK_DONE
                                : status == 1 ? HVCORE_ARM64_WALK_NEED_PAGE
                                              : HVCORE_ARM64_WALK_EXCEPTION);
    }
}

static void test_revalidate(void)
{
    options_t o = everything(48);
    at_world w;
    hvcore_arm64_sys sys;
    hvcore_arm64_walk_mem mem = at_mem(&w);
    uint64_t gpa = 1;
    result_t r;

    one_page(&w, &sys, 0x703);
    r = walk(&o, &sys, &w, (request_t){0, 0, 0});
    CU_ASSERT(hvcore_arm64_walk_revalidate(&r, &mem, &gpa) == HVCORE_ARM64_MEM_OK && gpa == 1);
    at_put(&w, RAM, 0x707);
    CU_ASSERT_EQUAL(hvcore_arm64_walk_revalidate(&r, &mem, &gpa), HVCORE_ARM64_MEM_CHANGED);
    at_take_out(&w, RAM);
    CU_ASSERT_EQUAL(hvcore_arm64_walk_revalidate(&r, &mem, &gpa), HVCORE_ARM64_MEM_NOT_RESIDENT);
    CU_ASSERT_EQUAL(gpa, RAM);
    at_bring_in(&w, RAM);
    r.read[0].gpa = 0; /* memory that has gone */
    CU_ASSERT_EQUAL(hvcore_arm64_walk_revalidate(&r, &mem, &gpa), HVCORE_ARM64_MEM_CHANGED);
    r.reads = UINT32_MAX; /* whoever made this result, it is not read beyond its end */
    memset(r.read, 0, sizeof r.read);
    at_put(&w, 0, 0);
    CU_ASSERT_EQUAL(hvcore_arm64_walk_revalidate(&r, &mem, &gpa), HVCORE_ARM64_MEM_OK);
}

/* ---- refusals, needs ---- */

static void test_refusals(void)
{
    at_world w;
    hvcore_arm64_sys sys;
    options_t good = everything(48), o;
    result_t r;

    one_page(&w, &sys, 0x703);
    for (uint32_t pa = 0; pa < 256; pa++) {
        o = good;
        o.pa_bits = pa == 255 ? UINT32_MAX : pa;
        r = walk(&o, &sys, &w, (request_t){0, 0, 0});
        CU_ASSERT_EQUAL(r.kind == HVCORE_ARM64_WALK_REFUSED, pa < 32 || pa > 56);
    }
    o = good;
    o.reserved_sh = 4;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).fault, HVCORE_ARM64_REFUSED_OPTIONS);
    o = good;
    o.features &= ~(uint32_t)(HVCORE_ARM64_FEAT_TGRAN4 | HVCORE_ARM64_FEAT_TGRAN16 |
                              HVCORE_ARM64_FEAT_TGRAN64);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).fault, HVCORE_ARM64_REFUSED_OPTIONS);
    o = good;
    o.features &= ~(uint32_t)(HVCORE_ARM64_FEAT_S2_TGRAN4 | HVCORE_ARM64_FEAT_S2_TGRAN16 |
                              HVCORE_ARM64_FEAT_S2_TGRAN64);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).kind, HVCORE_ARM64_WALK_DONE);
    sys.hcr_el2 = 1;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).fault, HVCORE_ARM64_REFUSED_OPTIONS);
    sys.hcr_el2 = 0;
    for (uint32_t regime = 3; regime != 0; regime <<= 1) {
        r = walk(&good, &sys, &w, (request_t){0, regime, 0});
        CU_ASSERT(r.kind == HVCORE_ARM64_WALK_REFUSED && r.fault == HVCORE_ARM64_REFUSED_REGIME);
    }
    o = good;
    o.features &= ~(uint32_t)HVCORE_ARM64_FEAT_EL2;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 1, 0}).fault, HVCORE_ARM64_REFUSED_REGIME);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 2, 0}).fault, HVCORE_ARM64_REFUSED_REGIME);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).kind, HVCORE_ARM64_WALK_DONE);
    CU_ASSERT_EQUAL(w.swaps, 0);
}

static void test_d128(void)
{
    options_t hidden = everything(48), o = hidden;
    at_world w;
    hvcore_arm64_sys sys;

    o.features |= HVCORE_ARM64_FEAT_D128;
    one_page(&w, &sys, 0x703);
    sys.tcr2_el1 = 1 << 5;
    sys.hcrx_el2 = 1 << 14;
    CU_ASSERT_EQUAL(walk(&hidden, &sys, &w, (request_t){0, 0, 0}).fault, 0);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).fault, HVCORE_ARM64_REFUSED_D128);
    sys.hcrx_el2 = 0;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).fault, 0);
    sys.vtcr_el2 = AT_BIT(38);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).fault, 0);
    sys.hcr_el2 = 1;
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 0, 0}).fault, HVCORE_ARM64_REFUSED_D128);
    sys.tcr2_el2 = 1 << 5; /* never for EL2, but for EL2&0 */
    CU_ASSERT_NOT_EQUAL(walk(&o, &sys, &w, (request_t){0, 1, 0}).kind, HVCORE_ARM64_WALK_REFUSED);
    CU_ASSERT_EQUAL(walk(&o, &sys, &w, (request_t){0, 2, 0}).kind, HVCORE_ARM64_WALK_REFUSED);
}

/* A walk with poison in all registers that needs() did not name ends as one with the real ones. */
static void check_needs(const at_vector *v)
{
    hvcore_arm64_sys sys;
    const uint64_t *all = &v->start.sys.sctlr_el1;
    request_t q = at_vector_request(v);
    at_world w = v->world, again = v->world;
    result_t a = walk(&v->start.state.at.walk, &v->start.sys, &w, q), b;
    uint64_t set;
    unsigned rounds = 0;

    memset(&sys, 0x5a, sizeof sys);
    sys.have = 0;
    while ((set = hvcore_arm64_walk_needs(&v->start.state.at.walk, &sys, &q)) && rounds++ < 4) {
        CU_ASSERT(!(set & sys.have) && set < AT_BIT(HVCORE_ARM64_SYS_COUNT));
        for (uint32_t i = 0; i < HVCORE_ARM64_SYS_COUNT; i++) {
            if (set >> i & 1) {
                (&sys.sctlr_el1)[i] = all[i];
            }
        }
        sys.have |= set;
    }
    CU_ASSERT(rounds <= 2);
    b = walk(&v->start.state.at.walk, &sys, &again, q);
    CU_ASSERT(same(&a, &b));
}

static void test_needs(void)
{
    options_t o = everything(48);
    hvcore_arm64_sys sys = {.have = 0};
    request_t nowhere = {0, 77, 0};

    at_vectors_each(check_needs);
    o.features &= ~(uint32_t)HVCORE_ARM64_FEAT_EL2;
    CU_ASSERT_EQUAL(hvcore_arm64_walk_needs(&o, &sys, &nowhere), 0);
    sys.have = UINT64_MAX;
    CU_ASSERT_EQUAL(hvcore_arm64_walk_needs(&o, &sys, &(request_t){0, 0, 0}), 0);
}

/* ---- harm ---- */

/*
 * 5 x 5 levels: page i of RAM is the table of stage 2's level i - 1, page 8 + i that of stage 1's,
 * and stage 2 is the identity. All entries of a table are the same but the last ones of stage 2.
 */
static int deep_read(void *user, uint64_t pa, uint64_t *value)
{
    uint64_t page = (pa - RAM) >> 12, next = RAM + (page + 1) * 4096;

    ++*(unsigned *)user;
    if (pa < RAM || page >= 16) {
        return HVCORE_ARM64_MEM_NO_MEMORY;
    }
    *value = next | 3;
    if (page == 4) { /* the index is that of the page that is meant */
        *value = RAM | (pa & 0xff8) << 9 | 0x4fd | 3;
    }
    if (page == 12) {
        *value = RAM | 0x443;
    }
    return HVCORE_ARM64_MEM_OK;
}

static void test_bound(void)
{
    options_t o = everything(52);
    unsigned reads = 0;
    hvcore_arm64_walk_mem mem = {&reads, deep_read, NULL};
    hvcore_arm64_sys sys = plain_sys(12 | UINT64_C(6) << 32 | AT_BIT(59) | 3 << 12);
    result_t r;

    sys.ttbr0_el1 = RAM + 8 * 4096;
    sys.hcr_el2 = 1;
    sys.vtcr_el2 = 12 | 6 << 16 | AT_BIT(32) | AT_BIT(33) | 3 << 12;
    sys.vttbr_el2 = RAM;
    hvcore_arm64_walk(&o, &sys, &mem,
                      &(request_t){UINT64_C(0x000123456789abcd), 0, HVCORE_ARM64_ACCESS_STAGE2},
                      &r);
    CU_ASSERT(r.kind == 0 && r.fault == 0 && r.pa == RAM + 0xbcd && r.level == 3);
    CU_ASSERT(r.reads == MAX_READS && reads == MAX_READS);
}

/* Memory is a function of the address; many pointers lead back to where they come from. */
struct chaos {
    uint64_t seed, value;
    unsigned reads, swaps;
    bool uniform, coming, deep;
};

static int chaos_read(void *user, uint64_t pa, uint64_t *value)
{
    struct chaos *m = user;
    uint64_t h = m->seed ^ pa * 3;

    m->reads++;
    *value = m->value;
    if (m->deep) { /* every entry is a table that is itself, and a good leaf; or one bit is wrong */
        *value = (pa & UINT64_C(0xfffffffff000)) | 0x7c3;
        *value ^= (hvc_random(&h) & 31) == 0 ? AT_BIT(h >> 7 & 63) : 0;
    } else if (!m->uniform) {
        *value = hvc_random(&h);
        *value =
            *value & 1 ? *value | 3 : (pa & ~UINT64_C(0xfff)) | (*value & 0xfff0000000000fff) | 3;
    }
    return m->coming && m->reads % 7 == 0 ? (int)(h >> 5 & 3) : HVCORE_ARM64_MEM_OK;
}

static int chaos_cas(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    struct chaos *m = user;

    (void)pa;
    m->swaps++;
    CU_ASSERT_NOT_EQUAL(expected, desired);
    return (int)(m->seed >> (m->swaps & 15) & 3);
}

static uint64_t extreme(uint64_t *seed)
{
    static const uint64_t values[] = {0, UINT64_MAX, 1, UINT64_MAX << 1};
    uint64_t pick = hvc_random(seed);

    return pick & 4 ? hvc_random(seed) : values[pick & 3];
}

static void check_named(const result_t *r)
{
    bool found = r->kind == HVCORE_ARM64_WALK_DONE && r->fault == 0;

    CU_ASSERT_FATAL(r->kind <= HVCORE_ARM64_WALK_REFUSED && r->reads <= MAX_READS);
    CU_ASSERT_FATAL(r->level >= -1 && r->level <= 3 && r->stage <= 2 && r->prot <= 3 && r->sh <= 3);
    CU_ASSERT_FATAL(r->fault <= HVCORE_ARM64_FAULT_EXTERNAL && r->fsc < 64 && r->attr < 256);
    CU_ASSERT_FATAL(found == (r->size != 0) && (found || r->pa == 0));
    CU_ASSERT_FATAL(!(r->notes & HVCORE_ARM64_NOTE_S1PTW) || r->stage == 2 || r->kind != 0);
}

static void test_hostile(void)
{
    uint64_t seed = 7, kinds = 0, faults = 0;
    unsigned deepest = 0;

    for (unsigned n = 0; n < 300000; n++) {
        options_t o = {(uint32_t)hvc_random(&seed), (uint32_t)hvc_random(&seed) & 0x3ff,
                       32 + (uint32_t)(hvc_random(&seed) % 25), (uint32_t)hvc_random(&seed) & 3};
        struct chaos m = {hvc_random(&seed), extreme(&seed), 0, 0, n & 1, n & 2, n & 4};
        hvcore_arm64_walk_mem mem = {&m, chaos_read, chaos_cas};
        request_t q = {extreme(&seed), (uint32_t)hvc_random(&seed) % 3,
                       (uint32_t)hvc_random(&seed)};
        hvcore_arm64_sys sys;
        result_t r;

        for (uint32_t i = 0; i < HVCORE_ARM64_SYS_COUNT; i++) {
            (&sys.sctlr_el1)[i] = extreme(&seed);
        }
        if (m.deep) { /* which is rare among random registers */
            o.features |=
                HVCORE_ARM64_FEAT_EL2 | HVCORE_ARM64_FEAT_TGRAN4 | HVCORE_ARM64_FEAT_S2_TGRAN4;
            o.pa_bits = 48;
            sys.hcr_el2 &= ~(AT_BIT(12) | AT_BIT(27));
            sys.sctlr_el1 = (sys.sctlr_el1 | 1) & ~AT_BIT(25);
            sys.sctlr_el2 &= ~AT_BIT(25);
            sys.tcr_el1 = (sys.tcr_el1 & UINT64_C(0x7f800000000000)) | 16 | UINT64_C(5) << 32;
            sys.vtcr_el2 = (sys.vtcr_el2 & UINT64_C(0x1000200000)) | 16 | 2 << 6 | 5 << 16;
            q.va = hvc_random(&seed) >> 16;
        }
        memset(&r, 0xa5, sizeof r);
        hvcore_arm64_walk(&o, &sys, &mem, &q, &r);
        check_named(&r);
        CU_ASSERT_FATAL(m.reads <= MAX_READS);
        kinds |= AT_BIT(r.kind);
        faults |= AT_BIT(r.fault + 8 * r.stage);
        deepest = r.reads > deepest ? r.reads : deepest;
        hvcore_arm64_walk_s2(&o, &sys, &mem, q.va, q.access, &r);
        check_named(&r);
    }
    CU_ASSERT_EQUAL(kinds, 0x3f);
    CU_ASSERT_EQUAL(faults & 0x3e3e00, 0x3e3e00); /* each kind in each stage */
    CU_ASSERT(deepest >= 20);
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"the vectors", test_vectors},
        {"the vectors in the other byte order", test_big_endian},
        {"a dry walk", test_dry},
        {"TxSZ and start levels", test_txsz},
        {"the first table", test_first_table},
        {"start levels of stage 2", test_stage_2_start},
        {"canonical tags", test_mtx},
        {"rights", test_rights},
        {"reserved shareability", test_reserved_sh},
        {"memory types as they stand", test_reserved_types},
        {"faults by choice", test_implementation_faults},
        {"granules", test_granules},
        {"features, one by one", test_features},
        {"where PAN has no say", test_no_pan},
        {"access flag and permission", test_af_and_permission},
        {"both stages", test_both},
        {"access flags of tables", test_table_af},
        {"shareability of both stages", test_combined_sh},
        {"stage 2 alone", test_stage_2},
        {"accessors", test_accessor},
        {"odd accessors", test_odd_accessors},
        {"revalidation", test_revalidate},
        {"refusals", test_refusals},
        {"128-bit descriptors", test_d128},
        {"registers needed", test_needs},
        {"35 reads", test_bound},
        {"hostile registers and tables", test_hostile},
        {NULL, NULL},
    };

    return hvc_unit_main("walk_arm64", tests);
}
