/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sbi_apf: the SBI extensions of a riscv64 guest that belong to asynchronous page faults: APF
 * itself and SSE. A decoder in front of hvcore_sbi_decode() (sbi.h); freestanding and pure.
 */
#ifndef HVCORE_FIRMWARE_SBI_APF_H
#define HVCORE_FIRMWARE_SBI_APF_H

#include <hvcore/fixup/apf.h>
#include <hvcore/firmware/sbi.h>

HVCORE_BEGIN

/** Extension numbers (a7). */
enum hvcore_sbi_apf_eid {
    HVCORE_SBI_SSE = 0x535345,
    HVCORE_SBI_APF = 0x0a766372, /**< firmware's own space, with the implementation number */
    HVCORE_SBI_APF_FORWARDED =
        0x08415046 /**< where a kernel forwards the experimental space only */
};

/** What there is. */
enum hvcore_sbi_apf_feature {
    HVCORE_SBI_HAS_SSE = 1,
    HVCORE_SBI_HAS_APF = 2,
    HVCORE_SBI_HAS_APF_FORWARDED = 4
};

/** What a call comes to. */
enum hvcore_sbi_apf_verdict {
    HVCORE_SBI_OTHER = 0,      /**< none of these: hvcore_sbi_decode() */
    HVCORE_SBI_APF_ANSWER = 1, /**< a0 = error, a1 = value; the call is over */
    HVCORE_SBI_APF_CALL = 2,   /**< hvcore_apf_serve(call), then hvcore_sbi_apf_answer() */
    HVCORE_SBI_SSE_CALL = 3    /**< hvcore_sse_call(fn, arg) */
};

/** A decoded call; fields that the verdict does not name are zero. */
typedef struct hvcore_sbi_apf_call {
    uint32_t verdict; /**< HVCORE_SBI_OTHER and so on */
    uint32_t reserved;
    int64_t error;        /**< ANSWER */
    uint64_t value;       /**< ANSWER */
    uint64_t fn;          /**< SSE_CALL */
    uint64_t arg[5];      /**< SSE_CALL: a0 to a4 */
    hvcore_apf_call call; /**< APF_CALL */
} hvcore_sbi_apf_call;

/**
 * Decode the call in a0 to a7 of `frame`. Total. The frame is not touched. `features`:
 * HVCORE_SBI_HAS_SSE and so on; an extension that is not there is OTHER. BASE's question whether
 * one of these extensions exists is answered here with 1.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_sbi_apf_decode(const hvcore_riscv64_frame *frame, uint32_t features,
                                      hvcore_sbi_apf_call *call);

/**
 * a0 of the answer to APF function `fn`; a1 is reply->value. Total.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API int64_t hvcore_sbi_apf_error(uint32_t fn, const hvcore_apf_reply *reply);

HVCORE_END
#endif
