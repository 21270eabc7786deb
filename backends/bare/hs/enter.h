/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that the assembly shares with C; pe.c asserts the offsets. */
#ifndef HVC_HS_ENTER_H
#define HVC_HS_ENTER_H

#define HVC_HS_FRAME_X(n) (8 * (n))
#define HVC_HS_FRAME_PC 256
#define HVC_HS_FRAME_SSTATUS 264
#define HVC_HS_FRAME_HSTATUS 272

#ifndef __ASSEMBLER__
#include <hvcore/riscv64.h>

/* Executes the guest in `frame` until the next trap into HS-mode; interrupts are masked. The frame
 * is updated; scause, stval, htval, htinst are still in their CSRs. */
void hvc_hs_switch(hvcore_riscv64_frame *frame);

/* 16 bits of the guest's code, read as the mode in hstatus.SPVP would fetch them; all ones if it
 * could not. Interrupts are masked; sepc, scause, stval, htval, htinst and hstatus may change. */
uint64_t hvc_hs_hlvx_hu(uint64_t gva);

/* A trap vector for an image that has nothing better: reports the trap as a panic. */
void hvc_hs_vector(void);
#endif

#endif
