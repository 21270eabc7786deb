/* SPDX-License-Identifier: Apache-2.0 */
#include "arch.h"

#include <sys/cachectl.h>
#include <unistd.h>

static volatile uint64_t words[2] = {0x1122334455667788, 0x99aabbccddeeff00};

/* li a0, VALUE; ret */
void arch_write_code(uint32_t *code, uint32_t value)
{
    code[0] = value << 20 | 0x513;
    code[1] = ARCH_RETURN;
    __riscv_flush_icache(code, code + 2, 0);
}

void arch_illegal(void)
{
    __asm__ volatile(".4byte 0x0000000b"); /* custom-0 */
}

void arch_supervisor(void)
{
    __asm__ volatile("csrr t0, sstatus" ::: "t0");
}

void arch_breakpoint(void)
{
    __asm__ volatile("ebreak");
}

void arch_misaligned_load(void)
{
    uint64_t value;

    __asm__ volatile("ld %0, 3(%1)" : "=r"(value) : "r"(words));
    if (value != 0xeeff001122334455)
        _exit(1);
}

void arch_misaligned_store(void)
{
    volatile uint64_t to[2] = {0};

    __asm__ volatile("sd %0, 3(%1)" ::"r"(UINT64_MAX), "r"(to) : "memory");
    if (to[0] != 0xffffffffff000000 || to[1] != 0xffffff)
        _exit(1);
}

void arch_misaligned_atomic(void)
{
    __asm__ volatile("amoadd.d zero, zero, (%0)" ::"r"((volatile char *)words + 1) : "memory");
}
