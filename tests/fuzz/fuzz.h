/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzers (clang's libFuzzer with its address and undefined-behaviour sanitizers). A fuzzer is a
 * file here; its line "sources:" names what is compiled with it, patterns allowed. EXPECT() is for
 * what must hold whatever the input is: it is compiled in always.
 */
#ifndef HVC_FUZZ_H
#define HVC_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXPECT(condition)                                                   \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

/* The input as a stream; zeros after its end. */
typedef struct fuzz_input {
    const uint8_t *at;
    size_t left;
} fuzz_input;

static inline void fuzz_take(fuzz_input *in, void *to, size_t size)
{
    size_t n = size < in->left ? size : in->left;
    memset(to, 0, size);
    if (n) {
        memcpy(to, in->at, n);
        in->at += n;
        in->left -= n;
    }
}

static inline uint64_t fuzz_u64(fuzz_input *in)
{
    uint64_t v;
    fuzz_take(in, &v, sizeof(v));
    return v;
}

static inline uint32_t fuzz_u32(fuzz_input *in)
{
    uint32_t v;
    fuzz_take(in, &v, sizeof(v));
    return v;
}

static inline uint16_t fuzz_u16(fuzz_input *in)
{
    uint16_t v;
    fuzz_take(in, &v, sizeof(v));
    return v;
}

#endif
