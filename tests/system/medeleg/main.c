/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emulated hardware as the oracle: in M-mode with nothing below, each snippet runs in VS-mode and
 * in VU-mode with its bits of medeleg and hedeleg swept over {00, 10, 11, 01}. Compared are
 *
 *   - where the trap lands, with the routing rule over lib/arch's causes;
 *   - what the hart did with the cause delegated, with what hvcore_redirect() makes of the trap
 *     when it arrives in HS-mode, and in M-mode (as firmware that bounces it would hand it on);
 *   - what the hart did on entry to HS-mode, with what hvcore_forward() tells a guest hypervisor
 *     of the same trap when it arrives one level below.
 *
 * What this QEMU does against the architecture has a name (specs 9.3) and is counted apart.
 */
#include <hvcore/fixup/forward.h>
#include <hvcore/fixup/redirect.h>

#include "lib/arch/riscv64.h"

#define HOLE UINT64_C(0x18000000) /* nothing is there on the virt board */
#define RAM UINT64_C(0x80000000)
#define ALIAS UINT64_C(0x40000000) /* from an address in RAM to its other one, with a VS-stage */
#define UART ((volatile uint8_t *)0x10000000)
#define FINISHER ((volatile uint32_t *)0x100000)

#define MSTATUS_MPP (UINT64_C(3) << 11)
#define MSTATUS_MPV HVC_BIT(39)
#define ECALL_VS 10
#define DELEGATE_ALL (~HVC_BIT(HVCORE_RISCV64_ECALL_HS)) /* HS-mode must find its way to M-mode */

#define READ(csr)                                          \
    ({                                                     \
        uint64_t value_;                                   \
        __asm__ volatile("csrr %0, " #csr : "=r"(value_)); \
        value_;                                            \
    })
#define WRITE(csr, value) __asm__ volatile("csrw " #csr ", %0" : : "r"((uint64_t)(value)))

#define VSSTATUS 0x200
#define VSIE 0x204
#define VSTVEC 0x205
#define VSEPC 0x241
#define VSCAUSE 0x242
#define VSTVAL 0x243
#define VSATP 0x280
#define HSTATUS 0x600
#define HEDELEG 0x602
#define HTVAL 0x643
#define HTINST 0x64a
#define HENVCFG 0x60a
#define HGATP 0x680
#define MTVAL2 0x34b
#define MTINST 0x34a
#define READ_(csr) READ(csr)
#define WRITE_(csr, value) WRITE(csr, value)

void image_main(void);
void image_stray(uint64_t cause, uint64_t epc, uint64_t tval);
void run_guest(uint64_t pc, uint64_t a0, uint64_t a1);
extern const char hs_trap[], vs_trap[], no_trap[];

/* ---- output ---- */

static unsigned passed, failed, known;

static void put(const char *text)
{
    for (; *text; text++) {
        *UART = (uint8_t)*text;
    }
}

static void put_hex(uint64_t value)
{
    put(" 0x");
    for (int at = 60; at >= 0; at -= 4) {
        if (at == 0 || value >> at) {
            *UART = (uint8_t) "0123456789abcdef"[value >> at & 15];
        }
    }
}

static void put_number(unsigned n)
{
    if (n > 9) {
        put_number(n / 10);
    }
    *UART = (uint8_t)('0' + n % 10);
}

static _Noreturn void power_off(void)
{
    put_number(passed), put(" passed, "), put_number(failed), put(" failed, 0 skipped\n");
    *FINISHER = failed ? 0x13333 : 0x5555;
    for (;;) {
    }
}

void image_stray(uint64_t cause, uint64_t epc, uint64_t tval)
{
    put("not ok a trap of the image itself:"), put_hex(cause), put_hex(epc), put_hex(tval);
    put("\n");
    failed++;
    power_off();
}

/* ---- cases ---- */

enum { PLAIN = 0, VS_STAGE = 1, G_STAGE = 2, BAD_ROOT = 4, VTW = 8 };

typedef struct snippet {
    const char *name;
    const char *code;
    uint8_t cause[2]; /* in VU-mode, in VS-mode */
    uint8_t setting;
} snippet;

extern const char do_nop[], do_illegal32[], do_illegal16[], do_csr_m[], do_csr_h[], do_csr_s[],
    do_hlv[], do_wfi[], do_ebreak[], do_ecall[], do_fetch[], do_load[], do_store[], do_amo[],
    do_lr[], do_amo_odd[], do_lr_odd[];

enum { NO_TRAP = 64 };

static const snippet snippets[] = {
    {"illegal instruction, 32 bits", do_illegal32, {2, 2}, PLAIN},
    {"illegal instruction, 16 bits", do_illegal16, {2, 2}, PLAIN},
    {"CSR of M-mode", do_csr_m, {2, 2}, PLAIN},
    {"CSR of HS-mode", do_csr_h, {22, 22}, PLAIN},
    {"CSR of a supervisor", do_csr_s, {22, NO_TRAP}, PLAIN},
    {"HLV", do_hlv, {22, 22}, PLAIN},
    {"WFI with VTW", do_wfi, {22, 22}, VTW},
    {"EBREAK", do_ebreak, {3, 3}, PLAIN},
    {"ECALL", do_ecall, {8, 10}, PLAIN},
    {"fetch from nothing", do_fetch, {1, 1}, PLAIN},
    {"load from nothing", do_load, {5, 5}, PLAIN},
    {"store to nothing", do_store, {7, 7}, PLAIN},
    {"AMO on nothing", do_amo, {7, 7}, PLAIN},
    {"LR on nothing", do_lr, {5, 5}, PLAIN},
    {"misaligned AMO", do_amo_odd, {6, 6}, PLAIN},
    {"misaligned LR", do_lr_odd, {4, 4}, PLAIN},
    {"fetch, VS-stage", do_fetch, {12, 12}, VS_STAGE},
    {"load, VS-stage", do_load, {13, 13}, VS_STAGE},
    {"store, VS-stage", do_store, {15, 15}, VS_STAGE},
    {"AMO, VS-stage", do_amo, {15, 15}, VS_STAGE},
    {"fetch, G-stage", do_fetch, {20, 20}, G_STAGE},
    {"load, G-stage", do_load, {21, 21}, G_STAGE},
    {"store, G-stage", do_store, {23, 23}, G_STAGE},
    {"AMO, G-stage", do_amo, {23, 23}, G_STAGE},
    {"LR, G-stage", do_lr, {21, 21}, G_STAGE},
    {"fetch, two stages, VS-stage", do_fetch, {12, 12}, VS_STAGE | G_STAGE},
    {"table of the VS-stage in nothing", do_nop, {20, 20}, BAD_ROOT | G_STAGE},
};

/* The registers before a trap that it changes. */
typedef struct start {
    uint64_t vsstatus, sstatus;
    bool vectored;
} start;

static const start starts[] = {
    {HVC_SSTATUS_UXL_64, HVC_SSTATUS_UXL_64, false},
    {HVC_SSTATUS_UXL_64 | HVC_SSTATUS_SIE | HVC_SSTATUS_FS,
     HVC_SSTATUS_UXL_64 | HVC_SSTATUS_SPIE | HVC_SSTATUS_SPP, true},
    {HVC_SSTATUS_UXL_64 | HVC_SSTATUS_SPIE | HVC_SSTATUS_SPP | HVC_SSTATUS_SUM,
     HVC_SSTATUS_UXL_64 | HVC_SSTATUS_SIE, false},
    {HVC_SSTATUS_UXL_64 | HVC_SSTATUS_SIE | HVC_SSTATUS_SPIE | HVC_SSTATUS_SPP | HVC_SSTATUS_MXR,
     HVC_SSTATUS_UXL_64 | HVC_SSTATUS_SIE | HVC_SSTATUS_SPIE | HVC_SSTATUS_SUM, true},
};

/* ---- one run ---- */

static uint64_t g_root[2048] __attribute__((aligned(16384)));
static uint64_t vs_root[2][512] __attribute__((aligned(4096)));
static uint64_t odd[2];

enum { IN_M, IN_HS, IN_VS, NOWHERE };

/* Where a trap was taken, and what trap entry wrote there. */
typedef struct landing {
    uint32_t where;
    uint64_t cause, epc, tval, val2, inst;
    uint64_t vsstatus, vsepc, vscause, vstval;
    uint64_t sstatus, hstatus;
} landing;

static void build_tables(void)
{
    const uint64_t leaf = HVC_PTE_V | HVC_PTE_R | HVC_PTE_W | HVC_PTE_X | HVC_PTE_A | HVC_PTE_D;
    const uint64_t ram = RAM >> 12 << HVC_PTE_PPN_SHIFT; /* a gigabyte, mapped to itself */

    g_root[RAM >> 30] = ram | leaf | HVC_PTE_U;
    vs_root[0][RAM >> 30] = ram | leaf | HVC_PTE_U;
    vs_root[1][RAM >> 30] = ram | leaf;
    vs_root[0][(RAM + ALIAS) >> 30] = ram | leaf; /* for the handler of VS-mode */
    vs_root[1][(RAM + ALIAS) >> 30] = ram | leaf;
}

static uint64_t sv39(uint64_t root)
{
    return HVC_ATP_SV39 << HVC_ATP_MODE_SHIFT | root >> 12;
}

static void set_translation(unsigned setting, unsigned mode)
{
    uint64_t root = setting & BAD_ROOT ? HOLE : (uint64_t)vs_root[mode];

    WRITE_(VSATP, setting & (VS_STAGE | BAD_ROOT) ? sv39(root) : 0);
    WRITE_(HGATP, setting & G_STAGE ? sv39((uint64_t)g_root) : 0);
    __asm__ volatile(".insn r 0x73, 0, 0x31, x0, x0, x0\n" /* hfence.gvma */
                     ".insn r 0x73, 0, 0x11, x0, x0, x0\n" /* hfence.vvma */
                     "sfence.vma" ::
                         : "memory");
}

/* VS-mode does not fetch from pages of VU-mode. */
static uint64_t vs_handler(const snippet *s)
{
    return (uint64_t)vs_trap + (s->setting & VS_STAGE ? ALIAS : 0);
}

static void set_guest(const snippet *s, unsigned mode, const start *from)
{
    uint64_t mstatus = READ(mstatus);
    const uint64_t mine =
        HVC_SSTATUS_SIE | HVC_SSTATUS_SPIE | HVC_SSTATUS_SPP | HVC_SSTATUS_SUM | HVC_SSTATUS_MXR;

    mstatus &= ~(mine | MSTATUS_MPP);
    mstatus |= MSTATUS_MPV | (from->sstatus & mine) | (uint64_t)mode << 11 | HVC_SSTATUS_FS;
    WRITE(mstatus, mstatus);
    WRITE_(VSSTATUS, from->vsstatus);
    WRITE(stvec, (uint64_t)hs_trap | from->vectored);
    WRITE_(VSTVEC, vs_handler(s) | from->vectored);
    WRITE_(HSTATUS, HVC_HSTATUS_VSXL_64 | (s->setting & VTW ? HVC_HSTATUS_VTW : 0));
    WRITE(sepc, 0);
    WRITE(scause, 0);
    WRITE(stval, 0);
    WRITE_(HTVAL, 0);
    WRITE_(HTINST, 0);
    WRITE_(VSEPC, 0);
    WRITE_(VSCAUSE, 0);
    WRITE_(VSTVAL, 0);
    set_translation(s->setting, mode);
}

static landing in_m(void)
{
    uint64_t mstatus = READ(mstatus);
    landing l = {.where = IN_M,
                 .cause = READ(mcause),
                 .epc = READ(mepc),
                 .tval = READ(mtval),
                 .val2 = READ_(MTVAL2),
                 .inst = READ_(MTINST)};

    /* As firmware hands a trap on: its own MPP and MPV are what SPP and SPV would be. */
    l.sstatus = mstatus >> 11 & 1 ? HVC_SSTATUS_SPP : 0;
    l.hstatus = mstatus & MSTATUS_MPV ? HVC_HSTATUS_SPV : 0;
    return l;
}

static landing in_hs(void)
{
    return (landing){.where = IN_HS,
                     .cause = READ(scause),
                     .epc = READ(sepc),
                     .tval = READ(stval),
                     .val2 = READ_(HTVAL),
                     .inst = READ_(HTINST),
                     .sstatus = READ(sstatus),
                     .hstatus = READ_(HSTATUS)};
}

static landing in_vs(void)
{
    return (landing){
        .where = IN_VS, .cause = READ_(VSCAUSE), .epc = READ_(VSEPC), .tval = READ_(VSTVAL)};
}

/*
 * The handlers of HS-mode and VS-mode have come here by ECALL; that of VS-mode perhaps through HS-
 * mode.
 */
static landing landed(const snippet *s)
{
    uint64_t cause = READ(mcause), epc = READ(mepc);

    if (cause == ECALL_VS && epc == vs_handler(s)) {
        return in_vs();
    }
    if (cause != HVCORE_RISCV64_ECALL_HS) {
        return in_m();
    }
    return READ(scause) == ECALL_VS && READ(sepc) == vs_handler(s) ? in_vs() : in_hs();
}

static landing run(const snippet *s, unsigned mode, const start *from, uint64_t medeleg,
                   uint64_t hedeleg)
{
    landing l;

    WRITE(medeleg, medeleg);
    WRITE_(HEDELEG, hedeleg);
    set_guest(s, mode, from);
    run_guest((uint64_t)s->code, HOLE, (uint64_t)odd + 1);
    l = landed(s);
    l.vsstatus = READ_(VSSTATUS);
    l.vsepc = READ_(VSEPC);
    l.vscause = READ_(VSCAUSE);
    l.vstval = READ_(VSTVAL);
    if (l.epc == (uint64_t)no_trap) {
        l.where = NOWHERE;
    }
    return l;
}

/* ---- judging ---- */

typedef struct test {
    const snippet *s;
    unsigned mode;
    const start *from;
    uint64_t cause; /* what this hart reports */
} test;

static void judge(const test *t, const char *what, bool good, uint64_t got, uint64_t wanted)
{
    if (good) {
        passed++;
        return;
    }
    failed++;
    put("not ok "), put(t->s->name), put(t->mode ? ", VS, " : ", VU, "), put(what);
    put(":"), put_hex(got), put(", not"), put_hex(wanted), put("\n");
}

static void same(const test *t, const char *what, uint64_t got, uint64_t wanted)
{
    judge(t, what, got == wanted, got, wanted);
}

static void deviation(const test *t, const char *name)
{
    known++;
    put("known "), put(t->s->name), put(t->mode ? ", VS: " : ", VU: "), put(name), put("\n");
}

/* The routing rule (Priv. 21.2.2): hedeleg counts only behind medeleg, and only where it can. */
static uint32_t route(uint64_t cause, uint64_t medeleg, uint64_t hedeleg)
{
    if (!(medeleg >> cause & 1)) {
        return IN_M;
    }
    if (hedeleg >> cause & 1 && hvc_riscv64_causes[cause].facts & HVC_CAUSE_DELEGATABLE) {
        return IN_VS;
    }
    return IN_HS;
}

/* What QEMU is known to report in place of the architecture's cause. */
static const struct {
    const char *code;
    uint64_t wanted, got;
    const char *name;
} deviations[] = {
    {do_amo_odd, 6, 4, "a misaligned AMO is reported as 4"},
    {do_amo, 7, 5, "an AMO is reported as a load"}, /* 7.2 */
    {do_amo, 15, 13, "an AMO is reported as a load"},
    {do_amo, 23, 21, "an AMO is reported as a load"},
    {do_nop, 20, 21, "a fetch through a table in nothing is reported as a load"}, /* 7.2 */
    {do_csr_s, 22, 2, "a privileged instruction in VU-mode is reported as 2"},
};

/* The cause that the architecture wants, or what this QEMU is known to report for it. */
static uint64_t expected_cause(const test *t, uint64_t got)
{
    uint64_t wanted = t->s->cause[t->mode];

    for (size_t i = 0; i < sizeof(deviations) / sizeof(deviations[0]); i++) {
        if (deviations[i].code == t->s->code && deviations[i].wanted == wanted &&
            deviations[i].got == got) {
            deviation(t, deviations[i].name);
            return got;
        }
    }
    return wanted;
}

/* QEMU before 8.0 takes the exceptions 2 and 6 for interrupts of VS-mode, which lose one. */
static void check_cause(const test *t, const char *what, uint64_t got, uint64_t hart,
                        uint32_t where)
{
    if (where == IN_VS && (got == 2 || got == 6) && hart == got - 1) {
        deviation(t, "delegated, it arrives with a cause one lower");
        return;
    }
    same(t, what, hart, got);
}

static void check_routes(const test *t)
{
    static const uint64_t sets[2] = {0, DELEGATE_ALL};

    for (unsigned combination = 0; combination < 4; combination++) {
        uint64_t m = sets[combination >> 1], h = sets[combination & 1];
        landing l = run(t->s, t->mode, t->from, m, h);

        same(t, "lands in", l.where, route(t->cause, m, h));
        check_cause(t, "cause", t->cause, l.cause, l.where);
    }
}

/* ---- the units ---- */

/* Larger than the stack likes. */
static hvcore_riscv64_frame frame;
static hvcore_riscv64_sys sys;
static hvcore_riscv64_state state;
static hvcore_event event;

static void load_trap(const test *t, const landing *l)
{
    frame = (hvcore_riscv64_frame){.pc = l->epc, .sstatus = l->sstatus, .hstatus = l->hstatus};
    event = (hvcore_event){.size = sizeof(event),
                           .syndrome = l->cause,
                           .tval = l->tval,
                           .htval = l->val2,
                           .htinst = l->inst,
                           .pc = l->epc};
    sys = (hvcore_riscv64_sys){.size = sizeof(sys), .have = ~UINT64_C(0)};
    sys.vsstatus = t->from->vsstatus;
    sys.vstvec = vs_handler(t->s) | t->from->vectored;
    sys.henvcfg = READ_(HENVCFG);
}

static void check_redirect(const test *t, const landing *arrived, const landing *delegated)
{
    hvcore_result r;

    load_trap(t, arrived);
    r = hvcore_redirect(&frame, &sys, &event, &state);
    same(t, "redirect", r.kind, HVCORE_RESULT_DONE);
    same(t, "vsstatus", sys.vsstatus, delegated->vsstatus);
    same(t, "vsepc", sys.vsepc, delegated->vsepc);
    check_cause(t, "vscause", sys.vscause, delegated->vscause, delegated->where);
    same(t, "vstval", sys.vstval, delegated->vstval);
    same(t, "handler", frame.pc, vs_handler(t->s));
    same(t, "SPP", frame.sstatus & HVC_SSTATUS_SPP, HVC_SSTATUS_SPP);
}

static void check_redirects(const test *t)
{
    landing vs = run(t->s, t->mode, t->from, DELEGATE_ALL, DELEGATE_ALL);
    landing hs = run(t->s, t->mode, t->from, DELEGATE_ALL, 0);
    landing m = run(t->s, t->mode, t->from, 0, 0);

    check_redirect(t, &hs, &vs);
    check_redirect(t, &m, &vs);
}

/* GVA is recomputed by the unit; QEMU forgets it for a breakpoint. */
static void check_gva(const test *t, uint64_t got, uint64_t hart)
{
    if (t->cause == HVCORE_RISCV64_BREAKPOINT && got && !hart) {
        deviation(t, "GVA is 0 though stval is an address");
        return;
    }
    same(t, "GVA", got, hart);
}

/* HS-mode of this hart is what L1 wants to see; M-mode is where L0 stands. */
static void check_forward(const test *t)
{
    landing hs = run(t->s, t->mode, t->from, DELEGATE_ALL, 0);
    landing m = run(t->s, t->mode, t->from, 0, 0);
    const uint64_t visible =
        HVC_SSTATUS_SIE | HVC_SSTATUS_SPIE | HVC_SSTATUS_SPP | HVC_SSTATUS_SUM | HVC_SSTATUS_MXR;
    const uint64_t written = HVC_HSTATUS_SPV | HVC_HSTATUS_SPVP;
    hvcore_forward_state *f = &state.forward;
    hvcore_result r;

    load_trap(t, &m);
    *f = (hvcore_forward_state){.size = sizeof(*f), .version = 1, .virt = 1};
    f->parked.vsstatus = t->from->sstatus;
    f->parked.vstvec = (uint64_t)hs_trap | t->from->vectored;
    f->fill = (hvcore_forward_fill){.found = HVCORE_FORWARD_FOUND_FAULT,
                                    .cause = m.cause,
                                    .tval = m.tval,
                                    .pc = m.epc,
                                    .gpa = m.val2 << 2,
                                    .htinst = m.inst};
    r = hvcore_forward(&frame, &sys, &event, &state);
    same(t, "forward", r.kind, HVCORE_RESULT_DONE);
    same(t, "L1 runs", f->virt, 0);
    same(t, "sstatus of L1", sys.vsstatus & visible, hs.sstatus & visible);
    same(t, "sepc of L1", sys.vsepc, hs.epc);
    same(t, "scause of L1", sys.vscause, hs.cause);
    same(t, "stval of L1", sys.vstval, hs.tval);
    same(t, "htval of L1", f->l1.htval, hs.val2);
    same(t, "htinst of L1", f->l1.htinst, hs.inst);
    same(t, "hstatus of L1", f->l1.hstatus & written, hs.hstatus & written);
    check_gva(t, f->l1.hstatus & HVC_HSTATUS_GVA, hs.hstatus & HVC_HSTATUS_GVA);
    same(t, "handler of L1", frame.pc, (uint64_t)hs_trap);
}

static void check(const snippet *s, unsigned mode, const start *from)
{
    test t = {.s = s, .mode = mode, .from = from};
    landing first = run(s, mode, from, 0, 0);

    if (s->cause[mode] == NO_TRAP) {
        same(&t, "lands in", first.where, NOWHERE);
        return;
    }
    t.cause = expected_cause(&t, first.cause);
    check_routes(&t);
    if (hvc_riscv64_causes[t.cause].facts & HVC_CAUSE_DELEGATABLE) {
        check_redirects(&t);
    }
    check_forward(&t);
}

static void open_memory(void)
{
    WRITE(pmpaddr0, ~UINT64_C(0) >> 10);
    WRITE(pmpcfg0, 0x1f);
    WRITE(mie, 0);
    WRITE(mideleg, 0);
    WRITE_(VSIE, 0);
}

void image_main(void)
{
    if (!(READ(misa) >> ('h' - 'a') & 1)) {
        put("skip: this hart has no hypervisor extension\n0 passed, 0 failed, 1 skipped\n");
        *FINISHER = 0x5555;
        return;
    }
    open_memory();
    build_tables();
    for (size_t i = 0; i < sizeof(snippets) / sizeof(snippets[0]); i++) {
        unsigned before = failed;
        for (size_t k = 0; k < sizeof(starts) / sizeof(starts[0]); k++) {
            check(&snippets[i], HVCORE_RISCV64_VU, &starts[k]);
            check(&snippets[i], HVCORE_RISCV64_VS, &starts[k]);
        }
        if (failed == before) {
            put("ok "), put(snippets[i].name), put("\n");
        }
    }
    put("# known deviations met: "), put_number(known), put("\n");
    power_off();
}
