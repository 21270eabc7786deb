/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program for QEMU's user mode, without a C library: executes batches of F and D instructions. On
 * riscv64 the instruction itself is executed; elsewhere the library's function for it, as on that
 * host.
 */
#include "tests/system/fp_wire.h"

#include <stdbool.h>
#include <stddef.h>

enum { SYS_READ = 63, SYS_WRITE = 64, SYS_EXIT = 93, SYS_MMAP = 222 };

static fp_operands operands[FP_BATCH];
static fp_result results[FP_BATCH];

void start(void);
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);

#ifdef __riscv
/* --- riscv64: the instruction, in a loop that is written around it ---------------------------- */

#define RWX 7
#define PRIVATE_ANONYMOUS 0x22
#define PAGE 4096

typedef void loop_fn(fp_result *results, const fp_operands *operands, uint64_t count);

extern const uint32_t loop[], loop_insn[], loop_store[], loop_end[], store_f[], store_x[];

__asm__(".pushsection .rodata\n"
        ".balign 4\n"
        ".option push\n"
        ".option norvc\n"
        "loop:\n"
        "   li t4, 0x5a5a5a5a5a5a5a5a\n"
        "1: fld f10, 0(a1)\n"
        "   fld f11, 8(a1)\n"
        "   fld f12, 16(a1)\n"
        "   ld x5, 0(a1)\n"
        "   fmv.d.x f13, t4\n"
        "   mv x6, t4\n"
        "   csrw fflags, zero\n"
        "loop_insn:\n"
        "   nop\n"
        "   csrr t2, fflags\n"
        "loop_store:\n"
        "   nop\n"
        "   sd t2, 8(a0)\n"
        "   addi a0, a0, 16\n"
        "   addi a1, a1, 24\n"
        "   addi a2, a2, -1\n"
        "   bnez a2, 1b\n"
        "   ret\n"
        "loop_end:\n"
        "store_f:\n"
        "   fsd f13, 0(a0)\n"
        "store_x:\n"
        "   sd x6, 0(a0)\n"
        ".option pop\n"
        ".popsection\n");

__asm__(".globl _start\n_start:\n   call start\n");

static long call(long number, long a, long b, long c, long flags)
{
    register long a7 __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c, a3 __asm__("a3") = flags;
    register long a4 __asm__("a4") = -1, a5 __asm__("a5") = 0;

    __asm__ volatile("ecall"
                     : "+r"(a0)
                     : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
                     : "memory");
    return a0;
}

static void execute(const fp_batch *batch)
{
    static uint32_t *code;

    if (!code)
        code = (uint32_t *)call(SYS_MMAP, 0, PAGE, RWX, PRIVATE_ANONYMOUS);
    memcpy(code, loop, (size_t)((const char *)loop_end - (const char *)loop));
    code[loop_insn - loop] = batch->word;
    code[loop_store - loop] = batch->to_x ? *store_x : *store_f;
    __asm__ volatile("fence.i" : : : "memory");
    ((loop_fn *)(void *)code)(results, operands, batch->count);
}

#else
/* --- AArch64: the function -------------------------------------------------------------------- */

#include "backends/bare/soft/fp.h"

__asm__(".globl _start\n_start:\n   bl start\n");

static long call(long number, long a, long b, long c, long flags)
{
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;

    (void)flags;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}

static hvc_soft_fp_fn *function_of(uint32_t word)
{
#define FIND(name, mask, match, form, rm) \
    if ((word & (mask)) == (match))       \
        return hvc_soft_fp_##name;
    HVC_SOFT_FP(FIND)
    return NULL;
}

static void execute(const fp_batch *batch)
{
    hvc_soft_fp_fn *function = function_of(batch->word);
    hvc_soft_fp_env env = {0};

    hvc_soft_fp_enter(&env);
    for (uint32_t i = 0; i < batch->count; i++) {
        const fp_operands *o = &operands[i];
        results[i].value = function(&env, o->a, o->b, o->c, batch->word >> 12 & 7);
        results[i].flags = hvc_soft_fp_flags(&env);
    }
    hvc_soft_fp_leave(&env);
}
#endif

void *memcpy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile char *)to)[i] = (char)byte;
    return to;
}

/* All n bytes, or false. */
static bool transfer(long number, long file, void *data, size_t n)
{
    for (size_t done = 0; done < n;) {
        long now = call(number, file, (long)((char *)data + done), (long)(n - done), 0);
        if (now <= 0)
            return false;
        done += (size_t)now;
    }
    return true;
}

void start(void)
{
    fp_batch batch;

    while (transfer(SYS_READ, 0, &batch, sizeof(batch)) && batch.count && batch.count <= FP_BATCH &&
           transfer(SYS_READ, 0, operands, batch.count * sizeof(operands[0]))) {
        execute(&batch);
        if (!transfer(SYS_WRITE, 1, results, batch.count * sizeof(results[0])))
            break;
    }
    call(SYS_EXIT, 0, 0, 0, 0);
}
