/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests for x86_64, and what they find: memory from 0 on, and ports for a console and an exit.
 *
 * An ELF64 guest begins in long mode, on tables that are put below it; an ELF32 one for i386 begins
 * in real mode, with nothing in memory but itself. Nothing interrupts either.
 */
#include <elf.h>
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "arch.h"
#include "board.h"

enum {
    PORT_CONSOLE = 0xe9, /* as Bochs has it */
    PORT_EXIT = 0xf4,
    PORT_UART = 0x3f8,

    CPUS_MOST = 128,
    REAL_MOST = 1 << 20,
};

/* --- long mode: what stands in the first MiB ------------------------------------------------- */

enum {
    AT_GDT = 0x1000,
    AT_PML4 = 0x2000,
    AT_PDPT = 0x3000,
    AT_PD = 0x4000, /* one for each GiB */
    GIBS = 4,
    AT_STACKS = 0x100000, /* from there down, one for each processor */
    STACK = 0x1000,

    PTE_P_RW = 3, /* APM volume 2, 5.4 */
    PTE_LARGE = 0x80,
    LARGE = 2 << 20,

    SELECTOR_CODE = 8,
    SELECTOR_DATA = 16,
    FLAGS_CODE = 0xa09b, /* of descriptors, as HVCORE_REG_SEG_FLAGS: 64-bit code, data */
    FLAGS_DATA = 0xc093,
    LIMIT = 0xffff,

    EFER_LME_LMA = 0x500,   /* APM volume 2, 3.1.7 */
    CR4_PAE_OSFXSR = 0x620, /* and OSXMMEXCPT */
    RFLAGS_ALWAYS = 2
};
#define CR0_LONG UINT64_C(0x80000033) /* PG, NE, ET, MP, PE */

static void put_words(const struct machine *m, uint64_t at, const uint64_t *words, size_t count)
{
    uint64_t *to = (uint64_t *)(void *)((char *)hvcore_mem_ptr(m->mem) + at);

    for (size_t i = 0; i < count; i++)
        to[i] = htole64(words[i]);
}

/* The first 4 GiB at their own addresses. */
static void put_tables(const struct machine *m)
{
    static const uint64_t gdt[] = {0, UINT64_C(0x00af9b000000ffff), UINT64_C(0x00cf93000000ffff)};
    uint64_t table[512] = {AT_PDPT | PTE_P_RW};

    put_words(m, AT_GDT, gdt, sizeof gdt / sizeof *gdt);
    put_words(m, AT_PML4, table, 512);
    for (uint64_t i = 0; i < GIBS; i++)
        table[i] = (AT_PD + i * HVCORE_PAGE_SIZE) | PTE_P_RW;
    put_words(m, AT_PDPT, table, 512);
    for (uint64_t i = 0; i < GIBS; i++) {
        for (uint64_t n = 0; n < 512; n++)
            table[n] = (i * 512 + n) * LARGE | PTE_P_RW | PTE_LARGE;
        put_words(m, AT_PD + i * HVCORE_PAGE_SIZE, table, 512);
    }
}

/* --- registers ------------------------------------------------------------------------------- */

enum { ES, CS, SS, DS, GDTR = 8 };

#define SEG(n, part) (HVCORE_REG_X86_64_ES + ((4u * (n) + (part)) << 8))
#define SELECTOR(n) SEG(n, HVCORE_REG_SEG_SELECTOR)
#define BASE(n) SEG(n, HVCORE_REG_SEG_BASE)
#define LIMIT_OF(n) SEG(n, HVCORE_REG_SEG_LIMIT)
#define FLAGS(n) SEG(n, HVCORE_REG_SEG_FLAGS)

struct setting {
    hvcore_reg reg;
    uint64_t value;
};

static int set(struct hart *h, const struct setting *s, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int rc = hvcore_reg_set_u64(h->vcpu, s[i].reg, s[i].value);

        if (rc != 0) {
            cli_say("register %s of a cpu cannot be set: %s",
                    hvcore_reg_name(HVCORE_ARCH_X86_64, s[i].reg), hvcore_strerror(rc));
            return CLI_HOST;
        }
    }
    return CLI_OK;
}
#define SET(h, rows) set(h, rows, sizeof(rows) / sizeof *(rows))

static int begin_long(struct hart *h)
{
    static const struct setting mode[] = {
        {BASE(GDTR), AT_GDT},
        {LIMIT_OF(GDTR), 3 * 8 - 1},
        {HVCORE_REG_X86_64_CR4, CR4_PAE_OSFXSR},
        {HVCORE_REG_X86_64_CR3, AT_PML4},
        {HVCORE_REG_X86_64_EFER, EFER_LME_LMA},
        {HVCORE_REG_X86_64_CR0, CR0_LONG},
#define DATA(n) {SELECTOR(n), SELECTOR_DATA}, {LIMIT_OF(n), UINT32_MAX}, {FLAGS(n), FLAGS_DATA}
        {SELECTOR(CS), SELECTOR_CODE},
        {BASE(CS), 0},
        {LIMIT_OF(CS), UINT32_MAX},
        {FLAGS(CS), FLAGS_CODE},
        DATA(DS),
        DATA(ES),
        DATA(SS),
    };
    const struct setting general[] = {
        {HVCORE_REG_X86_64_RIP, h->machine->entry},
        {HVCORE_REG_X86_64_RFLAGS, RFLAGS_ALWAYS},
        {HVCORE_REG_X86_64_RSP, AT_STACKS - (uint64_t)h->index * STACK},
        {HVCORE_REG_X86_64_RDI, h->machine->arg},
        {HVCORE_REG_X86_64_RSI, h->index},
    };
    int code = SET(h, mode);

    if (h->index == 0)
        put_tables(h->machine);
    return code == CLI_OK ? SET(h, general) : code;
}

/* CS is the 64 KiB block of the entry; all else is as after a reset, but for rdi and rsi. */
static int begin_real(struct hart *h)
{
    const uint64_t entry = h->machine->entry, block = entry & ~(uint64_t)LIMIT;
    const struct setting rows[] = {
        {SELECTOR(CS), block >> 4},
        {BASE(CS), block},
        {HVCORE_REG_X86_64_RIP, entry & LIMIT},
        {HVCORE_REG_X86_64_RDI, h->machine->arg},
        {HVCORE_REG_X86_64_RSI, h->index},
    };

    if (entry < REAL_MOST)
        return SET(h, rows);
    cli_say("%s: e_entry is %#" PRIx64
            ", and real mode ends at 0x100000: link it below that, or as ELF64 for long mode.",
            h->machine->options->elf, entry);
    return CLI_FILE;
}

static int begin(struct hart *h)
{
    return h->machine->bits == 32 ? begin_real(h) : begin_long(h);
}

/* --- ports ----------------------------------------------------------------------------------- */

static uint32_t read_console(void *user, hvcore_vcpu *vcpu, uint64_t port, uint32_t width,
                             uint64_t *value)
{
    (void)user;
    (void)vcpu;
    (void)port;
    (void)width;
    *value = PORT_CONSOLE; /* a guest may look whether it is there */
    return HVCORE_MMIO_DONE;
}

static uint32_t write_console(void *user, hvcore_vcpu *vcpu, uint64_t port, uint32_t width,
                              uint64_t value)
{
    const char byte = (char)value;

    (void)vcpu;
    (void)port;
    (void)width;
    console_write(user, &byte, 1);
    return HVCORE_MMIO_DONE;
}

static int add(struct machine *m, hvcore_error *err)
{
    hvcore_mmio_ops console = HVCORE_MMIO_OPS_INIT;

    console.read = read_console;
    console.write = write_console;
    return hvcore_vm_pio_add(m->vm, PORT_CONSOLE, 1, &console, m, NULL, err);
}

static int finish(const hvcore_exit *e)
{
    if (e->reason != HVCORE_EXIT_PIO || !e->u.pio.write || e->u.pio.port != PORT_EXIT)
        return UNDECIDED;
    if (e->u.pio.data == 0)
        return CLI_OK;
    cli_say("the guest shut down and reports a failure (code %" PRIu64 ").", e->u.pio.data);
    return CLI_GUEST_FAILED;
}

static const struct board_kind board = {.serial = &serial_uart,
                                        .uart = PORT_UART,
                                        .uart_len = UART_REGISTERS,
                                        .ports = true,
                                        .add = add,
                                        .finish = finish};

const struct arch arch_x86_64 = {
    .number = HVCORE_ARCH_X86_64,
    .name = "x86_64",
    .cpu = "cpu",
    .wait = "HLT",
    .call = "hypercall",
    .sysreg = "MSR",
    .pc = HVCORE_REG_X86_64_RIP,
    .insn_align = 1,
    .advice = "build the guest with x86_64-linux-gnu-gcc -static -nostdlib -no-pie",
    .elf = {{64, EM_X86_64, AT_STACKS}, {32, EM_386, 0}},
    .cpus_most = CPUS_MOST,
    .board = &board,
    .elf_board = true,
    .begin = begin,
};
