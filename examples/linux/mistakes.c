/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User code makes each mistake: once without a handler, to see what its kernel kills it with, and
 * some times with one, behind which it lives on.
 */
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

static unsigned char *hole;    /* an address that is not mapped */
static unsigned char *nowhere; /* one that is, to nothing */
static const uint32_t constant = 1;
static uint32_t code = 0x00008067; /* ret, in memory that may not be executed */
static volatile uint64_t words[2] = {0x1122334455667788, 0x99aabbccddeeff00};

/* --- one function a mistake; one that returns has not been taken for a mistake ---------------- */

static void illegal(void)
{
    __asm__ volatile(".4byte 0x0000000b"); /* custom-0 */
}

static void supervisor(void)
{
    __asm__ volatile("csrr t0, sstatus" ::: "t0");
}

static void breakpoint(void)
{
    __asm__ volatile("ebreak");
}

static void misaligned_load(void)
{
    uint64_t value;

    __asm__ volatile("ld %0, 3(%1)" : "=r"(value) : "r"(words));
    if (value != 0xeeff001122334455)
        _exit(1);
}

static void misaligned_store(void)
{
    volatile uint64_t to[2] = {0};

    __asm__ volatile("sd %0, 3(%1)" ::"r"(UINT64_MAX), "r"(to) : "memory");
    if (to[0] != 0xffffffffff000000 || to[1] != 0xffffff)
        _exit(1);
}

static void misaligned_atomic(void)
{
    __asm__ volatile("amoadd.d zero, zero, (%0)" ::"r"((volatile char *)words + 1) : "memory");
}

static void load_at(const volatile unsigned char *p)
{
    __asm__ volatile("lbu t0, 0(%0)" ::"r"(p) : "t0");
}

static void store_at(volatile unsigned char *p)
{
    __asm__ volatile("sb zero, 0(%0)" ::"r"(p) : "memory");
}

static void fetch_at(const void *p)
{
    __asm__ volatile("jalr %0" ::"r"(p) : "ra", "memory");
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

static const struct mistake {
    const char *name;
    void (*make)(void);
    int signal, code; /* 0: none, the machine or the kernel carries it out */
} mistakes[] = {
    {"illegal instruction", illegal, SIGILL, ILL_ILLOPC},
    {"register of the kernel", supervisor, SIGILL, ILL_ILLOPC},
    {"breakpoint", breakpoint, SIGTRAP, TRAP_BRKPT},
    {"misaligned load", misaligned_load, 0, 0},
    {"misaligned store", misaligned_store, 0, 0},
    {"misaligned atomic", misaligned_atomic, SIGBUS, BUS_ADRALN},
    {"load, not mapped", load_hole, SIGSEGV, SEGV_MAPERR},
    {"store, not mapped", store_hole, SIGSEGV, SEGV_MAPERR},
    {"fetch, not mapped", fetch_hole, SIGSEGV, SEGV_MAPERR},
    {"store to a constant", store_constant, SIGSEGV, SEGV_ACCERR},
    {"fetch of data", fetch_data, SIGSEGV, SEGV_ACCERR},
    {"load, no memory there", load_nowhere, SIGSEGV, SEGV_ACCERR},
    {"store, no memory there", store_nowhere, SIGSEGV, SEGV_ACCERR},
    {"fetch, no memory there", fetch_nowhere, SIGSEGV, SEGV_ACCERR},
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
 * The page behind the last one of memory. To map it for execution kills the kernel (6.12, in
 * flush_icache_pte) unless the kernel has a record of it, as it has for the rest of a section.
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

void make_mistakes(void)
{
    char word[16];

    if (!make_places())
        return;
    for (const struct mistake *m = mistakes; m < mistakes + sizeof mistakes / sizeof *mistakes;
         m++) {
        const int end = end_of_child(make_and_end, m);

        check(end == m->signal && end_of_child(make_and_live, m) == 0,
              "mistake, %s, %s, survived %d times", m->name, word_for(end, word), ROUNDS);
    }
}
