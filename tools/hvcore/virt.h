/* SPDX-License-Identifier: Apache-2.0 */
/* The map of the riscv64 board, which is that of QEMU's machine `virt`: what Linux is told of it in
 * the device tree, and what answers there. */
#ifndef VIRT_H
#define VIRT_H

#define VIRT_TEST 0x100000
#define VIRT_TEST_LEN 0x1000
#define VIRT_PLIC 0xc000000
#define VIRT_PLIC_LINES 95
#define VIRT_UART 0x10000000
#define VIRT_UART_LEN 0x100
#define VIRT_UART_LINE 10
#define VIRT_UART_CLOCK 3686400
#define VIRT_TIMEBASE 10000000

/* What is written to VIRT_TEST: the low half says what to do, the high half is a FAIL's code. */
#define VIRT_TEST_FAIL 0x3333
#define VIRT_TEST_PASS 0x5555
#define VIRT_TEST_RESET 0x7777

#endif
