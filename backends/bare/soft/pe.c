/* SPDX-License-Identifier: Apache-2.0 */
/* A processing element: its life, and the slices in which it executes. */
#include "backends/bare/soft/soft.h"

#define PE_SIZE ((sizeof(soft_pe) + SOFT_PAGE - 1) & ~(SOFT_PAGE - 1))

/* --- claim and release ------------------------------------------------------------------------ */

/* Megabytes, of which most are never touched: fresh pages rather than zeroed ones. */
static soft_pe *alloc_pe(void)
{
    int fd = -1, sys_errno;
    void *p;
    return hvc_host_gmem_map(PE_SIZE, &fd, 0, &p, &sys_errno) ? NULL : p;
}

static void free_pe(soft_pe *pe)
{
    hvc_host_gmem_unmap(pe, PE_SIZE, -1);
}

/* A machine of one PE has no other that could break its reservation. */
static const _Atomic uint32_t nobody;

static void init_pe(soft_pe *pe, hvc_machine *m, uint32_t index)
{
    pe->machine = m;
    pe->index = index;
    pe->port.until = HVC_FOREVER;
    pe->port.budget = UINT64_MAX;
    pe->port.hedeleg_rw = m->hedeleg_rw;
    pe->port.isa = m->isa;
    pe->port.ialign = m->isa & HVCORE_RISCV64_ISA_C ? 1 : 3;
    pe->port.henvcfg_rw = hvc_soft_henvcfg_rw(m->isa);
    pe->port.vsstatus_rw =
        HVC_SOFT_VSSTATUS_RW | (m->isa & HVCORE_RISCV64_ISA_FD ? HVC_SSTATUS_FS : 0);
    pe->port.vstimecmp = UINT64_MAX;
    pe->labels = (const void *const *)(uintptr_t)hvc_soft_run(NULL, 0, NULL);
    pe->watch = m->max_pes > 1 ? &m->reservations : &nobody;
    hvc_soft_set_vsstatus(&pe->port, 0);
    hvc_soft_mmu_init(pe);
}

static int claim_locked(hvc_machine *m, uint32_t index, soft_pe *pe)
{
    if (m->slot[index].pe)
        return -HVCORE_E_BUSY;
    m->slot[index].pe = pe;
    if (index >= atomic_load(&m->claimed))
        atomic_store(&m->claimed, index + 1);
    return 0;
}

int hvc_soft_pe_claim(hvc_machine *m, uint32_t index, hvc_pe **out)
{
    if (index >= m->max_pes)
        return -HVCORE_E_RANGE;
    soft_pe *pe = alloc_pe();
    if (!pe)
        return -HVCORE_E_NOMEM;
    init_pe(pe, m, index);
    hvc_host_lock(&m->lock);
    int rc = claim_locked(m, index, pe);
    hvc_host_unlock(&m->lock);
    if (rc)
        free_pe(pe);
    else
        *out = &pe->port;
    return rc;
}

void hvc_soft_pe_release(hvc_pe *port)
{
    soft_pe *pe = hvc_soft_pe(port);
    hvc_machine *m = pe->machine;
    hvc_soft_unreserve(pe);
    hvc_host_lock(&m->lock);
    m->slot[pe->index].pe = NULL;
    hvc_host_unlock(&m->lock);
    free_pe(pe);
}

/* --- enter ------------------------------------------------------------------------------------ */

static bool asked_to_forget(soft_pe *pe)
{
    return atomic_load_explicit(&pe->port.flush, memory_order_relaxed) &&
           atomic_exchange(&pe->port.flush, 0);
}

/* The hypervisor says what to forget; a bank that went is forgotten even if it does not. */
static void revalidate(soft_pe *pe)
{
    uint64_t banks = atomic_load(&pe->machine->bank_epoch);
    uint32_t code = atomic_load(&pe->machine->code_epoch);
    if (asked_to_forget(pe) || banks != pe->bank_epoch) {
        hvc_soft_mmu_forget(pe);
        hvc_code_fence(&pe->code);
    }
    pe->bank_epoch = banks;
    if (code != pe->code_epoch)
        hvc_code_fence(&pe->code);
    pe->code_epoch = code;
}

static void begin(soft_pe *pe, hvcore_riscv64_frame *frame, hvc_raw_trap *raw)
{
    pe->frame = frame;
    pe->raw = raw;
    pe->mode = frame->sstatus & HVC_SSTATUS_SPP ? HVCORE_RISCV64_VS : HVCORE_RISCV64_VU;
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

static bool late(const soft_pe *pe)
{
    return pe->port.until != HVC_FOREVER && hvc_host_now() >= pe->port.until;
}

/* What ends enter after a slice; the clock is dear, so it comes last. */
static bool due(soft_pe *pe, enum hvc_port_stop *stop)
{
    if (kicked(pe))
        *stop = HVC_STOP_KICKED;
    else if (!pe->port.budget)
        *stop = HVC_STOP_INSN_LIMIT;
    else if (late(pe))
        *stop = HVC_STOP_DEADLINE;
    else
        return false;
    return true;
}

/* --- slices: short enough for a prompt kick --------------------------------------------------- */

void hvc_soft_spend(soft_pe *pe, uint32_t work)
{
    pe->heavy += work;
    if (pe->heavy >= SOFT_HEAVY)
        hvc_soft_cut(pe);
}

/* In lockstep the timer comes with its instruction. */
static uint64_t until_timer(const soft_pe *pe)
{
    uint64_t now = atomic_load_explicit(&pe->machine->clock, memory_order_relaxed);
    uint64_t at = pe->port.vstimecmp;
    if (!pe->machine->lockstep || at > UINT64_MAX / SOFT_TICK_NS || at * SOFT_TICK_NS <= now)
        return UINT64_MAX;
    return at * SOFT_TICK_NS - now;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Blocks as long as they fit; a first one that does not is cut down to single instructions. */
static uint64_t execute(soft_pe *pe, uint64_t pc)
{
    int64_t all = pe->left;
    pc = hvc_soft_run(pe, pc, NULL);
    if (pc == SOFT_STOP || pe->left + pe->withheld != all)
        return pc;
    hvc_block *b = hvc_soft_single(pe, pc);
    if (b) {
        pe->withheld += pe->left - 1;
        pe->left = 1;
        return hvc_soft_run(pe, pc, b);
    }
    pe->left--;
    return hvc_soft_trap(pe, pc, &pe->fault);
}

static void settle(soft_pe *pe)
{
    uint64_t done = hvc_soft_done(pe);
    pe->attempts += done;
    pe->slice = 0;
    pe->left = pe->withheld = 0;
    if (pe->port.budget != UINT64_MAX)
        pe->port.budget -= done;
    if (pe->machine->lockstep)
        atomic_fetch_add_explicit(&pe->machine->clock, done, memory_order_relaxed);
    atomic_store_explicit(&pe->port.retired, pe->attempts - pe->traps, memory_order_relaxed);
    hvc_soft_reservation_ages(pe);
}

static uint64_t slice(soft_pe *pe, uint64_t pc)
{
    pe->slice = smaller(smaller(pe->port.budget, SOFT_SLICE), until_timer(pe));
    pe->left = (int64_t)pe->slice;
    pe->withheld = 0;
    pe->heavy = 0;
    pc = execute(pe, pc);
    settle(pe);
    return pc;
}

static void end(soft_pe *pe, enum hvc_port_stop stop)
{
    if (stop != HVC_STOP_INSN_LIMIT && !pe->machine->lockstep)
        hvc_soft_unreserve(pe); /* nobody knows when it comes back */
    if (pe->port.fp && pe->fp_env.host) {
        hvc_soft_get_fcsr(pe);
        hvc_soft_fp_leave(&pe->fp_env);
    }
}

enum hvc_port_stop hvc_soft_enter(hvc_pe *port, hvcore_riscv64_frame *frame, hvc_raw_trap *raw)
{
    soft_pe *pe = hvc_soft_pe(port);
    uint64_t pc = frame->pc & ~(port->ialign | 1); /* as SRET does (Priv. 12.1.7) */
    enum hvc_port_stop stop = HVC_STOP_TRAP;
    if (!(frame->hstatus & HVC_HSTATUS_SPV)) {
        raw->scause = SOFT_FAILED_NOT_GUEST;
        return HVC_STOP_FAILED;
    }
    begin(pe, frame, raw);
    if (kicked(pe))
        stop = HVC_STOP_KICKED;
    else if (!port->budget)
        stop = HVC_STOP_INSN_LIMIT;
    else
        do
            pc = slice(pe, hvc_soft_interrupt(pe, pc));
        while (pc != SOFT_STOP && !due(pe, &stop));
    if (pc != SOFT_STOP)
        hvc_soft_leave(pe, pc, false);
    end(pe, stop);
    return stop;
}
