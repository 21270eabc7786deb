/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AT: every vector from trap to PAR_EL1; who gets the trap, and which regime is meant; what of the
 * hardware's answer is believed; what makes no sense. at_race.c has what happens while a walk goes
 * on.
 */
#include "tests/unit/at_vectors.h"

#define ESR_UNDEFINED 0x02000000u
#define HCR_VM AT_BIT(0)
#define HCR_DC AT_BIT(12)
#define HCR_TGE AT_BIT(27)
#define HCR_E2H AT_BIT(34)
#define HCR_NV AT_BIT(42)
#define HCR_NV1 AT_BIT(43)
#define HCR_AT AT_BIT(44)

/* ---- the vectors ---- */

static bool par_is(uint64_t got, json_object *par, json_object *mask)
{
    return ((got ^ hvc_json_u64(par, "")) & hvc_json_u64(mask, "")) == 0;
}

/* Choices that have alternatives in the vectors. */
static const uint32_t variants[] = {HVCORE_ARM64_CHOICE_RAW_SH, HVCORE_ARM64_CHOICE_START_LEVEL,
                                    HVCORE_ARM64_CHOICE_KEEP_AF, HVCORE_ARM64_CHOICE_PAN_BY_RIGHTS};

/* Each choice gives the vector's PAR or one of its alternatives; each alternative is somebody's. */
static void check_alternatives(const at_vector *v)
{
    size_t n = hvc_json_len(v->json, "par_alt");
    unsigned met = 0;

    for (size_t i = 0; i < AT_COUNT(variants); i++) {
        at_case c = v->start;
        at_world w = v->world;
        at_served served;
        bool ok;

        c.state.at.walk.choices = variants[i];
        CU_ASSERT_EQUAL(at_run(&c, &w, &served).kind, HVCORE_RESULT_DONE);
        ok = par_is(c.sys.par_el1, hvc_json_at(v->json, "par"), hvc_json_at(v->json, "par_mask"));
        for (size_t k = 0; k < n; k++) {
            json_object *alt = json_object_array_get_idx(hvc_json_at(v->json, "par_alt"), k);

            if (par_is(c.sys.par_el1, hvc_json_at(alt, "0"), hvc_json_at(alt, "1"))) {
                met |= 1u << k;
                ok = true;
            }
        }
        CU_ASSERT(ok);
    }
    CU_ASSERT_EQUAL(met, (1u << n) - 1);
}

/* PAR_EL1 and the next instruction; nothing else. */
static void check_done(const at_vector *v, const at_case *c)
{
    at_case want = v->start;
    uint64_t par = AT_BIT(HVCORE_ARM64_SYS_par_el1);

    CU_ASSERT(
        par_is(c->sys.par_el1, hvc_json_at(v->json, "par"), hvc_json_at(v->json, "par_mask")));
    want.sys.par_el1 = c->sys.par_el1;
    want.sys.dirty = par;
    want.frame.pc += 4;
    want.frame.spsr &= ~UINT64_C(0xc00); /* BTYPE */
    CU_ASSERT_EQUAL(memcmp(&want.frame, &c->frame, sizeof want.frame), 0);
    CU_ASSERT_EQUAL(memcmp(&want.sys, &c->sys, sizeof want.sys), 0);
    CU_ASSERT_EQUAL(c->state.at.count[HVCORE_AT_COUNT_SOFTWARE], 1);
    CU_ASSERT_EQUAL(c->sys.par_el1 >> 11 & 1, 1);
    if (c->sys.par_el1 & 1) {
        CU_ASSERT(!(c->sys.par_el1 & (UINT64_C(0xffffffff0000) | 1 << 7 | 1 << 10)));
        CU_ASSERT(c->sys.par_el1 & 1 << 9 || !(c->sys.par_el1 & 1 << 8)); /* PTW, S */
    } else {
        CU_ASSERT(!(c->sys.par_el1 & (UINT64_C(0xf0000000000000) | 0x7e)));
    }
}

/* The whole syndrome, as specs 2.3 describes it. */
static void check_exception(const at_vector *v, const at_case *c, hvcore_result r)
{
    uint64_t ipa = hvc_json_u64_or(v->json, "fault.ipa", 0);
    bool two = hvc_json_u64_or(v->json, "fault.stage", 1) == 2;
    uint32_t esr = v->el == 1 && two ? 0x92000140u : 0x96000140u;

    CU_ASSERT_EQUAL(r.kind, HVCORE_RESULT_INJECT);
    CU_ASSERT_EQUAL(memcmp(&v->start.frame, &c->frame, sizeof c->frame), 0);
    CU_ASSERT_EQUAL(memcmp(&v->start.sys, &c->sys, sizeof c->sys), 0);
    CU_ASSERT_EQUAL(c->state.at.count[HVCORE_AT_COUNT_INJECTED], 1);
    if (at_vector_undefined(v)) {
        CU_ASSERT(r.arg == ESR_UNDEFINED && r.addr == 0);
        return;
    }
    esr |= (uint32_t)hvc_json_u64(v->json, "exception.fsc");
    esr |= hvc_json_u64(v->json, "exception.s1ptw") ? 1 << 7 : 0;
    CU_ASSERT(r.arg == esr && r.addr == v->va);
    CU_ASSERT_EQUAL(c->state.at.hpfar, two ? ipa >> 12 << 4 : 0);
}

static void check_writes(const at_vector *v, const at_world *w)
{
    CU_ASSERT_EQUAL_FATAL(w->writes, hvc_json_len(v->json, "writes"));
    for (size_t i = 0; i < w->writes; i++) {
        json_object *t = json_object_array_get_idx(hvc_json_at(v->json, "writes"), i);

        CU_ASSERT_EQUAL(w->wrote[i].pa, hvc_json_u64(t, "0"));
        CU_ASSERT_EQUAL(w->wrote[i].value, hvc_json_u64(t, "2"));
    }
}

static void check_vector(const at_vector *v)
{
    at_case c = v->start;
    at_world w = v->world;
    at_served served;
    hvcore_result r = at_run(&c, &w, &served);

    CU_ASSERT_EQUAL(served.pages, 0);
    CU_ASSERT_EQUAL(served.holds, hvc_json_len(v->json, "writes") != 0);
    check_writes(v, &w);
    if (hvc_json_at(v->json, "exception")) {
        check_exception(v, &c, r);
        return;
    }
    CU_ASSERT_EQUAL_FATAL(r.kind, HVCORE_RESULT_DONE);
    check_done(v, &c);
    check_alternatives(v);
}

static void test_vectors(void)
{
    at_vectors_each(check_vector);
}

/* The choices that the vectors assume are those that zero stands for. */
static void test_vectors_choices(void)
{
    static const char *const as_zero[] = {
        "contig_misprogram_faults", "block_nt_faults", "reserved_sh",
        "af_before_perm_fault",     "par_ns",          "start_level_faults",
        "pie_pan_ignores_noaccess"};
    static const char *const as_one[] = {"txsz_oob_faults", "s1_effective_sh", "at_updates_af"};
    json_object *doc = hvc_vectors_open("at_vectors.json"), *impl = hvc_json_at(doc, "impl");

    CU_ASSERT_STRING_EQUAL(hvc_json_str_or(impl, "reserved_tg", ""), "small");
    for (size_t i = 0; i < AT_COUNT(as_zero); i++) {
        CU_ASSERT_EQUAL(hvc_json_u64(impl, as_zero[i]), 0);
    }
    for (size_t i = 0; i < AT_COUNT(as_one); i++) {
        CU_ASSERT_EQUAL(hvc_json_u64(impl, as_one[i]), 1);
    }
    json_object_object_foreach(impl, name, value)
    {
        CU_ASSERT(name[0] != 'q' || name[1] != '_' || hvc_json_u64(value, "") == 0);
    }
    json_object_put(doc);
}

/* ---- decoding ---- */

static void test_decode(void)
{
    unsigned found = 0;
    hvcore_at_insn insn;

    for (uint32_t iss = 0; iss < 1 << 25; iss++) {
        uint64_t esr = UINT64_C(0x62000000) | iss;

        if (hvcore_at_decode(esr, &insn)) {
            CU_ASSERT_FATAL(insn.op < HVCORE_AT_OPS && insn.rt == (iss >> 5 & 31));
            CU_ASSERT_FATAL((iss & ~0x3e0u) == at_iss(insn.op));
            found++;
        }
    }
    CU_ASSERT_EQUAL(found, HVCORE_AT_OPS * 32);
    for (uint32_t ec = 0; ec < 64; ec++) {
        insn.op = 99;
        CU_ASSERT_EQUAL(hvcore_at_decode(ec << 26 | 1 << 25 | 0x101c10, &insn), ec == 0x18);
        CU_ASSERT_EQUAL(insn.op, ec == 0x18 ? HVCORE_AT_S1E1R : 99);
        CU_ASSERT_EQUAL(hvcore_at_decode(ec << 26 | 0x101c10, &insn), 0);
    }
    /* Above bit 31 is ISS2, which says nothing of a system instruction. */
    CU_ASSERT_EQUAL(hvcore_at_decode(UINT64_C(0xffffffff62000000) | 0x101c10, &insn), 1);
}

/* ---- who gets the trap, and which regime ---- */

/*
 * Address 0 is mapped by a block of each regime, to another place: EL1&0 to 1 in bits 35:32, EL2
 * and EL2&0 to 2. Stage 2 sets bit 39, but leaves the gigabyte of the tables where it is.
 */
static void regime_world(at_case *c, at_world *w)
{
    memset(c, 0, sizeof *c);
    memset(w, 0, sizeof *w);
    c->state.at.walk = (hvcore_arm64_walk_options){
        HVCORE_ARM64_FEAT_EL2 | HVCORE_ARM64_FEAT_TGRAN4 | HVCORE_ARM64_FEAT_S2_TGRAN4, 0, 48, 0};
    c->state.at.features =
        HVCORE_AT_FEAT_PAN2 | HVCORE_AT_FEAT_ATS1A | HVCORE_AT_FEAT_NV | HVCORE_AT_FEAT_FGT;
    c->sys.sctlr_el1 = c->sys.sctlr_el2 = 5;
    c->sys.tcr_el1 = c->sys.tcr_el2 =
        25 | 29 << 16 | UINT64_C(2) << 30 | UINT64_C(5) << 32; /* PS too */
    c->sys.mair_el1 = 0xff;
    c->sys.mair_el2 = 0xbbff;
    c->sys.ttbr0_el1 = 0x48000000;
    c->sys.ttbr0_el2 = 0x48001000;
    c->sys.vtcr_el2 = 25 | 1 << 6 | 5 << 16;
    c->sys.vttbr_el2 = 0x48002000;
    at_put(w, 0x48000000, UINT64_C(0x100000741));
    at_put(w, 0x48001000, UINT64_C(0x200000741));
    for (uint64_t i = 0; i < 16; i++) {
        at_put(w, 0x48002000 + 8 * i, (i << 30) | (i == 1 ? 0 : AT_BIT(39)) | 0x7fd);
    }
}

enum fate { DOES, UNDEF, TRAP };

static void check_fate(uint32_t op, unsigned el, uint64_t hcr, uint64_t hfgitr, enum fate fate)
{
    at_case c;
    at_world w;
    at_served served;
    hvcore_result r;

    regime_world(&c, &w);
    c.sys.hcr_el2 = hcr;
    c.sys.hfgitr_el2 = hfgitr;
    at_begin(&c, op, 0x1000, false, el);
    c.event.syndrome |= UINT64_C(7) << 32; /* ISS2 is not told on */
    r = at_run(&c, &w, &served);
    CU_ASSERT_EQUAL(r.kind, fate == DOES ? HVCORE_RESULT_DONE : HVCORE_RESULT_INJECT);
    CU_ASSERT(fate != UNDEF || (r.arg == ESR_UNDEFINED && r.addr == 0));
    CU_ASSERT(fate != TRAP || (r.arg == (uint32_t)c.event.syndrome && r.addr == 0));
    CU_ASSERT_EQUAL(c.frame.pc, c.event.pc + (fate == DOES ? 4 : 0));
}

/* Specs 1, "when executed at EL1". */
static void test_fates(void)
{
    static const uint8_t bits[] = {12, 13, 14, 15, 16, 17, 62};

    for (uint32_t op = 0; op < HVCORE_AT_OPS; op++) {
        bool of_el2 = op >= HVCORE_AT_S1E2R;

        check_fate(op, 0, 0, 0, UNDEF);
        check_fate(op, 0, HCR_AT | HCR_NV, UINT64_MAX, UNDEF);
        check_fate(op, 2, 0, 0, DOES);
        check_fate(op, 2, HCR_AT | HCR_NV, UINT64_MAX, DOES);
        check_fate(op, 1, 0, 0, of_el2 ? UNDEF : DOES);
        check_fate(op, 1, HCR_AT, 0, of_el2 ? UNDEF : TRAP);
        check_fate(op, 1, HCR_NV, 0, of_el2 ? TRAP : DOES);
        check_fate(op, 1, 0, of_el2 ? UINT64_MAX : AT_BIT(bits[op % 7]), of_el2 ? UNDEF : TRAP);
        check_fate(op, 1, 0, of_el2 ? 0 : ~AT_BIT(bits[op % 7]), of_el2 ? UNDEF : DOES);
    }
}

/* A feature that the guest does not have behaves as absent (specs 6, 21). */
static void test_hidden(void)
{
    static const struct {
        uint32_t op, at, walk;
        unsigned el;
        uint64_t hcr, hfgitr;
        enum fate fate;
    } cases[] = {
        {HVCORE_AT_S1E1RP, HVCORE_AT_FEAT_PAN2, 0, 2, 0, 0, UNDEF},
        {HVCORE_AT_S1E1WP, HVCORE_AT_FEAT_PAN2, 0, 1, HCR_AT, UINT64_MAX, UNDEF},
        {HVCORE_AT_S1E1A, HVCORE_AT_FEAT_ATS1A, 0, 2, 0, 0, UNDEF},
        {HVCORE_AT_S1E2A, HVCORE_AT_FEAT_ATS1A, 0, 2, 0, 0, UNDEF},
        {HVCORE_AT_S1E2A, HVCORE_AT_FEAT_ATS1A, 0, 1, HCR_NV, 0, UNDEF},
        {HVCORE_AT_S1E1R, HVCORE_AT_FEAT_NV, 0, 1, HCR_AT, 0, DOES},
        {HVCORE_AT_S1E2R, HVCORE_AT_FEAT_NV, 0, 1, HCR_NV, 0, UNDEF},
        {HVCORE_AT_S1E1R, HVCORE_AT_FEAT_FGT, 0, 1, 0, UINT64_MAX, DOES},
        {HVCORE_AT_S1E1R, 0, HVCORE_ARM64_FEAT_EL2, 1, HCR_AT | HCR_TGE, UINT64_MAX, DOES},
        {HVCORE_AT_S1E2R, 0, HVCORE_ARM64_FEAT_EL2, 1, HCR_NV, UINT64_MAX, UNDEF},
        {HVCORE_AT_S12E1R, 0, HVCORE_ARM64_FEAT_EL2, 1, HCR_NV, UINT64_MAX, UNDEF},
    };

    for (size_t i = 0; i < AT_COUNT(cases); i++) {
        at_case c;
        at_world w;
        at_served served;
        hvcore_result r;

        regime_world(&c, &w);
        c.state.at.features &= ~cases[i].at;
        c.state.at.walk.features &= ~cases[i].walk;
        c.sys.hcr_el2 = cases[i].hcr;
        c.sys.hfgitr_el2 = cases[i].hfgitr;
        at_begin(&c, cases[i].op, 0x1000, false, cases[i].el);
        r = at_run(&c, &w, &served);
        CU_ASSERT_EQUAL(r.kind, cases[i].fate == DOES ? HVCORE_RESULT_DONE : HVCORE_RESULT_INJECT);
        CU_ASSERT(cases[i].fate == DOES || r.arg == ESR_UNDEFINED);
    }
}

/* Where a translation came from. */
enum origin { BY_EL10 = 1, BY_EL2 = 2, FLAT = 0, AND_S2 = 0x80 };

static void check_origin(uint32_t op, uint64_t hcr, unsigned want)
{
    at_case c;
    at_world w;
    at_served served;
    uint64_t par;

    regime_world(&c, &w);
    c.sys.hcr_el2 = hcr;
    at_begin(&c, op, 0x1678, false, 2);
    CU_ASSERT_EQUAL(at_run(&c, &w, &served).kind, HVCORE_RESULT_DONE);
    par = c.sys.par_el1;
    CU_ASSERT_EQUAL(par & 1, 0);
    CU_ASSERT_EQUAL(par >> 32 & 0xff, want);
    CU_ASSERT_EQUAL(par >> 12 & 0xfffff, 1);
}

/* Every cell of the table of regimes in specs 1. */
static void test_regimes(void)
{
    const uint64_t host = HCR_E2H | HCR_TGE;

    for (uint32_t op = 0; op < HVCORE_AT_OPS; op++) {
        bool two = op >= HVCORE_AT_S12E1R, el2 = op >= HVCORE_AT_S1E2R && !two;

        check_origin(op, host, BY_EL2);
        check_origin(op, host | HCR_VM, BY_EL2);
        check_origin(op, host | HCR_DC, BY_EL2);
        check_origin(op, HCR_E2H, el2 ? BY_EL2 : BY_EL10);
        check_origin(op, 0, el2 ? BY_EL2 : BY_EL10);
        check_origin(op, HCR_TGE, el2 ? BY_EL2 : FLAT);
        for (uint64_t e2h = 0; e2h <= HCR_E2H; e2h += HCR_E2H) {
            check_origin(op, e2h | HCR_VM, el2 ? BY_EL2 : BY_EL10 | (two ? AND_S2 : 0u));
            check_origin(op, e2h | HCR_DC, el2 ? BY_EL2 : FLAT | (two ? AND_S2 : 0u));
        }
    }
    check_origin(HVCORE_AT_S12E1R, HCR_TGE | HCR_VM, FLAT | AND_S2);
}

static void test_upper_of_el2(void) /* one range without E2H, two with it */
{
    for (uint64_t e2h = 0; e2h <= HCR_E2H; e2h += HCR_E2H) {
        at_case c;
        at_world w;
        at_served served;

        regime_world(&c, &w);
        c.sys.hcr_el2 = e2h;
        c.sys.ttbr1_el2 = 0x48001000;
        at_put(&w, 0x48001000 + 8 * 31, UINT64_C(0x300000741)); /* T1SZ is 29 */
        at_begin(&c, HVCORE_AT_S1E2R, UINT64_MAX, false, 2);
        at_run(&c, &w, &served);
        CU_ASSERT_EQUAL(c.sys.par_el1, e2h ? UINT64_C(0xff0000033ffff980) : 0x809);
    }
}

/* No memory under a table: whose, and who hears of it (specs 2.3). */
static const struct abort_case {
    uint32_t op;
    unsigned el;
    bool s1, s2, below; /* where there is no memory: the first tables; the second one of stage 2 */
    uint32_t esr;
    uint64_t hpfar;
} abort_cases[] = {
    {HVCORE_AT_S1E1R, 2, true, false, false, 0x96000155, 0},
    {HVCORE_AT_S1E1R, 1, true, false, false, 0x96000155, 0},
    {HVCORE_AT_S1E1R, 2, false, true, false, 0x960001d5, 0x480000},
    {HVCORE_AT_S1E1R, 1, false, true, false, 0x920001d5, 0x480000},
    {HVCORE_AT_S1E2R, 2, true, true, true, 0x96000155, 0},
    {HVCORE_AT_S12E1W, 2, false, false, true, 0x96000156, 0x1000010},
    {HVCORE_AT_S1E1W, 2, false, false, true, 0, 0},
};

static void test_aborts(void)
{
    for (size_t i = 0; i < AT_COUNT(abort_cases); i++) {
        const struct abort_case *a = &abort_cases[i];
        const uint64_t nowhere = UINT64_C(0x300000000);
        at_case c;
        at_world w;
        at_served served;
        hvcore_result r;

        regime_world(&c, &w);
        c.sys.hcr_el2 = HCR_VM;
        c.sys.ttbr0_el1 = a->s1 ? nowhere | 0x7000 : c.sys.ttbr0_el1;
        c.sys.ttbr0_el2 = a->s1 ? nowhere : c.sys.ttbr0_el2;
        c.sys.vttbr_el2 = a->s2 ? nowhere : c.sys.vttbr_el2;
        if (a->s1 && a->op == HVCORE_AT_S1E1R) { /* stage 2 lets it through to nowhere */
            at_put(&w, c.sys.vttbr_el2 + 8 * 12, nowhere | 0x7fd);
        }
        if (a->below) {
            at_put(&w, c.sys.vttbr_el2 + 8 * 4, nowhere | 3);
        }
        at_begin(&c, a->op, 0x1678, false, a->el);
        r = at_run(&c, &w, &served);
        CU_ASSERT_EQUAL(r.kind, a->esr ? HVCORE_RESULT_INJECT : HVCORE_RESULT_DONE);
        CU_ASSERT(!a->esr || (r.arg == a->esr && r.addr == 0x1678));
        CU_ASSERT_EQUAL(c.state.at.hpfar, a->hpfar);
        CU_ASSERT_EQUAL(c.sys.dirty != 0, a->esr == 0);
    }
}

/* Rt = 31 is zero; each other register is itself. */
static void test_rt(void)
{
    for (uint32_t rt = 0; rt < 32; rt++) {
        at_case c;
        at_world w;
        at_served served;

        regime_world(&c, &w);
        at_begin(&c, HVCORE_AT_S1E1R, 0, false, 2);
        for (uint32_t i = 0; i < 31; i++) {
            c.frame.x[i] = (uint64_t)(i + 1) << 12;
        }
        c.event.syndrome = (c.event.syndrome & ~UINT64_C(0x3e0)) | rt << 5;
        CU_ASSERT_EQUAL(at_run(&c, &w, &served).kind, HVCORE_RESULT_DONE);
        CU_ASSERT_EQUAL(c.sys.par_el1 >> 12 & 0xfffff, rt == 31 ? 0 : rt + 1);
        CU_ASSERT(!(c.sys.par_el1 & 1) && c.frame.pc == c.event.pc + 4);
    }
}

/* PSTATE.PAN counts for the P forms alone, and is the trapped guest's. */
static void test_pan(void)
{
    for (uint32_t op = HVCORE_AT_S1E1R; op <= HVCORE_AT_S1E1A; op++) {
        for (unsigned pan = 0; pan < 2; pan++) {
            bool counts = pan && (op == HVCORE_AT_S1E1RP || op == HVCORE_AT_S1E1WP);
            at_case c;
            at_world w;
            at_served served;

            regime_world(&c, &w);
            at_begin(&c, op, 0, pan, 2);
            at_run(&c, &w, &served);
            CU_ASSERT_EQUAL(c.sys.par_el1 & 0xfff, counts ? 0x81b : 0x980);
        }
    }
}

/* ---- the hardware ---- */

static hvcore_result ask(at_case *c, at_world *w)
{
    hvcore_arm64_walk_mem mem = at_mem(w);

    c->state.at.options |= HVCORE_AT_HARDWARE;
    return hvcore_at_walk(&c->frame, &c->sys, &c->event, &c->state, &mem);
}

static void check_need_at(uint32_t op, unsigned el, uint64_t hcr, uint32_t want)
{
    at_case c;
    at_world w;
    hvcore_result r;

    regime_world(&c, &w);
    c.state.at.walk.features |= HVCORE_ARM64_FEAT_NV1;
    c.sys.hcr_el2 = hcr;
    at_begin(&c, op, 0x1678, true, el);
    r = ask(&c, &w);
    CU_ASSERT(w.reads == 0 || want == UINT32_MAX);
    CU_ASSERT_EQUAL(r.kind, want == UINT32_MAX ? HVCORE_RESULT_DONE : HVCORE_RESULT_NEED_AT);
    CU_ASSERT(want == UINT32_MAX || (r.arg == (want | HVCORE_AT_NEED_PAN) && r.addr == 0x1678));
}

/* Specs 5.1; what it cannot express is walked at once. */
static void test_need_at(void)
{
    const uint32_t live = HVCORE_AT_CONTEXT_LIVE << 8, el1 = HVCORE_AT_CONTEXT_EL1 << 8;
    const uint32_t nv1 = HVCORE_AT_CONTEXT_NV1 << 8, no = UINT32_MAX;
    static const uint32_t as_el1[] = {HVCORE_AT_S1E1R, HVCORE_AT_S1E1W, HVCORE_AT_S1E1A};

    for (uint32_t op = HVCORE_AT_S1E1R; op <= HVCORE_AT_S1E1A; op++) {
        check_need_at(op, 2, 0, op | el1);
        check_need_at(op, 2, HCR_E2H | HCR_VM, op | el1);
        check_need_at(op, 2, HCR_NV, op | el1);
        check_need_at(op, 2, HCR_E2H | HCR_TGE, op | live);
        check_need_at(op, 1, 0, op | live);
        check_need_at(op, 2, HCR_TGE, no);
        check_need_at(op, 2, HCR_DC, no);
        check_need_at(op, 2, HCR_NV | HCR_NV1, no);
    }
    for (uint32_t i = 0; i < 3; i++) {
        check_need_at(HVCORE_AT_S1E2R + i, 2, HCR_E2H, as_el1[i] | live);
        check_need_at(HVCORE_AT_S1E2R + i, 2, 0, as_el1[i] | nv1);
        check_need_at(HVCORE_AT_S1E2R + i, 2, HCR_TGE | HCR_DC, as_el1[i] | nv1);
    }
    for (uint32_t op = HVCORE_AT_S12E1R; op < HVCORE_AT_OPS; op++) {
        check_need_at(op, 2, 0, no);
        check_need_at(op, 2, HCR_VM, no);
    }
}

/* Specs 5.2, row by row. `gets`: what the guest reads; 0: software walks, to 0xff...1_0000_1980. */
static const struct hardware_par {
    uint64_t low, high, gets, gets_high;
    uint32_t features;
} hardware_pars[] = {
    {UINT64_C(0xff00123456789b80), 0, UINT64_C(0xff00123456789980), 0, 0}, /* NS goes */
    {UINT64_C(0xff00123456789f80), 0, UINT64_C(0xff00123456789980), 0, 0}, /* bit 10 goes */
    {UINT64_C(0x4400123456789100), 0, UINT64_C(0x4400123456789900), 0, 0}, /* RES1 comes */
    {UINT64_C(0x00000000000009fe), 0, UINT64_C(0x0000000000000980), 0, 0}, /* RES0 goes */
    {UINT64_C(0xff01123456789980), 0, 0, 0, 0},                            /* beyond PARange */
    {UINT64_C(0xff00000000000980), 1, 0, 0, 0},                            /* no FEAT_D128 */
    {UINT64_C(0xff7fffffffffff80) & ~UINT64_C(0x600), UINT64_C(0xfff0123456789fff), 0, 0,
     HVCORE_ARM64_FEAT_D128}, /* beyond PARange */
    {UINT64_C(0xff7fffffffffff80), UINT64_C(0xff00123456789fff), UINT64_C(0xff00000000000980),
     UINT64_C(0x0000123456789001), HVCORE_ARM64_FEAT_D128},
    {0x811 | 4 << 1, 0, 0x819, 0, 0}, /* Permission */
    {UINT64_C(0xffff000000000000) | 0x1f | 1 << 10 | 1 << 7, 0, 0x81f, 0, 0},
    {0x811 | 2 << 1, 0, 0x815, 0, 0}, /* Access flag */
    {0x81f | 0xf000, 0, 0x81f, 0, 0}, /* reasons */
    {0x81f | 0xf000, 0, 0x81f | 1 << 14, 0, HVCORE_ARM64_FEAT_S1POE},
    {0x81f | 0xf000, 0, 0x81f | 1 << 15, 0, HVCORE_ARM64_FEAT_S1PIE},
    {0x801, 0, 0, 0, 0},
    {0x807, 0, 0, 0, 0}, /* Address size */
    {0x809, 0, 0, 0, 0},
    {0x80f, 0, 0, 0, 0}, /* Translation */
    {0x853, 0, 0, 0, 0},
    {0x857, 0, 0, 0, 0},
    {0x861, 0, 0, 0, 0},
    {0x829, 0, 0, 0, 0},
    {0xa1f, 0, 0, 0, 0},
    {0xb1f, 0, 0, 0, 0},
    {0xb15, 0, 0, 0, 0},
    {0x91f, 0, 0, 0, 0},
    {0xb0b, 0, 0, 0, 0},
};

static void test_believed(void)
{
    for (size_t i = 0; i < AT_COUNT(hardware_pars); i++) {
        const struct hardware_par *p = &hardware_pars[i];
        at_case c;
        at_world w;

        regime_world(&c, &w);
        c.state.at.walk.features |= p->features;
        at_begin(&c, HVCORE_AT_S1E1R, 0x1678, false, 2);
        CU_ASSERT_EQUAL(ask(&c, &w).kind, HVCORE_RESULT_NEED_AT);
        c.state.at.answer = HVCORE_AT_ANSWER_PAR;
        c.state.at.answer_par[0] = p->low;
        c.state.at.answer_par[1] = p->high;
        CU_ASSERT_EQUAL(ask(&c, &w).kind, HVCORE_RESULT_DONE);
        CU_ASSERT_EQUAL(c.sys.par_el1, p->gets ? p->gets : UINT64_C(0xff00000100001980));
        CU_ASSERT_EQUAL(c.state.at.par_high, p->gets_high);
        CU_ASSERT_EQUAL(c.state.at.count[HVCORE_AT_COUNT_HARDWARE], p->gets != 0);
        CU_ASSERT_EQUAL(c.state.at.count[HVCORE_AT_COUNT_DOUBTED], p->gets == 0);
        CU_ASSERT(c.frame.pc == c.event.pc + 4 && c.state.at.answer == 0);
    }
}

/* Asked once; whatever else comes back is no answer. */
static void test_unanswered(void)
{
    for (uint32_t answer = 0; answer < 9; answer++) {
        at_case c;
        at_world w;

        if (answer == HVCORE_AT_ANSWER_PAR) {
            continue;
        }
        regime_world(&c, &w);
        at_begin(&c, HVCORE_AT_S1E1R, 0x1678, false, 2);
        c.state.at.answer_par[0] = 0x81f;
        c.state.at.answer = HVCORE_AT_ANSWER_PAR; /* nobody has asked yet: it is of another time */
        CU_ASSERT_EQUAL(ask(&c, &w).kind, HVCORE_RESULT_NEED_AT);
        c.state.at.answer = answer;
        CU_ASSERT_EQUAL(ask(&c, &w).kind, HVCORE_RESULT_DONE);
        CU_ASSERT_EQUAL(c.sys.par_el1, UINT64_C(0xff00000100001980));
    }
}

/* An answer for one instruction is none for another. */
static void test_stale(void)
{
    for (unsigned what = 0; what < 3; what++) {
        at_case c;
        at_world w;

        regime_world(&c, &w);
        at_begin(&c, HVCORE_AT_S1E1R, 0x1678, false, 2);
        CU_ASSERT_EQUAL(ask(&c, &w).kind, HVCORE_RESULT_NEED_AT);
        c.state.at.answer = HVCORE_AT_ANSWER_PAR;
        c.state.at.answer_par[0] = 0x81f;
        c.frame.pc = c.event.pc += what == 0 ? 4 : 0;
        c.frame.x[5] += what == 1 ? 4096 : 0;
        c.event.syndrome ^= what == 2 ? 1u << 17 : 0; /* S1E1W */
        CU_ASSERT_EQUAL(ask(&c, &w).kind, HVCORE_RESULT_NEED_AT);
        CU_ASSERT_EQUAL(c.state.at.answer, HVCORE_AT_ANSWER_NONE);
    }
}

/* Every vector that the hardware is asked for ends as without it where the hardware only fails. */
static void check_useless_hardware(const at_vector *v)
{
    at_case a = v->start, b = v->start;
    at_world w = v->world, x = v->world;
    at_served served;
    hvcore_result r = at_run(&a, &w, &served), s;

    b.state.at.options |= HVCORE_AT_HARDWARE;
    s = at_run(&b, &x, &served);
    if (s.kind == HVCORE_RESULT_NEED_AT) {
        b.state.at.answer = HVCORE_AT_ANSWER_PAR;
        b.state.at.answer_par[0] = 0xb0f; /* host's stage 2 */
        s = at_run(&b, &x, &served);
    }
    CU_ASSERT(r.kind == s.kind && r.arg == s.arg && r.addr == s.addr);
    CU_ASSERT_EQUAL(memcmp(&a.sys, &b.sys, sizeof a.sys), 0);
}

static void test_useless_hardware(void)
{
    at_vectors_each(check_useless_hardware);
}

/* ---- PAR_EL1 ---- */

static void test_par(void)
{
    hvcore_arm64_walk_options o = {0, 0, 52, 0};
    hvcore_arm64_walk_result r = {.pa = UINT64_C(0xabcdef0123456789), .attr = 0x4f, .sh = 3};
    uint64_t par[2];

    hvcore_at_par(&o, &r, 0, par);
    CU_ASSERT(par[0] == UINT64_C(0x4fcdef0123456980) && par[1] == 0);
    hvcore_at_par(&o, &r, 1, par);
    CU_ASSERT(par[0] == UINT64_C(0x4f00000000000980) && par[1] == UINT64_C(0x00cdef0123456001));
    o.choices = HVCORE_ARM64_CHOICE_PAR_NS;
    hvcore_at_par(&o, &r, 0, par);
    CU_ASSERT_EQUAL(par[0], UINT64_C(0x4fcdef0123456b80));
    r.fault = HVCORE_ARM64_FAULT_PERMISSION;
    r.fsc = 0x0e;
    r.stage = 1;
    r.notes = HVCORE_ARM64_NOTE_OVERLAY | HVCORE_ARM64_NOTE_WRITE;
    hvcore_at_par(&o, &r, 1, par);
    CU_ASSERT(par[0] == (0x81d | 1 << 14) && par[1] == 0);
    r.stage = 2;
    r.notes = HVCORE_ARM64_NOTE_S1PTW | HVCORE_ARM64_NOTE_DIRTY;
    hvcore_at_par(&o, &r, 0, par);
    CU_ASSERT_EQUAL(par[0], 0xb1d | 1 << 15);
}

/* ---- registers ---- */

/* Only what was asked for is there, everything else is poison. */
static void check_registers(const at_vector *v)
{
    at_case all = v->start, c = v->start;
    at_world w = v->world, x = v->world;
    at_served served;
    hvcore_result r = at_run(&all, &w, &served), s;
    unsigned rounds = 0;

    memset(&c.sys.sctlr_el1, 0x5a, HVCORE_ARM64_SYS_COUNT * sizeof(uint64_t));
    c.sys.have = 0;
    while ((s = at_run(&c, &x, &served)).kind == HVCORE_RESULT_NEED_REGS && rounds++ < 4) {
        CU_ASSERT(s.addr && !(s.addr & c.sys.have) && c.sys.dirty == 0);
        for (uint32_t i = 0; i < HVCORE_ARM64_SYS_COUNT; i++) {
            if (s.addr >> i & 1) {
                (&c.sys.sctlr_el1)[i] = (&v->start.sys.sctlr_el1)[i];
            }
        }
        c.sys.have |= s.addr;
    }
    CU_ASSERT(rounds <= 2 && r.kind == s.kind && r.arg == s.arg && r.addr == s.addr);
    CU_ASSERT(r.kind != HVCORE_RESULT_DONE || all.sys.par_el1 == c.sys.par_el1);
}

static void test_registers(void)
{
    at_case c;
    at_world w;
    at_served served;

    at_vectors_each(check_registers);
    regime_world(&c, &w); /* at EL1 the traps of the guest hypervisor count */
    at_begin(&c, HVCORE_AT_S1E1R, 0, false, 1);
    c.sys.have = 0;
    CU_ASSERT_EQUAL(at_run(&c, &w, &served).addr,
                    AT_BIT(HVCORE_ARM64_SYS_hcr_el2) | AT_BIT(HVCORE_ARM64_SYS_hfgitr_el2));
    c.state.at.features &= ~(uint32_t)HVCORE_AT_FEAT_FGT;
    CU_ASSERT_EQUAL(at_run(&c, &w, &served).addr, AT_BIT(HVCORE_ARM64_SYS_hcr_el2));
    c.event.mode = HVCORE_ARM64_EL0;
    CU_ASSERT_EQUAL(at_run(&c, &w, &served).kind, HVCORE_RESULT_INJECT);
}

/* ---- what makes no sense ---- */

static void check_exit(at_case *c, at_world *w, uint32_t why, uint64_t detail)
{
    at_case before = *c;
    at_served served;
    hvcore_result r = at_run(c, w, &served);

    CU_ASSERT(r.kind == HVCORE_RESULT_EXIT && r.arg == why && r.addr == detail);
    CU_ASSERT_EQUAL(memcmp(&before.frame, &c->frame, sizeof c->frame), 0);
    CU_ASSERT_EQUAL(memcmp(&before.sys, &c->sys, sizeof c->sys), 0);
    CU_ASSERT_EQUAL(w->swaps, 0);
    *c = before;
}

static void test_exits(void)
{
    at_case good, c;
    at_world w;

    regime_world(&good, &w);
    at_begin(&good, HVCORE_AT_S1E1R, 0, false, 2);
    c = good;
    c.event.have &= ~(uint32_t)HVCORE_HAVE_SYNDROME;
    check_exit(&c, &w, HVCORE_AT_NO_SYNDROME, 0);
    c = good;
    c.event.have &= ~(uint32_t)HVCORE_HAVE_MODE;
    check_exit(&c, &w, HVCORE_AT_NO_SYNDROME, 0);
    for (uint32_t mode = 4; mode; mode <<= 1) {
        c = good;
        c.event.mode = mode;
        check_exit(&c, &w, HVCORE_AT_NO_SYNDROME, 0);
    }
    c = good;
    c.event.syndrome ^= 1; /* a read */
    check_exit(&c, &w, HVCORE_AT_NOT_AT, 0);
    c.event.syndrome = 0x62000000 | 0x11dc10 | 1 << 14 | 1 << 15; /* op1 = 7 */
    check_exit(&c, &w, HVCORE_AT_NOT_AT, 0);
    c = good;
    c.event.pc += 4;
    check_exit(&c, &w, HVCORE_AT_BAD_PC, 0);
    c.event.have &= ~(uint32_t)HVCORE_HAVE_PC;
    CU_ASSERT_EQUAL(at_run(&c, &w, &(at_served){0}).kind, HVCORE_RESULT_DONE);
    c = good;
    c.state.at.walk.features &= ~(uint32_t)HVCORE_ARM64_FEAT_EL2;
    check_exit(&c, &w, HVCORE_AT_OPTIONS, 0);
    c = good;
    c.state.at.walk.pa_bits = 0;
    check_exit(&c, &w, HVCORE_AT_OPTIONS, HVCORE_ARM64_REFUSED_OPTIONS);
    c = good;
    c.state.at.walk.features |= HVCORE_ARM64_FEAT_D128 | HVCORE_ARM64_FEAT_TCR2;
    c.sys.tcr2_el1 = 1 << 5;
    c.sys.hcrx_el2 = 1 << 14;
    check_exit(&c, &w, HVCORE_AT_D128, 0);
}

/* Without memory: the same up to the walk. */
static void test_without_memory(void)
{
    at_case c;
    at_world w;
    hvcore_result r;

    regime_world(&c, &w);
    at_begin(&c, HVCORE_AT_S1E1R, 0x1678, false, 2);
    r = hvcore_at(&c.frame, &c.sys, &c.event, &c.state);
    CU_ASSERT(r.kind == HVCORE_RESULT_EXIT && r.arg == HVCORE_AT_WALK);
    CU_ASSERT(c.frame.pc == c.event.pc && c.sys.dirty == 0);
    CU_ASSERT_EQUAL(ask(&c, &w).kind, HVCORE_RESULT_DONE); /* goes on where it was */
    regime_world(&c, &w);
    at_begin(&c, HVCORE_AT_S1E1R, 0x1678, false, 2);
    c.state.at.options = HVCORE_AT_HARDWARE;
    CU_ASSERT_EQUAL(hvcore_at(&c.frame, &c.sys, &c.event, &c.state).kind, HVCORE_RESULT_NEED_AT);
    c.state.at.answer = HVCORE_AT_ANSWER_PAR;
    c.state.at.answer_par[0] = UINT64_C(0xff00000012345980);
    CU_ASSERT_EQUAL(hvcore_at(&c.frame, &c.sys, &c.event, &c.state).kind, HVCORE_RESULT_DONE);
    CU_ASSERT_EQUAL(c.sys.par_el1, UINT64_C(0xff00000012345980));
}

/* Whoever steps the guest sees the next instruction before it executes. */
static void test_stepped(void)
{
    at_case c;
    at_world w;
    at_served served;

    regime_world(&c, &w);
    at_begin(&c, HVCORE_AT_S1E1R, 0, false, 2);
    c.frame.spsr |= AT_BIT(21); /* SS */
    CU_ASSERT_EQUAL(hvcore_step_own(&c.state.step, HVCORE_STEP_OWNER_HOST).kind,
                    HVCORE_RESULT_DONE);
    CU_ASSERT_EQUAL(at_run(&c, &w, &served).kind, HVCORE_RESULT_DONE);
    CU_ASSERT_EQUAL(hvcore_step_phase(&c.frame, &c.sys, &c.state.step, HVCORE_STEP_OWNER_HOST),
                    HVCORE_STEP_PENDING);
}

/* Anything as registers, state and event: a named answer, and an end. */
static void test_garbage(void)
{
    uint64_t seed = 5, kinds = 0;

    for (unsigned n = 0; n < 200000; n++) {
        at_case c, before;
        static at_world w;
        at_served served;
        hvcore_result r;

        for (size_t i = 0; i < sizeof c / 8; i++) {
            uint64_t word = hvc_random(&seed) & (hvc_random(&seed) | (n & 1 ? UINT64_MAX : 0));
            memcpy((char *)&c + 8 * i, &word, sizeof word);
        }
        c.event.have |= n & 2 ? HVCORE_HAVE_SYNDROME | HVCORE_HAVE_MODE : 0;
        c.event.have &= n & 8 ? UINT32_MAX : ~(uint32_t)HVCORE_HAVE_PC;
        c.event.mode &= n & 4 ? 3 : UINT32_MAX;
        c.event.syndrome =
            n & 2 ? UINT64_C(0x62000000) | at_iss(n % 14) | (n & 0x3e0) : c.event.syndrome;
        c.state.at.walk.pa_bits = n & 16 ? 48 : c.state.at.walk.pa_bits;
        c.state.at.walk.reserved_sh &= n & 16 ? 3 : UINT32_MAX;
        c.sys.have = n & 32 ? UINT64_MAX : c.sys.have;
        before = c;
        w.words = w.writes = w.swaps = 0;
        r = at_run(&c, &w, &served);
        kinds |= AT_BIT(r.kind);
        CU_ASSERT_FATAL(r.kind < HVCORE_RESULT_KINDS && served.holds <= 2);
        if (r.kind != HVCORE_RESULT_DONE) {
            CU_ASSERT_FATAL(memcmp(&before.frame, &c.frame, sizeof c.frame) == 0);
            CU_ASSERT_FATAL(memcmp(&before.sys, &c.sys, sizeof c.sys) == 0);
        }
    }
    CU_ASSERT_EQUAL(kinds, AT_BIT(HVCORE_RESULT_DONE) | AT_BIT(HVCORE_RESULT_NEED_REGS) |
                               AT_BIT(HVCORE_RESULT_NEED_AT) | AT_BIT(HVCORE_RESULT_INJECT) |
                               AT_BIT(HVCORE_RESULT_EXIT));
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"the vectors", test_vectors},
        {"the choices of the vectors", test_vectors_choices},
        {"decoding", test_decode},
        {"who gets the trap", test_fates},
        {"hidden features", test_hidden},
        {"regimes", test_regimes},
        {"the upper range of EL2", test_upper_of_el2},
        {"external aborts", test_aborts},
        {"Rt", test_rt},
        {"PSTATE.PAN", test_pan},
        {"asking the hardware", test_need_at},
        {"believing the hardware", test_believed},
        {"no answer", test_unanswered},
        {"an old answer", test_stale},
        {"hardware that only fails", test_useless_hardware},
        {"PAR_EL1", test_par},
        {"registers needed", test_registers},
        {"exits", test_exits},
        {"without memory", test_without_memory},
        {"stepped", test_stepped},
        {"garbage", test_garbage},
        {NULL, NULL},
    };

    return hvc_unit_main("at", tests);
}
