/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a trap costs the guest, in instructions: firmware, hypervisor and the guest's own handler of
 * HS_GUEST_HANDLER instructions together. Run with -icount shift=0 on one thread, where `cycle`
 * counts the instructions of the hart whatever its mode, and the result is the same each time.
 */
#include "tests/hs/world.h"

enum { TIMES = 1000 };

/* What the guest executes in its loop (hs_guests.h). */
enum { ILLEGAL = 0, EBREAK = 1, NOP = 2, LOAD = 3, CALL = 4 };

static uint64_t cycles(world *w, uint32_t what)
{
    world_go(w, 0, HS_GUEST_FIGURE, what, TIMES);
    hvcore_reg_set_u64(w->vcpu[0], HVCORE_REG_RISCV64_X0 + (12 << 8), WORLD_MMIO);
    return world_run(w, 0, 20000, HVCORE_EXIT_SHUTDOWN) ? world_x(w, 0, REG_S0) : 0;
}

/* One instruction more than nothing: the loop around it is taken off. */
static void print(world *w, const char *name, uint32_t what)
{
    uint64_t all = cycles(w, what), loop = cycles(w, NOP);

    if (!hs_failed())
        hs_say("figure %s %u", name, (unsigned)((all - loop + TIMES / 2) / TIMES));
}

static uint32_t read_zero(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                          uint64_t *value)
{
    (void)user;
    (void)vcpu;
    (void)gpa;
    (void)width;
    *value = 0;
    return HVCORE_MMIO_DONE;
}

static const hvcore_mmio_ops device = {.size = sizeof(device), .read = read_zero};

static void measure(world *w, uint64_t causes)
{
    if (world_policy(w, causes, HVCORE_DO_DELEGATE)) {
        print(w, "illegal-delegated", ILLEGAL);
        print(w, "ebreak-delegated", EBREAK);
    }
    if (world_policy(w, causes, HVCORE_DO_REDIRECT)) {
        print(w, "illegal-redirected", ILLEGAL);
        print(w, "ebreak-redirected", EBREAK);
    }
    print(w, "sbi-call", CALL);
    if (hvcore_vm_mmio_add(w->vm, WORLD_MMIO, 0x1000, &device, NULL, NULL, &w->err) == 0)
        print(w, "mmio-callback", LOAD);
}

static void figures(void)
{
    uint64_t causes = UINT64_C(1) << HVCORE_RISCV64_ILLEGAL_INSN | UINT64_C(1)
                                                                       << HVCORE_RISCV64_BREAKPOINT;
    world w;

    if (world_guests(&w, 1))
        measure(&w, causes);
    world_free(&w);
}

void image_main(void)
{
    static const hs_test tests[] = {{"figures", figures}, {NULL, NULL}};

    hs_run(tests);
}
