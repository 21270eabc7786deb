/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the table of what QEMU is known to do differently (at_known.c); its part on memory types.
 */
#ifndef HVC_TESTS_SYSTEM_ARM64_AT_KNOWN_H
#define HVC_TESTS_SYSTEM_ARM64_AT_KNOWN_H

#include "tests/system/arm64/at.h"

/* Where it may show, and how the unit's reading becomes QEMU's: other registers or words to read
 * from (vary), or another outcome (turn). */
typedef bool known_may(const state *s, const outcome *unit);
typedef void known_vary(const state *s, variant *v);
typedef void known_turn(state *s, const variant *v, const outcome *hardware, outcome *unit);

typedef struct known {
    const char *name;
    known_may *may;
    known_vary *vary;
    known_turn *turn;
} known;

static inline bool known_is_el10(const state *s)
{
    return at_regime(s) == HVCORE_ARM64_REGIME_EL10;
}

static inline bool known_is_success(const outcome *o)
{
    return !o->abort && !(o->par & PAR_F);
}

/* ---- at_known_types.c ---- */

known_may known_c_may, known_cd_may, known_both_may;
known_vary known_c, known_cd, known_xs;
known_turn known_fwb_device, known_nibble, known_transient, known_raw;

#endif
