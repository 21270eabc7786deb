/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the software machine: what its files share.
 *
 *   machine.c  banks of memory and their physical addresses
 *   pe.c       claim, release, enter: kick, deadline, budget
 *   exec.c     the loop, integer instructions, jumps      decode.c  words to handlers
 *   ldst.c     loads and stores                           system.c  ecall, sret, fences
 *   csr.c      CSRs as a guest sees them                  mmu.c     the TLB in front of lib/walk
 *   trap.c     traps and interrupts: to VS-mode or out of enter
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

#include <hvcore/ctx.h>
#include <hvcore/error.h>
#include <hvcore/walk/riscv64.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "guest memory is used in place");

#define SOFT_PAGE UINT64_C(4096)
#define SOFT_PA_BITS 56 /* what a PTE can hold (Priv. 12.4.1) */

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

struct hvc_machine {
    hvc_lock lock; /* writers of banks, pa_ptr, claim and release */
    _Atomic(soft_banks *) banks;
    uint64_t next_pa;
    _Atomic uint64_t bank_epoch; /* changes when a bank goes */
    uint64_t hedeleg_rw;
    uint32_t max_pes;
    soft_pe *pe[]; /* max_pes of them */
};

/* Where `size` bytes at pa are, or NULL if no bank has them all. */
uint8_t *hvc_soft_bank_ptr(hvc_machine *m, uint64_t pa, uint64_t size);

/* --- PE --------------------------------------------------------------------------------------- */

/* A decoded instruction. A handler returns the pc of the next one, or SOFT_STOP. */
typedef struct soft_insn soft_insn;
typedef uint64_t soft_op(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc);

struct soft_insn {
    soft_op *run;
    uint32_t word;
    int32_t imm;
    uint8_t rd, rs1, rs2;
};

#define SOFT_STOP UINT64_C(1)   /* no pc: instructions are aligned; ends hvc_soft_run */
#define SOFT_NO_PAGE UINT64_MAX /* no address of a page */
#define SOFT_INSNS 1024         /* slots of decoded instructions, a power of two */
#define SOFT_TLB 256            /* slots of each TLB array, a power of two */
#define SOFT_HEAVY 1024         /* heavy work that ends a slice */

/* A page and where it is. It hits if the page is that of `va` and the context is that of `tag`. */
typedef struct soft_tlb {
    uint64_t va;     /* of the page */
    uint64_t tag;    /* context in which it is valid, see mmu.c; 0: none */
    uint64_t global; /* context without ASID if the page is global, else 0 */
    uint8_t *host;   /* SOFT_PAGE bytes inside a bank */
} soft_tlb;

/* Which arrays are in use: SUM is an index, so that user access does not evict. */
enum soft_view { SOFT_VIEW_VU = 0, SOFT_VIEW_VS = 1, SOFT_VIEW_VS_SUM = 2, SOFT_VIEWS = 3 };

struct soft_pe {
    hvc_pe port; /* first: an hvc_pe is a soft_pe */

    /* What runs now, from enter to stop. */
    hvcore_riscv64_frame *frame;
    hvc_raw_trap *raw;         /* filled by a trap that leaves */
    hvc_raw_trap fault;        /* filled by a translation that fails */
    uint32_t mode;             /* HVCORE_RISCV64_VU or _VS */
    uint64_t tag, global;      /* contexts, for comparison with soft_tlb */
    soft_tlb (*tlb)[SOFT_TLB]; /* arrays of the current view, by access */

    /* The page that instructions come from. */
    uint64_t code_page;
    const uint8_t *code;

    /* Counters: attempts are instructions retired or trapped. */
    uint64_t attempts; /* at the end of the slice, if it is not left early */
    uint32_t left;     /* of the slice; the instruction that executes is not among them */
    uint64_t traps;
    uint64_t cost;  /* work since the clock was read, in instructions */
    uint32_t heavy; /* of it, in this slice, what was more than an instruction each */

    hvc_machine *machine;
    uint32_t index;
    uint64_t epoch;      /* part of tags: a new one forgets all translations */
    uint64_t bank_epoch; /* of the machine, when the TLB was valid */
    hvcore_riscv64_walk_mem walk;

    soft_insn insn[SOFT_INSNS];
    soft_tlb tlbs[SOFT_VIEWS][HVCORE_RISCV64_STORE + 1][SOFT_TLB];
};

static inline soft_pe *hvc_soft_pe(hvc_pe *pe)
{
    return (soft_pe *)(void *)pe;
}

/* --- exec.c, decode.c ------------------------------------------------------------------------- */

/* Execute up to n instructions; pe->left of them are not. Returns the next pc, or SOFT_STOP. */
uint64_t hvc_soft_run(soft_pe *pe, uint64_t pc, uint32_t n);

void hvc_soft_decode(soft_insn *insn, uint32_t word);
void hvc_soft_decode_init(soft_pe *pe);

/* How the fields of an instruction are encoded (Unpriv. 2.3). */
enum soft_format { SOFT_R, SOFT_I, SOFT_S, SOFT_B, SOFT_U, SOFT_J };

/* A row matches if (word & mask) == match; the first one does. */
typedef struct soft_row {
    uint32_t mask, match;
    soft_op *run;
} soft_row;

/* clang-format off */
#define SOFT_MAJOR_ONLY(opcode, op)   {0x0000007f, opcode, op}
#define SOFT_F3(opcode, f3, op)       {0x0000707f, (opcode) | (f3) << 12, op}
#define SOFT_F6(opcode, f3, f6, op)   {0xfc00707f, (opcode) | (f3) << 12 | (uint32_t)(f6) << 26, op}
#define SOFT_F7(opcode, f3, f7, op)   {0xfe00707f, (opcode) | (f3) << 12 | (uint32_t)(f7) << 25, op}
#define SOFT_WORD(word, op)           {0xffffffff, word, op}
/* clang-format on */

/* The instructions of one major opcode. */
typedef struct soft_major {
    const soft_row *rows;
    uint8_t count;
    uint8_t format; /* SOFT_R to SOFT_J */
    uint8_t pure;   /* 1: nothing happens but rd = f(rs1, rs2, imm, pc) */
} soft_major;

/* clang-format off */
#define SOFT_MAJOR(rows, format, pure) {rows, sizeof(rows) / sizeof((rows)[0]), format, pure}
/* clang-format on */

extern const soft_major hvc_soft_major_op, hvc_soft_major_op_imm, hvc_soft_major_op_32,
    hvc_soft_major_op_imm_32, hvc_soft_major_lui, hvc_soft_major_auipc, hvc_soft_major_jal,
    hvc_soft_major_jalr, hvc_soft_major_branch, hvc_soft_major_load, hvc_soft_major_store,
    hvc_soft_major_misc_mem, hvc_soft_major_system;

soft_op hvc_soft_op_illegal; /* cause 2 */
soft_op hvc_soft_op_virtual; /* cause 22 */
soft_op hvc_soft_op_nop;

/* --- csr.c ------------------------------------------------------------------------------------ */

soft_op hvc_soft_op_csr;

/* --- mmu.c ------------------------------------------------------------------------------------ */

/* Recompute what depends on mode, vsstatus, vsatp, hgatp: to be called when one of them changed. */
void hvc_soft_mmu_context(soft_pe *pe);
void hvc_soft_mmu_forget(soft_pe *pe);
void hvc_soft_mmu_forget_asid(soft_pe *pe, uint64_t asid);
/* Beside the TLB: the host's address, or NULL with pe->fault filled. */
uint8_t *hvc_soft_mmu_miss(soft_pe *pe, uint64_t va, uint32_t access, uint32_t size);
void hvc_soft_mmu_init(soft_pe *pe);

/*
 * Where the host has `size` bytes (a power of two up to 8) at va, or NULL with pe->fault filled.
 * The low bits of va take part in the comparison: a misaligned address never hits.
 */
static inline uint8_t *hvc_soft_mmu(soft_pe *pe, uint64_t va, uint32_t access, uint32_t size)
{
    const soft_tlb *e = &pe->tlb[access][(va / SOFT_PAGE) % SOFT_TLB];
    uint64_t at = va & ~(SOFT_PAGE - size);

    if (SOFT_LIKELY(!((at ^ e->va) | (pe->tag ^ e->tag))))
        return e->host + (va & (SOFT_PAGE - 1));
    return hvc_soft_mmu_miss(pe, va, access, size);
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
