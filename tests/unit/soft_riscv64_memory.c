/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VM with one vCPU takes beside its guest's memory: the private resident memory of this
 * process before the VM and after a guest of 8 MiB of code, decoded twice.
 */
#include "tests/unit/rv.h"
#include "tests/unit/unit.h"

#include <hvcore/hvcore.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)
#define RAM UINT64_C(0x80000000)
#define CODE_SIZE (UINT64_C(8) << 20)
#define RAM_SIZE (CODE_SIZE + (UINT64_C(8) << 20))
#define LIMIT (UINT64_C(16) << 20)

/* Bytes that are this process's alone: Linux counts them in kB. */
static uint64_t private_memory(void)
{
    char line[256];
    unsigned long long kb, sum = 0;
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    if (!f)
        abort();
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "Private_Clean: %llu", &kb) == 1 ||
            sscanf(line, "Private_Dirty: %llu", &kb) == 1)
            sum += kb;
    }
    fclose(f);
    return sum * 1024;
}

/* Additions and short jumps; then a word in each page behind the code; twice; then SRST. */
static void fill(uint8_t *ram)
{
    rv_code c = rv_at(ram, RAM);
    rv_li(&c, RV_S1, 2);
    rv_li(&c, RV_S2, RAM + 64);
    while (rv_here(&c) < RAM + 64)
        rv_put(&c, rv_nop());
    while (rv_here(&c) < RAM + CODE_SIZE - 256) {
        rv_put(&c, rv_addi(RV_A0, RV_A0, 1));
        if (rv_here(&c) % 24 == 0)
            rv_put(&c, rv_jal(0, 4));
    }
    rv_li(&c, RV_A1, RAM + CODE_SIZE);
    rv_li(&c, RV_A2, RAM + RAM_SIZE);
    rv_li(&c, RV_A3, PAGE);
    uint64_t loop = rv_here(&c);
    rv_put(&c, rv_sd(RV_A0, 0, RV_A1));
    rv_put(&c, rv_add(RV_A1, RV_A1, RV_A3));
    rv_put(&c, rv_bne(RV_A1, RV_A2, rv_to(&c, loop)));
    rv_put(&c, rv_addi(RV_S1, RV_S1, -1));
    rv_put(&c, rv_beq(RV_S1, 0, 8));
    rv_put(&c, rv_jalr(0, RV_S2, 0));
    rv_li(&c, RV_A7, 0x53525354);
    rv_li(&c, RV_A6, 0);
    rv_li(&c, RV_A0, 0);
    rv_li(&c, RV_A1, 0);
    rv_put(&c, rv_ecall());
}

#define OK(call) CU_ASSERT_EQUAL_FATAL(call, 0)

static void test_memory(void)
{
    hvcore_vm_opts vm_opts = HVCORE_VM_OPTS_INIT;
    hvcore_map_opts mapping = HVCORE_MAP_OPTS_INIT;
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;
    hvcore_vcpu *cpu;
    const hvcore_exit *exit;
    OK(hvcore_ctx_create(NULL, &ctx, NULL));
    OK(hvcore_mem_alloc(ctx, RAM_SIZE, 0, &mem, NULL));
    memset(hvcore_mem_ptr(mem), 1, RAM_SIZE);
    fill(hvcore_mem_ptr(mem));
    uint64_t before = private_memory();
    vm_opts.arch = HVCORE_ARCH_RISCV64;
    vm_opts.max_vcpus = 1;
    mapping.gpa = RAM;
    OK(hvcore_vm_create(ctx, &vm_opts, &vm, NULL));
    OK(hvcore_vm_map(vm, mem, &mapping, NULL));
    OK(hvcore_vcpu_create(vm, 0, NULL, &cpu, NULL));
    OK(hvcore_reg_set_u64(cpu, HVCORE_REG_RISCV64_PC, RAM));
    OK(hvcore_vcpu_run(cpu, NULL, &exit, NULL));
    CU_ASSERT_EQUAL(exit->reason, HVCORE_EXIT_SHUTDOWN);
    uint64_t after = private_memory(), used = after > before ? after - before : 0;
    printf("%llu KiB beside guest memory ... ", (unsigned long long)(used / 1024));
    CU_ASSERT(used > (UINT64_C(1) << 20)); /* it was looked at where it is */
    CU_ASSERT(used < LIMIT);
    hvcore_vcpu_unref(cpu);
    hvcore_vm_unref(vm);
    hvcore_mem_unref(mem);
    hvcore_ctx_unref(ctx);
}

static const hvc_unit_test tests[] = {
    {"below 16 MiB", test_memory},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("soft riscv64: memory beside the guest's", tests);
}
