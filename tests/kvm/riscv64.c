/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riscv64 on a real kernel: registers, the hart's extensions, what is said of the kernel. Where
 * kernels differ, what this one does is probed.
 */
#include "tests/kvm/riscv64.h"

/* ---- registers ------------------------------------------------------------------------------- */

static void begins(void)
{
    machine m;

    make(&m);
    for (unsigned n = 0; n < 32; n++)
        SAME(get(m.cpu[0], X(n)), 0);
    SAME(get(m.cpu[0], HVCORE_REG_RISCV64_PC), 0);
    SAME(get(m.cpu[0], HVCORE_REG_RISCV64_MODE), HVCORE_RISCV64_VS);
    SAME(get(m.cpu[0], HVCORE_REG_RISCV64_VSATP), 0);
    SAME(get(m.cpu[0], HVCORE_REG_RISCV64_VSIE), 0);
    SAME(get(m.cpu[0], HVCORE_REG_RISCV64_FCSR), 0);
    SAME(get(m.cpu[0], REG(HVCORE_REG_CSR, 0x106)), 7);
    unmake(&m);
}

static void round_trip(void)
{
    static const hvcore_reg csrs[] = {HVCORE_REG_RISCV64_VSTVEC, HVCORE_REG_RISCV64_VSEPC,
                                      HVCORE_REG_RISCV64_VSCAUSE, HVCORE_REG_RISCV64_VSTVAL,
                                      REG(HVCORE_REG_CSR, 0x240)};
    const uint64_t pattern = UINT64_C(0x9182736455463720);
    machine m;

    make(&m);
    for (uint32_t n = 1; n < 32; n++) {
        set(m.cpu[0], X(n), pattern * n);
        set(m.cpu[0], REG(HVCORE_REG_FPR, n), ~pattern * n);
    }
    for (unsigned i = 0; i < sizeof csrs / sizeof *csrs; i++)
        set(m.cpu[0], csrs[i], pattern + 16 * i);
    set(m.cpu[0], HVCORE_REG_RISCV64_FCSR, 0x5ff);
    set(m.cpu[0], HVCORE_REG_RISCV64_X0, 1);
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    rv_code c = code_at(&m, CODE);
    rv_put(&c, rv_ecall()); /* a7 is nobody's extension: the guest goes on */
    report(&c);
    CHECK(REPORTS(&m)); /* the guest has had them in its own registers */
    SAME(get(m.cpu[0], HVCORE_REG_RISCV64_X0), 0);
    for (uint32_t n = 1; n < 32; n++) {
        if (n < RV_A0 || n > RV_A7)
            SAME(get(m.cpu[0], X(n)), pattern * n);
        SAME(get(m.cpu[0], REG(HVCORE_REG_FPR, n)), ~pattern * n);
    }
    for (unsigned i = 0; i < sizeof csrs / sizeof *csrs; i++)
        SAME(get(m.cpu[0], csrs[i]), pattern + 16 * i);
    SAME(get(m.cpu[0], HVCORE_REG_RISCV64_FCSR), 0xff);
    unmake(&m);
}

static void not_registers(void)
{
    uint64_t v = 0;
    machine m;

    make(&m);
    FAILS(hvcore_reg_get_u64(m.cpu[0], HVCORE_REG_RISCV64_HVIP, &v), HVCORE_E_NOTFOUND);
    FAILS(hvcore_reg_get_u64(m.cpu[0], REG(HVCORE_REG_CSR, 0x60a), &v), HVCORE_E_NOTFOUND);
    FAILS(hvcore_reg_get_u64(m.cpu[0], X(33), &v), HVCORE_E_NOTFOUND);
    FAILS(hvcore_reg_get_u64(m.cpu[0], REG(99, 0), &v), HVCORE_E_NOTFOUND);
    FAILS(hvcore_reg_get_u64(m.cpu[0], X(1) - 4, &v), HVCORE_E_TYPE);
    FAILS(hvcore_reg_set_u64(m.cpu[0], HVCORE_REG_RISCV64_PC, 1), HVCORE_E_RANGE);
    FAILS(hvcore_reg_set_u64(m.cpu[0], HVCORE_REG_RISCV64_MODE, 2), HVCORE_E_RANGE);
    unmake(&m);
}

static void configuration(void)
{
    const uint64_t imac = 1 | 1 << 2 | 1 << 8 | 1 << 12;
    uint64_t v = 0;
    machine m;

    make(&m);
    CHECK((get(m.cpu[0], REG(HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_ISA)) & imac) == imac);
    CHECK(get(m.cpu[0], REG(HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_TIMEBASE)) >= 1000000);
    FAILS(hvcore_reg_set_u64(m.cpu[0], REG(HVCORE_REG_CONFIG, 0), 0), HVCORE_E_UNSUPPORTED);
    FAILS(hvcore_reg_get_u64(m.cpu[0], REG(HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_IMSIC_IDS), &v),
          HVCORE_E_NOTFOUND);
    CHECK(has(m.cpu[0], HVCORE_REG_ISA, ISA_A));
    FAILS(hvcore_reg_set_u64(m.cpu[0], REG(HVCORE_REG_ISA, ISA_A), 0), HVCORE_E_UNSUPPORTED);
    FAILS(hvcore_reg_set_u64(m.cpu[0], REG(HVCORE_REG_ISA, ISA_A), 2), HVCORE_E_RANGE);
    FAILS(hvcore_reg_get_u64(m.cpu[0], REG(HVCORE_REG_ISA, 0xffff), &v), HVCORE_E_NOTFOUND);
    CHECK(has(m.cpu[0], HVCORE_REG_SBI, SBI_SRST));
    CHECK(!has(m.cpu[0], HVCORE_REG_SBI, SBI_SUSP));
    unmake(&m);
}

/* What the hosts's hart has of the bits in hvcore_vm_opts.isa. */
static uint64_t isa_of_host(hvcore_vcpu *cpu)
{
    static const struct {
        uint64_t isa;
        uint32_t number;
    } bits[] = {{HVCORE_RISCV64_ISA_C, 1},        {HVCORE_RISCV64_ISA_FD, ISA_D},
                {HVCORE_RISCV64_ISA_B, 17},       {HVCORE_RISCV64_ISA_ZICBO, 12},
                {HVCORE_RISCV64_ISA_SSTC, 8},     {HVCORE_RISCV64_ISA_SVADU, 65},
                {HVCORE_RISCV64_ISA_SVNAPOT, 16}, {HVCORE_RISCV64_ISA_SVPBMT, 7}};
    uint64_t isa = HVCORE_RISCV64_ISA_BASE;

    for (unsigned i = 0; i < sizeof bits / sizeof *bits; i++)
        isa |= has(cpu, HVCORE_REG_ISA, bits[i].number) ? bits[i].isa : 0;
    return isa;
}

static bool takes_isa(uint64_t isa)
{
    hvcore_vcpu *cpu = NULL;
    machine m;

    make_vm(&m, isa);
    int rc = hvcore_vcpu_create(m.vm, 0, NULL, &cpu, &e);
    CHECK(rc == 0 || rc == -HVCORE_E_UNSUPPORTED);
    m.cpu[0] = cpu;
    unmake(&m);
    return !rc;
}

/* F and D are the ones that every kernel takes away. */
static void isa(void)
{
    uint64_t v = 0;
    machine m;

    make(&m);
    uint64_t host = isa_of_host(m.cpu[0]);
    unmake(&m);
    CHECK(takes_isa(host));
    CHECK(!takes_isa(HVCORE_RISCV64_ISA_BASE)); /* nobody takes C away */
    CHECK(strstr(e.message, "without C") != NULL);
    make_vm(&m, host & ~(uint64_t)HVCORE_RISCV64_ISA_FD);
    add_cpu(&m, 0, 0);
    CHECK(!has(m.cpu[0], HVCORE_REG_ISA, ISA_D));
    FAILS(hvcore_reg_get_u64(m.cpu[0], HVCORE_REG_RISCV64_F0, &v), HVCORE_E_UNSUPPORTED);
    FAILS(hvcore_reg_get_u64(m.cpu[0], HVCORE_REG_RISCV64_FCSR, &v), HVCORE_E_UNSUPPORTED);
    unmake(&m);
}

static void policy(void)
{
    hvcore_policy_opts o = HVCORE_POLICY_OPTS_INIT;
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;
    hvcore_policy *p = NULL;
    hvcore_report *r = NULL;
    unsigned kernel = 0;
    machine m;

    make(&m);
    o.arch = HVCORE_ARCH_RISCV64;
    o.on_unenforceable = HVCORE_UNENFORCEABLE_REDIRECT;
    OK(hvcore_policy_create(&o, &p, &e));
    OK(hvcore_trap_policy_set(m.vm, p, &r, &e));
    for (uint32_t i = 0; r && !hvcore_report_item_get(r, i, &item); i++) {
        check_that(item.enforcer == HVCORE_BY_KERNEL || item.enforcer == HVCORE_BY_NOBODY, __FILE__,
                   __LINE__, "%s: enforcer %u, %s", item.cause, item.enforcer, item.why);
        SAME(item.flags, 0);
        kernel += item.enforcer == HVCORE_BY_KERNEL;
    }
    CHECK(kernel >= 15);
    hvcore_report_free(r);
    hvcore_policy_unref(p);
    unmake(&m);
}

/* ---- what is said of the kernel -------------------------------------------------------------- */

static void duties(void)
{
    static const uint32_t want[HVCORE_DUTIES] = {
        [HVCORE_DUTY_MOPS] = HVCORE_DUTY_BY_NOT_APPLICABLE,
        [HVCORE_DUTY_AT] = HVCORE_DUTY_BY_NOT_APPLICABLE,
        [HVCORE_DUTY_HEDELEG] = HVCORE_DUTY_BY_KERNEL,
        [HVCORE_DUTY_SPE] = HVCORE_DUTY_BY_NOT_APPLICABLE,
        [HVCORE_DUTY_APF] = HVCORE_DUTY_BY_NOBODY,
        [HVCORE_DUTY_STEP] = HVCORE_DUTY_BY_NOBODY,
    };
    hvcore_duty_info info = HVCORE_DUTY_INFO_INIT;
    machine m;

    make_vm(&m, 0);
    OK(hvcore_vm_duty_info(m.vm, HVCORE_DUTY_HEDELEG, &info, &e));
    CHECK(strstr(info.why, ": no vCPU to ask.") != NULL); /* the longest sentence fits */
    add_cpu(&m, 0, 0);
    for (uint32_t duty = 0; duty < HVCORE_DUTIES; duty++) {
        OK(hvcore_vm_duty_info(m.vm, duty, &info, &e));
        SAME(info.source, want[duty]);
        SAME(info.counters_valid, 0);
        SAME(info.can_hide, 0);
        CHECK(info.release[0] && info.why[0] && info.why[strlen(info.why) - 1] == '.');
        FAILS(hvcore_vm_hide(m.vm, duty, &e), HVCORE_E_UNSUPPORTED);
        if (duty == HVCORE_DUTY_HEDELEG)
            printf("# %s: %s\n", info.release, info.why);
    }
    unmake(&m);
}

static void statistics(void)
{
    hvcore_kernel_stat s = HVCORE_KERNEL_STAT_INIT;
    uint64_t exits = 0, sbi = 0;
    uint32_t n = 0;
    machine m;

    make(&m);
    rv_code c = code_at(&m, CODE);
    report(&c);
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    CHECK(REPORTS(&m));
    for (; !hvcore_vm_kernel_stat(m.vm, 0, n, &s, &e); n++) {
        exits += !strcmp(s.name, "exits") ? s.value : 0;
        sbi += !strcmp(s.name, "ecall_exit_stat") ? s.value : 0;
    }
    CHECK(n > 4);
    CHECK(exits >= 1);
    SAME(sbi, 1);
    FAILS(hvcore_vm_kernel_stat(m.vm, 0, n, &s, &e), HVCORE_E_NOTFOUND);
    FAILS(hvcore_vm_kernel_stat(m.vm, 1, 0, &s, &e), HVCORE_E_NOTFOUND);
    OK(hvcore_vm_kernel_stat(m.vm, UINT32_MAX, 0, &s, &e));
    unmake(&m);
}

int main(void)
{
    static const check_test tests[] = {
        {"begins", begins},
        {"round_trip", round_trip},
        {"not_registers", not_registers},
        {"configuration", configuration},
        {"isa", isa},
        {"policy", policy},
        {"duties", duties},
        {"statistics", statistics},
        {NULL, NULL},
    };
    return check_all(tests);
}
