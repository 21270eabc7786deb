/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sdei: software delegated exceptions of an arm64 guest, the part that one processor needs
 * (DEN0054, version 1.0; private events; freestanding and pure). An event interrupts the guest
 * anywhere, with interrupts closed too, and leaves ELR_EL1 and SPSR_EL1 alone.
 *
 *                     register          enable            dispatch
 *     unregistered ------------> R ------------> R+E ---------------> R+E+U     R registered
 *          ^                     |  <-----------  ^                     |       E enabled
 *          |     unregister      |    disable     '---- complete -------'       U running (handler)
 *          '---------------------'
 *
 * An event that is triggered becomes pending if it is registered, and is dispatched when it is
 * enabled and not running, the processor is not masked, and its priority allows: a critical event
 * interrupts a normal one, nothing else interrupts anything. So handlers nest two deep at most.
 *
 * For each entry of the guest: hvcore_sdei_deliver(). Everything that could make an event
 * deliverable happens before (a call of the guest, hvcore_sdei_raise), so no other moment counts.
 */
#ifndef HVCORE_FIRMWARE_SDEI_H
#define HVCORE_FIRMWARE_SDEI_H

#include <hvcore/arm64.h>

HVCORE_BEGIN

/** Functions: bits 4:0 of the function identifier 0xC4000020 + n. */
enum hvcore_sdei_fn {
    HVCORE_SDEI_VERSION = 0x00,
    HVCORE_SDEI_EVENT_REGISTER = 0x01,            /**< event, entry, argument, flags, mpidr */
    HVCORE_SDEI_EVENT_ENABLE = 0x02,              /**< event */
    HVCORE_SDEI_EVENT_DISABLE = 0x03,             /**< event */
    HVCORE_SDEI_EVENT_CONTEXT = 0x04,             /**< index */
    HVCORE_SDEI_EVENT_COMPLETE = 0x05,            /**< 0 handled, else failed */
    HVCORE_SDEI_EVENT_COMPLETE_AND_RESUME = 0x06, /**< pc */
    HVCORE_SDEI_EVENT_UNREGISTER = 0x07,          /**< event */
    HVCORE_SDEI_EVENT_STATUS = 0x08,              /**< event */
    HVCORE_SDEI_EVENT_GET_INFO = 0x09,            /**< event, 0 type 1 signalable 2 priority */
    HVCORE_SDEI_EVENT_ROUTING_SET = 0x0a,
    HVCORE_SDEI_PE_MASK = 0x0b,
    HVCORE_SDEI_PE_UNMASK = 0x0c,
    HVCORE_SDEI_INTERRUPT_BIND = 0x0d,
    HVCORE_SDEI_INTERRUPT_RELEASE = 0x0e,
    HVCORE_SDEI_EVENT_SIGNAL = 0x0f, /**< event, mpidr */
    HVCORE_SDEI_FEATURES = 0x10,
    HVCORE_SDEI_PRIVATE_RESET = 0x11,
    HVCORE_SDEI_SHARED_RESET = 0x12,
    HVCORE_SDEI_FNS = 0x13
};

/** Error values (x0). */
enum hvcore_sdei_error {
    HVCORE_SDEI_SUCCESS = 0,
    HVCORE_SDEI_NOT_SUPPORTED = -1,
    HVCORE_SDEI_INVALID = -2,
    HVCORE_SDEI_DENIED = -3,
    HVCORE_SDEI_PENDING = -5,
    HVCORE_SDEI_OUT_OF_RESOURCE = -10
};

/** Numbers. */
enum hvcore_sdei_limits {
    HVCORE_SDEI_EVENTS_MAX = 8,
    HVCORE_SDEI_DEPTH_MAX = 2,
    HVCORE_SDEI_CONTEXT = 18, /**< registers that the dispatcher keeps: x0 to x17 */
    HVCORE_SDEI_STATE_VERSION = 1
};

/** Properties of an event. */
enum hvcore_sdei_property {
    HVCORE_SDEI_CRITICAL = 1,  /**< else normal */
    HVCORE_SDEI_SIGNALABLE = 2 /**< by EVENT_SIGNAL; event 0 alone, by the specification */
};

/** Where an event is. Bits 0 to 2 are what EVENT_STATUS answers. */
enum hvcore_sdei_event_state {
    HVCORE_SDEI_REGISTERED = 1,
    HVCORE_SDEI_ENABLED = 2,
    HVCORE_SDEI_RUNNING = 4,
    HVCORE_SDEI_IS_PENDING = 8
};

/** What the guest's processor has, for the PSTATE that a handler begins with. Without any it is
 * 0x3c5:
 *  EL1h, DAIF set. */
enum hvcore_sdei_feature {
    HVCORE_SDEI_HAS_PAN = 1,  /**< set, unless SCTLR_EL1.SPAN; then as it was */
    HVCORE_SDEI_HAS_DIT = 2,  /**< as it was */
    HVCORE_SDEI_HAS_SSBS = 4, /**< SCTLR_EL1.DSSBS */
    HVCORE_SDEI_HAS_MTE = 8,  /**< TCO is set */
    HVCORE_SDEI_HAS_NMI = 16, /**< ALLINT is set, unless SCTLR_EL1.SPINTMASK */
    HVCORE_SDEI_FEATURES_ALL = 31
};

/** One event. */
typedef struct hvcore_sdei_event {
    uint32_t number;
    uint32_t properties; /**< HVCORE_SDEI_CRITICAL, HVCORE_SDEI_SIGNALABLE */
    uint32_t state;      /**< HVCORE_SDEI_REGISTERED and so on */
    uint32_t reserved;
    uint64_t entry;
    uint64_t argument;
} hvcore_sdei_event;

/** What a handler interrupted. */
typedef struct hvcore_sdei_context {
    uint32_t event; /**< position in hvcore_sdei_state.events */
    uint32_t reserved;
    uint64_t x[HVCORE_SDEI_CONTEXT];
    uint64_t pc;
    uint64_t pstate;
} hvcore_sdei_context;

/** State of one processor. Flat; it migrates as it is. */
typedef struct hvcore_sdei_state {
    uint32_t size;
    uint32_t version; /**< HVCORE_SDEI_STATE_VERSION */
    uint32_t features;
    uint32_t masked;
    uint32_t count; /**< events, in the order of their numbers */
    uint32_t depth; /**< handlers that run */
    hvcore_sdei_event events[HVCORE_SDEI_EVENTS_MAX];
    hvcore_sdei_context stack[HVCORE_SDEI_DEPTH_MAX];
    uint64_t dispatched;
    uint64_t completed;
} hvcore_sdei_state;

/** What a call comes to. */
enum hvcore_sdei_verdict {
    HVCORE_SDEI_ANSWER = 0,  /**< x0 = value; the call is over */
    HVCORE_SDEI_RESUMED = 1, /**< a handler is over: frame and sys hold what goes on now, x0 too;
                                    `event` was it, and `failed` what the handler said */
    HVCORE_SDEI_SIGNAL =
        2, /**< hvcore_sdei_raise(event) on the vCPU whose MPIDR is `addr`, on its own
                                    thread; then x0 = value, or INVALID if there is none such */
    HVCORE_SDEI_NEED_REGS = 3 /**< load the registers in `addr`, call again; nothing has changed */
};

/** The answer to a call; fields that the verdict does not name are zero. */
typedef struct hvcore_sdei_reply {
    uint32_t verdict; /**< HVCORE_SDEI_ANSWER and so on */
    uint32_t event;   /**< RESUMED, SIGNAL: its number */
    uint32_t failed;  /**< RESUMED: 1 if the handler said so */
    uint32_t reserved;
    uint64_t value; /**< ANSWER, SIGNAL */
    uint64_t addr;  /**< SIGNAL, NEED_REGS */
} hvcore_sdei_reply;

#ifndef HVCORE_CDEF
/**
 * Begin, or begin again after a reset or CPU_ON: masked, nothing registered. `events`: numbers and
 * properties of `n` events, all numbers different (at most HVCORE_SDEI_EVENTS_MAX; bit 31 and bits
 * 29:24 of a number are 0); other fields do not count. `features`: HVCORE_SDEI_HAS_*.
 *
 * Returns 0, or -HVCORE_E_INVAL; then the state is not touched.
 *
 * Thread: owner (pure). Errors: INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_sdei_init(hvcore_sdei_state *state, const hvcore_sdei_event *events,
                                uint32_t n, uint32_t features);

/**
 * Is this a state that hvcore_sdei_init() and the functions below can have left? To be asked of one
 * that came from outside, a migration stream say; the others take it for granted. Returns 0, or
 * -HVCORE_E_INVAL.
 *
 * Thread: any (pure). Errors: INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_sdei_validate(const hvcore_sdei_state *state);

/**
 * A call of the guest: function HVCORE_SDEI_*, arguments x1 to x5. Total: what there is not answers
 * NOT_SUPPORTED. Event numbers are the low 32 bits of their argument.
 *
 * Only EVENT_COMPLETE and EVENT_COMPLETE_AND_RESUME touch frame and sys. The first restores x0 to
 * x17, pc and spsr; the second also writes ELR_EL1 and SPSR_EL1 (marked in `have` and `dirty`) so
 * that the guest sees an exception taken to `pc` from what was interrupted. Nothing but these calls
 * a loop of more than HVCORE_SDEI_EVENTS_MAX steps.
 *
 * frame->pc is behind the call already. Whoever single-steps: hvcore_step_advance() after RESUMED.
 *
 * Thread: owner (pure). Errors: none (a value). Since: 0.1.
 */
HVCORE_API void hvcore_sdei_call(hvcore_sdei_state *state, uint32_t fn, const uint64_t arg[5],
                                 hvcore_arm64_frame *frame, hvcore_arm64_sys *sys,
                                 hvcore_sdei_reply *reply);

/**
 * The event has happened. Becomes pending if it is registered, is lost if not. Returns 0, or
 * -HVCORE_E_NOTFOUND: no such event here.
 *
 * Thread: owner (pure). Errors: NOTFOUND. Since: 0.1.
 */
HVCORE_API int hvcore_sdei_raise(hvcore_sdei_state *state, uint32_t number);

/**
 * The event has not happened after all: it is not pending any more. Returns 0, or
 * -HVCORE_E_NOTFOUND.
 *
 * Thread: owner (pure). Errors: NOTFOUND. Since: 0.1.
 */
HVCORE_API int hvcore_sdei_cancel(hvcore_sdei_state *state, uint32_t number);

/**
 * The guest is about to run: dispatch the pending event that goes first, if there is one that may.
 * Critical before normal, then the lowest number. Interrupted x0 to x17, pc and spsr are kept; x0 =
 * number, x1 = argument, x2 = interrupted pc, x3 = interrupted PSTATE, pc = entry, spsr = PSTATE of
 * an exception entry to EL1h. Everything else keeps its value, x4 to x30, ELR_EL1 and SPSR_EL1 too.
 *
 * Answers: DONE, arg 1 and the number in addr if one was dispatched, else arg 0; or
 * NEED_REGS(sctlr_el1), which the features PAN, SSBS and NMI read: then nothing is touched. Call it
 * once an entry; a second call may dispatch a critical event on top.
 *
 * Thread: owner (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_result hvcore_sdei_deliver(hvcore_sdei_state *state, hvcore_arm64_frame *frame,
                                             hvcore_arm64_sys *sys);

/**
 * How an event stands, as facts for the gate of apf.h: EV_REGISTERED, EV_ENABLED, EV_MASKED (the
 * processor), EV_BLOCKED (a handler runs that it may not interrupt, its own included). No such
 * event: 0.
 *
 * Thread: owner (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_sdei_facts(const hvcore_sdei_state *state, uint32_t number);
#endif

HVCORE_END
#endif
