/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "pl011.h"

/* Offsets (TRM 3.2). */
enum {
    DR = 0x00,
    RSR_ECR = 0x04,
    FR = 0x18,
    ILPR = 0x20,
    IBRD = 0x24,
    FBRD = 0x28,
    LCR_H = 0x2c,
    CR = 0x30,
    IFLS = 0x34,
    IMSC = 0x38,
    RIS = 0x3c,
    MIS = 0x40,
    ICR = 0x44,
    DMACR = 0x48,
    ID = 0xfe0 /* eight registers of a byte */
};

enum {
    DR_OVERRUN = 0x800,
    RSR_OVERRUN = 8,

    FR_CTS = 1,
    FR_DSR = 2,
    FR_DCD = 4,
    FR_RX_EMPTY = 0x10,
    FR_RX_FULL = 0x40,
    FR_TX_EMPTY = 0x80,
    FR_RI = 0x100,

    LCR_FIFOS = 0x10,

    CR_LOOP = 0x80,
    CR_TX = 0x100,
    CR_RX = 0x200,
    CR_DTR = 0x400,
    CR_RTS = 0x800,
    CR_OUT1 = 0x1000,
    CR_OUT2 = 0x2000,

    INT_RX = 0x10,
    INT_TX = 0x20,
    INT_TIMEOUT = 0x40,
    INT_OVERRUN = 0x400,
    INT_BITS = 0x7ff
};

enum { LOOKS = 16 };

/* --- what is received ------------------------------------------------------------------------ */

static uint32_t fifo_size(const struct pl011 *u)
{
    return u->lcr_h & LCR_FIFOS ? PL011_FIFO : 1;
}

/* Characters in the FIFO that make it interrupt (TRM 3.3.9, RXIFLSEL). */
static uint32_t trigger(const struct pl011 *u)
{
    static const uint8_t eighths[] = {1, 2, 4, 6, 7, 7, 7, 7};

    return u->lcr_h & LCR_FIFOS ? (uint32_t)PL011_FIFO / 8 * eighths[u->ifls >> 3 & 7] : 1;
}

/* Fewer than the trigger interrupt after a while without new ones (TRM 2.8.4); here, at once. */
static void received(struct pl011 *u)
{
    u->ris |= u->count >= trigger(u) ? INT_RX : INT_TIMEOUT;
}

static void put(struct pl011 *u, uint8_t byte)
{
    if (u->count == fifo_size(u)) { /* what is there stays (TRM 3.3.2, OE) */
        u->ris |= INT_OVERRUN;
        u->rsr |= RSR_OVERRUN;
        u->fifo[(u->first + u->count - 1) % PL011_FIFO] |= DR_OVERRUN;
        return;
    }
    u->fifo[(u->first + u->count++) % PL011_FIFO] = byte;
    received(u);
}

/* The interrupts go when their cause does (TRM 2.8.2, 2.8.4). */
static uint32_t take(struct pl011 *u)
{
    const uint32_t value = u->fifo[u->first];

    if (u->count == 0)
        return 0;
    u->first = (u->first + 1) % PL011_FIFO;
    u->count--;
    u->rsr = value >> 8;
    if (u->count < trigger(u))
        u->ris &= ~(uint32_t)INT_RX;
    if (u->count == 0)
        u->ris &= ~(uint32_t)INT_TIMEOUT;
    else
        received(u);
    return value;
}

/* --- the modem's lines: a cable to somebody who is always there, or the loop (TRM 3.3.8, LBE)  */

static uint32_t lines(const struct pl011 *u)
{
    static const struct {
        uint32_t out, in;
    } loop[] = {{CR_RTS, FR_CTS}, {CR_DTR, FR_DSR}, {CR_OUT1, FR_DCD}, {CR_OUT2, FR_RI}};
    uint32_t value = 0;

    if (!(u->cr & CR_LOOP))
        return FR_CTS | FR_DSR | FR_DCD;
    for (size_t i = 0; i < sizeof loop / sizeof *loop; i++)
        if (u->cr & loop[i].out)
            value |= loop[i].in;
    return value;
}

/* --- registers that do more than keep what is written ---------------------------------------- */

static uint32_t read_fr(struct pl011 *u)
{
    return lines(u) | FR_TX_EMPTY | (u->count == 0 ? FR_RX_EMPTY : 0) |
           (u->count == fifo_size(u) ? FR_RX_FULL : 0);
}

static uint32_t read_mis(struct pl011 *u)
{
    return u->ris & u->imsc;
}

/* What is written before the guest has set anything up is sent, too, as QEMU's does: guests that
 * come without firmware rely on it. One that has been sent has left the FIFO (TRM 2.8.3). */
static void write_dr(struct pl011 *u, uint32_t value)
{
    if (u->cr & CR_LOOP)
        put(u, (uint8_t)value);
    else
        u->transmit(u->user, (uint8_t)value);
    u->ris |= INT_TX;
}

static void write_ecr(struct pl011 *u, uint32_t value)
{
    (void)value;
    u->rsr = 0;
}

/* To switch the FIFOs on or off throws away what is in them. */
static void write_lcr_h(struct pl011 *u, uint32_t value)
{
    if ((value ^ u->lcr_h) & LCR_FIFOS) {
        u->first = u->count = 0;
        u->ris &= ~(uint32_t)(INT_RX | INT_TIMEOUT);
    }
    u->lcr_h = value & 0xff;
    u->polls = false;
}

static void write_imsc(struct pl011 *u, uint32_t value)
{
    u->imsc = value & INT_BITS;
    u->polls = false;
}

static void write_icr(struct pl011 *u, uint32_t value)
{
    u->ris &= ~value;
}

/* --- all of them ----------------------------------------------------------------------------- */

#define AT(field) offsetof(struct pl011, field)

/* `read` and `write` in place of the field; `bits` of it can be written. */
static const struct reg {
    uint32_t offset, bits;
    size_t at;
    uint32_t (*read)(struct pl011 *u);
    void (*write)(struct pl011 *u, uint32_t value);
} registers[] = {
    {DR, 0, 0, take, write_dr},
    {RSR_ECR, 0, AT(rsr), NULL, write_ecr},
    {FR, 0, 0, read_fr, NULL},
    {ILPR, 0xff, AT(ilpr), NULL, NULL},
    {IBRD, 0xffff, AT(ibrd), NULL, NULL},
    {FBRD, 0x3f, AT(fbrd), NULL, NULL},
    {LCR_H, 0, AT(lcr_h), NULL, write_lcr_h},
    {CR, 0xff87, AT(cr), NULL, NULL},
    {IFLS, 0x3f, AT(ifls), NULL, NULL},
    {IMSC, 0, AT(imsc), NULL, write_imsc},
    {RIS, 0, AT(ris), NULL, NULL},
    {MIS, 0, 0, read_mis, NULL},
    {ICR, 0, 0, NULL, write_icr},
    {DMACR, 7, AT(dmacr), NULL, NULL},
};

/* UARTPeriphID0 to 3, of revision 1, and UARTPCellID0 to 3 (TRM 3.3.15, 3.3.16). */
static const uint8_t ids[] = {0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

static const struct reg *find(uint32_t offset)
{
    for (size_t i = 0; i < sizeof registers / sizeof *registers; i++)
        if (registers[i].offset == offset)
            return &registers[i];
    return NULL;
}

static uint32_t *place(struct pl011 *u, const struct reg *r)
{
    return (uint32_t *)(void *)((char *)u + r->at);
}

static void update(struct pl011 *u)
{
    const bool level = read_mis(u) != 0;

    if (level == u->level)
        return;
    u->level = level;
    u->interrupt(u->user, level);
}

/* --- the outside ----------------------------------------------------------------------------- */

void pl011_reset(struct pl011 *u)
{
    u->rsr = u->ilpr = u->ibrd = u->fbrd = u->lcr_h = u->imsc = u->ris = u->dmacr = 0;
    u->cr = CR_TX | CR_RX;
    u->ifls = 0x12;
    u->looks = u->first = u->count = 0;
    u->polls = u->level = false;
}

uint32_t pl011_read(struct pl011 *u, uint32_t offset)
{
    const struct reg *r = find(offset);
    uint32_t value = 0;

    u->looks = offset == FR ? u->looks + 1 : 0;
    u->polls |= u->looks >= LOOKS;
    if (r && r->read)
        value = r->read(u);
    else if (r && r->at)
        value = *place(u, r);
    else if (offset >= ID && (offset - ID) / 4 < sizeof ids)
        value = ids[(offset - ID) / 4];
    update(u);
    return value;
}

void pl011_write(struct pl011 *u, uint32_t offset, uint32_t value)
{
    const struct reg *r = find(offset);

    u->looks = 0;
    if (r && r->write)
        r->write(u, value);
    else if (r && r->bits)
        *place(u, r) = value & r->bits;
    update(u);
}

uint32_t pl011_room(const struct pl011 *u)
{
    const bool waits = u->polls || u->imsc & (INT_RX | INT_TIMEOUT);

    return waits && !(u->cr & CR_LOOP) ? fifo_size(u) - u->count : 0;
}

void pl011_receive(struct pl011 *u, uint8_t byte)
{
    put(u, byte);
    update(u);
}
