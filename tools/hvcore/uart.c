/* SPDX-License-Identifier: Apache-2.0 */
#include "uart.h"

/* Registers by address (DS, table II). With LCR_DLAB the first two are the divisor latch: the last
 * two here. */
enum { DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR, DLL, DLM };

enum {
    IER_RECEIVED = 1,
    IER_EMPTY = 2,
    IER_LINE = 4,
    IER_MODEM = 8,
    IER_BITS = 15,

    IIR_NONE = 1,
    IIR_LINE = 6,
    IIR_RECEIVED = 4,
    IIR_TIMEOUT = 12,
    IIR_EMPTY = 2,
    IIR_MODEM = 0,
    IIR_FIFOS = 0xc0,

    FCR_ENABLE = 1,
    FCR_CLEAR_RECEIVER = 2,
    FCR_CLEAR_TRANSMITTER = 4,
    FCR_TRIGGER = 0xc0,

    LCR_DLAB = 0x80,
    MCR_BITS = 0x1f,
    MCR_LOOP = 0x10,

    LSR_READY = 1,
    LSR_OVERRUN = 2,
    LSR_ERRORS = 0x1e,
    LSR_EMPTY = 0x60, /* THRE and TEMT */

    MSR_CTS = 0x10,
    MSR_DSR = 0x20,
    MSR_RI = 0x40,
    MSR_DCD = 0x80
};

/* --- what is received ------------------------------------------------------------------------ */

static uint32_t fifo_size(const struct uart *u)
{
    return u->fcr & FCR_ENABLE ? UART_FIFO : 1;
}

/* Bytes in the FIFO that make it interrupt (DS 8.4.5). */
static uint32_t trigger(const struct uart *u)
{
    static const uint8_t levels[] = {1, 4, 8, 14};

    return u->fcr & FCR_ENABLE ? levels[(u->fcr & FCR_TRIGGER) >> 6] : 1;
}

static void clear_fifo(struct uart *u)
{
    u->first = u->count = 0;
    u->lsr &= (uint8_t)~LSR_READY;
}

/* Without FIFOs a byte that comes too early takes the place of the one before (DS 8.4.3). */
static void put_byte(struct uart *u, uint8_t byte)
{
    if (u->count == fifo_size(u)) {
        u->lsr |= LSR_OVERRUN;
        if (u->fcr & FCR_ENABLE)
            return;
        u->count = 0;
    }
    u->fifo[(u->first + u->count++) % UART_FIFO] = byte;
    u->lsr |= LSR_READY;
}

static uint8_t take_byte(struct uart *u)
{
    const uint8_t byte = u->fifo[u->first];

    if (u->count == 0)
        return 0;
    u->first = (u->first + 1) % UART_FIFO;
    if (--u->count == 0)
        u->lsr &= (uint8_t)~LSR_READY;
    return byte;
}

/* --- interrupts: the first of these that is enabled and there (DS, table IV) ------------------ */

/* Fewer bytes than the trigger interrupt after a while without new ones; here, at once. */
static uint8_t interrupt_id(const struct uart *u)
{
    if (u->ier & IER_LINE && u->lsr & LSR_ERRORS)
        return IIR_LINE;
    if (u->ier & IER_RECEIVED && u->count > 0)
        return u->count >= trigger(u) ? IIR_RECEIVED : IIR_TIMEOUT;
    if (u->ier & IER_EMPTY && u->empty_pending)
        return IIR_EMPTY;
    if (u->ier & IER_MODEM && u->msr & 0x0f)
        return IIR_MODEM;
    return IIR_NONE;
}

static void update(struct uart *u)
{
    const bool level = interrupt_id(u) != IIR_NONE;

    if (level == u->level)
        return;
    u->level = level;
    u->interrupt(u->user, level);
}

/* --- the modem's lines: a cable to somebody who is always there, or the loop (DS 8.7) --------- */

static uint8_t lines(const struct uart *u)
{
    static const uint8_t of_mcr[] = {MSR_DSR, MSR_CTS, MSR_RI, MSR_DCD};
    uint8_t value = 0;

    if (!(u->mcr & MCR_LOOP))
        return MSR_DCD | MSR_DSR | MSR_CTS;
    for (unsigned bit = 0; bit < sizeof of_mcr; bit++)
        if (u->mcr & 1u << bit)
            value |= of_mcr[bit];
    return value;
}

/* Each line has a bit that says that it has changed; that of RI, that it has fallen. */
static void update_lines(struct uart *u)
{
    const uint8_t now = lines(u), changed = (uint8_t)((now ^ u->msr) & 0xf0);

    u->msr = (uint8_t)(now | (u->msr & 0x0f) | (changed & ~(now & MSR_RI)) >> 4);
}

/* --- registers ------------------------------------------------------------------------------- */

/* Those that only keep what is written. */
#define PLAIN(name)                                         \
    static uint8_t read_##name(struct uart *u)              \
    {                                                       \
        return u->name;                                     \
    }                                                       \
    static void write_##name(struct uart *u, uint8_t value) \
    {                                                       \
        u->name = value;                                    \
    }
PLAIN(lcr)
PLAIN(scr)
PLAIN(dll)
PLAIN(dlm)

static uint8_t read_ier(struct uart *u)
{
    return u->ier;
}

static uint8_t read_mcr(struct uart *u)
{
    return u->mcr;
}

static void write_nothing(struct uart *u, uint8_t value)
{
    (void)u;
    (void)value;
}

static uint8_t read_iir(struct uart *u)
{
    const uint8_t id = interrupt_id(u);

    if (id == IIR_EMPTY)
        u->empty_pending = false;
    return (uint8_t)(id | (u->fcr & FCR_ENABLE ? IIR_FIFOS : 0));
}

static uint8_t read_lsr(struct uart *u)
{
    const uint8_t value = u->lsr;

    u->lsr &= (uint8_t)~LSR_ERRORS;
    return value;
}

static uint8_t read_msr(struct uart *u)
{
    const uint8_t value = u->msr;

    u->msr &= 0xf0;
    return value;
}

static void write_data(struct uart *u, uint8_t value)
{
    if (u->mcr & MCR_LOOP)
        put_byte(u, value);
    else
        u->transmit(u->user, value);
    u->empty_pending = true;
}

/* The transmitter is empty: whoever enables that interrupt gets it (DS 8.6). */
static void write_ier(struct uart *u, uint8_t value)
{
    if (value & ~u->ier & IER_EMPTY)
        u->empty_pending = true;
    u->ier = value & IER_BITS;
}

/* The other bits count only with the first one; to change that one clears both FIFOs (DS 8.5). One
 * that is cleared has become empty. */
static void write_fcr(struct uart *u, uint8_t value)
{
    if ((value ^ u->fcr) & FCR_ENABLE)
        value |= FCR_CLEAR_RECEIVER | FCR_CLEAR_TRANSMITTER;
    else if (!(value & FCR_ENABLE))
        return;
    u->polls = false;
    if (value & FCR_CLEAR_RECEIVER)
        clear_fifo(u);
    if (value & FCR_CLEAR_TRANSMITTER)
        u->empty_pending = true;
    u->fcr = value & FCR_ENABLE ? value & (FCR_ENABLE | FCR_TRIGGER) : 0;
}

static void write_mcr(struct uart *u, uint8_t value)
{
    u->mcr = value & MCR_BITS;
    update_lines(u);
}

/* LSR and MSR are written by factory tests only. */
static const struct {
    uint8_t (*read)(struct uart *u);
    void (*write)(struct uart *u, uint8_t value);
} registers[] = {
    [DATA] = {take_byte, write_data},  [IER] = {read_ier, write_ier},
    [IIR_FCR] = {read_iir, write_fcr}, [LCR] = {read_lcr, write_lcr},
    [MCR] = {read_mcr, write_mcr},     [LSR] = {read_lsr, write_nothing},
    [MSR] = {read_msr, write_nothing}, [SCR] = {read_scr, write_scr},
    [DLL] = {read_dll, write_dll},     [DLM] = {read_dlm, write_dlm},
};

static uint32_t behind_latch(const struct uart *u, uint32_t reg)
{
    return reg <= IER && u->lcr & LCR_DLAB ? reg + DLL : reg % UART_REGISTERS;
}

/* --- the outside ----------------------------------------------------------------------------- */

void uart_reset(struct uart *u)
{
    u->ier = u->fcr = u->lcr = u->mcr = u->scr = u->dll = u->dlm = 0;
    u->lsr = LSR_EMPTY;
    u->msr = lines(u);
    u->empty_pending = u->level = u->looked = u->polls = false;
    u->first = u->count = 0;
}

uint8_t uart_read(struct uart *u, uint32_t reg)
{
    u->polls |= u->looked && reg == LSR;
    u->looked = reg == LSR;
    const uint8_t value = registers[behind_latch(u, reg)].read(u);

    update(u);
    return value;
}

void uart_write(struct uart *u, uint32_t reg, uint8_t value)
{
    u->looked = false;
    registers[behind_latch(u, reg)].write(u, value);
    update(u);
}

uint32_t uart_room(const struct uart *u)
{
    const bool listens = (u->polls || u->ier & IER_RECEIVED) && !(u->mcr & MCR_LOOP);

    return listens ? fifo_size(u) - u->count : 0;
}

void uart_receive(struct uart *u, uint8_t byte)
{
    put_byte(u, byte);
    update(u);
}
