# SPDX-License-Identifier: Apache-2.0
"""Trap policies and their reports."""
from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from typing import Any

from ._errors import PolicyError, check, record
from ._hvcore import ffi, lib


class Enforcer(enum.IntEnum):
    """Who enforces what a policy says about a cause."""

    NOBODY = lib.HVCORE_BY_NOBODY
    LIBRARY = lib.HVCORE_BY_LIBRARY
    HARDWARE = lib.HVCORE_BY_HARDWARE
    KERNEL = lib.HVCORE_BY_KERNEL


class TrapDo(enum.IntEnum):
    """What a rule does."""

    DELEGATE = lib.HVCORE_DO_DELEGATE
    REDIRECT = lib.HVCORE_DO_REDIRECT
    EMULATE = lib.HVCORE_DO_EMULATE
    EXIT = lib.HVCORE_DO_EXIT
    STOP = lib.HVCORE_DO_STOP


@dataclass(frozen=True)
class ReportItem:
    """A line of a report: what becomes of a cause here, and why."""

    cls: int
    cause: str
    act: int
    as_cause: int
    enforcer: Enforcer
    rule: int
    why: str


class Policy:
    """A trap policy. Immutable; may be used by many VMs."""

    def __init__(self, text: str | bytes) -> None:
        raw = text.encode() if isinstance(text, str) else bytes(text)
        out, err = ffi.new("hvcore_policy **"), record()
        check(lib.hvcore_policy_from_json(raw, len(raw), out, err), err, PolicyError)
        self._c = ffi.gc(out[0], lib.hvcore_policy_unref)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Policy:
        """The policy in a JSON file."""
        with open(path, "rb") as file:
            return cls(file.read())


def report_items(report: Any) -> list[ReportItem]:
    """All lines of a C report; frees it."""
    if report == ffi.NULL:
        return []
    items: list[ReportItem] = []
    line = ffi.new("hvcore_report_item *")
    line.size = ffi.sizeof("hvcore_report_item")
    while lib.hvcore_report_item_get(report, len(items), line) == 0:
        items.append(ReportItem(line.cls, ffi.string(line.cause).decode(), line.act,
                                getattr(line, "as"), Enforcer(line.enforcer), line.rule,
                                ffi.string(line.why).decode()))
    lib.hvcore_report_free(report)
    return items
