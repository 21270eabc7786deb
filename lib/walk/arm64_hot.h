/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk that nearly all walks are, inline: little-endian tables without a stage 2 below, 48-bit
 * addresses, direct permissions, no dirty state, caches on (S1_SIMPLE); a leaf with its access flag
 * and without a contiguous run; Write-Back memory. Whatever else turns up goes the general way from
 * there.
 *
 * Its text is what a user of the walker compiles in with an accessor of its own;
 * hvcore_arm64_walk() is made of it with mem->read64.
 */
#ifndef HVC_WALK_ARM64_HOT_H
#define HVC_WALK_ARM64_HOT_H

#include "lib/walk/arm64_permission.h"

#define HVC_ARM64_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Is an address of the prepared range legal, as far as that does not depend on tables (specs 3.3, 1
 * to 4)? */
static inline bool hvc_arm64_in_range(const struct hvc_arm64_walk *w, uint64_t va, uint32_t access)
{
    const struct hvc_arm64_s1 *s = &w->s1;

    if (s->flags & S1_E0PD && access & HVCORE_ARM64_ACCESS_EL0) {
        return false;
    }
    return !((va ^ s->sign) & s->above);
}

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

/* A whole answer at a simple leaf `d`; false: it is none, or not to be had here. */
HVC_ARM64_INLINE bool hvc_arm64_hot_leaf(const struct hvc_arm64_walk *w,
                                         const hvcore_arm64_walk_request *request, uint64_t d,
                                         uint64_t tables, uint32_t lsb, int32_t level,
                                         hvcore_arm64_walk_result *out)
{
    const struct hvc_arm64_s1 *s = &w->s1;
    uint64_t size = UINT64_C(1) << lsb, a = d & ARM64_MASK(47, 0) & ~(size - 1);
    uint32_t need = request->access & HVCORE_ARM64_ACCESS_WRITE ? HVCORE_PROT_W : HVCORE_PROT_R;
    uint32_t prot = hvc_arm64_plain_rights(s, request->access, d, tables);
    uint32_t attr = (uint32_t)(w->sys->mair_el1 >> (d << 1 & 0x38)) & 0xff; /* AttrIndx 4:2 */
    uint32_t sh = arm64_bits(d, DESC_SH_SHIFT, 2);
    struct hvc_arm64_found f = {a | (request->va & (size - 1)), size, prot, level};

    if (HVC_ARM64_UNLIKELY((d & (DESC_AF | DESC_CONTIGUOUS)) != DESC_AF ||
                           !hvc_arm64_is_leaf(&s->t, d, level) || f.to & s->t.beyond ||
                           !(prot & need) || attr != MEMTYPE_WB || sh == 1)) {
        return false;
    }
    hvc_arm64_done(out, &f, f.to, attr, sh);
    return true;
}

/* What turned up where the descent below stopped goes the general way. */
static HVC_ARM64_COLD void hvc_arm64_hot_leave(struct hvc_arm64_walk *w,
                                               const hvcore_arm64_walk_mem *mem,
                                               const hvcore_arm64_walk_request *request,
                                               hvcore_arm64_walk_result *out,
                                               hvcore_arm64_walk_read last, uint64_t tables,
                                               uint32_t lsb, uint32_t n, int status)
{
    struct hvc_arm64_cursor c = {.addr = request->va, .at = last.gpa, .desc = last.raw};

    c.tables = tables;
    c.lsb = lsb;
    c.index = n;
    c.level = w->s1.t.start + (int32_t)n;
    c.stage = 1;
    out->reads = status == HVCORE_ARM64_MEM_OK ? n + 1 : n;
    hvc_arm64_s1_rest(w, mem, request, out, &c, status);
}

/*
 * A whole walk of a prepared regime with an accessor's read64; bit 55 of the address is that of the
 * range (if not, the answer is a Translation fault). What is written or asked of stage 2
 * goes through mem. The loop is hvc_arm64_descend() for a simple stage: at most 5 levels.
 */
HVC_ARM64_INLINE void hvc_arm64_walk_with(struct hvc_arm64_walk *w,
                                          const hvcore_arm64_walk_mem *mem,
                                          const hvcore_arm64_walk_request *request,
                                          hvcore_arm64_walk_result *out, hvc_arm64_read *read)
{
    const struct hvc_arm64_stage *t = &w->s1.t;
    const uint64_t addr = request->va & t->in, table = t->table, in = t->in_entry;
    const uint64_t stop = DESC_VALID | DESC_TABLE | (table & t->beyond);
    const uint32_t stride = t->stride, page = t->shift - 3;
    hvcore_arm64_walk_read *r = out->read;
    uint64_t tables = 0, at, d = 0;
    uint32_t low = t->lsb - 3, n; /* entries have 8 bytes */
    int status;

    if (HVC_ARM64_UNLIKELY(!(w->s1.flags & S1_SIMPLE) ||
                           request->access & HVCORE_ARM64_ACCESS_PAN ||
                           !hvc_arm64_in_range(w, request->va, request->access))) {
        hvc_arm64_s1_walk(w, mem, request, out);
        return;
    }
    for (at = t->base | (addr >> low & ~UINT64_C(7));; at = (d & table) | (addr >> low & in), r++) {
        status = read(mem->user, at, &d);
        r->gpa = at;
        r->raw = d;
        /* On to the next table while this one is readable, is one, and points to where memory
         * is. */
        if (HVC_ARM64_UNLIKELY(status != HVCORE_ARM64_MEM_OK) || low == page ||
            (d ^ (DESC_VALID | DESC_TABLE)) & stop) {
            break;
        }
        tables |= d;
        low -= stride;
    }
    n = (uint32_t)(r - out->read);
    out->notes = 0;
    out->reads = n + 1;
    if (HVC_ARM64_UNLIKELY(status != HVCORE_ARM64_MEM_OK) ||
        !hvc_arm64_hot_leaf(w, request, d, tables, low + 3, t->start + (int32_t)n, out)) {
        hvc_arm64_hot_leave(w, mem, request, out, *r, tables, low + 3, n, status);
    }
}
#endif
