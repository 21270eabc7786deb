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

On a host with /dev/kvm, VM(arch="x86_64", backend="kvm") and its kin run guests of the host's own
architecture above Linux; exits, answers and callbacks are the same. A thread that runs such a guest
has one signal blocked from then on: see Context and Vcpu.detach().

Objects hold what they need: any order of going out of scope is right. A vCPU is run by one thread
at a time; cancel() may be called by any. The interpreter's lock is released while a guest runs.
"""
from ._context import Context, Memory, backends, version
from ._errors import Error, PolicyError
from ._exits import (Cancelled, Crash, CrashWhy, Deadline, Debug, DebugKind, Exit, FixupFailed,
                     Halt, Hypercall, InsnLimit, MemoryFault, Mmio, Off, Pio, Reset, Shutdown,
                     Stopped, Storm, Suspend, Sysreg, Trap, Wakeup)
from ._machine import VM, Duty, MmioVerdict
from ._policy import Enforcer, Policy, ReportItem, TrapDo
from ._vcpu import Point, PointKind, Registers, Vcpu

__all__ = [
    "VM", "Memory", "Context", "Vcpu", "Registers", "MmioVerdict", "Duty", "Point", "PointKind",
    "Policy", "ReportItem", "Enforcer", "TrapDo", "Error", "PolicyError", "Exit", "Mmio", "Pio",
    "Hypercall", "Sysreg", "Debug", "DebugKind", "MemoryFault", "Crash", "CrashWhy", "Trap", "Halt",
    "Off", "Shutdown", "Reset", "Suspend", "Wakeup", "Cancelled", "Deadline", "InsnLimit",
    "Stopped", "Storm", "FixupFailed", "backends", "version",
]
