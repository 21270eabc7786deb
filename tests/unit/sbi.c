/* SPDX-License-Identifier: Apache-2.0 */
/* hvcore_sbi_decode against a table written from the SBI specification 2.0 (FWFT: 3.0), and random
 * calls. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <hvcore/firmware/sbi.h>

#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#define MAX UINT64_MAX
#define CONSOLE HVCORE_SBI_HAS_CONSOLE
#define TIMER HVCORE_SBI_HAS_TIMER
#define HARTS HVCORE_SBI_HAS_HARTS
#define MISALIGNED HVCORE_SBI_HAS_MISALIGNED
#define HI(n) (UINT64_C(n) << 32)

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

/* Numbers of the specification. */
#define BASE 0x10
#define TIME 0x54494d45
#define IPI 0x735049
#define RFENCE 0x52464e43
#define HSM 0x48534d
#define SRST 0x53525354
#define PMU 0x504d55
#define DBCN 0x4442434e
#define SUSP 0x53555350
#define CPPC 0x43505043
#define NACL 0x4e41434c
#define STA 0x535441
#define FWFT 0x46574654

/* Verdicts: the fields that they have. */
#define ANSWER(e, v) .verdict = 0, .error = (e), .value = (v)
#define OK(v) ANSWER(0, v)
#define NOT_SUPPORTED ANSWER(-2, 0)
#define INVALID_PARAM ANSWER(-3, 0)
#define WRITE(at, n) .verdict = 1, .addr = (at), .len = (n)
#define WRITE_BYTE(b) .verdict = 1, .addr = MAX, .len = 1, .byte = (b)
#define SHUTDOWN(r) .verdict = 2, .type = 0, .reason = (r)
#define RESET(t, r) .verdict = 3, .type = (t), .reason = (r)
#define VMM .verdict = 4
#define SET_TIMER(t) .verdict = 5, .time = (t)
#define SEND(m, b) .verdict = 6, .mask = (m), .base = (b)
#define FENCE(m, b) .verdict = 7, .mask = (m), .base = (b)
#define START(h, a, o) .verdict = 8, .hart = (h), .addr = (a), .opaque = (o)
#define STOP .verdict = 9
#define STATUS(h) .verdict = 10, .hart = (h)
#define SUSPEND .verdict = 11
#define SUSPEND_AWAY(a, o) .verdict = 12, .addr = (a), .opaque = (o)
#define DENIED ANSWER(-4, 0)

static const struct row {
    const char *name;
    uint32_t features;
    uint64_t eid, fid, a0, a1, a2;
    hvcore_sbi_call wanted;
} rows[] = {
    {"spec version", 0, BASE, 0, 0, 0, 0, {OK(0x02000000)}},
    {"impl id", 0, BASE, 1, 0, 0, 0, {OK(0x68766372)}},
    {"impl version", 0, BASE, 2, 0, 0, 0, {OK(HVCORE_VERSION)}},
    {"mvendorid", 0, BASE, 4, 0, 0, 0, {OK(0)}},
    {"marchid", 0, BASE, 5, 0, 0, 0, {OK(0)}},
    {"mimpid", 0, BASE, 6, 0, 0, 0, {OK(0)}},
    {"arguments are ignored", CONSOLE, BASE, 0, MAX, MAX, MAX, {OK(0x02000000)}},
    {"base 7", 0, BASE, 7, 0, 0, 0, {NOT_SUPPORTED}},
    {"base -1", 0, BASE, MAX, 0, 0, 0, {NOT_SUPPORTED}},
    {"base 2^32", 0, BASE, HI(1), 0, 0, 0, {NOT_SUPPORTED}},

    {"probe base", 0, BASE, 3, BASE, 0, 0, {OK(1)}},
    {"probe srst", 0, BASE, 3, SRST, 0, 0, {OK(1)}},
    {"probe dbcn", CONSOLE, BASE, 3, DBCN, 0, 0, {OK(1)}},
    {"probe dbcn, no console", 0, BASE, 3, DBCN, 0, 0, {OK(0)}},
    {"probe dbcn, other features", ~(uint32_t)CONSOLE, BASE, 3, DBCN, 0, 0, {OK(0)}},
    {"probe time", ~(uint32_t)TIMER, BASE, 3, TIME, 0, 0, {OK(0)}},
    {"probe time, a timer", TIMER, BASE, 3, TIME, 0, 0, {OK(1)}},
    {"probe ipi", ~(uint32_t)HARTS, BASE, 3, IPI, 0, 0, {OK(0)}},
    {"probe ipi, harts", HARTS, BASE, 3, IPI, 0, 0, {OK(1)}},
    {"probe rfence", ~(uint32_t)HARTS, BASE, 3, RFENCE, 0, 0, {OK(0)}},
    {"probe rfence, harts", HARTS, BASE, 3, RFENCE, 0, 0, {OK(1)}},
    {"probe hsm", ~(uint32_t)HARTS, BASE, 3, HSM, 0, 0, {OK(0)}},
    {"probe hsm, harts", HARTS, BASE, 3, HSM, 0, 0, {OK(1)}},
    {"probe pmu", CONSOLE, BASE, 3, PMU, 0, 0, {OK(0)}},
    {"probe susp", CONSOLE, BASE, 3, SUSP, 0, 0, {OK(0)}},
    {"probe cppc", CONSOLE, BASE, 3, CPPC, 0, 0, {OK(0)}},
    {"probe nacl", CONSOLE, BASE, 3, NACL, 0, 0, {OK(0)}},
    {"probe sta", CONSOLE, BASE, 3, STA, 0, 0, {OK(0)}},
    {"probe fwft", 0, BASE, 3, FWFT, 0, 0, {OK(1)}},
    {"probe legacy 0", CONSOLE, BASE, 3, 0, 0, 0, {OK(0)}},
    {"probe legacy 8", CONSOLE, BASE, 3, 8, 0, 0, {OK(0)}},
    {"probe -1", CONSOLE, BASE, 3, MAX, 0, 0, {OK(0)}},
    {"probe 2^32 + base", CONSOLE, BASE, 3, HI(1) | BASE, 0, 0, {OK(0)}},
    {"probe below experimental", CONSOLE, BASE, 3, 0x07ffffff, 0, 0, {OK(0)}},
    {"probe experimental", CONSOLE, BASE, 3, 0x08000000, 0, 0, {VMM}},
    {"probe vendor", CONSOLE, BASE, 3, 0x09ffffff, 0, 0, {VMM}},
    {"probe firmware", CONSOLE, BASE, 3, 0x0a000000, 0, 0, {OK(0)}},
    {"probe 2^32 + vendor", CONSOLE, BASE, 3, HI(1) | 0x09000000, 0, 0, {OK(0)}},

    {"shutdown", 0, SRST, 0, 0, 0, 0, {SHUTDOWN(0)}},
    {"shutdown, failure", 0, SRST, 0, 0, 1, 0, {SHUTDOWN(1)}},
    {"cold reboot", 0, SRST, 0, 1, 0, 0, {RESET(1, 0)}},
    {"cold reboot, failure", 0, SRST, 0, 1, 1, MAX, {RESET(1, 1)}},
    {"warm reboot", 0, SRST, 0, 2, 0, 0, {RESET(2, 0)}},
    {"warm reboot, failure", 0, SRST, 0, 2, 1, 0, {RESET(2, 1)}},
    {"reset type 3", 0, SRST, 0, 3, 0, 0, {INVALID_PARAM}},
    {"last reserved type", 0, SRST, 0, 0xefffffff, 0, 0, {INVALID_PARAM}},
    {"first vendor type", 0, SRST, 0, 0xf0000000, 0, 0, {INVALID_PARAM}},
    {"last vendor type", 0, SRST, 0, 0xffffffff, 0, 0, {INVALID_PARAM}},
    {"sign bit of type", 0, SRST, 0, 0x80000000, 0, 0, {INVALID_PARAM}},
    {"reason 2", 0, SRST, 0, 0, 2, 0, {INVALID_PARAM}},
    {"last reserved reason", 0, SRST, 0, 0, 0xdfffffff, 0, {INVALID_PARAM}},
    {"first firmware reason", 0, SRST, 0, 0, 0xe0000000, 0, {INVALID_PARAM}},
    {"last firmware reason", 0, SRST, 0, 0, 0xefffffff, 0, {INVALID_PARAM}},
    {"first vendor reason", 0, SRST, 0, 0, 0xf0000000, 0, {INVALID_PARAM}},
    {"last vendor reason", 0, SRST, 0, 0, 0xffffffff, 0, {INVALID_PARAM}},
    {"both wrong", 0, SRST, 0, 7, 7, 0, {INVALID_PARAM}},
    {"type and reason are 32 bits wide", 0, SRST, 0, HI(5) | 2, HI(5) | 1, 0, {RESET(2, 1)}},
    {"type -1", 0, SRST, 0, MAX, 0, 0, {INVALID_PARAM}},
    {"srst 1", 0, SRST, 1, 0, 0, 0, {NOT_SUPPORTED}},
    {"srst -1", 0, SRST, MAX, 0, 0, 0, {NOT_SUPPORTED}},
    {"srst 2^32", 0, SRST, HI(1), 0, 0, 0, {NOT_SUPPORTED}},

    {"write", CONSOLE, DBCN, 0, 5, 0x80001000, 0, {WRITE(0x80001000, 5)}},
    {"write 1 at 0", CONSOLE, DBCN, 0, 1, 0, 0, {WRITE(0, 1)}},
    {"write all", CONSOLE, DBCN, 0, MAX, 0, 0, {WRITE(0, MAX)}},
    {"write to the end", CONSOLE, DBCN, 0, 16, MAX - 16, 0, {WRITE(MAX - 16, 16)}},
    {"write past the end", CONSOLE, DBCN, 0, 17, MAX - 16, 0, {INVALID_PARAM}},
    {"write around", CONSOLE, DBCN, 0, MAX, 2, 0, {INVALID_PARAM}},
    {"write at -1 is no byte", CONSOLE, DBCN, 0, 1, MAX, 0, {INVALID_PARAM}},
    {"write nothing at -1", CONSOLE, DBCN, 0, 0, MAX, 0, {OK(0)}},
    {"write nothing", CONSOLE, DBCN, 0, 0, 0x80001000, 0, {OK(0)}},
    {"write, hi 1", CONSOLE, DBCN, 0, 5, 0x80001000, 1, {INVALID_PARAM}},
    {"write, hi top", CONSOLE, DBCN, 0, 5, 0x80001000, UINT64_C(1) << 63, {INVALID_PARAM}},
    {"write nothing, hi 1", CONSOLE, DBCN, 0, 0, 0, 1, {INVALID_PARAM}},
    {"read", CONSOLE, DBCN, 1, 5, 0x80001000, 0, {OK(0)}},
    {"read nothing", CONSOLE, DBCN, 1, 0, 0, 0, {OK(0)}},
    {"read, hi 1", CONSOLE, DBCN, 1, 5, 0x80001000, 1, {INVALID_PARAM}},
    {"read past the end", CONSOLE, DBCN, 1, 2, MAX - 1, 0, {INVALID_PARAM}},
    {"byte", CONSOLE, DBCN, 2, 'x', 0, 0, {WRITE_BYTE('x')}},
    {"byte 0", CONSOLE, DBCN, 2, 0, MAX, MAX, {WRITE_BYTE(0)}},
    {"a byte has 8 bits", CONSOLE, DBCN, 2, MAX - 1, 0, 0, {WRITE_BYTE(0xfe)}},
    {"byte 0x100", CONSOLE, DBCN, 2, 0x100, 0, 0, {WRITE_BYTE(0)}},
    {"dbcn 3", CONSOLE, DBCN, 3, 0, 0, 0, {NOT_SUPPORTED}},
    {"dbcn -1", CONSOLE, DBCN, MAX, 0, 0, 0, {NOT_SUPPORTED}},
    {"dbcn 2^32", CONSOLE, DBCN, HI(1), 0, 0, 0, {NOT_SUPPORTED}},
    {"write, no console", 0, DBCN, 0, 5, 0x80001000, 0, {NOT_SUPPORTED}},
    {"read, no console", 0, DBCN, 1, 5, 0x80001000, 0, {NOT_SUPPORTED}},
    {"byte, no console", 0, DBCN, 2, 'x', 0, 0, {NOT_SUPPORTED}},
    {"write, other features", ~(uint32_t)CONSOLE, DBCN, 0, 5, 0, 0, {NOT_SUPPORTED}},

    {"first experimental", 0, 0x08000000, 0, 0, 0, 0, {VMM}},
    {"last experimental", 0, 0x08ffffff, MAX, MAX, MAX, MAX, {VMM}},
    {"first vendor", 0, 0x09000000, 3, 0, 0, 0, {VMM}},
    {"last vendor", 0, 0x09ffffff, HI(1), 0, 0, 0, {VMM}},
    {"below experimental", 0, 0x07ffffff, 0, 0, 0, 0, {NOT_SUPPORTED}},
    {"firmware", 0, 0x0a000000, 0, 0, 0, 0, {NOT_SUPPORTED}},
    {"own firmware", 0, 0x0a766372, 0, 0, 0, 0, {NOT_SUPPORTED}},
    {"2^32 + experimental", 0, HI(1) | 0x08000000, 0, 0, 0, 0, {NOT_SUPPORTED}},

    {"time, no timer", ~(uint32_t)TIMER, TIME, 0, 5, 0, 0, {NOT_SUPPORTED}},
    {"time", TIMER, TIME, 0, 5, 7, 9, {SET_TIMER(5)}},
    {"time 0", TIMER, TIME, 0, 0, 0, 0, {SET_TIMER(0)}},
    {"time never", TIMER, TIME, 0, MAX, 0, 0, {SET_TIMER(MAX)}},
    {"time 1", TIMER, TIME, 1, 5, 0, 0, {NOT_SUPPORTED}},
    {"ipi, no harts", ~(uint32_t)HARTS, IPI, 0, 1, 0, 0, {NOT_SUPPORTED}},
    {"ipi", HARTS, IPI, 0, 6, 1, 9, {SEND(6, 1)}},
    {"ipi to all", HARTS, IPI, 0, 0, MAX, 0, {SEND(0, MAX)}},
    {"ipi 1", HARTS, IPI, 1, 1, 0, 0, {NOT_SUPPORTED}},
    {"rfence, no harts", ~(uint32_t)HARTS, RFENCE, 0, 1, 0, 0, {NOT_SUPPORTED}},
    {"fence.i", HARTS, RFENCE, 0, 3, 64, 0, {FENCE(3, 64)}},
    {"sfence.vma", HARTS, RFENCE, 1, MAX, 0, 0x1000, {FENCE(MAX, 0)}},
    {"sfence.vma, asid", HARTS, RFENCE, 2, 0, MAX, 0x1000, {FENCE(0, MAX)}},
    {"hfence.gvma, vmid", HARTS, RFENCE, 3, 1, 0, 0, {NOT_SUPPORTED}},
    {"hfence.gvma", HARTS, RFENCE, 4, 1, 0, 0, {NOT_SUPPORTED}},
    {"hfence.vvma, asid", HARTS, RFENCE, 5, 1, 0, 0, {NOT_SUPPORTED}},
    {"hfence.vvma", HARTS, RFENCE, 6, 1, 0, 0, {NOT_SUPPORTED}},
    {"rfence 7", HARTS, RFENCE, 7, 1, 0, 0, {NOT_SUPPORTED}},
    {"hsm, no harts", ~(uint32_t)HARTS, HSM, 2, 0, 0, 0, {NOT_SUPPORTED}},
    {"hart start", HARTS, HSM, 0, 3, 0x80200000, 0x1234, {START(3, 0x80200000, 0x1234)}},
    {"hart start, wide", HARTS, HSM, 0, HI(1), MAX, MAX, {START(HI(1), MAX, MAX)}},
    {"hart stop", HARTS, HSM, 1, 3, 4, 5, {STOP}},
    {"hart status", HARTS, HSM, 2, MAX, 4, 5, {STATUS(MAX)}},
    {"suspend", HARTS, HSM, 3, 0, 4, 5, {SUSPEND}},
    {"suspend, 32 bits of type", HARTS, HSM, 3, HI(9), 4, 5, {SUSPEND}},
    {"suspend, non-retentive", HARTS, HSM, 3, 0x80000000, 4, 5, {SUSPEND_AWAY(4, 5)}},
    {"suspend, sign-extended",
     HARTS,
     HSM,
     3,
     HI(0xffffffff) | 0x80000000,
     4,
     5,
     {SUSPEND_AWAY(4, 5)}},
    {"suspend, first reserved", HARTS, HSM, 3, 1, 0, 0, {INVALID_PARAM}},
    {"suspend, first of platforms", HARTS, HSM, 3, 0x10000000, 0, 0, {INVALID_PARAM}},
    {"suspend, last of platforms", HARTS, HSM, 3, 0x7fffffff, 0, 0, {INVALID_PARAM}},
    {"suspend, reserved non-retentive", HARTS, HSM, 3, 0x80000001, 0, 0, {INVALID_PARAM}},
    {"suspend -1", HARTS, HSM, 3, MAX, 0, 0, {INVALID_PARAM}},
    {"hsm 4", HARTS, HSM, 4, 0, 0, 0, {NOT_SUPPORTED}},
    {"hsm -1", HARTS, HSM, MAX, 0, 0, 0, {NOT_SUPPORTED}},
    {"pmu", CONSOLE, PMU, 0, 0, 0, 0, {NOT_SUPPORTED}},
    {"susp", CONSOLE, SUSP, 0, 0, 0, 0, {NOT_SUPPORTED}},
    {"fwft get, emulated", ~(uint32_t)MISALIGNED, FWFT, 1, 0, 0, 0, {OK(0)}},
    {"fwft get, the guest's", MISALIGNED, FWFT, 1, 0, 0, 0, {OK(1)}},
    {"fwft get, 32 bits of feature", MISALIGNED, FWFT, 1, HI(7), 0, 0, {OK(1)}},
    {"fwft set as it is", MISALIGNED, FWFT, 0, 0, 1, 0, {OK(0)}},
    {"fwft set as it is, 0", 0, FWFT, 0, 0, 0, 0, {OK(0)}},
    {"fwft set other", MISALIGNED, FWFT, 0, 0, 0, 0, {DENIED}},
    {"fwft set other, 1", 0, FWFT, 0, 0, 1, 0, {DENIED}},
    {"fwft set and lock", MISALIGNED, FWFT, 0, 0, 1, 1, {DENIED}},
    {"fwft set 2", MISALIGNED, FWFT, 0, 0, 2, 0, {INVALID_PARAM}},
    {"fwft set -1", MISALIGNED, FWFT, 0, 0, MAX, 0, {INVALID_PARAM}},
    {"fwft set, flags 2", MISALIGNED, FWFT, 0, 0, 1, 2, {INVALID_PARAM}},
    {"fwft set landing pads", MISALIGNED, FWFT, 0, 1, 1, 0, {NOT_SUPPORTED}},
    {"fwft get pointer masking", MISALIGNED, FWFT, 1, 5, 0, 0, {NOT_SUPPORTED}},
    {"fwft get, first reserved", MISALIGNED, FWFT, 1, 6, 0, 0, {DENIED}},
    {"fwft set, a platform's", MISALIGNED, FWFT, 0, 0x40000000, 0, 0, {DENIED}},
    {"fwft get -1", MISALIGNED, FWFT, 1, MAX, 0, 0, {DENIED}},
    {"fwft 2", MISALIGNED, FWFT, 2, 0, 0, 0, {NOT_SUPPORTED}},
    {"eid 0x11", CONSOLE, 0x11, 0, 0, 77, 0, {NOT_SUPPORTED}},
    {"eid -1", CONSOLE, MAX, 0, 0, 77, 0, {NOT_SUPPORTED}},
    {"eid 2^32 - 1", CONSOLE, 0xffffffff, 0, 0, 77, 0, {NOT_SUPPORTED}},
    {"eid 2^63", CONSOLE, UINT64_C(1) << 63, 0, 0, 77, 0, {NOT_SUPPORTED}},
    {"2^32 + base", CONSOLE, HI(1) | BASE, 0, 0, 77, 0, {NOT_SUPPORTED}},
    {"2^32 + srst", CONSOLE, HI(1) | SRST, 0, 0, 0, 0, {NOT_SUPPORTED}},
    {"-2^32 + dbcn", CONSOLE, HI(0xffffffff) | DBCN, 0, 0, 0, 0, {NOT_SUPPORTED}},
    {"2^32 + legacy", CONSOLE, HI(1), 0, 0, 77, 0, {NOT_SUPPORTED}},

    /* Legacy calls return in a0 alone: the value is the caller's a1. */
    {"legacy set timer", TIMER, 0, MAX, 5, 77, 0, {SET_TIMER(5), .value = 77}},
    {"legacy set timer, none", CONSOLE, 0, 0, 0, 77, 0, {ANSWER(-2, 77)}},
    {"legacy putchar", CONSOLE, 1, MAX, 'x', MAX, 0, {WRITE_BYTE('x'), .value = MAX}},
    {"legacy putchar, no console", HARTS, 1, MAX, 'x', 77, 0, {ANSWER(-2, 77)}},
    {"legacy getchar", CONSOLE, 2, 0, 0, 77, 0, {ANSWER(-1, 77)}},
    {"legacy getchar, no console", HARTS, 2, 0, 0, 77, 0, {ANSWER(-2, 77)}},
    {"legacy clear ipi", ~0u, 3, 0, 0, 77, 0, {ANSWER(-2, 77)}},
    {"legacy send ipi", ~0u, 4, 0, 0, 77, 0, {ANSWER(-2, 77)}},
    {"legacy fence.i", ~0u, 5, 0, 0, 77, 0, {ANSWER(-2, 77)}},
    {"legacy sfence.vma", ~0u, 6, 0, 0, 77, 0, {ANSWER(-2, 77)}},
    {"legacy sfence.vma, asid", ~0u, 7, 0, 0, 77, 0, {ANSWER(-2, 77)}},
    {"legacy shutdown", CONSOLE, 8, MAX, 5, 77, 0, {SHUTDOWN(0)}},
    {"legacy 9", ~0u, 9, 0, 0, 77, 0, {ANSWER(-2, 77)}},
    {"legacy, the last number", CONSOLE, 15, 0, 0, 77, 0, {ANSWER(-2, 77)}},
};

static hvcore_riscv64_frame random_frame(void)
{
    hvcore_riscv64_frame frame;
    uint64_t *word = (uint64_t *)&frame;

    for (size_t i = 0; i < sizeof frame / sizeof *word; i++)
        word[i] = rnd();
    return frame;
}

static bool same_call(const hvcore_sbi_call *a, const hvcore_sbi_call *b)
{
    return memcmp(a, b, sizeof *a) == 0; /* no padding: see test_layout */
}

static void test_layout(void)
{
    CU_ASSERT_EQUAL(sizeof(hvcore_sbi_call), 4 * 4 + 9 * 8);
    CU_ASSERT_EQUAL(HVCORE_SBI_IMPL_ID, 0x68766372);
    CU_ASSERT_EQUAL(HVCORE_SBI_SPEC_VERSION, 2 << 24);
    /* The firmware's own extension number has the low 24 bits of its implementation number; those
     * of the assigned numbers must not be ours. */
    CU_ASSERT((HVCORE_SBI_IMPL_ID & 0xffffff) > 0xffff);
}

static void run_row(const struct row *row)
{
    hvcore_riscv64_frame frame = random_frame(), before;
    hvcore_sbi_call call;
    bool good;

    memset(&call, 0xa5, sizeof call);
    frame.x[17] = row->eid, frame.x[16] = row->fid;
    frame.x[10] = row->a0, frame.x[11] = row->a1, frame.x[12] = row->a2;
    before = frame;
    hvcore_sbi_decode(&frame, row->features, &call);
    good = same_call(&call, &row->wanted) && memcmp(&frame, &before, sizeof frame) == 0;
    if (!good)
        fprintf(stderr, "\n    row \"%s\" ", row->name);
    CU_ASSERT(good);
}

static void test_table(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        run_row(&rows[i]);
}

/* --- random calls ----------------------------------------------------------------------------- */

static uint64_t pick(const uint64_t *from, size_t n)
{
    return from[rnd() % n];
}

static uint64_t some_eid(void)
{
    static const uint64_t eids[] = {BASE, SRST, DBCN, TIME, IPI, RFENCE, HSM,        FWFT,
                                    0,    1,    2,    8,    9,   HSM,    0x08123456, 0x09654321};

    return rnd() % 4 ? pick(eids, sizeof eids / sizeof *eids) : rnd() >> rnd() % 64;
}

static uint64_t some_argument(void)
{
    if (rnd() % 32 == 0)
        return 0x80000000;
    return rnd() % 4 ? rnd() % 4 : rnd() >> rnd() % 64;
}

static hvcore_riscv64_frame some_call(void)
{
    hvcore_riscv64_frame frame = random_frame();

    frame.x[17] = some_eid();
    frame.x[16] = some_argument();
    for (int i = 10; i < 16; i++)
        frame.x[i] = rnd() % 16 ? some_argument() : some_eid();
    return frame;
}

static bool is_vmm_range(uint64_t eid)
{
    return eid >> 24 == 8 || eid >> 24 == 9;
}

static bool is_answer_sound(const hvcore_sbi_call *c, const uint64_t *x)
{
    if (c->type || c->reason || c->byte || c->addr || c->len)
        return false;
    if (c->error == 0)
        return x[17] == BASE || (x[17] == DBCN && c->value == 0) || (x[17] == FWFT && c->value < 2);
    if (c->error == -1)
        return x[17] == 2 && c->value == x[11];
    return (c->error == -2 || c->error == -3 || (c->error == -4 && x[17] == FWFT)) &&
           c->value == (x[17] < 16 ? x[11] : 0);
}

/* What is not for a verdict is zero. */
static bool is_only(const hvcore_sbi_call *c, uint32_t verdict, bool where, bool mask, bool hart)
{
    bool none = !c->type && !c->reason && !c->byte && !c->len && !c->error;
    return c->verdict == verdict && none && (where || (!c->addr && !c->opaque)) &&
           (mask || (!c->mask && !c->base)) && (hart || !c->hart);
}

static bool is_timer_sound(const hvcore_sbi_call *c, const uint64_t *x)
{
    bool known = x[17] == TIME ? x[16] == 0 && c->value == 0 : x[17] == 0 && c->value == x[11];
    return known && is_only(c, 5, false, false, false) && c->time == x[10];
}

static bool is_masked_sound(const hvcore_sbi_call *c, const uint64_t *x)
{
    bool known = c->verdict == 6 ? x[17] == IPI && x[16] == 0 : x[17] == RFENCE && x[16] < 3;
    return known && is_only(c, c->verdict, false, true, false) && c->mask == x[10] &&
           c->base == x[11] && !c->time && !c->value;
}

static bool is_hart_sound(const hvcore_sbi_call *c, const uint64_t *x)
{
    static const uint64_t fid[] = {0, 1, 2, 3, 3};
    bool start = c->verdict == 8, status = c->verdict == 10, away = c->verdict == 12;
    if (x[17] != HSM || x[16] != fid[c->verdict - 8] || c->time || c->value)
        return false;
    if (c->verdict > 10 && (uint32_t)x[10] != (away ? 0x80000000 : 0))
        return false;
    return is_only(c, c->verdict, start || away, false, start || status) &&
           (!(start || status) || c->hart == x[10]) &&
           (!(start || away) || (c->addr == x[11] && c->opaque == x[12]));
}

static bool is_console_sound(const hvcore_sbi_call *c, const uint64_t *x)
{
    bool byte = c->addr == MAX && c->len == 1 && c->byte == x[10] % 256;
    bool bytes = c->len && c->addr + c->len >= c->addr && c->len == x[10] && c->addr == x[11];

    if (x[17] == 1)
        return byte && c->value == x[11] && !c->error && !c->type && !c->reason;
    return x[17] == DBCN && c->error == 0 && c->value == 0 && c->type == 0 && c->reason == 0 &&
           (x[16] == 2 ? byte : bytes && x[16] == 0 && x[12] == 0 && c->byte == 0);
}

static bool is_reset_sound(const hvcore_sbi_call *c, const uint64_t *x)
{
    if (x[17] == 8)
        return is_only(c, HVCORE_SBI_SHUTDOWN, false, false, false);
    return x[17] == SRST && x[16] == 0 && c->type == (uint32_t)x[10] &&
           c->reason == (uint32_t)x[11] && c->reason < 2 &&
           (c->verdict == HVCORE_SBI_RESET) == (c->type == 1 || c->type == 2) && c->type < 3;
}

static bool is_sound(const hvcore_sbi_call *c, const uint64_t *x)
{
    switch (c->verdict) {
    case HVCORE_SBI_ANSWER:
        return is_answer_sound(c, x);
    case HVCORE_SBI_CONSOLE:
        return is_console_sound(c, x);
    case HVCORE_SBI_SHUTDOWN:
    case HVCORE_SBI_RESET:
        return is_reset_sound(c, x);
    case HVCORE_SBI_VMM:
        return is_vmm_range(x[17]) || (x[17] == BASE && x[16] == 3 && is_vmm_range(x[10]));
    case HVCORE_SBI_SET_TIMER:
        return is_timer_sound(c, x);
    case HVCORE_SBI_SEND_IPI:
    case HVCORE_SBI_FENCE:
        return is_masked_sound(c, x);
    default:
        return c->verdict <= HVCORE_SBI_HART_SUSPEND_AWAY && is_hart_sound(c, x);
    }
}

static void test_random_calls(void)
{
    uint64_t seen[13] = {0}, wrong = 0;

    for (int n = 0; n < 1000000; n++) {
        hvcore_riscv64_frame frame = n % 2 ? some_call() : random_frame(), before = frame;
        hvcore_sbi_call call;

        memset(&call, 0xa5, sizeof call);
        hvcore_sbi_decode(&frame, (uint32_t)rnd(), &call);
        wrong += !is_sound(&call, frame.x) || memcmp(&frame, &before, sizeof frame) != 0;
        if (call.verdict < 13)
            seen[call.verdict]++;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    for (int v = 0; v < 13; v++)
        CU_ASSERT(seen[v] > 100);
}

static const hvc_unit_test tests[] = {
    {"layout and identity", test_layout},
    {"table", test_table},
    {"random calls", test_random_calls},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("sbi", tests);
}
