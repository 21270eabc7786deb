# SPDX-License-Identifier: Apache-2.0
"""hvcore run with guests for x86_64, on this machine's /dev/kvm."""
import json
import signal
import subprocess
import time

import pytest

from elf import elf, elf32, segment
from tool import (BIN, CANCELLED, DEADLINE, FILE, GUEST_FAILED, HOST, LONG, OK, STUCK, USAGE,
                  expect, guest, hvcore)

MIB = 1 << 20
X86_64 = 62


def why_not():
    if not BIN:
        return "HVCORE_BIN does not name the program"
    found = json.loads(hvcore("probe", "--json").stdout)["backends"]
    kvm = [b for b in found if (b["name"], b["arch"]) == ("kvm", "x86_64")]
    if not kvm:
        return "no kvm for x86_64 in this build"
    return "" if kvm[0]["usable"] else kvm[0]["why"]


WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

# Pieces of code; those of both modes are the same.
EXIT_0 = b"\x31\xc0\xe6\xf4"  # xor %eax, %eax; out %al, $0xf4
HLT = b"\xf4"
SPIN = b"\xeb\xfe"
UD2 = b"\x0f\x0b"
IN_80 = b"\xe4\x80"        # in $0x80, %al
EXIT_AL = b"\xe6\xf4"      # out %al, $0xf4
EXIT_NOT_AL = b"\xf6\xd0" + EXIT_AL
LOAD_HIGH = b"\x8a\x04\x25\0\0\0\x20"  # mov 0x20000000, %al, where the memory has ended
BOTH = ("long", "real")


def run(folder, code, *args, mode="long", at=None, **kwargs):
    path = folder / "guest.elf"
    if mode == "long":
        at = MIB if at is None else at
        path.write_bytes(elf([segment(code, at)], machine=X86_64, entry=at))
    else:
        path.write_bytes(elf32(code, 0x7C00 if at is None else at))
    return hvcore("run", path, *args, **kwargs)


# --- the guests -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name,text", [
    ("x86_hello", "hello from long mode\nand from a port\n"),
    ("x86_real", "hello from real mode\n")])
def test_guest(name, text):
    result = expect(hvcore("run", guest(name)), OK, "kvm runs this")
    assert result.stdout == text and len(result.stderr.splitlines()) == 1
    result = expect(hvcore("run", guest(name), "--backend", "kvm", "--arg", 7), GUEST_FAILED,
                    r"reports a failure \(code 7\)")
    assert result.stdout == text and len(result.stderr.splitlines()) == 1


def test_backend_that_was_asked_for_is_not_said():
    result = expect(hvcore("run", "--backend", "kvm", guest("x86_hello")), OK)
    assert result.stderr == ""


def test_processors():
    """All but the first wait."""
    assert "long mode" in expect(hvcore("run", guest("x86_hello"), "--smp", 4), OK).stdout
    expect(hvcore("run", guest("x86_hello"), "--smp", 129), USAGE, "has room for 128")


def test_each_processor_has_a_number_and_a_stack(tmp_path):
    """Number 3 ends the run with the page of its stack pointer: 0x100000 - 3 * 4 KiB."""
    code = (b"\x83\xfe\x03\x74\x01" + HLT         # cmp $3, %esi; je .+3; hlt
            + b"\x48\x89\xe0\xc1\xe8\x0c" + EXIT_AL)  # mov %rsp, %rax; shr $12, %eax
    expect(run(tmp_path, code, "--smp", 4), GUEST_FAILED, r"\(code 253\)")


def test_registers_at_the_begin(tmp_path):
    """Long mode: rdi is --arg, all of it; sse is on; rsp ends the first MiB."""
    code = (b"\x48\xb8" + (0x1122334455667788).to_bytes(8, "little")  # mov $..., %rax
            + b"\x48\x39\xf8\x75\x14"           # cmp %rdi, %rax; jne bad
            + b"\x48\x81\xfc\0\0\x10\0\x75\x0b"  # cmp $0x100000, %rsp; jne bad
            + b"\x0f\x10\x04\x24"               # movups (%rsp), %xmm0
            + EXIT_0 + b"\x90\x90\x90" + b"\xb0\x01" + EXIT_AL)
    expect(run(tmp_path, code, "--arg", "0x1122334455667788"), OK)
    expect(run(tmp_path, code, "--arg", "0x1122334455667789"), GUEST_FAILED)


@pytest.mark.parametrize("at", [0x100, 0x7C00, 0xFFF0, 0x10000, 0x12345, 0xFFF00])
def test_real_mode_begins_anywhere_below_a_mib(tmp_path, at):
    """cs is the block of 64 KiB, ip the rest: cs >> 12 is what comes out, 0 to 15."""
    code = b"\x8c\xc8\xc1\xe8\x0c" + EXIT_AL  # mov %cs, %ax; shr $12, %ax
    result = run(tmp_path, code, mode="real", at=at)
    expect(result, GUEST_FAILED if at >> 16 else OK, rf"\(code {at >> 16}\)" if at >> 16 else "")


def test_real_mode_ends(tmp_path):
    expect(run(tmp_path, EXIT_0, mode="real", at=MIB), FILE, "e_entry is 0x100000, and real mode")


# --- what nobody answers --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", BOTH)
def test_port_that_is_not_there(tmp_path, mode):
    """Ones are read, each time; it is said once."""
    result = expect(run(tmp_path, IN_80 * 100 + EXIT_NOT_AL, mode=mode), OK,
                    r"IN of 1 bytes, port 0x80 \(pc 0x(100000|7c00)\), where there is nothing")
    assert len(result.stderr.splitlines()) == 2


def test_memory_that_is_not_there(tmp_path):
    result = expect(run(tmp_path, LOAD_HIGH * 100 + EXIT_NOT_AL), OK,
                    r"a load of 1 bytes at 0x20000000 \(pc 0x100000\), .*the guest gets ones")
    assert len(result.stderr.splitlines()) == 2


# --- guests that do not end by themselves ---------------------------------------------------------


@pytest.mark.parametrize("mode", BOTH)
def test_halt(tmp_path, mode):
    expect(run(tmp_path, HLT, mode=mode), STUCK, r"waits for an interrupt \(HLT at pc 0x")
    expect(run(tmp_path, HLT, "--smp", 3, mode=mode), STUCK, "waits for an interrupt")


def test_triple_fault(tmp_path):
    """Long mode without an IDT."""
    expect(run(tmp_path, UD2), STUCK, "cpu 0 cannot go on: a triple fault")


@pytest.mark.parametrize("smp", [1, 3])
def test_deadline_and_signal(tmp_path, smp):
    start = time.monotonic()
    expect(run(tmp_path, SPIN, "--deadline", "0.3", "--smp", smp), DEADLINE,
           "the guest was at pc 0x100000")
    assert time.monotonic() - start < LONG / 2
    with subprocess.Popen([BIN, "run", tmp_path / "guest.elf", "--smp", str(smp)],
                          stderr=subprocess.PIPE) as tool:
        time.sleep(0.3)
        tool.send_signal(signal.SIGINT)
        assert tool.wait(timeout=LONG) == CANCELLED
        assert b"stopped by SIGINT; the guest was at pc 0x100000" in tool.stderr.read()


def test_input(tmp_path):
    """The guest waits for a byte at the UART by looking at LSR, and sends it back; "." ends it."""
    code = (b"\xba\xfd\x03\0\0\xec\xa8\x01\x74\xfb"  # mov $0x3fd, %edx; 1: in; test $1; jz 1b
            b"\xba\xf8\x03\0\0\xec\xee"              # mov $0x3f8, %edx; in; out
            b"\x3c\x2e\x75\xeb" + EXIT_0)            # cmp $'.', %al; jne
    result = expect(run(tmp_path, code, input="one two. not this"), OK)
    assert result.stdout == "one two."


# --- what is refused ------------------------------------------------------------------------------


def test_what_kvm_cannot_do_is_refused(tmp_path):
    for args in (["--schedule", "lockstep"], ["--max-insns", "5"],
                 ["--schedule", "lockstep", "--trace", tmp_path / "trace"], ["--el2"]):
        result = expect(run(tmp_path, EXIT_0, "--backend", "kvm", *args), HOST, r"\.$")
        assert len(result.stderr.splitlines()) == 1 and len(result.stderr) > 60


def test_where_a_guest_may_stand(tmp_path):
    expect(run(tmp_path, EXIT_0, at=MIB - 0x1000), FILE, "outside guest memory .0x100000 to")
    expect(run(tmp_path, EXIT_0, "--mem", "1M"), FILE, "outside guest memory")
    expect(run(tmp_path, EXIT_0, "--mem", "1028K"), OK)


def test_kernels_do_not_run_yet(tmp_path):
    path = tmp_path / "bzImage"
    path.write_bytes(bytes(0x202) + b"HdrS" + bytes(512))
    expect(hvcore("run", "--kernel", path), FILE, "it is a Linux kernel for x86_64; of guests for")
    path.write_bytes(elf(machine=X86_64))
    expect(hvcore("run", "--kernel", path), FILE, "it is an ELF file for x86_64; of guests for")


def test_policies_are_for_riscv64(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text('{"hvcore-policy": 1, "arch": "riscv64"}', encoding="ascii")
    expect(run(tmp_path, EXIT_0, "--policy", path), FILE, "policy.json: The policy is for")


def test_backends(tmp_path):
    expect(run(tmp_path, EXIT_0, "--backend", "bare"), FILE,
           r"it is an ELF file for x86_64, and bare runs guests of riscv64 \(bare/soft\)")
    expect(run(tmp_path, EXIT_0, "--backend", "xen"), USAGE, "no backend of this name")
    expect(run(tmp_path, EXIT_0, "--arch", "riscv64"), FILE, "e_machine is 62, not 243")
