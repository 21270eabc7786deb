/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C walker behind a line protocol, for diff_at.py. A request is one line of words:
 *
 *     op=S1E1R va=HEX pan=0 el=2 features=HEX pa=30 sh=0 choices=HEX REGISTER=HEX ... @ADDR=WORD
 *     ...
 *
 * all numbers hexadecimal, `features` a set of positions in at_features[]. The answer is one line
 * too:
 *
 *     par=HEX fault=N level=N stage=N s1ptw=N ipa=HEX prot=N reads=ADDR:RAW,...
 *     writes=ADDR:OLD:NEW,...
 *
 * with esr=HEX far=HEX hpfar=HEX in place of `par` for an exception, and exit=N for a refusal.
 */
#include "at_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static at_case c;
static at_world world;

typedef struct request {
    uint32_t op;
    uint64_t va, pan, el, features;
} request;

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 16);
}

static void set_features(uint64_t set)
{
    c.state.at.walk.features = HVCORE_ARM64_FEAT_EL2;
    c.state.at.features = 0;
    for (size_t i = 0; i < AT_COUNT(at_features); i++) {
        if (set >> i & 1) {
            c.state.at.walk.features |= at_features[i].walk;
            c.state.at.features |= at_features[i].at;
        }
    }
}

static void set(request *q, const char *name, const char *value)
{
    hvcore_arm64_walk_options *o = &c.state.at.walk;
    uint64_t *reg = at_register(&c.sys, name);

    if (*name == '@') {
        at_put(&world, number(name + 1), number(value));
    } else if (reg) {
        *reg = number(value);
    } else if (strcmp(name, "op") == 0) {
        q->op = at_op(value);
    } else if (strcmp(name, "va") == 0) {
        q->va = number(value);
    } else if (strcmp(name, "pan") == 0) {
        q->pan = number(value);
    } else if (strcmp(name, "el") == 0) {
        q->el = number(value);
    } else if (strcmp(name, "features") == 0) {
        set_features(number(value));
    } else if (strcmp(name, "pa") == 0) {
        o->pa_bits = (uint32_t)number(value);
    } else if (strcmp(name, "sh") == 0) {
        o->reserved_sh = (uint32_t)number(value);
    } else if (strcmp(name, "choices") == 0) {
        o->choices = (uint32_t)number(value);
    } else {
        fprintf(stderr, "at_driver: %s?\n", name);
        exit(1);
    }
}

static request parse(char *line)
{
    request q = {0};

    memset(&c, 0, sizeof c);
    memset(&world, 0, sizeof world);
    for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n")) {
        char *eq = strchr(word, '=');

        if (eq) {
            *eq = 0;
            set(&q, word, eq + 1);
        }
    }
    return q;
}

/* The same walk without the unit, on a copy: what it read and knows. */
static void walk_alone(const request *q)
{
    static at_world copy;
    hvcore_arm64_walk_mem mem = at_mem(&copy);
    hvcore_arm64_walk_result r;
    hvcore_arm64_walk_request w = {q->va, HVCORE_ARM64_REGIME_EL10, 0};
    bool e2h = c.sys.hcr_el2 >> 34 & 1, host = e2h && c.sys.hcr_el2 >> 27 & 1;
    hvcore_at_insn insn;

    copy = world;
    hvcore_at_decode(c.event.syndrome, &insn);
    w.access = insn.access & ~(q->pan ? 0u : (uint32_t)HVCORE_ARM64_ACCESS_PAN);
    w.access |= insn.both ? (uint32_t)HVCORE_ARM64_ACCESS_STAGE2 : 0;
    w.access |= q->el == 1 ? (uint32_t)HVCORE_ARM64_ACCESS_AT_EL1 : 0;
    if (insn.el == 2) {
        w.regime = e2h ? HVCORE_ARM64_REGIME_EL20 : HVCORE_ARM64_REGIME_EL2;
    } else if (host) {
        w.regime = HVCORE_ARM64_REGIME_EL20;
    }
    hvcore_arm64_walk(&c.state.at.walk, &c.sys, &mem, &w, &r);
    printf(" fault=%u level=%d stage=%u s1ptw=%u ipa=%" PRIx64
           " prot=%u attr=%x sh=%u size=%" PRIx64 " reads=",
           r.fault, r.level, r.stage, r.notes & HVCORE_ARM64_NOTE_S1PTW, r.ipa, r.prot, r.attr,
           r.sh, r.size);
    for (uint32_t i = 0; i < r.reads; i++) {
        printf("%" PRIx64 ":%" PRIx64 ",", r.read[i].gpa, r.read[i].raw);
    }
}

static void answer(const request *q)
{
    at_served served;
    hvcore_result r;

    at_begin(&c, q->op, q->va, q->pan, (unsigned)q->el);
    r = at_run(&c, &world, &served);
    if (r.kind == HVCORE_RESULT_DONE) {
        printf("par=%" PRIx64, c.sys.par_el1);
    } else if (r.kind == HVCORE_RESULT_INJECT) {
        printf("esr=%x far=%" PRIx64 " hpfar=%" PRIx64, r.arg, r.addr, c.state.at.hpfar);
    } else {
        printf("exit=%u:%u", r.kind, r.arg);
    }
    printf(" writes=");
    for (size_t i = 0; i < world.writes; i++) {
        printf("%" PRIx64 ":%" PRIx64 ":%" PRIx64 ",", world.wrote[i].pa, world.wrote[i].old,
               world.wrote[i].value);
    }
}

int main(void)
{
    static char line[1 << 16];

    while (fgets(line, sizeof line, stdin)) {
        request q = parse(line);
        at_world before = world;
        at_case was;

        if (q.op >= HVCORE_AT_OPS) {
            return 1;
        }
        at_begin(&c, q.op, q.va, q.pan, (unsigned)q.el);
        was = c;
        answer(&q);
        world = before;
        c = was;
        walk_alone(&q);
        putchar('\n');
    }
    return 0;
}
