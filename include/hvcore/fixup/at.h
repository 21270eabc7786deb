/* SPDX-License-Identifier: Apache-2.0 */
/*
 * at: an address translation instruction (AT S1E0R ... AT S12E0W) that trapped from a guest,
 * carried out: by the hardware where its answer can be believed, else by walking the guest's tables
 * in software (specs at-walker.md; DDI0487 D8). Freestanding and pure.
 *
 * Why not by the hardware alone: an AT that the host executes at EL2 for a guest reports a stage 1
 * table that is not resident as a failed translation, without a fault that could be mended. The
 * guest would see a fault that is the host's own business.
 *
 * Two entries share everything. hvcore_at() is a unit like any other; it decodes, decides who gets
 * the trap, asks the hardware, judges its answer, and where memory must be read answers
 * EXIT(HVCORE_AT_WALK). hvcore_at_walk() does that and walks: whoever has an accessor calls it
 * alone. Memory accessors stay out of the state, which has no pointers and migrates.
 */
#ifndef HVCORE_FIXUP_AT_H
#define HVCORE_FIXUP_AT_H

#include <hvcore/walk/arm64.h>

HVCORE_BEGIN

/** The instructions. The numbers are positions in no register. */
enum hvcore_at_op {
    HVCORE_AT_S1E1R = 0,
    HVCORE_AT_S1E1W = 1,
    HVCORE_AT_S1E0R = 2,
    HVCORE_AT_S1E0W = 3,
    HVCORE_AT_S1E1RP = 4,
    HVCORE_AT_S1E1WP = 5,
    HVCORE_AT_S1E1A = 6,
    HVCORE_AT_S1E2R = 7,
    HVCORE_AT_S1E2W = 8,
    HVCORE_AT_S1E2A = 9,
    HVCORE_AT_S12E1R = 10,
    HVCORE_AT_S12E1W = 11,
    HVCORE_AT_S12E0R = 12,
    HVCORE_AT_S12E0W = 13,
    HVCORE_AT_OPS = 14
};

/** What an AT is, from the syndrome of its trap. */
typedef struct hvcore_at_insn {
    uint32_t op;     /**< HVCORE_AT_S* */
    uint32_t rt;     /**< register with the address; 31 is zero */
    uint32_t el;     /**< whose view it asks for: 0, 1, 2 */
    uint32_t both;   /**< 1: S12*, stages 1 and 2 */
    uint32_t access; /**< HVCORE_ARM64_ACCESS_EL0, _WRITE, _ANY; _PAN: honours PSTATE.PAN */
} hvcore_at_insn;

/** What the guest's PE implements, beyond hvcore_arm64_walk_options.features; a bit set. */
enum hvcore_at_feature {
    HVCORE_AT_FEAT_PAN2 = 1,  /**< MMFR1.PAN >= 2: S1E1RP, S1E1WP */
    HVCORE_AT_FEAT_ATS1A = 2, /**< ISAR2.ATS1A: S1E1A, S1E2A */
    HVCORE_AT_FEAT_NV = 4,    /**< MMFR2.NV: HCR_EL2.NV and AT */
    HVCORE_AT_FEAT_FGT = 8    /**< MMFR0.FGT: HFGITR_EL2 */
};

/** Options, a bit set. */
enum hvcore_at_option {
    /** Somebody serves NEED_AT: ask the hardware first. */
    HVCORE_AT_HARDWARE = 1,
    /**
     * Set access flags while the other vCPUs run. A table that the guest takes out of use between
     * the last look and the compare-and-swap, and that still holds the same word, is then written
     * to. Else the unit asks for the hold before it writes.
     */
    HVCORE_AT_WRITE_UNHELD = 2
};

/** What became of a NEED_AT. */
enum hvcore_at_answer {
    HVCORE_AT_ANSWER_NONE = 0,
    HVCORE_AT_ANSWER_PAR = 1,        /**< executed; answer_par is what PAR_EL1 held */
    HVCORE_AT_ANSWER_TRAPPED = 2,    /**< executed; it took an exception */
    HVCORE_AT_ANSWER_UNAVAILABLE = 3 /**< not executed */
};

/** The context in which the hardware is to execute, bits 15:8 of the argument of NEED_AT. */
enum hvcore_at_context {
    HVCORE_AT_CONTEXT_LIVE = 0, /**< EL1 registers as the guest runs on them */
    HVCORE_AT_CONTEXT_EL1 = 1,  /**< the guest's virtual EL1 registers, under its nested stage 2 */
    HVCORE_AT_CONTEXT_NV1 = 2 /**< as the guest runs, with HCR_EL2.{NV,NV1} = {1,1}: its descriptors
                                     have the format of EL2 */
};

/** Bits of the argument of NEED_AT. */
enum hvcore_at_need {
    HVCORE_AT_NEED_OP = 0xff, /**< HVCORE_AT_S1E*: never an S1E2* or S12* */
    HVCORE_AT_NEED_CONTEXT = 0xff00,
    HVCORE_AT_NEED_PAN = 0x10000 /**< with PSTATE.PAN = 1 (matters to S1E1RP, S1E1WP) */
};

/** Reasons of an EXIT answer, in the order in which they are looked for. */
enum hvcore_at_exit {
    HVCORE_AT_NO_SYNDROME = 1, /**< the event has none, or no mode that is an hvcore_arm64_mode */
    HVCORE_AT_NOT_AT = 2,      /**< not a trapped AT of EL0, EL1 or EL2 (EC 0x18, IL 1) */
    HVCORE_AT_BAD_PC = 3,      /**< frame and event do not agree on pc */
    HVCORE_AT_OPTIONS = 4, /**< they contradict each other (addr: HVCORE_ARM64_REFUSED_*) or mode */
    HVCORE_AT_WALK = 5, /**< memory must be read: call hvcore_at_walk() with the same arguments */
    HVCORE_AT_D128 = 6, /**< the guest uses 128-bit descriptors, which are not walked in software */
    HVCORE_AT_CONTENDED = 7 /**< held, and descriptors still change: a device's doing? */
};

/** Positions in hvcore_at_state.count. */
enum hvcore_at_counter {
    HVCORE_AT_COUNT_HARDWARE = 0, /**< PAR_EL1 of the hardware believed */
    HVCORE_AT_COUNT_SOFTWARE = 1, /**< PAR_EL1 by a walk */
    HVCORE_AT_COUNT_DOUBTED = 2,  /**< answers of the hardware that were not believed */
    HVCORE_AT_COUNT_RETRIED = 3,  /**< walks thrown away because descriptors changed */
    HVCORE_AT_COUNT_HELD = 4,     /**< answers NEED_HOLD */
    HVCORE_AT_COUNT_PAGES = 5,    /**< answers NEED_PAGE */
    HVCORE_AT_COUNT_INJECTED = 6, /**< answers INJECT */
    HVCORE_AT_COUNTERS = 7
};

/** Numbers. */
enum hvcore_at_limits { HVCORE_AT_TRIES = 3 }; /* walks that may fail before the others are held */

/** State of the unit. Zeros are a new one, but `walk` must be told what the guest's PE is like. */
typedef struct hvcore_at_state {
    hvcore_arm64_walk_options walk; /**< in, once */
    uint32_t features;              /**< in, once: HVCORE_AT_FEAT_* */
    uint32_t options;               /**< in: HVCORE_AT_HARDWARE, HVCORE_AT_WRITE_UNHELD */
    /** In, after NEED_AT: HVCORE_AT_ANSWER_*, for the next call, which takes it. Where the guest
     *  executes in between, set it to NONE: it is of another time then. */
    uint32_t answer;
    uint32_t held; /**< in, after NEED_HOLD: 1 if held during the next call, which takes it */
    uint64_t answer_par[2]; /**< in: PAR_EL1, its bits 63:0 and 127:64 (0 without FEAT_D128) */
    uint64_t pc, va;        /**< the unit's: the instruction under way */
    uint32_t esr;           /**< the unit's: its syndrome */
    uint32_t phase;         /**< the unit's: how far it has got */
    uint32_t failures;      /**< the unit's: walks that failed since the last hold */
    uint32_t reserved;
    uint64_t par_high; /**< out, with DONE: PAR_EL1[127:64]; not 0 only with FEAT_D128 */
    uint64_t hpfar;    /**< out, with INJECT: HPFAR_EL2 for a Data Abort of stage 2, else 0 */
    uint64_t count[HVCORE_AT_COUNTERS];
} hvcore_at_state;

#ifndef HVCORE_CDEF
/**
 * What the syndrome of a trapped AT says. `esr`: ESR_EL2.
 *
 * Returns 1, or 0 with *insn untouched if this is no trapped AT of EL0, EL1 or EL2.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API int hvcore_at_decode(uint64_t esr, hvcore_at_insn *insn);

/**
 * PAR_EL1 for a result of kind DONE: par[0] is bits 63:0, par[1] bits 127:64, which is 0 unless
 * `wide` asks for the 128-bit format (FEAT_D128, where the stage that reports uses 128-bit
 * descriptors). Where the architecture leaves a bit open it is 0, NS is HVCORE_ARM64_CHOICE_PAR_NS,
 * bit 11 is 1.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_at_par(const hvcore_arm64_walk_options *options,
                              const hvcore_arm64_walk_result *result, uint32_t wide,
                              uint64_t par[2]);

/**
 * Carry out a trapped AT, except for what needs memory.
 *
 * Reads of the event kind, have, syndrome, mode and (if known) pc. `mode` says who executed it:
 * HVCORE_ARM64_VEL2, a guest hypervisor; HVCORE_ARM64_EL1, a kernel, which may be nested; at EL0 it
 * is UNDEFINED. frame->spsr is hardware-facing and PSTATE.PAN is taken from there. `sys` are the
 * guest's registers, those of EL2 a guest hypervisor's virtual ones; which are needed is said by
 * NEED_REGS.
 *
 * Who gets the trap, by virtual HCR_EL2 and HFGITR_EL2 (specs 1): an instruction of a feature that
 * the guest does not have, or of EL2 at EL1, is UNDEFINED; what the guest hypervisor traps itself
 * is its own (INJECT of EC 0x18); else it is executed. Its regime follows specs 1, with S12*
 * becoming S1* where HCR_EL2.{E2H,TGE} = {1,1} or VM = DC = 0.
 *
 * The hardware is asked (with HVCORE_AT_HARDWARE) once for an instruction, for stage 1 alone, in a
 * context that can express what virtual HCR_EL2 says: not with DC, nor with TGE and not E2H, nor
 * where NV1 changes the format of EL1&0. S12* is not asked for at all: the two stages would be of
 * two instants. Its answer is believed if F = 0 and the address fits the guest's PARange, or if F =
 * 1 with S = 0 and an Access flag or Permission fault (specs 5.2). Everything else is the host's
 * stage 2, or is decided better by the guest's own view: the software walk.
 *
 * The walk (hvcore_at_walk) reads all descriptors twice and takes a result only if none has
 * changed. After HVCORE_AT_TRIES failures, or before it sets an access flag, it asks for the hold.
 *
 * Answers:
 *   DONE            par_el1 written (have, dirty, state->at.par_high), pc advanced by 4, BTYPE and
 *                   the step state with it (hvcore_step_advance). Nothing else of the guest has
 *                   changed.
 *   NEED_REGS(set)
 *   NEED_AT(va, HVCORE_AT_NEED_*)   execute it, put the outcome into state->at.answer and
 *                   answer_par, call again at once. Keep PAR_EL1 and the EL1 context of the guest,
 *                   run with the HCR_EL2 of the guest (VM 1, TGE 0), with what the guest does not
 *                   have (HA, HD, TCR2) clear.
 *   NEED_PAGE(gpa, write)   the guest has not advanced: it may be entered, and traps again.
 *   NEED_HOLD       hold the others, set state->at.held, call again once, let them go whatever the
 *                   answer.
 *   INJECT(esr, far)   an exception for the guest; pc is the AT itself, PAR_EL1 is as it was. arg
 *                   is the whole syndrome. EC 0x18 and 0x24 go to the guest hypervisor (with
 *                   state->at.hpfar), all others where exceptions go of the EL that executed it:
 *                     0x02000000      UNDEFINED
 *                     EC 0x18         with the ISS of the trap
 *                     EC 0x24, 0x25   Data Abort, CM = WnR = 1: an external abort on a table; and,
 *                                     for an AT of EL1, a fault of its hypervisor's stage 2 on a
 *                                     stage 1 table
 *   EXIT(HVCORE_AT_*)
 * Unless it is DONE, frame and sys are not touched, and of the state only what the unit calls its
 * own, hpfar and count.
 *
 * Bounds: no loop in hvcore_at(). hvcore_at_walk() walks at most 2 * HVCORE_AT_TRIES times, reading
 * up to 35 words twice. For one instruction NEED_AT comes once, NEED_REGS at most twice, NEED_HOLD
 * once per HVCORE_AT_TRIES failures; NEED_PAGE once per page, as long as pages stay.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_arm64_unit hvcore_at;

/**
 * The same, with memory: never answers EXIT(HVCORE_AT_WALK).
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_result hvcore_at_walk(hvcore_arm64_frame *frame, hvcore_arm64_sys *sys,
                                        const hvcore_event *event, hvcore_arm64_state *state,
                                        const hvcore_arm64_walk_mem *mem);
#endif

HVCORE_END
#endif
