/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: one line on stderr, a sentence each. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cli.h"

static void say(const char *who, const char *fmt, va_list ap)
{
    char line[1024];

    vsnprintf(line, sizeof line, fmt, ap);
    fprintf(stderr, "%s: %s\n", who, line);
}

void cli_say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say("hvcore", fmt, ap);
    va_end(ap);
}

int cli_usage(const char *command, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(command, fmt, ap);
    va_end(ap);
    fprintf(stderr, "Try: %s --help\n", command);
    return CLI_USAGE;
}

/* The library's sentence if it gave one, else the name of the code. */
int cli_library(const char *what, int rc, const hvcore_error *err)
{
    cli_say("%s: %s", what, err && err->message[0] ? err->message : hvcore_strerror(rc));
    return CLI_HOST;
}

int cli_system(const char *what)
{
    cli_say("%s: %s", what, strerror(errno));
    return CLI_HOST;
}

const char *cli_version(char text[16], uint32_t version)
{
    snprintf(text, 16, "%u.%u.%u", version >> 24, version >> 16 & 0xff, version >> 8 & 0xff);
    return text;
}

const char *cli_cause_name(uint32_t cls)
{
    const char *name = hvcore_trap_cause_name(HVCORE_ARCH_RISCV64, cls);

    return name ? name : "(no name)";
}
