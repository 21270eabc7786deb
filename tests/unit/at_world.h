/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the arm64 walker and of AT share: a memory of words, registers and features by
 * the names of at_vectors.json, and one instruction from its trap to its end.
 *
 * RAM is 0x40000000 to 0x7fffffff and reads as zero; words may stand elsewhere too; all other
 * addresses are no memory.
 */
#ifndef HVC_TESTS_AT_WORLD_H
#define HVC_TESTS_AT_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <hvcore/fixup/arm64_state.h>

#define AT_BIT(n) (UINT64_C(1) << (n))
#define AT_COUNT(a) (sizeof(a) / sizeof(a)[0])
#define AT_PAGE 12

enum { AT_WORDS = 512, AT_LOG = 64, AT_PAGES = 64 };

typedef struct at_world {
    struct {
        uint64_t pa, value;
    } word[AT_WORDS];
    size_t words;
    struct {
        uint64_t pa, old, value;
    } wrote[AT_LOG];
    size_t writes;
    uint64_t absent[AT_PAGES]; /* pages that are not resident */
    size_t absents;
    unsigned reads, swaps;
    unsigned fire_at; /* before this read or swap (from 1), `fire` is called; 0: never */
    unsigned fire_every;
    void (*fire)(struct at_world *w);
    unsigned events;
    bool held;     /* nobody fires now */
    unsigned lose; /* so many swaps find the word changed */
} at_world;

static inline size_t at_find(const at_world *w, uint64_t pa)
{
    size_t i = 0;

    while (i < w->words && w->word[i].pa != pa) {
        i++;
    }
    return i;
}

static inline bool at_has(const at_world *w, uint64_t pa)
{
    return at_find(w, pa) < w->words || (pa >= 0x40000000 && pa < 0x80000000);
}

static inline uint64_t at_get(const at_world *w, uint64_t pa)
{
    size_t i = at_find(w, pa);

    return i < w->words ? w->word[i].value : 0;
}

static inline void at_put(at_world *w, uint64_t pa, uint64_t value)
{
    size_t i = at_find(w, pa);

    if (i == AT_WORDS) {
        return;
    }
    w->words += i == w->words;
    w->word[i].pa = pa;
    w->word[i].value = value;
}

static inline size_t at_absent(const at_world *w, uint64_t pa)
{
    size_t i = 0;

    while (i < w->absents && w->absent[i] != pa >> AT_PAGE) {
        i++;
    }
    return i;
}

static inline void at_take_out(at_world *w, uint64_t pa)
{
    if (at_absent(w, pa) == w->absents && w->absents < AT_PAGES) {
        w->absent[w->absents++] = pa >> AT_PAGE;
    }
}

static inline void at_bring_in(at_world *w, uint64_t pa)
{
    size_t i = at_absent(w, pa);

    if (i < w->absents) {
        w->absent[i] = w->absent[--w->absents];
    }
}

static inline void at_event(at_world *w)
{
    w->events++;
    if (w->fire && !w->held &&
        (w->events == w->fire_at || (w->fire_every && w->events % w->fire_every == 0))) {
        w->fire(w);
    }
}

static inline int at_access(const at_world *w, uint64_t pa)
{
    if (!at_has(w, pa)) {
        return HVCORE_ARM64_MEM_NO_MEMORY;
    }
    return at_absent(w, pa) < w->absents ? HVCORE_ARM64_MEM_NOT_RESIDENT : HVCORE_ARM64_MEM_OK;
}

static inline int at_read64(void *user, uint64_t pa, uint64_t *value)
{
    at_world *w = user;

    at_event(w);
    w->reads++;
    *value = at_get(w, pa);
    return at_access(w, pa);
}

static inline int at_cas64(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    at_world *w = user;
    int status;

    at_event(w);
    w->swaps++;
    status = at_access(w, pa);
    if (status != HVCORE_ARM64_MEM_OK) {
        return status;
    }
    if (w->lose) {
        w->lose--;
        return HVCORE_ARM64_MEM_CHANGED;
    }
    if (at_get(w, pa) != expected) {
        return HVCORE_ARM64_MEM_CHANGED;
    }
    at_put(w, pa, desired);
    if (w->writes < AT_LOG) {
        w->wrote[w->writes].pa = pa;
        w->wrote[w->writes].old = expected;
        w->wrote[w->writes].value = desired;
    }
    w->writes++;
    return HVCORE_ARM64_MEM_OK;
}

static inline hvcore_arm64_walk_mem at_mem(at_world *w)
{
    return (hvcore_arm64_walk_mem){w, at_read64, at_cas64};
}

/* ---- names ---- */

static inline uint64_t *at_register(hvcore_arm64_sys *sys, const char *name)
{
#define AT_REGISTER(reg)               \
    if (strcasecmp(name, #reg) == 0) { \
        return &sys->reg;              \
    }
    HVCORE_ARM64_SYS(AT_REGISTER)
#undef AT_REGISTER
    return NULL;
}

static inline uint32_t at_op(const char *name)
{
    static const char *const names[] = {"S1E1R",  "S1E1W",  "S1E0R",  "S1E0W", "S1E1RP",
                                        "S1E1WP", "S1E1A",  "S1E2R",  "S1E2W", "S1E2A",
                                        "S12E1R", "S12E1W", "S12E0R", "S12E0W"};
    uint32_t i = 0;

    while (i < AT_COUNT(names) && strcmp(names[i], name) != 0) {
        i++;
    }
    return i;
}

/* ISS of AT op, Rt = 0 (specs at-walker.md, 1). */
static inline uint32_t at_iss(uint32_t op)
{
    static const uint32_t iss[] = {0x101c10, 0x121c10, 0x141c10, 0x161c10, 0x101c12,
                                   0x121c12, 0x141c12, 0x111c10, 0x131c10, 0x151c12,
                                   0x191c10, 0x1b1c10, 0x1d1c10, 0x1f1c10};

    return iss[op];
}

/* A feature of the vectors: bits of hvcore_arm64_walk_options.features and of hvcore_at_state's. */
typedef struct at_feature {
    const char *name;
    uint64_t from; /* the value that brings it */
    uint32_t walk, at;
} at_feature;

static const at_feature at_features[] = {
    {"tgran4", 1, HVCORE_ARM64_FEAT_TGRAN4, 0},
    {"tgran16", 1, HVCORE_ARM64_FEAT_TGRAN16, 0},
    {"tgran64", 1, HVCORE_ARM64_FEAT_TGRAN64, 0},
    {"s2_tgran4", 1, HVCORE_ARM64_FEAT_S2_TGRAN4, 0},
    {"s2_tgran16", 1, HVCORE_ARM64_FEAT_S2_TGRAN16, 0},
    {"s2_tgran64", 1, HVCORE_ARM64_FEAT_S2_TGRAN64, 0},
    {"lpa2_4", 1, HVCORE_ARM64_FEAT_LPA2_4, 0},
    {"lpa2_16", 1, HVCORE_ARM64_FEAT_LPA2_16, 0},
    {"s2_lpa2_4", 1, HVCORE_ARM64_FEAT_S2_LPA2_4, 0},
    {"s2_lpa2_16", 1, HVCORE_ARM64_FEAT_S2_LPA2_16, 0},
    {"lva", 1, HVCORE_ARM64_FEAT_LVA, 0},
    {"ttst", 1, HVCORE_ARM64_FEAT_TTST, 0},
    {"hafdbs", 1, HVCORE_ARM64_FEAT_AF, 0},
    {"hafdbs", 2, HVCORE_ARM64_FEAT_DIRTY, 0},
    {"hpds", 1, HVCORE_ARM64_FEAT_HPDS, 0},
    {"e0pd", 1, HVCORE_ARM64_FEAT_E0PD, 0},
    {"pan", 2, 0, HVCORE_AT_FEAT_PAN2},
    {"pan", 3, HVCORE_ARM64_FEAT_PAN3, 0},
    {"fwb", 1, HVCORE_ARM64_FEAT_FWB, 0},
    {"xnx", 9, 0, 0}, /* execute never matters */
    {"nv1", 1, HVCORE_ARM64_FEAT_NV1, 0},
    {"tcr2", 1, HVCORE_ARM64_FEAT_TCR2, 0},
    {"s1pie", 1, HVCORE_ARM64_FEAT_S1PIE, 0},
    {"s1poe", 1, HVCORE_ARM64_FEAT_S1POE, 0},
    {"s2pie", 1, HVCORE_ARM64_FEAT_S2PIE, 0},
    {"aie", 1, HVCORE_ARM64_FEAT_AIE, 0},
    {"mte2", 1, HVCORE_ARM64_FEAT_MTE2, 0},
    {"xs", 1, HVCORE_ARM64_FEAT_XS, 0},
    {"ats1a", 1, 0, HVCORE_AT_FEAT_ATS1A},
};

/* ---- one instruction ---- */

typedef struct at_case {
    hvcore_arm64_frame frame;
    hvcore_arm64_sys sys;
    hvcore_event event;
    hvcore_arm64_state state;
} at_case;

/* AT op, X5 at a pc; executed at EL2 or EL1 of a guest that has all registers at hand. */
static inline void at_begin(at_case *c, uint32_t op, uint64_t va, bool pan, unsigned el)
{
    uint32_t rt = 5;

    c->frame.x[rt] = va;
    c->frame.pc = UINT64_C(0xffff000080001234);
    c->frame.spsr = 5 | (pan ? AT_BIT(22) : 0) | 3 << 10;
    c->sys.size = sizeof c->sys;
    c->sys.have = UINT64_MAX;
    c->event = (hvcore_event)HVCORE_EVENT_INIT;
    c->event.have = HVCORE_HAVE_SYNDROME | HVCORE_HAVE_MODE | HVCORE_HAVE_PC;
    c->event.mode = el == 2 ? HVCORE_ARM64_VEL2 : el == 1 ? HVCORE_ARM64_EL1 : HVCORE_ARM64_EL0;
    c->event.pc = c->frame.pc;
    c->event.syndrome = UINT64_C(0x18) << 26 | AT_BIT(25) | at_iss(op) | rt << 5;
    c->state.size = sizeof c->state;
    c->state.version = 1;
}

/* Serves what a loop serves, the hold and pages, and counts. */
typedef struct at_served {
    unsigned pages, holds;
    uint64_t page[AT_PAGES];
    unsigned wrote[AT_PAGES];
} at_served;

static inline hvcore_result at_run(at_case *c, at_world *w, at_served *s)
{
    hvcore_arm64_walk_mem mem = at_mem(w);
    hvcore_result r;

    memset(s, 0, sizeof *s);
    for (;;) {
        w->held = c->state.at.held == 1;
        r = hvcore_at_walk(&c->frame, &c->sys, &c->event, &c->state, &mem);
        w->held = false;
        if (r.kind == HVCORE_RESULT_NEED_HOLD && s->holds < 8) {
            s->holds++;
            c->state.at.held = 1;
        } else if (r.kind == HVCORE_RESULT_NEED_PAGE && s->pages < AT_PAGES) {
            s->page[s->pages] = r.addr >> AT_PAGE;
            s->wrote[s->pages++] = r.arg;
            at_bring_in(w, r.addr);
        } else {
            return r;
        }
    }
}
#endif
