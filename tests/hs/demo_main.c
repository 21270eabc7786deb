/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scripts/demo on hardware: runs one guest under one policy. Both lie in memory when the image
 * starts (QEMU's loader puts them there), as the struct deck that scripts/demo-act1 writes. It
 * prints
 *
 *   guest: LINE                               what the guest says
 *   by CAUSE ENFORCER                         the report of the policy
 *   counts CAUSE REDIRECTED EMULATED LATE     causes that were counted
 */
#include "lib/host/mem.h"
#include "tests/hs/world.h"

#define DECK UINT64_C(0x88000000)               /* above the arena of image.ld */
#define DECK_MAGIC UINT64_C(0x316b636564637668) /* "hvcdeck1" */
#define DECK_RULES 256

typedef struct deck_rule {
    uint32_t cls, from, act, as;
} deck_rule;

typedef struct deck {
    uint64_t magic;
    uint32_t rounds, rules, on_unenforceable, allow_exit, allow_stop, reserved;
    uint64_t guest_len;
    deck_rule rule[]; /* `rules` of them, then the guest */
} deck;

static const deck *const in = (const deck *)DECK;

/* --- what the guest says ---------------------------------------------------------------------- */

static char line[256];
static size_t line_len;

static void on_console(void *user, hvcore_vcpu *vcpu, const char *bytes, size_t len)
{
    (void)user;
    (void)vcpu;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != '\n' && line_len < sizeof(line) - 1) {
            line[line_len++] = bytes[i];
            continue;
        }
        line[line_len] = '\0';
        hs_say("guest: %s", line);
        line_len = 0;
    }
}

/* --- the policy ------------------------------------------------------------------------------- */

static int add_rules(hvcore_policy *policy, hvcore_error *err)
{
    int rc = 0;

    for (uint32_t i = 0; i < in->rules && rc == 0; i++) {
        const deck_rule *from = &in->rule[i];
        hvcore_trap_rule rule = HVCORE_TRAP_RULE_INIT;

        rule.causes = UINT64_C(1) << (from->cls & 63);
        rule.from = from->from;
        rule.act = from->act;
        rule.as = from->as;
        rule.flags = from->act == HVCORE_DO_REDIRECT ? HVCORE_TRAP_AS : 0;
        rc = hvcore_policy_rule_add(policy, &rule, NULL, err);
    }
    return rc;
}

static void say_report(const hvcore_report *report)
{
    static const char *const names[] = {"nobody", "library", "hardware"};
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;

    for (uint32_t i = 0; hvcore_report_item_get(report, i, &item) == 0; i++)
        hs_say("by %u %s", item.cls, item.enforcer < 3 ? names[item.enforcer] : "?");
}

static bool apply(world *w)
{
    hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;
    hvcore_report *report = NULL;
    hvcore_policy *policy = NULL;
    int rc;

    opts.arch = HVCORE_ARCH_RISCV64;
    opts.on_unenforceable = in->on_unenforceable;
    opts.allow_exit = in->allow_exit;
    opts.allow_stop = in->allow_stop;
    rc = hvcore_policy_create(&opts, &policy, &w->err);
    if (rc == 0)
        rc = add_rules(policy, &w->err);
    if (rc == 0)
        rc = hvcore_trap_policy_set(w->vm, policy, &report, &w->err);
    if (report)
        say_report(report);
    hvcore_report_free(report);
    hvcore_policy_unref(policy);
    if (rc != 0)
        hs_fail("policy: %s", w->err.message);
    return rc == 0;
}

/* --- the run ---------------------------------------------------------------------------------- */

static void say_counts(world *w)
{
    for (uint32_t cls = 0; cls < 64; cls++) {
        const hvcore_trap_counts c = world_counts(w, 0, cls);

        if (c.redirected | c.emulated | c.late)
            hs_say("counts %u %llu %llu %llu", cls, (unsigned long long)c.redirected,
                   (unsigned long long)c.emulated, (unsigned long long)c.late);
    }
}

static void run_in(world *w)
{
    const hvcore_reg regs[] = {HVCORE_REG_RISCV64_PC, HVCORE_REG_RISCV64_A1};
    const uint64_t values[] = {HS_GUESTS_BASE, in->rounds};

    HS_EQUAL(hvcore_vm_console_set(w->vm, on_console, NULL), 0);
    HS_EQUAL(hvcore_regs_set(w->vcpu[0], regs, values, 2, NULL), 0);
    if (!apply(w))
        return;
    world_run(w, 0, 20000, HVCORE_EXIT_SHUTDOWN);
    say_counts(w);
}

static void mistakes(void)
{
    const char *guest = (const char *)&in->rule[in->rules & (DECK_RULES - 1)];
    world w;

    HS_EQUAL(in->magic, DECK_MAGIC);
    HS_CHECK(in->rules < DECK_RULES && in->guest_len <= WORLD_MEMORY);
    if (world_make(&w, 1, guest, guest + in->guest_len))
        run_in(&w);
    world_free(&w);
}

void image_main(void)
{
    static const hs_test tests[] = {{"mistakes", mistakes}, {NULL, NULL}};

    hs_run(tests);
}
