/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ratios against a companion in the same run: A and B take turns, PAIRS times; what is printed is
 * the median of the pairs' ratios with its 95 % confidence interval (order statistics), the medians
 * and 99th percentiles in nanoseconds as a comment, and the target. No result fails anything.
 */
#ifndef HVC_BENCH_H
#define HVC_BENCH_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BENCH_PAIRS = 201 };

typedef struct bench_side {
    const char *name;
    void (*run)(uint64_t times); /* do it so many times */
    uint64_t times;              /* per sample */
} bench_side;

static inline uint64_t bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline double bench_sample(const bench_side *side)
{
    uint64_t start = bench_now();
    side->run(side->times);
    return (double)(bench_now() - start) / (double)side->times;
}

static inline int bench_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double bench_at(const double *sorted, double quantile)
{
    return sorted[(size_t)(quantile * (BENCH_PAIRS - 1) + 0.5)];
}

/* One row; `target` is the ratio aimed at, with its sense ("<=", ">="). */
static inline void bench_row(const char *what, const bench_side *a, const bench_side *b,
                             const char *sense, double target)
{
    static double ta[BENCH_PAIRS], tb[BENCH_PAIRS], ratio[BENCH_PAIRS];
    const double half = 0.98 / sqrt(BENCH_PAIRS); /* 1.96 / 2 / sqrt(n): ranks of the interval */
    for (int i = -3; i < BENCH_PAIRS; i++) {      /* three to warm up */
        double x = bench_sample(a), y = bench_sample(b);
        if (i >= 0) {
            ta[i] = x;
            tb[i] = y;
            ratio[i] = x / y;
        }
    }
    qsort(ta, BENCH_PAIRS, sizeof(double), bench_order);
    qsort(tb, BENCH_PAIRS, sizeof(double), bench_order);
    qsort(ratio, BENCH_PAIRS, sizeof(double), bench_order);
    double median = bench_at(ratio, 0.5);
    int met = sense[0] == '<' ? median <= target : median >= target;
    printf("%-34s %9.4f [%.4f, %.4f]  target %s %-8.4g %s\n", what, median,
           bench_at(ratio, 0.5 - half), bench_at(ratio, 0.5 + half), sense, target,
           met ? "reached" : "NOT REACHED");
    printf("    %-28s %10.1f ns, p99 %10.1f\n", a->name, bench_at(ta, 0.5), bench_at(ta, 0.99));
    printf("    %-28s %10.1f ns, p99 %10.1f\n", b->name, bench_at(tb, 0.5), bench_at(tb, 0.99));
    fflush(stdout);
}

#endif
