/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment of the F and D instructions: flags are sticky and lose nothing, whatever the
 * order of modes; the thread's own environment is untouched in between and comes back bit for bit.
 */
#include "backends/bare/soft/fp.h"
#include "tests/system/fp_operands.h"
#include "tests/unit/unit.h"

#include <fenv.h>
#include <pthread.h>
#include <string.h>

#define ONE UINT64_C(0x3ff0000000000000)
#define TINY UINT64_C(0x3c00000000000000)
#define SUBNORMAL UINT64_C(0x000fffffffffffff)

typedef struct row {
    hvc_soft_fp_fn *function;
    uint32_t match, has_rm;
} row;

#define ROW(name, mask, match, form, rm) {hvc_soft_fp_##name, match, rm},
static const row rows[] = {HVC_SOFT_FP(ROW)};

/* --- the host's registers, as far as arithmetic looks at them --------------------------------- */

#if defined(__x86_64__)
#define STRANGE 0xffc0u /* towards zero, all masked, FTZ, DAZ */

static uint64_t control(void)
{
    uint32_t value;
    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}

static void set_control(uint64_t value)
{
    uint32_t low = (uint32_t)value;
    __asm__ volatile("ldmxcsr %0" : : "m"(low));
}
#elif defined(__aarch64__)
#define STRANGE 0x03c00000u /* towards zero, FZ, DN */

static uint64_t control(void)
{
    uint64_t value;
    __asm__ volatile("mrs %0, fpcr" : "=r"(value));
    return value;
}

static void set_control(uint64_t value)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(value));
}
#else
#define STRANGE 0

static uint64_t control(void)
{
    return 0;
}

static void set_control(uint64_t value)
{
    (void)value;
}
#endif

static uint64_t one(hvc_soft_fp_env *env, hvc_soft_fp_fn *function, uint64_t a, uint64_t b,
                    uint32_t rm)
{
    return function(env, a, b, 0, rm);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_comes_back(void)
{
    hvc_soft_fp_env env = {0};

    for (uint32_t rm = HVC_SOFT_FP_RNE; rm <= HVC_SOFT_FP_RMM; rm++) {
        fesetround(FE_UPWARD);
        feclearexcept(FE_ALL_EXCEPT);
        feraiseexcept(FE_DIVBYZERO);
        uint64_t before = control();
        one(&env, hvc_soft_fp_fadd_d, ONE, TINY, rm);
        one(&env, hvc_soft_fp_fsub_d, UINT64_C(0x7ff0000000000001), TINY, 0);
        hvc_soft_fp_leave(&env);
        CU_ASSERT_EQUAL(fegetround(), FE_UPWARD);
        CU_ASSERT_EQUAL(fetestexcept(FE_ALL_EXCEPT), FE_DIVBYZERO);
        CU_ASSERT_EQUAL(control(), before);
        CU_ASSERT_EQUAL(hvc_soft_fp_flags(&env), HVC_SOFT_FP_NX | HVC_SOFT_FP_NV);
        CU_ASSERT_EQUAL(hvc_soft_fp_flags(&env), 0);
    }
    fesetenv(FE_DFL_ENV);
}

/* The host's FTZ, DAZ, default NaNs, mode and flags do not reach a guest. */
static void test_clean(void)
{
    hvc_soft_fp_env env = {0};

    feraiseexcept(FE_INVALID | FE_INEXACT);
    set_control(control() | STRANGE);
    uint64_t before = control();
    hvc_soft_fp_enter(&env);
    hvc_soft_fp_enter(&env);
    CU_ASSERT_EQUAL(hvc_soft_fp_flags(&env), 0);
    CU_ASSERT_EQUAL(one(&env, hvc_soft_fp_fadd_d, SUBNORMAL, 0, 0), SUBNORMAL);
    CU_ASSERT_EQUAL(hvc_soft_fp_flags(&env), 0);
    CU_ASSERT_EQUAL(one(&env, hvc_soft_fp_fsub_d, ONE, TINY, 0), ONE);
    CU_ASSERT_EQUAL(hvc_soft_fp_flags(&env), HVC_SOFT_FP_NX);
    hvc_soft_fp_leave(&env);
    CU_ASSERT_EQUAL(control(), before);
    fesetenv(FE_DFL_ENV);
}

/* Where no instruction needs the host, nothing of it is touched; leaving twice is leaving once. */
static void test_lazy(void)
{
    hvc_soft_fp_env env = {0};

    hvc_soft_fp_leave(&env);
    one(&env, hvc_soft_fp_feq_d, UINT64_C(0x7ff0000000000001), 0, 0);
    one(&env, hvc_soft_fp_fcvt_w_d, ONE, 0, HVC_SOFT_FP_RUP);
    one(&env, hvc_soft_fp_fadd_d, ONE, ONE, HVC_SOFT_FP_RMM);
    CU_ASSERT_EQUAL(env.host, 0);
    CU_ASSERT_EQUAL(hvc_soft_fp_flags(&env), HVC_SOFT_FP_NV);
    one(&env, hvc_soft_fp_fadd_d, ONE, TINY, HVC_SOFT_FP_RDN);
    hvc_soft_fp_leave(&env);
    fesetround(FE_DOWNWARD);
    hvc_soft_fp_leave(&env);
    CU_ASSERT_EQUAL(fegetround(), FE_DOWNWARD);
    fesetenv(FE_DFL_ENV);
}

/* A PE goes on in another thread: its flags come along, that thread's environment stays its own. */
static void *elsewhere(void *env)
{
    fesetround(FE_UPWARD);
    one(env, hvc_soft_fp_fdiv_d, ONE, 0, HVC_SOFT_FP_RNE);
    hvc_soft_fp_leave(env);
    CU_ASSERT_EQUAL(fegetround(), FE_UPWARD);
    return NULL;
}

static void test_threads(void)
{
    hvc_soft_fp_env env = {0};
    pthread_t thread;

    one(&env, hvc_soft_fp_fadd_d, ONE, TINY, HVC_SOFT_FP_RTZ);
    hvc_soft_fp_leave(&env);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, elsewhere, &env), 0);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(fegetround(), FE_TONEAREST);
    CU_ASSERT_EQUAL(hvc_soft_fp_flags(&env), HVC_SOFT_FP_NX | HVC_SOFT_FP_DZ);
}

/* Modes that are none (the engine never passes them) do no harm. */
static void test_no_mode(void)
{
    static const uint32_t modes[] = {5, 6, 7};
    hvc_soft_fp_env env = {0};

    for (size_t i = 0; i < FP_COUNT(modes); i++)
        for (size_t k = 0; k < FP_COUNT(rows); k++)
            one(&env, rows[k].function, ONE, TINY, modes[i]);
    hvc_soft_fp_leave(&env);
    CU_ASSERT_EQUAL(fegetround(), FE_TONEAREST);
}

/* Where the host has no fused multiply-add it is not used: its flags are there without asking. */
static void test_no_fma(void)
{
    hvc_soft_fp_env env = {.options = HVC_SOFT_FP_NO_FMA};

    CU_ASSERT_EQUAL(hvc_soft_fp_fmadd_d(&env, ONE, TINY, ONE, HVC_SOFT_FP_RNE), ONE);
    CU_ASSERT_EQUAL(env.flags, HVC_SOFT_FP_NX);
    CU_ASSERT_EQUAL(hvc_soft_fp_flags(&env), HVC_SOFT_FP_NX);
    hvc_soft_fp_leave(&env);
}

static uint64_t operand(uint64_t *seed)
{
    uint64_t r = fp_random(seed), x[3];

    if ((r & 7) == 0)
        return fp_edge((enum fp_type)(r >> 8 & 1), (uint32_t)(r >> 16) % fp_edges(r >> 8 & 1));
    fp_random_three(seed, (enum fp_type)(r >> 8 & 1), x);
    return x[0];
}

/*
 * Streams of any instructions in any modes. One environment fetches flags after each instruction
 * and computes in integers; the other fetches them now and then, and leaves in between. Seldom a
 * flag is raised twice before it is fetched, so streams are short.
 */
static void test_sticky(void)
{
    hvc_soft_fp_env integers = {.options = HVC_SOFT_FP_NO_HOST}, host = {0};
    uint64_t seed = 7, values = 0, flags = 0;

    for (int stream = 0; stream < 60000; stream++) {
        uint32_t want = 0, length = 1 + (uint32_t)(fp_random(&seed) % 6);
        for (uint32_t i = 0; i < length; i++) {
            const row *r = &rows[fp_random(&seed) % FP_COUNT(rows)];
            uint64_t a = operand(&seed), b = operand(&seed), c = operand(&seed);
            uint32_t rm = (uint32_t)(fp_random(&seed) % 5);
            values += r->function(&integers, a, b, c, rm) != r->function(&host, a, b, c, rm);
            want |= hvc_soft_fp_flags(&integers);
            if (fp_random(&seed) % 16 == 0)
                hvc_soft_fp_leave(&host);
        }
        flags += hvc_soft_fp_flags(&host) != want;
    }
    hvc_soft_fp_leave(&host);
    CU_ASSERT_EQUAL(values, 0);
    CU_ASSERT_EQUAL(flags, 0);
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"the thread's environment comes back", test_comes_back},
        {"a guest's environment is clean", test_clean},
        {"lazy", test_lazy},
        {"another thread", test_threads},
        {"no mode", test_no_mode},
        {"no fused multiply-add", test_no_fma},
        {"sticky flags", test_sticky},
        {NULL, NULL},
    };
    return hvc_unit_main("soft_fp_env", tests);
}
