/* SPDX-License-Identifier: Apache-2.0 */
#include <hvcore/reg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "isa.h"

enum { TIMEBASE = 10000000, BLOCK = 64, REG_BYTES = 8 };

/*
 * In the order of the ISA string (Unpriv. 36), with the numbers of Linux 7.2's KVM
 * (KVM_RISCV_ISA_EXT_*; they never change); soft: the software machine has it.
 */
static const struct extension {
    const char *name;
    uint32_t number;
    bool soft;
} rows[] = {
    {"i", 5, true},
    {"m", 6, true},
    {"a", 0, true},
    {"f", 3, true},
    {"d", 2, true},
    {"c", 1, true},
    {"v", 15, false},
    {"h", 4, false},
    {"zicbom", 11, true},
    {"zicbop", 71, false},
    {"zicboz", 12, true},
    {"ziccrse", 68, false},
    {"zicntr", 19, true},
    {"zicond", 24, false},
    {"zicsr", 20, true},
    {"zifencei", 21, true},
    {"zihintntl", 48, false},
    {"zihintpause", 10, false},
    {"zihpm", 22, false},
    {"zilsd", 76, false},
    {"zimop", 55, false},
    {"zaamo", 69, false},
    {"zabha", 67, false},
    {"zacas", 53, false},
    {"zalasr", 77, false},
    {"zalrsc", 70, false},
    {"zawrs", 61, false},
    {"zfa", 51, false},
    {"zfbfmin", 72, false},
    {"zfh", 46, false},
    {"zfhmin", 47, false},
    {"zca", 56, false},
    {"zcb", 57, false},
    {"zcd", 58, false},
    {"zcf", 59, false},
    {"zclsd", 75, false},
    {"zcmop", 60, false},
    {"zba", 17, true},
    {"zbb", 13, true},
    {"zbc", 25, false},
    {"zbkb", 26, false},
    {"zbkc", 27, false},
    {"zbkx", 28, false},
    {"zbs", 18, true},
    {"zknd", 29, false},
    {"zkne", 30, false},
    {"zknh", 31, false},
    {"zkr", 32, false},
    {"zksed", 33, false},
    {"zksh", 34, false},
    {"zkt", 35, false},
    {"ztso", 52, false},
    {"zvbb", 36, false},
    {"zvbc", 37, false},
    {"zvfbfmin", 73, false},
    {"zvfbfwma", 74, false},
    {"zvfh", 49, false},
    {"zvfhmin", 50, false},
    {"zvkb", 38, false},
    {"zvkg", 39, false},
    {"zvkned", 40, false},
    {"zvknha", 41, false},
    {"zvknhb", 42, false},
    {"zvksed", 43, false},
    {"zvksh", 44, false},
    {"zvkt", 45, false},
    {"ssaia", 14, false},
    {"sscofpmf", 54, false},
    {"ssnpm", 63, false},
    {"sstc", 8, true},
    {"svade", 64, true},
    {"svadu", 65, false},
    {"svinval", 9, true},
    {"svnapot", 16, false},
    {"svpbmt", 7, false},
    {"svvptc", 66, false},
    {"smnpm", 62, false},
    {"smstateen", 23, false},
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
        if (rows[i].soft)
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

static bool has(const struct hart_regs *h, const char *name)
{
    for (int i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return value_of(h, HVCORE_REG_ISA, rows[i].number, 0) == 1;
    return false;
}

/* The block that an extension works on; the kernel names one even where the VM has it not. */
static uint32_t block(const struct hart_regs *h, const char *name, uint32_t index)
{
    return has(h, name) ? (uint32_t)value_of(h, HVCORE_REG_CONFIG, index, BLOCK) : 0;
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
    for (int i = 0; i < ROWS; i++)
        if (value_of(&h, HVCORE_REG_ISA, rows[i].number, 0) == 1)
            add(isa, rows[i].name);
    isa->cbom = block(&h, "zicbom", HVCORE_REG_CONFIG_ZICBOM);
    isa->cboz = block(&h, "zicboz", HVCORE_REG_CONFIG_ZICBOZ);
    isa->cbop = block(&h, "zicbop", HVCORE_REG_CONFIG_ZICBOP);
    isa->timebase =
        (uint32_t)value_of(&h, HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_TIMEBASE, TIMEBASE);
    strcpy(isa->mmu, mmu(value_of(&h, HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_SATP_MODE, 0)));
}
