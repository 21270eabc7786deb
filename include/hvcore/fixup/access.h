/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one instruction would do to memory, for any architecture: the form in which the decoders of
 * loads and stores without a syndrome (nisv) answer, and in which a pending record carries an
 * instruction that is not finished. Freestanding; flat, migrates.
 *
 * To carry an access out: for each fragment move `width` bytes between `va + offset` and its
 * register, in the order of the fragments; then the result of a store-exclusive; then the
 * write-back; then pc goes on by `len`. If anything fails on the way, nothing of it has happened:
 * registers are written last, and the write-back never before the data.
 */
#ifndef HVCORE_FIXUP_ACCESS_H
#define HVCORE_FIXUP_ACCESS_H

#include <hvcore/types.h>

HVCORE_BEGIN

/** What an instruction does. */
enum hvcore_access_kind {
    HVCORE_ACCESS_NOTHING = 0,         /**< no access at all: a prefetch */
    HVCORE_ACCESS_LOAD = 1,            /**< all fragments are loaded */
    HVCORE_ACCESS_STORE = 2,           /**< all fragments are stored */
    HVCORE_ACCESS_ATOMIC = 3,          /**< read, modify (`op`), write; nothing comes between */
    HVCORE_ACCESS_LOAD_EXCLUSIVE = 4,  /**< LOAD, and a reservation */
    HVCORE_ACCESS_STORE_EXCLUSIVE = 5, /**< STORE if the reservation holds; `status` says whether */
    HVCORE_ACCESS_ZERO = 6             /**< `size` bytes become zero; no fragments */
};

/** Operations of ATOMIC. What memory held before goes to the register of the fragment LOAD. */
enum hvcore_access_op {
    HVCORE_ACCESS_OP_NONE = 0,
    HVCORE_ACCESS_OP_SWAP = 1,  /**< operand */
    HVCORE_ACCESS_OP_CAS = 2,   /**< operand if memory equals the register of COMPARE */
    HVCORE_ACCESS_OP_ADD = 3,   /**< memory + operand */
    HVCORE_ACCESS_OP_AND = 4,   /**< memory & operand */
    HVCORE_ACCESS_OP_CLEAR = 5, /**< memory & ~operand */
    HVCORE_ACCESS_OP_OR = 6,    /**< memory | operand */
    HVCORE_ACCESS_OP_XOR = 7,   /**< memory ^ operand */
    HVCORE_ACCESS_OP_SMAX = 8,  /**< the larger, signed */
    HVCORE_ACCESS_OP_SMIN = 9,  /**< the smaller, signed */
    HVCORE_ACCESS_OP_UMAX = 10, /**< the larger, unsigned */
    HVCORE_ACCESS_OP_UMIN = 11  /**< the smaller, unsigned */
};

/** Properties of an access, a bit set. */
enum hvcore_access_flag {
    HVCORE_ACCESS_ACQUIRE = 1,
    HVCORE_ACCESS_RELEASE = 2,
    HVCORE_ACCESS_UNPRIVILEGED = 4, /**< with the rights of user mode */
    HVCORE_ACCESS_NON_TEMPORAL = 8, /**< a hint */
    HVCORE_ACCESS_BIG_ENDIAN = 16,  /**< each fragment is a big-endian number */
    HVCORE_ACCESS_CROSSES = 32      /**< its bytes lie in two 4 KiB pages, not in one */
};

/** Where a register number counts. */
enum hvcore_access_class {
    HVCORE_ACCESS_REG_NONE = 0, /**< there is none */
    HVCORE_ACCESS_REG_ZERO = 1, /**< the zero register: reads 0, what is written is dropped */
    HVCORE_ACCESS_REG_X = 2,    /**< a general register */
    HVCORE_ACCESS_REG_W = 3,    /**< its lower half; writing makes the upper 0 (arm64) */
    HVCORE_ACCESS_REG_V = 4,    /**< a SIMD&FP or vector register */
    HVCORE_ACCESS_REG_F = 5,    /**< a floating-point register (riscv64) */
    HVCORE_ACCESS_REG_SP = 6    /**< the stack pointer of the mode (arm64) */
};

/** What a fragment does with its register. */
enum hvcore_access_role {
    HVCORE_ACCESS_ROLE_LOAD = 0,   /**< memory to register */
    HVCORE_ACCESS_ROLE_STORE = 1,  /**< register to memory; the operand of ATOMIC */
    HVCORE_ACCESS_ROLE_COMPARE = 2 /**< compared with memory (`width` bytes), then as LOAD */
};

/** How the `width` bytes of a load become the `result` bytes of its register. */
enum hvcore_access_extend {
    HVCORE_ACCESS_EXTEND_ZERO = 0,
    HVCORE_ACCESS_EXTEND_SIGN = 1,
    HVCORE_ACCESS_EXTEND_ONES = 2 /**< a boxed floating-point number (riscv64) */
};

/** Some bytes and their register. */
typedef struct hvcore_access_fragment {
    uint8_t role;   /**< HVCORE_ACCESS_ROLE_* */
    uint8_t cls;    /**< HVCORE_ACCESS_REG_*: ZERO, X, W, V or F */
    uint8_t reg;    /**< number in its class; 0 for ZERO */
    uint8_t width;  /**< bytes in memory: 1, 2, 4, 8 or 16 */
    uint8_t offset; /**< of the first byte from `va` */
    uint8_t extend; /**< HVCORE_ACCESS_EXTEND_*, of what is loaded */
    uint8_t result; /**< bytes of the register that a load defines: 4, 8, 16; 0 for a store */
    uint8_t reserved;
} hvcore_access_fragment;

enum hvcore_access_limits { HVCORE_ACCESS_FRAGMENTS = 4 };

/** An access. Of a kind that has no use for a field, the field is zero. */
typedef struct hvcore_access {
    uint8_t kind;       /**< HVCORE_ACCESS_* kind */
    uint8_t op;         /**< HVCORE_ACCESS_OP_* */
    uint8_t count;      /**< fragments */
    uint8_t len;        /**< bytes of the instruction */
    uint8_t flags;      /**< HVCORE_ACCESS_* flags */
    uint8_t status_cls; /**< STORE_EXCLUSIVE: class (W or ZERO) and number of the register that */
    uint8_t status;     /**< becomes 0 if it has stored, 1 if not */
    uint8_t base_cls;   /**< write-back: X or SP, NONE if there is none */
    uint8_t base;       /**< write-back: number of the register, 0 for SP */
    uint8_t reserved;
    uint16_t size;  /**< bytes from `va` on that are accessed */
    uint16_t fault; /**< which of them the exception named, 0 to size - 1 */
    uint16_t reserved2;
    int64_t delta; /**< write-back: to be added to the register */
    uint64_t va;   /**< guest-virtual address of the first byte */
    hvcore_access_fragment fragment[HVCORE_ACCESS_FRAGMENTS];
} hvcore_access;

HVCORE_END
#endif
