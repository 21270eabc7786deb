/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans for SPE and TRBE, for all configurations: within their bounds, and carried out on registers
 * of which nobody knows the contents, they leave the unit off with the host's values kept, or as it
 * was (specs spe.md).
 */
#include "lib/fixup/spe.c"

#include "tests/proofs/proof.h"

/*
 * A PE: what operations do to it. Registers are where the host's EL1 context sees them. What errata
 * of the flags ask for is part of it: a drain that counts only when it is repeated, one that is due
 * again when the unit is off, a second ISB.
 */
typedef struct pe {
    uint64_t limit, control, control_el2, status, dfr0, idr;
    uint64_t saved[HVCORE_SPE_SLOTS];
    unsigned isbs;      /* since the plan began, or `limit` was written */
    unsigned drains;    /* since `control` was cleared, or `limit` was, and that was synchronised */
    bool synced;        /* ISB since `control` was written last */
    bool complete;      /* the stores of what was drained have landed */
    bool off_undrained; /* the unit was switched off with records under way */
    bool on_early;      /* ... on before the host's tables, or sampling before it, were in effect */
    bool wrong;         /* an operation that there is not, or on what nobody may touch */
} pe;

static uint64_t *find(pe *p, uint32_t reg, unsigned unit, bool e2h)
{
    static const uint32_t limits[] = {0xc4d0, 0xc4d8}, statuses[] = {0xc4d3, 0xc4db};
    static const uint32_t el1[] = {0xc4c8, 0xc091}, el2[] = {0xe4c8, 0xe091},
                          el12[] = {0xecc8, 0xe891};
    static const uint32_t idrs[] = {0xc4d7, 0xc4df};

    if (reg == limits[unit])
        return &p->limit;
    if (reg == statuses[unit])
        return &p->status;
    if (reg == (e2h ? el12 : el1)[unit]) /* with E2H the name of EL1 is EL2's register */
        return &p->control;
    if (reg == el2[unit])
        return &p->control_el2;
    if (reg == idrs[unit])
        return &p->idr;
    return reg == 0xc028 ? &p->dfr0 : NULL;
}

static void wrote(pe *p, const uint64_t *where, const hvcore_spe_config *c)
{
    if (where == &p->control) {
        p->on_early |= *where != 0 && p->isbs < (bit(c->flags, 2) ? 2 : 1);
        p->synced = p->complete = false;
        p->drains = 0;
    }
    if (where == &p->limit) {
        if (bit(*where, 0))
            p->on_early |= p->isbs == 0;
        else
            p->off_undrained |= !p->complete;
        p->complete &= !bit(c->flags, 1);
        p->isbs = p->drains = 0;
    }
}

/* ID_AA64DFR0_EL1.PMSVer, .TraceBuffer */
static bool is_there(const pe *p, unsigned unit)
{
    return bits(p->dfr0, unit ? 47 : 35, unit ? 44 : 32) != 0;
}

/* Whether the plan goes on. */
static bool execute(pe *p, const hvcore_spe_op *op, const hvcore_spe_config *c)
{
    bool e2h = c->host == 1 || c->host == 2 || c->host == 4;
    uint64_t *reg;

    p->wrong |= op->slot >= HVCORE_SPE_SLOTS || op->kind < 1 || op->kind > 9;
    switch (op->kind) {
    case HVCORE_SPE_ISB:
        p->isbs++;
        p->synced = true;
        return true;
    case HVCORE_SPE_PSB:
    case HVCORE_SPE_TSB:
        p->wrong |= (op->kind == HVCORE_SPE_TSB) != (c->unit == 1);
        p->drains += p->synced && p->control == 0;
        return true;
    case HVCORE_SPE_DSB_NSH:
        p->complete = p->drains >= (bit(c->flags, 0) ? 2 : 1);
        return true;
    case HVCORE_SPE_STOP_IF_CLEAR:
        return (p->saved[op->slot] & op->value) != 0;
    default:
        reg = find(p, op->reg, c->unit, e2h);
        if (!reg || (reg != &p->dfr0 && !is_there(p, c->unit))) { /* UNDEFINED */
            p->wrong = true;
            return false;
        }
    }
    if (op->kind == HVCORE_SPE_READ) {
        p->saved[op->slot] = *reg;
        return true;
    }
    p->wrong |= reg == &p->dfr0 || reg == &p->idr;
    *reg = op->kind == HVCORE_SPE_WRITE_ZERO    ? 0
           : op->kind == HVCORE_SPE_WRITE_SAVED ? p->saved[op->slot]
                                                : op->value;
    wrote(p, reg, c);
    return true;
}

static void run(pe *p, const hvcore_spe_config *c, uint32_t direction)
{
    hvcore_spe_plan plan;

    p->isbs = 0;
    PROVE(hvcore_spe_plan_make(c, direction, &plan) == 0);
    PROVE(plan.count <= HVCORE_SPE_OPS_MAX);
    for (unsigned i = 0; i < plan.count; i++)
        if (!execute(p, &plan.ops[i], c))
            break;
    PROVE(!p->wrong);
}

/* A PE of which nothing is known, but that nobody has drained it. */
static pe any_pe(void)
{
    pe p;

    p.off_undrained = p.on_early = p.complete = p.synced = p.wrong = false;
    p.drains = 0;
    return p;
}

/* Range: every field, every direction; refused without a touch. */
PROOF(spe_plan_bounds, 40)
{
    hvcore_spe_config c;
    hvcore_spe_plan plan, was;
    uint32_t direction;
    bool fine = c.unit < 2 && c.host < 5 && c.caps < 3 && c.flags < 16 && direction < 4;
    int rc;

    was = plan;
    rc = hvcore_spe_plan_make(&c, direction, &plan);
    PROVE((rc == 0) == fine);
    if (rc) {
        PROVE_SAME(plan, was);
        return;
    }
    PROVE(plan.count <= HVCORE_SPE_OPS_MAX);
    PROVE(c.caps == HVCORE_SPE_OWNED || direction == 0 || plan.count == 0);
    PROVE(direction < 2 || (c.host != 1 && c.host < 3) || plan.count == 0);
}

/* A host at EL1: parked, the unit is off and drained; back again, it is as it was. */
static void park_and_unpark(const hvcore_spe_config *c)
{
    pe p = any_pe(), was;
    bool on;

    ASSUME(is_there(&p, c->unit));
    was = p;
    on = bit(was.limit, 0);
    run(&p, c, HVCORE_SPE_PARK);
    PROVE(!bit(p.limit, 0));
    PROVE(!p.off_undrained);
    PROVE(!on || (p.control == 0 && p.complete && p.synced && p.isbs > 0));
    PROVE(on || (p.limit == was.limit && p.control == was.control));
    PROVE(p.control_el2 == was.control_el2 && p.status == was.status);
    PROVE(!on || !bit(c->flags, 3) || (p.saved[4] == was.status && p.saved[5] == was.status));
    run(&p, c, HVCORE_SPE_UNPARK);
    PROVE(!p.on_early);
    PROVE(p.limit == was.limit && p.control == was.control);
    PROVE(p.control_el2 == was.control_el2 && p.status == was.status);
}

static void park(uint32_t unit, uint32_t host)
{
    hvcore_spe_config c = {.unit = unit, .host = host, .caps = HVCORE_SPE_OWNED};

    for (c.flags = 0; c.flags < 16; c.flags++) /* known numbers: a solver need not guess them */
        park_and_unpark(&c);
}

PROOF_MODEL(spe_plan_park_spe_nvhe, 40)
{
    park(HVCORE_SPE_UNIT_SPE, HVCORE_SPE_HOST_NVHE);
}

PROOF_MODEL(spe_plan_park_spe_hvhe, 40)
{
    park(HVCORE_SPE_UNIT_SPE, HVCORE_SPE_HOST_HVHE);
}

PROOF_MODEL(spe_plan_park_trbe_nvhe, 40)
{
    park(HVCORE_SPE_UNIT_TRBE, HVCORE_SPE_HOST_NVHE);
}

PROOF_MODEL(spe_plan_park_trbe_hvhe, 40)
{
    park(HVCORE_SPE_UNIT_TRBE, HVCORE_SPE_HOST_HVHE);
}

/* Nobody's: whatever was on before is off, its records have landed. */
static void bare(uint32_t unit, uint32_t host)
{
    hvcore_spe_config c = {.unit = unit, .host = host, .caps = HVCORE_SPE_OWNED};

    for (c.flags = 0; c.flags < 16; c.flags++) {
        pe p = any_pe();

        ASSUME(is_there(&p, unit));
        run(&p, &c, HVCORE_SPE_INIT);
        PROVE(p.limit == 0 && p.control == 0 && p.control_el2 == 0 && p.status == 0);
        PROVE(p.complete);
    }
}

PROOF_MODEL(spe_plan_bare, 40)
{
    bare(HVCORE_SPE_UNIT_SPE, HVCORE_SPE_HOST_BARE);
    bare(HVCORE_SPE_UNIT_TRBE, HVCORE_SPE_HOST_BARE_E2H);
}

/* A host's: at EL1 PMSCR_EL2 lets it have physical addresses and time; at EL2 nothing else samples.
 */
static void init(uint32_t unit, uint32_t host)
{
    hvcore_spe_config c = {.unit = unit, .host = host, .caps = HVCORE_SPE_OWNED};
    pe p = any_pe(), was;

    ASSUME(is_there(&p, unit) && c.flags == 0);
    was = p;
    run(&p, &c, HVCORE_SPE_INIT);
    PROVE(p.limit == was.limit && p.status == was.status);
    PROVE(p.control == (host == HVCORE_SPE_HOST_VHE ? 0 : was.control));
    PROVE(p.control_el2 == (host == HVCORE_SPE_HOST_VHE || unit ? was.control_el2 : 0x50));
}

PROOF_MODEL(spe_plan_init, 40)
{
    for (uint32_t unit = 0; unit < 2; unit++)
        for (uint32_t host = 0; host < 3; host++)
            init(unit, host);
}

/* Nothing but the identification is read before that says that the rest is there. */
PROOF_MODEL(spe_plan_probe, 40)
{
    for (uint32_t unit = 0; unit < 2; unit++) {
        hvcore_spe_config c = {.unit = unit};
        pe p = any_pe(), was = p;

        run(&p, &c, HVCORE_SPE_PROBE);
        PROVE(p.limit == was.limit && p.control == was.control && p.status == was.status);
        PROVE(p.saved[0] == was.dfr0 && (!is_there(&p, unit) || p.saved[1] == was.idr));
        PROVE(hvcore_spe_caps(unit, p.saved[0], p.saved[1]) == (!is_there(&p, unit) ? 0
                                                                : bit(was.idr, 4)   ? 1
                                                                                    : 2));
    }
}

/* The books: what is parked is not parked again, what comes back leaves nothing behind. */
PROOF(spe_plan_account, 1)
{
    hvcore_spe_pe pe, was;
    uint32_t direction;
    const hvcore_spe_config *c = &pe.config;
    bool on = bit(pe.saved[2], 0),
         fine = c->unit < 2 && c->host < 5 && c->caps < 3 && c->flags < 16;
    int rc;

    was = pe;
    rc = hvcore_spe_account(&pe, direction);
    PROVE((rc == 0) == (fine && (direction == 3 || (direction == 2 && !was.parked))));
    if (rc) {
        PROVE_SAME(pe, was);
        return;
    }
    PROVE(pe.parked == (direction == 2 && on ? 1 : 0));
    PROVE(pe.parks - was.parks == (direction == 2 ? 1 : 0));
    PROVE(pe.drained - was.drained == pe.parked);
    PROVE(pe.raised - was.raised <= pe.parked && pe.faulted - was.faulted <= pe.parked);
    PROVE(direction == 2 ? pe.saved[2] == was.saved[2] && pe.saved[3] == was.saved[3]
                         : pe.saved[2] == 0 && pe.saved[3] == 0);
}
