/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's own access to SPE, TRBE and trace filtering (specs 6, 11, 14, 15). */
#include <stdbool.h>

#include <hvcore/fixup/arm64_state.h>
#include <hvcore/fixup/spe.h>
#include <hvcore/fixup/step.h>

/* ESR_EL2 (DDI0487 D24.2.40) */
#define ESR_EC(esr) ((esr) >> 26 & 0x3f)
#define ESR_IL (UINT32_C(1) << 25)
#define ESR_ISS UINT64_C(0x1ffffff)
#define ESR_UNDEFINED ESR_IL /* EC 0 */
#define ISS_SYS64_RES0 (UINT64_C(7) << 22)
#define ISS_READ 1
#define ISS_TSB_CSYNC 3
#define ISS_PSB_CSYNC 4

#define SPSR_AARCH32 (UINT64_C(1) << 4)
#define SPSR_BTYPE (UINT64_C(3) << 10)

#define PMSVER_V1P5 6 /* the first with HFGITR_EL2.PSBCSYNC */

/* What a register belongs to; the positions of levels(). */
enum feature { SPE, TRBE, TRF, SPE_NVM, NOBODY, FEATURES };

/* A bit of a virtual register of a guest hypervisor that makes its own guest's access trap. */
enum gate { OPEN, TPMS, E2PB, TTRF, E2TB, NV, PSB, GATES };

typedef struct gate_bit {
    uint64_t bit;
    bool traps_if_set;
} gate_bit;

static const gate_bit gates[GATES] = {
    {0, false},                   /* OPEN */
    {HVCORE_SPE_MDCR_TPMS, true}, /* TPMS */
    {1 << 12, false},             /* E2PB, its lower bit */
    {HVCORE_SPE_MDCR_TTRF, true}, /* TTRF */
    {1 << 24, false},             /* E2TB, its lower bit */
    {UINT64_C(1) << 42, true},    /* NV */
    {UINT64_C(1) << 63, true},    /* PSB */
};

/* Registers by enum hvcore_spe_reg's encoding: the first row that fits. */
typedef struct access {
    uint16_t reg, mask;
    uint8_t feature;
    uint8_t least; /* value of the feature that has the register */
    uint8_t gate;
    bool read_only;
} access;

#define ONE 0xffff
#define BLOCK 0xfff8 /* any op2 */

static const access table[] = {
    {0xc4c9, ONE, SPE, 3, TPMS, false},     /* PMSNEVFR_EL1 */
    {0xc4cf, ONE, SPE, 1, TPMS, true},      /* PMSIDR_EL1 */
    {0xc4c8, BLOCK, SPE, 1, TPMS, false},   /* PMSCR PMSICR PMSIRR PMSFCR PMSEVFR PMSLATFR _EL1 */
    {0xc4d0, ONE, SPE, 1, E2PB, false},     /* PMBLIMITR_EL1 */
    {0xc4d1, ONE, SPE, 1, E2PB, false},     /* PMBPTR_EL1 */
    {0xc4d3, ONE, SPE, 1, E2PB, false},     /* PMBSR_EL1 */
    {0xc4d4, ONE, SPE, 5, TPMS, false},     /* PMSDSFR_EL1 */
    {0xc4d5, ONE, SPE_NVM, 1, E2PB, false}, /* PMBMAR_EL1; its gate is UNVERIFIED */
    {0xc4d7, ONE, SPE, 1, OPEN, true},      /* PMBIDR_EL1 */
    {0xc4d0, BLOCK, NOBODY, 1, OPEN, false},
    {0xc4dd, ONE, NOBODY, 1, OPEN, false}, /* TRBMPAM_EL1 */
    {0xc4df, ONE, TRBE, 1, OPEN, true},    /* TRBIDR_EL1 */
    {0xc4d8, BLOCK, TRBE, 1, E2TB, false}, /* TRBLIMITR TRBPTR TRBBASER TRBSR TRBMAR TRBTRG _EL1 */
    {0xc091, ONE, TRF, 1, TTRF, false},    /* TRFCR_EL1 */
    {0xe4c8, ONE, SPE, 1, NV, false},      /* PMSCR_EL2 */
    {0xecc8, ONE, SPE, 1, NV, false},      /* PMSCR_EL12 */
    {0xe091, ONE, TRF, 1, NV, false},      /* TRFCR_EL2 */
    {0xe891, ONE, TRF, 1, NV, false},      /* TRFCR_EL12 */
};

static hvcore_result answer(uint32_t kind, uint32_t arg, uint64_t addr)
{
    return (hvcore_result){kind, arg, addr};
}

static hvcore_result undefined(void)
{
    return answer(HVCORE_RESULT_INJECT, ESR_UNDEFINED, 0);
}

static hvcore_result forward(uint64_t esr)
{
    return answer(HVCORE_RESULT_INJECT, (uint32_t)esr, 0);
}

static hvcore_result leave(uint32_t why, const hvcore_event *event)
{
    return answer(HVCORE_RESULT_EXIT, why, event->syndrome);
}

/* ISS of EC 0x18 into the encoding of enum hvcore_spe_reg (DDI0487 D24.2.40). */
static uint32_t reg_of(uint64_t iss)
{
    uint64_t op0 = iss >> 20 & 3, op2 = iss >> 17 & 7, op1 = iss >> 14 & 7;
    uint64_t crn = iss >> 10 & 15, crm = iss >> 1 & 15;

    return (uint32_t)(op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2);
}

static const access *access_of(uint32_t reg)
{
    for (const access *a = table; a < table + sizeof table / sizeof *table; a++) {
        if ((reg & a->mask) == a->reg) {
            return a;
        }
    }
    return NULL;
}

static bool is_offered(const hvcore_spe_guest *guest, const access *a)
{
    const uint8_t levels[FEATURES] = {
        [SPE] = guest->pmsver,
        [TRBE] = guest->trace_buffer,
        [TRF] = guest->trace_filter,
        [SPE_NVM] = guest->spe_nvm,
    };

    return levels[a->feature] >= a->least;
}

/* --- a guest hypervisor ----------------------------------------------------------------------- */

/* A bit of the set `have`; 0: the gate asks no register. */
static uint64_t register_of(uint32_t gate)
{
    switch (gate) {
    case OPEN:
        return 0;
    case NV:
        return UINT64_C(1) << HVCORE_ARM64_SYS_hcr_el2;
    case PSB:
        return UINT64_C(1) << HVCORE_ARM64_SYS_hfgitr_el2;
    default:
        return UINT64_C(1) << HVCORE_ARM64_SYS_mdcr_el2;
    }
}

static bool traps(const hvcore_arm64_sys *sys, uint32_t gate)
{
    uint64_t value = gate == NV ? sys->hcr_el2 : gate == PSB ? sys->hfgitr_el2 : sys->mdcr_el2;

    return gate != OPEN && ((value & gates[gate].bit) != 0) == gates[gate].traps_if_set;
}

/* An access of the guest's own guest, to something that exists: whose is it? */
static hvcore_result triage(const hvcore_arm64_sys *sys, const hvcore_event *event, uint32_t gate)
{
    uint64_t missing = register_of(gate) & ~sys->have;

    if (missing) {
        return answer(HVCORE_RESULT_NEED_REGS, 0, missing);
    }
    if (traps(sys, gate)) {
        return forward(event->syndrome);
    }
    return gate == NV ? undefined() : leave(HVCORE_SPE_OFFERED, event);
}

/* --- MRS and MSR ------------------------------------------------------------------------------ */

static hvcore_result offered(const hvcore_arm64_sys *sys, const hvcore_event *event,
                             const hvcore_spe_guest *guest, const access *a)
{
    if (!(event->have & HVCORE_HAVE_MODE)) {
        return leave(HVCORE_SPE_NO_MODE, event);
    }
    if (event->mode == HVCORE_ARM64_EL0 || event->mode == HVCORE_ARM64_VEL0) {
        return undefined();
    }
    if (event->mode == HVCORE_ARM64_EL1 && guest->nested) {
        return triage(sys, event, a->gate);
    }
    if (event->mode == HVCORE_ARM64_EL1 && a->gate == NV) {
        return undefined();
    }
    return leave(HVCORE_SPE_OFFERED, event);
}

static hvcore_result sys64(const hvcore_arm64_sys *sys, const hvcore_event *event,
                           const hvcore_spe_guest *guest)
{
    uint64_t iss = event->syndrome & ESR_ISS;
    const access *a = iss & ISS_SYS64_RES0 ? NULL : access_of(reg_of(iss));

    if (!a) {
        return leave(HVCORE_SPE_NOT_OURS, event);
    }
    if (!is_offered(guest, a) || (a->read_only && !(iss & ISS_READ))) {
        return undefined();
    }
    return offered(sys, event, guest, a);
}

/* --- barriers --------------------------------------------------------------------------------- */

static hvcore_result skip(hvcore_arm64_frame *frame, hvcore_arm64_state *state)
{
    frame->pc += 4;
    frame->spsr &= ~SPSR_BTYPE;
    hvcore_step_advance(frame, &state->step);
    return answer(HVCORE_RESULT_DONE, 0, 0);
}

/* PSB CSYNC of a guest that has SPE. HFGITR2_EL2, for TSB CSYNC, is not in hvcore_arm64_sys. */
static hvcore_result psb_csync(const hvcore_arm64_sys *sys, const hvcore_event *event,
                               const hvcore_spe_guest *guest)
{
    if (!guest->nested || guest->pmsver < PMSVER_V1P5) {
        return leave(HVCORE_SPE_OFFERED, event);
    }
    if (!(event->have & HVCORE_HAVE_MODE)) {
        return leave(HVCORE_SPE_NO_MODE, event);
    }
    if (event->mode == HVCORE_ARM64_VEL0 || event->mode == HVCORE_ARM64_VEL2) {
        return leave(HVCORE_SPE_OFFERED, event);
    }
    return triage(sys, event, PSB);
}

static hvcore_result barrier(hvcore_arm64_frame *frame, const hvcore_arm64_sys *sys,
                             const hvcore_event *event, hvcore_arm64_state *state)
{
    uint64_t iss = event->syndrome & ESR_ISS;

    if (iss != ISS_PSB_CSYNC && iss != ISS_TSB_CSYNC) {
        return leave(HVCORE_SPE_NOT_OURS, event);
    }
    if (!(iss == ISS_PSB_CSYNC ? state->spe.pmsver : state->spe.trace_buffer)) {
        return skip(frame, state);
    }
    return iss == ISS_PSB_CSYNC ? psb_csync(sys, event, &state->spe)
                                : leave(HVCORE_SPE_OFFERED, event);
}

/* --- the unit --------------------------------------------------------------------------------- */

static bool is_bad_mode(const hvcore_event *event, const hvcore_spe_guest *guest)
{
    if (!(event->have & HVCORE_HAVE_MODE)) {
        return false;
    }
    return event->mode > HVCORE_ARM64_VEL2 || (event->mode > HVCORE_ARM64_EL1 && !guest->nested);
}

/* HVCORE_SPE_*, or 0. */
static uint32_t unfit(const hvcore_arm64_frame *frame, const hvcore_event *event,
                      const hvcore_spe_guest *guest)
{
    if (event->kind != HVCORE_EVENT_TRAP) {
        return HVCORE_SPE_NOT_A_TRAP;
    }
    if (!(event->have & HVCORE_HAVE_SYNDROME)) {
        return HVCORE_SPE_NO_SYNDROME;
    }
    if (frame->spsr & SPSR_AARCH32) {
        return HVCORE_SPE_NOT_AARCH64;
    }
    return is_bad_mode(event, guest) ? HVCORE_SPE_BAD_MODE : 0;
}

hvcore_result hvcore_spe_access(hvcore_arm64_frame *frame, hvcore_arm64_sys *sys,
                                const hvcore_event *event, hvcore_arm64_state *state)
{
    uint32_t why = unfit(frame, event, &state->spe);

    if (why) {
        return leave(why, event);
    }
    if (event->syndrome & ESR_IL && ESR_EC(event->syndrome) == HVCORE_SPE_EC_SYS64) {
        return sys64(sys, event, &state->spe);
    }
    if (event->syndrome & ESR_IL && ESR_EC(event->syndrome) == HVCORE_SPE_EC_OTHER) {
        return barrier(frame, sys, event, state);
    }
    return leave(HVCORE_SPE_NOT_OURS, event);
}
