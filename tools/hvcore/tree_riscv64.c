/* SPDX-License-Identifier: Apache-2.0 */
/* The riscv64 board: what QEMU's `virt` says, without what there is not. */
#include <libfdt.h>
#include <stdlib.h>

#include "board_riscv64.h"
#include "isa.h"
#include "tree.h"

enum { HANDLE_PLIC = 1, HANDLE_TEST = 2, HANDLE_INTC = 3 }; /* INTC + n: hart n's */
enum { S_EXTERNAL = 9 };

static void block(struct dt *w, const char *name, uint32_t bytes)
{
    if (bytes)
        dt_cell(w, name, bytes);
}

static void cpu(struct dt *w, const struct isa *isa, uint32_t hart)
{
    dt_begin_at(w, "cpu", hart);
    dt_text(w, "device_type", "cpu");
    dt_cell(w, "reg", hart);
    dt_text(w, "status", "okay");
    dt_text(w, "compatible", "riscv");
    dt_text(w, "riscv,isa", isa->line);
    dt_text(w, "riscv,isa-base", "rv64i");
    dt_bytes(w, "riscv,isa-extensions", isa->extensions, isa->extensions_len);
    block(w, "riscv,cbom-block-size", isa->cbom);
    block(w, "riscv,cboz-block-size", isa->cboz);
    block(w, "riscv,cbop-block-size", isa->cbop);
    dt_text(w, "mmu-type", isa->mmu);
    dt_begin(w, "interrupt-controller");
    dt_cell(w, "#interrupt-cells", 1);
    dt_cell(w, "#address-cells", 0);
    dt_empty(w, "interrupt-controller");
    dt_text(w, "compatible", "riscv,cpu-intc");
    dt_cell(w, "phandle", HANDLE_INTC + hart);
    dt_end(w);
    dt_end(w);
}

static void cpus(struct dt *w, const struct tree_board *b)
{
    dt_begin(w, "cpus");
    dt_sizes(w, 1, 0);
    dt_cell(w, "timebase-frequency", b->isa->timebase);
    for (uint32_t i = 0; i < b->cpus; i++)
        cpu(w, b->isa, i);
    dt_end(w);
}

static void test(struct dt *w)
{
    dt_begin_at(w, "test", RISCV64_TEST);
    DT_TEXTS(w, "compatible", "sifive,test1\0sifive,test0\0syscon");
    dt_reg(w, RISCV64_TEST, RISCV64_TEST_LEN);
    dt_cell(w, "phandle", HANDLE_TEST);
    dt_end(w);
}

static void serial(struct dt *w)
{
    dt_begin_at(w, "serial", RISCV64_UART);
    dt_text(w, "compatible", "ns16550a");
    dt_reg(w, RISCV64_UART, RISCV64_UART_LEN);
    dt_cell(w, "clock-frequency", RISCV64_UART_CLOCK);
    dt_cell(w, "interrupt-parent", HANDLE_PLIC);
    dt_cell(w, "interrupts", RISCV64_UART_LINE);
    dt_end(w);
}

/* One context a hart: its S-mode. */
static void contexts(struct dt *w, uint32_t harts)
{
    uint32_t *pairs = calloc(harts, 2 * sizeof *pairs);

    if (!pairs) {
        w->err = -FDT_ERR_NOSPACE;
        return;
    }
    for (uint32_t i = 0; i < harts; i++) {
        pairs[2 * i] = HANDLE_INTC + i;
        pairs[2 * i + 1] = S_EXTERNAL;
    }
    dt_cells(w, "interrupts-extended", pairs, (size_t)2 * harts);
    free(pairs);
}

static void plic(struct dt *w, uint32_t harts)
{
    dt_begin_at(w, "plic", RISCV64_PLIC);
    DT_TEXTS(w, "compatible", "sifive,plic-1.0.0\0riscv,plic0");
    dt_reg(w, RISCV64_PLIC, HVCORE_IRQCHIP_PLIC_LEN);
    dt_cell(w, "#interrupt-cells", 1);
    dt_cell(w, "#address-cells", 0);
    dt_empty(w, "interrupt-controller");
    dt_cell(w, "riscv,ndev", RISCV64_PLIC_LINES);
    dt_cell(w, "phandle", HANDLE_PLIC);
    contexts(w, harts);
    dt_end(w);
}

static void soc(struct dt *w, uint32_t harts)
{
    dt_begin(w, "soc");
    dt_sizes(w, 2, 2);
    dt_text(w, "compatible", "simple-bus");
    dt_empty(w, "ranges");
    test(w);
    serial(w);
    plic(w, harts);
    dt_end(w);
}

/* A value for the finisher, by Linux's drivers for such registers. */
static void syscon(struct dt *w, const char *name, const char *compatible, uint32_t value)
{
    dt_begin(w, name);
    dt_text(w, "compatible", compatible);
    dt_cell(w, "regmap", HANDLE_TEST);
    dt_cell(w, "offset", 0);
    dt_cell(w, "value", value);
    dt_end(w);
}

void tree_riscv64(struct dt *w, const struct tree_board *b)
{
    dt_text(w, "compatible", "riscv-virtio");
    cpus(w, b);
    soc(w, b->cpus);
    syscon(w, "poweroff", "syscon-poweroff", RISCV64_TEST_PASS);
    syscon(w, "reboot", "syscon-reboot", RISCV64_TEST_RESET);
}
