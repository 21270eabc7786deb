/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unit as a hypervisor uses it, with the PE behind it: a guest hypervisor's AT is first tried
 * by hardware (NEED_AT), under a stage 2 of the host's from which pages with the guest's tables are
 * missing. The guest must not see that: the answer is that of a walk with all of memory there.
 */
#include "tests/system/arm64/at.h"

#define PAGE UINT64_C(4096)
#define PC UINT64_C(0xffff000080001234)
#define PAGES 8u
#define CALLS 40u
#define S2AP MASK(7, 6)

/* The host's stage 2: 39 bits, pages of 4 KiB. */
#define HOST_VTCR (25 | 1 << 6 | UINT64_C(2) << 16 | BIT(31))

static state host;
static uint64_t present[PAGES];
static uint32_t presents, asked_at, asked_pages;

static void host_begin(void)
{
    memset(&host, 0, sizeof(host));
    host.sys.hcr_el2 = HCR_RW | HCR_VM;
    host.sys.vtcr_el2 = HOST_VTCR;
    at_stages(&host);
    at_build(&host);
    presents = asked_at = asked_pages = 0;
}

static bool resident(uint64_t pa)
{
    for (uint32_t i = 0; i < presents; i++) {
        if (present[i] == pa / PAGE) {
            return true;
        }
    }
    return false;
}

/* The host's stage 2 has the page, with all rights or (`hide`) without these bits. */
static void map(uint64_t pa, uint64_t hide)
{
    uint64_t page = pa & ~(PAGE - 1);

    host.plain = true;
    at_map_stage_2(&host, page, page);
    for (uint32_t i = 0; i < host.used; i++) {
        uint64_t d = host.words[i].value;

        if ((d & MASK(47, 12)) == page && d & MASK(5, 2)) { /* a leaf: it has a memory type */
            at_put(&host, host.words[i].pa, (d | DESC_AF | S2AP) & ~hide, 2);
        }
    }
}

static void bring_in(uint64_t pa)
{
    if (!resident(pa) && presents < PAGES) {
        present[presents++] = pa / PAGE;
        map(pa, 0);
    }
}

/* What is missing has no descriptor, no access flag, or no right to read. */
static void withhold(uint64_t pa)
{
    static const uint64_t hide[2] = {DESC_AF, S2AP};

    if (!resident(pa) && chance(50)) {
        map(pa, hide[below(COUNT(hide))]);
    }
}

/* ---- the server of NEED_AT ---- */

/* TCR_EL2 of a guest hypervisor without E2H, as TCR_EL1: the other range is off. */
static uint64_t as_tcr_el1(uint64_t tcr)
{
    static const uint8_t move[][2] = {{16, 32}, {17, 33}, {18, 34}, {20, 37},
                                      {21, 39}, {22, 40}, {24, 41}, {32, 59}};
    uint64_t out = (tcr & MASK(15, 0)) | BIT(23);

    for (uint32_t i = 0; i < COUNT(move); i++) {
        out |= (tcr >> move[i][0] & 1) << move[i][1];
    }
    return out;
}

/* A guest hypervisor runs at EL1, on its EL2 registers (specs 5.1). */
static hvcore_arm64_sys context(const state *s, uint32_t which)
{
    hvcore_arm64_sys real = s->sys;

    if (which != HVCORE_AT_CONTEXT_EL1) {
        real.sctlr_el1 = s->sys.sctlr_el2;
        real.ttbr0_el1 = s->sys.ttbr0_el2;
        real.ttbr1_el1 = s->sys.ttbr1_el2;
        real.mair_el1 = s->sys.mair_el2;
        real.tcr_el1 = which == HVCORE_AT_CONTEXT_NV1 ? as_tcr_el1(s->sys.tcr_el2) : s->sys.tcr_el2;
    }
    real.sctlr_el2 = SCTLR_RES1;
    real.hcr_el2 = HCR_RW | HCR_VM;
    real.hcr_el2 |= which == HVCORE_AT_CONTEXT_NV1 ? HCR_NV | HCR_NV1 : 0;
    real.vtcr_el2 = host.sys.vtcr_el2;
    real.vttbr_el2 = host.sys.vttbr_el2;
    return real;
}

static void serve_at(const state *s, hvcore_result need, hvcore_at_state *at)
{
    hvcore_arm64_sys real = context(s, field(need.arg, 8, 8));

    asked_at++;
    at_load(&real);
    WRITE(PSTATE_PAN, need.arg & HVCORE_AT_NEED_PAN ? BIT(22) : 0);
    image_guarded.esr = 0;
    image_guard = 1;
    at_execute(need.arg & HVCORE_AT_NEED_OP, need.addr);
    image_guard = 0;
    at->answer_par[0] = READ(par_el1);
    at->answer_par[1] = 0;
    at->answer = image_guarded.esr ? HVCORE_AT_ANSWER_TRAPPED : HVCORE_AT_ANSWER_PAR;
    WRITE(PSTATE_PAN, 0);
    at_unload();
}

/* ---- the loop ---- */

static hvcore_result serve(state *s, memory *m, hvcore_arm64_frame *frame, hvcore_arm64_sys *sys,
                           const hvcore_event *event, hvcore_arm64_state *unit)
{
    hvcore_arm64_walk_mem mem = at_memory(m);
    hvcore_result r = {0};

    for (uint32_t i = 0; i < CALLS; i++) {
        r = hvcore_at_walk(frame, sys, event, unit, &mem);
        switch (r.kind) {
        case HVCORE_RESULT_NEED_AT:
            serve_at(s, r, &unit->at);
            break;
        case HVCORE_RESULT_NEED_HOLD:
            unit->at.held = 1;
            break;
        case HVCORE_RESULT_NEED_PAGE:
            asked_pages++;
            bring_in(r.addr);
            break;
        default:
            return r;
        }
    }
    return r;
}

static uint64_t counted(const hvcore_at_state *at, uint32_t which)
{
    static uint64_t total[HVCORE_AT_COUNTERS];

    for (uint32_t i = 0; at && i < HVCORE_AT_COUNTERS; i++) {
        total[i] += at->count[i];
    }
    return total[which];
}

static void run(state *s, outcome *o)
{
    static hvcore_arm64_state unit;
    hvcore_arm64_frame frame = {.pc = PC, .spsr = 5 | (s->pan ? BIT(22) : 0)};
    hvcore_event event = HVCORE_EVENT_INIT;
    hvcore_arm64_sys sys = s->sys;
    variant plain = at_plain(s);
    memory m = {s, &plain, o, resident};
    hvcore_result r;

    memset(o, 0, sizeof(*o));
    unit = (hvcore_arm64_state){.size = sizeof(unit), .version = 1};
    unit.at.walk = at_options;
    unit.at.features = at_features;
    unit.at.options = HVCORE_AT_HARDWARE;
    event.have = HVCORE_HAVE_SYNDROME | HVCORE_HAVE_MODE;
    event.mode = HVCORE_ARM64_VEL2;
    event.syndrome = at_trap(s->op, 5);
    frame.x[5] = s->va;
    r = serve(s, &m, &frame, &sys, &event, &unit);
    o->abort = r.kind == HVCORE_RESULT_INJECT;
    o->esr = o->abort ? r.arg : 0;
    o->far = r.addr;
    o->par = sys.par_el1;
    at_remember(s, o);
    counted(&unit.at, 0);
}

/* ---- cases ---- */

/* What the guest hypervisor sees has one stage; whether the host's has all pages is drawn. */
static void prepare(state *s)
{
    at_any(s, true);
    s->sys.hcr_el2 = HCR_RW | (s->sys.hcr_el2 & HCR_E2H);
    s->sys.hcr_el2 |= s->sys.hcr_el2 & HCR_E2H && chance(30) ? HCR_TGE : 0;
    s->sys.tcr_el2 = s->sys.hcr_el2 & HCR_E2H ? s->sys.tcr_el1 : s->sys.tcr_el2;
    at_stages(s);
    at_build(s);
    host_begin();
    for (uint32_t i = 0; i < s->used; i++) {
        if (chance(50)) {
            bring_in(s->words[i].pa);
        } else {
            withhold(s->words[i].pa);
        }
    }
}

/* Of each page and of the PE at most once; and what the unit reported is no fault of stage 2. */
static bool is_modest(const state *s, const outcome *o)
{
    bool hidden = o->abort || !(o->par & PAR_F) || !(o->par & PAR_S);

    return asked_at == !at_is_s12(s->op) && asked_pages <= s->used && hidden;
}

void at_resident(uint64_t cases)
{
    static state s;
    static outcome got, wanted;
    uint64_t pages = 0;
    variant plain;

    for (uint64_t i = 0; i < cases; i++) {
        prepare(&s);
        plain = at_plain(&s);
        at_unit(&s, &plain, &wanted);
        if (at_foresee(&s, &wanted) == AT_FINE) {
            run(&s, &got);
            got.far = is_modest(&s, &got) ? got.far : ~got.far;
            pages += asked_pages;
            at_judge("AT with pages missing differs", &s, &got, &wanted);
        }
        at_wipe(&s);
        at_wipe(&host);
    }
    at_demand(pages);
    at_demand(counted(NULL, HVCORE_AT_COUNT_HARDWARE));
    at_demand(counted(NULL, HVCORE_AT_COUNT_DOUBTED));
    put("# AT with the PE behind it: "), put_number(counted(NULL, HVCORE_AT_COUNT_HARDWARE));
    put(" answers of the PE believed, "), put_number(counted(NULL, HVCORE_AT_COUNT_DOUBTED));
    put(" not, "), put_number(pages), put(" pages asked for\n");
}
