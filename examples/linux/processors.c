/* SPDX-License-Identifier: Apache-2.0 */
/* Every processor works, they wake each other, and code that changes is seen by all. */
#include "arch.h"
#include "init.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

enum {
    CPUS = 128,
    ADDITIONS = 20000, /* of each process, to one number */
    ROUNDS = 200,      /* of a byte between two processors */
    PATCHES = 100
};

static struct shared {
    _Atomic uint64_t sum;
    uint64_t whole[CPUS], real[CPUS];
    int ran_on[CPUS];
} * shared;

static void pin(int cpu)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        _exit(1);
}

/* --- work ------------------------------------------------------------------------------------ */

static void work_on(int cpu)
{
    pin(cpu);
    shared->whole[cpu] = work_whole(1);
    shared->real[cpu] = work_real(1);
    for (int i = 0; i < ADDITIONS; i++)
        shared->sum++;
    shared->ran_on[cpu] = sched_getcpu();
    _exit(0);
}

static void work_on_all(int cpus)
{
    int status, good = 0;

    for (int i = 0; i < cpus; i++)
        if (fork() == 0)
            work_on(i);
    while (wait(&status) > 0)
        good += status == 0;
    for (int i = 0; i < cpus; i++)
        check(shared->ran_on[i] == i && shared->whole[i] == shared->whole[0] &&
                  shared->real[i] == shared->real[0],
              "cpu %d, work %016llx %016llx", i, (unsigned long long)shared->whole[i],
              (unsigned long long)shared->real[i]);
    check(good == cpus && shared->sum == (uint64_t)cpus * ADDITIONS,
          "additions of %d processes to one number %llu", good, (unsigned long long)shared->sum);
}

/* --- a byte to and fro: each wakes the other ------------------------------------------------- */

static void echo(int from, int to, int cpu)
{
    char byte;

    pin(cpu);
    while (read(from, &byte, 1) == 1)
        if (write(to, &byte, 1) != 1)
            _exit(1);
    _exit(0);
}

static int play(int to, int from)
{
    char byte = 0, back = 1;
    int rounds = 0;

    while (rounds < ROUNDS && write(to, &byte, 1) == 1 && read(from, &back, 1) == 1 && back == byte)
        rounds++, byte++;
    return rounds;
}

/* This process stands on processor 0. */
static void wake(int cpu)
{
    int there[2], back[2], status = 1, rounds;

    if (pipe(there) != 0 || pipe(back) != 0)
        return check(0, "pipes to cpu %d", cpu);
    if (fork() == 0) {
        close(there[1]);
        echo(there[0], back[1], cpu);
    }
    close(there[0]);
    close(back[1]);
    rounds = play(there[1], back[0]);
    close(there[1]);
    close(back[0]);
    wait(&status);
    check(rounds == ROUNDS && status == 0, "cpu 0 and cpu %d, wake-ups %d", cpu, rounds);
}

/* --- code that changes ----------------------------------------------------------------------- */

/* The code is written on processor 0 and called on `cpu`. */
static void patch(int cpu)
{
    uint32_t *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int good = 0;

    if (code == MAP_FAILED)
        return check(0, "memory for code");
    for (int i = 0; i < PATCHES; i++) {
        pin(0);
        arch_write_code(code, (uint32_t)i);
        pin(cpu);
        good += ((int (*)(void))code)() == i;
    }
    pin(0);
    munmap(code, 4096);
    check(good == PATCHES, "code written on cpu 0 and run on cpu %d, changes seen %d", cpu, good);
}

/* --------------------------------------------------------------------------------------------- */

void look_at_processors(void)
{
    const int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);

    check(cpus >= 1 && cpus <= CPUS, "processors %d online", cpus);
    shared = shared_memory(sizeof *shared);
    if (!shared || cpus > CPUS)
        return check(0, "memory for %d processors", cpus);
    work_on_all(cpus);
    pin(0);
    for (int i = 0; i < cpus; i++) {
        wake(i);
        patch(i);
    }
}
