/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address translation of arm64 guests in software: VMSAv8-64 stage 1 of EL1&0, EL2 and EL2&0, and
 * stage 2 (DDI0487 D8; specs at-walker.md, 3 and 4). Freestanding and pure: memory is reached
 * through an accessor. Non-secure state, 64-bit descriptors.
 *
 * A walk never waits. Where it cannot go on it says what it lacks and forgets everything; the
 * caller provides and calls again with the same registers.
 */
#ifndef HVCORE_WALK_ARM64_H
#define HVCORE_WALK_ARM64_H

#include <hvcore/arm64.h>

HVCORE_BEGIN

/** Translation regimes of stage 1. */
enum hvcore_arm64_regime {
    HVCORE_ARM64_REGIME_EL10 = 0, /**< EL1&0; the only one with a stage 2 */
    HVCORE_ARM64_REGIME_EL2 = 1,  /**< EL2 with HCR_EL2.E2H = 0 */
    HVCORE_ARM64_REGIME_EL20 = 2  /**< EL2&0 */
};

/**
 * What the guest's PE implements, a bit set; derive it from the ID registers that the guest sees.
 * What is absent here behaves as absent: its register fields count as zero.
 */
enum hvcore_arm64_feature {
    HVCORE_ARM64_FEAT_EL2 = 1 << 0, /**< PFR0.EL2: HCR_EL2 and stage 2 exist */
    HVCORE_ARM64_FEAT_TGRAN4 = 1 << 1,
    HVCORE_ARM64_FEAT_TGRAN16 = 1 << 2,
    HVCORE_ARM64_FEAT_TGRAN64 = 1 << 3,
    HVCORE_ARM64_FEAT_S2_TGRAN4 = 1 << 4, /**< MMFR0.TGran4_2, or TGran4 where that says so */
    HVCORE_ARM64_FEAT_S2_TGRAN16 = 1 << 5,
    HVCORE_ARM64_FEAT_S2_TGRAN64 = 1 << 6,
    HVCORE_ARM64_FEAT_LPA2_4 = 1 << 7, /**< 52-bit addresses with 4 KiB pages, TCR.DS */
    HVCORE_ARM64_FEAT_LPA2_16 = 1 << 8,
    HVCORE_ARM64_FEAT_S2_LPA2_4 = 1 << 9, /**< the same in stage 2, VTCR_EL2.DS */
    HVCORE_ARM64_FEAT_S2_LPA2_16 = 1 << 10,
    HVCORE_ARM64_FEAT_LVA = 1 << 11,   /**< MMFR2.VARange: 52-bit VA with 64 KiB pages */
    HVCORE_ARM64_FEAT_TTST = 1 << 12,  /**< MMFR2.ST: small tables */
    HVCORE_ARM64_FEAT_AF = 1 << 13,    /**< MMFR1.HAFDBS >= 1: TCR.HA */
    HVCORE_ARM64_FEAT_DIRTY = 1 << 14, /**< MMFR1.HAFDBS >= 2: TCR.HD; counts only with AF */
    HVCORE_ARM64_FEAT_HPDS = 1 << 15,  /**< MMFR1.HPDS: TCR.HPD */
    HVCORE_ARM64_FEAT_E0PD = 1 << 16,  /**< MMFR2.E0PD */
    HVCORE_ARM64_FEAT_PAN3 = 1 << 17,  /**< MMFR1.PAN >= 3: SCTLR.EPAN */
    HVCORE_ARM64_FEAT_FWB = 1 << 18,   /**< MMFR2.FWB: HCR_EL2.FWB */
    HVCORE_ARM64_FEAT_NV1 = 1 << 19,   /**< HCR_EL2.NV1 */
    HVCORE_ARM64_FEAT_TCR2 = 1 << 20,  /**< MMFR3.TCRX; the next five need it or VTCR_EL2 */
    HVCORE_ARM64_FEAT_S1PIE = 1 << 21, /**< MMFR3.S1PIE */
    HVCORE_ARM64_FEAT_S1POE = 1 << 22, /**< MMFR3.S1POE */
    HVCORE_ARM64_FEAT_S2PIE = 1 << 23, /**< MMFR3.S2PIE */
    HVCORE_ARM64_FEAT_AIE = 1 << 24,   /**< MMFR3.AIE: MAIR2 */
    HVCORE_ARM64_FEAT_D128 =
        1 << 25, /**< MMFR3.D128: not walked, a walk that meets it is refused */
    HVCORE_ARM64_FEAT_MTE2 = 1 << 26, /**< PFR1.MTE >= 2: the attribute Tagged */
    HVCORE_ARM64_FEAT_MTX = 1 << 27,  /**< TCR.MTX: canonical logical tags */
    HVCORE_ARM64_FEAT_XS = 1 << 28    /**< ISAR1.XS: the attribute XS */
};

/**
 * What the architecture leaves to the implementation, or what authorities disagree about (specs 9.3
 * and 10), a bit set. Zero is what the Arm pseudocode does.
 */
enum hvcore_arm64_choice {
    /** A reserved or missing TG takes the largest granule there is, not the smallest. */
    HVCORE_ARM64_CHOICE_LARGE_GRANULE = 1 << 0,
    /** TxSZ out of range is clamped, not a Translation fault. */
    HVCORE_ARM64_CHOICE_CLAMP_TXSZ = 1 << 1,
    /** A contiguous run that is larger than the address range is a Translation fault. */
    HVCORE_ARM64_CHOICE_CONTIGUOUS_FAULTS = 1 << 2,
    /** A block with nT = 1 is a Translation fault. */
    HVCORE_ARM64_CHOICE_NT_FAULTS = 1 << 3,
    /** Shareability as stage 1 says it enters the combination with stage 2; else Device and
     *  Non-cacheable count as Outer Shareable before. */
    HVCORE_ARM64_CHOICE_RAW_SH = 1 << 4,
    /** AT does not set the access flag; with HA = 1 it still reports no Access flag fault. */
    HVCORE_ARM64_CHOICE_KEEP_AF = 1 << 5,
    /** The access flag is set even if the permission check fails. */
    HVCORE_ARM64_CHOICE_AF_BEFORE_PERMISSION = 1 << 6,
    /** PAR_EL1.NS reads 1. */
    HVCORE_ARM64_CHOICE_PAR_NS = 1 << 7,
    /** Translation faults before the first fetch have the level of the start, not 0 (contested). */
    HVCORE_ARM64_CHOICE_START_LEVEL = 1 << 8,
    /** PAN with indirect permissions asks for what EL0 may do, not for a code other than 0. */
    HVCORE_ARM64_CHOICE_PAN_BY_RIGHTS = 1 << 9
};

/** What the guest's PE is like. Flat and constant over its life, so that it can migrate with it. */
typedef struct hvcore_arm64_walk_options {
    uint32_t features;    /**< HVCORE_ARM64_FEAT_* */
    uint32_t choices;     /**< HVCORE_ARM64_CHOICE_* */
    uint32_t pa_bits;     /**< MMFR0.PARange, in bits: 32 to 56 */
    uint32_t reserved_sh; /**< what the reserved shareability 01 counts as: 0 to 3 */
} hvcore_arm64_walk_options;

/** The access that is translated, a bit set. */
enum hvcore_arm64_access {
    HVCORE_ARM64_ACCESS_EL0 = 1,   /**< unprivileged */
    HVCORE_ARM64_ACCESS_WRITE = 2, /**< else a read */
    HVCORE_ARM64_ACCESS_PAN = 4,   /**< PSTATE.PAN is 1 and counts */
    HVCORE_ARM64_ACCESS_ANY = 8,   /**< no permission check of stage 1 (AT S1E1A) */
    /** Translate the result through stage 2 too, if the regime is EL1&0 and HCR_EL2.VM or DC is
     *  1. */
    HVCORE_ARM64_ACCESS_STAGE2 = 16,
    /** A stage 2 fault on a stage 1 table is ABORT, as for an AT that EL1 executes. */
    HVCORE_ARM64_ACCESS_AT_EL1 = 32,
    /** Write nothing. The answer is the same; UPDATE tells that a walk would have written. */
    HVCORE_ARM64_ACCESS_NO_UPDATE = 64
};

/** What to translate. */
typedef struct hvcore_arm64_walk_request {
    uint64_t va;
    uint32_t regime; /**< HVCORE_ARM64_REGIME_* */
    uint32_t access; /**< HVCORE_ARM64_ACCESS_* */
} hvcore_arm64_walk_request;

/** What an accessor answers. Any other value counts as NO_MEMORY. */
enum hvcore_arm64_mem {
    HVCORE_ARM64_MEM_OK = 0,
    HVCORE_ARM64_MEM_NOT_RESIDENT = 1, /**< memory of the guest that is not there now */
    HVCORE_ARM64_MEM_NO_MEMORY = 2,    /**< no memory, or a device: an external abort */
    HVCORE_ARM64_MEM_CHANGED = 3       /**< cas64 alone: the word is not the expected one */
};

#ifndef HVCORE_CDEF
/**
 * How the walker reaches memory. Addresses are physical addresses as the guest sees them (what its
 * own stage 2, if it has one, translates to), multiples of 8. Words are the bytes of memory in
 * little-endian order, whatever the guest's endianness.
 *
 * read64 loads a word with one single-copy atomic access of 64 bits. cas64 stores `desired` if the
 * word is still `expected`; it may be NULL if nothing is to be written (NO_MEMORY then).
 */
typedef struct hvcore_arm64_walk_mem {
    void *user;
    int (*read64)(void *user, uint64_t gpa, uint64_t *value);
    int (*cas64)(void *user, uint64_t gpa, uint64_t expected, uint64_t desired);
} hvcore_arm64_walk_mem;
#endif

/** How a walk ended. */
enum hvcore_arm64_walk_kind {
    HVCORE_ARM64_WALK_DONE = 0, /**< translated, or (`fault`) a fault that AT reports in PAR_EL1 */
    HVCORE_ARM64_WALK_NEED_PAGE =
        1, /**< make the page of `gpa` resident (writable if WRITE is noted) */
    HVCORE_ARM64_WALK_RESTART = 2, /**< somebody changed a descriptor under an update: call again */
    HVCORE_ARM64_WALK_EXCEPTION = 3, /**< external abort on a table: AT takes a Data Abort */
    HVCORE_ARM64_WALK_ABORT = 4,     /**< with AT_EL1: stage 2 fault on a stage 1 table, to EL2 */
    HVCORE_ARM64_WALK_REFUSED = 5    /**< `fault` is an HVCORE_ARM64_REFUSED_*; nothing was read */
};

/** Kinds of faults. */
enum hvcore_arm64_fault {
    HVCORE_ARM64_FAULT_NONE = 0,
    HVCORE_ARM64_FAULT_ADDRESS_SIZE = 1,
    HVCORE_ARM64_FAULT_TRANSLATION = 2,
    HVCORE_ARM64_FAULT_ACCESS_FLAG = 3,
    HVCORE_ARM64_FAULT_PERMISSION = 4,
    HVCORE_ARM64_FAULT_EXTERNAL = 5
};

/** Why a walk was refused. */
enum hvcore_arm64_refused {
    HVCORE_ARM64_REFUSED_OPTIONS = 1, /**< no granule, pa_bits or reserved_sh out of range */
    HVCORE_ARM64_REFUSED_REGIME = 2,  /**< no such regime */
    HVCORE_ARM64_REFUSED_D128 = 3 /**< TCR2.D128 or VTCR_EL2.D128 asks for 128-bit descriptors */
};

/** What else is to be said of a result, a bit set. */
enum hvcore_arm64_note {
    HVCORE_ARM64_NOTE_S1PTW = 1,   /**< the stage 2 fault was on the access to a stage 1 table */
    HVCORE_ARM64_NOTE_WRITE = 2,   /**< the access that failed was a write */
    HVCORE_ARM64_NOTE_OVERLAY = 4, /**< Permission: by the overlay (FEAT_S1POE) */
    HVCORE_ARM64_NOTE_DIRTY = 8,   /**< Permission: by the dirty state (FEAT_S1PIE, FEAT_S2PIE) */
    HVCORE_ARM64_NOTE_UPDATE = 16  /**< a descriptor was updated, or would have been (NO_UPDATE) */
};

/** Descriptors that a result can hold. No walk reads more than 35. */
enum hvcore_arm64_walk_limits { HVCORE_ARM64_WALK_READS = 36 };

/** A descriptor that the walk read: where, and the word as it stood (or as the walk left it). */
typedef struct hvcore_arm64_walk_read {
    uint64_t gpa;
    uint64_t raw;
} hvcore_arm64_walk_read;

/** What a walk found. Fields that are not named for the kind are zero. */
typedef struct hvcore_arm64_walk_result {
    uint32_t kind;  /**< HVCORE_ARM64_WALK_* */
    uint32_t fault; /**< DONE, EXCEPTION, ABORT: HVCORE_ARM64_FAULT_*; REFUSED: why */
    uint32_t stage; /**< fault: the stage that faulted, 1 or 2 */
    uint32_t fsc;   /**< fault: its code in DFSC and PAR_EL1.FST */
    uint64_t gpa;   /**< NEED_PAGE: the word that could not be accessed */
    uint32_t notes; /**< HVCORE_ARM64_NOTE_* */
    int32_t level; /**< fault: -1 to 3, of that stage; translated: of the stage 1 leaf, 0 without */
    uint64_t ipa;  /**< stage 2 fault: what it could not translate; translated: stage 1's output */
    uint64_t pa;   /**< translated: the output address, without a tag */
    uint64_t size; /**< translated: bytes (power of two) around it with the same translation */
    uint32_t prot; /**< translated: HVCORE_PROT_R and _W that this privilege has, both stages */
    uint32_t attr; /**< translated: memory type in the encoding of MAIR_ELx */
    uint32_t sh;   /**< translated: shareability, 0 none, 2 outer, 3 inner */
    uint32_t reads; /**< entries of `read`, valid for every kind */
    hvcore_arm64_walk_read read[HVCORE_ARM64_WALK_READS]; /**< in the order of the walk */
} hvcore_arm64_walk_result;

#ifndef HVCORE_CDEF
/**
 * Translate an address as the guest's PE would do it without a TLB.
 *
 * `sys` holds the guest's registers, for a guest hypervisor its virtual ones; those that
 * hvcore_arm64_walk_needs() names must be there, `have` is not asked. Without FEAT_EL2 the HCR_EL2,
 * HCRX_EL2 and stage 2 registers are not looked at. Undefined bits of `access` are ignored.
 *
 * The order of checks is that of the specs, 3.3 and 4.2; the first that fails is reported. With HA
 * (AF of stage 1, unless KEEP_AF) and in stage 2 under a table access, missing access flags are set
 * by cas64 on the word that was read, at the end of the stage that needs it; the dirty state of
 * stage 1 is never touched.
 *
 * No state is kept over NEED_PAGE and RESTART. A walk reads at most 35 words (5 levels of stage 1,
 * each behind 5 of stage 2, and 5 for the result) and never loops over anything but levels. A page
 * that was not resident is asked for once, if it stays.
 *
 * The result may be compounded of descriptors of different instants:
 * hvcore_arm64_walk_revalidate() tells.
 *
 * Thread: any (pure). Errors: none; a fault is an answer. Since: 0.1.
 */
HVCORE_API void hvcore_arm64_walk(const hvcore_arm64_walk_options *options,
                                  const hvcore_arm64_sys *sys, const hvcore_arm64_walk_mem *mem,
                                  const hvcore_arm64_walk_request *request,
                                  hvcore_arm64_walk_result *out);

/**
 * Translate an intermediate physical address through stage 2 alone, whatever HCR_EL2.VM says. Of
 * `access` WRITE and NO_UPDATE count. Memory type and shareability are those of a stage 1 that is
 * Normal Write-Back and not shareable. Same rules and bounds otherwise; without FEAT_EL2 it is
 * refused.
 *
 * Thread: any (pure). Errors: none; a fault is an answer. Since: 0.1.
 */
HVCORE_API void hvcore_arm64_walk_s2(const hvcore_arm64_walk_options *options,
                                     const hvcore_arm64_sys *sys, const hvcore_arm64_walk_mem *mem,
                                     uint64_t ipa, uint32_t access, hvcore_arm64_walk_result *out);

/**
 * The registers that a walk will read and `sys->have` lacks, as a set for NEED_REGS; 0: go on.
 * Which they are may depend on HCR_EL2: without it the answer is that alone.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint64_t hvcore_arm64_walk_needs(const hvcore_arm64_walk_options *options,
                                            const hvcore_arm64_sys *sys,
                                            const hvcore_arm64_walk_request *request);

/**
 * Read every descriptor of a result again (specs 5.4). All of them unchanged means that between the
 * two passes there was an instant at which all stood in memory: the hardware's walker could have
 * given this result. (A word that changed and changed back in between is not noticed, nor need it
 * be: each value stood there while the walk went on.)
 *
 * Returns HVCORE_ARM64_MEM_OK; HVCORE_ARM64_MEM_CHANGED (also where memory has gone);
 * HVCORE_ARM64_MEM_NOT_RESIDENT with *gpa set.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API int hvcore_arm64_walk_revalidate(const hvcore_arm64_walk_result *result,
                                            const hvcore_arm64_walk_mem *mem, uint64_t *gpa);
#endif

HVCORE_END
#endif
