/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy says about a trap, before any machine is asked. */
#ifndef HVC_POLICY_DECIDE_H
#define HVC_POLICY_DECIDE_H

#include "lib/policy/policy.h"

typedef struct hvc_decision {
    uint8_t act, late, as, count;
    uint16_t rule; /* 1-based, 0: the base */
} hvc_decision;

/* What the first rule that matches says, else the base. */
hvc_decision hvc_policy_decide(const hvcore_policy *policy, unsigned mode, unsigned cls);

/* Is the cause delegated, from both modes? hedeleg knows no modes. */
bool hvc_policy_delegates(const hvcore_policy *policy, unsigned cls);

/* All causes of which this is so. */
uint64_t hvc_policy_delegations(const hvcore_policy *policy);

/* The 1-based number of the first rule that can end in a redirection, or 0. */
uint32_t hvc_policy_redirecter(const hvcore_policy *policy);

#endif
