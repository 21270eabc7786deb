/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt controllers that the library emulates. */
#ifndef HVCORE_IRQCHIP_H
#define HVCORE_IRQCHIP_H

#include <hvcore/vm.h>

HVCORE_BEGIN

/** Kinds of interrupt controllers. */
enum hvcore_irqchip_kind {
    HVCORE_IRQCHIP_PLIC = 1 /**< riscv64: RISC-V Platform-Level Interrupt Controller 1.0.0 */
};

/** Bounds of a PLIC. */
enum hvcore_irqchip_plic {
    HVCORE_IRQCHIP_PLIC_LEN = 0x4000000, /**< bytes of guest-physical addresses */
    HVCORE_IRQCHIP_PLIC_LINES = 1023     /**< input lines at most */
};

/** Options of an interrupt controller. */
typedef struct hvcore_irqchip_opts {
    uint32_t size;
    uint32_t kind;     /**< HVCORE_IRQCHIP_* */
    uint64_t gpa;      /**< first guest-physical address; multiple of HVCORE_PAGE_SIZE */
    uint32_t lines;    /**< input lines 1 to this number */
    uint32_t reserved; /**< 0 */
} hvcore_irqchip_opts;

#ifndef HVCORE_CDEF
#define HVCORE_IRQCHIP_OPTS_INIT                                         \
    {                                                                    \
        .size = sizeof(hvcore_irqchip_opts), .kind = HVCORE_IRQCHIP_PLIC \
    }
#endif

/**
 * Give a VM its interrupt controller. One per VM.
 *
 * PLIC: it occupies [gpa, gpa + HVCORE_IRQCHIP_PLIC_LEN). Context i is S-mode of vCPU i; its output
 * is that vCPU's external interrupt. All input lines are level-triggered, priorities are 0 to 7.
 * Registers are accessed with aligned 32-bit loads and stores; other accesses are access faults,
 * what is reserved reads as zero.
 *
 * Thread: setup. Errors: E_INVAL (kind, reserved, gpa not a multiple of a page), E_RANGE (lines,
 * the range wraps 2^64), E_EXISTS (there is one; the range overlaps a mapping or an MMIO range),
 * E_STATE (a vCPU has run), E_NOMEM. Since: 0.1.
 */
HVCORE_API int hvcore_irqchip_create(hvcore_vm *vm, const hvcore_irqchip_opts *opts,
                                     hvcore_error *err);

/**
 * Drive input line `line` of the VM's interrupt controller: 0 low, otherwise high. When it returns,
 * the vCPUs that the controller tells have been told.
 *
 * Thread: any (also a callback). Errors: E_INVAL, E_STATE (no interrupt controller), E_RANGE (no
 * such line). Since: 0.1.
 */
HVCORE_API int hvcore_vm_irq(hvcore_vm *vm, uint32_t line, uint32_t level);

HVCORE_END
#endif
