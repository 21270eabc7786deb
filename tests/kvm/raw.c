/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This kernel's KVM works at all: a guest of a few instructions, some thousand exits, on the UAPI
 * alone. Each store's value must be the one that the last load was given, so no exit is lost,
 * doubled or out of order. Prints the time of an exit, beside which the library's is measured.
 *
 *     raw [EXITS]
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SKIP = 77, MEMORY = 0x10000, EXITS = 2000, EXITS_MOST = 1 << 30 };

#define MMIO UINT64_C(0x10000000)

struct machine {
    int kvm, vm, vcpu;
    void *memory;
    struct kvm_run *run;
    size_t run_size;
};

static unsigned passed, failed;

__attribute__((format(printf, 2, 3))) static int check(int ok, const char *fmt, ...)
{
    const int error = errno;
    va_list ap;

    va_start(ap, fmt);
    fputs(ok ? "ok " : "not ok ", stdout);
    vprintf(fmt, ap);
    va_end(ap);
    if (ok)
        puts("");
    else
        printf(" (errno: %s)\n", strerror(error));
    *(ok ? &passed : &failed) += 1;
    return ok;
}

/* --- the guests: what differs between the architectures --------------------------------------- */

#if defined __x86_64__

#define BASE 0
#define WIDTH 4

/* Real mode; ds begins at MMIO. */
static const uint8_t mmio_code[] = {
    0x66, 0xa3, 0x00, 0x00, /* mov [0], eax */
    0x66, 0xa1, 0x00, 0x00, /* mov eax, [0] */
    0xeb, 0xf6              /* jmp to the first */
};
static const uint8_t pio_code[] = {
    0x66, 0xef, /* out dx, eax */
    0x66, 0xed, /* in eax, dx */
    0xeb, 0xfa  /* jmp to the first */
};

static int enter_at(struct machine *m, uint64_t pc)
{
    struct kvm_regs regs = {.rip = pc, .rflags = 2, .rdx = 0x1f0};
    struct kvm_sregs sregs;

    if (ioctl(m->vcpu, KVM_GET_SREGS, &sregs) != 0)
        return 0;
    sregs.cs.base = sregs.cs.selector = 0;
    sregs.ds.base = MMIO;
    return ioctl(m->vcpu, KVM_SET_SREGS, &sregs) == 0 && ioctl(m->vcpu, KVM_SET_REGS, &regs) == 0;
}

static int init_vcpu(struct machine *m)
{
    (void)m;
    return 1;
}

#elif defined __aarch64__

#define BASE UINT64_C(0x40000000)
#define WIDTH 8

static const uint32_t mmio_code[] = {
    0xf9000020, /* str x0, [x1] */
    0xf9400020, /* ldr x0, [x1] */
    0x17fffffe  /* b to the first */
};

static int set_core(struct machine *m, size_t offset, uint64_t value)
{
    const struct kvm_one_reg reg = {.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
                                          (offset / sizeof(uint32_t)),
                                    .addr = (uintptr_t)&value};

    return ioctl(m->vcpu, KVM_SET_ONE_REG, &reg) == 0;
}

static int enter_at(struct machine *m, uint64_t pc)
{
    return set_core(m, offsetof(struct kvm_regs, regs.pc), pc) &&
           set_core(m, offsetof(struct kvm_regs, regs.regs[0]), 0) &&
           set_core(m, offsetof(struct kvm_regs, regs.regs[1]), MMIO);
}

static int init_vcpu(struct machine *m)
{
    struct kvm_vcpu_init init;

    if (ioctl(m->vm, KVM_ARM_PREFERRED_TARGET, &init) != 0)
        return 0;
    init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
    return ioctl(m->vcpu, KVM_ARM_VCPU_INIT, &init) == 0;
}

#elif defined __riscv

#define BASE UINT64_C(0x80000000)
#define WIDTH 8

static const uint32_t mmio_code[] = {
    0x00a5b023, /* sd a0, 0(a1) */
    0x0005b503, /* ld a0, 0(a1) */
    0xff9ff06f  /* j to the first */
};

static int set_core(struct machine *m, size_t offset, uint64_t value)
{
    const struct kvm_one_reg reg = {.id = KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CORE |
                                          (offset / sizeof(unsigned long)),
                                    .addr = (uintptr_t)&value};

    return ioctl(m->vcpu, KVM_SET_ONE_REG, &reg) == 0;
}

static int enter_at(struct machine *m, uint64_t pc)
{
    return set_core(m, offsetof(struct kvm_riscv_core, regs.pc), pc) &&
           set_core(m, offsetof(struct kvm_riscv_core, regs.a0), 0) &&
           set_core(m, offsetof(struct kvm_riscv_core, regs.a1), MMIO);
}

static int init_vcpu(struct machine *m)
{
    (void)m;
    return 1;
}

#else
#error "no guest for this architecture"
#endif

/* --- the machine ------------------------------------------------------------------------------ */

static int make_memory(struct machine *m)
{
    struct kvm_userspace_memory_region slot = {.guest_phys_addr = BASE, .memory_size = MEMORY};

    m->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    slot.userspace_addr = (uintptr_t)m->memory;
    return m->memory != MAP_FAILED && ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &slot) == 0;
}

static int make_vcpu(struct machine *m)
{
    const int size = ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

    m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
    if (size <= 0 || m->vcpu < 0)
        return 0;
    m->run_size = (size_t)size;
    m->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
    return m->run != MAP_FAILED;
}

static int make(struct machine *m)
{
    m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
    return check(m->vm >= 0, "a VM") && check(make_memory(m), "its memory") &&
           check(make_vcpu(m), "a vCPU") && check(init_vcpu(m), "its init");
}

static void unmake(struct machine *m)
{
    if (m->run)
        munmap(m->run, m->run_size);
    munmap(m->memory, MEMORY);
    close(m->vcpu);
    close(m->vm);
}

/* --- exits ------------------------------------------------------------------------------------ */

/* The bytes of this exit; whether it is a store. NULL: it is none of those that are awaited. */
static void *data_of(struct kvm_run *run, uint32_t reason, int *store)
{
    if (run->exit_reason != reason)
        return NULL;
    if (reason == KVM_EXIT_MMIO) {
        *store = run->mmio.is_write;
        return run->mmio.phys_addr == MMIO && run->mmio.len == WIDTH ? run->mmio.data : NULL;
    }
    *store = run->io.direction == KVM_EXIT_IO_OUT;
    return run->io.port == 0x1f0 && run->io.size == WIDTH ? (char *)run + run->io.data_offset
                                                          : NULL;
}

/* Store, load, store, ...: how many exits were right before the first that was not. */
static int exits(struct machine *m, uint32_t reason, int wanted)
{
    uint64_t value = 0, seen;
    int store = 0, n = 0;
    void *data;

    for (; n < wanted && ioctl(m->vcpu, KVM_RUN, 0) == 0; n++) {
        data = data_of(m->run, reason, &store);
        seen = value;
        if (data && store)
            memcpy(&seen, data, WIDTH);
        if (!data || store != (n % 2 == 0) || seen != value)
            break;
        if (!store) {
            value = (value * 6364136223846793005u + 1442695040888963407u) &
                    (UINT64_MAX >> (64 - 8 * WIDTH));
            memcpy(data, &value, WIDTH);
        }
    }
    return n;
}

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void look_at(const char *name, const void *code, size_t size, uint32_t reason, int wanted)
{
    struct machine m = {.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC)};
    int n = 0;

    if (make(&m)) {
        memcpy((char *)m.memory + 0x1000, code, size);
        if (check(enter_at(&m, BASE + 0x1000), "registers")) {
            const double start = now_ns();

            n = exits(&m, reason, wanted);
            const double each = (now_ns() - start) / wanted;
            check(n == wanted, "%s: %d of %d exits, %.0f ns each; last reason %u", name, n, wanted,
                  each, m.run->exit_reason);
        }
    }
    unmake(&m);
    close(m.kvm);
}

static int there_is_kvm(void)
{
    const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (kvm < 0) {
        printf("skip raw: /dev/kvm: %s\n0 passed, 0 failed, 1 skipped\n", strerror(errno));
        return 0;
    }
    check(ioctl(kvm, KVM_GET_API_VERSION, 0) == 12, "the version of the interface is 12");
    close(kvm);
    return 1;
}

int main(int argc, char **argv)
{
    const long wanted = argc > 1 ? atol(argv[1]) : EXITS;

    if (wanted < 1 || wanted > EXITS_MOST)
        return 2;
    if (!there_is_kvm())
        return SKIP;
    look_at("MMIO", mmio_code, sizeof mmio_code, KVM_EXIT_MMIO, (int)wanted);
#if defined __x86_64__
    look_at("PIO", pio_code, sizeof pio_code, KVM_EXIT_IO, (int)wanted);
#endif
    printf("%u passed, %u failed, 0 skipped\n", passed, failed);
    return failed ? 1 : 0;
}
