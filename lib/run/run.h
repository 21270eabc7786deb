/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lib/run share. */
#ifndef HVC_RUN_H
#define HVC_RUN_H

#include "lib/core/vcpu.h"

/* A run: what the caller wants of it, what is left of its limits. */
typedef struct hvc_run {
    const hvcore_run_opts *o;
    uint64_t insns;   /* left; UINT64_MAX: no limit */
    uint64_t *turn;   /* hvcore_vm_run: left of the vCPU's turn; else NULL */
    uint32_t entered; /* 1: guest code was entered */
} hvc_run;

/* Between instructions: an answered one is finished first, so that pc is where the guest goes on.
 * Fills v->exit; returns HVC_FLOW_EXIT. */
int hvc_exit_plain(hvcore_vcpu *v, uint32_t reason);

/* v->event and what belongs to it, of a kernel. */
void hvc_exit_kernel(hvcore_vcpu *v, uint32_t reason);

/* Has the run's deadline passed? */
static inline bool hvc_run_late(const hvc_run *r)
{
    return r->o->deadline_ns && hvc_host_now() >= r->o->deadline_ns;
}

/* Limits and flags of a caller's options (NULL: none), for runs of this VM. */
int hvc_run_opts(hvcore_vm *vm, const hvcore_run_opts *opts, hvcore_run_opts *o, hvcore_error *err);

/* A vCPU is taken, so that nobody else runs it, and given back. */
int hvc_run_claim(hvcore_vcpu *v, hvcore_error *err);
void hvc_run_unclaim(hvcore_vcpu *v);
/* The same for a lockstep VM; others are always free. */
int hvc_run_drive(hvcore_vm *vm, hvcore_error *err);
void hvc_run_undrive(hvcore_vm *vm);

/* Run a claimed vCPU: HVC_FLOW_EXIT, HVC_FLOW_TURN, or an error that fills `err`. */
int hvc_run_vcpu(hvcore_vcpu *v, hvc_run *r, hvcore_error *err);

/* outside.c: do v->outside. OUT. */
int hvc_outside_do(hvcore_vcpu *v);

/* wait.c. What a vCPU does before it may enter, beside requests. OUT; a flow. */
int hvc_wait_off(hvcore_vcpu *v, const hvc_run *r, uint32_t bits);
int hvc_wait_irq(hvcore_vcpu *v, const hvc_run *r, uint32_t bits);
int hvc_wait_kernel(hvcore_vcpu *v, const hvc_run *r, uint32_t bits);
/* v->pending is what an interrupt shall fill: wait for one. GUEST; a flow. */
int hvc_wait_begin(hvcore_vcpu *v);

/* sbi.c: a call of the guest. GUEST; a flow. */
int hvc_riscv64_sbi(hvcore_vcpu *v);

#endif
