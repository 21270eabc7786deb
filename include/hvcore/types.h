/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words that every header of hvcore uses.
 *
 * The whole public API is what stands in include/hvcore; nothing else is public. The headers are
 * written for a freestanding compiler (they need <stdint.h> and <stddef.h> only), for C++ and for
 * cffi. HVCORE_CDEF is defined by the Python build alone, which brings its own integer types.
 *
 * Conventions that hold everywhere and are not repeated at each function:
 *
 *   - A function that can fail returns 0 or a negative HVCORE_E_* (error.h), never an errno.
 *   - A last parameter `hvcore_error *err` may be NULL.
 *   - Structures that begin with `uint32_t size` are filled by the caller with sizeof, best through
 *     their _INIT macro. A smaller size from an older program is accepted, missing fields are zero;
 *     a larger one than this library knows is E_INVAL.
 *   - Objects are reference counted. A child holds its parent: any order of release is right.
 *   - `Thread:` says who may call. "any" is any thread at any time; "owner" is the thread that runs
 *     the vCPU (or any single thread while nobody runs it); "signal" adds: also from a signal
 *     handler; "setup" means before the first hvcore_vcpu_run of the VM.
 */
#ifndef HVCORE_TYPES_H
#define HVCORE_TYPES_H

#ifndef HVCORE_CDEF
#include <stddef.h>
#include <stdint.h>
#endif

#ifdef __cplusplus
#define HVCORE_BEGIN extern "C" {
#define HVCORE_END }
#else
#define HVCORE_BEGIN
#define HVCORE_END
#endif

#if defined(HVCORE_CDEF)
#define HVCORE_API
#else
#define HVCORE_API __attribute__((visibility("default")))
#endif

/** Version of these headers: 0xMMmmpp00. Compare with hvcore_version(). */
#define HVCORE_VERSION 0x00010000

HVCORE_BEGIN

/** The library's context: log sink and backend registry. No state is shared between contexts. */
typedef struct hvcore_ctx hvcore_ctx;
/** A virtual machine: guest memory, devices, policy, virtual CPUs. */
typedef struct hvcore_vm hvcore_vm;
/** A virtual CPU. */
typedef struct hvcore_vcpu hvcore_vcpu;
/** Bytes of the host that can be mapped into guests. */
typedef struct hvcore_mem hvcore_mem;
/** A pinned window into guest memory. */
typedef struct hvcore_view hvcore_view;
/** A trap policy. */
typedef struct hvcore_policy hvcore_policy;
/** What a policy really comes to on this host. */
typedef struct hvcore_report hvcore_report;

/** Guest architectures. */
enum hvcore_arch {
    HVCORE_ARCH_NONE = 0,
    HVCORE_ARCH_X86_64 = 1,
    HVCORE_ARCH_ARM64 = 2,
    HVCORE_ARCH_RISCV64 = 3
};

/** Access rights, a bit set. */
enum hvcore_prot { HVCORE_PROT_R = 1, HVCORE_PROT_W = 2, HVCORE_PROT_X = 4, HVCORE_PROT_RWX = 7 };

HVCORE_END
#endif
