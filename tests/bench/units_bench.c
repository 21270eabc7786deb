/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each unit beside an indirect call, which is what a program pays for handing a trap to anybody at
 * all. Registers are there and set anew each time; a unit that does not answer as it should ends
 * the run.
 */
#include <stdatomic.h>

#include <hvcore/firmware/sbi.h>
#include <hvcore/firmware/smccc.h>
#include <hvcore/fixup/apf.h>
#include <hvcore/fixup/arm64_state.h>
#include <hvcore/fixup/forward.h>
#include <hvcore/fixup/nisv.h>
#include <hvcore/fixup/redirect.h>
#include <hvcore/fixup/storm.h>

#include "lib/policy/policy.h"
#include "tests/bench/bench.h"

#define BIT(n) (UINT64_C(1) << (n))

static hvcore_arm64_frame arm;
static hvcore_arm64_sys arm_sys;
static hvcore_arm64_state arm_state = {.size = sizeof arm_state, .version = 1};
static hvcore_riscv64_frame rv;
static hvcore_riscv64_sys rv_sys;
static hvcore_riscv64_state rv_state = {.size = sizeof rv_state, .version = 1};
static uint64_t sink;

static void expect(const char *unit, uint64_t is, uint64_t should)
{
    if (is != should) {
        fprintf(stderr, "units_bench: %s answers %#llx, not %#llx\n", unit, (unsigned long long)is,
                (unsigned long long)should);
        exit(1);
    }
}

/* ---- the companion --------------------------------------------------------------------------- */

static uint64_t nothing(uint64_t x)
{
    return x + 1;
}

static uint64_t (*volatile indirect)(uint64_t) = nothing;

static void call_indirect(uint64_t times)
{
    uint64_t x = 0;

    for (uint64_t i = 0; i < times; i++) {
        x = indirect(x);
    }
    atomic_signal_fence(memory_order_seq_cst);
}

/* ---- riscv64 --------------------------------------------------------------------------------- */

static void redirect(uint64_t times)
{
    hvcore_event event = HVCORE_EVENT_INIT;

    event.syndrome = HVCORE_RISCV64_ILLEGAL_INSN;
    rv_sys.have = HVCORE_REDIRECT_NEEDS;
    for (uint64_t i = 0; i < times; i++) {
        rv.hstatus = BIT(7);
        rv_sys.vsstatus = BIT(1);
        expect("redirect", hvcore_redirect(&rv, &rv_sys, &event, &rv_state).kind,
               HVCORE_RESULT_DONE);
    }
}

/* lw a2, 0(a3), as htinst shows it. */
static void nisv_riscv64(uint64_t times)
{
    hvcore_event event = HVCORE_EVENT_INIT;

    event.cls = HVCORE_RISCV64_LOAD_GUEST_PAGE;
    event.have = HVCORE_HAVE_GPA;
    event.gpa = 0x10000000;
    event.htinst = 0x2603;
    for (uint64_t i = 0; i < times; i++) {
        event.gpa ^= i & 4;
        expect("nisv", hvcore_nisv_riscv64(&rv, &rv_sys, &event, &rv_state).kind,
               HVCORE_RESULT_DONE);
    }
}

static void storm(uint64_t times)
{
    static const hvcore_storm_params params = {.repeat = 64, .drain = 200, .capacity = 2000};
    static uint64_t now;

    for (uint64_t i = 0; i < times; i++) {
        now += i & 1;
        expect("storm", hvcore_storm_event(&rv_state.storm, &params, now, 2, i, 0),
               HVCORE_STORM_NONE);
    }
}

static void sbi(uint64_t times)
{
    hvcore_sbi_call call;

    rv.x[17] = HVCORE_SBI_BASE;
    rv.x[16] = 0;
    for (uint64_t i = 0; i < times; i++) {
        hvcore_sbi_decode(&rv, 0, &call);
        sink += call.value;
    }
}

/* An illegal instruction of L2, which L1 delegates to L2's kernel. */
static void forward(uint64_t times)
{
    hvcore_event event = HVCORE_EVENT_INIT;

    event.syndrome = HVCORE_RISCV64_ILLEGAL_INSN;
    rv_sys.have = HVCORE_FORWARD_NEEDS;
    rv_state.forward.size = sizeof rv_state.forward;
    rv_state.forward.version = 1;
    rv_state.forward.l1.hedeleg = BIT(HVCORE_RISCV64_ILLEGAL_INSN);
    for (uint64_t i = 0; i < times; i++) {
        rv.hstatus = BIT(7);
        rv_sys.vsstatus = 0;
        rv_state.forward.virt = 1;
        expect("forward", hvcore_forward(&rv, &rv_sys, &event, &rv_state).kind, HVCORE_RESULT_DONE);
    }
    expect("forward", rv_state.forward.to, HVCORE_FORWARD_TO_L2);
}

/* The same, not delegated: L1 has it, and goes back to L2 by SRET. */
static void forward_round(uint64_t times)
{
    hvcore_event event = HVCORE_EVENT_INIT;

    event.syndrome = HVCORE_RISCV64_ECALL_VS;
    rv_sys.have = HVCORE_FORWARD_NEEDS;
    rv_sys.vsstatus = 0;
    rv_state.forward.size = sizeof rv_state.forward;
    rv_state.forward.version = 1;
    rv_state.forward.l1.hedeleg = 0;
    rv_state.forward.virt = 1;
    for (uint64_t i = 0; i < times; i++) {
        rv.hstatus = BIT(7);
        expect("forward", hvcore_forward(&rv, &rv_sys, &event, &rv_state).kind, HVCORE_RESULT_DONE);
        expect("forward", rv_state.forward.to, HVCORE_FORWARD_TO_L1);
        rv.hstatus = BIT(7);
        expect("enter", hvcore_forward_enter(&rv, &rv_sys, &event, &rv_state).kind,
               HVCORE_RESULT_DONE);
    }
}

/* ---- arm64 ----------------------------------------------------------------------------------- */

/* cpym with the wrong option: back to the prologue. */
static void mops(uint64_t times)
{
    hvcore_event event = HVCORE_EVENT_INIT;

    event.have = HVCORE_HAVE_SYNDROME;
    event.syndrome = 0x9e030022;
    for (uint64_t i = 0; i < times; i++) {
        arm.pc = 0x400829d4;
        arm.spsr = 5 | BIT(29);
        arm.x[0] = 0x40087223;
        arm.x[1] = 0x4008f556;
        arm.x[2] = 0x1f00;
        arm_state.mops.streak = 0;
        expect("mops", hvcore_mops(&arm, NULL, &event, &arm_state).kind, HVCORE_RESULT_DONE);
    }
}

/* What a step of the host costs: one entry, one exit. */
static void step(uint64_t times)
{
    hvcore_event event = HVCORE_EVENT_INIT;

    event.kind = HVCORE_EVENT_TRAP;
    event.have = HVCORE_HAVE_SYNDROME;
    event.syndrome = UINT64_C(0x32) << 26 | BIT(25) | BIT(24) | 0x22;
    arm_sys.have = UINT64_MAX;
    hvcore_step_own(&arm_state.step, HVCORE_STEP_OWNER_HOST);
    for (uint64_t i = 0; i < times; i++) {
        arm.spsr = 5;
        expect("step", hvcore_step_enter(&arm, &arm_sys, &arm_state.step).kind, HVCORE_RESULT_DONE);
        arm.spsr &= ~BIT(21);
        expect("step", hvcore_step_leave(&arm, &arm_sys, &event, &arm_state.step).kind,
               HVCORE_RESULT_EXIT);
    }
    hvcore_step_own(&arm_state.step, HVCORE_STEP_OWNER_GUEST);
}

/* ldr x2, [x1], #8 */
static void nisv_arm64(uint64_t times)
{
    hvcore_event event = HVCORE_EVENT_INIT;

    event.have = HVCORE_HAVE_SYNDROME | HVCORE_HAVE_INSN | HVCORE_HAVE_GVA;
    event.syndrome = 0x92000006;
    event.insn = 0xf8408422;
    event.insn_len = 4;
    event.gva = 0x9000000;
    arm.spsr = 5;
    arm.x[1] = 0x9000000;
    arm_sys.have = UINT64_MAX;
    for (uint64_t i = 0; i < times; i++) {
        expect("nisv", hvcore_nisv_arm64(&arm, &arm_sys, &event, &arm_state).kind,
               HVCORE_RESULT_DONE);
    }
}

static void at_decode(uint64_t times)
{
    hvcore_at_insn insn;

    for (uint64_t i = 0; i < times; i++) { /* S12E1R, S12E1W */
        expect("at", hvcore_at_decode(0x62191c10 | (i & 1) << 17, &insn), 1);
        sink += insn.op;
    }
}

static void spe_plan(uint64_t times)
{
    hvcore_spe_config config = {.unit = HVCORE_SPE_UNIT_SPE, .host = HVCORE_SPE_HOST_VHE};
    hvcore_spe_plan plan;

    config.caps = hvcore_spe_caps(config.unit, UINT64_C(3) << 32, 0x26);
    for (uint64_t i = 0; i < times; i++) {
        expect("spe", (uint64_t)hvcore_spe_plan_make(&config, HVCORE_SPE_PARK, &plan), 0);
        sink += plan.count;
    }
}

static void smccc(uint64_t times)
{
    hvcore_smccc_call call;

    arm.x[0] = 0x80000000; /* SMCCC_VERSION */
    for (uint64_t i = 0; i < times; i++) {
        hvcore_smccc_decode(&arm, HVCORE_SMCCC_HAS_SDEI | HVCORE_SMCCC_HAS_APF, &call);
        sink += call.x[0];
    }
}

/* ---- asynchronous page faults ---------------------------------------------------------------- */

#define APF_FACTS                                                                             \
    (HVCORE_APF_FACT_PAGER_ASYNC | HVCORE_APF_FACT_RESTARTABLE | HVCORE_APF_FACT_TOKEN_FREE | \
     HVCORE_APF_FACT_MMU_ON | HVCORE_APF_FACT_EV_REGISTERED | HVCORE_APF_FACT_EV_ENABLED)

/* All rows of the table, to the last. */
static void apf_gate(uint64_t times)
{
    hvcore_apf_gate gate = {.mode = HVCORE_APF_MODE_SDEI, .arch = HVCORE_ARCH_ARM64};

    gate.facts = APF_FACTS | HVCORE_APF_FACT_ENABLED | HVCORE_APF_FACT_AREA_OK;
    for (uint64_t i = 0; i < times; i++) {
        gate.pstate = i;
        expect("gate", hvcore_apf_gate_decide(&gate).decision, HVCORE_APF_ASYNC);
    }
}

/* A fault, the guest is told, its handler completes, the page comes, the guest has seen it. */
static void apf_life(uint64_t times)
{
    static hvcore_apf_state s;
    const hvcore_apf_config config = {.size = sizeof config,
                                      .arch = HVCORE_ARCH_ARM64,
                                      .mode = HVCORE_APF_MODE_SDEI,
                                      .stride = 128,
                                      .nslots = HVCORE_APF_SLOTS_DEFAULT};
    hvcore_apf_fault_info fault = {.facts = APF_FACTS};
    hvcore_apf_requests q;
    uint32_t token, freed;

    expect("apf", (uint64_t)hvcore_apf_init(&s, &config), 0);
    hvcore_apf_enable(&s, 0x80000000, HVCORE_APF_FLAG_ON, 0, 0, 1, &q);
    for (uint64_t i = 0; i < times; i++) {
        fault.ipa = i << 12;
        fault.cons = s.prod;
        expect("apf", hvcore_apf_fault(&s, &fault, &q).decision, HVCORE_APF_ASYNC);
        token = s.np_pending;
        hvcore_apf_enter(&s, &q);
        hvcore_apf_np_complete(&s, 0, &q);
        expect("apf", hvcore_apf_page_done(&s, token, &q), HVCORE_APF_POSTED);
        hvcore_apf_ack(&s, s.prod, &freed);
        sink += freed;
    }
}

/* ---- the policy ------------------------------------------------------------------------------ */

static hvc_policy_table table;

/* By mode and cause, as the run loop looks it up. */
static void decision(uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        const hvc_action *a =
            &table.action[(i ^ sink) & 1][(i * 7 + sink) & (HVC_POLICY_CLASSES - 1)];

        sink += a->act;
    }
}

static void compile_policy(void)
{
    hvc_policy_facts facts = {.arch = HVCORE_ARCH_RISCV64, .delegatable = UINT64_MAX};
    hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;
    hvcore_error err = HVCORE_ERROR_INIT;
    hvcore_policy *policy = NULL;

    opts.arch = HVCORE_ARCH_RISCV64;
    if (hvcore_policy_create(&opts, &policy, &err) != 0 ||
        hvc_policy_compile(policy, &facts, &table, NULL, &err) != 0) {
        fprintf(stderr, "units_bench: %s\n", err.message);
        exit(1);
    }
    hvcore_policy_unref(policy);
}

/* ---------------------------------------------------------------------------------------------- */

/* As multiples of an indirect call. The first three are the project's, the others our own: 12 for
 * what looks at registers, more for what decodes an instruction, fills a list, is several calls. */
static const struct row {
    const char *what;
    void (*run)(uint64_t times);
    double target;
} ROWS[] = {
    {"policy decision, dense entry", decision, 5},
    {"mops, back to the prologue", mops, 12},
    {"redirect", redirect, 8},
    {"forward, to L2's kernel", forward, 12},
    {"forward, to L1 and back", forward_round, 24},
    {"nisv riscv64, by htinst", nisv_riscv64, 20},
    {"nisv arm64, by the word", nisv_arm64, 20},
    {"storm", storm, 12},
    {"sbi decode", sbi, 12},
    {"smccc decode", smccc, 12},
    {"at decode", at_decode, 12},
    {"step, enter and leave", step, 12},
    {"spe plan", spe_plan, 40},
    {"apf gate, all rows", apf_gate, 12},
    {"apf, life of a token (5 calls)", apf_life, 60},
};

int main(void)
{
    static const bench_side call = {"an indirect call", call_indirect, 20000};

    compile_policy();
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        bench_side unit = {ROWS[i].what, ROWS[i].run, 5000};

        bench_row(ROWS[i].what, &unit, &call, "<=", ROWS[i].target);
    }
    return sink == 1;
}
