/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoded code of one PE, for any architecture: basic blocks by the place where the host has their
 * bytes, and a table in front of it by guest address.
 *
 * A block keeps the bytes that it was decoded from. fence() makes all blocks doubtful; a doubtful
 * block is compared with memory when it is met again, and decoded anew if it differs. That is all
 * that FENCE.I (IC IVAU) asks for: no store has to look for code.
 *
 * Blocks live in an arena that is emptied when it is full. find() alone allocates, so a block that
 * executes stays where it is.
 */
#ifndef HVC_SOFT_ENGINE_CODE_H
#define HVC_SOFT_ENGINE_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HVC_BLOCK_INSNS = 64,            /* of a block, at most */
    HVC_CODE_JUMPS = 4096,           /* entries of the table by guest address, a power of two */
    HVC_CODE_HASH = 1 << 14,         /* chains of blocks, a power of two */
    HVC_CODE_ARENA = 6 * 1024 * 1024 /* bytes */
};

/* A decoded instruction. `go` is where the interpreter continues: direct threading. */
typedef struct hvc_insn {
    const void *go;
    int32_t imm; /* the immediate, or all of the word */
    uint8_t rd, rs1, rs2;
    uint8_t at; /* units of 2 bytes from the start of the block */
} hvc_insn;

typedef struct hvc_block hvc_block;

struct hvc_block {
    const uint8_t *host;  /* its first byte */
    hvc_block *next;      /* of the same hash */
    hvc_block *follow[2]; /* known successors in its page: by falling through, by a jump */
    uint32_t epoch;       /* equal to the code's: not doubtful */
    uint16_t count;       /* instructions */
    uint16_t bytes;
    hvc_insn insn[]; /* count, one that ends the block, and then the bytes */
};

/* What the guest address `pc` leads to in the context `tag` (never 0). */
typedef struct hvc_jump {
    uint64_t pc, tag;
    hvc_block *block;
} hvc_jump;

/* Large, and touched as it is used: it lives in fresh pages. */
typedef struct hvc_code {
    uint32_t epoch;
    uint32_t emptied; /* how often */
    size_t used;      /* of the arena */
    hvc_jump jump[HVC_CODE_JUMPS];
    hvc_block *hash[HVC_CODE_HASH];
    _Alignas(16) uint8_t arena[HVC_CODE_ARENA];
} hvc_code;

/*
 * Decode a block from `bytes` bytes into insn[0 .. HVC_BLOCK_INSNS] with an end after the last;
 * returns the number of instructions (0: not even one is complete) and their length in *used.
 */
typedef uint32_t hvc_code_decoder(void *user, const uint8_t *code, uint32_t bytes, hvc_insn *insn,
                                  uint32_t *used);

/* The block at `host`, which has `bytes` bytes of its page before it; NULL if none is complete. */
hvc_block *hvc_code_find(hvc_code *code, const uint8_t *host, uint32_t bytes,
                         hvc_code_decoder *decode, void *user);

/* All blocks are doubtful from now on. */
void hvc_code_fence(hvc_code *code);

/* The bytes that it was decoded from. */
static inline const uint8_t *hvc_block_bytes(const hvc_block *b)
{
    return (const uint8_t *)&b->insn[b->count + 1];
}

static inline hvc_jump *hvc_code_jump(hvc_code *code, uint64_t pc)
{
    return &code->jump[pc / 2 % HVC_CODE_JUMPS];
}

#endif
