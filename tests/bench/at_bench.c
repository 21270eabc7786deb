/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software walk of arm64 tables beside a bare one: four loads, bounds-checked, permissions
 * accumulated. Both walk the same hot tables for 64 addresses in turn; where the next address waits
 * for the last result, the row says "dependent".
 */
#include <hvcore/fixup/arm64_state.h>

#include "lib/walk/arm64_hot.h"
#include "tests/bench/bench.h"

#define RAM UINT64_C(0x40000000)
#define PAGE UINT64_C(4096)

enum { WORDS = 8 * 512, ADDRESSES = 64 };

static uint64_t ram[WORDS];
static uint64_t sink;
static volatile uint64_t mask; /* 0, which the compiler does not know */

/* Not constant: an AT is told them. */
static hvcore_arm64_walk_options options = {
    .features = HVCORE_ARM64_FEAT_TGRAN4 | HVCORE_ARM64_FEAT_TGRAN16 | HVCORE_ARM64_FEAT_TGRAN64 |
                HVCORE_ARM64_FEAT_EL2 | HVCORE_ARM64_FEAT_AF | HVCORE_ARM64_FEAT_HPDS |
                HVCORE_ARM64_FEAT_PAN3 | HVCORE_ARM64_FEAT_FWB | HVCORE_ARM64_FEAT_S2_TGRAN4,
    .pa_bits = 48,
};
static hvcore_arm64_sys sys = {
    .sctlr_el1 = 0x30d00805,
    .tcr_el1 = UINT64_C(0x5b0103010),
    .ttbr0_el1 = RAM,
    .mair_el1 = 0xff,
    .hcr_el2 = UINT64_C(1) << 31,
};

/* Addresses 0 to 63 pages above 1 GiB + 2 MiB: one table a level, a leaf for each. */
static uint64_t address(uint64_t i)
{
    return UINT64_C(0x8040200000) + (i % ADDRESSES) * PAGE;
}

static void make_tables(void)
{
    ram[1] = (RAM + PAGE) | 3;
    ram[512 + 1] = (RAM + 2 * PAGE) | 3;
    ram[1024 + 1] = (RAM + 3 * PAGE) | 3;
    for (uint64_t i = 0; i < 512; i++) {
        ram[1536 + i] = (RAM + ((4 + i) << 12)) | 0x703;
    }
}

static inline __attribute__((always_inline)) int read_ram(void *user, uint64_t gpa, uint64_t *value)
{
    (void)user;
    if (gpa - RAM >= sizeof ram) {
        return HVCORE_ARM64_MEM_NO_MEMORY;
    }
    *value = __atomic_load_n(&ram[(gpa - RAM) >> 3], __ATOMIC_RELAXED);
    return HVCORE_ARM64_MEM_OK;
}

static int called(void *user, uint64_t gpa, uint64_t *value)
{
    return read_ram(user, gpa, value);
}

static const hvcore_arm64_walk_mem mem = {NULL, called, NULL};

/* ---- the companion ---- */

static __attribute__((noinline)) uint64_t bare(uint64_t ttbr, uint64_t va)
{
    uint64_t base = ttbr, perm = 0, d = 0;

    for (uint32_t shift = 39; shift >= 12; shift -= 9) {
        uint64_t at = base + (va >> shift & 511) * 8;

        if (at - RAM >= sizeof ram) {
            return 0;
        }
        d = __atomic_load_n(&ram[(at - RAM) >> 3], __ATOMIC_RELAXED);
        if (!(d & 1)) {
            return 0;
        }
        perm |= d;
        base = d & UINT64_C(0xfffffffff000);
    }
    return perm >> 62 ? 0 : base | (va & 4095);
}

static void bare_free(uint64_t times)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < times; i++) {
        sum += bare(RAM, address(i));
    }
    sink += sum;
}

static void bare_dependent(uint64_t times)
{
    uint64_t pa = 0;

    for (uint64_t i = 0; i < times; i++) {
        pa = bare(RAM, address(i) | (pa & mask));
    }
    sink += pa;
}

/* ---- the walker ---- */

static hvcore_arm64_walk_result result;

static struct hvc_arm64_plain prepared;

/* As a software PE does it: registers change rarely. */
static __attribute__((noinline)) uint64_t kept(uint64_t va)
{
    hvcore_arm64_walk_request request = {va, HVCORE_ARM64_REGIME_EL10, 0};

    hvc_arm64_plain_walk(&prepared, &options, &sys, &mem, &request, &result, read_ram);
    return result.pa;
}

static __attribute__((noinline)) uint64_t inlined(uint64_t va)
{
    hvcore_arm64_walk_request request = {va, HVCORE_ARM64_REGIME_EL10, 0};

    hvc_arm64_walk_with(&options, &sys, &mem, &request, &result, read_ram);
    return result.pa;
}

static __attribute__((noinline)) uint64_t by_pointer(uint64_t va)
{
    hvcore_arm64_walk_request request = {va, HVCORE_ARM64_REGIME_EL10, 0};

    hvcore_arm64_walk(&options, &sys, &mem, &request, &result);
    return result.pa;
}

#define LOOPS(walk)                              \
    static void walk##_free(uint64_t times)      \
    {                                            \
        uint64_t sum = 0;                        \
        for (uint64_t i = 0; i < times; i++) {   \
            sum += walk(address(i));             \
        }                                        \
        sink += sum;                             \
    }                                            \
    static void walk##_dependent(uint64_t times) \
    {                                            \
        uint64_t pa = 0;                         \
        for (uint64_t i = 0; i < times; i++) {   \
            pa = walk(address(i) | (pa & mask)); \
        }                                        \
        sink += pa;                              \
    }
LOOPS(kept)
LOOPS(inlined)
LOOPS(by_pointer)

/* What no short way is for: here, registers of which TCR_EL1.HD is one bit. */
static void general(uint64_t times)
{
    options.features |= HVCORE_ARM64_FEAT_AF | HVCORE_ARM64_FEAT_DIRTY;
    sys.tcr_el1 |= UINT64_C(3) << 39;
    by_pointer_free(times);
    sys.tcr_el1 &= ~(UINT64_C(3) << 39);
}

/* The whole unit, with everything read twice. */
static void unit(uint64_t times)
{
    static hvcore_arm64_frame frame;
    static hvcore_arm64_state state;
    hvcore_event event = HVCORE_EVENT_INIT;

    event.have = HVCORE_HAVE_SYNDROME | HVCORE_HAVE_MODE;
    event.mode = HVCORE_ARM64_VEL2;
    event.syndrome = UINT64_C(0x62000000) | 0x101c10 | 5 << 5;
    state.at.walk = options;
    sys.have = UINT64_MAX;
    for (uint64_t i = 0; i < times; i++) {
        frame.x[5] = address(i);
        if (hvcore_at_walk(&frame, &sys, &event, &state, &mem).kind != HVCORE_RESULT_DONE) {
            exit(1);
        }
        sink += sys.par_el1;
    }
}

int main(void)
{
    static const bench_side bare_1 = {"bare walk", bare_free, 20000};
    static const bench_side bare_2 = {"bare walk, dependent", bare_dependent, 20000};
    static const bench_side sides[] = {{"regime kept, inlined", kept_free, 20000},
                                       {"regime kept, inlined", kept_dependent, 20000},
                                       {"inlined", inlined_free, 20000},
                                       {"inlined", inlined_dependent, 20000},
                                       {"accessor called", by_pointer_free, 20000},
                                       {"accessor called", by_pointer_dependent, 20000},
                                       {"unit", unit, 20000},
                                       {"general", general, 20000}};

    make_tables();
    if (!hvc_arm64_plain_prepare(&prepared, &options, &sys, false) ||
        bare(RAM, address(7)) != kept(address(7)) || by_pointer(address(9)) != RAM + 13 * PAGE) {
        fprintf(stderr, "at_bench: the walks do not agree\n");
        return 1;
    }
    bench_row("AT walk, 4 levels, hot", &sides[0], &bare_1, "<=", 2.5);
    bench_row("AT walk, dependent", &sides[1], &bare_2, "<=", 2.5);
    bench_row("AT walk from registers", &sides[2], &bare_1, "<=", 2.5);
    bench_row("AT walk from registers, dependent", &sides[3], &bare_2, "<=", 2.5);
    /* From here on the targets are our own: what one AT costs, with all that it is told. */
    bench_row("hvcore_arm64_walk", &sides[4], &bare_1, "<=", 5);
    bench_row("hvcore_arm64_walk, dependent", &sides[5], &bare_2, "<=", 2);
    bench_row("hvcore_arm64_walk, general", &sides[7], &bare_1, "<=", 15);
    bench_row("hvcore_at_walk, all read twice", &sides[6], &bare_1, "<=", 15);
    return sink == 1;
}
