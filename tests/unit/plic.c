/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PLIC (lib/irqchip): directed sequences from its specification, version 1.0.0, and random ones
 * against a second, literal transcription that keeps everything as plain arrays.
 */
#include "lib/irqchip/plic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/random.h"
#include "tests/unit/unit.h"

/* The memory map of the specification ("Memory Map"). */
#define PRIORITY(line) (4 * (uint64_t)(line))
#define PENDING(word) (0x1000 + 4 * (uint64_t)(word))
#define ENABLE(ctx, word) (0x2000 + 0x80 * (uint64_t)(ctx) + 4 * (uint64_t)(word))
#define THRESHOLD(ctx) (0x200000 + 0x1000 * (uint64_t)(ctx))
#define CLAIM(ctx) (0x200004 + 0x1000 * (uint64_t)(ctx))
#define LENGTH 0x4000000

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

static hvc_plic *plic_new(uint32_t lines, uint32_t contexts)
{
    hvc_plic *p = calloc(1, hvc_plic_size(contexts));

    if (!p)
        abort();
    hvc_plic_init(p, lines, contexts);
    return p;
}

/* The outputs after everything has been reported, as a set of contexts. */
static uint64_t outputs(hvc_plic *p)
{
    uint64_t set = 0;

    for (uint32_t i = 0; (i = hvc_plic_changed(p, i)) < p->contexts;)
        i++;
    for (uint32_t i = 0; i < p->contexts && i < 64; i++)
        set |= (uint64_t)p->context[i].output << i;
    return set;
}

#define SAME(a, b) CU_ASSERT_EQUAL((uint64_t)(a), (uint64_t)(b))

/* --- directed --------------------------------------------------------------------------------- */

static void flow(void)
{
    hvc_plic *p = plic_new(95, 2);

    SAME(outputs(p), 0);
    hvc_plic_line(p, 10, true);
    SAME(hvc_plic_read(p, PENDING(0)), 1u << 10);
    SAME(outputs(p), 0); /* not enabled, priority 0 */
    hvc_plic_write(p, ENABLE(1, 0), 1u << 10);
    SAME(outputs(p), 0); /* priority 0 never interrupts */
    SAME(hvc_plic_read(p, CLAIM(1)), 0);
    hvc_plic_write(p, PRIORITY(10), 1);
    SAME(outputs(p), 2);
    SAME(hvc_plic_read(p, CLAIM(0)), 0); /* not enabled there */
    SAME(hvc_plic_read(p, CLAIM(1)), 10);
    SAME(hvc_plic_read(p, PENDING(0)), 0); /* the claim clears it ... */
    SAME(outputs(p), 0);
    SAME(hvc_plic_read(p, CLAIM(1)), 0); /* ... and it is in service: high, yet not pending */
    hvc_plic_line(p, 10, true);
    SAME(outputs(p), 0);
    hvc_plic_write(p, CLAIM(1), 10); /* still high: again */
    SAME(hvc_plic_read(p, PENDING(0)), 1u << 10);
    SAME(outputs(p), 2);
    SAME(hvc_plic_read(p, CLAIM(1)), 10);
    hvc_plic_line(p, 10, false);
    hvc_plic_write(p, CLAIM(1), 10);
    SAME(hvc_plic_read(p, PENDING(0)), 0);
    SAME(outputs(p), 0);
    free(p);
}

/* "If a level-sensitive interrupt source deasserts the interrupt after the PLIC core accepts the
 * request ..., the interrupt request remains present in the IP bit." */
static void gateways(void)
{
    hvc_plic *p = plic_new(40, 1);

    hvc_plic_write(p, PRIORITY(40), 7);
    hvc_plic_write(p, ENABLE(0, 1), 1u << 8);
    hvc_plic_line(p, 40, true);
    hvc_plic_line(p, 40, false);
    SAME(hvc_plic_read(p, PENDING(1)), 1u << 8);
    SAME(outputs(p), 1);
    SAME(hvc_plic_read(p, CLAIM(0)), 40);
    hvc_plic_line(p, 40, true); /* rises while in service: waits for the completion */
    SAME(outputs(p), 0);
    hvc_plic_line(p, 40, false);
    hvc_plic_write(p, CLAIM(0), 40);
    SAME(outputs(p), 0);
    free(p);
}

/* By priority, then by the smaller number; the threshold masks the output and not the claim. */
static void priorities(void)
{
    hvc_plic *p = plic_new(64, 1);

    for (uint32_t line = 1; line <= 64; line++) {
        hvc_plic_write(p, PRIORITY(line), line % 2 ? 3 : 5);
        hvc_plic_line(p, line, true);
    }
    hvc_plic_write(p, ENABLE(0, 0), UINT32_MAX);
    hvc_plic_write(p, ENABLE(0, 1), UINT32_MAX);
    hvc_plic_write(p, ENABLE(0, 2), UINT32_MAX);
    hvc_plic_write(p, THRESHOLD(0), 5);
    SAME(outputs(p), 0); /* not above the threshold */
    SAME(hvc_plic_read(p, CLAIM(0)), 2);
    hvc_plic_write(p, THRESHOLD(0), 4);
    SAME(outputs(p), 1);
    for (uint32_t line = 4; line <= 64; line += 2)
        SAME(hvc_plic_read(p, CLAIM(0)), line);
    SAME(outputs(p), 0);
    hvc_plic_write(p, THRESHOLD(0), 2);
    SAME(outputs(p), 1);
    for (uint32_t line = 1; line <= 63; line += 2)
        SAME(hvc_plic_read(p, CLAIM(0)), line);
    SAME(hvc_plic_read(p, CLAIM(0)), 0);
    free(p);
}

/* A completion of what is not enabled for the context is ignored, of what it has not claimed it is
 * not; numbers that do not exist do nothing. */
static void completion(void)
{
    hvc_plic *p = plic_new(8, 2);

    hvc_plic_write(p, PRIORITY(3), 1);
    hvc_plic_write(p, ENABLE(0, 0), 1u << 3);
    hvc_plic_line(p, 3, true);
    SAME(hvc_plic_read(p, CLAIM(0)), 3);
    hvc_plic_write(p, CLAIM(1), 3);
    SAME(outputs(p), 0);
    for (uint32_t id = 4; id < 5000; id++)
        hvc_plic_write(p, CLAIM(0), id);
    hvc_plic_write(p, CLAIM(0), 0);
    hvc_plic_write(p, CLAIM(0), UINT32_MAX);
    SAME(outputs(p), 0);
    hvc_plic_write(p, ENABLE(0, 0), 0);
    hvc_plic_write(p, CLAIM(0), 3);
    SAME(hvc_plic_read(p, PENDING(0)), 0);
    hvc_plic_write(p, ENABLE(1, 0), 1u << 3);
    hvc_plic_write(p, CLAIM(1), 3);
    SAME(hvc_plic_read(p, PENDING(0)), 1u << 3);
    SAME(outputs(p), 2);
    free(p);
}

/* One interrupt, enabled for two contexts: both are told, the first that claims has it. */
static void two_contexts(void)
{
    hvc_plic *p = plic_new(8, 64);

    hvc_plic_write(p, PRIORITY(8), 2);
    hvc_plic_write(p, ENABLE(0, 0), 1u << 8);
    hvc_plic_write(p, ENABLE(63, 0), 1u << 8);
    hvc_plic_line(p, 8, true);
    SAME(outputs(p), 1 | UINT64_C(1) << 63);
    SAME(hvc_plic_read(p, CLAIM(63)), 8);
    SAME(outputs(p), 0);
    SAME(hvc_plic_read(p, CLAIM(0)), 0);
    free(p);
}

/* What can be written where, in controllers of several sizes. */
static void registers(void)
{
    static const uint32_t lines[] = {1, 30, 31, 32, 33, 63, 64, 95, 96, 1022, 1023};

    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        hvc_plic *p = plic_new(lines[k], 3);

        for (uint32_t line = 0; line < 1024; line++) {
            hvc_plic_write(p, PRIORITY(line), UINT32_MAX);
            SAME(hvc_plic_read(p, PRIORITY(line)), line && line <= lines[k] ? 7 : 0);
        }
        for (uint32_t ctx = 0; ctx < 5; ctx++) {
            hvc_plic_write(p, THRESHOLD(ctx), 0xfffffffd);
            SAME(hvc_plic_read(p, THRESHOLD(ctx)), ctx < 3 ? 5 : 0);
            for (uint32_t word = 0; word < 32; word++) {
                uint32_t want = 0;

                for (uint32_t i = 0; i < 32; i++)
                    if (ctx < 3 && word * 32 + i >= 1 && word * 32 + i <= lines[k])
                        want |= 1u << i;
                hvc_plic_write(p, ENABLE(ctx, word), UINT32_MAX);
                SAME(hvc_plic_read(p, ENABLE(ctx, word)), want);
            }
        }
        for (uint32_t word = 0; word < 32; word++) {
            hvc_plic_write(p, PENDING(word), UINT32_MAX); /* read-only */
            SAME(hvc_plic_read(p, PENDING(word)), 0);
        }
        free(p);
    }
}

/* Every offset of the map, and some beyond it: what is reserved reads 0 and changes nothing. */
static void whole_map(void)
{
    size_t size = hvc_plic_size(2);
    hvc_plic *p = plic_new(95, 2), *was = malloc(size);

    if (!was)
        abort();
    memcpy(was, p, size);
    for (uint64_t at = 0; at < LENGTH + 0x2000; at += 4) {
        bool named = (at && at <= 4 * 95) || (at >= ENABLE(0, 0) && at < ENABLE(2, 0)) ||
                     at == THRESHOLD(0) || at == THRESHOLD(1);
        uint32_t value = (uint32_t)rnd() | 0x80000002;

        hvc_plic_write(p, at, value);
        if (named) {
            hvc_plic_write(p, at, 0);
        } else if (hvc_plic_read(p, at) || memcmp(p, was, size)) {
            CU_FAIL("a reserved offset is something");
            break;
        }
    }
    SAME(memcmp(p, was, size), 0);
    free(was);
    free(p);
}

/* Each change of an output is reported once. */
static void reports(void)
{
    hvc_plic *p = plic_new(4, 3);

    hvc_plic_write(p, PRIORITY(1), 1);
    hvc_plic_write(p, ENABLE(0, 0), 2);
    hvc_plic_write(p, ENABLE(2, 0), 2);
    SAME(hvc_plic_changed(p, 0), 3);
    hvc_plic_line(p, 1, true);
    SAME(hvc_plic_changed(p, 1), 2);
    SAME(hvc_plic_changed(p, 0), 0);
    SAME(hvc_plic_changed(p, 0), 3);
    SAME(p->context[0].output + 10 * p->context[2].output, 11);
    hvc_plic_write(p, THRESHOLD(2), 1);
    SAME(hvc_plic_changed(p, 0), 2);
    SAME(p->context[2].output, 0);
    free(p);
}

/* --- against a transcription ------------------------------------------------------------------ */

enum { LINES = 70, CONTEXTS = 3 };

typedef struct model {
    bool level[LINES + 1], ip[LINES + 1], busy[LINES + 1], enable[CONTEXTS][LINES + 1];
    uint32_t priority[LINES + 1], threshold[CONTEXTS];
} model;

/* A gateway forwards a request if its line is high and it does not wait for a completion. */
static void model_gateways(model *m)
{
    for (uint32_t i = 1; i <= LINES; i++)
        if (m->level[i] && !m->busy[i])
            m->ip[i] = true;
}

/* The largest priority above `floor` among what is pending and enabled; then the smallest id. */
static uint32_t model_best(const model *m, uint32_t ctx, uint32_t floor)
{
    for (uint32_t priority = 7; priority > floor; priority--)
        for (uint32_t i = 1; i <= LINES; i++)
            if (m->ip[i] && m->enable[ctx][i] && m->priority[i] == priority)
                return i;
    return 0;
}

static uint32_t model_claim(model *m, uint32_t ctx)
{
    uint32_t i = model_best(m, ctx, 0);

    if (i) {
        m->ip[i] = false;
        m->busy[i] = true;
    }
    return i;
}

static uint32_t model_word(const bool *set, uint32_t word)
{
    uint32_t value = 0;

    for (uint32_t i = 0; i < 32; i++)
        if (word * 32 + i <= LINES && set[word * 32 + i])
            value |= 1u << i;
    return value;
}

static void model_enable(model *m, uint32_t ctx, uint32_t word, uint32_t value)
{
    for (uint32_t i = 0; i < 32; i++)
        if (word * 32 + i >= 1 && word * 32 + i <= LINES)
            m->enable[ctx][word * 32 + i] = value >> i & 1;
}

/* One random operation on both; true: they agree. */
static bool both(hvc_plic *p, model *m)
{
    uint32_t line = 1 + (uint32_t)(rnd() % LINES), ctx = (uint32_t)(rnd() % CONTEXTS);
    uint32_t word = (uint32_t)(rnd() % 3), value = (uint32_t)(rnd() & rnd());

    switch (rnd() % 8) {
    case 0:
    case 1:
        hvc_plic_line(p, line, value & 1);
        m->level[line] = value & 1;
        break;
    case 2:
        hvc_plic_write(p, PRIORITY(line), value);
        m->priority[line] = value & 7;
        break;
    case 3:
        hvc_plic_write(p, ENABLE(ctx, word), ~value);
        model_enable(m, ctx, word, ~value);
        break;
    case 4:
        hvc_plic_write(p, THRESHOLD(ctx), value);
        m->threshold[ctx] = value & 7;
        break;
    case 5:
        value = model_claim(m, ctx);
        model_gateways(m);
        return hvc_plic_read(p, CLAIM(ctx)) == value;
    case 6:
        line = rnd() % 4 ? line : (uint32_t)rnd() % 2048;
        hvc_plic_write(p, CLAIM(ctx), line);
        if (line <= LINES && line && m->enable[ctx][line])
            m->busy[line] = false;
        break;
    default:
        return hvc_plic_read(p, PENDING(word)) == model_word(m->ip, word) &&
               hvc_plic_read(p, ENABLE(ctx, word)) == model_word(m->enable[ctx], word) &&
               hvc_plic_read(p, PRIORITY(line)) == m->priority[line] &&
               hvc_plic_read(p, THRESHOLD(ctx)) == m->threshold[ctx];
    }
    model_gateways(m);
    return true;
}

static void random_operations(void)
{
    static model m;
    hvc_plic *p = plic_new(LINES, CONTEXTS);
    uint64_t wrong = 0, outs = 0;

    for (int n = 0; n < 1000000; n++) {
        uint64_t want = 0;

        wrong += !both(p, &m);
        for (uint32_t ctx = 0; ctx < CONTEXTS; ctx++)
            want |= (uint64_t)(model_best(&m, ctx, m.threshold[ctx]) != 0) << ctx;
        wrong += outputs(p) != want;
        outs += want != 0;
    }
    SAME(wrong, 0);
    CU_ASSERT(outs > 10000 && outs < 990000);
    free(p);
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"claim and complete", flow},
        {"level-triggered gateways", gateways},
        {"priorities and thresholds", priorities},
        {"completions that do not match", completion},
        {"two contexts", two_contexts},
        {"registers", registers},
        {"the whole map", whole_map},
        {"reports of outputs", reports},
        {"random operations", random_operations},
        {NULL, NULL},
    };

    return hvc_unit_main("plic", tests);
}
