/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AT instructions and the arm64 walker over memory that the input makes, parts of which are absent,
 * not there yet, or change while they are read. Work and requests are bounded, answers are sound,
 * and what an answer does not name is untouched.
 * sources: lib/fixup/at*.c lib/fixup/step.c lib/walk/arm64*.c
 */
#include <hvcore/fixup/arm64_state.h>

#include "tests/fuzz/fuzz.h"

enum {
    WORDS = 256,
    PAGES = 128,  /* that have come */
    READS = 35,   /* of a walk */
    RACING = 16,  /* answers, then memory keeps still */
    TURNS = 200,  /* answers of one instruction */
    ABSENT = 61,  /* residues of page numbers */
    PAR_RES1 = 11 /* a bit */
};

/* --- memory: a word for any address, many of them the same ------------------------------------ */

typedef struct memory {
    uint64_t word[WORDS];
    uint64_t hole, absent; /* pages of these residues are no memory, or not there yet */
    uint64_t page[PAGES];  /* what has come */
    uint32_t pages, reads, writes, racy;
    bool still, leaves, gone; /* pages can leave again; one has */
} memory;

static uint64_t *word_at(memory *m, uint64_t pa)
{
    return &m->word[(pa >> 3 ^ pa >> 12 ^ pa >> 21 ^ pa >> 30) % WORDS];
}

static bool has_come(const memory *m, uint64_t page)
{
    for (uint32_t i = 0; i < m->pages; i++) {
        if (m->page[i] == page) {
            return true;
        }
    }
    return false;
}

static int status_of(const memory *m, uint64_t pa)
{
    uint64_t page = pa >> 12;
    EXPECT(pa % 8 == 0 && pa >> 56 == 0);
    if (page % ABSENT == m->hole) {
        return HVCORE_ARM64_MEM_NO_MEMORY;
    }
    return page % ABSENT == m->absent && !has_come(m, page) ? HVCORE_ARM64_MEM_NOT_RESIDENT
                                                            : HVCORE_ARM64_MEM_OK;
}

static void race(memory *m, uint64_t pa)
{
    if (!m->racy || m->still || (m->reads + m->writes) % m->racy) {
        return;
    }
    if (m->leaves) {
        m->gone |= m->pages;
        m->pages = 0;
    } else {
        *word_at(m, pa) ^= UINT64_C(1) << (pa >> 3 & 63);
    }
}

static int read64(void *user, uint64_t pa, uint64_t *value)
{
    memory *m = user;
    m->reads++;
    race(m, pa);
    *value = *word_at(m, pa);
    return status_of(m, pa);
}

static int cas64(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    memory *m = user;
    int status = status_of(m, pa);
    m->writes++;
    race(m, pa);
    if (status != HVCORE_ARM64_MEM_OK) {
        return status;
    }
    if (*word_at(m, pa) != expected) {
        return HVCORE_ARM64_MEM_CHANGED;
    }
    *word_at(m, pa) = desired;
    return HVCORE_ARM64_MEM_OK;
}

static bool same(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

/* --- the walker ------------------------------------------------------------------------------- */

static void check_result(const hvcore_arm64_walk_options *o, const hvcore_arm64_walk_result *r,
                         uint64_t va)
{
    EXPECT(r->kind <= HVCORE_ARM64_WALK_REFUSED && r->reads <= READS);
    EXPECT(r->level >= -1 && r->level <= 3 && r->stage <= 2 && r->fsc < 64);
    EXPECT(r->kind != HVCORE_ARM64_WALK_REFUSED || r->reads == 0);
    if (r->kind == HVCORE_ARM64_WALK_DONE && !r->fault) {
        EXPECT(r->size && (r->size & (r->size - 1)) == 0 && r->attr < 256 && r->sh < 4);
        EXPECT(((r->pa ^ va) & (r->size - 1) & 4095) == 0);
        EXPECT(r->pa >> o->pa_bits == 0 && r->ipa >> 56 == 0);
        EXPECT((r->prot & ~UINT32_C(3)) == 0);
    }
}

/* Two addresses of the walk share a word of this memory: then an update may be seen twice. */
static bool is_aliased(memory *m, const hvcore_arm64_walk_result *r)
{
    for (uint32_t i = 0; i < r->reads; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (r->read[i].gpa != r->read[k].gpa &&
                word_at(m, r->read[i].gpa) == word_at(m, r->read[k].gpa)) {
                return true;
            }
        }
    }
    return false;
}

/*
 * A word that the walk has updated is met again. If it is a descriptor of both stages, its second
 * role finds A or D set: then a walk that updates may get on where one that does not is stopped.
 */
static bool meets_its_update(const hvcore_arm64_walk_result *dry,
                             const hvcore_arm64_walk_result *wet)
{
    for (uint32_t i = 0; i < wet->reads; i++) {
        for (uint32_t k = 0; k < i; k++) {
            bool again = wet->read[i].gpa == wet->read[k].gpa;
            bool changed = k < dry->reads && dry->read[k].gpa == wet->read[k].gpa &&
                           dry->read[k].raw != wet->read[k].raw;
            if (again && changed) {
                return true;
            }
        }
    }
    return false;
}

/* The same answer, whoever has written; the words as they stand are not compared. */
static void check_same(const hvcore_arm64_walk_result *a, const hvcore_arm64_walk_result *b,
                       uint32_t ignored)
{
    EXPECT(a->kind == b->kind && a->fault == b->fault && a->stage == b->stage);
    EXPECT(a->fsc == b->fsc && a->gpa == b->gpa && a->level == b->level && a->ipa == b->ipa);
    EXPECT(a->pa == b->pa && a->size == b->size && a->prot == b->prot && a->attr == b->attr);
    EXPECT(a->sh == b->sh && ((a->notes ^ b->notes) & ~ignored) == 0);
}

/* PAR_EL1 of a result, in both formats. */
static void check_par(const hvcore_arm64_walk_options *o, const hvcore_arm64_walk_result *r,
                      uint32_t wide)
{
    const uint64_t address = UINT64_C(0x00fffffffffff000);
    uint64_t par[2] = {1, 1};
    hvcore_at_par(o, r, wide, par);
    EXPECT(par[0] >> PAR_RES1 & 1 && (par[0] & 1) == (r->fault != 0));
    if (r->fault) {
        EXPECT((par[0] >> 1 & 63) == r->fsc && (par[0] >> 9 & 1) == (r->stage == 2) && !par[1]);
        return;
    }
    EXPECT(par[0] >> 56 == r->attr && (par[0] >> 7 & 3) == r->sh);
    EXPECT((par[wide] & address) == (r->pa & address) && par[1] == (wide ? par[1] | 1 : 0));
}

/* Without an update memory stays; with it the answer is the same, also the next time. */
static void walk(memory *m, const hvcore_arm64_walk_options *options, const hvcore_arm64_sys *sys,
                 hvcore_arm64_walk_request request)
{
    static hvcore_arm64_walk_result dry, wet, again;
    static uint64_t before[WORDS];
    const hvcore_arm64_walk_mem mem = {.user = m, .read64 = read64, .cas64 = cas64};
    hvcore_arm64_walk_request q = request;
    uint64_t gpa;

    q.access |= HVCORE_ARM64_ACCESS_NO_UPDATE;
    memcpy(before, m->word, sizeof(before));
    hvcore_arm64_walk(options, sys, &mem, &q, &dry);
    EXPECT(same(before, m->word, sizeof(before)) && m->reads <= READS && m->writes == 0);
    check_result(options, &dry, request.va);
    if (dry.kind == HVCORE_ARM64_WALK_DONE) {
        EXPECT(hvcore_arm64_walk_revalidate(&dry, &mem, &gpa) == HVCORE_ARM64_MEM_OK);
        check_par(options, &dry, 0);
        check_par(options, &dry, 1);
    }
    hvcore_arm64_walk(options, sys, &mem, &request, &wet);
    check_result(options, &wet, request.va);
    EXPECT(wet.notes & HVCORE_ARM64_NOTE_UPDATE || same(before, m->word, sizeof(before)));
    if (is_aliased(m, &dry) || is_aliased(m, &wet)) {
        return;
    }
    if (dry.fault != wet.fault && meets_its_update(&dry, &wet)) {
        return;
    }
    check_same(&dry, &wet, 0);
    hvcore_arm64_walk(options, sys, &mem, &request, &again);
    check_same(&wet, &again, HVCORE_ARM64_NOTE_UPDATE);
    EXPECT(request.access & HVCORE_ARM64_ACCESS_NO_UPDATE ||
           !(again.notes & HVCORE_ARM64_NOTE_UPDATE) || again.kind != HVCORE_ARM64_WALK_DONE);
}

/* --- AT --------------------------------------------------------------------------------------- */

typedef struct world {
    hvcore_arm64_frame frame;
    hvcore_arm64_sys sys;
    hvcore_event event;
    hvcore_arm64_state state;
} world;

/* What the loop around has been asked for. */
typedef struct served {
    uint32_t regs, hardware, holds, pages;
} served;

/* What the unit may change whatever it answers: its own, and the counts. */
static void keep_own(hvcore_at_state *to, const hvcore_at_state *from)
{
    to->answer = to->held = 0; /* taken */
    to->pc = from->pc;
    to->va = from->va;
    to->esr = from->esr;
    to->phase = from->phase;
    to->failures = from->failures;
    to->hpfar = from->hpfar;
    memcpy(to->count, from->count, sizeof(to->count));
}

static void check_done(const world *w, world *wanted)
{
    const uint64_t par = UINT64_C(1) << HVCORE_ARM64_SYS_par_el1;
    EXPECT(w->sys.par_el1 >> PAR_RES1 & 1);
    wanted->sys.par_el1 = w->sys.par_el1;
    wanted->sys.have |= par;
    wanted->sys.dirty |= par;
    wanted->state.at.par_high = w->state.at.par_high;
    wanted->frame.pc += 4;
    wanted->frame.spsr &= ~UINT64_C(0xc00);
    hvcore_step_advance(&wanted->frame, &wanted->state.step);
}

static void check_inject(const world *w, hvcore_result r)
{
    uint32_t ec = r.arg >> 26;
    const uint32_t traps = HVCORE_AT_FEAT_NV | HVCORE_AT_FEAT_FGT;
    EXPECT(r.arg >> 25 & 1);
    EXPECT(ec != 0x18 || (w->event.mode == HVCORE_ARM64_EL1 && w->state.at.features & traps));
    EXPECT(ec == 0x18 ? r.arg == (uint32_t)w->event.syndrome
                      : r.arg == 0x02000000 || ec == 0x24 || ec == 0x25);
    EXPECT(ec == 0x24 || ec == 0x25 ? (r.arg & 0x140) == 0x140 : r.addr == 0);
    EXPECT(ec == 0x24 || ec == 0x25 || w->state.at.hpfar == 0);
}

static void check_answer(const world *w, const world *was, hvcore_result r, bool walks)
{
    world wanted = *was;
    keep_own(&wanted.state.at, &w->state.at);
    if (r.kind == HVCORE_RESULT_DONE) {
        EXPECT(r.arg == 0 && r.addr == 0);
        check_done(w, &wanted);
    } else if (r.kind == HVCORE_RESULT_INJECT) {
        check_inject(w, r);
    } else if (r.kind == HVCORE_RESULT_EXIT) {
        EXPECT(r.arg >= HVCORE_AT_NO_SYNDROME && r.arg <= HVCORE_AT_CONTENDED);
        EXPECT((r.arg == HVCORE_AT_WALK) <= !walks);
    }
    EXPECT(same(w, &wanted, sizeof(wanted)));
}

/* The entry without memory: what it can answer, the other answers as well, and reads nothing. */
static void check_without_memory(world w, const memory *m, const world *walked, hvcore_result r)
{
    const world was = w;
    hvcore_result alone = hvcore_at(&w.frame, &w.sys, &w.event, &w.state);
    check_answer(&w, &was, alone, false);
    if (alone.kind != HVCORE_RESULT_EXIT || alone.arg != HVCORE_AT_WALK) {
        EXPECT(alone.kind == r.kind && alone.arg == r.arg && alone.addr == r.addr);
        EXPECT(same(&w, walked, sizeof(w)) && m->reads == 0 && m->writes == 0);
    }
}

static hvcore_result ask(world *w, memory *m)
{
    const hvcore_arm64_walk_mem mem = {.user = m, .read64 = read64, .cas64 = cas64};
    const world was = *w;
    bool may_write = w->state.at.held == 1 || w->state.at.options & HVCORE_AT_WRITE_UNHELD;
    m->reads = m->writes = 0;
    m->still |= w->state.at.held == 1;
    hvcore_result r = hvcore_at_walk(&w->frame, &w->sys, &w->event, &w->state, &mem);
    EXPECT(m->reads <= 2 * HVCORE_AT_TRIES * 2 * READS && (may_write || m->writes == 0));
    check_answer(w, &was, r, true);
    check_without_memory(was, m, w, r);
    return r;
}

static void bring(memory *m, served *s, uint64_t pa)
{
    EXPECT(s->pages++ < PAGES && (pa >> 12) % ABSENT == m->absent);
    EXPECT(m->gone || !has_come(m, pa >> 12)); /* once for a page that stays */
    m->page[m->pages++ % PAGES] = pa >> 12;
}

/* Serve the answer; false: it is the last. */
static bool serve(world *w, memory *m, served *s, hvcore_result r, uint32_t answer)
{
    switch (r.kind) {
    case HVCORE_RESULT_NEED_REGS:
        EXPECT(r.addr && !(w->sys.have & r.addr) && r.addr >> HVCORE_ARM64_SYS_COUNT == 0);
        EXPECT(++s->regs <= 3);
        w->sys.have |= r.addr;
        return true;
    case HVCORE_RESULT_NEED_PAGE:
        EXPECT(r.arg <= 1);
        bring(m, s, r.addr);
        return true;
    case HVCORE_RESULT_NEED_HOLD:
        s->holds++;
        w->state.at.held = 1;
        return true;
    case HVCORE_RESULT_NEED_AT:
        EXPECT(++s->hardware == 1 && w->state.at.options & HVCORE_AT_HARDWARE);
        EXPECT((r.arg & HVCORE_AT_NEED_OP) <= HVCORE_AT_S1E1A && r.arg >> 17 == 0);
        w->state.at.answer = answer;
        return true;
    default:
        EXPECT(r.kind == HVCORE_RESULT_DONE || r.kind == HVCORE_RESULT_INJECT ||
               r.kind == HVCORE_RESULT_EXIT);
        return false;
    }
}

static void execute(world *w, memory *m, uint32_t answer)
{
    served s = {0};
    bool more = true;
    for (uint32_t turn = 0; more; turn++) {
        EXPECT(turn < TURNS);
        m->still = turn >= RACING; /* and while the others are held */
        hvcore_result r = ask(w, m);
        EXPECT(r.kind != HVCORE_RESULT_EXIT || r.arg != HVCORE_AT_CONTENDED);
        more = serve(w, m, &s, r, answer);
    }
    EXPECT(s.holds <= RACING + 2);
}

/* --- input ------------------------------------------------------------------------------------ */

/* Mostly what there is: a trapped AT, options in range. */
static void tidy(world *w, hvcore_arm64_walk_request *request, uint32_t pick)
{
    hvcore_arm64_walk_options *o = &w->state.at.walk;
    o->features |= HVCORE_ARM64_FEAT_TGRAN4;
    request->regime %= 3;
    request->va = (uint64_t)((int64_t)(request->va << 12) >> 12);
    w->event.kind = HVCORE_EVENT_TRAP;
    w->event.have = HVCORE_HAVE_SYNDROME | HVCORE_HAVE_MODE;
    w->event.mode = pick & 2 ? HVCORE_ARM64_VEL2 : HVCORE_ARM64_EL1;
    /* EC 0x18, IL, op0 1, CRn 7, CRm 8 or 9 */
    w->event.syndrome = UINT64_C(0x62000000) | (w->event.syndrome & 0xe03e0) | 1 << 20 | 7 << 10 |
                        (pick & 4 ? 8 : 9) << 1 |
                        (pick & 8    ? 1 << 14
                         : pick & 16 ? 4 << 14
                                     : 0);
}

/* The rest of the input are words, and where they stand; all others are `filler`. */
static void fill(memory *m, fuzz_input *in, uint64_t filler)
{
    for (int i = 0; i < WORDS; i++) {
        m->word[i] = filler;
    }
    for (int i = 0; i < WORDS && in->left; i++) {
        uint16_t at = fuzz_u16(in);
        m->word[at % WORDS] = fuzz_u64(in);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static memory m;
    static world w;
    fuzz_input in = {data, size};
    hvcore_arm64_walk_request request;
    uint32_t pick = fuzz_u32(&in);

    memset(&w, 0, sizeof(w));
    memset(&m, 0, sizeof(m));
    fuzz_take(&in, &request, sizeof(request));
    fuzz_take(&in, &w.state.at.walk, sizeof(w.state.at.walk));
    w.state.at.features = fuzz_u32(&in);
    w.state.at.options = fuzz_u32(&in);
    fuzz_take(&in, &w.state.at.answer_par, sizeof(w.state.at.answer_par));
    fuzz_take(&in, &w.event, sizeof(w.event));
    fuzz_take(&in, &w.frame, sizeof(w.frame));
    fuzz_take(&in, &w.sys, sizeof(w.sys));
    w.state.at.walk.pa_bits = 32 + w.state.at.walk.pa_bits % 25; /* what a guest's PE is like is */
    w.state.at.walk.reserved_sh %= 4;                            /* no guest's to say */
    if (pick & 1) {
        tidy(&w, &request, pick);
    }
    fill(&m, &in, fuzz_u64(&in));
    m.hole = pick >> 8 & 63;
    m.absent = pick >> 14 & 63;
    walk(&m, &w.state.at.walk, &w.sys, request);
    m.racy = pick >> 20 & 15;
    m.leaves = pick >> 26 & 1;
    execute(&w, &m, pick >> 24 & 3);
    return 0;
}
