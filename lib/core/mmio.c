/* SPDX-License-Identifier: Apache-2.0 */
/* MMIO ranges of a VM: a sorted array, replaced as a whole while the vCPUs are held. */
#include "lib/core/core.h"
#include "lib/core/rendezvous.h"
#include "lib/host/mem.h"

/* Index of the first range that ends after gpa. */
static uint32_t first_after(const hvc_mmios *ms, uint64_t gpa)
{
    uint32_t lo = 0, hi = ms->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (ms->item[mid].gpa + (ms->item[mid].len - 1) < gpa) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

const hvc_mmio *hvc_mmio_at(const hvc_mmios *ms, uint64_t gpa, uint32_t width)
{
    uint32_t i = first_after(ms, gpa);
    const hvc_mmio *m = i < ms->count ? &ms->item[i] : NULL;
    return m && m->gpa <= gpa && width <= m->len - (gpa - m->gpa) ? m : NULL;
}

static int check_free(hvcore_vm *vm, uint64_t gpa, uint64_t len, hvcore_error *err)
{
    uint32_t i = first_after(&vm->mmios, gpa);
    if (i < vm->mmios.count &&
        hvc_ranges_meet(vm->mmios.item[i].gpa, vm->mmios.item[i].len, gpa, len)) {
        return hvc_fail_at(err, HVCORE_E_EXISTS, HVCORE_DOMAIN_MEM, vm->mmios.item[i].gpa,
                           "There is an MMIO range at 0x%llx already.",
                           (unsigned long long)vm->mmios.item[i].gpa);
    }
    for (i = 0; i < vm->regions.count; i++) {
        const hvc_region *r = &vm->regions.item[i];
        if (hvc_ranges_meet(r->gpa, r->len, gpa, len)) {
            return hvc_fail_at(err, HVCORE_E_EXISTS, HVCORE_DOMAIN_MEM, r->gpa,
                               "Memory is mapped at 0x%llx; unmap it first.",
                               (unsigned long long)r->gpa);
        }
    }
    return 0;
}

/* Take the new array; the lock is held. */
static void swap(hvcore_vm *vm, hvc_mmios next)
{
    hvc_hold(vm);
    hvc_mmio *old = vm->mmios.item;
    vm->mmios = next;
    hvc_release(vm, 0);
    hvc_host_free(old);
}

static int insert(hvcore_vm *vm, hvc_mmio *m, hvcore_error *err)
{
    hvc_mmios next = {.count = vm->mmios.count + 1, .room = vm->mmios.count + 1};
    int rc = check_free(vm, m->gpa, m->len, err);
    if (rc) {
        return rc;
    }
    next.item = hvc_host_alloc(next.room * sizeof(hvc_mmio));
    if (!next.item) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_MEM, "No memory for an MMIO range.");
    }
    m->id = ++vm->next_mmio;
    uint32_t at = first_after(&vm->mmios, m->gpa);
    for (uint32_t i = 0; i < next.count; i++) {
        next.item[i] = i == at ? *m : vm->mmios.item[i - (i > at)];
    }
    swap(vm, next);
    return 0;
}

int hvcore_vm_mmio_add(hvcore_vm *vm, uint64_t gpa, uint64_t len, const hvcore_mmio_ops *ops,
                       void *user, uint32_t *id, hvcore_error *err)
{
    hvc_mmio m = {.gpa = gpa, .len = len, .user = user};
    int rc = hvc_struct_in(&m.ops, sizeof(m.ops), ops, "MMIO callbacks", err);
    if (rc) {
        return rc;
    }
    if (!vm || !len) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM,
                        "An MMIO range needs a VM and at least one byte.");
    }
    if (!hvc_range_ok(gpa, len)) {
        return hvc_fail_at(err, HVCORE_E_RANGE, HVCORE_DOMAIN_MEM, gpa,
                           "The MMIO range wraps around 2^64.");
    }
    hvc_host_lock(&vm->lock);
    rc = insert(vm, &m, err);
    hvc_host_unlock(&vm->lock);
    if (!rc && id) {
        *id = m.id;
    }
    return rc;
}

static int remove_id(hvcore_vm *vm, uint32_t id)
{
    hvc_mmio *item = vm->mmios.item;
    uint32_t at = 0;
    while (at < vm->mmios.count && item[at].id != id) {
        at++;
    }
    if (at == vm->mmios.count) {
        return -HVCORE_E_NOTFOUND;
    }
    /* in place: fewer ranges need no memory, so removing cannot fail */
    hvc_hold(vm);
    memmove(&item[at], &item[at + 1], (vm->mmios.count - at - 1) * sizeof(hvc_mmio));
    vm->mmios.count--;
    hvc_release(vm, 0);
    return 0;
}

int hvcore_vm_mmio_remove(hvcore_vm *vm, uint32_t id)
{
    if (!vm) {
        return -HVCORE_E_INVAL;
    }
    hvc_host_lock(&vm->lock);
    int rc = remove_id(vm, id);
    hvc_host_unlock(&vm->lock);
    return rc;
}
