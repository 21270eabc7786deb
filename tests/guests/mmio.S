/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads and stores of all widths where there is nothing. A machine without devices answers with access
 * faults: the handler counts them and skips. Succeeds if each access faulted as it should.
 */
#include "guest.inc"

    guest_begin
    la t0, handler
    csrw stvec, t0
    li s0, NOTHING
    li s1, 0                /* load access faults */
    li s2, 0                /* store access faults */
    li s3, 0                /* with a wrong stval */

    lb t0, 0(s0)
    lbu t0, 1(s0)
    lh t0, 2(s0)
    lhu t0, 4(s0)
    lw t0, 8(s0)
    lwu t0, 12(s0)
    ld t0, 16(s0)
    sb t0, 24(s0)
    sh t0, 26(s0)
    sw t0, 28(s0)
    sd t0, 32(s0)

    la a0, text_loads
    call guest_puts
    mv a0, s1
    call guest_decimal
    la a0, text_stores
    call guest_puts
    mv a0, s2
    call guest_decimal
    call guest_newline
    addi s1, s1, -7
    addi s2, s2, -4
    or a0, s1, s2
    or a0, a0, s3
    snez a0, a0
    call guest_exit

    .balign 4
handler:
    csrr t1, scause
    addi t2, t1, -CAUSE_LOAD_ACCESS
    seqz t2, t2
    add s1, s1, t2
    addi t2, t1, -CAUSE_STORE_ACCESS
    seqz t2, t2
    add s2, s2, t2
    csrr t1, stval          /* within the page */
    sub t1, t1, s0
    sltiu t1, t1, 40
    xori t1, t1, 1
    add s3, s3, t1
    csrr t1, sepc
    addi t1, t1, 4
    csrw sepc, t1
    sret

    .section .rodata
text_loads:
    .asciz "mmio: load faults "
text_stores:
    .asciz ", store faults "

    guest_library
