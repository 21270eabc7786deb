# SPDX-License-Identifier: Apache-2.0
"""Exits as dataclasses, for match statements."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._hvcore import lib


@dataclass(frozen=True, kw_only=True)
class Exit:
    """Why a run returned. A field of the trap that is not known is None."""

    pc: int
    rule: int = 0
    cause: int | None = None
    mode: int | None = None
    tval: int | None = None
    gva: int | None = None
    gpa: int | None = None
    needs_completion: bool = False


@dataclass(frozen=True, kw_only=True)
class Mmio(Exit):
    addr: int
    width: int
    write: bool
    data: int


@dataclass(frozen=True, kw_only=True)
class Hypercall(Exit):
    nr: int
    fid: int
    args: tuple[int, ...]


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


# reason -> class, member of the union, its fields
_KINDS: dict[int, tuple[type[Exit], str, tuple[str, ...]]] = {
    lib.HVCORE_EXIT_MMIO: (Mmio, "mmio", ("addr", "data", "width", "write")),
    lib.HVCORE_EXIT_HYPERCALL: (Hypercall, "hypercall", ("nr", "fid")),
    lib.HVCORE_EXIT_TRAP: (Trap, "", ()),
    lib.HVCORE_EXIT_HALT: (Halt, "", ()),
    lib.HVCORE_EXIT_OFF: (Off, "", ()),
    lib.HVCORE_EXIT_SHUTDOWN: (Shutdown, "reset", ("type", "reason")),
    lib.HVCORE_EXIT_RESET: (Reset, "reset", ("type", "reason")),
    lib.HVCORE_EXIT_CANCELLED: (Cancelled, "cancelled", ("token",)),
    lib.HVCORE_EXIT_DEADLINE: (Deadline, "", ()),
    lib.HVCORE_EXIT_INSN_LIMIT: (InsnLimit, "", ()),
    lib.HVCORE_EXIT_STOPPED: (Stopped, "", ()),
    lib.HVCORE_EXIT_STORM: (Storm, "storm", ("kind", "count")),
    lib.HVCORE_EXIT_FIXUP: (FixupFailed, "fixup", ("why", "result")),
}

# field -> its name in the C structure, the bit that says it is known
_KNOWN = {
    "cause": ("cls", lib.HVCORE_HAVE_SYNDROME), "mode": ("mode", lib.HVCORE_HAVE_MODE),
    "tval": ("tval", lib.HVCORE_HAVE_TVAL), "gva": ("gva", lib.HVCORE_HAVE_GVA),
    "gpa": ("gpa", lib.HVCORE_HAVE_GPA),
}


def make(e: Any) -> Exit:
    """The dataclass of a C exit."""
    kind, member, names = _KINDS[e.reason]
    part = getattr(e.u, member) if member else None
    fields = {name: getattr(part, name) for name in names}
    if kind is Mmio:
        fields["write"] = bool(fields["write"])
    if kind is Hypercall:
        fields["args"] = tuple(part.arg)
    fields.update({name: getattr(e, field) if e.have & bit else None
                   for name, (field, bit) in _KNOWN.items()})
    return kind(pc=e.pc, rule=e.rule,
                needs_completion=bool(e.flags & lib.HVCORE_EXIT_NEEDS_COMPLETION), **fields)
