/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emulated hardware as the oracle of lib/fixup/at.c and lib/walk/arm64*.c: random registers and
 * tables of both stages, the PE's own AT over them, and the unit's answer from the same registers
 * and words. Compared are PAR_EL1 or the exception, and what hardware wrote into tables.
 *
 * At EL3 the image's own translation is another one, and every regime can be tried; at EL2 those of
 * EL1 alone, and besides AT at EL1 and EL0 (at_guest.c) and the unit with the PE behind it
 * (at_resident.c).
 */
#include "tests/system/arm64/at.h"

#define SCR_NS BIT(0)
#define SCR_HCE BIT(8)
#define SCR_RW BIT(10)
#define SCR_ATA BIT(26)
#define SCR_FGTEN BIT(27)

/* What came of the cases, for the summary. */
static struct {
    uint64_t success, abort, astray, deadly;
    uint64_t fault[3][4]; /* of stage 1, of stage 2, of stage 2 on a table; by FST[5:2] */
} seen;

/* ---- judging ---- */

static void show_registers(const state *s)
{
    put("#   HCR"), put_hex(s->sys.hcr_el2), put(" VTCR"), put_hex(s->sys.vtcr_el2);
    put(" SCTLR"), put_hex(s->sys.sctlr_el1), put_hex(s->sys.sctlr_el2);
    put(" TCR"), put_hex(s->sys.tcr_el1), put_hex(s->sys.tcr_el2);
    put(" MAIR"), put_hex(s->sys.mair_el1), put_hex(s->sys.mair_el2);
    put("\n#   TTBR"), put_hex(s->sys.ttbr0_el1), put_hex(s->sys.ttbr1_el1);
    put_hex(s->sys.ttbr0_el2), put_hex(s->sys.ttbr1_el2);
    put(" VTTBR"), put_hex(s->sys.vttbr_el2), put(s->pan ? " PAN\n" : "\n");
}

static void show(const state *s, const outcome *hardware, const outcome *unit)
{
    put(" AT "), put(at_name(s->op)), put_hex(s->va);
    put(": PAR"), put_hex(hardware->par), put(", not"), put_hex(unit->par);
    if (hardware->abort || unit->abort) {
        put("; ESR"), put_hex(hardware->esr), put(", not"), put_hex(unit->esr);
        put("; FAR"), put_hex(hardware->far), put(", not"), put_hex(unit->far);
        put("; HPFAR"), put_hex(hardware->hpfar), put(", not"), put_hex(unit->hpfar);
    }
    put("\n");
    show_registers(s);
    for (uint32_t i = 0; i < s->used; i++) {
        put("#   stage "), put_number(s->words[i].stage), put(":");
        put_hex(s->words[i].pa), put_hex(s->words[i].value);
        if (hardware->words[i] != unit->words[i]) {
            put(" becomes"), put_hex(hardware->words[i]), put(", not"), put_hex(unit->words[i]);
        }
        put("\n");
    }
}

static void count(const outcome *hardware)
{
    uint64_t par = hardware->par;

    if (hardware->abort) {
        seen.abort++;
    } else if (par & PAR_F) {
        seen.fault[par & PAR_PTW ? 2 : par & PAR_S ? 1 : 0][field(par, 3, 2)]++;
    } else {
        seen.success++;
    }
}

void at_judge(const char *what, state *s, const outcome *hardware, const outcome *unit)
{
    count(hardware);
    image_compared += 1 + s->used;
    if (at_same(s, hardware, unit)) {
        image_passed++;
    } else if (at_is_known(s, hardware, unit)) {
        image_known++;
    } else {
        image_failed++;
        if (image_complain(what)) {
            show(s, hardware, unit);
        }
    }
}

/* ---- the sweep ---- */

static void one_case(bool el3)
{
    static state s;
    static outcome hardware, unit;
    variant plain;
    enum at_fate fate;

    at_any(&s, el3);
    at_build(&s);
    plain = at_plain(&s);
    at_unit(&s, &plain, &unit);
    fate = at_foresee(&s, &unit);
    seen.astray += fate == AT_ASTRAY;
    seen.deadly += fate == AT_DEADLY;
    if (fate == AT_FINE) {
        at_hardware(&s, &hardware);
        at_judge("AT differs", &s, &hardware, &unit);
    }
    at_wipe(&s);
}

/* Whether AT sets the access flag is an implementation's choice: a gigabyte, with AF = 0 and HA. */
static void probe(void)
{
    static state s;
    static outcome o;

    s.sys.hcr_el2 = HCR_RW;
    s.sys.sctlr_el1 = SCTLR_RES1 | SCTLR_M | SCTLR_C;
    s.sys.sctlr_el2 = SCTLR_RES1;
    s.sys.tcr_el1 = 25 | BIT(23) | UINT64_C(5) << 32 | TCR_HA;
    s.sys.ttbr0_el1 = TABLES;
    s.op = HVCORE_AT_S1E1R;
    at_put(&s, TABLES, RAM | 1, 1);
    at_hardware(&s, &o);
    at_wipe(&s);
    if (!(o.words[0] & DESC_AF)) {
        at_options.choices |= HVCORE_ARM64_CHOICE_KEEP_AF;
        put("# AT does not set the access flag here\n");
    }
}

void at_demand(uint64_t count)
{
    if (count == 0) {
        put("not ok something that should have been compared has not been seen\n");
        image_failed++;
    }
}

static void summary(void)
{
    static const char *const stages[3] = {"stage 1", "stage 2", "stage 2 on a stage 1 table"};
    static const char *const kinds[4] = {" address size, ", " translation, ", " access flag, ",
                                         " permission\n"};

    at_demand(seen.success), at_demand(seen.abort);
    put("# "), put_number(seen.success), put(" translated, "), put_number(seen.abort);
    put(" external aborts\n");
    for (uint32_t i = 0; i < 3; i++) {
        put("# faults of "), put(stages[i]), put(": ");
        for (uint32_t k = 0; k < 4; k++) {
            put_number(seen.fault[i][k]), put(kinds[k]);
            at_demand(i == 1 ? seen.fault[1][1] : seen.fault[i][k]);
        }
    }
    put("# not executed: "), put_number(seen.astray), put(" with tables in devices, ");
    put_number(seen.deadly), put(" that this QEMU does not survive\n");
    at_known_summary();
}

void image_main(void)
{
    bool el3 = image_level() == 3;
    uint64_t cases = image_argument("cases=", el3 ? 50000 : 30000);

    if (el3) {
        WRITE(scr_el3, SCR_NS | SCR_HCE | SCR_RW | SCR_ATA | SCR_FGTEN);
        barrier();
    }
    image_seed(image_argument("seed=", 1));
    at_identify();
    probe();
    for (uint64_t i = 0; i < cases; i++) {
        one_case(el3);
    }
    if (!el3) {
        at_traps();
        at_native(cases / 4);
        at_resident(cases / 4);
    }
    summary();
    put(image_failed ? "" : el3 ? "ok AT at EL3\n" : "ok AT at EL2 and below\n");
    image_end();
}
