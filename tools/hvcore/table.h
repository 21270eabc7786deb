/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned tables; the head is bold on a terminal unless NO_COLOR is set. */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table_column {
    const char *title;
    bool right; /* numbers */
};

struct table_cell {
    char text[104];
};

struct table {
    const struct table_column *columns;
    size_t width; /* number of columns */
    struct table_cell *cells;
    size_t used, room;
    bool failed; /* no memory: printing says so */
};

void table_begin(struct table *t, const struct table_column *columns, size_t width);
void table_add(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t table_rows(const struct table *t);
void table_print(const struct table *t, FILE *out);
void table_end(struct table *t);

#endif
