/* SPDX-License-Identifier: Apache-2.0 */
#include "arch.h"

#include <unistd.h>

static _Alignas(16) volatile uint64_t words[4] = {0x1122334455667788, 0x99aabbccddeeff00};

/* movz w0, #VALUE; ret */
void arch_write_code(uint32_t *code, uint32_t value)
{
    code[0] = 0x52800000 | value << 5;
    code[1] = ARCH_RETURN;
    __builtin___clear_cache((char *)code, (char *)(code + 2));
}

void arch_illegal(void)
{
    __asm__ volatile("udf #0");
}

void arch_supervisor(void)
{
    __asm__ volatile("mrs x0, ttbr0_el1" ::: "x0");
}

void arch_breakpoint(void)
{
    __asm__ volatile("brk #0");
}

void arch_misaligned_load(void)
{
    uint64_t value;

    __asm__ volatile("ldur %0, [%1, #3]" : "=r"(value) : "r"(words));
    if (value != 0xeeff001122334455)
        _exit(1);
}

void arch_misaligned_store(void)
{
    volatile uint64_t to[2] = {0};

    __asm__ volatile("stur %0, [%1, #3]" ::"r"(UINT64_MAX), "r"(to) : "memory");
    if (to[0] != 0xffffffffff000000 || to[1] != 0xffffff)
        _exit(1);
}

/* Across 16 bytes, where no processor has to do it (DDI0487 B2.2.1.1). */
void arch_misaligned_atomic(void)
{
    uint64_t value;

    __asm__ volatile("ldxr %0, [%1]\n clrex"
                     : "=r"(value)
                     : "r"((volatile char *)words + 12)
                     : "memory");
}
