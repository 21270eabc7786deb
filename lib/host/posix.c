/* SPDX-License-Identifier: Apache-2.0 */
/* The ground on Linux: memory by mmap, waiting by futex. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "lib/host/host.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <hvcore/error.h>

void *hvc_host_alloc(size_t size)
{
    return calloc(1, size ? size : 1);
}

void hvc_host_free(void *p)
{
    free(p);
}

static int failed(int *sys_errno)
{
    *sys_errno = errno;
    return errno == ENOMEM ? -HVCORE_E_NOMEM : -HVCORE_E_SYS;
}

/* A file may shrink later; touching what is gone is SIGBUS, so at least the start must be right. */
static int check_file(int fd, uint64_t offset, uint64_t len, int *sys_errno)
{
    struct stat st;
    if (fstat(fd, &st)) {
        return failed(sys_errno);
    }
    uint64_t end = st.st_size > 0 ? (uint64_t)st.st_size : 0;
    return offset <= end && len <= end - offset ? 0 : -HVCORE_E_RANGE;
}

static int new_shared(uint64_t len, int *fd, int *sys_errno)
{
    *fd = memfd_create("hvcore-guest", MFD_CLOEXEC);
    if (*fd < 0) {
        return failed(sys_errno);
    }
    if (len > INT64_MAX || ftruncate(*fd, (off_t)len)) {
        int rc = failed(sys_errno);
        close(*fd);
        return rc;
    }
    return 0;
}

int hvc_host_gmem_map(uint64_t len, int *fd, uint64_t offset, void **p, int *sys_errno)
{
    int made = *fd == -2, rc = 0, flags = MAP_SHARED;
    *sys_errno = 0;
    if (made) {
        rc = new_shared(len, fd, sys_errno);
    } else if (*fd >= 0) {
        rc = check_file(*fd, offset, len, sys_errno);
    } else {
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    }
    if (rc) {
        return rc;
    }
    *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, *fd, (off_t)offset);
    if (*p == MAP_FAILED) {
        rc = failed(sys_errno);
        if (made) {
            close(*fd);
        }
    }
    return rc;
}

void hvc_host_gmem_unmap(void *p, uint64_t len, int fd)
{
    munmap(p, len);
    if (fd >= 0) {
        close(fd);
    }
}

static long futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *until)
{
    return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, until, NULL,
                   FUTEX_BITSET_MATCH_ANY);
}

void hvc_host_park(_Atomic uint32_t *word, uint32_t expected, uint64_t until)
{
    struct timespec t = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
    futex(word, FUTEX_WAIT_BITSET, expected, until == HVC_FOREVER ? NULL : &t);
}

/* Called from signal handlers: must not disturb errno. */
void hvc_host_unpark(_Atomic uint32_t *word)
{
    int saved = errno;
    futex(word, FUTEX_WAKE, INT_MAX, NULL);
    errno = saved;
}

void hvc_host_lock(hvc_lock *lock)
{
    uint32_t seen = 0;
    if (atomic_compare_exchange_strong(&lock->word, &seen, 1)) {
        return;
    }
    while (atomic_exchange(&lock->word, 2)) {
        hvc_host_park(&lock->word, 2, HVC_FOREVER);
    }
}

void hvc_host_unlock(hvc_lock *lock)
{
    if (atomic_exchange(&lock->word, 0) == 2) {
        hvc_host_unpark(&lock->word);
    }
}

uint64_t hvc_host_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint32_t hvc_host_cpu(void)
{
    return 0;
}
