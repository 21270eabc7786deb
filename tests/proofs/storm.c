/* SPDX-License-Identifier: Apache-2.0 */
/* The storm detector, for all states: the verdict, and sums that neither wrap nor go below zero. */
#include "lib/fixup/storm.c"

#include "tests/proofs/proof.h"

enum { NONE = 0, LIVELOCK = 2, RATE = 3 };

PROOF(storm_run, 1)
{
    hvcore_storm_state s, was;
    hvcore_storm_params p;
    uint64_t now, cause, epc, tval;
    bool same;
    uint32_t verdict;

    ASSUME(p.drain == 0); /* the bucket is the next proof's */
    was = s;
    same = was.cause == cause && was.epc == epc && was.tval == tval;
    verdict = hvcore_storm_event(&s, &p, now, cause, epc, tval);
    PROVE(s.cause == cause && s.epc == epc && s.tval == tval && s.time_ms == now);
    PROVE(s.run == (!same ? 1 : was.run == UINT32_MAX ? UINT32_MAX : was.run + 1));
    PROVE(s.level == 0 && s.reserved == was.reserved);
    PROVE(verdict == (p.repeat && s.run >= p.repeat ? LIVELOCK : NONE));
}

/* The product is the unit's own multiplication; what it is used for is proven. */
PROOF(storm_bucket, 1)
{
    hvcore_storm_state s, was;
    hvcore_storm_params p;
    uint64_t now, elapsed;
    uint32_t verdict;

    ASSUME(p.drain != 0 && p.repeat == 0);
    was = s;
    elapsed = now > was.time_ms ? now - was.time_ms : 0;
    verdict = hvcore_storm_event(&s, &p, now, was.cause, was.epc, was.tval);
    PROVE(s.level >= 1); /* this event is in */
    PROVE(s.level <= was.level || s.level - was.level == 1);
    PROVE(elapsed != 0 || s.level == (was.level == UINT64_MAX ? UINT64_MAX : was.level + 1));
    PROVE(elapsed < was.level || s.level == 1); /* drains at least one a millisecond */
    PROVE(verdict == (s.level > p.capacity ? RATE : NONE));
}

/* The arithmetic of the product, in numbers that a solver multiplies. */
PROOF(storm_drain, 1)
{
    hvcore_storm_state s;
    uint32_t drain;
    uint16_t small;
    uint64_t lost, elapsed = small;

    s.time_ms = 0;
    lost = elapsed * drain;
    ASSUME(drain != 0 && drain < 16 && elapsed < 4096);
    PROVE(drained(&s, drain, elapsed) == (s.level > lost ? s.level - lost : 0));
}
