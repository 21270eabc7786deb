/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riscv64 as data: causes, register bits. Pure; every fact stands here once.
 * "Priv." is the RISC-V privileged architecture, version 1.13.
 */
#ifndef HVC_ARCH_RISCV64_H
#define HVC_ARCH_RISCV64_H

#include <stdbool.h>

#include <hvcore/riscv64.h>

#define HVC_BIT(n) (UINT64_C(1) << (n))

/* sstatus and vsstatus (Priv. 12.1.1) */
#define HVC_SSTATUS_SIE HVC_BIT(1)
#define HVC_SSTATUS_SPIE HVC_BIT(5)
#define HVC_SSTATUS_UBE HVC_BIT(6)
#define HVC_SSTATUS_SPP HVC_BIT(8)
#define HVC_SSTATUS_FS (UINT64_C(3) << 13)
#define HVC_SSTATUS_SUM HVC_BIT(18)
#define HVC_SSTATUS_MXR HVC_BIT(19)
#define HVC_SSTATUS_SPELP HVC_BIT(23)
#define HVC_SSTATUS_SDT HVC_BIT(24)
#define HVC_SSTATUS_SD HVC_BIT(63)
#define HVC_SSTATUS_UXL_64 (UINT64_C(2) << 32)
#define HVC_SSTATUS_UXL (UINT64_C(3) << 32)

/* hstatus (Priv. 21.2.1) */
#define HVC_HSTATUS_GVA HVC_BIT(6)
#define HVC_HSTATUS_SPV HVC_BIT(7)
#define HVC_HSTATUS_SPVP HVC_BIT(8)
#define HVC_HSTATUS_VTVM HVC_BIT(20)
#define HVC_HSTATUS_VTW HVC_BIT(21)
#define HVC_HSTATUS_VTSR HVC_BIT(22)
#define HVC_HSTATUS_VSXL_64 (UINT64_C(2) << 32)

/* henvcfg (Priv. 21.2.5) */
#define HVC_HENVCFG_FIOM HVC_BIT(0)
#define HVC_HENVCFG_CBIE (UINT64_C(3) << 4)
#define HVC_HENVCFG_CBIE_RESERVED (UINT64_C(2) << 4)
#define HVC_HENVCFG_CBCFE HVC_BIT(6)
#define HVC_HENVCFG_CBZE HVC_BIT(7)
#define HVC_HENVCFG_DTE HVC_BIT(59)
#define HVC_HENVCFG_ADUE HVC_BIT(61)
#define HVC_HENVCFG_PBMTE HVC_BIT(62)
#define HVC_HENVCFG_STCE HVC_BIT(63)

/* scounteren as firmware leaves it: VU-mode reads cycle, time, instret. Linux relies on it. */
#define HVC_SCOUNTEREN_RESET UINT64_C(7)

/* scause (Priv. 12.1.9) */
#define HVC_CAUSE_INTERRUPT HVC_BIT(63)

/* satp, vsatp, hgatp (Priv. 12.1.11, 21.2.10) */
#define HVC_ATP_MODE_SHIFT 60
#define HVC_ATP_BARE UINT64_C(0)
#define HVC_ATP_SV39 UINT64_C(8)
#define HVC_HGATP_VMID_SHIFT 44
#define HVC_HGATP_VMID_BITS 14

/* Page-table entries (Priv. 12.4.1) */
#define HVC_PTE_V HVC_BIT(0)
#define HVC_PTE_R HVC_BIT(1)
#define HVC_PTE_W HVC_BIT(2)
#define HVC_PTE_X HVC_BIT(3)
#define HVC_PTE_U HVC_BIT(4)
#define HVC_PTE_G HVC_BIT(5)
#define HVC_PTE_A HVC_BIT(6)
#define HVC_PTE_D HVC_BIT(7)
#define HVC_PTE_PPN_SHIFT 10

/* Pseudo-instructions that htinst holds for implicit accesses (Priv. 21.6.3) */
#define HVC_HTINST_PSEUDO_LOAD UINT64_C(0x3000)
#define HVC_HTINST_PSEUDO_STORE UINT64_C(0x3020)

#define HVC_HTINST_PSEUDO32_LOAD UINT64_C(0x2000)  /* VSXLEN = 32 */
#define HVC_HTINST_PSEUDO32_STORE UINT64_C(0x2020) /* VSXLEN = 32 */

/* stvec and vstvec (Priv. 12.1.2) */
#define HVC_TVEC_MODE UINT64_C(3)
#define HVC_TVEC_VECTORED UINT64_C(1)

/* Major opcodes, bits 6:0 of an instruction (Unpriv. 37, "RISC-V base opcode map") */
#define HVC_OPCODE_LOAD UINT32_C(0x03)
#define HVC_OPCODE_LOAD_FP UINT32_C(0x07)
#define HVC_OPCODE_CUSTOM_0 UINT32_C(0x0b)
#define HVC_OPCODE_STORE UINT32_C(0x23)
#define HVC_OPCODE_STORE_FP UINT32_C(0x27)
#define HVC_OPCODE_CUSTOM_1 UINT32_C(0x2b)
#define HVC_OPCODE_AMO UINT32_C(0x2f)
#define HVC_OPCODE_CUSTOM_2 UINT32_C(0x5b)
#define HVC_OPCODE_SYSTEM UINT32_C(0x73)
#define HVC_OPCODE_CUSTOM_3 UINT32_C(0x7b)

#define HVC_INSN_WFI UINT32_C(0x10500073)

/* Facts about a cause. */
enum hvc_cause_fact {
    HVC_CAUSE_DELEGATABLE = 1, /* hedeleg may have a bit for it (Priv. 21.2.2) */
    HVC_CAUSE_VU = 2,          /* guest user code can raise it, or nobody can rule that out */
    HVC_CAUSE_ADDRESS = 4,     /* stval is an address when it is not zero */
    HVC_CAUSE_EXPECTED = 8,    /* group supervisor-expected: a supervisor handles it to get on with
                                  its own work (docs/policy.md has the criterion) */
    HVC_CAUSE_GUEST_SEES = 16, /* a supervisor without hypervisor extension can receive it */
    HVC_CAUSE_UNEXPECTED = 32, /* group supervisor-unexpected: it reports that something is wrong */
    HVC_CAUSE_CUSTOM = 64,     /* designated for custom use: the implementation says what it is */
    HVC_CAUSE_NOT_GUEST = 128  /* no guest can raise it: it comes from HS-mode or M-mode */
};

typedef struct hvc_riscv64_cause {
    const char *name; /* as policies spell it; NULL: reserved */
    uint8_t facts;    /* HVC_CAUSE_* */
    uint8_t redirect; /* cause that the guest sees in its place (specs: hypervisor-only causes) */
} hvc_riscv64_cause;

/* Indexed by exception code. */
extern const hvc_riscv64_cause hvc_riscv64_causes[HVCORE_RISCV64_CAUSES];

/* The exception code of a name, or -1. */
int hvc_riscv64_cause_parse(const char *name);

/* The set of causes that have all these facts: 1 << code. */
uint64_t hvc_riscv64_causes_with(unsigned facts);

/* May a VMM give a guest this exception? Custom causes are the machine's to raise. */
static inline bool hvc_riscv64_guest_sees(uint64_t cause)
{
    return cause <= HVCORE_RISCV64_HARDWARE_ERROR &&
           hvc_riscv64_causes[cause].facts & HVC_CAUSE_GUEST_SEES;
}

/* Is stval a guest-virtual address? Hardware's GVA is not to be trusted (specs 9.3). */
bool hvc_riscv64_has_gva(uint64_t cause, uint64_t tval);

#endif
