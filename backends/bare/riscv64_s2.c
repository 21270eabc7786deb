/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage-2 address spaces: Sv39x4 (Priv. 21.5.1). Tables are in the machine's memory, because its
 * PEs walk them. Changes happen while no PE is inside the guest; entries are still written whole,
 * since a hart may speculate.
 */
#include "backends/bare/riscv64.h"

enum {
    LEVELS = 3,
    ROOT_ENTRIES = 2048, /* 11 bits of index at the top level */
    ENTRIES = 512,
    TABLE = 4096,
    ROOT = ROOT_ENTRIES * 8,
    CHUNK = 128 * 1024,
    SPLIT_RESERVE = 2 * (LEVELS - 1) /* tables that cutting out a range needs: both ends, each
                                        level */
};

#define GPA_END (UINT64_C(1) << HVC_S2_GPA_BITS)
#define PTE_PPN (((UINT64_C(1) << 44) - 1) << HVC_PTE_PPN_SHIFT)
#define PTE_RWX (HVC_PTE_R | HVC_PTE_W | HVC_PTE_X)

static uint64_t level_size(unsigned level)
{
    return UINT64_C(1) << (12 + 9 * level);
}

static unsigned index_of(uint64_t gpa, unsigned level)
{
    unsigned mask = level == LEVELS - 1 ? ROOT_ENTRIES - 1 : ENTRIES - 1;
    return (unsigned)(gpa >> (12 + 9 * level)) & mask;
}

static uint64_t pte_pa(uint64_t pte)
{
    return (pte & PTE_PPN) >> HVC_PTE_PPN_SHIFT << 12;
}

static uint64_t table_pte(uint64_t pa)
{
    return pa >> 12 << HVC_PTE_PPN_SHIFT | HVC_PTE_V;
}

/* A and D are set from the start: nobody asks for them, and a hart without Svadu would fault. */
static uint64_t leaf_pte(uint64_t pa, uint32_t prot)
{
    static const uint64_t bits[] = {HVC_PTE_R, HVC_PTE_W, HVC_PTE_X};
    uint64_t pte = table_pte(pa) | HVC_PTE_U | HVC_PTE_A | HVC_PTE_D;
    for (unsigned i = 0; i < 3; i++) {
        pte |= prot >> i & 1 ? bits[i] : 0;
    }
    return pte;
}

static bool is_leaf(uint64_t pte)
{
    return pte & PTE_RWX;
}

static _Atomic uint64_t *table_at(const hvc_s2 *s2, uint64_t pa)
{
    return (_Atomic uint64_t *)(void *)hvc_port_pa_ptr(s2->machine, pa);
}

static void set_entry(_Atomic uint64_t *entry, uint64_t pte)
{
    atomic_store_explicit(entry, pte, memory_order_release);
}

static uint64_t get_entry(_Atomic uint64_t *entry)
{
    return atomic_load_explicit(entry, memory_order_relaxed);
}

/* ---- table pages ----------------------------------------------------------------------------- */

static void give_table(hvc_s2 *s2, uint64_t pa)
{
    set_entry(table_at(s2, pa), s2->free);
    s2->free = pa;
    s2->free_count++;
}

/* The pages from `from` to `to`. */
static void give_tables(hvc_s2 *s2, uint64_t from, uint64_t to)
{
    for (uint64_t pa = from; pa + TABLE <= to; pa += TABLE) {
        give_table(s2, pa);
    }
}

/* One more chunk; the first `skip` bytes of it are not table pages. Returns its address. */
static int add_chunk(hvc_s2 *s2, uint64_t skip, uint64_t *pa)
{
    int fd = -1, sys_errno, rc;
    hvc_s2_chunk *c = hvc_host_alloc(sizeof(*c));
    if (!c) {
        return -HVCORE_E_NOMEM;
    }
    rc = hvc_host_gmem_map(CHUNK, &fd, 0, &c->host, &sys_errno);
    if (rc) {
        hvc_host_free(c);
        return -HVCORE_E_NOMEM;
    }
    rc = hvc_port_bank_add(s2->machine, c->host, CHUNK, TABLE, &c->pa);
    if (rc) {
        hvc_host_gmem_unmap(c->host, CHUNK, -1);
        hvc_host_free(c);
        return rc;
    }
    c->next = s2->chunks;
    s2->chunks = c;
    *pa = (c->pa + (skip ? ROOT - 1 : 0)) & ~(uint64_t)(skip ? ROOT - 1 : 0);
    give_tables(s2, c->pa, *pa);
    s2->free_count -= (s2->fresh_end - s2->fresh) / TABLE;
    give_tables(s2, s2->fresh, s2->fresh_end);
    s2->fresh = *pa + skip;
    s2->fresh_end = c->pa + CHUNK;
    s2->free_count += (s2->fresh_end - s2->fresh) / TABLE;
    return 0;
}

/* Have at least n table pages free. */
static int reserve(hvc_s2 *s2, uint64_t n)
{
    uint64_t pa;
    int rc = 0;
    while (s2->free_count < n && !rc) {
        rc = add_chunk(s2, 0, &pa);
    }
    return rc;
}

/* An empty table; there is one in reserve. */
static uint64_t take_table(hvc_s2 *s2)
{
    uint64_t pa = s2->free;
    s2->free_count--;
    if (!pa) { /* fresh ones are zero, and not touched before they are needed */
        pa = s2->fresh;
        s2->fresh += TABLE;
        return pa;
    }
    _Atomic uint64_t *t = table_at(s2, pa);
    s2->free = get_entry(&t[0]);
    for (unsigned i = 0; i < ENTRIES; i++) {
        set_entry(&t[i], 0);
    }
    return pa;
}

int hvc_s2_create(hvc_s2 *s2, hvc_machine *machine)
{
    *s2 = (hvc_s2){.machine = machine};
    return add_chunk(s2, ROOT, &s2->root);
}

void hvc_s2_destroy(hvc_s2 *s2)
{
    while (s2->chunks) {
        hvc_s2_chunk *c = s2->chunks;
        s2->chunks = c->next;
        hvc_port_bank_remove(s2->machine, c->pa, CHUNK);
        hvc_host_gmem_unmap(c->host, CHUNK, -1);
        hvc_host_free(c);
    }
}

/* ---- map ------------------------------------------------------------------------------------- */

/* Replace a leaf by a table of smaller leaves that say the same. */
static void split(hvc_s2 *s2, _Atomic uint64_t *entry, unsigned level)
{
    uint64_t pte = get_entry(entry), pa = take_table(s2);
    _Atomic uint64_t *t = table_at(s2, pa);
    uint64_t step = level_size(level - 1) >> 12 << HVC_PTE_PPN_SHIFT;
    for (unsigned i = 0; i < ENTRIES; i++) {
        set_entry(&t[i], pte + i * step);
    }
    set_entry(entry, table_pte(pa));
}

/* The largest leaf that both addresses and the length allow. */
static unsigned best_level(uint64_t gpa, uint64_t pa, uint64_t len)
{
    unsigned level = LEVELS - 1;
    while (level && ((gpa | pa) & (level_size(level) - 1) || len < level_size(level))) {
        level--;
    }
    return level;
}

static int put_leaf(hvc_s2 *s2, uint64_t gpa, uint64_t pte, unsigned level)
{
    uint64_t table = s2->root;
    int rc = reserve(s2, LEVELS - 1);
    if (rc) {
        return rc;
    }
    for (unsigned l = LEVELS - 1; l > level; l--) {
        _Atomic uint64_t *entry = &table_at(s2, table)[index_of(gpa, l)];
        if (!get_entry(entry)) {
            set_entry(entry, table_pte(take_table(s2)));
        }
        table = pte_pa(get_entry(entry));
    }
    set_entry(&table_at(s2, table)[index_of(gpa, level)], pte);
    return 0;
}

int hvc_s2_map(hvc_s2 *s2, uint64_t gpa, uint64_t pa, uint64_t len, uint32_t prot)
{
    uint64_t done = 0;
    if (gpa >= GPA_END || len > GPA_END - gpa) {
        return -HVCORE_E_RANGE;
    }
    while (done < len) {
        unsigned level = best_level(gpa + done, pa + done, len - done);
        int rc = put_leaf(s2, gpa + done, leaf_pte(pa + done, prot), level);
        if (rc) {
            hvc_s2_change(s2, gpa, done, 0, NULL, NULL); /* whole leaves: needs no memory */
            return rc;
        }
        done += level_size(level);
    }
    return 0;
}

/* ---- change ---------------------------------------------------------------------------------- */

static bool empty(const hvc_s2 *s2, uint64_t table)
{
    _Atomic uint64_t *t = table_at(s2, table);
    for (unsigned i = 0; i < ENTRIES; i++) {
        if (get_entry(&t[i])) {
            return false;
        }
    }
    return true;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A change on its way down the tables. */
typedef struct change {
    hvc_s2 *s2;
    uint32_t prot;
    hvc_s2_lost *lost;
    struct hvcore_bk_vm *vm;
} change;

static void change_leaf(const change *c, _Atomic uint64_t *entry, uint64_t size)
{
    uint64_t pa = pte_pa(get_entry(entry));
    set_entry(entry, c->prot ? leaf_pte(pa, c->prot) : 0);
    if (!c->prot && c->lost) {
        c->lost(c->vm, pa, size);
    }
}

/* The entries of one table that a range covers; recursion is as deep as there are levels. */
static void change_table(const change *c, uint64_t table, unsigned level, uint64_t gpa,
                         uint64_t len)
{
    uint64_t size = level_size(level), n;
    for (; len; gpa += n, len -= n) {
        _Atomic uint64_t *entry = &table_at(c->s2, table)[index_of(gpa, level)];
        n = min64(size - (gpa & (size - 1)), len);
        if (is_leaf(get_entry(entry)) && n == size) {
            change_leaf(c, entry, size);
            continue;
        }
        if (is_leaf(get_entry(entry))) {
            split(c->s2, entry, level);
        }
        uint64_t below = pte_pa(get_entry(entry));
        if (below) {
            change_table(c, below, level - 1, gpa, n);
            if (empty(c->s2, below)) {
                set_entry(entry, 0);
                give_table(c->s2, below);
            }
        }
    }
}

int hvc_s2_change(hvc_s2 *s2, uint64_t gpa, uint64_t len, uint32_t prot, hvc_s2_lost *lost,
                  struct hvcore_bk_vm *vm)
{
    const change c = {.s2 = s2, .prot = prot, .lost = lost, .vm = vm};
    if (gpa >= GPA_END) {
        return 0;
    }
    len = min64(len, GPA_END - gpa);
    int rc = len ? reserve(s2, SPLIT_RESERVE) : 0;
    if (!rc) {
        change_table(&c, s2->root, LEVELS - 1, gpa, len);
    }
    return rc;
}
