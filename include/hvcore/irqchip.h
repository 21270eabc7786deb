/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt controllers: those that the library emulates, and the kernel's. */
#ifndef HVCORE_IRQCHIP_H
#define HVCORE_IRQCHIP_H

#include <hvcore/vm.h>

HVCORE_BEGIN

/** Kinds of interrupt controllers. */
enum hvcore_irqchip_kind {
    HVCORE_IRQCHIP_PLIC = 1,  /**< riscv64: RISC-V Platform-Level Interrupt Controller 1.0.0; by the
                                   library, on every backend */
    HVCORE_IRQCHIP_GICV3 = 2, /**< arm64, kvm: the kernel's GICv3 */
    HVCORE_IRQCHIP_GICV2 = 3, /**< arm64, kvm: the kernel's GICv2, on hosts that can */
    HVCORE_IRQCHIP_PC = 4,    /**< x86_64, kvm: the kernel's local APICs, I/O APIC, two PICs, PIT */
    HVCORE_IRQCHIP_AIA = 5    /**< riscv64, kvm: the kernel's APLIC and IMSICs */
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
    uint32_t lines;    /**< input lines */
    uint32_t reserved; /**< 0 */
    uint64_t gpa_cpu;  /**< GICV3: redistributors, GICV2: CPU interface, AIA: IMSICs; else 0 */
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
 * The kernel's controllers come after all vCPUs are made.
 *
 * PLIC: it has input lines 1 to `lines`, and occupies [gpa, gpa + HVCORE_IRQCHIP_PLIC_LEN). Context
 * i is S-mode of vCPU i; its output is that vCPU's external interrupt. All input lines are
 * level-triggered, priorities are 0 to 7. Registers are accessed with aligned 32-bit loads and
 * stores; other accesses are access faults, what is reserved reads as zero.
 *
 * GICV3: the distributor is at gpa (64 KiB), the redistributors at gpa_cpu (128 KiB for each vCPU);
 * both multiples of 64 KiB. Input line n is SPI n (INTID 32 + n); there are `lines` of them, up to
 * 960 (rounded up to a multiple of 32). GICV2: distributor and CPU interface, 4 and 8 KiB.
 *
 * PC: gpa and gpa_cpu are 0, the places are the PC's; line n is GSI n, `lines` is 24. The local
 * APICs come with the vCPUs: it is made before the first one.
 *
 * AIA: the APLIC is at gpa (16 KiB), IMSIC n at gpa_cpu + n * 4 KiB; input lines 1 to `lines`, up
 * to 1023.
 *
 * Thread: setup. Errors: E_INVAL (kind, reserved, an address that is not aligned), E_RANGE (lines,
 * the range wraps 2^64 or ends past the guest's address space), E_EXISTS (there is one; the range
 * overlaps a mapping or an MMIO range), E_STATE (a vCPU has run; PC: there is a vCPU already),
 * E_UNSUPPORTED (not on this backend or host), E_NOMEM, E_SYS. Since: 0.1.
 */
HVCORE_API int hvcore_irqchip_create(hvcore_vm *vm, const hvcore_irqchip_opts *opts,
                                     hvcore_error *err);

/**
 * Drive input line `line` of the VM's interrupt controller: 0 low, otherwise high. When it returns,
 * the vCPUs that the controller tells have been told.
 *
 * Thread: any (also a callback). Errors: E_INVAL, E_STATE (no interrupt controller), E_RANGE (no
 * such line), E_SYS. Since: 0.1.
 */
HVCORE_API int hvcore_vm_irq(hvcore_vm *vm, uint32_t line, uint32_t level);

/**
 * kvm: an eventfd that drives input line `line` of the kernel's interrupt controller: each signal
 * is a pulse. With `resample` >= 0, another eventfd, the line stays high until the guest is done
 * with it; `resample` is signalled then, and the device signals `fd` again if it still has
 * something. `fd` < 0 is E_INVAL; `attach` 0 takes `fd` away from the line again.
 *
 * Thread: any. Errors: E_INVAL, E_STATE (no interrupt controller of the kernel), E_RANGE (no such
 * line), E_EXISTS, E_UNSUPPORTED (no kernel below, or one without it), E_SYS. Since: 0.1.
 */
HVCORE_API int hvcore_vm_irqfd(hvcore_vm *vm, uint32_t line, int fd, int resample, uint32_t attach,
                               hvcore_error *err);

/** A message-signalled interrupt. */
typedef struct hvcore_msi {
    uint32_t size;
    uint32_t data;
    uint64_t addr;   /**< of the doorbell; x86_64: 0xfee..... */
    uint32_t device; /**< arm64: the device's number, for an ITS */
    uint32_t reserved;
} hvcore_msi;

#ifndef HVCORE_CDEF
#define HVCORE_MSI_INIT {.size = sizeof(hvcore_msi)}
#endif

/**
 * kvm: send a message-signalled interrupt.
 *
 * Thread: any. Errors: E_INVAL, E_STATE (no interrupt controller of the kernel), E_UNSUPPORTED,
 * E_SYS. Since: 0.1.
 */
HVCORE_API int hvcore_vm_msi(hvcore_vm *vm, const hvcore_msi *msi, hvcore_error *err);

HVCORE_END
#endif
