/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apf: asynchronous page faults. A guest that touches a page which the host does not have yet is
 * told so and may run another task meanwhile (freestanding and pure).
 *
 *     FREE --fault--> QUEUED --enter--> NOTIFIED --page_done--> COMPLETED --guest consumes--> FREE
 *                       |                  |                       |
 *                       | page_done,       | declined, then        | held back while the handler of
 *                       v withdraw: FREE   v page_done: FREE       v its own not-present still runs
 *
 * Five parts: the layout of the area that guest and host share, the token, the gate (may this fault
 * be made asynchronous?), the machine of one vCPU, and the calls of the guest. Nothing here reads
 * or writes guest memory, raises an interrupt or starts a job: each function fills a list of at
 * most HVCORE_APF_REQUESTS_MAX requests, which the caller carries out in their order before it does
 * anything else with this vCPU. Everything happens on the vCPU's own thread: a pager that has
 * finished a page sends (vCPU, token) there, and the loop before guest entry drains these messages.
 *
 * What the guest writes is a hint: two words, read once each, range-checked. The host keeps its own
 * copy of all that it has written and never reads it back.
 */
#ifndef HVCORE_FIXUP_APF_H
#define HVCORE_FIXUP_APF_H

#include <hvcore/types.h>

HVCORE_BEGIN

/** Numbers. */
enum hvcore_apf_limits {
    HVCORE_APF_STRIDE_MIN = 64,
    HVCORE_APF_STRIDE_MAX = 2048,
    HVCORE_APF_SLOTS_MAX = 254,
    HVCORE_APF_SLOTS_DEFAULT = 64,
    HVCORE_APF_RING_MAX = 256,
    HVCORE_APF_PAGE = 4096,      /**< pages that tokens stand for, and the alignment of the area */
    HVCORE_APF_REQUESTS_MAX = 4, /**< requests that one call can make */
    HVCORE_APF_WRITE_MAX = 40,   /**< bytes of one WRITE */
    HVCORE_APF_STATE_VERSION = 1,
    HVCORE_APF_MAGIC = 0x46504148,     /**< 'HAPF', first word of the area */
    HVCORE_APF_ABI_VERSION = 0x10000,  /**< major in bits 31:16, minor in 15:0 */
    HVCORE_APF_SDEI_EVENT = 0x40400001 /**< the usual number of the SDEI event */
};

#ifndef HVCORE_CDEF
/** The usual number of the SSE event: platform-specific, local. */
#define HVCORE_APF_SSE_EVENT UINT32_C(0xffff4150)
#endif

/** How a not-present reaches the guest. */
enum hvcore_apf_mode {
    HVCORE_APF_MODE_OFF = 0,  /**< not at all */
    HVCORE_APF_MODE_SDEI = 1, /**< as an SDEI event (arm64) */
    HVCORE_APF_MODE_SSE = 2,  /**< as an SBI supervisor software event (riscv64) */
    HVCORE_APF_MODE_IRQ = 3 /**< as an interrupt, its entry emulated at the faulting instruction */
};

/* --- the area --------------------------------------------------------------------------------- */

/**
 * Where things are in an area, in bytes from its beginning. All words are little-endian.
 *
 *     h0, the host writes:   +0 u32 magic, +4 u16 minor, +6 u16 major, +8 u32 log2(stride),
 *                            +12 u32 nslots, +16 u32 np_state (0 idle, 1 valid), +20 u32 np_token,
 *                            +24 u64 np_ipa, +32 u32 np_seq, +36 u32 np_flags
 *     h1, the host writes:   +0 u32 prod (free-running), +4 u32 cap, +8 u32 broadcast generation
 *     ring, the host writes: u32 token[cap]
 *     g0, the guest writes:  +0 u32 cons, +4 u32 flags (bit 0: inhibit)
 *
 * No word that the host writes shares `stride` aligned bytes with a word that the guest writes.
 */
typedef struct hvcore_apf_layout {
    uint32_t h0;
    uint32_t h1;
    uint32_t ring;
    uint32_t g0;
    uint32_t cap;  /**< entries of the ring: a power of two, nslots or more */
    uint32_t size; /**< of the area */
    uint32_t align;
    uint32_t reserved;
} hvcore_apf_layout;

/** Offsets in h0, h1 and g0. */
enum hvcore_apf_offset {
    HVCORE_APF_H0_NP_STATE = 16,
    HVCORE_APF_H0_NP_TOKEN = 20,
    HVCORE_APF_H1_PROD = 0,
    HVCORE_APF_H1_CAP = 4,
    HVCORE_APF_H1_BROADCAST = 8,
    HVCORE_APF_G0_CONS = 0,
    HVCORE_APF_G0_FLAGS = 4
};

/** A token taken apart. */
typedef struct hvcore_apf_token {
    uint32_t epoch; /**< 0 to 255 */
    uint32_t seq;   /**< 0 to 65535 */
    uint32_t slot;  /**< 0 to 253; ~0 if the value was no token */
} hvcore_apf_token;

#ifndef HVCORE_CDEF
/**
 * The distance, in bytes, that words of the host and words of the guest keep: the maximum over the
 * `n` processors that the guest may ever run on, hosts that it may migrate to included. `values`
 * are CTR_EL0 (HVCORE_ARCH_ARM64), sizes of a cache block with 0 for "unknown" (RISCV64: the device
 * tree's riscv,cbom-block-size) or of a CLFLUSH line (X86_64). Without values 64.
 *
 * A power of two from HVCORE_APF_STRIDE_MIN to _MAX. A VM constant: it is saved with the guest. On
 * arm64 CWG counts beside DminLine, which alone is the smallest line; not provided means 2048.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_apf_stride_negotiate(uint32_t arch, const uint64_t *values, size_t n);

/**
 * The layout for a stride (a power of two, 64 to 2048) and 1 to 254 slots.
 *
 * Returns 0, or -HVCORE_E_INVAL; then the layout is not touched.
 *
 * Thread: any (pure). Errors: INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_apf_layout_make(uint32_t stride, uint32_t nslots, hvcore_apf_layout *layout);

/**
 * The token of a slot: epoch in bits 31:24, seq in 23:8, slot + 1 in 7:0. Never 0 or ~0 for a slot
 * below 254. Higher bits of epoch and seq do not count.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_apf_token_make(uint32_t epoch, uint32_t seq, uint32_t slot);

/**
 * A token taken apart. Total; `slot` is ~0 (or 254) where no slot can be meant.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_apf_token hvcore_apf_token_split(uint32_t token);
#endif

/* --- the gate --------------------------------------------------------------------------------- */

/** What becomes of a fault. */
enum hvcore_apf_decision {
    HVCORE_APF_BLOCK =
        0, /**< wait for the page; only the page, a pause or the end of the VM ends it */
    HVCORE_APF_HALT =
        1, /**< park as if in WFI at the faulting instruction: the page, or anything that
                               the guest can take, ends it */
    HVCORE_APF_ASYNC = 2 /**< tell the guest and let it run on */
};

/** Why: the first row of the gate that applies, in this order. Also positions in counters. */
enum hvcore_apf_reason {
    HVCORE_APF_OK = 0,          /**< none applies: ASYNC */
    HVCORE_APF_PAGER_SYNC = 1,  /**< the pager cannot work in the background: BLOCK */
    HVCORE_APF_HOST_ACCESS = 2, /**< host code is in the middle of something: BLOCK */
    HVCORE_APF_DISABLED = 3,    /**< mode off, or not enabled */
    HVCORE_APF_AREA = 4,        /**< the area was revoked */
    HVCORE_APF_SELF = 5,        /**< the page belongs to an area */
    HVCORE_APF_DUP = 6,         /**< the page has a live token on this vCPU */
    HVCORE_APF_NOTOKEN = 7,     /**< no free slot, or the VM's budget is spent */
    HVCORE_APF_NPBUSY = 8,      /**< a not-present is queued, or its handler runs */
    HVCORE_APF_NESTED = 9,      /**< a nested guest runs and the guest has not opted in */
    HVCORE_APF_MMUOFF = 10,
    HVCORE_APF_KERNEL = 11,  /**< privileged, and the guest has not asked for that */
    HVCORE_APF_GATE = 12,    /**< the guest's select and compare masks */
    HVCORE_APF_INHIBIT = 13, /**< the guest's hint in the area */
    HVCORE_APF_PENDEXC = 14, /**< an exception is queued for injection: BLOCK */
    HVCORE_APF_STEP = 15,    /**< the host single-steps: BLOCK */
    HVCORE_APF_EVTOFF = 16,  /**< the event is not registered or not enabled */
    HVCORE_APF_EVTMASK = 17, /**< the processor is masked */
    HVCORE_APF_EVTBUSY = 18, /**< a handler runs that it may not interrupt */
    HVCORE_APF_IRQMASK = 19, /**< the guest has interrupts closed */
    HVCORE_APF_IRQPRIO = 20, /**< the line is disabled, or its priority is too low */
    HVCORE_APF_REASONS = 21
};

/** Facts about a fault, a bit set. What is not said is taken as the bad case, except for
 *  those marked (-), which are bad news themselves. */
enum hvcore_apf_fact {
    HVCORE_APF_FACT_PAGER_ASYNC = 1 << 0,
    HVCORE_APF_FACT_HOST_ACCESS = 1 << 1, /**< (-) host code made the access for the guest */
    HVCORE_APF_FACT_RESTARTABLE = 1 << 2, /**< the guest's instruction can simply run again */
    HVCORE_APF_FACT_ENABLED = 1 << 3,
    HVCORE_APF_FACT_AREA_OK = 1 << 4,
    HVCORE_APF_FACT_IN_AREA = 1 << 5, /**< (-) */
    HVCORE_APF_FACT_DUP = 1 << 6,     /**< (-) */
    HVCORE_APF_FACT_TOKEN_FREE = 1 << 7,
    HVCORE_APF_FACT_NP_BUSY = 1 << 8, /**< (-) */
    HVCORE_APF_FACT_NESTED = 1 << 9,  /**< (-) */
    HVCORE_APF_FACT_NESTED_OPTIN = 1 << 10,
    HVCORE_APF_FACT_MMU_ON = 1 << 11, /**< SCTLR_EL1.M; vsatp.MODE not 0 */
    HVCORE_APF_FACT_PRIV = 1 << 12,   /**< (-) not EL0; hstatus.SPVP */
    HVCORE_APF_FACT_SEND_ALWAYS = 1 << 13,
    HVCORE_APF_FACT_INHIBIT = 1 << 14,     /**< (-) */
    HVCORE_APF_FACT_PENDING_EXC = 1 << 15, /**< (-) */
    HVCORE_APF_FACT_HOST_STEP = 1 << 16,   /**< (-) */
    HVCORE_APF_FACT_EV_REGISTERED = 1 << 17,
    HVCORE_APF_FACT_EV_ENABLED = 1 << 18,
    HVCORE_APF_FACT_EV_MASKED = 1 << 19,  /**< (-) */
    HVCORE_APF_FACT_EV_BLOCKED = 1 << 20, /**< (-) by a handler that runs */
    HVCORE_APF_FACT_IRQ_MASKED = 1 << 21, /**< (-) PSTATE.I, at EL0 too; sstatus.SIE = 0 */
    HVCORE_APF_FACT_IRQ_LINE_OK = 1 << 22
};

/** The question to the gate. */
typedef struct hvcore_apf_gate {
    uint32_t facts;  /**< HVCORE_APF_FACT_*; other bits do not count */
    uint16_t mode;   /**< HVCORE_APF_MODE_*; anything else is OFF */
    uint16_t arch;   /**< HVCORE_ARCH_*: at RISCV64 user mode always takes interrupts */
    uint64_t pstate; /**< SPSR_EL2; sstatus as the guest sees it */
    uint64_t select; /**< asynchronous only if (pstate & select) == compare */
    uint64_t compare;
} hvcore_apf_gate;

/** Its answer. */
typedef struct hvcore_apf_verdict {
    uint32_t decision; /**< HVCORE_APF_BLOCK, HALT, ASYNC */
    uint32_t reason;   /**< HVCORE_APF_OK and so on */
} hvcore_apf_verdict;

#ifndef HVCORE_CDEF
/**
 * May this fault be made asynchronous? The first row of a table of 22 that applies decides; a row
 * that does not say BLOCK says HALT, unless the host single-steps, the access cannot be restarted,
 * or the guest has interrupts closed: then BLOCK too. No state, no loop beyond the table.
 *
 * For SDEI and SSE the rows EVT* stand in place of the interrupt rows: such an event is legal with
 * interrupts closed, which is why KERNEL and GATE exist.
 *
 * Thread: any (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_apf_verdict hvcore_apf_gate_decide(const hvcore_apf_gate *gate);
#endif

/* --- requests --------------------------------------------------------------------------------- */

/** What the caller has to do. */
enum hvcore_apf_request_kind {
    HVCORE_APF_WRITE = 1,  /**< store `len` bytes at `off` of the area. 4 bytes: one atomic store
                                 with release order; more: in any order, after what stands before */
    HVCORE_APF_CHECK = 2,  /**< full barrier, one atomic 4-byte load at `off` of the area, then
                                 hvcore_apf_wants_interrupt(state, token, value): if it says so,
                                 raise the ready interrupt. In area order with the WRITE before it
                                 this makes no wake-up get lost */
    HVCORE_APF_RAISE = 3,  /**< raise the ready interrupt (an edge) */
    HVCORE_APF_JOB = 4,    /**< see to it that a job runs for the page `ipa`; if one does, join it.
                                 Its end comes back as hvcore_apf_page_done(token) if the verdict
                                 was ASYNC */
    HVCORE_APF_EVENT = 5,  /**< give the guest the not-present event, now */
    HVCORE_APF_RELEASE = 6 /**< the area is not used any more: unpin it */
};

/** One request; fields that the kind does not name are zero. */
typedef struct hvcore_apf_request {
    uint32_t kind;  /**< HVCORE_APF_WRITE and so on */
    uint32_t off;   /**< WRITE, CHECK: off + len is inside the area */
    uint32_t len;   /**< WRITE, CHECK */
    uint32_t token; /**< JOB (0: nobody waits), EVENT; CHECK: the second argument */
    uint64_t ipa;   /**< JOB: a multiple of HVCORE_APF_PAGE */
    uint8_t bytes[HVCORE_APF_WRITE_MAX]; /**< WRITE */
} hvcore_apf_request;

/** What one call asks for, in order. Functions begin it anew. */
typedef struct hvcore_apf_requests {
    uint32_t count;
    uint32_t reserved;
    hvcore_apf_request list[HVCORE_APF_REQUESTS_MAX];
} hvcore_apf_requests;

/* --- the machine of one vCPU ------------------------------------------------------------------ */

/** Abstract status of guest calls; smccc.h and sbi_apf.h give it the numbers of their worlds. */
enum hvcore_apf_status {
    HVCORE_APF_STATUS_OK = 0,
    HVCORE_APF_NOT_SUPPORTED = -1,
    HVCORE_APF_INVALID = -2,
    HVCORE_APF_DENIED = -3,
    HVCORE_APF_NOT_REQUIRED = -4 /**< it is in that state already */
};

/** Flags of ENABLE. */
enum hvcore_apf_flag {
    HVCORE_APF_FLAG_ON = 1,          /**< must be set */
    HVCORE_APF_FLAG_SEND_ALWAYS = 2, /**< privileged contexts too */
    HVCORE_APF_FLAG_NESTED = 4,      /**< nested guests too */
    HVCORE_APF_FLAGS = 7
};

/** Flags of a not-present (np_flags). */
enum hvcore_apf_np_flag {
    HVCORE_APF_NP_WRITE = 1,
    HVCORE_APF_NP_FETCH = 2,
    HVCORE_APF_NP_WALK = 4, /**< the guest's page-table walk touched the page */
    HVCORE_APF_NP_FLAGS = 7
};

/** States of a slot. */
enum hvcore_apf_slot_state {
    HVCORE_APF_FREE = 0,
    HVCORE_APF_QUEUED = 1,   /**< the guest has not seen it yet */
    HVCORE_APF_NOTIFIED = 2, /**< the guest has seen not-present */
    HVCORE_APF_COMPLETED = 3 /**< the page is there; `held`, or posted to the ring */
};

/** What hvcore_apf_page_done() did. Also positions in counters. */
enum hvcore_apf_outcome {
    HVCORE_APF_STALE = 0,     /**< no such token (any more) */
    HVCORE_APF_CANCELLED = 1, /**< the guest never saw it and just retries */
    HVCORE_APF_SILENT = 2,    /**< the guest had declined it */
    HVCORE_APF_HELD = 3,   /**< ready waits until the handler of this not-present has completed */
    HVCORE_APF_POSTED = 4, /**< the token is in the ring */
    HVCORE_APF_OUTCOMES = 5
};

/** One token. */
typedef struct hvcore_apf_slot {
    uint64_t page;    /**< guest-physical address */
    uint16_t seq;     /**< of the token that is live here, or of the next one */
    uint8_t state;    /**< HVCORE_APF_FREE and so on */
    uint8_t declined; /**< the guest's handler could not sleep */
    uint8_t held;
    uint8_t np_flags;
    uint16_t reserved;
} hvcore_apf_slot;

/** What an embedder decides. */
typedef struct hvcore_apf_config {
    uint32_t size;      /**< sizeof(hvcore_apf_config) */
    uint32_t arch;      /**< HVCORE_ARCH_ARM64, RISCV64 or X86_64 */
    uint32_t mode;      /**< HVCORE_APF_MODE_* */
    uint32_t stride;    /**< hvcore_apf_stride_negotiate() */
    uint32_t nslots;    /**< 1 to 254 */
    uint32_t np_event;  /**< number of the SDEI or SSE event; what INFO tells */
    uint32_t ready_irq; /**< the ready interrupt, type in bits 31:28; what INFO tells */
    uint32_t reserved;
} hvcore_apf_config;

/**
 * The machine of one vCPU. Flat, no pointers, no host time; the caller's storage. It does not
 * migrate as it is, because tokens do not: see hvcore_apf_save(). All of it may be read.
 */
typedef struct hvcore_apf_state {
    uint32_t size;
    uint32_t version; /**< HVCORE_APF_STATE_VERSION */
    hvcore_apf_config config;
    hvcore_apf_layout layout;
    uint64_t gpa; /**< of the area */
    uint64_t select;
    uint64_t compare;
    uint32_t enabled;
    uint32_t area_ok; /**< enabled, and not revoked since */
    uint32_t flags;   /**< HVCORE_APF_FLAG_* of the last ENABLE */
    uint32_t epoch;   /**< 0 to 255 */
    uint32_t broadcast;
    uint32_t prod;
    uint32_t hcons;       /**< how far the guest has consumed, as far as it is believed */
    uint32_t np_busy;     /**< the guest's not-present handler runs */
    uint32_t np_token;    /**< its token; 0: it died meanwhile */
    uint32_t np_pending;  /**< the QUEUED token, or 0 */
    uint32_t np_seq;      /**< not-presents given to the guest */
    uint32_t next;        /**< slot where the search for a free one begins */
    uint32_t outstanding; /**< slots that are not FREE */
    uint32_t reserved;
    uint64_t reasons[HVCORE_APF_REASONS];   /**< counts verdicts of faults */
    uint64_t outcomes[HVCORE_APF_OUTCOMES]; /**< counts */
    uint64_t withdrawn;
    uint64_t declined;
    uint64_t interrupts; /**< ready interrupts asked for */
    uint64_t bad_cons;   /**< words of the guest that were no possible value of cons */
    uint32_t ring[HVCORE_APF_RING_MAX];
    hvcore_apf_slot slots[HVCORE_APF_SLOTS_MAX];
} hvcore_apf_state;

/** What migrates. */
typedef struct hvcore_apf_saved {
    uint32_t size;    /**< sizeof(hvcore_apf_saved) */
    uint32_t version; /**< HVCORE_APF_STATE_VERSION */
    uint32_t stride;
    uint32_t nslots;
    uint32_t enabled; /**< 0 or 1 */
    uint32_t flags;
    uint32_t epoch;
    uint32_t broadcast;
    uint32_t prod;
    uint32_t np_busy; /**< 0 or 1 */
    uint32_t np_seq;
    uint32_t reserved; /**< 0 */
    uint64_t gpa;
    uint64_t select;
    uint64_t compare;
} hvcore_apf_saved;

/** What the caller knows of a fault. */
typedef struct hvcore_apf_fault_info {
    uint64_t ipa;    /**< where; the bits below HVCORE_APF_PAGE do not count */
    uint64_t pstate; /**< see hvcore_apf_gate */
    uint32_t facts;  /**< HVCORE_APF_FACT_*. The machine itself adds ENABLED, AREA_OK, DUP, NP_BUSY,
                               SEND_ALWAYS, NESTED_OPTIN; TOKEN_FREE says that the VM's budget of
                               jobs, orphans included, is not spent; IN_AREA: of another vCPU */
    uint32_t np_flags; /**< HVCORE_APF_NP_* */
    uint32_t cons;     /**< the word at g0 + CONS, read once for this call; any value if disabled */
    uint32_t guest_flags; /**< the word at g0 + FLAGS, likewise */
} hvcore_apf_fault_info;

#ifndef HVCORE_CDEF
/**
 * Begin: disabled, all slots free. Returns 0, or -HVCORE_E_INVAL (size, arch, mode, stride or slots
 * of the configuration); then the state is not touched.
 *
 * Thread: owner (pure). Errors: INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_apf_init(hvcore_apf_state *state, const hvcore_apf_config *config);

/**
 * The guest enables. `area_usable`: all `layout.size` bytes from `gpa` are writable memory of the
 * guest, are pinned now, and no byte belongs to another vCPU's area; the caller finds that out
 * first (and unpins if this does not return OK). All tokens die, a new epoch begins, and all
 * sleepers of this vCPU are woken by a new broadcast generation. The guest has zeroed the area
 * before.
 *
 * OK: WRITE h0, WRITE h1, RAISE. INVALID: flags without ON or with unknown bits, gpa not aligned or
 * too high, area not usable. NOT_REQUIRED: it is enabled (and the area has not been revoked).
 * Unless it is OK, nothing is touched.
 *
 * Thread: owner (pure). Errors: none (a status). Since: 0.1.
 */
HVCORE_API int32_t hvcore_apf_enable(hvcore_apf_state *state, uint64_t gpa, uint64_t flags,
                                     uint64_t select, uint64_t compare, uint32_t area_usable,
                                     hvcore_apf_requests *requests);

/**
 * The guest disables: all tokens die, how many says *dropped. OK: WRITE np_state = 0, RELEASE
 * (neither if the area had been revoked); from then on the area is not touched. NOT_REQUIRED: it is
 * disabled.
 *
 * Thread: owner (pure). Errors: none (a status). Since: 0.1.
 */
HVCORE_API int32_t hvcore_apf_disable(hvcore_apf_state *state, uint32_t *dropped,
                                      hvcore_apf_requests *requests);

/**
 * A stage-2 fault on a page that is not there. Believes `cons` if it can be true, frees what the
 * guest has consumed, asks the gate. JOB, unless the page has a live token here; with ASYNC a token
 * waits for that job (it is in the JOB request and in np_pending), and before the guest runs again
 * either hvcore_apf_enter() or hvcore_apf_withdraw() must be called.
 *
 * Work: at most nslots ring entries and two passes over the slots.
 *
 * Thread: owner (pure). Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_apf_verdict hvcore_apf_fault(hvcore_apf_state *state,
                                               const hvcore_apf_fault_info *info,
                                               hvcore_apf_requests *requests);

/**
 * The guest is about to run and takes the not-present event now. With a token pending: WRITE
 * np_token to np_flags, WRITE np_state = 1, EVENT. Otherwise nothing.
 *
 * Thread: owner (pure). Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_apf_enter(hvcore_apf_state *state, hvcore_apf_requests *requests);

/**
 * Something else won this guest entry (an event of higher priority, an exception, an interrupt):
 * forget the pending not-present; the instruction will fault again. Returns 1 if one was pending,
 * else 0.
 *
 * Thread: owner (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_apf_withdraw(hvcore_apf_state *state);

/**
 * The handler of the not-present has completed: SDEI EVENT_COMPLETE, SSE complete. `declined` not
 * 0: it could not put the task to sleep, so the page will come silently. OK: WRITE np_state = 0,
 * and if the page has come meanwhile, WRITE ring, WRITE prod, CHECK. DENIED: no handler runs.
 *
 * Thread: owner (pure). Errors: none (a status). Since: 0.1.
 */
HVCORE_API int32_t hvcore_apf_np_complete(hvcore_apf_state *state, uint32_t declined,
                                          hvcore_apf_requests *requests);

/**
 * The same, called by the guest with the token: in mode IRQ always, in mode SSE to decline, because
 * SBI's complete says nothing (its own completion is DENIED here then, and that is all right).
 * INVALID: not the token whose handler runs, or a disposition other than 0 (slept) and 1
 * (declined). DENIED: no handler runs.
 *
 * Thread: owner (pure). Errors: none (a status). Since: 0.1.
 */
HVCORE_API int32_t hvcore_apf_np_ack(hvcore_apf_state *state, uint64_t token, uint64_t disposition,
                                     hvcore_apf_requests *requests);

/**
 * The page of `token` is mapped in the guest's stage 2, and stays so until the guest has run.
 * Returns HVCORE_APF_STALE and so on. POSTED: WRITE ring, WRITE prod, CHECK.
 *
 * Thread: owner (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_apf_page_done(hvcore_apf_state *state, uint32_t token,
                                         hvcore_apf_requests *requests);

/**
 * The answer to a CHECK: 1 if the guest had consumed everything (cons == before), or what it wrote
 * cannot be true. Counts.
 *
 * Thread: owner (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_apf_wants_interrupt(hvcore_apf_state *state, uint32_t before,
                                               uint32_t cons);

/**
 * The guest says how far it has consumed. Frees what was posted up to there, how many says *freed.
 * DENIED: not enabled; INVALID: cons is not between what it said last and prod; nothing is freed.
 *
 * Thread: owner (pure). Errors: none (a status). Since: 0.1.
 */
HVCORE_API int32_t hvcore_apf_ack(hvcore_apf_state *state, uint32_t cons, uint32_t *freed);

/**
 * Wake all sleepers of this vCPU: WRITE the broadcast generation, RAISE. Tokens stay as they are.
 * Nothing while disabled.
 *
 * Thread: owner (pure). Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_apf_broadcast(hvcore_apf_state *state, hvcore_apf_requests *requests);

/**
 * The host takes the area away. All tokens die; faults wait from now on; the guest's DISABLE is OK
 * still, and so is a new ENABLE. `writable`: the area can be written for a last time: WRITE
 * np_state = 0 and a new broadcast generation. Then RAISE, RELEASE. Returns the tokens dropped.
 * Nothing while disabled or revoked.
 *
 * Thread: owner (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_apf_revoke(hvcore_apf_state *state, uint32_t writable,
                                      hvcore_apf_requests *requests);

/**
 * Reset, CPU_OFF, hart stop: disabled, no handler, no tokens; the number of those dropped is
 * returned. RELEASE if an area was in use; it is not written.
 *
 * Thread: owner (pure). Errors: none. Since: 0.1.
 */
HVCORE_API uint32_t hvcore_apf_reset(hvcore_apf_state *state, hvcore_apf_requests *requests);

/**
 * What migrates. The vCPU is stopped.
 *
 * Thread: owner (pure). Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_apf_save(const hvcore_apf_state *state, hvcore_apf_saved *saved);

/**
 * Go on at the destination, in a state that hvcore_apf_init() has begun; stride and slots are those
 * of the stream (one that is smaller than this host needs costs performance; compare and decide
 * first). `area_usable` as for hvcore_apf_enable(), asked after guest memory has arrived; if not,
 * the area is revoked. Enabled and usable: WRITE h0, WRITE h1 with a new broadcast generation,
 * RAISE, so that all sleepers wake up and fault again if they must.
 *
 * Returns 0, or -HVCORE_E_INVAL for a stream that no save wrote; then nothing is touched.
 *
 * Thread: owner (pure). Errors: INVAL. Since: 0.1.
 */
HVCORE_API int hvcore_apf_restore(hvcore_apf_state *state, const hvcore_apf_saved *saved,
                                  uint32_t area_usable, hvcore_apf_requests *requests);
#endif

/* --- calls of the guest ----------------------------------------------------------------------- */

/** Functions. */
enum hvcore_apf_fn {
    HVCORE_APF_FN_VERSION = 0,
    HVCORE_APF_FN_INFO = 1,      /**< selector */
    HVCORE_APF_FN_ENABLE = 2,    /**< gpa, flags, select, compare */
    HVCORE_APF_FN_DISABLE = 3,   /**< answers how many were dropped */
    HVCORE_APF_FN_ACK = 4,       /**< cons; answers how many were freed */
    HVCORE_APF_FN_NP_ACK = 5,    /**< token, disposition */
    HVCORE_APF_FN_NP_GET = 6,    /**< without area: not in version 1.0 of the machine */
    HVCORE_APF_FN_READY_POP = 7, /**< without area: not in version 1.0 of the machine */
    HVCORE_APF_FNS = 8
};

/** Selectors of INFO. */
enum hvcore_apf_info {
    HVCORE_APF_INFO_MODES = 0, /**< bit set: 1 << HVCORE_APF_MODE_* */
    HVCORE_APF_INFO_STRIDE = 1,
    HVCORE_APF_INFO_NSLOTS = 2,
    HVCORE_APF_INFO_SIZE = 3,
    HVCORE_APF_INFO_NP_EVENT = 4,
    HVCORE_APF_INFO_READY_IRQ = 5,
    HVCORE_APF_INFO_FLAGS = 6,
    HVCORE_APF_INFOS = 7
};

/** A call, as smccc.h and sbi_apf.h decode it. */
typedef struct hvcore_apf_call {
    uint32_t fn; /**< HVCORE_APF_FN_*; others are not supported */
    uint32_t reserved;
    uint64_t arg[4];
} hvcore_apf_call;

/** The answer to one. */
typedef struct hvcore_apf_reply {
    int32_t status;       /**< HVCORE_APF_STATUS_OK and so on */
    uint32_t bad_address; /**< 1: INVALID because of the area, not of the flags */
    uint64_t value;       /**< VERSION, INFO, DISABLE, ACK; otherwise 0 */
} hvcore_apf_reply;

#ifndef HVCORE_CDEF
/**
 * Carry out a guest's call. `area_usable` is for ENABLE, see hvcore_apf_enable(). Total.
 *
 * Thread: owner (pure). Errors: none (a status). Since: 0.1.
 */
HVCORE_API void hvcore_apf_serve(hvcore_apf_state *state, const hvcore_apf_call *call,
                                 uint32_t area_usable, hvcore_apf_reply *reply,
                                 hvcore_apf_requests *requests);
#endif

HVCORE_END
#endif
