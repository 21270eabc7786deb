/* SPDX-License-Identifier: Apache-2.0 */
/* struct kvm_run -> event: the exits that architectures share, and what they reveal; no more. */
#include "backends/kvm/kvm.h"
#include "lib/host/mem.h"

uint64_t hvc_kvm_load(const void *at, uint32_t width)
{
    uint64_t value = 0;
    memcpy(&value, at, width < 8 ? width : 8); /* the hosts are little-endian */
    return value;
}

void hvc_kvm_store(void *at, uint64_t value, uint32_t width)
{
    memcpy(at, &value, width < 8 ? width : 8);
}

static int crash(bk_vcpu *v, hvcore_event *event, uint32_t why, uint32_t count, uint64_t a,
                 uint64_t b)
{
    event->kind = HVCORE_EVENT_CRASH;
    v->last.u.crash = (hvcore_exit_crash){.why = why, .count = count, .code = {a, b}};
    return 0;
}

/* What kvm_run says that no table knows. */
static int unknown(bk_vcpu *v, hvcore_event *event)
{
    return crash(v, event, HVCORE_CRASH_UNKNOWN, 2, v->run->exit_reason,
                 v->run->hw.hardware_exit_reason);
}

/* The longest power of two of the bytes that are left. */
static uint32_t piece(uint32_t left)
{
    uint32_t width = 8;
    while (width > left) {
        width /= 2;
    }
    return width;
}

/* An access across the end of a page or of RAM comes as 3, 5, 6 or 7 bytes: in pieces, then. */
static int on_mmio(bk_vcpu *v, hvcore_event *event)
{
    const struct kvm_run *r = v->run;
    if (!r->mmio.len || r->mmio.len > sizeof(r->mmio.data)) {
        return unknown(v, event);
    }
    uint32_t at = v->mmio_at, width = piece(r->mmio.len - at);
    v->mmio_at += width;
    event->kind = HVCORE_EVENT_MMIO;
    event->gpa = r->mmio.phys_addr + at;
    event->have |= HVCORE_HAVE_GPA;
    v->last.needs = !r->mmio.is_write;
    v->last.u.mmio = (hvcore_exit_mmio){
        .addr = event->gpa,
        .data = r->mmio.is_write ? hvc_kvm_load(r->mmio.data + at, width) : 0,
        .width = width,
        .write = r->mmio.is_write,
    };
    return 0;
}

bool hvc_kvm_more(bk_vcpu *v)
{
    const struct kvm_run *r = v->run;
    return (v->mmio_at && r->exit_reason == KVM_EXIT_MMIO && v->mmio_at < r->mmio.len) ||
           hvc_kvm_arch_more(v);
}

static int on_halt(bk_vcpu *v, hvcore_event *event)
{
    v->last.advanced = 1;
    event->kind = HVCORE_EVENT_HALT;
    return 0;
}

static int on_shutdown(bk_vcpu *v, hvcore_event *event)
{
    return crash(v, event, HVCORE_CRASH_TRIPLE_FAULT, 0, 0, 0);
}

static int on_fail_entry(bk_vcpu *v, hvcore_event *event)
{
    return crash(v, event, HVCORE_CRASH_ENTRY, 2, v->run->fail_entry.hardware_entry_failure_reason,
                 v->run->fail_entry.cpu);
}

static int on_internal_error(bk_vcpu *v, hvcore_event *event)
{
    const struct kvm_run *r = v->run;
    uint32_t most = sizeof(v->last.u.crash.code) / sizeof(v->last.u.crash.code[0]) - 1;
    uint32_t n = r->internal.ndata < most ? r->internal.ndata : most;
    crash(v, event, HVCORE_CRASH_EMULATION, 1 + n, r->internal.suberror, 0);
    memcpy(&v->last.u.crash.code[1], (const void *)r->internal.data, n * sizeof(uint64_t));
    return 0;
}

/* PSCI, SBI SRST: a request of the guest. Others are a crash, or unknown. */
static int on_system(bk_vcpu *v, hvcore_event *event)
{
    static const struct {
        uint32_t reason, type; /* u.reset.type */
    } known[] = {
        [KVM_SYSTEM_EVENT_SHUTDOWN] = {HVCORE_EXIT_SHUTDOWN, 0},
        [KVM_SYSTEM_EVENT_RESET] = {HVCORE_EXIT_RESET, 1},
        [KVM_SYSTEM_EVENT_WAKEUP] = {HVCORE_EXIT_WAKEUP, KVM_SYSTEM_EVENT_WAKEUP},
        [KVM_SYSTEM_EVENT_SUSPEND] = {HVCORE_EXIT_SUSPEND, KVM_SYSTEM_EVENT_SUSPEND},
    };
    const struct kvm_run *r = v->run;
    uint32_t type = r->system_event.type;
    uint64_t data = r->system_event.ndata ? r->system_event.data[0] : 0;
    if (type >= sizeof(known) / sizeof(known[0]) || !known[type].reason) {
        return crash(v, event, HVCORE_CRASH_GUEST, 2, type, data);
    }
    event->kind = HVCORE_EVENT_SYSTEM;
    v->last.reason = known[type].reason;
    v->last.u.reset = (hvcore_exit_reset){.type = known[type].type, .reason = (uint32_t)data};
    return 0;
}

/* The loop looks at its requests, and comes back. */
static int on_nothing(bk_vcpu *v, hvcore_event *event)
{
    (void)v;
    event->kind = HVCORE_EVENT_KICKED;
    return 0;
}

typedef int exit_fn(bk_vcpu *v, hvcore_event *event);

static exit_fn *const exits[] = {
    [KVM_EXIT_MMIO] = on_mmio,
    [KVM_EXIT_HLT] = on_halt,
    [KVM_EXIT_SHUTDOWN] = on_shutdown,
    [KVM_EXIT_FAIL_ENTRY] = on_fail_entry,
    [KVM_EXIT_INTERNAL_ERROR] = on_internal_error,
    [KVM_EXIT_SYSTEM_EVENT] = on_system,
    [KVM_EXIT_INTR] = on_nothing,
    [KVM_EXIT_IRQ_WINDOW_OPEN] = on_nothing,
};

int hvc_kvm_exit(bk_vcpu *v, hvcore_event *event)
{
    uint32_t reason = v->run->exit_reason;
    int rc = 0;
    hvc_kvm_arch_seen(v, event);
    if (reason < sizeof(exits) / sizeof(exits[0]) && exits[reason]) {
        return exits[reason](v, event);
    }
    return hvc_kvm_arch_exit(v, event, &rc) ? rc : unknown(v, event);
}

int hvc_kvm_answer(bk_vcpu *v, const uint64_t value[HVCORE_BK_ANSWERS])
{
    struct kvm_run *r = v->run;
    if (r->exit_reason != KVM_EXIT_MMIO) {
        return hvc_kvm_arch_answer(v, value);
    }
    uint32_t width = v->last.u.mmio.width;
    if (!r->mmio.is_write && width <= v->mmio_at && v->mmio_at <= sizeof(r->mmio.data)) {
        hvc_kvm_store(r->mmio.data + v->mmio_at - width, value[0], width);
    }
    return 0;
}
