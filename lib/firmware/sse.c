/* SPDX-License-Identifier: Apache-2.0 */
/* Local supervisor software events of one hart (RISC-V SBI 3.0, "SSE"). */
#include <stdbool.h>
#include <stddef.h>

#include <hvcore/error.h>
#include <hvcore/firmware/sse.h>
#include <hvcore/fixup/apf.h>

#include "lib/arch/riscv64.h"

enum { A6 = 16, A7 = 17 }; /* x registers (SBI 3) */

#define STATE UINT64_C(3)
#define ID_GLOBAL (UINT32_C(1) << 15)
#define CONFIG_ONE_SHOT UINT64_C(1)
#define WRITES (HVC_BIT(HVCORE_RISCV64_SYS_vsstatus) | HVC_BIT(HVCORE_RISCV64_SYS_vsepc))
#define VSSTATUS_ENTRY (HVC_SSTATUS_SPP | HVC_SSTATUS_SPIE | HVC_SSTATUS_SIE | HVC_SSTATUS_SPELP)

/* --- events ----------------------------------------------------------------------------------- */

static hvcore_sse_event *event_of(hvcore_sse_state *s, uint32_t id)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->events[i].id == id) {
            return &s->events[i];
        }
    }
    return NULL;
}

static uint32_t state_of(const hvcore_sse_event *e)
{
    return e->attrs[HVCORE_SSE_ATTR_STATUS] & STATE;
}

static void set_state(hvcore_sse_event *e, uint32_t state)
{
    e->attrs[HVCORE_SSE_ATTR_STATUS] = (e->attrs[HVCORE_SSE_ATTR_STATUS] & ~STATE) | state;
}

static bool is_pending(const hvcore_sse_event *e)
{
    return e->attrs[HVCORE_SSE_ATTR_STATUS] & HVCORE_SSE_IS_PENDING;
}

static void set_pending(hvcore_sse_event *e, bool pending)
{
    e->attrs[HVCORE_SSE_ATTR_STATUS] &= ~(uint64_t)HVCORE_SSE_IS_PENDING;
    e->attrs[HVCORE_SSE_ATTR_STATUS] |= pending ? HVCORE_SSE_IS_PENDING : 0;
}

static bool is_more_urgent(const hvcore_sse_event *a, const hvcore_sse_event *b)
{
    uint64_t pa = a->attrs[HVCORE_SSE_ATTR_PRIORITY], pb = b->attrs[HVCORE_SSE_ATTR_PRIORITY];

    return pa < pb || (pa == pb && a->id < b->id);
}

/* The most urgent event in `state`, pending if asked for, or NULL. */
static hvcore_sse_event *most_urgent(hvcore_sse_state *s, uint32_t state, bool pending)
{
    hvcore_sse_event *best = NULL;

    for (uint32_t i = 0; i < s->count; i++) {
        hvcore_sse_event *e = &s->events[i];

        if (state_of(e) == state && (!pending || is_pending(e)) &&
            (!best || is_more_urgent(e, best))) {
            best = e;
        }
    }
    return best;
}

static hvcore_sse_event *next_event(hvcore_sse_state *s)
{
    hvcore_sse_event *e = most_urgent(s, HVCORE_SSE_ENABLED, true);
    const hvcore_sse_event *running = most_urgent(s, HVCORE_SSE_RUNNING, false);

    if (s->masked || !e || (running && !is_more_urgent(e, running))) {
        return NULL;
    }
    return e;
}

/* --- beginning -------------------------------------------------------------------------------- */

static bool insert(hvcore_sse_state *s, uint32_t id, bool injectable)
{
    uint32_t i = s->count;

    if (id & ID_GLOBAL || event_of(s, id)) {
        return false;
    }
    for (; i > 0 && s->events[i - 1].id > id; i--) {
        s->events[i] = s->events[i - 1];
    }
    s->events[i] = (hvcore_sse_event){.id = id};
    s->events[i].attrs[HVCORE_SSE_ATTR_STATUS] = injectable ? HVCORE_SSE_INJECTABLE : 0;
    s->events[i].attrs[HVCORE_SSE_ATTR_PREFERRED_HART] = s->hart;
    s->count++;
    return true;
}

int hvcore_sse_init(hvcore_sse_state *s, uint64_t hart, const uint32_t *ids, uint32_t n,
                    uint32_t injectable, uint32_t features)
{
    hvcore_sse_state fresh = {
        .size = sizeof fresh,
        .version = HVCORE_SSE_STATE_VERSION,
        .features = features,
        .masked = 1,
        .hart = hart,
    };

    if (n > HVCORE_SSE_EVENTS_MAX || features & ~(uint32_t)HVCORE_SSE_FEATURES_ALL) {
        return -HVCORE_E_INVAL;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!insert(&fresh, ids[i], injectable >> i & 1)) {
            return -HVCORE_E_INVAL;
        }
    }
    *s = fresh;
    return 0;
}

static uint64_t all_flags(const hvcore_sse_state *s)
{
    return HVCORE_SSE_FLAG_SPP | HVCORE_SSE_FLAG_SPIE |
           (s->features & HVCORE_SSE_HAS_ZICFILP ? HVCORE_SSE_FLAG_SPELP : 0u) |
           (s->features & HVCORE_SSE_HAS_SSDBLTRP ? HVCORE_SSE_FLAG_SDT : 0u);
}

static bool is_event(const hvcore_sse_state *s, const hvcore_sse_event *e)
{
    const uint64_t *a = e->attrs;

    return !(e->id & ID_GLOBAL) && a[HVCORE_SSE_ATTR_STATUS] < 16 &&
           a[HVCORE_SSE_ATTR_PRIORITY] <= UINT32_MAX &&
           a[HVCORE_SSE_ATTR_CONFIG] <= CONFIG_ONE_SHOT &&
           a[HVCORE_SSE_ATTR_PREFERRED_HART] == s->hart &&
           ((a[HVCORE_SSE_ATTR_ENTRY_PC] | a[HVCORE_SSE_ATTR_SEPC]) & 1) == 0 &&
           (a[HVCORE_SSE_ATTR_FLAGS] & ~all_flags(s)) == 0 &&
           (state_of(e) != HVCORE_SSE_UNUSED || !is_pending(e));
}

int hvcore_sse_validate(const hvcore_sse_state *s)
{
    bool good = s->size == sizeof *s && s->version == HVCORE_SSE_STATE_VERSION &&
                s->features <= HVCORE_SSE_FEATURES_ALL && s->masked <= 1 &&
                s->count <= HVCORE_SSE_EVENTS_MAX;

    for (uint32_t i = 0; good && i < s->count; i++) {
        good = is_event(s, &s->events[i]) && (i == 0 || s->events[i - 1].id < s->events[i].id);
    }
    return good ? 0 : -HVCORE_E_INVAL;
}

/* --- dispatch and completion ------------------------------------------------------------------ */

/* The same four bits of vsstatus and of the attribute FLAGS. */
static const struct {
    uint64_t status;
    uint64_t flag;
} flags[] = {
    {HVC_SSTATUS_SPP, HVCORE_SSE_FLAG_SPP},
    {HVC_SSTATUS_SPIE, HVCORE_SSE_FLAG_SPIE},
    {HVC_SSTATUS_SPELP, HVCORE_SSE_FLAG_SPELP},
    {HVC_SSTATUS_SDT, HVCORE_SSE_FLAG_SDT},
};

static uint64_t flags_of(const hvcore_sse_state *s, uint64_t vsstatus)
{
    uint64_t found = 0;

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        found |= vsstatus & flags[i].status ? flags[i].flag : 0;
    }
    return found & all_flags(s);
}

/* vsstatus with those of its bits that an attribute has replaced by it. */
static uint64_t with_flags(const hvcore_sse_state *s, uint64_t vsstatus, uint64_t from)
{
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (flags[i].flag & all_flags(s)) {
            vsstatus &= ~flags[i].status;
            vsstatus |= from & flags[i].flag ? flags[i].status : 0;
        }
    }
    return vsstatus;
}

static void set_sys(hvcore_riscv64_sys *sys, uint64_t vsstatus, uint64_t vsepc)
{
    sys->vsstatus = vsstatus;
    sys->vsepc = vsepc & ~UINT64_C(1); /* vsepc[0] is always zero (Priv. 12.1.8) */
    sys->have |= WRITES;
    sys->dirty |= WRITES;
}

/* Where the next SRET of the host goes. */
static void set_mode(hvcore_riscv64_frame *frame, uint64_t pc, uint64_t vsstatus)
{
    const uint64_t bits = HVC_SSTATUS_SPP | HVC_SSTATUS_SPELP;

    frame->pc = pc;
    frame->sstatus = (frame->sstatus & ~bits) | (vsstatus & bits);
    frame->hstatus &= ~HVC_HSTATUS_SPVP;
    frame->hstatus |= vsstatus & HVC_SSTATUS_SPP ? HVC_HSTATUS_SPVP : 0;
}

static void keep(const hvcore_sse_state *s, hvcore_sse_event *e, const hvcore_riscv64_frame *frame,
                 const hvcore_riscv64_sys *sys)
{
    e->attrs[HVCORE_SSE_ATTR_SEPC] = sys->vsepc & ~UINT64_C(1);
    e->attrs[HVCORE_SSE_ATTR_FLAGS] = flags_of(s, sys->vsstatus);
    e->attrs[HVCORE_SSE_ATTR_A6] = frame->x[A6];
    e->attrs[HVCORE_SSE_ATTR_A7] = frame->x[A7];
}

/* On entry to HS-mode hardware has put the guest's mode and landing pad into sstatus. */
static uint64_t entered(const hvcore_sse_state *s, uint64_t vsstatus, uint64_t sstatus)
{
    uint64_t spie = vsstatus & HVC_SSTATUS_SIE ? HVC_SSTATUS_SPIE : 0;
    uint64_t sdt = s->features & HVCORE_SSE_HAS_SSDBLTRP ? HVC_SSTATUS_SDT : 0;

    return (vsstatus & ~VSSTATUS_ENTRY) | (sstatus & (HVC_SSTATUS_SPP | HVC_SSTATUS_SPELP)) | spie |
           sdt;
}

hvcore_result hvcore_sse_deliver(hvcore_sse_state *s, hvcore_riscv64_frame *frame,
                                 hvcore_riscv64_sys *sys)
{
    hvcore_sse_event *e = next_event(s);
    uint64_t missing = HVCORE_SSE_NEEDS & ~sys->have;

    if (!e) {
        return (hvcore_result){HVCORE_RESULT_DONE, 0, 0};
    }
    if (missing) {
        return (hvcore_result){HVCORE_RESULT_NEED_REGS, 0, missing};
    }
    set_pending(e, false);
    set_state(e, HVCORE_SSE_RUNNING);
    s->dispatched++;
    keep(s, e, frame, sys);
    set_sys(sys, entered(s, sys->vsstatus, frame->sstatus), frame->pc);
    set_mode(frame, e->attrs[HVCORE_SSE_ATTR_ENTRY_PC], HVC_SSTATUS_SPP);
    frame->x[A6] = s->hart;
    frame->x[A7] = e->attrs[HVCORE_SSE_ATTR_ENTRY_ARG];
    return (hvcore_result){HVCORE_RESULT_DONE, 1, e->id};
}

static void resume(const hvcore_sse_state *s, const hvcore_sse_event *e,
                   hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys)
{
    uint64_t vsstatus = sys->vsstatus & ~HVC_SSTATUS_SIE;

    set_mode(frame, sys->vsepc & ~UINT64_C(1), sys->vsstatus);
    vsstatus |= sys->vsstatus & HVC_SSTATUS_SPIE ? HVC_SSTATUS_SIE : 0;
    set_sys(sys, with_flags(s, vsstatus, e->attrs[HVCORE_SSE_ATTR_FLAGS]),
            e->attrs[HVCORE_SSE_ATTR_SEPC]);
    frame->x[A6] = e->attrs[HVCORE_SSE_ATTR_A6];
    frame->x[A7] = e->attrs[HVCORE_SSE_ATTR_A7];
}

/* --- calls ------------------------------------------------------------------------------------ */

typedef struct call {
    const uint64_t *arg;
    hvcore_riscv64_frame *frame;
    hvcore_riscv64_sys *sys;
    hvcore_sse_reply *reply;
} call;

static int64_t complete(hvcore_sse_state *s, hvcore_sse_event *unused, const call *c)
{
    hvcore_sse_event *e = most_urgent(s, HVCORE_SSE_RUNNING, false);
    uint64_t missing = HVCORE_SSE_NEEDS & ~c->sys->have;

    (void)unused;
    if (!e) {
        return HVCORE_SSE_SUCCESS;
    }
    if (missing) {
        c->reply->verdict = HVCORE_SSE_NEED_REGS;
        c->reply->addr = missing;
        return 0;
    }
    set_state(e, e->attrs[HVCORE_SSE_ATTR_CONFIG] & CONFIG_ONE_SHOT ? HVCORE_SSE_REGISTERED
                                                                    : HVCORE_SSE_ENABLED);
    s->completed++;
    resume(s, e, c->frame, c->sys);
    c->reply->verdict = HVCORE_SSE_RESUMED;
    c->reply->event = e->id;
    return 0;
}

static int64_t do_register(hvcore_sse_state *s, hvcore_sse_event *e, const call *c)
{
    (void)s;
    if (c->arg[1] & 1) {
        return HVCORE_SSE_INVALID_PARAM;
    }
    if (state_of(e) != HVCORE_SSE_UNUSED) {
        return HVCORE_SSE_INVALID_STATE;
    }
    e->attrs[HVCORE_SSE_ATTR_ENTRY_PC] = c->arg[1];
    e->attrs[HVCORE_SSE_ATTR_ENTRY_ARG] = c->arg[2];
    set_state(e, HVCORE_SSE_REGISTERED);
    return HVCORE_SSE_SUCCESS;
}

static int64_t step(hvcore_sse_event *e, uint32_t from, uint32_t to)
{
    if (state_of(e) != from) {
        return HVCORE_SSE_INVALID_STATE;
    }
    set_state(e, to);
    return HVCORE_SSE_SUCCESS;
}

static int64_t unregister(hvcore_sse_state *s, hvcore_sse_event *e, const call *c)
{
    int64_t error = step(e, HVCORE_SSE_REGISTERED, HVCORE_SSE_UNUSED);

    (void)s, (void)c;
    if (error == HVCORE_SSE_SUCCESS) {
        set_pending(e, false);
    }
    return error;
}

static int64_t enable(hvcore_sse_state *s, hvcore_sse_event *e, const call *c)
{
    (void)s, (void)c;
    return step(e, HVCORE_SSE_REGISTERED, HVCORE_SSE_ENABLED);
}

static int64_t disable(hvcore_sse_state *s, hvcore_sse_event *e, const call *c)
{
    (void)s, (void)c;
    return step(e, HVCORE_SSE_ENABLED, HVCORE_SSE_REGISTERED);
}

static int64_t inject(hvcore_sse_state *s, hvcore_sse_event *e, const call *c)
{
    (void)s;
    if (!(e->attrs[HVCORE_SSE_ATTR_STATUS] & HVCORE_SSE_INJECTABLE)) {
        return HVCORE_SSE_INVALID_PARAM;
    }
    c->reply->verdict = HVCORE_SSE_SEND;
    c->reply->event = e->id;
    c->reply->addr = c->arg[1];
    return HVCORE_SSE_SUCCESS;
}

static int64_t hart_mask(hvcore_sse_state *s, uint32_t masked, int64_t already)
{
    int64_t error = s->masked == masked ? already : HVCORE_SSE_SUCCESS;

    s->masked = masked;
    return error;
}

static int64_t unmask(hvcore_sse_state *s, hvcore_sse_event *unused, const call *c)
{
    (void)unused, (void)c;
    return hart_mask(s, 0, HVCORE_SSE_ALREADY_STARTED);
}

static int64_t mask(hvcore_sse_state *s, hvcore_sse_event *unused, const call *c)
{
    (void)unused, (void)c;
    return hart_mask(s, 1, HVCORE_SSE_ALREADY_STOPPED);
}

/* --- attributes ------------------------------------------------------------------------------- */

static int64_t check_range(uint32_t base, uint32_t count)
{
    if (count == 0) {
        return HVCORE_SSE_INVALID_PARAM;
    }
    return base < HVCORE_SSE_ATTRS && count <= HVCORE_SSE_ATTRS - base ? HVCORE_SSE_SUCCESS
                                                                       : HVCORE_SSE_BAD_RANGE;
}

/* count * 8 bytes at arg[4]:arg[3] are an aligned range that a guest-physical address can name. */
static int64_t check_args(const uint64_t *arg)
{
    int64_t error = check_range((uint32_t)arg[1], (uint32_t)arg[2]);
    bool bad = arg[4] != 0 || arg[3] & 7 || arg[3] > UINT64_MAX - (8 * HVCORE_SSE_ATTRS - 1);

    return error == HVCORE_SSE_SUCCESS && bad ? HVCORE_SSE_INVALID_ADDRESS : error;
}

static int64_t read_attrs(hvcore_sse_state *s, hvcore_sse_event *e, const call *c)
{
    int64_t error = check_args(c->arg);

    (void)s;
    if (error != HVCORE_SSE_SUCCESS) {
        return error;
    }
    c->reply->verdict = HVCORE_SSE_WRITE_GUEST;
    c->reply->addr = c->arg[3];
    c->reply->count = (uint32_t)c->arg[2];
    for (uint32_t i = 0; i < c->reply->count; i++) {
        c->reply->values[i] = e->attrs[(uint32_t)c->arg[1] + i];
    }
    return HVCORE_SSE_SUCCESS;
}

static int64_t write_attrs(hvcore_sse_state *s, hvcore_sse_event *e, const call *c)
{
    int64_t error = check_args(c->arg);

    (void)s;
    if (error != HVCORE_SSE_SUCCESS) {
        return error;
    }
    c->reply->verdict = HVCORE_SSE_READ_GUEST;
    c->reply->addr = c->arg[3];
    c->reply->event = e->id;
    c->reply->base = (uint32_t)c->arg[1];
    c->reply->count = (uint32_t)c->arg[2];
    return HVCORE_SSE_SUCCESS;
}

/* Which states an attribute can be written in, as a bit set, and which bits it has. */
#define IDLE (1 << HVCORE_SSE_UNUSED | 1 << HVCORE_SSE_REGISTERED)
#define HANDLER (1 << HVCORE_SSE_RUNNING)

static const struct {
    uint32_t states; /* 0: read-only */
    uint64_t bits;
} writable[HVCORE_SSE_ATTRS] = {
    [HVCORE_SSE_ATTR_PRIORITY] = {IDLE, UINT32_MAX},
    [HVCORE_SSE_ATTR_CONFIG] = {IDLE, CONFIG_ONE_SHOT},
    [HVCORE_SSE_ATTR_SEPC] = {HANDLER, ~UINT64_C(1)},
    [HVCORE_SSE_ATTR_FLAGS] = {HANDLER, UINT64_MAX}, /* all_flags() */
    [HVCORE_SSE_ATTR_A6] = {HANDLER, UINT64_MAX},
    [HVCORE_SSE_ATTR_A7] = {HANDLER, UINT64_MAX},
};

static int64_t check_write(const hvcore_sse_state *s, const hvcore_sse_event *e, uint32_t attr,
                           uint64_t value)
{
    uint64_t bits = attr == HVCORE_SSE_ATTR_FLAGS ? all_flags(s) : writable[attr].bits;

    if (!writable[attr].states) {
        return HVCORE_SSE_BAD_RANGE;
    }
    if (!(writable[attr].states >> state_of(e) & 1)) {
        return HVCORE_SSE_INVALID_STATE;
    }
    return value & ~bits ? HVCORE_SSE_INVALID_PARAM : HVCORE_SSE_SUCCESS;
}

int64_t hvcore_sse_write_attrs(hvcore_sse_state *s, uint32_t id, uint32_t base, uint32_t count,
                               const uint64_t *values)
{
    hvcore_sse_event *e = event_of(s, id);
    int64_t error = e ? check_range(base, count) : HVCORE_SSE_INVALID_PARAM;

    for (uint32_t i = 0; error == HVCORE_SSE_SUCCESS && i < count; i++) {
        error = check_write(s, e, base + i, values[i]);
    }
    for (uint32_t i = 0; error == HVCORE_SSE_SUCCESS && i < count; i++) {
        e->attrs[base + i] = values[i];
    }
    return error;
}

/* --- the table -------------------------------------------------------------------------------- */

typedef int64_t function(hvcore_sse_state *s, hvcore_sse_event *e, const call *c);

static const struct {
    function *run;
    bool has_event; /* in a0 */
} functions[HVCORE_SSE_FNS] = {
    [HVCORE_SSE_READ_ATTRS] = {read_attrs, true}, [HVCORE_SSE_WRITE_ATTRS] = {write_attrs, true},
    [HVCORE_SSE_REGISTER] = {do_register, true},  [HVCORE_SSE_UNREGISTER] = {unregister, true},
    [HVCORE_SSE_ENABLE] = {enable, true},         [HVCORE_SSE_DISABLE] = {disable, true},
    [HVCORE_SSE_COMPLETE] = {complete, false},    [HVCORE_SSE_INJECT] = {inject, true},
    [HVCORE_SSE_HART_UNMASK] = {unmask, false},   [HVCORE_SSE_HART_MASK] = {mask, false},
};

void hvcore_sse_call(hvcore_sse_state *s, uint64_t fn, const uint64_t arg[5],
                     hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys, hvcore_sse_reply *reply)
{
    const call c = {arg, frame, sys, reply};
    hvcore_sse_event *e;

    *reply = (hvcore_sse_reply){.verdict = HVCORE_SSE_ANSWER, .error = HVCORE_SSE_NOT_SUPPORTED};
    if (fn >= HVCORE_SSE_FNS) {
        return;
    }
    e = functions[fn].has_event ? event_of(s, (uint32_t)arg[0]) : NULL;
    reply->error =
        functions[fn].has_event && !e ? HVCORE_SSE_INVALID_PARAM : functions[fn].run(s, e, &c);
}

/* --- the host's side -------------------------------------------------------------------------- */

int hvcore_sse_raise(hvcore_sse_state *s, uint32_t id)
{
    hvcore_sse_event *e = event_of(s, id);

    if (!e) {
        return -HVCORE_E_NOTFOUND;
    }
    if (state_of(e) != HVCORE_SSE_ENABLED && state_of(e) != HVCORE_SSE_RUNNING) {
        return -HVCORE_E_STATE;
    }
    set_pending(e, true);
    return 0;
}

int hvcore_sse_cancel(hvcore_sse_state *s, uint32_t id)
{
    hvcore_sse_event *e = event_of(s, id);

    if (!e) {
        return -HVCORE_E_NOTFOUND;
    }
    set_pending(e, false);
    return 0;
}

static bool is_blocked(const hvcore_sse_state *s, const hvcore_sse_event *e)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (state_of(&s->events[i]) == HVCORE_SSE_RUNNING && !is_more_urgent(e, &s->events[i])) {
            return true;
        }
    }
    return false;
}

uint32_t hvcore_sse_facts(const hvcore_sse_state *s, uint32_t id)
{
    static const uint32_t of_state[] = {
        [HVCORE_SSE_UNUSED] = 0,
        [HVCORE_SSE_REGISTERED] = HVCORE_APF_FACT_EV_REGISTERED,
        [HVCORE_SSE_ENABLED] = HVCORE_APF_FACT_EV_REGISTERED | HVCORE_APF_FACT_EV_ENABLED,
        [HVCORE_SSE_RUNNING] = HVCORE_APF_FACT_EV_REGISTERED | HVCORE_APF_FACT_EV_ENABLED,
    };

    for (uint32_t i = 0; i < s->count; i++) {
        if (s->events[i].id == id) {
            return of_state[state_of(&s->events[i])] |
                   (s->masked ? HVCORE_APF_FACT_EV_MASKED : 0u) |
                   (is_blocked(s, &s->events[i]) ? HVCORE_APF_FACT_EV_BLOCKED : 0u);
        }
    }
    return 0;
}
