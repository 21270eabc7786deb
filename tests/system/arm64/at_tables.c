/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables in RAM, along the way of one address. Under stage 2 a stage 1 table has two addresses: an
 * IPA that shares its low bits with the PA, so that stage 2 may use blocks on the way to it.
 */
#include "tests/system/arm64/at.h"

#define AP_SHIFT 6
#define TYPE_TABLE UINT64_C(3)
#define TYPE_BLOCK UINT64_C(1)
#define LODGINGS 8u
#define NOWHERE UINT64_C(0x60000000) /* behind RAM */

/* Where stage 1 tables lie: addresses as stage 1 and as memory has them. */
static struct lodging {
    uint64_t ipa, pa, size;
} lodging[LODGINGS];
static uint32_t lodgings;

/* ---- words ---- */

static uint64_t order(uint64_t value, bool ee)
{
    return ee ? __builtin_bswap64(value) : value;
}

word *at_find(state *s, uint64_t pa)
{
    for (uint32_t i = 0; i < s->used; i++) {
        if (s->words[i].pa == pa) {
            return &s->words[i];
        }
    }
    return NULL;
}

void at_put(state *s, uint64_t pa, uint64_t value, uint32_t number)
{
    word *w = at_find(s, pa);

    if (!w && s->used == WORDS) {
        return;
    }
    w = w ? w : &s->words[s->used++];
    *w = (word){pa, value, number};
    *(volatile uint64_t *)pa = value;
}

void at_restore(const state *s)
{
    for (uint32_t i = 0; i < s->used; i++) {
        *(volatile uint64_t *)s->words[i].pa = s->words[i].value;
    }
}

void at_wipe(const state *s)
{
    for (uint32_t i = 0; i < s->used; i++) {
        *(volatile uint64_t *)s->words[i].pa = 0;
    }
}

static bool in_tables(uint64_t pa)
{
    return pa >= TABLES && pa < TABLES_END;
}

/* ---- addresses in descriptors ---- */

static uint64_t put_address(const stage *t, uint64_t a)
{
    uint64_t d = a & MASK(47, 12);

    if (t->high_64k) {
        return (d & ~MASK(15, 12)) | (a >> 48 & 15) << 12;
    }
    return t->ds ? d | (a & MASK(49, 48)) | (a >> 50 & 3) << 8 : d;
}

static uint64_t get_address(const stage *t, uint64_t d, uint32_t lsb)
{
    uint64_t a = d & MASK(47, 0) & ~MASK(lsb - 1, 0);

    if (t->high_64k) {
        return a | (d >> 12 & 15) << 48;
    }
    return t->ds ? a | (d & MASK(49, 48)) | (d >> 8 & 3) << 50 : a;
}

static uint32_t lsb_of(const stage *t, int32_t level)
{
    return t->shift + (uint32_t)(3 - level) * t->stride;
}

static bool may_block(const stage *t, int32_t level)
{
    int32_t first = t->shift == 12 ? 1 : 2;

    return level < 3 && level >= (t->ds || t->high_64k ? first - 1 : first);
}

/* ---- places ---- */

/* Aligned to its size, of two to the `size` bytes. */
static uint64_t any_pa(uint32_t size)
{
    return TABLES + (below(TABLES_END - TABLES) >> size << size);
}

/* PS = 6 and granules of 64K, or DS: the register has the wide form. */
static bool is_wide(const stage *t)
{
    return t->ds || (t->high_64k && t->ps == 6);
}

/* In the address space that the stage's tables lie in. */
static uint64_t any_place(state *s, const stage *t, uint32_t size)
{
    uint64_t pa = any_pa(size), ipa = pa;
    uint32_t top = s->s2.ia < t->out ? s->s2.ia : t->out;

    if (!is_wide(t) || size == 6) { /* smaller ones: QEMU takes bits 5:3 for both parts of a base */
        top = top > 48 ? 48 : top;
    }
    if (t->number == 2 || !s->two) {
        return pa;
    }
    if (top > s->same) {
        ipa = (any() & MASK(top - 1, s->same)) | (pa & MASK(s->same - 1, 0));
    } else {
        ipa = pa & MASK(top - 1, 0);
    }
    if (lodgings < LODGINGS) {
        lodging[lodgings++] = (struct lodging){ipa, pa, BIT(size)};
    }
    return ipa;
}

/* ---- descriptors ---- */

/* Without reserved memory types. */
static uint64_t any_attributes(const stage *t, int32_t level)
{
    static const uint8_t usual[] = {15, 15, 15, 15, 5, 6, 7, 9, 10, 11, 13, 14, 0, 1, 2, 3};
    static const uint8_t fwb[] = {6, 6, 6, 6, 7, 7, 5, 5, 0, 1, 2, 3};
    static const uint8_t s2ap[] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 2, 0};
    uint64_t d = below(512) << 55 | below(4) << 53 | bits_any(30, DESC_DBM) | below(2) << 11;

    d |= chance(t->ha ? 50 : 96) ? DESC_AF : 0;
    d |= level < 3 && chance(10) ? DESC_NT : 0;
    d |= t->ds ? 0 : below(4) << 8;
    if (t->number == 1) {
        d |= (chance(30) ? 1 : below(4)) << AP_SHIFT; /* one in three for all */
        return d | below(8) << 2 | below(2) << 5;
    }
    d |= (uint64_t)s2ap[below(COUNT(s2ap))] << AP_SHIFT;
    return d | (uint64_t)(t->fwb ? fwb[below(COUNT(fwb))] : usual[below(COUNT(usual))]) << 2;
}

/* How many bits a contiguous run adds. */
static uint32_t run_bits(const stage *t, int32_t level)
{
    if (t->shift == 12) {
        return level >= 1 ? 4 : 0;
    }
    return level == 3 ? t->shift == 14 ? 7 : 5 : level == 2 ? 5 : 0;
}

/* A block or page to `to`, or (0) to anywhere; now and then in a contiguous run. */
static uint64_t leaf(const stage *t, int32_t level, uint64_t from, uint64_t to)
{
    uint32_t lsb = lsb_of(t, level), run = run_bits(t, level);
    uint64_t type = level == 3 ? TYPE_TABLE : TYPE_BLOCK, inside = MASK(lsb + run - 1, 0);
    uint64_t d = any_attributes(t, level) | type;

    if (!to) {
        to = any() & MASK(chance(50) ? t->out - 1 : 31, 0);
        if (chance(10)) {
            to = (to & ~inside) | (from & inside);
        }
    }
    if (run && ((to ^ from) & inside) == 0 && chance(50)) {
        d |= DESC_CONTIGUOUS;
    }
    return d | put_address(t, to & ~MASK(lsb - 1, 0));
}

/* A page of stage 2: Normal, Write-Back, for reading, writing and executing. */
static uint64_t plain_page(const stage *t, uint64_t to)
{
    uint64_t d = put_address(t, to & ~MASK(t->shift - 1, 0)) | TYPE_TABLE | DESC_AF;

    return d | 3 << AP_SHIFT | (t->ds ? 0 : 3 << 8) | (uint64_t)(t->fwb ? 6 : 15) << 2;
}

/* Something is wrong with it. The bits of an address that change make it lead nowhere; those below
 * `lsb` are RES0. */
static uint64_t spoilt(const stage *t, uint64_t d, uint32_t lsb)
{
    uint32_t at = 32 + (uint32_t)below(20);

    switch (below(8)) {
    case 0:
        return d & ~UINT64_C(1);
    case 1:
        return d ^ UINT64_C(2);
    case 2:
        return d & ~DESC_AF;
    case 3:
        return at < lsb ? d : d ^ put_address(t, BIT(at));
    case 4:
        return t->out < 52 && t->out >= lsb ? d ^ put_address(t, BIT(t->out)) : d;
    case 5:
        return d ^ BIT(50 + below(14));
    case 6:
        return (d & ~put_address(t, MASK(51, 16))) | put_address(t, NOWHERE + (below(256) << 21));
    default:
        return d ^ BIT(t->ds ? 10 : 6 + below(4));
    }
}

/* The stage's entry at `pa` for the address, if it has none. */
static void fill(state *s, const stage *t, uint64_t pa, int32_t level, uint64_t from, uint64_t to)
{
    uint64_t inside = MASK(lsb_of(t, level) - 1, 0), d;
    bool fits = !to || ((to ^ from) & inside) == 0;

    if (*(volatile uint64_t *)pa) {
        return;
    }
    if (level == 3 && s->plain) {
        d = plain_page(t, to);
    } else if (level == 3 || (may_block(t, level) && fits && !s->plain && chance(30))) {
        d = leaf(t, level, from, to);
    } else {
        d = put_address(t, any_place(s, t, t->shift)) | TYPE_TABLE;
        d |= chance(20) ? below(32) << 59 | below(8) << 52 : 0;
    }
    if (!s->plain && chance(s->spoil)) {
        d = spoilt(t, d, d & 2 ? t->shift : lsb_of(t, level));
    }
    at_put(s, pa, order(d, t->ee), t->number);
}

/* ---- ways ---- */

static bool place_entry(state *s, const stage *t, uint64_t at, uint64_t *pa);

/* What `from` is translated to; false: nothing, or tables are where none can be. */
static bool walk(state *s, const stage *t, uint64_t from, uint64_t to, uint64_t *out)
{
    uint64_t base = t->base, pa, d;
    uint32_t top = t->ia - 1;

    for (int32_t level = t->start; level <= 3; level++) {
        uint32_t lsb = lsb_of(t, level);

        if (!place_entry(s, t, base | (from & MASK(top, lsb)) >> lsb << 3, &pa)) {
            return false;
        }
        fill(s, t, pa, level, from, to);
        d = order(*(volatile uint64_t *)pa, t->ee);
        if (!(d & 1)) {
            return false;
        }
        if (level == 3 || !(d & 2)) {
            *out = get_address(t, d, lsb) | (from & MASK(lsb - 1, 0));
            return level == 3 ? d & 2 : may_block(t, level);
        }
        base = get_address(t, d, t->shift);
        top = lsb - 1;
    }
    return false;
}

/* A stage 1 table is where it was put, unless a spoilt descriptor led here. */
bool at_map_stage_2(state *s, uint64_t ipa, uint64_t pa)
{
    uint64_t out;

    return s->s2.start != 4 && !(ipa >> s->s2.ia) && walk(s, &s->s2, ipa, pa, &out);
}

static bool place_entry(state *s, const stage *t, uint64_t at, uint64_t *pa)
{
    *pa = at;
    if (t->number == 1 && s->two) {
        uint64_t to = 0;

        for (uint32_t i = 0; i < lodgings; i++) {
            if (at - lodging[i].ipa < lodging[i].size) {
                to = lodging[i].pa + (at - lodging[i].ipa);
            }
        }
        if (s->s2.start == 4 || at >> s->s2.ia || !walk(s, &s->s2, at, to, pa)) {
            return false;
        }
    }
    return in_tables(*pa);
}

/* ---- all ---- */

/* The first table, and the register that says so: with ASID or VMID, CnP, and bits 51:48 in 5:2. */
static uint64_t root(state *s, stage *t)
{
    uint32_t size = t->ia - lsb_of(t, t->start) + 3;
    bool wide = is_wide(t), small = wide && size < 6;
    uint64_t ttbr;

    size = small ? 6 : size < 3 ? 3 : size;
    t->base = any_place(s, t, size);
    ttbr = (t->base & MASK(47, 0)) | (wide ? t->base >> 48 << 2 : 0);
    ttbr |= chance(20) ? below(65536) << 48 | below(2) : 0;
    return chance(s->spoil) && !small && !s->plain ? ttbr ^ BIT(1 + below(6)) : ttbr;
}

static void set_ttbr(state *s, uint64_t ttbr)
{
    uint32_t regime = at_regime(s);
    bool upper = s->va >> 55 & 1 && regime != HVCORE_ARM64_REGIME_EL2;

    if (regime == HVCORE_ARM64_REGIME_EL10) {
        *(upper ? &s->sys.ttbr1_el1 : &s->sys.ttbr0_el1) = ttbr;
    } else {
        *(upper ? &s->sys.ttbr1_el2 : &s->sys.ttbr0_el2) = ttbr;
    }
}

/* Stage 2's first table, and what must be there. */
static void build_own(state *s)
{
    s->plain = s->own;
    s->sys.vttbr_el2 = root(s, &s->s2);
    for (uint32_t i = 0; s->own && s->own[i]; i++) {
        at_map_stage_2(s, s->own[i], s->own[i]);
    }
    s->plain = false;
}

void at_build(state *s)
{
    uint64_t ipa = s->va & MASK(55, 0), out;
    bool on =
        (at_regime(s) == HVCORE_ARM64_REGIME_EL10 ? s->sys.sctlr_el1 : s->sys.sctlr_el2) & SCTLR_M;

    lodgings = 0;
    s->same = 30 + 3 * (uint32_t)below(5);
    if (s->s2.start != 4) {
        build_own(s);
    }
    if (s->two && at_is_s12(s->op)) { /* with stage 1 off */
        at_map_stage_2(s, ipa, 0);
    }
    if (on && s->s1.start != 4 && s->s1.ia <= 52) {
        set_ttbr(s, root(s, &s->s1));
        if (walk(s, &s->s1, s->va, 0, &out) && s->two && at_is_s12(s->op)) {
            at_map_stage_2(s, out, 0);
        }
    }
}
