/* SPDX-License-Identifier: Apache-2.0 */
/* The first rule that matches, else the base. */
#include "lib/policy/decide.h"

#include "lib/arch/riscv64.h"

/*
 * The base "linux-guest" (specs 3.4, with two differences: 4 and 6 are redirected as long as
 * nothing in the library carries out a misaligned access, and 21 and 23 are emulated because an
 * access that nobody answers leaves the run loop as an MMIO exit anyway). What is not here exits:
 * 9, 11 and 16, what is reserved and what is custom. Late arrivals are redirected and counted.
 */
static const uint8_t base[HVC_POLICY_CLASSES] = {
    [HVCORE_RISCV64_INSN_MISALIGNED] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_INSN_ACCESS] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_ILLEGAL_INSN] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_BREAKPOINT] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_LOAD_MISALIGNED] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_LOAD_ACCESS] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_STORE_MISALIGNED] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_STORE_ACCESS] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_ECALL_U] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_ECALL_VS] = HVCORE_DO_EMULATE,
    [HVCORE_RISCV64_INSN_PAGE] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_LOAD_PAGE] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_STORE_PAGE] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_SOFTWARE_CHECK] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_HARDWARE_ERROR] = HVCORE_DO_DELEGATE,
    [HVCORE_RISCV64_INSN_GUEST_PAGE] = HVCORE_DO_REDIRECT,
    [HVCORE_RISCV64_LOAD_GUEST_PAGE] = HVCORE_DO_EMULATE,
    [HVCORE_RISCV64_VIRTUAL_INSN] = HVCORE_DO_EMULATE,
    [HVCORE_RISCV64_STORE_GUEST_PAGE] = HVCORE_DO_EMULATE,
};

static hvc_decision decide_base(unsigned cls)
{
    return (hvc_decision){.act = base[cls] ? base[cls] : HVCORE_DO_EXIT,
                          .late = HVCORE_DO_REDIRECT,
                          .as = hvc_riscv64_causes[cls].redirect,
                          .count = 1};
}

hvc_decision hvc_policy_decide(const hvcore_policy *p, unsigned mode, unsigned cls)
{
    uint32_t number = hvc_policy_find(p, mode, cls);
    hvc_decision d = decide_base(cls);
    if (number) {
        const hvc_rule *r = &p->rule[number - 1];
        d.act = r->act;
        d.late = r->late;
        d.as = r->flags & HVCORE_TRAP_AS ? r->as : d.as;
        d.count = !(r->flags & HVCORE_TRAP_NO_COUNT);
        d.rule = (uint16_t)number;
    }
    return d;
}

bool hvc_policy_delegates(const hvcore_policy *p, unsigned cls)
{
    return hvc_policy_decide(p, HVCORE_RISCV64_VU, cls).act == HVCORE_DO_DELEGATE &&
           hvc_policy_decide(p, HVCORE_RISCV64_VS, cls).act == HVCORE_DO_DELEGATE;
}

/* All of them have a bit in the architecture: the base by its table, rules by NOT_DELEGATABLE. */
uint64_t hvc_policy_delegations(const hvcore_policy *p)
{
    uint64_t set = 0;
    for (unsigned cls = 0; cls < HVC_POLICY_CLASSES; cls++) {
        if (hvc_policy_delegates(p, cls)) {
            set |= HVC_BIT(cls);
        }
    }
    return set;
}

uint32_t hvc_policy_redirecter(const hvcore_policy *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const hvc_rule *r = &p->rule[i];
        bool late = r->act == HVCORE_DO_DELEGATE && r->late == HVCORE_DO_REDIRECT;
        if (r->act == HVCORE_DO_REDIRECT || late) {
            return i + 1;
        }
    }
    return 0;
}
