/* SPDX-License-Identifier: Apache-2.0 */
/* apf: layout, stride, token and sequences against their vectors; random events beside a guest that
 * runs between any two requests; a guest that writes nonsense; input at its extremes. */
#include "tests/unit/apf_world.h"

#include <hvcore/error.h>

#include "tests/unit/random.h"
#include "tests/unit/unit.h"
#include "tests/unit/vectors.h"

#define AREA UINT64_C(0x80000000)

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

/* --- vectors: token, stride, layout ----------------------------------------------------------- */

static size_t each(const char *list, void (*run)(json_object *v))
{
    json_object *doc = hvc_vectors_open("apf_vectors.json");
    size_t n = hvc_json_len(doc, list);
    json_object *all = hvc_json_at(doc, list);

    for (size_t i = 0; i < n; i++) {
        run(json_object_array_get_idx(all, i));
    }
    json_object_put(doc);
    return n;
}

static void run_token(json_object *v)
{
    uint32_t token = (uint32_t)hvc_json_u64(v, "token");
    hvcore_apf_token t = hvcore_apf_token_split(token);

    CU_ASSERT_EQUAL(t.epoch, hvc_json_u64(v, "epoch"));
    CU_ASSERT_EQUAL(t.seq, hvc_json_u64(v, "seq"));
    CU_ASSERT_EQUAL(t.slot, hvc_json_u64(v, "slot"));
    CU_ASSERT_EQUAL(hvcore_apf_token_make(t.epoch, t.seq, t.slot), token);
}

static uint32_t arch_of(const char *name)
{
    return strcmp(name, "arm64") == 0     ? HVCORE_ARCH_ARM64
           : strcmp(name, "riscv64") == 0 ? HVCORE_ARCH_RISCV64
                                          : HVCORE_ARCH_X86_64;
}

static void run_stride(json_object *v)
{
    uint64_t values[8] = {0};
    size_t n = hvc_json_len(v, "values");

    for (size_t i = 0; i < n && i < 8; i++) {
        values[i] = json_object_get_uint64(json_object_array_get_idx(hvc_json_at(v, "values"), i));
    }
    CU_ASSERT_EQUAL(hvcore_apf_stride_negotiate(arch_of(hvc_json_str_or(v, "arch", "")), values, n),
                    hvc_json_u64(v, "stride"));
}

static void run_layout(json_object *v)
{
    hvcore_apf_layout l, untouched;
    int status;

    memset(&l, 0xa5, sizeof l);
    untouched = l;
    status = hvcore_apf_layout_make((uint32_t)hvc_json_u64(v, "stride"),
                                    (uint32_t)hvc_json_u64(v, "nslots"), &l);
    if (!hvc_json_at(v, "layout")) {
        CU_ASSERT_EQUAL(status, -HVCORE_E_INVAL);
        CU_ASSERT_EQUAL(memcmp(&l, &untouched, sizeof l), 0);
        return;
    }
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(l.h0, hvc_json_u64(v, "layout.h0"));
    CU_ASSERT_EQUAL(l.h1, hvc_json_u64(v, "layout.h1"));
    CU_ASSERT_EQUAL(l.ring, hvc_json_u64(v, "layout.ring"));
    CU_ASSERT_EQUAL(l.g0, hvc_json_u64(v, "layout.g0"));
    CU_ASSERT_EQUAL(l.cap, hvc_json_u64(v, "layout.cap"));
    CU_ASSERT_EQUAL(l.size, hvc_json_u64(v, "layout.size"));
    CU_ASSERT_EQUAL(l.align, hvc_json_u64(v, "layout.align"));
}

static void test_tokens(void)
{
    CU_ASSERT_EQUAL(each("token", run_token), 5);
    CU_ASSERT(hvcore_apf_token_split(0).slot >= HVCORE_APF_SLOTS_MAX);
    CU_ASSERT(hvcore_apf_token_split(UINT32_MAX).slot >= HVCORE_APF_SLOTS_MAX);
    for (uint32_t slot = 0; slot < HVCORE_APF_SLOTS_MAX; slot++) {
        uint32_t low = hvcore_apf_token_make(0, 0, slot);
        uint32_t high = hvcore_apf_token_make(UINT32_MAX, UINT32_MAX, slot);

        CU_ASSERT(low != 0 && high != UINT32_MAX && (high ^ low) == 0xffffff00);
        CU_ASSERT_EQUAL(hvcore_apf_token_split(high).slot, slot);
    }
}

static void test_stride(void)
{
    const uint64_t huge[] = {UINT64_MAX, 0, 1, 65, UINT64_C(1) << 63};

    CU_ASSERT_EQUAL(each("stride", run_stride), 14);
    CU_ASSERT_EQUAL(hvcore_apf_stride_negotiate(HVCORE_ARCH_ARM64, NULL, 0), 64);
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        for (uint32_t arch = 0; arch < 5; arch++) {
            uint32_t s = hvcore_apf_stride_negotiate(arch, &huge[i], 1);

            CU_ASSERT(s >= 64 && s <= 2048 && (s & (s - 1)) == 0);
        }
    }
    CU_ASSERT_EQUAL(hvcore_apf_stride_negotiate(HVCORE_ARCH_RISCV64, &huge[3], 1), 128);
}

/* Whatever the stride and the number of slots: host and guest words never meet in a granule. */
static void test_layout(void)
{
    CU_ASSERT_EQUAL(each("layout", run_layout), 14);
    for (uint32_t stride = 64; stride <= 2048; stride *= 2) {
        for (uint32_t n = 1; n <= 254; n++) {
            hvcore_apf_layout l;

            CU_ASSERT_EQUAL(hvcore_apf_layout_make(stride, n, &l), 0);
            CU_ASSERT(l.h1 >= l.h0 + 40 && l.ring >= l.h1 + 12 && l.cap >= n);
            CU_ASSERT((l.ring + 4 * l.cap - 1) / stride < l.g0 / stride);
            CU_ASSERT(l.g0 % stride == 0 && l.size % 4096 == 0 && l.g0 + stride <= l.size);
        }
    }
}

/* --- vectors: sequences ----------------------------------------------------------------------- */

static uint64_t arg_of(json_object *step)
{
    return hvc_json_u64_or(step, "args.0", 0);
}

static apf_op op_of(json_object *step)
{
    apf_op op = {.a = arg_of(step), .facts = APF_GOOD};

    snprintf(op.name, sizeof op.name, "%s", hvc_json_str_or(step, "op", ""));
    if (strcmp(op.name, "enable") == 0) {
        op.flags = hvc_json_u64_or(step, "kw.flags", 1);
        op.usable = (uint32_t)hvc_json_u64_or(step, "kw.ram", 1);
    }
    if (strcmp(op.name, "np_complete") == 0) {
        op.flags = hvc_json_u64_or(step, "kw.failed", 0);
        op.a = hvc_json_u64_or(step, "kw.tok", 0);
        if (op.a) {
            strcpy(op.name, "np_ack");
        }
    }
    op.facts |= hvc_json_u64_or(step, "kw.priv", 0) ? HVCORE_APF_FACT_PRIV : 0u;
    op.facts |= hvc_json_u64_or(step, "kw.irq_masked", 0) ? HVCORE_APF_FACT_IRQ_MASKED : 0u;
    return op;
}

static bool same_json(json_object *wanted, const char *text)
{
    json_object *got = json_tokener_parse(text);
    bool same = json_object_equal(wanted, got);

    if (!same) {
        fprintf(stderr, "\n    wanted %s\n    got    %s\n", json_object_to_json_string(wanted),
                text);
    }
    json_object_put(got);
    return same;
}

static apf_world world;

static void run_sequence(json_object *v)
{
    uint32_t nslots = (uint32_t)hvc_json_u64_or(v, "cfg.nslots", 64);
    bool irq = strcmp(hvc_json_str_or(v, "cfg.mode", "sdei"), "irq") == 0;
    json_object *steps = hvc_json_at(v, "steps");
    apf_op state = {.name = "state"};

    apf_begin(&world, nslots, 64, irq ? HVCORE_APF_MODE_IRQ : HVCORE_APF_MODE_SDEI);
    for (size_t i = 0; i < json_object_array_length(steps); i++) {
        json_object *step = json_object_array_get_idx(steps, i);
        apf_op op = op_of(step);

        CU_ASSERT(same_json(hvc_json_at(step, "ret"), apf_do(&world, &op)));
    }
    CU_ASSERT(same_json(hvc_json_at(v, "final"), apf_do(&world, &state)));
}

static void test_sequences(void)
{
    CU_ASSERT_EQUAL(each("sequence", run_sequence), 27);
}

/* --- what is in the area ---------------------------------------------------------------------- */

static void begin_enabled(uint32_t nslots, uint32_t mode)
{
    const apf_op enable = {.name = "enable", .a = AREA, .flags = 1, .usable = 1};

    apf_begin(&world, nslots, 64, mode);
    apf_do(&world, &enable);
}

static uint32_t fault_at(uint64_t gfn, uint32_t np_flags)
{
    hvcore_apf_fault_info info = {.ipa = gfn << 12 | 0x123,
                                  .facts = APF_GOOD,
                                  .np_flags = np_flags,
                                  .cons = apf_cons(&world)};

    hvcore_apf_fault(&world.s, &info, &world.q);
    apf_say_actions(&world, false);
    world.len = 0;
    return world.s.np_pending;
}

static void simple(const char *name, uint64_t a)
{
    apf_op op = {.a = a, .facts = APF_GOOD};

    snprintf(op.name, sizeof op.name, "%s", name);
    apf_do(&world, &op);
}

static void test_words(void)
{
    uint32_t token;

    begin_enabled(5, HVCORE_APF_MODE_SDEI);
    CU_ASSERT_EQUAL(memcmp(world.area, "HAPF\0\0\1\0\6\0\0\0\5\0\0\0", 16), 0);
    CU_ASSERT(apf_get32(&world, 64) == 0 && apf_get32(&world, 68) == 8);
    CU_ASSERT_EQUAL(apf_get32(&world, 72), 1);
    token = fault_at(0x1122334455, HVCORE_APF_NP_WRITE | 8);
    CU_ASSERT_EQUAL(world.q.list[0].token, token);
    CU_ASSERT(apf_get32(&world, 16) == 0 && apf_get32(&world, 20) == 0);
    simple("enter", 0);
    CU_ASSERT(apf_get32(&world, 16) == 1 && apf_get32(&world, 20) == token);
    CU_ASSERT(apf_get32(&world, 24) == 0x34455000 && apf_get32(&world, 28) == 0x11223);
    CU_ASSERT(apf_get32(&world, 32) == 1 && apf_get32(&world, 36) == HVCORE_APF_NP_WRITE);
    simple("page_done", token);
    CU_ASSERT_EQUAL(apf_get32(&world, 64), 0);
    simple("np_complete", 0);
    CU_ASSERT_EQUAL(apf_get32(&world, 16), 0);
    CU_ASSERT(apf_get32(&world, 64) == 1 && apf_get32(&world, 128) == token);
    simple("wakeall", 0);
    CU_ASSERT_EQUAL(apf_get32(&world, 72), 2);
}

/* The order matters: the ring entry before prod, np_state last. */
static void test_order(void)
{
    const hvcore_apf_requests *q = &world.q;

    begin_enabled(4, HVCORE_APF_MODE_SDEI);
    fault_at(5, 0);
    hvcore_apf_enter(&world.s, &world.q);
    CU_ASSERT(q->count == 3 && q->list[0].off == 20 && q->list[0].len == 20);
    CU_ASSERT(q->list[1].off == 16 && q->list[1].len == 4);
    CU_ASSERT_EQUAL(q->list[2].kind, HVCORE_APF_EVENT);
    hvcore_apf_page_done(&world.s, world.s.np_token, &world.q);
    CU_ASSERT_EQUAL(q->count, 0);
    hvcore_apf_np_complete(&world.s, 0, &world.q);
    CU_ASSERT(q->count == 4 && q->list[0].off == 16 && q->list[1].off == world.s.layout.ring);
    CU_ASSERT(q->list[2].off == world.s.layout.h1 && q->list[2].bytes[0] == 1);
    CU_ASSERT(q->list[3].kind == HVCORE_APF_CHECK && q->list[3].off == world.s.layout.g0);
}

static void test_self(void)
{
    hvcore_apf_fault_info info = {.facts = APF_GOOD, .ipa = AREA + 4095};

    begin_enabled(4, HVCORE_APF_MODE_SDEI);
    CU_ASSERT_EQUAL(hvcore_apf_fault(&world.s, &info, &world.q).reason, HVCORE_APF_SELF);
    info.ipa = AREA - 1;
    CU_ASSERT_EQUAL(hvcore_apf_fault(&world.s, &info, &world.q).reason, HVCORE_APF_OK);
    hvcore_apf_withdraw(&world.s);
    info.ipa = AREA + 4096;
    CU_ASSERT_EQUAL(hvcore_apf_fault(&world.s, &info, &world.q).reason, HVCORE_APF_OK);
    hvcore_apf_withdraw(&world.s);
    info.guest_flags = UINT32_MAX - 1;
    CU_ASSERT_EQUAL(hvcore_apf_fault(&world.s, &info, &world.q).reason, HVCORE_APF_OK);
    hvcore_apf_withdraw(&world.s);
    info.guest_flags = 1;
    CU_ASSERT_EQUAL(hvcore_apf_fault(&world.s, &info, &world.q).reason, HVCORE_APF_INHIBIT);
}

static void test_revoke(void)
{
    for (uint32_t writable = 0; writable < 2; writable++) {
        uint32_t token, n;

        begin_enabled(4, HVCORE_APF_MODE_SDEI);
        token = fault_at(5, 0);
        CU_ASSERT_EQUAL(hvcore_apf_revoke(&world.s, writable, &world.q), 1);
        n = world.q.count;
        CU_ASSERT_EQUAL(n, writable ? 4 : 2);
        CU_ASSERT_EQUAL(world.q.list[n - 2].kind, HVCORE_APF_RAISE);
        CU_ASSERT_EQUAL(world.q.list[n - 1].kind, HVCORE_APF_RELEASE);
        CU_ASSERT_EQUAL(hvcore_apf_page_done(&world.s, token, &world.q), HVCORE_APF_STALE);
        fault_at(5, 0);
        CU_ASSERT_EQUAL(world.s.reasons[HVCORE_APF_AREA], 1);
        CU_ASSERT_EQUAL(hvcore_apf_ack(&world.s, 0, &n), HVCORE_APF_DENIED);
        hvcore_apf_broadcast(&world.s, &world.q);
        CU_ASSERT_EQUAL(world.q.count, 0);
        CU_ASSERT_EQUAL(hvcore_apf_revoke(&world.s, writable, &world.q), 0);
        if (writable) {
            CU_ASSERT_EQUAL(hvcore_apf_disable(&world.s, &n, &world.q), 0);
            CU_ASSERT_EQUAL(world.q.count, 0);
        }
        CU_ASSERT_EQUAL(hvcore_apf_enable(&world.s, AREA, 1, 0, 0, 1, &world.q), 0);
    }
}

/* --- properties: a guest beside the host ------------------------------------------------------ */

/* What the guest knows and does. Between any two requests of the host it may take a step. */
typedef struct guest {
    uint32_t cons;
    uint32_t seen_prod; /* of its loop */
    bool irq;           /* pending */
    bool draining;
    uint32_t told[256]; /* tokens of which it has seen not-present, not ready */
    uint32_t ntold;
    uint32_t handler; /* token of the running handler, or 0 */
    uint32_t generation;
    uint64_t ready, early, unknown;
} guest;

static guest g;

static void forget_told(uint32_t token)
{
    for (uint32_t i = 0; i < g.ntold; i++) {
        if (g.told[i] == token) {
            g.told[i] = g.told[--g.ntold];
            return;
        }
    }
    g.unknown++;
}

/* One step of: take the interrupt; read prod; take tokens; store cons; read prod again. */
static void guest_step(void)
{
    uint32_t prod = apf_get32(&world, world.s.layout.h1);

    if (!g.draining) {
        g.draining = g.irq;
        g.irq = false;
        g.seen_prod = prod;
        if (g.draining && apf_get32(&world, world.s.layout.h1 + 8) != g.generation) {
            g.generation = apf_get32(&world, world.s.layout.h1 + 8);
            g.ntold = 0; /* everybody is woken, and faults again if need be */
        }
    } else if (g.cons != g.seen_prod) {
        uint32_t at = world.s.layout.ring + 4 * (g.cons++ & (world.s.layout.cap - 1));

        g.ready++;
        g.early += apf_get32(&world, at) == g.handler;
        if (g.generation == apf_get32(&world, world.s.layout.h1 + 8)) {
            forget_told(apf_get32(&world, at));
        }
    } else {
        apf_put32(&world, world.s.layout.g0, g.cons);
        g.seen_prod = apf_get32(&world, world.s.layout.h1);
        g.draining = g.cons != g.seen_prod;
    }
}

static bool is_write_allowed(const hvcore_apf_request *r)
{
    return r->len <= HVCORE_APF_WRITE_MAX && r->off % 4 == 0 &&
           r->off + r->len <= world.s.layout.g0;
}

/* The host carries out its list while the guest's other processors drain the ring. */
static uint64_t perform_all(bool racing)
{
    uint64_t wrong = world.q.count > HVCORE_APF_REQUESTS_MAX;

    for (uint32_t i = 0; i < world.q.count && !wrong; i++) {
        const hvcore_apf_request *r = &world.q.list[i];

        if (r->kind == HVCORE_APF_WRITE) {
            wrong += !is_write_allowed(r);
            memcpy(world.area + r->off, r->bytes, r->len);
        } else if (r->kind == HVCORE_APF_CHECK) {
            g.irq |= hvcore_apf_wants_interrupt(&world.s, r->token, apf_cons(&world));
        } else if (r->kind == HVCORE_APF_RAISE) {
            g.irq = true;
        } else if (r->kind == HVCORE_APF_EVENT) {
            g.handler = r->token;
            g.told[g.ntold++ & 255] = r->token;
        }
        while (racing && rnd() % 4 == 0) {
            guest_step();
        }
    }
    return wrong;
}

static uint32_t count_busy(void)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < world.s.config.nslots; i++) {
        n += world.s.slots[i].state != HVCORE_APF_FREE;
    }
    return n;
}

static uint64_t check_host(void)
{
    const hvcore_apf_state *s = &world.s;
    uint64_t wrong = count_busy() != s->outstanding;

    wrong += s->prod - s->hcons > s->config.nslots;
    wrong += s->outstanding > s->config.nslots;
    wrong += s->np_pending && !(s->enabled && s->outstanding);
    return wrong + (!s->enabled && s->outstanding);
}

static uint32_t jobs[4096], njobs;

static uint64_t random_fault(void)
{
    hvcore_apf_fault_info info = {
        .ipa = (rnd() % 32) << 12, .facts = APF_GOOD, .cons = apf_cons(&world)};
    uint64_t wrong;

    info.facts |= rnd() % 8 ? 0u : HVCORE_APF_FACT_PRIV;
    hvcore_apf_fault(&world.s, &info, &world.q);
    if (world.s.np_pending && world.q.count == 1 && world.q.list[0].token) {
        jobs[njobs++ % 4096] = world.q.list[0].token;
    }
    wrong = perform_all(true);
    return wrong;
}

static uint64_t finish_job(void)
{
    uint32_t i = njobs ? (uint32_t)(rnd() % njobs) : 0;
    uint32_t token = njobs ? jobs[i] : (uint32_t)rnd(), outcome;

    if (njobs) {
        jobs[i] = jobs[--njobs];
    }
    outcome = hvcore_apf_page_done(&world.s, token, &world.q);
    if (outcome == HVCORE_APF_SILENT) {
        forget_told(token);
    }
    return perform_all(true);
}

static uint64_t end_handler(void)
{
    bool declined = rnd() % 8 == 0;
    uint32_t token = g.handler;
    bool held = world.s.np_token && hvcore_apf_token_split(token).slot < world.s.config.nslots &&
                world.s.slots[hvcore_apf_token_split(token).slot].held;

    g.handler = 0;
    if (hvcore_apf_np_complete(&world.s, declined, &world.q) == 0 && declined && held) {
        forget_told(token);
    }
    return perform_all(true);
}

static uint64_t restart(void)
{
    uint32_t n;

    switch (rnd() % 3) {
    case 0:
        hvcore_apf_disable(&world.s, &n, &world.q);
        break;
    case 1:
        hvcore_apf_reset(&world.s, &world.q);
        break;
    default:
        hvcore_apf_revoke(&world.s, rnd() % 2, &world.q);
        break;
    }
    perform_all(false);
    hvcore_apf_np_complete(&world.s, 0, &world.q);
    memset(world.area, 0, sizeof world.area);
    n = (uint32_t)g.ready;
    g = (guest){.ready = n, .early = g.early, .unknown = g.unknown};
    hvcore_apf_enable(&world.s, AREA, 1, 0, 0, 1, &world.q);
    return perform_all(false) + (world.s.outstanding != 0);
}

static uint64_t random_event(void)
{
    uint32_t n;

    switch (rnd() % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
        return random_fault();
    case 4:
    case 5:
    case 6:
        hvcore_apf_enter(&world.s, &world.q);
        return perform_all(true);
    case 7:
        if (rnd() % 4 == 0) {
            hvcore_apf_withdraw(&world.s);
        }
        return 0;
    case 8:
    case 9:
        return end_handler();
    case 10:
    case 11:
        return finish_job();
    case 12:
        hvcore_apf_ack(&world.s, apf_cons(&world), &n);
        return 0;
    default:
        guest_step();
        return 0;
    }
}

/* No wake-up is lost: what the guest has not taken, it knows of or will be told. */
static bool is_awake(void)
{
    return g.irq || g.draining || g.cons == apf_get32(&world, world.s.layout.h1);
}

/* At the end of all jobs nothing is left: no token, no sleeper. */
static uint64_t drain_all(void)
{
    uint64_t wrong = 0;
    uint32_t n;

    hvcore_apf_withdraw(&world.s);
    wrong += end_handler();
    while (njobs) {
        wrong += finish_job();
    }
    for (int i = 0; i < 2000 && (g.irq || g.draining); i++) {
        guest_step();
    }
    hvcore_apf_ack(&world.s, apf_cons(&world), &n);
    wrong += g.cons != world.s.prod || world.s.outstanding != 0 || g.ntold != 0;
    return wrong;
}

static void test_random_events(void)
{
    uint64_t wrong = 0, lost = 0;

    for (int run = 0; run < 240; run++) {
        memset(&g, 0, sizeof g);
        njobs = 0;
        begin_enabled((uint32_t[]){1, 2, 3, 8, 64, 254}[run % 6], HVCORE_APF_MODE_SDEI);
        g.generation = 1;
        for (int i = 0; i < 5000; i++) {
            wrong += random_event();
            wrong += check_host();
            lost += !is_awake();
            if (i % 1000 == 999) {
                wrong += drain_all();
                wrong += run % 2 ? restart() : 0;
                g.generation = apf_get32(&world, world.s.layout.h1 + 8);
                g.irq = false;
            }
        }
        CU_ASSERT_EQUAL(g.early, 0);
        CU_ASSERT_EQUAL(g.unknown, 0);
        CU_ASSERT(g.ready > 100);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(lost, 0);
}

/* --- properties: a hostile guest -------------------------------------------------------------- */

static void hostile_event(hvcore_apf_state *s, hvcore_apf_requests *q, uint64_t what, uint64_t a,
                          uint64_t b)
{
    hvcore_apf_fault_info info = {.ipa = (a % 8) << 12,
                                  .facts = APF_GOOD,
                                  .cons = (uint32_t)b,
                                  .guest_flags = (uint32_t)(a >> 32) & 0xfffffffe};
    uint32_t n;

    switch (what % 8) {
    case 0:
        hvcore_apf_ack(s, (uint32_t)b, &n);
        break;
    case 1:
        hvcore_apf_np_ack(s, b % 4 ? b : s->np_token, a % 3, q);
        break;
    case 2:
        hvcore_apf_page_done(s, a % 2 ? s->np_token : (uint32_t)b, q);
        break;
    case 3:
        hvcore_apf_page_done(s, hvcore_apf_token_make(s->epoch, s->slots[a % 8].seq, a % 8), q);
        break;
    case 4:
        hvcore_apf_wants_interrupt(s, s->prod - 1, (uint32_t)b);
        break;
    case 5:
    case 6:
        hvcore_apf_fault(s, &info, q);
        break;
    default:
        hvcore_apf_enter(s, q);
        break;
    }
}

/* The host never looks at what it wrote: random words in the area change nothing but cons and
 * flags, which it is given. And whatever cons says, only what was posted is freed. */
static void test_hostile_guest(void)
{
    static hvcore_apf_state twin;
    uint64_t wrong = 0;

    begin_enabled(8, HVCORE_APF_MODE_IRQ);
    twin = world.s;
    for (int i = 0; i < 1000000; i++) {
        hvcore_apf_requests q = {.count = 0};
        uint64_t what = rnd(), a = rnd(), b = rnd() % 2 ? rnd() : world.s.hcons + rnd() % 10;
        uint32_t notified = 0, after = 0;

        for (uint32_t k = 0; k < 8; k++) {
            notified += world.s.slots[k].state == HVCORE_APF_NOTIFIED;
        }
        world.q.count = 0;
        hostile_event(&world.s, &world.q, what, a, b);
        hostile_event(&twin, &q, what, a, b);
        wrong += memcmp(&world.s, &twin, sizeof twin) != 0 || q.count != world.q.count;
        wrong += check_host() + (world.q.count > HVCORE_APF_REQUESTS_MAX);
        for (uint32_t k = 0; k < world.q.count; k++) {
            wrong +=
                world.q.list[k].kind == HVCORE_APF_WRITE && !is_write_allowed(&world.q.list[k]);
            memcpy(world.area + world.q.list[k].off, world.q.list[k].bytes, world.q.list[k].len);
        }
        for (uint32_t k = 0; k < 8; k++) {
            after += world.s.slots[k].state == HVCORE_APF_NOTIFIED;
        }
        wrong +=
            (what % 8 == 0 || what % 8 >= 4) && after < notified; /* cons frees no such token */
        for (int k = 0; k < 8; k++) {
            apf_put32(&world, (uint32_t)(rnd() % 2048) * 4, (uint32_t)rnd());
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(world.s.outcomes[HVCORE_APF_POSTED] > 100);
}

/* --- input at its extremes -------------------------------------------------------------------- */

static void test_bad_config(void)
{
    static const hvcore_apf_config bad[] = {
        {0, 2, 1, 64, 64, 0, 0, 0},
        {UINT32_MAX, 2, 1, 64, 64, 0, 0, 0},
        {sizeof(hvcore_apf_config), 0, 1, 64, 64, 0, 0, 0},
        {sizeof(hvcore_apf_config), 4, 1, 64, 64, 0, 0, 0},
        {sizeof(hvcore_apf_config), UINT32_MAX, 1, 64, 64, 0, 0, 0},
        {sizeof(hvcore_apf_config), 2, 4, 64, 64, 0, 0, 0},
        {sizeof(hvcore_apf_config), 2, UINT32_MAX, 64, 64, 0, 0, 0},
        {sizeof(hvcore_apf_config), 2, 1, 0, 64, 0, 0, 0},
        {sizeof(hvcore_apf_config), 2, 1, UINT32_MAX, 64, 0, 0, 0},
        {sizeof(hvcore_apf_config), 2, 1, UINT32_C(1) << 31, 64, 0, 0, 0},
        {sizeof(hvcore_apf_config), 2, 1, 64, 0, 0, 0, 0},
        {sizeof(hvcore_apf_config), 2, 1, 64, 255, 0, 0, 0},
        {sizeof(hvcore_apf_config), 2, 1, 64, UINT32_MAX, 0, 0, 0},
    };
    static hvcore_apf_state s, before;

    memset(&s, 0xa5, sizeof s);
    before = s;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(hvcore_apf_init(&s, &bad[i]), -HVCORE_E_INVAL);
        CU_ASSERT_EQUAL(memcmp(&s, &before, sizeof s), 0);
    }
}

static void test_bad_enable(void)
{
    static const struct {
        uint64_t gpa, flags;
        uint32_t usable;
    } bad[] = {
        {AREA, 0, 1},
        {AREA, 6, 1},
        {AREA, 9, 1},
        {AREA, UINT64_MAX, 1},
        {AREA, UINT64_C(1) << 32 | 1, 1},
        {AREA + 1, 1, 1},
        {AREA + 2048, 1, 1},
        {UINT64_MAX, 1, 1},
        {UINT64_MAX - 4095, 1, 1}, /* 8 KiB do not fit there */
        {AREA, 1, 0},
    };
    static hvcore_apf_state before;

    apf_begin(&world, 64, 2048, HVCORE_APF_MODE_SDEI);
    before = world.s;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(
            hvcore_apf_enable(&world.s, bad[i].gpa, bad[i].flags, 0, 0, bad[i].usable, &world.q),
            HVCORE_APF_INVALID);
        CU_ASSERT_EQUAL(world.q.count, 0);
        CU_ASSERT_EQUAL(memcmp(&world.s, &before, sizeof before), 0);
    }
    CU_ASSERT_EQUAL(hvcore_apf_enable(&world.s, UINT64_MAX - 8191, 1, 0, 0, 1, &world.q), 0);
}

static void test_bad_tokens(void)
{
    static const uint64_t bad[] = {0, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 32, 255, 256};
    static hvcore_apf_state before;
    uint32_t token;

    begin_enabled(4, HVCORE_APF_MODE_IRQ);
    token = fault_at(5, UINT32_MAX);
    simple("enter", 0);
    before = world.s;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(hvcore_apf_np_ack(&world.s, bad[i], 0, &world.q), HVCORE_APF_INVALID);
        CU_ASSERT_EQUAL(hvcore_apf_np_ack(&world.s, bad[i] << 32 | token | 1, 0, &world.q) == 0,
                        (bad[i] << 32 | token | 1) == token);
        world.s = before;
    }
    CU_ASSERT_EQUAL(hvcore_apf_np_ack(&world.s, token, 2, &world.q), HVCORE_APF_INVALID);
    CU_ASSERT_EQUAL(hvcore_apf_np_ack(&world.s, token, UINT64_MAX, &world.q), HVCORE_APF_INVALID);
    for (uint32_t flip = 0; flip < 32; flip++) {
        CU_ASSERT_EQUAL(hvcore_apf_page_done(&world.s, token ^ UINT32_C(1) << flip, &world.q),
                        HVCORE_APF_STALE);
    }
    CU_ASSERT_EQUAL(hvcore_apf_np_ack(&world.s, token, 0, &world.q), 0);
    CU_ASSERT_EQUAL(hvcore_apf_np_ack(&world.s, token, 0, &world.q), HVCORE_APF_DENIED);
}

/* Each 32-bit field of a stream, and the address, at values that no save writes. */
static void test_bad_saved(void)
{
    static const struct {
        size_t off;
        uint32_t value;
    } bad[] = {
#define FIELD(name, value) {offsetof(hvcore_apf_saved, name), value}
        FIELD(size, 0),
        FIELD(size, 81),
        FIELD(version, 0),
        FIELD(version, 2),
        FIELD(stride, 0),
        FIELD(stride, 65),
        FIELD(stride, UINT32_MAX),
        FIELD(nslots, 0),
        FIELD(nslots, 255),
        FIELD(nslots, UINT32_MAX),
        FIELD(enabled, 2),
        FIELD(enabled, UINT32_MAX),
        FIELD(flags, 8),
        FIELD(flags, 0),
        FIELD(flags, UINT32_MAX),
        FIELD(epoch, 256),
        FIELD(epoch, UINT32_MAX),
        FIELD(np_busy, 2),
        FIELD(reserved, 1),
        FIELD(gpa, 0x80000001),
    };
    static hvcore_apf_state before;
    hvcore_apf_saved saved;

    begin_enabled(4, HVCORE_APF_MODE_SDEI);
    before = world.s;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hvcore_apf_save(&world.s, &saved);
        memcpy((uint8_t *)&saved + bad[i].off, &bad[i].value, 4);
        CU_ASSERT_EQUAL(hvcore_apf_restore(&world.s, &saved, 1, &world.q), -HVCORE_E_INVAL);
        CU_ASSERT_EQUAL(memcmp(&world.s, &before, sizeof before), 0);
    }
}

static void test_restore(void)
{
    hvcore_apf_saved saved;

    begin_enabled(4, HVCORE_APF_MODE_SDEI);
    fault_at(5, 0);
    simple("enter", 0);
    hvcore_apf_save(&world.s, &saved);
    apf_begin(&world, 254, 2048, HVCORE_APF_MODE_SDEI); /* another host: the guest's layout holds */
    saved.prod = UINT32_MAX;
    CU_ASSERT_EQUAL(hvcore_apf_restore(&world.s, &saved, 1, &world.q), 0);
    CU_ASSERT(world.s.config.nslots == 4 && world.s.layout.g0 == 192 && world.s.np_busy);
    CU_ASSERT(world.q.count == 3 && world.q.list[2].kind == HVCORE_APF_RAISE);
    CU_ASSERT_EQUAL(world.s.epoch, 2);
    fault_at(6, 0);
    CU_ASSERT_EQUAL(world.s.reasons[HVCORE_APF_NPBUSY], 1);
    CU_ASSERT_EQUAL(hvcore_apf_np_complete(&world.s, 0, &world.q), 0);
    CU_ASSERT_EQUAL(hvcore_apf_restore(&world.s, &saved, 0, &world.q), 0);
    CU_ASSERT(world.q.count == 0 && world.s.enabled && !world.s.area_ok);
}

/* cons goes back, or stands where it cannot: nothing is freed, and nothing loops. */
static void test_bad_cons(void)
{
    uint32_t token, freed;

    begin_enabled(4, HVCORE_APF_MODE_SDEI);
    for (uint32_t i = 0; i < 3; i++) {
        token = fault_at(i, 0);
        simple("enter", 0);
        simple("np_complete", 0);
        simple("page_done", token);
    }
    CU_ASSERT_EQUAL(hvcore_apf_ack(&world.s, 2, &freed), 0);
    CU_ASSERT_EQUAL(freed, 2);
    for (uint32_t bad = 4; bad != 2; bad = bad * 3 + 1 > bad ? bad * 3 + 1 : 2) {
        CU_ASSERT_EQUAL(hvcore_apf_ack(&world.s, bad, &freed), HVCORE_APF_INVALID);
    }
    CU_ASSERT_EQUAL(hvcore_apf_ack(&world.s, 1, &freed), HVCORE_APF_INVALID);
    CU_ASSERT_EQUAL(hvcore_apf_ack(&world.s, 0, &freed), HVCORE_APF_INVALID);
    CU_ASSERT_EQUAL(hvcore_apf_ack(&world.s, UINT32_MAX, &freed), HVCORE_APF_INVALID);
    CU_ASSERT_EQUAL(world.s.outstanding, 1);
}

/* prod runs over the end of its 32 bits. */
static void test_wrap(void)
{
    hvcore_apf_saved saved;

    begin_enabled(4, HVCORE_APF_MODE_SDEI);
    hvcore_apf_save(&world.s, &saved);
    saved.prod = UINT32_MAX - 2;
    CU_ASSERT_EQUAL(hvcore_apf_restore(&world.s, &saved, 1, &world.q), 0);
    apf_put32(&world, world.s.layout.g0, saved.prod);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t token = fault_at(i, 0), freed;

        simple("enter", 0);
        simple("np_complete", 0);
        CU_ASSERT_EQUAL(hvcore_apf_page_done(&world.s, token, &world.q), HVCORE_APF_POSTED);
        CU_ASSERT_EQUAL(hvcore_apf_wants_interrupt(&world.s, world.q.list[2].token, saved.prod + i),
                        1);
        CU_ASSERT_EQUAL(hvcore_apf_ack(&world.s, world.s.prod, &freed), 0);
        CU_ASSERT_EQUAL(freed, 1);
        apf_put32(&world, world.s.layout.g0, world.s.prod);
    }
}

/* --- calls ------------------------------------------------------------------------------------ */

static hvcore_apf_reply call(uint32_t fn, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                             uint32_t usable)
{
    hvcore_apf_call request = {.fn = fn, .arg = {a, b, c, d}};
    hvcore_apf_reply reply;

    memset(&reply, 0xa5, sizeof reply);
    hvcore_apf_serve(&world.s, &request, usable, &reply, &world.q);
    return reply;
}

static void test_calls(void)
{
    static const uint64_t info[] = {1 << HVCORE_APF_MODE_IRQ, 128, 64, 4096, 0, 0, 7};

    apf_begin(&world, 64, 128, HVCORE_APF_MODE_IRQ);
    CU_ASSERT(call(0, 1, 2, 3, 4, 0).value == 0x10000);
    for (uint64_t i = 0; i < 7; i++) {
        CU_ASSERT(call(1, i, 0, 0, 0, 0).status == 0 && call(1, i, 0, 0, 0, 0).value == info[i]);
    }
    CU_ASSERT_EQUAL(call(1, 7, 0, 0, 0, 0).status, HVCORE_APF_INVALID);
    CU_ASSERT_EQUAL(call(1, UINT64_MAX, 0, 0, 0, 0).status, HVCORE_APF_INVALID);
    CU_ASSERT_EQUAL(call(3, 0, 0, 0, 0, 0).status, HVCORE_APF_NOT_REQUIRED);
    CU_ASSERT_EQUAL(call(4, 0, 0, 0, 0, 0).status, HVCORE_APF_DENIED);
    CU_ASSERT_EQUAL(call(2, AREA, 1, 0, 0, 0).bad_address, 1);
    CU_ASSERT_EQUAL(call(2, UINT64_MAX, 1, 0, 0, 1).bad_address, 1);
    CU_ASSERT_EQUAL(call(2, AREA, 2, 0, 0, 1).bad_address, 0);
    CU_ASSERT_EQUAL(call(2, AREA, 2, 0, 0, 1).status, HVCORE_APF_INVALID);
    CU_ASSERT_EQUAL(call(2, AREA, 7, 0x80, 4, 1).status, 0);
    CU_ASSERT(world.s.select == 0x80 && world.s.compare == 4 && world.s.flags == 7);
    CU_ASSERT_EQUAL(call(2, AREA, 1, 0, 0, 1).status, HVCORE_APF_NOT_REQUIRED);
    CU_ASSERT_EQUAL(call(5, 1, 0, 0, 0, 0).status, HVCORE_APF_DENIED);
    CU_ASSERT_EQUAL(call(4, 1, 0, 0, 0, 0).status, HVCORE_APF_INVALID);
    CU_ASSERT_EQUAL(call(3, 0, 0, 0, 0, 0).status, 0);
    for (uint32_t fn = 6; fn < 10; fn++) {
        CU_ASSERT_EQUAL(call(fn, 0, 0, 0, 0, 0).status, HVCORE_APF_NOT_SUPPORTED);
    }
    CU_ASSERT_EQUAL(call(UINT32_MAX, 0, 0, 0, 0, 0).status, HVCORE_APF_NOT_SUPPORTED);
}

static const hvc_unit_test tests[] = {
    {"tokens", test_tokens},
    {"stride", test_stride},
    {"layout", test_layout},
    {"sequences", test_sequences},
    {"words of the area", test_words},
    {"order of requests", test_order},
    {"own area, inhibit", test_self},
    {"revoke", test_revoke},
    {"random events beside a guest", test_random_events},
    {"hostile guest", test_hostile_guest},
    {"bad configuration", test_bad_config},
    {"bad enable", test_bad_enable},
    {"bad tokens", test_bad_tokens},
    {"bad stream", test_bad_saved},
    {"restore", test_restore},
    {"bad cons", test_bad_cons},
    {"prod wraps", test_wrap},
    {"calls", test_calls},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("apf", tests);
}
