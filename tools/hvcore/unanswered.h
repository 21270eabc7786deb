/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest does that nobody answers: it is told so, as by hardware without such a thing, and
 * goes on. Each is said once. All return GO_ON or an enum cli_code. */
#ifndef UNANSWERED_H
#define UNANSWERED_H

#include "run.h"

int unanswered_mmio(struct hart *h, const hvcore_exit *e);
int unanswered_pio(struct hart *h, const hvcore_exit *e);
int unanswered_call(struct hart *h, const hvcore_exit *e);
int unanswered_sysreg(struct hart *h, const hvcore_exit *e);

/* arm64: an access that the hardware does not describe. */
int unanswered_abort(struct hart *h, const hvcore_exit *e);

#endif
