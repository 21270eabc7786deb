/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa.h"

enum { TIMEBASE = 10000000, BLOCK = 64, WORD = 4, LINE = 4096 };

/* ALWAYS: no Linux host is without it, whether it says so or not. */
enum { SOFT = 1, KVM = 2, ALWAYS = 4 };

/*
 * In the order of the ISA string (Unpriv. 36). KVM: what Linux 6.12's KVM hands on whenever the
 * host has it (arch/riscv/kvm/vcpu_onereg.c), but for what has registers of its own (V), can be
 * made to trap (Zawrs), or is found out without being told.
 */
static const struct extension {
    const char *name;
    uint32_t has;
    bool old; /* it has a place in riscv,isa */
} rows[] = {
#define BOTH (SOFT | ALWAYS)
    {"i", BOTH, true},
    {"m", BOTH, true},
    {"a", BOTH, true},
    {"f", BOTH, true},
    {"d", BOTH, true},
    {"c", BOTH, true},
    {"zicbom", SOFT | KVM, true},
    {"zicboz", SOFT | KVM, true},
    {"zicntr", BOTH, true},
    {"zicond", KVM, true},
    {"zicsr", BOTH, true},
    {"zifencei", BOTH, true},
    {"zihintntl", KVM, true},
    {"zihintpause", KVM, true},
    {"zacas", KVM, true},
    {"zfa", KVM, true},
    {"zfh", KVM, true},
    {"zfhmin", KVM, true},
    {"zba", SOFT | KVM, true},
    {"zbb", SOFT | KVM, true},
    {"zbc", KVM, true},
    {"zbs", SOFT | KVM, true},
    {"sstc", SOFT | KVM, true},
    {"svade", SOFT, false},
    {"svinval", SOFT | KVM, true},
    {"svnapot", KVM, true},
    {"svpbmt", KVM, true},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* --- both spellings (dt-bindings riscv/extensions.yaml) -------------------------------------- */

static void add(struct isa *isa, const struct extension *e)
{
    const size_t len = strlen(e->name), used = strlen(isa->line);

    if (isa->extensions_len + len + 1 > ISA_MOST || used + len + 2 > ISA_MOST)
        return;
    memcpy(isa->extensions + isa->extensions_len, e->name, len + 1);
    isa->extensions_len += len + 1;
    if (e->old)
        snprintf(isa->line + used, ISA_MOST - used, "%s%s", len > 1 ? "_" : "", e->name);
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
            add(isa, &rows[i]);
    isa->cbom = isa->cboz = BLOCK;
    strcpy(isa->mmu, "riscv,sv57");
}

/* --- the host's ------------------------------------------------------------------------------ */

/* The first line of a file like "isa\t: rv64...": what stands behind the colon; or "". */
static const char *line_of(const char *path, const char *key, char line[LINE])
{
    FILE *f = fopen(path, "re");
    const char *found = "";

    while (f && *found == '\0' && fgets(line, LINE, f)) {
        const size_t len = strcspn(line, "\t :");
        const char *colon = strchr(line, ':');

        line[strcspn(line, "\n")] = '\0';
        if (colon && len == strlen(key) && strncmp(line, key, len) == 0)
            found = colon + 1 + strspn(colon + 1, " ");
    }
    if (f)
        fclose(f);
    return found;
}

/* Is it in "rv64imafdch_zicsr_..."? The single letters end with the first underscore. */
static bool has(const char *line, const char *name)
{
    const size_t len = strlen(name), singles = strcspn(line, "_");

    if (strncmp(line, "rv64", 4) != 0)
        return false;
    if (len == 1)
        return memchr(line + 4, name[0], singles - 4) != NULL;
    for (const char *p = line + singles; *p == '_'; p += 1 + strcspn(p + 1, "_"))
        if (strncmp(p + 1, name, len) == 0 && (p[1 + len] == '_' || p[1 + len] == '\0'))
            return true;
    return false;
}

/* A number of one cell, or the low one of two; `other` if it is not there. */
static uint32_t number(const char *tree, const char *name, uint32_t other)
{
    unsigned char bytes[2 * WORD];
    char path[512];
    size_t n;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", tree, name);
    f = fopen(path, "re");
    n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f)
        fclose(f);
    if (n < WORD)
        return other;
    const unsigned char *p = bytes + n - WORD;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void isa_from(struct isa *isa, const char *cpuinfo, const char *tree)
{
    char line[LINE];
    const char *found = line_of(cpuinfo, "isa", line);

    begin(isa);
    for (int i = 0; i < ROWS; i++)
        if (rows[i].has & ALWAYS || (rows[i].has & KVM && has(found, rows[i].name)))
            add(isa, &rows[i]);
    if (has(found, "zicbom"))
        isa->cbom = number(tree, "cpu@0/riscv,cbom-block-size", BLOCK);
    if (has(found, "zicboz"))
        isa->cboz = number(tree, "cpu@0/riscv,cboz-block-size", BLOCK);
    isa->timebase = number(tree, "timebase-frequency", TIMEBASE);
    found = line_of(cpuinfo, "mmu", line);
    if (strcmp(found, "sv48") == 0 || strcmp(found, "sv57") == 0)
        snprintf(isa->mmu, sizeof isa->mmu, "riscv,%.4s", found);
}

void isa_host(struct isa *isa)
{
    isa_from(isa, "/proc/cpuinfo", "/proc/device-tree/cpus");
}
