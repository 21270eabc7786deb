/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A riscv64 guest's SBI calls: lib/firmware decodes them, here they are carried out. In GUEST: the
 * list of vCPUs and the memory map are read without locks.
 */
#include <hvcore/firmware/sbi.h>

#include "lib/run/run.h"

enum { A0 = 10, A1 = 11, A7 = 17, ECALL_LEN = 4 };

#define VSTIP (UINT64_C(1) << 6)

static int done(hvcore_vcpu *v, int64_t error, uint64_t value)
{
    hvcore_riscv64_frame *f = v->cpu.frame;
    hvc_count(&v->counters.firmware);
    f->x[A0] = (uint64_t)error;
    f->x[A1] = value;
    f->pc += ECALL_LEN;
    return HVC_FLOW_ON;
}

static int answer(hvcore_vcpu *v, const hvcore_sbi_call *c)
{
    return done(v, c->error, c->value);
}

/* The call is answered when this is filled. */
static void owe(hvcore_vcpu *v, uint64_t value)
{
    hvc_count(&v->counters.firmware);
    v->pending = (hvc_pending){.kind = HVC_PENDING_CALL, .step = ECALL_LEN, .value = {0, value}};
}

static int console(hvcore_vcpu *v, const hvcore_sbi_call *c)
{
    owe(v, c->value);
    v->console_addr = c->addr;
    v->console_len = c->len;
    v->console_byte = (char)c->byte;
    v->outside = HVC_OUTSIDE_CONSOLE;
    return HVC_FLOW_OUTSIDE;
}

/* Nothing is owed: a guest that is run again asks again. */
static int reset(hvcore_vcpu *v, const hvcore_sbi_call *c)
{
    hvc_exit_event(v, c->verdict == HVCORE_SBI_RESET ? HVCORE_EXIT_RESET : HVCORE_EXIT_SHUTDOWN);
    v->exit.u.reset = (hvcore_exit_reset){.type = c->type, .reason = c->reason};
    return HVC_FLOW_EXIT;
}

static int vmm(hvcore_vcpu *v, const hvcore_sbi_call *c)
{
    const uint64_t *a = &v->cpu.frame->x[A0];
    (void)c;
    v->pending = (hvc_pending){.kind = HVC_PENDING_CALL, .needs = 1, .step = ECALL_LEN};
    hvc_exit_event(v, HVCORE_EXIT_HYPERCALL);
    v->exit.flags = HVCORE_EXIT_NEEDS_COMPLETION;
    v->exit.u.hypercall = (hvcore_exit_hypercall){
        .nr = a[7], .fid = a[6], .arg = {a[0], a[1], a[2], a[3], a[4], a[5]}};
    return HVC_FLOW_EXIT;
}

/* SBI 6.1: the pending bit goes as well, whoever drives it. The register is written at entry. */
static int set_timer(hvcore_vcpu *v, const hvcore_sbi_call *c)
{
    hvcore_riscv64_sys *sys = v->cpu.sys;
    sys->vstimecmp = c->time;
    sys->dirty |= UINT64_C(1) << HVCORE_RISCV64_SYS_vstimecmp;
    if (v->hvip_own & VSTIP || atomic_load(&v->lines) & HVC_LINE_TIMER) {
        v->hvip_own &= ~VSTIP;
        hvc_line_change(v, HVC_LINE_TIMER, 0);
    }
    return done(v, HVCORE_SBI_SUCCESS, c->value);
}

/* ---- harts ----------------------------------------------------------------------------------- */

/* The vCPU with this number; NULL: no such hart. */
static hvcore_vcpu *hart(const hvcore_vcpu *v, uint64_t number)
{
    return number < v->vm->max_vcpus ? v->vm->vcpu[number] : NULL;
}

static void add(hvc_vcpu_set *set, uint64_t number)
{
    set->word[number / 64] |= UINT64_C(1) << number % 64;
}

/* The harts of a mask (SBI 3.1). False: one of them does not exist. */
static bool harts(const hvcore_vcpu *v, const hvcore_sbi_call *c, hvc_vcpu_set *set)
{
    bool all = c->base == UINT64_MAX;
    uint64_t first = all ? 0 : c->base, count = all ? v->vm->max_vcpus : 64;
    *set = (hvc_vcpu_set){0};
    for (uint64_t i = 0; i < count && (all || c->mask >> i); i++) {
        bool named = all || c->mask >> i & 1;
        hvcore_vcpu *target = first + i >= first ? hart(v, first + i) : NULL;
        if (named && target) {
            add(set, first + i);
        } else if (named && !all) {
            return false;
        }
    }
    return true;
}

static int send_ipi(hvcore_vcpu *v, const hvcore_sbi_call *c)
{
    hvc_vcpu_set set;
    if (!harts(v, c, &set)) {
        return done(v, HVCORE_SBI_ERR_INVALID_PARAM, 0);
    }
    for (uint32_t i = 0; i < v->vm->max_vcpus; i++) {
        if (set.word[i / 64] >> i % 64 & 1) {
            hvc_line_change(v->vm->vcpu[i], HVC_LINE_SOFT_CLEAR, HVC_LINE_SOFT_SET);
        }
    }
    return done(v, HVCORE_SBI_SUCCESS, 0);
}

static bool is_started(const hvcore_vcpu *v)
{
    uint32_t state = atomic_load(&v->hart);
    return state == HVC_HART_STARTED || state == HVC_HART_SUSPENDED;
}

/* A hart that is off forgets everything when it starts. */
static int fence(hvcore_vcpu *v, const hvcore_sbi_call *c)
{
    if (!harts(v, c, &v->fence)) {
        return done(v, HVCORE_SBI_ERR_INVALID_PARAM, 0);
    }
    for (uint32_t i = 0; i < v->vm->max_vcpus; i++) {
        uint64_t *word = &v->fence.word[i / 64], bit = UINT64_C(1) << i % 64;
        if (*word & bit && is_started(v->vm->vcpu[i])) {
            hvc_pin(v->vm->vcpu[i]);
        } else {
            *word &= ~bit;
        }
    }
    owe(v, 0);
    v->outside = HVC_OUTSIDE_FENCE;
    return HVC_FLOW_OUTSIDE;
}

/* ---- hart state management ------------------------------------------------------------------- */

static bool can_begin(const hvcore_vcpu *v, uint64_t addr)
{
    const hvc_region *r = hvc_region_at(&v->vm->regions, addr);
    return !(addr & 1) && r && r->prot & HVCORE_PROT_X;
}

/* Of several who start a hart, one wins. */
static int hart_start(hvcore_vcpu *v, const hvcore_sbi_call *c)
{
    hvcore_vcpu *target = hart(v, c->hart);
    uint32_t stopped = HVC_HART_STOPPED;
    if (!target) {
        return done(v, HVCORE_SBI_ERR_INVALID_PARAM, 0);
    }
    if (!can_begin(v, c->addr)) {
        return done(v, HVCORE_SBI_ERR_INVALID_ADDRESS, 0);
    }
    if (!atomic_compare_exchange_strong(&target->hart, &stopped, HVC_HART_CLAIMED)) {
        return done(v, HVCORE_SBI_ERR_ALREADY_AVAILABLE, 0);
    }
    target->start_pc = c->addr;
    target->start_arg = c->opaque;
    atomic_store(&target->hart, HVC_HART_START_PENDING);
    hvc_request(target, HVC_REQ_START);
    return done(v, HVCORE_SBI_SUCCESS, 0);
}

/* From here on others may start it: nothing of it is touched any more. */
static int hart_stop(hvcore_vcpu *v, const hvcore_sbi_call *c)
{
    (void)c;
    hvc_count(&v->counters.firmware);
    v->outside = HVC_OUTSIDE_NONE;
    atomic_store(&v->hart, HVC_HART_STOPPED);
    return HVC_FLOW_OUTSIDE;
}

static int hart_status(hvcore_vcpu *v, const hvcore_sbi_call *c)
{
    const hvcore_vcpu *target = hart(v, c->hart);
    if (!target) {
        return done(v, HVCORE_SBI_ERR_INVALID_PARAM, 0);
    }
    uint32_t state = atomic_load(&target->hart);
    return done(v, HVCORE_SBI_SUCCESS, state == HVC_HART_CLAIMED ? HVC_HART_START_PENDING : state);
}

static int hart_suspend(hvcore_vcpu *v, const hvcore_sbi_call *c)
{
    (void)c;
    owe(v, 0);
    return hvc_wait_begin(v);
}

static int hart_suspend_away(hvcore_vcpu *v, const hvcore_sbi_call *c)
{
    if (!can_begin(v, c->addr)) {
        return done(v, HVCORE_SBI_ERR_INVALID_ADDRESS, 0);
    }
    hvc_count(&v->counters.firmware);
    v->pending = (hvc_pending){.kind = HVC_PENDING_BEGIN, .value = {c->addr, c->opaque}};
    return hvc_wait_begin(v);
}

/* ---- the call -------------------------------------------------------------------------------- */

/* Does this exception of the guest end in its own handler? */
static bool is_guests(const hvc_policy_table *t, uint32_t cause)
{
    return t->hedeleg >> cause & 1 || t->action[HVCORE_RISCV64_VS][cause].act == HVCORE_DO_REDIRECT;
}

/* Asked for by FWFT alone. */
static bool misaligned_is_guests(const hvcore_vcpu *v)
{
    const hvc_policy_table *t = &v->program->table;
    return v->cpu.frame->x[A7] == HVCORE_SBI_FWFT && is_guests(t, HVCORE_RISCV64_LOAD_MISALIGNED) &&
           is_guests(t, HVCORE_RISCV64_STORE_MISALIGNED);
}

static uint32_t features(const hvcore_vcpu *v)
{
    const hvcore_vm *vm = v->vm;
    return HVCORE_SBI_HAS_HARTS | (vm->console ? (uint32_t)HVCORE_SBI_HAS_CONSOLE : 0) |
           (vm->info.caps & HVCORE_CAP_TIMER ? (uint32_t)HVCORE_SBI_HAS_TIMER : 0) |
           (misaligned_is_guests(v) ? (uint32_t)HVCORE_SBI_HAS_MISALIGNED : 0);
}

int hvc_riscv64_sbi(hvcore_vcpu *v)
{
    static int (*const verdict[])(hvcore_vcpu *, const hvcore_sbi_call *) = {
        [HVCORE_SBI_ANSWER] = answer,
        [HVCORE_SBI_CONSOLE] = console,
        [HVCORE_SBI_SHUTDOWN] = reset,
        [HVCORE_SBI_RESET] = reset,
        [HVCORE_SBI_VMM] = vmm,
        [HVCORE_SBI_SET_TIMER] = set_timer,
        [HVCORE_SBI_SEND_IPI] = send_ipi,
        [HVCORE_SBI_FENCE] = fence,
        [HVCORE_SBI_HART_START] = hart_start,
        [HVCORE_SBI_HART_STOP] = hart_stop,
        [HVCORE_SBI_HART_STATUS] = hart_status,
        [HVCORE_SBI_HART_SUSPEND] = hart_suspend,
        [HVCORE_SBI_HART_SUSPEND_AWAY] = hart_suspend_away,
    };
    hvcore_sbi_call c;
    hvcore_sbi_decode(v->cpu.frame, features(v), &c);
    return verdict[c.verdict](v, &c);
}
