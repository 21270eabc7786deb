/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small guests of tests/hs, for C and assembly: one binary at HS_GUESTS_BASE, each entered at
 * HS_GUEST_PC(number) in VS-mode with translation off. What they find is in their s registers when
 * they call SBI SRST: shutdown.
 */
#ifndef HVC_HS_GUESTS_H
#define HVC_HS_GUESTS_H

#define HS_GUESTS_BASE 0x80000000
#define HS_GUEST_PC(number) (HS_GUESTS_BASE + 4 * (number))

/* a0: an MMIO address. s0 = 8 bytes at 0; 4 bytes of a1 to 8; s1 = signed byte at 16. */
#define HS_GUEST_MMIO 0
/* s0, s1: error and value of BASE get_spec_version; s2: error of a call that nobody knows; s3, s4:
 * error and value of a DBCN write of HS_GUEST_HELLO. */
#define HS_GUEST_SBI 1
/* Jumps to a0; s0 = scause, s1 = sepc, s2 = stval, s3 = sstatus in the handler. */
#define HS_GUEST_FETCH 2
/* s0 counts, for ever. */
#define HS_GUEST_SPIN 3
/* Traps for ever: a0 = 0 illegal instruction, 1 ebreak. Its handler counts in the word at a1. */
#define HS_GUEST_TRAPS 4
/* a1 rounds on the page at a0: writes the round's number to 0, waits for it at 64; the other way.
 */
#define HS_GUEST_PING 5
#define HS_GUEST_PONG 6
/* Loads from a0 for ever, counting in the word at a1. */
#define HS_GUEST_POLL 7
/* Keeps a0 in sscratch, sepc, stval, stvec and registers and looks at them for ever; s0 counts the
 * looks, s1 the times that they were not what they should be. a0 is a multiple of 4. */
#define HS_GUEST_SAME 8
/* Traps with stvec = 0. */
#define HS_GUEST_LOST 9
/* Turns translation on with the page at a0 as a table whose entries all name itself. */
#define HS_GUEST_SELF 10
/* a1 times: a0 = 0 illegal instruction, 1 ebreak, 2 nop, 3 load from a2, 4 SBI call; the handler of
 * the first two has HS_GUEST_HANDLER instructions. s0 = cycles that all of it took. */
#define HS_GUEST_FIGURE 11

#define HS_GUEST_HANDLER 4
#define HS_GUEST_HELLO "hello from the guest\n"

#endif
