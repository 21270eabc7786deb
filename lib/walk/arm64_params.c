/* SPDX-License-Identifier: Apache-2.0 */
/* Preparing a stage: registers, features and choices become sizes, sets and masks (specs 3.1,
 * 4.1). */
#include "lib/walk/arm64_walk.h"

#define HAS(opt, feature) (((opt)->features & HVCORE_ARM64_FEAT_##feature) != 0)
#define CHOSE(opt, choice) (((opt)->choices & HVCORE_ARM64_CHOICE_##choice) != 0)

/*
 * TCR_ELx as one of the two ranges sees it, in the layout of TCR_EL1's lower range: T0SZ 5:0, EPD0,
 * SH0 13:12, TG0 in `own`; IPS 34:32, HA, HD, DS in `all`; TBI0, HPD0, E0PD0, MTX0 in `flag`. The
 * upper range has the first 16 bits higher and the last one bit higher.
 */
struct tcr {
    uint64_t own, all, flag;
};

/* The granules of the four encodings of TG, two bits each. */
#define TG(e0, e1, e2, e3) (e0 | e1 << 2 | e2 << 4 | e3 << 6)
#define TG0 TG(GRANULE_4K, GRANULE_64K, GRANULE_16K, GRANULE_NONE)
#define TG1 TG(GRANULE_NONE, GRANULE_16K, GRANULE_4K, GRANULE_64K)

/* By granule. */
static const uint8_t BLOCKS[3] = {1 << 2 | 1 << 3, 1 << 3, 1 << 3}; /* levels 1, 2; 2; 2 */
static const uint8_t BLOCKS_52[3] = {1 << 1, 1 << 2, 1 << 2};       /* and level 0; 1; 1 */
static const uint8_t RECIPROCAL[3] = {57, 47, 40};                  /* 512 / stride, rounded up */
static const uint8_t MAX_TXSZ_TTST[3] = {48, 48, 47};
static const uint32_t S1_LPA2[3] = {HVCORE_ARM64_FEAT_LPA2_4, HVCORE_ARM64_FEAT_LPA2_16, 0};
static const uint32_t S2_LPA2[3] = {HVCORE_ARM64_FEAT_S2_LPA2_4, HVCORE_ARM64_FEAT_S2_LPA2_16, 0};

#define ANY_LPA2                                                                          \
    (HVCORE_ARM64_FEAT_LPA2_4 | HVCORE_ARM64_FEAT_LPA2_16 | HVCORE_ARM64_FEAT_S2_LPA2_4 | \
     HVCORE_ARM64_FEAT_S2_LPA2_16)

#define PS_52 6u

/* ---- what both stages have in common ---- */

static HVC_ARM64_COLD uint32_t substitute(const hvcore_arm64_walk_options *o, uint32_t have)
{
    if (CHOSE(o, LARGE_GRANULE)) {
        return have & 4 ? GRANULE_64K : have & 2 ? GRANULE_16K : GRANULE_4K;
    }
    return have & 1 ? GRANULE_4K : have & 2 ? GRANULE_16K : GRANULE_64K;
}

/* The granule of an encoding of TG; `first` is the feature of 4 KiB pages, the others follow it. */
static inline void set_granule(struct hvc_arm64_stage *s, const hvcore_arm64_walk_options *o,
                               uint32_t map, uint32_t tg, uint32_t first)
{
    uint32_t have = o->features / first & 7, granule = map >> 2 * tg & 3;

    if (!(have >> granule & 1)) { /* GRANULE_NONE is in no set */
        granule = substitute(o, have);
    }
    s->granule = granule;
    s->shift = 12 + 2 * granule;
    s->stride = 9 + 2 * granule;
    s->table = ARM64_MASK(47, s->shift);
    s->in_entry = ARM64_MASK(s->shift - 1, 3);
}

/* Specs 3.1, output size. */
static inline uint32_t output_bits(const struct hvc_arm64_stage *s,
                                   const hvcore_arm64_walk_options *o, uint32_t ps)
{
    uint32_t bits = HVC_ARM64_PS_BITS[ps], cap = 48;

    if (o->pa_bits >= 52 && (s->granule == GRANULE_64K || o->features & ANY_LPA2)) {
        cap = 52;
    }
    bits = bits < cap ? bits : cap;
    return bits < o->pa_bits ? bits : o->pa_bits;
}

/* What follows from granule and DS. */
static inline void set_format(struct hvc_arm64_stage *s, const hvcore_arm64_walk_options *o,
                              uint32_t ps, bool ds)
{
    bool lpa = o->pa_bits >= 52 && s->granule == GRANULE_64K;

    s->ds = ds;
    s->high = lpa ? HIGH_64K : ds ? HIGH_DS : HIGH_NONE;
    s->blocks = BLOCKS[s->granule] | (lpa || ds ? BLOCKS_52[s->granule] : 0u);
    s->beyond = UINT64_MAX << output_bits(s, o, ps);
}

static inline void set_start(struct hvc_arm64_stage *s, int32_t start)
{
    s->start = start;
    s->lsb = s->shift + (uint32_t)(3 - start) * s->stride;
}

/* The first table from TTBR; false: beyond the output size. */
static inline bool set_base(struct hvc_arm64_stage *s, uint64_t ttbr, uint32_t ps)
{
    uint32_t size = s->ia - s->lsb + 3;
    uint64_t base = ttbr & ARM64_MASK(47, 1);

    if (s->ds || (s->high == HIGH_64K && ps == PS_52)) {
        base = (ttbr & ARM64_MASK(47, 6)) | (ttbr >> 2 & 15) << 48;
    }
    s->base = base >> size << size;
    return !(s->base & s->beyond);
}

static inline uint32_t max_txsz(const struct hvc_arm64_stage *s, const hvcore_arm64_walk_options *o)
{
    return HAS(o, TTST) ? MAX_TXSZ_TTST[s->granule] : 39;
}

/* Sets ia; false: TxSZ is a fault. */
static inline bool set_input(struct hvc_arm64_stage *s, const hvcore_arm64_walk_options *o,
                             uint32_t txsz, uint32_t min)
{
    uint32_t max = max_txsz(s, o);

    if (txsz < min || txsz > max) {
        if (!CHOSE(o, CLAMP_TXSZ)) {
            return false;
        }
        txsz = txsz < min ? min : max;
    }
    s->ia = 64 - txsz;
    s->in = UINT64_MAX >> txsz;
    return true;
}

/* The first level for ia bits; the product is right for whatever 6 bits can come to. */
static inline int32_t start_of(const struct hvc_arm64_stage *s, uint32_t ia)
{
    return 3 - (int32_t)((ia - 1 - s->shift) * RECIPROCAL[s->granule] >> 9);
}

/* ---- stage 1 ---- */

/* TCR_EL2 of the regime EL2 in the layout of TCR_EL1: PS, TBI, HA, HD, HPD, DS, MTX move. */
static HVC_ARM64_COLD uint64_t spread(uint64_t tcr)
{
    static const uint8_t move[][2] = {{16, 32}, {17, 33}, {18, 34}, {20, 37}, {21, 39},
                                      {22, 40}, {24, 41}, {32, 59}, {33, 60}};
    uint64_t out = tcr & (ARM64_MASK(5, 0) | ARM64_MASK(15, 12));

    for (uint32_t i = 0; i < sizeof(move) / sizeof(move[0]); i++) {
        out |= (tcr >> move[i][0] & 1) << move[i][1];
    }
    return out;
}

static inline struct tcr tcr_of(const struct hvc_arm64_walk *w)
{
    uint64_t tcr = w->regime == HVCORE_ARM64_REGIME_EL10 ? w->sys->tcr_el1 : w->sys->tcr_el2;

    if (w->regime == HVCORE_ARM64_REGIME_EL2) {
        tcr = spread(tcr);
    } else if (w->upper) {
        return (struct tcr){tcr >> 16, tcr, tcr >> 1};
    }
    return (struct tcr){tcr, tcr, tcr};
}

uint64_t hvc_arm64_tcr2(const struct hvc_arm64_walk *w)
{
    if (!HAS(w->opt, TCR2)) {
        return 0;
    }
    if (w->regime != HVCORE_ARM64_REGIME_EL10) {
        return w->sys->tcr2_el2;
    }
    if (HAS(w->opt, EL2) && !(w->sys->hcrx_el2 & HCRX_TCR2EN)) {
        return 0;
    }
    return w->sys->tcr2_el1;
}

/* What TCR2 turns on. */
static HVC_ARM64_COLD uint32_t tcr2_flags(const struct hvc_arm64_walk *w, uint32_t flags)
{
    uint64_t tcr2 = hvc_arm64_tcr2(w);

    if (HAS(w->opt, S1PIE) && tcr2 & TCR2_PIE) {
        flags |= S1_PIE;
    }
    if (HAS(w->opt, AIE) && tcr2 & TCR2_AIE) {
        flags |= S1_AIE;
    }
    if (HAS(w->opt, S1POE) && tcr2 & TCR2_POE) {
        flags |= S1_POE;
    }
    if (HAS(w->opt, S1POE) && tcr2 & TCR2_E0POE && !(flags & (S1_NV1 | S1_PRIVATE))) {
        flags |= S1_E0POE;
    }
    return flags;
}

static bool s1_off(const struct hvc_arm64_walk *w)
{
    if (w->regime == HVCORE_ARM64_REGIME_EL10 && w->hcr & (HCR_DC | HCR_TGE)) {
        return true;
    }
    return !(w->s1.sctlr & SCTLR_M);
}

static inline uint32_t s1_flags(const struct hvc_arm64_walk *w, const struct tcr *tcr)
{
    static const uint8_t by_regime[3] = {0, S1_EL2 | S1_PRIVATE, S1_EL2};
    uint32_t flags = by_regime[w->regime];

    if (flags == 0 && HAS(w->opt, NV1) && (w->hcr & (HCR_NV | HCR_NV1)) == (HCR_NV | HCR_NV1)) {
        flags |= S1_NV1;
    }
    flags |= HAS(w->opt, E0PD) && tcr->flag & TCR_E0PD ? S1_E0PD : 0;
    flags |= HAS(w->opt, PAN3) && w->s1.sctlr & SCTLR_EPAN ? S1_EPAN : 0;
    flags |= s1_off(w) ? S1_OFF : 0;
    flags |= tcr->flag & TCR_TBI ? S1_TBI : 0;
    return HAS(w->opt, TCR2) ? tcr2_flags(w, flags) : flags;
}

/* The attributes of table descriptors that count: none with overlays. Indirect permissions do not
 * ask for them. */
static inline uint64_t s1_tables(uint32_t flags, bool hpd)
{
    if (hpd || flags & (S1_POE | S1_E0POE)) {
        return 0;
    }
    if (flags & (S1_PRIVATE | S1_NV1)) {
        return DESC_APTABLE1 | DESC_UXNTABLE;
    }
    return DESC_APTABLE0 | DESC_APTABLE1 | DESC_UXNTABLE | DESC_PXNTABLE;
}

/* Bits of an address that do not count: the tag with TBI, four of its bits with MTX. */
static inline uint64_t tag_of(const struct hvc_arm64_walk *w, const struct tcr *tcr)
{
    if (tcr->flag & TCR_TBI) {
        return ARM64_MASK(63, 56);
    }
    return HAS(w->opt, MTX) && tcr->flag & TCR_MTX ? ARM64_MASK(59, 56) : 0;
}

/* Where a Translation fault before the first fetch is reported: 0, or at the start level, which for
 * an illegal TxSZ is brought into the levels that exist. */
static inline int32_t early_level(const struct hvc_arm64_walk *w, uint32_t ia)
{
    const struct hvc_arm64_stage *t = &w->s1.t;
    int32_t level;

    if (!CHOSE(w->opt, START_LEVEL)) {
        return 0;
    }
    level = ia > t->shift ? start_of(t, ia) : 3;
    return level < -1 ? -1 : level;
}

static inline uint64_t ttbr_of(const struct hvc_arm64_walk *w)
{
    const hvcore_arm64_sys *sys = w->sys;

    switch (w->regime) {
    case HVCORE_ARM64_REGIME_EL2:
        return sys->ttbr0_el2;
    case HVCORE_ARM64_REGIME_EL20:
        return w->upper ? sys->ttbr1_el2 : sys->ttbr0_el2;
    default:
        return w->upper ? sys->ttbr1_el1 : sys->ttbr0_el1;
    }
}

/* Granule, format, endianness, what hardware updates. */
static inline void s1_format(struct hvc_arm64_walk *w, const struct tcr *tcr, bool single)
{
    const hvcore_arm64_walk_options *o = w->opt;
    struct hvc_arm64_s1 *s = &w->s1;
    struct hvc_arm64_stage *t = &s->t;

    s->sctlr = w->regime == HVCORE_ARM64_REGIME_EL10 ? w->sys->sctlr_el1 : w->sys->sctlr_el2;
    set_granule(t, o, w->upper && !single ? TG1 : TG0, arm64_bits(tcr->own, 14, 2),
                HVCORE_ARM64_FEAT_TGRAN4);
    set_format(t, o, arm64_bits(tcr->all, 32, 3),
               tcr->all & TCR_DS && o->features & S1_LPA2[t->granule]);
    t->sh = arm64_bits(tcr->own, 12, 2);
    t->ee = s->sctlr & SCTLR_EE;
    t->ha = HAS(o, AF) && tcr->all & TCR_HA;
    t->hd = t->ha && HAS(o, DIRTY) && tcr->all & TCR_HD;
    s->flags = s1_flags(w, tcr);
    s->tables = s1_tables(s->flags, HAS(o, HPDS) && tcr->flag & TCR_HPD);
}

/* TxSZ, then EPD, then the first table. */
static inline uint32_t s1_ready(struct hvc_arm64_walk *w, const struct tcr *tcr, bool single)
{
    uint32_t txsz = arm64_bits(tcr->own, 0, 6), min = 16;
    struct hvc_arm64_stage *t = &w->s1.t;
    bool legal;

    if (t->ds || (t->granule == GRANULE_64K && HAS(w->opt, LVA))) {
        min = 12;
    }
    legal = set_input(t, w->opt, txsz, min);
    w->s1.early = early_level(w, legal ? t->ia : 64 - txsz);
    if (!legal || tcr->own & TCR_EPD) {
        return HVCORE_ARM64_FAULT_TRANSLATION;
    }
    set_start(t, start_of(t, t->ia));
    w->s1.sign = w->upper && !single ? UINT64_MAX : 0;
    w->s1.above = ~t->in & ~tag_of(w, tcr);
    return set_base(t, ttbr_of(w), arm64_bits(tcr->all, 32, 3)) ? HVCORE_ARM64_FAULT_NONE
                                                                : HVCORE_ARM64_FAULT_ADDRESS_SIZE;
}

void hvc_arm64_s1_params(struct hvc_arm64_walk *w)
{
    bool single = w->regime == HVCORE_ARM64_REGIME_EL2;
    struct tcr tcr = tcr_of(w);

    s1_format(w, &tcr, single);
    w->s1.ready = s1_ready(w, &tcr, single);
}

/* ---- stage 2 ---- */

/* VTCR_EL2.SL0 by granule (specs 4.1): the first level, and what it takes. */
enum sl0_needs { NEEDS_NOTHING, NEEDS_TTST, NEEDS_DS, NEEDS_A_MIRACLE };

static const struct sl0 {
    int8_t start;
    uint8_t needs;
    uint8_t pa_bits;
} SL0[3][4] = {
    {{2, 0, 0}, {1, 0, 0}, {0, 0, 44}, {3, NEEDS_TTST, 0}},
    {{3, 0, 0}, {2, 0, 0}, {1, 0, 42}, {0, NEEDS_DS, 0}},
    {{3, 0, 0}, {2, 0, 0}, {1, 0, 44}, {0, NEEDS_A_MIRACLE, 0}},
};

#define CONCATENATED 4u /* up to 16 first tables side by side */

/* The first level; false: SL0, SL2, T0SZ and the features do not fit together. */
static bool set_s2_start(struct hvc_arm64_stage *s, const hvcore_arm64_walk_options *o,
                         uint64_t vtcr)
{
    uint32_t sl = arm64_bits(vtcr, 6, 2);
    const struct sl0 *e = &SL0[s->granule][sl];
    bool sl2 = s->granule == GRANULE_4K && s->ds && vtcr & VTCR_SL2;
    bool can[4] = {true, HAS(o, TTST), s->ds, false};

    if (sl2 ? sl != 0 : !can[e->needs] || o->pa_bits < e->pa_bits) {
        return false;
    }
    set_start(s, sl2 ? -1 : e->start);
    return s->ia > s->lsb && s->ia <= s->lsb + s->stride + CONCATENATED;
}

static uint32_t s2_min_txsz(const struct hvc_arm64_stage *s, const hvcore_arm64_walk_options *o)
{
    uint32_t limit = s->granule == GRANULE_64K || s->ds || o->pa_bits < 52 ? 52 : 48;

    return 64 - (limit < o->pa_bits ? limit : o->pa_bits);
}

static uint32_t s2_ready(struct hvc_arm64_stage *s, const struct hvc_arm64_walk *w)
{
    uint64_t vtcr = w->sys->vtcr_el2;

    if (!set_input(s, w->opt, arm64_bits(vtcr, 0, 6), s2_min_txsz(s, w->opt)) ||
        !set_s2_start(s, w->opt, vtcr)) {
        return HVCORE_ARM64_FAULT_TRANSLATION;
    }
    if (!set_base(s, w->sys->vttbr_el2, arm64_bits(vtcr, 16, 3))) {
        return HVCORE_ARM64_FAULT_ADDRESS_SIZE;
    }
    return HVCORE_ARM64_FAULT_NONE;
}

static uint32_t s2_flags(const struct hvc_arm64_walk *w)
{
    uint32_t flags = 0;

    if (HAS(w->opt, S2PIE) && w->sys->vtcr_el2 & VTCR_S2PIE) {
        flags |= S2_PIE;
    }
    if (w->hcr & HCR_PTW) { /* with TGE there is no stage 1 */
        flags |= S2_PTW;
    }
    if (HAS(w->opt, FWB) && w->hcr & HCR_FWB) {
        flags |= S2_FWB;
    }
    return w->hcr & HCR_CD ? flags | S2_CD : flags;
}

void hvc_arm64_s2_params(struct hvc_arm64_walk *w)
{
    const hvcore_arm64_walk_options *o = w->opt;
    uint64_t vtcr = w->sys->vtcr_el2;
    struct hvc_arm64_stage *t = &w->s2.t;

    set_granule(t, o, TG0, arm64_bits(vtcr, 14, 2), HVCORE_ARM64_FEAT_S2_TGRAN4);
    set_format(t, o, arm64_bits(vtcr, 16, 3), vtcr & VTCR_DS && o->features & S2_LPA2[t->granule]);
    t->sh = arm64_bits(vtcr, 12, 2);
    t->ee = w->sys->sctlr_el2 & SCTLR_EE;
    t->ha = HAS(o, AF) && vtcr & VTCR_HA;
    t->hd = t->ha && HAS(o, DIRTY) && vtcr & VTCR_HD;
    w->s2.flags = s2_flags(w);
    w->s2.ready = s2_ready(t, w);
}
