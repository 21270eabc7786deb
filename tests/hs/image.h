/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the test images share: start of two harts, console, jobs for the second hart, the protocol.
 * An image prints, per test, `ok NAME` or `not ok NAME: why`, then `N passed, N failed, N skipped`,
 * and switches the machine off.
 */
#ifndef HVC_TESTS_HS_IMAGE_H
#define HVC_TESTS_HS_IMAGE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hs_test {
    const char *name;
    void (*run)(void);
} hs_test;

/* The image's own part: called on CPU 0 with the ground ready and CPU 1 waiting for jobs. */
void image_main(void);

/* Run the tests up to {NULL, NULL}; count them. */
void hs_run(const hs_test *tests);

void hs_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The running test has failed (the first reason is printed) or cannot be done here. */
void hs_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void hs_skip(const char *why);
/* A prefix for the reasons: what a test in a loop is at. Every test begins without one. */
void hs_at(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool hs_failed(void);

#define HS_CHECK(condition)                               \
    do {                                                  \
        if (!(condition)) {                               \
            hs_fail("line %d: %s", __LINE__, #condition); \
            return;                                       \
        }                                                 \
    } while (0)

#define HS_EQUAL(a, b)                                                                         \
    do {                                                                                       \
        unsigned long long hs_a_ = (unsigned long long)(a), hs_b_ = (unsigned long long)(b);   \
        if (hs_a_ != hs_b_) {                                                                  \
            hs_fail("line %d: %s is 0x%llx, not %s = 0x%llx", __LINE__, #a, hs_a_, #b, hs_b_); \
            return;                                                                            \
        }                                                                                      \
    } while (0)

/* Have CPU 1 do something; wait until it has done it. One job at a time. */
void hs_start(void (*job)(void *), void *arg);
bool hs_done(void);
/* False after `ms`: the job has not ended, the image must stop. */
bool hs_wait(uint64_t ms);
/* Wait until *word is `value`, at most `ms`. */
bool hs_wait_word(_Atomic uint32_t *word, uint32_t value, uint64_t ms);
void hs_sleep_us(uint64_t us);

/* Reproducible noise. */
uint32_t hs_random(void);

#endif
