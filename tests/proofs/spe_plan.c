/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans for SPE and TRBE, for all configurations: within their bounds, and carried out on registers
 * of which nobody knows the contents, they leave the unit off with the host's values kept, or as it
 * was (specs spe.md).
 */
#include "lib/fixup/spe.c"

#include "tests/proofs/proof.h"

/* A PE: what an operation does to it. Registers are where the host's EL1 context sees them. */
typedef struct pe {
    uint64_t limit, control, control_el2, status, dfr0, idr;
    uint64_t saved[HVCORE_SPE_SLOTS];
    bool drained, complete; /* since `control` was cleared and synchronised; stores landed, too */
    bool synced;            /* ISB since the last write of `control` */
    bool off_undrained;     /* the unit was switched off with records under way */
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
    PROVE(reg == 0xc028);
    return &p->dfr0;
}

static void wrote(pe *p, uint64_t *where)
{
    if (where == &p->control) {
        p->synced = p->drained = p->complete = false;
    }
    if (where == &p->limit && !bit(p->limit, 0) && !p->complete)
        p->off_undrained = true;
}

/* Whether the plan goes on. */
static bool execute(pe *p, const hvcore_spe_op *op, unsigned unit, bool e2h)
{
    uint64_t *reg;

    PROVE(op->slot < HVCORE_SPE_SLOTS && op->kind >= 1 && op->kind <= 9);
    switch (op->kind) {
    case HVCORE_SPE_ISB:
        p->synced = true;
        return true;
    case HVCORE_SPE_PSB:
    case HVCORE_SPE_TSB:
        PROVE((op->kind == HVCORE_SPE_TSB) == (unit == 1));
        p->drained = p->synced && p->control == 0;
        return true;
    case HVCORE_SPE_DSB_NSH:
        p->complete = p->drained;
        return true;
    case HVCORE_SPE_STOP_IF_CLEAR:
        return (p->saved[op->slot] & op->value) != 0;
    default:
        reg = find(p, op->reg, unit, e2h);
    }
    if (op->kind == HVCORE_SPE_READ) {
        p->saved[op->slot] = *reg;
        return true;
    }
    PROVE(reg != &p->dfr0 && reg != &p->idr);
    *reg = op->kind == HVCORE_SPE_WRITE_ZERO    ? 0
           : op->kind == HVCORE_SPE_WRITE_SAVED ? p->saved[op->slot]
                                                : op->value;
    wrote(p, reg);
    return true;
}

static void run(pe *p, const hvcore_spe_config *c, uint32_t direction)
{
    bool e2h = c->host == 1 || c->host == 2 || c->host == 4;
    hvcore_spe_plan plan;

    PROVE(hvcore_spe_plan_make(c, direction, &plan) == 0);
    PROVE(plan.count <= HVCORE_SPE_OPS_MAX);
    for (unsigned i = 0; i < plan.count; i++)
        if (!execute(p, &plan.ops[i], c->unit, e2h))
            return;
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

static void park_and_unpark(const hvcore_spe_config *c)
{
    pe p, was;

    p.off_undrained = p.drained = p.complete = p.synced = false;
    was = p;
    run(&p, c, HVCORE_SPE_PARK);
    PROVE(!bit(p.limit, 0));
    PROVE(!p.off_undrained);
    PROVE(!bit(was.limit, 0) || (p.control == 0 && p.complete && p.synced));
    PROVE(bit(was.limit, 0) || (p.limit == was.limit && p.control == was.control));
    PROVE(p.control_el2 == was.control_el2 && p.status == was.status);
    run(&p, c, HVCORE_SPE_UNPARK);
    PROVE(p.limit == was.limit && p.control == was.control && p.control_el2 == was.control_el2);
}

/* A host at EL1: parked, the unit is off and drained; back again, it is as it was. */
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
PROOF_MODEL(spe_plan_bare, 40)
{
    hvcore_spe_config c;
    pe p;

    ASSUME(c.unit < 2 && c.host >= 3 && c.host < 5 && c.caps == HVCORE_SPE_OWNED && c.flags < 16);
    p.drained = p.complete = p.synced = false;
    run(&p, &c, HVCORE_SPE_INIT);
    PROVE(p.limit == 0 && p.control == 0 && p.control_el2 == 0 && p.status == 0);
    PROVE(p.complete);
}
