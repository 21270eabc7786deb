/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RISC-V Platform-Level Interrupt Controller 1.0.0, as a state machine. Pure; the caller owns the
 * memory and the lock, and hands on what hvc_plic_changed() reports. Context i is S-mode of hart i.
 *
 * All gateways are those of level-triggered lines: a line that is high makes its interrupt pending,
 * unless it is in service (claimed and not completed); falling does not take that back (chapter
 * "Interrupt Gateways").
 */
#ifndef HVC_PLIC_H
#define HVC_PLIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HVC_PLIC_LINES = 1023, /* lines 1 to 1023; there is no line 0 */
    HVC_PLIC_WORDS = (HVC_PLIC_LINES + 1) / 32,
    HVC_PLIC_PRIORITIES = 7, /* 1 to 7; 0 never interrupts. A power of two less one */
    HVC_PLIC_VERSION = 1
};

/* An interrupt target. */
typedef struct hvc_plic_context {
    uint32_t enable[HVC_PLIC_WORDS];
    uint32_t threshold;
    uint32_t output; /* 1: its interrupt is pending, as last reported */
} hvc_plic_context;

/* All of the state; flat. */
typedef struct hvc_plic {
    uint32_t size; /* of the whole, with its contexts */
    uint32_t version;
    uint32_t lines; /* 1 to `lines` exist */
    uint32_t contexts;
    uint32_t level[HVC_PLIC_WORDS];      /* of the lines */
    uint32_t pending[HVC_PLIC_WORDS];    /* registers IP */
    uint32_t in_service[HVC_PLIC_WORDS]; /* claimed, not completed */
    uint8_t priority[HVC_PLIC_LINES + 1];
    hvc_plic_context context[];
} hvc_plic;

/* Bytes of a controller with so many contexts. */
static inline size_t hvc_plic_size(uint32_t contexts)
{
    return sizeof(hvc_plic) + contexts * sizeof(hvc_plic_context);
}

/* Reset state in hvc_plic_size(contexts) bytes that are zero; lines is 1 to HVC_PLIC_LINES. */
void hvc_plic_init(hvc_plic *p, uint32_t lines, uint32_t contexts);

/* Load and store 32 bits at `offset`, a multiple of 4; what is reserved is 0 and stays so. */
uint32_t hvc_plic_read(hvc_plic *p, uint64_t offset);
void hvc_plic_write(hvc_plic *p, uint64_t offset, uint32_t value);

/* Line 1 to p->lines goes high or low. */
void hvc_plic_line(hvc_plic *p, uint32_t line, bool high);

/*
 * The first context from `from` on whose output is not what was last reported; it is then in
 * `output`. p->contexts: there is none.
 */
uint32_t hvc_plic_changed(hvc_plic *p, uint32_t from);

#endif
