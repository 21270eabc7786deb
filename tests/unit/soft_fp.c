/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The F and D instructions of the software machine: what the manual says of them (RISC-V
 * Unprivileged ISA 20191213, chapters 11 and 12), case by case. Every case runs on the host's FPU
 * and in integers. Encodings: soft_fp_encoding.c; the host's environment: soft_fp_env.c; against
 * QEMU: tests/system/fp_qemu.c.
 */
#include "backends/bare/soft/fp.h"
#include "tests/system/fp_operands.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

enum { RNE, RTZ, RDN, RUP, RMM };
enum { NX = 1, UF = 2, OF = 4, DZ = 8, NV = 16 };

#define S(bits) FP_BOXED(UINT64_C(bits))
#define D(bits) UINT64_C(bits)

#define NAN_S S(0x7fc00000)
#define SNAN_S S(0x7f800001)
#define QNAN_S S(0xffc12345) /* not canonical */
#define INF_S S(0x7f800000)
#define ONE_S S(0x3f800000)

#define NAN_D D(0x7ff8000000000000)
#define SNAN_D D(0xfff0000000000001)
#define QNAN_D D(0xfff8000000012345)
#define INF_D D(0x7ff0000000000000)
#define MINUS D(0x8000000000000000)
#define ONE_D D(0x3ff0000000000000)
#define ULP_D D(0x3cb0000000000000)  /* 2^-52 */
#define HALF_D D(0x3ca0000000000000) /* 2^-53: half an ulp of 1 */
#define MAX_D D(0x7fefffffffffffff)
#define MIN_D D(0x0010000000000000) /* normal */

#define PLAIN_ONE D(0x3f800000) /* a single without its box */

typedef struct fp_case {
    const char *name;
    hvc_soft_fp_fn *function;
    uint32_t rm;
    uint64_t a, b, c, want;
    uint32_t flags;
} fp_case;

#define CASE(name, rm, a, b, c, want, flags)                \
    {                                                       \
#name, hvc_soft_fp_##name, rm, a, b, c, want, flags \
    }
#define CASE1(name, rm, a, want, flags) CASE(name, rm, a, MAX_D, MAX_D, want, flags)
#define CASE2(name, rm, a, b, want, flags) CASE(name, rm, a, b, MAX_D, want, flags)

/* The environment may be in place already, or come with the instruction. */
static const struct {
    uint32_t options;
    bool entered;
} ways[] = {{0, false}, {0, true}, {HVC_SOFT_FP_NO_FMA, true}, {HVC_SOFT_FP_NO_HOST, false}};

static void check(const fp_case *t, uint32_t options, bool entered)
{
    hvc_soft_fp_env env = {.options = options};
    uint64_t got;
    uint32_t flags;

    if (entered)
        hvc_soft_fp_enter(&env);
    got = t->function(&env, t->a, t->b, t->c, t->rm);
    flags = hvc_soft_fp_flags(&env);
    hvc_soft_fp_leave(&env);
    if (got != t->want || flags != t->flags)
        fprintf(stderr,
                "\n%s (rm %u, options %u) of %#llx, %#llx, %#llx: %#llx %#x, not %#llx %#x\n",
                t->name, t->rm, options, (unsigned long long)t->a, (unsigned long long)t->b,
                (unsigned long long)t->c, (unsigned long long)got, flags,
                (unsigned long long)t->want, t->flags);
    CU_ASSERT_EQUAL(got, t->want);
    CU_ASSERT_EQUAL(flags, t->flags);
}

static void check_all(const fp_case *list, size_t n)
{
    for (size_t way = 0; way < FP_COUNT(ways); way++)
        for (size_t i = 0; i < n; i++)
            check(&list[i], ways[way].options, ways[way].entered);
}

#define CHECK(list) check_all(list, FP_COUNT(list))

/* --- 11.2: rounding modes and flags ----------------------------------------------------------- */

static const fp_case rounding[] = {
    /* 1 + half an ulp: a tie, between even and odd */
    CASE2(fadd_d, RNE, ONE_D, HALF_D, ONE_D, NX),
    CASE2(fadd_d, RTZ, ONE_D, HALF_D, ONE_D, NX),
    CASE2(fadd_d, RDN, ONE_D, HALF_D, ONE_D, NX),
    CASE2(fadd_d, RUP, ONE_D, HALF_D, ONE_D + 1, NX),
    CASE2(fadd_d, RMM, ONE_D, HALF_D, ONE_D + 1, NX),
    CASE2(fadd_d, RNE, ONE_D + 1, HALF_D, ONE_D + 2, NX),
    CASE2(fadd_d, RMM, ONE_D + 1, HALF_D, ONE_D + 2, NX),
    CASE2(fsub_d, RNE, ONE_D | MINUS, HALF_D, ONE_D | MINUS, NX),
    CASE2(fsub_d, RTZ, ONE_D | MINUS, HALF_D, ONE_D | MINUS, NX),
    CASE2(fsub_d, RDN, ONE_D | MINUS, HALF_D, (ONE_D + 1) | MINUS, NX),
    CASE2(fsub_d, RUP, ONE_D | MINUS, HALF_D, ONE_D | MINUS, NX),
    CASE2(fsub_d, RMM, ONE_D | MINUS, HALF_D, (ONE_D + 1) | MINUS, NX),
    /* a little less and a little more than a tie */
    CASE2(fadd_d, RMM, ONE_D, HALF_D - 1, ONE_D, NX),
    CASE2(fadd_d, RNE, ONE_D, HALF_D + 1, ONE_D + 1, NX),
    CASE2(fadd_d, RNE, ONE_D, ULP_D, ONE_D + 1, 0),
    /* 1 / 3 and its like */
    CASE2(fdiv_s, RNE, ONE_S, S(0x40400000), S(0x3eaaaaab), NX),
    CASE2(fdiv_s, RTZ, ONE_S, S(0x40400000), S(0x3eaaaaaa), NX),
    CASE2(fdiv_s, RDN, ONE_S, S(0xc0400000), S(0xbeaaaaab), NX),
    CASE2(fdiv_s, RUP, ONE_S, S(0xc0400000), S(0xbeaaaaaa), NX),
    CASE2(fdiv_s, RMM, ONE_S, S(0xc0400000), S(0xbeaaaaab), NX),
    CASE1(fsqrt_d, RNE, D(0x4000000000000000), D(0x3ff6a09e667f3bcd), NX),
    CASE1(fsqrt_d, RTZ, D(0x4000000000000000), D(0x3ff6a09e667f3bcc), NX),
    CASE1(fsqrt_d, RMM, D(0x4000000000000000), D(0x3ff6a09e667f3bcd), NX),
    CASE1(fsqrt_d, RUP, D(0x4010000000000000), D(0x4000000000000000), 0),
    /* DZ, and where there is none */
    CASE2(fdiv_d, RNE, ONE_D, MINUS, INF_D | MINUS, DZ),
    CASE2(fdiv_s, RMM, ONE_S, S(0), INF_S, DZ),
    CASE2(fdiv_d, RNE, INF_D, 0, INF_D, 0),
    CASE2(fdiv_d, RNE, ONE_D, INF_D | MINUS, MINUS, 0),
    /* OF: infinite where the mode leads there, else the largest number */
    CASE2(fadd_d, RNE, MAX_D, MAX_D, INF_D, OF | NX),
    CASE2(fadd_d, RTZ, MAX_D, MAX_D, MAX_D, OF | NX),
    CASE2(fadd_d, RDN, MAX_D, MAX_D, MAX_D, OF | NX),
    CASE2(fadd_d, RUP, MAX_D, MAX_D, INF_D, OF | NX),
    CASE2(fadd_d, RMM, MAX_D, MAX_D, INF_D, OF | NX),
    CASE2(fmul_s, RUP, S(0xff7fffff), S(0x40000000), S(0xff7fffff), OF | NX),
    CASE2(fmul_s, RDN, S(0xff7fffff), S(0x40000000), S(0xff800000), OF | NX),
    CASE2(fmul_s, RMM, S(0xff7fffff), S(0x40000000), S(0xff800000), OF | NX),
    CASE2(fadd_d, RNE, MAX_D, D(0x7c90000000000000), INF_D, OF | NX), /* max + half an ulp */
    CASE2(fadd_d, RNE, MAX_D, D(0x7c8fffffffffffff), MAX_D, NX),
    /* exact zeros of unlike signs */
    CASE2(fsub_d, RNE, ONE_D, ONE_D, 0, 0),
    CASE2(fsub_d, RDN, ONE_D, ONE_D, MINUS, 0),
    CASE2(fadd_d, RMM, 0, MINUS, 0, 0),
    CASE2(fadd_d, RDN, 0, MINUS, MINUS, 0),
    CASE2(fadd_d, RUP, MINUS, MINUS, MINUS, 0),
};

static void test_rounding(void)
{
    CHECK(rounding);
}

/* --- 11.4: tininess is detected after rounding ------------------------------------------------ */

static const fp_case subnormal[] = {
    /*
     * (1 - 2^-53) * 2^-1022: to nearest it is the smallest normal number, with unbounded exponent
     * too
     */
    CASE2(fmul_d, RNE, MIN_D, D(0x3fefffffffffffff), MIN_D, NX | UF),
    CASE2(fmul_d, RNE, D(0x0010000000000001), D(0x3feffffffffffffe), MIN_D, NX),
    CASE2(fmul_d, RMM, D(0x0010000000000001), D(0x3feffffffffffffe), MIN_D, NX),
    CASE2(fmul_d, RUP, D(0x0010000000000001), D(0x3feffffffffffffe), MIN_D, NX),
    CASE2(fmul_d, RTZ, D(0x0010000000000001), D(0x3feffffffffffffe), MIN_D - 1, NX | UF),
    CASE1(fcvt_s_d, RNE, D(0x380fffffefffffff), S(0x00800000), NX | UF),
    CASE1(fcvt_s_d, RNE, D(0x380ffffff0000000), S(0x00800000), NX),
    CASE1(fcvt_s_d, RTZ, D(0x380ffffff0000000), S(0x007fffff), NX | UF),
    CASE2(fdiv_s, RNE, S(0x00ffffff), S(0x40000000), S(0x00800000), NX | UF),
    CASE2(fdiv_d, RNE, 1, D(0x4000000000000000), 0, NX | UF),
    CASE2(fdiv_d, RMM, 1, D(0x4000000000000000), 1, NX | UF),
    CASE2(fdiv_d, RUP, 1, INF_D - 1, 1, NX | UF),
    CASE2(fmul_d, RDN, 1 | MINUS, D(0x3fe0000000000000), 1 | MINUS, NX | UF),
    /* exact: no UF */
    CASE2(fmul_d, RNE, MIN_D, D(0x3fe0000000000000), D(0x0008000000000000), 0),
    CASE2(fsub_d, RNE, D(0x0010000000000001), MIN_D, 1, 0),
    CASE(fmadd_d, RNE, MIN_D, D(0x3fe0000000000000), D(0x0008000000000000), MIN_D, 0),
    CASE(fmadd_d, RNE, D(0x0010000000000001), D(0x3feffffffffffffe), 0, MIN_D, NX),
    CASE(fmadd_d, RNE, MIN_D, D(0x3fefffffffffffff), 0, MIN_D, NX | UF),
};

static void test_subnormal(void)
{
    CHECK(subnormal);
}

/* --- 11.3: NaNs ------------------------------------------------------------------------------- */

static const fp_case nans[] = {
    CASE2(fadd_d, RNE, QNAN_D, ONE_D, NAN_D, 0),
    CASE2(fadd_d, RNE, ONE_D, SNAN_D, NAN_D, NV),
    CASE2(fsub_s, RMM, QNAN_S, ONE_S, NAN_S, 0),
    CASE2(fsub_s, RUP, SNAN_S, QNAN_S, NAN_S, NV),
    CASE2(fsub_d, RNE, INF_D, INF_D, NAN_D, NV),
    CASE2(fadd_d, RNE, INF_D, INF_D, INF_D, 0),
    CASE2(fmul_d, RNE, INF_D, 0, NAN_D, NV),
    CASE2(fmul_d, RNE, QNAN_D, 0, NAN_D, 0),
    CASE2(fdiv_d, RNE, 0, MINUS, NAN_D, NV),
    CASE2(fdiv_s, RNE, INF_S, INF_S, NAN_S, NV),
    CASE1(fsqrt_d, RNE, ONE_D | MINUS, NAN_D, NV),
    CASE1(fsqrt_d, RNE, MINUS, MINUS, 0),
    CASE1(fsqrt_s, RNE, QNAN_S, NAN_S, 0),
    CASE1(fsqrt_s, RNE, INF_S, INF_S, 0),
    CASE1(fcvt_s_d, RNE, QNAN_D, NAN_S, 0),
    CASE1(fcvt_d_s, RNE, SNAN_S, NAN_D, NV),
    CASE1(fcvt_d_s, RNE, QNAN_S, NAN_D, 0),
    /* fused: infinity times zero is invalid even if the addend is a quiet NaN */
    CASE(fmadd_d, RNE, INF_D, 0, QNAN_D, NAN_D, NV),
    CASE(fnmadd_s, RNE, S(0), INF_S, QNAN_S, NAN_S, NV),
    CASE(fmadd_d, RMM, INF_D, 0, ONE_D, NAN_D, NV),
    CASE(fmadd_d, RNE, ONE_D, ONE_D, QNAN_D, NAN_D, 0),
    CASE(fmadd_d, RNE, ONE_D, ONE_D, SNAN_D, NAN_D, NV),
    CASE(fmsub_d, RNE, INF_D, ONE_D, INF_D, NAN_D, NV),
    CASE(fmadd_d, RNE, INF_D, ONE_D, INF_D, INF_D, 0),
    CASE(fnmsub_d, RNE, ONE_D, ONE_D, INF_D, INF_D, 0),
};

static void test_nans(void)
{
    CHECK(nans);
}

/* --- 11.6: fused multiply-add, signs, minimum and maximum ------------------------------------- */

#define TWO_D D(0x4000000000000000)
#define THREE_D D(0x4008000000000000)
#define SEVEN_D D(0x401c000000000000)

static const fp_case computation[] = {
    CASE(fmadd_d, RNE, TWO_D, THREE_D, ONE_D, SEVEN_D, 0),
    CASE(fmsub_d, RNE, TWO_D, THREE_D, ONE_D | MINUS, SEVEN_D, 0),
    CASE(fnmsub_d, RNE, TWO_D, THREE_D, ONE_D | MINUS, SEVEN_D | MINUS, 0),
    CASE(fnmadd_d, RNE, TWO_D, THREE_D, ONE_D, SEVEN_D | MINUS, 0),
    /* -(1 * 1) + 1: an exact zero takes its sign from the mode, not from the negation */
    CASE(fnmsub_d, RNE, ONE_D, ONE_D, ONE_D, 0, 0),
    CASE(fnmadd_d, RDN, ONE_D, ONE_D, ONE_D | MINUS, MINUS, 0),
    /* one rounding: (1 + 2^-52)^2 - 1 - 2^-51 is 2^-104 */
    CASE(fmsub_d, RNE, ONE_D + 1, ONE_D + 1, ONE_D + 2, D(0x3970000000000000), 0),
    CASE(fmadd_s, RNE, S(0x3f800001), S(0x3f800001), S(0xbf800002), S(0x28800000), 0),
    /* (1 + x) * (1 - x + x^2) is 1 + x^3: far behind the last bit, it decides a tie */
    CASE(fmadd_d, RNE, D(0x3ff0000004000000), D(0x3c9ffffff8000002), ONE_D, ONE_D + 1, NX),
    CASE(fnmsub_d, RNE, D(0x3ff0000004000000), D(0x3c9ffffff8000002), ONE_D + 2, ONE_D + 1, NX),
    CASE(fmadd_s, RNE, S(0x3f800800), S(0x337ff001), ONE_S, ONE_S + 1, NX),
    CASE2(fsgnj_d, 0, ONE_D, MINUS, ONE_D | MINUS, 0),
    CASE2(fsgnjn_d, 0, SNAN_D, MINUS, SNAN_D & ~MINUS, 0), /* NaNs are not looked at */
    CASE2(fsgnjx_s, 0, S(0xbf800000), S(0x80000000), ONE_S, 0),
    CASE2(fsgnj_s, 0, S(0x7f812345), S(0xff800001), S(0xff812345), 0),
    CASE2(fmin_d, 0, 0, MINUS, MINUS, 0),
    CASE2(fmin_d, 0, MINUS, 0, MINUS, 0),
    CASE2(fmax_d, 0, MINUS, 0, 0, 0),
    CASE2(fmax_s, 0, S(0), S(0x80000000), S(0), 0),
    CASE2(fmin_s, 0, S(0xbf800000), S(0xc0000000), S(0xc0000000), 0),
    CASE2(fmax_d, 0, ONE_D | MINUS, ONE_D, ONE_D, 0),
    CASE2(fmin_d, 0, QNAN_D, ONE_D, ONE_D, 0),
    CASE2(fmin_d, 0, ONE_D, SNAN_D, ONE_D, NV),
    CASE2(fmax_d, 0, QNAN_D, QNAN_D, NAN_D, 0),
    CASE2(fmax_s, 0, SNAN_S, QNAN_S, NAN_S, NV),
};

static void test_computation(void)
{
    CHECK(computation);
}

/* --- 11.7: conversions; the limits are those of table 11.4 ------------------------------------ */

#define WORD(x) ((uint64_t)(int64_t)(int32_t)(x))

static const fp_case conversions[] = {
    CASE1(fcvt_w_d, RTZ, D(0x41dfffffffffffff), WORD(0x7fffffff), NX), /* 2^31 - 2^-22 */
    CASE1(fcvt_w_d, RNE, D(0x41dfffffffffffff), WORD(0x7fffffff), NV),
    CASE1(fcvt_w_d, RNE, D(0xc1e0000000000000), WORD(0x80000000), 0),
    CASE1(fcvt_w_d, RTZ, D(0xc1e00000001fffff), WORD(0x80000000), NX),
    CASE1(fcvt_w_d, RDN, D(0xc1e00000001fffff), WORD(0x80000000), NV),
    CASE1(fcvt_w_s, RNE, INF_S, WORD(0x7fffffff), NV),
    CASE1(fcvt_w_s, RNE, S(0xff800000), WORD(0x80000000), NV),
    CASE1(fcvt_w_s, RNE, S(0xffc00000), WORD(0x7fffffff), NV), /* NaN: as if positive */
    CASE1(fcvt_wu_d, RTZ, D(0xbfefffffffffffff), 0, NX),       /* above -1 */
    CASE1(fcvt_wu_d, RNE, D(0xbfe0000000000000), 0, NX),       /* -0.5 */
    CASE1(fcvt_wu_d, RMM, D(0xbfe0000000000000), 0, NV),
    CASE1(fcvt_wu_d, RTZ, ONE_D | MINUS, 0, NV),
    CASE1(fcvt_wu_d, RTZ, D(0x41efffffffffffff), WORD(0xffffffff), NX), /* sign-extended */
    CASE1(fcvt_wu_d, RTZ, D(0x41f0000000000000), WORD(0xffffffff), NV),
    CASE1(fcvt_wu_s, RNE, SNAN_S, WORD(0xffffffff), NV),
    CASE1(fcvt_wu_d, RNE, D(0x41e0000000000000), WORD(0x80000000), 0),
    CASE1(fcvt_l_d, RNE, D(0x43e0000000000000), INT64_MAX, NV),
    CASE1(fcvt_l_d, RNE, D(0xc3e0000000000000), MINUS, 0),
    CASE1(fcvt_l_s, RNE, S(0x5effffff), D(0x7fffff8000000000), 0),
    CASE1(fcvt_l_d, RNE, D(0xfff0000000000000), MINUS, NV),
    CASE1(fcvt_lu_d, RNE, D(0x43efffffffffffff), D(0xfffffffffffff800), 0),
    CASE1(fcvt_lu_d, RNE, D(0x43f0000000000000), UINT64_MAX, NV),
    CASE1(fcvt_lu_d, RDN, D(0xbfd0000000000000), 0, NV), /* -0.25 becomes -1 */
    CASE1(fcvt_lu_s, RNE, NAN_S, UINT64_MAX, NV),
    CASE1(fcvt_lu_s, RNE, S(0x80000000), 0, 0),
    /* ties */
    CASE1(fcvt_l_d, RNE, D(0x4004000000000000), 2, NX), /* 2.5 */
    CASE1(fcvt_l_d, RMM, D(0x4004000000000000), 3, NX),
    CASE1(fcvt_l_d, RUP, D(0x4004000000000000), 3, NX),
    CASE1(fcvt_l_d, RDN, D(0xc004000000000000), (uint64_t)-3, NX),
    CASE1(fcvt_l_d, RTZ, D(0xc004000000000000), (uint64_t)-2, NX),
    CASE1(fcvt_l_d, RNE, D(0x400c000000000000), 4, NX), /* 3.5 */
    CASE1(fcvt_w_s, RUP, S(0x00000001), 1, NX),
    CASE1(fcvt_w_s, RMM, S(0x3effffff), 0, NX),
    /* from integers: only the low half counts for w and wu; zero is +0 in all modes */
    CASE1(fcvt_d_w, RNE, D(0x12345678ffffffff), ONE_D | MINUS, 0),
    CASE1(fcvt_d_wu, RNE, D(0x12345678ffffffff), D(0x41efffffffe00000), 0),
    CASE1(fcvt_s_w, RNE, 16777217, S(0x4b800000), NX),
    CASE1(fcvt_s_w, RUP, 16777217, S(0x4b800001), NX),
    CASE1(fcvt_s_w, RMM, 16777217, S(0x4b800001), NX),
    CASE1(fcvt_s_wu, RTZ, UINT64_MAX, S(0x4f7fffff), NX),
    CASE1(fcvt_d_l, RNE, UINT64_MAX, ONE_D | MINUS, 0),
    CASE1(fcvt_d_lu, RNE, UINT64_MAX, D(0x43f0000000000000), NX),
    CASE1(fcvt_d_lu, RTZ, UINT64_MAX, D(0x43efffffffffffff), NX),
    CASE1(fcvt_d_lu, RNE, D(0x8000000000000400), D(0x43e0000000000000), NX), /* a tie */
    CASE1(fcvt_d_lu, RNE, D(0x8000000000000401), D(0x43e0000000000001), NX),
    CASE1(fcvt_s_lu, RDN, 0, S(0), 0),
    CASE1(fcvt_d_l, RDN, 0, 0, 0),
    CASE1(fcvt_s_d, RNE, D(0x47effffff0000000), INF_S, OF | NX),
    CASE1(fcvt_s_d, RDN, D(0x47effffff0000000), S(0x7f7fffff), NX),
    CASE1(fcvt_s_d, RNE, MINUS, S(0x80000000), 0),
    CASE1(fcvt_d_s, RNE, S(0x80000001), D(0xb6a0000000000000), 0),
    CASE1(fcvt_d_s, RNE, S(0x7f7fffff), D(0x47efffffe0000000), 0),
    CASE1(fcvt_d_s, RNE, S(0x80800000), D(0xb810000000000000), 0),
    CASE1(fcvt_d_s, RNE, S(0xff800000), INF_D | MINUS, 0),
};

static void test_conversions(void)
{
    CHECK(conversions);
}

/* --- 11.8, 11.9: comparison and class --------------------------------------------------------- */

static const fp_case comparison[] = {
    CASE2(feq_d, 0, 0, MINUS, 1, 0),
    CASE2(flt_d, 0, MINUS, 0, 0, 0),
    CASE2(fle_d, 0, 0, MINUS, 1, 0),
    CASE2(flt_d, 0, ONE_D | MINUS, ONE_D, 1, 0),
    CASE2(flt_d, 0, ONE_D, ONE_D, 0, 0),
    CASE2(fle_d, 0, ONE_D, ONE_D, 1, 0),
    CASE2(fle_s, 0, S(0xc0000000), S(0xbf800000), 1, 0),
    CASE2(flt_s, 0, S(0xbf800000), S(0xc0000000), 0, 0),
    CASE2(feq_s, 0, INF_S, INF_S, 1, 0),
    CASE2(feq_d, 0, ONE_D, ONE_D + 1, 0, 0),
    /* feq is quiet, the others signal on every NaN */
    CASE2(feq_d, 0, QNAN_D, QNAN_D, 0, 0),
    CASE2(feq_d, 0, ONE_D, SNAN_D, 0, NV),
    CASE2(flt_d, 0, QNAN_D, ONE_D, 0, NV),
    CASE2(fle_s, 0, ONE_S, QNAN_S, 0, NV),
    CASE2(fle_s, 0, SNAN_S, ONE_S, 0, NV),
    CASE1(fclass_d, 0, INF_D | MINUS, 1 << 0, 0),
    CASE1(fclass_d, 0, MAX_D | MINUS, 1 << 1, 0),
    CASE1(fclass_d, 0, MIN_D | MINUS, 1 << 1, 0),
    CASE1(fclass_d, 0, (MIN_D - 1) | MINUS, 1 << 2, 0),
    CASE1(fclass_d, 0, MINUS, 1 << 3, 0),
    CASE1(fclass_d, 0, 0, 1 << 4, 0),
    CASE1(fclass_d, 0, 1, 1 << 5, 0),
    CASE1(fclass_d, 0, MIN_D, 1 << 6, 0),
    CASE1(fclass_d, 0, INF_D, 1 << 7, 0),
    CASE1(fclass_d, 0, SNAN_D, 1 << 8, 0),
    CASE1(fclass_d, 0, QNAN_D, 1 << 9, 0),
    CASE1(fclass_s, 0, S(0x807fffff), 1 << 2, 0),
    CASE1(fclass_s, 0, S(0x00800000), 1 << 6, 0),
    CASE1(fclass_s, 0, S(0xff800000), 1 << 0, 0),
    CASE1(fclass_s, 0, SNAN_S, 1 << 8, 0),
};

static void test_comparison(void)
{
    CHECK(comparison);
}

/* --- 12.2: NaN boxing ------------------------------------------------------------------------- */

static const fp_case boxing[] = {
    CASE2(fadd_s, RNE, PLAIN_ONE, ONE_S, NAN_S, 0),
    CASE2(fsub_s, RNE, ONE_S, PLAIN_ONE, NAN_S, 0),
    CASE2(fsub_s, RMM, ONE_S, D(0xfffffffe3f800000), NAN_S, 0),
    CASE2(fmul_s, RNE, D(0x7f800001), ONE_S, NAN_S,
          0), /* no signal: the NaN is the canonical one */
    CASE(fmadd_s, RNE, ONE_S, PLAIN_ONE, ONE_S, NAN_S, 0),
    CASE(fnmadd_s, RNE, ONE_S, ONE_S, D(0x7f800001), NAN_S, 0),
    CASE1(fsqrt_s, RNE, PLAIN_ONE, NAN_S, 0),
    CASE2(fsgnj_s, 0, PLAIN_ONE, S(0x80000000), S(0xffc00000), 0),
    CASE2(fsgnjx_s, 0, S(0xbf800000), D(0x80000000), S(0xbf800000), 0),
    CASE2(fmin_s, 0, PLAIN_ONE, ONE_S, ONE_S, 0),
    CASE2(feq_s, 0, PLAIN_ONE, PLAIN_ONE, 0, 0),
    CASE2(flt_s, 0, 0, ONE_S, 0, NV),
    CASE1(fclass_s, 0, PLAIN_ONE, 1 << 9, 0),
    CASE1(fcvt_w_s, RNE, D(0xff800000), WORD(0x7fffffff), NV),
    CASE1(fcvt_d_s, RNE, PLAIN_ONE, NAN_D, 0),
    /* moves look at nothing */
    CASE1(fmv_x_w, 0, D(0x1234567880000001), WORD(0x80000001), 0),
    CASE1(fmv_x_w, 0, SNAN_S, D(0x7f800001), 0),
    CASE1(fmv_w_x, 0, D(0x123456787f800001), SNAN_S, 0),
    CASE1(fmv_x_d, 0, SNAN_D, SNAN_D, 0),
    CASE1(fmv_d_x, 0, SNAN_D, SNAN_D, 0),
};

static void test_boxing(void)
{
    CHECK(boxing);
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"rounding and flags", test_rounding},
        {"subnormal numbers", test_subnormal},
        {"NaNs", test_nans},
        {"computation", test_computation},
        {"conversions", test_conversions},
        {"comparison and class", test_comparison},
        {"NaN boxing", test_boxing},
        {NULL, NULL},
    };
    return hvc_unit_main("soft_fp", tests);
}
