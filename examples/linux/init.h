/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the init share. */
#ifndef INIT_H
#define INIT_H

/* One line about one thing, and whether it is as it should be. */
void check(int ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Memory that children inherit and share. */
void *shared_memory(unsigned long size);

void look_at_processors(void);   /* processors.c */
void make_mistakes(int fetches); /* mistakes.c; fetches: also from where there is nothing */

#endif
