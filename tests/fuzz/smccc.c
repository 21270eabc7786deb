/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMCCC calls, and the SDEI engine behind some of them: a call is taken apart as the convention
 * has it, and any sequence of calls, events and entries leaves a valid state in which handlers end
 * where they began.
 * sources: lib/firmware/smccc.c lib/firmware/sdei.c
 */
#include <hvcore/firmware/sdei.h>
#include <hvcore/firmware/smccc.h>

#include "tests/fuzz/fuzz.h"

#define NOT_SUPPORTED UINT64_MAX
#define SCTLR (UINT64_C(1) << HVCORE_ARM64_SYS_sctlr_el1)
#define RETURNS (UINT64_C(1) << HVCORE_ARM64_SYS_elr_el1 | UINT64_C(1) << HVCORE_ARM64_SYS_spsr_el1)

enum { STEPS = 64, NUMBERS = 4 };

static const uint32_t numbers[NUMBERS] = {0, 0x40400001, 0x40400002, 0x804000};

/* The processor, and what the handlers that run have interrupted. */
typedef struct session {
    hvcore_sdei_state sdei;
    hvcore_arm64_frame frame;
    hvcore_arm64_sys sys;
    hvcore_arm64_frame below[HVCORE_SDEI_DEPTH_MAX];
    uint32_t event[HVCORE_SDEI_DEPTH_MAX];
    uint32_t depth;
} session;

static bool same(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

/* --- the convention --------------------------------------------------------------------------- */

static bool is_known(uint32_t id, uint32_t features)
{
    bool apf = features & HVCORE_SMCCC_HAS_APF;
    return id == HVCORE_SMCCC_VERSION || id == HVCORE_SMCCC_ARCH_FEATURES ||
           (apf && (id == HVCORE_SMCCC_HYP_UID || id == HVCORE_SMCCC_HYP_REVISION));
}

static void check_apart(const hvcore_smccc_call *c, const uint64_t x[7])
{
    uint32_t id = (uint32_t)x[0];
    EXPECT(c->id == id && c->fast == id >> 31 && c->wide == (id >> 30 & 1));
    EXPECT(c->owner == (id >> 24 & 63));
    for (int i = 0; i < 6; i++) {
        EXPECT(c->arg[i] == (c->wide ? x[i + 1] : (uint32_t)x[i + 1]));
    }
}

static void check_answer(const hvcore_smccc_call *c, const uint64_t x[7], uint32_t features)
{
    if (is_known(c->id, features)) {
        EXPECT(c->id != HVCORE_SMCCC_VERSION || c->x[0] == HVCORE_SMCCC_VERSION_1_1);
        return;
    }
    EXPECT(c->x[0] == NOT_SUPPORTED);
    EXPECT(c->x[1] == x[1] && c->x[2] == x[2] && c->x[3] == x[3]);
}

static void check_apf(const hvcore_smccc_call *c, uint64_t status, uint64_t value)
{
    hvcore_apf_reply reply = {.status = (int32_t)status, .value = value};
    uint64_t x[2] = {1, 1};
    hvcore_smccc_apf_answer(c->fn, &reply, x);
    if (c->fn == HVCORE_APF_FN_VERSION) {
        EXPECT(x[0] == value && x[1] == 0);
    } else {
        EXPECT((int64_t)x[0] <= 0 && (int64_t)x[0] >= HVCORE_SMCCC_APF_DENIED && x[1] == value);
    }
}

/* Fast calls of SMC64, in their ranges (DEN0028 2.5, DEN0054 5.1). */
static void check_verdict(const hvcore_smccc_call *c, const uint64_t x[7], uint32_t features)
{
    switch (c->verdict) {
    case HVCORE_SMCCC_ANSWER:
        check_answer(c, x, features);
        break;
    case HVCORE_SMCCC_SDEI:
        EXPECT(features & HVCORE_SMCCC_HAS_SDEI && c->fn < HVCORE_SDEI_FNS);
        EXPECT(c->id == UINT32_C(0xc4000020) + c->fn);
        break;
    default:
        EXPECT(c->verdict == HVCORE_SMCCC_APF && features & HVCORE_SMCCC_HAS_APF);
        EXPECT(c->fn < HVCORE_APF_FNS && c->id == UINT32_C(0xc6004a00) + c->fn);
        check_apf(c, x[1], x[2]);
    }
    EXPECT(c->verdict == HVCORE_SMCCC_ANSWER || !(c->x[0] | c->x[1] | c->x[2] | c->x[3]));
}

/* --- SDEI ------------------------------------------------------------------------------------- */

static bool is_value(uint64_t value)
{
    int64_t v = (int64_t)value;
    return v >= 0 || v == HVCORE_SDEI_NOT_SUPPORTED || v == HVCORE_SDEI_INVALID ||
           v == HVCORE_SDEI_DENIED || v == HVCORE_SDEI_PENDING || v == HVCORE_SDEI_OUT_OF_RESOURCE;
}

/* PSTATE of an exception taken to EL1h (DDI0487 D1.3.1, "Exception entry"). */
static uint64_t pstate_of(const session *s, uint64_t from)
{
    uint64_t sctlr = s->sys.sctlr_el1, pstate = 0x3c5;
    uint32_t has = s->sdei.features;
    pstate |= has & HVCORE_SDEI_HAS_PAN ? (sctlr >> 23 & 1 ? from & 1 << 22 : 1 << 22) : 0;
    pstate |= has & HVCORE_SDEI_HAS_DIT ? from & 1 << 24 : 0;
    pstate |= has & HVCORE_SDEI_HAS_SSBS ? (sctlr >> 44 & 1) << 12 : 0;
    pstate |= has & HVCORE_SDEI_HAS_MTE ? 1 << 25 : 0;
    return pstate | (has & HVCORE_SDEI_HAS_NMI ? (~sctlr >> 62 & 1) << 13 : 0);
}

/* The innermost handler is over: x0 to x17 are those of what it interrupted, the others its own. */
static void check_resumed(session *s, const session *was, uint32_t fn, const uint64_t arg[5])
{
    const hvcore_arm64_frame *below = &s->below[--s->depth];
    hvcore_arm64_frame wanted = was->frame;
    memcpy(wanted.x, below->x, HVCORE_SDEI_CONTEXT * sizeof(wanted.x[0]));
    wanted.pc = below->pc;
    wanted.spsr = below->spsr;
    if (fn == HVCORE_SDEI_EVENT_COMPLETE_AND_RESUME) { /* as if taken to EL1 there */
        EXPECT(s->sys.elr_el1 == below->pc && s->sys.spsr_el1 == below->spsr);
        EXPECT((s->sys.have & RETURNS) == RETURNS && (s->sys.dirty & RETURNS) == RETURNS);
        wanted.pc = arg[0];
        wanted.spsr = pstate_of(s, below->spsr);
    } else {
        EXPECT(fn == HVCORE_SDEI_EVENT_COMPLETE && same(&s->sys, &was->sys, sizeof(s->sys)));
    }
    EXPECT(same(&s->frame, &wanted, sizeof(wanted)));
}

/* x0 to x17 of what the innermost handler has interrupted. */
static uint64_t context_of(const session *s, uint64_t index)
{
    if (index >= HVCORE_SDEI_CONTEXT) {
        return (uint64_t)(int64_t)HVCORE_SDEI_INVALID;
    }
    return s->depth ? s->below[s->depth - 1].x[index] : (uint64_t)(int64_t)HVCORE_SDEI_DENIED;
}

static void check_reply(session *s, const session *was, const hvcore_smccc_call *c,
                        const hvcore_sdei_reply *r)
{
    if (r->verdict == HVCORE_SDEI_RESUMED) {
        EXPECT(was->depth && r->event == was->event[was->depth - 1] && !r->value && !r->addr);
        check_resumed(s, was, c->fn, c->arg);
        return;
    }
    EXPECT(same(&s->frame, &was->frame, sizeof(s->frame)));
    EXPECT(same(&s->sys, &was->sys, sizeof(s->sys)) && !r->failed);
    if (r->verdict == HVCORE_SDEI_SIGNAL) {
        EXPECT(c->fn == HVCORE_SDEI_EVENT_SIGNAL && r->event == (uint32_t)c->arg[0]);
        EXPECT(r->addr == c->arg[1] && r->value == 0);
    } else {
        EXPECT(r->verdict == HVCORE_SDEI_ANSWER && !r->event && !r->addr);
        EXPECT(c->fn != HVCORE_SDEI_EVENT_REGISTER || r->value || (c->arg[1] && c->arg[3] <= 1));
        EXPECT(c->fn == HVCORE_SDEI_EVENT_CONTEXT ? r->value == context_of(s, c->arg[0])
                                                  : is_value(r->value));
    }
}

static void serve(session *s, const hvcore_smccc_call *c)
{
    session was = *s;
    hvcore_sdei_reply r;
    memset(&r, 0xa5, sizeof(r));
    hvcore_sdei_call(&s->sdei, c->fn, c->arg, &s->frame, &s->sys, &r);
    if (r.verdict == HVCORE_SDEI_NEED_REGS) { /* once, and for what is not there */
        EXPECT(r.addr == SCTLR && !(s->sys.have & SCTLR) && same(s, &was, sizeof(was)));
        s->sys.have |= SCTLR;
        was = *s;
        hvcore_sdei_call(&s->sdei, c->fn, c->arg, &s->frame, &s->sys, &r);
        EXPECT(r.verdict != HVCORE_SDEI_NEED_REGS);
    }
    check_reply(s, &was, c, &r);
}

/* What EVENT_STATUS tells of an event, or an error. */
static uint64_t status_of(session *s, uint32_t number)
{
    const uint64_t arg[5] = {number};
    hvcore_sdei_reply r;
    hvcore_sdei_call(&s->sdei, HVCORE_SDEI_EVENT_STATUS, arg, &s->frame, &s->sys, &r);
    return r.value;
}

/* Critical before normal, then by numbers. */
static uint64_t rank_of(const hvcore_sdei_event *e)
{
    return (uint64_t) !(e->properties & HVCORE_SDEI_CRITICAL) << 32 | e->number;
}

/* Of what is registered, enabled and pending the first goes; over a handler, a critical one. */
static void check_order(const session *was, uint32_t number)
{
    const uint32_t ready = HVCORE_SDEI_REGISTERED | HVCORE_SDEI_ENABLED | HVCORE_SDEI_IS_PENDING;
    uint64_t rank = UINT64_MAX;
    for (uint32_t i = 0; i < was->sdei.count; i++) {
        const hvcore_sdei_event *e = &was->sdei.events[i];
        if ((e->state & ready) == ready && rank_of(e) < rank) {
            rank = rank_of(e);
        }
    }
    EXPECT((uint32_t)rank == number && (was->depth == 0 || rank >> 32 == 0));
}

static void check_entry(session *s, const session *was, uint32_t number)
{
    check_order(was, number);
    hvcore_arm64_frame wanted = was->frame;
    EXPECT(was->depth < HVCORE_SDEI_DEPTH_MAX && !was->sdei.masked);
    EXPECT(status_of(s, number) == 7); /* registered, enabled, running */
    wanted.x[0] = number;
    wanted.x[1] = s->frame.x[1];
    wanted.x[2] = was->frame.pc;
    wanted.x[3] = was->frame.spsr;
    wanted.pc = s->frame.pc;
    wanted.spsr = pstate_of(s, was->frame.spsr);
    EXPECT(same(&s->frame, &wanted, sizeof(wanted)));
    s->below[s->depth] = was->frame;
    s->event[s->depth++] = number;
}

/* The guest is entered until nothing more is dispatched: handlers nest two deep. */
static void deliver(session *s)
{
    for (int turn = 0;; turn++) {
        session was = *s;
        hvcore_result r = hvcore_sdei_deliver(&s->sdei, &s->frame, &s->sys);
        EXPECT(turn <= 1 + HVCORE_SDEI_DEPTH_MAX);
        EXPECT(same(&s->sys, &was.sys, sizeof(was.sys)));
        if (r.kind == HVCORE_RESULT_NEED_REGS) {
            EXPECT(r.addr == SCTLR && !(s->sys.have & SCTLR) && same(s, &was, sizeof(was)));
            s->sys.have |= SCTLR;
            continue;
        }
        EXPECT(r.kind == HVCORE_RESULT_DONE && r.arg <= 1);
        if (!r.arg) {
            EXPECT(r.addr == 0 && same(s, &was, sizeof(was)));
            return;
        }
        check_entry(s, &was, (uint32_t)r.addr);
    }
}

/* An event comes, or has not come after all: only its being pending changes. */
static void happen(session *s, uint32_t number, bool really)
{
    uint64_t before = status_of(s, number);
    int rc = really ? hvcore_sdei_raise(&s->sdei, number) : hvcore_sdei_cancel(&s->sdei, number);
    EXPECT((rc == 0) == ((int64_t)before >= 0) && status_of(s, number) == before);
    EXPECT((hvcore_sdei_facts(&s->sdei, number) == 0) || rc == 0);
}

static void check_state(const session *s)
{
    EXPECT(hvcore_sdei_validate(&s->sdei) == 0);
    EXPECT(s->sdei.depth == s->depth && s->sdei.dispatched - s->sdei.completed == s->depth);
}

/* --- sequences -------------------------------------------------------------------------------- */

static void call(session *s, fuzz_input *in, uint32_t pick, uint32_t features)
{
    static const uint32_t ranges[] = {0xc4000020, 0xc6004a00, 0x84000000, 0x80000000};
    hvcore_arm64_frame was;
    hvcore_smccc_call c;
    s->frame.x[0] = pick & 4 ? fuzz_u64(in) : ranges[pick >> 3 & 3] + (pick >> 5 & 31);
    s->frame.x[1] = pick & 1 << 10 ? fuzz_u64(in) : numbers[pick >> 11 & 3];
    for (unsigned i = 2; i < 7; i++) {
        s->frame.x[i] = pick >> (11 + i) & 1 ? fuzz_u64(in) : i == 2; /* an entry, no flags */
    }
    was = s->frame;
    memset(&c, 0xa5, sizeof(c));
    hvcore_smccc_decode(&s->frame, features, &c);
    EXPECT(same(&s->frame, &was, sizeof(was)));
    check_apart(&c, was.x);
    check_verdict(&c, was.x, features);
    if (c.verdict == HVCORE_SMCCC_SDEI) {
        serve(s, &c);
    }
}

static void step(session *s, fuzz_input *in, uint32_t features)
{
    uint32_t pick = fuzz_u32(in);
    switch (pick & 3) {
    case 0:
    case 1:
        call(s, in, pick, features);
        break;
    case 2:
        happen(s, pick & 4 ? fuzz_u32(in) : numbers[pick >> 3 & 3], pick & 32);
        break;
    default: /* the guest runs on; then its registers are the processor's again */
        deliver(s);
        s->sys.have = 0;
        s->frame.pc += 4;
        s->frame.x[pick >> 2 & 31 ? (pick >> 2 & 31) - 1 : 0] = pick;
    }
    check_state(s);
}

/* A state from outside, as a migration stream has it; false: it is refused. */
static bool adopt(session *s, fuzz_input *in)
{
    fuzz_take(in, &s->sdei, sizeof(s->sdei));
    s->sdei.size = sizeof(s->sdei);
    s->sdei.version = HVCORE_SDEI_STATE_VERSION;
    s->sdei.features %= 2 * HVCORE_SDEI_FEATURES_ALL;
    s->sdei.masked %= 3;
    s->sdei.count %= HVCORE_SDEI_EVENTS_MAX + 2;
    s->sdei.depth %= HVCORE_SDEI_DEPTH_MAX + 2;
    if (hvcore_sdei_validate(&s->sdei)) {
        return false;
    }
    s->depth = s->sdei.depth;
    s->sdei.completed = s->sdei.dispatched - s->depth;
    for (uint32_t i = 0; i < s->depth; i++) {
        const hvcore_sdei_context *c = &s->sdei.stack[i];
        s->event[i] = s->sdei.events[c->event].number;
        memcpy(s->below[i].x, c->x, sizeof(c->x));
        s->below[i].pc = c->pc;
        s->below[i].spsr = c->pstate;
    }
    return true;
}

static bool begin(session *s, fuzz_input *in, const hvcore_sdei_event *events, uint32_t pick)
{
    if (pick >> 28 & 1) {
        return adopt(s, in);
    }
    if (hvcore_sdei_init(&s->sdei, events, pick >> 16 & 15, pick >> 20 & 63)) {
        EXPECT(s->sdei.size == 0); /* not touched */
        return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static session s;
    fuzz_input in = {data, size};
    uint32_t pick = fuzz_u32(&in);
    hvcore_sdei_event events[HVCORE_SDEI_EVENTS_MAX];

    memset(&s, 0, sizeof(s));
    memset(events, 0, sizeof(events));
    for (unsigned i = 0; i < HVCORE_SDEI_EVENTS_MAX; i++) {
        events[i].number = i < NUMBERS ? numbers[i] : fuzz_u32(&in);
        events[i].properties = pick >> 2 * i & 3;
    }
    fuzz_take(&in, &s.frame.x[18], 13 * sizeof(s.frame.x[0]));
    s.frame.pc = fuzz_u64(&in);
    s.frame.spsr = fuzz_u64(&in);
    s.sys.sctlr_el1 = fuzz_u64(&in);
    bool good = begin(&s, &in, events, pick);
    for (int i = 0; good && i < STEPS && in.left; i++) {
        step(&s, &in, pick >> 26 & 3);
    }
    return 0;
}
