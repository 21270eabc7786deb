/* SPDX-License-Identifier: Apache-2.0 */
/* The test images' common part. */
#include "tests/hs/image.h"

#include "lib/host/metal.h"
#include "tests/hs/sbi.h"

#define CPUS 2
#define TIMEBASE_HZ 10000000 /* QEMU virt */

extern char image_arena[], image_arena_end[];
extern void image_secondary_entry(void);
void image_boot(uint64_t hartid) __attribute__((noreturn));
void image_secondary(uint64_t hartid, uint64_t cpu) __attribute__((noreturn));

static uint64_t hartids[CPUS];

static struct {
    hvc_lock console;
    const char *name;
    char at[64];
    _Atomic uint32_t failed, skipped; /* the running test */
    unsigned passes, failures, skips;
} test;

static struct {
    void (*run)(void *);
    void *arg;
    _Atomic uint32_t posted, done;
} job = {.done = 1};

/* --- console and protocol --------------------------------------------------------------------- */

static void write_line(const char *text)
{
    hvc_host_lock(&test.console);
    while (*text)
        sbi_putchar(*text++);
    sbi_putchar('\n');
    hvc_host_unlock(&test.console);
}

void hs_say(const char *fmt, ...)
{
    char line[320];
    va_list ap;

    va_start(ap, fmt);
    hvc_vformat(line, sizeof(line), fmt, ap);
    va_end(ap);
    write_line(line);
}

void hs_fail(const char *fmt, ...)
{
    char why[256];
    va_list ap;

    va_start(ap, fmt);
    hvc_vformat(why, sizeof(why), fmt, ap);
    va_end(ap);
    if (!atomic_exchange(&test.failed, 1))
        hs_say("not ok %s: %s%s", test.name, test.at, why);
}

void hs_skip(const char *why)
{
    if (!atomic_exchange(&test.skipped, 1))
        hs_say("skip %s: %s", test.name, why);
}

void hs_at(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    hvc_vformat(test.at, sizeof(test.at), fmt, ap);
    va_end(ap);
}

bool hs_failed(void)
{
    return atomic_load(&test.failed) != 0;
}

static void run_one(const hs_test *t)
{
    test.name = t->name;
    test.at[0] = 0;
    test.failed = 0;
    test.skipped = 0;
    t->run();
    if (test.failed)
        test.failures++;
    else if (test.skipped)
        test.skips++;
    else {
        test.passes++;
        hs_say("ok %s", t->name);
    }
}

static _Noreturn void finish(void)
{
    hs_say("%u passed, %u failed, %u skipped", test.passes, test.failures, test.skips);
    sbi_shutdown();
    for (;;)
        __asm__ volatile("wfi");
}

static void panic(const char *what, uint64_t cause, uint64_t pc, uint64_t value)
{
    test.console.word = 0; /* whoever had it, will not need it any more */
    hs_say("not ok %s: panic: %s: cause 0x%llx at 0x%llx, value 0x%llx",
           test.name ? test.name : "boot", what, (unsigned long long)cause, (unsigned long long)pc,
           (unsigned long long)value);
    test.failures++;
    finish();
}

/* --- the second hart -------------------------------------------------------------------------- */

void hs_start(void (*run)(void *), void *arg)
{
    job.run = run;
    job.arg = arg;
    atomic_store(&job.done, 0);
    atomic_store(&job.posted, 1);
    hvc_host_unpark(&job.posted);
}

bool hs_done(void)
{
    return atomic_load(&job.done) != 0;
}

bool hs_wait_word(_Atomic uint32_t *word, uint32_t value, uint64_t ms)
{
    uint64_t until = hvc_host_now() + ms * 1000000;

    while (atomic_load(word) != value)
        if (hvc_host_now() >= until)
            return false;
    return true;
}

bool hs_wait(uint64_t ms)
{
    if (hs_wait_word(&job.done, 1, ms))
        return true;
    hs_fail("the other hart is still busy after %u ms", (unsigned)ms);
    return false;
}

void image_secondary(uint64_t hartid, uint64_t cpu)
{
    (void)hartid;
    (void)cpu;
    for (;;) {
        while (!atomic_load(&job.posted))
            hvc_host_park(&job.posted, 0, HVC_FOREVER);
        atomic_store(&job.posted, 0);
        job.run(job.arg);
        atomic_store(&job.done, 1);
    }
}

/* A test that has left the other hart busy has failed, and none can follow. */
void hs_run(const hs_test *tests)
{
    for (; tests->name; tests++) {
        run_one(tests);
        if (!hs_done())
            panic("the other hart is still busy", 0, 0, 0);
    }
}

void hs_sleep_us(uint64_t us)
{
    uint64_t until = hvc_host_now() + us * 1000;

    while (hvc_host_now() < until)
        continue;
}

uint32_t hs_random(void)
{
    static uint32_t seed = 2463534242;

    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

/* --- the ground ------------------------------------------------------------------------------- */

static uint32_t cpu_index(void)
{
    uint64_t index;

    __asm__("mv %0, tp" : "=r"(index));
    return (uint32_t)index;
}

static void ipi(uint32_t cpu)
{
    sbi_send_ipi(hartids[cpu]);
}

static const hvc_metal_config config_base = {
    .time_hz = TIMEBASE_HZ,
    .cpus = CPUS,
    .cpu = cpu_index,
    .ipi = ipi,
    .alarm = sbi_set_timer,
    .panic = panic,
};

/* Any other hart that exists becomes CPU 1. */
static bool start_second(uint64_t self)
{
    for (uint64_t hartid = 0; hartid < 8; hartid++) {
        hartids[1] = hartid;
        if (hartid != self &&
            sbi_hart_start(hartid, (uint64_t)(uintptr_t)image_secondary_entry, 1) == 0)
            return true;
    }
    return false;
}

void image_boot(uint64_t hartid)
{
    hvc_metal_config config = config_base;

    config.arena = image_arena;
    config.arena_size = (size_t)(image_arena_end - image_arena);
    hartids[0] = hartid;
    if (hvc_metal_init(&config) != 0 || !start_second(hartid))
        panic("no second hart", 0, 0, hartid);
    image_main();
    finish();
}
