/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse: supervisor software events of a riscv64 guest, the part that one hart needs (RISC-V SBI 3.0,
 * chapter "SSE"; local events; freestanding and pure). An event interrupts the guest anywhere, with
 * interrupts closed too.
 *
 *               register               enable             dispatch
 *     UNUSED ------------> REGISTERED ----------> ENABLED ---------> RUNNING
 *        ^                 |   ^  ^               |    ^                |
 *        '---- unregister -'   |  '--- disable ---'    '--- complete ---|
 *                              '--------- complete, if one-shot --------'
 *
 * Priority is 32 bits, lower is more urgent, ties go to the lower number; what is more urgent
 * always interrupts, so handlers nest as deep as there are events. For each entry of the guest:
 * hvcore_sse_deliver(). The guest is one without hypervisor extension: SPV and SPVP stay 0.
 */
#ifndef HVCORE_FIRMWARE_SSE_H
#define HVCORE_FIRMWARE_SSE_H

#include <hvcore/firmware/sbi.h>

HVCORE_BEGIN

/** Functions (a6). */
enum hvcore_sse_fn {
    HVCORE_SSE_READ_ATTRS = 0,  /**< event, base, count, address low, high */
    HVCORE_SSE_WRITE_ATTRS = 1, /**< event, base, count, address low, high */
    HVCORE_SSE_REGISTER = 2,    /**< event, entry, argument */
    HVCORE_SSE_UNREGISTER = 3,  /**< event */
    HVCORE_SSE_ENABLE = 4,      /**< event */
    HVCORE_SSE_DISABLE = 5,     /**< event */
    HVCORE_SSE_COMPLETE = 6,
    HVCORE_SSE_INJECT = 7, /**< event, hart */
    HVCORE_SSE_HART_UNMASK = 8,
    HVCORE_SSE_HART_MASK = 9,
    HVCORE_SSE_FNS = 10
};

/** Error values (a0): those of SBI (firmware/sbi.h). */
enum hvcore_sse_error {
    HVCORE_SSE_SUCCESS = HVCORE_SBI_SUCCESS,
    HVCORE_SSE_NOT_SUPPORTED = HVCORE_SBI_ERR_NOT_SUPPORTED,
    HVCORE_SSE_INVALID_PARAM = HVCORE_SBI_ERR_INVALID_PARAM,
    HVCORE_SSE_INVALID_ADDRESS = HVCORE_SBI_ERR_INVALID_ADDRESS,
    HVCORE_SSE_ALREADY_STARTED = HVCORE_SBI_ERR_ALREADY_STARTED,
    HVCORE_SSE_ALREADY_STOPPED = HVCORE_SBI_ERR_ALREADY_STOPPED,
    HVCORE_SSE_INVALID_STATE = HVCORE_SBI_ERR_INVALID_STATE,
    HVCORE_SSE_BAD_RANGE = HVCORE_SBI_ERR_BAD_RANGE
};

/** Numbers. */
enum hvcore_sse_limits { HVCORE_SSE_EVENTS_MAX = 8, HVCORE_SSE_STATE_VERSION = 1 };

#ifndef HVCORE_CDEF
/** The event that software sends itself. */
#define HVCORE_SSE_SOFTWARE_EVENT UINT32_C(0xffff0000)
#endif

/** States of an event. */
enum hvcore_sse_event_state {
    HVCORE_SSE_UNUSED = 0,
    HVCORE_SSE_REGISTERED = 1,
    HVCORE_SSE_ENABLED = 2,
    HVCORE_SSE_RUNNING = 3
};

/** Attributes, positions in hvcore_sse_event.attrs. */
enum hvcore_sse_attr {
    HVCORE_SSE_ATTR_STATUS = 0, /**< bits 1:0 state, 2 pending, 3 INJECT is allowed */
    HVCORE_SSE_ATTR_PRIORITY = 1,
    HVCORE_SSE_ATTR_CONFIG = 2, /**< bit 0: one-shot */
    HVCORE_SSE_ATTR_PREFERRED_HART = 3,
    HVCORE_SSE_ATTR_ENTRY_PC = 4,
    HVCORE_SSE_ATTR_ENTRY_ARG = 5,
    HVCORE_SSE_ATTR_SEPC = 6,
    HVCORE_SSE_ATTR_FLAGS = 7, /**< HVCORE_SSE_FLAG_* */
    HVCORE_SSE_ATTR_A6 = 8,
    HVCORE_SSE_ATTR_A7 = 9,
    HVCORE_SSE_ATTRS = 10
};

/** Bits of STATUS above the state. */
enum hvcore_sse_status_bit { HVCORE_SSE_IS_PENDING = 4, HVCORE_SSE_INJECTABLE = 8 };

/** Bits of FLAGS. */
enum hvcore_sse_flag {
    HVCORE_SSE_FLAG_SPP = 1,
    HVCORE_SSE_FLAG_SPIE = 2,
    HVCORE_SSE_FLAG_SPELP = 16, /**< with HVCORE_SSE_HAS_ZICFILP */
    HVCORE_SSE_FLAG_SDT = 32    /**< with HVCORE_SSE_HAS_SSDBLTRP */
};

/** What the guest's hart has. */
enum hvcore_sse_feature {
    HVCORE_SSE_HAS_ZICFILP = 1,
    HVCORE_SSE_HAS_SSDBLTRP = 2, /**< and the guest may switch it on: henvcfg.DTE is set */
    HVCORE_SSE_FEATURES_ALL = 3
};

/** The registers that hvcore_sse_deliver() and COMPLETE read, as a set. */
enum hvcore_sse_regs {
    HVCORE_SSE_NEEDS = 1 << HVCORE_RISCV64_SYS_vsstatus | 1 << HVCORE_RISCV64_SYS_vsepc
};

/** One event. */
typedef struct hvcore_sse_event {
    uint32_t id;
    uint32_t reserved;
    uint64_t attrs[HVCORE_SSE_ATTRS];
} hvcore_sse_event;

/** State of one hart. Flat; it migrates as it is. */
typedef struct hvcore_sse_state {
    uint32_t size;
    uint32_t version; /**< HVCORE_SSE_STATE_VERSION */
    uint32_t features;
    uint32_t masked;
    uint32_t count; /**< events, in the order of their numbers */
    uint32_t reserved;
    uint64_t hart;
    hvcore_sse_event events[HVCORE_SSE_EVENTS_MAX];
    uint64_t dispatched;
    uint64_t completed;
} hvcore_sse_state;

/** What a call comes to. */
enum hvcore_sse_verdict {
    HVCORE_SSE_ANSWER = 0, /**< a0 = error, a1 = value; the call is over */
    HVCORE_SSE_RESUMED =
        1, /**< a handler is over: frame and sys hold what goes on now, a0 and pc too;
                                     `event` was it */
    HVCORE_SSE_READ_GUEST = 2, /**< read 8 * count bytes at guest-physical `addr`, then answer with
                                     hvcore_sse_write_attrs(event, base, count, values); if they are
                                     no memory, with INVALID_ADDRESS */
    HVCORE_SSE_WRITE_GUEST =
        3,               /**< write values[0..count-1], 8 bytes little-endian each, at `addr`,
                                     then answer with (error, value); or INVALID_ADDRESS */
    HVCORE_SSE_SEND = 4, /**< hvcore_sse_raise(event) on the vCPU with hart number `addr`, on its
                                     own thread; then answer with (error, value), or INVALID_PARAM
                                     if there is none such */
    HVCORE_SSE_NEED_REGS = 5 /**< load the registers in `addr`, call again; nothing has changed */
};

/** The answer to a call; fields that the verdict does not name are zero. */
typedef struct hvcore_sse_reply {
    uint32_t verdict; /**< HVCORE_SSE_ANSWER and so on */
    uint32_t event;   /**< RESUMED, READ_GUEST, SEND */
    uint32_t base;    /**< READ_GUEST */
    uint32_t count;   /**< READ_GUEST, WRITE_GUEST: 1 to 10 */
    int64_t error;    /**< ANSWER, WRITE_GUEST, SEND */
    uint64_t value;   /**< ANSWER, WRITE_GUEST, SEND */
    uint64_t addr; /**< READ_GUEST, WRITE_GUEST (a multiple of 8, does not wrap), SEND, NEED_REGS */
    uint64_t values[HVCORE_SSE_ATTRS]; /**< WRITE_GUEST */
} hvcore_sse_reply;

/**
 * Begin, or begin again after a hart has stopped: masked, nothing registered. `ids`: the numbers of
 * `n` local events (bit 15 is 0), all different, at most HVCORE_SSE_EVENTS_MAX. Bit i of
 * `injectable`: the guest may INJECT ids[i]. `features`: HVCORE_SSE_HAS_*.
 *
 * Returns 0, or -HVCORE_E_INVAL; then the state is not touched.
 *
 * Thread: owner (pure). Errors: INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_sse_init(hvcore_sse_state *state, uint64_t hart, const uint32_t *ids,
                               uint32_t n, uint32_t injectable, uint32_t features);

/**
 * Is this a state that hvcore_sse_init() and the functions below can have left? To be asked of one
 * that came from outside; the others take it for granted. Returns 0, or -HVCORE_E_INVAL.
 *
 * Thread: any (pure). Errors: INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_sse_validate(const hvcore_sse_state *state);

/**
 * A call of the guest: function a6, arguments a0 to a4. Total: what there is not answers
 * NOT_SUPPORTED, an event that is not here INVALID_PARAM. Event and attribute numbers and counts
 * are 32 bits wide.
 *
 * Only COMPLETE touches frame and sys: pc, sstatus.SPP, SPELP, hstatus.SPVP and a6, a7 of the
 * frame; vsstatus and vsepc, marked in `have` and `dirty`. Where it goes on is what vsepc and
 * vsstatus.SPP, SPIE say now; what stands in them afterwards is what the attributes say.
 *
 * Thread: owner (pure). Errors: none (a value). Since: 0.1.
 */
HVCORE_API void hvcore_sse_call(hvcore_sse_state *state, uint64_t fn, const uint64_t arg[5],
                                hvcore_riscv64_frame *frame, hvcore_riscv64_sys *sys,
                                hvcore_sse_reply *reply);

/**
 * The second half of WRITE_ATTRS: `count` values for the attributes from `base`. All or none.
 *
 * Returns the error for a0: BAD_RANGE (no such attribute, or read-only), INVALID_STATE (PRIORITY
 * and CONFIG want UNUSED or REGISTERED; SEPC, FLAGS, A6 and A7 want RUNNING), INVALID_PARAM (event,
 * count, a bit that is not there, an odd SEPC).
 *
 * Thread: owner (pure). Errors: none (a value). Since: 0.1.
 */
HVCORE_API int64_t hvcore_sse_write_attrs(hvcore_sse_state *state, uint32_t id, uint32_t base,
                                          uint32_t count, const uint64_t *values);

/**
 * The event has happened. Becomes pending if it is ENABLED or RUNNING, is lost otherwise
 * (-E_STATE).
 *
 * Returns 0, -HVCORE_E_STATE or -HVCORE_E_NOTFOUND.
 *
 * Thread: owner (pure). Errors: STATE, NOTFOUND. Since: 0.1.
 */
HVCORE_API int hvcore_sse_raise(hvcore_sse_state *state, uint32_t id);

/**
 * The event has not happened after all: it is not pending any more. Returns 0, or
 * -HVCORE_E_NOTFOUND.
 *
 * Thread: owner (pure). Errors: NOTFOUND. Since: 0.1.
 */
HVCORE_API int hvcore_sse_cancel(hvcore_sse_state *state, uint32_t id);

/**
 * The guest is about to run: dispatch the most urgent event that is ENABLED and pending, if the
 * hart is not masked and no handler runs that is as urgent. Its attributes take vsepc,
 * vsstatus.SPP, SPIE (and SPELP, SDT) and a6, a7; then a6 = hart, a7 = argument, vsepc =
 * interrupted pc, vsstatus as after a trap from the interrupted mode, pc = entry, in VS-mode.
 *
 * Answers: DONE, arg 1 and the number in addr if one was dispatched, else arg 0; NEED_REGS(those of
 * HVCORE_SSE_NEEDS that `have` lacks), nothing is touched. Call it once an entry; a second call may
 * dispatch a more urgent event on top.
 *
 * Thread: owner (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_result hvcore_sse_deliver(hvcore_sse_state *state, hvcore_riscv64_frame *frame,
                                            hvcore_riscv64_sys *sys);

/**
 * How an event stands, as facts for the gate of apf.h: EV_REGISTERED, EV_ENABLED, EV_MASKED (the
 * hart), EV_BLOCKED (a handler runs that is as urgent, its own included). No such event: 0.
 *
 * Thread: owner (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_sse_facts(const hvcore_sse_state *state, uint32_t id);

HVCORE_END
#endif
