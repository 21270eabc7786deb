/* SPDX-License-Identifier: Apache-2.0 */
/* The effective hedeleg, for all inputs and bit by bit (specs riscv-traps 3.3). */
#include "lib/policy/compile.c"

#include "tests/proofs/proof.h"

PROOF(hedeleg, 1)
{
    uint64_t want, writable, intercept, hedeleg;
    bool debug;
    unsigned n;

    ASSUME(n < 64);
    hedeleg = hvc_hedeleg_effective(want, writable, debug, intercept);
    PROVE(bit(hedeleg, n) ==
          (bit(want, n) && bit(writable, n) && !bit(intercept, n) && !(debug && n == 3)));
}
