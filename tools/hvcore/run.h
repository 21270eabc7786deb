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
struct board;
struct arch;

struct hart {
    struct machine *machine;
    hvcore_vcpu *vcpu;
    uint64_t id;      /* what it calls itself, and a device tree calls it */
    pthread_t thread; /* of harts 1, 2, ...; hart 0 is run by main's */
    uint32_t index;
    bool started;
    hvcore_storm_state unanswered; /* accesses that nobody answers */
};

struct machine {
    const struct run_options *options;
    const struct arch *arch;
    hvcore_ctx *ctx;
    hvcore_mem *mem;
    hvcore_vm *vm;
    struct watch *policy; /* or NULL: the built-in one */
    struct board *board;  /* or NULL: an ELF guest without devices */
    struct hart *hart;    /* processors, whatever the architecture calls them */
    uint32_t count;       /* of harts that exist */
    hvcore_backend_info backend;
    uint32_t bits;       /* of an ELF guest: 32, 64 */
    uint64_t entry, arg; /* pc and argument of the first hart, or of all of an ELF guest */
    uint64_t deadline_ns, begin_ns;
    _Atomic int verdict;     /* enum cli_code of the hart that ended the run, or UNDECIDED */
    _Atomic uint32_t said;   /* what has been said once, enum said */
    _Atomic uint32_t halted; /* harts that wait for ever */
};

enum { SIDE_STOP, SIDE_SIGNAL, SIDE_WATCH, SIDE_INPUT, SIDE_WAKE, SIDE_FDS };
enum { UNDECIDED = -1 };
enum said {
    SAID_LOAD = 1,
    SAID_STORE = 2,
    SAID_CALL = 4,
    SAID_PORT = 8,
    SAID_REGISTER = 16,
    SAID_TRAP = 32
};

/* --- run.c: the first verdict counts; it ends all harts --- */
void machine_decide(struct machine *m, int code);

/* --- exits.c: both return an enum cli_code, or UNDECIDED if this hart does not end the run; the
 * first one also GO_ON, if it is to be run again --- */
enum { GO_ON = -2 };
int exit_handle(struct hart *h, const hvcore_exit *e);
int hart_run(struct hart *h);

/* --- lockstep.c: runs all harts to their end in this thread; an enum cli_code --- */
int lockstep_run(struct machine *m);

/* --- console.c: what the guest writes; returns when it is out, or when the run is over --- */
void console_write(struct machine *m, const char *bytes, size_t len);

/* --- terminal.c: what is typed goes to the guest as it is --- */
void terminal_open(void);
void terminal_close(void);

/* --- cancel.c: SIGINT and SIGTERM; also how one hart ends the others --- */
int cancel_open(const struct machine *m);
void cancel_close(void);
int cancel_signal(void);
void cancel_all(const struct machine *m);

/* --- stats.c --- */
void stats_print(FILE *out, const struct machine *m);
void stats_sum(const struct machine *m);

/* --- side.c: the thread beside the harts: SIGUSR1, --policy-watch, stdin --- */
struct side {
    struct machine *machine;
    struct pollfd fds[SIDE_FDS];
    pthread_t thread;
};
int side_start(struct side *side, struct machine *m);
void side_stop(struct side *side);

#endif
