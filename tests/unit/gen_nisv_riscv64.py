#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/vectors/nisv_riscv64.json: loads and stores as binutils assembles them.

    gen_nisv_riscv64.py [-o FILE]

The encodings are riscv64-linux-gnu-as's (through .insn where it does not know an extension), what an
instruction does is written here from its mnemonic and operands. The table is committed; the tests
need no assembler.

    w     the bits; len    2 or 4; t    the text
    kind  load, store, lr, sc, amo, cas, cbo; op   of amo
    size  bytes; cls   x or f; rd, rs2   registers that there are
    base, imm   the address; sign   1 if a load is sign-extended; aq, rl; cbo   which
    no    in place of all these: the name of the reason
"""
import argparse
import itertools
import json
import pathlib
import subprocess
import tempfile

OUT = pathlib.Path(__file__).resolve().parent.parent / "vectors/nisv_riscv64.json"
MARCH = "rv64gc_zfh_zicbom_zicboz_h_v"
REGS = (0, 1, 2, 8, 10, 15, 31)
IMMS = (0, 1, 8, 2047, -1, -8, -2048)

rows = []


def add(text, **what):
    rows.append((text, what))


def plain():
    loads = {"lb": (1, 1), "lh": (2, 1), "lw": (4, 1), "ld": (8, 1), "lbu": (1, 0), "lhu": (2, 0), "lwu": (4, 0)}
    for name, (size, sign) in loads.items():
        for k, (rd, base) in enumerate(itertools.product(REGS, REGS)):
            imm = IMMS[k % len(IMMS)]
            add(f"{name} x{rd}, {imm}(x{base})", kind="load", size=size, cls="x", rd=rd, base=base, imm=imm, sign=sign)
    for name, size in {"sb": 1, "sh": 2, "sw": 4, "sd": 8}.items():
        for k, (rs2, base) in enumerate(itertools.product(REGS, REGS)):
            imm = IMMS[k % len(IMMS)]
            add(f"{name} x{rs2}, {imm}(x{base})", kind="store", size=size, cls="x", rs2=rs2, base=base, imm=imm)


def floats():
    for k, (f, base) in enumerate(itertools.product(REGS, REGS)):
        imm = IMMS[k % len(IMMS)]
        for name, size in {"h": 2, "w": 4, "d": 8}.items():
            add(f"fl{name} f{f}, {imm}(x{base})", kind="load", size=size, cls="f", rd=f, base=base, imm=imm)
            add(f"fs{name} f{f}, {imm}(x{base})", kind="store", size=size, cls="f", rs2=f, base=base, imm=imm)


AMOS = {"add": 0, "swap": 1, "xor": 4, "or": 8, "and": 12, "min": 16, "max": 20, "minu": 24, "maxu": 28}
ORDERS = {"": (0, 0), ".aq": (1, 0), ".rl": (0, 1), ".aqrl": (1, 1)}


def atomics():
    for (order, (aq, rl)), (w, size), (rd, rs2, base) in itertools.product(
            ORDERS.items(), (("w", 4), ("d", 8)), ((0, 0, 0), (5, 6, 7), (31, 0, 10), (0, 31, 2), (9, 9, 9))):
        common = {"size": size, "cls": "x", "base": base, "imm": 0, "aq": aq, "rl": rl}
        for name in AMOS:
            add(f"amo{name}.{w}{order} x{rd}, x{rs2}, (x{base})", kind="amo", op=name, rd=rd, rs2=rs2, sign=1, **common)
        add(f"lr.{w}{order} x{rd}, (x{base})", kind="lr", rd=rd, sign=1, **common)
        add(f"sc.{w}{order} x{rd}, x{rs2}, (x{base})", kind="sc", rd=rd, rs2=rs2, **common)
        f7 = 5 << 2 | aq << 1 | rl
        f3 = 2 if w == "w" else 3
        add(f".insn r 0x2f, {f3}, {f7}, x{rd}, x{base}, x{rs2}", kind="cas", rd=rd, rs2=rs2, sign=1, **common)


def blocks():
    for name, base in itertools.product(("inval", "clean", "flush", "zero"), REGS):
        add(f"cbo.{name} (x{base})", kind="cbo", cbo=name, base=base, imm=0)


def compressed():
    short = (8, 9, 15)
    for r, base in itertools.product(short, short):
        for name, size, imms in (("w", 4, (0, 4, 64, 124)), ("d", 8, (0, 8, 64, 248))):
            for imm in imms:
                add(f"c.l{name} x{r}, {imm}(x{base})", kind="load", size=size, cls="x", rd=r, base=base, imm=imm, sign=1)
                add(f"c.s{name} x{r}, {imm}(x{base})", kind="store", size=size, cls="x", rs2=r, base=base, imm=imm)
        for imm in (0, 8, 64, 248):
            add(f"c.fld f{r}, {imm}(x{base})", kind="load", size=8, cls="f", rd=r, base=base, imm=imm)
            add(f"c.fsd f{r}, {imm}(x{base})", kind="store", size=8, cls="f", rs2=r, base=base, imm=imm)
    for r in REGS:
        for name, size, imms in (("w", 4, (0, 4, 32, 64, 252)), ("d", 8, (0, 8, 32, 64, 504))):
            for imm in imms:
                if r:
                    add(f"c.l{name}sp x{r}, {imm}(x2)", kind="load", size=size, cls="x", rd=r, base=2, imm=imm, sign=1)
                add(f"c.s{name}sp x{r}, {imm}(x2)", kind="store", size=size, cls="x", rs2=r, base=2, imm=imm)
        for imm in (0, 8, 32, 64, 504):
            add(f"c.fldsp f{r}, {imm}(x2)", kind="load", size=8, cls="f", rd=r, base=2, imm=imm)
            add(f"c.fsdsp f{r}, {imm}(x2)", kind="store", size=8, cls="f", rs2=r, base=2, imm=imm)


def zcb():
    """100 000 rs1' uimm[0|1] rd' 00 and its four relatives, which binutils 2.40 does not know."""
    for r, base, imm in itertools.product((8, 15), (8, 12), range(4)):
        regs = (base - 8) << 7 | (r - 8) << 2 | 4 << 13
        byte, half = (imm & 1) << 6 | (imm >> 1) << 5, (imm >> 1) << 5
        add(f".2byte {regs | byte:#x} # c.lbu", kind="load", size=1, cls="x", rd=r, base=base, imm=imm, sign=0)
        add(f".2byte {regs | 2 << 10 | byte:#x} # c.sb", kind="store", size=1, cls="x", rs2=r, base=base, imm=imm)
        if imm & 1:
            continue
        for sign in (0, 1):
            add(f".2byte {regs | 1 << 10 | sign << 6 | half:#x} # c.lh", kind="load", size=2, cls="x", rd=r,
                base=base, imm=imm, sign=sign)
        add(f".2byte {regs | 3 << 10 | half:#x} # c.sh", kind="store", size=2, cls="x", rs2=r, base=base, imm=imm)


def refused():
    for text in ("addi x5, x6, 8", "lui x5, 1", "jal x0, .", "beq x5, x6, .", "fence", "fence.i", "ecall", "c.nop",
                 "csrr x5, sscratch", "c.addi x5, 1", "c.addi4spn x8, x2, 16", "c.mv x5, x6", "fadd.d f1, f2, f3",
                 "c.lui x5, 1", "c.slli x5, 3", ".4byte 0xffffffff", ".2byte 0", "sfence.vma", "wfi"):
        add(text, no="not_memory")
    for text in (".insn i 0x03, 7, x5, x6, 0", ".insn s 0x23, 4, x5, 0(x6)", ".insn r 0x2f, 0, 0, x5, x6, x7",
                 ".insn r 0x2f, 2, 0x7c, x5, x6, x7", ".insn r 0x2f, 3, 8, x5, x6, x1", ".insn i 0x0f, 2, x0, x6, 3",
                 ".insn i 0x0f, 2, x5, x6, 4", ".2byte 0x4002", ".2byte 0x6002", ".2byte 0x9c00", ".2byte 0x8c40"):
        add(text, no="unknown")
    for text in ("vle64.v v0, (x10)", "vse8.v v31, (x2)", "vluxei32.v v8, (x5), v4", ".insn i 0x07, 0, x5, x6, 0"):
        add(text, no="vector")
    for text in (".insn i 0x07, 4, x5, x6, 0", ".insn s 0x27, 4, x5, 0(x6)", ".insn r 0x2f, 4, 0x14, x4, x6, x8"):
        add(text, no="quad")
    for text in ("hlv.d x5, (x6)", "hlvx.hu x5, (x6)", "hsv.b x5, (x6)"):
        add(text, no="hypervisor")
    for opcode in (0x0b, 0x2b, 0x5b, 0x7b):
        add(f".insn i {opcode}, 3, x5, x6, 0", no="custom")


def assemble():
    lines = ["\t.option norelax\n\t.option norvc\n"]
    for text, _ in rows:
        short = text.startswith(("c.", ".2byte"))
        lines.append(f"\t.option rvc\n\t{text}\n\t.option norvc\n\t.2byte 0\n" if short else f"\t{text}\n")
    with tempfile.TemporaryDirectory() as d:
        src, obj, raw = (pathlib.Path(d) / n for n in ("a.s", "a.o", "a.bin"))
        src.write_text("".join(lines), encoding="ascii")
        subprocess.run(["riscv64-linux-gnu-as", f"-march={MARCH}", "-o", obj, src], check=True)
        subprocess.run(["riscv64-linux-gnu-objcopy", "-O", "binary", "-j", ".text", obj, raw], check=True)
        code = raw.read_bytes()
    at = 0
    for text, what in rows:
        half = int.from_bytes(code[at:at + 2], "little")
        size = 4 if half & 3 == 3 else 2
        yield {"w": f"{int.from_bytes(code[at:at + size], 'little'):#x}", "len": size, "t": text, **what}
        at += 4
    assert at == len(code), (at, len(code))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("-o", default=OUT)
    args = ap.parse_args()
    for part in (plain, floats, atomics, blocks, compressed, zcb, refused):
        part()
    vectors = list(assemble())
    with open(args.o, "w", encoding="utf-8") as out:
        out.write('{"doc": "written by tests/unit/gen_nisv_riscv64.py from binutils\' encodings",\n "vectors": [\n')
        out.write(",\n".join(json.dumps(v) for v in vectors) + "\n]}\n")
    print(f"{len(vectors)} vectors, {sum('no' in v for v in vectors)} of them refused")


if __name__ == "__main__":
    main()
