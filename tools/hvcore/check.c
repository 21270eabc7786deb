/* SPDX-License-Identifier: Apache-2.0 */
/* hvcore check: what a policy comes to on this host, without running anything. */
#include <stdlib.h>

#include "cli.h"

static int print_report(const hvcore_report *report, bool json)
{
    if (json)
        return cli_print_json(policy_report_json(report));
    policy_report_print(stdout, report);
    return CLI_OK;
}

/* A refused policy may have a report too: it shows which line is in the way. */
static int check_on(hvcore_vm *vm, const char *path, bool json)
{
    hvcore_report *report = NULL;
    struct policy_text text;
    int code = policy_read(path, true, &text), printed = CLI_OK;

    if (code == CLI_OK)
        code = policy_apply(vm, path, &text, &report);
    if (report)
        printed = print_report(report, json);
    hvcore_report_free(report);
    free(text.bytes);
    return code ? code : printed;
}

static int check_in(hvcore_ctx *ctx, const char *path, bool json)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    hvcore_vm *vm;
    int code, rc;

    opts.arch = HVCORE_ARCH_RISCV64;
    rc = hvcore_vm_create(ctx, &opts, &vm, &err);
    if (rc != 0)
        return cli_library("no virtual machine", rc, &err);
    code = check_on(vm, path, json);
    hvcore_vm_unref(vm);
    return code;
}

static int check(const char *path, bool json)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    hvcore_ctx *ctx;
    int code, rc = hvcore_ctx_create(NULL, &ctx, &err);

    if (rc != 0)
        return cli_library("no context", rc, &err);
    code = check_in(ctx, path, json);
    hvcore_ctx_unref(ctx);
    return code;
}

int cmd_check(int argc, char **argv)
{
    static const char name[] = "hvcore check";
    const char *path;
    struct common_options o;
    int code = options_common(argc, argv, name, &o);

    if (code != CLI_OK)
        return code;
    if (o.help)
        return fputs(help_check, stdout) < 0 ? CLI_HOST : CLI_OK;
    code = options_end(argc - o.operands, argv + o.operands, name, "the policy's file", &path);
    return code == CLI_OK ? check(path, o.json) : code;
}
