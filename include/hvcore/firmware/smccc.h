/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smccc: what an arm64 guest calls with HVC #0 (SMC Calling Convention 1.1, DEN0028; freestanding
 * and pure). It answers a call, or says whose it is.
 *
 *     function identifier, w0:   31 fast   30 SMC64   29:24 owner   23:16 zero   15:0 function
 */
#ifndef HVCORE_FIRMWARE_SMCCC_H
#define HVCORE_FIRMWARE_SMCCC_H

#include <hvcore/arm64.h>
#include <hvcore/fixup/apf.h>

HVCORE_BEGIN

/** Owners. */
enum hvcore_smccc_owner {
    HVCORE_SMCCC_OWNER_ARCH = 0,
    HVCORE_SMCCC_OWNER_STANDARD = 4, /**< PSCI, SDEI */
    HVCORE_SMCCC_OWNER_VENDOR_HYP = 6
};

#ifndef HVCORE_CDEF
/** Function identifiers that are known here. */
#define HVCORE_SMCCC_VERSION UINT32_C(0x80000000)
#define HVCORE_SMCCC_ARCH_FEATURES UINT32_C(0x80000001)
#define HVCORE_SMCCC_HYP_UID UINT32_C(0x8600ff01)      /**< with APF */
#define HVCORE_SMCCC_HYP_REVISION UINT32_C(0x8600ff03) /**< with APF */
#define HVCORE_SMCCC_SDEI_FIRST UINT32_C(0xc4000020)   /**< 32 of them, with SDEI */
#define HVCORE_SMCCC_APF_FIRST UINT32_C(0xc6004a00)    /**< 256 of them, with APF */
#endif

/** Numbers. */
enum hvcore_smccc_numbers {
    HVCORE_SMCCC_VERSION_1_1 = 0x10001,
    HVCORE_SMCCC_SUCCESS = 0,
    HVCORE_SMCCC_NOT_SUPPORTED = -1,
    HVCORE_SMCCC_NOT_REQUIRED = -2,
    HVCORE_SMCCC_INVALID_PARAMETER = -3,
    HVCORE_SMCCC_APF_DENIED = -4 /**< hvcore's own, for APF */
};

/** What the machine around the firmware offers. */
enum hvcore_smccc_feature { HVCORE_SMCCC_HAS_SDEI = 1, HVCORE_SMCCC_HAS_APF = 2 };

/** What a call comes to. */
enum hvcore_smccc_verdict {
    HVCORE_SMCCC_ANSWER = 0, /**< x0 to x3 = x; the call is over */
    HVCORE_SMCCC_SDEI = 1,   /**< hvcore_sdei_call(fn, arg) */
    HVCORE_SMCCC_APF = 2     /**< hvcore_apf_serve({fn, arg}), then hvcore_smccc_apf_answer() */
};

/** A decoded call. */
typedef struct hvcore_smccc_call {
    uint32_t verdict; /**< HVCORE_SMCCC_ANSWER and so on */
    uint32_t id;      /**< w0 */
    uint32_t fast;    /**< 1: fast, 0: yielding */
    uint32_t wide;    /**< 1: SMC64, 0: SMC32 */
    uint32_t owner;   /**< 0 to 63 */
    uint32_t fn;      /**< bits 15:0; SDEI, APF: counted from the first of the range */
    uint64_t arg[6];  /**< x1 to x6; of an SMC32 call the low halves */
    uint64_t x[4];    /**< ANSWER */
} hvcore_smccc_call;

#ifndef HVCORE_CDEF
/**
 * Decode the call in x0 to x6 of `frame`. Total: every call has a verdict, and what is not known is
 * answered with NOT_SUPPORTED in x0 and the guest's own x1 to x3 (bits 23:16 that are not zero are
 * not known). The frame is not touched. Fields that the verdict does not name are zero, but for
 * those that take the identifier and the arguments apart. `features`: HVCORE_SMCCC_HAS_*.
 *
 * The caller looks at the immediate of the HVC first: only 0 is SMCCC. pc is behind the call
 * already.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_smccc_decode(const hvcore_arm64_frame *frame, uint32_t features,
                                    hvcore_smccc_call *call);

/**
 * x0 and x1 of the answer to APF function `fn`; x2 and x3 of the guest do not change. Total.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_smccc_apf_answer(uint32_t fn, const hvcore_apf_reply *reply, uint64_t x[2]);
#endif

HVCORE_END
#endif
