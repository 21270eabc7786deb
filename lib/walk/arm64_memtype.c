/* SPDX-License-Identifier: Apache-2.0 */
/* Memory types: MAIR, the combination with stage 2, the way back (specs 4.5). */
#include "lib/walk/arm64_walk.h"

/* A nibble of a Normal type: 0100 Non-cacheable, x1RW Write-Back, x0RW Write-Through; bit 3 clear
 * with RW not 00 is transient. */
#define NC 4u
#define WB 4u       /* the bit that tells Write-Back from Write-Through */
#define WT_PLAIN 8u /* Write-Through without hints */
#define RWA 15u

#define DEVICE_TYPE 0x0cu

/* Bytes that mean more than their nibbles, and the feature behind it. */
static const struct special {
    uint8_t byte, means;
    bool tagged;
    uint32_t feature;
} SPECIAL[3] = {
    {0xf0, MEMTYPE_WB, true, HVCORE_ARM64_FEAT_MTE2},
    {0x40, MEMTYPE_NC, false, HVCORE_ARM64_FEAT_XS},
    {0xa0, 0xaa, false, HVCORE_ARM64_FEAT_XS},
};

static inline bool is_wb(uint32_t nibble)
{
    return nibble != NC && nibble & WB;
}

void hvc_arm64_normal(struct hvc_arm64_memtype *m, uint32_t byte, uint32_t sh, bool xs)
{
    *m = (struct hvc_arm64_memtype){.byte = (uint8_t)byte, .sh = (uint8_t)sh, .xs = xs};
}

static void set_device(struct hvc_arm64_memtype *m, uint32_t type, uint32_t sh, bool xs)
{
    *m = (struct hvc_arm64_memtype){
        .byte = (uint8_t)type, .sh = (uint8_t)sh, .device = true, .xs = xs};
}

static inline uint32_t share(const hvcore_arm64_walk_options *o, uint32_t sh)
{
    return sh == 1 ? o->reserved_sh : sh;
}

/* Lower nibble 0: a special value, or reserved and then read as Write-Through. */
static HVC_ARM64_COLD void special(struct hvc_arm64_memtype *m, const hvcore_arm64_walk_options *o,
                                   uint32_t byte, uint32_t sh)
{
    for (uint32_t i = 0; i < 3; i++) {
        if (byte == SPECIAL[i].byte && o->features & SPECIAL[i].feature) {
            hvc_arm64_normal(m, SPECIAL[i].means, sh, false);
            m->tagged = SPECIAL[i].tagged;
            return;
        }
    }
    hvc_arm64_normal(m, byte | WT_PLAIN, sh, true);
}

void hvc_arm64_mair(struct hvc_arm64_memtype *m, const hvcore_arm64_walk_options *o, uint32_t byte,
                    uint32_t sh)
{
    sh = share(o, sh);
    if (byte >> 4 == 0) {
        set_device(m, byte & DEVICE_TYPE, sh,
                   !(o->features & HVCORE_ARM64_FEAT_XS && (byte & 3) == 1));
    } else if ((byte & 15) == 0) {
        special(m, o, byte, sh);
    } else {
        hvc_arm64_normal(m, byte, sh, !(is_wb(byte >> 4) && is_wb(byte & 15)));
    }
    m->mair = (uint8_t)byte;
    m->as_is = true;
}

uint32_t hvc_arm64_memtype_attr(const hvcore_arm64_walk_options *o,
                                const struct hvc_arm64_memtype *m)
{
    bool no_xs = o->features & HVCORE_ARM64_FEAT_XS && !m->xs;

    if (m->as_is) { /* nothing has changed it: reserved values too are reported as they stand */
        return m->mair;
    }
    if (m->tagged) {
        return SPECIAL[0].byte;
    }
    if (m->device) {
        return m->byte | (no_xs ? 1u : 0u);
    }
    for (uint32_t i = 1; no_xs && i < 3; i++) {
        if (m->byte == SPECIAL[i].means) {
            return SPECIAL[i].byte;
        }
    }
    return m->byte;
}

/* Device and Non-cacheable are Outer Shareable, whatever descriptors say. */
uint32_t hvc_arm64_memtype_sh(const struct hvc_arm64_memtype *m)
{
    return m->device || m->byte == MEMTYPE_NC ? SH_OUTER : m->sh;
}

/* ---- combination ---- */

bool hvc_arm64_s2_device(const struct hvc_arm64_s2 *s, uint64_t desc)
{
    uint32_t attr = arm64_bits(desc, DESC_S2_ATTR_SHIFT, 4);

    return s->flags & S2_FWB ? !(attr & 4) : !(attr >> 2);
}

static uint32_t combine_sh(uint32_t a, uint32_t b)
{
    if (a == SH_OUTER || b == SH_OUTER) {
        return SH_OUTER;
    }
    return a == SH_INNER || b == SH_INNER ? SH_INNER : SH_NONE;
}

/* One nibble, MemAttr's two bits: 01 Non-cacheable, 10 Write-Through, else Write-Back. Hints are
 * stage 1's. */
static uint32_t combine_nibble(uint32_t n, uint32_t s2)
{
    if (n == NC || s2 == 1) {
        return NC;
    }
    return s2 == 2 ? n & ~WB : n;
}

static uint32_t min_device(const struct hvc_arm64_memtype *m, uint32_t s2)
{
    return m->device && m->byte < s2 << 2 ? m->byte : s2 << 2;
}

/* HCR_EL2.FWB = 0: the weaker of both. `attr`: MemAttr, after HCR_EL2.CD. */
static void combine_weaker(struct hvc_arm64_memtype *m, uint32_t attr, bool xs)
{
    uint32_t byte = m->byte;
    bool both_xs = m->xs && xs;

    if (!(attr >> 2)) {
        set_device(m, min_device(m, attr), m->sh, both_xs);
    } else if (m->device) {
        set_device(m, byte, m->sh, both_xs);
    } else {
        byte = combine_nibble(byte >> 4, attr >> 2) << 4 | combine_nibble(byte & 15, attr & 3);
        m->xs = both_xs && !(is_wb(byte >> 4) && is_wb(byte & 15));
        m->byte = (uint8_t)byte;
    }
}

/* Write-Back by force: hints of stage 1 where it caches at all. */
static uint32_t force_wb(const struct hvc_arm64_memtype *m, uint32_t nibble)
{
    return m->device || nibble == NC ? RWA : nibble | WB;
}

/* HCR_EL2.FWB = 1: stage 2 decides. MemAttr[3] and 100 are reserved, taken for 0xx and 101. */
static void combine_forced(struct hvc_arm64_memtype *m, uint32_t attr)
{
    uint32_t byte = m->byte;

    if (!(attr & 4)) {
        set_device(m, min_device(m, attr & 3), m->sh, m->xs);
    } else if ((attr & 3) == 2) {
        byte = force_wb(m, byte >> 4) << 4 | force_wb(m, byte & 15);
        m->byte = (uint8_t)byte;
        m->device = false;
        m->xs = false;
    } else if ((attr & 3) != 3 && !m->device) {
        m->byte = MEMTYPE_NC;
    }
}

void hvc_arm64_memtype_combine(const struct hvc_arm64_walk *w, uint64_t desc,
                               struct hvc_arm64_memtype *m)
{
    const struct hvc_arm64_s2 *s = &w->s2;
    uint32_t attr = arm64_bits(desc, DESC_S2_ATTR_SHIFT, 4);
    uint32_t sh = share(w->opt, s->t.ds ? s->t.sh : arm64_bits(desc, DESC_SH_SHIFT, 2));
    bool xs = !(w->opt->features & HVCORE_ARM64_FEAT_XS && desc & DESC_FNXS);

    if (!(w->opt->choices & HVCORE_ARM64_CHOICE_RAW_SH)) {
        m->sh = (uint8_t)hvc_arm64_memtype_sh(m);
    }
    if (s->flags & S2_FWB) {
        combine_forced(m, attr);
        m->xs = m->xs && xs;
    } else {
        combine_weaker(m, attr, xs);
    }
    m->sh = (uint8_t)combine_sh(m->sh, sh);
    if (s->flags & S2_CD && !m->device) {
        m->byte = MEMTYPE_NC;
    }
    m->tagged = m->tagged && !m->device && m->byte == MEMTYPE_WB;
    m->as_is = false;
}
