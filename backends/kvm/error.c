/* SPDX-License-Identifier: Apache-2.0 */
/* System calls of the kvm backend, and the sentences about those that fail. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <string.h>
#include <sys/ioctl.h>

#include "backends/kvm/kvm.h"

/* A signal of the host's ends some of them (KVM_CREATE_VM) before they have done anything. */
enum { TRIES = 64 };

int hvc_kvm_ioctl(int fd, unsigned long request, void *arg)
{
    int rc, tries = TRIES;
    do {
        rc = ioctl(fd, request, arg);
    } while (rc < 0 && errno == EINTR && --tries);
    return rc;
}

int hvc_kvm_ioctl_value(int fd, unsigned long request, unsigned long arg)
{
    int rc, tries = TRIES;
    do {
        rc = ioctl(fd, request, arg);
    } while (rc < 0 && errno == EINTR && --tries);
    return rc;
}

int hvc_kvm_cap(int fd, int cap)
{
    int value = hvc_kvm_ioctl_value(fd, KVM_CHECK_EXTENSION, (unsigned long)cap);
    return value > 0 ? value : 0;
}

int hvc_kvm_ask(int fd, int cap, hvcore_error *err)
{
    int value = hvc_kvm_ioctl_value(fd, KVM_CHECK_EXTENSION, (unsigned long)cap);
    return value < 0 ? hvc_kvm_fail(err, "KVM_CHECK_EXTENSION") : value;
}

int hvc_kvm_enable(int fd, uint32_t cap, uint64_t arg)
{
    struct kvm_enable_cap enable = {.cap = cap, .args = {arg}};
    return hvc_kvm_ioctl(fd, KVM_ENABLE_CAP, &enable);
}

int hvc_kvm_attr(int fd, uint32_t group, uint64_t attr, const void *value)
{
    struct kvm_device_attr a = {.group = group, .attr = attr, .addr = hvc_kvm_address(value)};
    return hvc_kvm_ioctl(fd, KVM_SET_DEVICE_ATTR, &a);
}

/* ---- what to do ------------------------------------------------------------------------------ */

/* The first row that fits; call NULL: any. */
static const struct advice {
    const char *call;
    int error;
    const char *what;
} advices[] = {
    {"open of /dev/kvm", ENOENT,
     "Load the module kvm (x86_64: kvm_intel or kvm_amd), or switch virtualization on in the "
     "firmware; the backend \"bare\" needs neither"},
    {"open of /dev/kvm", EACCES, "Add the user to the group that owns /dev/kvm"},
    {"open of /dev/kvm", EPERM, "Give the container the device /dev/kvm"},
    {"open of /dev/kvm", ENODEV,
     "The hardware has no virtualization, or another hypervisor uses it"},
    {"open of /dev/kvm", EBUSY, "Another hypervisor uses the processor's virtualization"},
    {"KVM_GET_API_VERSION", ENOTTY, "/dev/kvm is another device, or no device at all"},
    {"KVM_CREATE_VM", EBUSY, "Another hypervisor uses the processor's virtualization"},
    {"KVM_CREATE_VM", EINVAL, "The kernel does not make VMs of this kind"},
    {"KVM_CREATE_VCPU", EBUSY, "Make all vCPUs before the interrupt controller"},
    {"KVM_CREATE_VCPU", EEXIST, "KVM gives a number once in the life of a VM: take another one"},
    {"KVM_SET_USER_MEMORY_REGION", EEXIST, "The range overlaps one that is mapped"},
    {"KVM_SET_USER_MEMORY_REGION", EFAULT, "The range ends past the guest's address space"},
    {"KVM_SET_USER_MEMORY_REGION", EINVAL,
     "The range ends past the guest's address space, or the host's memory there is not to be "
     "written"},
    {"KVM_RUN", ENOSYS,
     "The guest made an access that the hardware does not describe, and this kernel lacks "
     "KVM_CAP_ARM_NISV_TO_USER"},
    {"KVM_RUN", EPERM, "A feature of the vCPU has not been finalized"},
    {"KVM_RUN", EAGAIN, "The vCPU does not become runnable"},
    {NULL, EIO,
     "A VM lives and dies with the process that made it: after fork() only the parent "
     "may use it"},
    {NULL, EINTR, "Signals come faster than it can end: find out who sends them"},
    {NULL, EMFILE, "Raise the limit of open files (RLIMIT_NOFILE)"},
    {NULL, ENFILE, "Raise the system's limit of open files (fs.file-max)"},
    {NULL, ENOMEM, "Free memory, or give the guest less"},
    {NULL, ENOTTY, "This kernel is too old, or built without it"},
    {NULL, ENOSYS, "This kernel is too old, or built without it"},
};

static const char *advice(const char *call, int error)
{
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
        const struct advice *a = &advices[i];
        if (a->error == error && (!a->call || !strcmp(a->call, call))) {
            return a->what;
        }
    }
    return "The kernel's log may say more";
}

static int code_of(int error)
{
    static const struct {
        int error, code;
    } codes[] = {
        {ENOMEM, HVCORE_E_NOMEM}, {EEXIST, HVCORE_E_EXISTS},      {EMFILE, HVCORE_E_LIMIT},
        {ENFILE, HVCORE_E_LIMIT}, {ENOTTY, HVCORE_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].error == error) {
            return codes[i].code;
        }
    }
    return HVCORE_E_SYS;
}

static int fail(hvcore_error *err, const char *call, int error)
{
    const char *name = strerrorname_np(error), *text = strerrordesc_np(error);
    int rc = hvc_fail(err, code_of(error), HVCORE_DOMAIN_KVM, "%s failed: %s (%s). %s.", call,
                      text ? text : "unknown error", name ? name : "no name", advice(call, error));
    if (hvc_error_usable(err)) {
        err->sys_errno = error;
    }
    return rc;
}

int hvc_kvm_fail(hvcore_error *err, const char *call)
{
    return fail(err, call, errno);
}

int hvc_kvm_failed(bk_vcpu *v, const char *call)
{
    v->failed = call;
    v->failed_errno = errno;
    return -code_of(errno);
}

void hvc_kvm_why(bk_vcpu *v, hvcore_error *err)
{
    if (v->failed) {
        fail(err, v->failed, v->failed_errno);
    }
}

int hvc_kvm_reg_code(bk_vcpu *v, const char *call)
{
    if (errno == ENOENT) {
        return -HVCORE_E_NOTFOUND;
    }
    return errno == EINVAL ? -HVCORE_E_INVAL : hvc_kvm_failed(v, call);
}
