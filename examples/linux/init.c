/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only program of a small Linux system: it looks at the machine, makes every
 * processor work, makes mistakes and survives them, and switches the machine off. One line for each
 * thing that it looks at; the last one counts them. How to build it: mkinitramfs.
 *
 * `nofetch` on the kernel's command line leaves one mistake out, a fetch from where there is
 * nothing: KVM of Linux 6.12 ends a riscv64 guest whose user code makes it.
 */
#include "arch.h"
#include "init.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum {
    SLEEP_MS = 50,
    SLEEP_MOST_MS = 5000, /* a loaded host is late; a clock that is wrong is later */
    BLOCK = 16 << 20
};

static unsigned right, wrong;

void check(int ok, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("init: ", stdout);
    vprintf(fmt, ap);
    puts(ok ? ": ok" : ": WRONG");
    va_end(ap);
    fflush(stdout);
    *(ok ? &right : &wrong) += 1;
}

void *shared_memory(unsigned long size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

/* The first line of a file, without its end. */
static const char *line_of(const char *path, char *line, int size)
{
    FILE *f = fopen(path, "r");

    line[0] = '\0';
    if (f && fgets(line, size, f))
        line[strcspn(line, "\n")] = '\0';
    if (f)
        fclose(f);
    return line;
}

static void look_at_kernel(void)
{
    struct utsname u = {0};

    uname(&u);
    check(strcmp(u.machine, ARCH_NAME) == 0, "kernel %s %s %s", u.sysname, u.release, u.machine);
}

static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 31 >> 6);
}

static void look_at_memory(void)
{
    unsigned char *block = shared_memory(BLOCK);
    struct sysinfo info = {0};
    int good = 0;

    sysinfo(&info);
    for (size_t i = 0; block && i < BLOCK; i += 64)
        block[i] = pattern(i);
    for (size_t i = 0; block && i < BLOCK; i += 64)
        good += block[i] == pattern(i);
    check(good == BLOCK / 64, "memory %lu MiB, %d MiB written and read back",
          info.totalram * info.mem_unit >> 20, BLOCK >> 20);
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void look_at_timer(void)
{
    const char *path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    const struct timespec ms = {.tv_nsec = SLEEP_MS * 1000000L};
    const double begin = now_ms();
    char source[64];

    nanosleep(&ms, NULL);
    const double passed = now_ms() - begin;
    check(passed >= SLEEP_MS && passed < SLEEP_MOST_MS, "timer %s, a sleep of %d ms took %.1f ms",
          line_of(path, source, sizeof source), SLEEP_MS, passed);
}

static void mount_all(void)
{
    static const struct {
        const char *type, *at;
    } rows[] = {{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mkdir(rows[i].at, 0755);
        if (mount(rows[i].type, rows[i].at, rows[i].type, 0, NULL) != 0)
            check(0, "%s mounted on %s", rows[i].type, rows[i].at);
    }
}

int main(int argc, char **argv)
{
    int fetches = ARCH_FETCHES;

    for (int i = 1; i < argc; i++)
        fetches &= strcmp(argv[i], "nofetch") != 0;
    mount_all();
    look_at_kernel();
    look_at_memory();
    look_at_timer();
    look_at_processors();
    make_mistakes(fetches);
    printf("init: %u right, %u wrong\n", right, wrong);
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
    return 1; /* the kernel panics */
}
