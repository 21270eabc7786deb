# SPDX-License-Identifier: Apache-2.0
"""The library itself: version, contexts, backends, memory."""
from __future__ import annotations

import signal
from typing import Any

from ._errors import check, record
from ._hvcore import ffi, lib

ARCHES = {"x86_64": lib.HVCORE_ARCH_X86_64, "arm64": lib.HVCORE_ARCH_ARM64,
          "riscv64": lib.HVCORE_ARCH_RISCV64}


def version() -> str:
    """The library's version, "0.1.0"."""
    v = lib.hvcore_version()
    return f"{v >> 24}.{v >> 16 & 0xff}.{v >> 8 & 0xff}"


class Context:
    """What a VM may be given to choose the signal by which kvm ends the guest's execution.

    No handler is needed: a thread that runs a vCPU keeps `kick_signal` (0: SIGRTMAX - 1) blocked
    from then on, until Vcpu.detach(). A program that has a handler for it all the same, whatever
    that does, says so with `kick_handled`; then no thread's mask is touched.
    """

    def __init__(self, kick_signal: int = 0, kick_handled: bool = False) -> None:
        if kick_handled:
            _must_be_handled(kick_signal or signal.SIGRTMAX - 1)
        opts, out, err = ffi.new("hvcore_ctx_opts *"), ffi.new("hvcore_ctx **"), record()
        opts.size, opts.kick_signal = ffi.sizeof("hvcore_ctx_opts"), kick_signal
        opts.flags = lib.HVCORE_CTX_KICK_HANDLED if kick_handled else 0
        check(lib.hvcore_ctx_create(opts, out, err), err)
        self._c = ffi.gc(out[0], lib.hvcore_ctx_unref)


def _must_be_handled(number: int) -> None:
    """Without a handler the signal would end the process, or not end the guest's execution."""
    if signal.getsignal(number) in (signal.SIG_DFL, signal.SIG_IGN):
        raise ValueError(f"kick_handled: nothing handles signal {number}; install a handler first")


default_context = Context()


def backend_dict(info: Any) -> dict[str, Any]:
    """A C record of a backend."""
    return {"name": ffi.string(info.name).decode(), "machine": ffi.string(info.machine).decode(),
            "arch": info.arch, "caps": info.caps, "max_vcpus": info.max_vcpus,
            "delegatable": info.delegatable}


def backends() -> list[dict[str, Any]]:
    """What this build can run guests on; `max_vcpus` 0: but not here and now."""
    found: list[dict[str, Any]] = []
    info = ffi.new("hvcore_backend_info *")
    info.size = ffi.sizeof("hvcore_backend_info")
    while lib.hvcore_ctx_backend_info(default_context._c, len(found), info) == 0:
        found.append(backend_dict(info))
    return found


class Memory:
    """Zeroed bytes that can be mapped into guests; `size` is a multiple of 4096."""

    def __init__(self, size: int) -> None:
        out, err = ffi.new("hvcore_mem **"), record()
        check(lib.hvcore_mem_alloc(default_context._c, size, 0, out, err), err)
        self._c = ffi.gc(out[0], lib.hvcore_mem_unref)
        self.size = size

    def view(self) -> memoryview:
        """The bytes themselves. The view keeps the memory alive, whatever is unmapped."""
        held = lib.hvcore_mem_ref(self._c)
        start = ffi.gc(ffi.cast("char *", lib.hvcore_mem_ptr(held)),
                       lambda _: lib.hvcore_mem_unref(held))
        return memoryview(ffi.buffer(start, self.size))
