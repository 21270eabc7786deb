/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole virtual machine monitor: a guest of five words writes a byte to a device and switches
 * off. With the library built in build/demo:
 *
 *   cc -o first examples/first.c \
 *     $(PKG_CONFIG_PATH=build/demo pkg-config --cflags --libs hvcore-uninstalled)
 */
#include <inttypes.h>
#include <stdio.h>

#include <hvcore/hvcore.h>

#define RAM UINT64_C(0x80000000)

static const uint32_t guest[] = {
    0x535258b7, /* lui   a7, 0x53525      */
    0x35488893, /* addi  a7, a7, 0x354    the SBI's system reset, "SRST"; a0 = 0: shutdown */
    0x100002b7, /* lui   t0, 0x10000      a device at 0x10000000 */
    0x01128023, /* sb    a7, 0(t0)        writes 'T' to it */
    0x00000073, /* ecall */
};

/* Says what failed and returns 1. */
#define TRY(call)                                                                            \
    do {                                                                                     \
        if ((call) != 0) {                                                                   \
            fprintf(stderr, "first: %s\n", err.message[0] ? err.message : "failed: " #call); \
            return 1;                                                                        \
        }                                                                                    \
    } while (0)

/* Above a kernel (kvm) the pc of an exit may not be known: it would cost a system call. */
static void print_pc(const hvcore_exit *e)
{
    if (e->have & HVCORE_HAVE_PC)
        printf("pc %#" PRIx64 ": ", e->pc);
}

static int run(hvcore_vcpu *vcpu)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    const hvcore_exit *e;

    for (;;) {
        TRY(hvcore_vcpu_run(vcpu, NULL, &e, &err));
        print_pc(e);
        switch (e->reason) {
        case HVCORE_EXIT_MMIO: /* a store needs no answer; a load would */
            printf("%s of %u bytes at %#" PRIx64 ": '%c'\n", e->u.mmio.write ? "store" : "load",
                   e->u.mmio.width, e->u.mmio.addr, (char)e->u.mmio.data);
            if (e->flags & HVCORE_EXIT_NEEDS_COMPLETION)
                TRY(hvcore_vcpu_complete(vcpu, &(uint64_t){0}, 1));
            break;
        case HVCORE_EXIT_SHUTDOWN:
            printf("the guest switches off, reason %u\n", e->u.reset.reason);
            return 0;
        default:
            puts(hvcore_exit_reason_name(e->reason));
            return 1;
        }
    }
}

int main(void)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    hvcore_vm_opts vm_opts = {.size = sizeof vm_opts, .arch = HVCORE_ARCH_RISCV64};
    hvcore_map_opts at_ram = {.size = sizeof at_ram, .prot = HVCORE_PROT_RWX, .gpa = RAM};
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;
    hvcore_vcpu *vcpu;

    TRY(hvcore_ctx_create(NULL, &ctx, &err));
    TRY(hvcore_vm_create(ctx, &vm_opts, &vm, &err));
    TRY(hvcore_mem_alloc(ctx, 2 << 20, 0, &mem, &err));
    TRY(hvcore_vm_map(vm, mem, &at_ram, &err));
    TRY(hvcore_vm_write(vm, RAM, guest, sizeof guest));
    TRY(hvcore_vcpu_create(vm, 0, NULL, &vcpu, &err));
    TRY(hvcore_reg_set_u64(vcpu, HVCORE_REG_RISCV64_PC, RAM));
    int code = run(vcpu);

    hvcore_vcpu_unref(vcpu); /* in any order: a child holds its parent */
    hvcore_mem_unref(mem);
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx);
    return code;
}
