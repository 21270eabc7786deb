/* SPDX-License-Identifier: Apache-2.0 */
/* The guests' binaries; the build's -I says where they are. */
    .section .rodata
    .macro blob name, file
    .globl \name, \name\()_end
    .balign 16
\name:
    .incbin "\file"
\name\()_end:
    .endm

    blob blob_hs_guests, "tests/guests/hs_guests.bin"
    blob blob_trap_equal, "tests/guests/trap_equal.bin"

    .section .note.GNU-stack, "", @progbits
