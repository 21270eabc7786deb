/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PL011 (Arm PrimeCell UART, Technical Reference Manual DDI0183; cited below as TRM), of a
 * revision before r1p5: registers of 32 bits, of which at most 16 count, a FIFO of 16 characters
 * for what comes in. What goes out is out at once, so the transmitter is always empty. It touches
 * nothing but its own state and its two callbacks; callers serialize.
 */
#ifndef PL011_H
#define PL011_H

#include <stdbool.h>
#include <stdint.h>

enum { PL011_FIFO = 16, PL011_LEN = 0x1000 };

struct pl011 {
    void (*transmit)(void *user, uint8_t byte);
    void (*interrupt)(void *user, bool level); /* called when the level has changed */
    void *user;
    uint32_t rsr, ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, dmacr;
    uint32_t looks; /* at FR, with nothing between them */
    bool polls;     /* so many that the guest waits for a character */
    bool level;
    uint16_t fifo[PL011_FIFO]; /* with the error bits of UARTDR */
    uint32_t first, count;
};

/* State after a reset; the callbacks must be set, and stay. */
void pl011_reset(struct pl011 *u);

/* A guest's access at an offset, a multiple of 4, below PL011_LEN. */
uint32_t pl011_read(struct pl011 *u, uint32_t offset);
void pl011_write(struct pl011 *u, uint32_t offset, uint32_t value);

/* How many characters can come in without one being lost. None before the guest waits for one: a
 * driver that begins throws away what has come until then. */
uint32_t pl011_room(const struct pl011 *u);

/* A character comes in from outside. */
void pl011_receive(struct pl011 *u, uint8_t byte);

#endif
