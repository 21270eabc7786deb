/* SPDX-License-Identifier: Apache-2.0 */
/* Memory objects: bytes of the host that can be mapped into guests. */
#ifndef HVCORE_MEM_H
#define HVCORE_MEM_H

#include <hvcore/error.h>

HVCORE_BEGIN

/** Guest memory is mapped in units of this many bytes. */
enum hvcore_page { HVCORE_PAGE_SIZE = 4096 };

/** Flags of hvcore_mem_alloc(). */
enum hvcore_mem_flag {
    HVCORE_MEM_SHARED = 1 /**< file-backed and shareable: hvcore_mem_fd() gives its descriptor */
};

/**
 * Allocate `len` zeroed bytes, page-aligned, committed as they are touched.
 *
 * `len` is a multiple of HVCORE_PAGE_SIZE, above 0. One reference is returned in `*mem`.
 *
 * Thread: any. Errors: E_INVAL, E_NOMEM (also when the host refuses the size), E_UNSUPPORTED
 * (SHARED on a ground without files). Since: 0.1.
 */
HVCORE_API int hvcore_mem_alloc(hvcore_ctx *ctx, uint64_t len, uint32_t flags, hvcore_mem **mem,
                                hvcore_error *err);

/** Called once when an adopted memory object dies, on the thread that drops the last reference. */
typedef void (*hvcore_mem_release_fn)(void *user, void *host);

/**
 * Adopt `len` bytes at `host` that the caller allocated.
 *
 * Both are multiples of HVCORE_PAGE_SIZE. The bytes must stay valid until `release` is called
 * (NULL: until the object is dead, which the caller has to know). If the call fails, `release` is
 * not called and the bytes stay the caller's.
 *
 * Thread: any. Errors: E_INVAL, E_NOMEM. Since: 0.1.
 */
HVCORE_API int hvcore_mem_adopt(hvcore_ctx *ctx, void *host, uint64_t len,
                                hvcore_mem_release_fn release, void *user, hvcore_mem **mem,
                                hvcore_error *err);

/**
 * Map `len` bytes of the file `fd` from `offset` on, shared.
 *
 * The descriptor is not kept. The range must lie inside the file.
 *
 * Thread: any. Errors: E_INVAL, E_RANGE (past the end of the file), E_SYS, E_NOMEM, E_UNSUPPORTED
 * on a ground without files. Since: 0.1.
 */
HVCORE_API int hvcore_mem_from_fd(hvcore_ctx *ctx, int fd, uint64_t offset, uint64_t len,
                                  hvcore_mem **mem, hvcore_error *err);

/**
 * Take one more reference; returns `mem`.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API hvcore_mem *hvcore_mem_ref(hvcore_mem *mem);

/**
 * Give a reference back; NULL does nothing. Mappings hold their memory object.
 *
 * Thread: any. Errors: none. Since: 0.1.
 */
HVCORE_API void hvcore_mem_unref(hvcore_mem *mem);

/**
 * The first byte of the object in the host's address space, valid while the object lives.
 *
 * Thread: any. Errors: none (NULL for NULL). Since: 0.1.
 */
HVCORE_API void *hvcore_mem_ptr(const hvcore_mem *mem);

/**
 * The length of the object in bytes.
 *
 * Thread: any. Errors: none (0 for NULL). Since: 0.1.
 */
HVCORE_API uint64_t hvcore_mem_size(const hvcore_mem *mem);

/**
 * The descriptor of an object made with HVCORE_MEM_SHARED; it belongs to the object.
 *
 * Thread: any. Errors: E_UNSUPPORTED if the object has none. Since: 0.1.
 */
HVCORE_API int hvcore_mem_fd(const hvcore_mem *mem);

HVCORE_END
#endif
