/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that a guest finds: a UART on stdin and stdout, and what its architecture has. */
#ifndef BOARD_H
#define BOARD_H

#include "run.h"
#include "serial.h"
#include "tree.h"

struct board;

/* What is an architecture's own. */
struct board_kind {
    const struct serial_model *serial;
    uint64_t uart, uart_len; /* its registers: addresses, or ports */
    bool ports;
    uint32_t line; /* of the interrupt controller; 0: none */

    /* The devices beside the UART; 0 or the library's error. The processors are there. */
    int (*add)(struct machine *m, hvcore_error *err);

    /* An exit that nobody has answered: UNDECIDED if it is no business of the board's, GO_ON, or
     * how the run ends. */
    int (*finish)(const hvcore_exit *e);

    /* What the device tree has to say of this machine, beside cpus, ids and seed. NULL: there is no
     * tree. */
    void (*tell)(const struct machine *m, struct tree_board *b);
};

/* The devices, and later the kernel, initrd and device tree in memory: steps of building a machine,
 * an enum cli_code. Without a board they do nothing. */
int board_make(struct machine *m);
int board_load(struct machine *m); /* load.c */
void board_close(struct machine *m);

int board_finish(const struct machine *m, const hvcore_exit *e);

/* A processor that waits may be woken. */
bool board_interrupts(const struct machine *m);

/* What is typed. The descriptor is -1 while nothing can be taken; that may have changed when
 * board_wake_fd() is readable. */
int board_input_fd(struct board *b);
void board_input(struct board *b);
int board_wake_fd(const struct board *b);
void board_woken(struct board *b);

/* More may be typed. */
bool board_listens(struct board *b);

#endif
