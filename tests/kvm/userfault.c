/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that waits for a page which userfaultfd has to bring. x86_64: the kernel lets the vCPU be
 * interrupted, so it is held, cancelled and runs on. arm64 and riscv64: it does not; a hold is a
 * named time-out, nothing has changed, and all is well once the page is there.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/kvm/check.h"

/* A load from PAGED through the first register, then a store that nobody answers. */
#if defined __x86_64__
#define ARCH HVCORE_ARCH_X86_64
#define RAM UINT64_C(0)
#define START HVCORE_REG_X86_64_RIP
#define POINTER HVCORE_REG_X86_64_RBX
static const uint8_t code[] = {0x8b, 0x07, 0xe7, 0x10}; /* mov ax, [bx]; out 0x10, ax */
#elif defined __aarch64__
#define ARCH HVCORE_ARCH_ARM64
#define RAM UINT64_C(0x40000000)
#define START HVCORE_REG_ARM64_PC
#define POINTER HVCORE_REG_ARM64_X0
static const uint32_t code[] = {0x79400001, 0x790003e1 | 2 << 5}; /* ldrh w1, [x0]; strh w1, [x2] */
#else
#define ARCH HVCORE_ARCH_RISCV64
#define RAM UINT64_C(0x80000000)
#define START HVCORE_REG_RISCV64_PC
#define POINTER HVCORE_REG_RISCV64_A0
static const uint32_t code[] = {0x00051583, 0x00b61023}; /* lh a1, 0(a0); sh a1, 0(a2) */
#endif
#define PAGED (RAM + 0x4000)

static struct {
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem, *paged;
    hvcore_vcpu *vcpu;
    int uffd;
    char *page;
} g;
static hvcore_error e;
static size_t page_size;

static bool open_uffd(void)
{
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};

    g.uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (g.uffd < 0)
        return false;
    g.page = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    reg.range.start = (uintptr_t)g.page;
    reg.range.len = page_size;
    return g.page != MAP_FAILED && ioctl(g.uffd, UFFDIO_API, &api) == 0 &&
           ioctl(g.uffd, UFFDIO_REGISTER, &reg) == 0;
}

static bool up(void)
{
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_map_opts map = HVCORE_MAP_OPTS_INIT;

    e = (hvcore_error)HVCORE_ERROR_INIT;
    opts.arch = ARCH;
    opts.backend = "kvm";
    map.gpa = RAM;
    if (!OK(hvcore_ctx_create(NULL, &g.ctx, &e)) ||
        !OK(hvcore_vm_create(g.ctx, &opts, &g.vm, &e)) ||
        !OK(hvcore_mem_alloc(g.ctx, 0x4000, 0, &g.mem, &e)) ||
        !OK(hvcore_vm_map(g.vm, g.mem, &map, &e)) ||
        !OK(hvcore_mem_adopt(g.ctx, g.page, page_size, NULL, NULL, &g.paged, &e)))
        return false;
    map.gpa = PAGED;
    if (!OK(hvcore_vm_map(g.vm, g.paged, &map, &e)) ||
        !OK(hvcore_vcpu_create(g.vm, 0, NULL, &g.vcpu, &e)))
        return false;
    CHECK(hvcore_vm_write(g.vm, RAM, code, sizeof code) == 0);
#ifdef __x86_64__
    CHECK(hvcore_reg_set_u64(g.vcpu, HVCORE_REG_X86_64_CS, 0) == 0);
    CHECK(hvcore_reg_set_u64(g.vcpu, HVCORE_REG_X86_64_CS + 0x100, 0) == 0);
#endif
    CHECK(hvcore_reg_set_u64(g.vcpu, POINTER, PAGED) == 0);
    return CHECK(hvcore_reg_set_u64(g.vcpu, START, RAM) == 0);
}

static void *run(void *arg)
{
    const hvcore_exit *x = NULL;
    hvcore_error own = HVCORE_ERROR_INIT;

    (void)arg;
    CHECK(hvcore_vcpu_run(g.vcpu, NULL, &x, &own) == 0);
    return (void *)(uintptr_t)(x ? x->reason : 0);
}

/* Until the guest asks for the page. */
static bool asked(void)
{
    struct pollfd fd = {.fd = g.uffd, .events = POLLIN};
    struct uffd_msg msg;

    return poll(&fd, 1, 5000) == 1 && read(g.uffd, &msg, sizeof msg) == sizeof msg &&
           msg.event == UFFD_EVENT_PAGEFAULT;
}

static void bring(void)
{
    static char content[65536] = "hi";
    struct uffdio_copy copy = {
        .dst = (uintptr_t)g.page, .src = (uintptr_t)content, .len = page_size};

    CHECK(ioctl(g.uffd, UFFDIO_COPY, &copy) == 0);
}

static uint32_t value_of(const hvcore_exit *x)
{
    return (uint32_t)(x->reason == HVCORE_EXIT_PIO ? x->u.pio.data : x->u.mmio.data);
}

/* A hold, twice; what it says here: 0, or the time-out. */
static int hold(void)
{
    int held = hvcore_vm_pause(g.vm);

    CHECK(held == 0 || held == -HVCORE_E_TIMEOUT);
    if (held == 0)
        CHECK(hvcore_vm_resume(g.vm) == 0);
    SAME(hvcore_vm_unmap(g.vm, RAM + 0x2000, 0x1000, &e), held);
    if (held)
        CHECK(e.code == held && strstr(e.message, "userfaultfd"));
    printf("# this kernel %s the wait\n", held ? "does not interrupt" : "interrupts");
    return held;
}

/* KVM on x86_64 gives the wait up; its emulator, which kvm_pvm uses for real mode, does not. */
static bool must_be_held(void)
{
#ifdef __x86_64__
    return access("/sys/module/kvm_pvm", F_OK) != 0;
#else
    return false;
#endif
}

static void blocked(void)
{
    pthread_t thread;
    void *reason = NULL;
    const hvcore_exit *x = NULL;

    if (!open_uffd())
        SKIP("no userfaultfd here (CONFIG_USERFAULTFD, vm.unprivileged_userfaultfd)");
    if (!up())
        return;
    CHECK(pthread_create(&thread, NULL, run, NULL) == 0);
    if (!CHECK(asked()))
        exit(1); /* the other thread is inside, and nothing brings it back */
    CHECK(hold() == 0 || !must_be_held());
    CHECK(hvcore_vcpu_cancel(g.vcpu, 7) == 0);
    usleep(50000);
    bring();
    pthread_join(thread, &reason);
    /* the page may have come first; the cancel is not lost */
    if ((uintptr_t)reason == HVCORE_EXIT_CANCELLED)
        CHECK(hvcore_vcpu_run(g.vcpu, NULL, &x, &e) == 0);
    else {
        CHECK(hvcore_vcpu_run(g.vcpu, NULL, &x, &e) == 0 && x->reason == HVCORE_EXIT_CANCELLED);
        CHECK(hvcore_reg_set_u64(g.vcpu, START, RAM) == 0);
        CHECK(hvcore_vcpu_run(g.vcpu, NULL, &x, &e) == 0);
    }
    CHECK(x->reason == HVCORE_EXIT_PIO || x->reason == HVCORE_EXIT_MMIO);
    SAME(value_of(x), 'h' | 'i' << 8);
    /* nothing is left of the time-out */
    CHECK(hvcore_vm_pause(g.vm) == 0);
    CHECK(hvcore_vm_resume(g.vm) == 0);
    hvcore_vcpu_unref(g.vcpu);
    hvcore_vm_unref(g.vm);
    hvcore_mem_unref(g.mem);
    hvcore_mem_unref(g.paged);
    hvcore_ctx_unref(g.ctx);
    close(g.uffd);
    munmap(g.page, page_size);
}

int main(void)
{
    static const check_test tests[] = {{"a vCPU that waits for a page", blocked}, {NULL, NULL}};

    page_size = (size_t)sysconf(_SC_PAGESIZE);
    alarm(60);
    return check_all(tests);
}
