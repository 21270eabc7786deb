/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's console: stdout, byte by byte as it comes. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "run.h"

enum { PATIENCE_MS = 100, PIECE = 512 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool over(const struct machine *m)
{
    return atomic_load(&m->verdict) != UNDECIDED || cancel_signal() != 0;
}

/* A reader that is slow must not keep a run from ending: what poll() promises for a pipe holds for
 * a piece of that size. */
static ssize_t write_piece(const char *bytes, size_t len)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    int n = poll(&out, 1, PATIENCE_MS);

    if (n < 0)
        return errno == EINTR ? 0 : -1;
    if (n == 0)
        return 0;
    ssize_t done = write(STDOUT_FILENO, bytes, len < PIECE ? len : PIECE);
    return done < 0 && (errno == EINTR || errno == EAGAIN) ? 0 : done;
}

void console_write(struct machine *m, const char *bytes, size_t len)
{
    pthread_mutex_lock(&lock);
    while (len > 0 && !over(m)) {
        ssize_t n = write_piece(bytes, len);
        if (n < 0) {
            machine_decide(m, cli_system("the guest's console (stdout) cannot be written"));
            break;
        }
        bytes += n;
        len -= (size_t)n;
    }
    pthread_mutex_unlock(&lock);
}
