/* SPDX-License-Identifier: Apache-2.0 */
/* hvcore probe: what this build can run guests on, and who does what for them there. */
#include <json.h>
#include <string.h>

#include "arch.h"
#include "backend.h"

static const struct {
    uint32_t bit;
    const char *name;
} caps[] = {
    {HVCORE_CAP_INSN_LIMIT, "insn-limit"},
    {HVCORE_CAP_DELEGATED_COUNT, "delegated-count"},
    {HVCORE_CAP_DEADLINE, "deadline"},
    {HVCORE_CAP_HONOURS_HEDELEG, "honours-hedeleg"},
    {HVCORE_CAP_TIMER, "timer"},
    {HVCORE_CAP_LOCKSTEP, "lockstep"},
    {HVCORE_CAP_KERNEL_WAITS, "kernel-waits"},
    {HVCORE_CAP_DIRTY, "dirty"},
    {HVCORE_CAP_READONLY, "readonly"},
    {HVCORE_CAP_EL2, "el2"},
};
enum { CAPS = sizeof caps / sizeof *caps };

/* --- looking ---------------------------------------------------------------------------------- */

struct found {
    hvcore_backend_info info;
    hvcore_vm *vm; /* NULL: it cannot be used, and `err` says why */
    hvcore_vcpu *vcpu;
    hvcore_error err;
    uint32_t duties; /* how many are known */
    hvcore_duty_info duty[HVCORE_DUTIES];
};

/* Some are looked up in the registers of a processor; without one, that is what they say. */
static void find_duties(struct found *f)
{
    if (hvcore_vcpu_create(f->vm, 0, NULL, &f->vcpu, NULL) != 0)
        f->vcpu = NULL;
    for (uint32_t i = 0; i < HVCORE_DUTIES; i++) {
        hvcore_duty_info *d = &f->duty[f->duties];

        *d = (hvcore_duty_info)HVCORE_DUTY_INFO_INIT;
        f->duties += hvcore_vm_duty_info(f->vm, i, d, NULL) == 0;
    }
}

static bool find(hvcore_ctx *ctx, uint32_t index, struct found *f)
{
    *f = (struct found){.info = HVCORE_BACKEND_INFO_INIT, .err = HVCORE_ERROR_INIT};
    if (hvcore_ctx_backend_info(ctx, index, &f->info) != 0)
        return false;
    f->vm = backend_try(ctx, &f->info, &f->err);
    if (f->vm)
        find_duties(f);
    return true;
}

static void forget(struct found *f)
{
    hvcore_vcpu_unref(f->vcpu);
    hvcore_vm_unref(f->vm);
}

static const char *release(const struct found *f)
{
    return f->duties ? f->duty[0].release : "";
}

/* What a backend may do with a cause whatever a policy says. */
static const struct {
    uint8_t what;
    const char *title;
} fixed[] = {
    {HVCORE_DO_DELEGATE, "delegates"},
    {HVCORE_DO_REDIRECT, "redirects"},
    {HVCORE_DO_EMULATE, "emulates"},
};
enum { FIXED = sizeof fixed / sizeof *fixed };

/* --- for people ------------------------------------------------------------------------------ */

enum { INDENT = 14, DUTY_INDENT = 35, END = 99 };

/* Words after a title, broken before column 100. */
static int print_word(const char *word, int len, int column, int indent)
{
    if (column + 1 + len > END)
        column = printf("\n%*s", indent, "") - 1;
    return column + printf(" %.*s", len, word);
}

static int print_sentence(const char *text, int column, int indent)
{
    while (*text) {
        const int len = (int)strcspn(text, " ");

        column = print_word(text, len, column, indent);
        text += len + (text[len] == ' ');
    }
    return column;
}

static int print_title(const char *title)
{
    return printf("  %-12s", title);
}

static void print_line(const char *title, const char *text)
{
    print_sentence(text, print_title(title), INDENT);
    puts("");
}

static void print_caps(uint32_t set)
{
    int column = print_title("can");

    for (size_t i = 0; i < CAPS; i++)
        if (set & caps[i].bit)
            column = print_sentence(caps[i].name, column, INDENT);
    puts(set ? "" : " nothing special");
}

static void print_causes(uint64_t set)
{
    int column = print_title("delegatable");

    for (uint32_t c = 0; c < 64; c++)
        if (set >> c & 1)
            column = print_sentence(cli_cause_name(c), column, INDENT);
    puts(set ? "" : " nothing");
}

static void print_fixed(const struct found *f)
{
    for (int i = 0; i < FIXED; i++) {
        int column = 0;

        for (uint32_t c = 0; c < 64; c++)
            if (f->info.fixed[c] == fixed[i].what)
                column = print_sentence(cli_cause_name(c),
                                        column ? column : print_title(fixed[i].title), INDENT);
        if (column)
            puts("");
    }
}

static void print_duty(const hvcore_duty_info *d)
{
    const int column =
        printf("  %-12s %-15s", hvcore_duty_name(d->duty), hvcore_duty_source_name(d->source));

    print_sentence(d->why, column + (int)strlen(d->can_hide ? " (can be hidden)" : ""),
                   DUTY_INDENT - 5);
    puts(d->can_hide ? " (can be hidden)" : "");
}

static void print_duties(const struct found *f)
{
    if (f->duties)
        printf("  %-12s %-15s %s\n", "duty", "by", "what was looked at");
    for (uint32_t i = 0; i < f->duties; i++)
        print_duty(&f->duty[i]);
}

static void print_backend(const struct found *f)
{
    const struct arch *a = arch_by_number(f->info.arch);
    char name[BACKEND_NAME];

    printf("%s\n", backend_name(name, &f->info));
    print_title("guests");
    printf(" %s", arch_name(f->info.arch));
    if (f->info.max_vcpus)
        printf(", up to %u %ss", f->info.max_vcpus, a ? a->cpu : "cpu");
    puts("");
    print_line("usable", f->vm ? "yes" : f->err.message);
    if (release(f)[0])
        print_line("kernel", release(f));
    print_caps(f->info.caps);
    if (f->info.arch == HVCORE_ARCH_RISCV64)
        print_causes(f->info.delegatable);
    print_fixed(f);
    print_duties(f);
}

static int probe_text(hvcore_ctx *ctx)
{
    struct found f;
    uint32_t i;

    for (i = 0; find(ctx, i, &f); i++) {
        print_backend(&f);
        forget(&f);
    }
    if (i == 0)
        puts("no backend: this build can run nothing");
    return CLI_OK;
}

/* --- for programs ---------------------------------------------------------------------------- */

static void put_text(struct json_object *o, const char *key, const char *text)
{
    json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

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

static void put_fixed(struct json_object *o, const struct found *f)
{
    for (int i = 0; i < FIXED; i++) {
        struct json_object *list = json_object_new_array();

        for (uint32_t c = 0; c < 64; c++)
            if (f->info.fixed[c] == fixed[i].what)
                json_object_array_add(list, json_object_new_string(cli_cause_name(c)));
        json_object_object_add(o, fixed[i].title, list);
    }
}

static struct json_object *json_duties(const struct found *f)
{
    struct json_object *list = json_object_new_array();

    for (const hvcore_duty_info *d = f->duty; d < f->duty + f->duties; d++) {
        struct json_object *o = json_object_new_object();

        put_text(o, "duty", hvcore_duty_name(d->duty));
        put_text(o, "by", hvcore_duty_source_name(d->source));
        json_object_object_add(o, "can_hide", json_object_new_boolean(d->can_hide != 0));
        json_object_object_add(o, "counted", json_object_new_boolean(d->counters_valid != 0));
        put_text(o, "why", d->why);
        json_object_array_add(list, o);
    }
    return list;
}

static struct json_object *json_backend(const struct found *f)
{
    struct json_object *o = json_object_new_object();

    put_text(o, "name", f->info.name);
    put_text(o, "machine", f->info.machine);
    put_text(o, "arch", arch_name(f->info.arch));
    json_object_object_add(o, "usable", json_object_new_boolean(f->vm != NULL));
    put_text(o, "why", f->vm ? "" : f->err.message);
    put_text(o, "kernel", release(f));
    json_object_object_add(o, "max_vcpus", json_object_new_int64(f->info.max_vcpus));
    json_object_object_add(o, "capabilities", json_caps(f->info.caps));
    json_object_object_add(o, "delegatable", json_causes(f->info.delegatable));
    put_fixed(o, f);
    json_object_object_add(o, "duties", json_duties(f));
    return o;
}

static int probe_json(hvcore_ctx *ctx)
{
    struct json_object *all = json_object_new_object(), *list = json_object_new_array();
    char version[16];
    struct found f;

    put_text(all, "version", cli_version(version, hvcore_version()));
    json_object_object_add(all, "backends", list);
    for (uint32_t i = 0; find(ctx, i, &f); i++) {
        json_object_array_add(list, json_backend(&f));
        forget(&f);
    }
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
