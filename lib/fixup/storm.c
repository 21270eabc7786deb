/* SPDX-License-Identifier: Apache-2.0 */
/* A run of equal traps, and a leaky bucket. Every sum saturates: a wrapped one would forgive a
 * storm. */
#include <hvcore/fixup/storm.h>

#include <stdbool.h>

static bool is_repeated(const hvcore_storm_state *state, uint64_t cause, uint64_t epc,
                        uint64_t tval)
{
    return state->cause == cause && state->epc == epc && state->tval == tval;
}

static void count_run(hvcore_storm_state *state, uint64_t cause, uint64_t epc, uint64_t tval)
{
    if (!is_repeated(state, cause, epc, tval))
        state->run = 0;
    if (state->run != UINT32_MAX)
        state->run++;
    state->cause = cause;
    state->epc = epc;
    state->tval = tval;
}

/* Without a rate limit the bucket stays empty: a policy that sets one later begins from nothing. */
static uint64_t drained(const hvcore_storm_state *state, uint32_t drain, uint64_t time_ms)
{
    uint64_t elapsed = time_ms > state->time_ms ? time_ms - state->time_ms : 0;
    uint64_t lost;

    if (drain == 0 || __builtin_mul_overflow(elapsed, (uint64_t)drain, &lost))
        return 0;
    return state->level > lost ? state->level - lost : 0;
}

/* The time is taken over even if it went back: after a jump ahead and back the bucket would
 * otherwise not drain until the clock had caught up. */
static void fill_bucket(hvcore_storm_state *state, uint32_t drain, uint64_t time_ms)
{
    state->level = drained(state, drain, time_ms);
    state->time_ms = time_ms;
    if (drain != 0 && state->level != UINT64_MAX)
        state->level++;
}

uint32_t hvcore_storm_event(hvcore_storm_state *state, const hvcore_storm_params *params,
                            uint64_t time_ms, uint64_t cause, uint64_t epc, uint64_t tval)
{
    count_run(state, cause, epc, tval);
    fill_bucket(state, params->drain, time_ms);
    if (params->repeat != 0 && state->run >= params->repeat)
        return HVCORE_STORM_LIVELOCK;
    if (state->level > params->capacity)
        return HVCORE_STORM_RATE;
    return HVCORE_STORM_NONE;
}
