/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load/put for riscv64: one list of registers (HVCORE_RISCV64_SYS) moves between a vCPU's context
 * and a PE. What is the host's own (henvcfg) and what depends on the VM (hgatp, hedeleg) is set at
 * load.
 */
#include "backends/bare/riscv64.h"

#define BIT(name) (UINT64_C(1) << HVCORE_RISCV64_SYS_##name)
#define HOST_OWNED BIT(henvcfg)

/* hideleg: the guest's own software, timer and external interrupts (Priv. 21.2.3) */
#define HIDELEG UINT64_C(0x444)
/* hcounteren: cycle, time, instret */
#define HCOUNTEREN 7
/* henvcfg: STCE, PBMTE, ADUE, CBZE, CBCFE, and CBO.INVAL as a flush (Priv. 21.2.5) */
#define GUEST_HENVCFG (UINT64_C(7) << 61 | UINT64_C(0xd) << 4)

static void set_vm(struct hvcore_bk_vcpu *v, hvc_pe *pe)
{
    uint64_t root = v->vm->s2.root >> 12;
    hvc_port_set(pe, hgatp, HVC_ATP_SV39 << HVC_ATP_MODE_SHIFT | root);
    hvc_port_set(pe, hedeleg, v->hedeleg);
    hvc_port_set(pe, hideleg, HIDELEG);
    hvc_port_set(pe, hcounteren, HCOUNTEREN);
    hvc_port_set(pe, henvcfg, v->vm->facts.henvcfg & GUEST_HENVCFG);
}

/*
 * One VMID for all: whatever another vCPU has left behind in the PE's translations is forgotten
 * here, and whatever changed while this one was elsewhere.
 */
void hvc_bare_load(struct hvcore_bk_vcpu *v, hvc_pe *pe)
{
    set_vm(v, pe);
#define LOAD(name, csr)                          \
    if (!(HOST_OWNED & BIT(name))) {             \
        hvc_port_set(pe, name, v->context.name); \
    }
    HVCORE_RISCV64_SYS(LOAD)
#undef LOAD
    hvc_port_fp_load(pe, &v->fp);
    hvc_port_tlb_gvma(pe);
    hvc_port_tlb_vvma(pe);
    atomic_store(&v->home, pe);
    atomic_store(&v->pe, pe);
    atomic_store(&pe->resident, v);
}

void hvc_bare_put(struct hvcore_bk_vcpu *v)
{
    hvc_pe *pe = atomic_load(&v->pe);
#define PUT(name, csr) v->context.name = hvc_port_get(pe, name);
    HVCORE_RISCV64_SYS(PUT)
#undef PUT
    hvc_port_fp_save(pe, &v->fp);
    atomic_store(&v->pe, NULL);
}

void hvc_bare_sys_read(struct hvcore_bk_vcpu *v, uint64_t set)
{
    hvc_pe *pe = atomic_load_explicit(&v->pe, memory_order_relaxed);
#define READ(name, csr)                                              \
    if (set & BIT(name)) {                                           \
        v->sys.name = pe ? hvc_port_get(pe, name) : v->context.name; \
    }
    HVCORE_RISCV64_SYS(READ)
#undef READ
}

void hvc_bare_sys_write(struct hvcore_bk_vcpu *v, uint64_t set)
{
    hvc_pe *pe = atomic_load_explicit(&v->pe, memory_order_relaxed);
#define WRITE(name, csr)                         \
    if (set & ~HOST_OWNED & BIT(name)) {         \
        if (pe) {                                \
            hvc_port_set(pe, name, v->sys.name); \
        } else {                                 \
            v->context.name = v->sys.name;       \
        }                                        \
    }
    HVCORE_RISCV64_SYS(WRITE)
#undef WRITE
}
