/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 1 of EL1&0, for all registers, features and addresses, over memory that may hold anything: where
 * each level's descriptor is looked for, how many there are, and what the result's address is made of
 * (DDI0487 D8.2; specs at-walker.md 3.2, 3.3).
 */
#include "lib/walk/arm64.c"
#include "lib/walk/arm64_descend.c"
#include "lib/walk/arm64_memtype.c"
#include "lib/walk/arm64_params.c"
#include "lib/walk/arm64_permission.c"
#include "lib/walk/arm64_s1.c"
#include "lib/walk/arm64_s2.c"

#include "tests/proofs/proof.h"

/* What the architecture says of the range in question. */
static uint64_t va, ttbr, last;
static unsigned page, ia, level, reads; /* bits of a page offset and of the input address */
static bool big_endian;

static unsigned lowest_bit(unsigned at)
{
    return page + (page - 3) * (3 - at);
}

/* The first level is the last from which all bits of the input address can be resolved. */
static unsigned first_level(void)
{
    unsigned levels = (ia - page + page - 4) / (page - 3);

    return 4 - levels; /* -1 for five of them */
}

static uint64_t in_order(uint64_t d)
{
    uint64_t swapped = 0;

    for (unsigned i = 0; i < 8; i++)
        swapped |= bits(d, 8 * i + 7, 8 * i) << (56 - 8 * i);
    return big_endian ? swapped : d;
}

static void check_first(uint64_t pa)
{
    unsigned index = ia - lowest_bit(level), aligned = index + 3 > 6 ? index + 3 : 6;

    PROVE(bits(pa, index + 2, 3) == bits(va, ia - 1, lowest_bit(level)));
    PROVE(bits(pa, 47, aligned) == bits(ttbr, 47, aligned));
}

static int read_any(void *user, uint64_t pa, uint64_t *value)
{
    (void)user;
    PROVE(pa % 8 == 0 && pa >> 52 == 0);
    PROVE(reads < 5);
    if (reads == 0) {
        level = first_level();
        check_first(pa);
    } else {
        level++;
        PROVE((int)level <= 3);
        PROVE(bits(pa, page - 1, 3) == bits(va, lowest_bit(level) + page - 4, lowest_bit(level)));
        PROVE(bits(pa, 47, page) == bits(last, 47, page));
        PROVE(bits(last, 1, 0) == 3);
    }
    reads++;
    *value = nondet_u64();
    last = in_order(*value);
    return nondet_int();
}

static int cas_any(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    (void)user;
    PROVE(pa % 8 == 0 && bits(in_order(expected), 1, 0) != 0);
    PROVE(in_order(desired) == (in_order(expected) | 1 << 10)); /* the access flag alone */
    return nondet_int();
}

static void walk(unsigned tg, unsigned shift)
{
    const hvcore_arm64_walk_mem mem = {.read64 = read_any, .cas64 = cas_any};
    hvcore_arm64_walk_options o;
    hvcore_arm64_sys sys;
    hvcore_arm64_walk_request q;
    hvcore_arm64_walk_result r;
    bool upper = bit(q.va, 55);

    ASSUME(!bit(o.features, 0) && (o.features & 0xe) == 0xe); /* no EL2; all granules */
    ASSUME(!(o.features & HVCORE_ARM64_FEAT_D128) && o.pa_bits <= 52);
    ASSUME(!(o.choices & HVCORE_ARM64_CHOICE_CLAMP_TXSZ));
    ASSUME(bit(sys.sctlr_el1, 0)); /* M */
    ASSUME(upper ? bits(sys.tcr_el1, 31, 30) == tg : bits(sys.tcr_el1, 15, 14) == tg);
    q.regime = HVCORE_ARM64_REGIME_EL10;
    page = shift;
    va = q.va;
    ttbr = upper ? sys.ttbr1_el1 : sys.ttbr0_el1;
    ia = 64 - (upper ? bits(sys.tcr_el1, 21, 16) : bits(sys.tcr_el1, 5, 0));
    big_endian = bit(sys.sctlr_el1, 25);
    reads = 0;
    hvcore_arm64_walk(&o, &sys, &mem, &q, &r);
    PROVE(r.kind <= HVCORE_ARM64_WALK_REFUSED && r.reads <= 5 && r.reads <= reads);
    if (r.kind != HVCORE_ARM64_WALK_DONE || r.fault)
        return;
    PROVE(r.size >= UINT64_C(1) << page && (r.size & (r.size - 1)) == 0);
    PROVE(((r.pa ^ va) & (r.size - 1)) == 0);
    PROVE(r.pa >> o.pa_bits == 0);
    PROVE(r.ipa == r.pa && r.level == (int)level && r.reads == reads);
    PROVE((r.pa ^ last) >> lowest_bit(level) << lowest_bit(level) << 16 < r.size << 16 ||
          bits(r.pa, 47, lowest_bit(level)) == bits(last, 47, lowest_bit(level)) || bit(last, 52));
    PROVE(r.prot & (bit(q.access, 1) ? HVCORE_PROT_W : HVCORE_PROT_R) || bit(q.access, 3));
}

static void granule(unsigned lower_tg, unsigned upper_tg, unsigned shift)
{
    bool upper;

    walk(upper ? upper_tg : lower_tg, shift);
}

PROOF_MODEL(walk_arm64_4k, 9)
{
    granule(0, 2, 12);
}
