/* SPDX-License-Identifier: Apache-2.0 */
/*
 * htinst and mtinst: what hardware tells of the instruction that trapped (Priv. 1.13, 21.6.3).
 * It tells the kind of the access and its registers, never the address. Pure.
 */
#ifndef HVC_FIXUP_HTINST_H
#define HVC_FIXUP_HTINST_H

#include <stdint.h>

/* What a value is. */
enum hvc_htinst_kind {
    HVC_HTINST_NONE = 0,   /* it tells nothing: zero, or not known to this version */
    HVC_HTINST_PSEUDO = 1, /* the fault was met by VS-stage translation: no instruction's access */
    HVC_HTINST_XFORM = 2,  /* a transformed standard instruction */
    HVC_HTINST_CUSTOM = 3  /* a custom instruction, of any kind */
};

/* Kinds of standard instructions that have a transformation. */
enum hvc_htinst_op {
    HVC_HTINST_OP_NONE = 0,
    HVC_HTINST_OP_LOAD = 1,
    HVC_HTINST_OP_FLOAD = 2,
    HVC_HTINST_OP_STORE = 3,
    HVC_HTINST_OP_FSTORE = 4,
    HVC_HTINST_OP_AMO = 5, /* also LR and SC */
    HVC_HTINST_OP_HLS = 6  /* HLV, HLVX, HSV */
};

/* A decoded value. A field that its kind and operation do not have is zero. */
typedef struct hvc_htinst {
    uint8_t kind;        /* HVC_HTINST_* */
    uint8_t op;          /* XFORM: HVC_HTINST_OP_* */
    uint8_t bits;        /* PSEUDO: 32 or 64, width of a page-table entry */
    uint8_t write;       /* PSEUDO: 1 for an update of A or D */
    uint8_t len;         /* XFORM: length of the instruction in bytes, 2 or 4 */
    uint8_t offset;      /* XFORM: faulting address less original address */
    uint8_t size;        /* XFORM but HLS: bytes */
    uint8_t is_unsigned; /* LOAD: the value is zero-extended */
    uint8_t rd;          /* LOAD, FLOAD, AMO */
    uint8_t rs2;         /* STORE, FSTORE, AMO */
    uint8_t funct5;      /* AMO: bits 31:27 */
} hvc_htinst;

void hvc_htinst_decode(uint64_t htinst, hvc_htinst *out);

#endif
