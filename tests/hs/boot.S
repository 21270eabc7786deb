/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the image, in HS-mode with translation and interrupts off (SBI HSM: a0 = hart id; a1 is
 * the device tree for the first hart, what we gave to hart_start for the others). tp is the number of
 * the CPU, for ever.
 */
#define STACK 32768
#define CPUS 2

    .section .text.start, "ax"
    .globl _start
_start:
    la t0, image_bss
    la t1, image_bss_end
1:  bgeu t0, t1, 2f
    sd zero, (t0)
    addi t0, t0, 8
    j 1b
2:  li a1, 0
    call common
    j image_boot

    .balign 4
    .globl image_secondary_entry
image_secondary_entry:
    call common
    j image_secondary

/* a1: number of the CPU. Keeps a0 and ra. */
common:
    mv tp, a1
    la t0, hvc_hs_vector
    csrw stvec, t0
    csrw sie, zero
    csrci sstatus, 2
    la sp, stacks
    addi t0, a1, 1
    li t1, STACK
    mul t0, t0, t1
    add sp, sp, t0
    ret

    .section .bss
    .balign 16
stacks:
    .space STACK * CPUS

    .section .note.GNU-stack, "", @progbits
