/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metal ground: host.h for an image without an operating system. What differs between machines
 * is handed in by the image (docs/hs.md); what differs between architectures is metal_<arch>.h.
 *
 * A "thread" of host.h is a CPU here: the image runs one flow of control per CPU, pinned. It may
 * run with interrupts on or off; the library masks them where it must and restores what it found.
 */
#ifndef HVC_METAL_H
#define HVC_METAL_H

#include "lib/host/host.h"

/* CPUs that the ground keeps a slot for. */
#define HVC_METAL_CPUS 64

/* What the image hands in. Every hook is there but `interrupt`, which may be NULL. */
typedef struct hvc_metal_config {
    void *arena; /* all memory that the library may use, identity-mapped, cacheable */
    size_t arena_size;
    uint64_t time_hz; /* of the time counter, 1 Hz to 4 GHz; riscv64: timebase-frequency of the
                         device tree */
    uint32_t cpus;    /* at most HVC_METAL_CPUS */

    /* The number of the CPU that calls, 0 to cpus - 1. */
    uint32_t (*cpu)(void);
    /* Interrupt that CPU with the machine's inter-processor interrupt; never blocks, any context.
     */
    void (*ipi)(uint32_t cpu);
    /* This CPU's timer interrupt is to be pending once the counter is >= ticks; UINT64_MAX: never,
     * which also ends one that is pending. Called with interrupts masked. */
    void (*alarm)(uint64_t ticks);
    /* An interrupt ended a guest or a wait on this CPU; the library has acknowledged the
     * inter-processor interrupt and the timer. An image that runs with interrupts off acknowledges
     * here what else it has switched on. Called with interrupts masked. */
    void (*interrupt)(void);
    /* The end: the library's own code trapped, or its memory is damaged. Must not return. */
    void (*panic)(const char *what, uint64_t cause, uint64_t pc, uint64_t value);
} hvc_metal_config;

/* Once, on one CPU, before anything else of the library. 0 or -HVCORE_E_INVAL. */
int hvc_metal_init(const hvc_metal_config *config);

uint32_t hvc_metal_cpus(void);
void hvc_metal_ipi(uint32_t cpu);

/* This CPU's timer interrupt comes at `until` (hvc_host_now()); HVC_FOREVER: never. Asking again
 * for what is armed already costs nothing. Interrupts are masked. */
void hvc_metal_alarm(uint64_t until);

/* Acknowledge what ended a guest or a wait. Interrupts are masked. */
void hvc_metal_interrupted(void);

_Noreturn void hvc_metal_panic(const char *what, uint64_t cause, uint64_t pc, uint64_t value);

#endif
