# SPDX-License-Identifier: Apache-2.0
"""Small kernels in Linux's Image format, and what runs them."""
import struct

import fdt
from tool import OK, expect, hvcore

MIB = 1 << 20
TEXT_OFFSET = 2 * MIB
STOP = 0x0000006F  # j .


def words(*values):
    return struct.pack(f"<{len(values)}I", *values)


def finish(*values):
    """lui t0, 0x100; then for each value lui t1; addi t1; sw t1, 0(t0); at the end j ."""
    code = [0x001002B7]
    for value in values:
        high, low = (value + 0x800) >> 12 & 0xFFFFF, value & 0xFFF
        code += [high << 12 | 0x337, low << 20 | 0x30313, 0x0062A023]
    return words(*code, STOP)


def image(code, image_size=None, text_offset=TEXT_OFFSET, flags=0, first=0x0400006F, pe=0):
    """An Image; `first`, its first instruction, jumps over the 64 bytes of the header."""
    if image_size is None:
        image_size = 64 + len(code)
    return struct.pack("<IIQQQIIQ8s4sI", first, 0, text_offset, image_size, flags, 2, 0, 0,
                       b"RISCV\0\0\0", b"RSC\x05", pe) + code


PASS = image(finish(0x5555))


def write(folder, data, name="Image"):
    path = folder / name
    path.write_bytes(data)
    return path


def boot(folder, data, *args, **kwargs):
    kwargs.setdefault("input", "")
    return hvcore("run", "--kernel", write(folder, data), *args, **kwargs)


def dump(folder, *args):
    """The device tree that a kernel would get; it is in the file dump.dtb as well."""
    path = folder / "dump.dtb"
    expect(boot(folder, PASS, "--dump-dtb", path, *args), OK)
    return fdt.read(path.read_bytes())
