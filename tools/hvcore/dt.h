/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a device tree from its begin to its end. The first error stays. */
#ifndef DT_H
#define DT_H

#include <stddef.h>
#include <stdint.h>

struct dt {
    void *fdt;
    int err; /* of libfdt */
};

void dt_begin(struct dt *w, const char *name);
void dt_begin_at(struct dt *w, const char *name, uint64_t address);
void dt_end(struct dt *w);

void dt_empty(struct dt *w, const char *name);
void dt_text(struct dt *w, const char *name, const char *value);
void dt_bytes(struct dt *w, const char *name, const void *bytes, size_t len);
/* Several strings, as one with "\0" between them. */
#define DT_TEXTS(w, name, value) dt_bytes(w, name, value, sizeof(value))
void dt_cell(struct dt *w, const char *name, uint32_t value);
void dt_cells(struct dt *w, const char *name, const uint32_t *values, size_t count);
#define DT_CELLS(w, name, ...)                         \
    dt_cells(w, name, (const uint32_t[]){__VA_ARGS__}, \
             sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))
/* #address-cells and #size-cells */
void dt_sizes(struct dt *w, uint32_t address, uint32_t size);
/* With two cells each for address and size. */
void dt_reg(struct dt *w, uint64_t address, uint64_t size);

#endif
