/* SPDX-License-Identifier: Apache-2.0 */
/* The two readings of a state: the PE's own AT, guarded, and the unit's, over the same words. */
#include "tests/system/arm64/at.h"

#define PC UINT64_C(0xffff000080001234)
#define SPSR_GUEST UINT64_C(5)
#define SPSR_PAN BIT(22)
#define ISS_S1PTW BIT(7)
#define ISS_ABORT UINT64_C(0x1ff) /* CM, S1PTW, WnR, FSC */
#define CALLS 100u

/* ---- the PE ---- */

static void flush(void)
{
    __asm__ volatile("dsb sy\nisb\ntlbi alle1\ntlbi alle2\ndsb sy\nisb" ::: "memory");
}

/* The image's own translation is off from here on, at EL2. HCR_EL2 comes last: with E2H, EL2's
 * names for registers of EL1 mean others. */
void at_load(const hvcore_arm64_sys *sys)
{
    WRITE(sctlr_el2, sys->sctlr_el2);
    barrier();
    WRITE(sctlr_el1, sys->sctlr_el1);
    WRITE(tcr_el1, sys->tcr_el1);
    WRITE(ttbr0_el1, sys->ttbr0_el1);
    WRITE(ttbr1_el1, sys->ttbr1_el1);
    WRITE(mair_el1, sys->mair_el1);
    WRITE(tcr_el2, sys->tcr_el2);
    WRITE(ttbr0_el2, sys->ttbr0_el2);
    WRITE(TTBR1_EL2, sys->ttbr1_el2);
    WRITE(mair_el2, sys->mair_el2);
    WRITE(vttbr_el2, sys->vttbr_el2);
    WRITE(vtcr_el2, sys->vtcr_el2);
    WRITE(hcr_el2, sys->hcr_el2);
    flush();
}

void at_unload(void)
{
    WRITE(hcr_el2, HCR_RW);
    barrier();
    WRITE(sctlr_el2, SCTLR_RES1);
    WRITE(sctlr_el1, SCTLR_RES1);
    if (image_level() == 2) {
        image_translate();
    }
}

void at_remember(const state *s, outcome *o)
{
    for (uint32_t i = 0; i < s->used; i++) {
        o->words[i] = *(volatile uint64_t *)s->words[i].pa;
    }
    at_restore(s);
}

void at_hardware(state *s, outcome *o)
{
    memset(o, 0, sizeof(*o));
    at_load(&s->sys);
    WRITE(PSTATE_PAN, s->pan ? SPSR_PAN : 0);
    image_guarded.esr = 0;
    image_guard = 1;
    at_execute(s->op, s->va);
    image_guard = 0;
    o->par = READ(par_el1);
    WRITE(PSTATE_PAN, 0);
    at_unload();
    o->abort = image_guarded.esr != 0;
    o->esr = image_guarded.esr;
    o->far = image_guarded.far;
    at_remember(s, o);
}

/* ---- the unit ---- */

static int access(memory *m, uint64_t pa)
{
    if (pa < RAM) { /* devices */
        m->o->astray = true;
        return HVCORE_ARM64_MEM_NO_MEMORY;
    }
    if (pa >= RAM_END) {
        return HVCORE_ARM64_MEM_NO_MEMORY;
    }
    m->o->astray = m->o->astray || pa < TABLES || pa >= TABLES_END;
    return m->resident && !m->resident(pa) ? HVCORE_ARM64_MEM_NOT_RESIDENT : HVCORE_ARM64_MEM_OK;
}

static int read64(void *user, uint64_t pa, uint64_t *value)
{
    memory *m = user;
    int status = access(m, pa);
    uint64_t hide = 0;

    m->o->reads++;
    if (status != HVCORE_ARM64_MEM_OK) {
        return status;
    }
    if (m->v->ignore[0] | m->v->ignore[1]) {
        const word *w = at_find(m->s, pa);
        bool ee = w && (w->stage == 1 ? m->s->s1.ee : m->s->s2.ee);

        hide = w ? m->v->ignore[w->stage - 1] : 0;
        hide = ee ? __builtin_bswap64(hide) : hide;
    }
    *value = *(volatile uint64_t *)pa & ~hide;
    m->o->last = *value;
    return status;
}

static int cas64(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    memory *m = user;
    volatile uint64_t *at = (volatile uint64_t *)pa;
    int status = access(m, pa);

    if (status == HVCORE_ARM64_MEM_OK && !m->o->astray) {
        *at ^= expected ^ desired; /* what a variant ignores stays */
    }
    return status;
}

hvcore_arm64_walk_mem at_memory(memory *m)
{
    return (hvcore_arm64_walk_mem){m, read64, cas64};
}

/* op1, CRm, op2 of SYS (specs 1). */
static const struct {
    const char *name;
    uint8_t op1, crm, op2;
} ops[HVCORE_AT_OPS] = {
    {"S1E1R", 0, 8, 0},  {"S1E1W", 0, 8, 1},  {"S1E0R", 0, 8, 2},  {"S1E0W", 0, 8, 3},
    {"S1E1RP", 0, 9, 0}, {"S1E1WP", 0, 9, 1}, {"S1E1A", 0, 9, 2},  {"S1E2R", 4, 8, 0},
    {"S1E2W", 4, 8, 1},  {"S1E2A", 4, 9, 2},  {"S12E1R", 4, 8, 4}, {"S12E1W", 4, 8, 5},
    {"S12E0R", 4, 8, 6}, {"S12E0W", 4, 8, 7},
};

/* EC 0x18, IL, Op0 = 1, CRn = 7. */
uint64_t at_trap(uint32_t op, uint32_t rt)
{
    uint64_t iss = BIT(20) | (uint64_t)ops[op].op2 << 17 | (uint64_t)ops[op].op1 << 14 | 7 << 10 |
                   (uint64_t)rt << 5 | (uint64_t)ops[op].crm << 1;

    return UINT64_C(0x18) << 26 | BIT(25) | iss;
}

uint32_t at_word(uint32_t op, uint32_t rt)
{
    return 0xd5087000 | (uint32_t)ops[op].op1 << 16 | (uint32_t)ops[op].crm << 8 |
           (uint32_t)ops[op].op2 << 5 | rt;
}

const char *at_name(uint32_t op)
{
    return ops[op].name;
}

variant at_plain(const state *s)
{
    return (variant){.sys = s->sys, .options = at_options, .pan = s->pan};
}

static hvcore_result serve(memory *m, hvcore_arm64_frame *frame, hvcore_arm64_sys *sys,
                           const hvcore_event *event, hvcore_arm64_state *unit)
{
    hvcore_arm64_walk_mem mem = at_memory(m);
    hvcore_result r = {0};

    for (uint32_t i = 0; i < CALLS; i++) {
        r = hvcore_at_walk(frame, sys, event, unit, &mem);
        if (r.kind != HVCORE_RESULT_NEED_HOLD) {
            break;
        }
        unit->at.held = 1;
    }
    return r;
}

void at_unit(state *s, const variant *v, outcome *o)
{
    static hvcore_arm64_state unit;
    hvcore_arm64_frame frame = {.pc = PC, .spsr = SPSR_GUEST | (v->pan ? SPSR_PAN : 0)};
    hvcore_event event = HVCORE_EVENT_INIT;
    hvcore_arm64_sys sys = v->sys;
    memory m = {s, v, o, NULL};
    hvcore_result r;

    memset(o, 0, sizeof(*o));
    unit = (hvcore_arm64_state){.size = sizeof(unit), .version = 1};
    unit.at.walk = v->options;
    unit.at.features = at_features;
    event.have = HVCORE_HAVE_SYNDROME | HVCORE_HAVE_MODE;
    event.mode = s->mode;
    event.syndrome = at_trap(s->op, 5);
    frame.x[5] = s->va;
    r = serve(&m, &frame, &sys, &event, &unit);
    o->answer = r.kind;
    o->abort = r.kind == HVCORE_RESULT_INJECT;
    o->esr = o->abort ? r.arg : 0;
    o->far = r.addr;
    o->hpfar = unit.at.hpfar;
    o->par = sys.par_el1;
    at_remember(s, o);
}

/* ---- both ---- */

/* Where stage 2 does not let EL1 to a table, EL2 must learn which page that was (specs 2.3). */
static bool same_page(const state *s, const outcome *hardware, const outcome *unit)
{
    uint32_t fsc = field(hardware->esr, 0, 6);
    bool external = (fsc & ~3u) == 0x14 || fsc == 0x13, told = hardware->esr & ISS_S1PTW;

    return s->mode != HVCORE_ARM64_EL1 || !told || external || hardware->hpfar == unit->hpfar;
}

static bool same_par(uint64_t a, uint64_t b)
{
    uint64_t open = a & PAR_F ? MASK(63, 48) : BIT(9) | BIT(10);

    return ((a ^ b) & ~open) == 0;
}

bool at_same(const state *s, const outcome *hardware, const outcome *unit)
{
    const uint64_t class = MASK(31, 25) | ISS_ABORT;

    if (unit->answer != HVCORE_RESULT_DONE && unit->answer != HVCORE_RESULT_INJECT) {
        return false;
    }
    for (uint32_t i = 0; i < s->used; i++) {
        if (hardware->words[i] != unit->words[i]) {
            return false;
        }
    }
    if (hardware->abort || unit->abort) {
        return hardware->abort == unit->abort && hardware->far == unit->far &&
               same_page(s, hardware, unit) && ((hardware->esr ^ unit->esr) & class) == 0;
    }
    return same_par(hardware->par, unit->par);
}
