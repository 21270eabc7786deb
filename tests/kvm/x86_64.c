/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kvm backend on x86_64: what the kernel hands on, answers, registers, memory, interrupts,
 * debugging. Guests are real-mode code in arrays, beside each its assembly.
 */
#include <cpuid.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/kvm/check.h"

#define RAM UINT64_C(0x10000)
#define CODE UINT64_C(0x1000)
#define DEVICE UINT64_C(0xd0000) /* nothing is mapped there */

static struct {
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;
    hvcore_vcpu *vcpu;
    const hvcore_exit *x;
} g;
static hvcore_error e;

static uint64_t get(hvcore_reg reg)
{
    uint64_t value = 0;

    CHECK(hvcore_reg_get_u64(g.vcpu, reg, &value) == 0);
    return value;
}

static void set(hvcore_reg reg, uint64_t value)
{
    CHECK(hvcore_reg_set_u64(g.vcpu, reg, value) == 0);
}

/* One item more than the last row: what the test wants of the VM. */
struct want {
    uint32_t vcpus, irqchip;
};

static bool up_with(const struct want *want, const uint8_t *code, size_t len)
{
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_map_opts map = HVCORE_MAP_OPTS_INIT;

    memset(&g, 0, sizeof g);
    e = (hvcore_error)HVCORE_ERROR_INIT;
    opts.arch = HVCORE_ARCH_X86_64;
    opts.backend = "kvm";
    opts.max_vcpus = want->vcpus;
    if (!OK(hvcore_ctx_create(NULL, &g.ctx, &e)) ||
        !OK(hvcore_vm_create(g.ctx, &opts, &g.vm, &e)) ||
        !OK(hvcore_mem_alloc(g.ctx, RAM, 0, &g.mem, &e)) ||
        !OK(hvcore_vm_map(g.vm, g.mem, &map, &e)))
        return false;
    if (want->irqchip) {
        hvcore_irqchip_opts chip = HVCORE_IRQCHIP_OPTS_INIT;
        chip.kind = HVCORE_IRQCHIP_PC;
        chip.lines = 24;
        OK(hvcore_irqchip_create(g.vm, &chip, &e));
    }
    if (!OK(hvcore_vcpu_create(g.vm, 0, NULL, &g.vcpu, &e)))
        return false;
    CHECK(hvcore_vm_write(g.vm, CODE, code, len) == 0);
    set(HVCORE_REG_X86_64_CS, 0);
    set(HVCORE_REG_X86_64_CS + 0x100, 0);
    set(HVCORE_REG_X86_64_DS, DEVICE >> 4);
    set(HVCORE_REG_X86_64_DS + 0x100, DEVICE);
    set(HVCORE_REG_X86_64_RSP, 0x8000);
    set(HVCORE_REG_X86_64_RFLAGS, 2);
    set(HVCORE_REG_X86_64_RIP, CODE);
    return true;
}

static bool up(const uint8_t *code, size_t len)
{
    const struct want plain = {.vcpus = 1};

    return up_with(&plain, code, len);
}

static void down(void)
{
    hvcore_vcpu_unref(g.vcpu);
    hvcore_vm_unref(g.vm);
    hvcore_mem_unref(g.mem);
    hvcore_ctx_unref(g.ctx);
}

/* Run; what comes back, 0 for a failure. A deadline keeps a test that went wrong from hanging. */
static uint32_t run(void)
{
    hvcore_run_opts o = HVCORE_RUN_OPTS_INIT;

    o.deadline_ns = hvcore_clock_ns() + UINT64_C(5000000000);
    return OK(hvcore_vcpu_run(g.vcpu, &o, &g.x, &e)) ? g.x->reason : 0;
}

static void complete(uint64_t value)
{
    CHECK(hvcore_vcpu_complete(g.vcpu, &value, 1) == 0);
}

/* --- ports and memory ------------------------------------------------------------------------- */

/* kvm_pvm carries real mode out in KVM's emulator, which looks neither at IDTR's limit nor at data
 * points, and takes memory that is gone for MMIO. */
static bool emulated(void)
{
    return access("/sys/module/kvm_pvm", F_OK) == 0;
}

/* Below the host is QEMU's own translator: its INT3 asks no nested hypervisor. */
static bool qemu(void)
{
    uint32_t a, b, c, d;

    __cpuid(0x40000000, a, b, c, d);
    return b == 0x54474354; /* TCGT */
}

static void ports(void)
{
    static const uint8_t code[] = {
        0xb8, 0x34, 0x12, /* mov ax, 0x1234 */
        0xe6, 0x10,       /* out 0x10, al */
        0xe7, 0x12,       /* out 0x12, ax */
        0xe4, 0x20,       /* in al, 0x20 */
        0x66, 0xe5, 0x24, /* in eax, 0x24 */
        0xf4              /* hlt */
    };

    if (!up(code, sizeof code))
        return;
    SAME(run(), HVCORE_EXIT_PIO);
    SAME(g.x->u.pio.port, 0x10);
    SAME(g.x->u.pio.width, 1);
    SAME(g.x->u.pio.write, 1);
    SAME(g.x->u.pio.data, 0x34);
    SAME(g.x->flags, 0);
    SAME(run(), HVCORE_EXIT_PIO);
    SAME(g.x->u.pio.width, 2);
    SAME(g.x->u.pio.data, 0x1234);
    SAME(run(), HVCORE_EXIT_PIO);
    SAME(g.x->u.pio.port, 0x20);
    SAME(g.x->u.pio.write, 0);
    SAME(g.x->flags, HVCORE_EXIT_NEEDS_COMPLETION);
    SAME(g.x->pc, CODE + 7);
    FAILS(hvcore_vcpu_run(g.vcpu, NULL, &g.x, &e), HVCORE_E_STATE);
    complete(0xffffff77);
    /* a look at the registers has the kernel finish the instruction, once */
    SAME(get(HVCORE_REG_X86_64_RAX), 0x1277);
    SAME(get(HVCORE_REG_X86_64_RIP), CODE + 9);
    SAME(get(HVCORE_REG_X86_64_RIP), CODE + 9);
    SAME(run(), HVCORE_EXIT_PIO);
    SAME(g.x->u.pio.width, 4);
    complete(0x89abcdef);
    SAME(run(), HVCORE_EXIT_HALT);
    SAME(get(HVCORE_REG_X86_64_RAX), 0x89abcdef);
    SAME(get(HVCORE_REG_X86_64_RIP), CODE + sizeof code);
    down();
}

/* Each item of a string instruction is an exit of its own. */
static void strings(void)
{
    static const uint8_t code[] = {
        0x06, 0x1f,       /* push es; pop ds */
        0xba, 0x30, 0x00, /* mov dx, 0x30 */
        0xbe, 0x00, 0x20, /* mov si, 0x2000 */
        0xb9, 0x05, 0x00, /* mov cx, 5 */
        0xf3, 0x6e,       /* rep outsb */
        0xbf, 0x00, 0x30, /* mov di, 0x3000 */
        0xb9, 0x03, 0x00, /* mov cx, 3 */
        0xf3, 0x6d,       /* rep insw */
        0xf4              /* hlt */
    };
    uint16_t got[4] = {0};

    if (!up(code, sizeof code))
        return;
    CHECK(hvcore_vm_write(g.vm, 0x2000, "hello", 5) == 0);
    for (unsigned i = 0; i < 5; i++) {
        SAME(run(), HVCORE_EXIT_PIO);
        SAME(g.x->u.pio.data, (uint8_t) "hello"[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        SAME(run(), HVCORE_EXIT_PIO);
        SAME(g.x->u.pio.width, 2);
        complete(0x1100 + i);
    }
    SAME(run(), HVCORE_EXIT_HALT);
    CHECK(hvcore_vm_read(g.vm, 0x3000, got, sizeof got) == 0);
    SAME(got[0], 0x1100);
    SAME(got[2], 0x1102);
    SAME(got[3], 0);
    down();
}

static void memory_exits(void)
{
    static const uint8_t code[] = {
        0xc7, 0x06, 0x08, 0x00, 0xfe, 0xca, /* mov word [8], 0xcafe */
        0xa0, 0x04, 0x00,                   /* mov al, [4] */
        0x66, 0x8b, 0x1e, 0x0c, 0x00,       /* mov ebx, [12] */
        0xf4                                /* hlt */
    };

    if (!up(code, sizeof code))
        return;
    SAME(run(), HVCORE_EXIT_MMIO);
    SAME(g.x->u.mmio.addr, DEVICE + 8);
    SAME(g.x->u.mmio.data, 0xcafe);
    SAME(g.x->u.mmio.width, 2);
    SAME(g.x->u.mmio.write, 1);
    CHECK(g.x->flags & HVCORE_EXIT_PC_ADVANCED && g.x->pc == CODE + 6);
    SAME(run(), HVCORE_EXIT_MMIO);
    SAME(g.x->u.mmio.addr, DEVICE + 4);
    SAME(g.x->u.mmio.width, 1);
    SAME(g.x->pc, CODE + 6);
    SAME(g.x->flags, HVCORE_EXIT_NEEDS_COMPLETION);
    complete(0x5a);
    SAME(run(), HVCORE_EXIT_MMIO);
    CHECK(hvcore_vcpu_deny(g.vcpu, &e) == 0); /* nobody is there: ones */
    SAME(get(HVCORE_REG_X86_64_RBX), 0xffffffff);
    SAME(run(), HVCORE_EXIT_HALT);
    SAME(get(HVCORE_REG_X86_64_RAX) & 0xff, 0x5a);
    down();
}

struct device {
    uint64_t last;
    unsigned reads, writes, retries;
};

static uint32_t dev_read(void *user, hvcore_vcpu *v, uint64_t at, uint32_t width, uint64_t *value)
{
    struct device *d = user;

    (void)v, (void)at, (void)width;
    if (d->retries) {
        d->retries--;
        return HVCORE_MMIO_RETRY;
    }
    d->reads++;
    *value = d->last + 1;
    return HVCORE_MMIO_DONE;
}

static uint32_t dev_write(void *user, hvcore_vcpu *v, uint64_t at, uint32_t width, uint64_t value)
{
    struct device *d = user;

    (void)v, (void)at, (void)width;
    d->writes++;
    d->last = value;
    return HVCORE_MMIO_DONE;
}

static void callbacks(void)
{
    static const uint8_t code[] = {
        0xb9, 0x64, 0x00, /* mov cx, 100 */
        0xa2, 0x00, 0x00, /* again: mov [0], al */
        0xa0, 0x00, 0x00, /* mov al, [0] */
        0xe6, 0x40,       /* out 0x40, al */
        0xe4, 0x41,       /* in al, 0x41 */
        0xe2, 0xf4,       /* loop again */
        0xf4              /* hlt */
    };
    struct device mem = {.retries = 3}, port = {0};
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    uint32_t id = 0;

    if (!up(code, sizeof code))
        return;
    ops.read = dev_read;
    ops.write = dev_write;
    OK(hvcore_vm_mmio_add(g.vm, DEVICE, 16, &ops, &mem, NULL, &e));
    OK(hvcore_vm_pio_add(g.vm, 0x40, 2, &ops, &port, &id, &e));
    FAILS(hvcore_vm_pio_add(g.vm, 0x41, 2, &ops, &port, NULL, &e), HVCORE_E_EXISTS);
    FAILS(hvcore_vm_pio_add(g.vm, 0xffff, 2, &ops, &port, NULL, &e), HVCORE_E_RANGE);
    SAME(run(), HVCORE_EXIT_HALT);
    SAME(mem.writes, 100);
    SAME(mem.reads, 100);
    SAME(port.writes, 100);
    SAME(port.reads, 100);
    SAME(get(HVCORE_REG_X86_64_RAX) & 0xff, 200); /* one more each time it is read */
    CHECK(hvcore_vm_mmio_remove(g.vm, id) == 0);
    FAILS(hvcore_vm_mmio_remove(g.vm, id), HVCORE_E_NOTFOUND);
    down();
}

static uint32_t not_now(void *user, hvcore_vcpu *v, uint64_t at, uint32_t width, uint64_t *value)
{
    (void)at, (void)width, (void)value;
    ++*(unsigned *)user;
    hvcore_vcpu_cancel(v, 7);
    return HVCORE_MMIO_RETRY;
}

/* An access that a callback has put off waits for it across runs, but not for one that is gone. */
static void put_off(void)
{
    static const uint8_t code[] = {0xa0, 0x00, 0x00, 0xf4}; /* mov al, [0]; hlt */
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;
    const uint64_t value = 5;
    unsigned calls = 0;
    uint32_t id = 0;

    if (!up(code, sizeof code))
        return;
    ops.read = not_now;
    OK(hvcore_vm_mmio_add(g.vm, DEVICE, 16, &ops, &calls, &id, &e));
    for (unsigned i = 1; i <= 3; i++) {
        SAME(run(), HVCORE_EXIT_CANCELLED);
        SAME(calls, i);
        FAILS(hvcore_vcpu_complete(g.vcpu, &value, 1), HVCORE_E_STATE);
        FAILS(hvcore_vcpu_deny(g.vcpu, &e), HVCORE_E_STATE);
    }
    CHECK(hvcore_vm_mmio_remove(g.vm, id) == 0);
    SAME(run(), HVCORE_EXIT_MMIO);
    SAME(calls, 3);
    complete(0x66);
    SAME(run(), HVCORE_EXIT_HALT);
    SAME(get(HVCORE_REG_X86_64_RAX) & 0xff, 0x66);
    down();
}

/* --- system registers, exceptions ------------------------------------------------------------- */

static void unknown_msr(void)
{
    static const uint8_t code[] = {
        0x66, 0xb9, 0x00, 0x00, 0x00, 0x12, /* mov ecx, 0x12000000 */
        0x0f, 0x32,                         /* rdmsr */
        0x0f, 0x32,                         /* rdmsr: #GP, vector 13 at 0x34 */
        0xf4                                /* hlt */
    };
    static const uint8_t handler[] = {0xb0, 0x0d, 0xe6, 0x80}; /* mov al, 13; out 0x80, al */
    static const uint16_t vector[] = {0x5000, 0};

    if (!up(code, sizeof code))
        return;
    CHECK(hvcore_vm_write(g.vm, 13 * 4, vector, sizeof vector) == 0);
    CHECK(hvcore_vm_write(g.vm, 0x5000, handler, sizeof handler) == 0);
    uint32_t reason = run();
    if (reason == HVCORE_EXIT_PIO) {
        down();
        SKIP("this kernel lacks KVM_CAP_X86_USER_SPACE_MSR: the guest got #GP at once");
    }
    SAME(reason, HVCORE_EXIT_SYSREG);
    SAME(g.x->u.sysreg.id, 0x12000000);
    SAME(g.x->u.sysreg.mask, 0);
    complete(UINT64_C(0x1122334455667788));
    SAME(run(), HVCORE_EXIT_SYSREG);
    SAME(get(HVCORE_REG_X86_64_RAX), 0x55667788);
    SAME(get(HVCORE_REG_X86_64_RDX), 0x11223344);
    CHECK(hvcore_vcpu_deny(g.vcpu, &e) == 0);
    SAME(run(), HVCORE_EXIT_PIO);
    SAME(g.x->u.pio.data, 13);
    down();
}

static void injected(void)
{
    static const uint8_t code[] = {0xe6, 0x10, 0xf4};          /* out 0x10, al; hlt */
    static const uint8_t handler[] = {0xb0, 0x06, 0xe6, 0x80}; /* mov al, 6; out 0x80, al */
    static const uint16_t vector[] = {0x5000, 0};
    hvcore_inject what = HVCORE_INJECT_INIT;

    if (!up(code, sizeof code))
        return;
    CHECK(hvcore_vm_write(g.vm, 6 * 4, vector, sizeof vector) == 0);
    CHECK(hvcore_vm_write(g.vm, 0x5000, handler, sizeof handler) == 0);
    SAME(run(), HVCORE_EXIT_PIO);
    what.cause = 2;
    FAILS(hvcore_vcpu_inject(g.vcpu, &what, &e), HVCORE_E_INVAL);
    what.cause = 32;
    FAILS(hvcore_vcpu_inject(g.vcpu, &what, &e), HVCORE_E_INVAL);
    what.cause = 6;
    OK(hvcore_vcpu_inject(g.vcpu, &what, &e));
    FAILS(hvcore_vcpu_inject(g.vcpu, &what, &e), HVCORE_E_STATE);
    SAME(run(), HVCORE_EXIT_PIO);
    SAME(g.x->u.pio.port, 0x80);
    SAME(g.x->u.pio.data, 6);
    down();
}

/* A fault without an IDT that could take it. */
static void triple_fault(void)
{
    static const uint8_t code[] = {0x0f, 0x0b}; /* ud2 */

    if (emulated())
        SKIP("kvm_pvm's emulator does not look at IDTR's limit in real mode");
    if (!up(code, sizeof code))
        return;
    set(HVCORE_REG_X86_64_ES + 0x100 * 4 * 9 + 0x200, 0); /* idtr's limit */
    SAME(run(), HVCORE_EXIT_CRASH);
    SAME(g.x->u.crash.why, HVCORE_CRASH_TRIPLE_FAULT);
    down();
}

/* --- registers -------------------------------------------------------------------------------- */

static void registers(void)
{
    static const uint8_t code[] = {0xf4};
    uint64_t value;
    uint8_t bytes[16];
    hvcore_reg reg;

    if (!up(code, sizeof code))
        return;
    for (uint32_t i = 0; i < 16; i++)
        set(HVCORE_REG_X86_64_RAX + (i << 8), UINT64_C(0x0123456789abcd00) + i);
    set(HVCORE_REG_X86_64_RSP, 0x8000);
    set(HVCORE_REG_X86_64_TSC, 12345);
    SAME(run(), HVCORE_EXIT_HALT);
    for (uint32_t i = 0; i < 16; i++)
        SAME(get(HVCORE_REG_X86_64_RAX + (i << 8)),
             i == 4 ? 0x8000 : UINT64_C(0x0123456789abcd00) + i);
    SAME(get(HVCORE_REG_X86_64_CS + 0x300) & 0x80, 0x80); /* P */
    CHECK(get(HVCORE_REG_X86_64_TSC) > 12345);
    for (uint32_t i = 0; (reg = hvcore_reg_at(HVCORE_ARCH_X86_64, i)) != 0; i++) {
        const char *name = hvcore_reg_name(HVCORE_ARCH_X86_64, reg);
        hvcore_reg back = 0;
        CHECK(name && hvcore_reg_parse(HVCORE_ARCH_X86_64, name, &back) == 0 && back == reg);
        check_that(hvcore_reg_get_u64(g.vcpu, reg, &value) == 0, __FILE__, __LINE__, "%s", name);
    }
    SAME(get(HVCORE_REG_MP_STATE), 0); /* runnable */
    set(HVCORE_REG_MP_STATE, 0);
    FAILS(hvcore_reg_set_u64(g.vcpu, HVCORE_REG_MP_STATE, 77), HVCORE_E_INVAL);
    FAILS(hvcore_reg_get_u64(g.vcpu, HVCORE_REG_MP_STATE + 0x100, &value), HVCORE_E_NOTFOUND);
    FAILS(hvcore_reg_get_u64(g.vcpu, 0x01000004, &value), HVCORE_E_TYPE);
    FAILS(hvcore_reg_get_u64(g.vcpu, 0x01001208, &value), HVCORE_E_NOTFOUND);
    FAILS(hvcore_reg_get_u64(g.vcpu, 0x02000108, &value), HVCORE_E_NOTFOUND); /* cr1 */
    FAILS(hvcore_reg_get_u64(g.vcpu, 0x06ffff08, &value), HVCORE_E_NOTFOUND);
    FAILS(hvcore_reg_get_bytes(g.vcpu, 0x01000008, NULL), HVCORE_E_INVAL);
    CHECK(hvcore_reg_get_bytes(g.vcpu, 0x01000108, bytes) == 0);
    SAME(bytes[0], 1);
    SAME(bytes[8], 0);
    down();
}

/* --- interrupts ------------------------------------------------------------------------------- */

/* Without the kernel's APIC: a vector waits until the guest can take it. */
static void vectors(void)
{
    static const uint8_t code[] = {
        0xe6, 0x10,                   /* out 0x10, al: interrupts are off */
        0xfb,                         /* sti */
        0xb9, 0xff, 0xff, 0xe2, 0xfe, /* mov cx, 0xffff; loop here */
        0xe6, 0x11,                   /* out 0x11, al */
        0xf4,                         /* hlt */
        0xe6, 0x12,                   /* out 0x12, al */
        0xf4                          /* hlt */
    };
    static const uint8_t handler[] = {0xe6, 0x80, 0xcf}; /* out 0x80, al; iret */
    static const uint16_t vector[] = {0x5000, 0};
    uint16_t seen[4] = {0};
    unsigned n = 0;

    if (!up(code, sizeof code))
        return;
    for (unsigned i = 0x40; i < 0x42; i++)
        CHECK(hvcore_vm_write(g.vm, 4 * i, vector, sizeof vector) == 0);
    CHECK(hvcore_vm_write(g.vm, 0x5000, handler, sizeof handler) == 0);
    FAILS(hvcore_vcpu_irq(g.vcpu, 256, 1), HVCORE_E_RANGE);
    CHECK(hvcore_vcpu_irq(g.vcpu, 0x40, 1) == 0);
    CHECK(hvcore_vcpu_irq(g.vcpu, 0x41, 1) == 0);
    CHECK(hvcore_vcpu_irq(g.vcpu, 0x42, 1) == 0);
    CHECK(hvcore_vcpu_irq(g.vcpu, 0x42, 0) == 0);
    while (n < 4 && run() == HVCORE_EXIT_PIO)
        seen[n++] = g.x->u.pio.port;
    SAME(n, 4);
    SAME(seen[0], 0x10);
    SAME(seen[1], 0x80);
    SAME(seen[2], 0x80);
    SAME(seen[3], 0x11);
    SAME(run(), HVCORE_EXIT_HALT);
    down();
}

static void *later(void *arg)
{
    (void)arg;
    usleep(20000);
    hvcore_vcpu_irq(g.vcpu, 0x40, 1);
    return NULL;
}

/* HLT waits inside the run, if asked to, for an interrupt that another thread brings. */
static void halt_waits(void)
{
    static const uint8_t code[] = {0xfb, 0xf4, 0xe6, 0x12}; /* sti; hlt; out 0x12, al */
    static const uint8_t handler[] = {0xb0, 0x77, 0xcf};    /* mov al, 0x77; iret */
    static const uint16_t vector[] = {0x5000, 0};
    hvcore_run_opts o = HVCORE_RUN_OPTS_INIT;
    pthread_t thread;

    if (!up(code, sizeof code))
        return;
    CHECK(hvcore_vm_write(g.vm, 4 * 0x40, vector, sizeof vector) == 0);
    CHECK(hvcore_vm_write(g.vm, 0x5000, handler, sizeof handler) == 0);
    o.flags = HVCORE_RUN_WAIT;
    o.deadline_ns = hvcore_clock_ns() + 50000000;
    CHECK(OK(hvcore_vcpu_run(g.vcpu, &o, &g.x, &e)) && g.x->reason == HVCORE_EXIT_DEADLINE);
    /* the caller has seen that it waits, and decides that it goes on: it waits no more */
    set(HVCORE_REG_X86_64_RIP, CODE);
    pthread_create(&thread, NULL, later, NULL);
    o.deadline_ns = hvcore_clock_ns() + UINT64_C(5000000000);
    OK(hvcore_vcpu_run(g.vcpu, &o, &g.x, &e));
    SAME(g.x->reason, HVCORE_EXIT_PIO);
    SAME(g.x->u.pio.data, 0x77);
    pthread_join(thread, NULL);
    down();
}

/* The kernel's PIC: line 3 is vector 0x23 after the usual set-up. */
static const uint8_t pic_code[] = {
    0xb0, 0x11, 0xe6, 0x20, /* ICW1 */
    0xb0, 0x20, 0xe6, 0x21, /* ICW2: vectors from 0x20 */
    0xb0, 0x04, 0xe6, 0x21, /* ICW3 */
    0xb0, 0x03, 0xe6, 0x21, /* ICW4: automatic end */
    0xb0, 0xf7, 0xe6, 0x21, /* all but line 3 are masked */
    0xe6, 0x10,             /* out 0x10, al: ready */
    0xfb,                   /* sti */
    0xf4, 0xeb, 0xfd        /* hlt, again and again */
};
static const uint8_t pic_handler[] = {0xe6, 0x80, 0xcf}; /* out 0x80, al; iret */

static bool up_pic(void)
{
    const struct want want = {.vcpus = 1, .irqchip = 1};
    static const uint16_t vector[] = {0x5000, 0};

    if (!up_with(&want, pic_code, sizeof pic_code))
        return false;
    CHECK(hvcore_vm_write(g.vm, 4 * 0x23, vector, sizeof vector) == 0);
    CHECK(hvcore_vm_write(g.vm, 0x5000, pic_handler, sizeof pic_handler) == 0);
    SAME(run(), HVCORE_EXIT_PIO);
    SAME(g.x->u.pio.port, 0x10);
    return true;
}

static void irqchip(void)
{
    hvcore_irqchip_opts chip = HVCORE_IRQCHIP_OPTS_INIT;
    uint64_t one = 1;
    int fd;

    if (!up_pic())
        return;
    chip.kind = HVCORE_IRQCHIP_PC;
    chip.lines = 24;
    FAILS(hvcore_irqchip_create(g.vm, &chip, &e), HVCORE_E_STATE);
    FAILS(hvcore_vcpu_irq(g.vcpu, 0x40, 1), HVCORE_E_STATE);
    FAILS(hvcore_vm_irq(g.vm, 24, 1), HVCORE_E_RANGE);
    CHECK(hvcore_vm_irq(g.vm, 3, 1) == 0);
    CHECK(hvcore_vm_irq(g.vm, 3, 0) == 0);
    SAME(run(), HVCORE_EXIT_PIO);
    SAME(g.x->u.pio.port, 0x80);

    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    OK(hvcore_vm_irqfd(g.vm, 3, fd, -1, 1, &e));
    FAILS(hvcore_vm_irqfd(g.vm, 3, fd, -1, 1, &e), HVCORE_E_EXISTS);
    FAILS(hvcore_vm_irqfd(g.vm, 24, fd, -1, 1, &e), HVCORE_E_RANGE);
    CHECK(write(fd, &one, sizeof one) == sizeof one);
    SAME(run(), HVCORE_EXIT_PIO);
    SAME(g.x->u.pio.port, 0x80);
    OK(hvcore_vm_irqfd(g.vm, 3, fd, -1, 0, &e));
    close(fd);
    down();
}

static void ioevent(void)
{
    static const uint8_t code[] = {
        0xb0, 0x05, 0xa2, 0x00, 0x00, /* mov [0], 5 */
        0xb0, 0x07, 0xa2, 0x00, 0x00, /* mov [0], 7 */
        0xe6, 0x55,                   /* out 0x55, al */
        0xf4                          /* hlt */
    };
    hvcore_ioevent io = HVCORE_IOEVENT_INIT, port = HVCORE_IOEVENT_INIT;
    uint64_t count = 0;

    if (!up(code, sizeof code))
        return;
    io.addr = DEVICE;
    io.width = 1;
    io.flags = HVCORE_IOEVENT_MATCH;
    io.value = 5;
    io.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    OK(hvcore_vm_ioevent(g.vm, &io, &e));
    port.addr = 0x55;
    port.width = 1;
    port.flags = HVCORE_IOEVENT_PIO;
    port.fd = io.fd;
    OK(hvcore_vm_ioevent(g.vm, &port, &e));
    SAME(run(), HVCORE_EXIT_MMIO); /* 5 went to the eventfd */
    SAME(g.x->u.mmio.data, 7);
    SAME(run(), HVCORE_EXIT_HALT);
    CHECK(read(io.fd, &count, sizeof count) == sizeof count);
    SAME(count, 2);
    io.flags |= HVCORE_IOEVENT_REMOVE;
    OK(hvcore_vm_ioevent(g.vm, &io, &e));
    FAILS(hvcore_vm_ioevent(g.vm, &io, &e), HVCORE_E_NOTFOUND);
    io.flags = 8;
    FAILS(hvcore_vm_ioevent(g.vm, &io, &e), HVCORE_E_INVAL);
    close(io.fd);
    down();
}

/* --- debugging -------------------------------------------------------------------------------- */

static void steps(void)
{
    static const uint8_t code[] = {0x90, 0x40, 0x43,
                                   0xcc, 0x90, 0xf4}; /* nop inc inc int3 nop hlt */
    hvcore_debug_opts o = HVCORE_DEBUG_OPTS_INIT;

    if (!up(code, sizeof code))
        return;
    o.flags = HVCORE_DEBUG_STEP;
    OK(hvcore_vcpu_debug_set(g.vcpu, &o, &e));
    for (unsigned i = 1; i <= 3; i++) {
        SAME(run(), HVCORE_EXIT_DEBUG);
        SAME(g.x->u.debug.kind, HVCORE_DEBUG_KIND_STEP);
        SAME(g.x->pc, CODE + i);
    }
    if (emulated() || qemu()) { /* where INT3 is not intercepted */
        down();
        return;
    }
    o.flags = HVCORE_DEBUG_BREAKPOINTS;
    OK(hvcore_vcpu_debug_set(g.vcpu, &o, &e));
    SAME(run(), HVCORE_EXIT_DEBUG);
    SAME(g.x->u.debug.kind, HVCORE_DEBUG_KIND_BREAKPOINT);
    SAME(g.x->pc, CODE + 3);
    set(HVCORE_REG_X86_64_RIP, CODE + 4);
    o.flags = 0;
    OK(hvcore_vcpu_debug_set(g.vcpu, &o, &e));
    SAME(run(), HVCORE_EXIT_HALT);
    down();
}

static void points(void)
{
    static const uint8_t code[] = {
        0x06, 0x1f,       /* push es; pop ds */
        0x90,             /* nop */
        0xa2, 0x00, 0x30, /* mov [0x3000], al */
        0xf4              /* hlt */
    };
    hvcore_debug_opts o = HVCORE_DEBUG_OPTS_INIT;

    if (!up(code, sizeof code))
        return;
    o.count = 2;
    o.point[0] = (hvcore_debug_point){.addr = CODE + 2, .kind = HVCORE_DEBUG_POINT_EXECUTE};
    o.point[1] = (hvcore_debug_point){.addr = 0x3000, .kind = HVCORE_DEBUG_POINT_WRITE, .len = 1};
    OK(hvcore_vcpu_debug_set(g.vcpu, &o, &e));
    SAME(run(), HVCORE_EXIT_DEBUG);
    SAME(g.x->u.debug.kind, HVCORE_DEBUG_KIND_POINT);
    SAME(g.x->u.debug.status & 15, 1);
    SAME(g.x->pc, CODE + 2);
    o.point[0] = o.point[1];
    o.count = 1;
    OK(hvcore_vcpu_debug_set(g.vcpu, &o, &e));
    if (!emulated()) {
        SAME(run(), HVCORE_EXIT_DEBUG);
        SAME(g.x->pc, CODE + 6);
    }
    o.count = 5;
    FAILS(hvcore_vcpu_debug_set(g.vcpu, &o, &e), HVCORE_E_LIMIT);
    o.count = 1;
    o.point[0].len = 3;
    FAILS(hvcore_vcpu_debug_set(g.vcpu, &o, &e), HVCORE_E_INVAL);
    down();
}

/* --- memory ----------------------------------------------------------------------------------- */

static int map_at(uint64_t gpa, uint64_t offset, uint64_t len, uint32_t prot, uint32_t dirty)
{
    hvcore_map_opts o = HVCORE_MAP_OPTS_INIT;

    o.gpa = gpa;
    o.offset = offset;
    o.len = len;
    o.prot = prot;
    o.dirty = dirty;
    return hvcore_vm_map(g.vm, g.mem, &o, &e);
}

/* One page of the guest's RAM is cut out of the middle: an access there is MMIO, beside it RAM. */
static void cut(void)
{
    static const uint8_t code[] = {
        0x06, 0x1f,       /* push es; pop ds */
        0xa2, 0x00, 0x4f, /* mov [0x4f00], al: before */
        0xa2, 0x00, 0x50, /* mov [0x5000], al: cut out */
        0xa2, 0x00, 0x60, /* mov [0x6000], al: behind */
        0xf4              /* hlt */
    };

    if (!up(code, sizeof code))
        return;
    OK(hvcore_vm_unmap(g.vm, 0x5000, 0x1000, &e));
    SAME(run(), HVCORE_EXIT_MMIO);
    SAME(g.x->u.mmio.addr, 0x5000);
    SAME(run(), HVCORE_EXIT_HALT);
    FAILS(hvcore_vm_unmap(g.vm, 0x5000, 0x1000, &e), HVCORE_E_NOTFOUND);
    OK(map_at(0x5000, 0x5000, 0x1000, HVCORE_PROT_RWX, 0));
    set(HVCORE_REG_X86_64_RIP, CODE);
    SAME(run(), HVCORE_EXIT_HALT);
    FAILS(map_at(0x20000, 0, 0x1000, HVCORE_PROT_R | HVCORE_PROT_W, 0), HVCORE_E_UNSUPPORTED);
    FAILS(map_at(UINT64_C(1) << 60, 0, 0x1000, HVCORE_PROT_RWX, 0), HVCORE_E_SYS);
    OK(hvcore_vm_protect(g.vm, 0x6000, 0x1000, HVCORE_PROT_R | HVCORE_PROT_X, &e));
    set(HVCORE_REG_X86_64_RIP, CODE);
    SAME(run(), HVCORE_EXIT_MMIO);
    SAME(g.x->u.mmio.addr, 0x6000);
    SAME(g.x->u.mmio.write, 1);
    SAME(run(), HVCORE_EXIT_HALT);
    down();
}

static void dirty(void)
{
    static const uint8_t code[] = {
        0xb8, 0x00, 0x20, 0x8e, 0xd8, /* mov ax, 0x2000; mov ds, ax: 0x20000 */
        0xa2, 0x00, 0x30,             /* mov [0x3000], al */
        0xa2, 0x00, 0x50,             /* mov [0x5000], al */
        0xf4                          /* hlt */
    };
    uint8_t map[2] = {0};

    if (!up(code, sizeof code))
        return;
    OK(map_at(0x20000, 0, 0x8000, HVCORE_PROT_RWX, 1));
    FAILS(hvcore_vm_dirty_get(g.vm, 0, 0x1000, map, 0, &e), HVCORE_E_NOTFOUND);
    FAILS(hvcore_vm_dirty_get(g.vm, 0x20000, 0x9000, map, 0, &e), HVCORE_E_NOTFOUND);
    SAME(run(), HVCORE_EXIT_HALT);
    CHECK(hvcore_vm_write(g.vm, 0x27fff, "x", 1) == 0);
    OK(hvcore_vm_dirty_get(g.vm, 0x20000, 0x8000, map, HVCORE_DIRTY_KEEP, &e));
    SAME(map[0], 1 << 3 | 1 << 5 | 1 << 7);
    /* the log survives a cut of the mapping */
    OK(hvcore_vm_unmap(g.vm, 0x24000, 0x1000, &e));
    OK(hvcore_vm_dirty_get(g.vm, 0x25000, 0x3000, map, 0, &e));
    SAME(map[0], 1 << 0 | 1 << 2);
    OK(hvcore_vm_dirty_get(g.vm, 0x25000, 0x3000, map, 0, &e));
    SAME(map[0], 0);
    OK(hvcore_vm_dirty_get(g.vm, 0x20000, 0x4000, map, 0, &e));
    SAME(map[0], 1 << 3);
    down();
}

/* The host takes the memory away below a guest: a named exit, not a loop, and it goes on after. */
static void memory_gone(void)
{
    static const uint8_t code[] = {0x06, 0x1f, 0xa2, 0x00, 0x00, 0xf4}; /* mov [0], al in es */
    hvcore_mem *mem = NULL;
    hvcore_map_opts o = HVCORE_MAP_OPTS_INIT;
    void *host = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (emulated())
        SKIP("kvm_pvm's emulator takes memory that is gone for MMIO");
    if (!up(code, sizeof code) || !CHECK(host != MAP_FAILED))
        return;
    OK(hvcore_mem_adopt(g.ctx, host, 0x1000, NULL, NULL, &mem, &e));
    o.gpa = 0x30000;
    OK(hvcore_vm_map(g.vm, mem, &o, &e));
    set(HVCORE_REG_X86_64_ES, 0x3000);
    set(HVCORE_REG_X86_64_ES + 0x100, 0x30000);
    set(HVCORE_REG_X86_64_DS, 0x3000);
    set(HVCORE_REG_X86_64_DS + 0x100, 0x30000);
    set(HVCORE_REG_X86_64_RIP, CODE + 2);
    munmap(host, 0x1000);
    SAME(run(), HVCORE_EXIT_MEMORY);
    CHECK(g.x->u.memory.sys_errno != 0);
    CHECK(mmap(host, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
               0) == host);
    SAME(run(), HVCORE_EXIT_HALT);
    down();
    hvcore_mem_unref(mem);
    munmap(host, 0x1000);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void statistics(void)
{
    static const uint8_t code[] = {0xe6, 0x10, 0xf4};
    hvcore_kernel_stat stat = HVCORE_KERNEL_STAT_INIT;
    uint32_t n = 0, exits = 0;

    if (!up(code, sizeof code))
        return;
    SAME(run(), HVCORE_EXIT_PIO);
    for (; hvcore_vm_kernel_stat(g.vm, 0, n, &stat, &e) == 0; n++)
        exits += !strcmp(stat.name, "exits") && stat.value > 0;
    CHECK(n > 5 && exits == 1);
    SAME(e.code, -HVCORE_E_NOTFOUND);
    CHECK(hvcore_vm_kernel_stat(g.vm, UINT32_MAX, 0, &stat, &e) == 0);
    FAILS(hvcore_vm_kernel_stat(g.vm, 7, 0, &stat, &e), HVCORE_E_NOTFOUND);
    down();
}

static void duties(void)
{
    static const uint8_t code[] = {0xf4};
    hvcore_duty_info info = HVCORE_DUTY_INFO_INIT;

    if (!up(code, sizeof code))
        return;
    for (uint32_t i = 0; i < HVCORE_DUTIES; i++) {
        OK(hvcore_vm_duty_info(g.vm, i, &info, &e));
        SAME(info.duty, i);
        CHECK(info.release[0] && info.why[0] && !info.counters_valid);
        printf("# %s: %s: %s\n", hvcore_duty_name(i), hvcore_duty_source_name(info.source),
               info.why);
        FAILS(hvcore_vm_hide(g.vm, i, &e), HVCORE_E_UNSUPPORTED);
    }
    FAILS(hvcore_vm_duty_info(g.vm, HVCORE_DUTIES, &info, &e), HVCORE_E_RANGE);
    down();
}

static void refused(void)
{
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_ctx_opts co = HVCORE_CTX_OPTS_INIT;
    hvcore_vcpu_opts off = HVCORE_VCPU_OPTS_INIT;
    hvcore_run_opts limit = HVCORE_RUN_OPTS_INIT;
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_vcpu *v;
    static const uint8_t code[] = {0xf4};

    opts.backend = "kvm";
    opts.arch = HVCORE_ARCH_X86_64;
    co.kick_signal = 9;
    OK(hvcore_ctx_create(&co, &ctx, &e));
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_INVAL);
    hvcore_ctx_unref(ctx);
    OK(hvcore_ctx_create(NULL, &ctx, &e));
    opts.flags = HVCORE_VM_EL2;
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_UNSUPPORTED);
    opts.flags = 0;
    opts.isa = 1;
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_UNSUPPORTED);
    opts.isa = 0;
    opts.schedule = HVCORE_SCHEDULE_LOCKSTEP;
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_UNSUPPORTED);
    opts.schedule = 0;
    opts.arch = HVCORE_ARCH_ARM64;
    FAILS(hvcore_vm_create(ctx, &opts, &vm, &e), HVCORE_E_UNSUPPORTED);
    hvcore_ctx_unref(ctx);
    if (!up(code, sizeof code))
        return;
    off.flags = HVCORE_VCPU_OFF;
    limit.max_insns = 1;
    FAILS(hvcore_vcpu_run(g.vcpu, &limit, &g.x, &e), HVCORE_E_UNSUPPORTED);
    FAILS(hvcore_vcpu_create(g.vm, 1, NULL, &v, &e), HVCORE_E_RANGE);
    hvcore_vcpu_unref(g.vcpu);
    g.vcpu = NULL;
    FAILS(hvcore_vcpu_create(g.vm, 0, &off, &v, &e), HVCORE_E_UNSUPPORTED);
    FAILS(hvcore_vcpu_create(g.vm, 0, NULL, &v, &e), HVCORE_E_EXISTS); /* KVM's rule */
    down();
}

int main(void)
{
    static const check_test tests[] = {
        {"ports", ports},
        {"string instructions", strings},
        {"loads and stores", memory_exits},
        {"callbacks, retries", callbacks},
        {"an access that is put off", put_off},
        {"an unknown MSR", unknown_msr},
        {"an injected exception", injected},
        {"triple fault", triple_fault},
        {"registers", registers},
        {"interrupts by vector", vectors},
        {"HLT waits", halt_waits},
        {"the kernel's interrupt controller, irqfd", irqchip},
        {"ioeventfd", ioevent},
        {"steps and breakpoints", steps},
        {"hardware points", points},
        {"memory that is cut", cut},
        {"dirty log", dirty},
        {"memory that the host takes away", memory_gone},
        {"the kernel's statistics", statistics},
        {"duties", duties},
        {"what is refused", refused},
        {NULL, NULL},
    };

    return check_all(tests);
}
