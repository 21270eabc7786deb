/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ground: what hvcore needs from whatever is below it. Two implementations: posix (hosted) and
 * metal (an image without an operating system). Everything in lib/ and backends/bare includes this
 * and nothing of the host.
 */
#ifndef HVC_HOST_H
#define HVC_HOST_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HVC_FOREVER UINT64_MAX

/* Zeroed memory, aligned to 16 bytes; NULL if there is none. free(NULL) does nothing. */
void *hvc_host_alloc(size_t size);
void hvc_host_free(void *p);

/*
 * Guest memory: zeroed, page-aligned, in units of pages. `fd` is in/out: -1 anonymous; -2 asks for
 * a shareable object and receives its descriptor (to be given to gmem_free); >= 0 maps that file
 * from `offset`. Returns 0 or -HVCORE_E_* with *sys_errno.
 */
int hvc_host_gmem_map(uint64_t len, int *fd, uint64_t offset, void **p, int *sys_errno);
void hvc_host_gmem_unmap(void *p, uint64_t len, int fd);

/* A lock that a thread takes once; never held across callbacks or guest code. Zeroed is unlocked.
 */
typedef struct hvc_lock {
    _Atomic uint32_t word; /* 0 free, 1 taken, 2 taken and somebody waits */
} hvc_lock;
void hvc_host_lock(hvc_lock *lock);
void hvc_host_unlock(hvc_lock *lock);

/*
 * park: sleep while *word == expected, until `until` (hvc_host_now(), HVC_FOREVER: no limit); may
 * return early for no reason. unpark: wake all that park on word; async-signal-safe.
 */
void hvc_host_park(_Atomic uint32_t *word, uint32_t expected, uint64_t until);
void hvc_host_unpark(_Atomic uint32_t *word);

/* Monotonic time in nanoseconds; async-signal-safe. */
uint64_t hvc_host_now(void);

/* A number for the CPU that runs this thread, stable while the thread is pinned to it (metal: the
 * index of the hart that the image gave; posix: always 0). */
uint32_t hvc_host_cpu(void);

/* Bounded formatting of %s %u %d %x %llu %llx %zu %c %% with widths; the result always ends in NUL.
 * One implementation for all grounds (lib/host/format.c): freestanding. */
int hvc_format(char *out, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int hvc_vformat(char *out, size_t size, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

#endif
