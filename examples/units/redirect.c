/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hypervisor in HS-mode gets an illegal instruction of its guest and gives it to the guest's
 * kernel. No VM is needed for that: the unit works on the saved registers. Linked with
 * libhvcore-units.a alone.
 */
#include <inttypes.h>
#include <stdio.h>

#include <hvcore/fixup/redirect.h>

#define BIT(n) (UINT64_C(1) << (n))
#define SPP BIT(8) /* sstatus: the guest was in VS-mode; without it, in VU-mode */
#define SIE BIT(1) /* vsstatus: the guest's interrupts are on */
#define SPV BIT(7) /* hstatus: the trap came from a guest */

int main(void)
{
    /* What the trap handler has saved: a process of the guest was running. */
    hvcore_riscv64_frame frame = {.pc = 0x10428, .hstatus = SPV};
    hvcore_riscv64_state state = {.size = sizeof(state), .version = 1};
    hvcore_event event = HVCORE_EVENT_INIT;
    event.syndrome = HVCORE_RISCV64_ILLEGAL_INSN; /* scause */
    event.tval = 0xc0202573;                      /* stval: the bits of `rdinstret a0` */
    event.pc = frame.pc;

    /* System registers are read when somebody asks for them: the unit names what it needs. */
    hvcore_riscv64_sys sys = {.size = sizeof(sys)};
    hvcore_result r = hvcore_redirect(&frame, &sys, &event, &state);
    printf("first answer: kind %" PRIu32 " (NEED_REGS is %d), set %#" PRIx64 "\n", r.kind,
           HVCORE_RESULT_NEED_REGS, r.addr);
    if (r.kind != HVCORE_RESULT_NEED_REGS) {
        return 1;
    }
    sys.vsstatus = SIE;                        /* csrr vsstatus */
    sys.vstvec = UINT64_C(0xffffffff80003000); /* csrr vstvec */
    sys.henvcfg = 0;                           /* csrr henvcfg */
    sys.have |= r.addr;

    r = hvcore_redirect(&frame, &sys, &event, &state);
    if (r.kind != HVCORE_RESULT_DONE) {
        return 1; /* a double trap, or the trap came from the hypervisor itself */
    }
    /* Write back what is dirty, load the frame, SRET: the guest's kernel handles its process. */
    printf("dirty %#" PRIx64 ": vsepc %#" PRIx64 ", vscause %" PRIu64 ", vstval %#" PRIx64
           ", vsstatus %#" PRIx64 "\n",
           sys.dirty, sys.vsepc, sys.vscause, sys.vstval, sys.vsstatus);
    printf("resume at %#" PRIx64 " in %s\n", frame.pc, frame.sstatus & SPP ? "VS-mode" : "VU-mode");
    return 0;
}
