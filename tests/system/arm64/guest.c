/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's two stages of translation, its vectors, the way there and back. */
#include "tests/system/arm64/guest.h"

#define PAGE 4096u
#define BLOCK (UINT64_C(1) << 21)

/* Descriptors. */
#define TABLE UINT64_C(3)
#define S1_BLOCK (UINT64_C(1) | BIT(10) | 3 << 8) /* AF, Inner Shareable, MAIR index 0 */
#define S1_CODE (S1_BLOCK | 3 << 6)               /* read-only for both levels */
#define S1_DATA (S1_BLOCK | 1 << 6 | 1 << 2 | BIT(53) | BIT(54)) /* for both; MAIR index 1 */
#define S2_BLOCK (UINT64_C(1) | BIT(10) | 3 << 8 | 3 << 6 | 15 << 2)
#define S2_PAGE (S2_BLOCK | 2)

#define MAIR_WB_AND_TAGGED UINT64_C(0xf0ff)
#define TCR_39_BITS (25 | BIT(23) | UINT64_C(2) << 32 | BIT(37)) /* EPD1, 40 bits, TBI0 */
#define VTCR_39_BITS (25 | 1 << 6 | UINT64_C(2) << 16 | BIT(31))

#define SCTLR_M_C_I (BIT(0) | BIT(2) | BIT(12))
#define SCTLR_MSCEN BIT(33)
#define SCTLR_ATA (BIT(42) | BIT(43))
#define HCR_VM BIT(0)
#define HCR_DC BIT(12)
#define HCR_TGE BIT(27)
#define HCR_ATA BIT(56)
#define HCR_DCT BIT(57)
#define HCRX_MCE2 BIT(10)
#define HCRX_MSCEN BIT(11)
#define MDCR_TDE BIT(8)

#define HVC(n) (0xd4000002u | (n) << 5)
#define SVC 0xd4000001u
#define FROM_VECTOR 1u

static uint64_t s1_root[512] __attribute__((aligned(4096)));
static uint64_t s1_middle[512] __attribute__((aligned(4096)));
static uint64_t s2_root[512] __attribute__((aligned(4096)));
static uint64_t s2_middle[512] __attribute__((aligned(4096)));
static uint64_t s2_pages[512] __attribute__((aligned(4096)));
uint32_t guest_taken_to;

static void build_tables(void)
{
    s1_root[RAM >> 30] = (uint64_t)s1_middle | TABLE;
    s2_root[RAM >> 30] = (uint64_t)s2_middle | TABLE;
    for (uint64_t at = 0; at < 512; at++) {
        s2_middle[at] = (RAM + at * BLOCK) | S2_BLOCK;
        s2_pages[at] = (ARENA + at * PAGE) | S2_PAGE;
    }
    s1_middle[(GUESTS - RAM) / BLOCK] = GUESTS | S1_CODE;
    s1_middle[(ARENA - RAM) / BLOCK] = ARENA | S1_DATA;
    s2_middle[(ARENA - RAM) / BLOCK] = (uint64_t)s2_pages | TABLE;
}

void guest_vectors(void)
{
    for (uint64_t at = 0; at < 0x800; at += 0x80) {
        *(volatile uint32_t *)(GUESTS + at) = HVC(FROM_VECTOR);
    }
    WRITE(vbar_el1, GUESTS);
}

static void flush(void)
{
    __asm__ volatile("dsb sy\ntlbi alle1\ndsb sy\nisb" ::: "memory");
}

void guest_begin(void)
{
    build_tables();
    guest_vectors();
    WRITE(ttbr0_el1, (uint64_t)s1_root);
    WRITE(tcr_el1, TCR_39_BITS);
    WRITE(mair_el1, MAIR_WB_AND_TAGGED);
    WRITE(sctlr_el1, SCTLR_RES1 | SCTLR_M_C_I | SCTLR_MSCEN | SCTLR_ATA);
    WRITE(vttbr_el2, (uint64_t)s2_root);
    WRITE(vtcr_el2, VTCR_39_BITS);
    WRITE(mdscr_el1, 0);
    __asm__ volatile("msr oslar_el1, xzr");
    flush();
}

bool guest_is_el0(enum guest_route route)
{
    return route == EL0_TO_EL1 || route == EL0_TO_EL2;
}

/* HCR_EL2.TGE turns stage 1 off: DC and DCT make memory Normal and Tagged then. HCRX_EL2.MCE2 says
 * nothing of EL0. */
void guest_route(enum guest_route route, bool step)
{
    const uint64_t tge = route == EL0_TO_EL2 ? HCR_TGE | HCR_DC | HCR_DCT : 0;

    WRITE(hcr_el2, HCR_RW | HCR_VM | HCR_ATA | tge);
    WRITE(HCRX_EL2, HCRX_MSCEN | (route == EL1_TO_EL1 ? 0 : HCRX_MCE2));
    WRITE(mdcr_el2, step ? MDCR_TDE : 0);
    flush();
}

void guest_code(uint32_t at, const uint32_t *words, uint32_t n)
{
    volatile uint32_t *code = (volatile uint32_t *)GUEST_CODE + at;

    for (uint32_t i = 0; i < n; i++) {
        code[i] = words[i];
    }
    __asm__ volatile("dsb sy\nic iallu\ndsb sy\nisb" ::: "memory");
}

uint32_t guest_end(enum guest_route route)
{
    return guest_is_el0(route) ? SVC : HVC(0u);
}

void guest_page(uint32_t page, bool there)
{
    s2_pages[page] = there ? (ARENA + page * PAGE) | S2_PAGE : 0;
    flush();
}

uint64_t guest_enter(hvcore_arm64_frame *frame)
{
    uint64_t esr;

    barrier();
    image_enter(frame);
    esr = READ(esr_el2);
    guest_taken_to = 2;
    if (guest_class(esr) == EC_HVC && field(esr, 0, 16) == FROM_VECTOR) {
        guest_taken_to = 1;
        esr = READ(esr_el1);
        frame->pc = READ(elr_el1);
        frame->spsr = READ(spsr_el1);
    }
    return esr;
}

bool guest_tags(uint64_t at, uint32_t n, uint8_t *tags)
{
    static const uint32_t loop[] = {
        0xd9600003, /* ldg x3, [x0] */
        0xd378ec64, /* ubfx x4, x3, #56, #4 */
        0x38001444, /* strb w4, [x2], #1 */
        0x91004000, /* add x0, x0, #16 */
        0xf1000421, /* subs x1, x1, #1 */
        0x54ffff61, /* b.ne, to the beginning */
        HVC(0u),
    };
    hvcore_arm64_frame frame = {.pc = GUEST_CODE + 0x800, .spsr = 0x3c5};

    if (field(READ(id_aa64pfr1_el1), 8, 4) < 2) {
        return false;
    }
    frame.x[0] = at;
    frame.x[1] = n;
    frame.x[2] = GUEST_SCRATCH;
    guest_code(0x200, loop, COUNT(loop));
    guest_route(EL1_TO_EL2, false);
    if (guest_class(guest_enter(&frame)) != EC_HVC) {
        return false;
    }
    memcpy(tags, (const void *)GUEST_SCRATCH, n);
    return true;
}
