/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "table.h"

void table_begin(struct table *t, const struct table_column *columns, size_t width)
{
    *t = (struct table){.columns = columns, .width = width};
}

void table_end(struct table *t)
{
    free(t->cells);
    t->cells = NULL;
}

size_t table_rows(const struct table *t)
{
    return t->used / t->width;
}

static bool grow(struct table *t)
{
    size_t room = t->room ? 2 * t->room : 16 * t->width;
    struct table_cell *cells = realloc(t->cells, room * sizeof *cells);

    if (!cells)
        return false;
    t->cells = cells;
    t->room = room;
    return true;
}

/* Cells are added row by row, left to right. */
void table_add(struct table *t, const char *fmt, ...)
{
    va_list ap;

    if (t->used == t->room && !grow(t)) {
        t->failed = true;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(t->cells[t->used++].text, sizeof t->cells->text, fmt, ap);
    va_end(ap);
}

/* https://no-color.org: any value that is not empty. */
static bool wants_colour(FILE *out)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fileno(out)) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

static int column_width(const struct table *t, size_t column)
{
    size_t width = strlen(t->columns[column].title);

    for (size_t i = column; i < t->used; i += t->width) {
        size_t len = strlen(t->cells[i].text);
        width = len > width ? len : width;
    }
    return (int)width;
}

/* The last column is not padded, so that no line ends in blanks. */
static void print_cell(const struct table *t, FILE *out, size_t column, const char *text)
{
    int width = column_width(t, column);

    if (t->columns[column].right)
        fprintf(out, "%*s", width, text);
    else if (column + 1 < t->width)
        fprintf(out, "%-*s", width, text);
    else
        fputs(text, out);
    fputs(column + 1 < t->width ? "  " : "\n", out);
}

void table_print(const struct table *t, FILE *out)
{
    bool colour = wants_colour(out);

    fputs(colour ? "\033[1m" : "", out);
    for (size_t c = 0; c < t->width; c++)
        print_cell(t, out, c, t->columns[c].title);
    fputs(colour ? "\033[0m" : "", out);
    for (size_t i = 0; i < t->used; i++)
        print_cell(t, out, i % t->width, t->cells[i].text);
    if (t->failed)
        fputs("(the rest does not fit into memory)\n", out);
}
