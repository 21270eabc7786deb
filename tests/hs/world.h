/* SPDX-License-Identifier: Apache-2.0 */
/* A VM with a megabyte of memory at 0x80000000 and a guest in it: through the public API only. */
#ifndef HVC_TESTS_HS_WORLD_H
#define HVC_TESTS_HS_WORLD_H

#include <hvcore/hvcore.h>

#include "tests/guests/hs_guests.h"
#include "tests/hs/image.h"

#define WORLD_MEMORY UINT64_C(0x100000)
#define WORLD_DATA UINT64_C(0x80080000) /* memory that no guest's code is in; zero */
#define WORLD_MMIO UINT64_C(0x10000000) /* not mapped */
#define MS UINT64_C(1000000)
#define PATIENCE UINT64_C(20000) /* ms, for what takes no time: the machine may be busy */

enum { REG_S0 = 8, REG_S1 = 9, REG_A0 = 10, REG_S2 = 18 };

typedef struct world {
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_vcpu *vcpu[2];
    hvcore_error err;
    int rc;
    const hvcore_exit *exit; /* of the last world_run */
} world;

/* The first failure is the test's failure; false then. */
bool world_make(world *w, uint32_t vcpus, const char *blob, const char *blob_end);
void world_free(world *w);

/* With the guests of hs_guests.h. Inline: an image without them links world.c all the same. */
static inline bool world_guests(world *w, uint32_t vcpus)
{
    extern const char blob_hs_guests[], blob_hs_guests_end[];

    return world_make(w, vcpus, blob_hs_guests, blob_hs_guests_end);
}

/* vCPU `n` goes to `guest` of hs_guests.h with two arguments. */
void world_go(world *w, uint32_t n, uint32_t guest, uint64_t a0, uint64_t a1);
uint64_t world_x(world *w, uint32_t n, uint32_t x);
uint32_t world_word(world *w, uint64_t gpa);

/* Run here for at most `ms`; true if the reason is that one, else the test has failed. */
bool world_run(world *w, uint32_t n, uint64_t ms, uint32_t reason);

/* linux-guest, but `causes` (a set) are done that way. */
bool world_policy(world *w, uint64_t causes, uint32_t act);
hvcore_trap_counts world_counts(world *w, uint32_t n, uint32_t cls);

/* Run on the other hart, until an exit; detached afterwards. */
typedef struct remote {
    world *w;
    uint32_t n;
    uint64_t ms;
    int rc;
    hvcore_error err;
    hvcore_exit exit;
} remote;

void remote_start(remote *r, world *w, uint32_t n, uint64_t ms);
bool remote_end(remote *r, uint32_t reason);
/* remote_end after a cancel. */
bool remote_cancel(remote *r);

#endif
