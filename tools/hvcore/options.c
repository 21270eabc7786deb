/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: a table of options, each with the function that reads its argument. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"

static const char run_name[] = "hvcore run";

#define MEM_OF_GUEST (UINT64_C(64) << 20)
#define MEM_OF_KERNEL (UINT64_C(512) << 20)

/* --- numbers --------------------------------------------------------------------------------- */

/* A whole number, decimal or 0x...; `rest` is what follows it. */
static bool read_number(const char *text, uint64_t *value, const char **rest)
{
    char *end;

    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    *value =
        strtoull(text, &end, text[0] == '0' && tolower((unsigned char)text[1]) == 'x' ? 16 : 10);
    *rest = end;
    return errno == 0;
}

static bool read_whole(const char *text, uint64_t *value)
{
    const char *rest;

    return read_number(text, value, &rest) && *rest == '\0';
}

/* A size with an optional suffix: 4096, 64M, 2G. */
static bool read_size(const char *text, uint64_t *value)
{
    static const char suffixes[] = "KMG";
    const char *rest, *at;

    if (!read_number(text, value, &rest))
        return false;
    if (*rest == '\0')
        return true;
    at = strchr(suffixes, toupper((unsigned char)*rest));
    if (!at || rest[1] != '\0')
        return false;
    unsigned shift = 10 * (unsigned)(at - suffixes + 1);
    if (*value > UINT64_MAX >> shift)
        return false;
    *value <<= shift;
    return true;
}

/* --- one function an option ------------------------------------------------------------------ */

static int set_arch(struct run_options *o, const char *text)
{
    o->arch = arch_by_name(text);
    return o->arch ? CLI_OK
                   : cli_usage(run_name, "--arch %s: x86_64, arm64 or riscv64 is wanted.", text);
}

#define TEXT(field)                                                 \
    static int set_##field(struct run_options *o, const char *text) \
    {                                                               \
        o->field = text;                                            \
        return CLI_OK;                                              \
    }
TEXT(kernel)
TEXT(initrd)
TEXT(append)
TEXT(dtb)
TEXT(dump_dtb)
TEXT(trace)
TEXT(policy)
TEXT(backend)

static int set_deadline(struct run_options *o, const char *text)
{
    char *end;
    double seconds = isdigit((unsigned char)*text) || *text == '.' ? strtod(text, &end) : NAN;

    /* The comparison is false for NAN too. */
    if (!(seconds > 0 && seconds <= 1e9) || *end != '\0')
        return cli_usage(run_name, "--deadline %s: seconds above 0 are wanted, for example 2.5.",
                         text);
    o->deadline_ns = (uint64_t)(seconds * 1e9);
    o->deadline_ns += o->deadline_ns == 0;
    return CLI_OK;
}

static int set_max_insns(struct run_options *o, const char *text)
{
    if (!read_whole(text, &o->max_insns) || o->max_insns == 0)
        return cli_usage(run_name,
                         "--max-insns %s: a number of guest instructions above 0 is wanted.", text);
    return CLI_OK;
}

static int set_mem(struct run_options *o, const char *text)
{
    if (!read_size(text, &o->mem))
        return cli_usage(run_name, "--mem %s: a size is wanted, for example 64M (K, M, G).", text);
    if (o->mem == 0)
        return cli_usage(run_name, "--mem %s: a guest needs memory, at least one page (4K).", text);
    if (o->mem % HVCORE_PAGE_SIZE != 0)
        return cli_usage(
            run_name, "--mem %s: guest memory comes in pages; a multiple of 4K is wanted.", text);
    return CLI_OK;
}

static int set_vcpus(struct run_options *o, const char *text)
{
    uint64_t n;

    if (!read_whole(text, &n) || n == 0 || n > UINT32_MAX)
        return cli_usage(run_name, "--smp %s: a number of processors above 0 is wanted.", text);
    o->vcpus = (uint32_t)n;
    return CLI_OK;
}

static int set_schedule(struct run_options *o, const char *text)
{
    static const char *const names[] = {
        [HVCORE_SCHEDULE_PARALLEL] = "parallel", [HVCORE_SCHEDULE_LOCKSTEP] = "lockstep"};

    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0) {
            o->schedule = i;
            return CLI_OK;
        }
    return cli_usage(run_name, "--schedule %s: parallel or lockstep is wanted.", text);
}

static int set_arg(struct run_options *o, const char *text)
{
    if (!read_whole(text, &o->arg))
        return cli_usage(run_name, "--arg %s: a whole number is wanted, for the guest to find.",
                         text);
    return CLI_OK;
}

#define FLAG(field)                                                 \
    static int set_##field(struct run_options *o, const char *text) \
    {                                                               \
        (void)text;                                                 \
        o->field = true;                                            \
        return CLI_OK;                                              \
    }
FLAG(watch)
FLAG(stats)
FLAG(report)
FLAG(el2)
FLAG(help)

static const struct option_row {
    const char *name;
    int has_arg;
    int (*set)(struct run_options *o, const char *text);
} run_rows[] = {
    {"arch", required_argument, set_arch},
    {"backend", required_argument, set_backend},
    {"el2", no_argument, set_el2},
    {"policy", required_argument, set_policy},
    {"policy-watch", no_argument, set_watch},
    {"stats", no_argument, set_stats},
    {"report", no_argument, set_report},
    {"deadline", required_argument, set_deadline},
    {"max-insns", required_argument, set_max_insns},
    {"mem", required_argument, set_mem},
    {"smp", required_argument, set_vcpus},
    {"vcpus", required_argument, set_vcpus}, /* the older name */
    {"schedule", required_argument, set_schedule},
    {"trace", required_argument, set_trace},
    {"kernel", required_argument, set_kernel},
    {"initrd", required_argument, set_initrd},
    {"append", required_argument, set_append},
    {"dtb", required_argument, set_dtb},
    {"dump-dtb", required_argument, set_dump_dtb},
    {"arg", required_argument, set_arg},
    {"help", no_argument, set_help},
};
enum { RUN_ROWS = sizeof run_rows / sizeof *run_rows };

/* --- what is wrong with an option ------------------------------------------------------------ */

static size_t common_prefix(const char *a, const char *b)
{
    size_t n = 0;

    while (a[n] && a[n] == b[n])
        n++;
    return n;
}

/* The option that begins like what was written, or NULL. */
static const char *nearest(const char *text)
{
    const char *best = NULL;
    size_t most = 1;

    for (size_t i = 0; i < RUN_ROWS; i++) {
        size_t n = common_prefix(text, run_rows[i].name);
        if (n > most) {
            most = n;
            best = run_rows[i].name;
        }
    }
    return best;
}

static int bad_option(const char *text, bool missing)
{
    const char *hint;

    if (isalnum(optopt))
        return cli_usage(run_name, "-%c: there is no such option.", optopt);
    if (missing)
        return cli_usage(run_name, "%s needs an argument.", text);
    if (strchr(text, '='))
        return cli_usage(run_name, "%s: there is no such option, or it takes no argument.", text);
    hint = strncmp(text, "--", 2) == 0 ? nearest(text + 2) : NULL;
    if (hint)
        return cli_usage(run_name, "%s: there is no such option; is --%s meant?", text, hint);
    return cli_usage(run_name, "%s: there is no such option.", text);
}

/* --- the whole ------------------------------------------------------------------------------- */

/* Options that mean something to the board only. */
static int check_board(const struct run_options *o)
{
    const struct {
        const char *name, *value;
    } rows[] = {
        {"initrd", o->initrd}, {"append", o->append}, {"dtb", o->dtb}, {"dump-dtb", o->dump_dtb}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].value && !o->kernel)
            return cli_usage(run_name, "--%s is for a kernel: add --kernel FILE.", rows[i].name);
    if (o->kernel && o->arg)
        return cli_usage(run_name, "--arg is not for a kernel: it gets its device tree.");
    return CLI_OK;
}

static int finish_run(int argc, char **argv, struct run_options *o)
{
    int code = check_board(o);

    if (code != CLI_OK)
        return code;
    if (o->watch && !o->policy)
        return cli_usage(run_name, "--policy-watch needs a policy to watch: add --policy FILE.");
    if (o->trace && o->schedule != HVCORE_SCHEDULE_LOCKSTEP)
        return cli_usage(run_name, "--trace is for runs that can be repeated: add --schedule "
                                   "lockstep.");
    if (o->mem == 0)
        o->mem = o->kernel ? MEM_OF_KERNEL : MEM_OF_GUEST;
    if (!o->kernel)
        return options_end(argc - optind, argv + optind, run_name, "the guest's ELF file", &o->elf);
    return optind == argc
               ? CLI_OK
               : cli_usage(run_name, "%s: beside --kernel there is no other guest.", argv[optind]);
}

int options_run(int argc, char **argv, struct run_options *o)
{
    struct option rows[RUN_ROWS + 1] = {{0}};
    int c, index = 0;

    *o = (struct run_options){.vcpus = 1};
    for (size_t i = 0; i < RUN_ROWS; i++)
        rows[i] = (struct option){run_rows[i].name, run_rows[i].has_arg, NULL, 0};
    rows[RUN_ROWS - 1].val = 'h';
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":h", rows, &index)) != -1) {
        int code = c == 0     ? run_rows[index].set(o, optarg)
                   : c == 'h' ? set_help(o, NULL)
                              : bad_option(argv[optind - 1], c == ':');
        if (code != CLI_OK || o->help)
            return code;
    }
    return finish_run(argc, argv, o);
}

/* What stands after the options: exactly one operand. */
int options_end(int argc, char **argv, const char *command, const char *operand, const char **value)
{
    if (argc < 1)
        return cli_usage(command, "%s is missing.", operand);
    if (argc > 1)
        return cli_usage(command, "%s: one operand is enough (%s).", argv[1], operand);
    *value = argv[0];
    return CLI_OK;
}

/* What check and probe understand. */
int options_common(int argc, char **argv, const char *command, struct common_options *o)
{
    static const struct option rows[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int c;

    *o = (struct common_options){0};
    opterr = 0;
    while ((c = getopt_long(argc, argv, "h", rows, NULL)) != -1) {
        if (c == '?')
            return cli_usage(command, "%s: there is no such option.", argv[optind - 1]);
        o->json |= c == 'j';
        o->help |= c == 'h';
    }
    o->operands = optind;
    return CLI_OK;
}
