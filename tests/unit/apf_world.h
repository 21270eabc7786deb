/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine of apf.h with its area, and its operations by name as apf_model.py has them:
 * what comes back is text, the JSON of what the model returns. For the vectors and the
 * differential.
 */
#ifndef HVC_TESTS_APF_WORLD_H
#define HVC_TESTS_APF_WORLD_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hvcore/fixup/apf.h>

/* What GATE_DEFAULTS of the model says, as far as it is the caller's business. */
#define APF_GOOD                                                                              \
    (HVCORE_APF_FACT_PAGER_ASYNC | HVCORE_APF_FACT_RESTARTABLE | HVCORE_APF_FACT_TOKEN_FREE | \
     HVCORE_APF_FACT_MMU_ON | HVCORE_APF_FACT_EV_REGISTERED | HVCORE_APF_FACT_EV_ENABLED |    \
     HVCORE_APF_FACT_IRQ_LINE_OK)

typedef struct apf_world {
    hvcore_apf_state s;
    hvcore_apf_requests q;
    uint8_t area[8192];
    char text[8192];
    size_t len;
} apf_world;

/* One operation; what it does not use is 0. */
typedef struct apf_op {
    char name[24];
    uint64_t a;     /* gpa, gfn, token, cons, count */
    uint64_t flags; /* enable: flags; np_complete: failed */
    uint64_t select, compare, pstate;
    uint32_t facts; /* fault */
    uint32_t usable;
} apf_op;

static const char *const apf_decisions[] = {"BLOCK", "HALT", "ASYNC"};
static const char *const apf_reasons[] = {
    "OK",      "PAGER_SYNC", "HOST_ACCESS", "DISABLED", "AREA",    "SELF",    "DUP",
    "NOTOKEN", "NPBUSY",     "NESTED",      "MMUOFF",   "KERNEL",  "GATE",    "INHIBIT",
    "PENDEXC", "STEP",       "EVTOFF",      "EVTMASK",  "EVTBUSY", "IRQMASK", "IRQPRIO"};
static const char *const apf_outcomes[] = {"STALE", "CANCELLED", "SILENT", "HELD", "POSTED"};
static const char *const apf_states[] = {"FREE", "QUEUED", "NOTIFIED", "COMPLETED"};

#define APF_SAY(w, ...) \
    ((w)->len += (size_t)snprintf((w)->text + (w)->len, sizeof(w)->text - (w)->len, __VA_ARGS__))

static inline uint32_t apf_get32(const apf_world *w, uint32_t off)
{
    const uint8_t *p = w->area + off;

    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void apf_put32(apf_world *w, uint32_t off, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        w->area[off + (uint32_t)i] = (uint8_t)(value >> 8 * i);
    }
}

static inline uint32_t apf_cons(const apf_world *w)
{
    return apf_get32(w, w->s.layout.g0 + HVCORE_APF_G0_CONS);
}

static inline void apf_say_check(apf_world *w, const hvcore_apf_request *r)
{
    uint32_t ring = w->s.layout.ring + 4 * (r->token & (w->s.layout.cap - 1));
    uint32_t irq = hvcore_apf_wants_interrupt(&w->s, r->token, apf_get32(w, r->off));

    APF_SAY(w, "[\"READY\",%" PRIu32 ",{\"irq\":%s}],", apf_get32(w, ring), irq ? "true" : "false");
}

static inline void apf_perform(apf_world *w, const hvcore_apf_request *r, bool header)
{
    uint32_t generation = w->s.layout.h1 + HVCORE_APF_H1_BROADCAST;

    switch (r->kind) {
    case HVCORE_APF_WRITE:
        memcpy(w->area + r->off, r->bytes, r->len);
        if (header && r->off == 0) {
            APF_SAY(w, "[\"HEADER\"],");
        }
        break;
    case HVCORE_APF_CHECK:
        apf_say_check(w, r);
        break;
    case HVCORE_APF_RAISE:
        APF_SAY(w, "[\"WAKEALL\",%" PRIu32 "],", apf_get32(w, generation));
        break;
    case HVCORE_APF_JOB:
        APF_SAY(w, "[\"JOB\",%" PRIu64 "],", r->ipa >> 12);
        break;
    case HVCORE_APF_EVENT:
        APF_SAY(w, "[\"DISPATCH\",%" PRIu32 "],", r->token);
        break;
    default:
        break;
    }
}

static inline void apf_say_actions(apf_world *w, bool header)
{
    APF_SAY(w, "[");
    for (uint32_t i = 0; i < w->q.count; i++) {
        apf_perform(w, &w->q.list[i], header);
    }
    w->len -= w->text[w->len - 1] == ',';
    APF_SAY(w, "]");
}

static inline void apf_do_enable(apf_world *w, const apf_op *op)
{
    int32_t status =
        hvcore_apf_enable(&w->s, op->a, op->flags, op->select, op->compare, op->usable, &w->q);

    if (status == 0) {
        memset(w->area, 0, sizeof w->area); /* the guest does that */
    }
    APF_SAY(w, "[%" PRId32 ",", status);
    apf_say_actions(w, true);
    APF_SAY(w, "]");
}

static inline void apf_do_disable(apf_world *w, const apf_op *op)
{
    uint32_t dropped;
    int32_t status = hvcore_apf_disable(&w->s, &dropped, &w->q);

    (void)op;
    APF_SAY(w, "[%" PRId32 ",%" PRIu32 "]", status, dropped);
}

static inline void apf_do_fault(apf_world *w, const apf_op *op)
{
    hvcore_apf_fault_info info = {
        .ipa = op->a << 12, .facts = op->facts, .pstate = op->pstate, .cons = apf_cons(w)};
    hvcore_apf_verdict v = hvcore_apf_fault(&w->s, &info, &w->q);

    APF_SAY(w, "[\"%s\",\"%s\",", apf_decisions[v.decision], apf_reasons[v.reason]);
    if (v.decision == HVCORE_APF_ASYNC) {
        APF_SAY(w, "%" PRIu32 ",", w->s.np_pending);
    } else {
        APF_SAY(w, "null,");
    }
    apf_say_actions(w, false);
    APF_SAY(w, "]");
}

static inline void apf_do_enter(apf_world *w, const apf_op *op)
{
    (void)op;
    hvcore_apf_enter(&w->s, &w->q);
    apf_say_actions(w, false);
}

static inline void apf_do_withdraw(apf_world *w, const apf_op *op)
{
    (void)op;
    APF_SAY(w, hvcore_apf_withdraw(&w->s) ? "\"WITHDRAWN\"" : "\"NONE\"");
}

static inline void apf_do_np_complete(apf_world *w, const apf_op *op)
{
    APF_SAY(w, "[%" PRId32 ",", hvcore_apf_np_complete(&w->s, (uint32_t)op->flags, &w->q));
    apf_say_actions(w, false);
    APF_SAY(w, "]");
}

static inline void apf_do_np_ack(apf_world *w, const apf_op *op)
{
    APF_SAY(w, "[%" PRId32 ",", hvcore_apf_np_ack(&w->s, op->a, op->flags, &w->q));
    apf_say_actions(w, false);
    APF_SAY(w, "]");
}

static inline void apf_do_page_done(apf_world *w, const apf_op *op)
{
    uint32_t outcome = hvcore_apf_page_done(&w->s, (uint32_t)op->a, &w->q);

    APF_SAY(w, "[\"%s\",", apf_outcomes[outcome]);
    apf_say_actions(w, false);
    APF_SAY(w, "]");
}

static inline void apf_do_ack(apf_world *w, const apf_op *op)
{
    uint32_t freed;
    int32_t status = hvcore_apf_ack(&w->s, (uint32_t)op->a, &freed);

    APF_SAY(w, "[%" PRId32 ",%" PRIu32 "]", status, freed);
}

static inline void apf_do_wakeall(apf_world *w, const apf_op *op)
{
    (void)op;
    hvcore_apf_broadcast(&w->s, &w->q);
    apf_say_actions(w, false);
}

static inline void apf_do_reset(apf_world *w, const apf_op *op)
{
    (void)op;
    APF_SAY(w, "%" PRIu32, hvcore_apf_reset(&w->s, &w->q));
}

static inline void apf_say_saved(apf_world *w, const hvcore_apf_saved *v)
{
    APF_SAY(w, "{\"enabled\":%s,\"gpa\":%" PRIu64 ",\"flags\":%" PRIu32 ",\"epoch\":%" PRIu32,
            v->enabled ? "true" : "false", v->gpa, v->flags, v->epoch);
    APF_SAY(w, ",\"bgen\":%" PRIu32 ",\"prod\":%" PRIu32 ",\"np_busy\":%s}", v->broadcast, v->prod,
            v->np_busy ? "true" : "false");
}

static inline void apf_do_save(apf_world *w, const apf_op *op)
{
    hvcore_apf_saved saved;

    (void)op;
    hvcore_apf_save(&w->s, &saved);
    apf_say_saved(w, &saved);
}

/* The model restores into the object that was saved. */
static inline void apf_do_restore(apf_world *w, const apf_op *op)
{
    hvcore_apf_saved saved;

    (void)op;
    hvcore_apf_save(&w->s, &saved);
    if (hvcore_apf_restore(&w->s, &saved, 1, &w->q) != 0) {
        APF_SAY(w, "refused");
    }
    apf_say_actions(w, false);
}

static inline void apf_do_consume(apf_world *w, const apf_op *op)
{
    apf_put32(w, w->s.layout.g0, apf_cons(w) + (uint32_t)op->a);
    APF_SAY(w, "null");
}

static inline void apf_do_poke(apf_world *w, const apf_op *op)
{
    apf_put32(w, w->s.layout.g0, (uint32_t)op->a);
    APF_SAY(w, "null");
}

static inline void apf_do_state(apf_world *w, const apf_op *op)
{
    const hvcore_apf_state *s = &w->s;

    (void)op;
    APF_SAY(w, "{\"enabled\":%s,\"outstanding\":%" PRIu32 ",\"np_busy\":%s,\"prod\":%" PRIu32,
            s->enabled ? "true" : "false", s->outstanding, s->np_busy ? "true" : "false", s->prod);
    APF_SAY(w, ",\"hcons\":%" PRIu32 ",\"epoch\":%" PRIu32 ",\"bgen\":%" PRIu32 ",\"slots\":[",
            s->hcons, s->epoch, s->broadcast);
    for (uint32_t i = 0; i < s->config.nslots; i++) {
        APF_SAY(w, "%s\"%s\"", i ? "," : "", apf_states[s->slots[i].state]);
    }
    APF_SAY(w, "]}");
}

static inline const char *apf_do(apf_world *w, const apf_op *op)
{
    static const struct {
        const char *name;
        void (*run)(apf_world *w, const apf_op *op);
    } ops[] = {
        {"enable", apf_do_enable},
        {"disable", apf_do_disable},
        {"fault", apf_do_fault},
        {"enter", apf_do_enter},
        {"withdraw", apf_do_withdraw},
        {"np_complete", apf_do_np_complete},
        {"np_ack", apf_do_np_ack},
        {"page_done", apf_do_page_done},
        {"ack", apf_do_ack},
        {"wakeall", apf_do_wakeall},
        {"reset", apf_do_reset},
        {"save", apf_do_save},
        {"restore", apf_do_restore},
        {"guest_consume", apf_do_consume},
        {"guest_poke_cons", apf_do_poke},
        {"state", apf_do_state},
    };

    w->len = 0;
    w->text[0] = 0;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (strcmp(op->name, ops[i].name) == 0) {
            ops[i].run(w, op);
            return w->text;
        }
    }
    return "unknown operation";
}

static inline void apf_begin(apf_world *w, uint32_t nslots, uint32_t stride, uint32_t mode)
{
    const hvcore_apf_config config = {.size = sizeof config,
                                      .arch = HVCORE_ARCH_ARM64,
                                      .mode = mode,
                                      .stride = stride,
                                      .nslots = nslots};

    memset(w, 0, sizeof *w);
    if (hvcore_apf_init(&w->s, &config) != 0) {
        fprintf(stderr, "apf: no such configuration\n");
        exit(1);
    }
}
#endif
