/* SPDX-License-Identifier: Apache-2.0 */
/* The word of an A64 load or store, taken apart: everything but addresses. Pure. */
#ifndef HVC_FIXUP_NISV_ARM64_INSN_H
#define HVC_FIXUP_NISV_ARM64_INSN_H

#include <hvcore/fixup/access.h>

/* How the index register is widened to 64 bits: the field `option` of the encoding. */
enum hvc_arm64_extend {
    HVC_ARM64_NO_INDEX = 0,
    HVC_ARM64_UXTW = 2,
    HVC_ARM64_LSL = 3,
    HVC_ARM64_SXTW = 6,
    HVC_ARM64_SXTX = 7
};

/* The address is base + offset, or base + extended index << shift. */
typedef struct hvc_arm64_insn {
    hvcore_access access; /* without va, fault, byte order; of ZERO without size */
    int64_t offset;
    uint8_t base;   /* number of a register, 31 is SP; of ZERO the zero register */
    uint8_t index;  /* 31: the zero register */
    uint8_t extend; /* HVC_ARM64_* */
    uint8_t shift;
} hvc_arm64_insn;

/* Returns 0, or HVCORE_NISV_ARM64_* why not; *out means something with 0 only. */
uint32_t hvc_arm64_insn_decode(uint32_t word, hvc_arm64_insn *out);

#endif
