/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest on x86_64 that adds up what it is given, by ports and by MMIO, and tells the sum:
 * whatever was lost, doubled or made up on the way shows. It begins at the reset vector, so nothing
 * has to be set before its first run. Beside it a guest that looks at each page (prober).
 */
#ifndef HVC_TESTS_KVM_WORKER_H
#define HVC_TESTS_KVM_WORKER_H

#include <signal.h>
#include <unistd.h>

#include "tests/kvm/check.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

enum {
    CODE = 0x1000,
    PROBE = 0x1800,
    HANDLER = 0x5010,
    PAGE = 0x1000,
    PAGES = 0x30,
    VECTOR = 0x40
};
enum { RAM_END = 0x10000, LOGGED = 0x20000, PLAIN = 0x28000, END = 0x2c000, TURNS = 5 };
#define RESET UINT64_C(0xfffff000)

static const uint8_t worker[] = {
    0x31, 0xdb,                    /* xor bx, bx */
    0xb8, 0x00,  0xd0, 0x8e, 0xc0, /* mov ax, 0xd000; mov es, ax: nothing is there */
    0xb9, TURNS, 0x00,             /* mov cx, TURNS */
    0xe4, 0x30,                    /* again: in al, 0x30 */
    0xb4, 0x00,  0x01, 0xc3,       /* mov ah, 0; add bx, ax */
    0xe6, 0x10,                    /* out 0x10, al */
    0x89, 0x1e,  0x00, 0x31,       /* mov [0x3100], bx */
    0x26, 0xa1,  0x08, 0x00,       /* mov ax, [es:8] */
    0x01, 0xc3,                    /* add bx, ax */
    0xe2, 0xec,                    /* loop again */
    0x89, 0xd8,  0xe7, 0x12, 0xf4  /* mov ax, bx; out 0x12, ax; hlt */
};
enum { AT_IN = CODE + 10, BEHIND_IN = CODE + 12 };

/* Reads the first byte of each page, and writes it to the second one. */
static const uint8_t prober[] = {
    0xb8, 0x00, 0x02, 0x8e, 0xc0, /* mov ax, 0x200; again: mov es, ax */
    0x26, 0x8a, 0x1e, 0x00, 0x00, /* mov bl, [es:0] */
    0x26, 0x88, 0x1e, 0x01, 0x00, /* mov [es:1], bl */
    0x05, 0x00, 0x01,             /* add ax, 0x100 */
    0x3d, 0x00, 0x30, 0x72, 0xec, /* cmp ax, 0x3000; jb again */
    0xf4                          /* hlt */
};
static const uint8_t handler[] = {0xe6, 0x80, 0xcf};                 /* out 0x80, al; iret */
static const uint8_t reset[] = {0xea, CODE & 0xff, CODE >> 8, 0, 0}; /* jmp 0:CODE */

static struct {
    hvcore_ctx *ctx;
    hvcore_vm *vm, *vm2;
    hvcore_mem *mem, *boot;
    hvcore_vcpu *vcpu, *vcpu2;
    const hvcore_exit *x;
    unsigned in, out, mmio, traps, memory;
    uint32_t sum, last; /* what the guest should have in bx; what it was given last */
    uint8_t bits[2];
    bool done;
} g;

static inline int map_at(uint64_t gpa, uint64_t len, uint32_t dirty, hvcore_error *e)
{
    hvcore_map_opts o = HVCORE_MAP_OPTS_INIT;

    o.gpa = o.offset = gpa;
    o.len = len;
    o.dirty = dirty;
    return hvcore_vm_map(g.vm, g.mem, &o, e);
}

static inline int new_vm(hvcore_vm **vm, hvcore_error *e)
{
    hvcore_vm_opts o = HVCORE_VM_OPTS_INIT;

    o.arch = HVCORE_ARCH_X86_64;
    o.backend = "kvm";
    o.max_vcpus = 4;
    return hvcore_vm_create(g.ctx, &o, vm, e);
}

static inline int new_chip(hvcore_error *e)
{
    hvcore_irqchip_opts o = HVCORE_IRQCHIP_OPTS_INIT;

    o.kind = HVCORE_IRQCHIP_PC;
    o.lines = 24;
    return hvcore_irqchip_create(g.vm, &o, e);
}

static inline void fill(void)
{
    static const uint16_t vector[] = {HANDLER, 0};
    char *at = hvcore_mem_ptr(g.mem);

    for (unsigned i = 0; i < PAGES; i++)
        at[i * PAGE] = (char)(i + 1);
    memcpy(at + 4 * 6, vector, sizeof vector);
    memcpy(at + 4 * VECTOR, vector, sizeof vector);
    memcpy(at + CODE, worker, sizeof worker);
    memcpy(at + PROBE, prober, sizeof prober);
    memcpy(at + HANDLER, handler, sizeof handler);
    memcpy((char *)hvcore_mem_ptr(g.boot) + 0xff0, reset, sizeof reset);
}

enum { CHIP = 1, NO_VCPU = 2, HANDLED = 4 };

static inline void up(unsigned how)
{
    hvcore_ctx_opts co = HVCORE_CTX_OPTS_INIT;
    hvcore_map_opts o = HVCORE_MAP_OPTS_INIT;
    hvcore_error e = HVCORE_ERROR_INIT;

    memset(&g, 0, sizeof g);
    if (how & HANDLED) {
        co.flags = HVCORE_CTX_KICK_HANDLED;
        co.kick_signal = SIGRTMIN + 3;
    }
    OK(hvcore_ctx_create(&co, &g.ctx, &e));
    OK(new_vm(&g.vm, &e));
    OK(hvcore_mem_alloc(g.ctx, PAGES * PAGE, 0, &g.mem, &e));
    OK(hvcore_mem_alloc(g.ctx, PAGE, 0, &g.boot, &e));
    fill();
    o.gpa = RESET;
    OK(hvcore_vm_map(g.vm, g.boot, &o, &e));
    OK(map_at(0, RAM_END, 0, &e));
    OK(map_at(LOGGED, PLAIN - LOGGED, 1, &e));
    OK(map_at(PLAIN, END - PLAIN, 0, &e));
    if (how & CHIP)
        OK(new_chip(&e));
    if (!(how & NO_VCPU))
        OK(hvcore_vcpu_create(g.vm, 0, NULL, &g.vcpu, &e));
}

static inline void down(void)
{
    if (g.vcpu)
        SAME(hvcore_vcpu_detach(g.vcpu), 0);
    hvcore_vcpu_unref(g.vcpu2);
    hvcore_vcpu_unref(g.vcpu);
    hvcore_vm_unref(g.vm2);
    hvcore_vm_unref(g.vm);
    hvcore_mem_unref(g.mem);
    hvcore_mem_unref(g.boot);
    hvcore_ctx_unref(g.ctx);
}

static inline uint64_t get(hvcore_reg reg)
{
    uint64_t value = 0;

    SAME(hvcore_reg_get_u64(g.vcpu, reg, &value), 0);
    return value;
}

static inline void set(hvcore_reg reg, uint64_t value)
{
    SAME(hvcore_reg_set_u64(g.vcpu, reg, value), 0);
}

static inline int run(hvcore_error *e)
{
    hvcore_run_opts o = HVCORE_RUN_OPTS_INIT;

    o.deadline_ns = hvcore_clock_ns() + UINT64_C(10000000000);
    return hvcore_vcpu_run(g.vcpu, &o, &g.x, e);
}

static inline void answer(uint32_t value)
{
    uint64_t v = value;

    SAME(hvcore_vcpu_complete(g.vcpu, &v, 1), 0);
}

static inline void taken(uint32_t value)
{
    g.in++;
    g.last = value;
    g.sum += value;
}

static inline void port(void)
{
    const hvcore_exit_pio *p = &g.x->u.pio;

    if (p->port == 0x30) {
        taken(3 + g.in);
        answer(g.last);
    } else if (p->port == 0x10) {
        g.out++;
        SAME(p->data, g.last);
    } else if (p->port == 0x80) {
        g.traps++;
    } else {
        g.done = true;
        SAME(p->port, 0x12);
        SAME(p->data, g.sum & 0xffff);
    }
}

/* What the VMM does with an exit of the worker. */
static inline void serve(void)
{
    switch (g.x->reason) {
    case HVCORE_EXIT_PIO:
        port();
        break;
    case HVCORE_EXIT_MMIO:
        SAME(g.x->u.mmio.addr, 0xd0008);
        answer(0x100 * g.mmio);
        g.sum += 0x100 * g.mmio++;
        break;
    case HVCORE_EXIT_MEMORY:
        g.memory++;
        break;
    default:
        g.done = true;
        check_that(false, __FILE__, __LINE__, "exit %s, %u, 0x%llx 0x%llx",
                   hvcore_exit_reason_name(g.x->reason), g.x->u.crash.why,
                   (unsigned long long)g.x->u.crash.code[0],
                   (unsigned long long)g.x->u.crash.code[1]);
    }
}

/* The worker runs to its end, from wherever it is. */
static inline void finish(void)
{
    uint16_t bx = 0;

    for (unsigned n = 0; n < 100 && !g.done; n++) {
        hvcore_error e = HVCORE_ERROR_INIT;
        if (!OK(run(&e)))
            return;
        serve();
    }
    SAME(g.in, TURNS);
    SAME(g.out, TURNS);
    SAME(g.mmio, TURNS);
    SAME(hvcore_vm_read(g.vm, 0x3100, &bx, 2), 0);
    SAME(bx, (g.sum - 0x100 * (TURNS - 1)) & 0xffff);
}

/* What the kernel maps is what the library says. */
static inline bool may(uint64_t gpa, uint32_t prot)
{
    hvcore_view *view = NULL;
    void *at;
    int rc = hvcore_view_get(g.vm, gpa, 1, prot, &view, &at);

    hvcore_view_put(view);
    return rc == 0;
}

static inline void probe(void)
{
    uint64_t reads = 0, writes = 0;
    hvcore_error e = HVCORE_ERROR_INIT;

    set(HVCORE_REG_X86_64_CS, 0);
    set(HVCORE_REG_X86_64_CS + 0x100, 0);
    set(HVCORE_REG_X86_64_RIP, PROBE);
    while (OK(run(&e)) && g.x->reason == HVCORE_EXIT_MMIO) {
        uint64_t page = UINT64_C(1) << g.x->u.mmio.addr / PAGE;
        *(g.x->u.mmio.write ? &writes : &reads) |= page;
        if (!g.x->u.mmio.write)
            answer(0);
    }
    SAME(g.x->reason, HVCORE_EXIT_HALT);
    for (unsigned p = 2; p < PAGES; p++) {
        const char *at = (char *)hvcore_mem_ptr(g.mem) + p * PAGE;
        bool r = may(p * PAGE, HVCORE_PROT_R), w = may(p * PAGE, HVCORE_PROT_W);
        check_that(r == !(reads >> p & 1) && w == !(writes >> p & 1), __FILE__, __LINE__,
                   "page %u: the library says %d%d, the kernel %d%d", p, r, w, !(reads >> p & 1),
                   !(writes >> p & 1));
        CHECK(!w || at[1] == at[0]);
    }
    set(HVCORE_REG_X86_64_RIP, CODE);
}

#endif
