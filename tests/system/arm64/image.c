/* SPDX-License-Identifier: Apache-2.0 */
/* Output on the PL011, the end by semihosting (there is no firmware to ask), counts, chance. */
#include "tests/system/arm64/image.h"

#define UART ((volatile uint32_t *)0x09000000)
#define SEMIHOSTING_EXIT 0x18
#define SEMIHOSTING_COMMAND_LINE 0x15
#define APPLICATION_EXIT 0x20026
#define COMPLAINTS 8

uint64_t image_passed, image_failed, image_known, image_compared;
volatile uint32_t image_guard;
struct image_guarded image_guarded;

/* ---- translation ---- */

#define FLAT_BLOCK (UINT64_C(1) | BIT(10))                    /* AF */
#define FLAT_MAIR UINT64_C(0xff00)                            /* 0: Device-nGnRnE, 1: Write-Back */
#define FLAT_TCR (25 | UINT64_C(2) << 16 | BIT(23) | BIT(31)) /* 39 bits, PS 40, RES1 */
#define SCTLR_M_C_I (BIT(0) | BIT(2) | BIT(12))

static uint64_t flat[512] __attribute__((aligned(4096)));

uint32_t image_level(void)
{
    return field(READ(CurrentEL), 2, 2);
}

void image_translate(void)
{
    flat[0] = FLAT_BLOCK | BIT(54); /* devices, never executed */
    flat[RAM >> 30] = RAM | FLAT_BLOCK | 3 << 8 | 1 << 2;
    barrier();
    if (image_level() == 3) {
        WRITE(mair_el3, FLAT_MAIR);
        WRITE(tcr_el3, FLAT_TCR);
        WRITE(ttbr0_el3, (uint64_t)(uintptr_t)flat);
        __asm__ volatile("tlbi alle3\ndsb sy\nisb" ::: "memory");
        WRITE(sctlr_el3, SCTLR_RES1 | SCTLR_M_C_I);
    } else {
        WRITE(mair_el2, FLAT_MAIR);
        WRITE(tcr_el2, FLAT_TCR);
        WRITE(ttbr0_el2, (uint64_t)(uintptr_t)flat);
        __asm__ volatile("tlbi alle2\ndsb sy\nisb" ::: "memory");
        WRITE(sctlr_el2, SCTLR_RES1 | SCTLR_M_C_I);
    }
    barrier();
}

/* ---- semihosting ---- */

static uint64_t semihosting(uint64_t what, void *argument)
{
    register uint64_t x0 __asm__("x0") = what;
    register void *x1 __asm__("x1") = argument;

    __asm__ volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
    return x0;
}

/* ---- output ---- */

void put(const char *text)
{
    for (; *text; text++) {
        *UART = (uint8_t)*text;
    }
}

void put_hex(uint64_t value)
{
    put(" 0x");
    for (int at = 60; at >= 0; at -= 4) {
        if (at == 0 || value >> at) {
            *UART = (uint8_t) "0123456789abcdef"[value >> at & 15];
        }
    }
}

void put_number(uint64_t n)
{
    if (n > 9) {
        put_number(n / 10);
    }
    *UART = (uint32_t)('0' + n % 10);
}

bool image_complain(const char *what)
{
    static uint32_t said;

    if (++said > COMPLAINTS) {
        return false;
    }
    put("not ok case "), put_number(image_passed + image_failed + image_known), put(", ");
    put(what), put(":");
    return true;
}

/* ---- ends ---- */

static _Noreturn void leave(uint64_t status)
{
    uint64_t block[2] = {APPLICATION_EXIT, status};

    for (;;) {
        semihosting(SEMIHOSTING_EXIT, block);
    }
}

_Noreturn void image_end(void)
{
    put("# "), put_number(image_compared), put(" comparisons, ");
    put_number(image_known), put(" cases as this QEMU is known to answer\n");
    put_number(image_passed), put(" passed, "), put_number(image_failed);
    put(" failed, 0 skipped\n");
    leave(image_failed != 0);
}

_Noreturn void image_skip(const char *why)
{
    put("skip: "), put(why), put("\n0 passed, 0 failed, 1 skipped\n");
    leave(0);
}

_Noreturn void image_stray(uint64_t esr, uint64_t pc, uint64_t far)
{
    put("not ok an exception of the image itself:");
    put_hex(esr), put_hex(pc), put_hex(far), put("\n");
    image_failed++;
    image_end();
}

/* ---- the command line ---- */

const char *image_arguments(void)
{
    static char line[256];
    struct {
        char *text;
        uint64_t size;
    } block = {line, sizeof(line) - 1};

    if (!line[0] && semihosting(SEMIHOSTING_COMMAND_LINE, &block)) {
        line[0] = 0;
    }
    return line;
}

/* Where `text` begins with `with`: what follows, or NULL. */
static const char *behind(const char *text, const char *with)
{
    while (*with && *text == *with) {
        text++, with++;
    }
    return *with ? NULL : text;
}

uint64_t image_argument(const char *key, uint64_t otherwise)
{
    for (const char *at = image_arguments(); *at; at++) {
        const char *digit = behind(at, key);
        uint64_t n = 0;

        for (; digit && *digit >= '0' && *digit <= '9'; digit++) {
            n = 10 * n + (uint64_t)(*digit - '0');
        }
        if (digit) {
            return n;
        }
    }
    return otherwise;
}

/* ---- chance: splitmix64 ---- */

static uint64_t seed;

void image_seed(uint64_t from)
{
    seed = from * UINT64_C(0xd1342543de82ef95) + 1;
}

uint64_t any(void)
{
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t below(uint64_t n)
{
    return any() % n;
}

bool chance(uint32_t percent)
{
    return below(100) < percent;
}

uint64_t bits_any(uint32_t percent, uint64_t mask)
{
    uint64_t set = 0;

    for (uint64_t rest = mask; rest; rest &= rest - 1) {
        set |= chance(percent) ? rest & (0 - rest) : 0;
    }
    return set;
}
