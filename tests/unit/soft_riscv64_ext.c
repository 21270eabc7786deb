/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the software machine has beyond RV64IMAC, where privileged state decides: Sstc, the states
 * of F and D, cache blocks, misaligned accesses, Svadu, Svnapot, Svpbmt; and htinst for every kind
 * of access, from the vectors.
 */
#include "tests/unit/soft.h"
#include "tests/unit/vectors.h"

#include <stdio.h>

enum { RD = RV_T2, RS1 = RV_T0, RS2 = RV_T1 };
enum {
    FFLAGS = 1,
    FRM = 2,
    FCSR = 3,
    SSTATUS = 0x100,
    SIP = 0x144,
    STIMECMP = 0x14d,
    TIME = 0xc01
};

#define ALL                                                                               \
    (HVCORE_RISCV64_ISA_DEFAULT | HVCORE_RISCV64_ISA_SVADU | HVCORE_RISCV64_ISA_SVNAPOT | \
     HVCORE_RISCV64_ISA_SVPBMT)
#define CODE UINT64_C(0x10000)
#define DATA UINT64_C(0x20000)
#define HOLE UINT64_C(0x30000) /* after a page that is there; two pages */
#define READ_ONLY UINT64_C(0x40000)
#define EXECUTE_ONLY UINT64_C(0x50000)
#define UNMAPPED UINT64_C(0x80000)
#define HOLE_GPA UINT64_C(0x70000000)
#define DATA_GPA (GUEST + PAGE)

static soft_vm *vm;
static uint64_t root;

static void expect(const char *what, uint64_t got, uint64_t want)
{
    if (got != want)
        fprintf(stderr, "\n%s: %#llx, not %#llx\n", what, (unsigned long long)got,
                (unsigned long long)want);
    CU_ASSERT_EQUAL(got, want);
}

static void begin(uint64_t isa)
{
    vm = soft_vm_new_isa(isa);
    soft_map_ram(vm);
    root = soft_vs_page(vm);
    soft_map_vs(vm, root, CODE, GUEST, PTE_S);
    soft_map_vs(vm, root, CODE + PAGE, GUEST, PTE_USER);
    soft_map_vs(vm, root, DATA, DATA_GPA, PTE_S);
    soft_map_vs(vm, root, HOLE - PAGE, DATA_GPA, PTE_S);
    soft_map_vs(vm, root, HOLE, HOLE_GPA, PTE_S);
    soft_map_vs(vm, root, HOLE + PAGE, HOLE_GPA + PAGE, PTE_S);
    soft_map_vs(vm, root, READ_ONLY, DATA_GPA, PTE_S & ~(HVC_PTE_W | HVC_PTE_X));
    soft_map_vs(vm, root, EXECUTE_ONLY, DATA_GPA, PTE_S & ~(HVC_PTE_W | HVC_PTE_R));
    hvc_port_set(vm->pe, vsatp, soft_satp(root, 1));
}

static void end(void)
{
    soft_vm_free(vm);
}

static void fp_states(uint64_t vs, uint64_t hs)
{
    hvc_port_set(vm->pe, vsstatus, vs << 13);
    vm->frame.sstatus = (vm->frame.sstatus & ~HVC_SSTATUS_FS) | hs << 13;
}

#define RETIRED UINT64_C(1000)

/* One instruction at CODE in this mode; RETIRED, or the cause of its trap. FS of HS-mode stays. */
static uint64_t run_in(uint32_t mode, uint32_t word)
{
    uint64_t fs = vm->frame.sstatus & HVC_SSTATUS_FS, pc = CODE + (mode == VU ? PAGE : 0);
    memcpy(soft_ptr(vm, GUEST), &word, sizeof word);
    soft_mode(vm, mode, pc);
    vm->frame.sstatus |= fs;
    enum hvc_port_stop stop = soft_steps(vm, 1);
    CU_ASSERT(stop == HVC_STOP_TRAP || stop == HVC_STOP_INSN_LIMIT);
    expect("pc", vm->frame.pc, pc + (stop == HVC_STOP_TRAP ? 0 : (word & 3) == 3 ? 4 : 2));
    return stop == HVC_STOP_TRAP ? vm->raw.scause : RETIRED;
}

static uint64_t run(uint32_t word)
{
    return run_in(VS, word);
}

/* It traps with `cause` and its own bits in stval. */
static void expect_word(uint32_t mode, uint32_t word, uint64_t cause)
{
    expect("cause", run_in(mode, word), cause);
    expect("stval", vm->raw.stval, (word & 3) == 3 ? word : word & 0xffff);
}

/* --- Sstc ------------------------------------------------------------------------------------- */

#define STIP HVC_BIT(5)
#define VSTIP HVC_BIT(6)

static void begin_timer(void)
{
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    hvc_port_set(vm->pe, hcounteren, 7);
    hvc_port_set(vm->pe, scounteren, 7);
    hvc_port_set(vm->pe, henvcfg, HVC_HENVCFG_STCE);
    hvc_port_set(vm->pe, hideleg, 0x444);
}

static void test_stimecmp_access(void)
{
    const uint32_t words[] = {rv_csrr(RD, STIMECMP), rv_csrw(STIMECMP, RS1),
                              rv_csrrsi(0, STIMECMP, 1)};
    begin_timer();
    for (size_t i = 0; i < 3; i++) {
        hvc_port_set(vm->pe, henvcfg, HVC_HENVCFG_STCE);
        hvc_port_set(vm->pe, hcounteren, 7);
        expect("VS", run(words[i]), RETIRED);
        expect_word(VU, words[i], 22);
        hvc_port_set(vm->pe, hcounteren, 5); /* without TM */
        expect_word(VS, words[i], 22);
        hvc_port_set(vm->pe, hcounteren, 7);
        hvc_port_set(vm->pe, henvcfg, 0);
        expect_word(VS, words[i], 22);
        expect_word(VU, words[i], 22);
    }
    expect_word(VS, rv_csrr(RD, 0x24d), 22);
    vm->frame.x[RS1] = UINT64_C(0x123456789abcdef0);
    hvc_port_set(vm->pe, henvcfg, HVC_HENVCFG_STCE);
    expect("write", run(rv_csrw(STIMECMP, RS1)), RETIRED);
    expect("written", hvc_port_get(vm->pe, vstimecmp), UINT64_C(0x123456789abcdef0));
    expect("read", run(rv_csrr(RD, STIMECMP)), RETIRED);
    expect("read", vm->frame.x[RD], UINT64_C(0x123456789abcdef0));
    end();
    begin(HVCORE_RISCV64_ISA_DEFAULT & ~(uint64_t)HVCORE_RISCV64_ISA_SSTC);
    hvc_port_set(vm->pe, hcounteren, 7);
    hvc_port_set(vm->pe, henvcfg, HVC_HENVCFG_STCE);
    expect_word(VS, rv_csrr(RD, STIMECMP), 2);
    expect_word(VS, rv_csrr(RD, 0x24d), 2);
    end();
}

static uint64_t sip(void)
{
    expect("csrr", run(rv_csrr(RD, SIP)), RETIRED);
    return vm->frame.x[RD];
}

/* The bit is there exactly while time >= stimecmp and STCE is set; a guest cannot write it. */
static void test_timer_pending(void)
{
    begin_timer();
    hvc_port_set(vm->pe, vstimecmp, 0);
    expect("past", sip() & STIP, STIP);
    expect("sip is not written", run(rv_csrw(SIP, 0)), RETIRED);
    expect("past", sip() & STIP, STIP);
    hvc_port_set(vm->pe, hideleg, 0x404);
    expect("not delegated", sip() & STIP, 0);
    hvc_port_set(vm->pe, hideleg, 0x444);
    hvc_port_set(vm->pe, vstimecmp, UINT64_MAX);
    expect("never", sip() & STIP, 0);
    hvc_port_set(vm->pe, hvip, VSTIP);
    expect("hvip", sip() & STIP, STIP);
    hvc_port_set(vm->pe, hvip, 0);
    hvc_port_set(vm->pe, vstimecmp, 0);
    hvc_port_set(vm->pe, henvcfg, 0);
    expect("without STCE", sip() & STIP, 0);
    hvc_port_set(vm->pe, henvcfg, HVC_HENVCFG_STCE);
    uint64_t at = hvc_port_time(vm->m) + 20000; /* 2 ms */
    hvc_port_set(vm->pe, vstimecmp, at);
    while (!(sip() & STIP)) {
        expect("time", run(rv_csrr(RD, TIME)), RETIRED);
        if (vm->frame.x[RD] >= at)
            break;
    }
    CU_ASSERT(hvc_port_time(vm->m) >= at);
    expect("at last", sip() & STIP, STIP);
    end();
}

/* A loop is interrupted by the clock alone; the timer of another PE is another one. */
static void test_timer_interrupts(void)
{
    begin_timer();
    rv_code c = rv_at(soft_ptr(vm, GUEST), CODE);
    rv_put(&c, rv_jal(0, 0));
    c = rv_at(soft_ptr(vm, GUEST + 64), CODE + 64);
    rv_put(&c, rv_csrr(RV_A0, TIME));
    rv_put(&c, rv_csrr(RV_A1, 0x142));
    rv_put(&c, rv_ecall());
    hvc_port_set(vm->pe, vstvec, CODE + 64);
    hvc_port_set(vm->pe, vsie, STIP);
    for (int i = 0; i < 3; i++) {
        uint64_t at = hvc_port_time(vm->m) + 3000;
        hvc_port_set(vm->pe, vsstatus, HVC_SSTATUS_SIE);
        hvc_port_set(vm->pe, vstimecmp, at);
        soft_mode(vm, i == 2 ? VU : VS, CODE + (i == 2 ? PAGE : 0));
        CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_TRAP);
        CU_ASSERT(vm->frame.x[RV_A0] >= at);
        expect("scause", vm->frame.x[RV_A1], HVC_CAUSE_INTERRUPT | 5);
    }
    end();
}

/* In lockstep time is instructions, 100 a tick: the interrupt comes with its instruction. */
static void test_timer_lockstep(void)
{
    begin_timer();
    hvc_machine *machine;
    hvc_pe *pe;
    hvc_port_config config = {.max_pes = 1, .lockstep = 1};
    uint64_t pa;
    if (hvc_port_machine_create(&machine, &config) || hvc_port_pe_claim(machine, 0, &pe) ||
        hvc_port_bank_add(machine, vm->ram, GUEST_SIZE, 0, &pa))
        abort();
    rv_code c = rv_at(soft_ptr(vm, GUEST), pa);
    for (int i = 0; i < 600; i++)
        rv_put(&c, rv_addi(RV_A0, RV_A0, 1));
    uint32_t word = rv_ecall();
    memcpy(soft_ptr(vm, GUEST + PAGE), &word, 4); /* the vector */
    hvc_port_fp_load(pe, &vm->fp);
    hvc_port_set(pe, hideleg, 0x444);
    hvc_port_set(pe, henvcfg, HVC_HENVCFG_STCE);
    hvc_port_set(pe, vsie, STIP);
    hvc_port_set(pe, vsstatus, HVC_SSTATUS_SIE);
    hvc_port_set(pe, vstvec, pa + PAGE);
    hvc_port_set(pe, vstimecmp, 4);
    soft_mode(vm, VS, pa);
    memset(vm->frame.x, 0, sizeof vm->frame.x);
    CU_ASSERT_EQUAL(hvc_port_enter(pe, &vm->frame, &vm->raw), HVC_STOP_TRAP);
    expect("scause", vm->raw.scause, HVCORE_RISCV64_ECALL_VS);
    expect("instructions before", vm->frame.x[RV_A0], 400);
    expect("vsepc", hvc_port_get(pe, vsepc), pa + 1600);
    expect("time", hvc_port_time(machine), 4);
    hvc_port_pe_release(pe);
    hvc_port_machine_destroy(machine);
    end();
}

/* --- F and D on and off ------------------------------------------------------------------------ */

#define FADD_S 0x003100d3u  /* fadd.s f1, f2, f3, rne */
#define FSQRT_D 0x5a0170d3u /* fsqrt.d f1, f2, dyn */
#define FEQ_D 0xa23123d3u   /* feq.d t2, f2, f3 */
#define FMV_X_D 0xe20103d3u /* fmv.x.d t2, f2 */
#define FMV_D_X 0xf20280d3u /* fmv.d.x f1, t0 */

/* Priv. 21.2.11: both status registers say whether the unit is there. */
static void test_fp_off(void)
{
    const uint32_t words[] = {FADD_S,
                              FSQRT_D,
                              FEQ_D,
                              FMV_X_D,
                              FMV_D_X,
                              rv_fl(2, 1, 0, RS1),
                              rv_fl(3, 1, 0, RS1),
                              rv_fs(2, 1, 0, RS1),
                              rv_fs(3, 1, 0, RS1),
                              rv_csrr(RD, FFLAGS),
                              rv_csrr(RD, FRM),
                              rv_csrr(RD, FCSR),
                              rv_csrrwi(0, FFLAGS, 0),
                              0x2288 /* c.fld fa0, 0(a3) */,
                              0xa288 /* c.fsd */,
                              0x2502 /* c.fldsp fa0, 0(sp) */,
                              0xa02a};
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    for (int i = 1; i < 32; i++)
        vm->frame.x[i] = DATA;
    for (size_t i = 0; i < 8 * sizeof words / sizeof words[0]; i++) {
        uint64_t vs = i % 4 == 0 ? 0 : i % 4, hs = i / 4 % 2 ? 0 : 3;
        fp_states(vs, hs);
        if (vs && hs)
            expect("on", run(words[i / 8]), RETIRED);
        else
            expect_word(VS, words[i / 8], 2);
        vm->frame.x[RD] = DATA;
    }
    fp_states(0, 3); /* off comes before what the access would do */
    vm->frame.x[RS1] = UNMAPPED;
    expect_word(VS, rv_fl(3, 1, 0, RS1), 2);
    end();
    begin(HVCORE_RISCV64_ISA_DEFAULT & ~(uint64_t)HVCORE_RISCV64_ISA_FD);
    fp_states(3, 3);
    expect("no FS", hvc_port_get(vm->pe, vsstatus), HVC_SSTATUS_UXL_64);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        expect_word(VS, words[i], 2);
    end();
}

/* After a word that changes F or D state both are dirty, and SD sums it up; reading changes none. */
static void test_fp_dirty(void)
{
    const uint32_t dirty[] = {FADD_S,
                              FMV_D_X,
                              rv_fl(2, 1, 0, RS1),
                              rv_fl(3, 1, 0, RS1),
                              rv_csrrwi(0, FFLAGS, 1),
                              rv_csrrwi(0, FRM, 1),
                              rv_csrrwi(0, FCSR, 1)};
    const uint32_t clean[] = {rv_fs(2, 1, 0, RS1), rv_fs(3, 1, 0, RS1), rv_csrr(RD, FCSR),
                              rv_csrr(RD, FRM), rv_addi(RD, RS1, 1)};
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    for (size_t i = 0; i < sizeof dirty / sizeof dirty[0]; i++) {
        vm->frame.x[RS1] = DATA;
        fp_states(1 + i % 2, 2 - i % 2);
        expect("dirty", run(dirty[i]), RETIRED);
        expect("VS", hvc_port_get(vm->pe, vsstatus) & (HVC_SSTATUS_FS | HVC_SSTATUS_SD),
               HVC_SSTATUS_FS | HVC_SSTATUS_SD);
        expect("HS", vm->frame.sstatus & HVC_SSTATUS_FS, HVC_SSTATUS_FS);
    }
    for (size_t i = 0; i < sizeof clean / sizeof clean[0]; i++) {
        vm->frame.x[RS1] = DATA;
        fp_states(1 + i % 2, 2 - i % 2);
        expect("clean", run(clean[i]), RETIRED);
        expect("VS", hvc_port_get(vm->pe, vsstatus), HVC_SSTATUS_UXL_64 | (1 + i % 2) << 13);
        expect("HS", vm->frame.sstatus >> 13 & 3, 2 - i % 2);
    }
    fp_states(3, 1);
    expect("sstatus", run(rv_csrr(RD, SSTATUS)), RETIRED);
    expect("SD", vm->frame.x[RD], HVC_SSTATUS_SD | HVC_SSTATUS_FS | HVC_SSTATUS_UXL_64);
    vm->frame.x[RS1] = 1 << 13;
    expect("sstatus", run(rv_csrw(SSTATUS, RS1)), RETIRED);
    expect("SD gone", hvc_port_get(vm->pe, vsstatus), (1 << 13) | HVC_SSTATUS_UXL_64);
    end();
}

static uint64_t fp_csr(uint32_t number)
{
    expect("csrr", run(rv_csrr(RD, number)), RETIRED);
    return vm->frame.x[RD];
}

/* fcsr is frm and fflags; an invalid frm stays, and makes dynamic rounding illegal. */
static void test_fcsr(void)
{
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    fp_states(3, 3);
    for (uint64_t value = 0; value < 256; value += 3) {
        vm->frame.x[RS1] = value | 0xffffff00;
        expect("fscsr", run(rv_csrw(FCSR, RS1)), RETIRED);
        expect("fcsr", fp_csr(FCSR), value);
        expect("frm", fp_csr(FRM), value >> 5);
        expect("fflags", fp_csr(FFLAGS), value & 31);
        expect("state", vm->fp.fcsr, value);
        expect("dynamic", run(FSQRT_D), value >> 5 > 4 ? 2 : RETIRED);
        expect("static", run(FADD_S), RETIRED);
    }
    vm->frame.x[RS1] = 0xff;
    run(rv_csrw(FCSR, 0));
    run(rv_csrw(FRM, RS1));
    expect("frm alone", fp_csr(FCSR), 0xe0);
    run(rv_csrw(FRM, 0));
    run(rv_csrw(FFLAGS, RS1));
    expect("fflags alone", fp_csr(FCSR), 0x1f);
    run(rv_csrrci(RD, FFLAGS, 6));
    expect("old", vm->frame.x[RD], 0x1f);
    expect("cleared", fp_csr(FCSR), 0x19);
    expect("rm 5", run(FADD_S | 5 << 12), 2);
    expect("rm 6", run(FADD_S | 6 << 12), 2);
    vm->fp.f[2] = UINT64_C(0xffffffff3f800000); /* 1 / 0: DZ, and it is there at once */
    vm->fp.f[3] = UINT64_C(0xffffffff00000000);
    run(rv_csrw(FCSR, 0));
    expect("fdiv.s", run(0x183100d3), RETIRED);
    expect("state", vm->fp.fcsr, 8);
    expect("infinity", vm->fp.f[1], UINT64_C(0xffffffff7f800000));
    end();
}

/* --- cache blocks ------------------------------------------------------------------------------ */

enum { INVAL = 0, CLEAN = 1, FLUSH = 2, ZERO = 4 };

/* CMO 2.4 with menvcfg all set: 22 wherever henvcfg, or in VU-mode senvcfg, says no. */
static bool allowed(uint32_t which, uint64_t h, uint64_t s, uint32_t mode)
{
    uint64_t bits = which == INVAL ? UINT64_C(3) << 4 : UINT64_C(1) << (which == ZERO ? 7 : 6);
    return h & bits && (mode == VS || s & bits);
}

static void test_cbo_permission(void)
{
    static const uint32_t which[] = {INVAL, CLEAN, FLUSH, ZERO};
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    soft_map_vs(vm, root, DATA, DATA_GPA, PTE_S);
    soft_map_vs(vm, root, DATA + PAGE, DATA_GPA, PTE_USER);
    for (uint32_t i = 0; i < 4 * 2 * 16 * 16; i++) {
        uint32_t w = which[i & 3], mode = i >> 2 & 1 ? VS : VU;
        uint64_t h = i >> 3 & 15, s = i >> 7 & 15;
        h = (h & 3) == 2 ? h ^ 3 : h; /* CBIE 2 is reserved */
        s = (s & 3) == 2 ? s ^ 3 : s;
        hvc_port_set(vm->pe, henvcfg, h << 4);
        hvc_port_set(vm->pe, senvcfg, s << 4);
        vm->frame.x[RS1] = DATA + (mode == VU ? PAGE : 0) + 8;
        if (allowed(w, h << 4, s << 4, mode))
            expect("cbo", run_in(mode, rv_cbo((int32_t)w, RS1)), RETIRED);
        else
            expect_word(mode, rv_cbo((int32_t)w, RS1), 22);
    }
    end();
    begin(HVCORE_RISCV64_ISA_BASE | HVCORE_RISCV64_ISA_C);
    hvc_port_set(vm->pe, henvcfg, UINT64_MAX);
    for (size_t i = 0; i < 4; i++)
        expect_word(VS, rv_cbo((int32_t)which[i], RS1), 2);
    end();
}

static void test_cbo_zero(void)
{
    uint8_t *page;
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    hvc_port_set(vm->pe, henvcfg, 0xf0);
    page = soft_ptr(vm, DATA_GPA);
    for (uint64_t at = 0; at < PAGE; at += 61) {
        memset(page, 0xee, PAGE);
        vm->frame.x[RS1] = DATA + at; /* any address of the block */
        expect("cbo.zero", run(rv_cbo(ZERO, RS1)), RETIRED);
        for (uint64_t i = 0; i < PAGE; i++)
            CU_ASSERT_EQUAL_FATAL(page[i], i / 64 == at / 64 ? 0 : 0xee);
        expect("cbo.inval", run(rv_cbo(INVAL, RS1)), RETIRED); /* memory is coherent here */
        CU_ASSERT_EQUAL(page[at], 0);
    }
    end();
}

/* A load's or a store's right is enough but for zero; what fails is a store. */
static void test_cbo_faults(void)
{
    static const struct {
        uint64_t va, gpa;
        uint64_t clean, zero;
    } cases[] = {{DATA, 0, RETIRED, RETIRED}, {READ_ONLY, 0, RETIRED, 15},
                 {EXECUTE_ONLY, 0, 15, 15},   {UNMAPPED, 0, 15, 15},
                 {HOLE, HOLE_GPA, 23, 23},    {UINT64_C(1) << 45, 0, 15, 15}};
    static const uint32_t which[] = {INVAL, CLEAN, FLUSH, ZERO};
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    hvc_port_set(vm->pe, henvcfg, 0xf0);
    for (size_t i = 0; i < 4 * sizeof cases / sizeof cases[0]; i++) {
        uint32_t w = which[i % 4];
        uint64_t va = cases[i / 4].va + 12,
                 want = w == ZERO ? cases[i / 4].zero : cases[i / 4].clean;
        vm->frame.x[RS1] = va;
        expect("cause", run(rv_cbo((int32_t)w, RS1)), want);
        if (want == RETIRED)
            continue;
        expect("stval", vm->raw.stval, va);
        expect("htval", vm->raw.htval, cases[i / 4].gpa ? (HOLE_GPA + 12) >> 2 : 0);
        expect("htinst", vm->raw.htinst, 0);
    }
    end();
}

/* --- misaligned accesses ------------------------------------------------------------------------ */

typedef struct access {
    uint32_t word;
    uint32_t size;
    bool store, is_signed, is_float;
} access;

/* t0 is the address, t2 or f7 the register of the data. */
static const access *accesses(size_t *n)
{
    static access list[16];
    const access all[] = {{rv_lh(RD, 0, RS1), 2, 0, 1, 0},    {rv_lhu(RD, 0, RS1), 2, 0, 0, 0},
                          {rv_lw(RD, 0, RS1), 4, 0, 1, 0},    {rv_lwu(RD, 0, RS1), 4, 0, 0, 0},
                          {rv_ld(RD, 0, RS1), 8, 0, 1, 0},    {rv_sh(RD, 0, RS1), 2, 1, 0, 0},
                          {rv_sw(RD, 0, RS1), 4, 1, 0, 0},    {rv_sd(RD, 0, RS1), 8, 1, 0, 0},
                          {rv_fl(2, RD, 0, RS1), 4, 0, 0, 1}, {rv_fl(3, RD, 0, RS1), 8, 0, 0, 1},
                          {rv_fs(2, RD, 0, RS1), 4, 1, 0, 1}, {rv_fs(3, RD, 0, RS1), 8, 1, 0, 1}};
    *n = sizeof all / sizeof all[0];
    memcpy(list, all, sizeof all);
    return list;
}

static uint64_t extended(uint64_t value, const access *a)
{
    uint32_t bits = 8 * a->size;
    if (bits == 64)
        return value;
    value &= (UINT64_C(1) << bits) - 1;
    if (a->is_float)
        return value | UINT64_MAX << 32;
    return a->is_signed && value >> (bits - 1) ? value | UINT64_MAX << bits : value;
}

#define TWO (UINT64_C(0x60000)) /* two pages whose memory is not in order */

static uint8_t *byte_at(uint64_t va)
{
    uint64_t page = va < TWO + PAGE ? GUEST + 5 * PAGE : GUEST + 3 * PAGE;
    return soft_ptr(vm, page + va % PAGE);
}

static void check_misaligned(const access *a, uint64_t va, uint64_t value)
{
    for (uint32_t i = 0; i < 24; i++)
        *byte_at(va - 8 + i) = (uint8_t)(0x80 + i);
    uint64_t memory = 0;
    for (uint32_t i = 0; i < a->size; i++)
        memory |= (uint64_t)*byte_at(va + i) << 8 * i;
    vm->frame.x[RS1] = va;
    vm->frame.x[RD] = vm->fp.f[RD] = value;
    expect("access", run(a->word), RETIRED);
    if (!a->store) {
        expect("loaded", a->is_float ? vm->fp.f[RD] : vm->frame.x[RD], extended(memory, a));
        return;
    }
    for (uint32_t i = 0; i < 24; i++) {
        bool inside = i >= 8 && i < 8 + a->size;
        CU_ASSERT_EQUAL(*byte_at(va - 8 + i),
                        inside ? (uint8_t)(value >> 8 * (i - 8)) : (uint8_t)(0x80 + i));
    }
}

static void test_misaligned(void)
{
    size_t n;
    const access *list = accesses(&n);
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    fp_states(3, 3);
    soft_map_vs(vm, root, TWO, GUEST + 5 * PAGE, PTE_S);
    soft_map_vs(vm, root, TWO + PAGE, GUEST + 3 * PAGE, PTE_S);
    for (size_t i = 0; i < n; i++) {
        for (uint64_t off = 0; off < 17; off++) {
            check_misaligned(&list[i], TWO + 64 + off, UINT64_C(0x0123456789abcdef));
            check_misaligned(&list[i], TWO + PAGE - 9 + off, UINT64_C(0xfedcba9876543210));
        }
    }
    end();
}

static void test_misaligned_traps(void)
{
    size_t n;
    const access *list = accesses(&n);
    begin(HVCORE_RISCV64_ISA_DEFAULT & ~(uint64_t)HVCORE_RISCV64_ISA_MISALIGNED);
    fp_states(3, 3);
    for (size_t i = 0; i < n; i++) {
        for (uint64_t off = 0; off < 8; off++) {
            bool aligned = off % list[i].size == 0;
            vm->frame.x[RS1] = DATA + off;
            expect("cause", run(list[i].word), aligned ? RETIRED : list[i].store ? 6 : 4);
            if (!aligned)
                expect("stval", vm->raw.stval, DATA + off);
        }
    }
    end();
}

/*
 * The first page is there, the second is not: stval is the address of the part that faults, and
 * htinst says how far that is from the start (Priv. 21.6.3). Nothing is written.
 */
static void check_second_page(const access *a, uint64_t second, uint64_t cause, uint64_t gpa)
{
    soft_map_vs(vm, root, second - PAGE, DATA_GPA, PTE_S);
    for (uint64_t off = 1; off < a->size; off++) {
        uint8_t *last = soft_ptr(vm, DATA_GPA + PAGE - 8);
        uint64_t kept = a->word & (a->store ? 0x01f0707f : 0x7fff);
        memset(last, 0xee, 8);
        vm->frame.x[RS1] = second - off;
        expect("cause", run(a->word), cause);
        expect("stval", vm->raw.stval, second);
        expect("htval", vm->raw.htval, gpa >> 2);
        if (gpa)
            expect("htinst", vm->raw.htinst, kept | off << 15);
        for (int i = 0; i < 8; i++)
            CU_ASSERT_EQUAL(last[i], 0xee);
    }
}

static void test_misaligned_faults(void)
{
    size_t n;
    const access *list = accesses(&n);
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    fp_states(3, 3);
    for (size_t i = 0; i < n; i++) {
        check_second_page(&list[i], UNMAPPED, list[i].store ? 15 : 13, 0);
        check_second_page(&list[i], HOLE, list[i].store ? 23 : 21, HOLE_GPA);
        if (list[i].store)
            check_second_page(&list[i], READ_ONLY, 15, 0);
        vm->frame.x[RS1] = HOLE + PAGE - 1; /* both are missing: the first one is told */
        expect("cause", run(list[i].word), list[i].store ? 23 : 21);
        expect("stval", vm->raw.stval, HOLE + PAGE - 1);
    }
    end();
}

/* --- page tables: Svadu, Svnapot, Svpbmt --------------------------------------------------------- */

#define AD (HVC_PTE_A | HVC_PTE_D)

static uint64_t load(uint64_t va)
{
    vm->frame.x[RS1] = va;
    return run(rv_ld(RD, 0, RS1));
}

static uint64_t store(uint64_t va)
{
    vm->frame.x[RS1] = va;
    return run(rv_sd(RD, 0, RS1));
}

static void test_svadu(void)
{
    begin(ALL);
    uint64_t *e = soft_vs_entry(vm, root, DATA, 0), fresh = *e & ~AD;
    *e = fresh;
    expect("Svade: load", load(DATA), 13);
    expect("Svade: store", store(DATA), 15);
    expect("Svade: untouched", *e, fresh);
    hvc_port_set(vm->pe, henvcfg, HVC_HENVCFG_ADUE);
    hvc_port_tlb_vvma(vm->pe);
    expect("load", load(DATA), RETIRED);
    expect("A", *e, fresh | HVC_PTE_A);
    expect("load again", load(DATA), RETIRED);
    expect("A alone", *e, fresh | HVC_PTE_A);
    expect("store", store(DATA), RETIRED);
    expect("A and D", *e, fresh | AD);
    *e = fresh; /* what the TLB has needs no update: none happens */
    expect("store again", store(DATA), RETIRED);
    expect("once", *e, fresh);
    hvc_port_tlb_vvma(vm->pe);
    expect("store", store(DATA), RETIRED);
    expect("both at once", *e, fresh | AD);
    *e = fresh & ~HVC_PTE_W;
    hvc_port_tlb_vvma(vm->pe);
    expect("no right", store(DATA), 15);
    expect("no update", *e, fresh & ~HVC_PTE_W);
    end();
    begin(HVCORE_RISCV64_ISA_DEFAULT); /* without the extension ADUE is not there */
    hvc_port_set(vm->pe, henvcfg, HVC_HENVCFG_ADUE);
    expect("henvcfg", hvc_port_get(vm->pe, henvcfg), 0);
    *soft_vs_entry(vm, root, DATA, 0) &= ~AD;
    expect("load", load(DATA), 13);
    end();
}

/* An update of a table that the G-stage lets nobody write: htinst-02, a pseudo write. */
static void check_update_fault(uint64_t htinst)
{
    begin(ALL);
    uint64_t *e = soft_vs_entry(vm, root, DATA, 0);
    uint64_t gpa = GUEST + (uint64_t)((uint8_t *)e - vm->ram);
    *e &= ~AD;
    hvc_port_set(vm->pe, henvcfg, HVC_HENVCFG_ADUE);
    *soft_g_entry(vm, gpa) &= ~(uint64_t)HVC_PTE_W;
    hvc_port_tlb_gvma(vm->pe);
    for (int i = 0; i < 2; i++) {
        expect("cause", i ? store(DATA) : load(DATA), i ? 23 : 21);
        expect("stval", vm->raw.stval, DATA);
        expect("htval", vm->raw.htval, gpa >> 2);
        expect("htinst", vm->raw.htinst, htinst);
    }
    end();
}

/* A table that is not there: htinst-01, a pseudo read. */
static void check_table_fault(uint64_t htinst)
{
    begin(ALL);
    *soft_vs_entry(vm, root, UINT64_C(1) << 32, 2) =
        HOLE_GPA >> 12 << HVC_PTE_PPN_SHIFT | HVC_PTE_V;
    for (int i = 0; i < 2; i++) {
        uint64_t va = UINT64_C(1) << 32;
        expect("cause", i ? store(va) : load(va), i ? 23 : 21);
        expect("htval", vm->raw.htval, HOLE_GPA >> 2);
        expect("htinst", vm->raw.htinst, htinst);
    }
    end();
}

#define NAPOT_VA UINT64_C(0x100000)

static void map_napot(uint64_t low)
{
    for (uint64_t i = 0; i < 16; i++) {
        uint64_t ppn = ((GUEST + 16 * PAGE) >> 12 & ~UINT64_C(15)) | low;
        *soft_vs_entry(vm, root, NAPOT_VA + i * PAGE, 0) =
            UINT64_C(1) << 63 | ppn << HVC_PTE_PPN_SHIFT | PTE_S;
        memcpy(soft_ptr(vm, GUEST + (16 + i) * PAGE + 8), &i, 8);
    }
    hvc_port_tlb_vvma(vm->pe);
}

static void test_svnapot(void)
{
    begin(ALL);
    map_napot(8);
    for (uint64_t i = 0; i < 16; i++) {
        expect("load", load(NAPOT_VA + i * PAGE + 8), RETIRED);
        expect("page", vm->frame.x[RD], i);
    }
    for (uint64_t low = 0; low < 16; low++) {
        map_napot(low);
        expect("size", load(NAPOT_VA + 8), low == 8 ? RETIRED : 13);
    }
    end();
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    map_napot(8);
    expect("absent", load(NAPOT_VA + 8), 13);
    end();
}

/* PBMT of a leaf: 0, 1, 2 with PBMTE; 3 never; of a table never. */
static void check_pbmt(uint64_t isa, bool enabled)
{
    begin(isa);
    hvc_port_set(vm->pe, henvcfg, enabled ? HVC_HENVCFG_PBMTE : 0);
    bool has = enabled && isa & HVCORE_RISCV64_ISA_SVPBMT;
    uint64_t *leaf = soft_vs_entry(vm, root, DATA, 0), plain = *leaf;
    for (uint64_t type = 0; type < 4; type++) {
        *leaf = plain | type << 61;
        hvc_port_tlb_vvma(vm->pe);
        expect("leaf", load(DATA), !type || (has && type < 3) ? RETIRED : 13);
    }
    *leaf = plain;
    uint64_t *table = soft_vs_entry(vm, root, DATA, 1);
    *table |= UINT64_C(1) << 61;
    hvc_port_tlb_vvma(vm->pe);
    memset(&vm->raw, 0, sizeof vm->raw);
    soft_mode(vm, VS, CODE);
    CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_TRAP);
    expect("table", vm->raw.scause, 12);
    end();
}

static void test_svpbmt(void)
{
    check_pbmt(ALL, true);
    check_pbmt(ALL, false);
    check_pbmt(HVCORE_RISCV64_ISA_DEFAULT, true);
}

/* --- vectors ------------------------------------------------------------------------------------ */

/* t's instruction, with every register in the hole, or `offset` bytes before it. */
static void check_tinst(json_object *v)
{
    const char *id = hvc_json_str_or(v, "id", "");
    uint32_t word = (uint32_t)hvc_json_u64(v, "in.insn");
    uint64_t offset = hvc_json_u64(v, "in.off"), want = hvc_json_u64(v, "out.htinst");
    bool hls = !strcmp(id, "tinst-12"); /* HLV has none: with V = 1 it is a virtual instruction */
    bool illegal = !strcmp(id, "tinst-14") || !strcmp(id, "tinst-15"); /* V, reserved */
    for (int i = 1; i < 32; i++)
        vm->frame.x[i] = offset ? HOLE - offset : HOLE + 0x800;
    uint64_t cause = run(word);
    CU_ASSERT(hls ? cause == 22 : illegal ? cause == 2 : cause == 21 || cause == 23);
    expect(id, vm->raw.htinst, hls ? 0 : want);
}

static void test_tinst(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json");
    size_t at = 0, done = 0;
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    fp_states(3, 3);
    hvc_port_set(vm->pe, henvcfg, 0xf0);
    for (json_object *v; (v = hvc_vectors_next(doc, "tinst", &at)); done++)
        check_tinst(v);
    expect("vectors", done, 15);
    end();
    json_object_put(doc);
}

/* Of the htinst vectors a hart can produce the pseudo-instructions for RV64; the rest is decoding. */
static void test_htinst(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json");
    size_t at = 0, done = 0;
    for (json_object *v; (v = hvc_vectors_next(doc, "htinst", &at));) {
        uint64_t htinst = hvc_json_u64(v, "in.htinst");
        if (strcmp(hvc_json_str_or(v, "out.kind", ""), "pseudo") ||
            hvc_json_u64(v, "out.bits") != 64)
            continue;
        if (hvc_json_u64(v, "out.write"))
            check_update_fault(htinst);
        else
            check_table_fault(htinst);
        done++;
    }
    expect("vectors", done, 2);
    json_object_put(doc);
}

/* The rest of the compressed accesses, as their expansions with bit 1 clear. */
static void test_compressed_htinst(void)
{
    static const uint32_t cases[][2] = {
        {0x6110, 0x00003601}, {0x4512, 0x00002501}, {0xc110, 0x00c02021}, {0xe110, 0x00c03021},
        {0xc02a, 0x00a02021}, {0x2110, 0x00003605}, {0x2502, 0x00003505}, {0xa02a, 0x00a03025}};
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    fp_states(3, 3);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int r = 1; r < 32; r++)
            vm->frame.x[r] = HOLE + 0x800;
        uint64_t cause = run(cases[i][0]);
        CU_ASSERT(cause == 21 || cause == 23);
        expect("htinst", vm->raw.htinst, cases[i][1]);
    }
    end();
}

static const hvc_unit_test tests[] = {
    {"Sstc: who may", test_stimecmp_access},
    {"Sstc: pending", test_timer_pending},
    {"Sstc: interrupt", test_timer_interrupts},
    {"Sstc: lockstep, to the instruction", test_timer_lockstep},
    {"F and D off", test_fp_off},
    {"F and D dirty", test_fp_dirty},
    {"fcsr, frm, fflags", test_fcsr},
    {"CBO: who may", test_cbo_permission},
    {"CBO.ZERO", test_cbo_zero},
    {"CBO: faults", test_cbo_faults},
    {"misaligned accesses", test_misaligned},
    {"misaligned accesses that trap", test_misaligned_traps},
    {"misaligned accesses over two pages", test_misaligned_faults},
    {"Svadu", test_svadu},
    {"Svnapot", test_svnapot},
    {"Svpbmt", test_svpbmt},
    {"tinst vectors", test_tinst},
    {"htinst vectors", test_htinst},
    {"htinst of compressed accesses", test_compressed_htinst},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("soft riscv64: extensions", tests);
}
