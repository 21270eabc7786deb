/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file says by its first bytes what it is. Linux's Image for riscv64: Linux,
 * Documentation/arch/riscv/boot-image-header.rst; one with an EFI stub has a PE header as well,
 * which says how long the file must be.
 */
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "elf.h"
#include "file.h"
#include "kernel.h"

enum { HEAD = 0x206 }; /* as much of a file as is looked at: up to the mark of an x86 kernel */

struct image_header {
    uint32_t code[2];
    uint64_t text_offset; /* from the beginning of memory, a multiple of 2 MiB */
    uint64_t image_size;  /* of all memory that it occupies */
    uint64_t flags;       /* bit 0: big-endian */
    uint32_t version, reserved0;
    uint64_t reserved1, magic;
    uint32_t magic2;
    uint32_t pe; /* offset of the PE header, if `code` begins with "MZ" */
};

enum { FLAG_BIG_ENDIAN = 1 };
#define IMAGE_ALIGN (UINT64_C(2) << 20)

/* --- what is not a kernel that runs here ------------------------------------------------------ */

#define FOR_RISCV64 "; take the one for riscv64"
#define UNPACK(program) "; unpack it first, with " program

static const struct mark {
    uint32_t offset, len;
    const char *bytes, *is;
} marks[] = {
    {56, 4, "ARM\x64", "a Linux kernel for arm64" FOR_RISCV64},
    {36, 4, "\x18\x28\x6f\x01", "a Linux kernel for arm" FOR_RISCV64},
    {0x202, 4, "HdrS", "a Linux kernel for x86" FOR_RISCV64},
    {4, 4, "zimg",
     "a compressed kernel for EFI (zboot)" UNPACK("the kernel's own tools, or build "
                                                  "the target Image")},
    {0, 2, "\x1f\x8b", "compressed by gzip" UNPACK("gunzip")},
    {0, 3, "BZh", "compressed by bzip2" UNPACK("bunzip2")},
    {0, 6, "\xfd\x37zXZ", "compressed by xz" UNPACK("unxz")},
    {0, 4, "\x28\xb5\x2f\xfd", "compressed by zstd" UNPACK("unzstd")},
    {0, 4, "\x04\x22\x4d\x18", "compressed by lz4" UNPACK("unlz4")},
    {0, 4, "\x02\x21\x4c\x18", "compressed by lz4" UNPACK("unlz4")},
    {0, 4, "\x27\x05\x19\x56", "an image for U-Boot; take the kernel's Image that is inside"},
    {0, 6, "070701", "an archive of cpio: is it the --initrd?"},
    {0, 4, "\xd0\x0d\xfe\xed", "a device tree: is it the --dtb?"},
    {0, 7, "!<arch>", "an archive: is it a Debian package? Unpack it with dpkg-deb -x"},
    {0, 2, "MZ", "an EFI program, but no Linux kernel for riscv64"},
};

static int refuse_other(const struct file *f, const char head[HEAD])
{
    for (const struct mark *m = marks; m < marks + sizeof marks / sizeof *marks; m++)
        if (memcmp(head + m->offset, m->bytes, m->len) == 0) {
            cli_say("%s: it is %s.", f->path, m->is);
            return CLI_FILE;
        }
    cli_say("%s: it is neither a Linux Image for riscv64 (no \"RSC\\5\" at offset 56) nor an ELF "
            "file; give --kernel the vmlinux or Image of a riscv64 kernel.",
            f->path);
    return CLI_FILE;
}

/* --- the file must be whole ------------------------------------------------------------------- */

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

/* --- an Image --------------------------------------------------------------------------------- */

static int check_header(const struct file *f, const struct image_header *h)
{
    if (le64toh(h->flags) & FLAG_BIG_ENDIAN)
        cli_say("%s: it is a big-endian kernel (flags %#" PRIx64 "); only little-endian ones run "
                "here.",
                f->path, le64toh(h->flags));
    else if (le64toh(h->text_offset) % IMAGE_ALIGN != 0)
        cli_say("%s: its text_offset is %#" PRIx64 ", not a multiple of 2 MiB: it is damaged; copy "
                "it once more.",
                f->path, le64toh(h->text_offset));
    else
        return CLI_OK;
    return CLI_FILE;
}

static int too_little(const struct kernel *k, const char *path, uint64_t offset, uint64_t size)
{
    cli_say("%s: it needs %" PRIu64 " bytes of memory from %#" PRIx64
            " on, and memory ends at %#" PRIx64 ": give it more with --mem.",
            path, size, k->ram_base + offset, k->ram_base + k->ram_size);
    return CLI_FILE;
}

static int load_image(struct kernel *k, const struct file *f, const struct image_header *h,
                      void *ram)
{
    const uint64_t offset = le64toh(h->text_offset);
    const uint64_t told = le64toh(h->image_size), size = told > f->size ? told : f->size;
    int code = check_header(f, h);

    if (code == CLI_OK && memcmp(h, "MZ", 2) == 0)
        code = check_whole(f, le32toh(h->pe));
    if (code != CLI_OK)
        return code;
    if (offset >= k->ram_size || size > k->ram_size - offset)
        return too_little(k, f->path, offset, size);
    k->entry = k->ram_base + offset;
    k->end = k->entry + size;
    return file_read(f, (char *)ram + offset, f->size, 0);
}

/* --- an ELF file ------------------------------------------------------------------------------ */

static int load_elf(struct kernel *k, const char *path, void *ram)
{
    struct elf_image image;
    int code = CLI_OK;

    if (elf_open(&image, path, k->ram_base, k->ram_size) != 0 || elf_load(&image, ram) != 0) {
        cli_say("%s", image.why);
        code = CLI_FILE;
    }
    k->entry = image.entry;
    k->end = k->ram_base;
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
    char head[HEAD] = {0};
    struct image_header h;

    if (file_read(f, head, f->size < HEAD ? f->size : HEAD, 0) != CLI_OK)
        return CLI_FILE;
    memcpy(&h, head, sizeof h);
    if (memcmp(head, "\177ELF", 4) == 0)
        return load_elf(k, f->path, ram);
    if (f->size < sizeof h)
        return truncated(f, sizeof h);
    if (memcmp(&h.magic2, "RSC\5", 4) == 0)
        return load_image(k, f, &h, ram);
    return refuse_other(f, head);
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
