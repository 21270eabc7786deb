/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asynchronous page faults without a machine: a guest touches a page that is not there, is told,
 * runs something else, and hears when the page has come. All that a hypervisor adds is `perform`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <hvcore/fixup/apf.h>

static hvcore_apf_state apf;
static hvcore_apf_requests requests;
static uint8_t area[4096]; /* guest memory that host and guest share, at 0x80000000 */

static uint32_t word(uint32_t off)
{
    return area[off] | (uint32_t)area[off + 1] << 8 | (uint32_t)area[off + 2] << 16 |
           (uint32_t)area[off + 3] << 24;
}

static void raise_ready(void)
{
    printf("  ready interrupt\n");
}

/* Real ones use atomic stores and loads, and a full barrier before the load. */
static void perform(void)
{
    for (uint32_t i = 0; i < requests.count; i++) {
        const hvcore_apf_request *r = &requests.list[i];

        if (r->kind == HVCORE_APF_WRITE) {
            memcpy(area + r->off, r->bytes, r->len);
        } else if (r->kind == HVCORE_APF_CHECK) {
            if (hvcore_apf_wants_interrupt(&apf, r->token, word(r->off))) {
                raise_ready();
            }
        } else if (r->kind == HVCORE_APF_RAISE) {
            raise_ready();
        } else if (r->kind == HVCORE_APF_JOB) {
            printf("  fetch page 0x%" PRIx64 " for token 0x%" PRIx32 "\n", r->ipa, r->token);
        } else if (r->kind == HVCORE_APF_EVENT) {
            printf("  the guest is told: 0x%" PRIx32 " is not present\n", r->token);
        }
    }
}

int main(void)
{
    const uint64_t ctr_el0[] = {0x84448004, 0x85458004}; /* a big and a little processor */
    hvcore_apf_config config = {
        .size = sizeof config,
        .arch = HVCORE_ARCH_ARM64,
        .mode = HVCORE_APF_MODE_SDEI,
        .stride = hvcore_apf_stride_negotiate(HVCORE_ARCH_ARM64, ctr_el0, 2),
        .nslots = HVCORE_APF_SLOTS_DEFAULT,
    };
    hvcore_apf_fault_info fault = {
        .ipa = 0x90001234,
        .facts = HVCORE_APF_FACT_PAGER_ASYNC | HVCORE_APF_FACT_RESTARTABLE |
                 HVCORE_APF_FACT_TOKEN_FREE | HVCORE_APF_FACT_MMU_ON |
                 HVCORE_APF_FACT_EV_REGISTERED | HVCORE_APF_FACT_EV_ENABLED,
    };
    hvcore_apf_verdict verdict;
    uint32_t token, freed;

    if (hvcore_apf_init(&apf, &config) != 0) {
        return 1;
    }
    printf("stride %" PRIu32 ", area of %" PRIu32 " bytes\n", config.stride, apf.layout.size);
    printf("enable: %" PRId32 "\n",
           hvcore_apf_enable(&apf, 0x80000000, HVCORE_APF_FLAG_ON, 0, 0, 1, &requests));
    perform();

    printf("fault in user mode\n");
    verdict = hvcore_apf_fault(&apf, &fault, &requests);
    token = apf.np_pending;
    perform();
    printf("verdict %" PRIu32 ", reason %" PRIu32 "\n", verdict.decision, verdict.reason);
    hvcore_apf_enter(&apf, &requests);
    perform();
    printf("handler completes\n");
    hvcore_apf_np_complete(&apf, 0, &requests);
    perform();

    printf("fault in the guest's kernel\n");
    fault.ipa = 0x90005678;
    fault.facts |= HVCORE_APF_FACT_PRIV;
    verdict = hvcore_apf_fault(&apf, &fault, &requests);
    perform();
    printf("verdict %" PRIu32 ", reason %" PRIu32 "\n", verdict.decision, verdict.reason);

    printf("the first page comes: outcome %" PRIu32 "\n",
           hvcore_apf_page_done(&apf, token, &requests));
    perform();
    printf("the ring has 0x%" PRIx32 "\n", word(apf.layout.ring));
    hvcore_apf_ack(&apf, 1, &freed);
    printf("the guest has consumed %" PRIu32 ", %" PRIu32 " are out\n", freed, apf.outstanding);
    return 0;
}
