/* SPDX-License-Identifier: Apache-2.0 */
/* hvcore_storm_event against its vector, its extremes, and the same in 128-bit integers. */
#include <stdbool.h>
#include <string.h>

#include <hvcore/fixup/storm.h>

#include "tests/unit/random.h"
#include "tests/unit/unit.h"
#include "tests/unit/vectors.h"

#define MAX64 UINT64_MAX
#define MAX32 UINT32_MAX

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

static const char *verdict_name(uint32_t verdict)
{
    switch (verdict) {
    case HVCORE_STORM_NONE:
        return "ok";
    case HVCORE_STORM_LIVELOCK:
        return "livelock";
    case HVCORE_STORM_RATE:
        return "rate";
    default:
        return "?";
    }
}

static void run_event(hvcore_storm_state *state, const hvcore_storm_params *params, json_object *ev,
                      const char *wanted)
{
    uint32_t got = hvcore_storm_event(state, params, hvc_json_u64(ev, "0"), hvc_json_u64(ev, "1"),
                                      hvc_json_u64(ev, "2"), hvc_json_u64(ev, "3"));

    CU_ASSERT_STRING_EQUAL(verdict_name(got), wanted);
}

static void run_vector(json_object *v)
{
    hvcore_storm_state state = {0};
    hvcore_storm_params params = {
        .repeat = (uint32_t)hvc_json_u64(v, "in.repeat"),
        .drain = (uint32_t)hvc_json_u64(v, "in.drain"),
        .capacity = hvc_json_u64(v, "in.cap"),
    };
    size_t n = hvc_json_len(v, "in.events");

    CU_ASSERT_EQUAL(n, hvc_json_len(v, "out"));
    for (size_t i = 0; i < n; i++) {
        char event[32], out[32];

        snprintf(event, sizeof event, "in.events.%zu", i);
        snprintf(out, sizeof out, "out.%zu", i);
        run_event(&state, &params, hvc_json_at(v, event), hvc_json_str_or(v, out, "missing"));
    }
}

static void test_vectors(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json");
    size_t at = 0, n = 0;

    for (json_object *v; (v = hvc_vectors_next(doc, "storm", &at)); n++)
        run_vector(v);
    CU_ASSERT_EQUAL(n, 1);
    json_object_put(doc);
}

/* --- the run of equal traps ------------------------------------------------------------------- */

static uint32_t same_trap(hvcore_storm_state *state, uint32_t repeat)
{
    const hvcore_storm_params params = {.repeat = repeat};

    return hvcore_storm_event(state, &params, 0, 2, 0x1000, 0);
}

static void test_repeat(void)
{
    hvcore_storm_state never = {0}, one = {0}, three = {0};

    for (int i = 1; i <= 1000; i++) {
        CU_ASSERT_EQUAL(same_trap(&never, 0), HVCORE_STORM_NONE);
        CU_ASSERT_EQUAL(same_trap(&one, 1), HVCORE_STORM_LIVELOCK);
        CU_ASSERT_EQUAL(same_trap(&three, 3), i < 3 ? HVCORE_STORM_NONE : HVCORE_STORM_LIVELOCK);
    }
    CU_ASSERT_EQUAL(never.run, 1000);
}

/* The run stops counting at its end and is not forgotten there. */
static void test_repeat_saturates(void)
{
    hvcore_storm_state state = {.cause = 2, .epc = 0x1000, .run = MAX32 - 2};

    CU_ASSERT_EQUAL(same_trap(&state, MAX32), HVCORE_STORM_NONE);
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(same_trap(&state, MAX32), HVCORE_STORM_LIVELOCK);
        CU_ASSERT_EQUAL(state.run, MAX32);
    }
    CU_ASSERT_EQUAL(same_trap(&state, 1), HVCORE_STORM_LIVELOCK);
}

/* Each of cause, epc and tval breaks the run, by its highest and its lowest bit. */
static void test_run_is_broken(void)
{
    const hvcore_storm_params params = {.repeat = 2};
    const uint64_t trap[3] = {5, 0x80001000, 0x20000000};

    for (int which = 0; which < 3; which++)
        for (int bit = 0; bit < 64; bit += 63) {
            hvcore_storm_state state = {0};
            uint64_t other[3] = {trap[0], trap[1], trap[2]};

            other[which] ^= UINT64_C(1) << bit;
            hvcore_storm_event(&state, &params, 0, trap[0], trap[1], trap[2]);
            CU_ASSERT_EQUAL(hvcore_storm_event(&state, &params, 0, other[0], other[1], other[2]),
                            HVCORE_STORM_NONE);
            CU_ASSERT_EQUAL(state.run, 1);
            CU_ASSERT_EQUAL(hvcore_storm_event(&state, &params, 0, other[0], other[1], other[2]),
                            HVCORE_STORM_LIVELOCK);
        }
}

/* A new state is not a trap: the first one, all zeros, is the first in its row. */
static void test_first_trap(void)
{
    const hvcore_storm_params params = {.repeat = 2};
    hvcore_storm_state state = {0};

    CU_ASSERT_EQUAL(hvcore_storm_event(&state, &params, 0, 0, 0, 0), HVCORE_STORM_NONE);
    CU_ASSERT_EQUAL(state.run, 1);
    CU_ASSERT_EQUAL(hvcore_storm_event(&state, &params, 0, 0, 0, 0), HVCORE_STORM_LIVELOCK);
}

/* --- the bucket ------------------------------------------------------------------------------- */

static uint32_t any_trap(hvcore_storm_state *state, uint32_t drain, uint64_t capacity,
                         uint64_t time_ms)
{
    const hvcore_storm_params params = {.drain = drain, .capacity = capacity};

    return hvcore_storm_event(state, &params, time_ms, 2, rnd(), 0);
}

static void test_drain(void)
{
    hvcore_storm_state state = {0};

    for (int i = 0; i < 7; i++)
        any_trap(&state, 2, 100, 10);
    CU_ASSERT_EQUAL(state.level, 7);
    any_trap(&state, 2, 100, 12); /* 7 - 4 + 1 */
    CU_ASSERT_EQUAL(state.level, 4);
    any_trap(&state, 2, 100, 14); /* 4 - 4 + 1 */
    CU_ASSERT_EQUAL(state.level, 1);
    any_trap(&state, 2, 100, 16); /* not below 0 */
    CU_ASSERT_EQUAL(state.level, 1);
}

static void test_no_rate_limit(void)
{
    hvcore_storm_state state = {.level = MAX64};

    for (int i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(any_trap(&state, 0, 0, 0), HVCORE_STORM_NONE);
    /* A limit that comes later judges what comes later. */
    CU_ASSERT_EQUAL(any_trap(&state, 1, 2, 0), HVCORE_STORM_NONE);
    CU_ASSERT_EQUAL(any_trap(&state, 1, 2, 0), HVCORE_STORM_NONE);
    CU_ASSERT_EQUAL(any_trap(&state, 1, 2, 0), HVCORE_STORM_RATE);
}

static void test_capacity(void)
{
    hvcore_storm_state none = {0}, endless = {.level = MAX64 - 1};

    CU_ASSERT_EQUAL(any_trap(&none, MAX32, 0, 0), HVCORE_STORM_RATE);
    CU_ASSERT_EQUAL(any_trap(&none, MAX32, 0, MAX64), HVCORE_STORM_RATE);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(any_trap(&endless, 1, MAX64, 0), HVCORE_STORM_NONE);
        CU_ASSERT_EQUAL(endless.level, MAX64);
    }
    CU_ASSERT_EQUAL(any_trap(&endless, 1, MAX64 - 1, 0), HVCORE_STORM_RATE);
}

static void test_time_goes_back(void)
{
    hvcore_storm_state state = {.level = 10, .time_ms = 1000};

    any_trap(&state, 1, 100, 500); /* no time has passed */
    CU_ASSERT_EQUAL(state.level, 11);
    any_trap(&state, 1, 100, 503); /* and it goes on from there */
    CU_ASSERT_EQUAL(state.level, 9);
    any_trap(&state, 1, 100, MAX64);
    CU_ASSERT_EQUAL(state.level, 1);
    any_trap(&state, 1, 100, 0);
    CU_ASSERT_EQUAL(state.level, 2);
    any_trap(&state, 1, 100, 1);
    CU_ASSERT_EQUAL(state.level, 2);
}

/* Elapsed time x drain is more than 64 bits; a product that wraps would drain nearly nothing. */
static void test_time_jumps(void)
{
    hvcore_storm_state state = {.level = MAX64};

    any_trap(&state, MAX32, 1, MAX64);
    CU_ASSERT_EQUAL(state.level, 1);
    state = (hvcore_storm_state){.level = MAX64};
    any_trap(&state, 2, 1, UINT64_C(1) << 63); /* the product is 2^64 */
    CU_ASSERT_EQUAL(state.level, 1);
    state = (hvcore_storm_state){.level = MAX64};
    any_trap(&state, 1, MAX64, MAX64 - 5);
    CU_ASSERT_EQUAL(state.level, 6);
    state = (hvcore_storm_state){.level = 3, .time_ms = MAX64};
    any_trap(&state, 5, 100, MAX64);
    CU_ASSERT_EQUAL(state.level, 4);
}

static void test_livelock_goes_first(void)
{
    const hvcore_storm_params params = {.repeat = 1, .drain = 1, .capacity = 0};
    hvcore_storm_state state = {0};

    CU_ASSERT_EQUAL(hvcore_storm_event(&state, &params, 0, 1, 2, 3), HVCORE_STORM_LIVELOCK);
    CU_ASSERT_EQUAL(state.level, 1);
}

/* --- the same in wide integers ---------------------------------------------------------------- */

typedef __int128 wide;

typedef struct slow {
    uint64_t last[3], time;
    wide level, run;
} slow;

static wide at_most(wide value, uint64_t limit)
{
    return value > limit ? limit : value;
}

static uint32_t slow_event(slow *s, const hvcore_storm_params *p, uint64_t time,
                           const uint64_t trap[3])
{
    wide elapsed = (wide)time - s->time;

    s->level -= (elapsed > 0 ? elapsed : 0) * p->drain;
    s->level = at_most((s->level > 0 ? s->level : 0) + 1, MAX64);
    if (p->drain == 0)
        s->level = 0;
    s->time = time;
    s->run = memcmp(s->last, trap, sizeof s->last) == 0 ? at_most(s->run + 1, MAX32) : 1;
    memcpy(s->last, trap, sizeof s->last);
    if (p->repeat != 0 && s->run >= p->repeat)
        return HVCORE_STORM_LIVELOCK;
    return p->drain != 0 && s->level > p->capacity ? HVCORE_STORM_RATE : HVCORE_STORM_NONE;
}

/* Small numbers, large ones, and ends of ranges. */
static uint64_t odd_number(uint64_t max)
{
    switch (rnd() % 8) {
    case 0:
        return 0;
    case 1:
        return max;
    case 2:
        return max - rnd() % 8;
    case 3:
        return rnd() & max;
    case 4:
        return (rnd() & max) >> rnd() % 64;
    default:
        return rnd() % 10;
    }
}

static bool same_state(const hvcore_storm_state *state, const slow *s)
{
    return state->level == (uint64_t)s->level && state->run == (uint32_t)s->run &&
           state->time_ms == s->time && state->cause == s->last[0] && state->epc == s->last[1] &&
           state->tval == s->last[2] && state->reserved == 0;
}

/* One detector through `n` events; the parameters may change on the way, as policies do. */
static uint64_t run_both(int n)
{
    hvcore_storm_state state = {.level = odd_number(MAX64)};
    slow s = {.level = state.level};
    hvcore_storm_params params = {0};
    uint64_t wrong = 0, time = odd_number(MAX64);

    for (int i = 0; i < n; i++) {
        uint64_t trap[3] = {rnd() % 8 == 0, rnd() % 8 == 0, rnd() % 8 == 0};

        if (i % 16 == 0)
            params = (hvcore_storm_params){.repeat = (uint32_t)odd_number(MAX32),
                                           .drain = (uint32_t)odd_number(MAX32),
                                           .capacity = odd_number(MAX64)};
        time = rnd() % 16 ? time + rnd() % 3 : odd_number(MAX64);
        wrong += hvcore_storm_event(&state, &params, time, trap[0], trap[1], trap[2]) !=
                 slow_event(&s, &params, time, trap);
        wrong += !same_state(&state, &s);
    }
    return wrong;
}

static void test_as_wide_integers(void)
{
    uint64_t wrong = 0;

    for (int i = 0; i < 20000; i++)
        wrong += run_both(64);
    CU_ASSERT_EQUAL(wrong, 0);
}

static const hvc_unit_test tests[] = {
    {"vectors", test_vectors},
    {"repeat: never, at once, the third", test_repeat},
    {"repeat: saturates", test_repeat_saturates},
    {"a run is broken by cause, epc, tval", test_run_is_broken},
    {"the first trap of all", test_first_trap},
    {"drain", test_drain},
    {"no rate limit", test_no_rate_limit},
    {"capacity: 0 and 2^64-1", test_capacity},
    {"time goes back", test_time_goes_back},
    {"time jumps", test_time_jumps},
    {"livelock goes first", test_livelock_goes_first},
    {"as in wide integers", test_as_wide_integers},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("storm", tests);
}
