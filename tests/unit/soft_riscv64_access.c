/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses of the software machine that are not plain: misaligned ones, page tables with Svadu,
 * Svnapot and Svpbmt; and htinst for every kind of access, from the vectors.
 */
#include "tests/unit/soft_ext.h"
#include "tests/unit/vectors.h"

/* --- misaligned accesses --------------------------------------------------------------------- */

typedef struct access {
    uint32_t word;
    uint32_t size;
    bool store, is_signed, is_float;
} access;

/* t0 is the address, t2 or f7 the register of the data. */
static const access *accesses(size_t *n)
{
    static access list[16];
    const access all[] = {{rv_lh(RD, 0, RS1), 2, 0, 1, 0},    {rv_lhu(RD, 0, RS1), 2, 0, 0, 0},
                          {rv_lw(RD, 0, RS1), 4, 0, 1, 0},    {rv_lwu(RD, 0, RS1), 4, 0, 0, 0},
                          {rv_ld(RD, 0, RS1), 8, 0, 1, 0},    {rv_sh(RD, 0, RS1), 2, 1, 0, 0},
                          {rv_sw(RD, 0, RS1), 4, 1, 0, 0},    {rv_sd(RD, 0, RS1), 8, 1, 0, 0},
                          {rv_fl(2, RD, 0, RS1), 4, 0, 0, 1}, {rv_fl(3, RD, 0, RS1), 8, 0, 0, 1},
                          {rv_fs(2, RD, 0, RS1), 4, 1, 0, 1}, {rv_fs(3, RD, 0, RS1), 8, 1, 0, 1}};
    *n = sizeof all / sizeof all[0];
    memcpy(list, all, sizeof all);
    return list;
}

static uint64_t extended(uint64_t value, const access *a)
{
    uint32_t bits = 8 * a->size;
    if (bits == 64)
        return value;
    value &= (UINT64_C(1) << bits) - 1;
    if (a->is_float)
        return value | UINT64_MAX << 32;
    return a->is_signed && value >> (bits - 1) ? value | UINT64_MAX << bits : value;
}

#define TWO (UINT64_C(0x60000)) /* two pages whose memory is not in order */

static uint8_t *byte_at(uint64_t va)
{
    uint64_t page = va < TWO + PAGE ? GUEST + 5 * PAGE : GUEST + 3 * PAGE;
    return soft_ptr(vm, page + va % PAGE);
}

static void check_misaligned(const access *a, uint64_t va, uint64_t value)
{
    for (uint32_t i = 0; i < 24; i++)
        *byte_at(va - 8 + i) = (uint8_t)(0x80 + i);
    uint64_t memory = 0;
    for (uint32_t i = 0; i < a->size; i++)
        memory |= (uint64_t)*byte_at(va + i) << 8 * i;
    vm->frame.x[RS1] = va;
    vm->frame.x[RD] = vm->fp.f[RD] = value;
    expect("access", run(a->word), RETIRED);
    if (!a->store) {
        expect("loaded", a->is_float ? vm->fp.f[RD] : vm->frame.x[RD], extended(memory, a));
        return;
    }
    for (uint32_t i = 0; i < 24; i++) {
        bool inside = i >= 8 && i < 8 + a->size;
        CU_ASSERT_EQUAL(*byte_at(va - 8 + i),
                        inside ? (uint8_t)(value >> 8 * (i - 8)) : (uint8_t)(0x80 + i));
    }
}

static void test_misaligned(void)
{
    size_t n;
    const access *list = accesses(&n);
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    fp_states(3, 3);
    soft_map_vs(vm, root, TWO, GUEST + 5 * PAGE, PTE_S);
    soft_map_vs(vm, root, TWO + PAGE, GUEST + 3 * PAGE, PTE_S);
    for (size_t i = 0; i < n; i++) {
        for (uint64_t off = 0; off < 17; off++) {
            check_misaligned(&list[i], TWO + 64 + off, UINT64_C(0x0123456789abcdef));
            check_misaligned(&list[i], TWO + PAGE - 9 + off, UINT64_C(0xfedcba9876543210));
        }
    }
    end();
}

static void test_misaligned_traps(void)
{
    size_t n;
    const access *list = accesses(&n);
    begin(HVCORE_RISCV64_ISA_DEFAULT & ~(uint64_t)HVCORE_RISCV64_ISA_MISALIGNED);
    fp_states(3, 3);
    for (size_t i = 0; i < n; i++) {
        for (uint64_t off = 0; off < 8; off++) {
            bool aligned = off % list[i].size == 0;
            vm->frame.x[RS1] = DATA + off;
            expect("cause", run(list[i].word), aligned ? RETIRED : list[i].store ? 6 : 4);
            if (!aligned)
                expect("stval", vm->raw.stval, DATA + off);
        }
    }
    end();
}

/*
 * The first page is there, the second is not: stval is the address of the part that faults, and
 * htinst says how far that is from the start (Priv. 21.6.3). Nothing is written.
 */
static void check_second_page(const access *a, uint64_t second, uint64_t cause, uint64_t gpa)
{
    soft_map_vs(vm, root, second - PAGE, DATA_GPA, PTE_S);
    for (uint64_t off = 1; off < a->size; off++) {
        uint8_t *last = soft_ptr(vm, DATA_GPA + PAGE - 8);
        uint64_t kept = a->word & (a->store ? 0x01f0707f : 0x7fff);
        memset(last, 0xee, 8);
        vm->frame.x[RS1] = second - off;
        expect("cause", run(a->word), cause);
        expect("stval", vm->raw.stval, second);
        expect("htval", vm->raw.htval, gpa >> 2);
        if (gpa)
            expect("htinst", vm->raw.htinst, kept | off << 15);
        for (int i = 0; i < 8; i++)
            CU_ASSERT_EQUAL(last[i], 0xee);
    }
}

static void test_misaligned_faults(void)
{
    size_t n;
    const access *list = accesses(&n);
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    fp_states(3, 3);
    for (size_t i = 0; i < n; i++) {
        check_second_page(&list[i], UNMAPPED, list[i].store ? 15 : 13, 0);
        check_second_page(&list[i], HOLE, list[i].store ? 23 : 21, HOLE_GPA);
        if (list[i].store)
            check_second_page(&list[i], READ_ONLY, 15, 0);
        vm->frame.x[RS1] = HOLE + PAGE - 1; /* both are missing: the first one is told */
        expect("cause", run(list[i].word), list[i].store ? 23 : 21);
        expect("stval", vm->raw.stval, HOLE + PAGE - 1);
    }
    end();
}

/* --- page tables: Svadu, Svnapot, Svpbmt ------------------------------------------------------ */

#define AD (HVC_PTE_A | HVC_PTE_D)

static uint64_t load(uint64_t va)
{
    vm->frame.x[RS1] = va;
    return run(rv_ld(RD, 0, RS1));
}

static uint64_t store(uint64_t va)
{
    vm->frame.x[RS1] = va;
    return run(rv_sd(RD, 0, RS1));
}

static void test_svadu(void)
{
    begin(ALL);
    uint64_t *e = soft_vs_entry(vm, root, DATA, 0), fresh = *e & ~AD;
    *e = fresh;
    expect("Svade: load", load(DATA), 13);
    expect("Svade: store", store(DATA), 15);
    expect("Svade: untouched", *e, fresh);
    hvc_port_set(vm->pe, henvcfg, HVC_HENVCFG_ADUE);
    hvc_port_tlb_vvma(vm->pe);
    expect("load", load(DATA), RETIRED);
    expect("A", *e, fresh | HVC_PTE_A);
    expect("load again", load(DATA), RETIRED);
    expect("A alone", *e, fresh | HVC_PTE_A);
    expect("store", store(DATA), RETIRED);
    expect("A and D", *e, fresh | AD);
    *e = fresh; /* what the TLB has needs no update: none happens */
    expect("store again", store(DATA), RETIRED);
    expect("once", *e, fresh);
    hvc_port_tlb_vvma(vm->pe);
    expect("store", store(DATA), RETIRED);
    expect("both at once", *e, fresh | AD);
    *e = fresh & ~HVC_PTE_W;
    hvc_port_tlb_vvma(vm->pe);
    expect("no right", store(DATA), 15);
    expect("no update", *e, fresh & ~HVC_PTE_W);
    end();
    begin(HVCORE_RISCV64_ISA_DEFAULT); /* without the extension ADUE is not there */
    hvc_port_set(vm->pe, henvcfg, HVC_HENVCFG_ADUE);
    expect("henvcfg", hvc_port_get(vm->pe, henvcfg), 0);
    *soft_vs_entry(vm, root, DATA, 0) &= ~AD;
    expect("load", load(DATA), 13);
    end();
}

/* An update of a table that the G-stage lets nobody write: htinst-02, a pseudo write. */
static void check_update_fault(uint64_t htinst)
{
    begin(ALL);
    uint64_t *e = soft_vs_entry(vm, root, DATA, 0);
    uint64_t gpa = GUEST + (uint64_t)((uint8_t *)e - vm->ram);
    *e &= ~AD;
    hvc_port_set(vm->pe, henvcfg, HVC_HENVCFG_ADUE);
    *soft_g_entry(vm, gpa) &= ~(uint64_t)HVC_PTE_W;
    hvc_port_tlb_gvma(vm->pe);
    for (int i = 0; i < 2; i++) {
        expect("cause", i ? store(DATA) : load(DATA), i ? 23 : 21);
        expect("stval", vm->raw.stval, DATA);
        expect("htval", vm->raw.htval, gpa >> 2);
        expect("htinst", vm->raw.htinst, htinst);
    }
    end();
}

/* A table that is not there: htinst-01, a pseudo read. */
static void check_table_fault(uint64_t htinst)
{
    begin(ALL);
    *soft_vs_entry(vm, root, UINT64_C(1) << 32, 2) =
        HOLE_GPA >> 12 << HVC_PTE_PPN_SHIFT | HVC_PTE_V;
    for (int i = 0; i < 2; i++) {
        uint64_t va = UINT64_C(1) << 32;
        expect("cause", i ? store(va) : load(va), i ? 23 : 21);
        expect("htval", vm->raw.htval, HOLE_GPA >> 2);
        expect("htinst", vm->raw.htinst, htinst);
    }
    end();
}

#define NAPOT_VA UINT64_C(0x100000)

static void map_napot(uint64_t low)
{
    for (uint64_t i = 0; i < 16; i++) {
        uint64_t ppn = ((GUEST + 16 * PAGE) >> 12 & ~UINT64_C(15)) | low;
        *soft_vs_entry(vm, root, NAPOT_VA + i * PAGE, 0) =
            UINT64_C(1) << 63 | ppn << HVC_PTE_PPN_SHIFT | PTE_S;
        memcpy(soft_ptr(vm, GUEST + (16 + i) * PAGE + 8), &i, 8);
    }
    hvc_port_tlb_vvma(vm->pe);
}

static void test_svnapot(void)
{
    begin(ALL);
    map_napot(8);
    for (uint64_t i = 0; i < 16; i++) {
        expect("load", load(NAPOT_VA + i * PAGE + 8), RETIRED);
        expect("page", vm->frame.x[RD], i);
    }
    for (uint64_t low = 0; low < 16; low++) {
        map_napot(low);
        expect("size", load(NAPOT_VA + 8), low == 8 ? RETIRED : 13);
    }
    end();
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    map_napot(8);
    expect("absent", load(NAPOT_VA + 8), 13);
    end();
}

/* PBMT of a leaf: 0, 1, 2 with PBMTE; 3 never; of a table never. */
static void check_pbmt(uint64_t isa, bool enabled)
{
    begin(isa);
    hvc_port_set(vm->pe, henvcfg, enabled ? HVC_HENVCFG_PBMTE : 0);
    bool has = enabled && isa & HVCORE_RISCV64_ISA_SVPBMT;
    uint64_t *leaf = soft_vs_entry(vm, root, DATA, 0), plain = *leaf;
    for (uint64_t type = 0; type < 4; type++) {
        *leaf = plain | type << 61;
        hvc_port_tlb_vvma(vm->pe);
        expect("leaf", load(DATA), !type || (has && type < 3) ? RETIRED : 13);
    }
    *leaf = plain;
    uint64_t *table = soft_vs_entry(vm, root, DATA, 1);
    *table |= UINT64_C(1) << 61;
    hvc_port_tlb_vvma(vm->pe);
    memset(&vm->raw, 0, sizeof vm->raw);
    soft_mode(vm, VS, CODE);
    CU_ASSERT_EQUAL(soft_steps(vm, 1), HVC_STOP_TRAP);
    expect("table", vm->raw.scause, 12);
    end();
}

static void test_svpbmt(void)
{
    check_pbmt(ALL, true);
    check_pbmt(ALL, false);
    check_pbmt(HVCORE_RISCV64_ISA_DEFAULT, true);
}

/* --- vectors --------------------------------------------------------------------------------- */

/* t's instruction, with every register in the hole, or `offset` bytes before it. */
static void check_tinst(json_object *v)
{
    const char *id = hvc_json_str_or(v, "id", "");
    uint32_t word = (uint32_t)hvc_json_u64(v, "in.insn");
    uint64_t offset = hvc_json_u64(v, "in.off"), want = hvc_json_u64(v, "out.htinst");
    bool hls = !strcmp(id, "tinst-12"); /* HLV has none: with V = 1 it is a virtual instruction */
    bool illegal = !strcmp(id, "tinst-14") || !strcmp(id, "tinst-15"); /* V, reserved */
    for (int i = 1; i < 32; i++)
        vm->frame.x[i] = offset ? HOLE - offset : HOLE + 0x800;
    uint64_t cause = run(word);
    CU_ASSERT(hls ? cause == 22 : illegal ? cause == 2 : cause == 21 || cause == 23);
    expect(id, vm->raw.htinst, hls ? 0 : want);
}

static void test_tinst(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json");
    size_t at = 0, done = 0;
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    fp_states(3, 3);
    hvc_port_set(vm->pe, henvcfg, 0xf0);
    for (json_object *v; (v = hvc_vectors_next(doc, "tinst", &at)); done++)
        check_tinst(v);
    expect("vectors", done, 15);
    end();
    json_object_put(doc);
}

/* Of these a hart can produce the pseudo-instructions for RV64; the rest is decoding. */
static void test_htinst(void)
{
    json_object *doc = hvc_vectors_open("riscv_vectors.json");
    size_t at = 0, done = 0;
    for (json_object *v; (v = hvc_vectors_next(doc, "htinst", &at));) {
        uint64_t htinst = hvc_json_u64(v, "in.htinst");
        if (strcmp(hvc_json_str_or(v, "out.kind", ""), "pseudo") ||
            hvc_json_u64(v, "out.bits") != 64)
            continue;
        if (hvc_json_u64(v, "out.write"))
            check_update_fault(htinst);
        else
            check_table_fault(htinst);
        done++;
    }
    expect("vectors", done, 2);
    json_object_put(doc);
}

/* The rest of the compressed accesses, as their expansions with bit 1 clear. */
static void test_compressed_htinst(void)
{
    static const uint32_t cases[][2] = {
        {0x6110, 0x00003601}, {0x4512, 0x00002501}, {0xc110, 0x00c02021}, {0xe110, 0x00c03021},
        {0xc02a, 0x00a02021}, {0x2110, 0x00003605}, {0x2502, 0x00003505}, {0xa02a, 0x00a03025}};
    begin(HVCORE_RISCV64_ISA_DEFAULT);
    fp_states(3, 3);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int r = 1; r < 32; r++)
            vm->frame.x[r] = HOLE + 0x800;
        uint64_t cause = run(cases[i][0]);
        CU_ASSERT(cause == 21 || cause == 23);
        expect("htinst", vm->raw.htinst, cases[i][1]);
    }
    end();
}

static const hvc_unit_test tests[] = {
    {"misaligned accesses", test_misaligned},
    {"misaligned accesses that trap", test_misaligned_traps},
    {"misaligned accesses over two pages", test_misaligned_faults},
    {"Svadu", test_svadu},
    {"Svnapot", test_svnapot},
    {"Svpbmt", test_svpbmt},
    {"tinst vectors", test_tinst},
    {"htinst vectors", test_htinst},
    {"htinst of compressed accesses", test_compressed_htinst},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("soft riscv64: accesses", tests);
}
