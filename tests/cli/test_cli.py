# SPDX-License-Identifier: Apache-2.0
"""The command line tool: options, exit codes, bad input, the live policy."""
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import struct
import subprocess
import threading
import time

import pytest

from elf import (EHDR_SIZE, PF_R, PF_W, PHDR_SIZE, RAM, SHUTDOWN, elf, segment)
from tool import (BIN, CANCELLED, DEADLINE, FILE, GUEST_FAILED, HOST, INSNS, LONG, OK, SLOW, STUCK,
                  USAGE, counts, expect, guest, hvcore)

pytestmark = pytest.mark.skipif(not BIN, reason="HVCORE_BIN does not name the program")


class Running:
    """A tool that runs; its lines can be waited for."""

    def __init__(self, *args):
        self.process = subprocess.Popen([BIN, *map(str, args)], text=True, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = queue.Queue()
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        for line in stream:
            self.lines.put(line.rstrip("\n"))

    def wait_line(self, pattern):
        """Takes lines up to one that matches; returns all of them."""
        seen, until = [], time.monotonic() + LONG
        while True:
            try:
                seen.append(self.lines.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                pytest.fail(f"no line like {pattern!r} in {seen}")
            if re.search(pattern, seen[-1]):
                return seen

    def stats(self):
        """The table of traps, now."""
        self.process.send_signal(signal.SIGUSR1)
        self.wait_line(r"# +cause")
        lines = self.wait_line(r"^hart ")
        return counts("# cause delegated redirected emulated exited stopped late\n" + "\n".join(lines))

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=LONG)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


# --- help, version, probe ---------------------------------------------------------------------------


def test_version():
    assert re.fullmatch(r"hvcore \d+\.\d+\.\d+ \(library \d+\.\d+\.\d+\)\n",
                        expect(hvcore("--version"), OK).stdout)


@pytest.mark.parametrize("args", [["--help"], ["help"], ["-h"], ["run", "--help"], ["run", "-h"],
                                  ["probe", "--help"], ["check", "--help"]])
def test_help(args):
    result = expect(hvcore(*args), OK)
    assert result.stderr == "" and result.stdout.startswith("hvcore")
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert len(result.stdout.splitlines()) <= 32


def test_every_option_of_run_is_in_its_help_and_in_the_manual():
    text = hvcore("run", "--help").stdout
    manual = (pathlib.Path(__file__).parents[2] / "docs/hvcore.1").read_text(encoding="utf-8")
    for option in ("arch", "backend", "el2", "policy", "policy-watch", "stats", "report", "deadline", "max-insns", "mem",
                   "smp", "arg", "kernel", "initrd", "append", "dtb", "dump-dtb", "schedule", "trace"):
        assert f"--{option}" in text
        assert f".It Fl -{option}" in manual
    assert "--vcpus" in text and "Fl -vcpus" in manual


def test_exit_codes_are_in_help_and_manual():
    text = hvcore("--help").stdout
    manual = (pathlib.Path(__file__).parents[2] / "docs/hvcore.1").read_text(encoding="utf-8")
    for code in range(9):
        assert re.search(rf"(^|\s){code} \w", text, re.M)
        assert f".It {code}\n" in manual


BACKENDS = json.loads(hvcore("probe", "--json").stdout)["backends"] if BIN else []


def test_probe():
    text = expect(hvcore("probe"), OK).stdout
    assert "bare/soft" in text and "illegal-instruction" in text and "insn-limit" in text
    assert re.search(r"^  hedeleg +library +The VM's trap policy decides\.$", text, re.M)
    assert max(map(len, text.splitlines())) <= 100


def test_every_capability_has_a_name():
    top = pathlib.Path(__file__).parents[2]
    names = re.findall(r"\bHVCORE_CAP_(\w+) =\s", (top / "include/hvcore/ctx.h").read_text("utf-8"))
    source = (top / "tools/hvcore/probe.c").read_text("utf-8")
    assert len(names) >= 10
    for name in names:
        assert f'HVCORE_CAP_{name}, "{name.lower().replace("_", "-")}"' in source


@pytest.mark.parametrize("backend", BACKENDS, ids=[b["name"] + b["arch"] for b in BACKENDS])
def test_probe_says_who_does_what(backend):
    duties = {d["duty"]: d for d in backend["duties"]}
    if not backend["usable"]:
        assert backend["why"].endswith(".") and not duties
        return
    assert list(duties) == ["mops", "at", "hedeleg", "spe", "apf", "step"]
    for duty in duties.values():
        assert duty["by"] in ("unknown", "kernel", "library", "hidden", "not applicable",
                              "unavailable") and duty["why"].endswith(".")
    assert bool(backend["kernel"]) == (backend["name"] == "kvm")


@pytest.mark.skipif(not any(b["name"] == "kvm" for b in BACKENDS), reason="no kvm in this build")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide a device")
def test_without_the_device():
    """In a mount namespace with an empty /dev: the reason is said, and nothing else fails."""
    arch = [b["arch"] for b in BACKENDS if b["name"] == "kvm"][0]
    hide = 'mount -t tmpfs none /dev && exec "$@"'
    probe = ["unshare", "-m", "sh", "-c", hide, "sh", BIN, "probe", "--json"]
    result = subprocess.run(probe, capture_output=True, text=True, timeout=LONG, check=False)
    if result.returncode != OK and re.match("unshare|mount", result.stderr):
        pytest.skip(result.stderr)
    kvm = [b for b in json.loads(result.stdout)["backends"] if b["name"] == "kvm"][0]
    assert kvm["arch"] == arch and not kvm["usable"] and "/dev/kvm" in kvm["why"]


def test_probe_json():
    data = json.loads(expect(hvcore("probe", "--json"), OK).stdout)
    soft = [b for b in data["backends"] if b["machine"] == "soft"][0]
    assert soft["name"] == "bare" and soft["arch"] == "riscv64" and soft["max_vcpus"] >= 1
    assert {"insn-limit", "deadline"} <= set(soft["capabilities"])
    assert "breakpoint" in soft["delegatable"] and "ecall-vs" not in soft["delegatable"]


# --- usage ------------------------------------------------------------------------------------------

BAD_USAGE = [
    ([], "a command is missing"),
    (["fly"], "no such command"),
    (["--fly"], "no such option"),
    (["hello.elf"], "hvcore run hello.elf"),
    (["run"], "ELF file is missing"),
    (["run", "a.elf", "b.elf"], "b.elf: one operand"),
    (["run", "--polcy", "x"], "is --policy meant"),
    (["run", "--zzz", "x"], "no such option"),
    (["run", "-x", "x"], "-x: there is no such option"),
    (["run", "x", "--stats=3"], "takes no argument"),
    (["run", "x", "--mem"], "--mem needs an argument"),
    (["run", "x", "--policy-watch"], "--policy FILE"),
    (["run", "x", "--arch", "sparc"], "x86_64, arm64 or riscv64"),
    (["run", "x", "--backend", "xen"], "there is no backend of this name"),
    (["run", "x", "--mem", "0"], "at least one page"),
    (["run", "x", "--mem", "4097"], "multiple of 4K"),
    (["run", "x", "--mem", "6000"], "multiple of 4K"),
    (["run", "x", "--mem", "-4096"], "a size is wanted"),
    (["run", "x", "--mem", "64Q"], "a size is wanted"),
    (["run", "x", "--mem", "64MB"], "a size is wanted"),
    (["run", "x", "--mem", ""], "a size is wanted"),
    (["run", "x", "--mem", "17179869184G"], "a size is wanted"),
    (["run", "x", "--mem", "99999999999999999999"], "a size is wanted"),
    (["run", "x", "--deadline", "0"], "seconds above 0"),
    (["run", "x", "--deadline", "-1"], "seconds above 0"),
    (["run", "x", "--deadline", "nan"], "seconds above 0"),
    (["run", "x", "--deadline", "inf"], "seconds above 0"),
    (["run", "x", "--deadline", "1s"], "seconds above 0"),
    (["run", "x", "--max-insns", "0"], "above 0"),
    (["run", "x", "--max-insns", "1e6"], "above 0"),
    (["run", "x", "--vcpus", "0"], "above 0"),
    (["run", "x", "--smp", "0"], "above 0"),
    (["run", "x", "--smp", "two"], "above 0"),
    (["run", "x", "--schedule", "round"], "parallel or lockstep"),
    (["run", "x", "--trace", "y"], "--schedule lockstep"),
    (["run", "x", "--initrd", "y"], "--initrd is for a kernel"),
    (["run", "x", "--append", "y"], "--append is for a kernel"),
    (["run", "x", "--dtb", "y"], "--dtb is for a kernel"),
    (["run", "x", "--dump-dtb", "y"], "--dump-dtb is for a kernel"),
    (["run", "--kernel", "x", "y"], "there is no other guest"),
    (["run", "--kernel", "x", "--arg", "1"], "--arg is not for a kernel"),
    (["run", "x", "--vcpus", "4294967296"], "above 0"),
    (["run", "x", "--arg", "one"], "whole number"),
    (["probe", "--jsn"], "no such option"),
    (["probe", "x"], "no operand"),
    (["check"], "file is missing"),
    (["check", "a", "b"], "one operand"),
    (["check", "--fly", "a"], "no such option"),
]


@pytest.mark.parametrize("args,pattern", BAD_USAGE, ids=[" ".join(a) or "nothing" for a, _ in BAD_USAGE])
def test_usage(args, pattern):
    result = expect(hvcore(*args), USAGE, re.escape(pattern), r"Try: hvcore")
    assert result.stdout == "" and len(result.stderr.splitlines()) == 2


# --- guests that end well -----------------------------------------------------------------------------


def test_hello():
    result = expect(hvcore("run", guest("hello")), OK)
    assert (result.stdout, result.stderr) == ("hello from VS-mode\n", "")


def test_options_may_stand_anywhere():
    result = hvcore("run", "--mem", "2M", guest("hello"), "--arch", "riscv64", "--arg", "0x0")
    assert expect(result, OK).stdout == "hello from VS-mode\n"


def test_guest_reports_failure():
    expect(hvcore("run", guest("hello"), "--arg", 1), GUEST_FAILED, "reports a failure")


def test_harts():
    assert expect(hvcore("run", guest("hello"), "--vcpus", 4), OK).stdout == "hello from VS-mode\n"


@pytest.mark.parametrize("size", ["8K", "16K", "2M", "1G", "4194304", "0x200000"])
def test_memory(tmp_path, size):
    path = tmp_path / "tiny.elf"
    path.write_bytes(elf())
    expect(hvcore("run", path, "--mem", size), OK)


def test_segment_at_the_last_byte_of_memory(tmp_path):
    path = tmp_path / "last.elf"
    end = RAM + 0x2000
    path.write_bytes(elf([segment(), segment(b"x" * 16, end - 16)]))
    expect(hvcore("run", path, "--mem", "8K"), OK)
    path.write_bytes(elf([segment(), segment(b"x" * 16, end - 15)]))
    expect(hvcore("run", path, "--mem", "8K"), FILE, "p_memsz")


def test_adjacent_and_empty_segments(tmp_path):
    path = tmp_path / "adjacent.elf"
    path.write_bytes(elf([segment(), segment(b"y" * 8, RAM + len(SHUTDOWN)),
                          segment(b"", 0, memsz=0), segment(b"note", 0, type=4)]))
    expect(hvcore("run", path), OK)


def test_bytes_past_filesz_are_zero(tmp_path):
    """ld a1, 0(t0) of the zeroed part; a1 is the reason of the shutdown: 0 is success."""
    code = struct.pack("<II", 0x00001297, 0x0002B583) + SHUTDOWN  # auipc t0, 1; ld a1, 0(t0)
    path = tmp_path / "bss.elf"
    path.write_bytes(elf([segment(code, memsz=0x2000)]))
    expect(hvcore("run", path), OK)


def test_restart_is_not_done(tmp_path):
    """SRST with a0 = 1, a cold reboot."""
    path = tmp_path / "reboot.elf"
    path.write_bytes(elf([segment(struct.pack("<I", 0x00100513) + SHUTDOWN)]))
    expect(hvcore("run", path), OK, "asks for a restart")


def test_unknown_call_is_answered(tmp_path):
    """a7 = 0x9000000 (a vendor's): -2 in a0; a1 = a0 + 2 is the reason of the shutdown."""
    code = struct.pack("<IIII", 0x090008B7, 0x00000073, 0x00250593, 0x00000513) + SHUTDOWN
    path = tmp_path / "vendor.elf"
    path.write_bytes(elf([segment(code)]))
    expect(hvcore("run", path), OK, "SBI call 0x9000000 .* not supported")


def test_access_without_memory_is_the_guests_affair():
    result = expect(hvcore("run", guest("mmio")), OK, "a load of 1 bytes at 0x2000000000",
                    "a store of 1 bytes at 0x2000000018")
    assert result.stdout == "mmio: load faults 7, store faults 4\n"
    assert len(result.stderr.splitlines()) == 2


def test_stats():
    result = expect(hvcore("run", guest("mistakes"), "--arg", 7, "--stats"), OK)
    table = counts(result.stderr)
    assert table["illegal-instruction"]["delegated"] == 7
    assert "load-misaligned" not in table  # the machine carries it out
    assert table["instruction-guest-page-fault"]["redirected"] == 7
    assert re.search(r"^hart +runs +enters", result.stderr, re.M)
    mistakes = [line.split() for line in result.stdout.splitlines()]
    assert [m[1] for m in mistakes] == ["2", "3", "4", "12", "1"]
    assert [m[2] for m in mistakes] == ["7", "7", "0", "7", "7"]
    assert all(m[0] == "mistake" and int(m[3]) > 0 and m[4] == "yes" for m in mistakes)


def test_no_colour_off_a_terminal():
    assert "\033" not in hvcore("run", guest("hello"), "--stats", "--report").stderr


@pytest.mark.parametrize("no_color,bold", [("", True), ("1", False)])
def test_colour_on_a_terminal(no_color, bold):
    env = {**os.environ, "TERM": "xterm", "NO_COLOR": no_color}
    master, slave = os.openpty()
    subprocess.run([BIN, "run", guest("hello"), "--stats"], stderr=slave, env=env, timeout=LONG,
                   stdout=subprocess.DEVNULL, check=True)
    os.close(slave)
    text = os.read(master, 65536).decode()
    os.close(master)
    assert ("\033[1m" in text) == bold


# --- limits -------------------------------------------------------------------------------------------


def test_deadline():
    start = time.monotonic()
    expect(hvcore("run", guest("spin"), "--deadline", "0.3"), DEADLINE, "deadline of 0.3 s")
    assert 0.3 <= time.monotonic() - start < LONG / 2


def test_max_insns():
    result = hvcore("run", guest("spin"), "--max-insns", 123456, "--stats")
    expect(result, INSNS, "has executed its 123456 instructions", r"\s123456\s")


def test_max_insns_is_for_the_whole_life():
    """The accesses of this guest leave the run loop; the limit counts on."""
    everything = hvcore("run", guest("mmio"), "--stats").stderr.splitlines()[-1].split()[4]
    expect(hvcore("run", guest("mmio"), "--max-insns", int(everything) - 1), INSNS)
    expect(hvcore("run", guest("mmio"), "--max-insns", int(everything) + 1), OK)


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("harts", [1, 3])
def test_cancelled(signo, harts):
    with Running("run", guest("mistakes"), "--vcpus", harts) as run:
        run.wait_line("round 100, alive")
        run.process.send_signal(signo)
        assert run.process.wait(timeout=LONG) == CANCELLED
        run.wait_line(f"stopped by {signo.name}")


def test_memory_larger_than_the_host():
    expect(hvcore("run", guest("hello"), "--mem", "1000000G"), HOST, "no guest memory")


def test_memory_larger_than_the_guests_address_space():
    expect(hvcore("run", guest("hello"), "--mem", "2048G"), HOST, "no guest memory")


def test_too_many_harts():
    expect(hvcore("run", guest("hello"), "--vcpus", 1000000), HOST, "1000000 vCPUs")


def test_stdout_is_full():
    with open("/dev/full", "w", encoding="ascii") as full:
        result = subprocess.run([BIN, "run", guest("mistakes"), "--arg", "0"], stdout=full, text=True,
                                stderr=subprocess.PIPE, timeout=LONG, check=False)
    expect(result, HOST, "stdout\\) cannot be written")


def test_stdout_is_closed_by_its_reader():
    with Running("run", guest("mistakes")) as run:
        run.wait_line("round")
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run([BIN, "run", guest("hello")], stdout=writer, text=True,
                            stderr=subprocess.PIPE, timeout=LONG, check=False)
    os.close(writer)
    expect(result, HOST, "Broken pipe")


def test_stdout_is_closed():
    result = subprocess.run(["sh", "-c", '"$0" run "$1" >&-', BIN, guest("hello")], text=True,
                            stderr=subprocess.PIPE, timeout=LONG, check=False)
    expect(result, HOST, "Bad file descriptor")


def test_stdout_that_nobody_reads_can_be_cancelled(tmp_path):
    """lui a0, 1; auipc a1, 0; a7 = DBCN; ecall; and again: prints for ever, until the pipe is full."""
    path = tmp_path / "talk.elf"
    path.write_bytes(elf([segment(struct.pack("<6I", 0x00001537, 0x00000597, 0x444248B7, 0x34E88893,
                                              0x00000073, 0xFEDFF06F))]))
    process = subprocess.Popen([BIN, "run", str(path), "--mem", "2M"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    time.sleep(0.5 * SLOW)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=LONG) == CANCELLED
    process.stdout.close()
    process.stderr.close()


# --- hostile guests -----------------------------------------------------------------------------------

HOSTILE = [
    ("stvec0", "does not get on: .*pc 0 in VS-mode, cause 20"),
    ("wild", "does not get on: .*pc 0x2000000000"),
    ("badroot", "does not get on: .*cause 20.*guest-physical address 0x20"),
    ("wfi", "waits for an interrupt"),
]


@pytest.mark.parametrize("name,pattern", HOSTILE, ids=[h[0] for h in HOSTILE])
def test_hostile(name, pattern):
    result = expect(hvcore("run", guest(name), "--stats"), STUCK, pattern)
    assert result.stdout == ""


def test_hostile_page_table_to_itself_under_delegation():
    """The machine gives these faults to the guest: it burns its own time, and can be ended."""
    expect(hvcore("run", guest("selfroot"), "--deadline", "0.5"), DEADLINE)


def test_hostile_page_table_to_itself_under_redirection(tmp_path):
    path = write_policy(tmp_path, {"cause": ["instruction-page-fault"], "do": "redirect"})
    expect(hvcore("run", guest("selfroot"), "--policy", path), STUCK, "does not get on")


def test_all_harts_wait():
    expect(hvcore("run", guest("wfi"), "--vcpus", 3), STUCK, "waits for an interrupt")


def test_hostile_load_in_the_trap_handler(tmp_path):
    """auipc t0, 0; csrw stvec, t0; lui t1, 0x10000; lw t1, 0(t1): faults at each turn."""
    path = tmp_path / "loop.elf"
    path.write_bytes(elf([segment(struct.pack("<IIII", 0x00000297, 0x10529073, 0x10000337,
                                              0x00032303))]))
    expect(hvcore("run", path), STUCK, "a load at pc 0x8000000c touches 0x10000000")


# --- bad ELF files ------------------------------------------------------------------------------------

GOOD = elf()
TWO = [segment(), segment(b"z" * 64, RAM + 0x1000)]

BAD_ELF = {
    "empty": (b"", r"its size is 0 bytes"),
    "one byte": (b"\x7f", r"its size is 1 bytes"),
    "header truncated": (GOOD[:EHDR_SIZE - 1], r"its size is 63 bytes"),
    "a script": (b"#!/bin/sh\n" * 20, r"e_ident\[EI_MAG0\] is 35, .*not an ELF file"),
    "magic 1": (elf(ident_changes={1: 0x65}), r"e_ident\[EI_MAG1\] is 101"),
    "magic 2": (elf(ident_changes={2: 0}), r"e_ident\[EI_MAG2\] is 0"),
    "magic 3": (elf(ident_changes={3: 0}), r"e_ident\[EI_MAG3\] is 0"),
    "32 bits": (elf(ident_changes={4: 1}), r"e_ident\[EI_CLASS\] is 1, .*64-bit"),
    "class 0": (elf(ident_changes={4: 0}), r"e_ident\[EI_CLASS\] is 0"),
    "big-endian": (elf(ident_changes={5: 2}), r"e_ident\[EI_DATA\] is 2, .*little-endian"),
    "endianness 3": (elf(ident_changes={5: 3}), r"e_ident\[EI_DATA\] is 3"),
    "ident version": (elf(ident_changes={6: 0}), r"e_ident\[EI_VERSION\] is 0"),
    "object file": (elf(type=1), r"e_type is 1, .*-static"),
    "shared object or PIE": (elf(type=3), r"e_type is 3, .*-no-pie"),
    "core file": (elf(type=4), r"e_type is 4"),
    "sparc": (elf(machine=43), r"e_machine is 43, not 243"),
    "version": (elf(version=2), r"e_version is 2"),
    "phentsize small": (elf(phentsize=32), r"e_phentsize is 32, not 56"),
    "phentsize large": (elf(phentsize=64), r"e_phentsize is 64, not 56"),
    "phentsize 0": (elf(phentsize=0), r"e_phentsize is 0, not 56"),
    "no program headers": (elf([]), r"e_phnum is 0"),
    "phnum huge": (elf(phnum=0xFFFF), r"e_phnum is 65535, more than 128"),
    "phnum above the limit": (elf(phnum=129), r"e_phnum is 129"),
    "phnum past the end": (elf(phnum=100), r"e_phoff is 64, .*truncated"),
    "phoff past the end": (elf(phoff=1 << 20), r"e_phoff is 1048576"),
    "phoff wraps": (elf(phoff=2**64 - 8), r"e_phoff is 18446744073709551608"),
    "program headers truncated": (GOOD[:EHDR_SIZE + PHDR_SIZE - 1], r"e_phoff is 64"),
    "segment truncated": (GOOD[:-1], r"p_filesz of segment 0 is 12 .*truncated"),
    "second segment truncated": (elf(TWO)[:-1], r"p_filesz of segment 1 is 64"),
    "offset past the end": (elf([segment(offset=1 << 30)]), r"p_offset 1073741824"),
    "offset wraps": (elf([segment(offset=2**64 - 4)]), r"p_offset 18446744073709551612"),
    "filesz huge": (elf([segment(filesz=2**63, memsz=2**63)]), r"p_filesz of segment 0"),
    "filesz above memsz": (elf([segment(memsz=11)]), r"p_filesz of segment 0 is 12, .*p_memsz of 11"),
    "memsz 0 with bytes": (elf([segment(memsz=0)]), r"p_filesz of segment 0 is 12, .*p_memsz of 0"),
    "below memory": (elf([segment(at=RAM - 0x1000)]), r"p_paddr of segment 0 is 0x7ffff000, outside"),
    "at zero": (elf([segment(at=0)], entry=0), r"p_paddr of segment 0 is 0, outside"),
    "above memory": (elf([segment(at=RAM + (64 << 20))]), r"p_paddr of segment 0 is 0x84000000, outside"),
    "far above memory": (elf([segment(at=2**40)]), r"p_paddr of segment 0"),
    "across the end": (elf([segment(), segment(at=RAM + (64 << 20) - 4)]), r"p_memsz of segment 1"),
    "memsz larger than memory": (elf([segment(memsz=1 << 30)]), r"p_memsz of segment 0 is 0x40000000"),
    "memsz wraps": (elf([segment(memsz=2**64 - RAM)]), r"wraps past 2\^64"),
    "memsz all ones": (elf([segment(memsz=2**64 - 1)]), r"wraps past 2\^64"),
    "paddr near 2^64": (elf([segment(at=2**64 - 8)]), r"0xfffffffffffffff8, .*wraps past 2\^64"),
    "the same place twice": (elf([segment(), segment()]), r"overlaps segment 0"),
    "overlap by a byte": (elf([segment(), segment(at=RAM + len(SHUTDOWN) - 1)]),
                          r"p_paddr of segment 1 is 0x8000000b, .*overlaps segment 0"),
    "overlap from below": (elf([segment(at=RAM + 8), segment(at=RAM)], entry=RAM + 8),
                           r"overlaps segment 0"),
    "one inside the other": (elf([segment(memsz=0x1000), segment(at=RAM + 64)]), r"overlaps segment 0"),
    "overlap of zeroes": (elf([segment(memsz=0x1000), segment(b"", RAM + 0xFFF, memsz=2)]),
                          r"overlaps segment 0"),
    "no PT_LOAD": (elf([segment(type=4)]), r"PT_LOAD"),
    "only empty PT_LOAD": (elf([segment(b"")]), r"PT_LOAD"),
    "entry outside": (elf(entry=RAM + 0x100000), r"e_entry is 0x80100000"),
    "entry 0": (elf(entry=0), r"e_entry is 0, "),
    "entry behind the last byte": (elf(entry=RAM + len(SHUTDOWN)), r"e_entry is 0x8000000c"),
    "entry odd": (elf(entry=RAM + 1), r"e_entry is 0x80000001, an odd address"),
    "entry in zeroes": (elf([segment(memsz=0x1000)], entry=RAM + 0x800), r"e_entry is 0x80000800"),
    "entry not executable": (elf([segment(flags=PF_R | PF_W)]), r"e_entry .*executable"),
    "entry in the data segment": (elf([segment(), segment(at=RAM + 0x1000, flags=PF_R)],
                                      entry=RAM + 0x1000), r"e_entry is 0x80001000"),
    "entry by virtual address": (elf([segment(vaddr=2**63)], entry=2**63), r"e_entry .*p_paddr"),
}


@pytest.mark.parametrize("name", BAD_ELF)
def test_bad_elf(tmp_path, name):
    data, pattern = BAD_ELF[name]
    path = tmp_path / "bad.elf"
    path.write_bytes(data)
    result = expect(hvcore("run", path), FILE, pattern)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"hvcore: {path}: ") and lines[0].endswith(".")


def other_machine():
    """The number and the name of an architecture whose guests nothing runs here."""
    for number, arch in ((183, "arm64"), (62, "x86_64")):
        if not any(b["arch"] == arch for b in BACKENDS):
            return number, arch
    return pytest.skip("all architectures run here")


def test_guest_for_another_architecture(tmp_path):
    number, arch = other_machine()
    path = tmp_path / "other.elf"
    path.write_bytes(elf(machine=number))
    result = expect(hvcore("run", path), FILE,
                    rf"it is an ELF file for {arch}, and this host runs guests of .*riscv64 \(bare")
    assert len(result.stderr.splitlines()) == 1
    expect(hvcore("run", path, "--arch", "riscv64"), FILE, rf"e_machine is {number}, not 243")
    expect(hvcore("run", guest("hello"), "--arch", arch), HOST, rf"--arch {arch}: this host runs")


def test_elf_missing(tmp_path):
    expect(hvcore("run", tmp_path / "none.elf"), FILE, "none.elf: cannot be opened: No such file")


def test_elf_path_through_a_file(tmp_path):
    (tmp_path / "file").write_bytes(GOOD)
    expect(hvcore("run", tmp_path / "file" / "guest.elf"), FILE, "cannot be opened: Not a directory")


@pytest.mark.parametrize("path", ["/", "/dev/null", "/dev/zero"])
def test_elf_not_a_file(path):
    expect(hvcore("run", path), FILE, "not a regular file")


def test_elf_is_a_pipe(tmp_path):
    path = tmp_path / "pipe.elf"
    os.mkfifo(path)
    expect(hvcore("run", path), FILE, "not a regular file")


def test_every_truncation_of_a_good_file_is_refused(tmp_path):
    path = tmp_path / "short.elf"
    for length in range(0, len(GOOD), 7):
        path.write_bytes(GOOD[:length])
        expect(hvcore("run", path), FILE, re.escape(str(path)))


# --- policies -----------------------------------------------------------------------------------------


def policy(*rules, **more):
    return {"hvcore-policy": 1, "arch": "riscv64", "base": "linux-guest", "rules": list(rules), **more}


def write_policy(tmp_path, *rules, **more):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(policy(*rules, **more), indent=2), encoding="utf-8")
    return path


REDIRECT = {"name": "count", "cause": ["illegal-instruction", "breakpoint"], "do": "redirect"}
DELEGATE = {**REDIRECT, "do": "delegate"}


def test_policy_decides(tmp_path):
    for rule, column in ((REDIRECT, "redirected"), (DELEGATE, "delegated")):
        path = write_policy(tmp_path, rule)
        result = hvcore("run", guest("mistakes"), "--arg", 5, "--policy", path, "--stats")
        table = counts(expect(result, OK).stderr)
        assert table["illegal-instruction"][column] == 5 and table["breakpoint"][column] == 5


def test_report(tmp_path):
    path = write_policy(tmp_path, REDIRECT)
    result = hvcore("run", guest("hello"), "--policy", path, "--report")
    expect(result, OK, r"# +cause +from +action +by +says +why",
           r"2 +illegal-instruction +any +redirect +library +rule 1 ",
           r"12 +instruction-page-fault +any +delegate +hardware +base ",
           r"20 +instruction-guest-page-fault +any +redirect as instruction-access-fault +library")


def test_report_of_the_built_in_policy():
    expect(hvcore("run", guest("hello"), "--report"), OK, r"2 +illegal-instruction .* base ")


def test_check(tmp_path):
    path = write_policy(tmp_path, REDIRECT)
    assert re.search(r"illegal-instruction +any +redirect", expect(hvcore("check", path), OK).stdout)


def test_check_json(tmp_path):
    path = write_policy(tmp_path, REDIRECT)
    items = {i["cause"]: i for i in json.loads(expect(hvcore("check", path, "--json"), OK).stdout)}
    assert items["illegal-instruction"] == {
        "number": 2, "cause": "illegal-instruction", "from": "any", "action": "redirect", "as": 2,
        "by": "library", "rule": 1, "why": items["illegal-instruction"]["why"]}
    assert items["load-page-fault"]["by"] == "hardware"


TOP = '{"hvcore-policy": 1, "arch": "riscv64"'
BAD_POLICY = {
    "empty": ("", 1, 1),
    "no JSON": ("policy", 1, 1),
    "unfinished": (TOP + ",\n", 2, 1),
    "second line": (TOP + ',\n"wrong": 1}', 2, 1),
    "twice the same key": (TOP + ',\n  "arch": "riscv64"}', 2, 3),
    "a type": (TOP + ',\n\n "rules": 7}', 3, 11),
    "another version": ('{"hvcore-policy": 2, "arch": "riscv64"}', 1, 19),
    "another architecture": ('{"hvcore-policy": 1,\n "arch": "z80"}', 2, 10),
    "no action": (TOP + ',\n "rules": [{"cause": [2]}]}', 2, 12),
    "unknown action": (TOP + ',\n "rules": [\n{"cause": [2], "do": "panic"}]}', 3, 22),
    "unknown cause": (TOP + ',\n "rules": [\n{"cause": ["sunspots"], "do": "redirect"}]}', 3, 12),
    "cause out of range": (TOP + ',\n "rules": [\n{"cause": [64], "do": "redirect"}]}', 3, 12),
    "not delegatable": (TOP + ',\n "rules": [\n{"cause": ["load-guest-page-fault"],'
                              ' "do": "delegate"}]}', 3, None),
    "trailing comma": (TOP + ",}", 1, None),
    "comment": (TOP + "}\n// no", 2, 1),
    "NUL": (TOP + "}\0", 1, None),
    "not UTF-8": (b'{"hvcore-policy": 1, "arch": "\xff"}', 1, None),
    "deep": ("[" * 100, 1, None),
    "long": (TOP + "}" + " " * 70000, None, None),
    "huge": (b" " * (2 << 20), None, None),
}


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("name", BAD_POLICY)
def test_bad_policy(tmp_path, name, command):
    text, line, column = BAD_POLICY[name]
    path = tmp_path / "bad.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    args = (guest("hello"), "--policy", path) if command == "run" else (path,)
    place = rf"bad\.json:{line}:{column or '[0-9]+'}: " if line else r"bad\.json"
    result = expect(hvcore(command, *args), FILE, place)
    assert result.stdout == "" and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("watch", [[], ["--policy-watch"]])
def test_policy_missing(tmp_path, watch):
    args = ["run", guest("hello"), "--policy", tmp_path / "none.json", *watch]
    expect(hvcore(*args), FILE, "none.json: the policy cannot be read: No such file")


def test_policy_is_a_folder(tmp_path):
    expect(hvcore("run", guest("hello"), "--policy", tmp_path), FILE, "Is a directory")


def test_policy_sends_traps_to_the_tool(tmp_path):
    rule = {"name": "mine", "cause": ["illegal-instruction"], "do": "exit"}
    path = write_policy(tmp_path, rule, allow_exit=True)
    expect(hvcore("run", guest("mistakes"), "--policy", path), STUCK,
           r"cause 2 \(illegal-instruction\).*rule 1")


def test_policy_stops_the_guest(tmp_path):
    rule = {"cause": ["breakpoint"], "do": "stop"}
    path = write_policy(tmp_path, rule, allow_stop=True)
    result = hvcore("run", guest("mistakes"), "--policy", path, "--stats")
    expect(result, STUCK, r"the policy stops the guest: .*breakpoint")
    assert counts(result.stderr)["breakpoint"]["stopped"] == 1


# --- the live policy ----------------------------------------------------------------------------------


def rewrite_in_place(path, text):
    path.write_text(text, encoding="utf-8")


def rename_over(path, text):
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.rename(path)


def edit(path, change, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    change(path, text.replace(old, new))


def rate(run):
    """What happens to illegal instructions in the next rounds."""
    before = run.stats()["illegal-instruction"]
    run.wait_line("round")
    run.wait_line("round")
    after = run.stats()["illegal-instruction"]
    return {k: after[k] - before[k] for k in ("delegated", "redirected")}


@pytest.mark.parametrize("change", [rewrite_in_place, rename_over])
@pytest.mark.parametrize("harts", [1, 2])
def test_one_line_edited_while_it_runs(tmp_path, change, harts):
    path = write_policy(tmp_path, REDIRECT)
    with Running("run", guest("mistakes"), "--policy", path, "--policy-watch", "--vcpus", harts) as run:
        run.wait_line("round 100, alive")
        moved = rate(run)
        assert moved["redirected"] > 50 and moved["delegated"] == 0
        edit(path, change, '"redirect"', '"delegate"')
        run.wait_line("policy.json: applied while the guest runs: .* by hardware")
        moved = rate(run)
        assert moved["delegated"] > 50 and moved["redirected"] == 0
        edit(path, change, '"delegate"', '"redirect"')
        run.wait_line("policy.json: applied while the guest runs")
        moved = rate(run)
        assert moved["redirected"] > 50 and moved["delegated"] == 0
        assert run.end() == CANCELLED


def test_bad_edit_keeps_the_policy_before(tmp_path):
    path = write_policy(tmp_path, REDIRECT)
    with Running("run", guest("mistakes"), "--policy", path, "--policy-watch") as run:
        run.wait_line("round")
        edit(path, rewrite_in_place, '"redirect"', '"redirekt"')
        run.wait_line(r"policy\.json:\d+:\d+: ")
        run.wait_line("refused; the guest runs on under the policy before")
        moved = rate(run)
        assert moved["redirected"] > 50 and moved["delegated"] == 0
        edit(path, rename_over, '"redirekt"', '"delegate"')
        run.wait_line("applied while the guest runs")
        assert run.end() == CANCELLED


def test_policy_that_disappears_is_kept(tmp_path):
    path = write_policy(tmp_path, REDIRECT)
    with Running("run", guest("mistakes"), "--policy", path, "--policy-watch") as run:
        run.wait_line("round")
        path.unlink()
        (tmp_path / "other").write_text("x", encoding="utf-8")
        run.wait_line("cannot be read: No such file")
        write_policy(tmp_path, DELEGATE)
        run.wait_line("applied while the guest runs")
        assert run.end() == CANCELLED


def test_folder_that_disappears(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    path = write_policy(folder, REDIRECT)
    with Running("run", guest("mistakes"), "--policy", path, "--policy-watch") as run:
        run.wait_line("round")
        shutil.rmtree(folder)
        run.wait_line("its folder is gone")
        run.wait_line("round")
        assert run.end() == CANCELLED


def test_policy_through_a_link(tmp_path):
    real = tmp_path / "a"
    real.mkdir()
    write_policy(real, REDIRECT)
    link = tmp_path / "live.json"
    link.symlink_to(real / "policy.json")
    with Running("run", guest("mistakes"), "--policy", link, "--policy-watch") as run:
        run.wait_line("round")
        write_policy(tmp_path, DELEGATE)
        new = tmp_path / "live.new"
        new.symlink_to(tmp_path / "policy.json")
        new.rename(link)
        run.wait_line("live.json: applied while the guest runs")
        assert run.end() == CANCELLED


def test_policy_that_becomes_a_pipe(tmp_path):
    path = write_policy(tmp_path, REDIRECT)
    with Running("run", guest("mistakes"), "--policy", path, "--policy-watch") as run:
        run.wait_line("round")
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "pipe").rename(path)
        run.wait_line("refused; the guest runs on")
        assert run.end() == CANCELLED


def test_policy_from_a_pipe():
    code = f"""'{BIN}' run '{guest("hello")}' --policy <(sleep 0.1; echo '{json.dumps(policy())}')"""
    result = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=LONG,
                            check=False)
    assert expect(result, OK).stdout == "hello from VS-mode\n"


def test_many_edits_under_load(tmp_path):
    """The last one counts, whatever happens to those before."""
    path = write_policy(tmp_path, REDIRECT)
    with Running("run", guest("mistakes"), "--policy", path, "--policy-watch", "--vcpus", 4) as run:
        run.wait_line("round")
        for i in range(200):
            write_policy(tmp_path, {**REDIRECT, "name": str(i)})
        write_policy(tmp_path, DELEGATE)
        for _ in range(1000):
            if rate(run)["redirected"] == 0:
                break
        assert rate(run)["delegated"] > 50
        assert run.end() == CANCELLED


# --- bash completion ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words,want", [
    (["hvcore", "r"], "run"), (["hvcore", "run", "--policy-"], "--policy-watch"),
    (["hvcore", "run", "--arch", "r"], "riscv64"), (["hvcore", "run", "--backend", "k"], "kvm"), (["hvcore", "probe", "--j"], "--json")])
def test_completion(words, want):
    script = pathlib.Path(__file__).parents[2] / "tools/hvcore/completion.bash"
    code = f'. "{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hvcore; echo "${{COMPREPLY[*]}}"'
    result = subprocess.run(["bash", "-c", code, "bash", *words], capture_output=True, text=True,
                            timeout=LONG, check=True)
    assert result.stdout.split() == [want]
