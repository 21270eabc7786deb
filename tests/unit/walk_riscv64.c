/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RISC-V walker: the vectors; a second, slow transcription of the algorithm compared over
 * random states; what a TLB does with the answer; page tables and accessors that mean harm.
 */
#include "unit.h"
#include "vectors.h"

#include <hvcore/walk/riscv64.h>

#define BIT(n) (UINT64_C(1) << (n))
#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define MXR BIT(19)
#define SUM BIT(18)
#define ADUE BIT(61)
#define PBMTE BIT(62)
#define SSE BIT(3)
#define SV39 (UINT64_C(8) << 60)
#define SV57 (UINT64_C(10) << 60)

typedef hvcore_riscv64_walk_regs regs_t;
typedef hvcore_riscv64_walk_mem mem_t;
typedef hvcore_riscv64_walk_result result_t;

enum { FETCH, LOAD, STORE, HLVX };
enum { MAX_READS = 5 * (5 + 1) + 5, RETRIES = 16 };

/* ---- the vectors: memory is the image, `deny` are addresses that PMAs forbid ---- */

struct image {
    struct {
        uint64_t pa, pte;
    } word[1024], update[8];
    size_t words, updates, denied;
    uint64_t deny[8];
};

static bool image_denies(const struct image *m, uint64_t pa)
{
    for (size_t i = 0; i < m->denied; i++)
        if (m->deny[i] == pa)
            return true;
    return false;
}

static int image_read(void *user, uint64_t pa, uint64_t *value)
{
    const struct image *m = user;

    *value = 0;
    for (size_t i = 0; i < m->words; i++)
        if (m->word[i].pa == pa)
            *value = m->word[i].pte;
    return image_denies(m, pa);
}

static int image_cas(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    struct image *m = user;
    size_t i = 0;

    if (image_denies(m, pa))
        return 2;
    while (i < m->words && m->word[i].pa != pa)
        i++;
    if (i == m->words || m->word[i].pte != expected)
        return 1;
    m->word[i].pte = desired;
    if (m->updates < COUNT(m->update)) {
        m->update[m->updates].pa = pa;
        m->update[m->updates].pte = desired;
    }
    m->updates++;
    return 0;
}

static int image_check(void *user, uint64_t pa, uint32_t access)
{
    (void)access;
    return image_denies(user, pa);
}

static void image_load(struct image *m, json_object *doc, json_object *vector)
{
    json_object *image = hvc_json_at(doc, "walk_memory_image");

    memset(m, 0, sizeof *m);
    CU_ASSERT_PTR_NOT_NULL_FATAL(image);
    json_object_object_foreach(image, name, value)
    {
        CU_ASSERT_FATAL(m->words < COUNT(m->word));
        m->word[m->words].pa = hvc_vectors_parse_u64(name, "walk_memory_image");
        m->word[m->words++].pte = hvc_json_u64(value, "");
    }
    m->denied = hvc_json_len(vector, "in.deny");
    CU_ASSERT_FATAL(m->denied <= COUNT(m->deny));
    for (size_t i = 0; i < m->denied; i++) {
        char path[32];

        snprintf(path, sizeof path, "in.deny.%zu", i);
        m->deny[i] = hvc_json_u64(vector, path);
    }
}

static uint32_t access_of(const char *name)
{
    static const char *const names[] = {"fetch", "load", "store", "hlvx"};
    uint32_t i = 0;

    while (i < COUNT(names) && strcmp(name, names[i]) != 0)
        i++;
    CU_ASSERT_FATAL(i < COUNT(names));
    return i;
}

static regs_t vector_regs(json_object *v)
{
    bool vu = strcmp(hvc_json_str_or(v, "in.prv", "VS"), "VU") == 0;
    regs_t regs = {
        .vsatp = hvc_json_u64(v, "in.vsatp"),
        .hgatp = hvc_json_u64(v, "in.hgatp"),
        .vsstatus = hvc_json_u64_or(v, "in.vsstatus", 0),
        .sstatus = hvc_json_u64_or(v, "in.sstatus", 0),
        .henvcfg = hvc_json_u64_or(v, "in.henvcfg", 0),
        .menvcfg = hvc_json_u64_or(v, "in.menvcfg", 0),
        .mode = vu ? HVCORE_RISCV64_VU : HVCORE_RISCV64_VS,
    };

    if (hvc_json_u64_or(v, "in.svnapot", 0))
        regs.flags |= HVCORE_RISCV64_WALK_SVNAPOT;
    if (hvc_json_u64_or(v, "in.svrsw", 0))
        regs.flags |= HVCORE_RISCV64_WALK_SVRSW60;
    return regs;
}

/* An access of the vectors may cross a page: the second page has its own walk and its own stval. */
static uint64_t vector_access(json_object *v, struct image *m, result_t *r)
{
    mem_t mem = {m, image_read, image_cas, image_check};
    regs_t regs = vector_regs(v);
    uint32_t access = access_of(hvc_json_str_or(v, "in.acc", ""));
    uint64_t va = hvc_json_u64(v, "in.va");
    uint64_t next = (va + hvc_json_u64(v, "in.size") - 1) & ~UINT64_C(0xfff);
    result_t second;

    hvcore_riscv64_walk(&regs, &mem, va, access, r);
    if (r->fault || next <= va)
        return va;
    hvcore_riscv64_walk(&regs, &mem, next, access, &second);
    if (!second.fault)
        return va;
    *r = second;
    return next;
}

static void vector_compare(json_object *v, const struct image *m, const result_t *r, uint64_t stval)
{
    CU_ASSERT_EQUAL(r->fault, hvc_json_at(v, "out.fault") != NULL);
    if (r->fault) {
        CU_ASSERT_EQUAL(r->cause, hvc_json_u64(v, "out.fault.cause"));
        CU_ASSERT_EQUAL(stval, hvc_json_u64(v, "out.fault.stval"));
        CU_ASSERT_EQUAL(r->htval, hvc_json_u64(v, "out.fault.htval"));
        /* 0 for explicit accesses: the transformation is not the walker's (riscv-traps.md, 8). */
        CU_ASSERT_EQUAL(r->htinst, hvc_json_u64(v, "out.fault.htinst"));
        CU_ASSERT_EQUAL(stval != 0, hvc_json_u64(v, "out.fault.gva"));
    } else {
        CU_ASSERT_EQUAL(r->gpa, hvc_json_u64(v, "out.gpa"));
        CU_ASSERT_EQUAL(r->pa, hvc_json_u64(v, "out.hpa"));
    }
    CU_ASSERT_EQUAL_FATAL(m->updates, hvc_json_len(v, "out.updates"));
    for (size_t i = 0; i < m->updates; i++) {
        json_object *u = json_object_array_get_idx(hvc_json_at(v, "out.updates"), i);

        /* In the image the G-stage tables lie below 2 MiB, those of the VS-stage far above. */
        CU_ASSERT_STRING_EQUAL(hvc_json_str_or(u, "0", ""), m->update[i].pa < BIT(21) ? "G" : "VS");
        CU_ASSERT_EQUAL(hvc_json_u64(u, "1"), m->update[i].pa);
        CU_ASSERT_EQUAL(hvc_json_u64(u, "2"), m->update[i].pte);
    }
}

static void test_vectors(void)
{
    static struct image m;
    json_object *doc = hvc_vectors_open("riscv_vectors.json");
    size_t at = 0, n = 0;

    for (json_object *v; (v = hvc_vectors_next(doc, "walk", &at)); n++) {
        unsigned before = CU_get_number_of_failures();
        result_t r;
        uint64_t stval;

        image_load(&m, doc, v);
        stval = vector_access(v, &m, &r);
        vector_compare(v, &m, &r, stval);
        if (CU_get_number_of_failures() != before)
            fprintf(stderr, "\n    %s: %s", hvc_json_str_or(v, "id", "?"),
                    hvc_json_str_or(v, "name", ""));
    }
    CU_ASSERT_EQUAL(n, 52);
    json_object_put(doc);
}

/*
 * ---- random worlds ----
 *
 * Memory is a function of a seed and the address, under a short list of what was written, so a
 * world costs nothing to make and every pointer leads somewhere. Pages whose address has 1 in its
 * top four bits hold G-stage entries, all others VS-stage entries; pointers come from small pools,
 * where some bits of the address tell the level. How often an entry is wrong, and in what (also in
 * its level, which makes cycles), differs from world to world.
 */
struct world {
    uint64_t seed;
    uint64_t gpa_mask;                   /* addresses that the G-stage accepts */
    uint32_t bad_perm, bad_ad, bad_user; /* out of 256 */
    uint32_t bad_bits, bad_shape, napot, alias, pma, race;
    bool user; /* the VS-stage's leaves mostly have this U */
    struct {
        uint64_t pa, value;
    } written[96], log[96];
    uint32_t nwritten, nlog, reads, swaps;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ (x >> 32);
}

/* Takes `bits` bits from a hash. */
static uint32_t take(uint64_t *h, unsigned bits)
{
    uint32_t v = (uint32_t)(*h & (BIT(bits) - 1));

    *h = *h >> bits | *h << (64 - bits);
    return v;
}

static bool chance(uint64_t *h, uint32_t of_256)
{
    return take(h, 8) < of_256;
}

static bool is_g(uint64_t pa)
{
    return pa >> 52 == 1;
}

static uint64_t not_g(uint64_t pa)
{
    return is_g(pa) ? pa ^ BIT(53) : pa;
}

/* Bits 17:15 of a table's address tell which level it was made for. */
static uint32_t level_of(uint64_t pa)
{
    uint32_t level = (uint32_t)(pa >> 15) & 7;

    return level < 5 ? level : 0;
}

/* A table: one of eight for each stage and level. */
static uint64_t pool(const struct world *w, bool g, uint32_t level, uint32_t which)
{
    uint64_t h = mix(w->seed + which * 16 + level * 2 + g) & 0xffffffffffc000;

    h = (h & ~(BIT(18) - BIT(15))) | (uint64_t)level << 15;
    return g ? (h & (BIT(52) - 1)) | BIT(52) : not_g(h & w->gpa_mask);
}

static uint64_t table_pte(const struct world *w, bool g, uint32_t level, uint64_t *h)
{
    bool other = chance(h, w->alias);
    uint32_t next = chance(h, w->bad_shape) ? take(h, 2) : (level + 4) % 5;

    return 1 | (uint64_t)take(h, 1) << 5 | pool(w, g ^ other, next, take(h, 3)) >> 2;
}

static uint64_t leaf_pte(const struct world *w, bool g, uint64_t at, uint32_t level, uint64_t *h)
{
    static const uint8_t perms[8] = {14, 6, 10, 2, 8, 4, 6, 12};
    uint64_t pa = mix(*h) & 0xfffffffffff000, pte = 1;
    uint32_t zeros = 12 + 9 * (chance(h, w->bad_shape) ? take(h, 2) : level);

    pa = not_g((g ? pa : pa & w->gpa_mask) >> zeros << zeros);
    if (level == 0) /* keeps bits 17:15 of what is translated */
        pa = (pa & ~(BIT(18) - BIT(15))) | (at >> 6 & 7) << 15;
    pte |= chance(h, w->bad_perm) ? perms[take(h, 3)] : 14;
    pte |= (uint64_t)((g || w->user) ^ chance(h, w->bad_user)) << 4 | (uint64_t)take(h, 1) << 5;
    pte |= chance(h, g ? w->bad_ad / 4 : w->bad_ad) ? (uint64_t)take(h, 2) << 6 : 3 << 6;
    if (chance(h, level == 0 ? w->napot : w->napot / 16)) /* 64 KiB, mostly well-formed */
        pa = (pa & ~UINT64_C(0xf000)) | (chance(h, w->bad_bits) ? 0x9000 : 0x8000), pte |= BIT(63);
    if (chance(h, w->bad_bits))
        pte |= (uint64_t)take(h, 2) << 61;
    return pte | pa >> 2 | (uint64_t)take(h, 2) << 8;
}

/* What stands at an address before anybody writes there; `variant` gives other such values. */
static uint64_t original_pte(const struct world *w, uint64_t pa, uint64_t variant)
{
    uint64_t h = mix(w->seed ^ pa * UINT64_C(0xff51afd7ed558ccd) ^ variant << 56);
    bool g = is_g(pa);
    uint32_t level = level_of(pa);
    bool table = chance(&h, level > 0 ? 180 : w->bad_shape);
    uint64_t pte = table ? table_pte(w, g, level, &h) : leaf_pte(w, g, pa, level, &h);

    if (chance(&h, w->bad_bits / 4))
        pte ^= BIT(54 + take(&h, 3));
    if (chance(&h, w->bad_bits / 4))
        pte ^= BIT(take(&h, 3));
    return pte;
}

static bool denied(const struct world *w, uint64_t pa, uint64_t what)
{
    return w->pma != 0 && (mix(w->seed + what + pa * 3) & 0xff) < w->pma;
}

static uint64_t world_load(const struct world *w, uint64_t pa)
{
    for (uint32_t i = 0; i < w->nwritten; i++)
        if (w->written[i].pa == pa)
            return w->written[i].value;
    return original_pte(w, pa, 0);
}

static void world_store(struct world *w, uint64_t pa, uint64_t value)
{
    uint32_t i = 0;

    while (i < w->nwritten && w->written[i].pa != pa)
        i++;
    if (i == COUNT(w->written))
        abort();
    w->nwritten += i == w->nwritten;
    w->written[i].pa = pa;
    w->written[i].value = value;
}

static int world_read(void *user, uint64_t pa, uint64_t *value)
{
    struct world *w = user;

    if (denied(w, pa, 1))
        return 1;
    w->reads++;
    *value = world_load(w, pa);
    return 0;
}

/* Another hart, which now and then writes what a walk is about to update. */
static void interfere(struct world *w, uint64_t pa)
{
    uint64_t h = mix(w->seed + 77 + w->swaps++);

    if (!chance(&h, w->race))
        return;
    if (chance(&h, 128))
        world_store(w, pa, world_load(w, pa) ^ BIT(take(&h, 3)));
    else
        world_store(w, pa, original_pte(w, pa, w->swaps));
}

static int world_cas(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    struct world *w = user;

    if (denied(w, pa, 2))
        return 2;
    interfere(w, pa);
    if (world_load(w, pa) != expected)
        return 1;
    world_store(w, pa, desired);
    if (w->nlog < COUNT(w->log)) {
        w->log[w->nlog].pa = pa;
        w->log[w->nlog].value = desired;
    }
    w->nlog++;
    return 0;
}

static int world_check(void *user, uint64_t pa, uint32_t access)
{
    return denied(user, pa, 3 + access);
}

/* ---- the algorithm once more, as it is written down (riscv-traps.md, 6.3) ---- */

struct ref {
    const regs_t *regs;
    struct world *w;
    uint32_t acc;
    uint64_t va;
    uint32_t retries;
    bool a_missing; /* something that should have set A wrote nothing */
    bool global;
    result_t out;
};

/* A translation of one stage. */
struct hit {
    uint64_t to, size, pte;
    bool bare;
};

static bool ref_fault(struct ref *r, uint32_t cause, uint64_t htval, uint64_t htinst)
{
    r->out = (result_t){.fault = 1, .cause = cause, .htval = htval, .htinst = htinst};
    return false;
}

static bool ref_access_fault(struct ref *r)
{
    return ref_fault(r, r->acc == FETCH ? 1 : r->acc == STORE ? 7 : 5, 0, 0);
}

static bool ref_page_fault(struct ref *r)
{
    return ref_fault(r, r->acc == FETCH ? 12 : r->acc == STORE ? 15 : 13, 0, 0);
}

static bool ref_guest_fault(struct ref *r, uint64_t gpa, uint64_t htinst)
{
    return ref_fault(r, r->acc == FETCH ? 20 : r->acc == STORE ? 23 : 21, gpa / 4, htinst);
}

static int ref_levels(uint64_t atp)
{
    switch (atp >> 60) {
    case 0:
        return 0;
    case 8:
        return 3;
    case 9:
        return 4;
    case 10:
        return 5;
    default:
        return -1;
    }
}

static bool ref_shadow(const struct ref *r, uint64_t pte)
{
    return (r->regs->henvcfg & SSE) && (pte & 15) == 5;
}

/* 6.2: encodings that are a fault whatever the access is. */
static bool ref_malformed(const struct ref *r, uint64_t pte, bool shadow, uint64_t envcfg,
                          int level)
{
    bool leaf = (pte & 10) || shadow;
    uint64_t reserved = (pte >> 54) & 0x7f, pbmt = (pte >> 61) & 3;

    if (r->regs->flags & HVCORE_RISCV64_WALK_SVRSW60)
        reserved &= 0x1f;
    if (!(pte & 1) || reserved || ((pte & 6) == 4 && !shadow))
        return true;
    if (!leaf)
        return (pte & (BIT(4) | BIT(6) | BIT(7))) || pbmt || pte >> 63 || level == 0;
    if (pbmt == 3 || (pbmt && !(envcfg & PBMTE)))
        return true;
    if (level > 0 && (pte >> 10) % BIT(9 * level))
        return true;
    if (pte >> 63)
        return !(r->regs->flags & HVCORE_RISCV64_WALK_SVNAPOT) || level > 0 ||
               (pte >> 10) % 16 != 8;
    return false;
}

static struct hit ref_hit(uint64_t pte, int level, uint64_t addr)
{
    struct hit h = {.size = BIT(12 + 9 * level), .pte = pte};

    if (pte >> 63)
        h.size = 65536;
    h.to = (pte >> 10) % BIT(44) * 4096 / h.size * h.size + addr % h.size;
    return h;
}

/* A and D: 0 there already or set; 1 look again; 2 a page fault; 3 an access fault */
static int ref_update(struct ref *r, uint64_t at, uint64_t *pte, uint64_t bits)
{
    int changed;

    if (r->regs->flags & HVCORE_RISCV64_WALK_NO_UPDATE) {
        r->a_missing |= !(*pte & BIT(6));
        return 0;
    }
    changed = world_cas(r->w, at, *pte, *pte | bits);
    if (changed == 0)
        *pte |= bits;
    if (changed == 1 && r->retries-- == 0)
        return 2;
    return changed == 2 ? 3 : changed;
}

static bool ref_g_table(struct ref *r, uint64_t table, int level, uint64_t gpa, char need,
                        uint64_t htinst, struct hit *h)
{
    bool top = level == ref_levels(r->regs->hgatp) - 1;
    uint64_t at = table + 8 * ((gpa >> (12 + 9 * level)) % (top ? 2048 : 512)), pte, bits;
    bool readable;

    if (world_read(r->w, at, &pte) != 0)
        return ref_access_fault(r);
    if (ref_malformed(r, pte, false, r->regs->menvcfg, level))
        return ref_guest_fault(r, gpa, htinst);
    if (!(pte & 10))
        return ref_g_table(r, (pte >> 10) % BIT(44) * 4096, level - 1, gpa, need, htinst, h);
    readable = (pte & 2) || ((pte & 8) && (r->regs->sstatus & MXR) && htinst == 0);
    if (!(pte & BIT(4)) || (need == 'r' && !readable) || (need == 'w' && !(pte & 4)) ||
        (need == 'x' && !(pte & 8)))
        return ref_guest_fault(r, gpa, htinst);
    bits = need == 'w' ? BIT(6) | BIT(7) : BIT(6);
    if ((pte & bits) != bits) {
        if (!(r->regs->menvcfg & ADUE))
            return ref_guest_fault(r, gpa, htinst);
        switch (ref_update(r, at, &pte, bits)) {
        case 1:
            return ref_g_table(r, table, level, gpa, need, htinst, h);
        case 2:
            return ref_guest_fault(r, gpa, htinst);
        case 3:
            return ref_access_fault(r);
        }
    }
    *h = ref_hit(pte, level, gpa);
    return true;
}

static bool ref_g(struct ref *r, uint64_t gpa, char need, uint64_t htinst, struct hit *h)
{
    int levels = ref_levels(r->regs->hgatp);

    if (levels == 0) {
        *h = (struct hit){.to = gpa, .size = BIT(63), .bare = true};
        return true;
    }
    if (levels < 0 || gpa >> (12 + 9 * levels + 2))
        return ref_guest_fault(r, gpa, htinst);
    return ref_g_table(r, r->regs->hgatp % BIT(44) / 4 * 16384, levels - 1, gpa, need, htinst, h);
}

/* Whether the VS-stage leaf lets the access through; false: the fault is in r->out. */
static bool ref_vs_allows(struct ref *r, uint64_t pte)
{
    bool user = pte & BIT(4), shadow = ref_shadow(r, pte), ok;

    if (r->regs->mode == HVCORE_RISCV64_VU && !user)
        return ref_page_fault(r);
    if (r->regs->mode == HVCORE_RISCV64_VS && user &&
        (r->acc == FETCH || !(r->regs->vsstatus & SUM)))
        return ref_page_fault(r);
    /* Zicfiss: "not permitted ... an access-fault exception appropriate to the access type" */
    if (shadow && (r->acc == STORE || r->acc == FETCH))
        return ref_access_fault(r);
    if (r->acc == LOAD)
        ok = (pte & 2) || shadow || ((pte & 8) && ((r->regs->vsstatus | r->regs->sstatus) & MXR));
    else
        ok = pte & (r->acc == STORE ? 4 : 8);
    return ok || ref_page_fault(r);
}

static bool ref_vs_table(struct ref *r, uint64_t table, int level, struct hit *h)
{
    uint64_t at = table + 8 * ((r->va >> (12 + 9 * level)) % 512), pte, bits;
    struct hit where;

    if (!ref_g(r, at, 'r', 0x3000, &where))
        return false;
    if (world_read(r->w, where.to, &pte) != 0)
        return ref_access_fault(r);
    if (ref_malformed(r, pte, ref_shadow(r, pte), r->regs->henvcfg, level))
        return ref_page_fault(r);
    if (!(pte & 10) && !ref_shadow(r, pte)) {
        r->global |= (pte & BIT(5)) != 0;
        return ref_vs_table(r, (pte >> 10) % BIT(44) * 4096, level - 1, h);
    }
    if (!ref_vs_allows(r, pte))
        return false;
    bits = r->acc == STORE ? BIT(6) | BIT(7) : BIT(6);
    if ((pte & bits) != bits) {
        if (!(r->regs->henvcfg & ADUE))
            return ref_page_fault(r);
        if (!ref_g(r, at, 'w', 0x3020, &where))
            return false;
        switch (ref_update(r, where.to, &pte, bits)) {
        case 1:
            return ref_vs_table(r, table, level, h);
        case 2:
            return ref_page_fault(r);
        case 3:
            return ref_access_fault(r);
        }
    }
    r->global |= (pte & BIT(5)) != 0;
    *h = ref_hit(pte, level, r->va);
    return true;
}

static bool ref_vs(struct ref *r, struct hit *h)
{
    int levels = ref_levels(r->regs->vsatp);
    uint64_t sign;

    if (levels == 0) {
        *h = (struct hit){.to = r->va, .size = BIT(63), .bare = true};
        return true;
    }
    if (levels < 0)
        return ref_page_fault(r);
    sign = r->va >> (12 + 9 * levels - 1);
    if (sign != 0 && sign != BIT(64 - (12 + 9 * levels - 1)) - 1)
        return ref_page_fault(r);
    return ref_vs_table(r, r->regs->vsatp % BIT(44) * 4096, levels - 1, h);
}

/* One stage's part of `prot`, from the words of the header. */
static uint32_t ref_prot(const struct ref *r, const struct hit *h, bool vs)
{
    uint64_t mxr = r->regs->sstatus | (vs ? r->regs->vsstatus : 0), pte = h->pte;
    bool data_only = vs && r->regs->mode == HVCORE_RISCV64_VS && (pte & BIT(4));
    uint32_t prot = 0;

    if (h->bare)
        return HVCORE_PROT_RWX;
    if ((pte & 2) || (vs && ref_shadow(r, pte)) || ((pte & 8) && (mxr & MXR)))
        prot |= HVCORE_PROT_R;
    if ((pte & 6) == 6 && (pte & BIT(7)))
        prot |= HVCORE_PROT_W;
    if ((pte & 8) && !data_only)
        prot |= HVCORE_PROT_X;
    return pte & BIT(6) ? prot : 0;
}

static void ref_walk(struct ref *r, bool g_only)
{
    struct hit vs = {.to = r->va, .size = BIT(63), .bare = true}, g;

    if (!g_only && !ref_vs(r, &vs))
        return;
    if (!ref_g(r, vs.to, "xrwx"[r->acc], 0, &g))
        return;
    if (world_check(r->w, g.to, r->acc) != 0) {
        ref_access_fault(r);
        return;
    }
    r->out.gpa = vs.to;
    r->out.pa = g.to;
    r->out.page = vs.size < g.size ? vs.size : g.size;
    r->out.prot = r->a_missing ? 0 : ref_prot(r, &vs, true) & ref_prot(r, &g, false);
    r->out.pbmt = (g.pte >> 61) & 3;
    if ((vs.pte >> 61) & 3)
        r->out.pbmt = (vs.pte >> 61) & 3;
    r->out.global = r->global;
}

/* ---- a random state, and the comparison ---- */

struct state {
    regs_t regs;
    struct world w;
    uint64_t va;
    uint32_t acc;
    bool g_only;
};

static uint64_t random_atp(uint64_t *h)
{
    static const uint8_t modes[16] = {0, 0, 8, 8, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10, 10, 16};
    uint64_t mode = modes[take(h, 4)];

    if (mode == 16)
        mode = take(h, 4);
    return mode << 60 | (uint64_t)take(h, 14) << 44;
}

static uint32_t root_level(int levels)
{
    return levels > 0 ? (uint32_t)levels - 1 : 2;
}

static uint64_t random_va(uint64_t *h, const regs_t *regs, uint64_t gpa_mask)
{
    int levels = ref_levels(regs->vsatp);
    uint64_t va = mix(*h);

    if (chance(h, 8))
        return va;
    if (levels <= 0)
        return va & (gpa_mask | 0xfff);
    va %= BIT(12 + 9 * levels - 1);
    return chance(h, 64) ? ~va : va;
}

static uint64_t random_bits(uint64_t *h, uint64_t mask)
{
    return mix(*h + take(h, 16)) & mask;
}

static void random_state(struct state *s, uint64_t n)
{
    static const uint8_t rates[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 5, 12, 30, 80, 200};
    static const uint8_t often[8] = {0, 0, 0, 20, 60, 100, 160, 240};
    uint64_t h = mix(n), g;
    int levels;

    memset(s, 0, offsetof(struct state, w.written));
    s->w.nwritten = s->w.nlog = s->w.reads = s->w.swaps = 0;
    s->w.seed = mix(n + BIT(40));
    s->w.bad_perm = rates[take(&h, 4)];
    s->w.bad_ad = often[take(&h, 3)];
    s->w.bad_user = rates[take(&h, 4)];
    s->w.bad_bits = rates[take(&h, 4)];
    s->w.bad_shape = rates[take(&h, 4)];
    s->w.napot = rates[take(&h, 4)];
    s->w.alias = rates[take(&h, 4)];
    s->w.race = s->w.alias ? 0 : take(&h, 8);
    h = mix(h); /* the bits are used up */
    s->w.pma = take(&h, 3) == 0 ? 6 : 0;
    s->regs.hgatp = random_atp(&h);
    levels = ref_levels(s->regs.hgatp);
    s->regs.hgatp |= pool(&s->w, true, root_level(levels), 8) >> 12 | take(&h, 2);
    s->w.gpa_mask =
        levels > 0 ? (BIT(12 + 9 * levels + 2) - 1) & 0xfffffffffff000 : 0xfffffffffff000;
    s->regs.vsatp = random_atp(&h);
    levels = ref_levels(s->regs.vsatp);
    s->regs.vsatp |= pool(&s->w, false, root_level(levels), 8) >> 12;
    s->regs.mode = take(&h, 1);
    s->regs.vsstatus = random_bits(&h, UINT64_MAX);
    s->regs.sstatus = random_bits(&h, UINT64_MAX);
    s->regs.henvcfg = random_bits(&h, UINT64_MAX);
    s->regs.menvcfg = random_bits(&h, UINT64_MAX);
    s->regs.flags = take(&h, 2) | (take(&h, 3) == 0 ? HVCORE_RISCV64_WALK_NO_UPDATE : 0);
    g = random_bits(&h, 1);
    s->w.user = s->regs.mode == HVCORE_RISCV64_VU || ((s->regs.vsstatus & SUM) && g);
    s->va = random_va(&h, &s->regs, s->w.gpa_mask);
    s->acc = take(&h, 2);
    s->g_only = take(&h, 3) == 0;
}

static bool same_answer(const result_t *a, const result_t *b)
{
    return a->fault == b->fault && a->cause == b->cause && a->htval == b->htval &&
           a->htinst == b->htinst && a->gpa == b->gpa && a->pa == b->pa && a->page == b->page &&
           a->prot == b->prot && a->pbmt == b->pbmt && a->global == b->global;
}

static bool same_writes(const struct world *a, const struct world *b)
{
    return a->nlog == b->nlog && a->nlog <= COUNT(a->log) &&
           memcmp(a->log, b->log, a->nlog * sizeof a->log[0]) == 0 && a->nwritten == b->nwritten &&
           memcmp(a->written, b->written, a->nwritten * sizeof a->written[0]) == 0;
}

static void walk_state(struct state *s, result_t *out)
{
    mem_t mem = {&s->w, world_read, world_cas, world_check};

    memset(out, 0xa5, sizeof *out); /* every field must be written */
    if (s->g_only)
        hvcore_riscv64_walk_g(&s->regs, &mem, s->va, s->va, s->acc, out);
    else
        hvcore_riscv64_walk(&s->regs, &mem, s->va, s->acc, out);
}

/*
 * What a TLB would do: anywhere in `page`, an access goes through a walk that updates nothing if
 * and only if `prot` has it, and lands where the answer says.
 */
static bool tlb_agrees(struct state *s, const result_t *r, uint64_t salt)
{
    static const uint32_t bits[3] = {[FETCH] = HVCORE_PROT_X, HVCORE_PROT_R, HVCORE_PROT_W};
    /* The other entries of a 64 KiB range are random here; a TLB must not ask that they agree. */
    uint64_t span = r->page <= 65536 ? 4096 : r->page;
    uint64_t va = (s->va & ~(span - 1)) | (mix(salt) & (span - 1));
    mem_t mem = {&s->w, world_read, world_cas, NULL};
    regs_t regs = s->regs;

    regs.henvcfg &= ~ADUE;
    regs.menvcfg &= ~ADUE;
    for (uint32_t acc = FETCH; acc <= STORE; acc++) {
        result_t t;

        if (s->g_only)
            hvcore_riscv64_walk_g(&regs, &mem, va, va, acc, &t);
        else
            hvcore_riscv64_walk(&regs, &mem, va, acc, &t);
        if (t.fault == ((r->prot & bits[acc]) != 0))
            return false;
        if (!t.fault &&
            (t.pa - r->pa != va - s->va || t.gpa - r->gpa != va - s->va || t.prot != r->prot ||
             t.page != r->page || t.pbmt != r->pbmt || t.global != r->global))
            return false;
    }
    return true;
}

/* What the random states have reached, so that a generator gone stale does not pass for a proof. */
struct reached {
    uint32_t cause[24], ok, updates, retries, dry, implicit_read, implicit_write, napot, deep, prot;
};

static void note(struct reached *c, const struct state *s, const result_t *r)
{
    if (r->fault) {
        c->cause[r->cause < COUNT(c->cause) ? r->cause : 0]++;
        c->implicit_read += r->htinst == 0x3000;
        c->implicit_write += r->htinst == 0x3020;
        return;
    }
    c->ok++;
    c->updates += s->w.nlog != 0;
    c->retries += s->w.swaps > s->w.nlog;
    c->dry += (s->regs.flags & HVCORE_RISCV64_WALK_NO_UPDATE) && r->prot == 0;
    c->napot += r->page == 65536;
    c->deep += r->reads >= 24;
    c->prot |= 1u << r->prot;
}

static void assert_reached(const struct reached *c)
{
    static const uint8_t causes[] = {1, 5, 7, 12, 13, 15, 20, 21, 23};

    for (size_t i = 0; i < COUNT(causes); i++)
        CU_ASSERT(c->cause[causes[i]] > 1000);
    CU_ASSERT(c->ok > 1000000 && c->updates > 50000 && c->retries > 10000 && c->dry > 10000);
    CU_ASSERT(c->implicit_read > 10000 && c->implicit_write > 2000);
    CU_ASSERT(c->napot > 10000 && c->deep > 5000);
    CU_ASSERT_EQUAL(c->prot & 0xbb, 0xbb); /* W comes with R, all other sets occur */
}

static bool state_agrees(uint64_t n, struct reached *c)
{
    static struct state s, copy;
    result_t out;
    struct ref r;

    random_state(&s, n);
    copy = s;
    r = (struct ref){
        .regs = &copy.regs, .w = &copy.w, .acc = s.acc, .va = s.va, .retries = RETRIES};
    ref_walk(&r, s.g_only);
    walk_state(&s, &out);
    note(c, &s, &out);
    return same_answer(&out, &r.out) && same_writes(&s.w, &copy.w) && out.reads == s.w.reads &&
           out.reads <= MAX_READS + RETRIES && (out.fault || tlb_agrees(&s, &out, n));
}

static void test_random(void)
{
    struct reached c = {.ok = 0};
    uint64_t bad = 0;

    for (uint64_t n = 0; n < 3000000; n++) {
        if (state_agrees(n, &c))
            continue;
        if (bad++ < 5)
            fprintf(stderr, "\n    random state %llu disagrees", (unsigned long long)n);
    }
    CU_ASSERT_EQUAL(bad, 0);
    assert_reached(&c);
}

/* ---- what the answer says beyond the address ---- */

/* Memory with the same few entries everywhere: an entry is chosen by bits 15:12 of its address. */
struct flat {
    uint64_t pte[16];
    uint32_t reads, swaps, checks;
    uint64_t last_access;
    int swap_says;
};

static int flat_read(void *user, uint64_t pa, uint64_t *value)
{
    struct flat *m = user;

    m->reads++;
    *value = m->pte[pa >> 12 & 15];
    return 0;
}

static int flat_cas(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    struct flat *m = user;

    CU_ASSERT_EQUAL(m->pte[pa >> 12 & 15], expected);
    m->swaps++;
    if (m->swap_says == 0)
        m->pte[pa >> 12 & 15] = desired;
    return m->swap_says;
}

static int flat_check(void *user, uint64_t pa, uint32_t access)
{
    struct flat *m = user;

    (void)pa;
    m->checks++;
    m->last_access = access;
    return 0;
}

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128, ALL = V | R | W | X | A | D };

static uint64_t to(uint64_t pa, uint64_t bits)
{
    return pa >> 2 | bits;
}

static result_t flat_walk(struct flat *m, const regs_t *regs, uint64_t va, uint32_t access)
{
    mem_t mem = {m, flat_read, flat_cas, flat_check};
    result_t out;

    memset(&out, 0xa5, sizeof out);
    m->reads = m->swaps = m->checks = 0;
    hvcore_riscv64_walk(regs, &mem, va, access, &out);
    return out;
}

static void test_bare(void)
{
    struct flat m = {.swap_says = 0};
    regs_t regs = {.mode = HVCORE_RISCV64_VU};
    result_t r = flat_walk(&m, &regs, UINT64_MAX - 7, STORE);

    CU_ASSERT(!r.fault && r.pa == UINT64_MAX - 7 && r.gpa == r.pa && r.page == BIT(63));
    CU_ASSERT(r.prot == HVCORE_PROT_RWX && r.pbmt == 0 && r.global == 0 && r.reads == 0);
    CU_ASSERT_EQUAL(m.checks, 1);
}

/* Modes 1 to 7 and 11 to 15: a fault of the stage that has the mode, without reading anything. */
static void test_reserved_modes(void)
{
    for (uint64_t mode = 1; mode < 16; mode++) {
        struct flat m = {.swap_says = 0};
        mem_t mem = {&m, flat_read, flat_cas, flat_check};
        regs_t vs = {.vsatp = mode << 60}, g = {.hgatp = mode << 60}, both = {.hgatp = mode << 60};
        result_t r;

        if (mode >= 8 && mode <= 10)
            continue;
        both.vsatp = SV39 | 1;
        r = flat_walk(&m, &vs, 0x1000, STORE);
        CU_ASSERT(r.fault && r.cause == 15 && r.htval == 0 && r.htinst == 0 && m.reads == 0);
        r = flat_walk(&m, &g, 0x1004, FETCH);
        CU_ASSERT(r.fault && r.cause == 20 && r.htval == 0x401 && r.htinst == 0 && m.reads == 0);
        r = flat_walk(&m, &both, 0x4008, LOAD);
        CU_ASSERT(r.fault && r.cause == 21 && r.htval == 0x1000 >> 2);
        CU_ASSERT(r.htinst == 0x3000 && m.reads == 0);
        hvcore_riscv64_walk_g(&g, &mem, 0x2008, 0, HLVX, &r);
        CU_ASSERT(r.fault && r.cause == 21 && r.htval == 0x802 && r.htinst == 0 && m.reads == 0);
    }
}

/* One entry decides: a superpage leaf in the root of Sv39 or Sv39x4. */
struct prot_case {
    uint64_t pte, status, envcfg;
    uint32_t mode, access, prot;
};

static void test_prot(void)
{
    static const struct prot_case cases[] = {
        {ALL, 0, 0, HVCORE_RISCV64_VS, LOAD, 7},
        {ALL & ~D, 0, ADUE, HVCORE_RISCV64_VS, LOAD, 5},
        {ALL & ~D, 0, ADUE, HVCORE_RISCV64_VS, STORE, 7},
        {ALL & ~A & ~D, 0, ADUE, HVCORE_RISCV64_VS, LOAD, 5},
        {ALL | U, SUM, 0, HVCORE_RISCV64_VS, LOAD, 3},
        {ALL | U, SUM, 0, HVCORE_RISCV64_VS, HLVX, 3},
        {ALL | U, 0, 0, HVCORE_RISCV64_VU, STORE, 7},
        {V | X | A, 0, 0, HVCORE_RISCV64_VS, FETCH, 4},
        {V | X | A, 0, 0, HVCORE_RISCV64_VS, HLVX, 4},
        {V | X | A | U, SUM, 0, HVCORE_RISCV64_VS, HLVX, 0},
        {V | X | A, MXR, 0, HVCORE_RISCV64_VS, LOAD, 5},
        {V | R | A | D, 0, 0, HVCORE_RISCV64_VS, LOAD, 1},
        {V | W | A | D, 0, SSE, HVCORE_RISCV64_VS, LOAD, 1},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct prot_case *c = &cases[i];
        struct flat m = {.pte = {[5] = c->pte}};
        regs_t regs = {
            .vsatp = SV39 | 5, .vsstatus = c->status, .henvcfg = c->envcfg, .mode = c->mode};
        result_t r = flat_walk(&m, &regs, 0x3fffffff, c->access);

        CU_ASSERT(!r.fault && r.pa == 0x3fffffff && r.page == BIT(30) && r.reads == 1);
        CU_ASSERT_EQUAL(r.prot, c->prot);
        CU_ASSERT(m.checks == 1 && m.last_access == c->access);
    }
}

/* Zicfiss: a shadow-stack page is read; plain stores and fetches are access faults, HLVX is not. */
static void test_shadow_stack(void)
{
    static const uint32_t causes[] = {[FETCH] = 1, [LOAD] = 0, [STORE] = 7, [HLVX] = 13};

    for (uint32_t acc = FETCH; acc <= HLVX; acc++) {
        struct flat m = {.pte = {[5] = V | W | A | D}};
        regs_t regs = {.vsatp = SV39 | 5, .henvcfg = SSE, .mode = HVCORE_RISCV64_VS};
        result_t r = flat_walk(&m, &regs, 0, acc);

        CU_ASSERT(r.fault == (causes[acc] != 0) && r.cause == causes[acc]);
        regs.henvcfg = 0;
        r = flat_walk(&m, &regs, 0, acc);
        CU_ASSERT(r.fault && r.cause == (acc == FETCH ? 12 : acc == STORE ? 15 : 13));
        regs = (regs_t){.hgatp = SV39 | 4, .henvcfg = SSE, .menvcfg = SSE};
        m.pte[4] = V | W | A | D | U;
        r = flat_walk(&m, &regs, 0, acc);
        CU_ASSERT(r.fault && r.cause == (acc == FETCH ? 20 : acc == STORE ? 23 : 21));
    }
}

/* `page` is the smaller of both leaves, `pbmt` the VS-stage's before the G-stage's. */
static void test_page_and_pbmt(void)
{
    uint64_t nc = UINT64_C(1) << 61, io = UINT64_C(2) << 61;
    struct flat m = {.pte = {[0] = to(0x1000, V), [1] = to(0x2000, V), [5] = ALL | nc | G}};
    regs_t regs = {.vsatp = SV39 | 5, .hgatp = SV39 | 4, .henvcfg = PBMTE, .menvcfg = PBMTE};
    result_t r;

    regs.flags = HVCORE_RISCV64_WALK_SVNAPOT;
    regs.mode = HVCORE_RISCV64_VS;
    m.pte[4] = ALL | U | io;
    r = flat_walk(&m, &regs, 0x12345678, LOAD);
    CU_ASSERT(!r.fault && r.page == BIT(30) && r.pbmt == 1 && r.global == 1 && r.reads == 3);
    m.pte[5] = to(0x6000, V | G); /* VS: two pointers, then 64 KiB; G of a pointer is enough */
    m.pte[6] = to(0x7000, V);
    m.pte[7] = to(0x18000, ALL) | BIT(63);
    r = flat_walk(&m, &regs, 0x12345678, LOAD);
    CU_ASSERT(!r.fault && r.page == 65536 && r.gpa == 0x15678 && r.pa == r.gpa);
    CU_ASSERT(r.pbmt == 2 && r.global == 1 && r.reads == 7);
    m.pte[5] = to(0x6000, V);
    m.pte[7] = to(0x18000, ALL);
    r = flat_walk(&m, &regs, 0x12345678, LOAD);
    CU_ASSERT(!r.fault && r.page == 4096 && r.pa == 0x18678 && r.global == 0);
}

/* The root of an x4 table is 16 KiB, PPN[1:0] of hgatp does not count, GPAs end above it. */
static void test_gpa_width(void)
{
    static const uint32_t bits[] = {41, 50, 59};

    for (uint32_t i = 0; i < COUNT(bits); i++) {
        struct flat m = {.pte = {[7] = ALL | U}};
        regs_t regs = {.hgatp = (UINT64_C(8) + i) << 60 | 7};
        result_t r = flat_walk(&m, &regs, BIT(bits[i]) - 8, LOAD);

        CU_ASSERT(!r.fault && m.reads == 1 && r.page == BIT(bits[i] - 11));
        CU_ASSERT_EQUAL(r.pa, BIT(bits[i] - 11) - 8);
        r = flat_walk(&m, &regs, BIT(bits[i]), LOAD);
        CU_ASSERT(r.fault && r.cause == 21 && r.htval == BIT(bits[i] - 2) && m.reads == 0);
        r = flat_walk(&m, &regs, UINT64_MAX, STORE);
        CU_ASSERT(r.fault && r.cause == 23 && r.htval == UINT64_MAX >> 2 && m.reads == 0);
        CU_ASSERT(flat_walk(&m, &regs, 0, LOAD).fault != 0); /* page 4 of the table, not page 7 */
    }
}

/* A dry walk answers as if it had updated, writes nothing, and leaves nothing to remember. */
static void test_no_update(void)
{
    struct flat m = {.pte = {[5] = ALL & ~A & ~D}};
    regs_t regs = {.vsatp = SV39 | 5, .henvcfg = ADUE, .mode = HVCORE_RISCV64_VS};
    mem_t no_cas = {&m, flat_read, NULL, NULL};
    result_t r;

    hvcore_riscv64_walk(&regs, &no_cas, 0x1000, STORE, &r); /* nothing can be written: a PMA */
    CU_ASSERT(r.fault && r.cause == 7);
    regs.flags = HVCORE_RISCV64_WALK_NO_UPDATE;
    hvcore_riscv64_walk(&regs, &no_cas, 0x1000, STORE, &r);
    CU_ASSERT(!r.fault && r.pa == 0x1000 && r.prot == 0);
    m.pte[5] = ALL & ~D;
    r = flat_walk(&m, &regs, 0x1000, STORE);
    CU_ASSERT(!r.fault && r.prot == (HVCORE_PROT_R | HVCORE_PROT_X) && m.swaps == 0);
    regs.hgatp = SV39; /* a VS-stage entry in a page that cannot be written is still a fault */
    m.pte[0] = V | R | U | A;
    r = flat_walk(&m, &regs, 0x1000, STORE);
    CU_ASSERT(r.fault && r.cause == 23 && r.htval == 0x5000 >> 2 && r.htinst == 0x3020);
}

/* ---- harm ---- */

/*
 * A full walk of 5 x 5 levels: 35 reads, the most there are without races. The G-stage table of
 * level i is page i, that of the VS-stage page 8 + i.
 */
static void deepest(struct flat *m, regs_t *regs)
{
    *m = (struct flat){.swap_says = 0};
    *regs = (regs_t){.vsatp = SV57 | 12, .hgatp = SV57 | 4, .mode = HVCORE_RISCV64_VS};
    for (uint64_t level = 1; level < 5; level++) {
        m->pte[level] = to((level - 1) << 12, V);
        m->pte[8 + level] = to((8 + level - 1) << 12, V);
    }
    /* Any page of the guest is the page of the same number, by grace of NAPOT. */
    m->pte[0] = to(0x8000, ALL | U) | BIT(63);
    m->pte[8] = to(0x8000, ALL) | BIT(63);
    regs->flags = HVCORE_RISCV64_WALK_SVNAPOT;
}

static void test_bounded(void)
{
    struct flat m;
    regs_t regs;
    result_t r;

    deepest(&m, &regs);
    r = flat_walk(&m, &regs, 0x1234, LOAD);
    CU_ASSERT(!r.fault && r.pa == 0x1234 && r.page == 65536 && r.reads == MAX_READS);
    CU_ASSERT_EQUAL(m.reads, MAX_READS);
    m.pte[8] = to(0x8000, V); /* the last VS-stage entry points to itself */
    r = flat_walk(&m, &regs, 0x1234, LOAD);
    CU_ASSERT(r.fault && r.cause == 13 && m.reads == MAX_READS - 5);
    m.pte[0] = V; /* and the last of the G-stage to the table of the first */
    r = flat_walk(&m, &regs, 0x1234, LOAD);
    CU_ASSERT(r.fault && r.cause == 21 && r.htinst == 0x3000 && m.reads == 5);
}

/* Tables of one value, as memory that was never written or is not memory at all. */
static void test_uniform(void)
{
    static const uint64_t values[] = {0,       UINT64_MAX, V,       ALL,
                                      ALL | U, V | W,      BIT(63), UINT64_MAX >> 10};

    for (size_t i = 0; i < COUNT(values); i++) {
        for (uint64_t modes = 0; modes < 256; modes++) {
            regs_t regs = {.vsatp = modes >> 4 << 60 | 5, .hgatp = modes << 60, .flags = 3};
            struct flat m = {.swap_says = 0};

            regs.menvcfg = regs.henvcfg = UINT64_MAX;
            for (size_t k = 0; k < COUNT(m.pte); k++)
                m.pte[k] = values[i];
            for (uint32_t acc = FETCH; acc <= HLVX; acc++)
                CU_ASSERT_FATAL(flat_walk(&m, &regs, 0x1234, acc).reads <= MAX_READS);
        }
    }
}

/* The other side always wins: 16 retries, then the fault as if nobody had updated. */
static void test_lost_races(void)
{
    struct flat m;
    regs_t regs;
    result_t r;

    deepest(&m, &regs);
    m.swap_says = 1;
    regs.henvcfg = regs.menvcfg = ADUE;
    m.pte[8] &= ~(uint64_t)(A | D);
    r = flat_walk(&m, &regs, 0x1234, STORE);
    CU_ASSERT(r.fault && r.cause == 15 && r.htval == 0 && r.htinst == 0);
    CU_ASSERT(m.swaps == RETRIES + 1 && m.reads == MAX_READS - 5 + RETRIES);
    m.pte[0] &= ~(uint64_t)D; /* now it is D of the page that holds the entry */
    r = flat_walk(&m, &regs, 0x1234, STORE);
    CU_ASSERT(r.fault && r.cause == 23 && r.htval == 0x8008 >> 2 && r.htinst == 0x3020);
    CU_ASSERT(m.swaps == RETRIES + 1 && m.reads == MAX_READS - 5 + RETRIES);
    m.pte[8] |= A | D; /* now that of the page itself */
    r = flat_walk(&m, &regs, 0x1234, STORE);
    CU_ASSERT(r.fault && r.cause == 23 && r.htval == 0x1234 >> 2 && r.htinst == 0);
    CU_ASSERT(m.swaps == RETRIES + 1 && m.reads == MAX_READS + RETRIES && r.reads == m.reads);
    m.swap_says = 2;
    r = flat_walk(&m, &regs, 0x1234, STORE);
    CU_ASSERT(r.fault && r.cause == 7 && r.htval == 0 && m.swaps == 1);
}

/* Undefined numbers of accesses and modes are somebody's mistake, not undefined behaviour. */
static void test_odd_arguments(void)
{
    struct flat m;
    regs_t regs;

    deepest(&m, &regs);
    for (uint32_t acc = 4; acc != 0; acc <<= 1) {
        regs.mode = acc;
        CU_ASSERT(flat_walk(&m, &regs, 0x1234, acc | LOAD).pa == 0x1234);
    }
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"the vectors", test_vectors},
        {"bare over bare", test_bare},
        {"reserved modes", test_reserved_modes},
        {"prot", test_prot},
        {"shadow-stack pages", test_shadow_stack},
        {"page, pbmt, global", test_page_and_pbmt},
        {"width of guest-physical addresses", test_gpa_width},
        {"a dry walk", test_no_update},
        {"bounded reads", test_bounded},
        {"tables of one value", test_uniform},
        {"lost races", test_lost_races},
        {"odd arguments", test_odd_arguments},
        {"random states against the algorithm", test_random},
        {NULL, NULL},
    };

    return hvc_unit_main("walk_riscv64", tests);
}
