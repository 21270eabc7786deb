/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest on the software machine, driven through port.h: memory, two-stage tables, one PE.
 *
 * Guest-physical memory begins at GUEST; the G-stage maps it to a bank page by page. VS-stage
 * tables (Sv39) grow in the guest's last pages. Nothing is mapped until a test maps it.
 */
#ifndef HVC_TESTS_SOFT_H
#define HVC_TESTS_SOFT_H

#ifndef HVC_MACHINE
#define HVC_MACHINE soft
#define HVC_ARCH riscv64
#endif
#include "backends/bare/soft/soft.h"

#include "tests/unit/random.h"
#include "tests/unit/rv.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE UINT64_C(4096)
#define GUEST UINT64_C(0x80000000) /* gpa of the guest's memory */
#ifndef GUEST_PAGES
#define GUEST_PAGES 256
#endif
#define GUEST_SIZE (GUEST_PAGES * PAGE)
#define TABLES_SIZE (64 * PAGE) /* of the G-stage */

#define PTE_RWX (HVC_PTE_R | HVC_PTE_W | HVC_PTE_X)
#define PTE_S (HVC_PTE_V | PTE_RWX | HVC_PTE_A | HVC_PTE_D) /* a supervisor's page */
#define PTE_USER (PTE_S | HVC_PTE_U)                        /* of users, and of the G-stage */

#define VS HVCORE_RISCV64_VS
#define VU HVCORE_RISCV64_VU

typedef struct soft_vm {
    hvc_machine *m;
    hvc_pe *pe;
    uint8_t *ram;
    uint64_t ram_pa;
    uint64_t *tables;
    uint64_t tables_pa, tables_used;
    uint64_t vs_used; /* pages of VS-stage tables, from the end of the guest's memory */
    hvcore_riscv64_fp fp;
    hvcore_riscv64_frame frame;
    hvc_raw_trap raw;
} soft_vm;

/* Zeroed pages between two pages that nobody may touch. */
static inline void *soft_memory(uint64_t size)
{
    uint8_t *p = mmap(NULL, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + PAGE, size, PROT_READ | PROT_WRITE))
        abort();
    return p + PAGE;
}

static inline void soft_memory_free(void *p, uint64_t size)
{
    munmap((uint8_t *)p - PAGE, size + 2 * PAGE);
}

static inline void soft_mode(soft_vm *vm, uint32_t mode, uint64_t pc)
{
    vm->frame.sstatus = HVC_SSTATUS_UXL_64 | (mode == VS ? HVC_SSTATUS_SPP : 0);
    vm->frame.hstatus = HVC_HSTATUS_VSXL_64 | HVC_HSTATUS_SPV;
    vm->frame.pc = pc;
}

/* hgatp is Sv39x4 with VMID 1, vsatp is Bare, nothing is delegated. */
static inline soft_vm *soft_vm_new_isa(uint64_t isa)
{
    hvc_port_config config = {.max_pes = 4, .isa = isa};
    soft_vm *vm = calloc(1, sizeof *vm);
    if (!vm || hvc_port_machine_create(&vm->m, &config) || hvc_port_pe_claim(vm->m, 0, &vm->pe))
        abort();
    vm->ram = soft_memory(GUEST_SIZE);
    vm->tables = soft_memory(TABLES_SIZE);
    if (hvc_port_bank_add(vm->m, vm->ram, GUEST_SIZE, 0, &vm->ram_pa) ||
        hvc_port_bank_add(vm->m, vm->tables, TABLES_SIZE, 16384, &vm->tables_pa))
        abort();
    vm->tables_used = 4;
    hvc_port_set(vm->pe, hgatp, HVC_ATP_SV39 << 60 | UINT64_C(1) << 44 | vm->tables_pa / PAGE);
    hvc_port_fp_load(vm->pe, &vm->fp);
    soft_mode(vm, VS, GUEST);
    return vm;
}

static inline void soft_vm_free(soft_vm *vm)
{
    hvc_port_pe_release(vm->pe);
    hvc_port_machine_destroy(vm->m);
    soft_memory_free(vm->ram, GUEST_SIZE);
    soft_memory_free(vm->tables, TABLES_SIZE);
    free(vm);
}

/* RV64IMA, IALIGN 32, misaligned accesses trap. */
static inline soft_vm *soft_vm_new(void)
{
    return soft_vm_new_isa(HVCORE_RISCV64_ISA_BASE);
}

/* --- tables ----------------------------------------------------------------------------------- */

/* The G-stage entry of a gpa; tables in between are made. */
static inline uint64_t *soft_g_entry(soft_vm *vm, uint64_t gpa)
{
    uint64_t *t = vm->tables;
    for (uint32_t level = 2; level > 0; level--) {
        uint64_t *e = &t[gpa >> (12 + 9 * level) & (level == 2 ? 2047 : 511)];
        if (!(*e & HVC_PTE_V)) {
            uint64_t page = vm->tables_used++;
            if (page >= TABLES_SIZE / PAGE)
                abort();
            *e = (vm->tables_pa / PAGE + page) << HVC_PTE_PPN_SHIFT | HVC_PTE_V;
        }
        t = vm->tables + ((*e >> HVC_PTE_PPN_SHIFT) - vm->tables_pa / PAGE) * (PAGE / 8);
    }
    return &t[gpa >> 12 & 511];
}

static inline void soft_map_g(soft_vm *vm, uint64_t gpa, uint64_t pa, uint64_t flags)
{
    *soft_g_entry(vm, gpa) = pa >> 12 << HVC_PTE_PPN_SHIFT | flags;
}

/* All of the guest's memory, readable, writable, executable. */
static inline void soft_map_ram(soft_vm *vm)
{
    for (uint64_t at = 0; at < GUEST_SIZE; at += PAGE)
        soft_map_g(vm, GUEST + at, vm->ram_pa + at, PTE_USER);
}

/* Where the host has a gpa of the guest's memory. */
static inline void *soft_ptr(soft_vm *vm, uint64_t gpa)
{
    if (gpa < GUEST || gpa >= GUEST + GUEST_SIZE)
        abort();
    return vm->ram + (gpa - GUEST);
}

static inline uint64_t soft_vs_page(soft_vm *vm)
{
    uint64_t gpa = GUEST + GUEST_SIZE - ++vm->vs_used * PAGE;
    memset(soft_ptr(vm, gpa), 0, PAGE);
    return gpa;
}

/* The entry of va at `level` below the root table at gpa `root`; tables in between are made. */
static inline uint64_t *soft_vs_entry(soft_vm *vm, uint64_t root, uint64_t va, uint32_t last)
{
    uint64_t *t = soft_ptr(vm, root);
    for (uint32_t level = 2; level > last; level--) {
        uint64_t *e = &t[va >> (12 + 9 * level) & 511];
        if (!(*e & HVC_PTE_V))
            *e = soft_vs_page(vm) >> 12 << HVC_PTE_PPN_SHIFT | HVC_PTE_V;
        t = soft_ptr(vm, *e >> HVC_PTE_PPN_SHIFT << 12);
    }
    return &t[va >> (12 + 9 * last) & 511];
}

static inline void soft_map_vs(soft_vm *vm, uint64_t root, uint64_t va, uint64_t gpa,
                               uint64_t flags)
{
    *soft_vs_entry(vm, root, va, 0) = gpa >> 12 << HVC_PTE_PPN_SHIFT | flags;
}

static inline uint64_t soft_satp(uint64_t root, uint64_t asid)
{
    return HVC_ATP_SV39 << HVC_ATP_MODE_SHIFT | asid << 44 | root >> 12;
}

/* --- running ---------------------------------------------------------------------------------- */

/* What a test has written since is executed: a FENCE.I between two entries. */
static inline enum hvc_port_stop soft_enter(soft_vm *vm)
{
    hvc_code_fence(&hvc_soft_pe(vm->pe)->code);
    memset(&vm->raw, 0xa5, sizeof vm->raw);
    return hvc_port_enter(vm->pe, &vm->frame, &vm->raw);
}

/* Attempt n instructions. */
static inline enum hvc_port_stop soft_steps(soft_vm *vm, uint64_t n)
{
    hvc_port_budget(vm->pe, n);
    enum hvc_port_stop stop = soft_enter(vm);
    hvc_port_budget(vm->pe, UINT64_MAX);
    return stop;
}

/* Execute one instruction, put at GUEST (vsatp Bare) before. */
static inline enum hvc_port_stop soft_one(soft_vm *vm, uint32_t mode, uint32_t word)
{
    memcpy(soft_ptr(vm, GUEST), &word, sizeof word);
    soft_mode(vm, mode, GUEST);
    return soft_steps(vm, 1);
}

/* --- several PEs ------------------------------------------------------------------------------ */

/* A thread that runs one PE of a VM until its guest traps to HS-mode, or its budget is spent. */
typedef struct soft_player {
    pthread_t thread;
    hvc_pe *pe;
    hvcore_riscv64_fp fp;
    hvcore_riscv64_frame frame;
    hvc_raw_trap raw;
    enum hvc_port_stop stop;
} soft_player;

/* PE `index` with the first one's tables, in VS-mode before pc. */
static inline void soft_player_new(soft_vm *vm, soft_player *p, uint32_t index, uint64_t pc)
{
    memset(p, 0, sizeof *p);
    p->pe = vm->pe;
    if (index && hvc_port_pe_claim(vm->m, index, &p->pe))
        abort();
    hvc_port_set(p->pe, vsatp, hvc_port_get(vm->pe, vsatp));
    hvc_port_set(p->pe, hgatp, hvc_port_get(vm->pe, hgatp));
    hvc_port_fp_load(p->pe, &p->fp);
    soft_mode(vm, VS, pc);
    p->frame = vm->frame;
}

static inline void soft_player_free(soft_vm *vm, soft_player *p)
{
    if (p->pe != vm->pe)
        hvc_port_pe_release(p->pe);
    else
        hvc_port_fp_load(vm->pe, &vm->fp);
}

static inline void *soft_player_main(void *arg)
{
    soft_player *p = arg;
    p->stop = hvc_port_enter(p->pe, &p->frame, &p->raw);
    return NULL;
}

static inline void soft_player_start(soft_player *p)
{
    if (pthread_create(&p->thread, NULL, soft_player_main, p))
        abort();
}

/* It ended by ECALL from VS-mode. */
static inline bool soft_player_done(soft_player *p)
{
    pthread_join(p->thread, NULL);
    return p->stop == HVC_STOP_TRAP && p->raw.scause == HVCORE_RISCV64_ECALL_VS;
}

#endif
