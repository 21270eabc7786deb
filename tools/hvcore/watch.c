/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "watch.h"

struct watch {
    const char *path;
    int fd;
    struct policy_text text;
};

/* The folder is watched, not the file: editors write a new file and rename it over the old one. */
static int add_folder(int fd, const char *path)
{
    char *copy = strdup(path);
    int wd =
        copy ? inotify_add_watch(fd, dirname(copy), IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR) : -1;

    free(copy);
    return wd;
}

static int go_live(struct watch *w)
{
    w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->fd < 0)
        return cli_system("inotify cannot be used");
    if (add_folder(w->fd, w->path) >= 0)
        return CLI_OK;
    cli_say("%s: its folder cannot be watched: %s.", w->path, strerror(errno));
    return CLI_FILE;
}

int watch_open(const char *path, bool live, struct watch **watch)
{
    struct watch *w = calloc(1, sizeof *w);
    int code = CLI_OK;

    *watch = w;
    if (!w)
        return cli_system("no memory");
    w->path = path;
    w->fd = -1;
    if (live)
        code = go_live(w);
    return code == CLI_OK ? policy_read(path, !live, &w->text) : code;
}

int watch_fd(const struct watch *w)
{
    return w->fd;
}

const struct policy_text *watch_text(const struct watch *w)
{
    return &w->text;
}

void watch_close(struct watch *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    free(w->text.bytes);
    free(w);
}

bool watch_drain(struct watch *w)
{
    _Alignas(struct inotify_event) char buffer[4096];
    const struct inotify_event *e;
    ssize_t n;

    while ((n = read(w->fd, buffer, sizeof buffer)) > 0)
        for (char *p = buffer; p < buffer + n; p += sizeof *e + e->len) {
            e = (const struct inotify_event *)(const void *)p;
            if (e->mask & IN_IGNORED)
                return false;
        }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static bool same(const struct policy_text *a, const struct policy_text *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static void apply(struct watch *w, hvcore_vm *vm)
{
    hvcore_report *report;
    char sum[96];

    if (policy_apply(vm, w->path, &w->text, &report) != CLI_OK) {
        cli_say("%s: refused; the guest runs on under the policy before.", w->path);
    } else {
        policy_report_sum(report, sum, sizeof sum);
        cli_say("%s: applied while the guest runs: %s.", w->path, sum);
    }
    hvcore_report_free(report);
}

/* Any event may be about our file (it may be a link): its text decides. */
void watch_apply(struct watch *w, hvcore_vm *vm)
{
    struct policy_text text;

    if (policy_read(w->path, false, &text) != CLI_OK)
        return; /* said; the next event may find it whole */
    if (same(&text, &w->text)) {
        free(text.bytes);
        return;
    }
    free(w->text.bytes);
    w->text = text;
    apply(w, vm);
}
