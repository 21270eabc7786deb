/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk that nearly all walks are, inline and straight from the registers: EL1&0 without a stage
 * 2 below, 4 KiB pages, 48-bit addresses, little-endian tables, direct permissions, no dirty state,
 * caches on; a leaf with its access flag and without a contiguous run; Write-Back memory. Whatever
 * else turns up goes the general way (arm64.c), from where it turns up.
 *
 * Its text is what a user of the walker compiles in with an accessor of its own: at once with
 * hvc_arm64_walk_with(), or in two parts, where the registers change rarely.
 * hvcore_arm64_walk() is made of it with mem->read64.
 */
#ifndef HVC_WALK_ARM64_HOT_H
#define HVC_WALK_ARM64_HOT_H

#include "lib/walk/arm64_permission.h"

#define HVC_ARM64_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---- registers ---- */

/* One range of a plain regime, as walks need it. */
struct hvc_arm64_plain {
    uint64_t base;   /* the first table */
    uint64_t in;     /* bits of an input address */
    uint64_t above;  /* bits of an address that must be those of `sign`: above, less TBI's tag */
    uint64_t sign;   /* all zeros, or all ones */
    uint64_t beyond; /* bits that no output address has */
    uint32_t low;   /* lowest bit that the first level resolves, less those of an entry's address */
    uint32_t never; /* HVCORE_ARM64_ACCESS_* that are not for here */
};

/* By TxSZ, what `low` is: levels 0, 1 and 2; 0 is for the general way. */
static const uint8_t HVC_ARM64_LOW[64] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  36, 36, 36, 36,
    36, 36, 36, 36, 36, 27, 27, 27, 27, 27, 27, 27, 27, 27, 18, 18, 18, 18, 18, 18,
};

/* What is rare, if it is not zero. Bits of features that the guest lacks do no harm. */
#define PLAIN_TCR (TCR_HD | TCR_DS)
#define PLAIN_TCR_LOWER (PLAIN_TCR | TCR_EPD | TCR_TG | TCR_HPD | TCR_E0PD)
#define PLAIN_TCR_UPPER (PLAIN_TCR | (TCR_EPD | TCR_TG) << 16 | TCR_HPD << 1)
#define PLAIN_TG1 ARM64_BIT(31) /* 4 KiB in TCR_EL1.TG1 */
#define PLAIN_SCTLR (SCTLR_M | SCTLR_C)
#define PLAIN_HCR (HCR_VM | HCR_DC | HCR_TGE | HCR_NV1)
#define PLAIN_TCR2 (TCR2_PIE | TCR2_E0POE | TCR2_POE | TCR2_AIE | TCR2_D128)
#define PLAIN_TTBR ARM64_MASK(11, 1) /* a small first table, or LPA2's bits */
#define PLAIN_TABLE ARM64_MASK(47, 12)

/* What belongs to the range. Gives what is rare in its half of TCR_EL1. */
HVC_ARM64_INLINE uint64_t hvc_arm64_plain_range(struct hvc_arm64_plain *p,
                                                const hvcore_arm64_sys *sys, bool upper,
                                                uint64_t *ttbr)
{
    uint64_t tcr = sys->tcr_el1;

    p->never = HVCORE_ARM64_ACCESS_PAN;
    if (upper) {
        p->in = UINT64_MAX >> (tcr >> 16 & 63);
        p->low = HVC_ARM64_LOW[tcr >> 16 & 63];
        p->above = tcr & TCR_TBI << 1 ? ~p->in & ARM64_MASK(55, 0) : ~p->in;
        p->sign = UINT64_MAX;
        p->never |= tcr & TCR_E0PD << 1 ? HVCORE_ARM64_ACCESS_EL0 : 0u;
        *ttbr = sys->ttbr1_el1;
        return (tcr & PLAIN_TCR_UPPER) ^ PLAIN_TG1;
    }
    p->in = UINT64_MAX >> (tcr & 63);
    p->low = HVC_ARM64_LOW[tcr & 63];
    p->above = tcr & TCR_TBI ? ~p->in & ARM64_MASK(55, 0) : ~p->in;
    p->sign = 0;
    *ttbr = sys->ttbr0_el1;
    return tcr & PLAIN_TCR_LOWER;
}

HVC_ARM64_INLINE bool hvc_arm64_plain_features(const hvcore_arm64_walk_options *o,
                                               const hvcore_arm64_sys *sys)
{
    uint32_t f = o->features & (HVCORE_ARM64_FEAT_TGRAN4 | HVCORE_ARM64_FEAT_TCR2);

    return f == HVCORE_ARM64_FEAT_TGRAN4 ||
           (f & HVCORE_ARM64_FEAT_TGRAN4 && !(sys->tcr2_el1 & PLAIN_TCR2));
}

/* Registers of EL1&0 become what walks of a range need; false: they are not plain. */
HVC_ARM64_INLINE bool hvc_arm64_plain_prepare(struct hvc_arm64_plain *p,
                                              const hvcore_arm64_walk_options *o,
                                              const hvcore_arm64_sys *sys, bool upper)
{
    uint32_t bits = HVC_ARM64_PS_BITS[sys->tcr_el1 >> 32 & 7];
    uint64_t ttbr, rare = hvc_arm64_plain_range(p, sys, upper, &ttbr);

    p->beyond = UINT64_MAX << (bits < o->pa_bits ? bits : o->pa_bits);
    p->base = ttbr & PLAIN_TABLE;
    rare |= (ttbr & PLAIN_TTBR) | (p->base & p->beyond);
    rare |= (sys->sctlr_el1 ^ PLAIN_SCTLR) & (PLAIN_SCTLR | SCTLR_EE);
    rare |= sys->hcr_el2 & PLAIN_HCR;
    rare |= o->choices & HVCORE_ARM64_CHOICE_NT_FAULTS;
    return !rare && p->low && hvc_arm64_plain_features(o, sys) && o->pa_bits - 32 <= 56 - 32 &&
           o->reserved_sh <= SH_INNER;
}

/* ---- tables ---- */

/* Where a walk has come to. */
struct hvc_arm64_place {
    uint64_t d; /* the descriptor */
    uint64_t tables;
    hvcore_arm64_walk_read *r; /* where it stands in the result */
    int status;
};

HVC_ARM64_INLINE void hvc_arm64_plain_read(struct hvc_arm64_place *c, hvc_arm64_read *read,
                                           void *user, uint64_t at)
{
    c->status = read(user, at, &c->d);
    c->r->gpa = at;
    c->r->raw = c->d;
}

/* On to the next table, if this word is readable, is one, and points to memory (`stop`). */
HVC_ARM64_INLINE bool hvc_arm64_plain_next(struct hvc_arm64_place *c, uint64_t stop)
{
    if (HVC_ARM64_UNLIKELY(c->status != HVCORE_ARM64_MEM_OK) ||
        (c->d ^ (DESC_VALID | DESC_TABLE)) & stop) {
        return false;
    }
    c->tables |= c->d;
    c->r++;
    return true;
}

/* hvc_arm64_descend() for a plain range, level by level. Gives the level where it stopped. */
HVC_ARM64_INLINE int32_t hvc_arm64_plain_descend(struct hvc_arm64_place *c,
                                                 const struct hvc_arm64_plain *p, uint64_t addr,
                                                 hvc_arm64_read *read, void *user)
{
    const uint64_t stop = DESC_VALID | DESC_TABLE | (PLAIN_TABLE & p->beyond), entry = 0xff8;

    hvc_arm64_plain_read(c, read, user, p->base | (addr >> p->low & ~UINT64_C(7)));
    if (p->low == 36) {
        if (!hvc_arm64_plain_next(c, stop)) {
            return 0;
        }
        hvc_arm64_plain_read(c, read, user, (c->d & PLAIN_TABLE) | (addr >> 27 & entry));
    }
    if (p->low >= 27) {
        if (!hvc_arm64_plain_next(c, stop)) {
            return 1;
        }
        hvc_arm64_plain_read(c, read, user, (c->d & PLAIN_TABLE) | (addr >> 18 & entry));
    }
    if (!hvc_arm64_plain_next(c, stop)) {
        return 2;
    }
    hvc_arm64_plain_read(c, read, user, (c->d & PLAIN_TABLE) | (addr >> 9 & entry));
    return 3;
}

/* ---- the leaf ---- */

/* Translated. */
HVC_ARM64_INLINE void hvc_arm64_done(hvcore_arm64_walk_result *out, const struct hvc_arm64_found *f,
                                     uint64_t pa, uint32_t attr, uint32_t sh)
{
    out->kind = HVCORE_ARM64_WALK_DONE;
    out->fault = HVCORE_ARM64_FAULT_NONE;
    out->stage = 0;
    out->fsc = 0;
    out->gpa = 0;
    out->level = f->level;
    out->ipa = f->to;
    out->pa = pa;
    out->size = f->size;
    out->prot = f->prot;
    out->attr = attr;
    out->sh = sh;
}

/* What a leaf's bits must be: with its access flag, of no contiguous run, a page or a block. */
#define PLAIN_LEAF (DESC_AF | DESC_CONTIGUOUS | DESC_VALID | DESC_TABLE)

/* By level; of level 0 no descriptor is a leaf. */
HVC_ARM64_INLINE uint64_t hvc_arm64_plain_type(int32_t level)
{
    return level == 3   ? DESC_AF | DESC_VALID | DESC_TABLE
           : level == 0 ? UINT64_MAX
                        : DESC_AF | DESC_VALID;
}

/* A whole answer at a simple leaf; false: it is none, or not to be had here. */
HVC_ARM64_INLINE bool hvc_arm64_plain_leaf(const struct hvc_arm64_place *c,
                                           const struct hvc_arm64_plain *p,
                                           const hvcore_arm64_sys *sys,
                                           const hvcore_arm64_walk_request *request, int32_t level,
                                           hvcore_arm64_walk_result *out)
{
    const uint64_t size = UINT64_C(1) << (39 - 9 * level);
    const uint64_t to = (c->d & ARM64_MASK(47, 0) & ~(size - 1)) | (request->va & (size - 1));
    uint32_t need = request->access & HVCORE_ARM64_ACCESS_WRITE ? HVCORE_PROT_W : HVCORE_PROT_R;
    uint32_t prot = hvc_arm64_plain_rights(request->access, c->d, c->tables);
    uint32_t attr = (uint32_t)(sys->mair_el1 >> (c->d << 1 & 0x38)) & 0xff; /* AttrIndx 4:2 */
    uint32_t sh = arm64_bits(c->d, DESC_SH_SHIFT, 2);
    struct hvc_arm64_found f = {to, size, prot, level};

    if (HVC_ARM64_UNLIKELY((c->d & PLAIN_LEAF) != hvc_arm64_plain_type(level) || to & p->beyond ||
                           !(prot & need) || attr != MEMTYPE_WB || sh == 1)) {
        return false;
    }
    hvc_arm64_done(out, &f, to, attr, sh);
    return true;
}

/* ---- the walk ---- */

/* A walk of a plain range; bit 55 of the address is that of the range (if not, the answer is a
 * Translation fault). What is written or asked of stage 2 goes through mem. */
HVC_ARM64_INLINE void hvc_arm64_plain_walk(const struct hvc_arm64_plain *p,
                                           const hvcore_arm64_walk_options *options,
                                           const hvcore_arm64_sys *sys,
                                           const hvcore_arm64_walk_mem *mem,
                                           const hvcore_arm64_walk_request *request,
                                           hvcore_arm64_walk_result *out, hvc_arm64_read *read)
{
    struct hvc_arm64_place c = {.r = out->read};
    int32_t level;

    if (HVC_ARM64_UNLIKELY((request->va ^ p->sign) & p->above || request->access & p->never)) {
        hvc_arm64_general(options, sys, mem, request, out);
        return;
    }
    level = hvc_arm64_plain_descend(&c, p, request->va & p->in, read, mem->user);
    out->notes = 0;
    out->reads = (uint32_t)(c.r - out->read) + 1;
    if (HVC_ARM64_UNLIKELY(c.status != HVCORE_ARM64_MEM_OK) ||
        !hvc_arm64_plain_leaf(&c, p, sys, request, level, out)) {
        hvc_arm64_resume(options, sys, mem, request, out, c.tables, level, c.status);
    }
}

/* The same from the registers, whatever they are. */
HVC_ARM64_INLINE void hvc_arm64_walk_with(const hvcore_arm64_walk_options *options,
                                          const hvcore_arm64_sys *sys,
                                          const hvcore_arm64_walk_mem *mem,
                                          const hvcore_arm64_walk_request *request,
                                          hvcore_arm64_walk_result *out, hvc_arm64_read *read)
{
    struct hvc_arm64_plain p;

    if (HVC_ARM64_UNLIKELY(request->regime != HVCORE_ARM64_REGIME_EL10 ||
                           !hvc_arm64_plain_prepare(&p, options, sys, request->va >> 55 & 1))) {
        hvc_arm64_general(options, sys, mem, request, out);
        return;
    }
    hvc_arm64_plain_walk(&p, options, sys, mem, request, out, read);
}
#endif
