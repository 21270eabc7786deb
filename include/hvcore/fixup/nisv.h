/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nisv: what a load or store without a syndrome would do (freestanding and pure). This is riscv64:
 * from the transformed instruction in htinst (Priv. 21.6.3), or from the instruction itself;
 * fixup/nisv_arm64.h is arm64, fixup/access.h the form that both share.
 */
#ifndef HVCORE_FIXUP_NISV_H
#define HVCORE_FIXUP_NISV_H

#include <hvcore/riscv64.h>

HVCORE_BEGIN

/** state->nisv.wants: what the caller can carry out or serve, a bit set. */
enum hvcore_nisv_riscv64_want {
    HVCORE_NISV_RISCV64_WANT_FETCH =
        1, /**< serves NEED_BYTES: without htinst, the instruction is read */
    HVCORE_NISV_RISCV64_WANT_FLOAT = 2,  /**< loads and stores of f registers */
    HVCORE_NISV_RISCV64_WANT_ATOMIC = 4, /**< AMO, LR, SC */
    HVCORE_NISV_RISCV64_WANT_CBO = 8,    /**< cbo.zero, cbo.clean, cbo.flush, cbo.inval */
    HVCORE_NISV_RISCV64_WANT_SPLIT = 16  /**< misaligned: up to four pieces; serves NEED_AT */
};

/** state->nisv.cbo: which cache-block operation it is. */
enum hvcore_nisv_riscv64_cbo {
    HVCORE_NISV_RISCV64_CBO_NONE = 0,
    HVCORE_NISV_RISCV64_CBO_INVAL = 1,
    HVCORE_NISV_RISCV64_CBO_CLEAN = 2,
    HVCORE_NISV_RISCV64_CBO_FLUSH = 3,
    HVCORE_NISV_RISCV64_CBO_ZERO = 4 /**< a store: access.kind is ZERO; the others' is NOTHING */
};

/** state->nisv.why: why the answer is AGAIN. */
enum hvcore_nisv_riscv64_why {
    /* the trap */
    HVCORE_NISV_RISCV64_CAUSE = 1,    /**< neither 21 nor 23 */
    HVCORE_NISV_RISCV64_NO_GPA = 2,   /**< the guest-physical address is not known */
    HVCORE_NISV_RISCV64_IMPLICIT = 3, /**< VS-stage translation met it: no instruction's access */
    HVCORE_NISV_RISCV64_NO_INSN = 4,  /**< htinst tells nothing, and WANT_FETCH is not set */
    HVCORE_NISV_RISCV64_CONTRADICTS = 5, /**< the instruction cannot have caused this trap */
    HVCORE_NISV_RISCV64_UNWANTED = 6,    /**< of a kind that `wants` does not name */
    HVCORE_NISV_RISCV64_MISALIGNED = 7,  /**< atomic; or plain, and WANT_SPLIT is not set */
    HVCORE_NISV_RISCV64_BLOCK = 8,       /**< `block` is not told, or impossible */
    /* the instruction */
    HVCORE_NISV_RISCV64_NOT_MEMORY = 16, /**< neither a load nor a store */
    HVCORE_NISV_RISCV64_UNKNOWN =
        17, /**< a reserved encoding, or one that this version does not know */
    HVCORE_NISV_RISCV64_VECTOR = 18,
    HVCORE_NISV_RISCV64_QUAD = 19,       /**< 16 bytes: FLQ, FSQ, AMOCAS.Q */
    HVCORE_NISV_RISCV64_HYPERVISOR = 20, /**< HLV, HLVX, HSV */
    HVCORE_NISV_RISCV64_CUSTOM = 21
};

#ifndef HVCORE_CDEF
/**
 * Decode the access behind a load or store guest-page fault (21, 23) into state->nisv.
 *
 * With `wants` 0: aligned integer loads and stores that htinst shows; from cls, htinst, gpa (which
 * must be known: HVCORE_HAVE_GPA) and tval of the event. The address of the access is event->gpa;
 * width, write, sign, reg and len say the rest. LD counts as sign-extended. A load into x0 is an
 * access like any other.
 *
 * Each bit of `wants` adds what it names. `access` then has the whole instruction (access.h; SC has
 * its status register in class X or ZERO), piece[0 .. count - 1] the naturally aligned pieces in
 * which its bytes can be moved: in the order of addresses, covering them once, `shift` being where
 * they lie in the register (by the byte order of the guest's mode). An aligned access is one piece,
 * a CBO none: its block begins at piece[0].gpa. width, write, sign, reg and len are filled for
 * every kind: bytes; 1 if it writes memory; rd, or rs2 of a store.
 *
 * htinst goes first, and is not believed where it contradicts cause, alignment or addresses; the
 * instruction (event->insn) is only read where htinst tells nothing or wrongly, and must then
 * access the byte that stval names. A pseudo-instruction is never decoded. Both can be the guest's
 * lie (it may have changed its code since); what comes out is a thing that it could have done.
 *
 * Answers: DONE, the access is in state->nisv; AGAIN(7 for class 23, else 5, stval), it cannot be
 * carried out, `why` says why: the policy decides again, as an access fault, and state->nisv is
 * zero but for `why` and what the caller tells; with WANT_FETCH, NEED_BYTES(pc or pc + 2, 2): put
 * two bytes into insn, or two more above them, and set insn_len; with WANT_SPLIT, NEED_AT(LOAD or
 * STORE of walk/riscv64.h, va) for an access in two pages: translate, set page_va, page_gpa and
 * have_page; with any, NEED_REGS(vsstatus) in VU-mode for the byte order. Frame and registers are
 * not touched.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_riscv64_unit hvcore_nisv_riscv64;
#endif

HVCORE_END
#endif
