/* SPDX-License-Identifier: Apache-2.0 */
/* Redirect equals delegate, on hardware: the driver of tests/guests/trap_equal.S. */
#include "tests/hs/equal.h"

#include "lib/host/mem.h"
#include "tests/guests/trap_equal.h"
#include "tests/hs/world.h"

/* Physical addresses that nothing answers on QEMU's virt board: accesses are access faults. */
#define NOTHING UINT64_C(0x18000000)

extern const char blob_trap_equal[], blob_trap_equal_end[];

static bool map_hole(world *w)
{
    hvcore_map_opts opts = HVCORE_MAP_OPTS_INIT;
    hvcore_mem *mem;
    int rc;

    opts.gpa = TRAP_EQUAL_HOLE;
    rc = hvcore_mem_adopt(w->ctx, (void *)(uintptr_t)NOTHING, HVCORE_PAGE_SIZE, NULL, NULL, &mem,
                          &w->err);
    if (rc == 0) {
        rc = hvcore_vm_map(w->vm, mem, &opts, &w->err);
        hvcore_mem_unref(mem);
    }
    if (rc != 0)
        hs_fail("the hole: %s", w->err.message);
    return rc == 0;
}

/* Who has carried the trap to the guest: with hardware's delegation nobody here has seen it. */
static void check_counts(world *w, uint32_t cause, uint32_t act)
{
    hvcore_trap_counts counts = world_counts(w, 0, cause);

    if (act == HVCORE_DO_DELEGATE) {
        HS_EQUAL(counts.redirected, 0);
        HS_EQUAL(counts.late, 0);
    } else {
        HS_CHECK(counts.redirected > 0);
        HS_EQUAL(counts.late, 0);
    }
}

static void run_case(world *w, uint32_t cause, uint32_t mode, uint32_t act,
                     trap_equal_result *result)
{
    if (!map_hole(w) || !world_policy(w, UINT64_C(1) << cause, act))
        return;
    hvcore_reg_set_u64(w->vcpu[0], HVCORE_REG_RISCV64_PC, TRAP_EQUAL_BASE);
    hvcore_reg_set_u64(w->vcpu[0], HVCORE_REG_RISCV64_A0, TRAP_EQUAL_CASE(cause, mode));
    if (!world_run(w, 0, PATIENCE, HVCORE_EXIT_SHUTDOWN))
        return;
    if (hvcore_vm_read(w->vm, TRAP_EQUAL_RESULT, result, sizeof(*result)) != 0)
        hs_fail("no result");
    check_counts(w, cause, act);
}

static void observe(uint32_t cause, uint32_t mode, uint32_t act, trap_equal_result *result)
{
    world w;

    hs_at("cause %u from %s, %s: ", cause, mode == HVCORE_RISCV64_VS ? "VS" : "VU",
          act == HVCORE_DO_DELEGATE ? "delegated" : "redirected");
    if (world_make(&w, 1, blob_trap_equal, blob_trap_equal_end))
        run_case(&w, cause, mode, act, result);
    world_free(&w);
}

/* What the guest saw is the trap that it was to raise: SPP is its mode, SIE was on. */
static void check_first(const trap_equal_result *result, uint32_t cause, uint32_t mode)
{
    const trap_equal_record *r = &result->record[0];

    HS_EQUAL(result->number, TRAP_EQUAL_CASE(cause, mode));
    HS_EQUAL(result->count, TRAP_EQUAL_RECORDS);
    HS_EQUAL(r->scause, cause);
    HS_EQUAL(r->sstatus >> 8 & 1, mode);
    HS_EQUAL(r->sstatus >> 1 & 1, 0);
    HS_EQUAL(r->sstatus >> 5 & 1, 1);
    HS_EQUAL(r->x[31], UINT64_C(31) * 0x01010101);
}

static void compare(const trap_equal_result *a, const trap_equal_result *b)
{
    const uint64_t *x = (const void *)a, *y = (const void *)b;

    for (size_t i = 0; i < sizeof(*a) / 8; i++)
        if (x[i] != y[i]) {
            hs_fail("word %u of the result: delegated 0x%llx, redirected 0x%llx", (unsigned)i,
                    (unsigned long long)x[i], (unsigned long long)y[i]);
            return;
        }
}

void equal_case(uint32_t cause, uint32_t mode)
{
    trap_equal_result delegated = {0}, redirected = {0};

    if (hs_failed())
        return;
    observe(cause, mode, HVCORE_DO_DELEGATE, &delegated);
    if (!hs_failed())
        check_first(&delegated, cause, mode);
    if (!hs_failed())
        observe(cause, mode, HVCORE_DO_REDIRECT, &redirected);
    if (!hs_failed())
        compare(&delegated, &redirected);
}
