/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers on x86_64. The general ones come with each exit in kvm_run (KVM_CAP_SYNC_REGS) and cost
 * nothing; segment and control registers cost some hundred nanoseconds, and come with each exit
 * while somebody asks for one at least at every 16th. MSRs are a system call each.
 */
#include <asm/kvm.h>

#include "backends/kvm/kvm.h"
#include "lib/host/mem.h"

typedef struct kvm_sync_regs sync_regs;

static sync_regs *regs_of(bk_vcpu *v)
{
    return &v->run->s.regs;
}

/* The parts of kvm_run.s.regs, and how they are read and written without KVM_CAP_SYNC_REGS. */
typedef struct part {
    uint32_t bit; /* KVM_SYNC_X86_* */
    unsigned long get, set;
    size_t at; /* in struct kvm_sync_regs */
    const char *get_name, *set_name;
} part;

static const part general = {KVM_SYNC_X86_REGS,         KVM_GET_REGS,   KVM_SET_REGS,
                             offsetof(sync_regs, regs), "KVM_GET_REGS", "KVM_SET_REGS"};
static const part special = {KVM_SYNC_X86_SREGS,         KVM_GET_SREGS,   KVM_SET_SREGS,
                             offsetof(sync_regs, sregs), "KVM_GET_SREGS", "KVM_SET_SREGS"};

/*
 * The part is the guest's now, and comes with each exit from now on; if it cannot, nothing tells
 * when it has changed. What has been set and not taken by a run that failed is the guest's as well.
 */
static int have(bk_vcpu *v, const part *p)
{
    uint64_t current = (v->arch.have & v->vm->arch.sync) | v->run->kvm_dirty_regs;
    if (!(current & p->bit)) {
        if (hvc_kvm_ioctl(v->fd, p->get, (char *)regs_of(v) + p->at) < 0) {
            return hvc_kvm_failed(v, p->get_name);
        }
        v->arch.have |= p->bit;
    }
    if (v->vm->has_run) {
        v->run->kvm_valid_regs |= v->vm->arch.sync & p->bit;
    }
    if (p->bit == KVM_SYNC_X86_SREGS) {
        v->arch.unasked = 0;
    }
    return 0;
}

void hvc_kvm_x86_64_regs_enter(bk_vcpu *v)
{
    enum { LONG = 16 };
    if (v->run->kvm_valid_regs & KVM_SYNC_X86_SREGS && ++v->arch.unasked > LONG) {
        v->run->kvm_valid_regs &= ~(uint64_t)KVM_SYNC_X86_SREGS;
    }
    v->arch.have = 0; /* an exit says what it has brought */
}

/* The part has been changed: the kernel takes it at the next KVM_RUN, or now. */
static int changed(bk_vcpu *v, const part *p)
{
    v->arch.moved = 1;
    if (v->vm->arch.sync & p->bit) {
        v->run->kvm_dirty_regs |= p->bit;
        return 0;
    }
    return hvc_kvm_ioctl(v->fd, p->set, (char *)regs_of(v) + p->at) < 0
               ? hvc_kvm_failed(v, p->set_name)
               : 0;
}

static int flush(bk_vcpu *v, const part *p)
{
    if (!(v->run->kvm_dirty_regs & p->bit)) {
        return 0;
    }
    if (hvc_kvm_ioctl(v->fd, p->set, (char *)regs_of(v) + p->at) < 0) {
        return hvc_kvm_failed(v, p->set_name);
    }
    v->run->kvm_dirty_regs &= ~(uint64_t)p->bit;
    return 0;
}

/* The segments first: an address is made of both. */
int hvc_kvm_x86_64_regs_flush(bk_vcpu *v)
{
    int rc = flush(v, &special);
    return rc ? rc : flush(v, &general);
}

/* ---- where a register is --------------------------------------------------------------------- */

typedef struct place {
    uint16_t at;  /* in struct kvm_sync_regs */
    uint8_t size; /* bytes; 0: there is none */
} place;

#define GENERAL(name)                     \
    {                                     \
        offsetof(sync_regs, regs.name), 8 \
    }
#define SPECIAL(name, size)                   \
    {                                         \
        offsetof(sync_regs, sregs.name), size \
    }

static const place gprs[] = {
    GENERAL(rax), GENERAL(rcx), GENERAL(rdx), GENERAL(rbx), GENERAL(rsp), GENERAL(rbp),
    GENERAL(rsi), GENERAL(rdi), GENERAL(r8),  GENERAL(r9),  GENERAL(r10), GENERAL(r11),
    GENERAL(r12), GENERAL(r13), GENERAL(r14), GENERAL(r15), GENERAL(rip), GENERAL(rflags),
};

static const place crs[] = {
    [0] = SPECIAL(cr0, 8), [2] = SPECIAL(cr2, 8), [3] = SPECIAL(cr3, 8),
    [4] = SPECIAL(cr4, 8), [8] = SPECIAL(cr8, 8), [16] = SPECIAL(efer, 8),
};

#define SEGMENT(name)                                                         \
    SPECIAL(name.selector, 2), SPECIAL(name.base, 8), SPECIAL(name.limit, 4), \
    {                                                                         \
        offsetof(sync_regs, sregs.name), FLAGS                                \
    }
#define TABLE(name)                                        \
    {0, 0}, SPECIAL(name.base, 8), SPECIAL(name.limit, 2), \
    {                                                      \
        0, 0                                               \
    }
enum { FLAGS = 0xff }; /* a size: the segment's flags, which KVM keeps in bytes */

static const place segs[] = {
    SEGMENT(es), SEGMENT(cs), SEGMENT(ss),  SEGMENT(ds), SEGMENT(fs),
    SEGMENT(gs), SEGMENT(tr), SEGMENT(ldt), TABLE(gdt),  TABLE(idt),
};

static const struct {
    const place *row;
    uint32_t rows;
    const part *part;
} classes[] = {
    [HVCORE_REG_GPR] = {gprs, sizeof(gprs) / sizeof(gprs[0]), &general},
    [HVCORE_REG_CSR] = {crs, sizeof(crs) / sizeof(crs[0]), &special},
    [HVCORE_REG_SEG] = {segs, sizeof(segs) / sizeof(segs[0]), &special},
};

enum { WIDTH = 0xff };

/* 0 and where the register is; all but MSRs. */
static int find(hvcore_reg reg, const place **at, const part **in)
{
    uint32_t class = reg >> 24, index = reg >> 8 & 0xffff;
    if (class >= sizeof(classes) / sizeof(classes[0]) || index >= classes[class].rows ||
        !classes[class].row[index].size) {
        return -HVCORE_E_NOTFOUND;
    }
    if ((reg & WIDTH) != 8) {
        return -HVCORE_E_TYPE;
    }
    *at = &classes[class].row[index];
    *in = classes[class].part;
    return 0;
}

/* ---- a segment's flags, as in a descriptor --------------------------------------------------- */

static uint64_t flags_of(const struct kvm_segment *s)
{
    return s->type | (uint64_t)s->s << 4 | (uint64_t)s->dpl << 5 | (uint64_t)s->present << 7 |
           (uint64_t)s->avl << 12 | (uint64_t)s->l << 13 | (uint64_t)s->db << 14 |
           (uint64_t)s->g << 15;
}

static void set_flags(struct kvm_segment *s, uint64_t flags)
{
    s->type = flags & 15;
    s->s = flags >> 4 & 1;
    s->dpl = flags >> 5 & 3;
    s->present = flags >> 7 & 1;
    s->avl = flags >> 12 & 1;
    s->l = flags >> 13 & 1;
    s->db = flags >> 14 & 1;
    s->g = flags >> 15 & 1;
    s->unusable = !s->present;
}

/* ---- MSRs ------------------------------------------------------------------------------------ */

typedef struct one_msr {
    struct kvm_msrs head;
    struct kvm_msr_entry entry;
} one_msr;

static int msr(bk_vcpu *v, hvcore_reg reg, unsigned long request, uint64_t *value)
{
    enum { HIGH = 0x2000 };
    uint32_t index = reg >> 8 & 0xffff;
    one_msr m = {.head.nmsrs = 1};
    if ((reg & WIDTH) != 8) {
        return -HVCORE_E_TYPE;
    }
    m.entry.index = index < HIGH ? index : UINT32_C(0xc0000000) + (index - HIGH);
    m.entry.data = *value;
    int done = hvc_kvm_ioctl(v->fd, request, &m);
    *value = m.entry.data;
    if (done == 1) {
        return 0;
    }
    /* 0: KVM does not know it, or not with this value */
    return done < 0 ? hvc_kvm_failed(v, request == KVM_GET_MSRS ? "KVM_GET_MSRS" : "KVM_SET_MSRS")
                    : -HVCORE_E_NOTFOUND;
}

/* ---- get, set -------------------------------------------------------------------------------- */

int hvc_kvm_arch_reg_get(bk_vcpu *v, hvcore_reg reg, void *value)
{
    const place *at;
    const part *in;
    uint64_t word = 0;
    int rc;
    if (reg >> 24 == HVCORE_REG_MSR) {
        rc = msr(v, reg, KVM_GET_MSRS, &word);
    } else {
        rc = find(reg, &at, &in);
        if (!rc) {
            rc = have(v, in);
        }
        if (!rc) {
            const char *from = (const char *)regs_of(v) + at->at;
            word = at->size == FLAGS ? flags_of((const void *)from) : hvc_kvm_load(from, at->size);
        }
    }
    if (!rc) {
        memcpy(value, &word, sizeof(word));
    }
    return rc;
}

int hvc_kvm_arch_reg_set(bk_vcpu *v, hvcore_reg reg, const void *value)
{
    const place *at;
    const part *in;
    uint64_t word = hvc_kvm_load(value, 8);
    if (reg >> 24 == HVCORE_REG_MSR) {
        return msr(v, reg, KVM_SET_MSRS, &word);
    }
    int rc = find(reg, &at, &in);
    if (!rc) {
        rc = have(v, in);
    }
    if (rc) {
        return rc;
    }
    char *to = (char *)regs_of(v) + at->at;
    if (at->size == FLAGS) {
        set_flags((void *)to, word);
    } else {
        hvc_kvm_store(to, word, at->size);
    }
    return changed(v, in);
}
