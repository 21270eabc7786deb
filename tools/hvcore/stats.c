/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of all harts: traps by cause and by who handled them. */
#include <inttypes.h>

#include "arch.h"
#include "backend.h"
#include "table.h"

enum { CLASSES = 64 };
enum { CUMULATIVE = 0, UNIT_NONE = 0 }; /* hvcore_kernel_stat */

/* The sums over all harts. */
static hvcore_trap_counts sum_counts(const struct machine *m, uint32_t cls)
{
    hvcore_trap_counts sum = HVCORE_TRAP_COUNTS_INIT, one = HVCORE_TRAP_COUNTS_INIT;

    for (uint32_t i = 0; i < m->count; i++) {
        if (hvcore_vcpu_trap_counts(m->hart[i].vcpu, cls, &one) != 0)
            continue;
        sum.delegated += one.delegated;
        sum.redirected += one.redirected;
        sum.emulated += one.emulated;
        sum.exited += one.exited;
        sum.stopped += one.stopped;
        sum.late += one.late;
    }
    return sum;
}

static bool any(const hvcore_trap_counts *c)
{
    return (c->delegated | c->redirected | c->emulated | c->exited | c->stopped | c->late) != 0;
}

static void add_row(struct table *t, uint32_t cls, const hvcore_trap_counts *c, bool delegated)
{
    table_add(t, "%u", cls);
    table_add(t, "%s", cli_cause_name(cls));
    if (delegated)
        table_add(t, "%" PRIu64, c->delegated);
    else
        table_add(t, "-");
    table_add(t, "%" PRIu64, c->redirected);
    table_add(t, "%" PRIu64, c->emulated);
    table_add(t, "%" PRIu64, c->exited);
    table_add(t, "%" PRIu64, c->stopped);
    table_add(t, "%" PRIu64, c->late);
}

static void print_traps(FILE *out, const struct machine *m)
{
    static const struct table_column columns[] = {
        {"#", true},        {"cause", false}, {"delegated", true}, {"redirected", true},
        {"emulated", true}, {"exited", true}, {"stopped", true},   {"late", true},
    };
    struct table t;

    table_begin(&t, columns, sizeof columns / sizeof *columns);
    for (uint32_t cls = 0; cls < CLASSES; cls++) {
        const hvcore_trap_counts c = sum_counts(m, cls);
        if (any(&c))
            add_row(&t, cls, &c, m->backend.caps & HVCORE_CAP_DELEGATED_COUNT);
    }
    if (table_rows(&t) > 0)
        table_print(&t, out);
    else
        fputs("no traps\n", out);
    table_end(&t);
}

static void add_hart(struct table *t, uint32_t index, const hvcore_vcpu_stats *s)
{
    const uint64_t values[] = {s->runs,     s->enters,   s->kicks,  s->insns,       s->mmio,
                               s->firmware, s->injected, s->storms, s->double_traps};

    table_add(t, "%u", index);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        table_add(t, "%" PRIu64, values[i]);
}

static void print_harts(FILE *out, const struct machine *m)
{
    const struct table_column columns[] = {
        {m->arch->cpu, true},   {"runs", true},         {"enters", true},   {"kicks", true},
        {"instructions", true}, {"mmio", true},         {"firmware", true}, {"injected", true},
        {"storms", true},       {"double traps", true},
    };
    hvcore_vcpu_stats s = HVCORE_VCPU_STATS_INIT;
    struct table t;

    table_begin(&t, columns, sizeof columns / sizeof *columns);
    for (uint32_t i = 0; i < m->count; i++)
        if (hvcore_vcpu_stats_get(m->hart[i].vcpu, &s) == 0)
            add_hart(&t, i, &s);
    table_print(&t, out);
    table_end(&t);
}

/* What the kernel below has counted of all processors. */
static uint64_t kernel_sum(const struct machine *m, uint32_t index, hvcore_kernel_stat *stat)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < m->count; i++)
        if (hvcore_vm_kernel_stat(m->vm, i, index, stat, NULL) == 0)
            sum += stat->value;
    return sum;
}

static void print_kernel(FILE *out, const struct machine *m)
{
    static const struct table_column columns[] = {{"kernel counts", false}, {"", true}};
    hvcore_kernel_stat stat = HVCORE_KERNEL_STAT_INIT;
    struct table t;

    table_begin(&t, columns, sizeof columns / sizeof *columns);
    for (uint32_t i = 0; hvcore_vm_kernel_stat(m->vm, 0, i, &stat, NULL) == 0; i++) {
        const uint64_t sum = stat.kind == CUMULATIVE ? kernel_sum(m, i, &stat) : 0;

        if (sum == 0 || stat.unit != UNIT_NONE)
            continue;
        table_add(&t, "%s", stat.name);
        table_add(&t, "%" PRIu64, sum);
    }
    if (table_rows(&t) > 0)
        table_print(&t, out);
    table_end(&t);
}

/* One line on how fast it went, and on what. */
void stats_sum(const struct machine *m)
{
    const double seconds = (double)(hvcore_clock_ns() - m->begin_ns) / 1e9;
    hvcore_vcpu_stats s = HVCORE_VCPU_STATS_INIT;
    char name[BACKEND_NAME], speed[96] = "";
    uint64_t insns = 0;

    for (uint32_t i = 0; i < m->count; i++)
        if (hvcore_vcpu_stats_get(m->hart[i].vcpu, &s) == 0)
            insns += s.insns;
    if (m->backend.caps & HVCORE_CAP_INSN_LIMIT)
        snprintf(speed, sizeof speed, "%" PRIu64 " instructions in %.2f s, %.0f million a second",
                 insns, seconds, (double)insns / seconds / 1e6);
    else
        snprintf(speed, sizeof speed, "%.2f s", seconds);
    cli_say("%" PRIu32 " %s%s, %s, on %s.", m->count, m->arch->cpu, m->count == 1 ? "" : "s", speed,
            backend_name(name, &m->backend));
}

/* In one piece, so that lines of other threads do not fall between its own. */
void stats_print(FILE *out, const struct machine *m)
{
    flockfile(out);
    if (backend_is_library(&m->backend))
        print_traps(out, m);
    else
        print_kernel(out, m);
    print_harts(out, m);
    fflush(out);
    funlockfile(out);
}
