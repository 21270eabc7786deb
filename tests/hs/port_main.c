/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine hs and the metal ground by themselves: port.h and host.h, without the library above.
 * The guest is code of this image behind a G-stage that maps the first gigapage of RAM to itself.
 */
#include <hvcore/mem.h>

#include "backends/bare/port.h"

#include "backends/bare/hs/enter.h"

#include "lib/host/mem.h"
#include "lib/host/metal.h"
#include "tests/hs/image.h"

#define MS UINT64_C(1000000)
#define PATIENCE UINT64_C(20000) /* ms, for what takes no time: the machine may be busy */
#define RAM UINT64_C(0x80000000)
#define HOLE UINT64_C(0x18000000)    /* physical: there is nothing on this board */
#define NOWHERE UINT64_C(0x40001238) /* guest-physical, not mapped */

/* Guest code: position independent, in VS-mode without translation. */
extern char guest_ecall[], guest_count[], guest_spin[], guest_load[], guest_time[];
__asm__(
    ".text; .balign 4\n"
    "guest_ecall: ecall; j guest_ecall\n"
    /* every register but x0 and x5 one more; x5 counts down */
    "guest_count:\n"
    ".irp r, 1,2,3,4,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "addi x\\r, x\\r, 1\n"
    ".endr\n"
    "addi x5, x5, -1; bnez x5, guest_count; ecall\n"
    "guest_spin: addi a0, a0, 1; j guest_spin\n"
    "guest_load: .option push; .option norvc; lw a1, 4(a0); ecall; .option pop\n"
    "guest_time: csrr a0, time; csrr a1, cycle; csrr a2, instret; ecall\n");

static uint64_t gstage[2048] __attribute__((aligned(16384)));

static uint64_t gigapage(uint64_t pa)
{
    return pa >> 12 << HVC_PTE_PPN_SHIFT | HVC_PTE_V | HVC_PTE_R | HVC_PTE_W | HVC_PTE_X |
           HVC_PTE_U | HVC_PTE_A | HVC_PTE_D;
}

/* The PE of the hart that calls, ready for a guest. */
static hvc_pe *here(void)
{
    hvc_pe *pe;

    hvc_port_pe_claim(NULL, 0, &pe);
    gstage[RAM >> 30] = gigapage(RAM);
    hvc_port_set(pe, hgatp, HVC_ATP_SV39 << HVC_ATP_MODE_SHIFT | (uint64_t)(uintptr_t)gstage >> 12);
    hvc_port_set(pe, hedeleg, 0);
    hvc_port_set(pe, hideleg, 0x444);
    hvc_port_set(pe, vsatp, 0);
    hvc_port_set(pe, vsstatus, HVC_SSTATUS_UXL_64);
    hvc_port_tlb_gvma(pe);
    hvc_port_timer(pe, HVC_FOREVER);
    return pe;
}

static hvcore_riscv64_frame frame_at(const char *pc)
{
    return (hvcore_riscv64_frame){
        .pc = (uint64_t)(uintptr_t)pc,
        .sstatus = HVC_SSTATUS_SPP | HVC_SSTATUS_SPIE | HVC_SSTATUS_UXL_64,
        .hstatus = HVC_HSTATUS_SPV | HVC_HSTATUS_SPVP | HVC_HSTATUS_VSXL_64,
    };
}

/* --- the machine ------------------------------------------------------------------------------ */

static void facts(void)
{
    hvc_port_facts f;
    hvc_pe *here = hvc_hs_pe_here();

    hvc_port_set(here, hedeleg, 0x100);
    hvc_port_facts_get(NULL, &f);
    HS_EQUAL(hvc_port_get(here, hedeleg), 0x100);
    HS_EQUAL(f.hedeleg & 0xb1ff, 0xb1ff);
    HS_EQUAL(f.hedeleg & 0xf00e00, 0);
    HS_EQUAL(f.hideleg & 0x444, 0x444);
    HS_CHECK(f.vmid_bits <= 14);
    HS_EQUAL(f.max_pes, 2);
    HS_EQUAL(f.caps, HVCORE_CAP_DEADLINE);
    hs_say("# hedeleg 0x%llx hideleg 0x%llx henvcfg 0x%llx vmid bits %u",
           (unsigned long long)f.hedeleg, (unsigned long long)f.hideleg,
           (unsigned long long)f.henvcfg, f.vmid_bits);
}

static void enter_and_leave(void)
{
    hvc_pe *pe = here();
    hvcore_riscv64_frame f = frame_at(guest_ecall);
    hvc_raw_trap raw;

    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_TRAP);
    HS_EQUAL(raw.scause, HVCORE_RISCV64_ECALL_VS);
    HS_EQUAL(f.pc, (uintptr_t)guest_ecall);
    HS_CHECK(f.sstatus & HVC_SSTATUS_SPP);
    HS_CHECK(f.hstatus & HVC_HSTATUS_SPV);
    f.sstatus &= ~HVC_SSTATUS_SPP;
    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_TRAP);
    HS_EQUAL(raw.scause, HVCORE_RISCV64_ECALL_U);
    HS_CHECK(!(f.sstatus & HVC_SSTATUS_SPP));
}

static void all_registers(void)
{
    hvc_pe *pe = here();
    hvcore_riscv64_frame f = frame_at(guest_count);
    hvc_raw_trap raw;

    for (uint64_t i = 1; i < 32; i++)
        f.x[i] = i << 56 | i << 8;
    f.x[5] = 3;
    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_TRAP);
    HS_EQUAL(raw.scause, HVCORE_RISCV64_ECALL_VS);
    HS_EQUAL(f.x[0], 0);
    HS_EQUAL(f.x[5], 0);
    for (uint64_t i = 1; i < 32; i++)
        if (i != 5)
            HS_EQUAL(f.x[i], (i << 56 | i << 8) + 3);
}

static void host_state_survives(void)
{
    hvc_pe *pe = here();
    hvcore_riscv64_frame f = frame_at(guest_ecall);
    hvc_raw_trap raw;
    uint64_t before[4], after[4];

#define HOST(v)                                                                            \
    __asm__ volatile("csrr %0, sstatus; csrr %1, stvec; csrr %2, sscratch; csrr %3, 0x600" \
                     : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]))
    __asm__ volatile("csrw sscratch, %0" : : "r"(0x1234));
    HOST(before);
    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_TRAP);
    HOST(after);
    HS_EQUAL(memcmp(before, after, sizeof(before)), 0);
}

static void refuses_host_frame(void)
{
    hvc_pe *pe = here();
    hvcore_riscv64_frame f = frame_at(guest_ecall);
    hvc_raw_trap raw;

    f.hstatus &= ~HVC_HSTATUS_SPV;
    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_FAILED);
}

static void guest_page_fault(void)
{
    hvc_pe *pe = here();
    hvcore_riscv64_frame f = frame_at(guest_load);
    hvc_raw_trap raw;

    f.x[10] = NOWHERE;
    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_TRAP);
    HS_EQUAL(raw.scause, HVCORE_RISCV64_LOAD_GUEST_PAGE);
    HS_EQUAL(raw.stval, NOWHERE + 4);
    HS_CHECK(raw.htval == 0 || raw.htval == (NOWHERE + 4) >> 2);
    HS_CHECK(f.hstatus & HVC_HSTATUS_GVA);
}

/* An instruction whose operands are a0, a5 and sp = `base`, and the htinst that belongs to it. */
typedef struct faulting {
    uint32_t code[2]; /* with its ecall */
    uint64_t offset;
    uint64_t htinst;
} faulting;

static const faulting loads_and_stores[] = {
#define NOP16 | 0x00010000
#define ECALL 0x00000073
    {{0x00452583, ECALL}, 4, 0x2583},                  /* lw a1, 4(a0) */
    {{0xfff54583, ECALL}, UINT64_MAX, 0x4583},         /* lbu a1, -1(a0) */
    {{0x00016583, ECALL}, 0, 0x6583},                  /* lwu a1, 0(sp) */
    {{0xfeb53c23, ECALL}, UINT64_MAX - 7, 0x00b03023}, /* sd a1, -8(a0) */
    {{0x7ff50fa3, ECALL}, 2047, 0x01f00023},           /* sb t6, 2047(a0) */
    {{0x414c NOP16, ECALL}, 4, 0x2581},                /* c.lw a1, 4(a0) */
    {{0x5fe4 NOP16, ECALL}, 124, 0x2481},              /* c.lw s1, 124(a5) */
    {{0x7d6c NOP16, ECALL}, 248, 0x3581},              /* c.ld a1, 248(a0) */
    {{0xc12c NOP16, ECALL}, 64, 0x00b02021},           /* c.sw a1, 64(a0) */
    {{0xe50c NOP16, ECALL}, 8, 0x00b03021},            /* c.sd a1, 8(a0) */
    {{0x55fe NOP16, ECALL}, 252, 0x2581},              /* c.lwsp a1, 252(sp) */
    {{0x7ffe NOP16, ECALL}, 504, 0x3f81},              /* c.ldsp t6, 504(sp) */
    {{0xc62e NOP16, ECALL}, 12, 0x00b02021},           /* c.swsp a1, 12(sp) */
    {{0xfffe NOP16, ECALL}, 504, 0x01f03021},          /* c.sdsp t6, 504(sp) */
};

/* Whether the hart tells the instruction or the port has to look at it. */
static void instruction_of_a_fault(void)
{
    hvc_pe *pe = here();
    hvc_raw_trap raw;

    for (unsigned i = 0; i < sizeof(loads_and_stores) / sizeof(loads_and_stores[0]); i++) {
        const faulting *l = &loads_and_stores[i];
        hvcore_riscv64_frame f = frame_at((const char *)l->code);

        f.x[2] = f.x[10] = f.x[15] = NOWHERE & ~UINT64_C(0xff);
        hs_at("number %u: ", i);
        HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_TRAP);
        HS_EQUAL(raw.scause, l->htinst & 0x20 ? HVCORE_RISCV64_STORE_GUEST_PAGE
                                              : HVCORE_RISCV64_LOAD_GUEST_PAGE);
        HS_EQUAL(raw.stval, f.x[10] + l->offset);
        HS_EQUAL(raw.htinst, l->htinst);
    }
}

/* The port's own look fails where the guest's fetch would: here V = 0 in the guest's table. It
 * stays in the guest's translation cache, perhaps; then the instruction is found. Never is it the
 * host's trap. */
static void unreadable_instruction(void)
{
    static uint64_t table[512] __attribute__((aligned(4096)));
    hvc_pe *pe = here();
    hvcore_riscv64_frame f = frame_at((const char *)loads_and_stores[0].code);
    hvc_raw_trap raw;

    f.pc += UINT64_C(0x40000000); /* only there is it mapped, and not for loads: X alone */
    table[3] = (gigapage(RAM) & ~(HVC_PTE_R | HVC_PTE_W | HVC_PTE_U));
    table[1] = gigapage(UINT64_C(0x40000000)) & ~HVC_PTE_U;
    hvc_port_set(pe, vsatp, HVC_ATP_SV39 << HVC_ATP_MODE_SHIFT | (uint64_t)(uintptr_t)table >> 12);
    hvc_port_tlb_vvma(pe);
    f.x[10] = NOWHERE & ~UINT64_C(0xfff);
    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_TRAP);
    HS_EQUAL(raw.scause, HVCORE_RISCV64_LOAD_GUEST_PAGE);
    HS_EQUAL(raw.htinst, 0x2583);
    f.pc = 0; /* as if it had been unmapped meanwhile */
    HS_EQUAL(hvc_hs_hlvx_hu(f.pc), UINT64_MAX);
    HS_EQUAL(hvc_hs_hlvx_hu(NOWHERE), UINT64_MAX);
    hvc_port_set(pe, vsatp, 0);
    hvc_port_tlb_vvma(pe);
}

/* The guest's page table lies nowhere: an implicit access, not to be taken for the instruction's.
 */
static void page_table_nowhere(void)
{
    hvc_pe *pe = here();
    hvcore_riscv64_frame f = frame_at(guest_load);
    hvc_raw_trap raw;

    hvc_port_set(pe, vsatp, HVC_ATP_SV39 << HVC_ATP_MODE_SHIFT | NOWHERE >> 12);
    hvc_port_tlb_vvma(pe);
    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_TRAP);
    HS_CHECK(raw.scause == HVCORE_RISCV64_INSN_GUEST_PAGE ||
             raw.scause == HVCORE_RISCV64_LOAD_GUEST_PAGE /* QEMU 7.2 */);
    HS_EQUAL(raw.htinst, HVC_HTINST_PSEUDO_LOAD);
    hvc_port_set(pe, vsatp, 0);
    hvc_port_tlb_vvma(pe);
}

static void flushed_translation(void)
{
    hvc_pe *pe = here();
    hvcore_riscv64_frame f = frame_at(guest_load);
    hvc_raw_trap raw;

    gstage[NOWHERE >> 30] = gigapage(0);
    hvc_port_tlb_gvma(pe);
    f.x[10] = (NOWHERE & ~UINT64_C(0x3fffffff)) + HOLE;
    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_TRAP);
    HS_EQUAL(raw.scause, HVCORE_RISCV64_LOAD_ACCESS);
    gstage[NOWHERE >> 30] = 0;
    hvc_port_tlb_gvma(pe);
    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_TRAP);
    HS_EQUAL(raw.scause, HVCORE_RISCV64_LOAD_GUEST_PAGE);
}

static void counters_readable(void)
{
    hvc_pe *pe = here();
    hvcore_riscv64_frame f = frame_at(guest_time);
    hvc_raw_trap raw;

    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_TRAP);
    HS_EQUAL(raw.scause, HVCORE_RISCV64_ECALL_VS);
    HS_CHECK(f.x[10] * 100 <= hvc_host_now());
    HS_CHECK(f.x[10] * 100 + PATIENCE * MS > hvc_host_now());
}

/* --- kick and time ---------------------------------------------------------------------------- */

/* On a busy machine the first deadlines may come before the guest's first instruction. */
static void deadline(void)
{
    hvc_pe *pe = here();
    hvcore_riscv64_frame f = frame_at(guest_spin);
    hvc_raw_trap raw;
    uint64_t until, patience = hvc_host_now() + PATIENCE * MS;

    do {
        until = hvc_host_now() + 5 * MS;
        hvc_port_timer(pe, until);
        HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_DEADLINE);
        HS_CHECK(hvc_host_now() >= until);
    } while (f.x[10] == 0 && until < patience);
    HS_CHECK(f.x[10] > 0);
    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_DEADLINE); /* still */
    hvc_port_timer(pe, hvc_host_now() + MS);
    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_DEADLINE); /* again */
}

static void kick_is_sticky(void)
{
    hvc_pe *pe = here();
    hvcore_riscv64_frame f = frame_at(guest_spin);
    hvc_raw_trap raw;

    hvc_port_kick(pe);
    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_KICKED);
    HS_EQUAL(f.x[10], 0);
    hvc_port_timer(pe, hvc_host_now() + 2 * MS);
    HS_EQUAL(hvc_port_enter(pe, &f, &raw), HVC_STOP_DEADLINE); /* and used up */
}

static hvc_pe *_Atomic other;
static _Atomic uint32_t kicks_seen, leave;

static void spin_until_told(void *arg)
{
    hvcore_riscv64_frame f = frame_at(guest_spin);
    hvc_raw_trap raw;

    (void)arg;
    other = here();
    while (!leave) {
        if (hvc_port_enter(other, &f, &raw) != HVC_STOP_KICKED)
            hs_fail("not a kick: scause 0x%llx", (unsigned long long)raw.scause);
        kicks_seen++;
    }
}

/* Every kick ends an enter that began before it or the next one, at any moment of the switch. */
static void kicks_from_the_other_hart(void)
{
    uint32_t before;

    other = NULL;
    kicks_seen = 0;
    leave = 0;
    hs_start(spin_until_told, NULL);
    while (!other)
        continue;
    for (int i = 0; i < 20000 && !hs_failed(); i++) {
        for (uint32_t pause = hs_random() % 512; pause; pause--)
            __asm__ volatile("nop");
        before = kicks_seen;
        hvc_port_kick(other);
        for (uint64_t until = hvc_host_now() + PATIENCE * MS; kicks_seen == before;)
            if (hvc_host_now() > until) {
                hs_fail("kick %d is lost", i);
                break;
            }
    }
    leave = 1;
    hvc_port_kick(other);
    hs_wait(PATIENCE);
}

static void other_harts_pe(void)
{
    HS_CHECK(other && !hvc_port_pe_current(other));
    HS_CHECK(hvc_port_pe_current(here()));
}

/* --- the ground ------------------------------------------------------------------------------- */

static _Atomic uint32_t ping, pong;

static void answer_pings(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < 5000; i++) {
        while (ping == i)
            hvc_host_park(&ping, i, HVC_FOREVER);
        pong++;
        hvc_host_unpark(&pong);
    }
}

static void park_and_unpark(void)
{
    ping = pong = 0;
    hs_start(answer_pings, NULL);
    for (uint32_t i = 0; i < 5000; i++) {
        uint64_t until = hvc_host_now() + PATIENCE * MS;

        ping++;
        hvc_host_unpark(&ping);
        while (pong == i && hvc_host_now() < until)
            hvc_host_park(&pong, i, until);
        HS_EQUAL(pong, i + 1);
    }
    hs_wait(PATIENCE);
}

static void park_ends_by_time(void)
{
    _Atomic uint32_t word = 0;
    uint64_t until = hvc_host_now() + 3 * MS;

    hvc_host_park(&word, 1, HVC_FOREVER); /* not what it expects: no sleep */
    while (hvc_host_now() < until)
        hvc_host_park(&word, 0, until);
    HS_CHECK(hvc_host_now() < until + PATIENCE * MS);
}

static hvc_lock lock;
static uint32_t shared;

static void add_under_lock(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20000; i++) {
        hvc_host_lock(&lock);
        shared++;
        hvc_host_unlock(&lock);
    }
}

static void locks(void)
{
    shared = 0;
    hs_start(add_under_lock, NULL);
    add_under_lock(NULL);
    if (hs_wait(PATIENCE))
        HS_EQUAL(shared, 40000);
}

/* The largest piece that can be had: all of the arena only if everything has grown together again.
 */
static uint64_t largest(void)
{
    uint64_t low = 0, high = UINT64_C(1) << 32;

    while (high - low > HVCORE_PAGE_SIZE) {
        uint64_t middle = (low + high) / 2 & ~UINT64_C(4095);
        void *p;
        int fd = -1, sys;

        if (hvc_host_gmem_map(middle, &fd, 0, &p, &sys) == 0) {
            hvc_host_gmem_unmap(p, middle, fd);
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool zeroed(const unsigned char *p, size_t n)
{
    while (n && !p[n - 1])
        n--;
    return n == 0;
}

static void memory(void)
{
    enum { PIECES = 64 };
    unsigned char *p[PIECES] = {NULL};
    uint64_t before = largest();
    int fd = -1, sys;
    void *q;

    for (int i = 0; i < 4000; i++) {
        unsigned n = hs_random() % PIECES;
        size_t size = hs_random() % 2000;

        hvc_host_free(p[n]);
        p[n] = hvc_host_alloc(size);
        HS_CHECK(p[n] && (uintptr_t)p[n] % 16 == 0);
        HS_CHECK(zeroed(p[n], size));
        memset(p[n], 0xa5, size);
    }
    HS_EQUAL(hvc_host_gmem_map(8192, &fd, 0, &q, &sys), 0);
    HS_CHECK((uintptr_t)q % 4096 == 0 && zeroed(q, 8192));
    hvc_host_gmem_unmap(q, 8192, fd);
    for (int i = 0; i < PIECES; i++)
        hvc_host_free(p[i]);
    HS_EQUAL(largest(), before);
}

static void memory_limits(void)
{
    int fd = -2, sys;
    void *p;

    HS_CHECK(!hvc_host_alloc(SIZE_MAX));
    HS_CHECK(!hvc_host_alloc(SIZE_MAX - 15));
    HS_CHECK(!hvc_host_alloc(UINT64_C(1) << 40));
    HS_EQUAL(hvc_host_gmem_map(4096, &fd, 0, &p, &sys), -HVCORE_E_UNSUPPORTED);
    fd = -1;
    HS_EQUAL(hvc_host_gmem_map(0, &fd, 0, &p, &sys), -HVCORE_E_INVAL);
    HS_EQUAL(hvc_host_gmem_map(UINT64_MAX & ~UINT64_C(4095), &fd, 0, &p, &sys), -HVCORE_E_NOMEM);
}

void image_main(void)
{
    static const hs_test tests[] = {
        {"facts", facts},
        {"enter and leave", enter_and_leave},
        {"all registers", all_registers},
        {"host state survives", host_state_survives},
        {"refuses a host frame", refuses_host_frame},
        {"guest page fault", guest_page_fault},
        {"instruction of a fault", instruction_of_a_fault},
        {"unreadable instruction", unreadable_instruction},
        {"page table nowhere", page_table_nowhere},
        {"flushed translation", flushed_translation},
        {"counters readable", counters_readable},
        {"deadline", deadline},
        {"kick is sticky", kick_is_sticky},
        {"kicks from the other hart", kicks_from_the_other_hart},
        {"the other hart's PE", other_harts_pe},
        {"park and unpark", park_and_unpark},
        {"park ends by time", park_ends_by_time},
        {"locks", locks},
        {"memory", memory},
        {"memory limits", memory_limits},
        {NULL, NULL},
    };

    hs_run(tests);
}
