/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the software machine has beyond RV64IMAC, where privileged state decides: Sstc, the states
 * of F and D, cache blocks.
 */
#include "tests/unit/soft_ext.h"

/* --- Sstc ---------------------------------------------------------------------------------- */

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

/* --- F and D on and off --------------------------------------------------------------------- */

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

/* What changes F or D state makes both dirty, and SD sums it up; reading changes none. */
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

/* --- cache blocks --------------------------------------------------------------------------- */

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
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("soft riscv64: extensions", tests);
}
