/* SPDX-License-Identifier: Apache-2.0 */
/* The gate of asynchronous page faults, for all questions: the table of specs async-pf.md 4.6. */
#include "lib/fixup/apf_gate.c"

#include "tests/proofs/proof.h"

/* Facts by their bits. */
enum {
    PAGER_ASYNC,
    HOST_ACCESS,
    RESTARTABLE,
    ENABLED,
    AREA_OK,
    IN_AREA,
    DUP_,
    TOKEN_FREE,
    NP_BUSY,
    NESTED,
    OPTIN,
    MMU_ON,
    PRIV,
    ALWAYS,
    INHIBIT,
    PENDING,
    STEP,
    REGISTERED,
    EV_ENABLED,
    MASKED,
    BLOCKED,
    IRQ_MASKED,
    LINE_OK
};

static unsigned reason_of(const hvcore_apf_gate *g, bool interrupts_closed)
{
    uint32_t f = g->facts;
    bool event = g->mode == 1 || g->mode == 2, irq = g->mode == 3;

    if (!bit(f, PAGER_ASYNC))
        return 1;
    if (bit(f, HOST_ACCESS) && !bit(f, RESTARTABLE))
        return 2;
    if ((!event && !irq) || !bit(f, ENABLED))
        return 3;
    if (!bit(f, AREA_OK))
        return 4;
    if (bit(f, IN_AREA))
        return 5;
    if (bit(f, DUP_))
        return 6;
    if (!bit(f, TOKEN_FREE))
        return 7;
    if (bit(f, NP_BUSY))
        return 8;
    if (bit(f, NESTED) && !bit(f, OPTIN))
        return 9;
    if (!bit(f, MMU_ON))
        return 10;
    if (bit(f, PRIV) && !bit(f, ALWAYS))
        return 11;
    if ((g->pstate & g->select) != g->compare)
        return 12;
    if (bit(f, INHIBIT))
        return 13;
    if (bit(f, PENDING))
        return 14;
    if (bit(f, STEP))
        return 15;
    if (event)
        return !bit(f, REGISTERED) || !bit(f, EV_ENABLED) ? 16
               : bit(f, MASKED)                           ? 17
               : bit(f, BLOCKED)                          ? 18
                                                          : 0;
    return interrupts_closed ? 19 : !bit(f, LINE_OK) ? 20 : 0;
}

PROOF(apf_gate, 25)
{
    hvcore_apf_gate g, was;
    hvcore_apf_verdict v;
    bool closed = bit(g.facts, IRQ_MASKED) && (g.arch != HVCORE_ARCH_RISCV64 || bit(g.facts, PRIV));
    bool can_wait = bit(g.facts, RESTARTABLE) && !bit(g.facts, STEP) && !closed;
    unsigned reason = reason_of(&g, closed);

    was = g;
    v = hvcore_apf_gate_decide(&g);
    PROVE_SAME(g, was);
    PROVE(v.reason == reason);
    PROVE((v.decision == HVCORE_APF_ASYNC) == (reason == 0));
    if (reason == 1 || reason == 2 || reason == 14 || reason == 15)
        PROVE(v.decision == HVCORE_APF_BLOCK);
    else if (reason)
        PROVE(v.decision == (can_wait ? HVCORE_APF_HALT : HVCORE_APF_BLOCK));
    /* What must never happen. */
    if (v.decision == HVCORE_APF_ASYNC) {
        PROVE(bit(g.facts, TOKEN_FREE) && !bit(g.facts, DUP_) && !bit(g.facts, STEP));
        PROVE(g.mode != 3 || !closed);
        PROVE(!bit(g.facts, PRIV) || bit(g.facts, ALWAYS));
    }
}
