/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are read into guest memory. What goes wrong is said; all return an enum cli_code. */
#ifndef FILE_H
#define FILE_H

#include "cli.h"

struct file {
    const char *path;
    int fd;
    uint64_t size;
};

/* A regular file; `what` it is to be is said if it is none. file_close() in any case. */
int file_open(struct file *f, const char *path, const char *what);
void file_close(struct file *f);

/* Bytes that must be there. */
int file_read(const struct file *f, void *to, uint64_t len, uint64_t offset);

#endif
