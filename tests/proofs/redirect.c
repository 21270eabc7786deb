/* SPDX-License-Identifier: Apache-2.0 */
/* redirect, for all inputs: what the specs (riscv-traps 2.2) write, step by step. */
#include "lib/fixup/redirect.c"

#include "tests/proofs/proof.h"

enum { SIE = 1, SPIE = 5, SPP = 8, SPELP = 23, SDT = 24 };
enum { SPV = 7, SPVP = 8, DTE = 59 };
/* Bits of `have`: positions in the list of registers. */
enum { VSSTATUS = 0, VSTVEC = 2, VSEPC = 4, VSCAUSE = 5, VSTVAL = 6, HENVCFG = 11 };

typedef struct world {
    hvcore_riscv64_frame frame;
    hvcore_riscv64_sys sys;
    hvcore_riscv64_state state;
} world;

static hvcore_result answer(uint32_t kind, uint32_t arg, uint64_t addr)
{
    return (hvcore_result){kind, arg, addr};
}

static uint64_t target(uint64_t vstvec, uint64_t cause)
{
    uint64_t base = vstvec / 4 * 4;
    bool vectored = !bit(vstvec, 1) && bit(vstvec, 0);

    return vectored && bit(cause, 63) ? base + 4 * bits(cause, 62, 0) : base;
}

/* The world after the unit, and its answer. */
static hvcore_result specified(world *w, const hvcore_event *event)
{
    hvcore_riscv64_sys *g = &w->sys;
    uint64_t needs = 1 << VSSTATUS | 1 << VSTVEC | 1 << HENVCFG;
    bool dte;

    if (!bit(w->frame.hstatus, SPV)) /* 0 */
        return answer(8, 1, 0);
    if ((g->have & needs) != needs)
        return answer(1, 0, needs - (g->have & needs));
    dte = bit(g->henvcfg, DTE); /* 1 */
    if (dte && bit(g->vsstatus, SDT))
        return answer(7, 16, event->syndrome);
    g->vsstatus = with_bit(g->vsstatus, SPP, bit(w->frame.sstatus, SPP)); /* 2 */
    g->vsstatus = with_bit(g->vsstatus, SPIE, bit(g->vsstatus, SIE));
    g->vsstatus = with_bit(g->vsstatus, SIE, false);
    if (dte)
        g->vsstatus = with_bit(g->vsstatus, SDT, true);
    g->vsstatus = with_bit(g->vsstatus, SPELP, bit(w->frame.sstatus, SPELP));
    w->frame.sstatus = with_bit(w->frame.sstatus, SPELP, false);
    g->vsepc = with_bit(event->pc, 0, false); /* 3 */
    g->vscause = event->syndrome;
    g->vstval = event->tval;
    w->frame.pc = target(g->vstvec, event->syndrome);         /* 4 */
    w->frame.sstatus = with_bit(w->frame.sstatus, SPP, true); /* 5 */
    w->frame.hstatus = with_bit(w->frame.hstatus, SPVP, true);
    g->have |= 1 << VSSTATUS | 1 << VSEPC | 1 << VSCAUSE | 1 << VSTVAL;
    g->dirty |= 1 << VSSTATUS | 1 << VSEPC | 1 << VSCAUSE | 1 << VSTVAL;
    return answer(0, 0, 0);
}

PROOF(redirect, 1)
{
    world before, after;
    hvcore_event event, kept;
    hvcore_result got, wanted;

    after = before;
    kept = event;
    got = hvcore_redirect(&after.frame, &after.sys, &event, &after.state);
    wanted = specified(&before, &event);
    PROVE(got.kind == wanted.kind);
    PROVE(got.arg == wanted.arg);
    PROVE(got.addr == wanted.addr);
    PROVE_SAME(after, before);
    PROVE_SAME(event, kept);
}

/* Once delivered, it cannot be undone by a second call: with Ssdbltrp that is a double trap. */
PROOF(redirect_twice, 1)
{
    world w, kept;
    hvcore_event event;
    hvcore_result r;

    ASSUME(bit(w.sys.henvcfg, DTE));
    ASSUME(hvcore_redirect(&w.frame, &w.sys, &event, &w.state).kind == 0);
    kept = w;
    r = hvcore_redirect(&w.frame, &w.sys, &event, &w.state);
    PROVE(r.kind == 7 && r.arg == 16);
    PROVE_SAME(w, kept);
}
