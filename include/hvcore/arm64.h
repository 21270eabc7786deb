/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64: frame, system registers, the type of a fix-up unit. Freestanding. AArch64 state only.
 *
 * "DDI0487" is the Arm Architecture Reference Manual for A-profile.
 */
#ifndef HVCORE_ARM64_H
#define HVCORE_ARM64_H

#include <hvcore/event.h>
#include <hvcore/result.h>

HVCORE_BEGIN

/** Modes of an event and of policy tables. */
enum hvcore_arm64_mode {
    HVCORE_ARM64_EL0 = 0,
    HVCORE_ARM64_EL1 = 1,
    HVCORE_ARM64_VEL0 = 2, /**< below a guest hypervisor: its EL0 */
    HVCORE_ARM64_VEL2 = 3  /**< a guest hypervisor */
};

/**
 * The general registers of a guest and what ERET needs. It is the save area of the port, used in
 * place; its layout is frozen.
 */
typedef struct hvcore_arm64_frame {
    uint64_t x[31];
    uint64_t pc;   /**< ELR_EL2 */
    uint64_t spsr; /**< SPSR_EL2, hardware-facing: what the next ERET loads */
} hvcore_arm64_frame;

/**
 * The system registers that units read or write, as X(name); the order is ABI, the position is the
 * bit of `have` and `dirty`. For a guest hypervisor the EL2 registers are its virtual ones.
 */
#ifndef HVCORE_CDEF
/* clang-format off */
#define HVCORE_ARM64_SYS(X)                                                                        \
    X(sctlr_el1) X(tcr_el1) X(tcr2_el1) X(ttbr0_el1) X(ttbr1_el1) X(mair_el1) X(mair2_el1)         \
    X(pir_el1) X(pire0_el1) X(por_el1) X(por_el0) X(par_el1) X(vbar_el1) X(esr_el1) X(elr_el1)     \
    X(spsr_el1) X(far_el1) X(mdscr_el1) X(sctlr_el2) X(tcr_el2) X(tcr2_el2) X(ttbr0_el2)           \
    X(ttbr1_el2) X(mair_el2) X(mair2_el2) X(pir_el2) X(pire0_el2) X(por_el2) X(hcr_el2)            \
    X(hcrx_el2) X(vttbr_el2) X(vtcr_el2) X(s2pir_el2) X(hfgitr_el2) X(mdcr_el2)
/* clang-format on */
#endif

/** Positions in hvcore_arm64_sys; bit UINT64_C(1) << position in a set. */
/* clang-format off */
enum hvcore_arm64_sysreg {
#ifndef HVCORE_CDEF
#define HVCORE_ARM64_SYS_ENUM(name) HVCORE_ARM64_SYS_##name,
    HVCORE_ARM64_SYS(HVCORE_ARM64_SYS_ENUM)
#undef HVCORE_ARM64_SYS_ENUM
#endif
    HVCORE_ARM64_SYS_COUNT
};
/* clang-format on */

#ifndef HVCORE_CDEF
/** System registers with their validity: `have` is loaded, `dirty` must be written back. */
typedef struct hvcore_arm64_sys {
    uint32_t size;
    uint32_t reserved;
    uint64_t have;
    uint64_t dirty;
#define HVCORE_ARM64_SYS_FIELD(name) uint64_t name;
    HVCORE_ARM64_SYS(HVCORE_ARM64_SYS_FIELD)
#undef HVCORE_ARM64_SYS_FIELD
} hvcore_arm64_sys;

/** Per-vCPU state of the arm64 units, one member a unit (fixup/arm64_state.h). */
typedef struct hvcore_arm64_state hvcore_arm64_state;

/** A fix-up unit: pure, resumable, never blocks, touches nothing but its arguments. */
typedef hvcore_result hvcore_arm64_unit(hvcore_arm64_frame *frame, hvcore_arm64_sys *sys,
                                        const hvcore_event *event, hvcore_arm64_state *state);
#endif

HVCORE_END
#endif
