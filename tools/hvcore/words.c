/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>

#include "backend.h"
#include "words.h"

void line_add(struct line *l, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(l->text + l->len, sizeof l->text - l->len, fmt, ap);
    va_end(ap);
    if (n > 0)
        l->len += (size_t)n < sizeof l->text - l->len ? (size_t)n : sizeof l->text - l->len - 1;
}

static bool is_riscv64(const struct hart *h)
{
    return h->machine->arch->number == HVCORE_ARCH_RISCV64;
}

/* A kernel below has not always said it, but it knows. */
bool exit_pc(const struct hart *h, const hvcore_exit *e, uint64_t *pc)
{
    *pc = e->pc;
    return e->have & HVCORE_HAVE_PC || backend_is_library(&h->machine->backend) ||
           hvcore_reg_get_u64(h->vcpu, h->machine->arch->pc, pc) == 0;
}

const char *exit_place(char text[PLACE], const struct hart *h, const hvcore_exit *e)
{
    uint64_t pc;

    if (exit_pc(h, e, &pc))
        snprintf(text, PLACE, "pc %#" PRIx64, pc);
    else
        snprintf(text, PLACE, "a pc that is not known");
    return text;
}

static const char *mode(const struct hart *h, const hvcore_exit *e)
{
    if (!(e->have & HVCORE_HAVE_MODE) || !is_riscv64(h))
        return "";
    return e->mode == HVCORE_RISCV64_VU ? " in VU-mode" : " in VS-mode";
}

static void add_value(struct line *l, const hvcore_exit *e, uint32_t have, const char *name,
                      uint64_t value)
{
    if (e->have & have)
        line_add(l, ", %s %#" PRIx64, name, value);
}

static void add_cause(struct line *l, const struct hart *h, const hvcore_exit *e)
{
    if (!is_riscv64(h))
        add_value(l, e, HVCORE_HAVE_SYNDROME, "syndrome", e->syndrome);
    else if (e->have & HVCORE_HAVE_SYNDROME)
        line_add(l, ", cause %u (%s)", e->cls, cli_cause_name(e->cls));
}

const char *exit_record(struct line *l, const struct hart *h, const hvcore_exit *e)
{
    char at[PLACE];

    l->len = 0;
    line_add(l, "%s%s", exit_place(at, h, e), mode(h, e));
    add_cause(l, h, e);
    add_value(l, e, HVCORE_HAVE_INSN, "instruction", e->insn);
    add_value(l, e, HVCORE_HAVE_TVAL, is_riscv64(h) ? "tval" : "fault address", e->tval);
    add_value(l, e, HVCORE_HAVE_GPA, "guest-physical address", e->gpa);
    if (e->flags & HVCORE_EXIT_POLICY_RULE)
        line_add(l, ", rule %u of the policy", e->rule);
    return l->text;
}
