/* SPDX-License-Identifier: Apache-2.0 */
/* Stage 2 (specs 4): of stage 1 tables, and of the result. */
#include "lib/walk/arm64_hot.h"

static const uint32_t S1PTW = HVCORE_ARM64_NOTE_S1PTW;

/* Down to the leaf. First what is wrong whatever the address, in the order of specs 4.2. */
static bool descend(struct hvc_arm64_walk *w, struct hvc_arm64_cursor *c)
{
    const struct hvc_arm64_s2 *s = &w->s2;

    if (s->ready == HVCORE_ARM64_FAULT_TRANSLATION || c->addr >> s->t.ia) {
        return hvc_arm64_fault(w, c, HVCORE_ARM64_FAULT_TRANSLATION, 0, 0);
    }
    if (s->ready != HVCORE_ARM64_FAULT_NONE) {
        return hvc_arm64_fault(w, c, s->ready, 0, 0);
    }
    return hvc_arm64_descend(w, &s->t, c, false);
}

/* HCR_EL2.PTW: tables do not lie in Device memory. */
static bool protected_walk(const struct hvc_arm64_walk *w, const struct hvc_arm64_cursor *c)
{
    return w->s2.flags & S2_PTW && c->notes & S1PTW && hvc_arm64_s2_device(&w->s2, c->desc);
}

static bool permitted(struct hvc_arm64_walk *w, const struct hvc_arm64_cursor *c, uint32_t need,
                      uint32_t *prot)
{
    uint32_t notes = 0;

    *prot = hvc_arm64_s2_rights(w, c, &notes);
    if (!protected_walk(w, c) && (*prot & need) == need) {
        return true;
    }
    /* The dirty state is what is missing only where nothing else is. */
    if (protected_walk(w, c) || (need & ~*prot) != HVCORE_PROT_W) {
        notes = 0;
    }
    return hvc_arm64_fault(w, c, HVCORE_ARM64_FAULT_PERMISSION, c->level, notes);
}

/* What hardware would set in the leaf. An AT leaves the dirty state of its result alone, an access
 * to a table is a real one. */
static uint64_t marks(const struct hvc_arm64_walk *w, const struct hvc_arm64_cursor *c,
                      uint32_t need)
{
    bool walk = c->notes & S1PTW;
    uint64_t set = 0;

    if (w->s2.t.ha && (walk || !(w->opt->choices & HVCORE_ARM64_CHOICE_KEEP_AF))) {
        set |= DESC_AF;
    }
    if (w->s2.t.hd && walk && need & HVCORE_PROT_W &&
        (w->s2.flags & S2_PIE || c->desc & DESC_DBM)) {
        set |= DESC_S2_DIRTY;
    }
    return set & ~c->desc;
}

/* Permissions and updates of the leaf under the cursor. */
static bool settle(struct hvc_arm64_walk *w, struct hvc_arm64_cursor *c, uint32_t need,
                   uint32_t *prot)
{
    uint64_t missing;

    if (!permitted(w, c, need, prot)) {
        return false;
    }
    missing = marks(w, c, need);
    return !missing || hvc_arm64_update(w, &w->s2.t, c, c->desc | missing);
}

bool hvc_arm64_table_at(struct hvc_arm64_walk *w, uint64_t ipa, uint64_t *at)
{
    struct hvc_arm64_cursor *c = &w->under;
    uint32_t prot;

    c->addr = ipa;
    c->stage = 2;
    c->notes = S1PTW;
    return descend(w, c) && hvc_arm64_leaf_ok(w, &w->s2.t, c, at) &&
           settle(w, c, HVCORE_PROT_R, &prot);
}

/* No second walk: the leaf is still under w->under. */
bool hvc_arm64_table_writable(struct hvc_arm64_walk *w)
{
    uint32_t prot;

    return settle(w, &w->under, HVCORE_PROT_R | HVCORE_PROT_W, &prot);
}

bool hvc_arm64_final(struct hvc_arm64_walk *w, struct hvc_arm64_found *f,
                     struct hvc_arm64_memtype *m)
{
    bool write = w->access & HVCORE_ARM64_ACCESS_WRITE;
    struct hvc_arm64_cursor c = {.addr = f->to, .stage = 2};
    uint64_t pa, size;
    uint32_t prot;

    c.notes = write ? HVCORE_ARM64_NOTE_WRITE : 0;
    if (!descend(w, &c) || !hvc_arm64_leaf_ok(w, &w->s2.t, &c, &pa) ||
        !settle(w, &c, write ? HVCORE_PROT_W : HVCORE_PROT_R, &prot)) {
        return false;
    }
    size = UINT64_C(1) << c.lsb;
    f->size = size < f->size ? size : f->size;
    f->prot &= prot;
    hvc_arm64_memtype_combine(w, c.desc, m);
    hvc_arm64_done(w->out, f, pa, hvc_arm64_memtype_attr(w->opt, m), hvc_arm64_memtype_sh(m));
    return true;
}
