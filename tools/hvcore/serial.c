/* SPDX-License-Identifier: Apache-2.0 */
#include "serial.h"

_Static_assert((int)SERIAL_FIFO_MOST >= (int)UART_FIFO, "the larger one");
_Static_assert((int)SERIAL_FIFO_MOST >= (int)PL011_FIFO, "the larger one");

/* The same words for both. */
#define MODEL(name)                                                                    \
    static void name##_open(struct serial *s, const struct serial_user *user)          \
    {                                                                                  \
        s->name.transmit = user->transmit;                                             \
        s->name.interrupt = user->interrupt;                                           \
        s->name.user = user->user;                                                     \
        name##_reset(&s->name);                                                        \
    }                                                                                  \
    static uint32_t name##_get(struct serial *s, uint32_t offset)                      \
    {                                                                                  \
        return name##_read(&s->name, offset);                                          \
    }                                                                                  \
    static uint32_t name##_free(const struct serial *s)                                \
    {                                                                                  \
        return name##_room(&s->name);                                                  \
    }                                                                                  \
    static void name##_in(struct serial *s, uint8_t byte)                              \
    {                                                                                  \
        name##_receive(&s->name, byte);                                                \
    }                                                                                  \
    const struct serial_model serial_##name = {name##_open, name##_access, name##_get, \
                                               name##_set,  name##_free,   name##_in};

/* A byte at a time; the registers that the range has room for behind the eight are not there. */
static bool uart_access(uint64_t offset, uint32_t width)
{
    return width == 1 && offset < UART_REGISTERS;
}

static void uart_set(struct serial *s, uint32_t offset, uint32_t value)
{
    uart_write(&s->uart, offset, (uint8_t)value);
}

MODEL(uart)

/* Registers stand at multiples of 4; drivers use all widths but the largest. */
static bool pl011_access(uint64_t offset, uint32_t width)
{
    return width <= 4 && offset % 4 == 0 && offset < PL011_LEN;
}

static void pl011_set(struct serial *s, uint32_t offset, uint32_t value)
{
    pl011_write(&s->pl011, offset, value);
}

MODEL(pl011)
