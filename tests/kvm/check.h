/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The harness of the programs that use kvm: a table of tests, `ok NAME`, `not ok NAME` or `skip
 * NAME: REASON` for each, and the sum at the end. A test goes on after a CHECK that fails; each
 * says what it saw.
 */
#ifndef HVC_TESTS_KVM_CHECK_H
#define HVC_TESTS_KVM_CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <hvcore/hvcore.h>

typedef struct check_test {
    const char *name;
    void (*run)(void);
} check_test;

static struct {
    unsigned bad; /* CHECKs of this test that failed */
    const char *skip;
} check_now;

__attribute__((format(printf, 4, 5))) static inline bool check_that(bool ok, const char *file,
                                                                    int line, const char *fmt, ...)
{
    va_list ap;

    if (ok)
        return true;
    check_now.bad++;
    printf("# %s:%d: ", file, line);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    return false;
}

#define CHECK(ok) check_that((ok) != 0, __FILE__, __LINE__, "%s", #ok)
/* Two integers that have to be equal. */
#define SAME(is, want) check_same((uint64_t)(is), (uint64_t)(want), __FILE__, __LINE__, #is)
/* A call of the library that has to succeed; its error record is `e`. */
#define OK(call)                                                                 \
    check_that((call) == 0, __FILE__, __LINE__, "%s: %s (%s)", #call, e.message, \
               hvcore_strerror(e.code))
/* A call that has to fail with this code. */
#define FAILS(call, want) check_fails((call), -(want), __FILE__, __LINE__, #call)
/* The test cannot be made here: say why, and return. */
#define SKIP(why)               \
    do {                        \
        check_now.skip = (why); \
        return;                 \
    } while (0)

static inline bool check_same(uint64_t is, uint64_t want, const char *file, int line,
                              const char *text)
{
    return check_that(is == want, file, line, "%s is 0x%llx, not 0x%llx", text,
                      (unsigned long long)is, (unsigned long long)want);
}

static inline bool check_fails(int is, int want, const char *file, int line, const char *text)
{
    return check_that(is == want, file, line, "%s returns %d (%s), not %d (%s)", text, is,
                      hvcore_strerror(is), want, hvcore_strerror(want));
}

/* What main returns. */
static inline int check_all(const check_test *tests)
{
    unsigned passed = 0, failed = 0, skipped = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (; tests->name; tests++) {
        check_now.bad = 0;
        check_now.skip = NULL;
        tests->run();
        if (check_now.bad)
            printf("not ok %s\n", tests->name);
        else if (check_now.skip)
            printf("skip %s: %s\n", tests->name, check_now.skip);
        else
            printf("ok %s\n", tests->name);
        failed += check_now.bad != 0;
        skipped += !check_now.bad && check_now.skip;
        passed += !check_now.bad && !check_now.skip;
    }
    printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
    return failed != 0;
}

#endif
