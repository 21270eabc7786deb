/* SPDX-License-Identifier: Apache-2.0 */
#include <libfdt.h>
#include <stdio.h>

#include "dt.h"

static void keep(struct dt *w, int err)
{
    if (w->err == 0)
        w->err = err;
}

void dt_begin(struct dt *w, const char *name)
{
    keep(w, fdt_begin_node(w->fdt, name));
}

void dt_begin_at(struct dt *w, const char *name, uint64_t address)
{
    char full[64];

    snprintf(full, sizeof full, "%s@%llx", name, (unsigned long long)address);
    dt_begin(w, full);
}

void dt_end(struct dt *w)
{
    keep(w, fdt_end_node(w->fdt));
}

void dt_empty(struct dt *w, const char *name)
{
    keep(w, fdt_property(w->fdt, name, NULL, 0));
}

void dt_text(struct dt *w, const char *name, const char *value)
{
    keep(w, fdt_property_string(w->fdt, name, value));
}

void dt_bytes(struct dt *w, const char *name, const void *bytes, size_t len)
{
    keep(w, fdt_property(w->fdt, name, bytes, (int)len));
}

void dt_cell(struct dt *w, const char *name, uint32_t value)
{
    keep(w, fdt_property_u32(w->fdt, name, value));
}

void dt_cells(struct dt *w, const char *name, const uint32_t *values, size_t count)
{
    void *at = NULL;
    fdt32_t *cell;

    keep(w, fdt_property_placeholder(w->fdt, name, (int)(count * sizeof *cell), &at));
    cell = at;
    for (size_t i = 0; w->err == 0 && i < count; i++)
        cell[i] = cpu_to_fdt32(values[i]);
}

void dt_sizes(struct dt *w, uint32_t address, uint32_t size)
{
    dt_cell(w, "#address-cells", address);
    dt_cell(w, "#size-cells", size);
}

void dt_reg(struct dt *w, uint64_t address, uint64_t size)
{
    const fdt64_t pair[] = {cpu_to_fdt64(address), cpu_to_fdt64(size)};

    dt_bytes(w, "reg", pair, sizeof pair);
}
