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

/*
 * The sums: each of the results in the bits of `those`. With all registers and all bits at once,
 * the solver needs a minute; so there are all registers with some bits, some registers with all
 * bits, and --long.
 */
static void sums(hvcore_arm64_frame *f, const hvcore_event *e, uint64_t those)
{
    hvcore_arm64_frame was = *f;
    hvcore_arm64_state state;
    uint64_t esr = e->syndrome, left, plus;
    uint32_t d = esr >> 10 & 31, s = esr >> 5 & 31, n = esr & 31;
    bool set = bit(esr, 24), format_a = bit(esr, 16) != bit(esr, 17);

    ASSUME(accepted(f, e, &state.mops));
    left = was.x[n];
    plus = moved(&was, esr, left);
    hvcore_mops(f, NULL, e, &state);
    PROVE(((f->x[d] ^ (was.x[d] + plus)) & those) == 0);
    PROVE(s == 31 || ((f->x[s] ^ (was.x[s] + (set ? 0 : plus))) & those) == 0);
    PROVE(((f->x[n] ^ (format_a && plus ? 0 - left : left)) & those) == 0);
}

/* All amounts and addresses; the registers are given. */
static void sums_in(uint32_t d, uint32_t s, uint32_t n)
{
    hvcore_arm64_frame f;
    hvcore_event e;

    e.syndrome = (e.syndrome & ~UINT64_C(0x7fff)) | d << 10 | s << 5 | n;
    sums(&f, &e, UINT64_MAX);
}

PROOF(mops_sums_low, 1)
{
    sums_in(0, 1, 2);
}

PROOF(mops_sums_high, 1)
{
    sums_in(28, 30, 29);
}

PROOF(mops_sums_zero, 1)
{
    sums_in(17, 31, 4);
}

/* All registers; of the results 16 bits. */
PROOF(mops_sums_any, 1)
{
    hvcore_arm64_frame f;
    hvcore_event e;

    sums(&f, &e, 0xffff);
}

PROOF_LONG(mops_sums, 1)
{
    hvcore_arm64_frame f;
    hvcore_event e;

    sums(&f, &e, UINT64_MAX);
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

/* --- normalise -------------------------------------------------------------------------------- */

/* Flags and amount as a prologue leaves them (specs 3): NZCV is 0 in option A, else 2 or 10. */
static bool on_its_way(const hvcore_arm64_frame *f, uint32_t insn, bool set)
{
    uint64_t x = f->x[bits(insn, 9, 5)], left = bit(x, 63) ? 0 - x : x;
    uint64_t nzcv = bits(f->spsr, 31, 28);
    bool o0 = bit(insn, 26), both_ways = o0 && !set; /* CPY */

    if (nzcv != 0 && nzcv != 2 && !(nzcv == 10 && both_ways))
        return false;
    if (nzcv == 0 ? !bit(x, 63) && !both_ways : bit(x, 63))
        return false;
    if (o0 && set && (left % 16 || f->x[bits(insn, 4, 0)] % 16)) /* SETG */
        return false;
    return left < UINT64_C(1) << (both_ways ? 55 : 63) && bits(f->spsr, 11, 10) == 0;
}

/* Why it is left as it is, 0 if it is not (encodings: specs 2). */
static uint32_t why_not(const hvcore_arm64_frame *f, uint32_t insn, const uint32_t *prologue)
{
    bool set = bits(insn, 23, 22) == 3;
    unsigned at = set ? 14 : 22, stage = bits(insn, at + 1, at);
    uint64_t d = bits(insn, 4, 0), n = bits(insn, 9, 5), s = bits(insn, 20, 16);

    if (bit(f->spsr, 4) || bits(f->spsr, 3, 2) >= 2)
        return 1;
    if (bits(insn, 31, 27) != 3 || bits(insn, 25, 24) != 1 || bit(insn, 21) ||
        bits(insn, 11, 10) != 1 || (stage != 1 && stage != 2))
        return 2;
    if (d == 31 || n == 31 || (!set && s == 31) || d == n || s == d || s == n)
        return 3;
    if (f->pc % 4 || f->pc < (stage == 2 ? 8 : 4))
        return 4;
    if (prologue && *prologue != (insn & ~(UINT32_C(3) << at)))
        return 5;
    if (f->x[n] == 0)
        return 6;
    return on_its_way(f, insn, set) ? 0 : 7;
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
    uint32_t i;

    ASSUME(i < 31);
    state.mops = m;
    state.step = s;
    was = f;
    r = hvcore_mops_normalise(&f, insn, known ? &prologue : NULL, &state);
    PROVE(r.kind == 0 && r.arg == why_not(&was, insn, known ? &prologue : NULL));
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
    PROVE(i == bits(insn, 4, 0) || i == bits(insn, 9, 5) || i == bits(insn, 20, 16) ||
          f.x[i] == was.x[i]);
    m.normalised++;
    PROVE_SAME_WORDS(state.mops, m);
}
