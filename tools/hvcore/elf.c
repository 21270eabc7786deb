/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf.h"

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

/* --- the two classes: where each field stands, and how wide it is ---------------------------- */

struct place {
    uint16_t offset, width;
};

static const struct layout {
    size_t header, segment; /* bytes */
    struct place type, machine, version, entry, phoff, phentsize, phnum;
    struct place p_type, p_flags, p_offset, p_paddr, p_filesz, p_memsz;
} layouts[] = {
#define PLACE(type, f)                               \
    {                                                \
        offsetof(type, f), sizeof(((type *)NULL)->f) \
    }
#define LAYOUT(E, P)                                                                        \
    {                                                                                       \
        sizeof(E), sizeof(P), PLACE(E, e_type), PLACE(E, e_machine), PLACE(E, e_version),   \
            PLACE(E, e_entry), PLACE(E, e_phoff), PLACE(E, e_phentsize), PLACE(E, e_phnum), \
            PLACE(P, p_type), PLACE(P, p_flags), PLACE(P, p_offset), PLACE(P, p_paddr),     \
            PLACE(P, p_filesz), PLACE(P, p_memsz)                                           \
    }
    [ELFCLASS32] = LAYOUT(Elf32_Ehdr, Elf32_Phdr),
    [ELFCLASS64] = LAYOUT(Elf64_Ehdr, Elf64_Phdr),
};

enum { HEADER_MOST = sizeof(Elf64_Ehdr) };

static uint64_t field(const void *raw, struct place at)
{
    const unsigned char *p = (const unsigned char *)raw + at.offset;
    uint64_t value = 0;

    for (size_t width = at.width; width-- > 0;)
        value = value << 8 | p[width];
    return value;
}

/* --- the file header ------------------------------------------------------------------------- */

static int wrong(struct elf_image *m, const char *name, uint64_t value, uint64_t want,
                 const char *advice)
{
    return refuse(m, "%s is %llu, not %llu: %s.", name, (ull)value, (ull)want, advice);
}

static int not_elf(struct elf_image *m, const char *name, uint64_t value, uint64_t want)
{
    return refuse(m, "%s is %llu, not %llu: it is not an ELF file; %s.", name, (ull)value,
                  (ull)want, m->arch->advice);
}

static int check_magic(struct elf_image *m, const unsigned char *ident)
{
    static const char *const names[] = {"e_ident[EI_MAG0]", "e_ident[EI_MAG1]", "e_ident[EI_MAG2]",
                                        "e_ident[EI_MAG3]"};

    for (int i = 0; i < SELFMAG; i++)
        if (ident[i] != (unsigned char)ELFMAG[i])
            return not_elf(m, names[i], ident[i], (unsigned char)ELFMAG[i]);
    return 0;
}

/* Of which class it is, and that a guest of the architecture can be that. */
static int check_class(struct elf_image *m, uint32_t class)
{
    for (const struct elf_form *f = m->arch->elf; f < m->arch->elf + ELF_FORMS; f++)
        if (f->bits && f->bits == (class == ELFCLASS32 ? 32 : class == ELFCLASS64 ? 64 : 1)) {
            m->bits = f->bits;
            m->first = m->ram_base + f->first;
            return 0;
        }
    return refuse(m,
                  "e_ident[EI_CLASS] is %u, not %u: only 64-bit guests run here; build it for %s.",
                  class, ELFCLASS64, m->arch->name);
}

static int check_ident(struct elf_image *m, const unsigned char *ident)
{
    if (check_magic(m, ident) != 0 || check_class(m, ident[EI_CLASS]) != 0)
        return -1;
    if (ident[EI_DATA] != ELFDATA2LSB)
        return refuse(m,
                      "e_ident[EI_DATA] is %u, not %u: only little-endian guests run here; build "
                      "it for %s.",
                      ident[EI_DATA], ELFDATA2LSB, m->arch->name);
    return ident[EI_VERSION] == EV_CURRENT
               ? 0
               : wrong(m, "e_ident[EI_VERSION]", ident[EI_VERSION], EV_CURRENT,
                       "the file is damaged; link it again");
}

static int check_machine(struct elf_image *m, uint64_t machine)
{
    const struct elf_form *f = m->arch->elf;

    while (f->bits != m->bits)
        f++;
    return machine == f->machine ? 0
                                 : refuse(m,
                                          "e_machine is %llu, not %u: the guest is for another "
                                          "processor; %s.",
                                          (ull)machine, f->machine, m->arch->advice);
}

/* Fields with one legal value. */
static int check_fields(struct elf_image *m, const void *raw, const struct layout *l)
{
    const struct {
        const char *name;
        struct place at;
        uint64_t want;
        const char *advice;
    } rows[] = {
        {"e_type", l->type, ET_EXEC,
         "only static executables run here; link it with -static -no-pie"},
        {"e_version", l->version, EV_CURRENT, "the file is damaged; link it again"},
        {"e_phentsize", l->phentsize, l->segment, "the file is damaged; link it again"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (field(raw, rows[i].at) != rows[i].want)
            return wrong(m, rows[i].name, field(raw, rows[i].at), rows[i].want, rows[i].advice);
    return check_machine(m, field(raw, l->machine));
}

/* The table of program headers must lie in the file and be of a sane length. */
static int check_table(struct elf_image *m, uint64_t phoff, uint32_t phnum, size_t each)
{
    uint64_t len = (uint64_t)phnum * each;

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
    const uint64_t at = s->paddr - m->ram_base;

    if (s->memsz > UINT64_MAX - s->paddr)
        return refuse(m,
                      "p_paddr of segment %u is %#llx, where its p_memsz of %#llx wraps past 2^64: "
                      "link the guest at %#llx.",
                      s->index, (ull)s->paddr, (ull)s->memsz, (ull)m->first);
    if (s->paddr < m->first || at >= m->ram_size)
        return refuse(m,
                      "p_paddr of segment %u is %#llx, outside guest memory (%#llx to %#llx): link "
                      "the guest at %#llx, or give it more with --mem.",
                      s->index, (ull)s->paddr, (ull)m->first, (ull)(m->ram_base + m->ram_size - 1),
                      (ull)m->first);
    if (s->memsz > m->ram_size - at)
        return refuse(m,
                      "p_memsz of segment %u is %#llx at %#llx, more than guest memory (%#llx to "
                      "%#llx) holds: give it more with --mem.",
                      s->index, (ull)s->memsz, (ull)s->paddr, (ull)m->first,
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

static struct elf_segment segment_of(const void *raw, const struct layout *l, uint32_t index)
{
    return (struct elf_segment){.paddr = field(raw, l->p_paddr),
                                .memsz = field(raw, l->p_memsz),
                                .offset = field(raw, l->p_offset),
                                .filesz = field(raw, l->p_filesz),
                                .flags = (uint32_t)field(raw, l->p_flags),
                                .index = index};
}

static int read_segments(struct elf_image *m, const struct layout *l, uint64_t phoff,
                         uint32_t phnum)
{
    char raw[ELF_MAX_HEADERS * sizeof(Elf64_Phdr)];

    if (read_at(m, raw, phnum * l->segment, phoff) != 0)
        return -1;
    for (uint32_t i = 0; i < phnum; i++) {
        const char *at = raw + i * l->segment;
        const struct elf_segment s = segment_of(at, l, i);

        if (field(at, l->p_type) == PT_LOAD && add_segment(m, &s) != 0)
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
    if (m->entry % m->arch->insn_align != 0)
        return refuse(m,
                      "e_entry is %#llx, %s: no instruction stands there; give the "
                      "linker an entry symbol (ENTRY in its script, or -e).",
                      (ull)m->entry, m->entry % 2 ? "an odd address" : "not a multiple of 4");
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

/* As much of the header as there is; what is missing is zero. */
static int read_header(struct elf_image *m, unsigned char head[HEADER_MOST])
{
    const uint64_t have = m->size < HEADER_MOST ? m->size : HEADER_MOST;
    size_t want;

    memset(head, 0, HEADER_MOST);
    if (read_at(m, head, have, 0) != 0)
        return -1;
    want = memcmp(head, ELFMAG, SELFMAG) == 0 && head[EI_CLASS] == ELFCLASS32
               ? layouts[ELFCLASS32].header
               : HEADER_MOST;
    return have >= want ? 0
                        : refuse(m,
                                 "its size is %llu bytes, less than an ELF header's %zu: it is "
                                 "truncated or not an ELF file; copy or link it again.",
                                 (ull)m->size, want);
}

int elf_open(struct elf_image *m, const char *path, const struct arch *arch, uint64_t ram_size)
{
    unsigned char head[HEADER_MOST];
    const struct layout *l;
    uint64_t phoff;
    uint32_t phnum;

    *m = (struct elf_image){
        .path = path, .fd = -1, .arch = arch, .ram_base = arch->ram_base, .ram_size = ram_size};
    if (open_file(m) != 0 || read_header(m, head) != 0 || check_ident(m, head) != 0)
        return -1;
    l = &layouts[head[EI_CLASS]];
    if (check_fields(m, head, l) != 0)
        return -1;
    m->entry = field(head, l->entry);
    phoff = field(head, l->phoff);
    phnum = (uint32_t)field(head, l->phnum);
    if (check_table(m, phoff, phnum, l->segment) != 0 || read_segments(m, l, phoff, phnum) != 0)
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
