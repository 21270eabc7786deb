/* SPDX-License-Identifier: Apache-2.0 */
/* SBI 2.0: BASE (chapter 4), SRST (10), DBCN (12). What the table does not know is not supported.
 */
#include <hvcore/firmware/sbi.h>

#include <stdbool.h>

/* x registers of a call (SBI 3). */
enum { A0 = 10, A1 = 11, A2 = 12, A6 = 16, A7 = 17 };

enum { BASE_SPEC, BASE_IMPL_ID, BASE_IMPL_VERSION, BASE_PROBE, BASE_VENDOR, BASE_ARCH, BASE_IMP };
enum { SRST_RESET };
enum { DBCN_WRITE, DBCN_READ, DBCN_WRITE_BYTE };
enum { RESET_SHUTDOWN, RESET_COLD, RESET_WARM }; /* 3 and above are reserved or a vendor's */
enum { REASON_NONE, REASON_FAILURE };            /* 2 and above are reserved or somebody's own */

static void answer(hvcore_sbi_call *call, int64_t error, uint64_t value)
{
    call->verdict = HVCORE_SBI_ANSWER;
    call->error = error;
    call->value = value;
}

static bool is_of_vmm(uint64_t eid)
{
    return eid >= HVCORE_SBI_EXPERIMENTAL_FIRST && eid <= HVCORE_SBI_VENDOR_LAST;
}

static bool has_extension(uint64_t eid, uint32_t features)
{
    switch (eid) {
    case HVCORE_SBI_BASE:
    case HVCORE_SBI_SRST:
        return true;
    case HVCORE_SBI_DBCN:
        return features & HVCORE_SBI_HAS_CONSOLE;
    default:
        return false;
    }
}

static void probe(uint64_t eid, uint32_t features, hvcore_sbi_call *call)
{
    if (is_of_vmm(eid))
        *call = (hvcore_sbi_call){.verdict = HVCORE_SBI_VMM};
    else
        answer(call, HVCORE_SBI_SUCCESS, has_extension(eid, features));
}

static void base(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    switch (x[A6]) {
    case BASE_SPEC:
        answer(call, HVCORE_SBI_SUCCESS, HVCORE_SBI_SPEC_VERSION);
        break;
    case BASE_IMPL_ID:
        answer(call, HVCORE_SBI_SUCCESS, HVCORE_SBI_IMPL_ID);
        break;
    case BASE_IMPL_VERSION:
        answer(call, HVCORE_SBI_SUCCESS, HVCORE_VERSION);
        break;
    case BASE_PROBE:
        probe(x[A0], features, call);
        break;
    case BASE_VENDOR:
    case BASE_ARCH:
    case BASE_IMP:
        answer(call, HVCORE_SBI_SUCCESS, 0); /* always a legal value (SBI 4.5) */
        break;
    default:
        break;
    }
}

/* Type and reason are 32-bit data: the upper halves of the registers do not count (SBI 3). */
static void srst(const uint64_t *x, hvcore_sbi_call *call)
{
    uint32_t type = (uint32_t)x[A0];
    uint32_t reason = (uint32_t)x[A1];

    if (x[A6] != SRST_RESET)
        return;
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

/* a0 bytes at a2:a1 are a range that a guest-physical address can name. Whether memory is there,
 * the caller finds out (SBI 3.2). */
static bool is_range(const uint64_t *x)
{
    return x[A2] == 0 && x[A0] <= UINT64_MAX - x[A1];
}

static void console_write(const uint64_t *x, hvcore_sbi_call *call)
{
    if (!is_range(x))
        answer(call, HVCORE_SBI_ERR_INVALID_PARAM, 0);
    else if (x[A0] == 0)
        answer(call, HVCORE_SBI_SUCCESS, 0);
    else
        *call = (hvcore_sbi_call){.verdict = HVCORE_SBI_CONSOLE, .addr = x[A1], .len = x[A0]};
}

static void dbcn(const uint64_t *x, uint32_t features, hvcore_sbi_call *call)
{
    if (!has_extension(HVCORE_SBI_DBCN, features))
        return;
    switch (x[A6]) {
    case DBCN_WRITE:
        console_write(x, call);
        break;
    case DBCN_READ: /* nothing has been typed: no byte is read, no memory written (SBI 12.2) */
        answer(call, is_range(x) ? HVCORE_SBI_SUCCESS : HVCORE_SBI_ERR_INVALID_PARAM, 0);
        break;
    case DBCN_WRITE_BYTE:
        *call = (hvcore_sbi_call){
            .verdict = HVCORE_SBI_CONSOLE, .byte = (uint8_t)x[A0], .addr = UINT64_MAX, .len = 1};
        break;
    default:
        break;
    }
}

/* EIDs of 32 bits are compared with the whole of a7: no number known here has bit 31 set. */
void hvcore_sbi_decode(const hvcore_riscv64_frame *frame, uint32_t features, hvcore_sbi_call *call)
{
    const uint64_t *x = frame->x;

    *call = (hvcore_sbi_call){.error = HVCORE_SBI_ERR_NOT_SUPPORTED};
    if (x[A7] == HVCORE_SBI_BASE)
        base(x, features, call);
    else if (x[A7] == HVCORE_SBI_SRST)
        srst(x, call);
    else if (x[A7] == HVCORE_SBI_DBCN)
        dbcn(x, features, call);
    else if (is_of_vmm(x[A7]))
        *call = (hvcore_sbi_call){.verdict = HVCORE_SBI_VMM};
    else if (x[A7] <= HVCORE_SBI_LEGACY_LAST)
        call->value = x[A1]; /* a legacy call returns in a0 alone (SBI 5) */
}
