/* SPDX-License-Identifier: Apache-2.0 */
/* The backends of the hosted library, in order of preference. */
#include "lib/core/core.h"

extern const hvcore_backend_ops hvc_bare_soft_riscv64_ops;
#ifdef HVC_HAVE_KVM
extern const hvcore_backend_ops hvc_kvm_ops;
#endif

const hvcore_backend_ops *const hvc_builtin_backends[] = {
#ifdef HVC_HAVE_KVM
    &hvc_kvm_ops,
#endif
    &hvc_bare_soft_riscv64_ops,
    NULL,
};
