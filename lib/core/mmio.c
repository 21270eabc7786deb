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

static int check_free(hvcore_vm *vm, const hvc_mmios *ms, uint64_t gpa, uint64_t len,
                      hvcore_error *err)
{
    uint32_t i = first_after(ms, gpa);
    if (i < ms->count && hvc_ranges_meet(ms->item[i].gpa, ms->item[i].len, gpa, len)) {
        return hvc_fail_at(err, HVCORE_E_EXISTS, HVCORE_DOMAIN_MEM, ms->item[i].gpa,
                           "There is a range of callbacks at 0x%llx already.",
                           (unsigned long long)ms->item[i].gpa);
    }
    for (i = 0; i < vm->regions.count && ms == &vm->mmios; i++) {
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
static int swap(hvcore_vm *vm, hvc_mmios *ms, hvc_mmios next, hvcore_error *err)
{
    if (hvc_try_hold(vm)) {
        hvc_host_free(next.item);
        return hvc_fail_hold(err);
    }
    hvc_mmio *old = ms->item;
    *ms = next;
    hvc_release(vm, 0);
    hvc_host_free(old);
    return 0;
}

static int insert(hvcore_vm *vm, hvc_mmios *ms, hvc_mmio *m, hvcore_error *err)
{
    hvc_mmios next = {.count = ms->count + 1, .room = ms->count + 1};
    int rc = check_free(vm, ms, m->gpa, m->len, err);
    if (rc) {
        return rc;
    }
    next.item = hvc_host_alloc(next.room * sizeof(hvc_mmio));
    if (!next.item) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_MEM, "No memory for an MMIO range.");
    }
    m->id = ++vm->next_mmio;
    uint32_t at = first_after(ms, m->gpa);
    for (uint32_t i = 0; i < next.count; i++) {
        next.item[i] = i == at ? *m : ms->item[i - (i > at)];
    }
    return swap(vm, ms, next, err);
}

/* *m lacks its callbacks and its id. */
static int add(hvcore_vm *vm, hvc_mmios *ms, hvc_mmio *m, const hvcore_mmio_ops *ops, uint32_t *id,
               hvcore_error *err)
{
    int rc = hvc_struct_in(&m->ops, sizeof(m->ops), ops, "callbacks", err);
    if (rc) {
        return rc;
    }
    hvc_host_lock(&vm->lock);
    rc = insert(vm, ms, m, err);
    hvc_host_unlock(&vm->lock);
    if (!rc && id) {
        *id = m->id;
    }
    return rc;
}

int hvcore_vm_mmio_add(hvcore_vm *vm, uint64_t gpa, uint64_t len, const hvcore_mmio_ops *ops,
                       void *user, uint32_t *id, hvcore_error *err)
{
    hvc_mmio m = {.gpa = gpa, .len = len, .user = user};
    if (!vm || !len) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM,
                        "An MMIO range needs a VM and at least one byte.");
    }
    if (!hvc_range_ok(gpa, len)) {
        return hvc_fail_at(err, HVCORE_E_RANGE, HVCORE_DOMAIN_MEM, gpa,
                           "The MMIO range wraps around 2^64.");
    }
    return add(vm, &vm->mmios, &m, ops, id, err);
}

int hvcore_vm_pio_add(hvcore_vm *vm, uint32_t port, uint32_t len, const hvcore_mmio_ops *ops,
                      void *user, uint32_t *id, hvcore_error *err)
{
    enum { PORTS = 0x10000 };
    hvc_mmio m = {.gpa = port, .len = len, .user = user};
    if (!vm || !len) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM,
                        "A range of ports needs a VM and at least one port.");
    }
    if (vm->arch != HVCORE_ARCH_X86_64) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_MEM, "Only x86_64 has ports.");
    }
    if (port >= PORTS || len > PORTS - port) {
        return hvc_fail_at(err, HVCORE_E_RANGE, HVCORE_DOMAIN_MEM, port, "Ports end at 0xffff.");
    }
    return add(vm, &vm->pios, &m, ops, id, err);
}

/* -HVCORE_E_NOTFOUND: it is not in this table. */
static int remove_from(hvcore_vm *vm, hvc_mmios *ms, uint32_t id)
{
    hvc_mmio *item = ms->item;
    uint32_t at = 0;
    while (at < ms->count && item[at].id != id) {
        at++;
    }
    if (at == ms->count) {
        return -HVCORE_E_NOTFOUND;
    }
    int rc = hvc_try_hold(vm);
    if (rc) {
        return rc;
    }
    /* in place: fewer ranges need no memory */
    memmove(&item[at], &item[at + 1], (ms->count - at - 1) * sizeof(hvc_mmio));
    ms->count--;
    hvc_release(vm, 0);
    return 0;
}

static int remove_id(hvcore_vm *vm, uint32_t id)
{
    int rc = remove_from(vm, &vm->mmios, id);
    return rc == -HVCORE_E_NOTFOUND ? remove_from(vm, &vm->pios, id) : rc;
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
