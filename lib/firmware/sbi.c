/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SBI 2.0: legacy (chapter 5), BASE (4), TIME (6), IPI (7), RFENCE (8), HSM (9), SRST (10), DBCN
 * (12), and FWFT of SBI 3.0 (18). What the tables do not know is not supported.
 */
#include <hvcore/firmware/sbi.h>

#include <stdbool.h>
#include <stddef.h>

/* x registers of a call (SBI 3). */
enum { A0 = 10, A1 = 11, A2 = 12, A3 = 13, A6 = 16, A7 = 17 };

/* A function of an extension; *call says "not supported" unless it says otherwise. */
typedef void function(const uint64_t *x, uint32_t features, hvcore_sbi_call *call);

typedef struct extension {
    uint64_t eid;
    uint32_t needs; /* HVCORE_SBI_HAS_*, all of them */
    uint32_t count;
    function *const *functions;
} extension;

static const extension *find(uint64_t eid, uint32_t features);

static void answer(hvcore_sbi_call *call, int64_t error, uint64_t value)
{
    call->verdict = HVCORE_SBI_ANSWER;
    call->error = error;
    call->value = value;
}

/* ---- BASE ------------------------------------------------------------------------------------ */

static bool is_of_vmm(uint64_t eid)
{
    return eid >= HVCORE_SBI_EXPERIMENTAL_FIRST && eid <= HVCORE_SBI_VENDOR_LAST;
}

static void base_spec(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)x, (void)features;
    answer(call, HVCORE_SBI_SUCCESS, HVCORE_SBI_SPEC_VERSION);
}

static void base_impl_id(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)x, (void)features;
    answer(call, HVCORE_SBI_SUCCESS, HVCORE_SBI_IMPL_ID);
}

static void base_impl_version(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)x, (void)features;
    answer(call, HVCORE_SBI_SUCCESS, HVCORE_VERSION);
}

static void base_probe(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    if (is_of_vmm(x[A0]))
        *call = (hvcore_sbi_call){.verdict = HVCORE_SBI_VMM};
    else
        answer(call, HVCORE_SBI_SUCCESS, find(x[A0], features) != NULL);
}

/* mvendorid, marchid, mimpid: 0 is always a legal value (SBI 4.5). */
static void base_machine(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)x, (void)features;
    answer(call, HVCORE_SBI_SUCCESS, 0);
}

static function *const base[] = {base_spec,    base_impl_id, base_impl_version, base_probe,
                                 base_machine, base_machine, base_machine};

/* ---- TIME ------------------------------------------------------------------------------------ */

static void set_timer(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)features;
    *call = (hvcore_sbi_call){.verdict = HVCORE_SBI_SET_TIMER, .time = x[A0]};
}

static function *const timer[] = {set_timer};

/* ---- IPI, RFENCE ----------------------------------------------------------------------------- */

static void send_ipi(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)features;
    *call = (hvcore_sbi_call){.verdict = HVCORE_SBI_SEND_IPI, .mask = x[A0], .base = x[A1]};
}

static void fence(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)features;
    *call = (hvcore_sbi_call){.verdict = HVCORE_SBI_FENCE, .mask = x[A0], .base = x[A1]};
}

static function *const ipi[] = {send_ipi};

/* FENCE.I, SFENCE.VMA, SFENCE.VMA with ASID; the others are HFENCE's */
static function *const rfence[] = {fence, fence, fence};

/* ---- HSM ------------------------------------------------------------------------------------- */

/* Suspend types (SBI 9.4): reserved or a platform's unless they are one of these. */
#define SUSPEND_RETENTIVE UINT32_C(0)
#define SUSPEND_NON_RETENTIVE UINT32_C(0x80000000)

static void hart_start(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)features;
    *call = (hvcore_sbi_call){
        .verdict = HVCORE_SBI_HART_START, .hart = x[A0], .addr = x[A1], .opaque = x[A2]};
}

static void hart_stop(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)x, (void)features;
    *call = (hvcore_sbi_call){.verdict = HVCORE_SBI_HART_STOP};
}

static void hart_status(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)features;
    *call = (hvcore_sbi_call){.verdict = HVCORE_SBI_HART_STATUS, .hart = x[A0]};
}

/* The type is a 32-bit number: the upper half of the register does not count (SBI 3). */
static void hart_suspend(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)features;
    if ((uint32_t)x[A0] == SUSPEND_RETENTIVE)
        *call = (hvcore_sbi_call){.verdict = HVCORE_SBI_HART_SUSPEND};
    else if ((uint32_t)x[A0] == SUSPEND_NON_RETENTIVE)
        *call = (hvcore_sbi_call){
            .verdict = HVCORE_SBI_HART_SUSPEND_AWAY, .addr = x[A1], .opaque = x[A2]};
    else
        answer(call, HVCORE_SBI_ERR_INVALID_PARAM, 0);
}

static function *const hsm[] = {hart_start, hart_stop, hart_status, hart_suspend};

/* ---- SRST ------------------------------------------------------------------------------------ */

enum { RESET_SHUTDOWN, RESET_COLD, RESET_WARM }; /* 3 and above are reserved or a vendor's */
enum { REASON_NONE, REASON_FAILURE };            /* 2 and above are reserved or somebody's own */

/* Type and reason are 32-bit data: the upper halves of the registers do not count (SBI 3). */
static void reset(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    uint32_t type = (uint32_t)x[A0];
    uint32_t reason = (uint32_t)x[A1];

    (void)features;
    if (type > RESET_WARM || reason > REASON_FAILURE) {
        answer(call, HVCORE_SBI_ERR_INVALID_PARAM, 0);
        return;
    }
    *call = (hvcore_sbi_call){
        .verdict = type == RESET_SHUTDOWN ? HVCORE_SBI_SHUTDOWN : HVCORE_SBI_RESET,
        .type = type,
        .reason = reason,
    };
}

static function *const srst[] = {reset};

/* ---- DBCN ------------------------------------------------------------------------------------ */

/* a0 bytes at a2:a1 are a range that a guest-physical address can name. Whether memory is there,
 * the caller finds out (SBI 3.2). */
static bool is_range(const uint64_t *x)
{
    return x[A2] == 0 && x[A0] <= UINT64_MAX - x[A1];
}

static void console_write(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)features;
    if (!is_range(x))
        answer(call, HVCORE_SBI_ERR_INVALID_PARAM, 0);
    else if (x[A0] == 0)
        answer(call, HVCORE_SBI_SUCCESS, 0);
    else
        *call = (hvcore_sbi_call){.verdict = HVCORE_SBI_CONSOLE, .addr = x[A1], .len = x[A0]};
}

/* Nothing has been typed: no byte is read, no memory written (SBI 12.2). */
static void console_read(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)features;
    answer(call, is_range(x) ? HVCORE_SBI_SUCCESS : HVCORE_SBI_ERR_INVALID_PARAM, 0);
}

static void console_byte(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)features;
    *call = (hvcore_sbi_call){
        .verdict = HVCORE_SBI_CONSOLE, .byte = (uint8_t)x[A0], .addr = UINT64_MAX, .len = 1};
}

static function *const dbcn[] = {console_write, console_read, console_byte};

/* ---- FWFT ------------------------------------------------------------------------------------ */

/* Features (SBI 3.0, 18): numbers from 6 on are reserved or a platform's. */
enum { FWFT_MISALIGNED = 0, FWFT_LAST = 5 };

/* The features that this firmware could have at all; true: it has. */
static bool fwft_has(uint32_t feature, hvcore_sbi_call *call)
{
    if (feature > FWFT_LAST)
        answer(call, HVCORE_SBI_ERR_DENIED, 0);
    return feature == FWFT_MISALIGNED;
}

/* The policy has decided where misaligned accesses go: asking for just that is granted. */
static void fwft_set(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    uint64_t now = !!(features & HVCORE_SBI_HAS_MISALIGNED);

    if (!fwft_has((uint32_t)x[A0], call))
        return;
    if (x[A1] > 1 || x[A2] > 1)
        answer(call, HVCORE_SBI_ERR_INVALID_PARAM, 0);
    else if (x[A1] != now || x[A2])
        answer(call, HVCORE_SBI_ERR_DENIED, 0);
    else
        answer(call, HVCORE_SBI_SUCCESS, 0);
}

static void fwft_get(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    if (fwft_has((uint32_t)x[A0], call))
        answer(call, HVCORE_SBI_SUCCESS, !!(features & HVCORE_SBI_HAS_MISALIGNED));
}

static function *const fwft[] = {fwft_set, fwft_get};

/* ---- legacy: the extension is the function, a1 stays the guest's own (SBI 5) ----------------- */

static void legacy_set_timer(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    if (features & HVCORE_SBI_HAS_TIMER)
        set_timer(x, features, call);
    call->value = x[A1];
}

static void legacy_putchar(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    if (features & HVCORE_SBI_HAS_CONSOLE)
        console_byte(x, features, call);
    call->value = x[A1];
}

static void legacy_getchar(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    if (features & HVCORE_SBI_HAS_CONSOLE)
        call->error = HVCORE_SBI_ERR_FAILED;
    call->value = x[A1];
}

static void legacy_shutdown(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)x, (void)features;
    *call = (hvcore_sbi_call){.verdict = HVCORE_SBI_SHUTDOWN};
}

static void legacy_other(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    (void)features;
    call->value = x[A1];
}

static void legacy(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    static function *const known[] = {
        [0] = legacy_set_timer, [1] = legacy_putchar, [2] = legacy_getchar, [8] = legacy_shutdown};
    bool is_known = x[A7] < sizeof(known) / sizeof(known[0]) && known[x[A7]];

    (is_known ? known[x[A7]] : legacy_other)(x, features, call);
}

/* ---- all of them ----------------------------------------------------------------------------- */

#define FUNCTIONS(list) sizeof(list) / sizeof((list)[0]), list

/* those that guests call often come first */
static const extension extensions[] = {
    {HVCORE_SBI_BASE, 0, FUNCTIONS(base)},
    {HVCORE_SBI_IPI, HVCORE_SBI_HAS_HARTS, FUNCTIONS(ipi)},
    {HVCORE_SBI_RFENCE, HVCORE_SBI_HAS_HARTS, FUNCTIONS(rfence)},
    {HVCORE_SBI_TIME, HVCORE_SBI_HAS_TIMER, FUNCTIONS(timer)},
    {HVCORE_SBI_HSM, HVCORE_SBI_HAS_HARTS, FUNCTIONS(hsm)},
    {HVCORE_SBI_SRST, 0, FUNCTIONS(srst)},
    {HVCORE_SBI_DBCN, HVCORE_SBI_HAS_CONSOLE, FUNCTIONS(dbcn)},
    {HVCORE_SBI_FWFT, 0, FUNCTIONS(fwft)},
};

/* EIDs of 32 bits are compared with the whole of a7: no number known here has bit 31 set. */
static const extension *find(uint64_t eid, uint32_t features)
{
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        const extension *e = &extensions[i];
        if (e->eid == eid)
            return (features & e->needs) == e->needs ? e : NULL;
    }
    return NULL;
}

void hvcore_sbi_decode(const hvcore_riscv64_frame *frame, uint32_t features, hvcore_sbi_call *call)
{
    const uint64_t *x = frame->x;
    const extension *e = find(x[A7], features);

    *call = (hvcore_sbi_call){.error = HVCORE_SBI_ERR_NOT_SUPPORTED};
    if (e && x[A6] < e->count)
        e->functions[x[A6]](x, features, call);
    else if (is_of_vmm(x[A7]))
        *call = (hvcore_sbi_call){.verdict = HVCORE_SBI_VMM};
    else if (x[A7] <= HVCORE_SBI_LEGACY_LAST)
        legacy(x, features, call);
}
