/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `hvcore run --backend kvm` boots the row's own kernel to examples/linux/init.c:
 *
 *   boot HVCORE KERNEL INITRAMFS
 *
 * The same lines are expected as of the software machine (tests/linux/test_boot.py). `nofetch`:
 * where a fetch finds nothing Linux 6.12 on riscv64 ends the VM, and on arm64 tries for ever.
 */
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "examples/linux/arch.h"
#include "examples/linux/work.h"
#include "tests/kvm/check.h"

enum {
    CPUS = 2,
    ADDITIONS = 20000, /* of each processor */
    MISTAKES = 13,
    ALL = 1 << 18, /* bytes of a text, more than there ever are */
    LAST = 4000,   /* of them shown, if something is wrong */
    LINE = 256
};

static char **words; /* of the command line, NULL behind them */
static char console[ALL], said[ALL];
static int status;

/* --- one run ---------------------------------------------------------------------------------- */

static void become(int out, int err)
{
    char smp[16];

    snprintf(smp, sizeof smp, "%d", CPUS);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execl(words[1], words[1], "run", "--backend", "kvm", "--kernel", words[2], "--initrd", words[3],
          "--append", "quiet panic=-1 nofetch", "--smp", smp, "--mem", "300M", "--deadline", "170",
          (char *)NULL);
    dprintf(STDERR_FILENO, "%s: %s\n", words[1], strerror(errno));
    _exit(127);
}

static void take(FILE *f, char *text)
{
    rewind(f);
    text[fread(text, 1, ALL - 1, f)] = '\0';
    fclose(f);
}

static bool boot(void)
{
    FILE *out = tmpfile(), *err = tmpfile();

    if (!out || !err)
        return false;
    const pid_t pid = fork();
    if (pid == 0)
        become(fileno(out), fileno(err));
    const bool ended = pid > 0 && waitpid(pid, &status, 0) == pid;
    take(out, console);
    take(err, said);
    return ended;
}

/* --- what the init says ----------------------------------------------------------------------- */

/* The next line "init: ..."; the kernel's may stand before it in the same one. */
static bool next_line(const char **at, char line[LINE])
{
    const char *found = strstr(*at, "init: ");

    line[0] = '\0';
    if (!found)
        return false;
    found += strlen("init: ");
    snprintf(line, LINE, "%.*s", (int)strcspn(found, "\r\n"), found);
    *at = found;
    return true;
}

static bool matches(const char *line, const char *pattern)
{
    regex_t r;

    if (regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    const bool yes = regexec(&r, line, 0, NULL, 0) == 0;
    regfree(&r);
    return yes;
}

static struct {
    const char *at;
    unsigned right;
} expected;

__attribute__((format(printf, 1, 2))) static void expect(const char *fmt, ...)
{
    char pattern[LINE], whole[LINE + 8], line[LINE];
    va_list ap;

    if (check_now.bad)
        return; /* one line too few, and none behind it fits */
    va_start(ap, fmt);
    vsnprintf(pattern, sizeof pattern, fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof whole, "^%s: ok$", pattern);
    next_line(&expected.at, line);
    check_that(matches(line, whole), __FILE__, __LINE__, "\"%s\" is not \"%s\"", line, whole);
    expected.right++;
}

/* The sums are what this machine's own processor makes of the same C. */
static void expect_processors(void)
{
    expect("processors %d online", CPUS);
    for (int n = 0; n < CPUS; n++)
        expect("cpu %d, work %016llx %016llx", n, (unsigned long long)work_whole(1),
               (unsigned long long)work_real(1));
    expect("additions of %d processes to one number %d", CPUS, CPUS * ADDITIONS);
    for (int n = 0; n < CPUS; n++) {
        expect("cpu 0 and cpu %d, wake-ups 200", n);
        expect("code written on cpu 0 and run on cpu %d, changes seen 100", n);
    }
}

static void init_finds_all_right(void)
{
    char sum[LINE], line[LINE];

    expected.at = console;
    expect("kernel Linux [^ ]+ " ARCH_NAME);
    expect("memory [0-9]+ MiB, 16 MiB written and read back");
    expect("timer (arch_sys_counter|riscv_clocksource), a sleep of 50 ms took [0-9.]+ ms");
    expect_processors();
    expect("a page behind the memory, .*");
    for (int i = 0; i < MISTAKES; i++)
        expect("mistake, [a-z ,]+, (SIG[A-Z]+|carried out), survived 10 times");
    snprintf(sum, sizeof sum, "%u right, 0 wrong", expected.right);
    next_line(&expected.at, line);
    check_that(strcmp(line, sum) == 0, __FILE__, __LINE__, "\"%s\" is not \"%s\"", line, sum);
    check_that(!next_line(&expected.at, line), __FILE__, __LINE__, "there is more: %s", line);
}

static void kernel_ends_the_run(void)
{
    CHECK(strstr(console, "reboot: Power down"));
    check_that(status == 0, __FILE__, __LINE__, "hvcore ended with status 0x%x", (unsigned)status);
}

static void program_says_what_it_did(void)
{
    CHECK(matches(said, "hvcore: 2 (cpu|hart)s, [0-9.]+ s, on kvm"));
}

/* --------------------------------------------------------------------------------------------- */

/* The end of a text, as comments: its lines are nobody's results. */
static void show(const char *title, char *text)
{
    const size_t len = strlen(text);
    char *rest;

    printf("# %s:\n", title);
    text += len > LAST ? len - LAST : 0;
    for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
        printf("#   %s\n", line);
}

int main(int argc, char **argv)
{
    static const check_test tests[] = {{"boot_init_finds_all_right", init_finds_all_right},
                                       {"boot_kernel_ends_the_run", kernel_ends_the_run},
                                       {"boot_program_says_what_it_did", program_says_what_it_did},
                                       {NULL, NULL}};

    if (argc != 4) {
        puts("skip boot: it wants the paths of hvcore, of a kernel and of its initramfs");
        puts("0 passed, 0 failed, 1 skipped");
        return 77;
    }
    words = argv;
    if (!boot()) {
        printf("not ok boot: no child: %s\n0 passed, 1 failed, 0 skipped\n", strerror(errno));
        return 1;
    }
    const int bad = check_all(tests);
    if (bad) {
        show("the end of the console", console);
        show("the end of stderr", said);
    }
    return bad;
}
