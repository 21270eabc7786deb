/* SPDX-License-Identifier: Apache-2.0 */
/* The backends of an image in HS-mode. */
#include "lib/core/core.h"

extern const hvcore_backend_ops hvc_bare_hs_riscv64_ops;

const hvcore_backend_ops *const hvc_builtin_backends[] = {&hvc_bare_hs_riscv64_ops, NULL};
