/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SBI calls, for all registers: each has the verdict of the specification's chapters, and what a
 * verdict carries is safe to act on (SBI 2.0, 4 to 10 and 12; 3.0, 18).
 */
#include "lib/firmware/sbi.c"

#include "tests/proofs/proof.h"

enum {
    ANSWER,
    CONSOLE,
    SHUTDOWN,
    RESET,
    VMM,
    SET_TIMER,
    SEND_IPI,
    FENCE,
    HART_START,
    HART_STOP,
    HART_STATUS,
    HART_SUSPEND,
    HART_SUSPEND_AWAY
};

static bool is_vmms(uint64_t eid)
{
    return eid >= 0x08000000 && eid <= 0x09ffffff;
}

static unsigned of_hsm(uint64_t fid, uint64_t a0)
{
    if (fid < 3)
        return HART_START + fid;
    if (fid > 3 || bits(a0, 30, 0))
        return ANSWER;
    return bit(a0, 31) ? HART_SUSPEND_AWAY : HART_SUSPEND;
}

static unsigned of_reset(uint64_t fid, uint64_t a0, uint64_t a1)
{
    if (fid || bits(a0, 31, 0) > 2 || bits(a1, 31, 0) > 1)
        return ANSWER;
    return bits(a0, 31, 0) ? RESET : SHUTDOWN;
}

/* Some bytes from a1 on, as far as a guest-physical address can name them; or one. */
static unsigned of_console(uint64_t fid, const uint64_t *x)
{
    bool writes = fid == 0 && x[12] == 0 && x[11] + x[10] > x[11];

    return writes || fid == 2 ? CONSOLE : ANSWER;
}

static unsigned verdict_of(const uint64_t *x, uint32_t features)
{
    uint64_t eid = x[17], fid = x[16];
    bool console = bit(features, 0), timer = bit(features, 1), harts = bit(features, 2);

    switch (eid) {
    case 0x54494d45:
        return timer && fid == 0 ? SET_TIMER : ANSWER;
    case 0x735049:
        return harts && fid == 0 ? SEND_IPI : ANSWER;
    case 0x52464e43:
        return harts && fid <= 2 ? FENCE : ANSWER;
    case 0x48534d:
        return harts ? of_hsm(fid, x[10]) : ANSWER;
    case 0x53525354:
        return of_reset(fid, x[10], x[11]);
    case 0x4442434e:
        return console ? of_console(fid, x) : ANSWER;
    case 0x10:
        return fid == 3 && is_vmms(x[10]) ? VMM : ANSWER;
    case 0: /* legacy */
        return timer ? SET_TIMER : ANSWER;
    case 1:
        return console ? CONSOLE : ANSWER;
    case 8:
        return SHUTDOWN;
    default:
        return is_vmms(eid) ? VMM : ANSWER;
    }
}

/* Fields that a verdict does not name are zero. */
static bool is_bare(const hvcore_sbi_call *c, unsigned verdict)
{
    bool starts = verdict == HART_START || verdict == HART_SUSPEND_AWAY;
    bool many = verdict == SEND_IPI || verdict == FENCE;

    return (verdict == ANSWER || c->error == 0) &&
           (verdict == ANSWER || verdict == CONSOLE || verdict == SET_TIMER || c->value == 0) &&
           (verdict == CONSOLE || (c->byte == 0 && c->len == 0)) &&
           (verdict == CONSOLE || starts || c->addr == 0) && (starts || c->opaque == 0) &&
           (verdict == SHUTDOWN || verdict == RESET || (c->type == 0 && c->reason == 0)) &&
           (many || (c->mask == 0 && c->base == 0)) && (verdict == SET_TIMER || c->time == 0) &&
           (verdict == HART_START || verdict == HART_STATUS || c->hart == 0);
}

PROOF(sbi, 10)
{
    hvcore_riscv64_frame f, was;
    uint32_t features;
    hvcore_sbi_call c;
    const uint64_t *x = was.x;
    bool legacy_call = f.x[17] <= 15;

    was = f;
    hvcore_sbi_decode(&f, features, &c);
    PROVE_SAME_WORDS(f, was);
    PROVE(c.verdict == verdict_of(x, features));
    PROVE(is_bare(&c, c.verdict));
    if (c.verdict == CONSOLE && x[17] == 0x4442434e && x[16] == 0)
        PROVE(c.addr == x[11] && c.len == x[10] && c.addr <= UINT64_MAX - c.len && c.byte == 0);
    else if (c.verdict == CONSOLE)
        PROVE(c.addr == UINT64_MAX && c.len == 1 && c.byte == bits(x[10], 7, 0));
    if ((c.verdict == SHUTDOWN && !legacy_call) || c.verdict == RESET)
        PROVE(c.type == bits(x[10], 31, 0) && c.reason == bits(x[11], 31, 0) && c.reason <= 1);
    if (c.verdict == SEND_IPI || c.verdict == FENCE)
        PROVE(c.mask == x[10] && c.base == x[11]);
    if (c.verdict == SET_TIMER)
        PROVE(c.time == x[10]);
    if (c.verdict == HART_START || c.verdict == HART_STATUS)
        PROVE(c.hart == x[10]);
    if (c.verdict == HART_START || c.verdict == HART_SUSPEND_AWAY)
        PROVE(c.addr == x[11] && c.opaque == x[12]);
    if (c.verdict == ANSWER)
        PROVE(c.error <= 0 && c.error >= -4);
    if (c.verdict == CONSOLE || c.verdict == SET_TIMER)
        PROVE(c.value == (legacy_call ? x[11] : 0)); /* an old call keeps a1 */
}

/* What nobody has heard of is not supported; only the old calls keep a1. */
PROOF(sbi_unknown, 10)
{
    hvcore_riscv64_frame f;
    uint32_t features;
    hvcore_sbi_call c;
    uint64_t eid = f.x[17];

    ASSUME(eid != 0x10 && eid != 0x53525354 && eid != 0x4442434e && eid != 0x46574654);
    ASSUME(eid != 0x54494d45 && eid != 0x735049 && eid != 0x52464e43 && eid != 0x48534d);
    ASSUME((eid > 2 && eid != 8 && eid < 0x08000000) || eid > 0x09ffffff);
    hvcore_sbi_decode(&f, features, &c);
    PROVE(c.verdict == ANSWER && c.error == -2);
    PROVE(c.value == (eid <= 15 ? f.x[11] : 0));
}
