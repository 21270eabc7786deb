/* SPDX-License-Identifier: Apache-2.0 */
/* The kvm backend on arm64: steps, breakpoints, watchpoints. */
#include "tests/kvm/arm64.h"

GUEST(steps, "mov x0, #1\n"
             "add x0, x0, #1\n"
             "add x0, x0, #1\n"
             "ldr x1, [x29]\n"
             "brk #7\n"
             "str x0, [x30, #16]\n"
             "strb w0, [x30, #27]\n"
             "ldr x2, [x30, #16]\n"
             "str x0, [x29]\n"
             "b .\n");
#define AT(n) (RAM + CODE + 4 * (n))
enum { LDR = 3, BRK = 4, STORE = 5, STORE_BYTE = 6, LOAD_BACK = 7, SAY = 8 };

static int set(hvcore_vcpu *cpu, uint32_t flags, uint32_t count, const hvcore_debug_point *p)
{
    hvcore_debug_opts o = HVCORE_DEBUG_OPTS_INIT;

    o.flags = flags;
    o.count = count;
    for (uint32_t i = 0; i < count && i < HVCORE_DEBUG_POINTS; i++) {
        o.point[i] = p[i];
    }
    return hvcore_vcpu_debug_set(cpu, &o, &e);
}

static const hvcore_exit *stops(hvcore_vcpu *cpu, uint32_t kind, uint64_t pc)
{
    const hvcore_exit *x = go(cpu);

    if (WANT_EXIT(x, HVCORE_EXIT_DEBUG)) {
        SAME(x->u.debug.kind, kind);
        SAME(x->have & HVCORE_HAVE_PC, HVCORE_HAVE_PC);
        SAME(x->pc, pc);
        SAME(x->flags, 0);
        SAME(get_u64(cpu, PC), pc);
    }
    return x;
}

static void step(void)
{
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, steps);
    OK(set(m.cpu[0], HVCORE_DEBUG_STEP, 0, NULL));
    for (uint64_t i = 1; i <= 3; i++) {
        const hvcore_exit *x = stops(m.cpu[0], HVCORE_DEBUG_KIND_STEP, AT(i));

        SAME(x->u.debug.status >> EC_SHIFT, 0x32);
        SAME(get_u64(m.cpu[0], X(0)), i);
    }
    OK(set(m.cpu[0], 0, 0, NULL));
    put_u64(m.cpu[0], PC, AT(SAY));
    SAYS(m.cpu[0], 3);
    unmake(&m);
}

/* The access, then the step over it, whether or not somebody has looked in between. */
static void step_over_access(void)
{
    const uint64_t value = 5;
    machine m;

    if (!make(&m, 1))
        return;
    for (int look = 0; look < 2; look++) {
        LOAD(&m, steps);
        put_u64(m.cpu[0], PC, AT(LDR));
        OK(set(m.cpu[0], HVCORE_DEBUG_STEP, 0, NULL));
        WANT_EXIT(go(m.cpu[0]), HVCORE_EXIT_MMIO);
        SAME(hvcore_vcpu_complete(m.cpu[0], &value, 1), 0);
        if (look)
            SAME(get_u64(m.cpu[0], X(1)), value);
        stops(m.cpu[0], HVCORE_DEBUG_KIND_STEP, AT(BRK));
        SAME(get_u64(m.cpu[0], X(1)), value);
        put_u64(m.cpu[0], PC, AT(STORE));
        stops(m.cpu[0], HVCORE_DEBUG_KIND_STEP, AT(STORE + 1)); /* and then the next one */
        stops(m.cpu[0], HVCORE_DEBUG_KIND_STEP, AT(STORE + 2));
        OK(set(m.cpu[0], 0, 0, NULL));
    }
    unmake(&m);
}

/* A callback answers, and a cancel comes at the same time. */
static uint32_t cancelled_load(void *user, hvcore_vcpu *cpu, uint64_t gpa, uint32_t width,
                               uint64_t *value)
{
    (void)user, (void)gpa, (void)width;
    *value = 6;
    SAME(hvcore_vcpu_cancel(cpu, 1), 0);
    return HVCORE_MMIO_DONE;
}

static void step_and_cancel(void)
{
    const hvcore_mmio_ops ops = {.size = sizeof(ops), .read = cancelled_load};
    machine m;

    if (!make(&m, 1))
        return;
    OK(hvcore_vm_mmio_add(m.vm, OUT, 8, &ops, NULL, NULL, &e));
    LOAD(&m, steps);
    put_u64(m.cpu[0], PC, AT(LDR));
    OK(set(m.cpu[0], HVCORE_DEBUG_STEP, 0, NULL));
    const hvcore_exit *x = go(m.cpu[0]);
    WANT_EXIT(x, HVCORE_EXIT_CANCELLED);
    SAME(x->pc, AT(BRK));
    stops(m.cpu[0], HVCORE_DEBUG_KIND_STEP, AT(BRK));
    SAME(get_u64(m.cpu[0], X(1)), 6);
    unmake(&m);
}

static void brk(void)
{
    const uint64_t value = 5;
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, steps);
    OK(set(m.cpu[0], HVCORE_DEBUG_BREAKPOINTS, 0, NULL));
    WANT_EXIT(go(m.cpu[0]), HVCORE_EXIT_MMIO);
    SAME(hvcore_vcpu_complete(m.cpu[0], &value, 1), 0);
    const hvcore_exit *x = stops(m.cpu[0], HVCORE_DEBUG_KIND_BREAKPOINT, AT(BRK));
    SAME(x->u.debug.status >> EC_SHIFT, 0x3c);
    SAME(x->u.debug.status & 0xffff, 7);
    stops(m.cpu[0], HVCORE_DEBUG_KIND_BREAKPOINT, AT(BRK)); /* it has not been executed */
    OK(set(m.cpu[0], 0, 0, NULL));
    TAKES(m.cpu[0], VECTOR_SYNC); /* now it is the guest's */
    SAME(ESR(m.cpu[0]) >> EC_SHIFT, 0x3c);
    unmake(&m);
}

static void breakpoint(void)
{
    const hvcore_debug_point points[] = {{.addr = AT(2), .kind = HVCORE_DEBUG_POINT_EXECUTE},
                                         {.addr = AT(1), .kind = HVCORE_DEBUG_POINT_EXECUTE}};
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, steps);
    OK(set(m.cpu[0], 0, 2, points));
    stops(m.cpu[0], HVCORE_DEBUG_KIND_POINT, AT(1));
    SAME(get_u64(m.cpu[0], X(0)), 1);
    OK(set(m.cpu[0], 0, 1, points));
    const hvcore_exit *x = stops(m.cpu[0], HVCORE_DEBUG_KIND_POINT, AT(2));
    SAME(x->u.debug.status >> EC_SHIFT, 0x30);
    OK(set(m.cpu[0], 0, 0, NULL));
    WANT_EXIT(go(m.cpu[0]), HVCORE_EXIT_MMIO);
    unmake(&m);
}

/* From `from` on: an instruction that touches [addr, addr + len) like this stops before it does. */
static void watch(machine *m, uint64_t from, const hvcore_debug_point *p, uint64_t at,
                  uint64_t touched)
{
    put_u64(m->cpu[0], PC, AT(from));
    OK(set(m->cpu[0], 0, 1, p));
    const hvcore_exit *x = stops(m->cpu[0], HVCORE_DEBUG_KIND_POINT, AT(at));
    SAME(x->u.debug.addr, touched);
    SAME(x->u.debug.status >> EC_SHIFT, 0x34);
}

static void watchpoint(void)
{
    const uint64_t data = RAM + DATA;
    const hvcore_debug_point write8 = {data + 16, HVCORE_DEBUG_POINT_WRITE, 8};
    const hvcore_debug_point write1 = {data + 27, HVCORE_DEBUG_POINT_WRITE, 1};
    const hvcore_debug_point beside = {data + 26, HVCORE_DEBUG_POINT_WRITE, 1};
    const hvcore_debug_point read8 = {data + 16, HVCORE_DEBUG_POINT_READ, 8};
    const hvcore_debug_point either = {data + 16, HVCORE_DEBUG_POINT_ACCESS, 4};
    uint64_t value = 1;
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, steps);
    put_u64(m.cpu[0], X(0), 9);
    watch(&m, STORE, &write8, STORE, data + 16);
    SAME(hvcore_vm_read(m.vm, data + 16, &value, sizeof(value)), 0);
    SAME(value, 0);
    watch(&m, STORE, &write1, STORE_BYTE, data + 27);
    watch(&m, STORE, &read8, LOAD_BACK, data + 16);
    watch(&m, STORE, &either, STORE, data + 16);
    watch(&m, STORE_BYTE, &either, LOAD_BACK, data + 16);
    put_u64(m.cpu[0], PC, AT(STORE));
    OK(set(m.cpu[0], 0, 1, &beside));
    SAYS(m.cpu[0], 9);
    unmake(&m);
}

static void refused(void)
{
    const hvcore_debug_point odd = {AT(1) + 2, HVCORE_DEBUG_POINT_EXECUTE, 0};
    const hvcore_debug_point across = {RAM + 4, HVCORE_DEBUG_POINT_WRITE, 8};
    const hvcore_debug_point three = {RAM, HVCORE_DEBUG_POINT_WRITE, 3};
    const hvcore_debug_point kind = {RAM, 4, 8};
    hvcore_debug_point many[HVCORE_DEBUG_POINTS];
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, steps);
    FAILS(set(m.cpu[0], 4, 0, NULL), HVCORE_E_INVAL);
    FAILS(set(m.cpu[0], 0, 1, &odd), HVCORE_E_INVAL);
    FAILS(set(m.cpu[0], 0, 1, &across), HVCORE_E_INVAL);
    FAILS(set(m.cpu[0], 0, 1, &three), HVCORE_E_INVAL);
    FAILS(set(m.cpu[0], 0, 1, &kind), HVCORE_E_INVAL);
    for (uint32_t i = 0; i < HVCORE_DEBUG_POINTS; i++) {
        many[i] = (hvcore_debug_point){AT(20 + i), HVCORE_DEBUG_POINT_EXECUTE, 0};
    }
    FAILS(set(m.cpu[0], 0, HVCORE_DEBUG_POINTS, many), HVCORE_E_LIMIT);
    printf("# %s\n", e.message);
    for (uint32_t i = 0; i < HVCORE_DEBUG_POINTS; i++) {
        many[i] = (hvcore_debug_point){RAM + 8 * i, HVCORE_DEBUG_POINT_WRITE, 8};
    }
    FAILS(set(m.cpu[0], 0, HVCORE_DEBUG_POINTS, many), HVCORE_E_LIMIT);
    printf("# %s\n", e.message);
    WANT_EXIT(go(m.cpu[0]), HVCORE_EXIT_MMIO); /* nothing of it stops the guest */
    unmake(&m);
}

int main(void)
{
    static const check_test tests[] = {
        {"step", step},
        {"step_over_access", step_over_access},
        {"step_and_cancel", step_and_cancel},
        {"brk", brk},
        {"breakpoint", breakpoint},
        {"watchpoint", watchpoint},
        {"refused", refused},
        {NULL, NULL},
    };

    return check_all(tests);
}
