/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emulated hardware as the oracle of lib/fixup/mops.c: CPY*, CPYF*, SET* and SETG* run at EL1 and
 * EL0 below EL2 and are interrupted at all places. There the registers are turned into the format
 * of the option that this PE does not have, as if the guest had come from another one; so the PE
 * takes a real Memory Copy and Memory Set exception, whose syndrome, frame and hardware-facing SPSR
 * the unit gets. Compared are
 *
 *   - the syndrome with what the instruction and its state must give;
 *   - the frame that the unit leaves with the operation's state before it was turned;
 *   - memory with memmove() and memset(), tags, and all registers with those of a run of the same
 *     operation without interruption;
 *   - with single steps, what lib/fixup/step.c says of each with what the PE did.
 */
#include "tests/system/arm64/mops_test.h"

#define SPSR_EL1 UINT64_C(0x3c5)
#define SPSR_EL0 UINT64_C(0x3c0)
#define TAGS (ARENA_SIZE / 16)

static uint8_t pattern[ARENA_SIZE], expected[ARENA_SIZE];
static uint8_t tags[TAGS], expected_tags[TAGS];
static bool have_tags;

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
        mops_same(t, what, *(const uint64_t *)(a + at), *(const uint64_t *)(b + at));
    }
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
    mops_same(t, "the end without interruption", guest_class(esr),
              guest_is_el0(t->route) ? EC_SVC : EC_HVC);
    mops_same(t, "its pc", frame.pc, AT_END);
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
    hvcore_step_own(&mops_state.step,
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
    hvcore_step_own(&mops_state.step, HVCORE_STEP_OWNER_GUEST);
    for (uint32_t page = 0; page <= ARENA_PAGES; page++) {
        guest_page(page, true);
    }
}

static void same_registers(test *t, const hvcore_arm64_frame *wanted)
{
    for (uint32_t i = 0; i < 31; i++) {
        mops_same(t, "a register in the end", t->frame.x[i], wanted->x[i]);
    }
    mops_same(t, "flags in the end", t->frame.spsr & NZCV, t->flags);
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
    mops_drive(&t);
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
    mops_same(&t, "it ends at the page that is missing", guest_class(mops_enter(&t)),
              EC_ABORT_LOWER);
    mops_same(&t, "in the main part", t.frame.pc, AT_M);
    mops_turn(&t);
    mops_same(&t, "what is left", t.whole.n, most[t.o.family] - done);
    mops_same(&t, "where to go on", plain(t.whole.d), plain(t.o.dst) + done);
    mops_mend(&t, mops_enter(&t));
    finish();
    count(&t);
}

/* ---- main ---- */

static uint32_t summary(void)
{
    static const char *const kinds[KINDS] = {"main, wrong option",
                                             "epilogue, wrong option",
                                             "epilogue, ill-formed",
                                             "normalised",
                                             "aborts in the prologue",
                                             "aborts behind it",
                                             "steps"};
    uint32_t missing = 0;

    for (uint32_t f = 0; f < FAMILIES; f++) {
        put("# "), put(mops_families[f]), put(":");
        for (uint32_t k = 0; k < KINDS; k++) {
            put(k ? ", " : " "), put_number(mops_seen[f][k]), put(" "), put(kinds[k]);
        }
        put("\n");
        for (uint32_t k = 0; k < KINDS; k++) { /* a sweep without it has shown nothing */
            missing += mops_seen[f][k] == 0;
        }
    }
    return missing;
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
        mops_same(&t, "option A", after.spsr & NZCV, mops_flags(true, false));
        count(&t);
    }
}

void image_main(void)
{
    uint64_t cases = image_argument("cases=", 10000);

    if (image_level() != 2 || field(READ(ID_ISAR2), 16, 4) == 0) {
        image_skip("this processor has no FEAT_MOPS, or the image is not at EL2");
    }
    image_seed(image_argument("seed=", 1));
    for (uint32_t i = 0; i < ARENA_SIZE; i++) {
        pattern[i] = (uint8_t)any();
    }
    mops_state = (hvcore_arm64_state){.size = sizeof(mops_state), .version = 1};
    mops_sys =
        (hvcore_arm64_sys){.size = sizeof(mops_sys), .have = BIT(HVCORE_ARM64_SYS_mdscr_el1)};
    guest_begin();
    have_tags = guest_tags(ARENA, TAGS, tags);
    check_option();
    for (uint64_t i = 0; i < cases; i++) {
        one_case();
        if (i % 20 == 0) {
            saturated_case();
        }
    }
    if (summary()) {
        put("not ok a kind of event has not been seen\n");
        image_failed++;
    }
    put(image_failed ? "" : "ok mops\n");
    image_end();
}
