/* SPDX-License-Identifier: Apache-2.0 */
/* May a fault be made asynchronous? A table of rows in order; the first that applies decides. */
#include <stdbool.h>
#include <stddef.h>

#include <hvcore/fixup/apf.h>

#define FACT(name) HVCORE_APF_FACT_##name
#define KNOWN ((UINT32_C(1) << 23) - 1)

/* Facts that follow from the rest of the question. */
enum {
    MODE_OFF = 1 << 23,
    MODE_EVENT = 1 << 24, /* SDEI or SSE */
    MODE_IRQ = 1 << 25,
    GATE_CLOSED = 1 << 26, /* by the guest's select and compare */
    IRQ_CLOSED = 1 << 27   /* the guest takes no interrupt here */
};

/* The row applies if the facts in `mask` are those in `want`. */
typedef struct row {
    uint32_t mask;
    uint32_t want;
    uint8_t reason;
    bool block; /* never HALT */
} row;

/* clang-format off */
static const row rows[] = {
    {FACT(PAGER_ASYNC), 0, HVCORE_APF_PAGER_SYNC, true},
    {FACT(HOST_ACCESS) | FACT(RESTARTABLE), FACT(HOST_ACCESS), HVCORE_APF_HOST_ACCESS, true},
    {MODE_OFF, MODE_OFF, HVCORE_APF_DISABLED, false},
    {FACT(ENABLED), 0, HVCORE_APF_DISABLED, false},
    {FACT(AREA_OK), 0, HVCORE_APF_AREA, false},
    {FACT(IN_AREA), FACT(IN_AREA), HVCORE_APF_SELF, false},
    {FACT(DUP), FACT(DUP), HVCORE_APF_DUP, false},
    {FACT(TOKEN_FREE), 0, HVCORE_APF_NOTOKEN, false},
    {FACT(NP_BUSY), FACT(NP_BUSY), HVCORE_APF_NPBUSY, false},
    {FACT(NESTED) | FACT(NESTED_OPTIN), FACT(NESTED), HVCORE_APF_NESTED, false},
    {FACT(MMU_ON), 0, HVCORE_APF_MMUOFF, false},
    {FACT(PRIV) | FACT(SEND_ALWAYS), FACT(PRIV), HVCORE_APF_KERNEL, false},
    {GATE_CLOSED, GATE_CLOSED, HVCORE_APF_GATE, false},
    {FACT(INHIBIT), FACT(INHIBIT), HVCORE_APF_INHIBIT, false},
    {FACT(PENDING_EXC), FACT(PENDING_EXC), HVCORE_APF_PENDEXC, true},
    {FACT(HOST_STEP), FACT(HOST_STEP), HVCORE_APF_STEP, true},
    {MODE_EVENT | FACT(EV_REGISTERED), MODE_EVENT, HVCORE_APF_EVTOFF, false},
    {MODE_EVENT | FACT(EV_ENABLED), MODE_EVENT, HVCORE_APF_EVTOFF, false},
    {MODE_EVENT | FACT(EV_MASKED), MODE_EVENT | FACT(EV_MASKED), HVCORE_APF_EVTMASK, false},
    {MODE_EVENT | FACT(EV_BLOCKED), MODE_EVENT | FACT(EV_BLOCKED), HVCORE_APF_EVTBUSY, false},
    {MODE_IRQ | IRQ_CLOSED, MODE_IRQ | IRQ_CLOSED, HVCORE_APF_IRQMASK, false},
    {MODE_IRQ | FACT(IRQ_LINE_OK), MODE_IRQ, HVCORE_APF_IRQPRIO, false},
};
/* clang-format on */

static const uint32_t modes[] = {
    [HVCORE_APF_MODE_OFF] = MODE_OFF,
    [HVCORE_APF_MODE_SDEI] = MODE_EVENT,
    [HVCORE_APF_MODE_SSE] = MODE_EVENT,
    [HVCORE_APF_MODE_IRQ] = MODE_IRQ,
};

/* U-mode takes S interrupts whatever sstatus.SIE says (Priv. 12.1.1); PSTATE.I counts at EL0 too.
   */
static bool is_closed(const hvcore_apf_gate *gate)
{
    bool user = !(gate->facts & FACT(PRIV));

    return gate->facts & FACT(IRQ_MASKED) && !(gate->arch == HVCORE_ARCH_RISCV64 && user);
}

static uint32_t all_facts(const hvcore_apf_gate *gate)
{
    uint32_t mode = gate->mode < sizeof modes / sizeof *modes ? modes[gate->mode] : MODE_OFF;
    bool open = (gate->pstate & gate->select) == gate->compare;

    return (gate->facts & KNOWN) | mode | (open ? 0 : GATE_CLOSED) |
           (is_closed(gate) ? IRQ_CLOSED : 0);
}

static bool can_halt(uint32_t facts)
{
    return (facts & (FACT(HOST_STEP) | FACT(RESTARTABLE) | IRQ_CLOSED)) == FACT(RESTARTABLE);
}

static hvcore_apf_verdict verdict_of(const row *r, uint32_t facts)
{
    bool halt = !r->block && can_halt(facts);

    return (hvcore_apf_verdict){halt ? HVCORE_APF_HALT : HVCORE_APF_BLOCK, r->reason};
}

hvcore_apf_verdict hvcore_apf_gate_decide(const hvcore_apf_gate *gate)
{
    uint32_t facts = all_facts(gate);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if ((facts & rows[i].mask) == rows[i].want) {
            return verdict_of(&rows[i], facts);
        }
    }
    return (hvcore_apf_verdict){HVCORE_APF_ASYNC, HVCORE_APF_OK};
}
