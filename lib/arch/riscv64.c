/* SPDX-License-Identifier: Apache-2.0 */
/* The causes of riscv64: the only place that knows which is which. */
#include "lib/arch/riscv64.h"

#include <stddef.h>

/* Short words for the table alone. */
enum {
    D = HVC_CAUSE_DELEGATABLE,
    U = HVC_CAUSE_VU,
    A = HVC_CAUSE_ADDRESS,
    E = HVC_CAUSE_EXPECTED,
    S = HVC_CAUSE_GUEST_SEES,
    X = HVC_CAUSE_UNEXPECTED,
    N = HVC_CAUSE_NOT_GUEST,
    C = HVC_CAUSE_CUSTOM | D | U | S /* whatever an implementation may make of it */
};

#define CUSTOM(n) [n] = {"custom-" #n, C, n}
#define RESERVED(n) [n] = {NULL, 0, n}

/*
 * Priv. 21.6.1 (cause codes), 21.2.2 (what hedeleg has bits for), 12.1.10 (stval). The last column
 * gives a guest that knows nothing of two-stage translation what a bare machine would report: an
 * access fault for a page that is not there, an illegal instruction for one that its hypervisor
 * withholds.
 */
const hvc_riscv64_cause hvc_riscv64_causes[HVCORE_RISCV64_CAUSES] = {
    /* Never raised by correct code. Linux delegates it by history alone. */
    [HVCORE_RISCV64_INSN_MISALIGNED] = {"instruction-misaligned", D | U | A | S | X, 0},
    [HVCORE_RISCV64_INSN_ACCESS] = {"instruction-access-fault", D | U | A | S | X, 1},
    /* Expected since kernels enable floating point and vectors at first use. */
    [HVCORE_RISCV64_ILLEGAL_INSN] = {"illegal-instruction", D | U | S | E, 2},
    [HVCORE_RISCV64_BREAKPOINT] = {"breakpoint", D | U | A | S | E, 3},
    [HVCORE_RISCV64_LOAD_MISALIGNED] = {"load-misaligned", D | U | A | S | X, 4},
    [HVCORE_RISCV64_LOAD_ACCESS] = {"load-access-fault", D | U | A | S | X, 5},
    [HVCORE_RISCV64_STORE_MISALIGNED] = {"store-misaligned", D | U | A | S | X, 6},
    [HVCORE_RISCV64_STORE_ACCESS] = {"store-access-fault", D | U | A | S | X, 7},
    [HVCORE_RISCV64_ECALL_U] = {"ecall-u", D | U | S | E, 8},
    [HVCORE_RISCV64_ECALL_HS] = {"ecall-hs", N, 9},
    [HVCORE_RISCV64_ECALL_VS] = {"ecall-vs", 0, 10},
    [HVCORE_RISCV64_ECALL_M] = {"ecall-m", N, 11},
    [HVCORE_RISCV64_INSN_PAGE] = {"instruction-page-fault", D | U | A | S | E, 12},
    [HVCORE_RISCV64_LOAD_PAGE] = {"load-page-fault", D | U | A | S | E, 13},
    [HVCORE_RISCV64_STORE_PAGE] = {"store-page-fault", D | U | A | S | E, 15},
    /* Not from VU: entering VU clears vsstatus.SDT (Priv. 12.1.1.5). */
    [HVCORE_RISCV64_DOUBLE_TRAP] = {"double-trap", 0, 16},
    [HVCORE_RISCV64_SOFTWARE_CHECK] = {"software-check", D | U | S | E, 18},
    [HVCORE_RISCV64_HARDWARE_ERROR] = {"hardware-error", D | U | S | E, 19},
    [HVCORE_RISCV64_INSN_GUEST_PAGE] = {"instruction-guest-page-fault", U | A, 1},
    [HVCORE_RISCV64_LOAD_GUEST_PAGE] = {"load-guest-page-fault", U | A, 5},
    [HVCORE_RISCV64_VIRTUAL_INSN] = {"virtual-instruction", U, 2},
    [HVCORE_RISCV64_STORE_GUEST_PAGE] = {"store-guest-page-fault", U | A, 7},
    RESERVED(14),
    RESERVED(17),
    CUSTOM(24),
    CUSTOM(25),
    CUSTOM(26),
    CUSTOM(27),
    CUSTOM(28),
    CUSTOM(29),
    CUSTOM(30),
    CUSTOM(31),
    RESERVED(32),
    RESERVED(33),
    RESERVED(34),
    RESERVED(35),
    RESERVED(36),
    RESERVED(37),
    RESERVED(38),
    RESERVED(39),
    RESERVED(40),
    RESERVED(41),
    RESERVED(42),
    RESERVED(43),
    RESERVED(44),
    RESERVED(45),
    RESERVED(46),
    RESERVED(47),
    CUSTOM(48),
    CUSTOM(49),
    CUSTOM(50),
    CUSTOM(51),
    CUSTOM(52),
    CUSTOM(53),
    CUSTOM(54),
    CUSTOM(55),
    CUSTOM(56),
    CUSTOM(57),
    CUSTOM(58),
    CUSTOM(59),
    CUSTOM(60),
    CUSTOM(61),
    CUSTOM(62),
    CUSTOM(63),
};

static bool same(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

int hvc_riscv64_cause_parse(const char *name)
{
    for (int c = 0; c < HVCORE_RISCV64_CAUSES; c++) {
        if (hvc_riscv64_causes[c].name && same(hvc_riscv64_causes[c].name, name)) {
            return c;
        }
    }
    return -1;
}

uint64_t hvc_riscv64_causes_with(unsigned facts)
{
    uint64_t set = 0;
    for (unsigned c = 0; c < HVCORE_RISCV64_CAUSES; c++) {
        if (hvc_riscv64_causes[c].name && (hvc_riscv64_causes[c].facts & facts) == facts) {
            set |= HVC_BIT(c);
        }
    }
    return set;
}

bool hvc_riscv64_has_gva(uint64_t cause, uint64_t tval)
{
    return tval && cause < HVCORE_RISCV64_CAUSES &&
           (hvc_riscv64_causes[cause].facts & HVC_CAUSE_ADDRESS);
}
