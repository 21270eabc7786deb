/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for an interrupt that never comes. */
#include "guest.inc"

    guest_begin
1:  wfi
    j 1b

    guest_library
