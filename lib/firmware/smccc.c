/* SPDX-License-Identifier: Apache-2.0 */
/* SMCCC 1.1 (DEN0028): who a call is for. What the table does not know is not supported. */
#include <stdbool.h>
#include <stddef.h>

#include <hvcore/firmware/sdei.h>
#include <hvcore/firmware/smccc.h>

#define NOT_SUPPORTED ((uint64_t)(int64_t)HVCORE_SMCCC_NOT_SUPPORTED)

/* "hvcore" in the namespace of DNS: 23b64285-76f0-5418-8a37-c9f559777f1f, bytes in their order. */
static const uint32_t uid[4] = {0x8542b623, 0x1854f076, 0xf5c9378a, 0x1f7f7759};

/* Identifiers and their answers: a range, the features that it needs, and a verdict. */
static const struct range {
    uint32_t first;
    uint32_t count;
    uint32_t features;
    uint32_t verdict;
    uint32_t known; /* below this there is something */
} ranges[] = {
    {HVCORE_SMCCC_SDEI_FIRST, 0x20, HVCORE_SMCCC_HAS_SDEI, HVCORE_SMCCC_SDEI, HVCORE_SDEI_FNS},
    {HVCORE_SMCCC_APF_FIRST, 0x100, HVCORE_SMCCC_HAS_APF, HVCORE_SMCCC_APF, HVCORE_APF_FNS},
};

static void take_apart(const uint64_t *x, hvcore_smccc_call *call)
{
    uint32_t id = (uint32_t)x[0];

    *call = (hvcore_smccc_call){
        .id = id,
        .fast = id >> 31,
        .wide = id >> 30 & 1,
        .owner = id >> 24 & 63,
        .fn = id & 0xffff,
        .x = {NOT_SUPPORTED, x[1], x[2], x[3]},
    };
    for (uint32_t i = 0; i < 6; i++) {
        call->arg[i] = call->wide ? x[i + 1] : (uint32_t)x[i + 1];
    }
}

static void give(hvcore_smccc_call *call, const struct range *range)
{
    call->fn = call->id - range->first;
    if (call->fn < range->known) {
        call->verdict = range->verdict;
        for (uint32_t i = 0; i < 4; i++) {
            call->x[i] = 0;
        }
    }
}

/* Not SDEI_VERSION and the like: this one is for architecture calls alone (DEN0028, 7.3). */
static uint64_t arch_features(uint32_t id)
{
    bool known = id == HVCORE_SMCCC_VERSION || id == HVCORE_SMCCC_ARCH_FEATURES;

    return known ? HVCORE_SMCCC_SUCCESS : NOT_SUPPORTED;
}

static void answer(hvcore_smccc_call *call, uint32_t features)
{
    bool apf = features & HVCORE_SMCCC_HAS_APF;

    if (call->id == HVCORE_SMCCC_VERSION) {
        call->x[0] = HVCORE_SMCCC_VERSION_1_1;
    } else if (call->id == HVCORE_SMCCC_ARCH_FEATURES) {
        call->x[0] = arch_features((uint32_t)call->arg[0]);
    } else if (call->id == HVCORE_SMCCC_HYP_UID && apf) {
        for (uint32_t i = 0; i < 4; i++) {
            call->x[i] = uid[i];
        }
    } else if (call->id == HVCORE_SMCCC_HYP_REVISION && apf) {
        call->x[0] = HVCORE_APF_ABI_VERSION >> 16;
        call->x[1] = HVCORE_APF_ABI_VERSION & 0xffff;
    }
}

void hvcore_smccc_decode(const hvcore_arm64_frame *frame, uint32_t features,
                         hvcore_smccc_call *call)
{
    take_apart(frame->x, call);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const struct range *r = &ranges[i];

        if (features & r->features && call->id - r->first < r->count) {
            give(call, r);
            return;
        }
    }
    answer(call, features);
}

static const int32_t codes[] = {
    [-HVCORE_APF_STATUS_OK] = HVCORE_SMCCC_SUCCESS,
    [-HVCORE_APF_NOT_SUPPORTED] = HVCORE_SMCCC_NOT_SUPPORTED,
    [-HVCORE_APF_INVALID] = HVCORE_SMCCC_INVALID_PARAMETER,
    [-HVCORE_APF_DENIED] = HVCORE_SMCCC_APF_DENIED,
    [-HVCORE_APF_NOT_REQUIRED] = HVCORE_SMCCC_NOT_REQUIRED,
};

void hvcore_smccc_apf_answer(uint32_t fn, const hvcore_apf_reply *reply, uint64_t x[2])
{
    uint32_t status = 0 - (uint32_t)reply->status;
    int32_t code =
        status < sizeof codes / sizeof *codes ? codes[status] : HVCORE_SMCCC_INVALID_PARAMETER;

    x[0] = fn == HVCORE_APF_FN_VERSION ? reply->value : (uint64_t)(int64_t)code;
    x[1] = fn == HVCORE_APF_FN_VERSION ? 0 : reply->value;
}
