/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encodings of F and D (RISC-V Unprivileged ISA 20191213, chapter 24): the table of the
 * software machine has what the assembler makes, under that name and no other, and nothing that is
 * reserved.
 */
#include "backends/bare/soft/fp.h"
#include "tests/system/fp_operands.h"
#include "tests/unit/unit.h"

#include <string.h>

typedef struct fp_word {
    const char *name;
    uint32_t word;
} fp_word;

/* What the GNU assembler makes of each. */
static const fp_word words[] = {
    {"fmadd_s", 0x51008fc3},   /* fmadd.s f31, f1, f16, f10, rne */
    {"fmsub_s", 0x51009fc7},   /* fmsub.s f31, f1, f16, f10, rtz */
    {"fnmsub_s", 0x5100afcb},  /* fnmsub.s f31, f1, f16, f10, rdn */
    {"fnmadd_s", 0x5100bfcf},  /* fnmadd.s f31, f1, f16, f10, rup */
    {"fadd_s", 0x0100cfd3},    /* fadd.s f31, f1, f16, rmm */
    {"fsub_s", 0x0900ffd3},    /* fsub.s f31, f1, f16, dyn */
    {"fmul_s", 0x11008fd3},    /* fmul.s f31, f1, f16, rne */
    {"fdiv_s", 0x19009fd3},    /* fdiv.s f31, f1, f16, rtz */
    {"fsqrt_s", 0x5800afd3},   /* fsqrt.s f31, f1, rdn */
    {"fsgnj_s", 0x21008fd3},   /* fsgnj.s f31, f1, f16 */
    {"fsgnjn_s", 0x21009fd3},  /* fsgnjn.s f31, f1, f16 */
    {"fsgnjx_s", 0x2100afd3},  /* fsgnjx.s f31, f1, f16 */
    {"fmin_s", 0x29008fd3},    /* fmin.s f31, f1, f16 */
    {"fmax_s", 0x29009fd3},    /* fmax.s f31, f1, f16 */
    {"fle_s", 0xa1008fd3},     /* fle.s x31, f1, f16 */
    {"flt_s", 0xa1009fd3},     /* flt.s x31, f1, f16 */
    {"feq_s", 0xa100afd3},     /* feq.s x31, f1, f16 */
    {"fclass_s", 0xe0009fd3},  /* fclass.s x31, f1 */
    {"fcvt_w_s", 0xc000bfd3},  /* fcvt.w.s x31, f1, rup */
    {"fcvt_wu_s", 0xc010cfd3}, /* fcvt.wu.s x31, f1, rmm */
    {"fcvt_l_s", 0xc020ffd3},  /* fcvt.l.s x31, f1, dyn */
    {"fcvt_lu_s", 0xc0308fd3}, /* fcvt.lu.s x31, f1, rne */
    {"fcvt_s_w", 0xd0009fd3},  /* fcvt.s.w f31, x1, rtz */
    {"fcvt_s_wu", 0xd010afd3}, /* fcvt.s.wu f31, x1, rdn */
    {"fcvt_s_l", 0xd020bfd3},  /* fcvt.s.l f31, x1, rup */
    {"fcvt_s_lu", 0xd030cfd3}, /* fcvt.s.lu f31, x1, rmm */
    {"fmadd_d", 0x5300ffc3},   /* fmadd.d f31, f1, f16, f10, dyn */
    {"fmsub_d", 0x53008fc7},   /* fmsub.d f31, f1, f16, f10, rne */
    {"fnmsub_d", 0x53009fcb},  /* fnmsub.d f31, f1, f16, f10, rtz */
    {"fnmadd_d", 0x5300afcf},  /* fnmadd.d f31, f1, f16, f10, rdn */
    {"fadd_d", 0x0300bfd3},    /* fadd.d f31, f1, f16, rup */
    {"fsub_d", 0x0b00cfd3},    /* fsub.d f31, f1, f16, rmm */
    {"fmul_d", 0x1300ffd3},    /* fmul.d f31, f1, f16, dyn */
    {"fdiv_d", 0x1b008fd3},    /* fdiv.d f31, f1, f16, rne */
    {"fsqrt_d", 0x5a009fd3},   /* fsqrt.d f31, f1, rtz */
    {"fsgnj_d", 0x23008fd3},   /* fsgnj.d f31, f1, f16 */
    {"fsgnjn_d", 0x23009fd3},  /* fsgnjn.d f31, f1, f16 */
    {"fsgnjx_d", 0x2300afd3},  /* fsgnjx.d f31, f1, f16 */
    {"fmin_d", 0x2b008fd3},    /* fmin.d f31, f1, f16 */
    {"fmax_d", 0x2b009fd3},    /* fmax.d f31, f1, f16 */
    {"fle_d", 0xa3008fd3},     /* fle.d x31, f1, f16 */
    {"flt_d", 0xa3009fd3},     /* flt.d x31, f1, f16 */
    {"feq_d", 0xa300afd3},     /* feq.d x31, f1, f16 */
    {"fclass_d", 0xe2009fd3},  /* fclass.d x31, f1 */
    {"fcvt_w_d", 0xc200afd3},  /* fcvt.w.d x31, f1, rdn */
    {"fcvt_wu_d", 0xc210bfd3}, /* fcvt.wu.d x31, f1, rup */
    {"fcvt_l_d", 0xc220cfd3},  /* fcvt.l.d x31, f1, rmm */
    {"fcvt_lu_d", 0xc230ffd3}, /* fcvt.lu.d x31, f1, dyn */
    {"fcvt_d_w", 0xd2008fd3},  /* fcvt.d.w f31, x1 */
    {"fcvt_d_wu", 0xd2108fd3}, /* fcvt.d.wu f31, x1 */
    {"fcvt_d_l", 0xd2208fd3},  /* fcvt.d.l f31, x1, rne */
    {"fcvt_d_lu", 0xd2309fd3}, /* fcvt.d.lu f31, x1, rtz */
    {"fcvt_s_d", 0x4010afd3},  /* fcvt.s.d f31, f1, rdn */
    {"fcvt_d_s", 0x42008fd3},  /* fcvt.d.s f31, f1 */
    {"fmv_x_w", 0xe0008fd3},   /* fmv.x.w x31, f1 */
    {"fmv_w_x", 0xf0008fd3},   /* fmv.w.x f31, x1 */
    {"fmv_x_d", 0xe2008fd3},   /* fmv.x.d x31, f1 */
    {"fmv_d_x", 0xf2008fd3},   /* fmv.d.x f31, x1 */
};

static const fp_word reserved[] = {
    {"half", 0x0500ffd3},
    {"quad", 0x0700ffd3},
    {"fmadd.h", 0x5500ffc3},
    {"fsqrt with rs2", 0x5810afd3},
    {"fsgnj funct3 3", 0x2100bfd3},
    {"fmin funct3 2", 0x2900afd3},
    {"feq funct3 3", 0xa100bfd3},
    {"fclass with rs2", 0xe0109fd3},
    {"fmv funct3 2", 0xe000afd3},
    {"fcvt.w with rs2 4", 0xc040bfd3},
    {"fcvt.s.s", 0x4000afd3},
    {"fcvt.d.d", 0x42108fd3},
    {"fcvt.s.h", 0x4020afd3},
    {"fmv.w.x with rs2", 0xf0108fd3},
    {"add", 0x003100b3},
    {"flw", 0x00012007},
};

/* The names of the rows that match, one after another. */
static const char *rows_of(uint32_t word, char *names)
{
    names[0] = 0;
#define ADD(name, mask, match, form, rm) \
    if ((word & (mask)) == (match))      \
        strcat(names, names[0] ? "+" #name : #name);
    HVC_SOFT_FP(ADD)
    return names;
}

static void test_encodings(void)
{
    char names[64 * 16];

#define ONE(name, mask, match, form, rm) +1
    CU_ASSERT_EQUAL(0 HVC_SOFT_FP(ONE), FP_COUNT(words));
    for (size_t i = 0; i < FP_COUNT(words); i++)
        CU_ASSERT_STRING_EQUAL(rows_of(words[i].word, names), words[i].name);
    for (size_t i = 0; i < FP_COUNT(reserved); i++)
        CU_ASSERT_STRING_EQUAL(rows_of(reserved[i].word, names), "");
}

/* What funct3 is follows from the mask; no match has bits that its mask does not look at. */
static void test_rows(void)
{
#define CHECK(name, mask, match, form, rm)               \
    CU_ASSERT_EQUAL((mask)&0x7000u, (rm) ? 0 : 0x7000u); \
    CU_ASSERT_EQUAL((match) & ~(mask), 0);               \
    CU_ASSERT((rm) <= 1 && HVC_SOFT_FP_##form <= HVC_SOFT_FP_FX);
    HVC_SOFT_FP(CHECK)
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"encodings", test_encodings},
        {"rows", test_rows},
        {NULL, NULL},
    };
    return hvc_unit_main("soft_fp_encoding", tests);
}
