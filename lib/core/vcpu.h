/* SPDX-License-Identifier: Apache-2.0 */
/* The vCPU, as lib/core and lib/run see it. */
#ifndef HVC_VCPU_H
#define HVC_VCPU_H

#include "lib/core/core.h"
#include "lib/core/rendezvous.h"

/* An unfinished instruction; the only place where one lives. */
typedef enum hvc_pending_kind {
    HVC_PENDING_NONE = 0,
    HVC_PENDING_LOAD = 1,  /* an MMIO load: reg gets value[0] */
    HVC_PENDING_STORE = 2, /* an MMIO store: the step is owed */
    HVC_PENDING_CALL = 3,  /* a call: a0, a1 get value[0], value[1] */
    HVC_PENDING_STEP = 4,  /* nothing but the step is owed */
    HVC_PENDING_BEGIN = 5  /* the hart begins at value[0] with a1 = value[1] */
} hvc_pending_kind;

/* Who finishes it, once it is filled. */
typedef enum hvc_pending_owner { HVC_OWNER_LOOP = 0, HVC_OWNER_KERNEL = 1 } hvc_pending_owner;

typedef struct hvc_pending {
    uint8_t kind;      /* hvc_pending_kind */
    uint8_t needs;     /* 1: the VMM has to fill it before the next run */
    uint8_t filled;    /* 1: settle it at the next look or run */
    uint8_t waits;     /* 1: an interrupt fills it */
    uint8_t sign;      /* LOAD: sign-extend */
    uint8_t reg;       /* LOAD: destination, STORE: source */
    uint8_t width;     /* LOAD, STORE: bytes */
    uint8_t step;      /* bytes that pc advances */
    uint8_t owner;     /* hvc_pending_owner */
    uint8_t again;     /* KERNEL: the callback is to be asked again before the guest is entered */
    uint64_t gpa;      /* LOAD, STORE; a port */
    uint64_t value[4]; /* STORE: the data; LOAD, CALL: the answer */
} hvc_pending;

/* What is to be done after the vCPU has left GUEST, before it enters again. */
typedef enum hvc_outside {
    HVC_OUTSIDE_NONE = 0,    /* nothing: it waits, or has stopped itself */
    HVC_OUTSIDE_MMIO = 1,    /* call the range's callback */
    HVC_OUTSIDE_CONSOLE = 2, /* write console bytes */
    HVC_OUTSIDE_STOP = 3,    /* stop the VM */
    HVC_OUTSIDE_FENCE = 4    /* have others forget translations */
} hvc_outside;

/* States of a hart, as SBI HSM numbers them; a start takes two steps for whoever makes it. */
enum hvc_hart {
    HVC_HART_STARTED = 0,
    HVC_HART_STOPPED = 1,
    HVC_HART_START_PENDING = 2,
    HVC_HART_SUSPENDED = 4,
    HVC_HART_CLAIMED = 7 /* START_PENDING, and start_pc, start_arg are being written */
};

/*
 * What drives a vCPU's interrupts from outside, beside what the vCPU itself has in hvip. Two levels
 * for VSEIP, one for VSTIP. VSSIP is the guest's own bit: it is set once, or cleared once.
 */
enum hvc_line {
    HVC_LINE_SOFT_SET = 1,
    HVC_LINE_SOFT_CLEAR = 2,
    HVC_LINE_TIMER = 4,
    HVC_LINE_EXTERNAL = 8, /* by the VMM */
    HVC_LINE_IRQCHIP = 16  /* external, by the interrupt controller */
};

/* Who is inside hvcore_vcpu_run. */
enum hvc_running { HVC_IDLE = 0, HVC_RUNNING = 1, HVC_IN_CALLBACK = 2 };

enum hvc_trap_count {
    HVC_COUNT_REDIRECTED,
    HVC_COUNT_EMULATED,
    HVC_COUNT_EXITED,
    HVC_COUNT_STOPPED,
    HVC_COUNT_LATE,
    HVC_TRAP_COUNTS
};

#define HVC_VCPU_COUNTERS(X) \
    X(runs)                  \
    X(enters)                \
    X(kicks)                 \
    X(mmio)                  \
    X(firmware)              \
    X(injected)              \
    X(storms)                \
    X(double_traps)

typedef struct hvc_counters {
#define HVC_FIELD(name) hvc_counter name;
    HVC_VCPU_COUNTERS(HVC_FIELD)
#undef HVC_FIELD
    hvc_counter trap[HVC_POLICY_CLASSES][HVC_TRAP_COUNTS];
} hvc_counters;

struct hvcore_vcpu {
    hvc_ref refs;
    uint32_t index;
    hvcore_vm *vm;
    const hvcore_backend_ops *ops;
    const hvcore_bk_riscv64_ops *raw;   /* of the VM */
    const hvcore_bk_kernel_ops *kernel; /* of the VM */
    hvcore_bk_vcpu *bk;
    hvcore_bk_riscv64 cpu;      /* raw: frame and system registers of the backend */
    const hvcore_bk_exit *last; /* kernel: what belongs to `event` */
    uint32_t owed;              /* kernel: 1: it has an answer that it has not taken up yet */
    uint32_t halted;            /* kernel: 1: it waits for an interrupt, and the kernel does not */
    hvc_program *program;       /* changed only while this vCPU is held */

    _Atomic uint32_t word;    /* rendezvous.h */
    _Atomic uint32_t running; /* hvc_running */
    _Atomic uint64_t cancel;  /* 1 << 32 | token: a cancel is pending */
    _Atomic uint32_t flushes; /* how often FLUSH has been served; written in OUT */
    _Atomic uint32_t pins;    /* rendezvous.c */

    _Atomic uint32_t lines; /* hvc_line */
    _Atomic uint32_t hart;  /* hvc_hart */
    uint64_t hvip_own;      /* VSTIP and VSEIP as hvcore_reg_set_u64() left them */
    uint64_t start_pc;      /* for HVC_REQ_START */
    uint64_t start_arg;
    uint64_t wake_ticks; /* it waits: when its timer ends that, UINT64_MAX never */

    hvc_pending pending;
    hvc_outside outside;
    hvc_mmio mmio;         /* OUTSIDE_MMIO: the range, copied */
    hvc_vcpu_set fence;    /* OUTSIDE_FENCE: whom, each pinned */
    uint64_t console_addr; /* OUTSIDE_CONSOLE */
    uint64_t console_len;
    char console_byte;
    uint32_t vector_run; /* traps in a row at the first instruction of the guest's handler */

    hvcore_event event; /* of the current or last trap */
    hvcore_exit exit;
    hvcore_riscv64_state state;
    hvc_counters counters;
};

/*
 * What lib/run needs to know of an architecture. Flow: 0 go on, HVC_FLOW_*, or a negative error.
 */
enum hvc_flow {
    HVC_FLOW_ON = 0,
    HVC_FLOW_OUTSIDE = 1,
    HVC_FLOW_EXIT = 2,
    HVC_FLOW_TURN = 3 /* lockstep: another vCPU's turn */
};

/* Instructions of a turn in lockstep. */
enum { HVC_TURN = 10000 };

/* Handle v->event, a trap. */
int hvc_riscv64_trap(hvcore_vcpu *v);
/* Carry out v->pending, which is filled. */
void hvc_riscv64_settle(hvcore_vcpu *v);
/* The hart begins at `pc` with a1 = `arg`, as SBI HSM says. Owner. 0 or an error. */
int hvc_riscv64_begin(hvcore_vcpu *v, uint64_t pc, uint64_t arg);
/* Deliver an exception in place of the current instruction. */
int hvc_riscv64_inject(hvcore_vcpu *v, uint64_t cause, uint64_t tval, hvcore_error *err);

/* lib/run/kernel.c. Handle v->event, digested by a kernel. GUEST; a flow. */
int hvc_kernel_event(hvcore_vcpu *v);
/* v->pending is an access that a callback may answer. GUEST; a flow. */
int hvc_kernel_access(hvcore_vcpu *v);
/* Give the kernel the answer, if there is one. 0 or an error. */
int hvc_kernel_answer(hvcore_vcpu *v);
/* Give it, and have it taken up. 0 or an error. */
int hvc_kernel_settle(hvcore_vcpu *v);
/* The program counter, without settling; 0 and false if the kernel does not say it. */
bool hvc_kernel_pc(hvcore_vcpu *v, uint64_t *pc);

/* Settle a filled pending record (a look at the state, or the next run). 0 or an error. */
static inline int hvc_settle(hvcore_vcpu *v)
{
    if (v->kernel) {
        return v->pending.filled || v->owed ? hvc_kernel_settle(v) : 0;
    }
    if (v->pending.filled) {
        hvc_riscv64_settle(v);
    }
    return 0;
}

/* Fill v->exit from v->event with this reason; returns HVC_FLOW_EXIT. */
int hvc_exit_event(hvcore_vcpu *v, uint32_t reason);

/* May the owner look at the state now? 0 or -HVCORE_E_BUSY. */
int hvc_vcpu_look(hvcore_vcpu *v);

/* ---- interrupts (irq.c) ---------------------------------------------------------------------- */

/* Change lines: first `clear`, then `set`; the vCPU is told. Any thread, signal-safe. */
void hvc_line_change(hvcore_vcpu *v, uint32_t clear, uint32_t set);
/* Bring hvip up to date, and serve HVC_REQ_IRQ. Owner, not inside enter(). 0 or an error. */
int hvc_line_serve(hvcore_vcpu *v);
/* The owner writes *value to hvip: that is its own part from now on; the lines' is added. */
int hvc_line_set_hvip(hvcore_vcpu *v, uint64_t *value);
/*
 * Interrupts that are pending and enabled, as bits of vsie; *ticks: when the timer will be among
 * them, UINT64_MAX never. Owner, not inside enter(). 0 or an error.
 */
int hvc_line_pending(hvcore_vcpu *v, uint64_t *set, uint64_t *ticks);
/* The level that the interrupt controller gives a new vCPU; vm->irq_lock is held. */
void hvc_irqchip_join(hvcore_vm *vm, hvcore_vcpu *v);

#endif
