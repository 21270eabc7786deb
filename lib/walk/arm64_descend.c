/* SPDX-License-Identifier: Apache-2.0 */
/* From the first table of a stage to a leaf (specs 3.3, steps 6 to 10; the same in stage 2). */
#include "lib/walk/arm64_walk.h"

static void record(hvcore_arm64_walk_result *out, uint64_t at, uint64_t raw)
{
    if (out->reads < HVCORE_ARM64_WALK_READS) { /* levels bound it; guests are hostile */
        out->read[out->reads].gpa = at;
        out->read[out->reads].raw = raw;
        out->reads++;
    }
}

/* The descriptor at an address of the stage's own input space. */
static bool fetch(struct hvc_arm64_walk *w, const struct hvc_arm64_stage *s,
                  struct hvc_arm64_cursor *c, uint64_t at, bool nested)
{
    uint64_t raw = 0;
    int status;

    if (nested && !hvc_arm64_table_at(w, at, &at)) {
        return false;
    }
    status = w->mem->read64(w->mem->user, at, &raw);
    if (status != HVCORE_ARM64_MEM_OK) {
        return hvc_arm64_no_access(w, c, at, c->level, status, 0);
    }
    record(w->out, at, raw);
    c->at = at;
    c->index = w->out->reads - 1;
    c->desc = s->ee ? hvc_arm64_swap(raw) : raw;
    return true;
}

/* Where a table descriptor points to. */
static uint64_t next_table(const struct hvc_arm64_stage *s, uint64_t d)
{
    uint64_t base = d & s->table;

    return s->high == HIGH_NONE ? base : base | hvc_arm64_high(s->high, d);
}

bool hvc_arm64_descend(struct hvc_arm64_walk *w, const struct hvc_arm64_stage *s,
                       struct hvc_arm64_cursor *c, bool nested)
{
    uint64_t addr = c->addr & s->in, base = s->base, entry = addr >> (s->lsb - 3) & ~UINT64_C(7);

    c->tables = 0;
    c->level = s->start;
    c->lsb = s->lsb;
    while (fetch(w, s, c, base | entry, nested)) {
        if (!hvc_arm64_is_table(c->desc, c->level)) {
            return hvc_arm64_is_leaf(s, c->desc, c->level) ||
                   hvc_arm64_fault(w, c, HVCORE_ARM64_FAULT_TRANSLATION, c->level, 0);
        }
        base = next_table(s, c->desc);
        if (base & s->beyond) {
            return hvc_arm64_fault(w, c, HVCORE_ARM64_FAULT_ADDRESS_SIZE, c->level, 0);
        }
        c->tables |= c->desc;
        c->level++;
        c->lsb -= s->stride;
        entry = addr >> (c->lsb - 3) & s->in_entry;
    }
    return false;
}

/* ---- the leaf ---- */

/* Bits that a contiguous run adds to a leaf, by granule and level (specs 3.2). */
static uint32_t run(const struct hvc_arm64_stage *s, int32_t level)
{
    static const uint8_t bits[3][4] = {{0, 4, 4, 4}, {0, 0, 5, 7}, {0, 0, 5, 5}};

    return bits[s->granule][level & 3];
}

/* What the leaf under the cursor translates its address to. */
static uint64_t leaf_output(const struct hvc_arm64_stage *s, const struct hvc_arm64_cursor *c)
{
    uint64_t a = c->desc & ARM64_MASK(47, 0);
    uint32_t lsb = c->lsb;

    a = a >> lsb << lsb;
    if (s->high != HIGH_NONE) {
        a |= hvc_arm64_high(s->high, c->desc);
    }
    if (c->desc & DESC_CONTIGUOUS) {
        lsb += run(s, c->level);
        a = a >> lsb << lsb;
    }
    return a | (c->addr & ARM64_MASK(lsb - 1, 0));
}

/* Leaves that an implementation may refuse: a run larger than the range, a block with nT. */
static bool misprogrammed(const struct hvc_arm64_walk *w, const struct hvc_arm64_stage *s,
                          const struct hvc_arm64_cursor *c)
{
    uint32_t choices = w->opt->choices;

    if (choices & HVCORE_ARM64_CHOICE_CONTIGUOUS_FAULTS && c->desc & DESC_CONTIGUOUS &&
        run(s, c->level) && c->lsb + run(s, c->level) > s->ia) {
        return true;
    }
    return choices & HVCORE_ARM64_CHOICE_NT_FAULTS && c->level < 3 && c->desc & DESC_NT;
}

bool hvc_arm64_leaf_ok(struct hvc_arm64_walk *w, const struct hvc_arm64_stage *s,
                       const struct hvc_arm64_cursor *c, uint64_t *out)
{
    uint32_t fault = HVCORE_ARM64_FAULT_NONE;

    *out = leaf_output(s, c);
    if (!(c->desc & DESC_AF) && !s->ha) {
        fault = HVCORE_ARM64_FAULT_ACCESS_FLAG;
    }
    if (*out & s->beyond) {
        fault = HVCORE_ARM64_FAULT_ADDRESS_SIZE;
    }
    if (misprogrammed(w, s, c)) {
        fault = HVCORE_ARM64_FAULT_TRANSLATION;
    }
    return fault == HVCORE_ARM64_FAULT_NONE || hvc_arm64_fault(w, c, fault, c->level, 0);
}
