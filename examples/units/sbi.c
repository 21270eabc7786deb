/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware that a riscv64 guest calls with ECALL, in a hypervisor of somebody else's: the unit
 * decodes and answers, and says what is left to do. Linked with libhvcore-units.a alone.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include <hvcore/firmware/sbi.h>

enum { A0 = 10, A1 = 11, A6 = 16, A7 = 17 };

static const char memory[] = "hello from a guest\n"; /* the guest's, at 0x80000000 */
#define RAM UINT64_C(0x80000000)

/* The guest names the range: it is checked here, nobody else knows where memory is. */
static bool print(const hvcore_sbi_call *call)
{
    if (call->addr == UINT64_MAX) {
        return putchar((int)call->byte) != EOF;
    }
    if (call->addr < RAM || call->addr - RAM > sizeof(memory) ||
        call->len > sizeof(memory) - (call->addr - RAM)) {
        return false;
    }
    return fwrite(&memory[call->addr - RAM], 1, call->len, stdout) == call->len;
}

/* What a trap handler does with cause 10. Returns whether the guest goes on. */
static bool ecall(hvcore_riscv64_frame *frame)
{
    hvcore_sbi_call call;
    hvcore_sbi_decode(frame, HVCORE_SBI_HAS_CONSOLE, &call);
    switch (call.verdict) {
    case HVCORE_SBI_CONSOLE:
        call.error = print(&call) ? HVCORE_SBI_SUCCESS : HVCORE_SBI_ERR_INVALID_PARAM;
        call.value = call.error || call.addr == UINT64_MAX ? 0 : call.len;
        break;
    case HVCORE_SBI_SHUTDOWN:
    case HVCORE_SBI_RESET:
        printf("the guest stops: type %" PRIu32 ", reason %" PRIu32 "\n", call.type, call.reason);
        return false;
    case HVCORE_SBI_VMM: /* a vendor's extension: we have none */
        call.error = HVCORE_SBI_ERR_NOT_SUPPORTED;
        break;
    default: /* HVCORE_SBI_ANSWER */
        break;
    }
    frame->pc += 4;
    frame->x[A0] = (uint64_t)call.error;
    frame->x[A1] = call.value;
    return true;
}

static void guest_calls(const char *what, uint64_t eid, uint64_t fid, uint64_t a0, uint64_t a1)
{
    hvcore_riscv64_frame frame = {.x = {[A7] = eid, [A6] = fid, [A0] = a0, [A1] = a1}};
    if (ecall(&frame)) {
        printf("%-24s error %" PRId64 ", value %#" PRIx64 "\n", what, (int64_t)frame.x[A0],
               frame.x[A1]);
    }
}

int main(void)
{
    guest_calls("spec version", HVCORE_SBI_BASE, 0, 0, 0);
    guest_calls("is there a console?", HVCORE_SBI_BASE, 3, HVCORE_SBI_DBCN, 0);
    guest_calls("write", HVCORE_SBI_DBCN, 0, sizeof(memory) - 1, RAM);
    guest_calls("write what is no memory", HVCORE_SBI_DBCN, 0, 64, RAM - 16);
    guest_calls("a timer", 0x54494d45, 0, 1000, 0);
    guest_calls("shut down", HVCORE_SBI_SRST, 0, 0, 0);
    return 0;
}
