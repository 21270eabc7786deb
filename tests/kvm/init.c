/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first program of a small system that holds tests: loads the modules, runs the programs of the
 * list one after another, each for so many seconds at most, says how each ended, and switches the
 * machine off. Whatever a program does, the next one runs.
 *
 * /modules/list: a path each line. /tests/list: `SECONDS PROGRAM [ARGUMENT]...` each line. Its own
 * lines begin with "init: "; tests/kvm/run reads them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE = 512,
    WORDS = 16,
    KERNEL_LOG = 1 << 20,
    READ_ALL = 3 /* of syslog(2) */
};

static void mount_all(void)
{
    static const struct {
        const char *type, *at;
    } rows[] = {{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mkdir(rows[i].at, 0755);
        if (mount(rows[i].type, rows[i].at, rows[i].type, 0, NULL) != 0 && errno != EBUSY)
            printf("init: %s is not mounted on %s: %s\n", rows[i].type, rows[i].at,
                   strerror(errno));
    }
}

/* Calls `use` with each line of a file that need not be there. */
static void each_line(const char *path, void (*use)(char *line))
{
    FILE *f = fopen(path, "re");
    char line[LINE];

    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        use(line);
    }
    if (f)
        fclose(f);
}

static void load(char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const int bad = fd < 0 || syscall(SYS_finit_module, fd, "", 0) != 0;

    printf("init: module %s: %s\n", path, bad ? strerror(errno) : "loaded");
    if (fd >= 0)
        close(fd);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- one program ------------------------------------------------------------------------------ */

static void become(char **words)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid(); /* so that its children can be ended with it */
    execv(words[0], words);
    printf("init: %s: %s\n", words[0], strerror(errno));
    fflush(stdout);
    _exit(127);
}

/*
 * Waits for the program until that moment; -1 when it is over. Others may end meanwhile: orphans
 * are children of the first process. SIGCHLD is blocked, so its arrival ends the waiting at once.
 */
static int status_of(pid_t pid, double until)
{
    sigset_t child;
    pid_t ended;
    int status;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (;;) {
        while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
            if (ended == pid)
                return status;
        const double left = until - now();
        if (left <= 0)
            return -1;
        const struct timespec t = {.tv_sec = (time_t)left, .tv_nsec = 10000000};
        sigtimedwait(&child, NULL, &t);
    }
}

static void say(const char *name, int status, double seconds)
{
    printf("init: end of %s: ", name);
    if (status == -1)
        printf("timeout");
    else if (WIFSIGNALED(status))
        printf("signal %d", WTERMSIG(status));
    else
        printf("exit %d", WEXITSTATUS(status));
    printf(", %.2f s\n", seconds);
}

static int words_of(char *line, char *words[WORDS + 1])
{
    int n = 0;
    char *rest;

    for (char *w = strtok_r(line, " ", &rest); w && n < WORDS; w = strtok_r(NULL, " ", &rest))
        words[n++] = w;
    words[n] = NULL;
    return n;
}

static void run(char *line)
{
    char *words[WORDS + 1];
    const double start = now();
    int status = 127 << 8;
    pid_t pid;

    if (words_of(line, words) < 2)
        return;
    printf("init: begin of %s\n", words[1]);
    fflush(stdout);
    if ((pid = fork()) == 0)
        become(words + 1);
    if (pid > 0) {
        status = status_of(pid, start + atof(words[0]));
        kill(-pid, SIGKILL);
        kill(pid, SIGKILL);
    }
    fputs("\n", stdout); /* it may have died within a line */
    say(words[1], status, now() - start);
    fflush(stdout);
}

/* --- the kernel's complaints ------------------------------------------------------------------ */

/* Lines of the level "warning" or worse, `<4>[    1.0] text`. */
static void say_complaints(void)
{
    static char log[KERNEL_LOG + 1];
    const int size = klogctl(READ_ALL, log, KERNEL_LOG);
    char *rest;

    log[size > 0 ? size : 0] = '\0';
    for (char *line = strtok_r(log, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (line[0] == '<' && (atoi(line + 1) & 7) <= 4)
            printf("kernel: %s\n", line);
}

int main(void)
{
    struct utsname u = {0};
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    mount_all();
    uname(&u);
    printf("\ninit: release %s %s\n", u.release, u.machine);
    each_line("/modules/list", load);
    fflush(stdout);
    each_line("/tests/list", run);
    say_complaints();
    puts("init: end");
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
    return 1; /* the kernel panics */
}
