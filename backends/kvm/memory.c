/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: one slot of KVM for each piece. A slot never changes its size (KVM refuses), so a
 * piece that is cut goes, and its rests come as new slots; if one of them is refused, what was
 * there is put back. No vCPU is in the guest meanwhile.
 *
 * Dirty logs: the kernel's bits are taken over into a slot's own log, where those of
 * hvcore_vm_write() are, too, and which survives a cut.
 */
#include "backends/kvm/kvm.h"
#include "lib/host/mem.h"

enum { PAGE_SHIFT = 12 };

static uint64_t pages(uint64_t bytes)
{
    return bytes >> PAGE_SHIFT;
}

/* The kernel's log is in units of 64 pages (api.rst, KVM_GET_DIRTY_LOG). */
static size_t log_bytes(uint64_t len)
{
    return (size_t)((pages(len) + 63) / 64 * 8);
}

static uint64_t bit_of(uint64_t page)
{
    return UINT64_C(1) << (page & 63);
}

/* ---- slots ----------------------------------------------------------------------------------- */

static uint32_t number(const bk_vm *vm, const hvc_kvm_slot *s)
{
    return (uint32_t)(s - vm->slot);
}

static bool meets(const hvc_kvm_slot *s, uint64_t gpa, uint64_t last)
{
    return s->len && s->gpa <= last && s->gpa + (s->len - 1) >= gpa;
}

/* Tell the kernel of a slot; `len` 0 takes it away. -1 and errno. */
static int tell(bk_vm *vm, const hvc_kvm_slot *s, uint64_t len)
{
    struct kvm_userspace_memory_region r = {
        .slot = number(vm, s),
        .flags = (s->prot & HVCORE_PROT_W ? 0 : (uint32_t)KVM_MEM_READONLY) |
                 (s->dirty ? (uint32_t)KVM_MEM_LOG_DIRTY_PAGES : 0),
        .guest_phys_addr = s->gpa,
        .memory_size = len,
        .userspace_addr = hvc_kvm_address(s->host),
    };
    return hvc_kvm_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r);
}

/* A slot that is free, in an array that has room for `more` of them. */
static int reserve(bk_vm *vm, uint32_t more, hvcore_error *err)
{
    uint32_t spare = 0;
    for (uint32_t i = 0; i < vm->count; i++) {
        spare += !vm->slot[i].len;
    }
    if (spare >= more) {
        return 0;
    }
    uint32_t count = vm->count + (more - spare) + 8;
    count = count > vm->slots ? vm->slots : count;
    if (count < vm->count + (more - spare)) {
        return hvc_fail(err, HVCORE_E_LIMIT, HVCORE_DOMAIN_KVM,
                        "This kernel's KVM has %u memory slots, and all are taken: map larger "
                        "pieces.",
                        vm->slots);
    }
    hvc_kvm_slot *slot = hvc_host_alloc(count * sizeof(*slot));
    if (!slot) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_KVM, "No memory for memory slots.");
    }
    if (vm->count) {
        memcpy(slot, vm->slot, vm->count * sizeof(*slot));
    }
    hvc_host_free(vm->slot);
    vm->slot = slot;
    vm->count = count;
    return 0;
}

static hvc_kvm_slot *free_slot(bk_vm *vm)
{
    uint32_t i = 0;
    while (vm->slot[i].len) {
        i++;
    }
    return &vm->slot[i];
}

/* Fill a free slot and tell the kernel. The log is the slot's from then on, if it succeeds. */
static int add(bk_vm *vm, const hvc_kvm_slot *what, hvcore_error *err)
{
    hvc_kvm_slot *s = free_slot(vm);
    *s = *what;
    if (tell(vm, s, s->len) == 0) {
        return 0;
    }
    int rc = hvc_kvm_fail(err, "KVM_SET_USER_MEMORY_REGION");
    if (hvc_error_usable(err)) {
        err->address = s->gpa;
    }
    *s = (hvc_kvm_slot){0};
    return rc;
}

static int new_log(hvc_kvm_slot *s, hvcore_error *err)
{
    s->log = s->dirty ? hvc_host_alloc(log_bytes(s->len)) : NULL;
    return !s->dirty || s->log
               ? 0
               : hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_KVM, "No memory for a dirty log.");
}

static int check_prot(const bk_vm *vm, uint32_t prot, hvcore_error *err)
{
    if (!(prot & HVCORE_PROT_X)) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                        "KVM lets a guest execute all memory that it can read: ask for X as well.");
    }
    if (!(prot & HVCORE_PROT_W) && !vm->readonly) {
        return hvc_fail(err, HVCORE_E_UNSUPPORTED, HVCORE_DOMAIN_KVM,
                        "This kernel's KVM has no read-only memory (KVM_CAP_READONLY_MEM).");
    }
    return 0;
}

int hvc_kvm_map(bk_vm *vm, const hvcore_bk_region *r, hvcore_error *err)
{
    hvc_kvm_slot s = {
        .gpa = r->gpa, .len = r->len, .prot = r->prot, .dirty = r->dirty, .host = r->host};
    int rc = check_prot(vm, r->prot, err);
    if (!rc) {
        rc = reserve(vm, 1, err);
    }
    if (!rc) {
        rc = new_log(&s, err);
    }
    if (!rc) {
        rc = add(vm, &s, err);
        if (rc) {
            hvc_host_free(s.log);
        }
    }
    return rc;
}

/* ---- dirty logs ------------------------------------------------------------------------------ */

static void log_or(uint64_t *to, uint64_t to_page, const uint64_t *from, uint64_t from_page,
                   uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (from[(from_page + i) / 64] & bit_of(from_page + i)) {
            to[(to_page + i) / 64] |= bit_of(to_page + i);
        }
    }
}

/* Take the kernel's bits of a slot over into its log; the kernel begins anew. */
static int harvest(bk_vm *vm, hvc_kvm_slot *s, hvcore_error *err)
{
    uint64_t *bits = hvc_host_alloc(log_bytes(s->len));
    struct kvm_dirty_log log = {.slot = number(vm, s), .dirty_bitmap = bits};
    if (!bits) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_KVM, "No memory for a dirty log.");
    }
    int rc = 0;
    if (hvc_kvm_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) < 0) {
        rc = hvc_kvm_fail(err, "KVM_GET_DIRTY_LOG");
    }
    for (size_t i = 0; !rc && i < log_bytes(s->len) / 8; i++) {
        s->log[i] |= bits[i];
    }
    hvc_host_free(bits);
    return rc;
}

/* The log's bits of [gpa, gpa + len), which lies in the slot; bit 0 of `out` is page `first`. */
static void give(hvc_kvm_slot *s, uint64_t gpa, uint64_t len, uint8_t *out, uint64_t first,
                 bool keep)
{
    uint64_t from = pages(gpa - s->gpa);
    for (uint64_t i = 0; i < pages(len); i++) {
        uint64_t *word = &s->log[(from + i) / 64], bit = bit_of(from + i);
        if (*word & bit) {
            out[(first + i) / 8] |= (uint8_t)(1u << ((first + i) & 7));
            *word &= keep ? ~UINT64_C(0) : ~bit;
        }
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int hvc_kvm_dirty(bk_vm *vm, uint64_t gpa, uint64_t len, uint8_t *bitmap, uint32_t flags,
                  hvcore_error *err)
{
    uint64_t last = gpa + (len - 1);
    /* all of them before the first bit is given: what fails has told nobody */
    for (uint32_t i = 0; i < vm->count; i++) {
        int rc = meets(&vm->slot[i], gpa, last) ? harvest(vm, &vm->slot[i], err) : 0;
        if (rc) {
            return rc;
        }
    }
    for (uint32_t i = 0; i < vm->count; i++) {
        hvc_kvm_slot *s = &vm->slot[i];
        if (!meets(s, gpa, last)) {
            continue;
        }
        uint64_t from = s->gpa > gpa ? s->gpa : gpa;
        uint64_t n = earlier(s->gpa + (s->len - 1), last) - from + 1;
        give(s, from, n, bitmap, pages(from - gpa), flags & HVCORE_DIRTY_KEEP);
    }
    return 0;
}

void hvc_kvm_written(bk_vm *vm, const void *host, uint64_t len)
{
    for (uint32_t i = 0; i < vm->count; i++) {
        hvc_kvm_slot *s = &vm->slot[i];
        uintptr_t begin = (uintptr_t)host, at = (uintptr_t)s->host;
        if (!s->log || begin + (len - 1) < at || begin > at + (s->len - 1)) {
            continue;
        }
        /* other mappings of the same memory begin and end elsewhere */
        uint64_t from = begin > at ? begin - at : 0;
        uint64_t to = earlier(begin + (len - 1) - at, s->len - 1);
        for (uint64_t p = pages(from); p <= pages(to); p++) {
            s->log[p / 64] |= bit_of(p);
        }
    }
}

/* ---- cutting --------------------------------------------------------------------------------- */

/* A piece of a slot that stays, from `gpa` on, with its part of the log. */
static int piece_of(const hvc_kvm_slot *s, uint64_t gpa, uint64_t len, uint32_t prot,
                    hvc_kvm_slot *piece, hvcore_error *err)
{
    *piece = *s;
    piece->gpa = gpa;
    piece->len = len;
    piece->prot = prot;
    piece->host = s->host + (gpa - s->gpa);
    piece->log = NULL;
    int rc = len ? new_log(piece, err) : 0;
    if (!rc && piece->log) {
        log_or(piece->log, 0, s->log, pages(gpa - s->gpa), pages(len));
    }
    return rc;
}

/* A cut of a slot: what is before, inside (with its new rights), after; len 0: nothing. */
typedef struct cut {
    hvc_kvm_slot piece[3];
} cut;

static void cut_drop(cut *c)
{
    for (unsigned i = 0; i < 3; i++) {
        hvc_host_free(c->piece[i].log);
        c->piece[i].log = NULL;
    }
}

static int cut_make(const hvc_kvm_slot *s, uint64_t gpa, uint64_t last, uint32_t prot, cut *c,
                    hvcore_error *err)
{
    uint64_t end = s->gpa + (s->len - 1);
    uint64_t from = gpa > s->gpa ? gpa : s->gpa, to = earlier(last, end);
    *c = (cut){0};
    int rc = piece_of(s, s->gpa, from - s->gpa, s->prot, &c->piece[0], err);
    if (!rc) {
        rc = piece_of(s, from, prot ? to - from + 1 : 0, prot, &c->piece[1], err);
    }
    if (!rc) {
        rc = piece_of(s, to + 1, end - to, s->prot, &c->piece[2], err);
    }
    if (rc) {
        cut_drop(c);
    }
    return rc;
}

/* The cut of one slot. */
typedef struct step {
    uint32_t index;
    hvc_kvm_slot old;
    cut cut;
} step;

typedef struct steps {
    step *item;
    uint32_t count;
} steps;

/* Take back the pieces of a cut that are there. */
static void undo_pieces(bk_vm *vm, const cut *c)
{
    for (uint32_t i = 0; i < vm->count; i++) {
        hvc_kvm_slot *s = &vm->slot[i];
        for (unsigned k = 0; k < 3; k++) {
            if (s->len && s->len == c->piece[k].len && s->gpa == c->piece[k].gpa) {
                tell(vm, s, 0);
                *s = (hvc_kvm_slot){0};
                break;
            }
        }
    }
}

/* Back to the old slot, which the kernel had a moment ago. */
static void undo(bk_vm *vm, const step *t)
{
    undo_pieces(vm, &t->cut);
    vm->slot[t->index] = t->old;
    tell(vm, &vm->slot[t->index], t->old.len);
}

/* The slot goes, its pieces come; or all stays as it was. */
static int apply(bk_vm *vm, step *t, hvcore_error *err)
{
    t->old = vm->slot[t->index];
    if (tell(vm, &vm->slot[t->index], 0) < 0) {
        return hvc_kvm_fail(err, "KVM_SET_USER_MEMORY_REGION");
    }
    vm->slot[t->index] = (hvc_kvm_slot){0};
    int rc = 0;
    for (unsigned i = 0; i < 3 && !rc; i++) {
        rc = t->cut.piece[i].len ? add(vm, &t->cut.piece[i], err) : 0;
    }
    if (rc) {
        undo(vm, t);
    }
    return rc;
}

/* All that needs memory, before anything changes. */
static int prepare(bk_vm *vm, uint64_t gpa, uint64_t last, uint32_t prot, steps *ts,
                   hvcore_error *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < vm->count && !rc; i++) {
        hvc_kvm_slot *s = &vm->slot[i];
        if (!meets(s, gpa, last) || s->prot == prot) {
            continue;
        }
        rc = s->dirty ? harvest(vm, s, err) : 0;
        if (!rc) {
            rc = cut_make(s, gpa, last, prot, &ts->item[ts->count].cut, err);
        }
        if (!rc) {
            ts->item[ts->count++].index = i;
        }
    }
    return rc;
}

static int apply_all(bk_vm *vm, steps *ts, hvcore_error *err)
{
    uint32_t done = 0;
    int rc = 0;
    while (done < ts->count && !rc) {
        rc = apply(vm, &ts->item[done], err);
        done += !rc;
    }
    while (rc && done) {
        undo(vm, &ts->item[--done]);
    }
    return rc;
}

/* The logs of what is not there any more: the old slots', or the pieces'. */
static void drop_logs(steps *ts, bool changed)
{
    for (uint32_t i = 0; i < ts->count; i++) {
        if (changed) {
            hvc_host_free(ts->item[i].old.log);
        } else {
            cut_drop(&ts->item[i].cut);
        }
    }
}

/* How many slots more there will be than the one that is cut, at least 0. */
static uint32_t more_slots(const hvc_kvm_slot *s, uint64_t gpa, uint64_t last, uint32_t prot)
{
    uint32_t pieces = (s->gpa < gpa) + (prot != 0) + (s->gpa + (s->len - 1) > last);
    return pieces > 1 ? pieces - 1 : 0;
}

static int change(bk_vm *vm, uint64_t gpa, uint64_t len, uint32_t prot, hvcore_error *err)
{
    uint64_t last = gpa + (len - 1);
    uint32_t cuts = 0, more = 0;
    for (uint32_t i = 0; i < vm->count; i++) {
        if (meets(&vm->slot[i], gpa, last)) {
            cuts++;
            more += more_slots(&vm->slot[i], gpa, last, prot);
        }
    }
    int rc = reserve(vm, more, err);
    if (rc || !cuts) {
        return rc;
    }
    steps ts = {.item = hvc_host_alloc(cuts * sizeof(step))};
    if (!ts.item) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_KVM, "No memory to cut memory slots.");
    }
    rc = prepare(vm, gpa, last, prot, &ts, err);
    if (!rc) {
        rc = apply_all(vm, &ts, err);
    }
    drop_logs(&ts, !rc);
    hvc_host_free(ts.item);
    return rc;
}

int hvc_kvm_unmap(bk_vm *vm, uint64_t gpa, uint64_t len, hvcore_error *err)
{
    return change(vm, gpa, len, 0, err);
}

int hvc_kvm_protect(bk_vm *vm, uint64_t gpa, uint64_t len, uint32_t prot, hvcore_error *err)
{
    int rc = check_prot(vm, prot, err);
    return rc ? rc : change(vm, gpa, len, prot, err);
}

/* The VM goes as a whole: the kernel needs no telling. */
void hvc_kvm_memory_drop(bk_vm *vm)
{
    for (uint32_t i = 0; i < vm->count; i++) {
        hvc_host_free(vm->slot[i].log);
    }
    hvc_host_free(vm->slot);
}
