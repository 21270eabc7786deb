/* SPDX-License-Identifier: Apache-2.0 */
/* Plans for the profiling and the trace buffer (DDI0487 D17 and D6; specs 7 to 9, 15). */
#include <stdbool.h>

#include <hvcore/error.h>
#include <hvcore/fixup/spe.h>

/* --- the table: an operation, and for whom it is ---------------------------------------------- */

enum { PROBE = HVCORE_SPE_PROBE, INIT = HVCORE_SPE_INIT };
enum { PARK = HVCORE_SPE_PARK, UNPARK = HVCORE_SPE_UNPARK };

#define SPE (1 << HVCORE_SPE_UNIT_SPE)
#define TRBE (1 << HVCORE_SPE_UNIT_TRBE)
#define BOTH (SPE | TRBE)

#define AT_EL1 (1 << HVCORE_SPE_HOST_NVHE | 1 << HVCORE_SPE_HOST_HVHE)
#define AT_EL2 (1 << HVCORE_SPE_HOST_VHE)
#define BARE (1 << HVCORE_SPE_HOST_BARE | 1 << HVCORE_SPE_HOST_BARE_E2H)
#define ANY (AT_EL1 | AT_EL2 | BARE)
#define E2H (AT_EL2 | 1 << HVCORE_SPE_HOST_HVHE | 1 << HVCORE_SPE_HOST_BARE_E2H)

#define TWICE HVCORE_SPE_DRAIN_TWICE
#define AFTER HVCORE_SPE_DRAIN_AFTER
#define RESYNC HVCORE_SPE_SYNC_AFTER_ENABLE
#define WATCH HVCORE_SPE_WATCH

enum {
    READ = HVCORE_SPE_READ,
    ZERO = HVCORE_SPE_WRITE_ZERO,
    SAVED = HVCORE_SPE_WRITE_SAVED,
    VALUE = HVCORE_SPE_WRITE_VALUE,
    ISB = HVCORE_SPE_ISB,
    CSYNC = HVCORE_SPE_PSB, /* of TRBE: HVCORE_SPE_TSB */
    DSB = HVCORE_SPE_DSB_NSH,
    STOP = HVCORE_SPE_STOP_IF_CLEAR
};

/* Registers by what they do. CONTROL is that of EL1, by the name that it has at EL2. */
enum role { NO_REG, DFR0, IDR, LIMIT, STATUS, CONTROL, CONTROL_EL2, CONTROL_EL12, ROLES };

static const uint16_t regs[HVCORE_SPE_UNITS][ROLES] = {
    {0, HVCORE_SPE_ID_AA64DFR0_EL1, HVCORE_SPE_PMBIDR_EL1, HVCORE_SPE_PMBLIMITR_EL1,
     HVCORE_SPE_PMBSR_EL1, HVCORE_SPE_PMSCR_EL1, HVCORE_SPE_PMSCR_EL2, HVCORE_SPE_PMSCR_EL12},
    {0, HVCORE_SPE_ID_AA64DFR0_EL1, HVCORE_SPE_TRBIDR_EL1, HVCORE_SPE_TRBLIMITR_EL1,
     HVCORE_SPE_TRBSR_EL1, HVCORE_SPE_TRFCR_EL1, HVCORE_SPE_TRFCR_EL2, HVCORE_SPE_TRFCR_EL12},
};

#define SLOT(name) HVCORE_SPE_SLOT_##name

#define PMSVER (UINT64_C(0xf) << 32)       /* ID_AA64DFR0_EL1 */
#define TRACE_BUFFER (UINT64_C(0xf) << 44) /* ID_AA64DFR0_EL1 */
#define ENABLED HVCORE_SPE_LIMIT_E

/* A host at EL1 may record physical addresses (PA, bit 4) and physical time (PCT, 7:6, 01). */
#define PMSCR_EL2_FOR_EL1 0x50

typedef struct row {
    uint8_t direction, units, hosts;
    uint8_t flags; /* all of them must be set */
    uint8_t kind, role, slot;
    uint64_t value;
} row;

static const row rows[] = {
    /* Nothing but the identification is touched before it says that the rest is there (specs 7). */
    {PROBE, BOTH, ANY, 0, READ, DFR0, SLOT(DFR0), 0},
    {PROBE, SPE, ANY, 0, STOP, NO_REG, SLOT(DFR0), PMSVER},
    {PROBE, TRBE, ANY, 0, STOP, NO_REG, SLOT(DFR0), TRACE_BUFFER},
    {PROBE, BOTH, ANY, 0, READ, IDR, SLOT(IDR), 0},

    {INIT, SPE, AT_EL1, 0, VALUE, CONTROL_EL2, 0, PMSCR_EL2_FOR_EL1},
    /* Nobody else sets it, and UNKNOWN would record the guest into the host's buffer (specs 5). */
    {INIT, BOTH, AT_EL2, 0, ZERO, CONTROL, 0, 0},
    /* Who was here before: its records are not wanted, but its stores must have landed. */
    {INIT, BOTH, BARE, 0, ZERO, CONTROL_EL2, 0, 0},
    {INIT, BOTH, BARE, 0, ZERO, CONTROL, 0, 0},
    {INIT, BOTH, BARE, 0, ZERO, LIMIT, 0, 0},
    {INIT, BOTH, BARE, 0, ISB, NO_REG, 0, 0},
    {INIT, BOTH, BARE, 0, CSYNC, NO_REG, 0, 0},
    {INIT, BOTH, BARE, TWICE, CSYNC, NO_REG, 0, 0},
    {INIT, BOTH, BARE, 0, DSB, NO_REG, 0, 0},
    {INIT, BOTH, BARE, 0, ZERO, STATUS, 0, 0},

    /* One read on the common path: a driver that clears E has drained before. */
    {PARK, BOTH, AT_EL1, 0, READ, LIMIT, SLOT(LIMIT), 0},
    {PARK, BOTH, AT_EL1, 0, STOP, NO_REG, SLOT(LIMIT), ENABLED},
    {PARK, BOTH, AT_EL1, WATCH, READ, STATUS, SLOT(BEFORE), 0},
    /* No new records, in effect; ... */
    {PARK, BOTH, AT_EL1, 0, READ, CONTROL, SLOT(CONTROL), 0},
    {PARK, BOTH, AT_EL1, 0, ZERO, CONTROL, 0, 0},
    {PARK, BOTH, AT_EL1, 0, ISB, NO_REG, 0, 0},
    /* ... those that are queued get translated, and their stores complete; ... */
    {PARK, BOTH, AT_EL1, 0, CSYNC, NO_REG, 0, 0},
    {PARK, BOTH, AT_EL1, TWICE, CSYNC, NO_REG, 0, 0},
    {PARK, BOTH, AT_EL1, 0, DSB, NO_REG, 0, 0},
    /* ... then nothing translates on its own account while the guest's tables are there. */
    {PARK, BOTH, AT_EL1, 0, ZERO, LIMIT, 0, 0},
    {PARK, BOTH, AT_EL1, AFTER, CSYNC, NO_REG, 0, 0},
    {PARK, BOTH, AT_EL1, AFTER | TWICE, CSYNC, NO_REG, 0, 0},
    {PARK, BOTH, AT_EL1, AFTER, DSB, NO_REG, 0, 0},
    {PARK, BOTH, AT_EL1, 0, ISB, NO_REG, 0, 0},
    {PARK, BOTH, AT_EL1, WATCH, READ, STATUS, SLOT(AFTER), 0},

    {UNPARK, BOTH, AT_EL1, 0, STOP, NO_REG, SLOT(LIMIT), ENABLED},
    /* The host's tables are written, but not yet in effect. */
    {UNPARK, BOTH, AT_EL1, 0, ISB, NO_REG, 0, 0},
    {UNPARK, BOTH, AT_EL1, 0, SAVED, LIMIT, SLOT(LIMIT), 0},
    {UNPARK, BOTH, AT_EL1, 0, ISB, NO_REG, 0, 0},
    {UNPARK, BOTH, AT_EL1, RESYNC, ISB, NO_REG, 0, 0},
    /* The ERET to the host puts this into effect. */
    {UNPARK, BOTH, AT_EL1, 0, SAVED, CONTROL, SLOT(CONTROL), 0},
};

#define ROWS (sizeof rows / sizeof *rows)

/* --- plans ------------------------------------------------------------------------------------ */

static bool in_range(const hvcore_spe_config *config)
{
    return config->unit < HVCORE_SPE_UNITS && config->host < HVCORE_SPE_HOSTS &&
           config->caps < HVCORE_SPE_CAPS && !(config->flags & ~(uint32_t)HVCORE_SPE_FLAGS);
}

static bool is_for(const row *r, const hvcore_spe_config *config, uint32_t direction)
{
    if (direction != PROBE && config->caps != HVCORE_SPE_OWNED) {
        return false;
    }
    return r->direction == direction && r->units >> config->unit & 1 &&
           r->hosts >> config->host & 1 && !(r->flags & ~config->flags);
}

/* With E2H = 1 the names of EL1 mean EL2's registers (DDI0487 D8.11.1). */
static uint32_t reg_of(const row *r, const hvcore_spe_config *config)
{
    bool e2h = E2H >> config->host & 1;

    return regs[config->unit][r->role == CONTROL && e2h ? CONTROL_EL12 : r->role];
}

static hvcore_spe_op op_of(const row *r, const hvcore_spe_config *config)
{
    bool tsb = r->kind == CSYNC && config->unit == HVCORE_SPE_UNIT_TRBE;

    return (hvcore_spe_op){
        .kind = tsb ? HVCORE_SPE_TSB : r->kind,
        .slot = r->slot,
        .reg = reg_of(r, config),
        .value = r->value,
    };
}

int hvcore_spe_plan_make(const hvcore_spe_config *config, uint32_t direction, hvcore_spe_plan *plan)
{
    if (!in_range(config) || direction >= HVCORE_SPE_DIRECTIONS) {
        return -HVCORE_E_INVAL;
    }
    *plan = (hvcore_spe_plan){0};
    for (const row *r = rows; r < rows + ROWS; r++) {
        if (is_for(r, config, direction)) {
            plan->ops[plan->count++] = op_of(r, config);
        }
    }
    return 0;
}

uint32_t hvcore_spe_caps(uint32_t unit, uint64_t dfr0, uint64_t idr)
{
    uint64_t implemented = unit == HVCORE_SPE_UNIT_SPE ? PMSVER : TRACE_BUFFER;

    if (unit >= HVCORE_SPE_UNITS || !(dfr0 & implemented)) {
        return HVCORE_SPE_ABSENT;
    }
    return idr & HVCORE_SPE_IDR_P ? HVCORE_SPE_FOREIGN : HVCORE_SPE_OWNED;
}

/* --- what was executed ------------------------------------------------------------------------ */

/* Stage 1 or 2 aborts of a write to the buffer (specs 12). */
static bool is_fault(uint64_t status)
{
    uint64_t ec = status >> HVCORE_SPE_STATUS_EC_SHIFT & 0x3f;

    return ec == 0x24 || ec == 0x25;
}

static void watched(hvcore_spe_pe *pe)
{
    uint64_t after = pe->saved[SLOT(AFTER)];

    if (after & ~pe->saved[SLOT(BEFORE)] & HVCORE_SPE_STATUS_S) {
        pe->raised++;
        pe->faulted += is_fault(after);
    }
}

static int parked(hvcore_spe_pe *pe)
{
    if (pe->parked) {
        return -HVCORE_E_STATE;
    }
    pe->parks++;
    if (pe->saved[SLOT(LIMIT)] & ENABLED) {
        pe->parked = 1;
        pe->drained++;
        if (pe->config.flags & WATCH) {
            watched(pe);
        }
    }
    return 0;
}

static int unparked(hvcore_spe_pe *pe)
{
    pe->parked = 0;
    pe->saved[SLOT(LIMIT)] = 0;
    pe->saved[SLOT(CONTROL)] = 0;
    return 0;
}

int hvcore_spe_account(hvcore_spe_pe *pe, uint32_t direction)
{
    if (!in_range(&pe->config) || (direction != PARK && direction != UNPARK)) {
        return -HVCORE_E_INVAL;
    }
    return direction == PARK ? parked(pe) : unparked(pe);
}

/* --- traps, and the state of things while a guest can run (specs 11, 16) ---------------------- */

typedef struct controls {
    uint64_t owner, trap;       /* of MDCR_EL2 */
    uint64_t idr;               /* of HDFGRTR_EL2: the identification that only this traps */
    uint64_t barrier, barrier2; /* of HFGITR_EL2, HFGITR2_EL2 */
} controls;

static const controls of_unit[HVCORE_SPE_UNITS] = {
    {HVCORE_SPE_MDCR_E2PB, HVCORE_SPE_MDCR_TPMS, UINT64_C(1) << 63, UINT64_C(1) << 63, 0},
    {HVCORE_SPE_MDCR_E2TB, HVCORE_SPE_MDCR_TTRF, UINT64_C(1) << 51, 0, UINT64_C(1) << 0},
};

static uint64_t with(uint64_t value, uint64_t bits, bool on)
{
    return on ? value | bits : value & ~bits;
}

int hvcore_spe_traps_set(const hvcore_spe_config *config, uint32_t side, hvcore_spe_traps *traps)
{
    const controls *c;
    bool at_el1, trapped;

    if (!in_range(config) || side >= HVCORE_SPE_SIDES) {
        return -HVCORE_E_INVAL;
    }
    c = &of_unit[config->unit];
    at_el1 = side == HVCORE_SPE_SIDE_HOST && AT_EL1 >> config->host & 1;
    trapped = side == HVCORE_SPE_SIDE_GUEST || BARE >> config->host & 1;
    traps->mdcr_el2 = with(with(traps->mdcr_el2, c->owner, at_el1), c->trap, trapped);
    traps->hdfgrtr_el2 = with(traps->hdfgrtr_el2, c->idr, trapped);
    traps->hfgitr_el2 = with(traps->hfgitr_el2, c->barrier, false);
    traps->hfgitr2_el2 = with(traps->hfgitr2_el2, c->barrier2, false);
    return 0;
}

/* On a host at EL1 the unit is off; then its control counts only if this code has cleared it. */
static uint32_t check_unit(const hvcore_spe_pe *pe, const hvcore_spe_live *live)
{
    bool at_el1 = AT_EL1 >> pe->config.host & 1;
    bool at_el2 = AT_EL2 >> pe->config.host & 1;
    uint32_t bad = 0;

    if (live->limit & ENABLED && !at_el2) {
        bad |= HVCORE_SPE_ENABLED;
    }
    if (live->control && (!at_el1 || pe->parked)) {
        bad |= HVCORE_SPE_SAMPLING;
    }
    return bad;
}

uint32_t hvcore_spe_check(const hvcore_spe_pe *pe, const hvcore_spe_live *live)
{
    const controls *c;
    uint32_t bad;

    if (!in_range(&pe->config)) {
        return HVCORE_SPE_BAD_CONFIG;
    }
    c = &of_unit[pe->config.unit];
    bad = pe->config.caps == HVCORE_SPE_OWNED ? check_unit(pe, live) : 0;
    bad |= live->mdcr_el2 & c->owner ? HVCORE_SPE_OWNER : 0;
    bad |= live->mdcr_el2 & c->trap ? 0 : HVCORE_SPE_UNTRAPPED;
    if ((pe->parked != 0) != (pe->saved[SLOT(LIMIT)] & ENABLED)) {
        bad |= HVCORE_SPE_BAD_STATE;
    }
    return bad;
}
