# SPDX-License-Identifier: Apache-2.0
# The extension module that build.py makes: cffi's two objects.
from collections.abc import Callable
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])

class _Ffi:
    def def_extern(self, error: Any = ..., onerror: Any = ...) -> Callable[[_F], _F]: ...
    def __getattr__(self, name: str) -> Any: ...

ffi: _Ffi
lib: Any
