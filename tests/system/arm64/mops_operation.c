/* SPDX-License-Identifier: Apache-2.0 */
/* Operations: encodings, formats, effect. */
#include "tests/system/arm64/mops.h"

#define NZCV_A UINT64_C(0)
#define NZCV_B BIT(29)        /* C */
#define NZCV_BACKWARD BIT(31) /* N, with option B */

/* ---- instructions ---- */

uint32_t mops_word(const operation *o, enum stage stage)
{
    static const uint32_t base[FAMILIES] = {0x1d000400, 0x19000400, 0x19c00400, 0x1dc00400};
    uint32_t word = base[o->family] | o->s << 16 | o->options << 12 | o->n << 5 | o->d;

    return word | (uint32_t)stage << (is_set(o) ? 14 : 22);
}

uint64_t mops_syndrome(const operation *o, enum stage stage, bool wrong)
{
    uint64_t iss = o->options << 19 | o->d << 10 | o->s << 5 | o->n;

    iss |= is_set(o) ? BIT(24) : 0;
    iss |= o->family == SETG ? BIT(23) : 0;
    iss |= stage == EPILOGUE ? BIT(18) : 0;
    iss |= wrong ? BIT(17) : 0;
    return UINT64_C(0x27) << 26 | BIT(25) | BIT(16) | iss; /* this PE has option A */
}

/* ---- registers ---- */

amounts mops_format(const operation *o, const amounts *whole, uint64_t done, bool a, bool back)
{
    uint64_t left = whole->n - done, step = a ? whole->n : done;

    if (back) { /* A: beginnings; B: ends of what is left */
        return (amounts){whole->d + (a ? 0 : left), whole->s + (a ? 0 : left), left};
    }
    /* A: ends of the whole, and what is left as a negative; B: where to go on */
    return (amounts){whole->d + step, is_set(o) ? whole->s : whole->s + step, a ? 0 - left : left};
}

uint64_t mops_flags(bool a, bool back)
{
    return a ? NZCV_A : back ? NZCV_B | NZCV_BACKWARD : NZCV_B;
}

amounts mops_to_prologue(const operation *o, const amounts *now)
{
    if (now->n >> 63) {
        return (amounts){now->d + now->n, is_set(o) ? now->s : now->s + now->n, 0 - now->n};
    }
    return *now;
}

amounts mops_get(const operation *o, const hvcore_arm64_frame *frame)
{
    return (amounts){frame->x[o->d], o->s < 31 ? frame->x[o->s] : 0, frame->x[o->n]};
}

void mops_set(const operation *o, hvcore_arm64_frame *frame, const amounts *to)
{
    frame->x[o->d] = to->d;
    frame->x[o->n] = to->n;
    if (o->s < 31) {
        frame->x[o->s] = to->s;
    }
}

/* ---- effect ---- */

int mops_direction(const operation *o)
{
    uint64_t d = plain(o->dst), s = plain(o->src);

    if (o->family != CPY) {
        return 1;
    }
    if (s > d && s < d + o->len) {
        return 1;
    }
    return s < d && s + o->len > d ? -1 : 0;
}

void mops_carry_out(const operation *o, uint8_t *image, uint64_t done, bool back)
{
    uint64_t from = back ? o->len - done : 0;
    uint8_t *to = image + (plain(o->dst) - ARENA) + from;

    if (is_set(o)) {
        memset(to, o->byte, done);
    } else {
        memmove(to, image + (plain(o->src) - ARENA) + from, done);
    }
}

/* ---- any ---- */

static uint64_t any_length(void)
{
    static const uint32_t most[8] = {16, 64, 300, 4096, 4200, 8200, 12288, 12300};

    return below(most[below(COUNT(most))] + 1);
}

static void any_registers(operation *o)
{
    o->d = (uint32_t)below(31);
    do {
        o->n = (uint32_t)below(31);
    } while (o->n == o->d);
    do {
        o->s = (uint32_t)below(is_set(o) ? 32 : 31);
    } while (o->s == o->d || o->s == o->n);
}

static uint64_t any_place(uint64_t len)
{
    return ARENA + below(ARENA_SIZE - len + 1);
}

/* Copies overlap often; one that goes forward alone must not have to go backward. */
static void any_source(operation *o)
{
    uint64_t near = o->dst + below(o->len + 1) - o->len / 2;
    bool fits = near >= ARENA && near + o->len <= ARENA + ARENA_SIZE;

    o->src = fits && chance(60) ? near : any_place(o->len);
    if (o->family == CPYF && o->src < o->dst && o->src + o->len > o->dst) {
        uint64_t lower = o->src;

        o->src = o->dst;
        o->dst = lower;
    }
}

void mops_any(operation *o)
{
    o->family = (enum family)below(FAMILIES);
    o->options = (uint32_t)below(is_set(o) ? 4 : 16);
    any_registers(o);
    o->len = any_length();
    o->dst = any_place(o->len);
    o->byte = o->s < 31 ? (uint8_t)any() : 0;
    if (o->family == SETG) {
        o->len &= ~UINT64_C(15);
        o->dst &= ~UINT64_C(15);
    }
    any_source(o);
    o->dst |= bits_any(50, MASK(63, 56));
    o->src |= bits_any(50, MASK(63, 56));
}
