/* SPDX-License-Identifier: Apache-2.0 */
/* --trace: what a run in lockstep has come to, every so many instructions. Two runs are equal as
 * far as their traces are. */
#ifndef TRACE_H
#define TRACE_H

#include "run.h"

struct trace {
    FILE *out;     /* NULL: none is wanted */
    uint64_t next; /* instructions of all harts at which a line is due */
};

int trace_open(struct trace *t, const char *path);

/* After `insns` instructions: a line for each hart, if they are due. */
void trace_step(struct trace *t, const struct machine *m, uint64_t insns);

/* The last lines, and one for guest memory. */
int trace_close(struct trace *t, const struct machine *m, uint64_t insns);

#endif
