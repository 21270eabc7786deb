# SPDX-License-Identifier: Apache-2.0
"""hvcore run --kernel: the board's device tree, and one from a file."""
import random
import shutil
import struct
import subprocess

import pytest

import fdt
from elf import RAM
from images import MIB, PASS, boot, dump, write
from tool import BIN, FILE, HOST, LONG, OK, expect

pytestmark = pytest.mark.skipif(not BIN, reason="HVCORE_BIN does not name the program")

QEMU = "qemu-system-riscv64"

# --- the board's own ----------------------------------------------------------------------------


def test_tree(tmp_path):
    tree = dump(tmp_path, "--smp", 3, "--append", "console=ttyS0 quiet", "--mem", "64M")
    assert fdt.cells(tree["/memory@80000000"]["reg"]) == (0, RAM, 0, 64 * MIB)
    assert fdt.texts(tree["/chosen"]["bootargs"]) == ["console=ttyS0 quiet"]
    assert "linux,initrd-start" not in tree["/chosen"]
    harts = [f"/cpus/cpu@{n}" for n in range(3)]
    assert [path for path in tree if path.startswith("/cpus/") and path.count("/") == 2] == harts
    handles = [fdt.cells(tree[f"{hart}/interrupt-controller"]["phandle"])[0] for hart in harts]
    plic = tree["/soc/plic@c000000"]
    assert fdt.cells(plic["interrupts-extended"]) == tuple(x for h in handles for x in (h, 9))
    phandles = [n["phandle"] for n in tree.values() if "phandle" in n]
    assert len(set(phandles)) == len(phandles)


def test_the_two_spellings_of_the_isa_agree(tmp_path):
    cpu = dump(tmp_path)["/cpus/cpu@0"]
    extensions = fdt.texts(cpu["riscv,isa-extensions"])
    base, *rest = fdt.texts(cpu["riscv,isa"])[0].split("_")
    assert base == "rv64" + "".join(e for e in extensions if len(e) == 1)
    assert sorted(rest) == sorted(e for e in extensions if len(e) > 1 and e != "svade")


def test_a_seed_for_each_run_but_not_in_lockstep(tmp_path):
    seeds = [dump(tmp_path)["/chosen"]["rng-seed"] for _ in range(2)]
    assert len(seeds[0]) == 64 and seeds[0] != seeds[1]
    assert "rng-seed" not in dump(tmp_path, "--schedule", "lockstep")["/chosen"]


@pytest.mark.skipif(not shutil.which("dtc"), reason="no dtc")
def test_dtc_has_nothing_to_say(tmp_path):
    dump(tmp_path, "--smp", 4, "--append", "x", "--initrd", write(tmp_path, b"x", "initrd"))
    result = subprocess.run(["dtc", "-I", "dtb", "-O", "null", tmp_path / "dump.dtb"],
                            capture_output=True, text=True, check=True)
    assert result.stderr == ""


SAME_IN_QEMU = {
    "/": ("#address-cells", "#size-cells", "compatible"),
    "/chosen": ("stdout-path",),
    "/memory@80000000": ("device_type", "reg"),
    "/cpus": ("#address-cells", "#size-cells", "timebase-frequency"),
    "/cpus/cpu@1": ("device_type", "reg", "status", "compatible"),
    "/cpus/cpu@1/interrupt-controller": ("#interrupt-cells", "interrupt-controller", "compatible"),
    "/soc": ("#address-cells", "#size-cells", "compatible", "ranges"),
    "/soc/serial@10000000": ("compatible", "reg", "interrupts", "clock-frequency"),
    "/soc/test@100000": ("compatible", "reg"),
    "/soc/plic@c000000": ("compatible", "#interrupt-cells", "#address-cells",
                          "interrupt-controller"),
    "/poweroff": ("compatible", "offset", "value"),
    "/reboot": ("compatible", "offset", "value"),
}


@pytest.mark.skipif(not shutil.which(QEMU), reason=f"no {QEMU}")
def test_what_qemu_has_is_as_qemu_says_it(tmp_path):
    ours = dump(tmp_path, "--smp", 2, "--mem", "128M")
    subprocess.run([QEMU, "-M", f"virt,dumpdtb={tmp_path}/qemu.dtb", "-smp", "2", "-m", "128M",
                    "-display", "none"], check=True, capture_output=True, timeout=LONG)
    theirs = fdt.read((tmp_path / "qemu.dtb").read_bytes())
    for path, properties in SAME_IN_QEMU.items():
        for name in properties:
            assert ours[path][name] == theirs[path][name], (path, name)


# --- one from a file ----------------------------------------------------------------------------


def test_a_tree_from_a_file_is_told_what_this_run_is(tmp_path):
    dump(tmp_path, "--smp", 2, "--append", "old", "--initrd", write(tmp_path, b"x" * 10, "initrd"))
    given = write(tmp_path, (tmp_path / "dump.dtb").read_bytes(), "given.dtb")
    tree = dump(tmp_path, "--dtb", given, "--mem", "32M", "--append", "new, and longer than before")
    assert fdt.cells(tree["/memory@80000000"]["reg"]) == (0, RAM, 0, 32 * MIB)
    assert fdt.texts(tree["/chosen"]["bootargs"]) == ["new, and longer than before"]
    assert "linux,initrd-start" not in tree["/chosen"] and "/cpus/cpu@1" in tree
    assert fdt.texts(dump(tmp_path, "--dtb", given)["/chosen"]["bootargs"]) == ["old"]


@pytest.mark.skipif(not shutil.which("dtc"), reason="no dtc")
def test_a_tree_without_memory_and_chosen(tmp_path):
    source = b"""/dts-v1/; / { #address-cells = <1>; #size-cells = <1>;
                 a { device_type = "memory"; reg = <1 2>; }; };"""
    subprocess.run(["dtc", "-q", "-O", "dtb", "-o", tmp_path / "small.dtb"], input=source,
                   check=True)
    tree = dump(tmp_path, "--dtb", tmp_path / "small.dtb", "--append", "x", "--mem", "32M")
    assert fdt.cells(tree["/memory@80000000"]["reg"]) == (RAM, 32 * MIB)
    assert "/a" not in tree and fdt.texts(tree["/chosen"]["bootargs"]) == ["x"]


def changed(blob, offset, value):
    return blob[:offset] + struct.pack(">I", value) + blob[offset + 4:]


BAD_TREE = {
    "empty": lambda b: b"",
    "short": lambda b: b[:39],
    "cut off": lambda b: b[:-1],
    "half": lambda b: b[:len(b) // 2],
    "magic": lambda b: changed(b, 0, 0xD00DFEEE),
    "totalsize": lambda b: changed(b, 4, 0xFFFFFFFF),
    "structs outside": lambda b: changed(b, 8, 0x7FFFFFFF),
    "strings outside": lambda b: changed(b, 12, 0xFFFFFFF0),
    "reservations outside": lambda b: changed(b, 16, 0x10000000),
    "version": lambda b: changed(b, 20, 1),
    "strings huge": lambda b: changed(b, 32, 0xFFFFFFFF),
    "structs huge": lambda b: changed(b, 36, 0xFFFFFFFF),
    "a Linux kernel": lambda b: PASS,
    "too long": lambda b: b + bytes(2 * MIB),
}


@pytest.mark.parametrize("damage", BAD_TREE.values(), ids=BAD_TREE)
def test_bad_tree(tmp_path, damage):
    dump(tmp_path)
    bad = write(tmp_path, damage((tmp_path / "dump.dtb").read_bytes()), "bad.dtb")
    result = expect(boot(tmp_path, PASS, "--dtb", bad), FILE, "--dump-dtb")
    assert len(result.stderr.splitlines()) == 1


def test_damaged_trees_are_refused_or_run(tmp_path):
    """Whatever stands in the file, there is a sentence or a run."""
    rng = random.Random(1)
    dump(tmp_path, "--smp", 2)
    good = (tmp_path / "dump.dtb").read_bytes()
    ends = set()
    for _ in range(200):
        blob = bytearray(good)
        for _ in range(rng.randrange(1, 8)):
            blob[rng.randrange(len(blob) if rng.random() < 0.5 else 64)] = rng.randrange(256)
        bad = write(tmp_path, bytes(blob), "bad.dtb")
        result = boot(tmp_path, PASS, "--dtb", bad, "--mem", "16M")
        assert result.returncode in (OK, FILE), result
        ends.add(result.returncode)
    assert ends == {OK, FILE}


def test_dump_that_cannot_be_written(tmp_path):
    expect(boot(tmp_path, PASS, "--dump-dtb", tmp_path / "no" / "folder"), HOST,
           "cannot be written")
