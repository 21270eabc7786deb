/* SPDX-License-Identifier: Apache-2.0 */
/* Guests for arm64, and their board: the kernel's GICv3, a UART. */
#include <elf.h>

#include "arch.h"
#include "board.h"
#include "board_arm64.h"

static int add(struct machine *m, hvcore_error *err)
{
    hvcore_irqchip_opts opts = HVCORE_IRQCHIP_OPTS_INIT;

    opts.kind = HVCORE_IRQCHIP_GICV3;
    opts.gpa = ARM64_DIST;
    opts.gpa_cpu = ARM64_REDIST;
    opts.lines = ARM64_LINES;
    return hvcore_irqchip_create(m->vm, &opts, err);
}

static void tell(const struct machine *m, struct tree_board *b)
{
    b->el2 = m->options->el2;
    b->console = "/pl011@9000000";
    b->write = tree_arm64;
}

/* A kernel: Linux, Documentation/arch/arm64/booting.rst. Another guest: x0 is its processor's
 * number. */
static int begin(struct hart *h)
{
    const struct machine *m = h->machine;
    const bool kernel = m->options->kernel != NULL;
    const hvcore_reg x0 = HVCORE_REG_ARM64_X0, x1 = x0 + (1 << 8);
    const hvcore_reg regs[] = {HVCORE_REG_ARM64_PC, x0, x1};
    const uint64_t values[] = {m->entry, kernel ? m->arg : h->index, kernel ? 0 : m->arg};
    int rc;

    if (kernel && h->index > 0)
        return CLI_OK; /* it is off; PSCI says where it begins */
    rc = hvcore_regs_set(h->vcpu, regs, values, sizeof regs / sizeof *regs, NULL);
    return rc ? cli_library("the registers of a cpu cannot be set", rc, NULL) : CLI_OK;
}

static const struct board_kind board = {.serial = &serial_pl011,
                                        .uart = ARM64_UART,
                                        .uart_len = ARM64_UART_LEN,
                                        .line = ARM64_UART_LINE,
                                        .add = add,
                                        .tell = tell};

static const struct image_form image = {.alignment = 4096};

const struct arch arch_arm64 = {
    .number = HVCORE_ARCH_ARM64,
    .name = "arm64",
    .cpu = "cpu",
    .wait = "WFI",
    .call = "SMCCC call",
    .sysreg = "system register",
    .pc = HVCORE_REG_ARM64_PC,
    .ram_base = 0x40000000,
    .insn_align = 4,
    .cpus_most = ARM64_CPUS_MOST,
    .id = HVCORE_REG_CSR << 24 | 0xc005 << 8 | 8, /* MPIDR_EL1: Aff0 to Aff2 */
    .id_bits = 0xffffff,
    .advice = "build the guest with aarch64-linux-gnu-gcc -static -nostdlib",
    .elf = {{64, EM_AARCH64, 0}},
    .image = &image,
    .board = &board,
    .elf_board = true,
    .begin = begin,
    .fault = "an external abort",
};
