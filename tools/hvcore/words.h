/* SPDX-License-Identifier: Apache-2.0 */
/* Exits in words. */
#ifndef WORDS_H
#define WORDS_H

#include "arch.h"

struct line {
    char text[512];
    size_t len;
};

__attribute__((format(printf, 2, 3))) void line_add(struct line *l, const char *fmt, ...);

/* Where the guest is; false if nobody knows. */
bool exit_pc(const struct hart *h, const hvcore_exit *e, uint64_t *pc);

/* "pc 0x80000000" */
enum { PLACE = 40 };
const char *exit_place(char text[PLACE], const struct hart *h, const hvcore_exit *e);

/* All that is known of an exit. */
const char *exit_record(struct line *l, const struct hart *h, const hvcore_exit *e);

#endif
