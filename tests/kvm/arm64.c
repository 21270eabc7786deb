/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kvm backend on arm64: accesses, exceptions, registers.
 */
#include "tests/kvm/arm64.h"

#define MMIO UINT64_C(0x0b000000)
#define LOADED UINT64_C(0x8182838485868788)
#define STORED UINT64_C(0x1122334455667788)

/* ---- accesses ------------------------------------------------------------------------------- */

GUEST(access, "ldrb w0, [x1]\n str x0, [x29]\n"
              "ldrh w0, [x1, #2]\n str x0, [x29]\n"
              "ldr w0, [x1, #4]\n str x0, [x29]\n"
              "ldr x0, [x1, #8]\n str x0, [x29]\n"
              "ldrsb w0, [x1]\n str x0, [x29]\n"
              "ldrsb x0, [x1, #1]\n str x0, [x29]\n"
              "ldrsh w0, [x1]\n str x0, [x29]\n"
              "ldrsh x0, [x1]\n str x0, [x29]\n"
              "ldrsw x0, [x1]\n str x0, [x29]\n"
              "strb w2, [x1, #3]\n"
              "strh w2, [x1, #2]\n"
              "str w2, [x1, #4]\n"
              "str x2, [x1, #8]\n"
              "strb wzr, [x1]\n"
              "str x2, [x29]\n");

static const struct load {
    uint32_t offset, width;
    uint64_t x0;
} loads[] = {
    {0, 1, 0x88},
    {2, 2, 0x8788},
    {4, 4, 0x85868788},
    {8, 8, LOADED},
    {0, 1, 0xffffff88},
    {1, 1, UINT64_C(0xffffffffffffff88)},
    {0, 2, 0xffff8788},
    {0, 2, UINT64_C(0xffffffffffff8788)},
    {0, 4, UINT64_C(0xffffffff85868788)},
};
static const struct store {
    uint32_t offset, width;
    uint64_t data;
} stores[] = {
    {3, 1, 0x88}, {2, 2, 0x7788}, {4, 4, 0x55667788}, {8, 8, STORED}, {0, 1, 0},
};
enum { LOADS = sizeof(loads) / sizeof(loads[0]), STORES = sizeof(stores) / sizeof(stores[0]) };

/*
 * Linux 6.12 forgets the sign of a load that user space answers (mended by 7.2), and does not let
 * it know either.
 */
static bool knows_signs = true;

static uint64_t loaded(const struct load *l)
{
    return knows_signs ? l->x0 : LOADED & (UINT64_MAX >> (64 - 8 * l->width));
}

GUEST(signed_load, "ldrsb x0, [x1]\n str x0, [x29]\n");

static void signs(void)
{
    const uint64_t value = 0x80;
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, signed_load);
    put_u64(m.cpu[0], X(1), MMIO);
    WANT_EXIT(go(m.cpu[0]), HVCORE_EXIT_MMIO);
    SAME(hvcore_vcpu_complete(m.cpu[0], &value, 1), 0);
    knows_signs = get_u64(m.cpu[0], X(0)) != value;
    if (knows_signs)
        SAYS(m.cpu[0], UINT64_C(0xffffffffffffff80));
    unmake(&m);
    if (!knows_signs)
        SKIP("this kernel's KVM extends no load that user space answers by its sign");
}

static void load_access(machine *m)
{
    LOAD(m, access);
    put_u64(m->cpu[0], X(1), MMIO);
    put_u64(m->cpu[0], X(2), STORED);
}

static void is_access(const hvcore_exit *x, uint32_t offset, uint32_t width, uint32_t write)
{
    WANT_EXIT(x, HVCORE_EXIT_MMIO);
    SAME(x->u.mmio.addr, MMIO + offset);
    SAME(x->u.mmio.width, width);
    SAME(x->u.mmio.write, write);
    SAME(x->flags & HVCORE_EXIT_NEEDS_COMPLETION, write ? 0 : HVCORE_EXIT_NEEDS_COMPLETION);
    SAME(x->have & HVCORE_HAVE_GPA, HVCORE_HAVE_GPA);
    SAME(x->gpa, MMIO + offset);
}

static void one_load(machine *m, const struct load *l)
{
    const uint64_t value = LOADED;
    uint64_t at = get_u64(m->cpu[0], PC);
    const hvcore_exit *x = go(m->cpu[0]);

    is_access(x, l->offset, l->width, 0);
    FAILS(hvcore_vcpu_run(m->cpu[0], NULL, &x, NULL), HVCORE_E_STATE);
    SAME(get_u64(m->cpu[0], PC), at);
    SAME(hvcore_vcpu_complete(m->cpu[0], &value, 1), 0);
    SAME(get_u64(m->cpu[0], X(0)), loaded(l)); /* a look finishes it */
    SAME(get_u64(m->cpu[0], PC), at + 4);
    SAYS(m->cpu[0], loaded(l));
    SAME(get_u64(m->cpu[0], PC), at + 4);
    put_u64(m->cpu[0], PC, at + 8); /* the store's own step: made once */
}

static void mmio_exits(void)
{
    machine m;

    if (!make(&m, 1))
        return;
    load_access(&m);
    for (int i = 0; i < LOADS; i++) {
        one_load(&m, &loads[i]);
    }
    for (int i = 0; i < STORES; i++) {
        const hvcore_exit *x = go(m.cpu[0]);

        is_access(x, stores[i].offset, stores[i].width, 1);
        SAME(x->u.mmio.data, stores[i].data);
    }
    SAYS(m.cpu[0], STORED);
    unmake(&m);
}

static struct seen {
    int loads, stores;
} seen;

static uint32_t on_read(void *user, hvcore_vcpu *cpu, uint64_t gpa, uint32_t width, uint64_t *value)
{
    const struct load *l = &loads[seen.loads];

    (void)cpu;
    if (!CHECK(user == &seen && seen.loads < LOADS))
        return HVCORE_MMIO_EXIT;
    seen.loads++;
    SAME(gpa, MMIO + l->offset);
    SAME(width, l->width);
    *value = LOADED;
    return HVCORE_MMIO_DONE;
}

static uint32_t on_write(void *user, hvcore_vcpu *cpu, uint64_t gpa, uint32_t width, uint64_t value)
{
    const struct store *s = &stores[seen.stores];

    (void)cpu;
    if (!CHECK(user == &seen && seen.stores < STORES))
        return HVCORE_MMIO_EXIT;
    seen.stores++;
    SAME(gpa, MMIO + s->offset);
    SAME(width, s->width);
    SAME(value, s->data);
    return HVCORE_MMIO_DONE;
}

static void mmio_callbacks(void)
{
    const hvcore_mmio_ops ops = {.size = sizeof(ops), .read = on_read, .write = on_write};
    machine m;

    if (!make(&m, 1))
        return;
    seen = (struct seen){0};
    OK(hvcore_vm_mmio_add(m.vm, MMIO, 0x1000, &ops, &seen, NULL, &e));
    load_access(&m);
    for (int i = 0; i < LOADS; i++) {
        SAYS(m.cpu[0], loaded(&loads[i]));
    }
    SAYS(m.cpu[0], STORED);
    SAME(seen.loads, LOADS);
    SAME(seen.stores, STORES);
    unmake(&m);
}

/* ---- accesses that nobody answers ----------------------------------------------------------- */

GUEST(touch, "ldr x0, [x1]\n str x0, [x29]\n b .\n");
GUEST(post_index, "ldr x0, [x1], #8\n str x0, [x29]\n str x1, [x29]\n b .\n");

static void is_external_abort(hvcore_vcpu *cpu, uint64_t far)
{
    TAKES(cpu, VECTOR_SYNC);
    SAME(ESR(cpu) >> EC_SHIFT, EC_DABT);
    SAME(ESR(cpu) & FSC, FSC_EXTERNAL);
    SAME(FAR(cpu), far);
    SAME(ELR(cpu), RAM + CODE);
}

static void denied(void)
{
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, touch);
    put_u64(m.cpu[0], X(1), MMIO + 0x120);
    WANT_EXIT(go(m.cpu[0]), HVCORE_EXIT_MMIO);
    OK(hvcore_vcpu_deny(m.cpu[0], &e));
    FAILS(hvcore_vcpu_deny(m.cpu[0], NULL), HVCORE_E_STATE);
    SAME(get_u64(m.cpu[0], PC), RAM + VECTORS + 0x200);
    is_external_abort(m.cpu[0], MMIO + 0x120);
    unmake(&m);
}

static void injected_instead(void)
{
    hvcore_inject in = HVCORE_INJECT_INIT;
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, touch);
    put_u64(m.cpu[0], X(1), MMIO);
    WANT_EXIT(go(m.cpu[0]), HVCORE_EXIT_MMIO);
    in.cause = 3;
    FAILS(hvcore_vcpu_inject(m.cpu[0], &in, NULL), HVCORE_E_INVAL);
    in.cause = HVCORE_ARM64_INJECT_EXT_DABT;
    in.tval = 1;
    FAILS(hvcore_vcpu_inject(m.cpu[0], &in, NULL), HVCORE_E_INVAL);
    in.tval = 0;
    OK(hvcore_vcpu_inject(m.cpu[0], &in, &e));
    SAME(get_u64(m.cpu[0], PC), RAM + VECTORS + 0x200);
    is_external_abort(m.cpu[0], MMIO);
    unmake(&m);
}

static uint32_t faulty(void *user, hvcore_vcpu *cpu, uint64_t gpa, uint32_t width, uint64_t *value)
{
    (void)user, (void)cpu, (void)gpa, (void)width, (void)value;
    return HVCORE_MMIO_FAULT;
}

static void callback_denies(void)
{
    const hvcore_mmio_ops ops = {.size = sizeof(ops), .read = faulty};
    machine m;

    if (!make(&m, 1))
        return;
    OK(hvcore_vm_mmio_add(m.vm, MMIO, 0x1000, &ops, NULL, NULL, &e));
    LOAD(&m, touch);
    put_u64(m.cpu[0], X(1), MMIO);
    is_external_abort(m.cpu[0], MMIO);
    unmake(&m);
}

/* A load with write-back: the hardware does not describe it (DDI0487 D24.2.40, ISV). */
static void nisv(void)
{
    hvcore_inject in = HVCORE_INJECT_INIT;
    enum { WNR = 1 << 6 };
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, post_index);
    put_u64(m.cpu[0], X(1), MMIO + 8);
    const hvcore_exit *x = go(m.cpu[0]);
    if (WANT_EXIT(x, HVCORE_EXIT_TRAP)) {
        SAME(x->cls, 0x24);
        SAME(x->have, HVCORE_HAVE_SYNDROME | HVCORE_HAVE_GPA);
        SAME(x->gpa, MMIO + 8);
        SAME(x->syndrome & WNR, 0);
        SAME(x->flags & HVCORE_EXIT_NEEDS_COMPLETION, 0);
        SAME(get_u64(m.cpu[0], PC), RAM + CODE);
        /* the VMM carries it out */
        put_u64(m.cpu[0], X(0), STORED);
        put_u64(m.cpu[0], X(1), MMIO + 16);
        put_u64(m.cpu[0], PC, RAM + CODE + 4);
        SAYS(m.cpu[0], STORED);
        SAYS(m.cpu[0], MMIO + 16);
        /* once more, and it does not */
        put_u64(m.cpu[0], PC, RAM + CODE);
        WANT_EXIT(go(m.cpu[0]), HVCORE_EXIT_TRAP);
        in.cause = HVCORE_ARM64_INJECT_EXT_DABT;
        OK(hvcore_vcpu_inject(m.cpu[0], &in, &e));
        is_external_abort(m.cpu[0], MMIO + 16);
    }
    unmake(&m);
}

/* ---- SError --------------------------------------------------------------------------------- */

GUEST(unmask, "msr daifclr, #4\n isb\n nop\n str xzr, [x29]\n b .\n");

static void serror(void)
{
    hvcore_inject in = HVCORE_INJECT_INIT;
    const uint64_t iss = 0x1abcdef, ids = 1 << 24;
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, unmask);
    in.cause = HVCORE_ARM64_INJECT_SERROR_ISS;
    in.tval = UINT64_C(1) << 25;
    FAILS(hvcore_vcpu_inject(m.cpu[0], &in, NULL), HVCORE_E_INVAL);
    in.tval = iss;
    int rc = hvcore_vcpu_inject(m.cpu[0], &in, &e);
    bool ras = !rc;
    if (rc) {
        SAME(rc, -HVCORE_E_UNSUPPORTED);
        in.cause = HVCORE_ARM64_INJECT_SERROR;
        in.tval = 0;
        OK(hvcore_vcpu_inject(m.cpu[0], &in, &e));
    }
    TAKES(m.cpu[0], VECTOR_SERROR);
    if (ras)
        SAME(ESR(m.cpu[0]) & (ids | (ids - 1)), iss);
    printf("# SError with a syndrome of one's own: %s\n", ras ? "yes" : "no");
    unmake(&m);
}

GUEST(store_load, "str x2, [x1]\n ldr x0, [x1]\n str x0, [x29]\n b .\n");

/* In place of an answer: the load reads 0, the SError waits until the guest lets it come. */
static void serror_instead(void)
{
    hvcore_inject in = HVCORE_INJECT_INIT;
    const uint64_t iss = (1 << 25) - 1, nothing = 1 << 24; /* IDS: what an implementation says */
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, store_load);
    put_u64(m.cpu[0], X(1), MMIO);
    put_u64(m.cpu[0], X(2), LOADED);
    WANT_EXIT(go(m.cpu[0]), HVCORE_EXIT_MMIO);
    WANT_EXIT(go(m.cpu[0]), HVCORE_EXIT_MMIO);
    in.cause = HVCORE_ARM64_INJECT_SERROR;
    OK(hvcore_vcpu_inject(m.cpu[0], &in, &e));
    SAME(get_u64(m.cpu[0], PC), RAM + CODE + 8);
    SAYS(m.cpu[0], 0);
    put_u64(m.cpu[0], HVCORE_REG_ARM64_PSTATE, 0x2c5); /* without A */
    TAKES(m.cpu[0], VECTOR_SERROR);
    SAME(ESR(m.cpu[0]) & iss, nothing);
    unmake(&m);
}

/* ---- registers ------------------------------------------------------------------------------ */

static void all_registers(void)
{
    machine m;
    hvcore_reg reg;
    uint32_t n = 0;

    if (!make(&m, 1))
        return;
    while ((reg = hvcore_reg_at(HVCORE_ARCH_ARM64, n)) != 0) {
        uint8_t bytes[16];
        const char *name = hvcore_reg_name(HVCORE_ARCH_ARM64, reg);
        int rc = hvcore_reg_get_bytes(m.cpu[0], reg, bytes);

        check_that(rc == 0, __FILE__, __LINE__, "%s: %s", name, hvcore_strerror(rc));
        FAILS(hvcore_reg_get_bytes(m.cpu[0], reg ^ 0x18, bytes), HVCORE_E_TYPE);
        n++;
    }
    CHECK(n > 80);
    unmake(&m);
}

static void set_and_get(hvcore_vcpu *cpu, hvcore_reg reg, uint64_t value)
{
    put_u64(cpu, reg, value);
    SAME(get_u64(cpu, reg), value);
}

static void round_trip(void)
{
    static const hvcore_reg free_ones[] = {
        HVCORE_REG_ARM64_SP_EL0,
        HVCORE_REG_ARM64_SP_EL1,
        PC,
        SYS(3, 0, 4, 0, 1) /* elr_el1 */,
        SYS(3, 0, 2, 0, 0) /* ttbr0_el1 */,
        SYS(3, 0, 6, 0, 0) /* far_el1 */,
        SYS(3, 0, 13, 0, 4) /* tpidr_el1 */,
        SYS(3, 3, 13, 0, 2) /* tpidr_el0 */,
        SYS(3, 0, 10, 2, 0) /* mair_el1 */,
        HVCORE_REG_ARM64_VBAR_EL1,
        HVCORE_REG_ARM64_CNTV_CVAL_EL0,
    };
    machine m;

    if (!make(&m, 1))
        return;
    for (uint32_t i = 0; i < 31; i++) {
        put_u64(m.cpu[0], X(i), STORED + i);
    }
    for (uint32_t i = 0; i < sizeof(free_ones) / sizeof(free_ones[0]); i++) {
        set_and_get(m.cpu[0], free_ones[i], (STORED << 4) + (i << 12));
    }
    for (uint32_t i = 0; i < 31; i++) {
        SAME(get_u64(m.cpu[0], X(i)), STORED + i);
    }
    set_and_get(m.cpu[0], HVCORE_REG_ARM64_PSTATE, 0x3c4); /* EL1t */
    set_and_get(m.cpu[0], SYS(3, 0, 4, 0, 0), 0x600003c5);
    unmake(&m);
}

static void wrong_registers(void)
{
    const hvcore_reg midr = SYS(3, 0, 0, 0, 0);
    uint8_t bytes[16] = {0};
    uint64_t value;
    machine m;

    if (!make(&m, 1))
        return;
    FAILS(hvcore_reg_get_u64(m.cpu[0], HVCORE_REG_ARM64_V0, &value), HVCORE_E_TYPE);
    FAILS(hvcore_reg_set_bytes(m.cpu[0], (PC & ~UINT32_C(0xff)) | 4, bytes), HVCORE_E_TYPE);
    FAILS(hvcore_reg_get_u64(m.cpu[0], X(35), &value), HVCORE_E_NOTFOUND);
    FAILS(hvcore_reg_get_u64(m.cpu[0], 0x09000008, &value), HVCORE_E_NOTFOUND);
    FAILS(hvcore_reg_get_bytes(m.cpu[0], 0x04002204, bytes), HVCORE_E_NOTFOUND);
    FAILS(hvcore_reg_get_u64(m.cpu[0], SYS(3, 7, 15, 15, 7), &value), HVCORE_E_NOTFOUND);
    CHECK(hvcore_reg_set_u64(m.cpu[0], midr, get_u64(m.cpu[0], midr) ^ 1) < 0);
    unmake(&m);
}

GUEST(look, "mrs x0, cntv_cval_el0\n str x0, [x29]\n"
            "mrs x0, cntvct_el0\n str x0, [x29]\n"
            "mrs x0, tpidr_el1\n str x0, [x29]\n"
            "mov x0, #(3 << 20)\n msr cpacr_el1, x0\n isb\n" /* FPEN */
            "fmov x0, d0\n str x0, [x29]\n"
            "fmov x0, v0.d[1]\n str x0, [x29]\n"
            "movi v31.16b, #0xa5\n mov x0, #(1 << 27)\n msr fpsr, x0\n str xzr, [x29]\n"
            "b .\n");

/* The guest sees what the host has set, under the architecture's names. */
static void registers_in_the_guest(void)
{
    const hvcore_reg cntvct = SYS(3, 3, 14, 0, 2);
    uint8_t v0[16], v31[16], fpsr[16];
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, look);
    for (int i = 0; i < 16; i++) {
        v0[i] = (uint8_t)(0x10 + i);
    }
    put_u64(m.cpu[0], HVCORE_REG_ARM64_CNTV_CVAL_EL0, STORED);
    put_u64(m.cpu[0], SYS(3, 0, 13, 0, 4), LOADED);
    SAME(hvcore_reg_set_bytes(m.cpu[0], HVCORE_REG_ARM64_V0, v0), 0);
    SAYS(m.cpu[0], STORED);
    const hvcore_exit *x = go(m.cpu[0]);
    uint64_t ticks = x->u.mmio.data, now = get_u64(m.cpu[0], cntvct);
    CHECK(x->reason == HVCORE_EXIT_MMIO && ticks != STORED);
    CHECK(now >= ticks && now - ticks < UINT64_C(1) << 40);
    SAYS(m.cpu[0], LOADED);
    SAYS(m.cpu[0], UINT64_C(0x1716151413121110));
    SAYS(m.cpu[0], UINT64_C(0x1f1e1d1c1b1a1918));
    SAYS(m.cpu[0], 0);
    SAME(hvcore_reg_get_bytes(m.cpu[0], HVCORE_REG_ARM64_V0 + 0x1f00, v31), 0);
    for (int i = 0; i < 16; i++) {
        SAME(v31[i], 0xa5);
    }
    SAME(hvcore_reg_get_bytes(m.cpu[0], 0x04002004, fpsr), 0);
    SAME(fpsr[3], 8);
    unmake(&m);
}

int main(void)
{
    static const check_test tests[] = {
        {"signs", signs},
        {"mmio_exits", mmio_exits},
        {"mmio_callbacks", mmio_callbacks},
        {"denied", denied},
        {"injected_instead", injected_instead},
        {"callback_denies", callback_denies},
        {"nisv", nisv},
        {"serror", serror},
        {"serror_instead", serror_instead},
        {"all_registers", all_registers},
        {"round_trip", round_trip},
        {"wrong_registers", wrong_registers},
        {"registers_in_the_guest", registers_in_the_guest},
        {NULL, NULL},
    };

    return check_all(tests);
}
