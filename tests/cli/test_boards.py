# SPDX-License-Identifier: Apache-2.0
"""Device trees of machines that this host may not be able to make: arm64's board, and harts of a
riscv64 host. HVCORE_TREE_DRIVER is the program tests/unit/tree_driver."""
import os
import pathlib
import shutil
import subprocess

import pytest

import fdt
from tool import LONG

DRIVER = os.environ.get("HVCORE_TREE_DRIVER", "")
TOP = pathlib.Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not DRIVER, reason="HVCORE_TREE_DRIVER does not name the program")


def tree(folder, *args):
    path = folder / "tree.dtb"
    subprocess.run([DRIVER, path, *map(str, args)], check=True, timeout=LONG)
    return fdt.read(path.read_bytes())


@pytest.fixture(name="qemu", scope="session")
def fixture_qemu():
    found = subprocess.run([TOP / "scripts/qemu", "aarch64"], capture_output=True, text=True,
                           check=False)
    return found.stdout.strip() or pytest.skip(found.stderr)


# --- arm64 --------------------------------------------------------------------------------------


SAME_IN_QEMU = {
    "/": ("#address-cells", "#size-cells", "compatible"),
    "/memory@40000000": ("device_type", "reg"),
    "/psci": ("compatible", "method"),
    "/cpus": ("#address-cells", "#size-cells"),
    "/cpus/cpu@0": ("device_type", "reg", "enable-method"),
    "/cpus/cpu@2": ("device_type", "reg", "enable-method"),
    "/timer": ("compatible", "interrupts", "always-on"),
    "/intc@8000000": ("compatible", "#interrupt-cells", "#redistributor-regions",
                      "interrupt-controller", "#address-cells", "#size-cells", "ranges"),
    "/apb-pclk": ("compatible", "#clock-cells", "clock-frequency", "clock-output-names"),
    "/pl011@9000000": ("compatible", "reg", "interrupts", "clock-names"),
}


@pytest.mark.parametrize("el2", [False, True])
def test_what_qemu_has_is_as_qemu_says_it(tmp_path, qemu, el2):
    ours = tree(tmp_path, "arm64", 3, *(["el2"] if el2 else []))
    machine = f"virt,gic-version=3,virtualization={'on' if el2 else 'off'},its=off"
    subprocess.run([qemu, "-M", f"{machine},dumpdtb={tmp_path}/qemu.dtb", "-cpu", "max", "-smp",
                    "3", "-m", "128M", "-display", "none", "-nic", "none"], check=True,
                   capture_output=True, timeout=LONG)
    theirs = fdt.read((tmp_path / "qemu.dtb").read_bytes())
    for path, properties in SAME_IN_QEMU.items():
        for name in properties:
            assert ours[path][name] == theirs[path][name], (path, name)
    # Redistributors: QEMU's region has room for 123 processors, ours for those that there are.
    reg = fdt.cells(ours["/intc@8000000"]["reg"])
    assert reg[:7] == fdt.cells(theirs["/intc@8000000"]["reg"])[:7] and reg[7] == 3 * 0x20000
    assert ("interrupts" in ours["/intc@8000000"]) == el2
    if el2:
        maintenance = theirs["/intc@8000000"]["interrupts"]
        assert ours["/intc@8000000"]["interrupts"] == maintenance


def test_processors_have_the_numbers_that_kvm_gives(tmp_path):
    found = tree(tmp_path, "arm64", 123)
    cpus = [path for path in found if path.startswith("/cpus/")]
    numbers = [fdt.cells(found[path]["reg"])[0] for path in cpus]
    assert cpus == [f"/cpus/cpu@{n:x}" for n in numbers]
    assert numbers[:3] == [0, 1, 2] and numbers[15:18] == [15, 0x100, 0x101]
    assert numbers[122] == 0x70A


@pytest.mark.skipif(not shutil.which("dtc"), reason="no dtc")
@pytest.mark.parametrize("args", [("arm64", 1), ("arm64", 123), ("arm64", 2, "el2")])
def test_dtc_has_nothing_to_say(tmp_path, args):
    tree(tmp_path, *args)
    result = subprocess.run(["dtc", "-I", "dtb", "-O", "null", tmp_path / "tree.dtb"],
                            capture_output=True, text=True, check=True)
    assert result.stderr == ""


# --- riscv64: what a guest of a host's kernel is told of its harts --------------------------------


ALWAYS = "i m a f d c zicntr zicsr zifencei".split()


def harts_on(folder, isa, mmu="sv48", cells=None):
    cpuinfo, host = folder / "cpuinfo", folder / "cpus"
    cpuinfo.write_text(f"processor\t: 0\nhart\t\t: 0\nisa\t\t: {isa}\nmmu\t\t: {mmu}\n\n"
                       f"processor\t: 1\nisa\t\t: rv64i\nmmu\t\t: bare\n", encoding="ascii")
    (host / "cpu@0").mkdir(parents=True, exist_ok=True)
    for name, value in (cells or {}).items():
        (host / name).write_bytes(value)
    return tree(folder, "riscv64", 2, cpuinfo, host)


def test_what_the_host_has(tmp_path):
    found = harts_on(tmp_path, "rv64imafdch_zicbom_zicboz_zicntr_zicsr_zihintpause_zba_zbb_sstc"
                               "_svinval_svnapot_svpbmt",
                     cells={"timebase-frequency": bytes([0, 15, 66, 64]),
                            "cpu@0/riscv,cbom-block-size": bytes([0, 0, 0, 128])})
    cpu = found["/cpus/cpu@1"]
    extensions = fdt.texts(cpu["riscv,isa-extensions"])
    assert set(extensions) == {*ALWAYS, "zicbom", "zicboz", "zihintpause", "zba", "zbb", "sstc",
                               "svinval", "svnapot", "svpbmt"}
    base, *rest = fdt.texts(cpu["riscv,isa"])[0].split("_")
    assert base == "rv64imafdc" and rest == [e for e in extensions if len(e) > 1]
    assert fdt.cells(cpu["riscv,cbom-block-size"]) == (128,)
    assert fdt.cells(cpu["riscv,cboz-block-size"]) == (64,)
    assert fdt.texts(cpu["mmu-type"]) == ["riscv,sv48"]
    assert fdt.cells(found["/cpus"]["timebase-frequency"]) == (1000000,)


def test_a_frequency_of_two_cells(tmp_path):
    cells = {"timebase-frequency": bytes([0, 0, 0, 0, 1, 0, 0, 0])}
    found = harts_on(tmp_path, "rv64imafdc", cells=cells)
    assert fdt.cells(found["/cpus"]["timebase-frequency"]) == (1 << 24,)


@pytest.mark.parametrize("isa", ["", "rv64", "rv32imafdc_zba_sstc", "rv64imafdc_zbax_xzba_v_zvbb"])
def test_what_it_does_not_say_it_has_not(tmp_path, isa):
    found = harts_on(tmp_path, isa, mmu="bare")
    cpu = found["/cpus/cpu@0"]
    assert fdt.texts(cpu["riscv,isa-extensions"]) == ALWAYS
    assert "riscv,cbom-block-size" not in cpu and "riscv,cboz-block-size" not in cpu
    assert fdt.texts(cpu["mmu-type"]) == ["riscv,sv39"]
    assert fdt.cells(found["/cpus"]["timebase-frequency"]) == (10000000,)
