/* SPDX-License-Identifier: Apache-2.0 */
/* Memory types as QEMU combines them. */
#include "tests/system/arm64/at_known.h"

#define ATTR_SHIFT 56

/* With FWB, CD still makes Normal memory Non-cacheable. */
bool known_cd_may(const state *s, const outcome *unit)
{
    (void)unit;
    return s->two && s->sys.hcr_el2 & HCR_FWB && s->sys.hcr_el2 & HCR_CD;
}

void known_cd(const state *s, variant *v)
{
    (void)s;
    v->sys.hcr_el2 &= ~HCR_CD;
}

/* SCTLR_ELx.C = 0 makes Normal memory Non-cacheable. */
bool known_c_may(const state *s, const outcome *unit)
{
    (void)unit;
    return !((known_is_el10(s) ? s->sys.sctlr_el1 : s->sys.sctlr_el2) & SCTLR_C);
}

void known_c(const state *s, variant *v)
{
    (void)s;
    v->sys.sctlr_el1 |= SCTLR_C;
    v->sys.sctlr_el2 |= SCTLR_C;
}

/* The combination of both stages, as QEMU does it. `one`: stage 1's byte. `two`: MemAttr. */
typedef struct combination {
    uint32_t one, two;
    bool fwb;
} combination;

bool known_both_may(const state *s, const outcome *unit)
{
    (void)unit;
    return s->two && at_is_s12(s->op);
}

/* The same walk, but told what the two stages say. False: it does not come to both. */
static bool combination_of(state *s, const variant *v, const outcome *unit, combination *c)
{
    static outcome first;
    uint32_t op = s->op;

    if (!known_is_success(unit)) {
        return false;
    }
    s->op = op - HVCORE_AT_S12E1R; /* the S1 instruction of the same access */
    at_unit(s, v, &first);
    s->op = op;
    if (!known_is_success(&first)) {
        return false;
    }
    c->one = field(first.par, ATTR_SHIFT, 8);
    c->two = field(s->s2.ee ? __builtin_bswap64(unit->last) : unit->last, 2, 4);
    c->fwb = v->sys.hcr_el2 & HCR_FWB;
    return true;
}

static void set_attr(outcome *unit, uint32_t attr)
{
    unit->par = (unit->par & MASK(55, 0)) | (uint64_t)attr << ATTR_SHIFT;
}

static void set_outer(outcome *unit)
{
    unit->par = (unit->par & ~(UINT64_C(3) << 7)) | UINT64_C(2) << 7;
}

/* FWB: Device of stage 2 is combined with Device of stage 1; QEMU replaces that. */
void known_fwb_device(state *s, const variant *v, const outcome *hardware, outcome *unit)
{
    combination c;

    (void)hardware;
    if (combination_of(s, v, unit, &c) && c.fwb && c.two < 4 && c.one >> 4 == 0) {
        set_attr(unit, c.two << 2);
    }
}

/* No FWB: Device with Normal is that Device. QEMU reads the Normal side's inner nibble as one too.
 */
void known_nibble(state *s, const variant *v, const outcome *hardware, outcome *unit)
{
    static const uint8_t inner[4] = {0xf, 0x4, 0xb, 0xf}; /* MemAttr[1:0], as a nibble of MAIR */
    uint32_t a, b;
    combination c;

    (void)hardware;
    if (!combination_of(s, v, unit, &c) || c.fwb || (c.one >> 4 == 0) == (c.two >> 2 == 0)) {
        return;
    }
    a = c.one & 15;
    b = c.two >> 2 == 0 ? c.two << 2 : v->sys.hcr_el2 & HCR_CD ? 4 : inner[c.two & 3];
    set_attr(unit, a == 0 || b == 0 ? 0 : a == 4 || b == 4 ? 4 : a == 8 || b == 8 ? 8 : 12);
}

/* Write-Through by stage 2 keeps stage 1's hints, Transient among them. QEMU drops that one. */
void known_transient(state *s, const variant *v, const outcome *hardware, outcome *unit)
{
    uint32_t attr = field(unit->par, ATTR_SHIFT, 8);
    combination c;

    (void)hardware;
    if (!combination_of(s, v, unit, &c) || c.fwb) {
        return;
    }
    for (uint32_t at = 0; at < 8; at += 4) {
        uint32_t one = c.one >> at & 15, out = attr >> at & 15;

        if (one & 4 && one & 3 && out >> 2 == 0) {
            attr |= 8u << at;
        }
    }
    set_attr(unit, attr);
}

/* Bytes of MAIR with a lower nibble of 0 have meanings of their own (0xa0 and 0x40, with XS), or
 * none. QEMU takes that nibble as it stands into the combination. */
void known_raw(state *s, const variant *v, const outcome *hardware, outcome *unit)
{
    combination c;

    (void)hardware;
    if (!combination_of(s, v, unit, &c) || v->sys.hcr_el2 & HCR_CD || c.one >> 4 == 0 ||
        c.one & 15 || c.one == 0xf0) {
        return;
    }
    if (c.fwb && c.two == 6) {
        set_attr(unit, field(unit->par, ATTR_SHIFT, 8) | 15);
    } else if (!c.fwb && c.two >> 2) {
        set_attr(unit, (field(unit->par, ATTR_SHIFT, 8) & 0xf0) | ((c.two & 3) == 1 ? 4 : 0));
        if (field(unit->par, ATTR_SHIFT, 8) == 0x40) {
            set_outer(unit);
        }
    }
}

/* XS is part of the encoding of what both stages come to; QEMU leaves it out. */
void known_xs(const state *s, variant *v)
{
    (void)s;
    v->options.features &= ~(uint32_t)HVCORE_ARM64_FEAT_XS;
}
