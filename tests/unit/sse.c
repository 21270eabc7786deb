/* SPDX-License-Identifier: Apache-2.0 */
/* sse against its state table, the steps of entry and completion of SBI 3.0 written down a second
 * time, random calls, input at its extremes; and the SBI decoding of SSE and APF. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <hvcore/error.h>
#include <hvcore/firmware/sbi.h>
#include <hvcore/firmware/sbi_apf.h>
#include <hvcore/firmware/sse.h>
#include <hvcore/fixup/apf.h>

#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#define APF HVCORE_APF_SSE_EVENT
#define SOFT HVCORE_SSE_SOFTWARE_EVENT
#define RAS 0
#define HART UINT64_C(0x123456789)
#define MAX UINT64_MAX

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

static const uint32_t ids[] = {APF, RAS, SOFT}; /* positions after init: RAS 0, SOFT 1, APF 2 */

typedef struct machine {
    hvcore_sse_state s;
    hvcore_riscv64_frame frame;
    hvcore_riscv64_sys sys;
    hvcore_sse_reply reply;
} machine;

static machine m;

static void random_registers(void)
{
    for (int i = 1; i < 32; i++) {
        m.frame.x[i] = rnd();
    }
    m.frame.pc = rnd() & ~UINT64_C(1);
    m.frame.sstatus = rnd();
    m.frame.hstatus = rnd() | 1 << 7;
    m.sys.vsstatus = rnd();
    m.sys.vsepc = rnd() & ~UINT64_C(1);
    m.sys.have = HVCORE_SSE_NEEDS;
}

static void begin(uint32_t features)
{
    memset(&m, 0, sizeof m);
    CU_ASSERT_EQUAL(hvcore_sse_init(&m.s, HART, ids, 3, 4, features), 0);
    random_registers();
}

static int64_t ask(uint64_t fn, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    const uint64_t arg[5] = {a, b, c, d, e};

    memset(&m.reply, 0xa5, sizeof m.reply);
    hvcore_sse_call(&m.s, fn, arg, &m.frame, &m.sys, &m.reply);
    CU_ASSERT_EQUAL(hvcore_sse_validate(&m.s), 0);
    return m.reply.error;
}

static hvcore_result deliver(void)
{
    return hvcore_sse_deliver(&m.s, &m.frame, &m.sys);
}

static void set_up(uint32_t id, uint64_t entry)
{
    CU_ASSERT_EQUAL(ask(HVCORE_SSE_REGISTER, id, entry, 0xa0 + id, 0, 0), 0);
    CU_ASSERT_EQUAL(ask(HVCORE_SSE_ENABLE, id, 0, 0, 0, 0), 0);
}

/* --- the table of states: register unregister enable disable raise complete ------------------- */

enum { BAD = -10, NO = 99 }; /* NO: the event does not move, the call says something of its own */

static const struct {
    int error[6];
    uint32_t state[6];
} table[] = {
    {{0, BAD, BAD, BAD, -HVCORE_E_STATE, 0}, {1, 0, 0, 0, 0, 0}},
    {{BAD, 0, 0, BAD, -HVCORE_E_STATE, 0}, {1, 0, 2, 1, 1, 1}},
    {{BAD, BAD, BAD, 0, 0, 0}, {2, 2, 2, 1, 2 | 4, 2}},
    {{BAD, BAD, BAD, BAD, 0, 0}, {3, 3, 3, 3, 3 | 4, 2}},
};

static int64_t do_column(int column)
{
    static const uint64_t fns[] = {2, 3, 4, 5};

    if (column < 4) {
        return ask(fns[column], APF, 0xf000, 0, 0, 0);
    }
    return column == 4 ? hvcore_sse_raise(&m.s, APF) : ask(6, 0, 0, 0, 0, 0);
}

static void test_state_table(void)
{
    for (uint32_t row = 0; row < 4; row++) {
        for (int column = 0; column < 6; column++) {
            begin(0);
            m.s.events[2].attrs[0] = row;
            CU_ASSERT_EQUAL(do_column(column), table[row].error[column]);
            CU_ASSERT_EQUAL(m.s.events[2].attrs[0], table[row].state[column]);
            if (column == 5) {
                CU_ASSERT_EQUAL(m.reply.verdict, row == 3 ? HVCORE_SSE_RESUMED : HVCORE_SSE_ANSWER);
            }
        }
    }
}

static void test_pending(void)
{
    begin(0);
    set_up(APF, 0xf000);
    hvcore_sse_raise(&m.s, APF);
    CU_ASSERT_EQUAL(deliver().arg, 0); /* masked */
    CU_ASSERT_EQUAL(ask(HVCORE_SSE_DISABLE, APF, 0, 0, 0, 0), 0);
    CU_ASSERT_EQUAL(ask(HVCORE_SSE_HART_UNMASK, 0, 0, 0, 0, 0), 0);
    CU_ASSERT_EQUAL(ask(HVCORE_SSE_HART_UNMASK, 0, 0, 0, 0, 0), -7);
    CU_ASSERT_EQUAL(deliver().arg, 0); /* held */
    CU_ASSERT_EQUAL(ask(HVCORE_SSE_UNREGISTER, APF, 0, 0, 0, 0), 0);
    set_up(APF, 0xf000);
    CU_ASSERT_EQUAL(deliver().arg, 0); /* forgotten with the registration */
    hvcore_sse_raise(&m.s, APF);
    CU_ASSERT_EQUAL(hvcore_sse_cancel(&m.s, APF), 0);
    CU_ASSERT_EQUAL(deliver().arg, 0);
    hvcore_sse_raise(&m.s, APF);
    CU_ASSERT_EQUAL(deliver().addr, APF);
    hvcore_sse_raise(&m.s, APF);
    CU_ASSERT_EQUAL(deliver().arg, 0); /* again after completion */
    CU_ASSERT_EQUAL(ask(HVCORE_SSE_COMPLETE, 0, 0, 0, 0, 0), 0);
    CU_ASSERT_EQUAL(deliver().addr, APF);
    CU_ASSERT_EQUAL(ask(HVCORE_SSE_HART_MASK, 0, 0, 0, 0, 0), 0);
    CU_ASSERT_EQUAL(ask(HVCORE_SSE_HART_MASK, 0, 0, 0, 0, 0), -8);
}

/* --- entry and completion, step by step ------------------------------------------------------- */

static uint64_t bit(uint64_t word, int n)
{
    return word >> n & 1;
}

static uint64_t with(uint64_t word, int n, uint64_t value)
{
    return (word & ~(UINT64_C(1) << n)) | value << n;
}

enum { SIE = 1, SPIE = 5, SPP = 8, SPELP = 23, SDT = 24, SPVP = 8 };

/* SBI 3.0, "Software Event Injection", for VS-mode. */
static void slow_entry(machine *t, hvcore_sse_event *e)
{
    bool lp = t->s.features & 1, dt = t->s.features & 2;
    uint64_t v = t->sys.vsstatus;

    e->attrs[7] = bit(v, SPP) | bit(v, SPIE) << 1 | (lp ? bit(v, SPELP) << 4 : 0) |
                  (dt ? bit(v, SDT) << 5 : 0);
    e->attrs[6] = t->sys.vsepc;
    e->attrs[8] = t->frame.x[16];
    e->attrs[9] = t->frame.x[17];
    t->frame.x[16] = t->s.hart;
    t->frame.x[17] = e->attrs[5];
    t->sys.vsepc = t->frame.pc;
    v = with(v, SPP, bit(t->frame.sstatus, SPP));
    v = with(v, SPIE, bit(v, SIE));
    v = with(v, SIE, 0);
    v = with(v, SPELP, bit(t->frame.sstatus, SPELP));
    t->sys.vsstatus = dt ? with(v, SDT, 1) : v;
    t->frame.sstatus = with(with(t->frame.sstatus, SPP, 1), SPELP, 0);
    t->frame.hstatus = with(t->frame.hstatus, SPVP, 1);
    t->frame.pc = e->attrs[4];
}

/* "Software Event Completion". */
static void slow_completion(machine *t, hvcore_sse_event *e)
{
    bool lp = t->s.features & 1, dt = t->s.features & 2;
    uint64_t v = t->sys.vsstatus, f = e->attrs[7];

    t->frame.pc = t->sys.vsepc;
    t->frame.sstatus = with(t->frame.sstatus, SPP, bit(v, SPP));
    t->frame.sstatus = with(t->frame.sstatus, SPELP, bit(v, SPELP));
    t->frame.hstatus = with(t->frame.hstatus, SPVP, bit(v, SPP));
    v = with(v, SIE, bit(v, SPIE));
    v = with(v, SPIE, bit(f, 1));
    v = with(v, SPP, bit(f, 0));
    v = lp ? with(v, SPELP, bit(f, 4)) : v;
    t->sys.vsstatus = dt ? with(v, SDT, bit(f, 5)) : v;
    t->frame.x[17] = e->attrs[9];
    t->frame.x[16] = e->attrs[8];
    t->sys.vsepc = e->attrs[6];
}

static bool same_cpu(const machine *a, const machine *b)
{
    return memcmp(&a->frame, &b->frame, sizeof a->frame) == 0 &&
           a->sys.vsstatus == b->sys.vsstatus && a->sys.vsepc == b->sys.vsepc &&
           memcmp(a->s.events, b->s.events, sizeof a->s.events) == 0;
}

static void mark(machine *t, uint32_t i, uint64_t state)
{
    t->s.events[i].attrs[0] = (t->s.events[i].attrs[0] & 8) | state;
}

static void test_entry_and_completion(void)
{
    uint64_t wrong = 0;

    for (int i = 0; i < 100000; i++) {
        machine slow;

        memset(&m, 0, sizeof m);
        hvcore_sse_init(&m.s, HART, ids, 3, 4, (uint32_t)rnd() % 4);
        random_registers();
        m.s.masked = 0;
        m.s.events[2].attrs[4] = rnd() & ~UINT64_C(1);
        m.s.events[2].attrs[5] = rnd();
        mark(&m, 2, 2 | 4);
        slow = m;
        mark(&slow, 2, 3);
        slow_entry(&slow, &slow.s.events[2]);
        wrong += deliver().addr != APF || !same_cpu(&m, &slow);
        wrong += m.sys.dirty != HVCORE_SSE_NEEDS;
        random_registers(); /* the handler's */
        slow.frame = m.frame;
        slow.sys = m.sys;
        mark(&slow, 2, 2);
        slow_completion(&slow, &slow.s.events[2]);
        ask(HVCORE_SSE_COMPLETE, 0, 0, 0, 0, 0);
        wrong += m.reply.verdict != HVCORE_SSE_RESUMED || m.reply.event != APF;
        wrong += !same_cpu(&m, &slow);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_need_regs(void)
{
    hvcore_sse_state before;

    begin(0);
    m.s.masked = 0;
    mark(&m, 2, 2 | 4);
    before = m.s;
    m.sys.have = 1 << HVCORE_RISCV64_SYS_vsepc;
    CU_ASSERT_EQUAL(deliver().addr, 1 << HVCORE_RISCV64_SYS_vsstatus);
    CU_ASSERT_EQUAL(memcmp(&before, &m.s, sizeof before), 0);
    mark(&m, 2, 3);
    ask(HVCORE_SSE_COMPLETE, 0, 0, 0, 0, 0);
    CU_ASSERT_EQUAL(m.reply.verdict, HVCORE_SSE_NEED_REGS);
    CU_ASSERT_EQUAL(m.s.events[2].attrs[0], 3);
}

/* --- priorities ------------------------------------------------------------------------------- */

static void test_priority(void)
{
    const uint64_t low = 5;

    begin(0);
    m.s.masked = 0;
    CU_ASSERT_EQUAL(hvcore_sse_write_attrs(&m.s, RAS, 1, 1, &low), 0);
    for (int i = 0; i < 3; i++) {
        set_up(ids[i], 0xf000);
        hvcore_sse_raise(&m.s, ids[i]);
    }
    CU_ASSERT_EQUAL(deliver().addr, SOFT); /* 0 before 5; of two the lower number */
    CU_ASSERT_EQUAL(deliver().arg, 0);
    ask(HVCORE_SSE_COMPLETE, 0, 0, 0, 0, 0);
    CU_ASSERT_EQUAL(m.reply.event, SOFT);
    hvcore_sse_cancel(&m.s, APF);
    CU_ASSERT_EQUAL(deliver().addr, RAS);
    hvcore_sse_raise(&m.s, APF);
    CU_ASSERT_EQUAL(deliver().addr, APF); /* interrupts it */
    hvcore_sse_raise(&m.s, SOFT);
    CU_ASSERT_EQUAL(deliver().addr, SOFT); /* three deep */
    ask(HVCORE_SSE_COMPLETE, 0, 0, 0, 0, 0);
    CU_ASSERT_EQUAL(m.reply.event, SOFT);
    ask(HVCORE_SSE_COMPLETE, 0, 0, 0, 0, 0);
    CU_ASSERT_EQUAL(m.reply.event, APF);
    ask(HVCORE_SSE_COMPLETE, 0, 0, 0, 0, 0);
    CU_ASSERT_EQUAL(m.reply.event, RAS);
}

/* Random calls: at most one event more urgent than all that run is dispatched, and every completion
 * ends the most urgent of those that run. */
static uint64_t rank(uint32_t i)
{
    return m.s.events[i].attrs[1] << 32 | m.s.events[i].id;
}

static int best(uint64_t state, bool pending)
{
    int found = -1;

    for (int i = 0; i < 3; i++) {
        uint64_t status = m.s.events[i].attrs[0];

        if ((status & 3) == state && (!pending || status & 4) &&
            (found < 0 || rank((uint32_t)i) < rank((uint32_t)found))) {
            found = i;
        }
    }
    return found;
}

static uint64_t random_call(void)
{
    uint32_t id = ids[rnd() % 3];
    uint64_t fn = rnd() % 11, values[10];
    int running = best(3, false);
    hvcore_riscv64_frame frame = m.frame;

    for (int i = 0; i < 10; i++) {
        values[i] = rnd() % 4;
    }
    hvcore_sse_write_attrs(&m.s, id, (uint32_t)rnd() % 11, (uint32_t)rnd() % 3, values);
    if (rnd() % 2) {
        hvcore_sse_raise(&m.s, id);
    }
    if (fn == HVCORE_SSE_HART_MASK && rnd() % 4) {
        fn = HVCORE_SSE_HART_UNMASK;
    }
    ask(fn, rnd() % 32 ? id : rnd(), rnd() % 16, rnd() % 16, rnd() % 16, 0);
    if (m.reply.verdict == HVCORE_SSE_RESUMED) {
        return running < 0 || m.reply.event != m.s.events[running].id;
    }
    return (fn == HVCORE_SSE_COMPLETE && running >= 0) ||
           memcmp(&frame, &m.frame, sizeof frame) != 0;
}

static void test_random_calls(void)
{
    uint64_t wrong = 0, dispatched = 0;

    begin(3);
    for (int i = 0; i < 1000000; i++) {
        int next, running;
        hvcore_result r;

        wrong += random_call();
        next = best(2, true);
        running = best(3, false);
        if (m.s.masked ||
            (running >= 0 && next >= 0 && rank((uint32_t)running) < rank((uint32_t)next))) {
            next = -1;
        }
        r = deliver();
        wrong += next < 0 ? r.arg != 0 : r.arg != 1 || r.addr != m.s.events[next].id;
        wrong += (uint64_t)(int64_t)hvcore_sse_validate(&m.s);
        dispatched += r.arg;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(dispatched > 10000);
}

/* --- attributes ------------------------------------------------------------------------------- */

static void test_read_attrs(void)
{
    begin(0);
    set_up(APF, 0xf000);
    CU_ASSERT_EQUAL(ask(0, APF, 0, 10, 0x80000000, 0), 0);
    CU_ASSERT(m.reply.verdict == HVCORE_SSE_WRITE_GUEST && m.reply.count == 10);
    CU_ASSERT(m.reply.values[0] == 2 && m.reply.values[3] == HART);
    CU_ASSERT(m.reply.values[4] == 0xf000 && m.reply.addr == 0x80000000);
    CU_ASSERT_EQUAL(ask(0, SOFT, 0, 1, 0x80000000, 0), 0);
    CU_ASSERT_EQUAL(m.reply.values[0], 8); /* may be injected */
    CU_ASSERT_EQUAL(ask(0, APF, 9, 1, MAX - 87, 0), 0);
    CU_ASSERT_EQUAL(ask(1, APF, 1, 2, 8, 0), 0);
    CU_ASSERT(m.reply.verdict == HVCORE_SSE_READ_GUEST && m.reply.base == 1);
    for (uint64_t fn = 0; fn < 2; fn++) {
        CU_ASSERT_EQUAL(ask(fn, APF, 0, 0, 8, 0), -3);
        CU_ASSERT_EQUAL(ask(fn, 1, 0, 1, 8, 0), -3);
        CU_ASSERT_EQUAL(ask(fn, APF, 0, 11, 8, 0), -11);
        CU_ASSERT_EQUAL(ask(fn, APF, 10, 1, 8, 0), -11);
        CU_ASSERT_EQUAL(ask(fn, APF, 1, UINT32_MAX, 8, 0), -11);
        CU_ASSERT_EQUAL(ask(fn, APF, UINT32_MAX, 2, 8, 0), -11);
        CU_ASSERT_EQUAL(ask(fn, APF, 0, 1, 4, 0), -5);
        CU_ASSERT_EQUAL(ask(fn, APF, 0, 1, 8, 1), -5);
        CU_ASSERT_EQUAL(ask(fn, APF, 0, 10, MAX - 7, 0), -5);
    }
}

static void test_write_attrs(void)
{
    /* attribute, value, and the error in each of the four states */
    static const struct {
        uint32_t attr;
        uint64_t value;
        int error[4];
    } rows[] = {
        {0, 0, {-11, -11, -11, -11}},      {1, 7, {0, 0, -10, -10}},
        {1, UINT32_MAX, {0, 0, -10, -10}}, {1, UINT64_C(1) << 32, {-3, -3, -10, -10}},
        {2, 1, {0, 0, -10, -10}},          {2, 2, {-3, -3, -10, -10}},
        {3, HART, {-11, -11, -11, -11}},   {4, 0, {-11, -11, -11, -11}},
        {5, 0, {-11, -11, -11, -11}},      {6, 4, {-10, -10, -10, 0}},
        {6, 5, {-10, -10, -10, -3}},       {7, 3, {-10, -10, -10, 0}},
        {7, 4, {-10, -10, -10, -3}},       {7, 16, {-10, -10, -10, -3}},
        {8, MAX, {-10, -10, -10, 0}},      {9, MAX, {-10, -10, -10, 0}},
        {10, 0, {-11, -11, -11, -11}},     {UINT32_MAX, 0, {-11, -11, -11, -11}},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (uint32_t state = 0; state < 4; state++) {
            hvcore_sse_state before;
            int64_t error;

            begin(0);
            mark(&m, 2, state);
            before = m.s;
            error = hvcore_sse_write_attrs(&m.s, APF, rows[i].attr, 1, &rows[i].value);
            CU_ASSERT_EQUAL(error, rows[i].error[state]);
            if (error != 0) {
                CU_ASSERT_EQUAL(memcmp(&before, &m.s, sizeof before), 0);
            } else {
                CU_ASSERT_EQUAL(m.s.events[2].attrs[rows[i].attr], rows[i].value);
            }
        }
    }
}

/* All or nothing, one-shot, and bits that come with features. */
static void test_write_more(void)
{
    const uint64_t half[2] = {7, 2}, both[2] = {7, 1}, flags = 16 | 32;

    begin(3);
    CU_ASSERT_EQUAL(hvcore_sse_write_attrs(&m.s, APF, 1, 2, half), -3);
    CU_ASSERT_EQUAL(m.s.events[2].attrs[1], 0);
    CU_ASSERT_EQUAL(hvcore_sse_write_attrs(&m.s, APF, 1, 2, both), 0);
    CU_ASSERT_EQUAL(hvcore_sse_write_attrs(&m.s, APF, 1, 0, both), -3);
    CU_ASSERT_EQUAL(hvcore_sse_write_attrs(&m.s, 1, 1, 1, both), -3);
    mark(&m, 2, 3);
    CU_ASSERT_EQUAL(hvcore_sse_write_attrs(&m.s, APF, 7, 1, &flags), 0);
    ask(HVCORE_SSE_COMPLETE, 0, 0, 0, 0, 0);
    CU_ASSERT_EQUAL(m.s.events[2].attrs[0], 1);
}

/* --- extremes --------------------------------------------------------------------------------- */

static void test_bad_calls(void)
{
    begin(0);
    for (uint64_t fn = 10; fn < 20; fn++) {
        CU_ASSERT_EQUAL(ask(fn, APF, 0, 0, 0, 0), -2);
    }
    CU_ASSERT_EQUAL(ask(MAX, 0, 0, 0, 0, 0), -2);
    CU_ASSERT_EQUAL(ask(UINT64_C(1) << 32 | 8, 0, 0, 0, 0, 0), -2);
    for (uint64_t fn = 2; fn < 6; fn++) {
        CU_ASSERT_EQUAL(ask(fn, 1, 2, 3, 4, 5), -3);
        CU_ASSERT_EQUAL(ask(fn, MAX, 2, 3, 4, 5), -3);
    }
    CU_ASSERT_EQUAL(ask(2, APF, 0xf001, 0, 0, 0), -3);
    CU_ASSERT_EQUAL(ask(2, UINT64_C(5) << 32 | APF, MAX - 1, MAX, 0, 0), 0);
    CU_ASSERT_EQUAL(ask(7, APF, 0, 0, 0, 0), -3); /* may not be injected */
    CU_ASSERT_EQUAL(ask(7, SOFT, MAX, 0, 0, 0), 0);
    CU_ASSERT(m.reply.verdict == HVCORE_SSE_SEND && m.reply.addr == MAX);
    CU_ASSERT_EQUAL(hvcore_sse_raise(&m.s, 1), -HVCORE_E_NOTFOUND);
    CU_ASSERT_EQUAL(hvcore_sse_cancel(&m.s, 1), -HVCORE_E_NOTFOUND);
}

static void test_bad_init(void)
{
    const uint32_t global[] = {0x8000}, twice[] = {4, 4};
    hvcore_sse_state before;

    begin(0);
    before = m.s;
    CU_ASSERT_EQUAL(hvcore_sse_init(&m.s, 0, global, 1, 0, 0), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_sse_init(&m.s, 0, twice, 2, 0, 0), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_sse_init(&m.s, 0, ids, 9, 0, 0), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_sse_init(&m.s, 0, ids, UINT32_MAX, 0, 0), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_sse_init(&m.s, 0, ids, 3, 0, 4), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(memcmp(&before, &m.s, sizeof before), 0);
    CU_ASSERT_EQUAL(hvcore_sse_init(&m.s, 0, NULL, 0, MAX >> 32, 0), 0);
}

static void test_validate(void)
{
    static const struct {
        size_t off;
        uint64_t value;
    } bad[] = {
#define FIELD(name, value) {offsetof(hvcore_sse_state, name), value}
        FIELD(events[2].attrs[0], 16),
        FIELD(events[2].attrs[0], 4),
        FIELD(events[2].attrs[1], MAX),
        FIELD(events[2].attrs[2], 2),
        FIELD(events[2].attrs[3], HART + 1),
        FIELD(events[2].attrs[4], 1),
        FIELD(events[2].attrs[6], MAX),
        FIELD(events[2].attrs[7], 16),
        FIELD(events[2].id, 0x8000),
        FIELD(events[2].id, 0),
        FIELD(count, 9),
        FIELD(hart, 0),
        FIELD(features, 4),
        FIELD(size, UINT64_C(1) << 32),
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        begin(0);
        memcpy((uint8_t *)&m.s + bad[i].off, &bad[i].value, 8);
        CU_ASSERT_EQUAL(hvcore_sse_validate(&m.s), -HVCORE_E_INVAL);
    }
}

static void test_facts(void)
{
    const uint32_t reg = HVCORE_APF_FACT_EV_REGISTERED, on = HVCORE_APF_FACT_EV_ENABLED;
    const uint32_t masked = HVCORE_APF_FACT_EV_MASKED, blocked = HVCORE_APF_FACT_EV_BLOCKED;
    static const uint32_t wanted[] = {0, 1, 3, 7}; /* registered, enabled, blocked */

    for (uint32_t state = 0; state < 4; state++) {
        begin(0);
        mark(&m, 2, state);
        CU_ASSERT_EQUAL(hvcore_sse_facts(&m.s, APF), masked | (wanted[state] & 1 ? reg : 0) |
                                                         (wanted[state] & 2 ? on : 0) |
                                                         (wanted[state] & 4 ? blocked : 0));
        CU_ASSERT_EQUAL(hvcore_sse_facts(&m.s, RAS), masked);
    }
    mark(&m, 0, 3);
    mark(&m, 2, 2);
    m.s.masked = 0;
    CU_ASSERT_EQUAL(hvcore_sse_facts(&m.s, APF), reg | on | blocked);
    CU_ASSERT_EQUAL(hvcore_sse_facts(&m.s, 1), 0);
}

/* --- SBI -------------------------------------------------------------------------------------- */

static hvcore_sbi_apf_call decode(uint64_t eid, uint64_t fid, uint64_t a0, uint32_t features)
{
    hvcore_riscv64_frame frame, before;
    hvcore_sbi_apf_call call;

    random_registers();
    frame = m.frame;
    frame.x[17] = eid;
    frame.x[16] = fid;
    frame.x[10] = a0;
    before = frame;
    memset(&call, 0xa5, sizeof call);
    hvcore_sbi_apf_decode(&frame, features, &call);
    CU_ASSERT_EQUAL(memcmp(&frame, &before, sizeof frame), 0);
    return call;
}

static void test_sbi(void)
{
    static const uint64_t eids[] = {HVCORE_SBI_SSE, HVCORE_SBI_APF, HVCORE_SBI_APF_FORWARDED};

    CU_ASSERT_EQUAL(HVCORE_SBI_APF & 0xffffff, HVCORE_SBI_IMPL_ID & 0xffffff);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t verdict = i ? HVCORE_SBI_APF_CALL : HVCORE_SBI_SSE_CALL;
        hvcore_sbi_apf_call probe = decode(HVCORE_SBI_BASE, 3, eids[i], 1u << i);

        CU_ASSERT_EQUAL(decode(eids[i], 4, 77, 1u << i).verdict, verdict);
        CU_ASSERT_EQUAL(decode(eids[i], 4, 77, ~(1u << i)).verdict, HVCORE_SBI_OTHER);
        CU_ASSERT_EQUAL(decode(UINT64_C(1) << 32 | eids[i], 4, 77, 7).verdict, HVCORE_SBI_OTHER);
        CU_ASSERT(probe.verdict == HVCORE_SBI_APF_ANSWER && probe.error == 0 && probe.value == 1);
        CU_ASSERT_EQUAL(decode(HVCORE_SBI_BASE, 3, eids[i], 0).verdict, HVCORE_SBI_OTHER);
        CU_ASSERT_EQUAL(decode(HVCORE_SBI_BASE, 2, eids[i], 7).verdict, HVCORE_SBI_OTHER);
    }
    CU_ASSERT(decode(HVCORE_SBI_SSE, MAX, 77, 1).fn == MAX);
    CU_ASSERT(decode(HVCORE_SBI_SSE, 0, 77, 1).arg[0] == 77);
    CU_ASSERT(decode(HVCORE_SBI_APF, 5, 77, 2).call.fn == 5);
    CU_ASSERT(decode(HVCORE_SBI_APF, 5, 77, 2).call.arg[0] == 77);
    CU_ASSERT(decode(HVCORE_SBI_APF, UINT64_C(1) << 32, 0, 2).call.fn == HVCORE_APF_FNS);
    CU_ASSERT(decode(HVCORE_SBI_APF, MAX, 0, 2).call.fn == HVCORE_APF_FNS);
}

/* What hvcore_sbi_decode() knows it still gets. */
static void test_sbi_others(void)
{
    static const uint64_t eids[] = {0,          8,          15,         0x10,
                                    0x53525354, 0x4442434e, 0x54494d45, 0x735049,
                                    0x08000000, 0x09ffffff, 0xffffffff, MAX};

    for (size_t i = 0; i < sizeof eids / sizeof *eids; i++) {
        hvcore_sbi_apf_call call = decode(eids[i], rnd() % 4, rnd(), 7), none;

        memset(&none, 0, sizeof none);
        CU_ASSERT_EQUAL(memcmp(&call, &none, sizeof none), 0);
    }
}

static void test_sbi_errors(void)
{
    static const struct {
        uint32_t fn;
        hvcore_apf_reply reply;
        int64_t error;
    } rows[] = {
        {2, {0, 0, 0}, 0},          {2, {-1, 0, 0}, -2},        {2, {-2, 0, 0}, -3},
        {2, {-2, 1, 0}, -5},        {2, {-3, 0, 0}, -4},        {2, {-4, 0, 0}, -7},
        {3, {-4, 0, 0}, -8},        {2, {-5, 0, 0}, -1},        {2, {1, 0, 0}, -1},
        {2, {INT32_MIN, 0, 0}, -1}, {2, {INT32_MAX, 0, 0}, -1},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CU_ASSERT_EQUAL(hvcore_sbi_apf_error(rows[i].fn, &rows[i].reply), rows[i].error);
    }
}

static const hvc_unit_test tests[] = {
    {"state table", test_state_table},
    {"pending", test_pending},
    {"entry and completion", test_entry_and_completion},
    {"registers that are missing", test_need_regs},
    {"priority", test_priority},
    {"random calls", test_random_calls},
    {"read attributes", test_read_attrs},
    {"write attributes", test_write_attrs},
    {"write more", test_write_more},
    {"bad calls", test_bad_calls},
    {"bad init", test_bad_init},
    {"validate", test_validate},
    {"facts", test_facts},
    {"sbi: extensions", test_sbi},
    {"sbi: others", test_sbi_others},
    {"sbi: errors", test_sbi_errors},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("sse", tests);
}
