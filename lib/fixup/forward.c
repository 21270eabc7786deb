/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose is a trap of a nested guest? (Priv. 1.13, 21.6, applied to a hart that has no second level
 * of guests: L1's HS-mode and L2 take turns in VS-mode.)
 */
#include <hvcore/fixup/forward.h>
#include <hvcore/fixup/redirect.h>

#include "lib/arch/riscv64.h"
#include "lib/fixup/htinst.h"

#define FORWARD_VERSION 1

/* What trap entry writes into hstatus; the rest is a setting of the hypervisor. */
#define TRAP_HSTATUS (HVC_HSTATUS_SPV | HVC_HSTATUS_SPVP | HVC_HSTATUS_GVA)

/* The bits of menvcfg that the G-stage obeys: L1 has its "menvcfg" from us (Priv. 21.2.5). */
#define G_ENVCFG (HVC_BIT(61) | HVC_BIT(62)) /* ADUE, PBMTE */

/* ---- answers ---- */

static hvcore_result done(void)
{
    return (hvcore_result){HVCORE_RESULT_DONE, 0, 0};
}

static hvcore_result leave(uint32_t why, uint64_t detail)
{
    return (hvcore_result){HVCORE_RESULT_EXIT, why, detail};
}

static hvcore_result need_regs(uint64_t set)
{
    return (hvcore_result){HVCORE_RESULT_NEED_REGS, 0, set};
}

/* ---- what may be asked ---- */

static bool is_page(uint64_t cause)
{
    return cause == HVCORE_RISCV64_INSN_GUEST_PAGE || cause == HVCORE_RISCV64_LOAD_GUEST_PAGE ||
           cause == HVCORE_RISCV64_STORE_GUEST_PAGE;
}

/* DONE, or why nothing can be done. */
static hvcore_result admit(const hvcore_riscv64_frame *frame, const hvcore_forward_state *f,
                           uint32_t virt)
{
    if (!(frame->hstatus & HVC_HSTATUS_SPV)) {
        return leave(HVCORE_FORWARD_NOT_GUEST, 0);
    }
    if (f->version != FORWARD_VERSION || f->virt > 1) {
        return leave(HVCORE_FORWARD_STATE, f->version);
    }
    return f->virt == virt ? done() : leave(HVCORE_FORWARD_NOT_NESTED, 0);
}

static hvcore_result admit_trap(const hvcore_riscv64_frame *frame, const hvcore_event *event,
                                const hvcore_forward_state *f)
{
    if (event->syndrome & HVC_CAUSE_INTERRUPT) {
        return leave(HVCORE_FORWARD_INTERRUPT, event->syndrome);
    }
    if (event->syndrome >= HVCORE_RISCV64_CAUSES) {
        return leave(HVCORE_FORWARD_CAUSE, event->syndrome);
    }
    return admit(frame, f, 1);
}

/* ---- two sets change places ---- */

static void exchange(uint64_t *a, uint64_t *b)
{
    uint64_t was = *a;

    *a = *b;
    *b = was;
}

static void exchange_hstatus(hvcore_riscv64_frame *frame, hvcore_forward_set *parked)
{
    uint64_t was = frame->hstatus;

    frame->hstatus = (was & TRAP_HSTATUS) | (parked->hstatus & ~TRAP_HSTATUS);
    parked->hstatus = was & ~TRAP_HSTATUS;
}

static void exchange_sets(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                          hvcore_forward_set *parked)
{
    exchange(&sys->vsstatus, &parked->vsstatus);
    exchange(&sys->vsie, &parked->vsie);
    exchange(&sys->vstvec, &parked->vstvec);
    exchange(&sys->vsscratch, &parked->vsscratch);
    exchange(&sys->vsepc, &parked->vsepc);
    exchange(&sys->vscause, &parked->vscause);
    exchange(&sys->vstval, &parked->vstval);
    exchange(&sys->hvip, &parked->hvip);
    exchange(&sys->vsatp, &parked->vsatp);
    exchange(&sys->henvcfg, &parked->henvcfg);
    exchange_hstatus(frame, parked);
    sys->dirty |= HVCORE_FORWARD_NEEDS;
}

/* ---- to L1 ---- */

/* What a trap from V=1 writes into hypervisor CSRs (Priv. 21.6.2). */
static void trap_l1(hvcore_forward_l1 *l1, const hvcore_riscv64_frame *frame,
                    const hvcore_event *event)
{
    l1->hstatus = (l1->hstatus & ~TRAP_HSTATUS) | HVC_HSTATUS_SPV;
    if (frame->sstatus & HVC_SSTATUS_SPP) {
        l1->hstatus |= HVC_HSTATUS_SPVP;
    }
    if (hvc_riscv64_has_gva(event->syndrome, event->tval)) {
        l1->hstatus |= HVC_HSTATUS_GVA;
    }
    l1->htval = event->htval;
    l1->htinst = event->htinst;
}

static void finish(hvcore_forward_state *f, uint32_t to)
{
    f->to = to;
    f->fill = (hvcore_forward_fill){0};
}

/*
 * L1 cannot be inside its own trap entry: the SRET that began L2 has cleared SDT (Priv. 12.1.1.5).
 * A set bit is a state that cannot be, and believing it would leave the trap without an owner.
 */
static hvcore_result to_l1(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                           const hvcore_event *event, hvcore_riscv64_state *state)
{
    hvcore_forward_state *f = &state->forward;
    uint64_t missing = HVCORE_FORWARD_NEEDS & ~sys->have;

    if (missing) {
        return need_regs(missing);
    }
    trap_l1(&f->l1, frame, event);
    exchange_sets(frame, sys, &f->parked);
    sys->vsstatus &= ~HVC_SSTATUS_SDT;
    f->virt = 0;
    finish(f, HVCORE_FORWARD_TO_L1);
    return hvcore_redirect(frame, sys, event, state);
}

/* ---- to whom L1 wants it to go ---- */

static bool is_delegated(const hvcore_forward_l1 *l1, uint64_t cause)
{
    return (l1->hedeleg >> cause & 1) && (hvc_riscv64_causes[cause].facts & HVC_CAUSE_DELEGATABLE);
}

/* A trap of L2's kernel inside its own trap entry: firmware reports it as cause 16 (Ssdbltrp). */
static hvcore_result double_trap(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                                 const hvcore_event *event, hvcore_riscv64_state *state)
{
    hvcore_event e = *event;

    e.htval = event->syndrome;
    e.htinst = 0;
    e.syndrome = HVCORE_RISCV64_DOUBLE_TRAP;
    return to_l1(frame, sys, &e, state);
}

static hvcore_result deliver(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                             const hvcore_event *event, hvcore_riscv64_state *state)
{
    hvcore_result r;

    if (!is_delegated(&state->forward.l1, event->syndrome)) {
        return to_l1(frame, sys, event, state);
    }
    r = hvcore_redirect(frame, sys, event, state);
    if (r.kind == HVCORE_RESULT_AGAIN) {
        return double_trap(frame, sys, event, state);
    }
    if (r.kind == HVCORE_RESULT_DONE) {
        finish(&state->forward, HVCORE_FORWARD_TO_L2);
    }
    return r;
}

/* ---- guest-page faults ---- */

static uint32_t access_of(uint64_t cause)
{
    switch (cause) {
    case HVCORE_RISCV64_INSN_GUEST_PAGE:
        return HVCORE_RISCV64_FETCH;
    case HVCORE_RISCV64_LOAD_GUEST_PAGE:
        return HVCORE_RISCV64_LOAD;
    default:
        return HVCORE_RISCV64_STORE;
    }
}

static hvc_htinst decoded(uint64_t htinst)
{
    hvc_htinst insn;

    hvc_htinst_decode(htinst, &insn);
    return insn;
}

static bool is_implicit(uint64_t htinst)
{
    return decoded(htinst).kind == HVC_HTINST_PSEUDO;
}

/* The access that the G-stage sees: that of the instruction, or of L2's walk. */
static uint32_t g_access(uint64_t cause, uint64_t htinst)
{
    hvc_htinst insn = decoded(htinst);

    if (insn.kind != HVC_HTINST_PSEUDO) {
        return access_of(cause);
    }
    return insn.write ? HVCORE_RISCV64_STORE : HVCORE_RISCV64_LOAD;
}

static bool belongs(const hvcore_forward_fill *fill, const hvcore_event *event)
{
    return fill->cause == event->syndrome && fill->tval == event->tval && fill->pc == event->pc;
}

/*
 * Nothing is there: what a bare machine would report (specs 2.4). No pseudo-instruction comes with
 * it.
 */
static hvcore_result access_fault(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                                  const hvcore_event *event, hvcore_riscv64_state *state)
{
    hvcore_event e = *event;

    e.syndrome = hvc_riscv64_causes[event->syndrome].redirect;
    e.htval = 0;
    if (is_implicit(e.htinst)) {
        e.htinst = 0;
    }
    return deliver(frame, sys, &e, state);
}

static hvcore_result page_to_l1(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                                const hvcore_event *event, hvcore_riscv64_state *state)
{
    hvcore_event e = *event;

    e.htval = state->forward.fill.gpa >> 2;
    e.htinst = state->forward.fill.htinst;
    return to_l1(frame, sys, &e, state);
}

static hvcore_result retry(hvcore_forward_state *f)
{
    finish(f, HVCORE_FORWARD_TO_SHADOW);
    return done();
}

static hvcore_result emulate(hvcore_forward_state *f)
{
    uint64_t pa = f->fill.pa;

    f->fill = (hvcore_forward_fill){0};
    return leave(HVCORE_FORWARD_MMIO, pa);
}

/* Only an instruction's own load or store can be emulated. */
static bool is_data(const hvcore_forward_fill *fill)
{
    return fill->cause != HVCORE_RISCV64_INSN_GUEST_PAGE && !is_implicit(fill->htinst);
}

static hvcore_result mapped(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                            const hvcore_event *event, hvcore_riscv64_state *state)
{
    hvcore_forward_fill *fill = &state->forward.fill;
    bool write = g_access(event->syndrome, fill->htinst) == HVCORE_RISCV64_STORE;

    switch (fill->backing) {
    case HVCORE_FORWARD_BACKING_ASK:
        return (hvcore_result){HVCORE_RESULT_NEED_PAGE, write, fill->pa};
    case HVCORE_FORWARD_BACKING_MEMORY:
        return retry(&state->forward);
    case HVCORE_FORWARD_BACKING_DEVICE:
        return is_data(fill) ? emulate(&state->forward) : access_fault(frame, sys, event, state);
    default:
        return access_fault(frame, sys, event, state);
    }
}

static hvcore_result forward_page(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                                  const hvcore_event *event, hvcore_riscv64_state *state)
{
    hvcore_forward_fill *fill = &state->forward.fill;

    switch (belongs(fill, event) ? fill->found : (uint32_t)HVCORE_FORWARD_FOUND_NOTHING) {
    case HVCORE_FORWARD_FOUND_MAPPED:
        return mapped(frame, sys, event, state);
    case HVCORE_FORWARD_FOUND_FAULT:
        return page_to_l1(frame, sys, event, state);
    case HVCORE_FORWARD_FOUND_ACCESS:
        return access_fault(frame, sys, event, state);
    case HVCORE_FORWARD_FOUND_RETRY:
        return retry(&state->forward);
    default:
        return (hvcore_result){HVCORE_RESULT_NEED_AT, access_of(event->syndrome), event->tval};
    }
}

/* ---- the units ---- */

hvcore_result hvcore_forward(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                             const hvcore_event *event, hvcore_riscv64_state *state)
{
    hvcore_result r = admit_trap(frame, event, &state->forward);

    if (r.kind != HVCORE_RESULT_DONE) {
        return r;
    }
    if (is_page(event->syndrome)) {
        return forward_page(frame, sys, event, state);
    }
    return deliver(frame, sys, event, state);
}

hvcore_result hvcore_forward_inject(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                                    const hvcore_event *event, hvcore_riscv64_state *state)
{
    hvcore_result r = admit(frame, &state->forward, 1);

    if ((event->syndrome & ~HVC_CAUSE_INTERRUPT) >= HVCORE_RISCV64_CAUSES) {
        return leave(HVCORE_FORWARD_CAUSE, event->syndrome);
    }
    return r.kind == HVCORE_RESULT_DONE ? to_l1(frame, sys, event, state) : r;
}

/* SRET writes sstatus: SIE from SPIE, SPIE 1, SPP 0 (Priv. 12.1.1), SDT 0 (Ssdbltrp), SPELP 0. */
static uint64_t returned(uint64_t sstatus)
{
    uint64_t sie = sstatus & HVC_SSTATUS_SPIE ? HVC_SSTATUS_SIE : 0;

    sstatus &= ~(HVC_SSTATUS_SIE | HVC_SSTATUS_SPP | HVC_SSTATUS_SDT | HVC_SSTATUS_SPELP);
    return sstatus | sie | HVC_SSTATUS_SPIE;
}

/* Where L1's SRET goes to: mode and landing pad by its sstatus, which is live. */
static void enter_frame(hvcore_riscv64_frame *frame, const hvcore_riscv64_sys *sys)
{
    const uint64_t mode = HVC_SSTATUS_SPP | HVC_SSTATUS_SPELP;

    frame->pc = sys->vsepc & ~UINT64_C(1);
    frame->sstatus = (frame->sstatus & ~mode) | (sys->vsstatus & mode);
    frame->hstatus &= ~HVC_HSTATUS_SPVP;
    if (sys->vsstatus & HVC_SSTATUS_SPP) {
        frame->hstatus |= HVC_HSTATUS_SPVP;
    }
}

hvcore_result hvcore_forward_enter(hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                                   const hvcore_event *event, hvcore_riscv64_state *state)
{
    hvcore_forward_state *f = &state->forward;
    uint64_t missing = HVCORE_FORWARD_NEEDS & ~sys->have;
    hvcore_result r = admit(frame, f, 0);

    (void)event;
    if (r.kind != HVCORE_RESULT_DONE) {
        return r;
    }
    if (!(f->l1.hstatus & HVC_HSTATUS_SPV)) {
        return leave(HVCORE_FORWARD_PLAIN, 0);
    }
    if (missing) {
        return need_regs(missing);
    }
    enter_frame(frame, sys);
    sys->vsstatus = returned(sys->vsstatus);
    f->l1.hstatus &= ~HVC_HSTATUS_SPV;
    exchange_sets(frame, sys, &f->parked);
    if (!(frame->sstatus & HVC_SSTATUS_SPP)) {
        sys->vsstatus &= ~HVC_SSTATUS_SDT; /* entering VU (Priv. 12.1.1.5) */
    }
    f->virt = 1;
    finish(f, HVCORE_FORWARD_TO_L2);
    return done();
}

/* ---- L1's tables ---- */

/* The caller's memory, watched: the walker does not know memory that is not there yet. */
typedef struct memory {
    const hvcore_riscv64_walk_mem *mem;
    uint64_t absent;
    bool is_absent, write;
} memory;

static int watch(memory *m, int status, uint64_t pa, bool write)
{
    if (status == HVCORE_FORWARD_ABSENT) {
        m->absent = pa;
        m->is_absent = true;
        m->write = write;
    }
    return status;
}

static int watched_read(void *user, uint64_t pa, uint64_t *value)
{
    memory *m = user;

    return watch(m, m->mem->read64(m->mem->user, pa, value), pa, false);
}

static int watched_cas(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    memory *m = user;
    int status = m->mem->cas64 ? m->mem->cas64(m->mem->user, pa, expected, desired) : 2;

    return watch(m, status, pa, true);
}

static hvcore_riscv64_walk_mem accessor(memory *m)
{
    return (hvcore_riscv64_walk_mem){.user = m, .read64 = watched_read, .cas64 = watched_cas};
}

/* L1's hart as it stood when L2 trapped. */
static hvcore_riscv64_walk_regs registers(const hvcore_riscv64_frame *frame,
                                          const hvcore_riscv64_sys *sys,
                                          const hvcore_forward_state *f)
{
    return (hvcore_riscv64_walk_regs){
        .vsatp = sys->vsatp,
        .hgatp = f->l1.hgatp,
        .vsstatus = sys->vsstatus,
        .sstatus = f->parked.vsstatus,
        .henvcfg = sys->henvcfg,
        .menvcfg = f->parked.henvcfg & G_ENVCFG,
        .mode = frame->sstatus & HVC_SSTATUS_SPP ? HVCORE_RISCV64_VS : HVCORE_RISCV64_VU,
        .flags = f->walk & (HVCORE_RISCV64_WALK_SVNAPOT | HVCORE_RISCV64_WALK_SVRSW60),
    };
}

/* The hart has not told the address: its own walk is done again, and nothing written. */
static uint32_t find_by_walk(hvcore_riscv64_walk_regs regs, memory *m, hvcore_forward_fill *fill)
{
    hvcore_riscv64_walk_mem mem = accessor(m);
    hvcore_riscv64_walk_result out;

    regs.flags |= HVCORE_RISCV64_WALK_NO_UPDATE;
    hvcore_riscv64_walk(&regs, &mem, fill->tval, access_of(fill->cause), &out);
    if (!out.fault) {
        fill->gpa = out.gpa;
        return HVCORE_FORWARD_FOUND_MAPPED;
    }
    if (!is_page(out.cause)) {
        bool access = out.cause == hvc_riscv64_causes[fill->cause].redirect;
        return access ? HVCORE_FORWARD_FOUND_ACCESS : HVCORE_FORWARD_FOUND_RETRY;
    }
    fill->gpa = out.htval << 2;
    if (out.htinst) {
        fill->htinst = out.htinst;
    } else {
        fill->gpa |= fill->tval & 3;
    }
    return HVCORE_FORWARD_FOUND_MAPPED;
}

/* L1's G-stage for fill->gpa. A page-table read is not helped by MXR (Priv. 21.5.1). */
static uint32_t walk_l1(hvcore_riscv64_walk_regs regs, memory *m, hvcore_forward_fill *fill)
{
    hvcore_riscv64_walk_mem mem = accessor(m);
    hvcore_riscv64_walk_result out;

    if (is_implicit(fill->htinst)) {
        regs.sstatus = 0;
    }
    hvcore_riscv64_walk_g(&regs, &mem, fill->gpa, fill->tval, g_access(fill->cause, fill->htinst),
                          &out);
    if (out.fault) {
        return is_page(out.cause) ? HVCORE_FORWARD_FOUND_FAULT : HVCORE_FORWARD_FOUND_ACCESS;
    }
    fill->pa = out.pa;
    fill->page = out.page;
    fill->prot = out.prot;
    fill->pbmt = out.pbmt;
    return HVCORE_FORWARD_FOUND_MAPPED;
}

/* htval is the address without its two lowest bits, which an explicit access shares with stval. */
static bool is_address_known(const hvcore_event *event, hvcore_forward_fill *fill)
{
    if (event->have & HVCORE_HAVE_GPA) {
        fill->gpa = event->gpa;
        return true;
    }
    fill->gpa = event->htval << 2;
    if (!is_implicit(event->htinst)) {
        fill->gpa |= event->tval & 3;
    }
    return event->htval != 0; /* 0: the hart does not tell (specs 6.6) */
}

static hvcore_result found(hvcore_forward_state *f, const memory *m, hvcore_forward_fill fill)
{
    if (m->is_absent) {
        return (hvcore_result){HVCORE_RESULT_NEED_PAGE, m->write, m->absent};
    }
    f->fill = fill;
    return done();
}

hvcore_result hvcore_forward_walk(const hvcore_riscv64_frame *frame, const hvcore_riscv64_sys *sys,
                                  const hvcore_event *event, hvcore_riscv64_state *state,
                                  const hvcore_riscv64_walk_mem *mem)
{
    const uint64_t vs = HVC_BIT(HVCORE_RISCV64_SYS_vsstatus) | HVC_BIT(HVCORE_RISCV64_SYS_vsatp) |
                        HVC_BIT(HVCORE_RISCV64_SYS_henvcfg);
    hvcore_forward_fill fill = {
        .cause = event->syndrome, .tval = event->tval, .pc = event->pc, .htinst = event->htinst};
    hvcore_result r = admit_trap(frame, event, &state->forward);
    memory m = {.mem = mem};

    if (r.kind != HVCORE_RESULT_DONE) {
        return r;
    }
    if (!is_page(event->syndrome)) {
        return leave(HVCORE_FORWARD_CAUSE, event->syndrome);
    }
    fill.found = HVCORE_FORWARD_FOUND_MAPPED;
    if (!is_address_known(event, &fill)) {
        if (vs & ~sys->have) {
            return need_regs(vs & ~sys->have);
        }
        fill.found = find_by_walk(registers(frame, sys, &state->forward), &m, &fill);
    }
    if (fill.found == HVCORE_FORWARD_FOUND_MAPPED) {
        fill.found = walk_l1(registers(frame, sys, &state->forward), &m, &fill);
    }
    return found(&state->forward, &m, fill);
}

uint64_t hvcore_hedeleg_nested(uint64_t l1, uint64_t writable, uint64_t intercept)
{
    return l1 & writable & ~intercept;
}
