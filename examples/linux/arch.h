/* SPDX-License-Identifier: Apache-2.0 */
/* What the init needs of its processor: arch_riscv64.c, arch_aarch64.c. */
#ifndef ARCH_H
#define ARCH_H

#include <stdint.h>

/*
 * ARCH_NAME: what uname() calls it. ARCH_RETURN: an instruction that returns. ARCH_NO_MEMORY:
 * signal and code for an access to a place where the machine has nothing. ARCH_FETCHES: a fetch
 * there ends, too; Linux for arm64 maps such a page as one that is not executed, and then tries for
 * ever.
 */
#if defined(__riscv)
#define ARCH_NAME "riscv64"
#define ARCH_RETURN 0x00008067
#define ARCH_NO_MEMORY SIGSEGV, SEGV_ACCERR /* access faults */
#define ARCH_FETCHES 1
#elif defined(__aarch64__)
#define ARCH_NAME "aarch64"
#define ARCH_RETURN 0xd65f03c0
#define ARCH_NO_MEMORY SIGBUS, BUS_OBJERR /* synchronous external aborts */
#define ARCH_FETCHES 0
#endif

/* Writes a function of two instructions that returns `value`, below 2048, for all processors. */
void arch_write_code(uint32_t *code, uint32_t value);

/* Mistakes. */
void arch_illegal(void);
void arch_supervisor(void);
void arch_breakpoint(void);
void arch_misaligned_load(void);
void arch_misaligned_store(void);
void arch_misaligned_atomic(void);

#endif
