/* SPDX-License-Identifier: Apache-2.0 */
/* The four functions that the library leaves to the image. Plain; words where both ends are
 * aligned. */
#include <stdint.h>

#include "lib/host/mem.h"

/* Or the compiler sees a memcpy in memcpy and calls it. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

typedef uint64_t __attribute__((may_alias)) word;

static int aligned(const void *a, const void *b)
{
    return (((uintptr_t)a | (uintptr_t)b) & 7) == 0;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char *out = to;
    const unsigned char *in = from;

    if (aligned(out, in))
        for (; n >= 8; n -= 8, out += 8, in += 8)
            *(word *)(void *)out = *(const word *)(const void *)in;
    while (n--)
        *out++ = *in++;
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *out = to;
    const unsigned char *in = from;

    if ((uintptr_t)out - (uintptr_t)in >= n)
        return memcpy(to, from, n);
    while (n--)
        out[n] = in[n];
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    unsigned char *out = to;
    word pattern = (unsigned char)byte * UINT64_C(0x0101010101010101);

    if (aligned(out, out))
        for (; n >= 8; n -= 8, out += 8)
            *(word *)(void *)out = pattern;
    while (n--)
        *out++ = (unsigned char)byte;
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;

    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}
