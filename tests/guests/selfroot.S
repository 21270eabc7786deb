/* SPDX-License-Identifier: Apache-2.0 */
/* Switches translation on with a page table all of whose entries point to the table itself. */
#include "guest.inc"

    guest_begin
    la t0, handler
    csrw stvec, t0
    la t0, table
    srli t1, t0, 12
    slli t2, t1, 10
    ori t2, t2, PTE_V       /* a pointer, at every level: no translation ever ends */
    li t3, 512
1:  sd t2, 0(t0)
    addi t0, t0, 8
    addi t3, t3, -1
    bnez t3, 1b
    li t0, SATP_SV39 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    nop
    .balign 4
handler:
    li a0, 1                /* not reached: it cannot be fetched either */
    call guest_exit

    guest_library

    .bss
    .balign 4096
table:
    .skip 4096
