/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian executables of an architecture. All is checked before anything is loaded. */
#ifndef ELF_FILE_H
#define ELF_FILE_H

#include "arch.h"

enum { ELF_MAX_HEADERS = 128 };

struct elf_segment {
    uint64_t paddr, memsz, offset, filesz;
    uint32_t flags; /* PF_* */
    uint32_t index; /* of its program header */
};

struct elf_image {
    const char *path;
    int fd;
    const struct arch *arch;
    uint64_t ram_base, ram_size; /* where it must fit */
    uint64_t first;              /* and not begin before */
    uint64_t size;               /* of the file */
    uint32_t bits;               /* 32, 64 */
    uint64_t entry;
    uint32_t count;
    struct elf_segment segment[ELF_MAX_HEADERS];
    char why[512]; /* a sentence, after a failure */
};

/* Opens and checks a file; 0, or -1 with `why`. elf_close() in both cases. */
int elf_open(struct elf_image *image, const char *path, const struct arch *arch, uint64_t ram_size);

/* Copies the segments to `ram` (ram_size bytes, zero before); 0, or -1 with `why`. */
int elf_load(struct elf_image *image, void *ram);

void elf_close(struct elf_image *image);

#endif
