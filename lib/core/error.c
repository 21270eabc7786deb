/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/error.h"

#include "lib/host/host.h"
#include "lib/host/mem.h"

/* A record that is too small even for its head is left alone. */
bool hvc_error_usable(const hvcore_error *err)
{
    return err && err->size >= offsetof(hvcore_error, message);
}

__attribute__((format(printf, 5, 0))) static void fill(hvcore_error *err, int code, uint32_t domain,
                                                       uint64_t address, const char *fmt,
                                                       va_list ap)
{
    hvcore_error full = {.code = -code, .domain = domain, .address = address};
    uint32_t size = err->size;
    if (size > sizeof(full)) {
        size = sizeof(full);
    }
    full.size = err->size;
    hvc_vformat(full.message, sizeof(full.message), fmt, ap);
    memcpy(err, &full, size);
    if (size > offsetof(hvcore_error, message)) {
        err->message[size - offsetof(hvcore_error, message) - 1] = 0;
    }
}

int hvc_fail(hvcore_error *err, int code, uint32_t domain, const char *fmt, ...)
{
    if (hvc_error_usable(err)) {
        va_list ap;
        va_start(ap, fmt);
        fill(err, code, domain, 0, fmt, ap);
        va_end(ap);
    }
    return -code;
}

int hvc_fail_at(hvcore_error *err, int code, uint32_t domain, uint64_t address, const char *fmt,
                ...)
{
    if (hvc_error_usable(err)) {
        va_list ap;
        va_start(ap, fmt);
        fill(err, code, domain, address, fmt, ap);
        va_end(ap);
    }
    return -code;
}

int hvc_backend_failed(hvcore_error *err, int rc, const hvcore_error *own, const char *what)
{
    int code = hvc_backend_code(rc);
    if (own->code != code || !own->message[0]) {
        return hvc_fail(err, -code, HVCORE_DOMAIN_CORE, "The backend cannot make %s: %s.", what,
                        hvcore_strerror(code));
    }
    hvc_fail(err, -code, own->domain, "%s", own->message);
    if (hvc_error_usable(err)) {
        err->sys_errno = own->sys_errno;
        err->address = own->address;
    }
    return code;
}

int hvc_fail_hold(hvcore_error *err)
{
    return hvc_fail(err, HVCORE_E_TIMEOUT, HVCORE_DOMAIN_RUN,
                    "A vCPU has not left the guest within a second; nothing has changed. On arm64 "
                    "and riscv64 a kernel does not interrupt the wait for a page that userfaultfd "
                    "has to bring: bring it, then try again.");
}

int hvc_struct_in(void *dst, size_t dst_size, const void *src, const char *what, hvcore_error *err)
{
    uint32_t size;
    memset(dst, 0, dst_size);
    if (!src) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_CORE, "The %s is NULL.", what);
    }
    memcpy(&size, src, sizeof(size));
    if (size < sizeof(size) || size > dst_size) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_CORE,
                        "The size field of the %s is %u; this library knows up to %zu. "
                        "Set it with sizeof, or with the _INIT macro.",
                        what, size, dst_size);
    }
    memcpy(dst, src, size);
    return 0;
}

int hvc_struct_out(void *dst, const void *src, size_t src_size)
{
    uint32_t size;
    if (!dst) {
        return -HVCORE_E_INVAL;
    }
    memcpy(&size, dst, sizeof(size));
    if (size < sizeof(size)) {
        return -HVCORE_E_INVAL;
    }
    memcpy((char *)dst + sizeof(size), (const char *)src + sizeof(size),
           (size < src_size ? size : src_size) - sizeof(size));
    return 0;
}

static const char *const names[] = {
    [HVCORE_OK] = "success",
    [HVCORE_E_INVAL] = "invalid argument",
    [HVCORE_E_NOMEM] = "out of memory",
    [HVCORE_E_STATE] = "not in this state",
    [HVCORE_E_BUSY] = "in use",
    [HVCORE_E_UNSUPPORTED] = "not supported here",
    [HVCORE_E_RANGE] = "out of range",
    [HVCORE_E_TYPE] = "of another type or width",
    [HVCORE_E_EXISTS] = "already there",
    [HVCORE_E_NOTFOUND] = "not found",
    [HVCORE_E_FAULT] = "guest address without memory",
    [HVCORE_E_SYS] = "system call failed",
    [HVCORE_E_POLICY] = "policy cannot be enforced",
    [HVCORE_E_PARSE] = "malformed text",
    [HVCORE_E_BACKEND] = "backend failed",
    [HVCORE_E_LIMIT] = "limit reached",
    [HVCORE_E_TIMEOUT] = "not in time",
};

const char *hvcore_strerror(int code)
{
    /* INT_MIN has no positive counterpart */
    unsigned n = code < 0 ? 0u - (unsigned)code : (unsigned)code;
    return n < sizeof(names) / sizeof(names[0]) ? names[n] : "unknown error";
}
