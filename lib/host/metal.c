/* SPDX-License-Identifier: Apache-2.0 */
/* The metal ground: memory from one arena, spinning locks, sleep by WFI and wake by IPI. */
#include "lib/host/metal.h"

#include <hvcore/error.h>
#include <hvcore/mem.h>

#include "lib/host/mem.h"

#if defined(__riscv) && __riscv_xlen == 64
#include "lib/host/metal_riscv64.h"
#else
#error "the metal ground does not know this architecture"
#endif

#define NS_PER_S UINT64_C(1000000000)
#define UNIT 16 /* alignment and granule of the arena */

/* Guest memory of this size is aligned to it, so that stage 2 can use large leaves. */
#define LARGE_PAGE (UINT64_C(2) << 20)

/* A free piece of the arena; the description lies in the piece itself. In the order of addresses,
 * never two that touch. */
struct chunk {
    size_t size;
    struct chunk *next;
};
_Static_assert(sizeof(struct chunk) <= UNIT, "a free granule can describe itself");

/* One CPU. A line of cache each: the owner writes while others look. */
struct cpu {
    _Alignas(64) _Atomic(_Atomic uint32_t *) parked; /* the word that it sleeps on, or NULL */
    uint64_t armed; /* when its timer rings; 0, the past: unknown */
};

static struct {
    hvc_metal_config config;
    hvc_lock lock;
    struct chunk *free;
    struct cpu cpus[HVC_METAL_CPUS];
} metal;

/* --- memory ----------------------------------------------------------------------------------- */

static uintptr_t round_up(uintptr_t value, uintptr_t unit)
{
    return (value + unit - 1) & ~(unit - 1);
}

/* Cuts [at, at + size) out of the piece that *link names. */
static void cut(struct chunk **link, uintptr_t at, size_t size)
{
    struct chunk *piece = *link;
    uintptr_t end = (uintptr_t)piece + piece->size;
    struct chunk *rest = piece->next;

    if (at + size < end) {
        rest = (struct chunk *)(at + size);
        rest->size = end - (at + size);
        rest->next = piece->next;
    }
    if (at > (uintptr_t)piece) {
        piece->size = at - (uintptr_t)piece;
        piece->next = rest;
    } else {
        *link = rest;
    }
}

/* First fit. The size is a multiple of UNIT, the alignment a power of two. */
static void *take(size_t size, size_t align)
{
    void *found = NULL;

    hvc_host_lock(&metal.lock);
    for (struct chunk **link = &metal.free; *link && !found; link = &(*link)->next) {
        uintptr_t at = round_up((uintptr_t)*link, align);
        uintptr_t end = (uintptr_t)*link + (*link)->size;

        if (at <= end && end - at >= size) {
            cut(link, at, size);
            found = (void *)at;
            break;
        }
    }
    hvc_host_unlock(&metal.lock);
    if (found)
        memset(found, 0, size);
    return found;
}

/* Joins `piece` with its successor where they touch. */
static void join(struct chunk *piece)
{
    struct chunk *next = piece->next;

    if (next && (uintptr_t)piece + piece->size == (uintptr_t)next) {
        piece->size += next->size;
        piece->next = next->next;
    }
}

static bool touches(const struct chunk *below, uintptr_t at)
{
    return below && (uintptr_t)below + below->size > at;
}

/* Gives a piece back. What is free already would corrupt the list: better to end here. */
static void give(void *p, size_t size)
{
    struct chunk *piece = p, *below = NULL, *above;

    hvc_host_lock(&metal.lock);
    for (above = metal.free; above && above < piece; above = above->next)
        below = above;
    if (touches(below, (uintptr_t)p) || (above && (uintptr_t)above < (uintptr_t)p + size))
        hvc_metal_panic("free of memory that is free", 0, 0, (uintptr_t)p);
    piece->size = size;
    piece->next = above;
    if (below)
        below->next = piece;
    else
        metal.free = piece;
    join(piece);
    if (below)
        join(below);
    hvc_host_unlock(&metal.lock);
}

/* An allocation is preceded by a granule with its size. */
void *hvc_host_alloc(size_t size)
{
    size_t total = round_up(size, UNIT) + UNIT;
    unsigned char *p;

    if (total <= size)
        return NULL;
    p = take(total, UNIT);
    if (!p)
        return NULL;
    *(size_t *)(void *)p = total;
    return p + UNIT;
}

void hvc_host_free(void *p)
{
    unsigned char *start = p;

    if (!p)
        return;
    start -= UNIT;
    give(start, *(size_t *)(void *)start);
}

int hvc_host_gmem_map(uint64_t len, int *fd, uint64_t offset, void **p, int *sys_errno)
{
    *sys_errno = 0;
    if (*fd != -1 || offset != 0)
        return -HVCORE_E_UNSUPPORTED;
    if (len == 0 || len % HVCORE_PAGE_SIZE != 0)
        return -HVCORE_E_INVAL;
    *p = take(len, len >= LARGE_PAGE ? LARGE_PAGE : HVCORE_PAGE_SIZE);
    return *p ? 0 : -HVCORE_E_NOMEM;
}

void hvc_host_gmem_unmap(void *p, uint64_t len, int fd)
{
    (void)fd;
    if (p)
        give(p, len);
}

/* --- locks ------------------------------------------------------------------------------------ */

void hvc_host_lock(hvc_lock *lock)
{
    while (atomic_exchange_explicit(&lock->word, 1, memory_order_acquire) != 0)
        while (atomic_load_explicit(&lock->word, memory_order_relaxed) != 0)
            hvc_cpu_relax();
}

void hvc_host_unlock(hvc_lock *lock)
{
    atomic_store_explicit(&lock->word, 0, memory_order_release);
}

/* --- time ------------------------------------------------------------------------------------- */

/* In two steps, so that no product needs more than 64 bits. */
uint64_t hvc_host_now(void)
{
    uint64_t hz = metal.config.time_hz, ticks = hvc_cpu_ticks();

    return ticks / hz * NS_PER_S + ticks % hz * NS_PER_S / hz;
}

/* The first tick at which hvc_host_now() >= ns. */
static uint64_t ticks_at(uint64_t ns)
{
    uint64_t hz = metal.config.time_hz, seconds = ns / NS_PER_S;

    if (ns == HVC_FOREVER || seconds >= UINT64_MAX / hz - 1)
        return UINT64_MAX;
    return seconds * hz + (ns % NS_PER_S * hz + NS_PER_S - 1) / NS_PER_S;
}

void hvc_metal_alarm(uint64_t until)
{
    struct cpu *me = &metal.cpus[hvc_host_cpu()];

    if (me->armed == until && until != 0)
        return;
    metal.config.alarm(ticks_at(until));
    me->armed = until;
}

/* --- sleep and wake --------------------------------------------------------------------------- */

uint32_t hvc_host_cpu(void)
{
    return metal.config.cpu();
}

uint32_t hvc_metal_cpus(void)
{
    return metal.config.cpus;
}

void hvc_metal_ipi(uint32_t cpu)
{
    metal.config.ipi(cpu);
}

void hvc_metal_interrupted(void)
{
    hvc_cpu_ack_ipi();
    if (hvc_cpu_timer_pending()) {
        metal.cpus[hvc_host_cpu()].armed = 0; /* it has rung, whatever for */
        hvc_metal_alarm(HVC_FOREVER);
    }
    if (metal.config.interrupt)
        metal.config.interrupt();
}

/*
 * Announce, then look again; unpark does the reverse (its caller changes the word, then it looks at
 * the announcements): one of the two sees the other. An IPI that comes after the second look is
 * pending at WFI, which then does not sleep.
 */
void hvc_host_park(_Atomic uint32_t *word, uint32_t expected, uint64_t until)
{
    struct cpu *me = &metal.cpus[hvc_host_cpu()];
    uint64_t irq = hvc_cpu_mask();

    atomic_store_explicit(&me->parked, word, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(word) == expected && hvc_host_now() < until) {
        hvc_metal_alarm(until);
        hvc_cpu_wait();
    }
    atomic_store_explicit(&me->parked, NULL, memory_order_relaxed);
    hvc_metal_interrupted();
    hvc_cpu_restore(irq);
}

void hvc_host_unpark(_Atomic uint32_t *word)
{
    atomic_thread_fence(memory_order_seq_cst);
    for (uint32_t cpu = 0; cpu < metal.config.cpus; cpu++)
        if (atomic_load_explicit(&metal.cpus[cpu].parked, memory_order_relaxed) == word)
            hvc_metal_ipi(cpu);
}

/* --- the image -------------------------------------------------------------------------------- */

static bool usable(const hvc_metal_config *c)
{
    return c->arena && c->arena_size >= HVCORE_PAGE_SIZE && c->time_hz >= 1 &&
           c->time_hz <= UINT32_MAX && c->cpus >= 1 && c->cpus <= HVC_METAL_CPUS && c->cpu &&
           c->ipi && c->alarm && c->panic;
}

int hvc_metal_init(const hvc_metal_config *config)
{
    uintptr_t start = round_up((uintptr_t)config->arena, UNIT);
    uintptr_t end = ((uintptr_t)config->arena + config->arena_size) & ~(uintptr_t)(UNIT - 1);

    if (!usable(config) || end <= start)
        return -HVCORE_E_INVAL;
    metal.config = *config;
    give((void *)start, end - start);
    return 0;
}

_Noreturn void hvc_metal_panic(const char *what, uint64_t cause, uint64_t pc, uint64_t value)
{
    hvc_cpu_mask();
    if (metal.config.panic)
        metal.config.panic(what, cause, pc, value);
    for (;;)
        hvc_cpu_wait();
}
