/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RISC-V walker over memory that is the input: two pages, everywhere. Some words change when
 * they are swapped. It stays within its bounds, asks for no address that is none, and answers
 * soundly.
 *
 * sources: lib/walk/riscv64.c lib/walk/riscv64_stage.c
 */
#include <hvcore/walk/riscv64.h>

#include "tests/fuzz/fuzz.h"

enum { WORDS = 1024, READS = 5 * (5 + 1) + 5, RETRIES = 16 };

typedef struct memory {
    uint64_t word[WORDS];
    uint64_t hole; /* words of this residue are not there */
    uint32_t reads, swaps;
    uint32_t racy; /* every so many swaps are lost */
} memory;

static uint64_t *find(memory *m, uint64_t pa)
{
    EXPECT(pa % 8 == 0 && pa >> 57 == 0);
    return pa / 8 % 61 == m->hole ? NULL : &m->word[(pa / 8 ^ pa >> 20) % WORDS];
}

static int read64(void *user, uint64_t pa, uint64_t *value)
{
    memory *m = user;
    uint64_t *word = find(m, pa);
    EXPECT(++m->reads <= READS + RETRIES * 12);
    if (!word) {
        return 1;
    }
    *value = *word;
    return 0;
}

static int cas64(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    memory *m = user;
    uint64_t *word = find(m, pa);
    EXPECT(((expected ^ desired) & ~UINT64_C(0xc0)) == 0);
    if (!word) {
        return 2;
    }
    if (m->racy && ++m->swaps % m->racy == 0) {
        *word ^= pa;
    }
    if (*word != expected) {
        return 1;
    }
    *word = desired;
    return 0;
}

static void check(const hvcore_riscv64_walk_result *r, uint64_t va)
{
    EXPECT(r->fault <= 1);
    if (r->fault) {
        EXPECT(r->cause < 24 && (UINT64_C(0xb0b0a2) >> r->cause & 1));
        EXPECT(r->htinst == 0 || r->htinst == 0x3000 || r->htinst == 0x3020);
        EXPECT(!r->pa && !r->prot);
        return;
    }
    EXPECT(r->page >= 4096 && (r->page & (r->page - 1)) == 0);
    EXPECT(((r->pa ^ r->gpa) & 4095) == 0 && ((r->gpa ^ va) & 4095) == 0);
    EXPECT(r->prot <= 7 && r->pbmt < 3 && r->global <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static memory m;
    const hvcore_riscv64_walk_mem mem = {.user = &m, .read64 = read64, .cas64 = cas64};
    static const uint64_t modes[] = {0, 8, 9, 10};
    fuzz_input in = {data, size};
    hvcore_riscv64_walk_regs regs;
    hvcore_riscv64_walk_result r, again;

    fuzz_take(&in, &regs, sizeof(regs));
    uint64_t va = fuzz_u64(&in);
    uint32_t pick = fuzz_u32(&in), access = pick & 3;
    if (pick & 4) { /* mostly modes that there are */
        regs.vsatp = regs.vsatp << 4 >> 4 | modes[pick >> 3 & 3] << 60;
        regs.hgatp = regs.hgatp << 4 >> 4 | modes[pick >> 5 & 3] << 60;
        va = (uint64_t)((int64_t)(va << 25) >> 25);
    }
    m = (memory){.hole = pick >> 8 & 63, .racy = pick >> 16 & 7};
    for (size_t i = 0; i < WORDS && in.left; i++) {
        m.word[i] = fuzz_u64(&in);
    }
    hvcore_riscv64_walk(&regs, &mem, va, access, &r);
    check(&r, va);
    regs.flags |= HVCORE_RISCV64_WALK_NO_UPDATE;
    m.reads = 0;
    hvcore_riscv64_walk(&regs, &mem, va, access, &r);
    check(&r, va);
    EXPECT(m.reads == r.reads || r.fault);
    hvcore_riscv64_walk(&regs, &mem, va, access, &again); /* nothing has changed */
    EXPECT(memcmp(&r, &again, sizeof(r)) == 0);
    m.reads = 0;
    hvcore_riscv64_walk_g(&regs, &mem, va, va, access, &r);
    check(&r, va);
    return 0;
}
