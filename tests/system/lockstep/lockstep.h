/* SPDX-License-Identifier: Apache-2.0 */
/* Random streams of one class of encodings each, for lockstep.c. */
#ifndef HVC_TESTS_LOCKSTEP_H
#define HVC_TESTS_LOCKSTEP_H

#define GUEST_PAGES 1024 /* 4 MiB */
#include "tests/unit/soft.h"

#include <signal.h>
#include <stdlib.h>

#define LOCKSTEP_DATA (GUEST + UINT64_C(0x200000))
#define LOCKSTEP_DATA_SIZE UINT64_C(0x2000)
#define LOCKSTEP_BASE 8 /* s0 points into the middle of the data, and no stream writes it */

/* Writes an instruction, or a few that belong together, at *at and moves it on. */
typedef struct lockstep_out {
    uint8_t *at;
    uint64_t *seed;
} lockstep_out;

typedef struct lockstep_class {
    const char *name;
    void (*put)(lockstep_out *out);
} lockstep_class;

extern const lockstep_class lockstep_classes[]; /* ended by a NULL name */
size_t lockstep_class_count(void);

/* About `count` instructions and the ECALL at the end, which is returned. */
uint8_t *lockstep_generate(const lockstep_class *c, uint8_t *code, uint32_t count, uint64_t *seed);

#endif
