/* SPDX-License-Identifier: Apache-2.0 */
/* sdei against its vectors, the state table of specs 5.2 written down a second time, random calls
 * beside a slow dispatcher, and input at its extremes. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <hvcore/error.h>
#include <hvcore/firmware/sdei.h>
#include <hvcore/fixup/apf.h>

#include "tests/unit/random.h"
#include "tests/unit/unit.h"
#include "tests/unit/vectors.h"

#define APF HVCORE_APF_SDEI_EVENT
#define RAS 0x40400002
#define ERROR(e) ((uint64_t)(int64_t)(e))

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

static const hvcore_sdei_event three[] = {
    {.number = RAS, .properties = HVCORE_SDEI_CRITICAL},
    {.number = 0, .properties = HVCORE_SDEI_SIGNALABLE},
    {.number = APF},
};

typedef struct machine {
    hvcore_sdei_state s;
    hvcore_arm64_frame frame;
    hvcore_arm64_sys sys;
    hvcore_sdei_reply reply;
} machine;

static machine m;

static void begin(uint32_t features)
{
    memset(&m, 0, sizeof m);
    CU_ASSERT_EQUAL(hvcore_sdei_init(&m.s, three, 3, features), 0);
    for (uint64_t i = 0; i < 31; i++) {
        m.frame.x[i] = 100 + i;
    }
    m.frame.pc = 0x1000;
    m.frame.spsr = 0x60000000;
    m.sys.elr_el1 = 0xe1;
    m.sys.spsr_el1 = 0x51;
}

static uint64_t ask(uint32_t fn, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const uint64_t arg[5] = {a, b, c, d, 0};

    memset(&m.reply, 0xa5, sizeof m.reply);
    hvcore_sdei_call(&m.s, fn, arg, &m.frame, &m.sys, &m.reply);
    if (m.reply.verdict == HVCORE_SDEI_SIGNAL) {
        hvcore_sdei_raise(&m.s, m.reply.event); /* all processors are this one */
    }
    CU_ASSERT_EQUAL(hvcore_sdei_validate(&m.s), 0);
    return m.reply.value;
}

/* --- vectors ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint32_t fn;
} calls[] = {
    {"register", HVCORE_SDEI_EVENT_REGISTER},
    {"status", HVCORE_SDEI_EVENT_STATUS},
    {"pe_mask", HVCORE_SDEI_PE_MASK},
    {"pe_unmask", HVCORE_SDEI_PE_UNMASK},
    {"context", HVCORE_SDEI_EVENT_CONTEXT},
    {"unregister", HVCORE_SDEI_EVENT_UNREGISTER},
    {"get_info", HVCORE_SDEI_EVENT_GET_INFO},
    {"routing_set", HVCORE_SDEI_EVENT_ROUTING_SET},
    {"private_reset", HVCORE_SDEI_PRIVATE_RESET},
    {"signal", HVCORE_SDEI_EVENT_SIGNAL},
    {"version", HVCORE_SDEI_VERSION},
};

static uint64_t number_at(json_object *step, int i)
{
    char path[16];

    snprintf(path, sizeof path, "args.%d", i);
    return hvc_json_u64_or(step, path, 0);
}

/* What `ret` has to be: -1 stands for JSON's null. */
static bool is_ret(json_object *step, bool null, int64_t value)
{
    json_object *ret = hvc_json_at(step, "ret");

    return null ? ret == NULL : ret && json_object_get_int64(ret) == value;
}

static bool run_deliver(json_object *step)
{
    hvcore_result r = hvcore_sdei_deliver(&m.s, &m.frame, &m.sys);

    return r.kind == HVCORE_RESULT_DONE && is_ret(step, r.arg == 0, (int64_t)r.addr);
}

static bool run_complete(json_object *step)
{
    bool resume = hvc_json_len(step, "args") > 0;
    uint64_t value =
        ask(resume ? HVCORE_SDEI_EVENT_COMPLETE_AND_RESUME : HVCORE_SDEI_EVENT_COMPLETE,
            number_at(step, 0), 0, 0, 0);

    return is_ret(step, m.reply.verdict == HVCORE_SDEI_RESUMED, (int64_t)value);
}

static bool run_call(json_object *step, const char *op)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (strcmp(op, calls[i].name) == 0) {
            return is_ret(step, false,
                          (int64_t)ask(calls[i].fn, number_at(step, 0), number_at(step, 1),
                                       number_at(step, 2), number_at(step, 3)));
        }
    }
    return false;
}

static bool run_step(json_object *step)
{
    const char *op = hvc_json_str_or(step, "op", "");

    if (strcmp(op, "deliver") == 0) {
        return run_deliver(step);
    }
    if (strcmp(op, "complete") == 0) {
        return run_complete(step);
    }
    if (strcmp(op, "raise_") == 0) {
        return hvcore_sdei_raise(&m.s, (uint32_t)number_at(step, 0)) == 0;
    }
    if (strcmp(op, "enable") == 0) {
        bool on = hvc_json_u64_or(step, "args.1", 1);

        return is_ret(step, false,
                      (int64_t)ask(on ? HVCORE_SDEI_EVENT_ENABLE : HVCORE_SDEI_EVENT_DISABLE,
                                   number_at(step, 0), 0, 0, 0));
    }
    return run_call(step, op);
}

static bool is_cpu(json_object *cpu)
{
    bool good = true;

    for (size_t i = 0; cpu && i < 6; i++) {
        good &= json_object_get_uint64(json_object_array_get_idx(hvc_json_at(cpu, "x0_5"), i)) ==
                m.frame.x[i];
    }
    return !cpu ||
           (good && hvc_json_u64(cpu, "x17") == m.frame.x[17] &&
            hvc_json_u64(cpu, "x18") == m.frame.x[18] && hvc_json_u64(cpu, "pc") == m.frame.pc &&
            hvc_json_u64(cpu, "pstate") == m.frame.spsr &&
            hvc_json_u64(cpu, "elr") == m.sys.elr_el1 &&
            hvc_json_u64(cpu, "spsr") == m.sys.spsr_el1);
}

static void test_vectors(void)
{
    json_object *doc = hvc_vectors_open("apf_vectors.json"), *all = hvc_json_at(doc, "sdei");

    CU_ASSERT_EQUAL(json_object_array_length(all), 17);
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        json_object *v = json_object_array_get_idx(all, i), *steps = hvc_json_at(v, "steps");

        begin(0);
        for (size_t k = 0; k < json_object_array_length(steps); k++) {
            json_object *step = json_object_array_get_idx(steps, k);
            bool good = run_step(step) && is_cpu(hvc_json_at(step, "cpu"));

            if (!good) {
                fprintf(stderr, "\n    \"%s\", step %zu ", hvc_json_str_or(v, "name", ""), k);
            }
            CU_ASSERT(good);
        }
    }
    json_object_put(doc);
}

/* --- the table of states, as text: state, then register enable disable unregister trigger complete
    */

/* An answer (0 ok, D denied, P pending, - nobody asks) and the new state, letters of r e u p. */
static const struct {
    const char *state;
    const char *cell[6];
} table[] = {
    {"", {"0r", "D", "D", "D", "0", "D"}},
    {"r", {"Dr", "0re", "0r", "0", "0rp", "Dr"}},
    {"re", {"Dre", "0re", "0r", "0", "0rep", "Dre"}},
    {"reu", {"Dreu", "0reu", "0ru", "Pu", "0reup", "0re"}},
    {"ru", {"Dru", "0reu", "0ru", "Pu", "0rup", "0r"}},
    {"u", {"Du", "Du", "Du", "Pu", "0u", "0"}},
};

static uint32_t bits_of(const char *letters)
{
    uint32_t bits = 0;

    for (; *letters; letters++) {
        bits |= *letters == 'r' ? 1u : *letters == 'e' ? 2u : *letters == 'u' ? 4u : 8u;
    }
    return bits;
}

static void put_into(uint32_t state)
{
    begin(0);
    m.s.events[1].state = state;
    m.s.events[1].entry = 0xf000;
    m.s.depth = (state & 4) != 0;
    m.s.stack[0].event = 1;
    CU_ASSERT_EQUAL(m.s.events[1].number, APF);
    CU_ASSERT_EQUAL(hvcore_sdei_validate(&m.s), 0);
}

static uint64_t do_column(int column)
{
    static const uint32_t fns[] = {HVCORE_SDEI_EVENT_REGISTER, HVCORE_SDEI_EVENT_ENABLE,
                                   HVCORE_SDEI_EVENT_DISABLE, HVCORE_SDEI_EVENT_UNREGISTER};

    if (column < 4) {
        return ask(fns[column], APF, 0xf000, 0, 0);
    }
    return column == 4 ? (uint64_t)hvcore_sdei_raise(&m.s, APF)
                       : ask(HVCORE_SDEI_EVENT_COMPLETE, 0, 0, 0, 0);
}

static void test_state_table(void)
{
    for (size_t row = 0; row < sizeof table / sizeof *table; row++) {
        for (int column = 0; column < 6; column++) {
            const char *cell = table[row].cell[column];
            uint64_t wanted = cell[0] == 'D' ? ERROR(-3) : cell[0] == 'P' ? ERROR(-5) : 0;

            put_into(bits_of(table[row].state));
            CU_ASSERT_EQUAL(do_column(column), wanted);
            CU_ASSERT_EQUAL(m.s.events[1].state, bits_of(cell + 1));
            /* The same with it pending before: it stays so, unless nothing is registered any more.
               */
            if (table[row].state[0] == 'r') {
                uint32_t after = bits_of(cell + 1);

                put_into(bits_of(table[row].state) | 8);
                CU_ASSERT_EQUAL(do_column(column), wanted);
                CU_ASSERT_EQUAL(m.s.events[1].state, after & 1 ? after | 8 : after);
            }
        }
    }
}

/* --- random calls beside a slow dispatcher ---------------------------------------------------- */

/* Who must be next, from the sentence in specs 5.2, looking at the public state only. */
static int64_t slow_next(void)
{
    bool normal = false, critical = false;

    for (uint32_t i = 0; i < 3; i++) {
        bool runs = m.s.events[i].state & 4;

        critical |= runs && m.s.events[i].number == RAS;
        normal |= runs && m.s.events[i].number != RAS;
    }
    if (m.s.masked || critical) {
        return -1;
    }
    if (m.s.events[2].state == (1 | 2 | 8)) {
        return RAS;
    }
    if (normal) {
        return -1;
    }
    return m.s.events[0].state == 11 ? 0 : m.s.events[1].state == 11 ? (int64_t)APF : -1;
}

static uint64_t random_call(void)
{
    static const uint32_t numbers[] = {0, APF, RAS, 77};
    uint32_t number = numbers[rnd() % 4], fn = (uint32_t)rnd() % 24;
    hvcore_arm64_frame frame = m.frame;
    hvcore_arm64_sys sys = m.sys;

    if (fn == 0x11 && rnd() % 8) {
        fn = HVCORE_SDEI_PE_UNMASK;
    }
    ask(fn, rnd() % 64 ? number : rnd(), rnd() % 8 * 0x1000, rnd(), rnd() % 16 == 0);
    if (rnd() % 2) {
        hvcore_sdei_raise(&m.s, number);
    }
    return m.reply.verdict != HVCORE_SDEI_RESUMED &&
           (memcmp(&frame, &m.frame, sizeof frame) != 0 || memcmp(&sys, &m.sys, sizeof sys) != 0);
}

/* What deliver changes, and that the last thing dispatched is the first restored. */
static void test_random_calls(void)
{
    static hvcore_arm64_frame under[2];
    uint64_t wrong = 0, dispatched = 0, deepest = 0;

    begin(0);
    for (int i = 0; i < 1000000; i++) {
        uint32_t depth = m.s.depth;
        int64_t next;
        hvcore_result r;

        wrong += random_call();
        if (m.reply.verdict == HVCORE_SDEI_RESUMED) {
            wrong += m.s.depth != depth - 1;
            wrong += memcmp(m.frame.x, under[m.s.depth].x, 18 * 8) != 0;
        }
        next = slow_next();
        depth = m.s.depth;
        if (depth < 2) {
            under[depth] = m.frame;
        }
        r = hvcore_sdei_deliver(&m.s, &m.frame, &m.sys);
        wrong += next < 0 ? r.arg != 0 : r.arg != 1 || r.addr != (uint64_t)next;
        wrong += r.arg && (m.frame.x[2] != under[depth & 1].pc || m.frame.spsr != 0x3c5 ||
                           memcmp(m.frame.x + 4, under[depth & 1].x + 4, 27 * 8) != 0);
        dispatched += r.arg;
        deepest += m.s.depth == 2;
        for (int x = 0; x < 31 && r.arg; x++) {
            m.frame.x[x] = x < 18 ? rnd() : m.frame.x[x]; /* the handler's */
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(dispatched > 10000 && deepest > 1000);
}

/* --- PSTATE, calls that are not there, extremes ----------------------------------------------- */

static uint64_t pstate_after(uint32_t features, uint64_t from, uint64_t sctlr)
{
    begin(features);
    m.frame.spsr = from;
    m.sys.sctlr_el1 = sctlr;
    m.sys.have = UINT64_C(1) << HVCORE_ARM64_SYS_sctlr_el1;
    ask(HVCORE_SDEI_EVENT_REGISTER, APF, 0xf000, 0, 0);
    ask(HVCORE_SDEI_EVENT_ENABLE, APF, 0, 0, 0);
    ask(HVCORE_SDEI_PE_UNMASK, 0, 0, 0, 0);
    hvcore_sdei_raise(&m.s, APF);
    CU_ASSERT_EQUAL(hvcore_sdei_deliver(&m.s, &m.frame, &m.sys).addr, APF);
    return m.frame.spsr;
}

static void test_pstate(void)
{
    const uint64_t span = 1 << 23, dssbs = UINT64_C(1) << 44, spint = UINT64_C(1) << 62;
    const uint64_t all = UINT64_MAX;

    CU_ASSERT_EQUAL(pstate_after(0, all, all), 0x3c5);
    CU_ASSERT_EQUAL(pstate_after(HVCORE_SDEI_HAS_PAN, 0, 0), 0x3c5 | 1 << 22);
    CU_ASSERT_EQUAL(pstate_after(HVCORE_SDEI_HAS_PAN, 0, span), 0x3c5);
    CU_ASSERT_EQUAL(pstate_after(HVCORE_SDEI_HAS_PAN, all, span), 0x3c5 | 1 << 22);
    CU_ASSERT_EQUAL(pstate_after(HVCORE_SDEI_HAS_DIT, all, 0), 0x3c5 | 1 << 24);
    CU_ASSERT_EQUAL(pstate_after(HVCORE_SDEI_HAS_DIT, 0, all), 0x3c5);
    CU_ASSERT_EQUAL(pstate_after(HVCORE_SDEI_HAS_SSBS, 0, dssbs), 0x3c5 | 1 << 12);
    CU_ASSERT_EQUAL(pstate_after(HVCORE_SDEI_HAS_SSBS, all, ~dssbs), 0x3c5);
    CU_ASSERT_EQUAL(pstate_after(HVCORE_SDEI_HAS_MTE, 0, 0), 0x3c5 | 1 << 25);
    CU_ASSERT_EQUAL(pstate_after(HVCORE_SDEI_HAS_NMI, 0, 0), 0x3c5 | 1 << 13);
    CU_ASSERT_EQUAL(pstate_after(HVCORE_SDEI_HAS_NMI, all, spint), 0x3c5);
    CU_ASSERT_EQUAL(pstate_after(31, all, 0), 0x3c5 | 1 << 22 | 1 << 24 | 1 << 25 | 1 << 13);
}

static void test_need_regs(void)
{
    hvcore_sdei_state before;

    pstate_after(HVCORE_SDEI_HAS_PAN, 0, 0);
    m.sys.have = 0;
    before = m.s;
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_EVENT_COMPLETE_AND_RESUME, 0x480, 0, 0, 0), 0);
    CU_ASSERT_EQUAL(m.reply.verdict, HVCORE_SDEI_NEED_REGS);
    CU_ASSERT_EQUAL(m.reply.addr, UINT64_C(1) << HVCORE_ARM64_SYS_sctlr_el1);
    CU_ASSERT_EQUAL(memcmp(&before, &m.s, sizeof before), 0);
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_EVENT_COMPLETE, 1, 0, 0, 0), 0);
    CU_ASSERT(m.reply.verdict == HVCORE_SDEI_RESUMED && m.reply.failed == 1);
    CU_ASSERT_EQUAL(m.reply.event, APF);
    hvcore_sdei_raise(&m.s, APF);
    CU_ASSERT_EQUAL(hvcore_sdei_deliver(&m.s, &m.frame, &m.sys).kind, HVCORE_RESULT_NEED_REGS);
    m.sys.have = UINT64_MAX;
    CU_ASSERT_EQUAL(hvcore_sdei_deliver(&m.s, &m.frame, &m.sys).arg, 1);
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_EVENT_COMPLETE_AND_RESUME, 0x480, 0, 0, 0), 0);
    CU_ASSERT(m.sys.dirty ==
              (UINT64_C(1) << HVCORE_ARM64_SYS_elr_el1 | UINT64_C(1) << HVCORE_ARM64_SYS_spsr_el1));
}

static void test_other_calls(void)
{
    begin(0);
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_VERSION, 0, 0, 0, 0), UINT64_C(1) << 48);
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_FEATURES, 0, 0, 0, 0), 0);
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_FEATURES, 1, 0, 0, 0), ERROR(-2));
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_SHARED_RESET, 0, 0, 0, 0), 0);
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_INTERRUPT_BIND, 5, 0, 0, 0), ERROR(-10));
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_INTERRUPT_RELEASE, 5, 0, 0, 0), ERROR(-2));
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_EVENT_SIGNAL, 0, 0x80000003, 0, 0), 0);
    CU_ASSERT(m.reply.verdict == HVCORE_SDEI_SIGNAL && m.reply.addr == 0x80000003);
    for (uint32_t fn = HVCORE_SDEI_FNS; fn < 40; fn++) {
        CU_ASSERT_EQUAL(ask(fn, 0, 0, 0, 0), ERROR(-1));
    }
    CU_ASSERT_EQUAL(ask(UINT32_MAX, 0, 0, 0, 0), ERROR(-1));
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_EVENT_CONTEXT, UINT64_MAX, 0, 0, 0), ERROR(-2));
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_EVENT_GET_INFO, APF, UINT64_MAX, 0, 0), ERROR(-2));
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_EVENT_REGISTER, APF, 4, 0, UINT64_MAX), ERROR(-2));
    CU_ASSERT_EQUAL(ask(HVCORE_SDEI_EVENT_REGISTER, UINT64_C(1) << 32 | APF, 4, 0, 1), 0);
    CU_ASSERT_EQUAL(hvcore_sdei_raise(&m.s, UINT32_MAX), -HVCORE_E_NOTFOUND);
    CU_ASSERT_EQUAL(hvcore_sdei_cancel(&m.s, UINT32_MAX), -HVCORE_E_NOTFOUND);
}

static void test_cancel_and_facts(void)
{
    const uint32_t reg = HVCORE_APF_FACT_EV_REGISTERED, on = HVCORE_APF_FACT_EV_ENABLED;
    const uint32_t masked = HVCORE_APF_FACT_EV_MASKED, blocked = HVCORE_APF_FACT_EV_BLOCKED;

    begin(0);
    CU_ASSERT_EQUAL(hvcore_sdei_facts(&m.s, APF), masked);
    CU_ASSERT_EQUAL(hvcore_sdei_facts(&m.s, 1), 0);
    ask(HVCORE_SDEI_EVENT_REGISTER, APF, 4, 0, 0);
    CU_ASSERT_EQUAL(hvcore_sdei_facts(&m.s, APF), masked | reg);
    ask(HVCORE_SDEI_EVENT_ENABLE, APF, 0, 0, 0);
    ask(HVCORE_SDEI_PE_UNMASK, 0, 0, 0, 0);
    CU_ASSERT_EQUAL(hvcore_sdei_facts(&m.s, APF), reg | on);
    hvcore_sdei_raise(&m.s, APF);
    CU_ASSERT_EQUAL(hvcore_sdei_cancel(&m.s, APF), 0);
    CU_ASSERT_EQUAL(hvcore_sdei_deliver(&m.s, &m.frame, &m.sys).arg, 0);
    hvcore_sdei_raise(&m.s, APF);
    CU_ASSERT_EQUAL(hvcore_sdei_deliver(&m.s, &m.frame, &m.sys).arg, 1);
    CU_ASSERT_EQUAL(hvcore_sdei_facts(&m.s, APF), reg | on | blocked);
    CU_ASSERT_EQUAL(hvcore_sdei_facts(&m.s, 0), blocked);
    CU_ASSERT_EQUAL(hvcore_sdei_facts(&m.s, RAS), 0);
}

/* Nothing interrupts a critical event, another critical one neither. */
static void test_two_critical(void)
{
    static const hvcore_sdei_event two[] = {{.number = RAS, .properties = HVCORE_SDEI_CRITICAL},
                                            {.number = APF, .properties = HVCORE_SDEI_CRITICAL}};

    memset(&m, 0, sizeof m);
    CU_ASSERT_EQUAL(hvcore_sdei_init(&m.s, two, 2, 0), 0);
    ask(HVCORE_SDEI_PE_UNMASK, 0, 0, 0, 0);
    for (int i = 0; i < 2; i++) {
        ask(HVCORE_SDEI_EVENT_REGISTER, two[i].number, 4, 0, 0);
        ask(HVCORE_SDEI_EVENT_ENABLE, two[i].number, 0, 0, 0);
        hvcore_sdei_raise(&m.s, two[i].number);
    }
    CU_ASSERT_EQUAL(hvcore_sdei_deliver(&m.s, &m.frame, &m.sys).addr, APF); /* the lower number */
    CU_ASSERT_EQUAL(hvcore_sdei_deliver(&m.s, &m.frame, &m.sys).arg, 0);
    CU_ASSERT_EQUAL(hvcore_sdei_facts(&m.s, RAS) & HVCORE_APF_FACT_EV_BLOCKED,
                    HVCORE_APF_FACT_EV_BLOCKED);
    ask(HVCORE_SDEI_EVENT_COMPLETE, 0, 0, 0, 0);
    CU_ASSERT_EQUAL(hvcore_sdei_deliver(&m.s, &m.frame, &m.sys).addr, RAS);
}

static void test_bad_init(void)
{
    static const hvcore_sdei_event bad[][2] = {
        {{.number = 1}, {.number = 1}},
        {{.number = UINT32_C(1) << 31}, {.number = 0}},
        {{.number = 0}, {.number = 1 << 24}},
        {{.number = 0}, {.number = 1 << 29}},
        {{.number = 0, .properties = 4}, {.number = 1}},
        {{.number = 0, .properties = UINT32_MAX}, {.number = 1}},
    };
    hvcore_sdei_state before;

    begin(0);
    before = m.s;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(hvcore_sdei_init(&m.s, bad[i], 2, 0), -HVCORE_E_INVAL);
    }
    CU_ASSERT_EQUAL(hvcore_sdei_init(&m.s, three, 3, 32), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_sdei_init(&m.s, three, 9, 0), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_sdei_init(&m.s, three, UINT32_MAX, 0), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(memcmp(&before, &m.s, sizeof before), 0);
    CU_ASSERT_EQUAL(hvcore_sdei_init(&m.s, NULL, 0, 0), 0);
}

/* States that no call leaves behind. */
static void test_validate(void)
{
    static const struct {
        size_t off;
        uint32_t value;
    } bad[] = {
#define FIELD(name, value) {offsetof(hvcore_sdei_state, name), value}
        FIELD(size, 0),
        FIELD(version, 2),
        FIELD(features, 32),
        FIELD(masked, 2),
        FIELD(count, 9),
        FIELD(count, UINT32_MAX),
        FIELD(depth, 0),
        FIELD(depth, 2),
        FIELD(depth, 3),
        FIELD(depth, UINT32_MAX),
        FIELD(stack[0].event, 3),
        FIELD(stack[0].event, UINT32_MAX),
        FIELD(stack[0].event, 0),
        FIELD(events[0].number, APF),
        FIELD(events[0].number, UINT32_MAX),
        FIELD(events[0].state, 16),
        FIELD(events[0].state, 2),
        FIELD(events[0].state, 8),
        FIELD(events[0].state, 5),
        FIELD(events[0].properties, 4),
        FIELD(events[1].state, 3),
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_into(7);
        memcpy((uint8_t *)&m.s + bad[i].off, &bad[i].value, 4);
        CU_ASSERT_EQUAL(hvcore_sdei_validate(&m.s), -HVCORE_E_INVAL);
    }
}

static const hvc_unit_test tests[] = {
    {"vectors", test_vectors},
    {"state table", test_state_table},
    {"random calls", test_random_calls},
    {"PSTATE of an entry", test_pstate},
    {"registers that are missing", test_need_regs},
    {"other calls", test_other_calls},
    {"cancel, facts", test_cancel_and_facts},
    {"two critical events", test_two_critical},
    {"bad init", test_bad_init},
    {"validate", test_validate},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("sdei", tests);
}
