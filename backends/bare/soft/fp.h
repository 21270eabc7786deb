/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of the F and D instructions (RISC-V Unprivileged ISA 20191213, chapters 11 and 12):
 * which encodings there are, and what each computes, bit for bit, with its flags. It knows no
 * register file, no CSR and no memory: loads and stores, mstatus.FS and the choice of the rounding
 * mode are the engine's.
 *
 *   fp_arith.c    + - * / sqrt fma: on the host's FPU, else in integers
 *   fp_convert.c  conversions       fp_bits.c  signs, minimum, comparison, class, moves
 *   fp_env.c      the host's FP environment: enter, flags, leave
 *   fp_soft.c     the same arithmetic in integers: what the host has not
 *
 * Exceptions of host arithmetic stay in the host's status register until hvc_soft_fp_flags fetches
 * them, so most instructions cost the host's instruction, a test of the rounding mode and one for
 * NaN. In integers: RMM, which no host has; the fused multiply-add of a host without one;
 * everything on hosts other than x86-64 and AArch64; and on AArch64, which detects tininess before
 * rounding (RISC-V: after), whatever is not above the smallest normal number.
 */
#ifndef HVC_SOFT_FP_H
#define HVC_SOFT_FP_H

#include <stdbool.h>
#include <stdint.h>

/* Rounding modes (Unpriv. table 11.1). */
enum hvc_soft_fp_rm {
    HVC_SOFT_FP_RNE = 0, /* to nearest, ties to even */
    HVC_SOFT_FP_RTZ = 1, /* towards zero */
    HVC_SOFT_FP_RDN = 2, /* down */
    HVC_SOFT_FP_RUP = 3, /* up */
    HVC_SOFT_FP_RMM = 4  /* to nearest, ties away from zero */
};

/* Exceptions, as in fflags (Unpriv. table 11.2). */
enum hvc_soft_fp_flag {
    HVC_SOFT_FP_NX = 1,  /* inexact */
    HVC_SOFT_FP_UF = 2,  /* underflow: tiny after rounding, and inexact */
    HVC_SOFT_FP_OF = 4,  /* overflow */
    HVC_SOFT_FP_DZ = 8,  /* division by zero */
    HVC_SOFT_FP_NV = 16, /* invalid operation */
    HVC_SOFT_FP_ALL = 31
};

/*
 * hvc_soft_fp_env.options, for tests: as on a host without any FPU, or without a fused
 * multiply-add.
 */
enum { HVC_SOFT_FP_NO_HOST = 1, HVC_SOFT_FP_NO_FMA = 2 };

/*
 * The environment of one PE. All zero is its state before the first instruction. It may move
 * between threads after hvc_soft_fp_leave.
 */
typedef struct hvc_soft_fp_env {
    uint32_t host;     /* 0: the thread has its own environment; else ours, and 1 + its mode */
    uint32_t flags;    /* raised, and not in the host's status register */
    uint32_t fma;      /* 1: this host has a fused multiply-add; valid while host is not 0 */
    uint32_t options;  /* HVC_SOFT_FP_NO_HOST, _NO_FMA; to be changed only while host is 0 */
    uint64_t saved[2]; /* the thread's own environment */
} hvc_soft_fp_env;

/* --- the environment -------------------------------------------------------------------------- */

/*
 * Puts a clean environment (round to nearest, no traps, no flags, subnormals are honoured) in place
 * of the thread's own. Instructions that need it do so themselves: calling this is allowed and
 * never necessary. Between enter and leave the thread does no other FP arithmetic.
 */
void hvc_soft_fp_enter(hvc_soft_fp_env *env);
void hvc_soft_fp_restore(hvc_soft_fp_env *env);

/* Gives the thread its own environment back, bit for bit. Where ours is not in place: nothing. */
static inline void hvc_soft_fp_leave(hvc_soft_fp_env *env)
{
    if (env->host)
        hvc_soft_fp_restore(env);
}

/* The fflags (HVC_SOFT_FP_NX and so on) raised since the last call; allowed after leave as well. */
uint32_t hvc_soft_fp_flags(hvc_soft_fp_env *env);

/* --- the instructions ------------------------------------------------------------------------- */

/*
 * The value of an instruction. a, b and c are what the registers rs1, rs2 and rs3 hold, all 64 bits
 * (the others are ignored): a single that is not NaN-boxed counts as the canonical NaN. rm is the
 * rounding mode in effect, 0 to 4 (never 7; ignored where none is used). Returns what rd holds
 * then, all 64 bits: singles NaN-boxed, 32-bit integers sign-extended.
 */
typedef uint64_t hvc_soft_fp_fn(hvc_soft_fp_env *env, uint64_t a, uint64_t b, uint64_t c,
                                uint32_t rm);

/* Which registers an instruction uses: the result's file, then the operands'. */
enum hvc_soft_fp_form {
    HVC_SOFT_FP_FF,
    HVC_SOFT_FP_FFF,
    HVC_SOFT_FP_FFFF, /* R4-type */
    HVC_SOFT_FP_XF,
    HVC_SOFT_FP_XFF,
    HVC_SOFT_FP_FX
};

/*
 * X(name, mask, match, form, rm): a word is that instruction if (word & mask) == match; no word is
 * two of them. form is FF, FFF, FFFF, XF, XFF or FX; rm is 1 if funct3 is a rounding mode. (Unpriv.
 * chapter 24, tables RV32F to RV64D.)
 */
/* clang-format off */
#define HVC_SOFT_FP(X) \
    HVC_SOFT_FP_OF(X, s, 0u) \
    HVC_SOFT_FP_OF(X, d, 1u) \
    X(fcvt_s_d, 0xfff0007f, 0x40100053, FF, 1) \
    X(fcvt_d_s, 0xfff0007f, 0x42000053, FF, 1) \
    X(fmv_x_w,  0xfff0707f, 0xe0000053, XF, 0) \
    X(fmv_w_x,  0xfff0707f, 0xf0000053, FX, 0) \
    X(fmv_x_d,  0xfff0707f, 0xe2000053, XF, 0) \
    X(fmv_d_x,  0xfff0707f, 0xf2000053, FX, 0)

/* What single and double have alike; fmt is bits 26:25. */
#define HVC_SOFT_FP_OF(X, p, fmt) \
    X(fmadd_##p,     0x0600007f, (0x00000043u | (fmt) << 25), FFFF, 1) \
    X(fmsub_##p,     0x0600007f, (0x00000047u | (fmt) << 25), FFFF, 1) \
    X(fnmsub_##p,    0x0600007f, (0x0000004bu | (fmt) << 25), FFFF, 1) \
    X(fnmadd_##p,    0x0600007f, (0x0000004fu | (fmt) << 25), FFFF, 1) \
    X(fadd_##p,      0xfe00007f, (0x00000053u | (fmt) << 25), FFF,  1) \
    X(fsub_##p,      0xfe00007f, (0x08000053u | (fmt) << 25), FFF,  1) \
    X(fmul_##p,      0xfe00007f, (0x10000053u | (fmt) << 25), FFF,  1) \
    X(fdiv_##p,      0xfe00007f, (0x18000053u | (fmt) << 25), FFF,  1) \
    X(fsqrt_##p,     0xfff0007f, (0x58000053u | (fmt) << 25), FF,   1) \
    X(fsgnj_##p,     0xfe00707f, (0x20000053u | (fmt) << 25), FFF,  0) \
    X(fsgnjn_##p,    0xfe00707f, (0x20001053u | (fmt) << 25), FFF,  0) \
    X(fsgnjx_##p,    0xfe00707f, (0x20002053u | (fmt) << 25), FFF,  0) \
    X(fmin_##p,      0xfe00707f, (0x28000053u | (fmt) << 25), FFF,  0) \
    X(fmax_##p,      0xfe00707f, (0x28001053u | (fmt) << 25), FFF,  0) \
    X(fle_##p,       0xfe00707f, (0xa0000053u | (fmt) << 25), XFF,  0) \
    X(flt_##p,       0xfe00707f, (0xa0001053u | (fmt) << 25), XFF,  0) \
    X(feq_##p,       0xfe00707f, (0xa0002053u | (fmt) << 25), XFF,  0) \
    X(fclass_##p,    0xfff0707f, (0xe0001053u | (fmt) << 25), XF,   0) \
    X(fcvt_w_##p,    0xfff0007f, (0xc0000053u | (fmt) << 25), XF,   1) \
    X(fcvt_wu_##p,   0xfff0007f, (0xc0100053u | (fmt) << 25), XF,   1) \
    X(fcvt_l_##p,    0xfff0007f, (0xc0200053u | (fmt) << 25), XF,   1) \
    X(fcvt_lu_##p,   0xfff0007f, (0xc0300053u | (fmt) << 25), XF,   1) \
    X(fcvt_##p##_w,  0xfff0007f, (0xd0000053u | (fmt) << 25), FX,   1) \
    X(fcvt_##p##_wu, 0xfff0007f, (0xd0100053u | (fmt) << 25), FX,   1) \
    X(fcvt_##p##_l,  0xfff0007f, (0xd0200053u | (fmt) << 25), FX,   1) \
    X(fcvt_##p##_lu, 0xfff0007f, (0xd0300053u | (fmt) << 25), FX,   1)
/* clang-format on */

#define HVC_SOFT_FP_DECLARE(name, mask, match, form, rm) hvc_soft_fp_fn hvc_soft_fp_##name;
HVC_SOFT_FP(HVC_SOFT_FP_DECLARE)
#undef HVC_SOFT_FP_DECLARE

#endif
