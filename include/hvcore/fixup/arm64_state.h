/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The per-vCPU state of the arm64 units: flat, versioned, without pointers or host time, so that it
 * migrates with the guest. Each unit's header defines its member. Freestanding.
 */
#ifndef HVCORE_FIXUP_ARM64_STATE_H
#define HVCORE_FIXUP_ARM64_STATE_H

#include <hvcore/arm64.h>
#include <hvcore/fixup/at.h>
#include <hvcore/fixup/mops.h>
#include <hvcore/fixup/nisv_arm64.h>
#include <hvcore/fixup/spe.h>
#include <hvcore/fixup/step.h>

HVCORE_BEGIN

struct hvcore_arm64_state {
    uint32_t size;
    uint32_t version; /**< 1 */
    hvcore_mops_state mops;
    hvcore_step_state step;
    hvcore_nisv_arm64_state nisv;
    hvcore_at_state at;
    hvcore_spe_guest spe;
};

HVCORE_END
#endif
