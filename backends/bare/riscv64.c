/* SPDX-License-Identifier: Apache-2.0 */
/* The bare backend for riscv64: VMs, vCPUs, entering the guest. */
#include "backends/bare/riscv64.h"

typedef struct hvcore_bk_vm bk_vm;
typedef struct hvcore_bk_vcpu bk_vcpu;

/* ---- facts ----------------------------------------------------------------------------------- */

static void copy_name(char *out, size_t size, const char *name)
{
    hvc_format(out, size, "%s", name);
}

enum { MAX_VCPUS = 512 };

static void info(hvcore_backend_info *i)
{
    hvc_port_facts facts = {0};
    hvc_machine *m;
    i->arch = HVCORE_ARCH_RISCV64;
    copy_name(i->name, sizeof(i->name), "bare");
    copy_name(i->machine, sizeof(i->machine), HVC_STR(HVC_MACHINE));
    hvc_port_config one = {.max_pes = 1};
    if (hvc_port_machine_create(&m, &one)) {
        return; /* without memory for a machine there are no vCPUs either */
    }
    hvc_port_facts_get(m, &facts);
    hvc_port_machine_destroy(m);
    i->caps = facts.caps | HVCORE_CAP_DEADLINE |
              (facts.firmware_honours ? (uint32_t)HVCORE_CAP_HONOURS_HEDELEG : 0);
    i->max_vcpus = MAX_VCPUS;
    i->delegatable = facts.hedeleg;
}

/* ---- VM -------------------------------------------------------------------------------------- */

static void vm_destroy(bk_vm *vm)
{
    while (vm->banks) {
        hvc_bare_bank *b = vm->banks;
        vm->banks = b->next;
        hvc_port_bank_remove(vm->machine, b->pa, b->len);
        hvc_host_free(b);
    }
    hvc_s2_destroy(&vm->s2);
    hvc_port_machine_destroy(vm->machine);
    hvc_host_free(vm);
}

static int vm_create(const hvcore_vm_opts *opts, const hvcore_ctx_opts *ctx, bk_vm **out,
                     hvcore_error *err)
{
    hvc_port_config config = {.max_pes = opts->max_vcpus,
                              .lockstep = opts->schedule == HVCORE_SCHEDULE_LOCKSTEP,
                              .isa = opts->isa};
    (void)ctx;
    bk_vm *vm = hvc_host_alloc(sizeof(*vm));
    int rc = vm ? hvc_port_machine_create(&vm->machine, &config) : -HVCORE_E_NOMEM;
    if (!rc) {
        hvc_port_facts_get(vm->machine, &vm->facts);
        rc = hvc_s2_create(&vm->s2, vm->machine);
        if (rc) {
            hvc_port_machine_destroy(vm->machine);
        }
    }
    if (rc) {
        hvc_host_free(vm);
        return hvc_fail(err, -rc, HVCORE_DOMAIN_BARE, "No %s machine can be made: %s.",
                        HVC_STR(HVC_MACHINE), hvcore_strerror(rc));
    }
    *out = vm;
    return 0;
}

/* ---- time ------------------------------------------------------------------------------------ */

static uint64_t vm_time(bk_vm *vm)
{
    return hvc_port_time(vm->machine);
}

static uint64_t vm_time_ns(bk_vm *vm, uint64_t ticks)
{
    return hvc_port_time_ns(vm->machine, ticks);
}

static void vm_time_skip(bk_vm *vm, uint64_t ticks)
{
    hvc_port_time_skip(vm->machine, ticks);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Guest memory gets physical addresses that agree with its guest-physical ones in as many low bits
 * as large leaves need. */
enum { BANK_ALIGN = 1 << 30 };

static int map_bank(bk_vm *vm, hvc_bare_bank *b, const hvcore_bk_region *r)
{
    *b = (hvc_bare_bank){.len = r->len, .mapped = r->len};
    uint64_t low = r->gpa & (BANK_ALIGN - 1);
    uint64_t align = low ? low & (0 - low) : BANK_ALIGN;
    int rc = hvc_port_bank_add(vm->machine, r->host, r->len, align, &b->pa);
    if (rc) {
        return rc;
    }
    rc = hvc_s2_map(&vm->s2, r->gpa, b->pa, r->len, r->prot);
    if (rc) {
        hvc_port_bank_remove(vm->machine, b->pa, b->len);
    }
    return rc;
}

static int mem_map(bk_vm *vm, const hvcore_bk_region *r, hvcore_error *err)
{
    hvc_bare_bank *b = hvc_host_alloc(sizeof(*b));
    int rc = b ? map_bank(vm, b, r) : -HVCORE_E_NOMEM;
    if (rc) {
        hvc_host_free(b);
        return hvc_fail_at(
            err, -rc, HVCORE_DOMAIN_BARE, r->gpa,
            rc == -HVCORE_E_RANGE
                ? "0x%llx bytes at 0x%llx end past the guest's address space of %u bits."
                : "0x%llx bytes at 0x%llx cannot be mapped for want of memory (%u bits).",
            (unsigned long long)r->len, (unsigned long long)r->gpa, (unsigned)HVC_S2_GPA_BITS);
    }
    b->next = vm->banks;
    vm->banks = b;
    return 0;
}

/* A bank goes with the last of its bytes that the guest can reach. */
static void lose(bk_vm *vm, uint64_t pa, uint64_t len)
{
    hvc_bare_bank **link = &vm->banks;
    while (*link && pa - (*link)->pa >= (*link)->len) {
        link = &(*link)->next;
    }
    hvc_bare_bank *b = *link;
    if (b && !(b->mapped -= len)) {
        *link = b->next;
        hvc_port_bank_remove(vm->machine, b->pa, b->len);
        hvc_host_free(b);
    }
}

static int changed(int rc, uint64_t gpa, hvcore_error *err)
{
    return rc ? hvc_fail_at(err, -rc, HVCORE_DOMAIN_BARE, gpa,
                            "The guest's memory map cannot be changed: %s.", hvcore_strerror(rc))
              : 0;
}

static int mem_unmap(bk_vm *vm, uint64_t gpa, uint64_t len, hvcore_error *err)
{
    return changed(hvc_s2_change(&vm->s2, gpa, len, 0, lose, vm), gpa, err);
}

static int mem_protect(bk_vm *vm, uint64_t gpa, uint64_t len, uint32_t prot, hvcore_error *err)
{
    return changed(hvc_s2_change(&vm->s2, gpa, len, prot, NULL, NULL), gpa, err);
}

static void mem_written(bk_vm *vm, const void *host, uint64_t len)
{
    hvc_port_written(vm->machine, host, len);
}

/* ---- vCPU ------------------------------------------------------------------------------------ */

/* VS-mode, 64 bit, interrupts off; WFI is the library's (VTW). */
static int vcpu_create(bk_vm *vm, uint32_t index, uint32_t flags, bk_vcpu **out, hvcore_error *err)
{
    (void)flags; /* whether it is off, the loop knows */
    bk_vcpu *v = hvc_host_alloc(sizeof(*v));
    if (!v) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_BARE, "No memory for a vCPU.");
    }
    v->vm = vm;
    v->index = index;
    v->frame.sstatus = HVC_SSTATUS_SPP | HVC_SSTATUS_UXL_64 | vm->facts.guest_sstatus;
    v->frame.hstatus = HVC_HSTATUS_SPV | HVC_HSTATUS_SPVP | HVC_HSTATUS_VTW | HVC_HSTATUS_VSXL_64;
    v->context.vsstatus = HVC_SSTATUS_UXL_64;
    v->context.scounteren = HVC_SCOUNTEREN_RESET;
    v->context.vstimecmp = UINT64_MAX;
    v->sys.size = v->context.size = sizeof(v->sys);
    *out = v;
    return 0;
}

/*
 * The thread that destroys a vCPU need not be the one that ran it. Whoever takes it out of
 * `resident` deals with it: if a hart is just putting it away, wait for that.
 */
static void vcpu_destroy(bk_vcpu *v)
{
    hvc_pe *pe = atomic_load(&v->pe), *home = atomic_load(&v->home);
    bk_vcpu *me = v;
    if (pe && !atomic_compare_exchange_strong(&pe->resident, &me, NULL)) {
        while (atomic_load(&v->pe)) {
        }
    }
    if (home) {
        hvc_port_pe_release(home);
    }
    hvc_host_free(v);
}

static int detach(bk_vcpu *v)
{
    hvc_pe *pe = atomic_load(&v->pe);
    if (!pe) {
        return 0;
    }
    if (!hvc_port_pe_current(pe)) {
        return -HVCORE_E_STATE;
    }
    atomic_store(&pe->resident, NULL);
    hvc_bare_put(v);
    return 0;
}

/* The PE that this thread may use: the one of last time, or a claimed one. */
static int find_pe(bk_vcpu *v, hvc_pe **pe)
{
    *pe = atomic_load_explicit(&v->home, memory_order_relaxed);
    if (*pe && hvc_port_pe_current(*pe)) {
        return 0;
    }
    return hvc_port_pe_claim(v->vm->machine, v->index, pe);
}

/* Be resident there. */
static int settle_on_pe(bk_vcpu *v)
{
    hvc_pe *pe = atomic_load_explicit(&v->pe, memory_order_relaxed);
    if (pe) {
        return hvc_port_pe_current(pe) ? 0 : -HVCORE_E_STATE;
    }
    int rc = find_pe(v, &pe);
    if (rc) {
        return rc;
    }
    bk_vcpu *other = atomic_exchange(&pe->resident, NULL);
    if (other) {
        hvc_bare_put(other);
    }
    hvc_bare_load(v, pe);
    return 0;
}

static enum hvcore_event_kind kind_of(enum hvc_port_stop stop)
{
    static const enum hvcore_event_kind kind[] = {
        [HVC_STOP_TRAP] = HVCORE_EVENT_TRAP,
        [HVC_STOP_KICKED] = HVCORE_EVENT_KICKED,
        [HVC_STOP_DEADLINE] = HVCORE_EVENT_DEADLINE,
        [HVC_STOP_INSN_LIMIT] = HVCORE_EVENT_INSN_LIMIT,
        [HVC_STOP_FAILED] = HVCORE_EVENT_FAILED,
    };
    return kind[stop];
}

static void limit(hvc_pe *pe, const hvcore_bk_limits *limits)
{
    hvc_port_timer(pe, limits->deadline_ns ? limits->deadline_ns : HVC_FOREVER);
    hvc_port_budget(pe, limits->max_insns ? limits->max_insns : UINT64_MAX);
}

static int enter(bk_vcpu *v, const hvcore_bk_limits *limits, hvcore_event *event)
{
    hvc_raw_trap raw = {0};
    int rc = settle_on_pe(v);
    if (rc) {
        return rc;
    }
    hvc_pe *pe = atomic_load_explicit(&v->pe, memory_order_relaxed);
    if (atomic_load(&v->kicked) && atomic_exchange(&v->kicked, 0)) {
        *event = (hvcore_event){.size = sizeof(*event), .kind = HVCORE_EVENT_KICKED};
        return 0;
    }
    limit(pe, limits);
    enum hvc_port_stop stop = hvc_port_enter(pe, &v->frame, &raw);
    if (stop == HVC_STOP_TRAP) {
        hvc_bare_decode(&v->frame, &raw, hvc_port_get(pe, vsatp), event);
    } else {
        *event =
            (hvcore_event){.size = sizeof(*event), .kind = kind_of(stop), .syndrome = raw.scause};
    }
    return 0;
}

/*
 * A vCPU that is nowhere is told by a flag, which enter reads after it has set pe: if pe is read
 * once more after the flag is set, one of the two sees the other.
 */
static void kick(bk_vcpu *v)
{
    hvc_pe *pe = atomic_load(&v->pe);
    if (!pe) {
        atomic_store(&v->kicked, 1);
        pe = atomic_load(&v->pe);
    }
    if (pe) {
        hvc_port_kick(pe);
    }
}

static void flush(bk_vcpu *v)
{
    hvc_pe *pe = atomic_load_explicit(&v->pe, memory_order_relaxed);
    if (pe) {
        hvc_port_tlb_gvma(pe); /* else load does it */
    }
}

/* ---- registers ------------------------------------------------------------------------------- */

static void view(bk_vcpu *v, hvcore_bk_riscv64 *out)
{
    out->frame = &v->frame;
    out->sys = &v->sys;
    out->fp = v->vm->facts.guest_sstatus ? &v->fp : NULL;
}

/* Only the hart that it is resident on can reach its registers. */
static int reachable(bk_vcpu *v)
{
    hvc_pe *pe = atomic_load_explicit(&v->pe, memory_order_relaxed);
    return !pe || hvc_port_pe_current(pe) ? 0 : -HVCORE_E_STATE;
}

static int sys_load(bk_vcpu *v, uint64_t set)
{
    uint64_t missing = set & ~v->sys.have;
    int rc = missing ? reachable(v) : 0;
    if (!rc && missing) {
        hvc_bare_sys_read(v, missing);
        v->sys.have |= missing;
    }
    return rc;
}

static int sys_store(bk_vcpu *v)
{
    int rc = v->sys.dirty ? reachable(v) : 0;
    if (!rc && v->sys.dirty) {
        hvc_bare_sys_write(v, v->sys.dirty);
    }
    v->sys.dirty = v->sys.have = 0;
    return rc;
}

static void delegate(bk_vcpu *v, uint64_t hedeleg)
{
    hvc_pe *pe = atomic_load_explicit(&v->pe, memory_order_relaxed);
    v->hedeleg = hedeleg;
    if (pe) {
        hvc_port_set(pe, hedeleg, hedeleg);
    }
}

/* ---- counters -------------------------------------------------------------------------------- */

static uint64_t delegated(bk_vcpu *v, uint32_t cls)
{
    hvc_pe *home = atomic_load(&v->home);
    return home ? hvc_port_delegated(home, cls) : 0;
}

static uint64_t insns(bk_vcpu *v)
{
    hvc_pe *home = atomic_load(&v->home);
    return home ? hvc_port_insns(home) : 0;
}

static const hvcore_bk_riscv64_ops raw = {
    .time = vm_time,
    .time_ns = vm_time_ns,
    .time_skip = vm_time_skip,
    .flush = flush,
    .view = view,
    .sys_load = sys_load,
    .sys_store = sys_store,
    .delegate = delegate,
    .delegated = delegated,
    .insns = insns,
};

const hvcore_backend_ops hvc_bare_ops = {
    .size = sizeof(hvcore_backend_ops),
    .abi = HVCORE_BACKEND_ABI,
    .arch = HVCORE_ARCH_RISCV64,
    .riscv64 = &raw,
    .info = info,
    .vm_create = vm_create,
    .vm_destroy = vm_destroy,
    .mem_map = mem_map,
    .mem_unmap = mem_unmap,
    .mem_protect = mem_protect,
    .mem_written = mem_written,
    .vcpu_create = vcpu_create,
    .vcpu_destroy = vcpu_destroy,
    .enter = enter,
    .kick = kick,
    .detach = detach,
};
