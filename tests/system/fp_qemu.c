/* SPDX-License-Identifier: Apache-2.0 */
/*
 * F and D against QEMU: every instruction, in all rounding modes, on all combinations of edges and
 * on random numbers, executed by qemu-riscv64 (user mode) and computed by backends/bare/soft/fp_*.c
 * in three ways: on this host, in integers alone, and as on an AArch64 host (in qemu-aarch64).
 * Values and flags have to be the same, bit for bit.
 *
 *   fp_qemu FP_RISCV64.elf FP_AARCH64.elf [SEED]
 *
 * 77 without qemu-user.
 */
#include "backends/bare/soft/fp.h"
#include "tests/system/fp_operands.h"
#include "tests/system/fp_wire.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RANDOM 8000 /* operands, for each instruction and mode */
#define SHOWN 10    /* differences */

typedef struct row {
    const char *name;
    uint32_t match, form, has_rm;
    hvc_soft_fp_fn *function;
} row;

#define ROW(name, mask, match, form, rm) {#name, match, HVC_SOFT_FP_##form, rm, hvc_soft_fp_##name},
static const row rows[] = {HVC_SOFT_FP(ROW)};

static fp_operands operands[FP_BATCH];
static fp_result expected[FP_BATCH], results[FP_BATCH];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* --- who computes ----------------------------------------------------------------------------- */

typedef struct server {
    pid_t pid;
    int to, from;
} server;

static server server_start(const char *qemu, const char *elf)
{
    int to[2], from[2];
    server s;

    if (pipe(to) || pipe(from))
        die("pipe");
    s = (server){fork(), to[1], from[0]};
    if (s.pid < 0)
        die("fork");
    if (s.pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        close(to[1]);
        close(from[0]);
        execlp(qemu, qemu, elf, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    return s;
}

static void send_all(int file, const void *data, size_t n)
{
    for (const char *p = data, *end = p + n; p < end;) {
        ssize_t now = write(file, p, (size_t)(end - p));
        if (now <= 0)
            die("write to QEMU");
        p += now;
    }
}

static void receive_all(int file, void *data, size_t n)
{
    for (char *p = data, *end = p + n; p < end;) {
        ssize_t now = read(file, p, (size_t)(end - p));
        if (now <= 0)
            die("read from QEMU");
        p += now;
    }
}

static void server_run(server *s, const fp_batch *batch, fp_result *out)
{
    send_all(s->to, batch, sizeof(*batch));
    send_all(s->to, operands, batch->count * sizeof(operands[0]));
    receive_all(s->from, out, batch->count * sizeof(out[0]));
}

static int server_end(server *s)
{
    int status = 1;

    send_all(s->to, &(fp_batch){0}, sizeof(fp_batch));
    close(s->to);
    close(s->from);
    waitpid(s->pid, &status, 0);
    return status;
}

static void run_here(const row *r, const fp_batch *batch, uint32_t options)
{
    hvc_soft_fp_env env = {.options = options};

    hvc_soft_fp_enter(&env);
    for (uint32_t i = 0; i < batch->count; i++) {
        const fp_operands *o = &operands[i];
        results[i].value = r->function(&env, o->a, o->b, o->c, batch->word >> 12 & 7);
        results[i].flags = hvc_soft_fp_flags(&env);
    }
    hvc_soft_fp_leave(&env);
}

/* --- what is computed ------------------------------------------------------------------------- */

static uint32_t operands_of(const row *r)
{
    static const uint32_t counts[] = {
        [HVC_SOFT_FP_FF] = 1, [HVC_SOFT_FP_FFF] = 2, [HVC_SOFT_FP_FFFF] = 3,
        [HVC_SOFT_FP_XF] = 1, [HVC_SOFT_FP_XFF] = 2, [HVC_SOFT_FP_FX] = 1,
    };
    return counts[r->form];
}

/* Of the operands. fmt says it, but between formats: there rs2 does. */
static enum fp_type type_of(const row *r)
{
    if (r->form == HVC_SOFT_FP_FX)
        return FP_INTEGER;
    if ((r->match & 0xf800007f) == 0x40000053)
        return r->match >> 20 & 1 ? FP_DOUBLE : FP_SINGLE;
    return r->match >> 25 & 1 ? FP_DOUBLE : FP_SINGLE;
}

static uint32_t word_of(const row *r, uint32_t rm)
{
    bool from_x = r->form == HVC_SOFT_FP_FX;
    bool to_x = r->form == HVC_SOFT_FP_XF || r->form == HVC_SOFT_FP_XFF;
    uint32_t n = operands_of(r), word = r->match | (r->has_rm ? rm << 12 : 0);

    word |= (to_x ? FP_X_RD : FP_F_RD) << 7 | (from_x ? FP_X_RS1 : FP_F_RS1) << 15;
    word |= (n > 1 ? FP_F_RS2 << 20 : 0);
    return word | (n > 2 ? (uint32_t)FP_F_RS3 << 27 : 0);
}

/* Number i of all combinations of edges; false after the last. */
static bool edges(const row *r, uint32_t i, fp_operands *o)
{
    enum fp_type type = type_of(r);
    uint32_t n = operands_of(r), all = fp_edges(type), skip = 0;
    uint64_t *x[] = {&o->a, &o->b, &o->c};

    if (n == 3) { /* too many: the first ones, and what is no single */
        skip = 2 * (type == FP_SINGLE ? FP_COUNT(fp_singles) : FP_COUNT(fp_doubles)) - 2 * FP_CUBE;
        all -= skip;
    }
    for (uint32_t k = 0; k < n; k++, i /= all)
        *x[k] = fp_edge(type, i % all + (n == 3 && i % all >= 2 * FP_CUBE ? skip : 0));
    return i == 0;
}

/* An addend that takes away the product but for its last bits. */
static uint64_t minus_product(uint64_t *seed, enum fp_type type, uint64_t a, uint64_t b)
{
    uint64_t r = fp_random(seed), product;

    if (type == FP_DOUBLE) {
        double x, y;
        memcpy(&x, &a, 8);
        memcpy(&y, &b, 8);
        x = -(x * y);
        memcpy(&product, &x, 8);
        return product + (r & 7) - 3;
    }
    float x, y;
    memcpy(&x, &a, 4);
    memcpy(&y, &b, 4);
    x = -(x * y);
    memcpy(&product, &x, 4);
    return FP_BOXED((uint32_t)(product + (r & 7) - 3));
}

static void random_operands(const row *r, uint64_t *seed, fp_operands *o)
{
    enum fp_type type = type_of(r);
    uint64_t x[3];

    if (type == FP_INTEGER) {
        o->a = fp_random_integer(seed);
        return;
    }
    bool fused = operands_of(r) == 3;
    if (fused && (fp_random(seed) & 7) == 0)
        fp_random_tie(seed, type, x);
    else
        fp_random_three(seed, type, x);
    *o = (fp_operands){x[0], x[1], x[2]};
    if (fused && fp_random(seed) & 1)
        o->c = minus_product(seed, type, o->a, o->b);
    else if ((fp_random(seed) & 15) == 0)
        o->b = fp_edge(type, (uint32_t)(fp_random(seed) % fp_edges(type)));
}

/* --- comparison ------------------------------------------------------------------------------- */

enum { HOST, INTEGERS, AARCH64, WAYS };
static const char *const way_names[] = {"on this host", "in integers", "on AArch64"};

static struct {
    server riscv64, aarch64;
    uint64_t operations, different, differ[WAYS];
    uint64_t modes[5], flags[32]; /* how often: what is never seen is not tested */
} run;

static void show(const row *r, uint32_t rm, uint32_t way, uint32_t i)
{
    const fp_operands *o = &operands[i];

    if (run.different++ >= SHOWN)
        return;
    fprintf(stderr, "%s %s, rm %u: %016llx %016llx %016llx: %016llx %02x, QEMU %016llx %02x\n",
            r->name, way_names[way], rm, (unsigned long long)o->a, (unsigned long long)o->b,
            (unsigned long long)o->c, (unsigned long long)results[i].value,
            (unsigned)results[i].flags, (unsigned long long)expected[i].value,
            (unsigned)expected[i].flags);
}

static void compare(const row *r, uint32_t rm, uint32_t way, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (results[i].value == expected[i].value && results[i].flags == expected[i].flags)
            continue;
        run.differ[way]++;
        show(r, rm, way, i);
    }
}

static void run_batch(const row *r, uint32_t rm, uint32_t count)
{
    fp_batch batch = {.word = word_of(r, rm), .count = count};

    batch.to_x = r->form == HVC_SOFT_FP_XF || r->form == HVC_SOFT_FP_XFF;
    server_run(&run.riscv64, &batch, expected);
    run_here(r, &batch, 0);
    compare(r, rm, HOST, count);
    run_here(r, &batch, HVC_SOFT_FP_NO_HOST);
    compare(r, rm, INTEGERS, count);
    server_run(&run.aarch64, &batch, results);
    compare(r, rm, AARCH64, count);
    run.operations += count;
    run.modes[rm] += count;
    for (uint32_t i = 0; i < count; i++)
        run.flags[expected[i].flags & 31]++;
}

static void run_row(const row *r, uint32_t rm, uint64_t *seed)
{
    uint32_t count = 0;

    for (uint32_t i = 0; edges(r, i, &operands[count]); i++)
        if (++count == FP_BATCH) {
            run_batch(r, rm, count);
            count = 0;
        }
    for (uint32_t i = 0; i < RANDOM; i++) {
        random_operands(r, seed, &operands[count]);
        if (++count == FP_BATCH) {
            run_batch(r, rm, count);
            count = 0;
        }
    }
    if (count)
        run_batch(r, rm, count);
}

static bool missing(const char *qemu)
{
    char command[64];

    snprintf(command, sizeof(command), "%s --version >/dev/null 2>&1", qemu);
    if (!system(command))
        return false;
    printf("fp_qemu: skipped: %s is missing: install the Debian package qemu-user\n", qemu);
    printf("0 passed, 0 failed, 1 skipped\n");
    return true;
}

static const uint8_t flag_sets[] = {
    0,
    HVC_SOFT_FP_NX,
    HVC_SOFT_FP_NX | HVC_SOFT_FP_UF,
    HVC_SOFT_FP_NX | HVC_SOFT_FP_OF,
    HVC_SOFT_FP_DZ,
    HVC_SOFT_FP_NV,
};

/* One test for each way, and one that everything has been there. */
static int report(int status)
{
    int bad = status != 0;

    for (uint32_t i = 0; i < FP_COUNT(flag_sets); i++)
        bad |= run.flags[flag_sets[i]] < 1000;
    printf("fp_qemu: %zu instructions, %llu operations\n", FP_COUNT(rows),
           (unsigned long long)run.operations);
    for (uint32_t way = 0; way < WAYS; way++) {
        printf("fp_qemu: %s: %llu differences\n", way_names[way],
               (unsigned long long)run.differ[way]);
        bad += run.differ[way] != 0;
    }
    printf("%d passed, %d failed, 0 skipped\n", WAYS + 1 - bad, bad);
    return bad != 0;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    int status;

    if (argc < 3) {
        fprintf(stderr, "usage: fp_qemu FP_RISCV64.elf FP_AARCH64.elf [SEED]\n");
        return 2;
    }
    if (missing("qemu-riscv64") || missing("qemu-aarch64"))
        return 77;
    signal(SIGPIPE, SIG_IGN);
    run.riscv64 = server_start("qemu-riscv64", argv[1]);
    run.aarch64 = server_start("qemu-aarch64", argv[2]);
    for (uint32_t i = 0; i < FP_COUNT(rows); i++)
        for (uint32_t rm = 0; rm < (rows[i].has_rm ? 5 : 1); rm++)
            run_row(&rows[i], rm, &seed);
    status = server_end(&run.riscv64) | server_end(&run.aarch64);
    return report(status);
}
