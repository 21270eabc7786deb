/* SPDX-License-Identifier: Apache-2.0 */
/* The backends of the hosted library. */
#include "lib/core/core.h"

extern const hvcore_backend_ops hvc_bare_soft_riscv64_ops;

const hvcore_backend_ops *const hvc_builtin_backends[] = {&hvc_bare_soft_riscv64_ops, NULL};
