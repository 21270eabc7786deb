/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access behind a guest-page fault, for all traps, words and states (Priv. 21.6.3): what comes
 * out is memory that can be accessed, the trap is about one of its bytes, and nothing else has
 * changed.
 */
#define bits unit_bits /* not proof.h's */
#include "lib/fixup/nisv_riscv64.c"
#undef bits

#include "tests/proofs/proof.h"

/* htinst has a proof of its own; here it may answer whatever it promises. */
void hvc_htinst_decode(uint64_t htinst, hvc_htinst *out)
{
    hvc_htinst any;

    ASSUME(any.kind <= HVC_HTINST_CUSTOM && any.offset < 32);
    ASSUME(any.kind != HVC_HTINST_XFORM || any.len == (bit(htinst, 1) ? 4 : 2));
    *out = any;
}

/* What nobody asks for does not come: aligned integer loads and stores that htinst shows. */
PROOF(nisv_riscv64_htinst, 6)
{
    hvcore_riscv64_frame f, f_was;
    hvcore_riscv64_sys sys, sys_was;
    hvcore_riscv64_state state;
    hvcore_event e;
    uint64_t v = e.htinst, opcode = bits(v, 6, 0) | 2;
    hvcore_result r;

    state.nisv.wants = 0;
    f_was = f;
    sys_was = sys;
    r = hvcore_nisv_riscv64(&f, &sys, &e, &state);
    PROVE_SAME_WORDS(f, f_was);
    PROVE_SAME_WORDS(sys, sys_was);
    if (r.kind == HVCORE_RESULT_NEED_REGS)
        return;
    PROVE(r.kind == 0 || r.kind == 7);
    if (r.kind == 7) {
        PROVE(r.arg == (e.cls == 23 ? 7 : 5) && r.addr == e.tval);
        PROVE(state.nisv.width == 0 && state.nisv.count == 0 && state.nisv.why != 0);
        return;
    }
    PROVE(r.arg == 0 && r.addr == 0 && state.nisv.why == 0);
    PROVE((e.cls == 21 && opcode == 0x03) || (e.cls == 23 && opcode == 0x23));
    PROVE((e.have & 8) && state.nisv.width == 1u << bits(v, 13, 12));
    PROVE(e.gpa % state.nisv.width == 0);
    PROVE(state.nisv.write == (e.cls == 23) && state.nisv.sign == (e.cls == 21 && !bit(v, 14)));
    PROVE(state.nisv.reg == (e.cls == 21 ? bits(v, 11, 7) : bits(v, 24, 20)));
    PROVE(state.nisv.count == 1 && state.nisv.piece[0].gpa == e.gpa &&
          state.nisv.piece[0].shift == 0);
}

/* Everything that may be asked for. */

/* Does the guest's mode have its bytes the other way round? Nobody asks where nothing is wanted. */
static bool is_swapped(const hvcore_riscv64_frame *f, const hvcore_riscv64_sys *sys, uint32_t wants)
{
    bool user = !bit(f->sstatus, 8);

    return wants && (user ? bit(sys->vsstatus, 6) : bit(f->hstatus, 5));
}

/* Where the byte at an offset of the access is: in the page of the trap, or in the one told. */
static uint64_t place(const hvcore_event *e, const hvcore_riscv64_nisv *told, uint64_t fault,
                      uint64_t at)
{
    uint64_t first = e->gpa - fault, other = 4096 - first % 4096;

    if ((first + at) / 4096 == e->gpa / 4096)
        return first + at;
    return told->page_gpa + at - (fault < other ? other : 0);
}

/* What the caller has not said that it can carry out does not come. */
static bool is_asked_for(const hvcore_riscv64_nisv *n, uint64_t first)
{
    unsigned kind = n->access.kind;
    bool plain = kind == HVCORE_ACCESS_LOAD || kind == HVCORE_ACCESS_STORE;

    if (n->cbo)
        return bit(n->wants, 3);
    if (first % n->access.size && (!plain || !bit(n->wants, 4)))
        return false;
    return plain ? n->access.fragment[0].cls != HVCORE_ACCESS_REG_F || bit(n->wants, 1)
                 : bit(n->wants, 2);
}

PROOF(nisv_riscv64_any, 9)
{
    hvcore_riscv64_frame f, f_was;
    hvcore_riscv64_sys sys;
    hvcore_riscv64_state state;
    hvcore_riscv64_nisv told = state.nisv;
    hvcore_event e;
    hvcore_result r;
    const hvcore_riscv64_nisv *n = &state.nisv;
    unsigned covered = 0, i;
    bool swapped;

    f_was = f;
    r = hvcore_nisv_riscv64(&f, &sys, &e, &state);
    PROVE_SAME_WORDS(f, f_was);
    PROVE(r.kind == 0 || r.kind == 1 || r.kind == 2 || r.kind == 4 || r.kind == 7);
    PROVE(n->wants == told.wants && n->block == told.block);
    if (r.kind)
        return;
    PROVE((e.cls == 21 || e.cls == 23) && (e.have & 8) && n->why == 0);
    PROVE(n->reg < 32 && (n->len == 2 || n->len == 4) && n->count <= 4);
    PROVE(n->access.fault < n->access.size && n->access.size <= 4096);
    PROVE(is_asked_for(n, e.gpa - n->access.fault));
    if (n->cbo)
        return;
    PROVE(n->count >= 1);
    swapped = is_swapped(&f, &sys, n->wants);
    for (i = 0; i < 4 && i < n->count; i++) {
        unsigned width = n->piece[i].width;
        PROVE(width == 1 || width == 2 || width == 4 || width == 8);
        PROVE(n->piece[i].shift == 8 * (swapped ? n->width - covered - width : covered));
        PROVE(n->piece[i].gpa == place(&e, &told, n->access.fault, covered));
        PROVE(n->piece[i].gpa % width == 0);
        covered += width;
    }
    PROVE(covered == n->width && covered <= 8);
    PROVE(n->access.fragment[0].width == n->width);
}
