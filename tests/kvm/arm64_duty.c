/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kvm backend on arm64: what the host repairs, and what of it can be hidden; guests with an
 * EL2. What is expected follows from what the host says that it can, not from its version.
 */
#include "tests/kvm/arm64.h"

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

/* ---- EL2 ------------------------------------------------------------------------------------ */

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
        {"duties", duties}, {"duties_without_a_vcpu", duties_without_a_vcpu},
        {"mops", mops},     {"mops_hidden", mops_hidden},
        {"el1", el1},       {"el2", el2},
        {NULL, NULL},
    };

    return check_all(tests);
}
