/* SPDX-License-Identifier: Apache-2.0 */
/* hvcore_apf_gate_decide against its vectors, and against a ladder written from the table of
 * specs 4.6 for all kinds of random questions. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <hvcore/fixup/apf.h>

#include "tests/unit/random.h"
#include "tests/unit/unit.h"
#include "tests/unit/vectors.h"

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

static const char *const names[] = {
    "pager_async",           "host_access", "restartable",   "enabled",     "area_ok",
    "fault_in_area",         "dup",         "token_free",    "np_busy",     "nested",
    "nested_optin",          "mmu_on",      "priv",          "send_always", "inhibit",
    "pending_exc",           "host_step",   "ev_registered", "ev_enabled",  "ev_masked",
    "ev_blocked_by_running", "irq_masked",  "irq_line_ok"};
static const char *const modes[] = {"off", "sdei", "sse", "irq"};
static const char *const decisions[] = {"BLOCK", "HALT", "ASYNC"};
static const char *const reasons[] = {
    "OK",      "PAGER_SYNC", "HOST_ACCESS", "DISABLED", "AREA",    "SELF",    "DUP",
    "NOTOKEN", "NPBUSY",     "NESTED",      "MMUOFF",   "KERNEL",  "GATE",    "INHIBIT",
    "PENDEXC", "STEP",       "EVTOFF",      "EVTMASK",  "EVTBUSY", "IRQMASK", "IRQPRIO"};

static json_object *defaults;

static uint64_t fact(json_object *in, const char *name)
{
    return hvc_json_u64_or(in, name, hvc_json_u64_or(defaults, name, 0));
}

static const char *word(json_object *in, const char *name)
{
    return hvc_json_str_or(in, name, hvc_json_str_or(defaults, name, ""));
}

static hvcore_apf_gate question_of(json_object *in)
{
    hvcore_apf_gate gate = {
        .arch = strcmp(word(in, "arch"), "riscv64") == 0 ? HVCORE_ARCH_RISCV64 : HVCORE_ARCH_ARM64,
        .pstate = fact(in, "pstate"),
        .select = fact(in, "gate_select"),
        .compare = fact(in, "gate_compare"),
    };

    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++) {
        gate.facts |= (uint32_t)fact(in, names[i]) << i;
    }
    for (uint16_t m = 0; m < 4; m++) {
        gate.mode = strcmp(word(in, "mode"), modes[m]) == 0 ? m : gate.mode;
    }
    return gate;
}

static void run_vector(json_object *v)
{
    hvcore_apf_gate gate = question_of(hvc_json_at(v, "in"));
    hvcore_apf_verdict got = hvcore_apf_gate_decide(&gate);
    bool good = strcmp(decisions[got.decision], hvc_json_str_or(v, "decision", "")) == 0 &&
                strcmp(reasons[got.reason], hvc_json_str_or(v, "reason", "")) == 0;

    if (!good) {
        fprintf(stderr, "\n    \"%s\": %s %s ", hvc_json_str_or(v, "name", ""),
                decisions[got.decision], reasons[got.reason]);
    }
    CU_ASSERT(good);
}

static void test_vectors(void)
{
    json_object *doc = hvc_vectors_open("apf_vectors.json"), *all = hvc_json_at(doc, "gate");
    size_t n = json_object_array_length(all);

    defaults = hvc_json_at(doc, "gate_defaults");
    for (size_t i = 0; i < n; i++) {
        run_vector(json_object_array_get_idx(all, i));
    }
    CU_ASSERT_EQUAL(n, 44);
    json_object_put(doc);
}

/* --- the table of the specification, as a ladder ---------------------------------------------- */

static bool has(const hvcore_apf_gate *g, uint32_t bit)
{
    return g->facts & bit;
}

#define F(name) has(g, HVCORE_APF_FACT_##name)

static bool is_open(const hvcore_apf_gate *g)
{
    if (g->arch == HVCORE_ARCH_RISCV64 && !F(PRIV)) {
        return true;
    }
    return !F(IRQ_MASKED);
}

static uint32_t row_of_delivery(const hvcore_apf_gate *g)
{
    if (g->mode == HVCORE_APF_MODE_IRQ) {
        return !is_open(g) ? 19 : !F(IRQ_LINE_OK) ? 20 : 0;
    }
    if (!F(EV_REGISTERED) || !F(EV_ENABLED)) {
        return 16;
    }
    return F(EV_MASKED) ? 17 : F(EV_BLOCKED) ? 18 : 0;
}

static uint32_t row_of_context(const hvcore_apf_gate *g)
{
    if (F(NESTED) && !F(NESTED_OPTIN)) {
        return 9;
    }
    if (!F(MMU_ON)) {
        return 10;
    }
    if (F(PRIV) && !F(SEND_ALWAYS)) {
        return 11;
    }
    if ((g->pstate & g->select) != g->compare) {
        return 12;
    }
    return F(INHIBIT) ? 13 : F(PENDING_EXC) ? 14 : F(HOST_STEP) ? 15 : row_of_delivery(g);
}

static uint32_t row_of(const hvcore_apf_gate *g)
{
    if (!F(PAGER_ASYNC)) {
        return 1;
    }
    if (F(HOST_ACCESS) && !F(RESTARTABLE)) {
        return 2;
    }
    if (g->mode == 0 || g->mode > 3 || !F(ENABLED)) {
        return 3;
    }
    return !F(AREA_OK)      ? 4
           : F(IN_AREA)     ? 5
           : F(DUP)         ? 6
           : !F(TOKEN_FREE) ? 7
           : F(NP_BUSY)     ? 8
                            : row_of_context(g);
}

static uint32_t decision_of(const hvcore_apf_gate *g, uint32_t row)
{
    bool wait_is_block = F(HOST_STEP) || !F(RESTARTABLE) || !is_open(g);

    if (row == 0) {
        return HVCORE_APF_ASYNC;
    }
    return row == 1 || row == 2 || row == 14 || wait_is_block ? HVCORE_APF_BLOCK : HVCORE_APF_HALT;
}

static const uint32_t good_facts =
    HVCORE_APF_FACT_PAGER_ASYNC | HVCORE_APF_FACT_RESTARTABLE | HVCORE_APF_FACT_ENABLED |
    HVCORE_APF_FACT_AREA_OK | HVCORE_APF_FACT_TOKEN_FREE | HVCORE_APF_FACT_MMU_ON |
    HVCORE_APF_FACT_EV_REGISTERED | HVCORE_APF_FACT_EV_ENABLED | HVCORE_APF_FACT_IRQ_LINE_OK;

/* Mostly good, so that the last rows are reached; sometimes anything at all. */
static hvcore_apf_gate random_question(void)
{
    hvcore_apf_gate gate = {.facts = good_facts, .mode = rnd() % 4, .arch = 2 + rnd() % 2};

    for (uint64_t n = rnd() % 5; n > 0; n--) {
        gate.facts ^= UINT32_C(1) << rnd() % 32;
    }
    if (rnd() % 8 == 0) {
        gate.pstate = rnd();
        gate.select = rnd() & rnd() & rnd() & rnd();
        gate.compare = rnd() % 2 ? gate.pstate & gate.select : rnd();
    }
    if (rnd() % 16 == 0) {
        gate.facts = (uint32_t)rnd();
        gate.mode = (uint16_t)(rnd() >> rnd() % 64);
        gate.arch = (uint16_t)(rnd() >> rnd() % 64);
    }
    return gate;
}

static void test_random_questions(void)
{
    uint64_t seen[HVCORE_APF_REASONS] = {0}, wrong = 0;

    for (int i = 0; i < 1000000; i++) {
        hvcore_apf_gate gate = random_question(), before = gate;
        hvcore_apf_verdict got = hvcore_apf_gate_decide(&gate);
        uint32_t row = row_of(&gate);

        wrong += got.reason != row || got.decision != decision_of(&gate, row);
        wrong += memcmp(&gate, &before, sizeof gate) != 0;
        seen[row]++;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    for (int r = 0; r < HVCORE_APF_REASONS; r++) {
        CU_ASSERT(seen[r] > 100);
    }
}

/* Who says nothing gets the safe answer. */
static void test_nothing_said(void)
{
    hvcore_apf_gate gate = {.facts = 0};

    CU_ASSERT_EQUAL(hvcore_apf_gate_decide(&gate).decision, HVCORE_APF_BLOCK);
    gate.facts = UINT32_MAX;
    gate.mode = UINT16_MAX;
    gate.arch = UINT16_MAX;
    gate.pstate = gate.select = gate.compare = UINT64_MAX;
    CU_ASSERT_EQUAL(hvcore_apf_gate_decide(&gate).reason, HVCORE_APF_DISABLED);
    gate.mode = HVCORE_APF_MODE_SDEI;
    CU_ASSERT_EQUAL(hvcore_apf_gate_decide(&gate).reason, HVCORE_APF_SELF);
}

static const hvc_unit_test tests[] = {
    {"vectors", test_vectors},
    {"random questions", test_random_questions},
    {"nothing said, all said", test_nothing_said},
    {NULL, NULL},
};

int main(void)
{
    return hvc_unit_main("apf_gate", tests);
}
