/* SPDX-License-Identifier: Apache-2.0 */
/* Linked with --wrap=CU_assertImplementation: the first assertion that fails ends the program. */
#include <stdio.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

CU_BOOL __real_CU_assertImplementation(CU_BOOL value, unsigned line, const char *condition,
                                       const char *file, const char *function, CU_BOOL fatal);
CU_BOOL __wrap_CU_assertImplementation(CU_BOOL value, unsigned line, const char *condition,
                                       const char *file, const char *function, CU_BOOL fatal);

CU_BOOL __wrap_CU_assertImplementation(CU_BOOL value, unsigned line, const char *condition,
                                       const char *file, const char *function, CU_BOOL fatal)
{
    if (!value) {
        printf("\n%s:%u: %s\n", file, line, condition);
        fflush(stdout);
        _exit(1);
    }
    return __real_CU_assertImplementation(value, line, condition, file, function, fatal);
}
