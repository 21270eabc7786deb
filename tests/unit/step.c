/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvcore_step_* around a PE that has a step machine (DDI0487, "Software Step exceptions": the table
 * of its states, ERET, exception entry). Instructions retire, trap, are emulated, are put back;
 * interrupts of the host come between; the host and the guest begin and end to step. Each debugger
 * must get exactly one report for each step: after one instruction, or after software has moved the
 * pc, and before anything else executes. The PE shares nothing with the library.
 *
 * HVCORE_STEP_ENTRIES: how often the PE is entered.
 */
#include <stdbool.h>
#include <string.h>

#include <hvcore/fixup/arm64_state.h>

#include "tests/unit/random.h"
#include "tests/unit/unit.h"
#include "tests/unit/vectors.h"

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

static bool once_in(uint64_t n)
{
    return rnd() % n == 0;
}

static uint64_t wrong; /* counted, so that a failure says once how often */

static void expect(bool good)
{
    wrong += !good;
}

static void fill(void *at, size_t size)
{
    unsigned char *bytes = at;

    for (size_t i = 0; i < size; i += 8) {
        uint64_t some = rnd();

        memcpy(bytes + i, &some, size - i < 8 ? size - i : 8);
    }
}

/* --- the PE ----------------------------------------------------------------------------------- */

enum { PSR_D = 1 << 9, PSR_SS = 1 << 21, MDSCR_SS = 1, MDSCR_KDE = 1 << 13 };
enum { HAVE_MDSCR_AT = 17 }; /* eighteenth in the list of registers */

enum { INACTIVE, ACTIVE_NOT_PENDING, ACTIVE_PENDING };

typedef struct pe {
    hvcore_arm64_frame frame; /* pc and spsr: ELR_EL2, SPSR_EL2 */
    hvcore_arm64_sys sys;     /* mdscr_el1 */
    bool tde;                 /* debug exceptions go to EL2 */
    bool ss;                  /* PSTATE.SS */
    uint64_t esr;
} pe;

/* From EL0 or EL1, with debug exceptions taken to EL1, or to EL2. */
static bool debug_enabled(const pe *p)
{
    bool el1 = (p->frame.spsr & 15) >= 4;

    if (p->tde) {
        return true; /* the target is higher */
    }
    return !el1 || (p->sys.mdscr_el1 & MDSCR_KDE && !(p->frame.spsr & PSR_D));
}

static int hw_phase(const pe *p)
{
    if (!(p->sys.mdscr_el1 & MDSCR_SS) || !debug_enabled(p)) {
        return INACTIVE;
    }
    return p->ss ? ACTIVE_NOT_PENDING : ACTIVE_PENDING;
}

/* From EL2, where debug exceptions are disabled. */
static void eret(pe *p)
{
    bool step = p->sys.mdscr_el1 & MDSCR_SS && debug_enabled(p);

    p->ss = step && p->frame.spsr & PSR_SS;
}

/* To EL2, for what is not a step: the syndrome does not matter here. */
static void take(pe *p, uint64_t ec)
{
    p->frame.spsr &= ~(uint64_t)PSR_SS;
    p->frame.spsr |= p->ss ? PSR_SS : 0;
    p->ss = false;
    p->esr = ec << 26 | 1 << 25;
}

static void retire(pe *p)
{
    p->frame.pc += 4;
    p->ss = false; /* it matters only if the machine is active */
}

/* --- the world: a guest with a debugger, a host with one -------------------------------------- */

typedef struct world {
    pe pe;
    hvcore_step_state step;
    uint32_t owner;
    bool entered;
    bool host_owed;  /* something has happened that the host's debugger must see first */
    bool guest_owed; /* ... that of the guest; frozen while the host owns */
    bool guest_ss;   /* what the guest's PSTATE.SS is while it is out */
    uint64_t guest_mdscr;
    bool in_pe;     /* an instruction has retired since ERET */
    bool exclusive; /* ... and it was a Load-Exclusive */
    uint64_t host_reports, guest_reports, moved;
} world;

static bool host_steps(const world *w)
{
    return w->owner == HVCORE_STEP_OWNER_HOST;
}

static bool guest_owns(const world *w)
{
    return w->owner == HVCORE_STEP_OWNER_GUEST;
}

/* Neither debugger has been left without a report, if he steps. */
static void expect_may_execute(const world *w)
{
    expect(!(host_steps(w) && w->host_owed));
    expect(!(guest_owns(w) && hw_phase(&w->pe) != INACTIVE && w->guest_owed));
}

static void progress(world *w)
{
    if (host_steps(w)) {
        w->host_owed = true;
    }
    if (guest_owns(w) && hw_phase(&w->pe) != INACTIVE) {
        w->guest_owed = true;
    }
}

static void execute(world *w)
{
    expect_may_execute(w);
    progress(w);
    retire(&w->pe);
    w->in_pe = true;
    w->exclusive = once_in(4);
}

/* The guest's debugger sees one instruction or one move, and lets it go on or ends. */
static void guest_report(world *w)
{
    expect(guest_owns(w) && w->guest_owed);
    w->guest_owed = false;
    w->guest_reports++;
    if (once_in(16)) {
        w->pe.sys.mdscr_el1 &= ~(uint64_t)MDSCR_SS;
        w->guest_mdscr = w->pe.sys.mdscr_el1;
    } else {
        w->pe.ss = true; /* through SPSR_EL1 */
    }
}

/* Returns whether it left the guest. */
static bool take_step(world *w)
{
    bool isv = w->in_pe;

    if (!w->pe.tde) {
        guest_report(w);
        return false;
    }
    take(&w->pe, 0x32);
    w->pe.esr |= 0x22 | (isv ? 1 << 24 : 0) | (isv && w->exclusive ? 1 << 6 : 0);
    return true;
}

/* What instructions do. Returns whether it left the guest. */
static bool one_instruction(world *w)
{
    switch (rnd() % 16) {
    case 0: /* HVC: has retired when the exception is taken */
        execute(w);
        take(&w->pe, 0x16);
        return true;
    case 1: /* main or epilogue; a data abort; a trapped SMC: has not */
        expect_may_execute(w);
        take(&w->pe, once_in(2) ? 0x27 : 0x24);
        return true;
    default:
        execute(w);
        return false;
    }
}

static void run(world *w)
{
    w->in_pe = false;
    eret(&w->pe);
    if (guest_owns(w) && hw_phase(&w->pe) == INACTIVE) {
        w->guest_owed = true; /* ERET has cleared PSTATE.SS: due once the machine is active */
    }
    for (;;) {
        if (once_in(12)) { /* an interrupt of the host; it may come before a pending step */
            take(&w->pe, 0);
            return;
        }
        if (hw_phase(&w->pe) == ACTIVE_PENDING) {
            if (take_step(w)) {
                return;
            }
        } else if (one_instruction(w)) {
            return;
        }
    }
}

/* --- the host --------------------------------------------------------------------------------- */

static uint32_t phase_of(const world *w, uint32_t who)
{
    return hvcore_step_phase(&w->pe.frame, &w->pe.sys, &w->step, who);
}

static bool is(hvcore_result r, uint32_t kind, uint32_t arg, uint64_t addr)
{
    return r.kind == kind && r.arg == arg && r.addr == addr;
}

/* The guest's machine, from the table, with what the guest has. */
static uint32_t guest_phase(const world *w)
{
    pe own = w->pe;

    own.tde = false;
    own.ss = w->guest_ss;
    own.sys.mdscr_el1 = w->guest_mdscr;
    return (uint32_t)hw_phase(&own);
}

static void expect_out(const world *w)
{
    uint32_t host = !host_steps(w) ? INACTIVE : w->host_owed ? ACTIVE_PENDING : ACTIVE_NOT_PENDING;

    expect(!w->step.entered && w->pe.sys.mdscr_el1 == w->guest_mdscr);
    expect(!(w->pe.frame.spsr & PSR_SS) == !w->guest_ss);
    expect(phase_of(w, HVCORE_STEP_OWNER_HOST) == host);
    expect(phase_of(w, HVCORE_STEP_OWNER_GUEST) == guest_phase(w));
    expect(w->step.host_pending == (host == ACTIVE_PENDING));
}

static void enter(world *w)
{
    uint64_t bit = UINT64_C(1) << HAVE_MDSCR_AT;

    if (once_in(32)) {
        w->pe.sys.have = ~bit;
        w->pe.sys.dirty = 0;
        expect(is(hvcore_step_enter(&w->pe.frame, &w->pe.sys, &w->step),
                  guest_owns(w) ? HVCORE_RESULT_DONE : HVCORE_RESULT_NEED_REGS, 0,
                  guest_owns(w) ? 0 : bit));
        expect(w->pe.sys.dirty == 0);
        expect_out(w);
    }
    w->pe.sys.have = bit;
    w->pe.sys.dirty = 0;
    expect(is(hvcore_step_enter(&w->pe.frame, &w->pe.sys, &w->step), HVCORE_RESULT_DONE, 0, 0));
    expect(w->pe.sys.dirty == (guest_owns(w) ? 0 : bit));
    w->pe.tde = !guest_owns(w);
}

static void expect_entered(const world *w)
{
    bool pending = host_steps(w) && w->host_owed;

    expect(w->step.entered == !guest_owns(w));
    expect(phase_of(w, HVCORE_STEP_OWNER_HOST) == (!host_steps(w) ? INACTIVE
                                                   : pending      ? ACTIVE_PENDING
                                                                  : ACTIVE_NOT_PENDING));
    expect(phase_of(w, HVCORE_STEP_OWNER_GUEST) == guest_phase(w));
    expect(guest_owns(w) || (w->pe.sys.mdscr_el1 ^ w->guest_mdscr) <= MDSCR_SS);
    expect(guest_owns(w) || (w->pe.sys.mdscr_el1 & MDSCR_SS) == host_steps(w));
}

/* Software has moved the pc: a memory copy back to its prologue, past an emulated instruction. */
static void move(world *w)
{
    if (host_steps(w)) {
        w->host_owed = true;
    }
    w->guest_owed = true; /* if it steps */
    w->guest_ss = false;
    w->pe.frame.pc += rnd() % 16 * 4;
    hvcore_step_advance(&w->pe.frame, &w->step);
    w->moved++;
}

static bool was_trapped(const world *w)
{
    return w->pe.esr >> 26 == 0x27 || w->pe.esr >> 26 == 0x24;
}

static bool was_step(const world *w)
{
    return w->pe.esr >> 26 == 0x32;
}

static uint32_t report_wanted(const world *w)
{
    if (!w->in_pe) {
        return HVCORE_STEP_MOVED;
    }
    return w->exclusive ? HVCORE_STEP_EXCLUSIVE : HVCORE_STEP_RETIRED;
}

/* The host's debugger sees it. */
static void host_report(world *w)
{
    expect(host_steps(w) && w->host_owed);
    w->host_owed = false;
    w->host_reports++;
}

static void leave(world *w)
{
    hvcore_event event = {
        .size = sizeof event,
        .kind = HVCORE_EVENT_TRAP,
        .have = HVCORE_HAVE_SYNDROME,
        .syndrome = w->pe.esr,
    };
    hvcore_result r = hvcore_step_leave(&w->pe.frame, &w->pe.sys, &event, &w->step);

    if (was_step(w)) {
        expect(is(r, HVCORE_RESULT_EXIT, report_wanted(w), w->pe.frame.pc));
        host_report(w);
    } else {
        expect(is(r, HVCORE_RESULT_DONE, 0, 0));
    }
}

/* The guest's own machine, as hardware leaves it where the guest owns it. */
static void note_guest(world *w)
{
    if (guest_owns(w)) {
        w->guest_ss = w->pe.frame.spsr & PSR_SS;
        w->guest_mdscr = w->pe.sys.mdscr_el1;
    }
}

/* The guest's debugger begins a step, by registers that trap or not; the host's begins or ends. */
static void toggle(world *w)
{
    if (once_in(8)) {
        w->guest_mdscr = (w->guest_mdscr & ~(uint64_t)(MDSCR_SS | MDSCR_KDE)) | (rnd() & 0x2001);
        w->pe.sys.mdscr_el1 = w->guest_mdscr;
        w->guest_ss = true;
        w->guest_owed = false;
        w->pe.frame.spsr |= PSR_SS;
    }
    if (once_in(8)) {
        uint32_t owner = (uint32_t)(rnd() % 3);

        expect(is(hvcore_step_own(&w->step, owner), HVCORE_RESULT_DONE, 0, 0));
        w->host_owed = w->host_owed && owner == w->owner;
        w->owner = owner;
    }
    if (once_in(8)) {
        w->pe.frame.spsr ^= once_in(2) ? PSR_D : 4; /* D, EL0 or EL1t */
    }
}

/* Out and in again without leave: a fix-up between two entries. */
static bool stays_resident(world *w)
{
    if (!was_trapped(w) || once_in(2)) {
        return false;
    }
    move(w);
    expect_entered(w);
    return true;
}

static void one_entry(world *w)
{
    expect_out(w);
    enter(w);
    expect_entered(w);
    do {
        run(w);
        note_guest(w);
        expect_entered(w);
    } while (stays_resident(w));
    leave(w);
    expect_out(w);
    if (was_trapped(w) && once_in(2)) {
        move(w); /* else the instruction will be tried again */
        expect_out(w);
    }
    toggle(w);
}

static uint64_t number_or(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);

    return value && *value ? strtoull(value, NULL, 0) : otherwise;
}

static void test_steps(void)
{
    uint64_t n = number_or("HVCORE_STEP_ENTRIES", 1000000);
    world w = {.owner = HVCORE_STEP_OWNER_GUEST};

    wrong = 0;
    for (uint64_t i = 0; i < n && !wrong; i++) {
        one_entry(&w);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(w.host_reports > n / 16 && w.guest_reports > n / 16 && w.moved > n / 16);
    CU_ASSERT_EQUAL(w.step.retired + w.step.moved, w.host_reports);
    CU_ASSERT(w.step.moved > 0 && w.step.retired > 0 && w.step.kept > 0);
}

/* --- wrong orders, unknown owners ------------------------------------------------------------- */

typedef struct setup {
    hvcore_arm64_frame frame;
    hvcore_arm64_sys sys;
    hvcore_step_state step;
    hvcore_event event;
} setup;

static setup random_setup(uint32_t owner, uint32_t entered)
{
    setup s;

    fill(&s, sizeof s);
    s.step.owner = owner;
    s.step.entered = entered;
    s.event.kind = HVCORE_EVENT_TRAP;
    s.event.have = HVCORE_HAVE_SYNDROME;
    return s;
}

static hvcore_result call_enter(setup *s)
{
    return hvcore_step_enter(&s->frame, &s->sys, &s->step);
}

static hvcore_result call_leave(setup *s)
{
    return hvcore_step_leave(&s->frame, &s->sys, &s->event, &s->step);
}

static bool refuses(hvcore_result (*call)(setup *s), setup s, uint32_t why, uint64_t detail)
{
    setup before = s;

    return is(call(&s), HVCORE_RESULT_EXIT, why, detail) && memcmp(&s, &before, sizeof s) == 0;
}

static uint32_t new_owner;

static hvcore_result call_own(setup *s)
{
    return hvcore_step_own(&s->step, new_owner);
}

static void test_orders(void)
{
    wrong = 0;
    for (uint32_t owner = 0; owner < 3; owner++) {
        setup in = random_setup(owner, 1), out = random_setup(owner, 0);

        expect(refuses(call_enter, in, HVCORE_STEP_ENTERED, in.frame.pc));
        for (new_owner = 0; new_owner < 3; new_owner++) {
            expect(refuses(call_own, in, HVCORE_STEP_ENTERED, 0));
        }
        if (owner != HVCORE_STEP_OWNER_GUEST) {
            expect(refuses(call_leave, out, HVCORE_STEP_NOT_ENTERED, out.frame.pc));
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_owners(void)
{
    static const uint32_t unknown[] = {3, 4, 0x80000000, UINT32_MAX};

    wrong = 0;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        setup s = random_setup(unknown[i], 0);

        expect(refuses(call_enter, s, HVCORE_STEP_BAD_OWNER, unknown[i]));
        new_owner = unknown[i];
        expect(refuses(call_own, random_setup(HVCORE_STEP_OWNER_HOST, 0), HVCORE_STEP_BAD_OWNER,
                       unknown[i]));
        s.step.owner = HVCORE_STEP_OWNER_HOST;
        expect(hvcore_step_phase(&s.frame, &s.sys, &s.step, unknown[i]) == HVCORE_STEP_INACTIVE);
        expect(hvcore_step_phase(&s.frame, &s.sys, &s.step, HVCORE_STEP_OWNER_HOST) != 0);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* With the guest as owner nothing is touched, but a step exception has no owner. */
static void test_guest_owns(void)
{
    wrong = 0;
    for (uint64_t ec = 0; ec < 64; ec++) {
        setup s = random_setup(HVCORE_STEP_OWNER_GUEST, 0), before;

        s.event.syndrome = ec << 26;
        before = s;
        expect(is(call_enter(&s), HVCORE_RESULT_DONE, 0, 0));
        expect(ec == 0x32 ? is(call_leave(&s), HVCORE_RESULT_EXIT, HVCORE_STEP_STRAY, s.frame.pc)
                          : is(call_leave(&s), HVCORE_RESULT_DONE, 0, 0));
        expect(memcmp(&s, &before, sizeof s) == 0);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* EC 0x32 means a step only in the syndrome of a trap. */
static void test_not_a_step(void)
{
    wrong = 0;
    for (uint32_t kind = 0; kind < 5; kind++) {
        for (uint32_t have = 0; have < 2; have++) {
            setup s = random_setup(HVCORE_STEP_OWNER_HOST, 1);
            bool step = kind == HVCORE_EVENT_TRAP && have;

            s.event.kind = kind;
            s.event.have = have ? HVCORE_HAVE_SYNDROME : ~(uint32_t)HVCORE_HAVE_SYNDROME;
            s.event.syndrome = 0xca000022;
            s.frame.spsr &= ~(uint64_t)PSR_SS;
            expect(step ? is(call_leave(&s), HVCORE_RESULT_EXIT, HVCORE_STEP_MOVED, s.frame.pc)
                        : is(call_leave(&s), HVCORE_RESULT_DONE, 0, 0));
            expect(s.step.host_pending == !step && !s.step.entered);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_idle_stray(void)
{
    setup s = random_setup(HVCORE_STEP_OWNER_IDLE, 1);

    s.event.syndrome = 0xcb000022;
    s.step.guest_mdscr = 0x2001, s.step.guest_ss = 1;
    CU_ASSERT(is(call_leave(&s), HVCORE_RESULT_EXIT, HVCORE_STEP_STRAY, s.frame.pc));
    CU_ASSERT(s.sys.mdscr_el1 == 0x2001 && s.frame.spsr & PSR_SS && !s.step.host_pending);
}

/* Only mdscr_el1, spsr.SS, the state and two bits of validity may change. */
static void test_rest_is_kept(void)
{
    wrong = 0;
    for (int n = 0; n < 100000; n++) {
        setup s = random_setup((uint32_t)(n % 3), 0), before;
        uint64_t bit = UINT64_C(1) << HAVE_MDSCR_AT;

        s.sys.have |= bit;
        s.step.host_pending = n & 1;
        before = s;
        expect(call_enter(&s).kind == HVCORE_RESULT_DONE);
        (void)call_leave(&s);
        expect(s.sys.mdscr_el1 == before.sys.mdscr_el1 && s.frame.spsr == before.frame.spsr);
        hvcore_step_advance(&s.frame, &s.step);
        expect(s.frame.spsr == (before.frame.spsr & ~(uint64_t)PSR_SS));
        expect((s.sys.dirty | bit) == (before.sys.dirty | bit));
        s.frame.spsr = before.frame.spsr;
        s.sys.dirty = before.sys.dirty;
        s.step = before.step;
        expect(memcmp(&s, &before, sizeof s) == 0);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Where the guest's own step exception can be taken: every mode, masked or not, for EL1 or not. */
static void test_guest_phase_by_mode(void)
{
    wrong = 0;
    for (uint64_t n = 0; n < 256; n++) {
        setup s = random_setup(HVCORE_STEP_OWNER_GUEST, 0);
        bool kde = n & 32, mask = n & 64, ss = n & 128, aarch32 = n & 16;
        uint64_t mode = n & 15;
        bool el0 = aarch32 ? mode == 0 : mode < 4, el1 = !aarch32 && mode >= 4 && mode < 8;
        bool active = el0 || (el1 && kde && !mask);

        s.frame.spsr = (n & 31) | (mask ? PSR_D : 0) | (ss ? PSR_SS : 0);
        s.sys.mdscr_el1 = MDSCR_SS | (kde ? MDSCR_KDE : 0);
        expect(hvcore_step_phase(&s.frame, &s.sys, &s.step, HVCORE_STEP_OWNER_GUEST) ==
               (!active ? HVCORE_STEP_INACTIVE
                : ss    ? HVCORE_STEP_NOT_PENDING
                        : HVCORE_STEP_PENDING));
        s.sys.mdscr_el1 &= ~(uint64_t)MDSCR_SS;
        expect(hvcore_step_phase(&s.frame, &s.sys, &s.step, HVCORE_STEP_OWNER_GUEST) ==
               HVCORE_STEP_INACTIVE);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* --- the trace: a copy is stepped, and twice finds the other option --------------------------- */

#define COPY UINT64_C(0x1004) /* prologue; the main at + 4, the epilogue at + 8 */

typedef struct trace {
    uint64_t pc, esr;
} trace;

/* As measured on hardware's terms: P at +4, M at +8, E at +C of 0x1000. */
static const trace wanted_trace[] = {
    {0x1004, 0xcb000022}, {0x1008, 0xcb000022}, {0x1004, 0xca000022}, {0x1008, 0xcb000022},
    {0x100c, 0xcb000022}, {0x1004, 0xca000022}, {0x1008, 0xcb000022}, {0x100c, 0xcb000022},
    {0x1010, 0xcb000022}, {0x1014, 0xcb000022},
};

typedef struct machine {
    pe pe;
    hvcore_arm64_state state;
    unsigned flips; /* 1 before the first main, 2 before the first epilogue */
} machine;

/* One entry with the host stepping, on a PE that executes one instruction or takes an exception. */
static void run_stepped(machine *m)
{
    bool flip;

    eret(&m->pe);
    if (hw_phase(&m->pe) == ACTIVE_PENDING) {
        take(&m->pe, 0x32);
        m->pe.esr |= 0x22;
        return;
    }
    flip = (m->flips == 0 && m->pe.frame.pc == COPY + 4) ||
           (m->flips == 1 && m->pe.frame.pc == COPY + 8);
    if (flip) {
        m->flips++;
        take(&m->pe, 0x27);
        m->pe.esr |= 0x30022 | (m->flips == 2 ? 1 << 18 : 0);
        return;
    }
    retire(&m->pe);
    take(&m->pe, 0x32);
    m->pe.esr |= 0x22 | 1 << 24;
}

static void exit_and_maybe_repair(machine *m)
{
    hvcore_event event = {.have = HVCORE_HAVE_SYNDROME, .syndrome = m->pe.esr};
    bool early = once_in(2);

    if (m->pe.esr >> 26 != 0x27) {
        return;
    }
    if (early) { /* on the fast path: no leave before, none after */
        CU_ASSERT_EQUAL(hvcore_mops(&m->pe.frame, &m->pe.sys, &event, &m->state).kind,
                        HVCORE_RESULT_DONE);
    }
    (void)hvcore_step_leave(&m->pe.frame, &m->pe.sys, &event, &m->state.step);
    if (!early) {
        CU_ASSERT_EQUAL(hvcore_mops(&m->pe.frame, &m->pe.sys, &event, &m->state).kind,
                        HVCORE_RESULT_DONE);
    }
}

static trace next_report(machine *m)
{
    hvcore_event event = {.have = HVCORE_HAVE_SYNDROME};
    hvcore_result r = {0};

    while (r.kind != HVCORE_RESULT_EXIT) {
        (void)hvcore_step_enter(&m->pe.frame, &m->pe.sys, &m->state.step);
        run_stepped(m);
        exit_and_maybe_repair(m);
        event.syndrome = m->pe.esr;
        if (m->state.step.entered) {
            r = hvcore_step_leave(&m->pe.frame, &m->pe.sys, &event, &m->state.step);
        }
    }
    return (trace){m->pe.frame.pc, m->pe.esr};
}

static void test_trace(void)
{
    for (int round = 0; round < 16; round++) {
        machine m = {.pe = {.tde = true, .frame = {.pc = 0x1000, .spsr = 5}}};

        m.pe.sys.have = UINT64_C(1) << HAVE_MDSCR_AT;
        CU_ASSERT(is(hvcore_step_own(&m.state.step, HVCORE_STEP_OWNER_HOST), 0, 0, 0));
        for (size_t i = 0; i < sizeof wanted_trace / sizeof *wanted_trace; i++) {
            trace t = next_report(&m);

            CU_ASSERT_EQUAL(t.pc, wanted_trace[i].pc);
            CU_ASSERT_EQUAL(t.esr, wanted_trace[i].esr);
        }
        CU_ASSERT_EQUAL(m.state.step.moved, 2);
        CU_ASSERT_EQUAL(m.state.step.retired, 8);
    }
}

static const hvc_unit_test tests[] = {
    {"no step lost or doubled", test_steps},
    {"wrong orders", test_orders},
    {"unknown owners", test_owners},
    {"the guest owns stepping", test_guest_owns},
    {"what is not a step", test_not_a_step},
    {"a stray step", test_idle_stray},
    {"the rest is kept", test_rest_is_kept},
    {"the guest's phase by mode", test_guest_phase_by_mode},
    {"the trace of a copy", test_trace},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("step", tests);
}
