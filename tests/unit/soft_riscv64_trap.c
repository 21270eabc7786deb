/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traps of the software machine: every cause that it has, provoked by a real instruction from VS
 * and VU over two-stage tables, left to HS-mode and delegated; interrupts; the routing vectors.
 */
#include "tests/unit/soft.h"
#include "tests/unit/vectors.h"

#include <stdio.h>

enum { RD = RV_T2, RS1 = RV_T0, RS2 = RV_T1 };

/* Virtual pages; the one after each is the same for users. */
#define CODE UINT64_C(0x10000)
#define DATA UINT64_C(0x20000)
#define HOLE UINT64_C(0x30000)    /* mapped to a gpa that the G-stage does not have */
#define NO_BANK UINT64_C(0x40000) /* mapped to a gpa whose physical address has no memory */
#define READ_ONLY UINT64_C(0x50000)
#define CLEAN UINT64_C(0x60000)  /* D is not set */
#define UNUSED UINT64_C(0x70000) /* A is not set */
#define UNMAPPED UINT64_C(0x80000)
#define VECTOR UINT64_C(0x90000)
#define HOLE_TABLE UINT64_C(0x40000000) /* its table is in the hole */
#define NO_BANK_TABLE UINT64_C(0x80000000)

#define HOLE_GPA UINT64_C(0x70000000)
#define NO_BANK_GPA UINT64_C(0x90000000)
#define NO_BANK_PA UINT64_C(0x123456789000)

static soft_vm *vm;
static uint64_t root;

static void map_both(uint64_t va, uint64_t gpa, uint64_t flags)
{
    soft_map_vs(vm, root, va, gpa, flags);
    soft_map_vs(vm, root, va + PAGE, gpa, flags | HVC_PTE_U);
}

static void setup(void)
{
    vm = soft_vm_new();
    soft_map_ram(vm);
    soft_map_g(vm, NO_BANK_GPA, NO_BANK_PA, PTE_USER);
    root = soft_vs_page(vm);
    map_both(CODE, GUEST, PTE_S);
    map_both(DATA, GUEST + PAGE, PTE_S);
    map_both(HOLE, HOLE_GPA, PTE_S);
    map_both(NO_BANK, NO_BANK_GPA, PTE_S);
    map_both(READ_ONLY, GUEST + PAGE, PTE_S & ~(HVC_PTE_W | HVC_PTE_X));
    map_both(CLEAN, GUEST + PAGE, PTE_S & ~HVC_PTE_D);
    map_both(UNUSED, GUEST + PAGE, PTE_S & ~HVC_PTE_A);
    map_both(VECTOR, GUEST + 2 * PAGE, PTE_S);
    *soft_vs_entry(vm, root, HOLE_TABLE, 2) = HOLE_GPA >> 12 << HVC_PTE_PPN_SHIFT | HVC_PTE_V;
    *soft_vs_entry(vm, root, NO_BANK_TABLE, 2) = NO_BANK_GPA >> 12 << HVC_PTE_PPN_SHIFT | HVC_PTE_V;
    hvc_port_set(vm->pe, vsatp, soft_satp(root, 1));
}

static void expect(const char *what, uint64_t got, uint64_t want)
{
    if (got != want)
        fprintf(stderr, "\n%s: %#llx, not %#llx\n", what, (unsigned long long)got,
                (unsigned long long)want);
    CU_ASSERT_EQUAL(got, want);
}

/* --- provocations ----------------------------------------------------------------------------- */

enum stval { STVAL_ZERO, STVAL_WORD, STVAL_PC, STVAL_ADDRESS };

typedef struct provocation {
    const char *name;
    uint64_t cause;
    uint32_t word;    /* to be executed; 0: fetch from `address` instead */
    uint64_t address; /* of VS; VU uses the page after it. t0 holds it, less 8 */
    enum stval stval;
    uint64_t gpa; /* of a guest-page fault */
    uint64_t htinst;
    uint32_t modes; /* bit set by HVCORE_RISCV64_VU, VS */
} provocation;

#define IN_VU 1
#define IN_VS 2
#define IN_BOTH 3
#define PTE_GPA(va) (HOLE_GPA + ((va) >> 21 & 511) * 8)
#define LD_KEPT 0x00003383u /* ld t2, offset 0: Priv. 21.6.3 */
#define SW_KEPT 0x00602023u /* sw t1 */

typedef void check_fn(const provocation *p, uint32_t mode);

static void for_all(check_fn *check)
{
    const uint32_t ld = rv_ld(RD, 8, RS1), sw = rv_sw(RS2, 8, RS1), lw = rv_lw(RD, 8, RS1);
    const provocation list[] = {
        {"jump to half", 0, rv_jalr(RV_RA, RS1, 10), CODE, STVAL_ADDRESS, 0, 0, IN_BOTH},
        {"fetch without memory", 1, 0, NO_BANK + 64, STVAL_ADDRESS, 0, 0, IN_BOTH},
        {"fetch, table without memory", 1, 0, NO_BANK_TABLE, STVAL_ADDRESS, 0, 0, IN_BOTH},
        {"illegal", 2, rv_illegal(), CODE, STVAL_WORD, 0, 0, IN_BOTH},
        {"mret", 2, rv_mret(), CODE, STVAL_WORD, 0, 0, IN_BOTH},
        {"ebreak", 3, rv_ebreak(), CODE, STVAL_PC, 0, 0, IN_BOTH},
        {"misaligned load", 4, ld, DATA + 4, STVAL_ADDRESS, 0, LD_KEPT, IN_BOTH},
        {"misaligned load without page", 4, ld, UNMAPPED + 1, STVAL_ADDRESS, 0, LD_KEPT, IN_BOTH},
        {"load without memory", 5, ld, NO_BANK, STVAL_ADDRESS, 0, LD_KEPT, IN_BOTH},
        {"load, table without memory", 5, ld, NO_BANK_TABLE, STVAL_ADDRESS, 0, LD_KEPT, IN_BOTH},
        {"misaligned store", 6, sw, DATA + 2, STVAL_ADDRESS, 0, SW_KEPT, IN_BOTH},
        {"store without memory", 7, sw, NO_BANK + 4, STVAL_ADDRESS, 0, SW_KEPT, IN_BOTH},
        {"store, table without memory", 7, sw, NO_BANK_TABLE, STVAL_ADDRESS, 0, SW_KEPT, IN_BOTH},
        {"ecall from VU", 8, rv_ecall(), CODE, STVAL_ZERO, 0, 0, IN_VU},
        {"ecall from VS", 10, rv_ecall(), CODE, STVAL_ZERO, 0, 0, IN_VS},
        {"fetch unmapped", 12, 0, UNMAPPED, STVAL_ADDRESS, 0, 0, IN_BOTH},
        {"fetch not executable", 12, 0, READ_ONLY + 4, STVAL_ADDRESS, 0, 0, IN_BOTH},
        {"fetch not canonical", 12, 0, UINT64_C(1) << 50, STVAL_ADDRESS, 0, 0, IN_BOTH},
        {"load unmapped", 13, lw, UNMAPPED + 4, STVAL_ADDRESS, 0, 0x00002383, IN_BOTH},
        {"load, A clear", 13, ld, UNUSED, STVAL_ADDRESS, 0, LD_KEPT, IN_BOTH},
        {"store unmapped", 15, sw, UNMAPPED, STVAL_ADDRESS, 0, SW_KEPT, IN_BOTH},
        {"store read-only", 15, sw, READ_ONLY, STVAL_ADDRESS, 0, SW_KEPT, IN_BOTH},
        {"store, D clear", 15, sw, CLEAN, STVAL_ADDRESS, 0, SW_KEPT, IN_BOTH},
        {"fetch from a hole", 20, 0, HOLE + 0x124, STVAL_ADDRESS, HOLE_GPA + 0x124, 0, IN_BOTH},
        {"fetch, table in a hole", 20, 0, HOLE_TABLE, STVAL_ADDRESS, PTE_GPA(HOLE_TABLE), 0x3000,
         IN_BOTH},
        {"load from a hole", 21, ld, HOLE + 0x128, STVAL_ADDRESS, HOLE_GPA + 0x128, LD_KEPT,
         IN_BOTH},
        {"load, table in a hole", 21, ld, HOLE_TABLE + 8, STVAL_ADDRESS, PTE_GPA(HOLE_TABLE),
         0x3000, IN_BOTH},
        {"store to a hole", 23, sw, HOLE + 0xffc, STVAL_ADDRESS, HOLE_GPA + 0xffc, SW_KEPT,
         IN_BOTH},
        {"store, table in a hole", 23, sw, HOLE_TABLE, STVAL_ADDRESS, PTE_GPA(HOLE_TABLE), 0x3000,
         IN_BOTH},
        {"hstatus", 22, rv_csrr(RD, 0x600), CODE, STVAL_WORD, 0, 0, IN_BOTH},
        {"hlv", 22, rv_hlv(3, 0, RD, RS1), CODE, STVAL_WORD, 0, 0, IN_BOTH},
        {"wfi from VU", 22, rv_wfi(), CODE, STVAL_WORD, 0, 0, IN_VU},
        {"sscratch from VU", 22, rv_csrr(RD, 0x140), CODE, STVAL_WORD, 0, 0, IN_VU},
    };
    for (size_t i = 0; i < 2 * sizeof list / sizeof list[0]; i++) {
        if (list[i / 2].modes >> i % 2 & 1)
            check(&list[i / 2], i % 2);
    }
}

/* The first page of a pair is the supervisor's. One page table has no pairs. */
static uint64_t page_for(const provocation *p, uint32_t mode)
{
    return p->address + (mode == VU && p->address < HOLE_TABLE ? PAGE : 0);
}

/* A jump goes to CODE + 2 of its own mode. */
static uint64_t wanted_stval(const provocation *p, uint32_t mode, uint64_t pc)
{
    switch (p->stval) {
    case STVAL_WORD:
        return p->word;
    case STVAL_PC:
        return pc;
    case STVAL_ADDRESS:
        return page_for(p, mode) + (p->cause == 0 ? 2 : 0);
    case STVAL_ZERO:
        break;
    }
    return 0;
}

/* Brings the guest before the provocation. Returns its pc. */
static uint64_t prepare(const provocation *p, uint32_t mode)
{
    uint64_t pc = p->word ? CODE + (mode == VU ? PAGE : 0) + 16 : page_for(p, mode);
    memcpy(soft_ptr(vm, GUEST + 16), &p->word, sizeof p->word);
    for (uint64_t i = 1; i < 32; i++)
        vm->frame.x[i] = i * UINT64_C(0x0101010101010101);
    vm->frame.x[RS1] = page_for(p, mode) - 8;
    soft_mode(vm, mode, pc);
    hvc_port_set(vm->pe, vsstatus, 0);
    hvc_port_set(vm->pe, vsepc, 0x1110);
    hvc_port_set(vm->pe, vscause, 7);
    hvc_port_set(vm->pe, vstval, 0x3333);
    hvc_port_set(vm->pe, vstvec, VECTOR);
    hvc_port_tlb_vvma(vm->pe);
    return pc;
}

static void check_general_registers(const provocation *p, uint32_t mode)
{
    for (uint64_t i = 0; i < 32; i++) {
        uint64_t want = i == RS1 ? page_for(p, mode) - 8 : i * UINT64_C(0x0101010101010101);
        CU_ASSERT_EQUAL(vm->frame.x[i], want);
    }
}

/* --- to HS-mode ------------------------------------------------------------------------------- */

/* Priv. 21.2.1: set by traps that write a guest-virtual address to stval. */
static bool writes_gva(uint64_t cause)
{
    static const uint8_t causes[] = {0, 1, 3, 4, 5, 6, 7, 12, 13, 15, 20, 21, 23};
    return memchr(causes, (int)cause, sizeof causes) != NULL;
}

/* Priv. 21.6.1, table "value of mstatus/hstatus fields after a trap into HS-mode". */
static void check_frame(uint32_t mode, uint64_t pc, bool gva)
{
    expect("sepc", vm->frame.pc, pc);
    expect("SPP", vm->frame.sstatus >> 8 & 1, mode == VS);
    expect("SIE", vm->frame.sstatus >> 1 & 1, 0);
    expect("SPV", vm->frame.hstatus >> 7 & 1, 1);
    expect("SPVP", vm->frame.hstatus >> 8 & 1, mode == VS);
    expect("GVA", vm->frame.hstatus >> 6 & 1, gva);
    expect("hstatus", vm->frame.hstatus & ~UINT64_C(0x1c0), HVC_HSTATUS_VSXL_64);
}

static void check_vs_untouched(void)
{
    expect("vsstatus", hvc_port_get(vm->pe, vsstatus), HVC_SSTATUS_UXL_64);
    expect("vsepc", hvc_port_get(vm->pe, vsepc), 0x1110);
    expect("vscause", hvc_port_get(vm->pe, vscause), 7);
    expect("vstval", hvc_port_get(vm->pe, vstval), 0x3333);
}

static void check_to_hs(const provocation *p, uint32_t mode, uint64_t pc)
{
    if (vm->raw.scause != p->cause)
        fprintf(stderr, "\n%s in mode %u\n", p->name, mode);
    expect("scause", vm->raw.scause, p->cause);
    expect("stval", vm->raw.stval, wanted_stval(p, mode, pc));
    expect("htval", vm->raw.htval, p->gpa >> 2);
    expect("htinst", vm->raw.htinst, p->htinst);
    check_frame(mode, pc, writes_gva(p->cause));
    check_vs_untouched();
    check_general_registers(p, mode);
}

/* SRET and the trap together leave SPIE alone. */
static void check_host_spie(const provocation *p, uint32_t mode)
{
    for (uint64_t bits = 0; bits < 4; bits++) {
        prepare(p, mode);
        vm->frame.sstatus |= (bits & 1) << 1 | (bits >> 1) << 5;
        vm->frame.hstatus |= bits & 1 ? HVC_HSTATUS_GVA : 0;
        CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_TRAP);
        expect("SPIE", vm->frame.sstatus >> 5 & 1, bits >> 1);
        expect("SIE", vm->frame.sstatus >> 1 & 1, 0);
        expect("GVA", vm->frame.hstatus >> 6 & 1, writes_gva(p->cause));
    }
}

static void leave_to_hs(const provocation *p, uint32_t mode)
{
    uint64_t insns = hvc_port_insns(vm->pe), pc = prepare(p, mode);
    CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_TRAP);
    check_to_hs(p, mode, pc);
    expect("retired", hvc_port_insns(vm->pe), insns);
    check_host_spie(p, mode);
}

static void test_to_hs(void)
{
    hvc_port_set(vm->pe, hedeleg, 0);
    for_all(leave_to_hs);
}

/* --- to VS-mode ------------------------------------------------------------------------------- */

/*
 * Priv. 21.2.2, table "bits of hedeleg that must be writable"; the rest of ours is read-only zero.
 */
static bool delegatable(uint64_t cause)
{
    return cause <= 8 || cause == 12 || cause == 13 || cause == 15;
}

/* Priv. 12.1.1.1, 21.6.1: what hardware writes when a trap goes to VS-mode. */
static void check_to_vs(const provocation *p, uint32_t mode, uint64_t pc, uint64_t before)
{
    uint64_t sie = before >> 1 & 1, kept = before & ~UINT64_C(0x122);
    expect("pc", vm->frame.pc, VECTOR);
    expect("vsepc", hvc_port_get(vm->pe, vsepc), pc);
    expect("vscause", hvc_port_get(vm->pe, vscause), p->cause);
    expect("vstval", hvc_port_get(vm->pe, vstval), wanted_stval(p, mode, pc));
    expect("vsstatus", hvc_port_get(vm->pe, vsstatus),
           kept | sie << 5 | (uint64_t)(mode == VS) << 8 | HVC_SSTATUS_UXL_64);
    expect("mode", vm->frame.sstatus >> 8 & 1, 1);
    expect("SPVP", vm->frame.hstatus >> 8 & 1, 1);
    check_general_registers(p, mode);
}

/* vsstatus in all states that matter; vstvec direct and vectored are the same for exceptions. */
static void delegated_once(const provocation *p, uint32_t mode, uint64_t bits)
{
    uint64_t before = (bits & 1) << 1 | (bits >> 1 & 1) << 5 | (bits >> 2 & 1) << 8 |
                      (bits & 1 ? HVC_SSTATUS_MXR : 0);
    uint64_t pc = prepare(p, mode), count = hvc_port_delegated(vm->pe, (uint32_t)p->cause);
    uint64_t insns = hvc_port_insns(vm->pe);
    hvc_port_set(vm->pe, vsstatus, before);
    hvc_port_set(vm->pe, vstvec, VECTOR | (bits & 1));
    CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_INSN_LIMIT);
    check_to_vs(p, mode, pc, before);
    expect("count", hvc_port_delegated(vm->pe, (uint32_t)p->cause), count + 1);
    expect("retired", hvc_port_insns(vm->pe), insns);
}

static void delegate_all(const provocation *p, uint32_t mode)
{
    if (delegatable(p->cause)) {
        for (uint64_t bits = 0; bits < 8; bits++)
            delegated_once(p, mode, bits);
    } else {
        leave_to_hs(p, mode);
    }
}

static void test_to_vs(void)
{
    hvc_port_set(vm->pe, hedeleg, UINT64_MAX);
    for_all(delegate_all);
}

/* Each bit delegates its own cause and no other. */
static void delegate_one(const provocation *p, uint32_t mode)
{
    for (uint32_t bit = 0; bit < 64; bit++) {
        prepare(p, mode);
        hvc_port_set(vm->pe, hedeleg, HVC_BIT(bit));
        bool vs = bit == p->cause && delegatable(p->cause);
        CU_ASSERT_EQUAL(soft_steps(vm, 1), vs ? HVC_STOP_INSN_LIMIT : HVC_STOP_TRAP);
    }
}

static void test_bit_by_bit(void)
{
    for_all(delegate_one);
}

/* --- vectors ---------------------------------------------------------------------------------- */

static struct {
    uint64_t cause, hedeleg;
    uint32_t mode, runs;
    bool to_vs;
} route;

static void follow_route(const provocation *p, uint32_t mode)
{
    if (p->cause != route.cause || mode != route.mode)
        return;
    prepare(p, mode);
    hvc_port_set(vm->pe, hedeleg, route.hedeleg);
    enum hvc_port_stop stop = soft_steps(vm, 1);
    CU_ASSERT_EQUAL(stop, route.to_vs ? HVC_STOP_INSN_LIMIT : HVC_STOP_TRAP);
    expect("cause", route.to_vs ? hvc_port_get(vm->pe, vscause) : vm->raw.scause, route.cause);
    route.runs++;
}

/*
 * Of the vectors with firmware below, the end of the way: this machine has nothing below HS-mode.
 */
static void test_routes(void)
{
    static const char *const ids[] = {"route-01", "route-02", "route-03", "route-05",
                                      "route-06", "route-07", "route-08", "route-09",
                                      "route-10", "route-11", "route-14"};
    json_object *doc = hvc_vectors_open("riscv_vectors.json");
    size_t at = 0, done = 0;
    for (json_object *v; (v = hvc_vectors_next(doc, "route", &at));) {
        const char *id = hvc_json_str_or(v, "id", "");
        if (done == sizeof ids / sizeof ids[0] || strcmp(id, ids[done]))
            continue;
        route.cause = hvc_json_u64(v, "in.cause");
        route.hedeleg = hvc_json_u64(v, "in.hedeleg");
        route.mode = strcmp(hvc_json_str_or(v, "in.mode", ""), "VS") ? VU : VS;
        route.to_vs = !strcmp(hvc_json_str_or(v, "out.to", ""), "VS");
        route.runs = 0;
        CU_ASSERT_EQUAL(hvc_json_u64(v, "out.cause"), route.cause);
        for_all(follow_route);
        CU_ASSERT(route.runs > 0);
        done++;
    }
    CU_ASSERT_EQUAL(done, sizeof ids / sizeof ids[0]);
    json_object_put(doc);
}

/* --- interrupts ------------------------------------------------------------------------------- */

/* Returns the code that was taken in one step of a NOP, or -1. */
static int taken(uint32_t mode, uint64_t hvip, uint64_t hideleg, uint64_t vsie, uint64_t vsstatus,
                 uint64_t vstvec)
{
    const provocation nop = {.word = rv_nop(), .address = CODE};
    uint64_t pc = prepare(&nop, mode);
    uint32_t word = rv_nop();
    memcpy(soft_ptr(vm, GUEST + 2 * PAGE), &word, 4);
    memcpy(soft_ptr(vm, GUEST + 2 * PAGE + 4), &word, 4);
    hvc_port_set(vm->pe, hideleg, hideleg);
    hvc_port_set(vm->pe, vsie, vsie);
    hvc_port_set(vm->pe, hvip, hvip);
    hvc_port_set(vm->pe, vsstatus, vsstatus);
    hvc_port_set(vm->pe, vstvec, vstvec);
    CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_INSN_LIMIT);
    hvc_port_set(vm->pe, hvip, 0);
    if (vm->frame.pc == pc + 4)
        return -1;
    expect("vsepc", hvc_port_get(vm->pe, vsepc), pc);
    expect("vstval", hvc_port_get(vm->pe, vstval), 0);
    expect("SPP", hvc_port_get(vm->pe, vsstatus) >> 8 & 1, mode == VS);
    expect("SPIE", hvc_port_get(vm->pe, vsstatus) >> 5 & 1, vsstatus >> 1 & 1);
    expect("SIE", hvc_port_get(vm->pe, vsstatus) >> 1 & 1, 0);
    expect("cause", hvc_port_get(vm->pe, vscause) >> 63, 1);
    return (int)(hvc_port_get(vm->pe, vscause) & 63);
}

static void test_interrupts(void)
{
    static const int bits[] = {2, 6, 10};
    hvc_port_set(vm->pe, hedeleg, 0);
    for (int i = 0; i < 3; i++) {
        uint64_t bit = HVC_BIT(bits[i]);
        int code = bits[i] - 1;
        CU_ASSERT_EQUAL(taken(VS, bit, 0x444, 0x222, HVC_SSTATUS_SIE, VECTOR), code);
        expect("direct", vm->frame.pc, VECTOR + 4);
        CU_ASSERT_EQUAL(taken(VS, bit, 0x444, 0x222, 0, VECTOR), -1);
        CU_ASSERT_EQUAL(taken(VU, bit, 0x444, 0x222, 0, VECTOR), code); /* VU: always enabled */
        CU_ASSERT_EQUAL(taken(VU, bit, 0x444, 0x222 & ~(bit >> 1), 0, VECTOR), -1);
        CU_ASSERT_EQUAL(taken(VU, bit, 0x444 & ~bit, 0x222, 0, VECTOR), -1);
        CU_ASSERT_EQUAL(taken(VU, 0x444 & ~bit, bit, 0x222, 0, VECTOR), -1);
    }
}

/* External before software before timer (Priv. 12.1.3). */
static void test_interrupt_priority(void)
{
    CU_ASSERT_EQUAL(taken(VU, 0x444, 0x444, 0x222, 0, VECTOR), 9);
    CU_ASSERT_EQUAL(taken(VU, 0x044, 0x444, 0x222, 0, VECTOR), 1);
    CU_ASSERT_EQUAL(taken(VU, 0x440, 0x444, 0x222, 0, VECTOR), 9);
    CU_ASSERT_EQUAL(taken(VU, 0x444, 0x444, 0x022, 0, VECTOR), 1);
}

static void test_interrupt_vectors(void)
{
    uint32_t nop = rv_nop();
    memcpy(soft_ptr(vm, GUEST + 2 * PAGE + 36), &nop, 4);
    memcpy(soft_ptr(vm, GUEST + 2 * PAGE + 20), &nop, 4);
    CU_ASSERT_EQUAL(taken(VU, 0x400, 0x444, 0x222, 0, VECTOR | 1), 9);
    expect("vectored", vm->frame.pc, VECTOR + 36 + 4);
    CU_ASSERT_EQUAL(taken(VU, 0x040, 0x444, 0x222, 0, VECTOR | 1), 5);
    expect("vectored", vm->frame.pc, VECTOR + 20 + 4);
    CU_ASSERT_EQUAL(taken(VU, 0x004, 0x444, 0x222, 0, VECTOR | 1), 1);
    expect("vectored", vm->frame.pc, VECTOR + 4 + 4);
}

/* What unmasks an interrupt is followed by it at once: the vector's first instruction is next. */
static void check_unmask(uint32_t word, uint64_t vsie, uint64_t vsstatus, uint64_t hvip,
                         uint64_t epc)
{
    const provocation p = {.word = word, .address = CODE};
    prepare(&p, VS);
    vm->frame.x[RS1] = 0x222;
    hvc_port_set(vm->pe, hideleg, 0x444);
    hvc_port_set(vm->pe, vsie, vsie);
    hvc_port_set(vm->pe, hvip, hvip);
    hvc_port_set(vm->pe, vsstatus, vsstatus);
    CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_INSN_LIMIT);
    expect("vector", vm->frame.pc, VECTOR);
    expect("epc", hvc_port_get(vm->pe, vsepc), epc);
    expect("cause", hvc_port_get(vm->pe, vscause), HVC_CAUSE_INTERRUPT | 1);
    hvc_port_set(vm->pe, hvip, 0);
}

static void test_unmasking(void)
{
    uint64_t sie = HVC_SSTATUS_SIE, next = CODE + 16 + 4;
    check_unmask(rv_csrrsi(0, 0x100, 2), 0x222, 0, 4, next);
    check_unmask(rv_csrrw(0, 0x104, RS1), 0, sie, 4, next);
    check_unmask(rv_csrrsi(0, 0x144, 2), 0x222, sie, 0, next);
    check_unmask(rv_sret(), 0x222, HVC_SSTATUS_SPIE | HVC_SSTATUS_SPP, 4, 0x1110);
    check_unmask(rv_sret(), 0x222, 0, 4, 0x1110); /* to VU */
}

/* --- SRET ------------------------------------------------------------------------------------- */

/* Priv. 12.1.1.1: SIE = SPIE, SPIE = 1, mode = SPP, SPP = U. */
static void test_sret(void)
{
    for (uint64_t bits = 0; bits < 8; bits++) {
        const provocation p = {.word = rv_sret(), .address = CODE};
        uint64_t sie = bits & 1, spie = bits >> 1 & 1, spp = bits >> 2;
        prepare(&p, VS);
        hvc_port_set(vm->pe, vsstatus, sie << 1 | spie << 5 | spp << 8 | HVC_SSTATUS_SUM);
        CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_INSN_LIMIT);
        expect("pc", vm->frame.pc, 0x1110);
        expect("mode", vm->frame.sstatus >> 8 & 1, spp);
        expect("vsstatus", hvc_port_get(vm->pe, vsstatus),
               spie << 1 | 1 << 5 | HVC_SSTATUS_SUM | HVC_SSTATUS_UXL_64);
        expect("SPV", vm->frame.hstatus >> 7 & 1, 1);
    }
}

/* Host state that is not a guest's is refused, and nothing runs. */
static void test_not_a_guest(void)
{
    soft_mode(vm, VS, CODE);
    vm->frame.hstatus &= ~HVC_HSTATUS_SPV;
    CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_FAILED);
    CU_ASSERT_EQUAL(vm->raw.scause, 1);
    expect("pc", vm->frame.pc, CODE);
}

static const hvc_unit_test tests[] = {
    {"every cause to HS-mode", test_to_hs},
    {"every cause delegated", test_to_vs},
    {"hedeleg bit by bit", test_bit_by_bit},
    {"routing vectors", test_routes},
    {"interrupts", test_interrupts},
    {"priority of interrupts", test_interrupt_priority},
    {"vectored interrupts", test_interrupt_vectors},
    {"unmasking", test_unmasking},
    {"sret", test_sret},
    {"not a guest", test_not_a_guest},
    {NULL, NULL},
};

int main(void)
{
    setup();
    int rc = hvc_unit_main("soft riscv64: traps", tests);
    soft_vm_free(vm);
    return rc;
}
