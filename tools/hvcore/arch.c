/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "arch.h"

static const struct arch *const archs[] = {&arch_x86_64, &arch_arm64, &arch_riscv64};
enum { ARCHS = sizeof archs / sizeof *archs };

const struct arch *arch_by_number(uint32_t number)
{
    for (int i = 0; i < ARCHS; i++)
        if (archs[i]->number == number)
            return archs[i];
    return NULL;
}

const struct arch *arch_by_name(const char *name)
{
    for (int i = 0; i < ARCHS; i++)
        if (strcmp(archs[i]->name, name) == 0)
            return archs[i];
    return NULL;
}

const struct arch *arch_by_machine(uint32_t elf_machine)
{
    for (int i = 0; i < ARCHS; i++)
        for (int f = 0; f < ELF_FORMS; f++)
            if (archs[i]->elf[f].bits && archs[i]->elf[f].machine == elf_machine)
                return archs[i];
    return NULL;
}

const char *arch_name(uint32_t number)
{
    const struct arch *a = arch_by_number(number);

    return a ? a->name : "unknown";
}
