/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User code makes each mistake: once without a handler, to see what its kernel kills it with, and
 * some times with one, behind which it lives on.
 */
#include "arch.h"
#include "init.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 10 };
#define SECTION (UINT64_C(128) << 20) /* memory for which Linux keeps its records in one piece */

struct mistake {
    const char *name;
    void (*make)(void);
    int signal, code; /* 0: none, the machine or the kernel carries it out */
};

static unsigned char *hole;    /* an address that is not mapped */
static unsigned char *nowhere; /* one that is, to nothing */
static const uint32_t constant = 1;
static uint32_t code; /* memory that may not be executed */

/* --- one function a mistake; one that returns has not been taken for a mistake --------------- */

static void load_at(const volatile unsigned char *p)
{
    (void)*p;
}

static void store_at(volatile unsigned char *p)
{
    *p = 0;
}

static void fetch_at(const void *p)
{
    ((void (*)(void))(uintptr_t)p)();
}

static void load_hole(void)
{
    load_at(hole);
}

static void store_hole(void)
{
    store_at(hole);
}

static void fetch_hole(void)
{
    fetch_at(hole);
}

static void store_constant(void)
{
    store_at((volatile unsigned char *)(uintptr_t)&constant);
}

static void fetch_data(void)
{
    code = ARCH_RETURN;
    fetch_at(&code);
}

static void load_nowhere(void)
{
    load_at(nowhere);
}

static void store_nowhere(void)
{
    store_at(nowhere);
}

static void fetch_nowhere(void)
{
    fetch_at(nowhere);
}

static const struct mistake mistakes[] = {
    {"illegal instruction", arch_illegal, SIGILL, ILL_ILLOPC},
    {"register of the kernel", arch_supervisor, SIGILL, ILL_ILLOPC},
    {"breakpoint", arch_breakpoint, SIGTRAP, TRAP_BRKPT},
    {"misaligned load", arch_misaligned_load, 0, 0},
    {"misaligned store", arch_misaligned_store, 0, 0},
    {"misaligned atomic", arch_misaligned_atomic, SIGBUS, BUS_ADRALN},
    {"load, not mapped", load_hole, SIGSEGV, SEGV_MAPERR},
    {"store, not mapped", store_hole, SIGSEGV, SEGV_MAPERR},
    {"fetch, not mapped", fetch_hole, SIGSEGV, SEGV_MAPERR},
    {"store to a constant", store_constant, SIGSEGV, SEGV_ACCERR},
    {"fetch of data", fetch_data, SIGSEGV, SEGV_ACCERR},
    {"load, no memory there", load_nowhere, ARCH_NO_MEMORY},
    {"store, no memory there", store_nowhere, ARCH_NO_MEMORY},
    {"fetch, no memory there", fetch_nowhere, ARCH_NO_MEMORY},
};

/* --- without a handler ----------------------------------------------------------------------- */

static void make_and_end(const struct mistake *m)
{
    m->make();
    _exit(0);
}

/* The signal that ended a child, 0 if none did; -1: it has failed otherwise. */
static int end_of_child(void (*child)(const struct mistake *), const struct mistake *m)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        child(m);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || (WIFEXITED(status) && WEXITSTATUS(status)))
        return -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* --- with one -------------------------------------------------------------------------------- */

static sigjmp_buf behind;
static volatile int seen_signal, seen_code;

static void on_signal(int signo, siginfo_t *info, void *context)
{
    (void)context;
    seen_signal = signo;
    seen_code = info->si_code;
    siglongjmp(behind, 1);
}

static void make_and_live(const struct mistake *m)
{
    static const int signals[] = {SIGILL, SIGTRAP, SIGBUS, SIGSEGV};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        seen_signal = seen_code = 0;
        if (sigsetjmp(behind, 1) == 0)
            m->make();
        if (seen_signal != m->signal || seen_code != m->code)
            _exit(1);
    }
    _exit(0);
}

/* --------------------------------------------------------------------------------------------- */

static uint64_t end_of_memory(void)
{
    FILE *f = fopen("/proc/iomem", "r");
    unsigned long long last, end = 0;
    char line[128];

    while (f && fgets(line, sizeof line, f))
        if (strstr(line, "System RAM") && sscanf(line, "%*x-%llx", &last) == 1)
            end = last + 1;
    if (f)
        fclose(f);
    return end;
}

/*
 * The page behind the last one of memory. On riscv64, to map it for execution kills the kernel
 * (6.12, in flush_icache_pte) unless the kernel has a record of it, as it has for the rest of a
 * section.
 */
static int make_places(void)
{
    const uint64_t end = end_of_memory();
    const int fd = open("/dev/mem", O_RDWR | O_SYNC);

    nowhere = end % SECTION == 0 ? MAP_FAILED
                                 : mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED,
                                        fd, (off_t)end);
    hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(hole, 4096);
    check(nowhere != MAP_FAILED,
          "a page behind the memory, which must not end at a multiple of 128M");
    return nowhere != MAP_FAILED;
}

static const char *word_for(int end, char word[16])
{
    if (end > 0)
        snprintf(word, 16, "SIG%s", sigabbrev_np(end));
    else
        strcpy(word, end == 0 ? "carried out" : "went wrong");
    return word;
}

void make_mistakes(int fetches)
{
    char word[16];

    if (!make_places())
        return;
    for (const struct mistake *m = mistakes; m < mistakes + sizeof mistakes / sizeof *mistakes;
         m++) {
        if (m->make == fetch_nowhere && !fetches)
            continue;
        const int end = end_of_child(make_and_end, m);

        check(end == m->signal && end_of_child(make_and_live, m) == 0,
              "mistake, %s, %s, survived %d times", m->name, word_for(end, word), ROUNDS);
    }
}
