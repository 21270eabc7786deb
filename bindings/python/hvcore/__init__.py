# SPDX-License-Identifier: Apache-2.0
"""hvcore: virtual machines from Python.

    with hvcore.VM("riscv64") as vm:
        vm.map(0x8000_0000, hvcore.Memory(2 << 20))
        vm.write(0x8000_0000, code)
        cpu = vm.vcpu(0)
        cpu.regs.update(pc=0x8000_0000)
        for exit in cpu.exits(deadline=0.5):
            match exit:
                case hvcore.Mmio(write=True, addr=a, data=d): uart(a, d)
                case hvcore.Shutdown(): break

Objects hold what they need: any order of going out of scope is right. A vCPU is run by one thread at
a time; cancel() may be called by any. The interpreter's lock is released while a guest runs.
"""
from ._errors import Error, PolicyError
from ._exits import (Cancelled, Deadline, Exit, FixupFailed, Halt, Hypercall, InsnLimit, Mmio, Off,
                     Reset, Shutdown, Stopped, Storm, Trap)
from ._machine import VM, Memory, MmioVerdict, Registers, Vcpu, backends, version
from ._policy import Enforcer, Policy, ReportItem, TrapDo

__all__ = [
    "VM", "Memory", "Vcpu", "Registers", "MmioVerdict", "Policy", "ReportItem", "Enforcer", "TrapDo",
    "Error", "PolicyError", "Exit", "Mmio", "Hypercall", "Trap", "Halt", "Off", "Shutdown",
    "Reset", "Cancelled", "Deadline", "InsnLimit", "Stopped", "Storm", "FixupFailed", "backends",
    "version",
]
