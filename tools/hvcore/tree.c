/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "file.h"
#include "tree.h"

enum {
    BASE_ROOM = 8192, /* of the board's own tree, and of the facts */
    CPU_ROOM = 1536,
    FILE_MOST = 1 << 20, /* Linux maps 2 MiB */
    SEED = 64
};

/* --- what is common to all boards ------------------------------------------------------------- */

static void chosen(struct dt *w, const struct tree_board *b)
{
    char random[SEED];

    dt_begin(w, "chosen");
    dt_text(w, "stdout-path", b->console);
    if (b->seed && getrandom(random, sizeof random, 0) == (ssize_t)sizeof random)
        dt_bytes(w, "rng-seed", random, sizeof random);
    dt_end(w);
}

static int write_board(void *blob, size_t room, const struct tree_board *b)
{
    struct dt w = {.fdt = blob, .err = fdt_create(blob, (int)room)};

    if (w.err == 0)
        w.err = fdt_finish_reservemap(blob);
    dt_begin(&w, "");
    dt_sizes(&w, 2, 2);
    dt_text(&w, "model", "hvcore,virt");
    b->write(&w, b);
    chosen(&w, b);
    dt_end(&w);
    return w.err ? w.err : fdt_finish(blob);
}

/* --- making and opening ---------------------------------------------------------------------- */

static int failed(const char *what, int err)
{
    cli_say("%s: %s.", what, fdt_strerror(err));
    return CLI_FILE;
}

static int allocate(struct tree *t, size_t room)
{
    t->room = room;
    t->blob = calloc(1, room);
    return t->blob ? CLI_OK : cli_system("no memory for the device tree");
}

int tree_make(struct tree *t, const struct tree_board *board, size_t text_len)
{
    int err, code = allocate(t, BASE_ROOM + (size_t)board->cpus * CPU_ROOM + text_len);

    if (code != CLI_OK)
        return code;
    err = write_board(t->blob, t->room, board);
    if (err == 0)
        err = fdt_open_into(t->blob, t->blob, (int)t->room);
    return err ? failed("the device tree cannot be written", err) : CLI_OK;
}

static int check_file(const struct file *f)
{
    if (f->size >= sizeof(struct fdt_header) && f->size <= FILE_MOST)
        return CLI_OK;
    cli_say("%s: it has %" PRIu64
            " bytes; a device tree has %zu to %d. Make one with dtc -O dtb, or "
            "with --dump-dtb.",
            f->path, f->size, sizeof(struct fdt_header), FILE_MOST);
    return CLI_FILE;
}

static int read_file(struct tree *t, const struct file *f)
{
    int err, code = file_read(f, t->blob, f->size, 0);

    if (code != CLI_OK)
        return code;
    err = fdt_check_full(t->blob, f->size);
    if (err == 0)
        err = fdt_open_into(t->blob, t->blob, (int)t->room);
    if (err == 0)
        return CLI_OK;
    cli_say("%s: it is no device tree, or a broken one (%s). Make one with dtc -O dtb, or with "
            "--dump-dtb.",
            f->path, fdt_strerror(err));
    return CLI_FILE;
}

int tree_open(struct tree *t, const char *path, size_t text_len)
{
    struct file f;
    int code = file_open(&f, path, "a device tree blob");

    if (code == CLI_OK)
        code = check_file(&f);
    if (code == CLI_OK)
        code = allocate(t, BASE_ROOM + 2 * f.size + text_len);
    if (code == CLI_OK)
        code = read_file(t, &f);
    file_close(&f);
    return code;
}

/* --- the facts of this run ------------------------------------------------------------------- */

static int tell_memory(void *fdt, const struct tree_facts *facts)
{
    static const char type[] = "memory";
    char name[32];
    int node;

    while ((node = fdt_node_offset_by_prop_value(fdt, -1, "device_type", type, sizeof type)) >= 0)
        if (fdt_del_node(fdt, node) != 0)
            break;
    snprintf(name, sizeof name, "memory@%" PRIx64, facts->ram_base);
    node = fdt_add_subnode(fdt, 0, name);
    if (node < 0)
        return node;
    if (fdt_setprop_string(fdt, node, "device_type", type) != 0)
        return -FDT_ERR_NOSPACE;
    return fdt_appendprop_addrrange(fdt, 0, node, "reg", facts->ram_base, facts->ram_size);
}

static int remove_property(void *fdt, int node, const char *name)
{
    int err = fdt_delprop(fdt, node, name);

    return err == -FDT_ERR_NOTFOUND ? 0 : err;
}

static int tell_initrd(void *fdt, int node, const struct tree_facts *facts)
{
    const bool any = facts->initrd != facts->initrd_end;
    int err = any ? fdt_setprop_u64(fdt, node, "linux,initrd-start", facts->initrd)
                  : remove_property(fdt, node, "linux,initrd-start");

    if (err != 0)
        return err;
    return any ? fdt_setprop_u64(fdt, node, "linux,initrd-end", facts->initrd_end)
               : remove_property(fdt, node, "linux,initrd-end");
}

static int tell_chosen(void *fdt, const struct tree_facts *facts)
{
    int node = fdt_path_offset(fdt, "/chosen"), err;

    if (node == -FDT_ERR_NOTFOUND)
        node = fdt_add_subnode(fdt, 0, "chosen");
    if (node < 0)
        return node;
    err = tell_initrd(fdt, node, facts);
    if (err == 0 && facts->append)
        err = fdt_setprop_string(fdt, node, "bootargs", facts->append);
    return err;
}

int tree_tell(struct tree *t, const struct tree_facts *facts)
{
    int err = tell_memory(t->blob, facts);

    if (err == 0)
        err = tell_chosen(t->blob, facts);
    if (err == 0)
        err = fdt_pack(t->blob);
    return err ? failed("the device tree cannot be completed", err) : CLI_OK;
}

size_t tree_size(const struct tree *t)
{
    return fdt_totalsize(t->blob);
}

int tree_save(const struct tree *t, const char *path)
{
    FILE *out = fopen(path, "w");
    bool good = out && fwrite(t->blob, tree_size(t), 1, out) == 1;

    if (out && fclose(out) != 0)
        good = false;
    if (good)
        return CLI_OK;
    cli_say("%s: the device tree cannot be written: %s.", path, strerror(errno));
    return CLI_HOST;
}

void tree_close(struct tree *t)
{
    free(t->blob);
    t->blob = NULL;
}
