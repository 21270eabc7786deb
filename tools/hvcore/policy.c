/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: read from files, applied to a VM. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

enum { POLICY_MAX = 1 << 20 }; /* the library's own limit is lower and has its own sentence */

/* --- files ----------------------------------------------------------------------------------- */

static int read_all(int fd, struct policy_text *text)
{
    while (text->len < POLICY_MAX) {
        ssize_t n = read(fd, text->bytes + text->len, POLICY_MAX - text->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        text->len += (size_t)n;
    }
    errno = EFBIG;
    return -1;
}

static int cannot_read(const char *path)
{
    cli_say("%s: the policy cannot be read: %s.", path, strerror(errno));
    return CLI_FILE;
}

/* The text belongs to the caller, to be freed; NULL on failure, which has been said. A pipe may
 * make it `wait` for its writer. */
int policy_read(const char *path, bool wait, struct policy_text *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | (wait ? 0 : O_NONBLOCK)), code = CLI_OK;

    *text = (struct policy_text){0};
    if (fd < 0)
        return cannot_read(path);
    text->bytes = malloc(POLICY_MAX);
    if (!text->bytes || read_all(fd, text) != 0) {
        code = cannot_read(path);
        free(text->bytes);
        text->bytes = NULL;
    }
    close(fd);
    return code;
}

/* --- applying -------------------------------------------------------------------------------- */

/* file:line:column, as editors and compilers know it. */
static int refused(const char *path, int rc, const hvcore_error *err)
{
    const char *why = err->message[0] ? err->message : hvcore_strerror(rc);

    if (err->line)
        cli_say("%s:%u:%u: %s", path, err->line, err->column, why);
    else
        cli_say("%s: %s", path, why);
    return CLI_FILE;
}

/* `*report` (NULL allowed) is the caller's; it may be given for a refused policy too. */
int policy_apply(hvcore_vm *vm, const char *path, const struct policy_text *text,
                 hvcore_report **report)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    hvcore_policy *policy = NULL;
    int rc = hvcore_policy_from_json(text->bytes, text->len, &policy, &err);

    if (report)
        *report = NULL;
    if (rc == 0)
        rc = hvcore_trap_policy_set(vm, policy, report, &err);
    hvcore_policy_unref(policy);
    return rc ? refused(path, rc, &err) : CLI_OK;
}

int policy_apply_builtin(hvcore_vm *vm, hvcore_report **report)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    hvcore_policy *policy = NULL;
    const hvcore_policy_opts opts = {.size = sizeof opts, .arch = HVCORE_ARCH_RISCV64};
    int rc = hvcore_policy_create(&opts, &policy, &err);

    *report = NULL;
    if (rc == 0)
        rc = hvcore_trap_policy_set(vm, policy, report, &err);
    hvcore_policy_unref(policy);
    return rc ? cli_library("the built-in policy is refused", rc, &err) : CLI_OK;
}
