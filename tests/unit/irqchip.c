/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM's interrupt controller, from both ends: lines by any thread, registers by a guest. What
 * the PLIC itself does is tests/unit/plic.c's.
 */
#include "tests/unit/guest.h"

#define PLIC UINT64_C(0xc000000)
#define SEIE (UINT64_C(1) << 9)
#define VSEIP (UINT64_C(1) << 10)

static hvcore_irqchip_opts plic_at(uint64_t gpa, uint32_t lines)
{
    hvcore_irqchip_opts o = HVCORE_IRQCHIP_OPTS_INIT;

    o.gpa = gpa;
    o.lines = lines;
    return o;
}

static void creation(void)
{
    hvcore_irqchip_opts o = plic_at(PLIC, 95);
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    hvcore_error e;
    uint32_t id = 0;
    guest g;

    if (!guest_up(&g, "toy", 1, 0, 0))
        return;
    WANT(hvcore_vm_irq(g.vm, 1, 1), -HVCORE_E_STATE);
    FAILS(hvcore_irqchip_create(NULL, &o, &e), HVCORE_E_INVAL);
    FAILS(hvcore_irqchip_create(g.vm, NULL, &e), HVCORE_E_INVAL);
    o.size = sizeof o + 8;
    FAILS(hvcore_irqchip_create(g.vm, &o, &e), HVCORE_E_INVAL);
    o = plic_at(PLIC, 95);
    o.kind = HVCORE_IRQCHIP_GICV3; /* a kernel's */
    FAILS(hvcore_irqchip_create(g.vm, &o, &e), HVCORE_E_UNSUPPORTED);
    o.kind = 0;
    FAILS(hvcore_irqchip_create(g.vm, &o, &e), HVCORE_E_INVAL);
    o.kind = HVCORE_IRQCHIP_AIA + 1;
    FAILS(hvcore_irqchip_create(g.vm, &o, &e), HVCORE_E_INVAL);
    o = plic_at(PLIC, 95);
    o.reserved = 1;
    FAILS(hvcore_irqchip_create(g.vm, &o, &e), HVCORE_E_INVAL);
    o = plic_at(PLIC + 4, 95);
    FAILS(hvcore_irqchip_create(g.vm, &o, &e), HVCORE_E_INVAL);
    o = plic_at(PLIC, 0);
    FAILS(hvcore_irqchip_create(g.vm, &o, &e), HVCORE_E_RANGE);
    o = plic_at(PLIC, 1024);
    FAILS(hvcore_irqchip_create(g.vm, &o, &e), HVCORE_E_RANGE);
    o = plic_at(UINT64_MAX - 0x3fff000 + 1, 95);
    FAILS(hvcore_irqchip_create(g.vm, &o, &e), HVCORE_E_RANGE);
    o = plic_at(RAM - PAGE, 95);
    FAILS(hvcore_irqchip_create(g.vm, &o, &e), HVCORE_E_EXISTS);
    OK(hvcore_vm_mmio_add(g.vm, PLIC + 0x3ffffff, 1, &ops, NULL, &id, NULL));
    o = plic_at(PLIC, 95);
    FAILS(hvcore_irqchip_create(g.vm, &o, &e), HVCORE_E_EXISTS);
    WANT(hvcore_vm_irq(g.vm, 1, 1), -HVCORE_E_STATE); /* nothing of it is left */
    OK(hvcore_vm_mmio_remove(g.vm, id));
    OK(hvcore_irqchip_create(g.vm, &o, &e));
    FAILS(hvcore_irqchip_create(g.vm, &o, &e), HVCORE_E_EXISTS);
    WANT(hvcore_vm_irq(NULL, 1, 1), -HVCORE_E_INVAL);
    WANT(hvcore_vm_irq(g.vm, 0, 1), -HVCORE_E_RANGE);
    WANT(hvcore_vm_irq(g.vm, 96, 1), -HVCORE_E_RANGE);
    WANT(hvcore_vm_irq(g.vm, UINT32_MAX, 1), -HVCORE_E_RANGE);
    OK(hvcore_vm_irq(g.vm, 95, 1));
    guest_down(&g);

    if (!guest_up(&g, "toy", 1, 0, 0))
        return;
    WANT(guest_run(&g, 0, 0, 1), HVCORE_EXIT_DEADLINE);
    FAILS(hvcore_irqchip_create(g.vm, &o, &e), HVCORE_E_STATE);
    guest_down(&g);
}

/* All events, and one instruction more. */
static void run_script(guest *g, uint32_t i)
{
    hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;

    opts.max_insns = toy_left(g->toy[i]) + 1;
    OK(hvcore_vcpu_run(g->cpu[i], &opts, &g->exit[i], NULL));
    WANT(g->exit[i]->reason, HVCORE_EXIT_INSN_LIMIT);
}

/* An access by the toy's guest: the value loaded (t0), or what became of it. */
static uint64_t load(guest *g, uint32_t i, uint64_t gpa)
{
    hvcore_event e = toy_access(toy_load_insn(2, RV_T0), gpa);

    toy_push(g->toy[i], &e);
    run_script(g, i);
    return guest_reg(g, i, HVCORE_REG_RISCV64_X0 + (RV_T0 << 8));
}

static void store(guest *g, uint32_t i, uint64_t gpa, uint32_t value)
{
    hvcore_event e = toy_access(toy_store_insn(2, RV_T1), gpa);

    OK(hvcore_reg_set_u64(g->cpu[i], HVCORE_REG_RISCV64_X0 + (RV_T1 << 8), value));
    toy_push(g->toy[i], &e);
    run_script(g, i);
}

/* Context i is vCPU i; a hart sees another's changes at once; other widths are faults. */
static void contexts(void)
{
    hvcore_irqchip_opts o = plic_at(PLIC, 95);
    guest g;

    if (!guest_up(&g, "toy", 3, 0, 0))
        return;
    OK(hvcore_irqchip_create(g.vm, &o, NULL));
    store(&g, 0, PLIC + 4 * 40, 3);
    store(&g, 0, PLIC + 0x2000 + 0x80 * 2 + 4, 1 << 8); /* line 40, context 2 */
    WANT(load(&g, 1, PLIC + 4 * 40), 3);
    OK(hvcore_vm_irq(g.vm, 40, 1));
    for (uint32_t i = 0; i < 3; i++)
        WANT(guest_reg(&g, i, HVCORE_REG_RISCV64_HVIP), i == 2 ? VSEIP : 0);
    WANT(load(&g, 0, PLIC + 0x1004), 1 << 8);
    WANT(load(&g, 0, PLIC + 0x202004), 40); /* hart 0 claims in the place of 2 */
    WANT(guest_reg(&g, 2, HVCORE_REG_RISCV64_HVIP), 0);
    store(&g, 2, PLIC + 0x202004, 40);
    WANT(guest_reg(&g, 2, HVCORE_REG_RISCV64_HVIP), VSEIP);
    /* The VMM's own level stands beside the controller's. */
    OK(hvcore_vcpu_irq(g.cpu[2], HVCORE_RISCV64_IRQ_EXTERNAL, 1));
    OK(hvcore_vm_irq(g.vm, 40, 0));
    WANT(load(&g, 2, PLIC + 0x202004), 40);
    WANT(guest_reg(&g, 2, HVCORE_REG_RISCV64_HVIP), VSEIP);
    OK(hvcore_vcpu_irq(g.cpu[2], HVCORE_RISCV64_IRQ_EXTERNAL, 0));
    WANT(guest_reg(&g, 2, HVCORE_REG_RISCV64_HVIP), 0);
    store(&g, 2, PLIC + 0x202004, 40);

    /* A vCPU that is made later joins with the level that there is. */
    OK(hvcore_vm_irq(g.vm, 40, 1));
    hvcore_vcpu_unref(g.cpu[2]);
    OK(hvcore_vcpu_create(g.vm, 2, NULL, &g.cpu[2], NULL));
    g.toy[2] = toy.vcpu[2];
    WANT(guest_reg(&g, 2, HVCORE_REG_RISCV64_HVIP), VSEIP);

    static const uint32_t funct3[] = {0, 1, 3, 4, 5};
    for (size_t k = 0; k < sizeof funct3 / sizeof *funct3; k++) {
        hvcore_event e = toy_access(toy_load_insn(funct3[k], RV_T0), PLIC + 4 * 40);

        OK(hvcore_reg_set_u64(g.cpu[0], HVCORE_REG_RISCV64_VSTVEC, RAM + 0x1000));
        toy_push(g.toy[0], &e);
        run_script(&g, 0);
        WANT(guest_reg(&g, 0, HVCORE_REG_RISCV64_PC), RAM + 0x1000);
        WANT(guest_reg(&g, 0, HVCORE_REG_RISCV64_VSCAUSE), HVCORE_RISCV64_LOAD_ACCESS);
    }
    guest_down(&g);
}

/* --- a driver, as a guest has it -------------------------------------------------------------- */

enum { LINE = 10, TIMES = 20000 };

/*
 * Each hart: enable line 10, wait; claim; if there was something: count it, tell the device (a
 * store to DEV, which lowers the line), complete. s0: the hart's context registers, s2: DATA,
 * s3: DEV.
 */
#define DEV UINT64_C(0x10000000)

static void driver_guest(guest *g)
{
    rv_code c = guest_code(g, RAM);

    rv_put(&c, rv_slli(RV_S0, RV_A0, 12));
    rv_li(&c, RV_T0, PLIC + 0x200000);
    rv_put(&c, rv_add(RV_S0, RV_S0, RV_T0));
    rv_put(&c, rv_slli(RV_S1, RV_A0, 7));
    rv_li(&c, RV_T0, PLIC + 0x2000);
    rv_put(&c, rv_add(RV_S1, RV_S1, RV_T0));
    rv_li(&c, RV_T0, PLIC);
    rv_li(&c, RV_T1, 1);
    rv_put(&c, rv_sw(RV_T1, 4 * LINE, RV_T0));
    rv_li(&c, RV_T1, 1 << LINE);
    rv_put(&c, rv_sw(RV_T1, 0, RV_S1));
    rv_put(&c, rv_sw(0, 0, RV_S0));
    rv_li(&c, RV_S2, DATA);
    rv_put(&c, rv_slli(RV_T0, RV_A0, 6));
    rv_put(&c, rv_add(RV_S2, RV_S2, RV_T0));
    rv_li(&c, RV_S3, DEV);
    rv_li(&c, RV_T0, SEIE);
    rv_put(&c, rv_csrw(CSR_SIE, RV_T0));
    rv_put(&c, rv_sd(RV_T0, 8, RV_S2)); /* ready */
    uint64_t again = rv_here(&c);
    rv_put(&c, rv_wfi());
    rv_put(&c, rv_lw(RV_T0, 4, RV_S0));
    rv_put(&c, rv_beq(RV_T0, 0, rv_to(&c, again)));
    rv_put(&c, rv_ld(RV_T1, 0, RV_S2));
    rv_put(&c, rv_addi(RV_T1, RV_T1, 1));
    rv_put(&c, rv_sd(RV_T1, 0, RV_S2));
    rv_put(&c, rv_sw(RV_T0, 0, RV_S3));
    rv_put(&c, rv_sw(RV_T0, 4, RV_S0));
    rv_put(&c, rv_jal(0, rv_to(&c, again)));
}

typedef struct device {
    guest *g;
    _Atomic uint64_t served;
} device;

static uint32_t device_write(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                             uint64_t value)
{
    device *d = user;

    (void)vcpu, (void)gpa, (void)width;
    if (value != LINE)
        abort();
    OK(hvcore_vm_irq(d->g->vm, LINE, 0));
    d->served++;
    return HVCORE_MMIO_DONE;
}

/* The line goes up again as soon as it was served: each time exactly one hart does it. */
static void driver(void)
{
    hvcore_irqchip_opts o = plic_at(PLIC, 95);
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    uint64_t sum = 0;
    guest g;
    device d = {.g = &g};

    if (!guest_up(&g, "bare", 3, 0, 0))
        return;
    OK(hvcore_irqchip_create(g.vm, &o, NULL));
    ops.write = device_write;
    OK(hvcore_vm_mmio_add(g.vm, DEV, 4, &ops, &d, NULL, NULL));
    driver_guest(&g);
    alarm(120);
    for (uint32_t i = 0; i < 3; i++)
        guest_start(&g, i);
    for (uint32_t i = 0; i < 3; i++)
        while (!*guest_word(&g, DATA + 64 * i + 8))
            sched_yield();
    for (uint64_t n = 1; n <= TIMES; n++) {
        OK(hvcore_vm_irq(g.vm, LINE, 1));
        for (uint32_t k = 0; d.served < n; k++)
            if (k > 200)
                sched_yield();
    }
    guest_nap(5 * MS);
    for (uint32_t i = 0; i < 3; i++)
        guest_cancel(&g, i);
    alarm(0);
    for (uint32_t i = 0; i < 3; i++)
        sum += *guest_word(&g, DATA + 64 * i);
    WANT(sum, TIMES);
    WANT(d.served, TIMES);
    printf("(%llu, %llu, %llu) ", (unsigned long long)*guest_word(&g, DATA),
           (unsigned long long)*guest_word(&g, DATA + 64),
           (unsigned long long)*guest_word(&g, DATA + 128));
    guest_down(&g);
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"creation", creation},
        {"contexts", contexts},
        {"a driver (bare)", driver},
        {NULL, NULL},
    };

    signal(SIGALRM, guest_stuck);
    return hvc_unit_main("irqchip", tests);
}
