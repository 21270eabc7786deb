/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What QEMU is known to do against the architecture (specs at-walker.md, 9.3), each by name: where
 * it may show, and how the unit is told to do the same. An answer is known if the unit gives it
 * with some of those that may show, as few as possible; all others are failures.
 */
#include "tests/system/arm64/at_known.h"

#define FST_SHIFT 1
#define FST_ADDRESS_SIZE 0x00u
#define FST_PERMISSION 0x0cu
#define ISS_S1PTW BIT(7)
#define PAR_RES1 BIT(11)
#define TTBR_HIGH MASK(5, 2)

static uint64_t hcr(const state *s)
{
    return s->sys.hcr_el2;
}

/* The fault, without its level; or no fault of that stage. */
static bool is_fault(const outcome *o, uint32_t fst, uint64_t where)
{
    return !o->abort && o->par & PAR_F && (o->par & (PAR_S | PAR_PTW)) == where &&
           (field(o->par, FST_SHIFT, 6) & ~3u) == fst;
}

/* ---- HCR_EL2 ---- */

/* TGE without E2H turns stage 1 of EL1&0 off; for AT QEMU does not do that. */
static bool tge_may(const state *s, const outcome *unit)
{
    (void)unit;
    return known_is_el10(s) && hcr(s) & HCR_TGE && s->sys.sctlr_el1 & SCTLR_M;
}

static void tge_vary(const state *s, variant *v)
{
    (void)s;
    v->sys.hcr_el2 &= ~(HCR_TGE | HCR_PTW); /* PTW means nothing with TGE */
}

/* {NV, NV1} = {1, 1} turns PAN off for EL1&0; QEMU does so for EL2&0 too. */
static bool pan_may(const state *s, const outcome *unit)
{
    (void)unit;
    return !known_is_el10(s) && s->pan && hcr(s) & HCR_NV && hcr(s) & HCR_NV1;
}

static void pan_vary(const state *s, variant *v)
{
    (void)s;
    v->pan = false;
}

/* A table in Device memory, with PTW, is a fault of the stage 2 leaf's level; QEMU says 0, and the
 * walk has set access flags by then. */
static bool ptw_may(const state *s, const outcome *unit)
{
    (void)unit;
    return s->two && hcr(s) & HCR_PTW;
}

static void ptw_turn(state *s, const variant *v, const outcome *hardware, outcome *unit)
{
    static outcome without;
    variant w = *v;

    if (unit->abort ? (unit->esr & (ISS_S1PTW | 0x3c)) != (ISS_S1PTW | FST_PERMISSION)
                    : !is_fault(unit, FST_PERMISSION, PAR_S | PAR_PTW)) {
        return;
    }
    w.sys.hcr_el2 &= ~HCR_PTW;
    at_unit(s, &w, &without);
    if (without.reads == unit->reads) { /* it was another permission that was missing */
        return;
    }
    unit->par &= ~(UINT64_C(3) << FST_SHIFT);
    unit->esr &= ~UINT64_C(3);
    for (uint32_t i = 0; i < s->used; i++) {
        uint64_t change = hardware->words[i] ^ unit->words[i];

        if (s->words[i].stage == 2 && (change == DESC_AF || __builtin_bswap64(change) == DESC_AF)) {
            unit->words[i] = hardware->words[i];
        }
    }
}

/* Without stage 2 PTW means nothing; QEMU's S1 instructions fault on the first table all the same.
 */
static bool ptw_vm0_may(const state *s, const outcome *unit)
{
    (void)unit;
    return known_is_el10(s) && !s->two && hcr(s) & HCR_PTW && !at_is_s12(s->op);
}

static void ptw_vm0_turn(state *s, const variant *v, const outcome *hardware, outcome *unit)
{
    (void)v, (void)hardware;
    if (unit->reads) {
        unit->abort = false;
        unit->par = PAR_F | PAR_S | PAR_PTW | PAR_RES1 | FST_PERMISSION << FST_SHIFT;
        for (uint32_t i = 0; i < s->used; i++) {
            unit->words[i] = s->words[i].value;
        }
    }
}

/* ---- addresses ---- */

/* Bits 51:48 of addresses in descriptors and TTBR are too much for an output size of 48 bits or
 * less: an Address size fault. QEMU does not look at them then (of DS at 51:50). */
static bool high_may(const state *s, const outcome *unit)
{
    (void)unit;
    return ((s->s1.high_64k || s->s1.ds) && s->s1.out <= 48) ||
           (s->two && (s->s2.high_64k || s->s2.ds) && s->s2.out <= 48);
}

static uint64_t high_bits(const stage *t)
{
    return t->out > 48 ? 0 : t->high_64k ? MASK(15, 12) : t->ds ? MASK(9, 8) : 0;
}

static void high_vary(const state *s, variant *v)
{
    v->ignore[0] |= high_bits(&s->s1);
    v->ignore[1] |= s->two ? high_bits(&s->s2) : 0;
}

static void base_vary(const state *s, variant *v)
{
    if (s->s1.ds && s->s1.out <= 48) {
        v->sys.ttbr0_el1 &= ~TTBR_HIGH;
        v->sys.ttbr1_el1 &= ~TTBR_HIGH;
        v->sys.ttbr0_el2 &= ~TTBR_HIGH;
        v->sys.ttbr1_el2 &= ~TTBR_HIGH;
    }
    if (s->two && s->s2.ds && s->s2.out <= 48) {
        v->sys.vttbr_el2 &= ~TTBR_HIGH;
    }
}

/* PS = 7 is reserved: 56 bits, as many of them as there are. It is not 6, with which TTBR has
 * another form for granules of 64K. */
static bool ps_may(const state *s, const outcome *unit)
{
    (void)unit;
    return field(s->sys.tcr_el1, 32, 3) == 7 || field(s->sys.tcr_el2, 32, 3) == 7 ||
           field(s->sys.tcr_el2, 16, 3) == 7 || field(s->sys.vtcr_el2, 16, 3) == 7;
}

static void ps_vary(const state *s, variant *v)
{
    bool single = at_regime(s) == HVCORE_ARM64_REGIME_EL2;
    uint32_t at = single ? 16 : 32;

    v->sys.tcr_el1 ^= field(s->sys.tcr_el1, 32, 3) == 7 ? BIT(32) : 0;
    v->sys.tcr_el2 ^= field(s->sys.tcr_el2, at, 3) == 7 ? BIT(at) : 0;
    v->sys.vtcr_el2 ^= field(s->sys.vtcr_el2, 16, 3) == 7 ? BIT(16) : 0;
}

/* A block may be larger than the output size: then the bits of the address inside it count too.
 * QEMU looks at those of the descriptor alone. With a larger size the answer is QEMU's. */
static bool is_small(const stage *t)
{
    uint32_t largest = t->high_64k ? 42 : !t->ds ? 30 : t->shift == 12 ? 39 : 36;

    return t->out < largest;
}

static bool offset_1_may(const state *s, const outcome *unit)
{
    (void)unit;
    return is_small(&s->s1);
}

static bool offset_2_may(const state *s, const outcome *unit)
{
    (void)unit;
    return s->two && is_small(&s->s2);
}

/* A field PS of 48 bits at least. */
static uint64_t raised(uint64_t tcr, uint32_t at)
{
    return field(tcr, at, 3) >= 5 ? tcr : (tcr & ~MASK(at + 2, at)) | UINT64_C(5) << at;
}

static void offset_1_vary(const state *s, variant *v)
{
    bool single = at_regime(s) == HVCORE_ARM64_REGIME_EL2;

    v->sys.tcr_el1 = raised(v->sys.tcr_el1, 32);
    v->sys.tcr_el2 = raised(v->sys.tcr_el2, single ? 16 : 32);
}

static void offset_2_vary(const state *s, variant *v)
{
    (void)s;
    v->sys.vtcr_el2 = raised(v->sys.vtcr_el2, 16);
}

/* The run of a Contiguous descriptor that is not aligned to it: the architecture leaves open what
 * comes of that. QEMU ignores the bit. */
static bool contiguous_may(const state *s, const outcome *unit)
{
    (void)unit;
    for (uint32_t i = 0; i < s->used; i++) {
        const stage *t = s->words[i].stage == 1 ? &s->s1 : &s->s2;

        if (s->words[i].value & (t->ee ? __builtin_bswap64(DESC_CONTIGUOUS) : DESC_CONTIGUOUS)) {
            return true;
        }
    }
    return false;
}

static void contiguous_vary(const state *s, variant *v)
{
    (void)s;
    v->ignore[0] |= DESC_CONTIGUOUS;
    v->ignore[1] |= DESC_CONTIGUOUS;
}

/* ---- updates ---- */

/* AT sets no dirty state. QEMU before 10.2 clears AP[2] (sets S2AP[1]) of a writable-clean leaf. */
static bool dirty_may(const state *s, const outcome *unit)
{
    bool write = s->op == HVCORE_AT_S1E1W || s->op == HVCORE_AT_S1E0W ||
                 s->op == HVCORE_AT_S1E1WP || s->op == HVCORE_AT_S1E2W ||
                 s->op == HVCORE_AT_S12E1W || s->op == HVCORE_AT_S12E0W;

    (void)unit;
    return write;
}

static void dirty_turn(state *s, const variant *v, const outcome *hardware, outcome *unit)
{
    (void)v;
    for (uint32_t i = 0; i < s->used; i++) {
        const stage *t = s->words[i].stage == 1 ? &s->s1 : &s->s2;
        uint64_t was = t->ee ? __builtin_bswap64(unit->words[i]) : unit->words[i];
        uint64_t is = t->ee ? __builtin_bswap64(hardware->words[i]) : hardware->words[i];

        if (was & DESC_DBM && is == (t->number == 1 ? was & ~BIT(7) : was | BIT(7))) {
            unit->words[i] = hardware->words[i];
        }
    }
}

/* To set it in a stage 1 leaf takes the right to write by stage 2: as for an access flag, which
 * this variant's unit finds missing. */
static void dirty_vary(const state *s, variant *v)
{
    (void)s;
    v->ignore[0] |= DESC_AF;
}

/* From 10.2 on AT takes a writable-clean leaf for a read-only one. */
static void dbm_vary(const state *s, variant *v)
{
    bool single = at_regime(s) == HVCORE_ARM64_REGIME_EL2;

    v->sys.tcr_el1 &= ~TCR_HD;
    v->sys.tcr_el2 &= single ? ~BIT(22) : ~TCR_HD;
    v->sys.vtcr_el2 &= ~VTCR_HD;
}

/* ---- the table ---- */

static const known table[] = {
    {"TGE without E2H leaves stage 1 on", tge_may, tge_vary, NULL},
    {"SCTLR.C = 0 does not make memory Non-cacheable", known_c_may, known_c, NULL},
    {"HCR.CD does nothing with FWB", known_cd_may, known_cd, NULL},
    {"NV1 turns PAN off for EL2&0", pan_may, pan_vary, NULL},
    {"HCR.PTW: level 0", ptw_may, NULL, ptw_turn},
    {"HCR.PTW counts without stage 2", ptw_vm0_may, NULL, ptw_vm0_turn},
    {"OA[51:48] is ignored where the output size is 48 or less", high_may, high_vary, NULL},
    {"TTBR[5:2] is ignored where the output size is 48 or less", high_may, base_vary, NULL},
    {"stage 1: the offset in a block may exceed the output size", offset_1_may, offset_1_vary,
     NULL},
    {"stage 2: the offset in a block may exceed the output size", offset_2_may, offset_2_vary,
     NULL},
    {"Contiguous is ignored", contiguous_may, contiguous_vary, NULL},
    {"FWB: Device of stage 2 replaces that of stage 1", known_both_may, NULL, known_fwb_device},
    {"Normal's inner nibble is read as a Device type", known_both_may, NULL, known_nibble},
    {"Write-Through loses the Transient hint", known_both_may, NULL, known_transient},
    {"a lower nibble of 0 in MAIR is combined as it stands", known_both_may, NULL, known_raw},
    {"XS is not in what both stages come to", known_both_may, known_xs, NULL},
    {"AT does not look at DBM", dirty_may, dbm_vary, NULL},
    {"AT sets the dirty state", dirty_may, NULL, dirty_turn},
    {"AT sets the dirty state, which stage 2 does not let it", dirty_may, dirty_vary, NULL},
    {"PS = 7 is 6", ps_may, ps_vary, NULL},
};

static uint64_t met[COUNT(table)];

/* ---- the search ---- */

static void read_as(state *s, uint32_t set, const outcome *hardware, outcome *o)
{
    variant v = at_plain(s);

    for (uint32_t i = 0; i < COUNT(table); i++) {
        if (set >> i & 1 && table[i].vary) {
            table[i].vary(s, &v);
        }
    }
    at_unit(s, &v, o);
    for (uint32_t i = 0; i < COUNT(table) && hardware; i++) {
        if (set >> i & 1 && table[i].turn) {
            table[i].turn(s, &v, hardware, o);
        }
    }
}

/* Those that may show, of those that change the reading (or not). */
static uint32_t candidates(const state *s, const outcome *unit, bool varying)
{
    uint32_t set = 0;

    for (uint32_t i = 0; i < COUNT(table); i++) {
        set |= (table[i].vary || !varying) && table[i].may(s, unit) ? 1u << i : 0;
    }
    return set;
}

static uint32_t ones(uint32_t set)
{
    uint32_t n = 0;

    for (; set; set &= set - 1) {
        n++;
    }
    return n;
}

bool at_is_known(state *s, const outcome *hardware, const outcome *unit)
{
    static outcome o;
    uint32_t all = candidates(s, unit, false), set;

    for (uint32_t n = 1; n <= 4; n++) {
        for (set = all; set; set = (set - 1) & all) {
            if (ones(set) != n) {
                continue;
            }
            read_as(s, set, hardware, &o);
            if (at_same(s, hardware, &o)) {
                for (uint32_t i = 0; i < COUNT(table); i++) {
                    met[i] += set >> i & 1;
                }
                return true;
            }
        }
    }
    return false;
}

/* QEMU before 10.0.13 ends with an assertion where AT S12* comes to a permission fault of stage 2.
 */
enum at_fate at_foresee(state *s, const outcome *unit)
{
    static outcome o;
    uint32_t all = candidates(s, unit, true), set = all;
    bool deadly = at_is_s12(s->op) && image_argument("qemu=", 0) < 100013;

    do {
        read_as(s, set, NULL, &o);
        if (o.astray) {
            return AT_ASTRAY;
        }
        if (deadly && is_fault(&o, FST_PERMISSION, PAR_S)) {
            return AT_DEADLY;
        }
        set = (set - 1) & all;
    } while (set != all);
    return AT_FINE;
}

void at_known_summary(void)
{
    for (uint32_t i = 0; i < COUNT(table); i++) {
        if (met[i]) {
            put("known "), put(table[i].name), put(": "), put_number(met[i]), put(" cases\n");
        }
    }
}
