/* SPDX-License-Identifier: Apache-2.0 */
/* Who may read and write (specs 3.4, 4.2, 4.3). Sets: HVCORE_PROT_R, _W, _X, and GCS. */
#include "lib/walk/arm64_permission.h"

#define R (uint32_t) HVCORE_PROT_R
#define W (uint32_t) HVCORE_PROT_W
#define X (uint32_t) HVCORE_PROT_X
#define G 8u /* guarded control stack */

/* What a leaf gives both privileges, and the code behind it where permissions are indirect. */
struct rights {
    uint32_t priv, user;
    uint32_t priv_code, user_code;
};

/* ---- direct ---- */

/* AP[2:1] as it counts. EL2: AP[1] has no meaning; NV1: it is 0; DBM with HD: writable-clean. */
static inline uint32_t ap_of(const struct hvc_arm64_s1 *s, uint64_t desc)
{
    uint32_t ap = arm64_bits(desc, DESC_AP_SHIFT, 2);

    if (s->flags & (S1_NV1 | S1_PRIVATE)) {
        ap &= 2;
    }
    return s->t.hd && desc & DESC_DBM ? ap & 1 : ap;
}

/* Could EL0 execute, for EPAN? */
static inline bool user_x(const struct hvc_arm64_s1 *s, const struct hvc_arm64_cursor *c)
{
    return !(c->desc & DESC_UXN) && !(c->tables & s->tables & DESC_UXNTABLE);
}

static inline bool pan_counts(const struct hvc_arm64_walk *w, const struct hvc_arm64_s1 *s)
{
    return w->access & HVCORE_ARM64_ACCESS_PAN && !(s->flags & (S1_NV1 | S1_PRIVATE));
}

static inline struct rights direct(const struct hvc_arm64_walk *w, const struct hvc_arm64_s1 *s,
                                   const struct hvc_arm64_cursor *c)
{
    uint32_t both = hvc_arm64_direct(ap_of(s, c->desc), c->tables & s->tables);
    struct rights r = {both & (R | W), both >> 2, 0, 0};

    if (s->flags & S1_PRIVATE) {
        r.user = 0;
    }
    if (pan_counts(w, s) && (r.user || (s->flags & S1_EPAN && user_x(s, c)))) {
        r.priv = 0;
    }
    return r;
}

/* Could the privilege that asks execute what it may write? Then WXN takes one of both. */
static bool direct_wxn(const struct hvc_arm64_walk *w, const struct hvc_arm64_s1 *s,
                       const struct hvc_arm64_cursor *c, const struct rights *r)
{
    bool swapped = s->flags & (S1_NV1 | S1_PRIVATE); /* bits 54 and 60 are PXN and PXNTable */
    uint64_t tables = c->tables & s->tables;

    if (!(s->sctlr & SCTLR_WXN)) {
        return false;
    }
    if (w->access & HVCORE_ARM64_ACCESS_EL0) {
        return r->user & W && (s->flags & S1_NV1 || user_x(s, c));
    }
    if (c->desc & (swapped ? DESC_UXN : DESC_PXN) ||
        tables & (swapped ? DESC_UXNTABLE : DESC_PXNTABLE)) {
        return false;
    }
    return r->priv & W && !(r->user & W);
}

/* ---- indirect (PIE) ---- */

static const uint8_t S1_CODE[16] = {0, R,     X,     R | X, 0,     R | W, R | W | X, R | W | X,
                                    R, R | G, R | X, 0,     R | W, 0,     R | W | X, 0};
#define CODE_WXN 6u        /* RWX that WXN takes one of */
#define CODE_NO_OVERLAY 8u /* and the codes above it */

/* {54,53,51,6} */
static inline uint32_t pi_index(uint64_t desc)
{
    return arm64_bits(desc, 53, 2) << 2 | arm64_bits(desc, 51, 1) << 1 | arm64_bits(desc, 6, 1);
}

static inline uint32_t code_of(uint64_t reg, uint64_t desc)
{
    return arm64_bits(reg, 4 * pi_index(desc), 4);
}

/* PIRE0 as it counts; with NV1 it is UNKNOWN, taken for 0. */
static uint64_t pire0_of(const struct hvc_arm64_walk *w, const struct hvc_arm64_s1 *s)
{
    if (s->flags & (S1_PRIVATE | S1_NV1)) {
        return 0;
    }
    return s->flags & S1_EL2 ? w->sys->pire0_el2 : w->sys->pire0_el1;
}

static HVC_ARM64_COLD struct rights indirect(const struct hvc_arm64_walk *w,
                                             const struct hvc_arm64_s1 *s,
                                             const struct hvc_arm64_cursor *c)
{
    uint64_t pir = s->flags & S1_EL2 ? w->sys->pir_el2 : w->sys->pir_el1;
    bool by_rights = w->opt->choices & HVCORE_ARM64_CHOICE_PAN_BY_RIGHTS;
    struct rights r;

    r.priv_code = code_of(pir, c->desc);
    r.user_code = code_of(pire0_of(w, s), c->desc);
    r.priv = S1_CODE[r.priv_code];
    r.user = S1_CODE[r.user_code];
    if (r.priv & (X | G) && r.user & (W | G)) { /* nobody may run what EL0 may write */
        r.priv = 0;
        r.user = 0;
    }
    if (pan_counts(w, s) && (by_rights ? r.user & (R | W | X) : r.user_code)) {
        r.priv = 0;
    }
    return r;
}

/* ---- the overlay (POE) ---- */

/* POR_ELx as a set. Bits of a nibble: R, X, W, and 1000 to 1111: nothing. */
static uint32_t overlay(const struct hvc_arm64_walk *w, const struct hvc_arm64_s1 *s, uint64_t desc,
                        bool wxn)
{
    uint64_t por = s->flags & S1_EL2 ? w->sys->por_el2 : w->sys->por_el1;
    uint32_t n;

    if (w->access & HVCORE_ARM64_ACCESS_EL0) {
        por = w->sys->por_el0;
    }
    n = arm64_bits(por, 4 * arm64_bits(desc, DESC_PO_SHIFT, 3), 4);
    if (n & 8) {
        return 0;
    }
    return (n & 1 ? R : 0) | (n & 4 && !(wxn && n & 2) ? W : 0);
}

/* What the overlay leaves of everything; `code` is the privilege's own. */
static HVC_ARM64_COLD uint32_t overlaid(const struct hvc_arm64_walk *w,
                                        const struct hvc_arm64_s1 *s,
                                        const struct hvc_arm64_cursor *c, const struct rights *r,
                                        uint32_t code)
{
    if (!(s->flags & S1_PIE)) {
        return overlay(w, s, c->desc, direct_wxn(w, s, c, r));
    }
    return code < CODE_NO_OVERLAY ? overlay(w, s, c->desc, code == CODE_WXN) : R | W;
}

/* ---- stage 1 ---- */

/* A page whose dirty state hardware does not manage cannot be written while it is clean. */
static inline uint32_t clean(const struct hvc_arm64_s1 *s, uint64_t desc)
{
    return s->flags & S1_PIE && desc & DESC_NDIRTY && !s->t.hd ? W : 0;
}

uint32_t hvc_arm64_s1_rights(const struct hvc_arm64_walk *w, const struct hvc_arm64_cursor *c,
                             uint32_t *notes)
{
    const struct hvc_arm64_s1 *s = &w->s1;
    struct rights r = s->flags & S1_PIE ? indirect(w, s, c) : direct(w, s, c);
    bool user = w->access & HVCORE_ARM64_ACCESS_EL0;
    uint32_t base = user ? r.user : r.priv, above = R | W, need, lacks;

    if (s->flags & (user ? S1_E0POE : S1_POE)) {
        above = overlaid(w, s, c, &r, user ? r.user_code : r.priv_code);
    }
    need = w->access & HVCORE_ARM64_ACCESS_WRITE ? W : R;
    lacks = clean(s, c->desc);
    if (!(above & need)) {
        *notes = HVCORE_ARM64_NOTE_OVERLAY;
    } else if (base & need & lacks) {
        *notes = HVCORE_ARM64_NOTE_DIRTY;
    }
    return base & above & ~lacks & (R | W);
}

/* ---- stage 2 ---- */

/* S2PIE: a nibble holds R and W of data, R and W of table walks. */
static const uint8_t S2_CODE[16] = {0, 0, 13, 13, 2, 0, 13, 13, 5, 5, 5, 5, 15, 15, 15, 15};

static uint32_t s2_direct(const struct hvc_arm64_s2 *s, uint64_t desc)
{
    uint32_t set = arm64_bits(desc, DESC_AP_SHIFT, 2); /* S2AP: R, W */

    return s->t.hd && desc & DESC_DBM ? set | W : set;
}

uint32_t hvc_arm64_s2_rights(const struct hvc_arm64_walk *w, const struct hvc_arm64_cursor *c,
                             uint32_t *notes)
{
    const struct hvc_arm64_s2 *s = &w->s2;
    uint32_t set;

    if (!(s->flags & S2_PIE)) {
        return s2_direct(s, c->desc);
    }
    set = S2_CODE[code_of(w->sys->s2pir_el2, c->desc)];
    set = (c->notes & HVCORE_ARM64_NOTE_S1PTW ? set >> 2 : set) & (R | W);
    if (set & W && !(c->desc & DESC_S2_DIRTY) && !s->t.hd) {
        *notes = HVCORE_ARM64_NOTE_DIRTY;
        set &= ~W;
    }
    return set;
}
