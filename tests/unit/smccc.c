/* SPDX-License-Identifier: Apache-2.0 */
/* hvcore_smccc_decode against a table written from DEN0028 and specs 4.8 and 5.1, and random calls.
   */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <hvcore/firmware/smccc.h>

#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#define ALL (HVCORE_SMCCC_HAS_SDEI | HVCORE_SMCCC_HAS_APF)
#define NO UINT64_MAX
#define HI(n) (UINT64_C(n) << 32)

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

/* Verdict 0 with x0; verdicts 1 and 2 with the function. */
static const struct row {
    uint64_t id, x1;
    uint32_t features, verdict;
    uint64_t wanted;
} rows[] = {
    {0x80000000, 0, 0, 0, 0x10001},
    {HI(5) | 0x80000000, 0, 0, 0, 0x10001}, /* w0 */
    {0xc0000000, 0, ALL, 0, NO},
    {0x80000001, 0x80000000, 0, 0, 0},
    {0x80000001, 0x80000001, 0, 0, 0},
    {0x80000001, HI(7) | 0x80000000, 0, 0, 0}, /* SMC32: the low half */
    {0x80000001, 0x80008000, ALL, 0, NO},      /* workaround 1 */
    {0x80000001, 0x80007fff, ALL, 0, NO},      /* workaround 2 */
    {0x80000001, 0x80003fff, ALL, 0, NO},      /* workaround 3 */
    {0x80000001, 0xc4000020, ALL, 0, NO},
    {0x80008000, 0, ALL, 0, NO},
    {0x80000002, 0, ALL, 0, NO},
    {0x84000000, 0, ALL, 0, NO}, /* PSCI is somebody else's */
    {0xc4000003, 0, ALL, 0, NO},
    {0x8600ff01, 0, 0, 0, NO},
    {0x8600ff01, 0, HVCORE_SMCCC_HAS_APF, 0, 0x8542b623},
    {0x8600ff03, 0, HVCORE_SMCCC_HAS_APF, 0, 1},
    {0x8600ff03, 0, HVCORE_SMCCC_HAS_SDEI, 0, NO},
    {0x86000001, 0, ALL, 0, NO}, /* PTP */
    {0xc400001f, 0, ALL, 0, NO},
    {0xc4000020, 0, ALL, 1, 0},
    {0xc400002f, 0, HVCORE_SMCCC_HAS_SDEI, 1, 0xf},
    {0xc4000032, 0, ALL, 1, 0x12},
    {0xc4000033, 0, ALL, 0, NO},
    {0xc400003f, 0, ALL, 0, NO},
    {0xc4000040, 0, ALL, 0, NO},
    {0xc4000020, 0, HVCORE_SMCCC_HAS_APF, 0, NO},
    {0x84000020, 0, ALL, 0, NO}, /* SMC32 */
    {0x44000020, 0, ALL, 0, NO}, /* yielding */
    {0xc4010020, 0, ALL, 0, NO}, /* bit 16 */
    {0xc4800020, 0, ALL, 0, NO}, /* bit 23 */
    {0xc60049ff, 0, ALL, 0, NO},
    {0xc6004a00, 0, ALL, 2, 0},
    {0xc6004a07, 0, HVCORE_SMCCC_HAS_APF, 2, 7},
    {0xc6004a08, 0, ALL, 0, NO},
    {0xc6004aff, 0, ALL, 0, NO},
    {0xc6004b00, 0, ALL, 0, NO},
    {0xc6004a00, 0, HVCORE_SMCCC_HAS_SDEI, 0, NO},
    {0x86004a00, 0, ALL, 0, NO},
    {0x46004a00, 0, ALL, 0, NO},
    {0, 0, ALL, 0, NO},
    {0xffffffff, 0, ALL, 0, NO},
    {NO, NO, UINT32_MAX, 0, NO},
};

static hvcore_smccc_call decode(uint64_t id, uint64_t x1, uint32_t features)
{
    hvcore_arm64_frame frame, before;
    hvcore_smccc_call call;

    for (int i = 0; i < 31; i++) {
        frame.x[i] = rnd();
    }
    frame.x[0] = id;
    frame.x[1] = x1;
    frame.pc = frame.spsr = rnd();
    before = frame;
    memset(&call, 0xa5, sizeof call);
    hvcore_smccc_decode(&frame, features, &call);
    CU_ASSERT_EQUAL(memcmp(&frame, &before, sizeof frame), 0);
    for (int i = 0; i < 6; i++) {
        CU_ASSERT_EQUAL(call.arg[i], id >> 30 & 1 ? frame.x[i + 1] : (uint32_t)frame.x[i + 1]);
    }
    if (call.verdict == HVCORE_SMCCC_ANSWER && call.x[0] == NO) {
        CU_ASSERT_EQUAL(memcmp(call.x + 1, frame.x + 1, 24), 0);
    }
    for (int i = 0; i < 4 && call.verdict; i++) {
        CU_ASSERT_EQUAL(call.x[i], 0);
    }
    return call;
}

static void test_table(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        hvcore_smccc_call c = decode(r->id, r->x1, r->features);
        bool good = c.verdict == r->verdict && (r->verdict ? c.fn : c.x[0]) == r->wanted;

        if (!good) {
            fprintf(stderr, "\n    row %zu ", i);
        }
        CU_ASSERT(good);
        CU_ASSERT(c.id == (uint32_t)r->id && c.fast == (r->id >> 31 & 1));
        CU_ASSERT(c.wide == (r->id >> 30 & 1) && c.owner == (r->id >> 24 & 63));
    }
}

static void test_identity(void)
{
    static const uint8_t uuid[16] = {0x23, 0xb6, 0x42, 0x85, 0x76, 0xf0, 0x54, 0x18,
                                     0x8a, 0x37, 0xc9, 0xf5, 0x59, 0x77, 0x7f, 0x1f};
    hvcore_smccc_call c = decode(0x8600ff01, 0, ALL);

    for (uint32_t i = 0; i < 16; i++) {
        CU_ASSERT_EQUAL(c.x[i / 4] >> i % 4 * 8 & 0xff, uuid[i]);
    }
    c = decode(0x8600ff03, 0, ALL);
    CU_ASSERT(c.x[0] == 1 && c.x[1] == 0);
}

/* Written a second time: what is an answer, and what somebody else's. */
static uint32_t slow_verdict(uint32_t id, uint32_t features)
{
    bool fast64 = id >> 30 == 3 && (id >> 16 & 0xff) == 0;

    if (fast64 && id << 2 >> 26 == 4 && (id & 0xffff) >= 0x20 && (id & 0xffff) <= 0x32) {
        return features & 1 ? HVCORE_SMCCC_SDEI : HVCORE_SMCCC_ANSWER;
    }
    if (fast64 && id << 2 >> 26 == 6 && (id & 0xfff8) == 0x4a00) {
        return features & 2 ? HVCORE_SMCCC_APF : HVCORE_SMCCC_ANSWER;
    }
    return HVCORE_SMCCC_ANSWER;
}

static void test_random_calls(void)
{
    uint64_t wrong = 0, seen[3] = {0};

    for (int i = 0; i < 200000; i++) {
        uint32_t id = (uint32_t)rows[rnd() % (sizeof rows / sizeof *rows)].id;
        uint32_t features = (uint32_t)rnd();
        hvcore_smccc_call c;

        id ^= rnd() % 2 ? (uint32_t)rnd() % 64 : UINT32_C(1) << rnd() % 32;
        id = rnd() % 8 ? id : (uint32_t)rnd();
        c = decode(id, rnd(), features);
        wrong += c.verdict != slow_verdict(id, features);
        seen[c.verdict]++;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(seen[0] > 100 && seen[1] > 100 && seen[2] > 100);
}

static void test_apf_answer(void)
{
    static const struct {
        uint32_t fn;
        hvcore_apf_reply reply;
        uint64_t x0, x1;
    } answers[] = {
        {0, {0, 0, 0x10000}, 0x10000, 0},
        {1, {0, 0, 64}, 0, 64},
        {2, {-1, 0, 0}, NO, 0},
        {2, {-2, 1, 0}, NO - 2, 0},
        {2, {-3, 0, 0}, NO - 3, 0},
        {2, {-4, 0, 0}, NO - 1, 0},
        {4, {0, 0, 3}, 0, 3},
        {4, {-5, 0, 0}, NO - 2, 0},
        {4, {5, 0, 0}, NO - 2, 0},
        {4, {INT32_MIN, 0, 0}, NO - 2, 0},
    };

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        uint64_t x[2] = {77, 77};

        hvcore_smccc_apf_answer(answers[i].fn, &answers[i].reply, x);
        CU_ASSERT(x[0] == answers[i].x0 && x[1] == answers[i].x1);
    }
}

static const hvc_unit_test tests[] = {
    {"table", test_table},
    {"identity", test_identity},
    {"random calls", test_random_calls},
    {"answers of apf", test_apf_answer},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("smccc", tests);
}
