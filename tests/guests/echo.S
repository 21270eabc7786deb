/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel for the board `virt`: writes back what comes in at the UART, until a full stop, and
 * switches off at the finisher: as a success, or, after "!.", as a failure with the number of bytes
 * as its code.
 *
 * It sleeps until the interrupt comes through the PLIC, of which it uses the contexts 0 and 1: one
 * of them is S-mode of hart 0, here the first, on QEMU's board the second.
 */
#include "guest.inc"

#define PLIC 0xc000000
#define PLIC_ENABLE 0x2000
#define PLIC_CONTEXT 0x200000
#define UART 0x10000000
#define UART_LINE 10
#define FINISHER 0x100000

    guest_begin
    li s0, PLIC
    li s1, PLIC + PLIC_CONTEXT
    li s2, UART
    li s3, 0                        /* bytes */
    li s5, 0
    li t0, 1
    sw t0, 4 * UART_LINE(s0)        /* priority */
    li t1, PLIC + PLIC_ENABLE
    li t0, 1 << UART_LINE
    sw t0, 0(t1)
    sw t0, 0x80(t1)
    sw zero, 0(s1)                  /* threshold */
    li t1, PLIC + PLIC_CONTEXT + 0x1000
    sw zero, 0(t1)
    li t0, 0x81                     /* FCR: FIFOs, interrupt at 8 bytes or after a while */
    sb t0, 2(s2)
    li t0, 1                        /* IER: received */
    sb t0, 1(s2)
    li t0, 1 << 9
    csrs sie, t0

sleep:
    wfi
    lw s4, 4(s1)                    /* claim */
    beqz s4, sleep
1:  lbu t0, 5(s2)                   /* LSR: is there a byte? */
    andi t1, t0, 1
    beqz t1, 3f
    lbu t2, 0(s2)
    addi s3, s3, 1
2:  lbu t0, 5(s2)
    andi t0, t0, 0x20               /* the transmitter is empty */
    beqz t0, 2b
    sb t2, 0(s2)
    li t0, '.'
    beq t2, t0, finish
    mv s5, t2                       /* the byte before */
    j 1b
3:  sw s4, 4(s1)                    /* complete */
    j sleep

finish:
    li t0, FINISHER
    sw zero, 0(t0)                  /* no command: nothing happens */
    li t1, 0x5555
    li t2, '!'
    bne s5, t2, 4f
    slli t1, s3, 16
    li t2, 0x3333
    or t1, t1, t2
4:  sw t1, 0(t0)
    j guest_park

    guest_library
