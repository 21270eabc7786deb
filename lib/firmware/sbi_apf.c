/* SPDX-License-Identifier: Apache-2.0 */
/* SBI calls of the extensions APF and SSE, decoded before hvcore_sbi_decode() sees them. */
#include <stdbool.h>
#include <stddef.h>

#include <hvcore/firmware/sbi.h>
#include <hvcore/firmware/sbi_apf.h>

enum { A0 = 10, A6 = 16, A7 = 17 }; /* x registers of a call (SBI 3) */
enum { BASE_PROBE = 3 };

static const struct extension {
    uint64_t eid;
    uint32_t feature;
    uint32_t verdict;
} extensions[] = {
    {HVCORE_SBI_SSE, HVCORE_SBI_HAS_SSE, HVCORE_SBI_SSE_CALL},
    {HVCORE_SBI_APF, HVCORE_SBI_HAS_APF, HVCORE_SBI_APF_CALL},
    {HVCORE_SBI_APF_FORWARDED, HVCORE_SBI_HAS_APF_FORWARDED, HVCORE_SBI_APF_CALL},
};

static uint32_t verdict_of(uint64_t eid, uint32_t features)
{
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        if (extensions[i].eid == eid && features & extensions[i].feature) {
            return extensions[i].verdict;
        }
    }
    return HVCORE_SBI_OTHER;
}

static void take_apf(const uint64_t *x, hvcore_apf_call *call)
{
    call->fn = x[A6] < HVCORE_APF_FNS ? (uint32_t)x[A6] : HVCORE_APF_FNS;
    for (uint32_t i = 0; i < 4; i++) {
        call->arg[i] = x[A0 + i];
    }
}

static void take_sse(const uint64_t *x, hvcore_sbi_apf_call *call)
{
    call->fn = x[A6];
    for (uint32_t i = 0; i < 5; i++) {
        call->arg[i] = x[A0 + i];
    }
}

void hvcore_sbi_apf_decode(const hvcore_riscv64_frame *frame, uint32_t features,
                           hvcore_sbi_apf_call *call)
{
    const uint64_t *x = frame->x;
    bool probe = x[A7] == HVCORE_SBI_BASE && x[A6] == BASE_PROBE;

    *call = (hvcore_sbi_apf_call){.verdict = verdict_of(x[A7], features)};
    if (probe && verdict_of(x[A0], features) != HVCORE_SBI_OTHER) {
        call->verdict = HVCORE_SBI_APF_ANSWER;
        call->value = 1;
    } else if (call->verdict == HVCORE_SBI_APF_CALL) {
        take_apf(x, &call->call);
    } else if (call->verdict == HVCORE_SBI_SSE_CALL) {
        take_sse(x, call);
    }
}

static const int8_t codes[] = {
    [-HVCORE_APF_STATUS_OK] = HVCORE_SBI_SUCCESS,
    [-HVCORE_APF_NOT_SUPPORTED] = HVCORE_SBI_ERR_NOT_SUPPORTED,
    [-HVCORE_APF_INVALID] = HVCORE_SBI_ERR_INVALID_PARAM,
    [-HVCORE_APF_DENIED] = HVCORE_SBI_ERR_DENIED,
    [-HVCORE_APF_NOT_REQUIRED] = HVCORE_SBI_ERR_ALREADY_STOPPED,
};

int64_t hvcore_sbi_apf_error(uint32_t fn, const hvcore_apf_reply *reply)
{
    uint32_t status = 0 - (uint32_t)reply->status;

    if (reply->status == HVCORE_APF_NOT_REQUIRED && fn == HVCORE_APF_FN_ENABLE) {
        return HVCORE_SBI_ERR_ALREADY_STARTED;
    }
    if (reply->status == HVCORE_APF_INVALID && reply->bad_address) {
        return HVCORE_SBI_ERR_INVALID_ADDRESS;
    }
    return status < sizeof codes / sizeof *codes ? codes[status] : HVCORE_SBI_ERR_FAILED;
}
