# SPDX-License-Identifier: Apache-2.0
"""Exits as dataclasses, for match statements."""
from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._hvcore import lib


class DebugKind(enum.IntEnum):
    """What stopped a guest that is debugged."""

    STEP = lib.HVCORE_DEBUG_KIND_STEP
    BREAKPOINT = lib.HVCORE_DEBUG_KIND_BREAKPOINT
    POINT = lib.HVCORE_DEBUG_KIND_POINT


class CrashWhy(enum.IntEnum):
    """Why a processor cannot go on."""

    TRIPLE_FAULT = lib.HVCORE_CRASH_TRIPLE_FAULT
    ENTRY = lib.HVCORE_CRASH_ENTRY
    EMULATION = lib.HVCORE_CRASH_EMULATION
    GUEST = lib.HVCORE_CRASH_GUEST
    UNKNOWN = lib.HVCORE_CRASH_UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Exit:
    """Why a run returned. What is not known is None; a kernel (kvm) tells less than a machine."""

    pc: int | None
    rule: int = 0
    cause: int | None = None
    mode: int | None = None
    syndrome: int | None = None
    tval: int | None = None
    gva: int | None = None
    gpa: int | None = None
    insn: int | None = None
    needs_completion: bool = False
    pc_advanced: bool = False  # the kernel has put pc behind the instruction already


@dataclass(frozen=True, kw_only=True)
class Mmio(Exit):
    """An access that nobody answers. A load needs complete(value), or deny() (kvm)."""

    addr: int
    width: int
    write: bool
    data: int


@dataclass(frozen=True, kw_only=True)
class Pio(Exit):
    """x86_64: IN or OUT that nobody answers; IN needs complete(value) or deny()."""

    port: int
    width: int
    write: bool
    data: int


@dataclass(frozen=True, kw_only=True)
class Hypercall(Exit):
    nr: int
    fid: int
    args: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Sysreg(Exit):
    """An MSR or CSR that is the VMM's: complete(value), or deny().

    `mask` has the bits of `value` that are written; a read (`write` is False) has none.
    """

    id: int
    value: int
    mask: int
    write: bool


@dataclass(frozen=True, kw_only=True)
class Debug(Exit):
    """Vcpu.debug(). `addr`: of a watchpoint, if the kernel says it; `status`: DR6, or ESR."""

    kind: DebugKind
    addr: int
    status: int


@dataclass(frozen=True, kw_only=True)
class MemoryFault(Exit):
    """The host cannot provide memory that is mapped; run again once it can.

    `size` bytes from gpa on; 0: not known. `errno` and `flags` are the kernel's.
    """

    size: int
    flags: int
    errno: int


@dataclass(frozen=True, kw_only=True)
class Crash(Exit):
    """The guest's processor cannot go on. What `code` means depends on `why` (vcpu.h)."""

    why: CrashWhy
    code: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Trap(Exit):
    pass


@dataclass(frozen=True, kw_only=True)
class Halt(Exit):
    pass


@dataclass(frozen=True, kw_only=True)
class Off(Exit):
    pass


@dataclass(frozen=True, kw_only=True)
class Shutdown(Exit):
    type: int
    reason: int


@dataclass(frozen=True, kw_only=True)
class Reset(Exit):
    type: int
    reason: int


@dataclass(frozen=True, kw_only=True)
class Suspend(Exit):
    """The guest asked to be suspended; `type` as the kernel numbers it."""

    type: int
    reason: int


@dataclass(frozen=True, kw_only=True)
class Wakeup(Exit):
    """An event woke a suspended guest."""


@dataclass(frozen=True, kw_only=True)
class Cancelled(Exit):
    token: int


@dataclass(frozen=True, kw_only=True)
class Deadline(Exit):
    pass


@dataclass(frozen=True, kw_only=True)
class InsnLimit(Exit):
    pass


@dataclass(frozen=True, kw_only=True)
class Stopped(Exit):
    pass


@dataclass(frozen=True, kw_only=True)
class Storm(Exit):
    kind: int
    count: int


@dataclass(frozen=True, kw_only=True)
class FixupFailed(Exit):
    why: int
    result: int


_Fields = Callable[[Any], dict[str, Any]]


def _nothing(_: Any) -> dict[str, Any]:
    return {}


def _same(*names: str) -> _Fields:
    return lambda part: {name: getattr(part, name) for name in names}


def _access(place: str) -> _Fields:
    return lambda part: {place: getattr(part, place), "width": part.width, "data": part.data,
                         "write": bool(part.write)}


def _hypercall(part: Any) -> dict[str, Any]:
    return {"nr": part.nr, "fid": part.fid, "args": tuple(part.arg)}


def _sysreg(part: Any) -> dict[str, Any]:
    return {"id": part.id, "value": part.value, "mask": part.mask, "write": part.mask != 0}


def _debug(part: Any) -> dict[str, Any]:
    return {"kind": DebugKind(part.kind), "addr": part.addr, "status": part.status}


def _memory(part: Any) -> dict[str, Any]:
    return {"size": part.size, "flags": part.flags, "errno": part.sys_errno}


def _crash(part: Any) -> dict[str, Any]:
    return {"why": CrashWhy(part.why), "code": tuple(part.code)[:part.count]}


# reason -> class, member of the union, its fields
_KINDS: dict[int, tuple[type[Exit], str, _Fields]] = {
    lib.HVCORE_EXIT_MMIO: (Mmio, "mmio", _access("addr")),
    lib.HVCORE_EXIT_HYPERCALL: (Hypercall, "hypercall", _hypercall),
    lib.HVCORE_EXIT_TRAP: (Trap, "pad", _nothing),
    lib.HVCORE_EXIT_HALT: (Halt, "pad", _nothing),
    lib.HVCORE_EXIT_OFF: (Off, "pad", _nothing),
    lib.HVCORE_EXIT_SHUTDOWN: (Shutdown, "reset", _same("type", "reason")),
    lib.HVCORE_EXIT_RESET: (Reset, "reset", _same("type", "reason")),
    lib.HVCORE_EXIT_CANCELLED: (Cancelled, "cancelled", _same("token")),
    lib.HVCORE_EXIT_DEADLINE: (Deadline, "pad", _nothing),
    lib.HVCORE_EXIT_INSN_LIMIT: (InsnLimit, "pad", _nothing),
    lib.HVCORE_EXIT_STOPPED: (Stopped, "pad", _nothing),
    lib.HVCORE_EXIT_STORM: (Storm, "storm", _same("kind", "count")),
    lib.HVCORE_EXIT_FIXUP: (FixupFailed, "fixup", _same("why", "result")),
    lib.HVCORE_EXIT_PIO: (Pio, "pio", _access("port")),
    lib.HVCORE_EXIT_SYSREG: (Sysreg, "sysreg", _sysreg),
    lib.HVCORE_EXIT_DEBUG: (Debug, "debug", _debug),
    lib.HVCORE_EXIT_MEMORY: (MemoryFault, "memory", _memory),
    lib.HVCORE_EXIT_CRASH: (Crash, "crash", _crash),
    lib.HVCORE_EXIT_SUSPEND: (Suspend, "reset", _same("type", "reason")),
    lib.HVCORE_EXIT_WAKEUP: (Wakeup, "pad", _nothing),
}

# field -> its name in the C structure, the bit that says it is known
_KNOWN = {
    "pc": ("pc", lib.HVCORE_HAVE_PC), "cause": ("cls", lib.HVCORE_HAVE_SYNDROME),
    "mode": ("mode", lib.HVCORE_HAVE_MODE), "syndrome": ("syndrome", lib.HVCORE_HAVE_SYNDROME),
    "tval": ("tval", lib.HVCORE_HAVE_TVAL), "gva": ("gva", lib.HVCORE_HAVE_GVA),
    "gpa": ("gpa", lib.HVCORE_HAVE_GPA), "insn": ("insn", lib.HVCORE_HAVE_INSN),
}


def make(e: Any) -> Exit:
    """The dataclass of a C exit."""
    kind, member, fields = _KINDS[e.reason]
    known = {name: getattr(e, field) if e.have & bit else None
             for name, (field, bit) in _KNOWN.items()}
    return kind(rule=e.rule, needs_completion=bool(e.flags & lib.HVCORE_EXIT_NEEDS_COMPLETION),
                pc_advanced=bool(e.flags & lib.HVCORE_EXIT_PC_ADVANCED),
                **known, **fields(getattr(e.u, member)))
