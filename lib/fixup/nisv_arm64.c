/* SPDX-License-Identifier: Apache-2.0 */
/* A load or store of a guest that left no syndrome: what it would do, and where. */
#include <stdbool.h>

#include <hvcore/fixup/arm64_state.h>

#include "lib/fixup/nisv_arm64_insn.h"

#define SPSR_LEVEL_UP UINT64_C(0x8)   /* M[3]: EL2 or EL3 */
#define SPSR_LEVEL UINT64_C(0xc)      /* M[3:2]; 0 is EL0 */
#define SPSR_NRW (UINT64_C(1) << 4)   /* M[4]: AArch32 */
#define SCTLR_E0E (UINT64_C(1) << 24) /* EL0 is big-endian */
#define SCTLR_EE (UINT64_C(1) << 25)  /* ... and the level itself */
#define EC_DATA_ABORT_LOWER UINT64_C(0x24)
#define ISS_WNR (UINT64_C(1) << 6)
#define ISS_S1PTW (UINT64_C(1) << 7)
#define ISS_FNV (UINT64_C(1) << 10) /* FAR is not valid */
#define PAGE UINT64_C(0x1000)
#define ADDRESS_BITS (UINT64_MAX >> 8) /* above may be a tag */

static hvcore_result refuse(uint32_t why, uint64_t detail)
{
    return (hvcore_result){HVCORE_RESULT_EXIT, why, detail};
}

static bool knows(const hvcore_event *event, uint32_t what)
{
    return event->have & what;
}

/* A bit of the syndrome, where that is known. */
static bool syndrome_says(const hvcore_event *event, uint64_t flag)
{
    return knows(event, HVCORE_HAVE_SYNDROME) && event->syndrome & flag;
}

static bool knows_fault(const hvcore_event *event)
{
    bool far = !syndrome_says(event, ISS_FNV) && knows(event, HVCORE_HAVE_GVA | HVCORE_HAVE_TVAL);

    return far || knows(event, HVCORE_HAVE_GPA);
}

static uint32_t bad_trap(const hvcore_arm64_frame *frame, const hvcore_event *event)
{
    if (knows(event, HVCORE_HAVE_SYNDROME) &&
        (event->syndrome >> 26 & 0x3f) != EC_DATA_ABORT_LOWER) {
        return HVCORE_NISV_ARM64_NOT_ABORT;
    }
    if (frame->spsr & SPSR_NRW) {
        return HVCORE_NISV_ARM64_NOT_AARCH64;
    }
    if (frame->spsr & SPSR_LEVEL_UP) {
        return HVCORE_NISV_ARM64_NOT_GUEST;
    }
    if (syndrome_says(event, ISS_S1PTW)) {
        return HVCORE_NISV_ARM64_WALK;
    }
    return knows_fault(event) ? 0 : HVCORE_NISV_ARM64_NO_ADDRESS;
}

/* WnR of a read-modify-write says which half met the fault. */
static bool direction_fits(const hvcore_event *event, uint8_t kind)
{
    bool reads = kind == HVCORE_ACCESS_LOAD || kind == HVCORE_ACCESS_LOAD_EXCLUSIVE;

    return !knows(event, HVCORE_HAVE_SYNDROME) || kind == HVCORE_ACCESS_ATOMIC ||
           reads == !syndrome_says(event, ISS_WNR);
}

/* --- registers -------------------------------------------------------------------------------- */

static bool is_sp_based(const hvc_arm64_insn *insn)
{
    return insn->base == 31 && insn->access.kind != HVCORE_ACCESS_ZERO;
}

static bool is_nested_host(const hvcore_event *event)
{
    return knows(event, HVCORE_HAVE_MODE) &&
           (event->mode == HVCORE_ARM64_VEL0 || event->mode == HVCORE_ARM64_VEL2);
}

static uint64_t missing(const hvc_arm64_insn *insn, const hvcore_arm64_sys *sys,
                        const hvcore_event *event, const hvcore_nisv_arm64_state *nisv)
{
    unsigned sctlr =
        is_nested_host(event) ? HVCORE_ARM64_SYS_sctlr_el2 : HVCORE_ARM64_SYS_sctlr_el1;
    uint64_t set = (UINT64_C(1) << sctlr) & ~sys->have;

    return is_sp_based(insn) && !nisv->have_sp ? set | HVCORE_NISV_ARM64_NEED_SP : set;
}

static bool is_big_endian(const hvcore_arm64_frame *frame, const hvcore_arm64_sys *sys,
                          const hvcore_event *event)
{
    uint64_t sctlr = is_nested_host(event) ? sys->sctlr_el2 : sys->sctlr_el1;

    return sctlr & (frame->spsr & SPSR_LEVEL ? SCTLR_EE : SCTLR_E0E);
}

static uint64_t x(const hvcore_arm64_frame *frame, uint8_t reg)
{
    return reg < 31 ? frame->x[reg] : 0;
}

static uint64_t widened(uint64_t index, uint8_t extend)
{
    switch (extend) {
    case HVC_ARM64_NO_INDEX:
        return 0;
    case HVC_ARM64_UXTW:
        return (uint32_t)index;
    case HVC_ARM64_SXTW:
        return ((uint64_t)(uint32_t)index ^ UINT64_C(0x80000000)) - UINT64_C(0x80000000);
    default:
        return index;
    }
}

static uint64_t address(const hvc_arm64_insn *insn, const hvcore_arm64_frame *frame,
                        const hvcore_nisv_arm64_state *nisv)
{
    uint64_t base = is_sp_based(insn) ? nisv->sp : x(frame, insn->base);
    uint64_t index = widened(x(frame, insn->index), insn->extend) << insn->shift;

    return base + index + (uint64_t)insn->offset;
}

/* --- the access ------------------------------------------------------------------------------- */

/* The fault as a distance from `va`, as far as it is known (knows_fault). */
static uint64_t fault_of(const hvcore_event *event, uint64_t va)
{
    bool valid = !syndrome_says(event, ISS_FNV);

    if (valid && knows(event, HVCORE_HAVE_GVA)) {
        return (event->gva - va) & ADDRESS_BITS;
    }
    if (valid && knows(event, HVCORE_HAVE_TVAL)) {
        return (event->tval - va) & ADDRESS_BITS;
    }
    return (event->gpa - va) % PAGE;
}

static bool is_block(uint32_t bytes)
{
    return bytes >= 4 && bytes <= 2048 && (bytes & (bytes - 1)) == 0; /* DCZID_EL0.BS: 0 to 9 */
}

static bool place(hvcore_access *a, uint64_t va, const hvcore_event *event)
{
    uint64_t fault;

    a->va = a->kind == HVCORE_ACCESS_ZERO ? va & ~(uint64_t)(a->size - 1u) : va;
    fault = fault_of(event, a->va);
    if (fault >= a->size) {
        return false;
    }
    a->fault = (uint16_t)fault;
    if (a->va % PAGE + a->size > PAGE) {
        a->flags |= HVCORE_ACCESS_CROSSES;
    }
    return true;
}

/* With a word that accesses memory. */
static hvcore_result locate(hvc_arm64_insn *insn, const hvcore_arm64_frame *frame,
                            const hvcore_arm64_sys *sys, const hvcore_event *event,
                            hvcore_nisv_arm64_state *nisv)
{
    uint64_t needs = missing(insn, sys, event, nisv);
    hvcore_access *a = &insn->access;

    if (!direction_fits(event, a->kind)) {
        return refuse(HVCORE_NISV_ARM64_DIRECTION, frame->pc);
    }
    if (needs) {
        return (hvcore_result){HVCORE_RESULT_NEED_REGS, 0, needs};
    }
    if (!place(a, address(insn, frame, nisv), event)) {
        return refuse(HVCORE_NISV_ARM64_ELSEWHERE, a->va);
    }
    if (is_big_endian(frame, sys, event)) {
        a->flags |= HVCORE_ACCESS_BIG_ENDIAN;
    }
    nisv->access = *a;
    return (hvcore_result){HVCORE_RESULT_DONE, 0, 0};
}

hvcore_result hvcore_nisv_arm64(hvcore_arm64_frame *frame, hvcore_arm64_sys *sys,
                                const hvcore_event *event, hvcore_arm64_state *state)
{
    uint32_t why = bad_trap(frame, event);
    hvc_arm64_insn insn;

    if (why) {
        return refuse(why, frame->pc);
    }
    if (!knows(event, HVCORE_HAVE_INSN)) {
        return (hvcore_result){HVCORE_RESULT_NEED_BYTES, 4, frame->pc};
    }
    if ((why = hvc_arm64_insn_decode(event->insn, &insn))) {
        return refuse(why, event->insn);
    }
    if (insn.access.kind == HVCORE_ACCESS_NOTHING) {
        state->nisv.access = insn.access;
        return (hvcore_result){HVCORE_RESULT_DONE, 0, 0};
    }
    if (insn.access.kind == HVCORE_ACCESS_ZERO) {
        if (!is_block(state->nisv.zva_block)) {
            return refuse(HVCORE_NISV_ARM64_ZVA, event->insn);
        }
        insn.access.size = (uint16_t)state->nisv.zva_block;
    }
    return locate(&insn, frame, sys, event, &state->nisv);
}
