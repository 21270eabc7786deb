/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "file.h"
#include "tree.h"
#include "virt.h"

enum {
    BASE_ROOM = 8192, /* of the board's own tree, and of the facts */
    HART_ROOM = 1024,
    FILE_MOST = 1 << 20, /* Linux maps 2 MiB */
    SEED = 64
};

/* --- writing: the first error stays ---------------------------------------------------------- */

struct writer {
    void *fdt;
    int err;
};

static void keep(struct writer *w, int err)
{
    if (w->err == 0)
        w->err = err;
}

static void begin(struct writer *w, const char *name)
{
    keep(w, fdt_begin_node(w->fdt, name));
}

static void begin_at(struct writer *w, const char *name, uint64_t address)
{
    char full[64];

    snprintf(full, sizeof full, "%s@%" PRIx64, name, address);
    begin(w, full);
}

static void end(struct writer *w)
{
    keep(w, fdt_end_node(w->fdt));
}

static void text(struct writer *w, const char *name, const char *value)
{
    keep(w, fdt_property_string(w->fdt, name, value));
}

/* Several strings, as one with "\0" between them. */
#define TEXTS(w, name, value) keep(w, fdt_property((w)->fdt, name, value, sizeof(value)))

static void empty(struct writer *w, const char *name)
{
    keep(w, fdt_property(w->fdt, name, NULL, 0));
}

static void cell(struct writer *w, const char *name, uint32_t value)
{
    keep(w, fdt_property_u32(w->fdt, name, value));
}

static void cells(struct writer *w, uint32_t address, uint32_t size)
{
    cell(w, "#address-cells", address);
    cell(w, "#size-cells", size);
}

/* With two cells each for address and size. */
static void reg(struct writer *w, uint64_t address, uint64_t size)
{
    const fdt64_t pair[] = {cpu_to_fdt64(address), cpu_to_fdt64(size)};

    keep(w, fdt_property(w->fdt, "reg", pair, sizeof pair));
}

/* --- the board: what QEMU's `virt` says, without what there is not ---------------------------- */

/* What the software machine's harts have by default (HVCORE_RISCV64_ISA_DEFAULT), told the old way
 * and the new one (dt-bindings riscv/extensions.yaml). */
static const char isa[] = "rv64imafdc_zicntr_zicsr_zifencei_zicbom_zicboz_zba_zbb_zbs_sstc_svinval";
static const char isa_extensions[] = "i\0m\0a\0f\0d\0c\0zicntr\0zicsr\0zifencei\0zicbom\0zicboz\0"
                                     "zba\0zbb\0zbs\0sstc\0svade\0svinval";
enum { BLOCK = 64 };

enum { HANDLE_PLIC = 1, HANDLE_TEST = 2, HANDLE_INTC = 3 }; /* INTC + n: hart n's */
enum { S_EXTERNAL = 9 };

static void cpu(struct writer *w, uint32_t hart)
{
    begin_at(w, "cpu", hart);
    text(w, "device_type", "cpu");
    cell(w, "reg", hart);
    text(w, "status", "okay");
    text(w, "compatible", "riscv");
    text(w, "riscv,isa", isa);
    text(w, "riscv,isa-base", "rv64i");
    TEXTS(w, "riscv,isa-extensions", isa_extensions);
    cell(w, "riscv,cbom-block-size", BLOCK);
    cell(w, "riscv,cboz-block-size", BLOCK);
    text(w, "mmu-type", "riscv,sv57");
    begin(w, "interrupt-controller");
    cell(w, "#interrupt-cells", 1);
    cell(w, "#address-cells", 0);
    empty(w, "interrupt-controller");
    text(w, "compatible", "riscv,cpu-intc");
    cell(w, "phandle", HANDLE_INTC + hart);
    end(w);
    end(w);
}

static void cpus(struct writer *w, uint32_t harts)
{
    begin(w, "cpus");
    cells(w, 1, 0);
    cell(w, "timebase-frequency", VIRT_TIMEBASE);
    for (uint32_t i = 0; i < harts; i++)
        cpu(w, i);
    end(w);
}

static void test(struct writer *w)
{
    begin_at(w, "test", VIRT_TEST);
    TEXTS(w, "compatible", "sifive,test1\0sifive,test0\0syscon");
    reg(w, VIRT_TEST, VIRT_TEST_LEN);
    cell(w, "phandle", HANDLE_TEST);
    end(w);
}

static void serial(struct writer *w)
{
    begin_at(w, "serial", VIRT_UART);
    text(w, "compatible", "ns16550a");
    reg(w, VIRT_UART, VIRT_UART_LEN);
    cell(w, "clock-frequency", VIRT_UART_CLOCK);
    cell(w, "interrupt-parent", HANDLE_PLIC);
    cell(w, "interrupts", VIRT_UART_LINE);
    end(w);
}

/* One context a hart: its S-mode. */
static void plic(struct writer *w, uint32_t harts)
{
    void *at = NULL;
    fdt32_t *pair;

    begin_at(w, "plic", VIRT_PLIC);
    TEXTS(w, "compatible", "sifive,plic-1.0.0\0riscv,plic0");
    reg(w, VIRT_PLIC, HVCORE_IRQCHIP_PLIC_LEN);
    cell(w, "#interrupt-cells", 1);
    cell(w, "#address-cells", 0);
    empty(w, "interrupt-controller");
    cell(w, "riscv,ndev", VIRT_PLIC_LINES);
    cell(w, "phandle", HANDLE_PLIC);
    keep(w, fdt_property_placeholder(w->fdt, "interrupts-extended", (int)(harts * 2 * sizeof *pair),
                                     &at));
    pair = at;
    for (uint32_t i = 0; w->err == 0 && i < harts; i++) {
        pair[2 * i] = cpu_to_fdt32(HANDLE_INTC + i);
        pair[2 * i + 1] = cpu_to_fdt32(S_EXTERNAL);
    }
    end(w);
}

static void soc(struct writer *w, uint32_t harts)
{
    begin(w, "soc");
    cells(w, 2, 2);
    text(w, "compatible", "simple-bus");
    empty(w, "ranges");
    test(w);
    serial(w);
    plic(w, harts);
    end(w);
}

/* A value for the finisher, by Linux's drivers for such registers. */
static void syscon(struct writer *w, const char *name, const char *compatible, uint32_t value)
{
    begin(w, name);
    text(w, "compatible", compatible);
    cell(w, "regmap", HANDLE_TEST);
    cell(w, "offset", 0);
    cell(w, "value", value);
    end(w);
}

/* A seed makes every run another one: there is none where runs are to be equal. */
static void chosen(struct writer *w, bool seed)
{
    char random[SEED];

    begin(w, "chosen");
    text(w, "stdout-path", "/soc/serial@10000000");
    if (seed && getrandom(random, sizeof random, 0) == (ssize_t)sizeof random)
        keep(w, fdt_property(w->fdt, "rng-seed", random, sizeof random));
    end(w);
}

static int write_board(void *blob, size_t room, uint32_t harts, bool seed)
{
    struct writer w = {.fdt = blob};

    keep(&w, fdt_create(blob, (int)room));
    keep(&w, fdt_finish_reservemap(blob));
    begin(&w, "");
    cells(&w, 2, 2);
    text(&w, "compatible", "riscv-virtio");
    text(&w, "model", "hvcore,virt");
    chosen(&w, seed);
    cpus(&w, harts);
    soc(&w, harts);
    syscon(&w, "poweroff", "syscon-poweroff", VIRT_TEST_PASS);
    syscon(&w, "reboot", "syscon-reboot", VIRT_TEST_RESET);
    end(&w);
    keep(&w, fdt_finish(blob));
    return w.err;
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

int tree_make(struct tree *t, uint32_t harts, bool seed, size_t text_len)
{
    int err, code = allocate(t, BASE_ROOM + (size_t)harts * HART_ROOM + text_len);

    if (code != CLI_OK)
        return code;
    err = write_board(t->blob, t->room, harts, seed);
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
