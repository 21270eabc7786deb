/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spe: who owns the Statistical Profiling Extension (FEAT_SPE) and the Trace Buffer Extension
 * (FEAT_TRBE) of a PE, the host or nobody, and what a guest gets that asks for them (freestanding
 * and pure).
 *
 * Either unit writes records to a buffer at a virtual address, asynchronously. While the host owns
 * it from EL1, that address goes through TTBRx_EL1, which a hypervisor reloads with a guest's
 * values. So before it touches any EL1&0 state it must stop the unit, drain it and switch it off:
 * it parks it.
 *
 * What is to be done is data: a plan, a short list of operations. hvcore_spe_plan_make() makes one
 * from what the PE is; the backend makes its plans once and executes them with ten lines of its
 * own:
 *
 *     static void run(hvcore_spe_pe *pe, const hvcore_spe_plan *plan)
 *     {
 *         for (uint32_t i = 0; i < plan->count; i++) {
 *             const hvcore_spe_op *op = &plan->ops[i];
 *
 *             switch (op->kind) {
 *             case HVCORE_SPE_READ: pe->saved[op->slot] = mrs(op->reg); break;
 *             case HVCORE_SPE_WRITE_ZERO: msr(op->reg, 0); break;
 *             case HVCORE_SPE_WRITE_SAVED: msr(op->reg, pe->saved[op->slot]); break;
 *             case HVCORE_SPE_WRITE_VALUE: msr(op->reg, op->value); break;
 *             case HVCORE_SPE_ISB: isb(); break;
 *             case HVCORE_SPE_PSB: psb_csync(); break;     // HINT #17
 *             case HVCORE_SPE_TSB: tsb_csync(); break;     // HINT #18
 *             case HVCORE_SPE_DSB_NSH: dsb_nsh(); break;
 *             case HVCORE_SPE_STOP_IF_CLEAR:
 *                 if (!(pe->saved[op->slot] & op->value)) { return; }
 *             }
 *         }
 *     }
 *
 * (mrs and msr: a switch over hvcore_spe_reg with one S<op0>_<op1>_C<n>_C<m>_<op2> each; every
 * operation is a compiler barrier for memory.)
 *
 * Order of calls, on the PE itself, for each unit (a hvcore_spe_pe each):
 *
 *     PE comes up     size, version and config.unit, .host, .flags filled, the rest zero
 *                     run(PROBE), config.caps = hvcore_spe_caps(unit, saved[_DFR0], saved[_IDR])
 *                     run(INIT), and the plans for PARK and UNPARK made
 *     host -> guest   interrupts masked, all EL1&0 state, stage 2 and MDCR_EL2 still the host's,
 *                     `parked` 0: run(PARK), hvcore_spe_account(PARK); then the guest's state, and
 *                     MDCR_EL2; hvcore_spe_check() as an assertion
 *     guest -> host   all EL1&0 state, stage 2 and MDCR_EL2 written for the host, last of all:
 *                     run(UNPARK), hvcore_spe_account(UNPARK), ERET to the host
 *
 * Between them a guest may be left and entered any number of times, as long as the host does not
 * run. Registers that hold live state of the host's driver (pointer, base, status) are never saved,
 * restored or cleared, but by INIT of a bare host, which has no such driver.
 *
 * "DDI0487" is the Arm Architecture Reference Manual, chapter D17 for SPE and D6 for TRBE.
 */
#ifndef HVCORE_FIXUP_SPE_H
#define HVCORE_FIXUP_SPE_H

#include <hvcore/arm64.h>

HVCORE_BEGIN

/** The two units. */
enum hvcore_spe_unit { HVCORE_SPE_UNIT_SPE = 0, HVCORE_SPE_UNIT_TRBE = 1, HVCORE_SPE_UNITS = 2 };

/** What a PE has of a unit. */
enum hvcore_spe_cap {
    HVCORE_SPE_ABSENT = 0,  /**< it is not implemented: its registers are UNDEFINED at EL2, too */
    HVCORE_SPE_FOREIGN = 1, /**< another Security state has it: its registers trap to EL3 */
    HVCORE_SPE_OWNED = 2,   /**< it is this Security state's */
    HVCORE_SPE_CAPS = 3
};

/** Where the host lives, and so who owns the unit. */
enum hvcore_spe_host {
    HVCORE_SPE_HOST_NVHE = 0,     /**< host at EL1, hypervisor at EL2 with E2H = 0 */
    HVCORE_SPE_HOST_VHE = 1,      /**< host at EL2 with E2H = 1: entries need nothing */
    HVCORE_SPE_HOST_HVHE = 2,     /**< host at EL1, hypervisor at EL2 with E2H = 1 */
    HVCORE_SPE_HOST_BARE = 3,     /**< no host; EL2 with E2H = 0; nobody uses the unit */
    HVCORE_SPE_HOST_BARE_E2H = 4, /**< the same with E2H = 1 */
    HVCORE_SPE_HOSTS = 5
};

/** What a plan is for. */
enum hvcore_spe_direction {
    HVCORE_SPE_PROBE = 0,  /**< find out hvcore_spe_cap; the same for all hosts, caps and flags */
    HVCORE_SPE_INIT = 1,   /**< once for each PE, again after every time it was off */
    HVCORE_SPE_PARK = 2,   /**< the host is about to lose the PE to a guest */
    HVCORE_SPE_UNPARK = 3, /**< ... and has it back */
    HVCORE_SPE_DIRECTIONS = 4
};

/** Errata of the PE, as what they ask for, and options. Any combination holds for either unit. */
enum hvcore_spe_flag {
    /** PSB or TSB may not flush: issue it twice (TRBE: Cortex-A710 2054223, Neoverse N2 2067961) */
    HVCORE_SPE_DRAIN_TWICE = 1,
    /** after disabling, writes may be ignored until a second drain (TRBE: Cortex-A510 2064142) */
    HVCORE_SPE_DRAIN_AFTER = 2,
    /** a second ISB after enabling (TRBE: Cortex-A510 2038923) */
    HVCORE_SPE_SYNC_AFTER_ENABLE = 4,
    /** an option: read the status before and after a drain, for the counters */
    HVCORE_SPE_WATCH = 8,
    HVCORE_SPE_FLAGS = 15
};

/** Registers of plans: op0 << 14 | op1 << 11 | CRn << 7 | CRm << 3 | op2. */
enum hvcore_spe_reg {
    HVCORE_SPE_ID_AA64DFR0_EL1 = 0xc028,
    HVCORE_SPE_PMSCR_EL1 = 0xc4c8,
    HVCORE_SPE_PMSCR_EL2 = 0xe4c8,
    HVCORE_SPE_PMSCR_EL12 = 0xecc8,
    HVCORE_SPE_PMBLIMITR_EL1 = 0xc4d0,
    HVCORE_SPE_PMBSR_EL1 = 0xc4d3,
    HVCORE_SPE_PMBIDR_EL1 = 0xc4d7,
    HVCORE_SPE_TRFCR_EL1 = 0xc091,
    HVCORE_SPE_TRFCR_EL2 = 0xe091,
    HVCORE_SPE_TRFCR_EL12 = 0xe891,
    HVCORE_SPE_TRBLIMITR_EL1 = 0xc4d8,
    HVCORE_SPE_TRBSR_EL1 = 0xc4db,
    HVCORE_SPE_TRBIDR_EL1 = 0xc4df
};

/** Bits of these registers that matter here (DDI0487 D24.7 and D24.5). */
enum hvcore_spe_bit {
    HVCORE_SPE_LIMIT_E = 1,         /**< PMBLIMITR_EL1, TRBLIMITR_EL1: the unit is enabled */
    HVCORE_SPE_IDR_P = 1 << 4,      /**< PMBIDR_EL1, TRBIDR_EL1: not this state's */
    HVCORE_SPE_STATUS_S = 1 << 17,  /**< PMBSR_EL1, TRBSR_EL1: it has stopped */
    HVCORE_SPE_STATUS_EC_SHIFT = 26 /**< 6 bits: why */
};

/** Bits of MDCR_EL2 that this unit decides. */
enum hvcore_spe_mdcr {
    HVCORE_SPE_MDCR_E2PB = 3 << 12, /**< owner of SPE: 0 EL2, 3 EL1; bit 12 clear traps PMB* */
    HVCORE_SPE_MDCR_TPMS = 1 << 14, /**< trap PMS* at EL1 */
    HVCORE_SPE_MDCR_TTRF = 1 << 19, /**< trap TRFCR_EL1 at EL1 */
    HVCORE_SPE_MDCR_E2TB = 3 << 24  /**< owner of TRBE, as E2PB */
};

/** Kinds of operations. */
enum hvcore_spe_kind {
    HVCORE_SPE_READ = 1,          /**< saved[slot] = reg */
    HVCORE_SPE_WRITE_ZERO = 2,    /**< reg = 0 */
    HVCORE_SPE_WRITE_SAVED = 3,   /**< reg = saved[slot] */
    HVCORE_SPE_WRITE_VALUE = 4,   /**< reg = value */
    HVCORE_SPE_ISB = 5,           /**< ISB */
    HVCORE_SPE_PSB = 6,           /**< PSB CSYNC */
    HVCORE_SPE_TSB = 7,           /**< TSB CSYNC */
    HVCORE_SPE_DSB_NSH = 8,       /**< DSB NSH */
    HVCORE_SPE_STOP_IF_CLEAR = 9, /**< if (saved[slot] & value) == 0: the rest is not executed */
    HVCORE_SPE_KINDS = 10
};

/** Places in hvcore_spe_pe.saved. */
enum hvcore_spe_slot {
    HVCORE_SPE_SLOT_DFR0 = 0,    /**< ID_AA64DFR0_EL1, this PE's own */
    HVCORE_SPE_SLOT_IDR = 1,     /**< PMBIDR_EL1 or TRBIDR_EL1 */
    HVCORE_SPE_SLOT_LIMIT = 2,   /**< the host's PMBLIMITR_EL1 or TRBLIMITR_EL1 */
    HVCORE_SPE_SLOT_CONTROL = 3, /**< the host's PMSCR_EL1 or TRFCR_EL1 */
    HVCORE_SPE_SLOT_BEFORE = 4,  /**< PMBSR_EL1 or TRBSR_EL1 before a drain (with _WATCH) */
    HVCORE_SPE_SLOT_AFTER = 5,   /**< ... and after it */
    HVCORE_SPE_SLOTS = 6
};

/** Bounds. */
enum hvcore_spe_limits { HVCORE_SPE_OPS_MAX = 16 /**< operations in a plan, at most */ };

/** One operation. Fields that its kind does not name are zero. */
typedef struct hvcore_spe_op {
    uint16_t kind; /**< HVCORE_SPE_READ to _STOP_IF_CLEAR */
    uint16_t slot; /**< HVCORE_SPE_SLOT_* */
    uint32_t reg;  /**< enum hvcore_spe_reg */
    uint64_t value;
} hvcore_spe_op;

/** A plan. Those beyond `count` are zero. */
typedef struct hvcore_spe_plan {
    uint32_t count;
    uint32_t reserved;
    hvcore_spe_op ops[HVCORE_SPE_OPS_MAX];
} hvcore_spe_plan;

/** What a plan is made from. */
typedef struct hvcore_spe_config {
    uint32_t unit;  /**< HVCORE_SPE_UNIT_* */
    uint32_t host;  /**< HVCORE_SPE_HOST_* */
    uint32_t caps;  /**< HVCORE_SPE_ABSENT, _FOREIGN, _OWNED */
    uint32_t flags; /**< HVCORE_SPE_DRAIN_TWICE to _WATCH */
} hvcore_spe_config;

/**
 * One unit of one PE. It belongs to the PE, not to a vCPU: a vCPU that moves takes nothing of it
 * along. Begins as zeros with size, version and config.
 */
typedef struct hvcore_spe_pe {
    uint32_t size;
    uint32_t version; /**< 1 */
    hvcore_spe_config config;
    uint32_t parked; /**< 1: the unit was on and is off now. Parking again would lose `saved` */
    uint32_t reserved;
    uint64_t saved[HVCORE_SPE_SLOTS]; /**< written by HVCORE_SPE_READ */
    uint64_t parks;                   /**< counts hvcore_spe_account(HVCORE_SPE_PARK) */
    uint64_t drained;                 /**< ... of them with the unit on */
    uint64_t raised;                  /**< ... of them with S raised by the drain (with _WATCH) */
    uint64_t faulted; /**< ... of them by a stage 1 or 2 fault: wrong order, or no such buffer */
} hvcore_spe_pe;

/** What of an hvcore_spe_pe and its registers is not as it must be while a guest can run: bits. */
enum hvcore_spe_violation {
    HVCORE_SPE_ENABLED = 1,    /**< the unit is on, and not by a host at EL2 */
    HVCORE_SPE_SAMPLING = 2,   /**< PMSCR_EL1 or TRFCR_EL1 is not 0: the guest could be recorded */
    HVCORE_SPE_OWNER = 4,      /**< MDCR_EL2 gives the buffer to EL1 */
    HVCORE_SPE_UNTRAPPED = 8,  /**< MDCR_EL2 does not trap PMS* or TRFCR */
    HVCORE_SPE_BAD_STATE = 16, /**< `parked` contradicts saved[HVCORE_SPE_SLOT_LIMIT].E */
    HVCORE_SPE_BAD_CONFIG = 32 /**< config is out of range; nothing else was looked at */
};

/** Registers as they are now. Those of the unit count only if it is HVCORE_SPE_OWNED. */
typedef struct hvcore_spe_live {
    uint64_t mdcr_el2;
    uint64_t limit;   /**< PMBLIMITR_EL1 or TRBLIMITR_EL1 */
    uint64_t control; /**< PMSCR_EL1 or TRFCR_EL1; of E2H = 1 the _EL12 register */
} hvcore_spe_live;

/** Whose turn it is. */
enum hvcore_spe_side { HVCORE_SPE_SIDE_GUEST = 0, HVCORE_SPE_SIDE_HOST = 1, HVCORE_SPE_SIDES = 2 };

/** Registers that decide what traps; all but the first need FEAT_FGT, the last FEAT_FGT2. */
typedef struct hvcore_spe_traps {
    uint64_t mdcr_el2;
    uint64_t hdfgrtr_el2;
    uint64_t hfgitr_el2;
    uint64_t hfgitr2_el2;
} hvcore_spe_traps;

/**
 * What a vCPU was offered, as the ID registers show it to the guest. Zeros: nothing, no EL2. It is
 * the member `spe` of hvcore_arm64_state.
 */
typedef struct hvcore_spe_guest {
    uint8_t pmsver;       /**< ID_AA64DFR0_EL1.PMSVer: 0 none, 1 SPE, 3 v1p2, 5 v1p4, 6 v1p5 */
    uint8_t trace_buffer; /**< ID_AA64DFR0_EL1.TraceBuffer: 0 none, 1 TRBE */
    uint8_t trace_filter; /**< ID_AA64DFR0_EL1.TraceFilt: 0 none, 1 TRF */
    uint8_t spe_nvm;      /**< ID_AA64DFR2_EL1.SPE_nVM */
    uint8_t nested;       /**< not 0: the vCPU has EL2; modes EL1 and EL0 are its own guest's */
    uint8_t reserved[3];
} hvcore_spe_guest;

/** Reasons of an EXIT answer, in the order in which they are looked for; addr is the syndrome. */
enum hvcore_spe_exit {
    HVCORE_SPE_NOT_A_TRAP = 1,  /**< the event is none */
    HVCORE_SPE_NO_SYNDROME = 2, /**< the event has none */
    HVCORE_SPE_NOT_AARCH64 = 3, /**< spsr says AArch32 */
    HVCORE_SPE_BAD_MODE = 4,    /**< no such mode, or one of a guest hypervisor that is none */
    HVCORE_SPE_NOT_OURS = 5,    /**< no access to these registers, no PSB or TSB CSYNC */
    HVCORE_SPE_NO_MODE = 6,     /**< the mode decides, and the event does not tell it */
    HVCORE_SPE_OFFERED = 7      /**< the guest may: who offered the feature carries it out */
};

/** EC, bits 31:26, of the syndrome of an INJECT answer (its arg). */
enum hvcore_spe_ec {
    HVCORE_SPE_EC_UNDEFINED = 0, /**< "unknown reason": the whole syndrome is 0x02000000 */
    HVCORE_SPE_EC_OTHER = 0x0a,  /**< PSB CSYNC: ISS 4 (v1p5); TSB CSYNC: ISS 3 */
    HVCORE_SPE_EC_SYS64 = 0x18   /**< MRS, MSR */
};

#ifndef HVCORE_CDEF
/**
 * Make the plan of one direction. Every direction of a unit that is not HVCORE_SPE_OWNED is empty
 * but PROBE, and so are PARK and UNPARK of hosts that are not at EL1.
 *
 * Returns 0, or -HVCORE_E_INVAL with *plan untouched if a field of *config or the direction is out
 * of range. One pass over a table of 35 rows.
 *
 * Thread: any (pure). Errors: E_INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_spe_plan_make(const hvcore_spe_config *config, uint32_t direction,
                                    hvcore_spe_plan *plan);

/**
 * What a PE has of a unit, from the values that PROBE has read: ID_AA64DFR0_EL1 of this very PE,
 * and PMBIDR_EL1 or TRBIDR_EL1, which counts only if the former has the unit.
 *
 * Returns HVCORE_SPE_ABSENT, _FOREIGN or _OWNED; ABSENT for a unit that does not exist.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_spe_caps(uint32_t unit, uint64_t dfr0, uint64_t idr);

/**
 * Account for a plan that was executed: PARK sets `parked` if the unit was on, and counts; UNPARK
 * forgets what was saved.
 *
 * Returns 0; -HVCORE_E_STATE if it parks what is parked (the saved values are gone: a bug of the
 * caller, who could have seen `parked`); -HVCORE_E_INVAL for another direction, or a config out of
 * range. Unless it is 0, nothing is touched.
 *
 * Thread: the PE's. Errors: E_STATE, E_INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_spe_account(hvcore_spe_pe *pe, uint32_t direction);

/**
 * What is wrong while a guest can run: a set of HVCORE_SPE_ENABLED to _BAD_CONFIG, 0 if all is
 * well. To be asserted between writing the guest's state and its entry. PMSCR_EL1 or TRFCR_EL1 may
 * be what it likes on a host at EL1 that had the unit off: nothing is recorded then, and it is left
 * alone.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_spe_check(const hvcore_spe_pe *pe, const hvcore_spe_live *live);

/**
 * Set the bits of *traps that belong to config->unit, for a guest that is not offered it, or for
 * the host; all others stay. `caps` and `flags` are not asked: the bits are RES0 where the unit is
 * absent, and writing them is cheaper than a test.
 *
 *     SPE                           TRBE                          guest, bare  nVHE, hVHE  VHE
 *     mdcr_el2.E2PB                 mdcr_el2.E2TB                 0            3           0
 *     mdcr_el2.TPMS                 mdcr_el2.TTRF                 1            0           0
 *     hdfgrtr_el2.PMBIDR_EL1 (63)   hdfgrtr_el2.TRBIDR_EL1 (51)   1            0           0
 *     hfgitr_el2.PSBCSYNC (63)      hfgitr2_el2.TSBCSYNC (0)      0            0           0
 *
 * For a nested guest, OR the virtual MDCR_EL2 of its hypervisor into *traps before this call: it
 * can add traps, and grant nothing. HCRX_EL2 has no bit for either unit.
 *
 * Returns 0, or -HVCORE_E_INVAL with *traps untouched.
 *
 * Thread: any (pure). Errors: E_INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_spe_traps_set(const hvcore_spe_config *config, uint32_t side,
                                    hvcore_spe_traps *traps);

/**
 * A guest has touched SPE, TRBE or trace filtering: PMS*, PMB*, TRB*, TRFCR_ELx (EC 0x18), PSB
 * CSYNC, TSB CSYNC (EC 0x0A). Reads kind, have, mode and syndrome of the event (bits above 31 of it
 * not at all), spsr.M[4], and state->spe.
 *
 * What is not offered is UNDEFINED, before anything else is asked, and a barrier for it is a NOP:
 * then pc goes on by 4, spsr.BTYPE becomes 0, and who single-steps is told (hvcore_step_advance).
 * What is offered is UNDEFINED from EL0, for writes of a read-only register, and for EL2's
 * registers below EL2. What remains, and comes from the guest of a guest hypervisor
 * (state->spe.nested, mode EL1; for PSB CSYNC EL0, too), is forwarded if the virtual mdcr_el2
 * (TPMS, E2PB[0] = 0, TTRF, E2TB[0] = 0), hcr_el2 (NV) or hfgitr_el2 (PSBCSYNC, v1p5) says so.
 *
 * Answers: DONE, it was a NOP; INJECT(0x02000000, 0), EC HVCORE_SPE_EC_UNDEFINED, to where an
 * UNDEFINED instruction goes from there; INJECT(bits 31:0 of the syndrome as it came, 0), EC
 * HVCORE_SPE_EC_SYS64 or _EC_OTHER, to the guest hypervisor (its virtual EL2), preferred return
 * address pc; NEED_REGS(mdcr_el2, hcr_el2 or hfgitr_el2); EXIT(HVCORE_SPE_*, syndrome). Unless it
 * is DONE, nothing is touched: pc has not moved, and of the x registers none ever changes. One
 * call, no loop but one over a table of 18 rows.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_arm64_unit hvcore_spe_access;
#endif

HVCORE_END
#endif
