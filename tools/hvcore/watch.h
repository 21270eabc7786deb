/* SPDX-License-Identifier: Apache-2.0 */
/* The policy file of a run, which may change while the guest runs. */
#ifndef WATCH_H
#define WATCH_H

#include "cli.h"

struct watch;

/* Reads the file for the first time. If it is `live`, begins to watch it before that, so that no
 * change is missed. Returns an enum cli_code; watch_close() in any case. */
int watch_open(const char *path, bool live, struct watch **watch);
void watch_close(struct watch *watch);

/* The text as last read. */
const struct policy_text *watch_text(const struct watch *watch);

/* Readable when something may have changed; -1 if the file is not live. */
int watch_fd(const struct watch *watch);

/* Takes the events that have come; false if there will be no more. */
bool watch_drain(struct watch *watch);

/* Reads the file again and applies it if it differs; one line on stderr says what came of it. */
void watch_apply(struct watch *watch, hvcore_vm *vm);

#endif
