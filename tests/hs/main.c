/* SPDX-License-Identifier: Apache-2.0 */
/* The library on hardware HS-mode, through its public API, on two harts. */
#include "lib/host/mem.h"
#include "tests/hs/equal.h"
#include "tests/hs/world.h"

#define ILLEGAL (UINT64_C(1) << HVCORE_RISCV64_ILLEGAL_INSN)
#define NOWHERE UINT64_C(0x40001000)

/* A page that is mapped apart from the world's memory. */
#define PAGE_GPA UINT64_C(0x90000000)

#define WITH_WORLD(name, vcpus)      \
    static void name##_in(world *w); \
    static void name(void)           \
    {                                \
        world w;                     \
        if (world_guests(&w, vcpus)) \
            name##_in(&w);           \
        world_free(&w);              \
    }                                \
    static void name##_in(world *w)

/* --- one hart --------------------------------------------------------------------------------- */

WITH_WORLD(backend_info, 1)
{
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;

    HS_EQUAL(hvcore_vm_backend_info(w->vm, &info), 0);
    HS_CHECK(memcmp(info.name, "bare", 5) == 0 && memcmp(info.machine, "hs", 3) == 0);
    HS_EQUAL(info.arch, HVCORE_ARCH_RISCV64);
    HS_CHECK(info.caps & HVCORE_CAP_DEADLINE);
    HS_EQUAL(info.delegatable & 0xb1ff, 0xb1ff);
}

/* Each access is an exit: two loads that are completed, one store. */
WITH_WORLD(mmio_exit, 1)
{
    uint64_t value = UINT64_C(0x1122334455667788);
    const hvcore_exit_mmio *m;

    world_go(w, 0, HS_GUEST_MMIO, WORLD_MMIO, 0xcafef00d);
    HS_CHECK(world_run(w, 0, PATIENCE, HVCORE_EXIT_MMIO));
    m = &w->exit->u.mmio;
    HS_CHECK(m->addr == WORLD_MMIO && m->width == 8 && !m->write);
    HS_CHECK(w->exit->flags & HVCORE_EXIT_NEEDS_COMPLETION);
    HS_EQUAL(hvcore_vcpu_complete(w->vcpu[0], &value, 1), 0);
    HS_CHECK(world_run(w, 0, PATIENCE, HVCORE_EXIT_MMIO));
    m = &w->exit->u.mmio;
    HS_CHECK(m->addr == WORLD_MMIO + 8 && m->width == 4 && m->write);
    HS_EQUAL(m->data, 0xcafef00d);
    HS_CHECK(world_run(w, 0, PATIENCE, HVCORE_EXIT_MMIO));
    m = &w->exit->u.mmio;
    HS_CHECK(m->addr == WORLD_MMIO + 16 && m->width == 1 && !m->write);
    value = 0x1f0;
    HS_EQUAL(hvcore_vcpu_complete(w->vcpu[0], &value, 1), 0);
    HS_CHECK(world_run(w, 0, PATIENCE, HVCORE_EXIT_SHUTDOWN));
    HS_EQUAL(world_x(w, 0, REG_S0), UINT64_C(0x1122334455667788));
    HS_EQUAL(world_x(w, 0, REG_S1), (uint64_t)-16);
}

static uint64_t stored;

static uint32_t device_read(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                            uint64_t *value)
{
    (void)vcpu;
    (void)width;
    *value = *(uint64_t *)user + (gpa - WORLD_MMIO);
    return HVCORE_MMIO_DONE;
}

static uint32_t device_write(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                             uint64_t value)
{
    (void)user;
    (void)vcpu;
    stored = value << 16 | (gpa - WORLD_MMIO) << 8 | width;
    return HVCORE_MMIO_DONE;
}

static const hvcore_mmio_ops device = {
    .size = sizeof(device), .read = device_read, .write = device_write};

WITH_WORLD(mmio_callback, 1)
{
    uint64_t base = 0x40;

    HS_EQUAL(hvcore_vm_mmio_add(w->vm, WORLD_MMIO, 0x1000, &device, &base, NULL, &w->err), 0);
    world_go(w, 0, HS_GUEST_MMIO, WORLD_MMIO, 0x1234);
    HS_CHECK(world_run(w, 0, PATIENCE, HVCORE_EXIT_SHUTDOWN));
    HS_EQUAL(world_x(w, 0, REG_S0), 0x40);
    HS_EQUAL(world_x(w, 0, REG_S1), 0x50);
    HS_EQUAL(stored, UINT64_C(0x12340804));
}

static char heard[64];
static size_t heard_len;

static void hear(void *user, hvcore_vcpu *vcpu, const char *bytes, size_t len)
{
    (void)user;
    (void)vcpu;
    for (size_t i = 0; i < len && heard_len < sizeof(heard); i++)
        heard[heard_len++] = bytes[i];
}

WITH_WORLD(sbi_and_console, 1)
{
    static const char hello[] = HS_GUEST_HELLO;

    heard_len = 0;
    HS_EQUAL(hvcore_vm_console_set(w->vm, hear, NULL), 0);
    world_go(w, 0, HS_GUEST_SBI, 0, 0);
    HS_CHECK(world_run(w, 0, PATIENCE, HVCORE_EXIT_SHUTDOWN));
    HS_EQUAL(world_x(w, 0, REG_S0), 0);
    HS_EQUAL(world_x(w, 0, REG_S1) >> 24, 2); /* SBI 2.0 */
    HS_EQUAL(world_x(w, 0, REG_S2), (uint64_t)-2);
    HS_EQUAL(world_x(w, 0, REG_S2 + 1), 0);
    HS_EQUAL(world_x(w, 0, REG_S2 + 2), sizeof(hello) - 1);
    HS_EQUAL(heard_len, sizeof(hello) - 1);
    HS_EQUAL(memcmp(heard, hello, heard_len), 0);
}

/* A fetch without memory is cause 20; the guest sees what a machine without memory there shows: 1.
 */
WITH_WORLD(fetch_from_nowhere, 1)
{
    world_go(w, 0, HS_GUEST_FETCH, NOWHERE, 0);
    HS_CHECK(world_run(w, 0, PATIENCE, HVCORE_EXIT_SHUTDOWN));
    HS_EQUAL(world_x(w, 0, REG_S0), HVCORE_RISCV64_INSN_ACCESS);
    HS_EQUAL(world_x(w, 0, REG_S1), NOWHERE);
    HS_EQUAL(world_x(w, 0, REG_S2), NOWHERE);
    HS_EQUAL(world_x(w, 0, REG_S2 + 1) & 0x120, 0x100); /* SPP: from VS; SPIE: was off */
    HS_EQUAL(world_counts(w, 0, HVCORE_RISCV64_INSN_GUEST_PAGE).redirected, 1);
}

/* Runs of a moment, until s0 is above `least`: on a busy machine a moment may be over at once. */
static void run_until(world *w, uint32_t n, uint64_t least)
{
    uint64_t until = hvcore_clock_ns() + PATIENCE * MS;

    while (world_run(w, n, 5, HVCORE_EXIT_DEADLINE) && world_x(w, n, REG_S0) <= least)
        if (hvcore_clock_ns() > until) {
            hs_fail("the guest does not get on");
            return;
        }
}

WITH_WORLD(deadline, 1)
{
    world_go(w, 0, HS_GUEST_SPIN, 0, 0);
    for (int i = 0; i < 3 && !hs_failed(); i++) {
        uint64_t before = hvcore_clock_ns();

        run_until(w, 0, world_x(w, 0, REG_S0));
        HS_CHECK(hvcore_clock_ns() >= before + 5 * MS);
    }
}

/* Each runs a moment, the other's state lies in memory meanwhile. */
WITH_WORLD(two_vcpus_one_hart, 2)
{
    world_go(w, 0, HS_GUEST_SAME, UINT64_C(0x1111222233334444), 0);
    world_go(w, 1, HS_GUEST_SAME, UINT64_C(0xaaaabbbbccccddd0), 0);
    for (uint32_t i = 0; i < 40 && !hs_failed(); i++)
        run_until(w, i & 1, world_x(w, i & 1, REG_S0));
    HS_EQUAL(world_x(w, 0, REG_S1), 0);
    HS_EQUAL(world_x(w, 1, REG_S1), 0);
}

/* --- hostile guests --------------------------------------------------------------------------- */

WITH_WORLD(no_trap_vector, 1)
{
    world_go(w, 0, HS_GUEST_LOST, 0, 0);
    HS_CHECK(world_run(w, 0, PATIENCE, HVCORE_EXIT_STORM));
    HS_EQUAL(w->exit->u.storm.kind, HVCORE_STORM_VECTOR);
}

/* Its page faults are delegated: the hart alone goes round and round, only time ends that. */
WITH_WORLD(table_of_itself, 1)
{
    world_go(w, 0, HS_GUEST_SELF, WORLD_DATA, 0);
    HS_CHECK(world_run(w, 0, 20, HVCORE_EXIT_DEADLINE));
}

/* The same in software: a storm. */
WITH_WORLD(table_of_itself_redirected, 1)
{
    HS_CHECK(world_policy(w, UINT64_C(1) << HVCORE_RISCV64_INSN_PAGE, HVCORE_DO_REDIRECT));
    world_go(w, 0, HS_GUEST_SELF, WORLD_DATA, 0);
    HS_CHECK(world_run(w, 0, PATIENCE, HVCORE_EXIT_STORM));
}

/* --- two harts -------------------------------------------------------------------------------- */

WITH_WORLD(mailbox, 2)
{
    enum { ROUNDS = 2000 };
    remote pong;

    world_go(w, 0, HS_GUEST_PING, WORLD_DATA, ROUNDS);
    world_go(w, 1, HS_GUEST_PONG, WORLD_DATA, ROUNDS);
    remote_start(&pong, w, 1, PATIENCE);
    world_run(w, 0, PATIENCE, HVCORE_EXIT_SHUTDOWN);
    HS_CHECK(remote_end(&pong, HVCORE_EXIT_SHUTDOWN));
    HS_EQUAL(world_x(w, 0, REG_S0), ROUNDS);
    HS_EQUAL(world_x(w, 1, REG_S0), ROUNDS);
}

static _Atomic uint32_t cancels;

static void run_until_token_0(void *arg)
{
    world *w = arg;
    const hvcore_exit *exit;
    uint32_t token = 1;

    while (token && !hs_failed()) {
        if (hvcore_vcpu_run(w->vcpu[0], NULL, &exit, NULL) != 0 ||
            exit->reason != HVCORE_EXIT_CANCELLED)
            hs_fail("not cancelled");
        token = exit->u.cancelled.token;
        atomic_store(&cancels, token);
    }
    hvcore_vcpu_detach(w->vcpu[0]);
}

/* Each cancel ends the run that goes on, or the next one, and no other. */
WITH_WORLD(cancel_from_the_other_hart, 1)
{
    enum { ROUNDS = 5000 };

    cancels = 0;
    world_go(w, 0, HS_GUEST_SPIN, 0, 0);
    hs_start(run_until_token_0, w);
    for (uint32_t i = 1; i <= ROUNDS && !hs_failed(); i++) {
        for (uint32_t pause = hs_random() % 1024; pause; pause--)
            __asm__ volatile("nop");
        hvcore_vcpu_cancel(w->vcpu[0], i);
        if (!hs_wait_word(&cancels, i, PATIENCE))
            hs_fail("cancel %u is lost (last seen %u)", i, cancels);
    }
    hvcore_vcpu_cancel(w->vcpu[0], 0);
    if (hs_wait(PATIENCE))
        HS_CHECK(world_run(w, 0, 5, HVCORE_EXIT_DEADLINE)); /* nothing is left over */
}

/* Waits until the guest's counter at WORLD_DATA moves on; its value, 0 if it does not. */
static uint32_t moves(world *w)
{
    uint32_t before = world_word(w, WORLD_DATA), now = before;
    uint64_t until = hvcore_clock_ns() + PATIENCE * MS;

    while (now == before && hvcore_clock_ns() < until)
        now = world_word(w, WORLD_DATA);
    if (now == before)
        hs_fail("the guest does not move");
    return now == before ? 0 : now;
}

static bool stands(world *w)
{
    uint32_t before = world_word(w, WORLD_DATA);

    hs_sleep_us(3000);
    return world_word(w, WORLD_DATA) == before;
}

WITH_WORLD(unmap_under_a_running_guest, 1)
{
    hvcore_map_opts opts = HVCORE_MAP_OPTS_INIT;
    hvcore_mem *mem;
    remote r;
    bool stood;

    HS_EQUAL(hvcore_mem_alloc(w->ctx, HVCORE_PAGE_SIZE, 0, &mem, &w->err), 0);
    opts.gpa = PAGE_GPA;
    HS_EQUAL(hvcore_vm_map(w->vm, mem, &opts, &w->err), 0);
    hvcore_mem_unref(mem);
    world_go(w, 0, HS_GUEST_POLL, PAGE_GPA + 8, WORLD_DATA);
    remote_start(&r, w, 0, PATIENCE);
    moves(w);
    if (hvcore_vm_unmap(w->vm, PAGE_GPA, HVCORE_PAGE_SIZE, &w->err) != 0)
        hs_fail("unmap: %s", w->err.message);
    stood = stands(w); /* from the moment that unmap returns */
    HS_CHECK(remote_end(&r, HVCORE_EXIT_MMIO));
    HS_CHECK(stood);
    HS_EQUAL(r.exit.u.mmio.addr, PAGE_GPA + 8);
}

WITH_WORLD(pause_and_resume, 1)
{
    remote r;
    bool stood = true;

    world_go(w, 0, HS_GUEST_POLL, WORLD_DATA + 64, WORLD_DATA);
    remote_start(&r, w, 0, PATIENCE);
    for (int i = 0; i < 20 && moves(w); i++) {
        hvcore_vm_pause(w->vm);
        stood = stood && stands(w);
        hvcore_vm_resume(w->vm);
    }
    HS_CHECK(remote_cancel(&r));
    HS_CHECK(stood);
}

/* The counts of a cause that a running guest raises all the time, a moment apart. */
static uint64_t redirects_in_a_moment(world *w)
{
    uint64_t before = world_counts(w, 0, HVCORE_RISCV64_ILLEGAL_INSN).redirected;

    moves(w);
    moves(w); /* what made the first one may have been counted before */
    hs_sleep_us(1000);
    return world_counts(w, 0, HVCORE_RISCV64_ILLEGAL_INSN).redirected - before;
}

WITH_WORLD(policy_swapped_while_running, 1)
{
    uint64_t in_hardware = 0, in_software = 1;
    remote r;

    HS_CHECK(world_policy(w, ILLEGAL, HVCORE_DO_DELEGATE));
    world_go(w, 0, HS_GUEST_TRAPS, 0, WORLD_DATA);
    remote_start(&r, w, 0, PATIENCE);
    for (int i = 0; i < 20 && moves(w); i++) {
        in_hardware += redirects_in_a_moment(w);
        if (!world_policy(w, ILLEGAL, HVCORE_DO_REDIRECT))
            break;
        in_software = in_software && redirects_in_a_moment(w);
        if (!world_policy(w, ILLEGAL, HVCORE_DO_DELEGATE))
            break;
    }
    HS_CHECK(remote_cancel(&r));
    HS_EQUAL(in_hardware, 0);
    HS_CHECK(in_software);
}

/* --- redirect equals delegate ----------------------------------------------------------------- */

/* Misaligned accesses (4, 6) are done by QEMU's hardware; soft has them. */
static void redirect_equals_delegate(void)
{
    static const uint32_t causes[] = {1, 2, 3, 5, 7, 8, 12, 13, 15};

    for (unsigned i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
        equal_case(causes[i], HVCORE_RISCV64_VU);
        if (causes[i] != HVCORE_RISCV64_ECALL_U)
            equal_case(causes[i], HVCORE_RISCV64_VS);
    }
}

void image_main(void)
{
    static const hs_test tests[] = {
        {"backend info", backend_info},
        {"mmio exit", mmio_exit},
        {"mmio callback", mmio_callback},
        {"sbi and console", sbi_and_console},
        {"fetch from nowhere", fetch_from_nowhere},
        {"deadline", deadline},
        {"two vCPUs on one hart", two_vcpus_one_hart},
        {"no trap vector", no_trap_vector},
        {"a page table of itself", table_of_itself},
        {"a page table of itself, redirected", table_of_itself_redirected},
        {"redirect equals delegate", redirect_equals_delegate},
        {"mailbox between two harts", mailbox},
        {"cancel from the other hart", cancel_from_the_other_hart},
        {"unmap under a running guest", unmap_under_a_running_guest},
        {"pause and resume", pause_and_resume},
        {"policy swapped while running", policy_swapped_while_running},
        {NULL, NULL},
    };

    hs_run(tests);
}
