/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the command line tool share. Public API of the library only. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stdio.h>

#include <hvcore/hvcore.h>

/* Exit codes; they stand in --help and in docs/hvcore.1 as well. */
enum cli_code {
    CLI_OK = 0,           /* the guest shut down and reported success */
    CLI_GUEST_FAILED = 1, /* the guest shut down and reported a failure */
    CLI_USAGE = 2,
    CLI_FILE = 3, /* a file is refused: guest, kernel, initrd, device tree, policy */
    CLI_DEADLINE = 4,
    CLI_INSNS = 5,
    CLI_CANCELLED = 6, /* SIGINT or SIGTERM */
    CLI_STUCK = 7,     /* the guest cannot go on */
    CLI_HOST = 8       /* the library or the host failed */
};

/* --- msg.c: everything that people read goes to stderr --- */
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int cli_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_library(const char *what, int rc, const hvcore_error *err);
int cli_system(const char *what);
const char *cli_version(char text[16], uint32_t version);
const char *cli_cause_name(uint32_t cls);

/* --- options.c --- */
struct arch;
struct run_options {
    const char *elf, *policy; /* elf or kernel */
    const char *kernel, *initrd, *append, *dtb, *dump_dtb, *trace;
    const struct arch *arch;  /* NULL: that of the guest's file */
    const char *backend;      /* NULL: the library's choice */
    uint32_t vcpus, schedule; /* HVCORE_SCHEDULE_* */
    uint64_t mem, arg, max_insns;
    uint64_t deadline_ns; /* from the start; 0: none */
    bool watch, stats, report, el2, help;
};
struct common_options {
    bool json, help;
    int operands; /* index of the first */
};
int options_run(int argc, char **argv, struct run_options *o);
int options_common(int argc, char **argv, const char *command, struct common_options *o);
int options_end(int argc, char **argv, const char *command, const char *operand,
                const char **value);

/* --- help.c --- */
extern const char help_main[], help_run[], help_probe[], help_check[];

/* --- the commands --- */
int cmd_run(int argc, char **argv);
int cmd_probe(int argc, char **argv);
int cmd_check(int argc, char **argv);

/* --- policy.c --- */
struct policy_text {
    char *bytes;
    size_t len;
};
int policy_read(const char *path, bool wait, struct policy_text *text);
int policy_apply(hvcore_vm *vm, const char *path, const struct policy_text *text,
                 hvcore_report **report);
int policy_apply_builtin(hvcore_vm *vm, hvcore_report **report);

/* --- report.c --- */
struct json_object;
void policy_report_print(FILE *out, const hvcore_report *report);
void policy_report_sum(const hvcore_report *report, char *line, size_t size);
struct json_object *policy_report_json(const hvcore_report *report);
int cli_print_json(struct json_object *o);

#endif
