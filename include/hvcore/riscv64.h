/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riscv64: frame, system registers, causes, the type of a fix-up unit. Freestanding.
 *
 * "Priv." is the RISC-V privileged architecture, version 1.13 (chapter 12 supervisor, 21
 * hypervisor).
 */
#ifndef HVCORE_RISCV64_H
#define HVCORE_RISCV64_H

#include <hvcore/event.h>
#include <hvcore/fixup/access.h>
#include <hvcore/result.h>

HVCORE_BEGIN

/** Exception codes of scause (Priv. 21.2, table "cause register (scause) values after trap"). */
enum hvcore_riscv64_cause {
    HVCORE_RISCV64_INSN_MISALIGNED = 0,
    HVCORE_RISCV64_INSN_ACCESS = 1,
    HVCORE_RISCV64_ILLEGAL_INSN = 2,
    HVCORE_RISCV64_BREAKPOINT = 3,
    HVCORE_RISCV64_LOAD_MISALIGNED = 4,
    HVCORE_RISCV64_LOAD_ACCESS = 5,
    HVCORE_RISCV64_STORE_MISALIGNED = 6,
    HVCORE_RISCV64_STORE_ACCESS = 7,
    HVCORE_RISCV64_ECALL_U = 8,
    HVCORE_RISCV64_ECALL_HS = 9,
    HVCORE_RISCV64_ECALL_VS = 10,
    HVCORE_RISCV64_ECALL_M = 11,
    HVCORE_RISCV64_INSN_PAGE = 12,
    HVCORE_RISCV64_LOAD_PAGE = 13,
    HVCORE_RISCV64_STORE_PAGE = 15,
    HVCORE_RISCV64_DOUBLE_TRAP = 16,
    HVCORE_RISCV64_SOFTWARE_CHECK = 18,
    HVCORE_RISCV64_HARDWARE_ERROR = 19,
    HVCORE_RISCV64_INSN_GUEST_PAGE = 20,
    HVCORE_RISCV64_LOAD_GUEST_PAGE = 21,
    HVCORE_RISCV64_VIRTUAL_INSN = 22,
    HVCORE_RISCV64_STORE_GUEST_PAGE = 23,
    HVCORE_RISCV64_CAUSES = 64 /**< size of tables indexed by an exception code */
};

/** Virtual privilege modes; the values index policy tables. */
enum hvcore_riscv64_mode { HVCORE_RISCV64_VU = 0, HVCORE_RISCV64_VS = 1 };

/**
 * The general registers of a guest and what ERET-like return needs. It is the save area of the
 * port, used in place; its layout is frozen.
 */
typedef struct hvcore_riscv64_frame {
    uint64_t x[32]; /**< x[0] is zero and stays zero */
    uint64_t pc;
    uint64_t sstatus; /**< HS-level sstatus that the next SRET uses: SPP is the guest's mode */
    uint64_t hstatus; /**< hstatus that the next SRET uses: SPV is 1 */
} hvcore_riscv64_frame;

/**
 * The system registers of a guest, as X(name, CSR number); the order is ABI, the position is the
 * bit of `have` and `dirty`. henvcfg is the host's, read as the hart reads it back (bits that
 * menvcfg withholds are zero).
 */
#ifndef HVCORE_CDEF
#define HVCORE_RISCV64_SYS(X) \
    X(vsstatus, 0x200)        \
    X(vsie, 0x204)            \
    X(vstvec, 0x205)          \
    X(vsscratch, 0x240)       \
    X(vsepc, 0x241)           \
    X(vscause, 0x242)         \
    X(vstval, 0x243)          \
    X(hvip, 0x645)            \
    X(vsatp, 0x280)           \
    X(scounteren, 0x106)      \
    X(senvcfg, 0x10a)         \
    X(henvcfg, 0x60a)         \
    X(vstimecmp, 0x24d)
#endif

/** Positions in hvcore_riscv64_sys; bit 1 << position in a set. */
enum hvcore_riscv64_sysreg {
    HVCORE_RISCV64_SYS_vsstatus = 0,
    HVCORE_RISCV64_SYS_vsie = 1,
    HVCORE_RISCV64_SYS_vstvec = 2,
    HVCORE_RISCV64_SYS_vsscratch = 3,
    HVCORE_RISCV64_SYS_vsepc = 4,
    HVCORE_RISCV64_SYS_vscause = 5,
    HVCORE_RISCV64_SYS_vstval = 6,
    HVCORE_RISCV64_SYS_hvip = 7,
    HVCORE_RISCV64_SYS_vsatp = 8,
    HVCORE_RISCV64_SYS_scounteren = 9,
    HVCORE_RISCV64_SYS_senvcfg = 10,
    HVCORE_RISCV64_SYS_henvcfg = 11,
    HVCORE_RISCV64_SYS_vstimecmp = 12, /**< Sstc: the timer interrupt is pending once time >= it */
    HVCORE_RISCV64_SYS_COUNT = 13
};

/** System registers with their validity: `have` is loaded, `dirty` must be written back. */
typedef struct hvcore_riscv64_sys {
    uint32_t size;
    uint32_t reserved;
    uint64_t have;
    uint64_t dirty;
    uint64_t vsstatus;
    uint64_t vsie;
    uint64_t vstvec;
    uint64_t vsscratch;
    uint64_t vsepc;
    uint64_t vscause;
    uint64_t vstval;
    uint64_t hvip;
    uint64_t vsatp;
    uint64_t scounteren;
    uint64_t senvcfg;
    uint64_t henvcfg;
    uint64_t vstimecmp;
} hvcore_riscv64_sys;

/** Registers of F and D (Unpriv. 20, 21): a single in f[] is NaN-boxed. */
typedef struct hvcore_riscv64_fp {
    uint64_t f[32];
    uint32_t fcsr; /**< frm in bits 7:5, fflags in 4:0 */
    uint32_t reserved;
} hvcore_riscv64_fp;

/** Interrupt numbers of S-mode (Priv. 12.1.3), as a guest sees them. */
enum hvcore_riscv64_irq {
    HVCORE_RISCV64_IRQ_SOFT = 1,
    HVCORE_RISCV64_IRQ_TIMER = 5,
    HVCORE_RISCV64_IRQ_EXTERNAL = 9
};

/**
 * What the harts of a machine in software have and do, for hvcore_vm_opts.isa. I, M, A, Zicsr,
 * Zifencei, Zicntr, Svade, Svinval and Zicsr are always there.
 */
enum hvcore_riscv64_isa {
    HVCORE_RISCV64_ISA_C = 1,           /**< compressed instructions; IALIGN is 16 then */
    HVCORE_RISCV64_ISA_FD = 2,          /**< F and D */
    HVCORE_RISCV64_ISA_B = 4,           /**< Zba, Zbb, Zbs */
    HVCORE_RISCV64_ISA_ZICBO = 8,       /**< Zicbom, Zicboz; blocks of 64 bytes */
    HVCORE_RISCV64_ISA_SSTC = 16,       /**< stimecmp */
    HVCORE_RISCV64_ISA_MISALIGNED = 32, /**< plain misaligned accesses are carried out; else they
                                           trap with 4 and 6 */
    HVCORE_RISCV64_ISA_SVADU = 64,      /**< the hart sets A and D where henvcfg.ADUE says so */
    HVCORE_RISCV64_ISA_SVNAPOT = 128,   /**< 64 KiB pages */
    HVCORE_RISCV64_ISA_SVPBMT = 256,    /**< memory types in page tables: checked, without effect */
    HVCORE_RISCV64_ISA_BASE = 0x40000000, /**< with no other bit: RV64IMA and nothing more */
    HVCORE_RISCV64_ISA_DEFAULT = 63 /**< what 0 stands for: RV64GC with the extensions above */
};

/** A naturally aligned piece of an access, in the order of addresses (fixup/nisv.h). */
typedef struct hvcore_riscv64_piece {
    uint64_t gpa;  /**< guest-physical address of its first byte */
    uint8_t width; /**< bytes: 1, 2, 4, 8 */
    uint8_t shift; /**< bits of the register below the piece */
    uint8_t reserved[6];
} hvcore_riscv64_piece;

enum hvcore_riscv64_nisv_limits { HVCORE_NISV_RISCV64_PIECES = 4 };

/** State of the unit `nisv` (fixup/nisv.h): what it is told, and the access that it understood. */
typedef struct hvcore_riscv64_nisv {
    uint32_t width; /**< bytes: 1, 2, 4, 8, or a block's; 0 is no access */
    uint8_t write;  /**< 1: store */
    uint8_t sign;   /**< 1: the loaded value is sign-extended */
    uint8_t reg;    /**< x register: destination of a load, source of a store */
    uint8_t len;    /**< length of the instruction in bytes */
    /*
     * Told by the caller. Zero is what there was before: aligned integer accesses that htinst
     * shows.
     */
    uint32_t wants;    /**< HVCORE_NISV_RISCV64_WANT_*: what the caller can carry out beyond that */
    uint32_t block;    /**< bytes of a CBO block, a power of two up to 4096; 0: not told */
    uint64_t page_va;  /**< with have_page: the address that NEED_AT has asked for ... */
    uint64_t page_gpa; /**< ... and its guest-physical address */
    uint32_t have_page; /**< 1: these two are valid; the unit clears it when it has its answer */
    /* Found. */
    uint16_t why;  /**< HVCORE_NISV_RISCV64_* reason of an AGAIN; 0 with DONE */
    uint8_t cbo;   /**< HVCORE_NISV_RISCV64_CBO_* */
    uint8_t count; /**< pieces; 0 for a block */
    hvcore_access access;
    hvcore_riscv64_piece piece[HVCORE_NISV_RISCV64_PIECES];
} hvcore_riscv64_nisv;

/** State of the storm detector (fixup/storm.h). */
typedef struct hvcore_storm_state {
    uint64_t cause, epc, tval; /**< the last trap */
    uint64_t time_ms;          /**< when the bucket was last drained */
    uint64_t level;            /**< level of the bucket */
    uint32_t run;              /**< equal traps in a row */
    uint32_t reserved;
} hvcore_storm_state;

/**
 * The registers that a hart with a guest hypervisor (L1) and its guest (L2) has twice: one set is
 * in the hardware (hvcore_riscv64_sys, and hstatus in the frame), the other is parked
 * (fixup/forward.h).
 */
typedef struct hvcore_forward_set {
    uint64_t vsstatus; /**< the set of L1 holds its sstatus here, its sie in vsie, ... */
    uint64_t vsie;
    uint64_t vstvec;
    uint64_t vsscratch;
    uint64_t vsepc;
    uint64_t vscause;
    uint64_t vstval;
    uint64_t hvip;
    uint64_t vsatp;
    uint64_t henvcfg; /**< L0's; for L2, what L1 allows of it */
    uint64_t hstatus; /**< L0's, without SPV, SPVP, GVA */
} hvcore_forward_set;

/** The hypervisor CSRs of L1, as it would read them. */
typedef struct hvcore_forward_l1 {
    uint64_t hstatus;
    uint64_t hedeleg;
    uint64_t hideleg;
    uint64_t hcounteren;
    uint64_t hgeie;
    uint64_t htimedelta;
    uint64_t htval;
    uint64_t htinst;
    uint64_t henvcfg;
    uint64_t hgatp;
} hvcore_forward_l1;

/** A guest-page fault of L2 on its way: what L1's tables say, what lies behind. */
typedef struct hvcore_forward_fill {
    uint32_t found;   /**< HVCORE_FORWARD_FOUND_*, by hvcore_forward_walk() */
    uint32_t backing; /**< in, after NEED_PAGE: HVCORE_FORWARD_BACKING_* */
    uint64_t cause;   /**< the trap that this belongs to: syndrome, ... */
    uint64_t tval;
    uint64_t pc;
    uint64_t gpa;    /**< guest-physical address of L2 */
    uint64_t htinst; /**< the event's, or the pseudo-instruction that a walk has found */
    uint64_t pa;     /**< MAPPED: physical address of L1's machine */
    uint64_t page;   /**< MAPPED: bytes around both with this translation */
    uint32_t prot;   /**< MAPPED: HVCORE_PROT_* that L1 allows */
    uint32_t pbmt;   /**< MAPPED: memory type that L1 asks for (Svpbmt) */
} hvcore_forward_fill;

/** State of the unit `forward` (fixup/forward.h). */
typedef struct hvcore_forward_state {
    uint32_t size;
    uint32_t version; /**< 1 */
    uint32_t virt;    /**< 1: L2 is running, its set is in the hardware */
    uint32_t to;      /**< HVCORE_FORWARD_TO_*: where the last answer DONE has sent the trap */
    uint32_t walk;    /**< in, once: HVCORE_RISCV64_WALK_* that L1's hart has (SVNAPOT, SVRSW60) */
    uint32_t reserved;
    hvcore_forward_set parked;
    hvcore_forward_l1 l1;
    hvcore_forward_fill fill;
} hvcore_forward_state;

/** Per-vCPU state of the riscv64 units, one member a unit. Flat; it migrates with the guest. */
typedef struct hvcore_riscv64_state {
    uint32_t size;
    uint32_t version; /**< 1 */
    hvcore_riscv64_nisv nisv;
    hvcore_storm_state storm;
    hvcore_forward_state forward;
} hvcore_riscv64_state;

/** A fix-up unit: pure, resumable, never blocks, touches nothing but its arguments. */
typedef hvcore_result hvcore_riscv64_unit(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                                          const hvcore_event *event, hvcore_riscv64_state *state);

HVCORE_END
#endif
