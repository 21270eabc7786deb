/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop above a kernel (kvm): the kernel has decoded what happened, waits itself, and
 * finishes an instruction when it is given the answer. No policy is asked: what it leaves to user
 * space is for callbacks, then for the VMM.
 *
 * An answer goes to the kernel with hvc_kernel_answer(), which costs nothing, and is taken up when
 * the guest is entered next. Who looks at the registers before that has it taken up at once.
 */
#include <hvcore/firmware/sbi.h>

#include "lib/core/reg.h"
#include "lib/host/mem.h"
#include "lib/run/run.h"

/* From then on the instruction is owed, until the kernel has ended a run: one that fails may not
 * have taken the answer up. */
int hvc_kernel_answer(hvcore_vcpu *v)
{
    if (!v->pending.filled) {
        return 0;
    }
    int rc = v->kernel->answer(v->bk, v->pending.value);
    if (!rc) {
        v->pending = (hvc_pending){0};
        v->owed = 1;
    }
    return hvc_backend_code(rc);
}

int hvc_kernel_settle(hvcore_vcpu *v)
{
    int rc = hvc_kernel_answer(v);
    if (!rc && v->owed) {
        rc = hvc_backend_code(v->kernel->settle(v->bk));
        v->owed = rc != 0;
    }
    return rc;
}

bool hvc_kernel_pc(hvcore_vcpu *v, uint64_t *pc)
{
    return !v->kernel->reg_get(v->bk, hvc_reg_pc(v->vm->arch), pc);
}

/* ---- what happened --------------------------------------------------------------------------- */

void hvc_exit_kernel(hvcore_vcpu *v, uint32_t reason)
{
    hvc_exit_event(v, reason);
    v->exit.flags = (v->last->needs ? (uint32_t)HVCORE_EXIT_NEEDS_COMPLETION : 0) |
                    (v->last->advanced ? (uint32_t)HVCORE_EXIT_PC_ADVANCED : 0);
}

/* v->pending is an access: who answers it now? A range may have gone since it was asked last. */
int hvc_kernel_access(hvcore_vcpu *v)
{
    const hvc_mmios *table = v->event.kind == HVCORE_EVENT_PIO ? &v->vm->pios : &v->vm->mmios;
    const hvc_mmio *range = hvc_mmio_at(table, v->pending.gpa, v->pending.width);
    v->mmio = range ? *range : (hvc_mmio){0};
    v->outside = HVC_OUTSIDE_MMIO;
    return HVC_FLOW_OUTSIDE;
}

/* To a callback, or to the VMM if there is none. */
static int access(hvcore_vcpu *v, uint64_t at, const hvcore_exit_mmio *m)
{
    v->pending = (hvc_pending){.kind = m->write ? HVC_PENDING_STORE : HVC_PENDING_LOAD,
                               .owner = HVC_OWNER_KERNEL,
                               .needs = (uint8_t)v->last->needs,
                               .width = (uint8_t)m->width,
                               .gpa = at,
                               .value = {m->data}};
    return hvc_kernel_access(v);
}

static int on_mmio(hvcore_vcpu *v)
{
    return access(v, v->last->u.mmio.addr, &v->last->u.mmio);
}

static int on_pio(hvcore_vcpu *v)
{
    const hvcore_exit_pio *p = &v->last->u.pio;
    hvcore_exit_mmio m = {.data = p->data, .width = p->width, .write = p->write};
    return access(v, p->port, &m);
}

static void answer_later(hvcore_vcpu *v)
{
    v->pending = (hvc_pending){
        .kind = HVC_PENDING_CALL, .owner = HVC_OWNER_KERNEL, .needs = (uint8_t)v->last->needs};
}

enum { DBCN_READ = 1, DBCN_WRITE_BYTE = 2 };

/* SBI's debug console, which KVM hands on as it came (SBI 2.0, 12), is answered by the library. */
static bool is_console(const hvcore_vcpu *v, const hvcore_exit_hypercall *c)
{
    return v->vm->arch == HVCORE_ARCH_RISCV64 && c->nr == HVCORE_SBI_DBCN;
}

/* A VM without a console has none; nothing is ever typed. */
static int console(hvcore_vcpu *v, const hvcore_exit_hypercall *c)
{
    if (!v->vm->console || c->fid > DBCN_WRITE_BYTE) {
        v->pending = (hvc_pending){0};
        return hvc_backend_code(v->kernel->deny(v->bk, NULL));
    }
    if (c->fid == DBCN_READ) {
        v->pending.filled = 1;
        return HVC_FLOW_ON;
    }
    bool byte = c->fid == DBCN_WRITE_BYTE;
    v->console_byte = (char)c->arg[0];
    v->console_len = byte ? 1 : c->arg[0];
    v->console_addr = byte ? UINT64_MAX : c->arg[1];
    v->outside = HVC_OUTSIDE_CONSOLE;
    return HVC_FLOW_OUTSIDE;
}

/* To the VMM, with what belongs to the event: both unions have the same members. */
static int leave(hvcore_vcpu *v, uint32_t reason)
{
    _Static_assert(sizeof(v->last->u) <= sizeof(v->exit.u), "an exit has room for it");
    hvc_exit_kernel(v, reason);
    memcpy(&v->exit.u, &v->last->u, sizeof(v->last->u));
    return HVC_FLOW_EXIT;
}

static int on_call(hvcore_vcpu *v)
{
    answer_later(v);
    return is_console(v, &v->last->u.call) ? console(v, &v->last->u.call)
                                           : leave(v, HVCORE_EXIT_HYPERCALL);
}

static int on_sysreg(hvcore_vcpu *v)
{
    answer_later(v);
    return leave(v, HVCORE_EXIT_SYSREG);
}

static int on_halt(hvcore_vcpu *v)
{
    v->halted = 1;
    v->outside = HVC_OUTSIDE_NONE;
    return HVC_FLOW_OUTSIDE;
}

static int on_system(hvcore_vcpu *v)
{
    return leave(v, v->last->reason);
}

static int on_debug(hvcore_vcpu *v)
{
    return leave(v, HVCORE_EXIT_DEBUG);
}

static int on_memory(hvcore_vcpu *v)
{
    return leave(v, HVCORE_EXIT_MEMORY);
}

static int on_crash(hvcore_vcpu *v)
{
    return leave(v, HVCORE_EXIT_CRASH);
}

/* An access that the kernel has not decoded, a memory error: the whole record, pc on it. */
static int on_trap(hvcore_vcpu *v)
{
    hvc_exit_kernel(v, HVCORE_EXIT_TRAP);
    return HVC_FLOW_EXIT;
}

int hvc_kernel_event(hvcore_vcpu *v)
{
    static int (*const on_event[])(hvcore_vcpu *) = {
        [HVCORE_EVENT_TRAP] = on_trap,     [HVCORE_EVENT_MMIO] = on_mmio,
        [HVCORE_EVENT_PIO] = on_pio,       [HVCORE_EVENT_CALL] = on_call,
        [HVCORE_EVENT_SYSREG] = on_sysreg, [HVCORE_EVENT_HALT] = on_halt,
        [HVCORE_EVENT_SYSTEM] = on_system, [HVCORE_EVENT_DEBUG] = on_debug,
        [HVCORE_EVENT_MEMORY] = on_memory, [HVCORE_EVENT_CRASH] = on_crash,
    };
    v->owed = 0;
    return on_event[v->event.kind](v);
}
