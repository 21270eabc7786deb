/* SPDX-License-Identifier: Apache-2.0 */
/* The map of the riscv64 board, which is that of QEMU's machine `virt`: what Linux is told of it in
 * the device tree, and what answers there. */
#ifndef BOARD_RISCV64_H
#define BOARD_RISCV64_H

#define RISCV64_TEST 0x100000
#define RISCV64_TEST_LEN 0x1000
#define RISCV64_PLIC 0xc000000
#define RISCV64_PLIC_LINES 95
#define RISCV64_UART 0x10000000
#define RISCV64_UART_LEN 0x100
#define RISCV64_UART_LINE 10
#define RISCV64_UART_CLOCK 3686400

/* What is written to RISCV64_TEST: the low half says what to do, the high half is a FAIL's code. */
#define RISCV64_TEST_FAIL 0x3333
#define RISCV64_TEST_PASS 0x5555
#define RISCV64_TEST_RESET 0x7777

#endif
