/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sniff.h"

#define UNPACK(program) "unpack it first, with " program

/* Tried from the top. */
static const struct mark {
    uint32_t offset, len;
    const char *bytes, *is, *advice;
    const struct arch *arch;
    bool image;
} marks[] = {
    {56, 4, "ARM\x64", "a Linux kernel", "", &arch_arm64, true},
    {56, 4, "RSC\5", "a Linux kernel", "", &arch_riscv64, true},
    {0x202, 4, "HdrS", "a Linux kernel", "", &arch_x86_64, false},
    {36, 4, "\x18\x28\x6f\x01", "a Linux kernel for arm (32 bits)", "", NULL, false},
    {0, 2, "\x1f\x8b", "compressed by gzip", UNPACK("gunzip"), NULL, false},
    {0, 3, "BZh", "compressed by bzip2", UNPACK("bunzip2"), NULL, false},
    {0, 6, "\xfd\x37zXZ", "compressed by xz", UNPACK("unxz"), NULL, false},
    {0, 4, "\x28\xb5\x2f\xfd", "compressed by zstd", UNPACK("unzstd"), NULL, false},
    {0, 4, "\x04\x22\x4d\x18", "compressed by lz4", UNPACK("unlz4"), NULL, false},
    {0, 4, "\x02\x21\x4c\x18", "compressed by lz4", UNPACK("unlz4"), NULL, false},
    {0, 4, "\x27\x05\x19\x56", "an image for U-Boot", "take the kernel's Image that is inside",
     NULL, false},
    {0, 6, "070701", "an archive of cpio", "is it the --initrd?", NULL, false},
    {0, 4, "\xd0\x0d\xfe\xed", "a device tree", "is it the --dtb?", NULL, false},
    {0, 7, "!<arch>", "an archive", "is it a Debian package? Unpack it with dpkg-deb -x", NULL,
     false},
};

static void name(struct sniffed *s, const char *is)
{
    snprintf(s->is, sizeof s->is, "%s%s%s", is, s->arch ? " for " : "",
             s->arch ? s->arch->name : "");
}

/* --- ELF: the machine stands at the same place in both classes ------------------------------- */

static void sniff_elf(struct sniffed *s, const char *head)
{
    uint16_t machine;

    memcpy(&machine, head + offsetof(Elf64_Ehdr, e_machine), sizeof machine);
    machine = le16toh(machine);
    s->elf = true;
    s->arch = arch_by_machine(machine);
    if (s->arch)
        name(s, "an ELF file");
    else
        snprintf(s->is, sizeof s->is, "an ELF file for another processor (e_machine %u)", machine);
}

/* --- EFI programs (PE), and what Linux packs into one ---------------------------------------- */

static uint32_t word(const char *head, size_t at)
{
    uint32_t value;

    if (at > SNIFF_HEAD - sizeof value)
        return 0;
    memcpy(&value, head + at, sizeof value);
    return le32toh(value);
}

/* IMAGE_FILE_MACHINE_* of the PE format. */
static const struct arch *pe_arch(const char *head)
{
    static const struct {
        uint32_t machine;
        const struct arch *arch;
    } rows[] = {{0x8664, &arch_x86_64}, {0xaa64, &arch_arm64}, {0x5064, &arch_riscv64}};
    const uint32_t pe = word(head, 0x3c), machine = word(head, (size_t)pe + 4) & 0xffff;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].machine == machine)
            return rows[i].arch;
    return NULL;
}

/* Linux, drivers/firmware/efi/libstub/zboot-header.S: where the payload is, how it is packed. */
static void sniff_zboot(struct sniffed *s, const char *head)
{
    static const struct {
        const char *type, *program;
    } rows[] = {{"gzip", "gunzip"},
                {"zstd", "unzstd"},
                {"xzkern", "unxz"},
                {"lzma", "unlzma"},
                {"lz4", "unlz4"}};
    const char *type = head + 24, *program = "its own program";

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strncmp(type, rows[i].type, 8) == 0)
            program = rows[i].program;
    name(s, "a compressed kernel for EFI (zboot)");
    snprintf(s->advice, sizeof s->advice, "unpack it first: tail -c +%u FILE | head -c %u | %s",
             word(head, 8) + 1, word(head, 12), program);
}

static void sniff_efi(struct sniffed *s, const char *head)
{
    s->arch = pe_arch(head);
    if (memcmp(head + 4, "zimg", 4) == 0)
        sniff_zboot(s, head);
    else
        name(s, "an EFI program, but no Linux kernel");
}

/* --------------------------------------------------------------------------------------------- */

void sniff(struct sniffed *s, const char head[SNIFF_HEAD])
{
    *s = (struct sniffed){0};
    if (memcmp(head, ELFMAG, SELFMAG) == 0) {
        sniff_elf(s, head);
        return;
    }
    for (const struct mark *m = marks; m < marks + sizeof marks / sizeof *marks; m++)
        if (memcmp(head + m->offset, m->bytes, m->len) == 0) {
            s->arch = m->arch;
            s->image = m->image;
            name(s, m->is);
            snprintf(s->advice, sizeof s->advice, "%s", m->advice);
            return;
        }
    if (memcmp(head, "MZ", 2) == 0)
        sniff_efi(s, head);
}

void sniff_file(struct sniffed *s, const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char head[SNIFF_HEAD] = {0};
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        pread(fd, head, sizeof head, 0) < 0)
        memset(head, 0, sizeof head);
    sniff(s, head);
    if (fd >= 0)
        close(fd);
}
