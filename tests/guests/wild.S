/* SPDX-License-Identifier: Apache-2.0 */
/* Jumps to where there is nothing; its trap handler is there too. */
#include "guest.inc"

    guest_begin
    li t0, NOTHING
    csrw stvec, t0
    jr t0

    guest_library
