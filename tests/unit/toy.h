/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toy: a backend whose guest is a script. enter() returns the events of a queue one after the
 * other; when the queue is empty the guest executes a program, a C function called once per
 * "instruction" (the default one does nothing, for ever). Every slot counts its calls and can be
 * made to fail, and every rule of x-backend.h that the core breaks is counted in toy.broken.
 */
#ifndef HVC_TESTS_TOY_H
#define HVC_TESTS_TOY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <hvcore/hvcore.h>
#include <hvcore/x-backend.h>

#include "tests/unit/unit.h"

enum toy_slot {
    TOY_VM_CREATE,
    TOY_VM_DESTROY,
    TOY_MEM_MAP,
    TOY_MEM_UNMAP,
    TOY_MEM_PROTECT,
    TOY_VCPU_CREATE,
    TOY_VCPU_DESTROY,
    TOY_ENTER,
    TOY_KICK,
    TOY_FLUSH,
    TOY_DETACH,
    TOY_SYS_LOAD,
    TOY_SYS_STORE,
    TOY_DELEGATE,
    TOY_SLOTS
};

typedef struct hvcore_bk_vcpu toy_vcpu;
typedef struct hvcore_bk_vm toy_vm;

/* One instruction: 0 goes on, 1 ends enter() with *event (ready as a trap at pc), < 0 fails. */
typedef int toy_program(toy_vcpu *v, void *user, hvcore_event *event);

typedef struct toy_piece {
    uint64_t gpa, len;
    uint8_t *host;
    uint32_t prot;
} toy_piece;

struct hvcore_bk_vm {
    pthread_mutex_t lock; /* of the pieces */
    toy_piece *pieces;
    size_t count, room;
    atomic_int entered, busy, vcpus;
    uint32_t lockstep;
    _Atomic uint64_t clock; /* lockstep: nanoseconds, one an instruction */
};

typedef struct toy_step {
    hvcore_event event;
    int code; /* not 0: enter() returns it */
} toy_step;

struct hvcore_bk_vcpu {
    toy_vm *vm;
    uint32_t index;
    hvcore_riscv64_frame frame;
    hvcore_riscv64_sys sys, hw; /* the view; what the "hardware" holds */
    hvcore_riscv64_fp fp;
    _Atomic uint64_t hedeleg; /* of the last delegate */
    pthread_mutex_t lock;     /* of the script */
    toy_step *steps;
    size_t next, count, room;
    toy_program *program;
    void *user;
    struct {
        uint64_t page;
        uint8_t *host;
    } tlb[4];          /* keeps stale entries until flush() */
    uint64_t entry_pc; /* frame.pc at the last enter() */
    atomic_int kicked, busy, in_guest;
    _Atomic uint64_t insns, delegated[64];
};

typedef struct toy_state {
    uint32_t caps, max_vcpus;
    uint64_t delegatable;
    atomic_int fail[TOY_SLOTS]; /* what the slot returns, while not 0 */
    atomic_ulong calls[TOY_SLOTS];
    atomic_ulong broken;
    const char *_Atomic rule; /* the last one that was broken */
    atomic_uint kick_ns;      /* how long the sender of a kick is busy with it */
    bool no_fp;               /* guests have no F and D */
    bool own_time;            /* time stands at `now`, and never passes by itself */
    _Atomic uint64_t now;
    void (*on_time)(void *user); /* called when the core asks for the time */
    void *on_time_user;
    hvcore_bk_region region; /* of the last mem_map */
    toy_vm *vm;              /* the last one made */
    toy_vcpu *vcpu[8];       /* the last one of each number */
} toy_state;

extern toy_state toy;
extern const hvcore_backend_ops toy_ops;

/* Forget failures, counts and broken rules; all capabilities. */
void toy_reset(void);

/* The script. */
void toy_push(toy_vcpu *v, const hvcore_event *event);
void toy_push_failure(toy_vcpu *v, int code);
size_t toy_left(toy_vcpu *v); /* events that the guest has not come to */
void toy_set_program(toy_vcpu *v, toy_program *program, void *user);

/* What the guest sees: 8 bytes at gpa through its TLB. False: nothing there. */
bool toy_read(toy_vcpu *v, uint64_t gpa, uint64_t *value);
/* The host address behind a page, as the backend was told; NULL if nothing is mapped. */
uint8_t *toy_lookup(toy_vm *vm, uint64_t gpa, uint32_t *prot);

/* Events. pc 0 means: where the guest is. */
hvcore_event toy_trap(uint32_t cause, uint32_t mode, uint64_t tval);
/* A guest-page fault (cause from the opcode) with its transformed instruction. */
hvcore_event toy_access(uint32_t htinst, uint64_t gpa);
uint32_t toy_load_insn(uint32_t funct3, uint32_t rd);
uint32_t toy_store_insn(uint32_t funct3, uint32_t rs2);

/* --- expectations ----------------------------------------------------------------------------- */
/* CUnit shows the expression only; these show the value too, a few times per place. Not for threads
 * beside the test's. */
static inline bool hvc_worth_a_line(int line)
{
    static unsigned char shown[4096];

    return shown[line & 4095]++ < 3;
}

static inline bool hvc_want(int line, const char *file, const char *what, long long got,
                            long long want)
{
    if (got != want && hvc_worth_a_line(line))
        printf("\n    %s:%d: %s is %lld, not %lld", file, line, what, got, want);
    return CU_assertImplementation(got == want, (unsigned)line, what, file, "", CU_FALSE);
}

/* A failure: the code (positive), and a record that says so in a sentence. */
static inline bool hvc_want_error(int line, const char *file, const char *what, int got, int want,
                                  const hvcore_error *e)
{
    size_t n = strnlen(e->message, sizeof e->message);
    bool sentence = n > 5 && n < sizeof e->message && !strchr(e->message, '\n') &&
                    (e->message[n - 1] == '.' || n == sizeof e->message - 1);

    if (e->code != got || e->domain < HVCORE_DOMAIN_CORE || e->domain > HVCORE_DOMAIN_HOST ||
        !sentence) {
        if (hvc_worth_a_line(line))
            printf("\n    %s:%d: %s: record has code %d, domain %u, message \"%.*s\"", file, line,
                   what, e->code, e->domain, (int)n, e->message);
        CU_assertImplementation(CU_FALSE, (unsigned)line, "error record", file, "", CU_FALSE);
    }
    return hvc_want(line, file, what, got, -want);
}

#define WANT(got, want) hvc_want(__LINE__, __FILE__, #got, (long long)(got), (long long)(want))
#define OK(call) WANT(call, 0)
/* `call` uses the error record `e` of the caller's scope. */
#define FAILS(call, want) \
    (e = (hvcore_error)HVCORE_ERROR_INIT, hvc_want_error(__LINE__, __FILE__, #call, call, want, &e))

#endif
