/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvcore_mops against the vectors, against what is left to do of an operation (for any numbers),
 * and against a PE that copies bytes: its option is drawn anew at every instruction, its memory
 * must be what memmove and memset make of it. The PE is written from the description of the
 * instructions (DDI0487 C6.2, CPYP ... SETGE); it shares nothing with the library.
 *
 * HVCORE_MOPS_OPERATIONS: how many operations the PE carries out.
 */
#include <stdbool.h>
#include <string.h>

#include <hvcore/fixup/arm64_state.h>

#include "tests/unit/random.h"
#include "tests/unit/unit.h"
#include "tests/unit/vectors.h"

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

/* True once in n. */
static bool once_in(uint64_t n)
{
    return rnd() % n == 0;
}

static uint64_t wrong; /* counted, so that a failure says once how often */

static void expect(bool good)
{
    wrong += !good;
}

static uint64_t number_or(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);

    return value && *value ? strtoull(value, NULL, 0) : otherwise;
}

/* --- one call --------------------------------------------------------------------------------- */

typedef struct setup {
    hvcore_arm64_frame frame;
    hvcore_arm64_state state;
    hvcore_event event;
} setup;

enum { SS = 1 << 21, IL = 1 << 25, N_NIBBLE = 8, C_NIBBLE = 2 };

static void fill(void *at, size_t size)
{
    unsigned char *bytes = at;

    for (size_t i = 0; i < size; i += 8) {
        uint64_t some = rnd();

        memcpy(bytes + i, &some, size - i < 8 ? size - i : 8);
    }
}

/* Random all over, but a guest in AArch64 that the unit serves. */
static setup random_setup(void)
{
    setup s;

    fill(&s, sizeof s);
    s.frame.spsr &= ~UINT64_C(0x18);
    s.state.mops = (hvcore_mops_state){.options = HVCORE_MOPS_COUNT_ODD};
    s.state.step.owner = HVCORE_STEP_OWNER_GUEST;
    s.event.have = HVCORE_HAVE_SYNDROME;
    return s;
}

static void set_nzcv(hvcore_arm64_frame *frame, uint64_t nzcv)
{
    frame->spsr = (frame->spsr & ~(UINT64_C(0xf) << 28)) | nzcv << 28;
}

static hvcore_result call(setup *s)
{
    return hvcore_mops(&s->frame, NULL, &s->event, &s->state);
}

static bool is(hvcore_result r, uint32_t kind, uint32_t arg, uint64_t addr)
{
    return r.kind == kind && r.arg == arg && r.addr == addr;
}

/* It answers so, and touches nothing. */
static bool answers(setup s, uint32_t kind, uint32_t arg, uint64_t addr)
{
    setup before = s;

    return is(call(&s), kind, arg, addr) && memcmp(&s, &before, sizeof s) == 0;
}

/* --- the syndrome, field by field ------------------------------------------------------------- */

typedef struct syndrome {
    bool set, setg;
    unsigned options;
    bool epilogue, wrong_option, option_a;
    unsigned d, s, n;
} syndrome;

static uint64_t esr_of(syndrome y)
{
    uint64_t esr = 0x27;

    esr = esr << 1 | 1; /* IL */
    esr = esr << 1 | y.set;
    esr = esr << 1 | y.setg;
    esr = esr << 4 | y.options;
    esr = esr << 1 | y.epilogue;
    esr = esr << 1 | y.wrong_option;
    esr = esr << 1 | y.option_a;
    esr = esr << 1; /* RES0 */
    esr = esr << 5 | y.d;
    esr = esr << 5 | y.s;
    return esr << 5 | y.n;
}

/* --- vectors ---------------------------------------------------------------------------------- */

static uint64_t nzcv_of(json_object *v)
{
    return strtoull(hvc_json_str_or(v, "before.nzcv", "missing"), NULL, 2);
}

static void load_vector(json_object *v, const char *half, hvcore_arm64_frame *frame)
{
    json_object *from = hvc_json_at(v, half);
    uint64_t srcreg = hvc_json_u64(v, "srcreg");

    frame->x[hvc_json_u64(v, "destreg")] = hvc_json_u64(from, "xd");
    frame->x[hvc_json_u64(v, "sizereg")] = hvc_json_u64(from, "xn");
    if (srcreg != 31) {
        frame->x[srcreg] = hvc_json_u64(from, "xs");
    }
}

static unsigned kind_of(uint64_t esr)
{
    bool wrong_option = esr & UINT64_C(0x20000);

    if (esr & UINT64_C(0x40000)) {
        return wrong_option ? HVCORE_MOPS_WRONG_OPTION_EPILOGUE : HVCORE_MOPS_ILL_FORMED_EPILOGUE;
    }
    return wrong_option ? HVCORE_MOPS_WRONG_OPTION_MAIN : HVCORE_MOPS_ILL_FORMED_MAIN;
}

static void run_vector(json_object *v, uint64_t prologue, bool stepped)
{
    setup s = random_setup(), wanted;

    s.event.syndrome = hvc_json_u64(v, "esr");
    s.frame.pc = prologue + hvc_json_u64(v, "before.pc_minus_prologue");
    s.frame.spsr = stepped ? s.frame.spsr | SS : s.frame.spsr & ~(uint64_t)SS;
    s.state.step.guest_ss = 0;
    s.state.step.host_pending = 0;
    set_nzcv(&s.frame, nzcv_of(v));
    load_vector(v, "before", &s.frame);
    wanted = s;
    load_vector(v, "after", &wanted.frame);
    wanted.frame.pc = prologue;
    wanted.frame.spsr &= ~(uint64_t)SS;
    wanted.state.mops.streak = 1;
    wanted.state.mops.done[kind_of(s.event.syndrome)] = 1;
    CU_ASSERT(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
    CU_ASSERT(memcmp(&s, &wanted, sizeof s) == 0); /* also: none of them is odd */
}

static void test_vectors(void)
{
    json_object *doc = hvc_vectors_open("mops_vectors.json");
    size_t at = 0, n = 0;

    for (json_object *v; (v = hvc_vectors_next(doc, NULL, &at)); n++) {
        run_vector(v, hvc_json_u64(doc, "prologue"), false);
        run_vector(v, hvc_json_u64(doc, "prologue"), true);
    }
    CU_ASSERT_EQUAL(n, 34);
    json_object_put(doc);
}

static const uint32_t rejected_why[] = {
    HVCORE_MOPS_BAD_REGISTER,  HVCORE_MOPS_BAD_REGISTER,  HVCORE_MOPS_BAD_REGISTER,
    HVCORE_MOPS_SAME_REGISTER, HVCORE_MOPS_SAME_REGISTER, HVCORE_MOPS_BAD_PC,
    HVCORE_MOPS_BAD_PC,        HVCORE_MOPS_NOT_MOPS,
};

/* "P+4" or a number. */
static uint64_t rejected_pc(json_object *v, uint64_t prologue)
{
    const char *elr = hvc_json_str_or(v, "elr", "");

    return elr[0] == 'P' ? prologue + strtoull(elr + 2, NULL, 0) : strtoull(elr, NULL, 0);
}

static void test_rejected_vectors(void)
{
    json_object *doc = hvc_vectors_open("mops_vectors.json");
    size_t n = hvc_json_len(doc, "rejected");

    CU_ASSERT_EQUAL_FATAL(n, sizeof rejected_why / sizeof *rejected_why);
    for (size_t i = 0; i < n; i++) {
        json_object *v = json_object_array_get_idx(hvc_json_at(doc, "rejected"), i);
        setup s = random_setup();
        bool about_pc = rejected_why[i] == HVCORE_MOPS_BAD_PC;

        s.event.syndrome = hvc_json_u64(v, "esr");
        s.frame.pc = rejected_pc(v, hvc_json_u64(doc, "prologue"));
        CU_ASSERT(answers(s, HVCORE_RESULT_EXIT, rejected_why[i],
                          about_pc ? s.frame.pc : s.event.syndrome));
    }
    json_object_put(doc);
}

/* --- an operation under way, by its meaning --------------------------------------------------- */

enum family { CPY, CPYF, SET, SETG };

typedef struct way {
    enum family family;
    bool option_b, backward;
    uint64_t dst, src, len, done; /* len after saturation */
} way;

static uint64_t limit_of(enum family family)
{
    return family == CPY    ? UINT64_C(0x007fffffffffffff)
           : family == SETG ? UINT64_C(0x7ffffffffffffff0)
                            : UINT64_C(0x7fffffffffffffff);
}

static bool copies(enum family family)
{
    return family == CPY || family == CPYF;
}

static uint64_t small_or_large(uint64_t limit)
{
    uint64_t some = rnd() % 64 % (limit + 1);

    switch (rnd() % 4) {
    case 0:
        return some;
    case 1:
        return limit - some;
    default:
        return (rnd() >> rnd() % 64) % (limit + 1);
    }
}

static way random_way(void)
{
    way w = {.family = rnd() % 4, .option_b = rnd() & 1, .dst = rnd(), .src = rnd()};

    w.backward = w.family == CPY && rnd() & 1;
    w.len = small_or_large(limit_of(w.family));
    w.done = w.len ? small_or_large(w.len) : 0;
    if (w.family == SETG) {
        w.dst &= ~UINT64_C(15), w.len &= ~UINT64_C(15), w.done &= ~UINT64_C(15);
    }
    return w;
}

/* Xd, Xs, Xn and NZCV between the instructions: the table in the architecture's description. */
static void put_way(const way *w, const syndrome *y, hvcore_arm64_frame *frame)
{
    uint64_t left = w->len - w->done, moved;

    if (w->option_b) {
        moved = w->backward ? left : w->done;
    } else {
        moved = w->backward ? 0 : w->len;
    }
    frame->x[y->d] = w->dst + moved;
    if (copies(w->family)) {
        frame->x[y->s] = w->src + moved;
    }
    frame->x[y->n] = w->option_b || w->backward ? left : 0 - left;
    set_nzcv(frame, (w->option_b ? C_NIBBLE : 0) | (w->option_b && w->backward ? N_NIBBLE : 0));
}

/* What the prologue is to be given: the part that is not done. */
static void put_rest(const way *w, const syndrome *y, hvcore_arm64_frame *frame)
{
    uint64_t begin = w->backward ? 0 : w->done;

    frame->x[y->d] = w->dst + begin;
    if (copies(w->family)) {
        frame->x[y->s] = w->src + begin;
    }
    frame->x[y->n] = w->len - w->done;
}

/* Three that differ; s may be 31 for SET. */
static void random_registers(syndrome *y)
{
    do {
        y->d = rnd() % 31;
        y->s = rnd() % (y->set ? 32 : 31);
        y->n = rnd() % 31;
    } while (y->d == y->s || y->d == y->n || y->s == y->n);
}

static syndrome random_syndrome(const way *w)
{
    syndrome y = {.set = !copies(w->family), .setg = w->family == SETG, .options = rnd() & 3};

    y.options |= y.set ? 0 : rnd() & 12;
    y.epilogue = rnd() & 1;
    y.wrong_option = rnd() & 1;
    y.option_a = w->option_b == y.wrong_option;
    random_registers(&y);
    return y;
}

/* Nothing left, option A: that it went forward cannot be seen; registers stay at the end, and the
 * prologue has nothing to do either way. */
static bool cannot_be_told(const way *w)
{
    return w->done == w->len && !w->option_b && !w->backward && copies(w->family);
}

static void test_by_meaning(void)
{
    wrong = 0;
    for (int n = 0; n < 500000 && !wrong; n++) {
        way w = random_way();
        syndrome y = random_syndrome(&w);
        setup s = random_setup(), wanted;

        put_way(&w, &y, &s.frame);
        s.frame.pc = (s.frame.pc & ~UINT64_C(3)) | 8;
        s.event.syndrome = esr_of(y);
        wanted = s;
        if (!cannot_be_told(&w)) {
            put_rest(&w, &y, &wanted.frame);
        }
        wanted.frame.pc -= y.epilogue ? 8 : 4;
        wanted.frame.spsr &= ~(uint64_t)SS;
        expect(is(call(&s), HVCORE_RESULT_DONE, 0, 0) && s.state.mops.odd == 0);
        expect(memcmp(&s.frame, &wanted.frame, sizeof s.frame) == 0);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* --- a PE that copies bytes ------------------------------------------------------------------- */

enum { MEMORY = 256 };

typedef struct pe {
    setup s;
    bool option_b; /* of this instruction */
    enum family family;
    syndrome regs;
    uint64_t base; /* address of memory[0] */
    uint64_t prologue;
    uint8_t memory[MEMORY];
    uint64_t traps, normalised;
    bool broken;
} pe;

static uint64_t *xd(pe *p)
{
    return &p->s.frame.x[p->regs.d];
}

static uint64_t *xs(pe *p)
{
    return &p->s.frame.x[p->regs.s];
}

static uint64_t *xn(pe *p)
{
    return &p->s.frame.x[p->regs.n];
}

static uint64_t nzcv(const pe *p)
{
    return p->s.frame.spsr >> 28 & 0xf;
}

static uint8_t *byte_at(pe *p, uint64_t address)
{
    uint64_t at = address - p->base;

    if (at >= MEMORY) {
        p->broken = true;
        at = 0;
    }
    return &p->memory[at];
}

static uint64_t granule(const pe *p)
{
    return p->family == SETG ? 16 : 1;
}

static bool goes_backward(pe *p)
{
    if (p->option_b) {
        return nzcv(p) & N_NIBBLE;
    }
    return p->family == CPY && !(*xn(p) >> 63);
}

static uint8_t set_byte(pe *p)
{
    return p->regs.s == 31 ? 0 : (uint8_t)*xs(p);
}

/* The bytes of one granule at `offset` from Xd and Xs. */
static void move_granule(pe *p, uint64_t offset)
{
    for (uint64_t i = 0; i < granule(p); i++) {
        uint8_t value = copies(p->family) ? *byte_at(p, *xs(p) + offset + i) : set_byte(p);

        *byte_at(p, *xd(p) + offset + i) = value;
    }
}

/* One granule, in the option's own way of counting. */
static void advance(pe *p)
{
    bool backward = goes_backward(p);
    uint64_t unit = granule(p), step = backward ? 0 - unit : unit;

    if (p->option_b) {
        move_granule(p, backward ? 0 - unit : 0);
        *xd(p) += step;
        *xn(p) -= unit;
        if (copies(p->family)) {
            *xs(p) += step;
        }
    } else {
        move_granule(p, backward ? *xn(p) - unit : *xn(p));
        *xn(p) += step;
    }
}

static bool must_go_forward(pe *p)
{
    return p->family != CPY || (*xs(p) != *xd(p) && *xs(p) - *xd(p) < *xn(p));
}

static bool must_go_backward(pe *p)
{
    return p->family == CPY && *xs(p) != *xd(p) && *xd(p) - *xs(p) < *xn(p);
}

static void prologue(pe *p)
{
    bool backward = must_go_backward(p) || (!must_go_forward(p) && rnd() & 1);
    uint64_t len = *xn(p);

    if (p->option_b ? backward : !backward) {
        *xd(p) += len;
        if (copies(p->family)) {
            *xs(p) += len;
        }
    }
    if (!p->option_b && !backward) {
        *xn(p) = 0 - len;
    }
    set_nzcv(&p->s.frame, p->option_b ? (backward ? N_NIBBLE | C_NIBBLE : C_NIBBLE) : 0);
    for (uint64_t some = rnd() % 3; some && *xn(p); some--) {
        advance(p);
    }
    p->s.frame.pc += 4;
}

static void take_exception(pe *p, bool epilogue, bool wrong_option)
{
    syndrome y = p->regs;

    y.epilogue = epilogue;
    y.wrong_option = wrong_option;
    y.option_a = !p->option_b;
    p->s.event.syndrome = esr_of(y);
    p->s.state.mops.streak = 0;
    p->traps++;
    expect(is(call(&p->s), HVCORE_RESULT_DONE, 0, 0));
    expect(p->s.frame.pc == p->prologue);
}

/* A main that goes on for a while, is interrupted, or leaves the rest to the epilogue. */
static void main_or_epilogue(pe *p, bool epilogue)
{
    bool wrong_option = !(nzcv(p) & C_NIBBLE) == p->option_b;

    if (*xn(p) == 0 && rnd() & 1) {
        p->s.frame.pc += 4;
        return;
    }
    if (wrong_option || (*xn(p) && once_in(20))) {
        take_exception(p, epilogue, wrong_option);
        return;
    }
    while (*xn(p) && !once_in(8)) {
        advance(p);
    }
    if (*xn(p) == 0 || (!epilogue && rnd() & 1)) {
        p->s.frame.pc += 4;
    }
}

/* The word of a stage; the base words are those of the architecture. */
static uint32_t word_of(const pe *p, unsigned stage)
{
    static const uint32_t words[4][3] = {
        {0x1d000400, 0x1d400400, 0x1d800400},
        {0x19000400, 0x19400400, 0x19800400},
        {0x19c00400, 0x19c04400, 0x19c08400},
        {0x1dc00400, 0x1dc04400, 0x1dc08400},
    };

    return words[p->family][stage] | p->regs.options << 12 | p->regs.s << 16 | p->regs.n << 5 |
           p->regs.d;
}

/* Stopped, saved, restored elsewhere. */
static void migrate(pe *p, unsigned stage)
{
    uint32_t first = word_of(p, 0);
    bool busy = stage > 0 && *xn(p);
    hvcore_result r = hvcore_mops_normalise(&p->s.frame, word_of(p, stage),
                                            rnd() & 1 ? &first : NULL, &p->s.state);

    expect(r.kind == HVCORE_RESULT_DONE && r.addr == p->s.frame.pc);
    expect(!busy == (r.arg != HVCORE_MOPS_NORMALISED));
    expect(!busy || p->s.frame.pc == p->prologue);
    p->normalised += busy;
}

static bool step(pe *p)
{
    uint64_t stage = (p->s.frame.pc - p->prologue) / 4;

    p->option_b = rnd() & 1;
    if (stage >= 3) {
        return false;
    }
    if (once_in(16)) {
        migrate(p, (unsigned)stage);
    } else if (stage == 0) {
        prologue(p);
    } else {
        main_or_epilogue(p, stage == 2);
    }
    return true;
}

/* Operands of a new operation: any overlap for CPY, none for CPYF. Memory lies where addresses
 * wrap, or carry into the tag. */
static void choose(pe *p)
{
    static const uint64_t bases[] = {0x40080000, UINT64_MAX - 250, 0x0bffffffffffff00,
                                     0x7fffffffffffff00};
    uint64_t unit, room = 12;

    p->family = rnd() % 4;
    unit = granule(p);
    p->base = bases[rnd() % (sizeof bases / sizeof *bases)] & ~UINT64_C(15);
    p->regs =
        (syndrome){.set = !copies(p->family), .setg = p->family == SETG, .options = rnd() & 3};
    random_registers(&p->regs);
    *xn(p) = unit * (rnd() % room);
    *xd(p) = p->base + 64 + rnd() % 24 / unit * unit;
    if (copies(p->family)) {
        *xs(p) = p->base + 64 + rnd() % 24 + (p->family == CPYF ? 128 : 0);
    }
    p->prologue = p->s.frame.pc = rnd() & ~UINT64_C(0xff);
}

static void carry_out(pe *p, uint8_t *memory)
{
    uint64_t to = *xd(p) - p->base, len = *xn(p);

    if (copies(p->family)) {
        memmove(memory + to, memory + (*xs(p) - p->base), len);
    } else {
        memset(memory + to, set_byte(p), len);
    }
}

/* Memory is right, nothing is left, and what can only go forward is at its end. */
static void run_operation(pe *p)
{
    uint8_t wanted[MEMORY];
    uint64_t end_d, end_s, steps = 0;

    choose(p);
    fill(p->memory, MEMORY);
    memcpy(wanted, p->memory, MEMORY);
    carry_out(p, wanted);
    end_d = *xd(p) + *xn(p);
    end_s = p->regs.s == 31 ? 0 : *xs(p) + (copies(p->family) ? *xn(p) : 0);
    while (step(p) && ++steps < 10000 && !p->broken && !wrong) {
    }
    expect(!p->broken && steps < 10000 && *xn(p) == 0);
    expect(memcmp(p->memory, wanted, MEMORY) == 0);
    expect(p->family == CPY || (*xd(p) == end_d && (p->regs.s == 31 || *xs(p) == end_s)));
}

static void test_bytes(void)
{
    uint64_t n = number_or("HVCORE_MOPS_OPERATIONS", 1000000);
    pe p = {.s = random_setup()};

    wrong = 0;
    p.s.frame.spsr &= ~UINT64_C(0xc00); /* BTYPE: no branch leads to a main */
    for (uint64_t i = 0; i < n && !wrong; i++) {
        run_operation(&p);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(p.s.state.mops.odd, 0);
    CU_ASSERT_EQUAL(p.s.state.mops.normalised, p.normalised);
    CU_ASSERT(p.traps > n && p.normalised > n / 16);
}

/* --- what is refused -------------------------------------------------------------------------- */

/* The checks as the specification lists them; 0 if it is fine. */
static uint32_t slow_check(const setup *s)
{
    uint64_t esr = s->event.syndrome;
    unsigned d = esr / 1024 % 32, src = esr / 32 % 32, n = esr % 32;
    bool set = esr / 0x1000000 % 2, epilogue = esr / 0x40000 % 2;

    if (esr / 0x4000000 % 64 != 0x27) {
        return HVCORE_MOPS_NOT_MOPS;
    }
    if (esr / 0x2000000 % 2 == 0) {
        return HVCORE_MOPS_BAD_LENGTH;
    }
    if (s->frame.spsr / 16 % 2) {
        return HVCORE_MOPS_NOT_AARCH64;
    }
    if (s->frame.spsr % 16 > 7) {
        return HVCORE_MOPS_NOT_GUEST;
    }
    if (d == 31 || n == 31 || (src == 31 && !set)) {
        return HVCORE_MOPS_BAD_REGISTER;
    }
    if (d == n || d == src || n == src) {
        return HVCORE_MOPS_SAME_REGISTER;
    }
    return s->frame.pc % 4 || s->frame.pc < (epilogue ? 8 : 4) ? HVCORE_MOPS_BAD_PC : 0;
}

static bool detail_is_pc(uint32_t why)
{
    return why == HVCORE_MOPS_NOT_AARCH64 || why == HVCORE_MOPS_NOT_GUEST ||
           why == HVCORE_MOPS_BAD_PC || why == HVCORE_MOPS_STREAK;
}

static bool check_refusal(const setup *s)
{
    uint32_t why = slow_check(s);
    setup copy = *s;

    if (why == 0) {
        expect(is(call(&copy), HVCORE_RESULT_DONE, 0, 0));
        return true;
    }
    expect(
        answers(*s, HVCORE_RESULT_EXIT, why, detail_is_pc(why) ? s->frame.pc : s->event.syndrome));
    return false;
}

/* Every number of every register, both families of instructions, both stages. */
static void test_all_registers(void)
{
    uint64_t fine = 0;

    wrong = 0;
    for (uint64_t low = 0; low < 0x8000 && !wrong; low++) {
        for (uint64_t which = 0; which < 4; which++) {
            setup s = random_setup();

            s.event.syndrome = UINT64_C(0x9e000000) | (which & 1) << 24 | (which >> 1) << 18 | low;
            s.frame.pc &= ~UINT64_C(3);
            fine += check_refusal(&s);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(fine, 2 * (31 * 30 * 29 + 31 * 30 * 30)); /* SET: or 31 as the source */
}

static void test_all_modes_and_classes(void)
{
    wrong = 0;
    for (uint64_t m = 0; m < 32; m++) {
        for (uint64_t ec = 0; ec < 128; ec++) { /* and IL */
            setup s = random_setup();

            s.event.syndrome = ec << 25 | 0x30022;
            s.frame.spsr |= m;
            s.frame.pc = 0x1000;
            check_refusal(&s);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_all_low_pcs(void)
{
    wrong = 0;
    for (uint64_t pc = 0; pc < 64; pc++) {
        for (uint64_t epilogue = 0; epilogue < 2; epilogue++) {
            setup s = random_setup();

            s.event.syndrome = UINT64_C(0x9e030022) | epilogue << 18;
            s.frame.pc = pc;
            check_refusal(&s);
            s.frame.pc = 0 - pc;
            check_refusal(&s);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Bits that mean nothing: 15 of the syndrome, and all above EC. */
static void test_ignored_bits(void)
{
    wrong = 0;
    for (int n = 0; n < 1000; n++) {
        setup s = random_setup(), t;
        hvcore_result a, b;

        s.frame.pc = 0x1000;
        s.event.syndrome = 0x9e030022;
        t = s;
        t.event.syndrome |= 0x8000 | rnd() << 32;
        a = call(&s), b = call(&t);
        expect(is(a, HVCORE_RESULT_DONE, 0, 0) && is(b, HVCORE_RESULT_DONE, 0, 0));
        expect(memcmp(&s.frame, &t.frame, sizeof s.frame) == 0);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Section 6 of the specification, word by word. */
static void slow_reset(hvcore_arm64_frame *f, uint64_t esr)
{
    uint64_t *d = &f->x[esr / 1024 % 32], *s = &f->x[esr / 32 % 32 % 31], *n = &f->x[esr % 32];
    bool format_a = esr / 0x10000 % 2 != esr / 0x20000 % 2, set = esr / 0x1000000 % 2;
    bool backward = f->spsr / 0x80000000 % 2;
    uint64_t size = *n;

    if (set && format_a) {
        *d += size, *n = -size;
    } else if (!set && format_a && size >= UINT64_C(0x8000000000000000)) {
        *d += size, *s += size, *n = -size;
    } else if (!set && !format_a && backward) {
        *d -= size, *s -= size;
    }
    f->pc -= esr / 0x40000 % 2 ? 8 : 4;
    f->spsr &= ~UINT64_C(0x200000);
}

/* Garbage: refused untouched, or exactly the reset. */
static void test_garbage(void)
{
    wrong = 0;
    for (int n = 0; n < 1000000 && !wrong; n++) {
        setup s, before;

        fill(&s, sizeof s);
        s.event.have = HVCORE_HAVE_SYNDROME;
        s.event.syndrome = n % 2 ? (s.event.syndrome & 0x1ffffff) | 0x9e000000 : s.event.syndrome;
        s.frame.spsr &= n % 4 ? ~UINT64_C(0x18) : UINT64_MAX;
        s.frame.pc = n % 8 ? s.frame.pc & ~UINT64_C(3) : s.frame.pc;
        s.state.mops.options = 0, s.state.mops.streak = 0;
        before = s;
        if (check_refusal(&s)) {
            slow_reset(&before.frame, s.event.syndrome);
            expect(call(&s).kind == HVCORE_RESULT_DONE);
            expect(memcmp(&s.frame, &before.frame, sizeof s.frame) == 0);
            expect(memcmp(&s.event, &before.event, sizeof s.event) == 0);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static setup good_setup(void)
{
    setup s = random_setup();

    s.event.syndrome = 0x9e030022;
    s.frame.pc = 0x1004;
    return s;
}

static void test_no_syndrome(void)
{
    setup s = good_setup();

    s.event.have = 0;
    CU_ASSERT(answers(s, HVCORE_RESULT_EXIT, HVCORE_MOPS_NO_SYNDROME, s.event.syndrome));
}

/* The frame's pc is that of an older exit. */
static void test_stale_pc(void)
{
    setup s = good_setup();

    s.event.have |= HVCORE_HAVE_PC;
    s.event.pc = 0x1008;
    CU_ASSERT(answers(s, HVCORE_RESULT_EXIT, HVCORE_MOPS_BAD_PC, 0x1004));
    s.event.pc = 0x1004;
    CU_ASSERT(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
}

/* The guest has no such instructions. What is malformed stays malformed. */
static void test_hidden(void)
{
    setup s = good_setup();

    s.state.mops.options = HVCORE_MOPS_HIDDEN;
    CU_ASSERT(answers(s, HVCORE_RESULT_INJECT, 0x02000000, 0));
    s.frame.pc = 0x1005;
    CU_ASSERT(answers(s, HVCORE_RESULT_EXIT, HVCORE_MOPS_BAD_PC, 0x1005));
}

/* --- counters, streak, step ------------------------------------------------------------------- */

static void check_streak(uint32_t option, uint64_t bound)
{
    setup s = good_setup();

    wrong = 0;
    s.state.mops.streak_max = option;
    for (uint64_t n = 0; n < bound; n++) {
        s.frame.pc = 0x1004;
        expect(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
    }
    s.frame.pc = 0x1004;
    for (int n = 0; n < 3; n++) {
        expect(answers(s, HVCORE_RESULT_EXIT, HVCORE_MOPS_STREAK, 0x1004));
    }
    s.state.mops.streak = 0; /* another exit */
    expect(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
    CU_ASSERT_EQUAL(s.state.mops.done[HVCORE_MOPS_WRONG_OPTION_MAIN], bound + 1);
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_streak(void)
{
    check_streak(0, 65536);
    check_streak(1, 1);
    check_streak(1000, 1000);
}

static void check_kind(uint64_t esr, unsigned kind)
{
    setup s = good_setup();

    s.event.syndrome = esr;
    s.frame.pc = 0x1008;
    CU_ASSERT(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
    for (unsigned k = 0; k < HVCORE_MOPS_KINDS; k++) {
        CU_ASSERT_EQUAL(s.state.mops.done[k], k == kind);
    }
}

static void test_kinds(void)
{
    check_kind(0x9e010022, HVCORE_MOPS_ILL_FORMED_MAIN);
    check_kind(0x9e030022, HVCORE_MOPS_WRONG_OPTION_MAIN);
    check_kind(0x9e050022, HVCORE_MOPS_ILL_FORMED_EPILOGUE);
    check_kind(0x9e070022, HVCORE_MOPS_WRONG_OPTION_EPILOGUE);
}

/* esr, Xd, Xn, NZCV: whether it is one that no PE leaves. */
static void check_odd(uint64_t esr, uint64_t d, uint64_t n, uint64_t flags, bool odd)
{
    setup s = good_setup();

    s.event.syndrome = esr;
    s.frame.x[0] = d, s.frame.x[2] = n;
    set_nzcv(&s.frame, flags);
    CU_ASSERT(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
    CU_ASSERT_EQUAL(s.state.mops.odd, odd);
}

static void test_odd(void)
{
    const uint64_t minus = UINT64_C(0xfffffffffffffff0);

    for (uint64_t n = 0; n <= 16; n += 16) {        /* nothing left: nothing is odd */
        check_odd(0x9e020022, 0x1000, n, 2, n);     /* copy, A, but the flags say B */
        check_odd(0x9e030022, 0x1000, n, 0, n);     /* B, but the flags say A */
        check_odd(0x9f020022, 0x1000, n, 0, n);     /* set, A, positive */
        check_odd(0x9f820022, 0x1001, 0 - n, 0, n); /* SETG, address */
    }
    check_odd(0x9e020022, 0x1000, 16, 0, false);
    check_odd(0x9e020022, 0x1000, minus, 0, false);
    check_odd(0x9e030022, 0x1000, 16, 2, false);
    check_odd(0x9e030022, 0x1000, minus, 2, true);
    check_odd(0x9f020022, 0x1001, minus, 0, false);
    check_odd(0x9f820022, 0x1000, minus, 0, false);
    check_odd(0x9f820022, 0x1000, minus + 1, 0, true);
    check_odd(0x9e820022, 0x1001, minus + 1, 0, false); /* isSETG of a copy means nothing */
}

static void test_odd_is_an_option(void)
{
    setup s = good_setup();

    s.state.mops.options = 0;
    s.frame.x[2] = 16;
    set_nzcv(&s.frame, 0);
    CU_ASSERT(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
    CU_ASSERT_EQUAL(s.state.mops.odd, 0);
}

/* Who steps, steps into the prologue: the host's step is pending, the guest's own too. */
static void test_step(void)
{
    for (uint32_t owner = 0; owner < 3; owner++) {
        setup s = good_setup();

        s.state.step = (hvcore_step_state){.owner = owner, .guest_ss = 1};
        s.frame.spsr |= SS;
        CU_ASSERT(is(call(&s), HVCORE_RESULT_DONE, 0, 0));
        CU_ASSERT_EQUAL(s.frame.spsr & SS, 0);
        CU_ASSERT_EQUAL(s.state.step.host_pending, owner == HVCORE_STEP_OWNER_HOST);
        CU_ASSERT_EQUAL(s.state.step.guest_ss, 0);
    }
}

/* --- normalise -------------------------------------------------------------------------------- */

static setup stopped_setup(void)
{
    setup s = random_setup();

    s.frame.spsr &= ~UINT64_C(0xc00);
    s.frame.pc = (s.frame.pc & ~UINT64_C(3)) | 8;
    return s;
}

static hvcore_result normalise(setup *s, uint32_t insn, const uint32_t *first)
{
    return hvcore_mops_normalise(&s->frame, insn, first, &s->state);
}

/* It is left as it is, for that reason. */
static bool left(setup s, uint32_t insn, const uint32_t *first, uint32_t why)
{
    setup before = s;

    return is(normalise(&s, insn, first), HVCORE_RESULT_DONE, why, before.frame.pc) &&
           memcmp(&s, &before, sizeof s) == 0;
}

static uint32_t word_of_way(const way *w, const syndrome *y, unsigned stage)
{
    pe p = {.family = w->family, .regs = *y};

    return word_of(&p, stage);
}

static void check_normalise(const way *w)
{
    syndrome y = random_syndrome(w);
    setup s = stopped_setup(), wanted;
    uint32_t first = word_of_way(w, &y, 0), insn = word_of_way(w, &y, y.epilogue ? 2 : 1);

    put_way(w, &y, &s.frame);
    wanted = s;
    if (w->done == w->len) {
        expect(left(s, insn, &first, HVCORE_MOPS_LEFT_NOTHING));
        return;
    }
    put_rest(w, &y, &wanted.frame);
    wanted.frame.pc -= y.epilogue ? 8 : 4;
    wanted.frame.spsr &= ~(uint64_t)SS;
    expect(is(normalise(&s, insn, rnd() & 1 ? &first : NULL), HVCORE_RESULT_DONE,
              HVCORE_MOPS_NORMALISED, wanted.frame.pc));
    expect(memcmp(&s.frame, &wanted.frame, sizeof s.frame) == 0);
    expect(s.state.mops.normalised == 1 && s.state.mops.streak == 0);
}

static void test_normalise_by_meaning(void)
{
    wrong = 0;
    for (int n = 0; n < 300000 && !wrong; n++) {
        way w = random_way();

        check_normalise(&w);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Flags, sign, limit, granule: by family, which combinations does a prologue leave? */
static bool slow_decidable(enum family family, uint64_t flags, uint64_t n, uint64_t d)
{
    bool negative = n >> 63;
    uint64_t amount = negative ? 0 - n : n;
    bool fits;

    if (flags == 0) {
        fits = negative || family == CPY;
    } else {
        fits = !negative && (flags == 2 || (flags == 10 && family == CPY));
    }
    return fits && amount <= limit_of(family) && (family != SETG || (d % 16 == 0 && n % 16 == 0));
}

static uint64_t amount_near(enum family family)
{
    uint64_t n = rnd() % 3 ? limit_of(family) + rnd() % 64 - 32 : rnd() >> rnd() % 64;

    n = rnd() & 1 ? n & ~UINT64_C(15) : n;
    n = rnd() & 1 ? 0 - n : n;
    return n ? n : 16;
}

static void test_normalise_undecided(void)
{
    uint64_t decided = 0;

    wrong = 0;
    for (int n = 0; n < 300000 && !wrong; n++) {
        way w = random_way();
        syndrome y = random_syndrome(&w);
        setup s = stopped_setup();
        uint32_t insn = word_of_way(&w, &y, 1 + n % 2);
        uint64_t flags = rnd() & 1 ? rnd() & 15 : rnd() & 10;

        s.frame.x[y.n] = amount_near(w.family);
        s.frame.x[y.d] &= rnd() & 1 ? ~UINT64_C(15) : UINT64_MAX;
        set_nzcv(&s.frame, flags);
        if (slow_decidable(w.family, flags, s.frame.x[y.n], s.frame.x[y.d])) {
            expect(normalise(&s, insn, NULL).arg == HVCORE_MOPS_NORMALISED);
            decided++;
        } else {
            expect(left(s, insn, NULL, HVCORE_MOPS_LEFT_UNDECIDED));
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(decided > 10000 && decided < 290000);
}

/* A main that the guest reached by a branch: its prologue is not what was executed before. */
static void test_normalise_after_branch(void)
{
    for (uint64_t btype = 0; btype < 4; btype++) {
        way w = {.family = CPY, .dst = 0x1000, .src = 0x2000, .len = 64, .option_b = true};
        syndrome y = random_syndrome(&w);
        setup s = stopped_setup();

        put_way(&w, &y, &s.frame);
        s.frame.spsr |= btype << 10;
        CU_ASSERT_EQUAL(normalise(&s, word_of_way(&w, &y, 1), NULL).arg,
                        btype ? HVCORE_MOPS_LEFT_UNDECIDED : HVCORE_MOPS_NORMALISED);
    }
}

/* The words as the architecture lays them out; the registers are as in the syndrome. */
static bool slow_is_main_or_epilogue(uint32_t insn)
{
    uint32_t fixed = insn & 0xfb200c00, op1 = insn >> 22 & 3, op2 = insn >> 12 & 15;

    if (fixed != 0x19000400) {
        return false;
    }
    return op1 == 3 ? op2 >> 2 == 1 || op2 >> 2 == 2 : op1 != 0;
}

static uint32_t slow_left(const setup *s, uint32_t insn)
{
    unsigned d = insn % 32, n = insn / 32 % 32, src = insn / 65536 % 32;
    bool set = (insn >> 22 & 3) == 3,
         epilogue = set ? (insn >> 14 & 3) == 2 : (insn >> 22 & 3) == 2;

    if (!slow_is_main_or_epilogue(insn)) {
        return HVCORE_MOPS_LEFT_OTHER_INSN;
    }
    if (d == 31 || n == 31 || (src == 31 && !set) || d == n || d == src || n == src) {
        return HVCORE_MOPS_LEFT_REGISTERS;
    }
    return s->frame.pc % 4 || s->frame.pc < (epilogue ? 8 : 4) ? HVCORE_MOPS_LEFT_PC : 0;
}

static void test_normalise_words(void)
{
    wrong = 0;
    for (int n = 0; n < 1000000 && !wrong; n++) {
        setup s = random_setup(), before;
        uint32_t insn = (uint32_t)rnd(), why;

        insn = n % 8 ? (insn & ~UINT32_C(0xfb200c00)) | 0x19000400 : insn;
        insn ^= n % 5 ? 0 : UINT32_C(1) << rnd() % 32;
        s.frame.pc = n % 3 ? s.frame.pc & ~UINT64_C(3) : rnd() % 16;
        before = s;
        why = slow_left(&s, insn);
        if (why) {
            expect(left(s, insn, NULL, why));
        } else {
            hvcore_result r = normalise(&s, insn, NULL);
            bool kept = memcmp(&s, &before, sizeof s) == 0;

            expect(r.kind == HVCORE_RESULT_DONE && r.addr == s.frame.pc);
            expect(kept ? r.arg == HVCORE_MOPS_LEFT_UNDECIDED || r.arg == HVCORE_MOPS_LEFT_NOTHING
                        : r.arg == HVCORE_MOPS_NORMALISED);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Every bit of the word before decides. */
static void test_normalise_prologue(void)
{
    wrong = 0;
    for (int n = 0; n < 1000; n++) {
        way w = random_way();
        syndrome y = random_syndrome(&w);
        setup s = stopped_setup();
        uint32_t first = word_of_way(&w, &y, 0) ^ UINT32_C(1) << n % 32;

        put_way(&w, &y, &s.frame);
        expect(left(s, word_of_way(&w, &y, 1), &first, HVCORE_MOPS_LEFT_NO_PROLOGUE));
        expect(left(s, word_of_way(&w, &y, 2), &first, HVCORE_MOPS_LEFT_NO_PROLOGUE));
        expect(left(s, word_of_way(&w, &y, 0), NULL, HVCORE_MOPS_LEFT_OTHER_INSN));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_normalise_modes(void)
{
    for (uint64_t m = 8; m < 32; m++) {
        setup s = stopped_setup();

        s.frame.spsr |= m & 24 ? m : 0;
        CU_ASSERT(left(s, 0x1d410440, NULL, HVCORE_MOPS_LEFT_NOT_GUEST));
    }
}

static const hvc_unit_test tests[] = {
    {"vectors", test_vectors},
    {"rejected vectors", test_rejected_vectors},
    {"what is left to do, any numbers", test_by_meaning},
    {"bytes, the option drawn anew at every instruction", test_bytes},
    {"all register numbers", test_all_registers},
    {"all modes and exception classes", test_all_modes_and_classes},
    {"all low and high pcs", test_all_low_pcs},
    {"bits that mean nothing", test_ignored_bits},
    {"garbage", test_garbage},
    {"no syndrome", test_no_syndrome},
    {"a stale pc", test_stale_pc},
    {"a guest without these instructions", test_hidden},
    {"streak", test_streak},
    {"kinds are counted", test_kinds},
    {"odd states are counted", test_odd},
    {"... if wanted", test_odd_is_an_option},
    {"single-step", test_step},
    {"normalise: what is left to do", test_normalise_by_meaning},
    {"normalise: undecided", test_normalise_undecided},
    {"normalise: after a branch", test_normalise_after_branch},
    {"normalise: all kinds of words", test_normalise_words},
    {"normalise: the prologue", test_normalise_prologue},
    {"normalise: modes", test_normalise_modes},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("mops", tests);
}
