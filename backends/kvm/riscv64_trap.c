/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions that a riscv64 guest gets from the VMM. KVM has no call for them: it is the trap entry
 * of the library's own machine (hvcore_redirect), on registers that come from the kernel and go
 * there.
 *
 * At an exit the kernel still owes the instruction, and pays at the next KVM_RUN, whatever has been
 * written since: it is made to pay now, and what that has done is undone.
 */
#include <hvcore/firmware/sbi.h>
#include <hvcore/fixup/redirect.h>

#include "backends/kvm/kvm.h"
#include "lib/arch/riscv64.h"

enum { CORE_REGS = 32 }; /* pc, x1 to x31 */

static int failed(hvcore_error *err, bool write)
{
    return hvc_kvm_fail(err, write ? "KVM_SET_ONE_REG" : "KVM_GET_ONE_REG");
}

/* ---- taking an instruction back -------------------------------------------------------------- */

static int read_core(bk_vcpu *v, uint64_t core[CORE_REGS], hvcore_error *err)
{
    for (unsigned i = 0; i < CORE_REGS; i++) {
        if (hvc_kvm_get_one(v, HVC_KVM_RISCV64_CORE(i), &core[i])) {
            return failed(err, false);
        }
    }
    return 0;
}

static int write_changed(bk_vcpu *v, const uint64_t want[CORE_REGS], const uint64_t is[CORE_REGS],
                         hvcore_error *err)
{
    for (unsigned i = 0; i < CORE_REGS; i++) {
        if (want[i] != is[i] && hvc_kvm_set_one(v, HVC_KVM_RISCV64_CORE(i), &want[i])) {
            return failed(err, true);
        }
    }
    return 0;
}

static bool may_owe(const bk_vcpu *v)
{
    uint32_t reason = v->run->exit_reason;
    return reason == KVM_EXIT_MMIO || reason == KVM_EXIT_RISCV_SBI || reason == KVM_EXIT_RISCV_CSR;
}

/* The guest stands on the instruction of the last exit, and the kernel has forgotten it. */
static int take_back(bk_vcpu *v, hvcore_error *err)
{
    uint64_t before[CORE_REGS], after[CORE_REGS];
    if (!may_owe(v)) {
        return 0;
    }
    int rc = read_core(v, before, err);
    if (rc) {
        return rc;
    }
    rc = hvc_kvm_settle(v);
    if (rc) {
        hvc_kvm_why(v, err);
        return rc;
    }
    rc = read_core(v, after, err);
    return rc ? rc : write_changed(v, before, after, err);
}

/* ---- trap entry ------------------------------------------------------------------------------ */

/* The registers of hvcore_redirect. henvcfg: no guest of KVM has double traps. */
typedef struct entry {
    hvcore_riscv64_frame frame;
    hvcore_riscv64_sys sys;
} entry;

static int load(bk_vcpu *v, entry *e, hvcore_error *err)
{
    uint64_t mode = 0;
    *e = (entry){.frame.hstatus = HVC_HSTATUS_SPV, .sys.have = HVCORE_REDIRECT_NEEDS};
    if (hvc_kvm_get_one(v, HVC_KVM_RISCV64_CORE(0), &e->frame.pc) ||
        hvc_kvm_get_one(v, HVC_KVM_RISCV64_MODE, &mode) ||
        hvc_kvm_get_one(v, HVC_KVM_RISCV64_CSR(sstatus), &e->sys.vsstatus) ||
        hvc_kvm_get_one(v, HVC_KVM_RISCV64_CSR(stvec), &e->sys.vstvec)) {
        return failed(err, false);
    }
    e->frame.sstatus = mode == KVM_RISCV_MODE_S ? HVC_SSTATUS_SPP : 0;
    return 0;
}

static int store(bk_vcpu *v, const entry *e, hvcore_error *err)
{
    uint64_t mode = e->frame.sstatus & HVC_SSTATUS_SPP ? KVM_RISCV_MODE_S : KVM_RISCV_MODE_U;
    return hvc_kvm_set_one(v, HVC_KVM_RISCV64_CSR(sstatus), &e->sys.vsstatus) ||
                   hvc_kvm_set_one(v, HVC_KVM_RISCV64_CSR(sepc), &e->sys.vsepc) ||
                   hvc_kvm_set_one(v, HVC_KVM_RISCV64_CSR(scause), &e->sys.vscause) ||
                   hvc_kvm_set_one(v, HVC_KVM_RISCV64_CSR(stval), &e->sys.vstval) ||
                   hvc_kvm_set_one(v, HVC_KVM_RISCV64_MODE, &mode) ||
                   hvc_kvm_set_one(v, HVC_KVM_RISCV64_CORE(0), &e->frame.pc)
               ? failed(err, true)
               : 0;
}

static int trap(bk_vcpu *v, uint64_t cause, uint64_t tval, hvcore_error *err)
{
    entry e;
    int rc = take_back(v, err);
    if (!rc) {
        rc = load(v, &e, err);
    }
    if (rc) {
        return rc;
    }
    hvcore_event event = {.size = sizeof(event), .syndrome = cause, .tval = tval, .pc = e.frame.pc};
    if (hvcore_redirect(&e.frame, &e.sys, &event, NULL).kind != HVCORE_RESULT_DONE) {
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_KVM,
                        "The guest cannot take an exception now.");
    }
    return store(v, &e, err);
}

int hvc_kvm_arch_inject(bk_vcpu *v, const hvcore_inject *what, hvcore_error *err)
{
    if (!hvc_riscv64_guest_sees(what->cause)) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_KVM,
                        "A supervisor never sees an exception with cause %llu.",
                        (unsigned long long)what->cause);
    }
    return trap(v, what->cause, what->tval, err);
}

/* ---- "there is no such thing" ---------------------------------------------------------------- */

/* stval is the virtual address or zero (Priv. 12.1.10): the kernel tells the physical one alone,
 * and they are the same without translation. */
static int deny_access(bk_vcpu *v, hvcore_error *err)
{
    const struct kvm_run *r = v->run;
    uint64_t satp = 0;
    if (hvc_kvm_get_one(v, HVC_KVM_RISCV64_CSR(satp), &satp)) {
        return failed(err, false);
    }
    uint32_t cause = r->mmio.is_write ? HVCORE_RISCV64_STORE_ACCESS : HVCORE_RISCV64_LOAD_ACCESS;
    bool bare = satp >> HVC_ATP_MODE_SHIFT == HVC_ATP_BARE;
    return trap(v, cause, bare ? r->mmio.phys_addr : 0, err);
}

int hvc_kvm_arch_deny(bk_vcpu *v, hvcore_error *err)
{
    switch (v->run->exit_reason) {
    case KVM_EXIT_RISCV_SBI:
        v->run->riscv_sbi.ret[0] = (unsigned long)HVCORE_SBI_ERR_NOT_SUPPORTED;
        v->run->riscv_sbi.ret[1] = 0;
        return 0;
    case KVM_EXIT_RISCV_CSR:
        return trap(v, HVCORE_RISCV64_ILLEGAL_INSN, 0, err);
    case KVM_EXIT_MMIO:
        return deny_access(v, err);
    default:
        return hvc_fail(err, HVCORE_E_STATE, HVCORE_DOMAIN_KVM,
                        "The last exit asks for no answer.");
    }
}
