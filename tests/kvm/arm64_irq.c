/* SPDX-License-Identifier: Apache-2.0 */
/* The kvm backend on arm64: the kernel's GIC, and the inputs of a vCPU without it. */
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/kvm/arm64.h"

/*
 * A GICv3 (IHI0069): group 1, every line of LINES goes to vCPU 0; lines from 32 on are edges. Then
 * it takes interrupts: each INTID is said at OUT, and ended when the host lets it go on.
 */
GUEST(gic, "movz x0, #0x0800, lsl #16\n" /* GICD */
           "mov w1, #0x13\n str w1, [x0]\n"
           "mov w2, #0xffffffff\n"
           "str w2, [x0, #0x84]\n str w2, [x0, #0x88]\n"     /* IGROUPR1, 2 */
           "str w2, [x0, #0x104]\n str w2, [x0, #0x108]\n"   /* ISENABLER1, 2 */
           "str wzr, [x0, #0xc08]\n str wzr, [x0, #0xc0c]\n" /* ICFGR2, 3: levels (KVM: edges) */
           "mov w3, #0xaaaaaaaa\n"
           "str w3, [x0, #0xc10]\n str w3, [x0, #0xc14]\n" /* ICFGR4, 5: INTID 64 to 95 */
           "movz x0, #0x080a, lsl #16\n"                   /* GICR */
           "str wzr, [x0, #0x14]\n"                        /* WAKER */
           "add x0, x0, #0x10000\n"
           "str w2, [x0, #0x80]\n"                       /* IGROUPR0 */
           "mov w1, #(1 << 27)\n str w1, [x0, #0x100]\n" /* ISENABLER0: the virtual timer */
           "mov x1, #0xf0\n msr S3_0_C4_C6_0, x1\n"      /* ICC_PMR_EL1 */
           "mov x1, #1\n msr S3_0_C12_C12_7, x1\n isb\n" /* ICC_IGRPEN1_EL1 */
           "cbz x21, 1f\n"
           "mrs x1, cntvct_el0\n add x1, x1, x21\n msr cntv_cval_el0, x1\n"
           "mov x1, #1\n msr cntv_ctl_el0, x1\n"
           "1: str xzr, [x29]\n"
           "msr daifclr, #2\n"
           "2: wfi\n b 2b\n");
GUEST(irq_vector, "mrs x20, S3_0_C12_C12_0\n" /* ICC_IAR1_EL1 */
                  "str x20, [x29]\n"
                  "cmp x20, #27\n b.ne 1f\n"
                  "msr cntv_ctl_el0, xzr\n isb\n"
                  "1: msr S3_0_C12_C12_1, x20\n" /* ICC_EOIR1_EL1 */
                  "eret\n");

enum { SPI = 32, TIMER = 27, IRQ_VECTOR = 0x280 };

/* Set up, and waiting for interrupts. The timer comes after so many ticks; 0: never. */
static bool make_with_gic(machine *m, uint64_t ticks)
{
    if (!make(m, 1))
        return false;
    if (!OK(make_gic(m, HVCORE_IRQCHIP_GICV3))) {
        unmake(m);
        return false;
    }
    LOAD(m, gic);
    put_code(m, RAM + VECTORS + IRQ_VECTOR, guest_irq_vector, guest_irq_vector_end);
    put_u64(m->cpu[0], X(21), ticks);
    SAYS(m->cpu[0], 0);
    return true;
}

static void nothing_comes(machine *m)
{
    WANT_EXIT(go_for(m->cpu[0], 50), HVCORE_EXIT_DEADLINE);
}

static void level_line(void)
{
    machine m;

    if (!make_with_gic(&m, 0))
        return;
    nothing_comes(&m);
    SAME(hvcore_vm_irq(m.vm, 5, 1), 0);
    SAYS(m.cpu[0], SPI + 5);
    SAYS(m.cpu[0], SPI + 5); /* it is still high */
    SAME(hvcore_vm_irq(m.vm, 5, 0), 0);
    nothing_comes(&m);
    SAME(hvcore_vm_irq(m.vm, LINES - 1, 1), 0); /* the last one; an edge */
    SAYS(m.cpu[0], SPI + LINES - 1);
    nothing_comes(&m);
    FAILS(hvcore_vm_irq(m.vm, LINES, 1), HVCORE_E_RANGE);
    FAILS(hvcore_vcpu_irq(m.cpu[0], HVCORE_ARM64_IRQ_IRQ, 1), HVCORE_E_STATE);
    unmake(&m);
}

/* It wakes a vCPU that sleeps in the kernel. */
static void line_wakes(void)
{
    machine m;
    runner r;

    if (!make_with_gic(&m, 0))
        return;
    if (run_beside(&r, m.cpu[0])) {
        sleep_ms(30);
        SAME(hvcore_vm_irq(m.vm, 7, 1), 0);
        const hvcore_exit *x = join(&r);
        WANT_EXIT(x, HVCORE_EXIT_MMIO);
        SAME(x->u.mmio.data, SPI + 7);
    }
    unmake(&m);
}

static void eventfd_line(void)
{
    const uint64_t one = 1;
    int fd = eventfd(0, EFD_CLOEXEC);
    machine m;

    if (!CHECK(fd >= 0) || !make_with_gic(&m, 0))
        return;
    OK(hvcore_vm_irqfd(m.vm, 40, fd, -1, 1, &e));
    FAILS(hvcore_vm_irqfd(m.vm, LINES, fd, -1, 1, NULL), HVCORE_E_RANGE);
    for (int i = 0; i < 3; i++) {
        SAME(write(fd, &one, sizeof(one)), sizeof(one));
        SAYS(m.cpu[0], SPI + 40);
        nothing_comes(&m);
    }
    OK(hvcore_vm_irqfd(m.vm, 40, fd, -1, 0, &e));
    SAME(write(fd, &one, sizeof(one)), sizeof(one));
    nothing_comes(&m);
    close(fd);
    unmake(&m);
}

/* The guest ends the interrupt, and `done` is signalled. */
static void resampled_line(void)
{
    const uint64_t one = 1;
    uint64_t count = 0;
    int fd = eventfd(0, EFD_CLOEXEC), done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    machine m;

    if (!CHECK(fd >= 0 && done >= 0) || !make_with_gic(&m, 0))
        return;
    OK(hvcore_vm_irqfd(m.vm, 3, fd, done, 1, &e));
    SAME(write(fd, &one, sizeof(one)), sizeof(one));
    SAYS(m.cpu[0], SPI + 3);
    SAME(read(done, &count, sizeof(count)), -1);
    nothing_comes(&m);
    SAME(read(done, &count, sizeof(count)), sizeof(count));
    SAME(count, 1);
    OK(hvcore_vm_irqfd(m.vm, 3, fd, done, 0, &e));
    close(fd);
    close(done);
    unmake(&m);
}

static void timer(void)
{
    machine m;

    if (!make_with_gic(&m, 1000))
        return;
    SAYS(m.cpu[0], TIMER);
    nothing_comes(&m);
    unmake(&m);
}

/* ---- setting it up -------------------------------------------------------------------------- */

static int gic_like(machine *m, uint32_t kind, uint64_t gpa, uint64_t gpa_cpu, uint32_t lines)
{
    hvcore_irqchip_opts o = HVCORE_IRQCHIP_OPTS_INIT;

    o.kind = kind;
    o.gpa = gpa;
    o.gpa_cpu = gpa_cpu;
    o.lines = lines;
    return hvcore_irqchip_create(m->vm, &o, &e);
}

static void refused(void)
{
    const uint32_t v3 = HVCORE_IRQCHIP_GICV3;
    hvcore_vcpu *late = NULL;
    machine m;

    if (!make_bare(&m, 0))
        return;
    FAILS(gic_like(&m, v3, GICD, GICR, LINES), HVCORE_E_STATE); /* no vCPU yet */
    if (make_cpus(&m, 1)) {
        FAILS(gic_like(&m, HVCORE_IRQCHIP_PC, GICD, GICR, LINES), HVCORE_E_UNSUPPORTED);
        FAILS(gic_like(&m, v3, GICD + 0x1000, GICR, LINES), HVCORE_E_INVAL);
        FAILS(gic_like(&m, v3, GICD, GICR + 0x1000, LINES), HVCORE_E_INVAL);
        FAILS(gic_like(&m, v3, GICD, GICD, LINES), HVCORE_E_EXISTS);
        FAILS(gic_like(&m, v3, RAM, GICR, LINES), HVCORE_E_EXISTS);
        FAILS(gic_like(&m, v3, GICD, UINT64_C(1) << 60, LINES), HVCORE_E_RANGE);
        FAILS(gic_like(&m, v3, GICD, GICR, 0), HVCORE_E_RANGE);
        FAILS(gic_like(&m, v3, GICD, GICR, 989), HVCORE_E_RANGE);
        OK(gic_like(&m, v3, GICD, GICR, 1));
        FAILS(gic_like(&m, v3, GICD, GICR, 1), HVCORE_E_EXISTS);
        FAILS(hvcore_vm_irq(m.vm, 1, 1), HVCORE_E_RANGE);
        FAILS(hvcore_vcpu_create(m.vm, 1, NULL, &late, NULL), HVCORE_E_STATE);
    }
    unmake(&m);
}

static void most_lines(void)
{
    uint32_t most;
    machine m;

    if (!make(&m, 1))
        return;
    int rc = gic_like(&m, HVCORE_IRQCHIP_GICV3, GICD, GICR, 988);
    most = 988;
    if (rc) {
        SAME(rc, -HVCORE_E_RANGE);
        printf("# 988 lines: %s\n", e.message);
        unmake(&m);
        if (!make(&m, 1))
            return;
        most = 960;
        OK(gic_like(&m, HVCORE_IRQCHIP_GICV3, GICD, GICR, most));
    }
    SAME(hvcore_vm_irq(m.vm, most - 1, 1), 0);
    FAILS(hvcore_vm_irq(m.vm, most, 1), HVCORE_E_RANGE);
    unmake(&m);
}

static void gicv2(void)
{
    machine m;

    if (!make(&m, 1))
        return;
    int rc = make_gic(&m, HVCORE_IRQCHIP_GICV2);
    unmake(&m);
    if (rc == -HVCORE_E_UNSUPPORTED)
        SKIP("this host's KVM has no GICv2 for guests");
    SAME(rc, 0);
}

/* ---- without it ----------------------------------------------------------------------------- */

GUEST(wait_for_irq, "msr daifclr, #3\n str xzr, [x29]\n 1: wfi\n b 1b\n");

static void input(uint32_t irq, uint64_t vector)
{
    machine m;
    runner r;

    if (!make(&m, 1))
        return;
    LOAD(&m, wait_for_irq);
    SAYS(m.cpu[0], 0);
    FAILS(hvcore_vcpu_irq(m.cpu[0], 2, 1), HVCORE_E_RANGE);
    FAILS(hvcore_vm_irq(m.vm, 0, 1), HVCORE_E_STATE);
    SAME(hvcore_vcpu_irq(m.cpu[0], irq, 1), 0);
    SAME(hvcore_vcpu_irq(m.cpu[0], irq, 0), 0);
    nothing_comes(&m);
    if (run_beside(&r, m.cpu[0])) {
        sleep_ms(30);
        SAME(hvcore_vcpu_irq(m.cpu[0], irq, 1), 0);
        const hvcore_exit *x = join(&r);
        WANT_EXIT(x, HVCORE_EXIT_MMIO);
        SAME(x->u.mmio.addr, OUT + 8);
        SAME(x->u.mmio.data, vector);
    }
    SAME(hvcore_vcpu_irq(m.cpu[0], irq, 0), 0);
    LOAD(&m, wait_for_irq);
    SAYS(m.cpu[0], 0);
    nothing_comes(&m);
    unmake(&m);
}

static void irq_input(void)
{
    input(HVCORE_ARM64_IRQ_IRQ, VECTOR_IRQ);
}

static void fiq_input(void)
{
    input(HVCORE_ARM64_IRQ_FIQ, VECTOR_FIQ);
}

/* KVM_IRQ_LINE has the vCPU's number in two parts; there is no vCPU before this one. */
static void input_of_a_far_vcpu(void)
{
    enum { FAR_AWAY = 300 };
    hvcore_vm_opts o = HVCORE_VM_OPTS_INIT;
    machine m, far;

    if (!make_bare(&m, 0))
        return;
    far = m;
    o.arch = HVCORE_ARCH_ARM64;
    o.backend = "kvm";
    o.max_vcpus = FAR_AWAY + 1;
    if (OK(hvcore_vm_create(m.ctx, &o, &far.vm, &e))) {
        hvcore_map_opts at = HVCORE_MAP_OPTS_INIT;

        at.gpa = RAM;
        OK(hvcore_vm_map(far.vm, m.mem, &at, &e));
        OK(hvcore_vcpu_create(far.vm, FAR_AWAY, NULL, &far.cpu[0], &e));
        LOAD(&far, wait_for_irq);
        SAYS(far.cpu[0], 0);
        SAME(hvcore_vcpu_irq(far.cpu[0], HVCORE_ARM64_IRQ_IRQ, 1), 0);
        TAKES(far.cpu[0], VECTOR_IRQ);
        hvcore_vcpu_unref(far.cpu[0]);
        hvcore_vm_unref(far.vm);
    }
    unmake(&m);
}

GUEST(own_timer, "mrs x1, cntvct_el0\n add x1, x1, #1000\n msr cntv_cval_el0, x1\n"
                 "mov x1, #1\n msr cntv_ctl_el0, x1\n 1: wfi\n b 1b\n");

/* Nobody hears the timer, but the register says what its output is. */
static void timer_alone(void)
{
    enum { ENABLE = 1, ISTATUS = 4 };
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, own_timer);
    nothing_comes(&m);
    SAME(get_u64(m.cpu[0], HVCORE_REG_ARM64_CNTV_CTL_EL0), ENABLE | ISTATUS);
    unmake(&m);
}

int main(void)
{
    static const check_test tests[] = {
        {"level_line", level_line},
        {"line_wakes", line_wakes},
        {"eventfd_line", eventfd_line},
        {"resampled_line", resampled_line},
        {"timer", timer},
        {"refused", refused},
        {"most_lines", most_lines},
        {"gicv2", gicv2},
        {"irq_input", irq_input},
        {"fiq_input", fiq_input},
        {"input_of_a_far_vcpu", input_of_a_far_vcpu},
        {"timer_alone", timer_alone},
        {NULL, NULL},
    };

    return check_all(tests);
}
