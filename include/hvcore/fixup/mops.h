/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mops: a memory copy or set that cannot go on where it was resumed goes back to its prologue
 * (FEAT_MOPS, DDI0487 D1.3.5.7; freestanding and pure).
 *
 * CPY, CPYF, SET and SETG are three instructions: prologue, main, epilogue. What is in the
 * registers between them depends on the option, A or B, that a PE implements for the family. Main
 * and epilogue take the Memory Copy and Memory Set exception (EC 0x27) if they find the other
 * option's format, or amounts that they do not handle. Then the registers are brought into the form
 * that the prologue expects, less what has been done already, and execution goes on there.
 */
#ifndef HVCORE_FIXUP_MOPS_H
#define HVCORE_FIXUP_MOPS_H

#include <hvcore/arm64.h>

HVCORE_BEGIN

/** Options, a bit set in hvcore_mops_state.options. */
enum hvcore_mops_option {
    HVCORE_MOPS_HIDDEN = 1,   /**< the guest is shown no FEAT_MOPS (ID_AA64ISAR2_EL1) */
    HVCORE_MOPS_COUNT_ODD = 2 /**< count in `odd`, see there */
};

/** The default of hvcore_mops_state.streak_max. */
enum hvcore_mops_limits { HVCORE_MOPS_STREAK_DEFAULT = 1 << 16 };

/** Kinds of exceptions, positions in hvcore_mops_state.done. */
enum hvcore_mops_kind {
    HVCORE_MOPS_ILL_FORMED_MAIN = 0, /**< the format was right, the amount was not */
    HVCORE_MOPS_WRONG_OPTION_MAIN = 1,
    HVCORE_MOPS_ILL_FORMED_EPILOGUE = 2,
    HVCORE_MOPS_WRONG_OPTION_EPILOGUE = 3,
    HVCORE_MOPS_KINDS = 4
};

/** Reasons of an EXIT answer, in the order in which they are looked for. */
enum hvcore_mops_exit {
    HVCORE_MOPS_NO_SYNDROME = 1,   /**< the event has none */
    HVCORE_MOPS_NOT_MOPS = 2,      /**< EC is not 0x27 */
    HVCORE_MOPS_BAD_LENGTH = 3,    /**< IL is 0 */
    HVCORE_MOPS_NOT_AARCH64 = 4,   /**< spsr says AArch32 */
    HVCORE_MOPS_NOT_GUEST = 5,     /**< spsr says EL2 or EL3: the host's, or translated */
    HVCORE_MOPS_BAD_REGISTER = 6,  /**< 31 where no zero register can be */
    HVCORE_MOPS_SAME_REGISTER = 7, /**< the registers are not distinct */
    HVCORE_MOPS_BAD_PC = 8,        /**< misaligned, no place for a prologue, or not the event's */
    HVCORE_MOPS_STREAK = 9         /**< too many in a row; the guest does not get on */
};

/** What hvcore_mops_normalise() did: `arg` of its answer. */
enum hvcore_mops_normal {
    HVCORE_MOPS_NORMALISED = 0,       /**< the frame is at the prologue, in its form */
    HVCORE_MOPS_LEFT_NOT_GUEST = 1,   /**< AArch32, EL2, EL3 */
    HVCORE_MOPS_LEFT_OTHER_INSN = 2,  /**< neither a main nor an epilogue: nothing to do */
    HVCORE_MOPS_LEFT_REGISTERS = 3,   /**< 31, or not distinct: no such operation */
    HVCORE_MOPS_LEFT_PC = 4,          /**< not a multiple of 4, or no place for a prologue */
    HVCORE_MOPS_LEFT_NO_PROLOGUE = 5, /**< the word there is not the prologue of this operation */
    HVCORE_MOPS_LEFT_NOTHING = 6,     /**< no byte is left: either option takes that as it is */
    HVCORE_MOPS_LEFT_UNDECIDED = 7    /**< flags and amounts are not what a prologue leaves */
};

/** State of the unit. Zeros are a new one, with the defaults. It migrates as it is. */
typedef struct hvcore_mops_state {
    uint32_t options;    /**< HVCORE_MOPS_HIDDEN, HVCORE_MOPS_COUNT_ODD */
    uint32_t streak_max; /**< how many in a row are repaired; 0: the default */
    uint32_t streak;     /**< exceptions in a row; the caller sets 0 at other exits */
    uint32_t reserved;
    uint64_t done[HVCORE_MOPS_KINDS]; /**< counts repairs by HVCORE_MOPS_* kind */
    uint64_t odd;        /**< counts repairs of a state that no PE leaves (with COUNT_ODD) */
    uint64_t normalised; /**< counts answers HVCORE_MOPS_NORMALISED */
} hvcore_mops_state;

#ifndef HVCORE_CDEF
/**
 * Repair after a Memory Copy and Memory Set exception (EC 0x27) that came from a guest's EL1 or
 * EL0.
 *
 * Reads the syndrome (event->syndrome; bits above 25 of it only as EC, bit 15 not at all), x, pc
 * and the flags in frame->spsr. Up to three of x change, pc goes back by 4 (main) or 8 (epilogue),
 * spsr.SS becomes 0 together with the phase in state->step (hvcore_step_advance), so that a
 * debugger sees the prologue and never the same instruction twice in a row. Nothing else of the
 * frame changes; `sys` is not used, no memory is read: FAR_EL2 and HPFAR_EL2 are UNKNOWN after this
 * exception. NZCV stay, the prologue writes them.
 *
 * frame->spsr is the hardware-facing SPSR_EL2 and frame->pc ELR_EL2, read at this exit. If the
 * event has a pc (HVCORE_HAVE_PC), it must be that of the frame.
 *
 * An operation whose prologue is not where it should be is not detected: the guest executes what
 * stands there, with the rights that it has. A loop of that kind ends with HVCORE_MOPS_STREAK, if
 * the caller sets state->mops.streak to 0 at other exits only. It must stay interruptible
 * meanwhile.
 *
 * Answers: DONE; INJECT(0x02000000, 0), arg is the ESR_EL1 to deliver ("unknown reason"), with
 * HVCORE_MOPS_HIDDEN: HCRX_EL2.MSCEn was left set by mistake; EXIT(HVCORE_MOPS_*, detail): the pc
 * for NOT_AARCH64, NOT_GUEST, BAD_PC and STREAK, else the syndrome. Unless it is DONE, nothing is
 * touched, counters included. One call, no loops. After STREAK set the streak to 0 to go on.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_arm64_unit hvcore_mops;

/**
 * Make a vCPU that is stopped inside an operation independent of the option, for a snapshot or
 * before it moves to another host: pc back to the prologue, registers in its form, spsr.SS as
 * hvcore_mops() does. Never needed: the exception at the destination does the same, and operations
 * of the guest's user space that wait in guest memory are not reached. So whatever is doubtful is
 * left as it is.
 *
 * `insn` is the word at frame->pc. `prologue` points to the word before it (main) or two before it
 * (epilogue), or is NULL if the caller has not read it; then it is taken for granted.
 *
 * It is decidable where all of this holds: the word is a main or epilogue with proper registers;
 * the last instruction was no branch (spsr.BTYPE 0); NZCV are one of the values that the prologue
 * of the family writes, 0000 for option A, 0010 or (CPY only) 1010 for B; the amount that is left
 * has the sign that belongs to it, is not 0 and not more than the prologue saturates to; for SETG,
 * amount and address are multiples of 16.
 *
 * Answers: DONE with arg HVCORE_MOPS_NORMALISED or _LEFT_* (then nothing is touched) and the pc in
 * addr.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_result hvcore_mops_normalise(hvcore_arm64_frame *frame, uint32_t insn,
                                               const uint32_t *prologue, hvcore_arm64_state *state);
#endif

HVCORE_END
#endif
