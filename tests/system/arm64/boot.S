/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of the images at EL2 or EL3, the way into a guest and back (EL2 alone), the vectors. An
 * exception of the image itself is a stray one, unless image_guard is set: then the instruction,
 * one of at_execute(), is stepped over.
 */
#define STACK 65536
#define FRAME_PC 248 /* hvcore_arm64_frame */
#define FRAME_SPSR 256

    .section .text.start, "ax"
    .globl _start
_start:
    ldr x0, =image_bss
    ldr x1, =image_bss_end
1:  cmp x0, x1
    b.hs 2f
    stp xzr, xzr, [x0], #16
    b 1b
2:  ldr x0, =stack + STACK
    mov sp, x0
    ldr x0, =vectors
    mrs x1, CurrentEL
    tbz x1, #2, 3f /* bit 2 of 2 << 2 is clear, that of 3 << 2 is set */
    msr vbar_el3, x0
    b 4f
3:  msr vbar_el2, x0
4:  isb
    bl image_translate
    bl image_main
5:  wfi
    b 5b

/* image_enter(frame): ERET from EL2; returns when something has come to EL2. */
    .globl image_enter
image_enter:
    stp x19, x20, [sp, #-96]!
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    msr tpidr_el2, x0
    ldp x1, x2, [x0, #FRAME_PC]
    msr elr_el2, x1
    msr spsr_el2, x2
    ldp x2, x3, [x0, #16]
    ldp x4, x5, [x0, #32]
    ldp x6, x7, [x0, #48]
    ldp x8, x9, [x0, #64]
    ldp x10, x11, [x0, #80]
    ldp x12, x13, [x0, #96]
    ldp x14, x15, [x0, #112]
    ldp x16, x17, [x0, #128]
    ldp x18, x19, [x0, #144]
    ldp x20, x21, [x0, #160]
    ldp x22, x23, [x0, #176]
    ldp x24, x25, [x0, #192]
    ldp x26, x27, [x0, #208]
    ldp x28, x29, [x0, #224]
    ldr x30, [x0, #240]
    ldp x0, x1, [x0]
    eret

from_guest:
    stp x0, x1, [sp, #-16]!
    mrs x0, tpidr_el2
    stp x2, x3, [x0, #16]
    stp x4, x5, [x0, #32]
    stp x6, x7, [x0, #48]
    stp x8, x9, [x0, #64]
    stp x10, x11, [x0, #80]
    stp x12, x13, [x0, #96]
    stp x14, x15, [x0, #112]
    stp x16, x17, [x0, #128]
    stp x18, x19, [x0, #144]
    stp x20, x21, [x0, #160]
    stp x22, x23, [x0, #176]
    stp x24, x25, [x0, #192]
    stp x26, x27, [x0, #208]
    stp x28, x29, [x0, #224]
    str x30, [x0, #240]
    ldp x1, x2, [sp], #16
    stp x1, x2, [x0]
    mrs x1, elr_el2
    mrs x2, spsr_el2
    stp x1, x2, [x0, #FRAME_PC]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp x19, x20, [sp], #96
    ret

/* An exception at the image's own level. */
    .macro own el
    stp x0, x1, [sp, #-32]!
    str x2, [sp, #16]
    ldr x0, =image_guard
    ldr w1, [x0]
    cbz w1, stray_\el
    mrs x1, esr_\el
    mrs x2, far_\el
    ldr x0, =image_guarded
    stp x1, x2, [x0]
    mrs x1, elr_\el
    add x1, x1, #4
    msr elr_\el, x1
    ldr x2, [sp, #16]
    ldp x0, x1, [sp], #32
    eret
    .endm

    .macro stray el
stray_\el:
    mrs x0, esr_\el
    mrs x1, elr_\el
    mrs x2, far_\el
    b image_stray
    .endm

/* X18 is free: at_execute() is a function that was called, and strays do not return. */
own_exception:
    mrs x18, CurrentEL
    tbz x18, #2, 1f
    own el3
1:  own el2
    stray el3
    stray el2

other:
    mrs x18, CurrentEL
    tbz x18, #2, 1f
    b stray_el3
1:  b stray_el2

    .balign 2048
vectors:
    .irp entry, other, other, other, other, own_exception, other, other, other, \
        from_guest, other, other, other, other, other, other, other
    b \entry
    .balign 128
    .endr

/* at_execute(op, va): by HVCORE_AT_*; the ISB makes PAR_EL1 readable. */
    .globl at_execute
at_execute:
    adr x2, 1f
    add x2, x2, x0, lsl #4
    br x2
    .macro at_row op1, crm, op2
    sys #\op1, c7, c\crm, #\op2, x1
    isb
    ret
    nop
    .endm
1:  at_row 0, 8, 0
    at_row 0, 8, 1
    at_row 0, 8, 2
    at_row 0, 8, 3
    at_row 0, 9, 0
    at_row 0, 9, 1
    at_row 0, 9, 2
    at_row 4, 8, 0
    at_row 4, 8, 1
    at_row 4, 9, 2
    at_row 4, 8, 4
    at_row 4, 8, 5
    at_row 4, 8, 6
    at_row 4, 8, 7

    .section .bss
    .balign 16
stack:
    .space STACK

    .section .note.GNU-stack, "", @progbits
