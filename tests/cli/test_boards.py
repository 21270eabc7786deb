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


# --- riscv64: what a guest on kvm is told of its harts: registers of the VM ----------------------


CONFIG, ISA = 7, 8  # HVCORE_REG_*
BASE = {(ISA, n): 1 for n in (0, 1, 2, 3, 5, 6)}  # KVM_RISCV_ISA_EXT_A, C, D, F, I, M
BASE_NAMES = "i m a f d c zicntr zicsr zifencei".split()


def harts_of(folder, registers):
    args = [f"{cls}:{index}={value}" for (cls, index), value in registers.items()]
    return tree(folder, "riscv64", 2, *args)


def test_what_the_vm_has(tmp_path):
    """Numbers of Linux, arch/riscv/include/uapi/asm/kvm.h; a 0 is one that was switched off. Of
    32, Zkr, KVM leaves all to the program, which has no seeds."""
    numbers = {7: "svpbmt", 8: "sstc", 10: "zihintpause", 11: "zicbom", 12: "zicboz", 13: "zbb",
               14: "ssaia", 15: "v", 17: "zba", 19: "zicntr", 20: "zicsr", 21: "zifencei",
               53: "zacas", 65: "svadu", 71: "zicbop", 77: "zalasr"}
    off = {(ISA, 9): 0, (ISA, 16): 0, (ISA, 4): 0, (ISA, 32): 1}
    config = {(CONFIG, 1): 1000000, (CONFIG, 2): 128, (CONFIG, 4): 32, (CONFIG, 5): 9}
    found = harts_of(tmp_path, {**BASE, **{(ISA, n): 1 for n in numbers}, **off, **config})
    cpu = found["/cpus/cpu@1"]
    extensions = fdt.texts(cpu["riscv,isa-extensions"])
    assert set(extensions) == {*"imafdc", *numbers.values()}
    assert len(extensions) == 6 + len(numbers)
    base, *rest = fdt.texts(cpu["riscv,isa"])[0].split("_")
    assert base == "rv64imafdcv"
    assert rest == [e for e in extensions if len(e) > 1 and e != "svadu"]
    blocks = [fdt.cells(cpu[f"riscv,cbo{c}-block-size"]) for c in "mzp"]
    assert blocks == [(128,), (64,), (32,)]
    assert fdt.texts(cpu["mmu-type"]) == ["riscv,sv48"]
    assert fdt.cells(found["/cpus"]["timebase-frequency"]) == (1000000,)


def test_all_that_linux_has_numbers_for_fit(tmp_path):
    found = harts_of(tmp_path, {(ISA, n): 1 for n in range(100)})
    cpu = found["/cpus/cpu@0"]
    extensions = fdt.texts(cpu["riscv,isa-extensions"])
    assert len(extensions) == len(set(extensions)) == 77 and extensions[-1] == "smstateen"
    assert fdt.texts(cpu["riscv,isa"])[0].endswith("_smstateen")


@pytest.mark.parametrize("mode, name", [(8, "sv39"), (9, "sv48"), (10, "sv57")])
def test_the_largest_table(tmp_path, mode, name):
    found = harts_of(tmp_path, {(CONFIG, 5): mode})
    assert fdt.texts(found["/cpus/cpu@0"]["mmu-type"]) == [f"riscv,{name}"]


def test_a_kernel_that_has_no_such_registers(tmp_path):
    """Blocks of extensions that the VM has not are not told; those of Linux 6.1's harts are."""
    found = harts_of(tmp_path, {**BASE, (CONFIG, 2): 64, (CONFIG, 3): 64})
    cpu = found["/cpus/cpu@0"]
    assert fdt.texts(cpu["riscv,isa-extensions"]) == BASE_NAMES
    assert not [name for name in cpu if name.endswith("-block-size")]
    assert fdt.texts(cpu["mmu-type"]) == ["riscv,sv39"]
    assert fdt.cells(found["/cpus"]["timebase-frequency"]) == (10000000,)
