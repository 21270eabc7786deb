/* SPDX-License-Identifier: Apache-2.0 */
/* Direct permissions of stage 1 (specs 3.4). */
#ifndef HVC_WALK_ARM64_PERMISSION_H
#define HVC_WALK_ARM64_PERMISSION_H

#include "lib/walk/arm64_walk.h"

/*
 * What a leaf gives both sides, by APTable (or-ed over all tables) and AP[2:1]: privileged in bits
 * 1:0, EL0 in bits 3:2, each an HVCORE_PROT_*.
 */
#define P_R 1
#define P_RW 3
#define U_R (1 << 2)
#define U_RW (3 << 2)

static const uint8_t HVC_ARM64_DIRECT[16] = {
    P_RW, P_RW | U_RW, P_R, P_R | U_R, /* APTable 00 */
    P_RW, P_RW,        P_R, P_R,       /* 01: nothing for EL0 */
    P_R,  P_R | U_R,   P_R, P_R | U_R, /* 10: read-only */
    P_R,  P_R,         P_R, P_R,
};

#undef P_R
#undef P_RW
#undef U_R
#undef U_RW

/* `ap` is AP[2:1] as it counts, `tables` the table descriptors above, or-ed. */
static inline uint32_t hvc_arm64_direct(uint32_t ap, uint64_t tables)
{
    return HVC_ARM64_DIRECT[arm64_bits(tables, DESC_APTABLE_SHIFT, 2) << 2 | ap];
}

/* Where nothing but AP and APTable has a say. */
static inline uint32_t hvc_arm64_plain_rights(uint32_t access, uint64_t d, uint64_t tables)
{
    uint32_t both = hvc_arm64_direct(arm64_bits(d, DESC_AP_SHIFT, 2), tables);

    return both >> (access & HVCORE_ARM64_ACCESS_EL0 ? 2 : 0) & 3;
}
#endif
