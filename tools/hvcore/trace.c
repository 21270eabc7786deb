/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "trace.h"

enum { STEP = 1000000, FIELDS = 32 };

/* --- FNV-1a, by 8 bytes ---------------------------------------------------------------------- */

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

/* The shift brings the upper half, where a product's entropy is, down again. */
static uint64_t hash_word(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * HASH_PRIME;
    return hash ^ hash >> 32;
}

static uint64_t hash_memory(const void *memory, uint64_t len)
{
    const uint64_t *word = memory;
    uint64_t hash = HASH_BEGIN;

    for (uint64_t i = 0; i < len / sizeof *word; i++)
        hash = hash_word(hash, word[i]);
    return hash;
}

/* --- a hart ---------------------------------------------------------------------------------- */

/* Beside x0 to x31 and f0 to f31. */
static const hvcore_reg others[] = {HVCORE_REG_RISCV64_PC, HVCORE_REG_RISCV64_MODE,
                                    HVCORE_REG_RISCV64_FCSR,
#define ROW(name, number) HVCORE_REG_CSR << 24 | (number) << 8 | 8,
                                    HVCORE_RISCV64_SYS(ROW)
#undef ROW
};

/* A register that the machine does not have counts as such. */
static uint64_t hash_register(uint64_t hash, hvcore_vcpu *vcpu, hvcore_reg reg)
{
    uint64_t value = 0;
    int rc = hvcore_reg_get_u64(vcpu, reg, &value);

    return hash_word(hash, rc == 0 ? value : (uint64_t)(int64_t)rc);
}

static uint64_t hash_hart(hvcore_vcpu *vcpu)
{
    uint64_t hash = HASH_BEGIN;

    for (uint32_t i = 0; i < FIELDS; i++) {
        hash = hash_register(hash, vcpu, HVCORE_REG_RISCV64_X0 + (i << 8));
        hash = hash_register(hash, vcpu, HVCORE_REG_RISCV64_F0 + (i << 8));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        hash = hash_register(hash, vcpu, others[i]);
    return hash;
}

static void put_harts(const struct trace *t, const struct machine *m, uint64_t insns)
{
    for (uint32_t i = 0; i < m->count; i++) {
        uint64_t pc = 0;

        hvcore_reg_get_u64(m->hart[i].vcpu, HVCORE_REG_RISCV64_PC, &pc);
        fprintf(t->out, "%" PRIu64 " %" PRIu32 " %016" PRIx64 " %016" PRIx64 "\n", insns, i, pc,
                hash_hart(m->hart[i].vcpu));
    }
}

/* --- the file -------------------------------------------------------------------------------- */

int trace_open(struct trace *t, const char *path)
{
    *t = (struct trace){.out = path ? fopen(path, "w") : NULL, .next = STEP};
    if (!path || t->out)
        return CLI_OK;
    cli_say("%s: the trace cannot be written: %s.", path, strerror(errno));
    return CLI_FILE;
}

void trace_step(struct trace *t, const struct machine *m, uint64_t insns)
{
    if (!t->out || insns < t->next)
        return;
    put_harts(t, m, insns);
    while (t->next <= insns)
        t->next += STEP;
}

int trace_close(struct trace *t, const struct machine *m, uint64_t insns)
{
    bool good;

    if (!t->out)
        return CLI_OK;
    put_harts(t, m, insns);
    fprintf(t->out, "memory %016" PRIx64 "\n",
            hash_memory(hvcore_mem_ptr(m->mem), m->options->mem));
    good = !ferror(t->out);
    if (fclose(t->out) != 0 || !good)
        return cli_system("the trace cannot be written");
    return CLI_OK;
}
