/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world switch of a hart in HS-mode.
 *
 * While the guest runs, stvec is `trapped` and sscratch the host's stack pointer; the frame's address
 * lies on that stack. HS-mode's interrupts stay masked by sstatus.SIE = 0 on both ways; in V = 1 they
 * are enabled whatever SIE is (Priv. 12.1.3), so one that is pending at SRET ends the guest at once.
 */
#include "backends/bare/hs/enter.h"

/* CSRs by number: the assembler may not know the H extension. */
#define HSTATUS 0x600

/* The host's part of the stack. */
#define S(n) (8 * (n)) /* s0 to s11 */
#define RA 96
#define GP 104
#define TP 112
#define FRAME 120
#define STVEC 128
#define SSTATUS 136
#define HOST_HSTATUS 144
#define SSCRATCH 152
#define GUEST_A0 160
#define SIZE 176

#define X(n) HVC_HS_FRAME_X(n)

.macro host_registers op
    \op s0, S(0)(sp)
    \op s1, S(1)(sp)
    \op s2, S(2)(sp)
    \op s3, S(3)(sp)
    \op s4, S(4)(sp)
    \op s5, S(5)(sp)
    \op s6, S(6)(sp)
    \op s7, S(7)(sp)
    \op s8, S(8)(sp)
    \op s9, S(9)(sp)
    \op s10, S(10)(sp)
    \op s11, S(11)(sp)
    \op ra, RA(sp)
    \op gp, GP(sp)
    \op tp, TP(sp)
.endm

/* All of the guest's but sp and a0, to or from the frame at a0. */
.macro guest_registers op
    \op x1, X(1)(a0)
    \op x3, X(3)(a0)
    \op x4, X(4)(a0)
    \op x5, X(5)(a0)
    \op x6, X(6)(a0)
    \op x7, X(7)(a0)
    \op x8, X(8)(a0)
    \op x9, X(9)(a0)
    \op x11, X(11)(a0)
    \op x12, X(12)(a0)
    \op x13, X(13)(a0)
    \op x14, X(14)(a0)
    \op x15, X(15)(a0)
    \op x16, X(16)(a0)
    \op x17, X(17)(a0)
    \op x18, X(18)(a0)
    \op x19, X(19)(a0)
    \op x20, X(20)(a0)
    \op x21, X(21)(a0)
    \op x22, X(22)(a0)
    \op x23, X(23)(a0)
    \op x24, X(24)(a0)
    \op x25, X(25)(a0)
    \op x26, X(26)(a0)
    \op x27, X(27)(a0)
    \op x28, X(28)(a0)
    \op x29, X(29)(a0)
    \op x30, X(30)(a0)
    \op x31, X(31)(a0)
.endm

    .text

    .balign 4
    .globl hvc_hs_switch
    .hidden hvc_hs_switch
    .type hvc_hs_switch, @function
hvc_hs_switch:
    addi sp, sp, -SIZE
    host_registers sd
    sd a0, FRAME(sp)
    csrrw t0, sscratch, sp
    sd t0, SSCRATCH(sp)
    la t1, trapped
    csrrw t0, stvec, t1
    sd t0, STVEC(sp)

    ld t0, HVC_HS_FRAME_PC(a0)
    csrw sepc, t0
    ld t0, HVC_HS_FRAME_SSTATUS(a0)
    andi t0, t0, ~2 /* SIE = 0 until SRET, whatever the frame says */
    csrrw t0, sstatus, t0
    sd t0, SSTATUS(sp)
    ld t0, HVC_HS_FRAME_HSTATUS(a0)
    csrrw t0, HSTATUS, t0
    sd t0, HOST_HSTATUS(sp)

    /* A reservation of the host, or of another guest on this hart, is not this guest's: an SC to a
     * scratch word gives it up (Unpriv. 20240411, 13.2). */
    addi t0, sp, GUEST_A0
    sc.d zero, zero, (t0)

    guest_registers ld
    ld sp, X(2)(a0)
    ld a0, X(10)(a0)
    sret
    .size hvc_hs_switch, . - hvc_hs_switch

    .balign 4
    .type trapped, @function
trapped:
    csrrw sp, sscratch, sp
    sd a0, GUEST_A0(sp)
    ld a0, FRAME(sp)
    guest_registers sd
    csrr t0, sscratch
    sd t0, X(2)(a0)
    ld t0, GUEST_A0(sp)
    sd t0, X(10)(a0)
    csrr t0, sepc
    sd t0, HVC_HS_FRAME_PC(a0)

    ld t0, STVEC(sp)
    csrw stvec, t0
    ld t0, SSCRATCH(sp)
    csrw sscratch, t0
    ld t0, SSTATUS(sp)
    csrrw t0, sstatus, t0
    sd t0, HVC_HS_FRAME_SSTATUS(a0)
    ld t0, HOST_HSTATUS(sp)
    csrrw t0, HSTATUS, t0
    sd t0, HVC_HS_FRAME_HSTATUS(a0)

    host_registers ld
    addi sp, sp, SIZE
    ret
    .size trapped, . - trapped

    /* uint64_t hvc_hs_hlvx_hu(uint64_t gva): 16 bits that the guest could execute, all ones if it
     * could not. A fault comes to the label below; interrupts are masked (Priv. 21.3.1). */
    .balign 4
    .globl hvc_hs_hlvx_hu
    .hidden hvc_hs_hlvx_hu
    .type hvc_hs_hlvx_hu, @function
hvc_hs_hlvx_hu:
    la t0, 1f
    csrrw t0, stvec, t0
    .insn r 0x73, 4, 0x32, a0, a0, x3
    csrw stvec, t0
    ret
    .balign 4
1:  csrw stvec, t0
    li a0, -1
    ret
    .size hvc_hs_hlvx_hu, . - hvc_hs_hlvx_hu

    .balign 4
    .globl hvc_hs_vector
    .hidden hvc_hs_vector
    .type hvc_hs_vector, @function
hvc_hs_vector:
    /* Nobody can be sure of the stack: a trap in here must not come back to here. */
    la t0, dead
    csrw stvec, t0
    la a0, what
    csrr a1, scause
    csrr a2, sepc
    csrr a3, stval
    andi sp, sp, -16
    call hvc_metal_panic
    .balign 4
dead:
    wfi
    j dead
    .size hvc_hs_vector, . - hvc_hs_vector

    .section .rodata
what:
    .asciz "the hypervisor trapped"

    .section .note.GNU-stack, "", @progbits
