/* SPDX-License-Identifier: Apache-2.0 */
/* AT below EL2: who gets it, and what it does where it executes. */
#include "tests/system/arm64/at.h"
#include "tests/system/arm64/guest.h"

#define HFGITR_EL2 S3_4_C1_C1_6
#define SPSR_EL1 UINT64_C(0x3c5)
#define SPSR_EL0 UINT64_C(0x3c0)
#define UNDEFINED UINT64_C(0x02000000)
#define MRS_PAR_X0 0xd5387400u
#define ISB 0xd5033fdfu

/* ---- who gets it ---- */

/* What a hypervisor asks for: for the PE it is the truth, for the unit what its guest has set. */
typedef struct control {
    uint64_t hcr, hfgitr;
} control;

static bool exists(uint32_t op)
{
    uint32_t needs = op == HVCORE_AT_S1E1RP || op == HVCORE_AT_S1E1WP ? HVCORE_AT_FEAT_PAN2
                     : op == HVCORE_AT_S1E1A || op == HVCORE_AT_S1E2A ? HVCORE_AT_FEAT_ATS1A
                                                                      : 0;
    return (at_features & needs) == needs;
}

static uint64_t on_hardware(const control *c, bool el0, uint32_t op, uint32_t rt)
{
    const enum guest_route route = el0 ? EL0_TO_EL1 : EL1_TO_EL1;
    hvcore_arm64_frame frame = {.pc = GUEST_CODE, .spsr = el0 ? SPSR_EL0 : SPSR_EL1};
    uint32_t words[2] = {at_word(op, rt), guest_end(route)};
    uint64_t esr;

    guest_code(0, words, 2);
    WRITE(hcr_el2, HCR_RW | c->hcr);
    if (at_features & HVCORE_AT_FEAT_FGT) {
        WRITE(HFGITR_EL2, c->hfgitr);
    }
    esr = guest_enter(&frame);
    WRITE(hcr_el2, HCR_RW);
    return esr;
}

/* S1E1R and so on with stage 1 off: nothing but registers is needed. */
static hvcore_result by_unit(const control *c, bool el0, uint32_t op, uint32_t rt)
{
    static hvcore_arm64_state unit;
    static hvcore_arm64_sys sys;
    hvcore_arm64_frame frame = {.pc = GUEST_CODE, .spsr = SPSR_EL1};
    hvcore_event event = HVCORE_EVENT_INIT;
    state none = {0};
    outcome o = {0};
    variant v = {0};
    memory m = {&none, &v, &o, NULL};
    hvcore_arm64_walk_mem mem = at_memory(&m);

    unit = (hvcore_arm64_state){.size = sizeof(unit), .version = 1};
    unit.at.walk = at_options;
    unit.at.features = at_features;
    sys = (hvcore_arm64_sys){.size = sizeof(sys), .have = UINT64_MAX};
    sys.hcr_el2 = HCR_RW | c->hcr;
    sys.hfgitr_el2 = c->hfgitr;
    event.have = HVCORE_HAVE_SYNDROME | HVCORE_HAVE_MODE;
    event.syndrome = at_trap(op, rt);
    event.mode = el0 ? HVCORE_ARM64_EL0 : HVCORE_ARM64_EL1;
    return hvcore_at_walk(&frame, &sys, &event, &unit, &mem);
}

/* What the unit's answer means on a PE: the syndrome, or (0) it executes. */
static uint64_t meant(hvcore_result r)
{
    return r.kind == HVCORE_RESULT_DONE ? 0 : r.kind == HVCORE_RESULT_INJECT ? r.arg : 1;
}

static void one_trap(const control *c, bool el0, uint32_t op, uint32_t rt)
{
    uint64_t esr = on_hardware(c, el0, op, rt), wanted = meant(by_unit(c, el0, op, rt));
    uint32_t end = el0 ? EC_SVC : EC_HVC;
    hvcore_at_insn insn = {0};
    bool good = guest_class(esr) == end ? wanted == 0 : esr == wanted;

    if (guest_class(esr) == EC_SYSTEM) { /* and the syndrome says which it was */
        good = good && hvcore_at_decode(esr, &insn) && insn.op == op && insn.rt == rt;
    }
    image_compared++;
    image_passed += good;
    image_failed += !good;
    if (!good && image_complain(at_name(op))) {
        put(" ESR"), put_hex(esr), put(", not"), put_hex(wanted), put("; HCR"), put_hex(c->hcr);
        put(" HFGITR"), put_hex(c->hfgitr), put(el0 ? " at EL0\n" : " at EL1\n");
    }
}

static void each_op(const control *c, bool el0)
{
    for (uint32_t op = 0; op < HVCORE_AT_OPS; op++) {
        if (exists(op)) {
            one_trap(c, el0, op, (uint32_t)below(32));
        }
    }
}

void at_traps(void)
{
    static const uint64_t hcrs[] = {
        0,       HCR_AT,           HCR_NV,          HCR_NV | HCR_NV1,
        HCR_NV1, HCR_AT | HCR_NV1, HCR_AT | HCR_NV, HCR_AT | HCR_NV | HCR_NV1};
    control c = {0};

    guest_vectors();
    for (uint32_t i = 0; i < COUNT(hcrs); i++) {
        c.hcr = at_features & HVCORE_AT_FEAT_NV ? hcrs[i] : 0;
        for (uint32_t k = 0; k < 16; k++) {
            each_op(&c, false);
        }
        each_op(&c, true);
    }
    c.hcr = 0;
    for (uint32_t bit = 0; bit < 64 && at_features & HVCORE_AT_FEAT_FGT; bit++) {
        c.hfgitr = BIT(bit);
        each_op(&c, false);
        c.hfgitr = ~BIT(bit);
        each_op(&c, false);
    }
    WRITE(HFGITR_EL2, 0);
}

/* ---- at EL1 ---- */

/* The lower half is for the guest's code: a gigabyte of RAM, translated to itself. */
static uint64_t lower[512] __attribute__((aligned(4096)));
static const uint64_t own[] = {GUESTS, GUEST_CODE, (uint64_t)(uintptr_t)lower, 0};

static void prepare(state *s)
{
    static const uint8_t ops[] = {HVCORE_AT_S1E1R, HVCORE_AT_S1E1W,  HVCORE_AT_S1E0R,
                                  HVCORE_AT_S1E0W, HVCORE_AT_S1E1RP, HVCORE_AT_S1E1WP,
                                  HVCORE_AT_S1E1A};
    const uint64_t not_ours = HCR_DC | HCR_TGE | HCR_E2H | HCR_NV | HCR_NV1;
    uint64_t block = RAM | 1 | DESC_AF | 2 << 6;

    do {
        s->op = ops[below(COUNT(ops))];
    } while (!exists(s->op));
    s->mode = HVCORE_ARM64_EL1;
    s->sys.hcr_el2 = (s->sys.hcr_el2 & ~not_ours) | HCR_VM;
    s->sys.sctlr_el1 |= SCTLR_M;
    s->sys.sctlr_el2 = SCTLR_RES1;
    s->sys.tcr_el1 = (s->sys.tcr_el1 & ~(MASK(15, 0) | BIT(55))) | 25;
    s->sys.mair_el1 |= 0xff;
    s->sys.ttbr0_el1 = (uint64_t)(uintptr_t)lower;
    s->va |= MASK(63, 64 - field(s->sys.tcr_el1, 16, 6)) | BIT(55);
    s->own = own;
    at_stages(s);
    lower[1] = s->s1.ee ? __builtin_bswap64(block) : block;
}

/* False: the guest could not execute it. */
static bool hardware(state *s, outcome *o)
{
    uint32_t words[4] = {at_word(s->op, 1), ISB, MRS_PAR_X0, guest_end(EL1_TO_EL2)};
    hvcore_arm64_frame frame = {.pc = GUEST_CODE, .spsr = SPSR_EL1 | (s->pan ? SPSR_PAN : 0)};
    uint32_t class;

    memset(o, 0, sizeof(*o));
    guest_code(0, words, COUNT(words));
    frame.x[1] = s->va;
    at_load(&s->sys);
    o->esr = guest_enter(&frame);
    class = guest_class(o->esr);
    o->far = guest_taken_to == 2 ? READ(far_el2) : READ(far_el1);
    o->hpfar = guest_taken_to == 2 && class == EC_ABORT_LOWER ? READ(hpfar_el2) : 0;
    at_unload();
    at_remember(s, o);
    o->abort = class != EC_HVC;
    o->par = frame.x[0];
    return (class == EC_HVC && frame.pc == GUEST_CODE + 16) ||
           ((class == EC_ABORT_LOWER || class == EC_ABORT_LOWER + 1) && frame.pc == GUEST_CODE);
}

void at_native(uint64_t cases)
{
    static state s;
    static outcome hw, unit;
    uint64_t not_run = 0, aborts = 0;
    variant plain;

    guest_vectors();
    for (uint64_t i = 0; i < cases; i++) {
        do { /* the code lies below 2^32 */
            at_any(&s, false);
        } while (s.s2.start == 4 || s.s2.ia < 32);
        prepare(&s);
        at_build(&s);
        plain = at_plain(&s);
        at_unit(&s, &plain, &unit);
        if (at_foresee(&s, &unit) != AT_FINE || !hardware(&s, &hw)) {
            not_run++;
        } else {
            aborts += hw.abort;
            at_judge("AT at EL1 differs", &s, &hw, &unit);
        }
        at_wipe(&s);
    }
    at_demand(aborts);
    put("# AT at EL1: "), put_number(cases - not_run), put(" cases, "), put_number(aborts);
    put(" aborts to EL2 or EL1, "), put_number(not_run), put(" without a way to the code\n");
}
