/* SPDX-License-Identifier: Apache-2.0 */
/* mops, for all inputs: the reset algorithm and the checks before it (specs mops.md, 6 and 8). */
#include "lib/fixup/step.c"
#undef SPSR_NRW
#include "lib/fixup/mops.c"

#include "tests/proofs/proof.h"

/* The number of the first check that fails (specs 8), 0 if none. */
static uint32_t refusal(const hvcore_arm64_frame *f, const hvcore_event *e)
{
    uint64_t esr = e->syndrome, d = bits(esr, 14, 10), s = bits(esr, 9, 5), n = bits(esr, 4, 0);
    bool set = bit(esr, 24), has_source = !set || s != 31;

    if (!bit(e->have, 0))
        return 1;
    if (bits(esr, 31, 26) != 0x27)
        return 2;
    if (!bit(esr, 25))
        return 3;
    if (bit(f->spsr, 4))
        return 4;
    if (bits(f->spsr, 3, 2) >= 2)
        return 5;
    if (d == 31 || n == 31 || (!set && s == 31))
        return 6;
    if (d == n || (has_source && (s == d || s == n)))
        return 7;
    if (f->pc % 4 || f->pc < (bit(esr, 18) ? 8 : 4) || (bit(e->have, 7) && e->pc != f->pc))
        return 8;
    return 0;
}

static uint32_t limit_of(const hvcore_mops_state *m)
{
    return m->streak_max ? m->streak_max : 1 << 16;
}

/* Everything that is refused is refused by name, in this order, and nothing moves. */
PROOF(mops_refused, 1)
{
    hvcore_arm64_frame f, was;
    hvcore_event e;
    hvcore_arm64_state state;
    hvcore_mops_state m;
    hvcore_step_state s;
    uint32_t why = refusal(&f, &e);
    hvcore_result r;

    ASSUME(why || bit(m.options, 0) || m.streak >= limit_of(&m));
    state.mops = m;
    state.step = s;
    was = f;
    r = hvcore_mops(&f, NULL, &e, &state);
    PROVE(why                 ? r.kind == 8 && r.arg == why
          : bit(m.options, 0) ? r.kind == 6 && r.arg == 0x02000000 && r.addr == 0
                              : r.kind == 8 && r.arg == 9);
    PROVE(r.kind != 8 || r.addr == (r.arg == 4 || r.arg == 5 || r.arg >= 8 ? f.pc : e.syndrome));
    PROVE_SAME_WORDS(f, was);
    PROVE_SAME_WORDS(state.mops, m);
    PROVE_SAME_WORDS(state.step, s);
}

/* What a reset adds to the addresses (specs 6). */
static uint64_t moved(const hvcore_arm64_frame *was, uint64_t esr, uint64_t left)
{
    bool set = bit(esr, 24), format_a = bit(esr, 16) != bit(esr, 17);

    if (format_a)
        return set || bit(left, 63) ? left : 0;
    return !set && bit(was->spsr, 31) ? 0 - left : 0;
}

static bool accepted(const hvcore_arm64_frame *f, const hvcore_event *e, const hvcore_mops_state *m)
{
    return !refusal(f, e) && !bit(m->options, 0) && m->streak < limit_of(m);
}

/* What is not refused, for all registers: everything but the sums. */
PROOF(mops_reset, 1)
{
    hvcore_arm64_frame f, was;
    hvcore_event e;
    hvcore_arm64_state state;
    uint64_t esr = e.syndrome, left;
    uint32_t d = esr >> 10 & 31, s = esr >> 5 & 31, n = esr & 31, i;
    hvcore_result r;

    ASSUME(accepted(&f, &e, &state.mops) && i < 31);
    was = f;
    r = hvcore_mops(&f, NULL, &e, &state);
    left = was.x[n];
    PROVE(r.kind == 0 && r.arg == 0 && r.addr == 0);
    PROVE(f.pc == was.pc - (bit(esr, 18) ? 8 : 4));
    PROVE(f.spsr == with_bit(was.spsr, 21, false));
    PROVE(i == d || i == n || (i == s && !bit(esr, 24)) || f.x[i] == was.x[i]);
    PROVE(moved(&was, esr, left) || i == n || f.x[i] == was.x[i]);
    PROVE(!bit(esr, 24) || s == 31 || f.x[s] == was.x[s]);
}

/* The sums, for all amounts and addresses: the registers are given, all would be too much at once.
 */
static void sums(uint32_t d, uint32_t s, uint32_t n)
{
    hvcore_arm64_frame f, was;
    hvcore_event e;
    hvcore_arm64_state state;
    uint64_t left;

    e.syndrome = (e.syndrome & ~UINT64_C(0x7fff)) | d << 10 | s << 5 | n;
    ASSUME(accepted(&f, &e, &state.mops));
    was = f;
    hvcore_mops(&f, NULL, &e, &state);
    left = was.x[n];
    PROVE(f.x[d] == was.x[d] + moved(&was, e.syndrome, left));
    PROVE(s == 31 ||
          f.x[s] == was.x[s] + (bit(e.syndrome, 24) ? 0 : moved(&was, e.syndrome, left)));
    PROVE(f.x[n] == (bit(e.syndrome, 16) != bit(e.syndrome, 17) && moved(&was, e.syndrome, left)
                         ? 0 - left
                         : left));
}

PROOF(mops_sums_low, 1)
{
    sums(0, 1, 2);
}

PROOF(mops_sums_high, 1)
{
    sums(28, 30, 29);
}

PROOF(mops_sums_zero, 1)
{
    sums(17, 31, 4);
}

/* The books. */
PROOF(mops_counts, 1)
{
    hvcore_arm64_frame f;
    hvcore_event e;
    hvcore_arm64_state state;
    hvcore_mops_state m;
    hvcore_step_state s;
    uint32_t kind = bit(e.syndrome, 17) + 2 * bit(e.syndrome, 18);

    state.mops = m;
    state.step = s;
    ASSUME(hvcore_mops(&f, NULL, &e, &state).kind == 0);
    PROVE(m.streak < limit_of(&m) && state.mops.streak == m.streak + 1);
    PROVE(state.mops.done[kind] == m.done[kind] + 1);
    PROVE(state.mops.odd - m.odd <= (bit(m.options, 1) ? 1 : 0));
    m.streak++;
    m.done[kind]++;
    m.odd = state.mops.odd;
    PROVE_SAME_WORDS(state.mops, m);
    s.guest_ss = 0;
    s.host_pending = s.owner == 2; /* nothing executes before a step is told */
    PROVE_SAME_WORDS(state.step, s);
}

/* What makes the exception repeat for ever is not there: pc strictly falls, or nothing moves. */
PROOF(mops_normalise, 1)
{
    hvcore_arm64_frame f, was;
    hvcore_mops_state m;
    hvcore_step_state s;
    hvcore_arm64_state state;
    uint32_t insn, prologue;
    bool known;
    hvcore_result r;

    state.mops = m;
    state.step = s;
    was = f;
    r = hvcore_mops_normalise(&f, insn, known ? &prologue : NULL, &state);
    PROVE(r.kind == 0 && r.arg <= 7);
    PROVE(r.addr == f.pc);
    if (r.arg) {
        PROVE_SAME_WORDS(f, was);
        PROVE_SAME_WORDS(state.mops, m);
        PROVE_SAME_WORDS(state.step, s);
        return;
    }
    PROVE(was.pc - f.pc == 4 || was.pc - f.pc == 8);
    PROVE(f.pc < was.pc && f.pc % 4 == 0);
    PROVE(f.spsr == with_bit(was.spsr, 21, false));
    PROVE(!bit(f.x[bits(insn, 9, 5)], 63)); /* a size, as a prologue takes it */
    PROVE(bits(insn, 4, 0) != 31 && bits(insn, 9, 5) != 31);
}
