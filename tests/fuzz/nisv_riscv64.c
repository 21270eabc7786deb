/* SPDX-License-Identifier: Apache-2.0 */
/*
 * htinst, and the access behind it: what comes out can be carried out.
 * sources: lib/fixup/htinst.c lib/fixup/nisv_riscv64.c
 */
#include <hvcore/fixup/nisv.h>

#include "lib/fixup/htinst.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    hvcore_riscv64_frame frame = {.pc = 4}, frame_was = frame;
    hvcore_riscv64_sys sys = {.have = 0}, sys_was = sys;
    hvcore_riscv64_state state = {.version = 1};
    hvcore_event event;
    hvc_htinst insn;

    fuzz_take(&in, &event, sizeof(event));
    hvc_htinst_decode(event.htinst, &insn);
    EXPECT(insn.kind <= HVC_HTINST_CUSTOM && insn.op <= HVC_HTINST_OP_HLS);
    EXPECT(insn.rd < 32 && insn.rs2 < 32 && insn.offset < 32 && insn.size <= 16);
    memset(&state.nisv, 0xa5, sizeof(state.nisv));
    state.nisv.wants = 0;
    hvcore_result r = hvcore_nisv_riscv64(&frame, &sys, &event, &state);
    const hvcore_riscv64_nisv *a = &state.nisv;
    if (r.kind == HVCORE_RESULT_DONE) {
        EXPECT(a->width == 1 || a->width == 2 || a->width == 4 || a->width == 8);
        EXPECT(event.gpa % a->width == 0 && a->reg < 32 && (a->len == 2 || a->len == 4));
        EXPECT(a->write == (event.cls == 23) && !(a->write && a->sign));
    } else {
        EXPECT(r.kind == HVCORE_RESULT_AGAIN && (r.arg == 5 || r.arg == 7));
        EXPECT(r.addr == event.tval);
        EXPECT(a->width == 0 && a->reg == 0);
    }
    EXPECT(memcmp(&frame, &frame_was, sizeof(frame)) == 0 &&
           memcmp(&sys, &sys_was, sizeof(sys)) == 0);
    return 0;
}
