/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/bare/soft/engine/code.h"

#include <stdatomic.h>

#include "lib/host/mem.h"

enum { UNIT = 2, LONGEST_CHAIN = 64 }; /* code is made of these, and aligned to them */

/* Memory that guests may be writing. */
static void copy(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i += UNIT) {
        const _Atomic uint16_t *at = (const _Atomic uint16_t *)(const void *)(from + i);
        uint16_t unit = atomic_load_explicit(at, memory_order_relaxed);
        memcpy(to + i, &unit, UNIT);
    }
}

static bool unchanged(const hvc_block *b)
{
    uint8_t now[HVC_BLOCK_INSNS * 2 * UNIT];
    copy(now, b->host, b->bytes);
    return !memcmp(now, hvc_block_bytes(b), b->bytes);
}

static hvc_block **chain_of(hvc_code *code, const uint8_t *host)
{
    uint64_t key = (uintptr_t)host / UNIT * UINT64_C(0x9e3779b97f4a7c15);
    return &code->hash[key >> 50 & (HVC_CODE_HASH - 1)];
}

static void empty(hvc_code *code)
{
    memset(code->jump, 0, sizeof code->jump);
    memset(code->hash, 0, sizeof code->hash);
    code->used = 0;
    code->emptied++;
}

static hvc_block *take(hvc_code *code, uint32_t insns, uint32_t bytes)
{
    size_t size = sizeof(hvc_block) + (insns + 1) * sizeof(hvc_insn) + bytes;
    size = (size + 15) & ~(size_t)15;
    if (size > sizeof code->arena - code->used)
        empty(code);
    hvc_block *b = (hvc_block *)(void *)(code->arena + code->used);
    code->used += size;
    return b;
}

static hvc_block *decode_at(hvc_code *code, const uint8_t *host, uint32_t room,
                            hvc_code_decoder *decode, void *user)
{
    uint8_t bytes[HVC_BLOCK_INSNS * 2 * UNIT];
    hvc_insn insn[HVC_BLOCK_INSNS + 1];
    uint32_t used, count;
    room = room < sizeof bytes ? room : (uint32_t)sizeof bytes;
    copy(bytes, host, room);
    count = decode(user, bytes, room, insn, &used);
    if (!count)
        return NULL;
    hvc_block *b = take(code, count, used), **chain = chain_of(code, host);
    *b = (hvc_block){.host = host,
                     .next = *chain,
                     .epoch = code->epoch,
                     .count = (uint16_t)count,
                     .bytes = (uint16_t)used};
    memcpy(b->insn, insn, (count + 1) * sizeof insn[0]);
    memcpy(&b->insn[count + 1], bytes, used);
    *chain = b;
    return b;
}

/* A block that has changed is taken out; the arena keeps its room until it is emptied. */
hvc_block *hvc_code_find(hvc_code *code, const uint8_t *host, uint32_t bytes,
                         hvc_code_decoder *decode, void *user)
{
    hvc_block **link = chain_of(code, host), *b;
    uint32_t tries = 0;
    while ((b = *link) && b->host != host && tries++ < LONGEST_CHAIN)
        link = &b->next;
    if (b && b->host != host)
        b = NULL; /* a guest can make chains long: then there are two of the same, which is no
                     harm */
    if (b && b->epoch == code->epoch)
        return b;
    if (b && unchanged(b)) {
        b->epoch = code->epoch;
        return b;
    }
    if (b)
        *link = b->next;
    return decode_at(code, host, bytes, decode, user);
}

void hvc_code_fence(hvc_code *code)
{
    code->epoch++;
    if (!code->epoch)
        empty(code); /* an epoch must not come back */
}
