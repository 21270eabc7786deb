/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSRs as a guest sees them. With V=1 the supervisor's numbers lead to the VS registers (Priv.
 * 21.2.11 and following). What does not exist is an illegal instruction; what HS-mode could do but
 * the guest may not is a virtual instruction (Priv. 21.6.1).
 */
#include "backends/bare/soft/soft.h"

#define SATP 0x180
#define SSIP HVC_BIT(1)
#define TIME_NS 100 /* the time counter has 10 MHz */

/* clang-format off */
/* What a guest may use: X(number, register of the PE). */
#define SUPERVISOR_CSRS(X)                                                              \
    X(0x100, vsstatus)  X(0x104, vsie)  X(0x105, vstvec)  X(0x106, scounteren)           \
    X(0x10a, senvcfg)   X(0x140, vsscratch) X(0x141, vsepc) X(0x142, vscause)            \
    X(0x143, vstval)    X(0x144, vsip)  X(SATP, vsatp)

#define COUNTERS(X) X(0xc00, cycle) X(0xc01, time) X(0xc02, instret)

/* What the hart has besides: VS CSRs by their own numbers, then the hypervisor's. */
#define HYPERVISOR_CSRS(X)                                                              \
    X(0x200) X(0x204) X(0x205) X(0x240) X(0x241) X(0x242) X(0x243) X(0x244) X(0x280)     \
    X(0x600) X(0x602) X(0x603) X(0x604) X(0x605) X(0x606) X(0x607) X(0x60a)              \
    X(0x643) X(0x644) X(0x645) X(0x64a) X(0x680) X(0xe12)
/* clang-format on */

/* --- values ----------------------------------------------------------------------------------- */

/* vsip is hvip, one position lower, where hideleg is set; a guest writes SSIP (Priv. 21.2.11). */
static uint64_t hvc_soft_get_vsip(const hvc_pe *port)
{
    return (port->hvip & port->hideleg) >> 1;
}

static void hvc_soft_set_vsip(hvc_pe *port, uint64_t value)
{
    uint64_t writable = (port->hideleg & SSIP << 1);
    port->hvip = (port->hvip & ~writable) | (value << 1 & writable);
}

/* An unsupported MODE voids the whole write (Priv. 12.1.11, 21.2.19). Bare keeps no field. */
void hvc_soft_set_vsatp(hvc_pe *port, uint64_t value)
{
    uint64_t mode = value >> HVC_ATP_MODE_SHIFT;
    if (mode == HVC_ATP_BARE)
        port->vsatp = 0;
    else if (mode >= HVC_ATP_SV39 && mode <= HVC_ATP_SV39 + 2)
        port->vsatp = value;
}

/*
 * hgatp is plain WARL: an unsupported MODE leaves the mode alone. Root tables have 16 KiB, so the
 * two low bits of PPN are zero; so is the place above VMID (Priv. 21.2.10).
 */
void hvc_soft_set_hgatp(hvc_pe *port, uint64_t value)
{
    uint64_t fields = ~((UINT64_C(0xf) << HVC_ATP_MODE_SHIFT) | UINT64_C(3) | UINT64_C(3) << 58);
    uint64_t mode = value >> HVC_ATP_MODE_SHIFT;
    if (mode != HVC_ATP_BARE && (mode < HVC_ATP_SV39 || mode > HVC_ATP_SV39 + 2))
        mode = port->hgatp >> HVC_ATP_MODE_SHIFT;
    port->hgatp = mode == HVC_ATP_BARE ? 0 : mode << HVC_ATP_MODE_SHIFT | (value & fields);
}

/* Instructions before this one, of those that retire. */
static uint64_t get_instret(soft_pe *pe)
{
    return pe->attempts - pe->left - 1 - pe->traps;
}

static uint64_t get_cycle(soft_pe *pe)
{
    return get_instret(pe);
}

static uint64_t get_time(soft_pe *pe)
{
    (void)pe;
    return hvc_host_now() / TIME_NS;
}

/* --- the table -------------------------------------------------------------------------------- */

enum kind { CSR_ABSENT = 0, CSR_SUPERVISOR, CSR_COUNTER, CSR_HYPERVISOR };

typedef struct csr {
    uint64_t (*get)(soft_pe *pe);
    void (*set)(soft_pe *pe, uint64_t value);
    uint8_t kind;
} csr;

#define ACCESS(number, name)                            \
    static uint64_t get_##name(soft_pe *pe)             \
    {                                                   \
        return hvc_soft_get_##name(&pe->port);          \
    }                                                   \
    static void set_##name(soft_pe *pe, uint64_t value) \
    {                                                   \
        hvc_soft_set_##name(&pe->port, value);          \
    }
SUPERVISOR_CSRS(ACCESS)

#define ROW_NAME(number, name) ROW_##name,
enum row { ROW_absent, ROW_hypervisor, SUPERVISOR_CSRS(ROW_NAME) COUNTERS(ROW_NAME) };

#define SUPERVISOR_ROW(number, name) [ROW_##name] = {get_##name, set_##name, CSR_SUPERVISOR},
#define COUNTER_ROW(number, name) [ROW_##name] = {get_##name, NULL, CSR_COUNTER},
/* clang-format off */
static const csr csrs[] = {
    [ROW_hypervisor] = {NULL, NULL, CSR_HYPERVISOR},
    SUPERVISOR_CSRS(SUPERVISOR_ROW)
    COUNTERS(COUNTER_ROW)
};
/* clang-format on */

#define BY_NUMBER(number, name) [number] = ROW_##name,
#define BY_NUMBER_HYPERVISOR(number) [number] = ROW_hypervisor,
/* clang-format off */
static const uint8_t rows[4096] = {
    SUPERVISOR_CSRS(BY_NUMBER)
    COUNTERS(BY_NUMBER)
    HYPERVISOR_CSRS(BY_NUMBER_HYPERVISOR)
};
/* clang-format on */

/* --- access ----------------------------------------------------------------------------------- */

/* Bits 11:10 of a number: all set means read-only (Priv. 2.1). */
static bool read_only(uint32_t number)
{
    return number >> 10 == 3;
}

static bool counter_blocked(const soft_pe *pe, uint32_t number)
{
    uint64_t enabled = pe->port.hcounteren;
    if (pe->mode == HVCORE_RISCV64_VU)
        enabled &= pe->port.scounteren;
    return !(enabled & HVC_BIT(number % 32));
}

/* Would HS-mode be allowed what this mode is not? */
static bool blocked(const soft_pe *pe, uint32_t number, enum kind kind)
{
    switch (kind) {
    case CSR_SUPERVISOR:
        return pe->mode == HVCORE_RISCV64_VU ||
               (number == SATP && pe->frame->hstatus & HVC_HSTATUS_VTVM);
    case CSR_COUNTER:
        return counter_blocked(pe, number);
    case CSR_HYPERVISOR:
    case CSR_ABSENT:
        break;
    }
    return true;
}

/* CSRRW, CSRRS, CSRRC by the low bits of funct3 (Unpriv. 7.1). */
static uint64_t combine(uint32_t funct3, uint64_t old, uint64_t operand)
{
    switch (funct3 & 3) {
    case 2:
        return old | operand;
    case 3:
        return old & ~operand;
    default:
        return operand;
    }
}

/* A write may change translation, and unmask an interrupt, from the next instruction on. */
static uint64_t written(soft_pe *pe, uint64_t pc)
{
    hvc_soft_mmu_context(pe);
    return hvc_soft_interrupt(pe, pc);
}

uint64_t hvc_soft_op_csr(soft_pe *pe, uint64_t *x, const soft_insn *insn, uint64_t pc)
{
    uint32_t number = (uint32_t)insn->imm & 0xfff, funct3 = insn->word >> 12 & 7;
    bool write = (funct3 & 3) == 1 || insn->rs1;
    const csr *row = &csrs[rows[number]];
    if (row->kind == CSR_ABSENT || (write && read_only(number)))
        return hvc_soft_op_illegal(pe, x, insn, pc);
    if (blocked(pe, number, row->kind))
        return hvc_soft_op_virtual(pe, x, insn, pc);

    uint64_t operand = funct3 & 4 ? insn->rs1 : x[insn->rs1], old = row->get(pe);
    if (write)
        row->set(pe, combine(funct3, old, operand));
    x[insn->rd] = old;
    x[0] = 0;
    return write ? written(pe, pc + 4) : pc + 4;
}
