/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile guests on the software machine: random instructions of every kind that it has, in VS and
 * VU over random tables, with random registers, alone and as four PEs that share code, data and
 * page tables. Nothing but banks may be touched (guard pages and sanitizers watch), enter comes
 * back, and what it says is well-formed. HVC_HOSTILE_WORDS sets how many instructions are
 * attempted, by the one PE and by the four together.
 */
#include "tests/unit/soft.h"

#include "backends/bare/soft/insns.h"

#include <stdio.h>

#define CODE_PAGES 16 /* random code at the beginning of the guest's memory */
#define VA_PAGES 64   /* random virtual pages from zero on */
#define PES 4
#define ALL_ISA                                                                           \
    (HVCORE_RISCV64_ISA_DEFAULT | HVCORE_RISCV64_ISA_SVADU | HVCORE_RISCV64_ISA_SVNAPOT | \
     HVCORE_RISCV64_ISA_SVPBMT)

/* One PE's life; several share the memory. */
typedef struct attacker {
    pthread_t thread;
    soft_vm *vm;
    hvc_pe *pe;
    hvcore_riscv64_fp fp;
    hvcore_riscv64_frame frame;
    hvc_raw_trap raw;
    uint64_t seed, words, traps, bad;
} attacker;

/* --- random material -------------------------------------------------------------------------- */

static uint64_t pick(uint64_t *seed, const uint64_t *list, size_t n)
{
    return list[hvc_random(seed) % n];
}

#define PICK(seed, list) pick(seed, list, sizeof(list) / sizeof((list)[0]))

/* Every encoding that there is: the bits that are fixed, and what they are. */
#define KIND(name, mask, match, ...) {mask, match},
#define KIND_(...) KIND(__VA_ARGS__)
/* clang-format off */
static const uint32_t kinds[][2] = {
    SOFT_REGISTER(KIND_) SOFT_IMMEDIATE(KIND_) SOFT_LOADS(KIND_) SOFT_STORES(KIND_)
    SOFT_BRANCHES(KIND_) SOFT_SPECIAL(KIND_) SOFT_CALLS(KIND_) SOFT_ENDS(KIND_)
    HVC_SOFT_FP(KIND_)
};
/* clang-format on */

static uint32_t random_csr(uint64_t *seed)
{
    static const uint64_t csrs[] = {0x100, 0x100, 0x104, 0x105, 0x106, 0x10a, 0x140, 0x141,
                                    0x142, 0x143, 0x144, 0x14d, 0x180, 0xc00, 0xc01, 0xc02,
                                    0x001, 0x002, 0x003, 0x600, 0x200, 0x24d, 0x300, 0xf14};
    return (uint32_t)PICK(seed, csrs) << 20;
}

/* Any bits; an encoding that exists with any fields; two compressed ones; what matters most. */
static uint32_t random_word(uint64_t *seed)
{
    static const uint64_t plain[] = {0x00000073, 0x00100073, 0x10200073, 0x10200073,
                                     0x10500073, 0x12000073, 0x12b50073, 0x0000100f};
    uint64_t r = hvc_random(seed);
    uint32_t word = (uint32_t)(r >> 32);
    const uint32_t *kind = kinds[(r >> 8) % (sizeof kinds / sizeof kinds[0])];
    switch (r % 16) {
    case 0:
        return word;
    case 1:
        return (uint32_t)PICK(seed, plain);
    case 2:
        return (word & 0xfff80) | 0x73 | random_csr(seed);
    case 3:
    case 4:
    case 5:
        return (word & 0x3ffffffc) | ((word & 3) % 3) | (word >> 30) % 3 << 16;
    case 6: /* AMO, LR, SC */
        return (word & ~0x707fu) | 0x2f | (word & 0x1000) | 0x2000;
    default:
        return (word & ~kind[0]) | kind[1];
    }
}

/*
 * An address near something: a mapped page, its edge, a boundary of the address space, or anything.
 */
static uint64_t random_address(uint64_t *seed)
{
    static const uint64_t odd[] = {0,
                                   UINT64_MAX,
                                   UINT64_C(1) << 38,
                                   ~UINT64_C(0) << 38,
                                   UINT64_C(1) << 41,
                                   UINT64_C(1) << 56,
                                   UINT64_C(1) << 63,
                                   GUEST,
                                   GUEST + GUEST_SIZE,
                                   GUEST - PAGE};
    uint64_t r = hvc_random(seed);
    switch (r % 8) {
    case 0:
        return hvc_random(seed);
    case 1:
        return PICK(seed, odd) + (r >> 8 & 31) - 16;
    case 2:
        return GUEST + (r >> 8) % GUEST_SIZE;
    default:
        return (r >> 8) % (VA_PAGES * PAGE);
    }
}

/* An entry that points to the guest's memory most of the time, with rights that work half of it. */
static uint64_t random_pte(uint64_t *seed, uint64_t base, uint64_t always)
{
    uint64_t r = hvc_random(seed), page = base / PAGE + (r >> 8) % GUEST_PAGES;
    switch (r % 8) {
    case 0:
        return hvc_random(seed);
    case 1:
        return page << HVC_PTE_PPN_SHIFT | (r >> 48 & 0xff);
    case 2:
        return 0;
    default:
        return page << HVC_PTE_PPN_SHIFT | PTE_S | always | (r >> 40 & HVC_PTE_U);
    }
}

/* --- the guest -------------------------------------------------------------------------------- */

static void fill_code(soft_vm *vm, uint64_t *seed)
{
    uint32_t *code = (uint32_t *)(void *)vm->ram;
    for (size_t i = 0; i < CODE_PAGES * PAGE / 4; i++)
        code[i] = random_word(seed);
}

/*
 * The VS-stage maps some of the code where random addresses are; its tables are guest memory as
 * well.
 */
static uint64_t make_vs_tables(soft_vm *vm, uint64_t *seed)
{
    uint64_t root = soft_vs_page(vm);
    for (uint64_t n = 0; n < VA_PAGES; n++) {
        uint64_t *e = soft_vs_entry(vm, root, n * PAGE, 0);
        *e = random_pte(seed, GUEST, 0);
        if (n % 4 == 0)
            *e = (GUEST / PAGE + n / 4) << HVC_PTE_PPN_SHIFT | PTE_S | (n & 4 ? HVC_PTE_U : 0);
    }
    *soft_vs_entry(vm, root, UINT64_C(1) << 30, 2) = random_pte(seed, GUEST, 0);
    *soft_vs_entry(vm, root, UINT64_C(2) << 30, 1) = random_pte(seed, GUEST, 0);
    return root;
}

/* The G-stage is the hypervisor's: some pages are missing, read-only, or lead where nothing is. */
static void make_g_tables(soft_vm *vm, uint64_t *seed)
{
    soft_map_ram(vm);
    for (uint64_t n = CODE_PAGES; n < GUEST_PAGES - 16; n += 1 + hvc_random(seed) % 8) {
        uint64_t *e = soft_g_entry(vm, GUEST + n * PAGE);
        static const uint64_t flags[] = {0, PTE_S, PTE_USER & ~HVC_PTE_W, PTE_USER & ~HVC_PTE_D};
        *e = (*e & ~UINT64_C(0xff)) | PICK(seed, flags);
        if (hvc_random(seed) % 4 == 0)
            *e = (hvc_random(seed) & 0xffffffffff) << HVC_PTE_PPN_SHIFT << 4 | PTE_USER;
    }
}

static soft_vm *make_guest(uint64_t *seed, uint64_t isa)
{
    soft_vm *vm = soft_vm_new_isa(isa);
    make_g_tables(vm, seed);
    fill_code(vm, seed);
    hvc_port_set(vm->pe, vsatp, soft_satp(make_vs_tables(vm, seed), 1));
    return vm;
}

/* --- one PE's life ---------------------------------------------------------------------------- */

/* In a page of code that this mode may fetch, unless somebody has changed that. */
static uint64_t code_pc(uint64_t *seed, bool vs)
{
    uint64_t r = hvc_random(seed), page = r % 8 * 8 + (vs ? 0 : 4);
    return page * PAGE + (r >> 8 & 0xffe);
}

static void random_registers(attacker *a, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t r = hvc_random(&a->seed);
        a->frame.x[1 + r % 31] =
            random_address(&a->seed) & (r >> 8 & 3 ? ~UINT64_C(7) : UINT64_MAX);
    }
}

static void random_system(attacker *a, uint64_t r)
{
    hvc_port_set(a->pe, vsstatus, hvc_random(&a->seed));
    hvc_port_set(a->pe, hedeleg, r & 32 ? UINT64_MAX : hvc_random(&a->seed));
    hvc_port_set(a->pe, hideleg, r);
    hvc_port_set(a->pe, hvip, r >> 20);
    hvc_port_set(a->pe, hcounteren, r >> 30);
    hvc_port_set(a->pe, henvcfg, hvc_random(&a->seed));
    hvc_port_set(a->pe, vstimecmp, r & 1 ? UINT64_MAX : 0);
}

/* Most lives begin where they can go on; some anywhere. */
static void new_life(attacker *a, uint64_t hgatp, uint64_t vsatp)
{
    uint64_t r = hvc_random(&a->seed);
    random_registers(a, 64);
    a->frame.sstatus = r & (HVC_SSTATUS_SPP | HVC_SSTATUS_FS);
    a->frame.pc = code_pc(&a->seed, r & HVC_SSTATUS_SPP);
    if (r >> 16 & 7)
        a->frame.sstatus |= HVC_SSTATUS_FS;
    else
        a->frame.pc = random_address(&a->seed);
    a->frame.hstatus = HVC_HSTATUS_SPV | (r & 1 ? hvc_random(&a->seed) & (UINT64_C(7) << 20) : 0);
    if (r >> 24 & 3) {
        hvc_port_set(a->pe, vsatp, r >> 26 & 31 ? vsatp : hvc_random(&a->seed));
        hvc_port_set(a->pe, vstvec,
                     r >> 32 & 7 ? code_pc(&a->seed, true) : random_address(&a->seed));
        hvc_port_set(a->pe, vsepc, code_pc(&a->seed, r >> 31 & 1));
        hvc_port_set(a->pe, hgatp, hgatp);
        hvc_port_set(a->pe, hedeleg, r >> 40 & 1 ? UINT64_MAX : 0);
        hvc_port_set(a->pe, vsstatus, hvc_port_get(a->pe, vsstatus) | HVC_SSTATUS_FS);
    }
    if (r >> 48 & 1)
        random_system(a, r);
}

/* The next instruction with other operands, or elsewhere if nothing could be fetched. */
static void after_stop(attacker *a)
{
    uint64_t cause = a->raw.scause;
    bool fetch = cause < 2 || cause == 12 || cause == 20;
    random_registers(a, 8);
    if (fetch)
        a->frame.pc = code_pc(&a->seed, a->frame.sstatus & HVC_SSTATUS_SPP);
    else
        a->frame.pc += hvc_random(&a->seed) & 1 ? 2 : 4;
}

/* What enter says must be what a hart can say. */
static bool well_formed(const attacker *a, enum hvc_port_stop stop)
{
    const hvcore_riscv64_frame *f = &a->frame;
    bool frame = f->x[0] == 0 && !(f->pc & a->pe->ialign) && f->hstatus & HVC_HSTATUS_SPV &&
                 !(f->hstatus >> 8 & 1) == !(f->sstatus >> 8 & 1) && a->fp.fcsr < 256;
    if (stop == HVC_STOP_INSN_LIMIT)
        return frame;
    return frame && stop == HVC_STOP_TRAP && a->raw.scause < 24 &&
           !(hvc_port_get(a->pe, hedeleg) >> a->raw.scause & 1) && a->raw.htinst <= UINT32_MAX &&
           (a->raw.scause >= 20 || !a->raw.htval);
}

static void *live(void *arg)
{
    attacker *a = arg;
    uint64_t hgatp = hvc_port_get(a->pe, hgatp), vsatp = hvc_port_get(a->pe, vsatp),
             left = a->words;
    hvc_port_fp_load(a->pe, &a->fp);
    while (left) {
        uint64_t n = 1 + hvc_random(&a->seed) % 300;
        n = n < left ? n : left;
        new_life(a, hgatp, vsatp);
        hvc_port_budget(a->pe, n);
        do {
            enum hvc_port_stop stop = hvc_port_enter(a->pe, &a->frame, &a->raw);
            a->bad += !well_formed(a, stop);
            a->traps += stop == HVC_STOP_TRAP;
            if (stop == HVC_STOP_TRAP)
                after_stop(a);
        } while (a->pe->budget);
        left -= n;
    }
    return NULL;
}

static uint64_t words_wanted(void)
{
    const char *text = getenv("HVC_HOSTILE_WORDS");
    return text ? strtoull(text, NULL, 0) : 1000000;
}

/* No guest is mapped at the G-stage's tables; only the hart itself writes A and D there. */
static bool tables_are(const soft_vm *vm, const uint64_t *before)
{
    for (uint64_t i = 0; i < TABLES_SIZE / 8; i++) {
        if ((vm->tables[i] ^ before[i]) & ~(HVC_PTE_A | HVC_PTE_D))
            return false;
    }
    return true;
}

#define GUESTS 20

static void test_alone(void)
{
    uint64_t seed = 42, traps = 0, retired = 0;
    for (int i = 0; i < GUESTS; i++) {
        soft_vm *vm = make_guest(&seed, i % 4 ? ALL_ISA : HVCORE_RISCV64_ISA_BASE);
        attacker a = {.vm = vm, .pe = vm->pe, .seed = seed, .words = words_wanted() / GUESTS};
        uint64_t *before = malloc(TABLES_SIZE);
        memcpy(before, vm->tables, TABLES_SIZE);
        live(&a);
        CU_ASSERT_EQUAL(a.bad, 0);
        CU_ASSERT(tables_are(vm, before));
        CU_ASSERT(hvc_port_insns(vm->pe) > 0);
        traps += a.traps;
        retired += hvc_port_insns(vm->pe);
        free(before);
        soft_vm_free(vm);
    }
    CU_ASSERT(traps > 0 && traps < words_wanted());
    CU_ASSERT(retired > words_wanted() / 10); /* they live, and not only trap */
    printf("%llu retired, %llu stops ... ", (unsigned long long)retired, (unsigned long long)traps);
}

/* Four PEs on the same code, data and tables, that they write as well. */
static void attack_together(uint64_t seed)
{
    soft_vm *vm = make_guest(&seed, ALL_ISA);
    attacker a[PES];
    uint64_t *before = malloc(TABLES_SIZE);
    memcpy(before, vm->tables, TABLES_SIZE);
    memset(a, 0, sizeof a);
    for (uint32_t i = 0; i < PES; i++) {
        a[i] = (attacker){.vm = vm, .pe = vm->pe, .seed = seed + i};
        a[i].words = words_wanted() / PES / GUESTS;
        if (i && hvc_port_pe_claim(vm->m, i, &a[i].pe))
            abort();
        hvc_port_set(a[i].pe, hgatp, hvc_port_get(vm->pe, hgatp));
        hvc_port_set(a[i].pe, vsatp, hvc_port_get(vm->pe, vsatp));
    }
    for (uint32_t i = 0; i < PES; i++) {
        if (pthread_create(&a[i].thread, NULL, live, &a[i]))
            abort();
    }
    for (uint32_t i = 0; i < PES; i++) {
        pthread_join(a[i].thread, NULL);
        CU_ASSERT_EQUAL(a[i].bad, 0);
    }
    CU_ASSERT(tables_are(vm, before));
    for (uint32_t i = 1; i < PES; i++)
        hvc_port_pe_release(a[i].pe);
    free(before);
    soft_vm_free(vm);
}

static void test_together(void)
{
    for (uint64_t i = 0; i < GUESTS; i++)
        attack_together(7000 + i);
}

/* The page table points at itself, and at every level it is its own leaf. */
static void test_self_map(void)
{
    soft_vm *vm = soft_vm_new();
    soft_map_ram(vm);
    uint64_t root = soft_vs_page(vm), *t = soft_ptr(vm, root);
    for (int i = 0; i < 512; i++)
        t[i] = root >> 12 << HVC_PTE_PPN_SHIFT | HVC_PTE_V;
    hvc_port_set(vm->pe, vsatp, soft_satp(root, 0));
    hvc_port_set(vm->pe, hedeleg, UINT64_MAX);
    soft_mode(vm, VS, 0);
    CU_ASSERT_EQUAL(soft_steps(vm, 1000), HVC_STOP_INSN_LIMIT);
    CU_ASSERT_EQUAL(hvc_port_delegated(vm->pe, 12), 1000);
    soft_vm_free(vm);
}

static const hvc_unit_test tests[] = {
    {"one PE", test_alone},
    {"four PEs on one memory", test_together},
    {"a table that is its own table", test_self_map},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("soft riscv64: hostile guests", tests);
}
