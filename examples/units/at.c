/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest hypervisor asks where its guest's address lies, AT S12E1R, X3; a page of its tables has
 * been swapped out. The trap is carried out as a hypervisor at EL2 does it, to its end. Linked with
 * libhvcore-units.a alone.
 */
#include <inttypes.h>
#include <stdio.h>

#include <hvcore/fixup/arm64_state.h>

/* The guest hypervisor's memory: 64 KiB at RAM, a table in each page; PAGE(3) is on disk. */
#define RAM UINT64_C(0x40000000)
#define PAGE(n) (RAM + UINT64_C(4096) * (n))
static uint64_t memory[8192];
static int resident = 0;

static int read64(void *user, uint64_t gpa, uint64_t *value)
{
    (void)user;
    if (gpa - RAM >= sizeof(memory)) {
        return HVCORE_ARM64_MEM_NO_MEMORY;
    }
    if (!resident && gpa >> 12 == PAGE(3) >> 12) {
        return HVCORE_ARM64_MEM_NOT_RESIDENT;
    }
    *value = memory[(gpa - RAM) / 8]; /* on a real machine: one atomic load */
    return HVCORE_ARM64_MEM_OK;
}

static void entry(uint64_t table, uint64_t index, uint64_t descriptor)
{
    memory[(table - RAM) / 8 + index] = descriptor;
}

/* Stage 1, from 0x40201000 to 0x5000; stage 2, 1 GiB of RAM to itself and 0x5000 to 0x40009000. */
static void make_tables(void)
{
    entry(PAGE(0), 1, PAGE(1) | 3);    /* 39 bits: level 1 */
    entry(PAGE(1), 1, PAGE(2) | 3);    /* level 2 */
    entry(PAGE(2), 1, 0x5000 | 0x703); /* level 3: AF, inner shareable, Normal memory, privileged */
    entry(PAGE(4), 1, RAM | 0x7fd);    /* stage 2, level 1: a block, read-write, Write-Back */
    entry(PAGE(4), 0, PAGE(3) | 3);
    entry(PAGE(3), 0, PAGE(6) | 3);
    entry(PAGE(6), 5, PAGE(9) | 0x77f); /* read-only */
}

int main(void)
{
    static const hvcore_arm64_walk_mem mem = {NULL, read64, NULL};
    hvcore_arm64_frame frame = {.x = {[3] = 0x40201234}, .pc = 0x80000, .spsr = 5};
    hvcore_arm64_sys sys = {.sctlr_el1 = 5, .tcr_el1 = 25 | UINT64_C(5) << 32, .mair_el1 = 0xff};
    hvcore_event event = HVCORE_EVENT_INIT;
    hvcore_arm64_state state = {.version = 1};
    hvcore_result r;

    make_tables();
    sys.ttbr0_el1 = PAGE(0);
    sys.hcr_el2 = 1; /* VM */
    sys.vtcr_el2 = 25 | 1 << 6 | 5 << 16;
    sys.vttbr_el2 = PAGE(4);
    state.at.walk.features =
        HVCORE_ARM64_FEAT_EL2 | HVCORE_ARM64_FEAT_TGRAN4 | HVCORE_ARM64_FEAT_S2_TGRAN4;
    state.at.walk.pa_bits = 40;
    event.have = HVCORE_HAVE_SYNDROME | HVCORE_HAVE_MODE;
    event.mode = HVCORE_ARM64_VEL2;
    event.syndrome = 0x62191c10 | 3 << 5;
    do { /* the server of each answer, in a line */
        r = hvcore_at_walk(&frame, &sys, &event, &state, &mem);
        if (r.kind == HVCORE_RESULT_NEED_REGS) {
            printf("registers %#" PRIx64 " are needed\n", r.addr);
            sys.have |= r.addr;
        } else if (r.kind == HVCORE_RESULT_NEED_PAGE) {
            printf("page %#" PRIx64 " is needed\n", r.addr >> 12 << 12);
            resident = 1;
        }
    } while (r.kind == HVCORE_RESULT_NEED_REGS || r.kind == HVCORE_RESULT_NEED_PAGE);
    printf("PAR_EL1 %#018" PRIx64 ", pc %#" PRIx64 "\n", sys.par_el1, frame.pc);
    event.syndrome |= 1 << 17; /* AT S12E1W */
    hvcore_at_walk(&frame, &sys, &event, &state, &mem);
    printf("PAR_EL1 %#018" PRIx64 ", pc %#" PRIx64 ": may not be written, by stage 2, level 3\n",
           sys.par_el1, frame.pc);
    return r.kind == HVCORE_RESULT_DONE ? 0 : 1;
}
