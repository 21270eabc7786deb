# SPDX-License-Identifier: Apache-2.0
"""hvcore run --kernel: the board, what is loaded, what is refused. Device trees: test_tree.py."""
import fcntl
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest

from elf import RAM, elf, segment
from images import MIB, PASS, STOP, TEXT_OFFSET, boot, dump, finish, image, words, write
from tool import (BIN, CANCELLED, DEADLINE, FILE, GUEST_FAILED, INSNS, LONG, OK, STUCK, counts,
                  expect, guest, hvcore)

pytestmark = pytest.mark.skipif(not BIN, reason="HVCORE_BIN does not name the program")

QEMU = "qemu-system-riscv64"
SCHEDULES = ("parallel", "lockstep")
schedules = pytest.mark.parametrize("schedule", SCHEDULES)

# --- the finisher -------------------------------------------------------------------------------

FINISHER = {
    "pass": ([0x5555], OK, r"1 hart, \d+ instructions in"),
    "fail": ([0x73333], GUEST_FAILED, r"reports a failure \(code 7\)"),
    "reset": ([0x7777], OK, "asks for a restart"),
    "nonsense first": ([0x1234, 0, 0x5555], OK, r"store-guest-page-fault +0 +0 +3 "),
}


@schedules
@pytest.mark.parametrize("values,code,pattern", FINISHER.values(), ids=FINISHER)
def test_finisher(tmp_path, values, code, pattern, schedule):
    expect(boot(tmp_path, image(finish(*values)), "--schedule", schedule), code, pattern)


def test_the_tables_come_by_themselves(tmp_path):
    result = expect(boot(tmp_path, PASS), OK, r"\nhart +runs +enters")
    assert counts(result.stderr)["store-guest-page-fault"]["emulated"] == 1


def test_an_elf_file_is_a_kernel_too(tmp_path):
    expect(boot(tmp_path, elf([segment(finish(0x5555))])), OK)


# --- the UART: guest echo.S, which sleeps until the PLIC says that a byte has come --------------


def start_echo(*args, **kwargs):
    kwargs = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, **kwargs}
    return subprocess.Popen([BIN, "run", "--kernel", guest("echo"), *args],
                            stderr=subprocess.DEVNULL, **kwargs)


@schedules
def test_echo(schedule):
    command = ("run", "--kernel", guest("echo"), "--schedule", schedule)
    result = hvcore(*command, input="hello, 1 2 3. not this")
    assert expect(result, OK).stdout == "hello, 1 2 3."
    expect(hvcore(*command, input="12345!."), GUEST_FAILED, r"\(code 7\)")


@schedules
def test_no_byte_is_lost(schedule):
    rng = random.Random(1)
    data = bytes(b for b in rng.randbytes(20000) if b != ord(".")) + b"."
    result = hvcore("run", "--kernel", guest("echo"), "--schedule", schedule, input=data,
                    text=False)
    assert expect(result, OK).stdout == data


@schedules
def test_input_that_comes_late_and_in_pieces(schedule):
    with start_echo("--schedule", schedule) as tool:
        for piece in (b"a", b"bc", b"d" * 40, b"."):
            time.sleep(0.1)
            tool.stdin.write(piece)
            tool.stdin.flush()
            assert tool.stdout.read(len(piece)) == piece
        assert tool.wait(timeout=LONG) == OK


def settings(terminal):
    return subprocess.run(["stty", "-g"], stdin=terminal, capture_output=True, check=True).stdout


def test_a_terminal_is_given_back_as_it_was():
    """Bytes come without a line's end; ^C is still the host's."""
    master, slave = os.openpty()
    before = settings(slave)
    with start_echo(stdin=slave, start_new_session=True,
                    preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY)) as tool:
        time.sleep(0.3)
        os.write(master, b"no line end")
        assert tool.stdout.read(11) == b"no line end"
        os.write(master, b"\3")
        assert tool.wait(timeout=LONG) == CANCELLED
    assert settings(slave) == before
    os.close(slave)
    os.close(master)


@pytest.mark.skipif(not shutil.which(QEMU), reason=f"no {QEMU}")
def test_echo_does_the_same_in_qemu(tmp_path):
    top = pathlib.Path(__file__).parents[2]
    path = tmp_path / "echo.elf"
    subprocess.run([top / "scripts/freestanding-cc", "riscv64", "-static", "-Wl,--build-id=none",
                    "-Wl,--defsym=guest_base=0x80200000", f"-Wl,-T,{top}/tests/guests/guest.ld",
                    "-o", path, top / "tests/guests/echo.S"], check=True, timeout=LONG)
    with subprocess.Popen([QEMU, "-M", "virt", "-display", "none", "-monitor", "none", "-serial",
                           "stdio", "-kernel", path], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as qemu:
        while b"MEDELEG" not in qemu.stdout.readline():
            pass  # that is the firmware's last line
        time.sleep(0.5)
        qemu.stdin.write(b"hello1!.")
        qemu.stdin.flush()
        assert qemu.stdout.read().endswith(b"hello1!.")
        assert qemu.wait(timeout=LONG) == 8


# --- registers of one byte, and no others: what is not there is an access fault (5, 7) ----------

UART_ACCESS = {
    "lbu 5": (0x00534383, 0), "lbu 8": (0x00834383, 5), "lhu 0": (0x00035383, 5),
    "lw 0": (0x00032383, 5), "ld 0": (0x00033383, 5), "sb 7": (0x007303A3, 0),
    "sb 8": (0x00730423, 7), "sh 0": (0x00731023, 7), "sw 0": (0x00732023, 7),
    "sd 0": (0x00733023, 7),
}


@pytest.mark.parametrize("insn,cause", UART_ACCESS.values(), ids=UART_ACCESS)
def test_access_to_the_uart(tmp_path, insn, cause):
    """The trap handler, at 64, reports scause as the code of a failure."""
    code = words(0x00000297, 0x04028293, 0x10529073,  # auipc t0, 0; addi t0, t0, 64; csrw stvec, t0
                 0x10000337, insn) + finish(0x5555)   # lui t1, 0x10000; the access, by t2
    handler = words(0x14202573, 0x01051513,           # csrr a0, scause; slli a0, a0, 16
                    0x00003337, 0x33330313,           # t1 = 0x3333
                    0x00A36333, 0x001002B7, 0x0062A023)  # or; lui t0, 0x100; sw t1, 0(t0)
    result = boot(tmp_path, image(code.ljust(64, b"\0") + handler))
    expect(result, GUEST_FAILED if cause else OK, rf"\(code {cause}\)" if cause else "1 hart")


# --- limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("smp", [1, 4])
@schedules
def test_a_kernel_that_sleeps_can_be_ended(schedule, smp):
    """All harts wait: for input, or to be started."""
    with start_echo("--schedule", schedule, "--smp", str(smp)) as tool:
        time.sleep(0.3)
        tool.send_signal(signal.SIGINT)
        assert tool.wait(timeout=LONG) == CANCELLED
    start = time.monotonic()
    with start_echo("--schedule", schedule, "--smp", str(smp), "--deadline", "0.3") as tool:
        assert tool.wait(timeout=LONG) == DEADLINE
    assert time.monotonic() - start < LONG / 2


def test_in_lockstep_a_kernel_that_nothing_can_wake_ends():
    expect(hvcore("run", "--kernel", guest("echo"), "--schedule", "lockstep", "--smp", 2), STUCK,
           "waits for an interrupt")


def test_instructions_in_lockstep_are_those_of_all_harts(tmp_path):
    expect(boot(tmp_path, image(words(STOP)), "--schedule", "lockstep", "--smp", 3, "--max-insns",
                100001),
           INSNS, "have executed their 100001 instructions", "3 harts, 100001 instructions")


# --- lockstep -----------------------------------------------------------------------------------


def test_traces_of_equal_runs_are_equal(tmp_path):
    """The loop counts in s0: each million instructions shows another state."""
    loop = image(words(0x00140413, 0xFFDFF06F))  # addi s0, s0, 1; j .-4
    traces = []
    for name in ("a", "b"):
        expect(boot(tmp_path, loop, "--schedule", "lockstep", "--trace", tmp_path / name,
                    "--max-insns", 3500000, "--mem", "8M"), INSNS)
        traces.append((tmp_path / name).read_text(encoding="ascii"))
    assert traces[0] == traces[1]
    *lines, last = (line.split() for line in traces[0].splitlines())
    assert [line[:2] for line in lines] == [
        [str(n), "0"] for n in (1000000, 2000000, 3000000, 3500000)]
    assert len({line[3] for line in lines}) == 4 and last[0] == "memory"


def test_a_trace_that_cannot_be_written(tmp_path):
    expect(boot(tmp_path, PASS, "--schedule", "lockstep", "--trace", tmp_path / "no" / "folder"),
           FILE, "cannot be written")


# --- kernels that are refused -------------------------------------------------------------------


def pe_image(size):
    """An Image with an EFI stub, cut to a size: one section, of 0x1000 bytes from 0x200 on."""
    pe = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x5064, 1, 0, 0, 0, 0, 0)
    section = struct.pack("<8sIIII16x", b".text", 0x1000, 0x200, 0x1000, 0x200)
    data = image(pe + section, first=0x5A4D, pe=64, image_size=0x2000)
    return (data + bytes(0x1200))[:size]


def zboot():
    """zboot-header.S of Linux: 9 bytes by zstd at 64, in a PE for riscv64."""
    data = bytearray(256)
    data[0:8], data[24:28] = b"MZ\0\0zimg", b"zstd"
    data[8:16] = struct.pack("<II", 64, 9)
    data[60:64], data[128:134] = struct.pack("<I", 128), b"PE\0\0\x64\x50"
    return bytes(data)


def at(offset, mark, size=1024):
    data = bytearray(size)
    data[offset:offset + len(mark)] = mark
    return bytes(data)


BAD_KERNEL = {
    "empty": (b"", "truncated: 0 bytes, where 64"),
    "one byte": (b"M", "truncated: 1 bytes"),
    "a header cut off": (PASS[:63], "truncated: 63 bytes"),
    "EFI sections cut off": (pe_image(0x1000), "truncated: 4096 bytes, where 4608"),
    "EFI header cut off": (pe_image(70), "truncated: 70 bytes, where 88"),
    "EFI table cut off": (pe_image(100), "truncated: 100 bytes, where 128"),
    "arm64": (at(56, b"ARM\x64"), "a Linux kernel for arm64, and "),
    "arm": (at(36, b"\x18\x28\x6f\x01"), r"a Linux kernel for arm \(32 bits\)"),
    "x86": (at(0x202, b"HdrS"), "a Linux kernel for x86_64"),
    "zboot": (zboot(), r"\(zboot\) for riscv64; unpack it first: tail -c \+65 .*-c 9 \| unzstd"),
    "gzip": (at(0, b"\x1f\x8b\x08"), "unpack it first, with gunzip"),
    "xz": (at(0, b"\xfd7zXZ\0"), "unxz"),
    "zstd": (at(0, b"\x28\xb5\x2f\xfd"), "unzstd"),
    "u-boot": (at(0, b"\x27\x05\x19\x56"), "U-Boot"),
    "an initramfs": (at(0, b"070701"), "is it the --initrd"),
    "a device tree": (at(0, b"\xd0\x0d\xfe\xed"), "is it the --dtb"),
    "a package": (at(0, b"!<arch>\n"), "dpkg-deb -x"),
    "an EFI program": (at(0, b"MZ"), "an EFI program, but no Linux kernel"),
    "text": (b"#!/bin/sh\n" * 20, "neither a Linux Image for .* nor an ELF"),
    "big-endian": (image(b"", flags=1), "big-endian"),
    "odd text_offset": (image(b"", text_offset=0x201000),
                        "text_offset is 0x201000, not a multiple of 2 MiB"),
    "image_size huge": (image(b"", image_size=2**64 - 1), "give it more with --mem"),
    "text_offset huge": (image(b"", text_offset=2**64 - TEXT_OFFSET), "give it more with --mem"),
    "ELF of sparc": (elf(machine=43), "e_machine is 43, not 243"),
    "ELF of x86": (elf(machine=62), "an ELF file for x86_64"),
}


@pytest.mark.parametrize("data,pattern", BAD_KERNEL.values(), ids=BAD_KERNEL)
def test_bad_kernel(tmp_path, data, pattern):
    result = expect(boot(tmp_path, data, "--mem", "16M"), FILE, pattern)
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"hvcore: {tmp_path}/Image: ")


def test_a_whole_image_with_a_stub_is_taken(tmp_path):
    """It runs; its first bytes, "MZ", are no jump here, and behind them there are zeros."""
    expect(boot(tmp_path, pe_image(0x1200), "--mem", "16M"), STUCK, "does not get on")


def test_no_file_is_there(tmp_path):
    expect(hvcore("run", "--kernel", tmp_path / "none"), FILE, "cannot be opened: No such file")
    expect(hvcore("run", "--kernel", tmp_path), FILE, "not a regular file")
    expect(hvcore("run", "--kernel", "/dev/null"), FILE, "not a regular file")


def test_too_little_memory(tmp_path):
    expect(boot(tmp_path, PASS, "--mem", "2M"), FILE, "memory ends at 0x80200000")
    expect(boot(tmp_path, image(b"", image_size=14 * MIB), "--mem", "16M"), FILE,
           "the device tree do not fit behind it")
    expect(boot(tmp_path, image(finish(0x5555), image_size=13 * MIB), "--mem", "16M"), OK)


# --- initramfs ----------------------------------------------------------------------------------


def test_initrd_stands_in_memory_where_the_tree_says(tmp_path):
    """The kernel compares its first word; it spins if that is another one."""
    initrd = write(tmp_path, b"abcd" * 3000, "initrd")
    chosen = dump(tmp_path, "--initrd", initrd, "--mem", "16M")["/chosen"]
    start, end = (int.from_bytes(chosen[f"linux,initrd-{w}"], "big") for w in ("start", "end"))
    assert end - start == 12000 and start % 4096 == 0
    assert RAM + TEXT_OFFSET < start < end < RAM + 16 * MIB
    code = words(start & 0xFFFFF000 | 0x2B7,  # lui t0
                 0x02029293, 0x0202D293,      # slli t0, t0, 32; srli t0, t0, 32
                 0x0002A303,                  # lw t1, 0(t0)
                 0x646363B7, 0x26138393,      # lui t2; addi t2: 0x64636261
                 0x00730463, STOP)            # beq t1, t2, .+8
    expect(boot(tmp_path, image(code + finish(0x5555)), "--initrd", initrd, "--mem", "16M",
                "--deadline", "5"), OK)


def test_initrd_that_does_not_fit(tmp_path):
    initrd = write(tmp_path, bytes(15 * MIB), "initrd")
    expect(boot(tmp_path, PASS, "--initrd", initrd, "--mem", "16M"), FILE,
           "initrd: its 15728640 bytes do not fit between the kernel, .*more than 16 MiB")
    expect(boot(tmp_path, PASS, "--initrd", initrd, "--mem", "32M"), OK)


def test_initrd_that_just_fits(tmp_path):
    """The kernel ends where it begins, and then one byte later."""
    initrd = write(tmp_path, bytes(5000), "initrd")
    chosen = dump(tmp_path, "--initrd", initrd)["/chosen"]
    start = int.from_bytes(chosen["linux,initrd-start"], "big")
    room = start - RAM - TEXT_OFFSET
    expect(boot(tmp_path, image(finish(0x5555), image_size=room), "--initrd", initrd), OK)
    expect(boot(tmp_path, image(finish(0x5555), image_size=room + 1), "--initrd", initrd), FILE,
           "do not fit between")


def test_bad_initrd(tmp_path):
    expect(boot(tmp_path, PASS, "--initrd", write(tmp_path, b"", "initrd")), FILE, "it is empty")
    expect(boot(tmp_path, PASS, "--initrd", tmp_path / "none"), FILE, "none: cannot be opened")
    expect(boot(tmp_path, PASS, "--initrd", tmp_path), FILE, "name an initramfs")
