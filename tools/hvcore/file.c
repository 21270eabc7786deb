/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

enum { MOST_AT_ONCE = 1 << 30 };

int file_open(struct file *f, const char *path, const char *what)
{
    struct stat st;

    *f = (struct file){.path = path};
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us up */
    if (f->fd < 0 || fstat(f->fd, &st) != 0) {
        cli_say("%s: cannot be opened: %s.", path, strerror(errno));
        return CLI_FILE;
    }
    if (!S_ISREG(st.st_mode)) {
        cli_say("%s: is not a regular file; name %s.", path, what);
        return CLI_FILE;
    }
    f->size = (uint64_t)st.st_size;
    return CLI_OK;
}

void file_close(struct file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

int file_read(const struct file *f, void *to, uint64_t len, uint64_t offset)
{
    char *p = to;

    while (len > 0) {
        ssize_t n = pread(f->fd, p, len > MOST_AT_ONCE ? MOST_AT_ONCE : (size_t)len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            cli_say("%s: cannot be read at offset %" PRIu64 ": %s.", f->path, offset,
                    n < 0 ? strerror(errno) : "it ends there; is it being written?");
            return CLI_FILE;
        }
        p += n, len -= (uint64_t)n, offset += (uint64_t)n;
    }
    return CLI_OK;
}
