/* SPDX-License-Identifier: Apache-2.0 */
/* Traps while its trap handler is at 0, where there is nothing: the handler traps for ever. */
#include "guest.inc"

    guest_begin
    csrw stvec, zero
    .word 0x0000000b        /* custom-0: no such instruction */
    li a0, 1                /* not reached */
    call guest_exit

    guest_library
