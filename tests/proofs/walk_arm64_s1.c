/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arm64 stage 1 walk as a whole, with all registers, regimes, features and accesses, over memory
 * that may hold anything and may not be there: which addresses are legal, and that whatever comes
 * out is an answer. Stage 2 is not there.
 */
#include "lib/walk/arm64.c"
#include "lib/walk/arm64_descend.c"
#include "lib/walk/arm64_memtype.c"
#include "lib/walk/arm64_params.c"
#include "lib/walk/arm64_permission.c"
#include "lib/walk/arm64_s1.c"

#include "tests/proofs/walk_arm64.h"

/* Which addresses have a translation at all: those whose bits above the range are all the same. */
PROOF(walk_arm64_range, 12)
{
    hvcore_arm64_walk_options o;
    hvcore_arm64_sys sys;
    struct hvc_arm64_walk w;
    uint64_t va, above, sign;
    fields f;

    ASSUME(sound(&o, w.regime));
    w.upper = bit(va, 55);
    w.va = va;
    w.opt = &o;
    w.sys = &sys;
    hvc_arm64_s1_params(&w);
    ASSUME(w.s1.ready == HVCORE_ARM64_FAULT_NONE);
    f = fields_of(&sys, w.regime, bit(va, 55));
    above = UINT64_MAX << w.s1.t.ia;
    if (f.tbi)
        above &= ~(UINT64_C(0xff) << 56);
    else if (f.mtx && (o.features & HVCORE_ARM64_FEAT_MTX))
        above &= ~(UINT64_C(0xf) << 56);
    sign = bit(va, 55) && w.regime != 1 ? above : 0; /* in EL2's regime there is one range */
    PROVE(in_range(&w) == ((va & above) == sign &&
                           !(f.e0pd && (o.features & HVCORE_ARM64_FEAT_E0PD) && (w.access & 1))));
}

/* --- a whole walk ----------------------------------------------------------------------------- */

static unsigned reads, updates;
static uint64_t last_at;

static int read_any(void *user, uint64_t pa, uint64_t *value)
{
    (void)user;
    PROVE(pa % 8 == 0 && pa >> 52 == 0);
    reads++;
    last_at = pa;
    *value = nondet_u64();
    return nondet_int();
}

static int cas_any(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    uint64_t changed = expected ^ desired;

    (void)user;
    PROVE(pa == last_at);
    PROVE(changed == UINT64_C(1) << 10 || changed == UINT64_C(1) << 50); /* AF, in either order */
    updates++;
    return nondet_int();
}

PROOF(walk_arm64_s1, 12)
{
    const hvcore_arm64_walk_mem mem = {.read64 = read_any, .cas64 = cas_any};
    hvcore_arm64_walk_options o;
    hvcore_arm64_sys sys;
    hvcore_arm64_walk_request request;
    hvcore_arm64_walk_result out;
    bool write = bit(request.access, 1);

    ASSUME(!(o.features & HVCORE_ARM64_FEAT_EL2) || request.regime || !(sys.hcr_el2 & 0x1001));
    reads = updates = 0;
    hvcore_arm64_walk(&o, &sys, &mem, &request, &out);
    PROVE(out.reads <= reads && reads <= 5 && updates <= 1);
    PROVE(!updates || !bit(request.access, 6));
    PROVE(out.kind <= 3 || out.kind == 5);
    PROVE(out.kind != 1 || (out.gpa == last_at && out.fault == 0));
    PROVE(out.kind != 3 || out.fault == 5);
    PROVE(out.kind != 5 || (reads == 0 && out.fault >= 1 && out.fault <= 3));
    if (out.kind)
        return;
    if (out.fault) {
        PROVE(out.fault <= 4 && out.stage == 1 && out.level >= -1 && out.level <= 3);
        PROVE(out.pa == 0 && out.ipa == 0 && out.size == 0 && out.prot == 0);
        return;
    }
    PROVE(out.pa >> o.pa_bits == 0 && out.pa == out.ipa && out.size >= 4096);
    PROVE((out.size & (out.size - 1)) == 0 && ((out.pa ^ request.va) & (out.size - 1)) == 0);
    PROVE(out.prot < 4 && (bit(request.access, 3) || bit(out.prot, write ? 1 : 0)));
    PROVE(out.attr <= 0xff && out.sh <= 3);
}
