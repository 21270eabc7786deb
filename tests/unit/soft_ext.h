/* SPDX-License-Identifier: Apache-2.0 */
/* A guest for tests of what privileged state decides: see begin() and run(). */
#ifndef HVC_TESTS_SOFT_EXT_H
#define HVC_TESTS_SOFT_EXT_H

#include "tests/unit/soft.h"

#include <stdio.h>

enum { RD = RV_T2, RS1 = RV_T0, RS2 = RV_T1 };
enum {
    FFLAGS = 1,
    FRM = 2,
    FCSR = 3,
    SSTATUS = 0x100,
    SIP = 0x144,
    STIMECMP = 0x14d,
    TIME = 0xc01
};

#define ALL                                                                               \
    (HVCORE_RISCV64_ISA_DEFAULT | HVCORE_RISCV64_ISA_SVADU | HVCORE_RISCV64_ISA_SVNAPOT | \
     HVCORE_RISCV64_ISA_SVPBMT)
#define CODE UINT64_C(0x10000)
#define DATA UINT64_C(0x20000)
#define HOLE UINT64_C(0x30000) /* after a page that is there; two pages */
#define READ_ONLY UINT64_C(0x40000)
#define EXECUTE_ONLY UINT64_C(0x50000)
#define UNMAPPED UINT64_C(0x80000)
#define HOLE_GPA UINT64_C(0x70000000)
#define DATA_GPA (GUEST + PAGE)

static soft_vm *vm;
static uint64_t root;

static inline void expect(const char *what, uint64_t got, uint64_t want)
{
    if (got != want)
        fprintf(stderr, "\n%s: %#llx, not %#llx\n", what, (unsigned long long)got,
                (unsigned long long)want);
    CU_ASSERT_EQUAL(got, want);
}

static inline void begin(uint64_t isa)
{
    vm = soft_vm_new_isa(isa);
    soft_map_ram(vm);
    root = soft_vs_page(vm);
    soft_map_vs(vm, root, CODE, GUEST, PTE_S);
    soft_map_vs(vm, root, CODE + PAGE, GUEST, PTE_USER);
    soft_map_vs(vm, root, DATA, DATA_GPA, PTE_S);
    soft_map_vs(vm, root, HOLE - PAGE, DATA_GPA, PTE_S);
    soft_map_vs(vm, root, HOLE, HOLE_GPA, PTE_S);
    soft_map_vs(vm, root, HOLE + PAGE, HOLE_GPA + PAGE, PTE_S);
    soft_map_vs(vm, root, READ_ONLY, DATA_GPA, PTE_S & ~(HVC_PTE_W | HVC_PTE_X));
    soft_map_vs(vm, root, EXECUTE_ONLY, DATA_GPA, PTE_S & ~(HVC_PTE_W | HVC_PTE_R));
    hvc_port_set(vm->pe, vsatp, soft_satp(root, 1));
}

static inline void end(void)
{
    soft_vm_free(vm);
}

static inline void fp_states(uint64_t vs, uint64_t hs)
{
    hvc_port_set(vm->pe, vsstatus, vs << 13);
    vm->frame.sstatus = (vm->frame.sstatus & ~HVC_SSTATUS_FS) | hs << 13;
}

#define RETIRED UINT64_C(1000)

/* One instruction at CODE in this mode; RETIRED, or the cause of its trap. FS of HS-mode stays. */
static inline uint64_t run_in(uint32_t mode, uint32_t word)
{
    uint64_t fs = vm->frame.sstatus & HVC_SSTATUS_FS, pc = CODE + (mode == VU ? PAGE : 0);
    memcpy(soft_ptr(vm, GUEST), &word, sizeof word);
    soft_mode(vm, mode, pc);
    vm->frame.sstatus |= fs;
    enum hvc_port_stop stop = soft_steps(vm, 1);
    CU_ASSERT(stop == HVC_STOP_TRAP || stop == HVC_STOP_INSN_LIMIT);
    expect("pc", vm->frame.pc, pc + (stop == HVC_STOP_TRAP ? 0 : (word & 3) == 3 ? 4 : 2));
    return stop == HVC_STOP_TRAP ? vm->raw.scause : RETIRED;
}

static inline uint64_t run(uint32_t word)
{
    return run_in(VS, word);
}

/* It traps with `cause` and its own bits in stval. */
static inline void expect_word(uint32_t mode, uint32_t word, uint64_t cause)
{
    expect("cause", run_in(mode, word), cause);
    expect("stval", vm->raw.stval, (word & 3) == 3 ? word : word & 0xffff);
}
#endif
