/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software walk of RISC-V tables beside a bare one: the same loads, bounds-checked, permissions
 * accumulated; 3 for Sv39 alone, 15 for Sv39 over Sv39x4. Both walk the same hot tables for 64
 * addresses in turn.
 */
#include <hvcore/walk/riscv64.h>

#include "tests/bench/bench.h"

#define RAM UINT64_C(0x80000000)
#define PAGE(n) (RAM + UINT64_C(4096) * (n))
#define SV39 (UINT64_C(8) << 60)

enum { PAGES = 512, ADDRESSES = 64, V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };

static uint64_t ram[PAGES * 512];
static uint64_t sink;

static uint64_t address(uint64_t i)
{
    return UINT64_C(0x40200000) + (i % ADDRESSES) * 4096;
}

static void entry(uint64_t table, uint64_t index, uint64_t to, uint64_t bits)
{
    ram[(table - RAM) / 8 + index] = to >> 12 << 10 | bits;
}

/* Both stages have their leaves in pages of 4 KiB; the G-stage is the identity. */
static void make_tables(void)
{
    entry(PAGE(0), 2, PAGE(4), V); /* the root of an x4 mode has four pages */
    entry(PAGE(4), 0, PAGE(5), V);
    for (uint64_t i = 0; i < PAGES; i++) {
        entry(PAGE(5), i, PAGE(i), V | R | W | X | U | A | D);
    }
    entry(PAGE(8), 1, PAGE(9), V);
    entry(PAGE(9), 1, PAGE(10), V);
    for (uint64_t i = 0; i < ADDRESSES; i++) {
        entry(PAGE(10), i, PAGE(100 + i), V | R | W | X | A | D);
    }
}

static int read64(void *user, uint64_t pa, uint64_t *value)
{
    (void)user;
    if (pa - RAM >= sizeof ram) {
        return -1;
    }
    *value = __atomic_load_n(&ram[(pa - RAM) >> 3], __ATOMIC_RELAXED);
    return 0;
}

/* ---- the companions ---- */

/* Three levels down; 0: not there. `index`: bits of the first level. */
static inline uint64_t bare_stage(uint64_t base, uint64_t addr, uint64_t index, uint64_t *perm,
                                  uint64_t (*table_at)(uint64_t at, uint64_t *perm))
{
    uint64_t pte = 0;

    for (uint32_t shift = 30; shift >= 12; shift -= 9) {
        uint64_t at = table_at(base + (addr >> shift & index) * 8, perm);

        if (at - RAM >= sizeof ram) {
            return 0;
        }
        pte = __atomic_load_n(&ram[(at - RAM) >> 3], __ATOMIC_RELAXED);
        if (!(pte & V)) {
            return 0;
        }
        base = pte >> 10 << 12;
        index = 511;
    }
    *perm &= pte;
    return base | (addr & 4095);
}

static inline uint64_t as_it_is(uint64_t at, uint64_t *perm)
{
    (void)perm;
    return at;
}

static inline uint64_t by_g(uint64_t gpa, uint64_t *perm)
{
    return bare_stage(PAGE(0), gpa, 2047, perm, as_it_is);
}

static __attribute__((noinline)) uint64_t bare_one(uint64_t va)
{
    uint64_t perm = UINT64_MAX, pa = bare_stage(PAGE(8), va, 511, &perm, as_it_is);

    return perm & R ? pa : 0;
}

static __attribute__((noinline)) uint64_t bare_two(uint64_t va)
{
    uint64_t perm = UINT64_MAX, gpa = bare_stage(PAGE(8), va, 511, &perm, by_g);
    uint64_t pa = gpa ? by_g(gpa, &perm) : 0;

    return perm & R ? pa : 0;
}

/* ---- the walker ---- */

static const hvcore_riscv64_walk_mem mem = {.read64 = read64};
static hvcore_riscv64_walk_regs one = {.vsatp = SV39 | PAGE(8) >> 12, .mode = HVCORE_RISCV64_VS};
static hvcore_riscv64_walk_regs two = {
    .vsatp = SV39 | PAGE(8) >> 12, .hgatp = SV39 | PAGE(0) >> 12, .mode = HVCORE_RISCV64_VS};

static uint64_t walk(const hvcore_riscv64_walk_regs *regs, uint64_t va)
{
    static hvcore_riscv64_walk_result r;

    hvcore_riscv64_walk(regs, &mem, va, HVCORE_RISCV64_LOAD, &r);
    return r.fault ? 0 : r.pa;
}

static __attribute__((noinline)) uint64_t walk_one(uint64_t va)
{
    return walk(&one, va);
}

static __attribute__((noinline)) uint64_t walk_two(uint64_t va)
{
    return walk(&two, va);
}

#define LOOP(walk)                             \
    static void walk##_loop(uint64_t times)    \
    {                                          \
        uint64_t sum = 0;                      \
        for (uint64_t i = 0; i < times; i++) { \
            sum += walk(address(i));           \
        }                                      \
        sink += sum;                           \
    }
LOOP(bare_one)
LOOP(bare_two)
LOOP(walk_one)
LOOP(walk_two)

int main(void)
{
    static const bench_side one_a = {"hvcore_riscv64_walk", walk_one_loop, 10000};
    static const bench_side one_b = {"bare walk, 3 loads", bare_one_loop, 10000};
    static const bench_side two_a = {"hvcore_riscv64_walk", walk_two_loop, 5000};
    static const bench_side two_b = {"bare walk, 15 loads", bare_two_loop, 5000};

    make_tables();
    if (walk_one(address(7)) != bare_one(address(7)) || !walk_one(address(7)) ||
        walk_two(address(9)) != bare_two(address(9)) || !walk_two(address(9))) {
        fprintf(stderr, "walk_bench: the walks do not agree\n");
        return 1;
    }
    /* Our own targets: that of the AT walk is 2.5 with an accessor that is compiled in. */
    bench_row("riscv walk, Sv39", &one_a, &one_b, "<=", 8);
    bench_row("riscv walk, Sv39 over Sv39x4", &two_a, &two_b, "<=", 5);
    return sink == 1;
}
