/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/toy.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)
#define TICK 100 /* nanoseconds */
#define SPP (UINT64_C(1) << 8)

toy_state toy;

static void broke(const char *rule)
{
    toy.rule = rule;
    toy.broken++;
}

/* Count the call; the code that it has to fail with, or 0. */
static int slot(enum toy_slot which)
{
    toy.calls[which]++;
    return toy.fail[which];
}

static void take(atomic_int *flag, const char *rule)
{
    if (atomic_exchange(flag, 1))
        broke(rule);
}

static void no_memory(hvcore_error *err)
{
    static const char text[] = "The toy is out of memory.";

    if (err && err->size >= sizeof *err) {
        err->code = -HVCORE_E_NOMEM;
        err->domain = HVCORE_DOMAIN_BARE;
        memcpy(err->message, text, sizeof text);
    }
}

void toy_reset(void)
{
    memset(&toy, 0, sizeof toy);
    toy.caps = HVCORE_CAP_INSN_LIMIT | HVCORE_CAP_DEADLINE | HVCORE_CAP_DELEGATED_COUNT |
               HVCORE_CAP_HONOURS_HEDELEG;
    toy.max_vcpus = 8;
    toy.delegatable = 0xcb1ff;
}

static void toy_info(hvcore_backend_info *info)
{
    info->arch = HVCORE_ARCH_RISCV64;
    info->caps = toy.caps;
    info->max_vcpus = toy.max_vcpus;
    memset(info->name, 0, sizeof info->name);
    memset(info->machine, 0, sizeof info->machine);
    memcpy(info->name, "toy", 3);
    info->delegatable = toy.delegatable;
}

/* --- VM --------------------------------------------------------------------------------------- */
static int toy_vm_create(const hvcore_vm_opts *opts, const hvcore_ctx_opts *ctx, hvcore_bk_vm **vm,
                         hvcore_error *err)
{
    int rc = slot(TOY_VM_CREATE);

    if (!ctx)
        broke("vm_create without the context's options");
    if (rc)
        return rc;
    if (!opts->max_vcpus || opts->max_vcpus > toy.max_vcpus)
        broke("vm_create with a wrong number of vCPUs");
    *vm = calloc(1, sizeof **vm);
    if (!*vm) {
        no_memory(err);
        return -HVCORE_E_NOMEM;
    }
    pthread_mutex_init(&(*vm)->lock, NULL);
    (*vm)->lockstep = opts->schedule == HVCORE_SCHEDULE_LOCKSTEP;
    toy.vm = *vm;
    return 0;
}

static void toy_vm_destroy(hvcore_bk_vm *vm)
{
    slot(TOY_VM_DESTROY);
    if (vm->vcpus)
        broke("vm_destroy before vcpu_destroy");
    pthread_mutex_destroy(&vm->lock);
    free(vm->pieces);
    free(vm);
}

static void toy_mem_written(hvcore_bk_vm *vm, const void *host, uint64_t len)
{
    (void)vm;
    if (!host || !len)
        broke("mem_written of nothing");
}

static uint64_t toy_time(hvcore_bk_vm *vm)
{
    if (toy.on_time)
        toy.on_time(toy.on_time_user);
    if (toy.own_time)
        return toy.now;
    return (vm->lockstep ? vm->clock : hvcore_clock_ns()) / TICK;
}

static uint64_t toy_time_ns(hvcore_bk_vm *vm, uint64_t ticks)
{
    bool passes = !toy.own_time && !vm->lockstep && ticks <= UINT64_MAX / TICK;

    return passes ? ticks * TICK : UINT64_MAX;
}

static void toy_time_skip(hvcore_bk_vm *vm, uint64_t ticks)
{
    if (!vm->lockstep || ticks <= toy_time(vm))
        broke("time_skip without lockstep, or backwards");
    else
        vm->clock = ticks * TICK;
}

static bool more_pieces(toy_vm *vm)
{
    size_t room = 2 * vm->room + 8;
    toy_piece *p;

    if (vm->count + 2 <= vm->room)
        return true;
    p = calloc(room, sizeof *p);
    if (!p)
        return false;
    if (vm->count)
        memcpy(p, vm->pieces, vm->count * sizeof *p);
    free(vm->pieces);
    vm->pieces = p;
    vm->room = room;
    return true;
}

static int toy_mem_map(hvcore_bk_vm *vm, const hvcore_bk_region *r, hvcore_error *err)
{
    int rc;

    take(&vm->busy, "two VM-wide calls at a time");
    rc = slot(TOY_MEM_MAP);
    if (!r->len || (r->gpa | r->len | (uintptr_t)r->host) % PAGE || r->gpa + (r->len - 1) < r->gpa)
        broke("mem_map of half a page");
    pthread_mutex_lock(&vm->lock);
    for (size_t i = 0; i < vm->count; i++)
        if (r->gpa - vm->pieces[i].gpa < vm->pieces[i].len || vm->pieces[i].gpa - r->gpa < r->len)
            broke("mem_map over a mapping");
    if (!rc && !more_pieces(vm)) {
        no_memory(err);
        rc = -HVCORE_E_NOMEM;
    }
    if (!rc) {
        vm->pieces[vm->count++] = (toy_piece){r->gpa, r->len, r->host, r->prot};
        toy.region = *r;
    }
    pthread_mutex_unlock(&vm->lock);
    vm->busy = 0;
    return rc;
}

/* Cut [gpa, gpa + len) out of the pieces, or give what lies in there other rights; two splits. */
static void cut(toy_vm *vm, uint64_t gpa, uint64_t len, bool keep, uint32_t prot)
{
    uint64_t last = gpa + (len - 1);

    for (size_t i = 0; i < vm->count;) {
        toy_piece p = vm->pieces[i];
        uint64_t end = p.gpa + (p.len - 1);
        uint64_t from = p.gpa > gpa ? p.gpa : gpa, to = end < last ? end : last;

        if (from > to || (keep && p.prot == prot)) {
            i++;
        } else if (from > p.gpa || to < end) { /* the next turns see the halves */
            uint64_t left = (from > p.gpa ? from : to + 1) - p.gpa;

            vm->pieces[i].len = left;
            vm->pieces[vm->count++] =
                (toy_piece){p.gpa + left, p.len - left, p.host + left, p.prot};
        } else if (keep) {
            vm->pieces[i].prot = prot;
        } else {
            vm->pieces[i] = vm->pieces[--vm->count];
        }
    }
}

static int change(toy_vm *vm, enum toy_slot which, uint64_t gpa, uint64_t len, uint32_t prot)
{
    bool keep = which == TOY_MEM_PROTECT;
    int rc;

    take(&vm->busy, "two VM-wide calls at a time");
    rc = slot(which);
    if (vm->entered)
        broke("mem_unmap or mem_protect while a vCPU is in enter()");
    if (!len || (gpa | len) % PAGE)
        broke("mem_unmap or mem_protect of half a page");
    pthread_mutex_lock(&vm->lock);
    if (!rc && !more_pieces(vm)) /* all or nothing: room first */
        rc = -HVCORE_E_NOMEM;
    if (!rc)
        cut(vm, gpa, len, keep, prot);
    pthread_mutex_unlock(&vm->lock);
    vm->busy = 0;
    return rc;
}

static int toy_mem_unmap(hvcore_bk_vm *vm, uint64_t gpa, uint64_t len, hvcore_error *err)
{
    (void)err;
    return change(vm, TOY_MEM_UNMAP, gpa, len, 0);
}

static int toy_mem_protect(hvcore_bk_vm *vm, uint64_t gpa, uint64_t len, uint32_t prot,
                           hvcore_error *err)
{
    (void)err;
    return change(vm, TOY_MEM_PROTECT, gpa, len, prot);
}

uint8_t *toy_lookup(toy_vm *vm, uint64_t gpa, uint32_t *prot)
{
    uint8_t *host = NULL;

    pthread_mutex_lock(&vm->lock);
    for (size_t i = 0; i < vm->count && !host; i++)
        if (gpa - vm->pieces[i].gpa < vm->pieces[i].len) {
            host = vm->pieces[i].host + (gpa - vm->pieces[i].gpa);
            if (prot)
                *prot = vm->pieces[i].prot;
        }
    pthread_mutex_unlock(&vm->lock);
    return host;
}

bool toy_read(toy_vcpu *v, uint64_t gpa, uint64_t *value)
{
    uint64_t page = gpa / PAGE, i = page % 4;

    if (!v->tlb[i].host || v->tlb[i].page != page) {
        uint32_t prot = 0;
        uint8_t *host = toy_lookup(v->vm, page * PAGE, &prot);

        if (!host || !(prot & HVCORE_PROT_R))
            return false;
        v->tlb[i].page = page;
        v->tlb[i].host = host;
    }
    *value = atomic_load_explicit((_Atomic uint64_t *)(void *)(v->tlb[i].host + gpa % PAGE),
                                  memory_order_relaxed);
    return true;
}

/* --- vCPU ------------------------------------------------------------------------------------- */
static void *sysreg(hvcore_riscv64_sys *sys, int i)
{
    return &sys->vsstatus + i;
}

static void forget(hvcore_riscv64_sys *sys)
{
    sys->have = sys->dirty = 0;
    memset(sysreg(sys, 0), 0xa5, HVCORE_RISCV64_SYS_COUNT * sizeof(uint64_t));
}

static int nothing(toy_vcpu *v, void *user, hvcore_event *event)
{
    (void)v, (void)user, (void)event;
    return 0;
}

static int toy_vcpu_create(hvcore_bk_vm *vm, uint32_t index, uint32_t flags, hvcore_bk_vcpu **vcpu,
                           hvcore_error *err)
{
    int rc = slot(TOY_VCPU_CREATE);
    toy_vcpu *v;

    if (flags & ~(uint32_t)HVCORE_VCPU_OFF)
        broke("vcpu_create with unknown flags");
    if (rc)
        return rc;
    v = calloc(1, sizeof *v);
    if (!v) {
        no_memory(err);
        return -HVCORE_E_NOMEM;
    }
    v->vm = vm;
    v->index = index;
    v->program = nothing;
    v->frame.sstatus = SPP;
    v->frame.hstatus = UINT64_C(2) << 32 | 1 << 8 | 1 << 7; /* VSXL 64, SPVP, SPV */
    v->sys.size = v->hw.size = sizeof v->sys;
    v->hw.vsstatus = UINT64_C(2) << 32; /* UXL 64 */
    v->hw.vstimecmp = UINT64_MAX;
    forget(&v->sys);
    pthread_mutex_init(&v->lock, NULL);
    vm->vcpus++;
    if (index < 8)
        toy.vcpu[index] = v;
    *vcpu = v;
    return 0;
}

static void toy_vcpu_destroy(hvcore_bk_vcpu *v)
{
    slot(TOY_VCPU_DESTROY);
    if (v->in_guest)
        broke("vcpu_destroy of a running vCPU");
    v->vm->vcpus--;
    pthread_mutex_destroy(&v->lock);
    free(v->steps);
    free(v);
}

static bool step(toy_vcpu *v, toy_step *s)
{
    bool any;

    pthread_mutex_lock(&v->lock);
    any = v->next < v->count;
    if (any)
        *s = v->steps[v->next++];
    if (v->next == v->count)
        v->next = v->count = 0;
    pthread_mutex_unlock(&v->lock);
    return any;
}

/* The event of an enter() and what the machine leaves in the frame. */
static int execute(toy_vcpu *v, const hvcore_bk_limits *limits, hvcore_event *event)
{
    uint64_t n = 0;
    toy_step s;
    int rc = 0;

    if (atomic_exchange(&v->kicked, 0)) {
        event->kind = HVCORE_EVENT_KICKED;
    } else if (step(v, &s)) {
        v->insns++;
        if (s.code)
            return s.code;
        if (!s.event.pc)
            s.event.pc = v->frame.pc;
        *event = s.event;
    } else {
        for (; !rc; n++) {
            if (atomic_exchange_explicit(&v->kicked, 0, memory_order_acq_rel)) {
                event->kind = HVCORE_EVENT_KICKED;
                break;
            } else if (limits->max_insns && n >= limits->max_insns) {
                event->kind = HVCORE_EVENT_INSN_LIMIT;
                break;
            } else if (limits->deadline_ns && hvcore_clock_ns() >= limits->deadline_ns) {
                event->kind = HVCORE_EVENT_DEADLINE;
                break;
            }
            rc = v->program(v, v->user, event);
            if (n % 256 == 255)
                sched_yield();
        }
        atomic_fetch_add_explicit(&v->insns, n, memory_order_relaxed);
        atomic_fetch_add_explicit(&v->vm->clock, n, memory_order_relaxed);
        if (rc < 0)
            return rc;
    }
    v->frame.pc = event->pc;
    if (event->kind == HVCORE_EVENT_TRAP)
        v->frame.sstatus =
            event->mode == HVCORE_RISCV64_VS ? v->frame.sstatus | SPP : v->frame.sstatus & ~SPP;
    return 0;
}

static int toy_enter(hvcore_bk_vcpu *v, const hvcore_bk_limits *limits, hvcore_event *event)
{
    uint32_t vs = v->frame.sstatus & SPP ? HVCORE_RISCV64_VS : HVCORE_RISCV64_VU;
    int rc = slot(TOY_ENTER);

    take(&v->busy, "two calls on a vCPU at a time");
    v->vm->entered++;
    v->in_guest = 1;
    if (v->sys.have || v->sys.dirty)
        broke("enter() with registers in the view");
    if (v->frame.x[0])
        broke("enter() with x0 not zero");
    if ((limits->deadline_ns && !(toy.caps & HVCORE_CAP_DEADLINE)) ||
        (limits->max_insns && !(toy.caps & HVCORE_CAP_INSN_LIMIT)))
        broke("enter() with a limit that the backend does not know");
    v->entry_pc = v->frame.pc;
    *event = (hvcore_event){.size = sizeof *event,
                            .kind = HVCORE_EVENT_TRAP,
                            .mode = vs,
                            .have = HVCORE_HAVE_PC | HVCORE_HAVE_MODE,
                            .pc = v->frame.pc};
    if (!rc)
        rc = execute(v, limits, event);
    v->in_guest = 0;
    v->vm->entered--;
    v->busy = 0;
    return rc;
}

static void toy_kick(hvcore_bk_vcpu *v)
{
    unsigned busy = toy.kick_ns;

    toy.calls[TOY_KICK]++;
    v->kicked = 1;
    if (busy)
        for (uint64_t until = hvcore_clock_ns() + busy; hvcore_clock_ns() < until;)
            ;
}

static void toy_flush(hvcore_bk_vcpu *v)
{
    take(&v->busy, "two calls on a vCPU at a time");
    slot(TOY_FLUSH);
    memset(v->tlb, 0, sizeof v->tlb);
    v->busy = 0;
}

static int toy_detach(hvcore_bk_vcpu *v)
{
    take(&v->busy, "two calls on a vCPU at a time");
    v->busy = 0;
    return slot(TOY_DETACH);
}

static void toy_riscv64(hvcore_bk_vcpu *v, hvcore_bk_riscv64 *view)
{
    view->frame = &v->frame;
    view->sys = &v->sys;
    view->fp = toy.no_fp ? NULL : &v->fp;
}

static int toy_sys_load(hvcore_bk_vcpu *v, uint64_t set)
{
    int rc;

    take(&v->busy, "two calls on a vCPU at a time");
    rc = slot(TOY_SYS_LOAD);
    if (!set || set >> HVCORE_RISCV64_SYS_COUNT)
        broke("sys_load of no register");
    for (int i = 0; i < HVCORE_RISCV64_SYS_COUNT && !rc; i++)
        if (set & ~v->sys.have & UINT64_C(1) << i) {
            memcpy(sysreg(&v->sys, i), sysreg(&v->hw, i), sizeof(uint64_t));
            v->sys.have |= UINT64_C(1) << i;
        }
    v->busy = 0;
    return rc;
}

static int toy_sys_store(hvcore_bk_vcpu *v)
{
    int rc;

    take(&v->busy, "two calls on a vCPU at a time");
    rc = slot(TOY_SYS_STORE);
    for (int i = 0; i < HVCORE_RISCV64_SYS_COUNT && !rc; i++)
        if (v->sys.dirty & UINT64_C(1) << i)
            memcpy(sysreg(&v->hw, i), sysreg(&v->sys, i), sizeof(uint64_t));
    if (!rc)
        forget(&v->sys);
    v->busy = 0;
    return rc;
}

static void toy_delegate(hvcore_bk_vcpu *v, uint64_t hedeleg)
{
    take(&v->busy, "two calls on a vCPU at a time");
    slot(TOY_DELEGATE);
    if (hedeleg & ~toy.delegatable)
        broke("delegate of what cannot be delegated");
    v->hedeleg = hedeleg;
    v->busy = 0;
}

static uint64_t toy_delegated(hvcore_bk_vcpu *v, uint32_t cls)
{
    return cls < 64 && toy.caps & HVCORE_CAP_DELEGATED_COUNT ? v->delegated[cls] : 0;
}

static uint64_t toy_insns(hvcore_bk_vcpu *v)
{
    return toy.caps & HVCORE_CAP_INSN_LIMIT ? v->insns : 0;
}

static const hvcore_bk_riscv64_ops toy_raw = {
    .time = toy_time,
    .time_ns = toy_time_ns,
    .time_skip = toy_time_skip,
    .flush = toy_flush,
    .view = toy_riscv64,
    .sys_load = toy_sys_load,
    .sys_store = toy_sys_store,
    .delegate = toy_delegate,
    .delegated = toy_delegated,
    .insns = toy_insns,
};

const hvcore_backend_ops toy_ops = {
    .size = sizeof(hvcore_backend_ops),
    .abi = HVCORE_BACKEND_ABI,
    .arch = HVCORE_ARCH_RISCV64,
    .riscv64 = &toy_raw,
    .info = toy_info,
    .vm_create = toy_vm_create,
    .vm_destroy = toy_vm_destroy,
    .mem_map = toy_mem_map,
    .mem_unmap = toy_mem_unmap,
    .mem_protect = toy_mem_protect,
    .mem_written = toy_mem_written,
    .vcpu_create = toy_vcpu_create,
    .vcpu_destroy = toy_vcpu_destroy,
    .enter = toy_enter,
    .kick = toy_kick,
    .detach = toy_detach,
};

/* --- the script ------------------------------------------------------------------------------- */
static void append(toy_vcpu *v, const toy_step *s)
{
    pthread_mutex_lock(&v->lock);
    if (v->count == v->room) {
        v->room = 2 * v->room + 16;
        v->steps = realloc(v->steps, v->room * sizeof *v->steps);
        if (!v->steps)
            abort();
    }
    v->steps[v->count++] = *s;
    pthread_mutex_unlock(&v->lock);
}

void toy_push(toy_vcpu *v, const hvcore_event *event)
{
    append(v, &(toy_step){.event = *event});
}

void toy_push_failure(toy_vcpu *v, int code)
{
    append(v, &(toy_step){.code = code});
}

size_t toy_left(toy_vcpu *v)
{
    size_t left;

    pthread_mutex_lock(&v->lock);
    left = v->count - v->next;
    pthread_mutex_unlock(&v->lock);
    return left;
}

void toy_set_program(toy_vcpu *v, toy_program *program, void *user)
{
    v->program = program ? program : nothing;
    v->user = user;
}

hvcore_event toy_trap(uint32_t cause, uint32_t mode, uint64_t tval)
{
    hvcore_event e = {.size = sizeof e,
                      .kind = HVCORE_EVENT_TRAP,
                      .origin = HVCORE_ORIGIN_RAW,
                      .cls = cause,
                      .mode = mode,
                      .have = HVCORE_HAVE_SYNDROME | HVCORE_HAVE_TVAL | HVCORE_HAVE_PC |
                              HVCORE_HAVE_MODE,
                      .syndrome = cause,
                      .tval = tval};

    if (cause == HVCORE_RISCV64_ILLEGAL_INSN || cause == HVCORE_RISCV64_VIRTUAL_INSN) {
        e.insn = (uint32_t)tval;
        e.insn_len = (tval & 3) == 3 ? 4 : 2;
        e.have |= HVCORE_HAVE_INSN;
    }
    return e;
}

hvcore_event toy_access(uint32_t htinst, uint64_t gpa)
{
    bool store = (htinst & 0x7c) == 0x20;
    hvcore_event e =
        toy_trap(store ? HVCORE_RISCV64_STORE_GUEST_PAGE : HVCORE_RISCV64_LOAD_GUEST_PAGE,
                 HVCORE_RISCV64_VS, gpa);

    e.have |= HVCORE_HAVE_GVA | HVCORE_HAVE_GPA | HVCORE_HAVE_HTVAL | HVCORE_HAVE_HTINST;
    e.gva = e.gpa = gpa;
    e.htval = gpa >> 2;
    e.htinst = htinst;
    return e;
}

uint32_t toy_load_insn(uint32_t funct3, uint32_t rd)
{
    return 0x03 | rd << 7 | funct3 << 12;
}

uint32_t toy_store_insn(uint32_t funct3, uint32_t rs2)
{
    return 0x23 | funct3 << 12 | rs2 << 20;
}
