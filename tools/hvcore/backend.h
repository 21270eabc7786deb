/* SPDX-License-Identifier: Apache-2.0 */
/* What runs guests here. */
#ifndef BACKEND_H
#define BACKEND_H

#include "run.h"

/* "kvm", "bare/soft" */
enum { BACKEND_NAME = 40 };
const char *backend_name(char name[BACKEND_NAME], const hvcore_backend_info *info);

/* It is the hypervisor itself: no kernel is below that knows and counts. */
bool backend_is_library(const hvcore_backend_info *info);

/* A VM of this backend; NULL, with the library's sentence, if it cannot be used. */
hvcore_vm *backend_try(hvcore_ctx *ctx, const hvcore_backend_info *info, hvcore_error *err);

/* Steps of building a machine, an enum cli_code: what the guest is, by --arch or by its file, and
 * whether anything here runs that; then the VM. */
int backend_choose(struct machine *m);
int backend_make_vm(struct machine *m);

#endif
