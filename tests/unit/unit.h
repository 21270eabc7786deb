/* SPDX-License-Identifier: Apache-2.0 */
/* The main of a CUnit program: one suite, its tests in a table that ends with {NULL, NULL}. */
#ifndef HVC_TESTS_UNIT_H
#define HVC_TESTS_UNIT_H

#include <CUnit/Basic.h>

typedef struct hvc_unit_test {
    const char *name;
    void (*run)(void);
} hvc_unit_test;

/* Runs the tests in order and prints CUnit's summary. Returns what main returns: 0, or 1 if
 * anything failed or could not be set up. */
static inline int hvc_unit_main(const char *suite, const hvc_unit_test *tests)
{
    CU_pSuite added;
    int bad;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    added = CU_add_suite(suite, NULL, NULL);
    bad = !added;
    for (; !bad && tests->name; tests++)
        bad = !CU_add_test(added, tests->name, tests->run);
    if (!bad)
        bad = CU_basic_run_tests() != CUE_SUCCESS || CU_get_number_of_failures() != 0 ||
              CU_get_number_of_tests_run() == 0;
    CU_cleanup_registry();
    return bad ? 1 : 0;
}
#endif
