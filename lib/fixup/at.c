/* SPDX-License-Identifier: Apache-2.0 */
/* AT carried out: the order of things, and when a walk's result may be told (specs at-walker.md,
 * 5). */
#include "lib/fixup/at.h"

#include <stddef.h>

#define ESR_IL (1u << 25)
#define ESR_EC_SHIFT 26
#define ISS_CM (1u << 8)
#define ISS_S1PTW (1u << 7)
#define ISS_WNR (1u << 6)
#define SPSR_BTYPE (UINT64_C(3) << 10)

static hvcore_result leave(uint32_t why, uint64_t detail)
{
    return (hvcore_result){HVCORE_RESULT_EXIT, why, detail};
}

/* ---- ends ---- */

/* The instruction is over; the same one may come again, and is a new one then. */
static void forget(hvcore_at_state *at)
{
    at->phase = AT_PHASE_NEW;
    at->failures = 0;
    at->pc = 0;
    at->va = 0;
    at->esr = 0;
}

static hvcore_result inject(struct at_call *k, uint32_t esr, uint64_t far, uint64_t hpfar)
{
    forget(k->at);
    k->at->hpfar = hpfar;
    k->at->count[HVCORE_AT_COUNT_INJECTED]++;
    return (hvcore_result){HVCORE_RESULT_INJECT, esr, far};
}

/* The guest sees PAR_EL1 and the next instruction, whoever steps it included. */
static hvcore_result done(struct at_call *k, hvcore_arm64_state *state, const uint64_t par[2],
                          uint32_t counter)
{
    k->sys->par_el1 = par[0];
    k->sys->have |= AT_SET(par_el1);
    k->sys->dirty |= AT_SET(par_el1);
    k->frame->pc += 4;
    k->frame->spsr &= ~SPSR_BTYPE;
    hvcore_step_advance(k->frame, &state->step);
    forget(k->at);
    k->at->par_high = par[1];
    k->at->count[counter]++;
    return (hvcore_result){HVCORE_RESULT_DONE, 0, 0};
}

/* A table cannot be read, or (EL1) its hypervisor's stage 2 does not let it (specs 2.3). */
static hvcore_result data_abort(struct at_call *k, const hvcore_arm64_walk_result *r)
{
    bool up = k->el == 1 && r->stage == 2; /* stage 2 is the guest hypervisor's */
    uint32_t ec = up ? AT_EC_ABORT_LOWER : AT_EC_ABORT_SAME;
    uint32_t iss = ISS_CM | ISS_WNR | r->fsc;

    if (r->notes & HVCORE_ARM64_NOTE_S1PTW) {
        iss |= ISS_S1PTW;
    }
    return inject(k, ec << ESR_EC_SHIFT | ESR_IL | iss, k->va,
                  r->stage == 2 ? r->ipa >> 12 << 4 : 0);
}

static hvcore_result refused(const hvcore_arm64_walk_result *r)
{
    if (r->fault == HVCORE_ARM64_REFUSED_D128) {
        return leave(HVCORE_AT_D128, 0);
    }
    return leave(HVCORE_AT_OPTIONS, r->fault);
}

static hvcore_result need_page(struct at_call *k, uint64_t gpa, bool write)
{
    k->at->count[HVCORE_AT_COUNT_PAGES]++;
    return (hvcore_result){HVCORE_RESULT_NEED_PAGE, write, gpa};
}

static hvcore_result need_hold(struct at_call *k)
{
    k->at->failures = 0;
    k->at->count[HVCORE_AT_COUNT_HELD]++;
    return (hvcore_result){HVCORE_RESULT_NEED_HOLD, 0, 0};
}

static hvcore_result tell(struct at_call *k, hvcore_arm64_state *state,
                          const hvcore_arm64_walk_result *r)
{
    uint64_t par[2];

    if (r->kind == HVCORE_ARM64_WALK_REFUSED) {
        return refused(r);
    }
    if (r->kind == HVCORE_ARM64_WALK_NEED_PAGE) {
        return need_page(k, r->gpa, r->notes & HVCORE_ARM64_NOTE_WRITE);
    }
    if (r->kind != HVCORE_ARM64_WALK_DONE) {
        return data_abort(k, r);
    }
    hvcore_at_par(&k->at->walk, r, 0, par);
    return done(k, state, par, HVCORE_AT_COUNT_SOFTWARE);
}

/* ---- the walk ---- */

/* What a pass came to. */
enum pass { PASS_GOOD, PASS_CHANGED, PASS_WRITES };

static bool unsettled(const hvcore_arm64_walk_result *r)
{
    return r->kind == HVCORE_ARM64_WALK_NEED_PAGE || r->kind == HVCORE_ARM64_WALK_REFUSED;
}

/* Walk; while the others run, look at everything again. */
static enum pass once(struct at_call *k, const hvcore_arm64_walk_request *request,
                      hvcore_arm64_walk_result *r)
{
    int status;

    hvcore_arm64_walk(&k->at->walk, k->sys, k->mem, request, r);
    if (r->kind == HVCORE_ARM64_WALK_RESTART) {
        return PASS_CHANGED;
    }
    if (k->held || unsettled(r)) {
        return PASS_GOOD;
    }
    status = hvcore_arm64_walk_revalidate(r, k->mem, &r->gpa);
    if (status == HVCORE_ARM64_MEM_NOT_RESIDENT) {
        r->kind = HVCORE_ARM64_WALK_NEED_PAGE;
        r->notes = 0;
        return PASS_GOOD;
    }
    return status == HVCORE_ARM64_MEM_OK ? PASS_GOOD : PASS_CHANGED;
}

/*
 * Access flags come last: first a walk that writes nothing. What it read was still there; so if it
 * would have written, the table was in use a moment ago, and only the hold makes sure that it is
 * now.
 */
static enum pass attempt(struct at_call *k, hvcore_arm64_walk_request request,
                         hvcore_arm64_walk_result *r)
{
    const uint32_t no_update = HVCORE_ARM64_ACCESS_NO_UPDATE;
    enum pass pass;

    if (k->held) {
        return once(k, &request, r);
    }
    request.access |= no_update;
    pass = once(k, &request, r);
    if (pass != PASS_GOOD || unsettled(r) || !(r->notes & HVCORE_ARM64_NOTE_UPDATE)) {
        return pass;
    }
    if (!(k->at->options & HVCORE_AT_WRITE_UNHELD)) {
        return PASS_WRITES;
    }
    request.access &= ~no_update;
    return once(k, &request, r);
}

static hvcore_result walk(struct at_call *k, hvcore_arm64_state *state)
{
    hvcore_arm64_walk_request request = hvc_at_request(k);
    hvcore_arm64_walk_result r;
    enum pass pass;

    do {
        pass = attempt(k, request, &r);
        if (pass == PASS_GOOD) {
            return tell(k, state, &r);
        }
        if (pass == PASS_CHANGED) {
            k->at->failures++;
            k->at->count[HVCORE_AT_COUNT_RETRIED]++;
        }
    } while (pass == PASS_CHANGED && k->at->failures < HVCORE_AT_TRIES);
    if (!k->held) {
        return need_hold(k);
    }
    forget(k->at);
    return leave(HVCORE_AT_CONTENDED, k->va);
}

/* The registers of the walk, then the walk, if there is memory to walk. */
static hvcore_result software(struct at_call *k, hvcore_arm64_state *state)
{
    hvcore_arm64_walk_request request = hvc_at_request(k);
    uint64_t missing = hvcore_arm64_walk_needs(&k->at->walk, k->sys, &request);

    if (missing) {
        return (hvcore_result){HVCORE_RESULT_NEED_REGS, 0, missing};
    }
    return k->mem ? walk(k, state) : leave(HVCORE_AT_WALK, 0);
}

/* ---- the order of things ---- */

/* Has the instruction of the state been left behind? Then this one begins. */
static void recognise(struct at_call *k)
{
    hvcore_at_state *at = k->at;
    uint32_t esr = (uint32_t)k->event->syndrome;

    if (at->phase != AT_PHASE_NEW && at->pc == k->frame->pc && at->va == k->va && at->esr == esr) {
        return;
    }
    forget(at);
    at->pc = k->frame->pc;
    at->va = k->va;
    at->esr = esr;
}

static hvcore_result execute(struct at_call *k, hvcore_arm64_state *state)
{
    uint64_t par[2];
    uint32_t arg;

    recognise(k);
    if (k->at->phase == AT_PHASE_NEW && hvc_at_hardware(k, &arg)) {
        k->at->phase = AT_PHASE_ASKED;
        return (hvcore_result){HVCORE_RESULT_NEED_AT, arg, k->va};
    }
    if (k->at->phase == AT_PHASE_ASKED) {
        if (hvc_at_believe(k, par)) {
            return done(k, state, par, HVCORE_AT_COUNT_HARDWARE);
        }
        k->at->count[HVCORE_AT_COUNT_DOUBTED]++;
    }
    k->at->phase = AT_PHASE_SOFTWARE;
    return software(k, state);
}

/* What makes no sense; 0: go on. */
static uint32_t contradiction(struct at_call *k)
{
    const uint32_t have = HVCORE_HAVE_SYNDROME | HVCORE_HAVE_MODE;
    const hvcore_event *e = k->event;

    if ((e->have & have) != have || e->mode > HVCORE_ARM64_VEL2) {
        return HVCORE_AT_NO_SYNDROME;
    }
    if (!hvcore_at_decode(e->syndrome, &k->insn)) {
        return HVCORE_AT_NOT_AT;
    }
    if (e->have & HVCORE_HAVE_PC && e->pc != k->frame->pc) {
        return HVCORE_AT_BAD_PC;
    }
    if (e->mode == HVCORE_ARM64_VEL2 && !(k->at->walk.features & HVCORE_ARM64_FEAT_EL2)) {
        return HVCORE_AT_OPTIONS;
    }
    return 0;
}

/* What the servers of NEED_AT and NEED_HOLD have said is good for one call. */
static void take(struct at_call *k)
{
    k->answer = k->at->answer;
    k->held = k->at->held == 1;
    k->at->answer = HVCORE_AT_ANSWER_NONE;
    k->at->held = 0;
}

static hvcore_result dispatch(struct at_call *k, hvcore_arm64_state *state)
{
    uint64_t missing = hvc_at_missing(k);

    if (missing) {
        return (hvcore_result){HVCORE_RESULT_NEED_REGS, 0, missing};
    }
    k->hcr = k->at->walk.features & HVCORE_ARM64_FEAT_EL2 ? k->sys->hcr_el2 : 0;
    switch (hvc_at_fate(k)) {
    case AT_UNDEFINED:
        return inject(k, AT_ESR_UNDEFINED, 0, 0);
    case AT_TRAPS:
        return inject(k, (uint32_t)k->event->syndrome, 0, 0);
    default:
        return execute(k, state);
    }
}

hvcore_result hvcore_at_walk(hvcore_arm64_frame *frame, hvcore_arm64_sys *sys,
                             const hvcore_event *event, hvcore_arm64_state *state,
                             const hvcore_arm64_walk_mem *mem)
{
    static const uint8_t el_of[4] = {0, 1, 0, 2}; /* by mode */
    struct at_call k = {.frame = frame, .sys = sys, .event = event, .at = &state->at, .mem = mem};
    uint32_t wrong = contradiction(&k);

    take(&k);
    if (wrong) {
        return leave(wrong, 0);
    }
    k.el = el_of[event->mode];
    k.va = k.insn.rt < 31 ? frame->x[k.insn.rt] : 0;
    return dispatch(&k, state);
}

hvcore_result hvcore_at(hvcore_arm64_frame *frame, hvcore_arm64_sys *sys, const hvcore_event *event,
                        hvcore_arm64_state *state)
{
    return hvcore_at_walk(frame, sys, event, state, NULL);
}
