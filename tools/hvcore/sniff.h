/* SPDX-License-Identifier: Apache-2.0 */
/* What a file is, by its first bytes. */
#ifndef SNIFF_H
#define SNIFF_H

#include <stddef.h>

#include "arch.h"

enum {
    SNIFF_HEAD = 0x206
}; /* as much of a file as is looked at: up to the mark of an x86 kernel */

struct sniffed {
    bool elf, image;         /* image: Linux's, of `arch` */
    const struct arch *arch; /* NULL: it does not say, or none of ours */
    char is[96];             /* "a Linux kernel for arm64"; empty: not known */
    char advice[160];        /* what to do with it, after a ';'; may be empty */
};

/* What is missing of a shorter file is zero. */
void sniff(struct sniffed *s, const char head[SNIFF_HEAD]);

/* Says nothing if the file cannot be read: whoever needs it will. */
void sniff_file(struct sniffed *s, const char *path);

#endif
