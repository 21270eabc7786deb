# SPDX-License-Identifier: Apache-2.0
"""Runs the command line tool.

HVCORE_BIN is the program, HVCORE_GUESTS the folder with the guests (*.elf). HVCORE_SLOW (a number)
is the factor by which the program may be slower than usual, for sanitizers.
"""
import os
import pathlib
import re
import subprocess

import pytest

BIN = os.environ.get("HVCORE_BIN", "")
GUESTS = pathlib.Path(os.environ.get("HVCORE_GUESTS", "."))
SLOW = float(os.environ.get("HVCORE_SLOW", "1"))
LONG = 60 * SLOW

OK, GUEST_FAILED, USAGE, FILE, DEADLINE, INSNS, CANCELLED, STUCK, HOST = range(9)


def guest(name):
    path = GUESTS / f"{name}.elf"
    if not path.exists():
        pytest.skip(f"{path} is missing: no cross compiler?")
    return str(path)


def hvcore(*args, **kwargs):
    if "input" not in kwargs:
        kwargs.setdefault("stdin", subprocess.DEVNULL)
    kwargs.setdefault("text", True)
    return subprocess.run([BIN, *map(str, args)], capture_output=True, timeout=LONG, **kwargs)


def expect(result, code, *patterns):
    """The exit code, and one pattern after the other somewhere on stderr."""
    assert result.returncode == code, result
    text = result.stderr if isinstance(result.stderr, str) else result.stderr.decode()
    for pattern in patterns:
        assert re.search(pattern, text), (pattern, text)
    return result


def counts(text):
    """The last table of traps in a text: {cause: {column: number}}."""
    names, table = None, {}
    for line in text.splitlines():
        words = line.split()
        if words[:2] == ["#", "cause"]:
            names, table = words[2:], {}
        elif words[:1] == ["hart"]:
            names = None
        elif names and len(words) == len(names) + 2:
            table[words[1]] = {n: int(w) if w != "-" else None for n, w in zip(names, words[2:])}
    return table
