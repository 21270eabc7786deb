/* SPDX-License-Identifier: Apache-2.0 */
/* The memory map against a naive model, on the toy backend and on bare. */
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/core.h"

/* --- the map against a model ------------------------------------------------------------------ */
enum { PAGES = 192, MEMS = 4, MEM_PAGES = 24, VIEWS = 12, RANGES = 6 };

typedef struct model_page {
    int mem;         /* -1: nothing, -2: an MMIO range */
    uint32_t origin; /* the map call that made it */
    uint32_t page;   /* of the memory object */
    uint32_t prot;
    int pins;
} model_page;

typedef struct model {
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    bool is_toy;
    hvcore_mem *mem[MEMS];
    uint8_t *host[MEMS];
    uint8_t shadow[MEMS][MEM_PAGES * 4096];
    model_page page[PAGES];
    struct {
        hvcore_view *view;
        uint64_t first, last;
    } view[VIEWS];
    struct {
        uint32_t id;
        uint64_t first, n;
    } range[RANGES];
    uint32_t origins, done[10];
} model;

static const uint32_t rights[] = {HVCORE_PROT_R, HVCORE_PROT_R | HVCORE_PROT_W,
                                  HVCORE_PROT_R | HVCORE_PROT_X, HVCORE_PROT_RWX};

static uint64_t gpa_of(uint64_t page)
{
    return BASE + page * PAGE;
}

static void model_map(model *m, uint64_t first, uint64_t n)
{
    hvcore_error e = HVCORE_ERROR_INIT;
    uint32_t which = (uint32_t)below(MEMS), prot = rights[below(4)];
    uint32_t offset = (uint32_t)below(MEM_PAGES);
    bool hit = false, fits;
    int rc;

    if (below(8))
        n = n > MEM_PAGES - offset ? MEM_PAGES - offset : n;
    fits = offset + n <= MEM_PAGES;
    for (uint64_t i = first; i < first + n; i++)
        hit = hit || m->page[i].mem != -1;
    rc = map(m->vm, m->mem[which], gpa_of(first), offset * PAGE, n * PAGE, prot, &e);
    if (!fits) {
        CU_ASSERT(rc == -HVCORE_E_RANGE || (hit && rc == -HVCORE_E_EXISTS));
        return;
    }
    CU_ASSERT_EQUAL(rc, hit ? -HVCORE_E_EXISTS : 0);
    if (hit)
        CU_ASSERT(e.address >= BASE && e.address < gpa_of(PAGES));
    if (rc)
        return;
    m->done[0]++;
    m->origins++;
    for (uint64_t i = 0; i < n; i++)
        m->page[first + i] = (model_page){(int)which, m->origins, offset + (uint32_t)i, prot, 0};
}

static void model_unmap(model *m, uint64_t first, uint64_t n)
{
    bool any = false, pinned = false;
    int rc = hvcore_vm_unmap(m->vm, gpa_of(first), n * PAGE, NULL);

    for (uint64_t i = first; i < first + n; i++) {
        any = any || m->page[i].mem >= 0;
        pinned = pinned || m->page[i].pins;
    }
    CU_ASSERT_EQUAL(rc, !any ? -HVCORE_E_NOTFOUND : pinned ? -HVCORE_E_BUSY : 0);
    if (rc)
        return;
    m->done[1]++;
    for (uint64_t i = first; i < first + n; i++)
        if (m->page[i].mem >= 0)
            m->page[i].mem = -1;
}

static void model_protect(model *m, uint64_t first, uint64_t n)
{
    uint32_t prot = rights[below(4)];
    bool hole = false;
    int rc = hvcore_vm_protect(m->vm, gpa_of(first), n * PAGE, prot, NULL);

    for (uint64_t i = first; i < first + n; i++)
        hole = hole || m->page[i].mem < 0;
    CU_ASSERT_EQUAL(rc, hole ? -HVCORE_E_NOTFOUND : 0);
    if (rc)
        return;
    m->done[2]++;
    for (uint64_t i = first; i < first + n; i++)
        m->page[i].prot = prot;
}

static void model_copy(model *m, bool write)
{
    static uint8_t buf[4 * 4096], copy[4 * 4096];
    uint64_t from = below(PAGES * PAGE), len = below(4) ? below(64) : below(3 * PAGE);
    bool fault = false;
    int rc;

    len = len > PAGES * PAGE - from ? PAGES * PAGE - from : len;
    for (uint64_t i = from / PAGE; len && i <= (from + len - 1) / PAGE; i++)
        fault = fault || m->page[i].mem < 0;
    for (uint64_t i = 0; i < len; i += 8) {
        uint64_t x = rnd();

        memcpy(buf + i, &x, 8);
    }
    memcpy(copy, buf, len);
    rc = write ? hvcore_vm_write(m->vm, BASE + from, buf, len)
               : hvcore_vm_read(m->vm, BASE + from, buf, len);
    CU_ASSERT_EQUAL(rc, fault ? -HVCORE_E_FAULT : 0);
    for (uint64_t i = 0; i < len && !rc; i++) {
        model_page *p = &m->page[(from + i) / PAGE];
        uint8_t *byte = &m->shadow[p->mem][p->page * PAGE + (from + i) % PAGE];

        if (write)
            *byte = buf[i];
        else
            copy[i] = *byte;
    }
    CU_ASSERT(!memcmp(buf, copy, len)); /* also: a refused read leaves the buffer alone */
    m->done[write ? 4 : 3] += !rc && len;
}

static void model_view(model *m)
{
    size_t slot = below(VIEWS);
    uint64_t from = below(PAGES * PAGE), len = 1 + below(3 * PAGE), first = from / PAGE, last;
    uint32_t prot = rights[below(4)];
    bool must = true, may = true; /* succeed */
    hvcore_view *view = NULL;
    void *p = NULL;
    int rc;

    if (m->view[slot].view) {
        hvcore_view_put(m->view[slot].view);
        m->view[slot].view = NULL;
        for (uint64_t i = m->view[slot].first; i <= m->view[slot].last; i++)
            m->page[i].pins--;
        return;
    }
    len = len > PAGES * PAGE - from ? PAGES * PAGE - from : len;
    last = (from + len - 1) / PAGE;
    for (uint64_t i = first; i <= last; i++) {
        const model_page *q = &m->page[i], *q0 = &m->page[first];

        if (q->mem < 0 || (q->prot & prot) != prot || q->origin != q0->origin)
            may = false;
        /* One mapping that protect() has cut: whether it is one again is left open. */
        must = must && last == first;
    }
    rc = hvcore_view_get(m->vm, BASE + from, len, prot, &view, &p);
    CU_ASSERT((!rc && may) || (rc == -HVCORE_E_FAULT && !(may && must)));
    if (rc)
        return;
    m->done[5 + (last > first)]++;
    CU_ASSERT_PTR_EQUAL(p, m->host[m->page[first].mem] + m->page[first].page * PAGE + from % PAGE);
    m->view[slot].view = view;
    m->view[slot].first = first;
    m->view[slot].last = last;
    for (uint64_t i = first; i <= last; i++)
        m->page[i].pins++;
}

static void model_mmio(model *m, uint64_t first, uint64_t n)
{
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    size_t slot = below(RANGES);
    bool hit = false;
    int rc;

    if (m->range[slot].n) {
        OK(hvcore_vm_mmio_remove(m->vm, m->range[slot].id));
        for (uint64_t i = 0; i < m->range[slot].n; i++)
            m->page[m->range[slot].first + i].mem = -1;
        m->range[slot].n = 0;
        return;
    }
    for (uint64_t i = first; i < first + n; i++)
        hit = hit || m->page[i].mem != -1;
    rc = hvcore_vm_mmio_add(m->vm, gpa_of(first), n * PAGE, &ops, NULL, &m->range[slot].id, NULL);
    CU_ASSERT_EQUAL(rc, hit ? -HVCORE_E_EXISTS : 0);
    if (rc)
        return;
    m->done[7]++;
    m->range[slot].first = first;
    m->range[slot].n = n;
    for (uint64_t i = first; i < first + n; i++)
        m->page[i].mem = -2;
}

/* What the backend was told is what the model says. */
static bool same_in_backend(model *m, uint64_t first, uint64_t n)
{
    for (uint64_t i = first; i < first + n && m->is_toy; i++) {
        const model_page *p = &m->page[i];
        uint32_t prot = 0;
        uint8_t *host = toy_lookup(toy.vm, gpa_of(i), &prot);

        if (p->mem < 0 ? host != NULL : host != m->host[p->mem] + p->page * PAGE || prot != p->prot)
            return false;
    }
    return true;
}

static void against_model(const char *backend, int turns)
{
    static model m;
    released r[MEMS] = {{0, NULL}};

    toy_reset();
    memset(&m, 0, sizeof m);
    m.is_toy = !strcmp(backend, "toy");
    m.ctx = new_ctx();
    m.vm = new_vm(m.ctx, backend);
    for (int i = 0; i < MEMS; i++) {
        m.host[i] = aligned_alloc(PAGE, MEM_PAGES * PAGE);
        for (size_t k = 0; k < MEM_PAGES * PAGE; k++)
            m.host[i][k] = m.shadow[i][k] = (uint8_t)rnd();
        OK(hvcore_mem_adopt(m.ctx, m.host[i], MEM_PAGES * PAGE, release, &r[i], &m.mem[i], NULL));
    }
    for (int i = 0; i < PAGES; i++)
        m.page[i].mem = -1;
    for (int turn = 0; turn < turns; turn++) {
        uint64_t first = below(PAGES), n = 1 + below(below(4) ? 6 : 32);

        n = n > PAGES - first ? PAGES - first : n;
        switch (below(10)) {
        case 0:
        case 1:
        case 2:
            model_map(&m, first, n);
            break;
        case 3:
        case 4:
            model_unmap(&m, first, n);
            break;
        case 5:
            model_protect(&m, first, n);
            break;
        case 6:
        case 7:
            model_copy(&m, below(2));
            break;
        case 8:
            model_view(&m);
            break;
        default:
            model_mmio(&m, first, n);
        }
        if (!same_in_backend(&m, first, n)) {
            CU_FAIL("the backend was told something else");
            break;
        }
    }
    CU_ASSERT(same_in_backend(&m, 0, PAGES));
    for (int i = 0; i < MEMS; i++)
        CU_ASSERT(!memcmp(m.host[i], m.shadow[i], MEM_PAGES * PAGE));
    for (int i = 0; i < 8; i++) /* the random walk has been everywhere */
        CU_ASSERT(m.done[i] > (uint32_t)turns / 1000);
    for (int i = 0; i < MEMS; i++)
        hvcore_mem_unref(m.mem[i]);
    hvcore_vm_unref(m.vm);
    hvcore_ctx_unref(m.ctx);
    for (int i = 0; i < VIEWS; i++)
        hvcore_view_put(m.view[i].view);
    for (int i = 0; i < MEMS; i++) {
        WANT(r[i].count, 1);
        free(m.host[i]);
    }
    WANT(toy.broken, 0);
    if (toy.broken)
        printf("\n    %s", toy.rule);
}

static void model_toy(void)
{
    against_model("toy", 100000);
}

static void model_bare(void)
{
    if (have_backend("bare"))
        against_model("bare", 100000);
    else
        printf("skipped: no backend \"bare\" ");
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"the map against a model (toy)", model_toy},
        {"the map against a model (bare)", model_bare},
        {NULL, NULL},
    };

    toy_reset();
    return hvc_unit_main("core: the map against a model", tests);
}
