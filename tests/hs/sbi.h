/* SPDX-License-Identifier: Apache-2.0 */
/* What the image asks of its own firmware (RISC-V SBI 1.0; OpenSBI 1.1 has no DBCN). */
#ifndef HVC_TESTS_HS_SBI_H
#define HVC_TESTS_HS_SBI_H

#include <stdint.h>

enum {
    SBI_LEGACY_PUTCHAR = 1,
    SBI_TIME = 0x54494d45,
    SBI_IPI = 0x735049,
    SBI_HSM = 0x48534d,
    SBI_SRST = 0x53525354
};

/* Returns a0: the error. */
static inline int64_t sbi_call(uint64_t eid, uint64_t fid, uint64_t arg0, uint64_t arg1,
                               uint64_t arg2)
{
    register uint64_t a0 __asm__("a0") = arg0;
    register uint64_t a1 __asm__("a1") = arg1;
    register uint64_t a2 __asm__("a2") = arg2;
    register uint64_t a6 __asm__("a6") = fid;
    register uint64_t a7 __asm__("a7") = eid;

    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
    return (int64_t)a0;
}

static inline void sbi_putchar(char c)
{
    sbi_call(SBI_LEGACY_PUTCHAR, 0, (unsigned char)c, 0, 0);
}

static inline void sbi_set_timer(uint64_t ticks)
{
    sbi_call(SBI_TIME, 0, ticks, 0, 0);
}

static inline void sbi_send_ipi(uint64_t hartid)
{
    sbi_call(SBI_IPI, 0, 1, hartid, 0);
}

static inline int64_t sbi_hart_start(uint64_t hartid, uint64_t entry, uint64_t opaque)
{
    return sbi_call(SBI_HSM, 0, hartid, entry, opaque);
}

static inline void sbi_shutdown(void)
{
    sbi_call(SBI_SRST, 0, 0, 0, 0);
}

#endif
