/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "arch.h"
#include "backend.h"
#include "sniff.h"

const char *backend_name(char text[BACKEND_NAME], const hvcore_backend_info *info)
{
    snprintf(text, BACKEND_NAME, "%s%s%s", info->name, info->machine[0] ? "/" : "", info->machine);
    return text;
}

bool backend_is_library(const hvcore_backend_info *info)
{
    return strcmp(info->name, "bare") == 0;
}

hvcore_vm *backend_try(hvcore_ctx *ctx, const hvcore_backend_info *info, hvcore_error *err)
{
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    char text[BACKEND_NAME];
    hvcore_vm *vm = NULL;

    opts.arch = info->arch;
    opts.backend = backend_name(text, info);
    return hvcore_vm_create(ctx, &opts, &vm, err) == 0 ? vm : NULL;
}

/* --- what there is ---------------------------------------------------------------------------- */

/* Does --backend mean this one? */
static bool is_meant(const struct run_options *o, const hvcore_backend_info *info)
{
    char text[BACKEND_NAME];

    return !o->backend || strcmp(o->backend, info->name) == 0 ||
           strcmp(o->backend, backend_name(text, info)) == 0;
}

/* How many are meant, of an architecture or of all (0). */
static uint32_t count_meant(struct machine *m, uint32_t arch)
{
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    uint32_t n = 0;

    for (uint32_t i = 0; hvcore_ctx_backend_info(m->ctx, i, &info) == 0; i++)
        n += is_meant(m->options, &info) && (arch == 0 || info.arch == arch);
    return n;
}

/* "x86_64 (kvm), riscv64 (bare/soft)" */
static const char *list_meant(struct machine *m, char *line, size_t size)
{
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    char text[BACKEND_NAME];
    size_t len = 0;

    line[0] = '\0';
    for (uint32_t i = 0; hvcore_ctx_backend_info(m->ctx, i, &info) == 0 && len < size; i++)
        if (is_meant(m->options, &info))
            len += (size_t)snprintf(line + len, size - len, "%s%s (%s%s)", len ? ", " : "",
                                    arch_name(info.arch), backend_name(text, &info),
                                    info.max_vcpus ? "" : ", which cannot be used now");
    return line;
}

/* --- what the guest is ------------------------------------------------------------------------ */

static int no_backend(struct machine *m)
{
    cli_usage("hvcore run",
              "--backend %s: there is no backend of this name; `hvcore probe` lists "
              "them.",
              m->options->backend);
    return CLI_USAGE;
}

static int nothing_runs(struct machine *m, const char *path, const struct sniffed *s)
{
    const char *who = m->options->backend ? m->options->backend : "this host";
    char line[256];

    list_meant(m, line, sizeof line);
    if (s->arch == m->arch) {
        cli_say("%s: it is %s, and %s runs guests of %s.", path, s->is, who, line);
        return CLI_FILE;
    }
    cli_say("--arch %s: %s runs guests of %s.", m->arch->name, who, line);
    return CLI_HOST;
}

static int no_kernel(const struct machine *m, const struct sniffed *s)
{
    cli_say("%s: it is %s; of guests for %s only ELF files without --kernel run so far.",
            m->options->kernel, s->is[0] ? s->is : "no kernel", m->arch->name);
    return CLI_FILE;
}

int backend_choose(struct machine *m)
{
    const struct run_options *o = m->options;
    const char *path = o->kernel ? o->kernel : o->elf;
    hvcore_error err = HVCORE_ERROR_INIT;
    struct sniffed s;
    int rc = hvcore_ctx_create(NULL, &m->ctx, &err);

    if (rc != 0)
        return cli_library("no context", rc, &err);
    sniff_file(&s, path);
    m->arch = o->arch ? o->arch : s.arch ? s.arch : &arch_riscv64;
    if (count_meant(m, 0) == 0)
        return no_backend(m);
    if (count_meant(m, m->arch->number) == 0)
        return nothing_runs(m, path, &s);
    return o->kernel && !m->arch->image ? no_kernel(m, &s) : CLI_OK;
}

/* --- what runs it ----------------------------------------------------------------------------- */

static bool same(const hvcore_backend_info *a, const hvcore_backend_info *b)
{
    return a->arch == b->arch && strcmp(a->name, b->name) == 0 &&
           strcmp(a->machine, b->machine) == 0;
}

/* The first that comes before the one that was taken, and cannot be used. */
static void say_why_not(struct machine *m, const char *taken)
{
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    hvcore_error err = HVCORE_ERROR_INIT;
    char text[BACKEND_NAME];
    hvcore_vm *vm;

    for (uint32_t i = 0; hvcore_ctx_backend_info(m->ctx, i, &info) == 0; i++) {
        if (same(&info, &m->backend))
            return;
        if (info.arch != m->arch->number)
            continue;
        vm = backend_try(m->ctx, &info, &err);
        hvcore_vm_unref(vm);
        cli_say("%s runs this, for %s cannot: %s", taken, backend_name(text, &info), err.message);
        return;
    }
}

/* Where there was a choice and nobody made it. */
static void say_choice(struct machine *m)
{
    char taken[BACKEND_NAME];

    if (m->options->backend || m->options->dump_dtb)
        return;
    backend_name(taken, &m->backend);
    if (backend_is_library(&m->backend))
        say_why_not(m, taken);
    else
        cli_say("%s runs this: it can here, and --backend names no other.", taken);
}

int backend_make_vm(struct machine *m)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    hvcore_vm_opts opts = HVCORE_VM_OPTS_INIT;
    int rc;

    opts.arch = m->arch->number;
    opts.backend = m->options->backend;
    opts.max_vcpus = m->options->vcpus;
    opts.schedule = m->options->schedule;
    opts.flags = m->options->el2 ? HVCORE_VM_EL2 : 0;
    m->backend = (hvcore_backend_info)HVCORE_BACKEND_INFO_INIT;
    rc = hvcore_vm_create(m->ctx, &opts, &m->vm, &err);
    if (rc == 0)
        rc = hvcore_vm_backend_info(m->vm, &m->backend);
    if (rc != 0)
        return cli_library("no virtual machine", rc, &err);
    say_choice(m);
    return CLI_OK;
}
