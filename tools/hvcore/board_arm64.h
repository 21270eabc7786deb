/* SPDX-License-Identifier: Apache-2.0 */
/* The map of the arm64 board, which is that of QEMU's machine `virt`, and its interrupts. */
#ifndef BOARD_ARM64_H
#define BOARD_ARM64_H

#define ARM64_DIST 0x8000000
#define ARM64_DIST_LEN 0x10000
#define ARM64_REDIST 0x80a0000
#define ARM64_REDIST_LEN 0x20000 /* for each processor */
#define ARM64_UART 0x9000000
#define ARM64_UART_LEN 0x1000
#define ARM64_UART_LINE 1 /* SPI */
#define ARM64_UART_CLOCK 24000000
#define ARM64_LINES 224 /* SPIs */

/* The redistributors end where the UART begins. */
#define ARM64_CPUS_MOST ((ARM64_UART - ARM64_REDIST) / ARM64_REDIST_LEN)

/* Numbers of PPIs, as firmware has them (BSA 1.0, "PE peripherals"; INTID - 16). */
#define ARM64_PPI_MAINTENANCE 9
#define ARM64_PPI_TIMER_HYP 10
#define ARM64_PPI_TIMER_VIRT 11
#define ARM64_PPI_TIMER_HYP_VIRT 12
#define ARM64_PPI_TIMER_SECURE 13
#define ARM64_PPI_TIMER_PHYS 14

#endif
