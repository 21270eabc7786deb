/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RISC-V walker and hvcore_redirect behind a line protocol, for diff_riscv.py. A request is one
 * line of words, all numbers hexadecimal:
 *
 *     walk va=N access=N vsatp=N hgatp=N vsstatus=N sstatus=N henvcfg=N menvcfg=N mode=N flags=N
 *          @ADDRESS=WORD ... !ADDRESS=0 ...        (memory; addresses that nobody may access)
 *     redirect vsstatus=N vsepc=N vscause=N vstval=N vstvec=N pc=N sstatus=N hstatus=N henvcfg=N
 *          cause=N tval=N epc=N
 *
 * The answer is one line too:
 *
 *     gpa=N pa=N writes=ADDRESS:WORD,...     or     cause=N htval=N htinst=N writes=...
 *     kind=N arg=N addr=N and the registers above
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hvcore/fixup/redirect.h>
#include <hvcore/walk/riscv64.h>

enum { WORDS = 4096 };

typedef struct word {
    uint64_t at, value;
    int denied;
} word;

static word words[WORDS];
static word written[WORDS];
static size_t count, writes;

static word *find(uint64_t at)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i].at == at) {
            return &words[i];
        }
    }
    return NULL;
}

static int read64(void *user, uint64_t pa, uint64_t *value)
{
    word *w = find(pa);

    (void)user;
    *value = w ? w->value : 0;
    return w && w->denied;
}

static int cas64(void *user, uint64_t pa, uint64_t expected, uint64_t desired)
{
    word *w = find(pa);

    (void)user;
    if (!w || w->denied) {
        return 2;
    }
    if (w->value != expected) {
        return 1;
    }
    w->value = desired;
    written[writes++ % WORDS] = *w;
    return 0;
}

static int check(void *user, uint64_t pa, uint32_t access)
{
    word *w = find(pa);

    (void)user, (void)access;
    return w && w->denied;
}

/* --- requests --------------------------------------------------------------------------------- */

typedef struct request {
    const char *name[32];
    uint64_t value[32];
    size_t n;
} request;

static void put(request *q, const char *name, uint64_t value)
{
    if (*name == '@' || *name == '!') {
        uint64_t at = strtoull(name + 1, NULL, 16);

        if (count < WORDS && !find(at)) {
            words[count++] = (word){.at = at};
        }
        find(at)->denied |= *name == '!';
        find(at)->value = *name == '@' ? value : find(at)->value;
    } else if (q->n < 32) {
        q->name[q->n] = name;
        q->value[q->n++] = value;
    }
}

static uint64_t get(const request *q, const char *name)
{
    for (size_t i = 0; i < q->n; i++) {
        if (strcmp(q->name[i], name) == 0) {
            return q->value[i];
        }
    }
    fprintf(stderr, "riscv_driver: no %s\n", name);
    exit(2);
}

static void walk(const request *q)
{
    const hvcore_riscv64_walk_mem mem = {NULL, read64, cas64, check};
    const hvcore_riscv64_walk_regs regs = {
        .vsatp = get(q, "vsatp"),
        .hgatp = get(q, "hgatp"),
        .vsstatus = get(q, "vsstatus"),
        .sstatus = get(q, "sstatus"),
        .henvcfg = get(q, "henvcfg"),
        .menvcfg = get(q, "menvcfg"),
        .mode = (uint32_t)get(q, "mode"),
        .flags = (uint32_t)get(q, "flags"),
    };
    hvcore_riscv64_walk_result out;

    hvcore_riscv64_walk(&regs, &mem, get(q, "va"), (uint32_t)get(q, "access"), &out);
    if (out.fault) {
        printf("cause=%x htval=%" PRIx64 " htinst=%" PRIx64, out.cause, out.htval, out.htinst);
    } else {
        printf("gpa=%" PRIx64 " pa=%" PRIx64, out.gpa, out.pa);
    }
    printf(" writes=");
    for (size_t i = 0; i < writes; i++) {
        printf("%" PRIx64 ":%" PRIx64 ",", written[i].at, written[i].value);
    }
    printf("\n");
}

static void redirect(const request *q)
{
    hvcore_riscv64_frame frame = {
        .pc = get(q, "pc"), .sstatus = get(q, "sstatus"), .hstatus = get(q, "hstatus")};
    hvcore_riscv64_sys sys = {.have = UINT64_MAX,
                              .vsstatus = get(q, "vsstatus"),
                              .vstvec = get(q, "vstvec"),
                              .vsepc = get(q, "vsepc"),
                              .vscause = get(q, "vscause"),
                              .vstval = get(q, "vstval"),
                              .henvcfg = get(q, "henvcfg")};
    hvcore_event event = {.syndrome = get(q, "cause"), .tval = get(q, "tval"), .pc = get(q, "epc")};
    static hvcore_riscv64_state state;
    hvcore_result r = hvcore_redirect(&frame, &sys, &event, &state);

    printf("kind=%x arg=%x addr=%" PRIx64 " vsstatus=%" PRIx64 " vsepc=%" PRIx64, r.kind, r.arg,
           r.addr, sys.vsstatus, sys.vsepc);
    printf(" vscause=%" PRIx64 " vstval=%" PRIx64 " vstvec=%" PRIx64 " pc=%" PRIx64, sys.vscause,
           sys.vstval, sys.vstvec, frame.pc);
    printf(" sstatus=%" PRIx64 " hstatus=%" PRIx64 "\n", frame.sstatus, frame.hstatus);
}

int main(void)
{
    static char line[1 << 20];

    while (fgets(line, sizeof line, stdin)) {
        char *what = strtok(line, " \n");
        request q = {.n = 0};

        count = writes = 0;
        for (char *w; (w = strtok(NULL, " \n"));) {
            char *value = strchr(w, '=');

            if (value) {
                *value++ = 0;
                put(&q, w, strtoull(value, NULL, 16));
            }
        }
        if (what && strcmp(what, "walk") == 0) {
            walk(&q);
        } else {
            redirect(&q);
        }
    }
    return 0;
}
