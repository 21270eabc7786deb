# SPDX-License-Identifier: Apache-2.0
"""Error records become exceptions."""
from __future__ import annotations

from typing import Any

from ._hvcore import ffi, lib

_NAMES = {getattr(lib, name): name[len("HVCORE_"):] for name in dir(lib)
          if name.startswith("HVCORE_E_")}


class Error(Exception):
    """A call of the library that failed. `code` is positive, `name` its symbol ("E_STATE").

    `errno`: of a system call that failed, or 0; `pc`: the guest's, if the error belongs to one.
    """

    def __init__(self, code: int, message: str, address: int = 0, line: int = 0, column: int = 0,
                 rule: int = 0, errno: int = 0, pc: int = 0) -> None:
        super().__init__(message)
        self.code, self.name = code, _NAMES.get(code, f"E_{code}")
        self.address, self.line, self.column, self.rule = address, line, column, rule
        self.errno, self.pc = errno, pc

    def __str__(self) -> str:
        return f"{self.args[0]} [{self.name}]"


class PolicyError(Error):
    """A policy that is not well-formed, contradicts itself, or cannot be enforced."""


def record() -> Any:
    """An empty error record."""
    err = ffi.new("hvcore_error *")
    err.size = ffi.sizeof("hvcore_error")
    return err


def check(rc: int, err: Any = None, kind: type[Error] = Error) -> int:
    """Raise if `rc` is an error; else return it."""
    if rc >= 0:
        return rc
    if err is None or not err.code:
        raise kind(-rc, ffi.string(lib.hvcore_strerror(rc)).decode())
    raise kind(-rc, ffi.string(err.message).decode(errors="replace"), err.address, err.line,
               err.column, err.rule, err.sys_errno, err.pc)
