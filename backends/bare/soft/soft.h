/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the software machine: what its files share.
 *
 *   machine.c  banks of memory and their physical addresses, time
 *   pe.c       claim, release, enter: kick, deadline, budget
 *   insns.h    the instructions as tables                 run.c     the interpreter
 *   decode.c   words to operations                        expand.c  16-bit instructions to 32-bit
 *   access.c   what a TLB hit cannot do; FP loads, CBO    atomic.c  AMO, LR, SC
 *   float.c    F and D around the values of fp.h          system.c  ecall, sret, fences
 *   csr.c      CSRs as a guest sees them                  mmu.c     the TLB in front of lib/walk
 *   trap.c     traps and interrupts: to VS-mode or out of enter
 *   engine/    what does not know the architecture: decoded code
 *
 * Guests are hostile: physical addresses become host pointers in hvc_soft_bank_ptr alone, and every
 * instruction does a bounded amount of work.
 */
#ifndef HVC_SOFT_H
#define HVC_SOFT_H

#ifndef HVC_MACHINE
#define HVC_MACHINE soft
#define HVC_ARCH riscv64
#endif
#include "backends/bare/port.h"
#include "backends/bare/soft/engine/code.h"
#include "backends/bare/soft/fp.h"

#include <hvcore/ctx.h>
#include <hvcore/error.h>
#include <hvcore/walk/riscv64.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "guest memory is used in place");

#define SOFT_PAGE UINT64_C(4096)
#define SOFT_TICK_NS 100 /* the time counter has 10 MHz */
#define SOFT_PA_BITS 56  /* what a PTE can hold (Priv. 12.4.1) */

/* Codes of HVC_STOP_FAILED. */
enum { SOFT_FAILED_NOT_GUEST = 1 /* hstatus.SPV is not set */ };

#define SOFT_LIKELY(x) __builtin_expect(!!(x), 1)

/* --- machine.c -------------------------------------------------------------------------------- */

typedef struct soft_bank {
    uint64_t pa, len;
    uint8_t *host;
} soft_bank;

/*
 * Banks by ascending address. PEs read it without a lock while banks are added: addresses are given
 * out upwards, so a new bank is appended and then counted; a table that is full is replaced by a
 * larger one and kept until no PE runs.
 */
typedef struct soft_banks {
    struct soft_banks *older;
    uint32_t room;
    _Atomic uint32_t count;
    soft_bank bank[];
} soft_banks;

typedef struct soft_pe soft_pe;

/* Which rows of decode.c's table a major opcode has, of those that the machine implements. */
enum { SOFT_ROWS = 256, SOFT_CODE_PAGES = 4096 };
typedef struct soft_index {
    uint16_t first[33];
    uint16_t row[SOFT_ROWS];
} soft_index;
void hvc_soft_index_init(soft_index *index, uint64_t isa);

struct hvc_machine {
    hvc_lock lock; /* writers of banks, pa_ptr, claim and release */
    _Atomic(soft_banks *) banks;
    uint64_t next_pa;
    _Atomic uint64_t bank_epoch; /* changes when a bank goes */
    uint64_t hedeleg_rw;
    uint32_t lockstep;             /* 1: time is the number of instructions */
    _Atomic uint64_t clock;        /* lockstep: nanoseconds, one an instruction of any PE */
    _Atomic uint32_t reservations; /* PEs that hold one, see atomic.c */
    uint64_t isa;                  /* HVCORE_RISCV64_ISA_* */
    _Atomic uint32_t code_epoch;   /* changes when code may have been written */
    _Atomic uint64_t code_pages[SOFT_CODE_PAGES / 64]; /* a set of host pages, by a hash */
    soft_index index;
    uint32_t max_pes;
    _Atomic uint32_t claimed; /* PEs from this number on have never been claimed */
    struct {
        soft_pe *pe;
        _Atomic uintptr_t reserved; /* the host's address of its reservation set, 0: none */
        uint64_t apart[6];          /* a cache line each */
    } slot[];                       /* max_pes of them */
};

/* Code of this page is going to be remembered. */
void hvc_soft_code_page(hvc_machine *m, const uint8_t *host);

/* Where `size` bytes at pa are, or NULL if no bank has them all. */
uint8_t *hvc_soft_bank_ptr(hvc_machine *m, uint64_t pa, uint64_t size);

/* --- PE --------------------------------------------------------------------------------------- */

#define SOFT_NEXT UINT64_C(3) /* no pc: go on with the instruction that follows */
#define SOFT_STOP UINT64_C(1) /* no pc: the trap leaves enter */
#define SOFT_CONTEXTS 8       /* whose jumps are remembered */
#define SOFT_TLB 256          /* slots of each TLB array, a power of two */
#define SOFT_SLICE 2048       /* instructions between two looks at kick and clock */
#define SOFT_HEAVY 2048       /* heavy work that ends a slice, in instructions */

/* An instruction out of line. Returns SOFT_NEXT, SOFT_STOP or a pc. */
typedef uint64_t soft_op(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc);

/* A page and where it is. It hits if the page is that of `va` and the context is that of `tag`. */
typedef struct soft_tlb {
    uint64_t va;   /* of the page */
    uint64_t tag;  /* context in which it is valid, see mmu.c; 0: none */
    uint8_t *host; /* SOFT_PAGE bytes inside a bank */
    uint32_t global;
    uint32_t shift; /* the VS-stage leaf has 1 << shift bytes */
} soft_tlb;

/* Which arrays are in use: SUM is an index, so that user access does not evict. */
enum soft_view { SOFT_VIEW_VU = 0, SOFT_VIEW_VS = 1, SOFT_VIEW_VS_SUM = 2, SOFT_VIEWS = 3 };

/* A block of one instruction, which is in no table. */
typedef union soft_single {
    hvc_block block;
    uint8_t room[sizeof(hvc_block) + 2 * sizeof(hvc_insn) + 8];
} soft_single;

struct soft_pe {
    hvc_pe port; /* first: an hvc_pe is a soft_pe */

    /* What runs now, from enter to stop. */
    hvcore_riscv64_frame *frame;
    hvc_raw_trap *raw;             /* filled by a trap that leaves */
    hvc_raw_trap fault;            /* filled by a translation that fails */
    uint32_t mode;                 /* HVCORE_RISCV64_VU or _VS */
    uint64_t tag;                  /* context, for comparison with soft_tlb */
    uint64_t jump_tag;             /* the same and the mode as a number, for hvc_jump */
    soft_tlb (*tlb)[SOFT_TLB];     /* arrays of the current view, by access */
    const hvc_block *block;        /* of the instruction that is out of line */
    const _Atomic uint32_t *watch; /* not 0: stores have to look for reservations */

    /* Counters: attempts are instructions retired or trapped. */
    int64_t left;     /* of the slice, without the block that executes */
    int64_t withheld; /* of it, what heavy work took away from this slice */
    uint64_t slice;   /* its instructions */
    uint64_t attempts;
    uint64_t traps;
    uint32_t heavy; /* work of this slice that was more than an instruction each */

    hvc_machine *machine;
    uint32_t index;
    uint64_t epoch;      /* part of tags: a new one forgets all translations */
    uint64_t bank_epoch; /* of the machine, when the TLB was valid */
    uint32_t code_epoch; /* of the machine, when the decoded code was valid */
    struct {
        uint64_t tag, jump_tag;
    } context[SOFT_CONTEXTS];          /* of jumps, see mmu.c */
    uint64_t jump_tags;                /* how many there have been */
    uint64_t fetched[16];              /* a set of pages, by a hash: what jumps remember */
    uint64_t wide_from[2], wide_to[2]; /* where VS-stage leaves have more than a page, in the lower
                                          and in the upper half of the addresses */
    hvcore_riscv64_walk_mem walk;

    uint8_t *reserved_at; /* by LR: where, how wide, what it read, and when */
    bool reserved_wide;
    uint64_t reserved_value;
    uint64_t reserved_since; /* attempts */

    hvc_soft_fp_env fp_env;
    const void *const *labels; /* of run.c, by enum soft_opcode */
    soft_single single;
    soft_tlb tlbs[SOFT_VIEWS][HVCORE_RISCV64_STORE + 1][SOFT_TLB];
    hvc_code code;
};

static inline soft_pe *hvc_soft_pe(hvc_pe *pe)
{
    return (soft_pe *)(void *)pe;
}

static inline bool hvc_soft_has(const soft_pe *pe, uint64_t isa)
{
    return pe->port.isa & isa;
}

/* --- run.c, decode.c, expand.c ---------------------------------------------------------------- */

/*
 * Execute blocks from pc on while pe->left is enough for each; `first`, if not NULL, is the block
 * at pc. Returns the next pc, or SOFT_STOP. Without a PE: the labels.
 */
uint64_t hvc_soft_run(soft_pe *pe, uint64_t pc, hvc_block *first);
/* The block of the one instruction at pc, or NULL with pe->fault filled. */
hvc_block *hvc_soft_single(soft_pe *pe, uint64_t pc);

hvc_code_decoder hvc_soft_decode;
/* The 32-bit instruction that a 16-bit one stands for; 0: none (Unpriv. 27, RV64C). */
uint32_t hvc_soft_expand(uint32_t half, uint64_t isa);
/* The instruction as it is in memory. */
uint32_t hvc_soft_bits(const soft_pe *pe, const hvc_insn *insn);
/* What htinst holds for a faulting access, `offset` bytes from its start (Priv. 21.6.3). */
uint64_t hvc_soft_transform(const soft_pe *pe, const hvc_insn *insn, uint64_t offset);

/* --- out of line ------------------------------------------------------------------------------ */

soft_op hvc_soft_op_illegal; /* cause 2 */
soft_op hvc_soft_op_virtual; /* cause 22 */
soft_op hvc_soft_op_astray;
soft_op hvc_soft_op_load_x0, hvc_soft_op_fl, hvc_soft_op_fs;
soft_op hvc_soft_op_cbo_inval, hvc_soft_op_cbo_clean, hvc_soft_op_cbo_zero;
soft_op hvc_soft_op_lr, hvc_soft_op_sc, hvc_soft_op_amo;
soft_op hvc_soft_op_csr, hvc_soft_op_ecall, hvc_soft_op_ebreak, hvc_soft_op_sret, hvc_soft_op_wfi;
soft_op hvc_soft_op_fence, hvc_soft_op_fence_i, hvc_soft_op_sfence_vma, hvc_soft_op_sfence_order;
#define SOFT_FP_OP(name, ...) soft_op hvc_soft_op_##name;
HVC_SOFT_FP(SOFT_FP_OP)
#undef SOFT_FP_OP

/* --- access.c --------------------------------------------------------------------------------- */

/* `size` (1, 2, 4, 8) bytes at any va, or false with pe->fault filled. */
bool hvc_soft_load(soft_pe *pe, uint64_t va, uint32_t size, uint64_t *value);
bool hvc_soft_store(soft_pe *pe, uint64_t va, uint32_t size, uint64_t value);
/* Trap with pe->fault, whose address lies in the access at `va` of insn. */
uint64_t hvc_soft_data_fault(soft_pe *pe, const hvc_insn *insn, uint64_t pc, uint64_t va);

/* --- atomic.c --------------------------------------------------------------------------------- */

/* Somebody is about to write there: reservations of other PEs are lost. */
void hvc_soft_break(soft_pe *pe, const uint8_t *host, uint32_t size);
/* Give up one's own. */
void hvc_soft_unreserve(soft_pe *pe);
/* A slice is over. */
void hvc_soft_reservation_ages(soft_pe *pe);

static inline void hvc_soft_wrote(soft_pe *pe, const uint8_t *host, uint32_t size)
{
    if (!SOFT_LIKELY(!atomic_load_explicit(pe->watch, memory_order_relaxed)))
        hvc_soft_break(pe, host, size);
}

/* --- float.c ---------------------------------------------------------------------------------- */

/* May the guest touch F and D now? (Priv. 21.2.11: both status registers say so) */
static inline bool hvc_soft_fp_on(const soft_pe *pe)
{
    return pe->port.vsstatus & HVC_SSTATUS_FS && pe->frame->sstatus & HVC_SSTATUS_FS;
}

/* They have changed. */
static inline void hvc_soft_fp_dirty(soft_pe *pe)
{
    pe->port.vsstatus |= HVC_SSTATUS_FS | HVC_SSTATUS_SD;
    pe->frame->sstatus |= HVC_SSTATUS_FS | HVC_SSTATUS_SD;
}

uint32_t hvc_soft_get_fcsr(soft_pe *pe);
void hvc_soft_set_fcsr(soft_pe *pe, uint32_t value);

/* --- csr.c, pe.c ------------------------------------------------------------------------------ */

/* Now, in ticks of the time counter; in lockstep to the instruction. */
uint64_t hvc_soft_now(const soft_pe *pe);
/* hvip, and VSTIP once the time is there. */
uint64_t hvc_soft_pending(const soft_pe *pe);
/* Instructions of the slice that are done, the one out of line among them. */
static inline uint64_t hvc_soft_done(const soft_pe *pe)
{
    return pe->slice - (uint64_t)(pe->left + pe->withheld);
}
/* Work that takes longer than an instruction, in instructions. */
void hvc_soft_spend(soft_pe *pe, uint32_t work);
/* The slice ends with the block that executes. */
static inline void hvc_soft_cut(soft_pe *pe)
{
    if (pe->left > 0) {
        pe->withheld += pe->left;
        pe->left = 0;
    }
}

/* --- mmu.c ------------------------------------------------------------------------------------ */

/* Recompute what depends on mode, vsstatus, vsatp, hgatp: to be called when one of them changed. */
void hvc_soft_mmu_context(soft_pe *pe);
void hvc_soft_mmu_forget(soft_pe *pe);
/* SFENCE.VMA: an address or not, an ASID or not. */
typedef struct soft_fence {
    bool has_va, has_asid;
    uint64_t va, asid;
} soft_fence;
void hvc_soft_mmu_fence(soft_pe *pe, const soft_fence *fence);
/* Beside the TLB: the host's address of va's byte, or NULL with pe->fault filled. */
uint8_t *hvc_soft_mmu_miss(soft_pe *pe, uint64_t va, uint32_t access);
void hvc_soft_mmu_init(soft_pe *pe);
/* Jumps are going to remember something about this page. */
void hvc_soft_mmu_fetched(soft_pe *pe, uint64_t va);

/*
 * The entry for va in the current view. It hits if soft_tlb_hit() says so for an access of `size`
 * bytes (a power of two up to 8): a misaligned one never does, because the low bits take part in
 * the comparison.
 */
static inline soft_tlb *hvc_soft_slot(const soft_pe *pe, uint64_t va, uint32_t access)
{
    return &pe->tlb[access][(va / SOFT_PAGE) % SOFT_TLB];
}

static inline bool hvc_soft_hits(const soft_pe *pe, const soft_tlb *e, uint64_t va, uint32_t size)
{
    return SOFT_LIKELY(!(((va & ~(SOFT_PAGE - size)) ^ e->va) | (pe->tag ^ e->tag)));
}

/* Where the host has the byte at va, or NULL with pe->fault filled. */
static inline uint8_t *hvc_soft_mmu(soft_pe *pe, uint64_t va, uint32_t access)
{
    const soft_tlb *e = hvc_soft_slot(pe, va, access);
    if (hvc_soft_hits(pe, e, va & ~(SOFT_PAGE - 1), 1))
        return e->host + (va & (SOFT_PAGE - 1));
    return hvc_soft_mmu_miss(pe, va, access);
}

/* --- trap.c ----------------------------------------------------------------------------------- */

/* Each returns the pc to go on from, or SOFT_STOP. */
uint64_t hvc_soft_trap(soft_pe *pe, uint64_t pc, const hvc_raw_trap *trap);
uint64_t hvc_soft_trap_plain(soft_pe *pe, uint64_t pc, uint64_t cause, uint64_t tval);
/* Take the VS-level interrupt that is pending and enabled, if there is one. */
uint64_t hvc_soft_interrupt(soft_pe *pe, uint64_t pc);
/* Bring the frame into the state after a trap to HS-mode from `pc`. */
void hvc_soft_leave(soft_pe *pe, uint64_t pc, bool gva);

#endif
