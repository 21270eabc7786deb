/* SPDX-License-Identifier: Apache-2.0 */
/* Single-step, the host's and the guest's own (DDI0487, "Software Step exceptions"). */
#include <stdbool.h>

#include <hvcore/fixup/step.h>

#define SPSR_M UINT64_C(0xf)             /* mode; bits 3:2 are the exception level in AArch64 */
#define SPSR_NRW (UINT64_C(1) << 4)      /* AArch32 */
#define SPSR_D (UINT64_C(1) << 9)        /* debug exceptions of the same level are masked */
#define SPSR_SS (UINT64_C(1) << 21)      /* what ERET puts into PSTATE.SS */
#define MDSCR_SS UINT64_C(1)             /* stepping is on */
#define MDSCR_KDE (UINT64_C(1) << 13)    /* ... also of the level that takes the exception */
#define EC_STEP UINT64_C(0x32)           /* Software Step from a lower level */
#define ISS_STEP_EX (UINT64_C(1) << 6)   /* a Load-Exclusive was stepped */
#define ISS_STEP_ISV (UINT64_C(1) << 24) /* EX is valid: an instruction was stepped */

#define HAVE_MDSCR (UINT64_C(1) << HVCORE_ARM64_SYS_mdscr_el1)

static hvcore_result done(void)
{
    return (hvcore_result){HVCORE_RESULT_DONE, 0, 0};
}

static hvcore_result leave_with(uint32_t why, uint64_t detail)
{
    return (hvcore_result){HVCORE_RESULT_EXIT, why, detail};
}

static void set_ss(hvcore_arm64_frame *frame, bool on)
{
    frame->spsr = on ? frame->spsr | SPSR_SS : frame->spsr & ~SPSR_SS;
}

static void set_mdscr(hvcore_arm64_sys *sys, uint64_t value)
{
    sys->mdscr_el1 = value;
    sys->have |= HAVE_MDSCR;
    sys->dirty |= HAVE_MDSCR;
}

hvcore_result hvcore_step_own(hvcore_step_state *step, uint32_t owner)
{
    if (step->entered) {
        return leave_with(HVCORE_STEP_ENTERED, 0);
    }
    if (owner > HVCORE_STEP_OWNER_HOST) {
        return leave_with(HVCORE_STEP_BAD_OWNER, owner);
    }
    if (owner != step->owner) {
        step->host_pending = 0;
    }
    step->owner = owner;
    return done();
}

/* Frame and registers are the host's from here on. */
static void take(hvcore_arm64_frame *frame, hvcore_arm64_sys *sys, hvcore_step_state *step)
{
    bool stepping = step->owner == HVCORE_STEP_OWNER_HOST;
    uint64_t mdscr = sys->mdscr_el1;

    step->entered = 1;
    step->guest_ss = (frame->spsr & SPSR_SS) != 0;
    step->guest_mdscr = mdscr;
    step->kept += step->host_pending != 0;
    set_ss(frame, stepping && !step->host_pending);
    set_mdscr(sys, stepping ? mdscr | MDSCR_SS : mdscr & ~MDSCR_SS);
}

hvcore_result hvcore_step_enter(hvcore_arm64_frame *frame, hvcore_arm64_sys *sys,
                                hvcore_step_state *step)
{
    if (step->entered) {
        return leave_with(HVCORE_STEP_ENTERED, frame->pc);
    }
    if (step->owner > HVCORE_STEP_OWNER_HOST) {
        return leave_with(HVCORE_STEP_BAD_OWNER, step->owner);
    }
    if (step->owner == HVCORE_STEP_OWNER_GUEST) {
        return done();
    }
    if (!(sys->have & HAVE_MDSCR)) {
        return (hvcore_result){HVCORE_RESULT_NEED_REGS, 0, HAVE_MDSCR};
    }
    take(frame, sys, step);
    return done();
}

static bool is_step(const hvcore_event *event)
{
    return event->kind == HVCORE_EVENT_TRAP && event->have & HVCORE_HAVE_SYNDROME &&
           (event->syndrome >> 26 & 0x3f) == EC_STEP;
}

/* The guest gets its own back; what the host's machine has come to is in spsr.SS. */
static void give_back(hvcore_arm64_frame *frame, hvcore_arm64_sys *sys, bool stepped,
                      hvcore_step_state *step)
{
    bool stepping = step->owner == HVCORE_STEP_OWNER_HOST;

    step->host_pending = stepping && !stepped && !(frame->spsr & SPSR_SS);
    set_ss(frame, step->guest_ss);
    set_mdscr(sys, step->guest_mdscr);
    step->entered = 0;
    step->guest_ss = 0;
    step->guest_mdscr = 0;
}

static uint32_t count_step(uint64_t esr, hvcore_step_state *step)
{
    if (step->owner != HVCORE_STEP_OWNER_HOST) {
        return HVCORE_STEP_STRAY;
    }
    if (!(esr & ISS_STEP_ISV)) {
        step->moved++;
        return HVCORE_STEP_MOVED;
    }
    step->retired++;
    return esr & ISS_STEP_EX ? HVCORE_STEP_EXCLUSIVE : HVCORE_STEP_RETIRED;
}

hvcore_result hvcore_step_leave(hvcore_arm64_frame *frame, hvcore_arm64_sys *sys,
                                const hvcore_event *event, hvcore_step_state *step)
{
    bool stepped = is_step(event);

    if (!step->entered && step->owner != HVCORE_STEP_OWNER_GUEST) {
        return leave_with(HVCORE_STEP_NOT_ENTERED, frame->pc);
    }
    if (step->entered) {
        give_back(frame, sys, stepped, step);
    }
    if (stepped) {
        return leave_with(count_step(event->syndrome, step), frame->pc);
    }
    return done();
}

void hvcore_step_advance(hvcore_arm64_frame *frame, hvcore_step_state *step)
{
    set_ss(frame, false);
    step->guest_ss = 0;
    step->host_pending = step->owner == HVCORE_STEP_OWNER_HOST;
}

/* Can the guest's own step exception be taken where it executes? Its target is EL1 in AArch64, so
 * AArch32 leaves EL0 only (DDI0487, "Enabling debug exceptions"). */
static bool enabled(uint64_t spsr, uint64_t mdscr)
{
    uint64_t mode = spsr & SPSR_M, level = mode >> 2;

    if (spsr & SPSR_NRW) {
        return mode == 0;
    }
    return level == 0 || (level == 1 && mdscr & MDSCR_KDE && !(spsr & SPSR_D));
}

static uint32_t phase(bool active, bool ss)
{
    if (!active) {
        return HVCORE_STEP_INACTIVE;
    }
    return ss ? HVCORE_STEP_NOT_PENDING : HVCORE_STEP_PENDING;
}

static uint32_t guest_phase(const hvcore_arm64_frame *frame, const hvcore_arm64_sys *sys,
                            const hvcore_step_state *step)
{
    uint64_t mdscr = step->entered ? step->guest_mdscr : sys->mdscr_el1;
    bool ss = step->entered ? step->guest_ss : frame->spsr & SPSR_SS;

    return phase(mdscr & MDSCR_SS && enabled(frame->spsr, mdscr), ss);
}

uint32_t hvcore_step_phase(const hvcore_arm64_frame *frame, const hvcore_arm64_sys *sys,
                           const hvcore_step_state *step, uint32_t who)
{
    bool pending = step->entered ? !(frame->spsr & SPSR_SS) : step->host_pending;

    if (who == HVCORE_STEP_OWNER_GUEST) {
        return guest_phase(frame, sys, step);
    }
    return phase(who == HVCORE_STEP_OWNER_HOST && step->owner == HVCORE_STEP_OWNER_HOST, !pending);
}
