/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels: Linux's Image, and ELF executables. */
#ifndef KERNEL_H
#define KERNEL_H

#include "arch.h"

struct kernel {
    const struct arch *arch; /* in */
    uint64_t ram_size;       /* in: where it must fit */
    uint64_t entry;
    uint64_t end; /* first address behind what it occupies */
};

/* Checks a file and copies it to `ram` (ram_size bytes, zero before). What goes wrong is said;
 * returns an enum cli_code. */
int kernel_load(struct kernel *k, const char *path, void *ram);

#endif
