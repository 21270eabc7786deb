/* SPDX-License-Identifier: Apache-2.0 */
/* What this PE implements, by its ID registers, and random states that mostly make sense on it. */
#include "tests/system/arm64/at.h"

hvcore_arm64_walk_options at_options;
uint32_t at_features;

/* ---- this PE ---- */

static const uint8_t ps_bits[8] = {32, 36, 40, 42, 44, 48, 52, 56};

static uint32_t granules(uint64_t mmfr0)
{
    uint32_t t4 = field(mmfr0, 28, 4), t16 = field(mmfr0, 20, 4), t64 = field(mmfr0, 24, 4);
    uint32_t s4 = field(mmfr0, 40, 4), s16 = field(mmfr0, 32, 4), s64 = field(mmfr0, 36, 4);
    bool has4 = t4 != 15, has16 = t16 != 0, has64 = t64 != 15;
    uint32_t set = 0;

    set |= has4 ? HVCORE_ARM64_FEAT_TGRAN4 : 0u;
    set |= has16 ? HVCORE_ARM64_FEAT_TGRAN16 : 0u;
    set |= has64 ? HVCORE_ARM64_FEAT_TGRAN64 : 0u;
    set |= t4 == 1 ? HVCORE_ARM64_FEAT_LPA2_4 : 0u;
    set |= t16 == 2 ? HVCORE_ARM64_FEAT_LPA2_16 : 0u;
    set |= (s4 ? s4 >= 2 : has4) ? HVCORE_ARM64_FEAT_S2_TGRAN4 : 0u;
    set |= (s16 ? s16 >= 2 : has16) ? HVCORE_ARM64_FEAT_S2_TGRAN16 : 0u;
    set |= (s64 ? s64 >= 2 : has64) ? HVCORE_ARM64_FEAT_S2_TGRAN64 : 0u;
    set |= (s4 ? s4 == 3 : t4 == 1) ? HVCORE_ARM64_FEAT_S2_LPA2_4 : 0u;
    set |= (s16 ? s16 == 3 : t16 == 2) ? HVCORE_ARM64_FEAT_S2_LPA2_16 : 0u;
    return set;
}

/* TCR2 and what it turns on stay off (HCRX_EL2.TCR2En is 0): they count as absent. */
static uint32_t others(void)
{
    uint64_t mmfr1 = READ(id_aa64mmfr1_el1), mmfr2 = READ(ID_MMFR2);
    uint32_t set = HVCORE_ARM64_FEAT_EL2;

    set |= field(mmfr2, 16, 4) ? HVCORE_ARM64_FEAT_LVA : 0u;
    set |= field(mmfr2, 28, 4) ? HVCORE_ARM64_FEAT_TTST : 0u;
    set |= field(mmfr1, 0, 4) >= 1 ? HVCORE_ARM64_FEAT_AF : 0u;
    set |= field(mmfr1, 0, 4) >= 2 ? HVCORE_ARM64_FEAT_DIRTY : 0u;
    set |= field(mmfr1, 12, 4) ? HVCORE_ARM64_FEAT_HPDS : 0u;
    set |= field(mmfr2, 60, 4) ? HVCORE_ARM64_FEAT_E0PD : 0u;
    set |= field(mmfr1, 20, 4) >= 3 ? HVCORE_ARM64_FEAT_PAN3 : 0u;
    set |= field(mmfr2, 40, 4) ? HVCORE_ARM64_FEAT_FWB : 0u;
    set |= field(mmfr2, 24, 4) ? HVCORE_ARM64_FEAT_NV1 : 0u;
    set |= field(READ(id_aa64pfr1_el1), 8, 4) >= 2 ? HVCORE_ARM64_FEAT_MTE2 : 0u;
    set |= field(READ(id_aa64isar1_el1), 56, 4) ? HVCORE_ARM64_FEAT_XS : 0u;
    return set;
}

/* Choices that the architecture leaves open, as this QEMU has made them. */
void at_identify(void)
{
    uint64_t mmfr0 = READ(id_aa64mmfr0_el1);

    at_options.features = granules(mmfr0) | others();
    at_options.pa_bits = ps_bits[field(mmfr0, 0, 3)];
    at_options.choices = HVCORE_ARM64_CHOICE_RAW_SH;
    at_options.reserved_sh = 1;
    at_features = field(READ(id_aa64mmfr1_el1), 20, 4) >= 2 ? HVCORE_AT_FEAT_PAN2 : 0u;
    at_features |= field(READ(ID_ISAR2), 60, 4) ? HVCORE_AT_FEAT_ATS1A : 0u;
    at_features |= field(READ(ID_MMFR2), 24, 4) ? HVCORE_AT_FEAT_NV : 0u;
    at_features |= field(mmfr0, 56, 4) ? HVCORE_AT_FEAT_FGT : 0u;
}

static bool has(uint32_t feature)
{
    return at_options.features & feature;
}

/* ---- instructions and regimes ---- */

bool at_is_s12(uint32_t op)
{
    return op >= HVCORE_AT_S12E1R;
}

uint32_t at_regime(const state *s)
{
    uint64_t hcr = s->sys.hcr_el2;
    bool host = hcr & HCR_E2H && hcr & HCR_TGE;

    if (s->op >= HVCORE_AT_S1E2R && s->op <= HVCORE_AT_S1E2A) {
        return hcr & HCR_E2H ? HVCORE_ARM64_REGIME_EL20 : HVCORE_ARM64_REGIME_EL2;
    }
    return host ? HVCORE_ARM64_REGIME_EL20 : HVCORE_ARM64_REGIME_EL10;
}

bool at_has_stage_2(const hvcore_arm64_sys *sys, uint32_t regime)
{
    return regime == HVCORE_ARM64_REGIME_EL10 && sys->hcr_el2 & (HCR_VM | HCR_DC);
}

static uint32_t any_op(void)
{
    uint32_t op;
    bool ok;

    do {
        op = chance(20) ? HVCORE_AT_S12E1R + (uint32_t)below(4) : (uint32_t)below(HVCORE_AT_OPS);
        ok = op != HVCORE_AT_S1E1A && op != HVCORE_AT_S1E2A;
        ok = ok || at_features & HVCORE_AT_FEAT_ATS1A;
        ok = ok && (at_features & HVCORE_AT_FEAT_PAN2 ||
                    (op != HVCORE_AT_S1E1RP && op != HVCORE_AT_S1E1WP));
    } while (!ok);
    return op;
}

/* ---- registers ---- */

static uint64_t any_txsz(uint32_t lo)
{
    const uint64_t usual[9] = {
        lo, 16, 16, 25, 28, 34, 39, lo + below(40 - lo), lo + below(49 - lo)};

    return chance(4) ? below(64) : usual[below(COUNT(usual))];
}

/* No reserved ones: Normal needs two nibbles, Device ends in 00, or (XS) 01. */
static uint64_t any_type(void)
{
    uint64_t byte = below(256);

    if (byte >> 4 == 0) {
        return byte & ~(at_options.features & HVCORE_ARM64_FEAT_XS ? UINT64_C(2) : UINT64_C(3));
    }
    return byte & 15 ? byte : byte | 4;
}

static uint64_t any_mair(void)
{
    static const uint8_t usual[] = {0xff, 0x44, 0xbb, 0x00, 0x04, 0x08, 0x0c, 0x4f, 0xf4,
                                    0x77, 0x33, 0xf0, 0x40, 0xa0, 0xee, 0xaa, 0xcf, 0x9b};
    uint64_t mair = 0;

    for (uint32_t at = 0; at < 64; at += 8) {
        mair |= (chance(96) ? usual[below(COUNT(usual))] : any_type()) << at;
    }
    return mair;
}

static uint64_t any_ps(void)
{
    return chance(70) ? at_options.pa_bits >= 52 && chance(50) ? 6 : 5 : below(8);
}

/* TG encodings that are reserved are an implementation's choice: QEMU takes the smallest granule.
 */
static uint64_t any_tcr(bool el2)
{
    uint64_t ds = chance(35) ? TCR_DS : 0;
    uint32_t lo = ds || has(HVCORE_ARM64_FEAT_LVA) ? 12 : 16;
    uint64_t tcr = any_txsz(lo) | below(4) << 14 | below(4) << 12;

    if (el2) {
        return tcr | any_ps() << 16 | (ds ? BIT(32) : 0) | BIT(31) | BIT(23) |
               bits_any(35, BIT(20) | BIT(21) | BIT(22)) | bits_any(20, BIT(24));
    }
    tcr |= any_txsz(lo) << 16 | below(4) << 30 | below(4) << 28 | any_ps() << 32 | ds;
    tcr |= bits_any(3, BIT(7) | BIT(23)) | bits_any(30, BIT(37) | BIT(38));
    tcr |= bits_any(40, TCR_HA | TCR_HD) | bits_any(20, BIT(41) | BIT(42));
    return tcr | bits_any(10, BIT(55) | BIT(56));
}

static uint64_t any_hcr(bool el3)
{
    uint64_t hcr = HCR_RW | bits_any(50, HCR_VM) | bits_any(5, HCR_DC) | bits_any(8, HCR_TGE);

    hcr |= bits_any(10, HCR_CD | HCR_NV) | bits_any(30, HCR_FWB | HCR_DCT);
    hcr |= bits_any(hcr & HCR_VM ? 15 : 1, HCR_PTW) | bits_any(hcr & HCR_NV ? 70 : 5, HCR_NV1);
    hcr |= bits_any(el3 ? 40 : 10, HCR_E2H);
    return hcr;
}

static uint64_t any_sctlr(void)
{
    return SCTLR_RES1 | bits_any(94, SCTLR_M | SCTLR_C) | bits_any(30, BIT(19)) |
           bits_any(15, SCTLR_EE) | bits_any(40, BIT(57));
}

/* ---- stages ---- */

static bool tg_has(uint32_t shift, bool s2)
{
    uint32_t first = s2 ? HVCORE_ARM64_FEAT_S2_TGRAN4 : HVCORE_ARM64_FEAT_TGRAN4;

    return shift && has(first << (shift - 12) / 2);
}

static void set_granule(stage *s, uint32_t shift, bool s2)
{
    for (uint32_t first = 12; !tg_has(shift, s2) && first <= 16; first += 2) {
        shift = tg_has(first, s2) ? first : 0;
    }
    s->shift = shift;
    s->stride = shift - 3;
}

static void set_output(stage *s, uint32_t ps)
{
    uint32_t bits = ps_bits[ps], cap = 48;
    const uint32_t lpa2 = HVCORE_ARM64_FEAT_LPA2_4 | HVCORE_ARM64_FEAT_LPA2_16 |
                          HVCORE_ARM64_FEAT_S2_LPA2_4 | HVCORE_ARM64_FEAT_S2_LPA2_16;

    if (at_options.pa_bits >= 52 && (s->shift == 16 || has(lpa2))) {
        cap = 52;
    }
    bits = bits < cap ? bits : cap;
    s->ps = ps;
    s->out = bits < at_options.pa_bits ? bits : at_options.pa_bits;
    s->high_64k = at_options.pa_bits >= 52 && s->shift == 16;
}

static uint32_t lsb_of(const stage *s, int32_t level)
{
    return s->shift + (uint32_t)(3 - level) * s->stride;
}

static void set_stage_1(state *s)
{
    static const uint8_t tg0[4] = {12, 16, 14, 0}, tg1[4] = {0, 14, 12, 16};
    uint32_t regime = at_regime(s);
    bool single = regime == HVCORE_ARM64_REGIME_EL2, upper = s->va >> 55 & 1 && !single;
    uint64_t tcr = regime == HVCORE_ARM64_REGIME_EL10 ? s->sys.tcr_el1 : s->sys.tcr_el2;
    uint64_t sctlr = regime == HVCORE_ARM64_REGIME_EL10 ? s->sys.sctlr_el1 : s->sys.sctlr_el2;
    uint32_t txsz = field(tcr, upper ? 16 : 0, 6);
    stage *t = &s->s1;

    *t = (stage){.number = 1, .ia = 64 - txsz, .ee = sctlr & SCTLR_EE};
    set_granule(t, upper ? tg1[field(tcr, 30, 2)] : tg0[field(tcr, 14, 2)], false);
    t->ds = tcr & (single ? BIT(32) : TCR_DS) && t->shift != 16 &&
            has(t->shift == 12 ? HVCORE_ARM64_FEAT_LPA2_4 : HVCORE_ARM64_FEAT_LPA2_16);
    t->ha = tcr & (single ? BIT(21) : TCR_HA);
    set_output(t, field(tcr, single ? 16 : 32, 3));
    t->start = t->ia > t->shift ? 3 - (int32_t)((t->ia - 1 - t->shift) / t->stride) : 4;
}

/* The first level, or 4: the fields do not fit together. */
static int32_t s2_start(const stage *t, uint64_t vtcr)
{
    uint32_t sl0 = field(vtcr, 6, 2), lo;
    int32_t start = t->shift == 12 ? sl0 == 3 ? 3 : 2 - (int32_t)sl0 : 3 - (int32_t)sl0;

    if (t->shift == 12 && t->ds && vtcr & VTCR_SL2) {
        start = sl0 ? 4 : -1;
    }
    if (start == 4 || (start == 0 && t->shift != 12 && !(t->shift == 14 && t->ds))) {
        return 4;
    }
    lo = lsb_of(t, start) + 1;
    return t->ia >= lo && t->ia <= lo + t->stride - 1 + 4 ? start : 4;
}

static void set_stage_2(state *s)
{
    static const uint8_t tg0[4] = {12, 16, 14, 0};
    uint64_t vtcr = s->sys.vtcr_el2;
    stage *t = &s->s2;

    *t = (stage){.number = 2, .ia = 64 - field(vtcr, 0, 6), .ee = s->sys.sctlr_el2 & SCTLR_EE};
    set_granule(t, tg0[field(vtcr, 14, 2)], true);
    t->ds = vtcr & VTCR_DS && t->shift != 16 &&
            has(t->shift == 12 ? HVCORE_ARM64_FEAT_S2_LPA2_4 : HVCORE_ARM64_FEAT_S2_LPA2_16);
    t->ha = vtcr & VTCR_HA;
    t->fwb = s->sys.hcr_el2 & HCR_FWB;
    set_output(t, field(vtcr, 16, 3));
    t->start = s2_start(t, vtcr);
}

/* Mostly one whose start level fits its size. */
static void any_vtcr(state *s)
{
    uint64_t rest = below(4) << 12 | BIT(31) | any_ps() << 16 | below(4) << 14 |
                    bits_any(40, VTCR_HA | VTCR_HD) | bits_any(35, VTCR_DS);
    uint32_t limit;

    for (uint32_t i = 0; i < 200; i++) {
        s->sys.vtcr_el2 = rest | (12 + below(37)) | below(4) << 6 | bits_any(20, VTCR_SL2);
        set_stage_2(s);
        limit = s->s2.shift == 16 || s->s2.ds ? 52 : 48;
        if (s->s2.start != 4 && s->s2.ia <= (limit < at_options.pa_bits ? limit : 64)) {
            break;
        }
    }
    if (chance(4)) {
        s->sys.vtcr_el2 ^= BIT(below(8));
        set_stage_2(s);
    }
}

/* ---- the address ---- */

static uint64_t any_va(const state *s, bool upper)
{
    uint64_t tcr = at_regime(s) == HVCORE_ARM64_REGIME_EL10 ? s->sys.tcr_el1 : s->sys.tcr_el2;
    bool single = at_regime(s) == HVCORE_ARM64_REGIME_EL2;
    bool tbi = tcr & (single ? BIT(20) : upper ? BIT(38) : BIT(37));
    uint32_t ia = s->s1.ia < 52 ? s->s1.ia : 52;
    uint64_t in = ia ? MASK(ia - 1, 0) : 0, va = (any() & in) | (upper ? ~in : 0);

    if (tbi && chance(70)) {
        va ^= any() & MASK(63, 56);
    }
    if (chance(3)) {
        va ^= BIT(below(64));
    }
    return va;
}

/* Stage 1 off: an address that is a physical one, or stage 2's input. */
static void flatten(state *s)
{
    uint64_t sctlr = s->s1.number && at_regime(s) == HVCORE_ARM64_REGIME_EL10 ? s->sys.sctlr_el1
                                                                              : s->sys.sctlr_el2;
    bool off = !(sctlr & SCTLR_M) ||
               (at_regime(s) == HVCORE_ARM64_REGIME_EL10 && s->sys.hcr_el2 & (HCR_DC | HCR_TGE));

    if (off && chance(70)) {
        s->va &= MASK(55, 0) & (MASK(63, 56) | MASK(s->two ? s->s2.ia - 1 : 47, 0));
    }
}

/* What kernels mostly are: the walker's short way. */
static void simplify(state *s)
{
    s->sys.hcr_el2 = HCR_RW;
    s->sys.sctlr_el1 = (s->sys.sctlr_el1 & ~SCTLR_EE) | SCTLR_C | SCTLR_M;
    s->sys.tcr_el1 &= ~(TCR_HD | TCR_DS);
    s->op = (uint32_t)below(4);
}

void at_stages(state *s)
{
    s->two = at_has_stage_2(&s->sys, at_regime(s));
    set_stage_1(s);
    set_stage_2(s);
}

void at_any(state *s, bool el3)
{
    memset(s, 0, sizeof(*s));
    s->sys.size = sizeof(s->sys);
    s->sys.have = UINT64_MAX;
    s->op = any_op();
    s->mode = HVCORE_ARM64_VEL2;
    s->pan = chance(50);
    s->spoil = (uint32_t)(chance(40) ? 0 : below(9));
    s->sys.hcr_el2 = any_hcr(el3);
    s->sys.sctlr_el1 = any_sctlr();
    s->sys.sctlr_el2 = any_sctlr() & ~(el3 ? 0 : SCTLR_M | SCTLR_EE);
    s->sys.tcr_el1 = any_tcr(false);
    s->sys.tcr_el2 = any_tcr(!(s->sys.hcr_el2 & HCR_E2H));
    s->sys.mair_el1 = any_mair();
    s->sys.mair_el2 = any_mair();
    if (chance(25)) {
        simplify(s);
    }
    any_vtcr(s);
    s->two = at_has_stage_2(&s->sys, at_regime(s));
    s->va = at_regime(s) == HVCORE_ARM64_REGIME_EL2 ? chance(3) ? BIT(55) : 0
                                                    : (chance(50) ? BIT(55) : 0);
    set_stage_1(s);
    s->va = any_va(s, s->va);
    set_stage_1(s);
    flatten(s);
    set_stage_1(s);
}
