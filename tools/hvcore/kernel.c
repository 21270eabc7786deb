/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux's Image: Linux, Documentation/arch/riscv/boot-image-header.rst and arm64/booting.rst; one
 * with an EFI stub has a PE header as well, which says how long the file must be.
 */
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "elf.h"
#include "file.h"
#include "kernel.h"
#include "sniff.h"

struct image_header {
    uint32_t code[2];
    uint64_t text_offset; /* from the beginning of memory */
    uint64_t image_size;  /* of all memory that it occupies */
    uint64_t flags;       /* bit 0: big-endian */
    uint64_t own[3];
    char magic[4];
    uint32_t pe; /* offset of the PE header, if `code` begins with "MZ" */
};

enum { FLAG_BIG_ENDIAN = 1 };

/* --- what is not a kernel that runs here ----------------------------------------------------- */

static int refuse_other(const struct kernel *k, const struct file *f, const struct sniffed *s)
{
    if (s->image)
        cli_say("%s: it is %s, and --arch asks for %s.", f->path, s->is, k->arch->name);
    else if (s->is[0])
        cli_say("%s: it is %s%s%s.", f->path, s->is, s->advice[0] ? "; " : "", s->advice);
    else
        cli_say(
            "%s: it is neither a Linux Image for riscv64 or arm64 (no \"RSC\\5\" or \"ARM\\x64\" "
            "at offset 56) nor an ELF file; give --kernel the vmlinux or Image of a kernel.",
            f->path);
    return CLI_FILE;
}

/* --- the file must be whole ------------------------------------------------------------------ */

struct pe_header {
    char magic[4];
    uint16_t machine, sections;
    uint32_t time, symbols, symbol_count;
    uint16_t optional_size, characteristics;
};

struct pe_section {
    char name[8];
    uint32_t virtual_size, virtual_address, raw_size, raw_offset;
    uint8_t rest[16];
};

enum { PE_SECTIONS_MOST = 16 };

static int truncated(const struct file *f, uint64_t want)
{
    cli_say("%s: it is truncated: %" PRIu64 " bytes, where %" PRIu64
            " are wanted; copy it once more.",
            f->path, f->size, want);
    return CLI_FILE;
}

/* Where the bytes of the PE's sections end; what makes no sense here is left to the kernel. */
static int check_whole(const struct file *f, uint64_t at)
{
    struct pe_section section[PE_SECTIONS_MOST];
    struct pe_header pe;
    uint64_t table, count;

    if (f->size < at + sizeof pe)
        return truncated(f, at + sizeof pe);
    if (file_read(f, &pe, sizeof pe, at) != CLI_OK)
        return CLI_FILE;
    table = at + sizeof pe + le16toh(pe.optional_size);
    count = le16toh(pe.sections);
    if (memcmp(pe.magic, "PE\0", 4) != 0 || count > PE_SECTIONS_MOST)
        return CLI_OK;
    if (f->size < table + count * sizeof *section)
        return truncated(f, table + count * sizeof *section);
    if (file_read(f, section, count * sizeof *section, table) != CLI_OK)
        return CLI_FILE;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t end =
            (uint64_t)le32toh(section[i].raw_offset) + le32toh(section[i].raw_size);
        if (end > f->size)
            return truncated(f, end);
    }
    return CLI_OK;
}

/* --- an Image -------------------------------------------------------------------------------- */

static int check_header(const struct kernel *k, const struct file *f, const struct image_header *h)
{
    const uint32_t alignment = k->arch->image->alignment;

    if (le64toh(h->flags) & FLAG_BIG_ENDIAN)
        cli_say("%s: it is a big-endian kernel (flags %#" PRIx64 "); only little-endian ones run "
                "here.",
                f->path, le64toh(h->flags));
    else if (le64toh(h->text_offset) % alignment != 0)
        cli_say("%s: its text_offset is %#" PRIx64 ", not a multiple of %s: it is damaged; copy "
                "it once more.",
                f->path, le64toh(h->text_offset), alignment >> 20 ? "2 MiB" : "4 KiB");
    else
        return CLI_OK;
    return CLI_FILE;
}

static int too_little(const struct kernel *k, const char *path, uint64_t offset, uint64_t size)
{
    cli_say("%s: it needs %" PRIu64 " bytes of memory from %#" PRIx64
            " on, and memory ends at %#" PRIx64 ": give it more with --mem.",
            path, size, k->arch->ram_base + offset, k->arch->ram_base + k->ram_size);
    return CLI_FILE;
}

static int load_image(struct kernel *k, const struct file *f, const struct image_header *h,
                      void *ram)
{
    const uint64_t offset = le64toh(h->text_offset);
    const uint64_t told = le64toh(h->image_size), size = told > f->size ? told : f->size;
    int code = check_header(k, f, h);

    if (code == CLI_OK && memcmp(h, "MZ", 2) == 0)
        code = check_whole(f, le32toh(h->pe));
    if (code != CLI_OK)
        return code;
    if (offset >= k->ram_size || size > k->ram_size - offset)
        return too_little(k, f->path, offset, size);
    k->entry = k->arch->ram_base + offset;
    k->end = k->entry + size;
    return file_read(f, (char *)ram + offset, f->size, 0);
}

/* --- an ELF file ----------------------------------------------------------------------------- */

static int load_elf(struct kernel *k, const char *path, void *ram)
{
    struct elf_image image;
    int code = CLI_OK;

    if (elf_open(&image, path, k->arch, k->ram_size) != 0 || elf_load(&image, ram) != 0) {
        cli_say("%s", image.why);
        code = CLI_FILE;
    }
    k->entry = image.entry;
    k->end = k->arch->ram_base;
    for (uint32_t i = 0; i < image.count; i++) {
        const uint64_t end = image.segment[i].paddr + image.segment[i].memsz;
        k->end = end > k->end ? end : k->end;
    }
    elf_close(&image);
    return code;
}

/* --------------------------------------------------------------------------------------------- */

static int load(struct kernel *k, const struct file *f, void *ram)
{
    char head[SNIFF_HEAD] = {0};
    struct image_header h;
    struct sniffed s;

    if (file_read(f, head, f->size < SNIFF_HEAD ? f->size : SNIFF_HEAD, 0) != CLI_OK)
        return CLI_FILE;
    memcpy(&h, head, sizeof h);
    sniff(&s, head);
    if (s.elf)
        return load_elf(k, f->path, ram);
    if (f->size < sizeof h)
        return truncated(f, sizeof h);
    return s.image && s.arch == k->arch ? load_image(k, f, &h, ram) : refuse_other(k, f, &s);
}

int kernel_load(struct kernel *k, const char *path, void *ram)
{
    struct file f;
    int code = file_open(&f, path, "the vmlinux or Image of a kernel");

    if (code == CLI_OK)
        code = load(k, &f, ram);
    file_close(&f);
    return code;
}
