/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ns16550a (National Semiconductor PC16550D, data sheet of 1995; cited below as DS): eight
 * registers of a byte, a FIFO of 16 bytes for what comes in. What goes out is out at once, so the
 * transmitter is always empty. It touches nothing but its own state and its two callbacks; callers
 * serialize.
 */
#ifndef UART_H
#define UART_H

#include <stdbool.h>
#include <stdint.h>

enum { UART_REGISTERS = 8, UART_FIFO = 16 };

struct uart {
    void (*transmit)(void *user, uint8_t byte);
    void (*interrupt)(void *user, bool level); /* called when the level has changed */
    void *user;
    uint8_t ier, fcr, lcr, mcr, lsr, msr, scr, dll, dlm;
    bool empty_pending; /* the interrupt "transmitter empty" has not been seen yet */
    bool looked;        /* the last access was a look at LSR */
    bool polls;         /* one look at LSR followed another: the guest waits for a byte */
    bool level;
    uint8_t fifo[UART_FIFO];
    uint32_t first, count;
};

/* State after a reset; the callbacks must be set, and stay. */
void uart_reset(struct uart *u);

/* A guest's access to register 0 to 7. */
uint8_t uart_read(struct uart *u, uint32_t reg);
void uart_write(struct uart *u, uint32_t reg, uint8_t value);

/* How many bytes can come in without one being lost. None before the guest waits for one: a driver
 * that begins clears what has come until then. */
uint32_t uart_room(const struct uart *u);

/* A byte comes in from outside. */
void uart_receive(struct uart *u, uint8_t byte);

#endif
