/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of an arm64 stage 1 walk (DDI0487 D8.2; specs at-walker.md 3.1 to 3.3): what all
 * registers, regimes and features come to before the first fetch, and which addresses are legal
 * then; from there, over memory that may hold anything, where each level's descriptor is looked
 * for, the general way and the short one; and what a leaf's output is made of.
 */
#include "lib/walk/arm64.c"
#include "lib/walk/arm64_descend.c"
#include "lib/walk/arm64_params.c"

#include "tests/proofs/walk_arm64.h"

PROOF(walk_arm64_params, 12)
{
    hvcore_arm64_walk_options o;
    hvcore_arm64_sys sys;
    struct hvc_arm64_walk w;
    struct hvc_arm64_stage *t = &w.s1.t;
    bool upper = bit(nondet_u64(), 55), one;
    fields f;

    ASSUME(sound(&o, w.regime));
    w.upper = upper;
    w.opt = &o;
    w.sys = &sys;
    one = upper && w.regime != 1;
    f = fields_of(&sys, w.regime, upper);
    hvc_arm64_s1_params(&w);
    PROVE(t->granule == granule_of(&o, f.tg, one));
    PROVE(t->beyond == UINT64_MAX << output_of(&o, t->granule, f.ps));
    PROVE(w.s1.ready == fault_of(&o, &f, t->granule, t->ia, t->lsb));
    if (w.s1.ready != HVCORE_ARM64_FAULT_NONE)
        return;
    PROVE(well_formed(t));
    PROVE(t->blocks == blocks_of(t->granule, o.pa_bits, t->ds));
    PROVE(t->high == (t->granule == 2 && o.pa_bits >= 52 ? 1 : t->ds ? 2 : 0));
    PROVE((t->base & t->beyond) == 0);
    PROVE(((t->base ^ f.ttbr) & (UINT64_C(0xffffffffffff) << (t->ia - t->lsb + 3)) &
           UINT64_C(0xffffffffffc0)) == 0);
}

/* --- the descent ------------------------------------------------------------------------------ */

static const struct hvc_arm64_stage *stage;
static uint64_t va, last, last_at, tables;
static unsigned reads;
static int last_status;

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
    if (reads++)
        tables |= last;
    *value = nondet_u64();
    last = in_order(*value);
    last_at = pa;
    last_status = nondet_int();
    return last_status;
}

static void begin(const struct hvc_arm64_stage *s, uint64_t addr)
{
    stage = s;
    va = addr;
    reads = 0;
    tables = 0;
}

/* What a descent that has ended at `c` must be. */
static bool has_descended(const struct hvc_arm64_stage *s, const struct hvc_arm64_cursor *c)
{
    return c->addr == va && c->at == last_at && c->desc == last && c->tables == tables &&
           c->level == s->start + (int)reads - 1 && c->level <= 3 &&
           c->lsb == lowest_bit(page_of(s), c->level) && c->index == reads - 1;
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
    w.mem = &mem;
    w.out = &out;
    w.opt = &o;
    w.sys = &sys;
    out.reads = 0;
    begin(&s, c.addr);
    leaf = hvc_arm64_descend(&w, &s, &c, false);
    PROVE(reads >= 1 && reads <= 5 && out.reads <= reads);
    if (!leaf)
        return;
    PROVE(out.reads == reads && has_descended(&s, &c));
    PROVE(bit(last, 0) && (bit(last, 1) ? c.level == 3 : c.level < 3 || bit(s.blocks, 4)));
    PROVE(out.read[reads - 1].gpa == c.at);
}

/* Where the short way ends, if it does not do it all: noted. */
static unsigned walks, rests;
static bool rest_is_right;

void hvc_arm64_s1_walk(struct hvc_arm64_walk *w, const hvcore_arm64_walk_mem *mem,
                       const hvcore_arm64_walk_request *request, hvcore_arm64_walk_result *out)
{
    (void)w, (void)mem, (void)request, (void)out;
    walks++;
}

void hvc_arm64_s1_rest(struct hvc_arm64_walk *w, const hvcore_arm64_walk_mem *mem,
                       const hvcore_arm64_walk_request *request, hvcore_arm64_walk_result *out,
                       struct hvc_arm64_cursor *c, int status)
{
    (void)mem, (void)request, (void)out;
    rests++;
    rest_is_right = status == last_status && c->stage == 1 && c->notes == 0 && !w->two &&
                    has_descended(&w->s1.t, c);
}

/* The same descent as the walk that is compiled into its users: for all registers. */
PROOF(walk_arm64_hot, 10)
{
    const hvcore_arm64_walk_mem mem = {.read64 = read_any};
    struct hvc_arm64_walk w;
    const struct hvc_arm64_stage *s = &w.s1.t;
    hvcore_arm64_walk_options o;
    hvcore_arm64_sys sys;
    hvcore_arm64_walk_request request;
    hvcore_arm64_walk_result out;
    uint64_t size;
    uint32_t why;

    walks = rests = 0;
    begin(s, request.va);
    why = hvc_arm64_prepare(&w, &o, &sys, request.regime, bit(va, 55));
    hvc_arm64_walk_with(&o, &sys, &mem, &request, &out, read_any);
    if (why) {
        PROVE(out.kind == HVCORE_ARM64_WALK_REFUSED && out.fault == why && reads == 0);
        return;
    }
    PROVE((walks != 0) == (reads == 0) && walks + rests <= 1);
    if (walks)
        return;
    PROVE(out.reads == reads - (last_status != 0) && out.read[reads - 1].gpa == last_at);
    if (rests) {
        PROVE(rest_is_right);
        return;
    }
    size = out.size;
    PROVE(out.kind == HVCORE_ARM64_WALK_DONE && out.fault == 0 && last_status == 0);
    PROVE(out.level == s->start + (int)reads - 1 && out.level <= 3);
    PROVE(bit(last, 0) && bit(last, 10) && !bit(last, 52));
    PROVE(bit(last, 1) ? out.level == 3 : bit(s->blocks, out.level + 1));
    PROVE(size == UINT64_C(1) << lowest_bit(page_of(s), out.level));
    PROVE(out.pa == ((bits(last, 47, 0) & ~(size - 1)) | (va & (size - 1))));
    PROVE((out.pa & s->beyond) == 0 && out.ipa == out.pa);
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
