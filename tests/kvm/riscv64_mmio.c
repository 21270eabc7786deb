/* SPDX-License-Identifier: Apache-2.0 */
/* riscv64 on a real kernel: loads and stores outside of memory, answered, refused, replaced. */
#include "tests/kvm/riscv64.h"

#define LOADED UINT64_C(0x8182838485868788)

static const struct access {
    uint32_t (*insn)(uint32_t, int32_t, uint32_t);
    uint32_t width;
    uint64_t result;
} loads[] = {{rv_lb, 1, UINT64_C(0xffffffffffffff88)},
             {rv_lbu, 1, 0x88},
             {rv_lh, 2, UINT64_C(0xffffffffffff8788)},
             {rv_lhu, 2, 0x8788},
             {rv_lw, 4, UINT64_C(0xffffffff85868788)},
             {rv_lwu, 4, 0x85868788},
             {rv_ld, 8, LOADED}},
  stores[] = {{rv_sb, 1, 0x88}, {rv_sh, 2, 0x8788}, {rv_sw, 4, 0x85868788}, {rv_sd, 8, LOADED}};

enum {
    LOADS = sizeof loads / sizeof *loads,
    STORES = sizeof stores / sizeof *stores,
    C_LW = 0x4190, /* c.lw a2, 0(a1) */
    C_SW = 0xc190, /* c.sw a2, 0(a1) */
    C_NOP = 0x0001
};

/* Loads into s2 to s8, stores of t0, a load and a store of 16 bits, a report. */
static void put_accesses(machine *m)
{
    rv_code c = code_at(m, CODE);

    rv_li(&c, RV_A1, DEVICE);
    rv_li(&c, RV_T0, LOADED);
    for (uint32_t i = 0; i < LOADS; i++)
        rv_put(&c, loads[i].insn(RV_S2 + i, (int32_t)(8 * i), RV_A1));
    for (uint32_t i = 0; i < STORES; i++)
        rv_put(&c, stores[i].insn(RV_T0, (int32_t)(8 * i), RV_A1));
    rv_half(&c, C_LW);
    rv_half(&c, C_SW);
    report(&c);
    set(m->cpu[0], HVCORE_REG_RISCV64_PC, CODE);
}

/* Linux 6.12 extends with zeros whatever the instruction is; 7.2 does it right. */
static void check_loaded(machine *m)
{
    bool wrong = get(m->cpu[0], X(RV_S2)) == 0x88;

    for (uint32_t i = 0; i < LOADS; i++) {
        uint64_t bits = UINT64_MAX >> (64 - 8 * loads[i].width);

        SAME(get(m->cpu[0], X(RV_S2 + i)), loads[i].result & (wrong ? bits : UINT64_MAX));
    }
    SAME(get(m->cpu[0], X(RV_A2)), wrong ? 0x85868788 : UINT64_C(0xffffffff85868788));
    if (wrong)
        printf("# this kernel does not sign-extend what lb, lh, lw load from a device\n");
}

/* Accesses in their order: address and width, and what was stored. */
static struct {
    uint64_t gpa, value;
    uint32_t width, write;
} seen[32];
static unsigned seen_count;

static void see(uint64_t gpa, uint32_t width, uint32_t write, uint64_t value)
{
    if (seen_count < 32) {
        seen[seen_count].gpa = gpa;
        seen[seen_count].width = width;
        seen[seen_count].write = write;
        seen[seen_count].value = value;
    }
    seen_count++;
}

static uint32_t on_read(void *user, hvcore_vcpu *cpu, uint64_t gpa, uint32_t width, uint64_t *value)
{
    (void)user, (void)cpu;
    see(gpa, width, 0, 0);
    *value = LOADED; /* what is beyond the width is nobody's */
    return HVCORE_MMIO_DONE;
}

static uint32_t on_write(void *user, hvcore_vcpu *cpu, uint64_t gpa, uint32_t width, uint64_t value)
{
    (void)user, (void)cpu;
    see(gpa, width, 1, value);
    return HVCORE_MMIO_DONE;
}

static void check_seen(void)
{
    SAME(seen_count, LOADS + STORES + 2);
    for (uint32_t i = 0; i < LOADS; i++) {
        SAME(seen[i].gpa, DEVICE + 8 * i);
        SAME(seen[i].width, loads[i].width);
        SAME(seen[i].write, 0);
    }
    for (uint32_t i = 0; i < STORES; i++) {
        SAME(seen[LOADS + i].gpa, DEVICE + 8 * i);
        SAME(seen[LOADS + i].width, stores[i].width);
        SAME(seen[LOADS + i].write, 1);
        SAME(seen[LOADS + i].value, stores[i].result);
    }
    SAME(seen[LOADS + STORES].width, 4);
    SAME(seen[LOADS + STORES + 1].value, 0x85868788);
}

static void mmio_callback(void)
{
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    machine m;

    seen_count = 0;
    ops.read = on_read;
    ops.write = on_write;
    make(&m);
    OK(hvcore_vm_mmio_add(m.vm, DEVICE, 0x1000, &ops, NULL, NULL, &e));
    put_accesses(&m);
    CHECK(REPORTS(&m));
    check_seen();
    check_loaded(&m);
    unmake(&m);
}

/* Each as an exit; every second one with a look at the registers before the next run. */
static void mmio_exit(void)
{
    machine m;

    seen_count = 0;
    make(&m);
    put_accesses(&m);
    for (unsigned i = 0; i < LOADS + STORES + 2 && RUNS_TO(&m, MMIO); i++) {
        const hvcore_exit_mmio *a = &m.exit->u.mmio;

        see(a->addr, a->width, a->write, a->data);
        SAME(m.exit->gpa, a->addr);
        SAME(m.exit->flags, a->write ? 0 : HVCORE_EXIT_NEEDS_COMPLETION);
        if (!a->write) {
            uint64_t pc = get(m.cpu[0], HVCORE_REG_RISCV64_PC);

            FAILS(hvcore_vcpu_run(m.cpu[0], NULL, &m.exit, &e), HVCORE_E_STATE);
            complete(&m, LOADED);
            if (i % 2)
                SAME(get(m.cpu[0], HVCORE_REG_RISCV64_PC), pc + (i == LOADS + STORES ? 2 : 4));
        }
    }
    CHECK(REPORTS(&m));
    check_seen();
    check_loaded(&m);
    unmake(&m);
}

static uint32_t faulty_read(void *user, hvcore_vcpu *cpu, uint64_t gpa, uint32_t width,
                            uint64_t *value)
{
    (void)user, (void)cpu, (void)gpa, (void)width;
    *value = LOADED;
    return HVCORE_MMIO_FAULT;
}

static void denied(uint64_t mode)
{
    uint64_t at = (mode == HVCORE_RISCV64_VU ? CODE - RAM + USER : CODE) + 8;
    uint64_t stval = mode == HVCORE_RISCV64_VU ? 0 : DEVICE; /* translated: nobody says */
    machine m;

    for (unsigned write = 0; write < 2; write++) {
        make(&m);
        put_access(&m, write ? rv_sw(RV_S2, 0, RV_A1) : rv_lw(RV_S2, 0, RV_A1), mode);
        if (RUNS_TO(&m, MMIO)) {
            OK(hvcore_vcpu_deny(m.cpu[0], &e));
            FAILS(hvcore_vcpu_deny(m.cpu[0], &e), HVCORE_E_STATE);
            SAME(get(m.cpu[0], HVCORE_REG_RISCV64_PC), HANDLER);
            SAME(get(m.cpu[0], HVCORE_REG_RISCV64_MODE), HVCORE_RISCV64_VS);
            check_denied(&m, at, write ? 7 : 5, stval);
            SAME(arg(&m, 3) >> 8 & 1, mode == HVCORE_RISCV64_VS); /* sstatus.SPP */
        }
        unmake(&m);
    }
}

static void mmio_denied(void)
{
    denied(HVCORE_RISCV64_VS);
    denied(HVCORE_RISCV64_VU);
}

static void mmio_fault(void)
{
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    machine m;

    ops.read = faulty_read;
    make(&m);
    OK(hvcore_vm_mmio_add(m.vm, DEVICE, 0x1000, &ops, NULL, NULL, &e));
    put_access(&m, rv_lw(RV_S2, 0, RV_A1), HVCORE_RISCV64_VS);
    check_denied(&m, CODE + 8, 5, DEVICE);
    unmake(&m);
}

/* In place of an answer: another exception; no kernel's answer comes after it. */
static void mmio_inject(void)
{
    hvcore_inject what = HVCORE_INJECT_INIT;
    machine m;

    what.cause = HVCORE_RISCV64_LOAD_PAGE;
    what.tval = 0x1234;
    make(&m);
    put_access(&m, rv_lw(RV_S2, 0, RV_A1), HVCORE_RISCV64_VU);
    if (RUNS_TO(&m, MMIO)) {
        OK(hvcore_vcpu_inject(m.cpu[0], &what, &e));
        check_denied(&m, CODE - RAM + USER + 8, HVCORE_RISCV64_LOAD_PAGE, 0x1234);
    }
    for (what.cause = 0; what.cause < 70; what.cause++) {
        bool seen_by_guest = what.cause <= 8 || what.cause == 12 || what.cause == 13 ||
                             what.cause == 15 || what.cause == 18 || what.cause == 19;
        int rc = hvcore_vcpu_inject(m.cpu[0], &what, &e);

        CHECK(rc == (seen_by_guest ? 0 : -HVCORE_E_INVAL));
    }
    unmake(&m);
}

int main(void)
{
    static const check_test tests[] = {
        {"mmio_callback", mmio_callback}, {"mmio_exit", mmio_exit},
        {"mmio_denied", mmio_denied},     {"mmio_fault", mmio_fault},
        {"mmio_inject", mmio_inject},     {NULL, NULL},
    };
    return check_all(tests);
}
