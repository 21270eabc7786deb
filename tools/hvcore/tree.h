/* SPDX-License-Identifier: Apache-2.0 */
/* Device trees (Devicetree Specification 0.4, by libfdt): the board's own, or one from a file, made
 * to say what this run is. What goes wrong is said; all return an enum cli_code. */
#ifndef TREE_H
#define TREE_H

#include <stddef.h>

#include "cli.h"
#include "dt.h"

struct isa;

/* A board, and how its architecture writes down what is its own. */
struct tree_board {
    uint32_t cpus;
    const uint64_t *ids;   /* of the cpus */
    bool seed;             /* for random numbers: each run is another one then */
    bool el2;              /* arm64 */
    const struct isa *isa; /* riscv64 */
    const char *console;   /* path of the UART's node */
    void (*write)(struct dt *w, const struct tree_board *b);
};
void tree_riscv64(struct dt *w, const struct tree_board *b);
void tree_arm64(struct dt *w, const struct tree_board *b);

struct tree {
    void *blob; /* malloc'ed */
    size_t room;
};

/* What /memory and /chosen have to say. */
struct tree_facts {
    uint64_t ram_base, ram_size;
    uint64_t initrd, initrd_end; /* equal: none */
    const char *append;          /* NULL: what the tree says already, if it does */
};

/* Both leave room for the facts. */
int tree_make(struct tree *t, const struct tree_board *board, size_t text);
int tree_open(struct tree *t, const char *path, size_t text);

int tree_tell(struct tree *t, const struct tree_facts *facts);
size_t tree_size(const struct tree *t);
int tree_save(const struct tree *t, const char *path);
void tree_close(struct tree *t);

#endif
