/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the arm64 walker. Registers are first brought into a form in which a walk needs few of
 * them (arm64_params.c): sizes, the first table, sets and masks. That form belongs to a regime and
 * one of its two ranges of addresses and may be kept for many walks. A walk then descends through
 * tables (arm64_descend.c); what is common is done again, faster, in arm64_hot.h, inline, so that
 * it can be compiled together with an accessor. What is done at a leaf stands in arm64_s1.c and
 * arm64_s2.c, who may do what in arm64_permission.c, memory types in arm64_memtype.c.
 *
 * Functions that return bool: true, go on; false, the walk has ended and the result says how.
 */
#ifndef HVC_WALK_ARM64_WALK_H
#define HVC_WALK_ARM64_WALK_H

#include "lib/walk/arm64_regs.h"

#define HVC_ARM64_COLD __attribute__((noinline, cold))
#define HVC_ARM64_INLINE static inline __attribute__((always_inline))

typedef int hvc_arm64_read(void *user, uint64_t gpa, uint64_t *value);

enum hvc_arm64_granule { GRANULE_4K = 0, GRANULE_16K = 1, GRANULE_64K = 2, GRANULE_NONE = 3 };

/* Where OA[51:48] stands in a descriptor: nowhere, in 15:12, in 9:8 and 49:48. */
enum hvc_arm64_high { HIGH_NONE, HIGH_64K, HIGH_DS };

/* A stage of translation, prepared. */
struct hvc_arm64_stage {
    uint64_t base;     /* the first table */
    uint64_t in;       /* bits of an input address */
    uint64_t in_entry; /* bits of an entry's address that a level below the first resolves */
    uint64_t table;    /* bits of a table descriptor that are the next address, but for `high` */
    uint64_t beyond;   /* bits that no output address has */
    uint32_t granule;  /* enum hvc_arm64_granule */
    uint32_t shift;    /* bits of a page offset */
    uint32_t stride;   /* bits that a level resolves */
    uint32_t ia;       /* bits of an input address */
    uint32_t lsb;      /* lowest bit that the first level resolves */
    int32_t start;     /* the first level */
    uint32_t blocks;   /* levels that may have blocks: bit level + 1 */
    uint32_t high;     /* enum hvc_arm64_high */
    uint32_t sh;       /* shareability where descriptors have none (DS) */
    bool ee;           /* tables are big-endian */
    bool ha, hd;       /* hardware sets the access flag, the dirty state */
    bool ds;
};

/* What else stage 1 needs. */
enum hvc_arm64_s1_flag {
    S1_EL2 = 1,     /* registers of EL2: regimes EL2, EL2&0 */
    S1_PRIVATE = 2, /* no unprivileged side: regime EL2 */
    S1_NV1 = 4,     /* HCR_EL2.{NV,NV1} = {1,1} */
    S1_PIE = 8,
    S1_POE = 16,   /* overlay for the privileged, */
    S1_E0POE = 32, /* for EL0 */
    S1_AIE = 64,
    S1_E0PD = 128,
    S1_OFF = 256, /* the stage is off; only TBI counts */
    S1_EPAN = 512,
    S1_TBI = 1024
};

/* `ready` is what is known before any address: a fault, or none. */
struct hvc_arm64_s1 {
    struct hvc_arm64_stage t;
    uint64_t tables; /* bits of table descriptors that count */
    uint64_t above; /* bits of an address that must be those of `sign`: what is above, less a tag */
    uint64_t sign;  /* all zeros, or all ones */
    uint64_t sctlr;
    uint32_t flags; /* S1_* */
    uint32_t ready; /* HVCORE_ARM64_FAULT_* */
    int32_t early;  /* level of Translation faults before the first fetch */
};

/* And stage 2; its early faults are of level 0. */
enum hvc_arm64_s2_flag { S2_PIE = 1, S2_PTW = 2, S2_FWB = 4, S2_CD = 8 };

struct hvc_arm64_s2 {
    struct hvc_arm64_stage t;
    uint32_t flags; /* S2_* */
    uint32_t ready; /* HVCORE_ARM64_FAULT_* */
};

/* A place in a stage: the descriptor at `at` on the way to what `addr` translates to. */
struct hvc_arm64_cursor {
    uint64_t addr;
    uint64_t at;
    uint64_t desc;   /* in the order of bytes that the architecture describes */
    uint64_t tables; /* table descriptors above, or-ed */
    int32_t level;
    uint32_t lsb;
    uint32_t index; /* in the result's `read` */
    uint32_t stage; /* 1 or 2 */
    uint32_t notes; /* how a fault here is reported: S1PTW, WRITE */
};

/* PS and IPS. */
static const uint8_t HVC_ARM64_PS_BITS[8] = {32, 36, 40, 42, 44, 48, 52, 56};

#define MEMTYPE_NC 0x44u /* Normal, both Non-cacheable */
#define MEMTYPE_WB 0xffu /* Normal, both Write-Back, Read- and Write-Allocate */

/* A memory type: `byte` in the encoding of MAIR_ELx, without its special values. */
struct hvc_arm64_memtype {
    uint8_t byte;
    uint8_t sh;
    bool device;
    bool tagged;
    bool xs;
    bool as_is;   /* nothing has changed it since it was read from MAIR_ELx, */
    uint8_t mair; /* as this */
};

/* What stage 1 has found. */
struct hvc_arm64_found {
    uint64_t to, size;
    uint32_t prot;
    int32_t level;
};

/* A walk: what belongs to the regime, then what belongs to the one access. */
struct hvc_arm64_walk {
    const hvcore_arm64_walk_options *opt;
    const hvcore_arm64_sys *sys;
    uint64_t hcr; /* 0 without EL2 */
    uint32_t regime;
    bool upper; /* the range: bit 55 of the address */
    bool two;   /* there is a stage 2 below */
    struct hvc_arm64_s1 s1;
    struct hvc_arm64_s2 s2; /* if `two` */

    const hvcore_arm64_walk_mem *mem;
    hvcore_arm64_walk_result *out;
    uint64_t va;
    uint32_t access;
    struct hvc_arm64_cursor under; /* the stage 2 leaf of the last stage 1 table */
};

/* ---- arm64.c: how a walk begins and ends ---- */

/* A walk, whatever the registers are and it may meet. */
void hvc_arm64_general(const hvcore_arm64_walk_options *options, const hvcore_arm64_sys *sys,
                       const hvcore_arm64_walk_mem *mem, const hvcore_arm64_walk_request *request,
                       hvcore_arm64_walk_result *out);
/* What is left of a walk of arm64_hot.h, from the last entry of out->read on: of that level, with
 * `tables` above it, and for which the accessor answered `status`. */
void hvc_arm64_resume(const hvcore_arm64_walk_options *options, const hvcore_arm64_sys *sys,
                      const hvcore_arm64_walk_mem *mem, const hvcore_arm64_walk_request *request,
                      hvcore_arm64_walk_result *out, uint64_t tables, int32_t level, int status);
/* Sets up a regime for one of its ranges. 0, or HVCORE_ARM64_REFUSED_*. `options` and `sys`
 * stay. */
uint32_t hvc_arm64_prepare(struct hvc_arm64_walk *w, const hvcore_arm64_walk_options *options,
                           const hvcore_arm64_sys *sys, uint32_t regime, bool upper);
/* A fault at the cursor. */
bool hvc_arm64_fault(struct hvc_arm64_walk *w, const struct hvc_arm64_cursor *c, uint32_t fault,
                     int32_t level, uint32_t notes);
/* An accessor could not: `status` is not OK. */
bool hvc_arm64_no_access(struct hvc_arm64_walk *w, const struct hvc_arm64_cursor *c, uint64_t gpa,
                         int32_t level, int status, uint32_t notes);
/* Store `desc` where the cursor stands, if it still holds what was read. */
bool hvc_arm64_update(struct hvc_arm64_walk *w, const struct hvc_arm64_stage *s,
                      struct hvc_arm64_cursor *c, uint64_t desc);

/* ---- arm64_params.c ---- */

void hvc_arm64_s1_params(struct hvc_arm64_walk *w);
void hvc_arm64_s2_params(struct hvc_arm64_walk *w);
/* TCR2 of the regime as far as it counts. */
uint64_t hvc_arm64_tcr2(const struct hvc_arm64_walk *w);

/* ---- arm64_s1.c ---- */

/* A walk of the prepared regime, whatever it may meet. */
void hvc_arm64_s1_walk(struct hvc_arm64_walk *w, const hvcore_arm64_walk_mem *mem,
                       const hvcore_arm64_walk_request *request, hvcore_arm64_walk_result *out);
/* What is left of it at the last descriptor, for which the accessor answered `status`. */
void hvc_arm64_s1_rest(struct hvc_arm64_walk *w, const hvcore_arm64_walk_mem *mem,
                       const hvcore_arm64_walk_request *request, hvcore_arm64_walk_result *out,
                       struct hvc_arm64_cursor *c, int status);

/* ---- arm64_s2.c ---- */

/* The address of the stage 1 descriptor at `ipa`, which w->under then stands for. */
bool hvc_arm64_table_at(struct hvc_arm64_walk *w, uint64_t ipa, uint64_t *at);
/* The walk is about to write that descriptor: stage 2 must let it. */
bool hvc_arm64_table_writable(struct hvc_arm64_walk *w);
/* Stage 2 of the result. *m is stage 1's memory type. */
bool hvc_arm64_final(struct hvc_arm64_walk *w, struct hvc_arm64_found *f,
                     struct hvc_arm64_memtype *m);

/* ---- arm64_permission.c ---- */

/* What stage 1 allows the privilege that asks: HVCORE_PROT_*. *notes: why it lacks something. */
uint32_t hvc_arm64_s1_rights(const struct hvc_arm64_walk *w, const struct hvc_arm64_cursor *c,
                             uint32_t *notes);
/* What stage 2 allows; *notes: DIRTY, if that is all a write lacks. */
uint32_t hvc_arm64_s2_rights(const struct hvc_arm64_walk *w, const struct hvc_arm64_cursor *c,
                             uint32_t *notes);

/* ---- arm64_memtype.c ---- */

/* Through pointers: as values they would be put together bytewise and then read as a word, for
 * which a processor waits. */
void hvc_arm64_mair(struct hvc_arm64_memtype *m, const hvcore_arm64_walk_options *opt,
                    uint32_t byte, uint32_t sh);
void hvc_arm64_normal(struct hvc_arm64_memtype *m, uint32_t byte, uint32_t sh, bool xs);
/* MAIR encoding with the special values. */
uint32_t hvc_arm64_memtype_attr(const hvcore_arm64_walk_options *opt,
                                const struct hvc_arm64_memtype *m);
uint32_t hvc_arm64_memtype_sh(const struct hvc_arm64_memtype *m);
/* Is the stage 2 leaf Device memory? */
bool hvc_arm64_s2_device(const struct hvc_arm64_s2 *s, uint64_t desc);
/* Stage 1's type under the stage 2 leaf. */
void hvc_arm64_memtype_combine(const struct hvc_arm64_walk *w, uint64_t desc,
                               struct hvc_arm64_memtype *m);

/* ---- descriptors ---- */

/* By shifts alone: a byte swap would be a library call on riscv64. */
static inline uint64_t hvc_arm64_swap(uint64_t x)
{
    x = (x & UINT64_C(0x00ff00ff00ff00ff)) << 8 | (x >> 8 & UINT64_C(0x00ff00ff00ff00ff));
    x = (x & UINT64_C(0x0000ffff0000ffff)) << 16 | (x >> 16 & UINT64_C(0x0000ffff0000ffff));
    return x << 32 | x >> 32;
}

/* OA[51:48] of a descriptor. */
static inline uint64_t hvc_arm64_high(uint32_t high, uint64_t d)
{
    if (high == HIGH_64K) {
        return (d >> 12 & 15) << 48;
    }
    return (d & ARM64_MASK(49, 48)) | (d >> 8 & 3) << 50;
}

static inline bool hvc_arm64_is_table(uint64_t d, int32_t level)
{
    return (d & (DESC_VALID | DESC_TABLE)) == (DESC_VALID | DESC_TABLE) && level < 3;
}

static inline bool hvc_arm64_is_leaf(const struct hvc_arm64_stage *s, uint64_t d, int32_t level)
{
    bool right = d & DESC_TABLE ? level == 3 : s->blocks >> (level + 1) & 1; /* page, block */

    return right && d & DESC_VALID;
}

/* From the first table to a leaf. c->addr, stage and notes are set; the rest of the cursor is on
 * the leaf then. `nested`: the tables themselves lie behind stage 2. */
bool hvc_arm64_descend(struct hvc_arm64_walk *w, const struct hvc_arm64_stage *s,
                       struct hvc_arm64_cursor *c, bool nested);

/* What both stages ask of a leaf before permissions (specs 3.3, 9 and 10). *out: its output. */
bool hvc_arm64_leaf_ok(struct hvc_arm64_walk *w, const struct hvc_arm64_stage *s,
                       const struct hvc_arm64_cursor *c, uint64_t *out);
#endif
