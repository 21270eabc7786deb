/* SPDX-License-Identifier: Apache-2.0 */
#include <hvcore/reg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "isa.h"

enum { TIMEBASE = 10000000, BLOCK = 64, REG_BYTES = 8 };
enum { SOFT = 1, ALWAYS = 2 };

/*
 * In the order of the ISA string (Unpriv. 36), with the numbers of Linux 7.2's KVM
 * (KVM_RISCV_ISA_EXT_*; they never change). SOFT: the software machine has it. ALWAYS: so has each
 * VM, but Linux 6.1 has no number for it. Without Zkr (32): KVM leaves its CSR seed to user space,
 * and this program has no seeds.
 */
static const struct extension {
    const char *name;
    uint32_t number;
    uint32_t has;
} rows[] = {
    {"i", 5, SOFT},
    {"m", 6, SOFT},
    {"a", 0, SOFT},
    {"f", 3, SOFT},
    {"d", 2, SOFT},
    {"c", 1, SOFT},
    {"v", 15, 0},
    {"h", 4, 0},
    {"zicbom", 11, SOFT},
    {"zicbop", 71, 0},
    {"zicboz", 12, SOFT},
    {"ziccrse", 68, 0},
    {"zicntr", 19, SOFT | ALWAYS},
    {"zicond", 24, 0},
    {"zicsr", 20, SOFT | ALWAYS},
    {"zifencei", 21, SOFT | ALWAYS},
    {"zihintntl", 48, 0},
    {"zihintpause", 10, 0},
    {"zihpm", 22, 0},
    {"zilsd", 76, 0},
    {"zimop", 55, 0},
    {"zaamo", 69, 0},
    {"zabha", 67, 0},
    {"zacas", 53, 0},
    {"zalasr", 77, 0},
    {"zalrsc", 70, 0},
    {"zawrs", 61, 0},
    {"zfa", 51, 0},
    {"zfbfmin", 72, 0},
    {"zfh", 46, 0},
    {"zfhmin", 47, 0},
    {"zca", 56, 0},
    {"zcb", 57, 0},
    {"zcd", 58, 0},
    {"zcf", 59, 0},
    {"zclsd", 75, 0},
    {"zcmop", 60, 0},
    {"zba", 17, SOFT},
    {"zbb", 13, SOFT},
    {"zbc", 25, 0},
    {"zbkb", 26, 0},
    {"zbkc", 27, 0},
    {"zbkx", 28, 0},
    {"zbs", 18, SOFT},
    {"zknd", 29, 0},
    {"zkne", 30, 0},
    {"zknh", 31, 0},
    {"zksed", 33, 0},
    {"zksh", 34, 0},
    {"zkt", 35, 0},
    {"ztso", 52, 0},
    {"zvbb", 36, 0},
    {"zvbc", 37, 0},
    {"zvfbfmin", 73, 0},
    {"zvfbfwma", 74, 0},
    {"zvfh", 49, 0},
    {"zvfhmin", 50, 0},
    {"zvkb", 38, 0},
    {"zvkg", 39, 0},
    {"zvkned", 40, 0},
    {"zvknha", 41, 0},
    {"zvknhb", 42, 0},
    {"zvksed", 43, 0},
    {"zvksh", 44, 0},
    {"zvkt", 45, 0},
    {"ssaia", 14, 0},
    {"sscofpmf", 54, 0},
    {"ssnpm", 63, 0},
    {"sstc", 8, SOFT},
    {"svade", 64, SOFT},
    {"svadu", 65, 0},
    {"svinval", 9, SOFT},
    {"svnapot", 16, 0},
    {"svpbmt", 7, 0},
    {"svvptc", 66, 0},
    {"smnpm", 62, 0},
    {"smstateen", 23, 0},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* --- both spellings (dt-bindings riscv/extensions.yaml) -------------------------------------- */

/* It has no place in riscv,isa, where its absence says nothing. */
static bool is_new(const char *name)
{
    return strcmp(name, "svade") == 0 || strcmp(name, "svadu") == 0;
}

static void add(struct isa *isa, const char *name)
{
    const size_t len = strlen(name), used = strlen(isa->line);

    if (isa->extensions_len + len + 1 > ISA_MOST || used + len + 2 > ISA_MOST)
        return;
    memcpy(isa->extensions + isa->extensions_len, name, len + 1);
    isa->extensions_len += len + 1;
    if (!is_new(name))
        snprintf(isa->line + used, ISA_MOST - used, "%s%s", len > 1 ? "_" : "", name);
}

static void begin(struct isa *isa)
{
    *isa = (struct isa){.line = "rv64", .mmu = "riscv,sv39", .timebase = TIMEBASE};
}

void isa_soft(struct isa *isa)
{
    begin(isa);
    for (int i = 0; i < ROWS; i++)
        if (rows[i].has & SOFT)
            add(isa, rows[i].name);
    isa->cbom = isa->cboz = BLOCK;
    strcpy(isa->mmu, "riscv,sv57");
}

/* --- a VM's ---------------------------------------------------------------------------------- */

struct hart_regs {
    isa_read *read;
    void *user;
};

/* A register that this kernel does not know is `other`. */
static uint64_t value_of(const struct hart_regs *h, uint32_t cls, uint32_t index, uint64_t other)
{
    uint64_t value;

    return h->read(h->user, cls << 24 | index << 8 | REG_BYTES, &value) == 0 ? value : other;
}

static bool has(const struct hart_regs *h, const struct extension *e)
{
    return value_of(h, HVCORE_REG_ISA, e->number, e->has & ALWAYS ? 1 : 0) == 1;
}

/* The block that an extension works on; the host's may have one that the VM has not. */
static void add_block(struct isa *isa, const struct hart_regs *h, const char *name)
{
    const struct {
        const char *name;
        uint32_t index, *bytes;
    } blocks[] = {{"zicbom", HVCORE_REG_CONFIG_ZICBOM, &isa->cbom},
                  {"zicboz", HVCORE_REG_CONFIG_ZICBOZ, &isa->cboz},
                  {"zicbop", HVCORE_REG_CONFIG_ZICBOP, &isa->cbop}};

    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (strcmp(blocks[i].name, name) == 0)
            *blocks[i].bytes = (uint32_t)value_of(h, HVCORE_REG_CONFIG, blocks[i].index, BLOCK);
}

/* satp.MODE (Priv. 12.1.11): 8 Sv39, 9 Sv48, 10 Sv57. */
static const char *mmu(uint64_t mode)
{
    return mode == 10 ? "riscv,sv57" : mode == 9 ? "riscv,sv48" : "riscv,sv39";
}

void isa_from(struct isa *isa, isa_read *read, void *user)
{
    const struct hart_regs h = {read, user};

    begin(isa);
    for (const struct extension *e = rows; e < rows + ROWS; e++)
        if (has(&h, e)) {
            add(isa, e->name);
            add_block(isa, &h, e->name);
        }
    isa->timebase = (uint32_t)value_of(&h, HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_TIMEBASE, TIMEBASE);
    strcpy(isa->mmu, mmu(value_of(&h, HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_SATP_MODE, 0)));
}
