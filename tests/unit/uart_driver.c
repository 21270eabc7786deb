/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board's UART behind lines of text, for tests/cli/test_uart.py and test_pl011.py. The argument
 * says which: uart (without one), pl011. Numbers are hexadecimal.
 *
 *   r REGISTER         answers the value
 *   w REGISTER VALUE   answers what goes out, or -
 *   i VALUE            a byte comes in
 *
 * The second word of each answer is the level of the interrupt, the third the room for what comes
 * in.
 */
#include <stdio.h>
#include <string.h>

#include "tools/hvcore/serial.h"

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

static void answer(const struct serial_model *model, const struct serial *s, int value)
{
    if (value < 0)
        printf("- %d %u\n", irq, model->room(s));
    else
        printf("%x %d %u\n", (unsigned)value, irq, model->room(s));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const bool arm = argc > 1 && strcmp(argv[1], "pl011") == 0;
    const struct serial_model *model = arm ? &serial_pl011 : &serial_uart;
    const struct serial_user user = {on_transmit, on_interrupt, NULL};
    struct serial s;
    unsigned a, b;
    char line[64];

    model->open(&s, &user);
    while (fgets(line, sizeof line, stdin)) {
        out = -1;
        if (sscanf(line, "r %x", &a) == 1)
            out = (int)model->read(&s, a);
        else if (sscanf(line, "w %x %x", &a, &b) == 2)
            model->write(&s, a, b);
        else if (sscanf(line, "i %x", &a) == 1)
            model->receive(&s, (uint8_t)a);
        answer(model, &s, out);
    }
    return 0;
}
