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
    HVC_PENDING_STEP = 4   /* nothing but the step is owed */
} hvc_pending_kind;

typedef struct hvc_pending {
    uint8_t kind;      /* hvc_pending_kind */
    uint8_t needs;     /* 1: the VMM has to fill it before the next run */
    uint8_t filled;    /* 1: settle it at the next look or run */
    uint8_t sign;      /* LOAD: sign-extend */
    uint8_t reg;       /* LOAD: destination, STORE: source */
    uint8_t width;     /* LOAD, STORE: bytes */
    uint8_t step;      /* bytes that pc advances */
    uint64_t gpa;      /* LOAD, STORE */
    uint64_t value[2]; /* STORE: the data; LOAD, CALL: the answer */
} hvc_pending;

/* What is to be done after the vCPU has left GUEST, before it enters again. */
typedef enum hvc_outside {
    HVC_OUTSIDE_NONE = 0,
    HVC_OUTSIDE_MMIO = 1,    /* call the range's callback */
    HVC_OUTSIDE_CONSOLE = 2, /* write console bytes */
    HVC_OUTSIDE_STOP = 3     /* stop the VM */
} hvc_outside;

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
    hvcore_bk_vcpu *bk;
    hvcore_bk_riscv64 cpu; /* riscv64: frame and system registers of the backend */
    hvc_program *program;  /* changed only while this vCPU is held */

    _Atomic uint32_t word;    /* rendezvous.h */
    _Atomic uint32_t running; /* hvc_running */
    _Atomic uint64_t cancel;  /* 1 << 32 | token: a cancel is pending */

    hvc_pending pending;
    hvc_outside outside;
    hvc_mmio mmio;         /* OUTSIDE_MMIO: the range, copied */
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
enum hvc_flow { HVC_FLOW_ON = 0, HVC_FLOW_OUTSIDE = 1, HVC_FLOW_EXIT = 2 };

/* Handle v->event, a trap. */
int hvc_riscv64_trap(hvcore_vcpu *v);
/* Carry out v->pending, which is filled. */
void hvc_riscv64_settle(hvcore_vcpu *v);
/* Deliver an exception in place of the current instruction. */
int hvc_riscv64_inject(hvcore_vcpu *v, uint64_t cause, uint64_t tval, hvcore_error *err);

/* Settle a filled pending record (a look at the state, or the next run). */
static inline void hvc_settle(hvcore_vcpu *v)
{
    if (v->pending.filled) {
        hvc_riscv64_settle(v);
    }
}

/* Fill v->exit from v->event with this reason; returns HVC_FLOW_EXIT. */
int hvc_exit_event(hvcore_vcpu *v, uint32_t reason);

/* May the owner look at the state now? 0 or -HVCORE_E_BUSY. */
int hvc_vcpu_look(hvcore_vcpu *v);

#endif
