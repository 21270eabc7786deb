# SPDX-License-Identifier: Apache-2.0
"""examples/first.c, compiled by the line that its head shows. HVCORE_BUILD is the build folder."""
import os
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).parents[2]
BUILD = os.environ.get("HVCORE_BUILD", "")


@pytest.mark.skipif(not BUILD, reason="HVCORE_BUILD does not name the build folder")
def test_first(tmp_path):
    text = (TOP / "examples/first.c").read_text(encoding="utf-8")
    line = re.search(r"^ \*   (cc .*\\\n \*     .*)$", text, re.M)[1].replace("\\\n *", "")
    assert line.count("build/demo") == 1 and "-o first " in line
    line = line.replace("build/demo", BUILD).replace("-o first ", f"-Wall -Werror -o '{tmp_path}/first' ")
    subprocess.run(line, shell=True, cwd=TOP, check=True, timeout=60)
    result = subprocess.run([tmp_path / "first"], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == ("pc 0x8000000c: store of 1 bytes at 0x10000000: 'T'\n"
                             "pc 0x80000010: the guest switches off, reason 0\n")
    assert result.stderr == ""
