/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory copies and sets in any state. What is refused is refused by the reason that comes first
 * and untouched; a repair goes back to the prologue with the same bytes left to do; a guest that
 * does not get on ends within its streak; what normalise does, the exception would have done.
 * sources: lib/fixup/mops.c lib/fixup/step.c
 */
#include <hvcore/fixup/arm64_state.h>

#include "tests/fuzz/fuzz.h"

#define SS (UINT64_C(1) << 21)

typedef struct world {
    hvcore_arm64_frame frame;
    hvcore_arm64_sys sys;
    hvcore_event event;
    hvcore_arm64_state state;
} world;

/* ISS of EC 0x27 (DDI0487, "ISS encoding for an exception from the Memory Copy and Memory Set"). */
typedef struct operation {
    unsigned d, s, n, back;
    bool set, format_a;
} operation;

static operation operation_of(uint64_t esr)
{
    return (operation){esr >> 10 & 31,        esr >> 5 & 31, esr & 31,
                       esr >> 18 & 1 ? 8 : 4, esr >> 24 & 1, (esr >> 16 ^ esr >> 17) & 1};
}

static bool same(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

static hvcore_result ask(world *w)
{
    return hvcore_mops(&w->frame, &w->sys, &w->event, &w->state);
}

/* --- refusals --------------------------------------------------------------------------------- */

static bool no_registers(const operation *op)
{
    return op->d == 31 || op->n == 31 || (!op->set && op->s == 31);
}

static bool no_place(const world *w, const operation *op)
{
    bool stale = w->event.have & HVCORE_HAVE_PC && w->event.pc != w->frame.pc;
    return stale || w->frame.pc & 3 || w->frame.pc < op->back;
}

/* The first reason that holds, but for STREAK; 0: none does. */
static uint32_t reason_of(const world *w, const operation *op)
{
    uint64_t esr = w->event.syndrome, spsr = w->frame.spsr;
    const bool holds[] = {
        [HVCORE_MOPS_NO_SYNDROME] = !(w->event.have & HVCORE_HAVE_SYNDROME),
        [HVCORE_MOPS_NOT_MOPS] = (esr >> 26 & 63) != 0x27,
        [HVCORE_MOPS_BAD_LENGTH] = !(esr >> 25 & 1),
        [HVCORE_MOPS_NOT_AARCH64] = spsr >> 4 & 1,
        [HVCORE_MOPS_NOT_GUEST] = spsr >> 3 & 1,
        [HVCORE_MOPS_BAD_REGISTER] = no_registers(op),
        [HVCORE_MOPS_SAME_REGISTER] = op->d == op->s || op->d == op->n || op->s == op->n,
        [HVCORE_MOPS_BAD_PC] = no_place(w, op),
    };
    for (uint32_t why = 1; why < sizeof(holds) / sizeof(*holds); why++) {
        if (holds[why]) {
            return why;
        }
    }
    return 0;
}

static bool is_full(const hvcore_mops_state *mops)
{
    return mops->streak >= (mops->streak_max ? mops->streak_max : HVCORE_MOPS_STREAK_DEFAULT);
}

static bool is_about_pc(uint32_t why)
{
    return why == HVCORE_MOPS_NOT_AARCH64 || why == HVCORE_MOPS_NOT_GUEST ||
           why == HVCORE_MOPS_BAD_PC || why == HVCORE_MOPS_STREAK;
}

static void check_refusal(const world *w, const operation *op, hvcore_result r)
{
    uint32_t why = reason_of(w, op);
    if (!why && w->state.mops.options & HVCORE_MOPS_HIDDEN) {
        EXPECT(r.kind == HVCORE_RESULT_INJECT && r.arg == 0x02000000 && r.addr == 0);
        return;
    }
    EXPECT(r.kind == HVCORE_RESULT_EXIT && r.arg == (why ? why : HVCORE_MOPS_STREAK));
    EXPECT(why || is_full(&w->state.mops));
    EXPECT(r.addr == (is_about_pc(r.arg) ? w->frame.pc : w->event.syndrome));
}

/* --- repairs ---------------------------------------------------------------------------------- */

/* The bytes that are left, from their lowest addresses. */
typedef struct region {
    uint64_t to, from, bytes;
} region;

/*
 * Between the instructions (DDI0487, CPY* and SET*: "Operation"): option A has a forward
 * operation's ends and a negative amount; option B has a backward copy's ends (PSTATE.N), else what
 * comes next.
 */
static region region_left(const hvcore_arm64_frame *f, const operation *op)
{
    uint64_t to = f->x[op->d], from = op->set ? 0 : f->x[op->s], n = f->x[op->n];
    if (op->format_a && (op->set || n >> 63)) {
        return (region){to + n, op->set ? 0 : from + n, 0 - n};
    }
    if (!op->format_a && !op->set && f->spsr >> 31 & 1) {
        return (region){to - n, from - n, n};
    }
    return (region){to, from, n};
}

/* At the prologue. */
static region region_asked(const hvcore_arm64_frame *f, const operation *op)
{
    return (region){f->x[op->d], op->set ? 0 : f->x[op->s], f->x[op->n]};
}

/* The bytes that are left; and nothing but the registers of the operation, pc and stepping. */
static void check_repair(const world *w, const world *was, const operation *op)
{
    region left = region_left(&was->frame, op), asked = region_asked(&w->frame, op);
    world wanted = *was;
    EXPECT(left.bytes == asked.bytes && left.to == asked.to && left.from == asked.from);
    wanted.frame.x[op->d] = w->frame.x[op->d];
    wanted.frame.x[op->n] = w->frame.x[op->n];
    if (!op->set) {
        wanted.frame.x[op->s] = w->frame.x[op->s];
    }
    wanted.frame.pc -= op->back;
    hvcore_step_advance(&wanted.frame, &wanted.state.step);
    EXPECT(same(&w->frame, &wanted.frame, sizeof(w->frame)));
    EXPECT(((w->frame.spsr ^ was->frame.spsr) & ~SS) == 0);
    EXPECT(same(&w->state.step, &wanted.state.step, sizeof(w->state.step)));
}

static void check_counts(const hvcore_mops_state *now, const hvcore_mops_state *was, uint64_t esr)
{
    hvcore_mops_state wanted = *was;
    wanted.streak++;
    wanted.done[(esr >> 18 & 1) * 2 + (esr >> 17 & 1)]++;
    EXPECT(now->odd - was->odd <= (was->options & HVCORE_MOPS_COUNT_ODD ? 1 : 0));
    wanted.odd = now->odd;
    EXPECT(same(now, &wanted, sizeof(wanted)));
}

/* The same exception again and again. */
static void check_streak(world w, uint32_t max)
{
    const hvcore_arm64_frame frame = w.frame;
    uint32_t n = 0;
    hvcore_result r;
    w.state.mops.streak_max = max;
    w.state.mops.streak %= 2 * max;
    uint32_t owed = w.state.mops.streak < max ? max - w.state.mops.streak : 0;
    while ((r = ask(&w)).kind == HVCORE_RESULT_DONE) {
        EXPECT(n++ < owed);
        w.frame = frame;
    }
    EXPECT(n == owed && r.kind == HVCORE_RESULT_EXIT && r.arg == HVCORE_MOPS_STREAK);
}

static void exception(world *w, uint32_t pick)
{
    const operation op = operation_of(w->event.syndrome);
    const world was = *w;
    hvcore_result r = ask(w);
    EXPECT(same(&w->event, &was.event, sizeof(was.event)));
    EXPECT(same(&w->sys, &was.sys, sizeof(was.sys)));
    if (r.kind != HVCORE_RESULT_DONE) {
        EXPECT(same(w, &was, sizeof(was)));
        check_refusal(w, &op, r);
        return;
    }
    EXPECT(r.arg == 0 && r.addr == 0 && !reason_of(&was, &op) && !is_full(&was.state.mops));
    EXPECT(!(was.state.mops.options & HVCORE_MOPS_HIDDEN));
    check_repair(w, &was, &op);
    check_counts(&w->state.mops, &was.state.mops, was.event.syndrome);
    check_streak(was, 1 + (pick >> 8 & 15));
}

/* --- normalise -------------------------------------------------------------------------------- */

/* Where the stage of the operation stands: 0 prologue, 1 main, 2 epilogue. */
static unsigned stage_at(uint32_t insn)
{
    return (insn >> 22 & 3) == 3 ? 14 : 22; /* SET, SETG; CPY, CPYF */
}

static uint32_t without_stage(uint32_t insn)
{
    return insn & ~(UINT32_C(3) << stage_at(insn));
}

/* The syndrome of an exception of `insn` whose format is that of the flags. */
static uint64_t syndrome_of(uint32_t insn, uint64_t spsr)
{
    uint64_t set = stage_at(insn) == 14, epilogue = (insn >> stage_at(insn) & 3) == 2;
    return UINT64_C(0x9e000000) | set << 24 | epilogue << 18 | (uint64_t) !(spsr >> 29 & 1) << 16 |
           (insn & 31) << 10 | (insn >> 16 & 31) << 5 | (insn >> 5 & 31);
}

/* What hvcore_mops_normalise() says of flags and amounts that a prologue leaves. */
static bool is_decidable(const hvcore_arm64_frame *f, uint32_t insn)
{
    bool set = stage_at(insn) == 14, o0 = insn >> 26 & 1, cpy = o0 && !set, setg = o0 && set;
    uint64_t n = f->x[insn >> 5 & 31], nzcv = f->spsr >> 28 & 15;
    uint64_t left = n >> 63 ? 0 - n : n, most = cpy ? UINT64_MAX >> 9 : UINT64_MAX >> 1;
    bool format_a = !(nzcv & 2);
    bool flags = nzcv == 0 || nzcv == 2 || (cpy && nzcv == 10);
    bool sign = format_a ? n >> 63 || cpy : !(n >> 63);
    bool granules = !setg || (left % 16 == 0 && f->x[insn & 31] % 16 == 0);
    return flags && sign && granules && left <= most && !(f->spsr >> 10 & 3);
}

static void check_normalised(const world *w, const world *was, uint32_t insn)
{
    EXPECT((insn & 0xfb200c00) == 0x19000400 && is_decidable(&was->frame, insn));
    EXPECT(was->frame.x[insn >> 5 & 31] != 0);
    world other = *was, again = *w;
    other.event.have = HVCORE_HAVE_SYNDROME;
    other.event.syndrome = syndrome_of(insn, was->frame.spsr);
    other.state.mops = (hvcore_mops_state){0};
    EXPECT(ask(&other).kind == HVCORE_RESULT_DONE);
    EXPECT(same(&other.frame, &w->frame, sizeof(w->frame)));
    EXPECT(w->state.mops.normalised == was->state.mops.normalised + 1);
    hvcore_result r = hvcore_mops_normalise(&again.frame, without_stage(insn), NULL, &again.state);
    EXPECT(r.arg == HVCORE_MOPS_LEFT_OTHER_INSN && same(&again, w, sizeof(again)));
}

static void normalise(world *w, uint32_t pick, uint32_t insn, uint32_t prologue)
{
    const world was = *w;
    prologue = pick & 2 ? without_stage(insn) : prologue;
    hvcore_result r =
        hvcore_mops_normalise(&w->frame, insn, pick & 4 ? &prologue : NULL, &w->state);
    EXPECT(r.kind == HVCORE_RESULT_DONE && r.arg <= HVCORE_MOPS_LEFT_UNDECIDED);
    EXPECT(r.addr == w->frame.pc);
    if (r.arg == HVCORE_MOPS_NORMALISED) {
        EXPECT(!(pick & 4) || prologue == without_stage(insn));
        check_normalised(w, &was, insn);
    } else {
        EXPECT(same(w, &was, sizeof(was)));
        EXPECT(r.arg != HVCORE_MOPS_LEFT_UNDECIDED || !is_decidable(&w->frame, insn));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static world w, start;
    fuzz_input in = {data, size};
    uint32_t pick = fuzz_u32(&in), insn = fuzz_u32(&in), prologue = fuzz_u32(&in);

    memset(&w, 0, sizeof(w));
    fuzz_take(&in, &w.event, sizeof(w.event));
    fuzz_take(&in, &w.frame, sizeof(w.frame));
    fuzz_take(&in, &w.state.mops, sizeof(w.state.mops));
    fuzz_take(&in, &w.state.step, sizeof(w.state.step));
    fuzz_take(&in, &w.sys.mdscr_el1, sizeof(w.sys.mdscr_el1));
    if (pick & 1) { /* mostly the right exception, of a guest, and an operation */
        w.event.syndrome = (w.event.syndrome & 0x1ffffff) | UINT64_C(0x9e000000);
        w.event.have = HVCORE_HAVE_SYNDROME;
        w.frame.spsr &= ~UINT64_C(0xc18);
        w.frame.pc &= ~UINT64_C(3);
        insn = (insn & ~UINT32_C(0xfb200c00)) | 0x19000400;
    }
    start = w;
    exception(&w, pick);
    normalise(&start, pick, insn, prologue);
    return 0;
}
