/* SPDX-License-Identifier: Apache-2.0 */
/* One operation on its way, interrupted and mended (mops_run.c); what is drawn and compared is
 * mops.c's. */
#ifndef HVC_TESTS_SYSTEM_ARM64_MOPS_TEST_H
#define HVC_TESTS_SYSTEM_ARM64_MOPS_TEST_H

#include "tests/system/arm64/mops.h"

#define AT_P (GUEST_CODE + 0x100)
#define AT_M (AT_P + 4)
#define AT_E (AT_P + 8)
#define AT_END (AT_P + 16) /* both HVC and SVC return behind themselves */
#define NZCV MASK(31, 28)

/* How an operation is begun and interrupted. */
enum plan {
    FROM_P,    /* from the prologue; stage 2 lacks a page */
    STEPPED,   /* from the prologue, one instruction at a time */
    BY_HAND_B, /* at main or epilogue, in the middle, in the format of option B */
    BY_HAND_A, /* at the epilogue in that of option A: it may get too much */
    PLANS
};

typedef struct test {
    operation o;
    enum guest_route route;
    enum plan plan;
    hvcore_arm64_frame first, frame; /* as it was begun; now */
    amounts whole;       /* what the prologue got, or would have got for what is under way */
    uint64_t entered;    /* pc at the last entry */
    bool turned;         /* the frame is in the other option's format */
    bool moved;          /* with STEPPED: a fix-up is to be reported before anything executes */
    uint64_t flags;      /* NZCV in the end: the prologue's, if it executes */
    uint32_t turns_left; /* how often it may still be turned */
    bool bad;
} test;

/* Larger than the stack likes. */
extern hvcore_arm64_state mops_state;
extern hvcore_arm64_sys mops_sys;

/* Events by family and kind, for the summary. */
enum { WRONG_MAIN, WRONG_EPILOGUE, ILL_EPILOGUE, NORMALISED, ABORT_P, ABORT_M, STEPS, KINDS };
extern uint64_t mops_seen[FAMILIES][KINDS];

extern const char *const mops_families[FAMILIES];

void mops_same(test *t, const char *what, uint64_t got, uint64_t wanted);

/* From option A to B, with what is done since the operation was begun. */
void mops_turn(test *t);
/* To the next exit, and what a Memory Copy and Memory Set exception asks for. */
uint64_t mops_enter(test *t);
void mops_mend(test *t, uint64_t esr);
/* From where the frame is to the end. */
void mops_drive(test *t);

#endif
