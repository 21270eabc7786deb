/* SPDX-License-Identifier: Apache-2.0 */
/* The arm64 board: what QEMU's `virt` says, without what there is not. */
#include "board_arm64.h"
#include "tree.h"

enum { HANDLE_GIC = 1, HANDLE_CLOCK = 2 };

/* dt-bindings interrupt-controller/arm,gic-v3.yaml */
enum { SPI = 0, PPI = 1, LEVEL_HIGH = 4 };

/* The guest's EL2, if it has one, sees HVC itself: firmware is behind SMC then (DEN0022, 5.2.1). */
static void psci(struct dt *w, const struct tree_board *b)
{
    dt_begin(w, "psci");
    DT_TEXTS(w, "compatible", "arm,psci-1.0\0arm,psci-0.2\0arm,psci");
    dt_text(w, "method", b->el2 ? "smc" : "hvc");
    dt_end(w);
}

static void cpu(struct dt *w, uint64_t id)
{
    dt_begin_at(w, "cpu", id);
    dt_text(w, "device_type", "cpu");
    dt_cell(w, "reg", (uint32_t)id);
    dt_text(w, "compatible", "arm,armv8");
    dt_text(w, "enable-method", "psci");
    dt_end(w);
}

static void cpus(struct dt *w, const struct tree_board *b)
{
    dt_begin(w, "cpus");
    dt_sizes(w, 1, 0);
    for (uint32_t i = 0; i < b->cpus; i++)
        cpu(w, b->ids[i]);
    dt_end(w);
}

#define PPI_CELLS(number) PPI, number, LEVEL_HIGH

static void timer(struct dt *w, const struct tree_board *b)
{
    const uint32_t cells[] = {PPI_CELLS(ARM64_PPI_TIMER_SECURE), PPI_CELLS(ARM64_PPI_TIMER_PHYS),
                              PPI_CELLS(ARM64_PPI_TIMER_VIRT), PPI_CELLS(ARM64_PPI_TIMER_HYP),
                              PPI_CELLS(ARM64_PPI_TIMER_HYP_VIRT)};
    const size_t count = sizeof cells / sizeof *cells;

    dt_begin(w, "timer");
    DT_TEXTS(w, "compatible", "arm,armv8-timer\0arm,armv7-timer");
    dt_cells(w, "interrupts", cells, b->el2 ? count : count - 3);
    dt_empty(w, "always-on");
    dt_end(w);
}

static void gic(struct dt *w, const struct tree_board *b)
{
    const uint32_t len = b->cpus * ARM64_REDIST_LEN;

    dt_begin_at(w, "intc", ARM64_DIST);
    dt_text(w, "compatible", "arm,gic-v3");
    DT_CELLS(w, "reg", 0, ARM64_DIST, 0, ARM64_DIST_LEN, 0, ARM64_REDIST, 0, len);
    dt_sizes(w, 2, 2);
    dt_empty(w, "ranges");
    dt_cell(w, "#interrupt-cells", 3);
    dt_cell(w, "#redistributor-regions", 1);
    dt_empty(w, "interrupt-controller");
    if (b->el2)
        DT_CELLS(w, "interrupts", PPI_CELLS(ARM64_PPI_MAINTENANCE));
    dt_cell(w, "phandle", HANDLE_GIC);
    dt_end(w);
}

static void uart_clock(struct dt *w)
{
    dt_begin(w, "apb-pclk");
    dt_text(w, "compatible", "fixed-clock");
    dt_cell(w, "#clock-cells", 0);
    dt_cell(w, "clock-frequency", ARM64_UART_CLOCK);
    dt_text(w, "clock-output-names", "clk24mhz");
    dt_cell(w, "phandle", HANDLE_CLOCK);
    dt_end(w);
}

static void serial(struct dt *w)
{
    dt_begin_at(w, "pl011", ARM64_UART);
    DT_TEXTS(w, "compatible", "arm,pl011\0arm,primecell");
    dt_reg(w, ARM64_UART, ARM64_UART_LEN);
    DT_CELLS(w, "interrupts", SPI, ARM64_UART_LINE, LEVEL_HIGH);
    DT_CELLS(w, "clocks", HANDLE_CLOCK, HANDLE_CLOCK);
    DT_TEXTS(w, "clock-names", "uartclk\0apb_pclk");
    dt_end(w);
}

void tree_arm64(struct dt *w, const struct tree_board *b)
{
    dt_text(w, "compatible", "linux,dummy-virt");
    dt_cell(w, "interrupt-parent", HANDLE_GIC);
    psci(w, b);
    cpus(w, b);
    timer(w, b);
    gic(w, b);
    uart_clock(w);
    serial(w);
}
