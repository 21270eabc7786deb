/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two-stage page-table walk of RISC-V (Priv. 12.3.2, the algorithm; 21.5, two stages).
 *
 * A cursor stands on one entry and can be asked again, which is what "return to step 2" after a
 * lost compare-and-swap needs and what keeps the work bounded: the level only falls, and only a
 * retry (of which a walk has RETRIES) reads an entry twice.
 */
#include "riscv64_stage.h"

/* Pseudo-instructions of an implicit access when VSXLEN is 64 (Priv. 21.6.3). */
#define HTINST_NONE 0x0u
#define HTINST_READ 0x3000u
#define HTINST_WRITE 0x3020u

#define RETRIES 16u

/* Page-table reads and writes are data accesses: MXR does not help them (Priv. 21.5.1). */
static const struct need IMPLICIT_READ = {.allow = SET_R, .mark = PTE_A};
static const struct need IMPLICIT_WRITE = {.allow = SET_W, .mark = PTE_A | PTE_D};

/* A cursor of the VS-stage. Finding an entry there takes a G-stage walk; `g` stands on its leaf. */
struct vs_cursor {
    struct cursor c;
    struct cursor g;
    uint64_t global; /* the pointers so far, or-ed; PTE_G of it counts */
};

struct walk {
    const hvcore_riscv64_walk_mem *mem;
    hvcore_riscv64_walk_result *out;
    const struct rule *rule;
    uint32_t access;
    uint32_t reads;
    uint32_t retries; /* left */
    bool dry;         /* write nothing */
    uint64_t unset;   /* A and D bits that a dry walk should have set */
    struct stage vs, g;
};

/* ---- faults ---- */

static COLD bool raise_cause(struct walk *w, uint32_t cause, uint64_t htval, uint64_t htinst)
{
    *w->out = (hvcore_riscv64_walk_result){
        .fault = 1, .cause = cause, .htval = htval, .htinst = htinst, .reads = w->reads};
    return false;
}

/* A fault of the G-stage; the cause follows the original access (Priv. 21.5.2). */
static bool g_raise(struct walk *w, enum step why, uint64_t gpa, uint64_t htinst)
{
    if (why == STEP_ACCESS)
        return raise_cause(w, w->rule->access, 0, 0);
    return raise_cause(w, w->rule->guest, gpa >> 2, htinst);
}

static bool vs_raise(struct walk *w, enum step why)
{
    if (why == STEP_RAISED)
        return false;
    return raise_cause(w, why == STEP_ACCESS ? w->rule->access : w->rule->page, 0, 0);
}

/* ---- one entry ---- */

/* Step 2: the entry under the cursor, judged. */
static enum step look(struct walk *w, const struct stage *s, struct cursor *c)
{
    if (w->mem->read64(w->mem->user, c->at, &c->pte) != 0)
        return STEP_ACCESS;
    w->reads++;
    return classify(s, c->pte, c->level);
}

/*
 * Step 9: the bits go in with one compare-and-swap of the whole entry. When the retries are used
 * up, the guest gets the fault that it would get if nobody had updated the entry.
 */
static COLD enum step swap(struct walk *w, struct cursor *c, uint64_t missing)
{
    uint64_t desired = c->pte | missing;
    int r = w->mem->cas64 ? w->mem->cas64(w->mem->user, c->at, c->pte, desired) : 2;

    if (r == 0) {
        c->pte = desired;
        return STEP_LEAF;
    }
    if (r != 1)
        return STEP_ACCESS;
    if (w->retries == 0)
        return STEP_PAGE;
    w->retries--;
    return STEP_CHANGED;
}

/* ---- G-stage ---- */

/* From the entry under the cursor down to a leaf. */
static enum step g_descend(struct walk *w, struct cursor *c)
{
    uint32_t level = c->level; /* locals: this loop is most of the time of a walk */
    uint64_t addr = c->addr;
    uint64_t at = c->at;
    uint64_t pte;
    enum step s;

    for (;;) {
        if (w->mem->read64(w->mem->user, at, &pte) != 0)
            return STEP_ACCESS;
        w->reads++;
        s = classify(&w->g, pte, level);
        if (s != STEP_TABLE)
            break;
        level--;
        at = pte_output(pte) + entry_offset(addr, level);
    }
    c->level = level;
    c->at = at;
    c->pte = pte;
    return s;
}

static enum step g_mark(struct walk *w, struct cursor *c, uint64_t bits)
{
    uint64_t missing = bits & ~c->pte;

    if (!missing)
        return STEP_LEAF;
    if (!w->g.update)
        return STEP_PAGE;
    w->unset |= missing;
    return w->dry ? STEP_LEAF : swap(w, c, missing);
}

/* Permission, A and D for the leaf under the cursor; `s` is how the cursor got there. */
static COLD bool g_settle(struct walk *w, struct cursor *c, const struct need *need,
                          uint64_t htinst, enum step s)
{
    while (s == STEP_LEAF) {
        s = permit(&w->g, need, c->pte);
        if (s == STEP_LEAF)
            s = g_mark(w, c, need->mark);
        if (s != STEP_CHANGED)
            break;
        s = g_descend(w, c);
    }
    return s == STEP_LEAF || g_raise(w, s, c->addr, htinst);
}

/* The same, with the usual answer in front. */
static inline bool g_admit(struct walk *w, struct cursor *c, const struct need *need,
                           uint64_t htinst, enum step s)
{
    if (s == STEP_LEAF && !(need->mark & ~c->pte) && permit(&w->g, need, c->pte) == STEP_LEAF)
        return true;
    return g_settle(w, c, need, htinst, s);
}

/* Walks the G-stage for `gpa`; `c` ends on the leaf. */
static bool g_translate(struct walk *w, struct cursor *c, uint64_t gpa, const struct need *need,
                        uint64_t htinst)
{
    uint64_t index;

    c->addr = gpa;
    if (w->g.levels == MODE_BARE)
        return true;
    if (w->g.levels == MODE_RESERVED)
        return g_raise(w, STEP_PAGE, gpa, htinst);
    c->level = w->g.levels - 1;
    /* The root of an "x4" mode has four times the entries, and all GPA bits above are zero. */
    index = gpa >> (PAGE_SHIFT + LEVEL_BITS * c->level); /* Priv. 21.5.1 */
    if (index >> (LEVEL_BITS + 2))
        return g_raise(w, STEP_PAGE, gpa, htinst);
    c->at = w->g.root + index * 8;
    return g_admit(w, c, need, htinst, g_descend(w, c));
}

static uint64_t g_output(const struct walk *w, const struct cursor *c)
{
    return w->g.levels == MODE_BARE ? c->addr : leaf_output(c);
}

/* ---- VS-stage ---- */

/* Moves to the entry at a guest-physical address; false: the G-stage does not let us read it. */
static bool vs_enter(struct walk *w, struct vs_cursor *v, uint64_t gpa)
{
    if (!g_translate(w, &v->g, gpa, &IMPLICIT_READ, HTINST_READ))
        return false;
    v->c.at = g_output(w, &v->g);
    return true;
}

/*
 * Setting A or D writes the VS-stage entry, which asks W and D of the page that holds it. The leaf
 * of that page is still under v->g, so no second walk is needed. It may move if it lost a race.
 */
static bool vs_make_writable(struct walk *w, struct vs_cursor *v)
{
    if (w->g.levels == MODE_BARE)
        return true;
    if (!g_admit(w, &v->g, &IMPLICIT_WRITE, HTINST_WRITE, STEP_LEAF))
        return false;
    v->c.at = leaf_output(&v->g);
    return true;
}

static enum step vs_mark(struct walk *w, struct vs_cursor *v)
{
    uint64_t missing = w->vs.need.mark & ~v->c.pte;

    if (!missing)
        return STEP_LEAF;
    if (!w->vs.update)
        return STEP_PAGE;
    w->unset |= missing;
    if (!vs_make_writable(w, v))
        return STEP_RAISED;
    return w->dry ? STEP_LEAF : swap(w, &v->c, missing);
}

/* Bits above the virtual address must copy its top bit (Priv. 12.4.1). */
static bool canonical(uint64_t va, uint32_t levels)
{
    uint32_t shift = PAGE_SHIFT + LEVEL_BITS * levels - 1;
    uint64_t top = va >> shift;

    return top == 0 || top == UINT64_MAX >> shift;
}

static bool vs_descend(struct walk *w, struct vs_cursor *v)
{
    for (;;) {
        enum step s = look(w, &w->vs, &v->c);

        if (s == STEP_TABLE) {
            v->global |= v->c.pte;
            v->c.level--;
            if (!vs_enter(w, v, pte_output(v->c.pte) + entry_offset(v->c.addr, v->c.level)))
                return false;
            continue;
        }
        if (s == STEP_LEAF)
            s = permit(&w->vs, &w->vs.need, v->c.pte);
        if (s == STEP_LEAF)
            s = vs_mark(w, v);
        if (s == STEP_LEAF)
            return true;
        if (s != STEP_CHANGED)
            return vs_raise(w, s);
    }
}

/* Walks the VS-stage for `va`; v->c ends on the leaf. */
static bool vs_translate(struct walk *w, struct vs_cursor *v, uint64_t va)
{
    v->c.addr = va;
    v->global = 0;
    if (w->vs.levels == MODE_BARE)
        return true;
    if (w->vs.levels == MODE_RESERVED || !canonical(va, w->vs.levels))
        return vs_raise(w, STEP_PAGE);
    v->c.level = w->vs.levels - 1;
    return vs_enter(w, v, w->vs.root + entry_offset(va, v->c.level)) && vs_descend(w, v);
}

/* ---- the access ---- */

static void begin(struct walk *w, const hvcore_riscv64_walk_regs *regs,
                  const hvcore_riscv64_walk_mem *mem, uint32_t access,
                  hvcore_riscv64_walk_result *out)
{
    w->mem = mem;
    w->out = out;
    w->access = access & 3;
    w->rule = hvc_riscv64_rule(w->access);
    w->reads = 0;
    w->retries = RETRIES;
    w->unset = 0;
    w->dry = (regs->flags & HVCORE_RISCV64_WALK_NO_UPDATE) != 0;
    hvc_riscv64_stage_g(&w->g, regs, w->access);
}

/* The G-stage of the access itself, and the answer for an address without a VS-stage. */
static bool finish(struct walk *w, uint64_t gpa)
{
    bool bare = w->g.levels == MODE_BARE;
    struct cursor c;
    uint64_t pa;

    if (!g_translate(w, &c, gpa, &w->g.need, HTINST_NONE))
        return false;
    pa = g_output(w, &c);
    if (w->mem->check && w->mem->check(w->mem->user, pa, w->access) != 0)
        return raise_cause(w, w->rule->access, 0, 0);
    *w->out = (hvcore_riscv64_walk_result){
        .gpa = gpa,
        .pa = pa,
        .page = bare ? BARE_SIZE : leaf_size(&c),
        .prot = bare ? (uint32_t)HVCORE_PROT_RWX : leaf_prot(&w->g, c.pte),
        .pbmt = bare ? 0 : (uint32_t)((c.pte & PTE_PBMT) >> PTE_PBMT_SHIFT),
        .reads = w->reads,
        .vs_page = UINT64_C(1) << PAGE_SHIFT,
    };
    /* A dry walk that should have set A somewhere on the way leaves nothing to remember. */
    if (w->dry && (w->unset & PTE_A))
        w->out->prot = 0;
    return true;
}

/* Adds what the VS-stage leaf says to the answer of finish(). */
static void combine(const struct walk *w, const struct vs_cursor *v)
{
    hvcore_riscv64_walk_result *out = w->out;
    uint64_t size = leaf_size(&v->c);
    uint32_t pbmt = (uint32_t)((v->c.pte & PTE_PBMT) >> PTE_PBMT_SHIFT);

    out->vs_page = size;
    if (size < out->page)
        out->page = size;
    if (pbmt != 0) /* the VS-stage overrides the G-stage (Svpbmt) */
        out->pbmt = pbmt;
    out->prot &= leaf_prot(&w->vs, v->c.pte);
    out->global = ((v->global | v->c.pte) & PTE_G) != 0;
}

void hvcore_riscv64_walk(const hvcore_riscv64_walk_regs *regs, const hvcore_riscv64_walk_mem *mem,
                         uint64_t va, uint32_t access, hvcore_riscv64_walk_result *out)
{
    struct walk w;
    struct vs_cursor v;
    bool bare;

    begin(&w, regs, mem, access, out);
    hvc_riscv64_stage_vs(&w.vs, regs, w.access);
    bare = w.vs.levels == MODE_BARE;
    if (!vs_translate(&w, &v, va))
        return;
    if (finish(&w, bare ? va : leaf_output(&v.c)) && !bare)
        combine(&w, &v);
}

void hvcore_riscv64_walk_g(const hvcore_riscv64_walk_regs *regs, const hvcore_riscv64_walk_mem *mem,
                           uint64_t gpa, uint64_t va, uint32_t access,
                           hvcore_riscv64_walk_result *out)
{
    struct walk w;

    (void)va; /* stval is the caller's; a G-stage walk answers with htval alone */
    begin(&w, regs, mem, access, out);
    finish(&w, gpa);
}
