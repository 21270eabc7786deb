/* SPDX-License-Identifier: Apache-2.0 */
/* A terminal whose lines a guest edits itself: it gets every byte at once, and echoes. */
#include <termios.h>
#include <unistd.h>

#include "run.h"

static struct termios before;
static volatile bool changed;

/* ^C, ^\ and ^Z stay the host's. A process in the background would be stopped for trying. */
void terminal_open(void)
{
    struct termios t;

    if (tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &before) != 0)
        return;
    t = before;
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
    t.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IXON | ISTRIP);
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    changed = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

/* May be called from signal handlers. */
void terminal_close(void)
{
    if (changed)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    changed = false;
}
