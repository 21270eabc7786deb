/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SBI calls: whatever the registers hold, the verdict is one that a caller can act on.
 * sources: lib/firmware/sbi.c
 */
#include <hvcore/firmware/sbi.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t eids[] = {HVCORE_SBI_BASE, HVCORE_SBI_SRST, HVCORE_SBI_DBCN,
                                    HVCORE_SBI_TIME, HVCORE_SBI_IPI,  HVCORE_SBI_RFENCE,
                                    HVCORE_SBI_HSM,  HVCORE_SBI_FWFT, 0x08000000};
    fuzz_input in = {data, size};
    uint32_t features = fuzz_u32(&in), pick = fuzz_u32(&in);
    hvcore_riscv64_frame frame, was;
    hvcore_sbi_call call;

    fuzz_take(&in, &frame, sizeof(frame));
    if (pick % 16 < sizeof(eids) / sizeof(eids[0])) {
        frame.x[17] = eids[pick % 16];
        frame.x[16] %= 8;
    }
    was = frame;
    memset(&call, 0xa5, sizeof(call));
    hvcore_sbi_decode(&frame, features, &call);
    EXPECT(memcmp(&frame, &was, sizeof(frame)) == 0);
    EXPECT(call.verdict <= HVCORE_SBI_HART_SUSPEND_AWAY);
    EXPECT(call.error <= 0 && call.error >= HVCORE_SBI_ERR_DENIED);
    EXPECT(call.verdict < HVCORE_SBI_SEND_IPI || features & HVCORE_SBI_HAS_HARTS);
    EXPECT(call.verdict != HVCORE_SBI_SET_TIMER || features & HVCORE_SBI_HAS_TIMER);
    EXPECT(call.verdict == HVCORE_SBI_ANSWER || !call.error);
    if (call.verdict == HVCORE_SBI_CONSOLE) {
        EXPECT(features & HVCORE_SBI_HAS_CONSOLE);
        EXPECT(call.len && call.byte < 256);
        EXPECT(call.addr == UINT64_MAX ? call.len == 1 : call.len <= UINT64_MAX - call.addr);
    }
    EXPECT(call.verdict != HVCORE_SBI_RESET || (call.type && call.type < 3));
    return 0;
}
