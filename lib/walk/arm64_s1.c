/* SPDX-License-Identifier: Apache-2.0 */
/* Stage 1 before the tables (specs 3.3, steps 1 to 5; 3.6) and at the leaf (steps 9 to 12). */
#include "lib/walk/arm64_hot.h"

/* Both stages, if the access asks for both. */
static void finish(struct hvc_arm64_walk *w, struct hvc_arm64_found *f, struct hvc_arm64_memtype *m)
{
    if (w->two && w->access & HVCORE_ARM64_ACCESS_STAGE2) {
        hvc_arm64_final(w, f, m);
        return;
    }
    hvc_arm64_done(w->out, f, f->to, hvc_arm64_memtype_attr(w->opt, m), hvc_arm64_memtype_sh(m));
}

/* ---- without tables ---- */

/* Stage 1 off is a flat translation: the address must fit, and loses its tag. */
static bool off(struct hvc_arm64_walk *w, const struct hvc_arm64_cursor *c)
{
    bool dc = w->regime == HVCORE_ARM64_REGIME_EL10 && w->hcr & HCR_DC;
    uint64_t low = w->va & ARM64_MASK(55, 0);
    struct hvc_arm64_found f = {low, ARM64_BIT(w->opt->pa_bits), HVCORE_PROT_R | HVCORE_PROT_W, 0};
    struct hvc_arm64_memtype m = {.sh = SH_OUTER, .device = true, .xs = true};

    if ((w->s1.flags & S1_TBI ? low : w->va) >> w->opt->pa_bits) {
        return hvc_arm64_fault(w, c, HVCORE_ARM64_FAULT_ADDRESS_SIZE, 0, 0);
    }
    if (dc) {
        hvc_arm64_normal(&m, MEMTYPE_WB, SH_NONE, false);
        m.tagged = w->opt->features & HVCORE_ARM64_FEAT_MTE2 && w->hcr & HCR_DCT;
    }
    finish(w, &f, &m);
    return false;
}

/* Is an address of the prepared range legal, as far as that does not depend on tables (specs 3.3, 1
 * to 4)? */
static bool in_range(const struct hvc_arm64_walk *w)
{
    const struct hvc_arm64_s1 *s = &w->s1;

    if (s->flags & S1_E0PD && w->access & HVCORE_ARM64_ACCESS_EL0) {
        return false;
    }
    return !((w->va ^ s->sign) & s->above);
}

/* Stage 1 is off, or the address is a fault before any table. */
static bool early(struct hvc_arm64_walk *w, const struct hvc_arm64_cursor *c)
{
    uint32_t ready = w->s1.ready;

    if (w->s1.flags & S1_OFF) {
        return off(w, c);
    }
    if (ready == HVCORE_ARM64_FAULT_TRANSLATION || !in_range(w)) {
        return hvc_arm64_fault(w, c, HVCORE_ARM64_FAULT_TRANSLATION, w->s1.early, 0);
    }
    return ready == HVCORE_ARM64_FAULT_NONE || hvc_arm64_fault(w, c, ready, 0, 0);
}

/* ---- the leaf ---- */

/* HA: AF goes in with one compare-and-swap, which stage 2 must allow (specs 3.5). */
static HVC_ARM64_COLD bool set_af(struct hvc_arm64_walk *w, struct hvc_arm64_cursor *c,
                                  bool allowed)
{
    uint32_t choices = w->opt->choices;

    if (choices & HVCORE_ARM64_CHOICE_KEEP_AF ||
        !(allowed || choices & HVCORE_ARM64_CHOICE_AF_BEFORE_PERMISSION)) {
        return true;
    }
    if (w->two && !hvc_arm64_table_writable(w)) {
        return false;
    }
    return hvc_arm64_update(w, &w->s1.t, c, c->desc | DESC_AF);
}

/* Permissions, then the access flag: steps 11 and 12. */
static inline bool settle(struct hvc_arm64_walk *w, struct hvc_arm64_cursor *c, uint32_t *prot)
{
    bool write = w->access & HVCORE_ARM64_ACCESS_WRITE;
    uint32_t notes = 0, need = write ? HVCORE_PROT_W : HVCORE_PROT_R;
    bool allowed;

    *prot = hvc_arm64_s1_rights(w, c, &notes);
    allowed = *prot & need || w->access & HVCORE_ARM64_ACCESS_ANY;
    if (!(c->desc & DESC_AF) && !set_af(w, c, allowed)) {
        return false;
    }
    if (allowed) {
        return true;
    }
    notes |= write ? HVCORE_ARM64_NOTE_WRITE : 0;
    return hvc_arm64_fault(w, c, HVCORE_ARM64_FAULT_PERMISSION, c->level, notes);
}

/* The leaf's byte of MAIR or MAIR2. */
static inline uint32_t mair_byte(const struct hvc_arm64_walk *w, uint64_t desc)
{
    const hvcore_arm64_sys *sys = w->sys;
    uint64_t mair = w->s1.flags & S1_EL2 ? sys->mair_el2 : sys->mair_el1;

    if (w->s1.flags & S1_AIE && desc >> DESC_ATTR3_SHIFT & 1) {
        mair = w->s1.flags & S1_EL2 ? sys->mair2_el2 : sys->mair2_el1;
    }
    return arm64_bits(mair, 8 * arm64_bits(desc, DESC_ATTR_SHIFT, 3), 8);
}

static void leaf(struct hvc_arm64_walk *w, struct hvc_arm64_cursor *c)
{
    struct hvc_arm64_found f = {.level = c->level, .size = UINT64_C(1) << c->lsb};
    struct hvc_arm64_memtype m;
    uint32_t sh;

    if (!hvc_arm64_leaf_ok(w, &w->s1.t, c, &f.to) || !settle(w, c, &f.prot)) {
        return;
    }
    sh = w->s1.t.ds ? w->s1.t.sh : arm64_bits(c->desc, DESC_SH_SHIFT, 2);
    hvc_arm64_mair(&m, w->opt, mair_byte(w, c->desc), sh);
    if (!(w->s1.sctlr & SCTLR_C) && !m.device) { /* specs 3.7 */
        hvc_arm64_normal(&m, MEMTYPE_NC, m.sh, m.xs);
    }
    finish(w, &f, &m);
}

/* ---- the walk ---- */

static void set_access(struct hvc_arm64_walk *w, const hvcore_arm64_walk_mem *mem,
                       const hvcore_arm64_walk_request *request, hvcore_arm64_walk_result *out)
{
    w->mem = mem;
    w->out = out;
    w->va = request->va;
    w->access = request->access;
}

HVC_ARM64_COLD void hvc_arm64_s1_walk(struct hvc_arm64_walk *w, const hvcore_arm64_walk_mem *mem,
                                      const hvcore_arm64_walk_request *request,
                                      hvcore_arm64_walk_result *out)
{
    struct hvc_arm64_cursor c = {.addr = request->va, .stage = 1};

    set_access(w, mem, request, out);
    out->notes = 0;
    out->reads = 0;
    if (early(w, &c) && hvc_arm64_descend(w, &w->s1.t, &c, w->two)) {
        leaf(w, &c);
    }
}

HVC_ARM64_COLD void hvc_arm64_s1_rest(struct hvc_arm64_walk *w, const hvcore_arm64_walk_mem *mem,
                                      const hvcore_arm64_walk_request *request,
                                      hvcore_arm64_walk_result *out, struct hvc_arm64_cursor *c,
                                      int status)
{
    set_access(w, mem, request, out);
    if (status != HVCORE_ARM64_MEM_OK) {
        hvc_arm64_no_access(w, c, c->at, c->level, status, 0);
    } else if (hvc_arm64_is_table(c->desc, c->level)) { /* what it points to is too far */
        hvc_arm64_fault(w, c, HVCORE_ARM64_FAULT_ADDRESS_SIZE, c->level, 0);
    } else if (!hvc_arm64_is_leaf(&w->s1.t, c->desc, c->level)) {
        hvc_arm64_fault(w, c, HVCORE_ARM64_FAULT_TRANSLATION, c->level, 0);
    } else {
        leaf(w, c);
    }
}
