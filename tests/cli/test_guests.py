# SPDX-License-Identifier: Apache-2.0
"""The guests without hvcore: as S-mode kernels under OpenSBI in QEMU they must do what they say."""
import pathlib
import re
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).parents[2]
QEMU = "qemu-system-riscv64"

pytestmark = [
    pytest.mark.skipif(not shutil.which("riscv64-linux-gnu-gcc"), reason="no cross compiler"),
    pytest.mark.skipif(not shutil.which(QEMU), reason=f"no {QEMU}"),
]


def bare(name, tmp_path):
    """What a guest prints on a bare machine, behind the firmware's lines; it must shut down with 0."""
    path = tmp_path / f"{name}.elf"
    subprocess.run([TOP / "scripts/freestanding-cc", "riscv64", "-static", "-Wl,--build-id=none",
                    "-Wl,--defsym=guest_base=0x80200000", f"-Wl,-T,{TOP}/tests/guests/guest.ld",
                    "-o", path, TOP / f"tests/guests/{name}.S"], check=True, timeout=60)
    result = subprocess.run([QEMU, "-M", "virt", "-m", "128M", "-nographic", "-monitor", "none",
                             "-icount", "shift=0", "-kernel", path], capture_output=True, text=True,
                            timeout=60, stdin=subprocess.DEVNULL, check=False)
    assert result.returncode == 0, result
    return result.stdout.replace("\r", "")


def test_hello(tmp_path):
    assert bare("hello", tmp_path).endswith("hello from VS-mode\n")


def test_mmio(tmp_path):
    assert bare("mmio", tmp_path).endswith("mmio: load faults 7, store faults 4\n")


def test_mistakes(tmp_path):
    found = re.findall(r"^mistake (\d+) (\d+) (\d+) (\w+)$", bare("mistakes", tmp_path), re.M)
    assert [(cause, alive) for cause, _, _, alive in found] == [
        ("2", "yes"), ("3", "yes"), ("4", "yes"), ("12", "yes"), ("1", "yes")]
    counts = {cause: (int(count), int(insns)) for cause, count, insns, _ in found}
    for cause in ("2", "3", "12", "1"):
        assert counts[cause][0] == 10 and counts[cause][1] > 30
    # QEMU loads misaligned data by itself: one instruction, no trap
    assert counts["4"] in ((0, 1), (10, counts["4"][1]))
