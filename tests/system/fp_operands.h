/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operands for F and D: values at every edge, all combinations of them, and random numbers that
 * meet.
 */
#ifndef HVC_TESTS_FP_OPERANDS_H
#define HVC_TESTS_FP_OPERANDS_H

#include <stdbool.h>
#include <stdint.h>

/* splitmix64 */
static inline uint64_t fp_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

#define FP_COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define FP_BOXED(bits) (UINT64_C(0xffffffff00000000) | (bits))

/*
 * The first FP_CUBE of each list are those whose combinations by three are tried. Each comes with
 * both signs but for what is not boxed.
 */
#define FP_CUBE 14

static const uint64_t fp_doubles[] = {
    0,
    UINT64_C(0x0000000000000001), /* smallest */
    UINT64_C(0x000fffffffffffff), /* largest subnormal */
    UINT64_C(0x0010000000000000), /* smallest normal */
    UINT64_C(0x3ca0000000000000), /* 2^-53 */
    UINT64_C(0x3fefffffffffffff), /* 1 - ulp */
    UINT64_C(0x3ff0000000000000), /* 1 */
    UINT64_C(0x3ff0000000000001),
    UINT64_C(0x7fe0000000000000), /* half of the largest */
    UINT64_C(0x7fefffffffffffff), /* largest */
    UINT64_C(0x7ff0000000000000),
    UINT64_C(0x7ff8000000000000), /* canonical NaN */
    UINT64_C(0x7ff0000000000001), /* signals */
    UINT64_C(0x0018000000000001),
    UINT64_C(0x0010000000000001),
    UINT64_C(0x001fffffffffffff),
    UINT64_C(0x0008000000000000),
    UINT64_C(0x1ff0000000000001), /* its square is tiny */
    UINT64_C(0x2000000000000000), /* its square is the smallest normal number */
    UINT64_C(0x2007ffffffffffff),
    UINT64_C(0x5fefffffffffffff), /* its square nearly overflows */
    UINT64_C(0x5ff0000000000000),
    UINT64_C(0x7ff4000000000000),
    UINT64_C(0x7fffffffffffffff),
    UINT64_C(0x7ff8dead0000beef),
    /* to integers: halves, and the limits */
    UINT64_C(0x3fe0000000000000), /* 0.5 */
    UINT64_C(0x3fe0000000000001),
    UINT64_C(0x3fdfffffffffffff),
    UINT64_C(0x3ff8000000000000), /* 1.5 */
    UINT64_C(0x4004000000000000), /* 2.5 */
    UINT64_C(0x4008000000000000), /* 3 */
    UINT64_C(0x41dfffffffc00000), /* 2^31 - 1 */
    UINT64_C(0x41dfffffffe00000), /* 2^31 - 0.5 */
    UINT64_C(0x41dfffffffdfffff),
    UINT64_C(0x41e0000000000000), /* 2^31 */
    UINT64_C(0x41e0000000100000), /* 2^31 + 0.5 */
    UINT64_C(0x41e00000001fffff),
    UINT64_C(0x41e0000000200000), /* 2^31 + 1 */
    UINT64_C(0x41efffffffe00000), /* 2^32 - 1 */
    UINT64_C(0x41effffffff00000), /* 2^32 - 0.5 */
    UINT64_C(0x41f0000000000000), /* 2^32 */
    UINT64_C(0x4330000000000001), /* 2^52 + 1 */
    UINT64_C(0x4320000000000001), /* 2^51 + 0.5 */
    UINT64_C(0x43dfffffffffffff), /* below 2^63 */
    UINT64_C(0x43e0000000000000), /* 2^63 */
    UINT64_C(0x43e0000000000001),
    UINT64_C(0x43efffffffffffff), /* below 2^64 */
    UINT64_C(0x43f0000000000000), /* 2^64 */
    UINT64_C(0x43f0000000000001),
    UINT64_C(0x5000000000000000),
    /* to single: its edges, and what rounds to them */
    UINT64_C(0x3690000000000000), /* 2^-150: half of the smallest */
    UINT64_C(0x3690000000000001),
    UINT64_C(0x36a0000000000000), /* 2^-149 */
    UINT64_C(0x380fffffc0000000), /* largest subnormal */
    UINT64_C(0x380fffffe0000000), /* half an ulp below the smallest normal */
    UINT64_C(0x380ffffff0000000), /* a quarter: not tiny after rounding */
    UINT64_C(0x380fffffefffffff),
    UINT64_C(0x380ffffff8000000),
    UINT64_C(0x3810000000000000), /* smallest normal */
    UINT64_C(0x47efffffe0000000), /* largest */
    UINT64_C(0x47efffffefffffff),
    UINT64_C(0x47effffff0000000), /* overflows to nearest */
    UINT64_C(0x47f0000000000000),
};

static const uint32_t fp_singles[] = {
    0,          0x00000001,             /* in the order of fp_doubles */
    0x007fffff, 0x00800000, 0x33800000, /* 2^-24 */
    0x3f7fffff, 0x3f800000, 0x3f800001, 0x7f000000, 0x7f7fffff, 0x7f800000, 0x7fc00000,
    0x7f800001, 0x00c00001, 0x00800001, 0x00ffffff, 0x00400000, 0x1f800001, 0x20000000,
    0x203fffff, 0x5f7fffff, 0x5f800000, 0x7fa00000, 0x7fffffff, 0x7fdeadbe, 0x3f000000,
    0x3f000001, 0x3effffff, 0x3fc00000, 0x40200000, 0x40400000, 0x4effffff, /* below 2^31 */
    0x4f000000, 0x4f000001, 0x4f7fffff,                                     /* below 2^32 */
    0x4f800000, 0x4f800001, 0x4b000001,                                     /* 2^23 + 1 */
    0x4a800001,                                                             /* 2^22 + 0.5 */
    0x5effffff,                                                             /* below 2^63 */
    0x5f000000, 0x5f000001, 0x5f7ffffe,                                     /* below 2^64 */
    0x70000000,
};

/* Registers that hold no single. */
static const uint64_t fp_unboxed[] = {
    UINT64_C(0x000000003f800000), UINT64_C(0xfffffffe3f800000), UINT64_C(0x7fffffff7f800001),
    UINT64_C(0xffffffef00000000), UINT64_C(0x3ff0000000000000),
};

static const uint64_t fp_integers[] = {
    0,
    1,
    2,
    3,
    UINT64_C(0x0000000000ffffff),
    UINT64_C(0x0000000001000001), /* 2^24 + 1 */
    UINT64_C(0x0000000001000003),
    UINT64_C(0x000000007fffffff),
    UINT64_C(0x0000000080000000),
    UINT64_C(0x0000000080000001),
    UINT64_C(0x00000000ffffff80),
    UINT64_C(0x00000000ffffffff),
    UINT64_C(0x0000000100000000),
    UINT64_C(0x123456787fffffff),
    UINT64_C(0x1234567880000000),
    UINT64_C(0x001fffffffffffff), /* 2^53 - 1 */
    UINT64_C(0x0020000000000001), /* 2^53 + 1 */
    UINT64_C(0x0020000000000003),
    UINT64_C(0x3fffffffffffffff),
    UINT64_C(0x7fffff8000000000),
    UINT64_C(0x7fffffc000000000), /* half an ulp of a single */
    UINT64_C(0x7ffffffffffffbff),
    UINT64_C(0x7ffffffffffffc00),
    UINT64_C(0x7ffffffffffffe00),
    UINT64_C(0x7fffffffffffffff),
    UINT64_C(0x8000000000000000),
    UINT64_C(0x8000000000000001),
    UINT64_C(0x8000000000000400),
    UINT64_C(0x8000000000000401),
    UINT64_C(0x8000000000000c00),
    UINT64_C(0x8000008000000000),
    UINT64_C(0x8000008000000001),
    UINT64_C(0xfffffffffffff400),
    UINT64_C(0xfffffffffffffbff),
    UINT64_C(0xfffffffffffffc00),
    UINT64_C(0xffffff7fffffffff),
    UINT64_C(0xffffff8000000000),
    UINT64_C(0xffffffff80000000),
    UINT64_C(0xffffffff7fffffff),
    UINT64_C(0xffffffffffffffff),
};

/* --- the edges, by number --------------------------------------------------------------------- */

enum fp_type { FP_SINGLE, FP_DOUBLE, FP_INTEGER };

static inline uint32_t fp_edges(enum fp_type type)
{
    static const uint32_t counts[] = {2 * FP_COUNT(fp_singles) + FP_COUNT(fp_unboxed),
                                      2 * FP_COUNT(fp_doubles), FP_COUNT(fp_integers)};
    return counts[type];
}

static inline uint64_t fp_edge(enum fp_type type, uint32_t i)
{
    uint64_t sign = i & 1;

    if (type == FP_INTEGER)
        return fp_integers[i];
    if (type == FP_DOUBLE)
        return fp_doubles[i / 2] | sign << 63;
    if (i < 2 * FP_COUNT(fp_singles))
        return FP_BOXED(fp_singles[i / 2] | sign << 31);
    return fp_unboxed[i - 2 * FP_COUNT(fp_singles)];
}

/* --- random numbers --------------------------------------------------------------------------- */

typedef struct fp_shape {
    uint32_t fraction, exponent; /* bits */
} fp_shape;

static const fp_shape fp_shapes[] = {{23, 8}, {52, 11}};

/* Bits of all kinds: any, few ones, long runs, the upper ones. */
static inline uint64_t fp_random_fraction(uint64_t *seed, uint32_t bits)
{
    uint64_t r = fp_random(seed), all = (UINT64_C(1) << bits) - 1;

    switch (fp_random(seed) & 7) {
    case 0:
        return UINT64_C(1) << r % bits;
    case 1:
        return all >> r % bits;
    case 2:
        return all & all << r % bits;
    case 3:
        return all & r << (r >> 58) % bits;
    case 4:
        return (UINT64_C(1) << r % bits) ^ (UINT64_C(1) << (r >> 32) % bits);
    case 5:
        return 0;
    default:
        return all & r;
    }
}

/* A number whose biased exponent is near `field`; out of range it ends up at the edge. */
static inline uint64_t fp_random_near(uint64_t *seed, fp_shape shape, int64_t field)
{
    int64_t most = (INT64_C(1) << shape.exponent) - 2, sign = fp_random(seed) & 1;

    field += (int64_t)(fp_random(seed) % 7) - 3;
    field = field < 0 ? 0 : field > most ? most : field;
    return (uint64_t)sign << (shape.exponent + shape.fraction) | (uint64_t)field << shape.fraction |
           fp_random_fraction(seed, shape.fraction);
}

static inline int64_t fp_field(fp_shape shape, uint64_t x)
{
    return (int64_t)(x >> shape.fraction & ((UINT64_C(1) << shape.exponent) - 1));
}

static inline int64_t fp_random_field(uint64_t *seed, fp_shape shape)
{
    uint64_t r = fp_random(seed), bias = (UINT64_C(1) << (shape.exponent - 1)) - 1;
    static const uint8_t widths[] = {2, 3, 5, 5};

    /* anywhere, near 1 (integers and fractions), or at the lower end */
    if ((r & 3) == 0)
        return (int64_t)((bias - 40 + (r >> 8) % 110) % (2 * bias));
    if ((r & 15) == 1)
        return (int64_t)((r >> 8) % (1u << widths[r >> 4 & 3]));
    return (int64_t)((r >> 8) % (2 * bias + 1));
}

/*
 * Three numbers that have to do with each other: exponents such that a sum cancels or loses bits, a
 * product or quotient lies at an end of the range, and an addend meets the product.
 */
static inline void fp_random_three(uint64_t *seed, enum fp_type type, uint64_t x[3])
{
    fp_shape shape = fp_shapes[type];
    int64_t bias = (INT64_C(1) << (shape.exponent - 1)) - 1, a, b, c;
    uint64_t r = fp_random(seed);

    x[0] = fp_random_near(seed, shape, fp_random_field(seed, shape));
    a = fp_field(shape, x[0]);
    switch (r & 7) {
    case 0: /* a sum */
    case 1:
        b = a + (int64_t)((r >> 8) % (2 * shape.fraction + 6)) - (int64_t)shape.fraction - 3;
        break;
    case 2: /* a product that is about the smallest or the largest number */
        b = (r >> 8 & 1 ? 3 * bias : bias - (int64_t)((r >> 9) % shape.fraction)) - a;
        break;
    case 3: /* a quotient */
        b = a + (r >> 8 & 1 ? -bias : bias - 1 + (int64_t)((r >> 9) % shape.fraction));
        break;
    default:
        b = fp_random_field(seed, shape);
    }
    x[1] = fp_random_near(seed, shape, b);
    c = a + fp_field(shape, x[1]) - bias + (int64_t)((r >> 16) % (4 * shape.fraction)) -
        2 * (int64_t)shape.fraction;
    x[2] = fp_random_near(seed, shape, r >> 32 & 3 ? c : fp_random_field(seed, shape));
    if (r >> 40 & 1 && type == FP_DOUBLE) /* the fraction of b again: cancels to the last bits */
        x[1] = (x[1] & ~UINT64_C(0xfffffffffffff)) |
               ((x[0] + (r >> 41 & 3)) & UINT64_C(0xfffffffffffff));
    for (int i = 0; i < 3 && type == FP_SINGLE; i++)
        x[i] = FP_BOXED(x[i]);
}

/*
 * a * b is a power of two and next to nothing: (1 + 2^-k) * (1 - 2^-k + 2^-2k) is 1 + 2^-3k. c is
 * such that the power is about half of its last bit, so next to nothing decides.
 */
static inline void fp_random_tie(uint64_t *seed, enum fp_type type, uint64_t x[3])
{
    fp_shape shape = fp_shapes[type];
    uint64_t all = (UINT64_C(1) << shape.fraction) - 1;
    uint32_t bits = shape.fraction, k = (bits + 1) / 2;
    int64_t bias = (INT64_C(1) << (shape.exponent - 1)) - 1, middle = bias / 2 + bias / 4, c;

    x[0] = fp_random_near(seed, shape, middle + (int64_t)(fp_random(seed) % (uint64_t)middle));
    x[1] = fp_random_near(seed, shape, middle + (int64_t)(fp_random(seed) % (uint64_t)middle));
    c = fp_field(shape, x[0]) + fp_field(shape, x[1]) - bias + bits + 3;
    x[0] = (x[0] & ~all) | UINT64_C(1) << (bits - k);
    x[1] = (x[1] & ~all) |
           (all + 1 - (UINT64_C(1) << (bits + 1 - k)) + (UINT64_C(1) << (bits + 1 - 2 * k)));
    x[2] = fp_random_near(seed, shape, c);
    for (int i = 0; i < 3 && type == FP_SINGLE; i++)
        x[i] = FP_BOXED(x[i]);
}

/* Of any width, and near powers of two. */
static inline uint64_t fp_random_integer(uint64_t *seed)
{
    uint64_t r = fp_random(seed), x = fp_random(seed) >> (r & 63);

    if (r >> 6 & 1)
        x = (UINT64_C(1) << (r >> 8 & 63)) + (x & 7) - 3;
    return r >> 7 & 1 ? -x : x;
}

#endif
