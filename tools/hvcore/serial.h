/* SPDX-License-Identifier: Apache-2.0 */
/* What a board wants of its UART, whichever that is. */
#ifndef SERIAL_H
#define SERIAL_H

#include "pl011.h"
#include "uart.h"

struct serial {
    union {
        struct uart uart;
        struct pl011 pl011;
    };
};

/* Whom it tells. */
struct serial_user {
    void (*transmit)(void *user, uint8_t byte);
    void (*interrupt)(void *user, bool level);
    void *user;
};

struct serial_model {
    void (*open)(struct serial *s, const struct serial_user *user);
    /* Is there a register that can be accessed so? */
    bool (*access)(uint64_t offset, uint32_t width);
    uint32_t (*read)(struct serial *s, uint32_t offset);
    void (*write)(struct serial *s, uint32_t offset, uint32_t value);
    uint32_t (*room)(const struct serial *s);
    void (*receive)(struct serial *s, uint8_t byte);
};

extern const struct serial_model serial_uart, serial_pl011;

enum { SERIAL_FIFO_MOST = 16 };

#endif
