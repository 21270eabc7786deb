/* SPDX-License-Identifier: Apache-2.0 */
/* A run of one operation: where it is interrupted, what comes to EL2, what the units make of it. */
#include "tests/system/arm64/mops_test.h"

#define TURNS 1000u /* of a guest before it is given up */

hvcore_arm64_state mops_state;
hvcore_arm64_sys mops_sys;
uint64_t mops_seen[FAMILIES][KINDS];

/* ---- judging ---- */

const char *const mops_families[FAMILIES] = {"CPY", "CPYF", "SET", "SETG"};
static const char *const plans[PLANS] = {"a page is missing", "single steps", "from option B",
                                         "from option A"};
static const char *const routes[GUEST_ROUTES] = {"EL1", "EL1 itself", "EL0, EL1", "EL0, TGE"};

void mops_same(test *t, const char *what, uint64_t got, uint64_t wanted)
{
    image_compared++;
    if (got == wanted) {
        return;
    }
    if (!t->bad && image_complain(what)) {
        put_hex(got), put(", not"), put_hex(wanted);
        put("; "), put(mops_families[t->o.family]), put(", "), put(plans[t->plan]), put(", ");
        put(routes[t->route]), put(", length"), put_hex(t->o.len), put("\n");
    }
    t->bad = true;
}

static void same_amounts(test *t, const char *what, const amounts *got, const amounts *wanted)
{
    mops_same(t, what, got->d, wanted->d);
    mops_same(t, what, got->s, wanted->s);
    mops_same(t, what, got->n, wanted->n);
}

/* ---- the state on its way ---- */

static enum stage stage_of(uint64_t pc)
{
    return pc == AT_P ? PROLOGUE : pc == AT_M ? MAIN : EPILOGUE;
}

static bool on_its_way(const test *t)
{
    return t->frame.pc == AT_M || t->frame.pc == AT_E;
}

void mops_turn(test *t)
{
    amounts now = mops_get(&t->o, &t->frame), rest = mops_to_prologue(&t->o, &now), to;
    bool back = !is_set(&t->o) && !(now.n >> 63);

    mops_same(t, back ? "beginning, backward" : "end, forward", back ? rest.d : rest.d + rest.n,
              back ? t->whole.d : t->whole.d + t->whole.n);
    t->whole = rest;
    to = mops_format(&t->o, &rest, 0, false, back);
    mops_set(&t->o, &t->frame, &to);
    t->frame.spsr = (t->frame.spsr & ~NZCV) | mops_flags(false, back);
    t->turned = true;
    t->turns_left--;
}

/* The unit that makes a snapshot independent of the option, on a state that the PE itself left. */
static void normalise(test *t)
{
    hvcore_arm64_frame before = t->frame;
    amounts now = mops_get(&t->o, &t->frame), rest = mops_to_prologue(&t->o, &now), got;
    uint32_t prologue = mops_word(&t->o, PROLOGUE);
    hvcore_result r = hvcore_mops_normalise(&t->frame, mops_word(&t->o, stage_of(before.pc)),
                                            &prologue, &mops_state);

    got = mops_get(&t->o, &t->frame);
    mops_same(t, "normalise", r.arg, HVCORE_MOPS_NORMALISED);
    mops_same(t, "pc, normalised", t->frame.pc, AT_P);
    same_amounts(t, "registers, normalised", &got, &rest);
    t->whole = rest;
    t->moved = t->plan == STEPPED;
    t->turns_left--;
    mops_seen[t->o.family][NORMALISED]++;
}

/* Somebody interrupted it between two instructions, or in one. */
static void interrupted(test *t)
{
    if (!on_its_way(t) || !t->turns_left || t->frame.x[t->o.n] == 0) {
        return;
    }
    if (chance(60)) {
        mops_turn(t);
    } else if (chance(30)) {
        normalise(t);
    }
}

/* ---- what comes to EL2 ---- */

static hvcore_event event_of(const test *t, uint64_t esr)
{
    hvcore_event e = HVCORE_EVENT_INIT;

    e.have = HVCORE_HAVE_SYNDROME | HVCORE_HAVE_PC;
    e.syndrome = esr;
    e.pc = t->frame.pc;
    return e;
}

/* What the unit must not touch. */
static void same_rest(test *t, const hvcore_arm64_frame *before)
{
    for (uint32_t i = 0; i < 31; i++) {
        if (i != t->o.d && i != t->o.s && i != t->o.n) {
            mops_same(t, "another register", t->frame.x[i], before->x[i]);
        }
    }
    mops_same(t, "spsr", t->frame.spsr, before->spsr & ~SPSR_SS);
}

static void on_exception(test *t, uint64_t esr)
{
    hvcore_arm64_frame before = t->frame;
    hvcore_event event = event_of(t, esr);
    enum stage stage = stage_of(before.pc);
    amounts now = mops_get(&t->o, &before), got;
    uint32_t kind = (stage == EPILOGUE ? 2 : 0) + t->turned;
    uint64_t done = mops_state.mops.done[kind];
    hvcore_result r;

    mops_same(t, "syndrome", esr & ~BIT(15), mops_syndrome(&t->o, stage, t->turned));
    if (!t->turned) {
        t->whole = mops_to_prologue(&t->o, &now);
    }
    r = hvcore_mops(&t->frame, &mops_sys, &event, &mops_state);
    got = mops_get(&t->o, &t->frame);
    mops_same(t, "answer", r.kind, HVCORE_RESULT_DONE);
    mops_same(t, "pc", t->frame.pc, AT_P);
    same_amounts(t, "registers", &got, &t->whole);
    same_rest(t, &before);
    mops_same(t, "count", mops_state.mops.done[kind], done + 1);
    mops_seen[t->o.family]
             [t->turned ? stage == MAIN ? WRONG_MAIN : WRONG_EPILOGUE : ILL_EPILOGUE]++;
    mops_state.mops.streak = 0;
    t->turned = false;
    t->moved = t->plan == STEPPED;
}

/* Stage 2 lacks a page: it comes back. The prologue writes what it has done as a new beginning. */
static void on_abort(test *t)
{
    mops_seen[t->o.family][t->frame.pc == AT_P ? ABORT_P : ABORT_M]++;
    for (uint32_t page = 0; page < ARENA_PAGES; page++) {
        guest_page(page, true);
    }
    if (t->frame.pc == AT_P) {
        t->whole = mops_get(&t->o, &t->frame);
    }
    interrupted(t);
}

/* After a fix-up the PE reports a step that executed nothing, at the prologue. */
static void on_step(test *t, hvcore_result said)
{
    mops_same(t, "step", said.kind, HVCORE_RESULT_EXIT);
    mops_same(t, "step's reason", said.arg, t->moved ? HVCORE_STEP_MOVED : HVCORE_STEP_RETIRED);
    mops_same(t, "pc of the step", t->frame.pc, t->moved ? AT_P : t->entered + 4);
    t->moved = false;
    mops_seen[t->o.family][STEPS]++;
    interrupted(t);
}

/* ---- one run ---- */

/* hvcore_step_leave() may come before the unit or after it. */
static hvcore_result leave(test *t, uint64_t esr)
{
    hvcore_event event = event_of(t, esr);

    if (t->plan != STEPPED) {
        return (hvcore_result){0};
    }
    return hvcore_step_leave(&t->frame, &mops_sys, &event, &mops_state.step);
}

uint64_t mops_enter(test *t)
{
    if (t->plan == STEPPED) {
        mops_same(t, "step enter", hvcore_step_enter(&t->frame, &mops_sys, &mops_state.step).kind,
                  HVCORE_RESULT_DONE);
        WRITE(mdscr_el1, mops_sys.mdscr_el1);
    }
    t->entered = t->frame.pc;
    return guest_enter(&t->frame);
}

void mops_mend(test *t, uint64_t esr)
{
    bool early = chance(50);

    mops_same(t, "taken to", guest_taken_to,
              t->route == EL1_TO_EL2 || t->route == EL0_TO_EL2 ? 2 : 1);
    mops_same(t, "SS of what did not complete", t->frame.spsr & SPSR_SS,
              t->plan == STEPPED ? SPSR_SS : 0);
    if (early) {
        mops_same(t, "no step", leave(t, esr).kind, HVCORE_RESULT_DONE);
    }
    on_exception(t, esr);
    if (!early) {
        mops_same(t, "no step", leave(t, esr).kind, HVCORE_RESULT_DONE);
    }
}

/* False: this was the end, or nothing that belongs here. */
static bool serve(test *t, uint64_t esr)
{
    uint32_t class = guest_class(esr), end = guest_is_el0(t->route) ? EC_SVC : EC_HVC;

    if (class == EC_MOPS) {
        mops_mend(t, esr);
    } else if (class == EC_STEP && t->plan == STEPPED) {
        on_step(t, leave(t, esr));
    } else if (class == EC_ABORT_LOWER && t->plan == FROM_P) {
        on_abort(t);
    } else {
        leave(t, esr);
        mops_same(t, "the end", class, end);
        mops_same(t, "pc of the end", t->frame.pc, AT_END);
        return false;
    }
    return !t->bad;
}

void mops_drive(test *t)
{
    for (uint32_t i = 0; i < TURNS; i++) {
        if (!serve(t, mops_enter(t))) {
            return;
        }
    }
    mops_same(t, "turns", TURNS, 0);
}
