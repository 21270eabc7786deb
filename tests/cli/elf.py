# SPDX-License-Identifier: Apache-2.0
"""Makes ELF files, right ones and wrong ones."""
import struct

RAM = 0x80000000
PT_LOAD, PF_R, PF_W, PF_X = 1, 4, 2, 1
RX = PF_R | PF_X

EHDR = "<16sHHIQQQIHHHHHH"
PHDR = "<IIQQQQQQ"
EHDR_SIZE, PHDR_SIZE = struct.calcsize(EHDR), struct.calcsize(PHDR)
FIELDS = ("ident", "type", "machine", "version", "entry", "phoff", "shoff", "flags", "ehsize",
          "phentsize", "phnum", "shentsize", "shnum", "shstrndx")

# lui a7, 0x53525; addi a7, a7, 0x354; ecall: SBI SRST, a0 = 0: shutdown, a1 = 0: no failure
SHUTDOWN = struct.pack("<III", 0x535258B7, 0x35488893, 0x00000073)


def segment(data=SHUTDOWN, at=RAM, **changes):
    """A program header with its bytes; `changes` override what would be right."""
    return {"type": PT_LOAD, "flags": RX, "vaddr": at, "paddr": at, "align": 4096, "data": data,
            **changes}


def ident(changes):
    """e_ident with some bytes changed: {index: value}."""
    raw = bytearray(b"\x7fELF\x02\x01\x01" + bytes(9))
    for index, value in changes.items():
        raw[index] = value
    return bytes(raw)


def elf(segments=None, ident_changes=(), **changes):
    """The bytes of a file; `changes` override fields of its header."""
    segments = [segment()] if segments is None else segments
    head = {"ident": ident(dict(ident_changes)), "type": 2, "machine": 243, "version": 1,
            "entry": RAM, "phoff": EHDR_SIZE, "shoff": 0, "flags": 0, "ehsize": EHDR_SIZE,
            "phentsize": PHDR_SIZE, "phnum": len(segments), "shentsize": 0, "shnum": 0,
            "shstrndx": 0}
    head.update(changes)
    offset = EHDR_SIZE + PHDR_SIZE * len(segments)
    table, body = b"", b""
    for s in segments:
        size = len(s["data"])
        table += struct.pack(PHDR, s["type"], s["flags"], s.get("offset", offset), s["vaddr"],
                             s["paddr"], s.get("filesz", size), s.get("memsz", size), s["align"])
        body += s["data"]
        offset += size
    return struct.pack(EHDR, *(head[f] for f in FIELDS)) + table + body


EHDR32, PHDR32 = "<16sHHIIIIIHHHHHH", "<8I"


def elf32(data, at, entry=None, machine=3, ident_changes=()):
    """An ELF32 executable of one segment, for i386."""
    size, table = struct.calcsize(EHDR32), struct.calcsize(PHDR32)
    head = struct.pack(EHDR32, ident({4: 1, **dict(ident_changes)}), 2, machine, 1,
                       at if entry is None else entry, size, 0, 0, size, table, 1, 0, 0, 0)
    return head + struct.pack(PHDR32, PT_LOAD, size + table, at, at, len(data), len(data), RX,
                              4096) + data
