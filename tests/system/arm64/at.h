/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state of address translation as a test sees it: registers, an instruction, tables in RAM; and
 * its two readings, the PE's own AT and lib/fixup/at.c over lib/walk. Made from the specification
 * (specs at-walker.md) alone; nothing here is the walker's.
 */
#ifndef HVC_TESTS_SYSTEM_ARM64_AT_H
#define HVC_TESTS_SYSTEM_ARM64_AT_H

#include "tests/system/arm64/image.h"

/* Bits of HCR_EL2. */
#define HCR_VM BIT(0)
#define HCR_PTW BIT(2)
#define HCR_DC BIT(12)
#define HCR_TGE BIT(27)
#define HCR_CD BIT(32)
#define HCR_E2H BIT(34)
#define HCR_NV BIT(42)
#define HCR_NV1 BIT(43)
#define HCR_AT BIT(44)
#define HCR_FWB BIT(46)
#define HCR_DCT BIT(57)

#define SCTLR_M BIT(0)
#define SCTLR_C BIT(2)
#define SCTLR_EE BIT(25)

/* Of TCR_EL1, and of TCR_EL2 with E2H. */
#define TCR_HD BIT(40)
#define TCR_HA BIT(39)
#define TCR_DS BIT(59)
#define VTCR_HA BIT(21)
#define VTCR_HD BIT(22)
#define VTCR_DS BIT(32)
#define VTCR_SL2 BIT(33)

#define DESC_AF BIT(10)
#define DESC_NT BIT(16)
#define DESC_DBM BIT(51)
#define DESC_CONTIGUOUS BIT(52)

/* PAR_EL1 */
#define PAR_F BIT(0)
#define PAR_PTW BIT(8)
#define PAR_S BIT(9)

/* Tables lie here: the lower 30 bits are no device of the board, should a block lose the others. */
#define TABLES UINT64_C(0x50000000)
#define TABLES_END UINT64_C(0x58000000)
#define WORDS 96u

/* A table word, and which stage's it is. */
typedef struct word {
    uint64_t pa, value;
    uint32_t stage;
} word;

/* What building tables asks of a stage. */
typedef struct stage {
    uint32_t number;        /* 1, 2 */
    uint32_t shift, stride; /* bits of a page offset, bits that a level resolves */
    uint32_t ia;            /* bits of an input address */
    int32_t start;          /* the first level */
    uint32_t ps, out;       /* PS or IPS, bits of an output address */
    bool ds, high_64k;      /* where bits 51:48 of an address stand in descriptors */
    bool ee, ha, fwb;
    uint64_t base; /* the first table; for stage 1 under stage 2 an IPA */
} stage;

typedef struct state {
    hvcore_arm64_sys sys;
    uint32_t op; /* HVCORE_AT_* */
    uint64_t va;
    bool pan;
    uint32_t mode;  /* HVCORE_ARM64_VEL2, or _EL1: what the unit takes the trap for */
    uint32_t spoil; /* percent of descriptors that get something wrong */
    stage s1, s2;
    bool two;            /* there is a stage 2 */
    bool plain;          /* what is built now is pages with all rights, and nothing spoilt */
    const uint64_t *own; /* pages that stage 2 must translate to themselves, up to a 0; or NULL */
    uint32_t same;       /* so many low bits of a table's IPA are those of its PA */
    word words[WORDS];
    uint32_t used;
} state;

/* A reading: PAR_EL1, or an exception; and what became of the words. */
typedef struct outcome {
    bool abort;
    uint64_t par;
    uint64_t esr, far, hpfar;
    uint64_t words[WORDS];
    uint32_t reads; /* the unit's; and the last word among them */
    uint64_t last;
    bool astray;     /* the unit's: it came to memory that is neither tables nor nothing */
    uint32_t answer; /* the unit's last answer, HVCORE_RESULT_* */
} outcome;

/* ---- at_state.c: what this PE is, and any state for it ---- */

extern hvcore_arm64_walk_options at_options;
extern uint32_t at_features; /* HVCORE_AT_FEAT_* */

void at_identify(void);
/* `el3`: the image's own translation may change. */
void at_any(state *s, bool el3);
void at_stages(state *s);           /* after a change of registers */
uint32_t at_regime(const state *s); /* HVCORE_ARM64_REGIME_* */
/* Is an access of stage 1 followed by one of stage 2? */
bool at_has_stage_2(const hvcore_arm64_sys *sys, uint32_t regime);
bool at_is_s12(uint32_t op);

/* ---- at_tables.c ---- */

/* Tables along the way of the address, through both stages, until one is spoilt. */
void at_build(state *s);
/* Stage 2 translates this address to `pa`, or (0) to anywhere. */
bool at_map_stage_2(state *s, uint64_t ipa, uint64_t pa);
word *at_find(state *s, uint64_t pa);
void at_put(state *s, uint64_t pa, uint64_t value, uint32_t stage);
/* The words as they were built; all of memory zero again. */
void at_restore(const state *s);
void at_wipe(const state *s);

/* ---- at_run.c ---- */

/* What a reading may be told to do differently (at_known.c). */
typedef struct variant {
    hvcore_arm64_sys sys;
    hvcore_arm64_walk_options options;
    bool pan;
    uint64_t ignore[2]; /* bits of descriptors that read as 0, by stage */
} variant;

variant at_plain(const state *s);
void at_unit(state *s, const variant *v, outcome *o);
void at_hardware(state *s, outcome *o);
/* Registers of the state, and the image's own again. */
void at_load(const hvcore_arm64_sys *sys);
void at_unload(void);
/* What has become of the words, which are then as they were. */
void at_remember(const state *s, outcome *o);

/* The syndrome of the trap of AT <op>, X<rt>; the instruction. */
uint64_t at_trap(uint32_t op, uint32_t rt);
uint32_t at_word(uint32_t op, uint32_t rt);
const char *at_name(uint32_t op);

/* Memory for the unit. `resident`, if there is one, says which pages are. */
typedef struct memory {
    state *s;
    const variant *v;
    outcome *o;
    bool (*resident)(uint64_t pa);
} memory;

hvcore_arm64_walk_mem at_memory(memory *m);

/* Equal, where the architecture leaves nothing open. */
bool at_same(const state *s, const outcome *hardware, const outcome *unit);

/* ---- at_known.c ---- */

/* Does what this QEMU is known to do differently explain the answer? Counts it by name. */
bool at_is_known(state *s, const outcome *hardware, const outcome *unit);
/* What would happen to it here, whatever of that shows. */
enum at_fate {
    AT_FINE,
    AT_DEADLY, /* this QEMU does not survive it */
    AT_ASTRAY  /* tables in devices or in the image */
};
enum at_fate at_foresee(state *s, const outcome *unit);
void at_known_summary(void);

/* ---- at.c ---- */

/* Both readings of a state that was built: counts the case, and says what differs. */
void at_judge(const char *what, state *s, const outcome *hardware, const outcome *unit);

/* Fails if this has never happened: a sweep without it has shown nothing. */
void at_demand(uint64_t count);

/* ---- at_guest.c, at_resident.c: the image is at EL2 ---- */

/* AT at EL1 and EL0: who gets it, as HCR_EL2 and HFGITR_EL2 say. */
void at_traps(void);
/* AT at EL1 that executes there, below a stage 2. */
void at_native(uint64_t cases);
/* The unit with the PE behind it (NEED_AT), below a host's stage 2 that lacks pages. */
void at_resident(uint64_t cases);

#endif
