/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nisv for arm64: what a load or store that left no syndrome (ESR_EL2.ISV 0) would do, from its
 * word (DDI0487 C4.1, "Loads and Stores"; freestanding and pure).
 */
#ifndef HVCORE_FIXUP_NISV_ARM64_H
#define HVCORE_FIXUP_NISV_ARM64_H

#include <hvcore/arm64.h>
#include <hvcore/fixup/access.h>

HVCORE_BEGIN

/** Reasons of an EXIT answer. */
enum hvcore_nisv_arm64_exit {
    /* the trap */
    HVCORE_NISV_ARM64_NOT_ABORT = 1,   /**< the syndrome is not a data abort from a lower level */
    HVCORE_NISV_ARM64_NOT_AARCH64 = 2, /**< the guest executes AArch32 */
    HVCORE_NISV_ARM64_NOT_GUEST = 3,   /**< spsr says EL2 or EL3 */
    HVCORE_NISV_ARM64_WALK = 4,        /**< S1PTW: a table walk met it, not the access */
    HVCORE_NISV_ARM64_NO_ADDRESS = 5,  /**< neither gva, tval nor gpa are known */
    HVCORE_NISV_ARM64_ELSEWHERE =
        6, /**< the fault is at none of the bytes that this word accesses */
    HVCORE_NISV_ARM64_DIRECTION =
        7, /**< the syndrome says write and the word reads, or vice versa */
    /* the word */
    HVCORE_NISV_ARM64_NOT_MEMORY = 16, /**< neither a load nor a store */
    HVCORE_NISV_ARM64_UNALLOCATED =
        17, /**< no instruction, or one that this version does not know */
    HVCORE_NISV_ARM64_UNPREDICTABLE =
        18,                           /**< its registers overlap in a way that it may not have */
    HVCORE_NISV_ARM64_LITERAL = 19,   /**< LDR (literal): loads beside the code */
    HVCORE_NISV_ARM64_STRUCTURE = 20, /**< LD1 to LD4, ST1 to ST4 and their relatives */
    HVCORE_NISV_ARM64_MOPS = 21,      /**< CPY, SET */
    HVCORE_NISV_ARM64_TAGS = 22,      /**< allocation tags (FEAT_MTE) */
    HVCORE_NISV_ARM64_PAC = 23,       /**< LDRAA, LDRAB: the address needs a key */
    HVCORE_NISV_ARM64_LS64 = 24,      /**< 64 bytes at once (FEAT_LS64) */
    HVCORE_NISV_ARM64_SVE = 25,       /**< SVE or SME */
    HVCORE_NISV_ARM64_CACHE = 26,     /**< cache maintenance but DC ZVA */
    HVCORE_NISV_ARM64_ZVA = 27        /**< DC ZVA, and zva_block is not told or impossible */
};

#ifndef HVCORE_CDEF
/** NEED_REGS: the stack pointer is needed, in state->nisv.sp. It is the position of no register. */
#define HVCORE_NISV_ARM64_NEED_SP (UINT64_C(1) << 63)
#endif

/** State of the unit: what it is told, and what it has found. */
typedef struct hvcore_nisv_arm64_state {
    uint64_t sp; /**< in: the guest's SP, by spsr.M SP_EL0 (EL0t, EL1t) or SP_EL1 (EL1h) */
    uint32_t
        have_sp; /**< in: 1 if `sp` is that of this trap; 0 again whenever the guest executes */
    uint32_t zva_block;   /**< in, once: bytes of DC ZVA, 4 << DCZID_EL0.BS; 0: not told */
    hvcore_access access; /**< out, with DONE */
} hvcore_nisv_arm64_state;

#ifndef HVCORE_CDEF
/**
 * Decode the access behind a data abort of a guest into state->nisv.access.
 *
 * Understands all loads and stores of general and SIMD&FP registers with immediate (scaled,
 * unscaled, pre- and post-indexed), register offset, LDTR/STTR, pairs, exclusives, load-acquire and
 * store-release, atomics with CAS and CASP, DC ZVA; PRFM is an access of kind NOTHING. Every other
 * word is refused by name.
 *
 * The address is computed from the registers (x, or sp), because FAR names the first byte that
 * faulted, which need not be the first of the access; the fault must be one of its bytes. Bits
 * 63:56 are not compared: FAR need not keep a tag. The fault is event->gva, else tval, else gpa
 * (then only its place in a 4 KiB page counts), whichever `have` has; with ESR.FnV, gpa.
 *
 * insn is the word that was at pc when it trapped; a guest can have changed it since. What
 * contradicts the trap is refused (ELSEWHERE, DIRECTION); what does not is a thing that the guest
 * could have done. The syndrome may be unknown (KVM tells none with KVM_EXIT_ARM_NISV): then it is
 * not asked.
 *
 * To carry the access out, see access.h; byte k of it has the guest-physical address
 * event->gpa + k - fault if it lies in the same page as the fault (always, without CROSSES).
 *
 * Answers: DONE; NEED_BYTES(pc, 4) without HVCORE_HAVE_INSN: set insn and call again; NEED_REGS:
 * sctlr_el1 for the byte order (sctlr_el2 if event->mode is known to be VEL0 or VEL2), or
 * HVCORE_NISV_ARM64_NEED_SP; EXIT(HVCORE_NISV_ARM64_*, detail): the word for its reasons, the
 * address that the word accesses for ELSEWHERE, else the pc. Unless it is DONE, nothing is touched;
 * with DONE, the access alone. One call, no loop longer than the table of encodings.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_arm64_unit hvcore_nisv_arm64;
#endif

HVCORE_END
#endif
