/* SPDX-License-Identifier: Apache-2.0 */
/* What guests of an architecture are like: a row for each, and no other place that asks which. */
#ifndef ARCH_H
#define ARCH_H

#include "run.h"

struct board_kind;

/* A form of executable that a guest may have. */
struct elf_form {
    uint8_t bits; /* 32, 64; 0: there is no more */
    uint16_t machine;
    uint32_t first; /* where it may begin, from the beginning of memory on */
};

enum { ELF_FORMS = 2 };

/* Linux's Image, of which arm64's and riscv64's headers have the same fields. */
struct image_form {
    uint32_t alignment; /* of text_offset */
};

struct arch {
    uint32_t number; /* HVCORE_ARCH_* */
    const char *name;
    const char *cpu;    /* what a processor is called */
    const char *wait;   /* its instruction that waits for an interrupt */
    const char *call;   /* a call to what is above it */
    const char *sysreg; /* a register of which there are many */
    hvcore_reg pc;
    uint64_t ram_base;
    uint32_t insn_align;
    uint32_t cpus_most; /* that a board has room for; 0: no bound of its own */
    hvcore_reg id;      /* where a processor has its number, and what of it counts; 0: it is the */
    uint64_t id_bits;   /* index */
    const char *advice; /* how to build a guest */
    struct elf_form elf[ELF_FORMS];
    const struct image_form *image; /* NULL: kernels do not run */
    const struct board_kind *board;
    bool elf_board; /* a guest that is no kernel has the board, too */
    bool says_why;  /* a shutdown has a reason, which is 0 for success */

    /* The registers of a processor that begins; an enum cli_code. */
    int (*begin)(struct hart *h);

    /* What a load or store gets that nothing answers; NULL: ones, and no fault. */
    const char *fault;
};

extern const struct arch arch_riscv64, arch_arm64, arch_x86_64;

/* NULL: there is none. */
const struct arch *arch_by_number(uint32_t number);
const struct arch *arch_by_name(const char *name);
const struct arch *arch_by_machine(uint32_t elf_machine);

/* "x86_64", ...; "unknown". */
const char *arch_name(uint32_t number);

#endif
