/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of an arm64 stage 1 walk (DDI0487 D8.2; specs at-walker.md 3.2, 3.3) in three
 * parts: what all registers, regimes and features come to before the first fetch; from there, over
 * memory that may hold anything, where each level's descriptor is looked for; and what a leaf's
 * output is made of.
 */
#include "lib/walk/arm64.c"
#include "lib/walk/arm64_descend.c"
#include "lib/walk/arm64_params.c"

#include "tests/proofs/proof.h"

/* Bits of a page offset, by granule. */
static unsigned page_of(const struct hvc_arm64_stage *s)
{
    return s->granule == 0 ? 12 : s->granule == 1 ? 14 : 16;
}

/* A level resolves as many bits as a table has entries; the last one ends at the page. */
static unsigned lowest_bit(unsigned page, int level)
{
    return page + (page - 3) * (unsigned)(3 - level);
}

/* The first level is the last from which the whole input address can be resolved. */
static bool is_first(unsigned page, unsigned ia, int level)
{
    return level >= -1 && level <= 3 && ia > lowest_bit(page, level) &&
           ia <= lowest_bit(page, level) + (page - 3);
}

/* What the descent may rely on. */
static bool well_formed(const struct hvc_arm64_stage *s)
{
    unsigned page = page_of(s), first = s->ia - s->lsb + 3; /* bits of an offset in the first
                                                               table */

    return s->granule <= 2 && s->shift == page && s->stride == page - 3 && s->ia > page &&
           s->ia <= 52 && is_first(page, s->ia, s->start) && s->lsb == lowest_bit(page, s->start) &&
           s->in == bits(~UINT64_C(0), s->ia - 1, 0) && s->in_entry == (UINT64_C(1) << page) - 8 &&
           bits(s->base, first - 1, 0) == 0 && s->base >> 56 == 0 && s->high <= 2 &&
           bits(s->table, page - 1, 0) == 0 && s->table >> 50 == 0;
}

PROOF(walk_arm64_params, 12)
{
    hvcore_arm64_walk_options o;
    hvcore_arm64_sys sys;
    struct hvc_arm64_walk w;
    unsigned txsz, page;
    uint64_t tcr, ttbr;

    ASSUME((o.features & 0xe) != 0 && o.pa_bits >= 32 && o.pa_bits <= 56); /* else it is refused */
    ASSUME(w.regime <= 2);
    w.opt = &o;
    w.sys = &sys;
    hvc_arm64_s1_params(&w);
    tcr = w.regime == 0 ? sys.tcr_el1 : sys.tcr_el2;
    txsz = w.regime != 1 && w.upper ? bits(tcr, 21, 16) : bits(tcr, 5, 0);
    ttbr = w.regime == 0              ? (w.upper ? sys.ttbr1_el1 : sys.ttbr0_el1)
           : w.regime == 2 && w.upper ? sys.ttbr1_el2
                                      : sys.ttbr0_el2;
    if (w.s1.ready != HVCORE_ARM64_FAULT_NONE)
        return;
    PROVE(well_formed(&w.s1.t));
    page = page_of(&w.s1.t);
    PROVE((o.features >> (1 + w.s1.t.granule) & 1) != 0); /* a granule that there is */
    if (!(o.choices & HVCORE_ARM64_CHOICE_CLAMP_TXSZ))
        PROVE(w.s1.t.ia == 64 - txsz);
    PROVE(((w.s1.t.base ^ ttbr) & (UINT64_C(0xffffffffffff) << (w.s1.t.ia - w.s1.t.lsb + 3)) &
           UINT64_C(0xffffffffffc0)) == 0);
    PROVE((w.s1.t.base & w.s1.t.beyond) == 0);
    PROVE(w.s1.sign == (w.upper && w.regime != 1 ? UINT64_MAX : 0));
    PROVE((w.s1.above & w.s1.t.in) == 0 && page != 0);
}

/* --- the short way ----------------------------------------------------------------------------- */

/* What arm64_hot.h makes of registers that it takes is what all registers come to. */
PROOF(walk_arm64_plain, 12)
{
    hvcore_arm64_walk_options o;
    hvcore_arm64_sys sys;
    struct hvc_arm64_walk w;
    struct hvc_arm64_plain p;
    bool upper = nondet_int();

    if (!hvc_arm64_plain_prepare(&p, &o, &sys, upper))
        return;
    PROVE(hvc_arm64_prepare(&w, &o, &sys, HVCORE_ARM64_REGIME_EL10, upper) == 0);
    PROVE(w.s1.ready == HVCORE_ARM64_FAULT_NONE && !w.two);
    PROVE(w.s1.t.granule == 0 && w.s1.t.blocks == 0xc && w.s1.t.high == 0);
    PROVE(!w.s1.t.ee && !w.s1.t.hd && !w.s1.t.ds && bit(w.s1.sctlr, 2));
    PROVE(w.s1.t.base == p.base && w.s1.t.in == p.in && w.s1.t.lsb == p.low + 3);
    PROVE((w.s1.above & ~p.above) == 0 && w.s1.sign == p.sign); /* canonical tags are not plain */
    PROVE(bits(w.s1.t.beyond, 47, 0) == bits(p.beyond, 47, 0));
    PROVE((w.s1.flags & ~(uint32_t)(S1_E0PD | S1_EPAN | S1_TBI)) == 0);
    PROVE(!(w.s1.flags & S1_E0PD) || p.never & HVCORE_ARM64_ACCESS_EL0);
    PROVE(bits(w.s1.tables, 62, 59) == 15);
}

/* --- the descent ------------------------------------------------------------------------------ */

static const struct hvc_arm64_stage *stage;
static uint64_t va, last;
static unsigned reads;

static uint64_t in_order(uint64_t d)
{
    uint64_t swapped = 0;

    for (unsigned i = 0; i < 8; i++)
        swapped |= bits(d, 8 * i + 7, 8 * i) << (56 - 8 * i);
    return stage->ee ? swapped : d;
}

static uint64_t table_of(uint64_t d)
{
    uint64_t base = d & stage->table;

    if (stage->high == 1)
        base |= bits(d, 15, 12) << 48;
    if (stage->high == 2)
        base |= bits(d, 9, 8) << 50 | bits(d, 49, 48) << 48;
    return base;
}

static int read_any(void *user, uint64_t pa, uint64_t *value)
{
    unsigned page = page_of(stage), lsb = lowest_bit(page, stage->start + (int)reads);

    (void)user;
    PROVE(stage->start + (int)reads <= 3);
    if (reads == 0) {
        PROVE(pa == stage->base + 8 * bits(va, stage->ia - 1, lsb));
    } else {
        PROVE(bits(last, 1, 0) == 3);
        PROVE(pa == table_of(last) + 8 * bits(va, lsb + page - 4, lsb));
        PROVE((table_of(last) & stage->beyond) == 0);
    }
    reads++;
    *value = nondet_u64();
    last = in_order(*value);
    return nondet_int();
}

PROOF(walk_arm64_descend, 9)
{
    const hvcore_arm64_walk_mem mem = {.read64 = read_any};
    struct hvc_arm64_walk w;
    struct hvc_arm64_stage s;
    struct hvc_arm64_cursor c;
    hvcore_arm64_walk_options o;
    hvcore_arm64_sys sys;
    hvcore_arm64_walk_result out;
    bool leaf;

    ASSUME(well_formed(&s));
    /* With 52-bit output addresses in bits 9:8 and 49:48 those are part of the table's address. */
    ASSUME(s.high == 2 || s.table >> 48 == 0);
    w.mem = &mem;
    w.out = &out;
    w.opt = &o;
    w.sys = &sys;
    out.reads = 0;
    stage = &s;
    va = c.addr;
    reads = 0;
    leaf = hvc_arm64_descend(&w, &s, &c, false);
    PROVE(reads >= 1 && reads <= 5 && out.reads <= reads);
    if (!leaf)
        return;
    PROVE(out.reads == reads && c.level == s.start + (int)reads - 1 && c.level <= 3);
    PROVE(c.desc == last && c.lsb == lowest_bit(page_of(&s), c.level));
    PROVE(bit(last, 0) && (bit(last, 1) ? c.level == 3 : c.level < 3 || bit(s.blocks, 4)));
    PROVE(out.read[reads - 1].gpa == c.at && c.index == reads - 1);
}

/* --- a leaf ----------------------------------------------------------------------------------- */

PROOF(walk_arm64_leaf, 1)
{
    struct hvc_arm64_walk w;
    struct hvc_arm64_stage s;
    struct hvc_arm64_cursor c;
    hvcore_arm64_walk_options o;
    hvcore_arm64_walk_result out;
    unsigned lsb = c.lsb, extra;
    uint64_t a, d = c.desc, wanted;
    bool fine;

    ASSUME(s.granule <= 2 && s.high <= 2 && c.level >= -1 && c.level <= 3);
    ASSUME(lsb == lowest_bit(page_of(&s), c.level) && lsb < 48);
    w.opt = &o;
    w.out = &out;
    fine = hvc_arm64_leaf_ok(&w, &s, &c, &a);
    extra = !bit(d, 52)      ? 0
            : s.granule == 0 ? (c.level >= 1 ? 4 : 0)
            : s.granule == 1 ? (c.level == 2   ? 5
                                : c.level == 3 ? 7
                                               : 0)
            : c.level >= 2   ? 5
                             : 0;
    wanted = bits(d, 47, lsb) << lsb;
    if (s.high == 1)
        wanted |= bits(d, 15, 12) << 48;
    if (s.high == 2)
        wanted |= bits(d, 9, 8) << 50 | bits(d, 49, 48) << 48;
    lsb += extra;
    PROVE(a == (wanted >> lsb << lsb | bits(c.addr, lsb - 1, 0)));
    PROVE(a >> 52 == 0);
    PROVE(!fine || ((a & s.beyond) == 0 && (bit(d, 10) || s.ha)));
}
