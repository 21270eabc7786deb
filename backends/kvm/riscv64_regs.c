/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of a riscv64 vCPU by the library's numbers: KVM_GET_ONE_REG, KVM_SET_ONE_REG. */
#include <hvcore/reg.h>

#include "backends/kvm/kvm.h"
#include "lib/host/mem.h"

enum { PC = 32, SIZE = 8, FCSR_BITS = 0xff };

/* Registers of 64 bits, but for fcsr. */
#define ID(type, index) (KVM_REG_RISCV | KVM_REG_SIZE_U64 | (uint64_t)(type) | (uint64_t)(index))
#define CONFIG(name) ID(KVM_REG_RISCV_CONFIG, KVM_REG_RISCV_CONFIG_REG(name))
#define CONFIG_N(n) ID(KVM_REG_RISCV_CONFIG, HVC_KVM_RISCV_CONFIG_##n)
#define TIMER(name) ID(KVM_REG_RISCV_TIMER, KVM_REG_RISCV_TIMER_REG(name))
#define FP(n) ID(KVM_REG_RISCV_FP_D, n)
#define FCSR (KVM_REG_RISCV | KVM_REG_SIZE_U32 | (uint64_t)KVM_REG_RISCV_FP_D | UINT64_C(32))

/* What a row, or a class, is like; bits. */
enum kind { PLAIN = 0, FLOAT = 1, READ_ONLY = 2, BOOLEAN = 4, STIMECMP = 8 };

typedef struct row {
    uint32_t cls, index;
    uint64_t id;
    uint32_t kind;
} row;

/* A guest's own sstatus is vsstatus, and so on (Priv. 21.2.11 to 21.2.19). */
static const row rows[] = {
    {HVCORE_REG_GPR, PC, HVC_KVM_RISCV64_CORE(0), PLAIN},
    {HVCORE_REG_MODE, 0, HVC_KVM_RISCV64_MODE, BOOLEAN},
    {HVCORE_REG_CSR, 0x003, FCSR, FLOAT},
    {HVCORE_REG_CSR, 0x106, HVC_KVM_RISCV64_CSR(scounteren), PLAIN},
    {HVCORE_REG_CSR, 0x10a, ID(KVM_REG_RISCV_CSR, HVC_KVM_RISCV_CSR_SENVCFG), PLAIN},
    {HVCORE_REG_CSR, 0x200, HVC_KVM_RISCV64_CSR(sstatus), PLAIN},
    {HVCORE_REG_CSR, 0x204, HVC_KVM_RISCV64_CSR(sie), PLAIN},
    {HVCORE_REG_CSR, 0x205, HVC_KVM_RISCV64_CSR(stvec), PLAIN},
    {HVCORE_REG_CSR, 0x240, HVC_KVM_RISCV64_CSR(sscratch), PLAIN},
    {HVCORE_REG_CSR, 0x241, HVC_KVM_RISCV64_CSR(sepc), PLAIN},
    {HVCORE_REG_CSR, 0x242, HVC_KVM_RISCV64_CSR(scause), PLAIN},
    {HVCORE_REG_CSR, 0x243, HVC_KVM_RISCV64_CSR(stval), PLAIN},
    {HVCORE_REG_CSR, 0x244, HVC_KVM_RISCV64_CSR(sip), PLAIN},
    {HVCORE_REG_CSR, 0x24d, TIMER(compare), STIMECMP},
    {HVCORE_REG_CSR, 0x280, HVC_KVM_RISCV64_CSR(satp), PLAIN},
    {HVCORE_REG_CSR, 0xc01, TIMER(time), PLAIN},
    {HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_ISA, CONFIG(isa), READ_ONLY},
    {HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_TIMEBASE, TIMER(frequency), READ_ONLY},
    {HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_ZICBOM, CONFIG(zicbom_block_size), READ_ONLY},
    {HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_ZICBOZ, CONFIG_N(ZICBOZ), READ_ONLY},
    {HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_ZICBOP, CONFIG_N(ZICBOP), READ_ONLY},
    {HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_SATP_MODE, CONFIG_N(SATP_MODE), READ_ONLY},
    {HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_MVENDORID, CONFIG_N(MVENDORID), READ_ONLY},
    {HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_MARCHID, CONFIG_N(MARCHID), READ_ONLY},
    {HVCORE_REG_CONFIG, HVCORE_REG_CONFIG_MIMPID, CONFIG_N(MIMPID), READ_ONLY},
};

/* Classes in which the index is the kernel's own. */
static const struct range {
    uint32_t cls, first, end;
    uint64_t id; /* of index 0 */
    uint32_t kind;
} ranges[] = {
    {HVCORE_REG_GPR, 1, 32, HVC_KVM_RISCV64_CORE(0), PLAIN},
    {HVCORE_REG_FPR, 0, 32, FP(0), FLOAT},
    {HVCORE_REG_ISA, 0, 0x10000, HVC_KVM_RISCV64_ISA(0), BOOLEAN},
    {HVCORE_REG_SBI, 0, 0x10000, HVC_KVM_RISCV64_SBI(0), BOOLEAN},
};

static bool find(uint32_t cls, uint32_t index, row *found)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].cls == cls && rows[i].index == index) {
            *found = rows[i];
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        const struct range *r = &ranges[i];
        if (r->cls == cls && index >= r->first && index < r->end) {
            *found = (row){cls, index, r->id + index, r->kind};
            return true;
        }
    }
    return false;
}

static bool is_zero(hvcore_reg reg)
{
    return reg == HVCORE_REG_RISCV64_X0;
}

static bool is_imsic_ids(hvcore_reg reg)
{
    return reg >> 8 == ((uint32_t)HVCORE_REG_CONFIG << 16 | HVCORE_REG_CONFIG_IMSIC_IDS);
}

static int look_up(hvcore_reg reg, row *r)
{
    if (!find(reg >> 24, reg >> 8 & 0xffff, r)) {
        return -HVCORE_E_NOTFOUND;
    }
    return (reg & 0xff) == SIZE ? 0 : -HVCORE_E_TYPE;
}

/* ENOENT and EINVAL: neither this host nor this guest has it; EBUSY: the guest has run. */
static int code(bk_vcpu *v, const row *r, const char *call, bool write)
{
    if (errno == ENOENT || errno == EINVAL) {
        return r->kind & FLOAT                                 ? -HVCORE_E_UNSUPPORTED
               : write && errno == EINVAL && r->kind & BOOLEAN ? -HVCORE_E_UNSUPPORTED
                                                               : -HVCORE_E_NOTFOUND;
    }
    return errno == EBUSY ? -HVCORE_E_STATE : hvc_kvm_failed(v, call);
}

static int get(bk_vcpu *v, hvcore_reg reg, uint64_t *value)
{
    row r;
    if (is_zero(reg)) {
        return 0;
    }
    if (is_imsic_ids(reg)) {
        *value = v->vm->arch.imsic_ids;
        return *value ? 0 : -HVCORE_E_NOTFOUND;
    }
    int rc = look_up(reg, &r);
    if (rc) {
        return rc;
    }
    /* of 4 bytes: the lower half, this is little-endian */
    return hvc_kvm_get_one(v, r.id, value) ? code(v, &r, "KVM_GET_ONE_REG", false) : 0;
}

int hvc_kvm_arch_reg_get(bk_vcpu *v, hvcore_reg reg, void *value)
{
    uint64_t word = 0;
    int rc = get(v, reg, &word);
    if (!rc) {
        memcpy(value, &word, sizeof(word));
    }
    return rc;
}

static bool sstc(bk_vcpu *v)
{
    uint64_t is = 0;
    return !hvc_kvm_get_one(v, HVC_KVM_RISCV64_ISA(KVM_RISCV_ISA_EXT_SSTC), &is) && is;
}

/* What a value may be. Without Sstc nobody looks at the timer's compare: a guest asks SBI. */
static int check(bk_vcpu *v, const row *r, uint64_t *value)
{
    if (r->kind & READ_ONLY || (r->kind & STIMECMP && !sstc(v))) {
        return -HVCORE_E_UNSUPPORTED;
    }
    if ((r->kind & BOOLEAN && *value > 1) ||
        (r->cls == HVCORE_REG_GPR && r->index == PC && *value & 1)) {
        return -HVCORE_E_RANGE;
    }
    if (r->id == FCSR) {
        *value &= FCSR_BITS;
    }
    return 0;
}

int hvc_kvm_arch_reg_set(bk_vcpu *v, hvcore_reg reg, const void *value)
{
    row r;
    uint64_t word;
    if (is_zero(reg)) {
        return 0;
    }
    memcpy(&word, value, sizeof(word));
    int rc = is_imsic_ids(reg) ? -HVCORE_E_UNSUPPORTED : look_up(reg, &r);
    if (!rc) {
        rc = check(v, &r, &word);
    }
    if (rc) {
        return rc;
    }
    return hvc_kvm_set_one(v, r.id, &word) ? code(v, &r, "KVM_SET_ONE_REG", true) : 0;
}
