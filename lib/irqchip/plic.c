/* SPDX-License-Identifier: Apache-2.0 */
/* The PLIC. Titles in quotes are chapters of its specification, version 1.0.0. */
#include "lib/irqchip/plic.h"

/* Where the parts begin, and what a context has of them ("Memory Map"). */
#define PENDING UINT64_C(0x1000)
#define ENABLE UINT64_C(0x2000)
#define ENABLE_EACH UINT64_C(0x80)
#define CONTEXT UINT64_C(0x200000)
#define CONTEXT_EACH UINT64_C(0x1000)
enum { THRESHOLD = 0, CLAIM = 4 };

void hvc_plic_init(hvc_plic *p, uint32_t lines, uint32_t contexts)
{
    p->size = (uint32_t)hvc_plic_size(contexts);
    p->version = HVC_PLIC_VERSION;
    p->lines = lines;
    p->contexts = contexts;
}

static bool bit(const uint32_t *set, uint32_t line)
{
    return set[line / 32] >> line % 32 & 1;
}

static void put_bit(uint32_t *set, uint32_t line, bool value)
{
    uint32_t mask = UINT32_C(1) << line % 32;
    set[line / 32] = value ? set[line / 32] | mask : set[line / 32] & ~mask;
}

/* The lines of a word that exist. */
static uint32_t existing(const hvc_plic *p, uint32_t word)
{
    uint32_t last = p->lines - word * 32; /* bit number of the last line, if it is in this word */
    uint32_t set = word * 32 > p->lines ? 0 : last >= 31 ? UINT32_MAX : (UINT32_C(2) << last) - 1;
    return word ? set : set & ~UINT32_C(1);
}

/* ---- gateways -------------------------------------------------------------------------------- */

static void gateway(hvc_plic *p, uint32_t line)
{
    if (bit(p->level, line) && !bit(p->in_service, line)) {
        put_bit(p->pending, line, true);
    }
}

void hvc_plic_line(hvc_plic *p, uint32_t line, bool high)
{
    put_bit(p->level, line, high);
    gateway(p, line);
}

/* ---- claim and complete ---------------------------------------------------------------------- */

/* The pending interrupt that is enabled for a context and has the highest priority above `floor`;
 * of equal ones the lowest number. 0: none. */
static uint32_t best(const hvc_plic *p, const hvc_plic_context *c, uint32_t floor)
{
    uint32_t found = 0;
    for (uint32_t word = 0; word <= p->lines / 32; word++) {
        uint32_t set = p->pending[word] & c->enable[word];
        for (uint32_t i = 0; i < 32 && set >> i; i++) {
            uint32_t line = word * 32 + i;
            if (set >> i & 1 && p->priority[line] > floor) {
                floor = p->priority[line];
                found = line;
            }
        }
    }
    return found;
}

/* The threshold does not matter for a claim ("Interrupt Claim Process"). */
static uint32_t claim(hvc_plic *p, const hvc_plic_context *c)
{
    uint32_t line = best(p, c, 0);
    if (line) {
        put_bit(p->pending, line, false);
        put_bit(p->in_service, line, true);
    }
    return line;
}

/* Ignored for what is not enabled for the context ("Interrupt Completion"). */
static void complete(hvc_plic *p, const hvc_plic_context *c, uint32_t line)
{
    if (line <= p->lines && bit(c->enable, line)) {
        put_bit(p->in_service, line, false);
        gateway(p, line);
    }
}

/* ---- registers ------------------------------------------------------------------------------- */

/* What an offset names; `index` counts lines or words. */
typedef struct place {
    enum { NOTHING, PRIORITY, PENDING_WORD, ENABLE_WORD, CONTROL } kind;
    hvc_plic_context *context;
    uint32_t index;
} place;

static place of_context(hvc_plic *p, uint64_t context, uint64_t within, int kind)
{
    place at = {NOTHING, NULL, 0};
    if (context < p->contexts) {
        at = (place){.kind = kind, .context = &p->context[context], .index = (uint32_t)within};
    }
    return at;
}

static place find(hvc_plic *p, uint64_t offset)
{
    if (offset >= CONTEXT) {
        uint64_t at = offset - CONTEXT;
        return of_context(p, at / CONTEXT_EACH, at % CONTEXT_EACH, CONTROL);
    }
    if (offset >= ENABLE) {
        uint64_t at = offset - ENABLE;
        return of_context(p, at / ENABLE_EACH, at % ENABLE_EACH / 4, ENABLE_WORD);
    }
    if (offset >= PENDING) {
        uint32_t word = (uint32_t)(offset - PENDING) / 4;
        return (place){word < HVC_PLIC_WORDS ? PENDING_WORD : NOTHING, NULL, word};
    }
    uint32_t line = (uint32_t)offset / 4;
    return (place){line && line <= p->lines ? PRIORITY : NOTHING, NULL, line};
}

uint32_t hvc_plic_read(hvc_plic *p, uint64_t offset)
{
    place at = find(p, offset);
    switch (at.kind) {
    case PRIORITY:
        return p->priority[at.index];
    case PENDING_WORD:
        return p->pending[at.index];
    case ENABLE_WORD:
        return at.context->enable[at.index];
    case CONTROL:
        return at.index == THRESHOLD ? at.context->threshold
               : at.index == CLAIM   ? claim(p, at.context)
                                     : 0;
    case NOTHING:
        break;
    }
    return 0;
}

static void control(hvc_plic *p, place at, uint32_t value)
{
    if (at.index == THRESHOLD) {
        at.context->threshold = value & HVC_PLIC_PRIORITIES;
    } else if (at.index == CLAIM) {
        complete(p, at.context, value);
    }
}

void hvc_plic_write(hvc_plic *p, uint64_t offset, uint32_t value)
{
    place at = find(p, offset);
    switch (at.kind) {
    case PRIORITY:
        p->priority[at.index] = (uint8_t)(value & HVC_PLIC_PRIORITIES);
        break;
    case ENABLE_WORD:
        at.context->enable[at.index] = value & existing(p, at.index);
        break;
    case CONTROL:
        control(p, at, value);
        break;
    case PENDING_WORD: /* read-only */
    case NOTHING:
        break;
    }
}

uint32_t hvc_plic_changed(hvc_plic *p, uint32_t from)
{
    for (uint32_t i = from; i < p->contexts; i++) {
        hvc_plic_context *c = &p->context[i];
        uint32_t output = best(p, c, c->threshold) != 0;
        if (output != c->output) {
            c->output = output;
            return i;
        }
    }
    return p->contexts;
}
