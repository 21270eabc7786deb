/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor half for riscv64: the same code for every machine. Compiled once per machine; see
 * bare.h for the names.
 */
#ifndef HVC_BARE_RISCV64_H
#define HVC_BARE_RISCV64_H

#include <hvcore/x-backend.h>

#include "backends/bare/port.h"
#include "lib/core/error.h"

#define hvc_s2_create HVC_BARE(s2_create)
#define hvc_s2_destroy HVC_BARE(s2_destroy)
#define hvc_s2_map HVC_BARE(s2_map)
#define hvc_s2_change HVC_BARE(s2_change)
#define hvc_bare_load HVC_BARE(load)
#define hvc_bare_put HVC_BARE(put)
#define hvc_bare_sys_read HVC_BARE(sys_read)
#define hvc_bare_sys_write HVC_BARE(sys_write)
#define hvc_bare_decode HVC_BARE(decode)
#define hvc_bare_ops HVC_BARE(ops)

/* ---- stage 2: Sv39x4 tables in the machine's memory ------------------------------------------ */

enum { HVC_S2_GPA_BITS = 41 };

/* Memory for table pages, in chunks that the machine knows. */
typedef struct hvc_s2_chunk {
    struct hvc_s2_chunk *next;
    void *host;
    uint64_t pa;
} hvc_s2_chunk;

/* An address space; apart from the VM, because nested guests will need several. */
typedef struct hvc_s2 {
    hvc_machine *machine;
    uint64_t root; /* pa, 16 KiB */
    hvc_s2_chunk *chunks;
    uint64_t free; /* pa of the first free table page, linked through their first word; 0
                           none */
    uint64_t fresh, fresh_end; /* pa of table pages that nobody has touched yet */
    uint64_t free_count;       /* of both */
} hvc_s2;

int hvc_s2_create(hvc_s2 *s2, hvc_machine *machine);
void hvc_s2_destroy(hvc_s2 *s2);

/* Map len bytes at gpa to pa. On failure nothing is mapped. Leaves as large as alignment allows. */
int hvc_s2_map(hvc_s2 *s2, uint64_t gpa, uint64_t pa, uint64_t len, uint32_t prot);

/*
 * Give the leaves in a range other rights, or unmap them (prot 0); holes are skipped. `lost` (NULL
 * allowed) is told of each piece of memory that is unmapped. -HVCORE_E_NOMEM: nothing has changed.
 */
typedef void hvc_s2_lost(struct hvcore_bk_vm *vm, uint64_t pa, uint64_t len);
int hvc_s2_change(hvc_s2 *s2, uint64_t gpa, uint64_t len, uint32_t prot, hvc_s2_lost *lost,
                  struct hvcore_bk_vm *vm);

/* ---- VM and vCPU ----------------------------------------------------------------------------- */

/* A piece of guest memory that has become a bank. */
typedef struct hvc_bare_bank {
    struct hvc_bare_bank *next;
    uint64_t pa, len;
    uint64_t mapped; /* bytes of it still mapped; the bank goes with the last */
} hvc_bare_bank;

struct hvcore_bk_vm {
    hvc_machine *machine;
    hvc_port_facts facts;
    hvc_s2 s2;
    hvc_bare_bank *banks;
};

struct hvcore_bk_vcpu {
    struct hvcore_bk_vm *vm;
    hvc_pe *_Atomic pe;      /* where it is resident, NULL: nowhere */
    hvc_pe *_Atomic home;    /* the last PE that it was resident on, for its counters */
    _Atomic uint32_t kicked; /* a kick that came while it was nowhere */
    uint32_t index;
    hvcore_riscv64_frame frame;
    hvcore_riscv64_sys sys;     /* the view of the fix-ups */
    hvcore_riscv64_sys context; /* the guest's registers while it is not resident */
    hvcore_riscv64_fp fp;
    uint64_t hedeleg;
};

/* ---- load/put: the guest's registers move between context and PE (riscv64_switch.c) ---------- */

void hvc_bare_load(struct hvcore_bk_vcpu *v, hvc_pe *pe);
void hvc_bare_put(struct hvcore_bk_vcpu *v);

/* Registers in `set` from where they are now to v->sys, and back (those that a guest owns). */
void hvc_bare_sys_read(struct hvcore_bk_vcpu *v, uint64_t set);
void hvc_bare_sys_write(struct hvcore_bk_vcpu *v, uint64_t set);

/* ---- decode: raw trap to event (riscv64_event.c) --------------------------------------------- */

void hvc_bare_decode(const hvcore_riscv64_frame *frame, const hvc_raw_trap *raw, uint64_t vsatp,
                     hvcore_event *event);

#endif
