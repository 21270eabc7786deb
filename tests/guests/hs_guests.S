/* SPDX-License-Identifier: Apache-2.0 */
/* The small guests of tests/hs; hs_guests.h says what each does. */
#include "tests/guests/hs_guests.h"

#define SBI_BASE 0x10
#define SBI_DBCN 0x4442434e
#define SBI_SRST 0x53525354
#define SBI_NOBODY 0x12345678
#define ILLEGAL .4byte 0x0000000b /* custom-0 */

    .option norvc
    .option norelax
    .text
    .globl _start
_start:
    j mmio
    j sbi
    j fetch
    j spin
    j traps
    j ping
    j pong
    j poll
    j same
    j lost
    j self
    j figure

off:
    li a7, SBI_SRST
    li a6, 0
    li a0, 0
    li a1, 0
    ecall
    j off

mmio:
    ld s0, 0(a0)
    sw a1, 8(a0)
    lb s1, 16(a0)
    j off

sbi:
    li a7, SBI_BASE
    li a6, 0
    ecall
    mv s0, a0
    mv s1, a1
    li a7, SBI_NOBODY
    ecall
    mv s2, a0
    li a7, SBI_DBCN
    li a6, 0
    lla a0, hello_end
    lla a1, hello
    sub a0, a0, a1
    li a2, 0
    ecall
    mv s3, a0
    mv s4, a1
    j off

fetch:
    lla t0, 1f
    csrw stvec, t0
    jr a0
    .balign 4
1:  csrr s0, scause
    csrr s1, sepc
    csrr s2, stval
    csrr s3, sstatus
    j off

spin:
    addi s0, s0, 1
    j spin

traps:
    lla t0, 3f
    csrw stvec, t0
    bnez a0, 2f
1:  ILLEGAL
    j 1b
2:  ebreak
    j 2b
    .balign 4
3:  csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
    addi s0, s0, 1
    sw s0, (a1)
    sret

ping:
    addi s0, s0, 1
    fence
    sw s0, 0(a0)
1:  lw t0, 64(a0)
    bne t0, s0, 1b
    bltu s0, a1, ping
    j off

pong:
    addi s0, s0, 1
1:  lw t0, 0(a0)
    bne t0, s0, 1b
    fence
    sw s0, 64(a0)
    bltu s0, a1, pong
    j off

poll:
    ld t0, 0(a0)
    addi s0, s0, 1
    sw s0, (a1)
    j poll

same:
    csrw sscratch, a0
    csrw sepc, a0
    csrw stval, a0
    csrw stvec, a0
    .irp r, a1,a2,a3,a4,a5,a6,a7,s2,s3,s4,s5,s6,s7,s8,s9,s10,s11,t1,t2,t3,t4,t5,t6,ra,sp,gp,tp
    mv \r, a0
    .endr
1:  addi s0, s0, 1
    .irp r, sscratch,sepc,stval,stvec
    csrr t0, \r
    bne t0, a0, 2f
    .endr
    .irp r, a1,a2,a3,a4,a5,a6,a7,s2,s3,s4,s5,s6,s7,s8,s9,s10,s11,t1,t2,t3,t4,t5,t6,ra,sp,gp,tp
    bne \r, a0, 2f
    .endr
    j 1b
2:  addi s1, s1, 1
    j 1b

lost:
    csrw stvec, zero
    ILLEGAL
    j off

self:
    srli t0, a0, 12
    slli t1, t0, 10
    ori t1, t1, 1 /* V: a pointer */
    li t2, 512
    mv t3, a0
1:  sd t1, 0(t3)
    addi t3, t3, 8
    addi t2, t2, -1
    bnez t2, 1b
    lla t4, off
    csrw stvec, t4
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    j off

    /* Time one loop. */
    .macro timed insn:vararg
    csrr s1, cycle
7:  \insn
    addi a1, a1, -1
    bnez a1, 7b
    csrr s0, cycle
    sub s0, s0, s1
    j off
    .endm

figure:
    lla t0, handler
    csrw stvec, t0
    beqz a0, 1f
    addi a0, a0, -1
    beqz a0, 2f
    addi a0, a0, -1
    beqz a0, 3f
    addi a0, a0, -1
    beqz a0, 4f
    mv s2, a1
    li a7, SBI_BASE
    li a6, 0
    csrr s1, cycle
5:  ecall
    addi s2, s2, -1
    bnez s2, 5b
    csrr s0, cycle
    sub s0, s0, s1
    j off
1:  timed ILLEGAL
2:  timed ebreak
3:  timed nop
4:  timed lw t1, 0(a2)
    .balign 4
handler:
    csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
    sret

hello:
    .ascii HS_GUEST_HELLO
hello_end:
