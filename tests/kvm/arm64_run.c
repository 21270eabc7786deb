/* SPDX-License-Identifier: Apache-2.0 */
/* The kvm backend on arm64: PSCI, calls, memory, cancel and deadline, statistics. */
#include <dirent.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backends/kvm/uapi.h"
#include "tests/kvm/arm64.h"

#define STORED UINT64_C(0x1122334455667788)

/* ---- PSCI ----------------------------------------------------------------------------------- */

enum { CPU_OFF = 0x84000002u, SYSTEM_OFF = 0x84000008u, SYSTEM_RESET = 0x84000009u };
#define CPU_ON UINT64_C(0xc4000003)

GUEST(psci, "hvc #0\n str x0, [x29]\n mov x0, x20\n hvc #0\n b .\n");
GUEST(second, "movz x1, #0x0a00, lsl #16\n str x0, [x1]\n b .\n");

static void psci(uint64_t last, uint32_t reason)
{
    machine m;
    runner other;
    const hvcore_reg mpidr = SYS(3, 0, 0, 0, 5);

    if (!make(&m, 2))
        return;
    LOAD(&m, psci);
    put_code(&m, RAM + SECOND, guest_second, guest_second_end);
    put_u64(m.cpu[0], X(0), CPU_ON);
    put_u64(m.cpu[0], X(1), get_u64(m.cpu[1], mpidr) & UINT64_C(0xff00ffffff));
    put_u64(m.cpu[0], X(2), RAM + SECOND);
    put_u64(m.cpu[0], X(3), STORED);
    put_u64(m.cpu[0], X(20), last);
    if (run_beside(&other, m.cpu[1])) {
        sleep_ms(20);
        SAYS(m.cpu[0], 0);
        const hvcore_exit *x = join(&other);
        WANT_EXIT(x, HVCORE_EXIT_MMIO);
        SAME(x->u.mmio.data, STORED);
        x = go(m.cpu[0]);
        WANT_EXIT(x, reason);
        SAME(x->u.reset.type, reason == HVCORE_EXIT_RESET);
    }
    unmake(&m);
}

static void psci_off(void)
{
    psci(SYSTEM_OFF, HVCORE_EXIT_SHUTDOWN);
}

static void psci_reset(void)
{
    psci(SYSTEM_RESET, HVCORE_EXIT_RESET);
}

GUEST(touch, "ldr x0, [x1]\n str x0, [x29]\n b .\n");

/* ---- calls that the kernel hands on --------------------------------------------------------- */

#define CALL UINT64_C(0xc6004a01) /* a hypervisor's own (SMCCC 1.4, 6.1) */

/* The library has no call for the filter yet; the VM is a descriptor of this process. */
static int descriptor_of_vm(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *d;
    int fd = -1;

    while (dir && fd < 0 && (d = readdir(dir)) != NULL) {
        char target[64] = "";

        if (readlinkat(dirfd(dir), d->d_name, target, sizeof(target) - 1) > 0 &&
            !strcmp(target, "anon_inode:kvm-vm"))
            fd = atoi(d->d_name);
    }
    if (dir)
        closedir(dir);
    return fd;
}

static bool forward_calls(void)
{
    const hvc_kvm_smccc_filter filter = {
        .base = (uint32_t)CALL & ~UINT32_C(0xff),
        .nr_functions = 0x100,
        .action = HVC_KVM_SMCCC_FILTER_FWD,
    };
    const struct kvm_device_attr attr = {
        .group = HVC_KVM_ARM_VM_SMCCC_CTRL,
        .attr = HVC_KVM_ARM_VM_SMCCC_FILTER,
        .addr = (uintptr_t)&filter,
    };

    return ioctl(descriptor_of_vm(), KVM_SET_DEVICE_ATTR, &attr) == 0;
}

GUEST(calls, "hvc #0\n"
             "str x0, [x29]\n str x1, [x29]\n str x2, [x29]\n str x3, [x29]\n"
             "mov x0, x20\n"
             "smc #0\n"
             "str x0, [x29]\n b .\n");

static void is_call(machine *m, uint64_t at, uint64_t conduit)
{
    const hvcore_exit *x = go(m->cpu[0]);

    WANT_EXIT(x, HVCORE_EXIT_HYPERCALL);
    SAME(x->flags, HVCORE_EXIT_NEEDS_COMPLETION | HVCORE_EXIT_PC_ADVANCED);
    SAME(x->have, HVCORE_HAVE_PC);
    SAME(x->pc, at);
    SAME(x->u.hypercall.nr, CALL);
    SAME(x->u.hypercall.fid, conduit);
    for (uint32_t i = 0; i < 6; i++) {
        SAME(x->u.hypercall.arg[i], get_u64(m->cpu[0], X(i + 1)));
    }
    SAME(x->u.hypercall.arg[0], STORED + 1);
    SAME(get_u64(m->cpu[0], PC), at + 4);
}

static void calls(void)
{
    const uint64_t answer[] = {STORED, 2, 3, 4};
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, calls);
    if (!forward_calls()) {
        unmake(&m);
        SKIP("this kernel's KVM has no SMCCC filter");
    }
    put_u64(m.cpu[0], X(0), CALL);
    put_u64(m.cpu[0], X(20), CALL);
    for (uint32_t i = 1; i <= 6; i++) {
        put_u64(m.cpu[0], X(i), STORED + i);
    }
    is_call(&m, RAM + CODE, 0);
    const hvcore_exit *x;
    FAILS(hvcore_vcpu_run(m.cpu[0], NULL, &x, NULL), HVCORE_E_STATE);
    SAME(hvcore_vcpu_complete(m.cpu[0], answer, 4), 0);
    for (int i = 0; i < 4; i++) {
        SAYS(m.cpu[0], answer[i]);
    }
    put_u64(m.cpu[0], X(1), STORED + 1);
    is_call(&m, RAM + CODE + 24, 1);
    OK(hvcore_vcpu_deny(m.cpu[0], &e));
    SAYS(m.cpu[0], UINT64_MAX); /* NOT_SUPPORTED */
    unmake(&m);
}

/* ---- memory --------------------------------------------------------------------------------- */

GUEST(loop_load, "1: ldr x0, [x1]\n b 1b\n");
GUEST(loop_store, "1: add x0, x0, #1\n str x0, [x1]\n b 1b\n");

static void unmap_below(void)
{
    hvcore_map_opts at = HVCORE_MAP_OPTS_INIT;
    hvcore_mem *mem = NULL;
    machine m;
    runner r;

    if (!make(&m, 1))
        return;
    at.gpa = HOLE;
    OK(hvcore_mem_alloc(m.ctx, 0x10000, 0, &mem, &e));
    OK(hvcore_vm_map(m.vm, mem, &at, &e));
    LOAD(&m, loop_load);
    put_u64(m.cpu[0], X(1), HOLE + 0x40);
    if (run_beside(&r, m.cpu[0])) {
        sleep_ms(30);
        OK(hvcore_vm_unmap(m.vm, HOLE, 0x10000, &e));
        const hvcore_exit *x = join(&r);
        WANT_EXIT(x, HVCORE_EXIT_MMIO);
        SAME(x->u.mmio.addr, HOLE + 0x40);
        SAME(x->u.mmio.write, 0);
    }
    hvcore_mem_unref(mem);
    unmake(&m);
}

static void protect_below(void)
{
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    machine m;
    runner r;

    if (!make(&m, 1))
        return;
    SAME(hvcore_vm_backend_info(m.vm, &info), 0);
    SAME(info.caps & HVCORE_CAP_READONLY, HVCORE_CAP_READONLY);
    LOAD(&m, loop_store);
    put_u64(m.cpu[0], X(1), RAM + DATA);
    if (run_beside(&r, m.cpu[0])) {
        uint64_t value = 0;

        sleep_ms(30);
        OK(hvcore_vm_protect(m.vm, RAM + DATA, 0x1000, HVCORE_PROT_R | HVCORE_PROT_X, &e));
        const hvcore_exit *x = join(&r);
        WANT_EXIT(x, HVCORE_EXIT_MMIO);
        SAME(x->u.mmio.addr, RAM + DATA);
        SAME(x->u.mmio.write, 1);
        SAME(hvcore_vm_read(m.vm, RAM + DATA, &value, sizeof(value)), 0);
        SAME(value, x->u.mmio.data - 1); /* the last one that was let through */
    }
    unmake(&m);
}

/* The guest's own: user space never hears of it. */
static void fetch_outside(void)
{
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, touch);
    put_u64(m.cpu[0], PC, HOLE);
    TAKES(m.cpu[0], VECTOR_SYNC);
    SAME(ESR(m.cpu[0]) >> EC_SHIFT, EC_IABT);
    SAME(ESR(m.cpu[0]) & FSC, FSC_EXTERNAL);
    SAME(ELR(m.cpu[0]), HOLE);
    unmake(&m);
}

/* ---- cancel, deadline ----------------------------------------------------------------------- */

GUEST(spin, "b .\n");
GUEST(sleep, "1: wfi\n b 1b\n");

static void cancel(machine *m, int cpu)
{
    runner r;

    if (!run_beside(&r, m->cpu[cpu]))
        return;
    sleep_ms(30);
    SAME(hvcore_vcpu_cancel(m->cpu[cpu], 77), 0);
    const hvcore_exit *x = join(&r);
    WANT_EXIT(x, HVCORE_EXIT_CANCELLED);
    SAME(x->u.cancelled.token, 77);
    SAME(hvcore_vcpu_cancel(m->cpu[cpu], 78), 0); /* sticky */
    x = go(m->cpu[cpu]);
    WANT_EXIT(x, HVCORE_EXIT_CANCELLED);
    SAME(x->u.cancelled.token, 78);
}

static void deadline(machine *m, int cpu)
{
    uint64_t begin = hvcore_clock_ns();

    WANT_EXIT(go_for(m->cpu[cpu], 50), HVCORE_EXIT_DEADLINE);
    uint64_t took = hvcore_clock_ns() - begin;
    check_that(took >= 50 * MS && took < 2000 * MS, __FILE__, __LINE__,
               "a deadline of 50 ms took %llu us", (unsigned long long)(took / 1000));
}

static void stop_spinning(void)
{
    machine m;

    if (!make(&m, 1))
        return;
    LOAD(&m, spin);
    cancel(&m, 0);
    deadline(&m, 0);
    SAME(get_u64(m.cpu[0], PC), RAM + CODE);
    unmake(&m);
}

static void stop_sleeping(void)
{
    machine m;

    if (!make(&m, 2))
        return;
    LOAD(&m, sleep);
    cancel(&m, 0);
    deadline(&m, 0);
    cancel(&m, 1); /* it is off */
    deadline(&m, 1);
    unmake(&m);
}

/* ---- what the kernel counts ----------------------------------------------------------------- */

static void statistics(void)
{
    hvcore_kernel_stat s = HVCORE_KERNEL_STAT_INIT;
    uint64_t exits = 0, user = 0;
    uint32_t n = 0;
    machine m;
    int rc;

    if (!make(&m, 1))
        return;
    LOAD(&m, touch);
    put_u64(m.cpu[0], X(1), HOLE);
    WANT_EXIT(go(m.cpu[0]), HVCORE_EXIT_MMIO);
    while ((rc = hvcore_vm_kernel_stat(m.vm, 0, n, &s, &e)) == 0) {
        exits = strcmp(s.name, "exits") ? exits : s.value;
        user = strcmp(s.name, "mmio_exit_user") ? user : s.value;
        n++;
    }
    SAME(rc, -HVCORE_E_NOTFOUND);
    CHECK(n > 5);
    CHECK(exits > 0);
    SAME(user, 1);
    OK(hvcore_vm_kernel_stat(m.vm, UINT32_MAX, 0, &s, &e));
    unmake(&m);
}

int main(void)
{
    static const check_test tests[] = {
        {"psci_off", psci_off},
        {"psci_reset", psci_reset},
        {"calls", calls},
        {"unmap_below", unmap_below},
        {"protect_below", protect_below},
        {"fetch_outside", fetch_outside},
        {"stop_spinning", stop_spinning},
        {"stop_sleeping", stop_sleeping},
        {"statistics", statistics},
        {NULL, NULL},
    };

    return check_all(tests);
}
