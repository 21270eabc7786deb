/* SPDX-License-Identifier: Apache-2.0 */
/* A hart in HS-mode as a processing element: facts, enter, kick. */
#include "backends/bare/port.h"

#include "backends/bare/hs/enter.h"
#include "lib/host/metal_riscv64.h"

_Static_assert(offsetof(hvcore_riscv64_frame, x[31]) == HVC_HS_FRAME_X(31), "enter.S");
_Static_assert(offsetof(hvcore_riscv64_frame, pc) == HVC_HS_FRAME_PC, "enter.S");
_Static_assert(offsetof(hvcore_riscv64_frame, sstatus) == HVC_HS_FRAME_SSTATUS, "enter.S");
_Static_assert(offsetof(hvcore_riscv64_frame, hstatus) == HVC_HS_FRAME_HSTATUS, "enter.S");
_Static_assert(HVC_SSTATUS_SIE == HVC_SSTATUS_SIE_IMM, "metal_riscv64.h");

/* hcounteren: CY, TM, IR (Priv. 21.2.6) */
#define COUNTERS_CY_TM_IR 7

static hvc_machine computer;
static hvc_pe harts[HVC_METAL_CPUS];

/* --- facts and PEs ---------------------------------------------------------------------------- */

int hvc_hs_machine_create(hvc_machine **m)
{
    *m = &computer;
    return 0;
}

/* Writes ones and reads what stays; the register is as before. */
#define WRITABLE(name, ones)                        \
    __extension__({                                 \
        uint64_t was_ = hvc_hs_csr_get(name), has_; \
        hvc_hs_csr_set(name, (ones));               \
        has_ = hvc_hs_csr_get(name);                \
        hvc_hs_csr_set(name, was_);                 \
        has_;                                       \
    })

/* A VMID field holds as many low ones as it has bits; mode Bare would force it to 0
 * (Priv. 21.2.10). */
static uint32_t vmid_bits(void)
{
    uint64_t field = ((UINT64_C(1) << HVC_HGATP_VMID_BITS) - 1) << HVC_HGATP_VMID_SHIFT;
    uint64_t has = WRITABLE(hgatp, HVC_ATP_SV39 << HVC_ATP_MODE_SHIFT | field) & field;
    uint32_t bits = 0;

    for (has >>= HVC_HGATP_VMID_SHIFT; has & 1; has >>= 1)
        bits++;
    hvc_port_tlb_gvma(NULL); /* what a hart may have looked up under the probe */
    return bits;
}

void hvc_hs_facts(hvc_port_facts *facts)
{
    uint64_t irq = hvc_cpu_mask();

    *facts = (hvc_port_facts){
        .hedeleg = WRITABLE(hedeleg, UINT64_MAX),
        .hideleg = WRITABLE(hideleg, UINT64_MAX),
        .henvcfg = WRITABLE(henvcfg, UINT64_MAX),
        .vmid_bits = vmid_bits(),
        .max_pes = hvc_metal_cpus(),
        .caps = HVCORE_CAP_DEADLINE,
        .firmware_honours = 0, /* nothing in HS-mode tells */
    };
    hvc_cpu_restore(irq);
}

/* The registers of a hart that no vCPU owns: guests may read the counters and see the host's time.
 */
static void set_up(hvc_pe *pe, uint32_t cpu)
{
    pe->cpu = cpu;
    pe->until = HVC_FOREVER;
    hvc_hs_csr_set(hcounteren, COUNTERS_CY_TM_IR);
    hvc_hs_csr_set(htimedelta, 0);
    pe->ready = 1;
}

/* Asked whenever a vCPU comes to this hart. Its code may have been written, or fenced, on another
 * hart: FENCE.I (by number: Zifencei is not in our -march) makes this one see it. */
hvc_pe *hvc_hs_pe_here(void)
{
    uint32_t cpu = hvc_host_cpu();
    hvc_pe *pe = &harts[cpu];

    if (!pe->ready)
        set_up(pe, cpu);
    __asm__ volatile(".4byte 0x0000100f" : : : "memory");
    return pe;
}

/* --- what a hart leaves out ------------------------------------------------------------------- */

/*
 * A hart may leave htinst at 0 (Priv. 21.6.3; QEMU 7.2 does for explicit accesses). Then the
 * instruction is read from the guest's memory and transformed as the hart would have done. It may
 * have changed since it trapped: it is believed only if its address is the one that trapped.
 */
typedef struct access {
    uint32_t xform; /* the transformation without its offset; 0: no integer load or store */
    uint32_t rs1;
    uint64_t imm;
} access;

static uint32_t field(uint32_t insn, unsigned at, unsigned bits)
{
    return insn >> at & ((1u << bits) - 1);
}

/* Loads keep funct3 and rd, stores funct3 and rs2. */
static access access_32(uint32_t insn)
{
    uint64_t top = (uint64_t)(int64_t)((int32_t)insn >> 25) << 5; /* bits 31:25, signed */
    uint32_t opcode = insn & 0x7f, rs1 = field(insn, 15, 5);

    if (opcode == HVC_OPCODE_LOAD)
        return (access){insn & 0x7fff, rs1, top | field(insn, 20, 5)};
    if (opcode == HVC_OPCODE_STORE)
        return (access){insn & 0x01f0707f, rs1, top | field(insn, 7, 5)};
    return (access){0};
}

/* The transformation of the expansion, with bit 1 clear: a 16-bit instruction. */
static uint32_t xform_16(bool store, uint32_t width, uint32_t reg)
{
    uint32_t insn = store ? reg << 20 | HVC_OPCODE_STORE : reg << 7 | HVC_OPCODE_LOAD;

    return (insn & ~UINT32_C(2)) | width << 12;
}

/* C.LW, C.LD, C.SW, C.SD and their forms with sp (Unpriv. 20240411, 26.3); bit 13 is the width. */
static access access_16(uint32_t insn)
{
    bool wide = insn >> 13 & 1, store = insn >> 15;
    uint32_t width = wide ? 3 : 2, imm;

    if (!(insn >> 14 & 1) || (insn & 1)) /* FP, or not a load or store */
        return (access){0};
    if ((insn & 3) == 0) {
        imm = field(insn, 10, 3) << 3 |
              (wide ? field(insn, 5, 2) << 6 : field(insn, 6, 1) << 2 | field(insn, 5, 1) << 6);
        return (access){xform_16(store, width, 8 + field(insn, 2, 3)), 8 + field(insn, 7, 3), imm};
    }
    if (store)
        imm = wide ? field(insn, 10, 3) << 3 | field(insn, 7, 3) << 6
                   : field(insn, 9, 4) << 2 | field(insn, 7, 2) << 6;
    else
        imm = field(insn, 12, 1) << 5 | (wide ? field(insn, 5, 2) << 3 | field(insn, 2, 3) << 6
                                              : field(insn, 4, 3) << 2 | field(insn, 2, 2) << 6);
    return (access){xform_16(store, width, store ? field(insn, 2, 5) : field(insn, 7, 5)), 2, imm};
}

/* The instruction at pc, or 0. SPVP: read as the mode that trapped. MXR: HLVX needs X, not R (Priv.
 * 21.3.1), but QEMU 7.2 looks at R. */
static uint32_t fetch(const hvcore_riscv64_frame *frame)
{
    uint64_t hstatus = hvc_hs_csr_get(hstatus), sstatus, low, high = 0;

    hvc_hs_csr_set(hstatus, frame->hstatus);
    __asm__ volatile("csrrs %0, sstatus, %1" : "=r"(sstatus) : "r"(HVC_SSTATUS_MXR) : "memory");
    low = hvc_hs_hlvx_hu(frame->pc);
    if ((low & 3) == 3 && low <= UINT16_MAX)
        high = hvc_hs_hlvx_hu(frame->pc + 2);
    __asm__ volatile("csrw sstatus, %0" : : "r"(sstatus) : "memory");
    hvc_hs_csr_set(hstatus, hstatus);
    return low > UINT16_MAX || high > UINT16_MAX ? 0 : (uint32_t)(high << 16 | low);
}

static uint64_t transformed(const hvcore_riscv64_frame *frame, uint64_t stval)
{
    uint32_t insn = fetch(frame);
    access a = (insn & 3) == 3 ? access_32(insn) : access_16(insn);
    uint64_t offset = stval - (frame->x[a.rs1] + a.imm);

    return a.xform && offset < 8 ? a.xform | offset << 15 : 0;
}

/* An access of the instruction itself? One of a page-table walk has a pseudo-instruction in htinst,
 * if htval is not 0 (Priv. 21.6.3); without translation there are no walks. */
static bool is_explicit(const hvc_raw_trap *raw)
{
    return (raw->scause == HVCORE_RISCV64_LOAD_GUEST_PAGE ||
            raw->scause == HVCORE_RISCV64_STORE_GUEST_PAGE) &&
           (raw->htval != 0 || hvc_hs_csr_get(vsatp) >> HVC_ATP_MODE_SHIFT == HVC_ATP_BARE);
}

/* --- run -------------------------------------------------------------------------------------- */

/* Set, then look whether the hart is inside; enter announces itself, then looks for the kick: one
 * of the two sees the other. */
void hvc_hs_kick(hvc_pe *pe)
{
    atomic_store_explicit(&pe->kicked, 1, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&pe->inside, memory_order_relaxed))
        hvc_metal_ipi(pe->cpu);
}

static void announce(hvc_pe *pe, uint32_t inside)
{
    atomic_store_explicit(&pe->inside, inside, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

static bool kick_taken(hvc_pe *pe)
{
    return atomic_exchange_explicit(&pe->kicked, 0, memory_order_acquire) != 0;
}

static enum hvc_port_stop interrupted(hvc_pe *pe)
{
    hvc_metal_interrupted();
    if (hvc_host_now() >= pe->until)
        return HVC_STOP_DEADLINE;
    kick_taken(pe);
    return HVC_STOP_KICKED;
}

static void read_trap(const hvcore_riscv64_frame *frame, hvc_raw_trap *raw)
{
    __asm__ volatile("csrr %0, scause" : "=r"(raw->scause));
    __asm__ volatile("csrr %0, stval" : "=r"(raw->stval));
    raw->htval = hvc_hs_csr_get(htval);
    raw->htinst = hvc_hs_csr_get(htinst);
    if (!(frame->hstatus & HVC_HSTATUS_SPV)) /* the switch itself trapped: the frame is nobody's */
        hvc_metal_panic("the world switch trapped", raw->scause, frame->pc, raw->stval);
    if (raw->htinst == 0 && is_explicit(raw))
        raw->htinst = transformed(frame, raw->stval);
}

static enum hvc_port_stop guest(hvc_pe *pe, hvcore_riscv64_frame *frame, hvc_raw_trap *raw)
{
    hvc_metal_alarm(pe->until);
    hvc_cpu_interrupts_on();
    hvc_hs_switch(frame);
    read_trap(frame, raw);
    return raw->scause & HVC_CAUSE_INTERRUPT ? interrupted(pe) : HVC_STOP_TRAP;
}

/*
 * Interrupts are masked from before the last look at the kick until the guest runs, where they
 * count again: an IPI that comes in between is pending at SRET and ends the guest at its first
 * instruction.
 */
enum hvc_port_stop hvc_hs_enter(hvc_pe *pe, hvcore_riscv64_frame *frame, hvc_raw_trap *raw)
{
    enum hvc_port_stop stop;
    uint64_t irq;

    *raw = (hvc_raw_trap){0};
    if (!(frame->hstatus & HVC_HSTATUS_SPV)) /* SRET would stay in HS-mode */
        return HVC_STOP_FAILED;
    irq = hvc_cpu_mask();
    announce(pe, 1);
    if (kick_taken(pe))
        stop = HVC_STOP_KICKED;
    else if (pe->until != HVC_FOREVER && hvc_host_now() >= pe->until)
        stop = HVC_STOP_DEADLINE;
    else
        stop = guest(pe, frame, raw);
    announce(pe, 0);
    hvc_cpu_restore(irq);
    return stop;
}
