/* SPDX-License-Identifier: Apache-2.0 */
/* PAR_EL1: how it is written, and what of the hardware's is believed (specs at-walker.md, 2 and
 * 5.2). */
#include "lib/fixup/at.h"

#define PAR_F ARM64_BIT(0)
#define PAR_FST_SHIFT 1
#define PAR_FST_BITS 6
#define PAR_SH_SHIFT 7
#define PAR_PTW ARM64_BIT(8)
#define PAR_NS ARM64_BIT(9)
#define PAR_S ARM64_BIT(9) /* with F */
#define PAR_RES1 ARM64_BIT(11)
#define PAR_PA ARM64_MASK(55, 12)
#define PAR_OVERLAY ARM64_BIT(14)
#define PAR_DIRTY ARM64_BIT(15)
#define PAR_SH ARM64_MASK(8, 7)
#define PAR_ATTR ARM64_MASK(63, 56)
#define PAR_ATTR_SHIFT 56
#define PAR_HIGH_D128 ARM64_BIT(0) /* bit 64 of the whole */

/* FST of an Access flag or Permission fault, level in bits 1:0: 0010xx and 0011xx. */
#define FST_LEAF_MASK 0x38u
#define FST_LEAF 0x08u

static uint64_t fixed(const hvcore_arm64_walk_options *o)
{
    return PAR_RES1 | (o->choices & HVCORE_ARM64_CHOICE_PAR_NS ? PAR_NS : 0);
}

static uint64_t failed(const hvcore_arm64_walk_result *r)
{
    uint64_t par = PAR_F | PAR_RES1 | (uint64_t)r->fsc << PAR_FST_SHIFT;

    par |= r->stage == 2 ? PAR_S : 0;
    par |= r->notes & HVCORE_ARM64_NOTE_S1PTW ? PAR_PTW : 0;
    par |= r->notes & HVCORE_ARM64_NOTE_OVERLAY ? PAR_OVERLAY : 0;
    return par | (r->notes & HVCORE_ARM64_NOTE_DIRTY ? PAR_DIRTY : 0);
}

void hvcore_at_par(const hvcore_arm64_walk_options *options, const hvcore_arm64_walk_result *result,
                   uint32_t wide, uint64_t par[2])
{
    uint64_t pa = result->pa & PAR_PA;

    par[1] = 0;
    if (result->fault) {
        par[0] = failed(result);
        return;
    }
    par[0] = (uint64_t)result->attr << PAR_ATTR_SHIFT | (uint64_t)result->sh << PAR_SH_SHIFT |
             fixed(options);
    if (wide) { /* the address moves up, everything else stays */
        par[1] = pa | PAR_HIGH_D128;
    } else {
        par[0] |= pa;
    }
}

/* The address of a success; false: in a format that the guest does not have. */
static bool address(const hvcore_at_state *at, uint64_t *pa)
{
    bool wide = at->answer_par[1] & PAR_HIGH_D128;

    *pa = at->answer_par[wide ? 1 : 0] & PAR_PA;
    return !wide || at->walk.features & HVCORE_ARM64_FEAT_D128;
}

static bool believe_success(const hvcore_at_state *at, uint64_t par[2])
{
    uint64_t pa;

    if (!address(at, &pa) || at->walk.pa_bits > 63 || pa >> at->walk.pa_bits) {
        return false;
    }
    par[0] = (at->answer_par[0] & (PAR_ATTR | PAR_SH)) | fixed(&at->walk);
    par[1] = 0;
    if (at->answer_par[1] & PAR_HIGH_D128) {
        par[1] = pa | PAR_HIGH_D128;
    } else {
        par[0] |= pa;
    }
    return true;
}

/* The walk has come to the leaf. Reasons that the guest's features do not know are not told. */
static bool believe_fault(const hvcore_at_state *at, uint64_t par[2])
{
    uint64_t hw = at->answer_par[0], reasons = 0;
    uint32_t fst = arm64_bits(hw, PAR_FST_SHIFT, PAR_FST_BITS);

    if (hw & (PAR_S | PAR_PTW) || (fst & FST_LEAF_MASK) != FST_LEAF) {
        return false;
    }
    reasons |= at->walk.features & HVCORE_ARM64_FEAT_S1POE ? PAR_OVERLAY : 0;
    reasons |= at->walk.features & HVCORE_ARM64_FEAT_S1PIE ? PAR_DIRTY : 0;
    par[0] = PAR_F | PAR_RES1 | (uint64_t)fst << PAR_FST_SHIFT | (hw & reasons);
    par[1] = 0;
    return true;
}

bool hvc_at_believe(const struct at_call *k, uint64_t par[2])
{
    if (k->answer != HVCORE_AT_ANSWER_PAR) {
        return false;
    }
    return k->at->answer_par[0] & PAR_F ? believe_fault(k->at, par) : believe_success(k->at, par);
}
