/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that goes while four vCPUs load from it, store to it and execute it as fast as they can:
 * once hvcore_vm_unmap() or _protect() has returned, no access may succeed any more. The guests say
 * where they are by a heartbeat; what was taken away is poisoned, and poison must neither be seen
 * nor change nor be executed. HVC_UNMAP_ROUNDS: how often.
 */
#include "tests/unit/guest.h"

#include <stdatomic.h>

#define REGION UINT64_C(0x90000000)
#define PAGES 16
#define CPUS 4
#define VECTOR (RAM + 0x8000)
#define BEAT(i) (DATA + 0x1000 * (i))
#define POISON UINT64_C(0xe7e7e7e7e7e7e7e7)
#define GOOD UINT64_C(0x600d600d600d600d)
#define ABSENT UINT64_C(0xab5e17ab5e17ab5e)
#define GOOD_CODE 7
#define POISON_CODE 99
#define REG_X(n) (HVCORE_REG_RISCV64_X0 | (uint32_t)(n) << 8)

static guest g;
static hvcore_mem *region;
static uint8_t *host;

static uint64_t rounds(void)
{
    const char *text = getenv("HVC_UNMAP_ROUNDS");
    return text ? strtoull(text, NULL, 0) : 15;
}

/* --- the guest -------------------------------------------------------------------------------- */

/*
 * Each turn takes the next page: load its word 1, store to its word 8 + i, call its function. a7
 * counts poison that was loaded or executed, a6 what was found, a5 what was absent. The vector
 * returns to the caller.
 */
static void put_guest(void)
{
    rv_code c = guest_code(&g, VECTOR);
    rv_put(&c, rv_jalr(0, RV_RA, 0));
    c = guest_code(&g, RAM);
    rv_li(&c, RV_S0, REGION);
    rv_li(&c, RV_S2, POISON);
    rv_li(&c, RV_S3, ABSENT);
    rv_li(&c, RV_S5, POISON_CODE);
    rv_li(&c, RV_T0, VECTOR);
    rv_put(&c, rv_csrw(CSR_STVEC, RV_T0));
    rv_li(&c, RV_S1, DATA);
    rv_put(&c, rv_slli(RV_T1, RV_A0, 12));
    rv_put(&c, rv_add(RV_S1, RV_S1, RV_T1));
    rv_put(&c, rv_slli(RV_S4, RV_A0, 3));
    uint64_t loop = rv_here(&c);
    rv_put(&c, rv_addi(RV_A4, RV_A4, 1));
    rv_put(&c, rv_sd(RV_A4, 0, RV_S1));
    rv_put(&c, rv_andi(RV_T2, RV_A4, PAGES - 1));
    rv_put(&c, rv_slli(RV_T2, RV_T2, 12));
    rv_put(&c, rv_add(RV_T2, RV_T2, RV_S0));
    rv_put(&c, rv_ld(RV_T3, 8, RV_T2));
    rv_put(&c, rv_bne(RV_T3, RV_S2, 8));
    rv_put(&c, rv_addi(RV_A7, RV_A7, 1));
    rv_put(&c, rv_bne(RV_T3, RV_S3, 12));
    rv_put(&c, rv_addi(RV_A5, RV_A5, 1));
    rv_put(&c, rv_jal(0, 8));
    rv_put(&c, rv_addi(RV_A6, RV_A6, 1));
    rv_put(&c, rv_add(RV_T4, RV_T2, RV_S4));
    rv_put(&c, rv_sd(RV_A4, 64, RV_T4));
    rv_put(&c, rv_addi(RV_A0, 0, 0));
    rv_put(&c, rv_jalr(RV_RA, RV_T2, 256));
    rv_put(&c, rv_bne(RV_A0, RV_S5, 8));
    rv_put(&c, rv_addi(RV_A7, RV_A7, 1));
    rv_put(&c, rv_jal(0, rv_to(&c, loop)));
}

/* --- the host --------------------------------------------------------------------------------- */

static _Atomic uint64_t *word(uint64_t page, uint64_t n)
{
    return (_Atomic uint64_t *)(void *)(host + page * PAGE + n * 8);
}

/* The function of a page in one store, and the words around it. */
static void fill(uint64_t value, uint32_t code)
{
    uint64_t function = rv_addi(RV_A0, 0, (int32_t)code) | (uint64_t)rv_jalr(0, RV_RA, 0) << 32;
    for (uint64_t page = 0; page < PAGES; page++) {
        atomic_store_explicit(word(page, 32), function, memory_order_relaxed);
        for (uint64_t n = 0; n < 8 + CPUS; n++)
            atomic_store_explicit(word(page, n), value, memory_order_relaxed);
    }
}

static bool untouched(uint64_t value)
{
    for (uint64_t page = 0; page < PAGES; page++) {
        for (uint64_t n = 0; n < 8 + CPUS; n++) {
            if (atomic_load_explicit(word(page, n), memory_order_relaxed) != value)
                return false;
        }
    }
    return true;
}

static uint64_t beat(uint32_t i)
{
    return atomic_load_explicit(guest_word(&g, BEAT(i)), memory_order_relaxed);
}

/* Each vCPU has gone round all pages since. */
static void wait_for_all(void)
{
    for (uint32_t i = 0; i < CPUS; i++) {
        uint64_t from = beat(i);
        while (beat(i) < from + PAGES + 2)
            guest_nap(20000);
    }
}

static void *cpu_main(void *arg)
{
    guest_thread *t = arg;
    uint64_t absent = ABSENT;
    for (;;) {
        int reason = guest_run(&g, t->i, 0, 0);
        if (reason != HVCORE_EXIT_MMIO)
            return NULL;
        const hvcore_exit *e = g.exit[t->i];
        if (e->u.mmio.addr < REGION || e->u.mmio.addr >= REGION + PAGES * PAGE)
            return NULL;
        if (e->flags & HVCORE_EXIT_NEEDS_COMPLETION)
            OK(hvcore_vcpu_complete(g.cpu[t->i], &absent, 1));
    }
}

static void map_region(void)
{
    hvcore_map_opts opts = HVCORE_MAP_OPTS_INIT;
    opts.gpa = REGION;
    fill(GOOD, GOOD_CODE);
    OK(hvcore_vm_map(g.vm, region, &opts, NULL));
}

/* Without W and X: what is stored and executed from now on is not this. */
static void check_protect(void)
{
    OK(hvcore_vm_protect(g.vm, REGION, PAGES * PAGE, HVCORE_PROT_R, NULL));
    fill(GOOD, POISON_CODE);
    wait_for_all();
    CU_ASSERT(untouched(GOOD));
    fill(GOOD, GOOD_CODE);
    OK(hvcore_vm_protect(g.vm, REGION, PAGES * PAGE, HVCORE_PROT_RWX, NULL));
    wait_for_all();
}

static void check_unmap(void)
{
    OK(hvcore_vm_unmap(g.vm, REGION, PAGES * PAGE, NULL));
    fill(POISON, POISON_CODE);
    wait_for_all();
    CU_ASSERT(untouched(POISON));
}

/* Half of it goes, the other half works on. */
static void check_half(void)
{
    OK(hvcore_vm_unmap(g.vm, REGION, PAGES / 2 * PAGE, NULL));
    fill(GOOD, GOOD_CODE);
    for (uint64_t page = 0; page < PAGES / 2; page++) {
        atomic_store_explicit(word(page, 1), POISON, memory_order_relaxed);
        atomic_store_explicit(word(page, 8), POISON, memory_order_relaxed);
    }
    wait_for_all();
    for (uint64_t page = 0; page < PAGES; page++) {
        bool gone = page < PAGES / 2;
        CU_ASSERT_EQUAL(atomic_load(word(page, 8)) == POISON, gone);
    }
}

static void test_unmap(void)
{
    guest_thread t[CPUS];
    pthread_t thread[CPUS];
    if (!guest_up(&g, "bare", CPUS, 0, 0))
        return;
    OK(hvcore_mem_alloc(g.ctx, PAGES * PAGE, 0, &region, NULL));
    host = hvcore_mem_ptr(region);
    put_guest();
    for (uint32_t i = 0; i < CPUS; i++) {
        t[i] = (guest_thread){&g, i};
        if (pthread_create(&thread[i], NULL, cpu_main, &t[i]))
            abort();
    }
    for (uint64_t n = 0; n < rounds(); n++) {
        map_region();
        wait_for_all();
        if (n % 3 == 1)
            check_protect();
        if (n % 3 == 2)
            check_half();
        check_unmap();
    }
    for (uint32_t i = 0; i < CPUS; i++)
        OK(hvcore_vcpu_cancel(g.cpu[i], 1));
    uint64_t found = 0, absent = 0;
    for (uint32_t i = 0; i < CPUS; i++) {
        pthread_join(thread[i], NULL);
        OK(g.rc[i]);
        WANT(g.exit[i]->reason, HVCORE_EXIT_CANCELLED);
        WANT(guest_reg(&g, i, REG_X(RV_A7)), 0);
        found += guest_reg(&g, i, REG_X(RV_A6));
        absent += guest_reg(&g, i, REG_X(RV_A5));
    }
    CU_ASSERT(found > 0 && absent > 0); /* both worlds were there */
    printf("%llu found, %llu absent ... ", (unsigned long long)found, (unsigned long long)absent);
    hvcore_mem_unref(region);
    guest_down(&g);
}

static const hvc_unit_test tests[] = {
    {"unmapping under load", test_unmap},
    {NULL, NULL},
};

int main(void)
{
    signal(SIGALRM, guest_stuck);
    alarm(rounds() > 100 ? 0 : 140);
    return hvc_unit_main("soft riscv64: unmapping under load", tests);
}
