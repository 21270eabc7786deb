# SPDX-License-Identifier: Apache-2.0
"""Guests above this machine's /dev/kvm: real-mode x86_64 code, in hex."""
import struct
import threading

import pytest

import hvcore

CODE = 0x1000
DEVICE = 0xD0000  # nothing is mapped there; ds begins there
SPIN = "eb fe"    # jmp .


def why_not():
    """Why there is no kvm for x86_64 here, or None."""
    try:
        hvcore.VM("x86_64", backend="kvm").vcpu(0)
    except hvcore.Error as error:
        return str(error)
    return None


def new_vm(**options):
    vm = hvcore.VM(arch="x86_64", backend="kvm", **options)
    vm.map(0, hvcore.Memory(0x10000))
    return vm


def boot(vm, code, index=0, at=CODE, **regs):
    vm.write(at, bytes.fromhex(code))
    cpu = vm.vcpu(index)
    cpu.regs.update(cs=0, cs_base=0, ds=DEVICE >> 4, ds_base=DEVICE, rsp=0x8000, rflags=2, rip=at)
    cpu.regs.update(regs)
    return cpu


def up(code, **regs):
    vm = new_vm()
    return vm, boot(vm, code, **regs)


def vector(vm, number, handler, at=0x5000):
    """A handler of an interrupt, real mode."""
    vm.write(4 * number, struct.pack("<HH", at, 0))
    vm.write(at, bytes.fromhex(handler))


def on_timer(seconds, call, *args):
    timer = threading.Timer(seconds, call, args)
    timer.start()
    return timer


def need_kvm():
    """Skips the module that asks, where there is none."""
    if reason := why_not():
        pytest.skip(reason, allow_module_level=True)
