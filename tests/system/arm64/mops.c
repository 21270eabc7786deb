/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emulated hardware as the oracle of lib/fixup/mops.c: CPY*, CPYF*, SET* and SETG* run at EL1 and EL0
 * below EL2 and are interrupted at all places. There the registers are turned into the format of the
 * option that this PE does not have, as if the guest had come from another one; so the PE takes a real
 * Memory Copy and Memory Set exception, whose syndrome, frame and hardware-facing SPSR the unit gets.
 * Compared are
 *
 *   - the syndrome with what the instruction and its state must give;
 *   - the frame that the unit leaves with the operation's state before it was turned;
 *   - memory with memmove() and memset(), tags, and all registers with those of a run of the same
 *     operation without interruption;
 *   - with single steps, what lib/fixup/step.c says of each with what the PE did.
 */
#include "tests/system/arm64/mops.h"

#define AT_P (GUEST_CODE + 0x100)
#define AT_M (AT_P + 4)
#define AT_E (AT_P + 8)
#define AT_END (AT_P + 16) /* both HVC and SVC return behind themselves */
#define SPSR_EL1 UINT64_C(0x3c5)
#define SPSR_EL0 UINT64_C(0x3c0)
#define NZCV MASK(31, 28)
#define TURNS 1000u /* of a guest before it is given up */
#define TAGS (ARENA_SIZE / 16)

/* How an operation is begun and interrupted. */
enum plan {
    FROM_P,    /* from the prologue; stage 2 lacks a page */
    STEPPED,   /* from the prologue, one instruction at a time */
    BY_HAND_B, /* at main or epilogue, in the middle, in the format of option B */
    BY_HAND_A, /* at the epilogue in that of option A: it may get too much */
    PLANS
};

typedef struct test {
    operation o;
    enum guest_route route;
    enum plan plan;
    hvcore_arm64_frame first, frame; /* as it was begun; now */
    amounts whole;       /* what the prologue got, or would have got for what is under way */
    bool turned;         /* the frame is in the other option's format */
    bool moved;          /* with STEPPED: a fix-up is to be reported before anything executes */
    uint64_t flags;      /* NZCV in the end: the prologue's, if it executes */
    uint32_t turns_left; /* how often it may still be turned */
    bool bad;
} test;

static uint8_t pattern[ARENA_SIZE], expected[ARENA_SIZE];
static uint8_t tags[TAGS], expected_tags[TAGS];
static bool have_tags;

/* Larger than the stack likes. */
static hvcore_arm64_state state;
static hvcore_arm64_sys sys;

/* Events by family and kind, for the summary. */
enum { WRONG_MAIN, WRONG_EPILOGUE, ILL_EPILOGUE, NORMALISED, ABORT_P, ABORT_M, STEPS, KINDS };
static uint64_t seen[FAMILIES][KINDS];

/* ---- judging ---- */

static const char *const families[FAMILIES] = {"CPY", "CPYF", "SET", "SETG"};
static const char *const plans[PLANS] = {"a page is missing", "single steps", "from option B",
                                         "from option A"};
static const char *const routes[GUEST_ROUTES] = {"EL1", "EL1 itself", "EL0, EL1", "EL0, TGE"};

static void same(test *t, const char *what, uint64_t got, uint64_t wanted)
{
    image_compared++;
    if (got == wanted) {
        return;
    }
    if (!t->bad && image_complain(what)) {
        put_hex(got), put(", not"), put_hex(wanted);
        put("; "), put(families[t->o.family]), put(", "), put(plans[t->plan]), put(", ");
        put(routes[t->route]), put(", length"), put_hex(t->o.len), put("\n");
    }
    t->bad = true;
}

static void same_amounts(test *t, const char *what, const amounts *got, const amounts *wanted)
{
    same(t, what, got->d, wanted->d);
    same(t, what, got->s, wanted->s);
    same(t, what, got->n, wanted->n);
}

/* Whole words first: it is slow enough. */
static void same_memory(test *t, const char *what, const void *got, const void *wanted, size_t size)
{
    const uint8_t *a = got, *b = wanted;
    size_t at = 0;

    while (at < size && *(const uint64_t *)(a + at) == *(const uint64_t *)(b + at)) {
        at += 8;
    }
    image_compared++;
    if (at < size) {
        same(t, what, *(const uint64_t *)(a + at), *(const uint64_t *)(b + at));
    }
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

/* From option A to B, with what is done since the operation was begun. */
static void turn(test *t)
{
    amounts now = mops_get(&t->o, &t->frame), rest = mops_to_prologue(&t->o, &now), to;
    bool back = !is_set(&t->o) && !(now.n >> 63);

    same(t, back ? "beginning, backward" : "end, forward", back ? rest.d : rest.d + rest.n,
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
    hvcore_result r =
        hvcore_mops_normalise(&t->frame, mops_word(&t->o, stage_of(before.pc)), &prologue, &state);

    got = mops_get(&t->o, &t->frame);
    same(t, "normalise", r.arg, HVCORE_MOPS_NORMALISED);
    same(t, "pc, normalised", t->frame.pc, AT_P);
    same_amounts(t, "registers, normalised", &got, &rest);
    t->whole = rest;
    t->moved = t->plan == STEPPED;
    t->turns_left--;
    seen[t->o.family][NORMALISED]++;
}

/* Somebody interrupted it between two instructions, or in one. */
static void interrupted(test *t)
{
    if (!on_its_way(t) || !t->turns_left || t->frame.x[t->o.n] == 0) {
        return;
    }
    if (chance(60)) {
        turn(t);
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
            same(t, "another register", t->frame.x[i], before->x[i]);
        }
    }
    same(t, "spsr", t->frame.spsr, before->spsr & ~SPSR_SS);
}

static void on_exception(test *t, uint64_t esr)
{
    hvcore_arm64_frame before = t->frame;
    hvcore_event event = event_of(t, esr);
    enum stage stage = stage_of(before.pc);
    amounts now = mops_get(&t->o, &before), got;
    uint32_t kind = (stage == EPILOGUE ? 2 : 0) + t->turned;
    uint64_t done = state.mops.done[kind];
    hvcore_result r;

    same(t, "syndrome", esr & ~BIT(15), mops_syndrome(&t->o, stage, t->turned));
    if (!t->turned) {
        t->whole = mops_to_prologue(&t->o, &now);
    }
    r = hvcore_mops(&t->frame, &sys, &event, &state);
    got = mops_get(&t->o, &t->frame);
    same(t, "answer", r.kind, HVCORE_RESULT_DONE);
    same(t, "pc", t->frame.pc, AT_P);
    same_amounts(t, "registers", &got, &t->whole);
    same_rest(t, &before);
    same(t, "count", state.mops.done[kind], done + 1);
    seen[t->o.family][t->turned ? stage == MAIN ? WRONG_MAIN : WRONG_EPILOGUE : ILL_EPILOGUE]++;
    state.mops.streak = 0;
    t->turned = false;
    t->moved = t->plan == STEPPED;
}

/* Stage 2 lacks a page: it comes back. The prologue writes what it has done as a new beginning. */
static void on_abort(test *t)
{
    seen[t->o.family][t->frame.pc == AT_P ? ABORT_P : ABORT_M]++;
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
    same(t, "step", said.kind, HVCORE_RESULT_EXIT);
    same(t, "step's reason", said.arg, t->moved ? HVCORE_STEP_MOVED : HVCORE_STEP_RETIRED);
    if (t->moved) {
        same(t, "pc of the step", t->frame.pc, AT_P);
    }
    t->moved = false;
    seen[t->o.family][STEPS]++;
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
    return hvcore_step_leave(&t->frame, &sys, &event, &state.step);
}

static uint64_t enter(test *t)
{
    if (t->plan == STEPPED) {
        same(t, "step enter", hvcore_step_enter(&t->frame, &sys, &state.step).kind,
             HVCORE_RESULT_DONE);
        WRITE(mdscr_el1, sys.mdscr_el1);
    }
    return guest_enter(&t->frame);
}

static void on_mops(test *t, uint64_t esr)
{
    bool early = chance(50);

    same(t, "taken to", guest_taken_to, t->route == EL1_TO_EL2 || t->route == EL0_TO_EL2 ? 2 : 1);
    same(t, "SS of what did not complete", t->frame.spsr & SPSR_SS,
         t->plan == STEPPED ? SPSR_SS : 0);
    if (early) {
        same(t, "no step", leave(t, esr).kind, HVCORE_RESULT_DONE);
    }
    on_exception(t, esr);
    if (!early) {
        same(t, "no step", leave(t, esr).kind, HVCORE_RESULT_DONE);
    }
}

/* False: this was the end, or nothing that belongs here. */
static bool serve(test *t, uint64_t esr)
{
    uint32_t class = guest_class(esr), end = guest_is_el0(t->route) ? EC_SVC : EC_HVC;

    if (class == EC_MOPS) {
        on_mops(t, esr);
    } else if (class == EC_STEP && t->plan == STEPPED) {
        on_step(t, leave(t, esr));
    } else if (class == EC_ABORT_LOWER && t->plan == FROM_P) {
        on_abort(t);
    } else {
        leave(t, esr);
        same(t, "the end", class, end);
        same(t, "pc of the end", t->frame.pc, AT_END);
        return false;
    }
    return !t->bad;
}

/* From where the frame is to the end. */
static void drive(test *t)
{
    for (uint32_t i = 0; i < TURNS; i++) {
        if (!serve(t, enter(t))) {
            return;
        }
    }
    same(t, "turns", TURNS, 0);
}

/* ---- one case ---- */

static void any_frame(test *t)
{
    for (uint32_t i = 0; i < 31; i++) {
        t->first.x[i] = any();
    }
    t->first.pc = AT_P;
    t->first.spsr = (guest_is_el0(t->route) ? SPSR_EL0 : SPSR_EL1) | (any() & NZCV);
    t->whole = (amounts){t->o.dst, t->o.src, t->o.len};
    if (is_set(&t->o)) {
        t->whole.s = t->o.s < 31 ? (any() & ~UINT64_C(0xff)) | t->o.byte : 0;
    }
    mops_set(&t->o, &t->first, &t->whole);
}

static void any_test(test *t)
{
    *t = (test){0};
    mops_any(&t->o);
    t->plan = (enum plan)below(PLANS);
    t->route = (enum guest_route)below(GUEST_ROUTES);
    if (t->plan == STEPPED) {
        t->route = t->route & 1 ? EL0_TO_EL2 : EL1_TO_EL2;
    }
    t->turns_left = (uint32_t)below(6);
    any_frame(t);
}

static void write_code(const test *t)
{
    uint32_t words[4] = {mops_word(&t->o, PROLOGUE), mops_word(&t->o, MAIN),
                         mops_word(&t->o, EPILOGUE), guest_end(t->route)};

    guest_code((AT_P - GUEST_CODE) / 4, words, COUNT(words));
}

/* The registers of the operation `from` without interruption. */
static hvcore_arm64_frame uninterrupted(test *t, const amounts *from)
{
    hvcore_arm64_frame frame = t->first;
    uint64_t esr;

    guest_route(t->route, false);
    mops_set(&t->o, &frame, from);
    esr = guest_enter(&frame);
    same(t, "the end without interruption", guest_class(esr),
         guest_is_el0(t->route) ? EC_SVC : EC_HVC);
    same(t, "its pc", frame.pc, AT_END);
    return frame;
}

/* The tag of what the operation does not touch. */
static uint8_t other_tag(const test *t)
{
    return (uint8_t)field(~t->o.dst, 56, 4);
}

/* Begins in the middle: `done` bytes are done, in memory too. `back`: what this PE would do. */
static void begin_by_hand(test *t, bool back)
{
    bool a = t->plan == BY_HAND_A;
    uint64_t unit = t->o.family == SETG ? 16 : 1, done = below(t->o.len / unit + 1) * unit;
    amounts to, left;

    if (!a && done != t->o.len && mops_direction(&t->o) == 0) {
        back = chance(50);
    }
    to = mops_format(&t->o, &t->whole, done, a, back);
    left = mops_format(&t->o, &t->whole, done, true, back);
    mops_carry_out(&t->o, (uint8_t *)ARENA, done, back);
    if (t->o.family == SETG) {
        memset(expected_tags + (plain(t->o.dst) - ARENA) / 16, other_tag(t), done / 16);
    }
    mops_set(&t->o, &t->frame, &to);
    t->frame.pc = a || chance(50) ? AT_E : AT_M; /* main takes any amount of its own option */
    t->frame.spsr = (t->frame.spsr & ~NZCV) | mops_flags(a, back);
    t->turned = !a && left.n != 0;
    if (t->turned) {
        t->whole = mops_to_prologue(&t->o, &left);
    } else { /* with nothing left, the format does not matter */
        t->flags = mops_flags(a, back);
    }
}

static void begin(test *t, bool back)
{
    uint64_t at = chance(50) || is_set(&t->o) ? t->o.dst : t->o.src;

    t->frame = t->first;
    guest_route(t->route, t->plan == STEPPED);
    hvcore_step_own(&state.step,
                    t->plan == STEPPED ? HVCORE_STEP_OWNER_HOST : HVCORE_STEP_OWNER_GUEST);
    if (t->plan == BY_HAND_A || t->plan == BY_HAND_B) {
        begin_by_hand(t, back);
    }
    if (t->plan == FROM_P) {
        guest_page((uint32_t)((plain(at) - ARENA + below(t->o.len + 1)) / 4096), false);
    }
}

static void finish(void)
{
    WRITE(mdscr_el1, 0);
    hvcore_step_own(&state.step, HVCORE_STEP_OWNER_GUEST);
    for (uint32_t page = 0; page <= ARENA_PAGES; page++) {
        guest_page(page, true);
    }
}

static void same_registers(test *t, const hvcore_arm64_frame *wanted)
{
    for (uint32_t i = 0; i < 31; i++) {
        same(t, "a register in the end", t->frame.x[i], wanted->x[i]);
    }
    same(t, "flags in the end", t->frame.spsr & NZCV, t->flags);
}

/* All granules of the arena get another tag than the operation's, before it runs. */
static void tag_arena(test *t)
{
    const operation *o = &t->o;
    amounts whole = {ARENA | (uint64_t)other_tag(t) << 56, t->whole.s, ARENA_SIZE};

    if (have_tags && o->family == SETG) {
        uninterrupted(t, &whole);
        memset(expected_tags, other_tag(t), TAGS);
        memset(expected_tags + (plain(o->dst) - ARENA) / 16, (int)field(o->dst, 56, 4),
               o->len / 16);
    }
}

static void same_tags(test *t)
{
    if (have_tags && t->o.family == SETG) {
        guest_tags(ARENA, TAGS, tags);
        same_memory(t, "tags", tags, expected_tags, TAGS);
    }
}

static void count(const test *t)
{
    image_failed += t->bad;
    image_passed += !t->bad;
}

static void one_case(void)
{
    hvcore_arm64_frame reference;
    amounts whole;
    test t;

    any_test(&t);
    whole = t.whole;
    write_code(&t);
    memcpy(expected, pattern, ARENA_SIZE);
    mops_carry_out(&t.o, expected, t.o.len, mops_direction(&t.o) < 0);
    memcpy((void *)ARENA, pattern, ARENA_SIZE);
    reference = uninterrupted(&t, &whole);
    same_memory(&t, "memory without interruption", (const void *)ARENA, expected, ARENA_SIZE);
    tag_arena(&t);
    memcpy((void *)ARENA, pattern, ARENA_SIZE);
    begin(&t, t.o.len && reference.x[t.o.d] == t.o.dst);
    drive(&t);
    finish();
    same_memory(&t, "memory", (const void *)ARENA, expected, ARENA_SIZE);
    same_tags(&t);
    if (memcmp(&whole, &t.whole, sizeof(whole)) != 0) { /* the PE chooses anew for the rest */
        reference = uninterrupted(&t, &t.whole);
    }
    same_registers(&t, &reference);
    count(&t);
}

/* ---- sizes that the prologue saturates ---- */

/* So much is never done: it ends at the page that stage 2 does not have, and there it is turned. */
static void saturated_case(void)
{
    static const uint64_t most[FAMILIES] = {MASK(54, 0), MASK(62, 0), MASK(62, 0), MASK(62, 4)};
    uint64_t limit = ARENA + ARENA_SIZE, done;
    test t;

    do {
        any_test(&t);
    } while (is_set(&t.o) && t.o.s == 31);
    t.plan = FROM_P;
    t.o.dst = (ARENA + below(8) * 1024) | (t.o.dst & MASK(63, 56));
    t.o.src = ARENA + 8192 + below(8000);
    t.o.len = BIT(63) | any();
    t.whole = (amounts){t.o.dst, is_set(&t.o) ? t.whole.s : t.o.src, t.o.len};
    done = limit - (is_set(&t.o) ? plain(t.o.dst) : t.o.src);
    mops_set(&t.o, &t.first, &t.whole);
    t.frame = t.first;
    t.whole.n = most[t.o.family];
    write_code(&t);
    guest_route(t.route, false);
    guest_page(ARENA_PAGES, false);
    same(&t, "it ends at the page that is missing", guest_class(enter(&t)), EC_ABORT_LOWER);
    same(&t, "in the main part", t.frame.pc, AT_M);
    turn(&t);
    same(&t, "what is left", t.whole.n, most[t.o.family] - done);
    same(&t, "where to go on", plain(t.whole.d), plain(t.o.dst) + done);
    on_mops(&t, enter(&t));
    finish();
    count(&t);
}

/* ---- main ---- */

static void summary(void)
{
    static const char *const kinds[KINDS] = {"main, wrong option",
                                             "epilogue, wrong option",
                                             "epilogue, ill-formed",
                                             "normalised",
                                             "aborts in the prologue",
                                             "aborts behind it",
                                             "steps"};

    for (uint32_t f = 0; f < FAMILIES; f++) {
        put("# "), put(families[f]), put(":");
        for (uint32_t k = 0; k < KINDS; k++) {
            put(k ? ", " : " "), put_number(seen[f][k]), put(" "), put(kinds[k]);
        }
        put("\n");
    }
}

static void check_option(void)
{
    for (uint32_t f = 0; f < FAMILIES; f++) {
        test t = {.route = EL1_TO_EL2};
        hvcore_arm64_frame after;

        t.o = (operation){.family = (enum family)f, .s = 1, .n = 2, .dst = ARENA, .src = ARENA};
        t.first.pc = AT_P;
        t.first.spsr = SPSR_EL1 | NZCV;
        t.whole = (amounts){ARENA, ARENA, 0};
        write_code(&t);
        after = uninterrupted(&t, &t.whole);
        same(&t, "option A", after.spsr & NZCV, mops_flags(true, false));
        count(&t);
    }
}

void image_main(void)
{
    uint64_t cases = image_argument("cases", 6000);

    if (field(READ(CurrentEL), 2, 2) != 2 || field(READ(ID_ISAR2), 16, 4) == 0) {
        image_skip("this processor has no FEAT_MOPS, or the image is not at EL2");
    }
    image_seed(image_argument("seed", 1));
    for (uint32_t i = 0; i < ARENA_SIZE; i++) {
        pattern[i] = (uint8_t)any();
    }
    state = (hvcore_arm64_state){.size = sizeof(state), .version = 1};
    sys = (hvcore_arm64_sys){.size = sizeof(sys), .have = BIT(HVCORE_ARM64_SYS_mdscr_el1)};
    guest_begin();
    have_tags = guest_tags(ARENA, TAGS, tags);
    check_option();
    for (uint64_t i = 0; i < cases; i++) {
        one_case();
        if (i % 20 == 0) {
            saturated_case();
        }
    }
    summary();
    put(image_failed ? "" : "ok mops\n");
    image_end();
}
