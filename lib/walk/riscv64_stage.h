/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stage of RISC-V address translation, brought into a form in which judging an entry takes a
 * few tests: the low four bits of an entry (V, R, W, X) index 16-bit sets, reserved bits are masks.
 * The walk (riscv64.c) then knows neither modes nor extensions; riscv64_stage.c prepares.
 */
#ifndef HVC_WALK_RISCV64_STAGE_H
#define HVC_WALK_RISCV64_STAGE_H

#include <hvcore/walk/riscv64.h>

#include <stdbool.h>

/* A page-table entry (Priv. 12.4.1, Svnapot, Svpbmt). */
#define PTE_V UINT64_C(1)
#define PTE_U (UINT64_C(1) << 4)
#define PTE_G (UINT64_C(1) << 5)
#define PTE_A (UINT64_C(1) << 6)
#define PTE_D (UINT64_C(1) << 7)
#define PTE_PPN_SHIFT 10
#define PPN_MASK ((UINT64_C(1) << 44) - 1) /* of vsatp and hgatp too: 56-bit addresses */
#define PTE_RESERVED (UINT64_C(0x7f) << 54)
#define PTE_RSW60 (UINT64_C(3) << 59)
#define PTE_PBMT_SHIFT 61
#define PTE_PBMT (UINT64_C(3) << PTE_PBMT_SHIFT)
#define PTE_N (UINT64_C(1) << 63)

/* Sets over the low four bits of an entry. W without R is in none of them but SET_SHADOW. */
#define SET_R 0x8888u
#define SET_W 0x8080u
#define SET_X 0x8a00u
#define SET_SHADOW 0x0020u /* V and W alone: a shadow-stack page (Zicfiss) */

#define PAGE_SHIFT 12
#define LEVEL_BITS 9
#define NAPOT_SIZE (UINT64_C(1) << 16) /* the only size that Svnapot defines */
#define NAPOT_PPN 8                    /* and what PPN[3:0] holds then */
#define BARE_SIZE (UINT64_C(1) << 63)  /* no translation: the largest power of two */

/* Keeps what is rare out of the path of a walk that succeeds. */
#define COLD __attribute__((noinline, cold))

/* What looking at an entry came to. */
enum step {
    STEP_LEAF,    /* a leaf; go on */
    STEP_TABLE,   /* a pointer to the next table */
    STEP_CHANGED, /* somebody changed the entry under the update: look again */
    STEP_PAGE,    /* page fault or guest-page fault */
    STEP_ACCESS,  /* access fault */
    STEP_RAISED   /* a fault that is already in the result */
};

/* What an access asks of a leaf: sets over the low bits, and the bits that must be set. */
struct need {
    uint32_t allow;
    uint32_t forbid; /* an access fault, whatever `allow` says */
    uint64_t mark;
};

/* Causes by access, and what the access asks. */
struct rule {
    uint8_t page, guest, access;
    uint8_t by_read; /* 1: needs what is readable; 0: `allow` */
    uint32_t allow;
    uint32_t forbid;
    uint64_t mark;
};

/*
 * What MODE of vsatp and hgatp comes to beside a number of levels. WARL keeps the reserved values
 * out of real registers, not out of ours: a reserved VS-stage mode page-faults and a reserved
 * G-stage mode guest-page-faults on every address.
 */
enum { MODE_RESERVED = 0, MODE_BARE = 1 };

/* One stage, prepared. A "users" set has bit 0 for leaves with U clear and bit 1 for U set. */
struct stage {
    uint64_t root;       /* address of the root table */
    uint64_t leaf_zero;  /* bits that a leaf must not have */
    uint64_t table_zero; /* bits that a pointer must not have */
    uint32_t levels;     /* 3 to 5, MODE_BARE or MODE_RESERVED */
    uint32_t leaves;     /* set of the leaves */
    uint32_t readable;   /* set of what an explicit load may read */
    uint32_t users;      /* leaves that this access may use */
    uint32_t fetchers;   /* leaves from which instructions may come */
    bool update;         /* A and D are set by the walk, else their absence is a fault */
    struct need need;    /* of the explicit access */
};

/* A place in a walk: the entry at `at`, of `level`, on the way to what `addr` translates to. */
struct cursor {
    uint64_t addr;
    uint64_t at;
    uint64_t pte;
    uint32_t level;
};

/* The rule of an access, which is one of the four. */
const struct rule *hvc_riscv64_rule(uint32_t access);

/* Bring the registers of a stage into the form above, for one kind of access. */
void hvc_riscv64_stage_g(struct stage *s, const hvcore_riscv64_walk_regs *regs, uint32_t access);
void hvc_riscv64_stage_vs(struct stage *s, const hvcore_riscv64_walk_regs *regs, uint32_t access);

static inline bool in_set(uint32_t set, uint64_t pte)
{
    return (set >> (pte & 15)) & 1;
}

static inline bool in_users(uint32_t users, uint64_t pte)
{
    return (users >> ((pte & PTE_U) != 0)) & 1;
}

static inline uint64_t pte_output(uint64_t pte)
{
    return pte << (PAGE_SHIFT - PTE_PPN_SHIFT) & (PPN_MASK << PAGE_SHIFT);
}

static inline uint64_t level_size(uint32_t level)
{
    return UINT64_C(1) << (PAGE_SHIFT + LEVEL_BITS * level);
}

static inline uint64_t leaf_size(const struct cursor *c)
{
    return c->pte & PTE_N ? NAPOT_SIZE : level_size(c->level);
}

static inline uint64_t leaf_output(const struct cursor *c)
{
    uint64_t offset = leaf_size(c) - 1;

    return (pte_output(c->pte) & ~offset) | (c->addr & offset);
}

/* Offset of the entry for `addr` in a table below the root. */
static inline uint64_t entry_offset(uint64_t addr, uint32_t level)
{
    return (addr >> (PAGE_SHIFT + LEVEL_BITS * level) & 0x1ff) * 8;
}

/*
 * The encodings of N and PBMT that stay reserved where the extensions exist. N above level 0 needs
 * no test: with that PPN it is a misaligned superpage.
 */
static inline bool leaf_ext_ok(uint64_t pte)
{
    if ((pte & PTE_PBMT) == PTE_PBMT)
        return false;
    return !(pte & PTE_N) || ((pte >> PTE_PPN_SHIFT) & 15) == NAPOT_PPN;
}

/* Steps 3 to 5 of Priv. 12.3.2: what kind of entry this is, and whether it is well-formed. */
static inline enum step classify(const struct stage *s, uint64_t pte, uint32_t level)
{
    uint64_t misaligned = ((UINT64_C(1) << (LEVEL_BITS * level)) - 1) << PTE_PPN_SHIFT;

    if ((pte & 15) == PTE_V)
        return level > 0 && !(pte & s->table_zero) ? STEP_TABLE : STEP_PAGE;
    if (!in_set(s->leaves, pte) || (pte & (s->leaf_zero | misaligned)))
        return STEP_PAGE;
    return !(pte & (PTE_N | PTE_PBMT)) || leaf_ext_ok(pte) ? STEP_LEAF : STEP_PAGE;
}

/* Steps 6 to 8: U, then the rules of shadow stacks, then R, W and X. */
static inline enum step permit(const struct stage *s, const struct need *need, uint64_t pte)
{
    if (!in_users(s->users, pte))
        return STEP_PAGE;
    if (in_set(need->forbid, pte))
        return STEP_ACCESS;
    return in_set(need->allow, pte) ? STEP_LEAF : STEP_PAGE;
}

/* What a TLB may remember of a leaf that has A: W needs D. */
static inline uint32_t leaf_prot(const struct stage *s, uint64_t pte)
{
    uint32_t prot = 0;

    if (in_set(s->readable, pte))
        prot |= HVCORE_PROT_R;
    if (in_set(SET_W, pte) && (pte & PTE_D))
        prot |= HVCORE_PROT_W;
    if (in_set(SET_X, pte) && in_users(s->fetchers, pte))
        prot |= HVCORE_PROT_X;
    return prot;
}
#endif
