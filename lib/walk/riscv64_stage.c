/* SPDX-License-Identifier: Apache-2.0 */
/* Preparing a stage: modes, extensions and status bits become sets and masks. */
#include "riscv64_stage.h"

/* vsatp, hgatp (Priv. 12.1.11, 21.2.10), sstatus, and henvcfg or menvcfg (21.2.5). */
#define ATP_MODE_SHIFT 60
#define STATUS_SUM (UINT64_C(1) << 18)
#define STATUS_MXR (UINT64_C(1) << 19)
#define ENVCFG_SSE (UINT64_C(1) << 3)
#define ENVCFG_ADUE (UINT64_C(1) << 61)
#define ENVCFG_PBMTE (UINT64_C(1) << 62)

/* A fault of HLVX is a load's (Priv. 21.3.1). */
static const struct rule RULES[4] = {
    /* Zicfiss: plain stores to a shadow-stack page and fetches from it are access faults. */
    [HVCORE_RISCV64_FETCH] = {HVCORE_RISCV64_INSN_PAGE, HVCORE_RISCV64_INSN_GUEST_PAGE,
                              HVCORE_RISCV64_INSN_ACCESS, 0, SET_X, SET_SHADOW, PTE_A},
    [HVCORE_RISCV64_LOAD] = {HVCORE_RISCV64_LOAD_PAGE, HVCORE_RISCV64_LOAD_GUEST_PAGE,
                             HVCORE_RISCV64_LOAD_ACCESS, 1, 0, 0, PTE_A},
    [HVCORE_RISCV64_STORE] = {HVCORE_RISCV64_STORE_PAGE, HVCORE_RISCV64_STORE_GUEST_PAGE,
                              HVCORE_RISCV64_STORE_ACCESS, 0, SET_W, SET_SHADOW, PTE_A | PTE_D},
    [HVCORE_RISCV64_HLVX] = {HVCORE_RISCV64_LOAD_PAGE, HVCORE_RISCV64_LOAD_GUEST_PAGE,
                             HVCORE_RISCV64_LOAD_ACCESS, 0, SET_X, 0, PTE_A},
};

/* By MODE (Priv. 12.1.11 and 21.2.10); all others are MODE_RESERVED. */
static const uint8_t LEVELS[16] = {[0] = MODE_BARE, [8] = 3, [9] = 4, [10] = 5};

const struct rule *hvc_riscv64_rule(uint32_t access)
{
    return &RULES[access];
}

/* What both stages have in common: the registers and the bit sets that follow from them. */
static void prepare(struct stage *s, uint64_t atp, uint64_t envcfg, uint32_t flags, bool mxr)
{
    uint64_t reserved = PTE_RESERVED;

    if (flags & HVCORE_RISCV64_WALK_SVRSW60)
        reserved &= ~PTE_RSW60;
    s->table_zero = reserved | PTE_N | PTE_PBMT | PTE_U | PTE_A | PTE_D;
    s->leaf_zero = reserved;
    if (!(flags & HVCORE_RISCV64_WALK_SVNAPOT))
        s->leaf_zero |= PTE_N;
    if (!(envcfg & ENVCFG_PBMTE))
        s->leaf_zero |= PTE_PBMT;
    s->root = (atp & PPN_MASK) << PAGE_SHIFT;
    s->levels = LEVELS[atp >> ATP_MODE_SHIFT];
    s->update = (envcfg & ENVCFG_ADUE) != 0;
    s->leaves = SET_R | SET_X;
    s->readable = mxr ? SET_R | SET_X : SET_R;
}

static void ask(struct stage *s, uint32_t access)
{
    const struct rule *rule = &RULES[access];

    s->need = (struct need){rule->by_read ? s->readable : rule->allow, rule->forbid, rule->mark};
}

void hvc_riscv64_stage_g(struct stage *s, const hvcore_riscv64_walk_regs *regs, uint32_t access)
{
    /* MXR of vsstatus has no say in this stage, MXR of HS-mode has (Priv. 21.5.1). */
    prepare(s, regs->hgatp, regs->menvcfg, regs->flags, (regs->sstatus & STATUS_MXR) != 0);
    s->root &= ~UINT64_C(0x3fff); /* 16 KiB; PPN[1:0] reads as zero (Priv. 21.2.10) */
    s->users = s->fetchers = 2;   /* every access is a user's */
    ask(s, access);
}

void hvc_riscv64_stage_vs(struct stage *s, const hvcore_riscv64_walk_regs *regs, uint32_t access)
{
    uint64_t status = regs->vsstatus | regs->sstatus;

    prepare(s, regs->vsatp, regs->henvcfg, regs->flags, (status & STATUS_MXR) != 0);
    if (regs->henvcfg & ENVCFG_SSE) {
        s->leaves |= SET_SHADOW;
        s->readable |= SET_SHADOW;
    }
    s->users = s->fetchers = regs->mode == HVCORE_RISCV64_VU ? 2 : 1;
    if ((regs->vsstatus & STATUS_SUM) && access != HVCORE_RISCV64_FETCH)
        s->users |= 2; /* SUM never admits a fetch (Priv. 12.1.1.3) */
    ask(s, access);
}
