# SPDX-License-Identifier: Apache-2.0
"""The Python of README.md, as a reader would paste it."""
import pathlib
import re

import pytest

import hvcore

README = pathlib.Path(__file__).parents[2] / "README.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("code", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippet(code, capsys):
    try:
        exec(code, {"hvcore": hvcore})
    except hvcore.Error as error:
        if '"kvm"' not in code:
            raise
        pytest.skip(str(error))
    said = [text.replace("\\", "") for text in re.findall(r"# prints (.*)", code)]
    assert said and capsys.readouterr().out.splitlines() == said
