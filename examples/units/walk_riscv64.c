/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where is the byte that a riscv64 guest calls 0x40201234? Two stages of page tables are walked in
 * software, through an accessor that the caller gives. Linked with libhvcore-units.a alone.
 */
#include <inttypes.h>
#include <stdio.h>

#include <hvcore/walk/riscv64.h>

/* A machine of 64 KiB at physical address 0: page n is PAGE(n). */
static uint64_t memory[8192];
#define PAGE(n) (UINT64_C(4096) * (n))
#define SV39 (UINT64_C(8) << 60)

enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 }; /* bits of an entry (Priv. 12.4.1) */

static void entry(uint64_t table, unsigned index, uint64_t to, uint64_t bits)
{
    memory[table / 8 + index] = to >> 12 << 10 | bits;
}

/* Nothing that a guest's tables say is a reason to read outside: addresses are checked here. */
static int read64(void *user, uint64_t pa, uint64_t *value)
{
    (void)user;
    if (pa % 8 || pa >= sizeof(memory)) {
        return -1;
    }
    *value = memory[pa / 8];
    return 0;
}

static void translate(const hvcore_riscv64_walk_regs *regs, uint64_t va, uint32_t access)
{
    static const hvcore_riscv64_walk_mem mem = {.read64 = read64};
    static const char *const names[] = {"fetch", "load", "store"};
    hvcore_riscv64_walk_result r;
    hvcore_riscv64_walk(regs, &mem, va, access, &r);
    printf("%-5s %#" PRIx64 ": ", names[access], va);
    if (r.fault) {
        printf("cause %" PRIu32 ", htval %#" PRIx64 ", htinst %#" PRIx64 "\n", r.cause, r.htval,
               r.htinst);
    } else {
        printf("gpa %#" PRIx64 ", pa %#" PRIx64 ", page %#" PRIx64 ", prot %" PRIu32 ", %" PRIu32
               " entries read\n",
               r.gpa, r.pa, r.page, r.prot, r.reads);
    }
}

int main(void)
{
    /* The hypervisor's tables: guest-physical page n is page n, for n = 8 to 12, no writing to 12.
     * A root of an x4 mode has four pages: 0 to 3. */
    entry(PAGE(0), 0, PAGE(4), V);
    entry(PAGE(4), 0, PAGE(5), V);
    for (unsigned n = 8; n < 12; n++) {
        entry(PAGE(5), n, PAGE(n), V | R | W | X | U | A | D);
    }
    entry(PAGE(5), 12, PAGE(12), V | R | U | A);
    /* The guest's tables: 0x40201000 is its page 11, 0x40202000 its page 12, 0x40203000 is nowhere.
     */
    entry(PAGE(8), 1, PAGE(9), V);
    entry(PAGE(9), 1, PAGE(10), V);
    entry(PAGE(10), 1, PAGE(11), V | R | W | A | D);
    entry(PAGE(10), 2, PAGE(12), V | R | W | A | D);
    entry(PAGE(10), 3, PAGE(13), V | R | W | A | D);

    hvcore_riscv64_walk_regs regs = {.vsatp = SV39 | 8, .hgatp = SV39, .mode = HVCORE_RISCV64_VS};
    translate(&regs, 0x40201234, HVCORE_RISCV64_LOAD);
    translate(&regs, 0x40201234, HVCORE_RISCV64_FETCH);
    translate(&regs, 0x40202000, HVCORE_RISCV64_STORE);
    translate(&regs, 0x40203000, HVCORE_RISCV64_LOAD);
    regs.mode = HVCORE_RISCV64_VU;
    translate(&regs, 0x40201234, HVCORE_RISCV64_LOAD);
    return 0;
}
