/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt lines of a riscv64 vCPU.
 *
 * Any thread changes the word `lines` and posts HVC_REQ_IRQ; the owner, before it enters again,
 * brings hvip up to date. It is the only one that touches hvip, in OUT or in GUEST between two
 * enters, and needs no lock.
 *
 * VSTIP and VSEIP are what the lines say, or what was written to hvip (hvip_own): a guest cannot
 * change them. VSSIP is in hvip alone, where the guest can clear it (sip.SSIP); from outside it is
 * set or cleared once.
 */
#include "lib/core/vcpu.h"

#define VSSIP (UINT64_C(1) << 2) /* Priv. 21.2.3 */
#define VSTIP (UINT64_C(1) << 6)
#define VSEIP (UINT64_C(1) << 10)
#define STIE (UINT64_C(1) << HVCORE_RISCV64_IRQ_TIMER)
#define VS_INTERRUPTS (VSSIP | VSTIP | VSEIP)

#define SYS(name) (UINT64_C(1) << HVCORE_RISCV64_SYS_##name)

enum { SOFT_ONCE = HVC_LINE_SOFT_SET | HVC_LINE_SOFT_CLEAR };

void hvc_line_change(hvcore_vcpu *v, uint32_t clear, uint32_t set)
{
    uint32_t old = atomic_load_explicit(&v->lines, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&v->lines, &old, (old & ~clear) | set)) {
    }
    hvc_request(v, HVC_REQ_IRQ);
}

static uint64_t levels(const hvcore_vcpu *v, uint32_t lines)
{
    uint64_t hvip = v->hvip_own;
    hvip |= lines & HVC_LINE_TIMER ? VSTIP : 0;
    hvip |= lines & (HVC_LINE_EXTERNAL | HVC_LINE_IRQCHIP) ? VSEIP : 0;
    return hvip;
}

/* hvip with what the lines say of it. */
static uint64_t merged(const hvcore_vcpu *v, uint64_t hvip, uint32_t lines)
{
    uint64_t soft = lines & HVC_LINE_SOFT_SET ? VSSIP : 0;
    if (!(lines & SOFT_ONCE)) {
        soft = hvip & VSSIP;
    }
    return (hvip & ~VS_INTERRUPTS) | soft | levels(v, lines);
}

static int write_hvip(hvcore_vcpu *v, uint64_t hvip)
{
    if (hvip == v->cpu.sys->hvip) {
        return 0;
    }
    v->cpu.sys->hvip = hvip;
    v->cpu.sys->dirty |= SYS(hvip);
    return v->raw->sys_store(v->bk);
}

/* The library's interrupt controller above a kernel: it has one input of the vCPU. */
static int serve_kernel(hvcore_vcpu *v)
{
    hvc_word_served(&v->word, HVC_REQ_IRQ);
    v->halted = 0;
    if (!v->vm->irqchip) {
        return 0;
    }
    uint32_t level = !!(atomic_load(&v->lines) & (HVC_LINE_EXTERNAL | HVC_LINE_IRQCHIP));
    return v->kernel->vcpu_irq(v->bk, HVCORE_RISCV64_IRQ_EXTERNAL, level);
}

/* The request goes first: a change that comes later asks anew. What fails is not lost. */
int hvc_line_serve(hvcore_vcpu *v)
{
    if (v->kernel) {
        return serve_kernel(v);
    }
    int rc = v->raw->sys_load(v->bk, SYS(hvip));
    if (rc) {
        return hvc_backend_code(rc);
    }
    hvc_word_served(&v->word, HVC_REQ_IRQ);
    uint32_t lines = atomic_fetch_and(&v->lines, ~(uint32_t)SOFT_ONCE);
    rc = write_hvip(v, merged(v, v->cpu.sys->hvip, lines));
    if (rc) {
        hvc_line_change(v, 0, lines & SOFT_ONCE);
    }
    return hvc_backend_code(rc);
}

int hvc_line_set_hvip(hvcore_vcpu *v, uint64_t *value)
{
    int rc = hvc_line_serve(v);
    if (!rc) {
        v->hvip_own = *value & (VSTIP | VSEIP);
        *value |= levels(v, atomic_load(&v->lines));
    }
    return rc;
}

/* Sstc: the timer is pending while time >= vstimecmp (Priv. 21.2.3 and Sstc 3). */
static bool timer_pending(hvcore_vcpu *v, uint64_t *ticks)
{
    uint64_t at = v->cpu.sys->vstimecmp;
    *ticks = UINT64_MAX;
    if (!(v->vm->info.caps & HVCORE_CAP_TIMER) || !(v->cpu.sys->vsie & STIE)) {
        return false;
    }
    if (v->raw->time(v->vm->bk) >= at) {
        return true;
    }
    *ticks = at;
    return false;
}

int hvc_line_pending(hvcore_vcpu *v, uint64_t *set, uint64_t *ticks)
{
    int rc = v->raw->sys_load(v->bk, SYS(hvip) | SYS(vsie) | SYS(vstimecmp));
    if (rc) {
        return hvc_backend_code(rc);
    }
    uint64_t ip = merged(v, v->cpu.sys->hvip, atomic_load(&v->lines)) & VS_INTERRUPTS;
    ip |= timer_pending(v, ticks) ? VSTIP : 0;
    *set = ip >> 1 & v->cpu.sys->vsie;
    return 0;
}

int hvcore_vcpu_irq(hvcore_vcpu *v, uint32_t irq, uint32_t level)
{
    static const struct {
        uint8_t low, high; /* the lines that a level sets */
    } drives[] = {
        [HVCORE_RISCV64_IRQ_SOFT] = {HVC_LINE_SOFT_CLEAR, HVC_LINE_SOFT_SET},
        [HVCORE_RISCV64_IRQ_TIMER] = {0, HVC_LINE_TIMER},
        [HVCORE_RISCV64_IRQ_EXTERNAL] = {0, HVC_LINE_EXTERNAL},
    };
    if (!v) {
        return -HVCORE_E_INVAL;
    }
    if (v->kernel && !v->vm->irqchip) {
        int rc = v->kernel->vcpu_irq(v->bk, irq, level);
        hvc_request(v, HVC_REQ_IRQ);
        return rc;
    }
    if (irq >= sizeof(drives) / sizeof(drives[0]) || !drives[irq].high) {
        return -HVCORE_E_RANGE;
    }
    hvc_line_change(v, drives[irq].low | drives[irq].high,
                    level ? drives[irq].high : drives[irq].low);
    return 0;
}
