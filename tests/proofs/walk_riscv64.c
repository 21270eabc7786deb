/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RISC-V walker: what an entry is, where the next one lies, and a whole G-stage walk over
 * memory that may hold anything and change under it (Priv. 12.3, 12.4, 21.5).
 */
#include "lib/walk/riscv64_stage.c"
#include "lib/walk/riscv64.c"

#include "tests/proofs/proof.h"

/* Any registers, but a level that a walk of that mode can be at. */
static uint32_t levels_of(uint64_t atp)
{
    uint64_t mode = bits(atp, 63, 60);

    return mode == 8 ? 3 : mode == 9 ? 4 : mode == 10 ? 5 : 0;
}

/* --- one entry -------------------------------------------------------------------------------- */

static bool valid_leaf(uint64_t pte, unsigned level, const hvcore_riscv64_walk_regs *r,
                       uint64_t envcfg, bool shadow_stacks)
{
    bool can_read = bit(pte, 1), can_write = bit(pte, 2), can_execute = bit(pte, 3);

    if (can_write && !can_read && (can_execute || !shadow_stacks))
        return false;
    if (bits(pte, 58, 54) || (bits(pte, 60, 59) && !(r->flags & 2)))
        return false;
    if (bit(pte, 63) && (!(r->flags & 1) || level != 0 || bits(pte, 13, 10) != 8))
        return false;
    if (bits(pte, 62, 61) && (!bit(envcfg, 62) || bits(pte, 62, 61) == 3))
        return false;
    return level == 0 || bits(pte, 10 + 9 * level - 1, 10) == 0;
}

static enum step specified(uint64_t pte, unsigned level, const hvcore_riscv64_walk_regs *r,
                           uint64_t envcfg, bool shadow_stacks)
{
    if (!bit(pte, 0))
        return STEP_PAGE;
    if (bits(pte, 3, 1) == 0) { /* a pointer: D, A, U and all above PPN are reserved */
        bool reserved = bit(pte, 4) || bits(pte, 7, 6) || bits(pte, 58, 54) || bits(pte, 63, 61) ||
                        (bits(pte, 60, 59) && !(r->flags & 2));
        return level == 0 || reserved ? STEP_PAGE : STEP_TABLE;
    }
    return valid_leaf(pte, level, r, envcfg, shadow_stacks) ? STEP_LEAF : STEP_PAGE;
}

PROOF(walk_riscv64_entry_g, 1)
{
    hvcore_riscv64_walk_regs r;
    uint32_t access, level;
    uint64_t pte;
    struct stage s;

    ASSUME(access < 4 && level < 5);
    hvc_riscv64_stage_g(&s, &r, access);
    PROVE(classify(&s, pte, level) == specified(pte, level, &r, r.menvcfg, false));
}

PROOF(walk_riscv64_entry_vs, 1)
{
    hvcore_riscv64_walk_regs r;
    uint32_t access, level;
    uint64_t pte;
    struct stage s;

    ASSUME(access < 4 && level < 5);
    hvc_riscv64_stage_vs(&s, &r, access);
    PROVE(classify(&s, pte, level) == specified(pte, level, &r, r.henvcfg, bit(r.henvcfg, 3)));
}

/* Who may: a valid leaf of the VS-stage without shadow stacks (12.1.1.3, 12.4.1). */
PROOF(walk_riscv64_permission, 1)
{
    hvcore_riscv64_walk_regs r;
    uint32_t access;
    uint64_t pte;
    struct stage s;
    bool user, mxr, sum, may;

    ASSUME(access < 4 && r.mode < 2 && !bit(r.henvcfg, 3));
    hvc_riscv64_stage_vs(&s, &r, access);
    ASSUME(classify(&s, pte, 0) == STEP_LEAF);
    user = r.mode == 0;
    mxr = bit(r.vsstatus, 19) || bit(r.sstatus, 19);
    sum = bit(r.vsstatus, 18);
    may = user ? bit(pte, 4) : !bit(pte, 4) || (sum && access != 0);
    may = may && (access == 0 || access == 3 ? bit(pte, 3)
                  : access == 1              ? bit(pte, 1) || (mxr && bit(pte, 3))
                                             : bit(pte, 2));
    PROVE((permit(&s, &s.need, pte) == STEP_LEAF) == may);
    PROVE(s.need.mark == (access == 2 ? 0xc0 : 0x40));
    PROVE(s.update == bit(r.henvcfg, 61));
}

/* --- addresses -------------------------------------------------------------------------------- */

PROOF(walk_riscv64_next, 1)
{
    uint64_t pte, va, table = bits(pte, 53, 10) << 12, at;
    uint32_t level;

    ASSUME(level < 5);
    at = pte_output(pte) + entry_offset(va, level);
    PROVE(pte_output(pte) == table);
    PROVE(at == table + 8 * bits(va, 12 + 9 * level + 8, 12 + 9 * level));
    PROVE(at % 8 == 0 && at - table < 4096 && at < UINT64_C(1) << 56);
}

PROOF(walk_riscv64_leaf, 1)
{
    struct cursor c;
    unsigned offset = bit(c.pte, 63) ? 16 : 12 + 9 * c.level;
    uint64_t out;

    ASSUME(c.level < 5 && (!bit(c.pte, 63) || c.level == 0));
    out = leaf_output(&c);
    PROVE(leaf_size(&c) == UINT64_C(1) << offset);
    PROVE(out >> offset == bits(c.pte, 53, 10) << 12 >> offset);
    PROVE(bits(out, offset - 1, 0) == bits(c.addr, offset - 1, 0));
    PROVE(out < UINT64_C(1) << 56);
}

PROOF(walk_riscv64_canonical, 1)
{
    uint64_t va;
    uint32_t levels;
    unsigned top;

    ASSUME(levels >= 3 && levels <= 5);
    top = 12 + 9 * levels - 1;
    PROVE(canonical(va, levels) == ((int64_t)(va << (63 - top)) >> (63 - top) == (int64_t)va));
}

/* --- a whole walk of one stage ---------------------------------------------------------------- */

static uint32_t changes; /* lost compare-and-swaps so far */

static int read_any(void *user, uint64_t pa, uint64_t *value)
{
    PROVE(pa % 8 == 0 && pa < UINT64_C(1) << 56);
    (void)user;
    *value = nondet_u64();
    return nondet_int();
}

static int cas_any(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    int r = nondet_int();

    PROVE(pa % 8 == 0 && pa < UINT64_C(1) << 56);
    PROVE((expected ^ desired) != 0 && ((expected ^ desired) & ~UINT64_C(0xc0)) == 0);
    PROVE((desired & expected) == expected); /* A and D are set, nothing is cleared */
    (void)user;
    ASSUME(r != 1 || changes++ == 0); /* one lost race is enough for a bounded proof */
    return r;
}

PROOF(walk_riscv64_g, 6)
{
    const hvcore_riscv64_walk_mem mem = {.read64 = read_any, .cas64 = cas_any};
    hvcore_riscv64_walk_regs r;
    hvcore_riscv64_walk_result out;
    uint64_t gpa, va;
    uint32_t access, levels = levels_of(r.hgatp);
    unsigned width = 12 + 9 * levels + 2;

    ASSUME(access < 4);
    changes = 0;
    hvcore_riscv64_walk_g(&r, &mem, gpa, va, access, &out);
    PROVE(out.fault <= 1 && out.reads <= 10);
    if (out.fault) {
        uint32_t guest_page = access == 0 ? 20 : access == 2 ? 23 : 21;
        uint32_t wrong = access == 0 ? 1 : access == 2 ? 7 : 5;
        PROVE(out.cause == guest_page || out.cause == wrong);
        PROVE(out.htval == (out.cause == guest_page ? gpa >> 2 : 0) && out.htinst == 0);
        PROVE(out.gpa == 0 && out.pa == 0 && out.prot == 0);
        return;
    }
    PROVE(out.gpa == gpa && out.global == 0);
    if (bits(r.hgatp, 63, 60) == 0) {
        PROVE(out.pa == gpa && out.reads == 0 && out.prot == 7);
        return;
    }
    PROVE(levels != 0 && gpa >> width == 0);
    PROVE(out.page >= 4096 && (out.page & (out.page - 1)) == 0);
    PROVE(out.pa < UINT64_C(1) << 56 && ((out.pa ^ gpa) & (out.page - 1)) == 0);
    PROVE(out.pbmt < 3 && out.reads != 0);
    PROVE((r.flags & 4) || access != 2 || (out.prot & 2)); /* what was asked for may be
                                                              remembered */
}
