/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine seam. backends/bare/<arch>*.c is the hypervisor; a machine is what executes guests:
 * soft (processing elements in software) or hs / el2 (the hart below, bound at compile time). A
 * machine is a folder with port_<arch>.h, which defines the types and static inlines declared here
 * in words and checked at the end of this file, so that drift does not compile.
 *
 *   hvc_machine   one per VM on soft; the whole computer on metal
 *   hvc_pe        a processing element: on metal the hart that runs this code, on soft one per
 * vCPU. Its member `resident` belongs to the shared code: the vCPU whose state it holds
 *
 * Physical addresses (pa) are the machine's. On metal they are what the hart uses; on soft they are
 * offsets into banks whose bounds are checked at every access.
 */
#ifndef HVC_PORT_H
#define HVC_PORT_H

#include "backends/bare/bare.h"
#include "lib/arch/riscv64.h"
#include "lib/host/host.h"

/* A trap as the machine reports it, untouched. */
typedef struct hvc_raw_trap {
    uint64_t scause, stval, htval, htinst;
} hvc_raw_trap;

/* How enter ended. */
enum hvc_port_stop {
    HVC_STOP_TRAP = 0,       /* raw trap filled; sepc, sstatus, hstatus are in the frame */
    HVC_STOP_KICKED = 1,     /* kick, or an interrupt of the host (already acknowledged) */
    HVC_STOP_DEADLINE = 2,   /* the time given to hvc_port_timer has come */
    HVC_STOP_INSN_LIMIT = 3, /* the budget is used up (soft only) */
    HVC_STOP_FAILED = 4      /* scause holds the machine's own code */
};

/* What a VM asks of its machine. Metal has no choice: it takes the defaults only. */
typedef struct hvc_port_config {
    uint32_t max_pes;
    uint32_t lockstep; /* 1: time is the number of instructions */
    uint64_t isa;      /* HVCORE_RISCV64_ISA_*, 0: the machine's own */
} hvc_port_config;

/* Facts of a machine, the same for all its PEs. */
typedef struct hvc_port_facts {
    uint64_t hedeleg;       /* writable bits */
    uint64_t hideleg;       /* writable bits */
    uint64_t henvcfg;       /* writable bits */
    uint64_t guest_sstatus; /* bits that HS-mode's sstatus needs for what the guest may have: FS */
    uint32_t vmid_bits;
    uint32_t max_pes;
    uint32_t caps;             /* HVCORE_CAP_* */
    uint32_t firmware_honours; /* 1: a set bit of hedeleg is known to work */
} hvc_port_facts;

struct hvcore_bk_vcpu;

#define HVC_STR_(x) #x
#define HVC_STR(x) HVC_STR_(x)
/* clang-format off */
#define HVC_PORT_FILE_(machine, arch) machine/port_##arch.h
#define HVC_PORT_FILE(machine, arch) HVC_PORT_FILE_(machine, arch)
#include HVC_STR(backends/bare/HVC_PORT_FILE(HVC_MACHINE, HVC_ARCH))
/* clang-format on */

/*
 * facts and PEs
 *   machine_create(&m, &config) / machine_destroy(m)
 *   facts(m, &facts)
 *   pe_claim(m, index, &pe): the PE for vCPU `index` (soft), or the hart that calls (hs; never
 *     fails); pe_release(pe)
 *   pe_current(pe): may the calling thread use this PE now? (soft: always; hs: is it this hart's)
 *
 * run
 *   enter(pe, frame, &raw): execute from `frame` until a stop; the frame is updated in place
 *   kick(pe): any thread, signal-safe, sticky: ends enter, or the next one
 *   timer(pe, until): enter stops with DEADLINE soon after hvc_host_now() >= until (soft looks
 *     after each slice); HVC_FOREVER: never
 *   budget(pe, n): enter stops with INSN_LIMIT after n instructions, UINT64_MAX: never. Machines
 *     without HVCORE_CAP_INSN_LIMIT ignore it. The budget counts down across enters
 *   insns(pe), delegated(pe, cause): counters of the PE, or 0; any thread
 *
 * registers: hvc_port_get(pe, name), hvc_port_set(pe, name, value) are macros on the CSR's name:
 *   vsstatus vsie vstvec vsscratch vsepc vscause vstval hvip vsatp scounteren senvcfg henvcfg
 *   vstimecmp hedeleg hideleg hgatp hcounteren. A set keeps the bits that the hardware has.
 *   fp_load(pe, fp) / fp_save(pe, fp): the guest's F and D registers (NULL: it has none)
 *
 * time
 *   time(m): the guest's time counter, 10 MHz; time_ns(m, ticks): when that is on the host's clock,
 *     HVC_FOREVER: not by itself; time_skip(m, ticks): let it be that (lockstep)
 *
 * translate
 *   tlb_gvma(pe): forget everything that this PE derived from G-stage tables
 *   tlb_vvma(pe): forget everything that it derived from VS-stage tables
 *
 * memory: hypervisor and guest memory as the hart sees it
 *   bank_add(m, host, len, align, &pa): give host memory a physical address, a multiple of `align`;
 *     on metal the address that it has, a multiple of a page. bank_remove(m, pa, len)
 *   written(m, host, len): the hypervisor has written there: what a PE remembers of code is
 *     doubtful from its next enter on. Any thread
 *   pa_ptr(m, pa): where the hypervisor itself can touch this (page-table) address
 */
#define HVC_PORT_IS(f, ...) \
    _Static_assert(_Generic(&(f), __VA_ARGS__ : 1, default : 0), #f " drifted")

_Static_assert(_Generic(&((hvc_pe *)0)->resident, struct hvcore_bk_vcpu *_Atomic * : 1,
                        default : 0),
               "hvc_pe has a member struct hvcore_bk_vcpu *_Atomic resident");
HVC_PORT_IS(hvc_port_machine_create, int (*)(hvc_machine **, const hvc_port_config *));
HVC_PORT_IS(hvc_port_fp_load, void (*)(hvc_pe *, hvcore_riscv64_fp *));
HVC_PORT_IS(hvc_port_fp_save, void (*)(hvc_pe *, hvcore_riscv64_fp *));
HVC_PORT_IS(hvc_port_time, uint64_t (*)(hvc_machine *));
HVC_PORT_IS(hvc_port_time_ns, uint64_t (*)(hvc_machine *, uint64_t));
HVC_PORT_IS(hvc_port_time_skip, void (*)(hvc_machine *, uint64_t));
HVC_PORT_IS(hvc_port_machine_destroy, void (*)(hvc_machine *));
HVC_PORT_IS(hvc_port_facts_get, void (*)(hvc_machine *, hvc_port_facts *));
HVC_PORT_IS(hvc_port_pe_claim, int (*)(hvc_machine *, uint32_t, hvc_pe **));
HVC_PORT_IS(hvc_port_pe_release, void (*)(hvc_pe *));
HVC_PORT_IS(hvc_port_pe_current, bool (*)(hvc_pe *));
HVC_PORT_IS(hvc_port_enter,
            enum hvc_port_stop (*)(hvc_pe *, hvcore_riscv64_frame *, hvc_raw_trap *));
HVC_PORT_IS(hvc_port_kick, void (*)(hvc_pe *));
HVC_PORT_IS(hvc_port_timer, void (*)(hvc_pe *, uint64_t));
HVC_PORT_IS(hvc_port_budget, void (*)(hvc_pe *, uint64_t));
HVC_PORT_IS(hvc_port_insns, uint64_t (*)(hvc_pe *));
HVC_PORT_IS(hvc_port_delegated, uint64_t (*)(hvc_pe *, uint32_t));
HVC_PORT_IS(hvc_port_tlb_gvma, void (*)(hvc_pe *));
HVC_PORT_IS(hvc_port_tlb_vvma, void (*)(hvc_pe *));
HVC_PORT_IS(hvc_port_bank_add, int (*)(hvc_machine *, void *, uint64_t, uint64_t, uint64_t *));
HVC_PORT_IS(hvc_port_bank_remove, void (*)(hvc_machine *, uint64_t, uint64_t));
HVC_PORT_IS(hvc_port_written, void (*)(hvc_machine *, const void *, uint64_t));
HVC_PORT_IS(hvc_port_pa_ptr, uint64_t *(*)(hvc_machine *, uint64_t));

#endif
