# SPDX-License-Identifier: Apache-2.0
"""Virtual CPUs and their registers."""
from __future__ import annotations

import enum
import threading
import time
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _exits
from ._errors import check, record
from ._hvcore import ffi, lib

if TYPE_CHECKING:
    from ._machine import VM

# a run returns this often so that Python can deliver signals (KeyboardInterrupt)
_SLICE_NS = 50_000_000
# a run that was overtaken by an exception need not return these: the guest has asked for nothing
_TIME_IS_UP = (lib.HVCORE_EXIT_DEADLINE, lib.HVCORE_EXIT_INSN_LIMIT)
_NO_SUCH = (-lib.HVCORE_E_NOTFOUND, -lib.HVCORE_E_UNSUPPORTED)


class PointKind(enum.IntEnum):
    """What a hardware point stops at."""

    EXECUTE = lib.HVCORE_DEBUG_POINT_EXECUTE
    WRITE = lib.HVCORE_DEBUG_POINT_WRITE
    READ = lib.HVCORE_DEBUG_POINT_READ  # x86_64 stops at writes as well
    ACCESS = lib.HVCORE_DEBUG_POINT_ACCESS


@dataclass(frozen=True)
class Point:
    """A hardware breakpoint, or a watchpoint of `size` bytes (1, 2, 4, 8; it divides `addr`)."""

    addr: int
    kind: PointKind = PointKind.EXECUTE
    size: int = 1


class Registers(MutableMapping[str, int]):
    """The registers of a vCPU by name: regs["a0"], regs.update(pc=...).

    Names are the architecture's: "rip", "cs", "cs_base"; "x0", "pc", "sctlr_el1", "v0" (128 bits);
    "a0", "pc", "vsatp". One without a name has its number (reg.h): regs["0x02c60008"]. One that
    this vCPU has not is a KeyError; iteration tells those that it has.
    """

    def __init__(self, vcpu: Vcpu) -> None:
        self._vcpu = vcpu
        self._arch: int = vcpu.vm._arch
        self._numbers: dict[str, int] = {}

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = self._parse(name)
        return self._numbers[name]

    def _parse(self, name: str) -> int:
        out = ffi.new("hvcore_reg *")
        if lib.hvcore_reg_parse(self._arch, name.encode(), out) == 0:
            return int(out[0])
        try:
            number = int(name, 16) if name.startswith("0x") else -1
        except ValueError:
            number = -1
        if not 0 <= number < 1 << 32:
            raise KeyError(name)
        return number

    def __getitem__(self, name: str) -> int:
        value = ffi.new("uint8_t[16]")
        rc = lib.hvcore_reg_get_bytes(self._vcpu._c, self._number(name), value)
        if rc in _NO_SUCH:
            raise KeyError(name)
        check(rc)
        return int.from_bytes(bytes(value), "little")

    def __setitem__(self, name: str, value: int) -> None:
        number = self._number(name)
        width = min(number & 0xff, 16)
        rc = lib.hvcore_reg_set_bytes(self._vcpu._c, number,
                                      value.to_bytes(width, "little").ljust(16, b"\0"))
        if rc == -lib.HVCORE_E_NOTFOUND:
            raise KeyError(name)
        check(rc)

    def __delitem__(self, name: str) -> None:
        raise TypeError("registers cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        index = 0
        while reg := lib.hvcore_reg_at(self._arch, index):
            name = ffi.string(lib.hvcore_reg_name(self._arch, reg)).decode()
            if name in self:
                yield name
            index += 1

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Vcpu:
    """A virtual CPU; made by VM.vcpu()."""

    def __init__(self, vm: VM, index: int, off: bool = False) -> None:
        opts, out, err = ffi.new("hvcore_vcpu_opts *"), ffi.new("hvcore_vcpu **"), record()
        opts.size = ffi.sizeof("hvcore_vcpu_opts")
        opts.flags = lib.HVCORE_VCPU_OFF if off else 0
        check(lib.hvcore_vcpu_create(vm._c, index, opts, out, err), err)
        self._c: Any = ffi.gc(out[0], lib.hvcore_vcpu_unref)
        self.vm: VM = vm
        self.index = index
        self.regs = Registers(self)
        self.last: _exits.Exit | None = None
        self._overtaken: _exits.Exit | None = None  # by an exception; the next run() returns it
        self._lock = threading.RLock()  # signal handlers of this thread cancel, too
        self._token: int | None = None  # of a cancel() that no run() has returned

    def run(self, deadline: float | None = None, max_insns: int = 0) -> _exits.Exit:
        """Run until the guest needs somebody. `deadline`: seconds from now; `max_insns`: 0 is none.

        An exception that a callback raised comes out here, and so do KeyboardInterrupt and what
        other signal handlers raise. Nothing is lost then: the next run() asks the callback again,
        or returns the exit that the exception has overtaken.

        kvm: from its first run on, a thread has one signal blocked; see Context and detach().
        """
        out = ffi.new("const hvcore_exit **")
        try:
            if self._overtaken is None:
                self._run(out, deadline, max_insns)
                self.last = _exits.make(out[0])
                self._told(self.last)
                return self.last
            self.last, self._overtaken = self._overtaken, None
            return self.last
        except BaseException:
            self._keep(out[0])
            raise

    def _run(self, out: Any, deadline: float | None, budget: int) -> None:
        """Slice by slice, until *out is an exit for the caller."""
        until = time.monotonic_ns() + int(deadline * 1e9) if deadline is not None else None
        while True:
            self._raise_parked(out)
            ran = self._insns() if budget else 0
            now = time.monotonic_ns()
            last = until is not None and until <= now + _SLICE_NS
            self._run_once(out, until if last and until else now + _SLICE_NS, budget)
            if budget:
                budget = max(1, budget - (self._insns() - ran))
            if out[0].reason != lib.HVCORE_EXIT_DEADLINE or last:
                return

    def _run_once(self, out: Any, deadline_ns: int, max_insns: int) -> None:
        opts, err = ffi.new("hvcore_run_opts *"), record()
        opts.size, opts.deadline_ns = ffi.sizeof("hvcore_run_opts"), max(1, deadline_ns)
        opts.max_insns = max_insns
        out[0] = ffi.NULL
        rc = lib.hvcore_vcpu_run(self._c, opts, out, err)
        self._raise_parked(out)
        check(rc, err)

    def _raise_parked(self, out: Any) -> None:
        """Raise what a callback has raised. The cancel that made the run return was ours."""
        parked = self.vm._parked.pop(self.index, None)
        if parked is None:
            return
        with self._lock:
            lib.hvcore_vcpu_cancel_clear(self._c)
            if self._token is not None:
                lib.hvcore_vcpu_cancel(self._c, self._token)
        if out[0] != ffi.NULL and out[0].reason == lib.HVCORE_EXIT_CANCELLED:
            out[0] = ffi.NULL
        raise parked

    def _told(self, exit: _exits.Exit) -> None:
        if isinstance(exit, _exits.Cancelled):
            with self._lock:
                self._token = None

    def _keep(self, c: Any) -> None:
        """A run has returned this exit, and its caller has not got it."""
        if c == ffi.NULL or c.reason in _TIME_IS_UP:
            return
        if self.index not in self.vm._parked or c.reason != lib.HVCORE_EXIT_CANCELLED:
            self._overtaken = _exits.make(c)

    def exits(self, deadline: float | None = None) -> Iterator[_exits.Exit]:
        """Run again and again; each exit is yielded. `deadline` is for all of it together."""
        until = time.monotonic() + deadline if deadline is not None else None
        while True:
            yield self.run(None if until is None else max(0.0, until - time.monotonic()))

    def complete(self, *values: int) -> None:
        """Answer the last exit: the value of a load, an IN, a system register; a call's results."""
        check(lib.hvcore_vcpu_complete(self._c, list(values), len(values)))

    def deny(self) -> None:
        """Answer the last exit by "there is no such thing", as hardware without it would. kvm."""
        err = record()
        check(lib.hvcore_vcpu_deny(self._c, err), err)

    def inject(self, cause: int, tval: int = 0) -> None:
        """Give the guest an exception in place of the current instruction."""
        what, err = ffi.new("hvcore_inject *"), record()
        what.size, what.cause, what.tval = ffi.sizeof("hvcore_inject"), cause, tval
        check(lib.hvcore_vcpu_inject(self._c, what, err), err)

    def irq(self, irq: int, level: int = 1) -> None:
        """Drive an interrupt input of the vCPU (vcpu.h says which there are). Any thread."""
        check(lib.hvcore_vcpu_irq(self._c, irq, level))

    def debug(self, step: bool = False, breakpoints: bool = False,
              points: Iterable[int | Point] = ()) -> None:
        """From the next run on, stop with Debug; without arguments no more.

        `step`: after each instruction; `breakpoints`: at the guest's breakpoint instructions;
        `points`: at hardware points, where a number is an address that is executed. What this host
        cannot do is an Error.
        """
        opts, err, wanted = ffi.new("hvcore_debug_opts *"), record(), list(points)
        opts.size, opts.count = ffi.sizeof("hvcore_debug_opts"), len(wanted)
        opts.flags = (step and lib.HVCORE_DEBUG_STEP) | (breakpoints and
                                                         lib.HVCORE_DEBUG_BREAKPOINTS)
        for c, point in zip(opts.point, wanted):
            p = point if isinstance(point, Point) else Point(point)
            c.addr, c.kind, c.len = p.addr, p.kind, p.size
        check(lib.hvcore_vcpu_debug_set(self._c, opts, err), err)

    def cancel(self, token: int = 0) -> None:
        """Make the current or next run return Cancelled. Any thread."""
        with self._lock:
            check(lib.hvcore_vcpu_cancel(self._c, token))
            self._token = token

    def detach(self) -> None:
        """Leave the thread that runs the vCPU: on kvm it gets its signal mask back.

        Threads and programs that are started before inherit the blocked signal.
        """
        check(lib.hvcore_vcpu_detach(self._c))

    def trap_counts(self, cause: int) -> dict[str, int]:
        """How often who handled traps of this cause."""
        c = ffi.new("hvcore_trap_counts *")
        c.size = ffi.sizeof("hvcore_trap_counts")
        check(lib.hvcore_vcpu_trap_counts(self._c, cause, c))
        return {name: getattr(c, name) for name in ("delegated", "redirected", "emulated", "exited",
                                                    "stopped", "late")}

    def _insns(self) -> int:
        s = ffi.new("hvcore_vcpu_stats *")
        s.size = ffi.sizeof("hvcore_vcpu_stats")
        check(lib.hvcore_vcpu_stats_get(self._c, s))
        return int(s.insns)
