/* SPDX-License-Identifier: Apache-2.0 */
/* What registers of stage 1 mean, and what a stage is (DDI0487 D8.2; specs at-walker.md 3.1). */
#ifndef HVC_PROOF_WALK_ARM64_H
#define HVC_PROOF_WALK_ARM64_H

#include "lib/walk/arm64_walk.h"
#include "tests/proofs/proof.h"

/* Bits of a page offset, by granule. */
static inline unsigned page_of(const struct hvc_arm64_stage *s)
{
    return s->granule == 0 ? 12 : s->granule == 1 ? 14 : 16;
}

/* A level resolves as many bits as a table has entries; the last one ends at the page. */
static inline unsigned lowest_bit(unsigned page, int level)
{
    return page + (page - 3) * (unsigned)(3 - level);
}

/* The first level is the last from which the whole input address can be resolved. */
static inline bool is_first(unsigned page, unsigned ia, int level)
{
    return level >= -1 && level <= 3 && ia > lowest_bit(page, level) &&
           ia <= lowest_bit(page, level) + (page - 3);
}

/* What the descent may rely on; 52-bit addresses are those of DS, or of 64 KiB pages. */
static inline bool well_formed(const struct hvc_arm64_stage *s)
{
    unsigned page = page_of(s);
    unsigned first = s->ia - s->lsb + 3; /* bits of an offset in the first table */

    return s->granule <= 2 && s->shift == page && s->stride == page - 3 && s->ia > page &&
           s->ia <= 52 && is_first(page, s->ia, s->start) && s->lsb == lowest_bit(page, s->start) &&
           s->in == bits(~UINT64_C(0), s->ia - 1, 0) && s->in_entry == (UINT64_C(1) << page) - 8 &&
           bits(s->base, first - 1, 0) == 0 && s->base >> 52 == 0 &&
           s->table == bits(~UINT64_C(0), 47 - page, 0) << page &&
           (s->high == 1 ? s->granule == 2 : s->high == (s->ds ? 2 : 0)) &&
           (s->ia <= 48 || s->ds || s->granule == 2);
}

/* --- from registers to a stage ---------------------------------------------------------------- */

/* The fields of TCR_ELx that count here (specs 3.1). */
typedef struct fields {
    unsigned txsz, tg, ps;
    bool epd, ds, tbi, mtx, e0pd;
    uint64_t ttbr;
} fields;

static inline fields fields_of(const hvcore_arm64_sys *sys, uint32_t regime, bool upper)
{
    uint64_t t = regime == 0 ? sys->tcr_el1 : sys->tcr_el2;

    if (regime == 1)
        return (fields){bits(t, 5, 0), bits(t, 15, 14), bits(t, 18, 16), false,         bit(t, 32),
                        bit(t, 20),    bit(t, 33),      false,           sys->ttbr0_el2};
    if (upper)
        return (fields){bits(t, 21, 16), bits(t, 31, 30), bits(t, 34, 32),
                        bit(t, 23),      bit(t, 59),      bit(t, 38),
                        bit(t, 61),      bit(t, 56),      regime ? sys->ttbr1_el2 : sys->ttbr1_el1};
    return (fields){bits(t, 5, 0), bits(t, 15, 14), bits(t, 34, 32),
                    bit(t, 7),     bit(t, 59),      bit(t, 37),
                    bit(t, 60),    bit(t, 55),      regime ? sys->ttbr0_el2 : sys->ttbr0_el1};
}

/* The granule that TG asks for, if there is one; else the smallest or the largest that there is. */
static inline unsigned granule_of(const hvcore_arm64_walk_options *o, unsigned tg, bool one)
{
    static const unsigned of[2][4] = {{0, 2, 1, 3}, {3, 1, 0, 2}}; /* TG0, TG1 */
    unsigned g = of[one][tg];
    bool small = bit(o->features, 1), middle = bit(o->features, 2), large = bit(o->features, 3);

    if (g == 0 ? small : g == 1 ? middle : g == 2 && large)
        return g;
    if (o->choices & HVCORE_ARM64_CHOICE_LARGE_GRANULE)
        return large ? 2 : middle ? 1 : 0;
    return small ? 0 : middle ? 1 : 2;
}

/* Bits of an output address. */
static inline unsigned output_of(const hvcore_arm64_walk_options *o, unsigned granule, unsigned ps)
{
    static const unsigned of[8] = {32, 36, 40, 42, 44, 48, 52, 56};
    bool lpa = granule == 2 || bits(o->features, 10, 7);
    unsigned most = o->pa_bits >= 52 && lpa ? 52 : o->pa_bits < 48 ? o->pa_bits : 48;

    return of[ps] < most ? of[ps] : most;
}

/* 0, 1 Address size or 2 Translation, before any fetch. */
static inline unsigned fault_of(const hvcore_arm64_walk_options *o, const fields *f,
                                unsigned granule, unsigned ia, unsigned lsb)
{
    bool ds = f->ds && granule < 2 && bit(o->features, 7 + granule);
    unsigned least = ds || (granule == 2 && bit(o->features, 11)) ? 12 : 16;
    unsigned most = !bit(o->features, 12) ? 39 : granule == 2 ? 47 : 48;
    bool illegal = f->txsz < least || f->txsz > most;
    uint64_t base = bits(f->ttbr, 47, 1) << 1;

    if (f->epd || (illegal && !(o->choices & HVCORE_ARM64_CHOICE_CLAMP_TXSZ)))
        return 2;
    if (ia != 64 - (f->txsz < least ? least : f->txsz > most ? most : f->txsz))
        return 3; /* never */
    if (ds || (granule == 2 && o->pa_bits >= 52 && f->ps == 6))
        base = bits(f->ttbr, 47, 6) << 6 | bits(f->ttbr, 5, 2) << 48;
    return base >> (ia - lsb + 3) << (ia - lsb + 3) >> output_of(o, granule, f->ps) ? 1 : 0;
}

/* Levels that have blocks, bit level + 1 (specs 3.2). */
static inline unsigned blocks_of(unsigned granule, unsigned pa_bits, bool ds)
{
    if (granule == 0)
        return 1 << 2 | 1 << 3 | (ds ? 1 << 1 : 0);
    return 1 << 3 | (granule == 1 ? ds : pa_bits >= 52) << 2;
}

/* Options and a regime that are not refused. */
static inline bool sound(const hvcore_arm64_walk_options *o, uint32_t regime)
{
    return bits(o->features, 3, 1) && o->pa_bits >= 32 && o->pa_bits <= 56 && regime <= 2;
}

#endif
