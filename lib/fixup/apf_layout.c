/* SPDX-License-Identifier: Apache-2.0 */
/* Where the shared area keeps what, how far apart, and what a token is made of. */
#include <stdbool.h>

#include <hvcore/error.h>
#include <hvcore/fixup/apf.h>

enum { WORD = 4, CWG_RESERVED = 10 };

/* CTR_EL0.CWG, bits 27:24: log2 of the words of the largest granule that a write-back may touch; 0
 * is "not provided", above 9 reserved. DminLine, bits 19:16: of the smallest data line (DDI0487,
 * CTR_EL0). */
static uint64_t arm64_granule(uint64_t ctr)
{
    uint64_t cwg = ctr >> 24 & 15, line = UINT64_C(4) << (ctr >> 16 & 15);
    uint64_t granule = UINT64_C(4) << cwg;

    if (cwg == 0 || cwg >= CWG_RESERVED) {
        return HVCORE_APF_STRIDE_MAX;
    }
    return granule > line ? granule : line;
}

static uint64_t granule_of(uint32_t arch, uint64_t value)
{
    return arch == HVCORE_ARCH_ARM64 ? arm64_granule(value) : value;
}

static uint32_t power_of_two(uint32_t least, uint64_t n)
{
    while (least < n) {
        least <<= 1;
    }
    return least;
}

uint32_t hvcore_apf_stride_negotiate(uint32_t arch, const uint64_t *values, size_t n)
{
    uint64_t best = HVCORE_APF_STRIDE_MIN;

    for (size_t i = 0; i < n; i++) {
        uint64_t granule = granule_of(arch, values[i]);

        best = granule > best ? granule : best;
    }
    if (best > HVCORE_APF_STRIDE_MAX) {
        best = HVCORE_APF_STRIDE_MAX;
    }
    return power_of_two(HVCORE_APF_STRIDE_MIN, best);
}

static bool is_stride(uint32_t stride)
{
    return stride >= HVCORE_APF_STRIDE_MIN && stride <= HVCORE_APF_STRIDE_MAX &&
           (stride & (stride - 1)) == 0;
}

static uint32_t round_up(uint32_t n, uint32_t to)
{
    return (n + to - 1) & ~(to - 1);
}

int hvcore_apf_layout_make(uint32_t stride, uint32_t nslots, hvcore_apf_layout *layout)
{
    uint32_t cap, g0;

    if (!is_stride(stride) || nslots == 0 || nslots > HVCORE_APF_SLOTS_MAX) {
        return -HVCORE_E_INVAL;
    }
    cap = power_of_two(1, nslots);
    g0 = 2 * stride + round_up(WORD * cap, stride);
    *layout = (hvcore_apf_layout){
        .h0 = 0,
        .h1 = stride,
        .ring = 2 * stride,
        .g0 = g0,
        .cap = cap,
        .size = round_up(g0 + stride, HVCORE_APF_PAGE),
        .align = HVCORE_APF_PAGE,
    };
    return 0;
}

uint32_t hvcore_apf_token_make(uint32_t epoch, uint32_t seq, uint32_t slot)
{
    return (epoch & 0xff) << 24 | (seq & 0xffff) << 8 | ((slot + 1) & 0xff);
}

hvcore_apf_token hvcore_apf_token_split(uint32_t token)
{
    return (hvcore_apf_token){
        .epoch = token >> 24,
        .seq = token >> 8 & 0xffff,
        .slot = (token & 0xff) - 1,
    };
}
