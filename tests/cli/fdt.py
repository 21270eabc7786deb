# SPDX-License-Identifier: Apache-2.0
"""Reads device tree blobs (Devicetree Specification 0.4, chapter 5)."""
import struct

MAGIC, VERSION = 0xD00DFEED, 17
BEGIN_NODE, END_NODE, PROP, NOP, END = 1, 2, 3, 4, 9


def _text(blob, at):
    return blob[at:blob.index(b"\0", at)].decode()


def read(blob):
    """{path: {property: bytes}}, in the order of the blob."""
    magic, total, structs, strings, _, version = struct.unpack_from(">6I", blob)
    assert (magic, version) == (MAGIC, VERSION) and total <= len(blob)
    nodes, path, at = {}, [], structs
    while True:
        (token,) = struct.unpack_from(">I", blob, at)
        at += 4
        if token == BEGIN_NODE:
            name = _text(blob, at)
            at += len(name) // 4 * 4 + 4
            path.append(name)
            nodes["/".join(path) or "/"] = {}
        elif token == END_NODE:
            path.pop()
        elif token == PROP:
            size, name = struct.unpack_from(">2I", blob, at)
            nodes["/".join(path) or "/"][_text(blob, strings + name)] = blob[at + 8:at + 8 + size]
            at += 8 + (size + 3) // 4 * 4
        elif token == END:
            return nodes
        else:
            assert token == NOP


def cells(value):
    return struct.unpack(f">{len(value) // 4}I", value)


def texts(value):
    return value.decode().rstrip("\0").split("\0")
