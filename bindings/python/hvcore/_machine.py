# SPDX-License-Identifier: Apache-2.0
"""Machines: memory map, devices, interrupts, policy."""
from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._context import ARCHES, Context, Memory, backend_dict, default_context
from ._errors import Error, check, record
from ._hvcore import ffi, lib
from ._policy import Policy, ReportItem, report_items
from ._vcpu import Vcpu

_IRQCHIPS = {"plic": lib.HVCORE_IRQCHIP_PLIC, "gicv3": lib.HVCORE_IRQCHIP_GICV3,
             "gicv2": lib.HVCORE_IRQCHIP_GICV2, "pc": lib.HVCORE_IRQCHIP_PC,
             "aia": lib.HVCORE_IRQCHIP_AIA}
_DUTIES = [ffi.string(lib.hvcore_duty_name(i)).decode() for i in range(lib.HVCORE_DUTIES)]
_PAGE = lib.HVCORE_PAGE_SIZE
_HISTOGRAMS = (3, 4)  # hvcore_kernel_stat.kind
_U32 = 0xffff_ffff
_U64 = 0xffff_ffff_ffff_ffff

Read = Callable[[int, int], "int | MmioVerdict"]
Write = Callable[[int, int, int], "MmioVerdict | None"]


class MmioVerdict(enum.IntEnum):
    """What a callback of mmio() or pio() may return instead of a value (read) or None (write)."""

    EXIT = lib.HVCORE_MMIO_EXIT
    FAULT = lib.HVCORE_MMIO_FAULT
    RETRY = lib.HVCORE_MMIO_RETRY


@dataclass(frozen=True)
class Duty:
    """Who does what a hypervisor owes its guests, as VM.duties() tells it.

    `source` is "kernel", "library", "hidden", "not applicable", "unavailable" or "unknown".
    """

    name: str
    source: str
    can_hide: bool
    counted: bool
    release: str
    why: str


class VM:
    """A virtual machine.

    `arch`: "x86_64", "arm64", "riscv64"; `backend`: "kvm", "bare", or None: the first that can run
    such guests here. `el2`: the guest has an EL2 (arm64).
    """

    def __init__(self, arch: str = "riscv64", backend: str | None = None, vcpus: int = 1,
                 context: Context | None = None, el2: bool = False) -> None:
        if arch not in ARCHES:
            raise ValueError(f"no guests of architecture {arch!r}; there is {', '.join(ARCHES)}")
        opts, out, err = ffi.new("hvcore_vm_opts *"), ffi.new("hvcore_vm **"), record()
        name = ffi.new("char[]", backend.encode()) if backend else ffi.NULL
        opts.size, opts.arch, opts.max_vcpus = ffi.sizeof("hvcore_vm_opts"), ARCHES[arch], vcpus
        opts.backend, opts.flags = name, lib.HVCORE_VM_EL2 if el2 else 0
        check(lib.hvcore_vm_create((context or default_context)._c, opts, out, err), err)
        self._c = ffi.gc(out[0], lib.hvcore_vm_unref)
        self._arch = ARCHES[arch]
        self._handles: list[Any] = []  # what the C side knows of callbacks
        self._parked: dict[int, BaseException] = {}  # by vCPU, until its run() returns
        self.report: list[ReportItem] = []

    def __enter__(self) -> VM:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def backend(self) -> dict[str, Any]:
        """What runs this VM, as in backends()."""
        info = ffi.new("hvcore_backend_info *")
        info.size = ffi.sizeof("hvcore_backend_info")
        check(lib.hvcore_vm_backend_info(self._c, info))
        return backend_dict(info)

    # ---- memory ----

    def map(self, gpa: int, memory: Memory, offset: int = 0, size: int = 0,
            prot: int = lib.HVCORE_PROT_RWX, dirty: bool = False) -> None:
        """Map memory at a guest-physical address; size 0 is all of it from offset on.

        `dirty`: keep a log of what is written, for dirty(). kvm.
        """
        opts, err = ffi.new("hvcore_map_opts *"), record()
        opts.size, opts.gpa, opts.offset = ffi.sizeof("hvcore_map_opts"), gpa, offset
        opts.len, opts.prot, opts.dirty = size, prot, dirty
        check(lib.hvcore_vm_map(self._c, memory._c, opts, err), err)

    def unmap(self, gpa: int, size: int) -> None:
        """Unmap a range; when it returns, no vCPU can use it any more."""
        err = record()
        check(lib.hvcore_vm_unmap(self._c, gpa, size, err), err)

    def protect(self, gpa: int, size: int, prot: int) -> None:
        """Change the rights of mapped memory (1 read, 2 write, 4 execute)."""
        err = record()
        check(lib.hvcore_vm_protect(self._c, gpa, size, prot, err), err)

    def dirty(self, gpa: int, size: int, keep: bool = False) -> list[int]:
        """Addresses of the pages that were written since they were asked for last.

        By the guest or by write(), not through a view. All of the range is mapped with `dirty`.
        `keep`: look only, the pages stay dirty.
        """
        pages, err = size // _PAGE, record()
        bits = ffi.new("uint8_t[]", max(1, (pages + 7) // 8))
        check(lib.hvcore_vm_dirty_get(self._c, gpa, size, bits,
                                      lib.HVCORE_DIRTY_KEEP if keep else 0, err), err)
        return [gpa + _PAGE * (8 * i + bit) for i, byte in enumerate(bytes(bits)) if byte
                for bit in range(8) if byte >> bit & 1]

    def read(self, gpa: int, size: int) -> bytes:
        """A copy of guest memory."""
        buf = ffi.new("char[]", size)
        check(lib.hvcore_vm_read(self._c, gpa, buf, size))
        return bytes(ffi.buffer(buf, size))

    def write(self, gpa: int, data: bytes | bytearray | memoryview) -> None:
        """Copy bytes into guest memory."""
        check(lib.hvcore_vm_write(self._c, gpa, ffi.from_buffer(data), len(data)))

    # ---- devices ----

    def console(self, fn: Callable[[bytes], None]) -> None:
        """Give the guest a firmware console; fn gets what it writes."""
        handle = self._handle(fn)
        check(lib.hvcore_vm_console_set(self._c, lib.hvcore_py_console, handle))

    def mmio(self, gpa: int, size: int, read: Read | None = None,
             write: Write | None = None) -> int:
        """Answer accesses by read(addr, width) -> value and write(addr, width, value).

        Either may return a MmioVerdict. Returns the number that remove_mmio() takes.
        """
        return self._range(lib.hvcore_vm_mmio_add, gpa, size, read, write)

    def pio(self, port: int, size: int, read: Read | None = None,
            write: Write | None = None) -> int:
        """x86_64: the same for ports, read(port, width) and write(port, width, value)."""
        return self._range(lib.hvcore_vm_pio_add, port, size, read, write)

    def _range(self, add: Any, at: int, size: int, read: Read | None, write: Write | None) -> int:
        ops, out, err = ffi.new("hvcore_mmio_ops *"), ffi.new("uint32_t *"), record()
        ops.size = ffi.sizeof("hvcore_mmio_ops")
        ops.read = lib.hvcore_py_read if read else ffi.NULL
        ops.write = lib.hvcore_py_write if write else ffi.NULL
        check(add(self._c, at, size, ops, self._handle((read, write)), out, err), err)
        return int(out[0])

    def remove_mmio(self, number: int) -> None:
        """Undo mmio() or pio()."""
        check(lib.hvcore_vm_mmio_remove(self._c, number))

    def ioevent(self, addr: int, fd: int, width: int = 0, value: int | None = None,
                port: bool = False) -> None:
        """kvm: stores at an address (or port) signal an eventfd and do not come out of run().

        `width`: only such stores (0: all); `value`: only stores of it.
        """
        self._ioevent(addr, fd, width, value, port, 0)

    def remove_ioevent(self, addr: int, fd: int, width: int = 0, value: int | None = None,
                       port: bool = False) -> None:
        """Undo ioevent(); the arguments are the same."""
        self._ioevent(addr, fd, width, value, port, lib.HVCORE_IOEVENT_REMOVE)

    def _ioevent(self, addr: int, fd: int, width: int, value: int | None, port: bool,
                 flags: int) -> None:
        event, err = ffi.new("hvcore_ioevent *"), record()
        event.size, event.addr, event.width = ffi.sizeof("hvcore_ioevent"), addr, width
        event.fd, event.value = fd, value or 0
        event.flags = (flags | (lib.HVCORE_IOEVENT_PIO if port else 0) |
                       (lib.HVCORE_IOEVENT_MATCH if value is not None else 0))
        check(lib.hvcore_vm_ioevent(self._c, event, err), err)

    # ---- interrupts ----

    def irqchip(self, kind: str, lines: int, gpa: int = 0, gpa_cpu: int = 0) -> None:
        """Give the VM its interrupt controller: "plic", "gicv3", "gicv2", "pc", "aia" (irqchip.h).

        "pc" comes before the first vCPU, the others of a kernel after the last one.
        """
        if kind not in _IRQCHIPS:
            raise ValueError(f"no interrupt controller {kind!r}; there is {', '.join(_IRQCHIPS)}")
        opts, err = ffi.new("hvcore_irqchip_opts *"), record()
        opts.size, opts.kind, opts.lines = (ffi.sizeof("hvcore_irqchip_opts"), _IRQCHIPS[kind],
                                            lines)
        opts.gpa, opts.gpa_cpu = gpa, gpa_cpu
        check(lib.hvcore_irqchip_create(self._c, opts, err), err)

    def irq(self, line: int, level: int) -> None:
        """Drive an input line of the interrupt controller. Any thread."""
        check(lib.hvcore_vm_irq(self._c, line, level))

    def irqfd(self, line: int, fd: int, resample: int = -1) -> None:
        """kvm: an eventfd that drives an input line; each signal is a pulse.

        With `resample`, another eventfd, the line stays high until the guest is done with it.
        """
        err = record()
        check(lib.hvcore_vm_irqfd(self._c, line, fd, resample, 1, err), err)

    def remove_irqfd(self, line: int, fd: int) -> None:
        """Undo irqfd()."""
        err = record()
        check(lib.hvcore_vm_irqfd(self._c, line, fd, -1, 0, err), err)

    def msi(self, addr: int, data: int, device: int = 0) -> None:
        """kvm: send a message-signalled interrupt."""
        msi, err = ffi.new("hvcore_msi *"), record()
        msi.size, msi.addr, msi.data, msi.device = ffi.sizeof("hvcore_msi"), addr, data, device
        check(lib.hvcore_vm_msi(self._c, msi, err), err)

    # ---- vCPUs, policy, duties ----

    def vcpu(self, index: int = 0, off: bool = False) -> Vcpu:
        """Make the vCPU `index`; `off`: until another one starts it (riscv64, arm64)."""
        return Vcpu(self, index, off)

    def set_policy(self, policy: Policy) -> list[ReportItem]:
        """Set the trap policy, also while vCPUs run; what it comes to here is returned."""
        out, err = ffi.new("hvcore_report **"), record()
        rc = lib.hvcore_trap_policy_set(self._c, policy._c, out, err)
        self.report = report_items(out[0])
        check(rc, err)
        return self.report

    def duties(self) -> list[Duty]:
        """Who does each duty of a hypervisor on this host, and what was looked at to know it."""
        info, found = ffi.new("hvcore_duty_info *"), []
        for number, name in enumerate(_DUTIES):
            err = record()
            info.size = ffi.sizeof("hvcore_duty_info")
            check(lib.hvcore_vm_duty_info(self._c, number, info, err), err)
            source = ffi.string(lib.hvcore_duty_source_name(info.source)).decode()
            found.append(Duty(name, source, bool(info.can_hide), bool(info.counters_valid),
                              ffi.string(info.release).decode(), ffi.string(info.why).decode()))
        return found

    def hide(self, duty: str) -> None:
        """Hide the feature behind a duty ("mops") from the guest, before it first runs."""
        if duty not in _DUTIES:
            raise ValueError(f"no duty {duty!r}; there is {', '.join(_DUTIES)}")
        err = record()
        check(lib.hvcore_vm_hide(self._c, _DUTIES.index(duty), err), err)

    def kernel_stats(self, cpu: Vcpu | int | None = None) -> dict[str, int]:
        """What the kernel counts for the VM, or for a vCPU, by the kernel's names.

        Of histograms the library has but the first bucket: they are left out.
        """
        vcpu = _U32 if cpu is None else cpu.index if isinstance(cpu, Vcpu) else cpu
        stat, err, index = ffi.new("hvcore_kernel_stat *"), record(), 0
        stat.size, found = ffi.sizeof("hvcore_kernel_stat"), dict[str, int]()
        while (rc := lib.hvcore_vm_kernel_stat(self._c, vcpu, index, stat, err)) == 0:
            if stat.kind not in _HISTOGRAMS:
                found[ffi.string(stat.name).decode()] = stat.value
            index += 1
        if not index or rc != -lib.HVCORE_E_NOTFOUND:
            check(rc, err)
        return found

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


# ---- what the library calls ----


def _raised(_: Any, exception: BaseException, traceback: Any) -> None:
    """A callback has raised something, KeyboardInterrupt perhaps: it comes out of run()."""
    arguments = traceback.tb_frame.f_locals
    vm, _ = ffi.from_handle(arguments["user"])
    vm._park(exception, arguments["vcpu"])


@ffi.def_extern(onerror=_raised)
def hvcore_py_console(user: Any, vcpu: Any, data: Any, size: int) -> None:
    _, fn = ffi.from_handle(user)
    fn(bytes(ffi.buffer(data, size)))


@ffi.def_extern(error=lib.HVCORE_MMIO_RETRY, onerror=_raised)
def hvcore_py_read(user: Any, vcpu: Any, at: int, width: int, value: Any) -> int:
    _, (read, _) = ffi.from_handle(user)
    result = read(at, width)
    if isinstance(result, MmioVerdict):
        return int(result)
    value[0] = result & _U64
    return int(lib.HVCORE_MMIO_DONE)


@ffi.def_extern(error=lib.HVCORE_MMIO_RETRY, onerror=_raised)
def hvcore_py_write(user: Any, vcpu: Any, at: int, width: int, value: int) -> int:
    _, (_, write) = ffi.from_handle(user)
    result = write(at, width, value)
    return int(result) if isinstance(result, MmioVerdict) else int(lib.HVCORE_MMIO_DONE)
