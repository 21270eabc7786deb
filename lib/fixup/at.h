/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the unit at. */
#ifndef HVC_FIXUP_AT_H
#define HVC_FIXUP_AT_H

#include <hvcore/fixup/arm64_state.h>

#include "lib/walk/arm64_regs.h"

#define AT_SET(name) ARM64_BIT(HVCORE_ARM64_SYS_##name)

/* ESR_ELx of the exceptions that the unit gives a guest. */
#define AT_ESR_UNDEFINED 0x02000000u /* EC 0, IL */
#define AT_EC_SYSTEM 0x18u
#define AT_EC_ABORT_LOWER 0x24u
#define AT_EC_ABORT_SAME 0x25u

/* How far an instruction has got: hvcore_at_state.phase. */
enum at_phase {
    AT_PHASE_NEW = 0,
    AT_PHASE_ASKED = 1,   /* NEED_AT was the last answer */
    AT_PHASE_SOFTWARE = 2 /* the hardware has nothing to say */
};

/* Who gets the trap. */
enum at_fate { AT_EXECUTES, AT_UNDEFINED, AT_TRAPS };

/* A trapped AT, decoded, and what surrounds it. */
struct at_call {
    hvcore_arm64_frame *frame;
    hvcore_arm64_sys *sys;
    const hvcore_event *event;
    hvcore_at_state *at;
    const hvcore_arm64_walk_mem *mem;
    hvcore_at_insn insn;
    uint32_t el;     /* that executed it */
    uint32_t answer; /* HVCORE_AT_ANSWER_* */
    bool held;       /* nobody else runs */
    uint64_t va;
    uint64_t hcr; /* 0 without EL2 */
};

/* ---- at_decode.c ---- */

/* The registers that decide about the trap and are not there. */
uint64_t hvc_at_missing(const struct at_call *k);
enum at_fate hvc_at_fate(const struct at_call *k);
hvcore_arm64_walk_request hvc_at_request(const struct at_call *k);
/* NEED_AT's argument; false: the hardware cannot express this. */
bool hvc_at_hardware(const struct at_call *k, uint32_t *arg);

/* ---- at_par.c ---- */

/* The hardware's answer, in the form in which the guest gets it; false: it is not to be
 * believed. */
bool hvc_at_believe(const struct at_call *k, uint64_t par[2]);
#endif
