/* SPDX-License-Identifier: Apache-2.0 */
/* The arm64 walker's entries: what a walk needs, how it begins, and all the ways in which it
 * ends. */
#include "lib/walk/arm64_hot.h"

#define SET(name) ARM64_BIT(HVCORE_ARM64_SYS_##name)

/* ---- ends ---- */

/* FST and DFSC (specs 2.2): of levels 0 to 3 a base, of level -1 a number of its own. */
static uint32_t fsc(uint32_t fault, int32_t level)
{
    static const uint8_t base[6] = {0, 0x00, 0x04, 0x08, 0x0c, 0x14};
    static const uint8_t below[6] = {0, 0x29, 0x2b, 0, 0, 0x13};

    return level < 0 ? below[fault] : base[fault] | (uint32_t)level;
}

/* A walk that found nothing. `notes`, `reads` and `read` have grown with it and stay. */
static void end(hvcore_arm64_walk_result *out, uint32_t kind)
{
    out->kind = kind;
    out->fault = HVCORE_ARM64_FAULT_NONE;
    out->stage = 0;
    out->level = 0;
    out->fsc = 0;
    out->ipa = 0;
    out->pa = 0;
    out->size = 0;
    out->prot = 0;
    out->attr = 0;
    out->sh = 0;
    out->gpa = 0;
}

static uint32_t kind_of(const struct hvc_arm64_walk *w, uint32_t fault, uint32_t notes)
{
    if (fault == HVCORE_ARM64_FAULT_EXTERNAL) {
        return HVCORE_ARM64_WALK_EXCEPTION;
    }
    if (notes & HVCORE_ARM64_NOTE_S1PTW && w->access & HVCORE_ARM64_ACCESS_AT_EL1) {
        return HVCORE_ARM64_WALK_ABORT;
    }
    return HVCORE_ARM64_WALK_DONE;
}

HVC_ARM64_COLD bool hvc_arm64_fault(struct hvc_arm64_walk *w, const struct hvc_arm64_cursor *c,
                                    uint32_t fault, int32_t level, uint32_t notes)
{
    hvcore_arm64_walk_result *out = w->out;

    notes |= c->notes;
    end(out, kind_of(w, fault, notes));
    out->fault = fault;
    out->stage = c->stage;
    out->level = level;
    out->fsc = fsc(fault, level);
    out->notes |= notes;
    out->ipa = c->stage == 2 ? c->addr : 0;
    return false;
}

HVC_ARM64_COLD bool hvc_arm64_no_access(struct hvc_arm64_walk *w, const struct hvc_arm64_cursor *c,
                                        uint64_t gpa, int32_t level, int status, uint32_t notes)
{
    hvcore_arm64_walk_result *out = w->out;

    if (status == HVCORE_ARM64_MEM_NOT_RESIDENT) {
        end(out, HVCORE_ARM64_WALK_NEED_PAGE);
        out->gpa = gpa;
        out->notes |= notes;
        return false;
    }
    if (status == HVCORE_ARM64_MEM_CHANGED && notes) {
        end(out, HVCORE_ARM64_WALK_RESTART);
        return false;
    }
    return hvc_arm64_fault(w, c, HVCORE_ARM64_FAULT_EXTERNAL, level, notes);
}

static HVC_ARM64_COLD void refuse(hvcore_arm64_walk_result *out, uint32_t why)
{
    end(out, HVCORE_ARM64_WALK_REFUSED);
    out->fault = why;
    out->notes = 0;
    out->reads = 0;
}

HVC_ARM64_COLD bool hvc_arm64_update(struct hvc_arm64_walk *w, const struct hvc_arm64_stage *s,
                                     struct hvc_arm64_cursor *c, uint64_t desc)
{
    uint64_t old = s->ee ? hvc_arm64_swap(c->desc) : c->desc;
    uint64_t raw = s->ee ? hvc_arm64_swap(desc) : desc;
    int status = HVCORE_ARM64_MEM_NO_MEMORY;

    w->out->notes |= HVCORE_ARM64_NOTE_UPDATE;
    if (w->access & HVCORE_ARM64_ACCESS_NO_UPDATE) {
        return true;
    }
    if (w->mem->cas64) {
        status = w->mem->cas64(w->mem->user, c->at, old, raw);
    }
    if (status != HVCORE_ARM64_MEM_OK) {
        return hvc_arm64_no_access(w, c, c->at, c->level, status, HVCORE_ARM64_NOTE_WRITE);
    }
    c->desc = desc;
    w->out->read[c->index].raw = raw;
    return true;
}

/* ---- beginnings ---- */

#define S1_GRANULES \
    (HVCORE_ARM64_FEAT_TGRAN4 | HVCORE_ARM64_FEAT_TGRAN16 | HVCORE_ARM64_FEAT_TGRAN64)
#define S2_GRANULES \
    (HVCORE_ARM64_FEAT_S2_TGRAN4 | HVCORE_ARM64_FEAT_S2_TGRAN16 | HVCORE_ARM64_FEAT_S2_TGRAN64)

/* HCR_EL2 as far as there is an EL2. */
static inline uint64_t hcr_of(const hvcore_arm64_walk_options *o, const hvcore_arm64_sys *sys)
{
    return o->features & HVCORE_ARM64_FEAT_EL2 ? sys->hcr_el2 : 0;
}

static inline bool has_stage_2(uint32_t regime, uint64_t hcr)
{
    return regime == HVCORE_ARM64_REGIME_EL10 && hcr & (HCR_VM | HCR_DC);
}

/* Descriptors of 128 bits, which the guest has and this walker has not. */
static HVC_ARM64_COLD bool is_d128(const struct hvc_arm64_walk *w)
{
    if (w->two && w->sys->vtcr_el2 & VTCR_D128) {
        return true;
    }
    return w->regime != HVCORE_ARM64_REGIME_EL2 && hvc_arm64_tcr2(w) & TCR2_D128;
}

/* What contradicts itself. */
static inline uint32_t contradiction(const struct hvc_arm64_walk *w)
{
    const hvcore_arm64_walk_options *o = w->opt;

    if (o->pa_bits - 32 > 56 - 32 || o->reserved_sh > SH_INNER || !(o->features & S1_GRANULES) ||
        (w->two && !(o->features & S2_GRANULES))) {
        return HVCORE_ARM64_REFUSED_OPTIONS;
    }
    if (w->regime > HVCORE_ARM64_REGIME_EL20 ||
        (w->regime != HVCORE_ARM64_REGIME_EL10 && !(o->features & HVCORE_ARM64_FEAT_EL2))) {
        return HVCORE_ARM64_REFUSED_REGIME;
    }
    return o->features & HVCORE_ARM64_FEAT_D128 && is_d128(w) ? HVCORE_ARM64_REFUSED_D128 : 0;
}

uint32_t hvc_arm64_prepare(struct hvc_arm64_walk *w, const hvcore_arm64_walk_options *options,
                           const hvcore_arm64_sys *sys, uint32_t regime, bool upper)
{
    uint32_t why;

    w->opt = options;
    w->sys = sys;
    w->hcr = hcr_of(options, sys);
    w->regime = regime;
    w->upper = upper;
    w->two = has_stage_2(regime, w->hcr);
    why = contradiction(w);
    if (why) {
        return why;
    }
    hvc_arm64_s1_params(w);
    if (w->two) {
        hvc_arm64_s2_params(w);
    }
    return 0;
}

HVC_ARM64_COLD void hvc_arm64_general(const hvcore_arm64_walk_options *options,
                                      const hvcore_arm64_sys *sys, const hvcore_arm64_walk_mem *mem,
                                      const hvcore_arm64_walk_request *request,
                                      hvcore_arm64_walk_result *out)
{
    struct hvc_arm64_walk w;
    uint32_t why = hvc_arm64_prepare(&w, options, sys, request->regime, request->va >> 55 & 1);

    if (why) {
        refuse(out, why);
        return;
    }
    hvc_arm64_s1_walk(&w, mem, request, out);
}

HVC_ARM64_COLD void hvc_arm64_resume(const hvcore_arm64_walk_options *options,
                                     const hvcore_arm64_sys *sys, const hvcore_arm64_walk_mem *mem,
                                     const hvcore_arm64_walk_request *request,
                                     hvcore_arm64_walk_result *out, uint64_t tables, int32_t level,
                                     int status)
{
    struct hvc_arm64_walk w;
    struct hvc_arm64_cursor c = {.addr = request->va, .tables = tables, .level = level, .stage = 1};

    hvc_arm64_prepare(&w, options, sys, request->regime, request->va >> 55 & 1);
    c.index = out->reads - 1;
    c.at = out->read[c.index].gpa;
    c.desc = out->read[c.index].raw;
    c.lsb = w.s1.t.shift + (uint32_t)(3 - level) * w.s1.t.stride;
    out->reads -= status != HVCORE_ARM64_MEM_OK;
    hvc_arm64_s1_rest(&w, mem, request, out, &c, status);
}

void hvcore_arm64_walk(const hvcore_arm64_walk_options *options, const hvcore_arm64_sys *sys,
                       const hvcore_arm64_walk_mem *mem, const hvcore_arm64_walk_request *request,
                       hvcore_arm64_walk_result *out)
{
    hvc_arm64_walk_with(options, sys, mem, request, out, mem->read64);
}

void hvcore_arm64_walk_s2(const hvcore_arm64_walk_options *options, const hvcore_arm64_sys *sys,
                          const hvcore_arm64_walk_mem *mem, uint64_t ipa, uint32_t access,
                          hvcore_arm64_walk_result *out)
{
    const uint32_t keep = HVCORE_ARM64_ACCESS_WRITE | HVCORE_ARM64_ACCESS_NO_UPDATE;
    struct hvc_arm64_memtype m;
    struct hvc_arm64_found all = {ipa, UINT64_MAX, HVCORE_PROT_R | HVCORE_PROT_W, 0};
    hvcore_arm64_sys on = *sys;
    struct hvc_arm64_walk w;
    uint32_t why;

    on.hcr_el2 |= HCR_VM;
    on.tcr2_el1 = 0; /* no stage 1, no descriptors of its */
    why = hvc_arm64_prepare(&w, options, &on, HVCORE_ARM64_REGIME_EL10, false);
    if (why || !w.two) {
        refuse(out, why ? why : (uint32_t)HVCORE_ARM64_REFUSED_REGIME);
        return;
    }
    w.mem = mem;
    w.out = out;
    w.access = access & keep;
    out->notes = 0;
    out->reads = 0;
    hvc_arm64_normal(&m, MEMTYPE_WB, SH_NONE, false);
    hvc_arm64_final(&w, &all, &m);
}

/* ---- what a walk reads ---- */

/* By regime: always; with TCR2, AIE, PIE, POE. */
static const struct regs {
    uint64_t always, tcr2, aie, pie, poe;
} REGS[3] = {
    {SET(sctlr_el1) | SET(tcr_el1) | SET(ttbr0_el1) | SET(ttbr1_el1) | SET(mair_el1), SET(tcr2_el1),
     SET(mair2_el1), SET(pir_el1) | SET(pire0_el1), SET(por_el1) | SET(por_el0)},
    {SET(sctlr_el2) | SET(tcr_el2) | SET(ttbr0_el2) | SET(mair_el2), SET(tcr2_el2), SET(mair2_el2),
     SET(pir_el2), SET(por_el2)},
    {SET(sctlr_el2) | SET(tcr_el2) | SET(ttbr0_el2) | SET(ttbr1_el2) | SET(mair_el2), SET(tcr2_el2),
     SET(mair2_el2), SET(pir_el2) | SET(pire0_el2), SET(por_el2) | SET(por_el0)},
};

static uint64_t stage_1_regs(uint32_t f, uint32_t regime)
{
    const struct regs *r = &REGS[regime];
    uint64_t set = r->always;

    if (!(f & HVCORE_ARM64_FEAT_TCR2)) {
        return set;
    }
    set |= r->tcr2;
    set |= f & HVCORE_ARM64_FEAT_AIE ? r->aie : 0;
    set |= f & HVCORE_ARM64_FEAT_S1PIE ? r->pie : 0;
    set |= f & HVCORE_ARM64_FEAT_S1POE ? r->poe : 0;
    if (f & HVCORE_ARM64_FEAT_EL2 && regime == HVCORE_ARM64_REGIME_EL10) {
        set |= SET(hcrx_el2);
    }
    return set;
}

static uint64_t stage_2_regs(uint32_t f)
{
    uint64_t set = SET(vtcr_el2) | SET(vttbr_el2) | SET(sctlr_el2);

    return f & HVCORE_ARM64_FEAT_S2PIE ? set | SET(s2pir_el2) : set;
}

uint64_t hvcore_arm64_walk_needs(const hvcore_arm64_walk_options *options,
                                 const hvcore_arm64_sys *sys,
                                 const hvcore_arm64_walk_request *request)
{
    bool el2 = options->features & HVCORE_ARM64_FEAT_EL2;
    uint64_t set = 0;

    if (el2 && !(sys->have & SET(hcr_el2))) {
        return SET(hcr_el2);
    }
    if (request->regime <= HVCORE_ARM64_REGIME_EL20) {
        set = stage_1_regs(options->features, request->regime);
    }
    if (has_stage_2(request->regime, hcr_of(options, sys))) {
        set |= stage_2_regs(options->features);
    }
    return set & ~sys->have;
}

/* ---- once more ---- */

int hvcore_arm64_walk_revalidate(const hvcore_arm64_walk_result *result,
                                 const hvcore_arm64_walk_mem *mem, uint64_t *gpa)
{
    uint32_t reads = result->reads;

    /* The second pass reads after the first, in the other PEs' eyes too. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < reads && i < HVCORE_ARM64_WALK_READS; i++) {
        const hvcore_arm64_walk_read *r = &result->read[i];
        uint64_t now = 0;
        int status = mem->read64(mem->user, r->gpa, &now);

        if (status == HVCORE_ARM64_MEM_NOT_RESIDENT) {
            *gpa = r->gpa;
            return status;
        }
        if (status != HVCORE_ARM64_MEM_OK || now != r->raw) {
            return HVCORE_ARM64_MEM_CHANGED;
        }
    }
    return HVCORE_ARM64_MEM_OK;
}
