/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code that changes under the software machine: written by the guest, by another PE, by the host;
 * pages that move under it; more of it than the machine keeps.
 */
#define GUEST_PAGES 4096
#include "tests/unit/soft.h"

#include <stdio.h>

static soft_vm *vm;
static uint64_t root;

static void expect(const char *what, uint64_t got, uint64_t want)
{
    if (got != want)
        fprintf(stderr, "\n%s: %#llx, not %#llx\n", what, (unsigned long long)got,
                (unsigned long long)want);
    CU_ASSERT_EQUAL(got, want);
}

static void begin(void)
{
    vm = soft_vm_new_isa(HVCORE_RISCV64_ISA_DEFAULT);
    soft_map_ram(vm);
}

static void end(void)
{
    soft_vm_free(vm);
}

static rv_code code_at(uint64_t gpa)
{
    return rv_at(soft_ptr(vm, gpa), gpa);
}

/* From pc to an ECALL; without the FENCE.I of soft_enter(). a0 then. */
static uint64_t run_from(uint64_t pc)
{
    soft_mode(vm, VS, pc);
    hvc_port_budget(vm->pe, UINT64_MAX);
    CU_ASSERT_EQUAL(hvc_port_enter(vm->pe, &vm->frame, &vm->raw), HVC_STOP_TRAP);
    expect("cause", vm->raw.scause, HVCORE_RISCV64_ECALL_VS);
    return vm->frame.x[RV_A0];
}

/* --- written by the guest --------------------------------------------------------------------- */

/* Each turn writes "addi a0, x0, n" to the next instruction but one and sums up what it does. */
static void test_guest_writes(void)
{
    begin();
    rv_code c = code_at(GUEST);
    rv_li(&c, RV_T0, rv_addi(RV_A0, 0, 0));
    rv_li(&c, RV_T1, 1 << 20);
    rv_li(&c, RV_T3, 1000);
    uint64_t loop = rv_here(&c);
    rv_put(&c, rv_auipc(RV_T2, 0));
    rv_put(&c, rv_add(RV_T0, RV_T0, RV_T1));
    rv_put(&c, rv_sw(RV_T0, 16, RV_T2));
    rv_put(&c, rv_fence_i());
    rv_put(&c, rv_illegal()); /* where it goes */
    rv_put(&c, rv_add(RV_A1, RV_A1, RV_A0));
    rv_put(&c, rv_bne(RV_A0, RV_T3, rv_to(&c, loop)));
    rv_put(&c, rv_ecall());
    expect("last", run_from(GUEST), 1000);
    expect("sum", vm->frame.x[RV_A1], 1000 * 1001 / 2);
    end();
}

/* --- by others -------------------------------------------------------------------------------- */

static void put_function(uint64_t gpa, int32_t value)
{
    rv_code c = code_at(gpa);
    rv_put(&c, rv_addi(RV_A0, 0, value));
    rv_put(&c, rv_ecall());
}

/* Another PE writes; until the remote fence (flush) either value is right, then the new one. */
static void test_other_pe_writes(void)
{
    hvc_pe *first, *second;
    begin();
    first = vm->pe;
    if (hvc_port_pe_claim(vm->m, 1, &second))
        abort();
    hvc_port_set(second, hgatp, hvc_port_get(first, hgatp));
    rv_code c = code_at(GUEST + PAGE); /* a1: where, a2: what */
    rv_put(&c, rv_sw(RV_A2, 0, RV_A1));
    rv_put(&c, rv_fence_i());
    rv_put(&c, rv_ecall());
    put_function(GUEST, 0);
    for (int i = 1; i < 50; i++) {
        expect("before", run_from(GUEST), (uint64_t)i - 1);
        vm->pe = second;
        vm->frame.x[RV_A1] = GUEST;
        vm->frame.x[RV_A2] = rv_addi(RV_A0, 0, i);
        run_from(GUEST + PAGE);
        expect("the writer", run_from(GUEST), (uint64_t)i); /* its own FENCE.I */
        vm->pe = first;
        uint64_t got = run_from(GUEST);
        CU_ASSERT(got == (uint64_t)i || got == (uint64_t)i - 1);
        hvc_port_tlb_gvma(first);
        expect("after", run_from(GUEST), (uint64_t)i);
    }
    hvc_port_pe_release(second);
    end();
}

/* The host writes and says so: seen at the next enter, by every PE. */
static void test_host_writes(void)
{
    begin();
    put_function(GUEST, 0);
    for (int i = 1; i < 50; i++) {
        expect("before", run_from(GUEST), (uint64_t)i - 1);
        uint32_t word = rv_addi(RV_A0, 0, i);
        memcpy(soft_ptr(vm, GUEST), &word, 4);
        hvc_port_written(vm->m, soft_ptr(vm, GUEST), 4);
        expect("after", run_from(GUEST), (uint64_t)i);
    }
    for (int i = 1; i < 50; i++) { /* as part of a large piece */
        put_function(GUEST + 5 * PAGE, i);
        hvc_port_written(vm->m, soft_ptr(vm, GUEST), 64 * PAGE);
        expect("after", run_from(GUEST + 5 * PAGE), (uint64_t)i);
    }
    end();
}

/*
 * Nobody fences: one PE executes what another writes. Nothing is promised but that each instruction
 * is an old or a new one, and that the machine survives.
 */
static void test_nobody_fences(void)
{
    soft_player p[2];
    begin();
    rv_code c = code_at(GUEST);
    uint64_t loop = rv_here(&c);
    for (int i = 0; i < 16; i++) {
        rv_put(&c, rv_addi(RV_A0, 0, 1)); /* 1 or 2 */
        rv_put(&c, rv_add(RV_A1, RV_A1, RV_A0));
        rv_put(&c, rv_addi(RV_A2, RV_A2, 1));
    }
    rv_put(&c, rv_ld(RV_A3, 0, RV_A4));
    rv_put(&c, rv_beq(RV_A3, 0, rv_to(&c, loop)));
    rv_put(&c, rv_ecall());
    c = code_at(GUEST + PAGE);
    rv_li(&c, RV_A4, GUEST);
    rv_li(&c, RV_T0, rv_addi(RV_A0, 0, 1));
    rv_li(&c, RV_T1, rv_addi(RV_A0, 0, 2));
    rv_li(&c, RV_S1, 3000);
    loop = rv_here(&c);
    for (int i = 0; i < 32; i++)
        rv_put(&c, rv_sw(i < 16 ? RV_T1 : RV_T0, i % 16 * 12, RV_A4));
    rv_put(&c, rv_addi(RV_S1, RV_S1, -1));
    rv_put(&c, rv_bne(RV_S1, 0, rv_to(&c, loop)));
    rv_li(&c, RV_A4, GUEST + 2 * PAGE);
    rv_put(&c, rv_sd(RV_A4, 0, RV_A4));
    rv_put(&c, rv_ecall());
    for (uint32_t i = 0; i < 2; i++)
        soft_player_new(vm, &p[i], i, GUEST + i * PAGE);
    p[0].frame.x[RV_A4] = GUEST + 2 * PAGE;
    for (uint32_t i = 0; i < 2; i++)
        soft_player_start(&p[i]);
    CU_ASSERT(soft_player_done(&p[1]));
    CU_ASSERT(soft_player_done(&p[0]));
    uint64_t sum = p[0].frame.x[RV_A1], n = p[0].frame.x[RV_A2];
    CU_ASSERT(n >= 16 && sum >= n && sum <= 2 * n);
    for (uint32_t i = 0; i < 2; i++)
        soft_player_free(vm, &p[i]);
    end();
}

/* --- pages that move -------------------------------------------------------------------------- */

#define STUB UINT64_C(0x10a00) /* sfence, or a call of a1 */
#define STUB_GPA (GUEST + 0xa00)
#define TARGET UINT64_C(0x40000000)
#define EVICTS (TARGET + 1024 * PAGE) /* the same slot in a TLB of 256 entries */
#define PAGE_ONE (GUEST + 0x200000)
#define PAGE_TWO (GUEST + 0x400000)

static void put_return(uint64_t gpa, int32_t value)
{
    rv_code c = code_at(gpa);
    rv_put(&c, rv_addi(RV_A0, 0, value));
    rv_put(&c, rv_jalr(0, RV_RA, 0));
}

/* The stub's other lines: SFENCE.VMA of each kind, and nothing that makes code doubtful. */
static void put_fences(void)
{
    for (uint32_t kind = 0; kind < 4; kind++) {
        rv_code c = code_at(STUB_GPA + 64 + 8 * kind);
        rv_put(&c, rv_sfence_vma(kind & 1 ? RV_A1 : 0, kind & 2 ? RV_A2 : 0));
        rv_put(&c, rv_ecall());
    }
}

/* 1 and 2 in pages 0 and 7 of two pieces of 2 MiB, 9 in a page that evicts. */
static void map_targets(void)
{
    root = soft_vs_page(vm);
    soft_map_vs(vm, root, STUB, STUB_GPA, PTE_S);
    soft_map_vs(vm, root, EVICTS, GUEST + PAGE, PTE_S);
    put_return(GUEST + PAGE + 64, 9);
    for (uint64_t page = 0; page < 8; page += 7) {
        put_return(PAGE_ONE + page * PAGE, 1);
        put_return(PAGE_TWO + page * PAGE, 2);
    }
    rv_code c = code_at(STUB_GPA);
    rv_put(&c, rv_jalr(RV_RA, RV_A1, 0));
    rv_put(&c, rv_ecall());
    put_fences();
    hvc_port_set(vm->pe, vsatp, soft_satp(root, 1));
}

static uint64_t call(uint64_t va)
{
    vm->frame.x[RV_A1] = va;
    return run_from(STUB);
}

static void fence(uint32_t kind, uint64_t va, uint64_t asid)
{
    vm->frame.x[RV_A1] = va;
    vm->frame.x[RV_A2] = asid;
    run_from(STUB + 64 + 8 * kind);
}

enum { SMALL, NAPOT, LARGE, KINDS };

/* TARGET's page (or 64 KiB, or 2 MiB) leads to `gpa`. */
static void map_target(uint64_t gpa, uint32_t size, uint64_t flags)
{
    uint64_t *e = soft_vs_entry(vm, root, TARGET, size == LARGE ? 1 : 0);
    uint64_t pte = gpa >> 12 << HVC_PTE_PPN_SHIFT | PTE_S | flags;
    *e = pte;
    for (uint64_t i = 0; size == NAPOT && i < 16; i++)
        e[i] = pte | UINT64_C(1) << 63 | UINT64_C(8) << HVC_PTE_PPN_SHIFT;
}

static void check_remap(uint32_t size, uint32_t kind, uint64_t flags, bool evict)
{
    uint64_t page = size == SMALL ? 0 : 7 * PAGE, want = 1;
    for (int i = 0; i < 4; i++, want = 3 - want) {
        map_target(want == 1 ? PAGE_ONE : PAGE_TWO, size, flags);
        if (i) {
            if (evict)
                expect("other", call(EVICTS + 64), 9);
            uint64_t got = call(TARGET + page); /* stale or not */
            CU_ASSERT(got == 1 || got == 2);
            fence(kind, size == SMALL ? TARGET : TARGET + 3 * PAGE, 1);
        }
        expect("after the fence", call(TARGET + page), want);
        expect("again", call(TARGET + page), want);
        if (size != SMALL)
            expect("its first page", call(TARGET), want);
    }
}

/* SFENCE.VMA by address, by ASID, by both, by none: then a jump lands in the page of now. */
static void test_remap(void)
{
    for (uint32_t i = 0; i < KINDS * 4 * 2 * 2; i++) {
        uint32_t size = i % KINDS, kind = i / KINDS % 4;
        uint64_t global = i / KINDS / 4 % 2 ? HVC_PTE_G : 0;
        if (global && kind & 2)
            continue; /* global pages may stay (Priv. 12.2.1) */
        vm = soft_vm_new_isa(HVCORE_RISCV64_ISA_DEFAULT | HVCORE_RISCV64_ISA_SVNAPOT);
        soft_map_ram(vm);
        map_targets();
        check_remap(size, kind, global, i / KINDS / 8);
        end();
    }
}

/* A fence of an address space that is not the current one counts when that one comes back. */
static void test_remap_elsewhere(void)
{
    begin();
    map_targets();
    uint64_t second = soft_vs_page(vm);
    soft_map_vs(vm, second, STUB, STUB_GPA, PTE_S);
    soft_map_vs(vm, second, TARGET, PAGE_TWO, PTE_S);
    soft_map_vs(vm, root, TARGET, PAGE_ONE, PTE_S);
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t one = i % 2 ? 2 : 1;
        hvc_port_set(vm->pe, vsatp, soft_satp(root, 1));
        expect("first", call(TARGET), one);
        hvc_port_set(vm->pe, vsatp, soft_satp(second, 2));
        expect("second", call(TARGET), 2);
        soft_map_vs(vm, root, TARGET, one == 1 ? PAGE_TWO : PAGE_ONE, PTE_S);
        fence(2 | (i / 2 & 1), TARGET, 1);
        expect("second", call(TARGET), 2);
    }
    end();
}

/*
 * A page's table entry changes between a jump's page and its target's look-up, which the
 * architecture allows to see either. What must not be: that the jump leads there ever after, from
 * another address at which the first page still is.
 */
static void test_mixed_pages(void)
{
    begin();
    map_targets();
    for (int i = 0; i < 2; i++) {
        rv_code c = code_at(i ? PAGE_TWO : PAGE_ONE);
        rv_put(&c, rv_bne(RV_A3, 0, 0x100));
        rv_put(&c, rv_jalr(0, RV_RA, 0));
        put_return((i ? PAGE_TWO : PAGE_ONE) + 0x100, 1 + i);
    }
    hvc_code_fence(&hvc_soft_pe(vm->pe)->code);
    map_target(PAGE_ONE, SMALL, 0);
    vm->frame.x[RV_A3] = 0;
    call(TARGET);
    call(EVICTS + 64);
    map_target(PAGE_TWO, SMALL, 0);
    vm->frame.x[RV_A3] = 1;
    uint64_t got = call(TARGET);
    CU_ASSERT(got == 1 || got == 2);
    soft_map_vs(vm, root, TARGET + 16 * PAGE, PAGE_ONE, PTE_S);
    fence(0, 0, 0);
    expect("the first page, elsewhere", call(TARGET + 16 * PAGE), 1);
    expect("the second page", call(TARGET), 2);
    end();
}

/* A jump into the next page; then the first page stands elsewhere too, before another one. */
static void test_alias(void)
{
    begin();
    map_targets();
    rv_code c = code_at(PAGE_ONE);
    rv_put(&c, rv_jal(0, 0x1100));
    put_return(PAGE_ONE + PAGE + 0x100, 1);
    put_return(PAGE_TWO + 0x100, 2);
    for (uint64_t i = 0; i < 8; i++) {
        uint64_t va = TARGET + 2 * i * PAGE;
        soft_map_vs(vm, root, va, PAGE_ONE, PTE_S);
        soft_map_vs(vm, root, va + PAGE, i % 2 ? PAGE_TWO : PAGE_ONE + PAGE, PTE_S);
        for (int n = 0; n < 2; n++)
            expect("the page behind", call(va), 1 + i % 2);
    }
    end();
}

/* --- much of it ------------------------------------------------------------------------------- */

/* Each page: additions, with jumps over words that must not execute, to the next page. */
static uint64_t fill_page(uint64_t gpa, uint64_t n)
{
    rv_code c = code_at(gpa);
    uint64_t sum = 0;
    while (rv_here(&c) < gpa + PAGE - 64) {
        int32_t value = (int32_t)((rv_here(&c) / 4 + n) % 1000);
        rv_put(&c, rv_addi(RV_A0, RV_A0, value));
        sum += (uint64_t)value;
        if (rv_here(&c) % 28 == 0) {
            rv_put(&c, rv_jal(0, 8));
            rv_put(&c, rv_illegal());
        }
    }
    rv_put(&c, rv_jal(0, rv_to(&c, gpa + PAGE)));
    return sum;
}

/*
 * 8 MiB of code are more than 24 MiB of decoded blocks: the cache is emptied several times in each
 * turn, and a loop in the middle of it goes on.
 */
static void test_overflow(void)
{
    uint64_t pages = 8 * 256, sum = 0;
    begin();
    for (uint64_t n = 0; n < pages; n++)
        sum += fill_page(GUEST + n * PAGE, n);
    rv_code c = code_at(GUEST + pages * PAGE);
    rv_put(&c, rv_addi(RV_S1, RV_S1, -1));
    rv_put(&c, rv_beq(RV_S1, 0, 8));
    rv_put(&c, rv_jalr(0, RV_A1, 0));
    rv_put(&c, rv_ecall());
    vm->frame.x[RV_A0] = 0;
    vm->frame.x[RV_A1] = GUEST;
    vm->frame.x[RV_S1] = 3;
    expect("sum", run_from(GUEST), 3 * sum);
    CU_ASSERT(hvc_soft_pe(vm->pe)->code.emptied >= 3);
    end();
}

static const hvc_unit_test tests[] = {
    {"the guest writes and fences", test_guest_writes},
    {"another PE writes", test_other_pe_writes},
    {"the host writes", test_host_writes},
    {"nobody fences", test_nobody_fences},
    {"pages that move", test_remap},
    {"pages of another address space", test_remap_elsewhere},
    {"a jump between two mappings of a page", test_mixed_pages},
    {"a jump into the next page", test_alias},
    {"more code than the cache holds", test_overflow},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("soft riscv64: code", tests);
}
