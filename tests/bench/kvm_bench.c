/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kvm backend costs beside bare ioctls on the same /dev/kvm (x86_64): the same guest, the
 * same exits, the general registers readable after each (KVM_CAP_SYNC_REGS on both sides).
 */
#ifndef __x86_64__
#include <stdio.h>
int main(void)
{
    puts("kvm_bench: for x86_64 hosts");
    return 0;
}
#else
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hvcore/hvcore.h>

#include "tests/bench/bench.h"

#define DEVICE UINT64_C(0x10000000)
enum { RAM = 2 << 20, CODE = 0x1000 };

static const uint8_t out_loop[] = {0xe6, 0x10, 0xeb, 0xfc};         /* out 0x10, al; jmp */
static const uint8_t in_loop[] = {0xe4, 0x10, 0xeb, 0xfc};          /* in al, 0x10; jmp */
static const uint8_t store_loop[] = {0xa2, 0x00, 0x00, 0xeb, 0xfb}; /* mov [0], al; jmp */
static const uint8_t hlt[] = {0xf4};

static volatile uint64_t sink;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- bare ioctls ----------------------------------------------------------------------------- */

typedef struct bare {
    int kvm, vm, vcpu;
    size_t size;
    struct kvm_run *run;
    void *memory;
} bare;

static void must(long rc, const char *what)
{
    if (rc < 0)
        die(what);
}

static struct kvm_cpuid2 *cpuid;

static void bare_cpuid(const bare *b)
{
    enum { MOST = 256 };
    if (!cpuid)
        cpuid = calloc(1, sizeof *cpuid + MOST * sizeof cpuid->entries[0]);
    cpuid->nent = MOST;
    must(ioctl(b->kvm, KVM_GET_SUPPORTED_CPUID, cpuid), "KVM_GET_SUPPORTED_CPUID");
    must(ioctl(b->vcpu, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
}

static void bare_new(bare *b)
{
    struct kvm_userspace_memory_region slot = {.memory_size = RAM};
    uint64_t map = 0xfffbc000;

    b->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    must(b->kvm, "/dev/kvm");
    b->vm = ioctl(b->kvm, KVM_CREATE_VM, 0);
    must(b->vm, "KVM_CREATE_VM");
    must(ioctl(b->vm, KVM_SET_IDENTITY_MAP_ADDR, &map), "KVM_SET_IDENTITY_MAP_ADDR");
    must(ioctl(b->vm, KVM_SET_TSS_ADDR, 0xfffbd000), "KVM_SET_TSS_ADDR");
    b->memory = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    slot.userspace_addr = (uintptr_t)b->memory;
    must(ioctl(b->vm, KVM_SET_USER_MEMORY_REGION, &slot), "KVM_SET_USER_MEMORY_REGION");
    b->vcpu = ioctl(b->vm, KVM_CREATE_VCPU, 0);
    must(b->vcpu, "KVM_CREATE_VCPU");
    b->size = (size_t)ioctl(b->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    b->run = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, b->vcpu, 0);
    bare_cpuid(b);
    b->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
}

static void bare_code(const bare *b, const uint8_t *code, size_t len)
{
    struct kvm_regs regs = {.rip = CODE, .rflags = 2};
    struct kvm_sregs sregs;

    b->run->immediate_exit = 1; /* what is pending is finished first */
    (void)ioctl(b->vcpu, KVM_RUN, 0);
    b->run->immediate_exit = 0;
    memcpy((char *)b->memory + CODE, code, len);
    must(ioctl(b->vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
    sregs.cs.base = sregs.cs.selector = 0;
    sregs.ds.base = DEVICE;
    must(ioctl(b->vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
    must(ioctl(b->vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void bare_drop(const bare *b)
{
    munmap(b->run, b->size);
    close(b->vcpu);
    close(b->vm);
    close(b->kvm);
    munmap(b->memory, RAM);
}

static bare raw;

static void raw_exits(uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        must(ioctl(raw.vcpu, KVM_RUN, 0), "KVM_RUN");
        sink += raw.run->s.regs.regs.rip + raw.run->exit_reason;
    }
}

static void raw_in(uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        must(ioctl(raw.vcpu, KVM_RUN, 0), "KVM_RUN");
        *((uint8_t *)raw.run + raw.run->io.data_offset) = (uint8_t)i;
        sink += raw.run->s.regs.regs.rip;
    }
}

static void raw_life(uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        bare b;
        bare_new(&b);
        bare_code(&b, hlt, sizeof hlt);
        must(ioctl(b.vcpu, KVM_RUN, 0), "KVM_RUN");
        sink += b.run->exit_reason;
        bare_drop(&b);
    }
}

/* ---- hvcore ---------------------------------------------------------------------------------- */

static hvcore_error err = HVCORE_ERROR_INIT;
static hvcore_ctx *ctx;

#define CHECK(call)                                                        \
    do {                                                                   \
        if ((call) != 0) {                                                 \
            fprintf(stderr, "bench: %s failed: %s\n", #call, err.message); \
            exit(1);                                                       \
        }                                                                  \
    } while (0)

typedef struct ours {
    hvcore_vm *vm;
    hvcore_mem *mem;
    hvcore_vcpu *cpu;
} ours;

static void ours_new(ours *o)
{
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_map_opts map = HVCORE_MAP_OPTS_INIT;

    opts.arch = HVCORE_ARCH_X86_64;
    opts.backend = "kvm";
    CHECK(hvcore_vm_create(ctx, &opts, &o->vm, &err));
    CHECK(hvcore_mem_alloc(ctx, RAM, 0, &o->mem, &err));
    CHECK(hvcore_vm_map(o->vm, o->mem, &map, &err));
    CHECK(hvcore_vcpu_create(o->vm, 0, NULL, &o->cpu, &err));
}

static void ours_code(const ours *o, const uint8_t *code, size_t len)
{
    static const hvcore_reg regs[] = {HVCORE_REG_X86_64_CS, HVCORE_REG_X86_64_CS + 0x100,
                                      HVCORE_REG_X86_64_DS + 0x100, HVCORE_REG_X86_64_RIP};
    static const uint64_t values[] = {0, 0, DEVICE, CODE};

    CHECK(hvcore_vm_write(o->vm, CODE, code, len));
    CHECK(hvcore_regs_set(o->cpu, regs, values, sizeof regs / sizeof *regs, NULL));
}

static void ours_drop(const ours *o)
{
    hvcore_vcpu_unref(o->cpu);
    hvcore_vm_unref(o->vm);
    hvcore_mem_unref(o->mem);
}

static ours lib;

static void lib_exits(uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        const hvcore_exit *x;
        CHECK(hvcore_vcpu_run(lib.cpu, NULL, &x, &err));
        sink += x->pc + x->reason;
    }
}

static void lib_in(uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        const hvcore_exit *x;
        CHECK(hvcore_vcpu_run(lib.cpu, NULL, &x, &err));
        if (x->flags & HVCORE_EXIT_NEEDS_COMPLETION)
            CHECK(hvcore_vcpu_complete(lib.cpu, &i, 1));
        sink += x->pc;
    }
}

static void lib_life(uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        const hvcore_exit *x;
        ours o;
        ours_new(&o);
        ours_code(&o, hlt, sizeof hlt);
        CHECK(hvcore_vcpu_run(o.cpu, NULL, &x, &err));
        sink += x->reason;
        ours_drop(&o);
    }
}

static uint64_t left;

static uint32_t on_out(void *user, hvcore_vcpu *v, uint64_t port, uint32_t width, uint64_t value)
{
    (void)user, (void)v, (void)port, (void)width;
    sink += value;
    return --left ? HVCORE_MMIO_DONE : HVCORE_MMIO_EXIT;
}

static void lib_callback(uint64_t times)
{
    const hvcore_exit *x;
    left = times;
    CHECK(hvcore_vcpu_run(lib.cpu, NULL, &x, &err));
}

static void lib_registers(uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        uint64_t value = 0;
        hvcore_reg_get_u64(lib.cpu, HVCORE_REG_X86_64_RAX + (uint32_t)((i & 7) << 8), &value);
        sink += value;
    }
}

static uint64_t identity(uint64_t x)
{
    return x;
}
static uint64_t (*volatile indirect)(uint64_t) = identity;

static void calls(uint64_t times)
{
    for (uint64_t i = 0; i < times; i++)
        sink += indirect(i);
}

/* ---------------------------------------------------------------------------------------------- */

static void exits(const char *what, const uint8_t *code, size_t len, void (*a)(uint64_t),
                  void (*b)(uint64_t), double target)
{
    const bench_side ours_side = {"hvcore_vcpu_run", a, 400}, raw_side = {"ioctl(KVM_RUN)", b, 400};
    ours_code(&lib, code, len);
    bare_code(&raw, code, len);
    bench_row(what, &ours_side, &raw_side, "<=", target);
}

int main(void)
{
    const bench_side life = {"hvcore", lib_life, 4}, bare_life = {"ioctls", raw_life, 4};
    const bench_side get = {"hvcore_reg_get_u64", lib_registers, 20000},
                     call = {"an indirect call", calls, 20000};
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;

    if (access("/dev/kvm", R_OK | W_OK) != 0) {
        puts("kvm_bench: skipped: /dev/kvm cannot be used here");
        return 0;
    }
    CHECK(hvcore_ctx_create(NULL, &ctx, &err));
    ours_new(&lib);
    bare_new(&raw);
    exits("PIO exit (out)", out_loop, sizeof out_loop, lib_exits, raw_exits, 1.02);
    exits("PIO exit (in), answered", in_loop, sizeof in_loop, lib_in, raw_in, 1.02);
    exits("MMIO exit (store)", store_loop, sizeof store_loop, lib_exits, raw_exits, 1.02);
    ops.write = on_out;
    CHECK(hvcore_vm_pio_add(lib.vm, 0x10, 1, &ops, NULL, NULL, &err));
    exits("out to a callback", out_loop, sizeof out_loop, lib_callback, raw_exits, 1.02);
    bench_row("a register after an exit", &get, &call, "<=", 10);
    bench_row("VM create to first exit, and end", &life, &bare_life, "<=", 1.05);
    ours_drop(&lib);
    bare_drop(&raw);
    hvcore_ctx_unref(ctx);
    free(cpuid);
    return 0;
}
#endif
