/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect equals delegate, on the software machine: the same guest raises the same exception, once
 * delegated and once redirected, and must see the same. (tests/hs does the same on harts.)
 *
 * It looks inside the VM for one thing only: access faults need a page that stage 2 maps and no
 * memory answers, which the public API cannot make.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "backends/bare/riscv64.h"
#include "lib/core/core.h"
#include "tests/guests/trap_equal.h"
#include "tests/unit/unit.h"

typedef struct machine {
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;
    hvcore_vcpu *cpu;
} machine;

static char guest[TRAP_EQUAL_SIZE];
static size_t guest_len;

static int load_guest(void)
{
    const char *dir = getenv("HVC_GUESTS");
    char path[4096];
    snprintf(path, sizeof(path), "%s/trap_equal.bin", dir ? dir : HVC_GUESTS_DIR);
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "%s is missing; `make guests` builds it.\n", path);
        return -1;
    }
    guest_len = fread(guest, 1, sizeof(guest), f);
    fclose(f);
    return guest_len ? 0 : -1;
}

static void open_machine(machine *m)
{
    hvcore_vm_opts vm = HVCORE_VM_OPTS_INIT;
    vm.isa =
        HVCORE_RISCV64_ISA_DEFAULT & ~HVCORE_RISCV64_ISA_MISALIGNED; /* else 4, 6 do not trap */
    hvcore_map_opts map = HVCORE_MAP_OPTS_INIT;
    vm.arch = HVCORE_ARCH_RISCV64;
    vm.backend = "bare/soft";
    /* causes 4 and 6 are there only where misaligned accesses trap */
    vm.isa = HVCORE_RISCV64_ISA_DEFAULT & ~HVCORE_RISCV64_ISA_MISALIGNED;
    map.gpa = TRAP_EQUAL_BASE;
    CU_ASSERT_FATAL(!hvcore_ctx_create(NULL, &m->ctx, NULL));
    CU_ASSERT_FATAL(!hvcore_vm_create(m->ctx, &vm, &m->vm, NULL));
    CU_ASSERT_FATAL(!hvcore_mem_alloc(m->ctx, TRAP_EQUAL_SIZE, 0, &m->mem, NULL));
    CU_ASSERT_FATAL(!hvcore_vm_map(m->vm, m->mem, &map, NULL));
    CU_ASSERT_FATAL(!hvcore_vm_write(m->vm, TRAP_EQUAL_BASE, guest, guest_len));
    CU_ASSERT_FATAL(!hvcore_vcpu_create(m->vm, 0, NULL, &m->cpu, NULL));
    struct hvcore_bk_vm *bk = m->vm->bk;
    CU_ASSERT_FATAL(!hvc_s2_map(&bk->s2, TRAP_EQUAL_HOLE, UINT64_C(1) << 50, HVCORE_PAGE_SIZE,
                                HVCORE_PROT_RWX));
}

static void close_machine(machine *m)
{
    hvcore_vcpu_unref(m->cpu);
    hvcore_vm_unref(m->vm);
    hvcore_mem_unref(m->mem);
    hvcore_ctx_unref(m->ctx);
}

/* A policy that does `act` with one cause, and with the guest's second trap, too. */
static void set_policy(machine *m, uint32_t cause, uint32_t act)
{
    hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;
    hvcore_trap_rule rule = HVCORE_TRAP_RULE_INIT;
    hvcore_policy *policy;
    opts.arch = HVCORE_ARCH_RISCV64;
    rule.causes = UINT64_C(1) << cause;
    rule.act = act;
    CU_ASSERT_FATAL(!hvcore_policy_create(&opts, &policy, NULL));
    CU_ASSERT_FATAL(!hvcore_policy_rule_add(policy, &rule, NULL, NULL));
    CU_ASSERT_FATAL(!hvcore_trap_policy_set(m->vm, policy, NULL, NULL));
    hvcore_policy_unref(policy);
}

/* Run one case; who handled the cause is in `counts`. */
static void run_case(uint32_t cause, uint32_t mode, uint32_t act, trap_equal_result *result,
                     hvcore_trap_counts *counts)
{
    machine m;
    const hvcore_exit *e = NULL;
    hvcore_run_opts run = HVCORE_RUN_OPTS_INIT;
    run.max_insns = 100000;
    open_machine(&m);
    set_policy(&m, cause, act);
    hvcore_reg_set_u64(m.cpu, HVCORE_REG_RISCV64_PC, TRAP_EQUAL_BASE);
    hvcore_reg_set_u64(m.cpu, HVCORE_REG_RISCV64_A0, TRAP_EQUAL_CASE(cause, mode));
    CU_ASSERT_EQUAL(hvcore_vcpu_run(m.cpu, &run, &e, NULL), 0);
    CU_ASSERT_FATAL(e != NULL);
    CU_ASSERT_EQUAL(e->reason, HVCORE_EXIT_SHUTDOWN);
    CU_ASSERT_EQUAL(hvcore_vm_read(m.vm, TRAP_EQUAL_RESULT, result, sizeof(*result)), 0);
    *counts = (hvcore_trap_counts)HVCORE_TRAP_COUNTS_INIT;
    hvcore_vcpu_trap_counts(m.cpu, cause, counts);
    close_machine(&m);
}

static void compare(uint32_t cause, uint32_t mode)
{
    trap_equal_result by[2];
    hvcore_trap_counts counts[2];
    run_case(cause, mode, HVCORE_DO_DELEGATE, &by[0], &counts[0]);
    run_case(cause, mode, HVCORE_DO_REDIRECT, &by[1], &counts[1]);
    int bad = memcmp(&by[0], &by[1], sizeof(by[0])) || by[0].record[0].scause != cause ||
              by[0].count != TRAP_EQUAL_RECORDS || !counts[0].delegated || counts[0].redirected ||
              !counts[1].redirected || counts[1].delegated || counts[0].late || counts[1].late;
    if (bad) {
        printf("\n    cause %u from %s: the guest saw cause %llu and %llu, %llu and %llu records; "
               "delegated %llu, %llu, redirected %llu, %llu",
               cause, mode ? "VS" : "VU", (unsigned long long)by[0].record[0].scause,
               (unsigned long long)by[1].record[0].scause, (unsigned long long)by[0].count,
               (unsigned long long)by[1].count, (unsigned long long)counts[0].delegated,
               (unsigned long long)counts[1].delegated, (unsigned long long)counts[0].redirected,
               (unsigned long long)counts[1].redirected);
    }
    CU_ASSERT_FALSE(bad);
}

static void test_equal(void)
{
    static const uint32_t causes[] = {1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 15};
    for (unsigned i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
        compare(causes[i], HVCORE_RISCV64_VU);
        if (causes[i] != HVCORE_RISCV64_ECALL_U) {
            compare(causes[i], HVCORE_RISCV64_VS);
        }
    }
}

static const hvc_unit_test tests[] = {
    {"the guest sees the same, delegated or redirected", test_equal},
    {NULL, NULL},
};

int main(void)
{
    return load_guest() ? 1 : hvc_unit_main("redirect equals delegate", tests);
}
