/* SPDX-License-Identifier: Apache-2.0 */
/* The machine that `hvcore run` builds, as its files share it. */
#ifndef RUN_H
#define RUN_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include <hvcore/fixup/storm.h>

#include "cli.h"
#include "watch.h"

struct machine;

struct hart {
    struct machine *machine;
    hvcore_vcpu *vcpu;
    pthread_t thread; /* of harts 1, 2, ...; hart 0 is run by main's */
    uint32_t index;
    bool started;
    hvcore_storm_state unanswered; /* accesses that nobody answers */
};

struct machine {
    const struct run_options *options;
    hvcore_ctx *ctx;
    hvcore_mem *mem;
    hvcore_vm *vm;
    struct watch *policy; /* or NULL: the built-in one */
    struct hart *hart;
    uint32_t count; /* of harts that exist */
    uint32_t caps;  /* HVCORE_CAP_* of the backend */
    uint64_t entry;
    bool compressed; /* says the ELF file of its instructions */
    uint64_t deadline_ns;
    _Atomic int verdict;     /* enum cli_code of the hart that ended the run, or UNDECIDED */
    _Atomic uint32_t said;   /* what has been said once, enum said */
    _Atomic uint32_t halted; /* harts that wait for ever */
};

enum { SIDE_STOP, SIDE_SIGNAL, SIDE_WATCH, SIDE_FDS };
enum { UNDECIDED = -1 };
enum said { SAID_LOAD = 1, SAID_STORE = 2, SAID_CALL = 4 };

/* --- exits.c: runs a hart to its end; returns an enum cli_code, or UNDECIDED if this hart does not
 * end the run --- */
int hart_run(struct hart *h);

/* --- cancel.c: SIGINT and SIGTERM; also how one hart ends the others --- */
int cancel_open(const struct machine *m);
void cancel_close(void);
int cancel_signal(void);
void cancel_all(const struct machine *m);

/* --- stats.c --- */
void stats_print(FILE *out, const struct machine *m);

/* --- side.c: the thread beside the harts: SIGUSR1 and --policy-watch --- */
struct side {
    struct machine *machine;
    struct pollfd fds[SIDE_FDS];
    pthread_t thread;
};
int side_start(struct side *side, struct machine *m);
void side_stop(struct side *side);

#endif
