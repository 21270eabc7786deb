/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kvm backend on arm64: PSCI, memory, cancel and deadline, statistics; what the host repairs, and
 * what of it can be hidden; guests with an EL2. What is expected follows from what the host says that
 * it can, not from its version.
 */
#include "tests/kvm/arm64.h"

#define STORED UINT64_C(0x1122334455667788)

/* ---- PSCI ------------------------------------------------------------------------------------ */

enum { CPU_OFF = 0x84000002u, SYSTEM_OFF = 0x84000008u, SYSTEM_RESET = 0x84000009u };
#define CPU_ON UINT64_C(0xc4000003)

GUEST(psci, "hvc #0\n str x0, [x29]\n mov x0, x20\n hvc #0\n b .\n");
GUEST(second, "movz x1, #0x0a00, lsl #16\n str x0, [x1]\n b .\n");

static void psci(uint64_t last, uint32_t reason)
{
    machine m;
    runner other;
    const hvcore_reg mpidr = SYS(3, 0, 0, 0, 5);

    if (!make(&m, 2))
        return;
    LOAD(&m, psci);
    put_code(&m, RAM + SECOND, guest_second, guest_second_end);
    put_u64(m.cpu[0], X(0), CPU_ON);
    put_u64(m.cpu[0], X(1), get_u64(m.cpu[1], mpidr) & UINT64_C(0xff00ffffff));
    put_u64(m.cpu[0], X(2), RAM + SECOND);
    put_u64(m.cpu[0], X(3), STORED);
    put_u64(m.cpu[0], X(20), last);
    if (run_beside(&other, m.cpu[1])) {
        sleep_ms(20);
        SAYS(m.cpu[0], 0);
        const hvcore_exit *x = join(&other);
        WANT_EXIT(x, HVCORE_EXIT_MMIO);
        SAME(x->u.mmio.data, STORED);
        x = go(m.cpu[0]);
        WANT_EXIT(x, reason);
        SAME(x->u.reset.type, reason == HVCORE_EXIT_RESET);
    }
    unmake(&m);
}

static void psci_off(void)
{
    psci(SYSTEM_OFF, HVCORE_EXIT_SHUTDOWN);
}

static void psci_reset(void)
{
    psci(SYSTEM_RESET, HVCORE_EXIT_RESET);
}

GUEST(touch, "ldr x0, [x1]\n str x0, [x29]\n b .\n");

/* ---- memory ---------------------------------------------------------------------------------- */

GUEST(loop_load, "1: ldr x0, [x1]\n b 1b\n");
GUEST(loop_store, "1: add x0, x0, #1\n str x0, [x1]\n b 1b\n");

static void unmap_below(void)
{
    hvcore_map_opts at = HVCORE_MAP_OPTS_INIT;
    hvcore_mem *mem = NULL;
    machine m;
    runner r;

    if (!make(&m, 1))
        return;
    at.gpa = HOLE;
    OK(hvcore_mem_alloc(m.ctx, 0x10000, 0, &mem, &e));
    OK(hvcore_vm_map(m.vm, mem, &at, &e));
    LOAD(&m, loop_load);
    put_u64(m.cpu[0], X(1), HOLE + 0x40);
    if (run_beside(&r, m.cpu[0])) {
        sleep_ms(30);
        OK(hvcore_vm_unmap(m.vm, HOLE, 0x10000, &e));
        const hvcore_exit *x = join(&r);
        WANT_EXIT(x, HVCORE_EXIT_MMIO);
        SAME(x->u.mmio.addr, HOLE + 0x40);
        SAME(x->u.mmio.write, 0);
    }
    hvcore_mem_unref(mem);
    unmake(&m);
}

static void protect_below(void)
{
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    machine m;
    runner r;

    if (!make(&m, 1))
        return;
    SAME(hvcore_vm_backend_info(m.vm, &info), 0);
    SAME(info.caps & HVCORE_CAP_READONLY, HVCORE_CAP_READONLY);
    LOAD(&m, loop_store);
    put_u64(m.cpu[0], X(1), RAM + DATA);
    if (run_beside(&r, m.cpu[0])) {
        uint64_t value = 0;

        sleep_ms(30);
        OK(hvcore_vm_protect(m.vm, RAM + DATA, 0x1000, HVCORE_PROT_R | HVCORE_PROT_X, &e));
        const hvcore_exit *x = join(&r);
        WANT_EXIT(x, HVCORE_EXIT_MMIO);
        SAME(x->u.mmio.addr, RAM + DATA);
        SAME(x->u.mmio.write, 1);
        SAME(hvcore_vm_read(m.vm, RAM + DATA, &value, sizeof(value)), 0);
        SAME(value, x->u.mmio.data - 1); /* the last one that was let through */
    }
    unmake(&m);
}

/* The guest's own: user space never hears of it. */
static void fetch_outside(void)
{
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, touch);
    put_u64(m.cpu[0], PC, HOLE);
    TAKES(m.cpu[0], VECTOR_SYNC);
    SAME(ESR(m.cpu[0]) >> EC_SHIFT, EC_IABT);
    SAME(ESR(m.cpu[0]) & FSC, FSC_EXTERNAL);
    SAME(ELR(m.cpu[0]), HOLE);
    unmake(&m);
}

/* ---- cancel, deadline ------------------------------------------------------------------------ */

GUEST(spin, "b .\n");
GUEST(sleep, "1: wfi\n b 1b\n");

static void cancel(machine *m, int cpu)
{
    runner r;

    if (!run_beside(&r, m->cpu[cpu]))
        return;
    sleep_ms(30);
    SAME(hvcore_vcpu_cancel(m->cpu[cpu], 77), 0);
    const hvcore_exit *x = join(&r);
    WANT_EXIT(x, HVCORE_EXIT_CANCELLED);
    SAME(x->u.cancelled.token, 77);
    SAME(hvcore_vcpu_cancel(m->cpu[cpu], 78), 0); /* sticky */
    x = go(m->cpu[cpu]);
    WANT_EXIT(x, HVCORE_EXIT_CANCELLED);
    SAME(x->u.cancelled.token, 78);
}

static void deadline(machine *m, int cpu)
{
    uint64_t begin = hvcore_clock_ns();

    WANT_EXIT(go_for(m->cpu[cpu], 50), HVCORE_EXIT_DEADLINE);
    uint64_t took = hvcore_clock_ns() - begin;
    check_that(took >= 50 * MS && took < 2000 * MS, __FILE__, __LINE__,
               "a deadline of 50 ms took %llu us", (unsigned long long)(took / 1000));
}

static void stop_spinning(void)
{
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, spin);
    cancel(&m, 0);
    deadline(&m, 0);
    SAME(get_u64(m.cpu[0], PC), RAM + CODE);
    unmake(&m);
}

static void stop_sleeping(void)
{
    machine m;

    if (!make(&m, 2))
        return;
    LOAD(&m, sleep);
    cancel(&m, 0);
    deadline(&m, 0);
    cancel(&m, 1); /* it is off */
    deadline(&m, 1);
    unmake(&m);
}

/* ---- what the kernel counts ------------------------------------------------------------------ */

static void statistics(void)
{
    hvcore_kernel_stat s = HVCORE_KERNEL_STAT_INIT;
    uint64_t exits = 0, user = 0;
    uint32_t n = 0;
    machine m;
    int rc;

    if (!make(&m, 1))
        return;
    LOAD(&m, touch);
    put_u64(m.cpu[0], X(1), HOLE);
    WANT_EXIT(go(m.cpu[0]), HVCORE_EXIT_MMIO);
    while ((rc = hvcore_vm_kernel_stat(m.vm, 0, n, &s, &e)) == 0) {
        exits = strcmp(s.name, "exits") ? exits : s.value;
        user = strcmp(s.name, "mmio_exit_user") ? user : s.value;
        n++;
    }
    SAME(rc, -HVCORE_E_NOTFOUND);
    CHECK(n > 5);
    CHECK(exits > 0);
    SAME(user, 1);
    OK(hvcore_vm_kernel_stat(m.vm, UINT32_MAX, 0, &s, &e));
    unmake(&m);
}

/* ---- duties, and hiding ---------------------------------------------------------------------- */

/* cpyfp [x1]!, [x2]!, x3!; cpyfm, cpyfe (DDI0487 C6.2) */
GUEST(copy, ".inst 0x19020461\n .inst 0x19420461\n .inst 0x19820461\n str x3, [x29]\n b .\n");

#define ISAR2 HVCORE_REG_ARM64_ID_AA64ISAR2_EL1
enum { MOPS_SHIFT = 16, LENGTH = 100 };

static uint64_t sees_mops(machine *m)
{
    return get_u64(m->cpu[0], ISAR2) >> MOPS_SHIFT & 0xf;
}

static hvcore_duty_info duty(machine *m, uint32_t which)
{
    hvcore_duty_info info = HVCORE_DUTY_INFO_INIT;

    OK(hvcore_vm_duty_info(m->vm, which, &info, &e));
    return info;
}

static void duties(void)
{
    static const uint32_t sources[HVCORE_DUTIES] = {
        [HVCORE_DUTY_AT] = HVCORE_DUTY_BY_NOT_APPLICABLE,
        [HVCORE_DUTY_HEDELEG] = HVCORE_DUTY_BY_NOT_APPLICABLE,
        [HVCORE_DUTY_SPE] = HVCORE_DUTY_BY_HIDDEN,
        [HVCORE_DUTY_APF] = HVCORE_DUTY_BY_NOBODY,
        [HVCORE_DUTY_STEP] = HVCORE_DUTY_BY_KERNEL,
    };
    machine m;

    if (!make(&m, 1))
        return;
    for (uint32_t i = 0; i < HVCORE_DUTIES; i++) {
        hvcore_duty_info info = duty(&m, i);

        printf("# %s: %s, %s%s (%s)\n", hvcore_duty_name(i), hvcore_duty_source_name(info.source),
               info.why, info.can_hide ? " It can be hidden." : "", info.release);
        CHECK(info.why[0] && info.release[0] && strlen(info.why) < sizeof(info.why) - 1);
        SAME(info.counters_valid, 0);
        if (i != HVCORE_DUTY_MOPS)
            SAME(info.source, sources[i]);
    }
    SAME(duty(&m, HVCORE_DUTY_MOPS).source == HVCORE_DUTY_BY_KERNEL, sees_mops(&m) != 0);
    unmake(&m);
}

static void duties_without_a_vcpu(void)
{
    machine m;

    if (!make_bare(&m, 0))
        return;
    SAME(duty(&m, HVCORE_DUTY_MOPS).source, HVCORE_DUTY_BY_UNKNOWN);
    SAME(duty(&m, HVCORE_DUTY_APF).source, HVCORE_DUTY_BY_NOBODY);
    FAILS(hvcore_vm_hide(m.vm, HVCORE_DUTY_MOPS, NULL), HVCORE_E_STATE);
    unmake(&m);
}

static void load_copy(machine *m)
{
    uint8_t from[LENGTH];

    for (int i = 0; i < LENGTH; i++) {
        from[i] = (uint8_t)(i + 1);
    }
    SAME(hvcore_vm_write(m->vm, RAM + DATA, from, LENGTH), 0);
    LOAD(m, copy);
    put_u64(m->cpu[0], X(1), RAM + DATA + 0x1000);
    put_u64(m->cpu[0], X(2), RAM + DATA);
    put_u64(m->cpu[0], X(3), LENGTH);
}

static void mops(void)
{
    uint8_t to[LENGTH];
    machine m;

    if (!make(&m, 1))
        return;
    if (!sees_mops(&m)) {
        OK(hvcore_vm_hide(m.vm, HVCORE_DUTY_MOPS, &e)); /* there is nothing to hide */
        load_copy(&m);
        TAKES(m.cpu[0], VECTOR_SYNC);
        unmake(&m);
        SKIP("the guest sees no memory copy instructions on this host");
    }
    load_copy(&m);
    SAYS(m.cpu[0], 0);
    SAME(hvcore_vm_read(m.vm, RAM + DATA + 0x1000, to, LENGTH), 0);
    for (int i = 0; i < LENGTH; i++) {
        SAME(to[i], i + 1);
    }
    FAILS(hvcore_vm_hide(m.vm, HVCORE_DUTY_MOPS, NULL), HVCORE_E_STATE); /* too late */
    SAME(duty(&m, HVCORE_DUTY_MOPS).source, HVCORE_DUTY_BY_KERNEL);
    unmake(&m);
}

static void mops_hidden(void)
{
    machine m;

    if (!make(&m, 2))
        return;
    if (!sees_mops(&m)) {
        unmake(&m);
        SKIP("the guest sees no memory copy instructions on this host");
    }
    SAME(duty(&m, HVCORE_DUTY_MOPS).can_hide, 1);
    OK(hvcore_vm_hide(m.vm, HVCORE_DUTY_MOPS, &e));
    FAILS(hvcore_vm_hide(m.vm, HVCORE_DUTY_STEP, NULL), HVCORE_E_UNSUPPORTED);
    SAME(sees_mops(&m), 0);
    SAME(get_u64(m.cpu[1], ISAR2) >> MOPS_SHIFT & 0xf, 0);
    SAME(duty(&m, HVCORE_DUTY_MOPS).source, HVCORE_DUTY_BY_HIDDEN);
    load_copy(&m);
    TAKES(m.cpu[0], VECTOR_SYNC);
    SAME(ESR(m.cpu[0]) >> EC_SHIFT, 0); /* undefined */
    SAME(ELR(m.cpu[0]), RAM + CODE);
    unmake(&m);
}

/* ---- EL2 ------------------------------------------------------------------------------------- */

GUEST(level, "mrs x0, CurrentEL\n str x0, [x29]\n b .\n");

static void level(machine *m, uint64_t want)
{
    if (!make_cpus(m, 1) || !OK(make_gic(m, HVCORE_IRQCHIP_GICV3)))
        return;
    LOAD(m, level);
    SAYS(m->cpu[0], want << 2);
    SAME(duty(m, HVCORE_DUTY_AT).source,
         want == 2 ? HVCORE_DUTY_BY_KERNEL : HVCORE_DUTY_BY_NOT_APPLICABLE);
}

static void el1(void)
{
    machine m;

    if (make_bare(&m, 0)) {
        level(&m, 1);
        unmake(&m);
    }
}

static void el2(void)
{
    hvcore_vm_opts o = HVCORE_VM_OPTS_INIT;
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    hvcore_vm *vm = NULL;
    machine m;

    if (!make_bare(&m, 0))
        return;
    SAME(hvcore_vm_backend_info(m.vm, &info), 0);
    if (info.caps & HVCORE_CAP_EL2) {
        unmake(&m);
        if (make_bare(&m, HVCORE_VM_EL2)) {
            level(&m, 2);
            unmake(&m);
        }
        return;
    }
    o.arch = HVCORE_ARCH_ARM64;
    o.flags = HVCORE_VM_EL2;
    FAILS(hvcore_vm_create(m.ctx, &o, &vm, NULL), HVCORE_E_UNSUPPORTED);
    unmake(&m);
    SKIP("this host's KVM gives no guest an EL2");
}

int main(void)
{
    static const check_test tests[] = {
        {"psci_off", psci_off},
        {"psci_reset", psci_reset},
        {"unmap_below", unmap_below},
        {"protect_below", protect_below},
        {"fetch_outside", fetch_outside},
        {"stop_spinning", stop_spinning},
        {"stop_sleeping", stop_sleeping},
        {"statistics", statistics},
        {"duties", duties},
        {"duties_without_a_vcpu", duties_without_a_vcpu},
        {"mops", mops},
        {"mops_hidden", mops_hidden},
        {"el1", el1},
        {"el2", el2},
        {NULL, NULL},
    };

    return check_all(tests);
}
