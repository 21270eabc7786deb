/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors of at_vectors.json as cases of at_world.h. */
#ifndef HVC_TESTS_AT_VECTORS_H
#define HVC_TESTS_AT_VECTORS_H

#include "tests/unit/at_world.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"
#include "tests/unit/vectors.h"

enum { AT_VECTORS = 203 };

typedef struct at_vector {
    json_object *json;
    const char *name;
    uint32_t op;
    uint64_t va;
    bool pan;
    unsigned el;
    at_world world;
    at_case start; /* before the instruction */
} at_vector;

/* Features of a profile; every name must be known. */
static inline void at_vector_features(json_object *doc, const char *profile, hvcore_at_state *at)
{
    json_object *all = hvc_json_at(hvc_json_at(hvc_json_at(doc, "profiles"), profile), "features");

    CU_ASSERT_PTR_NOT_NULL_FATAL(all);
    at->walk.features = HVCORE_ARM64_FEAT_EL2;
    json_object_object_foreach(all, name, value)
    {
        uint64_t v = hvc_json_u64(value, "");
        bool known = strcmp(name, "pa_bits") == 0;

        if (known) {
            at->walk.pa_bits = (uint32_t)v;
        }
        for (size_t i = 0; i < AT_COUNT(at_features); i++) {
            if (strcmp(at_features[i].name, name) == 0) {
                known = true;
                at->walk.features |= v >= at_features[i].from ? at_features[i].walk : 0;
                at->features |= v >= at_features[i].from ? at_features[i].at : 0;
            }
        }
        CU_ASSERT_FATAL(known);
    }
}

static inline void at_vector_load(json_object *doc, json_object *json, at_vector *v)
{
    json_object *regs = hvc_json_at(json, "regs");

    memset(v, 0, sizeof *v);
    v->json = json;
    v->name = hvc_json_str_or(json, "name", "?");
    v->op = at_op(hvc_json_str_or(json, "op", ""));
    v->va = hvc_json_u64(json, "va");
    v->pan = hvc_json_u64(json, "pan");
    v->el = (unsigned)hvc_json_u64(json, "exec_el");
    CU_ASSERT_FATAL(v->op < HVCORE_AT_OPS);
    at_vector_features(doc, hvc_json_str_or(json, "profile", ""), &v->start.state.at);
    json_object_object_foreach(regs, name, value)
    {
        uint64_t *reg = at_register(&v->start.sys, name);

        CU_ASSERT_PTR_NOT_NULL_FATAL(reg);
        *reg = hvc_json_u64(value, "");
    }
    for (size_t i = 0; i < hvc_json_len(json, "mem"); i++) {
        json_object *word = json_object_array_get_idx(hvc_json_at(json, "mem"), i);

        at_put(&v->world, hvc_json_u64(word, "0"), hvc_json_u64(word, "1"));
    }
    at_begin(&v->start, v->op, v->va, v->pan, v->el);
}

/* Calls `check` for every vector, and names those at which it failed. */
static inline void at_vectors_each(void (*check)(const at_vector *v))
{
    static at_vector v;
    json_object *doc = hvc_vectors_open("at_vectors.json");
    size_t at = 0, n = 0;

    for (json_object *json; (json = hvc_vectors_next(doc, NULL, &at)); n++) {
        unsigned before = CU_get_number_of_failures();

        at_vector_load(doc, json, &v);
        check(&v);
        if (CU_get_number_of_failures() != before) {
            fprintf(stderr, "\n    %s: %s", v.name, hvc_json_str_or(json, "covers", ""));
        }
    }
    CU_ASSERT_EQUAL(n, AT_VECTORS);
    json_object_put(doc);
}

static inline uint64_t at_swap(uint64_t x)
{
    uint64_t out = 0;

    for (int i = 0; i < 8; i++) {
        out = out << 8 | (x >> 8 * i & 0xff);
    }
    return out;
}

/* The walker's request behind a vector (specs at-walker.md, 1: regime selection). */
static inline hvcore_arm64_walk_request at_vector_request(const at_vector *v)
{
    uint64_t hcr = v->start.sys.hcr_el2;
    bool e2h = hcr >> 34 & 1, host = e2h && hcr >> 27 & 1;
    hvcore_arm64_walk_request q = {v->va, HVCORE_ARM64_REGIME_EL10, 0};
    hvcore_at_insn insn;

    CU_ASSERT_FATAL(hvcore_at_decode(v->start.event.syndrome, &insn));
    if (insn.el == 2) {
        q.regime = e2h ? HVCORE_ARM64_REGIME_EL20 : HVCORE_ARM64_REGIME_EL2;
    } else if (host) {
        q.regime = HVCORE_ARM64_REGIME_EL20;
    }
    q.access = insn.access & ~(v->pan ? 0u : (uint32_t)HVCORE_ARM64_ACCESS_PAN);
    q.access |= insn.both ? (uint32_t)HVCORE_ARM64_ACCESS_STAGE2 : 0;
    q.access |= v->el == 1 ? (uint32_t)HVCORE_ARM64_ACCESS_AT_EL1 : 0;
    return q;
}

static inline bool at_vector_undefined(const at_vector *v)
{
    return strcmp(hvc_json_str_or(v->json, "exception.kind", ""), "undefined") == 0;
}

#endif
