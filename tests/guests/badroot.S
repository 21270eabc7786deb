/* SPDX-License-Identifier: Apache-2.0 */
/* Switches translation on with a page table at an address where there is nothing. */
#include "guest.inc"

    guest_begin
    la t0, handler
    csrw stvec, t0
    li t0, SATP_SV39 << 60 | NOTHING >> 12
    csrw satp, t0
    sfence.vma
    nop
    .balign 4
handler:
    li a0, 1                /* not reached: it cannot be fetched either */
    call guest_exit

    guest_library
