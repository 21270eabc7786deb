/* SPDX-License-Identifier: Apache-2.0 */
/* An image without a C library, which links units: what it brings is all that they ask for. */
#include <hvcore/fixup/apf.h>
#include <hvcore/fixup/arm64_state.h>
#include <hvcore/fixup/forward.h>
#include <hvcore/fixup/nisv.h>
#include <hvcore/fixup/redirect.h>

void *memset(void *to, int byte, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
int memcmp(const void *a, const void *b, size_t size);
void _start(void);

void *memset(void *to, int byte, size_t size)
{
    for (volatile unsigned char *p = to; size--;) {
        *p++ = (unsigned char)byte;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    volatile unsigned char *t = to;
    const volatile unsigned char *f = from;

    for (size_t i = 0; i < size; i++) {
        size_t at = t < f ? i : size - 1 - i;

        t[at] = f[at];
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    return memmove(to, from, size);
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *x = a, *y = b;

    while (size && *x == *y) {
        x++, y++, size--;
    }
    return size ? *x - *y : 0;
}

static hvcore_arm64_frame frame;
static hvcore_arm64_sys sys;
static hvcore_arm64_state state;

void _start(void)
{
    const hvcore_event event = HVCORE_EVENT_INIT;

    for (;;) {
        hvcore_at(&frame, &sys, &event, &state);
        hvcore_mops(&frame, &sys, &event, &state);
        hvcore_nisv_arm64(&frame, &sys, &event, &state);
    }
}
