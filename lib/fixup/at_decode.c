/* SPDX-License-Identifier: Apache-2.0 */
/* AT: which one, who gets the trap, which regime (specs at-walker.md, 1). */
#include "lib/fixup/at.h"

/* ISS of a trapped system instruction: all but Rt. */
#define ISS_MASK 0x1ffffffu
#define ISS_RT_SHIFT 5
#define ISS_RT 0x1fu
#define ESR_IL (1u << 25)
#define ESR_EC_SHIFT 26

#define EL0 HVCORE_ARM64_ACCESS_EL0
#define WRITE HVCORE_ARM64_ACCESS_WRITE
#define PAN HVCORE_ARM64_ACCESS_PAN
#define ANY HVCORE_ARM64_ACCESS_ANY

/* By HVCORE_AT_*. `fgt` is the bit of HFGITR_EL2; the instructions of EL2 have none. */
static const struct at_row {
    uint32_t iss;
    uint8_t el, both, access, fgt, feature;
} ROWS[HVCORE_AT_OPS] = {
    [HVCORE_AT_S1E1R] = {0x101c10, 1, 0, 0, 12, 0},
    [HVCORE_AT_S1E1W] = {0x121c10, 1, 0, WRITE, 13, 0},
    [HVCORE_AT_S1E0R] = {0x141c10, 0, 0, EL0, 14, 0},
    [HVCORE_AT_S1E0W] = {0x161c10, 0, 0, EL0 | WRITE, 15, 0},
    [HVCORE_AT_S1E1RP] = {0x101c12, 1, 0, PAN, 16, HVCORE_AT_FEAT_PAN2},
    [HVCORE_AT_S1E1WP] = {0x121c12, 1, 0, PAN | WRITE, 17, HVCORE_AT_FEAT_PAN2},
    [HVCORE_AT_S1E1A] = {0x141c12, 1, 0, ANY, 62, HVCORE_AT_FEAT_ATS1A},
    [HVCORE_AT_S1E2R] = {0x111c10, 2, 0, 0, 0, 0},
    [HVCORE_AT_S1E2W] = {0x131c10, 2, 0, WRITE, 0, 0},
    [HVCORE_AT_S1E2A] = {0x151c12, 2, 0, ANY, 0, HVCORE_AT_FEAT_ATS1A},
    [HVCORE_AT_S12E1R] = {0x191c10, 1, 1, 0, 0, 0},
    [HVCORE_AT_S12E1W] = {0x1b1c10, 1, 1, WRITE, 0, 0},
    [HVCORE_AT_S12E0R] = {0x1d1c10, 0, 1, EL0, 0, 0},
    [HVCORE_AT_S12E0W] = {0x1f1c10, 0, 1, EL0 | WRITE, 0, 0},
};

int hvcore_at_decode(uint64_t esr, hvcore_at_insn *insn)
{
    uint32_t word = (uint32_t)esr, iss = word & ISS_MASK & ~(ISS_RT << ISS_RT_SHIFT);

    if (word >> ESR_EC_SHIFT != AT_EC_SYSTEM || !(word & ESR_IL)) {
        return 0;
    }
    for (uint32_t op = 0; op < HVCORE_AT_OPS; op++) {
        const struct at_row *row = &ROWS[op];

        if (row->iss == iss) {
            *insn = (hvcore_at_insn){op, word >> ISS_RT_SHIFT & ISS_RT, row->el, row->both,
                                     row->access};
            return 1;
        }
    }
    return 0;
}

/* ---- who gets the trap ---- */

static bool has_el2(const struct at_call *k)
{
    return k->at->walk.features & HVCORE_ARM64_FEAT_EL2;
}

/* S1E2* and S12*: instructions that exist at EL2 only. */
static bool of_el2(const struct at_call *k)
{
    return k->insn.el == 2 || k->insn.both;
}

static bool hidden(const struct at_call *k)
{
    uint32_t feature = ROWS[k->insn.op].feature;

    return (feature & k->at->features) != feature || (of_el2(k) && !has_el2(k));
}

uint64_t hvc_at_missing(const struct at_call *k)
{
    uint64_t set = 0;

    if (k->el == 0 || hidden(k) || !has_el2(k)) {
        return 0;
    }
    set |= AT_SET(hcr_el2);
    if (k->el == 1 && !of_el2(k) && k->at->features & HVCORE_AT_FEAT_FGT) {
        set |= AT_SET(hfgitr_el2);
    }
    return set & ~k->sys->have;
}

/* Does the guest hypervisor trap what its own guest executes at EL1? */
static bool trapped(const struct at_call *k)
{
    bool nv = k->at->features & HVCORE_AT_FEAT_NV;

    if (of_el2(k)) {
        return nv && k->hcr & HCR_NV;
    }
    if (nv && k->hcr & HCR_AT) {
        return true;
    }
    return has_el2(k) && k->at->features & HVCORE_AT_FEAT_FGT &&
           k->sys->hfgitr_el2 >> ROWS[k->insn.op].fgt & 1;
}

enum at_fate hvc_at_fate(const struct at_call *k)
{
    if (k->el == 0 || hidden(k)) {
        return AT_UNDEFINED;
    }
    if (k->el == 1 && trapped(k)) {
        return AT_TRAPS;
    }
    return k->el == 1 && of_el2(k) ? AT_UNDEFINED : AT_EXECUTES;
}

/* ---- what it translates ---- */

static bool is_host(const struct at_call *k)
{
    return (k->hcr & (HCR_E2H | HCR_TGE)) == (HCR_E2H | HCR_TGE);
}

static uint32_t regime(const struct at_call *k)
{
    if (k->insn.el == 2) {
        return k->hcr & HCR_E2H ? HVCORE_ARM64_REGIME_EL20 : HVCORE_ARM64_REGIME_EL2;
    }
    return is_host(k) ? HVCORE_ARM64_REGIME_EL20 : HVCORE_ARM64_REGIME_EL10;
}

/* PSTATE.PAN of the guest, from its saved PSTATE. */
static bool pan(const struct at_call *k)
{
    return k->frame->spsr >> 22 & 1;
}

hvcore_arm64_walk_request hvc_at_request(const struct at_call *k)
{
    uint32_t access = k->insn.access;

    if (!pan(k)) {
        access &= ~(uint32_t)PAN;
    }
    if (k->insn.both) { /* the walker knows when there is no stage 2 */
        access |= HVCORE_ARM64_ACCESS_STAGE2;
    }
    if (k->el == 1) {
        access |= HVCORE_ARM64_ACCESS_AT_EL1;
    }
    return (hvcore_arm64_walk_request){k->va, regime(k), access};
}

/* ---- what the hardware could translate (specs 5.1) ---- */

/* What virtual HCR_EL2 makes of EL1&0 and the hardware, running as the guest runs, would not. */
static bool inexpressible(const struct at_call *k)
{
    uint64_t nv1 = HCR_NV | HCR_NV1;

    return k->hcr & (HCR_DC | HCR_TGE) || (k->hcr & nv1) == nv1;
}

bool hvc_at_hardware(const struct at_call *k, uint32_t *arg)
{
    uint32_t op = k->insn.op, context = HVCORE_AT_CONTEXT_LIVE;

    if (!(k->at->options & HVCORE_AT_HARDWARE) || k->insn.both) {
        return false;
    }
    if (regime(k) == HVCORE_ARM64_REGIME_EL10) {
        if (inexpressible(k)) {
            return false;
        }
        context = k->el == 2 ? HVCORE_AT_CONTEXT_EL1 : HVCORE_AT_CONTEXT_LIVE;
    } else if (k->insn.el == 2) {
        op = k->insn.access & ANY     ? HVCORE_AT_S1E1A
             : k->insn.access & WRITE ? HVCORE_AT_S1E1W
                                      : HVCORE_AT_S1E1R;
        context = k->hcr & HCR_E2H ? HVCORE_AT_CONTEXT_LIVE : HVCORE_AT_CONTEXT_NV1;
    }
    *arg = op | context << 8 | (pan(k) ? HVCORE_AT_NEED_PAN : 0u);
    return true;
}
