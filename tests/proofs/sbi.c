/* SPDX-License-Identifier: Apache-2.0 */
/* SBI calls, for all registers: each has a verdict, and what a verdict carries is safe to act on.
 */
#include "lib/firmware/sbi.c"

#include "tests/proofs/proof.h"

enum { ANSWER, CONSOLE, SHUTDOWN, RESET, VMM };

PROOF(sbi, 1)
{
    hvcore_riscv64_frame f, was;
    uint32_t features;
    hvcore_sbi_call c;
    uint64_t eid = f.x[17], fid = f.x[16], a0 = f.x[10], a1 = f.x[11];

    was = f;
    hvcore_sbi_decode(&f, features, &c);
    PROVE_SAME(f, was);
    PROVE(c.verdict <= VMM);
    PROVE(c.verdict == ANSWER || (c.error == 0 && c.value == 0));
    PROVE(c.verdict == CONSOLE || (c.byte == 0 && c.addr == 0 && c.len == 0));
    PROVE(c.verdict == SHUTDOWN || c.verdict == RESET || (c.type == 0 && c.reason == 0));
    if (c.verdict == ANSWER)
        PROVE(c.error == 0 || c.error == -2 || c.error == -3);
    if (c.verdict == CONSOLE) {
        PROVE(eid == 0x4442434e && (features & 1) && (fid == 0 || fid == 2));
        PROVE(c.len != 0 && c.byte <= 255);
        if (fid == 0)
            PROVE(c.addr == a1 && c.len == a0 && c.addr <= UINT64_MAX - c.len && f.x[12] == 0);
        else
            PROVE(c.addr == UINT64_MAX && c.len == 1 && c.byte == bits(a0, 7, 0));
    }
    if (c.verdict == SHUTDOWN || c.verdict == RESET) {
        PROVE(eid == 0x53525354 && fid == 0);
        PROVE(c.type == bits(a0, 31, 0) && c.reason == bits(a1, 31, 0) && c.reason <= 1);
        PROVE(c.verdict == SHUTDOWN ? c.type == 0 : c.type == 1 || c.type == 2);
    }
    if (c.verdict == VMM)
        PROVE((eid >= 0x08000000 && eid <= 0x09ffffff) ||
              (eid == 0x10 && fid == 3 && a0 >= 0x08000000 && a0 <= 0x09ffffff));
}

/* What nobody has heard of is not supported; only the old calls keep a1. */
PROOF(sbi_unknown, 1)
{
    hvcore_riscv64_frame f;
    uint32_t features;
    hvcore_sbi_call c;
    uint64_t eid = f.x[17];

    ASSUME(eid != 0x10 && eid != 0x53525354 && eid != 0x4442434e);
    ASSUME(eid < 0x08000000 || eid > 0x09ffffff);
    hvcore_sbi_decode(&f, features, &c);
    PROVE(c.verdict == ANSWER && c.error == -2);
    PROVE(c.value == (eid <= 15 ? f.x[11] : 0));
}
