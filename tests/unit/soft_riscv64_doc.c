/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/riscv64.md has a row for every encoding in the machine's tables, word for word, and none
 * more. With an argument: prints the rows.
 */
#include "tests/unit/soft.h"

#include "backends/bare/soft/insns.h"

#include <stdio.h>

#ifndef HVC_VECTORS_DIR
#define HVC_VECTORS_DIR "tests/vectors"
#endif
#define DOC HVC_VECTORS_DIR "/../../docs/riscv64.md"
#define ROWS 512
#define LINE 256

typedef struct row {
    const char *name;
    uint32_t mask, match, isa;
    const char *tests;
} row;

#define ROW(name, mask, match, isa, tests) {#name, mask, match, isa, tests},
#define PLAIN(name, mask, match, isa, value) ROW(name, mask, match, isa, "insn, lockstep")
#define CALL(name, mask, match, isa, value) ROW(name, mask, match, isa, NULL)
#define FLOAT(name, mask, match, ...) \
    ROW(name, mask, match, HVCORE_RISCV64_ISA_FD, "fp, fp_encoding, ext, lockstep")
#define PLAIN_(...) PLAIN(__VA_ARGS__)
#define CALL_(...) CALL(__VA_ARGS__)

/* Which tests look at what executes out of line. */
static const char *tests_of_call(uint32_t match)
{
    uint32_t opcode = match & 0x7f, funct3 = match >> 12 & 7;
    if (opcode == 0x2f)
        return "atomic, lockstep";
    if (opcode == 0x07 || opcode == 0x27)
        return "ext, lockstep";
    if (opcode == 0x0f)
        return funct3 == 2 ? "ext" : funct3 == 1 ? "code, lockstep" : "insn, run";
    if (funct3 == 4 || match >> 25 == 0x11 || match >> 25 == 0x31 || match >> 25 == 0x13 ||
        match >> 25 == 0x33)
        return "csr: traps with 22";
    return funct3 ? "csr, ext" : match >> 25 == 0x09 ? "mmu, code, csr" : "trap, csr";
}

/* clang-format off */
static const row rows[] = {
    SOFT_REGISTER(PLAIN_) SOFT_IMMEDIATE(PLAIN_) SOFT_LOADS(PLAIN_) SOFT_STORES(PLAIN_)
    SOFT_BRANCHES(PLAIN_) SOFT_SPECIAL(PLAIN_) SOFT_CALLS(CALL_) SOFT_ENDS(CALL_)
    HVC_SOFT_FP(FLOAT)
};
/* clang-format on */

#define COUNT (sizeof rows / sizeof rows[0])

static const char *isa_name(uint32_t isa)
{
    switch (isa) {
    case HVCORE_RISCV64_ISA_B:
        return "B";
    case HVCORE_RISCV64_ISA_FD:
        return "FD";
    case HVCORE_RISCV64_ISA_ZICBO:
        return "ZICBO";
    default:
        return "";
    }
}

/* The row as the document has it; underscores of a name are dots in assembly. */
static void format(const row *r, char *line)
{
    char name[32];
    snprintf(name, sizeof name, "%s", r->name);
    for (char *p = name; *p; p++)
        *p = *p == '_' ? '.' : *p;
    snprintf(line, LINE, "| %s | 0x%08x | 0x%08x | %s | %s |\n", name, r->mask, r->match,
             isa_name(r->isa), r->tests ? r->tests : tests_of_call(r->match));
}

static char doc[ROWS][LINE];
static size_t doc_rows;

/* The rows of the document that look like encodings. */
static void read_doc(void)
{
    char line[LINE];
    FILE *f = fopen(DOC, "r");
    if (!f)
        abort();
    while (fgets(line, sizeof line, f)) {
        if (*line == '|' && strstr(line, "| 0x") && doc_rows < ROWS)
            memcpy(doc[doc_rows++], line, sizeof line);
    }
    fclose(f);
}

static void test_rows(void)
{
    char line[LINE];
    CU_ASSERT_EQUAL(doc_rows, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        size_t at = 0;
        format(&rows[i], line);
        while (at < doc_rows && strcmp(doc[at], line))
            at++;
        if (at == doc_rows)
            fprintf(stderr, "\ndocs/riscv64.md lacks: %s", line);
        CU_ASSERT(at < doc_rows);
    }
}

/* No word is two instructions: of two rows that could match it, one says so in its mask. */
static void test_distinct(void)
{
    for (size_t i = 0; i < COUNT; i++) {
        CU_ASSERT_EQUAL(rows[i].match & ~rows[i].mask, 0);
        for (size_t j = 0; j < i; j++) {
            uint32_t both = rows[i].mask & rows[j].mask;
            CU_ASSERT((rows[i].match ^ rows[j].match) & both);
        }
    }
}

static const hvc_unit_test tests[] = {
    {"a row for every encoding", test_rows},
    {"no word is two instructions", test_distinct},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    char line[LINE];
    (void)argv;
    for (size_t i = 0; argc > 1 && i < COUNT; i++) {
        format(&rows[i], line);
        fputs(line, stdout);
    }
    if (argc > 1)
        return 0;
    read_doc();
    return hvc_unit_main("soft riscv64: docs/riscv64.md", tests);
}
