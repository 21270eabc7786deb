/* SPDX-License-Identifier: Apache-2.0 */
/* A thread beside the harts: prints the counters at SIGUSR1, applies the policy when it changes,
 * gives the board what is typed. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "board.h"

static void on_usr1(struct side *s)
{
    struct signalfd_siginfo info;

    if (read(s->fds[SIDE_SIGNAL].fd, &info, sizeof info) == (ssize_t)sizeof info)
        stats_print(stderr, s->machine);
}

static void on_change(struct side *s)
{
    if (watch_drain(s->machine->policy)) {
        watch_apply(s->machine->policy, s->machine->vm);
        return;
    }
    cli_say("%s: its folder is gone; the policy is not watched any more.",
            s->machine->options->policy);
    s->fds[SIDE_WATCH].fd = -1;
}

static bool wait_for_one(struct side *s)
{
    int n;

    if (s->machine->board)
        s->fds[SIDE_INPUT].fd = board_input_fd(s->machine->board);
    n = poll(s->fds, SIDE_FDS, -1);
    if (n < 0 && errno != EINTR)
        cli_system("poll");
    return n >= 0;
}

static void *side_main(void *arg)
{
    struct side *s = arg;

    while (wait_for_one(s) && !s->fds[SIDE_STOP].revents) {
        if (s->fds[SIDE_SIGNAL].revents)
            on_usr1(s);
        if (s->fds[SIDE_WATCH].fd >= 0 && s->fds[SIDE_WATCH].revents)
            on_change(s);
        if (s->fds[SIDE_WAKE].revents)
            board_woken(s->machine->board);
        if (s->fds[SIDE_INPUT].fd >= 0 && s->fds[SIDE_INPUT].revents)
            board_input(s->machine->board);
    }
    return NULL;
}

static void close_fds(struct side *s)
{
    for (int i = SIDE_STOP; i <= SIDE_SIGNAL; i++)
        if (s->fds[i].fd >= 0)
            close(s->fds[i].fd);
}

static bool open_fds(struct side *s, const sigset_t *usr1)
{
    const int fds[SIDE_FDS] = {
        [SIDE_STOP] = eventfd(0, EFD_CLOEXEC),
        [SIDE_SIGNAL] = signalfd(-1, usr1, SFD_CLOEXEC | SFD_NONBLOCK),
        [SIDE_WATCH] = s->machine->policy ? watch_fd(s->machine->policy) : -1,
        [SIDE_INPUT] = -1,
        [SIDE_WAKE] = s->machine->board ? board_wake_fd(s->machine->board) : -1,
    };

    for (int i = 0; i < SIDE_FDS; i++)
        s->fds[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    return fds[SIDE_STOP] >= 0 && fds[SIDE_SIGNAL] >= 0;
}

/* Call it before any other thread is made: all inherit that SIGUSR1 reaches the descriptor only.
 * All signals are blocked in this thread, so that the others take them. */
int side_start(struct side *s, struct machine *m)
{
    sigset_t usr1, all, old;
    int rc = -1;

    s->machine = m;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigfillset(&all);
    if (pthread_sigmask(SIG_BLOCK, &usr1, NULL) == 0 && open_fds(s, &usr1) &&
        pthread_sigmask(SIG_BLOCK, &all, &old) == 0) {
        rc = pthread_create(&s->thread, NULL, side_main, s);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    if (rc == 0)
        return CLI_OK;
    if (rc > 0)
        errno = rc;
    close_fds(s);
    return cli_system("no thread beside the guest");
}

void side_stop(struct side *s)
{
    const uint64_t one = 1;

    if (write(s->fds[SIDE_STOP].fd, &one, sizeof one) != (ssize_t)sizeof one)
        cli_system("the thread beside the guest cannot be told to stop");
    else
        pthread_join(s->thread, NULL);
    close_fds(s);
}
