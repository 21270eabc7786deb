/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An integer program without an operating system, for tests/bench/machines: sorting, hashing, a
 * sieve, matrices, a string search, a tree. Its result is checked, then it switches off: by SBI
 * (VS-mode), or with -DFINISHER by QEMU's test device (M-mode).
 */
#include <stddef.h>
#include <stdint.h>

#ifndef ROUNDS
#define ROUNDS 60
#endif

static uint32_t seed = 1;

static uint32_t random32(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    return seed ^= seed << 5;
}

/* --- pieces: each returns a number that depends on all of its work --------------------------- */

static uint32_t numbers[4096];

static void sift(size_t n, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && numbers[child + 1] > numbers[child];
        if (numbers[at] >= numbers[child])
            return;
        uint32_t t = numbers[at];
        numbers[at] = numbers[child], numbers[child] = t;
    }
}

static uint64_t heap_sort(void)
{
    size_t n = sizeof numbers / sizeof numbers[0];
    for (size_t i = 0; i < n; i++)
        numbers[i] = random32();
    for (size_t i = n / 2; i-- > 0;)
        sift(n, i);
    for (size_t i = n; --i > 0;) {
        uint32_t t = numbers[0];
        numbers[0] = numbers[i], numbers[i] = t;
        sift(i, 0);
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + numbers[i];
    return sum;
}

static uint64_t hash(void)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    const uint8_t *p = (const uint8_t *)numbers;
    for (size_t i = 0; i < sizeof numbers; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

static uint8_t composite[65536];

static uint64_t sieve(void)
{
    uint64_t count = 0;
    for (size_t i = 0; i < sizeof composite; i++)
        composite[i] = 0;
    for (size_t i = 2; i < sizeof composite; i++) {
        if (composite[i])
            continue;
        count++;
        for (size_t j = 2 * i; j < sizeof composite; j += i)
            composite[j] = 1;
    }
    return count;
}

static int64_t left[48][48], right[48][48], product[48][48];

static uint64_t matrices(void)
{
    for (int i = 0; i < 48; i++)
        for (int j = 0; j < 48; j++)
            left[i][j] = i * j + 1, right[i][j] = i - j;
    for (int i = 0; i < 48; i++)
        for (int j = 0; j < 48; j++) {
            int64_t sum = 0;
            for (int k = 0; k < 48; k++)
                sum += left[i][k] * right[k][j];
            product[i][j] = sum;
        }
    return (uint64_t)product[47][11] ^ (uint64_t)product[3][40];
}

static uint64_t search(void)
{
    static const char needle[] = "ababaca";
    uint64_t found = 0;
    char *text = (char *)composite;
    for (size_t i = 0; i < 16384; i++)
        text[i] = (char)('a' + (random32() >> 28) % 3);
    for (size_t i = 0; i + sizeof needle < 16384; i++) {
        size_t j = 0;
        while (needle[j] && text[i + j] == needle[j])
            j++;
        found += !needle[j];
    }
    return found;
}

typedef struct node {
    struct node *child[2];
    uint32_t key;
} node;

static node nodes[2048];

static uint64_t tree(void)
{
    node *root = NULL;
    uint64_t depths = 0;
    for (size_t i = 0; i < 2048; i++) {
        node **at = &root, *n = &nodes[i];
        *n = (node){.key = random32()};
        while (*at) {
            at = &(*at)->child[n->key > (*at)->key];
            depths++;
        }
        *at = n;
    }
    return depths;
}

/* --- the end ---------------------------------------------------------------------------------- */

static _Noreturn void switch_off(int failed)
{
#ifdef FINISHER
    *(volatile uint32_t *)0x100000 = failed ? 0x13333 : 0x5555;
#else
    register uint64_t a0 __asm__("a0") = 0, a1 __asm__("a1") = (uint64_t)failed;
    register uint64_t a6 __asm__("a6") = 0, a7 __asm__("a7") = 0x53525354;
    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a6), "r"(a7) : "memory");
#endif
    for (;;) {
    }
}

void program(void);
void program(void)
{
    uint64_t result = 0;
    for (int i = 0; i < ROUNDS; i++) {
        result = result * 3 + heap_sort();
        result = result * 3 + hash();
        result = result * 3 + sieve();
        result = result * 3 + matrices();
        result = result * 3 + search();
        result = result * 3 + tree();
    }
    switch_off(result != EXPECTED);
}

__asm__(".section .text.start\n.globl _start\n_start:\n lla sp, stack_end\n j program\n.text\n");
uint8_t stack[16384] __attribute__((aligned(16)));
__asm__(".globl stack_end\n.set stack_end, stack + 16384\n");

void *memcpy(void *to, const void *from, size_t n);
void *memcpy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}
