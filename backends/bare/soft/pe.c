/* SPDX-License-Identifier: Apache-2.0 */
/* A processing element: its life, and the slices in which it executes. */
#include "backends/bare/soft/soft.h"

/*
 * Between two slices the PE looks at what may end enter. A slice is short enough for a prompt kick;
 * the clock is dear, so it is read after so much work, counted in instructions, which takes some 50
 * us.
 */
#define SLICE 256
#define CLOCK_COST 16384

/* --- claim and release ------------------------------------------------------------------------ */

static void init_pe(soft_pe *pe, hvc_machine *m, uint32_t index)
{
    pe->machine = m;
    pe->index = index;
    pe->port.until = HVC_FOREVER;
    pe->port.budget = UINT64_MAX;
    pe->port.hedeleg_rw = m->hedeleg_rw;
    hvc_soft_set_vsstatus(&pe->port, 0);
    hvc_soft_mmu_init(pe);
    hvc_soft_decode_init(pe);
}

static int claim_locked(hvc_machine *m, uint32_t index, soft_pe *pe)
{
    if (m->pe[index])
        return -HVCORE_E_BUSY;
    m->pe[index] = pe;
    return 0;
}

int hvc_soft_pe_claim(hvc_machine *m, uint32_t index, hvc_pe **out)
{
    if (index >= m->max_pes)
        return -HVCORE_E_RANGE;
    soft_pe *pe = hvc_host_alloc(sizeof *pe);
    if (!pe)
        return -HVCORE_E_NOMEM;
    init_pe(pe, m, index);
    hvc_host_lock(&m->lock);
    int rc = claim_locked(m, index, pe);
    hvc_host_unlock(&m->lock);
    if (rc)
        hvc_host_free(pe);
    else
        *out = &pe->port;
    return rc;
}

void hvc_soft_pe_release(hvc_pe *port)
{
    soft_pe *pe = hvc_soft_pe(port);
    hvc_machine *m = pe->machine;
    hvc_host_lock(&m->lock);
    m->pe[pe->index] = NULL;
    hvc_host_unlock(&m->lock);
    hvc_host_free(pe);
}

/* --- enter ------------------------------------------------------------------------------------ */

/* The hypervisor says what to forget; a bank that went is forgotten even if it does not. */
static void revalidate(soft_pe *pe)
{
    uint64_t banks = atomic_load(&pe->machine->bank_epoch);
    if (atomic_exchange(&pe->port.flush, 0) || banks != pe->bank_epoch)
        hvc_soft_mmu_forget(pe);
    pe->bank_epoch = banks;
}

static void begin(soft_pe *pe, hvcore_riscv64_frame *frame, hvc_raw_trap *raw)
{
    pe->frame = frame;
    pe->raw = raw;
    pe->mode = frame->sstatus & HVC_SSTATUS_SPP ? HVCORE_RISCV64_VS : HVCORE_RISCV64_VU;
    pe->cost = CLOCK_COST;
    frame->x[0] = 0;
    revalidate(pe);
    hvc_soft_mmu_context(pe);
}

/* A kick is consumed by the stop that it causes. */
static bool kicked(soft_pe *pe)
{
    return atomic_load_explicit(&pe->port.kick, memory_order_relaxed) &&
           atomic_exchange(&pe->port.kick, 0);
}

static bool late(soft_pe *pe)
{
    if (pe->port.until == HVC_FOREVER || pe->cost < CLOCK_COST)
        return false;
    pe->cost = 0;
    return hvc_host_now() >= pe->port.until;
}

static bool due(soft_pe *pe, enum hvc_port_stop *stop)
{
    if (kicked(pe))
        *stop = HVC_STOP_KICKED;
    else if (late(pe))
        *stop = HVC_STOP_DEADLINE;
    else if (!pe->port.budget)
        *stop = HVC_STOP_INSN_LIMIT;
    else
        return false;
    return true;
}

/* Execute for a while, then settle the accounts. */
static uint64_t slice(soft_pe *pe, uint64_t pc)
{
    uint64_t n = pe->port.budget < SLICE ? pe->port.budget : SLICE;
    pe->heavy = 0;
    pc = hvc_soft_run(pe, pc, (uint32_t)n);
    uint64_t done = n - pe->left;
    pe->attempts -= pe->left;
    pe->left = 0;
    pe->cost += done;
    if (pe->port.budget != UINT64_MAX)
        pe->port.budget -= done;
    atomic_store_explicit(&pe->port.retired, pe->attempts - pe->traps, memory_order_relaxed);
    return pc;
}

enum hvc_port_stop hvc_soft_enter(hvc_pe *port, hvcore_riscv64_frame *frame, hvc_raw_trap *raw)
{
    soft_pe *pe = hvc_soft_pe(port);
    uint64_t pc = frame->pc & ~UINT64_C(3); /* sepc with IALIGN 32 (Priv. 12.1.7) */
    enum hvc_port_stop stop;
    if (!(frame->hstatus & HVC_HSTATUS_SPV)) {
        raw->scause = SOFT_FAILED_NOT_GUEST;
        return HVC_STOP_FAILED;
    }
    begin(pe, frame, raw);
    while (!due(pe, &stop)) {
        pc = slice(pe, hvc_soft_interrupt(pe, pc));
        if (pc == SOFT_STOP)
            return HVC_STOP_TRAP;
    }
    hvc_soft_leave(pe, pc, false);
    return stop;
}
