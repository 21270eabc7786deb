/* SPDX-License-Identifier: Apache-2.0 */
/* Error codes and the error record. */
#ifndef HVCORE_ERROR_H
#define HVCORE_ERROR_H

#include <hvcore/types.h>

HVCORE_BEGIN

/** Error codes. Functions return the negative value. The list is append-only. */
enum hvcore_error_code {
    HVCORE_OK = 0,
    HVCORE_E_INVAL = 1,       /**< an argument is wrong in itself */
    HVCORE_E_NOMEM = 2,       /**< the host has no memory left */
    HVCORE_E_STATE = 3,       /**< right call, wrong moment (an exit not completed, a sealed
                                   policy) */
    HVCORE_E_BUSY = 4,        /**< somebody else uses it now (a running vCPU, a pinned range) */
    HVCORE_E_UNSUPPORTED = 5, /**< this backend, machine or build cannot do it */
    HVCORE_E_RANGE = 6,       /**< a number or an address is out of range */
    HVCORE_E_TYPE = 7,        /**< a register of another width, an object of another architecture */
    HVCORE_E_EXISTS = 8,      /**< something is there already */
    HVCORE_E_NOTFOUND = 9,    /**< no object, register or name like this */
    HVCORE_E_FAULT = 10,      /**< a guest address without memory, or without the right */
    HVCORE_E_SYS = 11,        /**< a system call failed: sys_errno says how */
    HVCORE_E_POLICY = 12,     /**< a policy that contradicts itself or cannot be enforced */
    HVCORE_E_PARSE = 13,      /**< text that is not in its language: line and column say where */
    HVCORE_E_BACKEND = 14,    /**< the backend broke its contract */
    HVCORE_E_LIMIT = 15,      /**< a bound of the library is reached */
    HVCORE_E_TIMEOUT = 16     /**< a vCPU did not leave the guest in time; nothing has changed */
};

/** The part of the library that an error comes from. */
enum hvcore_error_domain {
    HVCORE_DOMAIN_NONE = 0,
    HVCORE_DOMAIN_CORE = 1,
    HVCORE_DOMAIN_MEM = 2,
    HVCORE_DOMAIN_RUN = 3,
    HVCORE_DOMAIN_POLICY = 4,
    HVCORE_DOMAIN_BARE = 5,
    HVCORE_DOMAIN_KVM = 6,
    HVCORE_DOMAIN_HOST = 7
};

/**
 * What went wrong, as a record that the caller owns. The library only fills it, and only on
 * failure; it allocates nothing for it.
 */
typedef struct hvcore_error {
    uint32_t size;     /**< sizeof(hvcore_error), set by the caller */
    int32_t code;      /**< the returned value: negative HVCORE_E_*, 0 if untouched */
    uint32_t domain;   /**< HVCORE_DOMAIN_* */
    int32_t sys_errno; /**< errno of a failed system call, or 0 */
    uint64_t pc;       /**< guest program counter, if the error belongs to one, or 0 */
    uint64_t address;  /**< the address in question, or 0 */
    uint32_t rule;     /**< 1-based index of the policy rule in question, or 0 */
    uint32_t line;     /**< 1-based line of a text, or 0 */
    uint32_t column;   /**< 1-based column (bytes), or 0 */
    uint32_t reserved;
    char message[256]; /**< a full sentence, NUL-terminated, no newline */
} hvcore_error;

#ifndef HVCORE_CDEF
#define HVCORE_ERROR_INIT {.size = sizeof(hvcore_error)}
#endif

/**
 * The short English name of an error code.
 *
 * Total: takes the code with either sign, and answers "unknown error" for what it does not know.
 * The string is static.
 *
 * Thread: any, signal. Errors: none. Since: 0.1.
 */
HVCORE_API const char *hvcore_strerror(int code);

HVCORE_END
#endif
