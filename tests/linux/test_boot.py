# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel, as it is, with an initramfs whose only program is examples/linux/init.c.

HVCORE_BIN is the program, HVCORE_KERNEL the kernel (empty: there is none, scripts/debian-kernel
says why), HVCORE_INITRAMFS the initramfs. HVCORE_BOOTS: how often it boots in each way (1).
"""
import os
import pathlib
import re
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(TOP / "tests/cli"))
from tool import BIN, FILE, OK, counts, expect, hvcore  # noqa: E402

KERNEL = os.environ.get("HVCORE_KERNEL", "")
INITRAMFS = os.environ.get("HVCORE_INITRAMFS", "")
BOOTS = int(os.environ.get("HVCORE_BOOTS", "1"))
SMP = (1, 4)
MISTAKES = 14

pytestmark = pytest.mark.skipif(not (BIN and KERNEL),
                                reason="no kernel: scripts/debian-kernel says why")


def boot(smp, schedule, *args):
    """`mem` must not end at a multiple of 128M: see examples/linux/mistakes.c."""
    result = hvcore("run", "--kernel", KERNEL, "--initrd", INITRAMFS, "--smp", smp, "--schedule",
                    schedule, "--mem", "500M", "--append", "panic=-1", "--deadline", 600, *args)
    return expect(result, OK, rf"{smp} harts?, \d+ instructions in")


@pytest.fixture(name="work", scope="session")
def fixture_work(tmp_path_factory):
    """The sums of examples/linux/work.h, by this machine's processor."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "main.c").write_text('#include <stdio.h>\n#include "work.h"\nint main(void) {\n'
                                   'printf("%016llx %016llx", (unsigned long long)work_whole(1),\n'
                                   '(unsigned long long)work_real(1)); }\n', encoding="ascii")
    subprocess.run(["cc", "-O2", "-ffp-contract=off", "-I", TOP / "examples/linux", "-o",
                    folder / "work", folder / "main.c", "-lm"], check=True)
    return subprocess.run([folder / "work"], capture_output=True, text=True, check=True).stdout


def lines_of(console):
    """The init's lines; the kernel's may stand before them in the same one."""
    return re.findall(r"(?<![\w-])init: (.*?)\r?$", console, re.M)


def check_console(console, smp, work):
    """All that there is to be said, in its order, is said, and was right."""
    lines = lines_of(console)
    expected = [r"kernel Linux [\w.+-]+ riscv64", r"memory \d+ MiB, 16 MiB written and read back",
                r"timer riscv_clocksource, a sleep of 50 ms took [\d.]+ ms",
                f"processors {smp} online"]
    expected += [f"cpu {n}, work {work}" for n in range(smp)]
    expected += [f"additions of {smp} processes to one number {smp * 20000}"]
    for n in range(smp):
        expected += [f"cpu 0 and cpu {n}, wake-ups 200",
                     f"code written on cpu 0 and run on cpu {n}, changes seen 100"]
    expected += ["a page behind the memory, .*"]
    expected += [r"mistake, [\w ,]+, (SIG[A-Z]+|carried out), survived 10 times"] * MISTAKES
    expected = [f"{line}: ok" for line in expected]
    expected += [f"{len(expected)} right, 0 wrong"]
    for line, pattern in zip(lines, expected):
        assert re.fullmatch(pattern, line), (line, pattern)
    assert len(lines) == len(expected), lines
    assert "reboot: Power down" in console


def check_traps(table):
    """Who handled what: each mistake was made once and 10 times."""
    for cause in ("illegal-instruction", "breakpoint"):
        assert table[cause]["delegated"] == 11, table
    for cause in ("store-misaligned", "instruction-guest-page-fault"):
        assert table[cause]["redirected"] == 11, table
    for cause in ("ecall-u", "instruction-page-fault", "load-page-fault", "store-page-fault"):
        assert table[cause]["delegated"] > 11 and table[cause]["redirected"] == 0, table
    for cause in ("ecall-vs", "load-guest-page-fault", "store-guest-page-fault"):
        assert table[cause]["emulated"] > 11, table
    assert table["virtual-instruction"]["emulated"] >= 11, table
    assert all(row["stopped"] == row["late"] == 0 for row in table.values()), table


@pytest.mark.parametrize("_", range(BOOTS))
@pytest.mark.parametrize("smp", SMP)
def test_parallel(smp, work, _):
    result = boot(smp, "parallel")
    check_console(result.stdout, smp, work)
    check_traps(counts(result.stderr))


@pytest.fixture(name="first", scope="session")
def fixture_first(tmp_path_factory):
    """{smp: (console, trace)} of the first boot in lockstep."""
    return {}, tmp_path_factory.mktemp("trace") / "trace"


@pytest.mark.parametrize("_", range(max(BOOTS, 2)))
@pytest.mark.parametrize("smp", SMP)
def test_lockstep(smp, work, first, _):
    """Each boot is the first one once more, instruction by instruction."""
    seen, path = first
    result = boot(smp, "lockstep", "--trace", path)
    trace = path.read_text(encoding="ascii")
    check_console(result.stdout, smp, work)
    check_traps(counts(result.stderr))
    assert len(trace.splitlines()) > 100 * smp and trace.splitlines()[-1].startswith("memory ")
    assert seen.setdefault(smp, (result.stdout, trace)) == (result.stdout, trace)


@pytest.mark.parametrize("policy", ["count-everything", "delegate-all"])
def test_under_other_policies(policy, work):
    result = boot(1, "parallel", "--policy", TOP / f"examples/policies/{policy}.json")
    check_console(result.stdout, 1, work)
    table = counts(result.stderr)["illegal-instruction"]
    assert (table["redirected"] if policy == "count-everything" else table["delegated"]) >= 11


# --- what does not fit --------------------------------------------------------------------------


def test_truncated(tmp_path):
    short = tmp_path / "vmlinux"
    short.write_bytes(pathlib.Path(KERNEL).read_bytes()[:-4096])
    expect(hvcore("run", "--kernel", short), FILE, "it is truncated")


def test_too_little_memory():
    expect(hvcore("run", "--kernel", KERNEL, "--mem", "24M"), FILE, "give it more with --mem")


def test_initrd_too_large(tmp_path):
    large = tmp_path / "initrd"
    with large.open("wb") as file:
        file.truncate(100 << 20)
    expect(hvcore("run", "--kernel", KERNEL, "--initrd", large, "--mem", "128M"), FILE,
           "do not fit between the kernel")
