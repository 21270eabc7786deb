/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSRs as a guest sees them. With V=1 the supervisor's numbers lead to the VS registers (Priv.
 * 21.2.11 and following). What does not exist is an illegal instruction; what HS-mode could do but
 * the guest may not is a virtual instruction (Priv. 21.6.1).
 */
#include "backends/bare/soft/soft.h"

#define SATP 0x180
#define STIMECMP 0x14d
#define VSTIMECMP 0x24d
#define SSIP HVC_BIT(1)
#define VSTIP HVC_BIT(6)

/* clang-format off */
/* What a guest may use: X(number, register of the PE). */
#define PLAIN_CSRS(X)                                                                   \
    X(0x100, vsstatus)  X(0x104, vsie)  X(0x105, vstvec)  X(0x106, scounteren)           \
    X(0x10a, senvcfg)   X(0x140, vsscratch) X(0x141, vsepc) X(0x142, vscause)            \
    X(0x143, vstval)    X(SATP, vsatp)  X(STIMECMP, vstimecmp)

#define SUPERVISOR_CSRS(X) PLAIN_CSRS(X) X(0x144, vsip)
#define FLOAT_CSRS(X) X(0x001, fflags) X(0x002, frm) X(0x003, fcsr)

#define COUNTERS(X) X(0xc00, cycle) X(0xc01, time) X(0xc02, instret)

/* What the hart has besides: VS CSRs by their own numbers, then the hypervisor's. */
#define HYPERVISOR_CSRS(X)                                                              \
    X(0x200) X(0x204) X(0x205) X(0x240) X(0x241) X(0x242) X(0x243) X(0x244) X(VSTIMECMP)    \
    X(0x280)                                                                             \
    X(0x600) X(0x602) X(0x603) X(0x604) X(0x605) X(0x606) X(0x607) X(0x60a)              \
    X(0x643) X(0x644) X(0x645) X(0x64a) X(0x680) X(0xe12)
/* clang-format on */

/* --- values ----------------------------------------------------------------------------------- */

uint64_t hvc_soft_now(const soft_pe *pe)
{
    const hvc_machine *m = pe->machine;
    if (!m->lockstep)
        return hvc_host_now() / SOFT_TICK_NS;
    return (atomic_load_explicit(&m->clock, memory_order_relaxed) + hvc_soft_done(pe)) /
           SOFT_TICK_NS;
}

/* hvip with the timer's level (Priv. 21.2.3, Sstc). Without Sstc firmware alone sets the timer. */
uint64_t hvc_soft_pending(const soft_pe *pe)
{
    const hvc_pe *port = &pe->port;
    bool on = !(port->isa & HVCORE_RISCV64_ISA_SSTC) || port->henvcfg & HVC_HENVCFG_STCE;
    bool due = on && port->vstimecmp != UINT64_MAX && hvc_soft_now(pe) >= port->vstimecmp;
    return port->hvip | (due ? VSTIP : 0);
}

/* vsip is hvip, one position lower, where hideleg is set; a guest writes SSIP (Priv. 21.2.11). */
static uint64_t get_vsip(soft_pe *pe)
{
    return (hvc_soft_pending(pe) & pe->port.hideleg) >> 1;
}

static void set_vsip(soft_pe *pe, uint64_t value)
{
    hvc_pe *port = &pe->port;
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
    return pe->attempts + hvc_soft_done(pe) - 1 - pe->traps;
}

static uint64_t get_cycle(soft_pe *pe)
{
    return get_instret(pe);
}

static uint64_t get_time(soft_pe *pe)
{
    return hvc_soft_now(pe);
}

/* fcsr is frm and fflags side by side (Unpriv. 20.2). */
static uint64_t get_fcsr(soft_pe *pe)
{
    return hvc_soft_get_fcsr(pe);
}

static uint64_t get_fflags(soft_pe *pe)
{
    return hvc_soft_get_fcsr(pe) & 0x1f;
}

static uint64_t get_frm(soft_pe *pe)
{
    return hvc_soft_get_fcsr(pe) >> 5;
}

static void set_fcsr(soft_pe *pe, uint64_t value)
{
    hvc_soft_set_fcsr(pe, (uint32_t)value);
    hvc_soft_fp_dirty(pe);
}

static void set_fflags(soft_pe *pe, uint64_t value)
{
    set_fcsr(pe, (get_fcsr(pe) & 0xe0) | (value & 0x1f));
}

static void set_frm(soft_pe *pe, uint64_t value)
{
    set_fcsr(pe, get_fflags(pe) | (value & 7) << 5);
}

/* --- the table -------------------------------------------------------------------------------- */

enum kind { CSR_ABSENT = 0, CSR_SUPERVISOR, CSR_COUNTER, CSR_FLOAT, CSR_HYPERVISOR };

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
#define ACCESS_(number, name) ACCESS(number, name)
PLAIN_CSRS(ACCESS_)

#define ROW_NAME(number, name) ROW_##name,
enum row {
    ROW_absent,
    ROW_hypervisor,
    SUPERVISOR_CSRS(ROW_NAME) COUNTERS(ROW_NAME) FLOAT_CSRS(ROW_NAME)
};

#define SUPERVISOR_ROW(number, name) [ROW_##name] = {get_##name, set_##name, CSR_SUPERVISOR},
#define FLOAT_ROW(number, name) [ROW_##name] = {get_##name, set_##name, CSR_FLOAT},
#define COUNTER_ROW(number, name) [ROW_##name] = {get_##name, NULL, CSR_COUNTER},
/* clang-format off */
static const csr csrs[] = {
    [ROW_hypervisor] = {NULL, NULL, CSR_HYPERVISOR},
    SUPERVISOR_CSRS(SUPERVISOR_ROW)
    COUNTERS(COUNTER_ROW)
    FLOAT_CSRS(FLOAT_ROW)
};
/* clang-format on */

#define BY_NUMBER(number, name) [number] = ROW_##name,
#define BY_NUMBER_HYPERVISOR(number) [number] = ROW_hypervisor,
/* clang-format off */
static const uint8_t rows[4096] = {
    SUPERVISOR_CSRS(BY_NUMBER)
    COUNTERS(BY_NUMBER)
    FLOAT_CSRS(BY_NUMBER)
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

/* stimecmp needs the hypervisor's leave, for itself and for the time (Sstc, 2.2). */
static bool timer_blocked(const soft_pe *pe)
{
    return !(pe->port.henvcfg & HVC_HENVCFG_STCE) || !(pe->port.hcounteren & HVC_BIT(1));
}

static bool supervisor_blocked(const soft_pe *pe, uint32_t number)
{
    return pe->mode == HVCORE_RISCV64_VU ||
           (number == SATP && pe->frame->hstatus & HVC_HSTATUS_VTVM) ||
           (number == STIMECMP && timer_blocked(pe));
}

/* Does this machine have it, as things are? */
static bool exists(const soft_pe *pe, uint32_t number, enum kind kind)
{
    if (kind == CSR_FLOAT)
        return hvc_soft_has(pe, HVCORE_RISCV64_ISA_FD) && hvc_soft_fp_on(pe);
    if (number == STIMECMP || number == VSTIMECMP)
        return hvc_soft_has(pe, HVCORE_RISCV64_ISA_SSTC);
    return kind != CSR_ABSENT;
}

/* Would HS-mode be allowed what this mode is not? */
static bool blocked(const soft_pe *pe, uint32_t number, enum kind kind)
{
    switch (kind) {
    case CSR_SUPERVISOR:
        return supervisor_blocked(pe, number);
    case CSR_COUNTER:
        return counter_blocked(pe, number);
    case CSR_FLOAT:
        return false;
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

/* What a write may change from the next instruction on. */
enum { SSTATUS = 0x100, SIE = 0x104, SIP = 0x144 };

static bool changes_translation(uint32_t number)
{
    return number == SSTATUS || number == SATP;
}

static bool changes_interrupts(uint32_t number)
{
    return number == SSTATUS || number == SIE || number == SIP || number == STIMECMP;
}

static uint64_t written(soft_pe *pe, uint64_t pc, uint32_t number)
{
    if (changes_translation(number))
        hvc_soft_mmu_context(pe);
    if (!changes_interrupts(number))
        return SOFT_NEXT;
    if (number == STIMECMP)
        hvc_soft_cut(pe); /* in lockstep a slice ends where the timer comes */
    uint64_t next = hvc_soft_interrupt(pe, pc + 4);
    return next == pc + 4 ? SOFT_NEXT : next;
}

uint64_t hvc_soft_op_csr(soft_pe *pe, uint64_t *x, const hvc_insn *insn, uint64_t pc)
{
    uint32_t word = (uint32_t)insn->imm, number = word >> 20, funct3 = word >> 12 & 7;
    bool write = (funct3 & 3) == 1 || insn->rs1;
    const csr *row = &csrs[rows[number]];
    if (!exists(pe, number, row->kind) || (write && read_only(number)))
        return hvc_soft_op_illegal(pe, x, insn, pc);
    if (blocked(pe, number, row->kind))
        return hvc_soft_op_virtual(pe, x, insn, pc);

    uint64_t operand = funct3 & 4 ? insn->rs1 : x[insn->rs1], old = row->get(pe);
    if (write)
        row->set(pe, combine(funct3, old, operand));
    x[insn->rd] = old;
    x[0] = 0;
    return write ? written(pe, pc, number) : SOFT_NEXT;
}
