/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boards' device trees, for tests/cli/test_boards.py, of machines that this host cannot make:
 *
 *   tree_driver FILE arm64 CPUS        [el2]
 *   tree_driver FILE riscv64 CPUS      [REG=VALUE]...   as of a VM with these registers
 *
 * REG is CLASS:INDEX, of the classes HVCORE_REG_ISA and HVCORE_REG_CONFIG; others are not there.
 * The processors' numbers are their index, on arm64 as KVM makes them (MPIDR_EL1).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hvcore/isa.h"
#include "tools/hvcore/tree.h"

enum { CPUS_MOST = 512 };

/* Linux, arch/arm64/kvm/sys_regs.c, reset_mpidr(): 16 in a cluster. */
static uint64_t number(bool arm64, uint64_t n)
{
    return arm64 ? (n & 0xf) | (n >> 4 & 0xff) << 8 | (n >> 12 & 0xff) << 16 : n;
}

/* One of the arguments, which end with NULL. */
static int read_reg(void *user, uint32_t reg, uint64_t *value)
{
    unsigned cls, index;
    unsigned long long v;

    for (char **arg = user; *arg; arg++)
        if (sscanf(*arg, "%u:%u=%llu", &cls, &index, &v) == 3 &&
            (cls << 24 | index << 8 | 8) == reg) {
            *value = v;
            return 0;
        }
    return -HVCORE_E_NOTFOUND;
}

int main(int argc, char **argv)
{
    const bool arm64 = argc > 3 && strcmp(argv[2], "arm64") == 0;
    uint64_t ids[CPUS_MOST];
    struct isa isa;
    struct tree t = {0};

    if (argc < 4 || atoi(argv[3]) > CPUS_MOST)
        return 2;
    if (!arm64)
        isa_from(&isa, read_reg, argv + 4);
    const struct tree_board b = {.cpus = (uint32_t)atoi(argv[3]),
                                 .ids = ids,
                                 .el2 = argc > 4,
                                 .isa = &isa,
                                 .console = arm64 ? "/pl011@9000000" : "/soc/serial@10000000",
                                 .write = arm64 ? tree_arm64 : tree_riscv64};
    const struct tree_facts facts = {.ram_base = arm64 ? 0x40000000 : 0x80000000,
                                     .ram_size = 128 << 20};

    for (uint32_t i = 0; i < b.cpus; i++)
        ids[i] = number(arm64, i);
    return tree_make(&t, &b, 0) || tree_tell(&t, &facts) || tree_save(&t, argv[1]);
}
