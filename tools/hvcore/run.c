/* SPDX-License-Identifier: Apache-2.0 */
/* hvcore run: builds the machine, runs it, takes it down. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "backend.h"
#include "board.h"
#include "elf.h"

static void on_console(void *user, hvcore_vcpu *vcpu, const char *bytes, size_t len)
{
    (void)vcpu;
    console_write(user, bytes, len);
}

/* --- building: each step says itself what went wrong ------------------------------------------ */

static int set_console(struct machine *m)
{
    const int rc = hvcore_vm_console_set(m->vm, on_console, m);

    return rc ? cli_library("no console", rc, NULL) : CLI_OK;
}

static int make_memory(struct machine *m)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    hvcore_map_opts opts = HVCORE_MAP_OPTS_INIT;
    int rc = hvcore_mem_alloc(m->ctx, m->options->mem, 0, &m->mem, &err);

    opts.gpa = m->arch->ram_base;
    if (rc == 0)
        rc = hvcore_vm_map(m->vm, m->mem, &opts, &err);
    return rc ? cli_library("no guest memory (--mem)", rc, &err) : CLI_OK;
}

static int load_elf(struct machine *m)
{
    struct elf_image image;
    int code = CLI_OK;

    if (elf_open(&image, m->options->elf, m->arch, m->options->mem) != 0 ||
        elf_load(&image, hvcore_mem_ptr(m->mem)) != 0) {
        cli_say("%s", image.why);
        code = CLI_FILE;
    }
    m->entry = image.entry;
    m->bits = image.bits;
    m->arg = m->options->arg;
    elf_close(&image);
    return code;
}

static int load_guest(struct machine *m)
{
    return m->options->kernel ? board_load(m) : load_elf(m);
}

static int load_policy(struct machine *m)
{
    const char *path = m->options->policy;
    hvcore_report *report = NULL;
    int code = CLI_OK;

    if (!path && m->arch->number != HVCORE_ARCH_RISCV64)
        return CLI_OK; /* nothing is built in for the others: all is the kernel's */
    if (path)
        code = watch_open(path, m->options->watch, &m->policy);
    if (code == CLI_OK)
        code = path ? policy_apply(m->vm, path, watch_text(m->policy), &report)
                    : policy_apply_builtin(m->vm, &report);
    if (report && m->options->report)
        policy_report_print(stderr, report);
    hvcore_report_free(report);
    return code;
}

static int make_hart(struct machine *m, uint32_t index)
{
    hvcore_vcpu_opts opts = HVCORE_VCPU_OPTS_INIT;
    hvcore_error err = HVCORE_ERROR_INIT;
    struct hart *h = &m->hart[index];
    int rc;

    if (m->options->kernel && index > 0)
        opts.flags = HVCORE_VCPU_OFF;
    rc = hvcore_vcpu_create(m->vm, index, &opts, &h->vcpu, &err);
    if (rc != 0)
        return cli_library("a processor cannot be made", rc, &err);
    m->count++;
    h->machine = m;
    h->index = index;
    h->id = index;
    if (m->arch->id)
        rc = hvcore_reg_get_u64(h->vcpu, m->arch->id, &h->id);
    if (m->arch->id)
        h->id &= m->arch->id_bits;
    return rc ? cli_library("a processor's number cannot be read", rc, NULL) : CLI_OK;
}

static int make_harts(struct machine *m)
{
    int code = CLI_OK;

    if (m->arch->cpus_most && m->options->vcpus > m->arch->cpus_most)
        return cli_usage("hvcore run", "--smp %u: the board for %s has room for %u.",
                         m->options->vcpus, m->arch->name, m->arch->cpus_most);
    m->hart = calloc(m->options->vcpus, sizeof *m->hart);
    if (!m->hart)
        return cli_system("no memory for the processors");
    for (uint32_t i = 0; i < m->options->vcpus && code == CLI_OK; i++)
        code = make_hart(m, i);
    return code;
}

static int begin_harts(struct machine *m)
{
    int code = CLI_OK;

    for (uint32_t i = 0; i < m->count && code == CLI_OK; i++)
        code = m->arch->begin(&m->hart[i]);
    return code;
}

/* The processors come before the board: a kernel's interrupt controller wants them to be there. */
static int (*const steps[])(struct machine *) = {backend_choose, backend_make_vm, set_console,
                                                 make_memory,    make_harts,      board_make,
                                                 load_guest,     load_policy,     begin_harts};

static int build(struct machine *m)
{
    int code = CLI_OK;

    for (size_t i = 0; i < sizeof steps / sizeof *steps && code == CLI_OK; i++)
        code = steps[i](m);
    return code;
}

static void take_down(struct machine *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        hvcore_vcpu_unref(m->hart[i].vcpu);
    free(m->hart);
    watch_close(m->policy);
    board_close(m);
    hvcore_mem_unref(m->mem);
    hvcore_vm_unref(m->vm);
    hvcore_ctx_unref(m->ctx);
}

/* --- running ---------------------------------------------------------------------------------- */

void machine_decide(struct machine *m, int code)
{
    int undecided = UNDECIDED;

    if (code != UNDECIDED && atomic_compare_exchange_strong(&m->verdict, &undecided, code))
        cancel_all(m);
}

static void *hart_main(void *arg)
{
    struct hart *h = arg;

    machine_decide(h->machine, hart_run(h));
    return NULL;
}

static void start_others(struct machine *m)
{
    for (uint32_t i = 1; i < m->count; i++) {
        errno = pthread_create(&m->hart[i].thread, NULL, hart_main, &m->hart[i]);
        m->hart[i].started = errno == 0;
        if (errno != 0) {
            machine_decide(m, cli_system("a hart gets no thread"));
            return;
        }
    }
}

static void join_others(struct machine *m)
{
    for (uint32_t i = 1; i < m->count; i++)
        if (m->hart[i].started)
            pthread_join(m->hart[i].thread, NULL);
}

static int run_harts(struct machine *m)
{
    m->begin_ns = hvcore_clock_ns();
    if (m->options->deadline_ns)
        m->deadline_ns = m->begin_ns + m->options->deadline_ns;
    if (m->options->schedule == HVCORE_SCHEDULE_LOCKSTEP)
        return lockstep_run(m);
    start_others(m);
    hart_main(&m->hart[0]);
    join_others(m);
    return atomic_load(&m->verdict);
}

static int run_machine(struct machine *m)
{
    struct side side;
    int code = side_start(&side, m);

    if (code != CLI_OK)
        return code;
    code = cancel_open(m);
    if (code == CLI_OK && m->board)
        terminal_open();
    if (code == CLI_OK)
        code = run_harts(m);
    terminal_close();
    cancel_close();
    side_stop(&side);
    if (m->options->kernel)
        stats_sum(m);
    if (m->options->kernel || m->options->stats)
        stats_print(stderr, m);
    return code;
}

static int run(const struct run_options *o)
{
    struct machine m = {.options = o, .verdict = UNDECIDED};
    int code = build(&m);

    if (code == CLI_OK && !o->dump_dtb)
        code = run_machine(&m);
    take_down(&m);
    return code;
}

int cmd_run(int argc, char **argv)
{
    struct run_options o;
    int code = options_run(argc, argv, &o);

    if (code != CLI_OK)
        return code;
    if (o.help)
        return fputs(help_run, stdout) < 0 ? CLI_HOST : CLI_OK;
    return run(&o);
}
