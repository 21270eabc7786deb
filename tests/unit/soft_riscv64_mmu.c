/* SPDX-License-Identifier: Apache-2.0 */
/* The TLB and the banks of the software machine: what stays, what goes, and when. */
#include "tests/unit/soft.h"

#include <hvcore/error.h>

#include <stdio.h>

enum { RD = RV_T2, RS1 = RV_T0, RS2 = RV_T1 };

#define CODE UINT64_C(0x10000)
#define DATA UINT64_C(0x20000)
#define GLOBAL UINT64_C(0x30000)
#define USER UINT64_C(0x40000)
#define OTHER UINT64_C(0x50000)
#define TABLES(n) (GUEST + (100 + (n)) * PAGE) /* other roots */

/* Guest page n holds the doubleword n everywhere. */
static soft_vm *vm;
static uint64_t root;

static void fill_pages(void)
{
    for (uint64_t n = 1; n < 100; n++) {
        for (uint64_t at = 0; at < PAGE; at += 8)
            memcpy(soft_ptr(vm, GUEST + n * PAGE + at), &n, 8);
    }
}

static void map_page(uint64_t table, uint64_t va, uint64_t n, uint64_t flags)
{
    soft_map_vs(vm, table, va, GUEST + n * PAGE, flags);
}

/* A fresh guest in VS-mode; CODE is page 0, DATA page 1, GLOBAL page 2, USER page 3. */
static void map_standard(uint64_t table)
{
    map_page(table, CODE, 0, PTE_S);
    map_page(table, DATA, 1, PTE_S);
    map_page(table, GLOBAL, 2, PTE_S | HVC_PTE_G);
    map_page(table, USER, 3, PTE_USER);
    map_page(table, CODE + PAGE, 0, PTE_USER);
}

static void begin(void)
{
    vm = soft_vm_new();
    soft_map_ram(vm);
    fill_pages();
    root = soft_vs_page(vm);
    map_standard(root);
    hvc_port_set(vm->pe, vsatp, soft_satp(root, 1));
}

static void end(void)
{
    soft_vm_free(vm);
}

/* Execute `word` at CODE of this mode with t0 = a, t1 = b. 0, or the cause of the trap. */
static uint64_t run_in(uint32_t mode, uint32_t word, uint64_t a, uint64_t b)
{
    uint64_t sum = vm->frame.sstatus & HVC_SSTATUS_MXR;
    memcpy(soft_ptr(vm, GUEST), &word, sizeof word);
    soft_mode(vm, mode, CODE + (mode == VU ? PAGE : 0));
    vm->frame.sstatus |= sum;
    vm->frame.x[RS1] = a;
    vm->frame.x[RS2] = b;
    return soft_steps(vm, 1) == HVC_STOP_TRAP ? vm->raw.scause : 0;
}

static uint64_t run(uint32_t word, uint64_t a, uint64_t b)
{
    return run_in(VS, word, a, b);
}

#define FAULT(cause) (UINT64_C(1000) + (cause))

/* What VS-mode reads at va, or FAULT(cause). */
static uint64_t load(uint64_t va)
{
    uint64_t cause = run(rv_ld(RD, 0, RS1), va, 0);
    return cause ? FAULT(cause) : vm->frame.x[RD];
}

static uint64_t store(uint64_t va)
{
    uint64_t cause = run(rv_sd(RS2, 0, RS1), va, 77);
    return cause ? FAULT(cause) : 0;
}

static void fence(uint64_t va, uint64_t asid)
{
    CU_ASSERT_EQUAL(run(rv_sfence_vma(va ? RS1 : 0, asid ? RS2 : 0), va, asid), 0);
}

/* --- staleness -------------------------------------------------------------------------------- */

static void forget_by_fence(void)
{
    fence(0, 0);
}

static void forget_by_address(void)
{
    fence(DATA, 0);
}

static void forget_by_asid(void)
{
    fence(0, 1);
}

static void forget_by_both(void)
{
    fence(DATA, 1);
}

static void forget_by_vvma(void)
{
    hvc_port_tlb_vvma(vm->pe);
}

static void forget_by_gvma(void)
{
    hvc_port_tlb_gvma(vm->pe);
}

static void (*const forgetters[])(void) = {forget_by_fence, forget_by_address, forget_by_asid,
                                           forget_by_both,  forget_by_vvma,    forget_by_gvma};

/* A VS-stage entry that changed is used as it was until somebody says so. */
static void test_stale_vs_stage(void)
{
    begin();
    for (size_t i = 0; i < sizeof forgetters / sizeof forgetters[0]; i++) {
        uint64_t n = 10 + i;
        uint64_t before = load(DATA);
        map_page(root, DATA, n, PTE_S);
        for (int j = 0; j < 3; j++)
            CU_ASSERT_EQUAL(load(DATA), before);
        forgetters[i]();
        CU_ASSERT_EQUAL(load(DATA), n);
    }
    *soft_vs_entry(vm, root, DATA, 0) = 0;
    CU_ASSERT_EQUAL(load(DATA), 15);
    forget_by_fence();
    CU_ASSERT_EQUAL(load(DATA), FAULT(13));
    map_page(root, DATA, 1, PTE_S);
    CU_ASSERT_EQUAL(load(DATA), 1); /* that there was nothing is not remembered */
    end();
}

/*
 * The same for the G-stage, and a guest's fence is enough to show it what the hypervisor changed.
 */
static void test_stale_g_stage(void)
{
    begin();
    CU_ASSERT_EQUAL(load(DATA), 1);
    soft_map_g(vm, GUEST + PAGE, vm->ram_pa + 5 * PAGE, PTE_USER);
    CU_ASSERT_EQUAL(load(DATA), 1);
    hvc_port_tlb_gvma(vm->pe);
    CU_ASSERT_EQUAL(load(DATA), 5);
    *soft_g_entry(vm, GUEST + PAGE) = 0;
    CU_ASSERT_EQUAL(load(DATA), 5);
    hvc_port_tlb_gvma(vm->pe);
    CU_ASSERT_EQUAL(load(DATA), FAULT(21));
    CU_ASSERT_EQUAL(vm->raw.htval, (GUEST + PAGE) >> 2);
    end();
}

/* Loads, stores and fetches are cached apart; a right that was taken away stays as well. */
static void test_stale_rights(void)
{
    begin();
    CU_ASSERT_EQUAL(store(DATA), 0);
    map_page(root, DATA, 1, PTE_S & ~(HVC_PTE_W | HVC_PTE_X));
    CU_ASSERT_EQUAL(store(DATA), 0);
    fence(0, 0);
    CU_ASSERT_EQUAL(load(DATA), 77);
    CU_ASSERT_EQUAL(store(DATA), FAULT(15)); /* what loads may is not what stores may */
    end();
}

static void test_stale_code(void)
{
    begin();
    uint32_t one = rv_addi(RD, 0, 1), two = rv_addi(RD, 0, 2);
    memcpy(soft_ptr(vm, GUEST + 20 * PAGE), &one, 4);
    memcpy(soft_ptr(vm, GUEST + 21 * PAGE), &two, 4);
    map_page(root, DATA, 20, PTE_S);
    soft_mode(vm, VS, DATA);
    CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_INSN_LIMIT);
    CU_ASSERT_EQUAL(vm->frame.x[RD], 1);
    map_page(root, DATA, 21, PTE_S);
    soft_mode(vm, VS, DATA);
    CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_INSN_LIMIT);
    CU_ASSERT_EQUAL(vm->frame.x[RD], 1);
    fence(0, 0);
    soft_mode(vm, VS, DATA);
    CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_INSN_LIMIT);
    CU_ASSERT_EQUAL(vm->frame.x[RD], 2);
    end();
}

/* A fence of one address inside a superpage ends the whole superpage. */
static void test_superpage(void)
{
    uint64_t va = UINT64_C(0x40000000);
    begin();
    for (uint64_t n = 0; n < 64; n++)
        soft_map_g(vm, UINT64_C(0x200000) + n * PAGE, vm->ram_pa + n * PAGE, PTE_USER);
    *soft_vs_entry(vm, root, va, 1) = UINT64_C(0x200) << HVC_PTE_PPN_SHIFT | PTE_S;
    CU_ASSERT_EQUAL(load(va + 7 * PAGE), 7);
    CU_ASSERT_EQUAL(load(va + 9 * PAGE), 9);
    *soft_vs_entry(vm, root, va, 1) = 0;
    CU_ASSERT_EQUAL(load(va + 9 * PAGE), 9);
    fence(va + 7 * PAGE, 0);
    CU_ASSERT_EQUAL(load(va + 9 * PAGE), FAULT(13));
    end();
}

/* --- contexts --------------------------------------------------------------------------------- */

/* Another address space with its own pages at OTHER and GLOBAL. */
static uint64_t second_space(void)
{
    uint64_t second = soft_vs_page(vm);
    map_standard(second);
    map_page(root, OTHER, 6, PTE_S);
    map_page(second, OTHER, 11, PTE_S);
    map_page(second, GLOBAL, 12, PTE_S | HVC_PTE_G);
    return second;
}

/* Address spaces live side by side, and the table behind an ASID may change unseen. */
static void test_asid(void)
{
    begin();
    uint64_t second = second_space();
    CU_ASSERT_EQUAL(load(DATA), 1);
    map_page(second, DATA, 13, PTE_S);
    hvc_port_set(vm->pe, vsatp, soft_satp(second, 1)); /* same ASID, other table: stale */
    CU_ASSERT_EQUAL(load(DATA), 1);
    hvc_port_set(vm->pe, vsatp, soft_satp(second, 2));
    CU_ASSERT_EQUAL(load(OTHER), 11);
    hvc_port_set(vm->pe, vsatp, soft_satp(root, 1));
    map_page(root, DATA, 21, PTE_S);
    map_page(second, OTHER, 31, PTE_S);
    fence(0, 2); /* of the other one */
    CU_ASSERT_EQUAL(load(DATA), 1);
    fence(0, 1);
    CU_ASSERT_EQUAL(load(DATA), 21);
    hvc_port_set(vm->pe, vsatp, soft_satp(second, 2));
    CU_ASSERT_EQUAL(load(OTHER), 31);
    end();
}

/* Global entries serve all address spaces; a fence with an ASID leaves them. */
static void test_global(void)
{
    begin();
    uint64_t second = second_space();
    hvc_port_set(vm->pe, vsatp, soft_satp(second, 2));
    CU_ASSERT_EQUAL(load(GLOBAL), 12);
    hvc_port_set(vm->pe, vsatp, soft_satp(root, 1));
    for (uint64_t asid = 1; asid < 3; asid++) {
        CU_ASSERT_EQUAL(load(GLOBAL), 12); /* from the other address space */
        fence(0, asid);
    }
    CU_ASSERT_EQUAL(load(GLOBAL), 12);
    fence(0, 0);
    CU_ASSERT_EQUAL(load(GLOBAL), 2);
    end();
}

/* VMIDs live side by side; a guest's fence with an ASID concerns its own VMID. */
static void test_vmid(void)
{
    begin();
    uint64_t hgatp = hvc_port_get(vm->pe, hgatp), other = hgatp + (UINT64_C(1) << 44);
    CU_ASSERT_EQUAL(load(DATA), 1);
    soft_map_g(vm, GUEST + PAGE, vm->ram_pa + 5 * PAGE, PTE_USER);
    hvc_port_set(vm->pe, hgatp, other);
    CU_ASSERT_EQUAL(load(GLOBAL), 2);
    fence(0, 1);
    hvc_port_set(vm->pe, hgatp, hgatp);
    CU_ASSERT_EQUAL(load(DATA), 1);
    hvc_port_set(vm->pe, hgatp, other);
    CU_ASSERT_EQUAL(load(DATA), 5);
    soft_map_g(vm, GUEST + 2 * PAGE, vm->ram_pa + 7 * PAGE, PTE_USER);
    hvc_port_set(vm->pe, hgatp, hgatp);
    CU_ASSERT_EQUAL(load(GLOBAL), 7); /* global is global in one VMID */
    end();
}

/* SUM, MXR of both levels, and privilege act at once, without a fence (Priv. 12.1.11). */
static void test_status_bits(void)
{
    begin();
    map_page(root, DATA, 1, PTE_S & ~(HVC_PTE_R | HVC_PTE_W)); /* executable alone */
    for (int i = 0; i < 2; i++) {
        hvc_port_set(vm->pe, vsstatus, 0);
        CU_ASSERT_EQUAL(load(USER), FAULT(13));
        CU_ASSERT_EQUAL(load(DATA), FAULT(13));
        hvc_port_set(vm->pe, vsstatus, HVC_SSTATUS_SUM);
        CU_ASSERT_EQUAL(load(USER), 3);
        hvc_port_set(vm->pe, vsstatus, HVC_SSTATUS_MXR);
        CU_ASSERT_EQUAL(load(DATA), 1);
        CU_ASSERT_EQUAL(load(USER), FAULT(13));
        hvc_port_set(vm->pe, vsstatus, 0);
        vm->frame.sstatus |= HVC_SSTATUS_MXR;
        CU_ASSERT_EQUAL(load(DATA), 1);
        vm->frame.sstatus = 0;
        CU_ASSERT_EQUAL(run_in(VU, rv_ld(RD, 0, RS1), USER, 0), 0);
        CU_ASSERT_EQUAL(run_in(VU, rv_ld(RD, 0, RS1), GLOBAL, 0), 13);
        CU_ASSERT_EQUAL(load(GLOBAL), 2);
        CU_ASSERT_EQUAL(run_in(VU, rv_nop(), 0, 0), 0);
    }
    end();
}

/* Traps and SRET change what may be touched, from the next instruction on. */
static void test_mode_changes(void)
{
    begin();
    rv_code user = rv_at(soft_ptr(vm, GUEST + 64), CODE + PAGE + 64);
    rv_put(&user, rv_ld(RV_A0, 0, RS2)); /* its own page */
    rv_put(&user, rv_ecall());
    rv_put(&user, rv_ld(RV_A2, 0, RS1)); /* the supervisor's */
    rv_code handler = rv_at(soft_ptr(vm, GUEST + 128), CODE + 128);
    rv_put(&handler, rv_ld(RV_A1, 0, RS1));
    rv_put(&handler, rv_csrr(RV_A3, 0x141));
    rv_put(&handler, rv_addi(RV_A3, RV_A3, 4));
    rv_put(&handler, rv_csrw(0x141, RV_A3));
    rv_put(&handler, rv_sret());
    hvc_port_set(vm->pe, vstvec, CODE + 128);
    hvc_port_set(vm->pe, hedeleg, HVC_BIT(8));
    soft_mode(vm, VU, CODE + PAGE + 64);
    vm->frame.x[RS1] = DATA;
    vm->frame.x[RS2] = USER;
    CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_TRAP);
    CU_ASSERT_EQUAL(vm->frame.x[RV_A0], 3);
    CU_ASSERT_EQUAL(vm->frame.x[RV_A1], 1);
    CU_ASSERT_EQUAL(vm->raw.scause, 13);
    CU_ASSERT_EQUAL(vm->frame.pc, CODE + PAGE + 72);
    end();
}

/* The guest's own writes of satp and sstatus count from the next instruction on. */
static void test_guest_switches(void)
{
    begin();
    map_page(root, GUEST, 0, PTE_S); /* the program stays where it is when translation goes off */
    rv_code c = rv_at(soft_ptr(vm, GUEST), GUEST);
    rv_put(&c, rv_ld(RV_A0, 0, RS1));
    rv_put(&c, rv_csrrw(RV_A2, 0x180, 0));
    rv_put(&c, rv_ld(RV_A1, 0, RS2));
    rv_put(&c, rv_csrrw(0, 0x180, RV_A2));
    rv_put(&c, rv_ld(RV_A3, 0, RS1));
    rv_put(&c, rv_ld(RV_A4, 0, RS2));
    rv_put(&c, rv_ecall());
    soft_mode(vm, VS, GUEST);
    vm->frame.x[RS1] = DATA;
    vm->frame.x[RS2] = GUEST + 9 * PAGE;
    CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_TRAP);
    CU_ASSERT_EQUAL(vm->frame.x[RV_A0], 1);
    CU_ASSERT_EQUAL(vm->frame.x[RV_A1], 9);
    CU_ASSERT_EQUAL(vm->frame.x[RV_A3], 1);
    CU_ASSERT_EQUAL(vm->raw.scause, 13); /* with translation on, there is nothing */
    end();
}

/* Sv48 and Sv57 are one and two tables more; high halves are canonical. */
static void test_deeper_modes(void)
{
    begin();
    uint64_t high = ~UINT64_C(0) << 38;
    uint64_t *four = soft_ptr(vm, TABLES(0)), *five = soft_ptr(vm, TABLES(1));
    map_page(root, high | DATA, 40, PTE_S);
    CU_ASSERT_EQUAL(load(DATA), 1);
    CU_ASSERT_EQUAL(load(high | DATA), 40);
    four[0] = root >> 12 << HVC_PTE_PPN_SHIFT | HVC_PTE_V;
    five[0] = TABLES(0) >> 12 << HVC_PTE_PPN_SHIFT | HVC_PTE_V;
    hvc_port_set(vm->pe, vsatp, UINT64_C(9) << 60 | UINT64_C(1) << 44 | TABLES(0) >> 12);
    CU_ASSERT_EQUAL(load(high | DATA), FAULT(13)); /* the mode is not the same: no stale entry */
    CU_ASSERT_EQUAL(load((UINT64_C(1) << 38) | DATA), 40);
    hvc_port_set(vm->pe, vsatp, UINT64_C(10) << 60 | UINT64_C(1) << 44 | TABLES(1) >> 12);
    CU_ASSERT_EQUAL(load((UINT64_C(1) << 38) | DATA), 40);
    CU_ASSERT_EQUAL(load((UINT64_C(1) << 48) | DATA), FAULT(13));
    end();
}

/* --- PEs and the G-stage alone ---------------------------------------------------------------- */

/* A fence is local. */
static void test_two_pes(void)
{
    hvc_pe *second;
    begin();
    CU_ASSERT_EQUAL(hvc_port_pe_claim(vm->m, 0, &second), -HVCORE_E_BUSY);
    CU_ASSERT_EQUAL(hvc_port_pe_claim(vm->m, 4, &second), -HVCORE_E_RANGE);
    CU_ASSERT_EQUAL(hvc_port_pe_claim(vm->m, 3, &second), 0);
    hvc_port_set(second, vsatp, hvc_port_get(vm->pe, vsatp));
    hvc_port_set(second, hgatp, hvc_port_get(vm->pe, hgatp));
    CU_ASSERT_EQUAL(load(DATA), 1);
    map_page(root, DATA, 8, PTE_S);
    hvc_pe *first = vm->pe;
    vm->pe = second;
    CU_ASSERT_EQUAL(load(DATA), 8);
    fence(0, 0);
    vm->pe = first;
    CU_ASSERT_EQUAL(load(DATA), 1);
    hvc_port_pe_release(second);
    CU_ASSERT_EQUAL(hvc_port_pe_claim(vm->m, 3, &second), 0);
    CU_ASSERT_EQUAL(hvc_port_get(second, vsatp), 0);
    hvc_port_pe_release(second);
    end();
}

/*
 * Both stages Bare: guest addresses are physical addresses, and outside of banks are access faults.
 */
static void test_bare(void)
{
    begin();
    hvc_port_set(vm->pe, vsatp, 0);
    hvc_port_set(vm->pe, hgatp, 0);
    rv_code c = rv_at(soft_ptr(vm, GUEST), vm->ram_pa);
    rv_put(&c, rv_ld(RD, 0, RS1));
    rv_put(&c, rv_ld(RD, 0, RS2));
    rv_put(&c, rv_jalr(0, RS2, 0));
    rv_put(&c, rv_sb(0, 0, RS2));
    soft_mode(vm, VS, vm->ram_pa);
    vm->frame.x[RS1] = vm->ram_pa + 6 * PAGE;
    vm->frame.x[RS2] = UINT64_C(0x8888888888888888);
    CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_TRAP);
    CU_ASSERT_EQUAL(vm->frame.x[RD], 6);
    CU_ASSERT_EQUAL(vm->raw.scause, 5);
    vm->frame.pc += 4;
    CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_TRAP);
    CU_ASSERT_EQUAL(vm->raw.scause, 1);
    CU_ASSERT_EQUAL(vm->raw.stval, UINT64_C(0x8888888888888888));
    vm->frame.pc = vm->ram_pa + 12;
    CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_TRAP);
    CU_ASSERT_EQUAL(vm->raw.scause, 7);
    end();
}

/* --- banks ------------------------------------------------------------------------------------ */

static void test_bank_arguments(void)
{
    uint64_t pa = 1;
    begin();
    uint8_t *p = soft_memory(2 * PAGE);
    CU_ASSERT_EQUAL(hvc_port_bank_add(vm->m, NULL, PAGE, 0, &pa), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvc_port_bank_add(vm->m, p + 4, PAGE, 0, &pa), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvc_port_bank_add(vm->m, p, 0, 0, &pa), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvc_port_bank_add(vm->m, p, PAGE + 8, 0, &pa), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvc_port_bank_add(vm->m, p, PAGE, 3 * PAGE, &pa), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvc_port_bank_add(vm->m, p, PAGE, UINT64_C(1) << 60, &pa), -HVCORE_E_LIMIT);
    CU_ASSERT_EQUAL(hvc_port_bank_add(vm->m, p, 0 - PAGE, 0, &pa), -HVCORE_E_LIMIT);
    CU_ASSERT_EQUAL(pa, 1);
    for (uint64_t align = 1; align <= UINT64_C(1) << 40; align *= 2) {
        CU_ASSERT_EQUAL(hvc_port_bank_add(vm->m, p, PAGE, align, &pa), 0);
        CU_ASSERT_EQUAL(pa % align, 0);
        CU_ASSERT_EQUAL(pa % PAGE, 0);
        CU_ASSERT_PTR_EQUAL(hvc_port_pa_ptr(vm->m, pa), p);
    }
    CU_ASSERT_PTR_NULL(hvc_port_pa_ptr(vm->m, pa + PAGE));
    CU_ASSERT_PTR_NULL(hvc_port_pa_ptr(vm->m, pa - 8));
    CU_ASSERT_PTR_NULL(hvc_port_pa_ptr(vm->m, pa + 4));
    CU_ASSERT_PTR_NULL(hvc_port_pa_ptr(vm->m, 0));
    CU_ASSERT_PTR_NULL(hvc_port_pa_ptr(vm->m, UINT64_MAX - 7));
    soft_memory_free(p, 2 * PAGE);
    end();
}

#define BANKS 200

static void test_many_banks(void)
{
    uint64_t pa[BANKS];
    begin();
    uint8_t *p = soft_memory(BANKS * PAGE);
    for (uint64_t i = 0; i < BANKS; i++)
        CU_ASSERT_EQUAL(hvc_port_bank_add(vm->m, p + i * PAGE, PAGE, 0, &pa[i]), 0);
    for (uint64_t i = 0; i < BANKS; i += 3)
        hvc_port_bank_remove(vm->m, pa[i], PAGE);
    hvc_port_bank_remove(vm->m, pa[1], 2 * PAGE); /* no such bank */
    hvc_port_bank_remove(vm->m, pa[1] + 8, PAGE);
    for (uint64_t i = 0; i < BANKS; i++)
        CU_ASSERT_PTR_EQUAL(hvc_port_pa_ptr(vm->m, pa[i] + 16),
                            i % 3 ? (void *)(p + i * PAGE + 16) : NULL);
    CU_ASSERT_EQUAL(load(DATA), 1);
    soft_memory_free(p, BANKS * PAGE);
    end();
}

/* A bank that goes is gone for the guest, even where the hypervisor forgot to flush. */
static void test_removed_bank(void)
{
    uint64_t pa, pa2;
    begin();
    uint8_t *p = soft_memory(PAGE);
    CU_ASSERT_EQUAL(hvc_port_bank_add(vm->m, p, PAGE, 0, &pa), 0);
    soft_map_g(vm, UINT64_C(0x1000), pa, PTE_USER);
    soft_map_vs(vm, root, USER, UINT64_C(0x1000), PTE_S);
    CU_ASSERT_EQUAL(load(USER), 0);
    CU_ASSERT_EQUAL(store(USER), 0);
    CU_ASSERT_EQUAL(load(USER), 77);
    hvc_port_bank_remove(vm->m, pa, PAGE);
    soft_memory_free(p, PAGE);
    CU_ASSERT_EQUAL(load(USER), FAULT(5));
    CU_ASSERT_EQUAL(store(USER), FAULT(7));
    p = soft_memory(PAGE);
    CU_ASSERT_EQUAL(hvc_port_bank_add(vm->m, p, PAGE, 0, &pa2), 0);
    CU_ASSERT_NOT_EQUAL(pa, pa2);
    CU_ASSERT_EQUAL(load(USER), FAULT(5));
    soft_memory_free(p, PAGE);
    end();
}

static const hvc_unit_test tests[] = {
    {"stale VS-stage entries", test_stale_vs_stage},
    {"stale G-stage entries", test_stale_g_stage},
    {"stale rights", test_stale_rights},
    {"stale code pages", test_stale_code},
    {"superpages", test_superpage},
    {"ASIDs", test_asid},
    {"global pages", test_global},
    {"VMIDs", test_vmid},
    {"SUM, MXR, privilege", test_status_bits},
    {"mode changes", test_mode_changes},
    {"satp written by the guest", test_guest_switches},
    {"Sv48 and Sv57", test_deeper_modes},
    {"two PEs", test_two_pes},
    {"no translation", test_bare},
    {"arguments of banks", test_bank_arguments},
    {"many banks", test_many_banks},
    {"a bank that goes", test_removed_bank},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("soft riscv64: TLB and banks", tests);
}
