/* SPDX-License-Identifier: Apache-2.0 */
/* From what a hart reports to an event: what hardware is not to be trusted with is computed anew.
 */
#include "backends/bare/riscv64.h"

#define C(name) (UINT64_C(1) << HVCORE_RISCV64_##name)

static const uint64_t guest_page_faults =
    C(INSN_GUEST_PAGE) | C(LOAD_GUEST_PAGE) | C(STORE_GUEST_PAGE);
static const uint64_t stval_is_insn = C(ILLEGAL_INSN) | C(VIRTUAL_INSN);

static bool in(uint64_t set, uint64_t cause)
{
    return cause < HVCORE_RISCV64_CAUSES && set >> cause & 1;
}

/*
 * htval is the address without its two low bits; an explicit access has them in stval, an implicit
 * one (pseudo-instruction in htinst) has none (Priv. 21.2.8). Zero means that the hart does not
 * tell; then the address is known only where the guest translates nothing.
 */
static void decode_gpa(const hvc_raw_trap *raw, uint64_t vsatp, hvcore_event *e)
{
    bool implicit = raw->htinst == HVC_HTINST_PSEUDO_LOAD || raw->htinst == HVC_HTINST_PSEUDO_STORE;
    if (raw->htval) {
        e->gpa = raw->htval << 2 | (implicit ? 0 : raw->stval & 3);
    } else if (vsatp >> HVC_ATP_MODE_SHIFT == HVC_ATP_BARE) {
        e->gpa = raw->stval;
    } else {
        return;
    }
    e->have |= HVCORE_HAVE_GPA;
}

void hvc_bare_decode(const hvcore_riscv64_frame *f, const hvc_raw_trap *raw, uint64_t vsatp,
                     hvcore_event *e)
{
    uint64_t cause = raw->scause;
    *e = (hvcore_event){
        .size = sizeof(*e),
        .kind = HVCORE_EVENT_TRAP,
        .origin = HVCORE_ORIGIN_RAW,
        .cls = (uint32_t)(cause & (HVCORE_RISCV64_CAUSES - 1)),
        .mode = f->sstatus & HVC_SSTATUS_SPP ? HVCORE_RISCV64_VS : HVCORE_RISCV64_VU,
        .have = HVCORE_HAVE_SYNDROME | HVCORE_HAVE_TVAL | HVCORE_HAVE_PC | HVCORE_HAVE_MODE,
        .pc = f->pc,
        .syndrome = cause,
        .tval = raw->stval,
    };
    if (hvc_riscv64_has_gva(cause, raw->stval)) {
        e->gva = raw->stval;
        e->have |= HVCORE_HAVE_GVA;
    }
    if (in(guest_page_faults, cause)) {
        e->htval = raw->htval;
        e->htinst = raw->htinst >> 32 ? 0 : raw->htinst; /* Priv. 21.6.3: else it is unknown */
        e->have |= HVCORE_HAVE_HTVAL | HVCORE_HAVE_HTINST;
        decode_gpa(raw, vsatp, e);
    }
    if (in(stval_is_insn, cause) && raw->stval) {
        e->insn = (uint32_t)raw->stval;
        e->insn_len = (raw->stval & 3) == 3 ? 4 : 2;
        e->have |= HVCORE_HAVE_INSN;
    }
}
