/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include <hvcore/firmware/sbi.h>

#include "unanswered.h"
#include "words.h"

/* Equal ones in a row after which the guest is taken not to get on. */
static const hvcore_storm_params limit = {.repeat = 64};

static bool first_time(struct hart *h, uint32_t what)
{
    return !(atomic_fetch_or(&h->machine->said, what) & what);
}

static const char *cpu(const struct hart *h)
{
    return h->machine->arch->cpu;
}

/* A kernel below makes of "there is no such thing" what it is; on a machine of the library that is
 * for `instead` to say. */
static int deny(struct hart *h, const hvcore_exit *e,
                int (*instead)(struct hart *, const hvcore_exit *, hvcore_error *))
{
    hvcore_error err = HVCORE_ERROR_INIT;
    int rc = hvcore_vcpu_deny(h->vcpu, &err);

    if (rc == -HVCORE_E_UNSUPPORTED && instead)
        rc = instead(h, e, &err);
    if (rc == 0)
        return GO_ON;
    cli_library("the guest cannot be told that nobody answers", rc, &err);
    return rc == -HVCORE_E_STATE ? CLI_STUCK : CLI_HOST;
}

/* --- loads and stores ------------------------------------------------------------------------ */

static bool storms(struct hart *h, uint64_t cause, uint64_t address, const hvcore_exit *e)
{
    uint64_t pc;

    return exit_pc(h, e, &pc) && hvcore_storm_event(&h->unanswered, &limit, 0, cause, pc, address);
}

static int stuck(struct hart *h, const hvcore_exit *e, const char *what, uint64_t address)
{
    char at[PLACE];

    cli_say("the guest does not get on: %s at %s touches %#" PRIx64
            ", where there is nothing, again and again.",
            what, exit_place(at, h, e), address);
    return CLI_STUCK;
}

static uint64_t cause_of(const hvcore_exit *e)
{
    return e->u.mmio.write ? HVCORE_RISCV64_STORE_ACCESS : HVCORE_RISCV64_LOAD_ACCESS;
}

static int fault(struct hart *h, const hvcore_exit *e, hvcore_error *err)
{
    hvcore_inject what = HVCORE_INJECT_INIT;

    what.cause = cause_of(e);
    what.tval = e->have & HVCORE_HAVE_GVA ? e->gva : e->tval;
    return hvcore_vcpu_inject(h->vcpu, &what, err);
}

static void say_access(struct hart *h, const hvcore_exit *e, const char *what)
{
    const char *fault_name = h->machine->arch->fault;
    char at[PLACE];

    if (!first_time(h, e->u.mmio.write ? SAID_STORE : SAID_LOAD))
        return;
    cli_say("%s %u: %s of %u bytes at %#" PRIx64
            " (%s), where there is nothing: the guest gets %s. "
            "Said once.",
            cpu(h), h->index, what, e->u.mmio.width, e->u.mmio.addr, exit_place(at, h, e),
            fault_name ? fault_name : "ones");
}

/* As on a real bus; the guest decides itself what then. Ones are no reason to think that it does
 * not get on. */
int unanswered_mmio(struct hart *h, const hvcore_exit *e)
{
    const char *what = e->u.mmio.write ? "a store" : "a load";

    if (h->machine->arch->fault && storms(h, cause_of(e), e->u.mmio.addr, e))
        return stuck(h, e, what, e->u.mmio.addr);
    say_access(h, e, what);
    return deny(h, e, fault);
}

int unanswered_abort(struct hart *h, const hvcore_exit *e)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    hvcore_inject what = HVCORE_INJECT_INIT;
    struct line l;
    int rc;

    what.cause = HVCORE_ARM64_INJECT_EXT_DABT;
    if (storms(h, e->syndrome, e->gpa, e))
        return stuck(h, e, "an access", e->gpa);
    if (first_time(h, SAID_TRAP))
        cli_say("%s %u: an access outside of memory that the hardware does not describe (%s): the "
                "guest gets an external abort. Said once.",
                cpu(h), h->index, exit_record(&l, h, e));
    rc = hvcore_vcpu_inject(h->vcpu, &what, &err);
    return rc ? cli_library("the guest cannot be given an abort", rc, &err) : GO_ON;
}

/* --- the others ------------------------------------------------------------------------------ */

int unanswered_pio(struct hart *h, const hvcore_exit *e)
{
    char at[PLACE];

    if (first_time(h, SAID_PORT))
        cli_say("%s %u: %s of %u bytes, port %#x (%s), where there is nothing: ones are read. "
                "Said once.",
                cpu(h), h->index, e->u.pio.write ? "OUT" : "IN", e->u.pio.width, e->u.pio.port,
                exit_place(at, h, e));
    return deny(h, e, NULL);
}

static int not_supported(struct hart *h, const hvcore_exit *e, hvcore_error *err)
{
    const uint64_t value = (uint64_t)(int64_t)HVCORE_SBI_ERR_NOT_SUPPORTED;

    (void)e;
    (void)err;
    return hvcore_vcpu_complete(h->vcpu, &value, 1);
}

/* riscv64: experimental and vendor extensions of the SBI; there are none here. */
int unanswered_call(struct hart *h, const hvcore_exit *e)
{
    char at[PLACE];

    if (first_time(h, SAID_CALL))
        cli_say("%s %u: %s %#" PRIx64 " function %" PRIu64
                " (%s): the guest is told that it is not supported. Said once.",
                cpu(h), h->index, h->machine->arch->call, e->u.hypercall.nr, e->u.hypercall.fid,
                exit_place(at, h, e));
    return deny(h, e, not_supported);
}

int unanswered_sysreg(struct hart *h, const hvcore_exit *e)
{
    char at[PLACE];

    if (first_time(h, SAID_REGISTER))
        cli_say("%s %u: %s %#" PRIx64 " is %s (%s), which there is not: the guest gets what "
                "hardware without it gives. Said once.",
                cpu(h), h->index, h->machine->arch->sysreg, e->u.sysreg.id,
                e->u.sysreg.mask ? "written" : "read", exit_place(at, h, e));
    return deny(h, e, NULL);
}
