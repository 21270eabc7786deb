/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riscv64 on a real kernel: what ends a run from outside, memory that changes below a running
 * guest, and accesses that no kernel carries out.
 */
#include "tests/kvm/riscv64.h"

#define MS UINT64_C(1000000)

/* ---- from outside ---------------------------------------------------------------------------- */

static void *cancel(void *p)
{
    wait_ms(20);
    CHECK(!hvcore_vcpu_cancel(((machine *)p)->cpu[0], 42));
    return NULL;
}

static void ends(const char *what, uint32_t insn, bool off)
{
    hvcore_run_opts o = {.size = sizeof(o)};
    machine m;

    make_vm(&m, 0);
    add_cpu(&m, 0, off ? HVCORE_VCPU_OFF : 0);
    rv_code c = code_at(&m, CODE);
    rv_put(&c, insn);
    rv_put(&c, rv_jal(0, -4));
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    uint64_t begin = hvcore_clock_ns();
    SAME(run_beside(&m, cancel, &m), HVCORE_EXIT_CANCELLED);
    SAME(m.exit->u.cancelled.token, 42);
    CHECK(hvcore_clock_ns() - begin < 5000 * MS);
    o.deadline_ns = hvcore_clock_ns() + 30 * MS;
    OK(hvcore_vcpu_run(m.cpu[0], &o, &m.exit, &e));
    SAME(m.exit->reason, HVCORE_EXIT_DEADLINE);
    uint64_t late = hvcore_clock_ns() - o.deadline_ns;
    CHECK(late < 5000 * MS);
    uint64_t pc = get(m.cpu[0], HVCORE_REG_RISCV64_PC);
    CHECK(pc == CODE || pc == CODE + 4);
    printf("# %s: %llu us after the deadline\n", what, (unsigned long long)late / 1000);
    unmake(&m);
}

static void ends_spinning(void)
{
    ends("spinning", rv_nop(), false);
}

static void ends_asleep(void)
{
    ends("asleep in WFI", rv_wfi(), false);
}

static void ends_off(void)
{
    ends("off", rv_nop(), true);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void *unmap_data(void *p)
{
    machine *m = p;

    wait_ms(20);
    check_that(hvcore_vm_unmap(m->vm, DATA, 0x1000, NULL) == 0, __FILE__, __LINE__, "unmap");
    return NULL;
}

/* The guest stores to a page again and again; then it is gone: the store is an access without
 * memory, and no store comes after that. */
static void unmapped(void)
{
    hvcore_map_opts at = HVCORE_MAP_OPTS_INIT;
    machine m;

    make(&m);
    rv_code c = code_at(&m, CODE);
    rv_li(&c, RV_A1, DATA);
    rv_put(&c, rv_addi(RV_A0, RV_A0, 1));
    rv_put(&c, rv_sd(RV_A0, 0, RV_A1));
    rv_put(&c, rv_jal(0, -8));
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, CODE);
    SAME(run_beside(&m, unmap_data, &m), HVCORE_EXIT_MMIO);
    SAME(m.exit->u.mmio.addr, DATA);
    SAME(m.exit->u.mmio.write, 1);
    uint64_t last = 0;
    memcpy(&last, m.ram + (DATA - RAM), sizeof last);
    CHECK(last > 0);
    SAME(m.exit->u.mmio.data, last + 1);
    at.gpa = DATA;
    at.offset = DATA - RAM;
    at.len = 0x1000;
    OK(hvcore_vm_map(m.vm, m.mem, &at, &e));
    SAME(run_beside(&m, cancel, &m), HVCORE_EXIT_CANCELLED);
    memcpy(&last, m.ram + (DATA - RAM), sizeof last);
    CHECK(last > m.exit->u.mmio.data);
    unmake(&m);
}

/* Where kernels differ: what the guest gets, or how the run ends. Never for ever, never unnamed. */
static void outside(const char *what, uint64_t pc, uint32_t insn)
{
    machine m;

    make(&m);
    put_handler(&m);
    rv_code c = code_at(&m, CODE);
    rv_li(&c, RV_A1, DEVICE);
    rv_put(&c, insn);
    set(m.cpu[0], HVCORE_REG_RISCV64_VSSTATUS, UINT64_C(3) << 13); /* FS */
    set(m.cpu[0], HVCORE_REG_RISCV64_PC, pc);
    int rc = run(&m);
    if (rc == HVCORE_EXIT_HYPERCALL) {
        printf("# %s: the guest gets cause %llu, stval 0x%llx\n", what,
               (unsigned long long)arg(&m, 0), (unsigned long long)arg(&m, 1));
        CHECK(arg(&m, 0) == 1 || arg(&m, 0) == 5 || arg(&m, 0) == 7);
    } else {
        printf("# %s: the run ends with %s\n", what,
               rc < 0 ? e.message : hvcore_exit_reason_name((uint32_t)rc));
        CHECK(rc == HVCORE_EXIT_CRASH || rc == HVCORE_EXIT_MEMORY || rc == -HVCORE_E_SYS);
        SAME(get(m.cpu[0], HVCORE_REG_RISCV64_PC), pc == CODE ? CODE + 4 : pc);
        set(m.cpu[0], HVCORE_REG_RISCV64_PC, SECOND_CODE); /* the vCPU is still good */
        c = code_at(&m, SECOND_CODE);
        report(&c);
        CHECK(REPORTS(&m));
    }
    unmake(&m);
}

static void fetch_outside(void)
{
    outside("a fetch outside memory", NOTHING, rv_nop());
}

static void undecoded(void)
{
    outside("fld from a device", CODE, rv_fl(3, 1, 0, RV_A1));
    outside("amoadd.w on a device", CODE, rv_amo(RV_AMOADD, 2, RV_S2, RV_S3, RV_A1));
    outside("a misaligned load from a device", CODE, rv_lw(RV_S2, 1, RV_A1));
}

int main(void)
{
    static const check_test tests[] = {
        {"ends_spinning", ends_spinning},
        {"ends_asleep", ends_asleep},
        {"ends_off", ends_off},
        {"unmapped", unmapped},
        {"fetch_outside", fetch_outside},
        {"undecoded", undecoded},
        {NULL, NULL},
    };
    return check_all(tests);
}
