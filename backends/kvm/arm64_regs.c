/* SPDX-License-Identifier: Apache-2.0 */
/* hvcore_reg <-> KVM_GET_ONE_REG of arm64 (Documentation/virt/kvm/api.rst 4.68). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "backends/kvm/kvm.h"
#include "lib/host/mem.h"

/* Core registers are numbered by where they stand in struct kvm_regs, in words. */
#define CORE(size, field)                                     \
    (KVM_REG_ARM64 | KVM_REG_ARM_CORE | KVM_REG_SIZE_##size | \
     (offsetof(struct kvm_regs, field) / sizeof(uint32_t)))
#define SYSREG (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG)
/* DDI0487 C5.1.2 */
#define ENCODING(op0, op1, crn, crm, op2) \
    ((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

enum { X_REGS = 31, V_REGS = 32, V_BYTES = 16, Z_BYTES = 256 /* of the one slice that there is */ };

typedef struct where {
    uint64_t id;
    uint32_t width;
    bool part; /* the low bytes of a Z register */
} where;

static int gpr(uint32_t index, where *w)
{
    static const uint64_t others[] = {CORE(U64, regs.sp), CORE(U64, regs.pc),
                                      CORE(U64, regs.pstate), CORE(U64, sp_el1)};
    w->width = 8;
    if (index < X_REGS) {
        w->id = CORE(U64, regs.regs[0]) + index * (sizeof(uint64_t) / sizeof(uint32_t));
        return 0;
    }
    index -= X_REGS;
    if (index >= sizeof(others) / sizeof(others[0])) {
        return -HVCORE_E_NOTFOUND;
    }
    w->id = others[index];
    return 0;
}

/* System registers that KVM numbers otherwise than the architecture does. */
static const struct {
    uint32_t encoding;
    uint64_t id;
} odd[] = {
    /* these two have each other's number: ABI since 3.11 */
    {ENCODING(3, 3, 14, 3, 2), KVM_REG_ARM_TIMER_CVAL}, /* CNTV_CVAL_EL0 */
    {ENCODING(3, 3, 14, 0, 2), KVM_REG_ARM_TIMER_CNT},  /* CNTVCT_EL0 */
    {ENCODING(3, 0, 4, 0, 0), CORE(U64, spsr[KVM_SPSR_EL1])},
    {ENCODING(3, 0, 4, 0, 1), CORE(U64, elr_el1)},
    {ENCODING(3, 0, 4, 1, 0), CORE(U64, regs.sp)}, /* SP_EL0 */
    {ENCODING(3, 4, 4, 1, 0), CORE(U64, sp_el1)},  /* SP_EL1 */
};

static int csr(uint32_t index, where *w)
{
    w->width = 8;
    w->id = SYSREG | index;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        if (odd[i].encoding == index) {
            w->id = odd[i].id;
        }
    }
    return 0;
}

/* With SVE the V registers are the low 128 bits of Z, and KVM has them only there. */
static int fpr(const bk_vcpu *v, uint32_t index, where *w)
{
    static const uint64_t status[] = {CORE(U32, fp_regs.fpsr), CORE(U32, fp_regs.fpcr)};
    if (index < V_REGS) {
        w->width = V_BYTES;
        w->part = v->vm->arch.features & 1u << KVM_ARM_VCPU_SVE;
        w->id = w->part ? KVM_REG_ARM64_SVE_ZREG(index, 0)
                        : CORE(U128, fp_regs.vregs[0]) + index * (V_BYTES / sizeof(uint32_t));
        return 0;
    }
    index -= V_REGS;
    if (index >= sizeof(status) / sizeof(status[0])) {
        return -HVCORE_E_NOTFOUND;
    }
    w->width = 4;
    w->id = status[index];
    return 0;
}

static int find(const bk_vcpu *v, hvcore_reg reg, where *w)
{
    uint32_t index = reg >> 8 & 0xffff;
    int rc = -HVCORE_E_NOTFOUND;
    w->part = false;
    switch (reg >> 24) {
    case HVCORE_REG_GPR:
        rc = gpr(index, w);
        break;
    case HVCORE_REG_CSR:
        rc = csr(index, w);
        break;
    case HVCORE_REG_FPR:
        rc = fpr(v, index, w);
        break;
    }
    return !rc && (reg & 0xff) != w->width ? -HVCORE_E_TYPE : rc;
}

int hvc_kvm_arch_reg_get(bk_vcpu *v, hvcore_reg reg, void *value)
{
    uint8_t z[Z_BYTES];
    where w;
    int rc = find(v, reg, &w);
    if (rc) {
        return rc;
    }
    if (hvc_kvm_get_one(v, w.id, w.part ? z : value) < 0) {
        return hvc_kvm_reg_code(v, "KVM_GET_ONE_REG");
    }
    if (w.part) {
        memcpy(value, z, V_BYTES);
    }
    return 0;
}

/* Writing v keeps the rest of z: it is a look from outside, not an instruction. */
int hvc_kvm_arch_reg_set(bk_vcpu *v, hvcore_reg reg, const void *value)
{
    uint8_t z[Z_BYTES];
    where w;
    int rc = find(v, reg, &w);
    if (rc) {
        return rc;
    }
    if (w.part) {
        if (hvc_kvm_get_one(v, w.id, z) < 0) {
            return hvc_kvm_reg_code(v, "KVM_GET_ONE_REG");
        }
        memcpy(z, value, V_BYTES);
        value = z;
    }
    return hvc_kvm_set_one(v, w.id, value) < 0 ? hvc_kvm_reg_code(v, "KVM_SET_ONE_REG") : 0;
}
