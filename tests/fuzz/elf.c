/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tool's ELF loader: a sentence, or a guest that lies within its memory.
 * sources: tools/hvcore/elf.c
 */
#define _GNU_SOURCE
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tools/hvcore/elf.h"

enum { RAM_SIZE = 1 << 16 };

/* Guests as the boards take them: one class, and two of which one begins above the first page. */
static const struct arch archs[] = {
    {.ram_base = UINT64_C(0x80000000), .insn_align = 2, .elf = {{64, EM_RISCV, 0}}},
    {.ram_base = 0, .insn_align = 1, .elf = {{64, EM_X86_64, 0x1000}, {32, EM_386, 0}}},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct arch *arch = &archs[size > 18 && data[18] != EM_RISCV]; /* e_machine */
    static struct elf_image image;
    char path[64];
    int fd = memfd_create("elf", 0);
    uint8_t *ram = calloc(1, RAM_SIZE); /* its ends are watched */

    EXPECT(fd >= 0 && ram && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    memset(&image, 0, sizeof(image));
    if (elf_open(&image, path, arch, RAM_SIZE) == 0) {
        EXPECT(image.count <= ELF_MAX_HEADERS);
        for (uint32_t i = 0; i < image.count; i++) {
            const struct elf_segment *s = &image.segment[i];
            EXPECT(s->paddr >= arch->ram_base && s->memsz <= RAM_SIZE && s->filesz <= s->memsz);
            EXPECT(s->paddr - arch->ram_base <= RAM_SIZE - s->memsz);
        }
        EXPECT(elf_load(&image, ram) == 0);
    } else {
        EXPECT(image.why[0] && memchr(image.why, 0, sizeof(image.why)));
    }
    elf_close(&image);
    close(fd);
    free(ram);
    return 0;
}
