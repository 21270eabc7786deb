/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect on any registers: it touches what it says it touches, and nothing unless it is DONE.
 * sources: lib/fixup/redirect.c
 */
#include <hvcore/fixup/redirect.h>

#include "tests/fuzz/fuzz.h"

typedef struct world {
    hvcore_riscv64_frame frame;
    hvcore_riscv64_sys sys;
    hvcore_riscv64_state state;
} world;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    world w, was;
    hvcore_event event, kept;

    fuzz_take(&in, &event, sizeof(event));
    fuzz_take(&in, &w, sizeof(w));
    was = w;
    kept = event;
    hvcore_result r = hvcore_redirect(&w.frame, &w.sys, &event, &w.state);
    if (r.kind == HVCORE_RESULT_NEED_REGS) {
        EXPECT(r.addr && !(r.addr & was.sys.have) && memcmp(&w, &was, sizeof(w)) == 0);
        w.sys.have |= r.addr;
        was = w;
        r = hvcore_redirect(&w.frame, &w.sys, &event, &w.state);
        EXPECT(r.kind != HVCORE_RESULT_NEED_REGS);
    }
    EXPECT(memcmp(&event, &kept, sizeof(event)) == 0);
    if (r.kind != HVCORE_RESULT_DONE) {
        EXPECT(r.kind == HVCORE_RESULT_AGAIN || r.kind == HVCORE_RESULT_EXIT);
        EXPECT(memcmp(&w, &was, sizeof(w)) == 0);
        return 0;
    }
    EXPECT(w.frame.pc % 4 == 0 && w.sys.vsepc % 2 == 0 && w.sys.vscause == event.syndrome);
    EXPECT(memcmp(w.frame.x, was.frame.x, sizeof(w.frame.x)) == 0);
    EXPECT(((w.sys.vsstatus ^ was.sys.vsstatus) & ~UINT64_C(0x1800122)) == 0);
    EXPECT(w.sys.dirty == (was.sys.dirty | 0x71) && w.sys.vstvec == was.sys.vstvec);
    EXPECT(memcmp(&w.state, &was.state, sizeof(w.state)) == 0);
    return 0;
}
