/* SPDX-License-Identifier: Apache-2.0 */
/* hvcore probe: what this build can run guests on. */
#include <json.h>
#include <string.h>

#include "cli.h"

static const char *const arch_names[] = {"none", "x86_64", "arm64", "riscv64"};

static const struct {
    uint32_t bit;
    const char *name;
} caps[] = {
    {HVCORE_CAP_INSN_LIMIT, "insn-limit"},
    {HVCORE_CAP_DEADLINE, "deadline"},
    {HVCORE_CAP_DELEGATED_COUNT, "delegated-count"},
};
enum { CAPS = sizeof caps / sizeof *caps };

static const char *arch_name(uint32_t arch)
{
    return arch < sizeof arch_names / sizeof *arch_names ? arch_names[arch] : "unknown";
}

/* --- for people ------------------------------------------------------------------------------ */

/* Words after a title, broken before column 100. */
static int print_word(const char *word, int column)
{
    if (column + 1 + (int)strlen(word) > 99)
        column = printf("\n%14s", "") - 1;
    return column + printf(" %s", word);
}

static int print_title(const char *title)
{
    return printf("  %-12s", title);
}

static void print_caps(uint32_t set)
{
    int column = print_title("can");

    for (size_t i = 0; i < CAPS; i++)
        if (set & caps[i].bit)
            column = print_word(caps[i].name, column);
    puts(set ? "" : " nothing special");
}

static void print_causes(uint64_t set)
{
    int column = print_title("delegatable");

    for (uint32_t c = 0; c < 64; c++)
        if (set >> c & 1)
            column = print_word(cli_cause_name(c), column);
    puts(set ? "" : " nothing");
}

static void print_backend(const hvcore_backend_info *info)
{
    printf("%s%s%s\n", info->name, info->machine[0] ? "/" : "", info->machine);
    print_title("guests");
    printf(" %s, up to %u harts\n", arch_name(info->arch), info->max_vcpus);
    print_caps(info->caps);
    print_causes(info->delegatable);
}

static int probe_text(hvcore_ctx *ctx)
{
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    uint32_t i;

    for (i = 0; hvcore_ctx_backend_info(ctx, i, &info) == 0; i++)
        print_backend(&info);
    if (i == 0)
        puts("no backend: this build can run nothing");
    return CLI_OK;
}

/* --- for programs ---------------------------------------------------------------------------- */

static struct json_object *json_caps(uint32_t set)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < CAPS; i++)
        if (set & caps[i].bit)
            json_object_array_add(list, json_object_new_string(caps[i].name));
    return list;
}

static struct json_object *json_causes(uint64_t set)
{
    struct json_object *list = json_object_new_array();

    for (uint32_t c = 0; c < 64; c++)
        if (set >> c & 1)
            json_object_array_add(list, json_object_new_string(cli_cause_name(c)));
    return list;
}

static struct json_object *json_backend(const hvcore_backend_info *info)
{
    struct json_object *o = json_object_new_object();

    json_object_object_add(o, "name", json_object_new_string(info->name));
    json_object_object_add(o, "machine", json_object_new_string(info->machine));
    json_object_object_add(o, "arch", json_object_new_string(arch_name(info->arch)));
    json_object_object_add(o, "max_vcpus", json_object_new_int64(info->max_vcpus));
    json_object_object_add(o, "capabilities", json_caps(info->caps));
    json_object_object_add(o, "delegatable", json_causes(info->delegatable));
    return o;
}

static int probe_json(hvcore_ctx *ctx)
{
    struct json_object *all = json_object_new_object(), *list = json_object_new_array();
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    char version[16];

    cli_version(version, hvcore_version());
    json_object_object_add(all, "version", json_object_new_string(version));
    json_object_object_add(all, "backends", list);
    for (uint32_t i = 0; hvcore_ctx_backend_info(ctx, i, &info) == 0; i++)
        json_object_array_add(list, json_backend(&info));
    return cli_print_json(all);
}

/* --- the command ----------------------------------------------------------------------------- */

static int probe(int (*print)(hvcore_ctx *))
{
    hvcore_error err = HVCORE_ERROR_INIT;
    hvcore_ctx *ctx;
    int code, rc = hvcore_ctx_create(NULL, &ctx, &err);

    if (rc != 0)
        return cli_library("no context", rc, &err);
    code = print(ctx);
    hvcore_ctx_unref(ctx);
    return code;
}

int cmd_probe(int argc, char **argv)
{
    static const char name[] = "hvcore probe";
    struct common_options o;
    int code = options_common(argc, argv, name, &o);

    if (code != CLI_OK)
        return code;
    if (o.help)
        return fputs(help_probe, stdout) < 0 ? CLI_HOST : CLI_OK;
    if (o.operands < argc)
        return cli_usage(name, "%s: no operand is wanted.", argv[o.operands]);
    return probe(o.json ? probe_json : probe_text);
}
