/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Linux kernel finds in memory (Linux, Documentation/arch/riscv/boot.rst and
 * arm64/booting.rst): itself, from the beginning of memory on as its header says; at the end the
 * device tree, and below it the initrd. One processor begins; it starts the others by SBI HSM, or
 * PSCI.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "board.h"
#include "file.h"
#include "kernel.h"
#include "tree.h"

/* Addresses in the order in which they are found: from the end of memory down. */
struct layout {
    uint64_t tree, initrd, initrd_end, kernel_end;
};

static uint64_t down(uint64_t value)
{
    return value / HVCORE_PAGE_SIZE * HVCORE_PAGE_SIZE;
}

static char *at(const struct machine *m, uint64_t address)
{
    return (char *)hvcore_mem_ptr(m->mem) + (address - m->arch->ram_base);
}

/* --- one file each --------------------------------------------------------------------------- */

static int load_kernel(struct machine *m, struct layout *l)
{
    struct kernel k = {.arch = m->arch, .ram_size = m->options->mem};
    int code = kernel_load(&k, m->options->kernel, hvcore_mem_ptr(m->mem));

    m->entry = k.entry;
    l->kernel_end = k.end;
    return code;
}

static int make_tree(const struct machine *m, struct tree *t, size_t text)
{
    struct tree_board b = {.cpus = m->count,
                           .seed = m->options->schedule != HVCORE_SCHEDULE_LOCKSTEP};
    uint64_t *ids = calloc(m->count, sizeof *ids);
    int code;

    if (!ids)
        return cli_system("no memory for the device tree");
    for (uint32_t i = 0; i < m->count; i++)
        ids[i] = m->hart[i].id;
    b.ids = ids;
    m->arch->board->tell(m, &b);
    code = tree_make(t, &b, text);
    free(ids);
    return code;
}

static int open_tree(const struct machine *m, struct tree *t)
{
    const struct run_options *o = m->options;
    const size_t text = o->append ? strlen(o->append) + 1 : 0;

    return o->dtb ? tree_open(t, o->dtb, text) : make_tree(m, t, text);
}

static int place_tree(const struct machine *m, const struct tree *t, struct layout *l)
{
    if (t->room <= m->options->mem)
        l->tree = down(m->arch->ram_base + m->options->mem - t->room);
    if (l->tree >= l->kernel_end)
        return CLI_OK;
    cli_say("%s: it ends at %#" PRIx64
            ", and the %zu bytes of the device tree do not fit behind it: "
            "give the guest more than %" PRIu64 " MiB of memory with --mem.",
            m->options->kernel, l->kernel_end, t->room, m->options->mem >> 20);
    return CLI_FILE;
}

static int place_initrd(const struct machine *m, const struct file *f, struct layout *l)
{
    if (f->size == 0) {
        cli_say("%s: it is empty; name an archive of cpio, compressed or not.", f->path);
        return CLI_FILE;
    }
    if (f->size > l->tree - l->kernel_end || down(l->tree - f->size) < l->kernel_end) {
        cli_say("%s: its %" PRIu64 " bytes do not fit between the kernel, which ends at %#" PRIx64
                ", and the device tree at %#" PRIx64 ": give the guest more than %" PRIu64
                " MiB of memory with --mem.",
                f->path, f->size, l->kernel_end, l->tree, m->options->mem >> 20);
        return CLI_FILE;
    }
    l->initrd = down(l->tree - f->size);
    l->initrd_end = l->initrd + f->size;
    return file_read(f, at(m, l->initrd), f->size, 0);
}

static int load_initrd(const struct machine *m, struct layout *l)
{
    struct file f;
    int code;

    if (!m->options->initrd)
        return CLI_OK;
    code = file_open(&f, m->options->initrd, "an initramfs");
    if (code == CLI_OK)
        code = place_initrd(m, &f, l);
    file_close(&f);
    return code;
}

/* --- all together ---------------------------------------------------------------------------- */

static int tell_tree(struct machine *m, struct tree *t, const struct layout *l)
{
    const struct tree_facts facts = {.ram_base = m->arch->ram_base,
                                     .ram_size = m->options->mem,
                                     .initrd = l->initrd,
                                     .initrd_end = l->initrd_end,
                                     .append = m->options->append};
    int code = tree_tell(t, &facts);

    if (code == CLI_OK && m->options->dump_dtb)
        code = tree_save(t, m->options->dump_dtb);
    if (code == CLI_OK)
        memcpy(at(m, l->tree), t->blob, tree_size(t));
    m->arg = l->tree;
    return code;
}

static int load_all(struct machine *m, struct tree *t)
{
    struct layout l = {0};
    int code = load_kernel(m, &l);

    if (code == CLI_OK)
        code = open_tree(m, t);
    if (code == CLI_OK)
        code = place_tree(m, t, &l);
    if (code == CLI_OK)
        code = load_initrd(m, &l);
    return code == CLI_OK ? tell_tree(m, t, &l) : code;
}

int board_load(struct machine *m)
{
    struct tree t = {0};
    int code;

    if (!m->options->kernel)
        return CLI_OK;
    code = load_all(m, &t);
    tree_close(&t);
    return code;
}
