/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kvm backend: what its files share.
 *
 * Common: error.c (what failed, what to do), vm.c, memory.c (slots, dirty logs), vcpu.c (life,
 * registers), enter.c (KVM_RUN, kick, deadline), exits.c (struct kvm_run -> event), wire.c (irqfd,
 * ioeventfd, MSI, statistics), ops.c (the table). One file an architecture: x86_64.c, arm64.c,
 * riscv64.c, which define the hvc_kvm_arch_ functions; the one of the host is built.
 */
#ifndef HVC_KVM_H
#define HVC_KVM_H

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include <hvcore/x-backend.h>

#include "backends/kvm/uapi.h"
#include "lib/core/error.h"
#include "lib/host/host.h"

typedef struct hvcore_bk_vm bk_vm;
typedef struct hvcore_bk_vcpu bk_vcpu;

/* What an architecture keeps of a VM and of a vCPU. */
#if defined(__x86_64__)
#include "backends/kvm/x86_64.h"
enum { hvc_kvm_arch = HVCORE_ARCH_X86_64 };
#elif defined(__aarch64__)
#include "backends/kvm/arm64.h"
enum { hvc_kvm_arch = HVCORE_ARCH_ARM64 };
#elif defined(__riscv)
#include "backends/kvm/riscv64.h"
enum { hvc_kvm_arch = HVCORE_ARCH_RISCV64 };
#endif

/* A memory slot of KVM; `len` 0: free. */
typedef struct hvc_kvm_slot {
    uint64_t gpa, len;
    uint32_t prot, dirty;
    char *host;
    uint64_t *log; /* with dirty: bits that the kernel has told, or the library has written */
} hvc_kvm_slot;

struct hvcore_bk_vm {
    int sys; /* /dev/kvm */
    int fd;
    int pid; /* of the process that made it: KVM knows no other */
    int kick_signal;
    bool handled; /* HVCORE_CTX_KICK_HANDLED */
    bool readonly;
    _Atomic bool has_run;
    size_t run_size; /* bytes of struct kvm_run and its pages */
    uint32_t slots;  /* that the kernel has */
    uint32_t count;  /* entries of slot; the index is the slot's number */
    hvc_kvm_slot *slot;
    uint32_t lines; /* input lines of the kernel's interrupt controller; 0: it has none */
    uint32_t max_vcpus, vcpus;
    bk_vcpu *first;
    bk_vcpu *spare; /* made by the kernel, then something failed: the number is not lost */
    hvc_kvm_arch_vm arch;
};

/* enter.c: bits of hvcore_bk_vcpu.gate */
enum hvc_kvm_gate {
    HVC_KVM_INSIDE = 1, /* the thread `tid` is in, or on its way to, KVM_RUN */
    HVC_KVM_SENT = 2,   /* a kick has sent the signal to it */
    HVC_KVM_KICKER = 4  /* one for each kick that is under way */
};

/* A thread that runs vCPUs; `since` when it began to, in nanoseconds. */
typedef struct hvc_kvm_thread {
    int tid;
    uint64_t since;
} hvc_kvm_thread;

struct hvcore_bk_vcpu {
    bk_vm *vm;
    bk_vcpu *next;
    uint32_t index;
    int fd;
    struct kvm_run *run;

    _Atomic uint32_t gate;
    int tid;                 /* valid while INSIDE */
    hvc_kvm_thread mask_of;  /* whose mask KVM_SET_SIGNAL_MASK was made from */
    hvc_kvm_thread timer_of; /* whom `timer` signals; tid 0: there is no timer */
    timer_t timer;
    uint64_t timer_ns; /* what it is set to; 0: it is not */

    uint32_t unread; /* 1: settle() has brought a new exit that enter() has not looked at */
    uint32_t busy;   /* KVM_RUNs in a row that ended for nothing */
    uint64_t busy_since;
    uint32_t mmio_at; /* of an MMIO exit: bytes that enter() has handed out */
    hvcore_bk_exit last;
    const char *failed; /* the call that failed last */
    int failed_errno;
    hvc_kvm_arch_vcpu arch;
};

/* ---- error.c --------------------------------------------------------------------------------- */

/* ioctl that an ordinary signal does not end (bounded); -1 and errno. */
int hvc_kvm_ioctl(int fd, unsigned long request, void *arg);
int hvc_kvm_ioctl_value(int fd, unsigned long request, unsigned long arg);
/* An argument's address is a number here and there. */
static inline uint64_t hvc_kvm_address(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}
/* The call `name` (KVM_CREATE_VM, open of /dev/kvm, ...) failed with errno: fills err, returns
 * -HVCORE_E_*. */
int hvc_kvm_fail(hvcore_error *err, const char *name);
/* The same for a vCPU whose caller asks for the sentence later (hvcore_bk_kernel_ops.why). */
int hvc_kvm_failed(bk_vcpu *v, const char *name);
void hvc_kvm_why(bk_vcpu *v, hvcore_error *err);
/* The value of a capability of the VM (sys: of the system); 0: the kernel lacks it. */
int hvc_kvm_cap(int fd, int cap);
/* The same where it matters that the kernel cannot be asked: -HVCORE_E_*, fills err. */
int hvc_kvm_ask(int fd, int cap, hvcore_error *err);
/* KVM_ENABLE_CAP on a VM or vCPU with one argument; -1 and errno. */
int hvc_kvm_enable(int fd, uint32_t cap, uint64_t arg);
/* Device attributes (KVM_SET_DEVICE_ATTR); `value` is the address of the data. -1 and errno. */
int hvc_kvm_attr(int fd, uint32_t group, uint64_t attr, const void *value);

/* ---- the parts ------------------------------------------------------------------------------- */

int hvc_kvm_open(hvcore_error *err); /* /dev/kvm, checked; the descriptor or -HVCORE_E_* */
int hvc_kvm_vm_create(const hvcore_vm_opts *opts, const hvcore_ctx_opts *ctx, bk_vm **vm,
                      hvcore_error *err);
void hvc_kvm_vm_destroy(bk_vm *vm);

int hvc_kvm_map(bk_vm *vm, const hvcore_bk_region *region, hvcore_error *err);
int hvc_kvm_unmap(bk_vm *vm, uint64_t gpa, uint64_t len, hvcore_error *err);
int hvc_kvm_protect(bk_vm *vm, uint64_t gpa, uint64_t len, uint32_t prot, hvcore_error *err);
void hvc_kvm_written(bk_vm *vm, const void *host, uint64_t len);
int hvc_kvm_dirty(bk_vm *vm, uint64_t gpa, uint64_t len, uint8_t *bitmap, uint32_t flags,
                  hvcore_error *err);
void hvc_kvm_memory_drop(bk_vm *vm);

int hvc_kvm_vcpu_create(bk_vm *vm, uint32_t index, uint32_t flags, bk_vcpu **vcpu,
                        hvcore_error *err);
void hvc_kvm_vcpu_destroy(bk_vcpu *v);
void hvc_kvm_spares_drop(bk_vm *vm);
int hvc_kvm_get_one(bk_vcpu *v, uint64_t id, void *value); /* -1 and errno */
int hvc_kvm_set_one(bk_vcpu *v, uint64_t id, const void *value);
/* What a failed register access says: the errno as -HVCORE_E_*, remembered for why(). */
int hvc_kvm_reg_code(bk_vcpu *v, const char *name);

int hvc_kvm_enter(bk_vcpu *v, const hvcore_bk_limits *limits, hvcore_event *event);
void hvc_kvm_kick(bk_vcpu *v);
int hvc_kvm_detach(bk_vcpu *v);
int hvc_kvm_settle(bk_vcpu *v);
void hvc_kvm_timer_drop(bk_vcpu *v);

/* struct kvm_run -> event and v->last; 0 or -HVCORE_E_*. */
int hvc_kvm_exit(bk_vcpu *v, hvcore_event *event);
/* Has the exit more to ask, without KVM_RUN? */
bool hvc_kvm_more(bk_vcpu *v);
int hvc_kvm_answer(bk_vcpu *v, const uint64_t value[HVCORE_BK_ANSWERS]);
/* A little-endian number of 1 to 8 bytes. */
uint64_t hvc_kvm_load(const void *at, uint32_t width);
void hvc_kvm_store(void *at, uint64_t value, uint32_t width);
/* Member of kvm_run's union that the build machine's header may not have. */
static inline const void *hvc_kvm_union(const bk_vcpu *v)
{
    return (const char *)v->run + HVC_KVM_RUN_UNION;
}

int hvc_kvm_irqfd(bk_vm *vm, uint32_t line, int fd, int resample, uint32_t attach,
                  hvcore_error *err);
int hvc_kvm_msi(bk_vm *vm, const hvcore_msi *msi, hvcore_error *err);
int hvc_kvm_ioevent(bk_vm *vm, const hvcore_ioevent *event, hvcore_error *err);
int hvc_kvm_stat(bk_vm *vm, bk_vcpu *v, uint32_t index, hvcore_kernel_stat *stat,
                 hvcore_error *err);
/* A duty's source and sentence, with the kernel's release. */
int hvc_kvm_duty(bk_vm *vm, uint32_t duty, hvcore_duty_info *info, hvcore_error *err);
/* Any vCPU of the VM; NULL: there is none. */
bk_vcpu *hvc_kvm_some_vcpu(bk_vm *vm);

/* ---- what an architecture defines ------------------------------------------------------------ */

/* HVCORE_CAP_* beside the common ones, and info's other fields. `sys`: /dev/kvm. */
void hvc_kvm_arch_info(int sys, hvcore_backend_info *info);
/* The argument of KVM_CREATE_VM, and what has to be there. 0 or an error. */
int hvc_kvm_arch_type(int sys, const hvcore_vm_opts *opts, unsigned long *type, hvcore_error *err);
/* What it keeps of a VM goes; the VM's descriptor is still open. */
void hvc_kvm_arch_drop(bk_vm *vm);
/* After KVM_CREATE_VM, before any vCPU. */
int hvc_kvm_arch_vm_init(bk_vm *vm, const hvcore_vm_opts *opts, hvcore_error *err);
/* Before KVM_CREATE_VCPU, which is for ever: can there be such a vCPU? */
int hvc_kvm_arch_vcpu_flags(const bk_vm *vm, uint32_t flags, hvcore_error *err);
/* After KVM_CREATE_VCPU; v->run is mapped. */
int hvc_kvm_arch_vcpu_init(bk_vcpu *v, uint32_t flags, hvcore_error *err);
/* Before each KVM_RUN: interrupt inputs that have changed. 0 or an error (hvc_kvm_failed). */
int hvc_kvm_arch_enter(bk_vcpu *v);
/* What is free to know after an exit (x86_64: pc). */
void hvc_kvm_arch_seen(bk_vcpu *v, hvcore_event *event);
/* An exit that the common table does not have; false: neither has this architecture. *rc: 0 or an
 * error. event is zero but for size and origin; kind has to be filled. */
bool hvc_kvm_arch_exit(bk_vcpu *v, hvcore_event *event, int *rc);
/* The answer to a CALL, SYSREG or PIO. */
int hvc_kvm_arch_answer(bk_vcpu *v, const uint64_t value[HVCORE_BK_ANSWERS]);
/* More of the same exit without KVM_RUN (x86_64: the next item of a string instruction). */
bool hvc_kvm_arch_more(bk_vcpu *v);
int hvc_kvm_arch_deny(bk_vcpu *v, hvcore_error *err);
int hvc_kvm_arch_reg_get(bk_vcpu *v, hvcore_reg reg, void *value);
int hvc_kvm_arch_reg_set(bk_vcpu *v, hvcore_reg reg, const void *value);
int hvc_kvm_arch_inject(bk_vcpu *v, const hvcore_inject *what, hvcore_error *err);
int hvc_kvm_arch_debug(bk_vcpu *v, const hvcore_debug_opts *opts, hvcore_error *err);
int hvc_kvm_arch_vcpu_irq(bk_vcpu *v, uint32_t irq, uint32_t level);
int hvc_kvm_arch_irqchip(bk_vm *vm, const hvcore_irqchip_opts *opts, hvcore_error *err);
/* The number of input line `line` for KVM_IRQ_LINE and for irqfd; line is below vm->lines. */
uint32_t hvc_kvm_arch_irq_line(uint32_t line);
uint32_t hvc_kvm_arch_gsi(uint32_t line);
/* Is this an input line? */
bool hvc_kvm_arch_is_line(const bk_vm *vm, uint32_t line);
/* Fill source, can_hide and why; size, duty and release are there. */
int hvc_kvm_arch_duty(bk_vm *vm, uint32_t duty, hvcore_duty_info *info, hvcore_error *err);
int hvc_kvm_arch_hide(bk_vm *vm, uint32_t duty, hvcore_error *err);

#endif
