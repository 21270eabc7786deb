/* SPDX-License-Identifier: Apache-2.0 */
/* storm: a guest that traps without getting on (freestanding and pure). */
#ifndef HVCORE_FIXUP_STORM_H
#define HVCORE_FIXUP_STORM_H

#include <hvcore/policy.h>
#include <hvcore/riscv64.h>

HVCORE_BEGIN

/** Parameters of the detector. */
typedef struct hvcore_storm_params {
    uint32_t repeat;   /**< equal (cause, epc, tval) in a row that make a livelock; 0: never */
    uint32_t drain;    /**< events per millisecond that the bucket loses; 0: no rate limit */
    uint64_t capacity; /**< level above which the rate is a storm */
} hvcore_storm_params;

/**
 * Count one trap at `time_ms` (which never goes back; if it does, no time has passed, and the clock
 * goes on from there). A state of zeros is a new one.
 *
 * Returns HVCORE_STORM_NONE, _LIVELOCK (this is at least the repeat-th equal trap in a row) or
 * _RATE (the level is above the capacity); LIVELOCK if both. All sums saturate.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_storm_event(hvcore_storm_state *state, const hvcore_storm_params *params,
                                       uint64_t time_ms, uint64_t cause, uint64_t epc,
                                       uint64_t tval);

HVCORE_END
#endif
