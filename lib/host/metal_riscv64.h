/* SPDX-License-Identifier: Apache-2.0 */
/* What the metal ground needs from a riscv64 hart in HS-mode. */
#ifndef HVC_METAL_RISCV64_H
#define HVC_METAL_RISCV64_H

#include <stdbool.h>
#include <stdint.h>

/* sip and sie: supervisor software and timer interrupt (Priv. 12.1.3) */
#define HVC_SIP_SSIP (UINT64_C(1) << 1)
#define HVC_SIP_STIP (UINT64_C(1) << 5)
#define HVC_SSTATUS_SIE_IMM 2

static inline uint64_t hvc_cpu_ticks(void)
{
    uint64_t ticks;

    __asm__ volatile("csrr %0, time" : "=r"(ticks));
    return ticks;
}

/* Masks interrupts; returns what hvc_cpu_restore takes. */
static inline uint64_t hvc_cpu_mask(void)
{
    uint64_t was;

    __asm__ volatile("csrrci %0, sstatus, %1" : "=r"(was) : "i"(HVC_SSTATUS_SIE_IMM) : "memory");
    return was & HVC_SSTATUS_SIE_IMM;
}

static inline void hvc_cpu_restore(uint64_t was)
{
    __asm__ volatile("csrs sstatus, %0" : : "r"(was) : "memory");
}

/* The two interrupts that the library lives on; sstatus.SIE stays as it is. */
static inline void hvc_cpu_interrupts_on(void)
{
    __asm__ volatile("csrs sie, %0" : : "r"(HVC_SIP_SSIP | HVC_SIP_STIP) : "memory");
}

/*
 * Sleeps until an interrupt is pending. WFI goes on when an interrupt that sie enables is pending,
 * also with sstatus.SIE = 0 (Priv. 3.3.3): nothing is lost between a check and the sleep.
 */
static inline void hvc_cpu_wait(void)
{
    hvc_cpu_interrupts_on();
    __asm__ volatile("wfi" : : : "memory");
}

static inline void hvc_cpu_ack_ipi(void)
{
    __asm__ volatile("csrc sip, %0" : : "r"(HVC_SIP_SSIP) : "memory");
}

static inline bool hvc_cpu_timer_pending(void)
{
    uint64_t sip;

    __asm__ volatile("csrr %0, sip" : "=r"(sip) : : "memory");
    return (sip & HVC_SIP_STIP) != 0;
}

/* PAUSE of Zihintpause; an empty FENCE where the hart does not have it. */
static inline void hvc_cpu_relax(void)
{
    __asm__ volatile(".4byte 0x0100000f" : : : "memory");
}

#endif
