/* SPDX-License-Identifier: Apache-2.0 */
/* Private software delegated exceptions of one processor (DEN0054). */
#include <stdbool.h>
#include <stddef.h>

#include <hvcore/error.h>
#include <hvcore/firmware/sdei.h>
#include <hvcore/fixup/apf.h>

#define VERSION_1_0 (UINT64_C(1) << 48)
#define NONE UINT32_MAX
#define NUMBER_RESERVED UINT32_C(0xbf000000) /* bit 31, bits 29:24 */

/* PSTATE as in SPSR_EL1 (DDI0487, "SPSR_EL1"). Cleared by an exception, so named nowhere here: nRW,
 * BTYPE, IL, SS, UAO. */
#define PSTATE_EL1H UINT64_C(0x5)
#define PSTATE_DAIF UINT64_C(0x3c0)
#define PSTATE_SSBS (UINT64_C(1) << 12)
#define PSTATE_ALLINT (UINT64_C(1) << 13)
#define PSTATE_PAN (UINT64_C(1) << 22)
#define PSTATE_DIT (UINT64_C(1) << 24)
#define PSTATE_TCO (UINT64_C(1) << 25)

#define SCTLR_SPAN (UINT64_C(1) << 23)
#define SCTLR_DSSBS (UINT64_C(1) << 44)
#define SCTLR_SPINTMASK (UINT64_C(1) << 62)

#define SET_SCTLR (UINT64_C(1) << HVCORE_ARM64_SYS_sctlr_el1)
#define SET_RETURN \
    (UINT64_C(1) << HVCORE_ARM64_SYS_elr_el1 | UINT64_C(1) << HVCORE_ARM64_SYS_spsr_el1)
#define READS_SCTLR (HVCORE_SDEI_HAS_PAN | HVCORE_SDEI_HAS_SSBS | HVCORE_SDEI_HAS_NMI)

/* --- events ----------------------------------------------------------------------------------- */

static hvcore_sdei_event *event_of(hvcore_sdei_state *s, uint32_t number)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->events[i].number == number) {
            return &s->events[i];
        }
    }
    return NULL;
}

static bool is(const hvcore_sdei_event *e, uint32_t state)
{
    return (e->state & state) == state;
}

/* By a handler that runs, its own too. */
static bool is_blocked(const hvcore_sdei_state *s, const hvcore_sdei_event *e)
{
    for (uint32_t i = 0; i < s->depth; i++) {
        const hvcore_sdei_event *below = &s->events[s->stack[i].event];

        if (below->properties & HVCORE_SDEI_CRITICAL || !(e->properties & HVCORE_SDEI_CRITICAL)) {
            return true;
        }
    }
    return false;
}

static bool may_run(const hvcore_sdei_state *s, const hvcore_sdei_event *e)
{
    return is(e, HVCORE_SDEI_REGISTERED | HVCORE_SDEI_ENABLED | HVCORE_SDEI_IS_PENDING) &&
           !is_blocked(s, e);
}

/* They stand in the order of their numbers. */
static uint32_t first_of(const hvcore_sdei_state *s, uint32_t priority)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const hvcore_sdei_event *e = &s->events[i];

        if ((e->properties & HVCORE_SDEI_CRITICAL) == priority && may_run(s, e)) {
            return i;
        }
    }
    return NONE;
}

static uint32_t next_event(const hvcore_sdei_state *s)
{
    uint32_t i;

    if (s->masked) {
        return NONE;
    }
    i = first_of(s, HVCORE_SDEI_CRITICAL);
    return i != NONE ? i : first_of(s, 0);
}

/* --- beginning -------------------------------------------------------------------------------- */

static bool are_events(const hvcore_sdei_event *events, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (events[i].number & NUMBER_RESERVED ||
            events[i].properties & ~(uint32_t)(HVCORE_SDEI_CRITICAL | HVCORE_SDEI_SIGNALABLE)) {
            return false;
        }
        for (uint32_t k = 0; k < i; k++) {
            if (events[k].number == events[i].number) {
                return false;
            }
        }
    }
    return true;
}

static void insert(hvcore_sdei_state *s, const hvcore_sdei_event *event)
{
    uint32_t i = s->count++;

    for (; i > 0 && s->events[i - 1].number > event->number; i--) {
        s->events[i] = s->events[i - 1];
    }
    s->events[i] = (hvcore_sdei_event){.number = event->number, .properties = event->properties};
}

int hvcore_sdei_init(hvcore_sdei_state *s, const hvcore_sdei_event *events, uint32_t n,
                     uint32_t features)
{
    hvcore_sdei_state fresh = {
        .size = sizeof fresh,
        .version = HVCORE_SDEI_STATE_VERSION,
        .features = features,
        .masked = 1,
    };

    if (n > HVCORE_SDEI_EVENTS_MAX || features & ~(uint32_t)HVCORE_SDEI_FEATURES_ALL ||
        !are_events(events, n)) {
        return -HVCORE_E_INVAL;
    }
    for (uint32_t i = 0; i < n; i++) {
        insert(&fresh, &events[i]);
    }
    *s = fresh;
    return 0;
}

static bool is_event(const hvcore_sdei_event *e)
{
    const uint32_t all =
        HVCORE_SDEI_REGISTERED | HVCORE_SDEI_ENABLED | HVCORE_SDEI_RUNNING | HVCORE_SDEI_IS_PENDING;
    bool needless = e->state & (HVCORE_SDEI_ENABLED | HVCORE_SDEI_IS_PENDING);

    return (e->state & ~all) == 0 && (is(e, HVCORE_SDEI_REGISTERED) || !needless);
}

static bool is_critical(const hvcore_sdei_state *s, uint32_t depth)
{
    return s->events[s->stack[depth].event].properties & HVCORE_SDEI_CRITICAL;
}

/* What is on the stack runs, nothing else does, and of two the lower is normal, the upper critical.
   */
static bool is_stack(const hvcore_sdei_state *s)
{
    uint32_t running = 0;

    for (uint32_t i = 0; i < s->depth; i++) {
        if (s->stack[i].event >= s->count ||
            !is(&s->events[s->stack[i].event], HVCORE_SDEI_RUNNING)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < s->count; i++) {
        running += is(&s->events[i], HVCORE_SDEI_RUNNING);
    }
    return running == s->depth && (s->depth < 2 || (!is_critical(s, 0) && is_critical(s, 1)));
}

int hvcore_sdei_validate(const hvcore_sdei_state *s)
{
    bool good = s->size == sizeof *s && s->version == HVCORE_SDEI_STATE_VERSION &&
                s->features <= HVCORE_SDEI_FEATURES_ALL && s->masked <= 1 &&
                s->count <= HVCORE_SDEI_EVENTS_MAX && s->depth <= HVCORE_SDEI_DEPTH_MAX &&
                are_events(s->events, s->count) && is_stack(s);

    for (uint32_t i = 0; good && i < s->count; i++) {
        good = is_event(&s->events[i]) && (i == 0 || s->events[i - 1].number < s->events[i].number);
    }
    return good ? 0 : -HVCORE_E_INVAL;
}

/* --- dispatch --------------------------------------------------------------------------------- */

static bool lacks_sctlr(const hvcore_sdei_state *s, const hvcore_arm64_sys *sys)
{
    return s->features & READS_SCTLR && !(sys->have & SET_SCTLR);
}

/* PSTATE of an exception that is taken to EL1 from a context with `from`. */
static uint64_t entry_pstate(uint32_t features, uint64_t from, uint64_t sctlr)
{
    const struct {
        uint32_t feature;
        uint64_t bits;
    } also[] = {
        {HVCORE_SDEI_HAS_PAN, sctlr & SCTLR_SPAN ? from & PSTATE_PAN : PSTATE_PAN},
        {HVCORE_SDEI_HAS_DIT, from & PSTATE_DIT},
        {HVCORE_SDEI_HAS_SSBS, sctlr & SCTLR_DSSBS ? PSTATE_SSBS : 0},
        {HVCORE_SDEI_HAS_MTE, PSTATE_TCO},
        {HVCORE_SDEI_HAS_NMI, sctlr & SCTLR_SPINTMASK ? 0 : PSTATE_ALLINT},
    };
    uint64_t pstate = PSTATE_EL1H | PSTATE_DAIF;

    for (size_t i = 0; i < sizeof also / sizeof *also; i++) {
        pstate |= features & also[i].feature ? also[i].bits : 0;
    }
    return pstate;
}

static void keep(hvcore_sdei_state *s, uint32_t i, const hvcore_arm64_frame *frame)
{
    hvcore_sdei_context *c = &s->stack[s->depth++];

    *c = (hvcore_sdei_context){.event = i, .pc = frame->pc, .pstate = frame->spsr};
    for (uint32_t r = 0; r < HVCORE_SDEI_CONTEXT; r++) {
        c->x[r] = frame->x[r];
    }
}

static void begin(const hvcore_sdei_state *s, const hvcore_sdei_event *e, hvcore_arm64_frame *frame,
                  uint64_t sctlr)
{
    frame->x[0] = e->number;
    frame->x[1] = e->argument;
    frame->x[2] = frame->pc;
    frame->x[3] = frame->spsr;
    frame->spsr = entry_pstate(s->features, frame->spsr, sctlr);
    frame->pc = e->entry;
}

hvcore_result hvcore_sdei_deliver(hvcore_sdei_state *s, hvcore_arm64_frame *frame,
                                  hvcore_arm64_sys *sys)
{
    uint32_t i = next_event(s);

    if (i == NONE) {
        return (hvcore_result){HVCORE_RESULT_DONE, 0, 0};
    }
    if (lacks_sctlr(s, sys)) {
        return (hvcore_result){HVCORE_RESULT_NEED_REGS, 0, SET_SCTLR};
    }
    s->events[i].state &= ~(uint32_t)HVCORE_SDEI_IS_PENDING;
    s->events[i].state |= HVCORE_SDEI_RUNNING;
    s->dispatched++;
    keep(s, i, frame);
    begin(s, &s->events[i], frame, sys->sctlr_el1);
    return (hvcore_result){HVCORE_RESULT_DONE, 1, s->events[i].number};
}

/* --- completion ------------------------------------------------------------------------------- */

static const hvcore_sdei_context *pop(hvcore_sdei_state *s, hvcore_arm64_frame *frame,
                                      hvcore_sdei_reply *reply)
{
    const hvcore_sdei_context *c = &s->stack[--s->depth];

    s->events[c->event].state &= ~(uint32_t)HVCORE_SDEI_RUNNING;
    s->completed++;
    for (uint32_t r = 0; r < HVCORE_SDEI_CONTEXT; r++) {
        frame->x[r] = c->x[r];
    }
    reply->verdict = HVCORE_SDEI_RESUMED;
    reply->event = s->events[c->event].number;
    return c;
}

static uint64_t error(int32_t value)
{
    return (uint64_t)(int64_t)value;
}

typedef struct call {
    const uint64_t *arg;
    hvcore_arm64_frame *frame;
    hvcore_arm64_sys *sys;
    hvcore_sdei_reply *reply;
} call;

static uint64_t complete(hvcore_sdei_state *s, const call *c)
{
    const hvcore_sdei_context *was;

    if (s->depth == 0) {
        return error(HVCORE_SDEI_DENIED);
    }
    was = pop(s, c->frame, c->reply);
    c->reply->failed = c->arg[0] != 0;
    c->frame->pc = was->pc;
    c->frame->spsr = was->pstate;
    return 0;
}

static uint64_t complete_and_resume(hvcore_sdei_state *s, const call *c)
{
    const hvcore_sdei_context *was;

    if (s->depth == 0) {
        return error(HVCORE_SDEI_DENIED);
    }
    if (lacks_sctlr(s, c->sys)) {
        c->reply->verdict = HVCORE_SDEI_NEED_REGS;
        c->reply->addr = SET_SCTLR;
        return 0;
    }
    was = pop(s, c->frame, c->reply);
    c->sys->elr_el1 = was->pc;
    c->sys->spsr_el1 = was->pstate;
    c->sys->have |= SET_RETURN;
    c->sys->dirty |= SET_RETURN;
    c->frame->pc = c->arg[0];
    c->frame->spsr = entry_pstate(s->features, was->pstate, c->sys->sctlr_el1);
    return 0;
}

/* --- the other calls -------------------------------------------------------------------------- */

static uint64_t version(hvcore_sdei_state *s, const call *c)
{
    (void)s, (void)c;
    return VERSION_1_0;
}

static uint64_t do_register(hvcore_sdei_state *s, const call *c)
{
    hvcore_sdei_event *e = event_of(s, (uint32_t)c->arg[0]);

    if (!e || c->arg[1] == 0 || c->arg[3] > 1) {
        return error(HVCORE_SDEI_INVALID);
    }
    if (e->state & (HVCORE_SDEI_REGISTERED | HVCORE_SDEI_RUNNING)) {
        return error(HVCORE_SDEI_DENIED);
    }
    e->state = HVCORE_SDEI_REGISTERED;
    e->entry = c->arg[1];
    e->argument = c->arg[2];
    return HVCORE_SDEI_SUCCESS;
}

static uint64_t set_enabled(hvcore_sdei_state *s, const call *c, uint32_t enabled)
{
    hvcore_sdei_event *e = event_of(s, (uint32_t)c->arg[0]);

    if (!e) {
        return error(HVCORE_SDEI_INVALID);
    }
    if (!is(e, HVCORE_SDEI_REGISTERED)) {
        return error(HVCORE_SDEI_DENIED);
    }
    e->state = (e->state & ~(uint32_t)HVCORE_SDEI_ENABLED) | enabled;
    return HVCORE_SDEI_SUCCESS;
}

static uint64_t enable(hvcore_sdei_state *s, const call *c)
{
    return set_enabled(s, c, HVCORE_SDEI_ENABLED);
}

static uint64_t disable(hvcore_sdei_state *s, const call *c)
{
    return set_enabled(s, c, 0);
}

static uint64_t context(hvcore_sdei_state *s, const call *c)
{
    if (c->arg[0] >= HVCORE_SDEI_CONTEXT) {
        return error(HVCORE_SDEI_INVALID);
    }
    return s->depth ? s->stack[s->depth - 1].x[c->arg[0]] : error(HVCORE_SDEI_DENIED);
}

static uint64_t forget(hvcore_sdei_event *e)
{
    bool registered = is(e, HVCORE_SDEI_REGISTERED), running = is(e, HVCORE_SDEI_RUNNING);

    e->state &= HVCORE_SDEI_RUNNING;
    if (running) {
        return error(HVCORE_SDEI_PENDING);
    }
    return registered ? HVCORE_SDEI_SUCCESS : error(HVCORE_SDEI_DENIED);
}

static uint64_t unregister(hvcore_sdei_state *s, const call *c)
{
    hvcore_sdei_event *e = event_of(s, (uint32_t)c->arg[0]);

    return e ? forget(e) : error(HVCORE_SDEI_INVALID);
}

static uint64_t status(hvcore_sdei_state *s, const call *c)
{
    const hvcore_sdei_event *e = event_of(s, (uint32_t)c->arg[0]);
    const uint32_t told = HVCORE_SDEI_REGISTERED | HVCORE_SDEI_ENABLED | HVCORE_SDEI_RUNNING;

    return e ? e->state & told : error(HVCORE_SDEI_INVALID);
}

/* Type 0 is private. Of signalable, 0 says yes (TF-A and Arm's test suite agree). Routing mode and
 * affinity are those of shared events. */
static uint64_t get_info(hvcore_sdei_state *s, const call *c)
{
    const hvcore_sdei_event *e = event_of(s, (uint32_t)c->arg[0]);

    if (!e || c->arg[1] > 2) {
        return error(HVCORE_SDEI_INVALID);
    }
    const uint64_t info[3] = {
        0,
        !(e->properties & HVCORE_SDEI_SIGNALABLE),
        (e->properties & HVCORE_SDEI_CRITICAL) != 0,
    };
    return info[c->arg[1]];
}

static uint64_t invalid(hvcore_sdei_state *s, const call *c)
{
    (void)s, (void)c;
    return error(HVCORE_SDEI_INVALID);
}

static uint64_t pe_mask(hvcore_sdei_state *s, const call *c)
{
    uint64_t changed = !s->masked;

    (void)c;
    s->masked = 1;
    return changed;
}

static uint64_t pe_unmask(hvcore_sdei_state *s, const call *c)
{
    (void)c;
    s->masked = 0;
    return HVCORE_SDEI_SUCCESS;
}

static uint64_t bind(hvcore_sdei_state *s, const call *c)
{
    (void)s, (void)c;
    return error(HVCORE_SDEI_OUT_OF_RESOURCE);
}

static uint64_t signal_event(hvcore_sdei_state *s, const call *c)
{
    const hvcore_sdei_event *e = event_of(s, (uint32_t)c->arg[0]);

    if (!e || !(e->properties & HVCORE_SDEI_SIGNALABLE)) {
        return error(HVCORE_SDEI_INVALID);
    }
    c->reply->verdict = HVCORE_SDEI_SIGNAL;
    c->reply->event = e->number;
    c->reply->addr = c->arg[1];
    return HVCORE_SDEI_SUCCESS;
}

/* Feature 0: slots for bound interrupts, shared and private; there are none. */
static uint64_t features(hvcore_sdei_state *s, const call *c)
{
    (void)s;
    return c->arg[0] == 0 ? 0 : error(HVCORE_SDEI_INVALID);
}

static uint64_t private_reset(hvcore_sdei_state *s, const call *c)
{
    (void)c;
    for (uint32_t i = 0; i < s->count; i++) {
        forget(&s->events[i]);
    }
    return s->depth ? error(HVCORE_SDEI_DENIED) : HVCORE_SDEI_SUCCESS;
}

/* No event is shared. */
static uint64_t shared_reset(hvcore_sdei_state *s, const call *c)
{
    (void)s, (void)c;
    return HVCORE_SDEI_SUCCESS;
}

typedef uint64_t function(hvcore_sdei_state *s, const call *c);

static function *const functions[HVCORE_SDEI_FNS] = {
    [HVCORE_SDEI_VERSION] = version,
    [HVCORE_SDEI_EVENT_REGISTER] = do_register,
    [HVCORE_SDEI_EVENT_ENABLE] = enable,
    [HVCORE_SDEI_EVENT_DISABLE] = disable,
    [HVCORE_SDEI_EVENT_CONTEXT] = context,
    [HVCORE_SDEI_EVENT_COMPLETE] = complete,
    [HVCORE_SDEI_EVENT_COMPLETE_AND_RESUME] = complete_and_resume,
    [HVCORE_SDEI_EVENT_UNREGISTER] = unregister,
    [HVCORE_SDEI_EVENT_STATUS] = status,
    [HVCORE_SDEI_EVENT_GET_INFO] = get_info,
    [HVCORE_SDEI_EVENT_ROUTING_SET] = invalid,
    [HVCORE_SDEI_PE_MASK] = pe_mask,
    [HVCORE_SDEI_PE_UNMASK] = pe_unmask,
    [HVCORE_SDEI_INTERRUPT_BIND] = bind,
    [HVCORE_SDEI_INTERRUPT_RELEASE] = invalid,
    [HVCORE_SDEI_EVENT_SIGNAL] = signal_event,
    [HVCORE_SDEI_FEATURES] = features,
    [HVCORE_SDEI_PRIVATE_RESET] = private_reset,
    [HVCORE_SDEI_SHARED_RESET] = shared_reset,
};

void hvcore_sdei_call(hvcore_sdei_state *s, uint32_t fn, const uint64_t arg[5],
                      hvcore_arm64_frame *frame, hvcore_arm64_sys *sys, hvcore_sdei_reply *reply)
{
    const call c = {arg, frame, sys, reply};

    *reply = (hvcore_sdei_reply){.verdict = HVCORE_SDEI_ANSWER};
    reply->value = fn < HVCORE_SDEI_FNS ? functions[fn](s, &c) : error(HVCORE_SDEI_NOT_SUPPORTED);
}

/* --- the host's side -------------------------------------------------------------------------- */

int hvcore_sdei_raise(hvcore_sdei_state *s, uint32_t number)
{
    hvcore_sdei_event *e = event_of(s, number);

    if (!e) {
        return -HVCORE_E_NOTFOUND;
    }
    if (is(e, HVCORE_SDEI_REGISTERED)) {
        e->state |= HVCORE_SDEI_IS_PENDING;
    }
    return 0;
}

int hvcore_sdei_cancel(hvcore_sdei_state *s, uint32_t number)
{
    hvcore_sdei_event *e = event_of(s, number);

    if (!e) {
        return -HVCORE_E_NOTFOUND;
    }
    e->state &= ~(uint32_t)HVCORE_SDEI_IS_PENDING;
    return 0;
}

static uint32_t fact_if(bool holds, uint32_t fact)
{
    return holds ? fact : 0;
}

uint32_t hvcore_sdei_facts(const hvcore_sdei_state *s, uint32_t number)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const hvcore_sdei_event *e = &s->events[i];

        if (e->number == number) {
            return fact_if(is(e, HVCORE_SDEI_REGISTERED), HVCORE_APF_FACT_EV_REGISTERED) |
                   fact_if(is(e, HVCORE_SDEI_ENABLED), HVCORE_APF_FACT_EV_ENABLED) |
                   fact_if(s->masked, HVCORE_APF_FACT_EV_MASKED) |
                   fact_if(is_blocked(s, e), HVCORE_APF_FACT_EV_BLOCKED);
        }
    }
    return 0;
}
