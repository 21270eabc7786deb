/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of the arm64 registers and descriptors that address translation reads (specs at-walker.md,
 * 3 and 4). Pure data; the unit lib/fixup/at.c uses it too.
 */
#ifndef HVC_WALK_ARM64_REGS_H
#define HVC_WALK_ARM64_REGS_H

#include <stdbool.h>

#include <hvcore/walk/arm64.h>

#define ARM64_BIT(n) (UINT64_C(1) << (n))

/* The bits hi to lo of a word. hi >= lo, hi <= 63. */
#define ARM64_MASK(hi, lo) (UINT64_MAX >> (63 - (hi)) & UINT64_MAX << (lo))

/* HCR_EL2 */
#define HCR_VM ARM64_BIT(0)
#define HCR_PTW ARM64_BIT(2)
#define HCR_DC ARM64_BIT(12)
#define HCR_TGE ARM64_BIT(27)
#define HCR_CD ARM64_BIT(32)
#define HCR_E2H ARM64_BIT(34)
#define HCR_NV ARM64_BIT(42)
#define HCR_NV1 ARM64_BIT(43)
#define HCR_AT ARM64_BIT(44)
#define HCR_FWB ARM64_BIT(46)
#define HCR_DCT ARM64_BIT(57)

#define HCRX_TCR2EN ARM64_BIT(14)

/* SCTLR_EL1, SCTLR_EL2 */
#define SCTLR_M ARM64_BIT(0)
#define SCTLR_C ARM64_BIT(2)
#define SCTLR_WXN ARM64_BIT(19)
#define SCTLR_EE ARM64_BIT(25)
#define SCTLR_EPAN ARM64_BIT(57)

/* TCR_EL1, the lower range: the upper one has EPD and TG 16 bits higher, TBI, HPD, E0PD and MTX one
 * bit higher. */
#define TCR_EPD ARM64_BIT(7)
#define TCR_TG ARM64_MASK(15, 14)
#define TCR_TBI ARM64_BIT(37)
#define TCR_HA ARM64_BIT(39)
#define TCR_HD ARM64_BIT(40)
#define TCR_HPD ARM64_BIT(41)
#define TCR_E0PD ARM64_BIT(55)
#define TCR_DS ARM64_BIT(59)
#define TCR_MTX ARM64_BIT(60)

/* TCR2_EL1, TCR2_EL2 */
#define TCR2_PIE ARM64_BIT(1)
#define TCR2_E0POE ARM64_BIT(2)
#define TCR2_POE ARM64_BIT(3)
#define TCR2_AIE ARM64_BIT(4)
#define TCR2_D128 ARM64_BIT(5)

/* VTCR_EL2 */
#define VTCR_HA ARM64_BIT(21)
#define VTCR_HD ARM64_BIT(22)
#define VTCR_DS ARM64_BIT(32)
#define VTCR_SL2 ARM64_BIT(33)
#define VTCR_S2PIE ARM64_BIT(36)
#define VTCR_D128 ARM64_BIT(38)

/* Descriptors. Bits 1:0 are the type; MemAttr and S2AP are those of stage 2. */
#define DESC_VALID ARM64_BIT(0)
#define DESC_TABLE ARM64_BIT(1)
#define DESC_AF ARM64_BIT(10)
#define DESC_FNXS ARM64_BIT(11)
#define DESC_NT ARM64_BIT(16)
#define DESC_DBM ARM64_BIT(51)
#define DESC_CONTIGUOUS ARM64_BIT(52)
#define DESC_PXN ARM64_BIT(53)
#define DESC_UXN ARM64_BIT(54)
#define DESC_NDIRTY ARM64_BIT(7)   /* stage 1 with PIE */
#define DESC_S2_DIRTY ARM64_BIT(7) /* stage 2: S2AP[1], or the dirty state with S2PIE */
#define DESC_PXNTABLE ARM64_BIT(59)
#define DESC_UXNTABLE ARM64_BIT(60)
#define DESC_APTABLE_SHIFT 61
#define DESC_APTABLE0 ARM64_BIT(61)
#define DESC_APTABLE1 ARM64_BIT(62)
#define DESC_AP_SHIFT 6
#define DESC_SH_SHIFT 8
#define DESC_ATTR_SHIFT 2
#define DESC_ATTR3_SHIFT 59  /* AttrIndx[3], with AIE */
#define DESC_PO_SHIFT 60     /* POIndex */
#define DESC_S2_ATTR_SHIFT 2 /* MemAttr[3:0] */

/* Shareability */
#define SH_NONE 0u
#define SH_OUTER 2u
#define SH_INNER 3u

/* `width` bits of a word from bit `at` on; width < 32. */
static inline uint32_t arm64_bits(uint64_t word, uint32_t at, uint32_t width)
{
    return (uint32_t)(word >> at) & ((UINT32_C(1) << width) - 1);
}
#endif
