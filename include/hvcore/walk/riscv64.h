/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two-stage address translation of RISC-V guests in software: Sv39/48/57 over Sv39x4/48x4/57x4
 * (Priv. 12.3 to 12.5 and 21.5). Freestanding and pure: memory is reached through an accessor.
 */
#ifndef HVCORE_WALK_RISCV64_H
#define HVCORE_WALK_RISCV64_H

#include <hvcore/riscv64.h>

HVCORE_BEGIN

/** The kind of access that is translated. */
enum hvcore_riscv64_access {
    HVCORE_RISCV64_FETCH = 0,
    HVCORE_RISCV64_LOAD = 1,
    HVCORE_RISCV64_STORE = 2,
    HVCORE_RISCV64_HLVX = 3 /**< a load that needs execute permission; faults are load faults */
};

/** Options of a walk, a bit set. */
enum hvcore_riscv64_walk_flag {
    HVCORE_RISCV64_WALK_SVNAPOT = 1,  /**< 64 KiB NAPOT leaves exist */
    HVCORE_RISCV64_WALK_SVRSW60 = 2,  /**< Svrsw60t59b: bits 60:59 of a PTE are software's */
    HVCORE_RISCV64_WALK_NO_UPDATE = 4 /**< where hardware would set A or D: report, write nothing */
};

/**
 * How the walker reaches memory. Addresses are physical addresses of the machine.
 *
 * Both return 0, or nonzero if the address cannot be accessed (a PMA or PMP failure: the walk ends
 * with an access fault of the original type). cas64 stores `desired` if the word still equals
 * `expected`, and returns 0 then, 1 if the word has changed, 2 if it cannot be written. It may be
 * NULL if nothing is to be updated. check() (NULL: always right) says whether the final address
 * admits the access: 0, or nonzero for an access fault.
 */
typedef struct hvcore_riscv64_walk_mem {
    void *user;
    int (*read64)(void *user, uint64_t pa, uint64_t *value);
    int (*cas64)(void *user, uint64_t pa, uint64_t expected, uint64_t desired);
    int (*check)(void *user, uint64_t pa, uint32_t access);
} hvcore_riscv64_walk_mem;

/** The registers that a walk depends on, as the hart holds them. */
typedef struct hvcore_riscv64_walk_regs {
    uint64_t vsatp;
    uint64_t hgatp;
    uint64_t vsstatus; /**< MXR, SUM */
    uint64_t sstatus;  /**< MXR of HS-mode, applies to both stages */
    uint64_t henvcfg;  /**< PBMTE, ADUE, SSE for the VS-stage */
    uint64_t menvcfg;  /**< PBMTE, ADUE for the G-stage; zero if unknown */
    uint32_t mode;     /**< HVCORE_RISCV64_VU or _VS: the effective privilege */
    uint32_t flags;    /**< HVCORE_RISCV64_WALK_* */
} hvcore_riscv64_walk_regs;

/** What a walk found. */
typedef struct hvcore_riscv64_walk_result {
    uint32_t fault;   /**< 0: translated; 1: `cause` and the fields below it are valid */
    uint32_t cause;   /**< exception code, HVCORE_RISCV64_* */
    uint64_t htval;   /**< guest-page faults: GPA >> 2, else 0 */
    uint64_t htinst;  /**< 0, or the pseudo-instruction 0x3000 / 0x3020 of an implicit access */
    uint64_t gpa;     /**< translated: guest-physical address */
    uint64_t pa;      /**< translated: physical address */
    uint64_t page;    /**< translated: bytes (power of two) around `pa` with the same
                            translation */
    uint32_t prot;    /**< translated: HVCORE_PROT_* allowed now for this mode without another
                            walk */
    uint32_t pbmt;    /**< translated: 0 PMA, 1 NC, 2 IO (Svpbmt, both stages combined) */
    uint32_t global;  /**< translated: 1 if the VS-stage leaf or a pointer to it is global */
    uint32_t reads;   /**< page-table entries read */
    uint64_t vs_page; /**< translated: bytes of the VS-stage leaf alone; 4096 with Bare */
} hvcore_riscv64_walk_result;

/**
 * Translate `va` for an access that lies within one page.
 *
 * The order of checks and the reported causes are those of Priv. 21.5. `prot` names what a TLB may
 * remember: W only with D set in both stages (or by this walk), R only if readable with the current
 * MXR, X only if executable in `mode`. The work is bounded by 5 * (5 + 1) + 5 reads plus 16 retries
 * of cas64; after these the walk reports a page fault as if nobody had updated the entry.
 *
 * Thread: any. Errors: none; a fault is an answer. Since: 0.1.
 */
HVCORE_API void hvcore_riscv64_walk(const hvcore_riscv64_walk_regs *regs,
                                    const hvcore_riscv64_walk_mem *mem, uint64_t va,
                                    uint32_t access, hvcore_riscv64_walk_result *out);

/**
 * Translate a guest-physical address through the G-stage alone, as an explicit access; `va` is what
 * stval would hold. Same rules and bounds as hvcore_riscv64_walk().
 *
 * Thread: any. Errors: none; a fault is an answer. Since: 0.1.
 */
HVCORE_API void hvcore_riscv64_walk_g(const hvcore_riscv64_walk_regs *regs,
                                      const hvcore_riscv64_walk_mem *mem, uint64_t gpa, uint64_t va,
                                      uint32_t access, hvcore_riscv64_walk_result *out);

HVCORE_END
#endif
