/* SPDX-License-Identifier: Apache-2.0 */
/* Filling error records, and taking structures that cross the ABI. */
#ifndef HVC_ERROR_H
#define HVC_ERROR_H

#include <stdbool.h>

#include <hvcore/error.h>

/* What a backend has returned: 0, or a code of this library; anything else breaks the contract. */
static inline int hvc_backend_code(int rc)
{
    return rc <= 0 && rc >= -HVCORE_E_TIMEOUT ? rc : -HVCORE_E_BACKEND;
}

/* Fill `err` (NULL allowed) with the sentence and return -code. */
int hvc_fail(hvcore_error *err, int code, uint32_t domain, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for an error that belongs to an address. */
int hvc_fail_at(hvcore_error *err, int code, uint32_t domain, uint64_t address, const char *fmt,
                ...) __attribute__((format(printf, 5, 6)));

/* May the head of the record be written (all fields before the message)? NULL: no. */
bool hvc_error_usable(const hvcore_error *err);

/*
 * A backend's call has failed with `rc`; returns the code that the caller gets. `own` is the record
 * that the backend was given: if it says why, it is handed on, else `what` failed.
 */
int hvc_backend_failed(hvcore_error *err, int rc, const hvcore_error *own, const char *what);

/* The sentence of hvc_try_hold()'s -HVCORE_E_TIMEOUT. Returns it. */
int hvc_fail_hold(hvcore_error *err);

/*
 * Copy a size-prefixed structure from the caller: `dst` has `dst_size` bytes and is zeroed first,
 * `src` says its own size in its first word. A size below 4 or above `dst_size` is refused.
 */
int hvc_struct_in(void *dst, size_t dst_size, const void *src, const char *what, hvcore_error *err);

/* Copy `src` to a size-prefixed structure of the caller, as much as it has room for. */
int hvc_struct_out(void *dst, const void *src, size_t src_size);

#endif
