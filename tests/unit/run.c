/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/run by its headers, on the toy: exits and what they say, MMIO, completion, injection,
 * firmware, deadlines, cancel, ownership, pause, policies, storms, failing backends, registers.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <hvcore/firmware/sbi.h>

#include "lib/core/vcpu.h"
#include "tests/unit/toy.h"

#define PAGE UINT64_C(4096)
#define RAM UINT64_C(0x80000000)
#define DEV UINT64_C(0x10000000)
#define NOWHERE UINT64_C(0x20000000)
#define PC UINT64_C(0x80001000)
#define VEC UINT64_C(0x80000400)
#define MS UINT64_C(1000000)
#define BIT(n) (UINT64_C(1) << (n))
#define COUNT(a) (sizeof(a) / sizeof *(a))
#define VU HVCORE_RISCV64_VU
#define VS HVCORE_RISCV64_VS
#define WFI 0x10500073u

#define SIE BIT(1)
#define SPIE BIT(5)
#define SPP BIT(8)
#define SDT BIT(24)
#define DTE BIT(59)

#define REG_X(n) (HVCORE_REG_RISCV64_X0 + ((uint32_t)(n) << 8))
#define CSR(n) (0x02000008 | (uint32_t)(n) << 8)
#define REG_VSSCRATCH CSR(0x240)
#define REG_HENVCFG CSR(0x60a)

static hvcore_ctx *ctx;
static hvcore_vm *vm;
static hvcore_mem *mem;
static hvcore_vcpu *vcpu;
static toy_vcpu *guest;
static const hvcore_exit *exit_; /* of the last run */

static void set(uint32_t reg, uint64_t value)
{
    OK(hvcore_reg_set_u64(vcpu, reg, value));
}

static uint64_t get(uint32_t reg)
{
    uint64_t value = 0xbad;

    OK(hvcore_reg_get_u64(vcpu, reg, &value));
    return value;
}

/* A VM with 16 pages of RAM and two vCPUs possible; vCPU 0 at PC, its trap vector at VEC. */
static void up_with(uint32_t caps)
{
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_map_opts mapping = HVCORE_MAP_OPTS_INIT;

    toy_reset();
    toy.caps = caps;
    opts.arch = HVCORE_ARCH_RISCV64;
    opts.backend = "toy";
    opts.max_vcpus = 2;
    mapping.gpa = RAM;
    ctx = NULL, vm = NULL, mem = NULL, vcpu = NULL, exit_ = NULL;
    OK(hvcore_ctx_create(NULL, &ctx, NULL));
    OK(hvcore_ctx_backend_add(ctx, &toy_ops, NULL));
    OK(hvcore_vm_create(ctx, &opts, &vm, NULL));
    OK(hvcore_mem_alloc(ctx, 16 * PAGE, 0, &mem, NULL));
    OK(hvcore_vm_map(vm, mem, &mapping, NULL));
    OK(hvcore_vcpu_create(vm, 0, NULL, &vcpu, NULL));
    guest = toy.vcpu[0];
    set(HVCORE_REG_RISCV64_PC, PC);
    set(HVCORE_REG_RISCV64_VSTVEC, VEC);
}

static void up(void)
{
    up_with(HVCORE_CAP_INSN_LIMIT | HVCORE_CAP_DEADLINE | HVCORE_CAP_DELEGATED_COUNT |
            HVCORE_CAP_HONOURS_HEDELEG);
}

static void down(void)
{
    hvcore_vcpu_unref(vcpu);
    hvcore_vm_unref(vm);
    hvcore_mem_unref(mem);
    hvcore_ctx_unref(ctx);
    if (toy.broken && hvc_worth_a_line(__LINE__))
        printf("\n    rule broken: %s", toy.rule);
    WANT(toy.broken, 0);
    WANT(toy.calls[TOY_VCPU_DESTROY], toy.calls[TOY_VCPU_CREATE]);
    WANT(toy.calls[TOY_VM_DESTROY], 1);
}

static void push(hvcore_event event)
{
    toy_push(guest, &event);
}

static int run_until(uint64_t deadline_ns)
{
    hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;

    opts.deadline_ns = deadline_ns;
    return hvcore_vcpu_run(vcpu, &opts, &exit_, NULL);
}

/* Run, with a net below; the reason, or the negative error. */
static int run(void)
{
    uint64_t t0 = hvcore_clock_ns();
    int rc = run_until(t0 + 10000 * MS);

    CU_ASSERT(hvcore_clock_ns() - t0 < 8000 * MS); /* the net has caught nothing */
    return rc ? rc : (int)exit_->reason;
}

static int stop_here(toy_vcpu *v, void *user, hvcore_event *event)
{
    (void)v, (void)event;
    (void)hvcore_vcpu_cancel(user, 0x57);
    return 0;
}

/* Where the guest goes on once the script is at its end. */
static uint64_t goes_on_at(void)
{
    toy_set_program(guest, stop_here, vcpu);
    WANT(run(), HVCORE_EXIT_CANCELLED);
    WANT(exit_->u.cancelled.token, 0x57);
    WANT(exit_->pc, guest->entry_pc);
    WANT(toy_left(guest), 0);
    toy_set_program(guest, NULL, NULL);
    return guest->entry_pc;
}

static hvcore_trap_counts counts(uint32_t cls)
{
    hvcore_trap_counts c = HVCORE_TRAP_COUNTS_INIT;

    OK(hvcore_vcpu_trap_counts(vcpu, cls, &c));
    return c;
}

static hvcore_vcpu_stats stats(void)
{
    hvcore_vcpu_stats s = HVCORE_VCPU_STATS_INIT;

    OK(hvcore_vcpu_stats_get(vcpu, &s));
    return s;
}

/* --- policies --------------------------------------------------------------------------------- */
static hvcore_policy *new_policy(void)
{
    hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;
    hvcore_policy *policy = NULL;

    opts.arch = HVCORE_ARCH_RISCV64;
    opts.allow_exit = opts.allow_stop = 1;
    OK(hvcore_policy_create(&opts, &policy, NULL));
    return policy;
}

static uint32_t add_rule(hvcore_policy *policy, uint64_t causes, uint32_t from, uint32_t act)
{
    hvcore_trap_rule rule = HVCORE_TRAP_RULE_INIT;
    uint32_t id = 0;

    rule.causes = causes;
    rule.from = from;
    rule.act = act;
    OK(hvcore_policy_rule_add(policy, &rule, &id, NULL));
    return id;
}

static void use(hvcore_policy *policy)
{
    OK(hvcore_trap_policy_set(vm, policy, NULL, NULL));
    hvcore_policy_unref(policy);
}

/* A policy of one rule. */
static void rule(uint64_t causes, uint32_t act)
{
    hvcore_policy *policy = new_policy();

    WANT(add_rule(policy, causes, HVCORE_FROM_ANY, act), 1);
    use(policy);
}

/* --- exits explain themselves ----------------------------------------------------------------- */
/* The record of the trap is in the exit, word for word. */
static void same_trap(const hvcore_event *e)
{
    WANT(exit_->size, sizeof *exit_);
    WANT(exit_->vcpu, 0);
    WANT(exit_->cls, e->cls);
    WANT(exit_->mode, e->mode);
    WANT(exit_->have & e->have, e->have);
    WANT(exit_->insn, e->insn);
    WANT(exit_->insn_len, e->insn_len);
    WANT(exit_->pc, e->pc);
    WANT(exit_->syndrome, e->syndrome);
    WANT(exit_->tval, e->tval);
    WANT(exit_->htval, e->htval);
    WANT(exit_->htinst, e->htinst);
    WANT(exit_->gva, e->gva);
    WANT(exit_->gpa, e->gpa);
}

static void exit_trap(void)
{
    static const uint32_t causes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 15, 16, 20, 21, 22, 23};
    hvcore_policy *policy;
    uint32_t id;

    for (size_t i = 0; i < COUNT(causes); i++)
        for (uint32_t mode = VU; mode <= VS; mode++) {
            uint32_t c = causes[i];
            hvcore_event e = c == 21   ? toy_access(toy_load_insn(3, 7), NOWHERE)
                             : c == 23 ? toy_access(toy_store_insn(3, 7), NOWHERE)
                                       : toy_trap(c, mode, 0x1234567);

            e.mode = mode;
            e.pc = PC + 64;
            up();
            policy = new_policy();
            add_rule(policy, BIT(48), HVCORE_FROM_ANY, HVCORE_DO_EXIT);
            id = add_rule(policy, BIT(c), HVCORE_FROM_ANY, HVCORE_DO_EXIT);
            WANT(id, 2);
            use(policy);
            push(e);
            WANT(run(), HVCORE_EXIT_TRAP);
            same_trap(&e);
            WANT(exit_->rule, 2);
            WANT(exit_->flags, HVCORE_EXIT_POLICY_RULE); /* nothing to complete */
            WANT(get(HVCORE_REG_RISCV64_PC), PC + 64);
            WANT(get(HVCORE_REG_RISCV64_MODE), mode);
            WANT(counts(c).exited, 1);
            WANT(counts(c).redirected, 0);
            WANT(stats().runs, 1);
            /* Nothing of the instruction has happened: it is executed again. */
            WANT(goes_on_at(), PC + 64);
            down();
        }
}

/* Causes that no guest raises, or nobody knows, leave by the policy's default. */
static void exit_default(void)
{
    static const uint32_t causes[] = {9, 11, 14, 16, 17, 24, 31, 32, 47, 48, 63};

    for (size_t i = 0; i < COUNT(causes); i++) {
        hvcore_event e = toy_trap(causes[i], VS, 0x55);

        e.pc = PC;
        up();
        push(e);
        WANT(run(), HVCORE_EXIT_TRAP);
        same_trap(&e);
        WANT(exit_->rule, 0);
        WANT(exit_->flags, 0);
        WANT(counts(causes[i]).exited, 1);
        down();
    }
}

static void exit_stopped(void)
{
    hvcore_vcpu *other = NULL;
    hvcore_event e = toy_trap(HVCORE_RISCV64_BREAKPOINT, VU, 0);
    const hvcore_exit *x = NULL;
    hvcore_run_opts net = HVCORE_RUN_OPTS_INIT;
    unsigned long enters;

    up();
    OK(hvcore_vcpu_create(vm, 1, NULL, &other, NULL));
    rule(BIT(3), HVCORE_DO_STOP);
    e.pc = PC + 8;
    push(e);
    WANT(run(), HVCORE_EXIT_STOPPED);
    same_trap(&e);
    WANT(exit_->rule, 1);
    WANT(exit_->flags, HVCORE_EXIT_POLICY_RULE);
    WANT(counts(3).stopped, 1);
    /* The VM does not run again, no vCPU of it; what can be looked at still can. */
    enters = toy.calls[TOY_ENTER];
    for (int i = 0; i < 2; i++) {
        int rc;

        net.deadline_ns = hvcore_clock_ns() + 1000 * MS;
        rc = hvcore_vcpu_run(i ? other : vcpu, &net, &x, NULL);

        CU_ASSERT(rc < 0 || x->reason == HVCORE_EXIT_STOPPED);
    }
    WANT(toy.calls[TOY_ENTER], enters);
    WANT(get(HVCORE_REG_RISCV64_PC), PC + 8);
    OK(hvcore_vcpu_cancel(vcpu, 5));
    (void)run();
    WANT(toy.calls[TOY_ENTER], enters);
    hvcore_vcpu_unref(other);
    down();
}

static void exit_halt(void)
{
    hvcore_event e = toy_trap(HVCORE_RISCV64_VIRTUAL_INSN, VS, WFI);

    up();
    e.pc = PC + 4;
    push(e);
    WANT(run(), HVCORE_EXIT_HALT);
    same_trap(&e);
    WANT(exit_->flags & HVCORE_EXIT_NEEDS_COMPLETION, 0);
    WANT(get(HVCORE_REG_RISCV64_PC), PC + 4); /* the WFI itself */
    WANT(hvcore_vcpu_complete(vcpu, &(uint64_t){0}, 1), -HVCORE_E_STATE);
    WANT(goes_on_at(), PC + 8);
    /* Setting pc abandons the step. */
    set(HVCORE_REG_RISCV64_PC, PC + 0x100);
    WANT(goes_on_at(), PC + 0x100);
    down();

    /* User code that waits gets an illegal instruction. */
    up();
    push(toy_trap(HVCORE_RISCV64_VIRTUAL_INSN, VU, WFI));
    WANT(goes_on_at(), VEC);
    WANT(get(HVCORE_REG_RISCV64_VSCAUSE), HVCORE_RISCV64_ILLEGAL_INSN);
    WANT(get(HVCORE_REG_RISCV64_VSTVAL), WFI);
    down();
}

static void exit_names(void)
{
    const char *seen[HVCORE_EXIT_WAKEUP + 1];

    for (uint32_t i = HVCORE_EXIT_MMIO; i <= HVCORE_EXIT_WAKEUP; i++) {
        seen[i] = hvcore_exit_reason_name(i);
        CU_ASSERT_PTR_NOT_NULL_FATAL(seen[i]);
        CU_ASSERT(*seen[i] && strcmp(seen[i], "unknown"));
        for (uint32_t k = HVCORE_EXIT_MMIO; k < i; k++)
            CU_ASSERT_STRING_NOT_EQUAL(seen[i], seen[k]);
    }
    CU_ASSERT_STRING_EQUAL(seen[HVCORE_EXIT_MMIO], "mmio");
    CU_ASSERT_STRING_EQUAL(seen[HVCORE_EXIT_CANCELLED], "cancelled");
    CU_ASSERT_STRING_EQUAL(hvcore_exit_reason_name(HVCORE_EXIT_WAKEUP + 1), "unknown");
    CU_ASSERT_STRING_EQUAL(hvcore_exit_reason_name(UINT32_MAX), "unknown");
}

/* --- what the built-in policy does ------------------------------------------------------------ */
static void linux_guest(void)
{
    static const struct {
        uint32_t cause, seen;
    } rows[] = {
        {0, 0}, {1, 1}, {2, 2},   {3, 3},   {4, 4},   {5, 5},  {6, 6},
        {7, 7}, {8, 8}, {12, 12}, {13, 13}, {15, 15}, {20, 1}, {22, 2},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        for (uint32_t mode = VU; mode <= VS; mode++) {
            uint32_t c = rows[i].cause;
            uint64_t late;

            up();
            set(HVCORE_REG_RISCV64_VSSTATUS, get(HVCORE_REG_RISCV64_VSSTATUS) | SIE);
            set(HVCORE_REG_RISCV64_A0, 0xa0a0);
            push(toy_trap(c, mode, 0x4321));
            WANT(goes_on_at(), VEC);
            WANT(get(HVCORE_REG_RISCV64_VSCAUSE), rows[i].seen);
            WANT(get(HVCORE_REG_RISCV64_VSTVAL), 0x4321);
            WANT(get(HVCORE_REG_RISCV64_VSEPC), PC);
            WANT(get(HVCORE_REG_RISCV64_VSSTATUS) & (SPP | SPIE | SIE),
                 SPIE | (mode == VS ? SPP : 0));
            WANT(get(HVCORE_REG_RISCV64_MODE), VS);
            WANT(get(HVCORE_REG_RISCV64_A0), 0xa0a0);
            WANT(counts(c).redirected + counts(c).emulated, 1);
            WANT(counts(c).exited, 0);
            late = guest->hedeleg >> c & 1;
            WANT(counts(c).late, late);
            guest->delegated[c] = 41;
            WANT(counts(c).delegated, 41);
            down();
        }
    up(); /* what hedeleg is from the first enter on */
    (void)goes_on_at();
    CU_ASSERT(toy.calls[TOY_DELEGATE] >= 1);
    WANT(guest->hedeleg & ~toy.delegatable, 0);
    WANT(guest->hedeleg & (BIT(3) | BIT(8) | BIT(12) | BIT(13) | BIT(15)),
         BIT(3) | BIT(8) | BIT(12) | BIT(13) | BIT(15));
    WANT(guest->hedeleg &
             (BIT(1) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(10) | BIT(20) | BIT(21)),
         0);
    down();
}

/* --- MMIO exits ------------------------------------------------------------------------------- */
static const struct load {
    uint32_t funct3, width;
    bool sign;
} loads[] = {{0, 1, true},  {1, 2, true},  {2, 4, true}, {3, 8, true},
             {4, 1, false}, {5, 2, false}, {6, 4, false}};

/* What a register holds after a load of `value`. */
static uint64_t extended(const struct load *l, uint64_t value)
{
    uint32_t bits = 8 * l->width;

    if (bits == 64)
        return value;
    value &= BIT(bits) - 1;
    return l->sign && value >> (bits - 1) ? value | ~(BIT(bits) - 1) : value;
}

static const uint64_t patterns[] = {0,
                                    UINT64_MAX,
                                    UINT64_C(0x8182838485868788),
                                    UINT64_C(0x7172737475767778),
                                    UINT64_C(0xffffffff00008080),
                                    UINT64_C(0x0000000080007f7f)};

static void mmio_load_exits(void)
{
    static const uint32_t regs[] = {0, 1, 10, 31};

    for (size_t l = 0; l < COUNT(loads); l++)
        for (size_t r = 0; r < COUNT(regs); r++)
            for (size_t p = 0; p < COUNT(patterns); p++) {
                uint32_t rd = regs[r], other = rd == 31 ? 30 : 31;
                bool small = p & 1; /* a compressed instruction */
                hvcore_event e =
                    toy_access(toy_load_insn(loads[l].funct3, rd) & ~(small ? 2u : 0u), NOWHERE);

                up();
                for (uint32_t i = 1; i < 32; i++)
                    set(REG_X(i), 0x1000 + i);
                e.pc = PC;
                push(e);
                WANT(run(), HVCORE_EXIT_MMIO);
                same_trap(&e);
                WANT(exit_->flags, HVCORE_EXIT_NEEDS_COMPLETION);
                WANT(exit_->u.mmio.addr, NOWHERE);
                WANT(exit_->u.mmio.width, loads[l].width);
                WANT(exit_->u.mmio.write, 0);
                WANT(exit_->u.mmio.data, 0);
                /* Nothing of it has happened yet. */
                WANT(get(HVCORE_REG_RISCV64_PC), PC);
                WANT(get(REG_X(rd)), rd ? 0x1000 + rd : 0);
                WANT(run(), -HVCORE_E_STATE);
                OK(hvcore_vcpu_complete(vcpu, &patterns[p], 1));
                if (r & 1) /* a look settles it; else the next run does */
                    WANT(get(REG_X(rd)), extended(&loads[l], patterns[p]));
                WANT(goes_on_at(), PC + (small ? 2 : 4));
                WANT(get(REG_X(rd)), rd ? extended(&loads[l], patterns[p]) : 0);
                WANT(get(REG_X(other)), 0x1000 + other);
                WANT(guest->frame.x[0], 0);
                down();
            }
}

static void mmio_store_exits(void)
{
    for (uint32_t funct3 = 0; funct3 < 4; funct3++)
        for (size_t p = 0; p < COUNT(patterns); p++)
            for (uint32_t rs2 = 0; rs2 < 32; rs2 += 31) {
                uint32_t width = 1u << funct3;
                uint64_t mask = width == 8 ? UINT64_MAX : BIT(8 * width) - 1;
                bool small = p & 1;
                hvcore_event e =
                    toy_access(toy_store_insn(funct3, rs2) & ~(small ? 2u : 0u), NOWHERE + 8);

                up();
                set(REG_X(31), patterns[p]);
                e.pc = PC;
                push(e);
                WANT(run(), HVCORE_EXIT_MMIO);
                same_trap(&e);
                WANT(exit_->flags, 0); /* nothing is asked */
                WANT(exit_->u.mmio.addr, NOWHERE + 8);
                WANT(exit_->u.mmio.width, width);
                WANT(exit_->u.mmio.write, 1);
                WANT(exit_->u.mmio.data, rs2 ? patterns[p] & mask : 0);
                WANT(hvcore_vcpu_complete(vcpu, patterns, 1), -HVCORE_E_STATE);
                WANT(get(HVCORE_REG_RISCV64_PC), PC); /* of the store */
                if (p == 2) {
                    set(HVCORE_REG_RISCV64_PC, PC + 0x200); /* abandons its step */
                    WANT(goes_on_at(), PC + 0x200);
                } else {
                    WANT(goes_on_at(), PC + (small ? 2 : 4));
                }
                WANT(get(REG_X(31)), patterns[p]);
                down();
            }
}

/* What cannot be carried out as MMIO becomes an access fault. */
static void mmio_undecodable(void)
{
    hvcore_event bad[6];

    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = toy_access(toy_load_insn(3, 5), NOWHERE);
    bad[0].htinst = 0; /* nothing known */
    bad[0].have &= ~(uint32_t)HVCORE_HAVE_HTINST;
    bad[1].htinst = 0x3000;                             /* a page-table access */
    bad[2].gpa += 4, bad[2].gva += 4, bad[2].tval += 4; /* misaligned */
    bad[3].htinst = toy_store_insn(3, 5);               /* not what the class says */
    bad[4].have &= ~(uint32_t)HVCORE_HAVE_GPA;          /* where? */
    bad[4].gpa = 0;
    bad[5] = toy_access(toy_store_insn(3, 5), NOWHERE + 1); /* misaligned store */
    for (size_t i = 0; i < COUNT(bad); i++) {
        up();
        push(bad[i]);
        WANT(goes_on_at(), VEC);
        WANT(get(HVCORE_REG_RISCV64_VSCAUSE), i == 5 ? 7 : 5);
        WANT(get(HVCORE_REG_RISCV64_VSTVAL), bad[i].tval);
        WANT(get(HVCORE_REG_RISCV64_VSEPC), PC);
        down();
    }
}

/* --- MMIO callbacks --------------------------------------------------------------------------- */
typedef struct device {
    uint32_t verdict, calls, width;
    bool wrote;
    uint64_t gpa, value;
    void (*hook)(struct device *); /* called in the callback */
    int rc;                        /* what the hook found */
} device;

static uint32_t device_read(void *user, hvcore_vcpu *v, uint64_t gpa, uint32_t width,
                            uint64_t *value)
{
    device *d = user;

    WANT(v == vcpu, true);
    d->calls++;
    d->wrote = false;
    d->gpa = gpa;
    d->width = width;
    *value = d->value;
    if (d->hook)
        d->hook(d);
    return d->verdict;
}

static uint32_t device_write(void *user, hvcore_vcpu *v, uint64_t gpa, uint32_t width,
                             uint64_t value)
{
    device *d = user;

    WANT(v == vcpu, true);
    d->calls++;
    d->wrote = true;
    d->gpa = gpa;
    d->width = width;
    d->value = value;
    if (d->hook)
        d->hook(d);
    return d->verdict;
}

static uint32_t add_device(uint64_t gpa, uint64_t len, device *d)
{
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    uint32_t id = 0;

    ops.read = device_read;
    ops.write = device_write;
    OK(hvcore_vm_mmio_add(vm, gpa, len, &ops, d, &id, NULL));
    return id;
}

static void mmio_done(void)
{
    for (size_t l = 0; l < COUNT(loads); l++)
        for (size_t p = 0; p < COUNT(patterns); p++) {
            device d = {.value = patterns[p]};

            up();
            add_device(DEV, 0x100, &d);
            push(toy_access(toy_load_insn(loads[l].funct3, 9), DEV + 0x10));
            push(toy_access(toy_load_insn(loads[l].funct3, 0), DEV + 0x18));
            WANT(goes_on_at(), PC + 8);
            WANT(d.calls, 2);
            WANT(d.gpa, DEV + 0x18);
            WANT(d.width, loads[l].width);
            WANT(get(REG_X(9)), extended(&loads[l], patterns[p]));
            WANT(get(REG_X(0)), 0);
            WANT(counts(21).emulated, 2);
            WANT(counts(21).exited, 0);
            WANT(stats().mmio, 2);
            down();
        }
    for (uint32_t funct3 = 0; funct3 < 4; funct3++) {
        device d = {0};

        up();
        add_device(DEV, 0x100, &d);
        set(REG_X(9), UINT64_C(0xf1f2f3f4f5f6f7f8));
        push(toy_access(toy_store_insn(funct3, 9) & ~2u, DEV));
        WANT(goes_on_at(), PC + 2);
        WANT(d.calls, 1);
        CU_ASSERT(d.wrote);
        WANT(d.width, 1 << funct3);
        WANT(d.value, UINT64_C(0xf1f2f3f4f5f6f7f8) & (UINT64_MAX >> (64 - (8 << funct3))));
        WANT(counts(23).emulated, 1);
        down();
    }
}

static void mmio_verdicts(void)
{
    for (int store = 0; store < 2; store++) {
        hvcore_event e = toy_access(store ? toy_store_insn(2, 9) : toy_load_insn(2, 9), DEV + 4);
        device d = {.verdict = HVCORE_MMIO_EXIT, .value = 7};

        up();
        add_device(DEV, 0x100, &d);
        set(REG_X(9), 99);
        push(e);
        WANT(run(), HVCORE_EXIT_MMIO);
        WANT(exit_->u.mmio.addr, DEV + 4);
        WANT(exit_->u.mmio.width, 4);
        WANT(exit_->u.mmio.write, store);
        WANT(exit_->u.mmio.data, store ? 99 : 0);
        WANT(exit_->flags, store ? 0 : HVCORE_EXIT_NEEDS_COMPLETION);
        WANT(get(REG_X(9)), 99);
        if (!store)
            OK(hvcore_vcpu_complete(vcpu, &(uint64_t){12}, 1));
        WANT(goes_on_at(), PC + 4);
        WANT(get(REG_X(9)), store ? 99 : 12);
        WANT(d.calls, 1);
        down();

        up();
        d.verdict = HVCORE_MMIO_FAULT;
        add_device(DEV, 0x100, &d);
        set(REG_X(9), 99);
        push(e);
        WANT(goes_on_at(), VEC);
        WANT(get(HVCORE_REG_RISCV64_VSCAUSE), store ? 7 : 5);
        WANT(get(HVCORE_REG_RISCV64_VSTVAL), DEV + 4);
        WANT(get(HVCORE_REG_RISCV64_VSEPC), PC);
        WANT(get(REG_X(9)), 99);
        down();

        up();
        d.verdict = HVCORE_MMIO_RETRY;
        d.calls = 0;
        add_device(DEV, 0x100, &d);
        set(REG_X(9), 99);
        push(e);
        push(e);
        push(e);
        WANT(goes_on_at(), PC);
        WANT(d.calls, 3);
        WANT(get(REG_X(9)), 99);
        down();

        /* No callback for this direction: an exit. */
        up();
        d.verdict = HVCORE_MMIO_DONE;
        d.calls = 0;
        hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
        ops.read = store ? device_read : NULL;
        ops.write = store ? NULL : device_write;
        OK(hvcore_vm_mmio_add(vm, DEV, 0x100, &ops, &d, NULL, NULL));
        push(e);
        WANT(run(), HVCORE_EXIT_MMIO);
        WANT(exit_->u.mmio.addr, DEV + 4);
        WANT(d.calls, 0);
        down();
    }
}

static void mmio_ranges(void)
{
    hvcore_error e;
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    device a = {.value = 1}, b = {.value = 2};
    uint32_t first, second, id = 0;

    up();
    first = add_device(DEV, 22, &a);
    second = add_device(DEV + 24, 8, &b);
    CU_ASSERT(first != second);
    /* The whole access has to lie inside. */
    static const struct {
        uint32_t funct3;
        uint64_t at;
        char who;
    } rows[] = {
        {3, 0, 'a'},  {3, 8, 'a'},  {3, 16, '-'}, {2, 16, 'a'}, {2, 20, '-'}, {1, 20, 'a'},
        {0, 21, 'a'}, {0, 22, '-'}, {0, 23, '-'}, {1, 22, '-'}, {3, 24, 'b'}, {0, 24, 'b'},
        {0, 31, 'b'}, {0, 32, '-'}, {3, 32, '-'}, {2, 28, 'b'},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        a.calls = b.calls = 0;
        set(HVCORE_REG_RISCV64_PC, PC);
        push(toy_access(toy_load_insn(rows[i].funct3, 9), DEV + rows[i].at));
        if (rows[i].who == '-') {
            WANT(run(), HVCORE_EXIT_MMIO);
            WANT(exit_->u.mmio.addr, DEV + rows[i].at);
            OK(hvcore_vcpu_complete(vcpu, &(uint64_t){0}, 1));
        }
        WANT(goes_on_at(), PC + 4);
        WANT(a.calls, rows[i].who == 'a');
        WANT(b.calls, rows[i].who == 'b');
    }
    push(toy_access(toy_load_insn(0, 9), DEV - 1));
    WANT(run(), HVCORE_EXIT_MMIO);
    OK(hvcore_vcpu_complete(vcpu, &(uint64_t){0}, 1));

    FAILS(hvcore_vm_mmio_add(vm, DEV + 21, 1, &ops, NULL, NULL, &e), HVCORE_E_EXISTS);
    CU_ASSERT(e.address >= DEV && e.address < DEV + 22);
    FAILS(hvcore_vm_mmio_add(vm, DEV - 8, 9, &ops, NULL, NULL, &e), HVCORE_E_EXISTS);
    FAILS(hvcore_vm_mmio_add(vm, DEV + 4, 1, &ops, NULL, NULL, &e), HVCORE_E_EXISTS);
    FAILS(hvcore_vm_mmio_add(vm, 0, RAM, &ops, NULL, NULL, &e), HVCORE_E_EXISTS);
    FAILS(hvcore_vm_mmio_add(vm, RAM, 1, &ops, NULL, NULL, &e), HVCORE_E_EXISTS);
    FAILS(hvcore_vm_mmio_add(vm, 0, 0, &ops, NULL, NULL, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_mmio_add(vm, UINT64_MAX, 2, &ops, NULL, NULL, &e), HVCORE_E_RANGE);
    FAILS(hvcore_vm_mmio_add(vm, 8, UINT64_MAX - 3, &ops, NULL, NULL, &e), HVCORE_E_RANGE);
    FAILS(hvcore_vm_mmio_add(vm, 0, 8, NULL, NULL, NULL, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_mmio_add(NULL, 0, 8, &ops, NULL, NULL, &e), HVCORE_E_INVAL);
    OK(hvcore_vm_mmio_add(vm, DEV + 22, 2, &ops, NULL, &id, &e)); /* fills the gap exactly */

    WANT(hvcore_vm_mmio_remove(vm, first + second + id + 1000), -HVCORE_E_NOTFOUND);
    OK(hvcore_vm_mmio_remove(vm, first));
    WANT(hvcore_vm_mmio_remove(vm, first), -HVCORE_E_NOTFOUND);
    a.calls = b.calls = 0;
    push(toy_access(toy_load_insn(0, 9), DEV));
    WANT(run(), HVCORE_EXIT_MMIO);
    OK(hvcore_vcpu_complete(vcpu, &(uint64_t){0}, 1));
    push(toy_access(toy_load_insn(0, 9), DEV + 24));
    (void)goes_on_at();
    WANT(a.calls, 0);
    WANT(b.calls, 1);
    OK(hvcore_vm_mmio_add(vm, DEV, 22, &ops, NULL, &id, &e)); /* its place is free */
    CU_ASSERT(id != second);
    down();
}

/* What a callback may and may not do. */
static hvcore_vcpu *other_vcpu;

static void in_callback(device *d)
{
    const hvcore_exit *x = NULL;
    hvcore_error e;
    uint64_t value = 0;

    FAILS(hvcore_vcpu_run(vcpu, NULL, &x, &e), HVCORE_E_BUSY);
    WANT(hvcore_vcpu_detach(vcpu), -HVCORE_E_BUSY);
    /* Owner calls from the owner's thread, VM calls. */
    OK(hvcore_reg_get_u64(vcpu, HVCORE_REG_RISCV64_PC, &value));
    WANT(value, PC);
    OK(hvcore_reg_set_u64(vcpu, REG_X(20), 0x2020));
    OK(hvcore_reg_set_u64(vcpu, REG_VSSCRATCH, 0x3030));
    OK(hvcore_vm_write(vm, RAM, &value, 8));
    OK(hvcore_vm_unmap(vm, RAM + 15 * PAGE, PAGE, NULL));
    OK(hvcore_vm_protect(vm, RAM + 14 * PAGE, PAGE, HVCORE_PROT_R, NULL));
    OK(hvcore_vm_pause(vm));
    OK(hvcore_vm_resume(vm));
    rule(BIT(3), HVCORE_DO_EXIT);
    OK(hvcore_vcpu_create(vm, 1, NULL, &other_vcpu, NULL));
    d->rc++;
}

static void callback_calls(void)
{
    for (int store = 0; store < 2; store++) {
        device d = {.hook = in_callback};

        up();
        add_device(DEV, 8, &d);
        push(toy_access(store ? toy_store_insn(3, 9) : toy_load_insn(3, 9), DEV));
        push(toy_trap(3, VS, 0)); /* decided by the callback's policy */
        WANT(run(), HVCORE_EXIT_TRAP);
        WANT(exit_->pc, PC + 4);
        WANT(d.rc, 1);
        WANT(get(REG_X(20)), 0x2020);
        WANT(get(REG_VSSCRATCH), 0x3030);
        WANT(guest->hw.vsscratch, 0x3030);
        WANT(hvcore_vm_read(vm, RAM + 15 * PAGE, &(char){0}, 1), -HVCORE_E_FAULT);
        hvcore_vcpu_unref(other_vcpu);
        down();
    }
}

/* --- completion and injection ----------------------------------------------------------------- */
static hvcore_event ecall(uint64_t eid, uint64_t fid)
{
    hvcore_event e = toy_trap(HVCORE_RISCV64_ECALL_VS, VS, 0);

    set(REG_X(17), eid);
    set(REG_X(16), fid);
    return e;
}

static int inject(uint64_t cause, uint64_t tval)
{
    hvcore_inject i = HVCORE_INJECT_INIT;
    hvcore_error e = HVCORE_ERROR_INIT;
    int rc;

    i.cause = cause;
    i.tval = tval;
    rc = hvcore_vcpu_inject(vcpu, &i, &e);
    WANT(e.code, rc);
    CU_ASSERT(!rc || *e.message);
    return rc;
}

static void completion(void)
{
    const uint64_t v[8] = {11, 22, 33};

    up();
    WANT(hvcore_vcpu_complete(vcpu, v, 1), -HVCORE_E_STATE); /* before the first run */
    push(toy_access(toy_load_insn(3, 9), NOWHERE));
    WANT(run(), HVCORE_EXIT_MMIO);
    WANT(run(), -HVCORE_E_STATE);
    WANT(run(), -HVCORE_E_STATE);
    WANT(hvcore_vcpu_complete(vcpu, v, 0), -HVCORE_E_INVAL);
    WANT(hvcore_vcpu_complete(vcpu, v, 2), -HVCORE_E_INVAL);
    WANT(hvcore_vcpu_complete(vcpu, v, UINT32_MAX), -HVCORE_E_INVAL);
    WANT(hvcore_vcpu_complete(vcpu, NULL, 1), -HVCORE_E_INVAL);
    WANT(hvcore_vcpu_complete(NULL, v, 1), -HVCORE_E_INVAL);
    WANT(get(HVCORE_REG_RISCV64_PC), PC); /* still open */
    WANT(run(), -HVCORE_E_STATE);
    OK(hvcore_vcpu_complete(vcpu, v, 1));
    WANT(hvcore_vcpu_complete(vcpu, v, 1), -HVCORE_E_STATE);
    WANT(inject(2, 0), -HVCORE_E_STATE); /* it has been completed already */
    WANT(get(HVCORE_REG_RISCV64_PC), PC + 4);
    WANT(get(REG_X(9)), 11);
    WANT(hvcore_vcpu_complete(vcpu, v, 1), -HVCORE_E_STATE);
    WANT(goes_on_at(), PC + 4);
    WANT(stats().runs, 2);

    /* A failing run between exit and completion changes nothing. */
    set(HVCORE_REG_RISCV64_PC, PC);
    push(toy_access(toy_load_insn(3, 9), NOWHERE));
    WANT(run(), HVCORE_EXIT_MMIO);
    OK(hvcore_vcpu_cancel(vcpu, 4));
    WANT(run(), -HVCORE_E_STATE);
    OK(hvcore_vcpu_complete(vcpu, v + 2, 1));
    WANT(run(), HVCORE_EXIT_CANCELLED); /* not lost */
    WANT(exit_->u.cancelled.token, 4);
    WANT(exit_->pc, PC + 4);
    WANT(get(REG_X(9)), 33);
    down();
}

static void hypercalls(void)
{
    static const uint64_t eids[] = {HVCORE_SBI_EXPERIMENTAL_FIRST, 0x09000001,
                                    HVCORE_SBI_VENDOR_LAST};
    const uint64_t v[3] = {UINT64_C(0xfffffffffffffff0), 0x77, 0};

    for (size_t i = 0; i < COUNT(eids); i++)
        for (uint32_t n = 1; n <= 2; n++) {
            hvcore_event e;

            up();
            for (uint32_t r = 1; r < 32; r++)
                set(REG_X(r), 0x100 + r);
            e = ecall(eids[i], 5);
            e.pc = PC;
            push(e);
            WANT(run(), HVCORE_EXIT_HYPERCALL);
            same_trap(&e);
            WANT(exit_->flags, HVCORE_EXIT_NEEDS_COMPLETION);
            WANT(exit_->u.hypercall.nr, eids[i]);
            WANT(exit_->u.hypercall.fid, 5);
            for (uint32_t k = 0; k < 6; k++)
                WANT(exit_->u.hypercall.arg[k], 0x10a + k);
            WANT(get(HVCORE_REG_RISCV64_PC), PC);
            WANT(run(), -HVCORE_E_STATE);
            WANT(hvcore_vcpu_complete(vcpu, v, 0), -HVCORE_E_INVAL);
            WANT(hvcore_vcpu_complete(vcpu, v, 3), -HVCORE_E_INVAL);
            OK(hvcore_vcpu_complete(vcpu, v, n));
            WANT(hvcore_vcpu_complete(vcpu, v, n), -HVCORE_E_STATE);
            WANT(goes_on_at(), PC + 4);
            WANT(get(REG_X(10)), v[0]);
            WANT(get(REG_X(11)), n == 2 ? 0x77 : 0);
            for (uint32_t r = 12; r < 16; r++)
                WANT(get(REG_X(r)), 0x100 + r);
            WANT(get(REG_X(17)), eids[i]);
            down();
        }
}

/* pc, vsepc and the rest after an exception at `epc`. */
static void took(uint64_t cause, uint64_t tval, uint64_t epc)
{
    WANT(get(HVCORE_REG_RISCV64_PC), VEC);
    WANT(get(HVCORE_REG_RISCV64_VSCAUSE), cause);
    WANT(get(HVCORE_REG_RISCV64_VSTVAL), tval);
    WANT(get(HVCORE_REG_RISCV64_VSEPC), epc);
    WANT(get(HVCORE_REG_RISCV64_MODE), VS);
}

static void injection(void)
{
    /* At an exit, instead of completing it. */
    up();
    set(REG_X(9), 99);
    push(toy_access(toy_load_insn(3, 9), NOWHERE));
    WANT(run(), HVCORE_EXIT_MMIO);
    OK(inject(HVCORE_RISCV64_LOAD_ACCESS, NOWHERE));
    took(5, NOWHERE, PC);
    WANT(hvcore_vcpu_complete(vcpu, &(uint64_t){0}, 1), -HVCORE_E_STATE);
    WANT(goes_on_at(), VEC);
    WANT(get(REG_X(9)), 99);
    WANT(stats().injected, 1);
    down();

    up(); /* a hypercall */
    push(ecall(HVCORE_SBI_EXPERIMENTAL_FIRST, 0));
    WANT(run(), HVCORE_EXIT_HYPERCALL);
    OK(inject(HVCORE_RISCV64_ILLEGAL_INSN, 0x73));
    took(2, 0x73, PC);
    WANT(goes_on_at(), VEC);
    down();

    up(); /* a store: its step is not made either */
    push(toy_access(toy_store_insn(3, 9), NOWHERE));
    WANT(run(), HVCORE_EXIT_MMIO);
    OK(inject(HVCORE_RISCV64_STORE_ACCESS, NOWHERE));
    took(7, NOWHERE, PC);
    WANT(goes_on_at(), VEC);
    down();

    up(); /* a WFI */
    push(toy_trap(HVCORE_RISCV64_VIRTUAL_INSN, VS, WFI));
    WANT(run(), HVCORE_EXIT_HALT);
    OK(inject(HVCORE_RISCV64_ILLEGAL_INSN, WFI));
    took(2, WFI, PC);
    down();

    up(); /* the VMM's own decision at a trap */
    rule(BIT(3), HVCORE_DO_EXIT);
    push(toy_trap(3, VU, 0));
    WANT(run(), HVCORE_EXIT_TRAP);
    OK(inject(3, 0));
    took(3, 0, PC);
    WANT(get(HVCORE_REG_RISCV64_VSSTATUS) & SPP, 0); /* from user mode */
    down();

    /* Without any exit; the causes that a supervisor sees and the others. */
    for (uint32_t cause = 0; cause < 70; cause++) {
        bool legal =
            cause <= 8 || cause == 12 || cause == 13 || cause == 15 || cause == 18 || cause == 19;

        up();
        WANT(inject(cause, 0x99), legal ? 0 : -HVCORE_E_INVAL);
        if (legal)
            took(cause, 0x99, PC);
        else
            WANT(get(HVCORE_REG_RISCV64_PC), PC);
        down();
    }
    up();
    WANT(inject(BIT(63) | 5, 0), -HVCORE_E_INVAL);
    WANT(inject(BIT(32) | 2, 0), -HVCORE_E_INVAL);
    WANT(inject(UINT64_MAX, 0), -HVCORE_E_INVAL);
    WANT(hvcore_vcpu_inject(vcpu, NULL, NULL), -HVCORE_E_INVAL);
    WANT(hvcore_vcpu_inject(NULL, &(hvcore_inject)HVCORE_INJECT_INIT, NULL), -HVCORE_E_INVAL);
    /* A vectored stvec: exceptions go to its base. */
    set(HVCORE_REG_RISCV64_VSTVEC, VEC | 1);
    OK(inject(2, 0));
    WANT(get(HVCORE_REG_RISCV64_PC), VEC);
    down();
}

/* The guest inside its own trap entry (Ssdbltrp). */
static void double_traps(void)
{
    hvcore_event e = toy_trap(HVCORE_RISCV64_ILLEGAL_INSN, VS, 0);

    up();
    guest->hw.henvcfg = DTE;
    guest->hw.vsstatus |= SDT;
    WANT(inject(2, 0), -HVCORE_E_STATE);
    WANT(get(HVCORE_REG_RISCV64_PC), PC);
    WANT(get(HVCORE_REG_RISCV64_VSCAUSE), 0);
    e.pc = PC;
    push(e);
    WANT(run(), HVCORE_EXIT_TRAP); /* cause 16 exits by default */
    WANT(exit_->pc, PC);
    WANT(exit_->rule, 0);
    WANT(exit_->cls, HVCORE_RISCV64_DOUBLE_TRAP);
    WANT(get(HVCORE_REG_RISCV64_VSCAUSE), 0);
    WANT(get(HVCORE_REG_RISCV64_PC), PC);
    CU_ASSERT(stats().double_traps >= 1);
    down();
    /* An inject at an exit that cannot be delivered leaves the exit open. */
    up();
    guest->hw.henvcfg = DTE;
    guest->hw.vsstatus |= SDT;
    push(toy_access(toy_load_insn(3, 9), NOWHERE));
    WANT(run(), HVCORE_EXIT_MMIO);
    WANT(inject(5, NOWHERE), -HVCORE_E_STATE);
    WANT(run(), -HVCORE_E_STATE);
    OK(hvcore_vcpu_complete(vcpu, &(uint64_t){3}, 1));
    WANT(goes_on_at(), PC + 4);
    WANT(get(REG_X(9)), 3);
    down();
}

/* --- firmware --------------------------------------------------------------------------------- */
static struct {
    char text[1 << 17];
    size_t len, calls;
    hvcore_vcpu *who;
} console;

static void console_bytes(void *user, hvcore_vcpu *v, const char *bytes, size_t len)
{
    WANT(user == &console, true);
    console.calls++;
    console.who = v;
    CU_ASSERT(len > 0 && len <= sizeof console.text - console.len);
    memcpy(console.text + console.len, bytes, len);
    console.len += len;
}

static uint64_t sbi_call(uint64_t eid, uint64_t fid, uint64_t a0, uint64_t a1, uint64_t a2)
{
    uint64_t at = get(HVCORE_REG_RISCV64_PC);

    set(REG_X(10), a0);
    set(REG_X(11), a1);
    set(REG_X(12), a2);
    set(REG_X(13), 0x1313);
    push(ecall(eid, fid));
    WANT(goes_on_at(), at + 4);
    WANT(get(REG_X(12)), a2);
    WANT(get(REG_X(13)), 0x1313);
    WANT(get(REG_X(17)), eid);
    return get(REG_X(10));
}

static void sbi_console(void)
{
    unsigned char *ram;
    uint64_t done = 0, len = 10 * PAGE + 123;

    up();
    ram = hvcore_mem_ptr(mem);
    for (size_t i = 0; i < 16 * PAGE; i++)
        ram[i] = (unsigned char)(i * 7 + i / 251);
    memset(&console, 0, sizeof console);
    OK(hvcore_vm_console_set(vm, console_bytes, &console));
    /* The guest writes until all is written, as it has to. */
    for (int turns = 0; done < len && turns < 100000; turns++) {
        CU_ASSERT_FATAL(!sbi_call(HVCORE_SBI_DBCN, 0, len - done, RAM + 77 + done, 0));
        CU_ASSERT_FATAL(get(REG_X(11)) > 0 && get(REG_X(11)) <= len - done);
        done += get(REG_X(11));
        WANT(console.len, done);
    }
    WANT(done, len);
    CU_ASSERT(!memcmp(console.text, ram + 77, len));
    CU_ASSERT_PTR_EQUAL(console.who, vcpu);
    CU_ASSERT(counts(10).emulated >= 1);
    CU_ASSERT(stats().firmware >= 1);
    /* Not all memory, or not an address: refused, nothing written. */
    console.len = console.calls = 0;
    WANT(sbi_call(HVCORE_SBI_DBCN, 0, 5, NOWHERE, 0), HVCORE_SBI_ERR_INVALID_PARAM);
    WANT(sbi_call(HVCORE_SBI_DBCN, 0, 5, RAM + 16 * PAGE, 0), HVCORE_SBI_ERR_INVALID_PARAM);
    WANT(sbi_call(HVCORE_SBI_DBCN, 0, 5, RAM, 1), HVCORE_SBI_ERR_INVALID_PARAM);
    WANT(sbi_call(HVCORE_SBI_DBCN, 0, 16, UINT64_MAX - 3, 0), HVCORE_SBI_ERR_INVALID_PARAM);
    WANT(console.calls, 0);
    WANT(sbi_call(HVCORE_SBI_DBCN, 0, 8, RAM + 16 * PAGE - 4, 0), HVCORE_SBI_ERR_INVALID_PARAM);
    WANT(console.len, 0);
    WANT(sbi_call(HVCORE_SBI_DBCN, 0, UINT64_MAX, RAM, 0), HVCORE_SBI_ERR_INVALID_PARAM);
    /* More than there is: the length is the guest's, the bound is ours. */
    console.len = 0;
    if (!sbi_call(HVCORE_SBI_DBCN, 0, UINT64_C(1) << 40, RAM, 0))
        CU_ASSERT(console.len <= 16 * PAGE && console.len == get(REG_X(11)));
    console.len = 0;
    WANT(sbi_call(HVCORE_SBI_DBCN, 2, 'q', 0, 0), 0); /* one byte */
    CU_ASSERT(console.len == 1 && console.text[0] == 'q');
    WANT(sbi_call(HVCORE_SBI_BASE, 3, HVCORE_SBI_DBCN, 0, 0), 0);
    CU_ASSERT(get(REG_X(11)) != 0);
    /* Once a vCPU has run the console stays. */
    WANT(hvcore_vm_console_set(vm, console_bytes, &console), -HVCORE_E_STATE);
    WANT(hvcore_vm_console_set(NULL, console_bytes, &console), -HVCORE_E_INVAL);
    down();

    up(); /* none */
    console.calls = 0;
    WANT(sbi_call(HVCORE_SBI_BASE, 3, HVCORE_SBI_DBCN, 0, 0), 0);
    WANT(get(REG_X(11)), 0);
    WANT(sbi_call(HVCORE_SBI_DBCN, 0, 5, RAM, 0), HVCORE_SBI_ERR_NOT_SUPPORTED);
    WANT(sbi_call(HVCORE_SBI_DBCN, 2, 'q', 0, 0), HVCORE_SBI_ERR_NOT_SUPPORTED);
    WANT(console.calls, 0);
    WANT(sbi_call(HVCORE_SBI_BASE, 0, 0, 0, 0), 0);
    WANT(get(REG_X(11)), HVCORE_SBI_SPEC_VERSION);
    WANT(sbi_call(0x12345678, 0, 0, 0, 0), HVCORE_SBI_ERR_NOT_SUPPORTED);
    down();
}

static void sbi_reset(void)
{
    static const struct {
        uint32_t type, reason, exit;
    } rows[] = {{0, 0, HVCORE_EXIT_SHUTDOWN},
                {0, 1, HVCORE_EXIT_SHUTDOWN},
                {1, 0, HVCORE_EXIT_RESET},
                {2, 1, HVCORE_EXIT_RESET}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        hvcore_event e;

        up();
        set(REG_X(10), rows[i].type);
        set(REG_X(11), rows[i].reason);
        e = ecall(HVCORE_SBI_SRST, 0);
        e.pc = PC;
        push(e);
        WANT(run(), rows[i].exit);
        same_trap(&e);
        WANT(exit_->flags & HVCORE_EXIT_NEEDS_COMPLETION, 0);
        WANT(exit_->u.reset.type, rows[i].type);
        WANT(exit_->u.reset.reason, rows[i].reason);
        WANT(get(HVCORE_REG_RISCV64_PC), PC);
        WANT(get(REG_X(10)), rows[i].type);
        down();
    }
    up();
    WANT(sbi_call(HVCORE_SBI_SRST, 0, 3, 0, 0), HVCORE_SBI_ERR_INVALID_PARAM);
    down();
}

/* --- deadlines and limits --------------------------------------------------------------------- */
static void deadlines(void)
{
    uint64_t t0, t1;

    up();
    t0 = hvcore_clock_ns();
    OK(run_until(1)); /* long ago */
    WANT(exit_->reason, HVCORE_EXIT_DEADLINE);
    WANT(exit_->size, sizeof *exit_);
    WANT(exit_->pc, PC);
    CU_ASSERT(exit_->have & HVCORE_HAVE_PC);
    WANT(exit_->rule, 0);
    WANT(exit_->flags, 0);
    OK(run_until(t0 + 20 * MS));
    t1 = hvcore_clock_ns();
    WANT(exit_->reason, HVCORE_EXIT_DEADLINE);
    WANT(exit_->pc, PC);
    CU_ASSERT(t1 >= t0 + 20 * MS && t1 < t0 + 5000 * MS);
    WANT(hvcore_vcpu_complete(vcpu, &t0, 1), -HVCORE_E_STATE);

    /* While paused. */
    OK(hvcore_vm_pause(vm));
    t0 = hvcore_clock_ns();
    OK(run_until(t0 + 20 * MS));
    t1 = hvcore_clock_ns();
    WANT(exit_->reason, HVCORE_EXIT_DEADLINE);
    CU_ASSERT(t1 >= t0 + 20 * MS && t1 < t0 + 5000 * MS);
    OK(run_until(1));
    WANT(exit_->reason, HVCORE_EXIT_DEADLINE);
    OK(hvcore_vcpu_cancel(vcpu, 6));
    OK(run_until(1));
    WANT(exit_->reason, HVCORE_EXIT_CANCELLED); /* a cancel comes first */
    OK(hvcore_vm_resume(vm));

    /* A completed exit is settled all the same. */
    push(toy_access(toy_load_insn(3, 9), NOWHERE));
    WANT(run(), HVCORE_EXIT_MMIO);
    OK(hvcore_vcpu_complete(vcpu, &(uint64_t){5}, 1));
    OK(run_until(1));
    WANT(exit_->reason, HVCORE_EXIT_DEADLINE);
    WANT(exit_->pc, PC + 4);
    WANT(get(REG_X(9)), 5);
    down();
    CU_ASSERT(hvcore_clock_ns() >= t1);
}

/* A guest that only makes traps the library answers still meets its deadline. */
static int illegal_for_ever(toy_vcpu *v, void *user, hvcore_event *event)
{
    (void)user;
    *event = toy_trap(HVCORE_RISCV64_ILLEGAL_INSN, VS, 0);
    event->pc = v->frame.pc + 4; /* another one each time */
    return 1;
}

static void deadline_of_traps(void)
{
    hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;
    hvcore_policy *policy = NULL;
    uint64_t t0;

    up();
    opts.arch = HVCORE_ARCH_RISCV64;
    opts.storm.size = sizeof opts.storm; /* no storm detection */
    OK(hvcore_policy_create(&opts, &policy, NULL));
    use(policy);
    toy_set_program(guest, illegal_for_ever, NULL);
    t0 = hvcore_clock_ns();
    OK(run_until(t0 + 20 * MS));
    WANT(exit_->reason, HVCORE_EXIT_DEADLINE);
    CU_ASSERT(hvcore_clock_ns() < t0 + 5000 * MS);
    down();
}

static void insn_limits(void)
{
    hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;
    hvcore_error e;

    up();
    opts.max_insns = 1000;
    OK(hvcore_vcpu_run(vcpu, &opts, &exit_, NULL));
    WANT(exit_->reason, HVCORE_EXIT_INSN_LIMIT);
    WANT(exit_->pc, PC);
    CU_ASSERT(exit_->have & HVCORE_HAVE_PC);
    WANT(guest->insns, 1000);
    WANT(stats().insns, 1000);
    /* The limit is the run's, not an enter's: what retired before a trap counts. */
    push(toy_trap(2, VS, 0));
    push(toy_trap(2, VS, 0));
    OK(hvcore_vcpu_run(vcpu, &opts, &exit_, NULL));
    WANT(exit_->reason, HVCORE_EXIT_INSN_LIMIT);
    WANT(guest->insns, 2000);
    down();

    up_with(HVCORE_CAP_DEADLINE);
    FAILS(hvcore_vcpu_run(vcpu, &opts, &exit_, &e), HVCORE_E_UNSUPPORTED);
    WANT(toy.calls[TOY_ENTER], 0);
    opts.max_insns = 0;
    opts.deadline_ns = 1;
    OK(hvcore_vcpu_run(vcpu, &opts, &exit_, NULL));
    down();

    up_with(0);
    FAILS(hvcore_vcpu_run(vcpu, &opts, &exit_, &e), HVCORE_E_UNSUPPORTED);
    opts.deadline_ns = 0;
    opts.flags = HVCORE_RUN_WAIT << 1;
    FAILS(hvcore_vcpu_run(vcpu, &opts, &exit_, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vcpu_run(vcpu, NULL, NULL, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vcpu_run(NULL, NULL, &exit_, &e), HVCORE_E_INVAL);
    WANT(toy.calls[TOY_ENTER], 0);
    push(toy_trap(9, VS, 0));
    OK(hvcore_vcpu_run(vcpu, NULL, &exit_, NULL));
    WANT(exit_->reason, HVCORE_EXIT_TRAP);
    WANT(guest->insns, 1);
    WANT(stats().insns, 0); /* not without the capability */
    down();
}

/* --- cancel ----------------------------------------------------------------------------------- */
static void cancelled(uint32_t token, uint64_t pc)
{
    WANT(exit_->reason, HVCORE_EXIT_CANCELLED);
    WANT(exit_->u.cancelled.token, token);
    WANT(exit_->pc, pc);
    CU_ASSERT(exit_->have & HVCORE_HAVE_PC);
    WANT(exit_->flags, 0);
    WANT(exit_->rule, 0);
}

/* The next run is not cancelled. */
static void not_cancelled(void)
{
    OK(run_until(hvcore_clock_ns() + MS));
    WANT(exit_->reason, HVCORE_EXIT_DEADLINE);
}

typedef struct helper {
    pthread_t thread;
    uint32_t delay_us, token;
    int what, rc;
} helper;

static void sleep_us(uint32_t us)
{
    struct timespec t = {us / 1000000, (long)(us % 1000000) * 1000};

    nanosleep(&t, NULL);
}

static void *help(void *user)
{
    helper *h = user;

    while (!h->what && !guest->in_guest)
        sched_yield();
    sleep_us(h->delay_us);
    h->rc = h->what == 2 ? hvcore_vm_resume(vm) : hvcore_vcpu_cancel(vcpu, h->token);
    return NULL;
}

static void hook_cancel(device *d)
{
    d->rc = hvcore_vcpu_cancel(vcpu, 31);
}

static void hook_cancel_clear(device *d)
{
    OK(hvcore_vcpu_cancel(vcpu, 32));
    d->rc = hvcore_vcpu_cancel_clear(vcpu);
}

static void cancel_here(void)
{
    device d = {.hook = hook_cancel};
    unsigned long enters;

    up();
    WANT(hvcore_vcpu_cancel(NULL, 1), -HVCORE_E_INVAL);
    WANT(hvcore_vcpu_cancel_clear(NULL), -HVCORE_E_INVAL);
    OK(hvcore_vcpu_cancel_clear(vcpu)); /* nothing there */
    /* Before the run: without entering, with the last token, once. */
    OK(hvcore_vcpu_cancel(vcpu, 1));
    OK(hvcore_vcpu_cancel(vcpu, 2));
    OK(hvcore_vcpu_cancel(vcpu, UINT32_MAX));
    enters = toy.calls[TOY_ENTER];
    WANT(run(), HVCORE_EXIT_CANCELLED);
    cancelled(UINT32_MAX, PC);
    WANT(toy.calls[TOY_ENTER], enters);
    not_cancelled();
    OK(hvcore_vcpu_cancel(vcpu, 0)); /* token 0 is a token */
    WANT(run(), HVCORE_EXIT_CANCELLED);
    cancelled(0, PC);
    not_cancelled();
    OK(hvcore_vcpu_cancel(vcpu, 3));
    OK(hvcore_vcpu_cancel_clear(vcpu));
    not_cancelled();

    /* From a callback: what the callback did stays, then CANCELLED. */
    add_device(DEV, 8, &d);
    d.value = 0x77;
    push(toy_access(toy_load_insn(3, 9), DEV));
    WANT(run(), HVCORE_EXIT_CANCELLED);
    cancelled(31, PC + 4);
    WANT(get(REG_X(9)), 0x77);
    WANT(d.rc, 0);
    not_cancelled();
    /* From a callback that exits: the exit first, then the cancel. */
    d.verdict = HVCORE_MMIO_EXIT;
    push(toy_access(toy_load_insn(3, 9), DEV));
    WANT(run(), HVCORE_EXIT_MMIO);
    OK(hvcore_vcpu_complete(vcpu, &(uint64_t){1}, 1));
    WANT(run(), HVCORE_EXIT_CANCELLED);
    cancelled(31, PC + 8);
    not_cancelled();
    /* Cancelled and forgotten in the callback. */
    d.hook = hook_cancel_clear;
    d.verdict = HVCORE_MMIO_DONE;
    push(toy_access(toy_load_insn(3, 9), DEV));
    WANT(goes_on_at(), PC + 12);
    WANT(d.rc, 0);
    down();
}

static void cancel_from_thread(void)
{
    for (int paused = 0; paused < 2; paused++) {
        helper h = {.delay_us = 2000, .token = 70, .what = paused};

        up();
        if (paused)
            OK(hvcore_vm_pause(vm));
        pthread_create(&h.thread, NULL, help, &h);
        WANT(run(), HVCORE_EXIT_CANCELLED);
        cancelled(70, PC);
        pthread_join(h.thread, NULL);
        WANT(h.rc, 0);
        if (paused) {
            WANT(toy.calls[TOY_ENTER], 0);
            OK(hvcore_vm_resume(vm));
        } else {
            CU_ASSERT(stats().kicks >= 1);
        }
        not_cancelled();
        down();
    }
}

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
    int saved = errno;

    (void)sig;
    signals = signals + 1;
    if (hvcore_vcpu_cancel(vcpu, 500 + (uint32_t)signals))
        abort();
    errno = saved;
}

typedef struct killer {
    pthread_t thread, target;
    atomic_int go;
} killer;

static void *kill_often(void *user)
{
    killer *k = user;

    while (k->go) {
        while (k->go && !guest->in_guest)
            sched_yield();
        pthread_kill(k->target, SIGUSR1);
        sleep_us(300);
    }
    return NULL;
}

static void cancel_from_signal(void)
{
    struct sigaction act = {.sa_handler = on_signal}, old[2];
    struct itimerval timer = {.it_value = {0, 5000}}, off = {{0, 0}, {0, 0}};
    killer k = {.target = pthread_self(), .go = 1};

#ifdef __SANITIZE_THREAD__
    printf("skipped: the thread sanitizer holds signals back ");
    return;
#endif
    sigemptyset(&act.sa_mask);
    sigaction(SIGALRM, &act, &old[0]);
    sigaction(SIGUSR1, &act, &old[1]);
    up();
    /* A timer, while the guest spins; while the VM is paused; before the run. */
    for (int i = 0; i < 6; i++) {
        signals = 0;
        if (i & 1)
            OK(hvcore_vm_pause(vm));
        setitimer(ITIMER_REAL, &timer, NULL);
        if (i > 3)
            while (!signals)
                sched_yield();
        WANT(run(), HVCORE_EXIT_CANCELLED);
        cancelled(501, PC);
        if (i & 1)
            OK(hvcore_vm_resume(vm));
        not_cancelled();
    }
    setitimer(ITIMER_REAL, &off, NULL);
    /* Many, sent to this thread by another one, into a guest that also exits and calls back. */
    device d = {.value = 3};
    add_device(DEV, 8, &d);
    signals = 0;
    pthread_create(&k.thread, NULL, kill_often, &k);
    for (uint32_t i = 0, last = 0; i < 300; i++) {
        set(HVCORE_REG_RISCV64_PC, PC);
        for (uint32_t n = 0; n < i % 4; n++)
            push(toy_access(toy_load_insn(3, 9), DEV));
        WANT(run(), HVCORE_EXIT_CANCELLED);
        CU_ASSERT(exit_->u.cancelled.token > last);
        last = exit_->u.cancelled.token;
    }
    k.go = 0;
    pthread_join(k.thread, NULL);
    OK(hvcore_vcpu_cancel_clear(vcpu));
    down();
    sigaction(SIGALRM, &old[0], NULL);
    sigaction(SIGUSR1, &old[1], NULL);
}

/* --- ownership -------------------------------------------------------------------------------- */
static void *run_thread(void *user)
{
    helper *h = user;

    h->rc = hvcore_vcpu_run(vcpu, NULL, &exit_, NULL);
    return NULL;
}

static void two_owners(void)
{
    helper h = {.rc = 1};
    hvcore_error e;
    const hvcore_exit *x = NULL;
    uint64_t value = 0;
    hvcore_reg reg = HVCORE_REG_RISCV64_A0;
    size_t done = 9;

    up();
    pthread_create(&h.thread, NULL, run_thread, &h);
    while (!guest->in_guest)
        sched_yield();
    for (int i = 0; i < 100; i++) {
        FAILS(hvcore_vcpu_run(vcpu, NULL, &x, &e), HVCORE_E_BUSY);
        WANT(hvcore_reg_get_u64(vcpu, reg, &value), -HVCORE_E_BUSY);
        WANT(hvcore_reg_set_u64(vcpu, reg, 1), -HVCORE_E_BUSY);
        WANT(hvcore_regs_get(vcpu, &reg, &value, 1, &done), -HVCORE_E_BUSY);
        WANT(hvcore_regs_set(vcpu, &reg, &value, 1, &done), -HVCORE_E_BUSY);
        WANT(hvcore_vcpu_complete(vcpu, &value, 1), -HVCORE_E_BUSY);
        WANT(inject(2, 0), -HVCORE_E_BUSY);
        WANT(hvcore_vcpu_detach(vcpu), -HVCORE_E_BUSY);
        (void)stats(); /* any thread */
        (void)counts(2);
    }
    WANT(done, 0);
    CU_ASSERT_PTR_NULL(x);
    OK(hvcore_vcpu_cancel(vcpu, 1));
    pthread_join(h.thread, NULL);
    WANT(h.rc, 0);
    WANT(exit_->reason, HVCORE_EXIT_CANCELLED);
    /* Now it belongs to this thread. */
    set(HVCORE_REG_RISCV64_A0, 5);
    OK(hvcore_vcpu_detach(vcpu));
    WANT(toy.calls[TOY_DETACH], 1);
    WANT(hvcore_vcpu_detach(NULL), -HVCORE_E_INVAL);
    not_cancelled();
    WANT(get(HVCORE_REG_RISCV64_A0), 5);
    down();
}

/* A callback of one vCPU while another thread tries to take it. */
static void hook_taken(device *d)
{
    helper h = {.rc = 1};

    pthread_create(&h.thread, NULL, run_thread, &h);
    pthread_join(h.thread, NULL);
    d->rc = h.rc;
}

static void run_in_callback_elsewhere(void)
{
    device d = {.hook = hook_taken, .value = 8};

    up();
    add_device(DEV, 8, &d);
    push(toy_access(toy_load_insn(3, 9), DEV));
    WANT(goes_on_at(), PC + 4);
    WANT(d.rc, -HVCORE_E_BUSY);
    WANT(get(REG_X(9)), 8);
    down();
}

/* --- pause ------------------------------------------------------------------------------------ */
static helper resumer;

static void hook_pause(device *d)
{
    d->rc = hvcore_vm_pause(vm);
    resumer = (helper){.delay_us = 5000, .what = 2};
    pthread_create(&resumer.thread, NULL, help, &resumer);
}

static void pauses(void)
{
    device d = {.hook = hook_pause};
    unsigned long enters;
    helper h = {.rc = 1};

    up();
    WANT(hvcore_vm_pause(NULL), -HVCORE_E_INVAL);
    WANT(hvcore_vm_resume(NULL), -HVCORE_E_INVAL);
    WANT(hvcore_vm_resume(vm), -HVCORE_E_STATE);
    for (int i = 0; i < 3; i++)
        OK(hvcore_vm_pause(vm));
    for (int i = 0; i < 3; i++) { /* they nest */
        enters = toy.calls[TOY_ENTER];
        OK(run_until(hvcore_clock_ns() + MS));
        WANT(exit_->reason, HVCORE_EXIT_DEADLINE);
        WANT(toy.calls[TOY_ENTER], enters);
        OK(hvcore_vm_resume(vm));
    }
    WANT(hvcore_vm_resume(vm), -HVCORE_E_STATE);
    enters = toy.calls[TOY_ENTER];
    not_cancelled();
    CU_ASSERT(toy.calls[TOY_ENTER] > enters);

    /* A vCPU that is made meanwhile waits as well. */
    hvcore_vcpu *late = NULL;
    hvcore_run_opts opts = HVCORE_RUN_OPTS_INIT;
    OK(hvcore_vm_pause(vm));
    OK(hvcore_vcpu_create(vm, 1, NULL, &late, NULL));
    enters = toy.calls[TOY_ENTER];
    for (int i = 0; i < 2; i++) {
        opts.deadline_ns = hvcore_clock_ns() + MS;
        OK(hvcore_vcpu_run(late, &opts, &exit_, NULL));
        WANT(exit_->reason, HVCORE_EXIT_DEADLINE);
        CU_ASSERT((toy.calls[TOY_ENTER] > enters) == i);
        if (!i)
            OK(hvcore_vm_resume(vm));
    }
    hvcore_vcpu_unref(late);

    /* From a callback: its own run waits until another thread resumes. */
    add_device(DEV, 8, &d);
    push(toy_access(toy_load_insn(3, 9), DEV));
    WANT(goes_on_at(), PC + 4);
    WANT(d.rc, 0);
    pthread_join(resumer.thread, NULL);
    WANT(resumer.rc, 0);

    /* From another thread: when it returns the guest has stopped, and it goes on afterwards. */
    pthread_create(&h.thread, NULL, run_thread, &h);
    for (int i = 0; i < 200; i++) {
        while (!guest->in_guest)
            sched_yield();
        OK(hvcore_vm_pause(vm));
        CU_ASSERT(!guest->in_guest);
        enters = toy.calls[TOY_ENTER];
        if (i % 50 == 0)
            sleep_us(2000);
        CU_ASSERT(!guest->in_guest && toy.calls[TOY_ENTER] == enters);
        OK(hvcore_vm_resume(vm));
    }
    OK(hvcore_vcpu_cancel(vcpu, 9));
    pthread_join(h.thread, NULL);
    WANT(exit_->reason, HVCORE_EXIT_CANCELLED);
    down();
}

/* --- policies --------------------------------------------------------------------------------- */
static void policy_rules(void)
{
    hvcore_policy *policy;
    hvcore_trap_rule r = HVCORE_TRAP_RULE_INIT;
    uint32_t id = 0;

    /* The first rule that matches cause and mode; `as`, uncounted. */
    up();
    policy = new_policy();
    add_rule(policy, BIT(2), HVCORE_FROM_VS, HVCORE_DO_EXIT);
    r.causes = BIT(2) | BIT(3);
    r.act = HVCORE_DO_REDIRECT;
    r.flags = HVCORE_TRAP_AS | HVCORE_TRAP_NO_COUNT;
    r.as = 5;
    OK(hvcore_policy_rule_add(policy, &r, &id, NULL));
    WANT(id, 2);
    use(policy);
    push(toy_trap(2, VU, 0x10));
    WANT(goes_on_at(), VEC);
    took(5, 0x10, PC);
    WANT(counts(2).redirected, 0);
    push(toy_trap(2, VS, 0x10));
    WANT(run(), HVCORE_EXIT_TRAP);
    WANT(exit_->rule, 1);
    down();

    /* A live change: the guest leaves, hedeleg follows, the next trap is decided anew. */
    helper h = {.rc = 1};
    unsigned long delegates;

    up();
    pthread_create(&h.thread, NULL, run_thread, &h);
    while (!guest->in_guest)
        sched_yield();
    CU_ASSERT(guest->hedeleg & BIT(3));
    delegates = toy.calls[TOY_DELEGATE];
    rule(BIT(3) | BIT(2), HVCORE_DO_EXIT);
    while (!guest->in_guest)
        sched_yield();
    WANT(guest->hedeleg & (BIT(2) | BIT(3)), 0);
    CU_ASSERT(guest->hedeleg & BIT(13));
    CU_ASSERT(toy.calls[TOY_DELEGATE] > delegates);
    push(toy_trap(3, VU, 0)); /* for the next enter */
    OK(hvcore_vm_pause(vm));
    OK(hvcore_vm_resume(vm));
    pthread_join(h.thread, NULL);
    WANT(h.rc, 0);
    WANT(exit_->reason, HVCORE_EXIT_TRAP);
    WANT(exit_->rule, 1);
    /* The vCPU's own policy, and that the VM's replaces it again. */
    policy = new_policy();
    add_rule(policy, BIT(48), HVCORE_FROM_ANY, HVCORE_DO_EXIT);
    add_rule(policy, BIT(3), HVCORE_FROM_ANY, HVCORE_DO_EXIT);
    OK(hvcore_vcpu_trap_policy_set(vcpu, policy, NULL, NULL));
    push(toy_trap(3, VU, 0));
    WANT(run(), HVCORE_EXIT_TRAP);
    WANT(exit_->rule, 2);
    hvcore_policy_unref(policy);
    rule(BIT(3), HVCORE_DO_EXIT);
    push(toy_trap(3, VU, 0));
    WANT(run(), HVCORE_EXIT_TRAP);
    WANT(exit_->rule, 1);
    down();
}

static void policy_misuse(void)
{
    hvcore_error e;
    hvcore_policy *policy = new_policy();
    hvcore_trap_rule r = HVCORE_TRAP_RULE_INIT;
    hvcore_report *report = NULL;
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;

    up();
    FAILS(hvcore_trap_policy_set(NULL, policy, NULL, &e), HVCORE_E_INVAL);
    FAILS(hvcore_trap_policy_set(vm, NULL, NULL, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vcpu_trap_policy_set(NULL, policy, NULL, &e), HVCORE_E_INVAL);
    OK(hvcore_trap_policy_set(vm, policy, &report, &e));
    CU_ASSERT_PTR_NOT_NULL_FATAL(report);
    OK(hvcore_report_item_get(report, 0, &item));
    hvcore_report_free(report);
    r.causes = BIT(2);
    r.act = HVCORE_DO_REDIRECT;
    FAILS(hvcore_policy_rule_add(policy, &r, NULL, &e), HVCORE_E_STATE); /* sealed */
    hvcore_policy_unref(policy);
    down();

    /* Refused: the old policy stays, the report says why. */
    up();
    toy.delegatable = 0xb109;
    down();
    toy_reset();
    up();
    rule(BIT(3), HVCORE_DO_EXIT);
    policy = new_policy();
    r.causes = BIT(22);
    r.act = HVCORE_DO_DELEGATE; /* no machine can: refused when added or when set */
    if (!hvcore_policy_rule_add(policy, &r, NULL, NULL)) {
        report = NULL;
        FAILS(hvcore_trap_policy_set(vm, policy, &report, &e), HVCORE_E_POLICY);
        CU_ASSERT_PTR_NOT_NULL(report);
        WANT(e.rule, 1);
        hvcore_report_free(report);
    }
    hvcore_policy_unref(policy);
    push(toy_trap(3, VU, 0));
    WANT(run(), HVCORE_EXIT_TRAP);
    WANT(exit_->rule, 1);
    down();

    /* What this host lacks: refused with a report. */
    up();
    policy = new_policy();
    r.causes = BIT(3);
    r.act = HVCORE_DO_DELEGATE;
    OK(hvcore_policy_rule_add(policy, &r, NULL, NULL));
    toy.delegatable = 0;
    down();
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    toy_reset();
    toy.delegatable = 0xcb1f7; /* bit 3 is missing */
    opts.arch = HVCORE_ARCH_RISCV64;
    opts.backend = "toy";
    ctx = NULL;
    OK(hvcore_ctx_create(NULL, &ctx, NULL));
    OK(hvcore_ctx_backend_add(ctx, &toy_ops, NULL));
    OK(hvcore_vm_create(ctx, &opts, &vm, NULL));
    OK(hvcore_vcpu_create(vm, 0, NULL, &vcpu, NULL));
    guest = toy.vcpu[0];
    mem = NULL;
    report = NULL;
    FAILS(hvcore_trap_policy_set(vm, policy, &report, &e), HVCORE_E_POLICY);
    CU_ASSERT_PTR_NOT_NULL(report);
    WANT(e.rule, 1);
    hvcore_report_free(report);
    hvcore_policy_unref(policy);
    set(HVCORE_REG_RISCV64_VSTVEC, VEC);
    push(toy_trap(3, VU, 0)); /* still the built-in one: redirected */
    WANT(goes_on_at(), VEC);
    WANT(guest->hedeleg & BIT(3), 0);
    down();
}

/* --- storms ----------------------------------------------------------------------------------- */
static int same_trap_for_ever(toy_vcpu *v, void *user, hvcore_event *event)
{
    (void)v;
    *event = *(hvcore_event *)user;
    return 1;
}

static void storm_policy(uint32_t repeat, uint32_t per_ms, uint32_t act)
{
    hvcore_policy_opts opts = HVCORE_POLICY_OPTS_INIT;
    hvcore_policy *policy = NULL;

    opts.arch = HVCORE_ARCH_RISCV64;
    opts.storm = (hvcore_storm_opts){sizeof opts.storm, repeat, per_ms, act};
    OK(hvcore_policy_create(&opts, &policy, NULL));
    use(policy);
}

static void storms(void)
{
    hvcore_event e;

    /* The handler's own first instruction traps. */
    for (uint32_t cause = 1; cause <= 2; cause++) {
        e = toy_trap(cause, VS, VEC);
        e.pc = VEC;
        up();
        storm_policy(64, 0, HVCORE_DO_EXIT);
        toy_set_program(guest, same_trap_for_ever, &e);
        WANT(run(), HVCORE_EXIT_STORM);
        WANT(exit_->u.storm.kind, HVCORE_STORM_VECTOR);
        CU_ASSERT(exit_->u.storm.count >= 1 && exit_->u.storm.count <= 64);
        CU_ASSERT(toy.calls[TOY_ENTER] <= 65);
        WANT(exit_->pc, VEC);
        WANT(exit_->cls, cause);
        CU_ASSERT(exit_->have & HVCORE_HAVE_SYNDROME);
        WANT(exit_->flags & HVCORE_EXIT_NEEDS_COMPLETION, 0);
        CU_ASSERT(stats().storms >= 1);
        down();
    }
    /* The same trap again and again. */
    e = toy_trap(2, VU, 0x1234);
    e.pc = PC + 0x40;
    up();
    storm_policy(10, 0, HVCORE_DO_EXIT);
    toy_set_program(guest, same_trap_for_ever, &e);
    WANT(run(), HVCORE_EXIT_STORM);
    WANT(exit_->u.storm.kind, HVCORE_STORM_LIVELOCK);
    WANT(exit_->u.storm.count, 10);
    WANT(toy.calls[TOY_ENTER], 10);
    WANT(exit_->pc, PC + 0x40);
    WANT(exit_->tval, 0x1234);
    down();
    /* Too many, all different. */
    up();
    storm_policy(0, 1, HVCORE_DO_EXIT);
    toy_set_program(guest, illegal_for_ever, NULL);
    WANT(run(), HVCORE_EXIT_STORM);
    WANT(exit_->u.storm.kind, HVCORE_STORM_RATE);
    down();
    /* Only counted, or off. */
    for (int off = 0; off < 2; off++) {
        up();
        storm_policy(off ? 0 : 10, 0, off ? HVCORE_DO_EXIT : HVCORE_DO_NONE);
        toy_set_program(guest, same_trap_for_ever, &e);
        OK(run_until(hvcore_clock_ns() + 10 * MS));
        WANT(exit_->reason, HVCORE_EXIT_DEADLINE);
        CU_ASSERT((stats().storms > 0) == !off);
        down();
    }
    /* One that gets on is no storm. */
    up();
    storm_policy(3, 0, HVCORE_DO_EXIT);
    for (int i = 0; i < 20; i++) {
        push(e);
        push(e);
        e.pc += 4;
    }
    (void)goes_on_at();
    WANT(counts(2).redirected, 40);
    down();
}

/* --- a late kick ------------------------------------------------------------------------------ */
static unsigned late_calls;

/*
 * Somebody asked, and stopped before the kick. What was asked for has been served meanwhile, and
 * the vCPU is inside anew, when the word is changed and the kick comes. The next cancel kicks all
 * the same.
 */
static int late_kick(toy_vcpu *v, void *user, hvcore_event *event)
{
    uint32_t inside = HVC_GUEST;

    (void)user;
    switch (++late_calls) {
    case 1:
        CU_ASSERT(atomic_compare_exchange_strong(&vcpu->word, &inside, HVC_LEAVING));
        toy_ops.kick(v);
        return 0;
    case 2:
        CU_ASSERT_EQUAL(hvcore_vcpu_cancel(vcpu, 77), 0);
        return 0;
    case 1000: /* it is lost */
        *event = toy_trap(HVCORE_RISCV64_ILLEGAL_INSN, HVCORE_RISCV64_VS, WFI);
        return 1;
    default:
        return 0;
    }
}

static void late_kicks(void)
{
    const hvcore_exit *x = NULL;

    up();
    late_calls = 0;
    toy_set_program(guest, late_kick, NULL);
    WANT(hvcore_vcpu_run(vcpu, NULL, &x, NULL), 0);
    WANT(x->reason, HVCORE_EXIT_CANCELLED);
    WANT(x->u.cancelled.token, 77);
    CU_ASSERT(late_calls < 1000);
    down();
}

/* --- failing backends ------------------------------------------------------------------------- */
static void failing_enter(void)
{
    static const int codes[] = {-1,  -2,  -3,  -4,  -5,  -6,  -7,    -8,      -9, -10, -11,
                                -12, -13, -14, -15, -16, -17, -1000, INT_MIN, 1,  7,   INT_MAX};

    for (size_t i = 0; i < COUNT(codes); i++) {
        hvcore_error e = HVCORE_ERROR_INIT;
        const hvcore_exit *x = NULL;
        bool known = codes[i] < 0 && codes[i] >= -HVCORE_E_TIMEOUT;
        int rc;

        up();
        for (uint32_t r = 1; r < 32; r++)
            set(REG_X(r), 0x100 + r);
        set(HVCORE_REG_RISCV64_VSSTATUS, get(HVCORE_REG_RISCV64_VSSTATUS) | SIE);
        toy_push_failure(guest, codes[i]);
        rc = hvcore_vcpu_run(vcpu, NULL, &x, &e);
        CU_ASSERT(rc == -HVCORE_E_BACKEND || (known && rc == codes[i]));
        if (rc != -HVCORE_E_BACKEND && !(known && rc == codes[i]))
            printf("\n    enter() returns %d, run %d", codes[i], rc);
        WANT(e.code, rc);
        CU_ASSERT(strlen(e.message) > 5 && !strchr(e.message, '\n'));
        WANT(e.domain, HVCORE_DOMAIN_RUN);
        WANT(e.pc, PC);
        /* The guest's state is as it was, and it can run. */
        for (uint32_t r = 1; r < 32; r++)
            WANT(get(REG_X(r)), 0x100 + r);
        WANT(get(HVCORE_REG_RISCV64_PC), PC);
        WANT(get(HVCORE_REG_RISCV64_VSCAUSE), 0);
        WANT(get(HVCORE_REG_RISCV64_VSTVEC), VEC);
        WANT(get(HVCORE_REG_RISCV64_VSSTATUS) & SIE, SIE);
        WANT(goes_on_at(), PC);
        WANT(stats().runs, 1); /* those that returned an exit */
        down();
    }
    /* A record too small to say why: nothing behind it is touched. */
    for (uint32_t size = 0; size < sizeof(hvcore_error); size += 4) {
        hvcore_error *small = malloc(size < 4 ? 4 : size);

        up();
        memcpy(small, &size, 4);
        toy_push_failure(guest, -HVCORE_E_SYS);
        CU_ASSERT(hvcore_vcpu_run(vcpu, NULL, &exit_, small) < 0);
        free(small);
        down();
    }
    /* A cancel is not lost on a run that fails. */
    up();
    toy.fail[TOY_ENTER] = -HVCORE_E_SYS;
    CU_ASSERT(run() < 0);
    OK(hvcore_vcpu_cancel(vcpu, 8));
    toy.fail[TOY_ENTER] = 0;
    WANT(run(), HVCORE_EXIT_CANCELLED);
    cancelled(8, PC);
    down();
}

static void failing_slots(void)
{
    /* Loading registers fails in the middle of a redirect: nothing of the trap has happened. */
    up();
    push(toy_trap(2, VU, 0));
    toy.fail[TOY_SYS_LOAD] = -HVCORE_E_SYS;
    CU_ASSERT(run() < 0);
    toy.fail[TOY_SYS_LOAD] = 0;
    WANT(get(HVCORE_REG_RISCV64_PC), PC);
    WANT(get(HVCORE_REG_RISCV64_VSCAUSE), 0);
    WANT(goes_on_at(), PC);
    down();
    /* Registers that cannot be read or written are an error of the call. */
    up();
    (void)goes_on_at();
    toy.fail[TOY_SYS_LOAD] = -HVCORE_E_SYS;
    CU_ASSERT(hvcore_reg_get_u64(vcpu, HVCORE_REG_RISCV64_VSATP, &(uint64_t){0}) < 0);
    toy.fail[TOY_SYS_LOAD] = 0;
    WANT(get(HVCORE_REG_RISCV64_VSATP), 0);
    down();
    /* Storing fails before the guest runs: what was written stays written. */
    up();
    set(REG_VSSCRATCH, 0x1234);
    toy.fail[TOY_SYS_STORE] = -HVCORE_E_SYS;
    CU_ASSERT(run() < 0);
    WANT(toy.calls[TOY_ENTER], 0);
    toy.fail[TOY_SYS_STORE] = 0;
    WANT(get(REG_VSSCRATCH), 0x1234);
    WANT(goes_on_at(), PC);
    WANT(guest->hw.vsscratch, 0x1234);
    down();
    /* A register that could not be written is not written later either. */
    up();
    set(REG_VSSCRATCH, 1);
    toy.fail[TOY_SYS_STORE] = -HVCORE_E_SYS;
    WANT(hvcore_reg_set_u64(vcpu, REG_VSSCRATCH, 2), -HVCORE_E_SYS);
    toy.fail[TOY_SYS_STORE] = 0;
    WANT(goes_on_at(), PC);
    WANT(guest->hw.vsscratch, 1);
    down();
    up();
    toy.fail[TOY_DETACH] = -HVCORE_E_SYS;
    WANT(hvcore_vcpu_detach(vcpu), -HVCORE_E_SYS);
    toy.fail[TOY_DETACH] = 0;
    OK(hvcore_vcpu_detach(vcpu));
    down();
}

/* Events that no contract allows: an error or an exit, never harm. */
static void mad_events(void)
{
    for (int i = 0; i < 9; i++) {
        hvcore_event e = toy_trap(2, VS, 0);
        int rc;

        e.pc = PC;
        switch (i) {
        case 0:
            e.kind = 99;
            break;
        case 1:
            e.kind = HVCORE_EVENT_FAILED;
            e.syndrome = 0x77;
            break;
        case 2:
            e.cls = 64;
            break;
        case 3:
            e.cls = UINT32_MAX;
            break;
        case 4:
            e.mode = 2;
            break;
        case 5:
            e.mode = UINT32_MAX;
            break;
        case 6:
            e.insn_len = UINT32_MAX;
            break;
        case 7:
            e.have = UINT32_MAX;
            break;
        default:
            e.size = 0;
        }
        up();
        push(e);
        push(toy_trap(9, VS, 0));
        rc = run();
        CU_ASSERT(rc < 0 || rc == HVCORE_EXIT_TRAP);
        if (i < 4)
            WANT(rc, -HVCORE_E_BACKEND);
        if (rc < 0)
            WANT(get(HVCORE_REG_RISCV64_PC), PC);
        down();
    }
    /* Limits that nobody has set. */
    for (uint32_t kind = HVCORE_EVENT_DEADLINE; kind <= HVCORE_EVENT_INSN_LIMIT; kind++) {
        hvcore_event e = toy_trap(0, VS, 0);
        const hvcore_exit *x = NULL;
        int rc;

        e.kind = kind;
        e.pc = PC;
        up();
        push(e);
        push(toy_trap(9, VS, 0));
        rc = hvcore_vcpu_run(vcpu, NULL, &x, NULL);
        CU_ASSERT(rc == -HVCORE_E_BACKEND || (!rc && x->reason != HVCORE_EXIT_NONE));
        down();
    }
    /* Kicks for no reason: the guest goes on. */
    up();
    for (int i = 0; i < 10; i++) {
        hvcore_event e = toy_trap(0, VS, 0);

        e.kind = HVCORE_EVENT_KICKED;
        push(e);
    }
    WANT(goes_on_at(), PC);
    down();
}

/* --- registers -------------------------------------------------------------------------------- */
static void registers(void)
{
    hvcore_reg reg, parsed;
    uint32_t n = 0, gprs = 0, csrs = 0, fprs = 0;
    uint64_t value = 0;

    up();
    for (; (reg = hvcore_reg_at(HVCORE_ARCH_RISCV64, n)) != 0; n++) {
        const char *name = hvcore_reg_name(HVCORE_ARCH_RISCV64, reg);
        uint32_t cls = reg >> 24, index = reg >> 8 & 0xffff;
        uint64_t probe[] = {0, 1, UINT64_C(0x1234567890abcde0), UINT64_MAX};

        CU_ASSERT_PTR_NOT_NULL_FATAL(name);
        WANT(reg & 0xff, 8);
        CU_ASSERT(cls >= HVCORE_REG_GPR && cls <= HVCORE_REG_FPR);
        parsed = 0;
        OK(hvcore_reg_parse(HVCORE_ARCH_RISCV64, name, &parsed));
        WANT(parsed, reg);
        for (uint32_t k = 0; k < n; k++)
            CU_ASSERT(hvcore_reg_at(HVCORE_ARCH_RISCV64, k) != reg);
        /* Another width is another register, which does not exist. */
        for (uint32_t width = 0; width < 256; width++)
            if (width != 8) {
                hvcore_reg wrong = (reg & ~0xffu) | width;

                CU_ASSERT_EQUAL(hvcore_reg_get_u64(vcpu, wrong, &value), -HVCORE_E_TYPE);
                CU_ASSERT_EQUAL(hvcore_reg_set_u64(vcpu, wrong, 0), -HVCORE_E_TYPE);
            }
        OK(hvcore_reg_get_u64(vcpu, reg, &value));
        gprs += cls == HVCORE_REG_GPR;
        csrs += cls == HVCORE_REG_CSR;
        fprs += cls == HVCORE_REG_FPR;
        if (reg == REG_HENVCFG) {
            WANT(hvcore_reg_set_u64(vcpu, reg, 0), -HVCORE_E_UNSUPPORTED);
            continue;
        }
        if (cls == HVCORE_REG_MODE) {
            for (uint64_t mode = 0; mode < 2; mode++) {
                set(reg, mode);
                WANT(get(reg), mode);
            }
            WANT(hvcore_reg_set_u64(vcpu, reg, 2), -HVCORE_E_RANGE);
            WANT(hvcore_reg_set_u64(vcpu, reg, UINT64_MAX), -HVCORE_E_RANGE);
            WANT(get(reg), 1);
            continue;
        }
        for (size_t i = 0; i < COUNT(probe); i++) {
            if (reg == HVCORE_REG_RISCV64_PC)
                probe[i] &= ~UINT64_C(1);
            set(reg, probe[i]);
            value = get(reg);
            WANT(value & ~probe[i] & ~(cls == HVCORE_REG_CSR ? UINT64_C(3) << 32 : 0), 0);
            if ((cls == HVCORE_REG_GPR && index && index < 32) || cls == HVCORE_REG_FPR)
                WANT(value, probe[i]);
            if (reg == HVCORE_REG_RISCV64_FCSR)
                WANT(value, probe[i] & 0xff);
            set(reg, value); /* what was read can be written, and stays */
            WANT(get(reg), value);
        }
    }
    WANT(gprs, 33);
    WANT(fprs, 32);
    WANT(csrs, HVCORE_RISCV64_SYS_COUNT + 1);
    WANT(hvcore_reg_at(HVCORE_ARCH_RISCV64, n + 1), 0);
    WANT(hvcore_reg_at(HVCORE_ARCH_RISCV64, UINT32_MAX), 0);
    WANT(hvcore_reg_at(HVCORE_ARCH_NONE, 0), 0);
    WANT(hvcore_reg_at(77, 0), 0);
    WANT(get(REG_X(0)), 0);
    set(HVCORE_REG_RISCV64_PC, PC);

    /* All system registers are there by their numbers, and reach the backend. */
#define HERE(reg_, number) \
    CU_ASSERT_STRING_EQUAL(hvcore_reg_name(HVCORE_ARCH_RISCV64, CSR(number)), #reg_);
    HVCORE_RISCV64_SYS(HERE)
    set(REG_VSSCRATCH, 0xabc);
    WANT(goes_on_at(), PC);
    WANT(guest->hw.vsscratch, 0xabc);
    guest->hw.vsscratch = 0xdef; /* what the guest wrote */
    guest->hw.henvcfg = DTE;
    (void)goes_on_at();
    WANT(get(REG_VSSCRATCH), 0xdef);
    WANT(get(REG_HENVCFG), DTE);

    static const struct {
        const char *name;
        hvcore_reg reg;
    } names[] = {{"zero", REG_X(0)},
                 {"x0", REG_X(0)},
                 {"ra", REG_X(1)},
                 {"sp", REG_X(2)},
                 {"gp", REG_X(3)},
                 {"tp", REG_X(4)},
                 {"t0", REG_X(5)},
                 {"s0", REG_X(8)},
                 {"a0", REG_X(10)},
                 {"x10", REG_X(10)},
                 {"a7", REG_X(17)},
                 {"x17", REG_X(17)},
                 {"s11", REG_X(27)},
                 {"t6", REG_X(31)},
                 {"x31", REG_X(31)},
                 {"pc", HVCORE_REG_RISCV64_PC},
                 {"vsatp", HVCORE_REG_RISCV64_VSATP},
                 {"vstimecmp", HVCORE_REG_RISCV64_VSTIMECMP},
                 {"hvip", HVCORE_REG_RISCV64_HVIP},
                 {"vsie", HVCORE_REG_RISCV64_VSIE},
                 {"fcsr", HVCORE_REG_RISCV64_FCSR},
                 {"f0", HVCORE_REG_RISCV64_F0},
                 {"f31", HVCORE_REG_RISCV64_F0 + (31 << 8)},
                 {"vsstatus", HVCORE_REG_RISCV64_VSSTATUS}};
    for (size_t i = 0; i < COUNT(names); i++) {
        parsed = 0;
        OK(hvcore_reg_parse(HVCORE_ARCH_RISCV64, names[i].name, &parsed));
        WANT(parsed, names[i].reg);
    }
    static const char *const nobody[] = {"",  "x32", "x-1",  "x1 ", " x1", "A0", "a8",
                                         "x", "pcx", "x010", "x00", "s12", "t7", "mstatus"};
    for (size_t i = 0; i < COUNT(nobody); i++) {
        int rc = hvcore_reg_parse(HVCORE_ARCH_RISCV64, nobody[i], &parsed);

        if (rc >= 0)
            printf("\n    \"%s\" is a register", nobody[i]);
        CU_ASSERT(rc == -HVCORE_E_NOTFOUND || (rc == -HVCORE_E_INVAL && !*nobody[i]));
    }
    WANT(hvcore_reg_parse(HVCORE_ARCH_RISCV64, NULL, &parsed), -HVCORE_E_INVAL);
    WANT(hvcore_reg_parse(HVCORE_ARCH_RISCV64, "pc", NULL), -HVCORE_E_INVAL);
    CU_ASSERT(hvcore_reg_parse(77, "pc", &parsed) < 0);

    static const hvcore_reg unknown[] = {0,          8,          0x01002108, 0x0100ff08,
                                         0x02000008, 0x02fff008, 0x03000108, 0x04002008,
                                         0xff000008, 0xffffff08};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        WANT(hvcore_reg_get_u64(vcpu, unknown[i], &value), -HVCORE_E_NOTFOUND);
        WANT(hvcore_reg_set_u64(vcpu, unknown[i], 0), -HVCORE_E_NOTFOUND);
        CU_ASSERT_PTR_NULL(hvcore_reg_name(HVCORE_ARCH_RISCV64, unknown[i]));
    }
    CU_ASSERT_PTR_NULL(hvcore_reg_name(77, REG_X(1)));
    WANT(hvcore_reg_get_u64(NULL, REG_X(1), &value), -HVCORE_E_INVAL);
    WANT(hvcore_reg_get_u64(vcpu, REG_X(1), NULL), -HVCORE_E_INVAL);
    WANT(hvcore_reg_set_u64(NULL, REG_X(1), 0), -HVCORE_E_INVAL);
    down();
}

/* A guest without F and D has the names, not the registers. */
static void no_fp_registers(void)
{
    uint64_t value = 0;

    up();
    set(HVCORE_REG_RISCV64_F0 + (7 << 8), 0x123);
    set(HVCORE_REG_RISCV64_FCSR, 0x1e5);
    WANT(guest->fp.f[7], 0x123);
    WANT(guest->fp.fcsr, 0xe5);
    down();

    toy.no_fp = true;
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_ctx *own = NULL;
    hvcore_vm *bare = NULL;
    hvcore_vcpu *v = NULL;
    OK(hvcore_ctx_create(NULL, &own, NULL));
    OK(hvcore_ctx_backend_add(own, &toy_ops, NULL));
    opts.arch = HVCORE_ARCH_RISCV64;
    opts.backend = "toy";
    OK(hvcore_vm_create(own, &opts, &bare, NULL));
    OK(hvcore_vcpu_create(bare, 0, NULL, &v, NULL));
    WANT(hvcore_reg_get_u64(v, HVCORE_REG_RISCV64_F0, &value), -HVCORE_E_UNSUPPORTED);
    WANT(hvcore_reg_set_u64(v, HVCORE_REG_RISCV64_F0, 1), -HVCORE_E_UNSUPPORTED);
    WANT(hvcore_reg_get_u64(v, HVCORE_REG_RISCV64_FCSR, &value), -HVCORE_E_UNSUPPORTED);
    WANT(hvcore_reg_set_u64(v, HVCORE_REG_RISCV64_FCSR, 1), -HVCORE_E_UNSUPPORTED);
    hvcore_vcpu_unref(v);
    hvcore_vm_unref(bare);
    hvcore_ctx_unref(own);
    toy.no_fp = false;
}

static void register_lists(void)
{
    const hvcore_reg regs[4] = {REG_X(5), HVCORE_REG_RISCV64_VSTVEC, 0x05000008, REG_X(6)};
    const uint64_t values[4] = {55, 0x80, 1, 66};
    uint64_t out[4] = {0};
    size_t done = 99;

    up();
    OK(hvcore_regs_set(vcpu, regs, values, 2, &done));
    WANT(done, 2);
    OK(hvcore_regs_get(vcpu, regs, out, 2, NULL));
    WANT(out[0], 55);
    WANT(out[1], 0x80);
    WANT(hvcore_regs_set(vcpu, regs, values, 4, &done), -HVCORE_E_NOTFOUND);
    WANT(done, 2);
    WANT(get(REG_X(6)), 0);
    WANT(hvcore_regs_get(vcpu, regs, out, 4, &done), -HVCORE_E_NOTFOUND);
    WANT(done, 2);
    OK(hvcore_regs_get(vcpu, regs, out, 0, &done));
    WANT(done, 0);
    WANT(hvcore_regs_get(vcpu, NULL, out, 1, &done), -HVCORE_E_INVAL);
    WANT(hvcore_regs_get(vcpu, regs, NULL, 1, &done), -HVCORE_E_INVAL);
    WANT(hvcore_regs_set(vcpu, NULL, values, 1, &done), -HVCORE_E_INVAL);
    WANT(hvcore_regs_set(vcpu, regs, NULL, 1, &done), -HVCORE_E_INVAL);
    WANT(hvcore_regs_get(NULL, regs, out, 1, &done), -HVCORE_E_INVAL);
    /* A vCPU begins in VS-mode with nothing set. */
    hvcore_vcpu *fresh = NULL;
    OK(hvcore_vcpu_create(vm, 1, NULL, &fresh, NULL));
    for (uint32_t i = 0; i < 33; i++) {
        OK(hvcore_reg_get_u64(fresh, REG_X(i), out));
        WANT(out[0], 0);
    }
    OK(hvcore_reg_get_u64(fresh, HVCORE_REG_RISCV64_MODE, out));
    WANT(out[0], VS);
    hvcore_vcpu_unref(fresh);
    /* An odd pc does not exist: refused, or its bit dropped. */
    (void)hvcore_reg_set_u64(vcpu, HVCORE_REG_RISCV64_PC, PC + 1);
    WANT(get(HVCORE_REG_RISCV64_PC), PC);
    down();
}

/* The mode decides where the guest goes on. */
static void modes(void)
{
    up();
    set(HVCORE_REG_RISCV64_MODE, VU);
    push(toy_trap(8, VU, 0));
    WANT(goes_on_at(), VEC);
    WANT(get(HVCORE_REG_RISCV64_MODE), VS);
    WANT(get(HVCORE_REG_RISCV64_VSSTATUS) & SPP, 0);
    set(HVCORE_REG_RISCV64_MODE, VU);
    OK(run_until(1));
    WANT(exit_->reason, HVCORE_EXIT_DEADLINE);
    CU_ASSERT(!(exit_->have & HVCORE_HAVE_MODE) || exit_->mode == VU);
    WANT(guest->frame.sstatus & SPP, 0);
    down();
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"trap exits, word for word", exit_trap},
        {"causes without a rule", exit_default},
        {"stop", exit_stopped},
        {"halt", exit_halt},
        {"names of exits", exit_names},
        {"linux-guest", linux_guest},
        {"MMIO loads exit", mmio_load_exits},
        {"MMIO stores exit", mmio_store_exits},
        {"MMIO that cannot be decoded", mmio_undecodable},
        {"MMIO callbacks: done", mmio_done},
        {"MMIO callbacks: verdicts", mmio_verdicts},
        {"MMIO ranges", mmio_ranges},
        {"calls from a callback", callback_calls},
        {"completion", completion},
        {"hypercalls", hypercalls},
        {"injection", injection},
        {"double traps", double_traps},
        {"SBI console", sbi_console},
        {"SBI reset", sbi_reset},
        {"deadlines", deadlines},
        {"deadline of a guest that traps", deadline_of_traps},
        {"instruction limits", insn_limits},
        {"cancel from here", cancel_here},
        {"cancel from a thread", cancel_from_thread},
        {"cancel from signal handlers", cancel_from_signal},
        {"two owners", two_owners},
        {"run during a callback", run_in_callback_elsewhere},
        {"pause", pauses},
        {"rules and live policies", policy_rules},
        {"misuse of policies", policy_misuse},
        {"storms", storms},
        {"a kick that comes late", late_kicks},
        {"failing enter()", failing_enter},
        {"failing slots", failing_slots},
        {"mad events", mad_events},
        {"registers", registers},
        {"no FP registers", no_fp_registers},
        {"lists of registers", register_lists},
        {"modes", modes},
        {NULL, NULL},
    };

    return hvc_unit_main("run", tests);
}
