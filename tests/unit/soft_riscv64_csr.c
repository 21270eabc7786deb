/* SPDX-License-Identifier: Apache-2.0 */
/* CSRs of the software machine: who may access what, what a write keeps, what counters count. */
#include "tests/unit/soft.h"

#include <stdio.h>

enum { RD = RV_T2, RS1 = RV_T0 };

static soft_vm *vm;

static const uint32_t modes[] = {VS, VU};

/* 0: the instruction retired, else the cause of its trap, which says what it should. */
static uint64_t cause_of(uint32_t mode, uint32_t word)
{
    if (soft_one(vm, mode, word) != HVC_STOP_TRAP) {
        CU_ASSERT_EQUAL(vm->frame.pc, GUEST + 4);
        return 0;
    }
    CU_ASSERT_EQUAL(vm->frame.pc, GUEST);
    CU_ASSERT_EQUAL(vm->raw.stval, word);
    return vm->raw.scause;
}

static void expect(const char *what, uint32_t number, uint64_t got, uint64_t want)
{
    if (got != want)
        fprintf(stderr, "\n%s %#x: %#llx, not %#llx\n", what, number, (unsigned long long)got,
                (unsigned long long)want);
    CU_ASSERT_EQUAL(got, want);
}

/* --- 2 or 22 ---------------------------------------------------------------------------------- */

/*
 * The CSRs of this hart by who owns them: from the tables of Priv. 2.2, without those of extensions
 * that it does not have. Independent of the machine's own table.
 */
static const uint16_t supervisors[] = {0x100, 0x104, 0x105, 0x106, 0x10a, 0x140,
                                       0x141, 0x142, 0x143, 0x144, 0x180, 0};
static const uint16_t hypervisors[] = {0x600, 0x602, 0x603, 0x604, 0x605, 0x606, 0x607, 0x60a,
                                       0x643, 0x644, 0x645, 0x64a, 0x680, 0xe12, 0x200, 0x204,
                                       0x205, 0x240, 0x241, 0x242, 0x243, 0x244, 0x280, 0};
static const uint16_t counters[] = {0xc00, 0xc01, 0xc02, 0};

static bool among(const uint16_t *list, uint32_t number)
{
    while (*list && *list != number)
        list++;
    return *list != 0;
}

/* Specs 1.2, with all counters enabled and nothing trapped by hstatus. */
static uint64_t access_rule(uint32_t number, uint32_t mode, bool write)
{
    bool read_only = (number & 0xc00) == 0xc00;
    bool legal_in_hs =
        (among(supervisors, number) || among(hypervisors, number) || among(counters, number)) &&
        !(write && read_only);
    if (!legal_in_hs)
        return HVCORE_RISCV64_ILLEGAL_INSN;
    if (among(hypervisors, number) || (mode == VU && among(supervisors, number)))
        return HVCORE_RISCV64_VIRTUAL_INSN;
    return 0;
}

static void test_every_number(void)
{
    hvc_port_set(vm->pe, hcounteren, 7);
    hvc_port_set(vm->pe, scounteren, 7);
    for (uint32_t number = 0; number < 4096; number++) {
        for (int i = 0; i < 2; i++) {
            hvc_port_set(vm->pe, scounteren, 7);
            expect("read", number, cause_of(modes[i], rv_csrr(RD, number)),
                   access_rule(number, modes[i], false));
            expect("write", number, cause_of(modes[i], rv_csrrw(RD, number, 0)),
                   access_rule(number, modes[i], true));
            expect("set", number, cause_of(modes[i], rv_csrrsi(RD, number, 0)),
                   access_rule(number, modes[i], false));
            hvc_port_set(vm->pe, scounteren, 7);
            expect("clear", number, cause_of(modes[i], rv_csrrci(RD, number, 1)),
                   access_rule(number, modes[i], true));
        }
    }
}

/* A counter needs its bit in hcounteren, from VU also in scounteren; else 22. Writes: always 2. */
static void test_counter_enables(void)
{
    for (uint32_t set = 0; set < 8 * 8 * 3; set++) {
        uint32_t h = set & 7, s = set >> 3 & 7, n = set >> 6, number = 0xc00 + n;
        hvc_port_set(vm->pe, hcounteren, h);
        hvc_port_set(vm->pe, scounteren, s);
        uint64_t vs = h >> n & 1 ? 0 : HVCORE_RISCV64_VIRTUAL_INSN;
        uint64_t vu = (h & s) >> n & 1 ? 0 : HVCORE_RISCV64_VIRTUAL_INSN;
        expect("VS", number, cause_of(VS, rv_csrr(RD, number)), vs);
        expect("VU", number, cause_of(VU, rv_csrr(RD, number)), vu);
        expect("VS", number, cause_of(VS, rv_csrrw(RD, number, RS1)), HVCORE_RISCV64_ILLEGAL_INSN);
    }
}

/* With the bit of hstatus set VS may not; VU never may. */
static void check_withheld(uint64_t bit, uint32_t word)
{
    memcpy(soft_ptr(vm, GUEST), &word, sizeof word);
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t mode = i & 1 ? VS : VU;
        bool legal = mode == VS && !(i & 2);
        soft_mode(vm, mode, GUEST);
        vm->frame.hstatus |= i & 2 ? bit : 0;
        CU_ASSERT_EQUAL(soft_steps(vm, 1), legal ? HVC_STOP_INSN_LIMIT : HVC_STOP_TRAP);
        if (!legal)
            expect("withheld", word, vm->raw.scause, HVCORE_RISCV64_VIRTUAL_INSN);
    }
}

static void test_withheld(void)
{
    hvc_port_set(vm->pe, vsepc, GUEST);
    check_withheld(HVC_HSTATUS_VTSR, rv_sret());
    check_withheld(HVC_HSTATUS_VTW, rv_wfi());
    check_withheld(HVC_HSTATUS_VTVM, rv_sfence_vma(0, 0));
    check_withheld(HVC_HSTATUS_VTVM, rv_sfence_vma(RS1, RS1));
    check_withheld(HVC_HSTATUS_VTVM, rv_csrr(RD, 0x180));
    check_withheld(HVC_HSTATUS_VTVM, rv_csrrw(0, 0x180, 0));
}

/* No bit of hstatus concerns these: 22 for what the hypervisor extension has, 2 for the rest. */
static void test_other_instructions(void)
{
    for (int i = 0; i < 2; i++) {
        for (uint32_t width = 0; width < 4; width++) {
            expect("hlv", width, cause_of(modes[i], rv_hlv(width, 0, RD, RS1)), 22);
            expect("hsv", width, cause_of(modes[i], rv_hsv(width, RD, RS1)), 22);
            expect("hlv.u", width, cause_of(modes[i], rv_hlv(width, 1, RD, RS1)),
                   width == 3 ? 2 : 22);
            expect("hlvx", width, cause_of(modes[i], rv_hlv(width, 3, RD, RS1)),
                   width == 1 || width == 2 ? 22 : 2);
        }
        expect("hfence.vvma", 0, cause_of(modes[i], rv_hfence_vvma(0, 0)), 22);
        expect("hfence.gvma", 0, cause_of(modes[i], rv_hfence_gvma(RS1, RS1)), 22);
        expect("hinval.vvma", 0, cause_of(modes[i], 0x26000073), 22);
        expect("hinval.gvma", 0, cause_of(modes[i], 0x66000073), 22);
        expect("sinval.vma", 0, cause_of(modes[i], rv_sinval_vma(0, 0)), modes[i] == VS ? 0 : 22);
        expect("sfence.w.inval", 0, cause_of(modes[i], 0x18000073), modes[i] == VS ? 0 : 22);
        expect("mret", 0, cause_of(modes[i], rv_mret()), 2);
    }
}

/* --- values ----------------------------------------------------------------------------------- */

static uint64_t executed(uint32_t word, uint64_t operand)
{
    vm->frame.x[RS1] = operand;
    vm->frame.x[RD] = UINT64_C(0x5a5a);
    CU_ASSERT_EQUAL(cause_of(VS, word), 0);
    return vm->frame.x[RD];
}

static void test_operations(void)
{
    static const struct {
        uint32_t (*encode)(uint32_t rd, uint32_t csr, uint32_t rs1);
        uint32_t rs1;
        uint64_t want;
    } cases[] = {
        {rv_csrrw, RS1, 0x0f0f}, {rv_csrrw, 0, 0},        {rv_csrrs, RS1, 0xff0f},
        {rv_csrrs, 0, 0xff00},   {rv_csrrc, RS1, 0xf000}, {rv_csrrc, 0, 0xff00},
        {rv_csrrwi, 31, 31},     {rv_csrrwi, 0, 0},       {rv_csrrsi, 17, 0xff11},
        {rv_csrrci, 31, 0xff00}, {rv_csrrsi, 0, 0xff00},  {rv_csrrci, 0, 0xff00},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hvc_port_set(vm->pe, vsscratch, 0xff00);
        expect("old", (uint32_t)i, executed(cases[i].encode(RD, 0x140, cases[i].rs1), 0x0f0f),
               0xff00);
        expect("new", (uint32_t)i, hvc_port_get(vm->pe, vsscratch), cases[i].want);
    }
    hvc_port_set(vm->pe, vsscratch, 5);
    vm->frame.x[RS1] = 6;
    CU_ASSERT_EQUAL(cause_of(VS, rv_csrrw(RS1, 0x140, RS1)), 0); /* a swap */
    expect("swap", 0, vm->frame.x[RS1], 5);
    expect("swap", 0, hvc_port_get(vm->pe, vsscratch), 6);
}

#define VSSTATUS_RW UINT64_C(0xc0122) /* SIE, SPIE, SPP, SUM, MXR */
#define UXL64 UINT64_C(0x200000000)
#define SATP(mode) ((uint64_t)(mode) << 60)

/* What a guest reads back after writing: all ones, then zero. hideleg is 0x444, hvip is 0x444. */
static void test_guest_writes(void)
{
    static const struct {
        uint32_t number;
        uint64_t ones, zeros;
    } cases[] = {
        {0x100, VSSTATUS_RW | UXL64, UXL64},
        {0x104, 0x222, 0},
        {0x105, UINT64_C(0xfffffffffffffffd), 0}, /* MODE 3 is not legal: bit 1 is dropped */
        {0x106, 7, 0},
        {0x10a, 1, 0},
        {0x140, UINT64_MAX, 0},
        {0x141, UINT64_C(0xfffffffffffffffc), 0},
        {0x142, UINT64_C(0x800000000000003f), 0},
        {0x143, UINT64_MAX, 0},
        {0x144, 0x222, 0x220}, /* a guest clears SSIP alone */
        {0x180, 0, 0},         /* MODE 15 does not exist: nothing is written */
    };
    hvc_port_set(vm->pe, hideleg, UINT64_MAX);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t n = cases[i].number;
        hvc_port_set(vm->pe, hvip, UINT64_MAX);
        hvc_port_set(vm->pe, vsie, 0);
        hvc_port_set(vm->pe, vsatp, 0);
        hvc_port_set(vm->pe, vsstatus, 0);
        executed(rv_csrrw(0, n, RS1), UINT64_MAX);
        expect("ones", n, executed(rv_csrr(RD, n), 0), cases[i].ones);
        executed(rv_csrrw(0, n, RS1), 0);
        expect("zeros", n, executed(rv_csrr(RD, n), 0), cases[i].zeros);
    }
    hvc_port_set(vm->pe, hvip, 0);
    hvc_port_set(vm->pe, hideleg, 0);
}

#define CHECK_SET(name, value, want)                               \
    do {                                                           \
        hvc_port_set(vm->pe, name, value);                         \
        expect(#name, __LINE__, hvc_port_get(vm->pe, name), want); \
    } while (0)

static void test_port_writes(void)
{
    uint64_t ones = UINT64_MAX, hgatp = hvc_port_get(vm->pe, hgatp);
    CHECK_SET(hedeleg, ones, 0xcb1ff);
    CHECK_SET(hideleg, ones, 0x444);
    CHECK_SET(hvip, ones, 0x444);
    CHECK_SET(henvcfg, ones, 1);
    CHECK_SET(senvcfg, ones, 1);
    CHECK_SET(hcounteren, ones, 7);
    CHECK_SET(scounteren, ones, 7);
    CHECK_SET(vsstatus, ones, VSSTATUS_RW | UXL64);
    CHECK_SET(vsstatus, 0, UXL64);
    CHECK_SET(vsie, ones, 0x222);
    CHECK_SET(vsepc, ones, ~UINT64_C(3));
    CHECK_SET(vstvec, 0x1001, 0x1001);
    CHECK_SET(vstvec, 0x1002, 0x1000);
    CHECK_SET(vscause, 23, 23);
    CHECK_SET(vsatp, 0, 0);
    CHECK_SET(vsatp, SATP(8) | 0xfffffffffffffff, SATP(8) | 0xfffffffffffffff);
    CHECK_SET(vsatp, SATP(7) | 1, SATP(8) | 0xfffffffffffffff); /* ignored */
    CHECK_SET(vsatp, SATP(9) | 1, SATP(9) | 1);
    CHECK_SET(vsatp, SATP(10) | 2, SATP(10) | 2);
    CHECK_SET(vsatp, SATP(11) | 2, SATP(10) | 2);
    CHECK_SET(vsatp, 0x1234, 0); /* Bare keeps nothing */
    CHECK_SET(hgatp, SATP(8) | 0xfffffffffffffff, SATP(8) | 0x3fffffffffffffc);
    CHECK_SET(hgatp, SATP(1) | 4, SATP(8) | 4); /* the fields are WARL one by one */
    CHECK_SET(hgatp, SATP(9) | 4, SATP(9) | 4);
    CHECK_SET(hgatp, SATP(10) | 8, SATP(10) | 8);
    CHECK_SET(hgatp, 0x1234, 0);
    hvc_port_set(vm->pe, hgatp, hgatp);
    CHECK_SET(hedeleg, 0, 0);
    CHECK_SET(hideleg, 0, 0);
    CHECK_SET(hvip, 0, 0);
}

/* vsie is hie where hideleg is set: a bit that is not delegated reads zero but is not lost. */
static void test_interrupt_aliases(void)
{
    hvc_port_set(vm->pe, hideleg, 0x444);
    hvc_port_set(vm->pe, vsie, 0x222);
    hvc_port_set(vm->pe, hideleg, 0x404);
    hvc_port_set(vm->pe, hvip, 0x444);
    expect("sie", 0x104, executed(rv_csrr(RD, 0x104), 0), 0x202);
    expect("sip", 0x144, executed(rv_csrr(RD, 0x144), 0), 0x202);
    executed(rv_csrrw(0, 0x104, RS1), 0);
    hvc_port_set(vm->pe, hideleg, 0x440);
    expect("sie", 0x104, hvc_port_get(vm->pe, vsie), 0x020);
    executed(rv_csrrw(0, 0x144, RS1), 0); /* SSIP is not the guest's now */
    expect("hvip", 0, hvc_port_get(vm->pe, hvip), 0x444);
    hvc_port_set(vm->pe, hideleg, 0x444);
    hvc_port_set(vm->pe, vsie, 0);
    executed(rv_csrrci(0, 0x144, 2), 0);
    expect("hvip", 0, hvc_port_get(vm->pe, hvip), 0x440);
    executed(rv_csrrsi(0, 0x144, 2), 0);
    expect("hvip", 0, hvc_port_get(vm->pe, hvip), 0x444);
    hvc_port_set(vm->pe, hvip, 0);
    hvc_port_set(vm->pe, hideleg, 0);
}

/* --- counters --------------------------------------------------------------------------------- */

/* instret and cycle count what retired before them: not what trapped. */
static void test_instret(void)
{
    hvc_port_set(vm->pe, hcounteren, 7);
    uint64_t before = hvc_port_insns(vm->pe);
    rv_code c = rv_at(soft_ptr(vm, GUEST), GUEST);
    rv_put(&c, rv_csrr(RV_A0, 0xc02));
    rv_put(&c, rv_nop());
    rv_put(&c, rv_csrr(RV_A1, 0xc02));
    rv_put(&c, rv_csrr(RV_A2, 0xc00));
    rv_put(&c, rv_ecall());
    rv_put(&c, rv_csrr(RV_A3, 0xc02));
    rv_put(&c, rv_ecall());
    soft_mode(vm, VS, GUEST);
    CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_TRAP);
    expect("retired", 0, hvc_port_insns(vm->pe), before + 4);
    vm->frame.pc += 4;
    CU_ASSERT_EQUAL(soft_enter(vm), HVC_STOP_TRAP);
    expect("instret", 0, vm->frame.x[RV_A0], before);
    expect("instret", 1, vm->frame.x[RV_A1], before + 2);
    expect("cycle", 2, vm->frame.x[RV_A2], before + 3);
    expect("instret", 3, vm->frame.x[RV_A3], before + 4);
}

static void test_time(void)
{
    uint64_t before = hvc_host_now() / 100;
    uint64_t seen = executed(rv_csrr(RD, 0xc01), 0);
    uint64_t after = hvc_host_now() / 100;
    CU_ASSERT(before <= seen && seen <= after);
}

static const hvc_unit_test tests[] = {
    {"illegal or virtual: every number", test_every_number},
    {"counter enables", test_counter_enables},
    {"what hstatus withholds", test_withheld},
    {"hypervisor instructions", test_other_instructions},
    {"CSR instructions", test_operations},
    {"what a guest's write keeps", test_guest_writes},
    {"what the hypervisor's write keeps", test_port_writes},
    {"vsie and vsip are aliases", test_interrupt_aliases},
    {"instret and cycle", test_instret},
    {"time", test_time},
    {NULL, NULL},
};

int main(void)
{
    vm = soft_vm_new();
    soft_map_ram(vm);
    int rc = hvc_unit_main("soft riscv64: CSRs", tests);
    soft_vm_free(vm);
    return rc;
}
