/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest of `redirect equals delegate`, for C and assembly. It raises one exception and writes
 * what it sees of it; run twice, with the cause delegated and with the cause redirected, it must
 * write the same bytes. The same binary runs on every riscv64 machine: RV64IM without compressed
 * instructions, Sv39, no interrupts, no counters.
 *
 * Host:  map memory at TRAP_EQUAL_BASE, SIZE bytes, and write the binary there;
 *        make TRAP_EQUAL_HOLE a page where accesses end in access faults (causes 1, 5 and 7 only;
 * on hs a page of physical addresses that nothing answers); pc = BASE, a0 = TRAP_EQUAL_CASE(cause,
 * mode), VS-mode, translation off; run. Guest: translation on, traps once in `mode`, records it,
 * goes on in `mode` with its registers as they were, traps again (VU: ecall, VS: ebreak), records
 * that, and calls SBI SRST: shutdown. RESULT then holds a struct trap_equal_result with count =
 * TRAP_EQUAL_RECORDS.
 *
 * A machine that does not raise the cause (misaligned accesses in hardware) shows a breakpoint in
 * its place: record[0].scause is then not the cause.
 */
#ifndef HVC_TRAP_EQUAL_H
#define HVC_TRAP_EQUAL_H

#define TRAP_EQUAL_BASE 0x80000000
#define TRAP_EQUAL_SIZE 0x4000
#define TRAP_EQUAL_ROOT 0x80001000   /* the guest's page table */
#define TRAP_EQUAL_RESULT 0x80002000 /* struct trap_equal_result */
#define TRAP_EQUAL_HOLE 0x88000000   /* guest-physical; one page */

/* How the guest sees memory: VS-mode one to one; VU-mode (page tables with U) further up. */
#define TRAP_EQUAL_VU 0x40000000
#define TRAP_EQUAL_UNMAPPED 0x40000000 /* guest-virtual; in neither */

/* Causes 1 to 8 (8 from VU only), 12, 13, 15. mode: HVCORE_RISCV64_VU = 0, HVCORE_RISCV64_VS = 1.
 */
#define TRAP_EQUAL_CASE(cause, mode) ((cause)*2 + (mode))
#define TRAP_EQUAL_CAUSE_MAX 15

#define TRAP_EQUAL_RECORDS 2

/* Offsets for the assembly; the C side asserts them. */
#define TRAP_EQUAL_COUNT 8
#define TRAP_EQUAL_RECORD0 16
#define TRAP_EQUAL_RECORD_SIZE 312
#define TRAP_EQUAL_CSRS 256

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

/* The guest's view at the first instruction of its handler; the names are the guest's. */
typedef struct trap_equal_record {
    uint64_t x[32];
    uint64_t scause, sepc, stval, sstatus, stvec, satp, sie;
} trap_equal_record;

typedef struct trap_equal_result {
    uint64_t number; /* TRAP_EQUAL_CASE() that it was given */
    uint64_t count;  /* records written */
    trap_equal_record record[TRAP_EQUAL_RECORDS];
} trap_equal_result;

_Static_assert(offsetof(trap_equal_result, count) == TRAP_EQUAL_COUNT, "trap_equal.S");
_Static_assert(offsetof(trap_equal_result, record) == TRAP_EQUAL_RECORD0, "trap_equal.S");
_Static_assert(sizeof(trap_equal_record) == TRAP_EQUAL_RECORD_SIZE, "trap_equal.S");
_Static_assert(offsetof(trap_equal_record, scause) == TRAP_EQUAL_CSRS, "trap_equal.S");
#endif

#endif
