/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The short way of the arm64 walker (arm64_hot.h) beside the general one, which the vectors and the
 * model hold: the same registers, address and memory, and not a bit of the result differs. Memory
 * is a function of the address that mostly makes sense.
 */
#include "lib/walk/arm64_hot.h"
#include "tests/unit/at_vectors.h"
#include "tests/unit/unit.h"

typedef hvcore_arm64_walk_options options_t;
typedef hvcore_arm64_walk_request request_t;
typedef hvcore_arm64_walk_result result_t;

enum { WALKS = 1000000 };

static uint64_t seed = 1;

/* True once in so many times. */
static bool once_in(uint64_t times)
{
    return hvc_random(&seed) % times == 0;
}

/* ---- memory ---- */

struct memory {
    uint64_t seed, written;
};

/* A table or a leaf with a bit or two that is rare; now and then anything at all. */
static uint64_t descriptor(uint64_t h)
{
    uint64_t d = (h & ARM64_MASK(35, 12)) | DESC_AF | 3;

    d ^= (h >> 36 & 7) == 0 ? DESC_TABLE : 0;
    d |= (h >> 39 & 3) == 0 ? h << 24 & (ARM64_MASK(62, 59) | DESC_DBM | DESC_NT) : 0;
    d |= (h >> 41 & 3) << 8 | (h >> 43 & 3) << 6;
    d |= (h >> 45 & 7) == 0 ? (h >> 48 & 7) << DESC_ATTR_SHIFT : 0;
    d ^= (h >> 51 & 31) == 0 ? ARM64_BIT(h >> 56 & 63) : 0;
    return (h >> 56 & 31) == 0 ? h * 3 : d;
}

static int read_any(void *user, uint64_t pa, uint64_t *value)
{
    const struct memory *m = user;
    uint64_t h = m->seed ^ pa * 5;

    hvc_random(&h);
    *value = descriptor(hvc_random(&h));
    return (hvc_random(&h) & 127) == 0 ? (int)(h >> 20 & 3) : HVCORE_ARM64_MEM_OK;
}

static int cas_any(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    struct memory *m = user;

    m->written = m->written * 31 + (pa ^ expected << 1 ^ desired << 2);
    return (int)(m->seed >> 9 & 15) > 3 ? 0 : (int)(m->seed >> 9 & 3);
}

/* ---- registers ---- */

static uint64_t random_tcr(void)
{
    uint64_t range = 13 + hvc_random(&seed) % 30, tcr = range | (13 + hvc_random(&seed) % 30) << 16;

    tcr |= ARM64_BIT(31) | (hvc_random(&seed) & 7) << 32;
    tcr |= hvc_random(&seed) & (TCR_TBI | TCR_TBI << 1 | TCR_HA | ARM64_MASK(13, 8));
    tcr ^= once_in(2) ? 0 : ARM64_BIT(hvc_random(&seed) & 63);
    return tcr;
}

static hvcore_arm64_sys random_sys(void)
{
    hvcore_arm64_sys sys;

    for (uint32_t i = 0; i < HVCORE_ARM64_SYS_COUNT; i++) {
        (&sys.sctlr_el1)[i] = hvc_random(&seed);
    }
    sys.sctlr_el1 = (sys.sctlr_el1 | SCTLR_M | SCTLR_C) & ~SCTLR_EE;
    sys.sctlr_el1 ^= once_in(8) ? ARM64_BIT(hvc_random(&seed) & 31) : 0;
    sys.tcr_el1 = random_tcr();
    sys.ttbr0_el1 &= once_in(16) ? UINT64_MAX : ~(ARM64_MASK(47, 36) | ARM64_MASK(11, 1));
    sys.ttbr1_el1 &= once_in(16) ? UINT64_MAX : ~(ARM64_MASK(47, 36) | ARM64_MASK(11, 1));
    sys.mair_el1 |= once_in(4) ? 0 : 0xff;
    sys.hcr_el2 = once_in(8) ? ARM64_BIT(hvc_random(&seed) & 63) : ARM64_BIT(31);
    sys.tcr2_el1 = once_in(4) ? ARM64_BIT(hvc_random(&seed) & 7) : 0;
    return sys;
}

static options_t random_options(void)
{
    options_t o = {.features = (uint32_t)hvc_random(&seed) & (ARM64_BIT(29) - 1), .pa_bits = 48};

    o.features |= once_in(16) ? 0 : HVCORE_ARM64_FEAT_TGRAN4;
    o.choices = once_in(4) ? (uint32_t)hvc_random(&seed) & 0x3ff : 0;
    o.pa_bits = once_in(2) ? 31 + (uint32_t)(hvc_random(&seed) % 27) : 48;
    o.reserved_sh = (uint32_t)(hvc_random(&seed) % 33) / 8;
    return o;
}

static uint64_t random_va(const hvcore_arm64_sys *sys)
{
    bool upper = once_in(2);
    uint64_t va = hvc_random(&seed) >> (sys->tcr_el1 >> (upper ? 16 : 0) & 63);

    va = upper ? ~va : va;
    va ^= once_in(4) ? hvc_random(&seed) << 56 : 0;
    return once_in(16) ? va ^ ARM64_BIT(hvc_random(&seed) & 63) : va;
}

/* ---- both ways ---- */

/* The results, and what would have been written; entries of `read` that are not used may differ. */
static bool same(const result_t *a, const result_t *b)
{
    return memcmp(a, b, offsetof(result_t, read)) == 0 &&
           memcmp(a->read, b->read, sizeof a->read[0] * a->reads) == 0;
}

static bool is_plain(const options_t *o, const hvcore_arm64_sys *sys, const request_t *q)
{
    struct hvc_arm64_plain p;

    return q->regime == HVCORE_ARM64_REGIME_EL10 &&
           hvc_arm64_plain_prepare(&p, o, sys, q->va >> 55 & 1);
}

static void test_both_ways(void)
{
    unsigned plain = 0, translated = 0, blocks = 0;

    for (unsigned n = 0; n < WALKS; n++) {
        struct memory m = {hvc_random(&seed), 0}, m2 = m;
        const hvcore_arm64_walk_mem mem = {&m, read_any, cas_any}, mem2 = {&m2, read_any, cas_any};
        hvcore_arm64_sys sys = random_sys();
        options_t o = random_options();
        request_t q = {random_va(&sys), once_in(16), (uint32_t)hvc_random(&seed) & 0x5b};
        result_t r, general;

        q.access |= once_in(8) ? HVCORE_ARM64_ACCESS_PAN : 0;
        memset(&r, 0xa5, sizeof r);
        memset(&general, 0x5a, sizeof general);
        hvcore_arm64_walk(&o, &sys, &mem, &q, &r);
        hvc_arm64_general(&o, &sys, &mem2, &q, &general);
        CU_ASSERT_FATAL(same(&r, &general) && m.written == m2.written);
        if (is_plain(&o, &sys, &q)) {
            plain++;
            translated += r.kind == HVCORE_ARM64_WALK_DONE && !r.fault;
            blocks += !r.fault && r.size > 4096;
        }
    }
    CU_ASSERT(plain > WALKS / 10 && translated > WALKS / 50 && blocks > WALKS / 200);
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"the short way and the general one", test_both_ways},
        {NULL, NULL},
    };

    return hvc_unit_main("walk_arm64_hot", tests);
}
