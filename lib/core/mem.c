/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/core.h"

static const uint64_t page_mask = HVCORE_PAGE_SIZE - 1;

static int check_len(uint64_t len, hvcore_error *err)
{
    if (!len || len & page_mask) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM,
                        "The length %llu is not a multiple of the page size, %u, above 0.",
                        (unsigned long long)len, (unsigned)HVCORE_PAGE_SIZE);
    }
    return 0;
}

static int make(hvcore_ctx *ctx, uint64_t len, hvcore_mem **mem, hvcore_error *err)
{
    if (!ctx || !mem) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM,
                        "A memory object needs a context and a place to be put.");
    }
    int rc = check_len(len, err);
    if (rc) {
        return rc;
    }
    hvcore_mem *made = hvc_host_alloc(sizeof(*made));
    if (!made) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_MEM, "No memory for a memory object.");
    }
    hvc_ref_init(&made->refs);
    made->ctx = hvcore_ctx_ref(ctx);
    made->len = len;
    made->fd = -1;
    *mem = made;
    return 0;
}

static void discard(hvcore_mem *mem)
{
    hvcore_ctx_unref(mem->ctx);
    hvc_host_free(mem);
}

static int map_failed(int rc, int sys_errno, uint64_t len, hvcore_error *err)
{
    hvc_fail(err, -rc, HVCORE_DOMAIN_MEM,
             rc == -HVCORE_E_RANGE
                 ? "The file ends before the %llu bytes that are asked for (%s, errno %d)."
                 : "The host cannot give %llu bytes of guest memory (%s, errno %d).",
             (unsigned long long)len, hvcore_strerror(rc), sys_errno);
    if (sys_errno && hvc_error_usable(err)) {
        err->sys_errno = sys_errno;
    }
    return rc;
}

static int map(hvcore_ctx *ctx, int fd, uint64_t offset, uint64_t len, hvcore_mem **mem,
               hvcore_error *err)
{
    int sys_errno = 0;
    hvcore_mem *made = NULL;
    int rc = make(ctx, len, mem ? &made : NULL, err);
    if (rc) {
        return rc;
    }
    rc = hvc_host_gmem_map(len, &fd, offset, &made->host, &sys_errno);
    if (rc) {
        discard(made);
        return map_failed(rc, sys_errno, len, err);
    }
    made->mapped = true;
    made->fd = fd;
    *mem = made;
    return 0;
}

int hvcore_mem_alloc(hvcore_ctx *ctx, uint64_t len, uint32_t flags, hvcore_mem **mem,
                     hvcore_error *err)
{
    if (flags & ~(uint32_t)HVCORE_MEM_SHARED) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM, "Unknown memory flags 0x%x.",
                        flags);
    }
    return map(ctx, flags & HVCORE_MEM_SHARED ? -2 : -1, 0, len, mem, err);
}

int hvcore_mem_adopt(hvcore_ctx *ctx, void *host, uint64_t len, hvcore_mem_release_fn release,
                     void *user, hvcore_mem **mem, hvcore_error *err)
{
    if (!host || (uintptr_t)host & page_mask || (uintptr_t)host + len < (uintptr_t)host) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM,
                        "The memory to adopt must begin at a page boundary and not wrap.");
    }
    int rc = make(ctx, len, mem, err);
    if (!rc) {
        (*mem)->host = host;
        (*mem)->release = release;
        (*mem)->user = user;
    }
    return rc;
}

int hvcore_mem_from_fd(hvcore_ctx *ctx, int fd, uint64_t offset, uint64_t len, hvcore_mem **mem,
                       hvcore_error *err)
{
    if (fd < 0 || offset & page_mask) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_MEM,
                        "A file mapping needs a descriptor and an offset that is a page multiple.");
    }
    int rc = map(ctx, fd, offset, len, mem, err);
    if (!rc) {
        (*mem)->fd = -1; /* the caller's descriptor is not kept */
    }
    return rc;
}

hvcore_mem *hvcore_mem_ref(hvcore_mem *mem)
{
    hvc_ref_get(&mem->refs);
    return mem;
}

void hvcore_mem_unref(hvcore_mem *mem)
{
    if (!mem || !hvc_ref_put(&mem->refs)) {
        return;
    }
    if (mem->mapped) {
        hvc_host_gmem_unmap(mem->host, mem->len, mem->fd);
    } else if (mem->release) {
        mem->release(mem->user, mem->host);
    }
    discard(mem);
}

void *hvcore_mem_ptr(const hvcore_mem *mem)
{
    return mem ? mem->host : NULL;
}

uint64_t hvcore_mem_size(const hvcore_mem *mem)
{
    return mem ? mem->len : 0;
}

int hvcore_mem_fd(const hvcore_mem *mem)
{
    return mem && mem->fd >= 0 ? mem->fd : -HVCORE_E_UNSUPPORTED;
}
