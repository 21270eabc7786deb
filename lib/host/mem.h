/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The four functions that a freestanding compiler may call on its own. There is no <string.h> in a
 * freestanding build; hosted builds get them from the C library, an image brings its own.
 */
#ifndef HVC_HOST_MEM_H
#define HVC_HOST_MEM_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
