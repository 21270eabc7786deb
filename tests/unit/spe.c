/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvcore_spe_*: the plans against a machine whose mistakes can be seen in its memory, and a guest's
 * accesses against the encodings.
 *
 * The machine below is a PE with one profiling or trace unit, its registers, tables for translation
 * and pages of a host, a guest and a hypervisor, all of it plain words. It shares nothing with the
 * library and is the weakest that the texts allow. Its rules, and where they are from:
 *
 *   old or new   until a context synchronization event each look at a register that was written may
 *                see either value (DDI0487 D17.9; D6.11 RPFJJZ)
 *   pipe         an operation that was sampled hands over its record when it likes, until sampling
 *                is off and that is synchronized. (Stricter than D17.4, by which EL2 is not sampled
 *                for an owner at EL1: but every driver's sequence switches off first)
 *   barriers     PSB, TSB: all records that were handed over get translated, their stores begin; a
 *                DSB completes stores that have begun before such a barrier (text of PSB CSYNC)
 *   discard      what is not in memory when the unit is found disabled or stopped may be lost
 *                (D17.4)
 *   walk         an enabled unit may translate its pointer at any time, marks the descriptor in
 *                memory as dirty, and keeps the translation as long as it likes, at most until it
 *                is disabled (specs 8: the fix of 2026)
 *   start        a unit that sees sampling and buffer come on, both unsynchronized, may begin
 *                without buffer and stay so. (Stricter than any text; the ISB between is Linux's)
 *   errata       the three of hvcore_spe_flag, as their notices describe them (specs 15)
 *
 * What is looked at in the end: every word of the guest's, the hypervisor's and the host's pages,
 * and whether the buffer holds exactly the records that the host asked for, in order.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <hvcore/error.h>
#include <hvcore/fixup/arm64_state.h>
#include <hvcore/fixup/spe.h>

#include "tests/unit/random.h"
#include "tests/unit/unit.h"

static uint64_t wrong; /* counted, so that a failure says once how often */

static void expect(bool good)
{
    wrong += !good;
}

/* --- the machine ------------------------------------------------------------------------------ */

enum { WORDS = 64, BUFFER_VA = 5, BASE = 8 }; /* the buffer: page 5 of any table, words 8 to 63 */

enum page { HOST_PT, HOST_DATA, HOST_BUF, GUEST_PT, GUEST_DATA, HYP_PT, HYP_DATA, OLD_PT, PAGES };

#define VALID (UINT64_C(1) << 32)
#define DIRTY (UINT64_C(1) << 33)

/* What went wrong. */
enum defect {
    LOST = 1,        /* a record of the host is not in the buffer, or not as it should be */
    ALIEN = 2,       /* ... and one is that is not the host's */
    HOST_MEM = 4,    /* a word of the host outside of the buffer */
    GUEST_MEM = 8,   /* a word of the guest */
    HYP_MEM = 16,    /* a word of the hypervisor */
    DEAD = 32,       /* an exception at EL2, or a trap to EL3 */
    IRQ = 64,        /* an interrupt that nobody serves */
    UNASSERTED = 128 /* hvcore_spe_check() has found something; no corruption in itself */
};

#define CORRUPT 127u

typedef struct twin {
    uint64_t now, was; /* written; synchronized */
} twin;

typedef struct store {
    int page, word;
    uint64_t value;
    bool claimed; /* by a barrier: the next DSB completes it */
} store;

enum { QUEUE = 4, RECORDS = 128 };

typedef struct machine {
    uint64_t seed;
    uint64_t mem[PAGES][WORDS], wanted[PAGES][WORDS];
    /* what it is */
    bool trbe, e2h;
    uint32_t caps, errata;
    bool samples_el2; /* code at EL2 is sampled, too; not where the host itself is there */
    /* registers */
    twin limit, scr1, scr2, e2pb, ttbr1, ttbr2;
    uint64_t ptr, status;
    bool trap; /* TPMS, TTRF */
    int el;
    bool guest;
    /* the unit */
    uint64_t pipe[QUEUE], fifo[QUEUE];
    int pipes, fifos, flights;
    store flight[RECORDS];
    int tlb; /* page, or -1 */
    bool muted, misdirected, aborts;
    bool lenient; /* without the two rules that are stricter than the texts */
    bool quiet;   /* it does nothing by itself */
    /* its errata */
    int settle, stuck;
    bool csync_last;
    /* what the host asked for */
    uint64_t host_limit, host_scr, sequence;
    uint64_t asked[RECORDS];
    int askeds;
    unsigned defects;
    char *log; /* or NULL */
} machine;

static unsigned roll(machine *m, unsigned n)
{
    return (unsigned)(hvc_random(&m->seed) % n);
}

static uint64_t see(machine *m, const twin *reg)
{
    return roll(m, 2) ? reg->now : reg->was;
}

static void set(twin *reg, uint64_t value)
{
    reg->now = reg->was = value;
}

static bool stopped(const machine *m)
{
    return m->status >> 17 & 1;
}

/* --- ... its translation ---------------------------------------------------------------------- */

/* The page of the buffer, or -1: a fault, which stops the unit. */
static int walk(machine *m)
{
    uint64_t table = see(m, &m->e2pb) ? see(m, &m->ttbr1) : see(m, &m->ttbr2);
    uint64_t *descriptor = &m->mem[table][BUFFER_VA];

    if (!(*descriptor & VALID)) {
        m->status |= UINT64_C(1) << 17 | UINT64_C(0x24) << 26;
        return -1;
    }
    *descriptor |= DIRTY;
    return (int)(*descriptor & 0xff);
}

static void translate(machine *m)
{
    if (m->tlb < 0) {
        m->tlb = walk(m);
    }
}

/* --- ... its records: sampled -> pipe -> fifo -> flight -> memory ----------------------------- */

static uint64_t take(uint64_t *queue, int *n)
{
    uint64_t first = queue[0];

    (*n)--;
    memmove(queue, queue + 1, (size_t)*n * sizeof *queue);
    return first;
}

/* A record leaves the unit, if that is enabled and finds its buffer. */
static void issue(machine *m, uint64_t record)
{
    int word = m->misdirected ? BASE - 1 : (int)m->ptr;

    if (!(see(m, &m->limit) & 1) || stopped(m) || m->ptr >= WORDS || m->flights == RECORDS) {
        return;
    }
    translate(m);
    if (m->tlb < 0) {
        return;
    }
    m->flight[m->flights++] = (store){m->tlb, word, record, false};
    if (++m->ptr == WORDS) {
        m->status |= UINT64_C(1) << 17;
    }
}

static void issue_first(machine *m)
{
    if (m->fifos) {
        issue(m, take(m->fifo, &m->fifos));
    }
}

static void hand_over(machine *m)
{
    if (m->pipes) {
        if (m->fifos == QUEUE) {
            issue_first(m);
        }
        m->fifo[m->fifos++] = take(m->pipe, &m->pipes);
    }
}

static void remove_flight(machine *m, int i)
{
    m->flights--;
    memmove(m->flight + i, m->flight + i + 1, (size_t)(m->flights - i) * sizeof *m->flight);
}

static void land(machine *m, int i)
{
    const store *s = &m->flight[i];

    m->mem[s->page][s->word] = s->value;
    if (m->aborts) {
        m->status |= UINT64_C(1) << 17 | UINT64_C(1) << 18; /* S, EA */
    }
    remove_flight(m, i);
}

/* DDI0487 D17.4, "profiling is enabled". EL1 of the enable bits stands for TRFCR's, too. */
static bool is_sampled(machine *m, int el)
{
    int owner = see(m, &m->e2pb) ? 1 : 2;
    uint64_t scr = el == 2 ? see(m, &m->scr2) : see(m, &m->scr1);

    return m->caps == 2 && see(m, &m->limit) & 1 && !stopped(m) && el <= owner &&
           scr >> (el ? 1 : 0) & 1;
}

static void sample(machine *m, uint64_t record)
{
    if (m->muted) {
        return;
    }
    if (m->pipes == QUEUE) {
        hand_over(m);
    }
    m->pipe[m->pipes++] = record;
}

#define FROM_GUEST UINT64_C(0xbad0000)
#define FROM_EL2 UINT64_C(0xbae0000)

/* --- ... what it does by itself --------------------------------------------------------------- */

static void sample_others(machine *m)
{
    if (m->guest && is_sampled(m, m->el == 1 ? (int)roll(m, 2) : m->el)) {
        sample(m, FROM_GUEST | m->sequence++);
    }
    if (m->el == 2 && m->samples_el2 && is_sampled(m, 2)) {
        sample(m, FROM_EL2 | m->sequence++);
    }
}

static bool comes_on(const twin *reg, uint64_t bits)
{
    return reg->now & bits && !(reg->was & bits);
}

static void abandon(machine *m)
{
    if (m->flights && !(see(m, &m->limit) & 1)) {
        remove_flight(m, (int)roll(m, (unsigned)m->flights));
    }
}

static void act(machine *m)
{
    switch (roll(m, 8)) {
    case 0:
        sample_others(m);
        break;
    case 1:
        hand_over(m);
        break;
    case 2:
        issue_first(m);
        break;
    case 3:
        if (m->flights) {
            land(m, (int)roll(m, (unsigned)m->flights));
        }
        break;
    case 4:
        if (m->caps == 2 && see(m, &m->limit) & 1) {
            translate(m);
        }
        break;
    case 5:
        abandon(m);
        break;
    case 6:
        m->tlb = -1; /* nothing says how long it is kept */
        break;
    default:
        m->muted |= !m->lenient && comes_on(&m->limit, 1) && comes_on(&m->scr1, 3);
        break;
    }
}

static void tick(machine *m, unsigned most)
{
    for (unsigned n = m->quiet ? 0 : roll(m, most + 1); n; n--) {
        act(m);
    }
}

/* --- ... what software does to it ------------------------------------------------------------- */

static void note(machine *m, const char *what)
{
    if (m->log) {
        strcat(m->log, *m->log ? ", " : "");
        strcat(m->log, what);
    }
}

static void barrier(machine *m, const char *what, bool csync)
{
    m->csync_last = m->csync_last && csync;
    note(m, what);
}

/* DDI0487 D17.4: EL2 is above an owner at EL1; being there is being off. */
static bool is_off(const machine *m)
{
    return !((m->scr1.now | m->scr2.now) & 3) || (m->lenient && m->el == 2 && m->e2pb.now);
}

static void close_pipe(machine *m)
{
    if (is_off(m)) {
        while (m->pipes) {
            hand_over(m);
        }
    }
}

/* A context synchronization event. */
static void synchronize(machine *m)
{
    twin *all[] = {&m->limit, &m->scr1, &m->scr2, &m->e2pb, &m->ttbr1, &m->ttbr2};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        all[i]->was = all[i]->now;
    }
    close_pipe(m);
    m->settle -= m->settle > 0;
    if (!(m->limit.now & 1)) {
        m->tlb = -1;
    }
}

static void isb(machine *m)
{
    barrier(m, "isb", false);
    synchronize(m);
    tick(m, 3);
}

static void csync(machine *m)
{
    bool works = !(m->errata & HVCORE_SPE_DRAIN_TWICE) || m->csync_last;

    barrier(m, m->trbe ? "tsb" : "psb", true);
    m->csync_last = true;
    if (works) {
        while (m->fifos) {
            issue_first(m);
        }
        for (int i = 0; i < m->flights; i++) {
            m->flight[i].claimed = true;
        }
        m->stuck -= m->stuck == 2;
    }
    tick(m, 3);
}

static void dsb(machine *m)
{
    barrier(m, "dsb", false);
    for (int i = m->flights - 1; i >= 0; i--) {
        if (m->flight[i].claimed) {
            land(m, i);
        }
    }
    m->stuck -= m->stuck == 1;
    tick(m, 3);
}

/* Encodings, op0 to op2, from the tables of specs 2 and 15. */
#define ENC(op0, op1, crn, crm, op2) ((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

enum name { N_DFR0, N_IDR, N_LIMIT, N_STATUS, N_SCR1, N_SCR2, N_SCR12, NAMES };

static const struct {
    uint32_t enc;
    const char *text;
} names[2][NAMES] = {
    {{ENC(3, 0, 0, 5, 0), "ID_AA64DFR0_EL1"},
     {ENC(3, 0, 9, 10, 7), "PMBIDR_EL1"},
     {ENC(3, 0, 9, 10, 0), "PMBLIMITR_EL1"},
     {ENC(3, 0, 9, 10, 3), "PMBSR_EL1"},
     {ENC(3, 0, 9, 9, 0), "PMSCR_EL1"},
     {ENC(3, 4, 9, 9, 0), "PMSCR_EL2"},
     {ENC(3, 5, 9, 9, 0), "PMSCR_EL12"}},
    {{ENC(3, 0, 0, 5, 0), "ID_AA64DFR0_EL1"},
     {ENC(3, 0, 9, 11, 7), "TRBIDR_EL1"},
     {ENC(3, 0, 9, 11, 0), "TRBLIMITR_EL1"},
     {ENC(3, 0, 9, 11, 3), "TRBSR_EL1"},
     {ENC(3, 0, 1, 2, 1), "TRFCR_EL1"},
     {ENC(3, 4, 1, 2, 1), "TRFCR_EL2"},
     {ENC(3, 5, 1, 2, 1), "TRFCR_EL12"}},
};

static unsigned name_of(const machine *m, uint32_t enc)
{
    unsigned n = 0;

    while (n < NAMES && names[m->trbe][n].enc != enc) {
        n++;
    }
    return n;
}

static void note_access(machine *m, bool write, uint32_t enc, uint64_t value)
{
    unsigned n = name_of(m, enc);
    const char *text = n < NAMES ? names[m->trbe][n].text : "?";
    char line[64];

    if (write) {
        snprintf(line, sizeof line, "wr %s=%llx", text, (unsigned long long)value);
    } else {
        snprintf(line, sizeof line, "rd %s", text);
    }
    note(m, line);
    m->csync_last = false;
}

/* Which register an access at EL2 reaches; NAMES: it is the end. */
static enum name reach(machine *m, uint32_t enc)
{
    unsigned n = name_of(m, enc);

    if (n == NAMES || (n != N_DFR0 && m->caps == 0) || (n > N_IDR && m->caps == 1) ||
        (n == N_SCR12 && !m->e2h)) {
        m->defects |= DEAD;
        return NAMES;
    }
    if (m->e2h && n == N_SCR1) {
        return N_SCR2;
    }
    return n == N_SCR12 ? N_SCR1 : (enum name)n;
}

static uint64_t mrs(machine *m, uint32_t enc)
{
    enum name n = reach(m, enc);

    note_access(m, false, enc, 0);
    tick(m, 3);
    switch (n) {
    case N_DFR0:
        return m->caps ? (m->trbe ? UINT64_C(1) << 44 : UINT64_C(1) << 32) : UINT64_C(0x10305106);
    case N_IDR:
        return m->caps == 1 ? 1 << 4 | 6 : 6;
    case N_LIMIT:
        return m->limit.now;
    case N_STATUS:
        return m->status;
    case N_SCR1:
        return m->scr1.now;
    case N_SCR2:
        return m->scr2.now;
    default:
        return 0;
    }
}

static void write_limit(machine *m, uint64_t value)
{
    if (m->stuck) {
        return;
    }
    if (!(value & 1) && m->limit.now & 1 && m->errata & HVCORE_SPE_DRAIN_AFTER) {
        m->stuck = 2; /* a drain and a DSB free it */
    }
    if (value & 1 && !(m->limit.now & 1) && m->errata & HVCORE_SPE_SYNC_AFTER_ENABLE) {
        m->settle = 2;
    }
    m->limit.now = value;
}

static void write_scr1(machine *m, uint64_t value)
{
    m->misdirected |= m->settle && value & 3;
    m->scr1.now = value;
}

static void msr(machine *m, uint32_t enc, uint64_t value)
{
    note_access(m, true, enc, value);
    switch (reach(m, enc)) {
    case N_LIMIT:
        write_limit(m, value);
        break;
    case N_STATUS:
        m->status = m->stuck ? m->status : value;
        break;
    case N_SCR1:
        write_scr1(m, value);
        break;
    case N_SCR2:
        m->scr2.now = value;
        break;
    default:
        m->defects |= DEAD;
        break;
    }
    tick(m, 3);
}

static void switch_el(machine *m, int el)
{
    m->el = el;
    synchronize(m);
    tick(m, 3);
}

/* The executor of the header's text. */
static void execute(machine *m, hvcore_spe_pe *pe, const hvcore_spe_plan *plan)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        const hvcore_spe_op *op = &plan->ops[i];

        switch (op->kind) {
        case HVCORE_SPE_READ:
            pe->saved[op->slot] = mrs(m, op->reg);
            break;
        case HVCORE_SPE_WRITE_ZERO:
            msr(m, op->reg, 0);
            break;
        case HVCORE_SPE_WRITE_SAVED:
            msr(m, op->reg, pe->saved[op->slot]);
            break;
        case HVCORE_SPE_WRITE_VALUE:
            msr(m, op->reg, op->value);
            break;
        case HVCORE_SPE_ISB:
            isb(m);
            break;
        case HVCORE_SPE_PSB:
        case HVCORE_SPE_TSB:
            m->defects |= m->trbe == (op->kind == HVCORE_SPE_TSB) ? 0 : DEAD;
            csync(m);
            break;
        case HVCORE_SPE_DSB_NSH:
            dsb(m);
            break;
        case HVCORE_SPE_STOP_IF_CLEAR:
            if (!(pe->saved[op->slot] & op->value)) {
                return;
            }
            break;
        default:
            m->defects |= DEAD;
        }
    }
}

/* --- the host and its driver ------------------------------------------------------------------ */

/* What the host finds its unit in when it loses the PE. */
enum driver {
    ACTIVE,  /* on, and recording */
    EL0ONLY, /* the same, user space only */
    QUIET,   /* on, no longer recording, not drained */
    STOPPED, /* on, recording, S is set */
    IDLE,    /* off; the control is set all the same */
    DRIVERS
};

/* PA, bit 4, asks for physical addresses. */
static uint64_t control_of(enum driver d)
{
    return d == EL0ONLY ? 0x11 : 0x13;
}

static bool pa_recorded(const machine *m, bool asked)
{
    bool allowed = m->e2pb.now ? m->scr2.now >> 4 & 1 : true;

    return !m->trbe && asked && allowed;
}

/* The host at EL2 (VHE) has its control in the EL2 register. */
static void host_write_scr(machine *m, uint64_t value)
{
    m->host_scr = value;
    if (m->e2pb.now) {
        write_scr1(m, value);
    } else {
        m->scr2.now = value;
    }
}

static void host_enable(machine *m)
{
    m->host_limit = 1;
    write_limit(m, 1);
    isb(m);
    isb(m); /* what the erratum asks of the driver, too */
}

/* An operation of the host's that is to be recorded, if the host has asked for that. */
static void host_operation(machine *m, enum driver d)
{
    int el = m->e2pb.now ? (d == EL0ONLY ? 0 : 1) : 2;
    uint64_t record = UINT64_C(0x600d0000) | m->sequence++;
    bool pa = m->host_scr >> 4 & 1;

    if (m->host_limit & 1 && m->host_scr >> (el ? 1 : 0) & 1 && !stopped(m)) {
        m->asked[m->askeds++] = record | (uint64_t)(pa && !m->trbe) << 40;
        if (is_sampled(m, el)) {
            sample(m, record | (uint64_t)pa_recorded(m, pa) << 40);
        }
    }
    tick(m, 2);
}

static void host_runs(machine *m, enum driver d)
{
    for (int n = 0; n < 6; n++) {
        host_operation(m, d);
    }
}

static void host_stop_event(machine *m)
{
    while (m->pipes || m->fifos) {
        hand_over(m);
        issue_first(m);
    }
    m->status |= UINT64_C(1) << 17; /* EC 0: the buffer is full */
}

static void host_begins(machine *m, enum driver d)
{
    if (d == IDLE) {
        host_write_scr(m, control_of(d));
        isb(m);
        return;
    }
    host_enable(m);
    host_write_scr(m, control_of(d));
    isb(m);
    host_runs(m, d);
    if (d == QUIET) {
        host_write_scr(m, 0);
        isb(m);
    }
    if (d == STOPPED) {
        host_stop_event(m);
    }
}

static void host_drains(machine *m)
{
    csync(m);
    csync(m);
    dsb(m);
    isb(m);
}

/* The driver goes on, believing that nobody touched its registers, and looks at its buffer. */
static void host_ends(machine *m, enum driver d)
{
    if (d == IDLE) {
        host_enable(m);
    }
    if (d == QUIET) {
        host_write_scr(m, control_of(d));
        isb(m);
    }
    if (d == STOPPED) {
        host_drains(m);
        m->status = 0;
    }
    host_runs(m, d);
    host_write_scr(m, 0);
    isb(m);
    host_drains(m);
}

/* --- the guest -------------------------------------------------------------------------------- */

/* A guest writes its own memory, and the unit's registers where that does not trap. */
static void guest_runs(machine *m)
{
    m->guest = true;
    switch_el(m, 1);
    for (int n = 0; n < 8; n++) {
        m->mem[GUEST_DATA][n] = m->wanted[GUEST_DATA][n] = hvc_random(&m->seed);
        tick(m, 3);
    }
    if (m->caps == 2 && m->e2pb.was & 1) {
        set(&m->limit, 0);
        m->ptr = BASE;
    }
    if (m->caps == 2 && !m->trap) {
        set(&m->scr1, 3);
    }
    m->guest = false;
    switch_el(m, 2);
}

/* --- one run ---------------------------------------------------------------------------------- */

typedef struct setup {
    hvcore_spe_config config; /* what the library is told, but for caps */
    uint32_t caps, errata;    /* what the machine is */
    enum driver driver;
    bool lenient;
} setup;

/* LATE: park after loading the guest; FORCE: believe that the unit is ours. */
enum kind { KEEP, DROP, SWAP, LATE, FORCE };

/* A change to one plan, or to what is done with plans. */
typedef struct change {
    enum kind what;
    uint32_t direction, at;
    uint32_t also; /* of DROP: after `at` is gone, this one, too, plus 1; 0: none */
} change;

static bool at_el1(uint32_t host)
{
    return host == HVCORE_SPE_HOST_NVHE || host == HVCORE_SPE_HOST_HVHE;
}

static bool is_bare(uint32_t host)
{
    return host == HVCORE_SPE_HOST_BARE || host == HVCORE_SPE_HOST_BARE_E2H;
}

static void drop(hvcore_spe_plan *plan, uint32_t at)
{
    plan->count--;
    memmove(plan->ops + at, plan->ops + at + 1, (plan->count - at) * sizeof *plan->ops);
}

static void apply(hvcore_spe_plan *plan, const change *c, uint32_t direction)
{
    if (c->direction != direction || c->at >= plan->count) {
        return;
    }
    if (c->what == DROP) {
        drop(plan, c->at);
        if (c->also) {
            drop(plan, c->also - 1);
        }
    } else if (c->what == SWAP && c->at + 1 < plan->count) {
        hvcore_spe_op first = plan->ops[c->at];

        plan->ops[c->at] = plan->ops[c->at + 1];
        plan->ops[c->at + 1] = first;
    }
}

static void perform(machine *m, hvcore_spe_pe *pe, uint32_t direction, const change *c)
{
    hvcore_spe_plan plan;

    expect(hvcore_spe_plan_make(&pe->config, direction, &plan) == 0);
    apply(&plan, c, direction);
    execute(m, pe, &plan);
}

static void fill_memory(machine *m)
{
    for (int page = 0; page < PAGES; page++) {
        for (int word = 0; word < WORDS; word++) {
            m->mem[page][word] = (uint64_t)(page + 1) << 56 | (uint64_t)word * 0x9e3779b9;
        }
    }
    m->mem[HOST_PT][BUFFER_VA] = VALID | HOST_BUF;
    m->mem[GUEST_PT][BUFFER_VA] = VALID | GUEST_DATA;
    m->mem[HYP_PT][BUFFER_VA] = VALID | HYP_DATA;
    m->mem[OLD_PT][BUFFER_VA] = VALID | HOST_BUF;
    memcpy(m->wanted, m->mem, sizeof m->mem);
}

static machine power_on(const setup *s, uint64_t seed)
{
    machine m = {.seed = seed, .caps = s->caps, .errata = s->errata, .el = 2};

    m.tlb = -1;
    m.ptr = BASE;
    m.lenient = s->lenient;
    m.trbe = s->config.unit == HVCORE_SPE_UNIT_TRBE;
    m.e2h = s->config.host == HVCORE_SPE_HOST_VHE || s->config.host == HVCORE_SPE_HOST_HVHE ||
            s->config.host == HVCORE_SPE_HOST_BARE_E2H;
    fill_memory(&m);
    set(&m.ttbr1, HOST_PT);
    set(&m.ttbr2, s->config.host == HVCORE_SPE_HOST_VHE ? HOST_PT : HYP_PT);
    set(&m.scr1, 3); /* UNKNOWN out of reset */
    return m;
}

static hvcore_spe_pe new_pe(const setup *s)
{
    return (hvcore_spe_pe){.size = sizeof(hvcore_spe_pe), .version = 1, .config = s->config};
}

static void come_up(machine *m, hvcore_spe_pe *pe, const change *c)
{
    perform(m, pe, HVCORE_SPE_PROBE, c);
    pe->config.caps = hvcore_spe_caps(pe->config.unit, pe->saved[HVCORE_SPE_SLOT_DFR0],
                                      pe->saved[HVCORE_SPE_SLOT_IDR]);
    pe->config.caps = c->what == FORCE ? HVCORE_SPE_OWNED : pe->config.caps;
    perform(m, pe, HVCORE_SPE_INIT, c);
}

/* MDCR_EL2 for one side, with the fields by their bit numbers. */
static void write_mdcr(machine *m, const hvcore_spe_pe *pe, uint32_t side)
{
    hvcore_spe_traps traps = {.mdcr_el2 = hvc_random(&m->seed)};

    expect(hvcore_spe_traps_set(&pe->config, side, &traps) == 0);
    m->e2pb.now = traps.mdcr_el2 >> (m->trbe ? 24 : 12) & 3;
    m->trap = traps.mdcr_el2 >> (m->trbe ? 19 : 14) & 1;
    tick(m, 3);
}

static void assert_check(machine *m, const hvcore_spe_pe *pe)
{
    hvcore_spe_live live = {.limit = m->limit.now, .control = m->scr1.now};

    live.mdcr_el2 = m->e2pb.now << (m->trbe ? 24 : 12) | (uint64_t)m->trap << (m->trbe ? 19 : 14);
    m->defects |= hvcore_spe_check(pe, &live) ? UNASSERTED : 0;
}

static void park(machine *m, hvcore_spe_pe *pe, const change *c)
{
    perform(m, pe, HVCORE_SPE_PARK, c);
    expect(hvcore_spe_account(pe, HVCORE_SPE_PARK) == 0);
}

static void load_guest(machine *m, const hvcore_spe_pe *pe)
{
    m->ttbr1.now = GUEST_PT;
    tick(m, 3);
    write_mdcr(m, pe, HVCORE_SPE_SIDE_GUEST);
}

static void load_host(machine *m, const hvcore_spe_pe *pe)
{
    m->ttbr1.now = HOST_PT;
    tick(m, 3);
    write_mdcr(m, pe, HVCORE_SPE_SIDE_HOST);
}

/* Host, guest, host: one entry and exit, the guest left and entered again in between. */
static void visit_guest(machine *m, hvcore_spe_pe *pe, const change *c)
{
    switch_el(m, 2);
    if (c->what == LATE) {
        load_guest(m, pe);
        park(m, pe, c);
    } else {
        park(m, pe, c);
        load_guest(m, pe);
    }
    assert_check(m, pe);
    guest_runs(m);
    guest_runs(m);
    load_host(m, pe);
    perform(m, pe, HVCORE_SPE_UNPARK, c);
    expect(hvcore_spe_account(pe, HVCORE_SPE_UNPARK) == 0);
    switch_el(m, m->e2pb.now ? 1 : 2);
}

static bool same_page(const machine *m, enum page page, uint64_t but)
{
    for (int i = 0; i < WORDS; i++) {
        if ((m->mem[page][i] ^ m->wanted[page][i]) & ~(i == BUFFER_VA ? but : 0)) {
            return false;
        }
    }
    return true;
}

/* The buffer holds what was asked for, no more and no less. */
static unsigned look_at_buffer(const machine *m)
{
    unsigned found = 0;

    for (int i = 0; i < WORDS; i++) {
        uint64_t word = m->mem[HOST_BUF][i];
        int n = i - BASE;

        if (n >= 0 && n < m->askeds) {
            found |= word == m->asked[n] ? 0 : LOST;
            found |= word >> 16 == FROM_GUEST >> 16 ? ALIEN : 0;
        } else if (word != m->wanted[HOST_BUF][i]) {
            found |= n < 0 ? HOST_MEM : ALIEN;
        }
    }
    return found | (m->ptr == (uint64_t)(BASE + m->askeds) ? 0 : LOST);
}

static unsigned look(const machine *m)
{
    unsigned found = m->defects;

    found |= same_page(m, HOST_PT, DIRTY) && same_page(m, HOST_DATA, 0) ? 0 : HOST_MEM;
    found |= same_page(m, GUEST_PT, 0) && same_page(m, GUEST_DATA, 0) ? 0 : GUEST_MEM;
    found |= same_page(m, HYP_PT, 0) && same_page(m, HYP_DATA, 0) ? 0 : HYP_MEM;
    return found;
}

/* A machine with a host: up, driver, two visits, driver. */
static machine run_host(const setup *s, const change *c, uint64_t seed)
{
    machine m = power_on(s, seed);
    hvcore_spe_pe pe = new_pe(s);
    bool el1 = at_el1(s->config.host);

    come_up(&m, &pe, c);
    write_mdcr(&m, &pe, HVCORE_SPE_SIDE_HOST);
    set(&m.scr1, el1 ? 0 : m.scr1.now);
    switch_el(&m, el1 ? 1 : 2);
    if (m.caps == 2) {
        host_begins(&m, s->driver);
    }
    for (int visit = 0; visit < 2; visit++) {
        visit_guest(&m, &pe, c);
        host_runs(&m, s->driver);
    }
    if (m.caps == 2) {
        host_ends(&m, s->driver);
    }
    m.defects |= look(&m) | look_at_buffer(&m);
    return m;
}

/* A record where none may be any more. */
static bool is_recorded(const machine *m)
{
    for (int page = 0; page < PAGES; page++) {
        for (int i = 0; i < WORDS; i++) {
            uint64_t word = m->mem[page][i];

            if (word != m->wanted[page][i] &&
                (word >> 16 == FROM_GUEST >> 16 || word >> 16 == FROM_EL2 >> 16)) {
                return true;
            }
        }
    }
    return false;
}

/* Somebody who used the unit at EL2 has gone; its buffer and tables are the hypervisor's now. */
static machine run_bare(const setup *s, const change *c, uint64_t seed)
{
    machine m = power_on(s, seed);
    hvcore_spe_pe pe = new_pe(s);

    m.samples_el2 = m.aborts = m.caps == 2;
    set(&m.ttbr2, OLD_PT);
    set(&m.scr2, m.caps == 2 ? 3 : 0);
    set(&m.limit, m.caps == 2);
    tick(&m, 30);
    come_up(&m, &pe, c);
    m.ttbr2.now = HYP_PT;
    memcpy(m.wanted[HOST_BUF], m.mem[HOST_BUF], sizeof m.mem[HOST_BUF]);
    tick(&m, 8);
    for (int visit = 0; visit < 2; visit++) {
        visit_guest(&m, &pe, c);
    }
    m.defects |= look(&m) | (same_page(&m, HOST_BUF, 0) ? 0 : HYP_MEM) | (m.status ? IRQ : 0);
    m.defects |= is_recorded(&m) ? ALIEN : 0;
    return m;
}

static unsigned run(const setup *s, const change *c, uint64_t seed)
{
    machine m = is_bare(s->config.host) ? run_bare(s, c, seed) : run_host(s, c, seed);

    return m.defects;
}

/* --- the property ----------------------------------------------------------------------------- */

enum { SEEDS = 600, STATES = DRIVERS + 2 };

/* Drivers in turn, then the two PEs that have nothing for the host. */
static setup state_of(const hvcore_spe_config *config, unsigned n)
{
    setup s = {.config = *config, .caps = HVCORE_SPE_OWNED, .errata = config->flags & 7};

    s.driver = n < DRIVERS ? (enum driver)n : IDLE;
    if (n >= DRIVERS) {
        s.caps = n == DRIVERS ? HVCORE_SPE_ABSENT : HVCORE_SPE_FOREIGN;
    }
    return s;
}

/* What `seeds` runs in any state have shown; they end with the first corruption. */
static unsigned seek(const hvcore_spe_config *config, const change *c, unsigned seeds, bool lenient)
{
    unsigned found = 0;

    for (unsigned seed = 0; seed < seeds && !(found & CORRUPT); seed++) {
        for (unsigned n = 0; n < STATES && !(found & CORRUPT); n++) {
            setup s = state_of(config, n);

            s.lenient = lenient;
            found |= run(&s, c, seed * STATES + n);
        }
    }
    return found;
}

/* Every configuration that a plan can be made for. */
static bool next_config(hvcore_spe_config *config)
{
    config->flags = (config->flags + 1) % (HVCORE_SPE_FLAGS + 1);
    if (!config->flags) {
        config->host = (config->host + 1) % HVCORE_SPE_HOSTS;
        if (!config->host) {
            config->unit++;
        }
    }
    return config->unit < HVCORE_SPE_UNITS;
}

static void test_unchanged_is_clean(void)
{
    hvcore_spe_config config = {0};
    const change none = {.what = KEEP, .direction = HVCORE_SPE_DIRECTIONS};

    wrong = 0;
    do {
        expect(seek(&config, &none, 40, false) == 0);
    } while (next_config(&config));
    CU_ASSERT_EQUAL(wrong, 0);
}

/* What is asked for without need does no harm: all flags on a PE without errata. */
static void test_flags_without_errata(void)
{
    hvcore_spe_config config = {.flags = HVCORE_SPE_FLAGS};
    const change none = {.what = KEEP, .direction = HVCORE_SPE_DIRECTIONS};

    wrong = 0;
    for (unsigned i = 0; i < 2 * HVCORE_SPE_HOSTS * STATES * 40; i++) {
        setup s;

        config.unit = i % 2;
        config.host = i / 2 % HVCORE_SPE_HOSTS;
        s = state_of(&config, i / 10 % STATES);
        s.errata = 0;
        expect(run(&s, &none, i) == 0);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Changes that do no harm, and why. A name of -1 is any register. */
typedef struct excuse {
    uint32_t direction;
    int what;
    uint16_t kind;
    int name;
    uint16_t next;
    int next_name;
    const char *why;
} excuse;

static const excuse excuses[] = {
    {HVCORE_SPE_PARK, SWAP, HVCORE_SPE_STOP_IF_CLEAR, -1, HVCORE_SPE_READ, -1,
     "an idle host pays one more read; nothing is written"},
    {HVCORE_SPE_PARK, DROP, HVCORE_SPE_READ, N_STATUS, 0, -1,
     "diagnostic: only the counters live on it (test_watch)"},
    {HVCORE_SPE_PARK, SWAP, HVCORE_SPE_READ, N_STATUS, HVCORE_SPE_READ, -1,
     "two reads of registers that neither changes"},
    {HVCORE_SPE_PARK, SWAP, HVCORE_SPE_ISB, -1, HVCORE_SPE_READ, N_STATUS,
     "diagnostic: an old status may be read, and a counter miss one"},
    {HVCORE_SPE_PARK, SWAP, HVCORE_SPE_PSB, -1, HVCORE_SPE_PSB, -1, "the same twice"},
    {HVCORE_SPE_PARK, SWAP, HVCORE_SPE_TSB, -1, HVCORE_SPE_TSB, -1, "the same twice"},
    {HVCORE_SPE_PARK, SWAP, HVCORE_SPE_DSB_NSH, -1, HVCORE_SPE_ISB, -1,
     "the second drain: both are complete before anything of the guest is loaded"},
    {HVCORE_SPE_UNPARK, SWAP, HVCORE_SPE_STOP_IF_CLEAR, -1, HVCORE_SPE_ISB, -1,
     "an idle host pays an ISB"},
    {HVCORE_SPE_UNPARK, SWAP, HVCORE_SPE_ISB, -1, HVCORE_SPE_ISB, -1, "the same twice"},
    {HVCORE_SPE_INIT, DROP, HVCORE_SPE_WRITE_ZERO, N_SCR2, 0, -1,
     "a second lock: disabled, nothing is recorded (test_second_locks)"},
    {HVCORE_SPE_INIT, SWAP, HVCORE_SPE_WRITE_ZERO, -1, HVCORE_SPE_WRITE_ZERO, -1,
     "none is in effect before the ISB that follows"},
    {HVCORE_SPE_INIT, SWAP, HVCORE_SPE_PSB, -1, HVCORE_SPE_PSB, -1, "the same twice"},
    {HVCORE_SPE_INIT, SWAP, HVCORE_SPE_TSB, -1, HVCORE_SPE_TSB, -1, "the same twice"},
};

/* The same for bare hosts only: VHE's INIT has nothing but this. */
static const excuse bare_excuses[] = {
    {HVCORE_SPE_INIT, DROP, HVCORE_SPE_WRITE_ZERO, N_SCR1, 0, -1,
     "a second lock: disabled, nothing is recorded (test_second_locks)"},
};

/* What would be superfluous without the rules "pipe" and "start" of the machine. */
static const excuse by_the_letter[] = {
    {HVCORE_SPE_PARK, DROP, HVCORE_SPE_WRITE_ZERO, N_SCR1, 0, -1, "pipe"},
    {HVCORE_SPE_PARK, SWAP, HVCORE_SPE_WRITE_ZERO, N_SCR1, HVCORE_SPE_ISB, -1, "pipe"},
    {HVCORE_SPE_PARK, SWAP, HVCORE_SPE_ISB, -1, HVCORE_SPE_PSB, -1, "pipe"},
    {HVCORE_SPE_PARK, SWAP, HVCORE_SPE_ISB, -1, HVCORE_SPE_TSB, -1, "pipe"},
    {HVCORE_SPE_UNPARK, SWAP, HVCORE_SPE_WRITE_SAVED, N_LIMIT, HVCORE_SPE_ISB, -1, "start"},
    {HVCORE_SPE_UNPARK, SWAP, HVCORE_SPE_ISB, -1, HVCORE_SPE_WRITE_SAVED, N_SCR1, "start"},
};

/* By what it means; of E2H = 1 the _EL12 name is that of EL1. */
static int meaning(const hvcore_spe_config *config, const hvcore_spe_op *op)
{
    machine m = {.trbe = config->unit == HVCORE_SPE_UNIT_TRBE};
    unsigned n = op->reg ? name_of(&m, op->reg) : NAMES;

    return n == N_SCR12 ? N_SCR1 : (int)n;
}

#define LIST(list) list, sizeof list / sizeof *list

static bool listed(const excuse *e, size_t n, const hvcore_spe_config *config,
                   const hvcore_spe_op *op, const change *c)
{
    for (; n; n--, e++) {
        if (e->direction == c->direction && e->what == (int)c->what && e->kind == op->kind &&
            (e->name < 0 || e->name == meaning(config, op)) &&
            (c->what == DROP || e->next == op[1].kind) &&
            (e->next_name < 0 || e->next_name == meaning(config, op + 1))) {
            return true;
        }
    }
    return false;
}

/* The ISBs that only the two rules need: the first of PARK, the second of UNPARK. */
static bool is_letter_isb(const hvcore_spe_plan *plan, const change *c)
{
    uint32_t before = 0;

    for (uint32_t i = 0; i < c->at; i++) {
        before += plan->ops[i].kind == HVCORE_SPE_ISB;
    }
    return c->what == DROP && plan->ops[c->at].kind == HVCORE_SPE_ISB &&
           ((c->direction == HVCORE_SPE_PARK && before == 0) ||
            (c->direction == HVCORE_SPE_UNPARK && before == 1));
}

typedef struct tally {
    bool lenient;
    unsigned caught, harmless;
    unsigned by[8]; /* how often each kind of defect was among those that showed first */
} tally;

static bool is_harmless(const hvcore_spe_config *config, const hvcore_spe_plan *plan,
                        const change *c, bool lenient)
{
    const hvcore_spe_op *op = &plan->ops[c->at];

    return listed(LIST(excuses), config, op, c) ||
           (is_bare(config->host) && listed(LIST(bare_excuses), config, op, c)) ||
           (lenient && (listed(LIST(by_the_letter), config, op, c) || is_letter_isb(plan, c)));
}

static void judge(const hvcore_spe_config *config, const hvcore_spe_plan *plan, const change *c,
                  tally *t)
{
    bool harmless = is_harmless(config, plan, c, t->lenient);
    unsigned found = seek(config, c, harmless ? 60 : SEEDS, t->lenient);

    if (harmless != !(found & CORRUPT)) {
        fprintf(stderr, "unit %u host %u flags %u: direction %u, %s %u (kind %u): defects %#x\n",
                config->unit, config->host, config->flags, c->direction,
                c->what == DROP ? "drop" : "swap", c->at, plan->ops[c->at].kind, found);
    }
    expect(harmless == !(found & CORRUPT));
    t->harmless += harmless;
    t->caught += !harmless;
    for (int i = 0; i < 8; i++) {
        t->by[i] += found >> i & 1;
    }
}

enum { ENOUGH = 20 }; /* failures, and the rest is not looked at */

static void judge_plan(const hvcore_spe_config *config, uint32_t direction, tally *t)
{
    hvcore_spe_config owned = *config;
    hvcore_spe_plan plan;

    owned.caps = HVCORE_SPE_OWNED;
    expect(hvcore_spe_plan_make(&owned, direction, &plan) == 0);
    for (uint32_t at = 0; at < plan.count && wrong < ENOUGH; at++) {
        judge(config, &plan, &(change){DROP, direction, at, 0}, t);
        if (at + 1 < plan.count) {
            judge(config, &plan, &(change){SWAP, direction, at, 0}, t);
        }
    }
}

static void judge_all(const hvcore_spe_config *config, tally *t)
{
    for (uint32_t direction = 0; direction < HVCORE_SPE_DIRECTIONS; direction++) {
        judge_plan(config, direction, t);
    }
}

/* Every operation of every plan: dropped, and swapped with the next one. */
static void test_every_change_shows(void)
{
    hvcore_spe_config config = {0};
    tally t = {0};

    wrong = 0;
    do {
        judge_all(&config, &t);
    } while (next_config(&config));
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(t.caught > 3000);
    printf("\n    %u changes: %u corrupt (lost %u, alien %u, host %u, guest %u, hypervisor %u, ",
           t.caught + t.harmless, t.caught, t.by[0], t.by[1], t.by[2], t.by[3], t.by[4]);
    printf("dead %u, interrupt %u), %u asserted, %u harmless with a reason ... ", t.by[5], t.by[6],
           t.by[7], t.harmless);
}

/* By the letter of the architecture some operations are there for PEs that are slower than it. */
static void test_by_the_letter(void)
{
    hvcore_spe_config config = {0};
    tally t = {.lenient = true};

    wrong = 0;
    do {
        if (!(config.flags & ~(uint32_t)HVCORE_SPE_WATCH)) {
            judge_all(&config, &t);
        }
    } while (next_config(&config));
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Does any run record what it must not? */
static bool records(const hvcore_spe_config *config, uint32_t at, uint32_t also)
{
    const change c = {DROP, HVCORE_SPE_INIT, at, also};
    unsigned found = 0;

    for (unsigned seed = 0; seed < 200; seed++) {
        setup s = state_of(config, ACTIVE);

        found |= run(&s, &c, seed);
    }
    return found & ALIEN;
}

/* INIT of a bare host clears two controls (operations 0 and 1) and disables the unit (2): either
 * keeps guest and hypervisor from being recorded, without both they are. */
static void test_second_locks(void)
{
    hvcore_spe_config config = {0};

    wrong = 0;
    do {
        if (is_bare(config.host)) {
            expect(!records(&config, 0, 0));
            expect(!records(&config, 1, 0));
            expect(!records(&config, 2, 0));
            expect(records(&config, 0, 2));
            expect(records(&config, 1, 2));
        }
    } while (next_config(&config));
    CU_ASSERT_EQUAL(wrong, 0);
}

/* --- specs 17 --------------------------------------------------------------------------------- */

static const change none = {.what = KEEP, .direction = HVCORE_SPE_DIRECTIONS};

/* One PE with its unit in a given state, and what it did. */
typedef struct bench {
    machine m;
    hvcore_spe_pe pe;
    char log[1024];
} bench;

static void begin(bench *b, uint32_t unit, uint32_t host, uint32_t caps, uint32_t flags)
{
    setup s = {.config = {unit, host, HVCORE_SPE_ABSENT, flags}, .caps = caps};

    b->m = power_on(&s, 1);
    b->pe = new_pe(&s);
    b->pe.config.caps = caps;
    b->m.log = b->log;
    b->m.quiet = true;
    b->log[0] = 0;
    set(&b->m.e2pb, at_el1(host) ? 3 : 0);
}

static bool did(bench *b, uint32_t direction, const char *wanted)
{
    bool same;

    perform(&b->m, &b->pe, direction, &none);
    same = strcmp(b->log, wanted) == 0 && !b->m.defects;
    if (!same) {
        fprintf(stderr, "direction %u: \"%s\" instead of \"%s\"\n", direction, b->log, wanted);
    }
    b->log[0] = 0;
    return same;
}

static bool accounted(bench *b, uint32_t direction)
{
    return hvcore_spe_account(&b->pe, direction) == 0;
}

/* PARK and UNPARK, with the guest's E = 0 in between. */
static void round_trip(bench *b, const char *park_log, const char *unpark_log)
{
    CU_ASSERT(did(b, HVCORE_SPE_PARK, park_log));
    CU_ASSERT(accounted(b, HVCORE_SPE_PARK));
    CU_ASSERT(did(b, HVCORE_SPE_UNPARK, unpark_log));
    CU_ASSERT(accounted(b, HVCORE_SPE_UNPARK));
    CU_ASSERT(did(b, HVCORE_SPE_UNPARK, "")); /* nothing is left to give back */
    CU_ASSERT_EQUAL(b->pe.saved[HVCORE_SPE_SLOT_LIMIT], 0);
    CU_ASSERT_EQUAL(b->pe.saved[HVCORE_SPE_SLOT_CONTROL], 0);
}

static void test_s01_s02(void)
{
    static const char *const dfr0 = "rd ID_AA64DFR0_EL1";
    bench b;

    for (uint32_t host = 0; host < HVCORE_SPE_HOSTS; host++) {
        begin(&b, HVCORE_SPE_UNIT_SPE, host, HVCORE_SPE_ABSENT, HVCORE_SPE_FLAGS);
        CU_ASSERT(did(&b, HVCORE_SPE_PROBE, dfr0));
        CU_ASSERT(did(&b, HVCORE_SPE_INIT, ""));
        round_trip(&b, "", "");
        begin(&b, HVCORE_SPE_UNIT_SPE, host, HVCORE_SPE_FOREIGN, HVCORE_SPE_FLAGS);
        CU_ASSERT(did(&b, HVCORE_SPE_PROBE, "rd ID_AA64DFR0_EL1, rd PMBIDR_EL1"));
        CU_ASSERT(did(&b, HVCORE_SPE_INIT, "")); /* S20 for VHE */
        round_trip(&b, "", "");
        begin(&b, HVCORE_SPE_UNIT_TRBE, host, HVCORE_SPE_FOREIGN, 0);
        CU_ASSERT(did(&b, HVCORE_SPE_PROBE, "rd ID_AA64DFR0_EL1, rd TRBIDR_EL1"));
        CU_ASSERT(did(&b, HVCORE_SPE_INIT, ""));
    }
}

static void test_s03(void)
{
    bench b;

    begin(&b, HVCORE_SPE_UNIT_SPE, HVCORE_SPE_HOST_NVHE, HVCORE_SPE_OWNED, 0);
    set(&b.m.limit, 0x10000);
    set(&b.m.scr1, 3);
    round_trip(&b, "rd PMBLIMITR_EL1", "");
    CU_ASSERT(b.m.scr1.now == 3 && b.m.limit.now == 0x10000);
    CU_ASSERT(b.pe.parks == 1 && b.pe.drained == 0);
}

/* S04 to S08: whatever the control and the status are. */
static void test_s04_to_s08(void)
{
    static const uint64_t controls[] = {0x23, 0, 3, 1, 2};
    bench b;

    for (unsigned i = 0; i < 5; i++) {
        uint64_t status = i == 2 ? UINT64_C(1) << 17 : 0;
        char back[160];

        snprintf(back, sizeof back, "isb, wr PMBLIMITR_EL1=10001, isb, wr PMSCR_EL1=%x",
                 (unsigned)controls[i]);
        begin(&b, HVCORE_SPE_UNIT_SPE, HVCORE_SPE_HOST_NVHE, HVCORE_SPE_OWNED, 0);
        set(&b.m.limit, 0x10001);
        set(&b.m.scr1, controls[i]);
        b.m.status = status;
        round_trip(&b,
                   "rd PMBLIMITR_EL1, rd PMSCR_EL1, wr PMSCR_EL1=0, isb, psb, dsb, "
                   "wr PMBLIMITR_EL1=0, isb",
                   back);
        CU_ASSERT(b.m.limit.now == 0x10001 && b.m.scr1.now == controls[i]);
        CU_ASSERT(b.m.status == status && b.pe.drained == 1);
    }
}

static void test_s09(void)
{
    bench b;

    begin(&b, HVCORE_SPE_UNIT_SPE, HVCORE_SPE_HOST_VHE, HVCORE_SPE_OWNED, HVCORE_SPE_FLAGS);
    set(&b.m.limit, 0x10001);
    set(&b.m.scr2, 3);
    CU_ASSERT(did(&b, HVCORE_SPE_INIT, "wr PMSCR_EL12=0"));
    CU_ASSERT(b.m.scr1.now == 0 && b.m.scr2.now == 3);
    round_trip(&b, "", "");
}

/* The buffer is not mapped: the drain faults, the counters say so, the host gets all of it back. */
static void test_s10(void)
{
    bench b;

    begin(&b, HVCORE_SPE_UNIT_SPE, HVCORE_SPE_HOST_NVHE, HVCORE_SPE_OWNED, HVCORE_SPE_WATCH);
    b.m.log = NULL;
    b.m.mem[HOST_PT][BUFFER_VA] = 0;
    for (unsigned n = 1; n <= 3; n++) {
        b.m.status = 0;
        set(&b.m.limit, 0x10001);
        set(&b.m.scr1, 3);
        b.m.fifo[b.m.fifos++] = 1;
        round_trip(&b, "", "");
        CU_ASSERT(b.m.limit.now == 0x10001 && b.m.scr1.now == 3);
        CU_ASSERT(b.m.status >> 17 & 1 && b.m.status >> 26 == 0x24);
        CU_ASSERT(b.pe.parks == n && b.pe.drained == n && b.pe.raised == n && b.pe.faulted == n);
        b.log[0] = 0;
    }
}

static void test_s11(void)
{
    bench b;

    begin(&b, HVCORE_SPE_UNIT_SPE, HVCORE_SPE_HOST_HVHE, HVCORE_SPE_OWNED, 0);
    CU_ASSERT(did(&b, HVCORE_SPE_INIT, "wr PMSCR_EL2=50"));
    set(&b.m.limit, 0x10001);
    set(&b.m.scr1, 0x23);
    round_trip(&b,
               "rd PMBLIMITR_EL1, rd PMSCR_EL12, wr PMSCR_EL12=0, isb, psb, dsb, "
               "wr PMBLIMITR_EL1=0, isb",
               "isb, wr PMBLIMITR_EL1=10001, isb, wr PMSCR_EL12=23");
}

/* A vCPU that moves: each PE has its own state, and the one without SPE is never touched. */
static void test_s12(void)
{
    bench with, without;

    begin(&with, HVCORE_SPE_UNIT_SPE, HVCORE_SPE_HOST_NVHE, HVCORE_SPE_OWNED, 0);
    begin(&without, HVCORE_SPE_UNIT_SPE, HVCORE_SPE_HOST_NVHE, HVCORE_SPE_ABSENT, 0);
    set(&with.m.limit, 1);
    round_trip(&with,
               "rd PMBLIMITR_EL1, rd PMSCR_EL1, wr PMSCR_EL1=0, isb, psb, dsb, "
               "wr PMBLIMITR_EL1=0, isb",
               "isb, wr PMBLIMITR_EL1=1, isb, wr PMSCR_EL1=3");
    round_trip(&without, "", "");
    CU_ASSERT(with.pe.drained == 1 && without.pe.drained == 0);
    CU_ASSERT(sizeof(hvcore_spe_guest) == 8); /* what the vCPU has of it: what it was offered */
}

/* The guest is left and entered again without the host: one PARK, one UNPARK; more is noticed. */
static void test_s18(void)
{
    bench b;

    begin(&b, HVCORE_SPE_UNIT_SPE, HVCORE_SPE_HOST_NVHE, HVCORE_SPE_OWNED, 0);
    set(&b.m.limit, 1);
    b.m.log = NULL;
    perform(&b.m, &b.pe, HVCORE_SPE_PARK, &none);
    CU_ASSERT(accounted(&b, HVCORE_SPE_PARK) && b.pe.parked);
    perform(&b.m, &b.pe, HVCORE_SPE_PARK, &none);
    CU_ASSERT_EQUAL(hvcore_spe_account(&b.pe, HVCORE_SPE_PARK), -HVCORE_E_STATE);
    CU_ASSERT(b.pe.parks == 1 && b.pe.drained == 1 && b.pe.parked);
    CU_ASSERT(accounted(&b, HVCORE_SPE_UNPARK) && !b.pe.parked);
    CU_ASSERT(accounted(&b, HVCORE_SPE_UNPARK)); /* of what is not parked: nothing */
}

/* S19, what no dropped operation shows: parking too late, and touching what is not ours. */
static void test_s19(void)
{
    const hvcore_spe_config config = {.host = HVCORE_SPE_HOST_NVHE};
    const change late = {.what = LATE, .direction = HVCORE_SPE_DIRECTIONS};
    const change force = {.what = FORCE, .direction = HVCORE_SPE_DIRECTIONS};
    setup foreign = {.config = config, .caps = HVCORE_SPE_FOREIGN, .driver = IDLE};
    setup absent = {.config = config, .caps = HVCORE_SPE_ABSENT, .driver = IDLE};

    CU_ASSERT(seek(&config, &late, SEEDS, false) & (GUEST_MEM | HYP_MEM | HOST_MEM));
    CU_ASSERT(run(&foreign, &force, 1) & DEAD);
    CU_ASSERT(run(&absent, &force, 1) & DEAD);
}

/* Every bit of the table of specs 15, and where errata put their operations. */
static void test_trbe_and_errata(void)
{
    bench b;

    begin(&b, HVCORE_SPE_UNIT_TRBE, HVCORE_SPE_HOST_NVHE, HVCORE_SPE_OWNED, 0);
    set(&b.m.limit, 1);
    CU_ASSERT(did(&b, HVCORE_SPE_INIT, ""));
    round_trip(&b,
               "rd TRBLIMITR_EL1, rd TRFCR_EL1, wr TRFCR_EL1=0, isb, tsb, dsb, "
               "wr TRBLIMITR_EL1=0, isb",
               "isb, wr TRBLIMITR_EL1=1, isb, wr TRFCR_EL1=3");
    begin(&b, HVCORE_SPE_UNIT_TRBE, HVCORE_SPE_HOST_HVHE, HVCORE_SPE_OWNED, HVCORE_SPE_FLAGS);
    set(&b.m.limit, 1);
    round_trip(
        &b,
        "rd TRBLIMITR_EL1, rd TRBSR_EL1, rd TRFCR_EL12, wr TRFCR_EL12=0, isb, tsb, tsb, dsb, "
        "wr TRBLIMITR_EL1=0, tsb, tsb, dsb, isb, rd TRBSR_EL1",
        "isb, wr TRBLIMITR_EL1=1, isb, isb, wr TRFCR_EL12=3");
    begin(&b, HVCORE_SPE_UNIT_TRBE, HVCORE_SPE_HOST_VHE, HVCORE_SPE_OWNED, 0);
    CU_ASSERT(did(&b, HVCORE_SPE_INIT, "wr TRFCR_EL12=0"));
}

static void test_bare(void)
{
    bench b;

    begin(&b, HVCORE_SPE_UNIT_SPE, HVCORE_SPE_HOST_BARE, HVCORE_SPE_OWNED, 0);
    CU_ASSERT(did(&b, HVCORE_SPE_INIT,
                  "wr PMSCR_EL2=0, wr PMSCR_EL1=0, wr PMBLIMITR_EL1=0, isb, psb, dsb, "
                  "wr PMBSR_EL1=0"));
    round_trip(&b, "", "");
    begin(&b, HVCORE_SPE_UNIT_TRBE, HVCORE_SPE_HOST_BARE_E2H, HVCORE_SPE_OWNED, 1);
    CU_ASSERT(did(&b, HVCORE_SPE_INIT,
                  "wr TRFCR_EL2=0, wr TRFCR_EL12=0, wr TRBLIMITR_EL1=0, isb, tsb, tsb, dsb, "
                  "wr TRBSR_EL1=0"));
}

/* --- the smaller functions -------------------------------------------------------------------- */

static void test_caps(void)
{
    wrong = 0;
    for (unsigned ver = 0; ver < 16; ver++) {
        for (unsigned p = 0; p < 2; p++) {
            uint64_t seed = ver, other = ~(UINT64_C(0xf) << 32), idr = hvc_random(&seed);
            uint32_t wanted = !ver ? HVCORE_SPE_ABSENT : p ? HVCORE_SPE_FOREIGN : HVCORE_SPE_OWNED;

            idr = p ? idr | 16 : idr & ~UINT64_C(16);
            expect(hvcore_spe_caps(HVCORE_SPE_UNIT_SPE, other | (uint64_t)ver << 32, idr) ==
                   wanted);
            other = ~(UINT64_C(0xf) << 44);
            expect(hvcore_spe_caps(HVCORE_SPE_UNIT_TRBE, other | (uint64_t)ver << 44, idr) ==
                   wanted);
            expect(hvcore_spe_caps(2 + ver, ~UINT64_C(0), 0) == HVCORE_SPE_ABSENT);
            expect(hvcore_spe_caps(UINT32_MAX - ver, ~UINT64_C(0), 0) == HVCORE_SPE_ABSENT);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* S raised by the drain, and by what: all of EC, before and after. */
static void test_watch(void)
{
    wrong = 0;
    for (unsigned i = 0; i < 4 * 64 * 2; i++) {
        uint64_t ec = i >> 2 & 63, watch = i >> 8;
        hvcore_spe_pe pe = {.config = {.flags = watch ? HVCORE_SPE_WATCH : 0}};
        bool raised = watch && (i & 3) == 2;

        pe.saved[HVCORE_SPE_SLOT_LIMIT] = 1;
        pe.saved[HVCORE_SPE_SLOT_BEFORE] = (uint64_t)(i & 1) << 17 | UINT64_C(0xfc) << 24;
        pe.saved[HVCORE_SPE_SLOT_AFTER] = (uint64_t)(i >> 1 & 1) << 17 | ec << 26 | 0xffff;
        expect(hvcore_spe_account(&pe, HVCORE_SPE_PARK) == 0);
        expect(pe.drained == 1 && pe.raised == raised);
        expect(pe.faulted == (raised && (ec == 0x24 || ec == 0x25)));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* MDCR_EL2 and the fine-grained traps, bit by bit (specs 2, 4, 11). */
static void check_traps(const hvcore_spe_config *config, uint32_t side, uint64_t *seed)
{
    bool trbe = config->unit == HVCORE_SPE_UNIT_TRBE;
    hvcore_spe_traps t = {hvc_random(seed), hvc_random(seed), hvc_random(seed), hvc_random(seed)},
                     was = t;
    bool guest = side == HVCORE_SPE_SIDE_GUEST || is_bare(config->host);
    uint64_t owner = !guest && at_el1(config->host) ? 3 : 0;
    int owner_at = trbe ? 24 : 12, trap_at = trbe ? 19 : 14, idr_at = trbe ? 51 : 63;

    expect(hvcore_spe_traps_set(config, side, &t) == 0);
    expect((t.mdcr_el2 >> owner_at & 3) == owner && (t.mdcr_el2 >> trap_at & 1) == guest);
    expect((t.hdfgrtr_el2 >> idr_at & 1) == guest);
    expect(!(trbe ? t.hfgitr2_el2 & 1 : t.hfgitr_el2 >> 63));
    was.mdcr_el2 ^= t.mdcr_el2, was.hdfgrtr_el2 ^= t.hdfgrtr_el2;
    was.hfgitr_el2 ^= t.hfgitr_el2, was.hfgitr2_el2 ^= t.hfgitr2_el2;
    expect(!(was.mdcr_el2 & ~(UINT64_C(3) << owner_at | UINT64_C(1) << trap_at)));
    expect(!(was.hdfgrtr_el2 & ~(UINT64_C(1) << idr_at)));
    expect(!(was.hfgitr_el2 & ~(trbe ? 0 : UINT64_C(1) << 63)));
    expect(!(was.hfgitr2_el2 & ~(uint64_t)trbe));
}

static void test_traps(void)
{
    uint64_t seed = 5;

    wrong = 0;
    for (unsigned i = 0; i < 100000; i++) {
        hvcore_spe_config config = {i % 2, i / 2 % HVCORE_SPE_HOSTS, i / 10 % HVCORE_SPE_CAPS,
                                    i / 30 % 16};

        check_traps(&config, i / 480 % 2, &seed);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Specs 16, written out. */
static uint32_t violations(const hvcore_spe_pe *pe, const hvcore_spe_live *live)
{
    bool trbe = pe->config.unit == HVCORE_SPE_UNIT_TRBE;
    bool owned = pe->config.caps == HVCORE_SPE_OWNED, el1 = at_el1(pe->config.host);
    uint32_t bad = 0;

    if (owned && live->limit & 1 && pe->config.host != HVCORE_SPE_HOST_VHE) {
        bad |= 1;
    }
    if (owned && live->control && !(el1 && !pe->parked)) {
        bad |= 2;
    }
    bad |= live->mdcr_el2 >> (trbe ? 24 : 12) & 3 ? 4 : 0;
    bad |= live->mdcr_el2 >> (trbe ? 19 : 14) & 1 ? 0 : 8;
    return bad | (pe->parked != (pe->saved[HVCORE_SPE_SLOT_LIMIT] & 1) ? 16 : 0);
}

static void test_check(void)
{
    uint64_t seed = 6;

    wrong = 0;
    for (unsigned i = 0; i < 500000; i++) {
        hvcore_spe_pe pe = {.config = {i % 2, i / 2 % HVCORE_SPE_HOSTS, i / 10 % 3, i / 30 % 16}};
        hvcore_spe_live live = {hvc_random(&seed), hvc_random(&seed) & 0xf001,
                                hvc_random(&seed) & 0x40000000001};

        pe.parked = hvc_random(&seed) & 1;
        pe.saved[HVCORE_SPE_SLOT_LIMIT] = 0x1000 | (hvc_random(&seed) & 1);
        expect(hvcore_spe_check(&pe, &live) == violations(&pe, &live));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* --- a guest's access ------------------------------------------------------------------------- */

typedef struct call {
    hvcore_arm64_frame frame;
    hvcore_arm64_sys sys;
    hvcore_event event;
    hvcore_arm64_state state;
} call;

static void fill(void *at, size_t size, uint64_t *seed)
{
    unsigned char *to = at;

    for (size_t done = 0; done < size; done += 8) {
        uint64_t word = hvc_random(seed);

        memcpy(to + done, &word, size - done < 8 ? size - done : 8);
    }
}

/* Everything random; a trap from AArch64 EL1 with a syndrome; nothing offered. */
static call random_call(uint64_t *seed, uint64_t esr)
{
    call c;

    fill(&c, sizeof c, seed);
    c.frame.spsr &= ~UINT64_C(0x10);
    c.event.kind = HVCORE_EVENT_TRAP;
    c.event.have |= HVCORE_HAVE_SYNDROME | HVCORE_HAVE_MODE;
    c.event.mode = HVCORE_ARM64_EL1;
    c.event.syndrome = hvc_random(seed) << 32 | esr;
    c.state.step = (hvcore_step_state){0};
    c.state.spe = (hvcore_spe_guest){0};
    return c;
}

static hvcore_result ask(call *c)
{
    return hvcore_spe_access(&c->frame, &c->sys, &c->event, &c->state);
}

static bool is(hvcore_result r, uint32_t kind, uint32_t arg, uint64_t addr)
{
    return r.kind == kind && r.arg == arg && r.addr == addr;
}

/* The answer, and that nothing was touched. */
static bool answers(call *c, uint32_t kind, uint32_t arg, uint64_t addr)
{
    call before = *c;

    return is(ask(c), kind, arg, addr) && memcmp(c, &before, sizeof before) == 0;
}

static bool undefines(call *c)
{
    return answers(c, HVCORE_RESULT_INJECT, 0x02000000, 0);
}

static bool leaves(call *c, uint32_t why)
{
    return answers(c, HVCORE_RESULT_EXIT, why, c->event.syndrome);
}

/* Who has the register, from which value of the ID register field on, and what of a guest
 * hypervisor's makes its own guest trap. G_NV: HCR_EL2, the others MDCR_EL2. */
enum owner_field { PMSVER, TRACEBUFFER, TRACEFILT, SPE_NVM, NEVER };
enum gate { G_NONE, G_TPMS, G_E2PB, G_TTRF, G_E2TB, G_NV };

/* Specs 2 and 15; the syndromes are those of the tables where they stand there, with Rt = 0. */
static const struct reg {
    unsigned op[5];
    uint32_t read, write; /* 0: not in the tables */
    enum owner_field field;
    unsigned least;
    enum gate gate;
    bool read_only;
} registers[] = {
    {{3, 0, 9, 9, 0}, 0x62302413, 0x62302412, PMSVER, 1, G_TPMS, false},
    {{3, 0, 9, 9, 1}, 0x62322413, 0x62322412, PMSVER, 3, G_TPMS, false},
    {{3, 0, 9, 9, 2}, 0x62342413, 0x62342412, PMSVER, 1, G_TPMS, false},
    {{3, 0, 9, 9, 3}, 0x62362413, 0x62362412, PMSVER, 1, G_TPMS, false},
    {{3, 0, 9, 9, 4}, 0x62382413, 0x62382412, PMSVER, 1, G_TPMS, false},
    {{3, 0, 9, 9, 5}, 0x623a2413, 0x623a2412, PMSVER, 1, G_TPMS, false},
    {{3, 0, 9, 9, 6}, 0x623c2413, 0x623c2412, PMSVER, 1, G_TPMS, false},
    {{3, 0, 9, 9, 7}, 0x623e2413, 0, PMSVER, 1, G_TPMS, true},
    {{3, 0, 9, 10, 0}, 0x62302415, 0x62302414, PMSVER, 1, G_E2PB, false},
    {{3, 0, 9, 10, 1}, 0x62322415, 0x62322414, PMSVER, 1, G_E2PB, false},
    {{3, 0, 9, 10, 2}, 0, 0, NEVER, 0, G_NONE, false},
    {{3, 0, 9, 10, 3}, 0x62362415, 0x62362414, PMSVER, 1, G_E2PB, false},
    {{3, 0, 9, 10, 4}, 0x62382415, 0x62382414, PMSVER, 5, G_TPMS, false},
    {{3, 0, 9, 10, 5}, 0x623a2415, 0x623a2414, SPE_NVM, 1, G_E2PB, false},
    {{3, 0, 9, 10, 6}, 0, 0, NEVER, 0, G_NONE, false},
    {{3, 0, 9, 10, 7}, 0x623e2415, 0, PMSVER, 1, G_NONE, true},
    {{3, 4, 9, 9, 0}, 0x62312413, 0x62312412, PMSVER, 1, G_NV, false},
    {{3, 5, 9, 9, 0}, 0x62316413, 0x62316412, PMSVER, 1, G_NV, false},
    {{3, 0, 9, 11, 0}, 0, 0, TRACEBUFFER, 1, G_E2TB, false},
    {{3, 0, 9, 11, 1}, 0, 0, TRACEBUFFER, 1, G_E2TB, false},
    {{3, 0, 9, 11, 2}, 0, 0, TRACEBUFFER, 1, G_E2TB, false},
    {{3, 0, 9, 11, 3}, 0, 0, TRACEBUFFER, 1, G_E2TB, false},
    {{3, 0, 9, 11, 4}, 0, 0, TRACEBUFFER, 1, G_E2TB, false},
    {{3, 0, 9, 11, 5}, 0, 0, NEVER, 0, G_NONE, false},
    {{3, 0, 9, 11, 6}, 0, 0, TRACEBUFFER, 1, G_E2TB, false},
    {{3, 0, 9, 11, 7}, 0, 0, TRACEBUFFER, 1, G_NONE, true},
    {{3, 0, 1, 2, 1}, 0, 0, TRACEFILT, 1, G_TTRF, false},
    {{3, 4, 1, 2, 1}, 0, 0, TRACEFILT, 1, G_NV, false},
    {{3, 5, 1, 2, 1}, 0, 0, TRACEFILT, 1, G_NV, false},
};

enum { REGISTERS = sizeof registers / sizeof *registers };

/* EC 0x18, IL, and the ISS of specs 2. */
static uint32_t syndrome(const struct reg *r, unsigned rt, bool read)
{
    return UINT32_C(0x62000000) | r->op[0] << 20 | r->op[4] << 17 | r->op[1] << 14 |
           r->op[2] << 10 | rt << 5 | r->op[3] << 1 | read;
}

/* S13, S14: every register, every Rt, read and write; from every mode of a guest without EL2. */
static void test_all_encodings(void)
{
    uint64_t seed = 7;

    wrong = 0;
    for (unsigned i = 0; i < REGISTERS * 32 * 2 * 4; i++) {
        const struct reg *r = &registers[i / 256];
        unsigned rt = i / 8 % 32;
        bool read = i / 4 % 2;
        uint32_t esr = syndrome(r, rt, read), column = read ? r->read : r->write;
        call c = random_call(&seed, esr);

        expect(!column || esr == (column | rt << 5));
        c.state.spe.nested = i / 2 % 2;
        c.event.mode = i % 2;
        expect(undefines(&c));
        c.event.have &= ~(uint32_t)HVCORE_HAVE_MODE;
        expect(undefines(&c));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* The two of the specs by their numbers: mrs x5, PMSCR_EL1; msr PMBLIMITR_EL1, x0. */
static void test_s13_s14(void)
{
    uint64_t seed = 8;
    call mrs5 = random_call(&seed, 0x623024b3), msr0 = random_call(&seed, 0x62302414);

    CU_ASSERT(undefines(&mrs5));
    CU_ASSERT(undefines(&msr0));
}

/* Every EC 0x18 syndrome there is: ours are those of the table, whatever Rt and direction. */
static bool is_ours(uint32_t iss)
{
    uint32_t key = iss & 0x3ffc1e;

    for (unsigned i = 0; i < REGISTERS; i++) {
        if (key == (syndrome(&registers[i], 0, false) & 0x3ffc1e)) {
            return true;
        }
    }
    return false;
}

static void test_every_syndrome(void)
{
    uint64_t seed = 9;
    call c = random_call(&seed, 0), before;

    wrong = 0;
    before = c;
    for (uint32_t iss = 0; iss < 1 << 22; iss++) {
        uint64_t esr = UINT32_C(0x62000000) | iss;
        bool ours = is_ours(iss);

        c.event.syndrome = before.event.syndrome = esr;
        expect(ours ? is(ask(&c), HVCORE_RESULT_INJECT, 0x02000000, 0)
                    : is(ask(&c), HVCORE_RESULT_EXIT, HVCORE_SPE_NOT_OURS, esr));
    }
    expect(memcmp(&c, &before, sizeof c) == 0);
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Bits 24:22 of the ISS are RES0: with any of them set it is something newer, and not ours. */
static void test_res0(void)
{
    uint64_t seed = 19;

    wrong = 0;
    for (unsigned i = 0; i < REGISTERS * 8; i++) {
        call c = random_call(&seed, syndrome(&registers[i / 8], i % 32, true) | i % 8 << 22);

        expect(i % 8 ? leaves(&c, HVCORE_SPE_NOT_OURS) : undefines(&c));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* --- ... with something offered, and nested (specs 14) ---------------------------------------- */

static unsigned level(const hvcore_spe_guest *guest, enum owner_field field)
{
    switch (field) {
    case PMSVER:
        return guest->pmsver;
    case TRACEBUFFER:
        return guest->trace_buffer;
    case TRACEFILT:
        return guest->trace_filter;
    case SPE_NVM:
        return guest->spe_nvm;
    default:
        return 0;
    }
}

/* Does the guest hypervisor trap it? */
static bool gate_traps(const hvcore_arm64_sys *sys, enum gate gate)
{
    switch (gate) {
    case G_TPMS:
        return sys->mdcr_el2 >> 14 & 1;
    case G_E2PB:
        return !(sys->mdcr_el2 >> 12 & 1);
    case G_TTRF:
        return sys->mdcr_el2 >> 19 & 1;
    case G_E2TB:
        return !(sys->mdcr_el2 >> 24 & 1);
    case G_NV:
        return sys->hcr_el2 >> 42 & 1;
    default:
        return false;
    }
}

static hvcore_result forwarded(const call *c)
{
    return (hvcore_result){HVCORE_RESULT_INJECT, c->event.syndrome & UINT32_MAX, 0};
}

static hvcore_result left(const call *c, uint32_t why)
{
    return (hvcore_result){HVCORE_RESULT_EXIT, why, c->event.syndrome};
}

/* An access of a nested guest's EL1 to something that its hypervisor has. */
static hvcore_result nested_answer(const call *c, enum gate gate)
{
    uint64_t needs = gate == G_NONE ? 0
                     : gate == G_NV ? UINT64_C(1) << HVCORE_ARM64_SYS_hcr_el2
                                    : UINT64_C(1) << HVCORE_ARM64_SYS_mdcr_el2;

    if (needs & ~c->sys.have) {
        return (hvcore_result){HVCORE_RESULT_NEED_REGS, 0, needs};
    }
    if (gate_traps(&c->sys, gate)) {
        return forwarded(c);
    }
    if (gate == G_NV) {
        return (hvcore_result){HVCORE_RESULT_INJECT, 0x02000000, 0};
    }
    return left(c, HVCORE_SPE_OFFERED);
}

static hvcore_result wanted_answer(const call *c, const struct reg *r, bool read)
{
    const hvcore_result undef = {HVCORE_RESULT_INJECT, 0x02000000, 0};
    bool known = c->event.have & HVCORE_HAVE_MODE;

    if (known && c->event.mode >= 2 && !c->state.spe.nested) {
        return left(c, HVCORE_SPE_BAD_MODE);
    }
    if (r->field == NEVER || level(&c->state.spe, r->field) < r->least || (r->read_only && !read)) {
        return undef; /* S17: before anything is forwarded */
    }
    if (!known) {
        return left(c, HVCORE_SPE_NO_MODE);
    }
    if (c->event.mode == HVCORE_ARM64_EL0 || c->event.mode == HVCORE_ARM64_VEL0) {
        return undef;
    }
    if (c->event.mode == HVCORE_ARM64_EL1 && c->state.spe.nested) {
        return nested_answer(c, r->gate);
    }
    return c->event.mode == HVCORE_ARM64_EL1 && r->gate == G_NV ? undef
                                                                : left(c, HVCORE_SPE_OFFERED);
}

static void offer(hvcore_spe_guest *guest, uint64_t *seed)
{
    guest->pmsver = (uint8_t)(hvc_random(seed) % 8);
    guest->trace_buffer = hvc_random(seed) & 1;
    guest->trace_filter = hvc_random(seed) & 1;
    guest->spe_nvm = hvc_random(seed) & 1;
    guest->nested = hvc_random(seed) & 1;
}

static void test_offered_and_nested(void)
{
    unsigned kinds[HVCORE_RESULT_KINDS] = {0};
    uint64_t seed = 10;

    wrong = 0;
    for (unsigned i = 0; i < 500000; i++) {
        const struct reg *r = &registers[i % REGISTERS];
        bool read = hvc_random(&seed) & 1;
        call c = random_call(&seed, syndrome(r, (unsigned)(hvc_random(&seed) % 32), read));
        hvcore_result w;

        c.event.mode = (uint32_t)(hvc_random(&seed) % 4);
        c.event.have &= hvc_random(&seed) % 8 ? ~UINT32_C(0) : ~(uint32_t)HVCORE_HAVE_MODE;
        offer(&c.state.spe, &seed);
        w = wanted_answer(&c, r, read);
        expect(answers(&c, w.kind, w.arg, w.addr));
        kinds[w.kind]++;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(kinds[HVCORE_RESULT_NEED_REGS] > 1000 && kinds[HVCORE_RESULT_EXIT] > 1000);
}

/* S17 by its numbers: L2 reads PMSCR_EL1, L1 traps it, and has no SPE: UNDEFINED, nothing is
 * forwarded. And what would be, had it been offered. */
static void test_s17(void)
{
    uint64_t seed = 11;
    call c = random_call(&seed, 0x62302413);

    c.state.spe.nested = 1;
    c.sys.have = UINT64_C(1) << HVCORE_ARM64_SYS_mdcr_el2;
    c.sys.mdcr_el2 = 1 << 14;
    CU_ASSERT(undefines(&c));
    c.state.spe.pmsver = 1;
    CU_ASSERT(answers(&c, HVCORE_RESULT_INJECT, 0x62302413, 0));
    c.sys.mdcr_el2 = 0;
    CU_ASSERT(leaves(&c, HVCORE_SPE_OFFERED));
    c.sys.have = 0;
    CU_ASSERT(answers(&c, HVCORE_RESULT_NEED_REGS, 0, UINT64_C(1) << HVCORE_ARM64_SYS_mdcr_el2));
}

/* --- ... barriers ----------------------------------------------------------------------------- */

#define ESR_PSB UINT64_C(0x2a000004)
#define ESR_TSB UINT64_C(0x2a000003)

/* A NOP: pc, BTYPE, and a pending step. */
static bool skips(call *c)
{
    call wanted = *c;

    wanted.frame.pc += 4;
    wanted.frame.spsr &= ~UINT64_C(0xc00);
    hvcore_step_advance(&wanted.frame, &wanted.state.step);
    return is(ask(c), HVCORE_RESULT_DONE, 0, 0) && memcmp(c, &wanted, sizeof wanted) == 0;
}

static void test_barriers_are_nops(void)
{
    uint64_t seed = 12;

    wrong = 0;
    for (unsigned i = 0; i < 10000; i++) {
        call c = random_call(&seed, i % 2 ? ESR_PSB : ESR_TSB);

        offer(&c.state.spe, &seed);
        c.event.mode = (uint32_t)(hvc_random(&seed) % (c.state.spe.nested ? 4 : 2));
        *(i % 2 ? &c.state.spe.pmsver : &c.state.spe.trace_buffer) = 0;
        c.frame.pc = i % 100 ? c.frame.pc : ~UINT64_C(3);
        c.event.have &= i % 7 ? ~UINT32_C(0) : ~(uint32_t)HVCORE_HAVE_MODE;
        expect(skips(&c));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* A step of the guest's debugger that the NOP completes: SPSR.SS is 0 afterwards. */
static void test_nop_is_stepped(void)
{
    uint64_t seed = 13;
    call c = random_call(&seed, ESR_PSB);

    c.frame.spsr |= UINT64_C(1) << 21;
    CU_ASSERT(ask(&c).kind == HVCORE_RESULT_DONE);
    CU_ASSERT(!(c.frame.spsr >> 21 & 1));
}

/* PSB CSYNC of a guest that has SPE; HFGITR_EL2.PSBCSYNC (63) of its hypervisor: from v1p5. */
static void test_offered_barriers(void)
{
    const uint64_t needs = UINT64_C(1) << HVCORE_ARM64_SYS_hfgitr_el2;
    uint64_t seed = 14;

    wrong = 0;
    for (unsigned i = 0; i < 4 * 2 * 2 * 2 * 7; i++) {
        call c = random_call(&seed, ESR_PSB);
        bool asks;

        c.event.mode = i % 4;
        c.state.spe.nested = i / 4 % 2 || c.event.mode > 1;
        c.state.spe.pmsver = (uint8_t)(i / 32 + 1);
        c.sys.have = i / 8 % 2 ? needs : 0;
        c.sys.hfgitr_el2 = i / 16 % 2 ? UINT64_C(1) << 63 : ~UINT64_C(0) >> 1;
        asks = c.state.spe.nested && c.event.mode < 2 && c.state.spe.pmsver >= 6;
        if (asks && !c.sys.have) {
            expect(answers(&c, HVCORE_RESULT_NEED_REGS, 0, needs));
        } else if (asks && i / 16 % 2) {
            expect(answers(&c, HVCORE_RESULT_INJECT, ESR_PSB, 0));
        } else {
            expect(leaves(&c, HVCORE_SPE_OFFERED));
        }
        c.event.have &= ~(uint32_t)HVCORE_HAVE_MODE;
        asks = c.state.spe.nested && c.state.spe.pmsver >= 6;
        expect(leaves(&c, asks ? HVCORE_SPE_NO_MODE : HVCORE_SPE_OFFERED));
        c.event.syndrome = ESR_TSB;
        c.state.spe.trace_buffer = 1;
        expect(leaves(&c, HVCORE_SPE_OFFERED));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* --- bad input -------------------------------------------------------------------------------- */

static bool refused(const hvcore_spe_config *config, uint32_t direction, uint32_t side)
{
    hvcore_spe_plan plan, plan_before;
    hvcore_spe_traps traps = {1, 2, 3, 4};
    hvcore_spe_pe pe = {.config = *config}, pe_before = pe;
    const hvcore_spe_live live = {0};

    memset(&plan, 0xa5, sizeof plan);
    plan_before = plan;
    return hvcore_spe_plan_make(config, direction, &plan) == -HVCORE_E_INVAL &&
           hvcore_spe_traps_set(config, side, &traps) == -HVCORE_E_INVAL &&
           hvcore_spe_account(&pe, direction) == -HVCORE_E_INVAL &&
           hvcore_spe_check(&pe, &live) == HVCORE_SPE_BAD_CONFIG &&
           memcmp(&plan, &plan_before, sizeof plan) == 0 &&
           memcmp(&pe, &pe_before, sizeof pe) == 0 && traps.mdcr_el2 == 1 &&
           traps.hdfgrtr_el2 == 2 && traps.hfgitr_el2 == 3 && traps.hfgitr2_el2 == 4;
}

/* Each field just out of range, at its extremes, and random. */
static void test_bad_config(void)
{
    static const uint32_t bounds[] = {HVCORE_SPE_UNITS, HVCORE_SPE_HOSTS, HVCORE_SPE_CAPS,
                                      HVCORE_SPE_FLAGS + 1};
    uint64_t seed = 15;

    wrong = 0;
    for (unsigned i = 0; i < 4 * 1000; i++) {
        uint32_t bad[] = {bounds[i % 4], UINT32_MAX, 0x80000000,
                          bounds[i % 4] | (uint32_t)hvc_random(&seed)};
        hvcore_spe_config config = {1, 2, 2, 7};
        uint32_t *field[] = {&config.unit, &config.host, &config.caps, &config.flags};

        *field[i % 4] = bad[i / 4 % 4];
        if (*field[i % 4] >= bounds[i % 4]) {
            expect(refused(&config, (uint32_t)(hvc_random(&seed) % 4),
                           (uint32_t)(hvc_random(&seed) % 2)));
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_bad_direction(void)
{
    static const uint32_t bad[] = {HVCORE_SPE_DIRECTIONS, 5, 1 << 16, 0x80000000, UINT32_MAX};
    const hvcore_spe_config config = {0, 0, 2, 0};
    hvcore_spe_pe pe = {.config = config}, pe_before = pe;
    hvcore_spe_traps traps = {1, 2, 3, 4};
    hvcore_spe_plan plan = {.count = 77};

    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(hvcore_spe_plan_make(&config, bad[i], &plan), -HVCORE_E_INVAL);
        CU_ASSERT_EQUAL(hvcore_spe_account(&pe, bad[i]), -HVCORE_E_INVAL);
        CU_ASSERT_EQUAL(hvcore_spe_traps_set(&config, bad[i], &traps), -HVCORE_E_INVAL);
    }
    CU_ASSERT_EQUAL(hvcore_spe_account(&pe, HVCORE_SPE_PROBE), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_spe_account(&pe, HVCORE_SPE_INIT), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_spe_traps_set(&config, HVCORE_SPE_SIDES, &traps), -HVCORE_E_INVAL);
    CU_ASSERT(plan.count == 77 && traps.mdcr_el2 == 1);
    CU_ASSERT(memcmp(&pe, &pe_before, sizeof pe) == 0);
}

/* Plans of every configuration: bounded, every field of every operation in its range. */
static bool in_range(const hvcore_spe_config *config, const hvcore_spe_op *op)
{
    bool reg = op->kind >= HVCORE_SPE_READ && op->kind <= HVCORE_SPE_WRITE_VALUE;
    bool value = op->kind == HVCORE_SPE_WRITE_VALUE || op->kind == HVCORE_SPE_STOP_IF_CLEAR;

    return op->kind >= HVCORE_SPE_READ && op->kind < HVCORE_SPE_KINDS &&
           op->slot < HVCORE_SPE_SLOTS && (meaning(config, op) < NAMES) == reg &&
           (op->value != 0) == value;
}

static void test_plans_are_bounded(void)
{
    const hvcore_spe_op nothing = {0};
    hvcore_spe_config config = {0};
    hvcore_spe_plan plan;

    wrong = 0;
    do {
        for (unsigned i = 0; i < HVCORE_SPE_CAPS * HVCORE_SPE_DIRECTIONS; i++) {
            config.caps = i / HVCORE_SPE_DIRECTIONS;
            memset(&plan, 0xff, sizeof plan);
            expect(hvcore_spe_plan_make(&config, i % HVCORE_SPE_DIRECTIONS, &plan) == 0);
            expect(plan.count < HVCORE_SPE_OPS_MAX && plan.reserved == 0);
            expect(!plan.count || config.caps == HVCORE_SPE_OWNED || i % 4 == HVCORE_SPE_PROBE);
            for (uint32_t n = 0; n < HVCORE_SPE_OPS_MAX; n++) {
                expect(n < plan.count ? in_range(&config, &plan.ops[n])
                                      : !memcmp(&plan.ops[n], &nothing, sizeof nothing));
            }
        }
    } while (next_config(&config));
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_bad_events(void)
{
    uint64_t seed = 16;

    wrong = 0;
    for (unsigned i = 0; i < 1000; i++) {
        call c = random_call(&seed, i % 2 ? 0x62302413 : ESR_PSB);

        c.event.mode = i % 3 ? 4 + (uint32_t)hvc_random(&seed) % 1000 : UINT32_MAX;
        c.state.spe.nested = i % 5 == 0;
        expect(leaves(&c, HVCORE_SPE_BAD_MODE));
        c.event.mode = 2 + i % 2;
        c.state.spe.nested = 0;
        expect(leaves(&c, HVCORE_SPE_BAD_MODE));
        c.frame.spsr |= 0x10;
        expect(leaves(&c, HVCORE_SPE_NOT_AARCH64));
        c.event.have &= ~(uint32_t)HVCORE_HAVE_SYNDROME;
        expect(leaves(&c, HVCORE_SPE_NO_SYNDROME));
        c.event.kind = 1 + (uint32_t)hvc_random(&seed) % 1000;
        expect(leaves(&c, HVCORE_SPE_NOT_A_TRAP));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Bits below ISS that are not as this exception writes them: IL, other EC, other ISS. */
static void test_other_syndromes(void)
{
    uint64_t seed = 17;

    wrong = 0;
    for (uint64_t ec = 0; ec < 64; ec++) {
        for (uint64_t il = 0; il < 2; il++) {
            for (unsigned i = 0; i < 40; i++) {
                uint64_t iss = ec == 0x0a ? i : 0x302413;
                call c = random_call(&seed, ec << 26 | il << 25 | iss);
                bool ours = il && (ec == 0x18 || (ec == 0x0a && (i == 3 || i == 4)));

                expect(ours || leaves(&c, HVCORE_SPE_NOT_OURS));
            }
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Everything random: a named answer, and nothing touched but by a NOP. */
static void test_random(void)
{
    uint64_t seed = 18;

    wrong = 0;
    for (unsigned i = 0; i < 1000000; i++) {
        call c, before;
        hvcore_result r;

        fill(&c, sizeof c, &seed);
        c.event.kind = hvc_random(&seed) % 4 ? HVCORE_EVENT_TRAP : c.event.kind;
        c.event.mode = hvc_random(&seed) % 4 ? c.event.mode % 4 : c.event.mode;
        before = c;
        r = ask(&c);
        expect(r.kind == HVCORE_RESULT_DONE || memcmp(&c, &before, sizeof c) == 0);
        expect(r.kind == HVCORE_RESULT_DONE || r.kind == HVCORE_RESULT_INJECT ||
               r.kind == HVCORE_RESULT_NEED_REGS ||
               (r.kind == HVCORE_RESULT_EXIT && r.arg >= 1 && r.arg <= HVCORE_SPE_OFFERED));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* What of specs 17 is not here, because it needs a machine: S15, that a PE without SPE does not
 * exit and shows its guest the same; S16, that PMBIDR_EL1 reads with P = 1 and does not exit. */
static const hvc_unit_test tests[] = {
    {"unchanged plans are clean", test_unchanged_is_clean},
    {"flags without errata are clean", test_flags_without_errata},
    {"S01, S02, S20: nothing of ours is there", test_s01_s02},
    {"S03: off", test_s03},
    {"S04 to S08: on", test_s04_to_s08},
    {"S09: VHE", test_s09},
    {"S10: the drain faults", test_s10},
    {"S11: hVHE", test_s11},
    {"S12: a vCPU that moves", test_s12},
    {"S13, S14: by their numbers", test_s13_s14},
    {"S17: nested, not offered", test_s17},
    {"S18: parking twice", test_s18},
    {"S19: too late, or not ours", test_s19},
    {"TRBE and errata", test_trbe_and_errata},
    {"a bare host", test_bare},
    {"what a PE has", test_caps},
    {"counters of a drain", test_watch},
    {"who traps what", test_traps},
    {"violations", test_check},
    {"all encodings, Rt, directions", test_all_encodings},
    {"every syndrome of EC 0x18", test_every_syndrome},
    {"bits that are RES0", test_res0},
    {"offered, and nested", test_offered_and_nested},
    {"a barrier is a NOP", test_barriers_are_nops},
    {"... and an instruction that was stepped", test_nop_is_stepped},
    {"barriers that were offered", test_offered_barriers},
    {"bad configurations", test_bad_config},
    {"bad directions", test_bad_direction},
    {"plans are bounded", test_plans_are_bounded},
    {"bad events", test_bad_events},
    {"other syndromes", test_other_syndromes},
    {"every operation, dropped or swapped, corrupts", test_every_change_shows},
    {"what only slow PEs need", test_by_the_letter},
    {"second locks", test_second_locks},
    {"random input", test_random},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("spe", tests);
}
