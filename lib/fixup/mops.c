/* SPDX-License-Identifier: Apache-2.0 */
/* Memory copies and sets go back to their prologue (DDI0487 D1.3.5.7, rules CNTMJ, MWFQH). */
#include <stdbool.h>
#include <stddef.h>

#include <hvcore/fixup/arm64_state.h>

#define SPSR_EL2_UP UINT64_C(0x8)      /* M[3]: EL2 or EL3 */
#define SPSR_NRW (UINT64_C(1) << 4)    /* M[4]: AArch32 */
#define SPSR_BTYPE (UINT64_C(3) << 10) /* not 0 after an indirect branch */
#define SPSR_C (UINT64_C(1) << 29)     /* option B */
#define SPSR_N (UINT64_C(1) << 31)     /* backward, with option B */
#define EC_MOPS UINT64_C(0x27)
#define ESR_IL (UINT64_C(1) << 25)
#define ESR_UNDEFINED UINT32_C(0x02000000) /* EC 0, "unknown reason", with IL */
#define NEGATIVE (UINT64_C(1) << 63)

/* ISS of the exception (DDI0487, ESR_EL2, "ISS encoding for an exception from the Memory Copy and
 * Memory Set instructions") */
#define ISS_OPTION_A (UINT64_C(1) << 16)
#define ISS_WRONG_OPTION (UINT64_C(1) << 17)
#define ISS_EPILOGUE (UINT64_C(1) << 18)
#define ISS_SETG (UINT64_C(1) << 23)
#define ISS_SET (UINT64_C(1) << 24)

/* The instructions (DDI0487 C4.1, "Memory Copy and Memory Set") */
#define INSN_MASK UINT32_C(0xfb200c00)
#define INSN_BITS UINT32_C(0x19000400)
#define INSN_O0 (UINT32_C(1) << 26) /* CPY not CPYF, SETG not SET */

/* What is known of an operation: registers, and the format that they are in. */
typedef struct operation {
    uint32_t d, s, n;
    bool set;      /* SET or SETG: s holds the byte, not an address, and may be 31 */
    bool format_a; /* else B */
    bool epilogue; /* else main */
} operation;

static operation of_syndrome(uint64_t esr)
{
    return (operation){
        .d = esr >> 10 & 31,
        .s = esr >> 5 & 31,
        .n = esr & 31,
        .set = esr & ISS_SET,
        .format_a = !(esr & ISS_OPTION_A) != !(esr & ISS_WRONG_OPTION),
        .epilogue = esr & ISS_EPILOGUE,
    };
}

static uint64_t distance(const operation *op)
{
    return op->epilogue ? 8 : 4;
}

static bool registers_exist(const operation *op)
{
    return op->d < 31 && op->n < 31 && (op->set || op->s < 31);
}

static bool registers_differ(const operation *op)
{
    return op->d != op->n && op->s != op->d && op->s != op->n;
}

static bool pc_fits(const operation *op, uint64_t pc)
{
    return pc % 4 == 0 && pc >= distance(op);
}

/* Xd, Xs, Xn as the prologue wants them: where to go on, and how much. Needs proper registers. */
static void restore(hvcore_arm64_frame *frame, const operation *op)
{
    uint64_t *x = frame->x, left = x[op->n];

    if (op->format_a &&
        (op->set || left & NEGATIVE)) { /* both ends, and what is left as a negative */
        x[op->d] += left;
        if (!op->set) {
            x[op->s] += left;
        }
        x[op->n] = 0 - left;
    } else if (!op->format_a && !op->set && frame->spsr & SPSR_N) { /* backward from both ends */
        x[op->d] -= left;
        x[op->s] -= left;
    }
}

static void repair(hvcore_arm64_frame *frame, const operation *op, hvcore_step_state *step)
{
    restore(frame, op);
    frame->pc -= distance(op);
    hvcore_step_advance(frame, step);
}

/* Something that no PE leaves behind a prologue, and a guest can make up. */
static bool is_odd(const hvcore_arm64_frame *frame, const operation *op, bool setg)
{
    uint64_t left = frame->x[op->n];

    if (left == 0) {
        return false;
    }
    if (setg && (left | frame->x[op->d]) % 16 != 0) {
        return true;
    }
    if (op->format_a) {
        return frame->spsr & SPSR_C || (op->set && !(left & NEGATIVE));
    }
    return !(frame->spsr & SPSR_C) || left & NEGATIVE;
}

static uint32_t bad_syndrome(const hvcore_event *event)
{
    if (!(event->have & HVCORE_HAVE_SYNDROME)) {
        return HVCORE_MOPS_NO_SYNDROME;
    }
    if ((event->syndrome >> 26 & 0x3f) != EC_MOPS) {
        return HVCORE_MOPS_NOT_MOPS;
    }
    return event->syndrome & ESR_IL ? 0 : HVCORE_MOPS_BAD_LENGTH;
}

static uint32_t bad_mode(uint64_t spsr)
{
    if (spsr & SPSR_NRW) {
        return HVCORE_MOPS_NOT_AARCH64;
    }
    return spsr & SPSR_EL2_UP ? HVCORE_MOPS_NOT_GUEST : 0;
}

static uint32_t bad_registers(const operation *op)
{
    if (!registers_exist(op)) {
        return HVCORE_MOPS_BAD_REGISTER;
    }
    return registers_differ(op) ? 0 : HVCORE_MOPS_SAME_REGISTER;
}

static uint32_t bad_pc(const hvcore_arm64_frame *frame, const operation *op,
                       const hvcore_event *event)
{
    bool stale = event->have & HVCORE_HAVE_PC && event->pc != frame->pc;

    return stale || !pc_fits(op, frame->pc) ? HVCORE_MOPS_BAD_PC : 0;
}

static bool streak_is_full(const hvcore_mops_state *mops)
{
    return mops->streak >= (mops->streak_max ? mops->streak_max : HVCORE_MOPS_STREAK_DEFAULT);
}

static void count(const hvcore_arm64_frame *frame, const operation *op, uint64_t esr,
                  hvcore_mops_state *mops)
{
    mops->streak++;
    mops->done[esr / ISS_WRONG_OPTION % HVCORE_MOPS_KINDS]++; /* WrongOption, then FromEpilogue */
    if (mops->options & HVCORE_MOPS_COUNT_ODD) {
        mops->odd += is_odd(frame, op, op->set && esr & ISS_SETG);
    }
}

static hvcore_result refuse(uint32_t why, uint64_t detail)
{
    return (hvcore_result){HVCORE_RESULT_EXIT, why, detail};
}

hvcore_result hvcore_mops(hvcore_arm64_frame *frame, hvcore_arm64_sys *sys,
                          const hvcore_event *event, hvcore_arm64_state *state)
{
    uint64_t esr = event->syndrome;
    operation op = of_syndrome(esr);
    uint32_t why;

    (void)sys;
    if ((why = bad_syndrome(event))) {
        return refuse(why, esr);
    }
    if ((why = bad_mode(frame->spsr))) {
        return refuse(why, frame->pc);
    }
    if ((why = bad_registers(&op))) {
        return refuse(why, esr);
    }
    if ((why = bad_pc(frame, &op, event))) {
        return refuse(why, frame->pc);
    }
    if (state->mops.options & HVCORE_MOPS_HIDDEN) {
        return (hvcore_result){HVCORE_RESULT_INJECT, ESR_UNDEFINED, 0};
    }
    if (streak_is_full(&state->mops)) {
        return refuse(HVCORE_MOPS_STREAK, frame->pc);
    }
    count(frame, &op, esr, &state->mops);
    repair(frame, &op, &state->step);
    return (hvcore_result){HVCORE_RESULT_DONE, 0, 0};
}

/* --- normalise -------------------------------------------------------------------------------- */

static uint32_t stage_shift(uint32_t insn)
{
    return (insn >> 22 & 3) == 3 ? 14 : 22; /* op1 = 11: SET, SETG */
}

/* Stages: 0 prologue, 1 main, 2 epilogue, 3 unallocated. */
static bool is_main_or_epilogue(uint32_t insn)
{
    uint32_t stage = insn >> stage_shift(insn) & 3;

    return (insn & INSN_MASK) == INSN_BITS && (stage == 1 || stage == 2);
}

static uint32_t prologue_of(uint32_t insn)
{
    return insn & ~(UINT32_C(3) << stage_shift(insn));
}

static operation of_insn(uint32_t insn, uint64_t spsr)
{
    return (operation){
        .d = insn & 31,
        .s = insn >> 16 & 31,
        .n = insn >> 5 & 31,
        .set = stage_shift(insn) == 14,
        .format_a = !(spsr & SPSR_C),
        .epilogue = (insn >> stage_shift(insn) & 3) == 2,
    };
}

/* The size that the prologue saturates to; that of SETG is also a multiple of 16. */
static uint64_t largest(bool copy)
{
    return copy ? UINT64_C(0x007fffffffffffff) : UINT64_C(0x7fffffffffffffff);
}

/* Do flags and amount fit an operation on its way? Bit 63 is set exactly in format A forward; only
 * CPY goes backward, which format B says in N. */
static bool is_decidable(const hvcore_arm64_frame *frame, const operation *op, bool o0)
{
    bool copy = o0 && !op->set, negative = frame->x[op->n] & NEGATIVE;
    uint64_t left = negative ? 0 - frame->x[op->n] : frame->x[op->n];
    uint64_t nzcv = frame->spsr >> 28 & 0xf;
    bool flags = nzcv == 0 || nzcv == 2 || (copy && nzcv == 10);
    bool sign = op->format_a ? negative || copy : !negative;
    bool granules = !o0 || !op->set || (left | frame->x[op->d]) % 16 == 0;

    return flags && sign && granules && left <= largest(copy) && !(frame->spsr & SPSR_BTYPE);
}

static uint32_t why_left(const hvcore_arm64_frame *frame, const operation *op, uint32_t insn,
                         const uint32_t *prologue)
{
    if (bad_mode(frame->spsr)) {
        return HVCORE_MOPS_LEFT_NOT_GUEST;
    }
    if (!is_main_or_epilogue(insn)) {
        return HVCORE_MOPS_LEFT_OTHER_INSN;
    }
    if (bad_registers(op)) {
        return HVCORE_MOPS_LEFT_REGISTERS;
    }
    if (!pc_fits(op, frame->pc)) {
        return HVCORE_MOPS_LEFT_PC;
    }
    if (prologue && *prologue != prologue_of(insn)) {
        return HVCORE_MOPS_LEFT_NO_PROLOGUE;
    }
    if (frame->x[op->n] == 0) {
        return HVCORE_MOPS_LEFT_NOTHING;
    }
    return is_decidable(frame, op, insn & INSN_O0) ? 0 : HVCORE_MOPS_LEFT_UNDECIDED;
}

hvcore_result hvcore_mops_normalise(hvcore_arm64_frame *frame, uint32_t insn,
                                    const uint32_t *prologue, hvcore_arm64_state *state)
{
    operation op = of_insn(insn, frame->spsr);
    uint32_t why = why_left(frame, &op, insn, prologue);

    if (!why) {
        repair(frame, &op, &state->step);
        state->mops.normalised++;
    }
    return (hvcore_result){HVCORE_RESULT_DONE, why, frame->pc};
}
