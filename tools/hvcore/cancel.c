/* SPDX-License-Identifier: Apache-2.0 */
/* SIGINT and SIGTERM end the run in order; a second one of the same kind kills, as by default. */
#include <signal.h>

#include "run.h"

enum { TOKEN = 1 };

static const struct machine *_Atomic target;
static volatile sig_atomic_t signalled;

static const int signals[] = {SIGINT, SIGTERM};
enum { SIGNALS = sizeof signals / sizeof *signals };

/* hvcore_vcpu_cancel() may be called from signal handlers. */
void cancel_all(const struct machine *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        hvcore_vcpu_cancel(m->hart[i].vcpu, TOKEN);
}

static void on_signal(int signo)
{
    const struct machine *m = target;

    signalled = signo;
    terminal_close();
    if (m)
        cancel_all(m);
}

/* Without SA_RESTART: a console that blocks is interrupted too. */
int cancel_open(const struct machine *m)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

    target = m;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < SIGNALS; i++)
        if (sigaction(signals[i], &action, NULL) != 0)
            return cli_system("no handler for signals");
    return CLI_OK;
}

void cancel_close(void)
{
    for (int i = 0; i < SIGNALS; i++)
        signal(signals[i], SIG_DFL);
    target = NULL;
}

/* The signal that ended the run, or 0. */
int cancel_signal(void)
{
    return signalled;
}
