/* SPDX-License-Identifier: Apache-2.0 */
/* Guests for riscv64, and their board: a PLIC, a UART, a finisher. */
#include <elf.h>

#include "arch.h"
#include "backend.h"
#include "board.h"
#include "board_riscv64.h"
#include "isa.h"

#ifndef EM_RISCV
#define EM_RISCV 243
#endif

/* --- the finisher: a store there is an exit of the hart that makes it ------------------------ */

static uint32_t read_test(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                          uint64_t *value)
{
    (void)user;
    (void)vcpu;
    (void)gpa;
    (void)width;
    *value = 0;
    return HVCORE_MMIO_DONE;
}

static int finish_fail(uint32_t code)
{
    cli_say("the guest shut down and reports a failure (code %u).", code);
    return CLI_GUEST_FAILED;
}

static int finish_pass(uint32_t code)
{
    (void)code;
    return CLI_OK;
}

static int finish_reset(uint32_t code)
{
    (void)code;
    cli_say("the guest asks for a restart, which is not done here: stopped.");
    return CLI_OK;
}

/* It ends the run, unless the guest writes nonsense. */
static int finish(const hvcore_exit *e)
{
    static const struct {
        uint32_t what;
        int (*end)(uint32_t code);
    } rows[] = {{RISCV64_TEST_FAIL, finish_fail},
                {RISCV64_TEST_PASS, finish_pass},
                {RISCV64_TEST_RESET, finish_reset}};

    if (e->reason != HVCORE_EXIT_MMIO || !e->u.mmio.write || e->u.mmio.addr != RISCV64_TEST)
        return UNDECIDED;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((e->u.mmio.data & 0xffff) == rows[i].what)
            return rows[i].end(e->u.mmio.data >> 16 & 0xffff);
    return GO_ON;
}

/* --------------------------------------------------------------------------------------------- */

static int add_plic(struct machine *m, hvcore_error *err)
{
    hvcore_irqchip_opts opts = HVCORE_IRQCHIP_OPTS_INIT;

    opts.gpa = RISCV64_PLIC;
    opts.lines = RISCV64_PLIC_LINES;
    return hvcore_irqchip_create(m->vm, &opts, err);
}

static int add(struct machine *m, hvcore_error *err)
{
    hvcore_mmio_ops test = HVCORE_MMIO_OPS_INIT;
    int rc = add_plic(m, err);

    test.read = read_test;
    return rc ? rc
              : hvcore_vm_mmio_add(m->vm, RISCV64_TEST, RISCV64_TEST_LEN, &test, NULL, NULL, err);
}

static int read_reg(void *user, uint32_t reg, uint64_t *value)
{
    return hvcore_reg_get_u64(user, reg, value);
}

static void tell(const struct machine *m, struct tree_board *b)
{
    static struct isa isa;

    if (backend_is_library(&m->backend))
        isa_soft(&isa);
    else
        isa_from(&isa, read_reg, m->hart[0].vcpu);
    b->isa = &isa;
    b->console = "/soc/serial@10000000";
    b->write = tree_riscv64;
}

static int begin(struct hart *h)
{
    const hvcore_reg regs[] = {HVCORE_REG_RISCV64_PC, HVCORE_REG_RISCV64_A0, HVCORE_REG_RISCV64_A1};
    const uint64_t values[] = {h->machine->entry, h->index, h->machine->arg};
    const int rc = hvcore_regs_set(h->vcpu, regs, values, sizeof regs / sizeof *regs, NULL);

    return rc ? cli_library("the registers of a hart cannot be set", rc, NULL) : CLI_OK;
}

static const struct board_kind board = {.serial = &serial_uart,
                                        .uart = RISCV64_UART,
                                        .uart_len = RISCV64_UART_LEN,
                                        .line = RISCV64_UART_LINE,
                                        .add = add,
                                        .finish = finish,
                                        .tell = tell};

static const struct image_form image = {.alignment = 2 << 20};

const struct arch arch_riscv64 = {
    .number = HVCORE_ARCH_RISCV64,
    .name = "riscv64",
    .cpu = "hart",
    .wait = "WFI",
    .call = "SBI call",
    .sysreg = "CSR",
    .pc = HVCORE_REG_RISCV64_PC,
    .ram_base = 0x80000000,
    .insn_align = 2,
    .advice = "build the guest with riscv64-linux-gnu-gcc -static -nostdlib",
    .elf = {{64, EM_RISCV, 0}},
    .image = &image,
    .board = &board,
    .says_why = true,
    .begin = begin,
    .fault = "an access fault",
};
