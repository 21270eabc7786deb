/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory map of a VM. A change is prepared as a new sorted array, made in the backend while all
 * vCPUs are held, and then swapped in: it happens wholly or not at all.
 */
#include "lib/core/core.h"
#include "lib/core/rendezvous.h"
#include "lib/host/mem.h"

static const uint64_t page_mask = HVCORE_PAGE_SIZE - 1;

/* Index of the first region that ends after gpa. */
static uint32_t first_after(const hvc_regions *rs, uint64_t gpa)
{
    uint32_t lo = 0, hi = rs->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (rs->item[mid].gpa + (rs->item[mid].len - 1) < gpa) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

const hvc_region *hvc_region_at(const hvc_regions *rs, uint64_t gpa)
{
    uint32_t i = first_after(rs, gpa);
    return i < rs->count && rs->item[i].gpa <= gpa ? &rs->item[i] : NULL;
}

static int check_range(uint64_t gpa, uint64_t len, hvcore_error *err)
{
    if (gpa & page_mask || len & page_mask || !len) {
        return hvc_fail_at(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM, gpa,
                           "The range of 0x%llx bytes at 0x%llx is not made of whole pages of %u.",
                           (unsigned long long)len, (unsigned long long)gpa,
                           (unsigned)HVCORE_PAGE_SIZE);
    }
    if (!hvc_range_ok(gpa, len)) {
        return hvc_fail_at(err, HVCORE_E_RANGE, HVCORE_DOMAIN_MEM, gpa,
                           "The range of 0x%llx bytes at 0x%llx wraps around 2^64.",
                           (unsigned long long)len, (unsigned long long)gpa);
    }
    return 0;
}

/* W without R is a reserved encoding in every page table that is filled from this. */
static int check_prot(uint32_t prot, hvcore_error *err)
{
    if (!prot || prot & ~(uint32_t)HVCORE_PROT_RWX ||
        (prot & HVCORE_PROT_W && !(prot & HVCORE_PROT_R))) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM,
                        "Rights 0x%x are none, unknown, or writable without being readable.", prot);
    }
    return 0;
}

static int check_opts(const hvcore_mem *mem, hvcore_map_opts *o, hvcore_error *err)
{
    if (o->reserved) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM,
                        "The field `reserved` of the map options is not 0.");
    }
    if (o->pager) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_MEM, "Pagers are not there yet.");
    }
    if (o->dirty > 1) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM, "The field `dirty` is 0 or 1.");
    }
    int rc = check_prot(o->prot, err);
    if (rc) {
        return rc;
    }
    if (o->offset & page_mask) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM,
                        "The offset 0x%llx is not a page multiple.", (unsigned long long)o->offset);
    }
    if (o->offset >= mem->len || (o->len && o->len > mem->len - o->offset)) {
        return hvc_fail(
            err, HVCORE_E_RANGE, HVCORE_DOMAIN_MEM,
            "The memory object ends at 0x%llx, before offset 0x%llx and length 0x%llx do.",
            (unsigned long long)mem->len, (unsigned long long)o->offset,
            (unsigned long long)o->len);
    }
    if (!o->len) {
        o->len = mem->len - o->offset;
    }
    return check_range(o->gpa, o->len, err);
}

static int check_free(const hvcore_vm *vm, uint64_t gpa, uint64_t len, hvcore_error *err)
{
    uint32_t i = first_after(&vm->regions, gpa);
    const hvc_region *r = i < vm->regions.count ? &vm->regions.item[i] : NULL;
    if (r && hvc_ranges_meet(r->gpa, r->len, gpa, len)) {
        return hvc_fail_at(err, HVCORE_E_EXISTS, HVCORE_DOMAIN_MEM, r->gpa,
                           "Memory is mapped at 0x%llx already.", (unsigned long long)r->gpa);
    }
    for (i = 0; i < vm->mmios.count; i++) {
        const hvc_mmio *m = &vm->mmios.item[i];
        if (hvc_ranges_meet(m->gpa, m->len, gpa, len)) {
            return hvc_fail_at(err, HVCORE_E_EXISTS, HVCORE_DOMAIN_MEM, m->gpa,
                               "There is an MMIO range at 0x%llx.", (unsigned long long)m->gpa);
        }
    }
    return 0;
}

/* An empty array with room for `room` regions. */
static int new_regions(hvc_regions *rs, uint32_t room, hvcore_error *err)
{
    *rs = (hvc_regions){.room = room, .item = hvc_host_alloc(room * sizeof(hvc_region))};
    return rs->item
               ? 0
               : hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_MEM, "No memory for the memory map.");
}

static void append(hvc_regions *rs, const hvc_region *r, uint64_t gpa, uint64_t len)
{
    hvc_region part = *r;
    part.gpa = gpa;
    part.len = len;
    part.offset += gpa - r->gpa;
    hvcore_mem_ref(part.mem);
    rs->item[rs->count++] = part;
}

static void drop_regions(hvc_regions *rs)
{
    for (uint32_t i = 0; i < rs->count; i++) {
        hvcore_mem_unref(rs->item[i].mem);
    }
    hvc_host_free(rs->item);
    *rs = (hvc_regions){0};
}

/* The map with one more region, in order. */
static int with_region(const hvc_regions *old, const hvc_region *r, hvc_regions *next,
                       hvcore_error *err)
{
    int rc = new_regions(next, old->count + 1, err);
    if (rc) {
        return rc;
    }
    uint32_t at = first_after(old, r->gpa);
    for (uint32_t i = 0; i <= old->count; i++) {
        const hvc_region *from = i == at ? r : &old->item[i - (i > at)];
        append(next, from, from->gpa, from->len);
    }
    return 0;
}

static void *host_of(const hvc_region *r)
{
    return (char *)r->mem->host + r->offset;
}

/*
 * Swap the map while everybody is held. `change` does the backend's part; the old regions are
 * dropped outside the lock, because that may call a release function of the VMM.
 */
typedef int change_fn(hvcore_vm *vm, const hvc_region *range, hvcore_error *err);

static int swap_map(hvcore_vm *vm, hvc_regions *next, change_fn *change, const hvc_region *range,
                    hvcore_error *err)
{
    if (hvc_try_hold(vm)) {
        return hvc_fail_hold(err);
    }
    int rc = change(vm, range, err);
    if (!rc) {
        hvc_regions old = vm->regions;
        vm->regions = *next;
        *next = old;
    }
    hvc_release(vm, HVC_REQ_FLUSH);
    return rc;
}

static int backend_map(hvcore_vm *vm, const hvc_region *r, hvcore_error *err)
{
    hvcore_bk_region region = {
        .gpa = r->gpa, .len = r->len, .prot = r->prot, .dirty = r->dirty, .host = host_of(r)};
    hvcore_error own = HVCORE_ERROR_INIT;
    int rc = vm->ops->mem_map(vm->bk, &region, &own);
    return rc ? hvc_backend_failed(err, rc, &own, "the mapping") : 0;
}

static int check_dirty(const hvcore_vm *vm, uint32_t dirty, hvcore_error *err)
{
    return !dirty || vm->info.caps & HVCORE_CAP_DIRTY
               ? 0
               : hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_MEM,
                          "Backend %s keeps no dirty logs.", vm->info.name);
}

int hvcore_vm_map(hvcore_vm *vm, hvcore_mem *mem, const hvcore_map_opts *opts, hvcore_error *err)
{
    hvcore_map_opts o;
    hvc_regions next = {0};
    int rc = hvc_struct_in(&o, sizeof(o), opts, "map options", err);
    if (!rc && (!vm || !mem)) {
        rc = hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM, "A mapping needs a VM and memory.");
    }
    if (!rc) {
        rc = check_opts(mem, &o, err);
    }
    if (rc) {
        return rc;
    }
    hvc_region r = {.gpa = o.gpa,
                    .len = o.len,
                    .offset = o.offset,
                    .prot = o.prot,
                    .dirty = o.dirty,
                    .mem = mem};
    hvc_host_lock(&vm->lock);
    rc = check_dirty(vm, o.dirty, err);
    if (!rc) {
        rc = check_free(vm, o.gpa, o.len, err);
    }
    if (!rc) {
        rc = with_region(&vm->regions, &r, &next, err);
    }
    if (!rc) {
        rc = swap_map(vm, &next, backend_map, &r, err);
    }
    hvc_host_unlock(&vm->lock);
    drop_regions(&next);
    return rc;
}

static bool pinned(const hvcore_vm *vm, uint64_t gpa, uint64_t len)
{
    for (const hvcore_view *v = vm->views; v; v = v->next) {
        if (hvc_ranges_meet(v->gpa, v->len, gpa, len)) {
            return true;
        }
    }
    return false;
}

/* The parts of `r` before, inside and after the range; each may be empty. */
typedef struct parts {
    uint64_t before, inside_gpa, inside, after_gpa, after;
} parts;

static parts cut(const hvc_region *r, uint64_t gpa, uint64_t len)
{
    uint64_t r_last = r->gpa + (r->len - 1), last = gpa + (len - 1);
    parts p = {0};
    if (!hvc_ranges_meet(r->gpa, r->len, gpa, len)) {
        p.before = r->len;
        return p;
    }
    p.before = gpa > r->gpa ? gpa - r->gpa : 0;
    p.inside_gpa = r->gpa + p.before;
    p.inside = (last < r_last ? last : r_last) - p.inside_gpa + 1;
    p.after_gpa = p.inside_gpa + p.inside;
    p.after = r->len - p.before - p.inside;
    return p;
}

/* The map with the range taken out (prot 0) or given other rights; how many bytes of it are mapped.
 */
static uint64_t without(const hvc_regions *old, hvc_regions *next, uint64_t gpa, uint64_t len,
                        uint32_t prot)
{
    uint64_t covered = 0;
    for (uint32_t i = 0; i < old->count; i++) {
        hvc_region r = old->item[i];
        parts p = cut(&r, gpa, len);
        if (p.before) {
            append(next, &r, r.gpa, p.before);
        }
        if (p.inside && prot) {
            append(next, &r, p.inside_gpa, p.inside);
            next->item[next->count - 1].prot = prot;
        }
        if (p.after) {
            append(next, &r, p.after_gpa, p.after);
        }
        covered += p.inside;
    }
    return covered;
}

static int backend_unmap(hvcore_vm *vm, const hvc_region *range, hvcore_error *err)
{
    hvcore_error own = HVCORE_ERROR_INIT;
    int rc = vm->ops->mem_unmap(vm->bk, range->gpa, range->len, &own);
    return rc ? hvc_backend_failed(err, rc, &own, "the range free") : 0;
}

static int backend_protect(hvcore_vm *vm, const hvc_region *range, hvcore_error *err)
{
    hvcore_error own = HVCORE_ERROR_INIT;
    int rc = vm->ops->mem_protect(vm->bk, range->gpa, range->len, range->prot, &own);
    return rc ? hvc_backend_failed(err, rc, &own, "the change of rights") : 0;
}

/* Unmap (prot 0) or protect; the lock is held. */
static int change_range(hvcore_vm *vm, const hvc_region *range, hvc_regions *next,
                        hvcore_error *err)
{
    if (!range->prot && pinned(vm, range->gpa, range->len)) {
        return hvc_fail_at(err, HVCORE_E_BUSY, HVCORE_DOMAIN_MEM, range->gpa,
                           "A view pins part of the range; put it back first.");
    }
    /* a cut adds two regions at the most for unmap, and two for protect */
    int rc = new_regions(next, vm->regions.count + 2, err);
    if (rc) {
        return rc;
    }
    uint64_t covered = without(&vm->regions, next, range->gpa, range->len, range->prot);
    if (!covered || (range->prot && covered != range->len)) {
        return hvc_fail_at(err, HVCORE_E_NOTFOUND, HVCORE_DOMAIN_MEM, range->gpa,
                           "No memory is mapped in %s the 0x%llx bytes at 0x%llx.",
                           covered ? "part of" : "any of", (unsigned long long)range->len,
                           (unsigned long long)range->gpa);
    }
    return swap_map(vm, next, range->prot ? backend_protect : backend_unmap, range, err);
}

static int change(hvcore_vm *vm, uint64_t gpa, uint64_t len, uint32_t prot, hvcore_error *err)
{
    hvc_regions next = {0};
    hvc_region range = {.gpa = gpa, .len = len, .prot = prot};
    int rc = vm ? check_range(gpa, len, err)
                : hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM, "The VM is NULL.");
    if (rc) {
        return rc;
    }
    hvc_host_lock(&vm->lock);
    rc = change_range(vm, &range, &next, err);
    hvc_host_unlock(&vm->lock);
    drop_regions(&next);
    return rc;
}

int hvcore_vm_unmap(hvcore_vm *vm, uint64_t gpa, uint64_t len, hvcore_error *err)
{
    return change(vm, gpa, len, 0, err);
}

int hvcore_vm_protect(hvcore_vm *vm, uint64_t gpa, uint64_t len, uint32_t prot, hvcore_error *err)
{
    int rc = check_prot(prot, err);
    return rc ? rc : change(vm, gpa, len, prot, err);
}

/* Walk over [gpa, gpa + len): first to see that all of it is there, then to copy. */
static int copy(hvcore_vm *vm, uint64_t gpa, char *buf, size_t len, bool write, bool dry)
{
    while (len) {
        const hvc_region *r = hvc_region_at(&vm->regions, gpa);
        if (!r) {
            return -HVCORE_E_FAULT;
        }
        uint64_t room = r->len - (gpa - r->gpa);
        size_t n = room < len ? (size_t)room : len;
        char *host = (char *)host_of(r) + (gpa - r->gpa);
        if (!dry) {
            memcpy(write ? host : buf, write ? buf : host, n);
        }
        if (!dry && write) {
            vm->ops->mem_written(vm->bk, host, n);
        }
        gpa += n;
        buf += n;
        len -= n;
    }
    return 0;
}

static int copy_checked(hvcore_vm *vm, uint64_t gpa, char *buf, size_t len, bool write)
{
    if (!vm || (!buf && len)) {
        return -HVCORE_E_INVAL;
    }
    if (!len) {
        return 0;
    }
    if (!hvc_range_ok(gpa, len)) {
        return -HVCORE_E_FAULT;
    }
    hvc_host_lock(&vm->lock);
    int rc = copy(vm, gpa, buf, len, write, true);
    if (!rc) {
        copy(vm, gpa, buf, len, write, false);
    }
    hvc_host_unlock(&vm->lock);
    return rc;
}

int hvcore_vm_read(hvcore_vm *vm, uint64_t gpa, void *buf, size_t len)
{
    return copy_checked(vm, gpa, buf, len, false);
}

int hvcore_vm_write(hvcore_vm *vm, uint64_t gpa, const void *buf, size_t len)
{
    return copy_checked(vm, gpa, (char *)(uintptr_t)buf, len, true);
}

static int pin(hvcore_vm *vm, hvcore_view *view, uint32_t prot, void **ptr)
{
    const hvc_region *r = hvc_region_at(&vm->regions, view->gpa);
    if (!r || view->len > r->len - (view->gpa - r->gpa) || (prot & ~r->prot)) {
        return -HVCORE_E_FAULT;
    }
    view->vm = hvcore_vm_ref(vm);
    view->mem = hvcore_mem_ref(r->mem);
    view->next = vm->views;
    vm->views = view;
    *ptr = (char *)host_of(r) + (view->gpa - r->gpa);
    return 0;
}

int hvcore_view_get(hvcore_vm *vm, uint64_t gpa, size_t len, uint32_t prot, hvcore_view **view,
                    void **ptr)
{
    if (!vm || !view || !ptr || !prot || prot & ~(uint32_t)HVCORE_PROT_RWX || !len) {
        return -HVCORE_E_INVAL;
    }
    hvcore_view *made = hvc_host_alloc(sizeof(*made));
    if (!made) {
        return -HVCORE_E_NOMEM;
    }
    made->gpa = gpa;
    made->len = len;
    hvc_host_lock(&vm->lock);
    int rc = pin(vm, made, prot, ptr);
    hvc_host_unlock(&vm->lock);
    if (rc) {
        hvc_host_free(made);
        return rc;
    }
    *view = made;
    return 0;
}

void hvcore_view_put(hvcore_view *view)
{
    if (!view) {
        return;
    }
    hvcore_vm *vm = view->vm;
    hvc_host_lock(&vm->lock);
    hvcore_view **link = &vm->views;
    while (*link != view) {
        link = &(*link)->next;
    }
    *link = view->next;
    hvc_host_unlock(&vm->lock);
    hvcore_mem_unref(view->mem);
    hvc_host_free(view);
    hvcore_vm_unref(vm);
}

/* ---- dirty logs ------------------------------------------------------------------------------ */

/* All of the range is mapped with a log; the lock is held. */
static int check_logged(const hvcore_vm *vm, uint64_t gpa, uint64_t len, hvcore_error *err)
{
    for (uint64_t done = 0; done < len;) {
        const hvc_region *r = hvc_region_at(&vm->regions, gpa + done);
        if (!r || !r->dirty) {
            return hvc_fail_at(err, HVCORE_E_NOTFOUND, HVCORE_DOMAIN_MEM, gpa + done,
                               "Nothing at 0x%llx is mapped with a dirty log.",
                               (unsigned long long)(gpa + done));
        }
        done += r->len - (gpa + done - r->gpa);
    }
    return 0;
}

int hvcore_vm_dirty_get(hvcore_vm *vm, uint64_t gpa, uint64_t len, uint8_t *bitmap, uint32_t flags,
                        hvcore_error *err)
{
    if (!vm || !bitmap || flags & ~(uint32_t)HVCORE_DIRTY_KEEP) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM,
                        "A VM, a bitmap and known flags are needed.");
    }
    int rc = check_dirty(vm, 1, err);
    if (!rc) {
        rc = check_range(gpa, len, err);
    }
    if (rc) {
        return rc;
    }
    memset(bitmap, 0, (size_t)((len / HVCORE_PAGE_SIZE + 7) / 8));
    hvc_host_lock(&vm->lock);
    rc = check_logged(vm, gpa, len, err);
    if (!rc) {
        rc = vm->kernel->dirty(vm->bk, gpa, len, bitmap, flags, err);
    }
    hvc_host_unlock(&vm->lock);
    return rc;
}
