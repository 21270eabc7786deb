/* SPDX-License-Identifier: Apache-2.0 */
/* The machine as a whole: its facts, and memory in banks. */
#include "backends/bare/soft/soft.h"

#include "lib/host/mem.h"

#define FIRST_PA UINT64_C(0x80000000) /* an address near zero is a mistake of somebody */
#define FIRST_ROOM 16

static soft_banks *table_of(hvc_machine *m)
{
    return atomic_load_explicit(&m->banks, memory_order_acquire);
}

static soft_banks *new_table(const soft_banks *old, uint32_t room)
{
    soft_banks *t = hvc_host_alloc(sizeof *t + room * sizeof t->bank[0]);
    if (!t)
        return NULL;
    t->room = room;
    if (old) {
        memcpy(t->bank, old->bank, old->count * sizeof t->bank[0]);
        atomic_init(&t->count, old->count);
    }
    return t;
}

static void free_tables(soft_banks *t)
{
    while (t) {
        soft_banks *older = t->older;
        hvc_host_free(t);
        t = older;
    }
}

/* The architecture's set; this implementation has no causes of its own. */
static uint64_t all_delegatable(void)
{
    uint32_t both = HVC_CAUSE_DELEGATABLE | HVC_CAUSE_CUSTOM;
    uint64_t set = 0;
    for (uint32_t cause = 0; cause < HVCORE_RISCV64_CAUSES; cause++) {
        if ((hvc_riscv64_causes[cause].facts & both) == HVC_CAUSE_DELEGATABLE)
            set |= HVC_BIT(cause);
    }
    return set;
}

#define ISA_KNOWN                                                                         \
    (HVCORE_RISCV64_ISA_DEFAULT | HVCORE_RISCV64_ISA_SVADU | HVCORE_RISCV64_ISA_SVNAPOT | \
     HVCORE_RISCV64_ISA_SVPBMT | HVCORE_RISCV64_ISA_BASE)

/* What menvcfg would allow. */
uint64_t hvc_soft_henvcfg_rw(uint64_t isa)
{
    static const struct {
        uint64_t isa, bits;
    } rows[] = {
        {HVCORE_RISCV64_ISA_SSTC, HVC_HENVCFG_STCE},
        {HVCORE_RISCV64_ISA_SVADU, HVC_HENVCFG_ADUE},
        {HVCORE_RISCV64_ISA_SVPBMT, HVC_HENVCFG_PBMTE},
        {HVCORE_RISCV64_ISA_ZICBO, HVC_HENVCFG_CBIE | HVC_HENVCFG_CBCFE | HVC_HENVCFG_CBZE},
    };
    uint64_t set = HVC_HENVCFG_FIOM;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        set |= isa & rows[i].isa ? rows[i].bits : 0;
    return set;
}

int hvc_soft_machine_create(hvc_machine **out, const hvc_port_config *config)
{
    uint32_t max_pes = config->max_pes;
    uint64_t isa = config->isa ? config->isa : HVCORE_RISCV64_ISA_DEFAULT;
    if (isa & ~(uint64_t)(ISA_KNOWN))
        return -HVCORE_E_UNSUPPORTED;
    hvc_machine *m = hvc_host_alloc(sizeof *m + max_pes * sizeof m->slot[0]);
    soft_banks *t = new_table(NULL, FIRST_ROOM);
    if (!m || !t) {
        hvc_host_free(m);
        hvc_host_free(t);
        return -HVCORE_E_NOMEM;
    }
    atomic_init(&m->banks, t);
    m->next_pa = FIRST_PA;
    m->max_pes = max_pes;
    m->lockstep = config->lockstep;
    m->isa = isa;
    hvc_soft_index_init(&m->index, isa);
    m->hedeleg_rw = all_delegatable();
    *out = m;
    return 0;
}

/* All PEs have been released. */
void hvc_soft_machine_destroy(hvc_machine *m)
{
    if (!m)
        return;
    free_tables(table_of(m));
    hvc_host_free(m);
}

/* --- code that the host writes ---------------------------------------------------------------- */

static uint32_t page_bit(uintptr_t host)
{
    return (uint32_t)((uint64_t)host / SOFT_PAGE * UINT64_C(0x9e3779b97f4a7c15) >> 52);
}

_Static_assert(SOFT_CODE_PAGES == 1 << (64 - 52), "page_bit");

void hvc_soft_code_page(hvc_machine *m, const uint8_t *host)
{
    uint32_t bit = page_bit((uintptr_t)host);
    _Atomic uint64_t *set = &m->code_pages[bit / 64];
    if (!(atomic_load_explicit(set, memory_order_relaxed) & HVC_BIT(bit % 64)))
        atomic_fetch_or(set, HVC_BIT(bit % 64));
    atomic_thread_fence(memory_order_seq_cst); /* the code is read after this, see written() */
}

static bool has_code(hvc_machine *m, uintptr_t host)
{
    uint32_t bit = page_bit(host);
    return atomic_load(&m->code_pages[bit / 64]) & HVC_BIT(bit % 64);
}

void hvc_soft_written(hvc_machine *m, const void *host, uint64_t len)
{
    atomic_thread_fence(memory_order_seq_cst); /* either the PE's mark or our bytes are seen */
    uintptr_t last = (uintptr_t)host + len - 1;
    bool found = len / SOFT_PAGE >= SOFT_CODE_PAGES;
    for (uintptr_t at = (uintptr_t)host & ~(SOFT_PAGE - 1); !found && at <= last; at += SOFT_PAGE)
        found = has_code(m, at);
    if (found)
        atomic_fetch_add(&m->code_epoch, 1);
}

/* --- time ------------------------------------------------------------------------------------- */

uint64_t hvc_soft_time(hvc_machine *m)
{
    return (m->lockstep ? atomic_load_explicit(&m->clock, memory_order_relaxed) : hvc_host_now()) /
           SOFT_TICK_NS;
}

/* In lockstep nothing happens by itself. */
uint64_t hvc_soft_time_ns(hvc_machine *m, uint64_t ticks)
{
    return m->lockstep || ticks > UINT64_MAX / SOFT_TICK_NS ? HVC_FOREVER : ticks * SOFT_TICK_NS;
}

void hvc_soft_time_skip(hvc_machine *m, uint64_t ticks)
{
    uint64_t now = atomic_load(&m->clock), then = ticks * SOFT_TICK_NS;
    if (m->lockstep && ticks <= UINT64_MAX / SOFT_TICK_NS && then > now)
        atomic_store(&m->clock, then);
}

void hvc_soft_facts(hvc_machine *m, hvc_port_facts *facts)
{
    *facts = (hvc_port_facts){
        .hedeleg = m->hedeleg_rw,
        .hideleg = HVC_SOFT_VS_INTERRUPTS,
        .henvcfg = hvc_soft_henvcfg_rw(m->isa),
        .guest_sstatus = m->isa & HVCORE_RISCV64_ISA_FD ? HVC_SSTATUS_FS : 0,
        .vmid_bits = HVC_HGATP_VMID_BITS,
        .max_pes = m->max_pes,
        .caps = HVCORE_CAP_INSN_LIMIT | HVCORE_CAP_DELEGATED_COUNT | HVCORE_CAP_DEADLINE |
                HVCORE_CAP_HONOURS_HEDELEG | HVCORE_CAP_LOCKSTEP | HVCORE_CAP_TIMER,
        .firmware_honours = 1,
    };
}

/* --- lookup ----------------------------------------------------------------------------------- */

/* The number of banks that begin at or below pa. */
static uint32_t banks_up_to(const soft_banks *t, uint64_t pa)
{
    uint32_t low = 0, high = atomic_load_explicit(&t->count, memory_order_acquire);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->bank[middle].pa <= pa)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint8_t *hvc_soft_bank_ptr(hvc_machine *m, uint64_t pa, uint64_t size)
{
    const soft_banks *t = table_of(m);
    uint32_t n = banks_up_to(t, pa);
    if (!n)
        return NULL;
    const soft_bank *b = &t->bank[n - 1];
    uint64_t offset = pa - b->pa;
    return offset < b->len && size <= b->len - offset ? b->host + offset : NULL;
}

uint64_t *hvc_soft_pa_ptr(hvc_machine *m, uint64_t pa)
{
    hvc_host_lock(&m->lock);
    uint8_t *p = pa % sizeof(uint64_t) ? NULL : hvc_soft_bank_ptr(m, pa, sizeof(uint64_t));
    hvc_host_unlock(&m->lock);
    return (uint64_t *)(void *)p;
}

/* --- changes ---------------------------------------------------------------------------------- */

static bool is_power_of_two(uint64_t n)
{
    return n && !(n & (n - 1));
}

/* An address for len bytes, or 0. None comes twice: a stale translation hits nothing. */
static uint64_t take_pa(hvc_machine *m, uint64_t len, uint64_t align)
{
    uint64_t limit = HVC_BIT(SOFT_PA_BITS);
    if (align < SOFT_PAGE)
        align = SOFT_PAGE;
    if (align > limit || len > limit)
        return 0;
    uint64_t pa = (m->next_pa + align - 1) & ~(align - 1);
    if (pa > limit - len)
        return 0;
    m->next_pa = pa + len;
    return pa;
}

/* A table with room for one more. */
static soft_banks *roomy_table(hvc_machine *m)
{
    soft_banks *t = table_of(m);
    if (t->count < t->room)
        return t;
    soft_banks *larger = new_table(t, t->room * 2);
    if (larger) {
        larger->older = t;
        atomic_store_explicit(&m->banks, larger, memory_order_release);
    }
    return larger;
}

static int add_locked(hvc_machine *m, soft_bank bank, uint64_t align, uint64_t *pa)
{
    soft_banks *t = roomy_table(m);
    if (!t)
        return -HVCORE_E_NOMEM;
    bank.pa = take_pa(m, bank.len, align);
    if (!bank.pa)
        return -HVCORE_E_LIMIT;
    t->bank[t->count] = bank;
    atomic_store_explicit(&t->count, t->count + 1, memory_order_release);
    *pa = bank.pa;
    return 0;
}

/* Guest pages and words are pages and words of the host: len and host are aligned. */
int hvc_soft_bank_add(hvc_machine *m, void *host, uint64_t len, uint64_t align, uint64_t *pa)
{
    soft_bank bank = {.len = len, .host = host};
    if (!host || (uintptr_t)host % sizeof(uint64_t) || !len || len % SOFT_PAGE ||
        (align && !is_power_of_two(align)))
        return -HVCORE_E_INVAL;
    hvc_host_lock(&m->lock);
    int rc = add_locked(m, bank, align, pa);
    hvc_host_unlock(&m->lock);
    return rc;
}

/* No PE is inside enter, so nobody reads a table without the lock: change it in place. */
void hvc_soft_bank_remove(hvc_machine *m, uint64_t pa, uint64_t len)
{
    hvc_host_lock(&m->lock);
    soft_banks *t = table_of(m);
    uint32_t n = banks_up_to(t, pa), count = t->count;
    if (n && t->bank[n - 1].pa == pa && t->bank[n - 1].len == len) {
        memmove(&t->bank[n - 1], &t->bank[n], (count - n) * sizeof t->bank[0]);
        atomic_store_explicit(&t->count, count - 1, memory_order_release);
        atomic_fetch_add(&m->bank_epoch, 1);
    }
    free_tables(t->older);
    t->older = NULL;
    hvc_host_unlock(&m->lock);
}
