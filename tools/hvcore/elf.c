/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf.h"

#ifndef EM_RISCV
#define EM_RISCV 243
#endif

typedef unsigned long long ull;

__attribute__((format(printf, 2, 3))) static int refuse(struct elf_image *m, const char *fmt, ...)
{
    int n = snprintf(m->why, sizeof m->why, "%s: ", m->path);
    va_list ap;

    if (n < 0 || (size_t)n >= sizeof m->why)
        n = 0;
    va_start(ap, fmt);
    vsnprintf(m->why + n, sizeof m->why - (size_t)n, fmt, ap);
    va_end(ap);
    return -1;
}

static int read_at(struct elf_image *m, void *to, uint64_t len, uint64_t offset)
{
    char *p = to;

    while (len > 0) {
        ssize_t n = pread(m->fd, p, len > 1 << 30 ? 1 << 30 : (size_t)len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return refuse(m, "cannot be read at offset %llu: %s.", (ull)offset, strerror(errno));
        if (n == 0)
            return refuse(m, "ends at offset %llu while it is read; is it being written?",
                          (ull)offset);
        p += n, len -= (uint64_t)n, offset += (uint64_t)n;
    }
    return 0;
}

/* --- the file header ------------------------------------------------------------------------- */

#define RISCV_HINT "build the guest with riscv64-linux-gnu-gcc -static -nostdlib"

/* Fields with one legal value. */
static const struct field {
    const char *name;
    size_t offset, width;
    uint64_t want;
    const char *advice;
} fields[] = {
#define IDENT(i, value, advice)                \
    {                                          \
        "e_ident[" #i "]", i, 1, value, advice \
    }
#define FIELD(f, value, advice)                                                  \
    {                                                                            \
#f, offsetof(Elf64_Ehdr, f), sizeof(((Elf64_Ehdr *)0)->f), value, advice \
    }
    IDENT(EI_MAG0, ELFMAG0, "it is not an ELF file; " RISCV_HINT),
    IDENT(EI_MAG1, ELFMAG1, "it is not an ELF file; " RISCV_HINT),
    IDENT(EI_MAG2, ELFMAG2, "it is not an ELF file; " RISCV_HINT),
    IDENT(EI_MAG3, ELFMAG3, "it is not an ELF file; " RISCV_HINT),
    IDENT(EI_CLASS, ELFCLASS64, "only 64-bit guests run here; build it for riscv64"),
    IDENT(EI_DATA, ELFDATA2LSB, "only little-endian guests run here; build it for riscv64"),
    IDENT(EI_VERSION, EV_CURRENT, "the file is damaged; link it again"),
    FIELD(e_type, ET_EXEC, "only static executables run here; link it with -static -no-pie"),
    FIELD(e_machine, EM_RISCV, "the guest is for another processor; " RISCV_HINT),
    FIELD(e_version, EV_CURRENT, "the file is damaged; link it again"),
    FIELD(e_phentsize, sizeof(Elf64_Phdr), "the file is damaged; link it again"),
};

static uint64_t little(const unsigned char *p, size_t width)
{
    uint64_t value = 0;

    while (width-- > 0)
        value = value << 8 | p[width];
    return value;
}

static int check_fields(struct elf_image *m, const Elf64_Ehdr *raw)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const struct field *f = &fields[i];
        uint64_t value = little((const unsigned char *)raw + f->offset, f->width);

        if (value != f->want)
            return refuse(m, "%s is %llu, not %llu: %s.", f->name, (ull)value, (ull)f->want,
                          f->advice);
    }
    return 0;
}

/* The table of program headers must lie in the file and be of a sane length. */
static int check_table(struct elf_image *m, uint64_t phoff, uint32_t phnum)
{
    uint64_t len = (uint64_t)phnum * sizeof(Elf64_Phdr);

    if (phnum == 0)
        return refuse(m, "e_phnum is 0: nothing in it can be loaded; link it as an executable.");
    if (phnum > ELF_MAX_HEADERS)
        return refuse(m,
                      "e_phnum is %u, more than %d program headers: link it with fewer segments.",
                      phnum, ELF_MAX_HEADERS);
    if (phoff > m->size || len > m->size - phoff)
        return refuse(m,
                      "e_phoff is %llu, but %llu bytes of program headers do not fit into a file "
                      "of %llu bytes: it is truncated; copy or link it again.",
                      (ull)phoff, (ull)len, (ull)m->size);
    return 0;
}

/* --- segments -------------------------------------------------------------------------------- */

static uint64_t end_of(const struct elf_segment *s)
{
    return s->paddr + s->memsz;
}

static int check_in_file(struct elf_image *m, const struct elf_segment *s)
{
    if (s->filesz > s->memsz)
        return refuse(m,
                      "p_filesz of segment %u is %llu, more than its p_memsz of %llu: the file is "
                      "damaged; link it again.",
                      s->index, (ull)s->filesz, (ull)s->memsz);
    if (s->offset > m->size || s->filesz > m->size - s->offset)
        return refuse(m,
                      "p_filesz of segment %u is %llu at p_offset %llu, past the file's end at "
                      "%llu: it is truncated; copy or link it again.",
                      s->index, (ull)s->filesz, (ull)s->offset, (ull)m->size);
    return 0;
}

static int check_in_ram(struct elf_image *m, const struct elf_segment *s)
{
    uint64_t at = s->paddr - m->ram_base;

    if (s->memsz > UINT64_MAX - s->paddr)
        return refuse(m,
                      "p_paddr of segment %u is %#llx, where its p_memsz of %#llx wraps past 2^64: "
                      "link the guest at %#llx.",
                      s->index, (ull)s->paddr, (ull)s->memsz, (ull)m->ram_base);
    if (s->paddr < m->ram_base || at >= m->ram_size)
        return refuse(m,
                      "p_paddr of segment %u is %#llx, outside guest memory (%#llx to %#llx): link "
                      "the guest at %#llx, or give it more with --mem.",
                      s->index, (ull)s->paddr, (ull)m->ram_base,
                      (ull)(m->ram_base + m->ram_size - 1), (ull)m->ram_base);
    if (s->memsz > m->ram_size - at)
        return refuse(m,
                      "p_memsz of segment %u is %#llx at %#llx, more than guest memory (%#llx to "
                      "%#llx) holds: give it more with --mem.",
                      s->index, (ull)s->memsz, (ull)s->paddr, (ull)m->ram_base,
                      (ull)(m->ram_base + m->ram_size - 1));
    return 0;
}

static int check_overlap(struct elf_image *m, const struct elf_segment *s)
{
    for (const struct elf_segment *o = m->segment; o < m->segment + m->count; o++)
        if (s->paddr < end_of(o) && o->paddr < end_of(s))
            return refuse(m,
                          "p_paddr of segment %u is %#llx, which overlaps segment %u (%#llx to "
                          "%#llx): mend the linker script.",
                          s->index, (ull)s->paddr, o->index, (ull)o->paddr, (ull)(end_of(o) - 1));
    return 0;
}

static int (*const segment_checks[])(struct elf_image *, const struct elf_segment *) = {
    check_in_file, check_in_ram, check_overlap};

static int add_segment(struct elf_image *m, const struct elf_segment *s)
{
    if (s->memsz == 0 && s->filesz == 0)
        return 0;
    for (size_t i = 0; i < sizeof segment_checks / sizeof *segment_checks; i++)
        if (segment_checks[i](m, s) != 0)
            return -1;
    m->segment[m->count++] = *s;
    return 0;
}

static int read_segments(struct elf_image *m, uint64_t phoff, uint32_t phnum)
{
    Elf64_Phdr raw[ELF_MAX_HEADERS];

    if (read_at(m, raw, phnum * sizeof *raw, phoff) != 0)
        return -1;
    for (uint32_t i = 0; i < phnum; i++) {
        const struct elf_segment s = {.paddr = le64toh(raw[i].p_paddr),
                                      .memsz = le64toh(raw[i].p_memsz),
                                      .offset = le64toh(raw[i].p_offset),
                                      .filesz = le64toh(raw[i].p_filesz),
                                      .flags = le32toh(raw[i].p_flags),
                                      .index = i};
        if (le32toh(raw[i].p_type) == PT_LOAD && add_segment(m, &s) != 0)
            return -1;
    }
    return 0;
}

/* The entry must be a byte that comes from the file, in a segment that may be executed. */
static int check_entry(struct elf_image *m)
{
    if (m->count == 0)
        return refuse(
            m, "no segment of type PT_LOAD (1) has any bytes: nothing can be loaded; link it "
               "as an executable.");
    if (m->entry % 2 != 0)
        return refuse(m,
                      "e_entry is %#llx, an odd address: no instruction stands there; give the "
                      "linker an entry symbol (ENTRY in its script, or -e).",
                      (ull)m->entry);
    for (const struct elf_segment *s = m->segment; s < m->segment + m->count; s++)
        if (s->flags & PF_X && m->entry >= s->paddr && m->entry - s->paddr < s->filesz)
            return 0;
    return refuse(m,
                  "e_entry is %#llx, in no loaded executable segment (by p_paddr): give the linker "
                  "an entry symbol in .text, or link the guest where it is loaded.",
                  (ull)m->entry);
}

/* --- the whole ------------------------------------------------------------------------------- */

static int open_file(struct elf_image *m)
{
    struct stat st;

    m->fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us up */
    if (m->fd < 0 || fstat(m->fd, &st) != 0)
        return refuse(m, "cannot be opened: %s.", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(m, "st_mode is %#o, not a regular file: name the guest's ELF file.",
                      (unsigned)st.st_mode);
    m->size = (uint64_t)st.st_size;
    return 0;
}

int elf_open(struct elf_image *m, const char *path, uint64_t ram_base, uint64_t ram_size)
{
    Elf64_Ehdr head;

    *m = (struct elf_image){.path = path, .fd = -1, .ram_base = ram_base, .ram_size = ram_size};
    if (open_file(m) != 0)
        return -1;
    if (m->size < sizeof head)
        return refuse(m,
                      "its size is %llu bytes, less than an ELF header's %zu: it is truncated or "
                      "not an ELF file; copy or link it again.",
                      (ull)m->size, sizeof head);
    if (read_at(m, &head, sizeof head, 0) != 0 || check_fields(m, &head) != 0)
        return -1;
    m->entry = le64toh(head.e_entry);
    if (check_table(m, le64toh(head.e_phoff), le16toh(head.e_phnum)) != 0 ||
        read_segments(m, le64toh(head.e_phoff), le16toh(head.e_phnum)) != 0)
        return -1;
    return check_entry(m);
}

int elf_load(struct elf_image *m, void *ram)
{
    for (const struct elf_segment *s = m->segment; s < m->segment + m->count; s++)
        if (read_at(m, (char *)ram + (s->paddr - m->ram_base), s->filesz, s->offset) != 0)
            return -1;
    return 0;
}

void elf_close(struct elf_image *m)
{
    if (m->fd >= 0)
        close(m->fd);
    m->fd = -1;
}
