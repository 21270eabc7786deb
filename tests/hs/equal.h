/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HVC_TESTS_HS_EQUAL_H
#define HVC_TESTS_HS_EQUAL_H

#include <stdint.h>

/* One exception, delegated and redirected: the guest must see the same. A test's body. */
void equal_case(uint32_t cause, uint32_t mode);

#endif
