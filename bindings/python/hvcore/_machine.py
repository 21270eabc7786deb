# SPDX-License-Identifier: Apache-2.0
"""Machines, memory, virtual CPUs."""
from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from . import _exits
from ._errors import Error, check, record
from ._hvcore import ffi, lib
from ._policy import RISCV64, Policy, ReportItem, report_items

_ARCHES = {"riscv64": RISCV64}
# a run returns this often so that Python can deliver signals (KeyboardInterrupt)
_SLICE_NS = 50_000_000


class MmioVerdict(enum.IntEnum):
    """What an MMIO callback may return instead of a value (read) or None (write)."""

    EXIT = lib.HVCORE_MMIO_EXIT
    FAULT = lib.HVCORE_MMIO_FAULT
    RETRY = lib.HVCORE_MMIO_RETRY


def version() -> str:
    """The library's version, "0.1.0"."""
    v = lib.hvcore_version()
    return f"{v >> 24}.{v >> 16 & 0xff}.{v >> 8 & 0xff}"


def _context() -> Any:
    out, err = ffi.new("hvcore_ctx **"), record()
    check(lib.hvcore_ctx_create(ffi.NULL, out, err), err)
    return ffi.gc(out[0], lib.hvcore_ctx_unref)


_default_context = _context()


def backends() -> list[dict[str, Any]]:
    """What this build can run guests on."""
    found: list[dict[str, Any]] = []
    info = ffi.new("hvcore_backend_info *")
    info.size = ffi.sizeof("hvcore_backend_info")
    while lib.hvcore_ctx_backend_info(_default_context, len(found), info) == 0:
        found.append({"name": ffi.string(info.name).decode(),
                      "machine": ffi.string(info.machine).decode(), "arch": info.arch,
                      "caps": info.caps, "max_vcpus": info.max_vcpus,
                      "delegatable": info.delegatable})
    return found


class Memory:
    """Zeroed bytes that can be mapped into guests; `size` is a multiple of 4096."""

    def __init__(self, size: int) -> None:
        out, err = ffi.new("hvcore_mem **"), record()
        check(lib.hvcore_mem_alloc(_default_context, size, 0, out, err), err)
        self._c = ffi.gc(out[0], lib.hvcore_mem_unref)
        self.size = size

    def view(self) -> memoryview:
        """The bytes themselves. The view keeps the memory alive, whatever is unmapped."""
        held = lib.hvcore_mem_ref(self._c)
        start = ffi.gc(ffi.cast("char *", lib.hvcore_mem_ptr(held)),
                       lambda _: lib.hvcore_mem_unref(held))
        return memoryview(ffi.buffer(start, self.size))


class Registers(MutableMapping[str, int]):
    """The registers of a vCPU by name: regs["a0"], regs.update(pc=...)."""

    def __init__(self, vcpu: Vcpu) -> None:
        self._vcpu, self._numbers = vcpu, dict[str, int]()

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            out = ffi.new("hvcore_reg *")
            if lib.hvcore_reg_parse(RISCV64, name.encode(), out):
                raise KeyError(name)
            self._numbers[name] = out[0]
        return self._numbers[name]

    def __getitem__(self, name: str) -> int:
        value = ffi.new("uint64_t *")
        check(lib.hvcore_reg_get_u64(self._vcpu._c, self._number(name), value))
        return value[0]

    def __setitem__(self, name: str, value: int) -> None:
        check(lib.hvcore_reg_set_u64(self._vcpu._c, self._number(name), value))

    def __delitem__(self, name: str) -> None:
        raise TypeError("registers cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        index = 0
        while reg := lib.hvcore_reg_at(RISCV64, index):
            yield ffi.string(lib.hvcore_reg_name(RISCV64, reg)).decode()
            index += 1

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Vcpu:
    """A virtual CPU; made by VM.vcpu()."""

    def __init__(self, vm: VM, index: int) -> None:
        out, err = ffi.new("hvcore_vcpu **"), record()
        check(lib.hvcore_vcpu_create(vm._c, index, ffi.NULL, out, err), err)
        self._c = ffi.gc(out[0], lib.hvcore_vcpu_unref)
        self.vm, self.index, self.regs = vm, index, Registers(self)
        self.last: _exits.Exit | None = None

    def run(self, deadline: float | None = None, max_insns: int = 0) -> _exits.Exit:
        """Run until the guest needs somebody. `deadline`: seconds from now; `max_insns`: 0 is none.

        An exception that a callback raised comes out here, and so does KeyboardInterrupt.
        """
        until = time.monotonic_ns() + int(deadline * 1e9) if deadline is not None else None
        budget = max_insns
        while True:
            ran = self._insns() if budget else 0
            now = time.monotonic_ns()
            last = until is not None and until <= now + _SLICE_NS
            exit = self._run_once(until if last and until else now + _SLICE_NS, budget)
            self.vm._raise_parked(self.index)
            if budget:
                budget = max(1, budget - (self._insns() - ran))
            if not isinstance(exit, _exits.Deadline) or last:
                self.last = exit
                return exit

    def _run_once(self, deadline_ns: int, max_insns: int) -> _exits.Exit:
        opts, out, err = ffi.new("hvcore_run_opts *"), ffi.new("const hvcore_exit **"), record()
        opts.size, opts.deadline_ns = ffi.sizeof("hvcore_run_opts"), max(1, deadline_ns)
        opts.max_insns = max_insns
        check(lib.hvcore_vcpu_run(self._c, opts, out, err), err)
        return _exits.make(out[0])

    def exits(self, deadline: float | None = None) -> Iterator[_exits.Exit]:
        """Run again and again; each exit is yielded. `deadline` is for all of it together."""
        until = time.monotonic() + deadline if deadline is not None else None
        while True:
            yield self.run(None if until is None else max(0.0, until - time.monotonic()))

    def complete(self, *values: int) -> None:
        """Answer the last exit: the loaded value, or the two results of a hypercall."""
        check(lib.hvcore_vcpu_complete(self._c, list(values), len(values)))

    def inject(self, cause: int, tval: int = 0) -> None:
        """Give the guest an exception in place of the current instruction."""
        what, err = ffi.new("hvcore_inject *"), record()
        what.size, what.cause, what.tval = ffi.sizeof("hvcore_inject"), cause, tval
        check(lib.hvcore_vcpu_inject(self._c, what, err), err)

    def cancel(self, token: int = 0) -> None:
        """Make the current or next run return Cancelled. Any thread."""
        check(lib.hvcore_vcpu_cancel(self._c, token))

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
        return s.insns


class VM:
    """A virtual machine."""

    def __init__(self, arch: str = "riscv64", backend: str | None = None, vcpus: int = 1) -> None:
        if arch not in _ARCHES:
            raise ValueError(f"no guests of architecture {arch!r}; there is {', '.join(_ARCHES)}")
        opts, out, err = ffi.new("hvcore_vm_opts *"), ffi.new("hvcore_vm **"), record()
        name = ffi.new("char[]", backend.encode()) if backend else ffi.NULL
        opts.size, opts.arch, opts.max_vcpus = ffi.sizeof("hvcore_vm_opts"), _ARCHES[arch], vcpus
        opts.backend = name
        check(lib.hvcore_vm_create(_default_context, opts, out, err), err)
        self._c = ffi.gc(out[0], lib.hvcore_vm_unref)
        self._handles: list[Any] = []  # what the C side knows of callbacks
        self._parked: dict[int, BaseException] = {}  # by vCPU, until its run() returns
        self.report: list[ReportItem] = []

    def __enter__(self) -> VM:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, gpa: int, memory: Memory, offset: int = 0, size: int = 0,
            prot: int = lib.HVCORE_PROT_RWX) -> None:
        """Map memory at a guest-physical address; size 0 is all of it from offset on."""
        opts, err = ffi.new("hvcore_map_opts *"), record()
        opts.size, opts.gpa, opts.offset = ffi.sizeof("hvcore_map_opts"), gpa, offset
        opts.len, opts.prot = size, prot
        check(lib.hvcore_vm_map(self._c, memory._c, opts, err), err)

    def unmap(self, gpa: int, size: int) -> None:
        """Unmap a range; when it returns, no vCPU can use it any more."""
        err = record()
        check(lib.hvcore_vm_unmap(self._c, gpa, size, err), err)

    def protect(self, gpa: int, size: int, prot: int) -> None:
        """Change the rights of mapped memory (1 read, 2 write, 4 execute)."""
        err = record()
        check(lib.hvcore_vm_protect(self._c, gpa, size, prot, err), err)

    def read(self, gpa: int, size: int) -> bytes:
        """A copy of guest memory."""
        buf = ffi.new("char[]", size)
        check(lib.hvcore_vm_read(self._c, gpa, buf, size))
        return bytes(ffi.buffer(buf, size))

    def write(self, gpa: int, data: bytes | bytearray | memoryview) -> None:
        """Copy bytes into guest memory."""
        check(lib.hvcore_vm_write(self._c, gpa, ffi.from_buffer(data), len(data)))

    def console(self, fn: Callable[[bytes], None]) -> None:
        """Give the guest a firmware console; fn gets what it writes."""
        handle = self._handle(fn)
        check(lib.hvcore_vm_console_set(self._c, lib.hvcore_py_console, handle))

    def mmio(self, gpa: int, size: int,
             read: Callable[[int, int], int] | None = None,
             write: Callable[[int, int, int], MmioVerdict | None] | None = None) -> int:
        """Answer accesses by read(addr, width) -> value and write(addr, width, value).

        Either may return a MmioVerdict. Returns the number that remove_mmio() takes.
        """
        ops, out, err = ffi.new("hvcore_mmio_ops *"), ffi.new("uint32_t *"), record()
        ops.size = ffi.sizeof("hvcore_mmio_ops")
        ops.read = lib.hvcore_py_read if read else ffi.NULL
        ops.write = lib.hvcore_py_write if write else ffi.NULL
        handle = self._handle((read, write))
        check(lib.hvcore_vm_mmio_add(self._c, gpa, size, ops, handle, out, err), err)
        return out[0]

    def remove_mmio(self, number: int) -> None:
        """Undo mmio()."""
        check(lib.hvcore_vm_mmio_remove(self._c, number))

    def vcpu(self, index: int = 0) -> Vcpu:
        """Make the vCPU `index`."""
        return Vcpu(self, index)

    def set_policy(self, policy: Policy) -> list[ReportItem]:
        """Set the trap policy, also while vCPUs run; what it comes to here is returned."""
        out, err = ffi.new("hvcore_report **"), record()
        rc = lib.hvcore_trap_policy_set(self._c, policy._c, out, err)
        self.report = report_items(out[0])
        check(rc, err)
        return self.report

    def pause(self) -> None:
        """Hold all vCPUs."""
        check(lib.hvcore_vm_pause(self._c))

    def resume(self) -> None:
        """Undo one pause()."""
        check(lib.hvcore_vm_resume(self._c))

    def _handle(self, what: Any) -> Any:
        handle = ffi.new_handle((self, what))
        self._handles.append(handle)
        return handle

    def _park(self, exception: BaseException, vcpu: Any) -> None:
        self._parked.setdefault(lib.hvcore_vcpu_index(vcpu), exception)
        lib.hvcore_vcpu_cancel(vcpu, 0)

    def _raise_parked(self, index: int) -> None:
        exception = self._parked.pop(index, None)
        if exception is not None:
            raise exception


@ffi.def_extern()
def hvcore_py_console(user: Any, vcpu: Any, data: Any, size: int) -> None:
    vm, fn = ffi.from_handle(user)
    try:
        fn(bytes(ffi.buffer(data, size)))
    except BaseException as e:  # comes out of run()
        vm._park(e, vcpu)


@ffi.def_extern()
def hvcore_py_read(user: Any, vcpu: Any, gpa: int, width: int, value: Any) -> int:
    vm, (read, _) = ffi.from_handle(user)
    try:
        result = read(gpa, width)
        if isinstance(result, MmioVerdict):
            return int(result)
        value[0] = result & 0xffff_ffff_ffff_ffff
    except BaseException as e:
        vm._park(e, vcpu)
        return lib.HVCORE_MMIO_RETRY
    return lib.HVCORE_MMIO_DONE


@ffi.def_extern()
def hvcore_py_write(user: Any, vcpu: Any, gpa: int, width: int, value: int) -> int:
    vm, (_, write) = ffi.from_handle(user)
    try:
        result = write(gpa, width, value)
    except BaseException as e:
        vm._park(e, vcpu)
        return lib.HVCORE_MMIO_RETRY
    return int(result) if isinstance(result, MmioVerdict) else lib.HVCORE_MMIO_DONE
