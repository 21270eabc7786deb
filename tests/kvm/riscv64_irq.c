/* SPDX-License-Identifier: Apache-2.0 */
/* riscv64 on a real kernel: timers, interrupt controllers, harts. */
#include "tests/kvm/riscv64.h"

#define INTERRUPT (UINT64_C(1) << 63)

enum { TIMER = 5, EXTERNAL = 9 };

/* Enables interrupt `irq` at the hart: sie, sstatus.SIE. */
static void put_enable(rv_code *c, uint32_t irq)
{
    rv_li(c, RV_T0, UINT64_C(1) << irq);
    rv_put(c, rv_csrrs(0, CSR_SIE, RV_T0));
    rv_put(c, rv_csrrsi(0, CSR_SSTATUS, SIE_BIT));
}

static void put_wfi_loop(rv_code *c)
{
    rv_put(c, rv_wfi());
    rv_put(c, rv_jal(0, -4));
}

/* ---- timer ----------------------------------------------------------------------------------- */

/* 20 ms from now: by SBI, or by stimecmp. */
static void timer(bool sstc)
{
    machine m;

    make(&m);
    put_handler(&m);
    uint64_t ticks = get(m.cpu[0], REG(HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_TIMEBASE)) / 50;
    rv_code c = code_at(&m, CODE);
    rv_put(&c, rv_csrr(RV_A0, CSR_TIME));
    rv_li(&c, RV_T1, ticks);
    rv_put(&c, rv_add(RV_A0, RV_A0, RV_T1));
    rv_put(&c, rv_addi(RV_S2, RV_A0, 0));
    if (sstc)
        rv_put(&c, rv_csrw(CSR_STIMECMP, RV_A0));
    else
        call(&c, 0x54494d45, 0);
    put_enable(&c, TIMER);
    put_wfi_loop(&c);
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    CHECK(TRAPS(&m));
    SAME(arg(&m, 0), INTERRUPT | TIMER);
    uint64_t due = get(m.cpu[0], X(RV_S2));
    CHECK(get(m.cpu[0], REG(HVCORE_REG_CSR, CSR_TIME)) >= due);
    if (sstc)
        SAME(get(m.cpu[0], HVCORE_REG_RISCV64_VSTIMECMP), due);
    unmake(&m);
}

static void timer_sbi(void)
{
    timer(false);
}

static void timer_sstc(void)
{
    machine m;

    make(&m);
    bool sstc = has(m.cpu[0], HVCORE_REG_ISA, ISA_SSTC);
    int rc = hvcore_reg_set_u64(m.cpu[0], HVCORE_REG_RISCV64_VSTIMECMP, 1);
    CHECK(rc == (sstc ? 0 : -HVCORE_E_UNSUPPORTED));
    unmake(&m);
    if (!sstc)
        SKIP("this host has no Sstc");
    timer(true);
}

/* A timer that the host sets is the guest's. */
static void timer_register(void)
{
    machine m;

    make(&m);
    if (!has(m.cpu[0], HVCORE_REG_ISA, ISA_SSTC)) {
        unmake(&m);
        SKIP("this host has no Sstc");
    }
    put_handler(&m);
    rv_code c = code_at(&m, CODE);
    put_enable(&c, TIMER);
    put_wfi_loop(&c);
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    set(m.cpu[0], HVCORE_REG_RISCV64_VSTIMECMP, 1);
    CHECK(TRAPS(&m));
    SAME(arg(&m, 0), INTERRUPT | TIMER);
    unmake(&m);
}

/* ---- the external interrupt ------------------------------------------------------------------ */

typedef struct driver {
    machine *m;
    uint64_t ms;
    uint32_t line; /* 0: the vCPU's input */
} driver;

static void *drive(void *p)
{
    driver *d = p;

    wait_ms(d->ms);
    CHECK(d->line ? !hvcore_vm_irq(d->m->vm, d->line, 1)
                  : !hvcore_vcpu_irq(d->m->cpu[0], HVCORE_RISCV64_IRQ_EXTERNAL, 1));
    return NULL;
}

static void external(void)
{
    driver d = {.ms = 20};
    machine m;

    make(&m);
    d.m = &m;
    FAILS(hvcore_vcpu_irq(m.cpu[0], HVCORE_RISCV64_IRQ_TIMER, 1), HVCORE_E_RANGE);
    FAILS(hvcore_vcpu_irq(m.cpu[0], HVCORE_RISCV64_IRQ_SOFT, 1), HVCORE_E_RANGE);
    put_handler(&m);
    rv_code c = code_at(&m, CODE);
    put_enable(&c, EXTERNAL);
    put_wfi_loop(&c);
    c = code_at(&m, SECOND_CODE);
    rv_put(&c, rv_csrr(RV_A0, CSR_SIP));
    report(&c);
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    SAME(run_beside(&m, drive, &d), HVCORE_EXIT_HYPERCALL); /* asleep in WFI */
    SAME(arg(&m, 0), INTERRUPT | EXTERNAL);
    for (uint32_t level = 1; level + 1; level--) { /* what sip says of it */
        complete(&m, 0);
        CHECK(!hvcore_vcpu_irq(m.cpu[0], HVCORE_RISCV64_IRQ_EXTERNAL, level));
        set(m.cpu[0], REG(HVCORE_REG_CSR, 0x244), 0); /* the line says it, whatever is written */
        set(m.cpu[0], HVCORE_REG_RISCV64_PC, SECOND_CODE);
        CHECK(REPORTS(&m));
        SAME(arg(&m, 0) >> EXTERNAL & 1, level);
        SAME(get(m.cpu[0], REG(HVCORE_REG_CSR, 0x244)) >> EXTERNAL & 1, level);
    }
    unmake(&m);
}

/* The library's PLIC: its registers are MMIO, its output is the vCPU's input. */
static void plic(void)
{
    const uint64_t base = 0xc000000, claim = base + 0x200004;
    hvcore_irqchip_opts o = HVCORE_IRQCHIP_OPTS_INIT;
    driver d = {.ms = 20, .line = 7};
    machine m;

    make(&m);
    d.m = &m;
    o.gpa = base;
    o.lines = 31;
    OK(hvcore_irqchip_create(m.vm, &o, &e));
    put_handler(&m);
    rv_code c = code_at(&m, CODE);
    rv_li(&c, RV_A1, base);
    rv_li(&c, RV_A2, 1);
    rv_put(&c, rv_sw(RV_A2, 4 * 7, RV_A1)); /* priority */
    rv_li(&c, RV_A1, base + 0x2000);
    rv_li(&c, RV_A2, 1 << 7);
    rv_put(&c, rv_sw(RV_A2, 0, RV_A1)); /* enable */
    put_enable(&c, EXTERNAL);
    put_wfi_loop(&c);
    c = code_at(&m, SECOND_CODE);
    rv_li(&c, RV_A1, claim);
    rv_put(&c, rv_lw(RV_A0, 0, RV_A1));
    rv_put(&c, rv_csrr(RV_A2, CSR_SIP));
    rv_put(&c, rv_sw(RV_A0, 0, RV_A1)); /* complete */
    rv_put(&c, rv_csrr(RV_A3, CSR_SIP));
    report(&c);
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    SAME(run_beside(&m, drive, &d), HVCORE_EXIT_HYPERCALL);
    SAME(arg(&m, 0), INTERRUPT | EXTERNAL);
    /* After a completion a line that is high asks again, and its request stays when it falls. */
    for (unsigned i = 0; i < 3; i++) {
        complete(&m, 0);
        set(m.cpu[0], HVCORE_REG_RISCV64_PC, SECOND_CODE);
        CHECK(!hvcore_vm_irq(m.vm, 7, i == 0));
        CHECK(REPORTS(&m));
        SAME(arg(&m, 0), i < 2 ? 7 : 0);
        SAME(arg(&m, 2) >> EXTERNAL & 1, 0);
        SAME(arg(&m, 3) >> EXTERNAL & 1, i == 0);
    }
    unmake(&m);
}

/* ---- the kernel's controller ----------------------------------------------------------------- */

#define APLIC UINT64_C(0xd000000)
#define IMSICS UINT64_C(0x28000000)

static int make_aia(machine *m, uint32_t lines)
{
    hvcore_irqchip_opts o = HVCORE_IRQCHIP_OPTS_INIT;

    o.kind = HVCORE_IRQCHIP_AIA;
    o.gpa = APLIC;
    o.gpa_cpu = IMSICS;
    o.lines = lines;
    return hvcore_irqchip_create(m->vm, &o, &e);
}

static void put_indirect(rv_code *c, uint64_t select, uint64_t value)
{
    rv_li(c, RV_T0, select);
    rv_put(c, rv_csrw(0x150, RV_T0)); /* siselect */
    rv_li(c, RV_T0, value);
    rv_put(c, rv_csrw(0x151, RV_T0)); /* sireg */
}

static void put_aplic(rv_code *c, uint64_t at, uint64_t value)
{
    rv_li(c, RV_T1, APLIC + at);
    rv_li(c, RV_T0, value);
    rv_put(c, rv_sw(RV_T0, 0, RV_T1));
}

/* Line 5 becomes identity 6 of hart 0, line 5 rising; identity 9 is for messages. */
static void put_aia(machine *m)
{
    rv_code c = code_at(m, CODE);

    put_indirect(&c, 0x70, 1);               /* eidelivery */
    put_indirect(&c, 0x72, 0);               /* eithreshold */
    put_indirect(&c, 0xc0, 1 << 6 | 1 << 9); /* eie0 */
    put_aplic(&c, 0x0004 + 4 * 4, 4);        /* sourcecfg: rising edge */
    put_aplic(&c, 0x3004 + 4 * 4, 6);        /* target */
    put_aplic(&c, 0x1edc, 5);                /* setienum */
    put_aplic(&c, 0x0000, 0x100);            /* domaincfg.IE */
    put_enable(&c, EXTERNAL);
    put_wfi_loop(&c);
    put_handler(m);
    c = code_at(m, SECOND_CODE);
    rv_put(&c, rv_csrrw(RV_A0, 0x15c, 0)); /* stopei */
    report(&c);
}

/* The guest stands in its handler: it claims. */
static void check_claim(machine *m, uint64_t identity)
{
    SAME(arg(m, 0), INTERRUPT | EXTERNAL);
    complete(m, 0);
    set(m->cpu[0], HVCORE_REG_RISCV64_PC, SECOND_CODE);
    CHECK(REPORTS(m));
    SAME(arg(m, 0) >> 16, identity);
    complete(m, 0);
}

static void aia(void)
{
    hvcore_msi msi = HVCORE_MSI_INIT;
    hvcore_vcpu *late = NULL;
    driver d = {.ms = 20, .line = 5};
    machine m;

    make_vm(&m, 0);
    FAILS(make_aia(&m, 16), HVCORE_E_STATE);
    add_cpu(&m, 1, HVCORE_VCPU_OFF); /* KVM counts in the order of making */
    add_cpu(&m, 0, 0);
    d.m = &m;
    int rc = make_aia(&m, 16);
    if (rc == -HVCORE_E_UNSUPPORTED) {
        unmake(&m);
        SKIP("this host has no AIA");
    }
    OK(rc);
    CHECK(get(m.cpu[0], REG(HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_IMSIC_IDS)) >= 63);
    FAILS(make_aia(&m, 16), HVCORE_E_EXISTS);
    FAILS(hvcore_vcpu_irq(m.cpu[0], HVCORE_RISCV64_IRQ_EXTERNAL, 1), HVCORE_E_STATE);
    FAILS(hvcore_vcpu_create(m.vm, 2, NULL, &late, &e), HVCORE_E_STATE);
    FAILS(hvcore_vm_irq(m.vm, 0, 1), HVCORE_E_RANGE);
    FAILS(hvcore_vm_irq(m.vm, 17, 1), HVCORE_E_RANGE);
    put_aia(&m);
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    SAME(run_beside(&m, drive, &d), HVCORE_EXIT_HYPERCALL);
    check_claim(&m, 6);
    msi.addr = IMSICS;
    msi.data = 9;
    OK(hvcore_vm_msi(m.vm, &msi, &e));
    rv_code c = code_at(&m, CODE);
    put_enable(&c, EXTERNAL);
    put_wfi_loop(&c);
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    CHECK(TRAPS(&m));
    check_claim(&m, 9);
    unmake(&m);
}

/* Each leaves a VM behind that has no controller. */
static void aia_refused(void)
{
    hvcore_irqchip_opts o = HVCORE_IRQCHIP_OPTS_INIT;
    machine m;

    make(&m);
    FAILS(make_aia(&m, 0), HVCORE_E_RANGE);
    FAILS(make_aia(&m, 1024), HVCORE_E_RANGE);
    o.kind = HVCORE_IRQCHIP_AIA;
    o.gpa = APLIC;
    o.gpa_cpu = IMSICS + 0x1000;
    o.lines = 16;
    FAILS(hvcore_irqchip_create(m.vm, &o, &e), HVCORE_E_INVAL);
    o.kind = HVCORE_IRQCHIP_GICV3;
    FAILS(hvcore_irqchip_create(m.vm, &o, &e), HVCORE_E_UNSUPPORTED);
    unmake(&m);
}

/* ---- harts ----------------------------------------------------------------------------------- */

typedef struct hart {
    machine *m;
    uint32_t index;
    int rc;
    const hvcore_exit *exit;
} hart;

static void *run_hart(void *p)
{
    hart *h = p;

    h->rc = run_cpu(h->m, h->index, &h->exit);
    return NULL;
}

static void hart_start(void)
{
    hart h = {.index = 1};
    pthread_t t;
    machine m;

    make(&m);
    add_cpu(&m, 1, HVCORE_VCPU_OFF);
    h.m = &m;
    rv_code c = code_at(&m, CODE);
    rv_li(&c, RV_A0, 1);
    call(&c, 0x48534d, 2); /* hart_get_status */
    rv_put(&c, rv_addi(RV_S2, RV_A1, 0));
    rv_li(&c, RV_A0, 1);
    rv_li(&c, RV_A1, SECOND_CODE);
    rv_li(&c, RV_A2, 0x777);
    call(&c, 0x48534d, 0); /* hart_start */
    rv_put(&c, rv_addi(RV_S3, RV_A0, 0));
    report(&c);
    c = code_at(&m, SECOND_CODE);
    report(&c);
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    CHECK(!pthread_create(&t, NULL, run_hart, &h));
    wait_ms(20); /* it sleeps in the kernel */
    CHECK(REPORTS(&m));
    pthread_join(t, NULL);
    SAME(get(m.cpu[0], X(RV_S2)), 1); /* STOPPED */
    SAME(get(m.cpu[0], X(RV_S3)), 0);
    SAME(h.rc, HVCORE_EXIT_HYPERCALL);
    SAME(h.exit->vcpu, 1);
    SAME(h.exit->u.hypercall.arg[0], 1);
    SAME(h.exit->u.hypercall.arg[1], 0x777);
    unmake(&m);
}

/* Without HVCORE_VCPU_OFF a second vCPU runs at once, as the first may wait for it. */
static void hart_runs(void)
{
    const hvcore_exit *x = NULL;
    machine m;

    make_vm(&m, 0);
    add_cpu(&m, 0, HVCORE_VCPU_OFF);
    add_cpu(&m, 1, 0);
    rv_code c = code_at(&m, CODE);
    report(&c);
    set(m.cpu[1], HVCORE_REG_RISCV64_PC, CODE);
    set(m.cpu[1], HVCORE_REG_RISCV64_A0, 0x99);
    SAME(run_cpu(&m, 1, &x), HVCORE_EXIT_HYPERCALL);
    SAME(x->u.hypercall.arg[0], 0x99);
    unmake(&m);
}

int main(void)
{
    static const check_test tests[] = {
        {"timer_sbi", timer_sbi},
        {"timer_sstc", timer_sstc},
        {"timer_register", timer_register},
        {"external", external},
        {"plic", plic},
        {"aia", aia},
        {"aia_refused", aia_refused},
        {"hart_start", hart_start},
        {"hart_runs", hart_runs},
        {NULL, NULL},
    };
    return check_all(tests);
}
