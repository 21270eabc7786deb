/* SPDX-License-Identifier: Apache-2.0 */
/* hvcore: run guests under a trap policy from the command line. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static int cmd_version(int argc, char **argv)
{
    char tool[16], library[16];

    (void)argc;
    (void)argv;
    printf("hvcore %s (library %s)\n", cli_version(tool, HVCORE_VERSION),
           cli_version(library, hvcore_version()));
    return CLI_OK;
}

static int cmd_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs(help_main, stdout);
    return CLI_OK;
}

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", cmd_run},           {"check", cmd_check},     {"probe", cmd_probe},
    {"--version", cmd_version}, {"version", cmd_version}, {"-V", cmd_version},
    {"--help", cmd_help},       {"help", cmd_help},       {"-h", cmd_help},
};

static int dispatch(int argc, char **argv)
{
    if (argc < 2)
        return cli_usage("hvcore", "a command is missing: run, check or probe.");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (argv[1][0] == '-')
        return cli_usage("hvcore", "%s: there is no such option.", argv[1]);
    return cli_usage("hvcore", "%s: there is no such command; is `hvcore run %s` meant?", argv[1],
                     argv[1]);
}

/* A closed standard descriptor must not become somebody else's number: what is opened in its place
 * refuses to be used. */
static bool keep_standard_descriptors(void)
{
    static const int modes[] = {
        [STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_RDONLY};

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    int code;

    if (!keep_standard_descriptors())
        return CLI_HOST;
    signal(SIGPIPE, SIG_IGN); /* a closed stdout is an error that is reported, not a death */
    code = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout))
        return cli_system("stdout cannot be written");
    return code;
}
