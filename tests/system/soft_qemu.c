/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software machine against QEMU: the same random stream of instructions runs on both, at the
 * same addresses, and leaves the same registers and memory. Computation, multiplication and
 * division, loads and stores, jumps and branches forward. Skipped (77) where qemu-system-riscv64 is
 * missing.
 *
 * In QEMU it runs in M-mode without firmware and sends its registers and memory to the serial port.
 */
#include "tests/unit/soft.h"

#include <stdio.h>
#include <unistd.h>

#define STREAMS 3
#define WORDS 120000 /* of a stream; they fit below SCRATCH */
#define SCRATCH (GUEST + UINT64_C(0xf0000))
#define DUMP (SCRATCH + PAGE)
#define DUMP_SIZE (32 * 8 + PAGE)
#define UART UINT64_C(0x10000000)
#define FINISHER UINT64_C(0x100000)

enum {
    BASE = 30,
    LAST = 29
}; /* x30 holds SCRATCH + 2048; x1 to x29 are random; x31 is the dump's */

_Static_assert((WORDS + 1024) * 4 < 0xf0000, "the stream has to end below the scratch page");

/* --- a stream --------------------------------------------------------------------------------- */

typedef uint32_t encode_register(uint32_t rd, uint32_t rs1, uint32_t rs2);
typedef uint32_t encode_immediate(uint32_t rd, uint32_t rs1, int32_t imm);
typedef uint32_t encode_memory(uint32_t reg, int32_t imm, uint32_t base);

#define NAME4(name, a, b, c) rv_##name,
#define NAME3(name, a, b) rv_##name,
#define NAME2(name, a) rv_##name,
static encode_register *const registers[] = {RV_REGISTER(NAME4)};
static encode_immediate *const arithmetic[] = {rv_addi, rv_slti, rv_sltiu, rv_xori,
                                               rv_ori,  rv_andi, rv_addiw};
static encode_immediate *const shifts[] = {rv_slli, rv_srli, rv_srai};
static encode_immediate *const shifts_32[] = {rv_slliw, rv_srliw, rv_sraiw};
static encode_memory *const loads[] = {RV_LOADS(NAME3)};
static encode_memory *const stores[] = {RV_STORES(NAME3)};
static const uint8_t load_sizes[] = {1, 2, 4, 8, 1, 2, 4}, store_sizes[] = {1, 2, 4, 8};

#define ANY(seed, list) ((list)[hvc_random(seed) % (sizeof(list) / sizeof((list)[0]))])

static uint32_t any_register(uint64_t *seed)
{
    return (uint32_t)(hvc_random(seed) % (LAST + 1));
}

/* In the scratch page, which x30 points into the middle of. */
static int32_t any_offset(uint64_t *seed, uint32_t size)
{
    return ((int32_t)(hvc_random(seed) & 4095) & -(int32_t)size) - 2048;
}

static uint32_t random_jump(uint64_t *seed, uint64_t r, uint32_t rs1, uint32_t rs2)
{
    static uint32_t (*const all[])(uint32_t, uint32_t, int32_t) = {RV_BRANCHES(NAME2)};
    int32_t forward = 4 + 4 * (int32_t)(r >> 40 & 7);
    return r >> 50 & 1 ? rv_jal(any_register(seed), forward) : ANY(seed, all)(rs1, rs2, forward);
}

static uint32_t random_instruction(uint64_t *seed)
{
    uint64_t r = hvc_random(seed);
    uint32_t rd = any_register(seed), rs1 = any_register(seed), rs2 = any_register(seed);
    int32_t imm = (int32_t)(r >> 32 & 4095) - 2048;
    uint32_t i = (uint32_t)(r >> 20);
    switch (r % 16) {
    case 0:
        return ANY(seed, shifts)(rd, rs1, imm & 63);
    case 1:
        return ANY(seed, shifts_32)(rd, rs1, imm & 31);
    case 2:
        return r >> 31 & 1 ? rv_lui(rd, i & 0xfffff) : rv_auipc(rd, i & 0xfffff);
    case 3:
        return loads[i % 7](rd, any_offset(seed, load_sizes[i % 7]), BASE);
    case 4:
        return stores[i % 4](rs1, any_offset(seed, store_sizes[i % 4]), BASE);
    case 5:
        return random_jump(seed, r, rs1, rs2);
    case 6:
    case 7:
    case 8:
        return ANY(seed, arithmetic)(rd, rs1, imm);
    default:
        return ANY(seed, registers)(rd, rs1, rs2);
    }
}

/* Ends with NOPs, where all jumps forward come together. */
static void put_stream(rv_code *c, uint64_t *seed)
{
    for (uint32_t r = 1; r <= LAST; r++)
        rv_li(c, r, hvc_random(seed) >> (hvc_random(seed) & 63));
    rv_li(c, BASE, SCRATCH + 2048);
    for (int i = 0; i < WORDS; i++)
        rv_put(c, random_instruction(seed));
    for (int i = 0; i < 8; i++)
        rv_put(c, rv_nop());
}

/* --- QEMU ------------------------------------------------------------------------------------- */

/* Registers to memory, then all of it to the serial port, then off. */
static void put_epilogue(rv_code *c)
{
    rv_li(c, 31, DUMP);
    for (uint32_t r = 1; r <= BASE; r++)
        rv_put(c, rv_sd(r, (int32_t)r * 8, 31));
    rv_li(c, RV_A0, SCRATCH);
    rv_li(c, RV_A1, SCRATCH + DUMP_SIZE);
    rv_li(c, RV_A2, UART);
    uint64_t loop = rv_here(c);
    rv_put(c, rv_lbu(RV_A3, 5, RV_A2)); /* wait for the transmitter */
    rv_put(c, rv_andi(RV_A3, RV_A3, 0x20));
    rv_put(c, rv_beq(RV_A3, 0, -8));
    rv_put(c, rv_lbu(RV_A3, 0, RV_A0));
    rv_put(c, rv_sb(RV_A3, 0, RV_A2));
    rv_put(c, rv_addi(RV_A0, RV_A0, 1));
    rv_put(c, rv_bne(RV_A0, RV_A1, rv_to(c, loop)));
    rv_li(c, RV_A0, FINISHER);
    rv_li(c, RV_A1, 0x5555);
    rv_put(c, rv_sw(RV_A1, 0, RV_A0));
    rv_put(c, rv_jal(0, 0));
}

static bool write_file(const char *name, const void *data, size_t size)
{
    FILE *f = fopen(name, "wb");
    bool good = f && fwrite(data, 1, size, f) == size;
    return f && !fclose(f) && good;
}

static size_t read_file(const char *name, void *data, size_t size)
{
    FILE *f = fopen(name, "rb");
    size_t n = f ? fread(data, 1, size, f) : 0;
    if (f)
        fclose(f);
    return n;
}

/* What the stream leaves: the scratch page, then the registers. */
static bool on_qemu(const char *dir, const void *image, size_t size, uint8_t *out)
{
    char program[512], serial[512], command[2048];
    snprintf(program, sizeof program, "%s/program", dir);
    snprintf(serial, sizeof serial, "%s/serial", dir);
    snprintf(command, sizeof command,
             "timeout 60 qemu-system-riscv64 -M virt -m 64M -bios none -display none -monitor none "
             "-serial file:%s -device loader,file=%s,addr=0x80000000,force-raw=on",
             serial, program);
    bool good = write_file(program, image, size) && system(command) == 0 &&
                read_file(serial, out, DUMP_SIZE) == DUMP_SIZE;
    unlink(program);
    unlink(serial);
    return good;
}

/* --- the software machine --------------------------------------------------------------------- */

static bool on_soft(soft_vm *vm, uint8_t *out)
{
    soft_mode(vm, VS, GUEST);
    memset(&vm->frame.x, 0, sizeof vm->frame.x);
    if (soft_steps(vm, WORDS * UINT64_C(2)) != HVC_STOP_TRAP || vm->raw.scause != 10)
        return false;
    memcpy(out, soft_ptr(vm, SCRATCH), PAGE);
    memcpy(out + PAGE, vm->frame.x, 31 * 8);
    memset(out + PAGE + 31 * 8, 0, 8);
    return true;
}

static int differences(const uint8_t *a, const uint8_t *b)
{
    int bad = 0;
    for (size_t i = 0; i < DUMP_SIZE; i += 8) {
        uint64_t x, y;
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x == y)
            continue;
        bad++;
        fprintf(stderr, i < PAGE ? "memory %#zx" : "x%zu", i < PAGE ? i : (i - PAGE) / 8);
        fprintf(stderr, ": soft %#llx, QEMU %#llx\n", (unsigned long long)x, (unsigned long long)y);
    }
    return bad;
}

static int compare(const char *dir, uint64_t seed)
{
    static uint8_t soft[DUMP_SIZE], qemu[DUMP_SIZE];
    soft_vm *vm = soft_vm_new();
    soft_map_ram(vm);
    rv_code c = rv_at(soft_ptr(vm, GUEST), GUEST);
    put_stream(&c, &seed);
    rv_code end = c;
    put_epilogue(&c);
    int bad = !on_qemu(dir, vm->ram, c.address - GUEST, qemu);
    rv_put(&end, rv_ecall());
    bad = bad || !on_soft(vm, soft);
    if (bad)
        fprintf(stderr, "soft_qemu: a machine did not come to the end\n");
    else
        bad = differences(soft, qemu);
    soft_vm_free(vm);
    return bad;
}

int main(void)
{
    char dir[] = "/tmp/hvc-soft-qemu-XXXXXX";
    int bad = 0;
    if (system("qemu-system-riscv64 --version >/dev/null 2>&1")) {
        printf("soft_qemu: skipped, there is no qemu-system-riscv64\n");
        return 77;
    }
    if (!mkdtemp(dir))
        return 1;
    for (uint64_t seed = 1; seed <= STREAMS; seed++)
        bad += compare(dir, seed);
    rmdir(dir);
    printf("soft_qemu: %d streams of %d instructions, %d differences\n", STREAMS, WORDS, bad);
    return bad != 0;
}
