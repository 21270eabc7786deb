/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest copied 8 KiB on a PE of option B and was moved to one of option A before its main
 * instruction, which traps there. One call, and it can go on. No VM is needed for that: the unit
 * works on the saved registers. Linked with libhvcore-units.a alone.
 */
#include <inttypes.h>
#include <stdio.h>

#include <hvcore/fixup/arm64_state.h>

#define PROLOGUE UINT64_C(0x400829d0)
#define SPSR_EL1H UINT64_C(5)
#define SPSR_C (UINT64_C(1) << 29) /* the prologue ran with option B */

static void show(const char *when, const hvcore_arm64_frame *f)
{
    printf("%-7s pc %#" PRIx64 "  to x0 %#" PRIx64 "  from x1 %#" PRIx64 "  size x2 %#" PRIx64 "\n",
           when, f->pc, f->x[0], f->x[1], f->x[2]);
}

/* What an exit handler does with the answer. */
static int judge(hvcore_result r)
{
    switch (r.kind) {
    case HVCORE_RESULT_DONE:
        return 0; /* ERET */
    case HVCORE_RESULT_INJECT:
        printf("the guest gets an exception, ESR_EL1 %#" PRIx32 "\n", r.arg);
        return 1;
    default:
        printf("the monitor is to decide: reason %" PRIu32 ", %#" PRIx64 "\n", r.arg, r.addr);
        return 1;
    }
}

int main(void)
{
    /* cpym [x0]!, [x1]!, x2!: 0x100 bytes are done, 0x1f00 are left; with option B the registers
     * move along. On bare metal the frame is what the exception vector has saved. */
    hvcore_arm64_frame frame = {
        .x = {0x40087223, 0x4008f556, 0x1f00},
        .pc = PROLOGUE + 4,
        .spsr = SPSR_EL1H | SPSR_C,
    };
    /* ESR_EL2: EC 0x27, this PE has option A, the registers have the wrong option. */
    hvcore_event event = {
        .size = sizeof event,
        .kind = HVCORE_EVENT_TRAP,
        .have = HVCORE_HAVE_SYNDROME,
        .syndrome = 0x9e030022,
    };
    hvcore_arm64_state state = {.size = sizeof state, .version = 1}; /* one a vCPU, kept */
    int bad;

    show("trapped", &frame);
    bad = judge(hvcore_mops(&frame, NULL, &event, &state));
    show("resumes", &frame);
    printf("repairs of a wrong option at the main instruction: %" PRIu64 "\n",
           state.mops.done[HVCORE_MOPS_WRONG_OPTION_MAIN]);

    /* The same word again with a register that does not exist: a named reason, nothing touched. */
    event.syndrome |= 31 << 10;
    frame.pc = PROLOGUE + 4;
    bad |= judge(hvcore_mops(&frame, NULL, &event, &state)) != 1;
    return bad || frame.pc != PROLOGUE + 4;
}
