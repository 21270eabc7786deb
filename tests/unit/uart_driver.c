/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board's UART behind lines of text, for tests/cli/test_uart.py. Numbers are hexadecimal.
 *
 *   r REGISTER         answers the value
 *   w REGISTER VALUE   answers what goes out, or -
 *   i VALUE            a byte comes in
 *
 * The second word of each answer is the level of the interrupt, the third the room for what comes
 * in.
 */
#include <stdio.h>

#include "tools/hvcore/uart.h"

static int out;
static bool irq;

static void on_transmit(void *user, uint8_t byte)
{
    (void)user;
    out = byte;
}

static void on_interrupt(void *user, bool level)
{
    (void)user;
    irq = level;
}

static void answer(const struct uart *u, int value)
{
    if (value < 0)
        printf("- %d %u\n", irq, uart_room(u));
    else
        printf("%x %d %u\n", (unsigned)value, irq, uart_room(u));
    fflush(stdout);
}

int main(void)
{
    struct uart u = {.transmit = on_transmit, .interrupt = on_interrupt};
    unsigned a, b;
    char line[64];

    uart_reset(&u);
    while (fgets(line, sizeof line, stdin)) {
        out = -1;
        if (sscanf(line, "r %x", &a) == 1)
            out = uart_read(&u, a);
        else if (sscanf(line, "w %x %x", &a, &b) == 2)
            uart_write(&u, a, (uint8_t)b);
        else if (sscanf(line, "i %x", &a) == 1)
            uart_receive(&u, (uint8_t)a);
        answer(&u, out);
    }
    return 0;
}
