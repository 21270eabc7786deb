/* SPDX-License-Identifier: Apache-2.0 */
/* Never ends, never traps. */
#include "guest.inc"

    guest_begin
1:  j 1b

    guest_library
