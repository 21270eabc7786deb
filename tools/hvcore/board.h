/* SPDX-License-Identifier: Apache-2.0 */
/* The riscv64 board that a kernel finds: RAM, a PLIC, a UART on stdin and stdout, a finisher. */
#ifndef BOARD_H
#define BOARD_H

#include "run.h"

struct board;

/* The devices, and later the kernel, initrd and device tree in memory: steps of building a machine,
 * an enum cli_code. Without --kernel they do nothing. */
int board_make(struct machine *m);
int board_load(struct machine *m); /* load.c */
void board_close(struct machine *m);

/* A store to the finisher is an exit of the hart that makes it. */
bool board_finishes(const struct machine *m, const hvcore_exit *e);

/* What is typed. The descriptor is -1 while nothing can be taken; that may have changed when
 * board_wake_fd() is readable. */
int board_input_fd(struct board *b);
void board_input(struct board *b);
int board_wake_fd(const struct board *b);
void board_woken(struct board *b);

/* More may be typed. */
bool board_listens(struct board *b);

#endif
