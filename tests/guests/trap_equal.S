/* SPDX-License-Identifier: Apache-2.0 */
/* The guest of `redirect equals delegate`; trap_equal.h says what it does. */
#include "tests/guests/trap_equal.h"

#define SPP 0x100
#define SPIE 0x20
#define SUM_MXR 0xc0000 /* set, so that one sees whether a trap leaves them alone */
#define SLOT_SHIFT 5    /* bytes of a provocation, as a power of two */

#define SAVED 0x80003000 /* memory of its own: the offset of the view in use; something to access */

    .option norvc
    .option norelax
    .text
    .globl _start
_start:
    li s0, TRAP_EQUAL_RESULT
    sd a0, 0(s0)
    sd zero, TRAP_EQUAL_COUNT(s0)
    addi t0, s0, TRAP_EQUAL_RECORD0
    csrw sscratch, t0
    lla t0, handler
    csrw stvec, t0
    li t0, 8 << 60 | TRAP_EQUAL_ROOT >> 12
    csrw satp, t0
    sfence.vma

    /* s1: 0 in VS-mode, the way up to the user's view in VU-mode */
    andi s2, a0, 1
    srli s3, a0, 1
    addi s1, s2, -1
    li t0, TRAP_EQUAL_VU
    and s1, s1, t0
    li t0, SAVED
    sd s1, 0(t0)

    /* sstatus: SPP as asked for, SPIE, SUM, MXR */
    li t0, SPP
    csrc sstatus, t0
    neg t1, s2
    and t1, t1, t0
    li t0, SPIE | SUM_MXR
    or t1, t1, t0
    csrs sstatus, t1

    /* sepc: the provocation; a0: its operand */
    li t0, TRAP_EQUAL_CAUSE_MAX
    bgtu s3, t0, finish
    lla t0, provocations
    slli t1, s3, SLOT_SHIFT
    add t0, t0, t1
    add t0, t0, s1
    csrw sepc, t0
    lla t0, operands
    slli t1, s3, 3
    add t0, t0, t1
    ld a0, 0(t0)
    li t1, TRAP_EQUAL_UNMAPPED
    beq a0, t1, 1f
    add a0, a0, s1
1:
    .irp r, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    li x\r, \r * 0x01010101
    .endr
    sret

    /* Direct mode: 4-byte aligned. sscratch is the record to write. */
    .balign 4
handler:
    csrrw sp, sscratch, sp
    sd zero, 0(sp)
    .irp r, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\r, 8 * \r(sp)
    .endr
    csrr t0, sscratch
    sd t0, 16(sp)
    csrr t0, scause
    sd t0, TRAP_EQUAL_CSRS(sp)
    csrr t0, sepc
    sd t0, TRAP_EQUAL_CSRS + 8(sp)
    csrr t0, stval
    sd t0, TRAP_EQUAL_CSRS + 16(sp)
    csrr t0, sstatus
    sd t0, TRAP_EQUAL_CSRS + 24(sp)
    csrr t0, stvec
    sd t0, TRAP_EQUAL_CSRS + 32(sp)
    csrr t0, satp
    sd t0, TRAP_EQUAL_CSRS + 40(sp)
    csrr t0, sie
    sd t0, TRAP_EQUAL_CSRS + 48(sp)

    li t0, TRAP_EQUAL_RESULT
    ld t1, TRAP_EQUAL_COUNT(t0)
    addi t1, t1, 1
    sd t1, TRAP_EQUAL_COUNT(t0)
    li t2, TRAP_EQUAL_RECORDS
    bgeu t1, t2, finish
    addi t1, sp, TRAP_EQUAL_RECORD_SIZE
    csrw sscratch, t1

    /* On in the mode that trapped: the offset of its view tells which. */
    li t0, SAVED
    ld t1, 0(t0)
    lla t0, again_in_vs
    beqz t1, 1f
    lla t0, again_in_vu
    add t0, t0, t1
1:  csrw sepc, t0
    .irp r, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\r, 8 * \r(sp)
    .endr
    ld sp, 16(sp)
    sret

finish:
    li a7, 0x53525354 /* SBI SRST */
    li a6, 0
    li a0, 0
    li a1, 0
    ecall
    j finish

again_in_vs:
    ebreak
again_in_vu:
    ecall

    /* One slot per cause. The ebreak is for machines where the instruction does not trap. */
    .macro provocation cause, insn:vararg
    .org provocations + (\cause << SLOT_SHIFT)
    \insn
    ebreak
    .endm

    .balign 1 << SLOT_SHIFT
provocations:
    provocation 0, ebreak
    provocation 1, jr a0
    provocation 2, .4byte 0x0000000b /* custom-0 */
    provocation 3, ebreak
    provocation 4, ld a1, 1(a0)
    provocation 5, ld a1, 0(a0)
    provocation 6, sd a1, 1(a0)
    provocation 7, sd a1, 0(a0)
    provocation 8, ecall
    provocation 9, ebreak
    provocation 10, ebreak
    provocation 11, ebreak
    provocation 12, jr a0
    provocation 13, ld a1, 8(a0)
    provocation 14, ebreak
    provocation 15, sd a1, 8(a0)
    .org provocations + (16 << SLOT_SHIFT)

    .balign 8
operands:
    .dword 0
    .dword TRAP_EQUAL_HOLE     /* 1 */
    .dword 0
    .dword 0
    .dword SAVED + 64          /* 4 */
    .dword TRAP_EQUAL_HOLE     /* 5 */
    .dword SAVED + 64          /* 6 */
    .dword TRAP_EQUAL_HOLE     /* 7 */
    .dword 0
    .dword 0
    .dword 0
    .dword 0
    .dword TRAP_EQUAL_UNMAPPED /* 12 */
    .dword TRAP_EQUAL_UNMAPPED /* 13 */
    .dword 0
    .dword TRAP_EQUAL_UNMAPPED /* 15 */

    /* Two gigapages of the same memory: V R W X A D, and U for the user's view. */
    .org TRAP_EQUAL_ROOT - TRAP_EQUAL_BASE
    .space 8 * (TRAP_EQUAL_BASE >> 30)
    .dword TRAP_EQUAL_BASE >> 12 << 10 | 0xcf
    .dword TRAP_EQUAL_BASE >> 12 << 10 | 0xdf
    .org TRAP_EQUAL_SIZE
